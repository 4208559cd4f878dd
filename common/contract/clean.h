/*
 * What is done to the text of a field before it is read, as its contract declares it. In this
 * order:
 *
 *   trim      white space at both ends goes: ASCII's, and U+00A0
 *   missing   a text of the list stands for no value
 *   case      letters of ASCII and Latin-1 become lower or upper
 *   parse     the first of the formats that reads the text gives the value
 *
 * Then come default, required and the rules. Only texts are cleaned: cells of CSV, strings of JSON
 * and of string fields in protobuf.
 *
 *   Order    Pure functions.
 */
#pragma once

#include "common/base/arena.h"
#include "common/base/str.h"
#include "common/contract/contract.h"

enum { SF_PARSE_FORMATS_MAX = 8, SF_MISSING_TEXTS_MAX = 32, SF_MISSING_TEXT_BYTES_MAX = 64 };

enum sf_case { SF_CASE_ANY, SF_CASE_LOWER, SF_CASE_UPPER };

/* What a missing value becomes. */
enum sf_missing {
    SF_MISSING_DEFAULT, /* as if the field was not given */
    SF_MISSING_NULL,    /* null, also where there is a default */
    SF_MISSING_REFUSE,  /* a violation */
};

/* How numbers are written. */
enum sf_number_style {
    SF_NUMBER_PLAIN,
    SF_NUMBER_COMMA_POINT,      /* 1,234.56 */
    SF_NUMBER_POINT_COMMA,      /* 1.234,56 */
    SF_NUMBER_SPACE_COMMA,      /* 1 234,56; also with U+00A0 and U+202F */
    SF_NUMBER_APOSTROPHE_POINT, /* 1'234.56 */
    SF_NUMBER_STYLE_COUNT,
};

/* Of dates and timestamps: a format of sf_time_parse_as(), or one of these words. */
#define SF_PARSE_ISO     "iso"     /* as without a format */
#define SF_PARSE_UNIX    "unix"    /* seconds since 1970, of a timestamp */
#define SF_PARSE_UNIX_MS "unix_ms" /* milliseconds */

/* A field that declares nothing of this has none. */
struct sf_clean {
    bool trim;
    enum sf_case letters;
    const char *const *missing_texts;
    size_t missing_count;
    enum sf_missing missing;
    enum sf_number_style number_style;
    /* Of dates and timestamps, as the file has them; none when sf_field.parse is all there is. */
    const char *const *formats;
    size_t format_count;
};

/* How many values of a field were changed by what. */
struct sf_clean_counts {
    uint64_t trimmed;
    uint64_t cased;
    uint64_t parsed;  /* by another format than that of the type */
    uint64_t missing; /* texts that stand for no value */
    uint64_t defaulted;
};
static inline bool sf_clean_counts_any(const struct sf_clean_counts *c)
{
    return (c->trimmed | c->cased | c->parsed | c->missing | c->defaulted) != 0;
}
void sf_clean_counts_add(struct sf_clean_counts *to, const struct sf_clean_counts *c);

/* "1,234.56" and the like, in the order of the enum, from 1 on. */
const char *sf_number_style_text(enum sf_number_style style);

/* Each step; trim and case tell whether they changed anything. */
bool sf_clean_trim(struct sf_slice *text);
bool sf_clean_is_missing(const struct sf_clean *c, struct sf_slice text);
/* A changed text lives in @arena. SF_NOMEM. */
enum sf_code sf_clean_case(enum sf_case letters, struct sf_arena *arena, struct sf_slice *text,
                           bool *ret_changed);
/*
 * A number written in @style as "1234.56", in @arena when it changed. SF_PARSE_SYNTAX: it is not,
 * groups of other than three digits are none. *ret_no_memory is set when that is why.
 */
enum sf_parse sf_clean_number(enum sf_number_style style, struct sf_arena *arena,
                              struct sf_slice *text, bool *ret_no_memory) SF_MUST_CHECK;
/* By the first of the formats that reads it. */
enum sf_parse sf_clean_time(const struct sf_clean *c, struct sf_slice text,
                            int64_t *ret_us) SF_MUST_CHECK;
enum sf_parse sf_clean_date(const struct sf_clean *c, struct sf_slice text,
                            int32_t *ret_days) SF_MUST_CHECK;
/* Whether a number of JSON may stand for a timestamp. */
bool sf_clean_takes_numbers(const struct sf_clean *c);
