#include "tests/lib/cmocka.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/sys/file.h"
#include "common/sys/log.h"
#include "tests/lib/tmpdir.h"

struct world {
    struct tmpdir dir;
    char path[PATH_MAX];
    struct sf_buf text;
};

static void log_to(struct world *w, enum sf_log_format format)
{
    const struct sf_log_options options = {.level = SF_LOG_INFO, .format = format, .path = w->path};

    assert_int_equal(sf_log_open(&options, NULL), SF_OK);
}

static int setup(void **state)
{
    static struct world w;

    w = (struct world){0};
    tmpdir_init(&w.dir);
    tmpdir_join(&w.dir, "log", w.path);
    log_to(&w, SF_LOG_LOGFMT);
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    sf_log_close();
    sf_buf_done(&w->text);
    tmpdir_done(&w->dir);
    return 0;
}

/* The log with every time stamp replaced by T. */
static const char *logged(struct world *w)
{
    struct sf_buf raw = {0};
    const char *at;

    assert_int_equal(sf_file_read(w->path, 1 << 20, &raw, NULL), SF_OK);
    at = sf_buf_cstr(&raw);
    assert_non_null(at);
    sf_buf_clear(&w->text);
    while (*at != '\0') {
        unsigned y, mo, d, h, mi, s, ms;
        int size = 0;

        if (sscanf(at, "%4u-%2u-%2uT%2u:%2u:%2u.%3uZ%n", &y, &mo, &d, &h, &mi, &s, &ms, &size) ==
                7 &&
            size == 24) {
            assert_true(y >= 2024);
            sf_buf_text(&w->text, "T");
            at += size;
        } else {
            sf_buf_byte(&w->text, (uint8_t)*at++);
        }
    }
    sf_buf_done(&raw);
    return sf_buf_cstr(&w->text);
}

static void test_fields_are_typed_in_logfmt(void **state)
{
    struct sf_error err = {.code = SF_IO, .number = 604, .where = "a.c:1", .text = "no \"disk\""};

    sf_log(SF_LOG_INFO, "leaf.started");
    sf_log(SF_LOG_WARN, "a.b", SF_F_TEXT("plain", "x-1"), SF_F_TEXT("spaced", "a b=\n\\"),
           SF_F_TEXT("none", NULL), SF_F_INT("i", -5), SF_F_UINT("u", UINT64_MAX),
           SF_F_REAL("r", 0.25), SF_F_BOOL("yes", true), SF_F_ERROR(&err));
    assert_string_equal(
        logged(*state),
        "ts=T level=info event=leaf.started\n"
        "ts=T level=warn event=a.b plain=x-1 spaced=\"a b=\\u000a\\\\\" none=\"\" i=-5 "
        "u=18446744073709551615 r=0.25 yes=true code=SF_IO number=SHEAF-E0604 "
        "error=\"no \\\"disk\\\"\" where=a.c:1\n");
}

static void test_fields_are_typed_in_json(void **state)
{
    struct sf_error err = {.code = SF_BUSY, .where = "a.c:1", .text = "full"};

    log_to(*state, SF_LOG_JSON);
    sf_log(SF_LOG_ERROR, "a.b",
           SF_F_TEXT("t", "x\t\"\\\x7f\xc3\xa9\xf0\x9f\x8c\xbe|\xff|\xc3|\xed\xa0\x80"),
           SF_F_INT("i", -5), SF_F_BOOL("no", false), SF_F_ERROR(&err));
    assert_string_equal(logged(*state),
                        "{\"ts\":\"T\",\"level\":\"error\",\"event\":\"a.b\","
                        "\"t\":\"x\\u0009\\\"\\\\\\u007f\xc3\xa9\xf0\x9f\x8c\xbe|\\ufffd|\\ufffd|"
                        "\\ufffd\\ufffd\\ufffd\",\"i\":-5,\"no\":false,"
                        "\"code\":\"SF_BUSY\",\"error\":\"full\",\"where\":\"a.c:1\"}\n");
}

static void test_level_decides(void **state)
{
    enum sf_log_level level = SF_LOG_INFO;
    struct sf_error err;

    sf_log(SF_LOG_DEBUG, "not.seen");
    assert_string_equal(logged(*state), "");
    assert_false(sf_log_wants(SF_LOG_DEBUG));
    assert_true(sf_log_wants(SF_LOG_INFO));
    assert_int_equal(sf_log_level_parse("debug", &level, &err), SF_OK);
    assert_int_equal(level, SF_LOG_DEBUG);
    assert_int_equal(sf_log_level_parse("loud", &level, &err), SF_INVALID);
    assert_string_equal(err.text, "log level 'loud' is not one of error, warn, info, debug");
}

static void test_repeats_are_left_out_by_name(void **state)
{
    const char *text;
    unsigned lines = 0;

    for (unsigned i = 0; i < 1000; i++) {
        sf_log(SF_LOG_WARN, "again", SF_F_UINT("i", i));
    }
    sf_log(SF_LOG_WARN, "other");
    text = logged(*state);
    for (const char *c = text; *c != '\0'; c++) {
        lines += *c == '\n' ? 1 : 0;
    }
    assert_int_equal(lines, 21);
    assert_non_null(strstr(text, "event=again i=19\nts=T level=warn event=other\n"));
}

static void test_field_that_does_not_fit_is_left_out_whole(void **state)
{
    char long_text[5000];
    const char *text;

    memset(long_text, 'x', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    sf_log(SF_LOG_INFO, "a.b", SF_F_INT("kept", 1), SF_F_TEXT("dropped", long_text));
    log_to(*state, SF_LOG_JSON);
    sf_log(SF_LOG_INFO, "a.b", SF_F_INT("kept", 1), SF_F_TEXT("dropped", long_text));
    text = logged(*state);
    assert_string_equal(text, "ts=T level=info event=a.b kept=1\n"
                              "{\"ts\":\"T\",\"level\":\"info\",\"event\":\"a.b\",\"kept\":1}\n");
}

static void test_rotated_file_is_opened_anew(void **state)
{
    struct world *w = *state;
    char moved[PATH_MAX];

    sf_log(SF_LOG_INFO, "one");
    assert_int_equal(rename(w->path, tmpdir_join(&w->dir, "log.1", moved)), 0);
    assert_int_equal(sf_log_reopen(NULL), SF_OK);
    sf_log(SF_LOG_INFO, "two");
    assert_string_equal(logged(w), "ts=T level=info event=two\n");
}

static void test_file_that_cannot_be_opened_is_said_and_changes_nothing(void **state)
{
    const struct sf_log_options options = {.level = SF_LOG_DEBUG, .path = "/nowhere/log"};
    struct sf_error err;

    assert_int_equal(sf_log_open(&options, &err), SF_ABSENT);
    assert_string_equal(err.text, "log file '/nowhere/log': No such file or directory");
    sf_alloc_fail_after(0, 0);
    assert_int_equal(sf_log_open(&options, &err), SF_NOMEM);
    sf_alloc_fail_after(-1, 0);
    sf_log(SF_LOG_INFO, "still.here");
    assert_string_equal(logged(*state), "ts=T level=info event=still.here\n");
}

static void *log_many(void *name)
{
    for (int i = 0; i < 200; i++) {
        sf_log(SF_LOG_INFO, "thread", SF_F_TEXT("name", name), SF_F_INT("i", i));
    }
    return NULL;
}

static void test_lines_of_threads_do_not_mix(void **state)
{
    static char name[] = "abcdefgh";
    pthread_t threads[4];
    const char *text;
    unsigned lines = 0;

    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, name), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    for (text = logged(*state); *text != '\0'; lines++) {
        assert_memory_equal(text, "ts=T level=info event=thread name=abcdefgh i=", 45);
        text = strchr(text, '\n') + 1;
    }
    assert_int_equal(lines, 20);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_fields_are_typed_in_logfmt),
        T(test_fields_are_typed_in_json),
        T(test_level_decides),
        T(test_repeats_are_left_out_by_name),
        T(test_field_that_does_not_fit_is_left_out_whole),
        T(test_rotated_file_is_opened_anew),
        T(test_file_that_cannot_be_opened_is_said_and_changes_nothing),
        T(test_lines_of_threads_do_not_mix),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
