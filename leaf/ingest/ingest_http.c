#include "leaf/ingest/ingest_http.h"

#include "common/base/alloc.h"
#include "leaf/ingest/form.h"
#include "leaf/serving/http_answer.h"

struct http_ingest {
    struct sf_http_request *request; /* NULL once the client has left */
};

static void answer_ok(struct sf_http_request *r, const struct ingest_result *result)
{
    static const struct sf_http_header replayed = {"Idempotency-Replayed", "true"};
    SF_CLEANUP(sf_buf_done) struct sf_buf body = {0};
    struct sf_error err;

    ingest_form_answer(result, &body);
    if (sf_buf_check(&body, "answer", &err) != SF_OK) {
        http_problem(r, &err);
        return;
    }
    sf_http_respond(r, 200, "application/json", &replayed, result->replayed ? 1 : 0,
                    sf_buf_view(&body));
}

static void answer_refused(struct sf_http_request *r, const struct ingest_result *result,
                           const struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf body = {0};

    ingest_form_refusal(result, err, &body);
    http_problem_document(r, err, &body);
}

static void on_done(void *data, const struct ingest_result *result, const struct sf_error *err)
{
    struct http_ingest *h = data;

    if (h->request != NULL && err == NULL) {
        answer_ok(h->request, result);
    } else if (h->request != NULL) {
        answer_refused(h->request, result, err);
    }
    sf_free(h);
}

static void on_abort(struct sf_http_request *r, void *data)
{
    struct http_ingest *h = data;

    (void)r;
    h->request = NULL;
}

void ingest_http_form(const struct sf_http_request *r, struct ingest_form *ret)
{
    *ret = (struct ingest_form){
        .content_type = sf_http_header_of(r, "Content-Type"),
        .content_encoding = sf_http_header_of(r, "Content-Encoding"),
        .on_invalid = sf_http_query(r, "on_invalid"),
        .envelope = sf_http_query(r, "envelope"),
        .expected_seq = sf_http_query(r, "expected_seq"),
        .if_match = sf_http_header_of(r, "If-Match"),
        .idempotency_key = sf_http_header_of(r, "Idempotency-Key"),
    };
}

void ingest_http(struct ingest *in, const struct ingest_target *to, struct sf_http_request *r)
{
    struct ingest_request request = {
        .table = to->table, .product = to->product, .caller = to->user};
    struct http_ingest *h = sf_calloc(1, sizeof(*h));
    struct sf_error err;
    struct ingest_form form;
    enum sf_code code;

    ingest_http_form(r, &form);
    code = ingest_form_read(&form, &request, &err);

    if (code == SF_OK && h == NULL) {
        code = SF_RAISE(&err, SF_NOMEM, "request");
    }
    if (code == SF_OK) {
        *h = (struct http_ingest){.request = r};
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
