/* Two commits under way: one waits for the disk while the next is built on what it has written. */
#include "tests/lib/cmocka.h"

#include "leaf/store/read.h"
#include "leaf/store/store_internal.h"
#include "proto/errors.h"
#include "tests/lib/store_world.h"

/* A store whose syncs wait to be ended, with "old" in it, and a write of "a" that is pending. */
struct pending_world {
    struct store_world w;
    struct store_lane *lane;
    struct world_write first;
    struct world_write second;
    struct world_write third;
    char text[1024];
};

static void submit(struct pending_world *p, struct world_write *ww)
{
    assert_int_equal(world_write_submit(ww, p->w.store, NULL), SF_OK);
    rt_sim_run(&p->w.sim);
}

static void end_sync(struct pending_world *p)
{
    fake_disk_end_sync(&p->w.disk);
    rt_sim_run(&p->w.sim);
}

static void pending_init(struct pending_world *p, uint64_t seed)
{
    *p = (struct pending_world){0};
    store_world_init(&p->w, seed);
    p->lane = store_world_lane(&p->w, "orders", STORE_STATE);
    assert_int_equal(store_world_put(&p->w, p->lane, "old", "0"), SF_OK);
    p->w.disk.hold_syncs = true;
    world_write_init(&p->first, p->lane);
    world_write_init(&p->second, p->lane);
    world_write_init(&p->third, p->lane);
    (void)world_write_add(&p->first, "a", "1");
    submit(p, &p->first);
    assert_non_null(p->w.disk.pending);
}

static const char *rows(struct pending_world *p)
{
    return store_world_rows(&p->w, p->lane, p->text, sizeof(p->text));
}

static const char *log_of(struct pending_world *p)
{
    return store_world_log(&p->w, p->lane, 0, p->text, sizeof(p->text));
}

/* The end of a world in which nothing is pending, or a sync has failed. */
static void pending_done(struct pending_world *p)
{
    p->w.disk.hold_syncs = false;
    store_world_done(&p->w);
}

/* A power cut that keeps only what was synced. */
static void cut_power(struct pending_world *p)
{
    p->w.disk.killed = true;
    store_world_close(&p->w);
    fake_disk_crash(&p->w.disk, p->w.disk.durable, p->w.disk.flushed);
    p->w.disk.hold_syncs = false;
    store_world_open(&p->w);
    p->lane = store_world_lane(&p->w, "orders", STORE_STATE);
}

static void test_nothing_is_answered_or_seen_before_its_sync_has_ended(void **state)
{
    struct pending_world p;

    (void)state;
    pending_init(&p, 1);
    assert_false(p.first.done);
    assert_string_equal(rows(&p), "old=0@1");
    assert_string_equal(log_of(&p), "1+old=0<0");
    assert_int_equal(store_lane_head(p.lane)->seq, 1);
    assert_int_equal(store_stats(p.w.store).commits, 1);
    end_sync(&p);
    assert_true(p.first.done);
    assert_int_equal(p.first.error.code, SF_OK);
    assert_int_equal(p.first.write.commit, 2);
    assert_string_equal(rows(&p), "a=1@2 old=0@1");
    assert_int_equal(store_lane_head(p.lane)->seq, 2);
    assert_int_equal(store_stats(p.w.store).syncs, 2);
    pending_done(&p);
}

static void test_a_group_is_built_on_the_one_that_waits(void **state)
{
    struct pending_world p;

    (void)state;
    pending_init(&p, 2);
    world_write_add(&p.second, "a", "2")->expect_seq = 2;
    (void)world_write_add(&p.second, "old", NULL);
    submit(&p, &p.second); /* Its write waits for the sync of the first. */
    assert_true(p.first.done);
    assert_false(p.second.done);
    assert_string_equal(rows(&p), "a=1@2 old=0@1");
    end_sync(&p);
    assert_int_equal(p.second.error.code, SF_OK);
    assert_int_equal(p.second.write.commit, 3);
    assert_string_equal(log_of(&p), "1+old=0<0 2+a=1<0 3+a=2<2 4-old<1");
    assert_string_equal(rows(&p), "a=2@3");
    cut_power(&p);
    assert_string_equal(rows(&p), "a=2@3");
    pending_done(&p);
}

static void test_answers_come_in_order_also_of_a_group_that_writes_nothing(void **state)
{
    struct pending_world p;

    (void)state;
    pending_init(&p, 3);
    world_write_add(&p.second, "a", "2")->expect_seq = 0; /* It waits to be there. */
    submit(&p, &p.second);
    assert_non_null(p.w.disk.pending);
    assert_false(p.second.done);
    (void)world_write_add(&p.third, "b", "3");
    submit(&p, &p.third); /* Two are under way: it is not begun. */
    assert_non_null(p.w.disk.pending);
    assert_int_equal(p.w.store->under_way, 2);
    assert_int_equal(p.w.store->state, QUEUE_IDLE);
    end_sync(&p);
    assert_int_equal(p.first.error.code, SF_OK);
    assert_int_equal(p.second.error.code, SF_CONFLICT);
    assert_int_equal(p.second.lane.unmet_seq, 2);
    assert_false(p.third.done);
    end_sync(&p);
    assert_int_equal(p.third.error.code, SF_OK);
    assert_int_equal(p.third.lane.first_seq, 3);
    assert_int_equal(p.third.write.commit, 3);
    pending_done(&p);
}

static void test_a_sync_that_fails_takes_the_group_behind_with_it(void **state)
{
    struct pending_world p;

    (void)state;
    pending_init(&p, 4);
    p.w.disk.fail_sync_in = 1;
    (void)world_write_add(&p.second, "b", "2");
    submit(&p, &p.second);
    assert_int_equal(p.first.error.code, SF_IO);
    assert_int_equal(p.first.error.number, SHEAF_E_STORE_FAILED);
    assert_int_equal(p.second.error.code, SF_IO);
    assert_int_equal(p.second.error.number, SHEAF_E_STORE_FAILED);
    assert_true(store_failed(p.w.store));
    assert_string_equal(rows(&p), "old=0@1");
    assert_string_equal(log_of(&p), "1+old=0<0");
    assert_int_equal(store_lane_head(p.lane)->seq, 1);
    (void)world_write_add(&p.third, "c", "3");
    assert_int_equal(world_write_submit(&p.third, p.w.store, NULL), SF_IO);
    cut_power(&p);
    assert_string_equal(rows(&p), "old=0@1");
    assert_int_equal(store_world_put(&p.w, p.lane, "d", "4"), SF_OK);
    assert_string_equal(rows(&p), "d=4@2 old=0@1");
    pending_done(&p);
}

static void test_a_refusal_for_a_row_that_never_was_is_none(void **state)
{
    struct pending_world p;

    (void)state;
    pending_init(&p, 5);
    world_write_add(&p.second, "a", "2")->expect_seq = 0;
    submit(&p, &p.second);
    assert_false(p.second.done);
    p.w.disk.fail_sync_in = 1;
    end_sync(&p);
    assert_int_equal(p.first.error.code, SF_IO);
    assert_int_equal(p.second.error.code, SF_IO);
    assert_int_equal(p.second.error.number, SHEAF_E_STORE_FAILED);
    pending_done(&p);
}

static void test_what_waits_behind_a_failed_sync_is_refused(void **state)
{
    struct pending_world p;

    (void)state;
    pending_init(&p, 6);
    world_write_add(&p.second, "a", "2")->expect_seq = 0;
    submit(&p, &p.second);
    (void)world_write_add(&p.third, "b", "3");
    submit(&p, &p.third);
    p.w.disk.fail_sync_in = 1;
    end_sync(&p);
    assert_int_equal(p.third.error.code, SF_IO);
    assert_int_equal(p.w.store->under_way, 0);
    pending_done(&p);
}

static void test_a_group_that_fails_before_it_is_written_leaves_the_other_alone(void **state)
{
    struct pending_world p;

    (void)state;
    pending_init(&p, 7);
    (void)world_write_add(&p.second, "old", "2");
    p.w.disk.fail_write_in = 1;
    p.w.disk.fail_code = SF_NOMEM;
    submit(&p, &p.second);
    assert_int_equal(p.first.error.code, SF_OK);
    assert_int_equal(p.second.error.code, SF_NOMEM);
    p.w.disk.fail_write_in = 0;
    (void)world_write_add(&p.third, "old", "3");
    submit(&p, &p.third);
    end_sync(&p);
    assert_int_equal(p.third.error.code, SF_OK);
    assert_int_equal(p.third.write.commit, 3);
    assert_string_equal(log_of(&p), "1+old=0<0 2+a=1<0 3+old=3<1");
    pending_done(&p);
}

static void on_upkeep(struct store_upkeep *u, const struct sf_error *err)
{
    *(bool *)u->data = err == NULL;
}

static void test_a_step_of_retention_is_begun_alone(void **state)
{
    struct pending_world p;
    bool is_marked = false;
    struct store_upkeep mark;

    (void)state;
    pending_init(&p, 8);
    mark = (struct store_upkeep){
        .kind = UPKEEP_MARK, .lane = p.lane, .done = on_upkeep, .data = &is_marked};
    (void)world_write_add(&p.second, "b", "2");
    assert_int_equal(upkeep_submit(p.w.store, &mark, NULL), SF_OK);
    submit(&p, &p.second); /* Joins the step. */
    assert_int_equal(p.w.store->under_way, 1);
    end_sync(&p);
    assert_true(p.first.done);
    assert_false(is_marked);
    (void)world_write_add(&p.third, "c", "3");
    submit(&p, &p.third);
    assert_int_equal(p.w.store->under_way, 1);
    end_sync(&p);
    assert_true(is_marked && p.second.done && !p.third.done);
    assert_int_equal(mark.mark.seq, 2);
    end_sync(&p);
    assert_int_equal(p.third.error.code, SF_OK);
    pending_done(&p);
}

static void test_a_step_of_retention_waits_behind_a_group(void **state)
{
    struct pending_world p;
    bool is_marked = false;
    struct store_upkeep mark;

    (void)state;
    pending_init(&p, 9);
    mark = (struct store_upkeep){
        .kind = UPKEEP_MARK, .lane = p.lane, .done = on_upkeep, .data = &is_marked};
    world_write_add(&p.second, "a", "2")->expect_seq = 0;
    assert_int_equal(world_write_submit(&p.second, p.w.store, NULL), SF_OK);
    assert_int_equal(upkeep_submit(p.w.store, &mark, NULL), SF_OK);
    rt_sim_run(&p.w.sim);
    assert_int_equal(p.w.store->under_way, 2); /* Without the step. */
    assert_false(is_marked);
    end_sync(&p);
    assert_int_equal(p.second.error.code, SF_CONFLICT);
    assert_true(is_marked);
    assert_int_equal(mark.mark.seq, 2);
    pending_done(&p);
}

static void on_closed(void *data)
{
    struct pending_world *p = data;

    p->w.store = NULL;
}

static void test_closing_waits_for_the_sync(void **state)
{
    struct pending_world p;

    (void)state;
    pending_init(&p, 10);
    store_close(p.w.store, on_closed, &p);
    rt_sim_run(&p.w.sim);
    assert_non_null(p.w.store);
    end_sync(&p);
    assert_null(p.w.store);
    assert_int_equal(p.first.error.code, SF_OK);
    store_world_open(&p.w);
    p.lane = store_world_lane(&p.w, "orders", STORE_STATE);
    assert_string_equal(rows(&p), "a=1@2 old=0@1");
    pending_done(&p);
}

static void test_a_new_lane_is_stored_once_and_counted_when_it_is_durable(void **state)
{
    struct pending_world p;
    struct store_lane *more;

    (void)state;
    pending_init(&p, 11);
    end_sync(&p);
    more = store_world_lane(&p.w, "more", STORE_STATE);
    world_write_init(&p.second, more);
    (void)world_write_add(&p.second, "k", "1");
    submit(&p, &p.second);
    assert_false(more->recorded);
    assert_true(more->named);
    world_write_init(&p.third, more);
    world_write_add(&p.third, "k", "2")->expect_seq = 0;
    submit(&p, &p.third); /* Nothing to write: the lane is named already. */
    assert_non_null(p.w.disk.pending);
    end_sync(&p);
    assert_true(more->recorded);
    assert_int_equal(p.w.store->unrecorded, 0);
    assert_int_equal(p.third.error.code, SF_CONFLICT);
    cut_power(&p);
    more = store_world_lane(&p.w, "more", STORE_STATE);
    assert_int_equal(store_lane_head(more)->seq, 1);
    pending_done(&p);
}

static void test_a_stamp_does_not_hold_while_its_row_is_pending(void **state)
{
    struct pending_world p;
    struct store_stamp of_a;
    struct store_stamp of_old;

    (void)state;
    pending_init(&p, 12);
    of_a = store_stamp_take(p.w.store, p.lane, SF_LITERAL("a"));
    of_old = store_stamp_take(p.w.store, p.lane, SF_LITERAL("old"));
    assert_false(store_stamp_holds(p.w.store, &of_a));
    assert_true(store_stamp_holds(p.w.store, &of_old));
    end_sync(&p);
    of_a = store_stamp_take(p.w.store, p.lane, SF_LITERAL("a"));
    assert_true(store_stamp_holds(p.w.store, &of_a));
    pending_done(&p);
}

static void test_repetitions_are_known_from_a_group_that_waits(void **state)
{
    static const uint8_t print[STORE_FINGERPRINT_BYTES] = "fingerprint";
    const struct store_dedupe dedupe = {.within_us = SF_US_PER_S, .entries_max = 10};
    struct pending_world p;

    (void)state;
    pending_init(&p, 13);
    end_sync(&p);
    world_write_add(&p.second, "b", "1")->fingerprint = print;
    p.second.lane.dedupe = dedupe;
    submit(&p, &p.second);
    world_write_add(&p.third, "b", "1")->fingerprint = print;
    p.third.lane.dedupe = dedupe;
    submit(&p, &p.third);
    assert_false(p.third.done);
    end_sync(&p);
    assert_true(p.third.done);
    assert_int_equal(p.third.lane.duplicates, 1);
    assert_string_equal(log_of(&p), "1+old=0<0 2+a=1<0 3+b=1<0");
    pending_done(&p);
}

static void test_another_reserve_counts_from_the_next_commit_on(void **state)
{
    struct pending_world p;

    (void)state;
    pending_init(&p, 14);
    end_sync(&p);
    p.w.disk.hold_syncs = false;
    store_set_disk_reserve(p.w.store, UINT64_C(2) << 40);
    assert_int_equal(store_world_put(&p.w, p.lane, "b", "1"), SF_BUSY);
    store_set_disk_reserve(p.w.store, 1);
    assert_int_equal(store_world_put(&p.w, p.lane, "b", "1"), SF_OK);
    pending_done(&p);
}

struct chain {
    struct pending_world *p;
    struct world_write *next;
    unsigned answers;
};

static void on_chain(struct store_write *w, const struct sf_error *err)
{
    struct chain *c = w->data;

    assert_null(err);
    assert_string_equal(log_of(c->p), "1+old=0<0 2+a=1<0");
    c->answers++;
    assert_int_equal(world_write_submit(c->next, c->p->w.store, NULL), SF_OK);
}

/* A group is still being told of when the next is submitted: it is settled once, the next later. */
static void test_what_an_answer_submits_waits_until_all_of_its_group_are_answered(void **state)
{
    struct pending_world p;
    struct chain c = {.p = &p, .next = &p.third};

    (void)state;
    pending_init(&p, 15);
    world_write_add(&p.second, "a", "2")->expect_seq = 0; /* It waits to be there. */
    submit(&p, &p.second);
    (void)world_write_add(&p.third, "b", "3");
    p.first.write.cb = on_chain;
    p.first.write.data = &c;
    end_sync(&p);
    assert_int_equal(c.answers, 1);
    assert_int_equal(p.w.store->under_way, 1);
    assert_int_equal(store_stats(p.w.store).commits, 2);
    assert_int_equal(p.second.error.code, SF_CONFLICT);
    assert_false(p.third.done);
    end_sync(&p);
    assert_int_equal(p.third.error.code, SF_OK);
    assert_int_equal(store_stats(p.w.store).commits, 3);
    pending_done(&p);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_answered_or_seen_before_its_sync_has_ended),
        cmocka_unit_test(test_a_group_is_built_on_the_one_that_waits),
        cmocka_unit_test(test_answers_come_in_order_also_of_a_group_that_writes_nothing),
        cmocka_unit_test(test_a_sync_that_fails_takes_the_group_behind_with_it),
        cmocka_unit_test(test_a_refusal_for_a_row_that_never_was_is_none),
        cmocka_unit_test(test_what_waits_behind_a_failed_sync_is_refused),
        cmocka_unit_test(test_a_group_that_fails_before_it_is_written_leaves_the_other_alone),
        cmocka_unit_test(test_a_step_of_retention_is_begun_alone),
        cmocka_unit_test(test_a_step_of_retention_waits_behind_a_group),
        cmocka_unit_test(test_closing_waits_for_the_sync),
        cmocka_unit_test(test_a_new_lane_is_stored_once_and_counted_when_it_is_durable),
        cmocka_unit_test(test_a_stamp_does_not_hold_while_its_row_is_pending),
        cmocka_unit_test(test_repetitions_are_known_from_a_group_that_waits),
        cmocka_unit_test(test_another_reserve_counts_from_the_next_commit_on),
        cmocka_unit_test(test_what_an_answer_submits_waits_until_all_of_its_group_are_answered),
    };

    return cmocka_run_group_tests_name("pending", tests, NULL, NULL);
}
