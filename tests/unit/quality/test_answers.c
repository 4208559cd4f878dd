#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <string.h>

#include "leaf/quality/answers.h"
#include "proto/errors.h"
#include "proto/subjects.h"
#include "tests/lib/fake_bus.h"
#include "tests/lib/leaf_world.h"

struct fixture {
    struct leaf_world w;
    struct sf_metrics metrics;
    struct collector *collector;
    struct inspector *inspector;
    struct quality_answers *answers;
    struct fake_broker *broker;
    struct sf_bus *bus;
    struct sf_bus *asker;
    struct sf_bus_sub inbox;
    unsigned messages;
    char answer[8192];
    char error[32];
    bool closed;
};

static void on_answer(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct fixture *f = sub->data;
    const char *error = sf_bus_msg_header(m, HEADER_ERROR_ID);

    if (m->data.size == 0 && m->header_count == 0) {
        return; /* the end */
    }
    f->messages++;
    (void)snprintf(f->answer, sizeof(f->answer), "%.*s", (int)m->data.size,
                   (const char *)m->data.data);
    (void)snprintf(f->error, sizeof(f->error), "%s", error == NULL ? "" : error);
}

static void grant(struct fixture *f, uint64_t version, size_t count)
{
    static const struct world_grant one = {.id = "G-1"};

    leaf_world_grant(
        &f->w, &(struct world_bundle){.version = version, .grants = &one, .grant_count = count});
}

static void setup(struct fixture *f)
{
    *f = (struct fixture){0};
    sf_metrics_init(&f->metrics);
    leaf_world_init(&f->w, 3);
    (void)leaf_world_add(&f->w, world_orders);
    grant(f, 1, 1);
    const struct collector_options collector = {.rt = &f->w.stores.sim.rt,
                                                .store = f->w.stores.store,
                                                .serving = &f->w.serving,
                                                .metrics = &f->metrics};

    assert_int_equal(collector_new(&collector, &f->collector, NULL), SF_OK);
    assert_int_equal(collector_update(f->collector, NULL), SF_OK);
    const struct inspector_options inspector = {.rt = collector.rt,
                                                .store = collector.store,
                                                .serving = collector.serving,
                                                .collector = f->collector,
                                                .metrics = &f->metrics};

    assert_int_equal(inspector_new(&inspector, &f->inspector, NULL), SF_OK);
    const struct quality_answers_options answers = {.rt = collector.rt,
                                                    .serving = collector.serving,
                                                    .collector = f->collector,
                                                    .inspector = f->inspector};

    assert_int_equal(quality_answers_new(&answers, &f->answers, NULL), SF_OK);
    f->broker = fake_broker_new(&f->w.stores.sim.rt);
    f->bus = fake_bus_connect(f->broker);
    f->asker = fake_bus_connect(f->broker);
    f->inbox = (struct sf_bus_sub){.on_msg = on_answer, .data = f};
    assert_int_equal(sf_bus_subscribe(f->asker, &f->inbox, "inbox", NULL, NULL), SF_OK);
    leaf_world_write(
        &f->w, leaf_world_table(&f->w, "orders"),
        "{\"op\":\"upsert\",\"row\":{\"order_id\":\"A\",\"email\":\"a@b.example\"}}\n");
}

static void on_closed(void *data)
{
    ((struct fixture *)data)->closed = true;
}

static bool is_closed(void *data)
{
    return ((struct fixture *)data)->closed;
}

static void teardown(struct fixture *f)
{
    quality_answers_free(f->answers);
    inspector_stop(f->inspector);
    collector_close(f->collector, on_closed, f);
    assert_true(rt_sim_run_until(&f->w.stores.sim, is_closed, f, 60 * SF_NS_PER_S));
    inspector_free(f->inspector);
    fake_broker_free(f->broker);
    leaf_world_done(&f->w);
}

static enum sf_code ask(struct fixture *f, const char *op, const char *table, bool *ret_known,
                        struct sf_error *err)
{
    const struct serving_caller caller = {.account = WORLD_ACCOUNT};
    struct serving_right right;

    assert_int_equal(serving_decide(&f->w.serving, &caller, "orders", 1, &right, NULL), SF_OK);
    return quality_nats(f->answers, f->bus, "inbox", op, &right, table, ret_known, err);
}

static void ask_stats(struct fixture *f)
{
    bool known = false;

    assert_int_equal(ask(f, "stats", "orders", &known, NULL), SF_OK);
    assert_true(known);
    assert_int_equal(f->messages, 0); /* Later, never inside. */
}

static void run(struct fixture *f)
{
    rt_sim_run_for(&f->w.stores.sim, 2 * SF_NS_PER_S);
}

static void another_domain_gets_the_fields_of_its_view(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    ask_stats(&f);
    run(&f);
    assert_int_equal(f.messages, 1);
    assert_non_null(strstr(f.answer, "\"name\":\"order_id\""));
    assert_null(strstr(f.answer, "email"));
    assert_null(strstr(f.answer, "a@b.example"));
    assert_null(strstr(f.answer, "token"));
    teardown(&f);
}

static void rows_that_are_not_seen_are_not_counted(void **state)
{
    struct fixture f;
    struct sf_error err = {0};
    bool known = false;
    (void)state;

    setup(&f);
    leaf_world_policies(&f.w, "sheaf: policy/v1\nname: some\nmatch: {field: note}\n"
                              "filter: note IS NULL\n");
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(ask(&f, i == 0 ? "stats" : "profile", "orders", &known, &err), SF_DENIED);
        assert_int_equal(err.number, SHEAF_E_POLICY_DENIES);
        assert_string_equal(err.text,
                            "statistics of table 'orders' count rows that you do not see");
    }
    run(&f);
    assert_int_equal(f.messages, 0);
    teardown(&f);
}

static void the_time_of_events_is_told_when_it_is_seen_as_it_is(void **state)
{
    static const char visits[] = "  visits:\n    kind: event\n    event_time: at\n    fields:\n"
                                 "      at: {number: 1, type: timestamp, required: true}\n";
    struct fixture f;
    struct sf_buf yaml = {0};
    bool known;
    (void)state;

    setup(&f);
    sf_buf_text(&yaml, world_orders_newer);
    sf_buf_text(&yaml, visits);
    (void)leaf_world_add(&f.w, sf_buf_cstr(&yaml));
    assert_int_equal(collector_update(f.collector, NULL), SF_OK);
    leaf_world_write(&f.w, leaf_world_table(&f.w, "visits"),
                     "{\"op\":\"upsert\",\"row\":{\"at\":\"2025-03-04T05:06:07Z\"}}\n");
    assert_int_equal(ask(&f, "stats", "visits", &known, NULL), SF_OK);
    run(&f);
    assert_non_null(strstr(f.answer, "\"freshness\":{\"event\":\"2025-03-04T05:06:07"));
    leaf_world_policies(&f.w, "sheaf: policy/v1\nname: months\nmatch: {field: at}\n"
                              "mask: truncate(month)\n");
    assert_int_equal(ask(&f, "stats", "visits", &known, NULL), SF_OK);
    run(&f);
    assert_int_equal(f.messages, 2);
    assert_non_null(strstr(f.answer, "\"freshness\":{\"commit\":"));
    assert_null(strstr(f.answer, "2025-03-04"));
    sf_buf_done(&yaml);
    teardown(&f);
}

static void a_grant_that_ends_while_rows_are_counted_ends_the_answer(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    ask_stats(&f);
    grant(&f, 2, 0);
    run(&f);
    assert_int_equal(f.messages, 1);
    assert_string_equal(f.error, "SHEAF-E0401");
    assert_null(strstr(f.answer, "order_id"));
    teardown(&f);
}

/* The newer version may have closed a field. */
static void a_version_that_comes_while_rows_are_counted_ends_the_answer(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    ask_stats(&f);
    (void)leaf_world_add(&f.w, world_orders_newer);
    assert_int_equal(collector_update(f.collector, NULL), SF_OK);
    run(&f);
    assert_int_equal(f.messages, 1);
    assert_string_equal(f.error, "SHEAF-E0602");
    assert_null(strstr(f.answer, "order_id"));
    teardown(&f);
}

static void what_is_forgotten_is_not_answered(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    ask_stats(&f);
    quality_nats_forget(f.answers, f.bus);
    run(&f);
    assert_int_equal(f.messages, 0);
    teardown(&f);
}

static void what_is_not_ours_is_told(void **state)
{
    struct fixture f;
    struct sf_error err;
    bool known = true;
    (void)state;

    setup(&f);
    assert_int_equal(ask(&f, "scan", "orders", &known, &err), SF_OK);
    assert_false(known);
    assert_int_equal(ask(&f, "stats", "nothing", &known, &err), SF_ABSENT);
    assert_int_equal(err.number, SHEAF_E_TABLE_UNKNOWN);
    for (unsigned i = 0; i < ANSWERS_MAX; i++) {
        assert_int_equal(ask(&f, "stats", "orders", &known, &err), SF_OK);
    }
    assert_int_equal(ask(&f, "stats", "orders", &known, &err), SF_BUSY);
    assert_int_equal(err.number, SHEAF_E_BUSY);
    run(&f);
    assert_int_equal(f.messages, ANSWERS_MAX);
    assert_int_equal(ask(&f, "stats", "orders", &known, &err), SF_OK);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_domain_gets_the_fields_of_its_view),
        cmocka_unit_test(rows_that_are_not_seen_are_not_counted),
        cmocka_unit_test(the_time_of_events_is_told_when_it_is_seen_as_it_is),
        cmocka_unit_test(a_grant_that_ends_while_rows_are_counted_ends_the_answer),
        cmocka_unit_test(a_version_that_comes_while_rows_are_counted_ends_the_answer),
        cmocka_unit_test(what_is_forgotten_is_not_answered),
        cmocka_unit_test(what_is_not_ours_is_told),
    };

    return cmocka_run_group_tests_name("answers", tests, NULL, NULL);
}
