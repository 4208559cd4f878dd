/*
 * The n-th allocation, write, read or sync fails, for every n, once and from then on: nothing is
 * leaked or left open, what was answered is there afterwards, and the store is whole. In two
 * stories: commits one after the other, closed in order; and the second commit built while the
 * first is synced, then a power cut.
 */
#include "tests/lib/cmocka.h"

#include <stddef.h>
#include <stdio.h>

#include "common/base/alloc.h"
#include "leaf/store/check.h"
#include "proto/errors.h"
#include "tests/lib/store_world.h"

enum { WRITES = 4 };

struct story {
    struct store_world w;
    bool held; /* syncs last until the next commit is written; a power cut follows */
    struct world_write writes[WRITES];
    bool was_held;
    bool answered[WRITES]; /* with success */
};

/* Any call may fail, but only for these reasons. */
static void may_fail(enum sf_code code)
{
    assert_true(code == SF_OK || code == SF_NOMEM || code == SF_IO || code == SF_CORRUPT);
}

static enum sf_code open_lane(struct store_world *w, struct store_lane **lane)
{
    struct store_lane_name name = {"sales/orders", "orders", 1, 0, STORE_STATE};
    struct sf_error err;

    return store_lane_open(w->store, &name, lane, &err);
}

static void write_some(struct story *s, struct store_lane *lane)
{
    static const uint16_t codes[] = {SHEAF_E_WRONG_TYPE};
    static const struct store_reject reject = {codes, 1, SF_LITERAL("amount"),
                                               1,     1, SF_LITERAL("raw")};
    static const uint8_t prints[WRITES][STORE_FINGERPRINT_BYTES] = {{1}, {2}, {3}, {4}};
    static const struct store_resolve gone = {.qseq = 1};
    static const struct store_put put = {STORE_META, false, SF_LITERAL("cursor"), SF_LITERAL("1")};
    struct sf_error err;
    char key[16];

    s->w.disk.hold_syncs = s->held;
    for (int i = 0; i < WRITES; i++) {
        struct world_write *ww = &s->writes[i];

        world_write_init(ww, lane);
        (void)snprintf(key, sizeof(key), "new-%d", i);
        (void)world_write_add(ww, key, "row");
        (void)world_write_add(ww, "common", i == 2 ? NULL : "row");
        ww->changes[0].fingerprint = prints[i];
        ww->lane.dedupe = (struct store_dedupe){1000000, 1000};
        ww->lane.skip_unchanged = true;
        ww->lane.rejects = &reject;
        ww->lane.reject_count = 1;
        ww->lane.resolves = &gone;
        ww->lane.resolve_count = i == 3 ? 1 : 0;
        ww->write.puts = &put;
        ww->write.put_count = 1;
        may_fail(world_write_submit(ww, s->w.store, &err));
        if (i % 2 == 1) {
            rt_sim_run(&s->w.sim); /* Two writes share a commit. */
            s->was_held = s->was_held || s->w.disk.pending != NULL;
        }
    }
    rt_sim_run(&s->w.sim);
    fake_disk_end_sync(&s->w.disk);
    rt_sim_run(&s->w.sim);
    s->w.disk.hold_syncs = false;
    for (int i = 0; i < WRITES; i++) {
        s->answered[i] = s->writes[i].done && s->writes[i].error.code == SF_OK;
    }
}

static enum sf_code read_log(const struct store_snapshot *snapshot, const struct store_lane *lane)
{
    SF_CLEANUP(store_log_freep) struct store_log *log = NULL;
    struct store_log_entry e;
    bool more = true;
    struct sf_error err;
    enum sf_code code = store_log_new(snapshot, lane, 0, true, &log, &err);

    while (code == SF_OK && more) {
        code = store_log_next(log, &e, &more, &err);
    }
    return code;
}

static enum sf_code read_rows(const struct store_snapshot *snapshot, const struct store_lane *lane)
{
    SF_CLEANUP(store_scan_freep) struct store_scan *scan = NULL;
    SF_CLEANUP(store_quarantine_freep) struct store_quarantine *q = NULL;
    SF_CLEANUP(store_small_freep) struct store_small *small = NULL;
    SF_CLEANUP(sf_buf_done) struct sf_buf bytes = {0};
    struct store_range range = {.prefix = SF_LITERAL("new")};
    struct store_row row;
    struct store_quarantined entry;
    struct store_log_entry version;
    struct sf_slice key;
    struct sf_slice value;
    bool more = true;
    bool found;
    struct sf_error err;
    enum sf_code code = store_scan_new(snapshot, lane, &range, &scan, &err);

    while (code == SF_OK && more) {
        code = store_scan_next(scan, &row, &more, &err);
    }
    may_fail(store_quarantine_new(snapshot, lane, 0, false, &q, &err));
    may_fail(q == NULL ? SF_OK : store_quarantine_next(q, &entry, &more, &err));
    may_fail(store_quarantine_get(snapshot, lane, 2, &bytes, &entry, &found, &err));
    may_fail(store_small_new(snapshot, STORE_META, SF_LITERAL("c"), &small, &err));
    may_fail(small == NULL ? SF_OK : store_small_next(small, &key, &value, NULL, &more, &err));
    may_fail(store_get(snapshot, lane, SF_LITERAL("common"), &bytes, &row, &found, &err));
    may_fail(
        store_small_get(snapshot, STORE_META, SF_LITERAL("cursor"), &bytes, NULL, &found, &err));
    may_fail(store_read_version(snapshot, lane, SF_LITERAL("common"), 2, &bytes, &version, &err));
    return code;
}

static void read_some(struct story *s, struct store_lane *lane)
{
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    struct store_check_result r;
    struct sf_error err;

    if (store_snapshot_new(s->w.store, &snapshot, &err) == SF_OK) {
        may_fail(read_log(snapshot, lane));
        may_fail(read_rows(snapshot, lane));
    }
    may_fail(store_check(s->w.store, &r, &err));
}

static void close_or_cut(struct story *s, bool cut)
{
    s->w.disk.killed = cut;
    store_world_close(&s->w);
    if (cut) {
        fake_disk_crash(&s->w.disk, s->w.disk.durable, s->w.disk.flushed);
    }
}

/* Opens, writes, reads, closes, opens again and closes, as far as it gets. */
static void tell(struct story *s)
{
    struct store_lane *lane = NULL;
    struct sf_error err;

    for (int i = 0; i < 2; i++) {
        if (store_world_try_open(&s->w, &err) != SF_OK) {
            s->w.store = NULL;
            continue;
        }
        if (open_lane(&s->w, &lane) == SF_OK) {
            if (i == 0) {
                write_some(s, lane);
            }
            read_some(s, lane);
        }
        close_or_cut(s, /* cut= */ i == 0 && s->held);
    }
}

static void begin(struct story *s, bool held)
{
    *s = (struct story){.w.options.positions_bytes = 4096, .held = held};
    assert_int_equal(sf_crypto_init(NULL), SF_OK);
    rt_sim_init(&s->w.sim, 1);
    fake_disk_init(&s->w.disk);
}

/* Without faults: everything that was answered is there. */
static void end(struct story *s)
{
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    struct sf_buf bytes = {0};
    struct store_check_result r;
    struct store_lane *lane = NULL;
    struct store_row row;
    struct sf_error err = {0};
    char key[16];
    bool found = false;

    assert_int_equal(s->w.disk.open_things, 0);
    assert_false(s->w.disk.open);
    store_world_open(&s->w);
    assert_int_equal(open_lane(&s->w, &lane), SF_OK);
    if (store_check(s->w.store, &r, &err) != SF_OK) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(store_snapshot_new(s->w.store, &snapshot, NULL), SF_OK);
    for (int i = 0; i < WRITES; i++) {
        (void)snprintf(key, sizeof(key), "new-%d", i);
        assert_int_equal(store_get(snapshot, lane, sf_slice_text(key), &bytes, &row, &found, NULL),
                         SF_OK);
        assert_true(found || !s->answered[i]);
    }
    sf_buf_done(&bytes);
    store_snapshot_free(SF_TAKE(snapshot));
    store_world_done(&s->w);
}

static void sweep_allocations(bool held, bool forever)
{
    static struct story s;
    long faults = 1;
    long n;

    for (n = 0; faults > 0; n++) {
        begin(&s, held);
        sf_alloc_fail_after(n, forever);
        tell(&s);
        faults = sf_alloc_faults();
        sf_alloc_fail_after(-1, 0);
        end(&s);
    }
    assert_true(n > 100);
    assert_int_equal(s.was_held, held); /* The last run met no fault. */
}

static void test_any_allocation_may_fail(void **state)
{
    (void)state;
    for (int story = 0; story < 4; story++) {
        sweep_allocations(/* held= */ story & 1, /* forever= */ story & 2);
    }
}

/* What fails, as the knob of the disk that counts down to it, and how. */
struct fault {
    size_t knob;
    enum sf_code code;
    bool on;      /* and all that follow */
    bool applies; /* a write is on the disk nevertheless */
};

/* The number of runs. */
static unsigned sweep(const struct fault *f, bool held)
{
    static struct story s;
    unsigned *in = (unsigned *)(void *)((uint8_t *)&s.w.disk + f->knob);
    unsigned left = 0;
    unsigned n;

    for (n = 1; left == 0; n++) {
        begin(&s, held);
        *in = n;
        s.w.disk.fail_code = f->code;
        s.w.disk.fail_on = f->on;
        s.w.disk.fail_applies = f->applies;
        tell(&s);
        left = f->on && *in == 1 ? 0 : *in; /* counted down to the end: no fault was hit */
        *in = 0;
        s.w.disk.fail_on = false;
        end(&s);
        assert_true(n < 2000);
    }
    for (int i = 0; i < WRITES; i++) {
        assert_true(s.answered[i]); /* The last run met no fault. */
    }
    return n;
}

static void test_any_write_may_fail(void **state)
{
    enum { KNOB = offsetof(struct fake_disk, fail_write_in) };

    (void)state;
    for (int story = 0; story < 4; story++) {
        const bool held = story & 1;
        const bool on = story & 2;

        assert_true(sweep(&(struct fault){KNOB, SF_IO, on, false}, held) > 5);
        assert_true(sweep(&(struct fault){KNOB, SF_IO, on, true}, held) > 5);
        assert_true(sweep(&(struct fault){KNOB, SF_NOMEM, on, false}, held) > 5);
        assert_true(sweep(&(struct fault){KNOB, SF_CORRUPT, on, false}, held) > 5);
    }
}

static void test_any_read_may_fail(void **state)
{
    enum { KNOB = offsetof(struct fake_disk, fail_read_in) };

    (void)state;
    for (int story = 0; story < 4; story++) {
        const bool held = story & 1;
        const bool on = story & 2;

        assert_true(sweep(&(struct fault){KNOB, SF_IO, on, false}, held) > 50);
        assert_true(sweep(&(struct fault){KNOB, SF_CORRUPT, on, false}, held) > 50);
    }
}

static void test_any_sync_beside_a_commit_may_fail(void **state)
{
    enum { KNOB = offsetof(struct fake_disk, fail_sync_in) };

    (void)state;
    assert_true(sweep(&(struct fault){KNOB, SF_IO, false, false}, /* held= */ true) > 3);
    assert_true(sweep(&(struct fault){KNOB, SF_IO, true, false}, /* held= */ true) > 3);
}

/* What is damaged under a commit is not written over. */
static void test_damage_found_by_a_commit_makes_the_store_read_only(void **state)
{
    struct store_world w;
    struct store_lane *lane;

    (void)state;
    store_world_init(&w, 1);
    lane = store_world_lane(&w, "orders", STORE_STATE);
    assert_int_equal(store_world_put(&w, lane, "a", "1"), SF_OK);
    store_world_close(&w);
    store_world_open(&w); /* Where "a" stands must be looked up now. */
    lane = store_world_lane(&w, "orders", STORE_STATE);
    w.disk.fail_read_in = 1;
    w.disk.fail_code = SF_CORRUPT;
    assert_int_equal(store_world_put(&w, lane, "a", "2"), SF_CORRUPT);
    assert_true(store_failed(w.store));
    w.disk.fail_read_in = 0;
    assert_int_equal(store_world_put(&w, lane, "b", "1"), SF_IO);
    store_world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_allocation_may_fail),
        cmocka_unit_test(test_any_write_may_fail),
        cmocka_unit_test(test_any_read_may_fail),
        cmocka_unit_test(test_any_sync_beside_a_commit_may_fail),
        cmocka_unit_test(test_damage_found_by_a_commit_makes_the_store_read_only),
    };

    return cmocka_run_group_tests_name("faults", tests, NULL, NULL);
}
