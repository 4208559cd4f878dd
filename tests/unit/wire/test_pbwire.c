/* The protobuf wire format, and base64. */
#include "tests/lib/cmocka.h"

#include "common/base/buf.h"
#include "common/wire/base64.h"
#include "common/wire/pbwire.h"

static void test_varints_are_minimal_and_read_back(void **state)
{
    (void)state;
    for (unsigned shift = 0; shift < 64; shift++) {
        for (int64_t off = -1; off <= 1; off++) {
            uint64_t value = (UINT64_C(1) << shift) + (uint64_t)off;
            uint8_t bytes[SF_PB_VARINT_MAX];
            size_t size = (size_t)(sf_pb_put_varint(bytes, value) - bytes);
            struct sf_pb_reader r = sf_pb_reader_of(sf_slice_of(bytes, size));
            uint64_t back = 0;

            assert_int_equal(size, sf_pb_varint_size(value));
            assert_true(sf_pb_get_varint(&r, &back) && sf_pb_at_end(&r));
            assert_true(back == value);
            assert_true(sf_pb_unzigzag(sf_pb_zigzag((int64_t)value)) == (int64_t)value);
            r = sf_pb_reader_of(sf_slice_of(bytes, size - 1));
            assert_false(sf_pb_get_varint(&r, &back));
        }
    }
}

static void test_varints_longer_than_they_must_be_are_refused(void **state)
{
    static const struct {
        struct sf_slice bytes;
        bool good;
    } cases[] = {
        {{(const uint8_t *)"\x00", 1}, true},
        {{(const uint8_t *)"\x80\x00", 2}, false},
        {{(const uint8_t *)"\xff\x00", 2}, false},
        {{(const uint8_t *)"\x80\x01", 2}, true},
        {{(const uint8_t *)"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10}, true},
        {{(const uint8_t *)"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10}, false},
        {{(const uint8_t *)"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x01", 11}, false},
        {{(const uint8_t *)"", 0}, false},
    };

    (void)state;
    for (size_t i = 0; i < SF_COUNT(cases); i++) {
        struct sf_pb_reader r = sf_pb_reader_of(cases[i].bytes);
        const uint8_t *before = r.p;
        uint64_t value;

        assert_int_equal(sf_pb_get_varint(&r, &value), cases[i].good);
        assert_true(cases[i].good || r.p == before);
    }
}

static void test_tags_and_lengths_are_checked(void **state)
{
    enum sf_pb_wire wire;
    struct sf_slice bytes;
    struct sf_pb_reader r;
    uint32_t number;
    uint64_t eight;
    uint32_t four;

    (void)state;
    r = sf_pb_reader_of(SF_LITERAL("\x82\x7d\x02xy"));
    assert_true(sf_pb_get_tag(&r, &number, &wire));
    assert_int_equal(number, 2000);
    assert_int_equal(wire, SF_PB_BYTES);
    assert_true(sf_pb_get_bytes(&r, &bytes) && bytes.size == 2 && sf_pb_at_end(&r));
    r = sf_pb_reader_of(SF_LITERAL("\x03xy"));
    assert_false(sf_pb_get_bytes(&r, &bytes));
    assert_false(sf_pb_get_fixed32(&r, &four));
    assert_false(sf_pb_get_fixed64(&r, &eight));
    assert_false(sf_pb_skip(&r, SF_PB_BYTES));
    r = sf_pb_reader_of(SF_LITERAL("\x02")); /* field 0 */
    assert_false(sf_pb_get_tag(&r, &number, &wire));
    r = sf_pb_reader_of(SF_LITERAL("\x0b")); /* group */
    assert_false(sf_pb_get_tag(&r, &number, &wire));
    r = sf_pb_reader_of(SF_LITERAL("\xf8\xff\xff\xff\x0f")); /* the highest number */
    assert_true(sf_pb_get_tag(&r, &number, &wire) && number == SF_PB_FIELD_MAX);
    r = sf_pb_reader_of(SF_LITERAL("\x80\x80\x80\x80\x10"));
    assert_false(sf_pb_get_tag(&r, &number, &wire));
}

static void test_fixed_values_are_little_endian(void **state)
{
    uint8_t bytes[12];
    struct sf_pb_reader r = sf_pb_reader_of(sf_slice_of(bytes, sizeof(bytes)));
    uint64_t eight = 0;
    uint32_t four = 0;

    (void)state;
    assert_ptr_equal(sf_pb_put_fixed64(sf_pb_put_fixed32(bytes, 0x01020304), 0x05060708090a0b0c),
                     bytes + 12);
    assert_memory_equal(bytes, "\4\3\2\1\xc\xb\xa\x9\x8\7\6\5", 12);
    assert_true(sf_pb_get_fixed32(&r, &four) && four == 0x01020304);
    assert_true(sf_pb_get_fixed64(&r, &eight) && eight == 0x05060708090a0b0c);
}

static void test_base64_is_strict(void **state)
{
    static const struct {
        const char *bytes;
        const char *text;
    } good[] = {{"", ""},
                {"f", "Zg=="},
                {"fo", "Zm8="},
                {"foo", "Zm9v"},
                {"foob", "Zm9vYg=="},
                {"fooba", "Zm9vYmE="},
                {"foobar", "Zm9vYmFy"},
                {"\xfb\xff\xfe", "+//+"}};
    static const char *const bad[] = {"Z",    "Zg",   "Zg=",    "Zh==", "Zm9=", "Zg==Zg==",
                                      "Z===", "====", "Zm9v\n", "Zm-v", " Zm9", "Zg=a"};
    uint8_t out[64];
    size_t size = 77;

    (void)state;
    for (size_t i = 0; i < SF_COUNT(good); i++) {
        struct sf_slice bytes = sf_slice_text(good[i].bytes);

        size = (size_t)(sf_base64_write(out, bytes) - out);
        assert_int_equal(size, sf_base64_size(bytes.size));
        assert_int_equal(size, strlen(good[i].text));
        assert_memory_equal(out, good[i].text, size);
        assert_true(sf_base64_read(sf_slice_text(good[i].text), out, &size));
        assert_true(sf_slice_equal(sf_slice_of(out, size), bytes));
    }
    size = 77;
    for (size_t i = 0; i < SF_COUNT(bad); i++) {
        assert_false(sf_base64_read(sf_slice_text(bad[i]), out, &size));
    }
    assert_int_equal(size, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_varints_are_minimal_and_read_back),
        cmocka_unit_test(test_varints_longer_than_they_must_be_are_refused),
        cmocka_unit_test(test_tags_and_lengths_are_checked),
        cmocka_unit_test(test_fixed_values_are_little_endian),
        cmocka_unit_test(test_base64_is_strict),
    };

    return cmocka_run_group_tests_name("pbwire", tests, NULL, NULL);
}
