/* The supervisor of nats-server with the real one, and with programs that only look like one. */
#include "tests/lib/cmocka.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/bus/natsd.h"
#include "common/bus/natsd_config.h"
#include "common/sys/file.h"
#include "common/sys/process.h"
#include "proto/errors.h"
#include "tests/lib/nats_fixture.h"

struct watched {
    struct test_loop loop;
    struct tmpdir dir;
    char config_path[PATH_MAX];
    char output_path[PATH_MAX];
    char wipe_dir[PATH_MAX];
    char stale[PATH_MAX];
    char log_path[PATH_MAX];
    uint16_t port;
    struct sf_natsd *natsd;
    struct sf_natsd_options options;
    size_t configured;
    size_t up;
    size_t down;
    bool has_failed;
    struct sf_error failure;
    bool is_closed;
    bool writes_nonsense;
    bool saw_stale; /* while it was configured: the directory was not empty */
};

static enum sf_code configure(void *data, struct sf_buf *ret, struct sf_error *err)
{
    struct watched *w = data;

    (void)err;
    w->configured++;
    w->saw_stale = w->saw_stale || sf_file_exists(w->stale);
    if (w->writes_nonsense) {
        sf_buf_text(ret, "this is { no configuration\n");
    } else {
        sf_buf_printf(ret, "server_name: start-%zu\nlisten: \"127.0.0.1:%u\"\nlog_file: \"%s\"\n",
                      w->configured, w->port, w->log_path);
    }
    return SF_OK;
}

static void on_up(void *data)
{
    struct watched *w = data;

    w->up++;
}

static void on_down(void *data)
{
    struct watched *w = data;

    w->down++;
}

static void on_failed(void *data, const struct sf_error *err)
{
    struct watched *w = data;

    assert_false(w->has_failed);
    w->has_failed = true;
    w->failure = *err;
}

static void on_closed(void *data)
{
    struct watched *w = data;

    w->is_closed = true;
}

static int start(void **state)
{
    static struct watched w;

    w = (struct watched){.port = nats_server_port()};
    test_loop_init(&w.loop);
    tmpdir_init(&w.dir);
    w.options = (struct sf_natsd_options){
        .config_path = tmpdir_join(&w.dir, "server.conf", w.config_path),
        .output_path = tmpdir_join(&w.dir, "server.out", w.output_path),
        .wipe_dir = tmpdir_join(&w.dir, "cache", w.wipe_dir),
        .client_port = w.port,
        .configure = configure,
        .on_up = on_up,
        .on_down = on_down,
        .on_failed = on_failed,
        .data = &w,
    };
    (void)tmpdir_join(&w.dir, "server.log", w.log_path);
    (void)tmpdir_join(&w.dir, "cache/old.jwt", w.stale);
    *state = &w;
    return 0;
}

static void close_natsd(struct watched *w)
{
    sf_natsd_close(w->natsd, on_closed, w);
    assert_false(w->is_closed);
    test_loop_until_flag(&w->loop, &w->is_closed, "closed", FIXTURE_WAIT_MS);
    w->natsd = NULL;
}

static int stop(void **state)
{
    struct watched *w = *state;

    if (w->natsd != NULL) {
        close_natsd(w);
    }
    tmpdir_done(&w->dir);
    test_loop_done(&w->loop);
    return 0;
}

static void leave_stale_file(struct watched *w)
{
    assert_int_equal(sf_dir_make(w->wipe_dir, 0700, NULL), SF_OK);
    assert_int_equal(sf_file_write(w->stale, SF_LITERAL("old"), 0600, NULL), SF_OK);
}

static void run_natsd(struct watched *w)
{
    struct sf_error err = {0};

    if (sf_natsd_start(w->loop.uv, &w->options, &w->natsd, &err) != SF_OK) {
        fail_msg("%s", err.text);
    }
}

static void test_it_comes_up_and_comes_back_with_a_new_configuration(void **state)
{
    struct watched *w = *state;
    struct stat st;
    struct sf_buf text = {0};
    int pid;

    leave_stale_file(w);
    run_natsd(w);
    assert_int_equal(w->configured, 0); /* not inside the call */
    test_loop_until_count(&w->loop, &w->up, 1, "up", FIXTURE_WAIT_MS);
    assert_string_equal(sf_natsd_version(w->natsd), SF_NATSD_VERSION_MIN);
    assert_false(w->saw_stale);
    assert_int_equal(stat(w->config_path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    pid = sf_natsd_pid(w->natsd);
    assert_true(pid > 0);
    leave_stale_file(w);
    assert_int_equal(kill(pid, SIGKILL), 0);
    test_loop_until_count(&w->loop, &w->down, 1, "down", FIXTURE_WAIT_MS);
    assert_int_equal(w->up, 1);
    test_loop_until_count(&w->loop, &w->up, 2, "up again", FIXTURE_WAIT_MS);
    assert_int_equal(w->configured, 2);
    assert_false(w->saw_stale);
    assert_int_not_equal(sf_natsd_pid(w->natsd), pid);
    assert_int_equal(sf_file_read(w->config_path, 4096, &text, NULL), SF_OK);
    assert_memory_equal(text.data, "server_name: start-2\n", 21);
    sf_buf_done(&text);
    pid = sf_natsd_pid(w->natsd);
    close_natsd(w);
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(w->down, 1); /* its end was asked for */
    assert_false(w->has_failed);
}

/* A program that answers --version with @version. */
static void pretend(struct watched *w, const char *version, char ret_path[PATH_MAX])
{
    char text[256];

    (void)snprintf(text, sizeof(text), "#!/bin/sh\necho '%s'\n", version);
    assert_int_equal(sf_file_write(tmpdir_join(&w->dir, "nats-server", ret_path),
                                   sf_slice_text(text), 0700, NULL),
                     SF_OK);
    w->options.binary = ret_path;
}

static void test_one_that_is_too_old_is_refused_before_it_is_started(void **state)
{
    struct watched *w = *state;
    char path[PATH_MAX];

    pretend(w, "nats-server: v2.10.27", path);
    run_natsd(w);
    test_loop_until_flag(&w->loop, &w->has_failed, "refused", FIXTURE_WAIT_MS);
    assert_int_equal(w->failure.code, SF_UNAVAILABLE);
    assert_int_equal(w->failure.number, SHEAF_E_NATS_TOO_OLD);
    assert_string_equal(w->failure.text,
                        "nats-server is version 2.10.27; version 2.15.1 or newer is needed");
    assert_int_equal(w->configured, 0);
    assert_int_equal(sf_natsd_pid(w->natsd), 0);
}

static void test_one_that_is_killed_while_it_tells_its_version_is_asked_again(void **state)
{
    struct watched *w = *state;
    char path[PATH_MAX];

    pretend(w, "'; [ -e \"$0.asked\" ] || { : >\"$0.asked\"; kill -9 $$; }; echo '2.10.27", path);
    run_natsd(w);
    test_loop_until_flag(&w->loop, &w->has_failed, "refused", FIXTURE_WAIT_MS);
    assert_int_equal(w->failure.number, SHEAF_E_NATS_TOO_OLD);
}

static void test_one_that_is_not_there_is_told_at_once(void **state)
{
    struct watched *w = *state;
    struct sf_error err = {0};

    w->options.binary = "/nowhere/nats-server";
    assert_int_equal(sf_natsd_start(w->loop.uv, &w->options, &w->natsd, &err), SF_ABSENT);
    assert_int_equal(err.number, SHEAF_E_NATS_MISSING);
    assert_string_equal(err.text, "nats-server was not found at '/nowhere/nats-server'");
}

static void test_a_port_that_is_taken_is_told(void **state)
{
    struct watched *w = *state;
    struct watched other = {.port = w->port};
    struct nats_server server = {.port = w->port};
    struct sf_buf text = {0};
    char want[64];

    (void)tmpdir_join(&w->dir, "other.conf", server.config_path);
    (void)tmpdir_join(&w->dir, "other.log", other.log_path);
    assert_int_equal(configure(&other, &text, NULL), SF_OK);
    assert_int_equal(sf_file_write(server.config_path, sf_buf_view(&text), 0600, NULL), SF_OK);
    sf_buf_done(&text);
    nats_server_start(&server);
    run_natsd(w);
    test_loop_until_flag(&w->loop, &w->has_failed, "refused", FIXTURE_WAIT_MS);
    (void)snprintf(want, sizeof(want), "port %u is in use", w->port);
    assert_int_equal(w->failure.number, SHEAF_E_PORT_IN_USE);
    assert_string_equal(w->failure.text, want);
    assert_int_equal(w->up, 0);
    nats_server_kill(&server);
}

static void test_one_that_never_comes_up_is_given_up_after_five_starts(void **state)
{
    struct watched *w = *state;

    w->writes_nonsense = true;
    run_natsd(w);
    test_loop_until_flag(&w->loop, &w->has_failed, "given up", FIXTURE_WAIT_MS);
    assert_int_equal(w->configured, 5);
    assert_int_equal(w->failure.number, SHEAF_E_INTERNAL);
    assert_memory_equal(w->failure.text, "nats-server ended 5 times before it took connections",
                        52);
    assert_int_equal(w->up, 0);
    assert_int_equal(w->down, 0);
}

static void test_closing_while_it_starts_leaves_nothing_behind(void **state)
{
    struct watched *w = *state;

    run_natsd(w);
    close_natsd(w); /* while the version is asked */
    w->is_closed = false;
    run_natsd(w);
    test_loop_until_count(&w->loop, &w->configured, 1, "started", FIXTURE_WAIT_MS);
    close_natsd(w);
    assert_int_equal(w->up, 0);
    assert_true(sf_port_is_free(w->port));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_it_comes_up_and_comes_back_with_a_new_configuration,
                                        start, stop),
        cmocka_unit_test_setup_teardown(test_one_that_is_too_old_is_refused_before_it_is_started,
                                        start, stop),
        cmocka_unit_test_setup_teardown(
            test_one_that_is_killed_while_it_tells_its_version_is_asked_again, start, stop),
        cmocka_unit_test_setup_teardown(test_one_that_is_not_there_is_told_at_once, start, stop),
        cmocka_unit_test_setup_teardown(test_a_port_that_is_taken_is_told, start, stop),
        cmocka_unit_test_setup_teardown(test_one_that_never_comes_up_is_given_up_after_five_starts,
                                        start, stop),
        cmocka_unit_test_setup_teardown(test_closing_while_it_starts_leaves_nothing_behind, start,
                                        stop),
    };

    sf_process_shim(argc, argv);
    return cmocka_run_group_tests_name("nats_supervisor", tests, NULL, NULL);
}
