/* Entries of a quarantine: resolved once, in the transaction of what they become, and counted. */
#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "leaf/store/keyspace.h"
#include "proto/errors.h"
#include "tests/lib/store_world.h"

static const uint16_t wrong_type[] = {SHEAF_E_WRONG_TYPE};
static const struct store_reject plain = {wrong_type, 1,  SF_LITERAL("n"), 7, 3, SF_LITERAL("a,b"),
                                          0,          {0}};
static const struct store_reject of_csv = {wrong_type,        1, SF_LITERAL("n"),   7, 4,
                                           SF_LITERAL("c,d"), 2, SF_LITERAL("id,n")};

enum { PLAIN_BYTES = 22 + 2 + 1 + 3, CSV_BYTES = PLAIN_BYTES + 5 + 4 };

static struct store_lane *open_lane(struct store_world *w)
{
    return store_world_lane(w, "orders", STORE_STATE);
}

static void put_rejects(struct store_world *w, struct store_lane *lane)
{
    const struct store_reject rejects[] = {plain, of_csv};
    struct world_write ww;

    world_write_init(&ww, lane);
    ww.lane.rejects = rejects;
    ww.lane.reject_count = 2;
    assert_int_equal(world_write_run(&ww, w), SF_OK);
}

static enum sf_code resolve(struct store_world *w, struct store_lane *lane,
                            const struct store_resolve *resolves, size_t count, const char *key,
                            struct world_write *ww)
{
    world_write_init(ww, lane);
    ww->lane.resolves = resolves;
    ww->lane.resolve_count = count;
    if (key != NULL) {
        (void)world_write_add(ww, key, "row");
    }
    return world_write_run(ww, w);
}

static void assert_held(const struct store_lane *lane, uint64_t entries, uint64_t bytes)
{
    const struct store_held held = store_lane_held(lane);

    assert_int_equal(held.entries, entries);
    assert_int_equal(held.bytes, bytes);
}

/* "qseq:form:code ..." */
static const char *entries(struct store_world *w, const struct store_lane *lane, char ret[256])
{
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    SF_CLEANUP(store_quarantine_freep) struct store_quarantine *q = NULL;
    struct store_quarantined e;
    bool more = true;
    size_t at = 0;

    ret[0] = '\0';
    assert_int_equal(store_snapshot_new(w->store, &snapshot, NULL), SF_OK);
    assert_int_equal(store_quarantine_new(snapshot, lane, 0, false, &q, NULL), SF_OK);
    for (;;) {
        assert_int_equal(store_quarantine_next(q, &e, &more, NULL), SF_OK);
        if (!more) {
            return ret;
        }
        at += (size_t)snprintf(ret + at, 256 - at, "%s%llu:%u:%u:%.*s", at == 0 ? "" : " ",
                               (unsigned long long)e.qseq, e.form, e.codes[0],
                               SF_SLICE_ARG(e.context));
    }
}

static void an_entry_leaves_in_the_transaction_of_its_row(void **state)
{
    static const struct store_resolve first = {.qseq = 1};
    struct store_world w;
    struct store_lane *lane;
    struct world_write ww;
    char text[256];

    (void)state;
    store_world_init(&w, 3);
    lane = open_lane(&w);
    put_rejects(&w, lane);
    assert_held(lane, 2, PLAIN_BYTES + CSV_BYTES);
    assert_string_equal(entries(&w, lane, text), "1:0:204: 2:2:204:id,n");
    assert_int_equal(resolve(&w, lane, &first, 1, "k", &ww), SF_OK);
    assert_int_equal(ww.lane.first_seq, 1);
    assert_string_equal(entries(&w, lane, text), "2:2:204:id,n");
    assert_string_equal(store_world_rows(&w, lane, text, sizeof(text)), "k=row@1");
    assert_held(lane, 1, CSV_BYTES);
    assert_int_equal(store_stats(w.store).resolves, 1);
    /* The number of an entry is not given again. */
    assert_int_equal(store_lane_head(lane)->quarantined, 2);
    store_world_done(&w);
}

static void an_entry_that_is_gone_refuses_the_write(void **state)
{
    static const struct store_resolve both[] = {{.qseq = 2}, {.qseq = 1}};
    struct store_world w;
    struct store_lane *lane;
    struct world_write ww;
    char text[256];

    (void)state;
    store_world_init(&w, 3);
    lane = open_lane(&w);
    put_rejects(&w, lane);
    assert_int_equal(resolve(&w, lane, &both[1], 1, NULL, &ww), SF_OK);
    assert_int_equal(ww.lane.first_seq, 0);
    assert_int_equal(resolve(&w, lane, both, 2, "k", &ww), SF_CONFLICT);
    assert_int_equal(ww.lane.unmet, 3); /* one change, then the lane, then the second */
    assert_string_equal(entries(&w, lane, text), "2:2:204:id,n");
    assert_string_equal(store_world_rows(&w, lane, text, sizeof(text)), "");
    assert_held(lane, 1, CSV_BYTES);
    store_world_done(&w);
}

static void an_entry_that_stays_keeps_its_number_and_time(void **state)
{
    static const uint16_t missing[] = {SHEAF_E_FIELD_MISSING};
    struct store_reject again = of_csv;
    struct store_resolve stays = {.qseq = 2, .again = &again, .commit_us = 77};
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    SF_CLEANUP(sf_buf_done) struct sf_buf bytes = {0};
    struct store_quarantined e;
    struct store_world w;
    struct store_lane *lane;
    struct world_write ww;
    bool found = false;

    (void)state;
    again.codes = missing;
    store_world_init(&w, 3);
    lane = open_lane(&w);
    put_rejects(&w, lane);
    assert_int_equal(resolve(&w, lane, &stays, 1, NULL, &ww), SF_OK);
    assert_held(lane, 2, PLAIN_BYTES + CSV_BYTES);
    assert_int_equal(store_stats(w.store).resolves, 0);
    assert_int_equal(store_snapshot_new(w.store, &snapshot, NULL), SF_OK);
    assert_int_equal(store_quarantine_get(snapshot, lane, 2, &bytes, &e, &found, NULL), SF_OK);
    assert_true(found);
    assert_int_equal(e.codes[0], SHEAF_E_FIELD_MISSING);
    assert_int_equal(e.commit_us, 77);
    assert_int_equal(e.position, 4);
    assert_true(sf_slice_equal(e.raw, SF_LITERAL("c,d")));
    assert_true(sf_slice_equal(e.context, SF_LITERAL("id,n")));
    assert_int_equal(store_quarantine_get(snapshot, lane, 3, &bytes, &e, &found, NULL), SF_OK);
    assert_false(found);
    store_snapshot_free(SF_TAKE(snapshot));
    store_world_done(&w);
}

static void one_write_at_a_time_resolves_entries_of_a_lane(void **state)
{
    static const struct store_resolve second = {.qseq = 2};
    struct store_world w;
    struct store_lane *lane;
    struct world_write ww[2];
    struct sf_error err;

    (void)state;
    store_world_init(&w, 3);
    lane = open_lane(&w);
    put_rejects(&w, lane);
    for (int i = 0; i < 2; i++) {
        world_write_init(&ww[i], lane);
        ww[i].lane.resolves = &second;
        ww[i].lane.resolve_count = 1;
    }
    assert_int_equal(world_write_submit(&ww[0], w.store, &err), SF_OK);
    assert_int_equal(world_write_submit(&ww[1], w.store, &err), SF_BUSY);
    assert_int_equal(err.number, SHEAF_E_BUSY);
    rt_sim_run(&w.sim);
    assert_true(ww[0].done);
    assert_int_equal(ww[0].error.code, SF_OK);
    assert_int_equal(world_write_run(&ww[1], &w), SF_CONFLICT);
    store_world_done(&w);
}

static void what_is_queued_counts_as_held(void **state)
{
    struct store_world w;
    struct store_lane *lane;
    struct world_write ww;
    struct sf_error err;

    (void)state;
    store_world_init(&w, 3);
    lane = open_lane(&w);
    world_write_init(&ww, lane);
    ww.lane.rejects = &of_csv;
    ww.lane.reject_count = 1;
    assert_int_equal(world_write_submit(&ww, w.store, &err), SF_OK);
    assert_held(lane, 1, 3 + 4);
    rt_sim_run(&w.sim);
    assert_held(lane, 1, CSV_BYTES);
    store_world_done(&w);
}

/* Also for a store that did not count: it counts when it opens. */
static void the_count_survives_a_power_cut(void **state)
{
    static const struct store_resolve first = {.qseq = 1};
    struct store_world w;
    struct store_lane *lane;
    struct world_write ww;
    char text[256];

    (void)state;
    for (int forget = 0; forget < 2; forget++) {
        struct keyspace_key key = keyspace_meta_held(1);

        store_world_init(&w, 3);
        lane = open_lane(&w);
        put_rejects(&w, lane);
        assert_int_equal(resolve(&w, lane, &first, 1, "k", &ww), SF_OK);
        w.disk.killed = true;
        store_world_close(&w);
        fake_disk_crash(&w.disk, w.disk.durable, 0);
        w.disk.killed = false;
        if (forget) {
            fake_disk_forget(&w.disk, KV_META, keyspace_view(&key));
        }
        store_world_open(&w);
        lane = open_lane(&w);
        assert_held(lane, 1, CSV_BYTES);
        assert_string_equal(entries(&w, lane, text), "2:2:204:id,n");
        assert_string_equal(store_world_rows(&w, lane, text, sizeof(text)), "k=row@1");
        store_world_done(&w);
    }
}

static void damaged_entries_are_told(void **state)
{
    static const uint8_t head[22] = {[20] = 0x81};
    uint8_t value[22 + 2 + 5 + 1] = {[20] = 0x81, [24] = 2, [28] = 1, [29] = 'h'};
    struct store_quarantined e;
    struct sf_error err;

    (void)state;
    assert_int_equal(keyspace_reject_decode(sf_slice_of(value, sizeof(value)), &e, &err), SF_OK);
    assert_true(sf_slice_equal(e.context, SF_LITERAL("h")));
    assert_int_equal(e.raw.size, 0);
    value[28] = 2; /* beyond the end */
    assert_int_equal(keyspace_reject_decode(sf_slice_of(value, sizeof(value)), &e, &err),
                     SF_CORRUPT);
    assert_int_equal(keyspace_reject_decode(sf_slice_of(value, 26), &e, &err), SF_CORRUPT);
    assert_int_equal(keyspace_reject_decode(sf_slice_of(head, sizeof(head)), &e, &err), SF_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_leaves_in_the_transaction_of_its_row),
        cmocka_unit_test(an_entry_that_is_gone_refuses_the_write),
        cmocka_unit_test(an_entry_that_stays_keeps_its_number_and_time),
        cmocka_unit_test(one_write_at_a_time_resolves_entries_of_a_lane),
        cmocka_unit_test(what_is_queued_counts_as_held),
        cmocka_unit_test(the_count_survives_a_power_cut),
        cmocka_unit_test(damaged_entries_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
