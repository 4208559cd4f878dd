#include "leaf/serving/change.h"

#include "common/base/str.h"
#include "leaf/rowcodec/row.h"

void change_reader_done(struct change_reader *r)
{
    store_before_free(r->before);
    sf_buf_done(&r->old);
    sf_buf_done(&r->row);
}

/* Whether the view showed the row that @change replaced. */
static enum sf_code was_shown(struct change_reader *r, const struct store_log_entry *change,
                              bool *shown, struct sf_error *err)
{
    struct store_row row;
    bool found = false;
    enum sf_code code = SF_OK;

    *shown = false;
    r->looked_back = change->prev_seq != 0;
    if (change->prev_seq == 0) {
        return SF_OK;
    }
    if (r->before == NULL) {
        code = store_before_new(r->snapshot, r->view->table->lane, &r->before, err);
    }
    if (code == SF_OK) {
        code = store_before_read(r->before, change, &r->old, &row, &found, err);
    }
    *shown = code == SF_OK && found && served_view_admits(r->view, row.row);
    return code;
}

/* What @change is in the view: nothing, or @op with the row that is seen. */
static enum sf_code see(struct change_reader *r, const struct store_log_entry *change, bool *shown,
                        enum store_op *op, struct sf_slice *row, struct sf_error *err)
{
    const struct served_view *v = r->view;
    enum sf_code code;

    *shown = true;
    *op = change->op;
    *row = change->row;
    r->looked_back = false;
    if (change->op != STORE_DELETE) {
        code = served_view_row(v, change->row, &r->row, shown, row, err);
        if (code != SF_OK || *shown) {
            return code;
        }
        *op = STORE_DELETE;
    }
    if (v->table->contract->kind == SF_TABLE_EVENT) {
        *shown = false; /* An event replaces nothing. */
        return SF_OK;
    }
    return served_view_has_filter(v) ? was_shown(r, change, shown, err) : SF_OK;
}

/* A frame's changes have one time, so it is written once. */
static const char *time_of(struct change_reader *r, int64_t commit_us)
{
    if (r->time[0] == '\0' || r->time_us != commit_us) {
        r->time_us = commit_us;
        (void)sf_time_format(commit_us, r->time);
    }
    return r->time;
}

/* Without printf, which took longer than the row. */
static void begin_line(uint64_t seq, const char *op, struct sf_buf *out)
{
    char digits[SF_U64_TEXT_SIZE];

    sf_buf_text(out, "{\"seq\":");
    sf_buf_append(out, digits, sf_format_u64(seq, digits));
    sf_buf_text(out, ",\"op\":\"");
    sf_buf_text(out, op);
    sf_buf_byte(out, '"');
}

enum sf_code change_render_json(struct change_reader *r, const struct store_log_entry *change,
                                struct sf_buf *out, bool *shown, struct sf_error *err)
{
    const size_t start = out->size;
    struct sf_slice row;
    enum store_op op;
    enum sf_code code = see(r, change, shown, &op, &row, err);

    if (code != SF_OK || !*shown) {
        return code;
    }
    begin_line(change->seq, op == STORE_DELETE ? "delete" : "upsert", out);
    sf_buf_text(out, ",\"ts\":\"");
    sf_buf_text(out, time_of(r, change->commit_us));
    sf_buf_byte(out, '"');
    if (r->view->table->contract->kind == SF_TABLE_STATE) {
        sf_buf_text(out, ",\"key\":");
        code = served_view_key_json(r->view, r->columns, change->key, out, err);
    }
    if (code == SF_OK && op != STORE_DELETE) {
        sf_buf_text(out, ",\"row\":");
        code = row_render_json(r->columns, row, out, err);
    }
    if (code != SF_OK) {
        out->size = start;
        return code;
    }
    sf_buf_text(out, "}\n");
    return sf_buf_check(out, "changes", err);
}

enum sf_code change_render_snapshot_json(const struct served_view *view,
                                         const struct row_view *columns,
                                         const struct store_row *row, struct sf_slice seen,
                                         struct sf_buf *out, struct sf_error *err)
{
    const size_t start = out->size;
    enum sf_code code = SF_OK;

    begin_line(row->seq, "snapshot", out);
    if (view->table->contract->kind == SF_TABLE_STATE) {
        sf_buf_text(out, ",\"key\":");
        code = served_view_key_json(view, columns, row->key, out, err);
    }
    if (code == SF_OK) {
        sf_buf_text(out, ",\"row\":");
        code = row_render_json(columns, seen, out, err);
    }
    if (code != SF_OK) {
        out->size = start;
        return code;
    }
    sf_buf_text(out, "}\n");
    return sf_buf_check(out, "rows", err);
}
