/*
 * Inspector: holds the checks of every table and the freshness that its product promises against
 * what is there, over and over, and remembers what changed.
 *
 * Every INSPECT_EVERY_NS a table that has changed is judged by its statistics; freshness is judged
 * whether anything changed or not. A verdict that is another than before is an event: stored in the
 * table's history, told to the listener, counted. On demand all rows are counted first, so that
 * nothing is estimated, and every verdict goes into the history.
 *
 *   Threads   Loop thread.
 *   Limits    HISTORY_MAX events of a table; the oldest go.
 */
#pragma once

#include "common/wire/json.h"
#include "leaf/quality/collector.h"

#define INSPECT_EVERY_NS (10 * SF_NS_PER_S)
enum { HISTORY_MAX = 1000 };

/* One verdict. The text of freshness is "freshness <= 15m". */
struct inspected {
    const char *check;
    struct check_result result;
    int64_t since_us;  /* since when the status is this one */
    int64_t judged_us; /* when it was judged last; 0: not yet */
};

/* A verdict that is another than before, or one that was asked for. */
struct inspection_event {
    const struct served_table *table;
    const struct inspected *now;
    enum check_status before;
    bool on_demand;
    uint32_t epoch;
    uint64_t seq;             /* the position that was judged */
    struct sf_slice document; /* CloudEvents 1.0 in JSON */
};

struct inspector;

struct inspector_options {
    struct sf_rt *rt;
    struct store *store; /* borrowed, as all here */
    const struct serving *serving;
    struct collector *collector;
    struct sf_metrics *metrics;
    void (*on_event)(void *data, const struct inspection_event *event);
    void *data;
};

/* SF_NOMEM. */
enum sf_code inspector_new(const struct inspector_options *options, struct inspector **ret,
                           struct sf_error *err) SF_MUST_CHECK;
/* Products have changed. SF_NOMEM: some tables are not watched. */
enum sf_code inspector_update(struct inspector *in, struct sf_error *err) SF_MUST_CHECK;
/* Before the collector is closed. What is being stored is waited for by inspector_pending(). */
void inspector_stop(struct inspector *in);
size_t inspector_pending(const struct inspector *in);
void inspector_free(struct inspector *in);

/* The verdicts on a table, checks in their order and freshness last; NULL with 0: nothing is
 * promised. Valid until the next turn. */
const struct inspected *inspector_results(const struct inspector *in,
                                          const struct served_table *table, size_t *ret_count);

struct inspection {
    /* Once, later: every row was looked at, the results are in. */
    void (*done)(struct inspection *i, const struct sf_error *err);
    void *data;
    struct inspector *inspector; /* private from here */
    struct store_lane *lane;
    struct collector_wait wait;
};
/* Judges the table by all its rows. Errors as collector_get(). */
enum sf_code inspector_test(struct inspector *in, const struct served_table *table,
                            struct inspection *i, struct sf_error *err) SF_MUST_CHECK;
/* Afterwards it does not run. */
void inspection_forget(struct inspection *i);

/* Appends the newest @max events of a table, newest first, as members of a JSON array. Reads the
 * store. SF_IO, SF_CORRUPT, SF_NOMEM. */
enum sf_code inspector_history(const struct inspector *in, const struct served_table *table,
                               size_t max, struct sf_json_writer *w,
                               struct sf_error *err) SF_MUST_CHECK;
