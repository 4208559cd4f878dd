#include "tests/lib/cmocka.h"

#include <string.h>

#include "common/base/alloc.h"
#include "common/wire/json.h"
#include "common/wire/json_text.h"

static struct sf_json_doc *parse(const char *text)
{
    struct sf_json_doc *doc = NULL;
    struct sf_error err;

    if (sf_json_parse(sf_slice_text(text), &doc, &err) != SF_OK) {
        fail_msg("%s", err.text);
    }
    return doc;
}

static void refuse(const char *text, const char *why)
{
    struct sf_json_doc *doc = NULL;
    struct sf_error err;

    assert_int_equal(sf_json_parse(sf_slice_text(text), &doc, &err), SF_INVALID);
    assert_string_equal(err.text, why);
    assert_int_equal(err.number, 301);
    assert_null(doc);
}

static void test_reads_members_by_name_and_path(void **state)
{
    struct sf_json_doc *doc =
        parse(" {\"a\":{\"b\":[10,{\"c\":\"x\\u0041\"}]},\"t\":true,\"n\":null,\"e\":\"\"}");
    const struct sf_json *root = sf_json_root(doc);
    const char *text = NULL;
    int64_t i = 0;
    bool b = false;

    (void)state;
    assert_int_equal(sf_json_kind(root), SF_JSON_OBJECT);
    assert_int_equal(sf_json_count(root), 4);
    assert_int_equal(sf_json_count(sf_json_path(root, "a.b")), 2);
    assert_true(sf_json_as_int(sf_json_at(sf_json_path(root, "a.b"), 0), &i));
    assert_int_equal(i, 10);
    assert_true(sf_json_as_text(sf_json_get(sf_json_at(sf_json_path(root, "a.b"), 1), "c"), &text));
    assert_string_equal(text, "xA");
    assert_null(sf_json_at(sf_json_path(root, "a.b"), 2));
    assert_null(sf_json_path(root, "a.x.y"));
    assert_null(sf_json_get(sf_json_get(root, "t"), "t"));
    assert_true(sf_json_as_bool(sf_json_get(root, "t"), &b) && b);
    assert_int_equal(sf_json_kind(sf_json_get(root, "n")), SF_JSON_NULL);
    assert_int_equal(sf_json_kind(sf_json_get(root, "x")), SF_JSON_ABSENT);
    assert_true(sf_json_as_text(sf_json_get(root, "e"), &text));
    assert_string_equal(text, "");
    assert_string_equal(sf_json_text_of(sf_json_at(sf_json_path(root, "a.b"), 1), "c"), "xA");
    assert_string_equal(sf_json_text_of(root, "a"), ""); /* no text */
    assert_string_equal(sf_json_text_of(root, "x"), "");
    assert_string_equal(sf_json_text_of(NULL, "x"), "");
    sf_json_free(doc);
}

static void test_numbers_are_exact_or_refused(void **state)
{
    struct sf_json_doc *doc = parse("[9223372036854775807,-9223372036854775808,"
                                    "9223372036854775808,18446744073709551615,1.0,1e3,"
                                    "0.1,123456789012345678901234567890.5,1e999,\"7\"]");
    const struct sf_json *root = sf_json_root(doc);
    int64_t i = 77;
    uint64_t u = 77;
    double d = 77;
    struct sf_slice text;

    (void)state;
    assert_true(sf_json_as_int(sf_json_at(root, 0), &i) && i == INT64_MAX);
    assert_true(sf_json_as_int(sf_json_at(root, 1), &i) && i == INT64_MIN);
    assert_false(sf_json_as_int(sf_json_at(root, 2), &i));
    assert_true(sf_json_as_uint(sf_json_at(root, 3), &u) && u == UINT64_MAX);
    assert_false(sf_json_as_uint(sf_json_at(root, 1), &u));
    assert_false(sf_json_as_int(sf_json_at(root, 4), &i));
    assert_false(sf_json_as_int(sf_json_at(root, 5), &i));
    assert_false(sf_json_as_int(sf_json_at(root, 9), &i));
    assert_true(i == INT64_MIN);
    assert_true(sf_json_as_double(sf_json_at(root, 6), &d) && d == 0.1);
    assert_true(sf_json_as_number_text(sf_json_at(root, 7), &text));
    assert_int_equal(text.size, 32);
    assert_memory_equal(text.data, "123456789012345678901234567890.5", 32);
    assert_false(sf_json_as_double(sf_json_at(root, 8), &d));
    sf_json_free(doc);
}

static void test_bad_text_is_refused_with_its_place(void **state)
{
    char deep[200];

    (void)state;
    refuse("", "JSON expected, found nothing");
    refuse("{\"a\":1,\n \"b\":}", "line 2, column 6: unexpected character, expected a valid JSON "
                                  "value");
    refuse("{\"a\":1} x", "line 1, column 9: unexpected content after document");
    refuse("[NaN]", "line 1, column 2: unexpected character, expected a valid JSON value");
    refuse("[01]", "line 1, column 2: number with leading zero is not allowed");
    refuse("\"a\xff\"", "line 1, column 3: invalid UTF-8 encoding in string");
    memset(deep, '[', 65);
    memset(deep + 65, ']', 65);
    deep[130] = '\0';
    refuse(deep, "more than 64 levels deep");
    memset(deep, '[', 64);
    memset(deep + 64, ']', 64);
    deep[128] = '\0';
    sf_json_free(parse(deep));
}

static void test_a_reader_reads_one_text_after_another(void **state)
{
    struct sf_json_reader r = {0};
    const struct sf_json *v = NULL;
    struct sf_error err;
    char big[40000];
    void *memory;

    (void)state;
    assert_int_equal(sf_json_read(&r, SF_LITERAL("[1]"), &v, &err), SF_OK);
    memory = r.memory;
    assert_int_equal(sf_json_read(&r, SF_LITERAL("[1,2"), &v, &err), SF_INVALID);
    assert_string_equal(err.text, "line 1, column 5: unexpected end of data");
    assert_int_equal(sf_json_read(&r, SF_LITERAL("{\"a\":[1,2]}"), &v, &err), SF_OK);
    assert_int_equal(sf_json_count(sf_json_get(v, "a")), 2);
    assert_ptr_equal(r.memory, memory);
    memset(big, '[', sizeof(big));
    assert_int_equal(sf_json_read(&r, sf_slice_of(big, sizeof(big)), &v, &err), SF_INVALID);
    memset(big, '1', sizeof(big));
    sf_alloc_fail_after(0, 1);
    sf_json_reader_done(&r);
    assert_int_equal(sf_json_read(&r, sf_slice_of(big, 10), &v, &err), SF_NOMEM);
    sf_alloc_fail_after(-1, 0);
    assert_int_equal(sf_json_read(&r, sf_slice_of(big, sizeof(big)), &v, &err), SF_OK);
    sf_json_reader_done(&r);
}

static void test_parse_survives_every_failed_allocation(void **state)
{
    struct sf_json_doc *doc = NULL;
    struct sf_error err;
    enum sf_code code;
    long n = 0;

    (void)state;
    do {
        sf_alloc_fail_after(n++, 0);
        code = sf_json_parse(SF_LITERAL("{\"a\":[1,2,3]}"), &doc, &err);
        assert_true(code == SF_OK || code == SF_NOMEM);
    } while (code != SF_OK);
    sf_alloc_fail_after(-1, 0);
    assert_true(n > 1);
    sf_json_free(doc);
}

static void test_request_members_are_checked_with_words(void **state)
{
    static const char *const names[] = {"limit", "purpose", "dry", "columns", NULL};
    struct sf_json_doc *doc =
        parse("{\"limit\":11,\"purpose\":null,\"dry\":\"no\",\"columns\":[]}");
    const struct sf_json *root = sf_json_root(doc);
    const struct sf_json *list = NULL;
    struct sf_json_range range = {.min = 0, .max = 10};
    const char *text = "before";
    struct sf_error err;
    int64_t i = 5;
    bool b = false;

    (void)state;
    assert_int_equal(sf_json_check_names(root, names, &err), SF_OK);
    assert_int_equal(sf_json_read_int(root, "limit", SF_JSON_REQUIRED, range, &i, &err),
                     SF_INVALID);
    assert_string_equal(err.text, "'limit' must be a whole number from 0 to 10");
    assert_int_equal(err.number, 301);
    assert_int_equal(i, 5);
    range.max = 11;
    assert_int_equal(sf_json_read_int(root, "limit", SF_JSON_REQUIRED, range, &i, &err), SF_OK);
    assert_int_equal(i, 11);
    assert_int_equal(sf_json_read_text(root, "purpose", SF_JSON_OPTIONAL, &text, &err), SF_OK);
    assert_string_equal(text, "before");
    assert_int_equal(sf_json_read_text(root, "purpose", SF_JSON_REQUIRED, &text, &err), SF_INVALID);
    assert_string_equal(err.text, "'purpose' is missing");
    assert_int_equal(sf_json_read_text(root, "limit", SF_JSON_OPTIONAL, &text, &err), SF_INVALID);
    assert_string_equal(err.text, "'limit' must be a string");
    assert_int_equal(sf_json_read_bool(root, "dry", SF_JSON_OPTIONAL, &b, &err), SF_INVALID);
    assert_string_equal(err.text, "'dry' must be true or false");
    assert_int_equal(
        sf_json_read_value(root, "columns", SF_JSON_REQUIRED, SF_JSON_ARRAY, &list, &err), SF_OK);
    assert_non_null(list);
    assert_int_equal(
        sf_json_read_value(root, "limit", SF_JSON_REQUIRED, SF_JSON_OBJECT, &list, &err),
        SF_INVALID);
    assert_string_equal(err.text, "'limit' must be an object");
    sf_json_free(doc);
}

static void test_unknown_and_doubled_members_are_refused(void **state)
{
    static const char *const names[] = {"limit", "cursor", NULL};
    struct sf_json_doc *unknown = parse("{\"limit\":1,\"limt\":2}");
    struct sf_json_doc *twice = parse("{\"limit\":1,\"limit\":2}");
    struct sf_json_doc *list = parse("[]");
    struct sf_error err;

    (void)state;
    assert_int_equal(sf_json_check_names(sf_json_root(unknown), names, &err), SF_INVALID);
    assert_string_equal(err.text, "'limt' is not known here; known: limit, cursor");
    assert_int_equal(sf_json_check_names(sf_json_root(twice), names, &err), SF_INVALID);
    assert_string_equal(err.text, "'limit' is given twice");
    assert_int_equal(sf_json_check_names(sf_json_root(list), names, &err), SF_INVALID);
    assert_string_equal(err.text, "a JSON object is expected");
    sf_json_free(unknown);
    sf_json_free(twice);
    sf_json_free(list);
}

static void write_all(struct sf_json_writer *w, const struct sf_json *copy)
{
    sf_json_object_begin(w);
    sf_json_member_text(w, "kind", "Thing");
    sf_json_member_text(w, "none", NULL);
    sf_json_key(w, "list");
    sf_json_array_begin(w);
    sf_json_int(w, INT64_MIN);
    sf_json_uint(w, UINT64_MAX);
    sf_json_double(w, 0.1);
    sf_json_bool(w, true);
    sf_json_printf(w, "%d-%s", 7, "\"");
    sf_json_object_begin(w);
    sf_json_object_end(w);
    sf_json_array_end(w);
    sf_json_key(w, "copy");
    sf_json_value(w, copy);
    sf_json_member_bool(w, "end", false);
    sf_json_object_end(w);
}

static void test_writer_places_commas_and_lines(void **state)
{
    struct sf_json_doc *doc = parse("{ \"x\" : [ 1.50, \"\\n\", null, {} ] }");
    struct sf_buf out = {0};
    struct sf_json_writer w = {.out = &out};

    (void)state;
    write_all(&w, sf_json_root(doc));
    assert_string_equal(sf_buf_cstr(&out),
                        "{\"kind\":\"Thing\",\"none\":null,\"list\":[-9223372036854775808,"
                        "18446744073709551615,0.1,true,\"7-\\\"\",{}],"
                        "\"copy\":{\"x\":[1.50,\"\\n\",null,{}]},\"end\":false}");
    sf_buf_clear(&out);
    w = (struct sf_json_writer){.out = &out, .pretty = true};
    sf_json_object_begin(&w);
    sf_json_member_int(&w, "a", 1);
    sf_json_key(&w, "b");
    sf_json_array_begin(&w);
    sf_json_null(&w);
    sf_json_array_end(&w);
    sf_json_key(&w, "c");
    sf_json_array_begin(&w);
    sf_json_array_end(&w);
    sf_json_object_end(&w);
    assert_string_equal(sf_buf_cstr(&out),
                        "{\n  \"a\": 1,\n  \"b\": [\n    null\n  ],\n  \"c\": []\n}");
    sf_buf_done(&out);
    sf_json_free(doc);
}

static void test_strings_are_escaped_and_always_utf8(void **state)
{
    struct sf_buf out = {0};
    struct sf_json_writer w = {.out = &out};

    (void)state;
    sf_json_slice(&w, SF_LITERAL("a\"\\/\b\f\n\r\t\0\x1f\x7f\xc3\xa9"));
    assert_string_equal(sf_buf_cstr(&out),
                        "\"a\\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\x7f\xc3\xa9\"");
    sf_buf_clear(&out);
    sf_json_slice(&w, SF_LITERAL("a\xff\xc3"));
    assert_string_equal(sf_buf_cstr(&out), "\"a\xef\xbf\xbd\xef\xbf\xbd\"");
    sf_buf_done(&out);
}

static void test_every_byte_at_every_place_is_sized_and_read_back(void **state)
{
    struct sf_buf out = {0};
    uint8_t text[19];

    (void)state;
    for (unsigned c = 0; c < 128; c++) {
        for (size_t at = 0; at < sizeof(text); at++) {
            struct sf_slice s = sf_slice_of(text, sizeof(text));
            struct sf_json_doc *doc;
            struct sf_slice back = {0};

            memset(text, 'x', sizeof(text));
            text[at] = (uint8_t)c;
            sf_buf_clear(&out);
            sf_json_put_string(&out, s);
            assert_int_equal(out.size, sf_json_escaped_size(s) + 2);
            doc = parse(sf_buf_cstr(&out));
            assert_true(sf_json_as_slice(sf_json_root(doc), &back));
            assert_true(sf_slice_equal(back, s));
            sf_json_free(doc);
        }
    }
    sf_buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_members_by_name_and_path),
        cmocka_unit_test(test_numbers_are_exact_or_refused),
        cmocka_unit_test(test_bad_text_is_refused_with_its_place),
        cmocka_unit_test(test_a_reader_reads_one_text_after_another),
        cmocka_unit_test(test_parse_survives_every_failed_allocation),
        cmocka_unit_test(test_request_members_are_checked_with_words),
        cmocka_unit_test(test_unknown_and_doubled_members_are_refused),
        cmocka_unit_test(test_writer_places_commas_and_lines),
        cmocka_unit_test(test_strings_are_escaped_and_always_utf8),
        cmocka_unit_test(test_every_byte_at_every_place_is_sized_and_read_back),
    };

    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
