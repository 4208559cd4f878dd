/*
 * The first byte says what the rest is: n a JWT of NATS, t a token, a an assertion of
 * roles, c credentials, k a key, s a signed message - as they come; N the claims of a JWT, T those
 * of a token, A those of an assertion, which are signed here, so that the readers behind the
 * signature are reached. What is accepted is written again as the same.
 */
#include "common/identity/creds.h"
#include "common/identity/jws.h"
#include "common/identity/nats_jwt.h"
#include "common/identity/signed.h"
#include "common/identity/token.h"
#include "tests/fuzz/fuzz.h"

#define NOW 1700000000

static bool find_key(void *data, const char *issuer, struct sf_public_key *ret)
{
    const struct sf_seed *seed = data;

    *ret = seed->public_key;
    return strcmp(issuer, "sales") == 0;
}

static struct sf_seed make_seed(void)
{
    static const uint8_t bytes[SF_SEED_SIZE] = {1, 2, 3};
    struct sf_seed seed = {0};

    fuzz_check(sf_crypto_init(NULL) == SF_OK);
    fuzz_check(sf_seed_from_bytes(sf_slice_of(bytes, sizeof(bytes)), &seed, NULL) == SF_OK);
    return seed;
}

static void check_nats_jwt(struct sf_slice text)
{
    struct sf_nats_jwt_info info;
    struct sf_public_key key;
    enum sf_nkey_kind kind;
    enum sf_code code = sf_nats_jwt_read(text, &info, NULL);

    fuzz_check(code == SF_OK || code == SF_INVALID || code == SF_DENIED);
    if (code == SF_OK) {
        fuzz_check(sf_nkey_parse(sf_slice_text(info.issuer), &kind, &key, NULL) == SF_OK);
        fuzz_check(sf_nkey_parse(sf_slice_text(info.subject), &kind, &key, NULL) == SF_OK);
        fuzz_check(info.iat_s >= 0);
    }
}

static void check_token(enum sf_token_kind kind, struct sf_slice text, struct sf_seed *seed,
                        bool is_signed)
{
    const bool is_http = kind == SF_TOKEN_HTTP;
    struct sf_token_check check = {find_key, seed, "mesh", NOW, .kind = kind};
    struct sf_token token = {0};
    struct sf_token again = {0};
    struct sf_buf out = {0};
    enum sf_token_verdict verdict = sf_token_verify(&check, text, &token);

    fuzz_check(!is_signed || verdict != SF_TOKEN_BAD_SIGNATURE);
    if (verdict == SF_TOKEN_GOOD) {
        fuzz_check(token.expires_s > NOW - (is_http ? 0 : SF_TOKEN_SKEW_S));
        fuzz_check(token.expires_s - token.issued_s <=
                   (is_http ? SF_TOKEN_LIFETIME_MAX_S : SF_TOKEN_ASSERTION_LIFETIME_MAX_S));
        fuzz_check(is_http == (*token.subject != '\0'));
        fuzz_check(sf_token_make(&token, seed, &out, NULL) == SF_OK);
        fuzz_check(sf_token_verify(&check, sf_buf_view(&out), &again) == SF_TOKEN_GOOD);
        fuzz_check(memcmp(&token, &again, sizeof(token)) == 0);
        check.kind = is_http ? SF_TOKEN_ASSERTION : SF_TOKEN_HTTP; /* is never taken for it */
        fuzz_check(sf_token_verify(&check, text, &again) == SF_TOKEN_MALFORMED);
    }
    sf_buf_done(&out);
}

static void check_creds(struct sf_slice text)
{
    struct sf_seed user = {0};
    struct sf_seed user_again = {0};
    struct sf_slice jwt;
    struct sf_slice jwt_again;
    struct sf_buf out = {0};

    if (sf_creds_parse(text, &jwt, &user, NULL) == SF_OK) {
        sf_creds_format(jwt, &user, &out);
        fuzz_check(sf_creds_parse(sf_buf_view(&out), &jwt_again, &user_again, NULL) == SF_OK);
        fuzz_check(sf_slice_equal(jwt, jwt_again));
        fuzz_check(sf_slice_equal(sf_seed_bytes(&user), sf_seed_bytes(&user_again)));
        sf_seed_done(&user);
        sf_seed_done(&user_again);
    }
    sf_buf_done(&out);
}

static void check_key(struct sf_slice text)
{
    enum sf_nkey_kind kind;
    struct sf_public_key key;
    struct sf_seed seed = {0};
    char again[SF_NKEY_SEED_MAX];

    if (sf_nkey_parse(text, &kind, &key, NULL) == SF_OK) {
        sf_nkey_format(kind, &key, again);
        fuzz_check(sf_slice_equal(sf_slice_text(again), text));
    }
    if (sf_nkey_parse_seed(text, &kind, &seed, NULL) == SF_OK) {
        sf_nkey_format_seed(kind, &seed, again);
        fuzz_check(sf_slice_equal(sf_slice_text(again), text));
        sf_seed_done(&seed);
    }
}

static void check_signed(struct sf_slice bytes, const struct sf_seed *seed)
{
    struct sf_arena arena;
    struct sf_slice payload;
    enum sf_code code;

    sf_arena_init(&arena, 0);
    code = sf_signed_open("fuzz", bytes, &seed->public_key, &arena, &payload, NULL);
    fuzz_check(code == SF_OK || code == SF_INVALID || code == SF_DENIED);
    sf_arena_done(&arena);
}

static struct sf_buf sign(struct sf_slice header, struct sf_slice claims,
                          const struct sf_seed *seed)
{
    struct sf_buf out = {0};

    fuzz_check(sf_jws_make(header, claims, seed, &out, NULL) == SF_OK);
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sf_slice input = sf_slice_of(data, size);
    struct sf_seed seed = make_seed();
    struct sf_buf text = {0};

    switch (fuzz_take_byte(&input)) {
    case 'n':
        check_nats_jwt(input);
        break;
    case 't':
        check_token(SF_TOKEN_HTTP, input, &seed, /* is_signed= */ false);
        break;
    case 'a':
        check_token(SF_TOKEN_ASSERTION, input, &seed, /* is_signed= */ false);
        break;
    case 'c':
        check_creds(input);
        break;
    case 'k':
        check_key(input);
        break;
    case 's':
        check_signed(input, &seed);
        break;
    case 'N':
        text = sign(SF_LITERAL("{\"typ\":\"JWT\",\"alg\":\"ed25519-nkey\"}"), input, &seed);
        check_nats_jwt(sf_buf_view(&text));
        break;
    case 'T':
        text = sign(SF_LITERAL("{\"alg\":\"EdDSA\",\"typ\":\"JWT\"}"), input, &seed);
        check_token(SF_TOKEN_HTTP, sf_buf_view(&text), &seed, /* is_signed= */ true);
        break;
    case 'A':
        text = sign(SF_LITERAL("{\"alg\":\"EdDSA\",\"typ\":\"sheaf-roles+jwt\"}"), input, &seed);
        check_token(SF_TOKEN_ASSERTION, sf_buf_view(&text), &seed, /* is_signed= */ true);
        break;
    default:
        break;
    }
    sf_buf_done(&text);
    sf_seed_done(&seed);
    return 0;
}
