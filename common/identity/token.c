#include "common/identity/token.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/base/assert.h"
#include "common/identity/jws.h"
#include "common/identity/token_cache.h"
#include "common/wire/json.h"
#include "proto/errors.h"

static const struct kind {
    const char *header;
    const char *names[7]; /* of the claims */
    bool has_subject;
    int64_t lifetime_max_s;
    const char *lifetime_text;
    int64_t late_s; /* how long past exp it is taken */
} kinds[] = {
    [SF_TOKEN_HTTP] = {"{\"alg\":\"EdDSA\",\"typ\":\"JWT\"}",
                       {"iss", "sub", "roles", "iat", "exp", "aud", NULL},
                       .has_subject = true,
                       .lifetime_max_s = SF_TOKEN_LIFETIME_MAX_S,
                       .lifetime_text = "an hour"},
    [SF_TOKEN_ASSERTION] = {"{\"alg\":\"EdDSA\",\"typ\":\"sheaf-roles+jwt\"}",
                            {"iss", "roles", "iat", "exp", "aud", NULL},
                            .lifetime_max_s = SF_TOKEN_ASSERTION_LIFETIME_MAX_S,
                            .lifetime_text = "five minutes",
                            .late_s = SF_TOKEN_SKEW_S},
};

static bool lives_too_long(const struct kind *k, int64_t issued_s, int64_t expires_s)
{
    return expires_s <= issued_s || expires_s - issued_s > k->lifetime_max_s;
}

void sf_token_audience(const char *mesh, const char *owner, const char *product,
                       char ret[SF_TOKEN_AUDIENCE_SIZE])
{
    int n = snprintf(ret, SF_TOKEN_AUDIENCE_SIZE, "%s/%s/%s", mesh, owner, product);

    if (n < 0 || n >= SF_TOKEN_AUDIENCE_SIZE) {
        ret[0] = '\0'; /* nobody's */
    }
}

enum sf_code sf_token_make(const struct sf_token *claims, const struct sf_seed *key,
                           struct sf_buf *ret, struct sf_error *err)
{
    const struct kind *k = &kinds[claims->kind];
    struct sf_buf body = {0};
    struct sf_json_writer w = {.out = &body};
    enum sf_code code;

    if (claims->issuer[0] == '\0' || claims->audience[0] == '\0' ||
        (claims->subject[0] != '\0') != k->has_subject) {
        return SF_RAISE(err, SF_INVALID, "a token needs an issuer, an audience and its subject");
    }
    if (claims->issued_s < 0 || lives_too_long(k, claims->issued_s, claims->expires_s)) {
        return SF_RAISE(err, SF_INVALID, "a token lives between a second and %s", k->lifetime_text);
    }
    sf_json_object_begin(&w);
    sf_json_member_text(&w, "iss", claims->issuer);
    if (k->has_subject) {
        sf_json_member_text(&w, "sub", claims->subject);
    }
    sf_json_key(&w, "roles");
    sf_json_array_begin(&w);
    for (size_t i = 0; i < claims->role_count; i++) {
        sf_json_text(&w, claims->roles[i].text);
    }
    sf_json_array_end(&w);
    sf_json_member_int(&w, "iat", claims->issued_s);
    sf_json_member_int(&w, "exp", claims->expires_s);
    sf_json_member_text(&w, "aud", claims->audience);
    sf_json_object_end(&w);
    code = sf_buf_check(&body, "token", err);
    if (code == SF_OK) {
        code = sf_jws_make(sf_slice_text(k->header), sf_buf_view(&body), key, ret, err);
    }
    sf_buf_done(&body);
    return code;
}

/* Copies a text of 1 to @size - 1 bytes. */
static bool take_text(const struct sf_json *v, char *ret, size_t size)
{
    const char *text;

    if (!sf_json_as_text(v, &text) || text[0] == '\0' || strlen(text) >= size) {
        return false;
    }
    memcpy(ret, text, strlen(text) + 1);
    return true;
}

static bool take_roles(const struct sf_json *v, struct sf_token *ret)
{
    if (sf_json_kind(v) != SF_JSON_ARRAY || sf_json_count(v) > SF_TOKEN_ROLES_MAX) {
        return false;
    }
    for (struct sf_json_iter it = sf_json_iter(v); sf_json_next(&it);) {
        struct sf_token_role *role = &ret->roles[ret->role_count++];

        if (!take_text(it.value, role->text, sizeof(role->text))) {
            return false;
        }
    }
    return true;
}

static bool take_claims(const struct kind *k, const struct sf_json *root, struct sf_token *ret)
{
    return sf_json_check_names(root, k->names, NULL) == SF_OK &&
           take_text(sf_json_get(root, "iss"), ret->issuer, sizeof(ret->issuer)) &&
           (!k->has_subject ||
            take_text(sf_json_get(root, "sub"), ret->subject, sizeof(ret->subject))) &&
           take_text(sf_json_get(root, "aud"), ret->audience, sizeof(ret->audience)) &&
           take_roles(sf_json_get(root, "roles"), ret) &&
           sf_json_as_int(sf_json_get(root, "iat"), &ret->issued_s) && ret->issued_s >= 0 &&
           sf_json_as_int(sf_json_get(root, "exp"), &ret->expires_s) && ret->expires_s >= 0;
}

/* The token while it is read. */
struct reading {
    struct sf_buf header;
    struct sf_buf payload;
    struct sf_jws jws;
    struct sf_json_doc *doc;
};

static void reading_done(struct reading *r)
{
    sf_json_free(r->doc);
    sf_buf_done(&r->payload);
    sf_buf_done(&r->header);
}

/* GOOD: they can be read, and are to be judged. */
static enum sf_token_verdict read_claims(const struct kind *k, struct sf_slice text,
                                         struct reading *r, struct sf_token *ret)
{
    enum sf_code code = sf_jws_split(text, &r->header, &r->payload, &r->jws, NULL);

    if (code == SF_OK && !sf_slice_equal(sf_buf_view(&r->header), sf_slice_text(k->header))) {
        return SF_TOKEN_MALFORMED;
    }
    if (code == SF_OK) {
        code = sf_json_parse(sf_buf_view(&r->payload), &r->doc, NULL);
    }
    if (code != SF_OK) {
        return code == SF_NOMEM ? SF_TOKEN_NO_MEMORY : SF_TOKEN_MALFORMED;
    }
    return take_claims(k, sf_json_root(r->doc), ret) ? SF_TOKEN_GOOD : SF_TOKEN_MALFORMED;
}

int64_t sf_token_ends_s(const struct sf_token *t)
{
    return t->expires_s < INT64_MAX - SF_TOKEN_SKEW_S ? t->expires_s + kinds[t->kind].late_s
                                                      : t->expires_s;
}

static enum sf_token_verdict judge_time(const struct sf_token *t, int64_t now_s)
{
    const struct kind *k = &kinds[t->kind];

    if (lives_too_long(k, t->issued_s, t->expires_s)) {
        return SF_TOKEN_TOO_LONG_LIVED;
    }
    if (t->issued_s > now_s + SF_TOKEN_SKEW_S) {
        return SF_TOKEN_NOT_YET;
    }
    return sf_token_ends_s(t) <= now_s ? SF_TOKEN_EXPIRED : SF_TOKEN_GOOD;
}

static bool is_key(const struct sf_public_key *a, const struct sf_public_key *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

/* The claims of @text when the issuer's key of today has signed it, as was found before; or NULL.
 */
static const struct sf_token *find_verified(const struct sf_token_check *check,
                                            struct sf_slice text)
{
    const struct sf_token *kept;
    struct sf_public_key signer;
    struct sf_public_key key;

    kept = check->cache == NULL ? NULL : sf_token_cache_find(check->cache, text, &signer);
    return kept != NULL && kept->kind == check->kind &&
                   check->find_key(check->data, kept->issuer, &key) && is_key(&key, &signer)
               ? kept
               : NULL;
}

/* What is judged each time, of a token that its issuer signed. */
static enum sf_token_verdict judge(const struct sf_token_check *check, const struct sf_token *t)
{
    return strcmp(t->audience, check->audience) != 0 ? SF_TOKEN_WRONG_AUDIENCE
                                                     : judge_time(t, check->now_s);
}

static enum sf_token_verdict verify_new(const struct sf_token_check *check, struct sf_slice text,
                                        struct sf_token *ret)
{
    SF_CLEANUP(reading_done) struct reading r = {0};
    struct sf_token token = {.kind = check->kind};
    struct sf_public_key key;
    enum sf_token_verdict verdict = read_claims(&kinds[check->kind], text, &r, &token);
    enum sf_code code;

    if (verdict != SF_TOKEN_GOOD) {
        return verdict;
    }
    if (!check->find_key(check->data, token.issuer, &key)) {
        return SF_TOKEN_FOREIGN;
    }
    code = sf_jws_verify(&r.jws, &key, NULL);
    if (code != SF_OK) {
        return code == SF_NOMEM ? SF_TOKEN_NO_MEMORY : SF_TOKEN_BAD_SIGNATURE;
    }
    verdict = judge(check, &token);
    if (verdict == SF_TOKEN_GOOD) {
        *ret = token;
        if (check->cache != NULL) {
            sf_token_cache_keep(check->cache, text, &key, &token);
        }
    }
    return verdict;
}

enum sf_token_verdict sf_token_verify(const struct sf_token_check *check, struct sf_slice text,
                                      struct sf_token *ret)
{
    const struct sf_token *kept;
    enum sf_token_verdict verdict;

    if (text.size == 0) {
        return SF_TOKEN_MISSING;
    }
    if (text.size > SF_TOKEN_MAX) {
        return SF_TOKEN_MALFORMED;
    }
    kept = find_verified(check, text);
    if (kept == NULL) {
        return verify_new(check, text, ret);
    }
    verdict = judge(check, kept);
    if (verdict == SF_TOKEN_GOOD) {
        *ret = *kept;
    }
    return verdict;
}

struct sf_slice sf_token_of_header(const char *authorization)
{
    static const char scheme[] = "Bearer ";

    if (authorization == NULL || strncasecmp(authorization, scheme, sizeof(scheme) - 1) != 0) {
        return (struct sf_slice){0};
    }
    return sf_slice_text(authorization + sizeof(scheme) - 1);
}

static uint16_t number_of(enum sf_token_verdict verdict)
{
    switch (verdict) {
    case SF_TOKEN_MISSING:
        return SHEAF_E_TOKEN_MISSING;
    case SF_TOKEN_FOREIGN:
        return SHEAF_E_TOKEN_FOREIGN;
    case SF_TOKEN_EXPIRED:
        return SHEAF_E_TOKEN_EXPIRED;
    case SF_TOKEN_NO_MEMORY:
        return SHEAF_E_BUSY;
    case SF_TOKEN_MALFORMED:
    case SF_TOKEN_BAD_SIGNATURE:
    case SF_TOKEN_WRONG_AUDIENCE:
    case SF_TOKEN_TOO_LONG_LIVED:
    case SF_TOKEN_NOT_YET:
    case SF_TOKEN_GOOD:
        break;
    }
    return SHEAF_E_TOKEN_INVALID;
}

enum sf_code sf_token_raise(enum sf_token_kind kind, enum sf_token_verdict verdict,
                            struct sf_error *err)
{
    static const char *const why[][2] = {
        [SF_TOKEN_MISSING] = {"no token was sent", "it is empty"},
        [SF_TOKEN_MALFORMED] = {"the token is malformed", "it is malformed"},
        [SF_TOKEN_FOREIGN] = {"tokens of this issuer are not taken here",
                              "its issuer is not the domain that asks"},
        [SF_TOKEN_BAD_SIGNATURE] = {"the signature of the token does not hold",
                                    "its signature does not hold"},
        [SF_TOKEN_WRONG_AUDIENCE] = {"the token is for another mesh", "it is for another product"},
        [SF_TOKEN_TOO_LONG_LIVED] = {"the token lives longer than an hour",
                                     "it lives longer than five minutes"},
        [SF_TOKEN_NOT_YET] = {"the token was issued in the future; a clock is wrong",
                              "it was issued in the future; a clock is wrong"},
        [SF_TOKEN_EXPIRED] = {"the token has expired", "it has expired"},
    };

    sf_assert(verdict != SF_TOKEN_GOOD);
    if (verdict == SF_TOKEN_NO_MEMORY) {
        return SF_RAISE_E(err, SF_NOMEM, number_of(verdict), "out of memory");
    }
    if (kind == SF_TOKEN_ASSERTION) {
        return SF_RAISE_E(err, SF_DENIED, SHEAF_E_ROLES_REFUSED, "%s", why[verdict][1]);
    }
    return SF_RAISE_E(err, SF_DENIED, number_of(verdict), "%s", why[verdict][0]);
}

bool sf_token_has_role(const struct sf_token *t, const char *role)
{
    for (size_t i = 0; i < t->role_count; i++) {
        if (strcmp(t->roles[i].text, role) == 0) {
            return true;
        }
    }
    return false;
}
