/*
 * Leases: what each domain's leaf last said of itself, and the bundle it has to be given.
 *
 * A leaf has no address. It asks `mesh.poll`, and its question is held until there is a newer
 * bundle or the hold time is over. The version it says it has in force acknowledges a bundle.
 *
 *   HELD: a poll waits for an answer. FREE: none does. A second poll frees the first with nothing.
 *
 * A leaf that has just started or had no answer says so, and gets one at once: it need not think
 * for the length of a hold that we are away.
 *
 * A leaf that asks again without the bundle it was just sent (it did not arrive, or was refused)
 * gets it again after LEASE_RESEND_NS, so that a refusal does not become a race.
 *
 * One process of a domain holds its lease. Another one with the same identity (a directory that was
 * cloned, a copy of before) takes it over when its epoch is higher, or when it is a later start of
 * the same directory and has all that the holder had; else it is told that it is fenced, as is the
 * holder that lost it. What is known of holders and heads lives as long as this process.
 *
 * A leaf also says what it has seen and will not have undone: versions of bundle and policies, and
 * which grants it holds back as they had ended. That is how a hub that was put back from an old
 * copy learns it; its next versions go on above.
 *
 *   Threads   Loop thread.
 *   Memory    Leases are owned here, one per domain, until leases_done().
 *   Limits    LEASE_HEADS_MAX heads per leaf; the rest is dropped.
 *   Order     done of a wait runs once, never inside lease_wait().
 */
#pragma once

#include "common/base/map.h"
#include "common/bus/bus.h"
#include "hub/registry/bundle.h"

/* A leaf can raise the version of the policies by so much at a time, and no more. */
enum { LEASE_HEADS_MAX = 2000, LEASE_HELD_MAX = 1000, LEASE_POLICIES_AHEAD_MAX = 1000000 };
#define LEASE_HOLD_NS   (UINT64_C(2) * SF_NS_PER_S)
#define LEASE_RESEND_NS (UINT64_C(200) * SF_NS_PER_MS)
#define LEASE_SILENT_NS (UINT64_C(3) * SF_NS_PER_S) /* behind a receipt: answers are cut */
#define LEASE_DOWN_NS   (UINT64_C(6) * SF_NS_PER_S) /* silent for longer: down */

struct lease_head {
    char product[64];
    char table[72];
    uint32_t major;
    uint32_t partition;
    uint32_t epoch;
    uint64_t seq;
    int64_t commit_us;
    uint64_t rows;
    uint64_t quarantined;
    uint32_t checks_failing;
    bool stale; /* older than its product promises */
    bool has_hash;
    uint8_t hash[32]; /* of the newest frame */
};

/* The process that holds the lease. */
struct lease_holder {
    bool known; /* it has said which one it is */
    uint8_t boot_id[16];
    uint64_t boot; /* starts of its data directory */
    uint32_t epoch;
};

struct lease {
    struct leases *all;
    const struct registry_domain *domain;
    bool seen; /* ever, since this process started */
    uint64_t seen_ns;
    char leaf_version[32];
    char nats_version[32];
    struct lease_holder holder;
    struct lease_head *heads; /* owned */
    size_t head_count;
    struct sf_buf bundle; /* encoded Signed; empty: none made yet */
    uint64_t version;
    int64_t issued_us;
    uint64_t covers;         /* grants_changed of the domain that the bundle shows */
    uint64_t in_force;       /* what the leaf said it has */
    uint64_t seen_version;   /* the newest bundle it ever took */
    uint64_t policy_version; /* of the policies it serves by */
    uint64_t *held;          /* owned: numbers of the grants it holds back, rising */
    size_t held_count;       /* at most LEASE_HELD_MAX */
    uint64_t held_total;     /* as the leaf says */
    uint64_t sent;           /* version sent last */
    char held_reply[256];    /* "": FREE */
    struct sf_timer hold;
    struct sf_list waits;
    struct sf_timer silence; /* since lease_watch() */
    int64_t cut_s;           /* when answers of the leaf were cut last; 0: never */
};

struct leases {
    struct sf_rt *rt;
    struct sf_bus *bus; /* account MESH */
    struct registry *registry;
    const struct sf_seed *hub_key;
    uint64_t opened_ns;                             /* leaves are heard from then on */
    void (*on_silent)(void *data, struct lease *l); /* see lease_watch() */
    void *data;
    int64_t bundle_life_us;  /* at half of it a bundle is renewed */
    struct sf_map by_domain; /* name -> struct lease, owned */
};

/* Forgets the polls that are held: nothing is sent any more. */
void leases_close(struct leases *l);
void leases_done(struct leases *l);
/* The lease of a domain, made when it is new. NULL: out of memory. */
struct lease *lease_of(struct leases *l, const struct registry_domain *domain);
/* NULL when its leaf has never been heard of. */
struct lease *lease_find(const struct leases *l, const char *domain);

/* A leaf asks. Answers to @reply now or later. */
void lease_poll(struct lease *l, const Sheaf__V1__PollRequest *m, const char *reply);
/* The grants on the domain's products have changed: makes the bundle and answers a held poll. */
void lease_renew(struct lease *l);
/* The same of every domain that has one. */
void leases_renew(struct leases *l);
/* A revocation is not acknowledged: if it still is not after LEASE_SILENT_NS, on_silent is told. */
void lease_watch(struct lease *l);
/* Whether the leaf says that it holds back the grant of this id (G-n), which had ended. */
bool lease_holds_back(const struct lease *l, const char *grant_id);
/* The highest version of the policies that a leaf serves by, as far as it can be. */
uint64_t leases_policy_version(const struct leases *l);
/* Whether the leaf has said that the newest bundle is in force. */
bool lease_is_acknowledged(const struct lease *l);
bool lease_is_up(const struct lease *l);
/* For how long a change is worth waiting for its leaf: @usual_ns when it is up; until it counts as
 * down, when it has not been heard of since this process started; 0: it is down. */
uint64_t lease_patience_ns(const struct lease *l, uint64_t usual_ns);

struct lease_wait {
    void (*done)(struct lease_wait *w); /* the newest bundle is in force at the leaf */
    void *data;
    struct sf_list link; /* private */
};
void lease_wait(struct lease *l, struct lease_wait *w);
void lease_cancel(struct lease_wait *w);
