/* Two domains join a real hub; access is asked for, given, seen in the claims, and taken back. */
#include "tests/integration/hub_test.h"

#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/base/alloc.h"
#include "common/identity/signed.h"
#include "common/sys/encoding.h"
#include "proto/subjects.h"

#define DAY_US (INT64_C(86400) * 1000000)

enum { PATIENCE_MS = 60000 };

#define ORDERS(version, rest)                                                                      \
    "sheaf: product/v1\nproduct: sales/orders\nversion: " version "\nstatus: active\n"             \
    "owner: team-sales\ndescription: Orders placed in the web shop, one row per order.\n"          \
    "tables:\n  orders:\n    kind: state\n    key: [order_id]\n    fields:\n"                      \
    "      order_id: {number: 1, type: string, required: true}\n"                                  \
    "      email: {number: 2, type: string, class: pii}\n"                                         \
    "      country: {number: 3, type: string}\n" rest

struct mesh {
    struct hub_test hub;
    struct hub_domain sales;
    struct hub_domain marketing;
};

static void mesh_init(struct mesh *m)
{
    hub_test_init(&m->hub);
    hub_domain_init(&m->hub, &m->sales, "sales", 0x51);
    hub_domain_init(&m->hub, &m->marketing, "marketing", 0x61);
    hub_domain_join(&m->sales);
    hub_domain_join(&m->marketing);
}

static void mesh_done(struct mesh *m)
{
    hub_domain_done(&m->sales);
    hub_domain_done(&m->marketing);
    hub_test_done(&m->hub);
}

static int64_t now_us(void)
{
    return (int64_t)time(NULL) * 1000000;
}

static void request_access(struct mesh *m, const char *id)
{
    struct hub_answer a = hub_call_domain(
        &m->marketing, "POST", "/v1/access/requests",
        "{\"product\":\"sales/orders\",\"purpose\":\"churn model\",\"duration_us\":7776000000000}");

    assert_int_equal(a.status, 201);
    hub_expect_text(&a, "id", id);
    hub_expect_text(&a, "state", "pending");
    hub_answer_done(&a);
}

/* The body that carries a decision on @request, signed by @signer. */
static void decision_body(const struct mesh *m, const char *request, int64_t until_us,
                          const struct sf_seed *signer, char ret[2048])
{
    Sheaf__V1__Decision d = SHEAF__V1__DECISION__INIT;
    uint8_t payload[512];
    struct sf_buf sealed = {0};
    char text[1500];

    d.mesh = (char *)(uintptr_t)m->hub.mesh;
    d.request_id = (char *)(uintptr_t)request;
    d.owner = (char *)(uintptr_t) "sales";
    d.product = (char *)(uintptr_t) "orders";
    d.major = 1;
    d.consumer = (char *)(uintptr_t) "marketing";
    d.approved = true;
    d.until_us = until_us;
    d.purpose = (char *)(uintptr_t) "churn model";
    d.decided_by = (char *)(uintptr_t) "ada";
    assert_int_equal(sf_signed_make(SIGN_DECISION,
                                    sf_slice_of(payload, sheaf__v1__decision__pack(&d, payload)),
                                    signer, &sealed, NULL),
                     SF_OK);
    sf_encode(SF_BASE64, sf_buf_view(&sealed), text);
    (void)snprintf(ret, 2048, "{\"decision\":\"%s\"}", text);
    sf_buf_done(&sealed);
}

static struct hub_answer approve(struct mesh *m, const char *request, int64_t until_us)
{
    char body[2048];
    char path[128];

    decision_body(m, request, until_us, &m->sales.domain_key, body);
    (void)snprintf(path, sizeof(path), "/v1/access/requests/%s/decision", request);
    return hub_call_domain(&m->sales, "POST", path, body);
}

static struct hub_answer revoke(struct mesh *m, const char *grant, const struct sf_seed *signer)
{
    Sheaf__V1__Revocation v = SHEAF__V1__REVOCATION__INIT;
    uint8_t payload[512];
    struct sf_buf sealed = {0};
    char text[1500];
    char body[2048];
    char path[128];

    v.mesh = m->hub.mesh;
    v.grant_id = (char *)(uintptr_t)grant;
    v.reason = (char *)(uintptr_t) "the model is done";
    v.revoked_by = (char *)(uintptr_t) "ada";
    assert_int_equal(sf_signed_make(SIGN_REVOCATION,
                                    sf_slice_of(payload, sheaf__v1__revocation__pack(&v, payload)),
                                    signer, &sealed, NULL),
                     SF_OK);
    sf_encode(SF_BASE64, sf_buf_view(&sealed), text);
    (void)snprintf(body, sizeof(body), "{\"revocation\":\"%s\"}", text);
    (void)snprintf(path, sizeof(path), "/v1/access/grants/%s/revoke", grant);
    sf_buf_done(&sealed);
    return hub_call_domain(&m->sales, "POST", path, body);
}

static void expect_effect(const struct hub_answer *a, bool effective, const char *laggards)
{
    char text[256] = "";
    bool value = !effective;

    assert_int_equal(a->status, 200);
    assert_true(sf_json_as_bool(sf_json_get(a->root, "effective"), &value));
    for (struct sf_json_iter it = sf_json_iter(sf_json_get(a->root, "laggards"));
         sf_json_next(&it);) {
        const char *who = "";

        assert_true(sf_json_as_text(it.value, &who));
        (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s;", who);
    }
    assert_string_equal(text, laggards);
    assert_int_equal(value, effective);
}

/* --- stories ---------------------------------------------------------------------------------- */

static void expect_imports(struct mesh *m, const char *expected)
{
    struct sf_buf imports = {0};

    (void)hub_test_imports(&m->hub, m->marketing.account, &imports);
    assert_string_equal(imports.size == 0 ? "" : sf_buf_cstr(&imports), expected);
    sf_buf_done(&imports);
}

/* Of one grant, in the order of their subjects. */
static void list_imports(const struct mesh *m, const char *audience, const char *sole,
                         char ret[512])
{
    const bool sole_first = strcmp(sole, audience) < 0;

    (void)snprintf(
        ret, 512, "dp.sales.orders.*.v1.*.%s\ndp.sales.orders.*.v1.*.%s\ndpq.sales.%s.>\n",
        sole_first ? sole : audience, sole_first ? audience : sole, m->marketing.account);
}

struct listener {
    struct sf_bus_sub sub;
    size_t count;
    char subject[256];
};

static void on_live(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct listener *l = sub->data;

    l->count++;
    (void)snprintf(l->subject, sizeof(l->subject), "%s", m->subject);
}

/* Publishes under the audience until the listener has got one, or for a while when it must not. */
static bool flows(struct mesh *m, struct listener *l, const char *audience, unsigned rounds)
{
    const struct subject_lane lane = {"sales", "orders", "orders", 1, 0};
    char subject[SUBJECT_MAX];
    const struct sf_bus_msg msg = {.subject = subject, .data = SF_LITERAL("x")};

    subject_live_source(subject, &lane, audience);
    l->count = 0;
    for (unsigned i = 0; i < rounds && l->count == 0; i++) {
        assert_int_equal(sf_bus_publish(m->sales.serve, &msg, NULL), SF_OK);
        test_loop_idle(&m->hub.loop, 20);
    }
    return l->count > 0;
}

static void test_access_is_asked_for_given_and_taken_back(void **state)
{
    struct mesh m;
    struct listener live = {.sub = {.on_msg = on_live, .data = &live}};
    struct hub_apply applied;
    struct hub_answer a;
    char expected[512];
    char body[2048];
    const char *audience = "";
    char kept[32];
    char sole[32];

    (void)state;
    mesh_init(&m);
    applied = hub_domain_apply(&m.sales, ORDERS("1.0.0", ""), /* dry_run= */ false);
    assert_true(applied.accepted && applied.changed);
    expect_imports(&m, "");
    request_access(&m, "AR-1");
    a = hub_call_domain(&m.marketing, "POST", "/v1/access/requests",
                        "{\"product\":\"sales/orders@1\",\"purpose\":\"x\",\"duration_us\":1}");
    hub_expect_problem(&a, 409, "SHEAF-E0404",
                       "AR-1 of marketing for sales/orders@1 is waiting for a decision already");
    hub_answer_done(&a);

    /* Consent is the owner's signature and nobody else's. */
    decision_body(&m, "AR-1", now_us() + DAY_US, &m.marketing.domain_key, body);
    a = hub_call_domain(&m.sales, "POST", "/v1/access/requests/AR-1/decision", body);
    hub_expect_problem(&a, 403, "SHEAF-E0407",
                       "the decision on AR-1 is not signed by the key of sales");
    hub_answer_done(&a);
    decision_body(&m, "AR-1", now_us() + DAY_US, &m.hub.keys.hub_key, body);
    a = hub_call_domain(&m.sales, "POST", "/v1/access/requests/AR-1/decision", body);
    hub_expect_problem(&a, 403, "SHEAF-E0407",
                       "the decision on AR-1 is not signed by the key of sales");
    hub_answer_done(&a);
    decision_body(&m, "AR-1", now_us() + DAY_US, &m.sales.domain_key, body);
    a = hub_call_domain(&m.marketing, "POST", "/v1/access/requests/AR-1/decision", body);
    hub_expect_problem(&a, 403, "SHEAF-E0405",
                       "only sales decides on AR-1, and the token is of marketing");
    hub_answer_done(&a);
    expect_imports(&m, "");

    a = approve(&m, "AR-1", now_us() + DAY_US);
    expect_effect(&a, true, "");
    hub_expect_text(&a, "grant.id", "G-1");
    assert_true(sf_json_as_text(sf_json_path(a.root, "grant.audience"), &audience));
    (void)snprintf(kept, sizeof(kept), "%s", audience);
    assert_true(sf_json_as_text(sf_json_path(a.root, "grant.sole_audience"), &audience));
    (void)snprintf(sole, sizeof(sole), "%s", audience);
    hub_answer_done(&a);
    assert_int_equal(m.sales.grants, 1);
    assert_int_equal(m.marketing.grants, 0);
    list_imports(&m, kept, sole, expected);
    expect_imports(&m, expected);

    /* What sales publishes for either audience arrives at marketing under the stable name. */
    assert_int_equal(
        sf_bus_subscribe(m.marketing.own, &live.sub, "dp.sales.orders.orders.v1.>", NULL, NULL),
        SF_OK);
    assert_true(flows(&m, &live, kept, 100));
    assert_string_equal(live.subject, "dp.sales.orders.orders.v1.0");
    assert_true(flows(&m, &live, sole, 100));
    assert_false(flows(&m, &live, "aother", 5));

    a = revoke(&m, "G-1", &m.marketing.domain_key);
    hub_expect_problem(&a, 403, "SHEAF-E0407",
                       "the revocation of G-1 is not signed by its owner's key");
    hub_answer_done(&a);
    a = revoke(&m, "G-1", &m.sales.domain_key);
    expect_effect(&a, true, "");
    hub_expect_text(&a, "grant.state", "revoked");
    hub_expect_text(&a, "grant.reason", "the model is done");
    hub_answer_done(&a);
    assert_int_equal(m.sales.grants, 0);
    expect_imports(&m, "");
    assert_false(flows(&m, &live, kept, 10));
    assert_false(flows(&m, &live, sole, 10));
    a = revoke(&m, "G-1", &m.sales.domain_key);
    hub_expect_problem(&a, 409, "SHEAF-E0404", "G-1 has ended already");
    hub_answer_done(&a);
    sf_bus_unsubscribe(m.marketing.own, &live.sub);
    mesh_done(&m);
}

static void test_a_leaf_that_does_not_acknowledge_is_named(void **state)
{
    struct mesh m;
    struct hub_answer a;

    (void)state;
    mesh_init(&m);
    assert_true(hub_domain_apply(&m.sales, ORDERS("1.0.0", ""), false).changed);
    request_access(&m, "AR-1");
    m.sales.deaf = true;
    a = approve(&m, "AR-1", now_us() + DAY_US);
    expect_effect(&a, false, "leaf of sales;");
    assert_in_range(a.took_ns / SF_NS_PER_MS, 1900, PATIENCE_MS);
    hub_answer_done(&a);
    a = revoke(&m, "G-1", &m.sales.domain_key);
    expect_effect(&a, false, "leaf of sales;");
    assert_in_range(a.took_ns / SF_NS_PER_MS, 900, PATIENCE_MS);
    hub_answer_done(&a);
    expect_imports(&m, ""); /* the consumer's side is cut all the same */
    mesh_done(&m);
}

static bool has_expired(struct mesh *m)
{
    struct hub_answer a = hub_call_domain(&m->marketing, "GET", "/v1/access/G-1", NULL);
    const char *text = "";
    bool expired;

    assert_true(sf_json_as_text(sf_json_get(a.root, "state"), &text));
    expired = strcmp(text, "expired") == 0;
    hub_answer_done(&a);
    return expired;
}

/* The event, then claims and bundle, each in its time. */
static bool is_gone(struct mesh *m)
{
    struct sf_buf imports = {0};
    bool has_imports;

    if (m->sales.grants != 0 || !has_expired(m)) {
        return false;
    }
    (void)hub_test_imports(&m->hub, m->marketing.account, &imports);
    has_imports = imports.size > 0;
    sf_buf_done(&imports);
    return !has_imports;
}

static void test_a_grant_ends_at_its_time(void **state)
{
    struct mesh m;
    struct hub_answer a;

    (void)state;
    mesh_init(&m);
    assert_true(hub_domain_apply(&m.sales, ORDERS("1.0.0", ""), false).changed);
    request_access(&m, "AR-1");
    a = approve(&m, "AR-1", now_us() + 4 * INT64_C(1000000));
    expect_effect(&a, true, "");
    hub_answer_done(&a);
    for (unsigned i = 0; i < PATIENCE_MS / 20 && !is_gone(&m); i++) {
        test_loop_idle(&m.hub.loop, 20);
    }
    assert_true(has_expired(&m));
    expect_imports(&m, "");
    assert_int_equal(m.sales.grants, 0);
    mesh_done(&m);
}

static void test_products_are_reviewed(void **state)
{
    struct mesh m;
    struct hub_apply r;
    struct hub_answer a;

    (void)state;
    mesh_init(&m);
    r = hub_domain_apply(&m.sales, ORDERS("1.0.0", ""), /* dry_run= */ true);
    assert_true(r.accepted);
    a = hub_call_domain(&m.marketing, "GET", "/v1/products/sales/orders", NULL);
    hub_expect_problem(&a, 404, "SHEAF-E0302", "there is no product sales/orders");
    hub_answer_done(&a);
    r = hub_domain_apply(&m.sales, ORDERS("1.0.0", ""), false);
    assert_true(r.accepted && r.changed);
    assert_string_equal(r.version, "1.0.0");
    r = hub_domain_apply(&m.sales, ORDERS("1.0.0", ""), false);
    assert_true(r.accepted && !r.changed);
    r = hub_domain_apply(&m.sales, ORDERS("1.0.0", "      x: {number: 4, type: string}\n"), false);
    assert_false(r.accepted);
    assert_int_equal(r.number, 111);
    r = hub_domain_apply(&m.sales, ORDERS("1.1.0", "      x: {number: 4, type: string}\n"), false);
    assert_true(r.accepted && r.changed);
    r = hub_domain_apply(
        &m.sales, ORDERS("1.2.0", "      x: {number: 4, type: int64, required: true}\n"), false);
    assert_false(r.accepted);
    assert_int_equal(r.number, 110);
    r = hub_domain_apply(&m.marketing, ORDERS("3.0.0", ""), false);
    assert_false(r.accepted);
    assert_string_equal(r.finding, "sales/orders belongs to domain sales, not to marketing");
    r = hub_domain_apply(&m.sales, "sheaf: product/v1\nproduct: sales/orders\nversion: 1\n", false);
    assert_false(r.accepted);
    a = hub_call_domain(&m.sales, "GET", "/v1/products/sales/orders@1", NULL);
    assert_int_equal(a.status, 200);
    hub_expect_text(&a, "version", "1.1.0");
    hub_expect_text(&a, "contract", ORDERS("1.1.0", "      x: {number: 4, type: string}\n"));
    hub_answer_done(&a);
    mesh_done(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_access_is_asked_for_given_and_taken_back),
        cmocka_unit_test(test_a_leaf_that_does_not_acknowledge_is_named),
        cmocka_unit_test(test_a_grant_ends_at_its_time),
        cmocka_unit_test(test_products_are_reviewed),
    };

    return cmocka_run_group_tests_name("hub_access", tests, NULL, NULL);
}
