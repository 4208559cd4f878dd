/* Inside leaf/store: walking the frames of one lane in either direction, with the chain checked. */
#pragma once

#include "leaf/store/read.h"

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
