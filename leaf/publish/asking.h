/*
 * Turns at asking the server whether anybody listens, shared by all parked feeds: so many in each
 * moment, and who comes too late waits, in order. Those of one moment are one batch of messages,
 * which costs a busy leaf with a thousand tables a tenth of what single ones do.
 *
 *   Threads   Loop thread.
 *   Limits    20 in a moment, 200 a second; more only when else one would wait for over 5 s.
 */
#pragma once

#include "common/base/list.h"
#include "common/sys/rt.h"

/* What many feeds do by the clock they do at multiples of this, together. */
#define ASKING_MOMENT_NS (100 * SF_NS_PER_MS)

enum {
    ASKING_AT_ONCE = 20,
    ASKING_WAIT_MOMENTS = 50,
};

struct asking_turn {
    void (*ask)(struct asking_turn *t); /* may not ask for a turn at once */
    struct sf_list link;                /* private */
};

struct asking {
    struct sf_rt *rt;       /* private, all of it */
    struct sf_list waiting; /* of asking_turn */
    size_t waiting_count;
    size_t most;     /* that waited at once, since nobody did */
    uint64_t moment; /* by its number since the clock began */
    size_t left;     /* turns of this moment */
    struct sf_timer timer;
};

void asking_init(struct asking *a, struct sf_rt *rt);
/* Nobody waits any more. */
void asking_done(struct asking *a);
/* Calls @t->ask here and now or when its turn has come; @t is not waiting. */
void asking_want(struct asking *a, struct asking_turn *t);
/* Harmless on one that does not wait. */
void asking_forget(struct asking *a, struct asking_turn *t);
bool asking_waits(const struct asking_turn *t);

/* Starts @timer to fire at the last moment that is at most @ns from now. */
void asking_start_timer(struct sf_rt *rt, struct sf_timer *timer, uint64_t ns);
