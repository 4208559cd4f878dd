/*
 * Views that were made for other domains, by their rights: asked for again, they are there.
 *
 *   Threads   Loop thread.
 *   Memory    Holds a reference to each of its views.
 *   Limits    VIEW_CACHE_MAX views of grants alone. Those that depend on roles stand apart for each
 *             domain, VIEW_CACHE_BY_ROLE_MAX of them: roles are what a domain says they are, and
 *             one that invents them pushes out its own. Where there is no room the oldest goes.
 */
#pragma once

#include "common/base/map.h"
#include "leaf/serving/served_view.h"

enum {
    VIEW_CACHE_MAX = 1024,
    VIEW_CACHE_BY_ROLE_MAX = 64,
    VIEW_CACHE_DOMAINS_MAX = 1024,
};

struct grant;
struct view_cache;

/* What a view was made of. Equal rights under one @generation make equal views until @until_us. */
struct view_rights {
    const struct grant *grant; /* NULL: they are of more than the grant, not to be recalled */
    const struct served_table *table;
    const char *roles_of; /* the domain whose roles they depend on; NULL: on none */
    struct sf_slice key;  /* of what they say */
    uint64_t generation;
    int64_t now_us;
};

/* SF_NOMEM. */
enum sf_code view_cache_new(struct view_cache **ret, struct sf_error *err) SF_MUST_CHECK;
void view_cache_free(struct view_cache *c); /* NULL is fine */
/* A number for a view, never given before. */
uint64_t view_cache_serial(struct view_cache *c);
/* Counts of all views that are given it. */
struct served_counts *view_cache_counts(struct view_cache *c);

struct view_cache_stats {
    size_t views;              /* of grants alone */
    size_t views_by_role_most; /* of the domain that has most of them */
    uint64_t pushed_out;
    uint64_t pushed_out_by_role;
};
struct view_cache_stats view_cache_stats(const struct view_cache *c);

/* What view_cache_find() found last for this grant and table under this generation, borrowed, and
 * when it ends; or NULL. Needs neither the key nor the time. */
struct served_view *view_cache_recall(struct view_cache *c, const struct view_rights *rights,
                                      int64_t *ret_until_us);
/* The view made of these rights, borrowed, or NULL. */
struct served_view *view_cache_find(struct view_cache *c, const struct view_rights *rights);
/*
 * The view that was made of these rights under an older generation, borrowed, when @decision comes
 * to the same; then it is found under this one too. Else NULL.
 */
struct served_view *view_cache_renew(struct view_cache *c, const struct view_rights *rights,
                                     const struct sf_policy_view *decision,
                                     const uint8_t *hash_key);
/* Keeps a reference to @v. SF_NOMEM. */
enum sf_code view_cache_put(struct view_cache *c, const struct view_rights *rights,
                            struct served_view *v, struct sf_error *err) SF_MUST_CHECK;
/* Whether a view ended by its time behind @after_us, at @now_us or before. */
bool view_cache_has_ended(const struct view_cache *c, int64_t after_us, int64_t now_us);
