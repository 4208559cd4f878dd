#include "common/base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"

/* The first is of a size that the C library has at hand (about 20 instructions instead of a
 * thousand): many an arena needs no more. */
enum { FIRST_BYTES = 1024 - 64, BLOCK_BYTES = 4096 - 64 };

struct sf_arena_block {
    struct sf_arena_block *next;
    size_t used;
    size_t capacity;
    alignas(max_align_t) uint8_t data[];
};

void sf_arena_init(struct sf_arena *a, size_t size_max)
{
    *a = (struct sf_arena){.size_max = size_max};
}

static void free_blocks(struct sf_arena *a, struct sf_arena_block *b)
{
    while (b != NULL) {
        struct sf_arena_block *next = b->next;

        a->taken -= b->capacity;
        sf_free(b);
        b = next;
    }
}

void sf_arena_done(struct sf_arena *a)
{
    free_blocks(a, a->blocks);
    a->blocks = NULL;
}

void sf_arena_reset(struct sf_arena *a)
{
    a->missed = false;
    if (a->blocks != NULL) {
        free_blocks(a, a->blocks->next);
        a->blocks->next = NULL;
        a->blocks->used = 0;
    }
}

static struct sf_arena_block *add_block(struct sf_arena *a, size_t wanted)
{
    const size_t least = a->blocks == NULL ? FIRST_BYTES : BLOCK_BYTES;
    const size_t capacity = wanted > least ? wanted : least;
    struct sf_arena_block *b;

    if (a->size_max != 0 && (capacity > a->size_max || a->taken > a->size_max - capacity)) {
        return NULL;
    }
    b = sf_alloc(sizeof(*b) + capacity);
    if (b == NULL) {
        return NULL;
    }
    b->used = 0;
    b->capacity = capacity;
    b->next = a->blocks;
    a->blocks = b;
    a->taken += capacity;
    return b;
}

void *sf_arena_alloc(struct sf_arena *a, size_t size)
{
    struct sf_arena_block *b = a->blocks;
    size_t rounded;
    void *piece;

    if (__builtin_add_overflow(size, alignof(max_align_t) - 1, &rounded)) {
        return NULL;
    }
    rounded &= ~(alignof(max_align_t) - 1);
    if (b == NULL || b->capacity - b->used < rounded) {
        b = add_block(a, rounded);
        if (b == NULL) {
            a->missed = true;
            return NULL;
        }
    }
    piece = b->data + b->used;
    b->used += rounded;
    return piece;
}

void *sf_arena_calloc(struct sf_arena *a, size_t count, size_t size)
{
    size_t bytes;
    void *piece;

    if (__builtin_mul_overflow(count, size, &bytes)) {
        return NULL;
    }
    piece = sf_arena_alloc(a, bytes);
    if (piece != NULL) {
        memset(piece, 0, bytes);
    }
    return piece;
}

char *sf_arena_strndup(struct sf_arena *a, const void *bytes, size_t size)
{
    char *copy = size == SIZE_MAX ? NULL : sf_arena_alloc(a, size + 1);

    if (copy != NULL) {
        if (size > 0) {
            memcpy(copy, bytes, size);
        }
        copy[size] = '\0';
    }
    return copy;
}

char *sf_arena_strdup(struct sf_arena *a, const char *text)
{
    return sf_arena_strndup(a, text, strlen(text));
}

char *sf_arena_printf(struct sf_arena *a, const char *fmt, ...)
{
    va_list args;
    char *text;
    int n;

    va_start(args, fmt);
    n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0) {
        return NULL;
    }
    text = sf_arena_alloc(a, (size_t)n + 1);
    if (text != NULL) {
        va_start(args, fmt);
        (void)vsnprintf(text, (size_t)n + 1, fmt, args);
        va_end(args);
    }
    return text;
}

struct sf_slice sf_arena_slice(struct sf_arena *a, struct sf_slice s)
{
    return sf_slice_of(s.size == 0 ? "" : sf_arena_strndup(a, s.data, s.size), s.size);
}
