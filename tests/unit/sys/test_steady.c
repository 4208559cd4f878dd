/* Time that does not go back, whatever is done to the clock. */
#include "tests/lib/cmocka.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_goes_with_the_clock),
        cmocka_unit_test(test_a_clock_that_is_set_back_does_not_take_it_back),
        cmocka_unit_test(test_a_clock_that_jumps_ahead_and_is_set_right_leaves_nothing),
        cmocka_unit_test(test_a_clock_that_stays_ahead_is_believed_after_ten_minutes),
        cmocka_unit_test(test_a_time_of_before_the_start_counts_when_it_is_near),
    };

    return cmocka_run_group_tests_name("steady", tests, NULL, NULL);
}
