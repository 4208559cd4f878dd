/*
 * Events of a follow as text: NDJSON as every port has it, and server-sent events.
 *
 *     {"event":"snapshot","position":"1:7"}
 *     {"seq":3,"op":"snapshot","key":{...},"row":{...}}
 *     {"event":"position","position":"1:7"}
 *     {"seq":8,"op":"upsert","ts":"...","key":{...},"row":{...}}
 *     {"event":"heartbeat","position":"1:8","head":"1:8"}
 *     {"event":"epoch","epoch":2,"was":"1:8","head":"2:8"}
 *     {"event":"end","position":"1:8"} or {"event":"error",} with a problem's members
 *
 *   Threads   Pure.
 */
#pragma once

#include "leaf/query/follow.h"

/* "snapshot", "rows", "position", "changes", "heartbeat", "epoch", "end": Sheaf-Event. */
const char *follow_kind_name(enum follow_kind kind);
/* false: no such name. */
bool follow_kind_parse(const char *name, enum follow_kind *ret);

/* Appends the event's line or lines. Failure is the buffer's. */
void follow_write(const struct follow_event *e, struct sf_buf *out);
/*
 * Appends lines as server-sent events: rows and changes one "data:" each, a change with its
 * position as "id:"; other kinds with "event:", and an id where the reader has all up to it.
 */
void follow_write_sse(enum follow_kind kind, uint32_t epoch, uint64_t seq, struct sf_slice lines,
                      struct sf_buf *out);
