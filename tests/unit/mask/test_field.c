#include "tests/lib/cmocka.h"

#include "tests/lib/masks.h"

static const struct sf_field small = {.number = 1, .name = "small", .type = SF_TYPE_INT32};
static const struct sf_field price = {
    .number = 2, .name = "price", .type = SF_TYPE_DECIMAL, .precision = 12, .scale = 2};
static const struct sf_field ratio = {.number = 3, .name = "ratio", .type = SF_TYPE_DOUBLE};
static const struct sf_field note = {.number = 4, .name = "note", .type = SF_TYPE_STRING};
static const struct sf_field day = {.number = 5, .name = "day", .type = SF_TYPE_DATE};
static const struct sf_field moment = {.number = 6, .name = "moment", .type = SF_TYPE_TIMESTAMP};
static const struct sf_field doc = {.number = 7, .name = "doc", .type = SF_TYPE_JSON};
static const struct sf_field tags = {
    .number = 8, .name = "tags", .type = SF_TYPE_LIST, .item = &note};

static void assert_fits(const char *text, const struct sf_field *f, const char *wanted)
{
    char why[SF_MASK_WHY_SIZE] = "";
    struct sf_arena arena;
    struct sf_mask m;

    sf_arena_init(&arena, 0);
    m = masks_of(text, &arena);
    assert_int_equal(sf_mask_fits(&m, f, why), *wanted == '\0');
    assert_string_equal(why, wanted);
    sf_arena_done(&arena);
}

static void test_masks_fit_the_types_they_are_for(void **state)
{
    (void)state;
    assert_fits("omit", &tags, "");
    assert_fits("null", &tags, "");
    assert_fits("hash", &doc, "");
    assert_fits("redact", &day, "");
    assert_fits("constant(7)", &small, "");
    assert_fits("constant(0.50)", &price, "");
    assert_fits("constant(2026-01-01)", &day, "");
    assert_fits("bucket(0.5)", &price, "");
    assert_fits("round(-3)", &small, "");
    assert_fits("round(3)", &ratio, "");
    assert_fits("truncate(hour)", &moment, "");
    assert_fits("truncate(month)", &day, "");
    assert_fits("keep_domain", &note, "");
}

static void test_masks_that_do_not_fit_say_why(void **state)
{
    (void)state;
    assert_fits("hash", &tags,
                "is for single values (null and omit are for all), not for list<string>");
    assert_fits("keep_last(4)", &day, "is for strings, not for date");
    assert_fits("truncate(day)", &note, "is for dates and timestamps, not for string");
    assert_fits("truncate(day)", &day, "hides nothing of date");
    assert_fits("bucket(5)", &note, "is for numbers, not for string");
    assert_fits("bucket(1)", &small, "hides nothing of int32");
    assert_fits("bucket(0.5)", &small, "is finer than int32");
    assert_fits("bucket(0.001)", &price, "is finer than decimal(12,2)");
    assert_fits("bucket(10000000000)", &price, "is larger than any value of decimal(12,2)");
    assert_fits("bucket(2147483648)", &small, "is larger than any value of int32");
    assert_fits("bucket(0.5)", &ratio, "takes a whole number up to 2147483647 for double");
    assert_fits("round(2)", &price, "hides nothing of decimal(12,2)");
    assert_fits("round(0)", &small, "hides nothing of int32");
    assert_fits("round(-10)", &small, "is larger than any value of int32");
    assert_fits("round(16)", &ratio, "takes -15 to 15 for double");
    assert_fits("constant(x)", &small, "holds no value of int32");
    assert_fits("constant(x)", &doc, "is not for json");
}

static void test_misfits_and_inner_values_are_reported_at_their_place(void **state)
{
    const struct sf_place place = {.line = 1, .column = 7, .width = 9};
    struct sf_issues issues;
    struct sf_arena arena;
    struct sf_buf out = {0};
    struct sf_mask m;

    (void)state;
    sf_arena_init(&arena, 0);
    m = masks_of("truncate(day)", &arena);
    sf_issues_init(&issues, "p", SF_LITERAL("mask: lines.sku"));
    assert_false(sf_mask_check(&issues, place, &m, &note));
    assert_int_equal(sf_mask_field(&issues, place, rows_nested(), SF_LITERAL("doc")), 1);
    assert_int_equal(sf_mask_field(&issues, place, rows_nested(), SF_LITERAL("lines.sku")), -1);
    assert_int_equal(sf_mask_field(&issues, place, rows_nested(), SF_LITERAL("dog")), -1);
    sf_issues_render(&issues, &out);
    assert_string_equal(
        sf_buf_cstr(&out),
        "p:1:7: error[SHEAF-E0103]: mask 'truncate' of field 'note' is for dates and timestamps, "
        "not for string\n"
        "mask: lines.sku\n"
        "      ^~~~~~~~~\n"
        "p:1:7: error[SHEAF-E0107]: a value inside 'lines' has no mask of its own: mask 'lines' "
        "with null or omit\n"
        "mask: lines.sku\n"
        "      ^~~~~~~~~\n"
        "p:1:7: error[SHEAF-E0107]: table 'nested' has no field 'dog'\n"
        "mask: lines.sku\n"
        "      ^~~~~~~~~\n"
        "  allowed: wide doc tags nums ratios at ids lines      did you mean 'doc'?\n");
    sf_buf_done(&out);
    sf_issues_done(&issues);
    sf_arena_done(&arena);
}

static void assert_combined(const struct sf_field *f, const char *a, const char *b,
                            const char *wanted)
{
    struct sf_arena arena;
    struct sf_buf out = {0};
    struct sf_mask x;
    struct sf_mask y;
    struct sf_mask both;

    sf_arena_init(&arena, 0);
    x = masks_of(a, &arena);
    y = masks_of(b, &arena);
    both = sf_mask_combine(f, &x, &y);
    sf_mask_print(&both, &out);
    assert_string_equal(sf_buf_cstr(&out), wanted);
    sf_buf_clear(&out);
    both = sf_mask_combine(f, &y, &x);
    sf_mask_print(&both, &out);
    assert_string_equal(sf_buf_cstr(&out), wanted);
    sf_buf_done(&out);
    sf_arena_done(&arena);
}

static void test_the_stricter_of_two_masks_wins(void **state)
{
    (void)state;
    assert_combined(&note, "omit", "null", "omit");
    assert_combined(&note, "constant(x)", "null", "null");
    assert_combined(&note, "constant(x)", "redact", "constant('x')");
    assert_combined(&note, "hash", "redact", "redact");
    assert_combined(&note, "keep_last(4)", "keep_last(2)", "keep_last(2, 4)");
    assert_combined(&day, "truncate(month)", "truncate(year)", "truncate(year)");
    assert_combined(&price, "round(1)", "round(-1)", "round(-1)");
    assert_combined(&price, "bucket(10)", "bucket(5)", "bucket(10)");
}

static void test_masks_that_show_different_things_hide_both(void **state)
{
    (void)state;
    assert_combined(&note, "keep_first(2)", "keep_last(2)", "redact");
    assert_combined(&note, "keep_domain", "hash", "redact");
    assert_combined(&price, "bucket(10)", "round(0)", "redact");
    assert_combined(&note, "constant(x)", "constant(y)", "null");
    assert_combined(&price, "bucket(0.4)", "bucket(0.25)", "bucket(2)");
    assert_combined(&small, "bucket(1000003)", "bucket(1000000)", "redact");
}

static bool same(const struct sf_mask *a, const struct sf_mask *b)
{
    return a->kind == b->kind && a->part == b->part && a->keep == b->keep &&
           a->longer == b->longer && a->digits == b->digits && a->scale == b->scale &&
           a->step == b->step && sf_slice_equal(a->text, b->text);
}

static void test_the_order_of_policies_does_not_matter(void **state)
{
    struct rows_random r = {.state = 11};
    struct sf_arena arena;

    (void)state;
    sf_arena_init(&arena, 0);
    for (unsigned round = 0; round < 500; round++) {
        const struct sf_table *tables[] = {rows_all_types(), rows_nested()};
        const struct sf_table *t = tables[round % 2];

        for (size_t i = 0; i < t->field_count; i++) {
            const struct sf_field *f = &t->fields[i];
            struct sf_mask a = masks_random(&r, f, &arena);
            struct sf_mask b = masks_random(&r, f, &arena);
            struct sf_mask c = masks_random(&r, f, &arena);
            struct sf_mask ab = sf_mask_combine(f, &a, &b);
            struct sf_mask ba = sf_mask_combine(f, &b, &a);
            struct sf_mask bc = sf_mask_combine(f, &b, &c);
            struct sf_mask left = sf_mask_combine(f, &ab, &c);
            struct sf_mask right = sf_mask_combine(f, &a, &bc);
            struct sf_mask aa = sf_mask_combine(f, &a, &a);
            char why[SF_MASK_WHY_SIZE];

            assert_true(same(&ab, &ba));
            assert_true(same(&left, &right));
            assert_true(same(&aa, &a));
            assert_true(sf_mask_fits(&ab, f, why));
            assert_true(sf_mask_level(ab.kind) >= sf_mask_level(a.kind));
            assert_true(sf_mask_level(ab.kind) >= sf_mask_level(b.kind));
        }
        sf_arena_reset(&arena);
    }
    sf_arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_masks_fit_the_types_they_are_for),
        cmocka_unit_test(test_masks_that_do_not_fit_say_why),
        cmocka_unit_test(test_misfits_and_inner_values_are_reported_at_their_place),
        cmocka_unit_test(test_the_stricter_of_two_masks_wins),
        cmocka_unit_test(test_masks_that_show_different_things_hide_both),
        cmocka_unit_test(test_the_order_of_policies_does_not_matter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
