#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "common/expr/expr.h"
#include "leaf/rowcodec/row.h"
#include "tests/lib/rows.h"

static const struct sf_expr_caller nobody = {0};

static struct sf_expr *parse(const char *text)
{
    struct sf_issues issues;
    struct sf_expr *e = NULL;
    struct sf_error err;

    sf_issues_init(&issues, "f", sf_slice_text(text));
    assert_int_equal(sf_expr_parse(&issues, rows_all_types(), &e, &err), SF_OK);
    sf_issues_done(&issues);
    return e;
}

static void assert_row(const char *filter, struct sf_slice row, enum sf_expr_result wanted)
{
    struct sf_expr *e = parse(filter);

    assert_int_equal(sf_expr_run(e, row, &nobody), wanted);
    sf_expr_free(e);
}

static void test_absent_fields_are_null(void **state)
{
    (void)state;
    assert_row("small IS NULL AND id IS NULL", SF_LITERAL(""), SF_EXPR_TRUE);
    assert_row("small IS NULL AND big = 1", SF_LITERAL("\x18\x02"), SF_EXPR_TRUE);
    assert_row("small = 1 AND big IS NULL", SF_LITERAL("\x10\x02"), SF_EXPR_TRUE);
}

static void test_bytes_that_are_no_row_are_an_error(void **state)
{
    (void)state;
    assert_row("small = 1", SF_LITERAL("\x10"), SF_EXPR_ERROR);         /* cut off */
    assert_row("small = 1", SF_LITERAL("\x10\x82\x00"), SF_EXPR_ERROR); /* long varint */
    assert_row("small = 1", SF_LITERAL("\x11\x02"), SF_EXPR_ERROR);     /* wire type */
    assert_row("small = 1", SF_LITERAL("\x10\x80\x80\x80\x80\x20"), SF_EXPR_ERROR); /* 33 bits */
    assert_row("flag", SF_LITERAL("\x08\x02"), SF_EXPR_ERROR);                      /* no bool */
    assert_row("big = 1", SF_LITERAL("\x10\x02\x10\x02"), SF_EXPR_ERROR);           /* twice */
    assert_row("small = 1", SF_LITERAL("\x18\x02\x10\x02"), SF_EXPR_NULL); /* not looked at */
    assert_row("big = 1 OR small = 1", SF_LITERAL("\x18\x02\x10\x02"), SF_EXPR_TRUE);
    assert_row("note = 'x'", SF_LITERAL("\x8A\x01\x05x"), SF_EXPR_ERROR); /* cut off */
    assert_row("note = 'x'", SF_LITERAL("\x18"), SF_EXPR_ERROR); /* in what is passed over */
    assert_row("ratio > 0", SF_LITERAL("\x25\x00\x00\x80\x7F"), SF_EXPR_ERROR);       /* infinity */
    assert_row("measure > 0", SF_LITERAL("\x79\0\0\0\0\0\0\xF8\x7F"), SF_EXPR_ERROR); /* NaN */
    assert_row("moment > '2026-01-01'", SF_LITERAL("\xA1\x01\0\0\0\0\0\0\0\x80"), SF_EXPR_ERROR);
    assert_row("year(day) > 1", SF_LITERAL("\x98\x01\xFE\xFF\xFF\xFF\x0F"), SF_EXPR_ERROR);
    assert_row("price > 0", SF_LITERAL("\x80\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"),
               SF_EXPR_ERROR); /* 19 digits */
    assert_row("id IS NULL", SF_LITERAL("\x82\x7D\x01x"), SF_EXPR_ERROR);
    assert_row("id IS NULL", SF_LITERAL("\x8A\x01\x05xxxx"), SF_EXPR_ERROR); /* passed over, cut */
}

static void test_text_may_be_any_bytes(void **state)
{
    (void)state;
    assert_row("length(note) = 2", SF_LITERAL("\x8A\x01\x04\x80\xC3\xFF\x80"), SF_EXPR_TRUE);
    assert_row("note LIKE '__'", SF_LITERAL("\x8A\x01\x03\xC3\x80\xFF"), SF_EXPR_TRUE);
    assert_row("length(substr(note, 2)) = 1", SF_LITERAL("\x8A\x01\x03\xC3\x80\xFF"), SF_EXPR_TRUE);
}

/* Every field of random rows is read as the row's own decoder reads it. */
static void test_fields_are_read_as_the_codec_reads_them(void **state)
{
    const struct sf_table *t = rows_all_types();
    struct rows_random r = {.state = 7};

    (void)state;
    for (unsigned round = 0; round < 300; round++) {
        struct sf_arena arena;
        struct sf_buf row = {0};
        struct sf_value *values;
        struct sf_error err;
        char filter[64];

        sf_arena_init(&arena, 0);
        values = rows_random_row(&r, t, &arena);
        assert_int_equal(row_encode(t, values, &row, &err), SF_OK);
        for (size_t i = 0; i < t->field_count; i++) {
            (void)snprintf(filter, sizeof(filter), "%s = %s", t->fields[i].name, t->fields[i].name);
            assert_row(filter, sf_buf_view(&row), values[i].present ? SF_EXPR_TRUE : SF_EXPR_NULL);
        }
        sf_buf_done(&row);
        sf_arena_done(&arena);
    }
}

static void test_a_cut_row_never_reads_behind_its_end(void **state)
{
    static const char *const filter = "flag AND small + big > 1 AND ratio < measure AND price > 1 "
                                      "AND note LIKE '%a' AND blob = blob AND day < moment "
                                      "AND id IS NULL";
    const struct sf_table *t = rows_all_types();
    struct rows_random r = {.state = 9};
    struct sf_expr *e = parse(filter);
    struct sf_expr *last = parse("id IS NULL"); /* passes over everything before it */

    (void)state;
    for (unsigned round = 0; round < 50; round++) {
        struct sf_arena arena;
        struct sf_buf row = {0};
        struct sf_error err;

        sf_arena_init(&arena, 0);
        assert_int_equal(row_encode(t, rows_random_row(&r, t, &arena), &row, &err), SF_OK);
        for (size_t size = 0; size <= row.size; size++) {
            uint8_t *copy = sf_alloc(size + 1);

            memcpy(copy + 1, row.data, size); /* ends where the memory ends */
            (void)sf_expr_run(e, sf_slice_of(copy + 1, size), &nobody);
            (void)sf_expr_run(last, sf_slice_of(copy + 1, size), &nobody);
            sf_free(copy);
        }
        sf_buf_done(&row);
        sf_arena_done(&arena);
    }
    sf_expr_free(e);
    sf_expr_free(last);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_absent_fields_are_null),
        cmocka_unit_test(test_bytes_that_are_no_row_are_an_error),
        cmocka_unit_test(test_text_may_be_any_bytes),
        cmocka_unit_test(test_fields_are_read_as_the_codec_reads_them),
        cmocka_unit_test(test_a_cut_row_never_reads_behind_its_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
