/*
 * The protobuf wire format, field by field: a reader whose every step is checked against the end,
 * and writers into memory that was reserved before.
 *
 *   Limits    Varints of at most ten bytes. The reader is strict: a varint longer than it must be
 *             is an error, because one value has one byte string here.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/base/slice.h"

enum sf_pb_wire {
    SF_PB_VARINT = 0,
    SF_PB_FIXED64 = 1,
    SF_PB_BYTES = 2,
    SF_PB_FIXED32 = 5,
};

enum {
    SF_PB_VARINT_MAX = 10, /* bytes */
    SF_PB_TAG_MAX = 5,
    SF_PB_FIELD_MAX = 536870911, /* highest field number */
};

static inline uint32_t sf_pb_tag(uint32_t number, enum sf_pb_wire wire)
{
    return number << 3 | (uint32_t)wire;
}

static inline uint64_t sf_pb_zigzag(int64_t value)
{
    return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}

static inline int64_t sf_pb_unzigzag(uint64_t value)
{
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

/* Bytes that @value takes as a varint. */
static inline size_t sf_pb_varint_size(uint64_t value)
{
    return ((size_t)(63 - __builtin_clzll(value | 1)) * 9 + 73) / 64;
}

/* --- writing: @p has room; the place behind what was written is returned -------------------- */

static inline uint8_t *sf_pb_put_varint(uint8_t *p, uint64_t value)
{
    while (value >= 128) {
        *p++ = (uint8_t)(value | 128);
        value >>= 7;
    }
    *p++ = (uint8_t)value;
    return p;
}

static inline uint8_t *sf_pb_put_fixed32(uint8_t *p, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++) {
        p[i] = (uint8_t)(value >> (8 * i));
    }
    return p + 4;
}

static inline uint8_t *sf_pb_put_fixed64(uint8_t *p, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++) {
        p[i] = (uint8_t)(value >> (8 * i));
    }
    return p + 8;
}

/* Length and bytes. */
static inline uint8_t *sf_pb_put_bytes(uint8_t *p, struct sf_slice s)
{
    p = sf_pb_put_varint(p, s.size);
    if (s.size > 0) {
        memcpy(p, s.data, s.size);
    }
    return p + s.size;
}

/* --- reading ---------------------------------------------------------------------------------- */

struct sf_pb_reader {
    const uint8_t *p;
    const uint8_t *end;
};

static inline struct sf_pb_reader sf_pb_reader_of(struct sf_slice s)
{
    return (struct sf_pb_reader){.p = s.data, .end = s.data + s.size};
}

static inline bool sf_pb_at_end(const struct sf_pb_reader *r)
{
    return r->p == r->end;
}

/* The part of sf_pb_get_varint() for values of two bytes and more. */
bool sf_pb_get_long_varint(struct sf_pb_reader *r, uint64_t *ret);

/* Each: false, and the reader stays, when the bytes are cut off or not canonical. */
static inline bool sf_pb_get_varint(struct sf_pb_reader *r, uint64_t *ret)
{
    if (r->p < r->end && *r->p < 128) {
        *ret = *r->p++;
        return true;
    }
    return sf_pb_get_long_varint(r, ret);
}

static inline bool sf_pb_get_fixed32(struct sf_pb_reader *r, uint32_t *ret)
{
    uint32_t value = 0;

    if (r->end - r->p < 4) {
        return false;
    }
    for (unsigned i = 0; i < 4; i++) {
        value |= (uint32_t)r->p[i] << (8 * i);
    }
    r->p += 4;
    *ret = value;
    return true;
}

static inline bool sf_pb_get_fixed64(struct sf_pb_reader *r, uint64_t *ret)
{
    uint64_t value = 0;

    if (r->end - r->p < 8) {
        return false;
    }
    for (unsigned i = 0; i < 8; i++) {
        value |= (uint64_t)r->p[i] << (8 * i);
    }
    r->p += 8;
    *ret = value;
    return true;
}

/* Length and bytes; *ret borrows from what is read. */
static inline bool sf_pb_get_bytes(struct sf_pb_reader *r, struct sf_slice *ret)
{
    struct sf_pb_reader ahead = *r;
    uint64_t size;

    if (!sf_pb_get_varint(&ahead, &size) || size > (uint64_t)(ahead.end - ahead.p)) {
        return false;
    }
    *ret = sf_slice_of(ahead.p, (size_t)size);
    r->p = ahead.p + size;
    r->end = ahead.end;
    return true;
}

/* A tag: field number in range, wire type one of the four. */
bool sf_pb_get_tag(struct sf_pb_reader *r, uint32_t *ret_number, enum sf_pb_wire *ret_wire);
/* Passes over the value behind a tag. */
bool sf_pb_skip(struct sf_pb_reader *r, enum sf_pb_wire wire);
