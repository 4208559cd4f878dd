/* Four hashes side by side are those of libsodium, whatever the sizes. */
#include "tests/lib/cmocka.h"

#include "common/sys/hash_lanes.h"

enum { LONGEST = 2100 };

static uint8_t text[SF_HASH_LANES][LONGEST];

static void assert_same(const size_t sizes[SF_HASH_LANES], size_t cut)
{
    struct sf_slice parts[2 * SF_HASH_LANES];
    uint8_t expected[SF_HASH_LANES][SF_HASH256_SIZE];
    uint8_t got[SF_HASH_LANES][SF_HASH256_SIZE];
    uint8_t *ret[SF_HASH_LANES];

    for (size_t l = 0; l < SF_HASH_LANES; l++) {
        size_t first = cut < sizes[l] ? cut : sizes[l];

        parts[2 * l] = sf_slice_of(text[l], first);
        parts[2 * l + 1] = sf_slice_of(text[l] + first, sizes[l] - first);
        sf_hash256(&parts[2 * l], 2, expected[l]);
        ret[l] = got[l];
    }
    sf_hash256_lanes(parts, 2, ret);
    assert_memory_equal(got, expected, sizeof(expected));
}

static void test_every_size_up_to_five_blocks_beside_three_others(void **state)
{
    (void)state;
    for (size_t size = 0; size <= 640; size++) {
        for (size_t l = 0; l < SF_HASH_LANES; l++) {
            size_t sizes[SF_HASH_LANES] = {300, 0, 128, 257};

            sizes[l] = size;
            assert_same(sizes, size % 7);
        }
    }
}

static void test_sizes_at_the_limit_and_beyond(void **state)
{
    static const size_t edges[] = {0, 127, 128, 129, 2047, 2048, 2049, LONGEST};

    (void)state;
    for (size_t i = 0; i < SF_COUNT(edges); i++) {
        for (size_t k = 0; k < SF_COUNT(edges); k++) {
            const size_t sizes[SF_HASH_LANES] = {edges[i], edges[k], 5, edges[i]};

            assert_same(sizes, 5);
        }
    }
}

static int fill(void **state)
{
    (void)state;
    for (size_t l = 0; l < SF_HASH_LANES; l++) {
        for (size_t i = 0; i < LONGEST; i++) {
            text[l][i] = (uint8_t)(i * (l + 3) >> 2 ^ i >> 5 ^ l);
        }
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_size_up_to_five_blocks_beside_three_others),
        cmocka_unit_test(test_sizes_at_the_limit_and_beyond),
    };

    return cmocka_run_group_tests_name("hash_lanes", tests, fill, NULL);
}
