/*
 * The lanes of a collector: which of them are ready to be worked on, which are in memory, and who
 * waits for them. For collector.c and lanes.c only.
 *
 *   Threads   Loop thread.
 */
#pragma once

#include "leaf/quality/collector.h"
#include "leaf/quality/lane_stats.h"

struct lane {
    struct sf_list link;       /* in the collector */
    struct sf_list ready_link; /* while is_ready: in its queue, or among those that are held */
    struct sf_list shelf_link; /* in memory, and nothing is done with it */
    struct collector *owner;
    const struct served_table *table;
    struct lane_stats stats;
    struct sf_list waits;
    unsigned waited_steps;
    bool is_ready;
    bool is_held;     /* until a table has been counted anew, as this one has to be */
    bool is_counting; /* anew, when it was looked at last */
    bool wanted;      /* scratch of collector_update() */
    bool gone;        /* its table is served no more: freed after its step or save */
    bool retable;     /* its table changed during a step */
    bool save;        /* the next step saves */
    bool examining;   /* what is being counted is for a wait with anew */
    bool recount;     /* the next step counts anew */
    bool saving;
    uint64_t saved_seq;
    uint64_t shown_seq; /* of the last look at what has been counted; UINT64_MAX: not loaded */
    uint64_t saved_ns;
    uint64_t changed_ns;  /* last time that it was behind */
    uint64_t counting_ns; /* when counting anew began, 0: it does not */
    uint64_t recount_ns;  /* not before */
    uint8_t key[LANE_STATS_KEY_BYTES];
    struct sf_buf saved_bytes;
    struct store_put put;
    struct store_write write;
};

struct collector {
    struct collector_options options;
    struct sf_list lanes;
    struct sf_list ready;
    struct sf_list held;
    size_t counting;      /* lanes that are counted anew */
    struct sf_list shelf; /* that which changed longest ago first */
    size_t shelf_count;
    struct lane **by_id; /* by the lane's id; NULL: none */
    size_t by_id_size;
    size_t saves; /* under way */
    struct lane *busy;
    struct sf_work work;
    struct lane_step step;
    enum sf_code code;
    struct sf_error error;
    struct sf_timer rest;
    bool resting;
    struct sf_timer housekeeping;
    struct store_listener listener;
    uint64_t changes_seen; /* of the store, at seen_ns */
    uint64_t seen_ns;
    bool is_busy;
    struct sf_counter rows_counted;
    struct sf_gauge lag;
    bool closing;
    void (*closed)(void *data);
    void *closed_data;
    struct sf_task closed_turn;
};

static inline uint64_t collector_now(const struct collector *c)
{
    return sf_rt_now_ns(c->options.rt);
}

void lane_fail_waits(struct lane *l, const struct sf_error *err);
/* Hands what is counted to those who wait for it; those who want all rows counted only when they
 * were. */
void lane_serve_waits(struct lane *l, bool counted);
bool lane_has_wait(struct lane *l, bool anew);

/* Until it is worked on again, it may be unloaded for others; it is worked on. */
void lane_shelve(struct lane *l);
void lane_unshelve(struct lane *l);
void lane_unload(struct lane *l);
/* Makes room for one more in memory: the one that changed longest ago goes. */
void lane_make_room(struct collector *c);

void lane_make_ready(struct lane *l);
/* Out of turn, because it would begin to count anew and others do already; into it again. */
void lane_hold(struct lane *l);
void lane_release(struct lane *l);
/* It would be one too many to begin counting, and nobody waits for it. */
bool lane_may_not_count(const struct lane *l);
/* Behind each step and whatever else may begin or end a counting. */
void lane_note_counting(struct lane *l);

bool lane_is_behind(const struct lane *l);
void lane_note_change(struct lane *l);
void lane_free(struct lane *l);
void lane_free_if_gone(struct lane *l);
