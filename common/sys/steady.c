#include "common/sys/steady.h"

static void know(struct sf_steady *s, int64_t us, uint64_t now_ns)
{
    s->known = (struct sf_known_time){us, now_ns};
    s->ahead = false;
}

void sf_steady_init(struct sf_steady *s, struct sf_rt *rt, int64_t stored_us)
{
    const int64_t wall_us = sf_rt_wall_us(rt);

    s->rt = rt;
    know(s, stored_us > wall_us && stored_us - wall_us <= SF_STEADY_AHEAD_US ? stored_us : wall_us,
         sf_rt_exact_ns(rt));
}

int64_t sf_steady_us(struct sf_steady *s)
{
    const int64_t wall_us = sf_rt_wall_us(s->rt);
    const uint64_t now_ns = sf_rt_exact_ns(s->rt);
    const int64_t steady_us = sf_known_time_us(&s->known, now_ns);

    if (wall_us <= steady_us) {
        s->ahead = false;
        return steady_us;
    }
    if (!s->ahead) {
        s->ahead = true;
        s->ahead_ns = now_ns;
    }
    if (wall_us - steady_us <= SF_US_PER_S || now_ns - s->ahead_ns >= SF_STEADY_HOLD_NS) {
        know(s, wall_us, now_ns);
    }
    return wall_us;
}
