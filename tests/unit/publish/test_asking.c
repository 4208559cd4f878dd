#include "tests/lib/cmocka.h"

#include "leaf/publish/asking.h"
#include "tests/sim/rt_sim.h"

enum { MANY = 2000 };

struct fixture {
    struct rt_sim sim;
    struct asking asking;
    struct asker {
        struct asking_turn turn;
        struct fixture *of;
        size_t order;       /* when it came, from 1; 0: not yet */
        struct asker *then; /* wants a turn when this one has it, or NULL */
    } askers[MANY];
    size_t asked;
};

static void ask(struct asking_turn *t)
{
    struct asker *a = SF_CONTAINER_OF(t, struct asker, turn);

    assert_false(asking_waits(t));
    a->order = ++a->of->asked;
    if (a->then != NULL) {
        asking_want(&a->of->asking, &a->then->turn);
    }
}

static struct fixture *setup(void)
{
    static struct fixture f;

    f = (struct fixture){0};
    rt_sim_init(&f.sim, 1);
    asking_init(&f.asking, &f.sim.rt);
    for (size_t i = 0; i < MANY; i++) {
        f.askers[i] = (struct asker){.turn.ask = ask, .of = &f};
    }
    return &f;
}

static void teardown(struct fixture *f)
{
    asking_done(&f->asking);
    rt_sim_done(&f->sim);
}

static void want(struct fixture *f, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        asking_want(&f->asking, &f->askers[i].turn);
    }
}

static void the_first_of_a_moment_ask_at_once(void **state)
{
    struct fixture *f = setup();
    (void)state;

    want(f, ASKING_AT_ONCE);
    assert_int_equal(f->asked, ASKING_AT_ONCE);
    teardown(f);
}

static void the_others_wait_for_their_turn_in_order(void **state)
{
    struct fixture *f = setup();
    (void)state;

    want(f, 50);
    assert_int_equal(f->asked, 20);
    rt_sim_run_for(&f->sim, ASKING_MOMENT_NS - 1);
    assert_int_equal(f->asked, 20);
    rt_sim_run_for(&f->sim, 1);
    assert_int_equal(f->asked, 40);
    rt_sim_run_for(&f->sim, ASKING_MOMENT_NS);
    for (size_t i = 0; i < 50; i++) {
        assert_int_equal(f->askers[i].order, i + 1);
    }
    rt_sim_run_for(&f->sim, SF_NS_PER_S);
    assert_int_equal(f->asked, 50);
    want(f, 1);
    assert_int_equal(f->asked, 51);
    teardown(f);
}

static void nobody_overtakes_those_who_wait(void **state)
{
    struct fixture *f = setup();
    (void)state;

    want(f, 41);
    rt_sim_run_for(&f->sim, ASKING_MOMENT_NS);
    assert_int_equal(f->asked, 40);
    asking_want(&f->asking, &f->askers[100].turn);
    rt_sim_run_for(&f->sim, ASKING_MOMENT_NS);
    assert_int_equal(f->askers[40].order, 41);
    assert_int_equal(f->askers[100].order, 42);
    teardown(f);
}

static void who_wants_a_turn_in_that_of_another_waits_behind_all(void **state)
{
    struct fixture *f = setup();
    (void)state;

    f->askers[20].then = &f->askers[100];
    want(f, 25);
    rt_sim_run_for(&f->sim, ASKING_MOMENT_NS);
    assert_int_equal(f->askers[24].order, 25);
    assert_int_equal(f->askers[100].order, 26);
    teardown(f);
}

static void none_waits_for_longer_than_five_seconds(void **state)
{
    struct fixture *f = setup();
    (void)state;

    want(f, MANY);
    assert_int_equal(f->asked, 20);
    rt_sim_run_for(&f->sim, 2 * ASKING_MOMENT_NS);
    assert_int_equal(f->asked, 20 + 2 * 40);
    rt_sim_run_for(&f->sim, 48 * ASKING_MOMENT_NS);
    assert_int_equal(f->asked, MANY);
    rt_sim_run_for(&f->sim, ASKING_MOMENT_NS);
    want(f, 40); /* What many needed is forgotten. */
    assert_int_equal(f->asked, MANY + 20);
    rt_sim_run_for(&f->sim, ASKING_MOMENT_NS);
    teardown(f);
}

static void who_goes_is_not_called(void **state)
{
    struct fixture *f = setup();
    (void)state;

    want(f, 22);
    asking_forget(&f->asking, &f->askers[20].turn);
    asking_forget(&f->asking, &f->askers[0].turn);
    rt_sim_run_for(&f->sim, ASKING_MOMENT_NS);
    assert_int_equal(f->askers[20].order, 0);
    assert_int_equal(f->askers[21].order, 21);
    teardown(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_of_a_moment_ask_at_once),
        cmocka_unit_test(the_others_wait_for_their_turn_in_order),
        cmocka_unit_test(nobody_overtakes_those_who_wait),
        cmocka_unit_test(who_wants_a_turn_in_that_of_another_waits_behind_all),
        cmocka_unit_test(none_waits_for_longer_than_five_seconds),
        cmocka_unit_test(who_goes_is_not_called),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
