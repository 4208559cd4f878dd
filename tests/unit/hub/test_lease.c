#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <string.h>

#include "common/bus/service.h"
#include "common/identity/signed.h"
#include "common/wire/control.h"
#include "hub/api/lease.h"
#include "proto/subjects.h"
#include "tests/lib/fake_bus.h"
#include "tests/sim/rt_sim.h"
#include "tests/unit/hub/hub_world.h"

/* A leaf of sales that asks; the answers it got. */
#define LIFE_US (INT64_C(3600) * SF_US_PER_S)

struct world {
    struct hub_world hub;
    struct rt_sim sim;
    struct fake_broker *broker;
    struct sf_bus *bus;
    struct sf_bus_sub inbox;
    struct leases leases;
    unsigned silences;
    struct lease *lease;
    size_t answers;
    bool with_bundle; /* of the last answer, here and below */
    uint64_t version;
    size_t grants;
    int64_t expires_us;
    size_t acknowledged;
    char fenced[128]; /* of the last answer; "": it was let on */
};

static void on_answer(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct world *w = sub->data;
    const Sheaf__V1__PollReply *reply;
    struct sf_arena arena;

    sf_arena_init(&arena, 0);
    reply = SF_CONTROL_UNPACK(poll_reply, &arena, m->data);
    assert_non_null(reply);
    w->answers++;
    w->with_bundle = reply->bundle != NULL;
    (void)snprintf(w->fenced, sizeof(w->fenced), "%s", reply->fenced);
    if (reply->bundle != NULL) {
        const Sheaf__V1__Bundle *b;

        assert_int_equal(
            sf_signed_verify(SIGN_BUNDLE, reply->bundle, &w->hub.hub_key.public_key, NULL), SF_OK);
        b = SF_CONTROL_UNPACK(bundle, &arena, sf_control_slice(reply->bundle->payload));
        assert_non_null(b);
        assert_int_equal(b->version, reply->current_version);
        w->version = b->version;
        w->grants = b->n_grants;
        w->expires_us = b->expires_us;
    }
    sf_arena_done(&arena);
}

static void init(struct world *w)
{
    memset(w, 0, sizeof(*w));
    world_init(&w->hub);
    world_join(&w->hub, "sales");
    world_join(&w->hub, "marketing");
    world_product(&w->hub, ORDERS_1_0);
    rt_sim_init(&w->sim, 3);
    rt_sim_set_wall_us(&w->sim, WORLD_START_US);
    w->broker = fake_broker_new(&w->sim.rt);
    w->bus = fake_bus_connect(w->broker);
    w->inbox = (struct sf_bus_sub){.on_msg = on_answer, .data = w};
    assert_int_equal(sf_bus_subscribe(w->bus, &w->inbox, "inbox.*", NULL, NULL), SF_OK);
    w->leases = (struct leases){
        .rt = &w->sim.rt,
        .bus = w->bus,
        .registry = &w->hub.registry,
        .hub_key = &w->hub.hub_key,
        .bundle_life_us = LIFE_US,
    };
    w->lease = lease_of(&w->leases, registry_domain(&w->hub.registry, "sales"));
    assert_non_null(w->lease);
}

static void finish(struct world *w)
{
    leases_close(&w->leases);
    leases_done(&w->leases);
    rt_sim_run_for(&w->sim, SF_NS_PER_S);
    sf_bus_unsubscribe(w->bus, &w->inbox);
    fake_broker_free(w->broker);
    rt_sim_done(&w->sim);
    world_done(&w->hub);
}

static void run_ms(struct world *w, uint64_t ms)
{
    rt_sim_run_for(&w->sim, ms * SF_NS_PER_MS);
}

static void poll(struct world *w, uint64_t have)
{
    Sheaf__V1__PollRequest m = SHEAF__V1__POLL_REQUEST__INIT;

    m.have_version = have;
    lease_poll(w->lease, &m, "inbox.1");
    run_ms(w, 50);
}

static void test_a_leaf_not_heard_of_yet_is_waited_for_until_it_counts_as_down(void **state)
{
    struct world w;

    (void)state;
    init(&w);
    w.leases.opened_ns = sf_rt_now_ns(&w.sim.rt);
    assert_int_equal(lease_patience_ns(w.lease, SF_NS_PER_S), LEASE_DOWN_NS);
    run_ms(&w, 4000);
    assert_int_equal(lease_patience_ns(w.lease, SF_NS_PER_S), LEASE_DOWN_NS - 4 * SF_NS_PER_S);
    run_ms(&w, 1500);
    assert_int_equal(lease_patience_ns(w.lease, SF_NS_PER_S), SF_NS_PER_S);
    run_ms(&w, 500);
    assert_int_equal(lease_patience_ns(w.lease, SF_NS_PER_S), 0);
    poll(&w, 0);
    assert_int_equal(lease_patience_ns(w.lease, SF_NS_PER_S), SF_NS_PER_S);
    run_ms(&w, 7000);
    assert_int_equal(lease_patience_ns(w.lease, SF_NS_PER_S), 0);
    finish(&w);
}

static void grant(struct world *w)
{
    world_request(&w->hub, NULL, 0);
    world_decide(&w->hub, &(struct world_decision){.request_id = "AR-1",
                                                   .approved = true,
                                                   .until_us = w->hub.now_us + WORLD_DAY_US});
    lease_renew(w->lease);
    run_ms(w, 50);
}

static void on_acknowledged(struct lease_wait *wait)
{
    ((struct world *)wait->data)->acknowledged++;
}

static void test_a_leaf_without_a_bundle_gets_one_at_once(void **state)
{
    struct world w;

    (void)state;
    init(&w);
    assert_false(lease_is_up(w.lease));
    poll(&w, 0);
    assert_int_equal(w.answers, 1);
    assert_true(w.with_bundle);
    assert_int_equal(w.grants, 0);
    assert_true(lease_is_up(w.lease));
    assert_int_equal(w.expires_us - w.lease->issued_us, LIFE_US);
    finish(&w);
}

static void test_a_poll_is_held_until_a_grant_changes_or_two_seconds_pass(void **state)
{
    struct world w;
    uint64_t first;

    (void)state;
    init(&w);
    poll(&w, 0);
    first = w.version;
    poll(&w, first);
    assert_int_equal(w.answers, 1);
    run_ms(&w, 1800);
    assert_int_equal(w.answers, 1);
    run_ms(&w, 300);
    assert_int_equal(w.answers, 2);
    assert_false(w.with_bundle);
    poll(&w, first);
    grant(&w);
    assert_int_equal(w.answers, 3);
    assert_true(w.with_bundle);
    assert_int_equal(w.grants, 1);
    assert_true(w.version > first);
    finish(&w);
}

static void test_the_next_poll_acknowledges(void **state)
{
    struct world w;
    struct lease_wait wait = {.done = on_acknowledged, .data = &w};

    (void)state;
    init(&w);
    poll(&w, 0);
    assert_false(lease_is_acknowledged(w.lease));
    poll(&w, w.version);
    assert_true(lease_is_acknowledged(w.lease));
    grant(&w);
    assert_false(lease_is_acknowledged(w.lease));
    lease_wait(w.lease, &wait);
    run_ms(&w, 500);
    assert_int_equal(w.acknowledged, 0);
    poll(&w, w.version);
    assert_int_equal(w.acknowledged, 1);
    finish(&w);
}

static void test_a_leaf_that_refuses_a_bundle_does_not_get_it_in_a_race(void **state)
{
    struct world w;

    (void)state;
    init(&w);
    poll(&w, 0);
    poll(&w, 0);
    assert_int_equal(w.answers, 1);
    run_ms(&w, 200);
    assert_int_equal(w.answers, 2);
    assert_true(w.with_bundle);
    finish(&w);
}

static void test_a_leaf_that_lost_the_hub_is_answered_at_once(void **state)
{
    Sheaf__V1__PollRequest m = SHEAF__V1__POLL_REQUEST__INIT;
    struct world w;

    (void)state;
    init(&w);
    poll(&w, 0);
    poll(&w, w.version); /* held, when the leaf is killed */
    m.have_version = w.version;
    m.lost_hub = true;
    lease_poll(w.lease, &m, "inbox.1");
    run_ms(&w, 50);
    assert_int_equal(w.answers, 3);
    assert_false(w.with_bundle);
    finish(&w);
}

static void test_a_second_poll_frees_the_first(void **state)
{
    struct world w;

    (void)state;
    init(&w);
    poll(&w, 0);
    poll(&w, w.version);
    poll(&w, w.version);
    assert_int_equal(w.answers, 2);
    assert_false(w.with_bundle);
    finish(&w);
}

static void test_versions_rise_over_a_restart_and_a_clock_that_went_back(void **state)
{
    struct world w;
    uint64_t have = (uint64_t)WORLD_START_US + 5000000000;

    (void)state;
    init(&w); /* a new process: it has issued nothing, and its clock is behind the leaf's bundle */
    poll(&w, have);
    assert_true(w.with_bundle);
    assert_int_equal(w.version, have + 1);
    rt_sim_set_wall_us(&w.sim, WORLD_START_US - 3600000000);
    poll(&w, w.version);
    grant(&w);
    assert_true(w.version > have + 1);
    finish(&w);
}

static void test_a_bundle_is_renewed_at_half_its_life(void **state)
{
    struct world w;
    uint64_t first;

    (void)state;
    init(&w);
    poll(&w, 0);
    first = w.version;
    rt_sim_set_wall_us(&w.sim, WORLD_START_US + LIFE_US / 2 - 10000000);
    poll(&w, first);
    assert_int_equal(w.answers, 1);
    rt_sim_set_wall_us(&w.sim, WORLD_START_US + LIFE_US / 2 + 10000000);
    run_ms(&w, 2100);
    assert_int_equal(w.answers, 2);
    assert_true(w.with_bundle && w.version > first);
    finish(&w);
}

static void on_silent(void *data, struct lease *l)
{
    struct world *w = data;

    assert_ptr_equal(l, w->lease);
    w->silences++;
}

static void test_a_leaf_that_does_not_acknowledge_in_time_is_told_of_once(void **state)
{
    struct world w;

    (void)state;
    init(&w);
    w.leases.on_silent = on_silent;
    w.leases.data = &w;
    lease_watch(w.lease);
    run_ms(&w, 2900);
    assert_int_equal(w.silences, 0);
    run_ms(&w, 10000);
    assert_int_equal(w.silences, 1);
    lease_watch(w.lease);
    poll(&w, 0);
    poll(&w, w.version);
    run_ms(&w, 10000);
    assert_true(lease_is_acknowledged(w.lease));
    assert_int_equal(w.silences, 1);
    finish(&w);
}

static void test_a_silent_leaf_is_down(void **state)
{
    struct world w;

    (void)state;
    init(&w);
    poll(&w, 0);
    run_ms(&w, 5900);
    assert_true(lease_is_up(w.lease));
    run_ms(&w, 100);
    assert_false(lease_is_up(w.lease));
    finish(&w);
}

/* A process of sales: which, its start, its epoch, and where its only table stands. */
struct process {
    uint8_t id;
    uint64_t boot;
    uint32_t epoch;
    uint64_t seq;
    uint8_t hash;
};

/* What it is told: "" when it is let on. */
static const char *ask_as(struct world *w, const struct process *p)
{
    Sheaf__V1__PollRequest m = SHEAF__V1__POLL_REQUEST__INIT;
    Sheaf__V1__LaneHead head = SHEAF__V1__LANE_HEAD__INIT;
    Sheaf__V1__LaneHead *heads[] = {&head};
    uint8_t id[16];
    uint8_t hash[32];

    memset(id, p->id, sizeof(id));
    memset(hash, p->hash, sizeof(hash));
    head.product = sf_control_text("orders");
    head.table = sf_control_text("orders");
    head.major = 1;
    head.epoch = 1;
    head.seq = p->seq;
    head.hash = (ProtobufCBinaryData){.len = sizeof(hash), .data = hash};
    m.boot_id = (ProtobufCBinaryData){.len = sizeof(id), .data = id};
    m.boot = p->boot;
    m.epoch = p->epoch;
    m.heads = heads;
    m.n_heads = 1;
    m.have_version = w->version; /* else a bundle is on its way */
    m.lost_hub = true;           /* answered at once */
    w->fenced[0] = '\0';
    lease_poll(w->lease, &m, "inbox.1");
    run_ms(w, 50);
    return w->fenced;
}

static void test_a_later_start_of_the_same_directory_takes_over(void **state)
{
    struct world w;

    (void)state;
    init(&w);
    assert_string_equal(ask_as(&w, &(struct process){1, 5, 1, 10, 7}), "");
    assert_string_equal(ask_as(&w, &(struct process){2, 6, 1, 10, 7}), "");
    assert_string_equal(ask_as(&w, &(struct process){1, 5, 1, 11, 8}),
                        "another copy of this directory was started after it");
    assert_string_equal(ask_as(&w, &(struct process){2, 6, 1, 11, 9}), "");
    finish(&w);
}

static void test_of_two_equal_starts_the_first_goes_on_while_it_is_heard_of(void **state)
{
    struct world w;

    (void)state;
    init(&w);
    assert_string_equal(ask_as(&w, &(struct process){1, 5, 1, 10, 7}), "");
    assert_string_equal(ask_as(&w, &(struct process){2, 5, 1, 10, 7}),
                        "another copy of this directory was started after it");
    assert_string_equal(ask_as(&w, &(struct process){1, 5, 1, 10, 7}), "");
    run_ms(&w, 6100);
    assert_string_equal(ask_as(&w, &(struct process){2, 5, 1, 10, 7}), "");
    finish(&w);
}

static void test_a_copy_that_lacks_something_or_has_something_else_is_fenced(void **state)
{
    static const char lacks[] = "this copy lacks changes that the hub has heard of";
    struct world w;

    (void)state;
    init(&w);
    assert_string_equal(ask_as(&w, &(struct process){1, 5, 1, 10, 7}), "");
    assert_string_equal(ask_as(&w, &(struct process){2, 6, 1, 9, 6}), lacks);
    assert_string_equal(ask_as(&w, &(struct process){2, 6, 1, 10, 6}), lacks);
    run_ms(&w, 60000); /* also when the holder is silent */
    assert_string_equal(ask_as(&w, &(struct process){2, 6, 1, 9, 6}), lacks);
    assert_string_equal(ask_as(&w, &(struct process){2, 6, 1, 11, 6}), "");
    finish(&w);
}

static void test_a_higher_epoch_takes_over_and_a_lower_one_never(void **state)
{
    struct world w;

    (void)state;
    init(&w);
    assert_string_equal(ask_as(&w, &(struct process){1, 5, 1, 10, 7}), "");
    assert_string_equal(ask_as(&w, &(struct process){2, 1, 2, 3, 6}), "");
    assert_string_equal(ask_as(&w, &(struct process){1, 9, 1, 99, 7}),
                        "another leaf goes on in a later epoch");
    finish(&w);
}

static void poll_seen(struct world *w, const Sheaf__V1__PollRequest *m)
{
    lease_poll(w->lease, m, "inbox.1");
    run_ms(w, 50);
}

/* A leaf without a bundle in force, which took one of a clock that was ahead. */
static void test_versions_go_on_above_what_a_leaf_ever_took(void **state)
{
    Sheaf__V1__PollRequest m = SHEAF__V1__POLL_REQUEST__INIT;
    struct world w;

    (void)state;
    init(&w);
    m.seen_version = (uint64_t)WORLD_START_US + 7000000000;
    poll_seen(&w, &m);
    assert_true(w.with_bundle);
    assert_int_equal(w.version, m.seen_version + 1);
    m.seen_version = UINT64_MAX; /* no version at all */
    poll_seen(&w, &m);
    assert_int_equal(w.lease->version, (uint64_t)WORLD_START_US + 7000000001);
    finish(&w);
}

static void test_the_highest_policies_of_leaves_are_known_but_not_any_number(void **state)
{
    Sheaf__V1__PollRequest m = SHEAF__V1__POLL_REQUEST__INIT;
    struct world w;

    (void)state;
    init(&w);
    assert_int_equal(leases_policy_version(&w.leases), 0);
    m.policy_version = 7;
    poll_seen(&w, &m);
    assert_int_equal(leases_policy_version(&w.leases), 7);
    m.policy_version = UINT64_MAX;
    poll_seen(&w, &m);
    assert_int_equal(leases_policy_version(&w.leases), LEASE_POLICIES_AHEAD_MAX);
    finish(&w);
}

static void test_what_a_leaf_holds_back_is_known_by_its_number(void **state)
{
    char *ids[] = {sf_control_text("G-12"), sf_control_text("G-3"), sf_control_text("?"),
                   sf_control_text("G-")};
    Sheaf__V1__PollRequest m = SHEAF__V1__POLL_REQUEST__INIT;
    struct world w;

    (void)state;
    init(&w);
    assert_false(lease_holds_back(w.lease, "G-3"));
    m.held_back = ids;
    m.n_held_back = SF_COUNT(ids);
    m.held_back_count = 9;
    poll_seen(&w, &m);
    assert_true(lease_holds_back(w.lease, "G-3"));
    assert_true(lease_holds_back(w.lease, "G-12"));
    assert_false(lease_holds_back(w.lease, "G-1"));
    assert_false(lease_holds_back(w.lease, "?"));
    assert_int_equal(w.lease->held_count, 2); /* what is no grant is none */
    assert_int_equal(w.lease->held_total, 9);
    m.n_held_back = 0;
    poll_seen(&w, &m);
    assert_false(lease_holds_back(w.lease, "G-3"));
    finish(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_leaf_not_heard_of_yet_is_waited_for_until_it_counts_as_down),
        cmocka_unit_test(test_a_leaf_without_a_bundle_gets_one_at_once),
        cmocka_unit_test(test_a_poll_is_held_until_a_grant_changes_or_two_seconds_pass),
        cmocka_unit_test(test_the_next_poll_acknowledges),
        cmocka_unit_test(test_a_leaf_that_refuses_a_bundle_does_not_get_it_in_a_race),
        cmocka_unit_test(test_a_leaf_that_lost_the_hub_is_answered_at_once),
        cmocka_unit_test(test_a_second_poll_frees_the_first),
        cmocka_unit_test(test_versions_rise_over_a_restart_and_a_clock_that_went_back),
        cmocka_unit_test(test_a_bundle_is_renewed_at_half_its_life),
        cmocka_unit_test(test_a_leaf_that_does_not_acknowledge_in_time_is_told_of_once),
        cmocka_unit_test(test_a_silent_leaf_is_down),
        cmocka_unit_test(test_a_later_start_of_the_same_directory_takes_over),
        cmocka_unit_test(test_of_two_equal_starts_the_first_goes_on_while_it_is_heard_of),
        cmocka_unit_test(test_a_copy_that_lacks_something_or_has_something_else_is_fenced),
        cmocka_unit_test(test_a_higher_epoch_takes_over_and_a_lower_one_never),
        cmocka_unit_test(test_versions_go_on_above_what_a_leaf_ever_took),
        cmocka_unit_test(test_the_highest_policies_of_leaves_are_known_but_not_any_number),
        cmocka_unit_test(test_what_a_leaf_holds_back_is_known_by_its_number),
    };

    return cmocka_run_group_tests_name("lease", tests, NULL, NULL);
}
