#include "leaf/ingest/ingest_http.h"

#include <string.h>
#include <strings.h>

#include "common/base/alloc.h"
#include "common/wire/problem.h"
#include "leaf/serving/http_answer.h"

struct http_ingest {
    struct sf_http_request *request; /* NULL once the client has left */
    const struct sf_table *table;
};

static void write_errors(struct sf_json_writer *w, const struct sf_table *table,
                         const struct ingest_result *result)
{
    sf_json_key(w, "errors");
    sf_json_array_begin(w);
    for (size_t i = 0; i < result->error_count; i++) {
        const struct batch_error *e = &result->errors[i];

        sf_json_object_begin(w);
        sf_json_member_uint(w, "line", e->line);
        sf_json_key(w, "code");
        sf_json_printf(w, "SHEAF-E%04u", e->violation.number);
        if (e->violation.field >= 0) {
            sf_json_member_text(w, "field", table->fields[e->violation.field].name);
        }
        sf_json_member_text(w, "detail", e->violation.text);
        sf_json_object_end(w);
    }
    sf_json_array_end(w);
}

static void answer_ok(struct sf_http_request *r, const struct sf_table *table,
                      const struct ingest_result *result)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf body = {0};
    struct sf_json_writer w = {.out = &body};

    sf_json_object_begin(&w);
    sf_json_member_uint(&w, "epoch", result->epoch);
    sf_json_member_uint(&w, "first_seq", result->first_seq);
    sf_json_member_uint(&w, "last_seq", result->last_seq);
    sf_json_member_uint(&w, "commit", result->commit);
    sf_json_member_uint(&w, "accepted", result->accepted);
    sf_json_member_uint(&w, "quarantined", result->quarantined);
    write_errors(&w, table, result);
    sf_json_object_end(&w);
    http_json(r, 200, &body);
}

static void answer_refused(struct sf_http_request *r, const struct sf_table *table,
                           const struct ingest_result *result, const struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf body = {0};
    struct sf_json_writer w = {.out = &body};

    sf_problem_begin(&w, err);
    if (result->error_count > 0) {
        sf_json_member_uint(&w, "invalid", result->quarantined);
        write_errors(&w, table, result);
    }
    sf_json_object_end(&w);
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

static enum sf_code read_format(struct sf_http_request *r, enum batch_format *ret,
                                struct sf_error *err)
{
    const char *type = sf_http_header_of(r, "Content-Type");
    const size_t n = type == NULL ? 0 : strcspn(type, "; ");

    if (type != NULL && n == strlen("text/csv") && strncasecmp(type, "text/csv", n) == 0) {
        *ret = BATCH_CSV;
        return SF_OK;
    }
    if (type != NULL && n == strlen("application/x-ndjson") &&
        strncasecmp(type, "application/x-ndjson", n) == 0) {
        *ret = BATCH_NDJSON;
        return SF_OK;
    }
    return SF_RAISE_E(err, SF_INVALID, SHEAF_E_UNSUPPORTED_MEDIA, "content type is %s",
                      type == NULL ? "missing" : "another");
}

/* Whether parameter @name is @yes (true), @no or absent (false). */
static enum sf_code read_choice(struct sf_http_request *r, const char *name, const char *yes,
                                const char *no, bool *ret, struct sf_error *err)
{
    const char *text = sf_http_query(r, name);

    *ret = text != NULL && strcmp(text, yes) == 0;
    if (text != NULL && !*ret && strcmp(text, no) != 0) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "'%s' must be %s or %s", name, yes,
                          no);
    }
    return SF_OK;
}

static enum sf_code read_request(struct sf_http_request *r, struct ingest_request *ret,
                                 struct sf_error *err)
{
    bool reject;
    enum sf_code code = read_format(r, &ret->format, err);

    if (code == SF_OK) {
        code = read_choice(r, "on_invalid", "reject", "quarantine", &reject, err);
    }
    if (code == SF_OK) {
        ret->on_invalid = reject ? INGEST_REJECT : INGEST_QUARANTINE;
        code = read_choice(r, "envelope", "change", "none", &ret->has_envelope, err);
    }
    if (code == SF_OK && ret->has_envelope && ret->format == BATCH_CSV) {
        code = SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "'envelope' needs NDJSON");
    }
    return code;
}

void ingest_http(struct ingest *in, const struct served_table *table, struct sf_http_request *r)
{
    struct ingest_request request = {.table = table};
    struct http_ingest *h = sf_calloc(1, sizeof(*h));
    struct sf_error err;
    enum sf_code code = read_request(r, &request, &err);

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
