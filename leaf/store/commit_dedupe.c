/*
 * Repeated records of a commit: a change whose fingerprint was seen within its lane's window is not
 * stored again.
 *
 * Fingerprints lie in buckets as long as the window, by the time of the commit that stored them,
 * which never goes back: what may still count is in the bucket of now and in the one before, and
 * older buckets are removed as a whole. Fingerprints are written in the batch of their changes, so
 * that there are both or neither after a crash. A repetition does not renew its fingerprint.
 */
#include "leaf/store/store_internal.h"
#include "proto/errors.h"

enum { VALUE_BYTES = 8 };

/* What a group knows of one fingerprint. */
struct dedupe_slot {
    const uint8_t *print; /* STORE_FINGERPRINT_BYTES */
    bool seen;
};

struct dedupe_look {
    struct commit_group *g;
    struct lane_work *work;
    int64_t since_us;
    size_t count;
};

/* 0xff, lane, window, bucket, fingerprint: behind every key of answers. */
static void key_write(const struct store_lane *lane, int64_t within_us, uint64_t bucket,
                      const uint8_t *print, uint8_t *ret)
{
    ret[0] = KEYSPACE_PRINT_TAG;
    sf_write_be32(ret + 1, lane->id);
    sf_write_be64(ret + 5, (uint64_t)within_us);
    sf_write_be64(ret + 13, bucket);
    if (print != NULL) {
        memcpy(ret + KEYSPACE_BUCKET_BYTES, print, STORE_FINGERPRINT_BYTES);
    }
}

static uint64_t bucket_of(const struct commit_group *g, int64_t within_us)
{
    return (uint64_t)(g->commit.commit_us / within_us);
}

/* --- looking up ------------------------------------------------------------------------------- */

static uint32_t slot_of(struct lane_work *work, uint32_t *index, size_t mask, const uint8_t *print)
{
    uint64_t word;
    size_t i;

    memcpy(&word, print, sizeof(word));
    for (i = (size_t)word & mask; index[i] != 0; i = (i + 1) & mask) {
        const uint32_t slot = index[i] - 1;

        if (memcmp(work->prints[slot].print, print, STORE_FINGERPRINT_BYTES) == 0) {
            return slot;
        }
    }
    work->prints[work->print_count].print = print;
    index[i] = (uint32_t)++work->print_count;
    return (uint32_t)work->print_count - 1;
}

static void on_print(void *data, size_t i, const struct sf_slice *value)
{
    struct dedupe_look *look = data;
    struct dedupe_slot *slot = &look->work->prints[i % look->count];

    if (value != NULL && value->size == VALUE_BYTES &&
        (int64_t)sf_read_be64(value->data) > look->since_us) {
        slot->seen = true;
    }
}

static enum sf_code look_up(struct commit_group *g, const struct store_lane *lane,
                            struct lane_work *work)
{
    struct dedupe_look look = {
        .g = g,
        .work = work,
        .since_us = g->commit.commit_us - work->dedupe.within_us,
        .count = work->print_count,
    };
    const uint64_t bucket = bucket_of(g, work->dedupe.within_us);
    struct sf_slice *keys = sf_arena_calloc(&g->arena, work->print_count * 2, sizeof(*keys));
    uint8_t *bytes = sf_arena_alloc(&g->arena, work->print_count * 2 * KEYSPACE_PRINT_BYTES);

    if (keys == NULL || bytes == NULL) {
        return SF_RAISE(&g->error, SF_NOMEM, "commit group");
    }
    for (size_t i = 0; i < work->print_count * 2; i++) {
        key_write(lane, work->dedupe.within_us, i < work->print_count ? bucket : bucket - 1,
                  work->prints[i % work->print_count].print, bytes);
        keys[i] = sf_slice_of(bytes, KEYSPACE_PRINT_BYTES);
        bytes += KEYSPACE_PRINT_BYTES;
    }
    return g->kv->ops->multi_get(g->kv, KV_IDEM, keys, work->print_count * 2, on_print, &look,
                                 &g->error);
}

/* Fingerprints of all writes of the lane, each once; item_prints: which of them a change has. */
static enum sf_code gather(struct commit_group *g, struct store_lane *lane)
{
    struct lane_work *work = &lane->work;
    size_t mask = 15;
    size_t item = 0;
    uint32_t *index;

    while (mask < work->item_count * 2) {
        mask = mask * 2 + 1;
    }
    index = sf_arena_calloc(&g->arena, mask + 1, sizeof(*index));
    work->prints = sf_arena_calloc(&g->arena, work->item_count, sizeof(*work->prints));
    work->item_prints = sf_arena_calloc(&g->arena, work->item_count, sizeof(*work->item_prints));
    if (index == NULL || work->prints == NULL || work->item_prints == NULL) {
        return SF_RAISE(&g->error, SF_NOMEM, "commit group");
    }
    for (struct sf_list *at = g->writes.next; at != &g->writes; at = at->next) {
        struct store_write *w = SF_CONTAINER_OF(at, struct store_write, link);

        for (size_t i = 0; i < w->lane_count; i++) {
            const struct store_lane_write *lw = &w->lanes[i];

            for (size_t c = 0; lw->lane == lane && c < lw->change_count; c++, item++) {
                if (lw->dedupe.within_us > 0 && lw->changes[c].fingerprint != NULL) {
                    work->item_prints[item] =
                        slot_of(work, index, mask, lw->changes[c].fingerprint) + 1;
                    work->dedupe = lw->dedupe;
                }
            }
        }
    }
    return SF_OK;
}

enum sf_code commit_dedupe_prepare(struct commit_group *g, struct store_lane *lane)
{
    struct lane_work *work = &lane->work;
    enum sf_code code;

    if (!work->wants_dedupe) {
        return SF_OK;
    }
    code = gather(g, lane);
    return code == SF_OK && work->print_count > 0 ? look_up(g, lane, work) : code;
}

/* --- applying --------------------------------------------------------------------------------- */

static struct dedupe_slot *slot_at(const struct lane_work *work, size_t item)
{
    return work->item_prints == NULL || work->item_prints[item] == 0
               ? NULL
               : &work->prints[work->item_prints[item] - 1];
}

bool commit_dedupe_fits(const struct store_lane_write *lw)
{
    const struct lane_work *work = &lw->lane->work;
    uint64_t fresh = 0;

    if (lw->dedupe.within_us == 0 || work->item_prints == NULL) {
        return true;
    }
    for (size_t i = 0; i < lw->change_count; i++) {
        const struct dedupe_slot *slot = slot_at(work, work->next_item + i);

        fresh += slot != NULL && !slot->seen;
    }
    return fresh == 0 || work->window.count + fresh <= lw->dedupe.entries_max;
}

bool commit_dedupe_is_known(const struct lane_work *work, size_t item)
{
    const struct dedupe_slot *slot = slot_at(work, item);

    return slot != NULL && slot->seen;
}

/* Buckets that count no more, of this window and of others there were. */
static void remove_old(struct commit_group *g, struct store_lane *lane, uint64_t bucket)
{
    struct lane_work *work = &lane->work;
    uint8_t from[KEYSPACE_BUCKET_BYTES];
    uint8_t to[KEYSPACE_BUCKET_BYTES];
    const struct sf_slice end = sf_slice_of(to, sizeof(to));

    key_write(lane, 0, 0, NULL, from);
    key_write(lane, work->dedupe.within_us, bucket - 1, NULL, to);
    g->batch->ops->remove_range(g->batch, KV_IDEM, sf_slice_of(from, sizeof(from)), end);
    if (work->window.within_us != work->dedupe.within_us) {
        key_write(lane, work->dedupe.within_us + 1, 0, NULL, from);
        key_write(lane, INT64_MAX, 0, NULL, to);
        g->batch->ops->remove_range(g->batch, KV_IDEM, sf_slice_of(from, sizeof(from)), end);
    }
}

void commit_dedupe_begin(struct commit_group *g, struct store_lane *lane)
{
    struct lane_work *work = &lane->work;
    struct store_window *window = &work->window;
    uint64_t bucket;

    if (work->print_count == 0) {
        return;
    }
    bucket = bucket_of(g, work->dedupe.within_us);
    if (window->within_us == work->dedupe.within_us && window->bucket == bucket) {
        return;
    }
    remove_old(g, lane, bucket);
    *window = (struct store_window){
        .within_us = work->dedupe.within_us,
        .bucket = bucket,
        .before = window->within_us == work->dedupe.within_us && window->bucket + 1 == bucket
                      ? window->count - window->before
                      : 0,
    };
    window->count = window->before;
}

void commit_dedupe_note(struct commit_group *g, struct store_lane *lane, size_t item)
{
    struct lane_work *work = &lane->work;
    struct dedupe_slot *slot = slot_at(work, item);
    uint8_t key[KEYSPACE_PRINT_BYTES];
    uint8_t value[VALUE_BYTES];

    if (slot == NULL) {
        return;
    }
    slot->seen = true;
    key_write(lane, work->dedupe.within_us, work->window.bucket, slot->print, key);
    sf_write_be64(value, (uint64_t)g->commit.commit_us);
    g->batch->ops->put(g->batch, KV_IDEM, kv_one(sf_slice_of(key, sizeof(key))),
                       kv_one(sf_slice_of(value, sizeof(value))));
    work->window.count++;
}

void commit_dedupe_end(struct commit_group *g, const struct store_lane *lane)
{
    const struct store_window *window = &lane->work.window;
    struct keyspace_key key = keyspace_meta_window(lane->id);
    uint8_t record[KEYSPACE_WINDOW_BYTES];

    if (memcmp(window, &lane->tip_window, sizeof(*window)) == 0) {
        return;
    }
    keyspace_window_encode(window, record);
    g->batch->ops->put(g->batch, KV_META, kv_one(keyspace_view(&key)),
                       kv_one(sf_slice_of(record, sizeof(record))));
    g->dirty = true;
}
