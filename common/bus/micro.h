/*
 * Discovery of a service as ADR-32 has it: answers $SRV.PING, INFO and STATS, so that `nats micro
 * ls`, `info` and `stats` see it. What serves the endpoints is not here, and is asked for numbers.
 *
 *   Threads   Loop thread.
 *   Memory    Texts and endpoints are borrowed until sf_micro_free().
 */
#pragma once

#include "common/bus/bus.h"

struct sf_micro_stats {
    uint64_t requests;
    uint64_t errors;
    const char *last_error;       /* NULL: none */
    uint64_t processing_ns_total; /* of all requests */
};

/* What an endpoint counts of itself, from zeros on. */
struct sf_micro_counts {
    uint64_t requests;
    uint64_t errors;
    uint64_t ns;
    char last_error[96];
};
/* A request has ended that took so long; below 0, as a clock was set back: no time. @err NULL: it
 * was answered. */
void sf_micro_count(struct sf_micro_counts *c, int64_t took_us, const struct sf_error *err);
/* @c is borrowed by what is returned. */
struct sf_micro_stats sf_micro_stats_of(const struct sf_micro_counts *c);

struct sf_micro_endpoint {
    const char *name;    /* letters, digits, '-' and '_' */
    const char *subject; /* where it listens */
};

struct sf_micro_options {
    const char *name;    /* letters, digits, '-' and '_' */
    const char *version; /* MAJOR.MINOR.PATCH */
    const char *description;
    const struct sf_micro_endpoint *endpoints;
    size_t endpoint_count;
    int64_t started_us; /* wall clock */
    void (*stats)(void *data, size_t endpoint, struct sf_micro_stats *ret);
    void *data;
};

struct sf_micro;

/* Subscribes. SF_NOMEM, or as sf_bus_subscribe(). */
enum sf_code sf_micro_new(struct sf_bus *bus, const struct sf_micro_options *options,
                          struct sf_micro **ret, struct sf_error *err) SF_MUST_CHECK;
void sf_micro_free(struct sf_micro *m); /* NULL is fine */
