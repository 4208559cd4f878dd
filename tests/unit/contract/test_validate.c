#include "tests/lib/cmocka.h"

#include "common/base/alloc.h"
#include "common/contract/pattern.h"
#include "common/contract/validate.h"
#include "proto/errors.h"

static struct sf_value text_value(const char *text)
{
    return (struct sf_value){.present = true, .s = sf_slice_text(text)};
}

static struct sf_value int_value(int64_t i)
{
    return (struct sf_value){.present = true, .i = i};
}

static void test_absent_breaks_only_required(void **state)
{
    struct sf_value absent = {0};
    struct sf_field f = {.type = SF_TYPE_INT32, .min = int_value(1)};

    (void)state;
    assert_int_equal(sf_field_check(&f, &absent), SF_RULE_NONE);
    f.required = true;
    assert_int_equal(sf_field_check(&f, &absent), SF_RULE_REQUIRED);
    assert_int_equal(sf_rule_number(SF_RULE_REQUIRED), SHEAF_E_FIELD_MISSING);
    assert_int_equal(sf_rule_number(SF_RULE_PATTERN), SHEAF_E_OUT_OF_RANGE);
    assert_int_equal(sf_rule_number(SF_RULE_NONE), 0);
    assert_string_equal(sf_rule_name(SF_RULE_FORMAT), "format");
    assert_string_equal(sf_rule_name(SF_RULE_MIN_LENGTH), "min_length");
}

static void test_bounds_are_inclusive(void **state)
{
    struct sf_field f = {.type = SF_TYPE_DECIMAL, .min = int_value(-5), .max = int_value(10)};
    struct sf_value v;

    (void)state;
    v = int_value(-5);
    assert_int_equal(sf_field_check(&f, &v), SF_RULE_NONE);
    v = int_value(-6);
    assert_int_equal(sf_field_check(&f, &v), SF_RULE_MIN);
    v = int_value(10);
    assert_int_equal(sf_field_check(&f, &v), SF_RULE_NONE);
    v = int_value(11);
    assert_int_equal(sf_field_check(&f, &v), SF_RULE_MAX);
}

static void test_enum_holds_for_text_and_numbers(void **state)
{
    struct sf_value texts[] = {text_value("NO"), text_value("SE")};
    struct sf_value numbers[] = {int_value(1), int_value(4)};
    struct sf_field f = {.type = SF_TYPE_STRING, .enum_values = texts, .enum_count = 2};
    struct sf_value v = text_value("SE");

    (void)state;
    assert_int_equal(sf_field_check(&f, &v), SF_RULE_NONE);
    v = text_value("DK");
    assert_int_equal(sf_field_check(&f, &v), SF_RULE_ENUM);
    f = (struct sf_field){.type = SF_TYPE_INT64, .enum_values = numbers, .enum_count = 2};
    v = int_value(4);
    assert_int_equal(sf_field_check(&f, &v), SF_RULE_NONE);
    v = int_value(2);
    assert_int_equal(sf_field_check(&f, &v), SF_RULE_ENUM);
}

static void test_length_counts_characters_of_strings_and_bytes_of_bytes(void **state)
{
    struct sf_field f = {.type = SF_TYPE_STRING, .min_length = 2, .max_length = 3};
    struct sf_value v = text_value("\xc3\xa9\xc3\xa9\xc3\xa9");

    (void)state;
    assert_int_equal(sf_field_check(&f, &v), SF_RULE_NONE);
    f.type = SF_TYPE_BYTES;
    assert_int_equal(sf_field_check(&f, &v), SF_RULE_MAX_LENGTH);
    v = text_value("e");
    assert_int_equal(sf_field_check(&f, &v), SF_RULE_MIN_LENGTH);
}

static void test_patterns_speak_of_the_whole_text(void **state)
{
    struct sf_field f = {.type = SF_TYPE_STRING};
    struct sf_pattern *p = NULL;
    struct sf_error err;
    struct sf_value v = text_value("O-1001");

    (void)state;
    assert_int_equal(sf_pattern_new(SF_LITERAL("O-[0-9]+|\xc3\xa9."), &p, &err), SF_OK);
    f.pattern = p;
    assert_int_equal(sf_field_check(&f, &v), SF_RULE_NONE);
    v = text_value("xO-1001");
    assert_int_equal(sf_field_check(&f, &v), SF_RULE_PATTERN);
    v = text_value("O-1001\n");
    assert_int_equal(sf_field_check(&f, &v), SF_RULE_PATTERN);
    v = text_value("\xc3\xa9\xe2\x82\xac");
    assert_int_equal(sf_field_check(&f, &v), SF_RULE_NONE);
    v = text_value("");
    assert_int_equal(sf_field_check(&f, &v), SF_RULE_PATTERN);
    sf_pattern_free(p);
}

static void test_a_wrong_pattern_is_told_with_its_place(void **state)
{
    struct sf_pattern *p = NULL;
    struct sf_error err;
    char longest[SF_PATTERN_BYTES_MAX + 1];

    (void)state;
    assert_int_equal(sf_pattern_new(SF_LITERAL("a(b"), &p, &err), SF_INVALID);
    assert_string_equal(err.text, "pattern is not a regular expression at byte 4: "
                                  "missing closing parenthesis");
    assert_int_equal(sf_pattern_new(SF_LITERAL("a\\Cb"), &p, &err), SF_INVALID);
    memset(longest, 'a', sizeof(longest));
    assert_int_equal(sf_pattern_new(sf_slice_of(longest, sizeof(longest)), &p, &err), SF_INVALID);
    assert_string_equal(err.text, "pattern is longer than 1000 bytes");
    assert_null(p);
}

static void test_a_greedy_pattern_gives_up(void **state)
{
    struct sf_pattern *p = NULL;
    struct sf_error err;
    char text[60];

    (void)state;
    memset(text, 'a', sizeof(text));
    assert_int_equal(sf_pattern_new(SF_LITERAL("(a+)+[bc]"), &p, &err), SF_OK);
    assert_false(sf_pattern_matches(p, sf_slice_of(text, sizeof(text)))); /* 2^59 ways */
    sf_pattern_free(p);
}

static void test_patterns_survive_failed_allocations(void **state)
{
    (void)state;
    for (long after = 0;; after++) {
        struct sf_pattern *p = NULL;
        struct sf_error err;
        bool matches = false;
        bool hit;

        sf_alloc_fail_after(after, 0);
        if (sf_pattern_new(SF_LITERAL("a+"), &p, &err) == SF_OK) {
            matches = sf_pattern_matches(p, SF_LITERAL("aaa"));
        }
        hit = sf_alloc_faults() > 0;
        sf_alloc_fail_after(-1, 0);
        assert_int_equal(matches, !hit);
        if (p == NULL) {
            assert_int_equal(err.code, SF_NOMEM);
        }
        sf_pattern_free(p);
        if (!hit) {
            break;
        }
    }
}

static void assert_format(enum sf_format format, const char *const *right, const char *const *wrong)
{
    for (; *right != NULL; right++) {
        if (!sf_format_matches(format, sf_slice_text(*right))) {
            fail_msg("'%s' is refused as %s", *right, sf_format_name(format));
        }
    }
    for (; *wrong != NULL; wrong++) {
        if (sf_format_matches(format, sf_slice_text(*wrong))) {
            fail_msg("'%s' is taken as %s", *wrong, sf_format_name(format));
        }
    }
}

static void test_formats_take_what_people_use(void **state)
{
    static const char *const emails[] = {"a@b.no", "anna.berg+x@corp.example", "o'neil@x-y.co.uk",
                                         "\xc3\xb8yvind@b.no", NULL};
    static const char *const no_emails[] = {"",         "a",        "@b.no",       "a@",
                                            "a@b",      "a b@c.d",  ".a@b.no",     "a.@b.no",
                                            "a..b@c.d", "a@b..no",  "a@-b.no",     "a@b-.no",
                                            "a@b.no.",  "a@b@c.no", "a@[1.2.3.4]", NULL};
    static const char *const uris[] = {"https://a.example/x?y=%20#z", "urn:isbn:1", "mailto:a@b",
                                       NULL};
    static const char *const no_uris[] = {
        "", "a", "https:", ":x", "1a:b", "https://a b", "https://\xc3\xa9", "a_b:c", NULL};
    static const char *const hosts[] = {"localhost", "a.example", "x-1.y", "127.0.0.1", NULL};
    static const char *const no_hosts[] = {"", ".", "a.", "-a", "a-.b", "a..b", "a_b", "a b", NULL};
    static const char *const ipv4[] = {"127.0.0.1", "255.255.255.255", NULL};
    static const char *const no_ipv4[] = {"",         "256.0.0.1", "1.2.3", "1.2.3.4.5",
                                          "01.2.3.4", "::1",       NULL};
    static const char *const ipv6[] = {"::1", "2001:db8::7", "::ffff:1.2.3.4", NULL};
    static const char *const no_ipv6[] = {"", "1.2.3.4", ":::", "2001:db8::7%eth0", "g::", NULL};

    (void)state;
    assert_format(SF_FORMAT_EMAIL, emails, no_emails);
    assert_format(SF_FORMAT_URI, uris, no_uris);
    assert_format(SF_FORMAT_HOSTNAME, hosts, no_hosts);
    assert_format(SF_FORMAT_IPV4, ipv4, no_ipv4);
    assert_format(SF_FORMAT_IPV6, ipv6, no_ipv6);
}

static void test_format_is_a_rule(void **state)
{
    struct sf_field f = {.type = SF_TYPE_STRING, .format = SF_FORMAT_EMAIL};
    struct sf_value v = text_value("not an address");

    (void)state;
    assert_int_equal(sf_field_check(&f, &v), SF_RULE_FORMAT);
    v = text_value("a@b.no");
    assert_int_equal(sf_field_check(&f, &v), SF_RULE_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_absent_breaks_only_required),
        cmocka_unit_test(test_bounds_are_inclusive),
        cmocka_unit_test(test_enum_holds_for_text_and_numbers),
        cmocka_unit_test(test_length_counts_characters_of_strings_and_bytes_of_bytes),
        cmocka_unit_test(test_patterns_speak_of_the_whole_text),
        cmocka_unit_test(test_a_wrong_pattern_is_told_with_its_place),
        cmocka_unit_test(test_a_greedy_pattern_gives_up),
        cmocka_unit_test(test_patterns_survive_failed_allocations),
        cmocka_unit_test(test_formats_take_what_people_use),
        cmocka_unit_test(test_format_is_a_rule),
    };

    return cmocka_run_group_tests_name("validate", tests, NULL, NULL);
}
