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

struct view_cache {
    struct sf_map entries;
    struct slot slots[SLOTS];
    uint64_t serial;
    struct served_counts counts;
};

enum sf_code view_cache_new(struct view_cache **ret, struct sf_error *err)
{
    *ret = sf_calloc(1, sizeof(**ret));
    return *ret == NULL ? SF_RAISE(err, SF_NOMEM, "views") : SF_OK;
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

void view_cache_free(struct view_cache *c)
{
    size_t at = 0;
    struct sf_map_entry *e;

    if (c == NULL) {
        return;
    }
    while ((e = sf_map_next(&c->entries, &at)) != NULL) {
        entry_free(c, e->value);
    }
    sf_map_done(&c->entries);
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
    const struct entry *e = sf_map_find(&c->entries, rights->key);

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
    struct entry *e = sf_map_find(&c->entries, rights->key);

    if (e == NULL || !comes_to_the_same(e->view, decision, hash_key)) {
        return NULL;
    }
    e->generation = rights->generation;
    e->until_us = decision->until_us;
    return e->view;
}

static void make_room(struct view_cache *c)
{
    size_t at = 0;
    struct sf_map_entry *oldest;

    if (c->entries.live >= VIEW_CACHE_MAX) {
        oldest = sf_map_next(&c->entries, &at);
        entry_free(c, sf_map_remove(&c->entries, sf_slice_of(oldest->key, oldest->key_size)));
    }
}

enum sf_code view_cache_put(struct view_cache *c, const struct view_rights *rights,
                            struct served_view *v, struct sf_error *err)
{
    struct entry *e;

    entry_free(c, sf_map_remove(&c->entries, rights->key));
    make_room(c);
    e = sf_calloc(1, sizeof(*e));
    if (e == NULL || sf_map_put(&c->entries, rights->key, e) != SF_OK) {
        sf_free(e);
        return SF_RAISE(err, SF_NOMEM, "view");
    }
    *e = (struct entry){.view = served_view_ref(v),
                        .generation = rights->generation,
                        .until_us = v->decision->until_us};
    return SF_OK;
}

bool view_cache_has_ended(const struct view_cache *c, int64_t after_us, int64_t now_us)
{
    size_t at = 0;
    struct sf_map_entry *m;

    while ((m = sf_map_next(&c->entries, &at)) != NULL) {
        const struct entry *e = m->value;

        if (e->until_us > after_us && e->until_us <= now_us) {
            return true;
        }
    }
    return false;
}
