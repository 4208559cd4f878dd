#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <string.h>

#include "common/bus/natsd.h"
#include "common/bus/natsd_config.h"
#include "common/bus/natsd_varz.h"
#include "common/bus/subject.h"
#include "proto/errors.h"

static void test_the_version_floor_holds(void **state)
{
    static const char *const good[] = {
        "nats-server: v2.15.1\n", "2.15.1", "2.15.2", "2.16.0", "3.0.0", "v2.100.0-beta.1"};
    static const char *const old[] = {"nats-server: v2.10.27", "2.15.0", "1.99.99", "2.9.10",
                                      "2.15.1-RC.2"};
    struct sf_error err = {0};

    (void)state;
    for (size_t i = 0; i < SF_COUNT(good); i++) {
        assert_int_equal(sf_natsd_check_version(good[i], NULL), SF_OK);
    }
    for (size_t i = 0; i < SF_COUNT(old); i++) {
        assert_int_equal(sf_natsd_check_version(old[i], &err), SF_UNAVAILABLE);
        assert_int_equal(err.number, SHEAF_E_NATS_TOO_OLD);
    }
    assert_string_equal(err.text, "nats-server is version 2.15.1 (not final); version 2.15.1 or "
                                  "newer is needed");
    assert_int_equal(sf_natsd_check_version("usage: nats-server", &err), SF_INVALID);
    assert_int_equal(sf_natsd_check_version("2.15", &err), SF_INVALID);
    assert_int_equal(sf_natsd_check_version("", &err), SF_INVALID);
}

static void test_a_server_that_does_not_sync_every_write_is_refused(void **state)
{
    struct sf_natsd_varz v = {.version = "2.15.1", .server_name = "hub1", .has_jetstream = true};
    struct sf_error err = {0};

    (void)state;
    assert_int_equal(sf_natsd_varz_check(&v, false, NULL), SF_OK);
    assert_int_equal(sf_natsd_varz_check(&v, true, &err), SF_UNAVAILABLE);
    assert_int_equal(err.number, SHEAF_E_NOT_DURABLE);
    assert_string_equal(err.text, "nats-server 'hub1' does not sync every write: set "
                                  "sync_interval: always");
    v.is_sync_always = true;
    assert_int_equal(sf_natsd_varz_check(&v, true, NULL), SF_OK);
    v.has_jetstream = false;
    assert_int_equal(sf_natsd_varz_check(&v, true, &err), SF_UNAVAILABLE);
    assert_string_equal(err.text, "nats-server 'hub1' runs without JetStream");
}

static void test_a_leaf_that_has_not_joined_has_no_remotes(void **state)
{
    static const char *const apps[] = {"UAPP1", "UAPP2"};
    struct sf_natsd_leaf c = {
        .name = "leaf-sales",
        .domain = "sales",
        .client_port = 4300,
        .log_path = "/data/a \"b\"/log",
        .process_user = "UPROC",
        .process_serve_user = "USERVE",
        .app_users = apps,
        .app_user_count = 2,
        .system_user = "USYS",
    };
    struct sf_buf text = {0};
    const char *app =
        "permissions: {\n          publish: { deny: [\"dp.>\", \"out.>\", \"ingest.>\", "
        "\"mesh.>\", \"own.>\"] },\n          subscribe: { deny: [\"q.>\", \"in.>\"] } } }\n";
    char want[2048];

    (void)state;
    sf_natsd_config_leaf(&c, &text);
    (void)snprintf(want, sizeof(want),
                   "# Written before every start: what is changed here is lost.\n"
                   "server_name: \"leaf-sales\"\n"
                   "listen: \"127.0.0.1:4300\"\n"
                   "log_file: \"/data/a \\\"b\\\"/log\"\n"
                   "logfile_size_limit: 32MB\nlogfile_max_num: 3\n"
                   "no_fast_producer_stall: true\nmax_pending: 32MB\nwrite_deadline: \"5s\"\n"
                   "max_payload: 4160KB\n"
                   "accounts {\n"
                   "  \"sales\": { users: [\n"
                   "      { nkey: UPROC }\n"
                   "      { nkey: UAPP1, %s"
                   "      { nkey: UAPP2, %s"
                   "  ] }\n"
                   "  \"sales.serve\": { users: [ { nkey: USERVE } ] }\n"
                   "  SYS: { users: [ { nkey: USYS } ] }\n"
                   "}\n"
                   "system_account: SYS\n",
                   app, app);
    assert_string_equal(sf_buf_cstr(&text), want);

    /* With streams of its own, which stay on this side of the hub. */
    c.jetstream_dir = "/data/js";
    c.jetstream_bytes_max = 1 << 20;
    c.hub_url = "nats-leaf://hub";
    c.creds_path = c.serve_creds_path = "/data/x.creds";
    sf_buf_clear(&text);
    sf_natsd_config_leaf(&c, &text);
    assert_non_null(strstr(sf_buf_cstr(&text), "\n  ], jetstream: enabled }\n  \"sales.serve\""));
    assert_non_null(strstr(sf_buf_cstr(&text),
                           "\njetstream { store_dir: \"/data/js\", domain: \"sales\", "
                           "sync_interval: always, max_mem: 64MB, max_file: 1048576 }\n"));
    assert_non_null(strstr(sf_buf_cstr(&text), "\"_INBOX.>\", \"$JS.>\"],\n"));
    assert_non_null(strstr(sf_buf_cstr(&text), "\"q.sales.>\", \"$JS.>\"] }\n"));
    sf_buf_done(&text);
}

static void test_subjects_match_token_by_token(void **state)
{
    static const struct {
        const char *pattern;
        const char *subject;
        bool matches;
    } cases[] = {
        {"a.b", "a.b", true},   {"a.b", "a.c", false},    {"a.b", "a", false},
        {"a", "a.b", false},    {"a.*", "a.b", true},     {"a.*", "a.b.c", false},
        {"a.*", "a", false},    {"a.>", "a.b.c", true},   {"a.>", "a", false},
        {">", "a", true},       {"*.b.>", "x.b.c", true}, {"*.b.>", "x.b", false},
        {"a.bc", "a.b", false}, {"a.b", "a.bc", false},
    };

    (void)state;
    for (size_t i = 0; i < SF_COUNT(cases); i++) {
        assert_int_equal(sf_subject_matches(cases[i].pattern, cases[i].subject), cases[i].matches);
    }
    assert_true(sf_subject_is_literal("dp.sales.b\xc3\xbcro"));
    assert_false(sf_subject_is_literal("a.b\t"));
    assert_true(sf_subject_is_pattern("*.>"));
    assert_false(sf_subject_is_pattern("a*.b"));
    assert_false(sf_subject_is_pattern(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_version_floor_holds),
        cmocka_unit_test(test_a_server_that_does_not_sync_every_write_is_refused),
        cmocka_unit_test(test_a_leaf_that_has_not_joined_has_no_remotes),
        cmocka_unit_test(test_subjects_match_token_by_token),
    };

    return cmocka_run_group_tests_name("natsd", tests, NULL, NULL);
}
