#include "common/base/decimal.h"

#include <stdio.h>

#include "common/base/assert.h"

/* A number as its significant digits: 0.DIGITS * 10^point, without zeros at either end. */
struct digits {
    uint8_t digit[SF_DECIMAL_WIDE_PRECISION_MAX];
    size_t count;     /* significant ones seen; only the first 38 are kept */
    int64_t trailing; /* zeros since the last digit that counts */
    int64_t point;
    bool negative;
};

static void put_digit(struct digits *d, uint8_t digit)
{
    if (digit == 0) {
        d->trailing += d->count > 0;
        return;
    }
    for (; d->trailing > 0; d->trailing--) {
        if (d->count < SF_DECIMAL_WIDE_PRECISION_MAX) {
            d->digit[d->count] = 0;
        }
        d->count++;
    }
    if (d->count < SF_DECIMAL_WIDE_PRECISION_MAX) {
        d->digit[d->count] = digit;
    }
    d->count++;
}

static bool is_digit(struct sf_slice s, size_t at)
{
    return at < s.size && s.data[at] >= '0' && s.data[at] <= '9';
}

/* Reads the exponent from @at to the end into d->point. Capped: beyond a million it is only "far".
 */
static bool read_exponent(struct digits *d, struct sf_slice s, size_t at)
{
    int64_t exponent = 0;
    bool negative = at < s.size && s.data[at] == '-';

    at += at < s.size && (s.data[at] == '-' || s.data[at] == '+');
    if (!is_digit(s, at)) {
        return false;
    }
    for (; is_digit(s, at); at++) {
        exponent = exponent < 1000000 ? exponent * 10 + (s.data[at] - '0') : exponent;
    }
    d->point += negative ? -exponent : exponent;
    return at == s.size;
}

static bool read_digits(struct digits *d, struct sf_slice s)
{
    size_t at = s.size > 0 && s.data[0] == '-' ? 1 : 0;
    bool any = false;

    d->negative = at == 1;
    for (; is_digit(s, at); at++) {
        put_digit(d, (uint8_t)(s.data[at] - '0'));
        d->point += d->count > 0;
        any = true;
    }
    if (at < s.size && s.data[at] == '.') {
        if (!is_digit(s, at + 1)) {
            return false;
        }
        for (at++; is_digit(s, at); at++) {
            put_digit(d, (uint8_t)(s.data[at] - '0'));
            d->point -= d->count == 0;
        }
        any = true;
    }
    if (any && at < s.size && (s.data[at] == 'e' || s.data[at] == 'E')) {
        return read_exponent(d, s, at + 1);
    }
    return any && at == s.size;
}

/* The digits of the unscaled value, *ret_places of them; those behind d->count are zeros. */
static enum sf_parse find_places(struct digits *d, struct sf_slice text, unsigned precision,
                                 unsigned scale, int64_t *ret_places)
{
    int64_t places;

    if (!read_digits(d, text)) {
        return SF_PARSE_SYNTAX;
    }
    places = d->count == 0 ? 0 : d->point + scale;
    if (places > (int64_t)precision) {
        return SF_PARSE_RANGE;
    }
    if (places < (int64_t)d->count) {
        return SF_PARSE_INEXACT;
    }
    *ret_places = places;
    return SF_PARSE_OK;
}

enum sf_parse sf_decimal_parse(struct sf_slice text, unsigned precision, unsigned scale,
                               int64_t *ret)
{
    struct digits d = {0};
    int64_t places;
    int64_t value = 0;
    enum sf_parse parsed;

    sf_assert(precision >= 1 && precision <= SF_DECIMAL_PRECISION_MAX && scale <= precision);
    parsed = find_places(&d, text, precision, scale, &places);
    if (parsed != SF_PARSE_OK) {
        return parsed;
    }
    for (int64_t i = 0; i < places; i++) {
        value = value * 10 + (i < (int64_t)d.count ? d.digit[i] : 0);
    }
    *ret = d.negative ? -value : value;
    return SF_PARSE_OK;
}

size_t sf_decimal_format(int64_t unscaled, unsigned scale, char *ret)
{
    uint64_t magnitude = unscaled < 0 ? 0 - (uint64_t)unscaled : (uint64_t)unscaled;
    uint64_t unit = 1;
    int size;

    sf_assert(scale <= SF_DECIMAL_PRECISION_MAX);
    for (unsigned i = 0; i < scale; i++) {
        unit *= 10;
    }
    if (scale == 0) {
        size = snprintf(ret, SF_DECIMAL_TEXT_SIZE, "%lld", (long long)unscaled);
    } else {
        size = snprintf(ret, SF_DECIMAL_TEXT_SIZE, "%s%llu.%0*llu", unscaled < 0 ? "-" : "",
                        (unsigned long long)(magnitude / unit), (int)scale,
                        (unsigned long long)(magnitude % unit));
    }
    return (size_t)size;
}

/* --- wide ones -------------------------------------------------------------------------------- */

enum sf_parse sf_decimal_wide_parse(struct sf_slice text, unsigned precision, unsigned scale,
                                    uint8_t ret[SF_DECIMAL_WIDE_SIZE])
{
    struct digits d = {0};
    int64_t places;
    __int128 value = 0;
    enum sf_parse parsed;

    sf_assert(precision >= 1 && precision <= SF_DECIMAL_WIDE_PRECISION_MAX && scale <= precision);
    parsed = find_places(&d, text, precision, scale, &places);
    if (parsed != SF_PARSE_OK) {
        return parsed;
    }
    for (int64_t i = 0; i < places; i++) {
        value = value * 10 + (i < (int64_t)d.count ? d.digit[i] : 0);
    }
    sf_decimal_wide_put(d.negative ? -value : value, ret);
    return SF_PARSE_OK;
}

static unsigned __int128 magnitude_of(const uint8_t value[SF_DECIMAL_WIDE_SIZE])
{
    __int128 v = sf_decimal_wide_get(value);

    return v < 0 ? 0 - (unsigned __int128)v : (unsigned __int128)v;
}

size_t sf_decimal_wide_format(const uint8_t value[SF_DECIMAL_WIDE_SIZE], unsigned scale, char *ret)
{
    unsigned __int128 left = magnitude_of(value);
    char digits[SF_DECIMAL_WIDE_PRECISION_MAX + 1]; /* 2^127 has 39 */
    unsigned count = 0;
    size_t size = 0;

    sf_assert(scale <= SF_DECIMAL_WIDE_PRECISION_MAX);
    while (left != 0 || count <= scale) {
        digits[count++] = (char)('0' + (int)(left % 10));
        left /= 10;
    }
    if (value[0] >= 0x80) {
        ret[size++] = '-';
    }
    while (count > 0) {
        if (count == scale) {
            ret[size++] = '.';
        }
        ret[size++] = digits[--count];
    }
    ret[size] = '\0';
    return size;
}

bool sf_decimal_wide_fits(const uint8_t value[SF_DECIMAL_WIDE_SIZE], unsigned precision)
{
    unsigned __int128 limit = 1;

    for (unsigned i = 0; i < precision; i++) {
        limit *= 10;
    }
    return magnitude_of(value) < limit;
}

int sf_decimal_wide_compare(const uint8_t a[SF_DECIMAL_WIDE_SIZE],
                            const uint8_t b[SF_DECIMAL_WIDE_SIZE])
{
    __int128 x = sf_decimal_wide_get(a);
    __int128 y = sf_decimal_wide_get(b);

    return (x > y) - (x < y);
}
