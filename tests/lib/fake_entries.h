/* What a fake disk (fake_kv.h) holds: keys in order, and of each the versions that writes made. */
#pragma once

#include "tests/lib/fake_kv.h"

struct fake_version {
    struct fake_version *older;
    uint64_t number; /* of the write that made it */
    bool removed;
    bool is_volatile;
    size_t size;
    uint8_t bytes[];
};

struct fake_entry {
    struct fake_version *newest;
    size_t size;
    uint8_t key[];
};

/* What all versions of one write have in common. */
struct fake_stamp {
    uint64_t number;
    bool is_volatile;
};

static inline struct sf_slice fake_entry_key(const struct fake_entry *e)
{
    return sf_slice_of(e->key, e->size);
}
/* Index of the first entry whose key is not below @key. */
size_t fake_entries_from(const struct fake_disk *d, enum kv_family f, struct sf_slice key);
/* NULL: there is none. */
struct fake_entry *fake_entries_find(const struct fake_disk *d, enum kv_family f,
                                     struct sf_slice key);
/* What a reader at @number sees of @e; NULL: nothing. */
struct fake_version *fake_entry_seen(const struct fake_entry *e, uint64_t number);
/* Adds a version; @value NULL: the key is removed. SF_NOMEM. */
enum sf_code fake_entries_add(struct fake_disk *d, enum kv_family f, struct sf_slice key,
                              const struct sf_slice *value, struct fake_stamp stamp,
                              struct sf_error *err) SF_MUST_CHECK;
/* Forgets the versions behind @kept, or when volatile behind @flushed. */
void fake_entries_drop_after(struct fake_disk *d, uint64_t kept, uint64_t flushed);
