/*
 * Whom this leaf serves: the grants of the bundle in force, each checked against the owner's own
 * consent, and what each lets through.
 *
 * A bundle is Signed by the hub (SIGN_BUNDLE); every grant in it carries a Decision Signed by this
 * domain's key (SIGN_DECISION) that says the same as the grant does. A grant whose decision does
 * not hold is left out and counted: the hub alone can grant nothing. So is one whose audience has
 * other columns than the bundle's first grant of it: an audience is fed with one view. So is one
 * with fields that this release does not know, and all are when the bundle or a policy has some.
 * One whose decision has ended (ended.h) is held back: the hub has forgotten that, or repeats what
 * it once had.
 *
 *   Threads   Built on the loop thread; immutable afterwards, so work on other threads may read it.
 *   Memory    Owns all it points to. Shared: grant_set_ref() and grant_set_unref() on the loop
 *             thread; who hands it to a work holds a reference until the work is done.
 */
#pragma once

#include "common/base/arena.h"
#include "common/policy/policy.h"
#include "common/sys/crypto.h"
#include "leaf/serving/grant_index.h"

enum { GRANTS_MAX = 10000 };

struct grant {
    const char *id;
    const char *product; /* name without the domain */
    uint32_t major;
    const char *consumer;                     /* domain */
    const struct sf_public_key *consumer_key; /* signs its assertions; NULL: not told, no roles */
    const char *consumer_account;             /* public key of its NATS account */
    const char *audience;                     /* shared by the grants of its columns */
    const char *sole_audience;  /* of this consumer and purpose alone; "": the hub names none */
    const char *const *columns; /* names; none: all that policy lets through */
    size_t column_count;
    const char *purpose; /* as it was asked for, or "" */
    int64_t until_us;
    bool beside_held;  /* who has a grant that is held back may hear the shared audience */
    bool beside_ended; /* likewise: who had one that has ended, if the hub forgets that */
};

/* A decision that the bundle has, whether its grant is in force or not. */
struct grant_decision {
    uint8_t hash[SF_HASH256_SIZE]; /* of what the domain signed, with its context */
    int64_t until_us;
    int64_t decided_us;
    const char *audience; /* the shared one of its grant */
    bool in_force;        /* its grant says the same, and it had not ended */
    bool held;            /* its grant says the same, but it had */
};

struct grant_set {
    struct sf_arena arena; /* owns everything below */
    unsigned refs;
    uint64_t version;
    int64_t issued_us; /* by the clock of the hub */
    int64_t expires_us;
    struct grant *grants; /* ordered by account, product, major, id */
    size_t grant_count;
    struct grant_index index;
    size_t refused;     /* grants of the bundle that were left out */
    struct grant *held; /* held back, as their decisions had ended */
    size_t held_count;
    struct grant_decision *decisions; /* by hash, each once */
    size_t decision_count;
    bool unread; /* a policy could not be read, or there is more in it than is known: all of them */
    struct sf_policy_set *policies; /* of the platform, owned by who has them; NULL: none */
    uint64_t policy_version;        /* 0: there never was one */
    struct grant_set *policies_of;  /* whose they are, held; NULL: this one's */
    uint64_t told_policy_version;   /* what the bundle says, also when it has older ones */
};

struct ended;

/* What a bundle is checked against. */
struct grant_trust {
    const char *mesh;
    const char *domain; /* this leaf's */
    const struct sf_public_key *hub_key;
    const struct sf_public_key *domain_key;
    uint64_t version_min; /* of the bundle in force: lower ones are refused */
    int64_t now_us;
    const struct ended *ended;    /* what is held back; NULL: nothing */
    const struct grant_set *last; /* the bundle before, or NULL */
    bool taken_before;            /* it was taken once: the floor of @ended is not asked again */
};

/*
 * Opens a Signed bundle.
 *   SF_DENIED    E0407: the signature does not hold
 *   SF_INVALID   not a bundle, or of another mesh or domain
 *   SF_CONFLICT  its version is lower than version_min
 *   SF_TIMEOUT   E0707: it has expired
 *   SF_NOMEM, SF_BUSY (more than GRANTS_MAX)
 */
enum sf_code grant_set_open(struct sf_slice signed_bundle, const struct grant_trust *trust,
                            struct grant_set **ret, struct sf_error *err) SF_MUST_CHECK;
struct grant_set *grant_set_ref(struct grant_set *set);
void grant_set_unref(struct grant_set *set); /* NULL is fine */
SF_DEFINE_CLEANUP(struct grant_set, grant_set_unref)

/* The decision of this hash, or NULL. */
const struct grant_decision *grant_set_decision(const struct grant_set *set, const uint8_t *hash);
/* Marks the grants that share an audience with what is held back or has ended. SF_NOMEM. */
enum sf_code grant_set_mark(struct grant_set *set, const struct ended *ended,
                            struct sf_error *err) SF_MUST_CHECK;
/* The policies of @newer are in force with the grants of @set, whose own are older. */
void grant_set_keep_policies(struct grant_set *set, struct grant_set *newer);

/* The grant in force for requests of @account on @product and @major, or NULL. @set NULL: none. */
const struct grant *grant_set_find(const struct grant_set *set, const char *account,
                                   const char *product, uint32_t major, int64_t now_us);
/* The highest major of @product that requests of @account have a grant in force for; 0: none. */
uint32_t grant_set_major(const struct grant_set *set, const char *account, const char *product,
                         int64_t now_us);
/* The grant of @account on @product and @major that is held back, or NULL. @set NULL: none. */
const struct grant *grant_set_held(const struct grant_set *set, const char *account,
                                   const char *product, uint32_t major);
/* Whether any grant of this audience is in force. */
bool grant_set_has_audience(const struct grant_set *set, const char *audience, int64_t now_us);
