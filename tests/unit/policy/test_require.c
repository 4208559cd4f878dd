#include "tests/lib/cmocka.h"

#include "tests/lib/policies.h"

/* What the policies have against the product: lines "refused|warned policy:line text". */
static void assert_breaches(const char *policies, const char *wanted)
{
    struct sf_policy_set *set = policies_set(policies);
    struct sf_product *p = policies_product(policies_customers);
    struct sf_policy_breach *breaches;
    struct sf_arena arena;
    struct sf_buf out = {0};
    struct sf_error err;
    size_t count;

    sf_arena_init(&arena, 0);
    assert_int_equal(
        sf_policy_check_product(set, p, INT64_C(1790000000000000), &arena, &breaches, &count, &err),
        SF_OK);
    for (size_t i = 0; i < count; i++) {
        sf_buf_printf(&out, "%s %s:%u %s\n", breaches[i].refuses ? "refused" : "warned",
                      breaches[i].cause.policy, breaches[i].cause.line, breaches[i].text);
    }
    assert_string_equal(out.size == 0 ? "" : sf_buf_cstr(&out), wanted);
    sf_buf_done(&out);
    sf_arena_done(&arena);
    sf_policy_set_free(set);
    sf_product_free(p);
}

#define HEAD "sheaf: policy/v1\nname: a\nmatch: all\n"

static void test_what_a_product_lacks_is_all_told(void **state)
{
    (void)state;
    assert_breaches(HEAD "require: {owner: present, support: present, tags: present,\n"
                         "          description: min_length(20), product_name: \"dp-.*\",\n"
                         "          retention: {max: 30d}}\n",
                    "refused a:4 the product has no owner\n"
                    "refused a:4 the product has no support\n"
                    "refused a:4 the description has 0 characters of at least 20\n"
                    "refused a:4 the product's name does not match dp-.*\n"
                    "refused a:4 slo.retention has to be at most 30d\n");
    assert_breaches(HEAD "require: {tags: present, retention: {min: 30d}}\n", "");
}

static void test_fields_that_are_meant_are_looked_at_also_inside(void **state)
{
    (void)state;
    assert_breaches(HEAD "breach: warn\nrequire: {fields_have_class: true}\n",
                    "warned a:5 field customers.note has no class\n");
    assert_breaches("sheaf: policy/v1\nname: a\nmatch: {class: pii}\n"
                    "require: {types: [string, date, struct]}\n",
                    "refused a:4 field customers.home.level: type int32 is not allowed\n");
    assert_breaches("sheaf: policy/v1\nname: a\nmatch: {class: secret}\n"
                    "require: {field_name: \".*_secret\", field_descriptions: present}\n",
                    "refused a:4 the description of field customers.token has 0 characters of at "
                    "least 1\n"
                    "refused a:4 field customers.token: its name does not match .*_secret\n");
}

static void test_products_that_are_not_meant_owe_nothing(void **state)
{
    (void)state;
    assert_breaches("sheaf: policy/v1\nname: a\nmatch: {domain: hr}\nrequire: {owner: present}\n"
                    "---\nsheaf: policy/v1\nname: b\nmatch: {status: draft}\n"
                    "require: {owner: present}\n---\nsheaf: policy/v1\nname: c\n"
                    "match: {class: pii}\nexpires: 2026-01-01\nrequire: {owner: present}\n",
                    "");
}

static void test_a_filter_that_cannot_be_applied_is_warned_of(void **state)
{
    (void)state;
    assert_breaches(HEAD "filter: region = 'eu'\n",
                    "warned a:4 table customers is denied to other domains, as the filter cannot "
                    "be applied: table 'customers' has no field 'region'\n");
}

static void test_a_mask_that_does_not_fit_is_warned_of(void **state)
{
    (void)state;
    assert_breaches(
        HEAD "mask: keep_domain\n",
        "warned a:4 field customers.home is omitted for other domains: keep_domain is for single "
        "values (null and omit are for all), not for struct\n"
        "warned a:4 field customers.born is omitted for other domains: keep_domain is for strings, "
        "not for date\n"
        "warned a:4 field customers.amount is omitted for other domains: keep_domain is for "
        "strings, not for decimal(12,2)\n");
    assert_breaches("sheaf: policy/v1\nname: a\nmatch: {field: email}\nmask: keep_domain\n", "");
    assert_breaches(
        "sheaf: policy/v1\nname: a\nmatch: all\nexpires: 2026-01-01\nmask: keep_domain\n", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_product_lacks_is_all_told),
        cmocka_unit_test(test_fields_that_are_meant_are_looked_at_also_inside),
        cmocka_unit_test(test_products_that_are_not_meant_owe_nothing),
        cmocka_unit_test(test_a_filter_that_cannot_be_applied_is_warned_of),
        cmocka_unit_test(test_a_mask_that_does_not_fit_is_warned_of),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
