/*
 * The wall clock, but for what must not come back when it is set back: it goes on from the latest
 * time that is known, as fast as the monotonic clock does.
 *
 * A clock that jumps forward may be wrong, and be set right again: where it jumped to is what it
 * says, but is known only when that has held for SF_STEADY_HOLD_NS. A jump of up to a second is not
 * told from a clock that is kept in step.
 *
 *   Threads   One at a time.
 */
#pragma once

#include "common/sys/rt.h"

#define SF_STEADY_HOLD_NS (600 * SF_NS_PER_S)
/* How far ahead of the clock a time of before the start is believed. */
#define SF_STEADY_AHEAD_US (3600 * SF_US_PER_S)

struct sf_steady {
    struct sf_rt *rt;
    int64_t known_us; /* at known_ns */
    uint64_t known_ns;
    bool ahead;        /* the clock is, */
    uint64_t ahead_ns; /* since then */
};

/* @stored_us: the latest time that the last run has stored, 0: none. One that is more than
 * SF_STEADY_AHEAD_US ahead of the clock is not believed: either may be wrong. */
void sf_steady_init(struct sf_steady *s, struct sf_rt *rt, int64_t stored_us);
/* Microseconds since 1970, UTC. */
int64_t sf_steady_us(struct sf_steady *s);
