/*
 * What this leaf serves and to whom, as of now: the products, and the grants of the bundle in
 * force. Every way out asks here, and nowhere else.
 *
 *   Threads   Loop thread.
 */
#pragma once

#include "common/sys/steady.h"
#include "leaf/serving/grant_set.h"
#include "leaf/serving/product_set.h"
#include "leaf/serving/served_view.h"

struct serving {
    struct sf_rt *rt;
    const char *domain; /* this leaf's */
    struct product_set products;
    struct grant_set *grants; /* in force, or NULL: other domains get nothing */
    bool hub_answers;    /* and this leaf has the bundle that it has: nobody forgets anything now */
    uint64_t generation; /* of grants, policies and keys: views are decided anew */
    /* What the keys of hash masks come from, one for each domain that sees them; NULL: nothing is
     * hashed, and what would be is refused. */
    const struct sf_seed *mask_secret;
    const char *mesh;                  /* its id: what assertions of roles are for */
    struct sf_token_cache *assertions; /* that were verified; or NULL */
    struct sf_known_time known;        /* what others say; the clock of this machine is not asked */
};

/*
 * The time by which grants and bundles end: what the clock says, but never before what is known to
 * have passed, so that a clock that is set back brings nothing back.
 */
int64_t serving_now_us(const struct serving *s);
/* It is @us or later: of something the hub has just signed, or this leaf has stored. */
void serving_know_time(struct serving *s, int64_t us);
/* @grants are in force from now on, instead of those before; taken over. */
void serving_take_grants(struct serving *s, struct grant_set *grants);

/*
 * Whether @grant is to be fed under its own audience alone: somebody whose right has ended may hear
 * the shared one. The hub lets in whom it thinks to be granted: that is who has a grant that is
 * held back, and as long as it does not answer, whoever had one.
 */
bool serving_feeds_apart(const struct serving *s, const struct grant *grant);

/* Who asks. */
struct serving_caller {
    const char *account;   /* public key of the asking account; NULL: the owning domain itself */
    const char *assertion; /* of its roles, a token (HEADER_ROLES), or NULL */
    const struct served_roles *roles; /* instead: as they were when the answer began; or NULL */
};

/* What a caller may see of a table of a product. */
struct serving_right {
    const struct serving *serving; /* that decided */
    const struct served_product *product;
    const struct grant *grant; /* NULL: the owner; else borrowed from serving->grants */
    struct served_roles roles; /* of who asks; of the owner none, as nothing depends on them */
    int64_t roles_until_s;     /* what asserts them holds for so long; INT64_MAX: nothing does */
};

/*
 * Decides on @product (a name without domain; @major 0: the highest active).
 *   SF_ABSENT       E0302: no such product
 *   SF_DENIED       E0401: not granted; E0417: it was, that has ended, and the hub forgot it
 *                   E0506: the assertion does not hold
 *   SF_UNAVAILABLE  E0707: the bundle has expired, so nothing is served to other domains
 */
enum sf_code serving_decide(const struct serving *s, const struct serving_caller *caller,
                            const char *product, uint32_t major, struct serving_right *ret,
                            struct sf_error *err) SF_MUST_CHECK;
/* Another domain in whose place the owner looks. */
struct serving_as {
    const char *domain;
    const char *purpose; /* NULL: that of the grant */
    struct served_roles roles;
    struct grant grant;          /* set: what is decided by, as long as this struct lives */
    const struct grant *granted; /* set: the one in force; NULL: there is none */
};
/* What that domain may see with the grant it has; without one, as with one of all columns.
 * SF_ABSENT as serving_decide(). */
enum sf_code serving_decide_as(const struct serving *s, struct serving_as *as, const char *product,
                               uint32_t major, struct serving_right *ret,
                               struct sf_error *err) SF_MUST_CHECK;
/* Whether the grant of this id is still in force; long answers ask before each page. */
bool serving_still_granted(const struct serving *s, const char *grant_id);

/*
 * What who has @grant (NULL: the owner) and @roles (NULL: none) sees of @table, with a reference
 * for the caller. The same view as before, as long as nothing it comes from has changed: @grant is
 * what it is for as long as s->generation lasts, as those of a set are, or has the id "". Roles
 * that no policy asks for make no other view. SF_DENIED E0416: a policy denies the table.
 * SF_UNAVAILABLE: there is no key to hash with. SF_NOMEM.
 */
enum sf_code serving_view(const struct serving *s, const struct served_table *table,
                          const struct grant *grant, const struct served_roles *roles,
                          struct served_view **ret, struct sf_error *err) SF_MUST_CHECK;
/*
 * Whether @view is still what the grant of this id and the roles of the view see of its table; long
 * answers ask before each page. What a newer version of the product adds does not count, what it
 * hides does. SF_DENIED E0401: the grant has ended. SF_BUSY E0602: the view has changed, and asking
 * again gets the new one. And as serving_view().
 */
enum sf_code serving_still_shows(const struct serving *s, const char *grant_id,
                                 const struct served_view *view,
                                 struct sf_error *err) SF_MUST_CHECK;
/* The keys of hash masks are others from now on. */
void serving_keys_changed(struct serving *s);
