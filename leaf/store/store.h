/*
 * The store of a leaf: ordered change logs (lanes) and their newest rows, written by group commit.
 *
 * What is submitted while a commit is in flight joins the next one: one batch, one fdatasync, no
 * timer. A write is one transaction over any number of lanes.
 *
 *   Threads   Everything here runs on the loop thread, callbacks too; what blocks runs on
 *             SF_POOL_COMMIT. Reading from other threads: leaf/store/read.h.
 *   Order     Writes become durable, and their callbacks run, in submit order. A callback never
 *             runs inside store_submit(). Seqs of a lane have no gap; commit time never goes back.
 *   Memory    A write and all it points to belong to the caller and stay put until its callback.
 *   Limits    store_options; a full queue is SF_BUSY, and the caller pushes back on its source.
 *   Errors    After a failed write the store is read-only for good (SF_IO, SHEAF-E0604).
 */
#pragma once

#include "common/base/list.h"
#include "common/sys/rt.h"
#include "leaf/store/frame.h"

struct kv;
struct store;
struct store_lane;
struct store_upkeep;
struct store_write;

enum store_kind {
    STORE_STATE = 1, /* keyed: upsert and delete; the newest row per key is kept */
    STORE_EVENT = 2, /* append only, without keys: a change is found by its seq */
};

#define STORE_ANY UINT64_MAX

enum {
    STORE_KEY_BYTES_MAX = 1024,
    STORE_ROW_BYTES_MAX = 256 * 1024,
    STORE_REJECT_CODES_MAX = 16,
    STORE_CONTEXT_BYTES_MAX = 256 * 1024,
    STORE_FINGERPRINT_BYTES = 16,
};

struct store_options {
    size_t queue_bytes_max;      /* keys, rows and raw bytes waiting plus in flight; 0: 64 MiB */
    size_t queue_writes_max;     /* 0: 4096 */
    size_t group_bytes_max;      /* a commit takes no further write beyond this; 0: 16 MiB */
    uint64_t disk_reserve_bytes; /* 0: the larger of 5 % of the disk and 512 MiB */
    size_t positions_bytes;      /* memory for where keys stand; 0: 32 MiB; below 64: none */
    bool raise_epoch;            /* after a restore or a takeover: start the next epoch */
    bool read_only;              /* to be looked at: rows are shown as far as they are stored */
};

/* Names a lane. Strings are copied by store_lane_open(). */
struct store_lane_name {
    const char *product; /* "sales/orders" */
    const char *table;
    uint32_t major;
    uint32_t partition;
    enum store_kind kind;
};

/* Where a lane stands after a commit. */
struct store_head {
    uint32_t epoch;
    uint64_t seq;    /* of the last change; 0: none yet */
    uint64_t commit; /* leaf-wide number of the commit that wrote it */
    int64_t commit_us;
    uint64_t rows;                 /* live rows (STORE_STATE), changes (STORE_EVENT) */
    uint64_t quarantined;          /* entries ever put into quarantine = last qseq */
    uint8_t hash[SF_HASH256_SIZE]; /* of the last frame */
};

struct store_change {
    enum store_op op;
    uint32_t contract_id;
    struct sf_slice key;             /* 1..STORE_KEY_BYTES_MAX; empty in event lanes */
    struct sf_slice row;             /* encoded; empty for a delete */
    uint8_t digest[SF_HASH256_SIZE]; /* store_digest_changes(), not on the commit thread */
    uint64_t expect_seq;             /* seq the row must have now, 0: absent; or STORE_ANY */
    const uint8_t *fingerprint;      /* STORE_FINGERPRINT_BYTES; NULL: never a repetition */
};

/* Fills in the digests of changes, several at a time. Pure; any thread. */
void store_digest_changes(struct store_change *changes, size_t count);

/* A record that the contract refused, kept as it came. */
struct store_reject {
    const uint16_t *codes; /* numbers of proto/errors.h, at most STORE_REJECT_CODES_MAX */
    size_t code_count;
    struct sf_slice field; /* name of the field of the first code; may be empty */
    uint32_t contract_id;
    uint64_t position;   /* of the record in its request: line or index, from 1 */
    struct sf_slice raw; /* the bytes as they came, at most STORE_ROW_BYTES_MAX */
    uint8_t form;        /* how to read them: the caller's number; 0: not said */
    /* What else that takes, as the header line of CSV; at most STORE_CONTEXT_BYTES_MAX. */
    struct sf_slice context;
};

/* What becomes of an entry of a lane's quarantine. */
struct store_resolve {
    uint64_t qseq;
    const struct store_reject *again; /* NULL: it leaves; else it stays, with these codes */
    int64_t commit_us;                /* with again: since when it is there */
};

/* What lies in the quarantine of a lane now. */
struct store_held {
    uint64_t entries;
    uint64_t bytes; /* of the entries as they are stored */
};

/* What was stored less than within_us ago, by commit times, is not stored again. */
struct store_dedupe {
    int64_t within_us;    /* 0: all changes are stored */
    uint64_t entries_max; /* fingerprints held; a write beyond it is refused */
};

/* What one write does to one lane. A write names each lane at most once. */
struct store_lane_write {
    struct store_lane *lane;
    const struct store_change *changes; /* in order; a key may come more than once */
    size_t change_count;
    const struct store_reject *rejects;
    size_t reject_count;
    const struct store_resolve *resolves; /* none twice; one that is gone refuses the write */
    size_t resolve_count;
    uint64_t expect_seq; /* the head the lane must have, or STORE_ANY */
    /*
     * Out, on success. Deleting a key that is absent changes nothing and takes no seq, so there may
     * be fewer seqs than changes; with none at all first_seq is 0 and last_seq the lane's head.
     */
    uint64_t first_seq;
    uint64_t last_seq;
    uint64_t first_qseq; /* of the rejects; 0: none */
    /* Out, when an expectation did not hold: which one, change_count for the lane's, beyond that
     * the resolves; and what is. */
    size_t unmet;
    uint64_t unmet_seq;

    struct store_dedupe dedupe;
    bool skip_unchanged; /* an upsert equal to the row that is there takes no seq */
    uint64_t duplicates; /* out: changes that were not stored again */
    uint64_t unchanged;  /* out: upserts that were skipped */

    size_t resolved_bytes; /* private */
};

enum store_space {
    STORE_IDEM, /* answers by Idempotency-Key; found with the commit time they were put at */
    STORE_META, /* cursors, contracts, anything small */
};

/* A small value in the same transaction. */
struct store_put {
    enum store_space space;
    bool remove;
    struct sf_slice key;
    struct sf_slice value;
    bool with_outcome; /* store_outcomes of the write stand in front of the value */
};

/* What a write did to its lanes, as it is stored: one for each, in order; without lanes one too. */
enum { STORE_OUTCOME_BYTES = 4 + 3 * 8 };
struct store_outcome {
    uint32_t epoch;
    uint64_t commit; /* 0: nothing was stored but small values */
    uint64_t first_seq;
    uint64_t last_seq;
    bool more; /* that of the next lane follows */
};
void store_outcome_encode(const struct store_outcome *outcome, uint8_t ret[STORE_OUTCOME_BYTES]);
/* Takes one off the front of @value; false when that is too short. */
bool store_outcome_decode(struct sf_slice *value, struct store_outcome *ret);

/* @err is NULL on success, else valid during the call only. May submit, close, free @w. */
typedef void (*store_write_cb)(struct store_write *w, const struct sf_error *err);

struct store_write {
    void *data; /* the caller's */
    struct store_lane_write *lanes;
    size_t lane_count;
    const struct store_put *puts;
    size_t put_count;
    bool unsynced; /* puts only: need not survive a power cut, so costs no fdatasync */

    uint64_t commit; /* out: number of the commit */
    int64_t commit_us;

    struct store_upkeep *upkeep; /* private */
    store_write_cb cb;           /* private */
    size_t bytes;                /* private */
    bool window_full;            /* private */
    enum sf_code code;           /* private */
    struct sf_list link;         /* private */
};

/* Told on the loop after each commit, once per lane that got changes, after the callbacks. */
struct store_listener {
    void (*on_changes)(struct store_listener *l, struct store_lane *lane);
    struct sf_list link; /* private */
};

struct store_stats {
    uint64_t commits; /* group commits that succeeded */
    uint64_t syncs;   /* of these with fdatasync */
    uint64_t writes;
    uint64_t changes;
    uint64_t rejects;
    uint64_t resolves;
    uint64_t duplicates;
    uint64_t unchanged;
    uint64_t absent_deletes;
    uint64_t log_bytes;     /* frames written */
    uint64_t reads;         /* old rows looked up */
    uint64_t remembered;    /* positions of old rows that need not be */
    size_t positions_bytes; /* of memory that they take now */
    uint64_t failures;      /* writes answered with an error */
    uint64_t refused;       /* SF_BUSY: the queue was full */
    size_t queued_writes;   /* now, waiting plus in flight */
    size_t queued_bytes;
    uint64_t group_writes_highest;
    bool failed; /* read-only */
};

/*
 * Opens a store on @kv (taken, also on failure): reads its lanes, finishes a rebuild that was cut
 * off, and verifies the last frames of every lane. Blocks. @options NULL: defaults.
 *   SF_CORRUPT   SHEAF-E0605: names the lane and what did not hold
 *   SF_CONFLICT  SHEAF-E0607: written by another version
 *   SF_NOMEM, or what the kv says
 */
enum sf_code store_open(struct sf_rt *rt, struct kv *kv, const struct store_options *options,
                        struct store **ret, struct sf_error *err) SF_MUST_CHECK;

/* Closes a store that was opened read_only, here and now. NULL is fine. */
void store_view_close(struct store *s);
SF_DEFINE_CLEANUP(struct store, store_view_close)

typedef void (*store_close_cb)(void *data);
/* Commits what is queued, then frees @s and all lanes and calls @cb from the loop. Call once, with
 * every snapshot freed. */
void store_close(struct store *s, store_close_cb cb, void *data);

/*
 * Finds a lane or makes it; a new one is recorded by the first commit that touches it, and its id
 * is not given again. SF_CONFLICT: it exists with another kind. SF_NOMEM. Does not block.
 */
enum sf_code store_lane_open(struct store *s, const struct store_lane_name *name,
                             struct store_lane **ret, struct sf_error *err) SF_MUST_CHECK;
/* The lane, or NULL. Lanes live as long as the store. */
struct store_lane *store_lane_find(const struct store *s, const struct store_lane_name *name);
/* In order of ids; NULL behind the last. */
struct store_lane *store_lane_at(const struct store *s, size_t i);

/* Fixed for the lane's life; any thread. */
uint32_t store_lane_id(const struct store_lane *lane);
const struct store_lane_name *store_lane_name(const struct store_lane *lane);
/* The head as of the last commit whose callbacks ran. */
const struct store_head *store_lane_head(const struct store_lane *lane);
/* What lies in its quarantine, with the rejects of writes that are queued. */
struct store_held store_lane_held(const struct store_lane *lane);

/*
 * Queues @w. On SF_OK @cb runs exactly once, later. Otherwise never, and @w is untouched:
 *   SF_BUSY    SHEAF-E0602: a limit of the queue, or another write that resolves entries of the
 *              same lane is queued
 *   SF_IO      SHEAF-E0604: the store is read-only
 *   SF_INVALID SHEAF-E0208: a key, row or raw record over its limit
 *   SF_CLOSED  store_close() was called
 * @cb's error, besides those of the kv: SF_CONFLICT (an expect_seq does not hold, or an entry to
 * resolve is gone: the unmet of the first lane that has one says which; nothing of @w is stored),
 * SF_BUSY SHEAF-E0601 (the disk reserve) or E0621 (the window of a dedupe is full), SF_NOMEM.
 */
enum sf_code store_submit(struct store *s, struct store_write *w, store_write_cb cb,
                          struct sf_error *err) SF_MUST_CHECK;

/* Leaf-wide epoch that new changes get. */
uint32_t store_epoch(const struct store *s);
/* Begins an epoch that is at least @at_least and above the one before, durably. After a loss or a
 * restore, so that seqs given again are not taken for those of before. Blocks; before anything is
 * submitted. What kv.write says. */
enum sf_code store_raise_epoch(struct store *s, uint32_t at_least,
                               struct sf_error *err) SF_MUST_CHECK;
/* Whether the store has become read-only, and what did it: NULL when it has not. Want of space
 * (SHEAF-E0601) is cured by opening it again once there is some. */
bool store_failed(const struct store *s);
const struct sf_error *store_failure(const struct store *s);
/* What is kept free of @total bytes: @configured, or by default the larger of 5 % and 512 MiB. */
uint64_t store_disk_reserve(uint64_t configured, uint64_t total);
/* Makes it read-only from outside: what is in flight is answered, what waits is refused. Once. */
void store_fail(struct store *s, const struct sf_error *why);
struct store_stats store_stats(const struct store *s);
/* The limits in force. */
const struct store_options *store_get_options(const struct store *s);
/* Another disk_reserve_bytes, for commits from now on; 0: by the size of the disk. */
void store_set_disk_reserve(struct store *s, uint64_t bytes);

/* @l must not be linked twice, and is unlinked by store_unlisten() before it dies. */
void store_listen(struct store *s, struct store_listener *l);
void store_unlisten(struct store *s, struct store_listener *l);
