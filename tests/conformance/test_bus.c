/* What bus.h promises, asked of nats.c with a real nats-server and of the bus in memory. */
#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/bus/bus_nats.h"
#include "common/sys/file.h"
#include "tests/lib/fake_bus.h"
#include "tests/lib/nats_server.h"
#include "tests/lib/test_loop.h"
#include "tests/lib/tmpdir.h"

enum { BUSES = 3, WAIT_MS = 60000 };

/* One implementation under test, with three connections. */
struct subject {
    struct test_loop loop;
    struct tmpdir dir;
    struct nats_server server;
    struct fake_broker *broker; /* NULL: the real one */
    struct sf_bus *bus[BUSES];
    size_t closed_count;
    size_t up_count;
    size_t down_count;
};

static void on_state(struct sf_bus *bus, bool is_connected)
{
    struct subject *s = bus->data;

    assert_int_equal(sf_bus_connected(bus), is_connected);
    if (is_connected) {
        s->up_count++;
    } else {
        s->down_count++;
    }
}

static void start_server(struct subject *s)
{
    char text[8192];

    s->server.port = nats_server_port();
    (void)tmpdir_join(&s->dir, "server.conf", s->server.config_path);
    (void)tmpdir_join(&s->dir, "server.log", s->server.log_path);
    (void)snprintf(text, sizeof(text), "listen: \"127.0.0.1:%u\"\nlog_file: \"%s\"\n",
                   s->server.port, s->server.log_path);
    assert_int_equal(sf_file_write(s->server.config_path, sf_slice_text(text), 0600, NULL), SF_OK);
    nats_server_start(&s->server);
}

static struct sf_bus *open_real(struct subject *s)
{
    char url[64];
    const char *urls[] = {url};
    struct sf_bus_nats_options o = {.urls = urls, .url_count = 1, .name = "conformance"};
    struct sf_bus *bus = NULL;

    (void)snprintf(url, sizeof(url), "nats://127.0.0.1:%u", s->server.port);
    assert_int_equal(sf_bus_nats_open(s->loop.rt, &o, &bus, NULL), SF_OK);
    return bus;
}

static void start(struct subject *s, bool is_real)
{
    *s = (struct subject){0};
    test_loop_init(&s->loop);
    tmpdir_init(&s->dir);
    if (is_real) {
        start_server(s);
    } else {
        s->broker = fake_broker_new(s->loop.rt);
    }
    for (size_t i = 0; i < BUSES; i++) {
        s->bus[i] = is_real ? open_real(s) : fake_bus_connect(s->broker);
        s->bus[i]->on_state = on_state;
        s->bus[i]->data = s;
    }
    test_loop_until_count(&s->loop, &s->up_count, BUSES, "connected", WAIT_MS);
}

static void on_closed(void *data)
{
    struct subject *s = data;

    s->closed_count++;
}

static void close_bus(struct subject *s, size_t i)
{
    if (s->broker != NULL) {
        fake_bus_close(s->bus[i]);
    } else {
        size_t before = s->closed_count;

        sf_bus_nats_close(s->bus[i], on_closed, s);
        assert_int_equal(s->closed_count, before); /* not inside the call */
    }
    s->bus[i] = NULL;
}

static void stop(struct subject *s)
{
    size_t want = s->closed_count;

    for (size_t i = 0; i < BUSES; i++) {
        if (s->bus[i] != NULL) {
            want += s->broker == NULL;
            close_bus(s, i);
        }
    }
    test_loop_until_count(&s->loop, &s->closed_count, want, "closed", WAIT_MS);
    fake_broker_free(s->broker);
    nats_server_stop(&s->server);
    tmpdir_done(&s->dir);
    test_loop_done(&s->loop);
}

static void on_both(void (*body)(struct subject *s))
{
    struct subject s;

    for (int is_real = 0; is_real < 2; is_real++) {
        start(&s, is_real != 0);
        body(&s);
        stop(&s);
    }
}

/* --- what is seen ----------------------------------------------------------------------------- */

static void flush_done(struct sf_bus_flush *flush, enum sf_code code)
{
    int *ret = flush->data;

    *ret = (int)code;
}

static bool is_known(void *data)
{
    return *(int *)data >= 0;
}

static void flush(struct subject *s, size_t i)
{
    int code = -1;
    struct sf_bus_flush f = {.done = flush_done, .data = &code};

    assert_int_equal(sf_bus_flush(s->bus[i], &f, 5 * SF_NS_PER_S, NULL), SF_OK);
    assert_int_equal(code, -1);
    test_loop_until(&s->loop, is_known, &code, "flushed", WAIT_MS);
    assert_int_equal(code, SF_OK);
}

/* Writes what it gets: "subject|reply|data|name=value;" */
struct seen {
    struct sf_bus_sub sub;
    struct sf_bus *bus;
    size_t count;
    char text[512];     /* of the last message */
    const char *answer; /* NULL: none */
    char reply[128];    /* of the last message */
    char log[8];        /* first letters of the first messages */
    bool unsubscribes;  /* at the first message */
    uint32_t next;      /* expected number, for messages that hold one */
    bool out_of_order;
};

static void on_msg(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct seen *seen = SF_CONTAINER_OF(sub, struct seen, sub);
    size_t n = (size_t)snprintf(seen->text, sizeof(seen->text), "%s|%s|%.*s|", m->subject,
                                m->reply != NULL ? "reply" : "", (int)(m->data.size % 64),
                                (const char *)m->data.data);

    for (size_t i = 0; i < m->header_count; i++) {
        n += (size_t)snprintf(seen->text + n, sizeof(seen->text) - n, "%s=%s;", m->headers[i].name,
                              m->headers[i].value);
    }
    if (seen->count < sizeof(seen->log) - 1 && m->data.size > 0) {
        seen->log[seen->count] = (char)m->data.data[0];
    }
    (void)snprintf(seen->reply, sizeof(seen->reply), "%s", m->reply == NULL ? "" : m->reply);
    seen->count++;
    if (m->data.size == sizeof(uint32_t)) {
        seen->out_of_order = seen->out_of_order || sf_read_be32(m->data.data) != seen->next++;
    }
    if (seen->unsubscribes) {
        sf_bus_unsubscribe(seen->bus, sub);
    }
    if (seen->answer != NULL && m->reply != NULL) {
        struct sf_bus_header h = {"Sheaf-Count", "1"};
        struct sf_bus_msg a = {m->reply, NULL, sf_slice_text(seen->answer), &h, 1};

        assert_int_equal(sf_bus_publish(seen->bus, &a, NULL), SF_OK);
    }
}

static void subscribe(struct subject *s, size_t i, struct seen *seen, const char *subject,
                      const char *group)
{
    seen->sub.on_msg = on_msg;
    seen->bus = s->bus[i];
    assert_int_equal(sf_bus_subscribe(s->bus[i], &seen->sub, subject, group, NULL), SF_OK);
    flush(s, i);
}

static void publish(struct subject *s, size_t i, const char *subject, const char *text)
{
    struct sf_bus_msg m = {.subject = subject, .data = sf_slice_text(text)};

    assert_int_equal(sf_bus_publish(s->bus[i], &m, NULL), SF_OK);
}

static void wait_count(struct subject *s, const struct seen *seen, size_t want)
{
    test_loop_until_count(&s->loop, &seen->count, want, "messages", WAIT_MS);
}

/* A request and its end. */
struct ask {
    struct sf_bus_call call;
    struct sf_bus *bus;
    size_t done_count;
    enum sf_bus_outcome outcome;
    char text[128];
    bool again; /* asks once more from inside its end */
};

static void ask_start(struct ask *a, uint64_t timeout_ns);

static void ask_done(struct sf_bus_call *call, enum sf_bus_outcome outcome,
                     const struct sf_bus_msg *m)
{
    struct ask *a = SF_CONTAINER_OF(call, struct ask, call);

    assert_true((m != NULL) == (outcome == SF_BUS_ANSWERED));
    a->outcome = outcome;
    if (m != NULL) {
        const char *count = sf_bus_msg_header(m, "Sheaf-Count");

        (void)snprintf(a->text, sizeof(a->text), "%.*s %s", SF_SLICE_ARG(m->data),
                       count == NULL ? "-" : count);
    }
    a->done_count++;
    if (a->again) {
        a->again = false;
        ask_start(a, 5 * SF_NS_PER_S);
    }
}

static void ask_start(struct ask *a, uint64_t timeout_ns)
{
    struct sf_bus_msg m = {.subject = "svc.get", .data = SF_LITERAL("{}")};
    size_t before = a->done_count;

    a->call.done = ask_done;
    assert_int_equal(sf_bus_request(a->bus, &a->call, &m, timeout_ns, NULL), SF_OK);
    assert_int_equal(a->done_count, before);
}

static void ask(struct subject *s, size_t i, struct ask *a, uint64_t timeout_ns)
{
    a->bus = s->bus[i];
    ask_start(a, timeout_ns);
    test_loop_until_count(&s->loop, &a->done_count, 1, "the answer", WAIT_MS);
}

/* --- tests ------------------------------------------------------------------------------------ */

static void whole_message_body(struct subject *s)
{
    struct seen seen = {0};
    struct sf_bus_header headers[] = {{"Sheaf-Position", "1:7-9"}, {"Content-Type", "text/csv"}};
    struct sf_bus_msg m = {"dp.a.b", "answers.here", SF_LITERAL("data"), headers, 2};

    subscribe(s, 1, &seen, "dp.a.b", NULL);
    assert_int_equal(sf_bus_publish(s->bus[0], &m, NULL), SF_OK);
    wait_count(s, &seen, 1);
    if (strstr(seen.text, "|Sheaf-Position=1:7-9;Content-Type=text/csv;") == NULL) {
        /* nats.c gives them in an order of its own. */
        assert_string_equal(seen.text,
                            "dp.a.b|reply|data|Content-Type=text/csv;Sheaf-Position=1:7-9;");
    } else {
        assert_string_equal(seen.text,
                            "dp.a.b|reply|data|Sheaf-Position=1:7-9;Content-Type=text/csv;");
    }
    publish(s, 0, "dp.a.b", "");
    wait_count(s, &seen, 2);
    assert_string_equal(seen.text, "dp.a.b|||");
    sf_bus_unsubscribe(s->bus[1], &seen.sub);
}

static void test_a_message_arrives_whole(void **state)
{
    (void)state;
    on_both(whole_message_body);
}

static void order_body(struct subject *s)
{
    enum { MESSAGES = 5000 };
    struct seen seen = {0};
    struct sf_bus_msg m = {.subject = "seq"};
    uint8_t bytes[4];

    subscribe(s, 1, &seen, "seq", NULL);
    for (uint32_t i = 0; i < MESSAGES; i++) {
        for (unsigned b = 0; b < 4; b++) {
            bytes[b] = (uint8_t)(i >> (24 - 8 * b));
        }
        m.data = sf_slice_of(bytes, sizeof(bytes));
        assert_int_equal(sf_bus_publish(s->bus[0], &m, NULL), SF_OK);
    }
    wait_count(s, &seen, MESSAGES);
    assert_int_equal(seen.count, MESSAGES);
    assert_false(seen.out_of_order);
    sf_bus_unsubscribe(s->bus[1], &seen.sub);
}

static void test_messages_of_a_subscription_keep_their_order(void **state)
{
    (void)state;
    on_both(order_body);
}

static void end_body(struct subject *s)
{
    static uint8_t large[4 * 1024 * 1024 + 1];
    const struct sf_bus_header h = {"Sheaf-Count", "1"};
    struct seen seen = {0};
    struct sf_bus_msg m = {"answer", NULL, SF_LITERAL("page"), &h, 1, .ends_answer = true};

    subscribe(s, 1, &seen, "answer", NULL);
    assert_int_equal(sf_bus_publish(s->bus[0], &m, NULL), SF_OK);
    wait_count(s, &seen, 2);
    assert_string_equal(seen.text, "answer|||");
    m.data = sf_slice_of(large, sizeof(large));
    assert_int_equal(sf_bus_publish(s->bus[0], &m, NULL), SF_INVALID);
    publish(s, 0, "answer", "next");
    wait_count(s, &seen, 3);
    assert_memory_equal(seen.log, "p\0n", 3); /* its first letter, none, that of the next */
    sf_bus_unsubscribe(s->bus[1], &seen.sub);
}

static void test_the_end_of_an_answer_comes_right_behind_it_and_only_then(void **state)
{
    (void)state;
    on_both(end_body);
}

static void wildcard_body(struct subject *s)
{
    struct seen star = {0};
    struct seen rest = {0};

    subscribe(s, 1, &star, "dp.*.orders", NULL);
    subscribe(s, 1, &rest, "dp.sales.>", NULL);
    publish(s, 0, "dp.sales.orders", "1");
    publish(s, 0, "dp.sales.orders.v1", "2");
    publish(s, 0, "dp.ops.orders", "3");
    publish(s, 0, "dp.sales", "4");
    publish(s, 0, "dp.last.orders", "5");
    publish(s, 0, "dp.sales.last", "6");
    wait_count(s, &star, 3);
    wait_count(s, &rest, 3);
    assert_string_equal(star.log, "135");
    assert_string_equal(rest.log, "126");
    sf_bus_unsubscribe(s->bus[1], &star.sub);
    sf_bus_unsubscribe(s->bus[1], &rest.sub);
}

static void test_wildcards_match_tokens(void **state)
{
    (void)state;
    on_both(wildcard_body);
}

static bool all_got(void *data)
{
    const struct seen *member = data;

    return member[0].count + member[1].count + member[2].count >= 300;
}

static void group_body(struct subject *s)
{
    struct seen member[3] = {0};
    struct seen alone = {0};
    size_t total;

    for (size_t i = 0; i < 3; i++) {
        subscribe(s, i, &member[i], "work", "crew");
    }
    subscribe(s, 1, &alone, "work", NULL);
    for (int i = 0; i < 300; i++) {
        publish(s, 0, "work", "x");
    }
    wait_count(s, &alone, 300);
    test_loop_until(&s->loop, all_got, member, "all of the group's", WAIT_MS);
    total = member[0].count + member[1].count + member[2].count;
    assert_int_equal(total, 300);
    assert_true(member[0].count > 0 && member[1].count > 0 && member[2].count > 0);
    for (size_t i = 0; i < 3; i++) {
        sf_bus_unsubscribe(s->bus[i], &member[i].sub);
    }
    sf_bus_unsubscribe(s->bus[1], &alone.sub);
}

static void test_one_of_a_queue_group_gets_each_message(void **state)
{
    (void)state;
    on_both(group_body);
}

static void request_body(struct subject *s)
{
    struct seen service = {.answer = "hello"};
    struct ask a = {.again = true};

    subscribe(s, 1, &service, "svc.*", NULL);
    ask(s, 0, &a, 5 * SF_NS_PER_S);
    assert_int_equal(a.outcome, SF_BUS_ANSWERED);
    assert_string_equal(a.text, "hello 1");
    assert_string_equal(service.text, "svc.get|reply|{}|");
    test_loop_until_count(&s->loop, &a.done_count, 2, "the second answer", WAIT_MS);
    assert_int_equal(a.outcome, SF_BUS_ANSWERED);
    sf_bus_unsubscribe(s->bus[1], &service.sub);
}

static void test_a_request_is_answered_once_and_may_be_made_again(void **state)
{
    (void)state;
    on_both(request_body);
}

static void nobody_body(struct subject *s)
{
    struct ask a = {0};

    ask(s, 0, &a, 5 * SF_NS_PER_S);
    assert_int_equal(a.outcome, SF_BUS_NO_RESPONDERS);
}

static void test_a_request_that_nobody_serves_says_so(void **state)
{
    (void)state;
    on_both(nobody_body);
}

static void silent_body(struct subject *s)
{
    struct seen service = {0};
    struct ask a = {0};
    struct ask cancelled = {.bus = s->bus[0]};

    subscribe(s, 1, &service, "svc.get", NULL);
    ask_start(&cancelled, SF_NS_PER_MS);
    sf_bus_cancel(s->bus[0], &cancelled.call);
    sf_bus_cancel(s->bus[0], &cancelled.call);
    ask(s, 0, &a, 20 * SF_NS_PER_MS);
    assert_int_equal(a.outcome, SF_BUS_TIMED_OUT);
    assert_int_equal(cancelled.done_count, 0);
    sf_bus_unsubscribe(s->bus[1], &service.sub);
}

static void late_body(struct subject *s)
{
    struct seen service = {0};
    struct ask a = {0};
    char late[128];

    subscribe(s, 1, &service, "svc.get", NULL);
    ask(s, 0, &a, 20 * SF_NS_PER_MS);
    assert_int_equal(a.outcome, SF_BUS_TIMED_OUT);
    wait_count(s, &service, 1);
    memcpy(late, service.reply, sizeof(late));
    a.done_count = 0;
    ask_start(&a, 5 * SF_NS_PER_S);
    wait_count(s, &service, 2);
    publish(s, 1, late, "late");
    publish(s, 1, service.reply, "in time");
    test_loop_until_count(&s->loop, &a.done_count, 1, "the answer", WAIT_MS);
    assert_string_equal(a.text, "in time -");
    sf_bus_unsubscribe(s->bus[1], &service.sub);
}

static void test_a_late_answer_does_not_end_the_next_request(void **state)
{
    (void)state;
    on_both(late_body);
}

static void test_a_silent_service_is_a_timeout_and_a_cancelled_call_nothing(void **state)
{
    (void)state;
    on_both(silent_body);
}

static void unsubscribe_body(struct subject *s)
{
    struct seen once = {.unsubscribes = true};
    struct seen all = {0};
    struct seen later = {0};

    subscribe(s, 1, &once, "x", NULL);
    subscribe(s, 1, &all, "x", NULL);
    for (int i = 0; i < 100; i++) {
        publish(s, 0, "x", "1");
    }
    wait_count(s, &all, 100);
    assert_int_equal(once.count, 1);
    sf_bus_unsubscribe(s->bus[1], &once.sub);
    sf_bus_unsubscribe(s->bus[1], &all.sub);
    sf_bus_unsubscribe(s->bus[1], &all.sub);
    subscribe(s, 1, &later, "x", NULL);
    publish(s, 0, "x", "2");
    wait_count(s, &later, 1);
    assert_int_equal(all.count, 100);
    sf_bus_unsubscribe(s->bus[1], &later.sub);
}

static void test_nothing_arrives_behind_unsubscribe(void **state)
{
    (void)state;
    on_both(unsubscribe_body);
}

static void inbox_body(struct subject *s)
{
    struct seen pages = {0};
    char first[128];
    char second[128];
    char small[8];
    struct sf_bus_msg m = {.subject = "svc.scan", .reply = first, .data = SF_LITERAL("{}")};
    char want[192];

    assert_int_equal(sf_bus_new_inbox(s->bus[0], first, sizeof(first), NULL), SF_OK);
    assert_int_equal(sf_bus_new_inbox(s->bus[0], second, sizeof(second), NULL), SF_OK);
    assert_string_not_equal(first, second);
    assert_int_equal(sf_bus_new_inbox(s->bus[0], small, sizeof(small), NULL), SF_INVALID);
    subscribe(s, 0, &pages, first, NULL);
    publish(s, 1, first, "page 1");
    publish(s, 1, first, "page 2");
    wait_count(s, &pages, 2);
    assert_int_equal(sf_bus_publish(s->bus[0], &m, NULL), SF_OK);
    wait_count(s, &pages, 3);
    (void)snprintf(want, sizeof(want), "%s|||Status=503;", first);
    assert_memory_equal(pages.text, want, strlen(want)); /* a server adds which subject it was */
    sf_bus_unsubscribe(s->bus[0], &pages.sub);
}

static void test_an_inbox_takes_many_answers_and_the_news_that_nobody_serves(void **state)
{
    (void)state;
    on_both(inbox_body);
}

static void refuse(struct subject *s, const char *subject, const char *reply, const char *name,
                   const char *value, const char *want)
{
    struct sf_bus_header h = {name, value};
    struct sf_bus_msg m = {subject, reply, SF_LITERAL(""), &h, name != NULL};
    struct sf_error err = {0};

    assert_int_equal(sf_bus_publish(s->bus[0], &m, &err), SF_INVALID);
    assert_string_equal(err.text, want);
}

static void invalid_body(struct subject *s)
{
    static uint8_t large[4 * 1024 * 1024 + 1];
    struct sf_bus_msg m = {.subject = "a", .data = sf_slice_of(large, sizeof(large))};
    struct sf_bus_sub sub = {.on_msg = on_msg};

    refuse(s, "", NULL, NULL, NULL, "not a subject to publish to");
    refuse(s, "a..b", NULL, NULL, NULL, "not a subject to publish to");
    refuse(s, "a.*", NULL, NULL, NULL, "not a subject to publish to");
    refuse(s, "a b", NULL, NULL, NULL, "not a subject to publish to");
    refuse(s, "a\r\nPUB b", NULL, NULL, NULL, "not a subject to publish to");
    refuse(s, "a", "b.>", NULL, NULL, "not a subject to reply to");
    refuse(s, "a", NULL, "X:Y", "1", "header 1 is not one that NATS allows");
    refuse(s, "a", NULL, "", "1", "header 1 is not one that NATS allows");
    refuse(s, "a", NULL, "X", "1\r\nY: 2", "header 1 is not one that NATS allows");
    assert_int_equal(sf_bus_publish(s->bus[0], &m, NULL), SF_INVALID);
    assert_int_equal(sf_bus_subscribe(s->bus[0], &sub, "a.>.b", NULL, NULL), SF_INVALID);
    assert_int_equal(sf_bus_subscribe(s->bus[0], &sub, "a.", NULL, NULL), SF_INVALID);
    assert_int_equal(sf_bus_subscribe(s->bus[0], &sub, "a", "g g", NULL), SF_INVALID);
}

static void test_what_the_protocol_does_not_allow_is_refused(void **state)
{
    (void)state;
    on_both(invalid_body);
}

static void cut(struct subject *s)
{
    if (s->broker == NULL) {
        nats_server_kill(&s->server);
        return;
    }
    for (size_t i = 0; i < BUSES; i++) {
        fake_bus_set_connected(s->bus[i], false);
    }
}

static void restore(struct subject *s)
{
    if (s->broker == NULL) {
        nats_server_start(&s->server);
        return;
    }
    for (size_t i = 0; i < BUSES; i++) {
        fake_bus_set_connected(s->bus[i], true);
    }
}

static void reconnect_body(struct subject *s)
{
    struct seen seen = {0};
    struct seen service = {.answer = "back"};
    struct ask a = {0};
    struct sf_bus_msg m = {.subject = "x"};
    struct sf_bus_flush f = {.done = flush_done};
    struct sf_error err = {0};

    subscribe(s, 1, &seen, "x", NULL);
    subscribe(s, 1, &service, "svc.get", NULL);
    cut(s);
    test_loop_until_count(&s->loop, &s->down_count, BUSES, "cut", WAIT_MS);
    assert_int_equal(sf_bus_publish(s->bus[0], &m, &err), SF_UNAVAILABLE);
    assert_string_equal(err.text, "not connected to NATS");
    assert_int_equal(sf_bus_request(s->bus[0], &a.call, &m, SF_NS_PER_S, NULL), SF_UNAVAILABLE);
    assert_int_equal(sf_bus_flush(s->bus[0], &f, SF_NS_PER_S, NULL), SF_UNAVAILABLE);
    restore(s);
    test_loop_until_count(&s->loop, &s->up_count, (size_t)BUSES * 2, "restored", WAIT_MS);
    flush(s, 1);
    publish(s, 0, "x", "after");
    wait_count(s, &seen, 1);
    assert_string_equal(seen.text, "x||after|");
    ask(s, 2, &a, 5 * SF_NS_PER_S);
    assert_int_equal(a.outcome, SF_BUS_ANSWERED);
    sf_bus_unsubscribe(s->bus[1], &seen.sub);
    sf_bus_unsubscribe(s->bus[1], &service.sub);
}

static void test_subscriptions_survive_a_reconnect(void **state)
{
    (void)state;
    on_both(reconnect_body);
}

static void close_body(struct subject *s)
{
    struct seen service = {0};
    struct ask a = {.bus = s->bus[0]};
    struct seen own = {0};

    subscribe(s, 1, &service, "svc.get", NULL);
    subscribe(s, 0, &own, "own", NULL);
    ask_start(&a, 60 * SF_NS_PER_S);
    wait_count(s, &service, 1);
    close_bus(s, 0);
    assert_int_equal(a.done_count, 0);
    test_loop_until_count(&s->loop, &a.done_count, 1, "the end of the call", WAIT_MS);
    assert_int_equal(a.outcome, SF_BUS_DISCONNECTED);
    sf_bus_unsubscribe(s->bus[1], &service.sub);
}

static void test_closing_ends_calls_as_disconnected(void **state)
{
    (void)state;
    on_both(close_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_message_arrives_whole),
        cmocka_unit_test(test_messages_of_a_subscription_keep_their_order),
        cmocka_unit_test(test_the_end_of_an_answer_comes_right_behind_it_and_only_then),
        cmocka_unit_test(test_wildcards_match_tokens),
        cmocka_unit_test(test_one_of_a_queue_group_gets_each_message),
        cmocka_unit_test(test_a_request_is_answered_once_and_may_be_made_again),
        cmocka_unit_test(test_a_request_that_nobody_serves_says_so),
        cmocka_unit_test(test_a_silent_service_is_a_timeout_and_a_cancelled_call_nothing),
        cmocka_unit_test(test_a_late_answer_does_not_end_the_next_request),
        cmocka_unit_test(test_nothing_arrives_behind_unsubscribe),
        cmocka_unit_test(test_an_inbox_takes_many_answers_and_the_news_that_nobody_serves),
        cmocka_unit_test(test_what_the_protocol_does_not_allow_is_refused),
        cmocka_unit_test(test_subscriptions_survive_a_reconnect),
        cmocka_unit_test(test_closing_ends_calls_as_disconnected),
    };

    return cmocka_run_group_tests_name("bus", tests, NULL, NULL);
}
