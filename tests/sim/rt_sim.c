#include "tests/sim/rt_sim.h"

#include "common/base/assert.h"

enum {
    TASK_NS_MAX = 20 * 1000,
    LATE_NS_MAX = 1000 * 1000,
    WORK_NS_MAX = 2 * 1000 * 1000,
    WORK_SLOW_NS_MAX = 50 * 1000 * 1000,
};

#define WALL_START_US INT64_C(1767225600000000) /* 2026-01-01T00:00:00Z */

static const enum sf_pool thread_pools[RT_SIM_THREADS] = {SF_POOL_COMMIT, SF_POOL_QUERY,
                                                          SF_POOL_QUERY};

static struct rt_sim *self(struct sf_rt *rt)
{
    return SF_CONTAINER_OF(rt, struct rt_sim, rt);
}

uint64_t rt_sim_random(struct rt_sim *s, uint64_t bound)
{
    uint64_t x = s->random += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */

    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    x ^= x >> 31;
    return bound == 0 ? 0 : x % bound;
}

static uint64_t sim_now_ns(struct sf_rt *rt)
{
    return self(rt)->now_ns;
}

static int64_t sim_wall_us(struct sf_rt *rt)
{
    return self(rt)->wall_offset_us + (int64_t)(self(rt)->now_ns / 1000);
}

static void sim_post(struct sf_rt *rt, struct sf_task *t)
{
    sf_list_push(&self(rt)->tasks, &t->link);
}

static struct sf_timer *timer_of(struct sf_list *link)
{
    return SF_CONTAINER_OF(link, struct sf_timer, link);
}

static void sim_timer_start(struct sf_rt *rt, struct sf_timer *t, uint64_t delay_ns)
{
    struct rt_sim *s = self(rt);
    struct sf_list *at = s->timers.next;

    sf_list_remove(&t->link);
    at = s->timers.next;
    t->due_ns = s->now_ns + delay_ns;
    if (t->due_ns < delay_ns) {
        t->due_ns = UINT64_MAX;
    }
    while (at != &s->timers && (timer_of(at)->due_ns < t->due_ns ||
                                (timer_of(at)->due_ns == t->due_ns && rt_sim_random(s, 2) == 0))) {
        at = at->next;
    }
    sf_list_push(at, &t->link);
}

static void sim_timer_stop(struct sf_rt *rt, struct sf_timer *t)
{
    (void)rt;
    sf_list_remove(&t->link);
}

/* Gives idle threads what waits for them. */
static void threads_fill(struct rt_sim *s)
{
    for (size_t i = 0; i < RT_SIM_THREADS; i++) {
        struct rt_sim_thread *thread = &s->threads[i];
        struct sf_list *waiting = &s->works[thread_pools[i]];
        uint64_t duration_ns;

        if (thread->work != NULL || sf_list_empty(waiting)) {
            continue;
        }
        duration_ns = rt_sim_random(s, rt_sim_random(s, 8) == 0 ? WORK_SLOW_NS_MAX : WORK_NS_MAX);
        thread->work = SF_CONTAINER_OF(sf_list_pop(waiting), struct sf_work, link);
        thread->runs_ns = s->now_ns + rt_sim_random(s, duration_ns + 1);
        thread->ends_ns = s->now_ns + duration_ns;
    }
}

static void sim_work(struct sf_rt *rt, struct sf_work *w)
{
    struct rt_sim *s = self(rt);

    sf_list_push(&s->works[w->pool], &w->link);
    threads_fill(s);
}

void rt_sim_init(struct rt_sim *s, uint64_t seed)
{
    static const struct sf_rt_ops ops = {
        .now_ns = sim_now_ns,
        .exact_ns = sim_now_ns,
        .wall_us = sim_wall_us,
        .post = sim_post,
        .post_remote = sim_post,
        .timer_start = sim_timer_start,
        .timer_stop = sim_timer_stop,
        .work = sim_work,
    };

    *s = (struct rt_sim){.rt.ops = &ops, .random = seed, .now_ns = SF_NS_PER_S};
    rt_sim_set_wall_us(s, WALL_START_US);
    sf_list_init(&s->tasks);
    sf_list_init(&s->timers);
    for (size_t i = 0; i < SF_POOL_COUNT; i++) {
        sf_list_init(&s->works[i]);
    }
}

void rt_sim_done(struct rt_sim *s)
{
    sf_assert(sf_list_empty(&s->tasks));
    for (size_t i = 0; i < RT_SIM_THREADS; i++) {
        sf_assert(s->threads[i].work == NULL);
    }
}

static uint64_t thread_next_ns(const struct rt_sim_thread *thread)
{
    if (thread->work == NULL) {
        return UINT64_MAX;
    }
    return thread->runs_ns != 0 ? thread->runs_ns : thread->ends_ns;
}

/* When the next thing can happen; UINT64_MAX: never. */
static uint64_t next_ns(const struct rt_sim *s)
{
    uint64_t next = UINT64_MAX;

    if (!sf_list_empty(&s->tasks)) {
        return s->now_ns;
    }
    if (!sf_list_empty(&s->timers)) {
        next = timer_of(s->timers.next)->due_ns;
    }
    for (size_t i = 0; i < RT_SIM_THREADS; i++) {
        uint64_t at = thread_next_ns(&s->threads[i]);

        next = at < next ? at : next;
    }
    return next < s->now_ns ? s->now_ns : next;
}

static void thread_step(struct rt_sim *s, struct rt_sim_thread *thread)
{
    struct sf_work *w = thread->work;

    if (thread->runs_ns != 0) {
        thread->runs_ns = 0;
        w->work(w);
        return;
    }
    thread->work = NULL;
    sf_list_push(&s->tasks, &w->done.link);
    threads_fill(s);
}

static void task_step(struct rt_sim *s)
{
    struct sf_task *t = SF_CONTAINER_OF(sf_list_pop(&s->tasks), struct sf_task, link);

    s->now_ns += rt_sim_random(s, TASK_NS_MAX);
    t->run(t);
}

static void timer_step(struct rt_sim *s)
{
    struct sf_timer *t = timer_of(sf_list_pop(&s->timers));

    t->fire(t);
}

/* Does one of the things that are ready: the first task, the first timer due, a thread. */
static void choose(struct rt_sim *s)
{
    enum { TASK = RT_SIM_THREADS, TIMER };
    size_t ready[RT_SIM_THREADS + 2];
    size_t count = 0;

    for (size_t i = 0; i < RT_SIM_THREADS; i++) {
        if (thread_next_ns(&s->threads[i]) <= s->now_ns) {
            ready[count++] = i;
        }
    }
    if (!sf_list_empty(&s->tasks)) {
        ready[count++] = TASK;
    }
    if (!sf_list_empty(&s->timers) && timer_of(s->timers.next)->due_ns <= s->now_ns) {
        ready[count++] = TIMER;
    }
    sf_assert(count > 0);
    count = ready[rt_sim_random(s, count)];
    if (count == TASK) {
        task_step(s);
    } else if (count == TIMER) {
        timer_step(s);
    } else {
        thread_step(s, &s->threads[count]);
    }
}

/* Not beyond @end_ns. */
static bool step(struct rt_sim *s, uint64_t end_ns)
{
    uint64_t next = next_ns(s);

    if (next == UINT64_MAX || next > end_ns) {
        return false;
    }
    if (next > s->now_ns) {
        uint64_t late_ns = rt_sim_random(s, 4) == 0 ? rt_sim_random(s, LATE_NS_MAX) : 0;

        s->now_ns = late_ns > end_ns - next ? end_ns : next + late_ns;
    }
    choose(s);
    return true;
}

bool rt_sim_step(struct rt_sim *s)
{
    return step(s, UINT64_MAX);
}

void rt_sim_run(struct rt_sim *s)
{
    while (rt_sim_step(s)) {
    }
}

static bool never(void *data)
{
    (void)data;
    return false;
}

void rt_sim_run_for(struct rt_sim *s, uint64_t duration_ns)
{
    uint64_t end_ns = s->now_ns + duration_ns;

    (void)rt_sim_run_until(s, never, NULL, duration_ns);
    s->now_ns = end_ns > s->now_ns ? end_ns : s->now_ns;
}

bool rt_sim_run_until(struct rt_sim *s, bool (*condition)(void *data), void *data,
                      uint64_t duration_ns)
{
    uint64_t end_ns = s->now_ns + duration_ns;

    while (!condition(data)) {
        if (!step(s, end_ns)) {
            return false;
        }
    }
    return true;
}

void rt_sim_set_wall_us(struct rt_sim *s, int64_t wall_us)
{
    s->wall_offset_us = wall_us - (int64_t)(s->now_ns / 1000);
}
