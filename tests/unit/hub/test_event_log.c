#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <string.h>

#include "hub/events/event_log.h"
#include "proto/errors.h"
#include "tests/lib/fake_bus.h"
#include "tests/sim/rt_sim.h"
#include "tests/unit/hub/fake_stream.h"
#include "tests/unit/hub/hub_world.h"

enum { OPS = 8 };

struct world;

struct op {
    struct event_append append;
    struct world *world;
    char domain[16];
    bool refuse;
    bool nothing;
    unsigned done;
    enum sf_code code;
    uint64_t number; /* of the event; 0: none */
    struct sf_error err;
};

struct world {
    struct rt_sim sim;
    struct fake_broker *broker;
    struct sf_bus *bus;
    struct fake_stream stream;
    struct sf_seed key;
    struct event_log *log;
    unsigned opened;
    enum sf_code open_code;
    struct sf_error open_error;
    unsigned failed;
    struct sf_error failure;
    uint64_t applied; /* number of the last event handed over */
    bool refuse_event;
    struct op ops[OPS];
};

static enum sf_code on_event(void *data, const struct event_record *r, struct sf_error *err)
{
    struct world *w = data;

    if (w->refuse_event) {
        return SF_RAISE(err, SF_NOMEM, "no room for event %lu", (unsigned long)r->event->number);
    }
    assert_int_equal(r->event->number, w->applied + 1);
    w->applied = r->event->number;
    return SF_OK;
}

static void on_open(void *data, enum sf_code code, const struct sf_error *err)
{
    struct world *w = data;

    w->opened++;
    w->open_code = code;
    if (err != NULL) {
        w->open_error = *err;
    }
}

static void on_failed(void *data, const struct sf_error *err)
{
    struct world *w = data;

    w->failed++;
    w->failure = *err;
}

static void open_log(struct world *w)
{
    const struct event_log_options o = {
        .rt = &w->sim.rt,
        .bus = w->bus,
        .hub_key = &w->key,
        .on_event = on_event,
        .on_open = on_open,
        .on_failed = on_failed,
        .data = w,
    };

    w->opened = 0;
    w->applied = 0;
    assert_int_equal(event_log_open(&o, &w->log, NULL), SF_OK);
}

static void init(struct world *w, uint64_t seed)
{
    memset(w, 0, sizeof(*w));
    rt_sim_init(&w->sim, seed);
    w->broker = fake_broker_new(&w->sim.rt);
    w->bus = fake_bus_connect(w->broker);
    world_key(0x11, &w->key);
    fake_stream_init(&w->stream, fake_bus_connect(w->broker));
}

static void finish(struct world *w)
{
    event_log_close(w->log);
    fake_stream_done(&w->stream);
    rt_sim_run_for(&w->sim, SF_NS_PER_S);
    fake_broker_free(w->broker);
    sf_seed_done(&w->key);
    rt_sim_done(&w->sim);
}

static void run(struct world *w, uint64_t seconds)
{
    rt_sim_run_for(&w->sim, seconds * SF_NS_PER_S);
}

static enum sf_code build(struct event_append *append, Sheaf__V1__Event *e, struct sf_arena *arena,
                          struct sf_error *err)
{
    struct op *op = append->data;
    Sheaf__V1__TokenIssued *m = sf_arena_alloc(arena, sizeof(*m));

    assert_non_null(m);
    if (op->refuse) {
        return SF_RAISE_E(err, SF_DENIED, SHEAF_E_DENIED, "not at event %lu",
                          (unsigned long)op->world->applied);
    }
    if (op->nothing) {
        return SF_OK;
    }
    sheaf__v1__token_issued__init(m);
    m->token_hash = op->domain;
    m->domain = op->domain;
    e->kind_case = SHEAF__V1__EVENT__KIND_TOKEN_ISSUED;
    e->token_issued = m;
    return SF_OK;
}

static void done(struct event_append *append, enum sf_code code, const struct event_record *r,
                 const struct sf_error *err)
{
    struct op *op = append->data;

    op->done++;
    op->code = code;
    op->number = r == NULL ? 0 : r->event->number;
    if (r != NULL) {
        assert_string_equal(r->event->token_issued->domain, op->domain);
        assert_int_equal(op->world->applied, r->event->number); /* applied before it is told */
    }
    if (err != NULL) {
        op->err = *err;
    }
}

static struct op *append(struct world *w, size_t i)
{
    struct op *op = &w->ops[i];

    op->world = w;
    op->append = (struct event_append){.build = build, .done = done, .data = op};
    (void)snprintf(op->domain, sizeof(op->domain), "domain%zu", i);
    assert_int_equal(event_log_append(w->log, &op->append, NULL), SF_OK);
    assert_int_equal(op->done, 0); /* never inside the call */
    return op;
}

static void test_an_empty_server_gets_a_stream_and_events_in_order(void **state)
{
    struct world w;

    (void)state;
    init(&w, 1);
    open_log(&w);
    run(&w, 2);
    assert_int_equal(w.opened, 1);
    assert_int_equal(w.open_code, SF_OK);
    for (size_t i = 0; i < 4; i++) {
        (void)append(&w, i);
    }
    run(&w, 2);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(w.ops[i].done, 1);
        assert_int_equal(w.ops[i].code, SF_OK);
        assert_int_equal(w.ops[i].number, i + 1);
    }
    assert_int_equal(w.stream.count, 4);
    assert_int_equal(event_log_head(w.log)->number, 4);
    finish(&w);
}

static void test_what_was_stored_is_read_and_checked_in_batches(void **state)
{
    struct world w;

    (void)state;
    init(&w, 2);
    open_log(&w);
    run(&w, 1);
    for (size_t i = 0; i < 2 * EVENT_READ_BATCH + 1; i++) {
        w.ops[0].done = 0;
        (void)append(&w, 0);
        run(&w, 1);
        assert_int_equal(w.ops[0].code, SF_OK);
    }
    event_log_close(w.log);
    w.stream.batches = 0;
    w.stream.silent_reads = 1;
    open_log(&w);
    run(&w, 20);
    assert_int_equal(w.open_code, SF_OK);
    assert_int_equal(w.applied, 2 * EVENT_READ_BATCH + 1);
    assert_int_equal(w.stream.batches, 3);
    assert_int_equal(append(&w, 1)->done, 0);
    run(&w, 1);
    assert_int_equal(w.ops[1].number, 2 * EVENT_READ_BATCH + 2);
    finish(&w);
}

static void test_a_lost_answer_is_looked_up_and_nothing_is_stored_twice(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct world w;

        init(&w, seed);
        open_log(&w);
        run(&w, 1);
        w.stream.lose_acks = 2;
        for (size_t i = 0; i < 3; i++) {
            (void)append(&w, i);
        }
        run(&w, 9);
        w.stream.lose_events = 2;
        (void)append(&w, 3);
        run(&w, 9);
        for (size_t i = 0; i < 4; i++) {
            assert_int_equal(w.ops[i].done, 1);
            assert_int_equal(w.ops[i].code, SF_OK);
            assert_int_equal(w.ops[i].number, i + 1);
        }
        assert_int_equal(w.stream.count, 4);
        assert_int_equal(w.failed, 0);
        finish(&w);
    }
}

static void test_a_log_that_is_away_ends_the_wait_and_takes_the_event_in_later(void **state)
{
    struct world w;

    (void)state;
    init(&w, 3);
    open_log(&w);
    run(&w, 1);
    w.stream.lose_acks = 1;
    w.stream.silent_reads = 3; /* 5 s each */
    (void)append(&w, 0);
    (void)append(&w, 1);
    run(&w, 12);
    assert_int_equal(w.ops[0].done, 1);
    assert_int_equal(w.ops[0].code, SF_TIMEOUT);
    assert_int_equal(w.ops[0].err.number, SHEAF_E_LOG_AWAY);
    assert_int_equal(w.ops[1].code, SF_TIMEOUT);
    assert_int_equal(w.applied, 0);
    run(&w, 12);
    assert_int_equal(w.applied, 1); /* it was stored after all */
    (void)append(&w, 2);
    run(&w, 1);
    assert_int_equal(w.ops[2].number, 2);
    assert_int_equal(w.ops[0].done, 1);
    finish(&w);
}

static void test_a_new_connection_ends_the_wait_for_the_old_one(void **state)
{
    struct world w;

    (void)state;
    init(&w, 9);
    open_log(&w);
    run(&w, 1);
    w.stream.lose_acks = 1;
    (void)append(&w, 0);
    (void)append(&w, 1);
    rt_sim_run_for(&w.sim, 100 * SF_NS_PER_MS);
    assert_int_equal(w.ops[0].done, 0);
    event_log_reconnected(w.log);
    rt_sim_run_for(&w.sim, 100 * SF_NS_PER_MS);
    assert_int_equal(w.ops[0].number, 1);
    assert_int_equal(w.ops[1].number, 2);
    event_log_reconnected(w.log); /* nothing is waited for */
    assert_int_equal(w.stream.count, 2);
    finish(&w);
}

static void test_each_append_decides_when_its_turn_has_come(void **state)
{
    struct world w;

    (void)state;
    init(&w, 4);
    open_log(&w);
    run(&w, 1);
    w.ops[1].refuse = true;
    w.ops[2].nothing = true;
    for (size_t i = 0; i < 4; i++) {
        (void)append(&w, i);
    }
    run(&w, 1);
    assert_int_equal(w.ops[1].code, SF_DENIED);
    assert_string_equal(w.ops[1].err.text, "not at event 1");
    assert_int_equal(w.ops[2].code, SF_OK);
    assert_int_equal(w.ops[2].number, 0);
    assert_int_equal(w.ops[3].number, 2);
    assert_int_equal(w.stream.publishes, 2);
    finish(&w);
}

static void test_another_writer_stops_the_log(void **state)
{
    struct world w;

    (void)state;
    init(&w, 5);
    open_log(&w);
    run(&w, 1);
    fake_stream_put(&w.stream, SF_LITERAL("from somebody else"));
    (void)append(&w, 0);
    (void)append(&w, 1);
    run(&w, 2);
    assert_int_equal(w.failed, 1);
    assert_int_equal(w.failure.code, SF_CONFLICT);
    assert_string_equal(w.failure.text, "event 1 was written by another hub");
    assert_int_equal(w.ops[0].code, SF_CONFLICT);
    assert_int_equal(event_log_append(w.log, &w.ops[2].append, NULL), SF_UNAVAILABLE);
    finish(&w);
    assert_int_equal(w.ops[1].done, 1);
    assert_int_equal(w.ops[1].code, SF_CLOSED);
}

static void test_damage_is_refused_with_the_event_named(void **state)
{
    struct world w;

    (void)state;
    init(&w, 6);
    open_log(&w);
    run(&w, 1);
    for (size_t i = 0; i < 3; i++) {
        (void)append(&w, i);
    }
    run(&w, 1);
    event_log_close(w.log);
    w.stream.leave_out = 2;
    open_log(&w);
    run(&w, 2);
    assert_int_equal(w.open_code, SF_CORRUPT);
    assert_string_equal(w.open_error.text, "event 2 is missing: the stream goes on with 3");
    event_log_close(w.log);

    w.stream.leave_out = 3;
    open_log(&w);
    run(&w, 2);
    assert_int_equal(w.open_code, SF_CORRUPT);
    assert_string_equal(w.open_error.text, "event 3 of 3 is missing");
    event_log_close(w.log);

    w.stream.leave_out = 0;
    w.stream.events[1].data[20] ^= 1;
    open_log(&w);
    run(&w, 2);
    assert_string_equal(w.open_error.text, "event 2: its signature does not hold");
    w.stream.events[1].data[20] ^= 1;
    event_log_close(w.log);

    w.stream.allows_delete = true;
    open_log(&w);
    run(&w, 2);
    assert_string_equal(w.open_error.text, "stream HUB_EVENTS allows to delete or purge events");
    event_log_close(w.log);

    w.stream.allows_delete = false;
    w.stream.first = 2;
    open_log(&w);
    run(&w, 2);
    assert_string_equal(w.open_error.text, "event 1 is missing: the stream begins with event 2");
    finish(&w);
}

static void test_an_event_that_cannot_be_applied_stops_the_log(void **state)
{
    struct world w;

    (void)state;
    init(&w, 7);
    open_log(&w);
    run(&w, 1);
    w.refuse_event = true;
    (void)append(&w, 0);
    run(&w, 1);
    assert_int_equal(w.failed, 1);
    assert_string_equal(w.failure.text, "no room for event 1");
    assert_int_equal(w.ops[0].code, SF_NOMEM);
    finish(&w);
}

static void test_the_queue_is_bounded_and_an_abandoned_append_is_forgotten(void **state)
{
    static struct event_append many[EVENT_LOG_WAITING_MAX];
    struct world w;
    struct op *first = &w.ops[0];

    (void)state;
    init(&w, 8);
    open_log(&w);
    run(&w, 1);
    for (size_t i = 0; i < EVENT_LOG_WAITING_MAX; i++) {
        many[i] = (struct event_append){.build = build, .done = done, .data = first};
        assert_int_equal(event_log_append(w.log, &many[i], NULL), SF_OK);
    }
    assert_int_equal(event_log_append(w.log, &w.ops[1].append, NULL), SF_BUSY);
    first->nothing = true;
    first->world = &w;
    event_log_abandon(w.log, &many[7]);
    run(&w, 1);
    assert_int_equal(first->done, EVENT_LOG_WAITING_MAX - 1);
    (void)append(&w, 2);
    run(&w, 1);
    assert_int_equal(w.ops[2].number, 1);
    finish(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_empty_server_gets_a_stream_and_events_in_order),
        cmocka_unit_test(test_what_was_stored_is_read_and_checked_in_batches),
        cmocka_unit_test(test_a_lost_answer_is_looked_up_and_nothing_is_stored_twice),
        cmocka_unit_test(test_a_log_that_is_away_ends_the_wait_and_takes_the_event_in_later),
        cmocka_unit_test(test_a_new_connection_ends_the_wait_for_the_old_one),
        cmocka_unit_test(test_each_append_decides_when_its_turn_has_come),
        cmocka_unit_test(test_another_writer_stops_the_log),
        cmocka_unit_test(test_damage_is_refused_with_the_event_named),
        cmocka_unit_test(test_an_event_that_cannot_be_applied_stops_the_log),
        cmocka_unit_test(test_the_queue_is_bounded_and_an_abandoned_append_is_forgotten),
    };

    return cmocka_run_group_tests_name("event_log", tests, NULL, NULL);
}
