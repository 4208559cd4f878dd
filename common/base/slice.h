/* A view of bytes that someone else owns. Passed by value; never freed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct sf_slice {
    const uint8_t *data;
    size_t size; /* bytes */
};

/* The bytes of a string literal, without its terminator. */
#define SF_LITERAL(text) ((struct sf_slice){(const uint8_t *)("" text), sizeof(text) - 1})

static inline struct sf_slice sf_slice_of(const void *data, size_t size)
{
    return (struct sf_slice){(const uint8_t *)data, size};
}

/* The bytes of @text without its terminator; NULL gives the empty slice. */
static inline struct sf_slice sf_slice_text(const char *text)
{
    return sf_slice_of(text, text == NULL ? 0 : strlen(text));
}

static inline bool sf_slice_equal(struct sf_slice a, struct sf_slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* Byte order; a prefix sorts before what it begins. */
static inline int sf_slice_compare(struct sf_slice a, struct sf_slice b)
{
    size_t n = a.size < b.size ? a.size : b.size;
    int order = n == 0 ? 0 : memcmp(a.data, b.data, n);

    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static inline bool sf_slice_starts_with(struct sf_slice s, struct sf_slice prefix)
{
    return s.size >= prefix.size &&
           (prefix.size == 0 || memcmp(s.data, prefix.data, prefix.size) == 0);
}

/* printf("%.*s", SF_SLICE_ARG(s)) */
#define SF_SLICE_ARG(s) (int)(s).size, (const char *)(s).data
