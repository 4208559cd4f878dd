#include "tests/lib/cmocka.h"

#include "common/base/alloc.h"
#include "common/contract/value.h"

/* @written is what sf_value_format() gives back; NULL when reading fails. */
struct value_case {
    struct sf_field field;
    const char *text;
    enum sf_parse parsed;
    const char *written;
};

static const struct value_case cases[] = {
    {{.type = SF_TYPE_BOOL}, "true", SF_PARSE_OK, "true"},
    {{.type = SF_TYPE_BOOL}, "false", SF_PARSE_OK, "false"},
    {{.type = SF_TYPE_BOOL}, "True", SF_PARSE_SYNTAX, NULL},
    {{.type = SF_TYPE_BOOL}, "1", SF_PARSE_SYNTAX, NULL},
    {{.type = SF_TYPE_BOOL}, "", SF_PARSE_SYNTAX, NULL},
    {{.type = SF_TYPE_INT32}, "-2147483648", SF_PARSE_OK, "-2147483648"},
    {{.type = SF_TYPE_INT32}, "2147483648", SF_PARSE_RANGE, NULL},
    {{.type = SF_TYPE_INT32}, "-2147483649", SF_PARSE_RANGE, NULL},
    {{.type = SF_TYPE_INT32}, "12.0", SF_PARSE_SYNTAX, NULL},
    {{.type = SF_TYPE_INT64}, "9223372036854775807", SF_PARSE_OK, "9223372036854775807"},
    {{.type = SF_TYPE_INT64}, "9223372036854775808", SF_PARSE_RANGE, NULL},
    {{.type = SF_TYPE_FLOAT}, "0.1", SF_PARSE_OK, "0.1"},
    {{.type = SF_TYPE_FLOAT}, "1e39", SF_PARSE_RANGE, NULL},
    {{.type = SF_TYPE_FLOAT}, "-1e-60", SF_PARSE_OK, "0"},
    {{.type = SF_TYPE_DOUBLE}, "-0", SF_PARSE_OK, "0"},
    {{.type = SF_TYPE_DOUBLE}, "-89.23450472", SF_PARSE_OK, "-89.23450472"},
    {{.type = SF_TYPE_DOUBLE}, "1e999", SF_PARSE_RANGE, NULL},
    {{.type = SF_TYPE_DECIMAL, .precision = 12, .scale = 2}, "59.9", SF_PARSE_OK, "59.90"},
    {{.type = SF_TYPE_DECIMAL, .precision = 12, .scale = 2}, "59.999", SF_PARSE_INEXACT, NULL},
    {{.type = SF_TYPE_STRING}, "", SF_PARSE_OK, ""},
    {{.type = SF_TYPE_STRING}, "as it is ", SF_PARSE_OK, "as it is "},
    {{.type = SF_TYPE_BYTES}, "", SF_PARSE_OK, ""},
    {{.type = SF_TYPE_BYTES}, "AAEC/w==", SF_PARSE_OK, "AAEC/w=="},
    {{.type = SF_TYPE_BYTES}, "AAEC/w=", SF_PARSE_SYNTAX, NULL},
    {{.type = SF_TYPE_DATE}, "2024-02-29", SF_PARSE_OK, "2024-02-29"},
    {{.type = SF_TYPE_DATE}, "2023-02-29", SF_PARSE_RANGE, NULL},
    {{.type = SF_TYPE_DATE, .parse = "%d.%m.%Y"}, "29.2.2024", SF_PARSE_OK, "2024-02-29"},
    {{.type = SF_TYPE_DATE, .parse = "%d.%m.%Y"}, "2024-02-29", SF_PARSE_SYNTAX, NULL},
    {{.type = SF_TYPE_TIMESTAMP},
     "2001-01-01T01:47:00+01:00",
     SF_PARSE_OK,
     "2001-01-01T00:47:00.000000Z"},
    {{.type = SF_TYPE_TIMESTAMP}, "2001-01-01T01:47:00", SF_PARSE_SYNTAX, NULL},
    {{.type = SF_TYPE_TIMESTAMP, .parse = "%Y/%m/%d %H:%M"},
     "2001/01/01 00:47",
     SF_PARSE_OK,
     "2001-01-01T00:47:00.000000Z"},
    {{.type = SF_TYPE_UUID},
     "00112233-4455-6677-8899-AABBCCDDEEFF",
     SF_PARSE_OK,
     "00112233-4455-6677-8899-aabbccddeeff"},
    {{.type = SF_TYPE_UUID}, "00112233-4455-6677-8899-aabbccddeef", SF_PARSE_SYNTAX, NULL},
    {{.type = SF_TYPE_UUID}, "00112233-4455-6677-8899-aabbccddeefg", SF_PARSE_SYNTAX, NULL},
    {{.type = SF_TYPE_UUID}, "001122334-455-6677-8899-aabbccddeeff", SF_PARSE_SYNTAX, NULL},
};

static void test_text_becomes_a_value_and_text_again(void **state)
{
    struct sf_arena scratch;

    (void)state;
    sf_arena_init(&scratch, 0);
    for (size_t i = 0; i < SF_COUNT(cases); i++) {
        struct sf_value v = {.i = 77};
        struct sf_buf out = {0};
        enum sf_parse parsed =
            sf_value_parse(&cases[i].field, sf_slice_text(cases[i].text), &scratch, &v);

        if (parsed != cases[i].parsed) {
            fail_msg("case %zu '%s' gives verdict %d", i, cases[i].text, (int)parsed);
        }
        assert_int_equal(v.present, parsed == SF_PARSE_OK);
        if (v.present) {
            sf_value_format(&cases[i].field, &v, &out);
            assert_string_equal(sf_buf_cstr(&out), cases[i].written);
        } else {
            assert_int_equal(v.i, 77);
        }
        sf_buf_done(&out);
    }
    sf_arena_done(&scratch);
}

static void test_no_memory_is_out_of_range(void **state)
{
    struct sf_field f = {.type = SF_TYPE_BYTES};
    struct sf_arena scratch;
    struct sf_value v = {0};

    (void)state;
    sf_arena_init(&scratch, 0);
    sf_alloc_fail_after(0, 1);
    assert_int_equal(sf_value_parse(&f, SF_LITERAL("AAEC"), &scratch, &v), SF_PARSE_RANGE);
    f.type = SF_TYPE_UUID;
    assert_int_equal(
        sf_value_parse(&f, SF_LITERAL("00112233-4455-6677-8899-aabbccddeeff"), &scratch, &v),
        SF_PARSE_RANGE);
    sf_alloc_fail_after(-1, 0);
    sf_arena_done(&scratch);
}

static void test_values_have_an_order(void **state)
{
    struct sf_value small = {.present = true, .i = -2, .d = -0.5, .s = SF_LITERAL("ab")};
    struct sf_value large = {.present = true, .i = 1, .d = 0.25, .s = SF_LITERAL("abc")};

    (void)state;
    for (int type = SF_TYPE_BOOL; type <= SF_TYPE_UUID; type++) {
        assert_true(sf_value_compare((enum sf_type)type, &small, &large) < 0);
        assert_true(sf_value_compare((enum sf_type)type, &large, &small) > 0);
        assert_int_equal(sf_value_compare((enum sf_type)type, &small, &small), 0);
    }
}

static void test_names_follow_the_rules(void **state)
{
    (void)state;
    assert_true(sf_name_is_product(SF_LITERAL("sales")));
    assert_true(sf_name_is_product(SF_LITERAL("a")));
    assert_true(sf_name_is_product(SF_LITERAL("web-orders-2")));
    assert_true(sf_name_is_product(SF_LITERAL("a12345678901234567890123456789012345678901234567")));
    assert_false(
        sf_name_is_product(SF_LITERAL("a123456789012345678901234567890123456789012345678")));
    assert_false(sf_name_is_product(SF_LITERAL("")));
    assert_false(sf_name_is_product(SF_LITERAL("2a")));
    assert_false(sf_name_is_product(SF_LITERAL("-a")));
    assert_false(sf_name_is_product(SF_LITERAL("Sales")));
    assert_false(sf_name_is_product(SF_LITERAL("web_orders")));
    assert_true(sf_name_is_table(SF_LITERAL("order_id")));
    assert_false(sf_name_is_table(SF_LITERAL("order-id")));
    assert_false(sf_name_is_table(SF_LITERAL("_id")));
    assert_false(sf_name_is_table(SF_LITERAL("\xc3\xb8l")));
}

static void test_types_and_classes_have_names(void **state)
{
    struct sf_field f = {.type = SF_TYPE_DECIMAL, .precision = 18, .scale = 18};
    char text[24];

    (void)state;
    sf_field_type_text(&f, text, sizeof(text));
    assert_string_equal(text, "decimal(18,18)");
    f.type = SF_TYPE_TIMESTAMP;
    sf_field_type_text(&f, text, sizeof(text));
    assert_string_equal(text, "timestamp");
    assert_string_equal(sf_class_name(SF_CLASS_SECRET), "secret");
    assert_string_equal(sf_format_name(SF_FORMAT_IPV6), "ipv6");
    assert_string_equal(sf_status_name(SF_STATUS_RETIRED), "retired");
    assert_string_equal(sf_access_name(SF_ACCESS_CLOSED), "closed");
    assert_false(sf_class_is_open(SF_CLASS_PII));
    assert_false(sf_class_is_open(SF_CLASS_SECRET));
    assert_true(sf_class_is_open(SF_CLASS_PSEUDONYMOUS));
    assert_true(sf_class_is_open(SF_CLASS_NONE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_becomes_a_value_and_text_again),
        cmocka_unit_test(test_no_memory_is_out_of_range),
        cmocka_unit_test(test_values_have_an_order),
        cmocka_unit_test(test_names_follow_the_rules),
        cmocka_unit_test(test_types_and_classes_have_names),
    };

    return cmocka_run_group_tests_name("value", tests, NULL, NULL);
}
