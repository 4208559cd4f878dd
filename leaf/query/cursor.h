/*
 * Cursors of scans: where an answer stopped, as an opaque text.
 *
 * A cursor holds the key of the last row, which the caller may not be allowed to see, so it is
 * sealed under a key of the leaf, and as long as one of the longest key when its length would tell.
 *
 *   Threads   Any.
 */
#pragma once

#include "common/base/buf.h"
#include "common/sys/seal.h"
#include "leaf/query/query.h"

#define QUERY_NOT_PAST UINT64_MAX

struct query_place {
    uint32_t lane;
    uint32_t epoch;
    uint64_t seq;                    /* of the last row, for event tables */
    struct sf_slice key;             /* of the last row, for state tables; or its place */
    bool hides_size;                 /* the text is as long as that of the longest key */
    uint8_t shape[QUERY_SHAPE_SIZE]; /* struct query_request.shape */
    uint64_t as_of;                  /* seq that the pages show; QUERY_NOT_PAST: each its newest */
};

/* Writes the text, at most @size characters with its NUL. SF_NOMEM. */
enum sf_code query_cursor_make(const uint8_t seal_key[SF_SEAL_KEY_SIZE],
                               const struct query_place *place, char *ret, size_t size,
                               struct sf_error *err) SF_MUST_CHECK;
/*
 * SF_INVALID E0309: not a cursor of this leaf. ret->key points into @bytes. The caller compares
 * lane, epoch and shape.
 */
enum sf_code query_cursor_open(const uint8_t seal_key[SF_SEAL_KEY_SIZE], const char *text,
                               struct sf_buf *bytes, struct query_place *ret,
                               struct sf_error *err) SF_MUST_CHECK;
