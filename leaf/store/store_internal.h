/* What the files of leaf/store share; nobody else includes it. */
#pragma once

#include <stdatomic.h>

#include "common/base/arena.h"
#include "common/base/hash.h"
#include "common/base/map.h"
#include "leaf/store/keyspace.h"
#include "leaf/store/kv.h"
#include "leaf/store/positions.h"
#include "leaf/store/read.h"
#include "leaf/store/store.h"
#include "leaf/store/upkeep.h"

enum { STORE_LANES_MAX = 65536 };

struct dedupe_slot;

struct lane_slot {
    struct sf_slice key;
    struct position_place place;
    uint64_t seq;                    /* of the newest change of this key; 0: none */
    bool live;                       /* and it is a row, not a tombstone */
    bool stored;                     /* may be in the state: to be read */
    const struct store_change *last; /* of this group; NULL: none */
    struct sf_slice row;             /* stored, when unchanged rows are skipped */
    struct sf_slice kept;            /* its stored value, to be kept when it is overwritten */
};

/* What a group does to one lane; see commit_group.c. */
struct lane_work {
    struct store_head head;     /* the tip, moved on change by change */
    struct store_held held;     /* the same of its quarantine */
    struct store_window window; /* the same of its fingerprints */
    struct store_dedupe dedupe; /* as its newest write has it */
    bool wants_dedupe;          /* some write has it */
    bool wants_rows;            /* some write skips unchanged rows */
    struct dedupe_slot *prints; /* one per fingerprint; commit_dedupe.c */
    size_t print_count;
    uint32_t *item_prints;        /* of each item, + 1; 0: none */
    size_t item_count;            /* changes of all writes of the group */
    size_t next_item;             /* the one to apply next */
    bool rising;                  /* every key is new and above all before: nothing to look up */
    struct sf_slice max_key;      /* highest key after the group; not below the truth */
    struct lane_slot *slots;      /* one per key, in order of first use; NULL when rising */
    size_t slot_count;            /* of those */
    uint32_t *order;              /* the slots in the order of their keys */
    uint32_t *item_slots;         /* slot of each item */
    struct frame_change *changes; /* to be logged */
    size_t change_count;
};

struct store_lane {
    uint32_t id;
    struct store_lane_name name; /* strings owned */

    /* Loop thread. */
    struct store_head head;   /* as of the last settled commit */
    struct store_held held;   /* the same of its quarantine */
    struct store_held coming; /* rejects of queued writes */
    bool resolving;           /* a queued write resolves entries */
    bool recorded;            /* its name is stored */
    struct sf_list touched;   /* in commit_group.lanes */
    struct store_anchor anchor;
    struct store_head *marks; /* behind the anchor, oldest first; NULL: none yet */
    size_t mark_count;
    bool unburied; /* retain.c: tombstones could not be dropped, so the log stays */
    bool purged;   /* retain.c: it was emptied, as it is gone */

    /* Commit thread while a group is in flight, else the loop thread. */
    bool named; /* its name is written */
    struct store_head tip;
    struct store_held tip_held;
    struct store_window tip_window;
    struct lane_work work;
    uint64_t keep_to; /* rows of up to this seq are kept when they are overwritten: newest mark */
    uint64_t gone_to; /* tombstones of up to this seq are as if they were not: the anchor */
    size_t max_key_size; /* 0: no row yet */
    uint8_t max_key[STORE_KEY_BYTES_MAX];
};

struct group_counts {
    uint64_t changes;
    uint64_t rejects;
    uint64_t resolves;
    uint64_t duplicates;
    uint64_t unchanged;
    uint64_t absent_deletes;
    uint64_t log_bytes;
    uint64_t reads;
    uint64_t remembered;
    size_t positions_bytes; /* in use, not of this group alone */
};

/* stamp.c: which commit has changed what last. Written by the commit thread before the rows are,
 * read by the loop. */
struct store_places {
    atomic_uint_least64_t last[STORE_STAMP_PLACES]; /* of any key with this place */
    atomic_uint_least64_t all;                      /* of the last one that changed all rows */
};

/* What a group has made of a lane. */
struct settled_lane {
    struct store_lane *lane;
    struct store_head head;
    struct store_held held;
    bool is_changed;
};

enum settlement_stage { SETTLEMENT_FREE, SETTLEMENT_WRITING, SETTLEMENT_SYNCING, SETTLEMENT_DUE };

/*
 * What is told of a group when it has ended, in the order of groups. The next one may be built
 * meanwhile; see commit_queue.c.
 */
struct settlement {
    struct store *store;
    enum settlement_stage stage;
    struct keyspace_commit commit;
    bool alone;         /* no group is begun before this one has ended */
    bool behind_failed; /* the group before, which it may have seen, was never durable */

    /* Commit thread while it is written. */
    struct sf_list writes;
    struct settled_lane *lanes; /* owned */
    size_t lane_count;
    size_t lane_room;
    bool dirty; /* as of the group */
    bool numbered;
    bool sync;
    enum sf_code code;
    struct sf_error error;
    struct group_counts counts;

    struct kv_pending pending;
    enum sf_code sync_code; /* written by any thread before the task */
    struct sf_error sync_error;
    struct sf_task synced;
    bool is_synced; /* the task has run */
};

/* One commit. While it is in flight it belongs to the commit thread. */
struct commit_group {
    struct kv *kv;
    uint64_t disk_reserve_bytes;
    uint64_t hash_seed; /* so that nobody can choose keys that collide */
    struct store_places *places;
    struct sf_list writes;
    struct sf_list lanes; /* struct store_lane.touched */
    size_t bytes;
    struct keyspace_commit commit; /* In: number and time to give. */

    bool writable;   /* above the disk reserve */
    bool small_only; /* above half of it: puts still go on */
    bool dirty;      /* something is in the batch */
    bool numbered;   /* a lane is: the commit takes its number */
    bool has_rows;   /* something is in the other */
    bool sync;
    struct kv_batch *batch; /* what must be durable */
    struct kv_batch *rows;  /* what can be made again from the log */
    struct sf_arena arena;
    struct sf_buf bytes_out;     /* one frame or small record at a time */
    struct sf_buf old_entry;     /* of a quarantine, to be resolved */
    struct positions *positions; /* NULL: none are remembered */

    /* Out. */
    struct settlement *to;
    bool is_pending; /* written, but for the end of a sync */
    enum sf_code code;
    struct sf_error error;
    struct group_counts counts;
};

enum { SETTLEMENTS = 2 }; /* groups under way */

enum queue_state {
    QUEUE_IDLE,
    QUEUE_ARMED,
    QUEUE_WRITING,
    QUEUE_CLOSING,
    QUEUE_STATE_COUNT,
};

struct store {
    struct sf_rt *rt; /* borrowed */
    struct kv *kv;    /* owned */
    struct store_options options;
    uint32_t epoch; /* fixed while open */

    struct store_lane **lanes; /* by id - 1; room for all there may be, so that it never moves */
    atomic_size_t lane_count;  /* read by store_check() on other threads */
    size_t unrecorded;
    struct sf_map by_name;
    atomic_size_t readers; /* snapshots */

    enum queue_state state;
    struct sf_list waiting; /* struct store_write */
    struct sf_task turn;
    struct sf_work work;
    struct commit_group group;
    struct settlement settlements[SETTLEMENTS]; /* a ring */
    size_t oldest;                              /* of those not free */
    size_t under_way;                           /* how many there are */
    bool settling;
    struct keyspace_commit last; /* newest commit that has settled */
    bool failed;
    struct sf_error failure; /* why it failed */
    bool closing;
    store_close_cb close_cb;
    void *close_data;

    struct store_places places;

    struct sf_list listeners;
    struct sf_list *next_listener; /* while they are told: the one after the current */
    struct store_stats stats;
};

struct store_snapshot {
    struct store *store;
    struct kv_snapshot *kv;
};

/* commit_dedupe.c: looks fingerprints up; once per lane and group in front of its changes; whether
 * a write has room; whether a change is a repetition; one that is stored; the end. */
enum sf_code commit_dedupe_prepare(struct commit_group *g, struct store_lane *lane) SF_MUST_CHECK;
void commit_dedupe_begin(struct commit_group *g, struct store_lane *lane);
bool commit_dedupe_fits(const struct store_lane_write *lw);
bool commit_dedupe_is_known(const struct lane_work *work, size_t item);
void commit_dedupe_note(struct commit_group *g, struct store_lane *lane, size_t item);
void commit_dedupe_end(struct commit_group *g, const struct store_lane *lane);

/* commit_resolve.c: entries of the quarantine. Whether all that @lw resolves are still there: false
 * with its unmet set, or with g->code. */
bool commit_resolves_hold(struct commit_group *g, struct store_lane_write *lw);
void commit_rejects(struct commit_group *g, struct store_lane_write *lw);
void commit_resolves(struct commit_group *g, struct store_lane_write *lw);
void commit_held(struct commit_group *g, const struct store_lane *lane);

/* stamp.c: the group changes the row of @key; it changes all rows of a lane. */
void store_places_note(struct commit_group *g, const struct store_lane *lane, struct sf_slice key);
void store_places_note_all(struct commit_group *g);

/* commit_group.c: the part of a commit that runs on the commit thread. */
void commit_group_run(struct commit_group *g);

/* commit_slots.c: the keys of a lane that is not rising, and what they are now; after the group was
 * written, what they are then. */
enum sf_code commit_slots_prepare(struct commit_group *g, struct store_lane *lane) SF_MUST_CHECK;
void commit_slots_remember(struct commit_group *g);

/* commit_order.c: makes work->order. SF_NOMEM in the group's error. */
enum sf_code commit_order_slots(struct commit_group *g, struct lane_work *work) SF_MUST_CHECK;

/* commit_queue.c */
void commit_queue_init(struct store *s);
void commit_queue_done(struct store *s);
/* As the first failure of the store, by its number. */
enum sf_code commit_raise_failed(const struct store *s, struct sf_error *err);

/* commit_settle.c: room for all lanes of a group, before it is written; what was written of one;
 * the answers, on the loop. */
enum sf_code settlement_reserve(struct settlement *t, size_t lanes,
                                struct sf_error *err) SF_MUST_CHECK;
void settlement_add(struct settlement *t, struct store_lane *lane);
void settlement_settle(struct store *s, struct settlement *t);
/* Counts what @w brings to quarantines, or no longer. */
void store_note_coming(const struct store_write *w, bool is_queued);

/* upkeep.c. Before a group is applied, and after it was written. */
enum sf_code upkeep_apply(struct commit_group *g);
void upkeep_applied(struct commit_group *g);
/* Anchors and marks of all lanes, when the store is opened. */
enum sf_code upkeep_load(struct store *s, struct sf_error *err) SF_MUST_CHECK;

/* store.c */
void store_free(struct store *s);

/* upgrade.c: makes a store of format 1 one of this format. */
enum sf_code store_upgrade_from_1(struct store *s, struct sf_error *err) SF_MUST_CHECK;

/* check.c: what store_open() verifies. */
enum sf_code store_check_tail(struct store *s, struct store_lane *lane,
                              struct sf_error *err) SF_MUST_CHECK;
/* Brings the newest rows of a lane to its head, from the log, if they are not there yet. */
enum sf_code store_replay_lane(struct store *s, struct store_lane *lane,
                               struct sf_error *err) SF_MUST_CHECK;

/* "sales/orders@1.orders" into @ret, for texts; cut when it is longer. */
const char *store_lane_text(const struct store_lane *lane, char *ret, size_t size);
