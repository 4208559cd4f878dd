/* Documents told apart, and the tests beside them. */
#include "tests/lib/cmocka.h"

#include "tests/lib/policies.h"

static void assert_split(const char *yaml, const char *wanted)
{
    struct sf_policy_document *docs;
    struct sf_issues issues;
    struct sf_arena arena;
    struct sf_buf out = {0};
    struct sf_error err = {0};
    size_t count;

    sf_arena_init(&arena, 0);
    sf_issues_init(&issues, "f.yaml", sf_slice_text(yaml));
    assert_int_equal(sf_policy_split(&issues, &arena, &docs, &count, &err), SF_OK);
    for (size_t i = 0; i < count; i++) {
        sf_buf_printf(&out, "<%s:%u>\n%.*s", docs[i].name, docs[i].line,
                      SF_SLICE_ARG(docs[i].text));
    }
    assert_string_equal(out.size == 0 ? "" : sf_buf_cstr(&out), wanted);
    sf_buf_done(&out);
    sf_issues_done(&issues);
    sf_arena_done(&arena);
}

#define BODY(name) "sheaf: policy/v1\nname: " name "\nmatch: all\ndeny: true\n"

static void test_documents_keep_their_comments_and_lines(void **state)
{
    (void)state;
    assert_split("", "");
    assert_split(BODY("a"), "<a:1>\n" BODY("a"));
    assert_split("# of all\n---\n# why\n" BODY("a") "---\n---\n" BODY("b") "# end\n",
                 "<a:3>\n# why\n" BODY("a") "<b:10>\n" BODY("b") "# end\n");
    assert_split("# first\n" BODY("a") "--- {sheaf: policy/v1, name: b, match: all, deny: true}\n"
                                       "---\n# c\n" BODY("c"),
                 "<a:1>\n# first\n" BODY(
                     "a") "<b:6>\n--- {sheaf: policy/v1, name: b, match: all, deny: true}\n"
                          "<c:8>\n# c\n" BODY("c"));
}

/* What each test got, and whether it holds. */
static void assert_cases(const char *yaml, const char *wanted)
{
    struct sf_policy_set *set = policies_set(yaml);
    struct sf_product *p = policies_product(policies_customers);
    const struct sf_policy_case *c;
    struct sf_buf out = {0};
    struct sf_error err;

    for (size_t i = 0; (c = sf_policy_case_at(set, i)) != NULL; i++) {
        struct sf_policy_input in = {
            .platform = set, .product = p, .table = p->tables, .subject = c->who};
        struct sf_policy_view *v;
        struct sf_buf got = {0};
        bool holds;

        assert_string_equal(c->product, "sales/customers");
        assert_int_equal(sf_policy_decide(&in, &v, &err), SF_OK);
        holds = sf_policy_case_holds(c, p->tables, v, &got);
        sf_buf_printf(&out, "%u %s %s\n", c->line, holds ? "holds" : "FAILS", sf_buf_cstr(&got));
        sf_policy_view_free(v);
        sf_buf_done(&got);
    }
    assert_string_equal(sf_buf_cstr(&out), wanted);
    sf_buf_done(&out);
    sf_policy_set_free(set);
    sf_product_free(p);
}

static void test_a_test_says_who_gets_what(void **state)
{
    (void)state;
    assert_cases("sheaf: policy/v1\n"
                 "name: pii\n"
                 "match: {class: pii, type: string}\n"
                 "except: {roles: dpo, purposes: fraud}\n"
                 "mask: keep_last(4)\n"
                 "tests:\n"
                 "  - {who: marketing, what: sales/customers.email, expect: keep_last( 4 )}\n"
                 "  - {who: marketing, what: sales/customers.email, expect: clear}\n"
                 "  - {who: marketing/dpo, purpose: fraud, what: sales/customers.customers.email,\n"
                 "     expect: clear}\n"
                 "  - {who: sales, what: sales/customers.token, expect: clear}\n"
                 "  - {who: marketing, what: sales/customers.nothing, expect: clear}\n"
                 "---\n"
                 "sheaf: policy/v1\n"
                 "name: rows\n"
                 "match: {tag: eu-only}\n"
                 "except: {consumer_domain: hr}\n"
                 "filter: country IN ('NO')\n"
                 "tests:\n"
                 "  - {who: marketing, what: sales/customers, expect: \"filter country IN "
                 "('NO')\"}\n"
                 "  - {who: hr, what: sales/customers, expect: all rows}\n"
                 "  - {who: hr, what: sales/customers, expect: denied}\n",
                 "7 holds keep_last(4)\n"
                 "8 FAILS keep_last(4)\n"
                 "9 holds clear\n"
                 "11 holds clear\n"
                 "12 FAILS no field of table 'customers'\n"
                 "20 holds filter country IN ('NO')\n"
                 "21 holds all rows\n"
                 "22 FAILS all rows\n");
}

static void test_every_key_is_documented_once(void **state)
{
    const struct sf_policy_key *key;
    size_t count = 0;

    (void)state;
    for (; (key = sf_policy_key_at(count)) != NULL; count++) {
        assert_true(key->text[0] != '\0' && key->value[0] != '\0');
        for (size_t i = 0; i < count; i++) {
            assert_false(strcmp(sf_policy_key_at(i)->of, key->of) == 0 &&
                         strcmp(sf_policy_key_at(i)->name, key->name) == 0);
        }
    }
    assert_int_equal(count, 37);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_documents_keep_their_comments_and_lines),
        cmocka_unit_test(test_a_test_says_who_gets_what),
        cmocka_unit_test(test_every_key_is_documented_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
