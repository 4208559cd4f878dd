/* CRC-32C is what its definition says, bit by bit, by either way. */
#include "tests/lib/cmocka.h"

#include "common/sys/crc32c.h"

enum { LONGEST = 300 };

static uint32_t by_bits(uint32_t crc, struct sf_slice bytes)
{
    crc = ~crc;
    for (size_t i = 0; i < bytes.size; i++) {
        crc ^= bytes.data[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ ((crc & 1u) != 0 ? 0x82f63b78u : 0);
        }
    }
    return ~crc;
}

static void test_known_values(void **state)
{
    const uint8_t zeros[32] = {0};

    (void)state;
    assert_int_equal(sf_crc32c(0, SF_LITERAL("123456789")), 0xe3069283u);
    assert_int_equal(sf_crc32c(0, sf_slice_of(zeros, sizeof(zeros))), 0x8a9136aau); /* RFC 3720 */
    assert_int_equal(sf_crc32c(7, sf_slice_of(zeros, 0)), 7);
}

static void test_every_size_at_every_alignment(void **state)
{
    uint8_t text[LONGEST + 8];

    (void)state;
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = (uint8_t)(i * i * 31 + i * 7);
    }
    for (size_t begin = 0; begin < 8; begin++) {
        for (size_t size = 0; size <= LONGEST; size++) {
            const struct sf_slice s = sf_slice_of(text + begin, size);
            const uint32_t expected = by_bits(0, s);

            assert_int_equal(sf_crc32c(0, s), expected);
            assert_int_equal(sf_crc32c_portable(0, s), expected);
        }
    }
}

static void test_a_sum_goes_on_behind_any_byte(void **state)
{
    static const char text[] = "a sum that is taken in two parts is that of the whole";
    const struct sf_slice all = sf_slice_of(text, sizeof(text));

    (void)state;
    for (size_t cut = 0; cut <= all.size; cut++) {
        const struct sf_slice rest = sf_slice_of(all.data + cut, all.size - cut);
        const uint32_t first = sf_crc32c(0, sf_slice_of(all.data, cut));

        assert_int_equal(sf_crc32c(first, rest), by_bits(0, all));
        assert_int_equal(sf_crc32c_portable(first, rest), by_bits(0, all));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_values),
        cmocka_unit_test(test_every_size_at_every_alignment),
        cmocka_unit_test(test_a_sum_goes_on_behind_any_byte),
    };

    return cmocka_run_group_tests_name("crc32c", tests, NULL, NULL);
}
