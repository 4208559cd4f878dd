#include "tests/lib/cmocka.h"

#include "common/base/buf.h"
#include "common/wire/json_items.h"
#include "proto/errors.h"

/* The elements, one per line with their index, and the error, if any. */
static const char *split(struct sf_buf *out, const char *body)
{
    struct sf_json_items items = {0};
    struct sf_slice text = sf_slice_text(body);
    struct sf_slice element;
    struct sf_error err;
    enum sf_code code;

    sf_buf_clear(out);
    while ((code = sf_json_items_next(&items, &text, &element, &err)) == SF_OK) {
        sf_buf_printf(out, "%u %.*s\n", (unsigned)items.index, SF_SLICE_ARG(element));
    }
    if (code != SF_ABSENT) {
        assert_int_equal(code, SF_INVALID);
        assert_int_equal(err.number, SHEAF_E_BAD_FRAMING);
        sf_buf_printf(out, "! %s\n", err.text);
    }
    return out->size == 0 ? "" : sf_buf_cstr(out);
}

static const struct {
    const char *body;
    const char *said;
} bodies[] = {
    {"[]", ""},
    {" [ \r\n ]\t", ""},
    {"[{}]", "1 {}\n"},
    {"[ {\"a\":1} , {\"b\":[{},\"]\"]}\n]", "1 {\"a\":1}\n2 {\"b\":[{},\"]\"]}\n"},
    {" {\"a\":{\"b\":2}}\n", "1 {\"a\":{\"b\":2}}\n"},
    {"[\"a,]\\\"\",1.5,null,[1,[2]]]", "1 \"a,]\\\"\"\n2 1.5\n3 null\n4 [1,[2]]\n"},
    /* Elements that are no JSON are for their reader to refuse. */
    {"[{a:1},nonsense,{\"a\":]},{\"b\"}]", "1 {a:1}\n2 nonsense\n3 {\"a\":]\n"
                                           "! ',' or ']' is missing behind element 3\n"},
    {"[{a:1},{\"b\":2}]", "1 {a:1}\n2 {\"b\":2}\n"},
    {"", "! a JSON array or object is expected\n"},
    {"\n", "! a JSON array or object is expected\n"},
    {"7", "! a JSON array or object is expected\n"},
    {"\"[]\"", "! a JSON array or object is expected\n"},
    {"\xef\xbb\xbf[]", "! a JSON array or object is expected\n"},
    {"[", "! an element is missing behind element 0\n"},
    {"[,1]", "! an element is missing behind element 0\n"},
    {"[1,]", "1 1\n! an element is missing behind element 1\n"},
    {"[1,,2]", "1 1\n! an element is missing behind element 1\n"},
    {"[1,}", "1 1\n! an element is missing behind element 1\n"},
    {"[1", "1 1\n! ',' or ']' is missing behind element 1\n"},
    {"[1 2]", "1 1\n! ',' or ']' is missing behind element 1\n"},
    {"[1}", "1 1\n! ',' or ']' is missing behind element 1\n"},
    {"[{\"a\":1},{\"b\":", "1 {\"a\":1}\n! the element never ends behind element 1\n"},
    {"[{\"a\":\"x\\", "! the element never ends behind element 0\n"},
    {"[{}]]", "1 {}\n! the body goes on after its end behind element 1\n"},
    {"[{}]\n[{}]", "1 {}\n! the body goes on after its end behind element 1\n"},
    {"{}\n{}", "1 {}\n! the body goes on after its end behind element 1\n"},
    {"{}]", "1 {}\n! the body goes on after its end behind element 1\n"},
};

static void an_array_or_object_splits_into_its_elements(void **state)
{
    struct sf_buf out = {0};
    (void)state;

    for (size_t i = 0; i < SF_COUNT(bodies); i++) {
        if (strcmp(split(&out, bodies[i].body), bodies[i].said) != 0) {
            fail_msg("%s: %s", bodies[i].body, sf_buf_cstr(&out));
        }
    }
    sf_buf_done(&out);
}

static void the_end_stays_the_end(void **state)
{
    struct sf_json_items items = {0};
    struct sf_slice text = SF_LITERAL("[]");
    struct sf_slice element;
    (void)state;

    assert_int_equal(sf_json_items_next(&items, &text, &element, NULL), SF_ABSENT);
    assert_int_equal(sf_json_items_next(&items, &text, &element, NULL), SF_ABSENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_array_or_object_splits_into_its_elements),
        cmocka_unit_test(the_end_stays_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
