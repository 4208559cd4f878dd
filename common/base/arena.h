/*
 * Memory of one request: many small pieces, freed as a whole.
 *
 *   Limits   size_max bounds what the arena takes from the heap; beyond it an allocation is NULL,
 *            which callers answer with SF_BUSY or "too large", never with a crash.
 *   Memory   Pieces are aligned for any type and live until sf_arena_reset() or sf_arena_done().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/attr.h"
#include "common/base/slice.h"

struct sf_arena_block;

struct sf_arena {
    struct sf_arena_block *blocks; /* newest first */
    size_t taken;                  /* bytes taken from the heap */
    size_t size_max;               /* 0: no limit */
    bool missed;                   /* an allocation has been NULL since the last reset */
};

void sf_arena_init(struct sf_arena *a, size_t size_max);
void sf_arena_done(struct sf_arena *a);
/* Frees everything but one block, so that the next request starts without the heap. */
void sf_arena_reset(struct sf_arena *a);

/* @size bytes, not initialised, or NULL. */
void *sf_arena_alloc(struct sf_arena *a, size_t size) SF_MUST_CHECK;
/* Zeroed array, or NULL. */
void *sf_arena_calloc(struct sf_arena *a, size_t count, size_t size) SF_MUST_CHECK;
/* NUL-terminated copies, or NULL. */
char *sf_arena_strndup(struct sf_arena *a, const void *bytes, size_t size) SF_MUST_CHECK;
char *sf_arena_strdup(struct sf_arena *a, const char *text) SF_MUST_CHECK;
char *sf_arena_printf(struct sf_arena *a, const char *fmt, ...) SF_PRINTF(2, 3) SF_MUST_CHECK;
/* A copy of @s; data is NULL when it failed and @s was not empty. */
struct sf_slice sf_arena_slice(struct sf_arena *a, struct sf_slice s) SF_MUST_CHECK;
