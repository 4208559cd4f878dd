#include "tests/lib/cmocka.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/sys/rt_uv.h"

static void stop_now(struct sf_task *t);

struct fixture {
    struct rt_uv *u;
    struct sf_task task;
    struct sf_timer timer;
    unsigned signals[65];
    unsigned remote_left;
};

static void never_fire(struct sf_timer *t)
{
    (void)t;
    abort();
}

static int setup(void **state)
{
    static struct fixture f;

    f = (struct fixture){.task.run = stop_now, .timer.fire = never_fire};
    assert_int_equal(rt_uv_new(&f.u, NULL), SF_OK);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    rt_uv_free(f->u);
    return 0;
}

static void stop_now(struct sf_task *t)
{
    rt_uv_stop(SF_CONTAINER_OF(t, struct fixture, task)->u);
}

static void test_stop_ends_a_run_that_has_more_to_do(void **state)
{
    struct fixture *f = *state;
    struct sf_rt *rt = rt_uv_rt(f->u);

    sf_rt_timer_start(rt, &f->timer, 3600 * SF_NS_PER_S);
    for (int i = 0; i < 3; i++) {
        sf_rt_post(rt, &f->task);
        rt_uv_run(f->u);
    }
}

static void test_run_with_nothing_to_do_returns(void **state)
{
    struct fixture *f = *state;

    rt_uv_run(f->u);
}

static void test_what_is_left_at_the_end_never_runs(void **state)
{
    struct fixture *f = *state;
    struct sf_rt *rt = rt_uv_rt(f->u);

    sf_rt_timer_start(rt, &f->timer, 0);
    sf_rt_post(rt, &f->task);
    rt_uv_stop(f->u);
}

static void on_signal(int number, void *data)
{
    struct fixture *f = data;

    f->signals[number]++;
    if (f->signals[SIGTERM] != 0 && f->signals[SIGINT] != 0 && f->signals[SIGHUP] != 0) {
        rt_uv_stop(f->u);
    }
}

static void test_signals_become_calls_on_the_loop(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(rt_uv_catch_signals(f->u, on_signal, f, NULL), SF_OK);
    rt_uv_run(f->u); /* they do not keep it running */
    sf_rt_timer_start(rt_uv_rt(f->u), &f->timer, 3600 * SF_NS_PER_S);
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    assert_int_equal(kill(getpid(), SIGINT), 0);
    assert_int_equal(kill(getpid(), SIGHUP), 0);
    rt_uv_run(f->u);
    assert_int_equal(f->signals[SIGTERM], 1);
    assert_int_equal(f->signals[SIGINT], 1);
    assert_int_equal(f->signals[SIGHUP], 1);
}

static void test_broken_pipe_is_an_error_not_the_end(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(close(ends[0]), 0);
    assert_int_equal(write(ends[1], "x", 1), -1);
    assert_int_equal(close(ends[1]), 0);
}

/* Many threads hand tasks in. */

enum { SENDERS = 4, EACH = 500 };

struct sent {
    struct sf_task task;
    struct fixture *f;
};

static void sent_run(struct sf_task *t)
{
    struct fixture *f = SF_CONTAINER_OF(t, struct sent, task)->f;

    if (--f->remote_left == 0) {
        sf_rt_timer_stop(rt_uv_rt(f->u), &f->timer);
    }
}

static void *sender(void *arg)
{
    struct sent *sent = arg;

    for (size_t i = 0; i < EACH; i++) {
        sf_rt_post_remote(rt_uv_rt(sent[i].f->u), &sent[i].task);
    }
    return NULL;
}

static void test_every_remote_task_runs_once(void **state)
{
    static struct sent sent[SENDERS][EACH];
    struct fixture *f = *state;
    pthread_t threads[SENDERS];

    f->remote_left = SENDERS * EACH;
    sf_rt_timer_start(rt_uv_rt(f->u), &f->timer, 3600 * SF_NS_PER_S);
    for (size_t i = 0; i < SENDERS; i++) {
        for (size_t k = 0; k < EACH; k++) {
            sent[i][k] = (struct sent){.task.run = sent_run, .f = f};
        }
        assert_int_equal(pthread_create(&threads[i], NULL, sender, sent[i]), 0);
    }
    rt_uv_run(f->u); /* ends when the last one stops the timer */
    assert_int_equal(f->remote_left, 0);
    for (size_t i = 0; i < SENDERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
}

/* One thread hands one task in while the loop has nothing to do. */

enum { POSTS = 5 };

struct lone {
    struct sf_task task;
    struct sf_timer watch;
    struct rt_uv *u;
    pid_t loop_thread;
    atomic_bool is_posted;
    bool was_posted; /* when the watch looked before */
    bool is_lost;
    bool has_run;
};

static void lone_run(struct sf_task *t)
{
    struct lone *l = SF_CONTAINER_OF(t, struct lone, task);

    l->has_run = true;
    sf_rt_timer_stop(rt_uv_rt(l->u), &l->watch);
}

/* A task that was posted is with the loop after one look at the descriptors: what the watch sees
 * waiting twice never comes. */
static void lone_watch(struct sf_timer *t)
{
    struct lone *l = SF_CONTAINER_OF(t, struct lone, watch);

    l->is_lost = l->was_posted;
    l->was_posted = atomic_load(&l->is_posted);
    if (!l->is_lost) {
        sf_rt_timer_start(rt_uv_rt(l->u), t, 100 * SF_NS_PER_MS);
    }
}

static bool is_asleep(pid_t thread)
{
    char path[64];
    char line[512] = "";
    const char *name_end;
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)thread);
    file = fopen(path, "re");
    sf_assert(file != NULL);
    sf_assert(fgets(line, sizeof(line), file) != NULL);
    sf_assert(fclose(file) == 0);
    name_end = strrchr(line, ')');
    sf_assert(name_end != NULL);
    return strncmp(name_end, ") S", 3) == 0;
}

static void *lone_sender(void *arg)
{
    struct lone *l = arg;

    while (!is_asleep(l->loop_thread)) {
        (void)sched_yield();
    }
    sf_rt_post_remote(rt_uv_rt(l->u), &l->task);
    atomic_store(&l->is_posted, true);
    return NULL;
}

static void test_a_lone_remote_task_wakes_a_loop_that_sleeps(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < POSTS; i++) {
        struct lone l = {
            .task.run = lone_run, .watch.fire = lone_watch, .u = f->u, .loop_thread = gettid()};
        pthread_t thread;

        sf_rt_timer_start(rt_uv_rt(f->u), &l.watch, 100 * SF_NS_PER_MS);
        assert_int_equal(pthread_create(&thread, NULL, lone_sender, &l), 0);
        rt_uv_run(f->u); /* ends without the watch */
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_false(l.is_lost);
        assert_true(l.has_run);
    }
}

/* Time stands still within a turn and moves between turns. */

struct clock {
    struct sf_task task;
    struct sf_rt *rt;
    uint64_t before_ns;
    unsigned left;
};

static void clock_run(struct sf_task *t)
{
    struct clock *c = SF_CONTAINER_OF(t, struct clock, task);
    uint64_t now_ns = sf_rt_now_ns(c->rt);

    assert_true(now_ns > c->before_ns);
    for (volatile int i = 0; i < 10000; i++) {
    }
    assert_int_equal(sf_rt_now_ns(c->rt), now_ns);
    c->before_ns = now_ns;
    if (--c->left > 0) {
        sf_rt_post(c->rt, t);
    }
}

static void test_time_is_fixed_within_a_turn_and_moves_between_turns(void **state)
{
    struct fixture *f = *state;
    struct clock c = {.task.run = clock_run, .rt = rt_uv_rt(f->u), .left = 5};

    sf_rt_post(c.rt, &c.task);
    rt_uv_run(f->u);
    assert_int_equal(c.left, 0);
}

static void test_no_memory_is_said(void **state)
{
    struct rt_uv *u = NULL;
    struct sf_error err;

    (void)state;
    sf_alloc_fail_after(0, 0);
    assert_int_equal(rt_uv_new(&u, &err), SF_NOMEM);
    sf_alloc_fail_after(-1, 0);
    assert_string_equal(err.text, "no memory for the event loop");
    assert_null(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_stop_ends_a_run_that_has_more_to_do, setup, teardown),
        cmocka_unit_test_setup_teardown(test_run_with_nothing_to_do_returns, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_left_at_the_end_never_runs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_signals_become_calls_on_the_loop, setup, teardown),
        cmocka_unit_test_setup_teardown(test_broken_pipe_is_an_error_not_the_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_remote_task_runs_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_lone_remote_task_wakes_a_loop_that_sleeps, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_time_is_fixed_within_a_turn_and_moves_between_turns,
                                        setup, teardown),
        cmocka_unit_test(test_no_memory_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
