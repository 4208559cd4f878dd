#include "tests/lib/cmocka.h"

#include <string.h>

#include "common/base/alloc.h"
#include "common/contract/product_edit.h"
#include "proto/errors.h"

#define TAIL                                                                                       \
    "owner: team # ours\n"                                                                         \
    "tables:\n"                                                                                    \
    "  t:\n"                                                                                       \
    "    fields:\n"                                                                                \
    "      version: {number: 1, type: string} # not the product's\n"

static void assert_edit(const char *text, const struct sf_product_edit *edit, const char *wanted)
{
    struct sf_buf out = {0};
    struct sf_error err;

    if (sf_product_edit(sf_slice_text(text), edit, &out, &err) != SF_OK) {
        fail_msg("%s", err.text);
    }
    assert_string_equal(sf_buf_cstr(&out), wanted);
    sf_buf_done(&out);
}

static const struct sf_product_edit deprecate = {
    .version = {1, 2, 1},
    .status = SF_STATUS_DEPRECATED,
    .has_since = true,
    .since_days = 20777,
    .has_sunset = true,
    .sunset_days = 20878,
    .successor = "d/p@2",
    .note = "use two: better",
};
#define DEPRECATED                                                                                 \
    "deprecated: {since: 2026-11-20, sunset: 2027-03-01, successor: d/p@2, note: \"use two: "      \
    "better\"}\n"

static void test_status_and_version_change_in_place(void **state)
{
    (void)state;
    assert_edit("# head\nsheaf: product/v1\nproduct: d/p\nversion:  1.2.0   # raise me\n"
                "status: active # now\n" TAIL,
                &deprecate,
                "# head\nsheaf: product/v1\nproduct: d/p\nversion:  1.2.1   # raise me\n"
                "status: deprecated # now\n" DEPRECATED TAIL);
}

static void test_a_status_that_was_left_out_comes_behind_the_version(void **state)
{
    (void)state;
    assert_edit("sheaf: product/v1\nproduct: d/p\n" TAIL "version: 1.2.0", &deprecate,
                "sheaf: product/v1\nproduct: d/p\n" TAIL
                "version: 1.2.1\nstatus: deprecated\n" DEPRECATED);
}

static void test_an_old_deprecation_goes(void **state)
{
    const struct sf_product_edit activate = {.version = {1, 2, 2}, .status = SF_STATUS_ACTIVE};

    (void)state;
    assert_edit("sheaf: product/v1\nproduct: d/p\nversion: 1.2.1\ndeprecated:\n"
                "  # soon\n  sunset: 2027-03-01\n\n  note: x\nstatus: deprecated\n" TAIL,
                &activate,
                "sheaf: product/v1\nproduct: d/p\nversion: 1.2.2\nstatus: active\n" TAIL);
    assert_edit("sheaf: product/v1\nproduct: d/p\nversion: 1.2.1\nstatus: retired\n"
                "deprecated: {sunset: 2027-03-01,\n  note: x\n  }\n" TAIL,
                &activate,
                "sheaf: product/v1\nproduct: d/p\nversion: 1.2.2\nstatus: active\n" TAIL);
}

static void test_a_layout_that_cannot_be_edited_is_told(void **state)
{
    struct sf_buf out = {0};
    struct sf_error err;

    (void)state;
    assert_int_equal(
        sf_product_edit(sf_slice_text("{sheaf: product/v1, product: d/p, version: 1.2.0, tables: "
                                      "{t: {fields: {a: {number: 1, type: bool}}}}}\n"),
                        &deprecate, &out, &err),
        SF_INVALID);
    assert_int_equal(err.number, SHEAF_E_BAD_VALUE);
    assert_string_equal(err.text, "the lines of d/p's file cannot be edited one by one");
    assert_int_equal(out.size, 0);
    assert_int_equal(sf_product_edit(sf_slice_text("nonsense"), &deprecate, &out, &err),
                     SF_INVALID);
    sf_buf_done(&out);
}

static void test_survives_every_failed_allocation(void **state)
{
    (void)state;
    for (long after = 0;; after++) {
        struct sf_buf out = {0};
        struct sf_error err;
        enum sf_code code;

        sf_alloc_fail_after(after, 0);
        code =
            sf_product_edit(sf_slice_text("sheaf: product/v1\nproduct: d/p\nversion: 1.2.0\n" TAIL),
                            &deprecate, &out, &err);
        sf_alloc_fail_after(-1, 0);
        sf_buf_done(&out);
        if (code == SF_OK) {
            assert_true(after > 20);
            return;
        }
        assert_int_equal(code, SF_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_and_version_change_in_place),
        cmocka_unit_test(test_a_status_that_was_left_out_comes_behind_the_version),
        cmocka_unit_test(test_an_old_deprecation_goes),
        cmocka_unit_test(test_a_layout_that_cannot_be_edited_is_told),
        cmocka_unit_test(test_survives_every_failed_allocation),
    };

    return cmocka_run_group_tests_name("product_edit", tests, NULL, NULL);
}
