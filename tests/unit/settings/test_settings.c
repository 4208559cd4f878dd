#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/settings/settings.h"
#include "common/sys/file.h"
#include "proto/errors.h"

static const char *wants_port(const char *text)
{
    return strchr(text, ':') == NULL ? "ADDRESS:PORT" : NULL;
}

static const char *const levels[] = {"info", "warn", NULL};
static const struct sf_setting table[] = {
    SF_SETTINGS_OWN,
    {.key = "http",
     .type = SF_SETTING_TEXT,
     .default_text = "a:1",
     .check = wants_port,
     .doc = "."},
    {.key = "log-level",
     .type = SF_SETTING_TEXT,
     .default_text = "info",
     .choices = levels,
     .reloadable = true,
     .doc = "."},
    {.key = "cache",
     .type = SF_SETTING_SIZE,
     .default_text = "64MiB",
     .min = 1024,
     .max = INT64_C(1) << 40,
     .doc = "."},
    {.key = "hub", .type = SF_SETTING_TEXT, .doc = "."},
};

struct world {
    char path[64];
    char flag[96];
    const char *argv[4];
    const char *environment[4];
    struct sf_config_source source;
    struct sf_settings settings;
    struct sf_buf report;
    struct sf_error err;
};

static int setup(void **state)
{
    struct world *w = sf_calloc(1, sizeof(*w));
    int fd;

    (void)snprintf(w->path, sizeof(w->path), "/tmp/sheaf-settings-XXXXXX");
    fd = mkstemp(w->path);
    assert_true(fd >= 0);
    (void)close(fd);
    (void)snprintf(w->flag, sizeof(w->flag), "--config=%s", w->path);
    w->argv[0] = w->flag;
    w->source = (struct sf_config_source){
        .table = table,
        .table_count = SF_COUNT(table),
        .argc = 1,
        .argv = w->argv,
        .environment = w->environment,
    };
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    sf_settings_done(&w->settings);
    sf_buf_done(&w->report);
    (void)unlink(w->path);
    sf_free(w);
    return 0;
}

static enum sf_code read_text(struct world *w, const char *text, struct sf_settings *ret)
{
    assert_int_equal(sf_file_write(w->path, sf_slice_text(text), 0600, NULL), SF_OK);
    sf_buf_clear(&w->report);
    return sf_settings_read(&w->source, ret, &w->report, &w->err);
}

static void test_flag_wins_over_environment_over_file_over_default(void **state)
{
    struct world *w = *state;
    SF_CLEANUP(sf_buf_done) struct sf_buf out = {0};
    char expected[512];

    w->argv[1] = "--http=b:2";
    w->source.argc = 2;
    w->environment[0] = "SHEAF_CACHE=1KiB";
    assert_int_equal(
        read_text(w, "# of a leaf\nhttp: c:3\ncache: 2KiB\nlog-level: warn\n", &w->settings),
        SF_OK);
    sf_settings_print(&w->settings, &out);
    (void)snprintf(expected, sizeof(expected),
                   "http          b:2                         flag\n"
                   "log-level     warn                        %s:4\n"
                   "cache         1KiB                        environment\n"
                   "hub           -                           unset\n",
                   w->path);
    assert_string_equal(sf_buf_cstr(&out), expected);
}

static void test_what_is_wrong_with_the_file_is_told_with_its_places(void **state)
{
    struct world *w = *state;
    char expected[1200];

    assert_int_equal(
        read_text(w, "cash: 64MiB\ncache: 3\nlog-level: loud\nhttp: x\nhub: [a]\n", &w->settings),
        SF_INVALID);
    (void)snprintf(expected, sizeof(expected),
                   "%1$s:1:1: error[SHEAF-E0102]: unknown key 'cash'\n"
                   "cash: 64MiB\n"
                   "^~~~\n"
                   "  allowed: http log-level cache hub      did you mean 'cache'?\n"
                   "%1$s:2:8: error[SHEAF-E0103]: '3' is out of range, which is 1KiB to 1024GiB\n"
                   "cache: 3\n"
                   "       ^\n"
                   "%1$s:3:12: error[SHEAF-E0103]: 'loud' is not info or warn\n"
                   "log-level: loud\n"
                   "           ^~~~\n"
                   "%1$s:4:7: error[SHEAF-E0103]: 'x' is not ADDRESS:PORT\n"
                   "http: x\n"
                   "      ^\n"
                   "%1$s:5:6: error[SHEAF-E0103]: hub must be a single value, not a list\n"
                   "hub: [a]\n"
                   "     ^\n",
                   w->path);
    assert_string_equal(sf_buf_cstr(&w->report), expected);
    assert_int_equal(w->err.number, SHEAF_E_UNKNOWN_KEY);
}

static void test_the_file_does_not_name_itself(void **state)
{
    struct world *w = *state;

    assert_int_equal(read_text(w, "config: other.yaml\n", &w->settings), SF_INVALID);
    assert_int_equal(read_text(w, "check-config: true\n", &w->settings), SF_INVALID);
}

static void test_an_empty_file_says_nothing(void **state)
{
    struct world *w = *state;

    assert_int_equal(read_text(w, "# nothing\n", &w->settings), SF_OK);
    assert_int_equal(sf_config_origin(w->settings.config, "cache"), SF_ORIGIN_DEFAULT);
}

static void test_a_file_that_is_not_there_is_refused(void **state)
{
    struct world *w = *state;

    (void)unlink(w->path);
    assert_int_equal(sf_settings_read(&w->source, &w->settings, &w->report, &w->err), SF_INVALID);
    assert_int_equal(w->err.number, SHEAF_E_FILE_UNREADABLE);
    assert_int_equal(w->report.size, 0);
}

static void test_the_environment_can_name_the_file(void **state)
{
    struct world *w = *state;
    char variable[96];

    (void)snprintf(variable, sizeof(variable), "SHEAF_CONFIG=%s", w->path);
    w->environment[0] = variable;
    w->source.argc = 0;
    assert_int_equal(read_text(w, "hub: there\n", &w->settings), SF_OK);
    assert_string_equal(sf_config_text(w->settings.config, "hub"), "there");
}

static void count_change(void *data, const struct sf_setting *s, const char *from, const char *to)
{
    sf_buf_printf(data, "%s: %s -> %s\n", s->key, from == NULL ? "-" : from, to == NULL ? "-" : to);
}

static void test_what_is_not_reloadable_waits_for_the_next_start(void **state)
{
    struct world *w = *state;
    SF_CLEANUP(sf_buf_done) struct sf_buf out = {0};
    struct sf_json_writer json = {.out = &out};
    struct sf_settings latest = {0};
    char expected[800];

    assert_int_equal(read_text(w, "cache: 2KiB\n", &w->settings), SF_OK);
    assert_int_equal(read_text(w, "log-level: warn\ncache: 4KiB\n", &latest), SF_OK);
    sf_settings_compare(&w->settings, &latest, count_change, &out);
    assert_string_equal(sf_buf_cstr(&out), "log-level: info -> warn\ncache: 2KiB -> 4KiB\n");
    sf_buf_clear(&out);
    sf_settings_write(&w->settings, &latest, &json);
    (void)snprintf(
        expected, sizeof(expected),
        "[{\"name\":\"http\",\"value\":\"a:1\",\"origin\":\"default\",\"default\":\"a:1\","
        "\"reloadable\":false},"
        "{\"name\":\"log-level\",\"value\":\"warn\",\"origin\":\"%1$s:1\",\"default\":\"info\","
        "\"reloadable\":true},"
        "{\"name\":\"cache\",\"value\":\"2KiB\",\"origin\":\"%1$s:1\",\"default\":\"64MiB\","
        "\"reloadable\":false,\"after_restart\":\"4KiB\"},"
        "{\"name\":\"hub\",\"value\":null,\"origin\":\"unset\",\"default\":null,"
        "\"reloadable\":false}]",
        w->path);
    assert_string_equal(sf_buf_cstr(&out), expected);
    sf_settings_done(&latest);
}

static void test_a_derived_value_gives_way_to_one_that_was_set(void **state)
{
    struct world *w = *state;
    SF_CLEANUP(sf_buf_done) struct sf_buf out = {0};

    assert_int_equal(read_text(w, "", &w->settings), SF_OK);
    sf_config_derive(w->settings.config, "cache", 3 << 20);
    assert_int_equal(sf_config_number(w->settings.config, "cache"), 3 << 20);
    sf_settings_print(&w->settings, &out);
    assert_non_null(strstr(sf_buf_cstr(&out), "3MiB"));
    assert_non_null(strstr(sf_buf_cstr(&out), "  memory\n"));
    sf_settings_done(&w->settings);
    assert_int_equal(read_text(w, "cache: 2KiB\n", &w->settings), SF_OK);
    sf_config_derive(w->settings.config, "cache", 3 << 20);
    assert_int_equal(sf_config_number(w->settings.config, "cache"), 2048);
}

static void test_running_out_of_memory_is_told(void **state)
{
    struct world *w = *state;
    long faults = 1;
    long n = 0;

    assert_int_equal(sf_file_write(w->path, SF_LITERAL("cache: 2KiB\nhub: x\n"), 0600, NULL),
                     SF_OK);
    for (; faults > 0; n++) {
        enum sf_code code;

        sf_alloc_fail_after(n, 0);
        code = sf_settings_read(&w->source, &w->settings, &w->report, &w->err);
        faults = sf_alloc_faults();
        sf_alloc_fail_after(-1, 0);
        assert_int_equal(code, faults > 0 ? SF_NOMEM : SF_OK);
        sf_settings_done(&w->settings);
    }
    assert_true(n > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_flag_wins_over_environment_over_file_over_default,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_wrong_with_the_file_is_told_with_its_places,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_file_does_not_name_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_empty_file_says_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_file_that_is_not_there_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_environment_can_name_the_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_not_reloadable_waits_for_the_next_start, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_derived_value_gives_way_to_one_that_was_set, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_running_out_of_memory_is_told, setup, teardown),
    };

    return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
