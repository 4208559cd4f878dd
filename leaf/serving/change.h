/*
 * Changes as every port shows them: one line of JSON per change,
 * {"seq":7,"op":"upsert|delete","ts":"...","key":{...},"row":{...}}.
 *
 *   Threads   Pure; any thread.
 */
#pragma once

#include "leaf/rowcodec/view.h"
#include "leaf/store/read.h"

/* Appends the line with its LF; key and row show the view's fields only. Event tables have no key.
 * SF_CORRUPT, or the failure of @out. */
enum sf_code change_render_json(const struct row_view *view, const struct store_log_entry *change,
                                struct sf_buf *out, struct sf_error *err) SF_MUST_CHECK;
/* A row of a snapshot in the same form: {"seq":7,"op":"snapshot","key":{...},"row":{...}}. */
enum sf_code change_render_snapshot_json(const struct row_view *view, const struct store_row *row,
                                         struct sf_buf *out, struct sf_error *err) SF_MUST_CHECK;
