/*
 * Tokens: JWT with EdDSA, signed by the key of a domain or of the platform, checked without asking
 * anyone. There are two kinds (docs/formats/tokens.md), and neither is taken for the other:
 *
 *   HTTP       who calls the HTTP interface of a domain or of the hub. Header
 *              {"alg":"EdDSA","typ":"JWT"}; claims iss, sub, roles, iat, exp, aud (the mesh id). At
 *              most an hour from iat to exp.
 *   ASSERTION  the roles that somebody of a domain has, for requests about one product of another
 *              domain; not who that is. Header {"alg":"EdDSA","typ":"sheaf-roles+jwt"}; claims iss,
 *              roles, iat, exp, aud (mesh, owner and product: sf_token_audience()). At most five
 *              minutes.
 *
 * The header is compared byte for byte: another algorithm, "none" or a key inside the token is
 * malformed. All claims are required, no member stands twice.
 *
 *   Threads   Any; the functions have no state.
 *   Limits    SF_TOKEN_MAX characters, SF_TOKEN_ROLES_MAX roles.
 */
#pragma once

#include "common/base/buf.h"
#include "common/sys/crypto.h"

#define SF_TOKEN_PLATFORM "platform" /* iss of the platform's own tokens */

enum {
    SF_TOKEN_MAX = 4096,
    SF_TOKEN_ROLES_MAX = 16,
    SF_TOKEN_LIFETIME_MAX_S = 3600,
    SF_TOKEN_ASSERTION_LIFETIME_MAX_S = 300,
    SF_TOKEN_SKEW_S = 60, /* how far iat may lie ahead of our clock, and exp of an assertion behind
                             it: another domain's clock made it */
    SF_TOKEN_AUDIENCE_SIZE = 192,
};

enum sf_token_kind { SF_TOKEN_HTTP, SF_TOKEN_ASSERTION };

struct sf_token_role {
    char text[32];
};

/* Who calls. */
struct sf_token {
    enum sf_token_kind kind;
    char issuer[64];  /* domain, or SF_TOKEN_PLATFORM */
    char subject[64]; /* user; of an assertion "" */
    char audience[SF_TOKEN_AUDIENCE_SIZE];
    struct sf_token_role roles[SF_TOKEN_ROLES_MAX];
    size_t role_count;
    int64_t issued_s; /* seconds since 1970 */
    int64_t expires_s;
};

/* What an assertion about a product of @owner is for: "MESH/OWNER/PRODUCT". */
void sf_token_audience(const char *mesh, const char *owner, const char *product,
                       char ret[SF_TOKEN_AUDIENCE_SIZE]);
/* Appends the token for @claims. SF_INVALID: a claim is empty, or it would live for too long. */
enum sf_code sf_token_make(const struct sf_token *claims, const struct sf_seed *key,
                           struct sf_buf *ret, struct sf_error *err) SF_MUST_CHECK;

enum sf_token_verdict {
    SF_TOKEN_GOOD,
    SF_TOKEN_MISSING,
    SF_TOKEN_MALFORMED,
    SF_TOKEN_FOREIGN, /* an issuer whose tokens are not taken here */
    SF_TOKEN_BAD_SIGNATURE,
    SF_TOKEN_WRONG_AUDIENCE, /* for another mesh, or another product */
    SF_TOKEN_TOO_LONG_LIVED,
    SF_TOKEN_NOT_YET, /* issued in the future: a clock is wrong */
    SF_TOKEN_EXPIRED,
    SF_TOKEN_NO_MEMORY, /* it was not judged */
};

struct sf_token_cache;

struct sf_token_check {
    /* The key of @issuer, or false: its tokens are not taken here. */
    bool (*find_key)(void *data, const char *issuer, struct sf_public_key *ret);
    void *data;
    const char *audience;
    int64_t now_s;
    struct sf_token_cache *cache; /* or NULL: token_cache.h */
    enum sf_token_kind kind;      /* the other one is malformed */
};

/* When it holds no longer: exp, and of an assertion SF_TOKEN_SKEW_S more. */
int64_t sf_token_ends_s(const struct sf_token *t);
/*
 * @text: the token, without "Bearer". *ret is filled only when GOOD. The verdict is the first that
 * holds in the order of the enum.
 */
enum sf_token_verdict sf_token_verify(const struct sf_token_check *check, struct sf_slice text,
                                      struct sf_token *ret) SF_MUST_CHECK;
/* The token of an Authorization header: behind "Bearer ", any case; empty when there is none. */
struct sf_slice sf_token_of_header(const char *authorization);
/* SF_DENIED with the number (E0501 to E0504; of an assertion E0506) and the text that belongs to
 * @verdict; SF_NOMEM (E0602); not of GOOD. */
enum sf_code sf_token_raise(enum sf_token_kind kind, enum sf_token_verdict verdict,
                            struct sf_error *err) SF_MUST_CHECK;
bool sf_token_has_role(const struct sf_token *t, const char *role);
