/* What the hub refuses at its start, with the words and the exit status its user gets. */
#include "tests/integration/hub_test.h"

#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/sys/file.h"

/* Runs a hub to its end with these arguments; its log must hold @words. */
static void expect_refusal(const struct hub_test *h, const char *const *arguments, int status,
                           const char *words)
{
    const char *argv[16] = {getenv("TEST_HUB")};
    struct proc p = {0};
    char log_path[PATH_MAX];
    char *log;
    size_t n = 1;

    assert_non_null(argv[0]);
    while (arguments[n - 1] != NULL) {
        argv[n] = arguments[n - 1];
        n++;
        assert_true(n < SF_COUNT(argv));
    }
    (void)tmpdir_join(&h->tmp, "refused.log", log_path);
    (void)remove(log_path);
    proc_start(&p, &(struct proc_options){.argv = argv, .log_path = log_path});
    assert_int_equal(proc_wait_exit(&p, 20000), status);
    log = proc_log(&p);
    if (strstr(log, words) == NULL) {
        fail_msg("'%s' is not in: %s", words, log);
    }
    sf_free(log);
}

#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_wrong_arguments_are_refused(void **state)
{
    struct hub_test h;
    char data[PATH_MAX];

    (void)state;
    hub_test_init(&h);
    (void)tmpdir_join(&h.tmp, "other", data);
    expect_refusal(&h, ARGS("--http", "127.0.0.1:0"), 2,
                   "error[SHEAF-E0801]: wrong usage: data is required: --data DIR, or in the file");
    expect_refusal(&h, ARGS("--data", data, "--http", "8080"), 2,
                   "wrong usage: --http: '8080' is not ADDRESS:PORT");
    expect_refusal(&h, ARGS("--data", data, "--nats-port", "70000"), 2, "error[SHEAF-E0801]: ");
    expect_refusal(&h, ARGS("--data", data, "--colour", "red"), 2, "error[SHEAF-E0801]: ");
    expect_refusal(&h, ARGS("--data", data, "--http", "0.0.0.0:0"), 2,
                   "wrong usage: 0.0.0.0 is not a loopback address");
    assert_false(sf_file_exists(data));
    hub_test_done(&h);
}

static void test_ports_that_are_in_use_are_refused(void **state)
{
    struct hub_test h;
    char data[PATH_MAX];
    char http[64];
    char port[16];
    char words[128];

    (void)state;
    hub_test_init(&h);
    (void)tmpdir_join(&h.tmp, "other", data);
    (void)snprintf(http, sizeof(http), "127.0.0.1:%u", h.http);
    (void)snprintf(words, sizeof(words),
                   "error[SHEAF-E0701]: the port is in use: port %u for HTTP is in use", h.http);
    expect_refusal(&h, ARGS("--data", data, "--http", http), 6, words);
    (void)snprintf(port, sizeof(port), "%u", h.nats);
    (void)snprintf(words, sizeof(words),
                   "error[SHEAF-E0701]: the port is in use: port %u for NATS is in use", h.nats);
    expect_refusal(&h, ARGS("--data", data, "--http", "127.0.0.1:0", "--nats-port", port), 6,
                   words);
    hub_test_done(&h);
}

static void test_a_directory_of_another_version_is_refused(void **state)
{
    struct hub_test h;
    char data[PATH_MAX];
    char path[PATH_MAX];

    (void)state;
    hub_test_init(&h);
    (void)tmpdir_join(&h.tmp, "other", data);
    (void)tmpdir_join(&h.tmp, "other/FORMAT", path);
    assert_int_equal(sf_dir_make(data, 0700, NULL), SF_OK);
    assert_int_equal(sf_file_write(path, SF_LITERAL("sheaf-hub 2\n"), 0600, NULL), SF_OK);
    expect_refusal(&h, ARGS("--data", data, "--http", "127.0.0.1:0"), 6,
                   "was not written by this version of the hub");
    hub_test_done(&h);
}

static void test_a_nats_server_that_cannot_be_used_is_refused(void **state)
{
    static const char forgets[] =
        "#!/bin/sh\nfor last in \"$@\"; do :; done\n"
        "[ -f \"$last\" ] && sed -i 's/sync_interval: always/sync_interval: \"2m\"/' \"$last\"\n"
        "exec \"$REAL_NATS_SERVER\" \"$@\"\n";
    struct hub_test h;
    char data[PATH_MAX];
    char script[PATH_MAX];

    (void)state;
    hub_test_init(&h);
    (void)tmpdir_join(&h.tmp, "other", data);
    expect_refusal(&h,
                   ARGS("--data", data, "--http", "127.0.0.1:0", "--nats-port", "0",
                        "--leafnode-port", "0", "--nats-server", "/nowhere/nats-server"),
                   7, "error[SHEAF-E0702]: ");
    (void)tmpdir_join(&h.tmp, "nats-server", script);
    assert_int_equal(sf_file_write(script, sf_slice_text(forgets), 0700, NULL), SF_OK);
    assert_int_equal(setenv("REAL_NATS_SERVER", getenv("SHEAF_NATS_SERVER"), 1), 0);
    expect_refusal(&h,
                   ARGS("--data", data, "--http", "127.0.0.1:0", "--nats-port", "0",
                        "--leafnode-port", "0", "--nats-server", script),
                   7, "error[SHEAF-E0706]: ");
    hub_test_done(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_arguments_are_refused),
        cmocka_unit_test(test_ports_that_are_in_use_are_refused),
        cmocka_unit_test(test_a_directory_of_another_version_is_refused),
        cmocka_unit_test(test_a_nats_server_that_cannot_be_used_is_refused),
    };

    return cmocka_run_group_tests_name("hub_start", tests, NULL, NULL);
}
