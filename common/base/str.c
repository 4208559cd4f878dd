#include "common/base/str.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/assert.h"

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Optimal string alignment: three rows of the edit matrix are enough. */
size_t sf_text_distance(struct sf_slice a, struct sf_slice b, size_t max)
{
    size_t rows[3][SF_NAME_COMPARE_MAX + 1];
    size_t *before = rows[0];
    size_t *previous = rows[1];
    size_t *row = rows[2];

    if (a.size > SF_NAME_COMPARE_MAX || b.size > SF_NAME_COMPARE_MAX) {
        return max + 1;
    }
    for (size_t j = 0; j <= b.size; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a.size; i++) {
        size_t *spare = before;

        before = previous;
        previous = row;
        row = spare;
        row[0] = i;
        for (size_t j = 1; j <= b.size; j++) {
            uint8_t x = lower(a.data[i - 1]);
            uint8_t y = lower(b.data[j - 1]);

            row[j] = smaller(smaller(previous[j] + 1, row[j - 1] + 1), previous[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == lower(b.data[j - 2]) && y == lower(a.data[i - 2])) {
                row[j] = smaller(row[j], before[j - 2] + 1);
            }
        }
    }
    return smaller(row[b.size], max + 1);
}

/* People get the first letter right. */
static bool begins_as(struct sf_slice a, struct sf_slice b)
{
    return a.size > 0 && b.size > 0 && lower(a.data[0]) == lower(b.data[0]);
}

const char *sf_text_nearest(struct sf_slice given, const char *const *names, size_t count)
{
    const char *best = NULL;
    size_t best_distance = 3;

    for (size_t i = 0; i < count; i++) {
        struct sf_slice name = sf_slice_text(names[i]);
        size_t distance = sf_text_distance(given, name, 2);
        const bool is_nearer = distance < best_distance ||
                               (distance == best_distance && best != NULL &&
                                begins_as(given, name) && !begins_as(given, sf_slice_text(best)));

        if (is_nearer && distance * 2 < name.size) {
            best_distance = distance;
            best = names[i];
        }
    }
    return best;
}

enum sf_parse sf_parse_u64(struct sf_slice text, uint64_t *ret)
{
    uint64_t value = 0;
    bool too_large = false;

    if (text.size == 0) {
        return SF_PARSE_SYNTAX;
    }
    for (size_t i = 0; i < text.size; i++) {
        uint8_t digit = (uint8_t)(text.data[i] - '0');

        if (digit > 9) {
            return SF_PARSE_SYNTAX;
        }
        too_large |= __builtin_mul_overflow(value, (uint64_t)10, &value);
        too_large |= __builtin_add_overflow(value, (uint64_t)digit, &value);
    }
    if (too_large) {
        return SF_PARSE_RANGE;
    }
    *ret = value;
    return SF_PARSE_OK;
}

enum sf_parse sf_parse_i64(struct sf_slice text, int64_t *ret)
{
    bool negative = text.size > 0 && text.data[0] == '-';
    uint64_t limit = (uint64_t)INT64_MAX + (negative ? 1 : 0);
    struct sf_slice digits = negative ? sf_slice_of(text.data + 1, text.size - 1) : text;
    uint64_t value = 0;
    enum sf_parse parsed = sf_parse_u64(digits, &value);

    if (parsed != SF_PARSE_OK) {
        return parsed;
    }
    if (value > limit) {
        return SF_PARSE_RANGE;
    }
    *ret = negative ? (int64_t)(0 - value) : (int64_t)value;
    return SF_PARSE_OK;
}

/* Digits from @at on; where they end. */
static size_t skip_digits(struct sf_slice s, size_t at)
{
    while (at < s.size && s.data[at] >= '0' && s.data[at] <= '9') {
        at++;
    }
    return at;
}

static bool is_double_text(struct sf_slice s)
{
    size_t at = s.size > 0 && s.data[0] == '-' ? 1 : 0;
    size_t whole = skip_digits(s, at);
    bool has_digits = whole > at;

    at = whole;
    if (at < s.size && s.data[at] == '.') {
        size_t end = skip_digits(s, at + 1);

        if (end == at + 1) {
            return false;
        }
        has_digits = true;
        at = end;
    }
    if (has_digits && at < s.size && (s.data[at] == 'e' || s.data[at] == 'E')) {
        size_t start = at + 1;
        size_t end;

        start += start < s.size && (s.data[start] == '-' || s.data[start] == '+');
        end = skip_digits(s, start);
        if (end == start) {
            return false;
        }
        at = end;
    }
    return has_digits && at == s.size;
}

enum { DOUBLE_TEXT_MAX = 1000 };

enum sf_parse sf_parse_double(struct sf_slice text, double *ret)
{
    char copy[DOUBLE_TEXT_MAX + 1];
    locale_t c_locale;
    double value;

    if (!is_double_text(text)) {
        return SF_PARSE_SYNTAX;
    }
    if (text.size > DOUBLE_TEXT_MAX) {
        return SF_PARSE_RANGE;
    }
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    /* glibc keeps the C locale in static storage: this neither allocates nor needs freelocale(). */
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    sf_assert(c_locale != (locale_t)0);
    value = strtod_l(copy, NULL, c_locale);
    if (!isfinite(value)) {
        return SF_PARSE_RANGE;
    }
    *ret = value == 0 ? 0 : value;
    return SF_PARSE_OK;
}

/* @value with so many digits; returns the length. */
static size_t put_digits(double value, int digits, char *ret)
{
    int size = snprintf(ret, SF_DOUBLE_TEXT_SIZE, "%.*g", digits, value);

    /* The decimal point is the locale's; every other character is the same everywhere. */
    for (int i = 0; i < size; i++) {
        if (strchr("0123456789-+e", ret[i]) == NULL) {
            ret[i] = '.';
        }
    }
    return (size_t)size;
}

size_t sf_format_double(double value, char *ret)
{
    sf_assert(isfinite(value));
    for (int digits = 15;; digits++) {
        double back = 0;
        size_t size = put_digits(value, digits, ret);

        if (digits == 17 ||
            (sf_parse_double(sf_slice_of(ret, size), &back) == SF_PARSE_OK && back == value)) {
            return size;
        }
    }
}

size_t sf_format_float(float value, char *ret)
{
    sf_assert(isfinite(value));
    for (int digits = 6;; digits++) {
        double back = 0;
        size_t size = put_digits((double)value, digits, ret);

        if (digits == 9 || (sf_parse_double(sf_slice_of(ret, size), &back) == SF_PARSE_OK &&
                            (float)back == value)) {
            return size;
        }
    }
}

struct unit {
    const char *name;
    uint64_t factor;
};

/* Largest first; "min" is a second spelling of "m". */
static const struct unit time_units[] = {
    {"w", 604800000000}, {"d", 86400000000}, {"h", 3600000000}, {"m", 60000000},
    {"min", 60000000},   {"s", 1000000},     {"ms", 1000},      {"us", 1},
};

static const struct unit size_units[] = {
    {"", 1},
    {"B", 1},
    {"kB", 1000},
    {"MB", 1000000},
    {"GB", 1000000000},
    {"TB", 1000000000000},
    {"KiB", UINT64_C(1) << 10},
    {"MiB", UINT64_C(1) << 20},
    {"GiB", UINT64_C(1) << 30},
    {"TiB", UINT64_C(1) << 40},
};

static const struct unit *find_unit(const struct unit *units, size_t count, struct sf_slice name)
{
    for (size_t i = 0; i < count; i++) {
        if (sf_slice_equal(name, sf_slice_text(units[i].name))) {
            return &units[i];
        }
    }
    return NULL;
}

enum sf_parse sf_parse_duration(struct sf_slice text, int64_t *ret_us)
{
    uint64_t sum = 0;
    uint64_t last_factor = UINT64_MAX;
    bool too_large = false;

    if (text.size == 0) {
        return SF_PARSE_SYNTAX;
    }
    for (size_t at = 0; at < text.size;) {
        size_t number_end = skip_digits(text, at);
        size_t unit_end = number_end;
        const struct unit *unit;
        uint64_t count = 0;
        enum sf_parse parsed;

        while (unit_end < text.size && text.data[unit_end] >= 'a' && text.data[unit_end] <= 'z') {
            unit_end++;
        }
        unit = find_unit(time_units, SF_COUNT(time_units),
                         sf_slice_of(text.data + number_end, unit_end - number_end));
        parsed = sf_parse_u64(sf_slice_of(text.data + at, number_end - at), &count);
        if (parsed == SF_PARSE_SYNTAX || unit == NULL || unit->factor >= last_factor) {
            return SF_PARSE_SYNTAX;
        }
        too_large |= parsed == SF_PARSE_RANGE;
        too_large |= __builtin_mul_overflow(count, unit->factor, &count);
        too_large |= __builtin_add_overflow(sum, count, &sum);
        last_factor = unit->factor;
        at = unit_end;
    }
    if (too_large || sum > INT64_MAX) {
        return SF_PARSE_RANGE;
    }
    *ret_us = (int64_t)sum;
    return SF_PARSE_OK;
}

size_t sf_format_u64(uint64_t value, char *ret)
{
    char digits[SF_U64_TEXT_SIZE];
    size_t at = sizeof(digits);
    size_t n;

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    n = sizeof(digits) - at;
    memcpy(ret, digits + at, n);
    ret[n] = '\0';
    return n;
}

size_t sf_format_duration(int64_t us, char *ret)
{
    /* Weeks are read but not written: people say 90d, not 12w6d. */
    static const char *const written[] = {"d", "h", "m", "s", "ms", "us"};
    uint64_t value = (uint64_t)us;

    sf_assert(us >= 0);
    if (value == 0) {
        return (size_t)snprintf(ret, SF_DURATION_TEXT_SIZE, "0s");
    }
    for (size_t i = 0;; i++) {
        const struct unit *unit =
            find_unit(time_units, SF_COUNT(time_units), sf_slice_text(written[i]));

        if (value % unit->factor == 0) {
            return (size_t)snprintf(ret, SF_DURATION_TEXT_SIZE, "%llu%s",
                                    (unsigned long long)(value / unit->factor), unit->name);
        }
    }
}

enum sf_parse sf_parse_size(struct sf_slice text, uint64_t *ret_bytes)
{
    size_t digits = skip_digits(text, 0);
    uint64_t count = 0;
    enum sf_parse parsed = sf_parse_u64(sf_slice_of(text.data, digits), &count);
    const struct unit *unit = digits == 0
                                  ? NULL
                                  : find_unit(size_units, SF_COUNT(size_units),
                                              sf_slice_of(text.data + digits, text.size - digits));

    if (parsed == SF_PARSE_SYNTAX || unit == NULL) {
        return SF_PARSE_SYNTAX;
    }
    if (parsed != SF_PARSE_OK || __builtin_mul_overflow(count, unit->factor, &count)) {
        return SF_PARSE_RANGE;
    }
    *ret_bytes = count;
    return SF_PARSE_OK;
}
