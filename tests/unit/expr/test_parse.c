#include "tests/lib/cmocka.h"

#include <stdlib.h>

#include "common/base/alloc.h"
#include "common/expr/expr.h"
#include "tests/lib/rows.h"

static const struct sf_field order_fields[] = {
    {.number = 1, .name = "country", .type = SF_TYPE_STRING},
    {.number = 2, .name = "amount", .type = SF_TYPE_DECIMAL, .precision = 12, .scale = 2},
    {.number = 3, .name = "wide", .type = SF_TYPE_DECIMAL, .precision = 18, .scale = 9},
    {.number = 4, .name = "quantity", .type = SF_TYPE_INT32},
    {.number = 5, .name = "paid", .type = SF_TYPE_BOOL},
    {.number = 6, .name = "day", .type = SF_TYPE_DATE},
    {.number = 7, .name = "in", .type = SF_TYPE_INT64},
};
static const struct sf_table orders = {.name = "orders",
                                       .fields = order_fields,
                                       .field_count = SF_COUNT(order_fields),
                                       .event_time = -1};

/* What is reported about the text; "" when nothing is. */
static void assert_reported(const char *text, const char *wanted)
{
    struct sf_issues issues;
    struct sf_expr *e = NULL;
    struct sf_buf out = {0};
    struct sf_error err;
    enum sf_code code;

    sf_issues_init(&issues, "f", sf_slice_text(text));
    code = sf_expr_parse(&issues, &orders, &e, &err);
    assert_int_equal(code, *wanted == '\0' ? SF_OK : SF_INVALID);
    sf_issues_render(&issues, &out);
    assert_string_equal(out.size == 0 ? "" : sf_buf_cstr(&out), wanted);
    sf_buf_done(&out);
    sf_issues_done(&issues);
    sf_expr_free(e);
}

static void test_names_that_are_not_there_are_told_with_those_that_are(void **state)
{
    (void)state;
    assert_reported("paid AND contry = 'NO'",
                    "f:1:10: error[SHEAF-E0107]: table 'orders' has no field 'contry'\n"
                    "paid AND contry = 'NO'\n"
                    "         ^~~~~~\n"
                    "  allowed: country amount wide quantity paid day in"
                    "      did you mean 'country'?\n");
    assert_reported("lowr(country) = 'no'",
                    "f:1:1: error[SHEAF-E0107]: no function is called 'lowr'\n"
                    "lowr(country) = 'no'\n"
                    "^~~~\n"
                    "  allowed: lower upper length substr coalesce year month day hour len"
                    "      did you mean 'lower'?\n");
    assert_reported("caller.rol = 'x'",
                    "f:1:8: error[SHEAF-E0107]: a caller has no 'rol'\n"
                    "caller.rol = 'x'\n"
                    "       ^~~\n"
                    "  allowed: domain role purpose      did you mean 'role'?\n");
}

static void test_types_that_do_not_fit_are_all_told_at_once(void **state)
{
    (void)state;
    assert_reported("country = 5 OR\n  amount + day > 1",
                    "f:1:1: error[SHEAF-E0113]: string and integer do not compare\n"
                    "country = 5 OR\n"
                    "^~~~~~~~~~~\n"
                    "f:2:12: error[SHEAF-E0113]: + takes numbers, found date\n"
                    "  amount + day > 1\n"
                    "           ^~~\n");
    assert_reported("amount", "f:1:1: error[SHEAF-E0113]: a filter takes true or false, found "
                              "decimal(12,2)\n"
                              "amount\n"
                              "^~~~~~\n");
    assert_reported("NOT quantity", "f:1:5: error[SHEAF-E0113]: NOT takes true or false, found "
                                    "integer\n"
                                    "NOT quantity\n"
                                    "    ^~~~~~~~\n");
    assert_reported("hour(day) = 1", "f:1:6: error[SHEAF-E0113]: hour takes a timestamp, found "
                                     "date\n"
                                     "hour(day) = 1\n"
                                     "     ^~~\n");
    assert_reported("substr(country) = 'N'",
                    "f:1:1: error[SHEAF-E0113]: substr takes 2 or 3 arguments, found 1\n"
                    "substr(country) = 'N'\n"
                    "^~~~~~~~~~~~~~~\n");
    assert_reported("quantity LIKE 'x'", "f:1:1: error[SHEAF-E0113]: LIKE takes a string, found "
                                         "integer\n"
                                         "quantity LIKE 'x'\n"
                                         "^~~~~~~~\n");
    assert_reported("amount % 2 = 0", "f:1:1: error[SHEAF-E0113]: % takes integers, found "
                                      "decimal(12,2)\n"
                                      "amount % 2 = 0\n"
                                      "^~~~~~\n");
    assert_reported("wide * \"in\" * \"in\" > 1",
                    "f:1:1: error[SHEAF-E0113]: the result may have more than 38 digits\n"
                    "wide * \"in\" * \"in\" > 1\n"
                    "^~~~~~~~~~~~~~~~~~\n");
}

static void test_texts_that_are_no_value_are_told(void **state)
{
    (void)state;
    assert_reported("day >= '2026-02-30'", "f:1:8: error[SHEAF-E0113]: this is no date\n"
                                           "day >= '2026-02-30'\n"
                                           "       ^~~~~~~~~~~~\n");
    assert_reported("amount IN (1, '1.505')", "f:1:15: error[SHEAF-E0113]: this is no "
                                              "decimal(21,2)\n"
                                              "amount IN (1, '1.505')\n"
                                              "              ^~~~~~~\n");
}

static void test_syntax_is_told_at_its_place(void **state)
{
    (void)state;
    assert_reported("", "f:1:1: error[SHEAF-E0112]: expected a value, found the end\n");
    assert_reported("paid AND", "f:1:9: error[SHEAF-E0112]: expected a value, found the end\n"
                                "paid AND\n"
                                "        ^\n");
    assert_reported("country = 'NO", "f:1:11: error[SHEAF-E0112]: the quote is not closed\n"
                                     "country = 'NO\n"
                                     "          ^~~\n");
    assert_reported("(paid", "f:1:6: error[SHEAF-E0112]: expected ')', found the end\n"
                             "(paid\n"
                             "     ^\n");
    assert_reported("paid paid", "f:1:6: error[SHEAF-E0112]: expected an operator or the end, "
                                 "found 'paid'\n"
                                 "paid paid\n"
                                 "     ^~~~\n");
    assert_reported("1 < quantity < 3",
                    "f:1:14: error[SHEAF-E0112]: comparisons do not chain: put parentheses around "
                    "one\n"
                    "1 < quantity < 3\n"
                    "             ^\n");
    assert_reported("paid = NOT paid", "f:1:8: error[SHEAF-E0112]: put parentheses around this "
                                       "NOT\n"
                                       "paid = NOT paid\n"
                                       "       ^~~\n");
    assert_reported("paid -- x", "f:1:6: error[SHEAF-E0112]: comments are not allowed here\n"
                                 "paid -- x\n"
                                 "     ^~\n");
    assert_reported("\xC3\xA9 = 1", "f:1:1: error[SHEAF-E0112]: unexpected character\n"
                                    "\xC3\xA9 = 1\n"
                                    "^\n");
    assert_reported("country LIKE country", "f:1:14: error[SHEAF-E0112]: expected a pattern in "
                                            "quotes, found 'country'\n"
                                            "country LIKE country\n"
                                            "             ^~~~~~~\n");
    assert_reported("country LIKE 'a!' ESCAPE '!'",
                    "f:1:14: error[SHEAF-E0113]: the pattern ends with its escape character\n"
                    "country LIKE 'a!' ESCAPE '!'\n"
                    "             ^~~~\n");
    assert_reported("country LIKE 'a' ESCAPE 'ab'",
                    "f:1:25: error[SHEAF-E0112]: ESCAPE takes one ASCII character\n"
                    "country LIKE 'a' ESCAPE 'ab'\n"
                    "                        ^~~~\n");
    assert_reported("quantity = 12x", "f:1:12: error[SHEAF-E0112]: this is no number\n"
                                      "quantity = 12x\n"
                                      "           ^~~\n");
    assert_reported("paid\xFF", "f: error[SHEAF-E0112]: the expression is not UTF-8 text\n");
}

static void test_numbers_that_do_not_fit_are_told(void **state)
{
    (void)state;
    assert_reported("quantity = -9223372036854775808", "");
    assert_reported("quantity = 9223372036854775808", "");
    assert_reported("amount = -0.1234567890123456789", "");
    assert_reported("quantity = 99999999999999999999999999999999999999", "");
    assert_reported("quantity = 100000000000000000000000000000000000000",
                    "f:1:12: error[SHEAF-E0112]: a number has at most 38 digits\n"
                    "quantity = 100000000000000000000000000000000000000\n"
                    "           ^~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~\n");
    assert_reported("amount = 0.123456789012345678901234567890123456789",
                    "f:1:10: error[SHEAF-E0112]: a number has at most 38 digits\n"
                    "amount = 0.123456789012345678901234567890123456789\n"
                    "         ^~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~\n");
    assert_reported("amount = 1e999", "f:1:10: error[SHEAF-E0112]: the number is too large\n"
                                      "amount = 1e999\n"
                                      "         ^~~~~\n");
}

static bool parses(struct sf_slice text, struct sf_error *err)
{
    SF_CLEANUP(sf_expr_freep) struct sf_expr *e = NULL;
    struct sf_issues issues;
    bool ok;

    sf_issues_init(&issues, "f", text);
    ok = sf_expr_parse(&issues, &orders, &e, err) == SF_OK;
    sf_issues_done(&issues);
    return ok;
}

/* @count times @part between @before and @after. */
static bool parses_repeated(const char *before, const char *part, size_t count, const char *after,
                            struct sf_error *err)
{
    struct sf_buf text = {0};
    bool ok;

    sf_buf_text(&text, before);
    for (size_t i = 0; i < count; i++) {
        sf_buf_text(&text, part);
    }
    sf_buf_text(&text, after);
    ok = parses(sf_buf_view(&text), err);
    sf_buf_done(&text);
    return ok;
}

static void test_size_parts_and_depth_are_limited(void **state)
{
    struct sf_error err;

    (void)state;
    assert_true(parses_repeated("paid", " ", SF_EXPR_TEXT_MAX - 4, "", &err));
    assert_false(parses_repeated("paid", " ", SF_EXPR_TEXT_MAX - 3, "", &err));
    assert_string_equal(err.text, "f:1:1: the expression is longer than 4096 bytes");
    assert_true(parses_repeated("paid", " OR paid", 127, "", &err));
    assert_true(parses_repeated("NOT paid", " OR paid", 127, "", &err));
    assert_false(parses_repeated("NOT paid", " OR paid", 128, "", &err));
    assert_string_equal(err.text, "f:1:1: the expression has more than 256 parts");
    assert_true(parses_repeated("", "NOT ", SF_EXPR_DEPTH_MAX - 1, "paid", &err));
    assert_false(parses_repeated("", "NOT ", SF_EXPR_DEPTH_MAX, "paid", &err));
    assert_string_equal(err.text, "f:1:129: the expression is nested deeper than 32");
}

static void test_what_stays_on_the_stack_is_bounded_by_the_depth(void **state)
{
    struct sf_buf text = {0};
    struct sf_error err;

    (void)state;
    for (unsigned i = 0; i + 1 < SF_EXPR_DEPTH_MAX; i++) {
        sf_buf_text(&text, "paid OR paid AND FALSE = (");
    }
    sf_buf_text(&text, "paid");
    for (unsigned i = 0; i + 1 < SF_EXPR_DEPTH_MAX; i++) {
        sf_buf_byte(&text, ')');
    }
    assert_true(parses(sf_buf_view(&text), &err));
    sf_buf_done(&text);
}

static void assert_checked(const char *text, const char *wanted)
{
    struct sf_issues issues;
    struct sf_error err = {0};
    enum sf_code code;

    sf_issues_init(&issues, "f", sf_slice_text(text));
    code = sf_expr_check(&issues, &err);
    assert_int_equal(code, *wanted == '\0' ? SF_OK : SF_INVALID);
    assert_string_equal(err.text, wanted);
    sf_issues_done(&issues);
}

static void test_without_a_table_all_but_fields_is_checked(void **state)
{
    (void)state;
    assert_checked("a.b[1].\"c d\" > 3 AND len(l) = 2 AND lower(x) LIKE 'a%' AND paid", "");
    assert_checked("caller.domain = d AND x IN (1, 2)", "");
    assert_checked("a = ", "f:1:5: expected a value, found the end");
    assert_checked("a[b] = 1", "f:1:3: expected a number, found 'b'");
    assert_checked("a. = 1", "f:1:4: expected the name of a field, found '='");
    assert_checked("1 = 'x'", "f:1:1: integer and string do not compare");
    assert_checked("lower(1) = 'a'", "f:1:7: lower takes a string, found integer");
    assert_checked("lower(a)", "f:1:1: a filter takes true or false, found string");
}

static void test_what_of_the_caller_is_read_is_told(void **state)
{
    static const struct {
        const char *text;
        unsigned callers;
    } cases[] = {
        {"paid", 0},
        {"country = caller.domain", SF_EXPR_CALLER_DOMAIN},
        {"caller.role = 'a' OR caller.purpose = 'b'", SF_EXPR_CALLER_ROLE | SF_EXPR_CALLER_PURPOSE},
    };

    (void)state;
    for (size_t i = 0; i < SF_COUNT(cases); i++) {
        struct sf_issues issues;
        struct sf_expr *e = NULL;
        struct sf_error err;

        sf_issues_init(&issues, "f", sf_slice_text(cases[i].text));
        assert_int_equal(sf_expr_parse(&issues, &orders, &e, &err), SF_OK);
        assert_int_equal(sf_expr_callers(e), cases[i].callers);
        sf_expr_free(e);
        sf_issues_done(&issues);
    }
}

static void test_memory_may_end_at_any_moment(void **state)
{
    long faults = 1;

    (void)state;
    for (long n = 0; faults > 0; n++) {
        SF_CLEANUP(sf_expr_freep) struct sf_expr *e = NULL;
        struct sf_issues issues;
        struct sf_error err;
        enum sf_code code;

        sf_alloc_fail_after(n, 0);
        sf_issues_init(&issues, "f",
                       SF_LITERAL("country IN ('NO') AND day > '2026-01-01' OR country LIKE 'a%'"));
        code = sf_expr_parse(&issues, &orders, &e, &err);
        faults = sf_alloc_faults();
        sf_alloc_fail_after(-1, 0);
        assert_int_equal(code, faults > 0 ? SF_NOMEM : SF_OK);
        sf_issues_done(&issues);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_that_are_not_there_are_told_with_those_that_are),
        cmocka_unit_test(test_types_that_do_not_fit_are_all_told_at_once),
        cmocka_unit_test(test_texts_that_are_no_value_are_told),
        cmocka_unit_test(test_syntax_is_told_at_its_place),
        cmocka_unit_test(test_numbers_that_do_not_fit_are_told),
        cmocka_unit_test(test_size_parts_and_depth_are_limited),
        cmocka_unit_test(test_what_stays_on_the_stack_is_bounded_by_the_depth),
        cmocka_unit_test(test_without_a_table_all_but_fields_is_checked),
        cmocka_unit_test(test_what_of_the_caller_is_read_is_told),
        cmocka_unit_test(test_memory_may_end_at_any_moment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
