#include "tests/lib/cmocka.h"

#include "common/base/alloc.h"
#include "common/wire/issues.h"

static const char *const classes[] = {"public",       "internal", "confidential",
                                      "pseudonymous", "pii",      "secret"};

static void assert_rendered(const struct sf_issues *s, const char *wanted)
{
    struct sf_buf out = {0};

    sf_issues_render(s, &out);
    assert_string_equal(sf_buf_cstr(&out), wanted);
    sf_buf_done(&out);
}

static void test_shows_place_line_caret_and_suggestion(void **state)
{
    struct sf_slice source = SF_LITERAL("a: 1\n  b: {class: secrett}\r\nc: 2\n");
    struct sf_issues s;
    struct sf_error err;

    (void)state;
    sf_issues_init(&s, "product.yaml", source);
    sf_issues_error(&s, (struct sf_place){2, 14, 7}, 103, "unknown class '%s'", "secrett");
    sf_issues_allowed(&s, (struct sf_allowed){classes, 6, SF_LITERAL("secrett")});
    assert_rendered(&s, "product.yaml:2:14: error[SHEAF-E0103]: unknown class 'secrett'\n"
                        "  b: {class: secrett}\n"
                        "             ^~~~~~~\n"
                        "  allowed: public internal confidential pseudonymous pii secret"
                        "      did you mean 'secret'?\n");
    assert_int_equal(sf_issues_check(&s, &err), SF_INVALID);
    assert_int_equal(err.number, 103);
    assert_string_equal(err.text, "product.yaml:2:14: unknown class 'secrett'");
    sf_issues_done(&s);
}

static void test_orders_by_place_and_names_the_first_error(void **state)
{
    struct sf_issues s;
    struct sf_error err;

    (void)state;
    sf_issues_init(&s, "f", SF_LITERAL("one\ntwo\n"));
    sf_issues_error(&s, (struct sf_place){2, 1, 3}, 104, "second");
    sf_issues_warning(&s, (struct sf_place){1, 1, 1}, "careful");
    sf_issues_error(&s, (struct sf_place){1, 2, 2}, 105, "first");
    sf_issues_error(&s, (struct sf_place){0}, 0, "whole");
    assert_rendered(&s, "f: error: whole\n"
                        "f:1:1: warning: careful\none\n^\n"
                        "f:1:2: error[SHEAF-E0105]: first\none\n ^~\n"
                        "f:2:1: error[SHEAF-E0104]: second\ntwo\n^~~\n");
    assert_int_equal(sf_issues_check(&s, &err), SF_INVALID);
    assert_string_equal(err.text, "f: whole");
    assert_int_equal(s.error_count, 3);
    assert_int_equal(s.warning_count, 1);
    sf_issues_done(&s);
}

static void test_warnings_alone_are_no_error(void **state)
{
    struct sf_issues s;
    struct sf_error err;

    (void)state;
    sf_issues_init(&s, "f", SF_LITERAL(""));
    sf_issues_warning(&s, (struct sf_place){0}, "careful");
    assert_int_equal(sf_issues_check(&s, &err), SF_OK);
    sf_issues_done(&s);
}

static void test_hides_control_characters_and_broken_text(void **state)
{
    struct sf_issues s;

    (void)state;
    sf_issues_init(&s, "f", SF_LITERAL("\ta\x1b[31m\xc3\xa9\xff"));
    sf_issues_error(&s, (struct sf_place){1, 3, 1}, 0, "bad \x1b[2J\x07 \xe2\x82");
    assert_rendered(&s, "f:1:3: error: bad ?[2J? ??\n"
                        " a?[31m\xc3\xa9?\n"
                        "  ^\n");
    sf_issues_done(&s);
    sf_issues_init(&s, "f", SF_LITERAL(""));
    sf_issues_error(&s, (struct sf_place){0}, 0, "no such field");
    sf_issues_allowed(&s, (struct sf_allowed){(const char *const[]){"abc\x1b[31m", "b\t"}, 2,
                                              SF_LITERAL("abc\x1b[31")});
    assert_rendered(&s, "f: error: no such field\n"
                        "  allowed: abc?[31m b?      did you mean 'abc?[31m'?\n");
    sf_issues_done(&s);
}

static void test_long_lines_are_shown_in_part(void **state)
{
    char line[2001];
    struct sf_issues s;
    struct sf_buf out = {0};

    (void)state;
    memset(line, 'a', 2000);
    line[1000] = 'X';
    sf_issues_init(&s, "f", sf_slice_of(line, 2000));
    sf_issues_error(&s, (struct sf_place){1, 1001, 900}, 0, "long");
    sf_issues_render(&s, &out);
    assert_int_equal(out.size, 22 + (3 + 160 + 3 + 1) + (3 + 80 + 80 + 1));
    assert_int_equal(sf_buf_cstr(&out)[22 + 3 + 80], 'X');
    assert_int_equal(sf_buf_cstr(&out)[22 + 167 + 3 + 80], '^');
    sf_buf_done(&out);
    sf_issues_done(&s);
}

static void test_keeps_a_hundred_and_counts_the_rest(void **state)
{
    struct sf_issues s;
    struct sf_buf out = {0};

    (void)state;
    sf_issues_init(&s, "f", SF_LITERAL(""));
    for (uint32_t i = 0; i < 1000; i++) {
        sf_issues_error(&s, (struct sf_place){1, i + 1, 1}, 0, "e");
    }
    sf_issues_render(&s, &out);
    assert_int_equal(s.kept, 100);
    assert_int_equal(s.error_count, 1000);
    assert_non_null(strstr(sf_buf_cstr(&out), "f:1:100: error: e\nf: 900 more are not shown\n"));
    sf_buf_done(&out);
    sf_issues_done(&s);
}

static void test_lost_issues_are_no_success(void **state)
{
    (void)state;
    for (long after = 0;; after++) {
        struct sf_issues s;
        struct sf_error err;
        enum sf_code code;
        bool hit;

        sf_issues_init(&s, "f", SF_LITERAL(""));
        sf_alloc_fail_after(after, 0);
        sf_issues_warning(&s, (struct sf_place){1, 1, 1}, "w");
        sf_issues_allowed(&s, (struct sf_allowed){classes, 6, SF_LITERAL("pi")});
        hit = sf_alloc_faults() > 0;
        sf_alloc_fail_after(-1, 0);
        code = sf_issues_check(&s, &err);
        assert_int_equal(code, hit ? SF_NOMEM : SF_OK);
        sf_issues_done(&s);
        if (!hit) {
            break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shows_place_line_caret_and_suggestion),
        cmocka_unit_test(test_orders_by_place_and_names_the_first_error),
        cmocka_unit_test(test_warnings_alone_are_no_error),
        cmocka_unit_test(test_hides_control_characters_and_broken_text),
        cmocka_unit_test(test_long_lines_are_shown_in_part),
        cmocka_unit_test(test_keeps_a_hundred_and_counts_the_rest),
        cmocka_unit_test(test_lost_issues_are_no_success),
    };

    return cmocka_run_group_tests_name("issues", tests, NULL, NULL);
}
