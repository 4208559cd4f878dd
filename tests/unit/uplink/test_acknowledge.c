/* What a leaf says it has in force survives its restart. */
#include "tests/lib/cmocka.h"

#include "common/bus/service.h"
#include "leaf/uplink/uplink.h"
#include "proto/subjects.h"
#include "tests/lib/fake_bus.h"
#include "tests/sim/rt_sim.h"

#define SOON_NS (100 * SF_NS_PER_MS)

enum { POLLS_MAX = 64, VERSION = 7 };

struct fixture {
    struct rt_sim sim;
    struct sf_metrics metrics;
    struct fake_broker *broker;
    struct sf_bus *hub;
    struct sf_bus_sub polls;
    struct uplink *uplink;
    bool storing; /* the leaf is at it */
    unsigned count;
    uint64_t have[POLLS_MAX];
    bool lost[POLLS_MAX];
};

/* The hub: whoever has not got version 7 gets it, others wait. */
static void on_poll(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct fixture *f = sub->data;
    Sheaf__V1__PollRequest *q = sheaf__v1__poll_request__unpack(NULL, m->data.size, m->data.data);
    Sheaf__V1__PollReply reply = SHEAF__V1__POLL_REPLY__INIT;
    Sheaf__V1__Signed bundle = SHEAF__V1__SIGNED__INIT;
    uint8_t bytes[64];
    struct sf_error err;

    assert_non_null(q);
    assert_true(f->count < POLLS_MAX);
    f->have[f->count] = q->have_version;
    f->lost[f->count++] = q->lost_hub;
    reply.current_version = VERSION;
    reply.bundle = q->have_version < VERSION ? &bundle : NULL;
    if (reply.bundle != NULL) {
        size_t n = sheaf__v1__poll_reply__pack(&reply, bytes);

        assert_int_equal(
            sf_service_reply(f->hub, m->reply, "application/protobuf", sf_slice_of(bytes, n), &err),
            SF_OK);
    }
    sheaf__v1__poll_request__free_unpacked(q, NULL);
}

static bool on_bundle(void *data, struct sf_slice bundle, uint64_t *ret_version)
{
    struct fixture *f = data;

    (void)bundle;
    f->storing = true;
    *ret_version = VERSION;
    return true;
}

static bool is_storing(void *data)
{
    const struct fixture *f = data;

    return f->storing;
}

static void fill_poll(void *data, Sheaf__V1__PollRequest *poll)
{
    (void)data;
    (void)poll;
}

static void setup(struct fixture *f)
{
    struct uplink_options options = {.domain = "sales",
                                     .on_bundle = on_bundle,
                                     .is_storing = is_storing,
                                     .fill_poll = fill_poll,
                                     .data = f};
    struct sf_error err;

    *f = (struct fixture){.count = 0};
    rt_sim_init(&f->sim, 1);
    sf_metrics_init(&f->metrics);
    f->broker = fake_broker_new(&f->sim.rt);
    f->hub = fake_bus_connect(f->broker);
    f->polls = (struct sf_bus_sub){.on_msg = on_poll, .data = f};
    assert_int_equal(sf_bus_subscribe(f->hub, &f->polls, "mesh.poll", NULL, &err), SF_OK);
    options.rt = &f->sim.rt;
    options.serve = fake_bus_connect(f->broker);
    options.metrics = &f->metrics;
    rt_sim_run_for(&f->sim, SOON_NS);
    assert_int_equal(uplink_new(&options, 0, &f->uplink, &err), SF_OK);
    rt_sim_run_for(&f->sim, SOON_NS);
}

static void teardown(struct fixture *f)
{
    uplink_free(f->uplink);
    fake_broker_free(f->broker);
    rt_sim_done(&f->sim);
}

static void test_a_bundle_is_acknowledged_once_it_is_stored(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f);
    assert_int_equal(f.count, 1);
    assert_int_equal(f.have[0], 0);
    rt_sim_run_for(&f.sim, 10 * SF_NS_PER_S); /* the disk is slow */
    uplink_wake(f.uplink);
    rt_sim_run_for(&f.sim, SOON_NS);
    assert_int_equal(f.count, 1);
    f.storing = false;
    uplink_stored(f.uplink);
    rt_sim_run_for(&f.sim, SOON_NS);
    assert_int_equal(f.count, 2);
    assert_int_equal(f.have[1], VERSION);
    teardown(&f);
}

static void test_a_leaf_whose_bus_is_back_polls_at_once_and_says_so(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f);
    f.storing = false;
    uplink_stored(f.uplink);
    rt_sim_run_for(&f.sim, SOON_NS);
    assert_int_equal(f.count, 2);
    assert_true(f.lost[0]);
    assert_false(f.lost[1]);
    uplink_wake(f.uplink);
    rt_sim_run_for(&f.sim, SOON_NS);
    assert_int_equal(f.count, 3);
    assert_true(f.lost[2]);
    teardown(&f);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_bundle_is_acknowledged_once_it_is_stored),
        cmocka_unit_test(test_a_leaf_whose_bus_is_back_polls_at_once_and_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
