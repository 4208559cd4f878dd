/*
 * Turns: whose request the hub looks at next.
 *
 * One thread decides everything, so one domain that asks without pause would keep it from all
 * others. Here each caller has one request looked at in a round, which is a turn of the loop. What
 * he asks beyond it waits for the rounds to come, in the order it came, and beyond a number it is
 * refused. So a request waits for at most one of each other caller, whatever these do.
 *
 *      none in this round --- asks ---> looked at now, in the round --- asks ---> waits
 *                   ^                                   |  ^                        |
 *                   +------- round over, none waits ----+  +------ round over ------+
 *
 * The polls of a leaf, its other requests and the calls of a domain over HTTP are callers of their
 * own: a leaf's bundle is not kept from it by what its users ask.
 *
 *   Threads   Loop thread.
 *   Memory    A turn lives in its request. Callers stay until turns_done(): one per domain and way.
 *   Order     Requests of one caller in the order they came. run is never inside turn_take().
 *   Limits    requests_max of one caller, waiting and under way; TURNS_CALLER_BYTES of their
 *             messages, and TURNS_BYTES of all callers'.
 */
#pragma once

#include "common/base/map.h"
#include "common/sys/metrics.h"
#include "common/sys/rt.h"

enum { TURNS_CALLER_BYTES = 16 * 1024 * 1024, TURNS_BYTES = 64 * 1024 * 1024 };

enum turns_way { TURNS_POLL, TURNS_CONTROL, TURNS_HTTP, TURNS_WAY_COUNT };

struct turns {
    struct sf_rt *rt;
    size_t requests_max;
    struct sf_metrics *metrics;             /* where callers are counted */
    size_t bytes;                           /* private from here: of the messages kept */
    struct sf_map callers[TURNS_WAY_COUNT]; /* name -> struct turns_caller, owned */
    struct sf_list round;                   /* callers that had their turn in it, or wait */
    struct sf_task next;
};

struct turn {
    void (*run)(struct turn *t); /* its turn has come, after TURN_LATER */
    struct turns_caller *caller; /* private from here; NULL: not under way */
    size_t size;
    struct sf_list link;
};

void turns_init(struct turns *ts, struct sf_rt *rt, size_t requests_max,
                struct sf_metrics *metrics);
/* Nothing runs any more; turns that wait are forgotten. Fine on a zeroed one. */
void turns_done(struct turns *ts);

enum turn_answer {
    TURN_NOW,     /* look at it now, then turn_end() */
    TURN_LATER,   /* run follows, unless turn_end() is called before */
    TURN_REFUSED, /* the caller has too much under way, or there is no memory: E0602 */
    TURN_DROPPED, /* so it is, and he was told so often in this round that to tell him is work that
                     he makes as well: no answer where one is not needed */
};

/* @name: the domain, "platform", or "" for whoever does not say. @size: bytes kept for it. */
enum turn_answer turn_take(struct turns *ts, const char *name, enum turns_way way, size_t size,
                           struct turn *t);
/* The request is over, or not wanted any more. Fine when it is not under way. */
void turn_end(struct turns *ts, struct turn *t);
/* Between TURN_LATER and run. */
static inline bool turn_waits(const struct turn *t)
{
    return sf_list_linked(&t->link);
}
