#include "tests/lib/cmocka.h"

#include "common/base/attr.h"
#include "common/base/utf8.h"

static void test_knows_every_form_of_rfc_3629(void **state)
{
    static const struct {
        const char *text;
        size_t size;
        bool valid;
    } cases[] = {
        {"", 0, true},
        {"plain text, longer than eight", 29, true},
        {"a\0b", 3, true},
        {"\x7f", 1, true},
        {"\x80", 1, false},
        {"12345678\x80", 9, false},
        {"\xc1\xbf", 2, false}, /* overlong */
        {"\xc2\x80", 2, true},
        {"\xdf\xbf", 2, true},
        {"\xdf", 1, false},         /* cut */
        {"\xe0\x9f\xbf", 3, false}, /* overlong */
        {"\xe0\xa0\x80", 3, true},
        {"\xed\x9f\xbf", 3, true},
        {"\xed\xa0\x80", 3, false}, /* surrogate */
        {"\xee\x80\x80", 3, true},
        {"\xf0\x8f\xbf\xbf", 4, false}, /* overlong */
        {"\xf0\x90\x80\x80", 4, true},
        {"\xf4\x8f\xbf\xbf", 4, true},
        {"\xf4\x90\x80\x80", 4, false}, /* above U+10FFFF */
        {"\xf5\x80\x80\x80", 4, false},
        {"\xf0\x90\x80", 3, false},
        {"\xe2\x82\x41", 3, false},
        {"1234567\xe2\x82\xac"
         "12345678",
         18, true},
    };

    (void)state;
    for (size_t i = 0; i < SF_COUNT(cases); i++) {
        struct sf_slice s = sf_slice_of(cases[i].text, cases[i].size);

        if (sf_utf8_is_valid(s) != cases[i].valid) {
            fail_msg("case %zu", i);
        }
    }
}

static void test_counts_characters(void **state)
{
    (void)state;
    assert_int_equal(sf_utf8_count(SF_LITERAL("")), 0);
    assert_int_equal(sf_utf8_count(SF_LITERAL("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z")), 5);
    assert_int_equal(sf_utf8_char_size(SF_LITERAL("\xe2\x82\xacx")), 3);
    assert_int_equal(sf_utf8_char_size(SF_LITERAL("\xe2\x82")), 0);
    assert_int_equal(sf_utf8_char_size(SF_LITERAL("")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_knows_every_form_of_rfc_3629),
        cmocka_unit_test(test_counts_characters),
    };

    return cmocka_run_group_tests_name("utf8", tests, NULL, NULL);
}
