#include "tests/lib/cmocka.h"

#include <time.h>

#include "common/base/time.h"

static void test_every_day_of_the_calendar_round_trips(void **state)
{
    int64_t days = SF_DATE_MIN;

    (void)state;
    for (int32_t year = 1; year <= 9999; year++) {
        for (unsigned month = 1; month <= 12; month++) {
            unsigned last = sf_days_of_month(year, month);
            struct sf_civil c = sf_civil_of_days(days);

            if (c.year != year || c.month != month || c.day != 1 ||
                sf_days_of(year, month, 1) != days) {
                fail_msg("%d-%u is wrong", (int)year, month);
            }
            days += last;
            c = sf_civil_of_days(days - 1);
            if (c.month != month || c.day != last) {
                fail_msg("the last of %d-%u is wrong", (int)year, month);
            }
        }
    }
    assert_int_equal(days - 1, SF_DATE_MAX);
    assert_int_equal(sf_days_of(1970, 1, 1), 0);
    assert_int_equal(sf_days_of(2000, 2, 29), 11016);
    assert_int_equal(sf_days_of(1969, 12, 31), -1);
}

static void test_agrees_with_the_library_of_the_system(void **state)
{
    (void)state;
    for (int64_t second = -5000000000; second < 9000000000; second += 1234577) {
        struct sf_civil c = sf_civil_of_us(second * SF_US_PER_SEC);
        struct tm tm;
        time_t t = (time_t)second;

        assert_non_null(gmtime_r(&t, &tm));
        if (c.year != tm.tm_year + 1900 || c.month != tm.tm_mon + 1 || c.day != tm.tm_mday ||
            c.hour != tm.tm_hour || c.minute != tm.tm_min || c.second != tm.tm_sec) {
            fail_msg("second %lld is wrong", (long long)second);
        }
    }
}

static void test_reads_rfc_3339_and_nothing_else(void **state)
{
    static const struct {
        const char *text;
        enum sf_parse parsed;
        int64_t us;
    } cases[] = {
        {"1970-01-01T00:00:00Z", SF_PARSE_OK, 0},
        {"2001-01-01T00:47:00Z", SF_PARSE_OK, 978310020000000},
        {"2001-01-01t00:47:00z", SF_PARSE_OK, 978310020000000},
        {"2001-01-01 00:47:00Z", SF_PARSE_OK, 978310020000000},
        {"2001-01-01T01:47:00+01:00", SF_PARSE_OK, 978310020000000},
        {"2000-12-31T19:17:00-05:30", SF_PARSE_OK, 978310020000000},
        {"2001-01-01T00:47:00.5Z", SF_PARSE_OK, 978310020500000},
        {"2001-01-01T00:47:00.123456Z", SF_PARSE_OK, 978310020123456},
        {"2001-01-01T00:47:00.123456789Z", SF_PARSE_OK, 978310020123456},
        {"1969-12-31T23:59:59.999999Z", SF_PARSE_OK, -1},
        {"0001-01-01T00:00:00Z", SF_PARSE_OK, SF_TIME_US_MIN},
        {"9999-12-31T23:59:59.999999Z", SF_PARSE_OK, SF_TIME_US_MAX},
        {"0001-01-01T00:00:00+00:01", SF_PARSE_RANGE, 0},
        {"9999-12-31T23:59:59-00:01", SF_PARSE_RANGE, 0},
        {"0000-01-01T00:00:00Z", SF_PARSE_RANGE, 0},
        {"2001-02-29T00:00:00Z", SF_PARSE_RANGE, 0},
        {"2001-13-01T00:00:00Z", SF_PARSE_RANGE, 0},
        {"2001-00-01T00:00:00Z", SF_PARSE_RANGE, 0},
        {"2001-01-01T24:00:00Z", SF_PARSE_RANGE, 0},
        {"2016-12-31T23:59:60Z", SF_PARSE_RANGE, 0},
        {"2001-01-01T00:00:00+24:00", SF_PARSE_RANGE, 0},
        {"2001-01-01T00:00:00+01:60", SF_PARSE_RANGE, 0},
        {"2001-01-01T00:47:00", SF_PARSE_SYNTAX, 0},
        {"2001-01-01T00:47Z", SF_PARSE_SYNTAX, 0},
        {"2001-01-01", SF_PARSE_SYNTAX, 0},
        {"2001-1-1T00:47:00Z", SF_PARSE_SYNTAX, 0},
        {"2001/01/01T00:47:00Z", SF_PARSE_SYNTAX, 0},
        {"2001-01-01T00:47:00.Z", SF_PARSE_SYNTAX, 0},
        {"2001-01-01T00:47:00.1234567890Z", SF_PARSE_SYNTAX, 0},
        {"2001-01-01T00:47:00+0100", SF_PARSE_SYNTAX, 0},
        {"2001-01-01T00:47:00+01", SF_PARSE_SYNTAX, 0},
        {"2001-01-01T00:47:00Z ", SF_PARSE_SYNTAX, 0},
        {" 2001-01-01T00:47:00Z", SF_PARSE_SYNTAX, 0},
        {"+2001-01-01T00:47:00Z", SF_PARSE_SYNTAX, 0},
        {"", SF_PARSE_SYNTAX, 0},
    };

    (void)state;
    for (size_t i = 0; i < SF_COUNT(cases); i++) {
        int64_t us = 77;
        enum sf_parse parsed = sf_time_parse(sf_slice_text(cases[i].text), &us);

        if (parsed != cases[i].parsed || us != (parsed == SF_PARSE_OK ? cases[i].us : 77)) {
            fail_msg("'%s' gives verdict %d, %lld us", cases[i].text, (int)parsed, (long long)us);
        }
    }
}

static void test_writes_the_one_form(void **state)
{
    char time_text[SF_TIME_TEXT_SIZE];
    char date_text[SF_DATE_TEXT_SIZE];
    int32_t days = 0;

    (void)state;
    assert_int_equal(sf_time_format(978310020000007, time_text), 27);
    assert_string_equal(time_text, "2001-01-01T00:47:00.000007Z");
    (void)sf_time_format(-1, time_text);
    assert_string_equal(time_text, "1969-12-31T23:59:59.999999Z");
    (void)sf_time_format(SF_TIME_US_MIN, time_text);
    assert_string_equal(time_text, "0001-01-01T00:00:00.000000Z");
    (void)sf_time_format(SF_TIME_US_MAX, time_text);
    assert_string_equal(time_text, "9999-12-31T23:59:59.999999Z");
    assert_int_equal(sf_date_format(11016, date_text), 10);
    assert_string_equal(date_text, "2000-02-29");
    assert_int_equal(sf_date_parse(SF_LITERAL("2000-02-29"), &days), SF_PARSE_OK);
    assert_int_equal(days, 11016);
    assert_int_equal(sf_date_parse(SF_LITERAL("1969-12-31"), &days), SF_PARSE_OK);
    assert_int_equal(days, -1);
    assert_int_equal(sf_date_parse(SF_LITERAL("1900-02-29"), &days), SF_PARSE_RANGE);
    assert_int_equal(sf_date_parse(SF_LITERAL("2000-2-29"), &days), SF_PARSE_SYNTAX);
    assert_int_equal(sf_date_parse(SF_LITERAL("2000-02-29Z"), &days), SF_PARSE_SYNTAX);
}

static void test_reads_by_format(void **state)
{
    static const struct {
        const char *format;
        const char *text;
        enum sf_parse parsed;
        const char *wanted;
    } cases[] = {
        {"%Y/%m/%d %H:%M", "2001/01/01 00:47", SF_PARSE_OK, "2001-01-01T00:47:00.000000Z"},
        {"%Y/%m/%d %H:%M", "2001/1/2 3:4", SF_PARSE_OK, "2001-01-02T03:04:00.000000Z"},
        {"%Y%m%d%H%M%S", "20010102030405", SF_PARSE_OK, "2001-01-02T03:04:05.000000Z"},
        {"%d.%m.%y", "31.12.68", SF_PARSE_OK, "2068-12-31T00:00:00.000000Z"},
        {"%d.%m.%y", "31.12.69", SF_PARSE_OK, "1969-12-31T00:00:00.000000Z"},
        {"%b %e %Y", "JAN  5 2001", SF_PARSE_OK, "2001-01-05T00:00:00.000000Z"},
        {"%b %e %Y", "dec 31 2001", SF_PARSE_OK, "2001-12-31T00:00:00.000000Z"},
        {"%Y-%j", "2000-366", SF_PARSE_OK, "2000-12-31T00:00:00.000000Z"},
        {"%Y-%j", "2001-366", SF_PARSE_RANGE, NULL},
        {"%Y-%j", "2001-000", SF_PARSE_RANGE, NULL},
        {"%Y-%m-%dT%H:%M:%S.%f%z", "2001-01-01T00:00:00.25+0130", SF_PARSE_OK,
         "2000-12-31T22:30:00.250000Z"},
        {"%Y-%m-%d %H:%M %z", "2001-01-01 00:00 -05", SF_PARSE_OK, "2001-01-01T05:00:00.000000Z"},
        {"%Y-%m-%d %H:%M %z", "2001-01-01 00:00 Z", SF_PARSE_OK, "2001-01-01T00:00:00.000000Z"},
        {"%Y-%m-%d %H:%M %z", "2001-01-01 00:00 +05:", SF_PARSE_SYNTAX, NULL},
        {"%m/%d/%Y %I:%M %p", "1/2/2001 12:05 AM", SF_PARSE_OK, "2001-01-02T00:05:00.000000Z"},
        {"%m/%d/%Y %I:%M %p", "1/2/2001 12:05 pm", SF_PARSE_OK, "2001-01-02T12:05:00.000000Z"},
        {"%m/%d/%Y %I:%M %p", "1/2/2001 13:05 PM", SF_PARSE_RANGE, NULL},
        {"%m/%d/%Y %I:%M %p", "1/2/2001 1:05 XM", SF_PARSE_SYNTAX, NULL},
        {"100%% %Y-%m-%d", "100% 2001-01-02", SF_PARSE_OK, "2001-01-02T00:00:00.000000Z"},
        {"%Y-%m-%d", "2001-02-30", SF_PARSE_RANGE, NULL},
        {"%Y-%m-%d", "2001-02-3x", SF_PARSE_SYNTAX, NULL},
        {"%Y-%m-%d", "2001-02-03 ", SF_PARSE_SYNTAX, NULL},
        {"%Y-%m-%d", "01-02-03", SF_PARSE_SYNTAX, NULL},
        {"%Y-%m-%d", "", SF_PARSE_SYNTAX, NULL},
    };

    (void)state;
    for (size_t i = 0; i < SF_COUNT(cases); i++) {
        struct sf_time_parts parts = {0};
        int64_t us = 77;
        enum sf_parse parsed;

        assert_true(sf_time_format_is_valid(cases[i].format, &parts));
        assert_true(parts.date);
        parsed = sf_time_parse_as(sf_slice_text(cases[i].text), cases[i].format, &us);
        if (parsed != cases[i].parsed) {
            fail_msg("'%s' by '%s' gives verdict %d", cases[i].text, cases[i].format, (int)parsed);
        }
        if (parsed == SF_PARSE_OK) {
            char text[SF_TIME_TEXT_SIZE];

            (void)sf_time_format(us, text);
            assert_string_equal(text, cases[i].wanted);
        }
    }
}

static void test_formats_name_each_part_once_and_a_whole_date(void **state)
{
    static const char *const wrong[] = {
        "",
        "%",
        "%Y",
        "%Y-%m",
        "%m-%d",
        "%H:%M",
        "%Y-%m-%d %",
        "%Y-%m-%e%d",
        "%Q",
        "%Y-%m-%d %Z",
        "%Y%y-%m-%d",
        "%Y-%m-%d-%j",
        "%Y-%j-%m",
        "%Y-%m-%d %I:%M",
        "%Y-%m-%d %H %p",
        "%Y-%m-%d %H %I %p",
    };
    struct sf_time_parts parts = {0};
    int32_t days = 0;

    (void)state;
    for (size_t i = 0; i < SF_COUNT(wrong); i++) {
        if (sf_time_format_is_valid(wrong[i], &parts)) {
            fail_msg("'%s' is taken for a format", wrong[i]);
        }
    }
    assert_true(sf_time_format_is_valid("%d/%m/%Y", &parts));
    assert_false(parts.time);
    assert_true(sf_time_format_is_valid("%d/%m/%Y %H", &parts));
    assert_true(parts.time);
    assert_int_equal(sf_date_parse_as(SF_LITERAL("31/12/1969"), "%d/%m/%Y", &days), SF_PARSE_OK);
    assert_int_equal(days, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_day_of_the_calendar_round_trips),
        cmocka_unit_test(test_agrees_with_the_library_of_the_system),
        cmocka_unit_test(test_reads_rfc_3339_and_nothing_else),
        cmocka_unit_test(test_writes_the_one_form),
        cmocka_unit_test(test_reads_by_format),
        cmocka_unit_test(test_formats_name_each_part_once_and_a_whole_date),
    };

    return cmocka_run_group_tests_name("time", tests, NULL, NULL);
}
