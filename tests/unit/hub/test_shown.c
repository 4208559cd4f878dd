/* What the hub tells a domain of the affairs of others. */
#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "tests/lib/tmpdir.h"
#include "tests/unit/hub/api_world.h"

enum caller { PLATFORM, SALES, MARKETING, FINANCE };

static const char *get(struct api_world *w, enum caller who, const char *path)
{
    static const char *const names[] = {"platform", "sales", "marketing", "finance"};
    const struct sf_seed *const keys[] = {&w->keys.platform_key, &w->hub.domain_keys[0],
                                          &w->hub.domain_keys[1], &w->hub.domain_keys[2]};

    api_world_sign_as(w, names[who], keys[who]);
    (void)api_world_ask(w, "GET", path, "", -1);
    assert_int_equal(w->answer.status, 200);
    return w->answer.text;
}

static void show_events(struct api_world *w)
{
    api_world_stop(w);
    for (size_t i = w->stream.count; i < w->hub.count; i++) {
        fake_stream_put(&w->stream, sf_buf_view(&w->hub.events[i]));
    }
    api_world_start(w);
}

/* --- audit ------------------------------------------------------------------------------------ */

/* What follows "number":@number in the page that @who gets, up to the next event. */
static const char *event_of(struct api_world *w, enum caller who, unsigned number)
{
    static char text[16384];
    char path[64];

    (void)snprintf(path, sizeof(path), "/v1/audit?after=%u&limit=1", number - 1);
    (void)snprintf(text, sizeof(text), "%s", get(w, who, path));
    return text;
}

/* The numbers of the events that the caller gets as they are stored; of others no payload comes. */
static const char *reads(struct api_world *w, enum caller who)
{
    static char text[128];

    (void)snprintf(text, sizeof(text), "whole of");
    for (unsigned i = 1; i <= w->hub.count; i++) {
        const char *e = event_of(w, who, i);
        const bool whole = strstr(e, "\"withheld\":false") != NULL;
        const size_t used = strlen(text);

        assert_int_equal(whole, strstr(e, "\"payload\"") != NULL);
        assert_int_equal(whole, strstr(e, "\"signature\"") != NULL);
        assert_non_null(strstr(e, "\"hash\""));
        if (whole) {
            (void)snprintf(text + used, sizeof(text) - used, " %u", i);
        }
    }
    return text;
}

static void a_domain_reads_the_events_that_concern_it(void **state)
{
    struct world_decision decision = {
        .request_id = "AR-1", .approved = true, .until_us = WORLD_START_US + 800 * WORLD_DAY_US};
    struct api_world w;
    (void)state;

    api_world_init(&w); /* 1: mesh, 2 and 3: sales, 4 and 5: marketing, 6: product */
    world_join(&w.hub, "finance");
    w.hub.consumer = "finance";
    world_request(&w.hub, NULL, 0); /* 9 */
    world_decide(&w.hub, &decision);
    world_end_grant(&w.hub, "G-1", "revoked");
    world_request(&w.hub, NULL, 0); /* 12 */
    decision = (struct world_decision){.request_id = "AR-2"};
    world_decide(&w.hub, &decision);
    show_events(&w);
    assert_string_equal(reads(&w, PLATFORM), "whole of 1 2 3 4 5 6 7 8 9 10 11 12 13");
    assert_string_equal(reads(&w, SALES), "whole of 1 2 3 5 6 8 9 10 11 12 13");
    assert_string_equal(reads(&w, FINANCE), "whole of 1 3 5 7 8 9 10 11 12 13");
    assert_string_equal(reads(&w, MARKETING), "whole of 1 3 4 5 8");
    api_world_done(&w);
}

static void of_others_events_a_domain_learns_what_the_catalog_shows(void **state)
{
    const char *e;
    struct api_world w;
    (void)state;

    api_world_init(&w);
    e = event_of(&w, MARKETING, 6);
    assert_non_null(strstr(e, "\"kind\":\"product_applied\""));
    assert_non_null(strstr(e, "\"product\":\"sales/orders\",\"version\":\"1.0.0\""));
    assert_non_null(strstr(e, "\"actor\":\"test/user\""));
    e = event_of(&w, MARKETING, 2);
    assert_non_null(strstr(e, "\"actor\":null,\"kind\":\"token_issued\",\"hash\""));
    world_product(&w.hub, "sheaf: product/v1\nproduct: sales/plans\nversion: 1.0.0\nstatus: draft\n"
                          "tables:\n  plans:\n    kind: event\n    fields:\n"
                          "      id: {number: 1, type: string}\n");
    show_events(&w);
    assert_null(strstr(event_of(&w, MARKETING, 7), "plans"));
    assert_non_null(strstr(event_of(&w, SALES, 7), "sales/plans"));
    api_world_done(&w);
}

/* --- status ----------------------------------------------------------------------------------- */

/* A draft of a major that is there already. */
static const char draft[] =
    "sheaf: product/v1\nproduct: sales/orders\nversion: 1.3.0\nstatus: draft\n"
    "tables:\n  orders:\n    kind: event\n    fields:\n"
    "      id: {number: 1, type: string}\n";
#define PROMISED ORDERS_WITH("1.1.0", "slo: {freshness: 1h}\n")
#define PROMISED_OF_SOME                                                                           \
    ORDERS_WITH("1.2.0", "slo: {freshness: 1h}\n"                                                  \
                         "policies:\n  - {name: no, match: all, filter: \"country = 'NO'\"}\n")

/* The leaf of sales says how its table is. */
static void tell_of_orders(struct api_world *w)
{
    struct lease *l = lease_of(&w->state.leases, registry_domain(&w->state.registry, "sales"));

    assert_non_null(l);
    l->heads = sf_calloc(1, sizeof(*l->heads));
    assert_non_null(l->heads);
    l->heads[0] = (struct lease_head){.product = "orders",
                                      .table = "orders",
                                      .major = 1,
                                      .epoch = 3,
                                      .seq = 41,
                                      .rows = 17,
                                      .commit_us = 1,
                                      .quarantined = 5};
    l->head_count = 1;
    l->seen = true;
    l->seen_ns = sf_rt_now_ns(w->loop.rt);
}

static const char of_orders[] = "{\"product\":\"sales/orders\",\"major\":1,\"table\":\"orders\","
                                "\"partition\":0,";

/* Whether the status goes on with @rest behind the name of orders. */
static bool says_of_orders(struct api_world *w, enum caller who, const char *rest)
{
    const char *at = strstr(get(w, who, "/v1/status"), of_orders);

    assert_non_null(at);
    return strncmp(at + sizeof(of_orders) - 1, rest, strlen(rest)) == 0;
}

static const char work_of_orders[] = "\"position\":\"3:41\",\"rows\":17,\"quarantined\":5,"
                                     "\"checks_failing\":0,\"stale\":false,\"commit_age_us\":";

/* The status tells of claims that are pushed: to a server that is silent. */
struct status_world {
    struct api_world w;
    struct tmpdir accounts;
    struct sf_bus_sub server;
    size_t pushed;
};

static void on_claims(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    (void)m;
    ((struct status_world *)sub->data)->pushed++;
}

static void show_status(struct status_world *s)
{
    s->pushed = 0;
    show_events(&s->w);
    test_loop_until_count(&s->w.loop, &s->pushed, 1, "claims", 10000);
    tell_of_orders(&s->w);
}

static void status_init(struct status_world *s)
{
    struct api_world *w = &s->w;

    api_world_init(w);
    tmpdir_init(&s->accounts);
    w->pushes = (struct pusher_options){.rt = w->loop.rt,
                                        .sys = fake_bus_connect(w->broker),
                                        .directory = &w->state.directory,
                                        .dir = s->accounts.path};
    s->server = (struct sf_bus_sub){.on_msg = on_claims, .data = s};
    assert_int_equal(
        sf_bus_subscribe(w->pushes.sys, &s->server, "$SYS.REQ.CLAIMS.UPDATE", NULL, NULL), SF_OK);
    show_status(s);
}

static void status_done(struct status_world *s)
{
    sf_bus_unsubscribe(s->w.pushes.sys, &s->server);
    api_world_done(&s->w);
    tmpdir_done(&s->accounts);
}

static void of_others_tables_a_domain_learns_whether_they_are_as_fresh_as_promised(void **state)
{
    struct status_world s;
    struct api_world *w = &s.w;
    (void)state;

    status_init(&s);
    assert_true(says_of_orders(w, PLATFORM, work_of_orders));
    assert_true(says_of_orders(w, SALES, work_of_orders));
    assert_true(says_of_orders(w, MARKETING, "\"leaf\":\"up\"}"));
    world_product(&w->hub, PROMISED);
    show_status(&s);
    assert_true(says_of_orders(w, MARKETING, "\"stale\":false,\"commit_age_us\":"));
    world_product(&w->hub, PROMISED_OF_SOME);
    show_status(&s);
    assert_true(says_of_orders(w, MARKETING, "\"stale\":false,\"leaf\":\"up\"}"));
    assert_true(says_of_orders(w, SALES, work_of_orders));
    world_product(&w->hub, draft);
    show_status(&s);
    assert_null(strstr(get(w, MARKETING, "/v1/status"), "orders"));
    status_done(&s);
}

static void of_others_leaves_a_domain_learns_whether_they_are_up(void **state)
{
    struct status_world s;
    struct api_world *w = &s.w;
    (void)state;

    status_init(&s);
    assert_non_null(
        strstr(get(w, MARKETING, "/v1/status"), "{\"domain\":\"sales\",\"state\":\"up\"}"));
    assert_non_null(strstr(get(w, SALES, "/v1/status"), "\"state\":\"up\",\"seen_age_us\":"));
    assert_non_null(strstr(get(w, MARKETING, "/v1/domains/sales"), "\"leaf\":{\"state\":\"up\"}"));
    assert_non_null(
        strstr(get(w, PLATFORM, "/v1/domains/sales"), "\"state\":\"up\",\"seen_age_us\":"));
    status_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_domain_reads_the_events_that_concern_it),
        cmocka_unit_test(of_others_events_a_domain_learns_what_the_catalog_shows),
        cmocka_unit_test(of_others_tables_a_domain_learns_whether_they_are_as_fresh_as_promised),
        cmocka_unit_test(of_others_leaves_a_domain_learns_whether_they_are_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
