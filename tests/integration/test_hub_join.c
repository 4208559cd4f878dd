/* Who may join, and what HTTP refuses. */
#include "tests/integration/hub_test.h"

#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <string.h>

#include "common/identity/nats_jwt.h"

static void new_token(struct hub_test *h, const char *domain, char ret[128])
{
    char body[128];
    const char *text = "";
    struct hub_answer a;

    (void)snprintf(body, sizeof(body), "{\"domain\":\"%s\"}", domain);
    a = hub_call_platform(h, "POST", "/v1/join-tokens", body);
    assert_int_equal(a.status, 201);
    assert_true(sf_json_as_text(sf_json_get(a.root, "token"), &text));
    (void)snprintf(ret, 128, "%s", text);
    hub_answer_done(&a);
}

static struct hub_answer join(struct hub_domain *d, const char *token, const struct sf_seed *signer)
{
    struct sf_buf body = {0};
    struct hub_answer a;

    hub_domain_join_body(d, token, signer, &body);
    a = hub_call(d->hub, NULL, NULL, "POST", "/v1/join", sf_buf_cstr(&body));
    sf_buf_done(&body);
    return a;
}

static void expect_refused(struct hub_answer a, unsigned status, const char *code,
                           const char *detail)
{
    hub_expect_problem(&a, status, code, detail);
    hub_answer_done(&a);
}

/* The JWT names the user that was asked for, and is signed by the account that it says. */
static void expect_credentials(const struct hub_answer *a)
{
    struct sf_nats_jwt_info info;
    const char *jwt = "";
    const char *user = "";
    const char *account = "";

    assert_int_equal(a->status, 200);
    assert_true(sf_json_as_text(sf_json_path(a->root, "users.serve.jwt"), &jwt));
    assert_true(sf_json_as_text(sf_json_path(a->root, "users.serve.user"), &user));
    assert_true(sf_json_as_text(sf_json_path(a->root, "accounts.serve"), &account));
    assert_int_equal(sf_nats_jwt_read(sf_slice_text(jwt), &info, NULL), SF_OK);
    assert_string_equal(info.subject, user);
    assert_string_equal(info.issuer, account);
    assert_int_equal(info.expires_s - info.iat_s, 30 * 24 * 3600);
}

static void test_a_token_joins_one_domain_once(void **state)
{
    const char *refused = "the join token for domain sales is unknown, spent or expired";
    struct hub_test h;
    struct hub_domain sales;
    struct hub_domain finance;
    struct hub_domain thief;
    struct hub_answer a;
    char token[128];
    char other[128];

    (void)state;
    hub_test_init(&h);
    hub_domain_init(&h, &sales, "sales", 1);
    hub_domain_init(&h, &finance, "finance", 2);
    hub_domain_init(&h, &thief, "sales", 3);
    new_token(&h, "sales", token);
    new_token(&h, "finance", other);
    expect_refused(join(&sales, "", &sales.domain_key), 403, "SHEAF-E0505", refused);
    expect_refused(join(&sales, "sj_guessed", &sales.domain_key), 403, "SHEAF-E0505", refused);
    expect_refused(join(&sales, other, &sales.domain_key), 403, "SHEAF-E0505", refused);
    expect_refused(join(&sales, token, &thief.domain_key), 403, "SHEAF-E0407",
                   "the proof is not signed by the domain key it names");
    a = join(&sales, token, &sales.domain_key);
    expect_credentials(&a);
    hub_answer_done(&a);
    expect_refused(join(&thief, token, &thief.domain_key), 403, "SHEAF-E0505",
                   "domain sales has joined with another key");

    /* The same keys get new credentials at any time; another leaf key needs a new token. */
    a = join(&sales, "", &sales.domain_key);
    expect_credentials(&a);
    hub_answer_done(&a);
    a = join(&sales, token, &sales.domain_key);
    expect_credentials(&a);
    hub_answer_done(&a);
    sf_seed_done(&sales.leaf_key);
    assert_int_equal(sf_seed_generate(&sales.leaf_key, NULL), SF_OK);
    expect_refused(join(&sales, "", &sales.domain_key), 403, "SHEAF-E0505", refused);
    expect_refused(join(&sales, token, &sales.domain_key), 403, "SHEAF-E0505", refused);
    new_token(&h, "sales", token);
    a = join(&sales, token, &sales.domain_key);
    expect_credentials(&a);
    hub_answer_done(&a);
    a = join(&finance, other, &finance.domain_key);
    expect_credentials(&a);
    hub_answer_done(&a);
    hub_domain_done(&sales);
    hub_domain_done(&finance);
    hub_domain_done(&thief);
    hub_test_done(&h);
}

static void test_a_token_expires(void **state)
{
    struct hub_test h;
    struct hub_domain sales;
    struct hub_answer a;
    const char *token = "";

    (void)state;
    hub_test_init(&h);
    hub_domain_init(&h, &sales, "sales", 1);
    a = hub_call_platform(&h, "POST", "/v1/join-tokens",
                          "{\"domain\":\"sales\",\"ttl_us\":1000000}");
    assert_true(sf_json_as_text(sf_json_get(a.root, "token"), &token));
    test_loop_idle(&h.loop, 1100);
    expect_refused(join(&sales, token, &sales.domain_key), 403, "SHEAF-E0505",
                   "the join token for domain sales is unknown, spent or expired");
    hub_answer_done(&a);
    hub_domain_done(&sales);
    hub_test_done(&h);
}

static void test_http_refuses_whoever_it_does_not_know(void **state)
{
    struct hub_test h;
    struct hub_domain sales;
    struct hub_domain finance;
    char token[128];
    struct hub_answer a;

    (void)state;
    hub_test_init(&h);
    hub_domain_init(&h, &sales, "sales", 1);
    hub_domain_init(&h, &finance, "finance", 2);
    new_token(&h, "sales", token);
    a = join(&sales, token, &sales.domain_key);
    hub_answer_done(&a);
    expect_refused(hub_call(&h, NULL, NULL, "GET", "/v1/products", NULL), 401, "SHEAF-E0501",
                   "no token was sent");
    a = hub_call(&h, "sales", &finance.domain_key, "GET", "/v1/products", NULL);
    assert_int_equal(a.status, 401);
    hub_expect_text(&a, "code", "SHEAF-E0502");
    hub_answer_done(&a);
    a = hub_call(&h, "platform", &sales.domain_key, "GET", "/v1/products", NULL);
    assert_int_equal(a.status, 401);
    hub_answer_done(&a);
    a = hub_call_domain(&finance, "GET", "/v1/products", NULL);
    assert_int_equal(a.status, 403);
    hub_expect_text(&a, "code", "SHEAF-E0504");
    hub_answer_done(&a);
    expect_refused(hub_call_domain(&sales, "POST", "/v1/join-tokens", "{\"domain\":\"x\"}"), 403,
                   "SHEAF-E0415",
                   "only the platform may do this, and the token is of domain sales");
    expect_refused(hub_call_platform(&h, "POST", "/v1/access/requests", "{}"), 403, "SHEAF-E0415",
                   "only a joined domain may do this; 'platform' is none");
    hub_domain_done(&sales);
    hub_domain_done(&finance);
    hub_test_done(&h);
}

static void test_http_names_what_is_wrong_with_a_request(void **state)
{
    struct hub_test h;
    struct hub_domain sales;
    char token[128];
    struct hub_answer a;

    (void)state;
    hub_test_init(&h);
    hub_domain_init(&h, &sales, "sales", 1);
    new_token(&h, "sales", token);
    a = join(&sales, token, &sales.domain_key);
    hub_answer_done(&a);
    expect_refused(hub_call_platform(&h, "GET", "/v1/nothing", NULL), 404, "SHEAF-E0306",
                   "nothing is served at /v1/nothing");
    expect_refused(hub_call_platform(&h, "POST", "/v1/status", "{}"), 405, "SHEAF-E0307",
                   "POST is not allowed here");
    expect_refused(hub_call_platform(&h, "POST", "/v1/join-tokens", "[]"), 400, "SHEAF-E0301",
                   "the body must be a JSON object");
    expect_refused(hub_call_platform(&h, "POST", "/v1/join-tokens", "{}"), 400, "SHEAF-E0301",
                   "'domain' is missing");
    expect_refused(
        hub_call_platform(&h, "POST", "/v1/join-tokens", "{\"domain\":\"sales\",\"tll_us\":1}"),
        400, "SHEAF-E0301", "'tll_us' is not known here; known: domain, ttl_us");
    expect_refused(hub_call_platform(&h, "POST", "/v1/join-tokens", "{\"domain\":\"platform\"}"),
                   422, "SHEAF-E0106", "the name 'platform' is taken by the mesh");
    expect_refused(hub_call_domain(&sales, "GET", "/v1/products/sales/orders", NULL), 404,
                   "SHEAF-E0302", "there is no product sales/orders");
    expect_refused(hub_call_domain(&sales, "GET", "/v1/access/AR-1", NULL), 404, "SHEAF-E0402",
                   "there is no request AR-1");
    expect_refused(hub_call_domain(&sales, "GET", "/v1/access/G-1", NULL), 404, "SHEAF-E0403",
                   "there is no grant G-1");
    expect_refused(hub_call_domain(&sales, "GET", "/v1/access?state=new", NULL), 400, "SHEAF-E0301",
                   "'state' must be pending, approved, denied, active, revoked or expired");
    expect_refused(hub_call_domain(&sales, "POST", "/v1/access/requests",
                                   "{\"product\":\"orders\",\"purpose\":\"x\",\"duration_us\":1}"),
                   400, "SHEAF-E0301", "'product' must be DOMAIN/PRODUCT or DOMAIN/PRODUCT@MAJOR");
    expect_refused(hub_call_domain(&sales, "GET", "/v1/audit?limit=1001", NULL), 400, "SHEAF-E0301",
                   "'limit' must be a whole number up to 1000");
    hub_domain_done(&sales);
    hub_test_done(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_token_joins_one_domain_once),
        cmocka_unit_test(test_a_token_expires),
        cmocka_unit_test(test_http_refuses_whoever_it_does_not_know),
        cmocka_unit_test(test_http_names_what_is_wrong_with_a_request),
    };

    return cmocka_run_group_tests_name("hub_join", tests, NULL, NULL);
}
