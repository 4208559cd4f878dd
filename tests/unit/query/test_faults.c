/* Requests over NATS when memory runs out: each allocation fails once, and nothing stays behind. */
#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "common/sys/seal.h"
#include "leaf/query/follow.h"
#include "leaf/query/query_nats.h"
#include "proto/subjects.h"
#include "tests/lib/fake_bus.h"
#include "tests/lib/leaf_world.h"

static const uint8_t seal_key[SF_SEAL_KEY_SIZE] = {5};

enum { ANSWER_MAX = 16384 };

struct answer {
    unsigned messages; /* with headers */
    unsigned errors;   /* of these */
    unsigned ends;     /* empty messages without headers */
    size_t size;
    char text[ANSWER_MAX]; /* of all pages */
    char error[32];
};

struct fixture {
    struct leaf_world w;
    struct queries *queries;
    struct fake_broker *broker;
    struct sf_bus *bus;
    struct query_nats *requests[2]; /* of the owner's apps, of other domains */
    struct sf_bus *asker;
    struct sf_bus_sub inbox;
    struct answer answer;
};

static void on_answer(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct answer *a = &((struct fixture *)sub->data)->answer;
    const char *error = sf_bus_msg_header(m, HEADER_ERROR_ID);

    assert_int_equal(a->ends, 0); /* Nothing behind the end. */
    if (m->data.size == 0 && m->header_count == 0) {
        a->ends++;
        return;
    }
    a->messages++;
    if (error != NULL) {
        a->errors++;
        (void)snprintf(a->error, sizeof(a->error), "%s", error);
        return;
    }
    assert_true(a->size + m->data.size < sizeof(a->text));
    if (m->data.size > 0) {
        memcpy(a->text + a->size, m->data.data, m->data.size);
    }
    a->size += m->data.size;
    a->text[a->size] = '\0';
}

static void setup(struct fixture *f)
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
    };

    assert_int_equal(queries_new(&options, &f->queries, NULL), SF_OK);
    f->broker = fake_broker_new(&f->w.stores.sim.rt);
    f->bus = fake_bus_connect(f->broker);
    f->asker = fake_bus_connect(f->broker);
    f->inbox = (struct sf_bus_sub){.on_msg = on_answer, .data = f};
    assert_int_equal(sf_bus_subscribe(f->asker, &f->inbox, "inbox", NULL, NULL), SF_OK);
    assert_int_equal(query_nats_new(f->bus, f->queries, "q.sales.>", &f->requests[0], NULL), SF_OK);
    assert_int_equal(query_nats_new(f->bus, f->queries, "dpq.sales.*.>", &f->requests[1], NULL),
                     SF_OK);
    rt_sim_run(&f->w.stores.sim);
    leaf_world_write(&f->w, leaf_world_table(&f->w, "orders"),
                     "{\"op\":\"upsert\",\"row\":{\"order_id\":\"a\",\"email\":\"x@y.no\"}}\n"
                     "{\"op\":\"upsert\",\"row\":{\"order_id\":\"b\",\"note\":\"n\"}}\n");
}

static void teardown(struct fixture *f)
{
    query_nats_free(f->requests[0]);
    query_nats_free(f->requests[1]);
    rt_sim_run(&f->w.stores.sim);
    assert_int_equal(queries_pending(f->queries), 0);
    assert_int_equal(follows_count(queries_follows(f->queries)), 0);
    queries_free(f->queries);
    fake_broker_free(f->broker);
    leaf_world_done(&f->w);
}

/* From request to the last thing that follows from it; from the @fault-th allocation after the
 * request was delivered, one fails. -1: none. Says whether one has. */
static bool ask(struct fixture *f, const char *subject, const char *body, long fault)
{
    const struct sf_bus_msg m = {.subject = subject, .reply = "inbox", .data = sf_slice_text(body)};
    bool failed;

    f->answer = (struct answer){0};
    assert_int_equal(sf_bus_publish(f->asker, &m, NULL), SF_OK);
    sf_alloc_fail_after(fault, false);
    rt_sim_run(&f->w.stores.sim);
    failed = sf_alloc_faults() > 0;
    sf_alloc_fail_after(-1, false);
    return failed;
}

/*
 * What may come of a request that misses an allocation: the whole answer; an error that ends it; or
 * silence from some point on, when the answer itself found no memory. Never a part that looks
 * whole.
 */
static void assert_honest(const struct answer *a, const struct answer *whole, const char *what)
{
    if (a->ends == 0) { /* The asker waits, and asks again. */
        return;
    }
    if (a->errors == 0) {
        assert_string_equal(a->text, whole->text);
        return;
    }
    if (strcmp(a->error, "SHEAF-E0602") != 0) {
        fail_msg("%s: %s", what, a->error);
    }
    assert_int_equal(a->errors, 1);
}

static void sweep(struct fixture *f, const char *subject, const char *body)
{
    static struct answer whole;
    unsigned refused = 0;
    long n;

    (void)ask(f, subject, body, -1);
    whole = f->answer;
    assert_int_equal(whole.ends, 1);
    assert_int_equal(whole.errors, 0);
    for (n = 0; ask(f, subject, body, n); n++) {
        assert_honest(&f->answer, &whole, subject);
        refused += f->answer.errors > 0;
        assert_int_equal(queries_pending(f->queries), 0);
        assert_int_equal(follows_count(queries_follows(f->queries)), 0);
    }
    assert_true(refused > 5);
    assert_int_equal(f->answer.ends, 1);
    assert_string_equal(f->answer.text, whole.text);
}

static void requests_without_memory_are_refused_and_the_next_is_served(void **state)
{
    static const char *const requests[][2] = {
        {"describe", "{}"},
        {"get", "{\"table\":\"orders\",\"key\":[\"a\"]}"},
        {"scan", "{\"table\":\"orders\",\"select\":[\"order_id\",\"note\"]}"},
        {"scan", "{\"table\":\"orders\",\"where\":\"note = 'n'\",\"format\":\"csv\"}"},
        {"changes", "{\"table\":\"orders\",\"after\":\"1:1\"}"},
        {"changes", "{\"table\":\"orders\",\"follow\":true,\"snapshot\":true,\"seconds\":12}"},
    };
    struct fixture f;
    char subject[200];
    (void)state;

    setup(&f);
    for (size_t i = 0; i < SF_COUNT(requests); i++) {
        (void)snprintf(subject, sizeof(subject), "q.sales.orders.%s", requests[i][0]);
        sweep(&f, subject, requests[i][1]);
        (void)snprintf(subject, sizeof(subject), "dpq.sales." WORLD_ACCOUNT ".orders.%s",
                       requests[i][0]);
        sweep(&f, subject, requests[i][1]);
    }
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_without_memory_are_refused_and_the_next_is_served),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
