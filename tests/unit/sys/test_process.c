/* Children are this very program, in one of the roles below. */
#include "tests/lib/cmocka.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/sys/file.h"
#include "common/sys/process.h"
#include "common/sys/rt_uv.h"
#include "tests/lib/proc.h"
#include "tests/lib/tmpdir.h"

enum { DEADLINE_MS = 60000 };

static char self[PATH_MAX];

/* What a test sees of its child. */
struct world {
    struct tmpdir dir;
    char log[PATH_MAX];
    struct rt_uv *uv;
    struct sf_rt *rt;
    struct sf_process *p;
    struct sf_process_options options;
    const char *argv[4];
    struct sf_timer look;   /* waits for a word of the child */
    struct sf_timer frozen; /* ends a test that does not end */
    const char *word;
    void (*then)(struct world *w);

    unsigned befores;
    unsigned ups;
    unsigned downs;
    unsigned stops;
    unsigned stop_at_down; /* stops at this end of the child; 0: never */
    bool refuse;           /* before_start fails */
    int pid;
    struct sf_process_exit last;
    uint64_t waits_ns[8]; /* restart_in_ns of each end */
};

static enum sf_code before_start(struct sf_process *p, void *data, struct sf_error *err)
{
    struct world *w = data;

    (void)p;
    w->befores++;
    return w->refuse ? SF_RAISE(err, SF_IO, "cannot write configuration") : SF_OK;
}

static void on_up(struct sf_process *p, int pid, void *data)
{
    struct world *w = data;

    assert_int_equal(w->ups, w->downs); /* in turns */
    assert_int_equal(sf_process_pid(p), pid);
    w->ups++;
    w->pid = pid;
}

static void on_stopped(struct sf_process *p, void *data)
{
    struct world *w = data;

    w->stops++;
    sf_process_free(p);
    w->p = NULL;
    sf_rt_timer_stop(w->rt, &w->frozen);
    sf_rt_timer_stop(w->rt, &w->look);
}

static void stop(struct world *w)
{
    sf_process_stop(w->p, on_stopped, w);
}

static void on_down(struct sf_process *p, const struct sf_process_exit *e, void *data)
{
    struct world *w = data;

    assert_int_equal(sf_process_pid(p), 0);
    w->last = *e;
    w->waits_ns[w->downs % SF_COUNT(w->waits_ns)] = e->restart_in_ns;
    w->downs++;
    if (w->downs == w->stop_at_down) {
        stop(w);
    }
}

static void frozen_fire(struct sf_timer *t)
{
    (void)t;
    fail_msg("the child does not do what is waited for");
}

static bool log_has(const struct world *w, const char *word)
{
    struct sf_buf b = {0};
    bool found = sf_file_read(w->log, 1 << 20, &b, NULL) == SF_OK && sf_buf_cstr(&b) != NULL &&
                 strstr(sf_buf_cstr(&b), word) != NULL;

    sf_buf_done(&b);
    return found;
}

static void look_fire(struct sf_timer *t)
{
    struct world *w = SF_CONTAINER_OF(t, struct world, look);

    if (log_has(w, w->word)) {
        w->then(w);
    } else {
        sf_rt_timer_start(w->rt, t, SF_NS_PER_MS);
    }
}

static void when(struct world *w, const char *word, void (*then)(struct world *w))
{
    w->word = word;
    w->then = then;
    sf_rt_timer_start(w->rt, &w->look, 0);
}

static int setup(void **state)
{
    static struct world w;

    w = (struct world){.look.fire = look_fire, .frozen.fire = frozen_fire};
    tmpdir_init(&w.dir);
    tmpdir_join(&w.dir, "log", w.log);
    assert_int_equal(rt_uv_new(&w.uv, NULL), SF_OK);
    w.rt = rt_uv_rt(w.uv);
    w.argv[0] = self;
    w.argv[1] = "--wait";
    w.options = (struct sf_process_options){
        .argv = w.argv,
        .log_path = w.log,
        .backoff_min_ns = 4 * SF_NS_PER_MS,
        .backoff_max_ns = 10 * SF_NS_PER_MS,
        .before_start = before_start,
        .on_up = on_up,
        .on_down = on_down,
        .data = &w,
    };
    sf_rt_timer_start(w.rt, &w.frozen, DEADLINE_MS * SF_NS_PER_MS);
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    rt_uv_free(w->uv);
    tmpdir_done(&w->dir);
    return 0;
}

static void start(struct world *w)
{
    assert_int_equal(sf_process_new(w->uv, &w->options, &w->p, NULL), SF_OK);
    sf_process_start(w->p);
    assert_int_equal(w->befores, 0); /* on a later turn */
}

static void test_child_runs_until_it_is_stopped(void **state)
{
    struct world *w = *state;

    start(w);
    when(w, "ready", stop);
    rt_uv_run(w->uv);
    assert_int_equal(w->befores, 1);
    assert_int_equal(w->ups, 1);
    assert_int_equal(w->downs, 1);
    assert_int_equal(w->stops, 1);
    assert_true(w->last.stopping);
    assert_int_equal(w->last.signal, SIGTERM);
    assert_int_equal(w->last.status, -1);
    assert_int_equal(w->last.error.code, SF_OK);
    assert_true(w->last.ran_ns > 0);
    assert_int_equal(kill(w->pid, 0), -1); /* gone and reaped */
}

static void test_child_that_ends_is_started_again_later_and_later(void **state)
{
    struct world *w = *state;

    w->argv[1] = "--exit-3";
    w->stop_at_down = 4;
    start(w);
    rt_uv_run(w->uv);
    assert_int_equal(w->befores, 4);
    assert_int_equal(w->ups, 4);
    assert_int_equal(w->downs, 4);
    assert_int_equal(w->stops, 1);
    assert_int_equal(w->last.status, 3);
    assert_int_equal(w->last.signal, 0);
    assert_in_range(w->waits_ns[0], 4 * SF_NS_PER_MS, 5 * SF_NS_PER_MS);
    assert_in_range(w->waits_ns[1], 8 * SF_NS_PER_MS, 10 * SF_NS_PER_MS);
    assert_in_range(w->waits_ns[2], 10 * SF_NS_PER_MS, 12 * SF_NS_PER_MS);
    assert_in_range(w->waits_ns[3], 10 * SF_NS_PER_MS, 12 * SF_NS_PER_MS);
}

static void test_run_that_lasted_resets_the_wait(void **state)
{
    struct world *w = *state;

    w->argv[1] = "--exit-3";
    w->options.stable_ns = 1;
    w->stop_at_down = 3;
    start(w);
    rt_uv_run(w->uv);
    assert_in_range(w->waits_ns[2], 4 * SF_NS_PER_MS, 5 * SF_NS_PER_MS);
}

static void test_stubborn_child_is_killed_after_the_grace(void **state)
{
    struct world *w = *state;

    w->argv[1] = "--stubborn";
    w->options.grace_ns = 30 * SF_NS_PER_MS;
    start(w);
    when(w, "ready", stop);
    rt_uv_run(w->uv);
    assert_int_equal(w->last.signal, SIGKILL);
    assert_true(w->last.ran_ns >= 30 * SF_NS_PER_MS);
    assert_int_equal(w->stops, 1);
}

static void test_program_that_cannot_be_executed_is_127(void **state)
{
    struct world *w = *state;

    w->argv[0] = "/nowhere/program";
    w->stop_at_down = 1;
    start(w);
    rt_uv_run(w->uv);
    assert_int_equal(w->last.status, 127);
    assert_true(log_has(w, "cannot execute '/nowhere/program': No such file or directory\n"));
}

static void test_program_is_found_in_the_path(void **state)
{
    struct world *w = *state;

    w->argv[0] = "sh";
    w->argv[1] = "-c";
    w->argv[2] = "pwd; echo to stderr >&2; exit 7";
    w->options.directory = w->dir.path;
    w->stop_at_down = 1;
    start(w);
    rt_uv_run(w->uv);
    assert_int_equal(w->last.status, 7);
    assert_true(log_has(w, w->dir.path));
    assert_true(log_has(w, "to stderr\n"));
}

static void test_failure_before_the_start_is_told_and_tried_again(void **state)
{
    struct world *w = *state;

    w->refuse = true;
    w->stop_at_down = 3;
    start(w);
    rt_uv_run(w->uv);
    assert_int_equal(w->befores, 3);
    assert_int_equal(w->ups, 0);
    assert_int_equal(w->last.error.code, SF_IO);
    assert_string_equal(w->last.error.text, "cannot write configuration");
    assert_int_equal(w->last.ran_ns, 0);
    assert_in_range(w->waits_ns[1], 8 * SF_NS_PER_MS, 10 * SF_NS_PER_MS);
}

static void test_start_that_the_system_refuses_is_told(void **state)
{
    struct world *w = *state;
    char text[PATH_MAX + 100];

    w->options.log_path = "/nowhere/log";
    w->stop_at_down = 2;
    start(w);
    rt_uv_run(w->uv);
    assert_int_equal(w->ups, 0);
    assert_int_equal(w->last.error.code, SF_UNAVAILABLE);
    (void)snprintf(text, sizeof(text), "cannot start '%s': no such file or directory", self);
    assert_string_equal(w->last.error.text, text);
}

static void test_directory_that_is_not_there_is_told(void **state)
{
    struct world *w = *state;

    w->options.directory = "/nowhere";
    w->stop_at_down = 2;
    start(w);
    rt_uv_run(w->uv);
    assert_int_equal(w->ups, 0);
    assert_int_equal(w->last.error.code, SF_UNAVAILABLE);
    assert_int_equal(w->stops, 1);
}

static void restart_once(struct world *w)
{
    sf_process_restart(w->p);
    w->stop_at_down = 2;
}

static void stop_second(struct world *w)
{
    if (w->ups < 2) {
        sf_rt_timer_start(w->rt, &w->look, SF_NS_PER_MS);
    } else {
        sf_process_signal(w->p, SIGUSR1);
    }
}

static void restart_then_signal(struct world *w)
{
    restart_once(w);
    when(w, "ready", stop_second);
}

static void test_restart_does_not_wait_and_signals_arrive(void **state)
{
    struct world *w = *state;

    w->options.backoff_min_ns = 3600 * SF_NS_PER_S;
    w->options.backoff_max_ns = 3600 * SF_NS_PER_S;
    start(w);
    when(w, "ready", restart_then_signal);
    rt_uv_run(w->uv);
    assert_int_equal(w->ups, 2);
    assert_int_equal(w->waits_ns[0], 0);
    assert_int_equal(w->last.signal, SIGUSR1);
}

static void test_stop_before_the_first_start(void **state)
{
    struct world *w = *state;

    start(w);
    stop(w);
    assert_int_equal(w->stops, 0); /* on a later turn */
    rt_uv_run(w->uv);
    assert_int_equal(w->stops, 1);
    assert_int_equal(w->ups, 0);
    assert_int_equal(w->downs, 0);
}

static void test_never_started_is_freed(void **state)
{
    struct world *w = *state;

    assert_int_equal(sf_process_new(w->uv, &w->options, &w->p, NULL), SF_OK);
    sf_process_free(w->p);
    sf_process_free(NULL);
}

static void test_failed_allocations_are_said(void **state)
{
    struct world *w = *state;
    enum sf_code r;
    long after = 0;

    for (;; after++) {
        sf_alloc_fail_after(after, 0);
        r = sf_process_new(w->uv, &w->options, &w->p, NULL);
        if (sf_alloc_faults() == 0) {
            break;
        }
        assert_int_equal(r, SF_NOMEM);
        assert_null(w->p);
    }
    sf_alloc_fail_after(-1, 0);
    assert_true(after >= 3);
    sf_process_free(w->p);
}

/* Whether no process of this number runs; one that nobody reaped counts as gone. */
static bool is_gone(void *data)
{
    const int *pid = data;
    struct sf_buf b = {0};
    char path[64];
    const char *text;
    bool gone;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", *pid);
    text = sf_file_read(path, 4096, &b, NULL) == SF_OK ? sf_buf_cstr(&b) : NULL;
    text = text == NULL ? NULL : strrchr(text, ')');
    gone = text == NULL || text[2] == 'Z' || text[2] == 'X';
    sf_buf_done(&b);
    return gone;
}

static void test_child_dies_with_a_killed_parent(void **state)
{
    struct world *w = *state;
    const char *const argv[] = {self, "--supervise", w->log, NULL};
    const struct proc_options options = {.argv = argv, .log_path = w->log};
    struct proc supervisor;
    char *log;
    int pid;

    proc_start(&supervisor, &options);
    proc_wait_line(&supervisor, "ready", DEADLINE_MS);
    log = proc_log(&supervisor);
    assert_non_null(strstr(log, "child "));
    pid = (int)strtol(strstr(log, "child ") + 6, NULL, 10);
    sf_free(log);
    assert_false(is_gone(&pid));
    proc_kill(&supervisor);
    wait_until(is_gone, &pid, "the child is gone", DEADLINE_MS);
}

/* Roles of the child. */

static void announce(struct sf_process *p, int pid, void *data)
{
    (void)p;
    (void)data;
    printf("child %d\n", pid);
    (void)fflush(stdout);
}

static int supervise(const char *log_path)
{
    const char *const argv[] = {self, "--wait", NULL};
    const struct sf_process_options options = {
        .argv = argv, .log_path = log_path, .on_up = announce};
    struct sf_process *p;
    struct rt_uv *uv;

    sf_assert(rt_uv_new(&uv, NULL) == SF_OK);
    sf_assert(sf_process_new(uv, &options, &p, NULL) == SF_OK);
    sf_process_start(p);
    rt_uv_run(uv);
    return 1;
}

_Noreturn static void wait_for_signals(void)
{
    printf("ready\n");
    (void)fflush(stdout);
    for (;;) {
        (void)pause();
    }
}

static int play(int argc, char **argv)
{
    if (strcmp(argv[1], "--supervise") == 0 && argc > 2) {
        return supervise(argv[2]);
    }
    if (strcmp(argv[1], "--exit-3") == 0) {
        return 3;
    }
    if (strcmp(argv[1], "--stubborn") == 0) {
        (void)signal(SIGTERM, SIG_IGN);
    }
    wait_for_signals();
}

int main(int argc, char **argv)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_child_runs_until_it_is_stopped),
        T(test_child_that_ends_is_started_again_later_and_later),
        T(test_run_that_lasted_resets_the_wait),
        T(test_stubborn_child_is_killed_after_the_grace),
        T(test_program_that_cannot_be_executed_is_127),
        T(test_program_is_found_in_the_path),
        T(test_failure_before_the_start_is_told_and_tried_again),
        T(test_start_that_the_system_refuses_is_told),
        T(test_directory_that_is_not_there_is_told),
        T(test_restart_does_not_wait_and_signals_arrive),
        T(test_stop_before_the_first_start),
        T(test_never_started_is_freed),
        T(test_failed_allocations_are_said),
        T(test_child_dies_with_a_killed_parent),
    };

    sf_process_shim(argc, argv);
    if (realpath("/proc/self/exe", self) == NULL) {
        return 1;
    }
    if (argc > 1) {
        return play(argc, argv);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
