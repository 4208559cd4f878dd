#include "leaf/query/page.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "leaf/query/as_of.h"
#include "leaf/query/cursor.h"
#include "leaf/rowcodec/row.h"
#include "proto/errors.h"

/* What the row before a change and a row by its key cost, in rows read one after the other. */
enum { LOOK_BACK_ROWS = 64, BY_KEY_ROWS = 8 };

void page_reader_init(struct page_reader *r, const struct queries_options *options,
                      struct query_request *request)
{
    memset(r, 0, offsetof(struct page_reader, cursor));
    r->options = options;
    r->request = *request;
    *request = (struct query_request){0};
    r->caller.domain =
        sf_slice_text(*r->request.consumer != '\0' ? r->request.consumer
                                                   : r->request.table->product->contract->domain);
}

void page_reader_done(struct page_reader *r)
{
    change_reader_done(&r->changes);
    hidden_order_free(r->hidden);
    store_scan_free(r->scan);
    store_past_free(r->past);
    store_log_free(r->log);
    store_snapshot_free(r->snapshot);
    query_request_done(&r->request);
    sf_buf_done(&r->seen);
    sf_buf_done(&r->data);
    sf_buf_done(&r->last);
}

static bool is_event(const struct page_reader *r)
{
    return r->request.table->contract->kind == SF_TABLE_EVENT;
}

static bool slice_is_over(const struct page_reader *r)
{
    return r->slice_rows >= QUERY_SLICE_ROWS || r->slice_bytes >= QUERY_SLICE_BYTES;
}

/* Counts a stored row as looked at, whether the view shows it or not. */
static void count_work(struct page_reader *r, struct sf_slice row)
{
    r->slice_rows++;
    r->slice_bytes += row.size;
}

/* Whether a row, as it is seen, is one of those asked for. */
static bool takes(struct page_reader *r, struct sf_slice seen)
{
    const struct query_request *q = &r->request;

    r->examined++;
    if (q->where == NULL) {
        return true;
    }
    switch (sf_expr_run(q->where, seen, &r->caller)) {
    case SF_EXPR_TRUE:
        return true;
    case SF_EXPR_FALSE:
        return false;
    case SF_EXPR_NULL:
        r->nulls++;
        return false;
    case SF_EXPR_ERROR:
        r->errors++;
        return false;
    }
    return false;
}

static bool page_is_full(const struct page_reader *r)
{
    return r->data.size >= QUERY_PAGE_BYTES ||
           (r->request.limit != 0 && r->rows_total == r->request.limit);
}

/* Renders a row as it is seen. */
static enum sf_code render_row(struct page_reader *r, struct sf_slice seen, struct sf_error *err)
{
    if (r->request.format == QUERY_CSV) {
        return row_render_csv(r->request.view, seen, &r->data, err);
    }
    enum sf_code code = row_render_json(r->request.view, seen, &r->data, err);

    sf_buf_byte(&r->data, '\n');
    return code;
}

/* Takes a row of a scan up: renders it, or only counts it. */
static enum sf_code add_row(struct page_reader *r, const struct store_row *row,
                            struct sf_error *err)
{
    struct sf_slice seen;
    bool shown;
    enum sf_code code;

    count_work(r, row->row);
    code = served_view_row(r->request.served, row->row, &r->seen, &shown, &seen, err);
    if (code != SF_OK || !shown || !takes(r, seen)) {
        return code;
    }
    if (r->request.marked) {
        code = change_render_snapshot_json(r->request.served, r->request.view, row, seen, &r->data,
                                           err);
    } else if (!r->request.count) {
        code = render_row(r, seen, err);
    }
    if (code == SF_OK) {
        r->page.rows++;
        r->rows_total++;
    }
    return code;
}

/* --- opening ---------------------------------------------------------------------------------- */

/* A position is held when what was read up to it is the beginning of what is there now: after a
 * restore, seqs behind the last one that was kept are given again, in another epoch. */
static enum sf_code check_position(const struct page_reader *r, struct sf_error *err)
{
    const struct query_request *q = &r->request;
    const uint32_t epoch = q->has_after ? q->after_epoch : r->head.epoch;
    uint64_t end = 0;
    enum sf_code code;

    if (q->after_seq == 0 || (!q->has_after && q->op != QUERY_CHANGES)) {
        return SF_OK;
    }
    code = store_epoch_end(r->snapshot, q->table->lane, epoch, &end, err);
    if (code != SF_OK || q->after_seq <= end) {
        return code;
    }
    if (epoch == store_epoch(r->options->store)) { /* Not restored since: nobody was ever there. */
        return SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_POSITION_GONE,
                          "position %u:%llu is ahead of the table, which is at %u:%llu", epoch,
                          (unsigned long long)q->after_seq, r->head.epoch,
                          (unsigned long long)r->head.seq);
    }
    return SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_POSITION_GONE,
                      "position %u:%llu, the table is at %u:%llu; common is all up to %u:%llu",
                      epoch, (unsigned long long)q->after_seq, r->head.epoch,
                      (unsigned long long)r->head.seq, epoch, (unsigned long long)end);
}

/* Where the request is in the past, as seqs. */
static enum sf_code find_points(struct page_reader *r, struct sf_error *err)
{
    struct query_request *q = &r->request;
    const struct store_lane *lane = q->table->lane;
    uint32_t epoch;
    enum sf_code code;

    r->shown_seq = r->head.seq;
    r->shown_epoch = r->head.epoch;
    if (page_may_be_in_memory(r)) {
        return SF_OK; /* A row of now does not ask what is held of the past. */
    }
    code = store_anchor_of(r->snapshot, lane, &r->anchor, err);
    if (code == SF_OK && q->as_of.kind != QUERY_AT_NOW) {
        r->is_past = true;
        code = query_point_find(&q->as_of, r->snapshot, lane, &r->head, &r->shown_epoch,
                                &r->shown_seq, err);
    }
    if (code == SF_OK && q->since.kind == QUERY_AT_TIME) {
        struct query_point before = q->since;

        before.us--; /* What was committed at that time is wanted. */
        code = query_point_find(&before, r->snapshot, lane, &r->head, &epoch, &q->after_seq, err);
    }
    if (r->is_past && r->shown_seq < q->before_seq) {
        q->before_seq = r->shown_seq + 1;
    }
    return code;
}

/* Whether the log is read from the first change held on: events are asked for from the start. What
 * a state table has lost of its log cannot be left out in silence. */
static bool from_first_held(const struct page_reader *r)
{
    return is_event(r) && r->request.after_seq < r->anchor.seq &&
           (r->request.op == QUERY_SCAN || r->request.after_seq == 0);
}

static enum sf_code open_log(struct page_reader *r, struct sf_error *err)
{
    const struct query_request *q = &r->request;
    uint64_t after = q->after_seq > r->head.seq ? r->head.seq : q->after_seq;
    uint64_t last = q->before_seq == 0 ? 0 : q->before_seq - 1;

    if (from_first_held(r)) {
        after = r->anchor.seq;
    }
    if (!q->reverse) {
        return store_log_new(r->snapshot, q->table->lane, after, /* verify= */ false, &r->log, err);
    }
    last = last > r->head.seq ? r->head.seq : last;
    return store_log_new_back(r->snapshot, q->table->lane, after + 1, last, &r->log, err);
}

/* Each domain has an order of its own, so that two of them have none to compare. */
static enum sf_code open_hidden(struct page_reader *r, const struct store_range *range,
                                struct sf_error *err)
{
    const struct query_request *q = &r->request;
    const struct sf_slice parts[] = {SF_LITERAL("sheaf hidden order v1"), sf_slice_of("", 1),
                                     sf_slice_text(q->consumer)};
    struct hidden_order_options options = {
        .snapshot = r->snapshot,
        .lane = q->table->lane,
        .range = *range,
        .is_past = r->is_past,
        .seq = r->shown_seq,
        .reverse = q->reverse,
        .after = sf_buf_view(&q->key),
        .bytes = HIDDEN_ORDER_BYTES,
    };
    enum sf_code code;

    sf_hash256_keyed(r->options->seal_key, parts, SF_COUNT(parts), options.key);
    code = hidden_order_new(&options, &r->hidden, err);
    sf_wipe(options.key, sizeof(options.key));
    return code;
}

static enum sf_code open_rows(struct page_reader *r, struct sf_error *err)
{
    const struct query_request *q = &r->request;
    const struct store_range range = {
        .from = sf_buf_view(&q->from),
        .to = sf_buf_view(&q->to),
        .prefix = sf_buf_view(&q->prefix),
        .reverse = q->reverse,
        .keep_cache = true,
    };

    if (q->hides_key) {
        return open_hidden(r, &range, err);
    }
    return r->is_past
               ? store_past_new(r->snapshot, q->table->lane, &range, r->shown_seq, &r->past, err)
               : store_scan_new(r->snapshot, q->table->lane, &range, &r->scan, err);
}

static enum sf_code open_snapshot(struct page_reader *r, struct sf_error *err)
{
    const struct query_request *q = &r->request;
    const struct store_lane *lane = q->table->lane;
    enum sf_code code;

    if (r->from_memory) {
        r->head = *store_lane_head(lane);
        r->shown_seq = r->head.seq;
        r->shown_epoch = r->head.epoch;
        return SF_OK;
    }
    code = store_snapshot_new(r->options->store, &r->snapshot, err);
    if (code == SF_OK) {
        code = store_snapshot_head(r->snapshot, lane, &r->head, err);
    }
    if (code == SF_OK) {
        code = check_position(r, err);
    }
    if (code == SF_OK) {
        code = find_points(r, err);
    }
    if (code != SF_OK || q->op == QUERY_GET) {
        return code;
    }
    r->last_seq = q->after_seq;
    r->changes =
        (struct change_reader){.view = q->served, .columns = q->view, .snapshot = r->snapshot};
    return q->op == QUERY_CHANGES || is_event(r) ? open_log(r, err) : open_rows(r, err);
}

/* --- reading ---------------------------------------------------------------------------------- */

/* Renders the one row that was found; one that the view does not show was not. */
static enum sf_code show_row(struct page_reader *r, struct sf_slice row, bool *found,
                             struct sf_error *err)
{
    struct sf_slice seen;
    enum sf_code code = served_view_row(r->request.served, row, &r->seen, found, &seen, err);

    return code == SF_OK && *found ? render_row(r, seen, err) : code;
}

static enum sf_code get_event(struct page_reader *r, bool *found, struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf bytes = {0};
    struct store_log_entry entry;
    const struct sf_buf *key = &r->request.key;
    uint64_t seq = key->size == 8 ? sf_read_be64(key->data) : 0;
    enum sf_code code;

    *found = seq > r->anchor.seq && seq <= r->shown_seq;
    if (!*found) {
        return SF_OK;
    }
    code = store_read_version(r->snapshot, r->request.table->lane, sf_slice_text(NULL), seq, &bytes,
                              &entry, err);
    return code == SF_OK ? show_row(r, entry.row, found, err) : code;
}

static enum sf_code get_state(struct page_reader *r, bool *found, struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf bytes = {0};
    const struct store_lane *lane = r->request.table->lane;
    const struct sf_slice key = sf_buf_view(&r->request.key);
    struct store_row row;
    enum sf_code code;

    if (r->from_memory) {
        code = store_get_now(r->options->store, lane, key, &bytes, &row, found, err);
    } else if (r->is_past) {
        code = store_get_as_of(r->snapshot, lane, key, r->shown_seq, &bytes, &row, found, err);
    } else {
        code = store_get(r->snapshot, lane, key, &bytes, &row, found, err);
    }

    return code == SF_OK && *found ? show_row(r, row.row, found, err) : code;
}

static enum sf_code read_get(struct page_reader *r, struct sf_error *err)
{
    bool found;
    enum sf_code code = is_event(r) ? get_event(r, &found, err) : get_state(r, &found, err);

    if (code != SF_OK) {
        return code;
    }
    if (!found) {
        return SF_RAISE_E(err, SF_ABSENT, SHEAF_E_ROW_ABSENT, "table '%s'",
                          r->request.table->contract->name);
    }
    r->page.rows = 1;
    r->rows_total = 1;
    r->page.is_last = true;
    return SF_OK;
}

static enum sf_code next_row(struct page_reader *r, struct store_row *row, bool *more,
                             struct sf_error *err)
{
    if (r->hidden != NULL) {
        return hidden_order_next(r->hidden, row, more, err);
    }
    return r->past != NULL ? store_past_next(r->past, row, more, err)
                           : store_scan_next(r->scan, row, more, err);
}

/* Where the next request may go on. */
static void note_place(struct page_reader *r, const struct store_row *row)
{
    sf_buf_clear(&r->last);
    sf_buf_slice(&r->last, r->hidden != NULL ? hidden_order_place(r->hidden) : row->key);
}

static enum sf_code read_scan(struct page_reader *r, struct sf_error *err)
{
    struct store_row row;
    bool more;
    enum sf_code code;

    while (!page_is_full(r) && !slice_is_over(r)) {
        code = next_row(r, &row, &more, err);
        if (code != SF_OK) {
            return code;
        }
        if (!more) {
            r->page.is_last = true;
            return SF_OK;
        }
        if (row.seq == 0) { /* Keys were looked at, and no row is among them. */
            r->slice_rows += STORE_PAST_STEP;
        } else {
            r->slice_rows += r->hidden != NULL ? BY_KEY_ROWS : 0;
            code = add_row(r, &row, err);
        }
        if (code != SF_OK) {
            return code;
        }
        note_place(r, &row);
    }
    return SF_OK;
}

static enum sf_code add_change(struct page_reader *r, const struct store_log_entry *entry,
                               struct sf_error *err)
{
    bool shown;
    enum sf_code code;

    count_work(r, entry->row);
    code = change_render_json(&r->changes, entry, &r->data, &shown, err);
    r->slice_rows += r->changes.looked_back ? LOOK_BACK_ROWS : 0;
    if (code == SF_OK && shown) {
        r->examined++;
        r->page.first_seq = r->page.rows == 0 ? entry->seq : r->page.first_seq;
        r->page.rows++;
        r->rows_total++;
    }
    return code;
}

/* Changes, and rows of event tables: both come from the log. */
static enum sf_code read_log(struct page_reader *r, struct sf_error *err)
{
    const bool is_changes = r->request.op == QUERY_CHANGES;
    struct store_log_entry entry;
    bool more;
    enum sf_code code;

    while (!page_is_full(r) && !slice_is_over(r)) {
        code = store_log_next(r->log, &entry, &more, err);
        if (code != SF_OK) {
            return code;
        }
        if (!more || (!is_changes && entry.seq >= r->request.before_seq)) {
            r->page.is_last = true;
            return SF_OK;
        }
        code = is_changes
                   ? add_change(r, &entry, err)
                   : add_row(r, &(struct store_row){.row = entry.row, .seq = entry.seq}, err);
        if (code != SF_OK) {
            return code;
        }
        r->last_seq = entry.seq;
    }
    return SF_OK;
}

/* --- the page --------------------------------------------------------------------------------- */

/* Whether the limits of the request end the answer here although there may be more rows. */
static bool is_cut(const struct page_reader *r)
{
    return (r->request.limit != 0 && r->rows_total == r->request.limit) ||
           (r->request.pages != 0 && r->pages_total == r->request.pages);
}

static enum sf_code finish_page(struct page_reader *r, struct sf_error *err)
{
    struct query_page *p = &r->page;
    const bool at_end = p->is_last;
    const bool from_log = r->request.op == QUERY_CHANGES || is_event(r);
    enum sf_code code = sf_buf_check(&r->data, "page", err);

    p->is_last = at_end || is_cut(r);
    p->data = sf_buf_view(&r->data);
    p->count = r->rows_total;
    p->epoch = r->head.epoch;
    p->head_seq = r->head.seq;
    p->view = r->request.view_name;
    p->contract = r->request.contract;
    p->has_where = r->request.where != NULL;
    p->examined = r->examined;
    p->nulls = r->nulls;
    p->errors = r->errors;
    p->shown_epoch = r->shown_epoch;
    p->last_seq = r->request.op == QUERY_CHANGES ? r->last_seq : r->shown_seq;
    p->cursor = "";
    if (code != SF_OK || !p->is_last || r->request.op == QUERY_GET) {
        return code;
    }
    if (r->request.op == QUERY_CHANGES) {
        (void)snprintf(r->cursor, sizeof(r->cursor), "%u:%llu", p->epoch,
                       (unsigned long long)r->last_seq);
        p->cursor = r->cursor;
    } else if (!at_end) {
        struct query_place place = {
            .lane = store_lane_id(r->request.table->lane),
            .epoch = r->head.epoch,
            .seq = from_log ? r->last_seq : 0,
            .key = from_log ? sf_slice_text(NULL) : sf_buf_view(&r->last),
            .as_of = r->is_past ? r->shown_seq : QUERY_NOT_PAST,
            /* The last row looked at need not be one that is shown. */
            .hides_size = !from_log && r->hidden == NULL &&
                          served_view_has_filter(r->request.served) && !page_is_full(r),
        };

        memcpy(place.shape, r->request.shape, sizeof(place.shape));
        code = sf_buf_check(&r->last, "cursor", err);
        if (code != SF_OK) {
            return code;
        }
        code = query_cursor_make(r->options->seal_key, &place, r->cursor, sizeof(r->cursor), err);
        p->cursor = r->cursor;
    }
    return code;
}

static void begin_page(struct page_reader *r)
{
    sf_buf_clear(&r->data);
    r->page = (struct query_page){
        .content_type = r->request.format == QUERY_CSV ? "text/csv" : "application/x-ndjson"};
    if (r->request.format == QUERY_CSV && r->pages_total == 0 && !r->request.count) {
        row_render_csv_header(r->request.view, &r->data);
    }
    r->pages_total++;
}

/* The number instead of the rows; what is cut goes on with the cursor, and the numbers add up. */
static void render_count(struct page_reader *r)
{
    sf_buf_printf(&r->data, r->request.format == QUERY_CSV ? "count\n%llu\n" : "{\"count\":%llu}\n",
                  (unsigned long long)r->rows_total);
}

/* All rows of a table: its head knows how many, also those that a view does not show. */
static bool knows_count(const struct page_reader *r)
{
    const struct query_request *q = &r->request;

    return q->count && !r->is_past && q->where == NULL && !served_view_has_filter(q->served) &&
           q->from.size == 0 && q->to.size == 0 && q->prefix.size == 0 && q->after_seq == 0 &&
           q->before_seq == UINT64_MAX && q->limit == 0;
}

static enum sf_code read_slice(struct page_reader *r, struct sf_error *err)
{
    if (r->request.op == QUERY_GET) {
        return read_get(r, err);
    }
    if (knows_count(r)) {
        r->rows_total = is_event(r) ? r->head.seq - r->anchor.seq : r->head.rows;
        r->page.is_last = true;
        return SF_OK;
    }
    return r->log != NULL ? read_log(r, err) : read_scan(r, err);
}

/* A walk that nothing came of yet would only begin anew with the next request. */
static bool may_stop(const struct page_reader *r)
{
    return r->hurry &&
           (r->hidden == NULL || r->page.rows > 0 || !hidden_order_is_gathering(r->hidden));
}

enum sf_code page_read(struct page_reader *r, struct sf_error *err)
{
    enum sf_code code = r->snapshot == NULL ? open_snapshot(r, err) : SF_OK;

    if (code != SF_OK) {
        return code;
    }
    if (r->page_done || r->pages_total == 0) {
        begin_page(r);
    }
    r->slice_rows = 0;
    r->slice_bytes = 0;
    code = read_slice(r, err);
    r->page_done = r->page.is_last || page_is_full(r) || may_stop(r);
    if (code != SF_OK || !r->page_done) {
        return code;
    }
    if (r->request.count) {
        render_count(r);
    }
    return finish_page(r, err);
}

/* One row of now by its key: a few microseconds. Events and the past are read from the log, which
 * blocks. */
bool page_may_be_in_memory(const struct page_reader *r)
{
    return r->request.op == QUERY_GET && !is_event(r) && r->request.as_of.kind == QUERY_AT_NOW;
}

enum sf_code page_read_from_memory(struct page_reader *r, struct sf_error *err)
{
    enum sf_code code;

    r->from_memory = true;
    code = page_read(r, err);
    r->from_memory = false;
    if (code == SF_BUSY) {
        r->page_done = false;
    }
    return code;
}
