/*
 * Changes as every port shows them: one line of JSON per change,
 * {"seq":7,"op":"upsert|delete","ts":"...","key":{...},"row":{...}}.
 *
 * A view has changes of its own: a row that comes to be seen is an upsert, one that is seen no more
 * is a delete, and what happens to rows that were not seen before and are not seen after is
 * nothing.
 *
 *   Threads   Any; a reader belongs to one at a time.
 */
#pragma once

#include "common/base/time.h"
#include "leaf/serving/served_view.h"
#include "leaf/store/as_of.h"
#include "leaf/store/read.h"

/* What turns changes of a lane into those of a view. Zeroed but for the first three, all borrowed.
 */
struct change_reader {
    const struct served_view *view;
    const struct row_view *columns;        /* of it, or narrowed by served_view_select() */
    const struct store_snapshot *snapshot; /* that the changes are read from */
    struct store_before *before;
    struct sf_buf old;
    struct sf_buf row;
    int64_t time_us;
    char time[SF_TIME_TEXT_SIZE]; /* as text; "": none yet */
    bool looked_back;             /* the last change needed the row before it */
};
void change_reader_done(struct change_reader *r);

/*
 * Appends the line of @change with its LF; key and row show the columns only. Event tables have no
 * key. *@shown false: it is nothing in the view, and nothing was appended. SF_CORRUPT, SF_IO, or
 * the failure of @out.
 */
enum sf_code change_render_json(struct change_reader *r, const struct store_log_entry *change,
                                struct sf_buf *out, bool *shown,
                                struct sf_error *err) SF_MUST_CHECK;
/* A row of a snapshot, as served_view_row() made it of @row, in the same form:
 * {"seq":7,"op":"snapshot","key":{...},"row":{...}}. */
enum sf_code change_render_snapshot_json(const struct served_view *view,
                                         const struct row_view *columns,
                                         const struct store_row *row, struct sf_slice seen,
                                         struct sf_buf *out, struct sf_error *err) SF_MUST_CHECK;
