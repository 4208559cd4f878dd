/*
 * The slots of a lane in the order of their keys. What is read and what is written then lies side
 * by side in memtables and blocks: one path down, not one for each key (measured for updates of a
 * million rows: see bench/results).
 */
#include <stdlib.h>

#include "leaf/store/store_internal.h"

struct ordered {
    uint64_t begin; /* of what follows the bytes that all keys share */
    const struct lane_slot *slot;
};

static size_t shared_prefix(const struct lane_work *work)
{
    struct sf_slice first = work->slots[0].key;
    size_t shared = first.size;

    for (size_t i = 1; i < work->slot_count; i++) {
        struct sf_slice key = work->slots[i].key;
        size_t n = 0;

        shared = key.size < shared ? key.size : shared;
        while (n < shared && key.data[n] == first.data[n]) {
            n++;
        }
        shared = n;
    }
    return shared;
}

static uint64_t begin_of(struct sf_slice key, size_t at)
{
    uint8_t bytes[8] = {0};
    size_t left = key.size - at;

    memcpy(bytes, key.data + at, left < sizeof(bytes) ? left : sizeof(bytes));
    return sf_read_be64(bytes);
}

static int by_key(const void *a, const void *b)
{
    const struct ordered *x = a;
    const struct ordered *y = b;

    if (x->begin != y->begin) {
        return x->begin < y->begin ? -1 : 1;
    }
    return sf_slice_compare(x->slot->key, y->slot->key);
}

enum sf_code commit_order_slots(struct commit_group *g, struct lane_work *work)
{
    const size_t count = work->slot_count;
    struct ordered *ordered = sf_arena_alloc(&g->arena, count * sizeof(*ordered));
    size_t shared;

    work->order = sf_arena_alloc(&g->arena, count * sizeof(*work->order));
    if (ordered == NULL || work->order == NULL) {
        return SF_RAISE(&g->error, SF_NOMEM, "commit group");
    }
    shared = shared_prefix(work);
    for (size_t i = 0; i < count; i++) {
        ordered[i] = (struct ordered){begin_of(work->slots[i].key, shared), &work->slots[i]};
    }
    qsort(ordered, count, sizeof(*ordered), by_key);
    for (size_t i = 0; i < count; i++) {
        work->order[i] = (uint32_t)(ordered[i].slot - work->slots);
    }
    return SF_OK;
}
