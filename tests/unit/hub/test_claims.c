#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <string.h>

#include "common/sys/encoding.h"
#include "common/sys/file.h"
#include "hub/claims/account_claims.h"
#include "hub/claims/directory.h"
#include "tests/lib/tmpdir.h"

/* Keys whose seeds are one byte 32 times. */
static struct authority fixed_keys(void)
{
    struct authority a = {0};
    struct sf_seed *seeds[] = {&a.operator_key, &a.signing_key, &a.hub_key, &a.platform_key,
                               &a.accounts_key};

    assert_int_equal(sf_crypto_init(NULL), SF_OK);
    for (size_t i = 0; i < SF_COUNT(seeds); i++) {
        uint8_t seed[SF_SEED_SIZE];

        memset(seed, (int)i + 1, sizeof(seed));
        assert_int_equal(sf_seed_from_bytes(sf_slice_of(seed, sizeof(seed)), seeds[i], NULL),
                         SF_OK);
    }
    return a;
}

/* The claims of a JWT without iss, jti and sub, which are keys and a hash: from "nats" on. */
static void expect_claims(const struct sf_buf *jwt, const char *expected)
{
    const char *first = memchr(jwt->data, '.', jwt->size);
    const char *last = memrchr(jwt->data, '.', jwt->size);
    struct sf_buf payload = {0};
    struct sf_nats_jwt_info info;
    const char *nats;

    assert_non_null(first);
    assert_true(first < last);
    assert_int_equal(sf_nats_jwt_read(sf_buf_view(jwt), &info, NULL), SF_OK);
    assert_int_equal(sf_buf_decode(&payload, SF_BASE64URL,
                                   sf_slice_of(first + 1, (size_t)(last - first - 1)), NULL),
                     SF_OK);
    nats = strstr(sf_buf_cstr(&payload), "\"nats\":");
    assert_non_null(nats);
    assert_string_equal(nats, expected);
    sf_buf_done(&payload);
}

#define OPEN_LIMITS(payload)                                                                       \
    "\"limits\":{\"subs\":-1,\"data\":-1,\"payload\":" payload ",\"imports\":-1,\"exports\":-1,"   \
    "\"wildcards\":true,\"conn\":-1,\"leaf\":-1"

static const struct claims_domain MARKETING = {
    .name = "marketing",
    .account = "AMARKETING",
    .mesh_account = "AMESH",
    .serve_iat_s = 1790000000,
    .iat_s = 1790000007,
};

static void test_the_serving_account_exports_and_never_imports_data(void **state)
{
    struct authority keys = fixed_keys();
    struct sf_buf jwt = {0};
    struct sf_buf again = {0};
    char self[SF_NKEY_TEXT_MAX];
    char expected[2048];

    (void)state;
    assert_int_equal(claims_account_key(&keys, "marketing.serve", self, NULL), SF_OK);
    assert_int_equal(claims_serve(&keys, &MARKETING, &jwt, NULL), SF_OK);
    (void)snprintf(
        expected, sizeof(expected),
        "\"nats\":{\"type\":\"account\",\"version\":2," OPEN_LIMITS(
            "4194304") "},"
                       "\"exports\":["
                       "{\"name\":\"live\",\"subject\":\"dp.marketing.>\",\"type\":\"stream\"},"
                       "{\"name\":\"requests\",\"subject\":\"dpq.marketing.*.>\",\"type\":"
                       "\"service\","
                       "\"response_type\":\"Stream\",\"account_token_position\":3}],"
                       "\"imports\":[{\"name\":\"control\",\"subject\":\"mesh.ctl.%s.>\","
                       "\"account\":\"AMESH\",\"type\":\"service\",\"local_subject\":\"mesh.>\"}]}"
                       "}",
        self);
    expect_claims(&jwt, expected);
    assert_int_equal(claims_serve(&keys, &MARKETING, &again, NULL), SF_OK);
    assert_true(sf_slice_equal(sf_buf_view(&jwt), sf_buf_view(&again)));
    sf_buf_done(&jwt);
    sf_buf_done(&again);
    authority_done(&keys);
}

static void test_the_consuming_account_imports_its_grants_and_nothing_else(void **state)
{
    const struct claims_grant grants[] = {
        {"sales", "ASALESSERVE", "orders", 1, "aaaaaaaaaaaa1", "asoleaaaaaaa1"},
        {"finance", "AFINANCESERVE", "ledger", 2, "aaaaaaaaaaaa2", "asoleaaaaaaa2"},
        {"sales", "ASALESSERVE", "returns", 1, "aaaaaaaaaaaa3", "asoleaaaaaaa3"},
    };
    struct authority keys = fixed_keys();
    struct claims_domain d = MARKETING;
    struct sf_buf jwt = {0};

    (void)state;
    assert_int_equal(claims_consume(&keys, &d, &jwt, NULL), SF_OK);
    expect_claims(&jwt, "\"nats\":{\"type\":\"account\",\"version\":2," OPEN_LIMITS(
                            "4194304") "},\"exports\":[],\"imports\":[]}}");
    sf_buf_clear(&jwt);
    d.grants = grants;
    d.grant_count = 3;
    assert_int_equal(claims_consume(&keys, &d, &jwt, NULL), SF_OK);
    expect_claims(
        &jwt,
        "\"nats\":{\"type\":\"account\",\"version\":2," OPEN_LIMITS(
            "4194304") "},\"exports\":[],"
                       "\"imports\":["
                       "{\"name\":\"live sales/orders@1\","
                       "\"subject\":\"dp.sales.orders.*.v1.*.aaaaaaaaaaaa1\","
                       "\"account\":\"ASALESSERVE\",\"type\":\"stream\","
                       "\"local_subject\":\"dp.sales.orders.$1.v1.$2\"},"
                       "{\"name\":\"sole sales/orders@1\","
                       "\"subject\":\"dp.sales.orders.*.v1.*.asoleaaaaaaa1\","
                       "\"account\":\"ASALESSERVE\",\"type\":\"stream\","
                       "\"local_subject\":\"dp.sales.orders.$1.v1.$2\"},"
                       "{\"name\":\"live finance/ledger@2\","
                       "\"subject\":\"dp.finance.ledger.*.v2.*.aaaaaaaaaaaa2\","
                       "\"account\":\"AFINANCESERVE\",\"type\":\"stream\","
                       "\"local_subject\":\"dp.finance.ledger.$1.v2.$2\"},"
                       "{\"name\":\"sole finance/ledger@2\","
                       "\"subject\":\"dp.finance.ledger.*.v2.*.asoleaaaaaaa2\","
                       "\"account\":\"AFINANCESERVE\",\"type\":\"stream\","
                       "\"local_subject\":\"dp.finance.ledger.$1.v2.$2\"},"
                       "{\"name\":\"live sales/returns@1\","
                       "\"subject\":\"dp.sales.returns.*.v1.*.aaaaaaaaaaaa3\","
                       "\"account\":\"ASALESSERVE\",\"type\":\"stream\","
                       "\"local_subject\":\"dp.sales.returns.$1.v1.$2\"},"
                       "{\"name\":\"sole sales/returns@1\","
                       "\"subject\":\"dp.sales.returns.*.v1.*.asoleaaaaaaa3\","
                       "\"account\":\"ASALESSERVE\",\"type\":\"stream\","
                       "\"local_subject\":\"dp.sales.returns.$1.v1.$2\"},"
                       "{\"name\":\"requests sales\",\"subject\":\"dpq.sales.AMARKETING.>\","
                       "\"account\":\"ASALESSERVE\",\"type\":\"service\","
                       "\"local_subject\":\"q.sales.>\"},"
                       "{\"name\":\"requests finance\",\"subject\":\"dpq.finance.AMARKETING.>\","
                       "\"account\":\"AFINANCESERVE\",\"type\":\"service\","
                       "\"local_subject\":\"q.finance.>\"}]}}");
    sf_buf_done(&jwt);
    authority_done(&keys);
}

static void test_mesh_offers_control_and_keeps_the_log(void **state)
{
    struct authority keys = fixed_keys();
    struct sf_buf jwt = {0};

    (void)state;
    assert_int_equal(claims_mesh(&keys, 1790000000, &jwt, NULL), SF_OK);
    expect_claims(
        &jwt, "\"nats\":{\"type\":\"account\",\"version\":2," OPEN_LIMITS(
                  "-1") ",\"mem_storage\":0,\"disk_storage\":-1,\"streams\":-1,\"consumer\":-1},"
                        "\"exports\":[{\"name\":\"control\",\"subject\":\"mesh.ctl.*.>\","
                        "\"type\":\"service\",\"response_type\":\"Singleton\","
                        "\"account_token_position\":3}],\"imports\":[]}}");
    sf_buf_done(&jwt);
    authority_done(&keys);
}

static void test_a_leafnode_user_has_no_lists_and_an_end(void **state)
{
    struct authority keys = fixed_keys();
    const struct claims_leaf_user u = {
        .account = "sales.serve",
        .user = &keys.hub_key.public_key,
        .iat_s = 1790000000,
        .expires_s = 1790003600,
    };
    struct sf_nats_jwt_info info;
    struct sf_buf jwt = {0};
    char account[SF_NKEY_TEXT_MAX];

    (void)state;
    assert_int_equal(claims_leafnode(&keys, &u, &jwt, NULL), SF_OK);
    expect_claims(&jwt, "\"nats\":{\"type\":\"user\",\"version\":2,\"pub\":{},\"sub\":{},"
                        "\"subs\":-1,\"data\":-1,\"payload\":-1,"
                        "\"allowed_connection_types\":[\"LEAFNODE\"]}}");
    assert_int_equal(sf_nats_jwt_read(sf_buf_view(&jwt), &info, NULL), SF_OK);
    assert_int_equal(claims_account_key(&keys, "sales.serve", account, NULL), SF_OK);
    assert_string_equal(info.issuer, account);
    assert_int_equal(info.expires_s, 1790003600);
    sf_buf_done(&jwt);
    authority_done(&keys);
}

static void test_derived_keys_differ_by_name_and_kind_and_stay(void **state)
{
    struct authority keys = fixed_keys();
    struct sf_seed user = {0};
    char a[SF_NKEY_TEXT_MAX];
    char b[SF_NKEY_TEXT_MAX];
    char c[SF_NKEY_TEXT_MAX];

    (void)state;
    assert_int_equal(claims_account_key(&keys, "sales", a, NULL), SF_OK);
    assert_int_equal(claims_account_key(&keys, "sales.serve", b, NULL), SF_OK);
    assert_int_equal(authority_derive(&keys, SF_NKEY_USER, "sales", &user, NULL), SF_OK);
    sf_nkey_format(SF_NKEY_ACCOUNT, &user.public_key, c);
    assert_string_not_equal(a, b);
    assert_string_not_equal(a, c);
    /* A restarted hub, and every later version, must find the same accounts. */
    assert_string_equal(a, "AAFGJPIQIBXHILSWGK6364SY73APK2CQZKBAVT6QGUBAQZUREX2KU7JU");
    sf_seed_done(&user);
    authority_done(&keys);
}

static void test_the_directory_takes_back_only_what_the_hub_signed(void **state)
{
    struct authority keys = fixed_keys();
    struct authority others = fixed_keys();
    struct directory d = {0};
    struct tmpdir tmp;
    struct sf_buf good = {0};
    struct sf_buf foreign = {0};
    char account[SF_NKEY_TEXT_MAX];
    char name[80];
    char path[PATH_MAX];

    (void)state;
    tmpdir_init(&tmp);
    assert_int_equal(claims_account_key(&keys, "marketing", account, NULL), SF_OK);
    assert_int_equal(claims_consume(&keys, &MARKETING, &good, NULL), SF_OK);
    sf_seed_done(&others.signing_key);
    assert_int_equal(sf_seed_generate(&others.signing_key, NULL), SF_OK);
    assert_int_equal(claims_consume(&others, &MARKETING, &foreign, NULL), SF_OK);

    (void)snprintf(name, sizeof(name), "%s.jwt", account);
    (void)tmpdir_join(&tmp, name, path);
    assert_int_equal(sf_file_write(path, sf_buf_view(&foreign), 0600, NULL), SF_OK);
    assert_int_equal(directory_load(&d, tmp.path, &keys.signing_key.public_key, NULL), SF_OK);
    assert_null(directory_get(&d, account));
    assert_int_equal(sf_file_write(path, sf_buf_view(&good), 0600, NULL), SF_OK);
    (void)tmpdir_join(&tmp, "AOTHER.jwt", path); /* under another account's name */
    assert_int_equal(sf_file_write(path, sf_buf_view(&good), 0600, NULL), SF_OK);
    assert_int_equal(directory_load(&d, tmp.path, &keys.signing_key.public_key, NULL), SF_OK);
    assert_non_null(directory_get(&d, account));
    assert_null(directory_get(&d, "AOTHER"));
    assert_int_equal(directory_get(&d, account)->generation, 1);
    assert_int_equal(directory_put(&d, account, sf_buf_view(&good), NULL), SF_OK);
    assert_int_equal(directory_get(&d, account)->generation, 1);
    assert_int_equal(directory_put(&d, account, sf_buf_view(&foreign), NULL), SF_OK);
    assert_int_equal(directory_get(&d, account)->generation, 2);
    directory_done(&d);
    sf_buf_done(&good);
    sf_buf_done(&foreign);
    tmpdir_done(&tmp);
    authority_done(&keys);
    authority_done(&others);
}

enum { LONG = 800, LONGEST = 48 };

/* That many grants of the longest names make a JWT that a nats-server takes. */
static void test_an_account_holds_hundreds_of_grants_of_the_longest_names(void **state)
{
    static struct claims_grant grants[LONG];
    static char owners[LONG][LONGEST + 1];
    struct authority keys = fixed_keys();
    struct claims_domain d = MARKETING;
    struct sf_buf jwt = {0};
    char account[SF_NKEY_TEXT_MAX];
    char product[LONGEST + 1] = {0};

    (void)state;
    assert_int_equal(claims_account_key(&keys, "sales.serve", account, NULL), SF_OK);
    memset(product, 'p', LONGEST);
    for (size_t i = 0; i < LONG; i++) {
        memset(owners[i], 'd', LONGEST);
        grants[i] =
            (struct claims_grant){owners[i], account, product, 1, "aaaaaaaaaaaaa", "aaaaaaaaaaaab"};
    }
    d.grants = grants;
    d.grant_count = LONG;
    assert_int_equal(claims_consume(&keys, &d, &jwt, NULL), SF_OK);
    assert_in_range(jwt.size, SF_NATS_JWT_MAX * 9 / 10, SF_NATS_JWT_MAX);
    sf_buf_done(&jwt);
    authority_done(&keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_serving_account_exports_and_never_imports_data),
        cmocka_unit_test(test_the_consuming_account_imports_its_grants_and_nothing_else),
        cmocka_unit_test(test_an_account_holds_hundreds_of_grants_of_the_longest_names),
        cmocka_unit_test(test_mesh_offers_control_and_keeps_the_log),
        cmocka_unit_test(test_a_leafnode_user_has_no_lists_and_an_end),
        cmocka_unit_test(test_derived_keys_differ_by_name_and_kind_and_stay),
        cmocka_unit_test(test_the_directory_takes_back_only_what_the_hub_signed),
    };

    return cmocka_run_group_tests_name("claims", tests, NULL, NULL);
}
