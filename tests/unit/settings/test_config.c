#include "tests/lib/cmocka.h"

#include <string.h>

#include "common/base/alloc.h"
#include "common/settings/config.h"

static const struct sf_setting table[] = {
    {.key = "data-dir",
     .type = SF_SETTING_TEXT,
     .default_text = NULL,
     .min = 1,
     .max = 20,
     .doc = "Where data lies."},
    {.key = "verbose",
     .type = SF_SETTING_SWITCH,
     .default_text = NULL,
     .min = 0,
     .max = 0,
     .doc = "Say more."},
    {.key = "port",
     .type = SF_SETTING_NUMBER,
     .default_text = "8080",
     .min = 0,
     .max = 65535,
     .doc = "Port of HTTP."},
    {.key = "poll-time",
     .type = SF_SETTING_DURATION,
     .default_text = "2s",
     .min = 1,
     .max = 60000,
     .doc = "How often to ask."},
    {.key = "cache-size",
     .type = SF_SETTING_SIZE,
     .default_text = "64MiB",
     .min = 1024,
     .max = 1 << 30,
     .doc = "Memory for blocks."},
    {.key = "offset",
     .type = SF_SETTING_NUMBER,
     .default_text = NULL,
     .min = 0,
     .max = 0,
     .doc = "Any number."},
    {.key = "a-rather-long-name-of-a-setting",
     .type = SF_SETTING_TEXT,
     .default_text = "",
     .min = 0,
     .max = 0,
     .doc = "Long."},
};

static enum sf_code parse(const char *const *argv, const char *const *environment,
                          struct sf_config **ret, struct sf_error *err)
{
    static const char *const others[] = {"SHEAF_OTHER", "SHEAF_PORT", NULL};
    struct sf_config_source source = {
        .table = table,
        .table_count = SF_COUNT(table),
        .argv = argv,
        .environment = environment,
        .others = others,
    };

    while (argv[source.argc] != NULL) {
        source.argc++;
    }
    return sf_config_parse(&source, ret, err);
}

#define ARGV(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static void assert_refused(const char *const *argv, const char *const *environment,
                           const char *text)
{
    struct sf_config *c = NULL;
    struct sf_error err;

    assert_int_equal(parse(argv, environment, &c, &err), SF_INVALID);
    assert_string_equal(err.text, text);
    assert_null(c);
}

static void test_defaults_hold_when_nothing_is_said(void **state)
{
    struct sf_config *c = NULL;

    (void)state;
    assert_int_equal(parse(ARGV(), NULL, &c, NULL), SF_OK);
    assert_null(sf_config_text(c, "data-dir"));
    assert_false(sf_config_switch(c, "verbose"));
    assert_int_equal(sf_config_number(c, "port"), 8080);
    assert_int_equal(sf_config_number(c, "poll-time"), 2000);
    assert_int_equal(sf_config_number(c, "cache-size"), 64 << 20);
    assert_int_equal(sf_config_number(c, "offset"), 0);
    assert_int_equal(sf_config_origin(c, "offset"), SF_ORIGIN_UNSET);
    assert_int_equal(sf_config_origin(c, "port"), SF_ORIGIN_DEFAULT);
    sf_config_free(c);
}

static void test_flag_wins_over_environment_over_default(void **state)
{
    struct sf_config *c = NULL;

    (void)state;
    assert_int_equal(parse(ARGV("--port=1", "--data-dir", "d", "--verbose", "--offset", "-7"),
                           ARGV("PATH=/bin", "SHEAF_PORT=2", "SHEAF_POLL_TIME=30s", "SHEAF_OTHER=x",
                                "SHEAF_CACHE_SIZE=1KiB", "SHEAF_A_RATHER_LONG_NAME_OF_A_SETTING=y"),
                           &c, NULL),
                     SF_OK);
    assert_int_equal(sf_config_number(c, "port"), 1);
    assert_int_equal(sf_config_origin(c, "port"), SF_ORIGIN_FLAG);
    assert_int_equal(sf_config_number(c, "poll-time"), 30000);
    assert_int_equal(sf_config_origin(c, "poll-time"), SF_ORIGIN_ENVIRONMENT);
    assert_int_equal(sf_config_number(c, "cache-size"), 1024);
    assert_string_equal(sf_config_text(c, "data-dir"), "d");
    assert_string_equal(sf_config_text(c, "a-rather-long-name-of-a-setting"), "y");
    assert_true(sf_config_switch(c, "verbose"));
    assert_int_equal(sf_config_number(c, "offset"), -7);
    sf_config_free(c);
}

static void test_durations_and_sizes_have_units(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } times[] = {{"1ms", 1}, {"250ms", 250}, {"30s", 30000}, {"1m", 60000}};
    struct sf_config *c = NULL;

    (void)state;
    for (size_t i = 0; i < SF_COUNT(times); i++) {
        assert_int_equal(parse(ARGV("--poll-time", times[i].text), NULL, &c, NULL), SF_OK);
        assert_int_equal(sf_config_number(c, "poll-time"), times[i].ms);
        sf_config_free(SF_TAKE(c));
    }
    assert_int_equal(parse(ARGV("--cache-size", "1GiB"), NULL, &c, NULL), SF_OK);
    assert_int_equal(sf_config_number(c, "cache-size"), 1 << 30);
    sf_config_free(SF_TAKE(c));
    assert_int_equal(parse(ARGV("--cache-size", "2048"), NULL, &c, NULL), SF_OK);
    assert_int_equal(sf_config_number(c, "cache-size"), 2048);
    sf_config_free(c);
}

static void test_what_is_wrong_is_named(void **state)
{
    (void)state;
    assert_refused(ARGV("--prot", "1"), NULL, "no flag is called --prot; see --help");
    assert_refused(ARGV("--prot=secret"), NULL, "no flag is called --prot; see --help");
    assert_refused(ARGV("port"), NULL, "'port' is not a flag; flags are --key value");
    assert_refused(ARGV("-p"), NULL, "'-p' is not a flag; flags are --key value");
    assert_refused(ARGV("--"), NULL, "'--' is not a flag; flags are --key value");
    assert_refused(ARGV("--port"), NULL, "--port: its value is missing");
    assert_refused(ARGV("--port", "1", "--port=2"), NULL, "--port is given twice");
    assert_refused(ARGV("--port", "70000"), NULL,
                   "--port: '70000' is out of range, which is 0 to 65535");
    assert_refused(ARGV("--port", "-1"), NULL, "--port: '-1' is out of range, which is 0 to 65535");
    assert_refused(ARGV("--port", "80x"), NULL, "--port: '80x' is not a whole number");
    assert_refused(ARGV("--port", ""), NULL, "--port: '' is not a whole number");
    assert_refused(ARGV("--port", " 8"), NULL, "--port: ' 8' is not a whole number");
    assert_refused(ARGV("--offset", "9223372036854775808"), NULL,
                   "--offset: '9223372036854775808' is not a whole number");
    assert_refused(ARGV("--verbose=yes"), NULL, "--verbose: 'yes' is not true or false");
    assert_refused(ARGV("--poll-time", "2"), NULL,
                   "--poll-time: '2' is not a duration such as 250ms, 30s, 5m, 1h");
    assert_refused(ARGV("--poll-time", "2h"), NULL,
                   "--poll-time: '2h' is out of range, which is 1ms to 1m");
    assert_refused(ARGV("--cache-size", "64MB"), NULL,
                   "--cache-size: '64MB' is not a size such as 512, 64KiB, 64MiB, 2GiB");
    assert_refused(ARGV("--cache-size", "9999999999GiB"), NULL,
                   "--cache-size: '9999999999GiB' is not a size such as 512, 64KiB, 64MiB, 2GiB");
    assert_refused(ARGV("--cache-size", "2GiB"), NULL,
                   "--cache-size: '2GiB' is out of range, which is 1KiB to 1GiB");
    assert_refused(ARGV("--data-dir="), NULL,
                   "--data-dir: '' is out of range, which is 1 to 20 bytes");
    assert_refused(ARGV(), ARGV("SHEAF_PROT=1"),
                   "environment: no setting is called SHEAF_PROT; did you mean SHEAF_PORT?");
    assert_refused(ARGV(), ARGV("SHEAF_OTHR=1"),
                   "environment: no setting is called SHEAF_OTHR; did you mean SHEAF_OTHER?");
    assert_refused(ARGV(), ARGV("SHEAF_CACHE_SISE=1"),
                   "environment: no setting is called SHEAF_CACHE_SISE; did you mean "
                   "SHEAF_CACHE_SIZE?");
    assert_refused(ARGV(), ARGV("SHEAF_WEATHER=1"),
                   "environment: no setting is called SHEAF_WEATHER");
    assert_refused(ARGV(), ARGV("SHEAF_PORT=x"), "SHEAF_PORT: 'x' is not a whole number");
}

static void test_help_is_made_from_the_table(void **state)
{
    struct sf_buf b = {0};

    (void)state;
    sf_config_help(table, SF_COUNT(table), &b);
    assert_string_equal(
        sf_buf_cstr(&b),
        "  --data-dir TEXT             Where data lies.\n"
        "                              [1 to 20 bytes; SHEAF_DATA_DIR]\n"
        "  --verbose                   Say more.\n"
        "                              [SHEAF_VERBOSE]\n"
        "  --port N                    Port of HTTP.\n"
        "                              [default 8080; 0 to 65535; SHEAF_PORT]\n"
        "  --poll-time TIME            How often to ask.\n"
        "                              [default 2s; 1ms to 1m; SHEAF_POLL_TIME]\n"
        "  --cache-size SIZE           Memory for blocks.\n"
        "                              [default 64MiB; 1KiB to 1GiB; SHEAF_CACHE_SIZE]\n"
        "  --offset N                  Any number.\n"
        "                              [SHEAF_OFFSET]\n"
        "  --a-rather-long-name-of-a-setting TEXT Long.\n"
        "                              [default empty; "
        "SHEAF_A_RATHER_LONG_NAME_OF_A_SETTING]\n");
    sf_buf_done(&b);
}

static void test_no_memory_is_said(void **state)
{
    struct sf_config *c = NULL;

    (void)state;
    sf_alloc_fail_after(0, 0);
    assert_int_equal(parse(ARGV(), NULL, &c, NULL), SF_NOMEM);
    sf_alloc_fail_after(-1, 0);
    assert_null(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_hold_when_nothing_is_said),
        cmocka_unit_test(test_flag_wins_over_environment_over_default),
        cmocka_unit_test(test_durations_and_sizes_have_units),
        cmocka_unit_test(test_what_is_wrong_is_named),
        cmocka_unit_test(test_help_is_made_from_the_table),
        cmocka_unit_test(test_no_memory_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
