/*
 * Lanes of removed products: everything but name, head and anchor goes, whatever crashes meanwhile.
 */
#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "common/base/time.h"
#include "leaf/store/check.h"
#include "leaf/store/retain.h"
#include "leaf/store/retain_read.h"
#include "leaf/store/store_internal.h"
#include "proto/errors.h"
#include "tests/lib/store_world.h"

enum { KEYS = 6 };

#define KEEP_US (16 * SF_US_PER_S)

struct kept {
    struct store_world w;
    struct store_lane *lane;
    struct retainer *retainer;
    struct sf_metrics metrics;
    uint64_t head;
    uint64_t rows;
    bool gone; /* the lane */
    bool keeps_all;
    int64_t idem_us;
    size_t told;
};

static struct retain_rule rule_of(void *data, const struct store_lane *lane)
{
    const struct kept *k = data;

    if (k->gone && lane == k->lane) {
        return (struct retain_rule){.gone = true};
    }
    return k->keeps_all ? (struct retain_rule){0}
                        : (struct retain_rule){.keep_us = KEEP_US, .quarantine_us = KEEP_US};
}

static void on_purged(void *data)
{
    ((struct kept *)data)->told++;
}

static uint64_t taken_of(void *data, const struct store_lane *lane)
{
    (void)data;
    (void)lane;
    return UINT64_MAX;
}

static void start_retainer(struct kept *k)
{
    const struct retainer_options options = {
        .rt = &k->w.sim.rt,
        .store = k->w.store,
        .metrics = &k->metrics,
        .rule = rule_of,
        .taken = taken_of,
        .purged = on_purged,
        .data = k,
        .idem_us = k->idem_us,
    };

    k->lane = store_world_lane(&k->w, "orders", STORE_STATE);
    assert_int_equal(retainer_new(&options, &k->retainer, NULL), SF_OK);
}

static void on_retainer_closed(void *data)
{
    ((struct kept *)data)->retainer = NULL;
}

static void kept_pass(struct kept *k, unsigned seconds)
{
    rt_sim_run_for(&k->w.sim, seconds * SF_NS_PER_S);
}

static void kept_pass_ms(struct kept *k, unsigned ms)
{
    rt_sim_run_for(&k->w.sim, ms * SF_NS_PER_MS);
}

static void stop_retainer(struct kept *k)
{
    retainer_close(k->retainer, on_retainer_closed, k);
    kept_pass(k, 1);
    assert_null(k->retainer);
}

static void reopen(struct kept *k)
{
    stop_retainer(k);
    store_world_close(&k->w);
    store_world_open(&k->w);
    start_retainer(k);
}

static void kept_init(struct kept *k, uint64_t seed)
{
    *k = (struct kept){0};
    store_world_init(&k->w, seed);
    sf_metrics_init(&k->metrics);
    start_retainer(k);
}

static void kept_done(struct kept *k)
{
    stop_retainer(k);
    store_world_done(&k->w);
}

static size_t keys_in(const struct fake_disk *d, enum kv_family f)
{
    struct sf_slice key;
    size_t n = 0;

    while (fake_disk_key(d, f, n, &key)) {
        n++;
    }
    return n;
}

/* --- lanes that are gone ---------------------------------------------------------------------- */

/* With the retainer's timer running there is no end to wait for but the write's. */
static void kept_write(struct kept *k, struct world_write *ww)
{
    assert_int_equal(world_write_submit(ww, k->w.store, NULL), SF_OK);
    while (!ww->done) {
        rt_sim_run_for(&k->w.sim, SF_NS_PER_MS);
    }
    assert_int_equal(ww->error.code, SF_OK);
}

static void put(struct kept *k, struct store_lane *lane, const char *key, const char *row)
{
    struct world_write ww;

    world_write_init(&ww, lane);
    (void)world_write_add(&ww, key, row);
    kept_write(k, &ww);
}

/* Some changes, and one record that was refused. */
static void kept_fill(struct kept *k, unsigned changes)
{
    const uint16_t code = SHEAF_E_RECORD_INVALID;
    struct store_reject reject = {
        .codes = &code, .code_count = 1, .contract_id = 1, .raw = sf_slice_text("{}")};
    struct world_write ww;

    for (unsigned i = 0; i < changes; i++) {
        const char key[2] = {(char)('a' + i % KEYS), '\0'};

        put(k, k->lane, key, i % 5 == 4 ? NULL : "row");
        kept_pass(k, 1);
    }
    k->head = k->lane->head.seq;
    k->rows = k->lane->head.rows;
    world_write_init(&ww, k->lane);
    ww.lane.rejects = &reject;
    ww.lane.reject_count = 1;
    kept_write(k, &ww);
}

static size_t keys_of_lanes(const struct fake_disk *d)
{
    return keys_in(d, KV_STATE) + keys_in(d, KV_LOG) + keys_in(d, KV_OLD) +
           keys_in(d, KV_QUARANTINE);
}

static void check_whole(struct kept *k)
{
    struct store_check_result r;
    struct sf_error err;

    if (store_check(k->w.store, &r, &err) != SF_OK) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(r.rows, k->rows);
    assert_int_equal(k->lane->head.seq, k->head);
}

static void check_empty(struct kept *k)
{
    struct store_check_result r;
    struct sf_error err;

    assert_int_equal(keys_of_lanes(&k->w.disk), 0);
    assert_int_equal(k->lane->head.seq, k->head);
    assert_int_equal(k->lane->head.rows, 0);
    assert_int_equal(k->lane->head.quarantined, 1);
    assert_int_equal(k->lane->anchor.seq, k->head);
    assert_int_equal(k->lane->anchor.cleared, k->head);
    assert_int_equal(k->lane->mark_count, 0);
    assert_int_equal(store_lane_held(k->lane).entries, 0);
    if (store_check(k->w.store, &r, &err) != SF_OK) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(r.rows, 0);
    assert_int_equal(r.quarantined, 0);
}

/* In some seconds of retention alone the disk fails at one of its writes; then power does. */
static void lose_power(struct kept *k)
{
    struct fake_disk *d = &k->w.disk;
    struct rt_sim *s = &k->w.sim;
    uint64_t kept;
    uint64_t flushed;

    d->killed = true;
    d->fail_write_in = 1 + (unsigned)rt_sim_random(s, 8);
    d->fail_on = true;
    d->fail_code = SF_IO;
    d->fail_applies = rt_sim_random(s, 2) == 0;
    rt_sim_run_for(s, rt_sim_random(s, 6) * SF_NS_PER_S);
    stop_retainer(k);
    store_world_close(&k->w);
    kept = d->durable + rt_sim_random(s, d->writes - d->durable + 1);
    flushed = d->flushed > kept ? d->flushed : d->flushed + rt_sim_random(s, kept - d->flushed + 1);
    fake_disk_crash(d, kept, flushed);
    d->fail_write_in = 0;
    d->fail_on = false;
    store_world_open(&k->w);
    start_retainer(k);
}

static void test_of_a_lane_that_is_gone_its_head_stays_and_nothing_else(void **state)
{
    static struct kept k;
    struct store_lane *other;
    struct store_stamp stamp;
    struct sf_error err;

    (void)state;
    kept_init(&k, 5);
    other = store_world_lane(&k.w, "others", STORE_STATE);
    put(&k, other, "x", "1");
    kept_fill(&k, 40);
    assert_true(keys_in(&k.w.disk, KV_OLD) > 0);
    assert_false(retain_is_purged(k.lane));
    k.told = 0;
    k.gone = true;
    stamp = store_stamp_take(k.w.store, k.lane, SF_LITERAL("a"));
    kept_pass(&k, 120);
    assert_true(k.told > 0);
    assert_false(store_stamp_holds(k.w.store, &stamp));
    assert_true(retain_is_purged(k.lane));
    assert_int_equal(retainer_stats(k.retainer).purges, 1);
    assert_int_equal(store_lane_head(other)->rows, 1);
    assert_int_equal(keys_of_lanes(&k.w.disk), 1); /* The log of the other lane was trimmed. */
    reopen(&k);
    assert_false(retain_is_purged(k.lane)); /* Done again, until somebody notes that it was. */
    kept_pass(&k, 120);
    assert_true(retain_is_purged(k.lane));
    if (store_rebuild_state(k.w.store, &err) != SF_OK) {
        fail_msg("%s", err.text);
    }
    other = store_world_lane(&k.w, "others", STORE_STATE);
    put(&k, other, "x", NULL);
    kept_pass(&k, 120);
    check_empty(&k);
    kept_done(&k);
}

static void test_what_comes_behind_a_purge_replaces_nothing(void **state)
{
    static struct kept k;
    char log[256];
    char want[64];

    (void)state;
    kept_init(&k, 7);
    kept_fill(&k, 4);
    k.gone = true;
    kept_pass(&k, 120);
    assert_true(retain_is_purged(k.lane));
    k.gone = false;
    put(&k, k.lane, "a", "back");
    (void)snprintf(want, sizeof(want), "%llu+a=back<0", (unsigned long long)k.head + 1);
    assert_string_equal(store_world_log(&k.w, k.lane, k.head, log, sizeof(log)), want);
    assert_int_equal(store_lane_head(k.lane)->rows, 1);
    kept_done(&k);
}

static void test_power_may_fail_while_a_lane_goes(void **state)
{
    static struct kept k;
    unsigned whole = 0;
    unsigned empty = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        kept_init(&k, seed);
        kept_fill(&k, 20 + (unsigned)rt_sim_random(&k.w.sim, 20));
        k.gone = true;
        lose_power(&k);
        if (k.lane->head.rows > 0 || keys_of_lanes(&k.w.disk) > 0) {
            check_whole(&k);
            whole++;
        } else {
            check_empty(&k);
            empty++;
        }
        kept_pass(&k, 120);
        assert_true(retain_is_purged(k.lane));
        check_empty(&k);
        reopen(&k);
        check_empty(&k);
        kept_done(&k);
    }
    assert_true(whole > 3 && empty > 3);
}

static void on_step(struct store_upkeep *u, const struct sf_error *err)
{
    (void)u;
    assert_null(err);
}

static void test_a_lane_that_is_written_to_waits_for_the_next_round(void **state)
{
    struct store_upkeep u = {.kind = UPKEEP_PURGE};
    struct world_write ww;
    static struct kept k;

    (void)state;
    kept_init(&k, 6);
    kept_fill(&k, 3);
    u.lane = k.lane;
    u.done = on_step;
    assert_int_equal(upkeep_submit(k.w.store, &u, NULL), SF_OK);
    world_write_init(&ww, k.lane);
    (void)world_write_add(&ww, "z", "9");
    kept_write(&k, &ww);
    assert_int_equal(u.removed, 0);
    assert_int_equal(k.lane->head.rows, k.rows + 1);
    kept_done(&k);
}

static void test_what_is_promised_anew_is_looked_at_within_a_second(void **state)
{
    static struct kept k;

    (void)state;
    kept_init(&k, 8);
    k.keeps_all = true;
    kept_fill(&k, 3);
    kept_pass(&k, 30);
    k.told = 0;
    kept_pass(&k, 70);
    assert_int_equal(k.told, 1); /* A round a minute is enough. */
    for (unsigned i = 1; i <= 3; i++) {
        retainer_wake(k.retainer);
        kept_pass_ms(&k, 600);
        retainer_wake(k.retainer); /* It does not begin to wait again. */
        kept_pass_ms(&k, 600);
        assert_int_equal(k.told, 1 + i);
    }
    k.gone = true;
    retainer_wake(k.retainer);
    kept_pass(&k, 2);
    assert_true(retain_is_purged(k.lane));
    kept_done(&k);
}

static void on_small(struct store_write *w, const struct sf_error *err)
{
    (void)w;
    assert_null(err);
}

static void test_small_values_are_forgotten_by_how_their_keys_begin(void **state)
{
    static const char *const names[] = {"stats/A", "stats/B", "statt", "quality/A1", "quality/A2"};
    const struct sf_slice starts[] = {sf_slice_text("stats/A"), sf_slice_text("quality/A")};
    struct store_upkeep u = {.kind = UPKEEP_FORGET, .keys = starts, .key_count = 2};
    struct store_put puts[5];
    struct store_write write = {.puts = puts, .put_count = 5};
    struct store_snapshot *snapshot;
    static struct kept k;
    bool found;

    (void)state;
    kept_init(&k, 7);
    for (size_t i = 0; i < 5; i++) {
        puts[i] = (struct store_put){
            .space = STORE_META, .key = sf_slice_text(names[i]), .value = sf_slice_text("v")};
    }
    assert_int_equal(store_submit(k.w.store, &write, on_small, NULL), SF_OK);
    kept_pass(&k, 1);
    u.done = on_step;
    assert_int_equal(upkeep_submit(k.w.store, &u, NULL), SF_OK);
    kept_pass(&k, 1);
    assert_int_equal(store_snapshot_new(k.w.store, &snapshot, NULL), SF_OK);
    for (size_t i = 0; i < 5; i++) {
        struct sf_buf value = {0};

        assert_int_equal(store_small_get(snapshot, STORE_META, sf_slice_text(names[i]), &value,
                                         NULL, &found, NULL),
                         SF_OK);
        assert_int_equal(found, i == 1 || i == 2);
        sf_buf_done(&value);
    }
    store_snapshot_free(snapshot);
    kept_done(&k);
}

/* --- what is left for the next round ---------------------------------------------------------- */

/* Reading fails once, wherever a round has come to: the log with the deletes in it stays until
 * their tombstones are gone. */
static void test_tombstones_go_whatever_could_not_be_read(void **state)
{
    static struct kept k;

    (void)state;
    for (unsigned n = 1; n <= 30; n++) {
        kept_init(&k, n);
        put(&k, k.lane, "a", "row");
        put(&k, k.lane, "b", "row");
        put(&k, k.lane, "a", NULL);
        kept_pass(&k, 14);
        assert_int_equal(k.lane->anchor.seq, 0);
        k.w.disk.fail_read_in = n;
        k.w.disk.fail_code = SF_NOMEM;
        kept_pass(&k, 40);
        assert_int_equal(k.lane->anchor.cleared, 3);
        assert_int_equal(keys_in(&k.w.disk, KV_STATE), 1);
        kept_done(&k);
    }
}

/* Answers are read in the order of their keys, so many at a time: behind thousands that are young
 * the old ones are found too. */
static void test_an_old_answer_behind_many_young_ones_goes(void **state)
{
    enum { YOUNG = RETAIN_READ_CHANGES + 100 };
    static struct store_put puts[YOUNG];
    static char keys[YOUNG][8];
    struct store_put last = {
        .space = STORE_IDEM, .key = SF_LITERAL("z"), .value = SF_LITERAL("old")};
    struct store_write old = {.puts = &last, .put_count = 1};
    struct store_write young = {.puts = puts, .put_count = YOUNG};
    static struct kept k;
    size_t size;

    (void)state;
    kept_init(&k, 9);
    stop_retainer(&k);
    assert_int_equal(store_submit(k.w.store, &old, on_small, NULL), SF_OK);
    kept_pass(&k, 20);
    for (size_t i = 0; i < YOUNG; i++) {
        (void)snprintf(keys[i], sizeof(keys[i]), "k%05zu", i);
        puts[i] = (struct store_put){
            .space = STORE_IDEM, .key = sf_slice_text(keys[i]), .value = SF_LITERAL("young")};
    }
    assert_int_equal(store_submit(k.w.store, &young, on_small, NULL), SF_OK);
    k.idem_us = KEEP_US;
    start_retainer(&k);
    kept_pass(&k, 5);
    assert_null(fake_disk_value(&k.w.disk, KV_IDEM, last.key, &size));
    assert_non_null(fake_disk_value(&k.w.disk, KV_IDEM, puts[0].key, &size));
    assert_non_null(fake_disk_value(&k.w.disk, KV_IDEM, puts[YOUNG - 1].key, &size));
    assert_int_equal(retainer_stats(k.retainer).answers, 1);
    kept_done(&k);
}

/* What was found old is looked at again by the commit that would remove it. */
static void test_an_answer_that_is_young_again_stays(void **state)
{
    struct store_put put_young = {
        .space = STORE_IDEM, .key = SF_LITERAL("k"), .value = SF_LITERAL("young")};
    struct store_write write = {.puts = &put_young, .put_count = 1};
    struct store_upkeep u = {
        .kind = UPKEEP_IDEM, .keys = &put_young.key, .key_count = 1, .done = on_step};
    static struct kept k;
    size_t size;

    (void)state;
    kept_init(&k, 10);
    assert_int_equal(store_submit(k.w.store, &write, on_small, NULL), SF_OK);
    kept_pass(&k, 1);
    for (int after = 0; after <= 1; after++) {
        u.before_us = write.commit_us + after;
        assert_int_equal(upkeep_submit(k.w.store, &u, NULL), SF_OK);
        kept_pass(&k, 1);
        assert_int_equal(u.removed, after);
        assert_int_equal(fake_disk_value(&k.w.disk, KV_IDEM, put_young.key, &size) == NULL, after);
    }
    kept_done(&k);
}

/* Of a lane that is gone nothing is remembered: what comes again is new, and has room. */
static void test_repetitions_are_forgotten_with_their_lane(void **state)
{
    static const uint8_t prints[][STORE_FINGERPRINT_BYTES] = {{1}, {2}, {3}};
    static struct kept k;
    struct world_write ww;

    (void)state;
    kept_init(&k, 11);
    k.lane = store_world_lane(&k.w, "clicks", STORE_EVENT);
    for (int round = 0; round < 2; round++) {
        world_write_init(&ww, k.lane);
        ww.lane.dedupe = (struct store_dedupe){3600 * SF_US_PER_S, SF_COUNT(prints)};
        for (size_t i = 0; i < SF_COUNT(prints); i++) {
            world_write_add(&ww, "", "row")->fingerprint = prints[i];
        }
        kept_write(&k, &ww);
        assert_int_equal(ww.lane.duplicates, 0);
        k.gone = round == 0;
        kept_pass(&k, 5);
        assert_int_equal(keys_of_lanes(&k.w.disk), round);
        k.gone = false;
    }
    kept_done(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_of_a_lane_that_is_gone_its_head_stays_and_nothing_else),
        cmocka_unit_test(test_what_comes_behind_a_purge_replaces_nothing),
        cmocka_unit_test(test_power_may_fail_while_a_lane_goes),
        cmocka_unit_test(test_a_lane_that_is_written_to_waits_for_the_next_round),
        cmocka_unit_test(test_what_is_promised_anew_is_looked_at_within_a_second),
        cmocka_unit_test(test_small_values_are_forgotten_by_how_their_keys_begin),
        cmocka_unit_test(test_tombstones_go_whatever_could_not_be_read),
        cmocka_unit_test(test_an_old_answer_behind_many_young_ones_goes),
        cmocka_unit_test(test_an_answer_that_is_young_again_stays),
        cmocka_unit_test(test_repetitions_are_forgotten_with_their_lane),
    };

    return cmocka_run_group_tests_name("purge", tests, NULL, NULL);
}
