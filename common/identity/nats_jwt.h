/*
 * JWTs of NATS (version 2 claims): operator, account and user, made and checked.
 *
 * Limits are always written in full, because a limit that is absent means "nothing allowed". Each
 * JWT has a jti (a hash of its claims); its iat is the caller's, who makes it rise strictly per
 * account and keeps it (a server that sees two with the same second may take the older).
 *
 *   Threads   Any; the functions have no state.
 *   Limits    SF_NATS_JWT_MAX bytes, what nats-server takes at most (about 5,000 imports).
 *   Errors    SF_INVALID, SF_BUSY (longer than SF_NATS_JWT_MAX), SF_NOMEM.
 */
#pragma once

#include "common/base/buf.h"
#include "common/identity/nkey.h"

enum { SF_NATS_JWT_MAX = 1024 * 1024 };

/* Texts, all borrowed. */
struct sf_text_list {
    const char *const *items;
    size_t count;
};

/* Who signs, and when. The key's kind follows from what is signed: operator, or account for users.
 */
struct sf_nats_signer {
    const struct sf_seed *seed;
    int64_t iat_s; /* seconds since 1970 */
};

struct sf_operator_claims {
    const char *name;
    const struct sf_public_key *subject; /* its own identity key, which signs */
    const struct sf_public_key *system_account;
    const struct sf_public_key *signing_keys; /* sign account JWTs in its stead */
    size_t signing_key_count;
};

enum sf_nats_flow { SF_NATS_STREAM, SF_NATS_SERVICE };

struct sf_nats_export {
    const char *name;
    const char *subject;
    enum sf_nats_flow flow;
    bool is_streamed;       /* service with many answers per request ("Stream") */
    uint32_t account_token; /* position of the asking account in @subject, from 1; 0: none */
};

struct sf_nats_import {
    const char *name;
    const char *subject;  /* in the exporting account */
    const char *exporter; /* its public key, text */
    enum sf_nats_flow flow;
    const char *local_subject; /* NULL: the same */
};

/* -1: no limit; 0: nothing allowed. */
struct sf_account_limits {
    int64_t connections;
    int64_t leafnodes;
    int64_t subscriptions;
    int64_t payload_bytes;
    int64_t imports;
    int64_t exports;
    int64_t js_disk_bytes; /* 0: no JetStream */
    int64_t js_streams;
    int64_t js_consumers;
};

/* Everything -1, JetStream 0. */
struct sf_account_limits sf_account_limits_open(void);
/* Everything 0: the claim of an account that was removed (a deleted one would come back). */
struct sf_account_limits sf_account_limits_closed(void);

struct sf_nats_revocation {
    const char *user; /* public key, text, or "*" */
    int64_t until_s;  /* JWTs issued up to then are void */
};

struct sf_account_claims {
    const char *name;
    const struct sf_public_key *subject;
    struct sf_account_limits limits;
    const struct sf_nats_export *exports;
    size_t export_count;
    const struct sf_nats_import *imports;
    size_t import_count;
    const struct sf_nats_revocation *revocations;
    size_t revocation_count;
};

struct sf_user_claims {
    const char *name;
    const struct sf_public_key *subject;
    const char
        *issuer_account; /* public key, text, when a signing key of the account signs; else NULL */
    struct sf_text_list
        publish_allow;                /* empty lists: everything. A leafnode's user has none: see */
    struct sf_text_list publish_deny; /* nats.md 6 in the record: lists break it at the next push */
    struct sf_text_list subscribe_allow;
    struct sf_text_list subscribe_deny;
    const char *connection_type; /* "STANDARD", "LEAFNODE"; NULL: any */
    int64_t expires_s;           /* 0: never */
};

/* Each appends the JWT's text to @ret. */
enum sf_code sf_operator_jwt(const struct sf_operator_claims *c, const struct sf_nats_signer *s,
                             struct sf_buf *ret, struct sf_error *err) SF_MUST_CHECK;
enum sf_code sf_account_jwt(const struct sf_account_claims *c, const struct sf_nats_signer *s,
                            struct sf_buf *ret, struct sf_error *err) SF_MUST_CHECK;
enum sf_code sf_user_jwt(const struct sf_user_claims *c, const struct sf_nats_signer *s,
                         struct sf_buf *ret, struct sf_error *err) SF_MUST_CHECK;

enum sf_nats_jwt_type { SF_NATS_OPERATOR, SF_NATS_ACCOUNT, SF_NATS_USER };

/* What stands in a JWT whose signature holds. */
struct sf_nats_jwt_info {
    enum sf_nats_jwt_type type;
    char issuer[SF_NKEY_TEXT_MAX];
    char subject[SF_NKEY_TEXT_MAX];
    char issuer_account[SF_NKEY_TEXT_MAX]; /* "": the issuer itself */
    char name[128];
    char jti[72];
    int64_t iat_s;
    int64_t expires_s; /* 0: never */
};

/*
 * Reads @text strictly - header, base64url, JSON without doubled members, kinds of the keys - and
 * checks the signature by the issuer it names. Whether that issuer is trusted, and whether it has
 * expired, is the caller's to say. SF_INVALID: not such a JWT. SF_DENIED: the signature does not
 * hold. SF_NOMEM.
 */
enum sf_code sf_nats_jwt_read(struct sf_slice text, struct sf_nats_jwt_info *ret,
                              struct sf_error *err) SF_MUST_CHECK;
