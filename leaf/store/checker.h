/*
 * Verifying all that is stored, in steps, beside commits: it works on one snapshot.
 *
 * Of each lane every frame, digest and link of the chain from its anchor up to its head, that seqs
 * have no gap, that prev_seqs lead to the change before of the same key, that the newest rows are
 * what the log says, and that quarantine numbers do not pass their head; then every small value and
 * the other entries. Whatever is read is checked against RocksDB's block checksums as well.
 *
 *   Threads   Any; one step at a time. Blocks on the disk.
 *   Memory    The snapshot is held until store_checker_free(), before store_close().
 *   Limits    CHECK_DAMAGES_MAX damages are named; the rest is counted.
 *   Errors    Damage is a result, not a failure: the check goes on with the next part. SF_IO,
 *             SF_NOMEM end it.
 */
#pragma once

#include "leaf/store/check.h"

enum { CHECK_DAMAGES_MAX = 100 };

struct store_checker;

enum sf_code store_checker_new(struct store *s, struct store_checker **ret,
                               struct sf_error *err) SF_MUST_CHECK;
void store_checker_free(struct store_checker *c); /* NULL is fine */
SF_DEFINE_CLEANUP(struct store_checker, store_checker_free)

/* Checks about @items more changes, rows or entries; *done when all is checked. */
enum sf_code store_checker_step(struct store_checker *c, size_t items, bool *done,
                                struct sf_error *err) SF_MUST_CHECK;

struct store_checker_progress {
    struct store_check_result found; /* so far */
    uint64_t done;                   /* of... */
    uint64_t total;                  /* ...changes and rows, as the heads say */
    uint64_t damages;
    struct sf_slice texts; /* a line per damage; valid until the next step */
    struct sf_error first; /* the first one; code SF_OK: none */
};
struct store_checker_progress store_checker_progress(const struct store_checker *c);
