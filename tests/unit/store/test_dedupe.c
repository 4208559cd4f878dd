/* Repetitions within a window are not stored again; rows that change nothing take no seq. */
#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "leaf/store/keyspace.h"
#include "proto/errors.h"
#include "tests/lib/store_world.h"

enum { WINDOW_US = 1000000, PRINTS = 12 };

static uint8_t prints[PRINTS][STORE_FINGERPRINT_BYTES];

/* They differ at their end only. */
static void make_prints(void)
{
    for (size_t i = 0; i < PRINTS; i++) {
        memset(prints[i], 7, STORE_FINGERPRINT_BYTES);
        prints[i][STORE_FINGERPRINT_BYTES - 1] = (uint8_t)(i + 1);
    }
}

/* A write of events with these fingerprints; "-" has none. */
static void prepare(struct world_write *ww, struct store_lane *lane, const char *which,
                    uint64_t entries_max)
{
    world_write_init(ww, lane);
    ww->lane.dedupe = (struct store_dedupe){WINDOW_US, entries_max};
    for (const char *at = which; *at != '\0'; at++) {
        struct store_change *c = world_write_add(ww, "", "row");

        c->fingerprint = *at == '-' ? NULL : prints[*at - 'a'];
    }
}

static void later(struct store_world *w, int64_t us)
{
    rt_sim_set_wall_us(&w->sim, sf_rt_wall_us(&w->sim.rt) + us);
}

static enum sf_code put(struct store_world *w, struct store_lane *lane, const char *which,
                        uint64_t stored, uint64_t duplicates)
{
    struct world_write ww;
    const uint64_t before = store_lane_head(lane)->seq;
    enum sf_code code;

    prepare(&ww, lane, which, 1000);
    code = world_write_run(&ww, w);
    assert_int_equal(store_lane_head(lane)->seq - before, stored);
    assert_int_equal(ww.lane.duplicates, duplicates);
    return code;
}

static struct store_lane *events(struct store_world *w)
{
    return store_world_lane(w, "clicks", STORE_EVENT);
}

static void a_repetition_within_the_window_is_not_stored(void **state)
{
    struct store_world w;
    struct store_lane *lane;

    (void)state;
    make_prints();
    store_world_init(&w, 5);
    lane = events(&w);
    assert_int_equal(put(&w, lane, "aab--", 4, 1), SF_OK);
    assert_int_equal(put(&w, lane, "abc", 1, 2), SF_OK);
    assert_int_equal(store_stats(w.store).duplicates, 3);
    later(&w, WINDOW_US - 100000);
    assert_int_equal(put(&w, lane, "a", 0, 1), SF_OK); /* and this does not renew it */
    later(&w, 100000);
    assert_int_equal(put(&w, lane, "ab", 2, 0), SF_OK);
    assert_int_equal(put(&w, lane, "ab", 0, 2), SF_OK);
    store_world_done(&w);
}

static void writes_of_one_commit_see_each_other(void **state)
{
    struct store_world w;
    struct store_lane *lane;
    struct world_write ww[3];
    struct sf_error err;

    (void)state;
    make_prints();
    store_world_init(&w, 5);
    lane = events(&w);
    prepare(&ww[0], lane, "a", 1000);
    ww[0].lane.expect_seq = 99; /* refused: what it has is not stored, so no repetition */
    prepare(&ww[1], lane, "ab", 1000);
    prepare(&ww[2], lane, "bc", 1000);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(world_write_submit(&ww[i], w.store, &err), SF_OK);
    }
    rt_sim_run(&w.sim);
    assert_int_equal(ww[0].error.code, SF_CONFLICT);
    assert_int_equal(ww[1].lane.duplicates, 0);
    assert_int_equal(ww[2].lane.duplicates, 1);
    assert_int_equal(store_lane_head(lane)->seq, 3);
    store_world_done(&w);
}

static void a_full_window_refuses(void **state)
{
    struct store_world w;
    struct store_lane *lane;
    struct world_write ww;

    (void)state;
    make_prints();
    store_world_init(&w, 5);
    lane = events(&w);
    assert_int_equal(put(&w, lane, "ab", 2, 0), SF_OK);
    prepare(&ww, lane, "abc", 2);
    assert_int_equal(world_write_run(&ww, &w), SF_BUSY);
    assert_int_equal(ww.error.number, SHEAF_E_DEDUPE_FULL);
    prepare(&ww, lane, "ab-", 2); /* nothing new to remember */
    assert_int_equal(world_write_run(&ww, &w), SF_OK);
    later(&w, 2 * WINDOW_US);
    prepare(&ww, lane, "cd", 2);
    assert_int_equal(world_write_run(&ww, &w), SF_OK);
    store_world_done(&w);
}

/* What is still remembered lies in two buckets, whatever came before. */
static size_t prints_stored(const struct store_world *w)
{
    struct sf_slice key;
    size_t count = 0;

    for (size_t i = 0; fake_disk_key(&w->disk, KV_IDEM, i, &key); i++) {
        count += key.data[0] == KEYSPACE_PRINT_TAG;
    }
    return count;
}

/* Against a list of what was stored when, over power cuts of random depth. */
static void a_model_agrees_over_power_cuts(void **state)
{
    (void)state;
    make_prints();
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct store_world w;
        struct store_lane *lane;
        int64_t stored_us[PRINTS];
        uint64_t seq = 0;

        memset(stored_us, 0, sizeof(stored_us));
        store_world_init(&w, seed);
        lane = events(&w);
        for (int step = 0; step < 60; step++) {
            const uint64_t n = rt_sim_random(&w.sim, PRINTS);
            const char which[] = {(char)('a' + n), '\0'};
            struct world_write ww;
            bool again;

            later(&w, (int64_t)rt_sim_random(&w.sim, WINDOW_US));
            prepare(&ww, lane, which, 1000);
            assert_int_equal(world_write_run(&ww, &w), SF_OK);
            again = stored_us[n] != 0 && ww.write.commit_us - stored_us[n] < WINDOW_US;
            assert_int_equal(ww.lane.duplicates, again);
            if (!again) {
                stored_us[n] = ww.write.commit_us;
                seq++;
            }
            assert_int_equal(store_lane_head(lane)->seq, seq);
            if (rt_sim_random(&w.sim, 8) == 0) { /* what was answered is synced */
                w.disk.killed = true;
                store_world_close(&w);
                fake_disk_crash(&w.disk, w.disk.durable, w.disk.flushed);
                w.disk.killed = false;
                store_world_open(&w);
                lane = events(&w);
            }
        }
        assert_in_range(prints_stored(&w), 1, 2 * PRINTS);
        store_world_done(&w);
    }
}

static void rows_that_change_nothing_take_no_seq(void **state)
{
    struct store_world w;
    struct store_lane *lane;
    struct world_write ww;
    char text[256];

    (void)state;
    store_world_init(&w, 5);
    lane = store_world_lane(&w, "orders", STORE_STATE);
    world_write_init(&ww, lane);
    ww.lane.skip_unchanged = true;
    (void)world_write_add(&ww, "a", "1");
    (void)world_write_add(&ww, "a", "1"); /* of this very write */
    (void)world_write_add(&ww, "b", "1");
    assert_int_equal(world_write_run(&ww, &w), SF_OK);
    assert_int_equal(ww.lane.unchanged, 1);
    world_write_init(&ww, lane);
    ww.lane.skip_unchanged = true;
    (void)world_write_add(&ww, "a", "1");
    (void)world_write_add(&ww, "b", "2");
    (void)world_write_add(&ww, "b", "1");
    (void)world_write_add(&ww, "a", NULL);
    (void)world_write_add(&ww, "a", "1"); /* it was deleted: it comes back */
    assert_int_equal(world_write_run(&ww, &w), SF_OK);
    assert_int_equal(ww.lane.unchanged, 1);
    assert_string_equal(store_world_log(&w, lane, 0, text, sizeof(text)),
                        "1+a=1<0 2+b=1<0 3+b=2<2 4+b=1<3 5-a<1 6+a=1<5");
    assert_int_equal(store_world_put(&w, lane, "a", "1"), SF_OK); /* without: stored */
    assert_int_equal(store_lane_head(lane)->seq, 7);
    store_world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_repetition_within_the_window_is_not_stored),
        cmocka_unit_test(writes_of_one_commit_see_each_other),
        cmocka_unit_test(a_full_window_refuses),
        cmocka_unit_test(a_model_agrees_over_power_cuts),
        cmocka_unit_test(rows_that_change_nothing_take_no_seq),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
