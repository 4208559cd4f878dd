#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "hub/api/turns.h"
#include "tests/sim/rt_sim.h"

enum { MAX = 4, REQUESTS = 64 };

/* What was looked at, in order: the first letter of the caller and the number of his request. */
struct request {
    struct turn turn;
    struct world *world;
    const char *name;
    unsigned number;
    bool ends; /* as soon as it has been looked at */
};

struct world {
    struct rt_sim sim;
    struct sf_metrics metrics;
    struct turns turns;
    struct request requests[REQUESTS];
    size_t count;
    char seen[400];
};

static void look_at(struct request *r)
{
    struct world *w = r->world;
    const size_t n = strlen(w->seen);

    (void)snprintf(w->seen + n, sizeof(w->seen) - n, "%c%u ", r->name[0], r->number);
    if (r->ends) {
        turn_end(&w->turns, &r->turn);
    }
}

static void on_turn(struct turn *t)
{
    look_at(SF_CONTAINER_OF(t, struct request, turn));
}

static void init(struct world *w)
{
    memset(w, 0, sizeof(*w));
    rt_sim_init(&w->sim, 5);
    sf_metrics_init(&w->metrics);
    turns_init(&w->turns, &w->sim.rt, MAX, &w->metrics);
}

static void done(struct world *w)
{
    turns_done(&w->turns);
    rt_sim_done(&w->sim);
}

static enum turn_answer ask_for(struct world *w, const char *name, unsigned number, size_t size,
                                bool ends)
{
    struct request *r = &w->requests[w->count++];
    enum turn_answer answer;

    assert_true(w->count <= REQUESTS);
    *r = (struct request){
        .turn = {.run = on_turn}, .world = w, .name = name, .number = number, .ends = ends};
    answer = turn_take(&w->turns, name, TURNS_CONTROL, size, &r->turn);
    if (answer == TURN_NOW) {
        look_at(r);
    }
    return answer;
}

static enum turn_answer ask(struct world *w, const char *name, unsigned number)
{
    return ask_for(w, name, number, 100, /* ends= */ true);
}

/* One turn of the loop. */
static void round_over(struct world *w)
{
    assert_true(rt_sim_step(&w->sim));
}

static const char *refusals(const struct world *w, struct sf_buf *text)
{
    sf_buf_clear(text);
    sf_metrics_render(&w->metrics, text);
    return sf_buf_cstr(text);
}

static void what_nobody_else_asks_is_looked_at_at_once(void **state)
{
    struct world w;
    (void)state;

    init(&w);
    assert_int_equal(ask(&w, "a", 1), TURN_NOW);
    round_over(&w);
    assert_int_equal(ask(&w, "a", 2), TURN_NOW);
    assert_string_equal(w.seen, "a1 a2 ");
    round_over(&w);
    assert_false(rt_sim_step(&w.sim)); /* nothing goes on when nobody asks */
    done(&w);
}

/* For every number of requests that a flood may be, another waits for one of it at most. */
static void a_domain_that_floods_keeps_another_from_one_turn_at_most(void **state)
{
    struct world w;
    (void)state;

    init(&w);
    for (unsigned n = 1; n <= MAX + 1; n++) {
        assert_int_equal(ask(&w, "flood", n), n == 1 ? TURN_NOW : TURN_LATER);
    }
    assert_int_equal(ask(&w, "other", 1), TURN_NOW);
    assert_int_equal(ask(&w, "other", 2), TURN_LATER);
    assert_string_equal(w.seen, "f1 o1 ");
    round_over(&w);
    assert_string_equal(w.seen, "f1 o1 f2 o2 ");
    assert_int_equal(ask(&w, "third", 1), TURN_NOW);
    assert_int_equal(ask(&w, "flood", 9), TURN_LATER); /* behind its own */
    for (unsigned n = 0; n < 4; n++) {
        round_over(&w);
    }
    assert_string_equal(w.seen, "f1 o1 f2 o2 t1 f3 f4 f5 f9 ");
    done(&w);
}

static void what_is_under_way_counts_until_it_ends(void **state)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf text = {0};
    struct world w;
    (void)state;

    init(&w);
    for (unsigned n = 0; n < MAX; n++) {
        (void)ask_for(&w, "a", n, 100, /* ends= */ false);
    }
    rt_sim_run(&w.sim);
    assert_string_equal(w.seen, "a0 a1 a2 a3 "); /* all were looked at, none is over */
    assert_int_equal(ask(&w, "a", 4), TURN_REFUSED);
    assert_int_equal(ask(&w, "b", 1), TURN_NOW);
    turn_end(&w.turns, &w.requests[2].turn);
    turn_end(&w.turns, &w.requests[2].turn); /* it is over once */
    rt_sim_run(&w.sim);
    assert_int_equal(ask(&w, "a", 5), TURN_NOW);
    assert_non_null(strstr(refusals(&w, &text), "sheaf_hub_requests_refused_total{caller=\"a\","
                                                "way=\"control\"} 1\n"));
    assert_null(strstr(sf_buf_cstr(&text), "caller=\"b\""));
    done(&w);
}

/* To tell a flood of its refusals is work too: as many in a round as may wait. */
static void refusals_are_told_so_often_in_a_round_and_not_more(void **state)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf text = {0};
    struct world w;
    (void)state;

    init(&w);
    for (unsigned n = 0; n < MAX + 1; n++) {
        (void)ask_for(&w, "a", n, 100, /* ends= */ n == 0);
    }
    for (unsigned n = 0; n < 3 * MAX; n++) {
        assert_int_equal(ask(&w, "a", 9), n < MAX ? TURN_REFUSED : TURN_DROPPED);
    }
    rt_sim_run(&w.sim); /* nothing of a's waits, all of it is under way */
    for (unsigned n = 0; n < 2 * MAX; n++) {
        assert_int_equal(ask(&w, "a", 9), n < MAX ? TURN_REFUSED : TURN_DROPPED);
    }
    assert_non_null(strstr(refusals(&w, &text), "way=\"control\"} 20\n"));
    rt_sim_run(&w.sim);
    assert_int_equal(ask(&w, "a", 9), TURN_REFUSED);
    done(&w);
}

static void bytes_that_wait_are_bounded_for_each_and_for_all(void **state)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f"};
    struct world w;
    (void)state;

    init(&w);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(ask_for(&w, names[i], 1, 1, true), TURN_NOW);
        assert_int_equal(ask_for(&w, names[i], 2, TURNS_CALLER_BYTES, true), TURN_LATER);
        assert_int_equal(ask_for(&w, names[i], 3, 1, true), TURN_REFUSED);
    }
    assert_int_equal(ask_for(&w, "e", 1, TURNS_CALLER_BYTES, true), TURN_NOW); /* need not wait */
    assert_int_equal(ask_for(&w, "e", 2, 1, true), TURN_REFUSED);
    assert_int_equal(ask_for(&w, "f", 1, TURNS_CALLER_BYTES + 1, true), TURN_REFUSED);
    rt_sim_run(&w.sim);
    assert_int_equal(w.turns.bytes, 0);
    assert_int_equal(ask_for(&w, "e", 3, TURNS_CALLER_BYTES, true), TURN_NOW);
    done(&w);
}

static void ways_of_one_domain_are_callers_of_their_own(void **state)
{
    struct turn t[TURNS_WAY_COUNT] = {0};
    struct world w;
    (void)state;

    init(&w);
    for (size_t way = 0; way < TURNS_WAY_COUNT; way++) {
        assert_int_equal(turn_take(&w.turns, "a", (enum turns_way)way, 1, &t[way]), TURN_NOW);
    }
    done(&w);
}

static void what_is_not_wanted_any_more_is_not_looked_at(void **state)
{
    struct world w;
    (void)state;

    init(&w);
    for (unsigned n = 1; n <= 3; n++) {
        (void)ask(&w, "a", n);
    }
    assert_true(turn_waits(&w.requests[1].turn));
    turn_end(&w.turns, &w.requests[1].turn);
    assert_false(turn_waits(&w.requests[1].turn));
    rt_sim_run(&w.sim);
    assert_string_equal(w.seen, "a1 a3 ");
    (void)ask(&w, "a", 4);
    (void)ask(&w, "a", 5);
    turns_done(&w.turns); /* with a round to come and one that waits */
    rt_sim_run(&w.sim);
    assert_string_equal(w.seen, "a1 a3 a4 ");
    rt_sim_done(&w.sim);
}

static void without_memory_a_new_caller_is_refused(void **state)
{
    enum turn_answer answer = TURN_REFUSED;
    long n = 0;
    struct world w;
    (void)state;

    init(&w);
    while (answer == TURN_REFUSED) {
        sf_alloc_fail_after(n++, false);
        answer = ask(&w, "a", 1);
        sf_alloc_fail_after(-1, false);
    }
    assert_int_equal(answer, TURN_NOW);
    assert_true(n > 2);
    done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_nobody_else_asks_is_looked_at_at_once),
        cmocka_unit_test(a_domain_that_floods_keeps_another_from_one_turn_at_most),
        cmocka_unit_test(what_is_under_way_counts_until_it_ends),
        cmocka_unit_test(refusals_are_told_so_often_in_a_round_and_not_more),
        cmocka_unit_test(bytes_that_wait_are_bounded_for_each_and_for_all),
        cmocka_unit_test(ways_of_one_domain_are_callers_of_their_own),
        cmocka_unit_test(what_is_not_wanted_any_more_is_not_looked_at),
        cmocka_unit_test(without_memory_a_new_caller_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
