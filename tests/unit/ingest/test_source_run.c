/* A source at work: every message of the stream is stored once, whatever is lost or missing. */
#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "leaf/ingest/source.h"
#include "tests/unit/ingest/fake_js.h"
#include "tests/unit/ingest/fixture.h"

enum { MESSAGES = 10, POISON = 7 }; /* the seventh is no record */

struct world {
    struct fixture f;
    struct fake_broker *broker;
    struct sf_bus *bus;
    struct fake_js js;
    struct source *source;
    char texts[MESSAGES][64];
};

static enum sf_code open_source_of(struct world *w, const char *type, struct sf_error *err)
{
    const struct source_spec spec = {
        .name = "shop",
        .product = "orders",
        .table = "orders",
        .stream = "SHOP",
        .consumer = "c",
        .type = type,
        .max_ack_pending = 4,
    };
    const struct source_options options = {
        .rt = &w->f.w.stores.sim.rt,
        .bus = w->bus,
        .ingest = w->f.ingest,
        .store = w->f.w.stores.store,
        .serving = &w->f.w.serving,
        .metrics = &w->f.metrics,
    };

    return source_new(&options, &spec, &w->source, err);
}

static enum sf_code open_source(struct world *w, struct sf_error *err)
{
    return open_source_of(w, "application/x-ndjson", err);
}

static void setup_world(struct world *w)
{
    *w = (struct world){0};
    setup(&w->f);
    w->broker = fake_broker_new(&w->f.w.stores.sim.rt);
    w->bus = fake_bus_connect(w->broker);
    fake_js_init(&w->js, &w->f.w.stores.sim.rt, w->broker);
    rt_sim_run_for(&w->f.w.stores.sim, SF_NS_PER_MS);
    for (unsigned i = 0; i < MESSAGES; i++) {
        (void)snprintf(w->texts[i], sizeof(w->texts[i]), "{\"order_id\":\"m%u\"}", i);
        fake_js_add(&w->js, i + 1 == POISON ? "no" : w->texts[i]);
    }
}

static void teardown_world(struct world *w)
{
    source_close(w->source, NULL);
    fake_js_pause(&w->js);
    rt_sim_run(&w->f.w.stores.sim);
    assert_int_equal(ingest_pending(w->f.ingest), 0);
    fake_broker_free(w->broker);
    teardown(&w->f);
}

/* The leaf is killed and starts again. */
static void restart(struct world *w)
{
    leaf_world_kill(&w->f.w);
    source_close(SF_TAKE(w->source), NULL);
    rt_sim_run_for(&w->f.w.stores.sim, SF_NS_PER_S);
    ingest_free(w->f.ingest);
    fake_js_pause(&w->js);
    leaf_world_crash(&w->f.w, world_orders);
    fake_js_go_on(&w->js);
    w->f.orders = leaf_world_table(&w->f.w, "orders");
    open_ingest(&w->f, 0, 0);
    assert_int_equal(open_source(w, NULL), SF_OK);
}

static void let_run(struct world *w, unsigned seconds)
{
    rt_sim_run_for(&w->f.w.stores.sim, seconds * SF_NS_PER_S);
}

/* Of the stream, also when messages came again. */
static void assert_in_order(struct world *w)
{
    char text[4096];
    const char *at = store_world_log(&w->f.w.stores, w->f.orders->lane, 0, text, sizeof(text));

    for (unsigned i = 0; i < MESSAGES; i++) {
        char key[8];

        (void)snprintf(key, sizeof(key), "m%u", i);
        if (i + 1 != POISON) {
            at = strstr(at, key);
            if (at == NULL) {
                fail_msg("%s is not in its place: %s", key, text);
            }
        }
    }
}

/* Each record is one change, the poison one entry of the quarantine, and all are acknowledged. */
static void assert_all_stored_once(struct world *w)
{
    struct source_status status;

    source_status(w->source, &status);
    if (strcmp(status.state, "running") != 0) {
        fail_msg("%s: %s, %u", status.state, status.error, w->js.deliveries);
    }
    assert_int_equal(status.last_seq, MESSAGES);
    assert_int_equal(store_lane_head(w->f.orders->lane)->seq, MESSAGES - 1);
    assert_int_equal(store_lane_head(w->f.orders->lane)->quarantined, 1);
    assert_int_equal(fake_js_acked(&w->js), MESSAGES);
    assert_int_equal(w->js.creations, 1);
    assert_in_order(w);
}

static void a_stream_is_stored_and_acknowledged(void **state)
{
    struct world w;
    (void)state;

    setup_world(&w);
    assert_int_equal(open_source(&w, NULL), SF_OK);
    let_run(&w, 5);
    assert_all_stored_once(&w);
    assert_int_equal(w.js.redeliveries, 0);
    teardown_world(&w);
}

/* One that is to blame for the refusal of its group is found by halving; afterwards groups are
 * whole, and pulls go on. */
static void behind_a_message_to_blame_all_goes_on_as_before(void **state)
{
    static const char row[] = "order_id\nx\n";
    struct source_status status;
    struct world w;
    uint64_t commits;
    (void)state;

    setup_world(&w);
    for (unsigned i = 0; i < MESSAGES; i++) {
        w.js.texts[i] = i + 1 == POISON ? "no_such_field\nx\n" : row;
    }
    assert_int_equal(open_source_of(&w, "text/csv", NULL), SF_OK);
    let_run(&w, 33); /* The first pull has ended: another is asked for at once. */
    source_status(w.source, &status);
    assert_int_equal(status.poison, 1);
    assert_int_equal(fake_js_acked(&w.js), MESSAGES);
    commits = store_stats(w.f.w.stores.store).commits;
    for (unsigned i = 0; i < 4; i++) {
        fake_js_add(&w.js, row);
    }
    let_run(&w, 1);
    assert_int_equal(fake_js_acked(&w.js), MESSAGES + 4);
    assert_in_range(store_stats(w.f.w.stores.store).commits - commits, 1, 2);
    teardown_world(&w);
}

static void a_source_without_memory_stores_every_message_once(void **state)
{
    bool failed = true;
    unsigned refused = 0;
    unsigned restarts = 0;
    (void)state;

    for (long n = 0; failed; n++) {
        struct sf_error err = {0};
        struct world w;
        enum sf_code code;

        setup_world(&w);
        sf_alloc_fail_after(n, false);
        code = open_source(&w, &err);
        if (code == SF_OK) {
            let_run(&w, 5);
        }
        failed = sf_alloc_faults() > 0;
        sf_alloc_fail_after(-1, false);
        if (code != SF_OK) {
            assert_int_equal(err.code, SF_NOMEM);
            assert_null(w.source);
            refused++;
            assert_int_equal(open_source(&w, NULL), SF_OK);
        }
        if (store_failed(w.f.w.stores.store)) {
            restart(&w);
            restarts++;
        }
        let_run(&w, 60); /* Pulls and acknowledgements that were lost come again. */
        assert_all_stored_once(&w);
        teardown_world(&w);
    }
    assert_true(refused > 3 && restarts > 3);
}

/* Every message that the bus carries is lost once, in either direction. */
struct losing {
    unsigned until;
};

static bool lose(void *data, const char *subject)
{
    struct losing *l = data;

    (void)subject;
    return l->until > 0 && --l->until == 0;
}

static void whatever_the_network_loses_every_message_is_stored_once(void **state)
{
    (void)state;
    for (unsigned n = 1; n < 60; n++) {
        struct losing losing = {.until = n};
        struct world w;

        setup_world(&w);
        fake_broker_knobs(w.broker)->drop = lose;
        fake_broker_knobs(w.broker)->data = &losing;
        assert_int_equal(open_source(&w, NULL), SF_OK);
        let_run(&w, 90);
        assert_all_stored_once(&w);
        teardown_world(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_is_stored_and_acknowledged),
        cmocka_unit_test(behind_a_message_to_blame_all_goes_on_as_before),
        cmocka_unit_test(a_source_without_memory_stores_every_message_once),
        cmocka_unit_test(whatever_the_network_loses_every_message_is_stored_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
