/*
 * Requests under way on one connection: each has a slot, which the subject of its answer names.
 * Part of bus_nats.c.
 *
 *   Threads   The loop's.
 *   Order     A call ends once: by its answer, its timer, nats_calls_end(), or it is cancelled.
 *   Memory    A struct sf_bus_call is its owner's, who may start another one with it when told.
 *   Limits    NATS_CALLS_MAX under way: SF_BUSY.
 */
#pragma once

#include "common/bus/bus.h"

enum { NATS_CALLS_MAX = 65536, NATS_CALL_ID = 24 };

struct call_slot;

struct nats_calls {
    struct sf_rt *rt; /* borrowed; set by who embeds it, the rest is zero */
    struct call_slot *slots;
    uint32_t slot_count;
    uint32_t slot_capacity;
    uint32_t free_slot; /* slot + 1; 0: none */
};

/* Nothing is under way. */
void nats_calls_done(struct nats_calls *cs);

/* Takes a slot for @owner; @id is what its answer has to name. SF_BUSY, SF_NOMEM. */
enum sf_code nats_calls_add(struct nats_calls *cs, struct sf_bus_call *owner, char id[NATS_CALL_ID],
                            struct sf_error *err) SF_MUST_CHECK;
/* The request is sent: it times out from now on. */
void nats_calls_sent(struct nats_calls *cs, struct sf_bus_call *owner, uint64_t timeout_ns);
/* @owner is not told. Fine on one that is not under way. */
void nats_calls_cancel(struct nats_calls *cs, struct sf_bus_call *owner);
/* @m came for the call of @id. One that is too late, or none of ours, is passed over. */
void nats_calls_answer(struct nats_calls *cs, const char *id, const struct sf_bus_msg *m);
/* All that are under way: SF_BUS_DISCONNECTED. */
void nats_calls_end(struct nats_calls *cs);
