/*
 * The rules of access: may this be asked for, does this decision hold, may this grant be ended.
 *
 * Pure: facts in, verdict out; no clock, no state, no signatures (the caller checks a signature and
 * says whether it holds). A refusal is a verdict with the number and the words its reader gets.
 *
 * An `open` product is asked for like any other: the owner's consent is a signature that the hub
 * cannot make, so the request is shown as approvable without review and still wants it.
 */
#pragma once

#include "common/base/slice.h"
#include "common/contract/contract.h"
#include "control.pb-c.h"

struct policy_verdict {
    bool allowed;
    uint16_t number; /* of proto/errors.h, when not allowed */
    char text[360];
};

enum {
    POLICY_PURPOSE_MAX = 500,  /* bytes */
    POLICY_COLUMNS_MAX = 1000, /* names in one request */
};
#define POLICY_DURATION_MAX_US (INT64_C(5) * 366 * 86400 * 1000000)

/* What a consumer asks for and what stands already. All borrowed. */
struct policy_request {
    const char *owner;
    const char *product;
    uint32_t major;
    const char *consumer;
    bool consumer_joined;
    const char *purpose;
    int64_t duration_us;
    const char *const *columns; /* none: all that may be shared */
    size_t column_count;
    const char *const *closed; /* of each column: why policies keep it from the consumer, or NULL;
                                  may be NULL without columns */
    const struct sf_product *contract; /* newest version of that major; NULL: there is none */
    const char *active_grant;          /* G-n of (consumer, product, major), or NULL */
    const char *pending_request;       /* AR-n of the same, or NULL */
};

void policy_check_request(const struct policy_request *r, struct policy_verdict *ret);

/* A decision and what it is about. All borrowed. */
struct policy_decision {
    const Sheaf__V1__Decision *decision;
    bool signature_holds; /* of the owner domain's key, over SIGN_DECISION */
    const char *mesh;
    int64_t now_us;
    const char *request_id;
    bool pending; /* not decided yet */
    const char *owner;
    const char *product;
    uint32_t major;
    const char *consumer;
    const char *const *asked; /* columns of the request; none: all */
    size_t asked_count;
    const char *const *closed;         /* as of a request, of the columns of the decision */
    const struct sf_product *contract; /* or NULL */
    const char *active_grant;          /* or NULL */
};

void policy_check_decision(const struct policy_decision *d, struct policy_verdict *ret);

struct policy_revocation {
    const Sheaf__V1__Revocation *revocation;
    bool signature_holds; /* of the owner domain's key, over SIGN_REVOCATION */
    const char *mesh;
    const char *grant_id;
    bool active;
};

void policy_check_revocation(const struct policy_revocation *r, struct policy_verdict *ret);

/* Whether a grant with this end is over at @now_us. */
bool policy_is_over(int64_t until_us, int64_t now_us);

/* Whether a request for this product needs no review, though still the owner's signature. */
bool policy_is_auto_approvable(const struct sf_product *contract);
