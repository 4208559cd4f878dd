#include "tests/lib/cmocka.h"

#include <string.h>

#include "common/base/alloc.h"
#include "common/bus/service.h"
#include "common/wire/control.h"
#include "hub/api/lease.h"
#include "tests/lib/fake_bus.h"
#include "tests/sim/rt_sim.h"
#include "tests/unit/hub/hub_world.h"

#define SOON_NS (100 * SF_NS_PER_MS)

/* The hub's leases, and the leaf of sales as far as its polls go. */
struct polls {
    struct hub_world world;
    struct rt_sim sim;
    struct fake_broker *broker;
    struct sf_bus *leaf;
    struct sf_bus_sub inbox;
    struct leases leases;
    struct lease *lease;
    unsigned answers;
    uint64_t bundle; /* version of the last one that came; 0: none yet */
    bool has_bundle; /* the last answer had one */
};

static void on_answer(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct polls *p = sub->data;
    struct sf_arena arena;
    struct sf_error err;

    sf_arena_init(&arena, 0);
    assert_int_equal(sf_service_check(m, &err), SF_OK);
    const Sheaf__V1__PollReply *reply = SF_CONTROL_UNPACK(poll_reply, &arena, m->data);
    assert_non_null(reply);
    p->answers++;
    p->has_bundle = reply->bundle != NULL;
    p->bundle = p->has_bundle ? reply->current_version : p->bundle;
    sf_arena_done(&arena);
}

static void setup(struct polls *p)
{
    struct sf_error err;

    *p = (struct polls){.answers = 0};
    world_init(&p->world);
    world_join(&p->world, "sales");
    world_join(&p->world, "marketing");
    world_product(&p->world, ORDERS_1_0);
    world_request(&p->world, NULL, 0);
    world_decide(&p->world, &(struct world_decision){.request_id = "AR-1",
                                                     .approved = true,
                                                     .until_us = p->world.now_us + WORLD_DAY_US,
                                                     .audience = "aaaaaaaaaaaa1"});
    rt_sim_init(&p->sim, 1);
    rt_sim_set_wall_us(&p->sim, p->world.now_us);
    p->broker = fake_broker_new(&p->sim.rt);
    p->leaf = fake_bus_connect(p->broker);
    p->inbox = (struct sf_bus_sub){.on_msg = on_answer, .data = p};
    assert_int_equal(sf_bus_subscribe(p->leaf, &p->inbox, "answers", NULL, &err), SF_OK);
    p->leases = (struct leases){.rt = &p->sim.rt,
                                .bus = fake_bus_connect(p->broker),
                                .registry = &p->world.registry,
                                .hub_key = &p->world.hub_key};
    p->lease = lease_of(&p->leases, registry_domain(&p->world.registry, "sales"));
    rt_sim_run_for(&p->sim, SOON_NS);
}

static void teardown(struct polls *p)
{
    leases_close(&p->leases);
    leases_done(&p->leases);
    fake_broker_free(p->broker);
    rt_sim_done(&p->sim);
    world_done(&p->world);
}

/* The leaf polls with the newest bundle it got. */
static void ask(struct polls *p, bool lost_hub)
{
    Sheaf__V1__PollRequest m = SHEAF__V1__POLL_REQUEST__INIT;

    m.domain = (char *)(uintptr_t) "sales";
    m.have_version = p->bundle;
    m.lost_hub = lost_hub;
    lease_poll(p->lease, &m, "answers");
}

static void expect_answers(struct polls *p, uint64_t within_ns, unsigned answers, bool has_bundle)
{
    rt_sim_run_for(&p->sim, within_ns);
    assert_int_equal(p->answers, answers);
    assert_int_equal(p->has_bundle, has_bundle);
}

static void test_a_leaf_without_the_bundle_gets_it_at_once(void **state)
{
    struct polls p;

    (void)state;
    setup(&p);
    ask(&p, true);
    expect_answers(&p, SOON_NS, 1, true);
    assert_false(lease_is_acknowledged(p.lease));
    ask(&p, false);
    assert_true(lease_is_acknowledged(p.lease));
    teardown(&p);
}

static void test_a_poll_with_nothing_new_is_held(void **state)
{
    struct polls p;

    (void)state;
    setup(&p);
    ask(&p, true);
    expect_answers(&p, SOON_NS, 1, true);
    ask(&p, false);
    expect_answers(&p, LEASE_HOLD_NS - SOON_NS, 1, true);
    expect_answers(&p, 2 * SOON_NS, 2, false);
    teardown(&p);
}

static void test_a_leaf_that_lost_the_hub_is_answered_at_once(void **state)
{
    struct polls p;

    (void)state;
    setup(&p);
    ask(&p, true);
    expect_answers(&p, SOON_NS, 1, true);
    ask(&p, false); /* held, when the leaf is killed */
    expect_answers(&p, SOON_NS, 1, true);
    ask(&p, true);
    expect_answers(&p, SOON_NS, 3, false);
    teardown(&p);
}

static void test_a_held_poll_is_answered_with_the_bundle_that_takes_a_grant_back(void **state)
{
    struct polls p;
    uint64_t first;

    (void)state;
    setup(&p);
    ask(&p, true);
    expect_answers(&p, SOON_NS, 1, true);
    first = p.bundle;
    ask(&p, false);
    world_end_grant(&p.world, "G-1", "revoked");
    lease_renew(p.lease);
    assert_false(lease_is_acknowledged(p.lease));
    expect_answers(&p, SOON_NS, 2, true);
    assert_true(p.bundle > first);
    ask(&p, false);
    assert_true(lease_is_acknowledged(p.lease));
    teardown(&p);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_leaf_without_the_bundle_gets_it_at_once),
        cmocka_unit_test(test_a_poll_with_nothing_new_is_held),
        cmocka_unit_test(test_a_leaf_that_lost_the_hub_is_answered_at_once),
        cmocka_unit_test(test_a_held_poll_is_answered_with_the_bundle_that_takes_a_grant_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
