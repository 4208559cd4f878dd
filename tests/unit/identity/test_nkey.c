#include "tests/lib/cmocka.h"

#include <string.h>

#include "common/base/alloc.h"
#include "common/identity/nkey.h"
#include "tests/unit/identity/golden.h"

static const struct {
    enum sf_nkey_kind kind;
    const char *text;
    const char *seed;
    const char *name;
} golden[] = {
    {SF_NKEY_OPERATOR, GO_OPERATOR, GO_OPERATOR_SEED, "operator"},
    {SF_NKEY_ACCOUNT, GO_ACCOUNT, GO_ACCOUNT_SEED, "account"},
    {SF_NKEY_USER, GO_USER, GO_USER_SEED, "user"},
    {SF_NKEY_SERVER, GO_SERVER, GO_SERVER_SEED, "server"},
};

static struct sf_seed counting_seed(void)
{
    uint8_t bytes[SF_SEED_SIZE];
    struct sf_seed seed = {0};

    for (unsigned i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)i;
    }
    assert_int_equal(sf_seed_from_bytes(sf_slice_of(bytes, sizeof(bytes)), &seed, NULL), SF_OK);
    return seed;
}

static void test_texts_are_those_of_the_official_library(void **state)
{
    struct sf_seed seed = counting_seed();
    char text[SF_NKEY_TEXT_MAX];
    char seed_text[SF_NKEY_SEED_MAX];

    (void)state;
    for (size_t i = 0; i < SF_COUNT(golden); i++) {
        sf_nkey_format(golden[i].kind, &seed.public_key, text);
        assert_string_equal(text, golden[i].text);
        sf_nkey_format_seed(golden[i].kind, &seed, seed_text);
        assert_string_equal(seed_text, golden[i].seed);
        assert_string_equal(sf_nkey_kind_name(golden[i].kind), golden[i].name);
    }
    sf_seed_done(&seed);
}

static void test_texts_of_the_official_library_are_read(void **state)
{
    struct sf_seed want = counting_seed();

    (void)state;
    for (size_t i = 0; i < SF_COUNT(golden); i++) {
        struct sf_public_key key = {0};
        struct sf_seed seed = {0};
        enum sf_nkey_kind kind = SF_NKEY_OPERATOR;

        assert_int_equal(sf_nkey_parse(sf_slice_text(golden[i].text), &kind, &key, NULL), SF_OK);
        assert_int_equal(kind, golden[i].kind);
        assert_memory_equal(key.bytes, want.public_key.bytes, sizeof(key.bytes));
        assert_int_equal(sf_nkey_parse_seed(sf_slice_text(golden[i].seed), &kind, &seed, NULL),
                         SF_OK);
        assert_int_equal(kind, golden[i].kind);
        assert_true(sf_slice_equal(sf_seed_bytes(&seed), sf_seed_bytes(&want)));
        sf_seed_done(&seed);
    }
    sf_seed_done(&want);
}

static void test_every_changed_character_is_refused(void **state)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567abcz01=. ";
    struct sf_public_key key;
    struct sf_seed seed = {0};
    enum sf_nkey_kind kind;
    struct sf_error err = {0};

    (void)state;
    for (size_t at = 0; at < strlen(GO_USER); at++) {
        for (const char *c = letters; *c != '\0'; c++) {
            char text[] = GO_USER;

            if (text[at] == *c) {
                continue;
            }
            text[at] = *c;
            assert_int_equal(sf_nkey_parse(sf_slice_text(text), &kind, &key, &err), SF_INVALID);
            assert_string_equal(err.text, "not a public key in the form of NATS");
        }
    }
    for (size_t at = 0; at < strlen(GO_USER_SEED); at++) {
        for (const char *c = letters; *c != '\0'; c++) {
            char text[] = GO_USER_SEED;

            if (text[at] == *c) {
                continue;
            }
            text[at] = *c;
            assert_int_equal(sf_nkey_parse_seed(sf_slice_text(text), &kind, &seed, &err),
                             SF_INVALID);
            assert_string_equal(err.text, "not a seed in the form of NATS");
        }
    }
}

static void test_other_lengths_and_kinds_are_refused(void **state)
{
    struct sf_public_key key;
    struct sf_seed seed = {0};
    enum sf_nkey_kind kind;
    struct sf_error err = {0};
    char longer[] = GO_USER "A";

    (void)state;
    for (size_t n = 0; n < strlen(GO_USER); n++) {
        assert_int_equal(sf_nkey_parse(sf_slice_of(GO_USER, n), &kind, &key, NULL), SF_INVALID);
    }
    for (size_t n = 0; n < strlen(GO_USER_SEED); n++) {
        assert_int_equal(sf_nkey_parse_seed(sf_slice_of(GO_USER_SEED, n), &kind, &seed, NULL),
                         SF_INVALID);
    }
    assert_int_equal(sf_nkey_parse(sf_slice_text(longer), &kind, &key, NULL), SF_INVALID);
    assert_int_equal(sf_nkey_parse(sf_slice_text(GO_USER_SEED), &kind, &key, NULL), SF_INVALID);
    assert_int_equal(sf_nkey_parse_kind(sf_slice_text(GO_USER), SF_NKEY_ACCOUNT, &key, &err),
                     SF_INVALID);
    assert_string_equal(err.text, "the key is of kind user, not account");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts_are_those_of_the_official_library),
        cmocka_unit_test(test_texts_of_the_official_library_are_read),
        cmocka_unit_test(test_every_changed_character_is_refused),
        cmocka_unit_test(test_other_lengths_and_kinds_are_refused),
    };

    return sf_crypto_init(NULL) != SF_OK ||
           cmocka_run_group_tests_name("nkey", tests, NULL, NULL) != 0;
}
