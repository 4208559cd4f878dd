#include "tests/lib/test_loop.h"

#include "tests/lib/cmocka.h"

void test_loop_init(struct test_loop *l)
{
    struct sf_error err = {0};

    if (rt_uv_new(&l->uv, &err) != SF_OK) {
        fail_msg("no loop: %s", err.text);
    }
    l->rt = rt_uv_rt(l->uv);
}

void test_loop_done(struct test_loop *l)
{
    rt_uv_free(l->uv);
    l->uv = NULL;
}

/* Looks every millisecond, so that a condition may also depend on what no callback tells. */
struct watch {
    struct sf_timer timer;
    struct test_loop *loop;
    bool (*holds)(void *data);
    void *data;
    uint64_t until_ns;
    bool held;
};

static void look(struct sf_timer *t)
{
    struct watch *w = SF_CONTAINER_OF(t, struct watch, timer);

    w->held = w->holds(w->data);
    if (w->held || sf_rt_now_ns(w->loop->rt) >= w->until_ns) {
        rt_uv_stop(w->loop->uv);
        return;
    }
    sf_rt_timer_start(w->loop->rt, t, SF_NS_PER_MS);
}

bool test_loop_wait(struct test_loop *l, bool (*holds)(void *data), void *data,
                    unsigned deadline_ms)
{
    struct watch w = {
        .timer = {.fire = look},
        .loop = l,
        .holds = holds,
        .data = data,
        .until_ns = sf_rt_now_ns(l->rt) + deadline_ms * SF_NS_PER_MS,
    };

    sf_rt_timer_start(l->rt, &w.timer, 0);
    rt_uv_run(l->uv);
    return w.held;
}

void test_loop_until(struct test_loop *l, bool (*holds)(void *data), void *data, const char *what,
                     unsigned deadline_ms)
{
    if (!test_loop_wait(l, holds, data, deadline_ms)) {
        fail_msg("waited %u ms for: %s", deadline_ms, what);
    }
}

struct goal {
    const size_t *counter;
    size_t want;
};

static bool count_reached(void *data)
{
    const struct goal *g = data;

    return *g->counter >= g->want;
}

void test_loop_until_count(struct test_loop *l, const size_t *counter, size_t want,
                           const char *what, unsigned deadline_ms)
{
    struct goal g = {counter, want};

    if (!test_loop_wait(l, count_reached, &g, deadline_ms)) {
        fail_msg("waited %u ms for: %s (%zu of %zu)", deadline_ms, what, *counter, want);
    }
}

static bool flag_set(void *data)
{
    const bool *const *flag = data;

    return **flag;
}

void test_loop_until_flag(struct test_loop *l, const bool *flag, const char *what,
                          unsigned deadline_ms)
{
    test_loop_until(l, flag_set, &flag, what, deadline_ms);
}

static bool never(void *data)
{
    (void)data;
    return false;
}

void test_loop_idle(struct test_loop *l, unsigned ms)
{
    (void)test_loop_wait(l, never, NULL, ms);
}
