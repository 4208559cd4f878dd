#include "leaf/serving/change.h"

#include "common/base/time.h"
#include "leaf/rowcodec/key.h"
#include "leaf/rowcodec/row.h"

enum sf_code change_render_json(const struct row_view *view, const struct store_log_entry *change,
                                struct sf_buf *out, struct sf_error *err)
{
    const bool is_delete = change->op == STORE_DELETE;
    const size_t start = out->size;
    char ts[SF_TIME_TEXT_SIZE];
    enum sf_code code = SF_OK;

    (void)sf_time_format(change->commit_us, ts);
    sf_buf_printf(out, "{\"seq\":%llu,\"op\":\"%s\",\"ts\":\"%s\"", (unsigned long long)change->seq,
                  is_delete ? "delete" : "upsert", ts);
    if (view->table->kind == SF_TABLE_STATE) {
        sf_buf_text(out, ",\"key\":");
        code = key_render_json(view, change->key, out, err);
    }
    if (code == SF_OK && !is_delete) {
        sf_buf_text(out, ",\"row\":");
        code = row_render_json(view, change->row, out, err);
    }
    if (code != SF_OK) {
        out->size = start;
        return code;
    }
    sf_buf_text(out, "}\n");
    return sf_buf_check(out, "changes", err);
}

enum sf_code change_render_snapshot_json(const struct row_view *view, const struct store_row *row,
                                         struct sf_buf *out, struct sf_error *err)
{
    const size_t start = out->size;
    enum sf_code code = SF_OK;

    sf_buf_printf(out, "{\"seq\":%llu,\"op\":\"snapshot\"", (unsigned long long)row->seq);
    if (view->table->kind == SF_TABLE_STATE) {
        sf_buf_text(out, ",\"key\":");
        code = key_render_json(view, row->key, out, err);
    }
    if (code == SF_OK) {
        sf_buf_text(out, ",\"row\":");
        code = row_render_json(view, row->row, out, err);
    }
    if (code != SF_OK) {
        out->size = start;
        return code;
    }
    sf_buf_text(out, "}\n");
    return sf_buf_check(out, "rows", err);
}
