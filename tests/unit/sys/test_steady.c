/* Time that does not go back, whatever is done to the clock. */
#include "tests/lib/cmocka.h"

#include "common/sys/rt_uv.h"
#include "common/sys/steady.h"
#include "tests/sim/rt_sim.h"

#define NOON INT64_C(1800000000000000)
#define HOUR (3600 * SF_US_PER_S)

struct world {
    struct rt_sim sim;
    struct sf_steady clock;
};

static void init(struct world *w, int64_t stored_us)
{
    rt_sim_init(&w->sim, 1);
    rt_sim_set_wall_us(&w->sim, NOON);
    sf_steady_init(&w->clock, &w->sim.rt, stored_us);
}

static void pass(struct world *w, uint64_t seconds)
{
    rt_sim_run_for(&w->sim, seconds * SF_NS_PER_S);
}

static void test_it_goes_with_the_clock(void **state)
{
    struct world w;

    (void)state;
    init(&w, 0);
    assert_int_equal(sf_steady_us(&w.clock), NOON);
    pass(&w, 10);
    assert_int_equal(sf_steady_us(&w.clock), NOON + 10 * SF_US_PER_S);
    rt_sim_done(&w.sim);
}

static void test_a_clock_that_is_set_back_does_not_take_it_back(void **state)
{
    struct world w;

    (void)state;
    init(&w, 0);
    pass(&w, 10);
    rt_sim_set_wall_us(&w.sim, NOON - 24 * HOUR);
    assert_int_equal(sf_steady_us(&w.clock), NOON + 10 * SF_US_PER_S);
    pass(&w, 5);
    assert_int_equal(sf_steady_us(&w.clock), NOON + 15 * SF_US_PER_S);
    rt_sim_set_wall_us(&w.sim, NOON + 16 * SF_US_PER_S);
    assert_int_equal(sf_steady_us(&w.clock), NOON + 16 * SF_US_PER_S);
    rt_sim_done(&w.sim);
}

static void test_a_clock_that_jumps_ahead_and_is_set_right_leaves_nothing(void **state)
{
    struct world w;

    (void)state;
    init(&w, 0);
    rt_sim_set_wall_us(&w.sim, NOON + 24 * HOUR);
    assert_int_equal(sf_steady_us(&w.clock), NOON + 24 * HOUR);
    pass(&w, 599);
    assert_int_equal(sf_steady_us(&w.clock), NOON + 24 * HOUR + 599 * SF_US_PER_S);
    rt_sim_set_wall_us(&w.sim, NOON + 599 * SF_US_PER_S);
    assert_int_equal(sf_steady_us(&w.clock), NOON + 599 * SF_US_PER_S);
    rt_sim_done(&w.sim);
}

static void test_a_clock_that_stays_ahead_is_believed_after_ten_minutes(void **state)
{
    struct world w;

    (void)state;
    init(&w, 0);
    rt_sim_set_wall_us(&w.sim, NOON + HOUR);
    assert_int_equal(sf_steady_us(&w.clock), NOON + HOUR);
    pass(&w, 600);
    assert_int_equal(sf_steady_us(&w.clock), NOON + HOUR + 600 * SF_US_PER_S);
    rt_sim_set_wall_us(&w.sim, NOON);
    assert_int_equal(sf_steady_us(&w.clock), NOON + HOUR + 600 * SF_US_PER_S);
    rt_sim_done(&w.sim);
}

static void test_a_time_of_before_the_start_counts_when_it_is_near(void **state)
{
    struct world w;

    (void)state;
    init(&w, NOON + HOUR);
    assert_int_equal(sf_steady_us(&w.clock), NOON + HOUR);
    rt_sim_done(&w.sim);
    init(&w, NOON + HOUR + 1);
    assert_int_equal(sf_steady_us(&w.clock), NOON);
    rt_sim_done(&w.sim);
    init(&w, NOON - HOUR);
    assert_int_equal(sf_steady_us(&w.clock), NOON);
    rt_sim_done(&w.sim);
}

/* Keeps the turn of the loop busy, as the start of a leaf does that reads its log again. */
static void dawdle(struct sf_rt *rt)
{
    const uint64_t until_ns = sf_rt_exact_ns(rt) + 50 * SF_NS_PER_MS;

    while (sf_rt_exact_ns(rt) < until_ns) {
    }
}

static void test_a_long_turn_does_not_put_it_ahead(void **state)
{
    struct sf_steady clock;
    struct rt_uv *u;
    struct sf_rt *rt;
    int64_t steady_us;

    (void)state;
    assert_int_equal(rt_uv_new(&u, NULL), SF_OK);
    rt = rt_uv_rt(u);
    (void)sf_rt_now_ns(rt); /* fixed from here on, until the turn ends */
    dawdle(rt);
    sf_steady_init(&clock, rt, 0);
    rt_uv_run(u); /* the next turn */
    steady_us = sf_steady_us(&clock);
    assert_true(steady_us <= sf_rt_wall_us(rt));
    (void)sf_rt_now_ns(rt);
    dawdle(rt);
    (void)sf_steady_us(&clock);
    rt_uv_run(u);
    steady_us = sf_steady_us(&clock);
    assert_true(steady_us <= sf_rt_wall_us(rt));
    rt_uv_free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_goes_with_the_clock),
        cmocka_unit_test(test_a_clock_that_is_set_back_does_not_take_it_back),
        cmocka_unit_test(test_a_clock_that_jumps_ahead_and_is_set_right_leaves_nothing),
        cmocka_unit_test(test_a_clock_that_stays_ahead_is_believed_after_ten_minutes),
        cmocka_unit_test(test_a_time_of_before_the_start_counts_when_it_is_near),
        cmocka_unit_test(test_a_long_turn_does_not_put_it_ahead),
    };

    return cmocka_run_group_tests_name("steady", tests, NULL, NULL);
}
