#include "tests/lib/fake_entries.h"

#include "common/base/alloc.h"

size_t fake_entries_from(const struct fake_disk *d, enum kv_family f, struct sf_slice key)
{
    size_t low = 0;
    size_t high = d->families[f].count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (sf_slice_compare(fake_entry_key(d->families[f].entries[middle]), key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct fake_entry *fake_entries_find(const struct fake_disk *d, enum kv_family f,
                                     struct sf_slice key)
{
    size_t i = fake_entries_from(d, f, key);

    if (i < d->families[f].count &&
        sf_slice_equal(fake_entry_key(d->families[f].entries[i]), key)) {
        return d->families[f].entries[i];
    }
    return NULL;
}

struct fake_version *fake_entry_seen(const struct fake_entry *e, uint64_t number)
{
    struct fake_version *v = e == NULL ? NULL : e->newest;

    while (v != NULL && v->number > number) {
        v = v->older;
    }
    return v != NULL && !v->removed ? v : NULL;
}

/* Finds the entry of @key, or makes one without versions. NULL: out of memory. */
static struct fake_entry *make_entry(struct fake_disk *d, enum kv_family f, struct sf_slice key)
{
    size_t i = fake_entries_from(d, f, key);
    struct fake_entry *e = fake_entries_find(d, f, key);

    if (e != NULL) {
        return e;
    }
    if (d->families[f].count == d->families[f].capacity) {
        size_t capacity = d->families[f].capacity * 2 + 64;
        struct fake_entry **entries =
            sf_realloc(d->families[f].entries, capacity, sizeof(struct fake_entry *));

        if (entries == NULL) {
            return NULL;
        }
        d->families[f].entries = entries;
        d->families[f].capacity = capacity;
    }
    e = sf_alloc(sizeof(*e) + key.size);
    if (e == NULL) {
        return NULL;
    }
    e->newest = NULL;
    e->size = key.size;
    if (key.size > 0) {
        memcpy(e->key, key.data, key.size);
    }
    memmove(&d->families[f].entries[i + 1], &d->families[f].entries[i],
            (d->families[f].count - i) * sizeof(struct fake_entry *));
    d->families[f].entries[i] = e;
    d->families[f].count++;
    return e;
}

enum sf_code fake_entries_add(struct fake_disk *d, enum kv_family f, struct sf_slice key,
                              const struct sf_slice *value, struct fake_stamp stamp,
                              struct sf_error *err)
{
    const size_t size = value == NULL ? 0 : value->size;
    struct fake_entry *e = make_entry(d, f, key);
    struct fake_version *v = e == NULL ? NULL : sf_alloc(sizeof(*v) + size);

    if (v == NULL) {
        return SF_RAISE(err, SF_NOMEM, "fake kv");
    }
    v->older = e->newest;
    v->number = stamp.number;
    v->removed = value == NULL;
    v->is_volatile = stamp.is_volatile;
    v->size = size;
    if (size > 0) {
        memcpy(v->bytes, value->data, size);
    }
    e->newest = v;
    return SF_OK;
}

void fake_entries_drop_after(struct fake_disk *d, uint64_t kept, uint64_t flushed)
{
    for (int f = 0; f < KV_FAMILY_COUNT; f++) {
        for (size_t i = 0; i < d->families[f].count; i++) {
            struct fake_version **at = &d->families[f].entries[i]->newest;

            while (*at != NULL) {
                struct fake_version *v = *at;

                uint64_t stays = d->moved[f] > flushed ? d->moved[f] : flushed;

                if (v->number > (v->is_volatile ? stays : kept)) {
                    *at = v->older;
                    sf_free(v);
                } else {
                    at = &v->older;
                }
            }
        }
    }
}
