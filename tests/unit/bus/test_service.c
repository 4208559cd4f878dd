#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/bus/service.h"
#include "proto/errors.h"
#include "proto/subjects.h"
#include "tests/lib/fake_bus.h"
#include "tests/sim/rt_sim.h"

/* A broker in simulated time: one who serves, one who asks. */
struct world {
    struct rt_sim sim;
    struct fake_broker *broker;
    struct sf_bus *server;
    struct sf_bus *client;
    struct sf_bus_sub sub;
    void (*answer)(struct world *w, const char *reply);
    struct sf_service_ask ask;
    char log[2048]; /* what the asker saw */
    unsigned end_count;
    unsigned cancel_after; /* pages; 0: never */
    unsigned pages;
};

static void on_request(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct world *w = sub->data;

    w->answer(w, m->reply);
}

static void note(struct world *w, const char *text)
{
    size_t n = strlen(w->log);

    (void)snprintf(w->log + n, sizeof(w->log) - n, "%s", text);
}

static void on_page(struct sf_service_ask *ask, const struct sf_bus_msg *m)
{
    struct world *w = ask->data;
    static const char *const names[] = {HEADER_TYPE, HEADER_POSITION, HEADER_COUNT, HEADER_CURSOR};
    char text[128];

    (void)snprintf(text, sizeof(text), "[%.*s", SF_SLICE_ARG(m->data));
    note(w, text);
    for (size_t i = 0; i < SF_COUNT(names); i++) {
        const char *value = sf_bus_msg_header(m, names[i]);

        if (value != NULL) {
            note(w, " ");
            note(w, value);
        }
    }
    note(w, "]");
    if (++w->pages == w->cancel_after) {
        sf_service_ask_cancel(ask);
    }
}

static void on_end(struct sf_service_ask *ask, enum sf_code code, const struct sf_error *err)
{
    struct world *w = ask->data;
    char text[512];

    w->end_count++;
    assert_null(ask->private);
    assert_true((err == NULL) == (code == SF_OK));
    (void)snprintf(text, sizeof(text), "%s E%04u %s", sf_code_name(code) + 3,
                   err == NULL ? 0 : err->number, err == NULL ? "" : err->text);
    note(w, text);
}

static void start(struct world *w, uint64_t seed,
                  void (*answer)(struct world *w, const char *reply))
{
    *w = (struct world){.answer = answer};
    rt_sim_init(&w->sim, seed);
    w->broker = fake_broker_new(&w->sim.rt);
    assert_non_null(w->broker);
    w->server = fake_bus_connect(w->broker);
    w->client = fake_bus_connect(w->broker);
    w->sub = (struct sf_bus_sub){.on_msg = on_request, .data = w};
    w->ask = (struct sf_service_ask){.on_page = on_page, .on_end = on_end, .data = w};
    if (answer != NULL) {
        assert_int_equal(sf_bus_subscribe(w->server, &w->sub, "q.>", NULL, NULL), SF_OK);
    }
}

static void stop(struct world *w)
{
    sf_bus_unsubscribe(w->server, &w->sub);
    fake_broker_free(w->broker);
    rt_sim_done(&w->sim);
}

static void ask(struct world *w)
{
    struct sf_bus_msg m = {.subject = "q.sales.orders.scan", .data = SF_LITERAL("{}")};

    assert_int_equal(
        sf_service_ask_start(&w->sim.rt, w->client, &w->ask, &m, 10 * SF_NS_PER_S, NULL), SF_OK);
    assert_string_equal(w->log, "");
    rt_sim_run(&w->sim);
}

static void answer_pages(struct world *w, const char *reply)
{
    struct sf_bus_header position = {HEADER_POSITION, "1:1-2"};
    struct sf_service_page page = {
        .content_type = "text/csv",
        .data = SF_LITERAL("a"),
        .headers = &position,
        .header_count = 1,
    };

    assert_int_equal(sf_service_send_page(w->server, reply, &page, NULL), SF_OK);
    page = (struct sf_service_page){.content_type = "text/csv", .data = SF_LITERAL("")};
    assert_int_equal(sf_service_send_page(w->server, reply, &page, NULL), SF_OK);
    page = (struct sf_service_page){
        .content_type = "text/csv",
        .data = SF_LITERAL("b"),
        .is_last = true,
        .count = 7,
        .cursor = "next",
    };
    assert_int_equal(sf_service_send_page(w->server, reply, &page, NULL), SF_OK);
}

static void test_pages_come_in_order_and_the_last_tells_count_and_cursor(void **state)
{
    struct world w;

    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        start(&w, seed, answer_pages);
        ask(&w);
        assert_string_equal(w.log, "[a text/csv 1:1-2][ text/csv][b text/csv 7 next]OK E0000 ");
        assert_int_equal(w.end_count, 1);
        stop(&w);
    }
}

static void answer_whole(struct world *w, const char *reply)
{
    assert_int_equal(sf_service_send(w->server, reply, "application/json", SF_LITERAL("{}"), NULL),
                     SF_OK);
}

static void test_a_whole_answer_is_a_page_and_an_end(void **state)
{
    struct world w;

    (void)state;
    start(&w, 1, answer_whole);
    ask(&w);
    assert_string_equal(w.log, "[{} application/json]OK E0000 ");
    stop(&w);
}

static void answer_denied(struct world *w, const char *reply)
{
    struct sf_error why = {0};

    (void)SF_RAISE_E(&why, SF_DENIED, SHEAF_E_DENIED, "no grant\nfor sales/orders");
    assert_int_equal(sf_service_send_error(w->server, reply, &why, NULL), SF_OK);
}

static void test_an_error_keeps_its_number_and_text_on_one_line(void **state)
{
    struct world w;

    (void)state;
    start(&w, 1, answer_denied);
    ask(&w);
    assert_string_equal(w.log, "DENIED E0401 no grant for sales/orders");
    assert_int_equal(w.end_count, 1);
    stop(&w);
}

static void answer_unnumbered(struct world *w, const char *reply)
{
    struct sf_error why = {0};

    (void)SF_RAISE(&why, SF_BUSY, "3 requests wait");
    assert_int_equal(sf_service_send_error(w->server, reply, &why, NULL), SF_OK);
}

static void test_an_error_without_a_number_gets_that_of_its_code(void **state)
{
    struct world w;

    (void)state;
    start(&w, 1, answer_unnumbered);
    ask(&w);
    assert_string_equal(w.log, "BUSY E0602 3 requests wait");
    stop(&w);
}

static void test_nobody_and_silence_are_the_same_error(void **state)
{
    struct world w;

    (void)state;
    start(&w, 1, NULL);
    ask(&w);
    assert_string_equal(w.log, "UNAVAILABLE E0705 nobody serves this request");
    stop(&w);
    start(&w, 1, NULL);
    fake_broker_knobs(w.broker)->hides_no_responders = true; /* as behind a leafnode */
    ask(&w);
    assert_string_equal(w.log,
                        "UNAVAILABLE E0705 no answer: nobody serves this request, or not now");
    stop(&w);
}

static bool drops_last(void *data, const char *subject)
{
    unsigned *left = data;

    return strncmp(subject, "_INBOX", 6) == 0 && (*left)-- == 1;
}

static void test_an_answer_that_stops_in_the_middle_is_no_whole_answer(void **state)
{
    struct world w;
    unsigned left = 4; /* the end */

    (void)state;
    start(&w, 1, answer_pages);
    fake_broker_knobs(w.broker)->drop = drops_last;
    fake_broker_knobs(w.broker)->data = &left;
    ask(&w);
    assert_string_equal(w.log, "[a text/csv 1:1-2][ text/csv][b text/csv 7 next]UNAVAILABLE E0705 "
                               "no answer: nobody serves this request, or not now");
    stop(&w);
}

static void test_cancelling_inside_a_page_ends_it_in_silence(void **state)
{
    struct world w;

    (void)state;
    start(&w, 1, answer_pages);
    w.cancel_after = 1;
    ask(&w);
    assert_string_equal(w.log, "[a text/csv 1:1-2]");
    assert_int_equal(w.end_count, 0);
    sf_service_ask_cancel(&w.ask);
    stop(&w);
}

static void test_a_full_bus_refuses_the_request_and_leaves_nothing(void **state)
{
    struct sf_bus_msg m = {.subject = "q.sales.orders.scan"};
    struct world w;

    (void)state;
    start(&w, 1, answer_whole);
    fake_broker_knobs(w.broker)->busy = 1;
    assert_int_equal(sf_service_ask_start(&w.sim.rt, w.client, &w.ask, &m, SF_NS_PER_S, NULL),
                     SF_BUSY);
    assert_null(w.ask.private);
    ask(&w);
    assert_int_equal(w.end_count, 1);
    stop(&w);
}

static void test_problem_documents_have_the_fields_of_the_standard(void **state)
{
    struct sf_error why = {0};
    struct sf_buf text = {0};

    (void)state;
    (void)SF_RAISE_E(&why, SF_ABSENT, SHEAF_E_PRODUCT_UNKNOWN, "no product 'a\"b'");
    sf_service_problem(&why, &text);
    assert_string_equal(sf_buf_cstr(&text),
                        "{\"type\":\"about:blank\",\"title\":\"no such product\",\"status\":404,"
                        "\"detail\":\"no product 'a\\\"b'\",\"code\":\"SHEAF-E0302\","
                        "\"next\":\"see 'sheaf product ls'\"}");
    sf_buf_done(&text);
}

static void test_error_answers_of_foreign_services_are_understood(void **state)
{
    struct sf_bus_header status_only[] = {{HEADER_ERROR_CODE, "404"}};
    struct sf_bus_header text_only[] = {{HEADER_ERROR, "went wrong"}};
    struct sf_bus_header nonsense[] = {{HEADER_ERROR_CODE, "x"}, {HEADER_ERROR_ID, "E"}};
    struct sf_bus_msg m = {.subject = "s", .headers = status_only, .header_count = 1};
    struct sf_error err = {0};

    (void)state;
    assert_int_equal(sf_service_check(&m, &err), SF_ABSENT);
    assert_string_equal(err.text, "the service answered with an error");
    m.headers = text_only;
    assert_int_equal(sf_service_check(&m, &err), SF_IO);
    assert_string_equal(err.text, "went wrong");
    assert_int_equal(err.number, SHEAF_E_INTERNAL);
    m.headers = nonsense;
    m.header_count = 2;
    assert_int_equal(sf_service_check(&m, &err), SF_IO);
    m.header_count = 0;
    assert_int_equal(sf_service_check(&m, &err), SF_OK);
}

static void test_every_failed_allocation_is_told(void **state)
{
    struct sf_bus_msg m = {.subject = "q.sales.orders.scan"};
    long faults = 1;

    (void)state;
    for (long after = 0; faults != 0; after++) {
        struct world w;
        enum sf_code code;

        start(&w, 1, answer_denied);
        sf_alloc_fail_after(after, 0);
        code = sf_service_ask_start(&w.sim.rt, w.client, &w.ask, &m, SF_NS_PER_S, NULL);
        faults = sf_alloc_faults();
        sf_alloc_fail_after(-1, 0);
        /* A copy that the broker cannot make is a message lost. */
        assert_true(code == SF_OK || code == SF_NOMEM);
        if (code == SF_OK) {
            rt_sim_run(&w.sim);
            assert_int_equal(w.end_count, 1);
        }
        stop(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages_come_in_order_and_the_last_tells_count_and_cursor),
        cmocka_unit_test(test_a_whole_answer_is_a_page_and_an_end),
        cmocka_unit_test(test_an_error_keeps_its_number_and_text_on_one_line),
        cmocka_unit_test(test_an_error_without_a_number_gets_that_of_its_code),
        cmocka_unit_test(test_nobody_and_silence_are_the_same_error),
        cmocka_unit_test(test_an_answer_that_stops_in_the_middle_is_no_whole_answer),
        cmocka_unit_test(test_cancelling_inside_a_page_ends_it_in_silence),
        cmocka_unit_test(test_a_full_bus_refuses_the_request_and_leaves_nothing),
        cmocka_unit_test(test_problem_documents_have_the_fields_of_the_standard),
        cmocka_unit_test(test_error_answers_of_foreign_services_are_understood),
        cmocka_unit_test(test_every_failed_allocation_is_told),
    };

    return cmocka_run_group_tests_name("service", tests, NULL, NULL);
}
