#include "tests/lib/cmocka.h"

#include <string.h>

#include "hub/api/product_ref.h"
#include "hub/governance/review.h"
#include "proto/errors.h"
#include "tests/unit/hub/hub_world.h"

struct run {
    struct review review;
    struct review standing; /* owns the product compared with */
};

static void judge(struct run *r, const char *yaml, const char *domain, const char *standing,
                  bool same_version)
{
    struct review_input in = {.yaml = sf_slice_text(yaml), .domain = domain};

    memset(r, 0, sizeof(*r));
    assert_int_equal(review_read(&r->review, in.yaml, NULL), SF_OK);
    if (standing != NULL) {
        assert_int_equal(review_read(&r->standing, sf_slice_text(standing), NULL), SF_OK);
        in.standing = (const struct sf_product *const *)&r->standing.product;
        in.standing_count = 1;
        in.same_version_yaml = same_version ? sf_slice_text(standing) : sf_slice_text(NULL);
    }
    assert_int_equal(review_check(&r->review, &in, NULL), SF_OK);
}

static void done(struct run *r)
{
    review_done(&r->review);
    review_done(&r->standing);
}

/* Number of the first finding that is an error; 0: none. */
static const struct review_finding *first_error_of(const struct review *r)
{
    static const struct review_finding none = {.text = ""};

    for (size_t i = 0; i < r->finding_count; i++) {
        if (r->findings[i].is_error) {
            return &r->findings[i];
        }
    }
    return &none;
}

static uint16_t first_error(const struct review *r)
{
    return first_error_of(r)->number;
}

static void test_a_new_product_is_accepted(void **state)
{
    struct run r;

    (void)state;
    judge(&r, ORDERS_1_0, "sales", NULL, false);
    assert_true(r.review.accepted && r.review.changed);
    assert_int_equal(first_error(&r.review), 0);
    done(&r);
}

static void test_a_file_that_cannot_be_read_is_told_with_its_places(void **state)
{
    struct run r;

    (void)state;
    judge(&r, ORDERS_1_0 "statsu: active\n", "sales", NULL, false);
    assert_false(r.review.accepted);
    assert_null(r.review.product);
    assert_int_equal(r.review.findings[0].number, SHEAF_E_UNKNOWN_KEY);
    assert_non_null(strstr(r.review.findings[0].text, "15:1: "));
    assert_non_null(strstr(r.review.findings[0].text, "did you mean 'status'?"));
    done(&r);
}

/* Judges ORDERS_1_0 by this policy; the texts of the findings. */
static void assert_by_policy(const char *policy, bool accepted, const char *wanted)
{
    struct review_input in = {.yaml = sf_slice_text(ORDERS_1_0), .domain = "sales"};
    SF_CLEANUP(sf_policy_set_freep) struct sf_policy_set *set = sf_policy_set_new();
    SF_CLEANUP(sf_buf_done) struct sf_buf out = {0};
    struct sf_issues issues;
    struct review r;

    sf_issues_init(&issues, "gov.yaml", sf_slice_text(policy));
    assert_int_equal(sf_policy_set_add(set, &issues, 1, NULL), SF_OK);
    sf_issues_done(&issues);
    in.policies = set;
    assert_int_equal(review_read(&r, in.yaml, NULL), SF_OK);
    assert_int_equal(review_check(&r, &in, NULL), SF_OK);
    assert_int_equal(r.accepted, accepted);
    for (size_t i = 0; i < r.finding_count; i++) {
        if (r.findings[i].number == SHEAF_E_POLICY_BREACH) {
            sf_buf_printf(&out, "%s: %s\n", r.findings[i].is_error ? "error" : "warning",
                          r.findings[i].text);
        }
    }
    assert_string_equal(out.size == 0 ? "" : sf_buf_cstr(&out), wanted);
    review_done(&r);
}

static void test_what_policies_require_is_refused_or_warned_of(void **state)
{
    (void)state;
    assert_by_policy("sheaf: policy/v1\nname: help\nmatch: all\n"
                     "require: {owner: present, support: present}\n",
                     false, "error: the product has no support (policy help, gov.yaml:4)\n");
    assert_by_policy("sheaf: policy/v1\nname: help\nmatch: all\nbreach: warn\n"
                     "require: {support: present}\n",
                     true, "warning: the product has no support (policy help, gov.yaml:5)\n");
    assert_by_policy("sheaf: policy/v1\nname: help\nmatch: {domain: hr}\n"
                     "require: {support: present}\n",
                     true, "");
}

static void test_an_owners_policy_is_read_with_the_file(void **state)
{
    struct run r;

    (void)state;
    judge(&r, ORDERS_1_0 "policies: [{name: a, mask: hsh}]\n", "sales", NULL, false);
    assert_null(r.review.product);
    assert_non_null(strstr(r.review.findings[0].text, "did you mean 'hash'?"));
    done(&r);
}

static void test_a_domain_applies_its_own_products_only(void **state)
{
    struct run r;

    (void)state;
    judge(&r, ORDERS_1_0, "marketing", NULL, false);
    assert_false(r.review.accepted);
    assert_int_equal(first_error(&r.review), SHEAF_E_NOT_OWNER);
    done(&r);
}

static void test_the_same_version_is_fine_only_with_the_same_bytes(void **state)
{
    char other[] = ORDERS_1_0;
    struct run r;

    (void)state;
    judge(&r, ORDERS_1_0, "sales", ORDERS_1_0, true);
    assert_true(r.review.accepted);
    assert_false(r.review.changed);
    done(&r);
    judge(&r, ORDERS_WITH("1.0.0", "      x: {number: 4, type: string}\n"), "sales", ORDERS_1_0,
          true);
    assert_false(r.review.accepted);
    assert_int_equal(first_error(&r.review), SHEAF_E_VERSION_NOT_HIGHER);
    done(&r);
    *strstr(other, "shop") = 'S'; /* as long as before */
    judge(&r, other, "sales", ORDERS_1_0, true);
    assert_false(r.review.accepted);
    assert_int_equal(first_error(&r.review), SHEAF_E_VERSION_NOT_HIGHER);
    done(&r);
}

static void test_a_major_version_only_grows(void **state)
{
    struct run r;

    (void)state;
    judge(&r, ORDERS_WITH("1.1.0", "      x: {number: 4, type: string}\n"), "sales", ORDERS_1_0,
          false);
    assert_true(r.review.accepted && r.review.changed);
    done(&r);
    judge(&r, ORDERS_WITH("1.1.0", "      x: {number: 4, type: string, required: true}\n"), "sales",
          ORDERS_1_0, false);
    assert_false(r.review.accepted);
    assert_int_equal(first_error(&r.review), SHEAF_E_BREAKING_CHANGE);
    done(&r);
    judge(&r, ORDERS_WITH("1.1.0", ""), "sales",
          ORDERS_WITH("1.0.0", "      x: {number: 4, type: string}\n"), false);
    assert_false(r.review.accepted);
    assert_string_equal(first_error_of(&r.review)->text, "orders.x: field removed string");
    done(&r);
    judge(&r, ORDERS_1_0, "sales", ORDERS_WITH("1.1.0", ""), false);
    assert_false(r.review.accepted);
    assert_int_equal(first_error(&r.review), SHEAF_E_VERSION_NOT_HIGHER);
    done(&r);
}

static void test_references_to_products_are_taken_apart_strictly(void **state)
{
    static const char *const wrong[] = {
        "",        "orders", "sales/", "/orders", "sales/orders@",  "a/b@0", "a/b@x",
        "a/b@1@2", "A/b",    "a/b/c",  "a/b@-1",  "a/b@4294967296", "a/b c"};
    struct product_ref ref;

    (void)state;
    assert_true(product_ref_parse("sales/orders@12", true, &ref));
    assert_string_equal(ref.domain, "sales");
    assert_string_equal(ref.product, "orders");
    assert_int_equal(ref.major, 12);
    assert_true(product_ref_parse("sales/orders", true, &ref));
    assert_int_equal(ref.major, 0);
    assert_true(product_ref_parse("orders@2", false, &ref));
    assert_string_equal(ref.domain, "");
    assert_false(product_ref_parse("sales/orders", false, &ref));
    for (size_t i = 0; i < SF_COUNT(wrong); i++) {
        assert_false(product_ref_parse(wrong[i], true, &ref));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_new_product_is_accepted),
        cmocka_unit_test(test_a_file_that_cannot_be_read_is_told_with_its_places),
        cmocka_unit_test(test_what_policies_require_is_refused_or_warned_of),
        cmocka_unit_test(test_an_owners_policy_is_read_with_the_file),
        cmocka_unit_test(test_a_domain_applies_its_own_products_only),
        cmocka_unit_test(test_the_same_version_is_fine_only_with_the_same_bytes),
        cmocka_unit_test(test_a_major_version_only_grows),
        cmocka_unit_test(test_references_to_products_are_taken_apart_strictly),
    };

    return cmocka_run_group_tests_name("review", tests, NULL, NULL);
}
