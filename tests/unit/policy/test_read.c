#include "tests/lib/cmocka.h"

#include "common/base/alloc.h"
#include "tests/lib/policies.h"

static void assert_issues(const char *yaml, const char *wanted)
{
    struct sf_buf out = {0};

    policies_issues(yaml, &out);
    assert_string_equal((const char *)out.data, wanted);
    sf_buf_done(&out);
}

#define HEAD "sheaf: policy/v1\nname: a\n"

static void test_everything_of_the_format_can_be_written(void **state)
{
    (void)state;
    assert_issues("sheaf: policy/v1\n"
                  "name: pii-default\n"
                  "description: Mail addresses are personal data.\n"
                  "match: {class: [pii, secret], tag: x, domain: sales, product: [sales/orders,\n"
                  "        customers], field: email, type: [decimal, string], status: active}\n"
                  "except: {consumer_domain: owner}\n"
                  "mask: {with: keep_last(4)}\n"
                  "expires: 2027-01-01T00:00:00Z\n"
                  "x-ticket: GOV-12\n"
                  "tests:\n"
                  "  - {who: marketing, what: sales/orders.email, expect: keep_last(4)}\n"
                  "  - {who: finance/dpo, purpose: fraud, what: sales/orders.orders.email, expect: "
                  "null}\n"
                  "--- # the next one\n"
                  "sheaf: policy/v1\n"
                  "name: eu-rows\n"
                  "match: {tag: [eu-only]}\n"
                  "except: [{consumer_domain: [a, b]}, {roles: dpo, purposes: [fraud, \"churn "
                  "model\"]}]\n"
                  "filter: country IN ('NO','SE','DK') AND lines[1].sku.x LIKE 'a%'\n"
                  "---\n"
                  "sheaf: policy/v1\n"
                  "name: none\n"
                  "match: all\n"
                  "deny: true\n"
                  "---\n"
                  "sheaf: policy/v1\n"
                  "name: owners-named\n"
                  "match: {status: [active, deprecated]}\n"
                  "breach: warn\n"
                  "require:\n"
                  "  owner: present\n"
                  "  support: present\n"
                  "  tags: present\n"
                  "  description: min_length(20)\n"
                  "  field_descriptions: present\n"
                  "  fields_have_class: true\n"
                  "  pii_fields_have_class: true\n"
                  "  product_name: \"[a-z-]+\"\n"
                  "  field_name: \"[a-z_]+\"\n"
                  "  types: [string, decimal, list]\n"
                  "  retention: {min: 30d, max: 400d}\n",
                  "");
    assert_issues("", "");
    assert_issues("---\n---\n# nothing\n", "");
}

static void test_keys_that_are_not_there_are_told_with_those_that_are(void **state)
{
    (void)state;
    assert_issues(HEAD "macth: {class: pii}\nmatch: {clas: pii}\n"
                       "except: {domain: finance}\nmask: hash\n",
                  "f.yaml:3:1: error[SHEAF-E0102]: unknown key 'macth'\n"
                  "macth: {class: pii}\n"
                  "^~~~~\n"
                  "  allowed: sheaf name description match except mask filter deny require breach "
                  "expires tests      did you mean 'match'?\n"
                  "f.yaml:4:9: error[SHEAF-E0102]: unknown key 'clas'\n"
                  "match: {clas: pii}\n"
                  "        ^~~~\n"
                  "  allowed: class tag domain product field type status      did you mean "
                  "'class'?\n"
                  "f.yaml:5:10: error[SHEAF-E0102]: unknown key 'domain'\n"
                  "except: {domain: finance}\n"
                  "         ^~~~~~\n"
                  "  allowed: consumer_domain roles purposes\n");
    assert_issues(HEAD "match: all\nrequire: {ownr: present}\n",
                  "f.yaml:4:11: error[SHEAF-E0102]: unknown key 'ownr'\n"
                  "require: {ownr: present}\n"
                  "          ^~~~\n"
                  "  allowed: owner support tags description field_descriptions fields_have_class "
                  "pii_fields_have_class product_name field_name types retention      did you mean "
                  "'owner'?\n");
}

static void test_values_are_told_with_those_allowed(void **state)
{
    (void)state;
    assert_issues(
        "sheaf: policy/v2\nname: A b\n"
        "match: {class: [pi], type: text, status: live, field: a.b, product: a/b/c}\n"
        "mask: hsh\n",
        "f.yaml:1:8: error[SHEAF-E0103]: unknown format 'policy/v2'\n"
        "sheaf: policy/v2\n"
        "       ^~~~~~~~~\n"
        "  allowed: policy/v1      did you mean 'policy/v1'?\n"
        "f.yaml:2:7: error[SHEAF-E0106]: the name of a policy is [a-z][a-z0-9-]*, at most "
        "48 characters\n"
        "name: A b\n"
        "      ^~~\n"
        "f.yaml:3:17: error[SHEAF-E0103]: unknown class 'pi'\n"
        "match: {class: [pi], type: text, status: live, field: a.b, product: a/b/c}\n"
        "                ^~\n"
        "  allowed: public internal confidential pseudonymous pii secret      did you "
        "mean 'pii'?\n"
        "f.yaml:3:28: error[SHEAF-E0103]: unknown type 'text'\n"
        "match: {class: [pi], type: text, status: live, field: a.b, product: a/b/c}\n"
        "                           ^~~~\n"
        "  allowed: bool int32 int64 float double decimal string bytes date timestamp "
        "uuid json list struct\n"
        "f.yaml:3:42: error[SHEAF-E0103]: unknown status 'live'\n"
        "match: {class: [pi], type: text, status: live, field: a.b, product: a/b/c}\n"
        "                                         ^~~~\n"
        "  allowed: draft active deprecated retired\n"
        "f.yaml:3:55: error[SHEAF-E0106]: 'a.b' is no field\n"
        "match: {class: [pi], type: text, status: live, field: a.b, product: a/b/c}\n"
        "                                                      ^~~\n"
        "f.yaml:3:69: error[SHEAF-E0106]: 'a/b/c' is no product\n"
        "match: {class: [pi], type: text, status: live, field: a.b, product: a/b/c}\n"
        "                                                                    ^~~~~\n"
        "f.yaml:4:7: error[SHEAF-E0103]: no mask is called so\n"
        "mask: hsh\n"
        "      ^~~\n"
        "  allowed: bucket round truncate keep_first keep_last keep_domain hash redact "
        "constant null omit      did you mean 'hash'?\n");
}

static void test_a_filter_is_told_at_its_place(void **state)
{
    (void)state;
    assert_issues(HEAD "match: all\nfilter: [country]\n",
                  "f.yaml:4:9: error[SHEAF-E0103]: filter must be a single value, not a list\n"
                  "filter: [country]\n"
                  "        ^\n");
    assert_issues(HEAD "match: all\nfilter: country = 'NO' AND AND x\n",
                  "f.yaml:4:28: error[SHEAF-E0112]: expected a value, found 'AND'\n"
                  "filter: country = 'NO' AND AND x\n"
                  "                           ^~~\n");
    assert_issues(HEAD "match: all\nfilter: \"lowr(country) = 'no'\"\n",
                  "f.yaml:4:10: error[SHEAF-E0107]: no function is called 'lowr'\n"
                  "filter: \"lowr(country) = 'no'\"\n"
                  "         ^~~~\n"
                  "  allowed: lower upper length substr coalesce year month day hour len      did "
                  "you mean 'lower'?\n");
    assert_issues(HEAD "match: all\nfilter: >\n  1 = 'NO' AND\n  x = 2\n",
                  "f.yaml:5:1: error[SHEAF-E0113]: integer and string do not compare\n"
                  "  1 = 'NO' AND\n"
                  "^\n");
}

static void test_a_policy_says_what_it_is_about_and_does_one_thing(void **state)
{
    (void)state;
    assert_issues("sheaf: policy/v1\nmatch: {}\n",
                  "f.yaml:1:1: error[SHEAF-E0104]: the policy has no name\n"
                  "sheaf: policy/v1\n"
                  "^\n"
                  "f.yaml:1:1: error[SHEAF-E0104]: the policy does nothing: it needs mask, filter, "
                  "deny or require\n"
                  "sheaf: policy/v1\n"
                  "^\n"
                  "f.yaml:2:8: error[SHEAF-E0103]: match is empty: name a condition, or write all\n"
                  "match: {}\n"
                  "       ^\n");
    assert_issues(
        "name: a\nmask: hash\ndeny: true\n",
        "f.yaml:1:1: error[SHEAF-E0104]: the policy begins with sheaf: policy/v1\n"
        "name: a\n"
        "^\n"
        "f.yaml:1:1: error[SHEAF-E0104]: the policy has no match: name conditions, or "
        "all\n"
        "name: a\n"
        "^\n"
        "f.yaml:3:1: error[SHEAF-E0103]: the policy has mask already: one policy does one "
        "thing\n"
        "deny: true\n"
        "^~~~\n");
    assert_issues(HEAD "match: all\ndeny: false\n",
                  "f.yaml:4:7: error[SHEAF-E0103]: deny is true, or the policy is left out: "
                  "nothing else allows\n"
                  "deny: false\n"
                  "      ^~~~~\n");
    assert_issues(HEAD "match: all\nexcept: {roles: a}\nbreach: refuse\nmask: hash\n---\n" HEAD
                       "match: all\nexcept: {roles: a}\nrequire: {owner: present}\n",
                  "f.yaml:5:1: error[SHEAF-E0103]: breach is for require only\n"
                  "breach: refuse\n"
                  "^~~~~~\n"
                  "f.yaml:9:7: error[SHEAF-E0105]: policy 'a' stands twice\n"
                  "name: a\n"
                  "      ^\n"
                  "f.yaml:11:1: error[SHEAF-E0103]: require is about products, not about who asks: "
                  "it has no except\n"
                  "except: {roles: a}\n"
                  "^~~~~~\n");
}

static void test_requirements_have_values_of_their_own(void **state)
{
    (void)state;
    assert_issues(
        HEAD "match: all\nrequire:\n"
             "  owner: yes\n"
             "  description: long\n"
             "  fields_have_class: false\n"
             "  field_name: \"[a\"\n"
             "  retention: {min: 3d, max: 1d}\n"
             "  types: [varchar]\n",
        "f.yaml:5:10: error[SHEAF-E0103]: unknown owner 'yes'\n"
        "  owner: yes\n"
        "         ^~~\n"
        "  allowed: present\n"
        "f.yaml:6:16: error[SHEAF-E0103]: description is present or min_length(n), n from "
        "1 to 10000\n"
        "  description: long\n"
        "               ^~~~\n"
        "f.yaml:7:22: error[SHEAF-E0103]: fields_have_class is true, or left out\n"
        "  fields_have_class: false\n"
        "                     ^~~~~\n"
        "f.yaml:8:15: error[SHEAF-E0103]: pattern is not a regular expression at byte 3: "
        "missing terminating ] for character class\n"
        "  field_name: \"[a\"\n"
        "              ^~~~\n"
        "f.yaml:9:14: error[SHEAF-E0103]: min is more than max\n"
        "  retention: {min: 3d, max: 1d}\n"
        "             ^\n"
        "f.yaml:10:11: error[SHEAF-E0103]: unknown type 'varchar'\n"
        "  types: [varchar]\n"
        "          ^~~~~~~\n"
        "  allowed: bool int32 int64 float double decimal string bytes date timestamp "
        "uuid json list struct\n");
}

static void test_a_test_names_whom_and_what_it_is_about(void **state)
{
    (void)state;
    assert_issues(
        HEAD "match: all\ndeny: true\ntests:\n"
             "  - {who: Marketing, what: sales/orders, expect: denied}\n"
             "  - {who: marketing, what: orders.email, expect: denied}\n"
             "  - {who: marketing, what: sales/or ders.email, expect: denied}\n"
             "  - {who: marketing, what: sales/.email, expect: denied}\n",
        "f.yaml:6:11: error[SHEAF-E0103]: who is DOMAIN or DOMAIN/ROLE\n"
        "  - {who: Marketing, what: sales/orders, expect: denied}\n"
        "          ^~~~~~~~~\n"
        "f.yaml:7:28: error[SHEAF-E0103]: what is DOMAIN/PRODUCT, DOMAIN/PRODUCT.FIELD or "
        "DOMAIN/PRODUCT.TABLE.FIELD\n"
        "  - {who: marketing, what: orders.email, expect: denied}\n"
        "                           ^~~~~~~~~~~~\n"
        "f.yaml:8:28: error[SHEAF-E0103]: what is DOMAIN/PRODUCT, DOMAIN/PRODUCT.FIELD or "
        "DOMAIN/PRODUCT.TABLE.FIELD\n"
        "  - {who: marketing, what: sales/or ders.email, expect: denied}\n"
        "                           ^~~~~~~~~~~~~~~~~~~\n"
        "f.yaml:9:28: error[SHEAF-E0103]: what is DOMAIN/PRODUCT, DOMAIN/PRODUCT.FIELD or "
        "DOMAIN/PRODUCT.TABLE.FIELD\n"
        "  - {who: marketing, what: sales/.email, expect: denied}\n"
        "                           ^~~~~~~~~~~~\n");
}

static void test_a_refused_file_leaves_the_set_as_it_was(void **state)
{
    struct sf_policy_set *s = policies_set(HEAD "match: all\ndeny: true\n");
    struct sf_issues issues;
    struct sf_error err;

    (void)state;
    sf_issues_init(&issues, "g.yaml",
                   SF_LITERAL("sheaf: policy/v1\nname: b\nmatch: all\ndeny: true\n---\n" HEAD
                              "match: all\nrequire: {field_name: a}\n"));
    assert_int_equal(sf_policy_set_add(s, &issues, 1, &err), SF_INVALID);
    assert_string_equal(err.text, "g.yaml:7:7: policy 'a' stands twice");
    assert_int_equal(sf_policy_set_count(s), 1);
    sf_issues_done(&issues);
    sf_policy_set_free(s);
}

static void test_policies_of_a_product_are_its_owners(void **state)
{
    struct sf_buf yaml = {0};
    struct sf_policy_set *s = sf_policy_set_new();
    struct sf_product *p;
    struct sf_policy_view *v;
    struct sf_policy_input in = {.owner = s, .subject = {.domain = "marketing"}};
    struct sf_error err;

    (void)state;
    sf_buf_printf(&yaml,
                  "%spolicies:\n"
                  "  - name: notes\n"
                  "    match: {field: note}\n"
                  "    except: {consumer_domain: \"finance\"}\n"
                  "    mask: keep_first(2, 5)\n"
                  "  - {name: rows, filter: country = 'NO'}\n",
                  policies_customers);
    p = policies_product(sf_buf_cstr(&yaml));
    assert_int_equal(sf_policy_set_add_product(s, p, &err), SF_OK);
    in.product = p;
    in.table = p->tables;
    assert_int_equal(sf_policy_decide(&in, &v, &err), SF_OK);
    assert_int_equal(v->masks[7].kind, SF_MASK_KEEP_FIRST);
    assert_int_equal(v->masks[7].longer, 5);
    assert_int_equal(v->causes[7].origin, SF_POLICY_OWNER);
    assert_string_equal(v->causes[7].file, "sales/customers");
    assert_int_equal(v->causes[7].line, 22);
    assert_int_equal(v->filter_count, 1);
    assert_int_equal(v->filters[0].cause.line, 23);
    assert_string_equal(v->filters[0].text, "country = 'NO'");
    sf_policy_view_free(v);
    sf_policy_set_free(s);
    sf_product_free(p);
    sf_buf_done(&yaml);
}

static void assert_product_issues(const char *policies, const char *wanted)
{
    struct sf_buf yaml = {0};
    struct sf_buf out = {0};
    struct sf_issues issues;
    struct sf_product *p;
    struct sf_error err;
    enum sf_code code;

    sf_buf_printf(&yaml, "%spolicies:\n%s", policies_customers, policies);
    p = policies_product(sf_buf_cstr(&yaml));
    sf_issues_init(&issues, "p.yaml", sf_buf_view(&yaml));
    code = sf_policy_check_file(&issues, p, &err);
    assert_int_equal(code, strstr(wanted, "error[") == NULL ? SF_OK : SF_INVALID);
    sf_issues_render(&issues, &out);
    assert_string_equal(out.size == 0 ? "" : sf_buf_cstr(&out), wanted);
    sf_issues_done(&issues);
    sf_product_free(p);
    sf_buf_done(&yaml);
    sf_buf_done(&out);
}

static void test_policies_of_a_product_are_told_at_their_place(void **state)
{
    (void)state;
    assert_product_issues("  - {name: a, match: {field: note}, mask: hash}\n", "");
    assert_product_issues(
        "  - {name: a, mask: hash}\n  - {name: b, expires: 2020-01-01, filter: region = 'eu'}\n",

        "p.yaml:19:12: warning: field customers.home is omitted for other domains: hash is for "
        "single values (null and omit are for all), not for struct\n"
        "  - {name: a, mask: hash}\n"
        "           ^\n"
        "p.yaml:20:12: warning: table customers is denied to other domains, as the filter cannot "
        "be applied: table 'customers' has no field 'region'\n"
        "  - {name: b, expires: 2020-01-01, filter: region = 'eu'}\n"
        "           ^\n");
    assert_product_issues("  - {name: a, match: {domain: hr}, mask: hsh}\n"
                          "  - {name: a, require: {owner: present}}\n",
                          "p.yaml:19:22: error[SHEAF-E0103]: a policy of a product is about that "
                          "product: leave domain and product out\n"
                          "  - {name: a, match: {domain: hr}, mask: hsh}\n"
                          "                     ^\n"
                          "p.yaml:19:42: error[SHEAF-E0103]: no mask is called so\n"
                          "  - {name: a, match: {domain: hr}, mask: hsh}\n"
                          "                                         ^~~\n"
                          "  allowed: bucket round truncate keep_first keep_last keep_domain hash "
                          "redact constant null omit      did you mean 'hash'?\n"
                          "p.yaml:20:12: error[SHEAF-E0105]: policy 'a' stands twice\n"
                          "  - {name: a, require: {owner: present}}\n"
                          "           ^\n"
                          "p.yaml:20:15: error[SHEAF-E0103]: a product requires nothing of itself: "
                          "require is the platform's\n"
                          "  - {name: a, require: {owner: present}}\n"
                          "              ^~~~~~~\n");
}

static void test_memory_may_end_at_any_moment(void **state)
{
    static const char yaml[] =
        HEAD "match: {class: pii, tag: [x, y]}\nexcept: [{consumer_domain: [owner, a]}]\n"
             "mask: constant('x')\n---\nsheaf: policy/v1\nname: b\nmatch: all\n"
             "require: {field_name: \"[a-z]+\", types: string}\n---\n"
             "sheaf: policy/v1\nname: c\nmatch: {product: a/b, type: date}\nfilter: a = 1\n"
             "tests: [{who: a/b, what: a/b.c, expect: clear}]\n";
    bool done = false;

    (void)state;
    for (long i = 0; !done; i++) {
        struct sf_policy_set *s;
        struct sf_issues issues;
        struct sf_error err;
        enum sf_code code = SF_NOMEM;

        sf_alloc_fail_after(i, 0);
        s = sf_policy_set_new();
        sf_issues_init(&issues, "f.yaml", sf_slice_text(yaml));
        if (s != NULL) {
            code = sf_policy_set_add(s, &issues, 1, &err);
        }
        done = sf_alloc_faults() == 0;
        sf_alloc_fail_after(-1, 0);
        assert_int_equal(code, done ? SF_OK : SF_NOMEM);
        sf_issues_done(&issues);
        sf_policy_set_free(s);
    }
}

static void test_a_condition_names_a_thousand_values_at_most(void **state)
{
    for (unsigned count = SF_POLICY_VALUES_MAX; count <= SF_POLICY_VALUES_MAX + 1; count++) {
        struct sf_buf yaml = {0};
        struct sf_buf out = {0};

        sf_buf_text(&yaml, HEAD "mask: hash\nmatch: {tag: [t0");
        for (unsigned i = 1; i < count; i++) {
            sf_buf_printf(&yaml, ", t%u", i);
        }
        sf_buf_text(&yaml, "]}\n");
        policies_issues(sf_buf_cstr(&yaml), &out);
        if (count == SF_POLICY_VALUES_MAX) {
            assert_string_equal((const char *)out.data, "");
        } else {
            assert_non_null(strstr((const char *)out.data, "f.yaml:4:14: error[SHEAF-E0103]: "));
            assert_non_null(strstr((const char *)out.data, "1000"));
        }
        sf_buf_done(&yaml);
        sf_buf_done(&out);
    }
    (void)state;
}

static enum sf_code add_numbered(struct sf_policy_set *set, unsigned first, unsigned count,
                                 struct sf_error *err)
{
    struct sf_buf yaml = {0};
    struct sf_issues issues;
    enum sf_code code;

    for (unsigned i = first; i < first + count; i++) {
        sf_buf_printf(&yaml, "---\nsheaf: policy/v1\nname: p%u\nmatch: all\ndeny: true\n", i);
    }
    sf_issues_init(&issues, "f.yaml", sf_buf_view(&yaml));
    code = sf_policy_set_add(set, &issues, 1, err);
    sf_issues_done(&issues);
    sf_buf_done(&yaml);
    return code;
}

static void test_a_set_is_full_at_its_limit_and_keeps_what_it_had(void **state)
{
    enum { PIECE = 1000 };
    struct sf_policy_set *set = sf_policy_set_new();
    struct sf_error err = {0};

    (void)state;
    for (unsigned i = 0; i + PIECE < SF_POLICY_SET_MAX; i += PIECE) {
        assert_int_equal(add_numbered(set, i, PIECE, &err), SF_OK);
    }
    assert_int_equal(add_numbered(set, SF_POLICY_SET_MAX, PIECE + 1, &err), SF_BUSY);
    assert_string_equal(err.text, "a set holds at most 20000 policies");
    assert_int_equal(sf_policy_set_count(set), SF_POLICY_SET_MAX - PIECE);
    assert_int_equal(add_numbered(set, SF_POLICY_SET_MAX, PIECE, &err), SF_OK);
    assert_int_equal(add_numbered(set, 2 * SF_POLICY_SET_MAX, 1, &err), SF_BUSY);
    assert_int_equal(sf_policy_set_count(set), SF_POLICY_SET_MAX);
    sf_policy_set_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything_of_the_format_can_be_written),
        cmocka_unit_test(test_keys_that_are_not_there_are_told_with_those_that_are),
        cmocka_unit_test(test_values_are_told_with_those_allowed),
        cmocka_unit_test(test_a_filter_is_told_at_its_place),
        cmocka_unit_test(test_a_policy_says_what_it_is_about_and_does_one_thing),
        cmocka_unit_test(test_requirements_have_values_of_their_own),
        cmocka_unit_test(test_a_test_names_whom_and_what_it_is_about),
        cmocka_unit_test(test_a_refused_file_leaves_the_set_as_it_was),
        cmocka_unit_test(test_policies_of_a_product_are_its_owners),
        cmocka_unit_test(test_policies_of_a_product_are_told_at_their_place),
        cmocka_unit_test(test_memory_may_end_at_any_moment),
        cmocka_unit_test(test_a_condition_names_a_thousand_values_at_most),
        cmocka_unit_test(test_a_set_is_full_at_its_limit_and_keeps_what_it_had),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
