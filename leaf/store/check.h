/*
 * Verifying and rebuilding what is stored. Both block, and read everything.
 *
 *   Threads   store_check() any thread, beside commits: it works on a snapshot.
 *             store_rebuild_state() only while nothing is submitted.
 *   Errors    SF_CORRUPT (SHEAF-E0605) names the lane, the seq and what does not hold. SF_IO,
 *             SF_NOMEM.
 */
#pragma once

#include "leaf/store/store.h"

struct store_check_result {
    uint64_t lanes;
    uint64_t frames;
    uint64_t changes;
    uint64_t rows;
    uint64_t quarantined; /* entries held */
    uint64_t small;       /* small values and old versions */
};

/* All that checker.h says, at one go; the first damage as an error. */
enum sf_code store_check(struct store *s, struct store_check_result *ret,
                         struct sf_error *err) SF_MUST_CHECK;

/* Drops the newest rows of all lanes whose frames the log still holds and makes them again from it;
 * cut off, store_open() finishes it. Rows of before are in no log any more and stay. */
enum sf_code store_rebuild_state(struct store *s, struct sf_error *err) SF_MUST_CHECK;
