#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "leaf/ingest/form.h"
#include "proto/errors.h"
#include "tests/unit/ingest/fixture.h"

/* Several tables of a product in one request. */

struct world {
    struct fixture f;
    const struct served_product *product;
};

static void world_setup(struct world *w)
{
    *w = (struct world){0};
    setup(&w->f);
    w->product = w->f.orders->product;
}

/* The answer as its sender has it, made inside the callback, where the result lives. */
struct told {
    struct request r;
    char text[1024];
};

static void on_told(void *data, const struct ingest_result *result, const struct sf_error *err)
{
    struct told *t = data;
    struct sf_buf out = {0};

    if (err == NULL) {
        ingest_form_answer(result, &out);
    } else {
        ingest_form_refusal(result, err, &out);
    }
    (void)snprintf(t->text, sizeof(t->text), "%.*s", (int)out.size, (const char *)out.data);
    sf_buf_done(&out);
    on_answer(&t->r, result, err);
}

static void tell(struct told *t, struct world *w, const char *body)
{
    t->r.f = &w->f;
    t->r.request.product = w->product;
    sf_buf_text(&t->r.request.body, body);
    t->r.code = ingest_start(w->f.ingest, &t->r.request, on_told, t, &t->r.refused);
    t->r.started = true;
    rt_sim_run(&w->f.w.stores.sim);
}

static uint64_t head(const struct served_table *t)
{
    return store_lane_head(t->lane)->seq;
}

static const char both[] = "{\"table\":\"orders\",\"row\":{\"order_id\":\"1\"}}\n"
                           "{\"table\":\"clicks\",\"op\":\"upsert\",\"row\":{\"page\":\"/a\"}}\n"
                           "{\"table\":\"orders\",\"row\":{\"order_id\":2}}\n"
                           "{\"table\":\"orders\",\"row\":{\"order_id\":\"3\"}}\n";

static void records_of_several_tables_are_one_commit(void **state)
{
    struct told t = {0};
    struct world w;
    (void)state;

    world_setup(&w);
    tell(&t, &w, both);
    assert_string_equal(
        t.text, "{\"epoch\":1,\"commit\":1,\"accepted\":3,\"quarantined\":1,\"tables\":["
                "{\"table\":\"orders\",\"first_seq\":1,\"last_seq\":2,\"accepted\":2,"
                "\"quarantined\":1},{\"table\":\"clicks\",\"first_seq\":1,\"last_seq\":1,"
                "\"accepted\":1,\"quarantined\":0}],\"errors\":[{\"table\":\"orders\",\"line\":3,"
                "\"code\":\"SHEAF-E0204\",\"field\":\"order_id\","
                "\"detail\":\"'order_id' must be a string\"}]}");
    assert_int_equal(store_lane_head(w.f.orders->lane)->commit, 1);
    assert_int_equal(store_lane_head(w.f.clicks->lane)->commit, 1);
    teardown(&w.f);
}

static void one_bad_record_refuses_all_tables(void **state)
{
    struct told t = {.r.request.on_invalid = INGEST_REJECT};
    struct world w;
    (void)state;

    world_setup(&w);
    tell(&t, &w, both);
    assert_int_equal(t.r.error.number, SHEAF_E_RECORD_INVALID);
    assert_string_equal(t.r.error.text, "1 of 4 records violate the contract");
    assert_non_null(strstr(t.text, "\"invalid\":1,\"errors\":[{\"table\":\"orders\",\"line\":3,"));
    assert_int_equal(head(w.f.orders), 0);
    assert_int_equal(head(w.f.clicks), 0);
    assert_int_equal(store_lane_head(w.f.orders->lane)->quarantined, 0);
    teardown(&w.f);
}

static void a_record_without_a_known_table_refuses_the_request(void **state)
{
    static const struct {
        const char *body;
        unsigned number;
        const char *text;
    } bad[] = {
        {"{\"table\":\"clicks\",\"row\":{}}\n{\"row\":{}}\n", SHEAF_E_BAD_ENVELOPE,
         "record 2 names no table"},
        {"{\"table\":\"lines\",\"row\":{}}\n", SHEAF_E_TABLE_UNKNOWN,
         "record 1 is of a table that the product does not have"},
        {"\n{\"table\":\n", SHEAF_E_BAD_FRAMING, "record 2 is not JSON"},
    };
    struct world w;
    (void)state;

    world_setup(&w);
    for (size_t i = 0; i < SF_COUNT(bad); i++) {
        struct told t = {0};

        tell(&t, &w, bad[i].body);
        assert_false(t.r.ok);
        assert_int_equal(t.r.error.number, bad[i].number);
        assert_string_equal(t.r.error.text, bad[i].text);
    }
    assert_int_equal(head(w.f.clicks), 0);
    teardown(&w.f);
}

static void expectations_hold_for_all_tables_or_nothing_is_stored(void **state)
{
    static const char patch[] =
        "{\"table\":\"clicks\",\"row\":{\"page\":\"/b\"}}\n"
        "{\"table\":\"orders\",\"op\":\"patch\",\"row\":{\"order_id\":\"1\",\"note\":\"n\"},"
        "\"expected_seq\":2}\n";
    struct told first = {.r.request.expect_tables = "orders:0,clicks:0"};
    struct told late = {.r.request.expect_tables = "clicks:0"};
    struct told row = {0};
    struct told unread = {0};
    struct told bad = {.r.request.expect_tables = "orders:1,lines:0"};
    /* The number that stands for any within. */
    struct told any = {.r.request.expect_tables = "orders:18446744073709551615"};
    struct world w;
    (void)state;

    world_setup(&w);
    tell(&first, &w, both);
    assert_true(first.r.ok);
    tell(&late, &w, "{\"table\":\"orders\",\"row\":{\"order_id\":\"9\"}}\n");
    assert_int_equal(late.r.error.number, SHEAF_E_NOT_EXPECTED);
    assert_string_equal(late.r.error.text, "table 'clicks' is at 1:1");
    tell(&row, &w, patch);
    assert_int_equal(row.r.error.number, SHEAF_E_NOT_EXPECTED);
    assert_string_equal(row.r.error.text, "the row of record 2 is at seq 1, not at 2");
    tell(&unread, &w,
         "{\"table\":\"orders\",\"op\":\"delete\",\"row\":{\"order_id\":\"1\"},"
         "\"expected_seq\":2}\n{\"table\":\"clicks\",\"row\":{\"page\":\"/c\"}}\n");
    assert_string_equal(unread.r.error.text, "the row of record 1 is at seq 1, not at 2");
    tell(&bad, &w, both);
    assert_int_equal(bad.r.code, SF_INVALID);
    assert_string_equal(bad.r.refused.text,
                        "'expected_seq' must be TABLE:SEQ,... with tables of the product");
    tell(&any, &w, both);
    assert_int_equal(any.r.code, SF_INVALID);
    assert_string_equal(any.r.refused.text, bad.r.refused.text);
    assert_int_equal(head(w.f.orders), 2);
    assert_int_equal(head(w.f.clicks), 1);
    teardown(&w.f);
}

static void a_repeated_key_gets_the_answer_of_all_tables(void **state)
{
    struct told t[3] = {0};
    struct world w;
    (void)state;

    world_setup(&w);
    for (size_t i = 0; i < SF_COUNT(t); i++) {
        t[i].r.request.idempotency_key = i < 2 ? "K-1" : "K-2";
        t[i].r.request.caller = "ana";
    }
    tell(&t[0], &w, both);
    tell(&t[1], &w, both);
    assert_true(t[1].r.result.replayed);
    assert_string_equal(t[0].text, t[1].text);
    tell(&t[2], &w, ""); /* An empty one has an answer too. */
    assert_string_equal(t[2].text, "{\"epoch\":1,\"commit\":0,\"accepted\":0,\"quarantined\":0,"
                                   "\"tables\":[],\"errors\":[]}");
    t[1] = (struct told){.r.request.idempotency_key = "K-2", .r.request.caller = "ana"};
    tell(&t[1], &w, "");
    assert_true(t[1].r.result.replayed);
    assert_string_equal(t[2].text, t[1].text);
    assert_int_equal(head(w.f.orders), 2);
    teardown(&w.f);
}

static void patches_of_several_tables_see_what_came_before(void **state)
{
    struct told t = {0};
    struct world w;
    (void)state;

    world_setup(&w);
    tell(&t, &w,
         "{\"table\":\"orders\",\"row\":{\"order_id\":\"1\",\"note\":\"a\"}}\n"
         "{\"table\":\"clicks\",\"row\":{\"page\":\"/a\"}}\n"
         "{\"table\":\"orders\",\"op\":\"patch\",\"row\":{\"order_id\":\"1\"}}\n"
         "{\"table\":\"clicks\",\"op\":\"delete\",\"row\":{\"page\":\"/a\"}}\n");
    assert_int_equal(t.r.result.accepted, 3);
    assert_int_equal(t.r.result.quarantined, 1); /* an event is not deleted */
    assert_int_equal(head(w.f.orders), 2);
    teardown(&w.f);
}

/* Many messages in one transaction. */

static void messages_are_one_commit_with_their_positions_and_small_values(void **state)
{
    const struct sf_error poison = {.code = SF_INVALID, .number = SHEAF_E_BAD_FRAMING};
    const struct ingest_message messages[] = {
        {.body = SF_LITERAL("{\"page\":\"/a\"}\n{\"page\":\"/b\"}"), .position = 7},
        {.body = SF_LITERAL("page\n/c\n"), .format = BATCH_CSV, .position = 9},
        {.body = SF_LITERAL("{\"page\":1}"), .position = 10},
        {.body = SF_LITERAL("\"\n"), .position = 12, .refusal = &poison},
    };
    const struct store_put put = {
        .space = STORE_META, .key = SF_LITERAL("cursor"), .value = SF_LITERAL("12")};
    struct request r = {.request = {.messages = messages,
                                    .message_count = SF_COUNT(messages),
                                    .puts = &put,
                                    .put_count = 1}};
    struct sf_buf value = {0};
    struct store_snapshot *snapshot;
    bool found = false;
    struct fixture f;
    (void)state;

    setup(&f);
    run(&r, &f, f.clicks, "");
    assert_true(r.ok);
    assert_result(&r, 1, 3, 3, 2);
    assert_int_equal(r.errors[0].line, 10);
    assert_int_equal(r.errors[1].line, 12);
    assert_int_equal(r.errors[1].violation.number, SHEAF_E_BAD_FRAMING);
    assert_int_equal(store_snapshot_new(f.w.stores.store, &snapshot, NULL), SF_OK);
    assert_int_equal(
        store_small_get(snapshot, STORE_META, SF_LITERAL("cursor"), &value, NULL, &found, NULL),
        SF_OK);
    assert_true(found);
    assert_int_equal(value.size, 2);
    store_snapshot_free(snapshot);
    sf_buf_done(&value);
    teardown(&f);
}

static void lines_count_from_where_the_body_stands_in_its_text(void **state)
{
    struct request r[2] = {{.request.first_line = 40}, {.request.first_line = 40}};
    struct fixture f;
    (void)state;

    setup(&f);
    run(&r[0], &f, f.clicks, "{\"page\":\"/a\"}\n{\"page\":1}\n");
    assert_int_equal(r[0].errors[0].line, 42);
    r[1].request.format = BATCH_CSV;
    run(&r[1], &f, f.clicks, "page,n\n/a,1\n/b,x\n");
    assert_int_equal(r[1].errors[0].line, 42);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_of_several_tables_are_one_commit),
        cmocka_unit_test(one_bad_record_refuses_all_tables),
        cmocka_unit_test(a_record_without_a_known_table_refuses_the_request),
        cmocka_unit_test(expectations_hold_for_all_tables_or_nothing_is_stored),
        cmocka_unit_test(a_repeated_key_gets_the_answer_of_all_tables),
        cmocka_unit_test(patches_of_several_tables_see_what_came_before),
        cmocka_unit_test(messages_are_one_commit_with_their_positions_and_small_values),
        cmocka_unit_test(lines_count_from_where_the_body_stands_in_its_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
