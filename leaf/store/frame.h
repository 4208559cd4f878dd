/*
 * A frame: changes of one lane with consecutive seqs, written by one commit. The unit of the log.
 * Bytes: docs/formats/store.md. Pure: no I/O, no clock, no heap but the buffer given.
 *
 * Its hash covers the hash of the frame before, the header and the table of its changes, which
 * holds the digest of each: one flipped bit anywhere in a lane's log breaks a digest or the chain.
 *
 *   Limits   A frame is at most FRAME_BYTES_MAX when it holds more than one change; a single change
 *            may exceed that by its key and the fixed parts, so none within the limits of the store
 *            is refused.
 */
#pragma once

#include "common/base/attr.h"
#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/slice.h"
#include "common/sys/crypto.h"

enum store_op {
    STORE_UPSERT = 1,
    STORE_DELETE = 2,
};

enum {
    FRAME_HEADER_BYTES = 76,
    FRAME_ENTRY_BYTES = 52, /* one change in the table */
    FRAME_BYTES_MAX = 256 * 1024,
    FRAME_CHANGES_MAX = FRAME_BYTES_MAX / FRAME_ENTRY_BYTES,
};

/* The digest of a change: BLAKE2b-256 over op, size of key, key, row. Any thread. */
void store_change_digest(enum store_op op, struct sf_slice key, struct sf_slice row,
                         uint8_t ret[SF_HASH256_SIZE]);

struct frame_header {
    uint32_t lane;
    uint32_t epoch;
    uint32_t count; /* of changes, at least 1 */
    uint32_t body_size;
    uint64_t commit;
    int64_t commit_us;
    uint64_t first_seq;
    uint8_t prev_hash[SF_HASH256_SIZE]; /* hash of the lane's frame before; zeros: the first */
};

struct frame_change {
    enum store_op op;
    uint32_t contract_id;
    uint64_t prev_seq; /* seq of the change of this key before; 0: none, and in event lanes */
    struct sf_slice key;
    struct sf_slice row;
    const uint8_t *digest; /* SF_HASH256_SIZE bytes */
};

/* What a change adds to a frame. */
static inline size_t frame_change_size(const struct frame_change *c)
{
    return FRAME_ENTRY_BYTES + c->key.size + c->row.size;
}
/* What a frame without changes takes. */
static inline size_t frame_empty_size(void)
{
    return FRAME_HEADER_BYTES + SF_HASH256_SIZE;
}

/*
 * Appends to @out the frame of @changes; header->count and body_size are taken from them. Writes
 * its hash to @ret_hash. A failure is sticky in @out.
 */
void frame_encode(struct sf_buf *out, const struct frame_header *header,
                  const struct frame_change *changes, size_t count,
                  uint8_t ret_hash[SF_HASH256_SIZE]);

/* A frame taken apart in place; borrows its bytes. */
struct frame {
    struct frame_header header;
    struct sf_slice bytes;
    const uint8_t *hash; /* SF_HASH256_SIZE bytes at its end */
};

/*
 * Takes @bytes apart and checks sizes, order and version, and its hash unless @trust.
 * SF_CORRUPT (SHEAF-E0605): it is not a frame, or its hash does not hold.
 */
enum sf_code frame_decode(struct sf_slice bytes, bool trust, struct frame *ret,
                          struct sf_error *err) SF_MUST_CHECK;

/* Walks the changes of a frame. */
struct frame_cursor {
    const struct frame *frame;
    uint32_t next;      /* index of the next change */
    size_t body_offset; /* where its key begins */
};

void frame_cursor_init(struct frame_cursor *c, const struct frame *f);
/* The next change into @ret, its seq into @ret_seq; false behind the last. */
bool frame_cursor_next(struct frame_cursor *c, struct frame_change *ret, uint64_t *ret_seq);
/* The change before the one that frame_cursor_next() would give; false before the first. */
bool frame_cursor_prev(struct frame_cursor *c, struct frame_change *ret, uint64_t *ret_seq);
/* Stands before the change at @seq, which the frame holds; one behind its last is its end. */
void frame_cursor_seek(struct frame_cursor *c, uint64_t seq);

static inline uint64_t frame_last_seq(const struct frame *f)
{
    return f->header.first_seq + f->header.count - 1;
}

/* SF_OK, or SF_CORRUPT (SHEAF-E0605) when the digest of @c does not match its key and row. */
enum sf_code frame_change_check(const struct frame *f, const struct frame_change *c, uint64_t seq,
                                struct sf_error *err) SF_MUST_CHECK;
