#include "common/sys/rt_uv.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/sys/rt_uv_loop.h"

/*
 * One turn of the loop, as libuv goes through it:
 *
 *     alarm (timers due) -> turn (tasks posted before) -> fresh (forget the time) -> wait
 *       -> sockets, wake (done and remote tasks are posted), signals -> ...
 *
 * Workers and nats.c's threads touch only what stands below `lock`.
 */

static const unsigned pool_threads[SF_POOL_COUNT] = {[SF_POOL_COMMIT] = 1, [SF_POOL_QUERY] = 2};
static const char *const pool_names[SF_POOL_COUNT] = {"sf-commit", "sf-query"};
static const int caught[] = {SIGTERM, SIGINT, SIGHUP};

enum { THREAD_COUNT = 3 };

struct pool {
    struct rt_uv *owner;
    const char *name;
    uv_cond_t ready;
    struct sf_list works; /* accepted, not started */
};

struct rt_uv {
    struct sf_rt rt;
    uv_loop_t loop;
    uv_idle_t turn; /* active while tasks wait, so that the loop does not sleep */
    uv_timer_t alarm;
    uv_prepare_t fresh;
    uv_poll_t wake;
    int wake_fd; /* not uv_async_t: the loop would spin until who sends it is back from write() */
    uv_signal_t signals[SF_COUNT(caught)];
    size_t signal_count; /* handles in use */
    void (*on_signal)(int number, void *data);
    void *on_signal_data;
    struct sf_list tasks;
    struct sf_list timers; /* by due_ns, earliest first */
    uint64_t now_ns;       /* 0: to be read anew */

    uv_thread_t threads[THREAD_COUNT];
    unsigned thread_count;
    uv_mutex_t lock;       /* guards what follows */
    struct sf_list remote; /* tasks from other threads */
    struct pool pools[SF_POOL_COUNT];
    size_t works_pending; /* accepted, not finished */
    bool stopping;
};

static struct rt_uv *self(struct sf_rt *rt)
{
    return SF_CONTAINER_OF(rt, struct rt_uv, rt);
}

static uint64_t rt_now_ns(struct sf_rt *rt)
{
    struct rt_uv *u = self(rt);

    if (u->now_ns == 0) {
        u->now_ns = uv_hrtime();
    }
    return u->now_ns;
}

static uint64_t rt_exact_ns(struct sf_rt *rt)
{
    (void)rt;
    return uv_hrtime();
}

static int64_t rt_wall_us(struct sf_rt *rt)
{
    struct timespec t;

    (void)rt;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * SF_US_PER_S + t.tv_nsec / 1000;
}

static void fresh_cb(uv_prepare_t *fresh)
{
    struct rt_uv *u = fresh->data;

    u->now_ns = 0;
}

static void turn_cb(uv_idle_t *turn)
{
    struct rt_uv *u = turn->data;
    struct sf_list batch;

    sf_list_move(&batch, &u->tasks); /* Tasks posted from here on belong to the next turn. */
    while (!sf_list_empty(&batch)) {
        struct sf_task *t = SF_CONTAINER_OF(sf_list_pop(&batch), struct sf_task, link);

        t->run(t);
    }
    if (sf_list_empty(&u->tasks)) {
        (void)uv_idle_stop(&u->turn);
    }
}

static void rt_post(struct sf_rt *rt, struct sf_task *t)
{
    struct rt_uv *u = self(rt);

    sf_list_push(&u->tasks, &t->link);
    (void)uv_idle_start(&u->turn, turn_cb);
}

/* Timers. */

static void alarm_cb(uv_timer_t *alarm);

static void alarm_set(struct rt_uv *u)
{
    uint64_t now_ns = rt_now_ns(&u->rt);
    uint64_t wait_ns;

    if (sf_list_empty(&u->timers)) {
        (void)uv_timer_stop(&u->alarm);
        return;
    }
    wait_ns = SF_CONTAINER_OF(u->timers.next, struct sf_timer, link)->due_ns;
    wait_ns = wait_ns > now_ns ? wait_ns - now_ns : 0;
    /* libuv counts from the start of its turn in whole ms, so it may wake us up to 1 ms early;
     * then alarm_cb() finds nothing due and sets it again. */
    (void)uv_timer_start(&u->alarm, alarm_cb, (wait_ns + SF_NS_PER_MS - 1) / SF_NS_PER_MS, 0);
}

static void alarm_cb(uv_timer_t *alarm)
{
    struct rt_uv *u = alarm->data;
    uint64_t now_ns;

    u->now_ns = 0;
    now_ns = rt_now_ns(&u->rt);
    while (!sf_list_empty(&u->timers)) {
        struct sf_timer *t = SF_CONTAINER_OF(u->timers.next, struct sf_timer, link);

        if (t->due_ns > now_ns) {
            break;
        }
        (void)sf_list_pop(&u->timers);
        t->fire(t);
    }
    alarm_set(u);
}

static void rt_timer_stop(struct sf_rt *rt, struct sf_timer *t)
{
    struct rt_uv *u = self(rt);

    sf_list_remove(&t->link);
    if (sf_list_empty(&u->timers)) {
        (void)uv_timer_stop(&u->alarm); /* A later one that is left sets it again when it rings. */
    }
}

/* The first timer that is later, or the end of the list. Thousands wait for a far time, the next
 * ones for a near one: so it is looked for from both ends at once. */
static struct sf_list *timer_place(struct rt_uv *u, uint64_t due_ns)
{
    struct sf_list *front = u->timers.next;
    struct sf_list *back = u->timers.prev;

    while (front != &u->timers) {
        if (SF_CONTAINER_OF(front, struct sf_timer, link)->due_ns > due_ns) {
            return front;
        }
        if (SF_CONTAINER_OF(back, struct sf_timer, link)->due_ns <= due_ns) {
            return back->next;
        }
        front = front->next;
        back = back->prev;
    }
    return front;
}

static void rt_timer_start(struct sf_rt *rt, struct sf_timer *t, uint64_t delay_ns)
{
    struct rt_uv *u = self(rt);

    sf_list_remove(&t->link);
    t->due_ns = rt_now_ns(rt) + delay_ns;
    if (t->due_ns < delay_ns) {
        t->due_ns = UINT64_MAX;
    }
    sf_list_push(timer_place(u, t->due_ns), &t->link);
    if (u->timers.next == &t->link) {
        alarm_set(u);
    }
}

/* Other threads. */

/* The wake handle keeps the loop alive exactly while a worker owes us a done task. */
static void wake_ref(struct rt_uv *u)
{
    if (u->works_pending > 0) {
        uv_ref((uv_handle_t *)&u->wake);
    } else {
        uv_unref((uv_handle_t *)&u->wake);
    }
}

/* With the lock held. Whether the loop is to be woken: else it has been, and did not look yet. */
static bool push_remote(struct rt_uv *u, struct sf_task *t)
{
    const bool is_first = sf_list_empty(&u->remote);

    sf_list_push(&u->remote, &t->link);
    return is_first;
}

static void wake_up(struct rt_uv *u)
{
    const uint64_t one = 1;
    const ssize_t written = write(u->wake_fd, &one, sizeof(one));

    sf_assert(written == sizeof(one));
}

static void rt_post_remote(struct sf_rt *rt, struct sf_task *t)
{
    struct rt_uv *u = self(rt);

    uv_mutex_lock(&u->lock);
    if (push_remote(u, t)) {
        wake_up(u); /* Under the lock: rt_uv_free() closes it after that. */
    }
    uv_mutex_unlock(&u->lock);
}

static void wake_cb(uv_poll_t *wake, int status, int events)
{
    struct rt_uv *u = wake->data;
    struct sf_list batch;
    uint64_t count;

    (void)status;
    (void)events;
    (void)!read(u->wake_fd, &count,
                sizeof(count)); /* Before looking: what comes then wakes anew. */
    uv_mutex_lock(&u->lock);
    sf_list_move(&batch, &u->remote);
    wake_ref(u);
    uv_mutex_unlock(&u->lock);
    while (!sf_list_empty(&batch)) {
        rt_post(&u->rt, SF_CONTAINER_OF(sf_list_pop(&batch), struct sf_task, link));
    }
}

static void rt_work(struct sf_rt *rt, struct sf_work *w)
{
    struct rt_uv *u = self(rt);
    struct pool *p = &u->pools[w->pool];

    uv_mutex_lock(&u->lock);
    sf_list_push(&p->works, &w->link);
    u->works_pending++;
    wake_ref(u);
    uv_mutex_unlock(&u->lock);
    uv_cond_signal(&p->ready); /* Else the worker wakes only to wait for the lock. */
}

static void worker_main(void *arg)
{
    struct pool *p = arg;
    struct rt_uv *u = p->owner;

    (void)pthread_setname_np(pthread_self(), p->name);
    uv_mutex_lock(&u->lock);
    for (;;) {
        struct sf_work *w;
        bool is_first;

        while (sf_list_empty(&p->works) && !u->stopping) {
            uv_cond_wait(&p->ready, &u->lock);
        }
        if (sf_list_empty(&p->works)) {
            break;
        }
        w = SF_CONTAINER_OF(sf_list_pop(&p->works), struct sf_work, link);
        uv_mutex_unlock(&u->lock);
        w->work(w);
        uv_mutex_lock(&u->lock);
        u->works_pending--;
        is_first = push_remote(u, &w->done);
        if (is_first) {
            uv_mutex_unlock(&u->lock);
            wake_up(u); /* rt_uv_free() joins us first. */
            uv_mutex_lock(&u->lock);
        }
    }
    uv_mutex_unlock(&u->lock);
}

static void threads_stop(struct rt_uv *u)
{
    uv_mutex_lock(&u->lock);
    u->stopping = true;
    for (size_t i = 0; i < SF_POOL_COUNT; i++) {
        uv_cond_broadcast(&u->pools[i].ready);
    }
    uv_mutex_unlock(&u->lock);
    while (u->thread_count > 0) {
        int r = uv_thread_join(&u->threads[--u->thread_count]);

        sf_assert(r == 0);
    }
}

/* Signals are for the main thread: workers would only have their system calls interrupted. */
static int threads_start(struct rt_uv *u)
{
    sigset_t all;
    sigset_t before;
    int r = 0;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    for (size_t i = 0; i < SF_POOL_COUNT; i++) {
        for (unsigned k = 0; r == 0 && k < pool_threads[i]; k++) {
            r = uv_thread_create(&u->threads[u->thread_count], worker_main, &u->pools[i]);
            u->thread_count += r == 0 ? 1 : 0;
        }
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r != 0) {
        threads_stop(u);
    }
    return r;
}

/* Life. */

static void loop_close(struct rt_uv *u)
{
    int r;

    uv_close((uv_handle_t *)&u->turn, NULL);
    uv_close((uv_handle_t *)&u->alarm, NULL);
    uv_close((uv_handle_t *)&u->fresh, NULL);
    while (uv_run(&u->loop, UV_RUN_DEFAULT) != 0) {
        /* Handle memory is ours again only after this. More than once when rt_uv_stop() came last.
         */
    }
    r = uv_loop_close(&u->loop);
    sf_assert(r == 0); /* Else somebody kept a handle open. */
}

/* Lock and conditions cannot fail on Linux but by attributes we do not use. */
static void locks_init(struct rt_uv *u)
{
    int r = uv_mutex_init(&u->lock);

    for (size_t i = 0; i < SF_POOL_COUNT; i++) {
        r |= uv_cond_init(&u->pools[i].ready);
    }
    sf_assert(r == 0);
}

static void locks_done(struct rt_uv *u)
{
    for (size_t i = 0; i < SF_POOL_COUNT; i++) {
        uv_cond_destroy(&u->pools[i].ready);
    }
    uv_mutex_destroy(&u->lock);
}

static int wake_init(struct rt_uv *u)
{
    int r;

    u->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (u->wake_fd < 0) {
        return uv_translate_sys_error(errno);
    }
    r = uv_poll_init(&u->loop, &u->wake, u->wake_fd);
    if (r != 0) {
        (void)close(u->wake_fd);
        return r;
    }
    (void)uv_poll_start(&u->wake, UV_READABLE, wake_cb);
    uv_unref((uv_handle_t *)&u->wake);
    return 0;
}

static int loop_init(struct rt_uv *u)
{
    int r = uv_loop_init(&u->loop);

    if (r != 0) {
        return r;
    }
    u->turn.data = u->alarm.data = u->fresh.data = u->wake.data = u;
    (void)uv_idle_init(&u->loop, &u->turn);
    (void)uv_timer_init(&u->loop, &u->alarm);
    (void)uv_prepare_init(&u->loop, &u->fresh);
    (void)uv_prepare_start(&u->fresh, fresh_cb);
    uv_unref((uv_handle_t *)&u->fresh);
    r = wake_init(u);
    if (r != 0) {
        loop_close(u);
    }
    return r;
}

enum sf_code rt_uv_new(struct rt_uv **ret, struct sf_error *err)
{
    static const struct sf_rt_ops ops = {
        .now_ns = rt_now_ns,
        .exact_ns = rt_exact_ns,
        .wall_us = rt_wall_us,
        .post = rt_post,
        .post_remote = rt_post_remote,
        .timer_start = rt_timer_start,
        .timer_stop = rt_timer_stop,
        .work = rt_work,
    };
    struct rt_uv *u = sf_calloc(1, sizeof(*u));
    int r;

    if (u == NULL) {
        return SF_RAISE(err, SF_NOMEM, "no memory for the event loop");
    }
    u->rt.ops = &ops;
    sf_list_init(&u->tasks);
    sf_list_init(&u->timers);
    sf_list_init(&u->remote);
    for (size_t i = 0; i < SF_POOL_COUNT; i++) {
        u->pools[i].owner = u;
        u->pools[i].name = pool_names[i];
        sf_list_init(&u->pools[i].works);
    }
    r = loop_init(u);
    if (r != 0) {
        sf_free(u);
        return SF_RAISE(err, SF_UNAVAILABLE, "event loop: %s", uv_strerror(r));
    }
    locks_init(u);
    r = threads_start(u);
    if (r != 0) {
        rt_uv_free(u);
        return SF_RAISE(err, SF_UNAVAILABLE, "threads of the event loop: %s", uv_strerror(r));
    }
    (void)signal(SIGPIPE, SIG_IGN); /* A peer that is gone is an error of write(), not our end. */
    *ret = u;
    return SF_OK;
}

void rt_uv_free(struct rt_uv *u)
{
    if (u == NULL) {
        return;
    }
    uv_mutex_lock(&u->lock);
    sf_assert(u->works_pending == 0);
    uv_mutex_unlock(&u->lock);
    threads_stop(u);
    for (size_t i = 0; i < u->signal_count; i++) {
        uv_close((uv_handle_t *)&u->signals[i], NULL);
    }
    uv_mutex_lock(&u->lock);
    uv_close((uv_handle_t *)&u->wake, NULL);
    uv_mutex_unlock(&u->lock);
    loop_close(u);
    (void)close(u->wake_fd);
    locks_done(u);
    sf_free(u);
}

struct sf_rt *rt_uv_rt(struct rt_uv *u)
{
    return &u->rt;
}

uv_loop_t *rt_uv_loop(struct rt_uv *u)
{
    return &u->loop;
}

void rt_uv_run(struct rt_uv *u)
{
    u->now_ns = 0;
    (void)uv_run(&u->loop, UV_RUN_DEFAULT);
    u->now_ns = 0;
}

void rt_uv_stop(struct rt_uv *u)
{
    uv_stop(&u->loop);
}

static void signal_cb(uv_signal_t *handle, int number)
{
    struct rt_uv *u = handle->data;

    u->on_signal(number, u->on_signal_data);
}

enum sf_code rt_uv_catch_signals(struct rt_uv *u, void (*on_signal)(int number, void *data),
                                 void *data, struct sf_error *err)
{
    sf_assert(u->signal_count == 0);
    u->on_signal = on_signal;
    u->on_signal_data = data;
    for (size_t i = 0; i < SF_COUNT(caught); i++) {
        int r = uv_signal_init(&u->loop, &u->signals[i]);

        if (r == 0) {
            u->signal_count++;
            u->signals[i].data = u;
            r = uv_signal_start(&u->signals[i], signal_cb, caught[i]);
        }
        if (r != 0) {
            return SF_RAISE(err, SF_UNAVAILABLE, "signals: %s", uv_strerror(r));
        }
        uv_unref((uv_handle_t *)&u->signals[i]);
    }
    return SF_OK;
}
