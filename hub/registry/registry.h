/*
 * What the hub knows: domains, products, requests, grants, join tokens. A projection of the event
 * log: the same events give the same registry, so it is built anew at every start.
 *
 * Nothing is ever removed: a revoked grant and an old version are still there to be looked at.
 *
 *   Threads   Loop thread.
 *   Memory    All of it hangs on the registry and lives until registry_done(); what a lookup
 *             returns is borrowed and may change at the next registry_apply().
 *   Limits    REGISTRY_..._MAX; whoever makes an event asks registry_check_room() first.
 */
#pragma once

#include "common/base/arena.h"
#include "common/base/map.h"
#include "common/contract/contract.h"
#include "common/identity/nkey.h"
#include "common/policy/policy.h"
#include "control.pb-c.h"

enum {
    REGISTRY_DOMAINS_MAX = 1000,
    REGISTRY_PRODUCTS_MAX = 10000,
    REGISTRY_VERSIONS_MAX = 500, /* per product */
    REGISTRY_REQUESTS_MAX = 200000,
    REGISTRY_TOKENS_MAX = 20000,
    REGISTRY_POLICIES_MAX = 10000,
    REGISTRY_POLICY_BYTES_MAX = 768 * 1024, /* of the texts in force: a bundle holds them */
    REGISTRY_ID_MAX = 24,                   /* "AR-18446744073709551615" */
    REGISTRY_AUDIENCE_MAX = 16              /* "a" and 12 letters */
};

struct registry_domain {
    const char *name;
    struct sf_public_key domain_key;
    struct sf_public_key leaf_key;
    char serve_account[SF_NKEY_TEXT_MAX];
    char account[SF_NKEY_TEXT_MAX];
    int64_t joined_us;
    int64_t serve_iat_s;     /* of the JWT of <d>.serve as the first join made it */
    int64_t iat_s;           /* of the JWT of <d>: rises with each change of its grants */
    uint64_t grants_changed; /* number of the newest event that changed what its bundle says */
    size_t product_count;
};

struct registry_version {
    struct sf_product *product;     /* owned */
    struct sf_policy_set *policies; /* owned: those of the product file; NULL: none */
    struct sf_slice yaml;
    int64_t applied_us;
    const char *applied_by; /* "sales/ada" */
};

/* A major that is, or once was, taken out of the mesh. */
struct registry_removal {
    uint32_t major;
    bool in_force; /* it was not brought back */
    int64_t removed_us;
    int64_t purge_us; /* its rows are gone from then on */
    const char *removed_by;
    const char *reason;
    struct registry_removal *next;
};

struct registry_product {
    const struct registry_domain *owner;
    const char *name;
    struct registry_version *versions; /* in the order applied */
    size_t version_count;
    size_t version_capacity;
    struct registry_removal *removals; /* at most one per major */
};

enum registry_request_state { REGISTRY_PENDING, REGISTRY_APPROVED, REGISTRY_DENIED };
enum registry_grant_state { REGISTRY_ACTIVE, REGISTRY_REVOKED, REGISTRY_EXPIRED };

struct registry_grant;

struct registry_request {
    char id[REGISTRY_ID_MAX]; /* AR-n */
    const struct registry_product *product;
    uint32_t major;
    const struct registry_domain *consumer;
    const char *purpose;
    int64_t duration_us;
    const char *const *columns; /* none: all that may be shared */
    size_t column_count;
    int64_t created_us;
    const char *requested_by;
    enum registry_request_state state;
    const struct registry_grant *grant; /* of an approved one */
    const char *note;                   /* of the decision; "" before */
};

struct registry_grant {
    char id[REGISTRY_ID_MAX]; /* G-n */
    const struct registry_request *request;
    const char *const *columns;
    size_t column_count;
    const char *purpose;
    int64_t until_us;
    int64_t decided_us;
    const char *decided_by;
    char audience[REGISTRY_AUDIENCE_MAX];      /* derived (audience.h): shared... */
    char sole_audience[REGISTRY_AUDIENCE_MAX]; /* ...and of this grant alone */
    struct sf_slice decision;                  /* the Signed as it came, encoded */
    enum registry_grant_state state;
    int64_t ended_us;   /* not of an active one */
    const char *reason; /* "" of an active one */
};

struct registry_token {
    const char *hash; /* 64 hexadecimal digits */
    const char *domain;
    int64_t expires_us;
    int64_t known_us; /* the latest time of an event when it was issued, its own too */
    bool spent;
};

/* A policy of the platform, as it was applied; never changes. */
struct registry_policy {
    const char *name;
    const char *text; /* one document */
    const char *file;
    uint32_t line;
    uint64_t version; /* of the set that it came with */
    int64_t applied_us;
    const char *applied_by;
};

/* How a version of the set differs from the one before. */
struct registry_policy_change {
    uint64_t version;                        /* it brought: above the one before, mostly by one */
    const struct registry_policy **policies; /* new, or in the place of one of that name */
    size_t policy_count;
    const char *const *removed;
    size_t removed_count;
    bool is_rollback;
    uint64_t rolled_back_to; /* of a rollback; 0: to before the first policy */
    int64_t time_us;
    const char *actor;
};

struct registry_policies {
    uint64_t version;                       /* of the set in force; 0: there never was a policy */
    struct sf_map by_name;                  /* in force: name -> const struct registry_policy */
    size_t bytes;                           /* of their texts */
    struct registry_policy_change *changes; /* in the order of their versions */
    size_t change_count;
    size_t change_capacity;
    struct sf_policy_set *set; /* owned: those in force; NULL: not read yet */
};

struct registry {
    struct sf_arena arena;
    const char *mesh; /* NULL before the first event */
    struct sf_public_key hub_key;
    struct sf_map domains;  /* name -> struct registry_domain */
    struct sf_map accounts; /* public key of either account -> struct registry_domain */
    struct sf_map products; /* domain/product -> struct registry_product */
    struct sf_map tokens;   /* hash -> struct registry_token */
    struct sf_map pending;  /* consumer/owner/product@major -> struct registry_request */
    struct sf_map active;   /* the same -> struct registry_grant */
    struct registry_request **requests; /* AR-1 first */
    size_t request_count;
    size_t request_capacity;
    struct registry_grant **grants; /* G-1 first */
    size_t grant_count;
    size_t grant_capacity;
    struct registry_policies policies;
    uint64_t events;   /* applied */
    int64_t latest_us; /* of all of their times */
};

void registry_init(struct registry *r);
void registry_done(struct registry *r);

/*
 * Takes in the next event. SF_CORRUPT (E0605): it does not fit what came before, or is of a kind
 * that this version does not know; the registry is unusable then. SF_NOMEM: likewise.
 */
enum sf_code registry_apply(struct registry *r, const Sheaf__V1__Event *e,
                            struct sf_error *err) SF_MUST_CHECK;

enum registry_kind { REGISTRY_DOMAIN, REGISTRY_PRODUCT, REGISTRY_REQUEST, REGISTRY_TOKEN };
/* SF_BUSY (E0602): no room for another one. */
enum sf_code registry_check_room(const struct registry *r, enum registry_kind kind,
                                 struct sf_error *err) SF_MUST_CHECK;

/* Lookups; NULL when absent. */
struct registry_domain *registry_domain(const struct registry *r, const char *name);
struct registry_domain *registry_domain_of_account(const struct registry *r, const char *account);
struct registry_product *registry_product(const struct registry *r, const char *domain,
                                          const char *name);
/* Newest version of @major; of the highest major that is active (else the highest) when 0. NULL
 * for a major that was removed, and when all were. */
const struct registry_version *registry_version(const struct registry_product *p, uint32_t major);
/* The highest of @major, or of all when 0; of removed ones too. */
const struct registry_version *registry_highest(const struct registry_product *p, uint32_t major);
/* The removal of @major that is in force, or NULL. */
const struct registry_removal *registry_removal(const struct registry_product *p, uint32_t major);
struct registry_request *registry_request(const struct registry *r, const char *id);
struct registry_grant *registry_grant(const struct registry *r, const char *id);
struct registry_token *registry_token(const struct registry *r, const char *hash);
/* Whether its time is over now, or was when something happened after it was issued: a clock that is
 * set back does not bring it back. */
bool registry_token_is_over(const struct registry *r, const struct registry_token *t,
                            int64_t now_us);

/* Who may read what, or waits for it. */
struct registry_access {
    const char *consumer;
    const char *owner;
    const char *product;
    uint32_t major;
};
struct registry_request *registry_pending(const struct registry *r,
                                          const struct registry_access *a);
struct registry_grant *registry_active(const struct registry *r, const struct registry_access *a);
/* The active grant that ends first, or NULL. */
struct registry_grant *registry_next_to_expire(const struct registry *r);

/* Ids that the next request and grant get. */
void registry_next_request_id(const struct registry *r, char ret[REGISTRY_ID_MAX]);
void registry_next_grant_id(const struct registry *r, char ret[REGISTRY_ID_MAX]);
