/* Code that is dropped comes back; what is resident is known. */
#include "tests/lib/cmocka.h"

#include <string.h>

#include "common/base/alloc.h"
#include "common/sys/crypto.h"
#include "common/sys/memory.h"

enum { LARGE = 64 * 1024 * 1024 };

static void test_code_that_was_forgotten_runs_again(void **state)
{
    uint8_t before[SF_HASH256_SIZE];
    uint8_t after[SF_HASH256_SIZE];
    const struct sf_slice text = SF_LITERAL("abc");

    (void)state;
    sf_hash256(&text, 1, before);
    sf_memory_forget_code();
    sf_hash256(&text, 1, after);
    assert_memory_equal(before, after, sizeof(before));
}

static void test_what_is_resident_grows_with_what_is_written(void **state)
{
    uint64_t before = sf_memory_resident();
    uint8_t *large = sf_alloc(LARGE);

    (void)state;
    assert_non_null(large);
    assert_true(before > 0);
    memset(large, 1, LARGE);
    assert_true(sf_memory_resident() >= before + LARGE / 2);
    sf_free(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_code_that_was_forgotten_runs_again),
        cmocka_unit_test(test_what_is_resident_grows_with_what_is_written),
    };

    return sf_crypto_init(NULL) != SF_OK ||
           cmocka_run_group_tests_name("memory", tests, NULL, NULL) != 0;
}
