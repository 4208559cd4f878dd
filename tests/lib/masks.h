/* Masks for tests: read from text, random ones, and the hash under a fixed key. */
#pragma once

#include "common/mask/mask.h"
#include "tests/lib/rows.h"

/* BLAKE2b under the key 00 01 02 .. 1f. */
extern const struct sf_mask_hasher masks_hasher;

/* The mask of a text that is one. */
struct sf_mask masks_of(const char *text, struct sf_arena *arena);
/* A mask that fits the field; one in four times none. */
struct sf_mask masks_random(struct rows_random *r, const struct sf_field *f,
                            struct sf_arena *arena);
