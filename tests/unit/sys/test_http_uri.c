#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/buf.h"
#include "common/sys/http_uri.h"

/* "path|part|part?name=value&..." */
static void assert_parsed(const char *target, const char *expected)
{
    struct sf_http_uri u = {0};
    struct sf_buf b = {0};

    assert_int_equal(sf_http_uri_parse(target, &u, NULL), SF_OK);
    sf_buf_text(&b, u.path);
    for (size_t i = 0; i < u.part_count; i++) {
        sf_buf_printf(&b, "|%s", u.parts[i]);
    }
    for (size_t i = 0; i < u.parameter_count; i++) {
        sf_buf_printf(&b, "%s%s=%s", i == 0 ? "?" : "&", u.parameters[i].name,
                      u.parameters[i].value);
    }
    assert_string_equal(sf_buf_cstr(&b), expected);
    sf_buf_done(&b);
    sf_http_uri_done(&u);
}

static void test_paths_are_split_before_they_are_decoded(void **state)
{
    (void)state;
    assert_parsed("/", "/");
    assert_parsed("/a", "/a|a");
    assert_parsed("/a/", "/a/|a|");
    assert_parsed("//", "//||");
    assert_parsed("/a%2Fb/%63+d", "/a/b/c+d|a/b|c+d");
    assert_parsed("/a%3Fb?c", "/a?b|a?b?c=");
    assert_parsed("/%c3%a9", "/\xc3\xa9|\xc3\xa9");
}

static void test_queries_are_decoded(void **state)
{
    (void)state;
    assert_parsed("/?", "/");
    assert_parsed("/?a=1&b=2", "/?a=1&b=2");
    assert_parsed("/x?a=1+2%2B&&b&=v&c=d=e&", "/x|x?a=1 2+&b=&=v&c=d=e");
    assert_parsed("/x?%61%3D=%26", "/x|x?a==&");
}

static void test_first_parameter_of_a_name_counts(void **state)
{
    struct sf_http_uri u = {0};

    (void)state;
    assert_int_equal(sf_http_uri_parse("/?a=1&a=2", &u, NULL), SF_OK);
    assert_string_equal(sf_http_uri_parameter(&u, "a"), "1");
    assert_null(sf_http_uri_parameter(&u, "b"));
    sf_http_uri_done(&u);
}

static void test_malformed_targets_are_refused(void **state)
{
    static const char *const bad[] = {"",     "*",      "a",     "http://h/", "/%",      "/%1",
                                      "/%zz", "/a%00b", "/?a=%", "/?%0g=1",   "/?a=%00", "/a/%%20"};
    struct sf_http_uri u = {0};
    struct sf_error err;

    (void)state;
    for (size_t i = 0; i < SF_COUNT(bad); i++) {
        assert_int_equal(sf_http_uri_parse(bad[i], &u, &err), SF_INVALID);
        assert_string_equal(err.text, "the request's path or query is malformed");
        assert_null(u.memory);
    }
}

static void test_numbers_of_parts_and_parameters_are_bounded(void **state)
{
    struct sf_http_uri u = {0};
    struct sf_error err;
    struct sf_buf b = {0};

    (void)state;
    for (int i = 0; i < SF_HTTP_PARTS_MAX; i++) {
        sf_buf_text(&b, "/p");
    }
    assert_int_equal(sf_http_uri_parse(sf_buf_cstr(&b), &u, &err), SF_OK);
    assert_int_equal(u.part_count, SF_HTTP_PARTS_MAX);
    sf_http_uri_done(&u);
    sf_buf_text(&b, "/");
    assert_int_equal(sf_http_uri_parse(sf_buf_cstr(&b), &u, &err), SF_INVALID);
    assert_string_equal(err.text, "the path has more than 16 parts");
    sf_buf_clear(&b);
    sf_buf_text(&b, "/?");
    for (int i = 0; i < SF_HTTP_PARAMETERS_MAX; i++) {
        sf_buf_text(&b, "a&");
    }
    assert_int_equal(sf_http_uri_parse(sf_buf_cstr(&b), &u, &err), SF_OK);
    assert_int_equal(u.parameter_count, SF_HTTP_PARAMETERS_MAX);
    sf_http_uri_done(&u);
    sf_buf_text(&b, "b");
    assert_int_equal(sf_http_uri_parse(sf_buf_cstr(&b), &u, &err), SF_INVALID);
    assert_string_equal(err.text, "the query has more than 32 parameters");
    sf_buf_done(&b);
}

static void test_no_memory_is_said(void **state)
{
    struct sf_http_uri u = {0};

    (void)state;
    sf_alloc_fail_after(0, 0);
    assert_int_equal(sf_http_uri_parse("/a", &u, NULL), SF_NOMEM);
    sf_alloc_fail_after(-1, 0);
    assert_null(u.memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths_are_split_before_they_are_decoded),
        cmocka_unit_test(test_queries_are_decoded),
        cmocka_unit_test(test_first_parameter_of_a_name_counts),
        cmocka_unit_test(test_malformed_targets_are_refused),
        cmocka_unit_test(test_numbers_of_parts_and_parameters_are_bounded),
        cmocka_unit_test(test_no_memory_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
