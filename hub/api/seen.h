/*
 * What a domain sees of a product by the policies in force and the grant it has.
 *
 *   Threads   Loop thread.
 */
#pragma once

#include "hub/api/call.h"
#include "hub/registry/registry.h"

/* What decides for the domain, with its active grant if there is one (*ret_grant). Table, roles and
 * another purpose are the caller's to fill in. SF_NOMEM, SF_CORRUPT. */
enum sf_code seen_input(struct hub_state *s, const struct registry_version *v,
                        const struct registry_product *p, const char *domain,
                        const struct registry_grant **ret_grant, struct sf_policy_input *ret,
                        struct sf_error *err) SF_MUST_CHECK;
/* Whether the caller may know how many rows the table has: its owner and the platform may, others
 * when they would see all of them. */
bool seen_all_rows(const struct call *c, const char *owner, const char *product, uint32_t major,
                   const char *table);
