/*
 * Reading the past: rows as of a position, and which positions are held.
 *
 * A row of before is found by following prev_seq through the log from its newest change. Where that
 * leads behind what retention has left of the log, the row stands in the family `old`: it was put
 * there when it was overwritten (docs/formats/store.md).
 *
 *   Threads, Memory   As read.h.
 *   Cost     One read of a frame for each change of a key since the position. A scan looks at every
 *            key in its range, those that came later too; its memory is that of one row.
 *   Errors   SF_CONFLICT SHEAF-E0308: not held any more; E0317: not yet there. Besides those of
 *            read.h.
 */
#pragma once

#include "leaf/store/read.h"

/* The last position that was trimmed, zeros when none was: as_of this one and every later one is
 * held, and so are the changes behind it. */
struct store_anchor {
    uint32_t epoch;
    uint64_t seq;
    uint64_t commit;
    int64_t commit_us;
    uint8_t hash[SF_HASH256_SIZE]; /* of the frame that ended there */
    uint64_t cleared;              /* frames up to here are gone from the disk too */
};

enum sf_code store_anchor_of(const struct store_snapshot *snapshot, const struct store_lane *lane,
                             struct store_anchor *ret, struct sf_error *err) SF_MUST_CHECK;

/* The same as of the last commit whose callbacks ran. Loop thread. */
const struct store_anchor *store_lane_anchor(const struct store_lane *lane);

/* That the lane was at @epoch and @seq, and is held from there on. */
enum sf_code store_check_position(const struct store_snapshot *snapshot,
                                  const struct store_lane *lane, uint32_t epoch, uint64_t seq,
                                  struct sf_error *err) SF_MUST_CHECK;

/* The epoch in which @seq was written. SF_CONFLICT as above. */
enum sf_code store_epoch_at(const struct store_snapshot *snapshot, const struct store_lane *lane,
                            uint64_t seq, uint32_t *ret, struct sf_error *err) SF_MUST_CHECK;

/* The last seq committed at @us or before; 0: none was. A few reads of the log. */
enum sf_code store_find_time(const struct store_snapshot *snapshot, const struct store_lane *lane,
                             int64_t us, uint64_t *ret_seq, struct sf_error *err) SF_MUST_CHECK;

/* store_get() as of @seq, which store_check_position() or store_find_time() has accepted. */
enum sf_code store_get_as_of(const struct store_snapshot *snapshot, const struct store_lane *lane,
                             struct sf_slice key, uint64_t seq, struct sf_buf *bytes,
                             struct store_row *ret, bool *found,
                             struct sf_error *err) SF_MUST_CHECK;

struct store_past;
/*
 * store_scan_new() as of @seq, forwards or in reverse. Lanes of state only: in event lanes the past
 * is the log up to @seq.
 */
enum sf_code store_past_new(const struct store_snapshot *snapshot, const struct store_lane *lane,
                            const struct store_range *range, uint64_t seq, struct store_past **ret,
                            struct sf_error *err) SF_MUST_CHECK;
void store_past_free(struct store_past *past); /* NULL is fine */
SF_DEFINE_CLEANUP(struct store_past, store_past_free)
/*
 * The next row. Many keys may have come later than @seq: after STORE_PAST_STEP of them it returns
 * with ret->seq 0 and the key it has come to, so that the caller can make way for others.
 */
enum { STORE_PAST_STEP = 1024 };
enum sf_code store_past_next(struct store_past *past, struct store_row *ret, bool *more,
                             struct sf_error *err) SF_MUST_CHECK;

struct store_before;
/* What changes of a lane of state have replaced, one after the other. Freed before the snapshot. */
enum sf_code store_before_new(const struct store_snapshot *snapshot, const struct store_lane *lane,
                              struct store_before **ret, struct sf_error *err) SF_MUST_CHECK;
void store_before_free(struct store_before *b); /* NULL is fine */
SF_DEFINE_CLEANUP(struct store_before, store_before_free)
/*
 * The row that @change, which is of this snapshot's log, replaced: sets *@found, and on true the
 * row's bytes in @bytes and *@ret over them. At most two reads of a frame.
 */
enum sf_code store_before_read(struct store_before *b, const struct store_log_entry *change,
                               struct sf_buf *bytes, struct store_row *ret, bool *found,
                               struct sf_error *err) SF_MUST_CHECK;
