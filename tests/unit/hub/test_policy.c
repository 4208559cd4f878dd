#include "tests/lib/cmocka.h"

#include <string.h>

#include "hub/policy/access.h"
#include "proto/errors.h"

#define DAY_US (INT64_C(86400) * 1000000)
#define NOW_US INT64_C(1790000000000000)

static const struct sf_field FIELDS[] = {
    {.number = 1, .name = "order_id", .type = SF_TYPE_STRING},
    {.number = 2, .name = "email", .type = SF_TYPE_STRING, .class = SF_CLASS_PII},
    {.number = 3, .name = "country", .type = SF_TYPE_STRING, .class = SF_CLASS_PUBLIC},
    {.number = 4, .name = "pin", .type = SF_TYPE_STRING, .class = SF_CLASS_SECRET},
};
static const struct sf_table TABLES[] = {
    {.name = "orders", .fields = FIELDS, .field_count = 4, .event_time = -1},
};

static struct sf_product product(enum sf_status status, enum sf_access access)
{
    return (struct sf_product){
        .domain = "sales",
        .name = "orders",
        .version = {1, 0, 0},
        .status = status,
        .access = access,
        .tables = TABLES,
        .table_count = 1,
    };
}

static struct policy_request good_request(const struct sf_product *contract)
{
    return (struct policy_request){
        .owner = "sales",
        .product = "orders",
        .major = 1,
        .consumer = "marketing",
        .consumer_joined = true,
        .purpose = "churn model",
        .duration_us = 90 * DAY_US,
        .contract = contract,
    };
}

static void expect_request(const struct policy_request *r, uint16_t number, const char *text)
{
    struct policy_verdict v;

    memset(&v, 0xa5, sizeof(v));
    policy_check_request(r, &v);
    assert_int_equal(v.allowed, number == 0);
    assert_int_equal(v.number, number);
    assert_string_equal(v.text, text);
}

static void test_a_request_is_allowed_or_refused_for_one_reason(void **state)
{
    static const char *const country[] = {"country", "order_id"};
    static const char *const nothing[] = {"cuontry"};
    static const char *const personal[] = {"country", "email"};
    static const char *const twice[] = {"country", "country"};
    const struct sf_product active = product(SF_STATUS_ACTIVE, SF_ACCESS_REQUEST);
    const struct sf_product open = product(SF_STATUS_DEPRECATED, SF_ACCESS_OPEN);
    const struct sf_product closed = product(SF_STATUS_ACTIVE, SF_ACCESS_CLOSED);
    const struct sf_product retired = product(SF_STATUS_RETIRED, SF_ACCESS_REQUEST);
    const struct sf_product draft = product(SF_STATUS_DRAFT, SF_ACCESS_REQUEST);
    static const char *const given[] = {NULL, NULL};
    static const char *const hidden[] = {NULL, "field 'email' is not for marketing: it is so"};
    struct policy_request r = good_request(&active);
    char long_purpose[POLICY_PURPOSE_MAX + 2];

    (void)state;
    expect_request(&r, 0, "");
    r.columns = country;
    r.column_count = 2;
    r.closed = given;
    expect_request(&r, 0, "");
    r.columns = nothing;
    r.column_count = 1;
    expect_request(&r, SHEAF_E_FIELD_UNKNOWN, "sales/orders has no field 'cuontry'");
    r.columns = personal;
    r.column_count = 2;
    expect_request(&r, 0, ""); /* of class pii, and a policy shows it masked */
    r.closed = hidden;
    expect_request(&r, SHEAF_E_POLICY_DENIES, "field 'email' is not for marketing: it is so");
    r.columns = twice;
    r.closed = given;
    expect_request(&r, SHEAF_E_BAD_REQUEST, "column 'country' is named twice");

    r = good_request(&open);
    expect_request(&r, 0, "");
    assert_true(policy_is_auto_approvable(&open));
    assert_false(policy_is_auto_approvable(&active));
    r.contract = &closed;
    expect_request(&r, SHEAF_E_CLOSED_PRODUCT, "sales/orders is closed to other domains");
    r.contract = &retired;
    expect_request(&r, SHEAF_E_CLOSED_PRODUCT, "sales/orders@1 is retired");
    r.contract = &draft;
    expect_request(&r, SHEAF_E_PRODUCT_UNKNOWN, "there is no product sales/orders@1");
    r.contract = NULL;
    expect_request(&r, SHEAF_E_PRODUCT_UNKNOWN, "there is no product sales/orders@1");

    r = good_request(&active);
    r.consumer = "sales";
    expect_request(&r, SHEAF_E_BAD_REQUEST, "sales owns sales/orders: nothing to ask for");
    r = good_request(&active);
    r.consumer_joined = false;
    expect_request(&r, SHEAF_E_DENIED, "domain marketing has not joined the mesh");
    r = good_request(&active);
    r.active_grant = "G-7";
    expect_request(&r, SHEAF_E_GRANT_EXISTS, "marketing has G-7 for sales/orders@1 already");
    r = good_request(&active);
    r.pending_request = "AR-7";
    expect_request(&r, SHEAF_E_WRONG_STATE,
                   "AR-7 of marketing for sales/orders@1 is waiting for a decision already");

    r = good_request(&active);
    r.duration_us = POLICY_DURATION_MAX_US;
    expect_request(&r, 0, "");
    r.duration_us++;
    expect_request(&r, SHEAF_E_BAD_REQUEST,
                   "the duration must be above zero and at most five years");
    r.duration_us = 0;
    expect_request(&r, SHEAF_E_BAD_REQUEST,
                   "the duration must be above zero and at most five years");
    r = good_request(&active);
    r.purpose = "";
    expect_request(&r, SHEAF_E_BAD_REQUEST, "'purpose' must have 1 to 500 bytes");
    memset(long_purpose, 'x', sizeof(long_purpose) - 1);
    long_purpose[sizeof(long_purpose) - 1] = '\0';
    r.purpose = long_purpose;
    expect_request(&r, SHEAF_E_BAD_REQUEST, "'purpose' must have 1 to 500 bytes");
    r.purpose = long_purpose + 1;
    expect_request(&r, 0, "");
}

static char *text(const char *s)
{
    return (char *)(uintptr_t)s;
}

static Sheaf__V1__Decision good_decision(void)
{
    Sheaf__V1__Decision d = SHEAF__V1__DECISION__INIT;

    d.mesh = text("m1");
    d.request_id = text("AR-1");
    d.owner = text("sales");
    d.product = text("orders");
    d.major = 1;
    d.consumer = text("marketing");
    d.approved = true;
    d.until_us = NOW_US + DAY_US;
    return d;
}

static struct policy_decision facts(const Sheaf__V1__Decision *decision,
                                    const struct sf_product *contract)
{
    return (struct policy_decision){
        .decision = decision,
        .signature_holds = true,
        .mesh = "m1",
        .now_us = NOW_US,
        .request_id = "AR-1",
        .pending = true,
        .owner = "sales",
        .product = "orders",
        .major = 1,
        .consumer = "marketing",
        .contract = contract,
    };
}

static void expect_decision(const struct policy_decision *d, uint16_t number, const char *why)
{
    struct policy_verdict v;

    memset(&v, 0xa5, sizeof(v));
    policy_check_decision(d, &v);
    assert_string_equal(v.text, why);
    assert_int_equal(v.number, number);
    assert_int_equal(v.allowed, number == 0);
}

static void test_a_decision_needs_the_owners_signature_and_an_open_request(void **state)
{
    const struct sf_product active = product(SF_STATUS_ACTIVE, SF_ACCESS_REQUEST);
    const struct sf_product closed = product(SF_STATUS_ACTIVE, SF_ACCESS_CLOSED);
    const struct sf_product retired = product(SF_STATUS_RETIRED, SF_ACCESS_REQUEST);
    Sheaf__V1__Decision s = good_decision();
    struct policy_decision d = facts(&s, &active);

    (void)state;
    expect_decision(&d, 0, "");
    d.signature_holds = false;
    expect_decision(&d, SHEAF_E_BAD_SIGNATURE,
                    "the decision on AR-1 is not signed by the key of sales");
    d = facts(&s, &active);
    d.mesh = "m2";
    expect_decision(&d, SHEAF_E_BAD_SIGNATURE, "the decision was signed for another mesh");
    d = facts(&s, &active);
    d.pending = false;
    expect_decision(&d, SHEAF_E_WRONG_STATE, "AR-1 is decided already");
    d = facts(&s, &active);
    d.active_grant = "G-1";
    expect_decision(&d, SHEAF_E_GRANT_EXISTS, "marketing has G-1 for sales/orders@1 already");
    d = facts(&s, &closed);
    expect_decision(&d, SHEAF_E_CLOSED_PRODUCT, "sales/orders was closed after AR-1");
    d = facts(&s, &retired);
    expect_decision(&d, SHEAF_E_CLOSED_PRODUCT, "sales/orders was closed after AR-1");
    d = facts(&s, NULL);
    expect_decision(&d, SHEAF_E_PRODUCT_UNKNOWN, "there is no product sales/orders@1");
    s.until_us = NOW_US;
    d = facts(&s, &active);
    expect_decision(&d, SHEAF_E_BAD_REQUEST, "the end of the grant is not in the future");
    s.until_us = NOW_US + 1;
    expect_decision(&d, 0, "");
    s.until_us = NOW_US + POLICY_DURATION_MAX_US + 1;
    expect_decision(&d, SHEAF_E_BAD_REQUEST, "the end of the grant is more than five years away");
    s.until_us = 0;
    s.approved = false;
    expect_decision(&d, 0, ""); /* a denial has no end */
}

static void test_a_decision_about_anything_else_is_refused(void **state)
{
    const struct sf_product active = product(SF_STATUS_ACTIVE, SF_ACCESS_REQUEST);
    Sheaf__V1__Decision others[5];
    const char *why = "the decision is about another request than AR-1";

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        others[i] = good_decision();
    }
    others[0].request_id = text("AR-2");
    others[1].owner = text("finance");
    others[2].product = text("order");
    others[3].major = 2;
    others[4].consumer = text("finance");
    for (size_t i = 0; i < 5; i++) {
        struct policy_decision d = facts(&others[i], &active);

        expect_decision(&d, SHEAF_E_BAD_REQUEST, why);
    }
}

static void test_a_decision_grants_at_most_what_was_asked(void **state)
{
    static const char *const asked[] = {"order_id", "country"};
    const struct sf_product active = product(SF_STATUS_ACTIVE, SF_ACCESS_REQUEST);
    char *one[] = {text("country")};
    static const char *const given[] = {NULL};
    static const char *const hidden[] = {"field 'email' is not for marketing: it is so"};
    char *personal[] = {text("email")};
    Sheaf__V1__Decision s = good_decision();
    struct policy_decision d = facts(&s, &active);

    (void)state;
    d.asked = asked;
    d.asked_count = 2;
    d.closed = given;
    expect_decision(&d, SHEAF_E_BAD_REQUEST,
                    "AR-1 asks for 2 columns; the decision must name them");
    s.columns = one;
    s.n_columns = 1;
    expect_decision(&d, 0, "");
    s.columns = personal;
    expect_decision(&d, SHEAF_E_BAD_REQUEST, "AR-1 does not ask for column 'email'");
    d.asked_count = 0; /* all was asked for */
    expect_decision(&d, 0, "");
    d.closed = hidden;
    expect_decision(&d, SHEAF_E_POLICY_DENIES, "field 'email' is not for marketing: it is so");
}

static void test_a_revocation_is_the_owners_and_about_this_grant(void **state)
{
    Sheaf__V1__Revocation words = SHEAF__V1__REVOCATION__INIT;
    const struct policy_revocation good = {
        .revocation = &words,
        .signature_holds = true,
        .mesh = "m1",
        .grant_id = "G-1",
        .active = true,
    };
    struct policy_revocation r = good;
    struct policy_verdict v;

    (void)state;
    words.mesh = text("m1");
    words.grant_id = text("G-1");
    policy_check_revocation(&r, &v);
    assert_true(v.allowed);
    r.signature_holds = false;
    policy_check_revocation(&r, &v);
    assert_int_equal(v.number, SHEAF_E_BAD_SIGNATURE);
    r = good;
    r.mesh = "m2";
    policy_check_revocation(&r, &v);
    assert_string_equal(v.text, "the revocation was signed for another mesh");
    r = good;
    r.grant_id = "G-2";
    policy_check_revocation(&r, &v);
    assert_string_equal(v.text, "the revocation is about another grant than G-2");
    r = good;
    r.active = false;
    policy_check_revocation(&r, &v);
    assert_string_equal(v.text, "G-1 has ended already");
    assert_int_equal(v.number, SHEAF_E_WRONG_STATE);
}

static void test_a_grant_is_over_at_its_end(void **state)
{
    (void)state;
    assert_false(policy_is_over(NOW_US, NOW_US - 1));
    assert_true(policy_is_over(NOW_US, NOW_US));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_request_is_allowed_or_refused_for_one_reason),
        cmocka_unit_test(test_a_decision_needs_the_owners_signature_and_an_open_request),
        cmocka_unit_test(test_a_decision_about_anything_else_is_refused),
        cmocka_unit_test(test_a_decision_grants_at_most_what_was_asked),
        cmocka_unit_test(test_a_revocation_is_the_owners_and_about_this_grant),
        cmocka_unit_test(test_a_grant_is_over_at_its_end),
    };

    return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
