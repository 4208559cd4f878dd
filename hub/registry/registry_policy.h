/*
 * The platform's policies: a set with versions, each a change of the one before. See registry.h.
 */
#pragma once

#include "hub/registry/registry.h"

/* Takes in PolicyApplied or PolicyRemoved. Codes of registry_apply(). */
enum sf_code registry_policy_apply(struct registry *r, const Sheaf__V1__Event *e,
                                   struct sf_error *err) SF_MUST_CHECK;
/* Whether it puts an older set back: what is not of one has policies. */
bool registry_policy_is_rollback(const Sheaf__V1__PolicyApplied *m);
void registry_policies_done(struct registry_policies *p);

/* The policies in force, read; borrowed until the next event. SF_NOMEM, SF_CORRUPT. */
enum sf_code registry_policy_set(struct registry *r, const struct sf_policy_set **ret,
                                 struct sf_error *err) SF_MUST_CHECK;
/* NULL when none of that name is in force. */
const struct registry_policy *registry_policy(const struct registry *r, const char *name);

/* The policies of version @version (at most that in force) by name into @ret, whose values are
 * const struct registry_policy; end with sf_map_done(). SF_NOMEM. */
enum sf_code registry_policies_of(const struct registry *r, uint64_t version, struct sf_map *ret,
                                  struct sf_error *err) SF_MUST_CHECK;
/* Reads the policies of such a map. SF_NOMEM, SF_CORRUPT: what was applied cannot be read. */
enum sf_code registry_policies_read(const struct sf_map *policies, struct sf_policy_set **ret,
                                    struct sf_error *err) SF_MUST_CHECK;
