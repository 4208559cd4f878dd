/*
 * What becomes of quarantined records: replayed, fixed or dropped, each of them once.
 *
 *   Flow      Entries are read as of a snapshot on a query thread, each through the contract in
 *             force. Then one write stores what is valid now, takes those entries out, and gives
 * the others the codes they have now. What has changed meanwhile is read again. Order     Entries
 * are replayed in the order they came. A record never replaces a row that was written with it or
 * after it, unless that row came from the quarantine in the same replay, or the request says
 * overwrite. Threads   Loop thread. A callback never runs inside mend_start(). Limits    One
 * request per table at a time; MEND_ENTRIES_MAX entries and MEND_BYTES_MAX bytes of records per
 * request, and at most MEND_LOOK_MAX entries looked at. Errors    What a request did is logged with
 * who asked: "quarantine.mended".
 */
#pragma once

#include "leaf/ingest/batch.h"
#include "leaf/serving/product_set.h"
#include "leaf/serving/quarantine_filter.h"

enum {
    MEND_ENTRIES_MAX = 1000,
    MEND_LOOK_MAX = 20000,
    MEND_BYTES_MAX = 8 * 1024 * 1024,
    MEND_ERRORS_MAX = 10,
};

enum mend_what { MEND_REPLAY, MEND_FIX, MEND_DROP };

struct mender;

struct mend_request {
    enum mend_what what;
    const struct served_table *table;
    const char *user;                /* who asks, for the log; copied */
    uint64_t entry;                  /* this one; 0: those that the rest names */
    struct quarantine_filter filter; /* not of a fix */
    uint64_t after;                  /* with greater numbers */
    uint64_t until;                  /* up to this one; 0: the newest there is */
    uint64_t limit;                  /* entries at most; 0: MEND_ENTRIES_MAX */
    bool overwrite;                  /* rows that are newer than the record too */
    enum batch_format format;        /* of the body of a fix, which is one record */
    bool has_envelope;
    struct sf_buf body; /* taken by mend_start(), also when it fails */
};

struct mend_result {
    uint64_t seen;     /* entries that were chosen */
    uint64_t resolved; /* of these: became rows, or were dropped */
    uint64_t left;     /* of these: are still there */
    uint64_t last;     /* go on behind this number */
    uint64_t until;    /* the newest there was */
    bool more;         /* there may be others up to @until */
    uint32_t epoch;
    uint64_t first_seq; /* 0: no change was stored */
    uint64_t last_seq;
    struct sf_slice errors; /* JSON array: why the first ones stay */
};

/*
 * @result and its slices are valid during the call. @err: nothing was done. SF_ABSENT E0314: no
 * such entry. SF_INVALID E0202: the fix does not keep the contract (@result has the errors), E0201:
 * it is not one record. SF_CONFLICT E0315: the row is newer than the fixed record. SF_BUSY, and
 * those of batch_read() and store_submit().
 */
typedef void (*mend_cb)(void *data, const struct mend_result *result, const struct sf_error *err);

/* SF_NOMEM. */
enum sf_code mender_new(struct sf_rt *rt, struct store *store, struct mender **ret,
                        struct sf_error *err) SF_MUST_CHECK;
/* Nothing may be under way: see mender_pending(). */
void mender_free(struct mender *m);
size_t mender_pending(const struct mender *m);
/* Counts one more thing that is under way, and one less. */
void mender_hold(struct mender *m);
void mender_release(struct mender *m);

/* On SF_OK @cb runs once, later. SF_BUSY (E0602): the table is being mended. SF_CONFLICT (E0404):
 * the product is retired, and takes nothing but drops. SF_NOMEM. */
enum sf_code mend_start(struct mender *m, struct mend_request *request, mend_cb cb, void *data,
                        struct sf_error *err) SF_MUST_CHECK;
