/* Hashes are those of Python's hashlib.blake2b, for every size and however a message is cut. */
#include "tests/lib/cmocka.h"

#include "common/sys/crypto.h"
#include "common/sys/encoding.h"

enum { LONGEST = 1 << 20, SIZES = 701 };

/* bytes((i * 131 + (i >> 3) * 7) & 255 for i in range(1 << 20)) */
static uint8_t text[LONGEST];
/* bytes((200 - 5 * i) & 255 for i in range(32)) */
static uint8_t key[SF_HASH_KEY_SIZE];

static int fill(void **state)
{
    (void)state;
    for (size_t i = 0; i < LONGEST; i++) {
        text[i] = (uint8_t)(i * 131 + (i >> 3) * 7);
    }
    for (size_t i = 0; i < sizeof(key); i++) {
        key[i] = (uint8_t)(200 - 5 * i);
    }
    return 0;
}

static void assert_hash(const uint8_t hash[SF_HASH256_SIZE], const char *expected)
{
    char hex[2 * SF_HASH256_SIZE + 1];

    sf_encode(SF_HEX, sf_slice_of(hash, SF_HASH256_SIZE), hex);
    assert_string_equal(hex, expected);
}

static void hash_of(size_t size, bool is_keyed, size_t message, uint8_t *ret)
{
    const size_t cut = message * 37 % (message + 1);
    struct sf_hash h;

    if (is_keyed) {
        sf_hash_init_keyed(&h, size, key);
    } else {
        sf_hash_init(&h, size);
    }
    sf_hash_add(&h, sf_slice_of(text, cut));
    sf_hash_add(&h, sf_slice_of(text + cut, message - cut));
    sf_hash_end(&h, ret, size);
}

/* blake2b(b"".join(blake2b(text[:i], digest_size=size, ...) for i in range(701))) */
static void assert_all(size_t size, bool is_keyed, const char *expected)
{
    static uint8_t all[SIZES][SF_HASH256_SIZE];
    const struct sf_slice joined = sf_slice_of(all, SIZES * size);
    uint8_t hash[SF_HASH256_SIZE];

    for (size_t i = 0; i < SIZES; i++) {
        hash_of(size, is_keyed, i, (uint8_t *)all + i * size);
    }
    sf_hash256(&joined, 1, hash);
    assert_hash(hash, expected);
}

static void every_size_of_message_has_the_hash_of_hashlib(void **state)
{
    (void)state;
    assert_all(SF_HASH256_SIZE, false,
               "f36dd9d77658c2b6cbd0f83d01528cfc3780c2d6161b930f4ae49d8d766a100d");
    assert_all(SF_HASH128_SIZE, false,
               "7d42a7c52dcf71b4de24d5b0c11e2a7bad931517bf7868707473e622caf4a6a1");
    assert_all(SF_HASH256_SIZE, true,
               "9c6d68d809ff0b1f79fc98631de22306024d0f437b7dce8d807653210963398d");
}

static void a_mebibyte_has_too(void **state)
{
    const struct sf_slice whole = sf_slice_of(text, sizeof(text));
    uint8_t hash[SF_HASH256_SIZE];
    (void)state;

    sf_hash256(&whole, 1, hash);
    assert_hash(hash, "b3bb707a2b9c6dc7a2aaa3464ab931a223706884c3f059e9d9e131d488f25033");
}

static void it_does_not_matter_where_a_message_is_cut(void **state)
{
    static const size_t edges[] = {0, 1, 127, 128, 129, 255, 256, 257, 384, 500};
    const struct sf_slice whole = sf_slice_of(text, 500);
    uint8_t expected[SF_HASH256_SIZE];
    uint8_t got[SF_HASH256_SIZE];
    (void)state;

    sf_hash256(&whole, 1, expected);
    for (size_t a = 0; a < SF_COUNT(edges); a++) {
        for (size_t b = a; b < SF_COUNT(edges); b++) {
            const struct sf_slice parts[] = {
                sf_slice_of(text, edges[a]),
                sf_slice_of(text + edges[a], edges[b] - edges[a]),
                sf_slice_of(text + edges[b], 500 - edges[b]),
            };

            sf_hash256(parts, SF_COUNT(parts), got);
            assert_memory_equal(got, expected, sizeof(got));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_of_message_has_the_hash_of_hashlib),
        cmocka_unit_test(a_mebibyte_has_too),
        cmocka_unit_test(it_does_not_matter_where_a_message_is_cut),
    };

    return cmocka_run_group_tests_name("hash", tests, fill, NULL);
}
