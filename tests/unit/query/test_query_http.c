#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/bus/service.h"
#include "common/wire/json.h"
#include "leaf/store/store.h"
#include "proto/subjects.h"
#include "tests/lib/leaf_world.h"
#include "tests/unit/query/http_fixture.h"

static void records_are_posted_and_the_answer_is_json(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    post(&f, "/orders/records", NDJSON, "{\"order_id\":\"a\"}\n{\"order_id\":\"b\",\"x\":1}\n",
         200);
    assert_string_equal(f.call.answer_type, "application/json");
    assert_string_equal(f.call.text,
                        "{\"epoch\":1,\"first_seq\":1,\"last_seq\":1,\"commit\":1,\"accepted\":1,"
                        "\"quarantined\":1,\"errors\":[{\"line\":2,\"code\":\"SHEAF-E0203\","
                        "\"detail\":\"'x' is not in the contract\"}]}");
    post(&f, "/orders/records", "text/csv; charset=utf-8", "order_id,note\nc,x\nd,y\n", 200);
    assert_non_null(strstr(f.call.text, "\"first_seq\":2,\"last_seq\":3,"));
    post(&f, "/orders/records?envelope=change", NDJSON,
         "{\"op\":\"delete\",\"row\":{\"order_id\":\"a\"}}\n", 200);
    post(&f, "/orders/records?on_invalid=reject", NDJSON, "{\"order_id\":1}\n", 422);
    assert_string_equal(f.call.answer_type, "application/problem+json");
    assert_non_null(strstr(f.call.text, "\"code\":\"SHEAF-E0202\""));
    assert_non_null(strstr(f.call.text, "\"invalid\":1,\"errors\":[{\"line\":1,\"code\":"
                                        "\"SHEAF-E0204\",\"field\":\"order_id\","));
    teardown(&f);
}

static void posts_that_make_no_sense_are_refused(void **state)
{
    static const struct {
        const char *path;
        const char *type;
        unsigned status;
        const char *code;
    } cases[] = {
        {"/orders/records", "application/xml", 415, "SHEAF-E0210"},
        {"/orders/records", "text/csvx", 415, "SHEAF-E0210"},
        {"/orders/records", NULL, 415, "SHEAF-E0210"},
        {"/orders/records?on_invalid=drop", NDJSON, 400, "SHEAF-E0301"},
        {"/orders/records?envelope=yes", NDJSON, 400, "SHEAF-E0301"},
        {"/orders/records?envelope=change", CSV, 415, "SHEAF-E0210"},
        {"/orders/records", CSV, 400, "SHEAF-E0201"},
    };
    struct fixture f;
    (void)state;

    setup(&f);
    for (size_t i = 0; i < SF_COUNT(cases); i++) {
        post(&f, cases[i].path, cases[i].type, "order_id\n\"a\n", cases[i].status);
        assert_non_null(strstr(f.call.text, cases[i].code));
    }
    assert_int_equal(ingest_pending(f.ingest), 0);
    teardown(&f);
}

static void rows_come_as_one_document_or_as_lines(void **state)
{
    char path[4200];
    struct fixture f;
    (void)state;

    setup(&f);
    put_three(&f);
    get(&f, "/orders/records?select=order_id,note&limit=2", NULL, 200);
    assert_string_equal(f.call.answer_type, "application/json");
    assert_string_equal(f.call.position, "1:3");
    assert_string_equal(f.call.head, "1:3");
    (void)snprintf(path, sizeof(path),
                   "{\"apiVersion\":\"sheaf/v1\",\"kind\":\"RecordList\",\"position\":\"1:3\","
                   "\"cursor\":\"%s\",\"items\":[{\"order_id\":\"a\",\"note\":\"1\"},"
                   "{\"order_id\":\"b\",\"note\":\"2\"}]}",
                   f.call.cursor);
    assert_string_equal(f.call.text, path);
    (void)snprintf(path, sizeof(path), "/orders/records?select=note&cursor=%s", f.call.cursor);
    get(&f, path, "application/json", 200);
    assert_string_equal(f.call.text, "{\"apiVersion\":\"sheaf/v1\",\"kind\":\"RecordList\","
                                     "\"position\":\"1:3\",\"cursor\":\"\",\"items\":["
                                     "{\"note\":\"3\"}]}");
    assert_string_equal(f.call.cursor, "-");
    get(&f, "/orders/records?select=note", NDJSON, 200);
    assert_string_equal(f.call.answer_type, NDJSON);
    assert_string_equal(f.call.text, "{\"note\":\"1\"}\n{\"note\":\"2\"}\n{\"note\":\"3\"}\n");
    get(&f, "/orders/records?select=order_id,note&from=b", CSV, 200);
    assert_string_equal(f.call.answer_type, "text/csv; charset=utf-8");
    assert_string_equal(f.call.text, "order_id,note\nb,2\n\"c,d\",3\n");
    get(&f, "/clicks/records", NULL, 200);
    assert_non_null(strstr(f.call.text, "\"items\":[]}"));
    teardown(&f);
}

static void a_row_is_the_document(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    put_three(&f);
    get(&f, "/orders/records/b?select=note", NULL, 200);
    assert_string_equal(f.call.text, "{\"note\":\"2\"}\n");
    /* A comma inside of a part is encoded once for the part and once for the path. */
    get(&f, "/orders/records/c%252Cd?select=note", NULL, 200);
    assert_string_equal(f.call.text, "{\"note\":\"3\"}\n");
    get(&f, "/orders/records/z", NULL, 404);
    assert_string_equal(f.call.answer_type, "application/problem+json");
    assert_non_null(strstr(f.call.text, "\"code\":\"SHEAF-E0305\""));
    get(&f, "/orders/records?limit=x", NULL, 400);
    get(&f, "/orders/records?cursor=x", NULL, 400);
    assert_non_null(strstr(f.call.text, "\"code\":\"SHEAF-E0309\""));
    get(&f, "/nothing/records", NULL, 404);
    assert_non_null(strstr(f.call.text, "\"code\":\"SHEAF-E0303\""));
    teardown(&f);
}

static void changes_come_behind_a_position(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    put_three(&f);
    get(&f, "/orders/changes?after=1:1&limit=1", CSV, 200); /* Changes have no CSV. */
    assert_string_equal(f.call.answer_type, NDJSON);
    assert_memory_equal(f.call.text, "{\"seq\":2,\"op\":\"upsert\",", 23);
    assert_string_equal(f.call.position, "1:2-2");
    assert_string_equal(f.call.cursor, "1:2");
    assert_string_equal(f.call.head, "1:3");
    get(&f, "/orders/changes?after=1:3", NULL, 200);
    assert_string_equal(f.call.text, "{\"apiVersion\":\"sheaf/v1\",\"kind\":\"ChangeList\","
                                     "\"position\":\"1:3\",\"cursor\":\"1:3\",\"items\":[]}");
    get(&f, "/orders/changes?after=2:3", NULL, 410);
    teardown(&f);
}

/* Own and relayed alike. */
static void follow_as(struct fixture *f, const char *relay)
{
    char path[200];

    (void)snprintf(path, sizeof(path), "/orders/changes?snapshot=true&select=order_id,note%s",
                   relay);
    get(f, path, NULL, 200);
    assert_string_equal(f->call.answer_type, NDJSON);
    assert_memory_equal(f->call.text, "{\"event\":\"snapshot\",\"head\":\"1:3\"}\n", 34);
    assert_non_null(strstr(f->call.text, "{\"seq\":3,\"op\":\"snapshot\",\"key\":{\"order_id\":"
                                         "\"c,d\"},\"row\":{\"order_id\":\"c,d\",\"note\":\"3\"}}\n"
                                         "{\"event\":\"position\",\"position\":\"1:3\"}\n"
                                         "{\"event\":\"end\",\"position\":\"1:3\"}\n"));

    (void)snprintf(path, sizeof(path), "/orders/changes?select=note&seconds=1&after=1:1%s", relay);
    get(f, path, "text/event-stream", 200);
    assert_string_equal(f->call.answer_type, "text/event-stream");
    assert_memory_equal(f->call.text, "id: 1:2\ndata: {\"seq\":2,\"op\":\"upsert\",", 36);
    assert_non_null(strstr(f->call.text, "\n\nid: 1:3\ndata: {\"seq\":3,"));
    assert_non_null(
        strstr(f->call.text, "event: end\ndata: {\"event\":\"end\",\"position\":\"1:3\"}\n\n"));

    /* Where the last event was counts more than the URL, which stays when a browser reconnects. */
    run(f,
        (struct call){
            .method = "GET", .path = path, .accept = "text/event-stream", .last_event_id = "1:2"});
    assert_memory_equal(f->call.text, "id: 1:3\n", 8);

    (void)snprintf(path, sizeof(path), "/orders/changes?follow=true&after=1:9%s", relay);
    get(f, path, NULL, 410);
    assert_string_equal(f->call.answer_type, "application/problem+json");
    assert_non_null(strstr(f->call.text, "SHEAF-E0308"));
    (void)snprintf(path, sizeof(path), "/orders/changes?follow=true&select=x%s", relay);
    get(f, path, NULL, 400);
    assert_non_null(strstr(f->call.text, "SHEAF-E0304"));
    (void)snprintf(path, sizeof(path), "/orders/changes?follow=true&seconds=0%s", relay);
    get(f, path, NULL, 400);
    (void)snprintf(path, sizeof(path), "/orders/changes?follow=yes%s", relay);
    get(f, path, NULL, 400);
    assert_non_null(strstr(f->call.text, "'follow' must be true or false"));
}

static void changes_are_followed_here_and_through_another_leaf(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    put_three(&f);
    follow_as(&f, "");
    follow_as(&f, "&relay=1");
    teardown(&f);
}

/* Loses the messages of an answer whose number is set in @which. */
struct loss {
    unsigned which;
    unsigned seen;
};

static bool lose(void *data, const char *subject)
{
    struct loss *loss = data;

    return strncmp(subject, "_INBOX", 6) == 0 && (loss->which >> loss->seen++ & 1) != 0;
}

static void a_page_that_is_lost_on_the_way_is_asked_for_again(void **state)
{
    struct loss loss = {.which = 1U << 1}; /* the rows */
    struct fixture f;
    (void)state;

    setup(&f);
    put_three(&f);
    *fake_broker_knobs(f.broker) = (struct fake_broker_knobs){.drop = lose, .data = &loss};
    get(&f, "/orders/changes?snapshot=true&select=order_id&relay=1", NULL, 200);
    assert_string_equal(
        f.call.text,
        "{\"event\":\"snapshot\",\"head\":\"1:3\"}\n{\"event\":\"snapshot\",\"head\":\"1:3\"}\n"
        "{\"seq\":1,\"op\":\"snapshot\",\"key\":{\"order_id\":\"a\"},\"row\":{\"order_id\":\"a\"}}"
        "\n"
        "{\"seq\":2,\"op\":\"snapshot\",\"key\":{\"order_id\":\"b\"},\"row\":{\"order_id\":\"b\"}}"
        "\n"
        "{\"seq\":3,\"op\":\"snapshot\",\"key\":{\"order_id\":\"c,d\"},\"row\":{\"order_id\":\"c,"
        "d\"}}"
        "\n{\"event\":\"position\",\"position\":\"1:3\"}\n{\"event\":\"end\",\"position\":\"1:3\"}"
        "\n");
    loss = (struct loss){.which = 0xaaaaaaaa}; /* again and again */
    get(&f, "/orders/changes?snapshot=true&relay=1", NULL, 200);
    assert_non_null(strstr(f.call.text, "its pages are lost on the way"));
    teardown(&f);
}

static void a_follower_that_leaves_leaves_nothing(void **state)
{
    struct fixture f;
    (void)state;

    for (unsigned relayed = 0; relayed < 2; relayed++) {
        setup(&f);
        put_three(&f);
        f.leave = true;
        run(&f, (struct call){.method = "GET",
                              .path = relayed ? "/orders/changes?follow=true&relay=1"
                                              : "/orders/changes?follow=true&snapshot=true"});
        assert_null(f.server);
        test_loop_until(&f.loop, is_quiet, &f, "what was under way", 10000);
        teardown(&f);
    }
}

static void quarantine_shows_what_was_refused(void **state)
{
    struct sf_json_doc *doc = NULL;
    const struct sf_json *item;
    struct sf_slice raw;
    struct fixture f;
    (void)state;

    setup(&f);
    post(&f, "/orders/records", NDJSON, "{\"order_id\":1}\n\xff\xfe\nno\n", 200);
    get(&f, "/orders/quarantine?limit=2", NULL, 200);
    assert_int_equal(sf_json_parse(sf_slice_text(f.call.text), &doc, NULL), SF_OK);
    assert_non_null(strstr(f.call.text, "\"kind\":\"QuarantineList\",\"total\":3,"));
    assert_non_null(strstr(f.call.text, "\"codes\":[\"SHEAF-E0204\"],\"field\":\"order_id\","
                                        "\"raw\":\"{\\\"order_id\\\":1}\",\"cut\":false}"));
    assert_non_null(strstr(f.call.text, "\"last\":2,\"more\":true}"));
    item = sf_json_at(sf_json_get(sf_json_root(doc), "items"), 1);
    assert_true(sf_json_as_slice(sf_json_get(item, "raw_base64"), &raw)); /* no text */
    assert_true(sf_slice_equal(raw, SF_LITERAL("//4=")));
    sf_json_free(doc);
    get(&f, "/orders/quarantine?after=2", NULL, 200);
    assert_non_null(strstr(f.call.text, "\"raw\":\"no\""));
    assert_non_null(strstr(f.call.text, "\"last\":3,\"more\":false}"));
    get(&f, "/orders/quarantine?code=SHEAF-E0204&field=order_id", NULL, 200);
    assert_non_null(strstr(f.call.text, "\"items\":[{\"qseq\":1,"));
    assert_non_null(strstr(f.call.text, "\"last\":3,\"more\":false}"));
    get(&f, "/orders/quarantine?field=note", NULL, 200);
    assert_non_null(strstr(f.call.text, "\"items\":[]"));
    get(&f, "/orders/quarantine?older_than=1d", NULL, 200);
    assert_non_null(strstr(f.call.text, "\"items\":[]"));
    get(&f, "/orders/quarantine?by=code", NULL, 200);
    assert_non_null(strstr(f.call.text, "\"kind\":\"QuarantineSummary\",\"total\":3,\"items\":["
                                        "{\"code\":\"SHEAF-E0204\",\"field\":\"order_id\","
                                        "\"entries\":1,"));
    get(&f, "/orders/quarantine?after=x", NULL, 400);
    get(&f, "/orders/quarantine?code=x", NULL, 400);
    get(&f, "/orders/quarantine?newer_than=x", NULL, 400);
    get(&f, "/orders/quarantine?by=x", NULL, 400);
    get(&f, "/nothing/quarantine", NULL, 404);
    teardown(&f);
}

static void products_of_another_domain_are_read_by_asking_its_leaf(void **state)
{
    char direct[8192];
    struct fixture f;
    (void)state;

    setup(&f);
    put_three(&f);
    get(&f, "/orders/records?select=order_id,note&from=b&limit=9", NULL, 200);
    memcpy(direct, f.call.text, sizeof(direct));
    get(&f, "/orders/records?select=order_id,note&from=b&limit=9&relay=1", NULL, 200);
    assert_string_equal(f.call.text, direct);
    assert_string_equal(f.call.position, "1:3");
    assert_string_equal(f.call.head, "1:3");
    get(&f, "/orders/records/b?select=note&relay=1", NULL, 200);
    assert_string_equal(f.call.text, "{\"note\":\"2\"}\n");
    get(&f, "/orders/records?select=note&relay=1", CSV, 200);
    assert_string_equal(f.call.text, "note\n1\n2\n3\n");
    get(&f, "/orders/changes?after=1:2&relay=1", NULL, 200);
    assert_string_equal(f.call.position, "1:3-3");
    assert_string_equal(f.call.cursor, "1:3");
    get(&f, "/orders/describe?relay=1", NULL, 200);
    assert_non_null(strstr(f.call.text, "\"product\":\"sales/orders\""));
    get(&f, "/orders/records/z?relay=1", NULL, 404);
    assert_non_null(strstr(f.call.text, "\"code\":\"SHEAF-E0305\""));
    get(&f, "/orders/records?limit=x&relay=1", NULL, 400);
    teardown(&f);
}

static void on_overheard(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct fixture *f = sub->data;
    const char *roles = sf_bus_msg_header(m, HEADER_ROLES);

    if (strcmp(m->subject, "q.sales.orders.taken") == 0) {
        return;
    }
    (void)snprintf(f->roles, sizeof(f->roles), "%s", roles == NULL ? "-" : roles);
}

static bool find_billing_key(void *data, const char *issuer, struct sf_public_key *ret)
{
    *ret = ((struct fixture *)data)->key.public_key;
    return strcmp(issuer, "billing") == 0;
}

/* Neither the token nor whose it is, and for that product alone. */
static void roles_of_the_caller_go_to_the_owners_leaf(void **state)
{
    static const char *const paths[] = {"/orders/records?relay=1", "/orders/records/a?relay=1",
                                        "/orders/describe?relay=1",
                                        "/orders/changes?snapshot=true&relay=1"};
    struct fixture f;
    struct sf_token told = {0};
    (void)state;

    setup(&f);
    put_three(&f);
    f.overheard = (struct sf_bus_sub){.on_msg = on_overheard, .data = &f};
    assert_int_equal(sf_bus_subscribe(f.hub, &f.overheard, "q.sales.orders.>", NULL, NULL), SF_OK);
    get(&f, paths[0], NULL, 200);
    assert_string_equal(f.roles, "-"); /* there are none */
    f.caller = (struct sf_token){.issuer = "billing",
                                 .subject = "ann",
                                 .roles = {{"analyst"}, {"clerk"}},
                                 .role_count = 2,
                                 .expires_s = sf_steady_us(&f.clock) / SF_US_PER_S + 600};
    const struct sf_token_check check = {.find_key = find_billing_key,
                                         .data = &f,
                                         .audience = WORLD_MESH "/sales/orders",
                                         .now_s = sf_steady_us(&f.clock) / SF_US_PER_S,
                                         .kind = SF_TOKEN_ASSERTION};

    for (size_t i = 0; i < SF_COUNT(paths); i++) {
        get(&f, paths[i], NULL, 200);
        assert_int_equal(sf_token_verify(&check, sf_slice_text(f.roles), &told), SF_TOKEN_GOOD);
        assert_string_equal(told.subject, "");
        assert_int_equal(told.role_count, 2);
        assert_string_equal(told.roles[0].text, "analyst");
        assert_string_equal(told.roles[1].text, "clerk");
    }
    f.caller.expires_s = check.now_s; /* while a stream went on */
    for (size_t i = 0; i < SF_COUNT(paths); i++) {
        get(&f, paths[i], NULL, 401);
        assert_non_null(strstr(f.call.text, "\"code\":\"SHEAF-E0503\""));
    }
    teardown(&f);
}

/* What the owner's leaf is asked to take time for; the time of tokens goes on by as much. */
static void on_stream_asked(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct fixture *f = sub->data;
    struct sf_json_doc *body = NULL;
    int64_t seconds = 0;

    if (strcmp(m->subject, "q.sales.orders.changes") != 0) {
        return;
    }
    assert_int_equal(sf_json_parse(m->data, &body, NULL), SF_OK);
    assert_true(sf_json_as_int(sf_json_get(sf_json_root(body), "seconds"), &seconds));
    sf_json_free(body);
    f->asked_s = (uint64_t)seconds;
    rt_sim_run_for(&f->hours, f->asked_s * SF_NS_PER_S);
}

/* An hour is wanted, the token lasts a second: the answer keeps its roles no longer. */
static void a_relayed_stream_with_roles_ends_with_the_token(void **state)
{
    static const char *const paths[] = {"/orders/changes?follow=true&seconds=3600&relay=1",
                                        "/orders/changes?follow=true&relay=1"};
    struct fixture f;
    (void)state;

    setup(&f);
    put_three(&f);
    f.overheard = (struct sf_bus_sub){.on_msg = on_stream_asked, .data = &f};
    assert_int_equal(sf_bus_subscribe(f.hub, &f.overheard, "q.sales.orders.>", NULL, NULL), SF_OK);
    f.caller = (struct sf_token){.issuer = "billing", .roles = {{"analyst"}}, .role_count = 1};
    for (size_t i = 0; i < SF_COUNT(paths); i++) {
        f.caller.expires_s = sf_steady_us(&f.clock) / SF_US_PER_S + 1;
        get(&f, paths[i], NULL, 200);
        assert_int_equal(f.asked_s, 1);
        assert_non_null(strstr(f.call.text, "\"seq\":3,"));
        assert_non_null(strstr(f.call.text, "{\"event\":\"error\""));
        assert_non_null(strstr(f.call.text, "\"SHEAF-E0503\""));
        assert_null(strstr(f.call.text, "{\"event\":\"end\""));
    }
    f.caller.expires_s += 3600; /* it lasts longer than the stream */
    get(&f, "/orders/changes?follow=true&seconds=1&relay=1", NULL, 200);
    assert_non_null(strstr(f.call.text, "{\"event\":\"end\""));
    teardown(&f);
}

/* An owner's leaf that ends each answer at once, as when its time is up. */
static void on_time_is_up(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    const struct sf_bus_header headers[] = {
        {HEADER_EVENT, "end"}, {HEADER_POSITION, "1:3"}, {HEADER_FLOW, "1"}};
    struct fixture *f = sub->data;
    const size_t n = strlen(f->roles);

    if (strcmp(m->subject, "q.sales.orders.changes") != 0) {
        return;
    }
    on_stream_asked(sub, m);
    (void)snprintf(f->roles + n, sizeof(f->roles) - n, "%llu ", (unsigned long long)f->asked_s);
    assert_int_equal(sf_service_send_page(f->hub, m->reply,
                                          &(struct sf_service_page){.content_type = NDJSON,
                                                                    .headers = headers,
                                                                    .header_count = 3,
                                                                    .is_last = true,
                                                                    .cursor = "1:3"},
                                          NULL),
                     SF_OK);
}

/* What is signed of the roles lasts two minutes at least: no answer is asked to go on for longer,
 * and the stream goes on for as long as was wanted. */
static void a_relayed_stream_with_roles_goes_on_with_a_new_assertion(void **state)
{
    static const char path[] = "/orders/changes?follow=true&seconds=300&relay=1";
    struct sf_bus_sub time_is_up = {.on_msg = on_time_is_up};
    struct fixture f;
    (void)state;

    setup(&f);
    query_nats_free(SF_TAKE(f.requests));
    time_is_up.data = &f;
    assert_int_equal(sf_bus_subscribe(f.hub, &time_is_up, "q.sales.>", NULL, NULL), SF_OK);
    f.caller = (struct sf_token){.issuer = "billing",
                                 .roles = {{"analyst"}},
                                 .role_count = 1,
                                 .expires_s = sf_steady_us(&f.clock) / SF_US_PER_S + 3600};
    get(&f, path, NULL, 200);
    assert_string_equal(f.roles, "120 120 60 ");
    assert_non_null(strstr(f.call.text, "{\"event\":\"end\""));
    f.caller.role_count = 0;
    f.roles[0] = '\0';
    get(&f, path, NULL, 200);
    assert_string_equal(f.roles, "300 ");
    sf_bus_unsubscribe(f.hub, &time_is_up);
    teardown(&f);
}

static void a_clock_that_is_set_back_does_not_bring_the_roles_back(void **state)
{
    struct fixture f;
    int64_t now_us;
    (void)state;

    setup(&f);
    put_three(&f);
    now_us = sf_steady_us(&f.clock);
    f.caller = (struct sf_token){.issuer = "billing",
                                 .roles = {{"analyst"}},
                                 .role_count = 1,
                                 .expires_s = now_us / SF_US_PER_S};
    get(&f, "/orders/records?relay=1", NULL, 401);
    rt_sim_set_wall_us(&f.hours, now_us - 600 * SF_US_PER_S);
    get(&f, "/orders/records?relay=1", NULL, 401);
    assert_non_null(strstr(f.call.text, "\"code\":\"SHEAF-E0503\""));
    teardown(&f);
}

static void when_that_leaf_does_not_answer_the_hub_says_why(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    query_nats_free(SF_TAKE(f.requests));
    f.hub_refuses = true;
    get(&f, "/orders/records?relay=1", NULL, 403);
    assert_non_null(strstr(f.call.text, "\"code\":\"SHEAF-E0401\""));
    f.hub_refuses = false;
    get(&f, "/orders/records?relay=1", NULL, 503);
    assert_non_null(strstr(f.call.text, "\"code\":\"SHEAF-E0705\""));
    sf_bus_unsubscribe(f.hub, &f.hub_sub);
    get(&f, "/orders/records?relay=1", NULL, 503);
    assert_non_null(strstr(f.call.text, "\"code\":\"SHEAF-E0705\""));
    teardown(&f);
}

/* Its link has come up, but not everybody knows yet what it serves. */
static void a_leaf_that_is_heard_of_a_moment_later_is_asked_again(void **state)
{
    static const char *const paths[] = {"/orders/records?relay=1", "/orders/describe?relay=1",
                                        "/orders/changes?snapshot=true&relay=1"};
    char direct[8192];
    struct fixture f;
    (void)state;

    setup(&f);
    put_three(&f);
    f.relay.nobody_ns = 0;
    for (size_t i = 0; i < SF_COUNT(paths); i++) {
        get(&f, paths[i], NULL, 200);
        memcpy(direct, f.call.text, sizeof(direct));
        query_nats_free(SF_TAKE(f.requests));
        f.comes_late = true;
        get(&f, paths[i], NULL, 200);
        assert_string_equal(f.call.text, direct);
    }
    fake_bus_set_connected(f.relay.own, false);
    query_nats_free(SF_TAKE(f.requests));
    f.hub_refuses = true;
    f.leave = true; /* The client leaves while it waits. */
    run(&f, (struct call){.method = "GET", .path = paths[0]});
    test_loop_until(&f.loop, is_quiet, &f, "quiet", 10000);
    teardown(&f);
}

/* A leaf of another domain that goes away in its first answer, and is there again for the next. */
static void on_broken_off(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    const struct sf_slice row = SF_LITERAL("{\"order_id\":\"a\"}\n");
    struct fixture *f = sub->data;
    struct sf_error why;

    if (f->asked++ > 0) {
        assert_int_equal(sf_service_send(f->hub, m->reply, NDJSON, row, NULL), SF_OK);
        return;
    }
    (void)SF_RAISE_E(&why, SF_UNAVAILABLE, SHEAF_E_LEAF_UNREACHABLE, "it went away");
    assert_int_equal(sf_service_reply(f->hub, m->reply, NDJSON, row, NULL), SF_OK);
    assert_int_equal(sf_service_send_error(f->hub, m->reply, &why, NULL), SF_OK);
}

/* What came of it is here: rows of a second answer would come twice. */
static void an_answer_that_has_begun_is_not_asked_for_again(void **state)
{
    struct sf_bus_sub broken_off = {.on_msg = on_broken_off};
    struct fixture f;
    (void)state;

    setup(&f);
    query_nats_free(SF_TAKE(f.requests));
    f.relay.nobody_ns = 0;
    broken_off.data = &f;
    assert_int_equal(sf_bus_subscribe(f.hub, &broken_off, "q.sales.>", NULL, NULL), SF_OK);
    get(&f, "/orders/records?relay=1", NULL, 503);
    assert_non_null(strstr(f.call.text, "it went away"));
    assert_int_equal(f.asked, 1);
    sf_bus_unsubscribe(f.hub, &broken_off);
    teardown(&f);
}

/* A leaf of another domain whose bundle has ended: it has heard the request, and says no. */
static void on_no_bundle(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct fixture *f = sub->data;
    struct sf_error why;

    f->asked++;
    (void)SF_RAISE_E(&why, SF_UNAVAILABLE, SHEAF_E_BUNDLE_EXPIRED, "no grants in force");
    assert_int_equal(sf_service_send_error(f->hub, m->reply, &why, NULL), SF_OK);
}

static void a_leaf_that_says_it_may_not_serve_is_not_asked_again(void **state)
{
    static const char *const paths[] = {"/orders/records?relay=1", "/orders/describe?relay=1",
                                        "/orders/changes?snapshot=true&relay=1"};
    struct sf_bus_sub no_bundle = {.on_msg = on_no_bundle};
    struct fixture f;
    (void)state;

    setup(&f);
    query_nats_free(SF_TAKE(f.requests));
    f.relay.nobody_ns = 0;
    f.hub_refuses = true; /* with E0401, were it asked why */
    no_bundle.data = &f;
    assert_int_equal(sf_bus_subscribe(f.hub, &no_bundle, "q.sales.>", NULL, NULL), SF_OK);
    for (size_t i = 0; i < SF_COUNT(paths); i++) {
        get(&f, paths[i], NULL, 503);
        assert_non_null(strstr(f.call.text, "\"code\":\"SHEAF-E0707\""));
        assert_int_equal(f.asked, i + 1);
    }
    sf_bus_unsubscribe(f.hub, &no_bundle);
    teardown(&f);
}

/* A leaf of another domain that never ends its answer. */
static void on_endless(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    static const char spaces[SF_SERVICE_PAGE_MAX / 2] = "";
    struct sf_bus *bus = sub->data;

    for (int i = 0; i < 3; i++) {
        assert_int_equal(
            sf_service_reply(bus, m->reply, NDJSON, sf_slice_of(spaces, sizeof(spaces)), NULL),
            SF_OK);
    }
}

static void another_leaf_cannot_fill_this_ones_memory(void **state)
{
    struct sf_bus_sub endless = {.on_msg = on_endless};
    struct fixture f;
    (void)state;

    setup(&f);
    query_nats_free(SF_TAKE(f.requests));
    endless.data = f.hub;
    assert_int_equal(sf_bus_subscribe(f.hub, &endless, "q.sales.>", NULL, NULL), SF_OK);
    get(&f, "/orders/records?relay=1", NULL, 503);
    assert_non_null(strstr(f.call.text, "answers with more than one page"));
    sf_bus_unsubscribe(f.hub, &endless);
    teardown(&f);
}

static void a_client_that_leaves_is_not_answered_and_nothing_is_lost(void **state)
{
    static const char *const paths[] = {"/orders/records", "/orders/changes", "/orders/quarantine",
                                        "/orders/records?relay=1"};
    (void)state;

    for (size_t i = 0; i <= SF_COUNT(paths); i++) {
        struct fixture f;

        setup(&f);
        put_three(&f);
        f.leave = true;
        if (i < SF_COUNT(paths)) {
            run(&f, (struct call){.method = "GET", .path = paths[i]});
        } else {
            run(&f, (struct call){.method = "POST",
                                  .path = "/orders/records",
                                  .type = NDJSON,
                                  .body = SF_LITERAL("{\"order_id\":\"z\"}\n")});
        }
        test_loop_until(&f.loop, is_quiet, &f, "quiet", 10000);
        assert_null(f.server);
        if (i == SF_COUNT(paths)) {
            assert_int_equal(f.call.status, 0);
            assert_int_equal(store_lane_head(f.serving.products.versions[0]->tables[0].lane)->seq,
                             4);
        }
        teardown(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_posted_and_the_answer_is_json),
        cmocka_unit_test(posts_that_make_no_sense_are_refused),
        cmocka_unit_test(rows_come_as_one_document_or_as_lines),
        cmocka_unit_test(a_row_is_the_document),
        cmocka_unit_test(changes_come_behind_a_position),
        cmocka_unit_test(changes_are_followed_here_and_through_another_leaf),
        cmocka_unit_test(a_page_that_is_lost_on_the_way_is_asked_for_again),
        cmocka_unit_test(a_follower_that_leaves_leaves_nothing),
        cmocka_unit_test(quarantine_shows_what_was_refused),
        cmocka_unit_test(products_of_another_domain_are_read_by_asking_its_leaf),
        cmocka_unit_test(a_leaf_that_is_heard_of_a_moment_later_is_asked_again),
        cmocka_unit_test(an_answer_that_has_begun_is_not_asked_for_again),
        cmocka_unit_test(a_leaf_that_says_it_may_not_serve_is_not_asked_again),
        cmocka_unit_test(roles_of_the_caller_go_to_the_owners_leaf),
        cmocka_unit_test(a_relayed_stream_with_roles_ends_with_the_token),
        cmocka_unit_test(a_relayed_stream_with_roles_goes_on_with_a_new_assertion),
        cmocka_unit_test(a_clock_that_is_set_back_does_not_bring_the_roles_back),
        cmocka_unit_test(when_that_leaf_does_not_answer_the_hub_says_why),
        cmocka_unit_test(another_leaf_cannot_fill_this_ones_memory),
        cmocka_unit_test(a_client_that_leaves_is_not_answered_and_nothing_is_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
