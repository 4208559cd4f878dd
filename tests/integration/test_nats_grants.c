/* Traps of grants on a real hub and two leaves: what a push of claims does, and what it does not.
 */
#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <string.h>

#include "common/bus/service.h"
#include "tests/lib/nats_messages.h"

#define LIVE_A "dp.sales.orders.orders.v1.0.aaa"
#define LIVE_B "dp.sales.orders.orders.v1.0.bbb"
#define LIVE   "dp.sales.orders.orders.v1.0"

static const char *const audience_a[] = {"aaa"};
static const char *const audience_b[] = {"bbb"};
static const char *const both[] = {"aaa", "bbb"};

/* The fixture and the connections that most tests use. */
struct world {
    struct nats_fixture f;
    struct sf_bus *owner;   /* the leaf process of sales, in sales.serve */
    struct sf_bus *process; /* ... in sales */
    struct sf_bus *app;     /* an app of marketing, at its leaf */
};

static int start(void **state)
{
    static struct world w;

    w = (struct world){0};
    nats_fixture_init(&w.f, NULL);
    w.owner = nats_fixture_leaf_bus(&w.f, FIXTURE_LEAF_SALES, FIXTURE_PROCESS_SERVE);
    w.process = nats_fixture_leaf_bus(&w.f, FIXTURE_LEAF_SALES, FIXTURE_PROCESS);
    w.app = nats_fixture_leaf_bus(&w.f, FIXTURE_LEAF_MARKETING, FIXTURE_APP);
    *state = &w;
    return 0;
}

static int stop(void **state)
{
    struct world *w = *state;

    nats_fixture_done(&w->f);
    return 0;
}

static void wait_count(struct world *w, const struct heard *h, size_t want)
{
    test_loop_until_count(&w->f.loop, &h->count, want, "messages", FIXTURE_WAIT_MS);
}

/* --- the stream ------------------------------------------------------------------------------- */

static void test_a_grant_opens_the_stable_subject_and_its_end_closes_it(void **state)
{
    struct world *w = *state;
    struct heard h;
    struct heard own;

    heard_start(&w->f, &h, w->app, "dp.sales.orders.*.v1.>");
    heard_start(&w->f, &own, w->owner, LIVE_A);
    say_number(w->owner, LIVE_A, 1);
    wait_count(w, &own, 1); /* it was sent... */
    nats_fixture_grant(&w->f, audience_a, 1);
    wait_open(&w->f, w->owner, LIVE_A, &h);
    assert_int_equal(h.count, 0); /* ...and did not arrive before the grant */
    say_number(w->owner, LIVE_A, 1);
    say_number(w->owner, "dp.sales.orders.lines.v1.0.aaa", 2);
    wait_count(w, &h, 2);
    assert_string_equal(h.subject, "dp.sales.orders.lines.v1.0");
    say_number(w->owner, LIVE_B, 7);                            /* of another audience */
    say_number(w->owner, "dp.sales.orders.orders.v2.0.aaa", 8); /* of another major */
    say_number(w->owner, "dp.sales.customers.all.v1.0.aaa", 9); /* of another product */
    say_number(w->owner, LIVE_A, 3);
    wait_count(w, &h, 3);
    assert_string_equal(h.subject, LIVE);
    assert_int_equal(h.last, 3);
    assert_int_equal(h.doubles, 0);
    nats_fixture_grant(&w->f, NULL, 0);
    say_number(w->owner, LIVE_A, 4);
    nats_fixture_flush(&w->f, w->owner);
    nats_fixture_grant(&w->f, audience_a, 1);
    wait_open(&w->f, w->owner, LIVE_A, &h); /* the same subscription resumes */
    assert_int_equal(h.count, 3);
    heard_stop(&own);
    heard_stop(&h);
}

/* Publishes to both audiences, message after message, while the grants change. */
struct stream {
    struct sf_timer timer;
    struct world *w;
    uint64_t number;
    bool is_running;
};

static void on_tick(struct sf_timer *t)
{
    struct stream *s = SF_CONTAINER_OF(t, struct stream, timer);

    if (s->is_running) {
        for (int i = 0; i < 5; i++) {
            s->number++;
            say_number(s->w->owner, LIVE_A, s->number);
            say_number(s->w->owner, LIVE_B, s->number);
        }
        sf_rt_timer_start(s->w->f.loop.rt, t, SF_NS_PER_MS);
    }
}

struct until {
    const struct heard *heard;
    uint64_t last;
};

static bool has_last(void *data)
{
    const struct until *u = data;

    return u->heard->last >= u->last;
}

static void test_moving_between_audiences_by_importing_both_loses_nothing(void **state)
{
    struct world *w = *state;
    struct stream s = {.timer = {.fire = on_tick}, .w = w, .is_running = true};
    struct heard h;

    heard_start(&w->f, &h, w->app, LIVE);
    nats_fixture_grant(&w->f, audience_a, 1);
    wait_open(&w->f, w->owner, LIVE_A, &h);
    sf_rt_timer_start(w->f.loop.rt, &s.timer, 0);
    wait_count(w, &h, 1);
    for (int move = 0; move < 10; move++) {
        size_t before;

        nats_fixture_grant(&w->f, both, 2);
        before = h.doubles;
        test_loop_until_count(&w->f.loop, &h.doubles, before + 1, "both flow", FIXTURE_WAIT_MS);
        nats_fixture_grant(&w->f, move % 2 == 0 ? audience_b : audience_a, 1);
    }
    s.is_running = false;
    test_loop_idle(&w->f.loop, 5);
    s.number++;
    say_number(w->owner, LIVE_A, s.number);
    test_loop_until(&w->f.loop, has_last, (struct until[]){{&h, s.number}}, "the last message",
                    FIXTURE_WAIT_MS);
    assert_int_equal(h.missing, 0);
    assert_true(h.doubles > 0);
    heard_stop(&h);
}

static void test_two_tables_and_partitions_come_once_each_under_their_own_subject(void **state)
{
    static const char *const sources[] = {
        "dp.sales.orders.orders.v1.0.aaa",
        "dp.sales.orders.orders.v1.1.aaa",
        "dp.sales.orders.lines.v1.0.aaa",
    };
    struct world *w = *state;
    struct heard h[3];
    struct heard all;

    nats_fixture_grant(&w->f, audience_a, 1);
    heard_start(&w->f, &all, w->app, "dp.sales.orders.>");
    heard_start(&w->f, &h[0], w->app, "dp.sales.orders.orders.v1.0");
    heard_start(&w->f, &h[1], w->app, "dp.sales.orders.orders.v1.1");
    heard_start(&w->f, &h[2], w->app, "dp.sales.orders.lines.v1.0");
    for (size_t i = 0; i < 3; i++) {
        wait_open(&w->f, w->owner, sources[i], &h[i]);
    }
    for (uint64_t n = 1; n <= 100; n++) {
        say_number(w->owner, sources[n % 3], n);
    }
    wait_count(w, &all, 100);
    assert_int_equal(all.missing, 0);
    assert_int_equal(all.doubles, 0);
    assert_int_equal(h[0].count, 33);
    assert_int_equal(h[1].count, 34);
    assert_int_equal(h[2].count, 33);
    for (size_t i = 0; i < 3; i++) {
        heard_stop(&h[i]);
    }
    heard_stop(&all);
}

/* --- requests --------------------------------------------------------------------------------- */

enum { PAGES = 20 };

/* Answers scans of other domains, a page every few milliseconds. */
struct responder {
    struct sf_bus_sub sub;
    struct sf_timer timer;
    struct world *w;
    char reply[256];
    char subject[256];
    size_t sent;
    unsigned asked;
    unsigned end_after; /* an end in the middle of the pages; 0: none */
    bool sends_empty_pages;
};

static void on_page_due(struct sf_timer *t)
{
    struct responder *r = SF_CONTAINER_OF(t, struct responder, timer);
    struct sf_service_page page = {
        .content_type = "application/x-ndjson",
        .data = r->sends_empty_pages ? SF_LITERAL("") : SF_LITERAL("{\"i\":1}\n"),
        .is_last = r->sent + 1 == PAGES,
        .count = PAGES,
    };

    assert_int_equal(sf_service_send_page(r->w->owner, r->reply, &page, NULL), SF_OK);
    if (++r->sent == r->end_after) {
        say_text(r->w->owner, r->reply, "");
    }
    if (r->sent < PAGES) {
        sf_rt_timer_start(r->w->f.loop.rt, t, 3 * SF_NS_PER_MS);
    }
}

static void on_scan(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct responder *r = SF_CONTAINER_OF(sub, struct responder, sub);

    (void)snprintf(r->reply, sizeof(r->reply), "%s", m->reply);
    (void)snprintf(r->subject, sizeof(r->subject), "%s", m->subject);
    r->asked++;
    r->sent = 0;
    sf_rt_timer_start(r->w->f.loop.rt, &r->timer, 0);
}

static void serve(struct world *w, struct responder *r)
{
    r->sub.on_msg = on_scan;
    r->timer.fire = on_page_due;
    r->w = w;
    assert_int_equal(sf_bus_subscribe(w->owner, &r->sub, "dpq.sales.*.>", NULL, NULL), SF_OK);
    nats_fixture_flush(&w->f, w->owner);
}

static void unserve(struct world *w, struct responder *r)
{
    sf_bus_unsubscribe(w->owner, &r->sub);
    sf_rt_timer_stop(w->f.loop.rt, &r->timer);
}

struct scan {
    struct sf_service_ask ask;
    size_t pages;
    bool is_over;
    enum sf_code code;
    char count[16];
};

static void on_scan_page(struct sf_service_ask *ask, const struct sf_bus_msg *m)
{
    struct scan *s = SF_CONTAINER_OF(ask, struct scan, ask);
    const char *count = sf_bus_msg_header(m, "Sheaf-Count");

    s->pages++;
    (void)snprintf(s->count, sizeof(s->count), "%s", count == NULL ? "" : count);
}

static void on_scan_end(struct sf_service_ask *ask, enum sf_code code, const struct sf_error *err)
{
    struct scan *s = SF_CONTAINER_OF(ask, struct scan, ask);

    (void)err;
    s->is_over = true;
    s->code = code;
}

static void scan_start(struct world *w, struct scan *s, unsigned idle_ms)
{
    struct sf_bus_msg m = {.subject = "q.sales.orders.scan", .data = SF_LITERAL("{}")};

    *s = (struct scan){.ask = {.on_page = on_scan_page, .on_end = on_scan_end}};
    assert_int_equal(
        sf_service_ask_start(w->f.loop.rt, w->app, &s->ask, &m, idle_ms * SF_NS_PER_MS, NULL),
        SF_OK);
}

static void scan_until_page(struct world *w, struct scan *s, size_t pages)
{
    test_loop_until_count(&w->f.loop, &s->pages, pages, "pages", FIXTURE_WAIT_MS);
}

static void scan_until_end(struct world *w, struct scan *s)
{
    test_loop_until_flag(&w->f.loop, &s->is_over, "the end of the scan", FIXTURE_WAIT_MS);
}

/* A whole scan, once the way is open. */
static void scan_whole(struct world *w, struct scan *s)
{
    const uint64_t end_ns = sf_rt_now_ns(w->f.loop.rt) + FIXTURE_WAIT_MS * SF_NS_PER_MS;

    do {
        assert_true(sf_rt_now_ns(w->f.loop.rt) < end_ns);
        scan_start(w, s, 300);
        scan_until_end(w, s);
    } while (s->pages == 0);
    assert_int_equal(s->code, SF_OK);
    assert_int_equal(s->pages, PAGES);
    assert_string_equal(s->count, "20");
}

static void test_a_push_of_the_exporter_cuts_answers_in_flight(void **state)
{
    struct world *w = *state;
    struct responder r = {0};
    struct scan s;

    nats_fixture_grant(&w->f, audience_a, 1);
    serve(w, &r);
    scan_whole(w, &s);
    scan_start(w, &s, 500);
    scan_until_page(w, &s, 3);
    nats_fixture_sign_static(&w->f, FIXTURE_SALES_SERVE); /* the same claims again */
    assert_int_equal(nats_fixture_push(&w->f, FIXTURE_SALES_SERVE, NULL, 1, FIXTURE_WAIT_MS), 1);
    scan_until_end(w, &s);
    assert_int_equal(s.code, SF_UNAVAILABLE); /* silence: this is why serve is never pushed */
    assert_true(s.pages < PAGES);
    unserve(w, &r);
}

static void test_pushes_of_importers_leave_answers_in_flight_alone(void **state)
{
    struct world *w = *state;
    struct responder r = {0};
    struct scan s;

    nats_fixture_grant(&w->f, audience_a, 1);
    serve(w, &r);
    scan_whole(w, &s);
    scan_start(w, &s, 2000);
    scan_until_page(w, &s, 3);
    nats_fixture_grant(&w->f, audience_b, 1); /* the asker gets another grant */
    nats_fixture_sign(&w->f, FIXTURE_SALES, NULL, 0);
    assert_int_equal(nats_fixture_push(&w->f, FIXTURE_SALES, NULL, 1, FIXTURE_WAIT_MS), 1);
    assert_true(s.pages < PAGES); /* it was in flight */
    scan_until_end(w, &s);
    assert_int_equal(s.code, SF_OK);
    assert_int_equal(s.pages, PAGES);
    unserve(w, &r);
}

static void test_an_answer_in_flight_survives_the_end_of_its_grant(void **state)
{
    struct world *w = *state;
    struct responder r = {0};
    struct scan s;
    unsigned asked;

    nats_fixture_grant(&w->f, audience_a, 1);
    serve(w, &r);
    scan_whole(w, &s);
    scan_start(w, &s, 2000);
    scan_until_page(w, &s, 3);
    nats_fixture_grant(&w->f, NULL, 0);
    assert_true(s.pages < PAGES);
    scan_until_end(w, &s);
    assert_int_equal(s.code, SF_OK); /* NATS does not stop it: the responder has to look */
    assert_int_equal(s.pages, PAGES);
    asked = r.asked;
    scan_start(w, &s, 300);
    scan_until_end(w, &s);
    assert_int_equal(s.code, SF_UNAVAILABLE);
    assert_int_equal(r.asked, asked);
    unserve(w, &r);
}

static void test_an_empty_message_without_headers_ends_an_answer(void **state)
{
    struct world *w = *state;
    struct responder r = {.sends_empty_pages = true};
    struct scan s;
    struct heard inbox;
    size_t before;

    nats_fixture_grant(&w->f, audience_a, 1);
    serve(w, &r);
    scan_whole(w, &s); /* empty pages with a header are pages */
    r.end_after = 5;
    heard_start(&w->f, &inbox, w->app, "_INBOX.*.s.>");
    scan_start(w, &s, 500);
    scan_until_end(w, &s);
    assert_int_equal(s.code, SF_OK);
    assert_int_equal(s.pages, 5);
    before = inbox.count + inbox.opened;
    test_loop_until_count(&w->f.loop, &r.sent, PAGES, "the rest is sent, and goes nowhere",
                          FIXTURE_WAIT_MS);
    nats_fixture_flush(&w->f, w->owner);
    nats_fixture_flush(&w->f, w->app);
    assert_int_equal(inbox.count + inbox.opened, before);
    heard_stop(&inbox);
    unserve(w, &r);
}

static void test_the_asker_is_known_by_its_account_and_cannot_name_another(void **state)
{
    struct world *w = *state;
    struct responder r = {0};
    struct scan s;
    struct sf_bus *hub_app = nats_fixture_hub_bus(&w->f, FIXTURE_MARKETING);
    char forged[256];
    char want[256];
    unsigned asked;

    nats_fixture_grant(&w->f, audience_a, 1);
    serve(w, &r);
    scan_whole(w, &s);
    (void)snprintf(want, sizeof(want), "dpq.sales.%s.orders.scan",
                   w->f.account[FIXTURE_MARKETING].id);
    assert_string_equal(r.subject, want);
    asked = r.asked;
    (void)snprintf(forged, sizeof(forged), "dpq.sales.%s.orders.scan",
                   w->f.account[FIXTURE_SALES].id);
    assert_int_not_equal(ask_once(&w->f, w->app, forged, SF_LITERAL("{}"), 200, NULL),
                         SF_BUS_ANSWERED);
    assert_int_not_equal(ask_once(&w->f, hub_app, forged, SF_LITERAL("{}"), 200, NULL),
                         SF_BUS_ANSWERED);
    assert_int_not_equal(ask_once(&w->f, hub_app, want, SF_LITERAL("{}"), 200, NULL),
                         SF_BUS_ANSWERED);
    assert_int_equal(r.asked, asked);
    /* Nor by claims: an import of another account's token is taken, and leads nowhere. */
    (void)snprintf(forged, sizeof(forged), "dpq.sales.%s.>", w->f.account[FIXTURE_SALES].id);
    nats_fixture_sign(&w->f, FIXTURE_MARKETING,
                      &(struct sf_nats_import){"forged", forged,
                                               w->f.account[FIXTURE_SALES_SERVE].id,
                                               SF_NATS_SERVICE, "q.sales.>"},
                      1);
    assert_int_equal(nats_fixture_push(&w->f, FIXTURE_MARKETING, NULL, 1, FIXTURE_WAIT_MS), 1);
    assert_int_not_equal(
        ask_once(&w->f, hub_app, "q.sales.orders.scan", SF_LITERAL("{}"), 300, NULL),
        SF_BUS_ANSWERED);
    assert_int_equal(r.asked, asked);
    nats_fixture_close_bus(&w->f, hub_app);
    unserve(w, &r);
}

static void test_behind_a_leaf_nobody_looks_like_silence(void **state)
{
    struct world *w = *state;
    struct sf_bus *hub_app = nats_fixture_hub_bus(&w->f, FIXTURE_MARKETING);

    nats_fixture_grant(&w->f, audience_a, 1);
    assert_int_equal(ask_once(&w->f, hub_app, "q.sales.orders.get", SF_LITERAL("{}"), 2000, NULL),
                     SF_BUS_NO_RESPONDERS);
    assert_int_equal(ask_once(&w->f, w->app, "q.sales.orders.get", SF_LITERAL("{}"), 300, NULL),
                     SF_BUS_TIMED_OUT);
    nats_fixture_close_bus(&w->f, hub_app);
}

/* --- what apps may not do --------------------------------------------------------------------- */

static void test_apps_cannot_speak_for_others_but_can_send_in_and_ack(void **state)
{
    static const char *const denied[] = {LIVE, "out.x", "ingest.x", "mesh.x", "own.orders.x"};
    static const char *const allowed[] = {"in.orders.orders.v1", "$JS.ACK.S.d.1.1.1.1.1",
                                          "q.sales.orders.get"};
    struct world *w = *state;
    struct sf_bus *process = nats_fixture_leaf_bus(&w->f, FIXTURE_LEAF_MARKETING, FIXTURE_PROCESS);
    struct heard all;
    struct heard asks;

    heard_start(&w->f, &all, process, ">");
    heard_start(&w->f, &asks, w->app, "q.>");
    for (size_t i = 0; i < SF_COUNT(denied); i++) {
        say_number(w->app, denied[i], i + 1);
    }
    for (size_t i = 0; i < SF_COUNT(allowed); i++) {
        say_number(w->app, allowed[i], 10 + i);
    }
    wait_count(w, &all, SF_COUNT(allowed));
    assert_int_equal(all.count, SF_COUNT(allowed));
    assert_int_equal(all.missing, 9); /* 10, 11, 12 and nothing before */
    say_number(process, "q.marketing.x.get", 13);
    wait_count(w, &all, SF_COUNT(allowed) + 1);
    nats_fixture_flush(&w->f, w->app);
    assert_int_equal(asks.count, 0); /* apps do not hear what others ask */
    heard_stop(&all);
    heard_stop(&asks);
    nats_fixture_close_bus(&w->f, process);
}

static void test_the_owners_stream_stays_at_its_leaf(void **state)
{
    struct world *w = *state;
    struct sf_bus *hub_sales = nats_fixture_hub_bus(&w->f, FIXTURE_SALES);
    struct sf_bus *app = nats_fixture_leaf_bus(&w->f, FIXTURE_LEAF_SALES, FIXTURE_APP);
    struct heard at_leaf;
    struct heard at_hub;

    heard_start(&w->f, &at_leaf, app, "own.>");
    heard_start(&w->f, &at_hub, hub_sales, ">");
    wait_open(&w->f, w->process, "apps.probe", &at_hub); /* the account's other subjects do cross */
    say_number(w->process, "own.orders.orders.v1.0", 1);
    wait_count(w, &at_leaf, 1);
    say_number(w->process, "apps.probe", 2);
    wait_count(w, &at_hub, 1);
    assert_int_equal(at_hub.last, 2);
    say_number(hub_sales, "own.orders.orders.v1.0", 3); /* and nothing comes in from there */
    say_number(w->process, "own.orders.orders.v1.0", 4);
    wait_count(w, &at_leaf, 2);
    assert_int_equal(at_leaf.last, 4);
    heard_stop(&at_leaf);
    heard_stop(&at_hub);
    nats_fixture_close_bus(&w->f, hub_sales);
    nats_fixture_close_bus(&w->f, app);
}

static void test_records_come_in_from_apps_of_the_leaf_alone(void **state)
{
    struct world *w = *state;
    struct sf_bus *hub_sales = nats_fixture_hub_bus(&w->f, FIXTURE_SALES);
    struct sf_bus *app = nats_fixture_leaf_bus(&w->f, FIXTURE_LEAF_SALES, FIXTURE_APP);
    struct heard at_leaf;
    struct heard at_hub;
    struct heard at_app;

    heard_start(&w->f, &at_leaf, w->process, "in.>");
    heard_start(&w->f, &at_app, app, "in.>"); /* refused: an app could answer for the leaf */
    heard_start(&w->f, &at_hub, hub_sales, ">");
    wait_open(&w->f, w->process, "apps.probe", &at_hub);
    say_number(hub_sales, "in.orders.orders.v1", 1);
    nats_fixture_flush(&w->f, hub_sales);
    say_number(app, "in.orders.orders.v1", 2);
    wait_count(w, &at_leaf, 1);
    assert_int_equal(at_leaf.last, 2);
    say_number(w->process, "apps.probe", 3);
    wait_count(w, &at_hub, 2); /* its own, and the probe */
    assert_int_equal(at_hub.last, 3);
    assert_int_equal(at_hub.count, 2);
    assert_int_equal(at_leaf.count, 1);
    assert_int_equal(at_app.count, 0);
    heard_stop(&at_leaf);
    heard_stop(&at_app);
    heard_stop(&at_hub);
    nats_fixture_close_bus(&w->f, hub_sales);
    nats_fixture_close_bus(&w->f, app);
}

/* The hub can speak and listen in the account of any domain. */
static void test_the_hub_can_neither_ask_as_the_owner_nor_hear_what_its_apps_are_told(void **state)
{
    struct world *w = *state;
    struct responder r = {0};
    struct scan s;
    struct sf_bus *hub_sales = nats_fixture_hub_bus(&w->f, FIXTURE_SALES);
    struct sf_bus *owner = w->owner;
    struct sf_bus *app = w->app;
    struct heard at_hub;

    r.sub.on_msg = on_scan;
    r.timer.fire = on_page_due;
    r.w = w;
    assert_int_equal(sf_bus_subscribe(w->process, &r.sub, "q.sales.>", NULL, NULL), SF_OK);
    nats_fixture_flush(&w->f, w->process);
    assert_int_not_equal(
        ask_once(&w->f, hub_sales, "q.sales.orders.scan", SF_LITERAL("{}"), 300, NULL),
        SF_BUS_ANSWERED);
    assert_int_equal(r.asked, 0);

    heard_start(&w->f, &at_hub, hub_sales, ">");
    wait_open(&w->f, w->process, "apps.probe", &at_hub);
    w->owner = w->process; /* which answers the apps of its own domain */
    w->app = nats_fixture_leaf_bus(&w->f, FIXTURE_LEAF_SALES, FIXTURE_APP);
    scan_whole(w, &s);
    assert_int_equal(r.asked, 1);
    say_number(w->process, "apps.probe", 7);
    wait_count(w, &at_hub, 1);
    assert_int_equal(at_hub.count, 1); /* neither the request nor one of its pages */
    assert_int_equal(at_hub.last, 7);
    heard_stop(&at_hub);
    unserve(w, &r);
    nats_fixture_close_bus(&w->f, hub_sales);
    nats_fixture_close_bus(&w->f, w->app);
    w->owner = owner;
    w->app = app;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_grant_opens_the_stable_subject_and_its_end_closes_it),
        cmocka_unit_test(test_moving_between_audiences_by_importing_both_loses_nothing),
        cmocka_unit_test(test_two_tables_and_partitions_come_once_each_under_their_own_subject),
        cmocka_unit_test(test_a_push_of_the_exporter_cuts_answers_in_flight),
        cmocka_unit_test(test_pushes_of_importers_leave_answers_in_flight_alone),
        cmocka_unit_test(test_an_answer_in_flight_survives_the_end_of_its_grant),
        cmocka_unit_test(test_an_empty_message_without_headers_ends_an_answer),
        cmocka_unit_test(test_the_asker_is_known_by_its_account_and_cannot_name_another),
        cmocka_unit_test(test_behind_a_leaf_nobody_looks_like_silence),
        cmocka_unit_test(test_apps_cannot_speak_for_others_but_can_send_in_and_ack),
        cmocka_unit_test(test_the_owners_stream_stays_at_its_leaf),
        cmocka_unit_test(test_records_come_in_from_apps_of_the_leaf_alone),
        cmocka_unit_test(test_the_hub_can_neither_ask_as_the_owner_nor_hear_what_its_apps_are_told),
    };

    return cmocka_run_group_tests_name("nats_grants", tests, start, stop);
}
