#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <sys/stat.h>

#include "common/base/alloc.h"
#include "common/sys/crypto.h"
#include "common/sys/encoding.h"
#include "common/sys/file.h"
#include "tests/lib/tmpdir.h"

/* RFC 8032, 7.1, test 2. */
#define RFC_SEED   "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
#define RFC_PUBLIC "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
#define RFC_SIGNATURE                                                                              \
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"                             \
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"

static void assert_hex(const uint8_t *bytes, size_t size, const char *hex)
{
    char text[129];

    sf_encode(SF_HEX, sf_slice_of(bytes, size), text);
    assert_string_equal(text, hex);
}

static void rfc_seed(struct sf_seed *ret)
{
    uint8_t seed[SF_SEED_SIZE];

    assert_int_equal(sf_decode_exact(SF_HEX, sf_slice_text(RFC_SEED), seed, sizeof(seed), NULL),
                     SF_OK);
    assert_int_equal(sf_seed_from_bytes(sf_slice_of(seed, sizeof(seed)), ret, NULL), SF_OK);
}

static void test_rfc_8032_vector(void **state)
{
    struct sf_seed s = {0};
    struct sf_signature signature;

    (void)state;
    rfc_seed(&s);
    assert_hex(s.public_key.bytes, SF_PUBLIC_KEY_SIZE, RFC_PUBLIC);
    assert_int_equal(sf_sign(&s, NULL, SF_LITERAL("r"), &signature, NULL), SF_OK);
    assert_hex(signature.bytes, SF_SIGNATURE_SIZE, RFC_SIGNATURE);
    sf_seed_done(&s);
    assert_null(s.secret);
}

static void test_signature_holds_for_its_context_and_payload_only(void **state)
{
    struct sf_seed s = {0};
    struct sf_signature signature;
    struct sf_error err;

    (void)state;
    rfc_seed(&s);
    assert_int_equal(sf_sign(&s, "decision", SF_LITERAL("yes"), &signature, &err), SF_OK);
    assert_int_equal(sf_verify(&s.public_key, "decision", SF_LITERAL("yes"), &signature, &err),
                     SF_OK);
    assert_int_equal(sf_verify(&s.public_key, "decision", SF_LITERAL("yet"), &signature, &err),
                     SF_DENIED);
    assert_string_equal(err.text, "signature does not hold");
    assert_int_equal(sf_verify(&s.public_key, "bundle", SF_LITERAL("yes"), &signature, &err),
                     SF_DENIED);
    assert_int_equal(sf_verify(&s.public_key, NULL, SF_LITERAL("yes"), &signature, &err),
                     SF_DENIED);
    /* The bytes signed are context, zero byte, payload. */
    assert_int_equal(
        sf_verify(&s.public_key, NULL, sf_slice_of("decision\0yes", 12), &signature, &err), SF_OK);
    assert_int_equal(sf_verify(&s.public_key, "decisiony", SF_LITERAL("es"), &signature, &err),
                     SF_DENIED);
    signature.bytes[5] ^= 1;
    assert_int_equal(sf_verify(&s.public_key, "decision", SF_LITERAL("yes"), &signature, &err),
                     SF_DENIED);
    sf_seed_done(&s);
}

static void test_large_payload_takes_memory_and_small_does_not(void **state)
{
    static const uint8_t payload[5000] = {1, 2, 3};
    struct sf_seed s = {0};
    struct sf_signature signature;
    struct sf_error err;

    (void)state;
    rfc_seed(&s);
    sf_alloc_fail_after(0, 1);
    assert_int_equal(sf_sign(&s, "c", sf_slice_of(payload, 1024), &signature, &err), SF_OK);
    assert_int_equal(sf_sign(&s, "c", sf_slice_of(payload, 5000), &signature, &err), SF_NOMEM);
    assert_string_equal(err.text, "no memory to sign 5000 bytes");
    sf_alloc_fail_after(-1, 0);
    assert_int_equal(sf_sign(&s, "c", sf_slice_of(payload, 5000), &signature, &err), SF_OK);
    assert_int_equal(sf_verify(&s.public_key, "c", sf_slice_of(payload, 5000), &signature, &err),
                     SF_OK);
    assert_int_equal(sf_verify(&s.public_key, "c", sf_slice_of(payload, 4999), &signature, &err),
                     SF_DENIED);
    sf_seed_done(&s);
}

static void test_stored_seed_is_private_and_comes_back(void **state)
{
    struct tmpdir *t = *state;
    char path[PATH_MAX];
    struct sf_seed s = {0};
    struct sf_seed back = {0};
    struct sf_error err;
    struct stat st;

    tmpdir_join(t, "a.seed", path);
    assert_int_equal(sf_seed_load(path, &back, &err), SF_ABSENT);
    assert_int_equal(sf_seed_load_or_create(path, &s, &err), SF_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(sf_seed_load_or_create(path, &back, &err), SF_OK);
    assert_true(sf_slice_equal(sf_seed_bytes(&s), sf_seed_bytes(&back)));
    assert_memory_equal(s.public_key.bytes, back.public_key.bytes, SF_PUBLIC_KEY_SIZE);
    assert_int_equal(sf_seed_store(&s, path, &err), SF_CONFLICT);
    sf_seed_done(&s);
    sf_seed_done(&back);
}

static void test_seed_open_to_others_is_refused(void **state)
{
    struct tmpdir *t = *state;
    char path[PATH_MAX];
    char text[PATH_MAX + 100];
    struct sf_seed s = {0};
    struct sf_error err;

    tmpdir_join(t, "b.seed", path);
    assert_int_equal(sf_seed_load_or_create(path, &s, &err), SF_OK);
    sf_seed_done(&s);
    for (mode_t mode = 0604; mode != 0; mode = mode == 0604 ? 0620 : mode == 0620 ? 0640 : 0) {
        assert_int_equal(chmod(path, mode), 0);
        assert_int_equal(sf_seed_load(path, &s, &err), SF_DENIED);
        (void)snprintf(text, sizeof(text),
                       "key file '%s' is open to others than its owner: chmod 600 it", path);
        assert_string_equal(err.text, text);
        assert_null(s.secret);
    }
}

static void test_file_that_is_no_seed_is_corrupt(void **state)
{
    static const char *const contents[] = {
        "", "abc\n", RFC_SEED, (RFC_SEED "x"), (RFC_SEED "\n\n"), ("Z" RFC_SEED),
    };
    struct tmpdir *t = *state;
    char path[PATH_MAX];
    struct sf_seed s = {0};
    struct sf_error err;

    tmpdir_join(t, "c.seed", path);
    for (size_t i = 0; i < SF_COUNT(contents); i++) {
        assert_int_equal(sf_file_write(path, sf_slice_text(contents[i]), 0600, &err), SF_OK);
        assert_int_equal(sf_seed_load(path, &s, &err), SF_CORRUPT);
    }
    assert_int_equal(sf_file_write(path, SF_LITERAL(RFC_SEED "\n"), 0600, &err), SF_OK);
    assert_int_equal(sf_seed_load(path, &s, &err), SF_OK);
    assert_hex(s.public_key.bytes, SF_PUBLIC_KEY_SIZE, RFC_PUBLIC);
    sf_seed_done(&s);
}

static void test_failed_allocations_leave_no_seed(void **state)
{
    struct tmpdir *t = *state;
    char path[PATH_MAX];
    struct sf_seed s = {0};
    struct sf_error err;
    enum sf_code r;
    long after = 0;

    tmpdir_join(t, "d.seed", path);
    for (;; after++) {
        sf_alloc_fail_after(after, 0);
        r = sf_seed_load_or_create(path, &s, &err);
        if (sf_alloc_faults() == 0) {
            break;
        }
        sf_alloc_fail_after(-1, 0);
        assert_int_equal(r, SF_NOMEM);
        assert_null(s.secret);
        assert_int_equal(sf_file_remove(path, &err), SF_OK);
    }
    sf_alloc_fail_after(-1, 0);
    assert_int_equal(r, SF_OK);
    assert_true(after > 1);
    sf_seed_done(&s);
}

static void test_blake2b_vectors(void **state)
{
    const struct sf_slice abc[] = {SF_LITERAL("a"), SF_LITERAL(""), SF_LITERAL("bc")};
    uint8_t out[64];
    struct sf_hash h;

    (void)state;
    sf_hash256(abc, SF_COUNT(abc), out);
    assert_hex(out, 32, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
    sf_hash128(abc, SF_COUNT(abc), out);
    assert_hex(out, 16, "cf4ab791c62b8d2b2109c90275287816");
    sf_hash_init(&h, 64); /* RFC 7693, appendix A */
    sf_hash_add(&h, SF_LITERAL("abc"));
    sf_hash_end(&h, out, 64);
    assert_hex(out, 64,
               "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
               "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923");
}

static void test_fields_do_not_run_into_each_other(void **state)
{
    const struct sf_slice same[] = {sf_slice_of("\0\0\0\0\0\0\0\2", 8), SF_LITERAL("ab"),
                                    sf_slice_of("\0\0\0\0\0\0\0\1", 8), SF_LITERAL("c")};
    uint8_t a[32];
    uint8_t b[32];
    struct sf_hash h;

    (void)state;
    sf_hash_init(&h, sizeof(a));
    sf_hash_field(&h, SF_LITERAL("ab"));
    sf_hash_field(&h, SF_LITERAL("c"));
    sf_hash_end(&h, a, sizeof(a));
    sf_hash256(same, SF_COUNT(same), b);
    assert_memory_equal(a, b, sizeof(a));
    sf_hash_init(&h, sizeof(b));
    sf_hash_field(&h, SF_LITERAL("a"));
    sf_hash_field(&h, SF_LITERAL("bc"));
    sf_hash_end(&h, b, sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
}

static void test_key_changes_the_hash(void **state)
{
    const struct sf_slice abc = SF_LITERAL("abc");
    uint8_t key[SF_HASH_KEY_SIZE];
    uint8_t out[32];

    (void)state;
    memset(key, 7, sizeof(key));
    sf_hash256_keyed(key, &abc, 1, out);
    /* hashlib.blake2b(b"abc", digest_size=32, key=bytes([7]*32)) */
    assert_hex(out, 32, "62d8fe04aeb9b650b0dbdb3078da63b0d4c864854da1e7ff3aae7a2daee046ba");
}

static void test_secrets_are_compared_and_wiped(void **state)
{
    char secret[4] = "abc";

    (void)state;
    assert_true(sf_equal_secret(SF_LITERAL("abc"), SF_LITERAL("abc")));
    assert_false(sf_equal_secret(SF_LITERAL("abc"), SF_LITERAL("abd")));
    assert_false(sf_equal_secret(SF_LITERAL("abc"), SF_LITERAL("ab")));
    assert_true(sf_equal_secret(SF_LITERAL(""), sf_slice_of(NULL, 0)));
    sf_wipe(secret, sizeof(secret));
    assert_memory_equal(secret, "\0\0\0\0", 4);
    for (int i = 0; i < 100; i++) {
        assert_in_range(sf_random_below(3), 0, 2);
    }
    assert_int_equal(sf_random_below(0), 0);
}

static int setup(void **state)
{
    static struct tmpdir t;

    assert_int_equal(sf_crypto_init(NULL), SF_OK);
    tmpdir_init(&t);
    *state = &t;
    return 0;
}

static int teardown(void **state)
{
    tmpdir_done(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc_8032_vector),
        cmocka_unit_test(test_signature_holds_for_its_context_and_payload_only),
        cmocka_unit_test(test_large_payload_takes_memory_and_small_does_not),
        cmocka_unit_test(test_stored_seed_is_private_and_comes_back),
        cmocka_unit_test(test_seed_open_to_others_is_refused),
        cmocka_unit_test(test_file_that_is_no_seed_is_corrupt),
        cmocka_unit_test(test_failed_allocations_leave_no_seed),
        cmocka_unit_test(test_blake2b_vectors),
        cmocka_unit_test(test_fields_do_not_run_into_each_other),
        cmocka_unit_test(test_key_changes_the_hash),
        cmocka_unit_test(test_secrets_are_compared_and_wiped),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
