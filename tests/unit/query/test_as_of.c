#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "common/base/time.h"
#include "leaf/store/as_of.h"
#include "leaf/store/upkeep.h"
#include "proto/errors.h"
#include "tests/unit/query/page_fixture.h"

#define ASK(op, ...) ask(&f, (op), (struct query_params){__VA_ARGS__})

static void put(struct fixture *f, const char *table, const char *line)
{
    leaf_world_write(&f->w, leaf_world_table(&f->w, table), line);
}

#define UPSERT(key, note)                                                                          \
    "{\"op\":\"upsert\",\"row\":{\"order_id\":\"" key "\",\"note\":\"" note                        \
    "\",\"email\":\"x@y.no\"}}\n"
#define DELETE(key) "{\"op\":\"delete\",\"row\":{\"order_id\":\"" key "\"}}\n"

/* 1: a=1  2: b=1  3: a=2  4: c=1  5: b deleted  6: a=3 */
static void put_history(struct fixture *f)
{
    put(f, "orders", UPSERT("a", "1"));
    put(f, "orders", UPSERT("b", "1"));
    put(f, "orders", UPSERT("a", "2"));
    put(f, "orders", UPSERT("c", "1"));
    put(f, "orders", DELETE("b"));
    put(f, "orders", UPSERT("a", "3"));
}

static void on_step(struct store_upkeep *u, const struct sf_error *err)
{
    assert_null(err);
    *(bool *)u->data = true;
}

/* Trims the lane of @table to where it stands. */
static void trim_all(struct fixture *f, const char *table)
{
    const enum upkeep_kind kinds[] = {UPKEEP_MARK, UPKEEP_ANCHOR, UPKEEP_CLEAR};
    struct store_upkeep u = {.lane = leaf_world_table(&f->w, table)->lane, .done = on_step};

    for (size_t i = 0; i < SF_COUNT(kinds); i++) {
        bool done = false;

        u.kind = kinds[i];
        u.data = &done;
        assert_int_equal(upkeep_submit(f->w.stores.store, &u, NULL), SF_OK);
        rt_sim_run(&f->w.stores.sim);
        assert_true(done);
    }
}

static void a_scan_as_of_a_position_shows_what_was(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    put_history(&f);
    assert_int_equal(ASK(QUERY_SCAN, .as_of = "1:4", .select = "order_id,note", .format = "csv"),
                     SF_OK);
    assert_string_equal(f.text, "order_id,note\na,2\nb,1\nc,1\n");
    assert_int_equal(f.page.last_seq, 4);
    assert_int_equal(f.page.shown_epoch, 1);
    assert_int_equal(f.page.head_seq, 6);
    assert_int_equal(
        ASK(QUERY_SCAN, .as_of = "1:2", .select = "order_id,note", .format = "csv", .from = "b"),
        SF_OK);
    assert_string_equal(f.text, "order_id,note\nb,1\n");
    assert_int_equal(
        ASK(QUERY_SCAN, .as_of = "1:4", .select = "order_id", .format = "csv", .reverse = true),
        SF_OK);
    assert_string_equal(f.text, "order_id\nc\nb\na\n");
    assert_int_equal(ASK(QUERY_SCAN, .as_of = "1:5", .count = true), SF_OK);
    assert_string_equal(f.text, "{\"count\":2}\n");
    assert_int_equal(ASK(QUERY_SCAN, .as_of = "1:0"), SF_OK);
    assert_int_equal(f.page.rows, 0);
    teardown(&f);
}

static void a_get_as_of_a_position_shows_what_was(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    put_history(&f);
    assert_int_equal(ASK(QUERY_GET, .key = "a", .as_of = "1:5", .select = "note"), SF_OK);
    assert_string_equal(f.text, "{\"note\":\"2\"}\n");
    assert_int_equal(ASK(QUERY_GET, .key = "b", .as_of = "1:4", .select = "note"), SF_OK);
    assert_int_equal(ASK(QUERY_GET, .key = "b", .as_of = "1:5"), SF_ABSENT);
    assert_int_equal(ASK(QUERY_GET, .key = "c", .as_of = "1:3"), SF_ABSENT);
    teardown(&f);
}

static void a_time_is_as_good_as_a_position(void **state)
{
    struct fixture f;
    char text[SF_TIME_TEXT_SIZE];
    (void)state;

    setup(&f);
    put(&f, "orders", UPSERT("a", "1"));
    (void)sf_time_format(sf_rt_wall_us(&f.w.stores.sim.rt), text);
    rt_sim_run_for(&f.w.stores.sim, SF_NS_PER_S);
    put(&f, "orders", UPSERT("a", "2"));
    assert_int_equal(ASK(QUERY_GET, .key = "a", .as_of = text, .select = "note"), SF_OK);
    assert_string_equal(f.text, "{\"note\":\"1\"}\n");
    assert_int_equal(f.page.last_seq, 1);
    assert_int_equal(ASK(QUERY_CHANGES, .since = text, .select = "note"), SF_OK);
    assert_int_equal(f.page.first_seq, 2);
    (void)sf_time_format(store_lane_head(leaf_world_table(&f.w, "orders")->lane)->commit_us, text);
    assert_int_equal(ASK(QUERY_CHANGES, .since = text, .select = "note"), SF_OK);
    assert_int_equal(f.page.first_seq, 2); /* committed at that very time */
    assert_int_equal(ASK(QUERY_GET, .key = "a", .as_of = "2000-01-01T00:00:00Z"), SF_ABSENT);
    assert_int_equal(ASK(QUERY_GET, .key = "a", .as_of = "2100-01-01T00:00:00Z", .select = "note"),
                     SF_OK);
    assert_string_equal(f.text, "{\"note\":\"2\"}\n");
    teardown(&f);
}

static void pages_of_a_cursor_show_one_position(void **state)
{
    struct fixture f;
    char cursor[QUERY_CURSOR_MAX];
    (void)state;

    setup(&f);
    put_history(&f);
    assert_int_equal(ASK(QUERY_SCAN, .as_of = "2100-01-01T00:00:00Z", .limit = 1,
                         .select = "order_id,note", .format = "csv"),
                     SF_OK);
    assert_string_equal(f.text, "order_id,note\na,3\n");
    (void)snprintf(cursor, sizeof(cursor), "%s", f.cursor);
    put(&f, "orders", UPSERT("c", "2"));
    put(&f, "orders", UPSERT("d", "1"));
    assert_int_equal(ASK(QUERY_SCAN, .cursor = cursor, .select = "order_id,note", .format = "csv"),
                     SF_OK);
    assert_string_equal(f.text, "order_id,note\nc,1\n");
    assert_int_equal(f.page.last_seq, 6);
    assert_int_equal(ASK(QUERY_SCAN, .cursor = cursor, .as_of = "1:5"), SF_INVALID);
    assert_int_equal(f.err.number, SHEAF_E_BAD_CURSOR);
    teardown(&f);
}

static void rights_are_those_of_today(void **state)
{
    const char *const columns[] = {"order_id", "note"};
    const struct grant narrow = {.id = "", .consumer = "", .columns = columns, .column_count = 2};
    struct fixture f;
    (void)state;

    setup(&f);
    put_history(&f);
    f.grant = &narrow;
    assert_int_equal(ASK(QUERY_SCAN, .as_of = "1:2"), SF_OK);
    assert_string_equal(
        f.text, "{\"order_id\":\"a\",\"note\":\"1\"}\n{\"order_id\":\"b\",\"note\":\"1\"}\n");
    assert_int_equal(ASK(QUERY_SCAN, .as_of = "1:2", .select = "email"), SF_INVALID);
    assert_int_equal(f.err.number, SHEAF_E_FIELD_UNKNOWN);
    teardown(&f);
}

static void what_was_trimmed_is_refused_and_what_is_held_named(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    put_history(&f);
    trim_all(&f, "orders");
    put(&f, "orders", UPSERT("a", "4"));
    assert_int_equal(ASK(QUERY_SCAN, .as_of = "1:5"), SF_CONFLICT);
    assert_int_equal(f.err.number, SHEAF_E_POSITION_GONE);
    assert_non_null(strstr(f.err.text, "the first position held is 1:6, of 2026-01-01T"));
    assert_int_equal(ASK(QUERY_SCAN, .as_of = "2026-01-01T00:00:00Z"), SF_CONFLICT);
    assert_int_equal(f.err.number, SHEAF_E_POSITION_GONE);
    assert_int_equal(ASK(QUERY_SCAN, .as_of = "1:6", .select = "note", .format = "csv"), SF_OK);
    assert_string_equal(f.text, "note\n3\n1\n");
    assert_int_equal(ASK(QUERY_CHANGES, .after = "1:5"), SF_CONFLICT);
    assert_int_equal(f.err.number, SHEAF_E_POSITION_GONE);
    assert_int_equal(ASK(QUERY_CHANGES, .table = "orders"), SF_CONFLICT); /* No gap in silence. */
    assert_int_equal(ASK(QUERY_CHANGES, .after = "1:6"), SF_OK);
    assert_int_equal(f.page.first_seq, 7);
    assert_int_equal(ASK(QUERY_SCAN, .as_of = "1:8"), SF_CONFLICT);
    assert_int_equal(ASK(QUERY_SCAN, .as_of = "2:7"), SF_CONFLICT);
    assert_string_equal(f.err.text, "epoch 2, but seq 7 of the table was written in epoch 1");
    teardown(&f);
}

static void events_are_read_from_the_first_that_is_held(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    put(&f, "clicks", "{\"op\":\"upsert\",\"row\":{\"n\":1}}\n");
    put(&f, "clicks", "{\"op\":\"upsert\",\"row\":{\"n\":2}}\n");
    trim_all(&f, "clicks");
    put(&f, "clicks", "{\"op\":\"upsert\",\"row\":{\"n\":3}}\n");
    put(&f, "clicks", "{\"op\":\"upsert\",\"row\":{\"n\":4}}\n");
    assert_int_equal(ASK(QUERY_SCAN, .table = "clicks", .select = "n", .format = "csv"), SF_OK);
    assert_string_equal(f.text, "n\n3\n4\n");
    assert_int_equal(
        ASK(QUERY_SCAN, .table = "clicks", .select = "n", .format = "csv", .reverse = true), SF_OK);
    assert_string_equal(f.text, "n\n4\n3\n");
    assert_int_equal(ASK(QUERY_SCAN, .table = "clicks", .count = true), SF_OK);
    assert_string_equal(f.text, "{\"count\":2}\n");
    assert_int_equal(ASK(QUERY_CHANGES, .table = "clicks"), SF_OK);
    assert_int_equal(f.page.first_seq, 3);
    assert_int_equal(ASK(QUERY_CHANGES, .table = "clicks", .after = "1:1"), SF_CONFLICT);
    assert_int_equal(ASK(QUERY_GET, .table = "clicks", .key = "2"), SF_ABSENT);
    assert_int_equal(
        ASK(QUERY_SCAN, .table = "clicks", .select = "n", .format = "csv", .as_of = "1:3"), SF_OK);
    assert_string_equal(f.text, "n\n3\n");
    assert_int_equal(ASK(QUERY_GET, .table = "clicks", .key = "4", .as_of = "1:3"), SF_ABSENT);
    teardown(&f);
}

static void what_is_no_point_in_the_past_is_refused(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    put_history(&f);
    assert_int_equal(ASK(QUERY_SCAN, .as_of = "yesterday"), SF_INVALID);
    assert_string_equal(f.err.text, "'as_of' must be a position, EPOCH:SEQ, or a time like "
                                    "2026-11-20T08:00:00Z");
    assert_int_equal(ASK(QUERY_CHANGES, .as_of = "1:1"), SF_INVALID);
    assert_int_equal(ASK(QUERY_SCAN, .since = "2026-01-01T00:00:00Z"), SF_INVALID);
    assert_int_equal(ASK(QUERY_CHANGES, .since = "1:1"), SF_INVALID);
    assert_int_equal(ASK(QUERY_CHANGES, .since = "2026-01-01T00:00:00Z", .after = "1:1"),
                     SF_INVALID);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scan_as_of_a_position_shows_what_was),
        cmocka_unit_test(a_get_as_of_a_position_shows_what_was),
        cmocka_unit_test(a_time_is_as_good_as_a_position),
        cmocka_unit_test(pages_of_a_cursor_show_one_position),
        cmocka_unit_test(rights_are_those_of_today),
        cmocka_unit_test(what_was_trimmed_is_refused_and_what_is_held_named),
        cmocka_unit_test(events_are_read_from_the_first_that_is_held),
        cmocka_unit_test(what_is_no_point_in_the_past_is_refused),
    };

    return cmocka_run_group_tests_name("as_of of requests", tests, NULL, NULL);
}
