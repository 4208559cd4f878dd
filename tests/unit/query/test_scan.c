/* Scans: reverse, where, count, and how much work one of them may do at a time. */
#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "leaf/query/params.h"
#include "proto/errors.h"
#include "tests/unit/query/query_world.h"

struct fixture {
    struct leaf_world w;
    struct queries *queries;
    const struct grant *grant; /* who asks; NULL: the owner */
    struct query *query;
    unsigned pages;
    unsigned empty_pages;
    uint64_t rows;
    struct sf_buf text; /* of all pages */
    struct query_page page;
    char cursor[QUERY_CURSOR_MAX];
    struct sf_buf findings;
    struct sf_error err;
};

static void setup(struct fixture *f)
{
    *f = (struct fixture){0};
    leaf_world_init(&f->w, 11);
    (void)leaf_world_add(&f->w, world_orders);
    f->queries = world_queries(&f->w);
}

static void teardown(struct fixture *f)
{
    world_queries_done(&f->w, f->queries);
    sf_buf_done(&f->text);
    sf_buf_done(&f->findings);
}

static void on_page(void *data, const struct query_page *page, const struct sf_error *err)
{
    struct fixture *f = data;

    if (err != NULL) {
        f->err = *err;
        query_close(SF_TAKE(f->query));
        return;
    }
    f->pages++;
    f->empty_pages += page->rows == 0;
    f->rows += page->rows;
    f->page = *page;
    sf_buf_slice(&f->text, page->data);
    (void)snprintf(f->cursor, sizeof(f->cursor), "%s", page->cursor);
    if (page->is_last) {
        query_close(SF_TAKE(f->query));
    } else {
        query_next(f->query);
    }
}

/* All pages of a scan; its text is in f->text. */
static enum sf_code scan(struct fixture *f, struct query_params p)
{
    const struct serving_right right = {.serving = &f->w.serving,
                                        .product =
                                            product_set_find(&f->w.serving.products, "orders", 1),
                                        .grant = f->grant};
    struct query_request request;
    enum sf_code code;

    f->err = (struct sf_error){0};
    f->pages = 0;
    f->empty_pages = 0;
    f->rows = 0;
    sf_buf_clear(&f->text);
    sf_buf_clear(&f->findings);
    p.table = p.table == NULL ? "orders" : p.table;
    p.findings = &f->findings;
    code = query_request_build(&p, QUERY_SCAN, &right, world_seal_key, &request, &f->err);
    if (code == SF_OK) {
        code = query_start(f->queries, &request, on_page, f, &f->query, &f->err);
    }
    if (code != SF_OK) {
        return code;
    }
    rt_sim_run(&f->w.stores.sim);
    assert_null(f->query);
    return f->err.code;
}

#define SCAN(...) scan(&f, (struct query_params){__VA_ARGS__})

static const char *text(struct fixture *f)
{
    return sf_buf_cstr(&f->text);
}

/* Orders "a", "b", ... with amounts 0, 1, ...; every third has none. */
static void put_orders(struct fixture *f, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char line[128];
        char amount[16];

        (void)snprintf(amount, sizeof(amount), i % 3 == 2 ? "null" : "\"%u.00\"", i);
        (void)snprintf(line, sizeof(line),
                       "{\"op\":\"upsert\",\"row\":{\"order_id\":\"%c\",\"amount\":%s,"
                       "\"email\":\"%c@y.no\"}}\n",
                       'a' + (int)i, amount, 'a' + (int)i);
        leaf_world_write(&f->w, leaf_world_table(&f->w, "orders"), line);
    }
}

/* Clicks 1 to @count, in commits of up to 500. */
static void put_clicks(struct fixture *f, unsigned count)
{
    struct sf_buf lines = {0};

    for (unsigned i = 1; i <= count; i++) {
        sf_buf_printf(&lines, "{\"op\":\"upsert\",\"row\":{\"n\":%u}}\n", i);
        if (i % 500 == 0 || i == count) {
            leaf_world_write(&f->w, leaf_world_table(&f->w, "clicks"), sf_buf_cstr(&lines));
            sf_buf_clear(&lines);
        }
    }
    sf_buf_done(&lines);
}

/* --- reverse ---------------------------------------------------------------------------------- */

static void a_reverse_scan_goes_from_the_last_key_to_the_first(void **state)
{
    char cursor[QUERY_CURSOR_MAX];
    struct fixture f;
    (void)state;

    setup(&f);
    put_orders(&f, 5);
    assert_int_equal(SCAN(.select = "order_id", .reverse = true, .format = "csv"), SF_OK);
    assert_string_equal(text(&f), "order_id\ne\nd\nc\nb\na\n");
    assert_int_equal(
        SCAN(.select = "order_id", .reverse = true, .format = "csv", .from = "b", .to = "e"),
        SF_OK);
    assert_string_equal(text(&f), "order_id\nd\nc\nb\n");
    assert_int_equal(SCAN(.select = "order_id", .reverse = true, .format = "csv", .limit = 2,
                          .from = "b", .to = "e"),
                     SF_OK);
    assert_string_equal(text(&f), "order_id\nd\nc\n");
    memcpy(cursor, f.cursor, sizeof(cursor));
    assert_int_equal(SCAN(.select = "order_id", .reverse = true, .format = "csv", .limit = 2,
                          .from = "b", .to = "e", .cursor = cursor),
                     SF_OK);
    assert_string_equal(text(&f), "order_id\nb\n");
    assert_string_equal(f.cursor, "");
    teardown(&f);
}

static void a_reverse_scan_of_events_begins_with_the_newest(void **state)
{
    char cursor[QUERY_CURSOR_MAX] = "";
    struct fixture f;
    unsigned seen = 9;
    (void)state;

    setup(&f);
    put_clicks(&f, 9);
    assert_int_equal(SCAN(.table = "clicks", .select = "n", .reverse = true, .format = "csv",
                          .from = "3", .to = "7"),
                     SF_OK);
    assert_string_equal(text(&f), "n\n6\n5\n4\n3\n");
    while (seen > 0) { /* two at a time, over the whole */
        char wanted[32];

        (void)snprintf(wanted, sizeof(wanted), seen == 1 ? "n\n%u\n" : "n\n%u\n%u\n", seen,
                       seen - 1);
        assert_int_equal(SCAN(.table = "clicks", .select = "n", .reverse = true, .format = "csv",
                              .limit = 2, .cursor = cursor),
                         SF_OK);
        assert_string_equal(text(&f), wanted);
        memcpy(cursor, f.cursor, sizeof(cursor));
        seen -= seen == 1 ? 1 : 2;
    }
    assert_int_equal(SCAN(.table = "clicks", .reverse = true, .to = "1"), SF_OK);
    assert_string_equal(text(&f), "");
    assert_int_equal(SCAN(.table = "clicks", .reverse = true, .from = "50"), SF_OK);
    assert_string_equal(text(&f), "");
    teardown(&f);
}

static void a_cursor_is_good_for_its_own_where_and_direction(void **state)
{
    char forward[QUERY_CURSOR_MAX];
    char filtered[QUERY_CURSOR_MAX];
    struct fixture f;
    (void)state;

    setup(&f);
    put_orders(&f, 5);
    assert_int_equal(SCAN(.limit = 1), SF_OK);
    memcpy(forward, f.cursor, sizeof(forward));
    assert_int_equal(SCAN(.limit = 1, .where = "amount > 0"), SF_OK);
    memcpy(filtered, f.cursor, sizeof(filtered));

    assert_int_equal(SCAN(.cursor = forward, .reverse = true), SF_INVALID);
    assert_int_equal(f.err.number, SHEAF_E_BAD_CURSOR);
    assert_string_equal(f.err.text, "cursor is of another 'where', 'reverse' or view");
    assert_int_equal(SCAN(.cursor = forward, .where = "amount > 0"), SF_INVALID);
    assert_int_equal(SCAN(.cursor = filtered), SF_INVALID);
    assert_int_equal(SCAN(.cursor = filtered, .where = "amount > 1"), SF_INVALID);
    /* The same filter, written in another way. */
    assert_int_equal(SCAN(.cursor = filtered, .where = "(AMOUNT)>0", .select = "order_id"),
                     SF_INVALID); /* names are as they are */
    assert_int_equal(SCAN(.cursor = filtered, .where = " ( amount )>0", .select = "order_id"),
                     SF_OK);
    assert_string_equal(text(&f), "{\"order_id\":\"d\"}\n{\"order_id\":\"e\"}\n");
    teardown(&f);
}

/* --- where ------------------------------------------------------------------------------------ */

static void where_keeps_what_is_true_and_counts_the_rest(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    put_orders(&f, 8); /* amounts 0, 1, null, 3, 4, null, 6, 7 */
    assert_int_equal(SCAN(.select = "order_id", .format = "csv", .where = "amount >= 3"), SF_OK);
    assert_string_equal(text(&f), "order_id\nd\ne\ng\nh\n");
    assert_true(f.page.has_where);
    assert_int_equal(f.page.examined, 8);
    assert_int_equal(f.page.nulls, 2);
    assert_int_equal(f.page.errors, 0);
    assert_int_equal(f.page.count, 4);
    assert_int_equal(SCAN(.select = "order_id", .format = "csv", .limit = 2, .where = "amount >= 3",
                          .reverse = true),
                     SF_OK);
    assert_string_equal(text(&f), "order_id\nh\ng\n");
    assert_int_equal(f.page.examined, 2);
    assert_int_equal(SCAN(.select = "order_id", .where = "caller.domain = 'sales' AND "
                                                         "order_id IN ('b', 'z')"),
                     SF_OK);
    assert_string_equal(text(&f), "{\"order_id\":\"b\"}\n");
    assert_int_equal(SCAN(.select = "order_id"), SF_OK);
    assert_false(f.page.has_where);
    teardown(&f);
}

static void a_filter_that_fails_on_a_row_drops_it_and_counts_it(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    put_clicks(&f, 3);
    leaf_world_write(&f.w, leaf_world_table(&f.w, "clicks"),
                     "{\"op\":\"upsert\",\"row\":{\"n\":2147483647}}\n");
    assert_int_equal(SCAN(.table = "clicks", .select = "n", .format = "csv",
                          .where = "n * 8589934592 > 8589934592"),
                     SF_OK);
    assert_string_equal(text(&f), "n\n2\n3\n");
    assert_int_equal(f.page.errors, 1);
    assert_int_equal(f.page.examined, 4);
    teardown(&f);
}

static void a_filter_names_fields_of_the_callers_view_only(void **state)
{
    static const char *const columns[] = {"order_id", "note"};
    const struct grant some = {
        .id = "", .consumer = "billing", .columns = columns, .column_count = 2};
    struct fixture f;
    (void)state;

    setup(&f);
    put_orders(&f, 3);
    assert_int_equal(SCAN(.where = "email = 'a@y.no'", .select = "order_id"), SF_OK);
    assert_string_equal(text(&f), "{\"order_id\":\"a\"}\n");
    f.grant = &some;
    /* What is hidden, by its class or by the grant, is as unknown as what never was. */
    assert_int_equal(SCAN(.where = "order_id = 'a' OR email = 'b@y.no'"), SF_INVALID);
    assert_int_equal(f.err.number, SHEAF_E_BAD_REFERENCE);
    assert_non_null(strstr(sf_buf_cstr(&f.findings), "table 'orders' has no field 'email'"));
    assert_int_equal(SCAN(.where = "amount > 1"), SF_INVALID);
    assert_int_equal(f.err.number, SHEAF_E_BAD_REFERENCE);
    assert_int_equal(SCAN(.where = "order_id = 'a' AND caller.domain = 'billing'"), SF_OK);
    assert_int_equal(f.rows, 1);
    /* What it may not see is not suggested either. */
    assert_int_equal(SCAN(.where = "emai = 'b'"), SF_INVALID);
    assert_int_equal(f.err.number, SHEAF_E_BAD_REFERENCE);
    assert_null(strstr(sf_buf_cstr(&f.findings), "email"));
    assert_null(strstr(sf_buf_cstr(&f.findings), "amount"));
    assert_non_null(strstr(sf_buf_cstr(&f.findings), "allowed: order_id note"));
    teardown(&f);
}

static void what_is_wrong_with_a_filter_is_shown_in_its_place(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    assert_int_equal(SCAN(.where = "amount >= 1 AND nota = 'x'"), SF_INVALID);
    assert_int_equal(f.err.number, SHEAF_E_BAD_REFERENCE);
    assert_string_equal(sf_buf_cstr(&f.findings),
                        "where:1:17: error[SHEAF-E0107]: table 'orders' has no field 'nota'\n"
                        "amount >= 1 AND nota = 'x'\n"
                        "                ^~~~\n"
                        "  allowed: order_id amount note email token      "
                        "did you mean 'note'?\n");
    assert_int_equal(SCAN(.where = "amount >="), SF_INVALID);
    assert_int_equal(f.err.number, SHEAF_E_EXPR_SYNTAX);
    assert_int_equal(SCAN(.where = "amount = note"), SF_INVALID);
    assert_int_equal(f.err.number, SHEAF_E_EXPR_TYPE);
    assert_int_equal(SCAN(.where = ""), SF_INVALID);
    teardown(&f);
}

static void where_reverse_and_count_are_for_scans(void **state)
{
    static const struct query_params wrong[] = {
        {.table = "orders", .where = "amount > 1"},
        {.table = "orders", .reverse = true},
        {.table = "orders", .count = true},
    };
    struct fixture f;
    (void)state;

    setup(&f);
    const struct serving_right right = {
        .serving = &f.w.serving, .product = product_set_find(&f.w.serving.products, "orders", 1)};

    for (size_t i = 0; i < SF_COUNT(wrong); i++) {
        struct query_request request;
        struct query_params p = wrong[i];

        p.key = "a";
        assert_int_equal(
            query_request_build(&p, QUERY_GET, &right, world_seal_key, &request, &f.err),
            SF_INVALID);
        assert_int_equal(f.err.number, SHEAF_E_BAD_REQUEST);
        assert_int_equal(
            query_request_build(&p, QUERY_CHANGES, &right, world_seal_key, &request, &f.err),
            SF_INVALID);
    }
    teardown(&f);
}

/* --- count ------------------------------------------------------------------------------------ */

static void a_count_is_the_number_without_the_rows(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    put_orders(&f, 8);
    put_clicks(&f, 1200);
    assert_int_equal(SCAN(.count = true), SF_OK);
    assert_string_equal(text(&f), "{\"count\":8}\n");
    assert_string_equal(f.cursor, "");
    assert_int_equal(f.page.count, 8);
    assert_int_equal(f.page.examined, 0); /* known without looking */
    assert_int_equal(SCAN(.count = true, .from = "c", .reverse = true), SF_OK);
    assert_string_equal(text(&f), "{\"count\":6}\n");
    assert_int_equal(SCAN(.count = true, .where = "amount > 3", .format = "csv"), SF_OK);
    assert_string_equal(text(&f), "count\n3\n");
    assert_int_equal(f.page.examined, 8);
    assert_int_equal(SCAN(.table = "clicks", .count = true), SF_OK);
    assert_string_equal(text(&f), "{\"count\":1200}\n");
    assert_int_equal(SCAN(.table = "clicks", .count = true, .where = "n % 2 = 0"), SF_OK);
    assert_string_equal(text(&f), "{\"count\":600}\n");
    teardown(&f);
}

/* --- work ------------------------------------------------------------------------------------- */

static void a_long_scan_lets_others_through_between_its_slices(void **state)
{
    struct fixture f;
    struct fixture other = {0};
    struct query_request request;
    struct query_params p = {.table = "orders", .key = "a"};
    (void)state;

    setup(&f);
    put_orders(&f, 1);
    put_clicks(&f, 3 * QUERY_SLICE_ROWS + 10);
    const struct serving_right right = {
        .serving = &f.w.serving, .product = product_set_find(&f.w.serving.products, "orders", 1)};
    struct query_params slow = {.table = "clicks", .where = "n < 0"};

    assert_int_equal(query_request_build(&slow, QUERY_SCAN, &right, world_seal_key, &request, NULL),
                     SF_OK);
    assert_int_equal(query_start(f.queries, &request, on_page, &f, &f.query, NULL), SF_OK);
    assert_int_equal(query_request_build(&p, QUERY_GET, &right, world_seal_key, &request, NULL),
                     SF_OK);
    assert_int_equal(query_start(f.queries, &request, on_page, &other, &other.query, NULL), SF_OK);
    while (other.pages == 0) {
        assert_true(rt_sim_step(&f.w.stores.sim));
    }
    assert_int_equal(f.pages, 0); /* started before, and not nearly done */
    rt_sim_run(&f.w.stores.sim);
    assert_int_equal(f.pages, 1);
    assert_int_equal(f.rows, 0);
    assert_int_equal(f.page.examined, 3 * QUERY_SLICE_ROWS + 10);
    sf_buf_done(&other.text);
    teardown(&f);
}

static int setup_all(void **state)
{
    (void)state;
    return sf_crypto_init(NULL) == SF_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reverse_scan_goes_from_the_last_key_to_the_first),
        cmocka_unit_test(a_reverse_scan_of_events_begins_with_the_newest),
        cmocka_unit_test(a_cursor_is_good_for_its_own_where_and_direction),
        cmocka_unit_test(where_keeps_what_is_true_and_counts_the_rest),
        cmocka_unit_test(a_filter_that_fails_on_a_row_drops_it_and_counts_it),
        cmocka_unit_test(a_filter_names_fields_of_the_callers_view_only),
        cmocka_unit_test(what_is_wrong_with_a_filter_is_shown_in_its_place),
        cmocka_unit_test(where_reverse_and_count_are_for_scans),
        cmocka_unit_test(a_count_is_the_number_without_the_rows),
        cmocka_unit_test(a_long_scan_lets_others_through_between_its_slices),
    };

    return cmocka_run_group_tests(tests, setup_all, NULL);
}
