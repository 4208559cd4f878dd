#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "common/base/decimal.h"
#include "common/expr/expr.h"
#include "leaf/rowcodec/row.h"

enum { F_FLAG, F_INT, F_AMOUNT, F_RATIO, F_NAME, F_DAY, F_AT, F_ID, F_BLOB, F_NONE, F_BIG, FIELDS };

static const struct sf_field fields[FIELDS] = {
    {.number = 1, .name = "flag", .type = SF_TYPE_BOOL},
    {.number = 2, .name = "i", .type = SF_TYPE_INT32},
    {.number = 5, .name = "amount", .type = SF_TYPE_DECIMAL, .precision = 12, .scale = 2},
    {.number = 6, .name = "ratio", .type = SF_TYPE_DOUBLE},
    {.number = 7, .name = "name", .type = SF_TYPE_STRING},
    {.number = 8, .name = "day", .type = SF_TYPE_DATE},
    {.number = 9, .name = "at", .type = SF_TYPE_TIMESTAMP},
    {.number = 10, .name = "id", .type = SF_TYPE_UUID},
    {.number = 11, .name = "blob", .type = SF_TYPE_BYTES},
    {.number = 300, .name = "none", .type = SF_TYPE_INT64},
    {.number = 301, .name = "big", .type = SF_TYPE_DECIMAL_WIDE, .precision = 38, .scale = 10},
};
static const struct sf_table table = {
    .name = "t", .fields = fields, .field_count = FIELDS, .event_time = -1};

/* true, 7, 12.50, 0.5, 'Blåbær 100%', 2026-11-20, 2026-11-20T08:01:12.5Z, ..., 3 bytes, null, a
 * number of 38 digits. */
static struct sf_buf make_row(void)
{
    static const uint8_t id[16] = {0xff, [15] = 1};
    uint8_t big[SF_DECIMAL_WIDE_SIZE];
    const struct sf_value values[FIELDS] = {
        [F_FLAG] = {.present = true, .i = 1},
        [F_INT] = {.present = true, .i = 7},
        [F_AMOUNT] = {.present = true, .i = 1250},
        [F_RATIO] = {.present = true, .d = 0.5},
        [F_NAME] = {.present = true,
                    .s = SF_LITERAL("Bl\xC3\xA5"
                                    "b\xC3\xA6r 100%")},
        [F_DAY] = {.present = true, .i = 20777},
        [F_AT] = {.present = true, .i = 20777 * 86400000000 + 28872500000},
        [F_ID] = {.present = true, .s = {id, 16}},
        [F_BLOB] = {.present = true, .s = SF_LITERAL("\0\xFF\x80")},
        [F_BIG] = {.present = true, .s = {big, sizeof(big)}},
    };
    struct sf_buf row = {0};
    struct sf_error err;

    assert_int_equal(
        sf_decimal_wide_parse(SF_LITERAL("9999999999999999999999999999.9999999999"), 38, 10, big),
        SF_PARSE_OK);
    assert_int_equal(row_encode(&table, values, &row, &err), SF_OK);
    return row;
}

static enum sf_expr_result run(const char *text)
{
    const struct sf_expr_caller caller = {.domain = SF_LITERAL("sales"), .role = SF_LITERAL("")};
    struct sf_buf row = make_row();
    struct sf_issues issues;
    struct sf_expr *e = NULL;
    struct sf_error err;
    enum sf_expr_result result;

    sf_issues_init(&issues, "f", sf_slice_text(text));
    if (sf_expr_parse(&issues, &table, &e, &err) != SF_OK) {
        fail_msg("%s: %s", text, err.text);
    }
    sf_issues_done(&issues);
    result = sf_expr_run(e, sf_buf_view(&row), &caller);
    sf_expr_free(e);
    sf_buf_done(&row);
    return result;
}

/* Pairs of text and one of "true", "false", "null", "error"; NULL ends them. */
static void assert_all(const char *const *cases)
{
    static const char *const names[] = {"false", "true", "null", "error"};

    for (; *cases != NULL; cases += 2) {
        const char *result = names[run(cases[0])];

        if (strcmp(result, cases[1]) != 0) {
            fail_msg("%s is %s, not %s", cases[0], result, cases[1]);
        }
    }
}

static void test_and_or_not_have_three_values(void **state)
{
    static const char *const words[] = {"FALSE", "TRUE", "NULL"};
    static const enum sf_expr_result ands[3][3] = {{0, 0, 0}, {0, 1, 2}, {0, 2, 2}};
    static const enum sf_expr_result ors[3][3] = {{0, 1, 2}, {1, 1, 1}, {2, 1, 2}};
    static const enum sf_expr_result nots[3] = {1, 0, 2};
    char text[64];

    (void)state;
    for (unsigned a = 0; a < 3; a++) {
        (void)snprintf(text, sizeof(text), "NOT %s", words[a]);
        assert_int_equal(run(text), nots[a]);
        for (unsigned b = 0; b < 3; b++) {
            (void)snprintf(text, sizeof(text), "%s AND %s", words[a], words[b]);
            assert_int_equal(run(text), ands[a][b]);
            (void)snprintf(text, sizeof(text), "%s OR %s", words[a], words[b]);
            assert_int_equal(run(text), ors[a][b]);
        }
    }
}

static void test_comparisons_have_three_values(void **state)
{
    static const char *const cases[] = {
        "i = 7",       "true",  "i <> 7",       "false",  "i < 8",       "true",     "i <= 7",
        "true",        "i > 7", "false",        "i >= 8", "false",       "i = NULL", "null",
        "none = none", "null",  "NULL <> NULL", "null",   "flag = TRUE", "true",     "flag > FALSE",
        "true",        "flag",  "true",         NULL,
    };

    (void)state;
    assert_all(cases);
}

static void test_in_and_between_have_three_values(void **state)
{
    static const char *const cases[] = {
        "i IN (1, 7)",
        "true",
        "i IN (1, 2)",
        "false",
        "i IN (1, NULL)",
        "null",
        "i IN (NULL, 7)",
        "true",
        "none IN (1)",
        "null",
        "i NOT IN (1, 2)",
        "true",
        "i NOT IN (7, NULL)",
        "false",
        "i NOT IN (1, NULL)",
        "null",
        "i IN (none, 3 + 4)",
        "true",
        "i IN (6.5, 7.0)",
        "true",
        "name IN ('a', 'b')",
        "false",
        "i BETWEEN 1 AND 7",
        "true",
        "i BETWEEN 8 AND 9",
        "false",
        "i BETWEEN 9 AND 1",
        "false",
        "i BETWEEN NULL AND 9",
        "null",
        "i BETWEEN NULL AND 1",
        "false",
        "i NOT BETWEEN 8 AND NULL",
        "true",
        "none BETWEEN 1 AND 2",
        "null",
        NULL,
    };

    (void)state;
    assert_all(cases);
}

static void test_null_is_asked_for_with_is(void **state)
{
    static const char *const cases[] = {
        "none IS NULL",
        "true",
        "none IS NOT NULL",
        "false",
        "i IS NULL",
        "false",
        "(i = none) IS NULL",
        "true",
        "coalesce(none, i) = 7",
        "true",
        "coalesce(none, NULL) IS NULL",
        "true",
        "coalesce(i, 1 / 0) = 7",
        "true",
        "coalesce(i, 9223372036854775807 + i) = 7",
        "true",
        "coalesce(none, 9223372036854775807 + i) = 7",
        "error",
        NULL,
    };

    (void)state;
    assert_all(cases);
}

static void test_like_knows_two_signs_and_an_escape(void **state)
{
    static const char *const cases[] = {
        "name LIKE 'Bl%'",
        "true",
        "name LIKE '%b_r%'",
        "true",
        "name LIKE 'Bl_b_r 100_'",
        "true",
        "name LIKE 'bl%'",
        "false",
        "lower(name) LIKE 'bl%'",
        "true",
        "name LIKE '%100!%' ESCAPE '!'",
        "true",
        "name LIKE '%0!_' ESCAPE '!'",
        "false",
        "name NOT LIKE '%x%'",
        "true",
        "name LIKE ''",
        "false",
        "'' LIKE ''",
        "true",
        "'' LIKE '%'",
        "true",
        "'' LIKE '_'",
        "false",
        "'a\\' LIKE 'a\\'",
        "true",
        "'abc' LIKE 'a!bc' ESCAPE '!'",
        "true",
        "'aaab' LIKE '%aab'",
        "true",
        "'abab' LIKE '%ab%ab%'",
        "true",
        "'ab' LIKE '%ab%b'",
        "false",
        "caller.purpose LIKE '%'",
        "null",
        NULL,
    };

    (void)state;
    assert_all(cases);
}

static void test_numbers_of_38_digits_are_exact(void **state)
{
    static const char *const cases[] = {
        "big = 9999999999999999999999999999.9999999999",
        "true",
        "big > 9999999999999999999999999999.9999999998",
        "true",
        "big < 9999999999999999999999999999.999999999",
        "false",
        "big > 9223372036854775808",
        "true",
        "-big = -9999999999999999999999999999.9999999999",
        "true",
        "big IN (1, 9999999999999999999999999999.9999999999)",
        "true",
        "i < 9223372036854775808",
        "true",
        "i > -9223372036854775809",
        "true",
        "amount * 10000000000000000000 = 125000000000000000000",
        "true",
        "99999999999999999999999999999999999999 > 99999999999999999999999999999999999998",
        "true",
        "0.00000000000000000000000000000000000001 > 0.0",
        "true",
        NULL,
    };

    (void)state;
    assert_all(cases);
}

static void test_numbers_meet_in_the_wider_type(void **state)
{
    static const char *const cases[] = {
        "amount = 12.5",
        "true",
        "amount = '12.50'",
        "true",
        "amount = 12.501",
        "false",
        "amount > 12",
        "true",
        "amount = 125e-1",
        "true",
        "i = 7.000",
        "true",
        "9007199254740993 = 9007199254740992e0",
        "true",
        "9007199254740993 = 9007199254740992.0",
        "false",
        "ratio = 0.5",
        "true",
        "amount * 2 = 25",
        "true",
        "amount + 0.005 = 12.505",
        "true",
        "amount - i = 5.5",
        "true",
        "i / 2 = 3.5",
        "true",
        "amount / 4 = 3.125",
        "true",
        "537666554764512.283 = 537666554764512.3125e0",
        "true",
        "-amount = -12.5",
        "true",
        "-i % 4 = -3",
        "true",
        NULL,
    };

    (void)state;
    assert_all(cases);
}

static void test_overflow_is_an_error_and_division_by_zero_null(void **state)
{
    static const char *const cases[] = {
        "i + 9223372036854775807 > 0",
        "error",
        "-9223372036854775808 - i < 0",
        "error",
        "i * 9223372036854775807 > 0",
        "error",
        "-(-9223372036854775807 - 1) > 0",
        "error",
        "(-9223372036854775808) % -1 = 0",
        "error",
        "ratio * 1e308 * 1e308 > 0",
        "error",
        "1e308 / 1e-308 > 0",
        "error",
        "amount + 9999999999999999.99 > 0",
        "error",
        "amount * 9999999999999999.99 > 0",
        "error",
        "amount + 0.000000000000000001 > 0",
        "error",
        "0.0000000050 + 436219027997.14 > 0",
        "error",
        "none + 9223372036854775807 > 0",
        "null",
        "i / 0 > 1",
        "null",
        "i % 0 = 1",
        "null",
        "ratio / 0 > 1",
        "null",
        "0e0 / 0 = 0",
        "null",
        NULL,
    };

    (void)state;
    assert_all(cases);
}

static void test_an_error_counts_on_whichever_side_it_stands(void **state)
{
    static const char *const cases[] = {
        "TRUE OR i + 9223372036854775807 > 0",
        "error",
        "i + 9223372036854775807 > 0 OR TRUE",
        "error",
        "FALSE AND i + 9223372036854775807 > 0",
        "error",
        "i IN (7, i + 9223372036854775807)",
        "error",
        "i + 9223372036854775807 IS NULL",
        "error",
        "substr(name, 4294967296) = '' OR TRUE",
        "error",
        NULL,
    };

    (void)state;
    assert_all(cases);
}

static void test_text_counts_characters(void **state)
{
    static const char *const cases[] = {
        "length(name) = 11",
        "true",
        "length(blob) = 3",
        "true",
        "substr(name, 3, 1) = '\xC3\xA5'",
        "true",
        "substr(name, 8) = '100%'",
        "true",
        "substr(name, -4, 3) = '100'",
        "true",
        "substr(name, 0, 2) = 'B'",
        "true",
        "substr(name, 5, -1) = 'b'",
        "true",
        "length(substr(name, 5, -4294967296)) = 4",
        "true",
        "substr(name, 5, -4294967297) = ''",
        "error",
        "substr(name, 12) = ''",
        "true",
        "substr(name, -20, 3) = ''",
        "true",
        "substr(name, none) IS NULL",
        "true",
        "upper(name) = 'BL\xC3\xA5"
        "B\xC3\xA6R 100%'",
        "true",
        "lower(upper(name)) = lower(name)",
        "true",
        "upper(name) < lower(name)",
        "true",
        "'a' < 'b' AND 'a' < 'ab' AND 'Z' < 'a'",
        "true",
        NULL,
    };

    (void)state;
    assert_all(cases);
}

static void test_dates_and_times_are_utc(void **state)
{
    static const char *const cases[] = {
        "day = '2026-11-20'",
        "true",
        "at > day",
        "true",
        "at < '2026-11-21'",
        "true",
        "at = '2026-11-20T09:01:12.5+01:00'",
        "true",
        "at = '2026-11-20 08:01:12.5'",
        "true",
        "year(day) = 2026 AND month(day) = 11 AND day(day) = 20",
        "true",
        "year(at) = 2026 AND month(at) = 11 AND day(at) = 20 AND hour(at) = 8",
        "true",
        "day BETWEEN '2026-01-01' AND '2026-12-31'",
        "true",
        "hour(NULL) IS NULL",
        "true",
        NULL,
    };

    (void)state;
    assert_all(cases);
}

static void test_uuids_and_bytes_compare_as_bytes(void **state)
{
    static const char *const cases[] = {
        "id = 'FF000000-0000-0000-0000-000000000001'",
        "true",
        "id > '7fffffff-ffff-ffff-ffff-ffffffffffff'",
        "true",
        "blob = blob",
        "true",
        "blob <> coalesce(blob, NULL)",
        "false",
        NULL,
    };

    (void)state;
    assert_all(cases);
}

static void test_the_caller_is_text_or_null(void **state)
{
    static const char *const cases[] = {
        "caller.domain = 'sales'",
        "true",
        "caller.domain IN ('hr')",
        "false",
        "caller.role = ''",
        "true",
        "caller.purpose = 'x'",
        "null",
        "caller.purpose IS NULL",
        "true",
        NULL,
    };

    (void)state;
    assert_all(cases);
}

static void test_like_ends_after_its_steps(void **state)
{
    static const struct sf_expr_caller nobody = {0};
    static uint8_t text[SF_ROW_BYTES_MAX - 16];
    const struct sf_value values[FIELDS] = {
        [F_NAME] = {.present = true, .s = {text, sizeof(text)}}};
    struct sf_buf row = {0};
    struct sf_issues issues;
    struct sf_expr *e = NULL;
    struct sf_error err;

    (void)state;
    memset(text, 'a', sizeof(text));
    assert_int_equal(row_encode(&table, values, &row, &err), SF_OK);
    sf_issues_init(
        &issues, "f",
        SF_LITERAL("name LIKE '%aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab%'"));
    assert_int_equal(sf_expr_parse(&issues, &table, &e, &err), SF_OK);
    assert_int_equal(sf_expr_run(e, sf_buf_view(&row), &nobody), SF_EXPR_ERROR);
    sf_issues_done(&issues);
    sf_expr_free(e);
    sf_buf_done(&row);
}

static void test_the_fields_read_are_named(void **state)
{
    struct sf_issues issues;
    struct sf_expr *e = NULL;
    struct sf_error err;
    const uint32_t *numbers;
    size_t count = 0;

    (void)state;
    sf_issues_init(&issues, "f", SF_LITERAL("none = 1 OR name = 'x' OR flag OR name = 'y'"));
    assert_int_equal(sf_expr_parse(&issues, &table, &e, &err), SF_OK);
    sf_issues_done(&issues);
    numbers = sf_expr_fields(e, &count);
    assert_int_equal(count, 3);
    assert_int_equal(numbers[0], 1);
    assert_int_equal(numbers[1], 7);
    assert_int_equal(numbers[2], 300);
    sf_expr_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_and_or_not_have_three_values),
        cmocka_unit_test(test_comparisons_have_three_values),
        cmocka_unit_test(test_in_and_between_have_three_values),
        cmocka_unit_test(test_null_is_asked_for_with_is),
        cmocka_unit_test(test_like_knows_two_signs_and_an_escape),
        cmocka_unit_test(test_numbers_of_38_digits_are_exact),
        cmocka_unit_test(test_numbers_meet_in_the_wider_type),
        cmocka_unit_test(test_overflow_is_an_error_and_division_by_zero_null),
        cmocka_unit_test(test_an_error_counts_on_whichever_side_it_stands),
        cmocka_unit_test(test_text_counts_characters),
        cmocka_unit_test(test_dates_and_times_are_utc),
        cmocka_unit_test(test_uuids_and_bytes_compare_as_bytes),
        cmocka_unit_test(test_the_caller_is_text_or_null),
        cmocka_unit_test(test_like_ends_after_its_steps),
        cmocka_unit_test(test_the_fields_read_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
