/*
 * The head record: where each lane stood, in a file of its own beside the store.
 *
 * RocksDB tolerates a torn tail of its write-ahead log, and cannot tell one from a tail that was
 * cut off later. The record can: a store that is behind it has lost commits that were answered.
 * Bytes: docs/formats/store.md.
 *
 *   Threads   Encoding on the loop; comparing where store_open() is called, before anything else.
 *   Errors    SF_CORRUPT (SHEAF-E0605): the bytes are not a whole record. SF_NOMEM, and what the
 *             kv says.
 */
#pragma once

#include "leaf/store/store.h"

enum {
    HEAD_RECORD_FORMAT = 1,
    HEAD_RECORD_BYTES_MAX = 64 * 1024 * 1024,
    HEAD_RECORD_FIXED = 4 + 4 + 8 + 8 + 4, /* in front of the lanes */
};

/* One lane of it. Product and table point into the bytes decoded. */
struct head_entry {
    struct store_lane_name name; /* texts NULL */
    struct sf_slice product;
    struct sf_slice table;
    uint32_t epoch;
    uint64_t seq;
    uint64_t quarantined;
    uint8_t hash[SF_HASH256_SIZE]; /* of the frame that ends at @seq */
};

struct head_record {
    uint32_t epoch;
    uint64_t commit;
    int64_t commit_us;
    uint32_t lane_count;
    struct sf_slice lanes; /* the entries; taken by head_record_next() */
};

/* Appends the record of the heads as of the last settled commit. A failure is sticky in @out. */
void head_record_encode(const struct store *s, struct sf_buf *out);
/* Checks hash and version. SF_CONFLICT (SHEAF-E0607): a newer version wrote it. */
enum sf_code head_record_decode(struct sf_slice bytes, struct head_record *ret,
                                struct sf_error *err) SF_MUST_CHECK;
/* The next lane; *more false behind the last. */
enum sf_code head_record_next(struct head_record *r, struct head_entry *ret, bool *more,
                              struct sf_error *err) SF_MUST_CHECK;

/* What a store lacks. */
struct head_lack {
    uint64_t lanes;     /* that lack something */
    uint64_t changes;   /* sum over them */
    struct sf_buf text; /* a line per lane: "sales/orders@1.orders: 91 to 100 (epoch 1)" */
};
void head_lack_done(struct head_lack *l);

/*
 * Compares an opened store with its record. Fine when every lane has come at least as far, with the
 * very frame at that place (where the log still holds it), in this epoch or a later one; then
 * ret->lanes is 0. The texts name products, tables and numbers only.
 */
enum sf_code head_record_compare(struct store *s, struct sf_slice record, struct head_lack *ret,
                                 struct sf_error *err) SF_MUST_CHECK;
