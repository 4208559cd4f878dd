/*
 * Rows of a state table for whoever does not see the keys as they are stored, in an order that
 * tells nothing of the keys: that of a keyed hash of each. It is the same for every request under
 * one key, so that cursors go on in it.
 *
 *   Cost     The range is walked once for each @bytes of its keys: those with the smallest hashes
 *            behind the place are gathered, and then their rows are read one by one.
 *   Threads  One at a time. Freed before its snapshot.
 *   Memory   At most twice @bytes, and a row.
 *   Errors   Those of store_scan_next() and store_get(), of the past when there is one. SF_NOMEM.
 */
#pragma once

#include "common/sys/crypto.h"
#include "leaf/store/read.h"

enum {
    HIDDEN_ORDER_PLACE = 16,      /* bytes of a place in the order */
    HIDDEN_ORDER_BYTES = 1 << 20, /* of keys and places gathered at a time */
    HIDDEN_ORDER_STEP = 1024,     /* rows looked at before it returns without one */
    HIDDEN_ORDER_BYTES_MIN = 4 * (STORE_KEY_BYTES_MAX + 64),
};

struct hidden_order_options {
    const struct store_snapshot *snapshot;
    const struct store_lane *lane;
    struct store_range range; /* whose slices stay; its order means nothing */
    bool is_past;             /* rows as of @seq */
    uint64_t seq;
    uint8_t key[SF_HASH_KEY_SIZE]; /* that the hashes have */
    bool reverse;                  /* the order from its end; places are of one direction */
    struct sf_slice after;         /* HIDDEN_ORDER_PLACE bytes to go on behind; empty: none */
    size_t bytes;                  /* HIDDEN_ORDER_BYTES_MIN or more */
};

struct hidden_order;

enum sf_code hidden_order_new(const struct hidden_order_options *options, struct hidden_order **ret,
                              struct sf_error *err) SF_MUST_CHECK;
void hidden_order_free(struct hidden_order *o); /* NULL is fine */

/*
 * The next row, or *@more = false behind the last. With ret->seq 0 it is none yet: up to
 * HIDDEN_ORDER_STEP were looked at, and the caller may make way for others.
 */
enum sf_code hidden_order_next(struct hidden_order *o, struct store_row *ret, bool *more,
                               struct sf_error *err) SF_MUST_CHECK;
/* The place of the last row given, or @after; empty when there was none. */
struct sf_slice hidden_order_place(const struct hidden_order *o);
/* Whether a walk is under way: going on from the place later would begin it anew. */
bool hidden_order_is_gathering(const struct hidden_order *o);
