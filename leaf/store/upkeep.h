/*
 * Inside leaf/store: what retention asks of the commit thread, one bounded step at a time. A step
 * rides in a group commit as a write of its own; it needs no free space above the reserve, because
 * it makes some.
 *
 *   MARK        Notes where the lane stands. From then on a row that was written up to there is
 *               copied to `old` when it is overwritten, so the log up to the mark can be dropped
 *               without losing what later positions show.
 *   ANCHOR      Moves the anchor to a mark: earlier positions are refused from now on. Synced.
 *   BURY        Takes tombstones of up to the anchor out of the state.
 *   CLEAR       Drops frames, old versions and marks up to the anchor. Only after what BURY removed
 *               and what the state shows at the anchor were flushed: the log can no longer make it.
 *   IDEM        Drops keys whose answer is older than a time.
 *   PURGE       Drops all that the lane holds, and moves its anchor to its head: the lane is one of
 *               which everything was trimmed, and no row is left. Synced. Only of a lane that
 *               nobody writes to any more.
 *   FORGET      Drops small values of STORE_META by the first bytes of their keys.
 *
 *   Threads   Submitted and answered on the loop.
 *   Order     At the start of its group: MARK, ANCHOR and PURGE are about the lane before the
 *             group.
 *   Memory    As a store_write: the step and its keys stay put until @done.
 */
#pragma once

#include "leaf/store/as_of.h"
#include "leaf/store/store.h"

enum upkeep_kind {
    UPKEEP_MARK,
    UPKEEP_ANCHOR,
    UPKEEP_BURY,
    UPKEEP_CLEAR,
    UPKEEP_IDEM,
    UPKEEP_PURGE,
    UPKEEP_FORGET,
};

enum {
    UPKEEP_KEYS_MAX = 256, /* looked up by one BURY or IDEM: about a millisecond */
    UPKEEP_MARKS_MAX = 64, /* of a lane; no more are set until some are cleared */
};

struct store_upkeep {
    enum upkeep_kind kind;
    struct store_lane *lane;     /* not IDEM, FORGET */
    struct store_head mark;      /* ANCHOR: in; MARK: out */
    int64_t before_us;           /* IDEM: in */
    const struct sf_slice *keys; /* BURY: behind the lane's id; IDEM: whole; FORGET: their starts */
    size_t key_count;
    uint64_t removed; /* out: keys (BURY, IDEM), lanes (PURGE): 0 when somebody wrote to it */
    /* @err as of a store_write. */
    void (*done)(struct store_upkeep *u, const struct sf_error *err);
    void *data;

    struct store_anchor anchor; /* private: as it will be stored */
    struct store_write write;   /* private */
};

/* As store_submit(). */
enum sf_code upkeep_submit(struct store *s, struct store_upkeep *u,
                           struct sf_error *err) SF_MUST_CHECK;
