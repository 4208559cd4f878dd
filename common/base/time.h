/*
 * Dates and points in time as rows keep them: days and microseconds since 1970-01-01, UTC, in the
 * proleptic Gregorian calendar, years 0001 to 9999. No leap seconds, no time zones by name.
 *
 *   Order    Pure functions: no clock, no locale, no heap.
 */
#pragma once

#include "common/base/str.h"

enum {
    SF_DATE_TEXT_SIZE = 11, /* "2026-11-20" with the terminator */
    SF_TIME_TEXT_SIZE = 28, /* "2026-11-20T08:01:12.000000Z" with the terminator */
};

#define SF_TIME_US_MIN INT64_C(-62135596800000000) /* 0001-01-01T00:00:00Z */
#define SF_TIME_US_MAX INT64_C(253402300799999999) /* 9999-12-31T23:59:59.999999Z */
#define SF_DATE_MIN    (-719162)                   /* 0001-01-01 */
#define SF_DATE_MAX    2932896                     /* 9999-12-31 */
#define SF_US_PER_DAY  INT64_C(86400000000)
#define SF_US_PER_SEC  INT64_C(1000000)

struct sf_civil {
    int32_t year;  /* 1..9999 */
    uint8_t month; /* 1..12 */
    uint8_t day;   /* 1..31 */
    uint8_t hour;
    uint8_t minute;
    uint8_t second; /* 0..59 */
    uint32_t us;    /* 0..999999 */
};

static inline bool sf_date_in_range(int64_t days)
{
    return days >= SF_DATE_MIN && days <= SF_DATE_MAX;
}

static inline bool sf_time_in_range(int64_t us)
{
    return us >= SF_TIME_US_MIN && us <= SF_TIME_US_MAX;
}

/* Days of a calendar date; any year whose result fits, month 1..12, any day. */
int64_t sf_days_of(int64_t year, unsigned month, int64_t day);
unsigned sf_days_of_month(int64_t year, unsigned month);
/* The calendar's names of a point in range. */
struct sf_civil sf_civil_of_days(int64_t days);
struct sf_civil sf_civil_of_us(int64_t us);

/* YYYY-MM-DD. SF_PARSE_RANGE: a date that does not exist, or year 0. */
enum sf_parse sf_date_parse(struct sf_slice text, int32_t *ret_days) SF_MUST_CHECK;
/*
 * RFC 3339: YYYY-MM-DD, T or t or one space, HH:MM:SS, an optional fraction of 1..9 digits, and Z,
 * z or +HH:MM or -HH:MM. The zone is not optional. Digits behind the sixth of the fraction are cut.
 * SF_PARSE_RANGE: a date or time of day that does not exist (a leap second too), or out of range.
 */
enum sf_parse sf_time_parse(struct sf_slice text, int64_t *ret_us) SF_MUST_CHECK;
/* Always ten and 27 characters. The value is in range. They return the length. */
size_t sf_date_format(int64_t days, char *ret);
size_t sf_time_format(int64_t us, char *ret);

/* What a format of sf_time_parse_as() reads; zeroed: nothing. */
struct sf_time_parts {
    bool date; /* a whole date: year and (month and day, or day of the year) */
    bool time; /* any of hour, minute, second, fraction, zone */
};
/*
 * Whether @format is one: characters that stand for themselves, %% and the directives
 *   %Y 4 digits   %y 2 digits, 69..99 are 19xx   %m %d %e month, day (1 or 2 digits; %e also " 5")
 *   %b Jan..Dec in any case   %j day of the year, 3 digits   %H %M %S (1 or 2 digits)
 *   %I and %p hour 1..12 with AM or PM   %f fraction, 1..9 digits   %z Z, +HH:MM, +HHMM or +HH
 * each part at most once and a whole date among them.
 */
bool sf_time_format_is_valid(const char *format, struct sf_time_parts *ret);
/* Reads the whole of @text by a valid @format. Without %z it is UTC; what @format leaves out is 0.
 */
enum sf_parse sf_time_parse_as(struct sf_slice text, const char *format,
                               int64_t *ret_us) SF_MUST_CHECK;
enum sf_parse sf_date_parse_as(struct sf_slice text, const char *format,
                               int32_t *ret_days) SF_MUST_CHECK;
