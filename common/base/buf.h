/*
 * Bytes that grow. A buffer owns its memory; sf_buf_done() releases it and leaves it re-usable.
 *
 * Failure is sticky, so that a run of appends is checked once, at its end: after an append fails,
 * @failed is set, further appends do nothing, and sf_buf_check() says why. A zeroed struct is an
 * empty buffer without a limit.
 */
#pragma once

#include "common/base/error.h"
#include "common/base/slice.h"

struct sf_buf {
    uint8_t *data;
    size_t size;         /* bytes used */
    size_t capacity;     /* bytes allocated */
    size_t size_max;     /* limit in bytes; 0: none */
    enum sf_code failed; /* SF_OK, SF_NOMEM, or SF_BUSY when size_max would be passed */
};

void sf_buf_done(struct sf_buf *b);
/* Forgets the contents and the failure, keeps the memory. */
void sf_buf_clear(struct sf_buf *b);
/* Room for @size more bytes: where to write them, or NULL (sticky failure). Does not change size.
 */
uint8_t *sf_buf_reserve(struct sf_buf *b, size_t size);

void sf_buf_append(struct sf_buf *b, const void *bytes, size_t size);
void sf_buf_slice(struct sf_buf *b, struct sf_slice s);
void sf_buf_text(struct sf_buf *b, const char *text);
void sf_buf_byte(struct sf_buf *b, uint8_t byte);
void sf_buf_printf(struct sf_buf *b, const char *fmt, ...) SF_PRINTF(2, 3);
/* Big-endian integers, as keys and frames hold them. */
void sf_buf_be32(struct sf_buf *b, uint32_t value);
void sf_buf_be64(struct sf_buf *b, uint64_t value);

/* SF_OK, or the sticky failure raised into @err with @what as its subject. */
enum sf_code sf_buf_check(const struct sf_buf *b, const char *what,
                          struct sf_error *err) SF_MUST_CHECK;

/* The contents; valid until the next append. */
static inline struct sf_slice sf_buf_view(const struct sf_buf *b)
{
    return sf_slice_of(b->data, b->size);
}

/* The contents with a NUL behind them, as C text; NULL on failure. Valid until the next append. */
const char *sf_buf_cstr(struct sf_buf *b);

static inline uint32_t sf_read_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (uint32_t)p[3];
}

static inline uint64_t sf_read_be64(const uint8_t *p)
{
    return (uint64_t)sf_read_be32(p) << 32 | sf_read_be32(p + 4);
}

static inline void sf_write_be32(uint8_t *p, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++) {
        p[i] = (uint8_t)(value >> (24 - 8 * i));
    }
}

static inline void sf_write_be64(uint8_t *p, uint64_t value)
{
    sf_write_be32(p, (uint32_t)(value >> 32));
    sf_write_be32(p + 4, (uint32_t)value);
}
