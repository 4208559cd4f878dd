#include "leaf/publish/asking.h"

#include "common/base/assert.h"

void asking_start_timer(struct sf_rt *rt, struct sf_timer *timer, uint64_t ns)
{
    const uint64_t now = sf_rt_now_ns(rt);

    sf_rt_timer_start(rt, timer, (now + ns) / ASKING_MOMENT_NS * ASKING_MOMENT_NS - now);
}

/* A new moment brings new turns. */
static void look_at_clock(struct asking *a)
{
    const uint64_t moment = sf_rt_now_ns(a->rt) / ASKING_MOMENT_NS;

    if (moment != a->moment) {
        a->moment = moment;
        a->left = (a->most + ASKING_WAIT_MOMENTS - 1) / ASKING_WAIT_MOMENTS;
        a->left = a->left < ASKING_AT_ONCE ? ASKING_AT_ONCE : a->left;
    }
}

static void on_moment(struct sf_timer *timer)
{
    struct asking *a = SF_CONTAINER_OF(timer, struct asking, timer);

    look_at_clock(a);
    while (a->left > 0 && a->waiting_count > 0) {
        struct sf_list *link = sf_list_pop(&a->waiting);
        struct asking_turn *t = SF_CONTAINER_OF(link, struct asking_turn, link);

        a->waiting_count--;
        a->left--;
        t->ask(t);
    }
    if (a->waiting_count > 0) {
        asking_start_timer(a->rt, timer, ASKING_MOMENT_NS);
    } else {
        a->most = 0;
    }
}

void asking_init(struct asking *a, struct sf_rt *rt)
{
    *a = (struct asking){.rt = rt, .moment = UINT64_MAX, .timer.fire = on_moment};
    sf_list_init(&a->waiting);
}

void asking_done(struct asking *a)
{
    sf_assert(a->waiting_count == 0);
    sf_rt_timer_stop(a->rt, &a->timer);
}

void asking_want(struct asking *a, struct asking_turn *t)
{
    look_at_clock(a);
    if (a->left > 0 && a->waiting_count == 0) {
        a->left--;
        t->ask(t);
        return;
    }
    if (a->waiting_count++ == 0) {
        asking_start_timer(a->rt, &a->timer, ASKING_MOMENT_NS);
    }
    a->most = a->most < a->waiting_count ? a->waiting_count : a->most;
    sf_list_push(&a->waiting, &t->link);
}

void asking_forget(struct asking *a, struct asking_turn *t)
{
    if (asking_waits(t)) {
        sf_list_remove(&t->link);
        a->waiting_count--;
    }
}

bool asking_waits(const struct asking_turn *t)
{
    return sf_list_linked(&t->link);
}
