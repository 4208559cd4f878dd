/*
 * A stream of JetStream with one durable pull consumer, over the fake bus: as much of it as a
 * source sees. What is delivered and not acknowledged in time comes again.
 *
 *   Threads   One.
 */
#pragma once

#include "tests/lib/fake_bus.h"

enum { FAKE_JS_MAX = 32 };

struct fake_js {
    struct sf_rt *rt;
    struct sf_bus *bus;
    const char *texts[FAKE_JS_MAX]; /* message n stands at n - 1 */
    unsigned count;
    unsigned ack_pending_max;

    /* Counters. */
    unsigned deliveries;
    unsigned redeliveries;
    unsigned creations; /* of the consumer */

    /* Private. */
    struct sf_bus_sub api;
    struct sf_bus_sub acks;
    bool has_consumer;
    unsigned delivered;            /* for the first time, up to here */
    unsigned times[FAKE_JS_MAX];   /* of deliveries */
    uint64_t sent_ns[FAKE_JS_MAX]; /* the last of them */
    bool acked[FAKE_JS_MAX];
    unsigned pull_left;
    uint64_t pull_ends_ns;
    char pull_reply[128];
    struct sf_timer again;
};

/* The stream SHOP. */
void fake_js_init(struct fake_js *js, struct sf_rt *rt, struct fake_broker *b);
/* Its clock stands still, so that a simulation ends; also before it is gone. */
void fake_js_pause(struct fake_js *js);
void fake_js_go_on(struct fake_js *js);
void fake_js_add(struct fake_js *js, const char *text);
/* Acknowledged messages. */
unsigned fake_js_acked(const struct fake_js *js);
