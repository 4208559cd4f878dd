#include "tests/lib/cmocka.h"

#include <string.h>

#include "common/contract/check.h"
#include "common/contract/product_file.h"
#include "proto/errors.h"

#define PRODUCT(checks)                                                                            \
    "sheaf: product/v1\nproduct: d/p\nversion: 1.0.0\ntables:\n"                                   \
    "  t:\n    key: [id]\n    checks: [" checks "]\n    fields:\n"                                 \
    "      id: {number: 1, type: string, required: true}\n"                                        \
    "      amount: {number: 2, type: \"decimal(9,2)\"}\n"                                          \
    "      big: {number: 3, type: \"decimal(38,2)\"}\n"                                            \
    "      raw: {number: 4, type: json}\n"

static struct sf_product *read(const char *text)
{
    struct sf_issues issues;
    struct sf_product *p = NULL;
    struct sf_error err;

    sf_issues_init(&issues, "p.yaml", sf_slice_text(text));
    if (sf_product_parse(&issues, &p, &err) != SF_OK) {
        fail_msg("%s", err.text);
    }
    sf_issues_done(&issues);
    return p;
}

static void test_checks_are_read_with_their_fields(void **state)
{
    struct sf_product *p = read(PRODUCT("rows >= 1, nulls(amount) <= 2.5%, \"duplicates( id "
                                        ",amount)=0\", invalid < 1 %, max(big) != -1e3"));
    const struct sf_table *t = &p->tables[0];
    const struct sf_check *c = t->checks;

    (void)state;
    assert_int_equal(t->check_count, 5);
    assert_true(c[0].metric == SF_CHECK_ROWS && c[0].op == SF_CHECK_GE && !c[0].percent);
    assert_int_equal(c[0].field_count, 0);
    assert_true(c[1].metric == SF_CHECK_NULLS && c[1].op == SF_CHECK_LE && c[1].percent);
    assert_true(c[1].value > 2.49 && c[1].value < 2.51);
    assert_true(c[1].field_count == 1 && c[1].fields[0] == 1);
    assert_true(c[2].metric == SF_CHECK_DUPLICATES && c[2].op == SF_CHECK_EQ);
    assert_true(c[2].field_count == 2 && c[2].fields[0] == 0 && c[2].fields[1] == 1);
    assert_true(c[3].metric == SF_CHECK_INVALID && c[3].op == SF_CHECK_LT && c[3].percent);
    assert_true(c[4].metric == SF_CHECK_MAX && c[4].op == SF_CHECK_NE && c[4].value < -999);
    assert_string_equal(c[2].text, "duplicates( id ,amount)=0");
    sf_product_free(p);
}

static void assert_refused(const char *text, size_t at, const char *what)
{
    struct sf_product *p = read(PRODUCT(""));
    struct sf_check check;
    struct sf_check_error err = {0};

    assert_false(sf_check_parse(text, &p->tables[0], &check, &err));
    assert_string_equal(err.what, what);
    assert_int_equal(err.at, at);
    sf_product_free(p);
}

static void test_what_is_wrong_is_told_with_its_place(void **state)
{
    (void)state;
    assert_refused(
        "", 0, "a check begins with rows, invalid, nulls, duplicates, distinct, min, max or mean");
    assert_refused(
        " row > 1", 1,
        "a check begins with rows, invalid, nulls, duplicates, distinct, min, max or mean");
    assert_refused("rows(id) > 1", 4, "here stands one of = != < <= > >=");
    assert_refused("nulls > 1", 6, "here a field stands in parentheses");
    assert_refused("nulls(nope) > 1", 6, "there is no such field");
    assert_refused("nulls(raw) > 1", 6, "a list, struct or json cannot be checked");
    assert_refused("nulls(id, amount) > 1", 8, "a closing parenthesis is missing");
    assert_refused("min(id) > 1", 4, "the field is not a number");
    assert_refused("rows > many", 7, "here stands a number");
    assert_refused("rows > 1%", 8, "a percentage is of nulls, duplicates or invalid");
    assert_refused("rows > 1 or so", 9, "the check should end here");
    assert_refused("duplicates(id,id,id,id,id,id,id,id,id) = 0", 35,
                   "a check names at most 8 fields");
}

static void test_a_product_file_points_at_the_place(void **state)
{
    struct sf_issues issues;
    struct sf_product *p = NULL;
    struct sf_buf text = {0};
    struct sf_error err;

    (void)state;
    sf_issues_init(&issues, "p.yaml", sf_slice_text(PRODUCT("rows >= 1, min(id) > 2")));
    assert_int_equal(sf_product_parse(&issues, &p, &err), SF_INVALID);
    sf_issues_render(&issues, &text);
    assert_string_equal(
        sf_buf_cstr(&text),
        "p.yaml:7:29: error[SHEAF-E0103]: check 'min(id) > 2': the field is not a number\n"
        "    checks: [rows >= 1, min(id) > 2]\n"
        "                            ^~~~~~~\n");
    sf_buf_done(&text);
    sf_issues_done(&issues);
}

static void test_a_name_that_is_nearly_right_is_suggested(void **state)
{
    struct sf_issues issues;
    struct sf_product *p = NULL;
    struct sf_buf text = {0};
    struct sf_error err;

    (void)state;
    sf_issues_init(&issues, "p.yaml", sf_slice_text(PRODUCT("row >= 1, nulls(amont) = 0")));
    assert_int_equal(sf_product_parse(&issues, &p, &err), SF_INVALID);
    sf_issues_render(&issues, &text);
    assert_string_equal(
        sf_buf_cstr(&text),
        "p.yaml:7:14: error[SHEAF-E0103]: check 'row >= 1': a check begins with rows, invalid, "
        "nulls, duplicates, distinct, min, max or mean\n"
        "    checks: [row >= 1, nulls(amont) = 0]\n"
        "             ^~~~~~~~\n"
        "  allowed: rows invalid nulls duplicates distinct min max mean      did you mean "
        "'rows'?\n"
        "p.yaml:7:30: error[SHEAF-E0103]: check 'nulls(amont) = 0': there is no such field\n"
        "    checks: [row >= 1, nulls(amont) = 0]\n"
        "                             ^~~~~~~~~~\n"
        "  allowed: id amount big raw      did you mean 'amount'?\n");
    sf_buf_done(&text);
    sf_issues_done(&issues);
}

static void test_a_check_that_is_no_text_is_refused(void **state)
{
    static const struct {
        const char *product, *expected;
    } cases[] = {
        {PRODUCT("rows >= 1, {name: x, expr: 1}"),
         "p.yaml:7:25: error[SHEAF-E0103]: checks must be a single value, not a map\n"
         "    checks: [rows >= 1, {name: x, expr: 1}]\n"
         "                        ^\n"},
        {PRODUCT("\"\", rows >= 1"),
         "p.yaml:7:14: error[SHEAF-E0103]: checks must have 1 to 4096 bytes\n"
         "    checks: [\"\", rows >= 1]\n"
         "             ^~~\n"},
    };

    (void)state;
    for (size_t i = 0; i < SF_COUNT(cases); i++) {
        struct sf_issues issues;
        struct sf_product *p = NULL;
        struct sf_buf text = {0};
        struct sf_error err;

        sf_issues_init(&issues, "p.yaml", sf_slice_text(cases[i].product));
        assert_int_equal(sf_product_parse(&issues, &p, &err), SF_INVALID);
        sf_issues_render(&issues, &text);
        assert_string_equal(sf_buf_cstr(&text), cases[i].expected);
        sf_buf_done(&text);
        sf_issues_done(&issues);
    }
}

static void test_a_check_holds_or_not(void **state)
{
    static const struct {
        enum sf_check_op op;
        bool below, equal, above;
    } cases[] = {
        {SF_CHECK_EQ, false, true, false}, {SF_CHECK_NE, true, false, true},
        {SF_CHECK_LT, true, false, false}, {SF_CHECK_LE, true, true, false},
        {SF_CHECK_GT, false, false, true}, {SF_CHECK_GE, false, true, true},
    };

    (void)state;
    for (size_t i = 0; i < SF_COUNT(cases); i++) {
        const struct sf_check c = {.op = cases[i].op, .value = 5};

        assert_int_equal(sf_check_holds(&c, 4.5), cases[i].below);
        assert_int_equal(sf_check_holds(&c, 5), cases[i].equal);
        assert_int_equal(sf_check_holds(&c, 5.5), cases[i].above);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checks_are_read_with_their_fields),
        cmocka_unit_test(test_what_is_wrong_is_told_with_its_place),
        cmocka_unit_test(test_a_product_file_points_at_the_place),
        cmocka_unit_test(test_a_name_that_is_nearly_right_is_suggested),
        cmocka_unit_test(test_a_check_that_is_no_text_is_refused),
        cmocka_unit_test(test_a_check_holds_or_not),
    };

    return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}
