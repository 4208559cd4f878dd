/*
 * Waits until a change of grants is in force: the owner's leaf has the bundle, and the consumer's
 * account its claims on every nats-server; or until a deadline, naming who lags.
 *
 *   Threads   Loop thread.
 *   Memory    Lives in its owner until done has run or it is cancelled.
 *   Order     done runs once, never inside effect_start().
 */
#pragma once

#include "hub/api/state.h"

#define EFFECT_GRANT_NS  (UINT64_C(2) * SF_NS_PER_S)
#define EFFECT_REVOKE_NS SF_NS_PER_S

struct effect {
    void (*done)(struct effect *e);
    void *data;
    bool leaf_lags;   /* result: the owner's leaf has not acknowledged */
    bool claims_lag;  /* result: a nats-server has not answered */
    uint64_t took_ns; /* result */

    struct hub_state *state; /* private from here */
    struct pusher_wait push;
    struct lease_wait lease;
    struct sf_timer deadline;
    uint64_t started_ns;
};

/* What @q's consumer and owner have to take in; the event has been applied. */
void effect_start(struct hub_state *s, struct effect *e, const struct registry_request *q,
                  uint64_t wait_ns);
void effect_cancel(struct effect *e);
