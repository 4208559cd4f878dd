#include "tests/lib/cmocka.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/contract/product_file.h"
#include "leaf/quality/exam.h"
#include "leaf/rowcodec/row.h"
#include "proto/errors.h"

#define PRODUCT(checks)                                                                            \
    "sheaf: product/v1\nproduct: d/p\nversion: 1.0.0\ntables:\n"                                   \
    "  t:\n    key: [id]\n    checks: [" checks "]\n    fields:\n"                                 \
    "      id: {number: 1, type: int64, required: true}\n"                                         \
    "      a: {number: 2, type: int64}\n"                                                          \
    "      b: {number: 3, type: string}\n"

struct world {
    struct sf_product *product;
    const struct sf_table *table;
    struct table_stats stats;
    struct exam *exam;
};

static void world_open(struct world *w, const char *yaml)
{
    struct sf_issues issues;
    struct sf_error err;

    *w = (struct world){0};
    sf_issues_init(&issues, "p.yaml", sf_slice_text(yaml));
    if (sf_product_parse(&issues, &w->product, &err) != SF_OK) {
        fail_msg("%s", err.text);
    }
    sf_issues_done(&issues);
    w->table = &w->product->tables[0];
    assert_int_equal(table_stats_init(&w->stats, w->table, NULL), SF_OK);
    assert_int_equal(exam_new(w->table, &w->exam, NULL), SF_OK);
}

static void world_close(struct world *w)
{
    exam_free(w->exam);
    table_stats_done(&w->stats);
    sf_product_free(w->product);
}

/* Negative: null. */
static void add(struct world *w, int64_t id, int64_t a, const char *b)
{
    const struct sf_value values[3] = {
        {.present = true, .i = id},
        {.present = a >= 0, .i = a},
        {.present = b != NULL, .s = sf_slice_text(b)},
    };
    struct sf_buf row = {0};

    assert_int_equal(row_encode(w->table, values, &row, NULL), SF_OK);
    assert_int_equal(table_stats_add(&w->stats, w->table, sf_buf_view(&row), NULL), SF_OK);
    if (w->exam != NULL) {
        assert_int_equal(exam_add(w->exam, w->table, sf_buf_view(&row), NULL), SF_OK);
    }
    sf_buf_done(&row);
}

static struct check_result judge(const struct world *w, size_t check, bool exact)
{
    const struct check_facts facts = {
        .table = w->table,
        .stats = &w->stats,
        .exam = exact ? w->exam : NULL,
        .quarantined = 2,
    };

    return check_judge(&w->table->checks[check], &facts);
}

static void assert_judged(const struct world *w, size_t check, enum check_status status,
                          double actual)
{
    const struct check_result r = judge(w, check, true);

    assert_int_equal(r.status, status);
    assert_true(r.has_actual && r.actual > actual - 1e-9 && r.actual < actual + 1e-9);
    assert_false(r.estimated);
}

static void test_every_metric_is_measured(void **state)
{
    struct world w;

    (void)state;
    world_open(&w,
               PRODUCT("rows >= 4, rows > 4, invalid <= 2, invalid < 50%, nulls(a) = 1, nulls(b) "
                       "<= 25%, duplicates(a) = 0, \"duplicates(a, b) = 0\", distinct(b) = 2, "
                       "min(a) >= 3, max(a) < 4, mean(a) = 4, duplicates(id) = 0"));
    add(&w, 1, 3, "x");
    add(&w, 2, 3, "y");
    add(&w, 3, 6, "x");
    add(&w, 4, -1, NULL);
    assert_judged(&w, 0, CHECK_PASS, 4);
    assert_judged(&w, 1, CHECK_FAIL, 4);
    assert_judged(&w, 2, CHECK_PASS, 2);
    assert_judged(&w, 3, CHECK_PASS, 100.0 / 3);
    assert_judged(&w, 4, CHECK_PASS, 1);
    assert_judged(&w, 5, CHECK_PASS, 25);
    assert_judged(&w, 6, CHECK_FAIL, 1);
    assert_judged(&w, 7, CHECK_PASS, 0);
    assert_judged(&w, 8, CHECK_PASS, 2);
    assert_judged(&w, 9, CHECK_PASS, 3);
    assert_judged(&w, 10, CHECK_FAIL, 6);
    assert_judged(&w, 11, CHECK_PASS, 4);
    assert_judged(&w, 12, CHECK_PASS, 0);
    world_close(&w);
}

/* 2^53 is the last whole number below which a double holds every one. */
static void test_bounds_are_compared_digit_by_digit(void **state)
{
    const int64_t beyond = (INT64_C(1) << 53) + 1;
    struct world w;

    (void)state;
    world_open(
        &w,
        PRODUCT(
            "max(a) <= 9007199254740992, max(a) = 9007199254740993, min(a) > 9007199254740992"));
    add(&w, 1, beyond, "x");
    assert_int_equal(judge(&w, 0, true).status, CHECK_FAIL);
    assert_int_equal(judge(&w, 1, true).status, CHECK_PASS);
    assert_int_equal(judge(&w, 2, true).status, CHECK_PASS);
    world_close(&w);
}

static void test_wide_decimals_are_compared_digit_by_digit(void **state)
{
    static const char row[] = "9999999999999999999999999999.9999999999";
    uint8_t wide[SF_DECIMAL_WIDE_SIZE];
    const struct sf_value values[2] = {{.present = true, .i = 1},
                                       {.present = true, .s = sf_slice_of(wide, sizeof(wide))}};
    struct sf_buf bytes = {0};
    struct world w;

    (void)state;
    world_open(&w, "sheaf: product/v1\nproduct: d/p\nversion: 1.0.0\ntables:\n"
                   "  t:\n    key: [id]\n    fields:\n"
                   "      id: {number: 1, type: int64, required: true}\n"
                   "      a: {number: 2, type: \"decimal(38,10)\"}\n"
                   "    checks: [max(a) <= 9999999999999999999999999999, max(a) < 1e28, "
                   "max(a) >= 9999999999999999999999999999.9999999999]\n");
    assert_int_equal(sf_decimal_wide_parse(sf_slice_text(row), 38, 10, wide), SF_PARSE_OK);
    assert_int_equal(row_encode(w.table, values, &bytes, NULL), SF_OK);
    assert_int_equal(table_stats_add(&w.stats, w.table, sf_buf_view(&bytes), NULL), SF_OK);
    assert_int_equal(judge(&w, 0, true).status, CHECK_FAIL);
    assert_int_equal(judge(&w, 1, true).status, CHECK_PASS);
    assert_int_equal(judge(&w, 2, true).status, CHECK_PASS);
    sf_buf_done(&bytes);
    world_close(&w);
}

/* The row that held the greatest or least value may have been replaced since. */
static void test_a_bound_that_may_be_gone_is_a_verdict_only_where_it_does_not_matter(void **state)
{
    static const enum check_status expected[] = {
        CHECK_PASS,    /* max(a) < 10 */
        CHECK_UNKNOWN, /* max(a) < 5 */
        CHECK_UNKNOWN, /* max(a) >= 5 */
        CHECK_FAIL,    /* max(a) > 5 */
        CHECK_UNKNOWN, /* max(a) = 5 */
        CHECK_FAIL,    /* max(a) = 6 */
        CHECK_PASS,    /* min(a) >= 3 */
        CHECK_UNKNOWN, /* min(a) <= 3 */
        CHECK_FAIL,    /* min(a) < 3 */
        CHECK_UNKNOWN, /* min(a) != 4 */
    };
    struct world w;

    (void)state;
    world_open(&w, PRODUCT("max(a) < 10, max(a) < 5, max(a) >= 5, max(a) > 5, max(a) = 5, max(a) = "
                           "6, min(a) >= 3, min(a) <= 3, min(a) < 3, min(a) != 4"));
    add(&w, 1, 3, "x");
    add(&w, 2, 5, "x");
    for (size_t i = 0; i < SF_COUNT(expected); i++) {
        const struct check_facts facts = {.table = w.table, .stats = &w.stats, .loose = true};
        const struct check_result r = check_judge(&w.table->checks[i], &facts);

        if (r.status != expected[i] || !r.estimated || !r.has_actual) {
            fail_msg("'%s' is %s", w.table->checks[i].text, check_status_name(r.status));
        }
    }
    world_close(&w);
}

static void test_without_rows_a_share_and_a_bound_are_unknown(void **state)
{
    struct world w;

    (void)state;
    world_open(&w, PRODUCT("nulls(a) <= 5%, min(a) > 0, mean(a) > 0, rows = 0"));
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(judge(&w, i, true).status, CHECK_UNKNOWN);
    }
    assert_judged(&w, 3, CHECK_PASS, 0);
    world_close(&w);
}

static void test_a_mean_beyond_any_double_is_unknown(void **state)
{
    struct world w;

    (void)state;
    world_open(&w, PRODUCT("mean(a) > 0, rows = 1"));
    add(&w, 1, 2, "x");
    w.stats.fields[1].mean = (double)INFINITY;
    assert_int_equal(judge(&w, 0, true).status, CHECK_UNKNOWN);
    assert_false(judge(&w, 0, true).has_actual);
    world_close(&w);
}

static void test_an_estimate_near_the_limit_is_no_verdict(void **state)
{
    struct world w;
    struct check_result r;

    (void)state;
    world_open(&w, PRODUCT("distinct(a) >= 1000, distinct(a) >= 500, distinct(a) >= 2000, "
                           "duplicates(a) = 0, \"duplicates(a, b) = 0\""));
    for (int64_t i = 0; i < 1000; i++) {
        add(&w, i, i, "same");
    }
    assert_int_equal(judge(&w, 0, false).status, CHECK_UNKNOWN);
    r = judge(&w, 1, false);
    assert_true(r.status == CHECK_PASS && r.estimated);
    assert_int_equal(judge(&w, 2, false).status, CHECK_FAIL);
    assert_int_equal(judge(&w, 3, false).status, CHECK_UNKNOWN);
    assert_int_equal(judge(&w, 4, false).status, CHECK_UNKNOWN);
    assert_judged(&w, 0, CHECK_PASS, 1000);
    assert_judged(&w, 3, CHECK_PASS, 0);
    assert_judged(&w, 4, CHECK_PASS, 0);
    world_close(&w);
}

static void test_a_table_without_such_checks_needs_no_exam(void **state)
{
    struct world w;

    (void)state;
    world_open(&w, PRODUCT("rows >= 1"));
    assert_null(w.exam);
    world_close(&w);
}

static void test_no_memory_is_told(void **state)
{
    struct world w;
    struct sf_buf row = {0};
    const struct sf_value values[3] = {{.present = true, .i = 1}, {.present = true, .i = 1}, {0}};

    (void)state;
    world_open(&w, PRODUCT("duplicates(a) = 0"));
    assert_int_equal(row_encode(w.table, values, &row, NULL), SF_OK);
    for (long n = 0;; n++) {
        struct exam *e = NULL;
        enum sf_code code;

        sf_alloc_fail_after(n, 0);
        code = exam_new(w.table, &e, NULL);
        code = code == SF_OK ? exam_add(e, w.table, sf_buf_view(&row), NULL) : code;
        sf_alloc_fail_after(-1, 0);
        exam_free(e);
        if (code == SF_OK) {
            assert_true(n >= 3);
            break;
        }
        assert_int_equal(code, SF_NOMEM);
    }
    sf_buf_done(&row);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_metric_is_measured),
        cmocka_unit_test(test_bounds_are_compared_digit_by_digit),
        cmocka_unit_test(test_wide_decimals_are_compared_digit_by_digit),
        cmocka_unit_test(test_a_bound_that_may_be_gone_is_a_verdict_only_where_it_does_not_matter),
        cmocka_unit_test(test_without_rows_a_share_and_a_bound_are_unknown),
        cmocka_unit_test(test_a_mean_beyond_any_double_is_unknown),
        cmocka_unit_test(test_an_estimate_near_the_limit_is_no_verdict),
        cmocka_unit_test(test_a_table_without_such_checks_needs_no_exam),
        cmocka_unit_test(test_no_memory_is_told),
    };

    return cmocka_run_group_tests_name("exam", tests, NULL, NULL);
}
