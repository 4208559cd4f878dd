#include "common/base/time.h"

#include <stdio.h>
#include <strings.h>

#include "common/base/assert.h"

/*
 * Howard Hinnant's days_from_civil: years begin in March, so that the leap day is the last of its
 * year, and 400 years (an era, 146,097 days) repeat.
 */
int64_t sf_days_of(int64_t year, unsigned month, int64_t day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t of_era = y - era * 400;
    int64_t of_year = (153 * (int64_t)(month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

unsigned sf_days_of_month(int64_t year, unsigned month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return month == 2 && leap ? 29 : days[month - 1];
}

struct sf_civil sf_civil_of_days(int64_t days)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t of_era = z - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t march = (5 * of_year + 2) / 153;
    int64_t month = march < 10 ? march + 3 : march - 9;

    sf_assert(sf_date_in_range(days));
    return (struct sf_civil){
        .year = (int32_t)(year + era * 400 + (month <= 2)),
        .month = (uint8_t)month,
        .day = (uint8_t)(of_year - (153 * march + 2) / 5 + 1),
    };
}

struct sf_civil sf_civil_of_us(int64_t us)
{
    int64_t days = us / SF_US_PER_DAY - (us % SF_US_PER_DAY < 0);
    int64_t rest = us - days * SF_US_PER_DAY;
    struct sf_civil c = sf_civil_of_days(days);

    c.hour = (uint8_t)(rest / (3600 * SF_US_PER_SEC));
    c.minute = (uint8_t)(rest / (60 * SF_US_PER_SEC) % 60);
    c.second = (uint8_t)(rest / SF_US_PER_SEC % 60);
    c.us = (uint32_t)(rest % SF_US_PER_SEC);
    return c;
}

/* A place in a text that is read from left to right. */
struct cursor {
    const uint8_t *at;
    const uint8_t *end;
};

static struct cursor cursor_of(struct sf_slice text)
{
    return (struct cursor){text.data, text.size > 0 ? text.data + text.size : text.data};
}

/* @least..@most digits into *ret; their number, or 0. */
static unsigned take_digits(struct cursor *c, unsigned least, unsigned most, uint32_t *ret)
{
    uint32_t value = 0;
    unsigned count = 0;

    while (count < most && c->at + count < c->end && c->at[count] >= '0' && c->at[count] <= '9') {
        value = value * 10 + (uint32_t)(c->at[count] - '0');
        count++;
    }
    if (count < least) {
        return 0;
    }
    c->at += count;
    *ret = value;
    return count;
}

static bool take_byte(struct cursor *c, uint8_t byte)
{
    bool there = c->at < c->end && *c->at == byte;

    c->at += there;
    return there;
}

/* 1..9 digits as microseconds; digits behind the sixth are cut. */
static bool take_fraction(struct cursor *c, uint32_t *ret_us)
{
    uint32_t value = 0;
    unsigned digits = take_digits(c, 1, 9, &value);

    for (unsigned i = digits; i < 6; i++) {
        value *= 10;
    }
    for (unsigned i = 6; i < digits; i++) {
        value /= 10;
    }
    *ret_us = value;
    return digits > 0;
}

/* What was read so far; numbers as they stand in the text. */
struct parts {
    uint32_t year, month, day, year_day;
    uint32_t hour, minute, second, us;
    int32_t offset_minutes;
    bool zone_out_of_range;
    bool twelve_hours; /* hour is 1..12 and needs pm */
    bool pm;
};

/* Z or z, or +HH:MM; the colon and the minutes may be missing when @loose. */
static bool take_zone(struct cursor *c, bool loose, struct parts *p)
{
    bool west = c->at < c->end && *c->at == '-';
    uint32_t hours = 0;
    uint32_t minutes = 0;
    bool colon;

    if (take_byte(c, 'Z') || take_byte(c, 'z')) {
        return true;
    }
    if (!take_byte(c, '+') && !take_byte(c, '-')) {
        return false;
    }
    if (take_digits(c, 2, 2, &hours) == 0) {
        return false;
    }
    colon = take_byte(c, ':');
    if ((colon || !loose || c->at < c->end) && take_digits(c, 2, 2, &minutes) == 0) {
        return false;
    }
    if (!colon && !loose) {
        return false;
    }
    p->zone_out_of_range = hours > 23 || minutes > 59;
    p->offset_minutes = (int32_t)(hours * 60 + minutes) * (west ? -1 : 1);
    return true;
}

/* Puts the parts together; SF_PARSE_RANGE when the calendar or the clock does not have them. */
static enum sf_parse join(struct parts *p, int64_t *ret_us)
{
    uint32_t year_days = 365u + (p->year != 0 && sf_days_of_month(p->year, 2) == 29);
    int64_t us;

    if (p->twelve_hours) {
        if (p->hour < 1 || p->hour > 12) {
            return SF_PARSE_RANGE;
        }
        p->hour = p->hour % 12 + (p->pm ? 12 : 0);
    }
    if (p->year < 1 || p->month < 1 || p->month > 12 || p->day < 1 ||
        p->day > sf_days_of_month(p->year, p->month) || p->year_day > year_days || p->hour > 23 ||
        p->minute > 59 || p->second > 59 || p->zone_out_of_range) {
        return SF_PARSE_RANGE;
    }
    us = sf_days_of(p->year, p->month, p->day) * SF_US_PER_DAY;
    us += p->year_day > 0 ? (int64_t)(p->year_day - 1) * SF_US_PER_DAY : 0;
    us += ((int64_t)p->hour * 3600 + (int64_t)p->minute * 60 + p->second) * SF_US_PER_SEC + p->us;
    us -= (int64_t)p->offset_minutes * 60 * SF_US_PER_SEC;
    if (!sf_time_in_range(us)) {
        return SF_PARSE_RANGE;
    }
    *ret_us = us;
    return SF_PARSE_OK;
}

static bool take_date(struct cursor *c, struct parts *p)
{
    return take_digits(c, 4, 4, &p->year) > 0 && take_byte(c, '-') &&
           take_digits(c, 2, 2, &p->month) > 0 && take_byte(c, '-') &&
           take_digits(c, 2, 2, &p->day) > 0;
}

enum sf_parse sf_date_parse(struct sf_slice text, int32_t *ret_days)
{
    struct cursor c = cursor_of(text);
    struct parts p = {0};
    int64_t us = 0;
    enum sf_parse parsed;

    if (!take_date(&c, &p) || c.at != c.end) {
        return SF_PARSE_SYNTAX;
    }
    parsed = join(&p, &us);
    if (parsed == SF_PARSE_OK) {
        *ret_days = (int32_t)(us / SF_US_PER_DAY);
    }
    return parsed;
}

enum sf_parse sf_time_parse(struct sf_slice text, int64_t *ret_us)
{
    struct cursor c = cursor_of(text);
    struct parts p = {0};

    if (!take_date(&c, &p) || !(take_byte(&c, 'T') || take_byte(&c, 't') || take_byte(&c, ' ')) ||
        take_digits(&c, 2, 2, &p.hour) == 0 || !take_byte(&c, ':') ||
        take_digits(&c, 2, 2, &p.minute) == 0 || !take_byte(&c, ':') ||
        take_digits(&c, 2, 2, &p.second) == 0) {
        return SF_PARSE_SYNTAX;
    }
    if (take_byte(&c, '.') && !take_fraction(&c, &p.us)) {
        return SF_PARSE_SYNTAX;
    }
    if (!take_zone(&c, /* loose= */ false, &p) || c.at != c.end) {
        return SF_PARSE_SYNTAX;
    }
    return join(&p, ret_us);
}

/* @count digits of @value, with zeros in front. */
static void put_digits(char *ret, uint32_t value, unsigned count)
{
    for (unsigned i = count; i > 0; i--) {
        ret[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
}

static void put_date(const struct sf_civil *c, char *ret)
{
    put_digits(ret, (uint32_t)c->year, 4);
    ret[4] = '-';
    put_digits(ret + 5, c->month, 2);
    ret[7] = '-';
    put_digits(ret + 8, c->day, 2);
}

size_t sf_date_format(int64_t days, char *ret)
{
    struct sf_civil c = sf_civil_of_days(days);

    put_date(&c, ret);
    ret[SF_DATE_TEXT_SIZE - 1] = '\0';
    return SF_DATE_TEXT_SIZE - 1;
}

size_t sf_time_format(int64_t us, char *ret)
{
    struct sf_civil c = sf_civil_of_us(us);

    put_date(&c, ret);
    ret[10] = 'T';
    put_digits(ret + 11, c.hour, 2);
    ret[13] = ':';
    put_digits(ret + 14, c.minute, 2);
    ret[16] = ':';
    put_digits(ret + 17, c.second, 2);
    ret[19] = '.';
    put_digits(ret + 20, c.us, 6);
    ret[26] = 'Z';
    ret[27] = '\0';
    return SF_TIME_TEXT_SIZE - 1;
}

static bool take_month_name(struct cursor *c, struct parts *p)
{
    static const char *const names[] = {"jan", "feb", "mar", "apr", "may", "jun",
                                        "jul", "aug", "sep", "oct", "nov", "dec"};

    for (uint32_t i = 0; c->end - c->at >= 3 && i < SF_COUNT(names); i++) {
        if (strncasecmp((const char *)c->at, names[i], 3) == 0) {
            c->at += 3;
            p->month = i + 1;
            return true;
        }
    }
    return false;
}

static bool take_half_of_day(struct cursor *c, struct parts *p)
{
    bool am = c->end - c->at >= 2 && strncasecmp((const char *)c->at, "am", 2) == 0;

    p->pm = c->end - c->at >= 2 && strncasecmp((const char *)c->at, "pm", 2) == 0;
    c->at += am || p->pm ? 2 : 0;
    return am || p->pm;
}

static bool take_short_year(struct cursor *c, struct parts *p)
{
    bool there = take_digits(c, 2, 2, &p->year) > 0;

    p->year += p->year >= 69 ? 1900 : 2000;
    return there;
}

static bool take_day_of_year(struct cursor *c, struct parts *p)
{
    bool there = take_digits(c, 3, 3, &p->year_day) > 0;

    p->month = 1;
    p->day = p->year_day > 0 ? 1 : 0; /* day 000 does not exist, as 00 of a month does not */
    return there;
}

/* Reads what one directive stands for. */
static bool take_directive(struct cursor *c, char directive, struct parts *p)
{
    switch (directive) {
    case 'Y':
        return take_digits(c, 4, 4, &p->year) > 0;
    case 'y':
        return take_short_year(c, p);
    case 'm':
        return take_digits(c, 1, 2, &p->month) > 0;
    case 'b':
        return take_month_name(c, p);
    case 'e':
        (void)take_byte(c, ' ');
        return take_digits(c, 1, 2, &p->day) > 0;
    case 'd':
        return take_digits(c, 1, 2, &p->day) > 0;
    case 'j':
        return take_day_of_year(c, p);
    case 'I':
        p->twelve_hours = true;
        return take_digits(c, 1, 2, &p->hour) > 0;
    case 'H':
        return take_digits(c, 1, 2, &p->hour) > 0;
    case 'p':
        return take_half_of_day(c, p);
    case 'M':
        return take_digits(c, 1, 2, &p->minute) > 0;
    case 'S':
        return take_digits(c, 1, 2, &p->second) > 0;
    case 'f':
        return take_fraction(c, &p->us);
    case 'z':
        return take_zone(c, /* loose= */ true, p);
    default:
        return take_byte(c, (uint8_t)directive); /* %% */
    }
}

/* One bit per part of a date or time; both spellings of a part share it. */
static unsigned part_of(char directive)
{
    static const char *const parts[] = {"Yy", "mb", "de", "j", "HI", "p", "M", "S", "f", "z"};

    for (unsigned i = 0; i < SF_COUNT(parts); i++) {
        if (strchr(parts[i], directive) != NULL) {
            return 1u << i;
        }
    }
    return 0;
}

bool sf_time_format_is_valid(const char *format, struct sf_time_parts *ret)
{
    unsigned seen = 0;
    bool has_twelve_hours = false;
    bool month_and_day;
    bool year_day;

    for (const char *f = format; *f != '\0'; f++) {
        unsigned part;

        if (*f != '%') {
            continue;
        }
        f++;
        if (*f == '%') {
            continue;
        }
        part = *f == '\0' ? 0 : part_of(*f);
        if (part == 0 || (seen & part) != 0) {
            return false;
        }
        has_twelve_hours |= *f == 'I';
        seen |= part;
    }
    month_and_day = (seen & (part_of('m') | part_of('d'))) == (part_of('m') | part_of('d'));
    year_day = (seen & part_of('j')) != 0;
    if ((seen & part_of('Y')) == 0 || month_and_day == year_day ||
        has_twelve_hours != ((seen & part_of('p')) != 0)) {
        return false;
    }
    if (year_day && (seen & (part_of('m') | part_of('d'))) != 0) {
        return false;
    }
    ret->date = true;
    ret->time = (seen & ~(part_of('Y') | part_of('m') | part_of('d') | part_of('j'))) != 0;
    return true;
}

enum sf_parse sf_time_parse_as(struct sf_slice text, const char *format, int64_t *ret_us)
{
    struct cursor c = cursor_of(text);
    struct parts p = {0};

    for (const char *f = format; *f != '\0'; f++) {
        bool there;

        if (*f == '%') {
            f++;
            there = take_directive(&c, *f, &p);
        } else {
            there = take_byte(&c, (uint8_t)*f);
        }
        if (!there) {
            return SF_PARSE_SYNTAX;
        }
    }
    return c.at == c.end ? join(&p, ret_us) : SF_PARSE_SYNTAX;
}

enum sf_parse sf_date_parse_as(struct sf_slice text, const char *format, int32_t *ret_days)
{
    int64_t us = 0;
    enum sf_parse parsed = sf_time_parse_as(text, format, &us);

    if (parsed == SF_PARSE_OK) {
        *ret_days = (int32_t)(us / SF_US_PER_DAY - (us % SF_US_PER_DAY < 0));
    }
    return parsed;
}
