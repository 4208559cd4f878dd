/*
 * A change of the platform's policies: the next version of the set, and what it changes for whom.
 * See change.h; nothing is appended when the set would stay as it is, or with dry_run.
 */
#pragma once

#include "hub/api/change.h"
#include "hub/governance/blast.h"
#include "hub/registry/registry_policy.h"

/* What one consumer of one table gains or loses. */
struct policy_effect {
    const char *product; /* "sales/orders@1" */
    const char *table;
    const char *consumer; /* a domain with a grant; "*": any without an exception of its own */
    struct blast_effect effect;
};

/* A product that stands, and what it would be told when it is applied again. */
struct policy_finding {
    const char *product;
    struct sf_policy_breach breach;
};

struct change_policy {
    struct event_append op;
    struct hub_state *state;
    void *waiter;           /* of the caller: who waits for done */
    struct sf_arena *arena; /* of the caller, for what follows */
    const char *actor;
    const struct sf_policy_document *documents; /* to be applied: checked, none twice */
    const char *const *files;                   /* of each */
    size_t document_count;
    const char *const *remove;
    size_t remove_count;
    bool rollback; /* instead of both */
    uint64_t rollback_to;
    bool dry_run;

    uint64_t version; /* results from here; of the set afterwards */
    bool changed;
    const struct registry_policy **applied; /* new, or in the place of one of that name */
    size_t applied_count;
    const char **removed;
    size_t removed_count;
    struct policy_effect *effects;
    size_t effect_count;
    size_t effects_left_out; /* that are too many to be told, as below */
    struct policy_finding *findings;
    size_t finding_count;
    size_t findings_left_out;
};
void change_policy_init(struct change_policy *c, struct hub_state *s, struct sf_arena *arena);
