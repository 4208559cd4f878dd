#include "tests/lib/cmocka.h"

#include <string.h>

#include "common/base/alloc.h"
#include "common/contract/product_file.h"
#include "leaf/quality/table_stats.h"
#include "leaf/rowcodec/row.h"
#include "proto/errors.h"

#define HEAD                                                                                       \
    "sheaf: product/v1\nproduct: d/p\nversion: 1.0.0\ntables:\n"                                   \
    "  t:\n    kind: event\n    event_time: at\n    fields:\n"                                     \
    "      at: {number: 1, type: date}\n"
#define ONE HEAD "      n: {number: 2, type: int32}\n      gone: {number: 3, type: string}\n"
#define TWO HEAD "      m: {number: 2, type: int64}\n      fresh: {number: 4, type: string}\n"

static struct sf_product *read(const char *yaml)
{
    struct sf_issues issues;
    struct sf_product *p = NULL;
    struct sf_error err;

    sf_issues_init(&issues, "p.yaml", sf_slice_text(yaml));
    if (sf_product_parse(&issues, &p, &err) != SF_OK) {
        fail_msg("%s", err.text);
    }
    sf_issues_done(&issues);
    return p;
}

/* A row of ONE: negative numbers are null. */
static struct sf_buf row_of(const struct sf_product *p, int64_t day, int64_t n, const char *gone)
{
    struct sf_value values[3] = {
        {.present = day >= 0, .i = day},
        {.present = n >= 0, .i = n},
        {.present = gone != NULL, .s = sf_slice_text(gone)},
    };
    struct sf_buf row = {0};

    assert_int_equal(row_encode(&p->tables[0], values, &row, NULL), SF_OK);
    return row;
}

static void count(struct table_stats *s, const struct sf_product *p, int64_t day, int64_t n,
                  const char *gone, bool in)
{
    struct sf_buf row = row_of(p, day, n, gone);

    assert_int_equal(in ? table_stats_add(s, &p->tables[0], sf_buf_view(&row), NULL)
                        : table_stats_remove(s, &p->tables[0], sf_buf_view(&row), NULL),
                     SF_OK);
    sf_buf_done(&row);
}

static void test_rows_are_counted_in_and_out(void **state)
{
    struct sf_product *p = read(ONE);
    struct table_stats s;

    (void)state;
    assert_int_equal(table_stats_init(&s, &p->tables[0], NULL), SF_OK);
    assert_true(s.event_us == INT64_MIN);
    count(&s, p, 3, 10, "x", true);
    count(&s, p, 2, 20, NULL, true);
    count(&s, p, -1, -1, "y", true);
    assert_int_equal(s.rows, 3);
    assert_int_equal(s.event_us, INT64_C(3) * 86400 * 1000000);
    assert_int_equal(s.fields[0].nulls, 1);
    assert_int_equal(s.fields[1].values, 2);
    assert_int_equal(s.fields[2].nulls, 1);
    assert_false(table_stats_is_loose(&s));
    count(&s, p, 2, 20, NULL, false);
    assert_int_equal(s.rows, 2);
    assert_int_equal(s.fields[1].values, 1);
    assert_int_equal(s.fields[2].nulls, 0);
    assert_true(table_stats_is_loose(&s));
    table_stats_done(&s);
    sf_product_free(p);
}

static void test_a_newer_version_goes_on_by_field_number(void **state)
{
    struct sf_product *one = read(ONE);
    struct sf_product *two = read(TWO);
    struct table_stats s;

    (void)state;
    assert_int_equal(table_stats_init(&s, &one->tables[0], NULL), SF_OK);
    count(&s, one, 1, 10, "x", true);
    count(&s, one, 1, 20, "y", true);
    assert_int_equal(table_stats_move(&s, &two->tables[0], NULL), SF_OK);
    assert_int_equal(s.fields[1].values, 2);
    assert_int_equal(s.fields[2].nulls, 2); /* fresh is null in every row so far */
    count(&s, one, 1, 30, "z", true);       /* a row that was written under version one */
    assert_int_equal(s.rows, 3);
    assert_int_equal(s.fields[1].max.i, 30);
    assert_int_equal(s.fields[2].nulls, 3);
    count(&s, one, 1, 10, "x", false);
    assert_int_equal(s.fields[1].values, 2);
    assert_int_equal(s.fields[2].nulls, 2);
    table_stats_done(&s);
    sf_product_free(one);
    sf_product_free(two);
}

static void test_stored_statistics_are_the_same(void **state)
{
    struct sf_product *one = read(ONE);
    struct sf_product *two = read(TWO);
    struct table_stats s;
    struct table_stats back;
    struct sf_buf bytes = {0};
    struct sf_buf again = {0};
    struct sf_slice rest;

    (void)state;
    assert_int_equal(table_stats_init(&s, &one->tables[0], NULL), SF_OK);
    assert_int_equal(table_stats_init(&back, &one->tables[0], NULL), SF_OK);
    count(&s, one, 3, 10, "x", true);
    count(&s, one, 3, -1, "x", true);
    s.loose = true;
    table_stats_encode(&s, &bytes);
    rest = sf_buf_view(&bytes);
    assert_int_equal(table_stats_decode(&rest, &back, NULL), SF_OK);
    assert_int_equal(rest.size, 0);
    table_stats_encode(&back, &again);
    assert_true(sf_slice_equal(sf_buf_view(&bytes), sf_buf_view(&again)));
    for (size_t n = 0; n < bytes.size; n += n < 200 ? 1 : 97) {
        rest = sf_slice_of(bytes.data, n);
        assert_int_equal(table_stats_decode(&rest, &back, NULL), SF_CORRUPT);
        assert_int_equal(back.rows, 0);
    }
    table_stats_done(&back);
    /* Read for another version: what it does not know is left out, what is new is null. */
    assert_int_equal(table_stats_init(&back, &two->tables[0], NULL), SF_OK);
    rest = sf_buf_view(&bytes);
    assert_int_equal(table_stats_decode(&rest, &back, NULL), SF_OK);
    assert_int_equal(back.rows, 2);
    assert_int_equal(back.fields[0].values, 2);
    assert_int_equal(back.fields[2].nulls, 2);
    table_stats_done(&back);
    table_stats_done(&s);
    sf_buf_done(&bytes);
    sf_buf_done(&again);
    sf_product_free(one);
    sf_product_free(two);
}

static void test_a_damaged_row_is_told(void **state)
{
    struct sf_product *p = read(ONE);
    struct table_stats s;
    struct sf_error err;

    (void)state;
    assert_int_equal(table_stats_init(&s, &p->tables[0], NULL), SF_OK);
    assert_int_equal(table_stats_add(&s, &p->tables[0], sf_slice_text("\xff"), &err), SF_CORRUPT);
    assert_int_equal(s.rows, 0);
    table_stats_done(&s);
    sf_product_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_are_counted_in_and_out),
        cmocka_unit_test(test_a_newer_version_goes_on_by_field_number),
        cmocka_unit_test(test_stored_statistics_are_the_same),
        cmocka_unit_test(test_a_damaged_row_is_told),
    };

    return cmocka_run_group_tests_name("table_stats", tests, NULL, NULL);
}
