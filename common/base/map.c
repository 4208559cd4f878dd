#include "common/base/map.h"

#include <string.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"

enum { FIRST_SLOTS = 16 };

/* FNV-1a: keys are names, and the size of every map is bounded by its owner. */
static uint32_t hash_of(struct sf_slice key)
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < key.size; i++) {
        hash = (hash ^ key.data[i]) * 16777619u;
    }
    return hash;
}

void sf_map_done(struct sf_map *m)
{
    for (size_t i = 0; i < m->entry_count; i++) {
        sf_free(m->entries[i].key);
    }
    sf_free(m->entries);
    sf_free(m->index);
    *m = (struct sf_map){0};
}

static struct sf_map_entry *find_entry(const struct sf_map *m, struct sf_slice key, uint32_t hash)
{
    if (m->index_size == 0) {
        return NULL;
    }
    for (size_t slot = hash & (m->index_size - 1); m->index[slot] != 0;
         slot = (slot + 1) & (m->index_size - 1)) {
        struct sf_map_entry *e = &m->entries[m->index[slot] - 1];

        if (e->key != NULL && e->hash == hash &&
            sf_slice_equal(sf_slice_of(e->key, e->key_size), key)) {
            return e;
        }
    }
    return NULL;
}

void *sf_map_find(const struct sf_map *m, struct sf_slice key)
{
    struct sf_map_entry *e = find_entry(m, key, hash_of(key));

    return e == NULL ? NULL : e->value;
}

static void index_entry(uint32_t *index, size_t index_size, uint32_t hash, size_t number)
{
    size_t slot = hash & (index_size - 1);

    while (index[slot] != 0) {
        slot = (slot + 1) & (index_size - 1);
    }
    index[slot] = (uint32_t)number + 1;
}

/* Makes room for one more entry: drops removed ones, then doubles when still needed. */
static enum sf_code make_room(struct sf_map *m)
{
    size_t capacity =
        m->live + 1 > m->entry_capacity / 2 ? m->entry_capacity * 2 : m->entry_capacity;
    struct sf_map_entry *entries;
    uint32_t *index;
    size_t kept = 0;

    if (capacity < FIRST_SLOTS) {
        capacity = FIRST_SLOTS;
    }
    entries = sf_calloc(capacity, sizeof(*entries));
    index = sf_calloc(capacity * 2, sizeof(*index));
    if (entries == NULL || index == NULL) {
        sf_free(entries);
        sf_free(index);
        return SF_NOMEM;
    }
    for (size_t i = 0; i < m->entry_count; i++) {
        if (m->entries[i].key != NULL) {
            entries[kept] = m->entries[i];
            index_entry(index, capacity * 2, entries[kept].hash, kept);
            kept++;
        }
    }
    sf_free(m->entries);
    sf_free(m->index);
    m->entries = entries;
    m->index = index;
    m->index_size = capacity * 2;
    m->entry_count = kept;
    m->entry_capacity = capacity;
    return SF_OK;
}

enum sf_code sf_map_put(struct sf_map *m, struct sf_slice key, void *value)
{
    uint32_t hash = hash_of(key);
    struct sf_map_entry *e = find_entry(m, key, hash);
    char *copy;

    sf_assert(value != NULL);
    if (e != NULL) {
        e->value = value;
        return SF_OK;
    }
    if (m->entry_count == m->entry_capacity && make_room(m) != SF_OK) {
        return SF_NOMEM;
    }
    copy = sf_strndup(key.data, key.size);
    if (copy == NULL) {
        return SF_NOMEM;
    }
    m->entries[m->entry_count] = (struct sf_map_entry){
        .key = copy,
        .key_size = (uint32_t)key.size,
        .hash = hash,
        .value = value,
    };
    index_entry(m->index, m->index_size, hash, m->entry_count);
    m->entry_count++;
    m->live++;
    return SF_OK;
}

void *sf_map_remove(struct sf_map *m, struct sf_slice key)
{
    struct sf_map_entry *e = find_entry(m, key, hash_of(key));

    if (e == NULL) {
        return NULL;
    }
    sf_free(e->key);
    e->key = NULL; /* The slot stays used until make_room(), so that probing goes past it. */
    m->live--;
    return e->value;
}

struct sf_map_entry *sf_map_next(const struct sf_map *m, size_t *at)
{
    while (*at < m->entry_count) {
        struct sf_map_entry *e = &m->entries[(*at)++];

        if (e->key != NULL) {
            return e;
        }
    }
    return NULL;
}
