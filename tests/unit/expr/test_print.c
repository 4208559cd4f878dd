#include "tests/lib/cmocka.h"

#include "common/expr/expr.h"
#include "tests/lib/exprs.h"

static const struct sf_field fields[] = {
    {.number = 1, .name = "a", .type = SF_TYPE_INT64},
    {.number = 2, .name = "b", .type = SF_TYPE_INT64},
    {.number = 3, .name = "x", .type = SF_TYPE_BOOL},
    {.number = 4, .name = "y", .type = SF_TYPE_BOOL},
    {.number = 5, .name = "s", .type = SF_TYPE_STRING},
    {.number = 6, .name = "between", .type = SF_TYPE_TIMESTAMP},
    {.number = 7, .name = "d", .type = SF_TYPE_DOUBLE},
};
static const struct sf_table table = {
    .name = "t", .fields = fields, .field_count = SF_COUNT(fields), .event_time = -1};

static struct sf_expr *parse(const struct sf_table *t, struct sf_slice text)
{
    struct sf_issues issues;
    struct sf_expr *e = NULL;
    struct sf_error err;

    sf_issues_init(&issues, "f", text);
    if (sf_expr_parse(&issues, t, &e, &err) != SF_OK && strstr(err.text, "38 digits") == NULL &&
        strstr(err.text, "this is no") == NULL) {
        fail_msg("%.*s: %s", SF_SLICE_ARG(text), err.text);
    }
    sf_issues_done(&issues);
    return e;
}

static void assert_prints(const char *text, const char *wanted)
{
    struct sf_expr *e = parse(&table, sf_slice_text(text));
    struct sf_buf out = {0};

    assert_non_null(e);
    sf_expr_print(e, &out);
    assert_string_equal(sf_buf_cstr(&out), wanted);
    sf_buf_done(&out);
    sf_expr_free(e);
}

static void test_operators_bind_as_in_sql(void **state)
{
    (void)state;
    assert_prints("x OR y AND NOT x", "x OR y AND NOT x");
    assert_prints("a < 009223372036854775808 AND a > -0.1234567890123456789",
                  "a < 9223372036854775808 AND a > -0.1234567890123456789");
    assert_prints("x OR (y AND (NOT (x)))", "x OR y AND NOT x");
    assert_prints("(x OR y) AND x", "(x OR y) AND x");
    assert_prints("NOT (x AND y)", "NOT (x AND y)");
    assert_prints("NOT a = b", "NOT a = b");
    assert_prints("(NOT x) = y", "(NOT x) = y");
    assert_prints("x AND (y AND x)", "x AND (y AND x)");
    assert_prints("(x AND y) AND x", "x AND y AND x");
    assert_prints("a + b * 2 = (a + b) * 2", "a + b * 2 = (a + b) * 2");
    assert_prints("a - (b - 1) > a - b - 1", "a - (b - 1) > a - b - 1");
    assert_prints("a BETWEEN 1 AND 2 AND x", "a BETWEEN 1 AND 2 AND x");
    assert_prints("(a = b) = (x IS NULL)", "(a = b) = (x IS NULL)");
    assert_prints("(a BETWEEN 1 AND 2) IS NULL", "(a BETWEEN 1 AND 2) IS NULL");
    assert_prints("a IN (b+1,2)", "a IN (b + 1, 2)");
}

static void test_signs_and_numbers_keep_what_they_are(void **state)
{
    (void)state;
    assert_prints("a = -5", "a = -5");
    assert_prints("a = -(5)", "a = -(5)");
    assert_prints("a = - -5", "a = -(-5)");
    assert_prints("a = -(-b)", "a = -(-b)");
    assert_prints("-a * b < - (a * b)", "-a * b < -(a * b)");
    assert_prints("a - -1 = 2", "a - -1 = 2");
    assert_prints("d = 1e3", "d = 1000e0");
    assert_prints("d = .50", "d = 0.50");
    assert_prints("d = 007.0", "d = 7.0");
    assert_prints("a = -9223372036854775808", "a = -9223372036854775808");
}

static void test_words_and_quotes_have_one_form(void **state)
{
    (void)state;
    assert_prints("\"a\" in (1,2) or\n Lower ( s )not like 'it''s\\_%' escape '\\'",
                  "a IN (1, 2) OR lower(s) NOT LIKE 'it''s\\_%' ESCAPE '\\'");
    assert_prints("\"between\" >= '2026-01-01' and s is Not null and a!=b",
                  "\"between\" >= '2026-01-01' AND s IS NOT NULL AND a <> b");
    assert_prints("CALLER.Domain = s or true or null", "caller.domain = s OR TRUE OR NULL");
}

static void test_random_filters_print_to_what_prints_the_same(void **state)
{
    struct rows_random r = {.state = 42};

    (void)state;
    for (unsigned i = 0; i < 2000; i++) {
        struct sf_arena arena;
        struct sf_buf text = {0};
        struct sf_buf once = {0};
        struct sf_buf twice = {0};
        const struct sf_table *t;
        struct sf_expr *e;
        struct sf_expr *again;

        sf_arena_init(&arena, 0);
        t = exprs_random_table(&r, &arena);
        exprs_random_filter(&r, t, &text);
        e = parse(t, sf_buf_view(&text));
        if (e != NULL) {
            sf_expr_print(e, &once);
            again = parse(t, sf_buf_view(&once));
            assert_non_null(again);
            sf_expr_print(again, &twice);
            assert_string_equal(sf_buf_cstr(&once), sf_buf_cstr(&twice));
            sf_expr_free(again);
        }
        sf_expr_free(e);
        sf_buf_done(&text);
        sf_buf_done(&once);
        sf_buf_done(&twice);
        sf_arena_done(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operators_bind_as_in_sql),
        cmocka_unit_test(test_signs_and_numbers_keep_what_they_are),
        cmocka_unit_test(test_words_and_quotes_have_one_form),
        cmocka_unit_test(test_random_filters_print_to_what_prints_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
