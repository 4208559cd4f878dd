/* A hash under a key that was made ready is that of libsodium, whatever the sizes. */
#include "tests/lib/cmocka.h"

#include "common/sys/hash_prepared.h"

enum { LONGEST = 700 };

static uint8_t key[SF_HASH_KEY_SIZE];
static uint8_t text[LONGEST];

static void assert_same(const struct sf_hash_prepared *p, size_t size, size_t cut)
{
    const size_t first = cut < size ? cut : size;
    const struct sf_slice parts[] = {sf_slice_of(text, first),
                                     sf_slice_of(text + first, size - first)};
    uint8_t expected[64];
    uint8_t got[64];
    struct sf_hash h;

    sf_hash_init_keyed(&h, p->size, key);
    sf_hash_add(&h, parts[0]);
    sf_hash_add(&h, parts[1]);
    sf_hash_end(&h, expected, p->size);
    sf_hash_prepared_parts(p, parts, 2, got);
    assert_memory_equal(got, expected, p->size);
}

static void test_every_size_up_to_five_blocks_in_two_parts(void **state)
{
    static const size_t cuts[] = {0, 1, 127, 128, 129, 256, 300};
    struct sf_hash_prepared p;

    (void)state;
    sf_hash_prepare(&p, SF_HASH128_SIZE, key);
    for (size_t size = 1; size <= 640; size++) {
        for (size_t i = 0; i < SF_COUNT(cuts); i++) {
            assert_same(&p, size, cuts[i]);
        }
    }
}

static void test_every_size_of_hash(void **state)
{
    (void)state;
    for (size_t size = SF_HASH128_SIZE; size <= 64; size++) {
        struct sf_hash_prepared p;

        sf_hash_prepare(&p, size, key);
        assert_same(&p, 20, 1);
        assert_same(&p, LONGEST, 128);
    }
}

static void test_another_key_gives_another_hash(void **state)
{
    const struct sf_slice message = sf_slice_of(text, 20);
    uint8_t other[SF_HASH_KEY_SIZE];
    uint8_t a[SF_HASH128_SIZE];
    uint8_t b[SF_HASH128_SIZE];
    struct sf_hash_prepared p;

    (void)state;
    sf_hash_prepare(&p, sizeof(a), key);
    sf_hash_prepared_parts(&p, &message, 1, a);
    memcpy(other, key, sizeof(other));
    other[SF_HASH_KEY_SIZE - 1] ^= 1;
    sf_hash_prepare(&p, sizeof(b), other);
    sf_hash_prepared_parts(&p, &message, 1, b);
    assert_memory_not_equal(a, b, sizeof(a));
}

static int fill(void **state)
{
    (void)state;
    for (size_t i = 0; i < LONGEST; i++) {
        text[i] = (uint8_t)(i * 3 >> 2 ^ i >> 5);
    }
    for (size_t i = 0; i < SF_HASH_KEY_SIZE; i++) {
        key[i] = (uint8_t)(200 - 5 * i);
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_size_up_to_five_blocks_in_two_parts),
        cmocka_unit_test(test_every_size_of_hash),
        cmocka_unit_test(test_another_key_gives_another_hash),
    };

    return cmocka_run_group_tests_name("hash_prepared", tests, fill, NULL);
}
