/*
 * The claims of every NATS account and user that the hub signs: what the NATS layer lets whom do.
 *
 *   SYS        the hub process alone
 *   MESH       exports hub control; owns the event log's stream
 *   <d>.serve  exports the live changes and the requests of domain d, imports hub control; static:
 *              its JWT is made at the join and pushed again only to drop the replies in flight,
 *              which a push of an account that exports services does
 *   <d>        imports what was granted, and nothing else
 *
 * Pure: keys, names and grants in, JWT out; the same input gives the same bytes.
 */
#pragma once

#include "common/identity/nats_jwt.h"
#include "hub/claims/authority.h"

struct claims_grant {
    const char *owner;
    const char *owner_serve_account; /* public key */
    const char *product;
    uint32_t major;
    const char *audience;      /* shared with grants of equal columns... */
    const char *sole_audience; /* ...and its own */
};

/* The two accounts of a domain. */
struct claims_domain {
    const char *name;
    const char *account; /* public key of <d> */
    const char *mesh_account;
    int64_t serve_iat_s;
    int64_t iat_s;
    const struct claims_grant *grants; /* active ones */
    size_t grant_count;
};

/* Each appends one JWT to @ret. SF_NOMEM; SF_BUSY: more imports than an account can have. */
enum sf_code claims_operator(const struct authority *a, int64_t iat_s, struct sf_buf *ret,
                             struct sf_error *err) SF_MUST_CHECK;
enum sf_code claims_system(const struct authority *a, int64_t iat_s, struct sf_buf *ret,
                           struct sf_error *err) SF_MUST_CHECK;
enum sf_code claims_mesh(const struct authority *a, int64_t iat_s, struct sf_buf *ret,
                         struct sf_error *err) SF_MUST_CHECK;
enum sf_code claims_serve(const struct authority *a, const struct claims_domain *d,
                          struct sf_buf *ret, struct sf_error *err) SF_MUST_CHECK;
enum sf_code claims_consume(const struct authority *a, const struct claims_domain *d,
                            struct sf_buf *ret, struct sf_error *err) SF_MUST_CHECK;

/* A user of the hub process itself in SYS or MESH. */
enum sf_code claims_hub_user(const struct authority *a, const char *account,
                             const struct sf_public_key *user, int64_t iat_s, struct sf_buf *ret,
                             struct sf_error *err) SF_MUST_CHECK;

struct claims_leaf_user {
    const char *account; /* "sales" or "sales.serve" */
    const struct sf_public_key *user;
    int64_t iat_s;
    int64_t expires_s;
};
/* The user of a leafnode remote; without permission lists, which break it at the next push. */
enum sf_code claims_leafnode(const struct authority *a, const struct claims_leaf_user *u,
                             struct sf_buf *ret, struct sf_error *err) SF_MUST_CHECK;

/* Public text of an account's derived key. SF_NOMEM. */
enum sf_code claims_account_key(const struct authority *a, const char *name,
                                char ret[SF_NKEY_TEXT_MAX], struct sf_error *err) SF_MUST_CHECK;
