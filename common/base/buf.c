#include "common/base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"

enum { FIRST_CAPACITY = 256 };

void sf_buf_done(struct sf_buf *b)
{
    size_t size_max = b->size_max;

    sf_free(b->data);
    *b = (struct sf_buf){.size_max = size_max};
}

void sf_buf_clear(struct sf_buf *b)
{
    b->size = 0;
    b->failed = SF_OK;
}

static bool grow(struct sf_buf *b, size_t wanted)
{
    size_t capacity = b->capacity < FIRST_CAPACITY ? FIRST_CAPACITY : b->capacity;
    uint8_t *data;

    while (capacity < wanted) {
        if (__builtin_mul_overflow(capacity, (size_t)2, &capacity)) {
            capacity = wanted;
        }
    }
    data = sf_realloc(b->data, capacity, 1);
    if (data == NULL) {
        b->failed = SF_NOMEM;
        return false;
    }
    b->data = data;
    b->capacity = capacity;
    return true;
}

uint8_t *sf_buf_reserve(struct sf_buf *b, size_t size)
{
    size_t wanted;

    if (b->failed != SF_OK) {
        return NULL;
    }
    if (__builtin_add_overflow(b->size, size, &wanted)) {
        b->failed = SF_NOMEM;
        return NULL;
    }
    if (b->size_max != 0 && wanted > b->size_max) {
        b->failed = SF_BUSY;
        return NULL;
    }
    if ((wanted > b->capacity || b->data == NULL) && !grow(b, wanted)) {
        return NULL;
    }
    return b->data + b->size;
}

void sf_buf_append(struct sf_buf *b, const void *bytes, size_t size)
{
    uint8_t *at = sf_buf_reserve(b, size);

    if (at != NULL && size > 0) {
        memcpy(at, bytes, size);
        b->size += size;
    }
}

void sf_buf_slice(struct sf_buf *b, struct sf_slice s)
{
    sf_buf_append(b, s.data, s.size);
}

void sf_buf_text(struct sf_buf *b, const char *text)
{
    sf_buf_append(b, text, strlen(text));
}

void sf_buf_byte(struct sf_buf *b, uint8_t byte)
{
    uint8_t *at = sf_buf_reserve(b, 1);

    if (at != NULL) {
        *at = byte;
        b->size++;
    }
}

void sf_buf_be32(struct sf_buf *b, uint32_t value)
{
    uint8_t bytes[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                        (uint8_t)value};

    sf_buf_append(b, bytes, sizeof(bytes));
}

void sf_buf_be64(struct sf_buf *b, uint64_t value)
{
    sf_buf_be32(b, (uint32_t)(value >> 32));
    sf_buf_be32(b, (uint32_t)value);
}

void sf_buf_printf(struct sf_buf *b, const char *fmt, ...)
{
    va_list args;
    uint8_t *at;
    int n;

    va_start(args, fmt);
    n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0) {
        b->failed = b->failed == SF_OK ? SF_NOMEM : b->failed;
        return;
    }
    at = sf_buf_reserve(b, (size_t)n + 1); /* vsnprintf writes a terminator; it is not counted. */
    if (at == NULL) {
        return;
    }
    va_start(args, fmt);
    (void)vsnprintf((char *)at, (size_t)n + 1, fmt, args);
    va_end(args);
    b->size += (size_t)n;
}

enum sf_code sf_buf_check(const struct sf_buf *b, const char *what, struct sf_error *err)
{
    if (b->failed == SF_BUSY) {
        return SF_RAISE(err, SF_BUSY, "%s: larger than %zu bytes", what, b->size_max);
    }
    if (b->failed != SF_OK) {
        return SF_RAISE(err, SF_NOMEM, "%s", what);
    }
    return SF_OK;
}

const char *sf_buf_cstr(struct sf_buf *b)
{
    size_t size_max = b->size_max;
    uint8_t *at;

    b->size_max = 0; /* The terminator is not contents. */
    at = sf_buf_reserve(b, 1);
    b->size_max = size_max;
    if (at == NULL) {
        return NULL;
    }
    *at = '\0';
    return (const char *)b->data;
}
