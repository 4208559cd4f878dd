/* Fields of a record are set and taken away in the text it came in. */
#include "tests/lib/cmocka.h"

#include "cli/record_edit.h"
#include "proto/errors.h"

static const struct record_set some[] = {
    {.name = SF_LITERAL("n"), .value = SF_LITERAL("1"), .is_text = true},
    {.name = SF_LITERAL("n"), .value = SF_LITERAL("2.50")},
    {.name = SF_LITERAL("t"), .value = SF_LITERAL("a \"b\", c"), .is_text = true},
    {.name = SF_LITERAL("gone"), .unset = true},
};
static const struct record_edit edit = {some, 4};

static void assert_json(const char *raw, bool in_envelope, const char *expected)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf out = {0};
    struct sf_error err;
    enum sf_code code = record_edit_json(&edit, sf_slice_text(raw), in_envelope, &out, &err);

    if (expected == NULL) {
        assert_int_equal(code, SF_INVALID);
        assert_int_equal(err.number, SHEAF_E_USAGE);
        return;
    }
    assert_int_equal(code, SF_OK);
    assert_string_equal(sf_buf_cstr(&out), expected);
}

static void members_of_an_object_are_set(void **state)
{
    (void)state;
    assert_json("{ \"n\" : true, \"x\":12345678901234567890, \"gone\":1 }", false,
                "{\"x\":12345678901234567890,\"n\":2.50,\"t\":\"a \\\"b\\\", c\"}");
    assert_json("{}", false, "{\"n\":2.50,\"t\":\"a \\\"b\\\", c\"}");
    assert_json("[1]", false, NULL);
    assert_json("{\"n\":", false, NULL);
    assert_json("", false, NULL);
}

static void in_an_envelope_it_is_the_row(void **state)
{
    (void)state;
    assert_json("{\"op\":\"upsert\",\"row\":{\"n\":1},\"expected_seq\":7}", true,
                "{\"op\":\"upsert\",\"row\":{\"n\":2.50,\"t\":\"a \\\"b\\\", c\"},"
                "\"expected_seq\":7}");
    assert_json("{\"op\":\"upsert\",\"row\":7}", true, NULL);
    assert_json("{\"n\":1}", true, NULL);
}

static void assert_csv(const char *header, const char *row, const char *expected)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf out = {0};
    struct sf_error err;
    enum sf_code code =
        record_edit_csv(&edit, sf_slice_text(header), sf_slice_text(row), &out, &err);

    if (expected == NULL) {
        assert_int_equal(code, SF_INVALID);
        assert_int_equal(err.number, SHEAF_E_USAGE);
        return;
    }
    assert_int_equal(code, SF_OK);
    assert_string_equal(sf_buf_cstr(&out), expected);
}

static void cells_of_a_row_are_set_and_columns_added(void **state)
{
    (void)state;
    assert_csv("x,n,gone", "\"a,b\",?,\"\"", "x,n,gone,t\n\"a,b\",2.50,,\"a \"\"b\"\", c\"\n");
    assert_csv("t,n", "\"\"", "t,n\n\"a \"\"b\"\", c\",2.50\n"); /* a cell too few */
    assert_csv("x,t,n", ",\"\",1", "x,t,n\n,\"a \"\"b\"\", c\",2.50\n");
    assert_csv("x", "1,2", NULL); /* a cell too many */
    assert_csv("", "1", NULL);
    assert_csv("x", "\"1", NULL);
}

static void a_set_is_a_name_and_a_value(void **state)
{
    struct record_set s;
    struct sf_error err;

    (void)state;
    assert_int_equal(record_set_parse("a=b=c", &s, &err), SF_OK);
    assert_true(sf_slice_equal(s.name, SF_LITERAL("a")));
    assert_true(sf_slice_equal(s.value, SF_LITERAL("b=c")));
    assert_int_equal(record_set_parse("a=", &s, &err), SF_OK);
    assert_int_equal(s.value.size, 0);
    assert_int_equal(record_set_parse("a", &s, &err), SF_INVALID);
    assert_int_equal(record_set_parse("=b", &s, &err), SF_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_of_an_object_are_set),
        cmocka_unit_test(in_an_envelope_it_is_the_row),
        cmocka_unit_test(cells_of_a_row_are_set_and_columns_added),
        cmocka_unit_test(a_set_is_a_name_and_a_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
