#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "leaf/store/check.h"
#include "proto/errors.h"
#include "tests/lib/store_world.h"

static char text[4096];

static const char *rows(struct store_world *w, struct store_lane *lane)
{
    return store_world_rows(w, lane, text, sizeof(text));
}

static const char *log_of(struct store_world *w, struct store_lane *lane)
{
    return store_world_log(w, lane, 0, text, sizeof(text));
}

static void check_all(struct store_world *w, const char *expected)
{
    struct store_check_result r = {0};
    struct sf_error err = {0};
    char found[128];

    if (store_check(w->store, &r, &err) != SF_OK) {
        fail_msg("store_check: %s", err.text);
    }
    (void)snprintf(found, sizeof(found), "%llu lanes %llu frames %llu changes %llu rows",
                   (unsigned long long)r.lanes, (unsigned long long)r.frames,
                   (unsigned long long)r.changes, (unsigned long long)r.rows);
    assert_string_equal(found, expected);
}

static void test_rows_and_log_show_what_was_written(void **state)
{
    struct store_world w;
    struct store_lane *lane;
    struct world_write ww;

    (void)state;
    store_world_init(&w, 1);
    lane = store_world_lane(&w, "orders", STORE_STATE);
    world_write_init(&ww, lane);
    (void)world_write_add(&ww, "b", "two");
    (void)world_write_add(&ww, "a", "one");
    assert_int_equal(world_write_run(&ww, &w), SF_OK);
    assert_int_equal(ww.lane.first_seq, 1);
    assert_int_equal(ww.lane.last_seq, 2);
    assert_int_equal(ww.write.commit, 1);
    assert_true(ww.write.commit_us >= INT64_C(1767225600000000));
    assert_int_equal(store_world_put(&w, lane, "b", "TWO"), SF_OK);
    assert_int_equal(store_world_put(&w, lane, "a", NULL), SF_OK);
    assert_int_equal(store_world_put(&w, lane, "a", "again"), SF_OK);
    assert_string_equal(rows(&w, lane), "a=again@5 b=TWO@3");
    assert_string_equal(log_of(&w, lane), "1+b=two<0 2+a=one<0 3+b=TWO<1 4-a<2 5+a=again<4");
    assert_int_equal(store_lane_head(lane)->seq, 5);
    assert_int_equal(store_lane_head(lane)->rows, 2);
    assert_int_equal(store_lane_head(lane)->epoch, 1);
    assert_int_equal(store_lane_head(lane)->commit, 4);
    check_all(&w, "1 lanes 4 frames 5 changes 2 rows");
    store_world_done(&w);
}

static void test_changes_of_one_key_in_one_group_chain(void **state)
{
    struct store_world w;
    struct store_lane *lane;
    struct world_write first;
    struct world_write second;

    (void)state;
    store_world_init(&w, 2);
    lane = store_world_lane(&w, "orders", STORE_STATE);
    assert_int_equal(store_world_put(&w, lane, "k", "0"), SF_OK);
    world_write_init(&first, lane);
    (void)world_write_add(&first, "k", "1");
    (void)world_write_add(&first, "n", "1");
    (void)world_write_add(&first, "k", "2");
    world_write_init(&second, lane);
    (void)world_write_add(&second, "k", NULL);
    (void)world_write_add(&second, "k", NULL); /* absent by now */
    (void)world_write_add(&second, "n", "2");
    assert_int_equal(world_write_submit(&first, w.store, NULL), SF_OK);
    assert_int_equal(world_write_submit(&second, w.store, NULL), SF_OK);
    rt_sim_run(&w.sim);
    assert_int_equal(first.error.code, SF_OK);
    assert_int_equal(second.error.code, SF_OK);
    assert_int_equal(first.write.commit, second.write.commit);
    assert_int_equal(first.lane.first_seq, 2);
    assert_int_equal(first.lane.last_seq, 4);
    assert_int_equal(second.lane.first_seq, 5);
    assert_int_equal(second.lane.last_seq, 6);
    assert_string_equal(log_of(&w, lane), "1+k=0<0 2+k=1<1 3+n=1<0 4+k=2<2 5-k<4 6+n=2<3");
    assert_string_equal(rows(&w, lane), "n=2@6");
    assert_int_equal(store_stats(w.store).commits, 2);
    assert_int_equal(store_stats(w.store).syncs, 2);
    assert_int_equal(store_stats(w.store).absent_deletes, 1);
    check_all(&w, "1 lanes 2 frames 6 changes 1 rows");
    store_world_done(&w);
}

static void test_deleting_what_is_absent_takes_no_seq(void **state)
{
    struct store_world w;
    struct store_lane *lane;
    struct world_write ww;

    (void)state;
    store_world_init(&w, 3);
    lane = store_world_lane(&w, "orders", STORE_STATE);
    assert_int_equal(store_world_put(&w, lane, "m", "1"), SF_OK);
    world_write_init(&ww, lane);
    (void)world_write_add(&ww, "a", NULL);
    (void)world_write_add(&ww, "z", NULL);
    assert_int_equal(world_write_run(&ww, &w), SF_OK);
    assert_int_equal(ww.lane.first_seq, 0);
    assert_int_equal(ww.lane.last_seq, 1);
    assert_int_equal(ww.write.commit, 1);
    assert_int_equal(store_stats(w.store).commits, 1);
    assert_int_equal(store_stats(w.store).absent_deletes, 2);
    assert_string_equal(log_of(&w, lane), "1+m=1<0");
    store_world_done(&w);
}

static void test_rising_inserts_and_events_read_nothing(void **state)
{
    struct store_world w;
    struct store_lane *lane;
    struct store_lane *events;
    struct world_write ww;
    char key[16];

    (void)state;
    store_world_init(&w, 4);
    lane = store_world_lane(&w, "orders", STORE_STATE);
    events = store_world_lane(&w, "clicks", STORE_EVENT);
    for (int i = 0; i < 30; i++) {
        world_write_init(&ww, lane);
        for (int j = 0; j < 3; j++) {
            (void)snprintf(key, sizeof(key), "%06d", i * 3 + j);
            (void)world_write_add(&ww, key, "row");
        }
        assert_int_equal(world_write_run(&ww, &w), SF_OK);
        world_write_init(&ww, events);
        (void)world_write_add(&ww, "", "click");
        assert_int_equal(world_write_run(&ww, &w), SF_OK);
        if (i == 15) {
            store_world_close(&w);
            store_world_open(&w);
            lane = store_world_lane(&w, "orders", STORE_STATE);
            events = store_world_lane(&w, "clicks", STORE_EVENT);
        }
    }
    assert_int_equal(w.disk.keys_read, 0);
    assert_int_equal(store_lane_head(lane)->rows, 90);
    assert_int_equal(store_world_put(&w, lane, "000005", "new"), SF_OK);
    assert_int_equal(w.disk.keys_read, 1);
    assert_int_equal(store_stats(w.store).reads, 1);
    check_all(&w, "2 lanes 61 frames 121 changes 90 rows");
    store_world_done(&w);
}

static void test_a_write_over_two_lanes_is_one_commit(void **state)
{
    struct store_world w;
    struct world_write a;
    struct world_write b;
    struct store_lane_write both[2];
    struct store_lane *first;
    struct store_lane *second;

    (void)state;
    store_world_init(&w, 5);
    first = store_world_lane(&w, "orders", STORE_STATE);
    second = store_world_lane(&w, "clicks", STORE_EVENT);
    world_write_init(&a, first);
    (void)world_write_add(&a, "k", "row");
    world_write_init(&b, second);
    (void)world_write_add(&b, "", "click");
    (void)world_write_add(&b, "", "clack");
    both[0] = a.lane;
    both[1] = b.lane;
    a.write.lanes = both;
    a.write.lane_count = 2;
    assert_int_equal(world_write_run(&a, &w), SF_OK);
    assert_int_equal(both[0].last_seq, 1);
    assert_int_equal(both[1].first_seq, 1);
    assert_int_equal(both[1].last_seq, 2);
    assert_int_equal(store_lane_head(first)->commit, 1);
    assert_int_equal(store_lane_head(second)->commit, 1);
    assert_int_equal(w.disk.syncs, 2); /* one is the format, at the first open */
    assert_string_equal(rows(&w, second), "1=click@1 2=clack@2");
    store_world_done(&w);
}

static void test_expectations_refuse_the_whole_write_and_only_it(void **state)
{
    struct store_world w;
    struct store_lane *lane;
    struct world_write good;
    struct world_write bad;
    struct world_write head;

    (void)state;
    store_world_init(&w, 6);
    lane = store_world_lane(&w, "orders", STORE_STATE);
    assert_int_equal(store_world_put(&w, lane, "k", "0"), SF_OK);
    world_write_init(&good, lane);
    world_write_add(&good, "k", "1")->expect_seq = 1;
    world_write_add(&good, "new", "1")->expect_seq = 0;
    world_write_init(&bad, lane);
    (void)world_write_add(&bad, "other", "1");
    world_write_add(&bad, "k", "2")->expect_seq = 1; /* it is 2 by then */
    world_write_init(&head, lane);
    head.lane.expect_seq = 3;
    (void)world_write_add(&head, "last", "1");
    assert_int_equal(world_write_submit(&good, w.store, NULL), SF_OK);
    assert_int_equal(world_write_submit(&bad, w.store, NULL), SF_OK);
    assert_int_equal(world_write_submit(&head, w.store, NULL), SF_OK);
    rt_sim_run(&w.sim);
    assert_int_equal(good.error.code, SF_OK);
    assert_int_equal(bad.error.code, SF_CONFLICT);
    assert_string_equal(bad.error.text, "a row or a lane is not at the expected seq");
    assert_int_equal(bad.lane.unmet, 1);
    assert_int_equal(bad.lane.unmet_seq, 2);
    assert_int_equal(head.error.code, SF_OK);
    assert_string_equal(log_of(&w, lane), "1+k=0<0 2+k=1<1 3+new=1<0 4+last=1<0");
    world_write_init(&bad, lane);
    world_write_add(&bad, "zzz", "1")->expect_seq = 7;
    assert_int_equal(world_write_run(&bad, &w), SF_CONFLICT);
    assert_int_equal(bad.lane.unmet, 0);
    assert_int_equal(bad.lane.unmet_seq, 0);
    world_write_init(&bad, lane);
    bad.lane.expect_seq = 3;
    (void)world_write_add(&bad, "zzz", "1");
    assert_int_equal(world_write_run(&bad, &w), SF_CONFLICT);
    assert_int_equal(bad.lane.unmet, 1);
    assert_int_equal(bad.lane.unmet_seq, 4);
    assert_int_equal(store_lane_head(lane)->seq, 4);
    store_world_done(&w);
}

static void test_a_failed_sync_makes_the_store_read_only(void **state)
{
    struct store_world w;
    struct store_lane *lane;
    struct world_write ww[3];
    struct sf_error err = {0};

    (void)state;
    store_world_init(&w, 7);
    lane = store_world_lane(&w, "orders", STORE_STATE);
    assert_int_equal(store_world_put(&w, lane, "a", "1"), SF_OK);
    w.options.group_bytes_max = 1;
    store_world_close(&w);
    store_world_open(&w);
    lane = store_world_lane(&w, "orders", STORE_STATE);
    w.disk.fail_write_in = 1;
    for (int i = 0; i < 3; i++) { /* One per group: the later ones are not tried. */
        world_write_init(&ww[i], lane);
        (void)world_write_add(&ww[i], "b", "2");
        assert_int_equal(world_write_submit(&ww[i], w.store, NULL), SF_OK);
    }
    rt_sim_run(&w.sim);
    assert_int_equal(ww[0].error.code, SF_IO);
    assert_int_equal(ww[2].error.code, SF_IO);
    assert_int_equal(ww[2].error.number, SHEAF_E_STORE_FAILED);
    assert_true(store_failed(w.store));
    assert_true(store_stats(w.store).failed);
    assert_int_equal(world_write_submit(&ww[0], w.store, &err), SF_IO);
    assert_int_equal(err.number, SHEAF_E_STORE_FAILED);
    assert_string_equal(err.text, "an earlier commit failed; the store is read-only");
    assert_string_equal(rows(&w, lane), "a=1@1");
    assert_int_equal(store_stats(w.store).queued_bytes, 0);
    store_world_close(&w);
    store_world_open(&w);
    assert_false(store_failed(w.store));
    lane = store_world_lane(&w, "orders", STORE_STATE);
    assert_int_equal(store_world_put(&w, lane, "c", "3"), SF_OK);
    store_world_done(&w);
}

static void test_a_full_disk_refuses_and_recovers_by_itself(void **state)
{
    struct store_world w;
    struct store_lane *lane;
    struct world_write ww;
    struct store_put put = {STORE_META, false, SF_LITERAL("cursor"), SF_LITERAL("7")};

    (void)state;
    store_world_init(&w, 8);
    lane = store_world_lane(&w, "orders", STORE_STATE);
    w.disk.total_bytes = UINT64_C(20) << 30;
    w.disk.free_bytes = (UINT64_C(1) << 30); /* exactly 5 % */
    world_write_init(&ww, lane);
    (void)world_write_add(&ww, "k", "row");
    assert_int_equal(world_write_run(&ww, &w), SF_BUSY);
    assert_int_equal(ww.error.number, SHEAF_E_DISK_FULL);
    assert_string_equal(ww.error.text, "free space is below the disk reserve");
    assert_false(store_failed(w.store));
    world_write_init(&ww, lane); /* Cursors still move. */
    ww.write.lane_count = 0;
    ww.write.puts = &put;
    ww.write.put_count = 1;
    assert_int_equal(world_write_run(&ww, &w), SF_OK);
    w.disk.free_bytes = UINT64_C(400) << 20;
    ww.done = false;
    assert_int_equal(world_write_run(&ww, &w), SF_BUSY);
    w.disk.free_bytes = UINT64_C(2) << 30;
    assert_int_equal(store_world_put(&w, lane, "k", "row"), SF_OK);
    assert_int_equal(store_lane_head(lane)->seq, 1);
    store_world_done(&w);
}

static void test_the_queue_is_bounded_and_recovers(void **state)
{
    struct store_world w;
    struct store_lane *lane;
    struct world_write ww[4];
    struct sf_error err = {0};

    (void)state;
    store_world_init(&w, 9);
    store_world_close(&w);
    w.options.queue_writes_max = 2;
    w.options.queue_bytes_max = 400;
    store_world_open(&w);
    lane = store_world_lane(&w, "orders", STORE_STATE);
    for (int i = 0; i < 4; i++) {
        world_write_init(&ww[i], lane);
        (void)world_write_add(&ww[i], "k", "row");
    }
    assert_int_equal(world_write_submit(&ww[0], w.store, NULL), SF_OK);
    assert_int_equal(world_write_submit(&ww[1], w.store, NULL), SF_OK);
    assert_int_equal(world_write_submit(&ww[2], w.store, &err), SF_BUSY);
    assert_int_equal(err.number, SHEAF_E_BUSY);
    assert_string_equal(err.text, "2 writes of 264 bytes are queued");
    rt_sim_run(&w.sim);
    for (int i = 0; i < 6; i++) {
        (void)world_write_add(&ww[2], "k", "row");
    }
    assert_int_equal(world_write_submit(&ww[3], w.store, NULL), SF_OK);
    assert_int_equal(world_write_submit(&ww[2], w.store, &err), SF_BUSY); /* by bytes */
    rt_sim_run(&w.sim);
    assert_int_equal(world_write_run(&ww[2], &w), SF_OK); /* alone, it goes through */
    assert_int_equal(store_lane_head(lane)->seq, 10);
    store_world_done(&w);
}

static void test_too_large_is_refused_at_once(void **state)
{
    static uint8_t big[STORE_ROW_BYTES_MAX + 1];
    struct store_world w;
    struct world_write ww;
    struct sf_error err = {0};
    struct store_lane *lane;

    (void)state;
    store_world_init(&w, 10);
    lane = store_world_lane(&w, "orders", STORE_STATE);
    world_write_init(&ww, lane);
    world_write_add(&ww, "k", "")->row = sf_slice_of(big, sizeof(big));
    assert_int_equal(world_write_submit(&ww, w.store, &err), SF_INVALID);
    assert_int_equal(err.number, SHEAF_E_RECORD_TOO_LARGE);
    assert_string_equal(err.text, "row of 262145 bytes, limit 262144");
    ww.changes[0].row.size--;
    store_change_digest(STORE_UPSERT, ww.changes[0].key, ww.changes[0].row, ww.changes[0].digest);
    assert_int_equal(world_write_run(&ww, &w), SF_OK);
    world_write_init(&ww, lane);
    world_write_add(&ww, "k", "")->key = sf_slice_of(big, STORE_KEY_BYTES_MAX + 1);
    assert_int_equal(world_write_submit(&ww, w.store, &err), SF_INVALID);
    assert_string_equal(err.text, "key of 1025 bytes, limit 1024");
    check_all(&w, "1 lanes 1 frames 1 changes 1 rows");
    store_world_done(&w);
}

static void test_rejects_are_kept_with_what_was_wrong(void **state)
{
    static const uint16_t codes[] = {SHEAF_E_WRONG_TYPE, SHEAF_E_UNKNOWN_FIELD};
    struct store_reject rejects[] = {
        {codes, 2, SF_LITERAL("amount"), 7, 12, SF_LITERAL("{\"amount\":true}")},
        {codes, 1, {0}, 7, 13, SF_LITERAL("")},
    };
    struct store_world w;
    struct store_lane *lane;
    struct world_write ww;
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    SF_CLEANUP(store_quarantine_freep) struct store_quarantine *q = NULL;
    struct store_quarantined e;
    bool more = false;

    (void)state;
    store_world_init(&w, 11);
    lane = store_world_lane(&w, "orders", STORE_STATE);
    world_write_init(&ww, lane);
    (void)world_write_add(&ww, "k", "row");
    ww.lane.rejects = rejects;
    ww.lane.reject_count = 2;
    assert_int_equal(world_write_run(&ww, &w), SF_OK);
    assert_int_equal(ww.lane.first_qseq, 1);
    assert_int_equal(store_lane_head(lane)->quarantined, 2);
    assert_int_equal(store_snapshot_new(w.store, &snapshot, NULL), SF_OK);
    assert_int_equal(store_quarantine_new(snapshot, lane, 0, false, &q, NULL), SF_OK);
    assert_int_equal(store_quarantine_next(q, &e, &more, NULL), SF_OK);
    assert_true(more);
    assert_int_equal(e.qseq, 1);
    assert_int_equal(e.position, 12);
    assert_int_equal(e.contract_id, 7);
    assert_int_equal(e.commit_us, ww.write.commit_us);
    assert_int_equal(e.code_count, 2);
    assert_int_equal(e.codes[0], SHEAF_E_WRONG_TYPE);
    assert_int_equal(e.codes[1], SHEAF_E_UNKNOWN_FIELD);
    assert_true(sf_slice_equal(e.field, SF_LITERAL("amount")));
    assert_true(sf_slice_equal(e.raw, SF_LITERAL("{\"amount\":true}")));
    assert_int_equal(store_quarantine_next(q, &e, &more, NULL), SF_OK);
    assert_int_equal(e.qseq, 2);
    assert_int_equal(e.raw.size, 0);
    assert_int_equal(store_quarantine_next(q, &e, &more, NULL), SF_OK);
    assert_false(more);
    store_quarantine_free(SF_TAKE(q));
    assert_int_equal(store_quarantine_new(snapshot, lane, 0, /* reverse= */ true, &q, NULL), SF_OK);
    assert_int_equal(store_quarantine_next(q, &e, &more, NULL), SF_OK);
    assert_int_equal(e.qseq, 2);
    store_quarantine_free(SF_TAKE(q));
    store_snapshot_free(SF_TAKE(snapshot));
    store_world_done(&w);
}

/* What a put of @w said that it did. */
static struct store_outcome outcome_of(struct store_world *w, struct sf_slice key)
{
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    SF_CLEANUP(sf_buf_done) struct sf_buf value = {0};
    struct store_outcome outcome;
    struct sf_slice rest;
    bool found = false;

    assert_int_equal(store_snapshot_new(w->store, &snapshot, NULL), SF_OK);
    assert_int_equal(store_small_get(snapshot, STORE_IDEM, key, &value, NULL, &found, NULL), SF_OK);
    assert_true(found);
    rest = sf_buf_view(&value);
    assert_true(store_outcome_decode(&rest, &outcome));
    assert_true(sf_slice_equal(rest, SF_LITERAL("rest")));
    return outcome;
}

static void assert_outcome(struct store_outcome o, uint64_t commit, uint64_t first, uint64_t last)
{
    assert_int_equal(o.commit, commit);
    assert_int_equal(o.first_seq, first);
    assert_int_equal(o.last_seq, last);
}

static void test_a_small_value_holds_what_its_write_did(void **state)
{
    struct store_put put = {.space = STORE_IDEM,
                            .key = SF_LITERAL("a"),
                            .value = SF_LITERAL("rest"),
                            .with_outcome = true};
    struct store_outcome short_one;
    struct sf_slice too_short = SF_LITERAL("short");
    struct store_world w;
    struct world_write ww;

    (void)state;
    store_world_init(&w, 12);
    world_write_init(&ww, store_world_lane(&w, "orders", STORE_STATE));
    (void)world_write_add(&ww, "k", "row");
    (void)world_write_add(&ww, "l", "row");
    ww.write.puts = &put;
    ww.write.put_count = 1;
    assert_int_equal(world_write_run(&ww, &w), SF_OK);
    assert_outcome(outcome_of(&w, put.key), 1, 1, 2);
    assert_int_equal(outcome_of(&w, put.key).epoch, 1);
    world_write_init(&ww, store_world_lane(&w, "orders", STORE_STATE));
    (void)world_write_add(&ww, "m", NULL); /* is not there */
    ww.write.puts = &put;
    ww.write.put_count = 1;
    assert_int_equal(world_write_run(&ww, &w), SF_OK);
    assert_outcome(outcome_of(&w, put.key), 0, 0, 2);
    assert_false(store_outcome_decode(&too_short, &short_one));
    store_world_done(&w);
}

static void test_small_values_are_in_the_same_transaction(void **state)
{
    struct store_put puts[] = {
        {STORE_IDEM, false, SF_LITERAL("ana/orders/1"), SF_LITERAL("answer"), false},
        {STORE_META, false, SF_LITERAL("cursor/1"), SF_LITERAL("1:5"), false},
        {STORE_META, false, SF_LITERAL("cursor/2"), SF_LITERAL("1:9"), false},
        {STORE_META, false, SF_LITERAL("other"), SF_LITERAL("x"), false},
    };
    struct store_put gone = {.space = STORE_META, .remove = true, .key = SF_LITERAL("cursor/1")};
    struct store_world w;
    struct world_write ww;
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    SF_CLEANUP(store_small_freep) struct store_small *it = NULL;
    struct sf_buf value = {0};
    struct sf_slice k;
    struct sf_slice v;
    int64_t when = 0;
    uint64_t syncs;
    bool found = false;
    bool more = false;

    (void)state;
    store_world_init(&w, 12);
    world_write_init(&ww, store_world_lane(&w, "orders", STORE_STATE));
    (void)world_write_add(&ww, "k", "row");
    ww.write.puts = puts;
    ww.write.put_count = SF_COUNT(puts);
    assert_int_equal(world_write_run(&ww, &w), SF_OK);
    assert_int_equal(store_snapshot_new(w.store, &snapshot, NULL), SF_OK);
    assert_int_equal(
        store_small_get(snapshot, STORE_IDEM, puts[0].key, &value, &when, &found, NULL), SF_OK);
    assert_true(found);
    assert_true(sf_slice_equal(sf_buf_view(&value), SF_LITERAL("answer")));
    assert_int_equal(when, ww.write.commit_us);
    assert_int_equal(
        store_small_get(snapshot, STORE_META, puts[0].key, &value, &when, &found, NULL), SF_OK);
    assert_false(found);
    assert_int_equal(store_small_new(snapshot, STORE_META, SF_LITERAL("cursor/"), &it, NULL),
                     SF_OK);
    assert_int_equal(store_small_next(it, &k, &v, &when, &more, NULL), SF_OK);
    assert_true(more && sf_slice_equal(k, SF_LITERAL("cursor/1")));
    assert_int_equal(store_small_next(it, &k, &v, &when, &more, NULL), SF_OK);
    assert_true(more && sf_slice_equal(v, SF_LITERAL("1:9")));
    assert_int_equal(store_small_next(it, &k, &v, &when, &more, NULL), SF_OK);
    assert_false(more);
    store_small_free(SF_TAKE(it));
    store_snapshot_free(SF_TAKE(snapshot));
    syncs = w.disk.syncs;
    world_write_init(&ww, NULL);
    ww.write = (struct store_write){.data = &ww, .puts = &gone, .put_count = 1, .unsynced = true};
    assert_int_equal(world_write_run(&ww, &w), SF_OK);
    assert_int_equal(w.disk.syncs, syncs);
    assert_int_equal(store_snapshot_new(w.store, &snapshot, NULL), SF_OK);
    assert_int_equal(store_small_get(snapshot, STORE_META, gone.key, &value, NULL, &found, NULL),
                     SF_OK);
    assert_false(found);
    sf_buf_done(&value);
    store_snapshot_free(SF_TAKE(snapshot));
    store_world_done(&w);
}

static void test_commit_time_never_goes_back(void **state)
{
    struct store_world w;
    struct world_write ww;
    int64_t before;

    (void)state;
    store_world_init(&w, 13);
    world_write_init(&ww, store_world_lane(&w, "orders", STORE_STATE));
    (void)world_write_add(&ww, "a", "1");
    assert_int_equal(world_write_run(&ww, &w), SF_OK);
    before = ww.write.commit_us;
    rt_sim_set_wall_us(&w.sim, 1000);
    store_world_close(&w);
    store_world_open(&w);
    world_write_init(&ww, store_world_lane(&w, "orders", STORE_STATE));
    (void)world_write_add(&ww, "b", "1");
    assert_int_equal(world_write_run(&ww, &w), SF_OK);
    assert_int_equal(ww.write.commit_us, before);
    store_world_done(&w);
}

static void test_a_raised_epoch_marks_what_comes_after(void **state)
{
    struct store_world w;
    struct store_lane *lane;

    (void)state;
    store_world_init(&w, 14);
    lane = store_world_lane(&w, "orders", STORE_STATE);
    assert_int_equal(store_world_put(&w, lane, "a", "1"), SF_OK);
    store_world_close(&w);
    w.options.raise_epoch = true;
    store_world_open(&w);
    w.options.raise_epoch = false;
    store_world_close(&w);
    store_world_open(&w);
    assert_int_equal(store_epoch(w.store), 2);
    lane = store_world_lane(&w, "orders", STORE_STATE);
    assert_int_equal(store_lane_head(lane)->epoch, 1);
    assert_int_equal(store_world_put(&w, lane, "b", "1"), SF_OK);
    assert_int_equal(store_lane_head(lane)->epoch, 2);
    assert_int_equal(store_lane_head(lane)->seq, 2);
    store_world_done(&w);
}

static void test_lanes_are_found_again_and_keep_their_kind(void **state)
{
    struct store_lane_name name = {"sales/orders", "orders", 1, 0, STORE_EVENT};
    struct store_world w;
    struct store_lane *lane;
    struct sf_error err = {0};

    (void)state;
    store_world_init(&w, 15);
    assert_null(store_lane_find(w.store, &name));
    lane = store_world_lane(&w, "other", STORE_EVENT);
    lane = store_world_lane(&w, "orders", STORE_STATE);
    assert_ptr_equal(store_world_lane(&w, "orders", STORE_STATE), lane);
    assert_int_equal(store_lane_id(lane), 2);
    assert_int_equal(store_world_put(&w, lane, "a", "1"), SF_OK);
    store_world_close(&w);
    store_world_open(&w);
    assert_string_equal(store_lane_name(store_lane_at(w.store, 0))->table, "other");
    lane = store_lane_find(w.store, &name);
    assert_int_equal(store_lane_id(lane), 2);
    assert_string_equal(store_lane_name(lane)->product, "sales/orders");
    assert_int_equal(store_lane_open(w.store, &name, &lane, &err), SF_CONFLICT);
    assert_string_equal(err.text, "sales/orders@1.orders exists with another kind");
    assert_null(store_lane_at(w.store, 2));
    store_world_done(&w);
}

struct listener {
    struct store_listener listener;
    unsigned told;
};

static void on_changes(struct store_listener *l, struct store_lane *lane)
{
    struct listener *mine = SF_CONTAINER_OF(l, struct listener, listener);

    assert_int_equal(store_lane_head(lane)->seq, mine->told + 1);
    mine->told++;
}

static void test_listeners_are_told_of_lanes_that_changed(void **state)
{
    struct store_world w;
    struct store_lane *lane;
    struct listener l = {.listener.on_changes = on_changes};

    (void)state;
    store_world_init(&w, 16);
    lane = store_world_lane(&w, "orders", STORE_STATE);
    (void)store_world_lane(&w, "quiet", STORE_STATE);
    store_listen(w.store, &l.listener);
    assert_int_equal(store_world_put(&w, lane, "a", "1"), SF_OK);
    assert_int_equal(store_world_put(&w, lane, "b", NULL), SF_OK);
    assert_int_equal(store_world_put(&w, lane, "c", "1"), SF_OK);
    assert_int_equal(l.told, 2);
    store_unlisten(w.store, &l.listener);
    assert_int_equal(store_world_put(&w, lane, "d", "1"), SF_OK);
    assert_int_equal(l.told, 2);
    store_world_done(&w);
}

static void test_large_groups_are_cut_into_frames(void **state)
{
    static uint8_t big[STORE_ROW_BYTES_MAX];
    struct store_world w;
    struct store_lane *lane;
    struct world_write ww;
    char key[16];

    (void)state;
    store_world_init(&w, 17);
    lane = store_world_lane(&w, "orders", STORE_STATE);
    world_write_init(&ww, lane);
    for (int i = 0; i < 6; i++) {
        struct store_change *c;

        (void)snprintf(key, sizeof(key), "k%d", i);
        c = world_write_add(&ww, key, "");
        c->row = sf_slice_of(big, i == 3 ? sizeof(big) : 100 * 1000);
        store_change_digest(c->op, c->key, c->row, c->digest);
    }
    assert_int_equal(world_write_run(&ww, &w), SF_OK);
    check_all(&w, "1 lanes 4 frames 6 changes 6 rows"); /* 2, 1, the big one, 2 */
    store_world_done(&w);
}

static void test_closing_answers_what_is_queued_first(void **state)
{
    struct store_world w;
    struct world_write ww;
    struct world_write late;

    (void)state;
    store_world_init(&w, 18);
    world_write_init(&ww, store_world_lane(&w, "orders", STORE_STATE));
    (void)world_write_add(&ww, "a", "1");
    late = ww;
    assert_int_equal(world_write_submit(&ww, w.store, NULL), SF_OK);
    store_world_close(&w);
    assert_true(ww.done);
    assert_int_equal(ww.error.code, SF_OK);
    assert_int_equal(w.disk.open_things, 0);
    store_world_open(&w);
    assert_int_equal(store_lane_head(store_world_lane(&w, "orders", STORE_STATE))->seq, 1);
    store_world_done(&w);
    (void)late;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_and_log_show_what_was_written),
        cmocka_unit_test(test_changes_of_one_key_in_one_group_chain),
        cmocka_unit_test(test_deleting_what_is_absent_takes_no_seq),
        cmocka_unit_test(test_rising_inserts_and_events_read_nothing),
        cmocka_unit_test(test_a_write_over_two_lanes_is_one_commit),
        cmocka_unit_test(test_expectations_refuse_the_whole_write_and_only_it),
        cmocka_unit_test(test_a_failed_sync_makes_the_store_read_only),
        cmocka_unit_test(test_a_full_disk_refuses_and_recovers_by_itself),
        cmocka_unit_test(test_the_queue_is_bounded_and_recovers),
        cmocka_unit_test(test_too_large_is_refused_at_once),
        cmocka_unit_test(test_rejects_are_kept_with_what_was_wrong),
        cmocka_unit_test(test_a_small_value_holds_what_its_write_did),
        cmocka_unit_test(test_small_values_are_in_the_same_transaction),
        cmocka_unit_test(test_commit_time_never_goes_back),
        cmocka_unit_test(test_a_raised_epoch_marks_what_comes_after),
        cmocka_unit_test(test_lanes_are_found_again_and_keep_their_kind),
        cmocka_unit_test(test_listeners_are_told_of_lanes_that_changed),
        cmocka_unit_test(test_large_groups_are_cut_into_frames),
        cmocka_unit_test(test_closing_answers_what_is_queued_first),
    };

    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
