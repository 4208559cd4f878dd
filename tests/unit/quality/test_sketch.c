#include "tests/lib/cmocka.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "leaf/quality/sketch.h"
#include "proto/errors.h"

static const struct sf_field number = {.number = 1, .name = "n", .type = SF_TYPE_INT64};
static const struct sf_field amount = {
    .number = 2, .name = "a", .type = SF_TYPE_DECIMAL, .precision = 9, .scale = 2};
static const struct sf_field text = {.number = 3, .name = "t", .type = SF_TYPE_STRING};
static const struct sf_field real = {.number = 4, .name = "r", .type = SF_TYPE_DOUBLE};
static const struct sf_field wide = {
    .number = 5, .name = "w", .type = SF_TYPE_DECIMAL_WIDE, .precision = 38, .scale = 1};

static struct sf_value of_int(int64_t i)
{
    return (struct sf_value){.present = true, .i = i};
}

static struct sf_value of_text(const char *s)
{
    return (struct sf_value){.present = true, .s = sf_slice_text(s)};
}

static void add(struct sketch *s, const struct sf_field *f, struct sf_value v)
{
    assert_int_equal(sketch_add(s, f, &v, NULL), SF_OK);
}

static void assert_near(double got, double wanted)
{
    if (fabs(got - wanted) > 1e-9 * (1 + fabs(wanted))) {
        fail_msg("%.17g is not %.17g", got, wanted);
    }
}

static void test_counts_bounds_and_moments(void **state)
{
    struct sketch s = {0};

    (void)state;
    for (int64_t i = 1; i <= 100; i++) {
        add(&s, &amount, of_int(i * 100));
    }
    add(&s, &amount, (struct sf_value){0});
    assert_int_equal(s.values, 100);
    assert_int_equal(s.nulls, 1);
    assert_near(s.mean, 50.5);
    assert_near(sketch_deviation(&s), 28.866070047722118);
    assert_int_equal(s.min.i, 100);
    assert_int_equal(s.max.i, 10000);
    assert_false(s.loose);
    sketch_done(&s);
}

static void test_what_is_taken_out_leaves_no_trace_in_counts_and_moments(void **state)
{
    struct sketch s = {0};
    struct sketch without = {0};

    (void)state;
    for (int64_t i = 0; i < 1000; i++) {
        const struct sf_value v = of_int(i * i % 777 - 300);

        add(&s, &number, v);
        if (i % 3 == 0) {
            add(&without, &number, v);
        }
    }
    for (int64_t i = 0; i < 1000; i++) {
        const struct sf_value v = of_int(i * i % 777 - 300);

        if (i % 3 != 0) {
            sketch_remove(&s, &number, &v);
        }
    }
    assert_int_equal(s.values, without.values);
    assert_near(s.mean, without.mean);
    assert_near(sketch_deviation(&s), sketch_deviation(&without));
    assert_true(s.loose);
    assert_false(without.loose);
    sketch_remove(&s, &number, &(struct sf_value){0});
    assert_int_equal(s.nulls, 0);
    sketch_done(&s);
    sketch_done(&without);
}

static void test_numbers_of_every_type(void **state)
{
    uint8_t minus_eleven[16];
    struct sf_value v = {.present = true, .d = -2.5};

    (void)state;
    assert_near(sketch_number(&real, &v), -2.5);
    v = of_int(-7);
    assert_near(sketch_number(&number, &v), -7);
    v = of_int(12345);
    assert_near(sketch_number(&amount, &v), 123.45);
    memset(minus_eleven, 0xff, sizeof(minus_eleven));
    minus_eleven[15] = 0xf5;
    v = (struct sf_value){.present = true, .s = sf_slice_of(minus_eleven, 16)};
    assert_near(sketch_number(&wide, &v), -1.1);
}

static void test_there_are_never_more_different_values_than_values(void **state)
{
    struct sketch s = {0};
    bool equal = false;

    (void)state;
    for (uint64_t i = 1; i <= 6000; i++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "customer-%llu", (unsigned long long)i);
        add(&s, &text, of_text(name));
        if (i % 100 == 0) {
            assert_true(sketch_distinct(&s) <= i);
            equal = equal || sketch_distinct(&s) == i;
        }
    }
    assert_true(equal); /* the estimate alone is above it as often as below */
    sketch_done(&s);
}

static void test_different_values_are_counted_within_the_standard_error(void **state)
{
    static const uint64_t counts[] = {1, 10, 1000, 9000, 50000, 400000};

    (void)state;
    for (size_t k = 0; k < SF_COUNT(counts); k++) {
        struct sketch s = {0};
        double off;

        for (uint64_t i = 0; i < counts[k]; i++) {
            char name[32];

            (void)snprintf(name, sizeof(name), "customer-%llu", (unsigned long long)i);
            add(&s, &text, of_text(name));
            add(&s, &text, of_text(name)); /* twice is once */
        }
        off = fabs((double)sketch_distinct(&s) - (double)counts[k]) / (double)counts[k];
        if (off > 3 * 0.0163) {
            fail_msg("%llu counted as %llu", (unsigned long long)counts[k],
                     (unsigned long long)sketch_distinct(&s));
        }
        assert_true(counts[k] > 10 || off < 1e-9);
        sketch_done(&s);
    }
}

static void test_what_comes_most_often_stands_first(void **state)
{
    struct sketch_top top[4];
    struct sketch s = {0};

    (void)state;
    for (int i = 0; i < 3000; i++) {
        char rare[16];

        (void)snprintf(rare, sizeof(rare), "x%d", i);
        add(&s, &text, of_text(rare));
        add(&s, &text, of_text("NO"));
        if (i % 2 == 0) {
            add(&s, &text, of_text("SE"));
        }
    }
    assert_int_equal(sketch_top(&s, top, 4), 4);
    assert_memory_equal(top[0].value->bytes, "NO", 2);
    assert_true(top[0].count >= 3000 && top[0].count - top[0].over <= 3000);
    assert_memory_equal(top[1].value->bytes, "SE", 2);
    assert_true(top[1].count >= 1500 && top[1].count - top[1].over <= 1500);
    assert_true(top[2].count >= top[3].count);
    sketch_done(&s);
    assert_int_equal(sketch_top(&s, top, 4), 0);
}

static void test_the_order_of_coming_is_not_told(void **state)
{
    struct sketch_top top[2][20];
    struct sketch sketches[2] = {{0}, {0}};

    (void)state;
    for (int i = 0; i < 20; i++) {
        char values[2][16];

        (void)snprintf(values[0], sizeof(values[0]), "v%d", i);
        (void)snprintf(values[1], sizeof(values[1]), "v%d", 19 - i);
        for (int k = 0; k < 2; k++) {
            add(&sketches[k], &text, of_text(values[k]));
        }
    }
    for (int k = 0; k < 2; k++) {
        assert_int_equal(sketch_top(&sketches[k], top[k], 20), 20);
    }
    for (int i = 0; i < 20; i++) {
        assert_memory_equal(top[0][i].value->bytes, top[1][i].value->bytes, top[0][i].value->size);
    }
    sketch_done(&sketches[0]);
    sketch_done(&sketches[1]);
}

static void test_long_values_are_known_by_their_beginning(void **state)
{
    char a[200];
    struct sketch s = {0};

    (void)state;
    memset(a, 'a', sizeof(a));
    a[sizeof(a) - 1] = '\0';
    add(&s, &text, of_text(a));
    assert_true(s.min.cut && s.min.size == SKETCH_BYTES_MAX);
    add(&s, &text, of_text("b"));
    assert_false(s.max.cut);
    assert_memory_equal(s.max.bytes, "b", 1);
    add(&s, &text, of_text(""));
    assert_true(s.min.present && s.min.size == 0);
    assert_int_equal(sketch_distinct(&s), 3);
    sketch_done(&s);
}

static struct sketch sample(void)
{
    struct sketch s = {0};

    add(&s, &text, of_text("NO"));
    add(&s, &text, of_text("SE"));
    add(&s, &text, of_text("NO"));
    add(&s, &text, (struct sf_value){0});
    return s;
}

static void test_a_stored_sketch_is_the_same(void **state)
{
    struct sketch s = sample();
    struct sketch back = {0};
    struct sf_buf bytes = {0};
    struct sf_buf again = {0};
    struct sf_slice rest;

    (void)state;
    sketch_encode(&s, &bytes);
    sf_buf_byte(&bytes, 77);
    rest = sf_buf_view(&bytes);
    assert_int_equal(sketch_decode(&rest, &back, NULL), SF_OK);
    assert_int_equal(rest.size, 1);
    sketch_encode(&back, &again);
    assert_int_equal(again.size, bytes.size - 1);
    assert_memory_equal(again.data, bytes.data, again.size);
    assert_int_equal(sketch_distinct(&back), 2);
    for (size_t n = 0; n < bytes.size - 1; n++) {
        struct sketch cut = {0};
        struct sf_error err;

        rest = sf_slice_of(bytes.data, n);
        assert_int_equal(sketch_decode(&rest, &cut, &err), SF_CORRUPT);
        assert_null(cut.memory);
    }
    sketch_done(&s);
    sketch_done(&back);
    sf_buf_done(&bytes);
    sf_buf_done(&again);
}

static void test_moments_beyond_a_double_are_stored_and_read(void **state)
{
    struct sketch s = {0};
    struct sketch back = {0};
    struct sf_buf bytes = {0};
    struct sf_slice rest;

    (void)state;
    add(&s, &real, (struct sf_value){.present = true, .d = 1.7e308});
    add(&s, &real, (struct sf_value){.present = true, .d = -1.7e308});
    assert_near(s.mean, 0);
    assert_true(sketch_deviation(&s) > DBL_MAX);
    sketch_encode(&s, &bytes);
    rest = sf_buf_view(&bytes);
    assert_int_equal(sketch_decode(&rest, &back, NULL), SF_OK);
    assert_true(sketch_deviation(&back) > DBL_MAX);
    sketch_done(&s);
    sketch_done(&back);
    sf_buf_done(&bytes);
}

static void test_stored_bytes_are_those_of_the_format(void **state)
{
    static const uint8_t wanted[] = {
        2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0x1c, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0,    0,    7, 0, 0, 0,
        0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0,    0,    0, 0, 0, 0,
    };
    struct sketch s = {0};
    struct sf_buf bytes = {0};

    (void)state;
    add(&s, &number, of_int(7));
    sketch_encode(&s, &bytes);
    assert_memory_equal(bytes.data, wanted, sizeof(wanted));
    assert_int_equal(bytes.size, sizeof(wanted) + SKETCH_REGISTERS + 1 + 24 + 1 + 1 + 16);
    sketch_done(&s);
    sf_buf_done(&bytes);
}

static void test_no_memory_is_told(void **state)
{
    struct sketch s = {0};
    struct sf_value v = of_int(1);

    (void)state;
    sf_alloc_fail_after(0, 0);
    assert_int_equal(sketch_add(&s, &number, &v, NULL), SF_NOMEM);
    sf_alloc_fail_after(-1, 0);
    assert_int_equal(s.values, 0);
    sketch_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts_bounds_and_moments),
        cmocka_unit_test(test_what_is_taken_out_leaves_no_trace_in_counts_and_moments),
        cmocka_unit_test(test_numbers_of_every_type),
        cmocka_unit_test(test_there_are_never_more_different_values_than_values),
        cmocka_unit_test(test_different_values_are_counted_within_the_standard_error),
        cmocka_unit_test(test_what_comes_most_often_stands_first),
        cmocka_unit_test(test_the_order_of_coming_is_not_told),
        cmocka_unit_test(test_long_values_are_known_by_their_beginning),
        cmocka_unit_test(test_a_stored_sketch_is_the_same),
        cmocka_unit_test(test_moments_beyond_a_double_are_stored_and_read),
        cmocka_unit_test(test_stored_bytes_are_those_of_the_format),
        cmocka_unit_test(test_no_memory_is_told),
    };

    return cmocka_run_group_tests_name("sketch", tests, NULL, NULL);
}
