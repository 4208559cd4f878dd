/* Traps of claims and limits on real servers: what a push and a restart of the hub really do. */
#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/bus/natsd_config.h"
#include "common/bus/natsd_varz.h"
#include "tests/lib/nats_messages.h"

#define LIVE_A "dp.sales.orders.orders.v1.0.aaa"
#define LIVE   "dp.sales.orders.orders.v1.0"

static const char *const audience_a[] = {"aaa"};

static int start(void **state)
{
    static struct nats_fixture f;

    nats_fixture_init(&f, NULL);
    *state = &f;
    return 0;
}

static int stop(void **state)
{
    nats_fixture_done(*state);
    return 0;
}

static void assert_effective(struct nats_fixture *f, enum fixture_account account)
{
    char jti[72];

    nats_fixture_effective_jti(f, account, jti);
    assert_string_equal(jti, f->account[account].jti);
}

static void test_a_push_that_is_answered_with_200_may_have_no_effect(void **state)
{
    struct nats_fixture *f = *state;
    struct fixture_account_state *a = &f->account[FIXTURE_MARKETING];
    struct sf_account_claims c = {
        .name = "marketing",
        .subject = &a->seed.public_key,
        .limits = sf_account_limits_closed(),
    };
    struct sf_nats_signer foreign = {&f->foreign_key, a->iat_s + 1000};
    struct sf_buf jwt = {0};
    char before[72];
    char after[72];

    nats_fixture_grant(f, audience_a, 1);
    assert_effective(f, FIXTURE_MARKETING);
    nats_fixture_effective_jti(f, FIXTURE_MARKETING, before);
    assert_int_equal(sf_account_jwt(&c, &foreign, &jwt, NULL), SF_OK);
    assert_int_equal(nats_fixture_push(f, FIXTURE_MARKETING, sf_buf_cstr(&jwt), 1, FIXTURE_WAIT_MS),
                     1);
    nats_fixture_effective_jti(f, FIXTURE_MARKETING, after);
    assert_string_equal(after, before); /* the answer said 200: only the jti tells */
    nats_fixture_grant(f, audience_a, 1);
    assert_effective(f, FIXTURE_MARKETING);
    sf_buf_done(&jwt);
}

static void test_many_pushes_within_a_second_end_with_the_last(void **state)
{
    struct nats_fixture *f = *state;
    int64_t iat_s = f->account[FIXTURE_MARKETING].iat_s;

    for (int i = 0; i < 20; i++) {
        nats_fixture_grant(f, audience_a, i % 2 == 0 ? 1 : 0);
        assert_effective(f, FIXTURE_MARKETING);
    }
    assert_int_equal(f->account[FIXTURE_MARKETING].iat_s, iat_s + 20);
}

/* Whether the message @number of the audience arrives within a moment. */
static bool flows(struct nats_fixture *f, struct sf_bus *owner, const struct heard *h)
{
    size_t before = h->opened;

    for (int i = 0; i < 60 && h->opened == before; i++) {
        if (sf_bus_connected(owner)) {
            say_number(owner, LIVE_A, 0);
        }
        test_loop_idle(&f->loop, 10);
    }
    return h->opened != before;
}

static void test_a_restarted_hub_asks_for_claims_and_an_old_cache_would_roll_back(void **state)
{
    struct nats_fixture *f = *state;
    struct nats_fixture_options bare = {.preloads_only_system = true};
    struct nats_fixture_options old = {.preloads_only_system = true, .keeps_cache = true};
    struct sf_bus *owner = nats_fixture_leaf_bus(f, FIXTURE_LEAF_SALES, FIXTURE_PROCESS_SERVE);
    struct sf_bus *app = nats_fixture_leaf_bus(f, FIXTURE_LEAF_MARKETING, FIXTURE_APP);
    struct heard h;
    size_t lookups = f->lookups;

    heard_start(f, &h, app, LIVE);
    nats_fixture_restart_hub(f, &bare); /* nothing preloaded: the hub process is asked */
    assert_true(f->lookups > lookups);
    nats_fixture_grant(f, audience_a, 1); /* now in the cache of the server */
    wait_open(f, owner, LIVE_A, &h);
    nats_fixture_sign(f, FIXTURE_MARKETING, NULL, 0); /* the end of the grant, while it is down */
    nats_fixture_restart_hub(f, &old);
    assert_true(flows(f, owner, &h)); /* the trap: the old cache brings the grant back */
    nats_fixture_restart_hub(f, &bare);
    assert_false(flows(f, owner, &h));
    assert_effective(f, FIXTURE_MARKETING);
    heard_stop(&h);
    nats_fixture_close_bus(f, owner);
    nats_fixture_close_bus(f, app);
}

static void test_a_restarted_hub_with_every_account_preloaded_asks_for_nothing(void **state)
{
    struct nats_fixture *f = *state;
    struct sf_bus *owner = nats_fixture_leaf_bus(f, FIXTURE_LEAF_SALES, FIXTURE_PROCESS_SERVE);
    struct sf_bus *app = nats_fixture_leaf_bus(f, FIXTURE_LEAF_MARKETING, FIXTURE_APP);
    struct heard h;
    size_t lookups;

    heard_start(f, &h, app, LIVE);
    nats_fixture_grant(f, audience_a, 1);
    wait_open(f, owner, LIVE_A, &h);
    lookups = f->lookups;
    nats_fixture_restart_hub(f, NULL);
    wait_open(f, owner, LIVE_A, &h);
    assert_int_equal(f->lookups, lookups);
    heard_stop(&h);
    nats_fixture_close_bus(f, owner);
    nats_fixture_close_bus(f, app);
}

static void on_request(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct heard *h = SF_CONTAINER_OF(sub, struct heard, sub);
    char text[32];

    h->count++;
    (void)snprintf(text, sizeof(text), "%zu", m->data.size);
    say_text(h->bus, m->reply, text);
}

static void test_a_message_over_the_limit_cuts_its_senders_link_only(void **state)
{
    struct nats_fixture *f = *state;
    struct sf_bus *owner = nats_fixture_leaf_bus(f, FIXTURE_LEAF_SALES, FIXTURE_PROCESS_SERVE);
    struct sf_bus *app = nats_fixture_leaf_bus(f, FIXTURE_LEAF_MARKETING, FIXTURE_APP);
    struct sf_bus *hub_app = nats_fixture_hub_bus(f, FIXTURE_MARKETING);
    uint8_t *large = sf_calloc(1, 4160 * 1024 + 1);
    struct heard service;
    struct asked a;
    char want[32];
    size_t ours;

    assert_non_null(large);
    nats_fixture_grant(f, audience_a, 1);
    heard_start(f, &service, owner, "dpq.sales.*.>");
    service.sub.on_msg = on_request;
    ask_until_answered(f, app, "q.sales.orders.get");
    ours = f->disconnects[FIXTURE_SALES_SERVE];
    /* The largest that an account may send arrives: the imports add about 100 bytes on the way. */
    (void)snprintf(want, sizeof(want), "%d", SF_NATSD_ACCOUNT_PAYLOAD - 1024);
    assert_int_equal(ask_once(f, app, "q.sales.orders.get",
                              sf_slice_of(large, SF_NATSD_ACCOUNT_PAYLOAD - 1024), 5000, &a),
                     SF_BUS_ANSWERED);
    assert_string_equal(a.text, want);
    assert_int_equal(f->disconnects[FIXTURE_MARKETING], 0);
    for (size_t over = 0; over < 3; over++) {
        size_t before = f->disconnects[FIXTURE_MARKETING];
        size_t size = over == 0   ? SF_NATSD_ACCOUNT_PAYLOAD + 1
                      : over == 1 ? SF_NATSD_ACCOUNT_PAYLOAD + 4096
                                  : 4160 * 1024 - 200;
        size_t served = service.count;

        assert_int_not_equal(
            ask_once(f, app, "q.sales.orders.get", sf_slice_of(large, size), 500, NULL),
            SF_BUS_ANSWERED);
        test_loop_until_count(&f->loop, &f->disconnects[FIXTURE_MARKETING], before + 1,
                              "the sender's link is cut", FIXTURE_WAIT_MS);
        assert_int_equal(service.count, served);
        assert_int_equal(ask_once(f, hub_app, "q.sales.orders.get", SF_LITERAL("{}"), 2000, &a),
                         SF_BUS_ANSWERED); /* others are served all the time */
        ask_until_answered(f, app, "q.sales.orders.get");
    }
    assert_int_equal(f->disconnects[FIXTURE_SALES_SERVE], ours);
    assert_int_equal(f->disconnects[FIXTURE_SALES], 0);
    assert_int_equal(sf_bus_publish(app,
                                    &(struct sf_bus_msg){
                                        .subject = "in.x",
                                        .data = sf_slice_of(large, 4160 * 1024 + 1),
                                    },
                                    NULL),
                     SF_INVALID); /* the bus does not even send what its own server refuses */
    sf_free(large);
    heard_stop(&service);
    nats_fixture_close_bus(f, owner);
    nats_fixture_close_bus(f, app);
    nats_fixture_close_bus(f, hub_app);
}

struct varz {
    struct sf_natsd_varz_call call;
    bool is_done;
    enum sf_code code;
    size_t count;
    struct sf_natsd_varz first;
};

static void on_varz(struct sf_natsd_varz_call *call, enum sf_code code,
                    const struct sf_natsd_varz *servers, size_t count)
{
    struct varz *v = SF_CONTAINER_OF(call, struct varz, call);

    v->is_done = true;
    v->code = code;
    v->count = count;
    v->first = count > 0 ? servers[0] : (struct sf_natsd_varz){0};
}

static void test_a_server_tells_its_version_and_that_it_syncs_every_write(void **state)
{
    struct nats_fixture *f = *state;
    struct varz v = {.call = {.done = on_varz}};

    assert_int_equal(sf_natsd_varz_ask(f->loop.rt, f->sys, &v.call, 1, 10 * SF_NS_PER_S, NULL),
                     SF_OK);
    assert_false(v.is_done);
    test_loop_until_flag(&f->loop, &v.is_done, "the answer", FIXTURE_WAIT_MS);
    assert_int_equal(v.code, SF_OK);
    assert_int_equal(v.count, 1);
    assert_string_equal(v.first.server_name, "hub1");
    assert_true(v.first.has_jetstream);
    assert_true(v.first.is_sync_always);
    assert_int_equal(v.first.max_payload_bytes, 8 * 1024 * 1024);
    assert_int_equal(sf_natsd_varz_check(&v.first, true, NULL), SF_OK);
}

static void test_every_server_of_a_cluster_answers_a_push(void **state)
{
    struct nats_fixture *f = sf_calloc(1, sizeof(*f));
    char cluster[2][512];
    uint16_t port[2] = {nats_server_port(), nats_server_port()};
    struct nats_fixture_options o = {.extra_hub = cluster[0]};

    (void)state;
    assert_non_null(f);
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(cluster[i], sizeof(cluster[i]),
                       "cluster { name: HUB, listen: \"127.0.0.1:%u\", pool_size: -1, routes: "
                       "[\"nats-route://127.0.0.1:%u\", \"nats-route://127.0.0.1:%u\"] }\n",
                       port[i], port[0], port[1]);
    }
    nats_fixture_init(f, &o);
    assert_int_equal(nats_fixture_count_servers(f, 200), 1);
    nats_fixture_start_second_hub(f, cluster[1]);
    nats_fixture_wait_servers(f, 2);
    nats_fixture_sign(f, FIXTURE_MARKETING, NULL, 0);
    assert_int_equal(nats_fixture_push(f, FIXTURE_MARKETING, NULL, 2, FIXTURE_WAIT_MS), 2);
    nats_server_kill(&f->second_hub);
    nats_fixture_sign(f, FIXTURE_MARKETING, NULL, 0);
    assert_int_equal(nats_fixture_push(f, FIXTURE_MARKETING, NULL, 0, 500), 1); /* one missed it */
    nats_fixture_done(f);
    sf_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_push_that_is_answered_with_200_may_have_no_effect,
                                        start, stop),
        cmocka_unit_test_setup_teardown(test_many_pushes_within_a_second_end_with_the_last, start,
                                        stop),
        cmocka_unit_test_setup_teardown(
            test_a_restarted_hub_asks_for_claims_and_an_old_cache_would_roll_back, start, stop),
        cmocka_unit_test_setup_teardown(
            test_a_restarted_hub_with_every_account_preloaded_asks_for_nothing, start, stop),
        cmocka_unit_test_setup_teardown(test_a_message_over_the_limit_cuts_its_senders_link_only,
                                        start, stop),
        cmocka_unit_test_setup_teardown(
            test_a_server_tells_its_version_and_that_it_syncs_every_write, start, stop),
        cmocka_unit_test(test_every_server_of_a_cluster_answers_a_push),
    };

    return cmocka_run_group_tests_name("nats_claims", tests, NULL, NULL);
}
