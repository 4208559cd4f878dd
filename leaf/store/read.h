/*
 * Reading the store: rows, scans and the change log, all as of a snapshot.
 *
 *   Threads   Any thread. One scan or log reader belongs to one thread at a time; a snapshot may be
 *             shared. Calls may block on the disk: not for the loop, except while it starts.
 *   Order     A snapshot shows whole commits only: a change is in its log if and only if its row
 *             shows it.
 *   Memory    Bytes of a scan or a log reader live until its next call. All snapshots are freed
 *             before store_close(); scans and readers before their snapshot.
 *   Errors    SF_CORRUPT (SHEAF-E0605): what is stored failed a check and is not handed out.
 *             SF_IO, SF_NOMEM.
 */
#pragma once

#include "leaf/store/store.h"

struct store_snapshot;

enum sf_code store_snapshot_new(struct store *s, struct store_snapshot **ret,
                                struct sf_error *err) SF_MUST_CHECK;
void store_snapshot_free(struct store_snapshot *snapshot); /* NULL is fine */
SF_DEFINE_CLEANUP(struct store_snapshot, store_snapshot_free)

/* The head of @lane in @snapshot; it may be ahead of store_lane_head() by what is being called
 * back. */
enum sf_code store_snapshot_head(const struct store_snapshot *snapshot,
                                 const struct store_lane *lane, struct store_head *ret,
                                 struct sf_error *err) SF_MUST_CHECK;

/*
 * The last seq of @lane that was given in @epoch or before; 0 when the log that is held has nothing
 * of @epoch. Whoever has read up to a position of @epoch shares the history of the lane up to there
 * when the seq is at most that: a restore goes back to a beginning of what was, and a lane may have
 * been restored from another time than the one that was read. Epochs rise with seqs.
 */
enum sf_code store_epoch_end(const struct store_snapshot *snapshot, const struct store_lane *lane,
                             uint32_t epoch, uint64_t *ret, struct sf_error *err) SF_MUST_CHECK;

/* One row as of a snapshot. */
struct store_row {
    struct sf_slice key; /* event lanes: the seq as 8 bytes big-endian */
    struct sf_slice row;
    uint64_t seq; /* of the change that wrote it */
    uint32_t contract_id;
};

/*
 * Finds the row of @key: sets *@found, and on true the row's bytes in @bytes and *@ret over them.
 * When it is not, ret->seq is the seq of the delete, or 0 when the key never was.
 */
enum sf_code store_get(const struct store_snapshot *snapshot, const struct store_lane *lane,
                       struct sf_slice key, struct sf_buf *bytes, struct store_row *ret,
                       bool *found, struct sf_error *err) SF_MUST_CHECK;
/*
 * The same as of store_lane_head(), without a snapshot, on the loop thread, in lanes of state.
 * Never waits for the disk: SF_BUSY when it would have to, and when the row has just been changed
 * by a commit that is still in flight.
 */
enum sf_code store_get_now(struct store *s, const struct store_lane *lane, struct sf_slice key,
                           struct sf_buf *bytes, struct store_row *ret, bool *found,
                           struct sf_error *err) SF_MUST_CHECK;

/*
 * Tells whether a copy of a row is still the row, without reading it again. Take the stamp, then
 * read, by store_get_now() or in a snapshot made later: a row that was found is the row as of
 * store_lane_head() while the stamp holds. The stamp ends before the commit that changes the row is
 * answered; it also ends with the change of any of the keys that share its place, about one in
 * STORE_STAMP_PLACES, and with commits that fail. Loop thread.
 */
enum { STORE_STAMP_PLACES = 65536 };
struct store_stamp {
    uint64_t commit; /* the newest when it was taken */
    uint32_t place;
};
struct store_stamp store_stamp_take(const struct store *s, const struct store_lane *lane,
                                    struct sf_slice key);
bool store_stamp_holds(const struct store *s, const struct store_stamp *stamp);

/* Keys in [from, to) that begin with @prefix. Empty slices do not bound. */
struct store_range {
    struct sf_slice from;
    struct sf_slice to;
    struct sf_slice prefix;
    bool reverse;    /* from the last key to the first; the bounds mean the same */
    bool keep_cache; /* a long scan: do not push other rows out of the cache */
};

struct store_scan;
enum sf_code store_scan_new(const struct store_snapshot *snapshot, const struct store_lane *lane,
                            const struct store_range *range, struct store_scan **ret,
                            struct sf_error *err) SF_MUST_CHECK;
void store_scan_free(struct store_scan *scan); /* NULL is fine */
SF_DEFINE_CLEANUP(struct store_scan, store_scan_free)
/* The next row, or *@more = false behind the last. After an error it stays there. */
enum sf_code store_scan_next(struct store_scan *scan, struct store_row *ret, bool *more,
                             struct sf_error *err) SF_MUST_CHECK;

/* One change of a lane's log. */
struct store_log_entry {
    enum store_op op;
    uint32_t contract_id;
    uint32_t epoch;
    uint64_t seq;
    uint64_t prev_seq; /* of this key; 0: an insert. The change it names may be a delete. */
    uint64_t commit;
    int64_t commit_us;
    struct sf_slice key; /* empty in event lanes */
    struct sf_slice row;
    const uint8_t *digest; /* SF_HASH256_SIZE bytes */
};

struct store_log;
/*
 * Changes with seq > @after_seq, in order. The chain of frames is always checked; @verify also
 * checks each change against its digest (about 0.4 us for 250 bytes).
 * SF_INVALID: @after_seq is beyond the head. SF_CONFLICT SHEAF-E0308: what follows it was trimmed.
 */
enum sf_code store_log_new(const struct store_snapshot *snapshot, const struct store_lane *lane,
                           uint64_t after_seq, bool verify, struct store_log **ret,
                           struct sf_error *err) SF_MUST_CHECK;
/* Changes from @last_seq (at most the head) back to @first_seq (at least 1), newest first. */
enum sf_code store_log_new_back(const struct store_snapshot *snapshot,
                                const struct store_lane *lane, uint64_t first_seq,
                                uint64_t last_seq, struct store_log **ret,
                                struct sf_error *err) SF_MUST_CHECK;
void store_log_free(struct store_log *log); /* NULL is fine */
SF_DEFINE_CLEANUP(struct store_log, store_log_free)
enum sf_code store_log_next(struct store_log *log, struct store_log_entry *ret, bool *more,
                            struct sf_error *err) SF_MUST_CHECK;

/*
 * The change with @seq: what a key held at that version. @key, unless empty, must be the key of the
 * change (else SF_CORRUPT: the caller follows prev_seq, which never leads to another key).
 * *@ret points into @bytes. SF_INVALID: @seq is 0 or beyond the head. SF_CONFLICT E0308: it was
 * trimmed.
 */
enum sf_code store_read_version(const struct store_snapshot *snapshot,
                                const struct store_lane *lane, struct sf_slice key, uint64_t seq,
                                struct sf_buf *bytes, struct store_log_entry *ret,
                                struct sf_error *err) SF_MUST_CHECK;

/* One entry of a lane's quarantine. */
struct store_quarantined {
    uint64_t qseq; /* from 1; without gaps until entries are resolved */
    int64_t commit_us;
    uint64_t position;
    uint32_t contract_id;
    size_t code_count;
    uint16_t codes[STORE_REJECT_CODES_MAX];
    struct sf_slice field;
    struct sf_slice raw;
    uint8_t form;
    struct sf_slice context;
};

struct store_quarantine;
/* Entries with qseq > @after, or with @reverse all from the newest on. */
enum sf_code store_quarantine_new(const struct store_snapshot *snapshot,
                                  const struct store_lane *lane, uint64_t after, bool reverse,
                                  struct store_quarantine **ret,
                                  struct sf_error *err) SF_MUST_CHECK;
/* One entry: sets *@found, and on true its bytes in @bytes and *@ret over them. */
enum sf_code store_quarantine_get(const struct store_snapshot *snapshot,
                                  const struct store_lane *lane, uint64_t qseq,
                                  struct sf_buf *bytes, struct store_quarantined *ret, bool *found,
                                  struct sf_error *err) SF_MUST_CHECK;
void store_quarantine_free(struct store_quarantine *q); /* NULL is fine */
SF_DEFINE_CLEANUP(struct store_quarantine, store_quarantine_free)
enum sf_code store_quarantine_next(struct store_quarantine *q, struct store_quarantined *ret,
                                   bool *more, struct sf_error *err) SF_MUST_CHECK;

/* What a store_put stored: sets *@found, and on true @value and *@commit_us (NULL: not wanted). */
enum sf_code store_small_get(const struct store_snapshot *snapshot, enum store_space space,
                             struct sf_slice key, struct sf_buf *value, int64_t *commit_us,
                             bool *found, struct sf_error *err) SF_MUST_CHECK;

struct store_small;
/* The puts of @space whose key begins with @prefix, in the order of their keys. */
enum sf_code store_small_new(const struct store_snapshot *snapshot, enum store_space space,
                             struct sf_slice prefix, struct store_small **ret,
                             struct sf_error *err) SF_MUST_CHECK;
void store_small_free(struct store_small *it); /* NULL is fine */
SF_DEFINE_CLEANUP(struct store_small, store_small_free)
/* The next one is the first whose key is not below @from. SF_NOMEM. */
enum sf_code store_small_seek(struct store_small *it, struct sf_slice from,
                              struct sf_error *err) SF_MUST_CHECK;
enum sf_code store_small_next(struct store_small *it, struct sf_slice *key, struct sf_slice *value,
                              int64_t *commit_us, bool *more, struct sf_error *err) SF_MUST_CHECK;

/* About how many bytes the lane takes on disk: its log and its rows. */
uint64_t store_lane_bytes(struct store *s, const struct store_lane *lane);
