/*
 * Every key has one of a fixed number of places, and a place knows the newest commit that changed a
 * key of it. The commit thread notes that before it writes the rows, so:
 *
 *   stamp taken      the commit is in flight           it has settled
 *   ------------------- place > stamp: void -----------> a new stamp holds from here on
 *
 * In between the old row is read again by everybody, which is right and only costs the reading.
 */
#include "common/base/assert.h"
#include "leaf/store/store_internal.h"

static uint32_t place_of(const struct commit_group *g, uint32_t lane_id, struct sf_slice key)
{
    const uint64_t seed = g->hash_seed ^ (uint64_t)lane_id * UINT64_C(0x9e3779b97f4a7c15);

    return (uint32_t)sf_mix64(seed, key) % STORE_STAMP_PLACES;
}

void store_places_note(struct commit_group *g, const struct store_lane *lane, struct sf_slice key)
{
    atomic_store_explicit(&g->places->last[place_of(g, lane->id, key)], g->commit.commit,
                          memory_order_relaxed);
}

void store_places_note_all(struct commit_group *g)
{
    atomic_store_explicit(&g->places->all, g->commit.commit, memory_order_relaxed);
}

struct store_stamp store_stamp_take(const struct store *s, const struct store_lane *lane,
                                    struct sf_slice key)
{
    sf_assert(lane->name.kind == STORE_STATE);
    return (struct store_stamp){.commit = s->last.commit,
                                .place = place_of(&s->group, lane->id, key)};
}

bool store_stamp_holds(const struct store *s, const struct store_stamp *stamp)
{
    return atomic_load_explicit(&s->places.last[stamp->place], memory_order_relaxed) <=
               stamp->commit &&
           atomic_load_explicit(&s->places.all, memory_order_relaxed) <= stamp->commit;
}
