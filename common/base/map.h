/*
 * Hash map from short byte strings to pointers.
 *
 *   Memory   Keys are copied; values are the caller's. A zeroed struct is an empty map.
 *   Order    Iteration is in insertion order of what is still there.
 */
#pragma once

#include "common/base/attr.h"
#include "common/base/error.h"
#include "common/base/slice.h"

struct sf_map_entry {
    char *key; /* owned, NUL-terminated; NULL: removed */
    uint32_t key_size;
    uint32_t hash;
    void *value;
};

struct sf_map {
    struct sf_map_entry *entries; /* in insertion order */
    size_t entry_count;           /* including removed ones */
    size_t entry_capacity;
    size_t live;     /* entries not removed */
    uint32_t *index; /* entry number + 1; 0: free */
    size_t index_size;
};

void sf_map_done(struct sf_map *m);
/* The value, or NULL when the key is absent. */
void *sf_map_find(const struct sf_map *m, struct sf_slice key);
static inline void *sf_map_get(const struct sf_map *m, const char *key)
{
    return sf_map_find(m, sf_slice_text(key));
}
/* Adds or replaces; @value is not NULL. SF_NOMEM leaves the map as it was. */
enum sf_code sf_map_put(struct sf_map *m, struct sf_slice key, void *value) SF_MUST_CHECK;
/* Takes the value out; NULL when the key was absent. */
void *sf_map_remove(struct sf_map *m, struct sf_slice key);
/* Next live entry at or behind *@at, which starts at 0 and is moved on; NULL at the end. */
struct sf_map_entry *sf_map_next(const struct sf_map *m, size_t *at);
