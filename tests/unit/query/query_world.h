/*
 * Queries over the inside of a leaf (tests/lib/leaf_world.h), for their tests.
 *
 *   Threads   One.
 */
#pragma once

#include "common/sys/seal.h"
#include "leaf/query/query.h"
#include "tests/lib/leaf_world.h"

extern const uint8_t world_seal_key[SF_SEAL_KEY_SIZE];

/* Fails the test when there are none. */
struct queries *world_queries(struct leaf_world *w);
/* Runs what is under way, of which nothing is left, and frees @qs and @w. */
void world_queries_done(struct leaf_world *w, struct queries *qs);
