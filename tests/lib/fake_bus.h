/*
 * Bus in memory: a broker and any number of connections to it. Behaves as common/bus/bus.h says
 * (tests/conformance runs one suite on both), with knobs for what a network does.
 *
 * All connections are one account: what one publishes, every subscriber gets, the publisher too;
 * one of each queue group. Messages travel by sf_rt_post(), or with a delay by timers, so that
 * under rt_sim everything is repeatable.
 */
#pragma once

#include "common/bus/bus.h"

struct fake_broker;

/* @rt is borrowed. NULL: out of memory. */
struct fake_broker *fake_broker_new(struct sf_rt *rt);
/* Every bus is gone afterwards; no callback runs any more. */
void fake_broker_free(struct fake_broker *b);

/* A connected bus, whose on_state says so on a later turn; owned by the broker. NULL: out of
 * memory.
 */
struct sf_bus *fake_bus_connect(struct fake_broker *b);
/* Ends it for good: calls end as DISCONNECTED on a later turn, subscriptions end. */
void fake_bus_close(struct sf_bus *bus);
/* Cuts or restores the connection; on_state runs on a later turn. Subscriptions survive. */
void fake_bus_set_connected(struct sf_bus *bus, bool is_connected);

struct fake_broker_knobs {
    /* Whether the broker loses this copy of a message. NULL: none. */
    bool (*drop)(void *data, const char *subject);
    /* Delay of this copy in ns; order within a subscription is kept. NULL: 0. */
    uint64_t (*delay_ns)(void *data, const char *subject);
    void *data;
    /* The next so many publishes (and requests) answer SF_BUSY. */
    unsigned busy;
    /* Requests without a subscriber time out instead of NO_RESPONDERS, as behind a leafnode. */
    bool hides_no_responders;
};
struct fake_broker_knobs *fake_broker_knobs(struct fake_broker *b);

struct fake_broker_counts {
    uint64_t published;
    uint64_t delivered;
    uint64_t dropped;
};
struct fake_broker_counts fake_broker_counts(const struct fake_broker *b);
