#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "proto/errors.h"
#include "tests/unit/query/page_fixture.h"

static enum sf_code next(struct fixture *f)
{
    f->got = false;
    query_next(f->query);
    assert_false(f->got);
    rt_sim_run(&f->w.stores.sim);
    assert_true(f->got);
    return f->err.code;
}

/* Orders "a", "b", ... with a note of @bytes each. */
static void put_orders(struct fixture *f, unsigned count, unsigned bytes)
{
    for (unsigned i = 0; i < count; i++) {
        struct sf_buf line = {0};

        sf_buf_printf(&line,
                      "{\"op\":\"upsert\",\"row\":{\"order_id\":\"%c\",\"note\":\"%0*u\","
                      "\"email\":\"x@y.no\"}}\n",
                      'a' + (int)i, (int)bytes, i);
        leaf_world_write(&f->w, leaf_world_table(&f->w, "orders"), sf_buf_cstr(&line));
        sf_buf_done(&line);
    }
}

static void put_clicks(struct fixture *f, unsigned count)
{
    for (unsigned i = 1; i <= count; i++) {
        char line[64];

        (void)snprintf(line, sizeof(line), "{\"op\":\"upsert\",\"row\":{\"n\":%u}}\n", i);
        leaf_world_write(&f->w, leaf_world_table(&f->w, "clicks"), line);
    }
}

#define ASK(op, ...) ask(&f, (op), (struct query_params){__VA_ARGS__})

/* --- get -------------------------------------------------------------------------------------- */

static void a_get_gives_the_row_or_none(void **state)
{
    const struct grant all = {.id = "G-1"};
    struct fixture f;
    (void)state;

    setup(&f);
    put_orders(&f, 2, 1);
    assert_int_equal(ASK(QUERY_GET, .key = "b"), SF_OK);
    assert_string_equal(f.text, "{\"order_id\":\"b\",\"amount\":null,\"note\":\"1\","
                                "\"email\":\"x@y.no\",\"token\":null}\n");
    assert_true(f.page.is_last);
    assert_int_equal(f.page.rows, 1);
    assert_int_equal(f.page.count, 1);
    assert_string_equal(f.cursor, "");
    assert_int_equal(f.page.epoch, 1);
    assert_int_equal(f.page.first_seq, 0);
    assert_int_equal(f.page.last_seq, 2);
    assert_int_equal(f.page.head_seq, 2);
    assert_string_equal(f.page.content_type, "application/x-ndjson");
    assert_int_equal(ASK(QUERY_GET, .key = "b", .format = "csv", .select = "note,order_id"), SF_OK);
    assert_string_equal(f.text, "order_id,note\nb,1\n");
    assert_string_equal(f.page.content_type, "text/csv");
    assert_int_equal(ASK(QUERY_GET, .key = "c"), SF_ABSENT);
    assert_int_equal(f.err.number, SHEAF_E_ROW_ABSENT);
    assert_string_equal(f.err.text, "table 'orders'");

    f.w.serving.grants = NULL;
    f.grant = &all;
    assert_int_equal(ASK(QUERY_GET, .key = "b"), SF_DENIED); /* No grant of that id in force. */
    assert_int_equal(f.err.number, SHEAF_E_DENIED);
    teardown(&f);
}

static void on_answer(void *data, const struct query_page *page, const struct sf_error *err)
{
    struct fixture *f = data;

    assert_null(err);
    assert_true(page->is_last && page->rows == 1);
    f->got = true;
}

static void a_get_is_the_same_from_memory_and_from_the_disk(void **state)
{
    struct query_params p = {.table = "orders", .key = "b"};
    struct serving_right right;
    struct fixture f;
    (void)state;

    setup(&f);
    put_orders(&f, 2, 1);
    for (int cold = 0; cold < 2; cold++) {
        const struct serving_caller owner = {0};
        struct query_request request;

        f.w.stores.disk.cold = cold == 1;
        assert_int_equal(ASK(QUERY_GET, .key = "b"), SF_OK);
        assert_string_equal(f.text, "{\"order_id\":\"b\",\"amount\":null,\"note\":\"1\","
                                    "\"email\":\"x@y.no\",\"token\":null}\n");
        assert_int_equal(f.page.head_seq, 2);
        assert_int_equal(ASK(QUERY_GET, .key = "c"), SF_ABSENT);

        assert_int_equal(serving_decide(&f.w.serving, &owner, "orders", 0, &right, &f.err), SF_OK);
        assert_int_equal(
            query_request_build(&p, QUERY_GET, &right, world_seal_key, &request, &f.err), SF_OK);
        f.got = false;
        assert_true(query_answer_now(f.queries, &request, on_answer, &f) == (cold == 0));
        assert_true(f.got == (cold == 0));
        assert_true((request.view == NULL) == (cold == 0));
        query_request_done(&request);
    }
    teardown(&f);
}

static void a_deleted_row_is_absent(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    put_orders(&f, 1, 1);
    leaf_world_write(&f.w, leaf_world_table(&f.w, "orders"),
                     "{\"op\":\"delete\",\"row\":{\"order_id\":\"a\"}}\n");
    assert_int_equal(ASK(QUERY_GET, .key = "a"), SF_ABSENT);
    assert_int_equal(f.err.number, SHEAF_E_ROW_ABSENT);
    assert_int_equal(ASK(QUERY_SCAN), SF_OK);
    assert_int_equal(f.page.rows, 0);
    teardown(&f);
}

static void an_event_is_got_by_its_seq(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    put_clicks(&f, 3);
    assert_int_equal(ASK(QUERY_GET, .table = "clicks", .key = "2", .select = "n"), SF_OK);
    assert_string_equal(f.text, "{\"n\":2}\n");
    assert_int_equal(ASK(QUERY_GET, .table = "clicks", .key = "0"), SF_ABSENT);
    assert_int_equal(ASK(QUERY_GET, .table = "clicks", .key = "4"), SF_ABSENT);
    assert_int_equal(ASK(QUERY_GET, .table = "clicks", .key = "18446744073709551615"), SF_ABSENT);
    teardown(&f);
}

/* --- scan ------------------------------------------------------------------------------------- */

static void a_scan_keeps_to_its_bounds(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    put_orders(&f, 5, 1);
    assert_int_equal(ASK(QUERY_SCAN, .select = "order_id", .format = "csv"), SF_OK);
    assert_string_equal(f.text, "order_id\na\nb\nc\nd\ne\n");
    assert_int_equal(f.page.count, 5);
    assert_string_equal(f.cursor, "");
    assert_int_equal(ASK(QUERY_SCAN, .select = "order_id", .format = "csv", .from = "b", .to = "d"),
                     SF_OK);
    assert_string_equal(f.text, "order_id\nb\nc\n");
    assert_int_equal(ASK(QUERY_SCAN, .select = "order_id", .format = "csv", .prefix = "c"), SF_OK);
    assert_string_equal(f.text, "order_id\nc\n");
    assert_int_equal(ASK(QUERY_SCAN, .select = "order_id", .format = "csv", .prefix = "x"), SF_OK);
    assert_string_equal(f.text, "order_id\n");
    assert_true(f.page.is_last);
    teardown(&f);
}

static void a_limit_cuts_and_the_cursor_goes_on(void **state)
{
    char cursor[QUERY_CURSOR_MAX];
    struct fixture f;
    (void)state;

    setup(&f);
    put_orders(&f, 5, 1);
    assert_int_equal(ASK(QUERY_SCAN, .select = "order_id", .limit = 2), SF_OK);
    assert_string_equal(f.text, "{\"order_id\":\"a\"}\n{\"order_id\":\"b\"}\n");
    assert_true(f.page.is_last);
    assert_int_equal(f.page.count, 2);
    memcpy(cursor, f.cursor, sizeof(cursor));
    put_orders(&f, 1, 2); /* A change in front of it does not matter. */
    assert_int_equal(ASK(QUERY_SCAN, .select = "order_id", .limit = 2, .cursor = cursor), SF_OK);
    assert_string_equal(f.text, "{\"order_id\":\"c\"}\n{\"order_id\":\"d\"}\n");
    memcpy(cursor, f.cursor, sizeof(cursor));
    assert_int_equal(
        ASK(QUERY_SCAN, .select = "order_id", .cursor = cursor, .from = "a", .to = "e"), SF_OK);
    assert_string_equal(f.text, "");
    assert_int_equal(ASK(QUERY_SCAN, .select = "order_id", .limit = 2, .cursor = cursor), SF_OK);
    assert_string_equal(f.text, "{\"order_id\":\"e\"}\n");
    assert_string_equal(f.cursor, "");
    teardown(&f);
}

static void pages_end_behind_the_row_that_fills_them(void **state)
{
    static const unsigned counts[][4] = {{3, 1, 0, 0}, {3, 3, 0, 0}, {3, 3, 1, 0}};
    (void)state;

    for (size_t i = 0; i < SF_COUNT(counts); i++) {
        struct fixture f;
        unsigned rows = counts[i][0] + counts[i][1] + counts[i][2];
        unsigned told = 0;

        setup(&f);
        put_orders(&f, rows, 200 * 1000);
        assert_int_equal(ASK(QUERY_SCAN), SF_OK);
        for (unsigned p = 0;; p++) {
            assert_int_equal(f.page.rows, counts[i][p]);
            told += counts[i][p];
            assert_int_equal(f.page.count, told);
            assert_true(f.size == 0 || counts[i][p] < 3 || f.size >= QUERY_PAGE_BYTES);
            assert_string_equal(f.cursor, "");
            if (f.page.is_last) {
                break;
            }
            /* All pages show one snapshot. */
            leaf_world_write(&f.w, leaf_world_table(&f.w, "orders"),
                             "{\"op\":\"upsert\",\"row\":{\"order_id\":\"z\"}}\n");
            assert_int_equal(next(&f), SF_OK);
        }
        assert_int_equal(told, rows);
        teardown(&f);
    }
}

static void a_header_of_csv_comes_once_and_pages_may_be_limited(void **state)
{
    char cursor[QUERY_CURSOR_MAX];
    struct fixture f;
    (void)state;

    setup(&f);
    put_orders(&f, 4, 200 * 1000);
    assert_int_equal(ASK(QUERY_SCAN, .format = "csv", .select = "order_id,note"), SF_OK);
    assert_false(f.page.is_last);
    assert_int_equal(next(&f), SF_OK);
    assert_true(f.page.is_last);
    assert_int_equal(f.size, 2 + 200 * 1000 + 1); /* No header. */
    assert_int_equal(ASK(QUERY_SCAN, .select = "order_id,note", .pages = 1), SF_OK);
    assert_true(f.page.is_last);
    assert_int_equal(f.page.count, 3);
    memcpy(cursor, f.cursor, sizeof(cursor));
    assert_int_equal(ASK(QUERY_SCAN, .select = "order_id", .pages = 1, .cursor = cursor), SF_OK);
    assert_string_equal(f.text, "{\"order_id\":\"d\"}\n");
    assert_string_equal(f.cursor, "");
    teardown(&f);
}

static void rows_of_events_go_by_seq(void **state)
{
    char cursor[QUERY_CURSOR_MAX];
    struct fixture f;
    (void)state;

    setup(&f);
    put_clicks(&f, 5);
    assert_int_equal(ASK(QUERY_SCAN, .table = "clicks", .select = "n", .from = "2", .to = "4"),
                     SF_OK);
    assert_string_equal(f.text, "{\"n\":2}\n{\"n\":3}\n");
    assert_int_equal(f.page.first_seq, 0);
    assert_int_equal(f.page.last_seq, 5); /* What the answer shows, not where it ends. */
    assert_int_equal(ASK(QUERY_SCAN, .table = "clicks", .select = "n", .limit = 2), SF_OK);
    assert_string_equal(f.text, "{\"n\":1}\n{\"n\":2}\n");
    memcpy(cursor, f.cursor, sizeof(cursor));
    assert_int_equal(
        ASK(QUERY_SCAN, .table = "clicks", .select = "n", .from = "1", .cursor = cursor), SF_OK);
    assert_string_equal(f.text, "{\"n\":3}\n{\"n\":4}\n{\"n\":5}\n");
    assert_string_equal(f.cursor, "");
    assert_int_equal(ASK(QUERY_SCAN, .table = "clicks", .from = "99"), SF_OK);
    assert_int_equal(f.page.count, 0);
    teardown(&f);
}

/* --- changes ---------------------------------------------------------------------------------- */

static void changes_come_behind_a_position(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    put_clicks(&f, 5);
    assert_int_equal(ASK(QUERY_CHANGES, .table = "clicks", .limit = 2), SF_OK);
    assert_memory_equal(f.text, "{\"seq\":1,\"op\":\"upsert\",", 23);
    assert_int_equal(f.page.first_seq, 1);
    assert_int_equal(f.page.last_seq, 2);
    assert_int_equal(f.page.head_seq, 5);
    assert_string_equal(f.cursor, "1:2");
    assert_int_equal(ASK(QUERY_CHANGES, .table = "clicks", .after = "1:2"), SF_OK);
    assert_memory_equal(f.text, "{\"seq\":3,", 9);
    assert_int_equal(f.page.count, 3);
    assert_string_equal(f.cursor, "1:5");
    assert_int_equal(ASK(QUERY_CHANGES, .table = "clicks", .after = "1:5"), SF_OK);
    assert_int_equal(f.page.count, 0);
    assert_int_equal(f.page.first_seq, 0);
    assert_int_equal(f.page.last_seq, 5);
    assert_string_equal(f.cursor, "1:5");
    assert_int_equal(ASK(QUERY_CHANGES, .table = "clicks", .after = "9:0"), SF_OK);
    assert_int_equal(f.page.count, 5); /* From the start is the same in any epoch. */
    teardown(&f);
}

static void a_position_that_is_not_ours_is_gone(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    put_clicks(&f, 5);
    assert_int_equal(ASK(QUERY_CHANGES, .table = "clicks", .after = "1:6"), SF_CONFLICT);
    assert_int_equal(f.err.number, SHEAF_E_POSITION_GONE);
    assert_string_equal(f.err.text, "position 1:6 is ahead of the table, which is at 1:5");
    assert_int_equal(ASK(QUERY_CHANGES, .table = "clicks", .after = "2:3"), SF_CONFLICT);
    assert_int_equal(f.err.number, SHEAF_E_POSITION_GONE);
    assert_string_equal(f.err.text, "position 2:3, the table is at 1:5; common is all up to 2:0");
    assert_int_equal(ASK(QUERY_CHANGES, .table = "clicks", .after = "1:18446744073709551615"),
                     SF_CONFLICT);
    teardown(&f);
}

/* --- rights, limits, failures ----------------------------------------------------------------- */

static void a_grant_that_ends_between_pages_ends_the_answer(void **state)
{
    static const struct world_grant one = {.id = "G-1"};
    struct fixture f;
    (void)state;

    setup(&f);
    put_orders(&f, 7, 200 * 1000);
    leaf_world_grant(&f.w, &(struct world_bundle){.version = 1, .grants = &one, .grant_count = 1});
    f.grant = &f.w.serving.grants->grants[0];
    assert_int_equal(ASK(QUERY_SCAN), SF_OK);
    assert_int_equal(f.page.rows, 3);
    assert_int_equal(next(&f), SF_OK);
    leaf_world_grant(&f.w, &(struct world_bundle){.version = 2});
    assert_int_equal(next(&f), SF_DENIED);
    assert_int_equal(f.err.number, SHEAF_E_DENIED);
    assert_string_equal(f.err.text, "grant G-1 has ended");
    teardown(&f);
}

static void a_revocation_while_a_page_is_read_keeps_it_back(void **state)
{
    static const struct world_grant one = {.id = "G-1"};
    struct query_params p = {.table = "orders"};
    struct query_request request;
    struct fixture f;
    (void)state;

    setup(&f);
    put_orders(&f, 1, 1);
    leaf_world_grant(&f.w, &(struct world_bundle){.version = 1, .grants = &one, .grant_count = 1});
    const struct serving_right right = {
        .serving = &f.w.serving,
        .product = product_set_find(&f.w.serving.products, "orders", 1),
        .grant = &f.w.serving.grants->grants[0],
    };

    assert_int_equal(query_request_build(&p, QUERY_SCAN, &right, world_seal_key, &request, NULL),
                     SF_OK);
    assert_int_equal(query_start(f.queries, &request, on_page, &f, &f.query, NULL), SF_OK);
    leaf_world_grant(&f.w, &(struct world_bundle){.version = 2});
    rt_sim_run(&f.w.stores.sim);
    assert_true(f.got);
    assert_int_equal(f.err.number, SHEAF_E_DENIED);
    assert_int_equal(f.pages, 0);
    teardown(&f);
}

static void requests_under_way_are_bounded(void **state)
{
    struct query_params p = {.table = "orders"};
    struct query_request request;
    struct query *held[QUERIES_MAX];
    struct query *more;
    struct fixture f;
    struct sf_error err;
    (void)state;

    setup(&f);
    const struct serving_right right = {
        .serving = &f.w.serving, .product = product_set_find(&f.w.serving.products, "orders", 1)};

    for (size_t i = 0; i <= QUERIES_MAX; i++) {
        assert_int_equal(
            query_request_build(&p, QUERY_SCAN, &right, world_seal_key, &request, NULL), SF_OK);
        assert_int_equal(
            query_start(f.queries, &request, on_page, &f, i < QUERIES_MAX ? &held[i] : &more, &err),
            i < QUERIES_MAX ? SF_OK : SF_BUSY);
    }
    assert_int_equal(err.number, SHEAF_E_BUSY);
    for (size_t i = 0; i < QUERIES_MAX; i++) {
        query_close(held[i]); /* While it is read. */
    }
    assert_int_equal(queries_pending(f.queries), QUERIES_MAX);
    rt_sim_run(&f.w.stores.sim);
    assert_false(f.got);
    assert_int_equal(queries_pending(f.queries), 0);
    queries_hold(f.queries);
    assert_int_equal(queries_pending(f.queries), 1);
    queries_release(f.queries);
    teardown(&f);
}

/* How many requests of @consumer (NULL: the owner) start before one is refused; all go on. */
static size_t start_all(struct fixture *f, const char *consumer, struct query **held)
{
    const struct grant grant = {.id = "G-1", .consumer = consumer};
    const struct serving_right right = {
        .serving = &f->w.serving,
        .product = product_set_find(&f->w.serving.products, "orders", 1),
        .grant = consumer == NULL ? NULL : &grant,
    };
    const struct query_params p = {.table = "orders"};
    struct query_request request;
    size_t n = 0;

    do {
        assert_int_equal(
            query_request_build(&p, QUERY_SCAN, &right, world_seal_key, &request, NULL), SF_OK);
    } while (query_start(f->queries, &request, on_page, f, &held[n], &f->err) == SF_OK && ++n > 0);
    assert_int_equal(f->err.number, SHEAF_E_BUSY);
    return n;
}

static void no_other_domain_takes_the_room_of_the_others_or_of_the_owner(void **state)
{
    struct query *held[QUERIES_MAX + 1];
    struct fixture f;
    size_t n;
    (void)state;

    setup(&f);
    n = start_all(&f, "billing", held);
    assert_int_equal(n, QUERIES_MAX / 4);
    assert_string_equal(f.err.text, "64 requests of billing under way");
    n += start_all(&f, "marketing", held + n);
    assert_int_equal(n, QUERIES_MAX / 2);
    n += start_all(&f, "support", held + n);
    n += start_all(&f, "audit", held + n);
    assert_int_equal(n, QUERIES_MAX / 4 * 3);
    assert_string_equal(f.err.text, "192 requests of other domains under way");
    n += start_all(&f, NULL, held + n);
    assert_int_equal(n, QUERIES_MAX);
    queries_hold(f.queries); /* What is counted only does not make room for more. */
    assert_int_equal(start_all(&f, NULL, held + n), 0);
    queries_release(f.queries);
    while (n > 0) {
        query_close(held[--n]);
    }
    rt_sim_run(&f.w.stores.sim);
    assert_int_equal(queries_pending(f.queries), 0);
    teardown(&f);
}

static void out_of_memory_or_a_bad_disk_is_an_error_of_the_answer(void **state)
{
    static const struct query_params ps[] = {
        {.key = "a"},
        {.limit = 1},
        {.table = "clicks"},
        {.table = "clicks", .limit = 1},
        {.reverse = true, .where = "note <> 'x' AND order_id IN ('a', 'b')", .select = "note"},
        {.where = "note LIKE '0%'", .format = "csv"},
        {.count = true, .where = "amount IS NULL"},
        {.key = "a", .as_of = "1:1"},
        {.as_of = "1:1", .reverse = true, .where = "order_id >= 'a'"},
        {.table = "clicks", .reverse = true, .as_of = "1:1"},
        {.after = "1:1"},
    };
    static const enum query_op ops[] = {
        QUERY_GET,  QUERY_SCAN, QUERY_CHANGES, QUERY_SCAN, QUERY_SCAN,    QUERY_SCAN,
        QUERY_SCAN, QUERY_GET,  QUERY_SCAN,    QUERY_SCAN, QUERY_CHANGES,
    };
    struct fixture f;
    (void)state;

    setup(&f);
    put_orders(&f, 2, 1);
    put_clicks(&f, 2);
    for (size_t i = 0; i < SF_COUNT(ps); i++) {
        char whole[sizeof(f.text)];

        assert_int_equal(ask(&f, ops[i], ps[i]), SF_OK);
        memcpy(whole, f.text, sizeof(whole));
        assert_null(f.query);
        for (long n = 0;; n++) {
            const struct serving_right right = {
                .serving = &f.w.serving,
                .product = product_set_find(&f.w.serving.products, "orders", 1)};
            struct query_params p = ps[i];
            struct query_request request;
            enum sf_code code;

            p.table = p.table == NULL ? "orders" : p.table;
            f.err = (struct sf_error){0};
            f.got = false;
            sf_alloc_fail_after(n, false);
            code = query_request_build(&p, ops[i], &right, world_seal_key, &request, &f.err);
            if (code != SF_OK) {
                sf_alloc_fail_after(-1, false);
                assert_int_equal(code, SF_NOMEM);
                assert_int_equal(f.err.code, SF_NOMEM);
                continue;
            }
            code = query_start(f.queries, &request, on_page, &f, &f.query, &f.err);
            rt_sim_run(&f.w.stores.sim);
            if (sf_alloc_faults() == 0) {
                assert_int_equal(f.err.code, SF_OK);
                break;
            }
            sf_alloc_fail_after(-1, false);
            if (f.err.code == SF_OK) { /* It did without. */
                assert_string_equal(f.text, whole);
                continue;
            }
            assert_int_equal(f.err.code, SF_NOMEM);
            assert_true((code == SF_OK) == f.got);
        }
        sf_alloc_fail_after(-1, false);
        f.w.stores.disk.fail_read_in = 1;
        assert_int_not_equal(ask(&f, ops[i], ps[i]), SF_OK);
        f.w.stores.disk.fail_read_in = 0;
    }
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_get_gives_the_row_or_none),
        cmocka_unit_test(a_get_is_the_same_from_memory_and_from_the_disk),
        cmocka_unit_test(a_deleted_row_is_absent),
        cmocka_unit_test(an_event_is_got_by_its_seq),
        cmocka_unit_test(a_scan_keeps_to_its_bounds),
        cmocka_unit_test(a_limit_cuts_and_the_cursor_goes_on),
        cmocka_unit_test(pages_end_behind_the_row_that_fills_them),
        cmocka_unit_test(a_header_of_csv_comes_once_and_pages_may_be_limited),
        cmocka_unit_test(rows_of_events_go_by_seq),
        cmocka_unit_test(changes_come_behind_a_position),
        cmocka_unit_test(a_position_that_is_not_ours_is_gone),
        cmocka_unit_test(a_grant_that_ends_between_pages_ends_the_answer),
        cmocka_unit_test(a_revocation_while_a_page_is_read_keeps_it_back),
        cmocka_unit_test(requests_under_way_are_bounded),
        cmocka_unit_test(no_other_domain_takes_the_room_of_the_others_or_of_the_owner),
        cmocka_unit_test(out_of_memory_or_a_bad_disk_is_an_error_of_the_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
