#include "common/contract/clean.h"

#include <string.h>

#include "common/base/time.h"

void sf_clean_counts_add(struct sf_clean_counts *to, const struct sf_clean_counts *c)
{
    to->trimmed += c->trimmed;
    to->cased += c->cased;
    to->parsed += c->parsed;
    to->missing += c->missing;
    to->defaulted += c->defaulted;
}

/* What stands between the groups of three digits, and in front of the decimals. */
static const struct {
    const char *text;
    char group;
    char mark;
} styles[SF_NUMBER_STYLE_COUNT] = {
    [SF_NUMBER_PLAIN] = {"", '\0', '.'},
    [SF_NUMBER_COMMA_POINT] = {"1,234.56", ',', '.'},
    [SF_NUMBER_POINT_COMMA] = {"1.234,56", '.', ','},
    [SF_NUMBER_SPACE_COMMA] = {"1 234,56", ' ', ','},
    [SF_NUMBER_APOSTROPHE_POINT] = {"1'234.56", '\'', '.'},
};

const char *sf_number_style_text(enum sf_number_style style)
{
    return styles[style].text;
}

/* --- trim, missing, case ---------------------------------------------------------------------- */

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static size_t space_at_start(struct sf_slice s)
{
    if (s.size > 0 && is_space(s.data[0])) {
        return 1;
    }
    return s.size > 1 && s.data[0] == 0xc2 && s.data[1] == 0xa0 ? 2 : 0;
}

static size_t space_at_end(struct sf_slice s)
{
    if (s.size > 0 && is_space(s.data[s.size - 1])) {
        return 1;
    }
    return s.size > 1 && s.data[s.size - 2] == 0xc2 && s.data[s.size - 1] == 0xa0 ? 2 : 0;
}

bool sf_clean_trim(struct sf_slice *text)
{
    const size_t before = text->size;
    size_t n;

    while ((n = space_at_start(*text)) > 0) {
        text->data += n;
        text->size -= n;
    }
    while ((n = space_at_end(*text)) > 0) {
        text->size -= n;
    }
    return text->size != before;
}

bool sf_clean_is_missing(const struct sf_clean *c, struct sf_slice text)
{
    for (size_t i = 0; i < c->missing_count; i++) {
        if (sf_slice_equal(sf_slice_text(c->missing_texts[i]), text)) {
            return true;
        }
    }
    return false;
}

/* The byte at @i in the other case; Latin-1's letters differ in their second byte only. */
static uint8_t recased(enum sf_case letters, struct sf_slice s, size_t i)
{
    const uint8_t c = s.data[i];
    const bool is_latin = i > 0 && s.data[i - 1] == 0xc3;

    if (letters == SF_CASE_LOWER) {
        if (c >= 'A' && c <= 'Z') {
            return (uint8_t)(c + 0x20);
        }
        return is_latin && c >= 0x80 && c <= 0x9e && c != 0x97 ? (uint8_t)(c + 0x20) : c;
    }
    if (c >= 'a' && c <= 'z') {
        return (uint8_t)(c - 0x20);
    }
    return is_latin && c >= 0xa0 && c <= 0xbe && c != 0xb7 ? (uint8_t)(c - 0x20) : c;
}

enum sf_code sf_clean_case(enum sf_case letters, struct sf_arena *arena, struct sf_slice *text,
                           bool *ret_changed)
{
    uint8_t *bytes;
    size_t i = 0;

    *ret_changed = false;
    if (letters == SF_CASE_ANY) {
        return SF_OK;
    }
    while (i < text->size && recased(letters, *text, i) == text->data[i]) {
        i++;
    }
    if (i == text->size) {
        return SF_OK;
    }
    bytes = sf_arena_alloc(arena, text->size);
    if (bytes == NULL) {
        return SF_NOMEM;
    }
    for (i = 0; i < text->size; i++) {
        bytes[i] = recased(letters, *text, i);
    }
    text->data = bytes;
    *ret_changed = true;
    return SF_OK;
}

/* --- numbers ---------------------------------------------------------------------------------- */

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* Bytes of the separator of groups at @at, or 0. */
static size_t group_at(enum sf_number_style style, struct sf_slice s, size_t at)
{
    if (at < s.size && s.data[at] == (uint8_t)styles[style].group) {
        return 1;
    }
    if (style != SF_NUMBER_SPACE_COMMA) {
        return 0;
    }
    if (s.size - at >= 2 && memcmp(s.data + at, "\xc2\xa0", 2) == 0) {
        return 2;
    }
    return s.size - at >= 3 && memcmp(s.data + at, "\xe2\x80\xaf", 3) == 0 ? 3 : 0;
}

/* Digits from *at on into @ret; how many. */
static size_t take_digits(struct sf_slice s, size_t *at, uint8_t *ret, size_t *size)
{
    const size_t from = *at;

    while (*at < s.size && is_digit(s.data[*at])) {
        ret[(*size)++] = s.data[(*at)++];
    }
    return *at - from;
}

/* The digits in front of the decimals: all in one, or in groups of three behind the first. */
static bool take_whole(enum sf_number_style style, struct sf_slice s, size_t *at, uint8_t *ret,
                       size_t *size)
{
    size_t digits = take_digits(s, at, ret, size);
    size_t separator = group_at(style, s, *at);

    if (digits == 0 || (separator > 0 && digits > 3)) {
        return false;
    }
    for (; separator > 0; separator = group_at(style, s, *at)) {
        *at += separator;
        if (take_digits(s, at, ret, size) != 3) {
            return false;
        }
    }
    return true;
}

enum sf_parse sf_clean_number(enum sf_number_style style, struct sf_arena *arena,
                              struct sf_slice *text, bool *ret_no_memory)
{
    const struct sf_slice s = *text;
    uint8_t *bytes = sf_arena_alloc(arena, s.size + 1);
    size_t size = 0;
    size_t at = 0;

    *ret_no_memory = bytes == NULL;
    if (bytes == NULL) {
        return SF_PARSE_SYNTAX;
    }
    if (at < s.size && (s.data[at] == '-' || s.data[at] == '+')) {
        if (s.data[at] == '-') {
            bytes[size++] = '-';
        }
        at++;
    }
    if (!take_whole(style, s, &at, bytes, &size)) {
        return SF_PARSE_SYNTAX;
    }
    if (at < s.size && s.data[at] == (uint8_t)styles[style].mark) {
        at++;
        bytes[size++] = '.';
        if (take_digits(s, &at, bytes, &size) == 0) {
            return SF_PARSE_SYNTAX;
        }
    }
    if (at < s.size) {
        return SF_PARSE_SYNTAX;
    }
    *text = sf_slice_of(bytes, size);
    return SF_PARSE_OK;
}

/* --- dates and timestamps --------------------------------------------------------------------- */

static enum sf_parse epoch(struct sf_slice text, int64_t unit_us, int64_t *ret_us)
{
    int64_t n = 0;
    enum sf_parse parsed = sf_parse_i64(text, &n);

    if (parsed != SF_PARSE_OK) {
        return parsed;
    }
    if (n > SF_TIME_US_MAX / unit_us || n < SF_TIME_US_MIN / unit_us) {
        return SF_PARSE_RANGE;
    }
    *ret_us = n * unit_us;
    return SF_PARSE_OK;
}

static enum sf_parse time_by(const char *format, struct sf_slice text, int64_t *ret_us)
{
    if (strcmp(format, SF_PARSE_ISO) == 0) {
        return sf_time_parse(text, ret_us);
    }
    if (strcmp(format, SF_PARSE_UNIX) == 0) {
        return epoch(text, 1000000, ret_us);
    }
    return strcmp(format, SF_PARSE_UNIX_MS) == 0 ? epoch(text, 1000, ret_us)
                                                 : sf_time_parse_as(text, format, ret_us);
}

/* What says most about the text stays: a date that does not exist is a date. */
static enum sf_parse better(enum sf_parse a, enum sf_parse b)
{
    return a == SF_PARSE_SYNTAX ? b : a;
}

enum sf_parse sf_clean_time(const struct sf_clean *c, struct sf_slice text, int64_t *ret_us)
{
    enum sf_parse best = SF_PARSE_SYNTAX;

    for (size_t i = 0; i < c->format_count; i++) {
        enum sf_parse parsed = time_by(c->formats[i], text, ret_us);

        if (parsed == SF_PARSE_OK) {
            return SF_PARSE_OK;
        }
        best = better(best, parsed);
    }
    return best;
}

enum sf_parse sf_clean_date(const struct sf_clean *c, struct sf_slice text, int32_t *ret_days)
{
    enum sf_parse best = SF_PARSE_SYNTAX;

    for (size_t i = 0; i < c->format_count; i++) {
        enum sf_parse parsed = strcmp(c->formats[i], SF_PARSE_ISO) == 0
                                   ? sf_date_parse(text, ret_days)
                                   : sf_date_parse_as(text, c->formats[i], ret_days);

        if (parsed == SF_PARSE_OK) {
            return SF_PARSE_OK;
        }
        best = better(best, parsed);
    }
    return best;
}

bool sf_clean_takes_numbers(const struct sf_clean *c)
{
    for (size_t i = 0; i < c->format_count; i++) {
        if (strcmp(c->formats[i], SF_PARSE_UNIX) == 0 ||
            strcmp(c->formats[i], SF_PARSE_UNIX_MS) == 0) {
            return true;
        }
    }
    return false;
}
