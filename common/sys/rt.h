/*
 * Runtime: the event loop as the rest of the program sees it. One of the seams (ARCHITECTURE.md).
 *
 * Five verbs - now, wall, post, timer, work - over libuv (rt_uv.c) and over a virtual clock in
 * tests (tests/sim/rt_sim.c). Services written against this run unchanged in simulation.
 *
 *   Threads   Everything is called on the loop thread, except sf_rt_post_remote(). Work functions
 *             run on the thread of their pool and touch nothing but their own struct.
 *   Memory    Task, timer and work structs live inside their owner and are borrowed: a task until
 *             it runs, a timer until it fires or is stopped, a work until its done task runs.
 *             Nothing here allocates, so nothing here can fail.
 *   Order     Tasks run in the order posted, on a later turn, never inside sf_rt_post(). Works of
 *             SF_POOL_COMMIT run one at a time in the order started. Timers fire when due, the
 *             earliest first.
 */
#pragma once

#include <stdint.h>

#include "common/base/list.h"

struct sf_rt;

struct sf_task {
    void (*run)(struct sf_task *t);
    struct sf_list link; /* private */
};

struct sf_timer {
    void (*fire)(struct sf_timer *t);
    uint64_t due_ns;     /* private */
    struct sf_list link; /* private */
};

/* Threads by name; there are no others but those of nats.c and one per connection (common/bus). */
enum sf_pool {
    SF_POOL_COMMIT, /* one thread: durable writes */
    SF_POOL_QUERY,  /* a few threads: reads, rendering, files */
    SF_POOL_COUNT,
};

struct sf_work {
    enum sf_pool pool;
    void (*work)(struct sf_work *w); /* on a thread of the pool; may block */
    struct sf_task done;             /* then on the loop thread */
    struct sf_list link;             /* private */
};

struct sf_rt_ops {
    uint64_t (*now_ns)(struct sf_rt *rt);
    uint64_t (*exact_ns)(struct sf_rt *rt);
    int64_t (*wall_us)(struct sf_rt *rt);
    void (*post)(struct sf_rt *rt, struct sf_task *t);
    void (*post_remote)(struct sf_rt *rt, struct sf_task *t);
    void (*timer_start)(struct sf_rt *rt, struct sf_timer *t, uint64_t delay_ns);
    void (*timer_stop)(struct sf_rt *rt, struct sf_timer *t);
    void (*work)(struct sf_rt *rt, struct sf_work *w);
};

struct sf_rt {
    const struct sf_rt_ops *ops;
};

#define SF_NS_PER_MS UINT64_C(1000000)
#define SF_NS_PER_S  UINT64_C(1000000000)
#define SF_US_PER_S  INT64_C(1000000)

/* Monotonic time, fixed for the duration of a turn. For delays and deadlines. */
static inline uint64_t sf_rt_now_ns(struct sf_rt *rt)
{
    return rt->ops->now_ns(rt);
}

/* The same clock as it is now, within a turn too: to go with sf_rt_wall_us(). */
static inline uint64_t sf_rt_exact_ns(struct sf_rt *rt)
{
    return rt->ops->exact_ns(rt);
}

/* Wall clock in microseconds since 1970, UTC. For stored times and expiry; it may go back. */
static inline int64_t sf_rt_wall_us(struct sf_rt *rt)
{
    return rt->ops->wall_us(rt);
}

static inline void sf_rt_post(struct sf_rt *rt, struct sf_task *t)
{
    rt->ops->post(rt, t);
}

/* The only way in from a thread that is not the loop thread. */
static inline void sf_rt_post_remote(struct sf_rt *rt, struct sf_task *t)
{
    rt->ops->post_remote(rt, t);
}

/* Starts @t, or moves it when it is running. */
static inline void sf_rt_timer_start(struct sf_rt *rt, struct sf_timer *t, uint64_t delay_ns)
{
    rt->ops->timer_start(rt, t, delay_ns);
}

/* Afterwards @t does not fire and its memory is the caller's. Fine on one that is not running. */
static inline void sf_rt_timer_stop(struct sf_rt *rt, struct sf_timer *t)
{
    rt->ops->timer_stop(rt, t);
}

static inline void sf_rt_work(struct sf_rt *rt, struct sf_work *w)
{
    rt->ops->work(rt, w);
}
