/*
 * Decimals as whole numbers, value * 10^scale, the form rows keep them in: of at most 18 digits as
 * int64, of at most 38 (wide ones) as 16 bytes, big-endian in two's complement.
 *
 *   Order    Pure functions: no locale, no heap.
 */
#pragma once

#include "common/base/str.h"

enum {
    SF_DECIMAL_PRECISION_MAX = 18,
    SF_DECIMAL_TEXT_SIZE = 24, /* with the terminator */
    SF_DECIMAL_WIDE_PRECISION_MAX = 38,
    SF_DECIMAL_WIDE_SIZE = 16,
    SF_DECIMAL_WIDE_TEXT_SIZE = 48,
};

/*
 * -?([0-9]+(.[0-9]+)?|.[0-9]+)([eE][-+]?[0-9]+)?, which covers the numbers of JSON. Exact or not at
 * all: SF_PARSE_INEXACT when digits other than 0 stand behind @scale, SF_PARSE_RANGE when more than
 * @precision digits are needed. @precision is 1..18, @scale at most @precision. Floating point is
 * not involved.
 */
enum sf_parse sf_decimal_parse(struct sf_slice text, unsigned precision, unsigned scale,
                               int64_t *ret) SF_MUST_CHECK;
/* With exactly @scale digits behind the point: "-0.50". Returns the length; @ret has
 * SF_DECIMAL_TEXT_SIZE bytes. @scale is at most 18. */
size_t sf_decimal_format(int64_t unscaled, unsigned scale, char *ret);

/* The same for wide ones. @precision is 1..38. */
enum sf_parse sf_decimal_wide_parse(struct sf_slice text, unsigned precision, unsigned scale,
                                    uint8_t ret[SF_DECIMAL_WIDE_SIZE]) SF_MUST_CHECK;
/* @ret has SF_DECIMAL_WIDE_TEXT_SIZE bytes; any 16 bytes have a text. */
size_t sf_decimal_wide_format(const uint8_t value[SF_DECIMAL_WIDE_SIZE], unsigned scale, char *ret);
/* Whether the value has at most @precision digits. */
bool sf_decimal_wide_fits(const uint8_t value[SF_DECIMAL_WIDE_SIZE],
                          unsigned precision) SF_MUST_CHECK;
/* Order of two values of one scale: below 0, 0, above 0. */
int sf_decimal_wide_compare(const uint8_t a[SF_DECIMAL_WIDE_SIZE],
                            const uint8_t b[SF_DECIMAL_WIDE_SIZE]);

static inline __int128 sf_decimal_wide_get(const uint8_t value[SF_DECIMAL_WIDE_SIZE])
{
    unsigned __int128 raw = 0;

    for (size_t i = 0; i < SF_DECIMAL_WIDE_SIZE; i++) {
        raw = raw << 8 | value[i];
    }
    return (__int128)raw;
}

static inline void sf_decimal_wide_put(__int128 value, uint8_t ret[SF_DECIMAL_WIDE_SIZE])
{
    unsigned __int128 raw = (unsigned __int128)value;

    for (size_t i = SF_DECIMAL_WIDE_SIZE; i-- > 0; raw >>= 8) {
        ret[i] = (uint8_t)raw;
    }
}
