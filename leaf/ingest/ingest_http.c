#include "leaf/ingest/ingest_http.h"

#include "common/base/alloc.h"
#include "leaf/ingest/form.h"
#include "leaf/serving/http_answer.h"

struct http_ingest {
    struct sf_http_request *request; /* NULL once the client has left */
    const struct sf_table *table;
};

static void answer_ok(struct sf_http_request *r, const struct sf_table *table,
                      const struct ingest_result *result)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf body = {0};

    ingest_form_answer(table, result, &body);
    http_json(r, 200, &body);
}

static void answer_refused(struct sf_http_request *r, const struct sf_table *table,
                           const struct ingest_result *result, const struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf body = {0};

    ingest_form_refusal(table, result, err, &body);
    http_problem_document(r, err, &body);
}

static void on_done(void *data, const struct ingest_result *result, const struct sf_error *err)
{
    struct http_ingest *h = data;

    if (h->request != NULL && err == NULL) {
        answer_ok(h->request, h->table, result);
    } else if (h->request != NULL) {
        answer_refused(h->request, h->table, result, err);
    }
    sf_free(h);
}

static void on_abort(struct sf_http_request *r, void *data)
{
    struct http_ingest *h = data;

    (void)r;
    h->request = NULL;
}

void ingest_http(struct ingest *in, const struct served_table *table, struct sf_http_request *r)
{
    struct ingest_request request = {.table = table};
    struct http_ingest *h = sf_calloc(1, sizeof(*h));
    struct sf_error err;
    const struct ingest_form form = {
        .content_type = sf_http_header_of(r, "Content-Type"),
        .content_encoding = sf_http_header_of(r, "Content-Encoding"),
        .on_invalid = sf_http_query(r, "on_invalid"),
        .envelope = sf_http_query(r, "envelope"),
    };
    enum sf_code code = ingest_form_read(&form, &request, &err);

    if (code == SF_OK && h == NULL) {
        code = SF_RAISE(&err, SF_NOMEM, "request");
    }
    if (code == SF_OK) {
        *h = (struct http_ingest){.request = r, .table = table->contract};
        sf_http_take_body(r, &request.body);
        sf_http_set_hooks(r, &(struct sf_http_hooks){.on_abort = on_abort, .data = h});
        code = ingest_start(in, &request, on_done, h, &err);
    }
    if (code != SF_OK) {
        sf_http_set_hooks(r, &(struct sf_http_hooks){0});
        sf_free(h);
        http_problem(r, &err);
    }
}
