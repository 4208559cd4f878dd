#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "leaf/store/check.h"
#include "proto/errors.h"
#include "tests/lib/store_world.h"

static char text[2048];

struct bounds {
    const char *from;
    const char *to;
    const char *prefix;
    bool reverse;
};

static struct sf_slice slice_or_none(const char *s)
{
    return sf_slice_text(s == NULL ? "" : s);
}

/* Keys that a scan gives, without blanks between them when they are one letter. */
static const char *scan(struct store_world *w, struct store_lane *lane, struct bounds b)
{
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    SF_CLEANUP(store_scan_freep) struct store_scan *scan = NULL;
    struct store_range range = {slice_or_none(b.from), slice_or_none(b.to), slice_or_none(b.prefix),
                                b.reverse, true};
    struct store_row row;
    bool more = true;
    size_t used = 0;

    text[0] = '\0';
    assert_int_equal(store_snapshot_new(w->store, &snapshot, NULL), SF_OK);
    assert_int_equal(store_scan_new(snapshot, lane, &range, &scan, NULL), SF_OK);
    for (;;) {
        assert_int_equal(store_scan_next(scan, &row, &more, NULL), SF_OK);
        if (!more) {
            break;
        }
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%.*s ", SF_SLICE_ARG(row.key));
    }
    assert_int_equal(store_scan_next(scan, &row, &more, NULL), SF_OK); /* It stays at its end. */
    assert_false(more);
    return text;
}

static void test_scans_keep_their_bounds(void **state)
{
    static const char *const keys[] = {"a", "b", "ba", "bb", "c\xff", "c\xff\xff", "d", "\xff"};
    struct store_world w;
    struct store_lane *lane;

    (void)state;
    store_world_init(&w, 1);
    assert_int_equal(store_world_put(&w, store_world_lane(&w, "before", STORE_STATE), "x", "1"),
                     SF_OK);
    lane = store_world_lane(&w, "orders", STORE_STATE);
    for (size_t i = 0; i < SF_COUNT(keys); i++) {
        assert_int_equal(store_world_put(&w, lane, keys[i], "1"), SF_OK);
    }
    assert_int_equal(store_world_put(&w, store_world_lane(&w, "after", STORE_STATE), "a", "1"),
                     SF_OK);
    assert_int_equal(store_world_put(&w, lane, "bb", NULL), SF_OK); /* Tombstones are not shown. */
    assert_string_equal(scan(&w, lane, (struct bounds){0}), "a b ba c\xff c\xff\xff d \xff ");
    assert_string_equal(scan(&w, lane, (struct bounds){.reverse = true}),
                        "\xff d c\xff\xff c\xff ba b a ");
    assert_string_equal(scan(&w, lane, (struct bounds){.from = "b", .to = "d"}),
                        "b ba c\xff c\xff\xff ");
    assert_string_equal(scan(&w, lane, (struct bounds){.from = "b", .to = "d", .reverse = true}),
                        "c\xff\xff c\xff ba b ");
    assert_string_equal(scan(&w, lane, (struct bounds){.prefix = "b"}), "b ba ");
    assert_string_equal(scan(&w, lane, (struct bounds){.prefix = "c\xff"}), "c\xff c\xff\xff ");
    assert_string_equal(scan(&w, lane, (struct bounds){.prefix = "\xff"}), "\xff ");
    assert_string_equal(scan(&w, lane, (struct bounds){.prefix = "\xff", .to = "\xff\x01"}),
                        "\xff ");
    assert_string_equal(scan(&w, lane, (struct bounds){.prefix = "b", .from = "ba"}), "ba ");
    assert_string_equal(scan(&w, lane, (struct bounds){.prefix = "b", .to = "ba"}), "b ");
    assert_string_equal(scan(&w, lane, (struct bounds){.from = "x", .to = "b"}), "");
    assert_string_equal(scan(&w, lane, (struct bounds){.prefix = "b", .from = "c"}), "");
    store_world_done(&w);
}

static struct sf_slice seq_key(uint64_t seq, uint8_t bytes[8])
{
    for (int i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(seq >> (56 - 8 * i));
    }
    return sf_slice_of(bytes, 8);
}

/* Seqs of events from @from (inclusive) to @to (exclusive); 0 does not bound. */
static const char *events(struct store_world *w, struct store_lane *lane, uint64_t from,
                          uint64_t to, bool reverse)
{
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    SF_CLEANUP(store_scan_freep) struct store_scan *scan = NULL;
    struct store_range range = {.reverse = reverse};
    struct store_row row;
    uint8_t bytes[2][8];
    bool more = true;
    size_t used = 0;

    range.from = from == 0 ? range.from : seq_key(from, bytes[0]);
    range.to = to == 0 ? range.to : seq_key(to, bytes[1]);
    text[0] = '\0';
    assert_int_equal(store_snapshot_new(w->store, &snapshot, NULL), SF_OK);
    assert_int_equal(store_scan_new(snapshot, lane, &range, &scan, NULL), SF_OK);
    for (;;) {
        assert_int_equal(store_scan_next(scan, &row, &more, NULL), SF_OK);
        if (!more) {
            return text;
        }
        assert_int_equal(sf_read_be64(row.key.data), row.seq);
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%llu=%.*s ",
                                 (unsigned long long)row.seq, SF_SLICE_ARG(row.row));
    }
}

static void test_events_are_scanned_by_seq_in_both_directions(void **state)
{
    struct store_world w;
    struct store_lane *lane;
    struct world_write ww;
    char row[16];
    int n = 0;

    (void)state;
    store_world_init(&w, 2);
    lane = store_world_lane(&w, "clicks", STORE_EVENT);
    assert_string_equal(events(&w, lane, 0, 0, false), "");
    for (int frame = 0; frame < 3; frame++) { /* Frames of 1, 2 and 3 events. */
        world_write_init(&ww, lane);
        for (int i = 0; i <= frame; i++) {
            (void)snprintf(row, sizeof(row), "e%d", ++n);
            (void)world_write_add(&ww, "", row);
        }
        assert_int_equal(world_write_run(&ww, &w), SF_OK);
    }
    assert_string_equal(events(&w, lane, 0, 0, false), "1=e1 2=e2 3=e3 4=e4 5=e5 6=e6 ");
    assert_string_equal(events(&w, lane, 0, 0, true), "6=e6 5=e5 4=e4 3=e3 2=e2 1=e1 ");
    assert_string_equal(events(&w, lane, 3, 6, false), "3=e3 4=e4 5=e5 ");
    assert_string_equal(events(&w, lane, 3, 6, true), "5=e5 4=e4 3=e3 ");
    assert_string_equal(events(&w, lane, 5, 5, false), "");
    assert_string_equal(events(&w, lane, 7, 0, false), "");
    assert_string_equal(events(&w, lane, 6, 100, true), "6=e6 ");
    store_world_done(&w);
}

static void test_an_event_is_got_by_its_seq(void **state)
{
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    struct store_world w;
    struct store_lane *lane;
    struct sf_buf bytes = {0};
    struct store_row row;
    uint8_t key[8];
    bool found = false;

    (void)state;
    store_world_init(&w, 3);
    lane = store_world_lane(&w, "clicks", STORE_EVENT);
    assert_int_equal(store_world_put(&w, lane, "", "one"), SF_OK);
    assert_int_equal(store_world_put(&w, lane, "", "two"), SF_OK);
    assert_int_equal(store_snapshot_new(w.store, &snapshot, NULL), SF_OK);
    assert_int_equal(store_get(snapshot, lane, seq_key(2, key), &bytes, &row, &found, NULL), SF_OK);
    assert_true(found);
    assert_true(sf_slice_equal(row.row, SF_LITERAL("two")));
    assert_int_equal(row.seq, 2);
    assert_int_equal(row.contract_id, 1);
    assert_int_equal(store_get(snapshot, lane, seq_key(3, key), &bytes, &row, &found, NULL), SF_OK);
    assert_false(found);
    assert_int_equal(store_get(snapshot, lane, seq_key(0, key), &bytes, &row, &found, NULL), SF_OK);
    assert_false(found);
    assert_int_equal(store_get(snapshot, lane, SF_LITERAL("short"), &bytes, &row, &found, NULL),
                     SF_OK);
    assert_false(found);
    sf_buf_done(&bytes);
    store_snapshot_free(SF_TAKE(snapshot));
    store_world_done(&w);
}

static void test_a_row_is_got_by_its_key(void **state)
{
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    struct store_world w;
    struct store_lane *lane;
    struct sf_buf bytes = {0};
    struct store_row row;
    bool found = false;

    (void)state;
    store_world_init(&w, 4);
    lane = store_world_lane(&w, "orders", STORE_STATE);
    assert_int_equal(store_world_put(&w, lane, "k", "row"), SF_OK);
    assert_int_equal(store_world_put(&w, lane, "gone", "row"), SF_OK);
    assert_int_equal(store_world_put(&w, lane, "gone", NULL), SF_OK);
    assert_int_equal(store_snapshot_new(w.store, &snapshot, NULL), SF_OK);
    assert_int_equal(store_world_put(&w, lane, "k", "later"), SF_OK);
    assert_int_equal(store_get(snapshot, lane, SF_LITERAL("k"), &bytes, &row, &found, NULL), SF_OK);
    assert_true(found);
    assert_true(sf_slice_equal(row.row, SF_LITERAL("row")));
    assert_int_equal(row.seq, 1);
    assert_int_equal(store_get(snapshot, lane, SF_LITERAL("gone"), &bytes, &row, &found, NULL),
                     SF_OK);
    assert_false(found);
    assert_int_equal(row.seq, 3);
    assert_int_equal(store_get(snapshot, lane, SF_LITERAL("never"), &bytes, &row, &found, NULL),
                     SF_OK);
    assert_false(found);
    assert_int_equal(row.seq, 0);
    assert_int_equal(store_get(snapshot, lane, SF_LITERAL(""), &bytes, &row, &found, NULL), SF_OK);
    assert_false(found);
    sf_buf_done(&bytes);
    store_snapshot_free(SF_TAKE(snapshot));
    store_world_done(&w);
}

static void test_versions_are_followed_through_prev_seq(void **state)
{
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    struct store_world w;
    struct store_lane *lane;
    struct sf_buf bytes = {0};
    struct store_log_entry e = {.prev_seq = 5};
    struct sf_error err = {0};
    size_t used = 0;

    (void)state;
    store_world_init(&w, 5);
    lane = store_world_lane(&w, "orders", STORE_STATE);
    assert_int_equal(store_world_put(&w, lane, "k", "v1"), SF_OK);
    assert_int_equal(store_world_put(&w, lane, "other", "x"), SF_OK);
    assert_int_equal(store_world_put(&w, lane, "k", "v3"), SF_OK);
    assert_int_equal(store_world_put(&w, lane, "k", NULL), SF_OK);
    assert_int_equal(store_world_put(&w, lane, "k", "v5"), SF_OK);
    assert_int_equal(store_snapshot_new(w.store, &snapshot, NULL), SF_OK);
    while (e.prev_seq != 0) {
        assert_int_equal(
            store_read_version(snapshot, lane, SF_LITERAL("k"), e.prev_seq, &bytes, &e, &err),
            SF_OK);
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%llu%c%.*s ",
                                 (unsigned long long)e.seq, e.op == STORE_UPSERT ? '+' : '-',
                                 SF_SLICE_ARG(e.row));
    }
    assert_string_equal(text, "5+v5 4- 3+v3 1+v1 ");
    assert_int_equal(e.commit, 1);
    assert_int_equal(store_read_version(snapshot, lane, SF_LITERAL("k"), 2, &bytes, &e, &err),
                     SF_CORRUPT);
    assert_string_equal(err.text, "sales/orders@1.orders, seq 2: belongs to another key");
    assert_int_equal(store_read_version(snapshot, lane, SF_LITERAL("k"), 0, &bytes, &e, &err),
                     SF_INVALID);
    store_snapshot_free(SF_TAKE(snapshot));
    store_world_trim(&w, lane);
    assert_int_equal(store_snapshot_new(w.store, &snapshot, NULL), SF_OK);
    assert_int_equal(store_read_version(snapshot, lane, SF_LITERAL("k"), 3, &bytes, &e, &err),
                     SF_CONFLICT);
    assert_int_equal(err.number, SHEAF_E_POSITION_GONE);
    sf_buf_done(&bytes);
    store_snapshot_free(SF_TAKE(snapshot));
    store_world_done(&w);
}

static void test_the_log_is_taken_up_at_any_seq(void **state)
{
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    SF_CLEANUP(store_log_freep) struct store_log *log = NULL;
    struct store_world w;
    struct store_lane *lane;
    struct world_write ww;
    struct sf_error err = {0};

    (void)state;
    store_world_init(&w, 6);
    lane = store_world_lane(&w, "orders", STORE_STATE);
    for (int i = 0; i < 2; i++) {
        world_write_init(&ww, lane);
        (void)world_write_add(&ww, "a", "1");
        (void)world_write_add(&ww, "b", "2");
        assert_int_equal(world_write_run(&ww, &w), SF_OK);
    }
    assert_string_equal(store_world_log(&w, lane, 1, text, sizeof(text)),
                        "2+b=2<0 3+a=1<1 4+b=2<2");
    assert_string_equal(store_world_log(&w, lane, 2, text, sizeof(text)), "3+a=1<1 4+b=2<2");
    assert_string_equal(store_world_log(&w, lane, 4, text, sizeof(text)), "");
    assert_int_equal(store_snapshot_new(w.store, &snapshot, NULL), SF_OK);
    assert_int_equal(store_log_new(snapshot, lane, 5, true, &log, &err), SF_INVALID);
    assert_string_equal(err.text, "seq 5 is beyond the head, 4");
    store_snapshot_free(SF_TAKE(snapshot));
    store_world_done(&w);
}

static void test_a_rebuilt_state_is_the_one_that_was(void **state)
{
    struct store_check_result r;
    struct store_world w;
    struct store_lane *lane;
    char before[256];

    (void)state;
    store_world_init(&w, 7);
    lane = store_world_lane(&w, "orders", STORE_STATE);
    assert_int_equal(store_world_put(&w, lane, "a", "1"), SF_OK);
    assert_int_equal(store_world_put(&w, lane, "b", "2"), SF_OK);
    assert_int_equal(store_world_put(&w, lane, "b", NULL), SF_OK);
    assert_int_equal(store_world_put(&w, lane, "c", "3"), SF_OK);
    (void)store_world_rows(&w, lane, before, sizeof(before));
    assert_int_equal(store_rebuild_state(w.store, NULL), SF_OK);
    assert_string_equal(store_world_rows(&w, lane, text, sizeof(text)), before);
    assert_int_equal(store_check(w.store, &r, NULL), SF_OK);
    w.disk.fail_write_in = 2; /* Cut off behind the removal: the next open finishes it. */
    assert_int_equal(store_rebuild_state(w.store, NULL), SF_IO);
    store_world_close(&w);
    store_world_open(&w);
    lane = store_world_lane(&w, "orders", STORE_STATE);
    assert_string_equal(store_world_rows(&w, lane, text, sizeof(text)), before);
    assert_int_equal(store_check(w.store, &r, NULL), SF_OK);
    store_world_done(&w);
}

static void test_a_row_is_got_at_once_when_memory_holds_it(void **state)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf bytes = {0};
    struct store_world w;
    struct store_lane *lane;
    struct store_row row;
    struct sf_error err;
    size_t size = 0;
    bool found = true;

    (void)state;
    store_world_init(&w, 1);
    lane = store_world_lane(&w, "orders", STORE_STATE);
    assert_int_equal(store_world_put(&w, lane, "a", "first"), SF_OK);
    assert_int_equal(store_world_put(&w, lane, "b", "second"), SF_OK);
    assert_int_equal(store_world_put(&w, lane, "b", NULL), SF_OK);
#define GET(key) store_get_now(w.store, lane, SF_LITERAL(key), &bytes, &row, &found, &err)
    assert_int_equal(GET("a"), SF_OK);
    assert_true(found && sf_slice_equal(row.row, SF_LITERAL("first")));
    assert_int_equal(row.seq, 1);
    assert_int_equal(GET("b"), SF_OK);
    assert_false(found);
    assert_int_equal(row.seq, 3);
    assert_int_equal(GET("c"), SF_OK);
    assert_false(found);
    assert_int_equal(row.seq, 0);
    assert_int_equal(GET(""), SF_OK);
    assert_false(found);
    w.disk.cold = true;
    assert_int_equal(GET("a"), SF_BUSY);
    w.disk.cold = false;
    /* As it is while the commit that wrote it is still in flight. */
    fake_disk_value(&w.disk, KV_STATE, SF_LITERAL("\0\0\0\1a"), &size)[7] = 4;
    assert_int_equal(GET("a"), SF_BUSY);
#undef GET
    store_world_close(&w);
    store_world_done(&w);
}

static void test_a_stamp_holds_until_its_row_changes(void **state)
{
    static const char *const others[] = {"b", "c", "d", "e", "f", "g", "h", "i"};
    struct store_stamp of_others[SF_COUNT(others)];
    struct store_world w;
    struct store_lane *lane;
    struct store_lane *other_lane;
    struct store_stamp a;
    struct world_write change;
    size_t holding = 0;

    (void)state;
    store_world_init(&w, 1);
    lane = store_world_lane(&w, "orders", STORE_STATE);
    other_lane = store_world_lane(&w, "returns", STORE_STATE);
    assert_int_equal(store_world_put(&w, lane, "a", "1"), SF_OK);
#define TAKE(key) store_stamp_take(w.store, lane, SF_LITERAL(key))
    a = TAKE("a");
    assert_true(store_stamp_holds(w.store, &a));
    assert_int_equal(store_world_put(&w, lane, "a", "2"), SF_OK);
    assert_false(store_stamp_holds(w.store, &a));
    a = TAKE("a");
    assert_true(store_stamp_holds(w.store, &a));
    assert_int_equal(store_world_put(&w, lane, "a", NULL), SF_OK);
    assert_false(store_stamp_holds(w.store, &a));

    /* Taken while the commit is on its way: the row that is read may be the old one. */
    world_write_init(&change, lane);
    (void)world_write_add(&change, "a", "3");
    assert_int_equal(world_write_submit(&change, w.store, NULL), SF_OK);
    a = TAKE("a");
    rt_sim_run(&w.sim);
    assert_true(change.done);
    assert_false(store_stamp_holds(w.store, &a));

    /* Other keys, and this one in another table; two may have a place together, not all. */
    a = TAKE("a");
    for (size_t i = 0; i < SF_COUNT(others); i++) {
        of_others[i] = store_stamp_take(w.store, lane, sf_slice_text(others[i]));
    }
    assert_int_equal(store_world_put(&w, lane, "a", "4"), SF_OK);
    assert_int_equal(store_world_put(&w, other_lane, "b", "4"), SF_OK);
    assert_false(store_stamp_holds(w.store, &a));
    for (size_t i = 0; i < SF_COUNT(others); i++) {
        holding += store_stamp_holds(w.store, &of_others[i]);
    }
    assert_true(holding >= SF_COUNT(others) - 2);
#undef TAKE
    store_world_close(&w);
    store_world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scans_keep_their_bounds),
        cmocka_unit_test(test_events_are_scanned_by_seq_in_both_directions),
        cmocka_unit_test(test_an_event_is_got_by_its_seq),
        cmocka_unit_test(test_a_row_is_got_by_its_key),
        cmocka_unit_test(test_a_row_is_got_at_once_when_memory_holds_it),
        cmocka_unit_test(test_a_stamp_holds_until_its_row_changes),
        cmocka_unit_test(test_versions_are_followed_through_prev_seq),
        cmocka_unit_test(test_the_log_is_taken_up_at_any_seq),
        cmocka_unit_test(test_a_rebuilt_state_is_the_one_that_was),
    };

    return cmocka_run_group_tests_name("read", tests, NULL, NULL);
}
