/* Between retain.c, which goes in rounds over the lanes, and retain_steps.c. */
#pragma once

#include "leaf/store/retain.h"
#include "leaf/store/retain_read.h"
#include "leaf/store/store_internal.h"

enum { RETAIN_SEGMENTS = 8 }; /* of the time kept: what is trimmed at once */

enum retain_phase {
    PHASE_PURGE,
    PHASE_LOG,
    PHASE_CLEAR,
    PHASE_REJECTS,
    PHASE_ANSWERS,
    PHASE_END,
};

struct retainer {
    struct retainer_options options;
    enum retain_phase phase;
    size_t lane_at;
    struct store_lane *lane;
    struct retain_rule rule;
    bool busy; /* a step or work is under way */
    bool flushed;
    bool failed; /* the lane, in this round */
    bool read;   /* PHASE_LOG: keys were read and are to be buried */
    uint64_t read_to;
    bool clearing; /* PHASE_CLEAR, PHASE_PURGE: the lane is, and its space to be given back */
    size_t piece;  /* of these */
    size_t pieces;
    uint64_t cleared_from;
    size_t family; /* PHASE_PURGE: whose space is being given back */

    struct store_upkeep upkeep;
    struct sf_work work;
    enum sf_code code;
    struct sf_error error;
    struct retain_keys keys;
    struct sf_buf answers_at;
    struct store_resolve resolves[UPKEEP_KEYS_MAX];
    struct store_lane_write lane_write;
    struct store_write write;

    struct sf_timer timer;
    int64_t now_us;
    int64_t shortest_us; /* of what the lanes keep */
    int64_t wall_us;     /* of the round before, and its monotonic time */
    uint64_t mono_ns;
    uint64_t trusted_ns; /* the clock is trusted again from then on */

    struct retainer_stats stats;
    struct sf_counter changes;
    struct sf_counter rejects;
    struct sf_counter answers;
    struct sf_counter failures;
    struct sf_gauge bytes;
    struct sf_gauge oldest;
    bool measured; /* in this round */
    uint64_t bytes_found;
    int64_t oldest_us;
    bool woken; /* the next round is due soon */
    bool closing;
    void (*closed)(void *data);
    void *closed_data;
    struct sf_task closing_turn;
};

/* Decides what comes next; nothing is under way. */
void retain_step(struct retainer *r);
/* The lane, or what is of none, fails in this round. */
void retain_note_failure(struct retainer *r, const struct sf_error *err);
/* Puts a step of a commit under way; @mark of those that have one, else NULL. */
void retain_submit(struct retainer *r, enum upkeep_kind kind, const struct store_head *mark);
/* Puts @work under way on a query thread; it sets r->code. */
void retain_work(struct retainer *r, void (*work)(struct sf_work *w));

static inline struct retainer *retainer_of_work(struct sf_work *w)
{
    return SF_CONTAINER_OF(w, struct retainer, work);
}

/* retain_steps.c: put the next thing of r->lane under way; false: it needs nothing more. */
bool retain_purge(struct retainer *r);
bool retain_log(struct retainer *r); /* what it needs before it can be cleared */
bool retain_clear(struct retainer *r);
bool retain_rejects(struct retainer *r);
bool retain_answers(struct retainer *r); /* of no lane */
