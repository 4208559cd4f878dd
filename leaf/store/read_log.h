/* Inside leaf/store: walking the frames of one lane in either direction, with the chain checked. */
#pragma once

#include "leaf/store/as_of.h"
#include "leaf/store/kv.h"

struct log_range {
    uint64_t first_seq; /* at least 1 */
    uint64_t last_seq;  /* at most the head; below first_seq: nothing */
    bool reverse;
    bool verify; /* each change against its digest */
    bool fill_cache;
    const struct store_head *head; /* of the log; NULL: the one that the snapshot's rows show */
};

enum sf_code log_open(const struct store_snapshot *snapshot, const struct store_lane *lane,
                      const struct log_range *range, struct store_log **ret,
                      struct sf_error *err) SF_MUST_CHECK;

/* Frames taken apart so far. */
uint64_t log_frames(const struct store_log *log);

/* The frame that holds @seq, through an iterator over the lane's log. Its hash is not checked: one
 * of its changes is wanted, which is checked by its digest. */
enum sf_code log_find(const struct store_lane *lane, struct kv_iter *it, uint64_t seq,
                      struct frame *ret, struct sf_error *err) SF_MUST_CHECK;
/* The change @c of @f, with its bytes copied to @bytes. */
enum sf_code log_copy(const struct frame *f, const struct frame_change *c, uint64_t seq,
                      struct sf_buf *bytes, struct store_log_entry *ret,
                      struct sf_error *err) SF_MUST_CHECK;

/* SF_CONFLICT (SHEAF-E0308) that names what is held. */
enum sf_code as_of_gone(const struct store_anchor *anchor, struct sf_error *err);
/* The bounds of a scan of rows: keys with the lane's id in front. */
enum sf_code scan_bounds(const struct store_lane *lane, const struct store_range *range,
                         struct sf_buf *from, struct sf_buf *to,
                         struct sf_error *err) SF_MUST_CHECK;
