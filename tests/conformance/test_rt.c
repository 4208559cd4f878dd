/* What rt.h promises, asked of rt_uv and of rt_sim under many seeds. */
#include "tests/lib/cmocka.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/sys/rt_uv.h"
#include "tests/sim/rt_sim.h"

enum { SEEDS = 200 };

/* One runtime under test. */
struct subject {
    struct rt_uv *uv; /* or NULL */
    struct rt_sim sim;
    struct sf_rt *rt;
};

static void run(struct subject *s)
{
    if (s->uv != NULL) {
        rt_uv_run(s->uv);
    } else {
        rt_sim_run(&s->sim);
    }
}

/* Runs @body on the real one once, on the simulated one with many seeds. */
static void on_both(void (*body)(struct subject *s))
{
    struct subject s = {0};

    assert_int_equal(rt_uv_new(&s.uv, NULL), SF_OK);
    s.rt = rt_uv_rt(s.uv);
    body(&s);
    rt_uv_free(s.uv);
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        s = (struct subject){0};
        rt_sim_init(&s.sim, seed);
        s.rt = &s.sim.rt;
        body(&s);
        rt_sim_done(&s.sim);
    }
}

/* Events write a letter each; the order of letters is what is compared. */
struct diary {
    char text[64];
    size_t size;
};

static void note(struct diary *d, char letter)
{
    assert_true(d->size + 1 < sizeof(d->text));
    d->text[d->size++] = letter;
    d->text[d->size] = '\0';
}

struct entry {
    struct sf_task task;
    struct sf_timer timer;
    struct sf_work work;
    struct subject *subject;
    struct diary *diary;
    struct entry *then; /* posted when this one runs */
    char letter;
    uint64_t at_ns;
};

static void entry_run(struct sf_task *t)
{
    struct entry *e = SF_CONTAINER_OF(t, struct entry, task);

    note(e->diary, e->letter);
    if (e->then != NULL) {
        sf_rt_post(e->subject->rt, &e->then->task);
        note(e->diary, '.');
    }
}

static void entry_fire(struct sf_timer *t)
{
    struct entry *e = SF_CONTAINER_OF(t, struct entry, timer);

    e->at_ns = sf_rt_now_ns(e->subject->rt);
    note(e->diary, e->letter);
}

static void entries_init(struct entry *e, size_t count, struct subject *s, struct diary *d)
{
    memset(e, 0, count * sizeof(*e));
    for (size_t i = 0; i < count; i++) {
        e[i].task.run = entry_run;
        e[i].timer.fire = entry_fire;
        e[i].subject = s;
        e[i].diary = d;
        e[i].letter = (char)('a' + i);
    }
}

static void tasks_body(struct subject *s)
{
    struct diary d = {0};
    struct entry e[5];

    entries_init(e, 5, s, &d);
    e[0].then = &e[3];
    e[3].then = &e[4];
    sf_rt_post(s->rt, &e[0].task);
    sf_rt_post(s->rt, &e[1].task);
    sf_rt_post_remote(s->rt, &e[2].task);
    note(&d, '-');
    run(s);
    /* c comes from elsewhere: anywhere behind the dash. The rest is in order, none inside a call.
     */
    for (size_t i = 0; i < d.size; i++) {
        if (d.text[i] == 'c') {
            assert_true(i > 0);
            memmove(d.text + i, d.text + i + 1, d.size - i);
        }
    }
    assert_int_equal(d.size, 8);
    assert_string_equal(d.text, "-a.bd.e");
}

static void test_tasks_run_in_the_order_posted_and_later(void **state)
{
    (void)state;
    on_both(tasks_body);
}

static void timers_body(struct subject *s)
{
    struct diary d = {0};
    struct entry e[5];
    uint64_t start = sf_rt_now_ns(s->rt);

    entries_init(e, 5, s, &d);
    sf_rt_timer_start(s->rt, &e[0].timer, 12 * SF_NS_PER_MS);
    sf_rt_timer_start(s->rt, &e[1].timer, 4 * SF_NS_PER_MS);
    sf_rt_timer_start(s->rt, &e[2].timer, 8 * SF_NS_PER_MS);
    sf_rt_timer_start(s->rt, &e[3].timer, 1 * SF_NS_PER_MS);
    sf_rt_timer_start(s->rt, &e[4].timer, 0);
    sf_rt_timer_start(s->rt, &e[3].timer, 16 * SF_NS_PER_MS); /* moved */
    sf_rt_timer_stop(s->rt, &e[2].timer);
    sf_rt_timer_stop(s->rt, &e[2].timer);
    assert_int_equal(d.size, 0);
    run(s);
    assert_string_equal(d.text, "ebad");
    assert_true(e[1].at_ns >= start + 4 * SF_NS_PER_MS);
    assert_true(e[0].at_ns >= start + 12 * SF_NS_PER_MS);
    assert_true(e[3].at_ns >= start + 16 * SF_NS_PER_MS);
    sf_rt_timer_stop(s->rt, &e[3].timer); /* fine after it fired */
}

static void test_timers_fire_when_due_and_not_when_stopped(void **state)
{
    (void)state;
    on_both(timers_body);
}

struct stopper {
    struct entry first;
    struct entry second;
};

static void stop_second(struct sf_timer *t)
{
    struct stopper *p = SF_CONTAINER_OF(t, struct stopper, first.timer);

    note(p->first.diary, 'a');
    sf_rt_timer_stop(p->first.subject->rt, &p->second.timer);
    memset(&p->second, 0xff, sizeof(p->second)); /* its memory is ours again */
}

static void stop_body(struct subject *s)
{
    struct diary d = {0};
    struct stopper p;

    entries_init(&p.first, 1, s, &d);
    entries_init(&p.second, 1, s, &d);
    p.first.timer.fire = stop_second;
    sf_rt_timer_start(s->rt, &p.first.timer, SF_NS_PER_MS);
    sf_rt_timer_start(s->rt, &p.second.timer, SF_NS_PER_MS + 1);
    run(s);
    assert_string_equal(d.text, "a");
}

static void test_timer_stopped_by_another_that_fires_with_it_stays_silent(void **state)
{
    (void)state;
    on_both(stop_body);
}

struct repeat {
    struct sf_timer timer;
    struct sf_rt *rt;
    unsigned left;
};

static void repeat_fire(struct sf_timer *t)
{
    struct repeat *p = SF_CONTAINER_OF(t, struct repeat, timer);

    if (--p->left > 0) {
        sf_rt_timer_start(p->rt, t, SF_NS_PER_MS / 10);
    }
}

static void repeat_body(struct subject *s)
{
    struct repeat p = {.timer.fire = repeat_fire, .rt = s->rt, .left = 5};
    uint64_t start = sf_rt_now_ns(s->rt);

    sf_rt_timer_start(s->rt, &p.timer, 0);
    run(s);
    assert_int_equal(p.left, 0);
    assert_true(sf_rt_now_ns(s->rt) - start >= 4 * (SF_NS_PER_MS / 10));
}

static void test_timer_may_start_itself_again(void **state)
{
    (void)state;
    on_both(repeat_body);
}

/* Works: counted inside their function, so that two commits at a time would be seen. */
struct job {
    struct sf_work work;
    struct jobs *all;
    unsigned number;
    bool worked;
};

struct jobs {
    struct job jobs[12];
    struct sf_rt *rt;
    pthread_t loop;
    atomic_uint committing;
    atomic_uint commits_started;
    unsigned done;
    unsigned commits_done;
    bool threads; /* the pool has threads of its own */
};

/* On another thread, where cmocka's own asserts cannot be used. */
static void job_work(struct sf_work *w)
{
    struct job *j = SF_CONTAINER_OF(w, struct job, work);

    if (w->pool == SF_POOL_COMMIT) {
        sf_assert(atomic_fetch_add(&j->all->committing, 1) == 0);
        sf_assert(atomic_fetch_add(&j->all->commits_started, 1) == j->number / 2);
        sf_assert(atomic_fetch_sub(&j->all->committing, 1) == 1);
    }
    if (j->all->threads) {
        sf_assert(!pthread_equal(pthread_self(), j->all->loop));
    }
    j->worked = true;
}

static void job_done(struct sf_task *t)
{
    struct job *j = SF_CONTAINER_OF(t, struct job, work.done);

    assert_true(j->worked);
    assert_true(pthread_equal(pthread_self(), j->all->loop));
    j->all->done++;
    if (j->work.pool == SF_POOL_COMMIT) {
        assert_int_equal(j->all->commits_done++, j->number / 2);
    }
    if (j->number < 2) { /* works started from a done task run as well */
        struct job *next = &j->all->jobs[j->number + 10];

        sf_rt_work(j->all->rt, &next->work);
    }
}

static void work_body(struct subject *s)
{
    struct jobs all = {.rt = s->rt, .loop = pthread_self(), .threads = s->uv != NULL};

    for (unsigned i = 0; i < SF_COUNT(all.jobs); i++) {
        all.jobs[i] = (struct job){
            .work = {.pool = i % 2 == 0 ? SF_POOL_COMMIT : SF_POOL_QUERY,
                     .work = job_work,
                     .done.run = job_done},
            .all = &all,
            .number = i,
        };
    }
    for (unsigned i = 0; i < 10; i++) {
        sf_rt_work(s->rt, &all.jobs[i].work);
    }
    assert_int_equal(all.done, 0);
    run(s);
    assert_int_equal(all.done, 12);
}

static void test_commits_run_one_at_a_time_in_order_and_done_on_the_loop(void **state)
{
    (void)state;
    on_both(work_body);
}

/* Two works that wait for each other: both query threads have to be there at once. */
struct meeting {
    struct sf_work work;
    pthread_barrier_t *barrier;
};

static void meet(struct sf_work *w)
{
    (void)pthread_barrier_wait(SF_CONTAINER_OF(w, struct meeting, work)->barrier);
}

static void ignore(struct sf_task *t)
{
    (void)t;
}

static void test_two_queries_run_at_a_time_and_beside_a_commit(void **state)
{
    struct meeting m[3];
    struct rt_uv *u;
    pthread_barrier_t barrier;

    (void)state;
    assert_int_equal(rt_uv_new(&u, NULL), SF_OK);
    assert_int_equal(pthread_barrier_init(&barrier, NULL, 3), 0);
    for (size_t i = 0; i < 3; i++) {
        m[i] = (struct meeting){.work = {.pool = i == 0 ? SF_POOL_COMMIT : SF_POOL_QUERY,
                                         .work = meet,
                                         .done.run = ignore},
                                .barrier = &barrier};
        sf_rt_work(rt_uv_rt(u), &m[i].work);
    }
    rt_uv_run(u);
    rt_uv_free(u);
    (void)pthread_barrier_destroy(&barrier);
}

static void wall_body(struct subject *s)
{
    int64_t wall_us = sf_rt_wall_us(s->rt);

    assert_true(wall_us > INT64_C(1700000000) * SF_US_PER_S);
    assert_true(wall_us < INT64_C(4000000000) * SF_US_PER_S);
}

static void test_wall_clock_is_microseconds_since_1970(void **state)
{
    (void)state;
    on_both(wall_body);
}

/* The simulation's own promises. */

static void test_same_seed_same_story(void **state)
{
    uint64_t ends[2][20];

    (void)state;
    for (size_t round = 0; round < 2; round++) {
        for (uint64_t seed = 0; seed < 20; seed++) {
            struct subject s = {0};

            rt_sim_init(&s.sim, seed);
            s.rt = &s.sim.rt;
            work_body(&s);
            ends[round][seed] = s.sim.now_ns;
            rt_sim_done(&s.sim);
        }
    }
    assert_memory_equal(ends[0], ends[1], sizeof(ends[0]));
    assert_memory_not_equal(&ends[0][0], &ends[0][1], sizeof(ends[0][0]));
}

struct race {
    struct sf_work work;
    struct diary *diary;
    char letter;
};

static void race_work(struct sf_work *w)
{
    struct race *r = SF_CONTAINER_OF(w, struct race, work);

    note(r->diary, r->letter);
}

static void race_done(struct sf_task *t)
{
    struct race *r = SF_CONTAINER_OF(t, struct race, work.done);

    note(r->diary, (char)(r->letter - 'a' + 'A'));
}

static void test_seeds_run_and_finish_queries_in_every_order(void **state)
{
    static const char *const orders[] = {"aAbB", "abAB", "abBA", "baAB", "baBA", "bBaA"};
    unsigned seen[SF_COUNT(orders)] = {0};

    (void)state;
    for (uint64_t seed = 0; seed < 500; seed++) {
        struct rt_sim s;
        struct diary d = {0};
        struct race r[2];

        rt_sim_init(&s, seed);
        for (size_t i = 0; i < 2; i++) {
            r[i] = (struct race){
                .work = {.pool = SF_POOL_QUERY, .work = race_work, .done.run = race_done},
                .diary = &d,
                .letter = (char)('a' + i)};
            sf_rt_work(&s.rt, &r[i].work);
        }
        rt_sim_run(&s);
        for (size_t i = 0; i < SF_COUNT(orders); i++) {
            seen[i] += strcmp(d.text, orders[i]) == 0 ? 1 : 0;
        }
        rt_sim_done(&s);
    }
    for (size_t i = 0; i < SF_COUNT(orders); i++) {
        assert_true(seen[i] > 0);
    }
}

static void test_virtual_time_passes_without_events(void **state)
{
    struct rt_sim s;
    uint64_t start;

    (void)state;
    rt_sim_init(&s, 1);
    start = sf_rt_now_ns(&s.rt);
    rt_sim_run_for(&s, 3600 * SF_NS_PER_S);
    assert_int_equal(sf_rt_now_ns(&s.rt) - start, 3600 * SF_NS_PER_S);
    assert_int_equal(sf_rt_wall_us(&s.rt), INT64_C(1767225600000000) + 3600 * SF_US_PER_S);
    rt_sim_set_wall_us(&s, 5);
    assert_int_equal(sf_rt_wall_us(&s.rt), 5);
    assert_false(rt_sim_step(&s));
    rt_sim_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tasks_run_in_the_order_posted_and_later),
        cmocka_unit_test(test_timers_fire_when_due_and_not_when_stopped),
        cmocka_unit_test(test_timer_stopped_by_another_that_fires_with_it_stays_silent),
        cmocka_unit_test(test_timer_may_start_itself_again),
        cmocka_unit_test(test_commits_run_one_at_a_time_in_order_and_done_on_the_loop),
        cmocka_unit_test(test_two_queries_run_at_a_time_and_beside_a_commit),
        cmocka_unit_test(test_wall_clock_is_microseconds_since_1970),
        cmocka_unit_test(test_same_seed_same_story),
        cmocka_unit_test(test_seeds_run_and_finish_queries_in_every_order),
        cmocka_unit_test(test_virtual_time_passes_without_events),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
