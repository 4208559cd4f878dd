#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "leaf/ingest/ingest_nats.h"
#include "proto/errors.h"
#include "proto/subjects.h"
#include "tests/lib/fake_bus.h"
#include "tests/unit/ingest/fixture.h"

struct world {
    struct fixture f;
    struct fake_broker *broker;
    struct sf_bus *app;
    struct sf_bus_sub inbox;
    struct ingest_nats *service;
    unsigned answers;
    char body[2048]; /* of the last answer */
    char type[64];
    char replayed[16];
    char error[16];
    char status[8];
    char text[160];
};

static void keep(char *to, size_t size, const struct sf_bus_msg *m, const char *name)
{
    const char *value = sf_bus_msg_header(m, name);

    (void)snprintf(to, size, "%s", value == NULL ? "-" : value);
}

static void on_reply(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct world *w = sub->data;

    w->answers++;
    (void)snprintf(w->body, sizeof(w->body), "%.*s", SF_SLICE_ARG(m->data));
    keep(w->type, sizeof(w->type), m, HEADER_TYPE);
    keep(w->replayed, sizeof(w->replayed), m, HEADER_REPLAYED);
    keep(w->error, sizeof(w->error), m, HEADER_ERROR_ID);
    keep(w->status, sizeof(w->status), m, HEADER_ERROR_CODE);
    keep(w->text, sizeof(w->text), m, HEADER_ERROR);
}

static void world_setup(struct world *w)
{
    *w = (struct world){0};
    setup(&w->f);
    w->broker = fake_broker_new(&w->f.w.stores.sim.rt);
    w->app = fake_bus_connect(w->broker);
    w->inbox = (struct sf_bus_sub){.on_msg = on_reply, .data = w};
    assert_int_equal(sf_bus_subscribe(w->app, &w->inbox, "inbox", NULL, NULL), SF_OK);
    assert_int_equal(ingest_nats_new(fake_bus_connect(w->broker), w->f.ingest, &w->f.w.serving,
                                     &w->service, NULL),
                     SF_OK);
    rt_sim_run(&w->f.w.stores.sim);
}

static void world_teardown(struct world *w)
{
    ingest_nats_free(w->service);
    rt_sim_run(&w->f.w.stores.sim);
    fake_broker_free(w->broker);
    teardown(&w->f);
}

static void send_msg(struct world *w, const char *subject, const char *body,
                     const struct sf_bus_header *headers, size_t header_count)
{
    const struct sf_bus_msg m = {
        .subject = subject,
        .reply = "inbox",
        .data = sf_slice_text(body),
        .headers = headers,
        .header_count = header_count,
    };

    assert_int_equal(sf_bus_publish(w->app, &m, NULL), SF_OK);
}

static void ask(struct world *w, const char *subject, const char *body,
                const struct sf_bus_header *headers, size_t header_count)
{
    w->answers = 0;
    send_msg(w, subject, body, headers, header_count);
    rt_sim_run(&w->f.w.stores.sim);
    assert_int_equal(w->answers, 1);
}

static uint64_t seq_of(const struct world *w)
{
    return store_lane_head(w->f.orders->lane)->seq;
}

static void records_are_taken_and_answered_as_over_http(void **state)
{
    struct world w;
    (void)state;

    world_setup(&w);
    ask(&w, "in.orders.orders.v1", "{\"order_id\":\"1\"}\n{\"order_id\":2}\n", NULL, 0);
    assert_string_equal(w.body,
                        "{\"epoch\":1,\"first_seq\":1,\"last_seq\":1,\"commit\":1,\"accepted\":1,"
                        "\"quarantined\":1,\"errors\":[{\"line\":2,\"code\":\"SHEAF-E0204\","
                        "\"field\":\"order_id\",\"detail\":\"'order_id' must be a string\"}]}");
    assert_string_equal(w.type, "application/json");
    assert_string_equal(w.error, "-");
    assert_string_equal(w.replayed, "-");
    assert_int_equal(seq_of(&w), 1);
    world_teardown(&w);
}

static void headers_stand_for_the_headers_and_parameters_of_http(void **state)
{
    const struct sf_bus_header json[] = {{"Content-Type", "application/json"},
                                         {"Sheaf-On-Invalid", "reject"}};
    const struct sf_bus_header change[] = {{"Sheaf-Envelope", "change"},
                                           {"Sheaf-Expected-Seq", "1"}};
    const struct sf_bus_header match = {"If-Match", "\"1:1\""};
    const struct sf_bus_header key = {"Idempotency-Key", "K-1"};
    const struct sf_bus_header packed = {"Content-Encoding", "gzip"};
    struct world w;
    (void)state;

    world_setup(&w);
    ask(&w, "in.orders.orders.v1", "[{\"order_id\":\"1\"},{\"order_id\":2}]", json, 2);
    assert_string_equal(w.error, "SHEAF-E0202");
    assert_string_equal(w.status, "422");
    assert_string_equal(w.text, "1 of 2 records violate the contract");
    assert_string_equal(w.type, "application/problem+json");
    assert_non_null(strstr(w.body, "\"invalid\":1,\"errors\":[{\"index\":2,"));
    ask(&w, "in.orders.orders.v1", "[{\"order_id\":\"1\"}]", json, 2);
    assert_int_equal(seq_of(&w), 1);
    ask(&w, "in.orders.orders.v1", "{\"op\":\"delete\",\"row\":{\"order_id\":\"1\"}}", change, 2);
    assert_int_equal(seq_of(&w), 2);
    ask(&w, "in.orders.orders.v1", "{\"order_id\":\"1\"}", &match, 1);
    assert_string_equal(w.error, "SHEAF-E0313");
    assert_string_equal(w.status, "412");
    ask(&w, "in.orders.orders.v1", "{\"order_id\":\"1\"}", &packed, 1);
    assert_string_equal(w.error, "SHEAF-E0201");
    ask(&w, "in.orders.orders.v1", "{\"order_id\":\"1\"}", &key, 1);
    assert_string_equal(w.replayed, "-");
    ask(&w, "in.orders.orders.v1", "{\"order_id\":\"1\"}", &key, 1);
    assert_string_equal(w.replayed, "true");
    assert_non_null(strstr(w.body, "\"first_seq\":3,\"last_seq\":3,"));
    assert_int_equal(seq_of(&w), 3);
    world_teardown(&w);
}

static const struct {
    const char *subject;
    const char *error;
    const char *status;
} nowhere[] = {
    {"in.orders", "SHEAF-E0306", "404"},
    {"in.orders.orders", "SHEAF-E0306", "404"},
    {"in.orders.orders.v1.0", "SHEAF-E0306", "404"},
    {"in.orders.orders.1", "SHEAF-E0306", "404"},
    {"in.orders.orders.v0", "SHEAF-E0306", "404"},
    {"in.orders.orders.v01", "SHEAF-E0306", "404"},
    {"in.orders.orders.v4294967297", "SHEAF-E0306", "404"},
    {"in.orders.orders.v2", "SHEAF-E0302", "404"},
    {"in.nothing.orders.v1", "SHEAF-E0302", "404"},
    {"in.orders.nothing.v1", "SHEAF-E0303", "404"},
};

static void what_is_not_there_is_refused_by_name(void **state)
{
    struct world w;
    (void)state;

    world_setup(&w);
    for (size_t i = 0; i < SF_COUNT(nowhere); i++) {
        ask(&w, nowhere[i].subject, "{\"order_id\":\"1\"}", NULL, 0);
        assert_string_equal(w.error, nowhere[i].error);
        assert_string_equal(w.status, nowhere[i].status);
    }
    assert_int_equal(seq_of(&w), 0);
    world_teardown(&w);
}

static void subjects_are_built_as_they_are_read(void **state)
{
    const struct subject_lane lane = {
        .domain = "sales", .product = "orders", .table = "lines", .major = 7};
    struct subject_ingest_parts parts;
    char subject[SUBJECT_MAX];
    (void)state;

    subject_ingest(subject, &lane);
    assert_string_equal(subject, "in.orders.lines.v7");
    assert_true(subject_ingest_parse(subject, &parts));
    assert_string_equal(parts.product, "orders");
    assert_string_equal(parts.table, "lines");
    assert_int_equal(parts.major, 7);
    assert_true(subject_ingest_parse("in.orders.v7", &parts));
    assert_string_equal(parts.product, "orders");
    assert_string_equal(parts.table, "");
    assert_int_equal(parts.major, 7);
    assert_false(subject_ingest_parse("in.orders.lines", &parts));
    assert_false(subject_ingest_parse("own.orders.lines.v7", &parts));
}

static void a_message_that_nobody_waits_for_is_not_taken(void **state)
{
    static const char *const replies[] = {NULL, "", "own.orders.orders.v1.0", "mesh.poll",
                                          "in.orders.orders.v1"};
    struct world w;
    (void)state;

    world_setup(&w);
    for (size_t i = 0; i < SF_COUNT(replies); i++) {
        const struct sf_bus_msg m = {.subject = "in.orders.orders.v1",
                                     .reply = replies[i],
                                     .data = SF_LITERAL("{\"order_id\":\"1\"}")};

        assert_int_equal(sf_bus_publish(w.app, &m, NULL), SF_OK);
        rt_sim_run(&w.f.w.stores.sim);
    }
    assert_int_equal(w.answers, 0);
    assert_int_equal(seq_of(&w), 0);
    world_teardown(&w);
}

static void beyond_the_bytes_of_ingest_the_answer_is_busy(void **state)
{
    struct world w;
    (void)state;

    world_setup(&w);
    ingest_nats_free(w.service);
    ingest_free(w.f.ingest);
    open_ingest(&w.f, 20, 0);
    assert_int_equal(
        ingest_nats_new(fake_bus_connect(w.broker), w.f.ingest, &w.f.w.serving, &w.service, NULL),
        SF_OK);
    rt_sim_run(&w.f.w.stores.sim);
    send_msg(&w, "in.orders.orders.v1", "{\"order_id\":\"1\"}", NULL, 0);
    send_msg(&w, "in.orders.orders.v1", "{\"order_id\":\"2\"}", NULL, 0);
    rt_sim_run(&w.f.w.stores.sim);
    assert_int_equal(w.answers, 2);
    assert_int_equal(seq_of(&w), 1);
    assert_int_equal(ingest_pending(w.f.ingest), 0);
    world_teardown(&w);
}

static void a_service_that_ends_leaves_what_is_under_way_to_the_store(void **state)
{
    const struct sf_bus_header key = {"Idempotency-Key", "K-1"};
    struct world w;
    (void)state;

    world_setup(&w);
    send_msg(&w, "in.orders.orders.v1", "{\"order_id\":\"1\"}", &key, 1);
    while (ingest_pending(w.f.ingest) == 0) {
        assert_true(rt_sim_step(&w.f.w.stores.sim));
    }
    ingest_nats_free(SF_TAKE(w.service));
    rt_sim_run(&w.f.w.stores.sim);
    assert_int_equal(w.answers, 0);
    assert_int_equal(seq_of(&w), 1);
    world_teardown(&w);
}

static void out_of_memory_is_answered_or_silent_and_leaks_nothing(void **state)
{
    bool over = false;
    (void)state;

    for (long n = 0; !over; n++) {
        struct world w;

        world_setup(&w);
        send_msg(&w, "in.orders.orders.v1", "{\"order_id\":\"1\"}", NULL, 0);
        sf_alloc_fail_after(n, false);
        rt_sim_run(&w.f.w.stores.sim);
        over = sf_alloc_faults() == 0;
        sf_alloc_fail_after(-1, false);
        assert_true(w.answers <= 1);
        assert_int_equal(ingest_pending(w.f.ingest), 0);
        assert_true(seq_of(&w) <= 1);
        assert_true(!over || w.answers == 1);
        world_teardown(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_taken_and_answered_as_over_http),
        cmocka_unit_test(headers_stand_for_the_headers_and_parameters_of_http),
        cmocka_unit_test(what_is_not_there_is_refused_by_name),
        cmocka_unit_test(subjects_are_built_as_they_are_read),
        cmocka_unit_test(a_message_that_nobody_waits_for_is_not_taken),
        cmocka_unit_test(beyond_the_bytes_of_ingest_the_answer_is_busy),
        cmocka_unit_test(a_service_that_ends_leaves_what_is_under_way_to_the_store),
        cmocka_unit_test(out_of_memory_is_answered_or_silent_and_leaks_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
