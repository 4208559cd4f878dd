/*
 * Decimals of at most 18 digits as int64: value * 10^scale, the form rows keep them in.
 *
 *   Order    Pure functions: no locale, no heap.
 */
#pragma once

#include "common/base/str.h"

enum {
    SF_DECIMAL_PRECISION_MAX = 18,
    SF_DECIMAL_TEXT_SIZE = 24, /* with the terminator */
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
