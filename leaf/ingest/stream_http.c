#include "leaf/ingest/stream_http.h"

#include <string.h>

#include "common/base/alloc.h"
#include "common/base/str.h"
#include "common/wire/problem.h"
#include "leaf/ingest/form.h"
#include "leaf/ingest/stream.h"
#include "leaf/serving/http_answer.h"

struct http_stream {
    struct sf_http_request *request; /* NULL once the client has left */
    struct ingest_stream *stream;    /* NULL once it has ended */
    bool begun;                      /* the head of the answer is sent */
    struct sf_buf last;              /* the last line, until there is room for it */
};

static void stream_done(struct http_stream *h)
{
    sf_buf_done(&h->last);
    sf_free(h);
}

static void begin(struct http_stream *h)
{
    if (!h->begun) {
        h->begun = true;
        sf_http_stream_begin(h->request, 200, "application/x-ndjson", NULL, 0);
    }
}

static void write_totals(const struct ingest_stream_totals *t, struct sf_json_writer *w)
{
    sf_json_member_uint(w, "batches", t->batches);
    sf_json_member_uint(w, "accepted", t->accepted);
    sf_json_member_uint(w, "quarantined", t->quarantined);
    sf_json_member_uint(w, "line", t->lines);
    sf_json_member_uint(w, "bytes", t->bytes);
}

static void on_batch(void *data, const struct ingest_result *result,
                     const struct ingest_stream_totals *totals)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf out = {0};
    struct sf_json_writer w = {.out = &out};
    struct http_stream *h = data;

    sf_json_object_begin(&w);
    sf_json_member_uint(&w, "batch", totals->batches);
    sf_json_member_uint(&w, "line", totals->lines);
    sf_json_member_uint(&w, "bytes", totals->bytes);
    if (result->replayed) {
        sf_json_member_bool(&w, "replayed", true);
    }
    ingest_form_members(result, &w);
    sf_json_object_end(&w);
    sf_buf_byte(&out, '\n');
    begin(h);
    if (out.failed == SF_OK) {
        /* Without room the next line says more; and the last one is kept. */
        (void)(sf_http_stream_write(h->request, sf_buf_view(&out)) == SF_OK);
    }
}

static void on_room(void *data)
{
    struct http_stream *h = data;

    sf_http_body_resume(h->request);
}

/* Sends the last line, now or when there is room. */
static void send_last(struct http_stream *h)
{
    struct sf_http_request *r = h->request;
    enum sf_code code = sf_http_stream_write(r, sf_buf_view(&h->last));

    if (code == SF_BUSY) {
        return;
    }
    sf_http_set_hooks(r, &(struct sf_http_hooks){0});
    sf_http_stream_end(r, code == SF_OK);
    stream_done(h);
}

static void on_end(void *data, const struct ingest_stream_totals *totals,
                   const struct sf_error *err)
{
    struct http_stream *h = data;
    struct sf_json_writer w = {.out = &h->last};
    struct sf_error own;

    h->stream = NULL;
    if (err != NULL && !h->begun) {
        sf_http_set_hooks(h->request, &(struct sf_http_hooks){0});
        http_problem(h->request, err);
        stream_done(h);
        return;
    }
    sf_json_object_begin(&w);
    sf_json_member_bool(&w, "done", err == NULL);
    write_totals(totals, &w);
    if (err != NULL) {
        sf_json_key(&w, "problem");
        sf_problem_begin(&w, err);
        sf_json_object_end(&w);
    }
    sf_json_object_end(&w);
    sf_buf_byte(&h->last, '\n');
    begin(h);
    if (sf_buf_check(&h->last, "answer", &own) != SF_OK) {
        sf_http_set_hooks(h->request, &(struct sf_http_hooks){0});
        sf_http_stream_end(h->request, /* complete= */ false);
        stream_done(h);
        return;
    }
    send_last(h);
}

/* --- what HTTP calls -------------------------------------------------------------------------- */

static void on_abort(struct sf_http_request *r, void *data)
{
    struct http_stream *h = data;

    (void)r;
    if (h->stream != NULL) {
        ingest_stream_abandon(h->stream);
    }
    stream_done(h);
}

static void on_drain(struct sf_http_request *r, void *data)
{
    struct http_stream *h = data;

    (void)r;
    if (h->stream == NULL) {
        send_last(h);
    }
}

static size_t on_body(struct sf_http_request *r, void *data, struct sf_slice bytes)
{
    struct http_stream *h = data;

    (void)r;
    if (h->stream == NULL) {
        return bytes.size;
    }
    if (bytes.size == 0) {
        ingest_stream_finish(h->stream);
        return 0;
    }
    return ingest_stream_feed(h->stream, bytes);
}

bool ingest_stream_http_wants(const struct sf_http_request *r)
{
    const char *batch = sf_http_query(r, "batch");

    return strcmp(sf_http_method(r), "POST") == 0 && batch != NULL && strcmp(batch, "stream") == 0;
}

static enum sf_code read_form(struct sf_http_request *r, struct ingest_request *ret,
                              uint64_t *ret_records, struct sf_error *err)
{
    const char *records = sf_http_query(r, "batch_records");
    struct ingest_form form;
    enum sf_code code;

    ingest_http_form(r, &form);
    code = ingest_form_read(&form, ret, err);
    if (code == SF_OK && ret->format == BATCH_JSON) {
        code = SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST,
                          "'batch' needs NDJSON, CSV or messages");
    }
    if (code == SF_OK && (ret->expect != INGEST_EXPECT_ANY || ret->expect_tables != NULL)) {
        code = SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST,
                          "a body in batches takes no 'expected_seq' and no If-Match");
    }
    if (code == SF_OK && records != NULL &&
        (sf_parse_u64(sf_slice_text(records), ret_records) != SF_PARSE_OK || *ret_records == 0)) {
        code = SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST,
                          "'batch_records' must be a whole number from 1 on");
    }
    return code;
}

void ingest_stream_http(struct ingest *in, const struct ingest_target *to,
                        struct sf_http_request *r)
{
    struct ingest_request request = {
        .table = to->table, .product = to->product, .caller = to->user};
    struct http_stream *h = sf_calloc(1, sizeof(*h));
    struct ingest_stream_spec spec = {
        .request = &request,
        .on_batch = on_batch,
        .on_room = on_room,
        .on_end = on_end,
        .data = h,
    };
    struct sf_error err;
    enum sf_code code = h == NULL ? SF_RAISE(&err, SF_NOMEM, "request") : SF_OK;

    if (code == SF_OK) {
        code = read_form(r, &request, &spec.batch_records, &err);
    }
    if (code == SF_OK) {
        code = ingest_stream_new(in, &spec, &h->stream, &err);
    }
    if (code != SF_OK) {
        sf_free(h);
        http_problem(r, &err);
        return;
    }
    h->request = r;
    sf_http_set_hooks(r, &(struct sf_http_hooks){
                             .on_abort = on_abort,
                             .on_drain = on_drain,
                             .on_body = on_body,
                             .data = h,
                         });
}
