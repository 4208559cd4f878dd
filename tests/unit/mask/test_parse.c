#include "tests/lib/cmocka.h"

#include <stdlib.h>

#include "common/base/alloc.h"
#include "tests/lib/masks.h"

/* What the text prints as, or what is reported about it. */
static void assert_read(const char *text, const char *wanted)
{
    struct sf_issues issues;
    struct sf_arena arena;
    struct sf_buf out = {0};
    struct sf_mask mask;
    struct sf_error err;

    sf_arena_init(&arena, 0);
    sf_issues_init(&issues, "m", sf_slice_text(text));
    if (sf_mask_parse(&issues, &arena, &mask, &err) == SF_OK) {
        sf_mask_print(&mask, &out);
    } else {
        assert_int_equal(err.code, SF_INVALID);
        assert_int_equal(err.number, 103);
        sf_issues_render(&issues, &out);
    }
    assert_string_equal(sf_buf_cstr(&out), wanted);
    sf_buf_done(&out);
    sf_issues_done(&issues);
    sf_arena_done(&arena);
}

static void test_masks_are_read_and_printed_in_one_form(void **state)
{
    (void)state;
    assert_read("omit", "omit");
    assert_read(" redact\n", "redact");
    assert_read("null", "null");
    assert_read("hash", "hash");
    assert_read("keep_domain", "keep_domain");
    assert_read("keep_first( 3 )", "keep_first(3)");
    assert_read("keep_last(4,4)", "keep_last(4)");
    assert_read("keep_last (4,8)", "keep_last(4, 8)");
    assert_read("bucket(0.50)", "bucket(0.5)");
    assert_read("bucket(100)", "bucket(100)");
    assert_read("round(-2)", "round(-2)");
    assert_read("round(2)", "round(2)");
    assert_read("truncate(quarter)", "truncate(quarter)");
    assert_read("constant(unknown)", "constant('unknown')");
    assert_read("constant('it''s (so)')", "constant('it''s (so)')");
    assert_read("constant('')", "constant('')");
    assert_read("constant()", "constant('')");
}

static void test_names_that_are_none_are_told_with_those_that_are(void **state)
{
    (void)state;
    assert_read("keep_lst(4)",
                "m:1:1: error[SHEAF-E0103]: no mask is called so\n"
                "keep_lst(4)\n"
                "^~~~~~~~\n"
                "  allowed: bucket round truncate keep_first keep_last keep_domain hash redact "
                "constant null omit      did you mean 'keep_last'?\n");
    assert_read("truncate(weak)", "m:1:10: error[SHEAF-E0103]: no part of a date is called so\n"
                                  "truncate(weak)\n"
                                  "         ^~~~\n"
                                  "  allowed: hour day month quarter year\n");
}

static void test_what_stands_in_parentheses_is_told_at_its_place(void **state)
{
    (void)state;
    assert_read("keep_last(0)",
                "m:1:11: error[SHEAF-E0103]: here stands a whole number from 1 to 64\n"
                "keep_last(0)\n"
                "          ^\n");
    assert_read("keep_last(4, 3)",
                "m:1:14: error[SHEAF-E0103]: here stands a whole number from 4 to 65535\n"
                "keep_last(4, 3)\n"
                "             ^\n");
    assert_read("bucket(-5)",
                "m:1:8: error[SHEAF-E0103]: here stands a number above 0 of at most 38 digits\n"
                "bucket(-5)\n"
                "       ^~\n");
    assert_read("bucket(0)",
                "m:1:8: error[SHEAF-E0103]: here stands a number above 0 of at most 38 digits\n"
                "bucket(0)\n"
                "       ^\n");
    assert_read("round(1.5)",
                "m:1:7: error[SHEAF-E0103]: here stands a whole number from -38 to 38\n"
                "round(1.5)\n"
                "      ^~~\n");
    assert_read("hash(1)", "m:1:6: error[SHEAF-E0103]: this mask takes nothing in parentheses\n"
                           "hash(1)\n"
                           "     ^\n");
    assert_read("round", "m:1:1: error[SHEAF-E0103]: this mask takes something in parentheses "
                         "behind its name\n"
                         "round\n"
                         "^~~~~\n");
    assert_read("round(1", "m:1:6: error[SHEAF-E0103]: the parenthesis is not closed\n"
                           "round(1\n"
                           "     ^\n");
    assert_read("constant('a)", "m:1:10: error[SHEAF-E0103]: the quote is not closed\n"
                                "constant('a)\n"
                                "         ^~\n");
    assert_read("constant('a'b')", "m:1:10: error[SHEAF-E0103]: a quote inside is written twice\n"
                                   "constant('a'b')\n"
                                   "         ^~~~~\n");
    assert_read("constant(a, b)",
                "m:1:10: error[SHEAF-E0103]: this text stands in quotes: constant('...')\n"
                "constant(a, b)\n"
                "         ^~~~\n");
}

/* What the YAML document says, as a mask or as what is reported. */
static void assert_yaml(const char *text, const char *wanted)
{
    struct sf_issues issues;
    struct sf_arena arena;
    struct sf_buf out = {0};
    struct sf_yaml_node *node;
    struct sf_mask mask;
    struct sf_error err;

    sf_arena_init(&arena, 0);
    sf_issues_init(&issues, "p.yaml", sf_slice_text(text));
    assert_int_equal(sf_yaml_read(&arena, &issues, &node, &err), SF_OK);
    if (sf_mask_read(&issues, sf_yaml_get(node, "mask"), &arena, &mask)) {
        sf_mask_print(&mask, &out);
    } else {
        sf_issues_render(&issues, &out);
    }
    assert_string_equal(sf_buf_cstr(&out), wanted);
    sf_buf_done(&out);
    sf_issues_done(&issues);
    sf_arena_done(&arena);
}

static void test_policies_say_it_as_text_or_as_a_map(void **state)
{
    (void)state;
    assert_yaml("mask: keep_domain\n", "keep_domain");
    assert_yaml("name: x\nmask: {with: round(2)}\n", "round(2)");
    assert_yaml("mask: {with: \"keep_last(4, 8)\"}\n", "keep_last(4, 8)");
    assert_yaml("mask: {with: null}\n", "null");
    assert_yaml("name: x\nmask: {with: truncate(moth)}\n",
                "p.yaml:2:23: error[SHEAF-E0103]: no part of a date is called so\n"
                "mask: {with: truncate(moth)}\n"
                "                      ^~~~\n"
                "  allowed: hour day month quarter year      did you mean 'month'?\n");
    assert_yaml("mask: {by: hash}\n", "p.yaml:1:7: error[SHEAF-E0104]: a mask has a key 'with'\n"
                                      "mask: {by: hash}\n"
                                      "      ^\n"
                                      "p.yaml:1:8: error[SHEAF-E0102]: unknown key 'by'\n"
                                      "mask: {by: hash}\n"
                                      "       ^~\n"
                                      "  allowed: with\n");
}

static void test_no_memory_is_told_apart_from_errors_of_the_text(void **state)
{
    long faults = 1;

    (void)state;
    for (long n = 0; faults > 0; n++) {
        struct sf_issues issues;
        struct sf_arena arena;
        struct sf_mask mask;
        struct sf_error err;
        enum sf_code code;

        sf_arena_init(&arena, 0);
        sf_issues_init(&issues, "m", SF_LITERAL("constant('abc')"));
        sf_alloc_fail_after(n, 0);
        code = sf_mask_parse(&issues, &arena, &mask, &err);
        faults = sf_alloc_faults();
        sf_alloc_fail_after(-1, 0);
        assert_int_equal(code, faults > 0 ? SF_NOMEM : SF_OK);
        sf_issues_done(&issues);
        sf_arena_done(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_masks_are_read_and_printed_in_one_form),
        cmocka_unit_test(test_names_that_are_none_are_told_with_those_that_are),
        cmocka_unit_test(test_what_stands_in_parentheses_is_told_at_its_place),
        cmocka_unit_test(test_policies_say_it_as_text_or_as_a_map),
        cmocka_unit_test(test_no_memory_is_told_apart_from_errors_of_the_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
