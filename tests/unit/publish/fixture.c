#include "tests/unit/publish/fixture.h"

#include "proto/subjects.h"
#include "tests/lib/cmocka.h"

/* Sees each message when it is published. */
static bool on_publish(void *data, const char *subject)
{
    struct fixture *f = data;

    assert_false(f->revoked && strstr(subject, ".aud1") != NULL);
    return false;
}

static void on_msg(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct fixture *f = sub->data;
    const char *position = sf_bus_msg_header(m, HEADER_POSITION);

    if ((position == NULL && !f->heartbeats) ||
        (f->governed && strcmp(sf_bus_msg_header(m, "Sheaf-Audience"), "aud1") != 0)) {
        return;
    }
    sf_buf_printf(&f->seen, "%s.%s %s%s prev %s\n", sf_bus_msg_header(m, "Sheaf-Audience"),
                  strstr(m->subject, ".clicks.") == NULL ? "orders" : "clicks",
                  position == NULL ? "head " : "",
                  position == NULL ? sf_bus_msg_header(m, HEADER_HEAD) : position,
                  sf_bus_msg_header(m, HEADER_PREV));
    if (f->governed) {
        const char *policy = sf_bus_msg_header(m, HEADER_POLICY);
        struct sf_slice row = m->data;

        sf_buf_printf(&f->seen, "policy %s\n", policy == NULL ? "-" : policy);
        while (row.size > 0) { /* The rows of it. */
            const uint8_t *end = memchr(row.data, '\n', row.size);
            const uint8_t *at = memmem(row.data, (size_t)(end - row.data), "\"row\"", 5);

            sf_buf_append(&f->seen, at, (size_t)(end - at) + 1);
            row = sf_slice_of(end + 1, row.size - (size_t)(end + 1 - row.data));
        }
    }
}

void start(struct fixture *f)
{
    const struct publisher_options options = {
        .rt = &f->w.stores.sim.rt,
        .store = f->w.stores.store,
        .serving = &f->w.serving,
        .serve = f->serve,
        .own = f->own,
        .leaf_key = &f->w.leaf,
        .metrics = &f->metrics,
        .feeds_max = f->feeds_max,
    };

    assert_int_equal(publisher_new(&options, &f->publisher, NULL), SF_OK);
    assert_int_equal(publisher_update(f->publisher, NULL), SF_OK);
}

void setup(struct fixture *f)
{
    *f = (struct fixture){0};
    leaf_world_init(&f->w, 3);
    sf_metrics_init(&f->metrics);
    (void)leaf_world_add(&f->w, world_orders);
    f->broker = fake_broker_new(&f->w.stores.sim.rt);
    f->serve = fake_bus_connect(f->broker);
    f->own = fake_bus_connect(f->broker);
    fake_broker_knobs(f->broker)->drop = on_publish;
    fake_broker_knobs(f->broker)->data = f;
    f->consumer = fake_bus_connect(f->broker);
    for (unsigned i = 0; i < 2; i++) {
        f->subs[i] = (struct sf_bus_sub){.on_msg = on_msg, .data = f};
        assert_int_equal(
            sf_bus_subscribe(f->consumer, &f->subs[i], i == 0 ? "dp.>" : "own.>", NULL, NULL),
            SF_OK);
    }
    rt_sim_run_for(&f->w.stores.sim, SF_NS_PER_S);
    start(f);
}

static void on_closed(void *data)
{
    ((struct fixture *)data)->closed = true;
}

void stop(struct fixture *f)
{
    f->closed = false;
    publisher_close(SF_TAKE(f->publisher), on_closed, f);
    assert_false(f->closed); /* Later. */
    rt_sim_run(&f->w.stores.sim);
    assert_true(f->closed);
    assert_true(sf_list_empty(&f->metrics.metrics));
}

void teardown(struct fixture *f)
{
    stop(f);
    fake_broker_free(f->broker);
    sf_buf_done(&f->seen);
    leaf_world_done(&f->w);
}

void click(struct fixture *f, unsigned count)
{
    struct sf_buf lines = {0};

    for (unsigned i = 0; i < count; i++) {
        sf_buf_text(&lines, "{\"op\":\"upsert\",\"row\":{\"n\":1}}\n");
    }
    leaf_world_write(&f->w, leaf_world_table(&f->w, "clicks"), sf_buf_cstr(&lines));
    sf_buf_done(&lines);
}

static void assert_said(struct fixture *f, uint64_t within_ns, const char *wanted)
{
    rt_sim_run_for(&f->w.stores.sim, within_ns);
    assert_string_equal(f->seen.size == 0 ? "" : sf_buf_cstr(&f->seen), wanted);
    sf_buf_clear(&f->seen);
}

void assert_seen(struct fixture *f, const char *wanted)
{
    assert_said(f, SF_NS_PER_S, wanted);
}

void assert_heartbeats(struct fixture *f, const char *wanted)
{
    f->heartbeats = true;
    assert_said(f, PUBLISHER_HEARTBEAT_NS, wanted);
    f->heartbeats = false;
}

void grant_all(struct fixture *f, const struct world_grant *grants, size_t count)
{
    leaf_world_grant(&f->w, &(struct world_bundle){
                                .version = ++f->version, .grants = grants, .grant_count = count});
    assert_int_equal(publisher_update(f->publisher, NULL), SF_OK);
}
