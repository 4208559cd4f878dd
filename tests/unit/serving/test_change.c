#include "tests/lib/cmocka.h"

#include "common/base/time.h"
#include "leaf/serving/change.h"
#include "tests/lib/leaf_world.h"

/* 2026-01-01 is where rt_sim starts; commit times are taken as they are. */
#define TS "\"ts\":\"2026-02-03T04:05:06.000007Z\""

static int64_t some_time(void)
{
    int64_t us = 0;

    assert_int_equal(sf_time_parse(SF_LITERAL("2026-02-03T04:05:06.000007Z"), &us), SF_PARSE_OK);
    return us;
}

struct fixture {
    struct leaf_world w;
    struct store_snapshot *snapshot;
    struct store_log *log;
    struct sf_buf out;
};

static void render(struct fixture *f, const struct served_table *table, const struct grant *grant,
                   const char *wanted)
{
    SF_CLEANUP(served_view_unrefp) struct served_view *view = NULL;
    struct change_reader reader;
    struct store_log_entry entry;
    bool more = true;
    bool shown;

    assert_int_equal(serving_view(&f->w.serving, table, grant, NULL, &view, NULL), SF_OK);
    assert_int_equal(store_snapshot_new(f->w.stores.store, &f->snapshot, NULL), SF_OK);
    reader =
        (struct change_reader){.view = view, .columns = view->columns, .snapshot = f->snapshot};
    assert_int_equal(store_log_new(f->snapshot, table->lane, 0, true, &f->log, NULL), SF_OK);
    sf_buf_clear(&f->out);
    for (;;) {
        assert_int_equal(store_log_next(f->log, &entry, &more, NULL), SF_OK);
        if (!more) {
            break;
        }
        entry.commit_us = some_time();
        assert_int_equal(change_render_json(&reader, &entry, &f->out, &shown, NULL), SF_OK);
        assert_true(shown);
    }
    change_reader_done(&reader);
    store_log_free(SF_TAKE(f->log));
    store_snapshot_free(SF_TAKE(f->snapshot));
    assert_string_equal(sf_buf_cstr(&f->out), wanted);
}

static void setup(struct fixture *f)
{
    *f = (struct fixture){0};
    leaf_world_init(&f->w, 1);
    (void)leaf_world_add(&f->w, world_orders);
    leaf_world_write(
        &f->w, leaf_world_table(&f->w, "orders"),
        "{\"op\":\"upsert\",\"row\":{\"order_id\":\"O-1\",\"amount\":12.5,\"email\":\"a@b.no\","
        "\"token\":\"x\"}}\n"
        "{\"op\":\"delete\",\"row\":{\"order_id\":\"O-1\"}}\n"
        "{\"op\":\"upsert\",\"row\":{\"order_id\":\"O\\\"2\\n\",\"note\":\"\"}}\n");
    leaf_world_write(&f->w, leaf_world_table(&f->w, "clicks"),
                     "{\"op\":\"upsert\",\"row\":{\"page\":\"/\",\"n\":-3,\"ip\":\"10.0.0.1\"}}\n"
                     "{\"op\":\"upsert\",\"row\":{}}\n");
}

static void teardown(struct fixture *f)
{
    sf_buf_done(&f->out);
    leaf_world_done(&f->w);
}

static void the_owner_gets_whole_lines(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    render(&f, leaf_world_table(&f.w, "orders"), NULL,
           "{\"seq\":1,\"op\":\"upsert\"," TS ",\"key\":{\"order_id\":\"O-1\"},\"row\":{"
           "\"order_id\":\"O-1\",\"amount\":\"12.50\",\"note\":null,\"email\":\"a@b.no\","
           "\"token\":\"x\"}}\n"
           "{\"seq\":2,\"op\":\"delete\"," TS ",\"key\":{\"order_id\":\"O-1\"}}\n"
           "{\"seq\":3,\"op\":\"upsert\"," TS ",\"key\":{\"order_id\":\"O\\\"2\\n\"},\"row\":{"
           "\"order_id\":\"O\\\"2\\n\",\"amount\":null,\"note\":\"\",\"email\":null,"
           "\"token\":null}}\n");
    teardown(&f);
}

static void others_get_the_fields_of_their_view(void **state)
{
    static const char *const names[] = {"amount", "email"};
    const struct grant all = {.id = "G-1"};
    const struct grant amount = {.id = "G-1", .columns = names, .column_count = 2};
    struct fixture f;
    (void)state;

    setup(&f);
    render(&f, leaf_world_table(&f.w, "orders"), &all,
           "{\"seq\":1,\"op\":\"upsert\"," TS ",\"key\":{\"order_id\":\"O-1\"},\"row\":{"
           "\"order_id\":\"O-1\",\"amount\":\"12.50\",\"note\":null}}\n"
           "{\"seq\":2,\"op\":\"delete\"," TS ",\"key\":{\"order_id\":\"O-1\"}}\n"
           "{\"seq\":3,\"op\":\"upsert\"," TS ",\"key\":{\"order_id\":\"O\\\"2\\n\"},\"row\":{"
           "\"order_id\":\"O\\\"2\\n\",\"amount\":null,\"note\":\"\"}}\n");
    /* The key is a field like others: outside the view it is not shown. */
    render(&f, leaf_world_table(&f.w, "orders"), &amount,
           "{\"seq\":1,\"op\":\"upsert\"," TS ",\"key\":{},\"row\":{\"amount\":\"12.50\"}}\n"
           "{\"seq\":2,\"op\":\"delete\"," TS ",\"key\":{}}\n"
           "{\"seq\":3,\"op\":\"upsert\"," TS ",\"key\":{},\"row\":{\"amount\":null}}\n");
    teardown(&f);
}

static void events_have_no_key(void **state)
{
    const struct grant all = {.id = "G-1"};
    struct fixture f;
    (void)state;

    setup(&f);
    render(&f, leaf_world_table(&f.w, "clicks"), NULL,
           "{\"seq\":1,\"op\":\"upsert\"," TS
           ",\"row\":{\"page\":\"/\",\"n\":-3,\"ip\":\"10.0.0.1\"}}\n"
           "{\"seq\":2,\"op\":\"upsert\"," TS ",\"row\":{\"page\":null,\"n\":null,\"ip\":null}}\n");
    render(&f, leaf_world_table(&f.w, "clicks"), &all,
           "{\"seq\":1,\"op\":\"upsert\"," TS ",\"row\":{\"page\":\"/\",\"n\":-3}}\n"
           "{\"seq\":2,\"op\":\"upsert\"," TS ",\"row\":{\"page\":null,\"n\":null}}\n");
    teardown(&f);
}

static void a_damaged_change_adds_nothing(void **state)
{
    SF_CLEANUP(change_reader_done) struct change_reader reader = {0};
    struct store_log_entry bad = {.op = STORE_UPSERT, .seq = 1};
    struct fixture f;
    bool shown;
    (void)state;

    setup(&f);
    reader.view = leaf_world_table(&f.w, "orders")->whole;
    reader.columns = reader.view->columns;
    sf_buf_text(&f.out, "before");
    bad.key = SF_LITERAL("O-1"); /* Without its end. */
    assert_int_equal(change_render_json(&reader, &bad, &f.out, &shown, NULL), SF_CORRUPT);
    bad.key = SF_LITERAL("O-1\0\0");
    bad.row = SF_LITERAL("\xff");
    assert_int_equal(change_render_json(&reader, &bad, &f.out, &shown, NULL), SF_CORRUPT);
    assert_string_equal(sf_buf_cstr(&f.out), "before");
    f.out.size_max = f.out.size + 8;
    bad.row = sf_slice_text(NULL);
    bad.op = STORE_DELETE;
    assert_int_equal(change_render_json(&reader, &bad, &f.out, &shown, NULL), SF_BUSY);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_owner_gets_whole_lines),
        cmocka_unit_test(others_get_the_fields_of_their_view),
        cmocka_unit_test(events_have_no_key),
        cmocka_unit_test(a_damaged_change_adds_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
