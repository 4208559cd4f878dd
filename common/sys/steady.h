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

/* A time that is known to have passed: it goes on from there as the monotonic clock does. */
struct sf_known_time {
    int64_t us;  /* 0: none is known */
    uint64_t ns; /* sf_rt_exact_ns() when it was that late */
};

/* It at @now_ns, which may be the time of a turn in which it has become known, so before that. */
static inline int64_t sf_known_time_us(const struct sf_known_time *k, uint64_t now_ns)
{
    return k->us == 0 ? 0 : k->us + (int64_t)(now_ns - k->ns) / 1000;
}

struct sf_steady {
    struct sf_rt *rt;
    struct sf_known_time known;
    bool ahead;        /* the clock is, */
    uint64_t ahead_ns; /* since then */
};

/* @stored_us: the latest time that the last run has stored, 0: none. One that is more than
 * SF_STEADY_AHEAD_US ahead of the clock is not believed: either may be wrong. */
void sf_steady_init(struct sf_steady *s, struct sf_rt *rt, int64_t stored_us);
/* Microseconds since 1970, UTC. */
int64_t sf_steady_us(struct sf_steady *s);
