/*
 * Grants found by who asks for what, which each request of another domain begins with, and by their
 * id, which each further page of a long answer does: one look into a table of hashes.
 *
 *   Threads   Any: made once, never changed.
 *   Memory    In the arena it was made with; borrows the grants, which stay where they are.
 */
#pragma once

#include "common/base/arena.h"
#include "common/base/error.h"

struct grant;

/* Neighbours with one account and product. */
struct grant_run {
    uint64_t hash;
    uint32_t first;
    uint32_t count; /* 0: a free place */
};

struct grant_index {
    const struct grant *grants;
    struct grant_run *runs;
    uint32_t *ids; /* number of the grant with that id, from 1; 0: a free place */
    size_t mask;   /* of places in runs and in ids, of which at most half are taken */
    uint64_t seed;
};

/* For qsort(): the order of grants, by account, product, major, id. */
int grant_compare(const void *a, const void *b);
/* @grants stand in that order. SF_NOMEM. */
enum sf_code grant_index_make(struct grant_index *ret, const struct grant *grants, size_t count,
                              struct sf_arena *arena, struct sf_error *err) SF_MUST_CHECK;
/* The grants of @account on @product: the first of them, and how many. 0: none. A zeroed
 * index has none. */
size_t grant_index_find(const struct grant_index *x, const char *account, const char *product,
                        const struct grant **ret);
/* The first grant with this id, or NULL. */
const struct grant *grant_index_id(const struct grant_index *x, const char *id);
