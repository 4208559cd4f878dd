/*
 * Where the newest changes of keys stand, as far as they fit: what the commit thread need not look
 * up before it overwrites them.
 *
 * A table of fixed size over a secret hash of lane and key, of which 64 bits and the place in the
 * table are compared: two keys are taken for one with a chance of 2^-80 and less, which nobody can
 * bring about. In each place of four the one that was put longest ago goes.
 *
 *   Threads   One at a time.
 *   Memory    What was asked for, resident as far as it is used.
 */
#pragma once

#include "common/base/attr.h"
#include "common/base/error.h"
#include "common/base/slice.h"

struct positions;

/* @bytes: for one key 16; 0: *ret is NULL, which all below take. SF_NOMEM. */
enum sf_code positions_new(size_t bytes, struct positions **ret,
                           struct sf_error *err) SF_MUST_CHECK;
void positions_free(struct positions *p);

/* Of a key: made once, and fetched into the cache before it is needed. */
struct position_place {
    uint64_t bucket;
    uint64_t tag;
};
struct position_place positions_place(const struct positions *p, uint32_t lane,
                                      struct sf_slice key);
void positions_fetch(const struct positions *p, const struct position_place *place);

struct position {
    uint64_t seq;
    bool live; /* a row, not a tombstone */
};
/* False: not known. */
bool positions_find(const struct positions *p, const struct position_place *place,
                    struct position *ret);
void positions_put(struct positions *p, const struct position_place *place,
                   struct position position);
/* Nothing is known any more. */
void positions_clear(struct positions *p);
/* Bytes of the keys that are known. */
size_t positions_used(const struct positions *p);
