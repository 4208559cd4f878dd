/* Quarantined records over HTTP (query_http.h): read on a query thread, one page per request. */
#include "common/base/alloc.h"
#include "common/base/time.h"
#include "leaf/query/params.h"
#include "leaf/query/query_http.h"
#include "leaf/serving/http_answer.h"
#include "proto/errors.h"

enum { PAGE_ENTRIES = 100, RAW_SHOWN_MAX = 4096 };

struct listing {
    struct sf_http_request *request; /* NULL once the client has left */
    struct queries *queries;
    const struct served_table *table;
    uint64_t after;
    uint64_t limit;
    struct sf_buf document;
    enum sf_code code;
    struct sf_error error;
    struct sf_work work;
};

static void write_entry(struct sf_json_writer *w, const struct store_quarantined *q)
{
    char time[SF_TIME_TEXT_SIZE];
    const size_t shown = q->raw.size > RAW_SHOWN_MAX ? RAW_SHOWN_MAX : q->raw.size;

    (void)sf_time_format(q->commit_us, time);
    sf_json_object_begin(w);
    sf_json_member_uint(w, "qseq", q->qseq);
    sf_json_member_text(w, "time", time);
    sf_json_member_uint(w, "line", q->position);
    sf_json_key(w, "codes");
    sf_json_array_begin(w);
    for (size_t i = 0; i < q->code_count; i++) {
        sf_json_printf(w, "SHEAF-E%04u", q->codes[i]);
    }
    sf_json_array_end(w);
    sf_json_member_slice(w, "field", q->field);
    sf_json_member_slice(w, "raw", sf_slice_of(q->raw.data, shown));
    sf_json_member_bool(w, "cut", shown < q->raw.size);
    sf_json_object_end(w);
}

static enum sf_code write_entries(struct listing *l, const struct store_snapshot *snapshot,
                                  struct sf_json_writer *w, struct sf_error *err)
{
    SF_CLEANUP(store_quarantine_freep) struct store_quarantine *it = NULL;
    struct store_quarantined entry;
    bool more = true;
    uint64_t last = l->after;
    enum sf_code code = store_quarantine_new(snapshot, l->table->lane, l->after,
                                             /* reverse= */ false, &it, err);

    sf_json_key(w, "items");
    sf_json_array_begin(w);
    for (uint64_t n = 0; code == SF_OK && n < l->limit; n++) {
        code = store_quarantine_next(it, &entry, &more, err);
        if (code != SF_OK || !more) {
            break;
        }
        last = entry.qseq;
        write_entry(w, &entry);
    }
    sf_json_array_end(w);
    sf_json_member_uint(w, "last", last);
    sf_json_member_bool(w, "more", more);
    return code;
}

/* Query thread. */
static void list_work(struct sf_work *work)
{
    struct listing *l = SF_CONTAINER_OF(work, struct listing, work);
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    struct sf_json_writer w = {.out = &l->document};
    struct store_head head;

    l->code = store_snapshot_new(queries_get_options(l->queries)->store, &snapshot, &l->error);
    if (l->code == SF_OK) {
        l->code = store_snapshot_head(snapshot, l->table->lane, &head, &l->error);
    }
    if (l->code != SF_OK) {
        return;
    }
    sf_json_object_begin(&w);
    sf_json_member_text(&w, "apiVersion", "sheaf/v1");
    sf_json_member_text(&w, "kind", "QuarantineList");
    sf_json_member_uint(&w, "total", head.quarantined);
    l->code = write_entries(l, snapshot, &w, &l->error);
    sf_json_object_end(&w);
}

static void list_done(struct sf_task *done)
{
    struct listing *l = SF_CONTAINER_OF(done, struct listing, work.done);

    if (l->request != NULL && l->code == SF_OK) {
        http_json(l->request, 200, &l->document);
    } else if (l->request != NULL) {
        http_problem(l->request, &l->error);
    }
    queries_release(l->queries);
    sf_buf_done(&l->document);
    sf_free(l);
}

static void on_abort(struct sf_http_request *r, void *data)
{
    struct listing *l = data;

    (void)r;
    l->request = NULL;
}

static enum sf_code find_table(const struct queries_options *o, const struct http_read *what,
                               const struct served_table **ret, struct sf_error *err)
{
    struct serving_right right;
    enum sf_code code = serving_decide(o->serving, &(struct serving_caller){0}, what->product,
                                       what->major, &right, err);

    if (code != SF_OK) {
        return code;
    }
    *ret = served_product_table(right.product, what->table);
    return *ret == NULL ? SF_RAISE_E(err, SF_ABSENT, SHEAF_E_TABLE_UNKNOWN, "table '%s'",
                                     what->table == NULL ? "" : what->table)
                        : SF_OK;
}

void query_http_quarantine(struct queries *qs, const struct http_read *what,
                           struct sf_http_request *r)
{
    const struct queries_options *o = queries_get_options(qs);
    struct listing *l = sf_calloc(1, sizeof(*l));
    struct sf_error err;
    enum sf_code code =
        l == NULL ? SF_RAISE(&err, SF_NOMEM, "request") : find_table(o, what, &l->table, &err);

    if (code == SF_OK) {
        code = query_params_number("after", sf_http_query(r, "after"), &l->after, &err);
    }
    if (code == SF_OK) {
        code = query_params_number("limit", sf_http_query(r, "limit"), &l->limit, &err);
    }
    if (code != SF_OK) {
        sf_free(l);
        http_problem(r, &err);
        return;
    }
    l->request = r;
    l->queries = qs;
    l->limit = l->limit == 0 || l->limit > PAGE_ENTRIES ? PAGE_ENTRIES : l->limit;
    l->work = (struct sf_work){.pool = SF_POOL_QUERY, .work = list_work, .done.run = list_done};
    sf_http_set_hooks(r, &(struct sf_http_hooks){.on_abort = on_abort, .data = l});
    queries_hold(qs);
    sf_rt_work(o->rt, &l->work);
}
