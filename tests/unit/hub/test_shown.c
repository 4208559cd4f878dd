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

/* --- the catalog ------------------------------------------------------------------------------ */

#define PEOPLE(version, policies)                                                                  \
    "sheaf: product/v1\nproduct: sales/orders\nversion: " version "\nstatus: active\n"             \
    "policies:\n" policies "tables:\n  orders:\n    kind: event\n"                                 \
    "    checks: [rows >= 1, max(pay) < 77077]\n    fields:\n"                                     \
    "      id: {number: 1, type: string, enum: [seen]}\n"                                          \
    "      mail: {number: 2, type: string, class: pii, example: cnry, description: Mail}\n"        \
    "      note: {number: 3, type: string, class: secret, enum: [cnry], description: Note}\n"      \
    "      code: {number: 4, type: string, pattern: \"^cnry\", min_length: 7707}\n"                \
    "      pay: {number: 5, type: int64, min: 77077, default: 77078}\n"                            \
    "      tags: {number: 6, type: \"list<string>\", enum: [cnry], class: pii}\n"                  \
    "      home: {number: 7, type: struct, fields: {town: {number: 1, type: string, enum: "        \
    "[cnry], class: pii}}}\n"                                                                      \
    "      city: {number: 8, type: string}\n"
#define RULES                                                                                      \
    "  - {name: mails, match: {field: mail}, mask: hash}\n"                                        \
    "  - {name: codes, match: {field: code}, mask: omit}\n"                                        \
    "  - {name: pays, match: {field: pay}, mask: bucket(1000)}\n"                                  \
    "  - {name: tags, match: {field: tags}, mask: \"null\"}\n"                                     \
    "  - {name: rows, match: all, filter: \"city <> 'cnry'\"}\n"

static const char people[] = "/v1/products/sales/orders";

/* What the catalog says of a field to who asks, from behind its name to its end. */
static const char *field_as(struct api_world *w, enum caller who, const char *name)
{
    static char text[400];
    char begin[64];
    const char *at;

    (void)snprintf(begin, sizeof(begin), "{\"name\":\"%s\",", name);
    at = strstr(get(w, who, people), begin);
    assert_non_null(at);
    at += strlen(begin);
    (void)snprintf(text, sizeof(text), "%.*s", (int)strcspn(at, "}"), at);
    return text;
}

static const char *contract_as(struct api_world *w, enum caller who)
{
    static char text[2048];
    const char *at = strstr(get(w, who, people), "\"contract\":");
    const char *end = at == NULL ? NULL : strstr(at, ",\"seen_by\"");

    assert_non_null(end);
    at += strlen("\"contract\":");
    (void)snprintf(text, sizeof(text), "%.*s", (int)(end - at), at);
    return text;
}

static void another_domain_sees_of_a_product_what_its_view_would_be(void **state)
{
    struct api_world w;
    (void)state;

    api_world_init(&w);
    world_product(&w.hub, PEOPLE("1.1.0", RULES));
    show_events(&w);
    assert_null(strstr(get(&w, MARKETING, people), "cnry"));
    assert_null(strstr(get(&w, MARKETING, people), "7707"));
    assert_null(strstr(get(&w, MARKETING, "/v1/products"), "cnry"));
    assert_string_equal(
        contract_as(&w, MARKETING),
        "\"sheaf: product/v1\\nproduct: sales/orders\\nversion: 1.1.0\\nstatus: active\\n"
        "tables:\\n  orders:\\n    kind: event\\n    checks: [\\\"rows >= 1\\\"]\\n    fields:\\n"
        "      id:   {number: 1, type: string, enum: [\\\"seen\\\"]}\\n"
        "      mail: {number: 2, type: string, class: pii, min_length: 32, max_length: 32, "
        "description: Mail}\\n"
        "      pay:  {number: 5, type: int64, min: 77000}\\n"
        "      tags: {number: 6, type: \\\"list<string>\\\", class: pii}\\n"
        "      city: {number: 8, type: string}\\n"
        "access: {default: request}\\n\"");
    assert_string_equal(
        field_as(&w, MARKETING, "mail"),
        "\"number\":2,\"type\":\"string\",\"required\":false,\"class\":\"pii\","
        "\"description\":\"Mail\",\"unit\":null,\"sees\":\"hash\",\"by\":\"policy\","
        "\"policy\":\"mails\",\"of\":\"owner\",\"place\":\"sales/orders:6\"");
    assert_non_null(strstr(w.answer.text, "\"denied\":false,\"filters\":[{\"by\":\"policy\","
                                          "\"policy\":\"rows\",\"of\":\"owner\""));
    assert_non_null(strstr(w.answer.text, "\"seen_by\":\"marketing\""));
    api_world_done(&w);
}

static void a_field_that_is_closed_can_be_found_and_asked_for(void **state)
{
    struct api_world w;
    (void)state;

    api_world_init(&w);
    world_product(&w.hub, PEOPLE("1.1.0", RULES));
    show_events(&w);
    assert_string_equal(field_as(&w, MARKETING, "note"),
                        "\"class\":\"secret\",\"description\":\"Note\",\"sees\":\"omit\","
                        "\"by\":\"default\"");
    assert_string_equal(field_as(&w, MARKETING, "code"),
                        "\"class\":null,\"description\":null,\"sees\":\"omit\",\"by\":\"policy\","
                        "\"policy\":\"codes\",\"of\":\"owner\",\"place\":\"sales/orders:7\"");
    assert_string_equal(field_as(&w, MARKETING, "home"), /* by what is inside */
                        "\"class\":\"pii\",\"description\":null,\"sees\":\"omit\","
                        "\"by\":\"default\"");
    api_world_done(&w);
}

static void owner_and_platform_read_the_file_and_what_others_see(void **state)
{
    struct api_world w;
    (void)state;

    api_world_init(&w);
    world_product(&w.hub, PEOPLE("1.1.0", RULES));
    show_events(&w);
    for (enum caller who = PLATFORM; who <= SALES; who++) {
        assert_non_null(strstr(contract_as(&w, who), "enum: [cnry], description: Note"));
        assert_non_null(strstr(w.answer.text, "\"seen_by\":\"*\""));
        assert_non_null(strstr(w.answer.text, "\"filter\":\"city <> 'cnry'\""));
        assert_string_equal(field_as(&w, who, "note"),
                            "\"number\":3,\"type\":\"string\",\"required\":false,"
                            "\"class\":\"secret\",\"description\":\"Note\",\"unit\":null,"
                            "\"sees\":\"omit\",\"by\":\"default\"");
    }
    api_world_done(&w);
}

static void a_grant_of_columns_makes_the_contract_and_the_rest_can_be_asked_for(void **state)
{
    static const char *const columns[] = {"id", "mail"};
    const struct world_decision yes = {.request_id = "AR-1",
                                       .approved = true,
                                       .until_us = WORLD_START_US + 800 * WORLD_DAY_US,
                                       .columns = columns,
                                       .column_count = 2};
    struct api_world w;
    (void)state;

    api_world_init(&w);
    world_product(&w.hub, PEOPLE("1.1.0", RULES));
    world_request(&w.hub, columns, 2);
    world_decide(&w.hub, &yes);
    show_events(&w);
    assert_null(strstr(contract_as(&w, MARKETING), "city"));
    assert_non_null(strstr(contract_as(&w, MARKETING), "mail: {number: 2, type: string"));
    assert_non_null(strstr(field_as(&w, MARKETING, "mail"), "\"granted\":true"));
    assert_string_equal(field_as(&w, MARKETING, "city"),
                        "\"number\":8,\"type\":\"string\",\"required\":false,\"class\":null,"
                        "\"description\":null,\"unit\":null,\"sees\":\"clear\",\"by\":\"nothing\","
                        "\"granted\":false");
    assert_non_null(strstr(field_as(&w, MARKETING, "note"), "\"granted\":false"));
    api_world_done(&w);
}

static void a_table_that_is_denied_has_names_and_no_contract(void **state)
{
    struct api_world w;
    (void)state;

    api_world_init(&w);
    world_product(&w.hub, PEOPLE("1.1.0", "  - {name: shut, match: all, deny: true}\n"));
    show_events(&w);
    assert_string_equal(contract_as(&w, MARKETING), "null");
    assert_null(strstr(w.answer.text, "cnry"));
    assert_non_null(strstr(w.answer.text, "\"denied\":true,\"denied_by\":{\"by\":\"policy\","
                                          "\"policy\":\"shut\""));
    assert_non_null(strstr(field_as(&w, MARKETING, "city"), "\"sees\":\"omit\""));
    api_world_done(&w);
}

static void a_product_is_shown_as_it_is_or_not_at_all(void **state)
{
    static struct raw_http_answer whole;
    struct api_world w;
    (void)state;

    api_world_init(&w);
    world_product(&w.hub, PEOPLE("1.1.0", RULES));
    show_events(&w);
    (void)get(&w, MARKETING, people);
    whole = w.answer;
    for (long n = 0; api_world_ask(&w, "GET", people, "", n); n++) {
        if (w.answer.status == 200 && w.answer.is_complete) {
            assert_string_equal(w.answer.text, whole.text);
        }
    }
    assert_string_equal(w.answer.text, whole.text);
    api_world_done(&w);
}

static void another_domains_draft_is_as_if_it_were_not(void **state)
{
    static const char *const names[] = {"plans", "plant"}; /* a draft, and none */
    char body[200];
    char path[128];
    struct api_world w;
    (void)state;

    api_world_init(&w);
    world_product(&w.hub, "sheaf: product/v1\nproduct: sales/plans\nversion: 1.0.0\nstatus: draft\n"
                          "tables:\n  plans:\n    kind: event\n    fields:\n"
                          "      id: {number: 1, type: string}\n");
    show_events(&w);
    api_world_sign_as(&w, "marketing", &w.hub.domain_keys[1]);
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof(path), "/v1/products/sales/%s", names[i]);
        (void)api_world_ask(&w, "GET", path, "", -1);
        assert_int_equal(w.answer.status, 404);
        (void)snprintf(path, sizeof(path), "/v1/explain?who=marketing&product=sales/%s", names[i]);
        (void)api_world_ask(&w, "GET", path, "", -1);
        assert_int_equal(w.answer.status, 404);
        (void)snprintf(body, sizeof(body),
                       "{\"product\":\"sales/%s\",\"purpose\":\"x\",\"duration_us\":86400000000}",
                       names[i]);
        (void)api_world_ask(&w, "POST", "/v1/access/requests", body, -1);
        assert_int_equal(w.answer.status, 404);
        (void)snprintf(body, sizeof(body), "\"detail\":\"there is no product sales/%s@0\"",
                       names[i]);
        assert_non_null(strstr(w.answer.text, body));
    }
    api_world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_domain_reads_the_events_that_concern_it),
        cmocka_unit_test(of_others_events_a_domain_learns_what_the_catalog_shows),
        cmocka_unit_test(of_others_tables_a_domain_learns_whether_they_are_as_fresh_as_promised),
        cmocka_unit_test(of_others_leaves_a_domain_learns_whether_they_are_up),
        cmocka_unit_test(another_domain_sees_of_a_product_what_its_view_would_be),
        cmocka_unit_test(a_field_that_is_closed_can_be_found_and_asked_for),
        cmocka_unit_test(owner_and_platform_read_the_file_and_what_others_see),
        cmocka_unit_test(a_grant_of_columns_makes_the_contract_and_the_rest_can_be_asked_for),
        cmocka_unit_test(a_table_that_is_denied_has_names_and_no_contract),
        cmocka_unit_test(a_product_is_shown_as_it_is_or_not_at_all),
        cmocka_unit_test(another_domains_draft_is_as_if_it_were_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
