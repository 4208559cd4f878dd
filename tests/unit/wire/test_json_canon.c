#include "tests/lib/cmocka.h"

#include "common/wire/json_canon.h"

/* The canonical text of @text, or what is wrong. */
static enum sf_json_canon write(const char *text, struct sf_buf *out)
{
    struct sf_json_reader reader = {0};
    const struct sf_json *json = NULL;
    struct sf_arena arena = {0};
    struct sf_error err;
    enum sf_json_canon done;

    sf_buf_clear(out);
    if (sf_json_read(&reader, sf_slice_text(text), &json, &err) != SF_OK) {
        fail_msg("%s: %s", text, err.text);
    }
    done = sf_json_canon_write(json, &arena, out);
    sf_json_reader_done(&reader);
    sf_arena_done(&arena);
    return done;
}

static void one_value_has_one_text(void **state)
{
    static const char *const cases[][2] = {
        {" { \"b\" : 1 , \"a\" : [ true , false , null ] } ", "{\"a\":[true,false,null],\"b\":1}"},
        {"\"\\u0041\\/\\u00e9\\u0001\\n\\\"\"", "\"A/\xc3\xa9\\u0001\\n\\\"\""},
        {"{\"\":1,\"a\":2,\"\\\"\":3,\"\\\\\":4,\"\\u0001\":5,\"A\":6,\"ab\":7,\"~\":8}",
         "{\"\":1,\"A\":6,\"\\\"\":3,\"\\\\\":4,\"\\u0001\":5,\"a\":2,\"ab\":7,\"~\":8}"},
        {"[]", "[]"},
        {"{}", "{}"},
        {"0", "0"},
        {"-0", "0"},
        {"-0.000e99", "0"},
        {"1.50", "1.5"},
        {"15e-1", "1.5"},
        {"150E-2", "1.5"},
        {"-100", "-100"},
        {"12e2", "1200"},
        {"0.1e3", "100"},
        {"1e20", "100000000000000000000"},
        {"1e21", "1e+21"},
        {"123e21", "1.23e+23"},
        {"0.000001", "0.000001"},
        {"0.0000001", "1e-7"},
        {"1.25E-7", "1.25e-7"},
        {"123456789012345678901", "123456789012345678901"},
        {"0.1000000000000000055511151231257827", "0.1000000000000000055511151231257827"},
        {"1e9999", "1e+9999"},
        {"1e-9999", "1e-9999"},
    };
    struct sf_buf out = {0};

    (void)state;
    for (size_t i = 0; i < SF_COUNT(cases); i++) {
        assert_int_equal(write(cases[i][0], &out), SF_JSON_CANON_OK);
        assert_string_equal(sf_buf_cstr(&out), cases[i][1]);
        assert_true(sf_json_canon_check(sf_buf_view(&out)));
    }
    sf_buf_done(&out);
}

static void what_has_no_text_is_refused(void **state)
{
    struct sf_buf out = {0};
    struct sf_buf text = {0};

    (void)state;
    assert_int_equal(write("{\"a\":1,\"b\":2,\"a\":1}", &out), SF_JSON_CANON_TWICE);
    assert_int_equal(write("1e10000", &out), SF_JSON_CANON_NUMBER);
    assert_int_equal(write("1e-10000", &out), SF_JSON_CANON_NUMBER);
    assert_int_equal(write("1e999999999999999999999", &out), SF_JSON_CANON_NUMBER);
    for (int digits = 100; digits <= 101; digits++) {
        sf_buf_clear(&text);
        for (int i = 0; i < digits; i++) {
            sf_buf_byte(&text, i + 1 == digits ? '1' : '9');
        }
        assert_int_equal(write(sf_buf_cstr(&text), &out),
                         digits == 100 ? SF_JSON_CANON_OK : SF_JSON_CANON_NUMBER);
    }
    for (int depth = 32; depth <= 33; depth++) {
        sf_buf_clear(&text);
        for (int i = 0; i < 2 * depth; i++) {
            sf_buf_byte(&text, i < depth ? '[' : ']');
        }
        assert_int_equal(write(sf_buf_cstr(&text), &out),
                         depth == 32 ? SF_JSON_CANON_OK : SF_JSON_CANON_DEEP);
        assert_int_equal(sf_json_canon_check(sf_buf_view(&text)), depth == 32);
    }
    sf_buf_done(&out);
    sf_buf_done(&text);
}

static void other_texts_are_not_canonical(void **state)
{
    static const char *const texts[] = {
        "",
        " 1",
        "1 ",
        "null",
        "[1, 2]",
        "[1,]",
        "{\"a\":1,}",
        "{\"b\":1,\"a\":2}",
        "{\"a\":1,\"a\":1}",
        "{a:1}",
        "01",
        "-0",
        "1.0",
        "1.50",
        "+1",
        ".5",
        "5.",
        "1e3",
        "1E+21",
        "1e21",
        "10e+20",
        "1e+021",
        "--1",
        "1-2",
        "-",
        "\"\\u0041\"",
        "\"\\/\"",
        "\"\\u000a\"",
        "\"\\u001F\"",
        "\"\n\"",
        "\"a",
        "\"\xff\"",
        "tru",
        "[1",
        "{\"a\"}",
        "1.2.3",
        "0.0000001",
        "1e-6",
        "[null",
        "\"\\",
        "\"\\u00",
    };

    (void)state;
    for (size_t i = 0; i < SF_COUNT(texts); i++) {
        if (sf_json_canon_check(sf_slice_text(texts[i]))) {
            fail_msg("%s", texts[i]);
        }
    }
    assert_false(sf_json_canon_check(sf_slice_of("1\0", 2)));
    assert_true(sf_json_canon_check(SF_LITERAL("[null]")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_value_has_one_text),
        cmocka_unit_test(what_has_no_text_is_refused),
        cmocka_unit_test(other_texts_are_not_canonical),
    };

    return cmocka_run_group_tests_name("json_canon", tests, NULL, NULL);
}
