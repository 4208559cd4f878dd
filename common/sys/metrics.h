/*
 * Counters, gauges and histograms, and their Prometheus text.
 *
 *   Threads   Registering, removing and rendering on one thread (the loop); counting on any.
 *   Memory    Metrics live inside their owner. Name, help, labels and bounds are borrowed until
 *             sf_metric_remove() or the end of the registry. Nothing allocates, nothing fails.
 *   Order     Families in the order first registered, metrics of one family together.
 *   Limits    Labels are fixed when registered and come from bounded sets: domains, products,
 *             error codes - never keys, users or values.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/list.h"

struct sf_metrics {
    struct sf_list metrics;
};
void sf_metrics_init(struct sf_metrics *m);
/* Appends the whole exposition, content type SF_METRICS_CONTENT_TYPE. Failure is sticky in @b. */
void sf_metrics_render(const struct sf_metrics *m, struct sf_buf *b);
#define SF_METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct sf_label {
    const char *name;
    const char *value;
};

/* @name without the prefix "sheaf_", which is put in front; counters end with _total. */
struct sf_metric_spec {
    const char *name;
    const char *help; /* one sentence */
    const struct sf_label *labels;
    size_t label_count;
};

enum sf_metric_kind {
    SF_METRIC_COUNTER,
    SF_METRIC_GAUGE,
    SF_METRIC_HISTOGRAM,
};

struct sf_metric {
    enum sf_metric_kind kind;
    struct sf_metric_spec spec;
    struct sf_list link;
};
/* Takes it out of its registry. Harmless on a zeroed one. */
void sf_metric_remove(struct sf_metric *m);

struct sf_counter {
    struct sf_metric metric;
    _Atomic uint64_t value;
};
void sf_counter_register(struct sf_metrics *m, const struct sf_metric_spec *spec,
                         struct sf_counter *c);
static inline void sf_counter_add(struct sf_counter *c, uint64_t count)
{
    atomic_fetch_add_explicit(&c->value, count, memory_order_relaxed);
}

struct sf_gauge {
    struct sf_metric metric;
    _Atomic int64_t value;
};
void sf_gauge_register(struct sf_metrics *m, const struct sf_metric_spec *spec, struct sf_gauge *g);
static inline void sf_gauge_set(struct sf_gauge *g, int64_t value)
{
    atomic_store_explicit(&g->value, value, memory_order_relaxed);
}
static inline void sf_gauge_add(struct sf_gauge *g, int64_t difference)
{
    atomic_fetch_add_explicit(&g->value, difference, memory_order_relaxed);
}

/* Of durations; observed in nanoseconds, shown in seconds, buckets from 100 us to 10 s. */
enum { SF_HISTOGRAM_BUCKETS = 16 };
struct sf_histogram {
    struct sf_metric metric;
    _Atomic uint64_t counts[SF_HISTOGRAM_BUCKETS + 1]; /* the last: beyond all */
    _Atomic uint64_t sum_ns;
};
/* Names of histograms end with _seconds. */
void sf_histogram_register(struct sf_metrics *m, const struct sf_metric_spec *spec,
                           struct sf_histogram *h);
void sf_histogram_observe(struct sf_histogram *h, uint64_t duration_ns);
