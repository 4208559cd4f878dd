#include "tests/lib/cmocka.h"

#include "common/base/alloc.h"
#include "leaf/rowcodec/key.h"

static const struct sf_field fields[] = {
    {.number = 1, .name = "amount", .type = SF_TYPE_INT64},
    {.number = 2, .name = "shop", .type = SF_TYPE_STRING, .required = true},
    {.number = 3, .name = "day", .type = SF_TYPE_DATE, .required = true, .parse = "%Y/%m/%d"},
    {.number = 4, .name = "no", .type = SF_TYPE_INT32, .required = true},
    {.number = 5, .name = "part", .type = SF_TYPE_BYTES, .required = true},
};
enum { FIELDS = SF_COUNT(fields) };
static const uint16_t key[] = {1, 2, 3, 4}; /* shop, day, no, part */
static const struct sf_table table = {
    .name = "sales",
    .fields = fields,
    .field_count = FIELDS,
    .key = key,
    .key_count = 4,
    .event_time = -1,
};

static struct sf_buf sample_key(void)
{
    const struct sf_value values[FIELDS] = {
        [1] = {.present = true, .s = SF_LITERAL("a\0b")},
        [2] = {.present = true, .i = -1},
        [3] = {.present = true, .i = 2},
        [4] = {.present = true, .s = SF_LITERAL("\xff")},
    };
    struct sf_buf out = {0};
    struct sf_error err;

    assert_int_equal(key_encode(&table, values, &out, &err), SF_OK);
    return out;
}

static void test_the_layout_of_a_key(void **state)
{
    struct sf_buf k = sample_key();

    (void)state;
    assert_int_equal(k.size, 6 + 4 + 4 + 3);
    assert_memory_equal(k.data,
                        "a\0\xff"
                        "b\0\0\x7f\xff\xff\xff\x80\0\0\2\xff\0\0",
                        k.size);
    sf_buf_done(&k);
}

static void refuse(const char *bytes, size_t size, const char *why)
{
    struct sf_arena arena = {0};
    struct sf_value values[FIELDS];
    struct sf_error err;

    assert_int_equal(key_decode(&table, sf_slice_of(bytes, size), values, &arena, &err),
                     SF_CORRUPT);
    assert_string_equal(err.text, why);
    sf_arena_done(&arena);
}

static void test_what_is_no_key_is_refused(void **state)
{
    static const char good[] = "a\0\0\x80\0\0\0\x80\0\0\0\0";

    (void)state;
    refuse("", 0, "key of table 'sales': no value of 'shop'");
    refuse("a", 1, "key of table 'sales': no value of 'shop'");
    refuse("a\0", 2, "key of table 'sales': no value of 'shop'");
    refuse("a\0\1\0\0", 5, "key of table 'sales': no value of 'shop'");
    refuse("\xff\0\0", 3, "key of table 'sales': no value of 'shop'");
    refuse(good, 6, "key of table 'sales': no value of 'day'");
    refuse("a\0\0\xff\xff\xff\xff", 7, "key of table 'sales': no value of 'day'");
    refuse(good, 10, "key of table 'sales': no value of 'no'");
    refuse(good, 12, "key of table 'sales': no value of 'part'");
    refuse("a\0\0\x80\0\0\0\x80\0\0\0\0\0x", 14, "key of table 'sales': bytes behind its end");
}

static void test_values_beyond_their_type_are_no_key(void **state)
{
    static const struct sf_field few[] = {
        {.number = 1, .name = "price", .type = SF_TYPE_DECIMAL, .precision = 2, .scale = 1},
        {.number = 2, .name = "paid", .type = SF_TYPE_BOOL},
        {.number = 3, .name = "at", .type = SF_TYPE_TIMESTAMP},
    };
    static const uint16_t all[] = {0, 1, 2};
    static const struct sf_table t = {
        .name = "few", .fields = few, .field_count = 3, .key = all, .key_count = 3};
    static const struct {
        uint64_t price;
        uint8_t paid;
        uint64_t at;
        const char *said; /* NULL: a key */
    } cases[] = {
        {(UINT64_C(1) << 63) + 99, 1, UINT64_C(1) << 63, NULL},
        {(UINT64_C(1) << 63) - 99, 0, UINT64_C(1) << 63, NULL},
        {(UINT64_C(1) << 63) + 100, 0, UINT64_C(1) << 63,
         "key of table 'few': no value of 'price'"},
        {(UINT64_C(1) << 63) - 100, 0, UINT64_C(1) << 63,
         "key of table 'few': no value of 'price'"},
        {UINT64_C(1) << 63, 2, UINT64_C(1) << 63, "key of table 'few': no value of 'paid'"},
        {UINT64_C(1) << 63, 0, UINT64_MAX, "key of table 'few': no value of 'at'"},
    };
    struct sf_value values[3];
    struct sf_error err;

    (void)state;
    for (size_t i = 0; i < SF_COUNT(cases); i++) {
        struct sf_arena arena = {0};
        struct sf_buf k = {0};
        enum sf_code code;

        sf_buf_be64(&k, cases[i].price);
        sf_buf_byte(&k, cases[i].paid);
        sf_buf_be64(&k, cases[i].at);
        code = key_decode(&t, sf_buf_view(&k), values, &arena, &err);
        assert_int_equal(code, cases[i].said == NULL ? SF_OK : SF_CORRUPT);
        if (code != SF_OK) {
            assert_string_equal(err.text, cases[i].said);
        }
        sf_buf_done(&k);
    }
}

static void test_keys_have_a_largest_size(void **state)
{
    uint8_t text[SF_KEY_BYTES_MAX] = {0};
    struct sf_value values[FIELDS] = {
        [1] = {.present = true, .s = {text, SF_KEY_BYTES_MAX - 12}},
        [2] = {.present = true},
        [3] = {.present = true},
        [4] = {.present = true, .s = {text, 0}},
    };
    struct sf_buf out = {0};
    struct sf_error err;

    (void)state;
    memset(text, 'x', sizeof(text));
    sf_buf_be32(&out, 7); /* what stands before the key is not counted */
    assert_int_equal(key_encode(&table, values, &out, &err), SF_OK);
    assert_int_equal(out.size, 4 + SF_KEY_BYTES_MAX);
    text[0] = 0; /* takes two bytes */
    assert_int_equal(key_encode(&table, values, &out, &err), SF_INVALID);
    assert_string_equal(err.text, "the key is longer than 1024 bytes");
    assert_int_equal(err.number, 208);
    assert_int_equal(out.size, 4 + SF_KEY_BYTES_MAX);
    sf_buf_done(&out);
}

static void test_text_parts_become_a_prefix_of_the_key(void **state)
{
    const struct sf_slice texts[] = {SF_LITERAL("a\0b"), SF_LITERAL("1969-12-31"), SF_LITERAL("2"),
                                     SF_LITERAL("/w==")};
    struct sf_buf whole = sample_key();
    struct sf_arena arena = {0};
    struct key_parts parts;
    struct sf_buf out = {0};
    struct sf_error err;
    const size_t sizes[] = {0, 6, 10, 14, 17};

    (void)state;
    for (size_t count = 0; count <= 4; count++) {
        sf_buf_clear(&out);
        assert_int_equal(key_parse_text(&table, texts, count, &arena, &parts, &err), SF_OK);
        assert_int_equal(key_encode_parts(&table, &parts, KEY_LAST_WHOLE, &out, &err), SF_OK);
        assert_int_equal(out.size, sizes[count]);
        assert_true(sf_slice_starts_with(sf_buf_view(&whole), sf_buf_view(&out)));
    }
    sf_buf_clear(&out);
    assert_int_equal(key_parse_text(&table, texts, 1, &arena, &parts, &err), SF_OK);
    assert_int_equal(key_encode_parts(&table, &parts, KEY_LAST_BEGUN, &out, &err), SF_OK);
    assert_int_equal(out.size, 4);
    assert_true(sf_slice_starts_with(sf_buf_view(&whole), sf_buf_view(&out)));
    assert_int_equal(key_parse_text(&table, texts, 2, &arena, &parts, &err), SF_OK);
    assert_int_equal(key_encode_parts(&table, &parts, KEY_LAST_BEGUN, &out, &err), SF_INVALID);
    assert_string_equal(err.text, "'day' is no text: only whole values select its keys");
    assert_int_equal(out.size, 4);
    sf_buf_done(&out);
    sf_buf_done(&whole);
    sf_arena_done(&arena);
}

static void test_bad_text_parts_are_refused_with_words(void **state)
{
    const struct sf_slice texts[] = {SF_LITERAL("a"), SF_LITERAL("1969/12/31"), SF_LITERAL("2"),
                                     SF_LITERAL(""), SF_LITERAL("")};
    const struct sf_slice not_utf8 = SF_LITERAL("\xff");
    struct sf_arena arena = {0};
    struct key_parts parts;
    struct sf_error err;

    (void)state;
    assert_int_equal(key_parse_text(&table, texts, 5, &arena, &parts, &err), SF_INVALID);
    assert_string_equal(err.text, "5 key parts, but the key of table 'sales' has 4");
    assert_int_equal(err.number, 301);
    assert_int_equal(key_parse_text(&table, texts, 2, &arena, &parts, &err), SF_INVALID);
    assert_string_equal(err.text, "key part 2: 'day' must be a date like 2026-11-20");
    assert_int_equal(key_parse_text(&table, &not_utf8, 1, &arena, &parts, &err), SF_INVALID);
    assert_string_equal(err.text, "key part 1: 'shop' must be a string");
    sf_arena_done(&arena);
}

static void test_the_end_of_a_prefix_lies_behind_all_that_begin_with_it(void **state)
{
    struct sf_buf b = {0};

    (void)state;
    sf_buf_text(&b, "ab");
    assert_true(key_prefix_end(&b));
    assert_string_equal(sf_buf_cstr(&b), "ac");
    sf_buf_clear(&b);
    sf_buf_text(&b, "a\xff\xff");
    assert_true(key_prefix_end(&b));
    assert_string_equal(sf_buf_cstr(&b), "b");
    sf_buf_clear(&b);
    sf_buf_text(&b, "\xff\xff");
    assert_false(key_prefix_end(&b));
    assert_int_equal(b.size, 0);
    sf_buf_done(&b);
}

static void test_json_of_a_key_has_the_fields_of_the_view(void **state)
{
    const struct sf_slice names[] = {SF_LITERAL("no"), SF_LITERAL("shop"), SF_LITERAL("amount")};
    const struct row_view_options all = {0};
    const struct row_view_options some = {.names = names, .name_count = 3};
    struct row_view *view = NULL;
    struct sf_buf k = sample_key();
    struct sf_buf out = {0};
    struct sf_error err;

    (void)state;
    assert_int_equal(row_view_build(&table, &all, &view, &err), SF_OK);
    assert_int_equal(key_render_json(view, sf_buf_view(&k), &out, &err), SF_OK);
    assert_string_equal(sf_buf_cstr(&out), "{\"shop\":\"a\\u0000b\",\"day\":\"1969-12-31\","
                                           "\"no\":2,\"part\":\"/w==\"}");
    sf_buf_clear(&out);
    k.size--;
    assert_int_equal(key_render_json(view, sf_buf_view(&k), &out, &err), SF_CORRUPT);
    assert_int_equal(out.size, 0);
    k.size++;
    row_view_free(view);
    assert_int_equal(row_view_build(&table, &some, &view, &err), SF_OK);
    assert_false(view->has_key);
    assert_int_equal(key_render_json(view, sf_buf_view(&k), &out, &err), SF_OK);
    assert_string_equal(sf_buf_cstr(&out), "{\"shop\":\"a\\u0000b\",\"no\":2}");
    row_view_free(view);
    sf_buf_done(&k);
    sf_buf_done(&out);
}

static void test_no_memory_is_no_corruption(void **state)
{
    struct sf_buf k = sample_key();
    struct sf_arena arena = {0};
    struct sf_value values[FIELDS];
    struct sf_error err;

    (void)state;
    sf_alloc_fail_after(0, 0);
    assert_int_equal(key_decode(&table, sf_buf_view(&k), values, &arena, &err), SF_NOMEM);
    sf_alloc_fail_after(-1, 0);
    assert_int_equal(key_decode(&table, sf_buf_view(&k), values, &arena, &err), SF_OK);
    assert_true(sf_slice_equal(values[1].s, SF_LITERAL("a\0b")));
    sf_arena_done(&arena);
    sf_buf_done(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_layout_of_a_key),
        cmocka_unit_test(test_what_is_no_key_is_refused),
        cmocka_unit_test(test_values_beyond_their_type_are_no_key),
        cmocka_unit_test(test_keys_have_a_largest_size),
        cmocka_unit_test(test_text_parts_become_a_prefix_of_the_key),
        cmocka_unit_test(test_bad_text_parts_are_refused_with_words),
        cmocka_unit_test(test_the_end_of_a_prefix_lies_behind_all_that_begin_with_it),
        cmocka_unit_test(test_json_of_a_key_has_the_fields_of_the_view),
        cmocka_unit_test(test_no_memory_is_no_corruption),
    };

    return cmocka_run_group_tests_name("key", tests, NULL, NULL);
}
