/*
 * Keys and small records of the store, as bytes. Pure. Description: docs/formats/store.md.
 *
 *   Errors   A decoder that meets bytes it would not have written: SF_CORRUPT (SHEAF-E0605).
 */
#pragma once

#include "leaf/store/as_of.h"

enum {
    KEYSPACE_FORMAT = 2,
    KEYSPACE_KEY_BYTES_MAX = 4 + STORE_KEY_BYTES_MAX,
    KEYSPACE_STATE_HEADER = 13, /* in front of the row */
    KEYSPACE_SMALL_HEADER = 8,  /* in front of a small value */
    KEYSPACE_HEAD_BYTES = 4 + 5 * 8 + SF_HASH256_SIZE,
    KEYSPACE_ANCHOR_BYTES = 4 + 4 * 8 + SF_HASH256_SIZE,
    KEYSPACE_COMMIT_BYTES = 8 + 8 + 4,
    KEYSPACE_HELD_BYTES = 8 + 8,
    KEYSPACE_PRINT_TAG = 0xff, /* in front of fingerprints: no key of an answer begins so */
    KEYSPACE_BUCKET_BYTES = 1 + 4 + 8 + 8,
    KEYSPACE_PRINT_BYTES = KEYSPACE_BUCKET_BYTES + STORE_FINGERPRINT_BYTES,
    KEYSPACE_WINDOW_BYTES = 4 * 8,
    KEYSPACE_NAME_BYTES_MAX = 200, /* product and table name of a lane, each */
};

/* A key of fixed size, on the stack. */
struct keyspace_key {
    uint8_t bytes[16];
    size_t size;
};

static inline struct sf_slice keyspace_view(const struct keyspace_key *k)
{
    return sf_slice_of(k->bytes, k->size);
}

/* lane | seq: the key of log, quarantine and old. */
struct keyspace_key keyspace_lane_seq(uint32_t lane, uint64_t seq);
/* lane: what the keys of a lane begin with, and with lane + 1 where they end. */
struct keyspace_key keyspace_lane(uint32_t lane);
/* Turns @b into the first bytes behind all that begin with it; empty: there are none. */
void keyspace_after_prefix(struct sf_buf *b);

/* Families: meta. The first byte tells what a key is of. */
struct keyspace_key keyspace_meta_format(void);
struct keyspace_key keyspace_meta_commit(void);
struct keyspace_key keyspace_meta_lane(uint32_t lane);    /* its name */
struct keyspace_key keyspace_meta_head(uint32_t lane);    /* of its log */
struct keyspace_key keyspace_meta_applied(uint32_t lane); /* the head that its rows show */
struct keyspace_key keyspace_meta_held(uint32_t lane);    /* of its quarantine */
struct keyspace_key keyspace_meta_anchor(uint32_t lane);
struct keyspace_key keyspace_meta_mark(uint32_t lane, uint64_t seq); /* layout of a head */
struct keyspace_key keyspace_meta_window(uint32_t lane);             /* of its fingerprints */
struct keyspace_key keyspace_meta_small(void); /* what the keys of STORE_META begin with */

/* The newest commit of the leaf. */
struct keyspace_commit {
    uint64_t commit;
    int64_t commit_us;
    uint32_t epoch;
};
void keyspace_commit_encode(const struct keyspace_commit *c, uint8_t ret[KEYSPACE_COMMIT_BYTES]);
enum sf_code keyspace_commit_decode(struct sf_slice s, struct keyspace_commit *ret,
                                    struct sf_error *err) SF_MUST_CHECK;

void keyspace_head_encode(const struct store_head *h, uint8_t ret[KEYSPACE_HEAD_BYTES]);
enum sf_code keyspace_head_decode(struct sf_slice s, struct store_head *ret,
                                  struct sf_error *err) SF_MUST_CHECK;

/* The fingerprints of a lane. */
struct store_window {
    int64_t within_us;
    uint64_t bucket; /* the newest there is */
    uint64_t count;  /* in it and in the one before */
    uint64_t before; /* of these in the one before */
};
void keyspace_window_encode(const struct store_window *w, uint8_t ret[KEYSPACE_WINDOW_BYTES]);
enum sf_code keyspace_window_decode(struct sf_slice s, struct store_window *ret,
                                    struct sf_error *err) SF_MUST_CHECK;

void keyspace_held_encode(const struct store_held *h, uint8_t ret[KEYSPACE_HELD_BYTES]);
enum sf_code keyspace_held_decode(struct sf_slice s, struct store_held *ret,
                                  struct sf_error *err) SF_MUST_CHECK;

void keyspace_anchor_encode(const struct store_anchor *a, uint8_t ret[KEYSPACE_ANCHOR_BYTES]);
enum sf_code keyspace_anchor_decode(struct sf_slice s, struct store_anchor *ret,
                                    struct sf_error *err) SF_MUST_CHECK;

/* A failure is sticky in @out. */
void keyspace_lane_encode(const struct store_lane_name *n, struct sf_buf *out);
/* Product and table are set to slices of @s, which are not terminated. */
enum sf_code keyspace_lane_decode(struct sf_slice s, struct store_lane_name *ret,
                                  struct sf_slice *product, struct sf_slice *table,
                                  struct sf_error *err) SF_MUST_CHECK;

/* What stands in front of a row in the state. */
struct keyspace_state {
    uint64_t seq;
    uint32_t contract_id;
    enum store_op op; /* STORE_DELETE: a tombstone, without a row */
};
void keyspace_state_encode(const struct keyspace_state *v, uint8_t ret[KEYSPACE_STATE_HEADER]);
enum sf_code keyspace_state_decode(struct sf_slice s, struct keyspace_state *ret,
                                   struct sf_slice *row, struct sf_error *err) SF_MUST_CHECK;

/* A failure is sticky in @out; the raw bytes are put behind it by the caller. */
void keyspace_reject_encode(const struct store_reject *r, int64_t commit_us, struct sf_buf *out);
enum sf_code keyspace_reject_decode(struct sf_slice s, struct store_quarantined *ret,
                                    struct sf_error *err) SF_MUST_CHECK;
