#include "tests/lib/cmocka.h"

#include "common/base/alloc.h"
#include "common/bus/service.h"
#include "leaf/uplink/uplink.h"
#include "proto/errors.h"
#include "proto/subjects.h"
#include "tests/lib/fake_bus.h"
#include "tests/sim/rt_sim.h"

enum { POLLS_MAX = 4096 };

/* What the hub of this test does with a poll. */
enum answer { NOTHING_NEWER, BUNDLE, SILENCE, ERROR, GARBAGE };

struct fixture {
    struct rt_sim sim;
    struct sf_metrics metrics;
    struct fake_broker *broker;
    struct sf_bus *leaf;
    struct sf_bus *hub;
    struct sf_bus_sub sub;
    struct uplink *uplink;

    enum answer answer; /* to every poll */
    uint64_t version;   /* of the bundle that BUNDLE sends to who has an older one */
    uint64_t current;   /* version that NOTHING_NEWER tells of */
    bool answers;       /* as the leaf was told last... */
    unsigned told;      /* ...so often */
    unsigned polls;
    uint64_t polled_ns[POLLS_MAX];
    uint64_t had[POLLS_MAX];

    bool without_memory; /* allocations fail, also the hub's */
    bool refuses;        /* the leaf does not take bundles */
    unsigned bundles;
    struct sf_buf bundle; /* the last */

    bool applies; /* the hub answers mesh.product.apply */
    unsigned asked;
    unsigned applied;
    bool has_reply;
    struct sf_error apply_error;
    char apply_version[16];
};

static void pack_bundle(uint64_t version, struct sf_buf *ret, Sheaf__V1__PollReply *reply)
{
    Sheaf__V1__Signed bundle = SHEAF__V1__SIGNED__INIT;
    uint8_t payload[1] = {(uint8_t)version};
    uint8_t *at;

    bundle.payload = (ProtobufCBinaryData){.len = 1, .data = payload};
    reply->bundle = &bundle;
    reply->current_version = version;
    at = sf_buf_reserve(ret, sheaf__v1__poll_reply__get_packed_size(reply));
    ret->size += at == NULL ? 0 : sheaf__v1__poll_reply__pack(reply, at);
}

static void pack_current(uint64_t version, struct sf_buf *ret, Sheaf__V1__PollReply *reply)
{
    uint8_t *at;

    reply->current_version = version;
    at = sf_buf_reserve(ret, sheaf__v1__poll_reply__get_packed_size(reply));
    ret->size += at == NULL ? 0 : sheaf__v1__poll_reply__pack(reply, at);
}

/* Without memory the hub is silent. */
static void answer_with(struct fixture *f, const struct sf_bus_msg *m, struct sf_slice body)
{
    const enum sf_code code =
        sf_service_reply(f->hub, m->reply, "application/x-protobuf", body, NULL);

    assert_true(code == SF_OK || (code == SF_NOMEM && f->without_memory));
}

static void on_poll(struct fixture *f, const struct sf_bus_msg *m)
{
    Sheaf__V1__PollRequest *poll =
        sheaf__v1__poll_request__unpack(NULL, m->data.size, m->data.data);
    Sheaf__V1__PollReply reply = SHEAF__V1__POLL_REPLY__INIT;
    struct sf_buf body = {0};
    struct sf_error why;

    assert_non_null(poll);
    assert_string_equal(poll->domain, "sales");
    assert_string_equal(poll->leaf_version, "9.9.9");
    assert_true(f->polls < POLLS_MAX);
    f->polled_ns[f->polls] = sf_rt_now_ns(&f->sim.rt);
    f->had[f->polls++] = poll->have_version;
    switch (f->answer) {
    case BUNDLE:
        if (f->version > poll->have_version) {
            pack_bundle(f->version, &body, &reply);
        }
        __attribute__((fallthrough));
    case NOTHING_NEWER:
        if (reply.bundle == NULL && f->current != 0) {
            pack_current(f->current, &body, &reply);
        }
        answer_with(f, m, sf_buf_view(&body));
        break;
    case GARBAGE:
        answer_with(f, m, SF_LITERAL("\xff\xff"));
        break;
    case ERROR:
        (void)SF_RAISE_E(&why, SF_DENIED, SHEAF_E_DENIED, "no");
        assert_int_equal(sf_service_reply_error(f->hub, m->reply, &why, NULL), SF_OK);
        break;
    case SILENCE:
        break;
    }
    sheaf__v1__poll_request__free_unpacked(poll, NULL);
    sf_buf_done(&body);
}

static void on_apply(struct fixture *f, const struct sf_bus_msg *m)
{
    Sheaf__V1__ApplyRequest *q = sheaf__v1__apply_request__unpack(NULL, m->data.size, m->data.data);
    Sheaf__V1__ApplyReply reply = SHEAF__V1__APPLY_REPLY__INIT;
    char version[] = "1.2.3";
    uint8_t bytes[64];

    assert_non_null(q);
    assert_string_equal(q->domain, "sales");
    assert_string_equal(q->applied_by, "ann");
    assert_true(q->dry_run);
    assert_memory_equal(q->product_yaml.data, "a: 1\n\0b", 7);
    assert_int_equal(q->product_yaml.len, 7);
    f->asked++;
    reply.accepted = true;
    reply.version = version;
    if (f->applies) {
        size_t n = sheaf__v1__apply_reply__pack(&reply, bytes);

        answer_with(f, m, sf_slice_of(bytes, n));
    }
    sheaf__v1__apply_request__free_unpacked(q, NULL);
}

static void on_msg(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    if (strcmp(m->subject, "mesh.poll") == 0) {
        on_poll(sub->data, m);
    } else {
        assert_string_equal(m->subject, "mesh.product.apply");
        on_apply(sub->data, m);
    }
}

/* --- the leaf's side -------------------------------------------------------------------------- */

static bool on_bundle(void *data, struct sf_slice signed_bundle, uint64_t *ret_version)
{
    struct fixture *f = data;

    f->bundles++;
    sf_buf_clear(&f->bundle);
    sf_buf_slice(&f->bundle, signed_bundle);
    *ret_version = f->version;
    return !f->refuses;
}

static void on_answers(void *data, bool answers)
{
    struct fixture *f = data;

    assert_true(f->answers != answers); /* Only when it changes. */
    f->answers = answers;
    f->told++;
}

static void fill_poll(void *data, Sheaf__V1__PollRequest *poll)
{
    static char version[] = "9.9.9";

    (void)data;
    poll->leaf_version = version;
}

static uint64_t delay(void *data, const char *subject)
{
    (void)data;
    (void)subject;
    return 10 * SF_NS_PER_MS; /* So that "at once" is not for ever. */
}

static void start(struct fixture *f)
{
    const struct uplink_options options = {
        .rt = &f->sim.rt,
        .serve = f->leaf,
        .domain = "sales",
        .metrics = &f->metrics,
        .on_bundle = on_bundle,
        .fill_poll = fill_poll,
        .on_answers = on_answers,
        .data = f,
    };

    assert_int_equal(uplink_new(&options, 7, &f->uplink, NULL), SF_OK);
}

static void setup(struct fixture *f)
{
    *f = (struct fixture){0};
    rt_sim_init(&f->sim, 1);
    sf_metrics_init(&f->metrics);
    f->broker = fake_broker_new(&f->sim.rt);
    f->leaf = fake_bus_connect(f->broker);
    f->hub = fake_bus_connect(f->broker);
    fake_broker_knobs(f->broker)->delay_ns = delay;
    f->sub = (struct sf_bus_sub){.on_msg = on_msg, .data = f};
    assert_int_equal(sf_bus_subscribe(f->hub, &f->sub, "mesh.>", NULL, NULL), SF_OK);
    rt_sim_run_for(&f->sim, SF_NS_PER_S);
    start(f);
}

static void teardown(struct fixture *f)
{
    uplink_free(f->uplink);
    assert_true(sf_list_empty(&f->metrics.metrics));
    fake_broker_free(f->broker);
    sf_buf_done(&f->bundle);
    rt_sim_done(&f->sim);
}

static void run_ms(struct fixture *f, unsigned ms)
{
    rt_sim_run_for(&f->sim, ms * SF_NS_PER_MS);
}

static void it_polls_at_once_and_again_behind_each_answer(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    assert_false(uplink_is_up(f.uplink));
    run_ms(&f, 205);
    assert_true(f.polls >= 5 && f.polls <= 11);
    assert_int_equal(f.had[0], 7);
    assert_int_equal(f.had[f.polls - 1], 7);
    assert_true(uplink_is_up(f.uplink));
    assert_int_equal(f.bundles, 0);
    teardown(&f);
}

static void a_newer_bundle_is_acknowledged_by_the_next_poll(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    f.answer = BUNDLE;
    f.version = 9;
    run_ms(&f, 105);
    assert_int_equal(f.bundles, 1);
    assert_memory_equal(f.bundle.data, "\n\1\x09", 3); /* As the hub packed it. */
    assert_int_equal(f.bundle.size, 3);
    assert_int_equal(f.had[0], 7);
    assert_int_equal(f.had[1], 9);
    assert_true(f.polled_ns[1] - f.polled_ns[0] < 50 * SF_NS_PER_MS);
    f.version = 10;
    run_ms(&f, 100);
    assert_int_equal(f.bundles, 2);
    assert_int_equal(f.had[f.polls - 1], 10);
    teardown(&f);
}

static void a_bundle_that_is_refused_is_asked_for_again_after_a_pause(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    f.answer = BUNDLE;
    f.version = 9;
    f.refuses = true;
    run_ms(&f, 2000);
    assert_true(f.polls >= 5 && f.polls <= 8);
    assert_int_equal(f.bundles, f.polls - (f.bundles < f.polls));
    assert_int_equal(f.had[f.polls - 1], 7);
    assert_true(f.polled_ns[1] - f.polled_ns[0] >= UPLINK_RETRY_NS);
    assert_true(uplink_is_up(f.uplink)); /* The hub is there. */
    f.refuses = false;
    run_ms(&f, 1000);
    assert_int_equal(f.had[f.polls - 1], 9);
    teardown(&f);
}

static void silence_ends_the_poll_and_after_two_the_lease(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    run_ms(&f, 100);
    assert_true(uplink_is_up(f.uplink));
    f.answer = SILENCE;
    run_ms(&f, 100);
    f.polls = 0;
    run_ms(&f, 5000);
    assert_true(f.polls >= 1 && f.polls <= 2);
    assert_true(uplink_is_up(f.uplink));
    run_ms(&f, 3000);
    assert_false(uplink_is_up(f.uplink));
    f.polls = 0;
    run_ms(&f, 60 * 1000);
    assert_true(f.polls >= 17 && f.polls <= 19); /* 3.25 s each. */
    f.answer = NOTHING_NEWER;
    run_ms(&f, 5000);
    assert_true(uplink_is_up(f.uplink));
    teardown(&f);
}

static void errors_and_nonsense_are_tried_again_after_a_pause(void **state)
{
    static const enum answer answers[] = {ERROR, GARBAGE};
    (void)state;

    for (size_t i = 0; i < SF_COUNT(answers); i++) {
        struct fixture f;

        setup(&f);
        f.answer = answers[i];
        run_ms(&f, 2000);
        assert_true(f.polls >= 5 && f.polls <= 8);
        assert_false(uplink_is_up(f.uplink));
        teardown(&f);
    }
}

static void no_hub_no_connection_and_a_busy_bus_are_tried_again(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    fake_broker_knobs(f.broker)->busy = 3;
    run_ms(&f, 1500);
    assert_true(f.polls > 0);
    assert_true(f.polled_ns[0] >= SF_NS_PER_S + 3 * UPLINK_RETRY_NS);
    sf_bus_unsubscribe(f.hub, &f.sub);
    run_ms(&f, 20000);
    assert_false(uplink_is_up(f.uplink));
    fake_bus_set_connected(f.leaf, false);
    run_ms(&f, 20000);
    assert_int_equal(sf_bus_subscribe(f.hub, &f.sub, "mesh.>", NULL, NULL), SF_OK);
    fake_bus_set_connected(f.leaf, true);
    f.polls = 0;
    run_ms(&f, 6000);
    assert_true(f.polls > 0);
    assert_true(uplink_is_up(f.uplink));
    teardown(&f);
}

static void waking_polls_now_and_gives_up_the_poll_under_way(void **state)
{
    struct fixture f;
    unsigned polls;
    (void)state;

    setup(&f);
    f.answer = ERROR;
    run_ms(&f, 100); /* It pauses. */
    polls = f.polls;
    f.answer = SILENCE;
    uplink_wake(f.uplink);
    uplink_wake(f.uplink);
    run_ms(&f, 30);
    assert_int_equal(f.polls, polls + 2);
    run_ms(&f, 2000); /* The timer of the pause is gone. */
    assert_int_equal(f.polls, polls + 2);
    teardown(&f);
}

/* --- apply ------------------------------------------------------------------------------------ */

static void on_applied(void *data, const Sheaf__V1__ApplyReply *reply, const struct sf_error *err)
{
    struct fixture *f = data;

    f->applied++;
    f->has_reply = reply != NULL;
    assert_true((reply == NULL) == (err != NULL));
    if (err != NULL) {
        f->apply_error = *err;
    } else {
        (void)strncpy(f->apply_version, reply->version, sizeof(f->apply_version) - 1);
    }
}

static const struct uplink_apply product = {
    .yaml = {(const uint8_t *)"a: 1\n\0b", 7}, .applied_by = "ann", .dry_run = true};

static void a_product_is_applied_by_the_hub(void **state)
{
    struct fixture f;
    struct sf_error err;
    (void)state;

    setup(&f);
    f.applies = true;
    assert_int_equal(uplink_apply_product(f.uplink, &product, on_applied, &f, &err), SF_OK);
    assert_int_equal(uplink_apply_product(f.uplink, &product, on_applied, &f, &err), SF_BUSY);
    assert_int_equal(err.number, SHEAF_E_BUSY);
    assert_int_equal(f.applied, 0);
    run_ms(&f, 100);
    assert_int_equal(f.applied, 1);
    assert_true(f.has_reply);
    assert_string_equal(f.apply_version, "1.2.3");
    assert_int_equal(uplink_apply_product(f.uplink, &product, on_applied, &f, &err), SF_OK);
    run_ms(&f, 100);
    assert_int_equal(f.applied, 2);
    teardown(&f);
}

static void without_a_hub_nothing_is_applied(void **state)
{
    struct fixture f;
    struct sf_error err = {0};
    enum sf_code code;
    (void)state;

    setup(&f);
    assert_int_equal(uplink_apply_product(f.uplink, &product, on_applied, &f, &err), SF_OK);
    run_ms(&f, 11000);            /* A hub that says nothing. */
    assert_int_equal(f.asked, 1); /* It may have done it. */
    assert_int_equal(f.applied, 1);
    assert_int_equal(f.apply_error.code, SF_UNAVAILABLE);
    assert_int_equal(f.apply_error.number, SHEAF_E_HUB_UNREACHABLE);
    sf_bus_unsubscribe(f.hub, &f.sub);
    assert_int_equal(uplink_apply_product(f.uplink, &product, on_applied, &f, &err), SF_OK);
    run_ms(&f, 11000);
    assert_int_equal(f.applied, 2);
    assert_int_equal(f.apply_error.number, SHEAF_E_HUB_UNREACHABLE);
    fake_bus_close(f.leaf);
    run_ms(&f, 100);
    code = uplink_apply_product(f.uplink, &product, on_applied, &f, &err);
    assert_int_not_equal(code, SF_OK);
    assert_int_equal(err.number, SHEAF_E_HUB_UNREACHABLE);
    teardown(&f);
}

static void stop_hub(struct fixture *f)
{
    sf_bus_unsubscribe(f->hub, &f->sub);
}

static void start_hub(struct fixture *f)
{
    f->applies = true;
    assert_int_equal(sf_bus_subscribe(f->hub, &f->sub, "mesh.>", NULL, NULL), SF_OK);
}

/* The hub hears of it, and the answer comes. */
static void assert_applied_once(struct fixture *f)
{
    run_ms(f, 500);
    assert_int_equal(f->applied, 1);
    assert_true(f->has_reply);
    assert_int_equal(f->asked, 1);
}

static void a_call_waits_for_the_first_link(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    stop_hub(&f);
    fake_bus_set_connected(f.leaf, false);
    assert_int_equal(uplink_apply_product(f.uplink, &product, on_applied, &f, NULL), SF_OK);
    assert_int_equal(uplink_apply_product(f.uplink, &product, on_applied, &f, NULL), SF_BUSY);
    run_ms(&f, 3000);
    fake_bus_set_connected(f.leaf, true);
    run_ms(&f, 3000);
    assert_int_equal(f.applied, 0);
    start_hub(&f);
    assert_applied_once(&f);
    teardown(&f);
}

static void a_call_that_reached_nobody_is_sent_again_once_the_hub_is_back(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    f.applies = true;
    run_ms(&f, 100);
    stop_hub(&f);
    assert_int_equal(uplink_apply_product(f.uplink, &product, on_applied, &f, NULL), SF_OK);
    run_ms(&f, 9000);
    assert_int_equal(f.applied, 0);
    start_hub(&f);
    assert_applied_once(&f);
    teardown(&f);
}

static void a_call_waits_for_a_connection_that_was_just_lost(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    f.applies = true;
    run_ms(&f, 100);
    fake_bus_set_connected(f.leaf, false);
    run_ms(&f, 1);
    assert_int_equal(uplink_apply_product(f.uplink, &product, on_applied, &f, NULL), SF_OK);
    run_ms(&f, 2000);
    assert_int_equal(f.applied, 0);
    fake_bus_set_connected(f.leaf, true);
    uplink_wake(f.uplink);
    run_ms(&f, 500);
    assert_int_equal(f.applied, 1);
    assert_true(f.has_reply);
    teardown(&f);
}

static void a_call_waits_so_long_and_no_longer(void **state)
{
    struct fixture f;
    struct sf_error err = {0};
    (void)state;

    setup(&f);
    stop_hub(&f);
    assert_int_equal(uplink_apply_product(f.uplink, &product, on_applied, &f, NULL), SF_OK);
    rt_sim_run_for(&f.sim, UPLINK_LINK_NS - SF_NS_PER_MS);
    assert_int_equal(f.applied, 0);
    run_ms(&f, 2);
    assert_int_equal(f.applied, 1);
    assert_int_equal(f.apply_error.number, SHEAF_E_HUB_UNREACHABLE);
    /* Now it is known to be down. */
    assert_int_equal(uplink_apply_product(f.uplink, &product, on_applied, &f, NULL), SF_OK);
    run_ms(&f, 50);
    assert_int_equal(f.applied, 2);
    assert_int_equal(f.apply_error.number, SHEAF_E_HUB_UNREACHABLE);
    fake_bus_set_connected(f.leaf, false);
    run_ms(&f, 1);
    assert_int_equal(uplink_apply_product(f.uplink, &product, on_applied, &f, &err),
                     SF_UNAVAILABLE);
    assert_int_equal(err.number, SHEAF_E_HUB_UNREACHABLE);
    /* A connection that came again may bring the link. */
    fake_bus_set_connected(f.leaf, true);
    uplink_wake(f.uplink);
    assert_int_equal(uplink_apply_product(f.uplink, &product, on_applied, &f, NULL), SF_OK);
    run_ms(&f, 1000);
    start_hub(&f);
    run_ms(&f, 500);
    assert_int_equal(f.applied, 3);
    assert_true(f.has_reply);
    teardown(&f);
}

static void a_hub_that_answers_polls_with_errors_is_linked(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    f.answer = ERROR;
    f.applies = true;
    assert_int_equal(uplink_apply_product(f.uplink, &product, on_applied, &f, NULL), SF_OK);
    run_ms(&f, 500);
    assert_int_equal(f.applied, 1);
    assert_true(f.has_reply);
    teardown(&f);
}

static void a_call_that_waits_is_cancelled(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    stop_hub(&f);
    assert_int_equal(uplink_apply_product(f.uplink, &product, on_applied, &f, NULL), SF_OK);
    uplink_call_cancel(f.uplink);
    start_hub(&f);
    run_ms(&f, 20000);
    assert_int_equal(f.applied + f.asked, 0);
    teardown(&f);
}

static void a_call_that_is_cancelled_is_not_answered(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    f.applies = true;
    assert_int_equal(uplink_apply_product(f.uplink, &product, on_applied, &f, NULL), SF_OK);
    uplink_call_cancel(f.uplink);
    uplink_call_cancel(f.uplink);
    run_ms(&f, 100);
    assert_int_equal(f.applied, 0);
    assert_int_equal(uplink_apply_product(f.uplink, &product, on_applied, &f, NULL), SF_OK);
    teardown(&f); /* Frees it with both calls under way. */
    assert_int_equal(f.applied, 0);
}

/* --- no memory -------------------------------------------------------------------------------- */

static void polls_without_memory_are_sent_again_and_the_bundle_arrives(void **state)
{
    struct fixture f;
    bool failed = true;
    (void)state;

    setup(&f);
    f.answer = BUNDLE;
    f.without_memory = true;
    for (long n = 0; failed; n++) {
        f.version = 10 + (uint64_t)n;
        f.polls = 0;
        sf_alloc_fail_after(n, false);
        run_ms(&f, 60);
        failed = sf_alloc_faults() > 0;
        sf_alloc_fail_after(-1, false);
        run_ms(&f, UPLINK_POLL_TIMEOUT_NS / SF_NS_PER_MS + 500);
        assert_int_equal(f.had[f.polls - 1], f.version);
        assert_true(uplink_is_up(f.uplink));
        assert_true(n < 200);
    }
    teardown(&f);
}

static void a_product_without_memory_is_answered_once_all_the_same(void **state)
{
    struct fixture f;
    bool failed = true;
    unsigned refused = 0;
    (void)state;

    setup(&f);
    f.answer = SILENCE; /* no polls between */
    run_ms(&f, 10);
    f.applies = true;
    f.without_memory = true;
    for (long n = 0; failed; n++) {
        struct sf_error err = {0};
        enum sf_code code;

        f.applied = 0;
        f.apply_error = (struct sf_error){0};
        sf_alloc_fail_after(n, false);
        code = uplink_apply_product(f.uplink, &product, on_applied, &f, &err);
        run_ms(&f, UPLINK_CALL_TIMEOUT_NS / SF_NS_PER_MS + 500);
        failed = sf_alloc_faults() > 0;
        sf_alloc_fail_after(-1, false);
        assert_int_equal(f.applied, code == SF_OK);
        assert_true(code == SF_OK || (code == SF_NOMEM && err.code == SF_NOMEM));
        refused += code != SF_OK;
        assert_true(failed || f.has_reply);
    }
    assert_true(refused > 1);
    teardown(&f);
}

/* It may have forgotten something: until it has said which bundle counts. */
static void a_hub_answers_while_the_leaf_has_the_bundle_that_it_has(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    f.current = 7;
    rt_sim_run_for(&f.sim, SF_NS_PER_S);
    assert_true(f.answers);
    assert_int_equal(f.told, 1);
    f.answer = SILENCE;
    rt_sim_run_for(&f.sim, UPLINK_POLL_TIMEOUT_NS + 50 * SF_NS_PER_MS);
    assert_false(f.answers);
    f.answer = NOTHING_NEWER;
    f.current = 8; /* It has another one, and cannot send it. */
    rt_sim_run_for(&f.sim, 5 * SF_NS_PER_S);
    assert_false(f.answers);
    f.answer = BUNDLE;
    f.version = 8;
    rt_sim_run_for(&f.sim, SF_NS_PER_S);
    assert_true(f.answers);
    uplink_wake(f.uplink); /* Another server, perhaps. */
    assert_false(f.answers);
    rt_sim_run_for(&f.sim, SF_NS_PER_S);
    assert_true(f.answers);
    f.answer = ERROR;
    rt_sim_run_for(&f.sim, SF_NS_PER_S);
    assert_false(f.answers);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_polls_at_once_and_again_behind_each_answer),
        cmocka_unit_test(a_newer_bundle_is_acknowledged_by_the_next_poll),
        cmocka_unit_test(a_bundle_that_is_refused_is_asked_for_again_after_a_pause),
        cmocka_unit_test(silence_ends_the_poll_and_after_two_the_lease),
        cmocka_unit_test(errors_and_nonsense_are_tried_again_after_a_pause),
        cmocka_unit_test(no_hub_no_connection_and_a_busy_bus_are_tried_again),
        cmocka_unit_test(waking_polls_now_and_gives_up_the_poll_under_way),
        cmocka_unit_test(a_hub_answers_while_the_leaf_has_the_bundle_that_it_has),
        cmocka_unit_test(a_product_is_applied_by_the_hub),
        cmocka_unit_test(without_a_hub_nothing_is_applied),
        cmocka_unit_test(a_call_waits_for_the_first_link),
        cmocka_unit_test(a_call_that_reached_nobody_is_sent_again_once_the_hub_is_back),
        cmocka_unit_test(a_call_waits_for_a_connection_that_was_just_lost),
        cmocka_unit_test(a_call_waits_so_long_and_no_longer),
        cmocka_unit_test(a_hub_that_answers_polls_with_errors_is_linked),
        cmocka_unit_test(a_call_that_waits_is_cancelled),
        cmocka_unit_test(a_call_that_is_cancelled_is_not_answered),
        cmocka_unit_test(polls_without_memory_are_sent_again_and_the_bundle_arrives),
        cmocka_unit_test(a_product_without_memory_is_answered_once_all_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
