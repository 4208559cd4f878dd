#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/identity/creds.h"
#include "common/identity/jws.h"
#include "common/identity/nats_jwt.h"
#include "common/sys/encoding.h"
#include "tests/unit/identity/golden.h"

#define HEADER SF_LITERAL("{\"typ\":\"JWT\",\"alg\":\"ed25519-nkey\"}")

struct keys {
    struct sf_seed seed; /* 00 01 .. 1f, as operator, account and user */
    struct sf_nats_signer signer;
};

static int make_keys(void **state)
{
    static struct keys k;
    enum sf_nkey_kind kind;

    k = (struct keys){0};
    assert_int_equal(sf_nkey_parse_seed(sf_slice_text(GO_USER_SEED), &kind, &k.seed, NULL), SF_OK);
    k.signer = (struct sf_nats_signer){&k.seed, 1700000000};
    *state = &k;
    return 0;
}

static int free_keys(void **state)
{
    struct keys *k = *state;

    sf_seed_done(&k->seed);
    return 0;
}

/* The payload of a JWT as text. */
static void payload_of(struct sf_buf *jwt, struct sf_buf *ret)
{
    struct sf_buf header = {0};
    struct sf_jws jws;

    assert_int_equal(sf_jws_split(sf_buf_view(jwt), &header, ret, &jws, NULL), SF_OK);
    assert_true(sf_slice_equal(sf_buf_view(&header), HEADER));
    sf_buf_done(&header);
}

/* The claims are @want, with a jti in front, and the JWT reads back. */
static void assert_claims(struct sf_buf *jwt, const char *want, struct sf_nats_jwt_info *info)
{
    struct sf_buf payload = {0};
    const char *text;

    payload_of(jwt, &payload);
    text = sf_buf_cstr(&payload);
    assert_memory_equal(text, "{\"jti\":\"", 8);
    assert_int_equal(strspn(text + 8, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"), 52);
    assert_memory_equal(text + 60, "\",", 2);
    assert_string_equal(text + 62, want);
    sf_buf_done(&payload);
    assert_int_equal(sf_nats_jwt_read(sf_buf_view(jwt), info, NULL), SF_OK);
}

static void test_operator_claims_are_written_in_full(void **state)
{
    struct keys *k = *state;
    struct sf_operator_claims c = {
        .name = "mesh",
        .subject = &k->seed.public_key,
        .system_account = &k->seed.public_key,
        .signing_keys = &k->seed.public_key,
        .signing_key_count = 1,
    };
    struct sf_buf jwt = {0};
    struct sf_nats_jwt_info info;

    assert_int_equal(sf_operator_jwt(&c, &k->signer, &jwt, NULL), SF_OK);
    assert_claims(&jwt,
                  "\"iat\":1700000000,\"iss\":\"" GO_OPERATOR
                  "\",\"name\":\"mesh\",\"sub\":\"" GO_OPERATOR
                  "\",\"nats\":{\"type\":\"operator\",\"version\":2,"
                  "\"system_account\":\"" GO_ACCOUNT "\",\"signing_keys\":[\"" GO_OPERATOR "\"]}}",
                  &info);
    assert_int_equal(info.type, SF_NATS_OPERATOR);
    assert_string_equal(info.issuer, GO_OPERATOR);
    assert_string_equal(info.subject, GO_OPERATOR);
    assert_string_equal(info.name, "mesh");
    assert_int_equal(info.iat_s, 1700000000);
    assert_int_equal(info.expires_s, 0);
    sf_buf_done(&jwt);
}

static const struct sf_nats_export exports[] = {
    {.name = "live", .subject = "dp.sales.>", .flow = SF_NATS_STREAM},
    {.name = "requests",
     .subject = "dpq.sales.*.>",
     .flow = SF_NATS_SERVICE,
     .is_streamed = true,
     .account_token = 3},
};
static const struct sf_nats_import imports[] = {
    {.name = "log",
     .subject = "ingest." GO_ACCOUNT ".>",
     .exporter = GO_ACCOUNT,
     .flow = SF_NATS_SERVICE,
     .local_subject = "ingest.>"},
    {.name = "deliver", .subject = "out." GO_ACCOUNT ".x", .exporter = GO_ACCOUNT},
};
static const struct sf_nats_revocation revocations[] = {{GO_USER, 1600000000}};

static struct sf_account_claims account_claims(const struct keys *k)
{
    return (struct sf_account_claims){
        .name = "sales.serve",
        .subject = &k->seed.public_key,
        .limits = sf_account_limits_open(),
        .exports = exports,
        .export_count = SF_COUNT(exports),
        .imports = imports,
        .import_count = SF_COUNT(imports),
        .revocations = revocations,
        .revocation_count = SF_COUNT(revocations),
    };
}

#define ACCOUNT_HEAD                                                                               \
    "\"iat\":1700000000,\"iss\":\"" GO_OPERATOR                                                    \
    "\",\"name\":\"sales.serve\",\"sub\":\"" GO_ACCOUNT                                            \
    "\",\"nats\":{\"type\":\"account\",\"version\":2,"

static void test_account_claims_are_written_in_full(void **state)
{
    struct keys *k = *state;
    struct sf_account_claims c = account_claims(k);
    struct sf_buf jwt = {0};
    struct sf_nats_jwt_info info;

    c.limits.payload_bytes = 4194304;
    assert_int_equal(sf_account_jwt(&c, &k->signer, &jwt, NULL), SF_OK);
    assert_claims(
        &jwt,
        ACCOUNT_HEAD
        "\"limits\":{\"subs\":-1,\"data\":-1,\"payload\":4194304,\"imports\":-1,\"exports\":-1,"
        "\"wildcards\":true,\"conn\":-1,\"leaf\":-1},"
        "\"exports\":[{\"name\":\"live\",\"subject\":\"dp.sales.>\",\"type\":\"stream\"},"
        "{\"name\":\"requests\",\"subject\":\"dpq.sales.*.>\",\"type\":\"service\","
        "\"response_type\":\"Stream\",\"account_token_position\":3}],"
        "\"imports\":[{\"name\":\"log\",\"subject\":\"ingest." GO_ACCOUNT
        ".>\",\"account\":\"" GO_ACCOUNT "\",\"type\":\"service\",\"local_subject\":\"ingest.>\"},"
        "{\"name\":\"deliver\",\"subject\":\"out." GO_ACCOUNT ".x\",\"account\":\"" GO_ACCOUNT
        "\",\"type\":\"stream\"}],\"revocations\":{\"" GO_USER "\":1600000000}}}",
        &info);
    assert_int_equal(info.type, SF_NATS_ACCOUNT);
    assert_string_equal(info.subject, GO_ACCOUNT);
    sf_buf_done(&jwt);
}

static void test_closed_limits_allow_nothing_and_jetstream_is_asked_for(void **state)
{
    struct keys *k = *state;
    struct sf_account_claims c = {
        .name = "sales.serve",
        .subject = &k->seed.public_key,
        .limits = sf_account_limits_closed(),
    };
    struct sf_buf jwt = {0};
    struct sf_nats_jwt_info info;

    assert_int_equal(sf_account_jwt(&c, &k->signer, &jwt, NULL), SF_OK);
    assert_claims(&jwt,
                  ACCOUNT_HEAD
                  "\"limits\":{\"subs\":0,\"data\":-1,\"payload\":0,\"imports\":0,\"exports\":0,"
                  "\"wildcards\":true,\"conn\":0,\"leaf\":0},\"exports\":[],\"imports\":[]}}",
                  &info);
    sf_buf_clear(&jwt);
    c.limits = sf_account_limits_open();
    c.limits.js_disk_bytes = -1;
    c.limits.js_streams = -1;
    c.limits.js_consumers = -1;
    assert_int_equal(sf_account_jwt(&c, &k->signer, &jwt, NULL), SF_OK);
    assert_claims(&jwt,
                  ACCOUNT_HEAD
                  "\"limits\":{\"subs\":-1,\"data\":-1,\"payload\":-1,\"imports\":-1,"
                  "\"exports\":-1,\"wildcards\":true,\"conn\":-1,\"leaf\":-1,\"mem_storage\":0,"
                  "\"disk_storage\":-1,\"streams\":-1,\"consumer\":-1},\"exports\":[],"
                  "\"imports\":[]}}",
                  &info);
    sf_buf_done(&jwt);
}

static void test_user_claims_are_written_in_full(void **state)
{
    static const char *const allow[] = {"$SYS.REQ.CLAIMS.UPDATE", "$SYS._INBOX.>"};
    static const char *const deny[] = {"q.>"};
    struct keys *k = *state;
    struct sf_user_claims c = {
        .name = "hub",
        .subject = &k->seed.public_key,
        .issuer_account = GO_ACCOUNT,
        .publish_allow = {allow, 2},
        .subscribe_deny = {deny, 1},
        .connection_type = "STANDARD",
        .expires_s = 1800000000,
    };
    struct sf_buf jwt = {0};
    struct sf_nats_jwt_info info;

    assert_int_equal(sf_user_jwt(&c, &k->signer, &jwt, NULL), SF_OK);
    assert_claims(
        &jwt,
        "\"iat\":1700000000,\"iss\":\"" GO_ACCOUNT "\",\"name\":\"hub\",\"sub\":\"" GO_USER
        "\",\"exp\":1800000000,\"nats\":{\"type\":\"user\",\"version\":2,"
        "\"pub\":{\"allow\":[\"$SYS.REQ.CLAIMS.UPDATE\",\"$SYS._INBOX.>\"]},"
        "\"sub\":{\"deny\":[\"q.>\"]},\"subs\":-1,\"data\":-1,\"payload\":-1,"
        "\"allowed_connection_types\":[\"STANDARD\"],\"issuer_account\":\"" GO_ACCOUNT "\"}}",
        &info);
    assert_int_equal(info.type, SF_NATS_USER);
    assert_string_equal(info.issuer_account, GO_ACCOUNT);
    assert_int_equal(info.expires_s, 1800000000);
    sf_buf_done(&jwt);
}

static void test_other_claims_or_another_second_give_another_jti(void **state)
{
    struct keys *k = *state;
    struct sf_account_claims c = account_claims(k);
    struct sf_nats_signer later = {&k->seed, 1700000001};
    struct sf_nats_jwt_info info[3];
    struct sf_buf jwt = {0};

    assert_int_equal(sf_account_jwt(&c, &k->signer, &jwt, NULL), SF_OK);
    assert_int_equal(sf_nats_jwt_read(sf_buf_view(&jwt), &info[0], NULL), SF_OK);
    sf_buf_clear(&jwt);
    assert_int_equal(sf_account_jwt(&c, &later, &jwt, NULL), SF_OK);
    assert_int_equal(sf_nats_jwt_read(sf_buf_view(&jwt), &info[1], NULL), SF_OK);
    sf_buf_clear(&jwt);
    c.import_count--;
    assert_int_equal(sf_account_jwt(&c, &k->signer, &jwt, NULL), SF_OK);
    assert_int_equal(sf_nats_jwt_read(sf_buf_view(&jwt), &info[2], NULL), SF_OK);
    assert_string_not_equal(info[0].jti, info[1].jti);
    assert_string_not_equal(info[0].jti, info[2].jti);
    sf_buf_done(&jwt);
}

static void test_jwts_of_the_official_library_are_read(void **state)
{
    struct sf_nats_jwt_info info;

    (void)state;
    assert_int_equal(sf_nats_jwt_read(sf_slice_text(go_operator_jwt), &info, NULL), SF_OK);
    assert_int_equal(info.type, SF_NATS_OPERATOR);
    assert_string_equal(info.name, "mesh");
    assert_int_equal(sf_nats_jwt_read(sf_slice_text(go_account_jwt), &info, NULL), SF_OK);
    assert_int_equal(info.type, SF_NATS_ACCOUNT);
    assert_string_equal(info.name, "sales.serve");
    assert_string_equal(info.jti, "6WFL6B7YABD24K3EL65TNUNMT5I4AZSBNV575R3TWHXCVCD3HRLQ");
    assert_int_equal(sf_nats_jwt_read(sf_slice_text(go_user_jwt), &info, NULL), SF_OK);
    assert_int_equal(info.type, SF_NATS_USER);
    assert_string_equal(info.subject, GO_USER);
    assert_string_equal(info.issuer, GO_ACCOUNT);
    assert_int_equal(info.expires_s, 1800000000);
}

/* Signs @payload as it is, under @header. */
static enum sf_code read_forged(const struct keys *k, struct sf_slice header, const char *payload,
                                struct sf_error *err)
{
    struct sf_nats_jwt_info info;
    struct sf_buf jwt = {0};
    enum sf_code code;

    assert_int_equal(sf_jws_make(header, sf_slice_text(payload), &k->seed, &jwt, NULL), SF_OK);
    code = sf_nats_jwt_read(sf_buf_view(&jwt), &info, err);
    sf_buf_done(&jwt);
    return code;
}

#define USER_PAYLOAD(iss, sub, rest)                                                               \
    "{\"jti\":\"X\",\"iat\":1,\"iss\":\"" iss "\",\"name\":\"n\",\"sub\":\"" sub                   \
    "\",\"nats\":{\"type\":\"user\",\"version\":2}" rest "}"

static void test_what_is_not_such_a_jwt_is_refused(void **state)
{
    static const struct {
        const char *payload;
        const char *want;
    } cases[] = {
        {USER_PAYLOAD(GO_OPERATOR, GO_USER, ""), "'iss': the key is of kind operator, not account"},
        {USER_PAYLOAD(GO_ACCOUNT, GO_ACCOUNT, ""), "'sub': the key is of kind account, not user"},
        {USER_PAYLOAD(GO_ACCOUNT, "UAB2", ""), "'sub': not a public key in the form of NATS"},
        {USER_PAYLOAD(GO_ACCOUNT, GO_USER, ",\"iat\":2"), "'iat' is given twice"},
        {USER_PAYLOAD(GO_ACCOUNT, GO_USER, ",\"exp\":\"1\""),
         "'exp' must be a whole number from 0 to 9223372036854775807"},
        {"{\"nats\":{\"type\":\"activation\",\"version\":2}}",
         "claims of another type than operator, account or user"},
        {"{\"nats\":{\"type\":\"user\"}}", "'version' is missing"},
        {"{\"nats\":{\"type\":\"user\",\"version\":1}}",
         "'version' must be a whole number from 2 to 2"},
        {"{}", "'nats' is missing"},
        {"[]", NULL},
        {"{\"nats\":", NULL},
    };
    struct keys *k = *state;

    assert_int_equal(read_forged(k, HEADER, USER_PAYLOAD(GO_ACCOUNT, GO_USER, ""), NULL), SF_OK);
    for (size_t i = 0; i < SF_COUNT(cases); i++) {
        struct sf_error err = {0};

        assert_int_equal(read_forged(k, HEADER, cases[i].payload, &err), SF_INVALID);
        if (cases[i].want != NULL) {
            assert_string_equal(err.text, cases[i].want);
        }
    }
}

static void test_another_header_is_refused(void **state)
{
    static const char *const headers[] = {
        "{\"typ\":\"JWT\",\"alg\":\"none\"}",
        "{\"alg\":\"ed25519-nkey\",\"typ\":\"JWT\"}",
        "{\"typ\":\"jwt\",\"alg\":\"ed25519\"}",
        "",
    };
    struct keys *k = *state;

    for (size_t i = 0; i < SF_COUNT(headers); i++) {
        struct sf_error err = {0};

        assert_int_equal(
            read_forged(k, sf_slice_text(headers[i]), USER_PAYLOAD(GO_ACCOUNT, GO_USER, ""), &err),
            SF_INVALID);
        assert_string_equal(err.text, "the header of the JWT is not that of NATS");
    }
}

static void test_a_changed_jwt_does_not_hold(void **state)
{
    struct sf_nats_jwt_info info;
    char text[sizeof(go_user_jwt)];
    size_t size = sizeof(text) - 1;

    (void)state;
    for (size_t at = 0; at < size; at++) {
        enum sf_code code;

        memcpy(text, go_user_jwt, sizeof(text));
        text[at] = text[at] == 'A' ? 'B' : 'A';
        code = sf_nats_jwt_read(sf_slice_of(text, size), &info, NULL);
        assert_true(code == SF_INVALID || code == SF_DENIED);
    }
    for (size_t n = 0; n < size; n++) {
        assert_int_equal(sf_nats_jwt_read(sf_slice_of(go_user_jwt, n), &info, NULL), SF_INVALID);
    }
    memcpy(text, go_user_jwt, sizeof(text));
    text[size - 1] = text[size - 1] == 'g' ? 'w' : 'g'; /* the last one's own bits */
    assert_int_equal(sf_nats_jwt_read(sf_slice_of(text, size), &info, NULL), SF_DENIED);
}

static void test_a_claim_too_large_for_a_server_is_busy(void **state)
{
    enum { IMPORTS = 6000 };
    struct keys *k = *state;
    struct sf_account_claims c = account_claims(k);
    struct sf_nats_import *many = sf_calloc(IMPORTS, sizeof(*many));
    struct sf_buf jwt = {0};
    struct sf_error err = {0};

    assert_non_null(many);
    for (size_t i = 0; i < IMPORTS; i++) {
        many[i] = imports[0];
    }
    c.imports = many;
    c.import_count = IMPORTS;
    assert_int_equal(sf_account_jwt(&c, &k->signer, &jwt, &err), SF_BUSY);
    sf_free(many);
    sf_buf_done(&jwt);
}

static void test_credentials_are_written_and_read(void **state)
{
    struct keys *k = *state;
    struct sf_buf text = {0};
    struct sf_slice jwt;
    struct sf_seed user = {0};
    struct sf_error err = {0};
    enum sf_code code;

    assert_int_equal(sf_creds_parse(sf_slice_text(go_creds), &jwt, &user, NULL), SF_OK);
    assert_true(sf_slice_equal(jwt, sf_slice_text(go_user_jwt)));
    assert_true(sf_slice_equal(sf_seed_bytes(&user), sf_seed_bytes(&k->seed)));
    sf_seed_done(&user);
    sf_creds_format(sf_slice_text(go_user_jwt), &k->seed, &text);
    assert_int_equal(sf_creds_parse(sf_buf_view(&text), &jwt, &user, NULL), SF_OK);
    assert_true(sf_slice_equal(jwt, sf_slice_text(go_user_jwt)));
    sf_seed_done(&user);
    for (size_t n = 0; n < text.size; n++) {
        code = sf_creds_parse(sf_slice_of(text.data, n), &jwt, &user, &err);
        assert_int_equal(code, SF_INVALID);
        assert_string_equal(err.text, "not a credentials file of NATS");
    }
    sf_buf_done(&text);
    sf_buf_printf(&text,
                  "-----BEGIN NATS USER JWT-----\nx\n------END NATS USER JWT------\n"
                  "-----BEGIN USER NKEY SEED-----\n%s\n------END USER NKEY SEED------\n",
                  GO_ACCOUNT_SEED);
    assert_int_equal(sf_creds_parse(sf_buf_view(&text), &jwt, &user, &err), SF_INVALID);
    assert_string_equal(err.text, "the seed in the credentials is of kind account, not user");
    sf_buf_done(&text);
}

static void test_every_failed_allocation_is_told(void **state)
{
    struct keys *k = *state;
    struct sf_account_claims c = account_claims(k);
    long faults = 1;

    for (long after = 0; faults != 0; after++) {
        struct sf_buf jwt = {0};
        struct sf_nats_jwt_info info;
        enum sf_code code;

        sf_alloc_fail_after(after, 0);
        code = sf_account_jwt(&c, &k->signer, &jwt, NULL);
        if (code == SF_OK) {
            code = sf_nats_jwt_read(sf_buf_view(&jwt), &info, NULL);
        }
        faults = sf_alloc_faults();
        sf_alloc_fail_after(-1, 0);
        assert_int_equal(code, faults == 0 ? SF_OK : SF_NOMEM);
        sf_buf_done(&jwt);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operator_claims_are_written_in_full),
        cmocka_unit_test(test_account_claims_are_written_in_full),
        cmocka_unit_test(test_closed_limits_allow_nothing_and_jetstream_is_asked_for),
        cmocka_unit_test(test_user_claims_are_written_in_full),
        cmocka_unit_test(test_other_claims_or_another_second_give_another_jti),
        cmocka_unit_test(test_jwts_of_the_official_library_are_read),
        cmocka_unit_test(test_what_is_not_such_a_jwt_is_refused),
        cmocka_unit_test(test_another_header_is_refused),
        cmocka_unit_test(test_a_changed_jwt_does_not_hold),
        cmocka_unit_test(test_a_claim_too_large_for_a_server_is_busy),
        cmocka_unit_test(test_credentials_are_written_and_read),
        cmocka_unit_test(test_every_failed_allocation_is_told),
    };

    return sf_crypto_init(NULL) != SF_OK ||
           cmocka_run_group_tests_name("nats_jwt", tests, make_keys, free_keys) != 0;
}
