#include "tests/lib/cmocka.h"

#include "common/contract/lint.h"
#include "common/contract/product_file.h"

static void assert_lint(const char *text, const char *wanted)
{
    struct sf_issues issues;
    struct sf_product *p = NULL;
    struct sf_buf out = {0};
    struct sf_error err;

    sf_issues_init(&issues, "p.yaml", sf_slice_text(text));
    if (sf_product_parse(&issues, &p, &err) != SF_OK) {
        fail_msg("%s", err.text);
    }
    sf_product_lint(p, &issues);
    sf_issues_render(&issues, &out);
    assert_string_equal(out.size == 0 ? "" : sf_buf_cstr(&out), wanted);
    assert_int_equal(sf_issues_check(&issues, &err), SF_OK);
    sf_buf_done(&out);
    sf_issues_done(&issues);
    sf_product_free(p);
}

static void test_says_what_a_consumer_would_miss(void **state)
{
    (void)state;
    assert_lint(
        "sheaf: product/v1\nproduct: d/p\nversion: 1.0.0\ntables:\n"
        "  people:\n    key: [iban]\n    fields:\n"
        "      iban: {number: 1, type: string, required: true, class: pii}\n"
        "      home_phone: {number: 2, type: string}\n"
        "      work_phone: {number: 3, type: string, class: internal}\n"
        "  clicks:\n    fields:\n      at: {number: 1, type: timestamp}\n",
        "p.yaml: warning: nobody is named as owner\n"
        "p.yaml: warning: there is no description\n"
        "p.yaml: warning: people.home_phone has no class, but its name suggests personal "
        "data: class pii, or another one if it is not\n"
        "p.yaml: warning: people.iban is part of the key and of class pii: other domains "
        "see rows without it unless a policy masks it, and cannot ask by it\n"
        "p.yaml: warning: event table 'clicks' names no event_time: its freshness cannot be "
        "measured\n");
}

static void test_a_careful_product_has_no_warnings(void **state)
{
    (void)state;
    assert_lint("sheaf: product/v1\nproduct: d/p\nversion: 1.0.0\nowner: team\n"
                "description: All clicks.\ntables:\n"
                "  clicks:\n    event_time: at\n    fields:\n"
                "      at: {number: 1, type: timestamp}\n",
                "");
}

static void test_names_are_taken_word_by_word(void **state)
{
    static const char *const yes[] = {"email",      "work_email",         "email_address",
                                      "first_name", "customer_last_name", "ip_address",
                                      "phone"};
    static const char *const no[] = {"emails_sent_count_x",
                                     "mailbox",
                                     "name",
                                     "product_name",
                                     "smartphones",
                                     "first",
                                     "order_id",
                                     "",
                                     "_"};

    (void)state;
    for (size_t i = 0; i < SF_COUNT(yes); i++) {
        if (!sf_name_suggests_pii(sf_slice_text(yes[i]))) {
            fail_msg("'%s' suggests nothing", yes[i]);
        }
    }
    for (size_t i = 0; i < SF_COUNT(no); i++) {
        if (sf_name_suggests_pii(sf_slice_text(no[i]))) {
            fail_msg("'%s' suggests personal data", no[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_says_what_a_consumer_would_miss),
        cmocka_unit_test(test_a_careful_product_has_no_warnings),
        cmocka_unit_test(test_names_are_taken_word_by_word),
    };

    return cmocka_run_group_tests_name("lint", tests, NULL, NULL);
}
