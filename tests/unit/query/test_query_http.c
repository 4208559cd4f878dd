#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/bus/service.h"
#include "common/sys/http_client.h"
#include "common/sys/http_server.h"
#include "common/wire/json.h"
#include "leaf/ingest/ingest_http.h"
#include "leaf/query/query_http.h"
#include "leaf/query/query_nats.h"
#include "leaf/store/kv_rocks.h"
#include "proto/errors.h"
#include "tests/lib/fake_bus.h"
#include "tests/lib/leaf_world.h"
#include "tests/lib/test_loop.h"
#include "tests/lib/tmpdir.h"

static const uint8_t seal_key[32] = {5};

#define NDJSON "application/x-ndjson"
#define CSV    "text/csv"

/* One call of a client, on a query thread. */
struct call {
    const char *method;
    const char *path;
    const char *type;          /* of the body; NULL: none is sent */
    const char *accept;        /* NULL: none */
    const char *last_event_id; /* NULL: none */
    struct sf_slice body;
    unsigned status;
    char text[8192];
    char answer_type[64];
    char position[64];
    char cursor[2048];
    char head[64];
};

struct fixture {
    struct tmpdir dir;
    struct test_loop loop;
    struct store *store;
    struct serving serving;
    struct sf_metrics metrics;
    struct ingest *ingest;
    struct queries *queries;
    struct sf_http_server *server;

    struct fake_broker *broker; /* for reads of another leaf's products, which is this one */
    struct relay_host relay;
    struct query_nats *requests; /* NULL: that leaf is away */
    struct sf_bus *hub;
    struct sf_bus_sub hub_sub;
    bool hub_refuses; /* says why there is no answer */

    bool leave; /* the server is closed while the next request is handled */
    struct sf_task closing;
    struct call call;
    struct sf_work work;
    bool done;
    bool closed;
};

static void on_explain(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct fixture *f = sub->data;
    struct sf_error why;

    assert_string_equal(m->subject, "mesh.access.explain");
    if (f->hub_refuses) {
        (void)SF_RAISE_E(&why, SF_DENIED, SHEAF_E_DENIED, "product sales/orders@1");
        assert_int_equal(sf_service_reply_error(f->hub, m->reply, &why, NULL), SF_OK);
    } else {
        assert_int_equal(
            sf_service_reply(f->hub, m->reply, "application/x-protobuf", sf_slice_text(NULL), NULL),
            SF_OK);
    }
}

/* /{table}/records[/key], /{table}/changes, /{table}/quarantine; with ?relay=1 by way of NATS */
static void handler(struct sf_http_request *r, void *data)
{
    struct fixture *f = data;
    const char *what = sf_http_part(r, 1);
    struct http_read read = {.product = "orders", .table = sf_http_part(r, 0), .op = QUERY_SCAN};
    const struct served_product *p = product_set_find(&f->serving.products, "orders", 0);

    if (strcmp(sf_http_method(r), "POST") == 0) {
        ingest_http(
            f->ingest,
            &(struct ingest_target){.table = served_product_table(p, read.table), .user = "ana"},
            r);
    } else if (strcmp(what, "quarantine") == 0) {
        query_http_quarantine(f->queries, &read, r);
    } else {
        read.key = sf_http_part(r, 2);
        read.op = strcmp(what, "changes") == 0 ? QUERY_CHANGES
                  : read.key != NULL           ? QUERY_GET
                                               : QUERY_SCAN;
        if (sf_http_query(r, "relay") == NULL) {
            query_http(f->queries, &read, r);
        } else if (strcmp(what, "describe") == 0) {
            read.table = NULL;
            query_http_relay_document(&f->relay, "sales", "describe", &read, r);
        } else {
            query_http_relay(&f->relay, "sales", &read, r);
        }
    }
    if (f->leave) {
        sf_rt_post(f->loop.rt, &f->closing);
    }
}

static void close_server(struct sf_task *t)
{
    struct fixture *f = SF_CONTAINER_OF(t, struct fixture, closing);

    sf_http_server_free(SF_TAKE(f->server));
}

static void setup(struct fixture *f)
{
    const struct sf_http_options http = {
        .connections_max = 8,
        .body_bytes_max = 1000 * 1000,
        .body_total_bytes_max = 1000 * 1000,
        .stream_bytes_max = 1000,
        .handler = handler,
        .data = f,
    };
    char path[PATH_MAX];
    struct kv *kv = NULL;

    *f = (struct fixture){.closing.run = close_server};
    assert_int_equal(sf_crypto_init(NULL), SF_OK);
    tmpdir_init(&f->dir);
    test_loop_init(&f->loop);
    assert_int_equal(kv_rocks_open(tmpdir_join(&f->dir, "store", path), NULL, &kv, NULL), SF_OK);
    assert_int_equal(store_open(f->loop.rt, kv, &(struct store_options){.disk_reserve_bytes = 1},
                                &f->store, NULL),
                     SF_OK);
    f->serving = (struct serving){.rt = f->loop.rt, .domain = "sales"};
    assert_int_equal(product_set_init(&f->serving.products, "sales", f->store, NULL), SF_OK);
    assert_int_equal(product_set_add(&f->serving.products, 1, sf_slice_text(world_orders), NULL),
                     SF_OK);
    sf_metrics_init(&f->metrics);
    assert_int_equal(ingest_new(f->loop.rt, f->store, &f->metrics,
                                &(struct ingest_options){.inline_bytes = 100}, &f->ingest, NULL),
                     SF_OK);
    const struct queries_options options = {
        .rt = f->loop.rt, .store = f->store, .serving = &f->serving, .seal_key = seal_key};

    assert_int_equal(queries_new(&options, &f->queries, NULL), SF_OK);
    assert_int_equal(sf_http_server_new(f->loop.uv, &http, &f->server, NULL), SF_OK);
    f->broker = fake_broker_new(f->loop.rt);
    f->relay = (struct relay_host){
        .rt = f->loop.rt, .own = fake_bus_connect(f->broker), .serve = fake_bus_connect(f->broker)};
    f->hub = fake_bus_connect(f->broker);
    f->hub_sub = (struct sf_bus_sub){.on_msg = on_explain, .data = f};
    assert_int_equal(sf_bus_subscribe(f->hub, &f->hub_sub, "mesh.access.explain", NULL, NULL),
                     SF_OK);
    assert_int_equal(query_nats_new(f->hub, f->queries, "q.sales.>", &f->requests, NULL), SF_OK);
}

static void on_closed(void *data)
{
    ((struct fixture *)data)->closed = true;
}

static void teardown(struct fixture *f)
{
    sf_http_server_free(f->server);
    query_nats_free(f->requests);
    fake_broker_free(f->broker);
    assert_int_equal(queries_pending(f->queries), 0);
    queries_free(f->queries);
    store_close(f->store, on_closed, f);
    test_loop_until_flag(&f->loop, &f->closed, "store", 10000);
    ingest_free(f->ingest);
    product_set_done(&f->serving.products);
    test_loop_done(&f->loop);
    tmpdir_done(&f->dir);
}

static void keep(const struct sf_http_answer *a, const char *name, char *to, size_t size)
{
    const char *value = sf_http_answer_header(a, name);

    (void)snprintf(to, size, "%s", value == NULL ? "-" : value);
}

/* Query thread. */
static void work(struct sf_work *w)
{
    struct fixture *f = SF_CONTAINER_OF(w, struct fixture, work);
    struct call *c = &f->call;
    struct sf_http_client *client = NULL;
    struct sf_http_answer answer = {0};
    struct sf_http_header headers[3];
    size_t n = 0;
    char url[4300];

    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", sf_http_server_port(f->server),
                   c->path);
    if (c->type != NULL) {
        headers[n++] = (struct sf_http_header){"Content-Type", c->type};
    }
    if (c->accept != NULL) {
        headers[n++] = (struct sf_http_header){"Accept", c->accept};
    }
    if (c->last_event_id != NULL) {
        headers[n++] = (struct sf_http_header){"Last-Event-ID", c->last_event_id};
    }
    const struct sf_http_call call = {.method = c->method,
                                      .url = url,
                                      .headers = headers,
                                      .header_count = n,
                                      .body = c->body,
                                      .total_ms_max = 10000};

    c->status = 0;
    if (sf_http_client_new(&client, NULL) == SF_OK &&
        sf_http_client_call(client, &call, &answer, NULL) == SF_OK) {
        c->status = answer.status;
        (void)snprintf(c->text, sizeof(c->text), "%.*s", (int)answer.body.size,
                       answer.body.size == 0 ? "" : (const char *)answer.body.data);
        keep(&answer, "Content-Type", c->answer_type, sizeof(c->answer_type));
        keep(&answer, "Sheaf-Position", c->position, sizeof(c->position));
        keep(&answer, "Sheaf-Cursor", c->cursor, sizeof(c->cursor));
        keep(&answer, "Sheaf-Head", c->head, sizeof(c->head));
    }
    sf_http_answer_done(&answer);
    sf_http_client_free(client);
}

static void work_done(struct sf_task *t)
{
    SF_CONTAINER_OF(t, struct fixture, work.done)->done = true;
}

static void run(struct fixture *f, struct call call)
{
    f->call = call;
    f->done = false;
    f->work = (struct sf_work){.pool = SF_POOL_QUERY, .work = work, .done.run = work_done};
    sf_rt_work(f->loop.rt, &f->work);
    test_loop_until_flag(&f->loop, &f->done, "answer", 15000);
}

static void get(struct fixture *f, const char *path, const char *accept, unsigned status)
{
    run(f, (struct call){.method = "GET", .path = path, .accept = accept});
    if (f->call.status != status) {
        fail_msg("%s: %u %s", path, f->call.status, f->call.text);
    }
}

static void post(struct fixture *f, const char *path, const char *type, const char *body,
                 unsigned status)
{
    run(f,
        (struct call){.method = "POST", .path = path, .type = type, .body = sf_slice_text(body)});
    if (f->call.status != status) {
        fail_msg("%s: %u %s", path, f->call.status, f->call.text);
    }
}

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
        {"/orders/records?envelope=change", CSV, 400, "SHEAF-E0301"},
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

static void put_three(struct fixture *f)
{
    post(f, "/orders/records", NDJSON,
         "{\"order_id\":\"a\",\"note\":\"1\"}\n{\"order_id\":\"b\",\"note\":\"2\"}\n"
         "{\"order_id\":\"c,d\",\"note\":\"3\"}\n",
         200);
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

static bool is_quiet(void *data)
{
    struct fixture *f = data;

    return f->done && ingest_pending(f->ingest) == 0 && queries_pending(f->queries) == 0;
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
        cmocka_unit_test(a_follower_that_leaves_leaves_nothing),
        cmocka_unit_test(quarantine_shows_what_was_refused),
        cmocka_unit_test(products_of_another_domain_are_read_by_asking_its_leaf),
        cmocka_unit_test(when_that_leaf_does_not_answer_the_hub_says_why),
        cmocka_unit_test(another_leaf_cannot_fill_this_ones_memory),
        cmocka_unit_test(a_client_that_leaves_is_not_answered_and_nothing_is_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
