#include "tests/unit/query/nats_fixture.h"

#include <stdio.h>

#include "common/sys/seal.h"
#include "proto/subjects.h"
#include "tests/lib/cmocka.h"

static const uint8_t seal_key[SF_SEAL_KEY_SIZE] = {5};

static void keep(char *to, size_t size, const struct sf_bus_msg *m, const char *name)
{
    const char *value = sf_bus_msg_header(m, name);

    (void)snprintf(to, size, "%s", value == NULL ? "-" : value);
}

static void on_answer(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct fixture *f = sub->data;

    if (m->data.size == 0 && m->header_count == 0) {
        f->ends++;
        return;
    }
    assert_int_equal(f->ends, 0); /* Nothing behind the end. */
    assert_true(m->header_count > 0);
    f->messages++;
    f->bytes += m->data.size;
    (void)snprintf(f->answer, sizeof(f->answer), "%.*s",
                   (int)(m->data.size < sizeof(f->answer) ? m->data.size : 0),
                   (const char *)m->data.data);
    keep(f->error, sizeof(f->error), m, HEADER_ERROR_ID);
    keep(f->status, sizeof(f->status), m, HEADER_ERROR_CODE);
    keep(f->position, sizeof(f->position), m, HEADER_POSITION);
    keep(f->event, sizeof(f->event), m, HEADER_EVENT);
    keep(f->flow, sizeof(f->flow), m, HEADER_FLOW);
    keep(f->head, sizeof(f->head), m, HEADER_HEAD);
    keep(f->count, sizeof(f->count), m, HEADER_COUNT);
    keep(f->cursor, sizeof(f->cursor), m, HEADER_CURSOR);
}

void setup(struct fixture *f)
{
    static const struct world_grant one = {.id = "G-1"};

    *f = (struct fixture){0};
    leaf_world_init(&f->w, 5);
    (void)leaf_world_add(&f->w, world_orders);
    leaf_world_grant(&f->w, &(struct world_bundle){.version = 1, .grants = &one, .grant_count = 1});
    const struct queries_options options = {
        .rt = &f->w.stores.sim.rt,
        .store = f->w.stores.store,
        .serving = &f->w.serving,
        .seal_key = seal_key,
        .answers_bytes = 100000,
    };

    assert_int_equal(queries_new(&options, &f->queries, NULL), SF_OK);
    f->broker = fake_broker_new(&f->w.stores.sim.rt);
    f->bus = fake_bus_connect(f->broker);
    f->asker = fake_bus_connect(f->broker);
    f->inbox = (struct sf_bus_sub){.on_msg = on_answer, .data = f};
    assert_int_equal(sf_bus_subscribe(f->asker, &f->inbox, "inbox", NULL, NULL), SF_OK);
    assert_int_equal(query_nats_new(f->bus, f->queries, "q.sales.>", &f->own, NULL), SF_OK);
    assert_int_equal(query_nats_new(f->bus, f->queries, "dpq.sales.*.>", &f->others, NULL), SF_OK);
    rt_sim_run(&f->w.stores.sim);
}

void teardown(struct fixture *f)
{
    query_nats_free(f->own);
    query_nats_free(f->others);
    rt_sim_run(&f->w.stores.sim);
    assert_int_equal(queries_pending(f->queries), 0);
    queries_free(f->queries);
    fake_broker_free(f->broker);
    leaf_world_done(&f->w);
}

void send_request(struct fixture *f, const char *subject, const char *body)
{
    const struct sf_bus_header roles = {HEADER_ROLES, f->roles};
    const struct sf_bus_msg m = {.subject = subject,
                                 .reply = "inbox",
                                 .data = sf_slice_text(body),
                                 .headers = &roles,
                                 .header_count = f->roles != NULL};

    f->messages = 0;
    f->ends = 0;
    f->bytes = 0;
    assert_int_equal(sf_bus_publish(f->asker, &m, NULL), SF_OK);
}

void ask(struct fixture *f, const char *subject, const char *body)
{
    send_request(f, subject, body);
    rt_sim_run(&f->w.stores.sim);
    assert_int_equal(f->ends, 1);
    assert_true(f->messages > 0);
}

void assert_error(struct fixture *f, const char *id, const char *status)
{
    assert_int_equal(f->messages, 1);
    assert_string_equal(f->error, id);
    assert_string_equal(f->status, status);
    assert_non_null(strstr(f->answer, id)); /* A problem document. */
}

void put_two(struct fixture *f)
{
    leaf_world_write(&f->w, leaf_world_table(&f->w, "orders"),
                     "{\"op\":\"upsert\",\"row\":{\"order_id\":\"a\",\"email\":\"x@y.no\"}}\n"
                     "{\"op\":\"upsert\",\"row\":{\"order_id\":\"b\",\"note\":\"n\"}}\n");
}
