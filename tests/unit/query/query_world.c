#include "tests/unit/query/query_world.h"

#include "tests/lib/cmocka.h"

const uint8_t world_seal_key[SF_SEAL_KEY_SIZE] = {5};

struct queries *world_queries(struct leaf_world *w)
{
    const struct queries_options options = {
        .rt = &w->stores.sim.rt,
        .store = w->stores.store,
        .serving = &w->serving,
        .seal_key = world_seal_key,
    };
    struct queries *qs = NULL;

    assert_int_equal(queries_new(&options, &qs, NULL), SF_OK);
    return qs;
}

void world_queries_done(struct leaf_world *w, struct queries *qs)
{
    rt_sim_run(&w->stores.sim);
    assert_int_equal(queries_pending(qs), 0);
    queries_free(qs);
    leaf_world_done(w);
}
