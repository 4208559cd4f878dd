#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <string.h>

#include "common/sys/file.h"
#include "hub/claims/pusher.h"
#include "tests/lib/fake_bus.h"
#include "tests/lib/tmpdir.h"
#include "tests/sim/rt_sim.h"

enum { SERVERS_MAX = 3 };

/* What stands for the nats-servers: each answers a push and tells what is in force. */
struct world {
    struct rt_sim sim;
    struct fake_broker *broker;
    struct sf_bus *bus;    /* of the hub */
    struct sf_bus *server; /* of the servers */
    struct tmpdir tmp;
    struct directory directory;
    struct pusher *pusher;
    struct sf_bus_sub update;
    struct sf_bus_sub info;
    unsigned servers;   /* that answer */
    unsigned refusals;  /* the next so many pushes are refused */
    unsigned forgets;   /* the next so many accepted pushes do not come into force */
    bool unloaded;      /* nobody has used the account */
    char in_force[256]; /* the JWT */
    size_t pushes;
    size_t done;
};

static void answer(struct world *w, const char *reply, const char *text)
{
    const struct sf_bus_msg m = {.subject = reply, .data = sf_slice_text(text)};

    assert_int_equal(sf_bus_publish(w->server, &m, NULL), SF_OK);
}

/* What is pushed stands in the file already. */
static void expect_written(const struct world *w, struct sf_slice jwt)
{
    struct sf_buf file = {0};
    char path[PATH_MAX];

    assert_int_equal(sf_file_read(tmpdir_join(&w->tmp, "A1.jwt", path), 100, &file, NULL), SF_OK);
    assert_true(sf_slice_equal(sf_buf_view(&file), jwt));
    sf_buf_done(&file);
}

static void on_update(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct world *w = sub->data;
    bool refused = w->refusals > 0;

    expect_written(w, m->data);
    w->pushes++;
    w->refusals -= refused;
    if (!refused && w->forgets > 0) {
        w->forgets--;
    } else if (!refused) {
        (void)snprintf(w->in_force, sizeof(w->in_force), "%.*s", SF_SLICE_ARG(m->data));
    }
    for (unsigned i = 0; i < w->servers; i++) {
        answer(w, m->reply,
               refused ? "{\"error\":{\"code\":500,\"description\":\"no\"}}"
                       : "{\"data\":{\"account\":\"A1\",\"code\":200,\"message\":\"ok\"}}");
    }
}

static void on_info(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct world *w = sub->data;
    char text[512];

    (void)snprintf(text, sizeof(text),
                   w->unloaded ? "{\"error\":{\"code\":500,\"description\":\"Account A1 does not "
                                 "exist%.0s\"}}"
                               : "{\"data\":{\"jwt\":\"%s\"}}",
                   w->in_force);
    answer(w, m->reply, text);
}

static void put(struct world *w, const char *jwt)
{
    assert_int_equal(directory_put(&w->directory, "A1", sf_slice_text(jwt), NULL), SF_OK);
    if (w->pusher != NULL) {
        assert_int_equal(pusher_mark(w->pusher, "A1", NULL), SF_OK);
    }
}

static void init(struct world *w)
{
    struct pusher_options o;

    memset(w, 0, sizeof(*w));
    rt_sim_init(&w->sim, 7);
    tmpdir_init(&w->tmp);
    w->broker = fake_broker_new(&w->sim.rt);
    w->bus = fake_bus_connect(w->broker);
    w->server = fake_bus_connect(w->broker);
    w->servers = 1;
    w->update = (struct sf_bus_sub){.on_msg = on_update, .data = w};
    w->info = (struct sf_bus_sub){.on_msg = on_info, .data = w};
    assert_int_equal(sf_bus_subscribe(w->server, &w->update, "$SYS.REQ.CLAIMS.UPDATE", NULL, NULL),
                     SF_OK);
    assert_int_equal(sf_bus_subscribe(w->server, &w->info, "$SYS.REQ.ACCOUNT.A1.INFO", NULL, NULL),
                     SF_OK);
    o = (struct pusher_options){
        .rt = &w->sim.rt,
        .sys = w->bus,
        .directory = &w->directory,
        .dir = w->tmp.path,
    };
    assert_int_equal(pusher_new(&o, &w->pusher, NULL), SF_OK);
}

static void finish(struct world *w)
{
    pusher_free(w->pusher);
    sf_bus_unsubscribe(w->server, &w->update);
    sf_bus_unsubscribe(w->server, &w->info);
    rt_sim_run_for(&w->sim, SF_NS_PER_S);
    fake_broker_free(w->broker);
    directory_done(&w->directory);
    tmpdir_done(&w->tmp);
    rt_sim_done(&w->sim);
}

static void on_done(struct pusher_wait *wait)
{
    ((struct world *)wait->data)->done++;
}

static void run_ms(struct world *w, uint64_t ms)
{
    rt_sim_run_for(&w->sim, ms * SF_NS_PER_MS);
}

static void test_a_marked_account_is_written_pushed_and_verified(void **state)
{
    struct world w;
    struct pusher_wait wait = {.done = on_done, .data = &w};
    struct sf_buf file = {0};
    char path[PATH_MAX];

    (void)state;
    init(&w);
    put(&w, "jwt-1");
    pusher_wait(w.pusher, &wait, "A1");
    assert_false(pusher_is_done(w.pusher, "A1"));
    run_ms(&w, 900);
    assert_int_equal(w.done, 1);
    assert_int_equal(w.pushes, 1);
    assert_true(pusher_is_done(w.pusher, "A1"));
    assert_string_equal(w.in_force, "jwt-1");
    assert_int_equal(sf_file_read(tmpdir_join(&w.tmp, "A1.jwt", path), 100, &file, NULL), SF_OK);
    assert_string_equal(sf_buf_cstr(&file), "jwt-1");
    sf_buf_done(&file);
    finish(&w);
}

static void test_refused_and_forgotten_pushes_are_made_again(void **state)
{
    struct world w;
    struct pusher_wait wait = {.done = on_done, .data = &w};

    (void)state;
    init(&w);
    w.refusals = 2;
    w.forgets = 1; /* "200" is not "in force" */
    put(&w, "jwt-1");
    pusher_wait(w.pusher, &wait, "A1");
    run_ms(&w, 5000);
    assert_int_equal(w.done, 1);
    assert_int_equal(w.pushes, 4);
    finish(&w);
}

static void test_an_account_nobody_uses_is_done_when_the_push_is_answered(void **state)
{
    struct world w;

    (void)state;
    init(&w);
    w.unloaded = true;
    put(&w, "jwt-1");
    run_ms(&w, 900);
    assert_true(pusher_is_done(w.pusher, "A1"));
    assert_int_equal(w.pushes, 1);
    finish(&w);
}

static void test_every_server_has_to_answer(void **state)
{
    struct world w;
    struct pusher_wait wait = {.done = on_done, .data = &w};

    (void)state;
    init(&w);
    pusher_set_servers(w.pusher, 3);
    w.servers = 2;
    put(&w, "jwt-1");
    pusher_wait(w.pusher, &wait, "A1");
    run_ms(&w, 900);
    assert_int_equal(w.done, 0);
    run_ms(&w, 10000);
    assert_int_equal(w.done, 0);
    assert_true(w.pushes > 2);
    w.servers = 3;
    run_ms(&w, 6000);
    assert_int_equal(w.done, 1);
    finish(&w);
}

static void test_a_change_during_a_push_is_pushed_too(void **state)
{
    (void)state;
    for (uint64_t step = 0; step < 40; step++) {
        struct world w;
        struct pusher_wait first = {.done = on_done, .data = &w};
        struct pusher_wait second = {.done = on_done, .data = &w};

        init(&w);
        put(&w, "jwt-1");
        pusher_wait(w.pusher, &first, "A1");
        for (uint64_t i = 0; i < step; i++) {
            (void)rt_sim_step(&w.sim);
        }
        put(&w, "jwt-2");
        pusher_wait(w.pusher, &second, "A1");
        run_ms(&w, 3000);
        assert_int_equal(w.done, 2);
        assert_string_equal(w.in_force, "jwt-2");
        assert_true(pusher_is_done(w.pusher, "A1"));
        finish(&w);
    }
}

static void test_no_connection_is_waited_out(void **state)
{
    struct world w;

    (void)state;
    init(&w);
    fake_bus_set_connected(w.bus, false);
    put(&w, "jwt-1");
    run_ms(&w, 3000);
    assert_int_equal(pusher_pending(w.pusher), 1);
    fake_bus_set_connected(w.bus, true);
    run_ms(&w, 6000);
    assert_int_equal(pusher_pending(w.pusher), 0);
    assert_string_equal(w.in_force, "jwt-1");
    finish(&w);
}

struct lookup {
    struct sf_bus_call call;
    size_t answers;
    char text[64];
};

static void on_lookup(struct sf_bus_call *call, enum sf_bus_outcome outcome,
                      const struct sf_bus_msg *m)
{
    struct lookup *l = call->data;

    assert_int_equal(outcome, SF_BUS_ANSWERED);
    l->answers++;
    (void)snprintf(l->text, sizeof(l->text), "%.*s", SF_SLICE_ARG(m->data));
}

static void test_lookups_are_answered_with_the_current_text_or_nothing(void **state)
{
    const struct sf_bus_msg known = {.subject = "$SYS.REQ.ACCOUNT.A1.CLAIMS.LOOKUP"};
    const struct sf_bus_msg unknown = {.subject = "$SYS.REQ.ACCOUNT.A2.CLAIMS.LOOKUP"};
    struct world w;
    struct lookup l = {.call = {.done = on_lookup, .data = &l}};

    (void)state;
    init(&w);
    put(&w, "jwt-1");
    assert_int_equal(sf_bus_request(w.server, &l.call, &known, SF_NS_PER_S, NULL), SF_OK);
    run_ms(&w, 500);
    assert_string_equal(l.text, "jwt-1");
    assert_int_equal(sf_bus_request(w.server, &l.call, &unknown, SF_NS_PER_S, NULL), SF_OK);
    run_ms(&w, 500);
    assert_int_equal(l.answers, 2);
    assert_string_equal(l.text, "");
    finish(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_marked_account_is_written_pushed_and_verified),
        cmocka_unit_test(test_refused_and_forgotten_pushes_are_made_again),
        cmocka_unit_test(test_an_account_nobody_uses_is_done_when_the_push_is_answered),
        cmocka_unit_test(test_every_server_has_to_answer),
        cmocka_unit_test(test_a_change_during_a_push_is_pushed_too),
        cmocka_unit_test(test_no_connection_is_waited_out),
        cmocka_unit_test(test_lookups_are_answered_with_the_current_text_or_nothing),
    };

    return cmocka_run_group_tests_name("pusher", tests, NULL, NULL);
}
