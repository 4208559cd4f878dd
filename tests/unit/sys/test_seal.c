#include "tests/lib/cmocka.h"

#include "common/sys/crypto.h"
#include "common/sys/seal.h"

static void test_opens_what_was_sealed_and_nothing_else(void **state)
{
    uint8_t key[SF_SEAL_KEY_SIZE] = {1, 2, 3};
    uint8_t other[SF_SEAL_KEY_SIZE] = {1, 2, 4};
    struct sf_buf sealed = {0};
    struct sf_buf plain = {0};

    (void)state;
    sf_seal(key, SF_LITERAL("order 17"), &sealed);
    assert_int_equal(sealed.size, 8 + SF_SEAL_OVERHEAD);
    assert_int_equal(sf_seal_open(key, sf_buf_view(&sealed), &plain, NULL), SF_OK);
    assert_true(sf_slice_equal(sf_buf_view(&plain), SF_LITERAL("order 17")));
    assert_int_equal(sf_seal_open(other, sf_buf_view(&sealed), &plain, NULL), SF_DENIED);
    for (size_t i = 0; i < sealed.size; i++) {
        sealed.data[i] ^= 1;
        assert_int_equal(sf_seal_open(key, sf_buf_view(&sealed), &plain, NULL), SF_DENIED);
        sealed.data[i] ^= 1;
        assert_int_equal(sf_seal_open(key, sf_slice_of(sealed.data, i), &plain, NULL), SF_DENIED);
    }
    assert_int_equal(plain.size, 8);
    sf_buf_done(&sealed);
    sf_buf_done(&plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_opens_what_was_sealed_and_nothing_else),
    };

    return sf_crypto_init(NULL) != SF_OK ||
           cmocka_run_group_tests_name("seal", tests, NULL, NULL) != 0;
}
