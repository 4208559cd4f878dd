/*
 * Collector: keeps the statistics of every table up to date behind its log.
 *
 * It reads what was committed, a bounded step at a time, and says which position its numbers show:
 * they lag behind ingest rather than slow it down. A row that is replaced or deleted is counted out
 * by its old version. What cannot be counted out (bounds, different and top values) is made good by
 * counting the rows anew, now and then, while little else happens. Statistics are stored with their
 * position, so a restart goes on from there.
 *
 *   Threads   Loop thread; a step runs on a query thread, with one table's statistics.
 *   Limits    One step at a time; COLLECTOR_LOADED_MAX tables in memory, the others as stored. Four
 *             are counted anew at once, and those that somebody asks for.
 *   Memory    About 8 KiB for each field of a loaded table.
 *   Close     Cancels; waits for the step under way.
 */
#pragma once

#include "common/sys/metrics.h"
#include "leaf/quality/exam.h"
#include "leaf/serving/serving.h"

enum { COLLECTOR_LOADED_MAX = 128 };

struct collector;

struct collector_options {
    struct sf_rt *rt;
    struct store *store; /* borrowed, as all here */
    const struct serving *serving;
    struct sf_metrics *metrics;
};

/* SF_NOMEM. */
enum sf_code collector_new(const struct collector_options *options, struct collector **ret,
                           struct sf_error *err) SF_MUST_CHECK;
/* Products have changed. SF_NOMEM: some tables are not counted. */
enum sf_code collector_update(struct collector *c, struct sf_error *err) SF_MUST_CHECK;
/* @closed runs once, from the loop; then @c is gone. */
void collector_close(struct collector *c, void (*closed)(void *data), void *data);

/* Statistics of a table, as of a position. */
struct collected {
    const struct table_stats *stats;
    uint32_t epoch;
    uint64_t seq;            /* the last change they count */
    int64_t counted_us;      /* when all rows were last counted; 0: never */
    const struct exam *exam; /* for a wait with anew: what checks need exactly; or NULL */
};

struct collector_wait {
    /* Once, later; @found is valid during the call, NULL with @err. */
    void (*ready)(struct collector_wait *w, const struct collected *found,
                  const struct sf_error *err);
    void *data;
    bool anew;           /* all rows are counted first, for bounds and checks that are exact */
    struct sf_list link; /* private */
};
/*
 * Brings the table's statistics up to its head as of now, or as far as a few steps come, and hands
 * them out. SF_ABSENT: the table is not counted. Errors by callback: SF_CORRUPT, SF_IO, SF_NOMEM,
 * SF_CLOSED.
 */
enum sf_code collector_get(struct collector *c, const struct served_table *table,
                           struct collector_wait *w, struct sf_error *err) SF_MUST_CHECK;
/* Afterwards it does not run. */
void collector_forget(struct collector_wait *w);
