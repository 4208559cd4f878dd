#include "leaf/store/positions.h"

#include <string.h>

#include "common/base/alloc.h"
#include "common/sys/crypto.h"
#include "common/sys/memory.h"

enum {
    WAYS = 4,
    LINE_BYTES = 64,
    PAGE_BYTES = 4096,
    SPREAD = 2, /* keys for each page, behind which nearly every page has one */
};
/* Odd, so that the same key has another tag in each lane. */
#define LANE_FACTOR UINT64_C(0x9e3779b97f4a7c15)

struct entry {
    uint64_t tag;
    uint64_t value; /* seq, and whether it is a row in the lowest bit; 0: free */
};

struct bucket {
    struct entry entries[WAYS]; /* newest first */
};
_Static_assert(sizeof(struct bucket) == LINE_BYTES, "one line of the cache");

struct positions {
    uint8_t key[SF_SHORT_KEY_SIZE];
    void *memory;
    struct bucket *buckets; /* at a line of the cache, or at a large page */
    uint64_t mask;
    size_t used;      /* entries */
    size_t spread_at; /* of them, and all pages are in use */
};

/* Where buckets begin in memory that has room for one alignment more. */
static size_t alignment_of(size_t bytes)
{
    return bytes >= SF_MEMORY_LARGE_PAGE ? SF_MEMORY_LARGE_PAGE : LINE_BYTES;
}

enum sf_code positions_new(size_t bytes, struct positions **ret, struct sf_error *err)
{
    size_t count = 1;
    size_t alignment;
    struct positions *p;

    *ret = NULL;
    if (bytes < sizeof(struct bucket)) {
        return SF_OK;
    }
    while (count * 2 * sizeof(struct bucket) <= bytes) {
        count *= 2;
    }
    alignment = alignment_of(count * sizeof(struct bucket));
    p = sf_calloc(1, sizeof(*p));
    if (p != NULL) {
        p->memory = sf_calloc(1, count * sizeof(struct bucket) + alignment);
    }
    if (p == NULL || p->memory == NULL) {
        sf_free(p);
        return SF_RAISE(err, SF_NOMEM, "positions of keys");
    }
    p->buckets =
        (struct bucket *)(((uintptr_t)p->memory + alignment - 1) & ~(uintptr_t)(alignment - 1));
    p->mask = count - 1;
    p->spread_at = count * sizeof(struct bucket) / PAGE_BYTES * SPREAD;
    sf_random_bytes(p->key, sizeof(p->key));
    *ret = p;
    return SF_OK;
}

void positions_free(struct positions *p)
{
    if (p != NULL) {
        sf_free(p->memory);
        sf_free(p);
    }
}

struct position_place positions_place(const struct positions *p, uint32_t lane, struct sf_slice key)
{
    struct position_place place = {0};
    uint8_t hash[SF_HASH128_SIZE];

    if (p != NULL) {
        sf_hash128_short(p->key, key, hash);
        memcpy(&place.bucket, hash, sizeof(place.bucket));
        memcpy(&place.tag, hash + sizeof(place.bucket), sizeof(place.tag));
        place.tag += lane * LANE_FACTOR;
    }
    return place;
}

void positions_fetch(const struct positions *p, const struct position_place *place)
{
    if (p != NULL) {
        __builtin_prefetch(&p->buckets[place->bucket & p->mask], /* to be written */ 1);
    }
}

/* The number of the entry in its bucket, or of the last. */
static size_t way_of(const struct bucket *b, uint64_t tag)
{
    size_t i = 0;

    while (i + 1 < WAYS && b->entries[i].value != 0 && b->entries[i].tag != tag) {
        i++;
    }
    return i;
}

bool positions_find(const struct positions *p, const struct position_place *place,
                    struct position *ret)
{
    const struct bucket *b;
    const struct entry *e;

    if (p == NULL) {
        return false;
    }
    b = &p->buckets[place->bucket & p->mask];
    e = &b->entries[way_of(b, place->tag)];
    if (e->value == 0 || e->tag != place->tag) {
        return false;
    }
    *ret = (struct position){.seq = e->value >> 1, .live = (e->value & 1) != 0};
    return true;
}

void positions_put(struct positions *p, const struct position_place *place,
                   struct position position)
{
    struct bucket *b;
    size_t way;

    if (p == NULL) {
        return;
    }
    b = &p->buckets[place->bucket & p->mask];
    way = way_of(b, place->tag);
    if (b->entries[way].value == 0 && ++p->used == p->spread_at) {
        sf_memory_large_pages(p->buckets, (p->mask + 1) * sizeof(*p->buckets));
    }
    memmove(b->entries + 1, b->entries, way * sizeof(b->entries[0]));
    b->entries[0] = (struct entry){place->tag, position.seq << 1 | (position.live ? 1 : 0)};
}

void positions_clear(struct positions *p)
{
    if (p != NULL) {
        memset(p->buckets, 0, (p->mask + 1) * sizeof(*p->buckets));
        p->used = 0;
    }
}

size_t positions_used(const struct positions *p)
{
    return p == NULL ? 0 : p->used * sizeof(struct entry);
}
