#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/identity/jws.h"
#include "common/identity/token_cache.h"
#include "proto/errors.h"

#define NOW 1700000000
/* Of the seed 1, 2, 3, 0, 0, ...: roles "analyst" of sales, for crm/people of mesh "m". */
#define ROLES_GOLDEN                                                                               \
    "eyJhbGciOiJFZERTQSIsInR5cCI6InNoZWFmLXJvbGVzK2p3dCJ9."                                        \
    "eyJpc3MiOiJzYWxlcyIsInJvbGVzIjpbImFuYWx5c3QiXSwiaWF0IjoxNzAwMDAwMDAwLCJleHAiOjE3MDAwMDAxMjAs" \
    "I"                                                                                            \
    "mF1ZCI6Im0vY3JtL3Blb3BsZSJ9."                                                                 \
    "ah2GL5x9BuBqwkuiRQrXA6cU3nX8_7k0Yzk3iuDziIF4s77VgfEHCfY5rTGrAdNGiVfmlYuSoxNU9Ug6_-F4Bg"
#define HEADER "{\"alg\":\"EdDSA\",\"typ\":\"JWT\"}"

struct world {
    struct sf_seed sales;
    struct sf_seed other;
    struct sf_token_check check;
};

static bool find_key(void *data, const char *issuer, struct sf_public_key *ret)
{
    const struct world *w = data;

    if (strcmp(issuer, "sales") != 0) {
        return false;
    }
    *ret = w->sales.public_key;
    return true;
}

static int make_world(void **state)
{
    static struct world w;

    w = (struct world){.check = {find_key, &w, "mesh-1", NOW}};
    assert_int_equal(sf_seed_generate(&w.sales, NULL), SF_OK);
    assert_int_equal(sf_seed_generate(&w.other, NULL), SF_OK);
    *state = &w;
    return 0;
}

/* Everything that holds without a cache holds with one. */
static int make_world_with_cache(void **state)
{
    struct world *w;
    int failed = make_world(state);

    w = *state;
    assert_int_equal(sf_token_cache_new(&w->check.cache, NULL), SF_OK);
    return failed;
}

static int free_world(void **state)
{
    struct world *w = *state;

    sf_token_cache_free(w->check.cache);
    sf_seed_done(&w->sales);
    sf_seed_done(&w->other);
    return 0;
}

static struct sf_token good_claims(void)
{
    return (struct sf_token){
        .issuer = "sales",
        .subject = "ann",
        .audience = "mesh-1",
        .roles = {{"approver"}, {"editor"}},
        .role_count = 2,
        .issued_s = NOW - 10,
        .expires_s = NOW + 600,
    };
}

static enum sf_token_verdict verify_made(struct world *w, const struct sf_token *claims,
                                         const struct sf_seed *key, struct sf_token *ret)
{
    struct sf_buf text = {0};
    enum sf_token_verdict verdict;

    assert_int_equal(sf_token_make(claims, key, &text, NULL), SF_OK);
    verdict = sf_token_verify(&w->check, sf_buf_view(&text), ret);
    sf_buf_done(&text);
    return verdict;
}

static void test_a_good_token_tells_who_calls(void **state)
{
    struct world *w = *state;
    struct sf_token claims = good_claims();
    struct sf_token t = {0};

    assert_int_equal(verify_made(w, &claims, &w->sales, &t), SF_TOKEN_GOOD);
    assert_string_equal(t.issuer, "sales");
    assert_string_equal(t.subject, "ann");
    assert_string_equal(t.audience, "mesh-1");
    assert_int_equal(t.role_count, 2);
    assert_true(sf_token_has_role(&t, "approver"));
    assert_true(sf_token_has_role(&t, "editor"));
    assert_false(sf_token_has_role(&t, "admin"));
    assert_int_equal(t.issued_s, NOW - 10);
    assert_int_equal(t.expires_s, NOW + 600);
}

static void test_each_wrong_token_has_its_verdict(void **state)
{
    struct world *w = *state;
    struct sf_token t = {.subject = "untouched"};
    struct sf_token c = good_claims();

    c.expires_s = NOW;
    assert_int_equal(verify_made(w, &c, &w->sales, &t), SF_TOKEN_EXPIRED);
    c.expires_s = NOW + 1;
    assert_int_equal(verify_made(w, &c, &w->sales, &t), SF_TOKEN_GOOD);
    t = (struct sf_token){.subject = "untouched"};
    assert_int_equal(verify_made(w, &c, &w->other, &t), SF_TOKEN_BAD_SIGNATURE);
    c = good_claims();
    (void)snprintf(c.issuer, sizeof(c.issuer), "ops");
    assert_int_equal(verify_made(w, &c, &w->other, &t), SF_TOKEN_FOREIGN);
    c = good_claims();
    (void)snprintf(c.audience, sizeof(c.audience), "mesh-2");
    assert_int_equal(verify_made(w, &c, &w->sales, &t), SF_TOKEN_WRONG_AUDIENCE);
    c = good_claims();
    c.issued_s = NOW + SF_TOKEN_SKEW_S + 1;
    assert_int_equal(verify_made(w, &c, &w->sales, &t), SF_TOKEN_NOT_YET);
    c.issued_s = NOW + SF_TOKEN_SKEW_S;
    assert_int_equal(verify_made(w, &c, &w->sales, &t), SF_TOKEN_GOOD);
    t = (struct sf_token){.subject = "untouched"};
    assert_int_equal(sf_token_verify(&w->check, SF_LITERAL(""), &t), SF_TOKEN_MISSING);
    assert_string_equal(t.subject, "untouched");
}

static void test_a_token_that_lives_too_long_is_neither_made_nor_taken(void **state)
{
    struct world *w = *state;
    struct sf_token c = good_claims();
    struct sf_token t;
    struct sf_buf text = {0};
    struct sf_error err = {0};

    c.expires_s = c.issued_s + SF_TOKEN_LIFETIME_MAX_S + 1;
    assert_int_equal(sf_token_make(&c, &w->sales, &text, &err), SF_INVALID);
    assert_string_equal(err.text, "a token lives between a second and an hour");
    c.expires_s = c.issued_s;
    assert_int_equal(sf_token_make(&c, &w->sales, &text, &err), SF_INVALID);
    c.expires_s = c.issued_s + SF_TOKEN_LIFETIME_MAX_S;
    assert_int_equal(verify_made(w, &c, &w->sales, &t), SF_TOKEN_GOOD);
    c = good_claims();
    c.subject[0] = '\0';
    assert_int_equal(sf_token_make(&c, &w->sales, &text, &err), SF_INVALID);
    assert_string_equal(err.text, "a token needs an issuer, an audience and its subject");
    sf_buf_done(&text);
}

/* Signs @payload under @header as they are. */
static enum sf_token_verdict forged(struct world *w, const char *header, const char *payload)
{
    struct sf_buf text = {0};
    struct sf_token t;
    enum sf_token_verdict verdict;

    assert_int_equal(
        sf_jws_make(sf_slice_text(header), sf_slice_text(payload), &w->sales, &text, NULL), SF_OK);
    verdict = sf_token_verify(&w->check, sf_buf_view(&text), &t);
    sf_buf_done(&text);
    return verdict;
}

#define PAYLOAD(roles, rest)                                                                       \
    "{\"iss\":\"sales\",\"sub\":\"ann\",\"roles\":" roles                                          \
    ",\"iat\":1700000000,\"exp\":1700000001,\"aud\":\"mesh-1\"" rest "}"

static void test_another_algorithm_is_malformed(void **state)
{
    static const char *const headers[] = {
        "{\"alg\":\"none\",\"typ\":\"JWT\"}",   "{\"alg\":\"HS256\",\"typ\":\"JWT\"}",
        "{\"typ\":\"JWT\",\"alg\":\"EdDSA\"}",  "{\"alg\":\"EdDSA\",\"typ\":\"JWT\",\"jwk\":{}}",
        "{\"alg\":\"EdDSA\", \"typ\":\"JWT\"}", "{}",
    };
    struct world *w = *state;

    assert_int_equal(forged(w, HEADER, PAYLOAD("[]", "")), SF_TOKEN_GOOD);
    for (size_t i = 0; i < SF_COUNT(headers); i++) {
        assert_int_equal(forged(w, headers[i], PAYLOAD("[]", "")), SF_TOKEN_MALFORMED);
    }
}

static void test_claims_are_read_strictly(void **state)
{
    static const char *const payloads[] = {
        PAYLOAD("[]", ",\"nbf\":1"),
        PAYLOAD("[]", ",\"sub\":\"bob\""),
        PAYLOAD("\"editor\"", ""),
        PAYLOAD("[1]", ""),
        PAYLOAD("[\"\"]", ""),
        PAYLOAD("[\"a role name that is longer than thirty-one\"]", ""),
        PAYLOAD("[\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\","
                "\"a\",\"a\",\"a\",\"a\"]",
                ""),
        PAYLOAD("null", ""),
        "{\"iss\":\"sales\",\"sub\":\"ann\",\"roles\":[],\"iat\":1700000000.5,"
        "\"exp\":1700000001,\"aud\":\"mesh-1\"}",
        "{\"iss\":\"sales\",\"sub\":\"\",\"roles\":[],\"iat\":1,\"exp\":2,\"aud\":\"mesh-1\"}",
        "{\"iss\":\"sales\",\"sub\":\"ann\",\"roles\":[],\"iat\":-5,\"exp\":-2,\"aud\":\"m\"}",
        "{\"iss\":\"sales\",\"sub\":\"ann\",\"roles\":[],\"exp\":1700000001,\"aud\":\"mesh-1\"}",
        "{\"iss\":\"sales\",\"sub\":\"a\\u0000b\",\"roles\":[],\"iat\":1700000000,"
        "\"exp\":1700000001,\"aud\":\"mesh-1\"}",
        "[]",
        "",
    };
    struct world *w = *state;

    for (size_t i = 0; i < SF_COUNT(payloads); i++) {
        assert_int_equal(forged(w, HEADER, payloads[i]), SF_TOKEN_MALFORMED);
    }
}

static void test_every_changed_character_is_refused(void **state)
{
    struct world *w = *state;
    struct sf_token c = good_claims();
    struct sf_token t;
    struct sf_buf text = {0};

    assert_int_equal(sf_token_make(&c, &w->sales, &text, NULL), SF_OK);
    for (size_t at = 0; at < text.size; at++) {
        uint8_t was = text.data[at];

        for (unsigned i = 0; i < 3; i++) {
            text.data[at] = (uint8_t) "A=_"[i];
            if (text.data[at] != was) {
                assert_int_not_equal(sf_token_verify(&w->check, sf_buf_view(&text), &t),
                                     SF_TOKEN_GOOD);
            }
        }
        text.data[at] = was;
    }
    for (size_t n = 1; n < text.size; n++) {
        assert_int_equal(sf_token_verify(&w->check, sf_slice_of(text.data, n), &t),
                         SF_TOKEN_MALFORMED);
    }
    assert_int_equal(sf_token_verify(&w->check, sf_buf_view(&text), &t), SF_TOKEN_GOOD);
    sf_buf_byte(&text, '=');
    assert_int_equal(sf_token_verify(&w->check, sf_buf_view(&text), &t), SF_TOKEN_MALFORMED);
    sf_buf_done(&text);
}

static void test_verdicts_become_the_errors_that_users_know(void **state)
{
    static const struct {
        enum sf_token_verdict verdict;
        uint16_t number;
        const char *text;
    } cases[] = {
        {SF_TOKEN_MISSING, 501, "no token was sent"},
        {SF_TOKEN_MALFORMED, 502, "the token is malformed"},
        {SF_TOKEN_FOREIGN, 504, "tokens of this issuer are not taken here"},
        {SF_TOKEN_BAD_SIGNATURE, 502, "the signature of the token does not hold"},
        {SF_TOKEN_WRONG_AUDIENCE, 502, "the token is for another mesh"},
        {SF_TOKEN_TOO_LONG_LIVED, 502, "the token lives longer than an hour"},
        {SF_TOKEN_NOT_YET, 502, "the token was issued in the future; a clock is wrong"},
        {SF_TOKEN_EXPIRED, 503, "the token has expired"},
    };

    (void)state;
    for (size_t i = 0; i < SF_COUNT(cases); i++) {
        struct sf_error err = {0};

        assert_int_equal(sf_token_raise(SF_TOKEN_HTTP, cases[i].verdict, &err), SF_DENIED);
        assert_int_equal(err.number, cases[i].number);
        assert_string_equal(err.text, cases[i].text);
    }
}

static void test_the_header_gives_the_token(void **state)
{
    (void)state;
    assert_true(sf_slice_equal(sf_token_of_header("Bearer a.b.c"), SF_LITERAL("a.b.c")));
    assert_true(sf_slice_equal(sf_token_of_header("bearer a"), SF_LITERAL("a")));
    assert_int_equal(sf_token_of_header("Basic a").size, 0);
    assert_int_equal(sf_token_of_header("Bearer").size, 0);
    assert_int_equal(sf_token_of_header(NULL).size, 0);
}

static void test_a_failed_allocation_never_makes_a_token_good(void **state)
{
    struct world *w = *state;
    struct sf_token c = good_claims();
    struct sf_buf text = {0};
    long faults = 1;

    assert_int_equal(sf_token_make(&c, &w->sales, &text, NULL), SF_OK);
    for (long after = 0; faults != 0; after++) {
        struct sf_token t;
        enum sf_token_verdict verdict;

        sf_alloc_fail_after(after, 0);
        verdict = sf_token_verify(&w->check, sf_buf_view(&text), &t);
        faults = sf_alloc_faults();
        sf_alloc_fail_after(-1, 0);
        assert_int_equal(verdict, faults == 0 ? SF_TOKEN_GOOD : SF_TOKEN_NO_MEMORY);
    }
    sf_buf_done(&text);
}

/* --- assertions of roles --- */

#define ROLES_HEADER "{\"alg\":\"EdDSA\",\"typ\":\"sheaf-roles+jwt\"}"
#define ROLES_CLAIMS                                                                               \
    "\"roles\":[\"analyst\"],\"iat\":1700000000,\"exp\":1700000120,\"aud\":\"m/crm/people\"}"

static struct sf_token good_assertion(void)
{
    struct sf_token t = {
        .kind = SF_TOKEN_ASSERTION,
        .issuer = "sales",
        .roles = {{"analyst"}},
        .role_count = 1,
        .issued_s = NOW,
        .expires_s = NOW + 120,
    };

    sf_token_audience("m", "crm", "people", t.audience);
    return t;
}

static void test_an_assertion_says_which_roles_somebody_has(void **state)
{
    static const uint8_t seed[SF_SEED_SIZE] = {1, 2, 3};
    struct world *w = *state;
    struct sf_token c = good_assertion();
    struct sf_token t = {0};
    struct sf_buf text = {0};

    w->check.kind = SF_TOKEN_ASSERTION;
    w->check.audience = "m/crm/people";
    assert_int_equal(verify_made(w, &c, &w->sales, &t), SF_TOKEN_GOOD);
    assert_memory_equal(&t, &c, sizeof(t));
    sf_seed_done(&w->sales);
    assert_int_equal(sf_seed_from_bytes(sf_slice_of(seed, sizeof(seed)), &w->sales, NULL), SF_OK);
    assert_int_equal(sf_token_make(&c, &w->sales, &text, NULL), SF_OK);
    sf_buf_byte(&text, '\0');
    assert_string_equal((const char *)text.data, ROLES_GOLDEN); /* docs/formats/role-assertion.md */
    sf_buf_done(&text);
}

static void test_each_wrong_assertion_has_its_verdict(void **state)
{
    static const struct {
        const char *header;
        const char *claims;
        enum sf_token_verdict verdict;
    } cases[] = {
        {ROLES_HEADER, "{\"iss\":\"sales\"," ROLES_CLAIMS, SF_TOKEN_GOOD},
        {HEADER, "{\"iss\":\"sales\"," ROLES_CLAIMS, SF_TOKEN_MALFORMED},
        {"{\"alg\":\"none\",\"typ\":\"sheaf-roles+jwt\"}", "{\"iss\":\"sales\"," ROLES_CLAIMS,
         SF_TOKEN_MALFORMED},
        {ROLES_HEADER, "{\"iss\":\"sales\",\"sub\":\"ann\"," ROLES_CLAIMS, SF_TOKEN_MALFORMED},
        {ROLES_HEADER, "{\"iss\":\"crm\"," ROLES_CLAIMS, SF_TOKEN_FOREIGN},
        {ROLES_HEADER, PAYLOAD("[\"analyst\"]", ""), SF_TOKEN_MALFORMED}, /* of an HTTP token */
        {ROLES_HEADER,
         "{\"iss\":\"sales\",\"roles\":[],\"iat\":1700000000,\"exp\":1700000120,\"aud\":\"m\"}",
         SF_TOKEN_WRONG_AUDIENCE},
        {ROLES_HEADER,
         "{\"iss\":\"sales\",\"roles\":[],\"iat\":1700000000,\"exp\":1700000120,"
         "\"aud\":\"m/hr/people\"}",
         SF_TOKEN_WRONG_AUDIENCE},
        {ROLES_HEADER,
         "{\"iss\":\"sales\",\"roles\":[],\"iat\":1700000000,\"exp\":1700000301,"
         "\"aud\":\"m/crm/people\"}",
         SF_TOKEN_TOO_LONG_LIVED},
        {ROLES_HEADER,
         "{\"iss\":\"sales\",\"roles\":[],\"iat\":1700000061,\"exp\":1700000062,"
         "\"aud\":\"m/crm/people\"}",
         SF_TOKEN_NOT_YET},
        /* Another domain's clock made it: a minute late is good enough. */
        {ROLES_HEADER,
         "{\"iss\":\"sales\",\"roles\":[],\"iat\":1699999900,\"exp\":1699999941,"
         "\"aud\":\"m/crm/people\"}",
         SF_TOKEN_GOOD},
        {ROLES_HEADER,
         "{\"iss\":\"sales\",\"roles\":[],\"iat\":1699999900,\"exp\":1699999940,"
         "\"aud\":\"m/crm/people\"}",
         SF_TOKEN_EXPIRED},
    };
    struct world *w = *state;
    struct sf_token c = good_assertion();
    struct sf_token t = {0};
    struct sf_buf text = {0};

    w->check.kind = SF_TOKEN_ASSERTION;
    w->check.audience = "m/crm/people";
    for (size_t i = 0; i < SF_COUNT(cases); i++) {
        assert_int_equal(forged(w, cases[i].header, cases[i].claims), cases[i].verdict);
        assert_int_equal(forged(w, cases[i].header, cases[i].claims), cases[i].verdict); /* kept */
    }
    assert_int_equal(verify_made(w, &c, &w->other, &t), SF_TOKEN_BAD_SIGNATURE);
    for (size_t i = 0; i <= SF_TOKEN_MAX; i++) {
        sf_buf_byte(&text, 'a');
    }
    assert_int_equal(sf_token_verify(&w->check, sf_buf_view(&text), &t), SF_TOKEN_MALFORMED);
    sf_buf_done(&text);
}

/* Also when it was kept, and when both would be for the same audience. */
static void test_no_kind_of_token_is_taken_for_the_other(void **state)
{
    struct world *w = *state;
    struct sf_token c[2] = {good_claims(), good_assertion()};
    struct sf_buf text = {0};
    struct sf_token t;

    (void)snprintf(c[1].audience, sizeof(c[1].audience), "mesh-1");
    for (unsigned kind = 0; kind < 2; kind++) {
        sf_buf_clear(&text);
        assert_int_equal(sf_token_make(&c[kind], &w->sales, &text, NULL), SF_OK);
        w->check.kind = (enum sf_token_kind)kind;
        assert_int_equal(sf_token_verify(&w->check, sf_buf_view(&text), &t), SF_TOKEN_GOOD);
        w->check.kind = (enum sf_token_kind) !kind;
        assert_int_equal(sf_token_verify(&w->check, sf_buf_view(&text), &t), SF_TOKEN_MALFORMED);
    }
    sf_buf_done(&text);
}

static void test_what_is_wrong_with_an_assertion_has_one_number(void **state)
{
    static const struct {
        enum sf_token_verdict verdict;
        const char *text;
    } cases[] = {
        {SF_TOKEN_MISSING, "it is empty"},
        {SF_TOKEN_MALFORMED, "it is malformed"},
        {SF_TOKEN_FOREIGN, "its issuer is not the domain that asks"},
        {SF_TOKEN_BAD_SIGNATURE, "its signature does not hold"},
        {SF_TOKEN_WRONG_AUDIENCE, "it is for another product"},
        {SF_TOKEN_TOO_LONG_LIVED, "it lives longer than five minutes"},
        {SF_TOKEN_NOT_YET, "it was issued in the future; a clock is wrong"},
        {SF_TOKEN_EXPIRED, "it has expired"},
    };
    struct sf_error err = {0};

    (void)state;
    for (size_t i = 0; i < SF_COUNT(cases); i++) {
        assert_int_equal(sf_token_raise(SF_TOKEN_ASSERTION, cases[i].verdict, &err), SF_DENIED);
        assert_int_equal(err.number, 506);
        assert_string_equal(err.text, cases[i].text);
    }
    assert_int_equal(sf_token_raise(SF_TOKEN_ASSERTION, SF_TOKEN_NO_MEMORY, &err), SF_NOMEM);
    assert_int_equal(err.number, 602);
}

/* --- with a cache --- */

static void test_a_kept_token_is_judged_anew(void **state)
{
    struct world *w = *state;
    struct sf_token c = good_claims();
    struct sf_buf text = {0};
    struct sf_token t = {0};
    const struct sf_seed sales = w->sales;
    uint64_t faults;

    assert_int_equal(sf_token_make(&c, &w->sales, &text, NULL), SF_OK);
    assert_int_equal(sf_token_verify(&w->check, sf_buf_view(&text), &t), SF_TOKEN_GOOD);
    sf_alloc_fail_after(0, 0); /* A look into the cache needs no memory: nothing is parsed. */
    t = (struct sf_token){0};
    assert_int_equal(sf_token_verify(&w->check, sf_buf_view(&text), &t), SF_TOKEN_GOOD);
    faults = (uint64_t)sf_alloc_faults();
    sf_alloc_fail_after(-1, 0);
    assert_int_equal(faults, 0);
    assert_string_equal(t.subject, "ann");
    w->check.audience = "mesh-2";
    assert_int_equal(sf_token_verify(&w->check, sf_buf_view(&text), &t), SF_TOKEN_WRONG_AUDIENCE);
    w->check.audience = "mesh-1";
    w->check.now_s = NOW + 600;
    assert_int_equal(sf_token_verify(&w->check, sf_buf_view(&text), &t), SF_TOKEN_EXPIRED);
    w->check.now_s = NOW;
    w->sales = w->other; /* The issuer has another key now. */
    assert_int_equal(sf_token_verify(&w->check, sf_buf_view(&text), &t), SF_TOKEN_BAD_SIGNATURE);
    w->sales = sales;
    assert_int_equal(sf_token_verify(&w->check, sf_buf_view(&text), &t), SF_TOKEN_GOOD);
    sf_buf_done(&text);
}

static struct sf_buf made(const char *subject, const struct sf_seed *key)
{
    struct sf_token c = good_claims();
    struct sf_buf text = {0};

    (void)snprintf(c.subject, sizeof(c.subject), "%s", subject);
    assert_int_equal(sf_token_make(&c, key, &text, NULL), SF_OK);
    return text;
}

/* The claims of one token and the signature of another, which was found good a moment ago. */
static void test_a_kept_signature_is_good_for_its_own_text_only(void **state)
{
    struct world *w = *state;
    struct sf_buf anns = made("ann", &w->sales);
    struct sf_buf bobs = made("bob", &w->other);
    struct sf_token t = {0};
    const char *signature = strrchr(sf_buf_cstr(&anns), '.');

    assert_int_equal(sf_token_verify(&w->check, sf_buf_view(&anns), &t), SF_TOKEN_GOOD);
    *strrchr(sf_buf_cstr(&bobs), '.') = '\0';
    bobs.size = strlen((const char *)bobs.data);
    sf_buf_text(&bobs, signature);
    assert_int_equal(bobs.size, anns.size);
    assert_int_equal(sf_token_verify(&w->check, sf_buf_view(&bobs), &t), SF_TOKEN_BAD_SIGNATURE);
    assert_string_equal(t.subject, "ann");
    sf_buf_done(&anns);
    sf_buf_done(&bobs);
}

static void test_more_tokens_than_there_is_room_for_are_all_good(void **state)
{
    struct world *w = *state;

    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 3 * SF_TOKEN_CACHE_SIZE; i++) {
            struct sf_token c = good_claims();
            struct sf_token t = {0};

            (void)snprintf(c.subject, sizeof(c.subject), "user-%d", i);
            assert_int_equal(verify_made(w, &c, &w->sales, &t), SF_TOKEN_GOOD);
            assert_string_equal(t.subject, c.subject);
        }
    }
}

static void test_a_signer_of_many_pushes_out_its_own(void **state)
{
    enum { MANY = 10 * SF_TOKEN_CACHE_SIZE };
    struct world *w = *state;
    struct sf_buf tokens[2]; /* at most half of a set */
    struct sf_token t = good_claims();
    struct sf_public_key key;
    unsigned kept = 0;

    for (size_t i = 0; i < SF_COUNT(tokens); i++) {
        tokens[i] = made("ann", &w->sales);
        sf_buf_printf(&tokens[i], "%zu", i); /* the cache looks at no signature */
        sf_token_cache_keep(w->check.cache, sf_buf_view(&tokens[i]), &w->sales.public_key, &t);
        kept += sf_token_cache_find(w->check.cache, sf_buf_view(&tokens[i]), &key) != NULL;
    }
    assert_int_equal(kept, SF_COUNT(tokens));
    t.expires_s += 3000; /* who comes stays longest */
    for (int i = 0; i < MANY; i++) {
        struct sf_buf text = {0};

        sf_buf_printf(&text, "hostile.%d.%d", i, i * 7919);
        sf_token_cache_keep(w->check.cache, sf_buf_view(&text), &w->other.public_key, &t);
        assert_non_null(sf_token_cache_find(w->check.cache, sf_buf_view(&text), &key));
        sf_buf_done(&text);
    }
    for (size_t i = 0; i < SF_COUNT(tokens); i++) {
        assert_non_null(sf_token_cache_find(w->check.cache, sf_buf_view(&tokens[i]), &key));
        sf_buf_done(&tokens[i]);
    }
}

#define PLAIN(test)  cmocka_unit_test_setup_teardown(test, make_world, free_world)
#define CACHED(test) cmocka_unit_test_setup_teardown(test, make_world_with_cache, free_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLAIN(test_a_good_token_tells_who_calls),
        PLAIN(test_each_wrong_token_has_its_verdict),
        PLAIN(test_a_token_that_lives_too_long_is_neither_made_nor_taken),
        PLAIN(test_another_algorithm_is_malformed),
        PLAIN(test_claims_are_read_strictly),
        PLAIN(test_every_changed_character_is_refused),
        PLAIN(test_verdicts_become_the_errors_that_users_know),
        PLAIN(test_the_header_gives_the_token),
        PLAIN(test_a_failed_allocation_never_makes_a_token_good),
        PLAIN(test_an_assertion_says_which_roles_somebody_has),
        PLAIN(test_each_wrong_assertion_has_its_verdict),
        PLAIN(test_what_is_wrong_with_an_assertion_has_one_number),
        CACHED(test_each_wrong_assertion_has_its_verdict),
        CACHED(test_no_kind_of_token_is_taken_for_the_other),
        CACHED(test_a_good_token_tells_who_calls),
        CACHED(test_each_wrong_token_has_its_verdict),
        CACHED(test_another_algorithm_is_malformed),
        CACHED(test_claims_are_read_strictly),
        CACHED(test_every_changed_character_is_refused),
        CACHED(test_a_kept_token_is_judged_anew),
        CACHED(test_a_kept_signature_is_good_for_its_own_text_only),
        CACHED(test_more_tokens_than_there_is_room_for_are_all_good),
        CACHED(test_a_signer_of_many_pushes_out_its_own),
    };

    return sf_crypto_init(NULL) != SF_OK || cmocka_run_group_tests_name("token", tests, NULL, NULL);
}
