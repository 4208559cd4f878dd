/* Where a commit's limits and windows end: exactly there. */
#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <string.h>

#include "leaf/store/keyspace.h"
#include "leaf/store/store_internal.h"
#include "proto/errors.h"
#include "tests/lib/store_world.h"

#define GIB       (UINT64_C(1) << 30)
#define WINDOW_US INT64_C(1000000)

/* --- queue and disk --- */

static void test_behind_a_write_larger_than_the_queue_nothing_is_queued(void **state)
{
    struct store_world w;
    struct store_lane *lane;
    struct world_write large;
    struct world_write small;
    struct sf_error err;

    (void)state;
    store_world_init(&w, 1);
    store_world_close(&w);
    w.options.queue_bytes_max = 400;
    store_world_open(&w);
    lane = store_world_lane(&w, "orders", STORE_STATE);
    world_write_init(&large, lane);
    for (int i = 0; i < 8; i++) {
        (void)world_write_add(&large, "k", "row");
    }
    world_write_init(&small, lane);
    (void)world_write_add(&small, "k", "row");
    assert_int_equal(world_write_submit(&large, w.store, NULL), SF_OK);
    assert_true(store_stats(w.store).queued_bytes > 400);
    assert_int_equal(world_write_submit(&small, w.store, &err), SF_BUSY);
    assert_int_equal(err.number, SHEAF_E_BUSY);
    rt_sim_run(&w.sim);
    assert_int_equal(world_write_run(&small, &w), SF_OK);
    store_world_done(&w);
}

static enum sf_code put_small(struct store_world *w, uint64_t free_bytes)
{
    struct store_put put = {STORE_META, false, SF_LITERAL("cursor"), SF_LITERAL("7")};
    struct world_write ww;

    world_write_init(&ww, store_world_lane(w, "orders", STORE_STATE));
    ww.write.lane_count = 0;
    ww.write.puts = &put;
    ww.write.put_count = 1;
    w->disk.free_bytes = free_bytes;
    return world_write_run(&ww, w);
}

static enum sf_code put_row(struct store_world *w, uint64_t free_bytes, uint64_t *ret_bytes)
{
    struct world_write ww;
    enum sf_code code;

    world_write_init(&ww, store_world_lane(w, "orders", STORE_STATE));
    (void)world_write_add(&ww, "k", "row");
    w->disk.free_bytes = free_bytes;
    code = world_write_run(&ww, w);
    *ret_bytes = ww.write.bytes;
    return code;
}

/* Rows twice, in the log of RocksDB and in its tables; what moves a cursor down to half of it. */
static void test_the_reserve_of_the_disk_is_kept_to_the_byte(void **state)
{
    struct store_world w;
    uint64_t bytes;

    (void)state;
    store_world_init(&w, 1);
    w.disk.total_bytes = 20 * GIB; /* a reserve of one */
    assert_int_equal(put_row(&w, 2 * GIB, &bytes), SF_OK);
    assert_int_equal(put_row(&w, GIB + 2 * bytes - 1, &bytes), SF_BUSY);
    assert_int_equal(put_row(&w, GIB + 2 * bytes, &bytes), SF_OK);
    assert_int_equal(put_small(&w, GIB / 2 - 1), SF_BUSY);
    assert_int_equal(put_small(&w, GIB / 2), SF_OK);
    store_world_done(&w);
}

/* --- repetitions --- */

static const uint8_t prints[][STORE_FINGERPRINT_BYTES] = {{1}, {2}, {3}, {4}};

static enum sf_code put_event(struct store_world *w, struct store_lane *lane, char which,
                              const struct store_dedupe *dedupe, struct world_write *ww)
{
    world_write_init(ww, lane);
    ww->lane.dedupe = *dedupe;
    world_write_add(ww, "", "row")->fingerprint = prints[which - 'a'];
    return world_write_run(ww, w);
}

/* Whether a fingerprint is known when it comes again; the clock is set by @set_us from its first
 * commit, and the second is *ret_us behind it, as the simulated loop takes its time. */
static bool is_known(int64_t set_us, int64_t *ret_us)
{
    static const struct store_dedupe dedupe = {WINDOW_US, 1000};
    struct store_world w;
    struct store_lane *lane;
    struct world_write first;
    struct world_write again;

    store_world_init(&w, 1);
    lane = store_world_lane(&w, "clicks", STORE_EVENT);
    assert_int_equal(put_event(&w, lane, 'a', &dedupe, &first), SF_OK);
    rt_sim_set_wall_us(&w.sim, first.write.commit_us + set_us);
    assert_int_equal(put_event(&w, lane, 'a', &dedupe, &again), SF_OK);
    *ret_us = again.write.commit_us - first.write.commit_us;
    store_world_done(&w);
    return again.lane.duplicates > 0;
}

static void test_a_fingerprint_counts_for_the_window_and_no_longer(void **state)
{
    (void)state;
    for (int64_t after_us = WINDOW_US - 1; after_us <= WINDOW_US; after_us++) {
        int64_t us;

        (void)is_known(after_us, &us); /* the same seed takes as long again */
        assert_int_equal(is_known(after_us - (us - after_us), &us), after_us < WINDOW_US);
        assert_int_equal(us, after_us);
    }
}

/* What is two buckets back counts no more towards what a window holds. */
static void test_a_window_that_moves_on_has_room_again(void **state)
{
    static const struct store_dedupe dedupe = {WINDOW_US, 2};
    struct store_world w;
    struct store_lane *lane;
    struct world_write ww;
    int64_t begin_us;

    (void)state;
    store_world_init(&w, 1);
    lane = store_world_lane(&w, "clicks", STORE_EVENT);
    begin_us = sf_rt_wall_us(&w.sim.rt) / WINDOW_US * WINDOW_US + WINDOW_US / 2;
    for (int i = 0; i < 4; i++) {
        rt_sim_set_wall_us(&w.sim, begin_us + i * WINDOW_US);
        assert_int_equal(put_event(&w, lane, (char)('a' + i), &dedupe, &ww), SF_OK);
        assert_int_equal(ww.lane.duplicates, 0);
    }
    assert_int_equal(put_event(&w, lane, 'a', &dedupe, &ww), SF_BUSY); /* c and d */
    assert_int_equal(ww.error.number, SHEAF_E_DEDUPE_FULL);
    store_world_done(&w);
}

static size_t prints_stored(const struct store_world *w)
{
    struct sf_slice key;
    size_t count = 0;

    for (size_t i = 0; fake_disk_key(&w->disk, KV_IDEM, i, &key); i++) {
        count += key.data[0] == KEYSPACE_PRINT_TAG;
    }
    return count;
}

static void test_of_a_window_of_before_nothing_stays_behind(void **state)
{
    static const int64_t windows[] = {WINDOW_US, 3 * WINDOW_US, WINDOW_US / 2, WINDOW_US};
    struct store_world w;
    struct store_lane *lane;
    struct world_write ww;

    (void)state;
    store_world_init(&w, 1);
    lane = store_world_lane(&w, "clicks", STORE_EVENT);
    for (size_t i = 0; i < SF_COUNT(windows); i++) {
        const struct store_dedupe dedupe = {windows[i], 2};

        assert_int_equal(put_event(&w, lane, 'a', &dedupe, &ww), SF_OK);
        assert_int_equal(ww.lane.duplicates, 0);
        assert_int_equal(put_event(&w, lane, 'b', &dedupe, &ww), SF_OK);
        assert_int_equal(prints_stored(&w), 2);
    }
    store_world_done(&w);
}

/* --- tombstones --- */

/* Whether the commit remembers where keys are or reads it, and whether the tombstone is buried. */
static void test_what_was_deleted_up_to_the_anchor_had_never_been(void **state)
{
    static const size_t positions[] = {0, 1 << 20};
    (void)state;

    for (size_t i = 0; i < SF_COUNT(positions); i++) {
        struct store_world w;
        struct store_lane *lane;
        char log[64];

        store_world_init(&w, 1);
        store_world_close(&w);
        w.options.positions_bytes = positions[i];
        store_world_open(&w);
        lane = store_world_lane(&w, "orders", STORE_STATE);
        assert_int_equal(store_world_put(&w, lane, "a", "1"), SF_OK);
        assert_int_equal(store_world_put(&w, lane, "b", "2"), SF_OK);
        assert_int_equal(store_world_put(&w, lane, "a", NULL), SF_OK);
        store_world_trim(&w, lane);
        assert_int_equal(lane->anchor.seq, 3);
        assert_int_equal(store_world_put(&w, lane, "a", "4"), SF_OK);
        assert_int_equal(store_world_put(&w, lane, "b", NULL), SF_OK);
        assert_int_equal(store_world_put(&w, lane, "b", "6"), SF_OK);
        assert_string_equal(store_world_log(&w, lane, 3, log, sizeof(log)),
                            "4+a=4<0 5-b<2 6+b=6<5");
        store_world_done(&w);
    }
}

/* --- listeners --- */

struct listener {
    struct store_listener listener;
    struct store *store;
    struct listener *leaves; /* when this one is told; NULL: nobody does */
    unsigned told;
};

static void on_changes(struct store_listener *l, struct store_lane *lane)
{
    struct listener *me = SF_CONTAINER_OF(l, struct listener, listener);
    (void)lane;

    me->told++;
    if (me->leaves != NULL) {
        store_unlisten(me->store, &me->leaves->listener);
        memset(me->leaves, 0xff, sizeof(*me->leaves)); /* its memory is somebody else's now */
        me->leaves = NULL;
    }
}

static void test_a_listener_may_leave_while_others_are_told(void **state)
{
    struct listener all[4];
    struct store_world w;
    struct store_lane *lane;

    (void)state;
    store_world_init(&w, 1);
    lane = store_world_lane(&w, "orders", STORE_STATE);
    for (size_t i = 0; i < SF_COUNT(all); i++) {
        all[i] = (struct listener){.listener.on_changes = on_changes, .store = w.store};
        store_listen(w.store, &all[i].listener);
    }
    all[1].leaves = &all[2]; /* the next one */
    assert_int_equal(store_world_put(&w, lane, "a", "1"), SF_OK);
    assert_int_equal(all[0].told, 1);
    assert_int_equal(all[1].told, 1);
    assert_int_equal(all[3].told, 1);
    all[3].leaves = &all[0]; /* one that was told */
    assert_int_equal(store_world_put(&w, lane, "a", "2"), SF_OK);
    assert_int_equal(all[1].told, 2);
    assert_int_equal(all[3].told, 2);
    store_unlisten(w.store, &all[1].listener);
    store_unlisten(w.store, &all[3].listener);
    store_world_done(&w);
}

/* --- marks --- */

/* A store with more marks of a lane than there is memory for is damaged; it is not written over. */
static void test_more_marks_than_are_ever_set_are_damage(void **state)
{
    struct store_world w;
    struct kv *kv = NULL;
    struct sf_error err = {0};
    uint8_t bytes[KEYSPACE_HEAD_BYTES];

    (void)state;
    store_world_init(&w, 1);
    assert_int_equal(store_world_put(&w, store_world_lane(&w, "orders", STORE_STATE), "a", "1"),
                     SF_OK);
    store_world_close(&w);
    for (int count = UPKEEP_MARKS_MAX; count <= UPKEEP_MARKS_MAX + 1; count++) {
        SF_CLEANUP(kv_batch_freep) struct kv_batch *batch = NULL;

        assert_int_equal(fake_kv_open(&w.disk, &kv, NULL), SF_OK);
        assert_int_equal(kv->ops->batch_new(kv, &batch, NULL), SF_OK);
        for (int i = 0; i < count; i++) {
            const struct store_head head = {.epoch = 1, .seq = (uint64_t)i + 1};
            const struct keyspace_key key = keyspace_meta_mark(1, head.seq);

            keyspace_head_encode(&head, bytes);
            batch->ops->put(batch, KV_META, kv_one(keyspace_view(&key)),
                            kv_one(sf_slice_of(bytes, sizeof(bytes))));
        }
        assert_int_equal(kv->ops->write(kv, batch, KV_SYNC, NULL), SF_OK);
        kv_batch_free(SF_TAKE(batch));
        kv->ops->close(kv);
        if (count == UPKEEP_MARKS_MAX) {
            store_world_open(&w);
            store_world_close(&w);
        }
    }
    assert_int_equal(store_world_try_open(&w, &err), SF_CORRUPT);
    assert_string_equal(err.text, "a mark of lane 1 is damaged");
    store_world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_behind_a_write_larger_than_the_queue_nothing_is_queued),
        cmocka_unit_test(test_the_reserve_of_the_disk_is_kept_to_the_byte),
        cmocka_unit_test(test_a_fingerprint_counts_for_the_window_and_no_longer),
        cmocka_unit_test(test_a_window_that_moves_on_has_room_again),
        cmocka_unit_test(test_of_a_window_of_before_nothing_stays_behind),
        cmocka_unit_test(test_what_was_deleted_up_to_the_anchor_had_never_been),
        cmocka_unit_test(test_a_listener_may_leave_while_others_are_told),
        cmocka_unit_test(test_more_marks_than_are_ever_set_are_damage),
    };

    return cmocka_run_group_tests_name("store/edges", tests, NULL, NULL);
}
