/*
 * The statistics of one lane, and one step of keeping them: what a query thread does for the
 * collector.
 *
 *   following   changes behind the position are counted in, what they replaced is counted out
 *   counting    all rows of a snapshot are counted into a second set, which then takes over
 *
 *   Threads   One at a time: the loop between steps, a query thread during one.
 */
#pragma once

#include "leaf/quality/exam.h"
#include "leaf/serving/product_set.h"
#include "leaf/store/as_of.h"

/* Which version of the table rows of a contract are of. */
struct lane_version {
    uint32_t contract_id;
    const struct sf_table *table;
};

struct lane_stats {
    struct store *store; /* borrowed, as is the lane */
    struct store_lane *lane;
    const struct sf_table *table;  /* newest version */
    struct lane_version *versions; /* owned */
    size_t version_count;

    bool loaded;
    struct table_stats stats;
    uint32_t epoch;
    uint64_t seq; /* the last change that is counted */
    int64_t counted_us;

    struct exam *exam;       /* of the rows counted last, when it was asked for */
    struct table_stats next; /* while counting */
    struct exam *next_exam;
    struct store_snapshot *snapshot;
    struct store_scan *scan;
    struct store_log *log;
    struct store_head target; /* where the snapshot stands */
};

void lane_stats_done(struct lane_stats *s);
/* Frees what a step would load again; not while counting. */
void lane_stats_unload(struct lane_stats *s);
/* The table and all its versions, when products have changed. SF_NOMEM. */
enum sf_code lane_stats_set_table(struct lane_stats *s, const struct product_set *products,
                                  const struct served_table *table,
                                  struct sf_error *err) SF_MUST_CHECK;
bool lane_stats_is_counting(const struct lane_stats *s);

struct lane_step {
    size_t budget; /* in: rows, about */
    bool count;    /* in: begin to count anew */
    bool examine;  /* in: and what checks need exactly */
    bool save;     /* in: encode what was collected into @bytes */
    bool hold;     /* in: it may not begin to count anew */
    bool held;     /* out: it would have; nothing was done */
    int64_t now_us;
    struct sf_buf bytes; /* out */
    bool more;           /* out: not at the head yet, or held */
    size_t counted;      /* out: rows and changes */
};
/*
 * Loads what is stored, if needed, and goes on. What is stored and does not fit any more (damaged,
 * of another epoch, trimmed behind) is counted anew. SF_CORRUPT, SF_IO, SF_NOMEM: the statistics
 * were dropped, the next step begins from the start.
 */
enum sf_code lane_stats_step(struct lane_stats *s, struct lane_step *step,
                             struct sf_error *err) SF_MUST_CHECK;

/* The key they are stored under in STORE_META. */
enum { LANE_STATS_KEY_BYTES = 10 };
void lane_stats_key(const struct store_lane *lane, uint8_t ret[LANE_STATS_KEY_BYTES]);
