/*
 * The keys of a lane in a commit: a slot for each, with the seq that it has now. That is remembered
 * from the commit before, as far as memory goes, or looked up: one batched read per lane.
 */
#include "leaf/store/store_internal.h"

static enum sf_code no_memory(struct sf_error *err)
{
    return SF_RAISE(err, SF_NOMEM, "commit group");
}

/* --- gather ----------------------------------------------------------------------------------- */

/* Keys of a group found by their bytes; lives for the gathering of one lane. */
struct slot_index {
    uint32_t *at; /* slot + 1; 0: free */
    size_t mask;
    uint64_t seed;
};

static uint32_t slot_of(struct lane_work *work, const struct slot_index *index, struct sf_slice key)
{
    size_t i = (size_t)sf_mix64(index->seed, key) & index->mask;

    while (index->at[i] != 0) {
        uint32_t slot = index->at[i] - 1;

        if (sf_slice_equal(work->slots[slot].key, key)) {
            return slot;
        }
        i = (i + 1) & index->mask;
    }
    work->slots[work->slot_count] = (struct lane_slot){.key = key};
    index->at[i] = (uint32_t)++work->slot_count;
    return (uint32_t)work->slot_count - 1;
}

static enum sf_code gather_slots(struct commit_group *g, struct store_lane *lane)
{
    struct lane_work *work = &lane->work;
    struct sf_slice stored_max = sf_slice_of(lane->max_key, lane->max_key_size);
    struct slot_index index = {.mask = 15, .seed = g->hash_seed};
    size_t item = 0;

    while (index.mask < work->item_count * 2) {
        index.mask = index.mask * 2 + 1;
    }
    index.at = sf_arena_calloc(&g->arena, index.mask + 1, sizeof(*index.at));
    work->slots = sf_arena_calloc(&g->arena, work->item_count, sizeof(*work->slots));
    work->item_slots = sf_arena_calloc(&g->arena, work->item_count, sizeof(*work->item_slots));
    if (index.at == NULL || work->slots == NULL || work->item_slots == NULL) {
        return no_memory(&g->error);
    }
    for (struct sf_list *at = g->writes.next; at != &g->writes; at = at->next) {
        struct store_write *w = SF_CONTAINER_OF(at, struct store_write, link);

        for (size_t i = 0; i < w->lane_count; i++) {
            for (size_t c = 0; w->lanes[i].lane == lane && c < w->lanes[i].change_count; c++) {
                struct sf_slice key = w->lanes[i].changes[c].key;
                uint32_t slot = slot_of(work, &index, key);

                work->slots[slot].stored = sf_slice_compare(key, stored_max) <= 0;
                work->item_slots[item++] = slot;
            }
        }
    }
    return SF_OK;
}

/* --- remember --------------------------------------------------------------------------------- */

enum { AHEAD = 16 }; /* keys whose place is on its way into the cache */

/* What is remembered of a slot's key; not when its row is needed as well. Behind keep_to it is
 * behind gone_to too: a delete that counts. */
static void recall(struct commit_group *g, const struct store_lane *lane, struct lane_slot *slot)
{
    struct position known;

    if (!slot->stored || !positions_find(g->positions, &slot->place, &known) ||
        known.seq <= lane->keep_to) {
        return;
    }
    slot->stored = false;
    slot->seq = known.seq;
    slot->live = known.live;
    g->counts.remembered++;
}

static void recall_slots(struct commit_group *g, const struct store_lane *lane)
{
    const struct lane_work *work = &lane->work;

    for (size_t i = 0; i < work->slot_count + AHEAD; i++) {
        if (i < work->slot_count) {
            struct lane_slot *slot = &work->slots[i];

            slot->place = positions_place(g->positions, lane->id, slot->key);
            positions_fetch(g->positions, &slot->place);
        }
        if (i >= AHEAD && !work->wants_rows) {
            recall(g, lane, &work->slots[i - AHEAD]);
        }
    }
}

/* Of a lane whose keys were all new. */
static void remember_changes(struct commit_group *g, const struct store_lane *lane)
{
    const struct lane_work *work = &lane->work;
    struct position_place places[AHEAD];

    for (size_t i = 0; i < work->change_count + AHEAD; i++) {
        if (i >= AHEAD) {
            positions_put(g->positions, &places[i % AHEAD],
                          (struct position){lane->tip.seq + 1 + i - AHEAD, .live = true});
        }
        if (i < work->change_count) {
            places[i % AHEAD] = positions_place(g->positions, lane->id, work->changes[i].key);
            positions_fetch(g->positions, &places[i % AHEAD]);
        }
    }
}

static void remember_slots(struct commit_group *g, const struct lane_work *work)
{
    for (size_t i = 0; i < work->slot_count; i++) {
        const struct lane_slot *slot = &work->slots[i];

        if (slot->last != NULL) {
            positions_put(g->positions, &slot->place, (struct position){slot->seq, slot->live});
        }
    }
}

void commit_slots_remember(struct commit_group *g)
{
    for (struct sf_list *at = g->lanes.next; at != &g->lanes; at = at->next) {
        const struct store_lane *lane = SF_CONTAINER_OF(at, struct store_lane, touched);

        if (g->positions == NULL || lane->name.kind != STORE_STATE) {
            continue;
        }
        if (lane->work.slots != NULL) {
            remember_slots(g, &lane->work);
        } else {
            remember_changes(g, lane);
        }
    }
}

/* --- look up ---------------------------------------------------------------------------------- */

struct lookup {
    struct commit_group *g;
    const struct store_lane *lane;
    struct lane_slot **slots; /* of each key read */
    enum sf_code code;
};

static void on_old_row(void *data, size_t i, const struct sf_slice *value)
{
    struct lookup *lookup = data;
    struct keyspace_state old;
    struct sf_slice row;

    if (value == NULL || lookup->code != SF_OK) {
        return;
    }
    lookup->code = keyspace_state_decode(*value, &old, &row, &lookup->g->error);
    if (lookup->code != SF_OK || (old.op == STORE_DELETE && old.seq <= lookup->lane->gone_to)) {
        return;
    }
    lookup->slots[i]->seq = old.seq;
    lookup->slots[i]->live = old.op == STORE_UPSERT;
    if (old.seq <= lookup->lane->keep_to || lookup->lane->work.wants_rows) {
        uint8_t *copy = sf_arena_alloc(&lookup->g->arena, value->size);

        if (copy == NULL) {
            lookup->code = no_memory(&lookup->g->error);
            return;
        }
        memcpy(copy, value->data, value->size);
        lookup->slots[i]->row = sf_slice_of(copy + (row.data - value->data), row.size);
        if (old.seq <= lookup->lane->keep_to) {
            lookup->slots[i]->kept = sf_slice_of(copy, value->size);
        }
    }
}

/* The keys to read, each with the lane's id in front, one behind the other in one piece. */
static enum sf_code look_up(struct commit_group *g, struct store_lane *lane)
{
    struct lane_work *work = &lane->work;
    struct lookup lookup = {.g = g, .lane = lane};
    struct sf_slice *keys;
    uint8_t *bytes;
    size_t total = 0;
    size_t count = 0;
    enum sf_code code;

    for (size_t i = 0; i < work->slot_count; i++) {
        if (work->slots[i].stored) {
            total += 4 + work->slots[i].key.size;
            count++;
        }
    }
    if (count == 0) {
        return SF_OK;
    }
    keys = sf_arena_calloc(&g->arena, count, sizeof(*keys));
    lookup.slots = sf_arena_calloc(&g->arena, count, sizeof(struct lane_slot *));
    bytes = sf_arena_alloc(&g->arena, total);
    if (keys == NULL || lookup.slots == NULL || bytes == NULL) {
        return no_memory(&g->error);
    }
    count = 0;
    for (size_t i = 0; i < work->slot_count; i++) {
        struct lane_slot *slot = &work->slots[work->order[i]];

        if (slot->stored) {
            sf_write_be32(bytes, lane->id);
            memcpy(bytes + 4, slot->key.data, slot->key.size);
            keys[count] = sf_slice_of(bytes, 4 + slot->key.size);
            lookup.slots[count++] = slot;
            bytes += 4 + slot->key.size;
        }
    }
    g->counts.reads += count;
    code = g->kv->ops->multi_get(g->kv, KV_STATE, keys, count, on_old_row, &lookup, &g->error);
    return code != SF_OK ? code : lookup.code;
}

enum sf_code commit_slots_prepare(struct commit_group *g, struct store_lane *lane)
{
    enum sf_code code = gather_slots(g, lane);

    if (code == SF_OK && g->positions != NULL) {
        recall_slots(g, lane);
    }
    code = code == SF_OK ? commit_order_slots(g, &lane->work) : code;
    return code == SF_OK ? look_up(g, lane) : code;
}
