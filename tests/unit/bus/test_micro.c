#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/bus/micro.h"
#include "common/sys/crypto.h"
#include "common/wire/json.h"
#include "tests/lib/fake_bus.h"
#include "tests/sim/rt_sim.h"

static const struct sf_micro_endpoint endpoints[] = {{"get", "q.sales.*.get"},
                                                     {"scan", "q.sales.*.scan"}};

struct world {
    struct rt_sim sim;
    struct fake_broker *broker;
    struct sf_bus *server;
    struct sf_bus *client;
    struct sf_micro *micro;
    struct sf_bus_sub inbox;
    unsigned answers;
    char text[2048];
};

static void stats(void *data, size_t endpoint, struct sf_micro_stats *ret)
{
    (void)data;
    *ret = (struct sf_micro_stats){.requests = endpoint == 0 ? 4 : 0,
                                   .errors = 1,
                                   .last_error = endpoint == 0 ? "no such row" : NULL,
                                   .processing_ns_total = 1000};
}

static const struct sf_micro_options options = {
    .name = "sheaf-sales",
    .version = "1.2.3",
    .description = "Products.",
    .endpoints = endpoints,
    .endpoint_count = SF_COUNT(endpoints),
    .started_us = 1,
    .stats = stats,
};

static void on_answer(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct world *w = sub->data;

    w->answers += m->data.size > 0; /* else the server says that nobody listens */
    (void)snprintf(w->text, sizeof(w->text), "%.*s", SF_SLICE_ARG(m->data));
}

static void setup(struct world *w)
{
    *w = (struct world){0};
    rt_sim_init(&w->sim, 1);
    w->broker = fake_broker_new(&w->sim.rt);
    w->server = fake_bus_connect(w->broker);
    w->client = fake_bus_connect(w->broker);
    w->inbox = (struct sf_bus_sub){.on_msg = on_answer, .data = w};
    assert_int_equal(sf_bus_subscribe(w->client, &w->inbox, "inbox", NULL, NULL), SF_OK);
    assert_int_equal(sf_micro_new(w->server, &options, &w->micro, NULL), SF_OK);
    rt_sim_run(&w->sim);
}

static void teardown(struct world *w)
{
    sf_micro_free(w->micro);
    rt_sim_run(&w->sim);
    fake_broker_free(w->broker);
    rt_sim_done(&w->sim);
}

static unsigned ask(struct world *w, const char *subject)
{
    const struct sf_bus_msg m = {.subject = subject, .reply = "inbox"};

    w->answers = 0;
    assert_int_equal(sf_bus_publish(w->client, &m, NULL), SF_OK);
    rt_sim_run(&w->sim);
    return w->answers;
}

static void a_ping_info_and_stats_are_answered_by_everyone_by_name_and_by_id(void **state)
{
    struct world w;
    struct sf_json_doc *doc = NULL;
    const char *id = NULL;
    char subject[128];
    (void)state;

    setup(&w);
    assert_int_equal(ask(&w, "$SRV.PING"), 1);
    assert_int_equal(sf_json_parse(sf_slice_text(w.text), &doc, NULL), SF_OK);
    assert_true(sf_json_as_text(sf_json_get(sf_json_root(doc), "id"), &id));
    assert_int_equal(strlen(id), 20);
    (void)snprintf(subject, sizeof(subject),
                   "{\"type\":\"io.nats.micro.v1.ping_response\",\"name\":\"sheaf-sales\","
                   "\"id\":\"%s\",\"version\":\"1.2.3\",\"metadata\":{}}",
                   id);
    assert_string_equal(w.text, subject);
    assert_int_equal(ask(&w, "$SRV.PING.sheaf-sales"), 1);
    (void)snprintf(subject, sizeof(subject), "$SRV.PING.sheaf-sales.%s", id);
    assert_int_equal(ask(&w, subject), 1);
    assert_int_equal(ask(&w, "$SRV.PING.sheaf-hr"), 0);
    assert_int_equal(ask(&w, "$SRV.PING.sheaf-sales.x"), 0);
    assert_int_equal(ask(&w, "$SRV.SING"), 0);

    assert_int_equal(ask(&w, "$SRV.INFO"), 1);
    assert_non_null(strstr(w.text, "\"description\":\"Products.\",\"endpoints\":[{\"name\":\"get\","
                                   "\"subject\":\"q.sales.*.get\",\"queue_group\":\"\","
                                   "\"metadata\":{}},"));
    assert_int_equal(ask(&w, "$SRV.STATS"), 1);
    assert_non_null(strstr(w.text, "\"started\":\"1970-01-01T00:00:00.000001Z\","));
    assert_non_null(strstr(w.text, "\"num_requests\":4,\"num_errors\":1,\"last_error\":\"no such "
                                   "row\",\"processing_time\":1000,"
                                   "\"average_processing_time\":250}"));
    assert_non_null(strstr(w.text, "\"num_requests\":0,\"num_errors\":1,\"last_error\":\"\","
                                   "\"processing_time\":1000,\"average_processing_time\":0}"));
    sf_json_free(doc);
    teardown(&w);
}

static void a_question_without_an_own_place_for_the_answer_gets_none(void **state)
{
    struct world w;
    (void)state;

    setup(&w);
    assert_int_equal(sf_bus_publish(w.client, &(struct sf_bus_msg){.subject = "$SRV.PING"}, NULL),
                     SF_OK);
    assert_int_equal(sf_bus_publish(w.client,
                                    &(struct sf_bus_msg){.subject = "$SRV.PING",
                                                         .reply = "dp.sales.orders.orders.v1.0"},
                                    NULL),
                     SF_OK);
    rt_sim_run(&w.sim);
    assert_int_equal(fake_broker_counts(w.broker).published, 2); /* the questions */
    teardown(&w);
}

static void out_of_memory_is_an_error(void **state)
{
    struct world w;
    struct sf_micro *m = NULL;
    enum sf_code code = SF_NOMEM;
    (void)state;

    setup(&w);
    for (long n = 0; code != SF_OK; n++) {
        sf_alloc_fail_after(n, false);
        code = sf_micro_new(w.server, &options, &m, NULL);
        sf_alloc_fail_after(-1, false);
        assert_true(code == SF_OK || code == SF_NOMEM);
    }
    sf_micro_free(m);
    teardown(&w);
}

static int setup_all(void **state)
{
    (void)state;
    return sf_crypto_init(NULL) == SF_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ping_info_and_stats_are_answered_by_everyone_by_name_and_by_id),
        cmocka_unit_test(a_question_without_an_own_place_for_the_answer_gets_none),
        cmocka_unit_test(out_of_memory_is_an_error),
    };

    return cmocka_run_group_tests(tests, setup_all, NULL);
}
