/* Quarantined records over HTTP (query_http.h): read on a query thread, one page per request. */
#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/time.h"
#include "common/base/utf8.h"
#include "leaf/query/params.h"
#include "leaf/query/query_http.h"
#include "leaf/serving/http_answer.h"
#include "leaf/serving/quarantine_filter.h"
#include "proto/errors.h"

enum { PAGE_ENTRIES = 100, RAW_SHOWN_MAX = 4096, LOOK_MAX = 20000, GROUPS_MAX = 256 };

/* Entries with the same first code and field. */
struct group {
    uint16_t code;
    char field[64];
    uint64_t entries;
    int64_t first_us;
    int64_t last_us;
};

struct listing {
    struct sf_http_request *request; /* NULL once the client has left */
    struct queries *queries;
    const struct served_table *table;
    uint64_t after;
    uint64_t limit;
    uint64_t total; /* entries there are */
    struct quarantine_filter filter;
    bool grouped;
    struct sf_buf document;
    enum sf_code code;
    struct sf_error error;
    struct sf_work work;
};

/* As much of the record as is shown, cut at a whole character; what is no text as base64. */
static void write_raw(struct sf_json_writer *w, struct sf_slice raw)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf text = {0};
    size_t shown = raw.size > RAW_SHOWN_MAX ? RAW_SHOWN_MAX : raw.size;

    while (shown < raw.size && shown > 0 && (raw.data[shown] & 0xc0) == 0x80) {
        shown--;
    }
    if (sf_utf8_is_valid(sf_slice_of(raw.data, shown))) {
        sf_json_member_slice(w, "raw", sf_slice_of(raw.data, shown));
    } else {
        sf_json_put_base64(&text, sf_slice_of(raw.data, shown));
        sf_json_key(w, "raw_base64");
        sf_json_raw(w, sf_buf_view(&text));
    }
    sf_json_member_bool(w, "cut", shown < raw.size);
}

static void write_entry(struct sf_json_writer *w, const struct store_quarantined *q)
{
    char time[SF_TIME_TEXT_SIZE];

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
    write_raw(w, q->raw);
    sf_json_object_end(w);
}

static void add_to_groups(struct group *groups, size_t *count, const struct store_quarantined *q)
{
    const uint16_t number = q->code_count == 0 ? 0 : q->codes[0];
    struct group *g = groups;

    while (g < groups + *count &&
           (g->code != number || !sf_slice_equal(sf_slice_text(g->field), q->field))) {
        g++;
    }
    if (g == groups + *count) {
        if (*count == GROUPS_MAX) {
            return; /* The total tells that there are others. */
        }
        (*count)++;
        *g = (struct group){.code = number, .first_us = q->commit_us};
        (void)snprintf(g->field, sizeof(g->field), "%.*s", SF_SLICE_ARG(q->field));
    }
    g->entries++;
    g->last_us = q->commit_us;
}

static void write_group(struct sf_json_writer *w, const struct group *g)
{
    char first[SF_TIME_TEXT_SIZE];
    char last[SF_TIME_TEXT_SIZE];

    (void)sf_time_format(g->first_us, first);
    (void)sf_time_format(g->last_us, last);
    sf_json_object_begin(w);
    sf_json_key(w, "code");
    sf_json_printf(w, "SHEAF-E%04u", g->code);
    sf_json_member_text(w, "field", g->field);
    sf_json_member_uint(w, "entries", g->entries);
    sf_json_member_text(w, "first", first);
    sf_json_member_text(w, "last", last);
    sf_json_object_end(w);
}

/* All entries that are chosen, counted by code and field. */
static enum sf_code write_groups(struct listing *l, const struct store_snapshot *snapshot,
                                 struct sf_json_writer *w, struct sf_error *err)
{
    SF_CLEANUP(store_quarantine_freep) struct store_quarantine *it = NULL;
    struct group *groups = sf_calloc(GROUPS_MAX, sizeof(*groups));
    struct store_quarantined entry;
    size_t count = 0;
    bool more = true;
    enum sf_code code = groups == NULL ? SF_RAISE(err, SF_NOMEM, "quarantine")
                                       : store_quarantine_new(snapshot, l->table->lane, l->after,
                                                              /* reverse= */ false, &it, err);

    while (code == SF_OK) {
        code = store_quarantine_next(it, &entry, &more, err);
        if (code != SF_OK || !more) {
            break;
        }
        if (quarantine_filter_takes(&l->filter, &entry)) {
            add_to_groups(groups, &count, &entry);
        }
    }
    sf_json_key(w, "items");
    sf_json_array_begin(w);
    for (size_t i = 0; i < count; i++) {
        write_group(w, &groups[i]);
    }
    sf_json_array_end(w);
    sf_free(groups);
    return code;
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
    for (uint64_t n = 0, looked = 0; code == SF_OK && n < l->limit && looked < LOOK_MAX; looked++) {
        code = store_quarantine_next(it, &entry, &more, err);
        if (code != SF_OK || !more) {
            break;
        }
        last = entry.qseq;
        if (quarantine_filter_takes(&l->filter, &entry)) {
            n++;
            write_entry(w, &entry);
        }
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

    l->code = store_snapshot_new(queries_get_options(l->queries)->store, &snapshot, &l->error);
    if (l->code != SF_OK) {
        return;
    }
    sf_json_object_begin(&w);
    sf_json_member_text(&w, "apiVersion", "sheaf/v1");
    sf_json_member_text(&w, "kind", l->grouped ? "QuarantineSummary" : "QuarantineList");
    sf_json_member_uint(&w, "total", l->total);
    l->code = l->grouped ? write_groups(l, snapshot, &w, &l->error)
                         : write_entries(l, snapshot, &w, &l->error);
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

static enum sf_code read_params(struct sf_http_request *r, int64_t now_us, struct listing *l,
                                struct sf_error *err)
{
    const struct quarantine_filter_form form = {
        .code = sf_http_query(r, "code"),
        .field = sf_http_query(r, "field"),
        .older_than = sf_http_query(r, "older_than"),
        .newer_than = sf_http_query(r, "newer_than"),
    };
    const char *by = sf_http_query(r, "by");
    enum sf_code code = quarantine_filter_read(&form, now_us, &l->filter, err);

    if (code == SF_OK && by != NULL && strcmp(by, "code") != 0) {
        code = SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "'by' must be code");
    }
    l->grouped = by != NULL;
    if (code == SF_OK) {
        code = query_params_number("after", sf_http_query(r, "after"), &l->after, err);
    }
    return code == SF_OK ? query_params_number("limit", sf_http_query(r, "limit"), &l->limit, err)
                         : code;
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
        code = read_params(r, sf_rt_wall_us(o->rt), l, &err);
    }
    if (code != SF_OK) {
        sf_free(l);
        http_problem(r, &err);
        return;
    }
    l->request = r;
    l->queries = qs;
    l->total = store_lane_held(l->table->lane).entries;
    l->limit = l->limit == 0 || l->limit > PAGE_ENTRIES ? PAGE_ENTRIES : l->limit;
    l->work = (struct sf_work){.pool = SF_POOL_QUERY, .work = list_work, .done.run = list_done};
    sf_http_set_hooks(r, &(struct sf_http_hooks){.on_abort = on_abort, .data = l});
    queries_hold(qs);
    sf_rt_work(o->rt, &l->work);
}
