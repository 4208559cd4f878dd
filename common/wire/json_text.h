/*
 * JSON values written to a place that has room: what row rendering is made of. Everything else uses
 * the writer of json.h.
 */
#pragma once

#include "common/base/slice.h"

enum { SF_JSON_INT_SIZE = 20 }; /* most characters of a 64-bit integer */

extern const uint8_t sf_json_escape_size[256];

/* Characters of @s between the quotes, byte by byte. */
size_t sf_json_escaped_size(struct sf_slice s);
uint8_t *sf_json_write_escaped(uint8_t *p, struct sf_slice s);

/* A bit at the top of each of eight bytes that must be escaped: below 0x20, '"' or '\'. */
static inline uint64_t sf_json_escape_bits(uint64_t eight)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t quote = eight ^ ones * '"';
    uint64_t backslash = eight ^ ones * '\\';

    return ((eight - ones * 0x20) | (quote - ones) | (backslash - ones)) & ~eight & ones * 0x80;
}

static inline bool sf_json_is_plain(struct sf_slice s)
{
    uint64_t found = 0;
    uint64_t eight;
    size_t i = 0;

    for (; i + 8 <= s.size; i += 8) {
        memcpy(&eight, s.data + i, 8);
        found |= sf_json_escape_bits(eight);
    }
    for (; i < s.size; i++) {
        found |= sf_json_escape_size[s.data[i]] - 1U;
    }
    return found == 0;
}

/* Characters that @utf8 takes as a JSON string, quotes included. */
static inline size_t sf_json_string_size(struct sf_slice utf8)
{
    return 2 + (sf_json_is_plain(utf8) ? utf8.size : sf_json_escaped_size(utf8));
}

/* Writes the string; @size is sf_json_string_size(utf8). Each returns the place behind. */
static inline uint8_t *sf_json_write_string(uint8_t *p, struct sf_slice utf8, size_t size)
{
    *p++ = '"';
    if (size == utf8.size + 2) {
        if (utf8.size > 0) {
            memcpy(p, utf8.data, utf8.size);
        }
        p += utf8.size;
    } else {
        p = sf_json_write_escaped(p, utf8);
    }
    *p++ = '"';
    return p;
}

/* Up to SF_JSON_INT_SIZE characters. */
static inline uint8_t *sf_json_write_uint(uint8_t *p, uint64_t value)
{
    uint8_t digits[SF_JSON_INT_SIZE];
    size_t n = 0;

    do {
        digits[n++] = (uint8_t)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    while (n > 0) {
        *p++ = digits[--n];
    }
    return p;
}

static inline uint8_t *sf_json_write_int(uint8_t *p, int64_t value)
{
    if (value < 0) {
        *p++ = '-';
        return sf_json_write_uint(p, -(uint64_t)value);
    }
    return sf_json_write_uint(p, (uint64_t)value);
}
