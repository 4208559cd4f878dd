/* Credit for a streamed answer, on the asking side: what is told, and when it is told again. */
#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <string.h>

#include "common/bus/flow.h"
#include "common/sys/crypto.h"
#include "proto/subjects.h"
#include "tests/lib/fake_bus.h"
#include "tests/sim/rt_sim.h"

struct world {
    struct rt_sim sim;
    struct fake_broker *broker;
    struct sf_bus *asker;
    struct sf_bus_sub owner;
    struct sf_flow flow;
    unsigned told;
    char last[128]; /* what was told, without the flow's name */
};

static void on_taken(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct world *w = sub->data;
    const char *rest;

    (void)snprintf(w->last, sizeof(w->last), "%.*s", SF_SLICE_ARG(m->data));
    rest = strchr(w->last, ',');
    assert_non_null(rest);
    memmove(w->last, rest, strlen(rest) + 1);
    w->told++;
}

static void setup(struct world *w)
{
    *w = (struct world){0};
    assert_int_equal(sf_crypto_init(NULL), SF_OK);
    rt_sim_init(&w->sim, 3);
    w->broker = fake_broker_new(&w->sim.rt);
    w->asker = fake_bus_connect(w->broker);
    w->owner = (struct sf_bus_sub){.on_msg = on_taken, .data = w};
    assert_int_equal(sf_bus_subscribe(w->asker, &w->owner, "q.d.p.taken", NULL, NULL), SF_OK);
    sf_flow_begin(&w->flow, &w->sim.rt, w->asker, "q.d.p.taken");
}

static void teardown(struct world *w)
{
    sf_flow_end(&w->flow, /* is_over= */ true);
    sf_bus_unsubscribe(w->asker, &w->owner);
    rt_sim_run(&w->sim);
    fake_broker_free(w->broker);
    rt_sim_done(&w->sim);
}

static bool look(struct world *w, const char *number)
{
    const struct sf_bus_header header = {HEADER_FLOW, number};

    return sf_flow_look(&w->flow,
                        &(struct sf_bus_msg){.headers = &header, .header_count = number != NULL});
}

static void pages_come_by_number_and_a_gap_is_a_loss(void **state)
{
    struct world w;
    (void)state;

    setup(&w);
    assert_true(look(&w, "1"));
    assert_false(look(&w, "3"));
    assert_false(look(&w, "1")); /* again */
    assert_false(look(&w, "x"));
    assert_true(look(&w, NULL)); /* of one that gives no numbers */
    assert_true(look(&w, "3"));
    teardown(&w);
}

static void what_was_taken_is_told_again_until_a_page_comes(void **state)
{
    struct world w;
    (void)state;

    setup(&w);
    assert_true(look(&w, "1"));
    sf_flow_taken(&w.flow);
    rt_sim_run_for(&w.sim, SF_NS_PER_S);
    assert_int_equal(w.told, 1);
    assert_string_equal(w.last, ",\"taken\":1}");
    rt_sim_run_for(&w.sim, 2 * SF_NS_PER_S); /* nothing came: it may have been lost */
    assert_int_equal(w.told, 2);
    assert_true(look(&w, "2"));
    rt_sim_run_for(&w.sim, 10 * SF_NS_PER_S); /* not taken yet: nothing to say */
    assert_int_equal(w.told, 2);
    sf_flow_taken(&w.flow);
    rt_sim_run(&w.sim);
    assert_int_equal(w.told, 2 + 9); /* not for ever */
    assert_string_equal(w.last, ",\"taken\":2}");
    teardown(&w);
}

static void who_wants_no_more_says_so_once(void **state)
{
    char id[SF_FLOW_ID_SIZE];
    struct world w;
    (void)state;

    setup(&w);
    (void)snprintf(id, sizeof(id), "%s", w.flow.id);
    sf_flow_end(&w.flow, /* is_over= */ false);
    sf_flow_end(&w.flow, /* is_over= */ false);
    rt_sim_run(&w.sim);
    assert_int_equal(w.told, 1);
    assert_string_equal(w.last, ",\"taken\":0,\"stop\":true}");
    sf_flow_begin(&w.flow, &w.sim.rt, w.asker, "q.d.p.taken");
    assert_string_not_equal(w.flow.id, id);
    sf_flow_end(&w.flow, /* is_over= */ true);
    rt_sim_run(&w.sim);
    assert_int_equal(w.told, 1);
    teardown(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_come_by_number_and_a_gap_is_a_loss),
        cmocka_unit_test(what_was_taken_is_told_again_until_a_page_comes),
        cmocka_unit_test(who_wants_no_more_says_so_once),
    };

    return cmocka_run_group_tests_name("flow", tests, NULL, NULL);
}
