#include "tests/lib/cmocka.h"

#include "common/base/decimal.h"

static void test_reads_exactly_or_says_why_not(void **state)
{
    static const struct {
        const char *text;
        unsigned precision, scale;
        enum sf_parse parsed;
        int64_t value;
    } cases[] = {
        {"0", 1, 0, SF_PARSE_OK, 0},
        {"-0", 12, 2, SF_PARSE_OK, 0},
        {"0.000000000000000000000000000", 12, 2, SF_PARSE_OK, 0},
        {"0e999999999999", 12, 2, SF_PARSE_OK, 0},
        {"59.9", 12, 2, SF_PARSE_OK, 5990},
        {"59.90", 12, 2, SF_PARSE_OK, 5990},
        {"-59.900", 12, 2, SF_PARSE_OK, -5990},
        {"00059.90", 12, 2, SF_PARSE_OK, 5990},
        {".5", 12, 2, SF_PARSE_OK, 50},
        {"59.905", 12, 2, SF_PARSE_INEXACT, 0},
        {"1e3", 12, 2, SF_PARSE_OK, 100000},
        {"1.5E-2", 12, 3, SF_PARSE_OK, 15},
        {"1.5E-2", 12, 2, SF_PARSE_INEXACT, 0},
        {"1500e-5", 12, 3, SF_PARSE_OK, 15},
        {"0.00001e5", 12, 0, SF_PARSE_OK, 1},
        {"100", 3, 0, SF_PARSE_OK, 100},
        {"100", 2, 0, SF_PARSE_RANGE, 0},
        {"9.99", 3, 2, SF_PARSE_OK, 999},
        {"10.00", 3, 2, SF_PARSE_RANGE, 0},
        {"0.99", 2, 2, SF_PARSE_OK, 99},
        {"1", 2, 2, SF_PARSE_RANGE, 0},
        {"999999999999999999", 18, 0, SF_PARSE_OK, 999999999999999999},
        {"-9.99999999999999999", 18, 17, SF_PARSE_OK, -999999999999999999},
        {"1000000000000000000", 18, 0, SF_PARSE_RANGE, 0},
        {"1.0000000000000000001", 18, 2, SF_PARSE_INEXACT, 0},
        {"12345678901234567.89", 18, 1, SF_PARSE_INEXACT, 0},
        {"1e999999999999", 18, 0, SF_PARSE_RANGE, 0},
        {"1e-999999999999", 18, 0, SF_PARSE_INEXACT, 0},
        {"", 12, 2, SF_PARSE_SYNTAX, 0},
        {"-", 12, 2, SF_PARSE_SYNTAX, 0},
        {".", 12, 2, SF_PARSE_SYNTAX, 0},
        {"1.", 12, 2, SF_PARSE_SYNTAX, 0},
        {"+1", 12, 2, SF_PARSE_SYNTAX, 0},
        {"1,5", 12, 2, SF_PARSE_SYNTAX, 0},
        {"1e", 12, 2, SF_PARSE_SYNTAX, 0},
        {"1e+", 12, 2, SF_PARSE_SYNTAX, 0},
        {"1 ", 12, 2, SF_PARSE_SYNTAX, 0},
        {" 1", 12, 2, SF_PARSE_SYNTAX, 0},
        {"0x10", 12, 2, SF_PARSE_SYNTAX, 0},
        {"nan", 12, 2, SF_PARSE_SYNTAX, 0},
        {"1e5x", 12, 2, SF_PARSE_SYNTAX, 0},
    };

    (void)state;
    for (size_t i = 0; i < SF_COUNT(cases); i++) {
        int64_t value = 77;
        enum sf_parse parsed = sf_decimal_parse(sf_slice_text(cases[i].text), cases[i].precision,
                                                cases[i].scale, &value);

        if (parsed != cases[i].parsed || value != (parsed == SF_PARSE_OK ? cases[i].value : 77)) {
            fail_msg("'%s' gives verdict %d, value %lld", cases[i].text, (int)parsed,
                     (long long)value);
        }
    }
}

static void test_a_text_without_end_is_read_in_bounds(void **state)
{
    char text[5000];
    int64_t value = 0;

    (void)state;
    memset(text, '9', sizeof(text));
    assert_int_equal(sf_decimal_parse(sf_slice_of(text, sizeof(text)), 18, 0, &value),
                     SF_PARSE_RANGE);
    memset(text, '0', sizeof(text));
    text[0] = '1';
    text[1] = '.';
    assert_int_equal(sf_decimal_parse(sf_slice_of(text, sizeof(text)), 1, 0, &value), SF_PARSE_OK);
    assert_int_equal(value, 1);
    text[sizeof(text) - 1] = '1';
    assert_int_equal(sf_decimal_parse(sf_slice_of(text, sizeof(text)), 1, 0, &value),
                     SF_PARSE_INEXACT);
}

static void assert_text(int64_t unscaled, unsigned scale, const char *wanted)
{
    char text[SF_DECIMAL_TEXT_SIZE];
    int64_t back = 0;
    size_t size = sf_decimal_format(unscaled, scale, text);

    assert_string_equal(text, wanted);
    assert_int_equal(size, strlen(wanted));
    assert_int_equal(sf_decimal_parse(sf_slice_of(text, size), 18, scale, &back), SF_PARSE_OK);
    assert_int_equal(back, unscaled);
}

static void test_writes_all_digits_of_the_scale(void **state)
{
    (void)state;
    assert_text(0, 0, "0");
    assert_text(0, 2, "0.00");
    assert_text(-50, 2, "-0.50");
    assert_text(5990, 2, "59.90");
    assert_text(-7, 0, "-7");
    assert_text(999999999999999999, 18, "0.999999999999999999");
    assert_text(-999999999999999999, 0, "-999999999999999999");
    assert_text(1, 18, "0.000000000000000001");
}

static void test_wide_ones_have_38_digits(void **state)
{
    static const struct {
        const char *text;
        unsigned precision, scale;
        enum sf_parse parsed;
        const char *back;
    } cases[] = {
        {"0", 38, 38, SF_PARSE_OK, "0.00000000000000000000000000000000000000"},
        {"-0.5", 20, 1, SF_PARSE_OK, "-0.5"},
        {"99999999999999999999999999999999999999", 38, 0, SF_PARSE_OK,
         "99999999999999999999999999999999999999"},
        {"-9.9999999999999999999999999999999999999", 38, 37, SF_PARSE_OK,
         "-9.9999999999999999999999999999999999999"},
        {"100000000000000000000000000000000000000", 38, 0, SF_PARSE_RANGE, ""},
        {"1e37", 38, 0, SF_PARSE_OK, "10000000000000000000000000000000000000"},
        {"1e38", 38, 0, SF_PARSE_RANGE, ""},
        {"1e-39", 38, 38, SF_PARSE_INEXACT, ""},
        {"0.123456789012345678901234567890123456789", 38, 38, SF_PARSE_INEXACT, ""},
        {"1x", 38, 0, SF_PARSE_SYNTAX, ""},
    };

    (void)state;
    for (size_t i = 0; i < SF_COUNT(cases); i++) {
        uint8_t value[SF_DECIMAL_WIDE_SIZE];
        char text[SF_DECIMAL_WIDE_TEXT_SIZE];

        assert_int_equal(sf_decimal_wide_parse(sf_slice_text(cases[i].text), cases[i].precision,
                                               cases[i].scale, value),
                         cases[i].parsed);
        if (cases[i].parsed == SF_PARSE_OK) {
            assert_int_equal(sf_decimal_wide_format(value, cases[i].scale, text),
                             strlen(cases[i].back));
            assert_string_equal(text, cases[i].back);
            assert_true(sf_decimal_wide_fits(value, cases[i].precision));
        }
    }
}

static void test_wide_ones_are_ordered_and_any_bytes_have_a_text(void **state)
{
    static const uint8_t lowest[16] = {0x80};
    static const uint8_t minus_one[16] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                          0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    static const uint8_t one[16] = {[15] = 1};
    char text[SF_DECIMAL_WIDE_TEXT_SIZE];

    (void)state;
    assert_true(sf_decimal_wide_compare(lowest, minus_one) < 0);
    assert_true(sf_decimal_wide_compare(minus_one, one) < 0);
    assert_true(sf_decimal_wide_compare(one, lowest) > 0);
    assert_int_equal(sf_decimal_wide_compare(one, one), 0);
    (void)sf_decimal_wide_format(lowest, 0, text);
    assert_string_equal(text, "-170141183460469231731687303715884105728");
    (void)sf_decimal_wide_format(lowest, 38, text);
    assert_string_equal(text, "-1.70141183460469231731687303715884105728");
    assert_false(sf_decimal_wide_fits(lowest, 38));
    assert_true(sf_decimal_wide_fits(minus_one, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_exactly_or_says_why_not),
        cmocka_unit_test(test_wide_ones_have_38_digits),
        cmocka_unit_test(test_wide_ones_are_ordered_and_any_bytes_have_a_text),
        cmocka_unit_test(test_a_text_without_end_is_read_in_bounds),
        cmocka_unit_test(test_writes_all_digits_of_the_scale),
    };

    return cmocka_run_group_tests_name("decimal", tests, NULL, NULL);
}
