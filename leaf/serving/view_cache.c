#include "leaf/serving/view_cache.h"

#include <string.h>

#include "common/base/alloc.h"

struct entry {
    struct served_view *view; /* a reference */
    uint64_t generation;
    int64_t until_us;
};

enum { SLOTS = 4 * VIEW_CACHE_MAX }; /* so that few share one */

/* A grant and a table as they lie in memory: what was found for them last. */
struct slot {
    const struct grant *grant;
    const struct served_table *table;
    uint64_t generation; /* grants are others under the next one, wherever they lie */
    const struct entry *entry;
};

/* Views that make room for each other, and for no others. */
struct shelf {
    struct sf_map entries;
    size_t max;
};

struct view_cache {
    struct shelf plain;      /* of grants alone: the owner has agreed to each */
    struct sf_map by_domain; /* -> struct shelf: of roles, which a domain may invent */
    struct view_cache_stats stats;
    struct slot slots[SLOTS];
    uint64_t serial;
    struct served_counts counts;
};

enum sf_code view_cache_new(struct view_cache **ret, struct sf_error *err)
{
    *ret = sf_calloc(1, sizeof(**ret));
    if (*ret == NULL) {
        return SF_RAISE(err, SF_NOMEM, "views");
    }
    (*ret)->plain.max = VIEW_CACHE_MAX;
    return SF_OK;
}

static void entry_free(struct view_cache *c, struct entry *e)
{
    if (e == NULL) {
        return;
    }
    for (size_t i = 0; i < SLOTS; i++) {
        if (c->slots[i].entry == e) {
            c->slots[i] = (struct slot){0};
        }
    }
    served_view_unref(e->view);
    sf_free(e);
}

static void shelf_clear(struct view_cache *c, struct shelf *s)
{
    size_t at = 0;
    struct sf_map_entry *e;

    while ((e = sf_map_next(&s->entries, &at)) != NULL) {
        entry_free(c, e->value);
    }
    sf_map_done(&s->entries);
}

static void shelf_free(struct view_cache *c, struct shelf *s)
{
    shelf_clear(c, s);
    sf_free(s);
}

void view_cache_free(struct view_cache *c)
{
    size_t at = 0;
    struct sf_map_entry *e;

    if (c == NULL) {
        return;
    }
    shelf_clear(c, &c->plain);
    while ((e = sf_map_next(&c->by_domain, &at)) != NULL) {
        shelf_free(c, e->value);
    }
    sf_map_done(&c->by_domain);
    sf_free(c);
}

uint64_t view_cache_serial(struct view_cache *c)
{
    return ++c->serial;
}

struct served_counts *view_cache_counts(struct view_cache *c)
{
    return &c->counts;
}

struct view_cache_stats view_cache_stats(const struct view_cache *c)
{
    struct view_cache_stats stats = c->stats;
    size_t at = 0;
    struct sf_map_entry *e;

    stats.views = c->plain.entries.live;
    while ((e = sf_map_next(&c->by_domain, &at)) != NULL) {
        const struct shelf *s = e->value;

        stats.views_by_role_most =
            s->entries.live > stats.views_by_role_most ? s->entries.live : stats.views_by_role_most;
    }
    return stats;
}

/* Where views of such rights stand; NULL: there are none yet. */
static struct shelf *shelf_of(struct view_cache *c, const struct view_rights *rights)
{
    return rights->roles_of == NULL ? &c->plain : sf_map_get(&c->by_domain, rights->roles_of);
}

static struct entry *entry_of(struct view_cache *c, const struct view_rights *rights)
{
    const struct shelf *s = shelf_of(c, rights);

    return s == NULL ? NULL : sf_map_find(&s->entries, rights->key);
}

static struct slot *slot_of(struct view_cache *c, const struct view_rights *rights)
{
    const uint64_t both = ((uintptr_t)rights->grant >> 4) * UINT64_C(0x9e3779b97f4a7c15) ^
                          ((uintptr_t)rights->table >> 4) * UINT64_C(0xff51afd7ed558ccd);

    return &c->slots[both >> 32 & (SLOTS - 1)];
}

struct served_view *view_cache_recall(struct view_cache *c, const struct view_rights *rights,
                                      int64_t *ret_until_us)
{
    const struct slot *s = slot_of(c, rights);

    if (s->entry == NULL || s->grant != rights->grant || s->table != rights->table ||
        s->generation != rights->generation || s->entry->generation != rights->generation) {
        return NULL;
    }
    *ret_until_us = s->entry->until_us;
    return s->entry->view;
}

struct served_view *view_cache_find(struct view_cache *c, const struct view_rights *rights)
{
    const struct entry *e = entry_of(c, rights);

    if (e == NULL || e->generation != rights->generation || rights->now_us >= e->until_us) {
        return NULL;
    }
    if (rights->grant != NULL) {
        *slot_of(c, rights) = (struct slot){rights->grant, rights->table, rights->generation, e};
    }
    return e->view;
}

static bool comes_to_the_same(const struct served_view *v, const struct sf_policy_view *decision,
                              const uint8_t *hash_key)
{
    const bool same_key = hash_key == NULL || !decision->hashes ||
                          memcmp(v->hash_key, hash_key, sizeof(v->hash_key)) == 0;

    return same_key && v->decision->parts == decision->parts &&
           sf_slice_equal(v->decision->canon, decision->canon);
}

struct served_view *view_cache_renew(struct view_cache *c, const struct view_rights *rights,
                                     const struct sf_policy_view *decision, const uint8_t *hash_key)
{
    struct entry *e = entry_of(c, rights);

    if (e == NULL || !comes_to_the_same(e->view, decision, hash_key)) {
        return NULL;
    }
    e->generation = rights->generation;
    e->until_us = decision->until_us;
    return e->view;
}

static void *take_oldest(struct sf_map *m)
{
    size_t at = 0;
    const struct sf_map_entry *oldest = sf_map_next(m, &at);

    return sf_map_remove(m, sf_slice_of(oldest->key, oldest->key_size));
}

/* NULL: no memory. Domains that asked with roles are as few as have grants; the owner, who looks
 * as any domain it likes, finds the room of the oldest. */
static struct shelf *shelf_new(struct view_cache *c, const char *domain)
{
    struct shelf *s = sf_calloc(1, sizeof(*s));

    if (s == NULL || sf_map_put(&c->by_domain, sf_slice_text(domain), s) != SF_OK) {
        sf_free(s);
        return NULL;
    }
    s->max = VIEW_CACHE_BY_ROLE_MAX;
    if (c->by_domain.live > VIEW_CACHE_DOMAINS_MAX) {
        shelf_free(c, take_oldest(&c->by_domain));
    }
    return s;
}

static void make_room(struct view_cache *c, struct shelf *s)
{
    if (s->entries.live >= s->max) {
        entry_free(c, take_oldest(&s->entries));
        *(s == &c->plain ? &c->stats.pushed_out : &c->stats.pushed_out_by_role) += 1;
    }
}

enum sf_code view_cache_put(struct view_cache *c, const struct view_rights *rights,
                            struct served_view *v, struct sf_error *err)
{
    struct shelf *s = shelf_of(c, rights);
    struct entry *e;

    s = s == NULL ? shelf_new(c, rights->roles_of) : s;
    if (s == NULL) {
        return SF_RAISE(err, SF_NOMEM, "view");
    }
    entry_free(c, sf_map_remove(&s->entries, rights->key));
    make_room(c, s);
    e = sf_calloc(1, sizeof(*e));
    if (e == NULL || sf_map_put(&s->entries, rights->key, e) != SF_OK) {
        sf_free(e);
        return SF_RAISE(err, SF_NOMEM, "view");
    }
    *e = (struct entry){.view = served_view_ref(v),
                        .generation = rights->generation,
                        .until_us = v->decision->until_us};
    return SF_OK;
}

static bool has_ended(const struct shelf *s, int64_t after_us, int64_t now_us)
{
    size_t at = 0;
    struct sf_map_entry *m;

    while ((m = sf_map_next(&s->entries, &at)) != NULL) {
        const struct entry *e = m->value;

        if (e->until_us > after_us && e->until_us <= now_us) {
            return true;
        }
    }
    return false;
}

bool view_cache_has_ended(const struct view_cache *c, int64_t after_us, int64_t now_us)
{
    bool ended = has_ended(&c->plain, after_us, now_us);
    size_t at = 0;
    struct sf_map_entry *m;

    while (!ended && (m = sf_map_next(&c->by_domain, &at)) != NULL) {
        ended = has_ended(m->value, after_us, now_us);
    }
    return ended;
}
