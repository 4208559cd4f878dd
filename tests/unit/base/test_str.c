#include "tests/lib/cmocka.h"

#include <float.h>
#include <math.h>

#include "common/base/str.h"

static size_t distance(const char *a, const char *b, size_t max)
{
    return sf_text_distance(sf_slice_text(a), sf_slice_text(b), max);
}

static void test_distance_counts_edits_and_swaps(void **state)
{
    char longer[SF_NAME_COMPARE_MAX + 2];

    (void)state;
    assert_int_equal(distance("", "", 3), 0);
    assert_int_equal(distance("secret", "secret", 3), 0);
    assert_int_equal(distance("secrett", "secret", 3), 1);
    assert_int_equal(distance("scret", "secret", 3), 1);
    assert_int_equal(distance("sekret", "secret", 3), 1);
    assert_int_equal(distance("secert", "secret", 3), 1);
    assert_int_equal(distance("SECRET", "secret", 3), 0);
    assert_int_equal(distance("", "abc", 3), 3);
    assert_int_equal(distance("abc", "", 3), 3);
    assert_int_equal(distance("ca", "abc", 3), 3); /* optimal string alignment */
    assert_int_equal(distance("kitten", "sitting", 5), 3);
    assert_int_equal(distance("kitten", "sitting", 2), 3);
    assert_int_equal(distance("abcdefgh", "", 2), 3);
    memset(longer, 'a', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';
    assert_int_equal(distance(longer, longer, 2), 3);
    longer[sizeof(longer) - 2] = '\0';
    assert_int_equal(distance(longer, longer, 2), 0);
}

static void test_nearest_name_is_near_or_nothing(void **state)
{
    static const char *const names[] = {"public", "internal", "pii", "secret", "ok"};

    (void)state;
    assert_string_equal(sf_text_nearest(SF_LITERAL("secrett"), names, 5), "secret");
    assert_string_equal(sf_text_nearest(SF_LITERAL("pubilc"), names, 5), "public");
    assert_string_equal(sf_text_nearest(SF_LITERAL("pi"), names, 5), "pii");
    assert_string_equal(sf_text_nearest(SF_LITERAL("inernall"), names, 5), "internal");
    assert_string_equal(sf_text_nearest(SF_LITERAL("lnit"), (const char *[]){"init", "lint"}, 2),
                        "lint");
    assert_string_equal(sf_text_nearest(SF_LITERAL("Lnit"), (const char *[]){"lint", "init"}, 2),
                        "lint");
    assert_null(sf_text_nearest(SF_LITERAL("no"), names, 5));
    assert_null(sf_text_nearest(SF_LITERAL("confidential"), names, 5));
    assert_null(sf_text_nearest(SF_LITERAL("x"), names, 0));
}

static void test_integers_are_strict_and_bounded(void **state)
{
    static const struct {
        const char *text;
        enum sf_parse parsed;
        int64_t value;
    } cases[] = {
        {"0", SF_PARSE_OK, 0},
        {"-0", SF_PARSE_OK, 0},
        {"007", SF_PARSE_OK, 7},
        {"9223372036854775807", SF_PARSE_OK, INT64_MAX},
        {"-9223372036854775808", SF_PARSE_OK, INT64_MIN},
        {"9223372036854775808", SF_PARSE_RANGE, 0},
        {"-9223372036854775809", SF_PARSE_RANGE, 0},
        {"99999999999999999999999999", SF_PARSE_RANGE, 0},
        {"99999999999999999999999999x", SF_PARSE_SYNTAX, 0},
        {"", SF_PARSE_SYNTAX, 0},
        {"-", SF_PARSE_SYNTAX, 0},
        {"+1", SF_PARSE_SYNTAX, 0},
        {" 1", SF_PARSE_SYNTAX, 0},
        {"1.0", SF_PARSE_SYNTAX, 0},
        {"--1", SF_PARSE_SYNTAX, 0},
    };
    uint64_t large = 0;

    (void)state;
    for (size_t i = 0; i < SF_COUNT(cases); i++) {
        int64_t value = 77;
        enum sf_parse parsed = sf_parse_i64(sf_slice_text(cases[i].text), &value);

        if (parsed != cases[i].parsed || value != (parsed == SF_PARSE_OK ? cases[i].value : 77)) {
            fail_msg("'%s' gives verdict %d", cases[i].text, (int)parsed);
        }
    }
    assert_int_equal(sf_parse_u64(SF_LITERAL("18446744073709551615"), &large), SF_PARSE_OK);
    assert_true(large == UINT64_MAX);
    assert_int_equal(sf_parse_u64(SF_LITERAL("18446744073709551616"), &large), SF_PARSE_RANGE);
    assert_int_equal(sf_parse_u64(SF_LITERAL("-1"), &large), SF_PARSE_SYNTAX);
}

static void assert_double(const char *text, double wanted)
{
    double value = 77;

    assert_int_equal(sf_parse_double(sf_slice_text(text), &value), SF_PARSE_OK);
    assert_true(value == wanted && signbit(value) == signbit(wanted));
}

static void test_doubles_are_strict_and_finite(void **state)
{
    static const char *const wrong[] = {"",    "-",     ".",   "1.",  "1.e5", "+1",   "1e",
                                        "1e+", "inf",   "nan", "0x1", " 1",   "1 ",   "1,5",
                                        "--1", "1.5.2", "e5",  "-.",  "1e5.", "1_000"};
    char text[2000];
    double value = 0;

    (void)state;
    assert_double("1", 1);
    assert_double("-1.5", -1.5);
    assert_double(".5", 0.5);
    assert_double("1e3", 1000);
    assert_double("1.7976931348623157e308", DBL_MAX);
    assert_double("4.9e-324", 4.9e-324);
    assert_double("1e-400", 0);
    assert_double("-0", 0.0);
    assert_double("-0.0e5", 0.0);
    for (size_t i = 0; i < SF_COUNT(wrong); i++) {
        if (sf_parse_double(sf_slice_text(wrong[i]), &value) != SF_PARSE_SYNTAX) {
            fail_msg("'%s' is taken for a number", wrong[i]);
        }
    }
    assert_int_equal(sf_parse_double(SF_LITERAL("1e309"), &value), SF_PARSE_RANGE);
    memset(text, '1', sizeof(text));
    assert_int_equal(sf_parse_double(sf_slice_of(text, sizeof(text)), &value), SF_PARSE_RANGE);
}

static void assert_shortest(double value, const char *wanted)
{
    char text[SF_DOUBLE_TEXT_SIZE];
    double back = 77;
    size_t size = sf_format_double(value, text);

    assert_string_equal(text, wanted);
    assert_int_equal(size, strlen(wanted));
    assert_int_equal(sf_parse_double(sf_slice_of(text, size), &back), SF_PARSE_OK);
    assert_true(back == value);
}

static void test_doubles_are_written_shortest(void **state)
{
    (void)state;
    assert_shortest(0, "0");
    assert_shortest(3, "3");
    assert_shortest(0.1, "0.1");
    assert_shortest(-89.23450472, "-89.23450472");
    assert_shortest(0.1 + 0.2, "0.30000000000000004");
    assert_shortest(1e300, "1e+300");
    assert_shortest(DBL_MAX, "1.7976931348623157e+308");
    assert_shortest(DBL_MIN, "2.2250738585072014e-308");
    assert_shortest(5e-324, "4.94065645841247e-324");
}

static void test_floats_are_written_as_floats(void **state)
{
    char text[SF_DOUBLE_TEXT_SIZE];

    (void)state;
    assert_int_equal(sf_format_float(0.1f, text), 3);
    assert_string_equal(text, "0.1");
    (void)sf_format_float(FLT_MAX, text);
    assert_string_equal(text, "3.4028235e+38");
    (void)sf_format_float(16777216.0f, text);
    assert_string_equal(text, "16777216");
}

static void test_whole_numbers_are_written_in_base_10(void **state)
{
    static const struct {
        uint64_t value;
        const char *text;
    } cases[] = {{0, "0"},
                 {9, "9"},
                 {10, "10"},
                 {1234567890, "1234567890"},
                 {UINT64_MAX, "18446744073709551615"}};
    char text[SF_U64_TEXT_SIZE];

    (void)state;
    for (size_t i = 0; i < SF_COUNT(cases); i++) {
        assert_int_equal(sf_format_u64(cases[i].value, text), strlen(cases[i].text));
        assert_string_equal(text, cases[i].text);
    }
}

static void test_spans_of_time_round_trip(void **state)
{
    static const struct {
        const char *text;
        enum sf_parse parsed;
        int64_t us;
        const char *written;
    } cases[] = {
        {"15m", SF_PARSE_OK, 900000000, "15m"},
        {"15min", SF_PARSE_OK, 900000000, "15m"},
        {"90d", SF_PARSE_OK, 7776000000000, "90d"},
        {"2w", SF_PARSE_OK, 1209600000000, "14d"},
        {"1h30m", SF_PARSE_OK, 5400000000, "90m"},
        {"24h", SF_PARSE_OK, 86400000000, "1d"},
        {"250ms", SF_PARSE_OK, 250000, "250ms"},
        {"7us", SF_PARSE_OK, 7, "7us"},
        {"0s", SF_PARSE_OK, 0, "0s"},
        {"0d", SF_PARSE_OK, 0, "0s"},
        {"106751991d", SF_PARSE_OK, 9223372022400000000, "106751991d"},
        {"106751992d", SF_PARSE_RANGE, 0, NULL},
        {"99999999999999999999w", SF_PARSE_RANGE, 0, NULL},
        {"", SF_PARSE_SYNTAX, 0, NULL},
        {"15", SF_PARSE_SYNTAX, 0, NULL},
        {"m", SF_PARSE_SYNTAX, 0, NULL},
        {"15 m", SF_PARSE_SYNTAX, 0, NULL},
        {"-1h", SF_PARSE_SYNTAX, 0, NULL},
        {"1m1h", SF_PARSE_SYNTAX, 0, NULL},
        {"1m1min", SF_PARSE_SYNTAX, 0, NULL},
        {"1.5h", SF_PARSE_SYNTAX, 0, NULL},
        {"1y", SF_PARSE_SYNTAX, 0, NULL},
        {"1h ", SF_PARSE_SYNTAX, 0, NULL},
    };

    (void)state;
    for (size_t i = 0; i < SF_COUNT(cases); i++) {
        int64_t us = 77;
        char text[SF_DURATION_TEXT_SIZE];
        enum sf_parse parsed = sf_parse_duration(sf_slice_text(cases[i].text), &us);

        if (parsed != cases[i].parsed || us != (parsed == SF_PARSE_OK ? cases[i].us : 77)) {
            fail_msg("'%s' gives verdict %d, %lld us", cases[i].text, (int)parsed, (long long)us);
        }
        if (parsed == SF_PARSE_OK) {
            assert_int_equal(sf_format_duration(us, text), strlen(cases[i].written));
            assert_string_equal(text, cases[i].written);
        }
    }
}

static void test_sizes_have_units_of_both_kinds(void **state)
{
    uint64_t bytes = 0;

    (void)state;
    assert_int_equal(sf_parse_size(SF_LITERAL("256MiB"), &bytes), SF_PARSE_OK);
    assert_int_equal(bytes, 268435456);
    assert_int_equal(sf_parse_size(SF_LITERAL("10GB"), &bytes), SF_PARSE_OK);
    assert_int_equal(bytes, 10000000000);
    assert_int_equal(sf_parse_size(SF_LITERAL("17"), &bytes), SF_PARSE_OK);
    assert_int_equal(bytes, 17);
    assert_int_equal(sf_parse_size(SF_LITERAL("17B"), &bytes), SF_PARSE_OK);
    assert_int_equal(sf_parse_size(SF_LITERAL("99999999999TiB"), &bytes), SF_PARSE_RANGE);
    assert_int_equal(sf_parse_size(SF_LITERAL(""), &bytes), SF_PARSE_SYNTAX);
    assert_int_equal(sf_parse_size(SF_LITERAL("MiB"), &bytes), SF_PARSE_SYNTAX);
    assert_int_equal(sf_parse_size(SF_LITERAL("1 MiB"), &bytes), SF_PARSE_SYNTAX);
    assert_int_equal(sf_parse_size(SF_LITERAL("1mb"), &bytes), SF_PARSE_SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distance_counts_edits_and_swaps),
        cmocka_unit_test(test_nearest_name_is_near_or_nothing),
        cmocka_unit_test(test_integers_are_strict_and_bounded),
        cmocka_unit_test(test_doubles_are_strict_and_finite),
        cmocka_unit_test(test_doubles_are_written_shortest),
        cmocka_unit_test(test_floats_are_written_as_floats),
        cmocka_unit_test(test_whole_numbers_are_written_in_base_10),
        cmocka_unit_test(test_spans_of_time_round_trip),
        cmocka_unit_test(test_sizes_have_units_of_both_kinds),
    };

    return cmocka_run_group_tests_name("str", tests, NULL, NULL);
}
