#include "tests/unit/query/http_fixture.h"

#include <stdio.h>

#include "common/bus/service.h"
#include "common/sys/http_client.h"
#include "common/sys/http_server.h"
#include "leaf/store/kv_rocks.h"
#include "proto/errors.h"
#include "tests/lib/cmocka.h"
#include "tests/lib/leaf_world.h"
#include "tests/lib/raw_http.h"

static const uint8_t seal_key[32] = {5};

static void leaf_comes(struct fixture *f)
{
    assert_int_equal(query_nats_new(f->hub, f->queries, "q.sales.>", &f->requests, NULL), SF_OK);
}

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
    if (f->comes_late && f->requests == NULL) {
        leaf_comes(f);
    }
}

/* /{table}/records[/key], /{table}/changes, /{table}/quarantine; with ?relay=1 by way of NATS */
static void handle(struct fixture *f, struct sf_http_request *r)
{
    const char *what = sf_http_part(r, 1);
    struct http_read read = {
        .product = "orders", .table = sf_http_part(r, 0), .op = QUERY_SCAN, .caller = &f->caller};
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
}

static void handler(struct sf_http_request *r, void *data)
{
    struct fixture *f = data;

    if (f->pairs && f->held == NULL) {
        f->held = r;
        return;
    }
    if (f->held != NULL) {
        handle(f, SF_TAKE(f->held));
    }
    handle(f, r);
    if (f->leave) {
        sf_rt_post(f->loop.rt, &f->closing);
    }
}

static void close_server(struct sf_task *t)
{
    struct fixture *f = SF_CONTAINER_OF(t, struct fixture, closing);

    sf_http_server_free(SF_TAKE(f->server));
}

void setup(struct fixture *f)
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
    const struct queries_options options = {.rt = f->loop.rt,
                                            .store = f->store,
                                            .serving = &f->serving,
                                            .seal_key = seal_key,
                                            .answers_bytes = 100000};

    assert_int_equal(queries_new(&options, &f->queries, NULL), SF_OK);
    assert_int_equal(sf_http_server_new(f->loop.uv, &http, &f->server, NULL), SF_OK);
    f->broker = fake_broker_new(f->loop.rt);
    rt_sim_init(&f->hours, 1);
    rt_sim_set_wall_us(&f->hours, sf_rt_wall_us(f->loop.rt));
    sf_steady_init(&f->clock, &f->hours.rt, 0);
    f->relay = (struct relay_host){.rt = f->loop.rt,
                                   .clock = &f->clock,
                                   .own = fake_bus_connect(f->broker),
                                   .serve = fake_bus_connect(f->broker),
                                   .nobody_ns = 1,
                                   .mesh = WORLD_MESH,
                                   .domain = "billing",
                                   .domain_key = &f->key};
    assert_int_equal(sf_seed_generate(&f->key, NULL), SF_OK);
    f->hub = fake_bus_connect(f->broker);
    f->hub_sub = (struct sf_bus_sub){.on_msg = on_explain, .data = f};
    assert_int_equal(sf_bus_subscribe(f->hub, &f->hub_sub, "mesh.access.explain", NULL, NULL),
                     SF_OK);
    leaf_comes(f);
}

static void on_closed(void *data)
{
    ((struct fixture *)data)->closed = true;
}

void teardown(struct fixture *f)
{
    sf_http_server_free(f->server);
    query_nats_free(f->requests);
    fake_broker_free(f->broker);
    assert_int_equal(queries_pending(f->queries), 0);
    queries_free(f->queries);
    rt_sim_done(&f->hours);
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
static void work_raw(struct fixture *f, struct call *c)
{
    struct raw_http_answer answer;
    char headers[200];

    (void)snprintf(headers, sizeof(headers), "Content-Type: %s\r\nAccept: %s\r\n",
                   c->type == NULL ? "-" : c->type, c->accept == NULL ? "*/*" : c->accept);
    raw_http_call(sf_http_server_port(f->server), c->method, c->path, headers, c->body, &answer);
    c->status = answer.status;
    c->is_complete = answer.is_complete;
    (void)snprintf(c->text, sizeof(c->text), "%s", answer.text);
    (void)snprintf(c->cursor, sizeof(c->cursor), "%s",
                   strcasestr(answer.head, "\r\nSheaf-Cursor: ") == NULL ? "-" : "there");
}

/* Query thread. */
static void work(struct sf_work *w)
{
    struct fixture *f = SF_CONTAINER_OF(w, struct fixture, work);
    struct call *c = &f->call;
    struct sf_http_client *client = NULL;
    struct sf_http_answer answer = {0};
    struct sf_http_header headers[4];
    size_t n = 0;
    char url[4300];

    c->status = 0;
    if (c->is_raw) {
        work_raw(f, c);
        return;
    }
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
    if (c->if_none_match != NULL) {
        headers[n++] = (struct sf_http_header){"If-None-Match", c->if_none_match};
    }
    const struct sf_http_call call = {.method = c->method,
                                      .url = url,
                                      .headers = headers,
                                      .header_count = n,
                                      .body = c->body,
                                      .total_ms_max = 10000};

    if (sf_http_client_new(&client, NULL) == SF_OK &&
        sf_http_client_call(client, &call, &answer, NULL) == SF_OK) {
        c->status = answer.status;
        (void)snprintf(c->text, sizeof(c->text), "%.*s", (int)answer.body.size,
                       answer.body.size == 0 ? "" : (const char *)answer.body.data);
        keep(&answer, "Content-Type", c->answer_type, sizeof(c->answer_type));
        keep(&answer, "Sheaf-Position", c->position, sizeof(c->position));
        keep(&answer, "Sheaf-Cursor", c->cursor, sizeof(c->cursor));
        keep(&answer, "Sheaf-Head", c->head, sizeof(c->head));
        keep(&answer, "ETag", c->etag, sizeof(c->etag));
        keep(&answer, "Sheaf-View", c->view, sizeof(c->view));
        keep(&answer, "Sheaf-Contract", c->contract, sizeof(c->contract));
        keep(&answer, "Sheaf-Deprecated", c->deprecated, sizeof(c->deprecated));
        keep(&answer, "Sunset", c->sunset, sizeof(c->sunset));
    }
    sf_http_answer_done(&answer);
    sf_http_client_free(client);
}

static void work_done(struct sf_task *t)
{
    SF_CONTAINER_OF(t, struct fixture, work.done)->done = true;
}

void run(struct fixture *f, struct call call)
{
    f->call = call;
    f->done = false;
    f->work = (struct sf_work){.pool = SF_POOL_QUERY, .work = work, .done.run = work_done};
    sf_rt_work(f->loop.rt, &f->work);
    test_loop_until_flag(&f->loop, &f->done, "answer", 15000);
}

void run_raw(struct fixture *f, struct call call)
{
    call.is_raw = true;
    run(f, call);
}

void get(struct fixture *f, const char *path, const char *accept, unsigned status)
{
    run(f, (struct call){.method = "GET", .path = path, .accept = accept});
    if (f->call.status != status) {
        fail_msg("%s: %u %s", path, f->call.status, f->call.text);
    }
}

void post(struct fixture *f, const char *path, const char *type, const char *body, unsigned status)
{
    run(f,
        (struct call){.method = "POST", .path = path, .type = type, .body = sf_slice_text(body)});
    if (f->call.status != status) {
        fail_msg("%s: %u %s", path, f->call.status, f->call.text);
    }
}

void put_three(struct fixture *f)
{
    post(f, "/orders/records", NDJSON,
         "{\"order_id\":\"a\",\"note\":\"1\"}\n{\"order_id\":\"b\",\"note\":\"2\"}\n"
         "{\"order_id\":\"c,d\",\"note\":\"3\"}\n",
         200);
}

bool is_quiet(void *data)
{
    struct fixture *f = data;

    return f->done && ingest_pending(f->ingest) == 0 && queries_pending(f->queries) == 0;
}
