/* Paths into lists and structs: what is refused, how they print, rows that are none. Their values:
 * tests/conformance/test_expr_paths_duckdb.c. */
#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "common/expr/expr.h"
#include "leaf/rowcodec/row.h"
#include "tests/lib/rows.h"

static enum sf_code parse(const char *text, struct sf_expr **ret, struct sf_buf *shown)
{
    struct sf_issues issues;
    struct sf_error err;
    enum sf_code code;

    sf_issues_init(&issues, "f", sf_slice_text(text));
    code = sf_expr_parse(&issues, rows_nested(), ret, &err);
    sf_issues_render(&issues, shown);
    sf_issues_done(&issues);
    return code;
}

static void assert_refused(const char *text, const char *wanted)
{
    struct sf_expr *e = NULL;
    struct sf_buf shown = {0};
    struct sf_buf head = {0};

    assert_int_equal(parse(text, &e, &shown), SF_INVALID);
    sf_buf_append(&head, shown.data, strcspn(sf_buf_cstr(&shown), "\n"));
    assert_string_equal(sf_buf_cstr(&head), wanted);
    sf_buf_done(&head);
    sf_buf_done(&shown);
}

static void wrong_steps_are_told(void **state)
{
    (void)state;
    assert_refused("lines[1].skuu = 'x'",
                   "f:1:10: error[SHEAF-E0107]: struct 'lines' has no field 'skuu'");
    assert_refused("at.lat.x = 1",
                   "f:1:8: error[SHEAF-E0113]: only a struct has fields, and 'lat' is a double");
    assert_refused("lines.sku = 'x'",
                   "f:1:7: error[SHEAF-E0113]: only a struct has fields, and 'lines' is a list");
    assert_refused("at[1] = 1",
                   "f:1:3: error[SHEAF-E0113]: only a list has elements, and 'at' is a struct");
    assert_refused("tags[0] = 'x'", "f:1:6: error[SHEAF-E0112]: expected the number of an element, "
                                    "1 for the first, found '0'");
    assert_refused("tags[-1] = 'x'",
                   "f:1:6: error[SHEAF-E0112]: expected the number of an element, "
                   "1 for the first, found '-'");
    assert_refused("tags[1 = 'x'", "f:1:8: error[SHEAF-E0112]: expected ']', found '='");
    assert_refused("at. = 1",
                   "f:1:5: error[SHEAF-E0112]: expected the name of a field behind '.', found '='");
    assert_refused("tags = 'x'", "f:1:1: error[SHEAF-E0113]: filters do not read a list");
    assert_refused("at = NULL", "f:1:1: error[SHEAF-E0113]: filters do not read a struct");
    assert_refused("doc = 'x'", "f:1:1: error[SHEAF-E0113]: filters do not read a json");
    assert_refused("(at = NULL) IS NULL",
                   "f:1:2: error[SHEAF-E0113]: filters do not read a struct");
    assert_refused("coalesce(at, at) IS NULL",
                   "f:1:10: error[SHEAF-E0113]: filters do not read a struct");
    assert_refused("len(at) = 1", "f:1:5: error[SHEAF-E0113]: filters do not read a struct");
    assert_refused("len(at.lat) = 1", "f:1:5: error[SHEAF-E0113]: len takes a list, found double");
    assert_refused("lines[1].days[1].x = 1",
                   "f:1:18: error[SHEAF-E0113]: only a struct has fields, and 'days' is a date");
}

static void paths_print_as_they_parse(void **state)
{
    static const char *const texts[][2] = {
        {"lines [ 1 ] . at . lat > 0.5 and len ( tags ) = 2",
         "lines[1].at.lat > 0.5 AND len(tags) = 2"},
        {"lines[2].days[1] = '2026-01-01' OR nums[1] = nums[1]",
         "lines[2].days[1] = '2026-01-01' OR nums[1] = nums[1]"},
        {"wide > 1", "wide > 1"},
        {"at is null or doc is not null", "at IS NULL OR doc IS NOT NULL"},
        {"(tags) IS NULL AND lines[1] IS NULL", "tags IS NULL AND lines[1] IS NULL"},
    };
    struct sf_expr *e = NULL;
    struct sf_buf out = {0};
    struct sf_buf shown = {0};
    const uint32_t *numbers;
    size_t count;

    (void)state;
    for (size_t i = 0; i < SF_COUNT(texts); i++) {
        sf_buf_clear(&out);
        assert_int_equal(parse(texts[i][0], &e, &shown), SF_OK);
        sf_expr_print(e, &out);
        assert_string_equal(sf_buf_cstr(&out), texts[i][1]);
        numbers = sf_expr_fields(e, &count);
        if (i == 0) { /* two values of field 300, and field 3 */
            assert_int_equal(count, 2);
            assert_int_equal(numbers[0], 3);
            assert_int_equal(numbers[1], 300);
        }
        sf_expr_free(e);
        assert_int_equal(parse(sf_buf_cstr(&out), &e, &shown), SF_OK);
        sf_expr_free(e);
    }
    sf_buf_done(&out);
    sf_buf_done(&shown);
}

/* Every row cut anywhere, and with any bit turned, gives some answer; a row that is whole, none
 * that is an error. */
static void rows_that_are_none_do_no_harm(void **state)
{
    static const char *const text =
        "wide > 0 OR tags[2] = 'x' OR nums[3] = 1 OR ratios[2] > 0 OR at.lat = 1 OR len(ids) = 2 "
        "OR "
        "lines[2].days[2] = '2026-01-01' OR lines[3].at.seen = '2026-01-01' OR len(lines[1].days) "
        "= 1 OR at IS NULL OR doc IS NULL OR lines[2] IS NULL OR lines[1].at IS NULL "
        "OR len(lines) = 2 OR ids[1] = '00000000-0000-0000-0000-000000000000' OR lines[1].sku = ''";
    struct rows_random random = {.state = 7};
    struct sf_arena arena = {0};
    struct sf_expr *e = NULL;
    struct sf_buf shown = {0};
    struct sf_buf row = {0};
    struct sf_error err;

    (void)state;
    assert_int_equal(parse(text, &e, &shown), SF_OK);
    for (size_t i = 0; i < 60; i++) {
        const struct sf_value *values = rows_random_row(&random, rows_nested(), &arena);

        sf_buf_clear(&row);
        assert_int_equal(row_encode(rows_nested(), values, &row, &err), SF_OK);
        assert_int_not_equal(sf_expr_run(e, sf_buf_view(&row), &(struct sf_expr_caller){0}),
                             SF_EXPR_ERROR);
        for (size_t k = 0; k < row.size; k++) {
            uint8_t bit = (uint8_t)(1U << rows_below(&random, 8));

            (void)sf_expr_run(e, sf_slice_of(row.data, k), &(struct sf_expr_caller){0});
            row.data[k] ^= bit;
            (void)sf_expr_run(e, sf_buf_view(&row), &(struct sf_expr_caller){0});
            row.data[k] ^= bit;
        }
    }
    sf_expr_free(e);
    sf_buf_done(&row);
    sf_buf_done(&shown);
    sf_arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_steps_are_told),
        cmocka_unit_test(paths_print_as_they_parse),
        cmocka_unit_test(rows_that_are_none_do_no_harm),
    };

    return cmocka_run_group_tests_name("paths", tests, NULL, NULL);
}
