/* What only the bus over nats.c can show: a server that hangs, dies, or does not know us. */
#include "tests/lib/cmocka.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/bus/bus_nats.h"
#include "common/identity/nkey.h"
#include "common/sys/file.h"
#include "tests/lib/nats_fixture.h"

struct world {
    struct test_loop loop;
    struct tmpdir dir;
    struct nats_server server;
    struct sf_seed user;
    char nkey[SF_NKEY_TEXT_MAX];
    struct sf_bus *bus;
    size_t closed;
};

static void write_config(struct world *w, const char *nkey)
{
    struct sf_buf text = {0};

    sf_buf_printf(&text, "listen: \"127.0.0.1:%u\"\nlog_file: \"%s\"\n", w->server.port,
                  w->server.log_path);
    sf_buf_printf(&text, "authorization { users: [ { nkey: %s } ] }\n", nkey);
    assert_int_equal(sf_file_write(w->server.config_path, sf_buf_view(&text), 0600, NULL), SF_OK);
    sf_buf_done(&text);
}

static struct sf_bus *dial(struct world *w, const struct sf_seed *user)
{
    char url[64];
    char nkey[SF_NKEY_TEXT_MAX];
    const char *urls[] = {url};
    struct sf_bus_nats_options o = {
        .urls = urls,
        .url_count = 1,
        .name = "test",
        .user = user,
        .nkey = nkey,
        .out_bytes_max = 4 * 1024 * 1024,
    };
    struct sf_bus *bus = NULL;

    (void)snprintf(url, sizeof(url), "nats://127.0.0.1:%u", w->server.port);
    sf_nkey_format(SF_NKEY_USER, &user->public_key, nkey);
    assert_int_equal(sf_bus_nats_open(w->loop.rt, &o, &bus, NULL), SF_OK);
    return bus;
}

static bool is_up(void *data)
{
    return sf_bus_connected(data);
}

static bool is_down(void *data)
{
    return !sf_bus_connected(data);
}

static int start(void **state)
{
    static struct world w;

    w = (struct world){0};
    test_loop_init(&w.loop);
    tmpdir_init(&w.dir);
    assert_int_equal(sf_crypto_init(NULL), SF_OK);
    assert_int_equal(sf_seed_generate(&w.user, NULL), SF_OK);
    sf_nkey_format(SF_NKEY_USER, &w.user.public_key, w.nkey);
    w.server.port = nats_server_port();
    (void)tmpdir_join(&w.dir, "server.conf", w.server.config_path);
    (void)tmpdir_join(&w.dir, "server.log", w.server.log_path);
    write_config(&w, w.nkey);
    nats_server_start(&w.server);
    w.bus = dial(&w, &w.user);
    test_loop_until(&w.loop, is_up, w.bus, "connected", FIXTURE_WAIT_MS);
    *state = &w;
    return 0;
}

static void on_closed(void *data)
{
    struct world *w = data;

    w->closed++;
}

static void close_bus(struct world *w, struct sf_bus *bus)
{
    size_t want = w->closed + 1;

    sf_bus_nats_close(bus, on_closed, w);
    test_loop_until_count(&w->loop, &w->closed, want, "closed", FIXTURE_WAIT_MS);
}

static int stop(void **state)
{
    struct world *w = *state;

    close_bus(w, w->bus);
    nats_server_kill(&w->server);
    sf_seed_done(&w->user);
    tmpdir_done(&w->dir);
    test_loop_done(&w->loop);
    return 0;
}

struct counted {
    struct sf_bus_sub sub;
    size_t count;
};

static void on_msg(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    (void)m;
    SF_CONTAINER_OF(sub, struct counted, sub)->count++;
}

static void test_a_server_that_hangs_makes_the_bus_busy_and_never_the_loop_wait(void **state)
{
    static uint8_t data[64 * 1024];
    struct world *w = *state;
    struct sf_bus_msg m = {.subject = "x", .data = sf_slice_of(data, sizeof(data))};
    struct counted got = {.sub = {.on_msg = on_msg}};
    struct sf_error err = {0};
    size_t accepted = 0;
    enum sf_code code = SF_OK;
    uint64_t before;

    assert_int_equal(sf_bus_subscribe(w->bus, &got.sub, "x", NULL, NULL), SF_OK);
    assert_int_equal(nats_flush(&w->loop, w->bus, 5000), SF_OK);
    nats_server_signal(&w->server, SIGSTOP);
    /* Sockets take some megabytes, then the queue fills up to its limit. */
    for (int turn = 0; turn < 500 && code == SF_OK; turn++) {
        test_loop_idle(&w->loop, 1);
        before = sf_rt_now_ns(w->loop.rt);
        code = sf_bus_publish(w->bus, &m, &err);
        accepted += code == SF_OK;
        test_loop_idle(&w->loop, 0);
        assert_true(sf_rt_now_ns(w->loop.rt) - before < 5 * SF_NS_PER_S);
    }
    assert_int_equal(code, SF_BUSY);
    assert_string_equal(err.text, "too many bytes wait for NATS");
    assert_int_equal(nats_flush(&w->loop, w->bus, 50), SF_TIMEOUT);
    nats_server_signal(&w->server, SIGCONT);
    test_loop_until_count(&w->loop, &got.count, accepted, "all that was accepted", FIXTURE_WAIT_MS);
    assert_int_equal(nats_flush(&w->loop, w->bus, 5000), SF_OK);
    assert_int_equal(sf_bus_publish(w->bus, &m, NULL), SF_OK);
    test_loop_until_count(&w->loop, &got.count, accepted + 1, "one more", FIXTURE_WAIT_MS);
    sf_bus_unsubscribe(w->bus, &got.sub);
}

struct reconnected {
    struct sf_bus *bus;
    uint64_t connects;
};

static bool has_reconnected(void *data)
{
    const struct reconnected *r = data;
    struct sf_bus_nats_stats stats;

    sf_bus_nats_stats(r->bus, &stats);
    return stats.connects > r->connects && sf_bus_connected(r->bus);
}

static void test_a_flush_does_not_hold_for_messages_that_died_with_a_server(void **state)
{
    struct world *w = *state;
    struct sf_bus_msg m = {.subject = "x", .data = SF_LITERAL("1")};
    struct reconnected r = {.bus = w->bus, .connects = 1};

    nats_server_signal(&w->server, SIGSTOP);
    assert_int_equal(sf_bus_publish(w->bus, &m, NULL), SF_OK);
    test_loop_idle(&w->loop, 20); /* written to a socket that nobody reads */
    nats_server_kill(&w->server);
    nats_server_start(&w->server);
    test_loop_until(&w->loop, has_reconnected, &r, "reconnected", FIXTURE_WAIT_MS);
    assert_int_equal(nats_flush(&w->loop, w->bus, 5000), SF_UNAVAILABLE);
    assert_int_equal(sf_bus_publish(w->bus, &m, NULL), SF_OK);
    assert_int_equal(nats_flush(&w->loop, w->bus, 5000), SF_OK);
}

static bool has_error(void *data)
{
    struct sf_bus_nats_stats stats;

    sf_bus_nats_stats(data, &stats);
    return strstr(stats.last_error, "uthoriz") != NULL;
}

static void test_a_user_that_is_refused_tries_on_until_he_is_known(void **state)
{
    struct world *w = *state;
    struct sf_seed other = {0};
    char nkey[SF_NKEY_TEXT_MAX];
    struct sf_bus *bus;

    assert_int_equal(sf_seed_generate(&other, NULL), SF_OK);
    bus = dial(w, &other);
    test_loop_until(&w->loop, has_error, bus, "refused", FIXTURE_WAIT_MS);
    assert_false(sf_bus_connected(bus));
    sf_nkey_format(SF_NKEY_USER, &other.public_key, nkey);
    write_config(w, nkey); /* this one is known now, and the first no more */
    nats_server_signal(&w->server, SIGHUP);
    test_loop_until(&w->loop, is_up, bus, "let in", FIXTURE_WAIT_MS);
    test_loop_until(&w->loop, is_down, w->bus, "the other turned out", FIXTURE_WAIT_MS);
    test_loop_idle(&w->loop, 1500); /* refused several times: nats.c gives up, we do not */
    write_config(w, w->nkey);
    nats_server_signal(&w->server, SIGHUP);
    test_loop_until(&w->loop, is_up, w->bus, "let in again", FIXTURE_WAIT_MS);
    close_bus(w, bus);
    sf_seed_done(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_a_server_that_hangs_makes_the_bus_busy_and_never_the_loop_wait, start, stop),
        cmocka_unit_test_setup_teardown(
            test_a_flush_does_not_hold_for_messages_that_died_with_a_server, start, stop),
        cmocka_unit_test_setup_teardown(test_a_user_that_is_refused_tries_on_until_he_is_known,
                                        start, stop),
    };

    return cmocka_run_group_tests_name("nats_bus", tests, NULL, NULL);
}
