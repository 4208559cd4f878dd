/*
 * What a domain sees of a product by the policies in force and the grant it has. Every interface of
 * the hub that tells or decides by it asks here.
 *
 *   Threads   Loop thread.
 */
#pragma once

#include "hub/api/call.h"
#include "hub/registry/registry.h"

/* Who asks, and for which columns. All borrowed. */
struct seen_by {
    struct sf_policy_subject who;
    const char *const *columns; /* none: all that policies let */
    size_t column_count;
};

/* The active grant of @domain on that major, or NULL. */
const struct registry_grant *seen_grant(const struct hub_state *s, const struct registry_product *p,
                                        const struct registry_version *v, const char *domain);
/* @domain with @grant; NULL: as with one of all columns, and without a purpose. */
struct seen_by seen_by(const char *domain, const struct registry_grant *grant);

/* What it sees of table @t of @v now; for its owner that is all. SF_NOMEM, SF_CORRUPT. */
enum sf_code seen_table(struct hub_state *s, const struct registry_version *v,
                        const struct sf_table *t, const struct seen_by *by,
                        struct sf_policy_view **ret, struct sf_error *err) SF_MUST_CHECK;
/* The roles that make a difference to that, in @arena. SF_NOMEM, SF_CORRUPT. */
enum sf_code seen_roles(struct hub_state *s, const struct registry_version *v,
                        const struct sf_table *t, const struct seen_by *by, struct sf_arena *arena,
                        struct sf_policy_roles *ret, struct sf_error *err) SF_MUST_CHECK;
/*
 * Of each column named: NULL when a table gives it to @by, masked or not, and when there is none of
 * that name; else why it is closed, in words of @arena: "field 'email' is not for marketing: policy
 * p of the platform hides it (pii.yaml:3)". SF_NOMEM, SF_CORRUPT.
 */
enum sf_code seen_closed(struct hub_state *s, const struct registry_version *v,
                         const struct seen_by *by, const char *const *names, size_t count,
                         struct sf_arena *arena, const char *const **ret,
                         struct sf_error *err) SF_MUST_CHECK;

/* Whether the caller, a domain, would see every row of the table. */
bool seen_all_rows(const struct call *c, const struct registry_product *p,
                   const struct registry_version *v, const char *table);
