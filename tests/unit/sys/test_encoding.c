#include "tests/lib/cmocka.h"

#include "common/base/alloc.h"
#include "common/sys/encoding.h"

static void assert_text(enum sf_encoding encoding, const char *bytes, const char *text)
{
    char out[64];
    uint8_t back[64];
    size_t size;

    sf_encode(encoding, sf_slice_text(bytes), out);
    assert_string_equal(out, text);
    assert_int_equal(sf_encoded_size(encoding, strlen(bytes)), strlen(text));
    assert_int_equal(sf_decode(encoding, sf_slice_text(text), back, sizeof(back), &size, NULL),
                     SF_OK);
    assert_int_equal(size, strlen(bytes));
    assert_memory_equal(back, bytes, size);
}

static void test_rfc_4648_vectors(void **state)
{
    static const char *const bytes[] = {"", "f", "fo", "foo", "foob", "fooba", "foobar"};
    static const char *const base64[] = {"",         "Zg==",     "Zm8=",    "Zm9v",
                                         "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
    static const char *const base32[] = {"",        "MY",       "MZXQ",      "MZXW6",
                                         "MZXW6YQ", "MZXW6YTB", "MZXW6YTBOI"};

    (void)state;
    for (size_t i = 0; i < SF_COUNT(bytes); i++) {
        assert_text(SF_BASE64, bytes[i], base64[i]);
        assert_text(SF_BASE32, bytes[i], base32[i]);
    }
    assert_text(SF_BASE64URL, "fo", "Zm8");
    assert_text(SF_BASE64URL, "\xfb\xff\xfe", "-__-");
    assert_text(SF_BASE64, "\xfb\xff\xfe", "+//+");
    assert_text(SF_BASE32_LOWER, "fooba", "mzxw6ytb");
    assert_text(SF_HEX, "\x01\xab\xff", "01abff");
}

static void assert_refused(enum sf_encoding encoding, const char *text)
{
    uint8_t out[64];
    size_t size = 77;
    enum sf_code r = sf_decode(encoding, sf_slice_text(text), out, sizeof(out), &size, NULL);

    if (r != SF_INVALID || size != 77) {
        fail_msg("'%s' was not refused: %s, %zu", text, sf_code_name(r), size);
    }
}

static void test_every_other_spelling_is_refused(void **state)
{
    (void)state;
    assert_refused(SF_BASE64, "Zg");       /* no padding */
    assert_refused(SF_BASE64, "Zg=");      /* too little */
    assert_refused(SF_BASE64, "Z===");     /* a character of nothing */
    assert_refused(SF_BASE64, "====");     /* padding of nothing */
    assert_refused(SF_BASE64, "Zh==");     /* stray bits */
    assert_refused(SF_BASE64, "Zm8=Zm8="); /* padding inside */
    assert_refused(SF_BASE64, "Zm 9");     /* white space */
    assert_refused(SF_BASE64, "-__-");     /* the other alphabet */
    assert_refused(SF_BASE64URL, "+//+");
    assert_refused(SF_BASE64URL, "Zg==");
    assert_refused(SF_BASE64URL, "Zm9vY"); /* a character of nothing */
    assert_refused(SF_BASE32, "mzxw6");
    assert_refused(SF_BASE32_LOWER, "MZXW6");
    assert_refused(SF_BASE32, "MZXW6YTBA");
    assert_refused(SF_BASE32, "MZ");
    assert_refused(SF_HEX, "0");
    assert_refused(SF_HEX, "0G");
    assert_refused(SF_HEX, "AB");
}

static void test_size_that_does_not_fit_is_refused(void **state)
{
    uint8_t out[4] = {9, 9, 9, 9};
    struct sf_error err;
    size_t size;

    (void)state;
    assert_int_equal(sf_decode(SF_HEX, SF_LITERAL("01020304"), out, 3, &size, &err), SF_INVALID);
    assert_string_equal(err.text, "4 encoded bytes where at most 3 are expected");
    assert_int_equal(out[0], 9);
    assert_int_equal(sf_decode_exact(SF_HEX, SF_LITERAL("0102"), out, 3, &err), SF_INVALID);
    assert_string_equal(err.text, "2 encoded bytes where 3 are expected");
    assert_int_equal(sf_decode_exact(SF_HEX, SF_LITERAL("010203"), out, 3, &err), SF_OK);
    assert_memory_equal(out, "\1\2\3\11", 4);
}

static void test_zero_byte_is_no_character(void **state)
{
    uint8_t out[8];
    size_t size;

    (void)state;
    assert_int_equal(sf_decode(SF_HEX, sf_slice_of("0\0", 2), out, sizeof(out), &size, NULL),
                     SF_INVALID);
}

static void test_buffers_get_text_and_bytes(void **state)
{
    struct sf_buf b = {0};
    struct sf_error err;

    (void)state;
    sf_buf_text(&b, "k=");
    sf_buf_encode(&b, SF_BASE64URL, SF_LITERAL("foob"));
    assert_string_equal(sf_buf_cstr(&b), "k=Zm9vYg");
    assert_int_equal(sf_buf_decode(&b, SF_HEX, SF_LITERAL("2121"), &err), SF_OK);
    assert_int_equal(sf_buf_decode(&b, SF_HEX, SF_LITERAL("2!"), &err), SF_INVALID);
    assert_string_equal(sf_buf_cstr(&b), "k=Zm9vYg!!");
    sf_buf_done(&b);
}

static void test_all_sizes_come_back(void **state)
{
    uint8_t bytes[256];
    uint8_t back[256];
    char text[513];

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(i * 151 + 7);
    }
    for (size_t n = 0; n <= sizeof(bytes); n++) {
        for (int e = SF_HEX; e <= SF_BASE64URL; e++) {
            enum sf_encoding encoding = (enum sf_encoding)e;

            sf_encode(encoding, sf_slice_of(bytes, n), text);
            assert_int_equal(strlen(text), sf_encoded_size(encoding, n));
            assert_int_equal(sf_decode_exact(encoding, sf_slice_text(text), back, n, NULL), SF_OK);
            assert_memory_equal(back, bytes, n);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc_4648_vectors),
        cmocka_unit_test(test_every_other_spelling_is_refused),
        cmocka_unit_test(test_size_that_does_not_fit_is_refused),
        cmocka_unit_test(test_zero_byte_is_no_character),
        cmocka_unit_test(test_buffers_get_text_and_bytes),
        cmocka_unit_test(test_all_sizes_come_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
