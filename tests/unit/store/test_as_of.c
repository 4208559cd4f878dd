/*
 * The past of a lane against a model: random upserts, deletes, marks and trims; after each of them
 * the rows as of every position that is held are those of the model, and the store checks out.
 */
#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/alloc.h"
#include "common/base/time.h"
#include "leaf/store/as_of.h"
#include "leaf/store/check.h"
#include "leaf/store/retain.h"
#include "leaf/store/store_internal.h"
#include "proto/errors.h"
#include "tests/lib/store_world.h"

enum { KEYS = 6, POSITIONS = 400 };

/* Rows of all keys at every position; 0: absent. */
struct model {
    unsigned rows[POSITIONS][KEYS];
    int64_t times[POSITIONS];
    uint64_t head;
};

static struct store_upkeep step_done;

static void on_step(struct store_upkeep *u, const struct sf_error *err)
{
    assert_null(err);
    u->data = &step_done;
}

static void run_step(struct store_world *w, struct store_upkeep *u)
{
    struct sf_error err = {0};

    u->done = on_step;
    if (upkeep_submit(w->store, u, &err) != SF_OK) {
        fail_msg("%s", err.text);
    }
    rt_sim_run(&w->sim);
    assert_ptr_equal(u->data, &step_done);
}

static void set_mark(struct store_world *w, struct store_lane *lane)
{
    struct store_upkeep u = {.kind = UPKEEP_MARK, .lane = lane};

    run_step(w, &u);
    assert_int_equal(u.mark.seq, store_lane_head(lane)->seq);
}

static void bury(struct store_world *w, struct store_lane *lane)
{
    uint8_t bytes[KEYS][8];
    struct sf_slice keys[KEYS];
    struct store_upkeep u = {.kind = UPKEEP_BURY, .lane = lane, .keys = keys, .key_count = KEYS};

    for (unsigned k = 0; k < KEYS; k++) {
        sf_write_be32(bytes[k], lane->id);
        bytes[k][4] = (uint8_t)('a' + k);
        keys[k] = sf_slice_of(bytes[k], 5);
    }
    run_step(w, &u);
}

/* To the oldest mark, through all steps or only the first. */
static void trim(struct store_world *w, struct store_lane *lane, bool to_the_end)
{
    struct store_upkeep anchor = {.kind = UPKEEP_ANCHOR, .lane = lane};
    struct store_upkeep clear = {.kind = UPKEEP_CLEAR, .lane = lane};

    size_t at = 0;

    while (at < lane->mark_count && lane->marks[at].seq <= lane->anchor.seq) {
        at++;
    }
    if (at == lane->mark_count) {
        return;
    }
    anchor.mark = lane->marks[at];
    run_step(w, &anchor);
    if (!to_the_end) {
        return;
    }
    bury(w, lane);
    assert_int_equal(w->store->kv->ops->flush(w->store->kv, KV_STATE, NULL), SF_OK);
    run_step(w, &clear);
    assert_int_equal(lane->anchor.cleared, lane->anchor.seq);
}

static void change(struct store_world *w, struct store_lane *lane, struct model *m)
{
    struct rt_sim *s = &w->sim;
    unsigned k = (unsigned)rt_sim_random(s, KEYS);
    bool remove = rt_sim_random(s, 3) == 0;
    char key[2] = {(char)('a' + k), '\0'};
    char row[16];

    (void)snprintf(row, sizeof(row), "%u", (unsigned)m->head + 1);
    rt_sim_run_for(s, SF_NS_PER_MS * (1 + rt_sim_random(s, 5)));
    assert_int_equal(store_world_put(w, lane, key, remove ? NULL : row), SF_OK);
    if (store_lane_head(lane)->seq == m->head) {
        return; /* Deleted what was not there. */
    }
    m->head++;
    memcpy(m->rows[m->head], m->rows[m->head - 1], sizeof(m->rows[0]));
    m->rows[m->head][k] = remove ? 0 : (unsigned)m->head;
    m->times[m->head] = store_lane_head(lane)->commit_us;
}

static void expected_text(const struct model *m, uint64_t seq, char *ret, size_t size)
{
    size_t used = 0;

    ret[0] = '\0';
    for (unsigned k = 0; k < KEYS; k++) {
        if (m->rows[seq][k] != 0) {
            used += (size_t)snprintf(ret + used, size - used, "%c=%u@%u ", 'a' + (int)k,
                                     m->rows[seq][k], m->rows[seq][k]);
        }
    }
}

static void scan_text(const struct store_snapshot *snapshot, const struct store_lane *lane,
                      uint64_t seq, char *ret, size_t size)
{
    SF_CLEANUP(store_past_freep) struct store_past *past = NULL;
    struct store_range range = {0};
    struct store_row row;
    struct sf_error err = {0};
    size_t used = 0;
    bool more = true;

    ret[0] = '\0';
    assert_int_equal(store_past_new(snapshot, lane, &range, seq, &past, &err), SF_OK);
    for (;;) {
        if (store_past_next(past, &row, &more, &err) != SF_OK) {
            fail_msg("%s", err.text);
        }
        if (!more) {
            return;
        }
        used += (size_t)snprintf(ret + used, size - used, "%.*s=%.*s@%u ", SF_SLICE_ARG(row.key),
                                 SF_SLICE_ARG(row.row), (unsigned)row.seq);
    }
}

static void check_gets(const struct store_snapshot *snapshot, const struct store_lane *lane,
                       const struct model *m, uint64_t seq)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf bytes = {0};
    struct store_row row;
    bool found = false;

    for (unsigned k = 0; k < KEYS; k++) {
        char key[2] = {(char)('a' + k), '\0'};

        assert_int_equal(
            store_get_as_of(snapshot, lane, sf_slice_text(key), seq, &bytes, &row, &found, NULL),
            SF_OK);
        assert_int_equal(found, m->rows[seq][k] != 0);
        if (found) {
            assert_int_equal(row.seq, m->rows[seq][k]);
        }
    }
}

static void check_times(const struct store_snapshot *snapshot, const struct store_lane *lane,
                        const struct model *m, uint64_t first)
{
    struct sf_error err = {0};
    uint64_t seq = 0;

    for (uint64_t p = first; p <= m->head; p++) {
        assert_int_equal(store_find_time(snapshot, lane, m->times[p], &seq, NULL), SF_OK);
        assert_int_equal(seq, p);
        if (p > first) {
            assert_int_equal(store_find_time(snapshot, lane, m->times[p] - 1, &seq, NULL), SF_OK);
            assert_int_equal(seq, p - 1);
        }
    }
    if (first > 0) {
        assert_int_equal(store_find_time(snapshot, lane, m->times[first] - 1, &seq, &err),
                         SF_CONFLICT);
        assert_int_equal(err.number, SHEAF_E_POSITION_GONE);
    }
}

static void check_all(struct store_world *w, struct store_lane *lane, const struct model *m)
{
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    struct store_check_result r;
    struct store_anchor anchor;
    struct sf_error err = {0};
    char found[256];
    char expected[256];

    assert_int_equal(store_snapshot_new(w->store, &snapshot, NULL), SF_OK);
    assert_int_equal(store_anchor_of(snapshot, lane, &anchor, NULL), SF_OK);
    for (uint64_t seq = anchor.seq; seq <= m->head; seq++) {
        scan_text(snapshot, lane, seq, found, sizeof(found));
        expected_text(m, seq, expected, sizeof(expected));
        assert_string_equal(found, expected);
        check_gets(snapshot, lane, m, seq);
        assert_int_equal(store_check_position(snapshot, lane, 1, seq, NULL), SF_OK);
    }
    if (anchor.seq > 0) {
        assert_int_equal(store_check_position(snapshot, lane, 1, anchor.seq - 1, &err),
                         SF_CONFLICT);
        assert_int_equal(err.number, SHEAF_E_POSITION_GONE);
    }
    assert_int_equal(store_check_position(snapshot, lane, 1, m->head + 1, &err), SF_CONFLICT);
    assert_int_equal(err.number, SHEAF_E_POSITION_AHEAD);
    check_times(snapshot, lane, m, anchor.seq);
    if (store_check(w->store, &r, &err) != SF_OK) {
        fail_msg("%s", err.text);
    }
}

/* A kill, a power cut or a clean stop, and the same store again. */
static struct store_lane *reopen(struct store_world *w)
{
    bool killed = rt_sim_random(&w->sim, 2) == 0;

    w->disk.killed = killed;
    store_world_close(w);
    if (killed) {
        fake_disk_crash(&w->disk, w->disk.writes, w->disk.flushed);
    }
    store_world_open(w);
    return store_world_lane(w, "orders", STORE_STATE);
}

static void run_seed(uint64_t seed)
{
    static struct model m;
    struct store_world w;
    struct store_lane *lane;

    m = (struct model){0};
    store_world_init(&w, seed);
    lane = store_world_lane(&w, "orders", STORE_STATE);
    for (unsigned i = 0; i < 90; i++) {
        switch (rt_sim_random(&w.sim, 10)) {
        case 0:
            if (lane->mark_count < 8 && m.head > lane->anchor.seq) {
                set_mark(&w, lane);
            }
            break;
        case 1:
            trim(&w, lane, rt_sim_random(&w.sim, 4) != 0);
            break;
        case 2:
            lane = reopen(&w);
            break;
        case 3:
            assert_int_equal(store_rebuild_state(w.store, NULL), SF_OK);
            break;
        default:
            change(&w, lane, &m);
        }
        if (i % 5 == 0) {
            check_all(&w, lane, &m);
        }
    }
    store_world_done(&w);
}

static void test_every_held_position_shows_what_the_model_had(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        run_seed(seed);
    }
}

/* The bytes that docs/formats/store.md tells. */
static void test_an_anchor_is_stored_as_written_down(void **state)
{
    static const uint8_t golden[] = {
        0, 0, 0,    3,                                                 /* epoch */
        0, 0, 0,    0,    0,    0,    1,    2,                         /* seq */
        0, 0, 0,    0,    0,    0,    0,    9,                         /* commit */
        0, 6, 0x0a, 0x24, 0x18, 0x1e, 0x40, 0,                         /* commit time */
        0, 0, 0,    0,    0,    0,    1,    0,                         /* cleared */
        7, 7, 7,    7,    7,    7,    7,    7, 7, 7, 7, 7, 7, 7, 7, 7, /* hash */
        7, 7, 7,    7,    7,    7,    7,    7, 7, 7, 7, 7, 7, 7, 7, 7,
    };
    const struct keyspace_key anchor = keyspace_meta_anchor(5);
    const struct keyspace_key mark = keyspace_meta_mark(5, 258);
    struct store_anchor a = {
        .epoch = 3, .seq = 258, .commit = 9, .commit_us = 1700000000000000, .cleared = 256};
    struct store_anchor back;
    uint8_t bytes[KEYSPACE_ANCHOR_BYTES];

    (void)state;
    memset(a.hash, 7, sizeof(a.hash));
    keyspace_anchor_encode(&a, bytes);
    assert_int_equal(sizeof(bytes), sizeof(golden));
    assert_memory_equal(bytes, golden, sizeof(golden));
    assert_int_equal(keyspace_anchor_decode(sf_slice_of(golden, sizeof(golden)), &back, NULL),
                     SF_OK);
    assert_int_equal(back.epoch, a.epoch);
    assert_int_equal(back.seq, a.seq);
    assert_int_equal(back.commit, a.commit);
    assert_int_equal(back.commit_us, a.commit_us);
    assert_int_equal(back.cleared, a.cleared);
    assert_memory_equal(back.hash, a.hash, sizeof(a.hash));
    assert_int_equal(keyspace_anchor_decode(sf_slice_of(golden, sizeof(golden) - 1), &back, NULL),
                     SF_CORRUPT);
    bytes[35] = 3; /* cleared 259 */
    bytes[34] = 1;
    assert_int_equal(keyspace_anchor_decode(sf_slice_of(bytes, sizeof(bytes)), &back, NULL),
                     SF_CORRUPT);
    assert_true(sf_slice_equal(keyspace_view(&anchor), sf_slice_of("a\0\0\0\5", 5)));
    assert_true(sf_slice_equal(keyspace_view(&mark), sf_slice_of("m\0\0\0\5\0\0\0\0\0\0\1\2", 13)));
}

/* --- retention -------------------------------------------------------------------------------- */

#define KEEP_US (16 * SF_US_PER_S)

struct kept {
    struct store_world w;
    struct store_lane *lane;
    struct retainer *retainer;
    struct sf_metrics metrics;
    struct model model;
    uint64_t taken;
};

static struct retain_rule rule_of(void *data, const struct store_lane *lane)
{
    (void)data;
    (void)lane;
    return (struct retain_rule){.keep_us = KEEP_US, .quarantine_us = KEEP_US};
}

static uint64_t taken_of(void *data, const struct store_lane *lane)
{
    (void)lane;
    return ((struct kept *)data)->taken;
}

static void start_retainer(struct kept *k)
{
    const struct retainer_options options = {
        .rt = &k->w.sim.rt,
        .store = k->w.store,
        .metrics = &k->metrics,
        .rule = rule_of,
        .taken = taken_of,
        .data = k,
        .grace_us = 2 * KEEP_US,
        .idem_us = KEEP_US,
    };

    k->lane = store_world_lane(&k->w, "orders", STORE_STATE);
    assert_int_equal(retainer_new(&options, &k->retainer, NULL), SF_OK);
}

static void on_retainer_closed(void *data)
{
    ((struct kept *)data)->retainer = NULL;
}

static void stop_retainer(struct kept *k)
{
    retainer_close(k->retainer, on_retainer_closed, k);
    assert_non_null(k->retainer); /* Never inside the call. */
    rt_sim_run_for(&k->w.sim, SF_NS_PER_S);
    assert_null(k->retainer);
}

static void kept_init(struct kept *k, uint64_t seed)
{
    *k = (struct kept){.taken = UINT64_MAX};
    store_world_init(&k->w, seed);
    sf_metrics_init(&k->metrics);
    start_retainer(k);
}

static void kept_done(struct kept *k)
{
    stop_retainer(k);
    store_world_done(&k->w);
}

/* One change, answered. */
static void kept_change(struct kept *k, unsigned key_no, bool remove)
{
    struct model *m = &k->model;
    struct world_write ww;
    char key[2] = {(char)('a' + key_no), '\0'};
    char row[16];

    (void)snprintf(row, sizeof(row), "%u", (unsigned)m->head + 1);
    world_write_init(&ww, k->lane);
    (void)world_write_add(&ww, key, remove ? NULL : row);
    assert_int_equal(world_write_submit(&ww, k->w.store, NULL), SF_OK);
    while (!ww.done) {
        rt_sim_run_for(&k->w.sim, SF_NS_PER_MS);
    }
    assert_int_equal(ww.error.code, SF_OK);
    if (store_lane_head(k->lane)->seq == m->head) {
        return;
    }
    m->head++;
    memcpy(m->rows[m->head], m->rows[m->head - 1], sizeof(m->rows[0]));
    m->rows[m->head][key_no] = remove ? 0 : (unsigned)m->head;
    m->times[m->head] = store_lane_head(k->lane)->commit_us;
}

static void kept_pass(struct kept *k, unsigned seconds)
{
    rt_sim_run_for(&k->w.sim, seconds * SF_NS_PER_S);
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

static size_t marks_stored(const struct fake_disk *d)
{
    struct sf_slice key;
    size_t n = 0;

    for (size_t i = 0; fake_disk_key(d, KV_META, i, &key); i++) {
        n += key.data[0] == 'm';
    }
    return n;
}

static void test_what_is_older_than_promised_goes_and_nothing_younger(void **state)
{
    static struct kept k;

    (void)state;
    kept_init(&k, 1);
    for (unsigned i = 0; i < 80; i++) {
        kept_change(&k, i % KEYS, i % 7 == 3);
        kept_pass(&k, 1);
        if (k.lane->anchor.seq > 0) {
            int64_t held_us = sf_rt_wall_us(&k.w.sim.rt) - k.lane->anchor.commit_us;

            assert_true(held_us >= KEEP_US);
            assert_true(held_us <= KEEP_US + KEEP_US / 8 + 5 * SF_US_PER_S);
        }
    }
    assert_true(k.lane->anchor.seq > 50);
    assert_int_equal(k.lane->anchor.cleared, k.lane->anchor.seq);
    check_all(&k.w, k.lane, &k.model);
    assert_int_equal(keys_in(&k.w.disk, KV_LOG), k.model.head - k.lane->anchor.seq);
    kept_pass(&k, 60);
    assert_int_equal(k.lane->anchor.seq, k.model.head); /* A table that rests is trimmed too. */
    assert_int_equal(keys_in(&k.w.disk, KV_LOG), 0);
    assert_int_equal(keys_in(&k.w.disk, KV_OLD), 0);
    assert_int_equal(k.lane->mark_count, 0);
    assert_int_equal(marks_stored(&k.w.disk), 0);
    check_all(&k.w, k.lane, &k.model);
    assert_int_equal(retainer_stats(k.retainer).changes, k.model.head);
    assert_int_equal(retainer_stats(k.retainer).failures, 0);
    kept_done(&k);
}

static void test_tombstones_go_with_their_changes(void **state)
{
    static struct kept k;
    size_t before;

    (void)state;
    kept_init(&k, 2);
    for (unsigned i = 0; i < KEYS; i++) {
        kept_change(&k, i, false);
    }
    before = keys_in(&k.w.disk, KV_STATE);
    kept_change(&k, 1, true);
    kept_change(&k, 4, true);
    assert_int_equal(keys_in(&k.w.disk, KV_STATE), before);
    kept_pass(&k, 60);
    assert_int_equal(keys_in(&k.w.disk, KV_STATE), before - 2);
    assert_int_equal(retainer_stats(k.retainer).tombstones, 2);
    kept_change(&k, 4, false); /* As if it had never been. */
    assert_int_equal(k.model.rows[k.model.head][4], k.model.head);
    check_all(&k.w, k.lane, &k.model);
    kept_done(&k);
}

static void test_a_feed_that_is_behind_holds_the_log_for_its_grace(void **state)
{
    static struct kept k;

    (void)state;
    kept_init(&k, 3);
    k.taken = 2;
    for (unsigned i = 0; i < 6; i++) {
        kept_change(&k, i, false);
        kept_pass(&k, 3);
    }
    kept_pass(&k, 28); /* The grace counts from the end of what is promised. */
    assert_in_range(k.lane->anchor.seq, 1, 2);
    kept_pass(&k, 32);
    assert_int_equal(k.lane->anchor.seq, 6);
    kept_done(&k);
}

static void test_a_clock_that_jumps_forward_drops_nothing_for_an_hour(void **state)
{
    static struct kept k;

    (void)state;
    kept_init(&k, 4);
    kept_change(&k, 0, false);
    kept_pass(&k, 5);
    rt_sim_set_wall_us(&k.w.sim, sf_rt_wall_us(&k.w.sim.rt) + 365 * SF_US_PER_DAY);
    kept_pass(&k, 3000);
    assert_int_equal(k.lane->anchor.seq, 0);
    kept_pass(&k, 1000);
    assert_int_equal(k.lane->anchor.seq, 1);
    kept_done(&k);
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

static void test_power_may_fail_at_any_moment_of_it(void **state)
{
    static struct kept k;

    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        kept_init(&k, seed);
        for (unsigned i = 0; i < 60; i++) {
            kept_change(&k, (unsigned)rt_sim_random(&k.w.sim, KEYS),
                        rt_sim_random(&k.w.sim, 3) == 0);
            rt_sim_run_for(&k.w.sim, rt_sim_random(&k.w.sim, 2 * SF_NS_PER_S));
            if (rt_sim_random(&k.w.sim, 10) == 0) {
                lose_power(&k);
                check_all(&k.w, k.lane, &k.model);
            }
        }
        check_all(&k.w, k.lane, &k.model);
        assert_int_equal(retainer_stats(k.retainer).failures, 0);
        kept_done(&k);
    }
}

/* Any of these may run out of memory, and then says so. */
static void may_lack_memory(enum sf_code code)
{
    assert_true(code == SF_OK || code == SF_NOMEM);
}

static void read_the_past(struct kept *k, bool reverse)
{
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    SF_CLEANUP(store_past_freep) struct store_past *past = NULL;
    SF_CLEANUP(sf_buf_done) struct sf_buf bytes = {0};
    const struct store_range range = {.reverse = reverse};
    const uint64_t seq = k->model.head - 2;
    struct store_anchor anchor;
    struct store_row row;
    uint64_t at;
    uint32_t epoch;
    bool more = true;
    bool found;
    enum sf_code code = store_snapshot_new(k->w.store, &snapshot, NULL);

    may_lack_memory(code);
    if (code != SF_OK) {
        return;
    }
    may_lack_memory(store_anchor_of(snapshot, k->lane, &anchor, NULL));
    may_lack_memory(store_check_position(snapshot, k->lane, 1, seq, NULL));
    may_lack_memory(store_epoch_at(snapshot, k->lane, seq, &epoch, NULL));
    may_lack_memory(store_find_time(snapshot, k->lane, k->model.times[seq], &at, NULL));
    may_lack_memory(
        store_get_as_of(snapshot, k->lane, SF_LITERAL("a"), seq, &bytes, &row, &found, NULL));
    code = store_past_new(snapshot, k->lane, &range, seq, &past, NULL);
    while (code == SF_OK && more) {
        code = store_past_next(past, &row, &more, NULL);
    }
    may_lack_memory(code);
}

static void test_reading_the_past_may_run_out_of_memory(void **state)
{
    static struct kept k;
    uint64_t open_things;
    long faults = 1;
    long n;

    (void)state;
    kept_init(&k, 5);
    for (unsigned i = 0; i < 12; i++) {
        kept_change(&k, i % KEYS, i % 5 == 4);
        kept_pass(&k, 2);
    }
    assert_true(k.lane->anchor.seq > 0);
    open_things = k.w.disk.open_things;
    for (n = 0; faults > 0; n++) {
        sf_alloc_fail_after(n, n % 2 == 0);
        read_the_past(&k, n % 3 == 0);
        faults = sf_alloc_faults();
        sf_alloc_fail_after(-1, 0);
        assert_int_equal(k.w.disk.open_things, open_things);
    }
    assert_true(n > 10);
    check_all(&k.w, k.lane, &k.model);
    kept_done(&k);
}

/* Whatever it lacks memory for is done in a later round; nothing is dropped that was promised. */
static void test_retention_goes_on_when_memory_ran_out(void **state)
{
    static struct kept k;
    long faults = 1;
    long n;

    (void)state;
    for (n = 0; faults > 0; n++) {
        kept_init(&k, 6);
        for (unsigned i = 0; i < 8; i++) {
            kept_change(&k, i % KEYS, i % 5 == 4);
        }
        stop_retainer(&k);
        store_world_close(&k.w);
        store_world_open(&k.w);
        start_retainer(&k);
        sf_alloc_fail_after(n, 0);
        kept_pass(&k, 30);
        faults = sf_alloc_faults();
        sf_alloc_fail_after(-1, 0);
        if (store_failed(k.w.store)) { /* A commit that is durable and cannot be shown. */
            stop_retainer(&k);
            store_world_close(&k.w);
            store_world_open(&k.w);
            start_retainer(&k);
        }
        check_all(&k.w, k.lane, &k.model);
        kept_pass(&k, 60);
        assert_int_equal(k.lane->anchor.seq, k.model.head);
        assert_int_equal(k.lane->anchor.cleared, k.model.head);
        assert_int_equal(keys_in(&k.w.disk, KV_LOG), 0);
        check_all(&k.w, k.lane, &k.model);
        kept_done(&k);
    }
    assert_true(n > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_held_position_shows_what_the_model_had),
        cmocka_unit_test(test_an_anchor_is_stored_as_written_down),
        cmocka_unit_test(test_what_is_older_than_promised_goes_and_nothing_younger),
        cmocka_unit_test(test_tombstones_go_with_their_changes),
        cmocka_unit_test(test_a_feed_that_is_behind_holds_the_log_for_its_grace),
        cmocka_unit_test(test_a_clock_that_jumps_forward_drops_nothing_for_an_hour),
        cmocka_unit_test(test_power_may_fail_at_any_moment_of_it),
        cmocka_unit_test(test_reading_the_past_may_run_out_of_memory),
        cmocka_unit_test(test_retention_goes_on_when_memory_ran_out),
    };

    return cmocka_run_group_tests_name("as_of", tests, NULL, NULL);
}
