/*
 * A table followed: perhaps a snapshot of its rows, every change behind it, and then each new one
 * as it is committed - until the reader leaves, a time is up, or its right ends.
 *
 * Nothing is lost or doubled: the snapshot and each round of changes is a query (query.h) that
 * begins at the position where the one before ended.
 *
 *   Flow      follow_start(), events by the callback in order, the last one FOLLOW_END; or
 *             follow_close() at any time outside the callback.
 *   Threads   Loop thread.
 *   Memory    An event is valid during the callback. The follow is gone after FOLLOW_END, after
 *             FOLLOW_DROP, or after follow_close().
 *   Limits    follows_max, three quarters of it for other domains, an eighth for one: SF_BUSY. One
 * page per follow is under way; a reader that answers FOLLOW_WAIT holds it, and nothing is read for
 * it meanwhile. One that waits longer than FOLLOW_STALL_NS is ended.
 */
#pragma once

#include "leaf/query/query.h"

enum {
    FOLLOWS_MAX = 256,         /* by default */
    FOLLOWS_CONSUMER_PART = 8, /* of it, for one other domain */
    FOLLOW_SECONDS_MAX = 3600, /* over NATS, where nobody tells us that a reader is gone */
    FOLLOW_SECONDS_NATS = 60,
    FOLLOW_WINDOW_MAX = 64, /* pages on credit */
};

#define FOLLOW_HEARTBEAT_NS (5 * SF_NS_PER_S)
#define FOLLOW_STALL_NS     (20 * SF_NS_PER_S)

enum follow_kind {
    FOLLOW_SNAPSHOT,  /* one begins: what the reader holds of the table is to be replaced */
    FOLLOW_ROWS,      /* lines: rows of the snapshot, op "snapshot" */
    FOLLOW_POSITION,  /* the snapshot is whole, and shows the position */
    FOLLOW_CHANGES,   /* lines: changes first_seq to seq */
    FOLLOW_HEARTBEAT, /* nothing was committed for a while */
    FOLLOW_EPOCH, /* the table has begun another epoch; seq is the last position of the old one */
    FOLLOW_END,   /* the time is up, or (without live) all is told; or err says why */
};

struct follow_event {
    enum follow_kind kind;
    struct sf_slice lines; /* NDJSON; of rows and changes */
    uint64_t count;        /* lines so far, of rows and changes */
    uint32_t epoch;        /* of the position; of FOLLOW_EPOCH the new one */
    uint64_t first_seq;    /* FOLLOW_CHANGES */
    uint64_t seq;          /* the position after this event; FOLLOW_ROWS: 0, there is none yet */
    uint64_t head_seq;     /* where the table stands */
    const struct sf_error *err;
};

enum follow_reply {
    FOLLOW_GO,
    FOLLOW_WAIT, /* taken; nothing more until follow_resume() */
    FOLLOW_DROP, /* the reader is gone */
};

/* The answer to FOLLOW_END does not matter. */
typedef enum follow_reply (*follow_cb)(void *data, const struct follow_event *e);

/* What is followed. Texts are borrowed by follow_start(), which copies them. */
struct follow_spec {
    struct serving_caller caller;
    const char *product;
    const char *table;  /* NULL: the only one */
    const char *select; /* as in struct query_params */
    const char *after;  /* EPOCH:SEQ; NULL: from the beginning */
    const char *since;  /* instead of after: changes from this time on; NULL: not given */
    uint32_t major;     /* 0: the highest now; it stays */
    bool snapshot;      /* begin with one, unless @after is a position that is held */
    bool live;          /* go on when all is told */
    uint64_t seconds;   /* end after so many; 0: no end */
};

struct follow;

/*
 * Starts; the callback runs later. As serving_decide() and query_request_build(); SF_CONFLICT
 * E0308: @after is ahead of the table. SF_BUSY E0602.
 * Errors by FOLLOW_END: SF_DENIED E0401 (the grant ended), SF_BUSY E0316 (too slow), SF_CONFLICT
 * E0308, and as queries.
 */
enum sf_code follow_start(struct queries *qs, const struct follow_spec *spec, follow_cb cb,
                          void *data, struct follow **ret, struct sf_error *err) SF_MUST_CHECK;
/* The contract that was in force when it started. */
const struct sf_product *follow_product(const struct follow *f);
/* After FOLLOW_WAIT. */
void follow_resume(struct follow *f);
void follow_close(struct follow *f);

/* --- for queries ------------------------------------------------------------------------------ */

struct follows;
enum sf_code follows_new(struct queries *qs, struct follows **ret,
                         struct sf_error *err) SF_MUST_CHECK;
void follows_free(struct follows *fs); /* none is open; NULL is fine */
size_t follows_count(const struct follows *fs);
/* Another maximum, for those that begin from now on; 0: FOLLOWS_MAX. */
void follows_set_max(struct follows *fs, size_t max);
/* Refused because of the limits, or ended because they read too slowly. */
uint64_t follows_refused(const struct follows *fs);
/* Products, grants or policies have changed: those that lost their right end, and those that began
 * with a snapshot and see something else now are given a new one, at once. */
void follows_check(struct follows *fs);
