/*
 * The runtime of rt.h without threads or a clock: a seed decides what happens when, time jumps.
 *
 * What rt.h promises holds: tasks in the order posted, commits one at a time in order, timers never
 * early. All else varies with the seed: how long works take, when their functions run within that,
 * how late timers are, which of several things that are ready comes first.
 *
 *   Threads   One.
 *   Limits    None; rt_sim_run() of something that never ends never returns: use rt_sim_run_for().
 */
#pragma once

#include <stdbool.h>

#include "common/sys/rt.h"

enum { RT_SIM_THREADS = 3 };

struct rt_sim {
    struct sf_rt rt; /* Hand &sim.rt to everyone else. */

    /* Private. */
    uint64_t random;
    uint64_t now_ns;
    int64_t wall_offset_us;
    struct sf_list tasks;
    struct sf_list timers;
    struct sf_list works[SF_POOL_COUNT]; /* accepted, not started */
    struct rt_sim_thread {
        struct sf_work *work; /* NULL: idle */
        uint64_t runs_ns;     /* when its function runs; 0: it has run */
        uint64_t ends_ns;     /* when its done task is posted */
    } threads[RT_SIM_THREADS];
};

void rt_sim_init(struct rt_sim *s, uint64_t seed);
/* Nothing may be pending but timers, which never fire. */
void rt_sim_done(struct rt_sim *s);

/* One thing happens; false when there is nothing left to happen. */
bool rt_sim_step(struct rt_sim *s);
/* Until nothing is left. */
void rt_sim_run(struct rt_sim *s);
/* Until @duration_ns of virtual time have passed; the clock ends there even when all is quiet. */
void rt_sim_run_for(struct rt_sim *s, uint64_t duration_ns);
/* Runs until @condition holds; false when nothing is left or @duration_ns have passed. */
bool rt_sim_run_until(struct rt_sim *s, bool (*condition)(void *data), void *data,
                      uint64_t duration_ns);
/* Moves the wall clock, as an administrator does. It starts at 2026-01-01. */
void rt_sim_set_wall_us(struct rt_sim *s, int64_t wall_us);
/* 0 .. @bound - 1 from the seed, for fakes that take part. */
uint64_t rt_sim_random(struct rt_sim *s, uint64_t bound);
