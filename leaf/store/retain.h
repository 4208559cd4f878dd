/*
 * Retention: drops what a product no longer promises to keep, a bounded step at a time.
 *
 *   log, old     Changes and old versions of more than rule.keep_us ago by commit time; never by
 *   versions,    the clock of whoever wrote them. They go an eighth of that time at once, so up to
 *   tombstones   9/8 of it is held. The newest row of a key stays for ever in state tables.
 *   quarantine   Rejects of more than rule.quarantine_us ago.
 *   idempotency  Answers of more than idem_us ago.
 *   all of it    Of a lane that is gone: rows, log, old versions and quarantine, at once.
 *
 * A feed that is behind holds the log back, but not for longer than grace_us.
 *
 *   Threads   Loop. Reading, flushing and giving space back happen on a query thread; dropping is
 *             a step in a group commit (upkeep.h).
 *   Order     One step at a time over all lanes. What a crash cuts off is done again: which
 *             position was trimmed is stored before anything goes.
 *   Errors    A lane that cannot be trimmed is logged, counted and tried again in the next round.
 */
#pragma once

#include "common/sys/metrics.h"
#include "leaf/store/store.h"

#define RETAIN_GRACE_US INT64_C(604800000000) /* a leaf works alone for a week */

/* 0: for ever. */
struct retain_rule {
    int64_t keep_us;
    int64_t quarantine_us;
    bool gone; /* nobody reads or writes the lane again: nothing of it is kept */
};

struct retainer_options {
    struct sf_rt *rt;
    struct store *store;
    struct sf_metrics *metrics;
    /* What is promised for a lane; asked again in every round. */
    struct retain_rule (*rule)(void *data, const struct store_lane *lane);
    /* The last seq that every feed of the lane has taken; UINT64_MAX: there is none behind. */
    uint64_t (*taken)(void *data, const struct store_lane *lane);
    /* Told when all lanes that are gone were looked at in a round; or NULL. */
    void (*purged)(void *data);
    void *data;
    uint64_t every_ns; /* longest time between two rounds; 0: a minute */
    int64_t grace_us;  /* 0: RETAIN_GRACE_US */
    int64_t idem_us;   /* 0: for ever */
};

struct retainer;

/* @options is copied, what it points to is borrowed. The first round begins soon. SF_NOMEM. */
enum sf_code retainer_new(const struct retainer_options *options, struct retainer **ret,
                          struct sf_error *err) SF_MUST_CHECK;
/* What rule() says has changed: the next round begins within a second, or right behind this one. */
void retainer_wake(struct retainer *r);
/* Lets the step under way end, then frees; @closed runs once from the loop. Before store_close().
 */
void retainer_close(struct retainer *r, void (*closed)(void *data), void *data);

/* Whether a lane that is gone was emptied, and its space given back, since the store was opened. */
bool retain_is_purged(const struct store_lane *lane);

struct retainer_stats {
    uint64_t rounds;
    uint64_t changes; /* trimmed */
    uint64_t tombstones;
    uint64_t rejects;
    uint64_t answers; /* by Idempotency-Key */
    uint64_t purges;  /* lanes */
    uint64_t failures;
};
struct retainer_stats retainer_stats(const struct retainer *r);
