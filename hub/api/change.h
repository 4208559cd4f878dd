/*
 * The changes that can be made to the hub, each an append to the event log with its checks. The
 * checks run when the append's turn has come, on the state of that moment.
 *
 *   Threads   Loop thread.
 *   Memory    A change lives in its owner until the append's done has run or it is abandoned; its
 *             inputs are borrowed as long. Results are valid from then on.
 *   Errors    A refusal has the number of proto/errors.h that its reader gets.
 *
 * Each change_..._init() sets build and leaves done and data to the caller, who then calls
 * event_log_append(s->log, &change->op, err).
 */
#pragma once

#include "hub/api/state.h"
#include "hub/governance/review.h"

/* --- join ------------------------------------------------------------------------------------- */

enum { CHANGE_TOKEN_MAX = 64 };

struct change_token {
    struct event_append op;
    struct hub_state *state;
    void *waiter; /* of the caller: who waits for done */
    const char *actor;
    const char *domain;
    int64_t ttl_us;
    char token[CHANGE_TOKEN_MAX]; /* result; only its hash is kept */
    int64_t expires_us;           /* result */
};
void change_token_init(struct change_token *c, struct hub_state *s);

/* Texts as in proto/join.h, checked by the caller for their form. */
struct change_join {
    struct event_append op;
    struct hub_state *state;
    void *waiter; /* of the caller: who waits for done */
    const char *domain;
    const char *token; /* "" to renew */
    struct sf_public_key domain_key;
    struct sf_public_key leaf_key;
    const struct registry_domain *joined; /* result */
};
void change_join_init(struct change_join *c, struct hub_state *s);
/* After done with SF_OK. */
void change_join_finish(struct change_join *c);

/* --- products --------------------------------------------------------------------------------- */

struct change_product {
    struct event_append op;
    struct hub_state *state;
    void *waiter; /* of the caller: who waits for done */
    const char *domain;
    const char *applied_by; /* user */
    struct sf_slice yaml;
    bool dry_run;
    struct review review; /* result; the caller ends with review_done(), also after a failure */
};
void change_product_init(struct change_product *c, struct hub_state *s);

/* Takes a major out of the mesh, or brings it back. */
struct change_life {
    struct event_append op;
    struct hub_state *state;
    const char *domain; /* its owner, who asks */
    const char *product;
    uint32_t major;
    bool restore;
    int64_t keep_us;
    const char *reason;
    const char *changed_by; /* user */
    bool changed;           /* result; false: it was so already */
    int64_t purge_us;       /* result */
};
void change_life_init(struct change_life *c, struct hub_state *s);

/* --- access ----------------------------------------------------------------------------------- */

struct change_request {
    struct event_append op;
    struct hub_state *state;
    void *waiter; /* of the caller: who waits for done */
    const char *actor;
    const char *consumer;
    const char *owner;
    const char *product;
    uint32_t major; /* 0: the newest */
    const char *purpose;
    int64_t duration_us;
    const char *const *columns;
    size_t column_count;
    char id[REGISTRY_ID_MAX]; /* result */
};
void change_request_init(struct change_request *c, struct hub_state *s);

struct change_decision {
    struct event_append op;
    struct hub_state *state;
    void *waiter; /* of the caller: who waits for done */
    const char *actor;
    const char *request_id;
    struct sf_slice signed_bytes; /* Signed(Decision) */
};
void change_decision_init(struct change_decision *c, struct hub_state *s);

struct change_revocation {
    struct event_append op;
    struct hub_state *state;
    void *waiter; /* of the caller: who waits for done */
    const char *actor;
    const char *grant_id;
    struct sf_slice signed_bytes; /* Signed(Revocation); empty: the platform does it */
    const char *reason;           /* of the platform */
};
void change_revocation_init(struct change_revocation *c, struct hub_state *s);
