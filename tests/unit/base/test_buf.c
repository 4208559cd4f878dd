#include "tests/lib/cmocka.h"

#include "common/base/alloc.h"
#include "common/base/buf.h"

static void test_appends_in_order_and_grows(void **state)
{
    struct sf_buf b = {0};

    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        sf_buf_printf(&b, "%u,", i);
    }
    sf_buf_be32(&b, 0x01020304);
    assert_int_equal(b.failed, SF_OK);
    assert_int_equal(b.size, 10 * 2 + 90 * 3 + 900 * 4 + 4);
    assert_memory_equal(b.data, "0,1,2,", 6);
    assert_memory_equal(b.data + b.size - 4, "\1\2\3\4", 4);
    sf_buf_done(&b);
}

static void test_limit_is_sticky_and_named(void **state)
{
    struct sf_buf b = {.size_max = 4};
    struct sf_error err;

    (void)state;
    sf_buf_text(&b, "abc");
    sf_buf_text(&b, "de");
    sf_buf_text(&b, "f");
    assert_int_equal(b.size, 3);
    assert_int_equal(sf_buf_check(&b, "page", &err), SF_BUSY);
    assert_string_equal(err.text, "page: larger than 4 bytes");
    sf_buf_clear(&b);
    sf_buf_text(&b, "wxyz");
    assert_int_equal(sf_buf_check(&b, "page", &err), SF_OK);
    assert_string_equal(sf_buf_cstr(&b), "wxyz");
    sf_buf_done(&b);
}

static void test_no_memory_is_sticky(void **state)
{
    struct sf_buf b = {0};
    struct sf_error err;

    (void)state;
    sf_alloc_fail_after(0, 0);
    sf_buf_text(&b, "abc");
    sf_buf_text(&b, "d");
    sf_alloc_fail_after(-1, 0);
    assert_int_equal(b.size, 0);
    assert_int_equal(sf_buf_check(&b, "page", &err), SF_NOMEM);
    sf_buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_appends_in_order_and_grows),
        cmocka_unit_test(test_limit_is_sticky_and_named),
        cmocka_unit_test(test_no_memory_is_sticky),
    };

    return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
