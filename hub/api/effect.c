#include "hub/api/effect.h"

static void end(struct effect *e)
{
    effect_cancel(e);
    e->took_ns = sf_rt_now_ns(e->state->rt) - e->started_ns;
    e->done(e);
}

static void on_deadline(struct sf_timer *t)
{
    end(SF_CONTAINER_OF(t, struct effect, deadline));
}

static void on_pushed(struct pusher_wait *w)
{
    struct effect *e = w->data;

    e->claims_lag = false;
    if (!e->leaf_lags) {
        end(e);
    }
}

static void on_acknowledged(struct lease_wait *w)
{
    struct effect *e = w->data;

    e->leaf_lags = false;
    if (!e->claims_lag) {
        end(e);
    }
}

void effect_start(struct hub_state *s, struct effect *e, const struct registry_request *q,
                  uint64_t wait_ns)
{
    struct lease *lease = lease_find(&s->leases, q->product->owner->name);

    e->state = s;
    e->started_ns = sf_rt_now_ns(s->rt);
    e->push = (struct pusher_wait){.done = on_pushed, .data = e};
    e->lease = (struct lease_wait){.done = on_acknowledged, .data = e};
    e->deadline = (struct sf_timer){.fire = on_deadline};
    e->claims_lag = !pusher_is_done(s->pusher, q->consumer->account);
    e->leaf_lags = lease == NULL || !lease_is_acknowledged(lease);
    if (e->claims_lag) {
        pusher_wait(s->pusher, &e->push, q->consumer->account);
    }
    if (e->leaf_lags && lease != NULL) {
        lease_wait(lease, &e->lease);
    }
    sf_rt_timer_start(s->rt, &e->deadline, e->claims_lag || e->leaf_lags ? wait_ns : 0);
}

void effect_cancel(struct effect *e)
{
    if (e->state != NULL) {
        pusher_cancel(e->state->pusher, &e->push);
        lease_cancel(&e->lease);
        sf_rt_timer_stop(e->state->rt, &e->deadline);
    }
}
