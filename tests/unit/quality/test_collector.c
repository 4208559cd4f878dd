#include "tests/lib/cmocka.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "leaf/quality/lanes.h"
#include "leaf/quality/stats_json.h"
#include "leaf/store/read.h"
#include "proto/errors.h"
#include "tests/lib/leaf_world.h"

struct world {
    struct leaf_world leaf;
    struct sf_metrics metrics;
    struct collector *collector;
    bool closed;
};

static void open_collector(struct world *w)
{
    const struct collector_options options = {
        .rt = &w->leaf.stores.sim.rt,
        .store = w->leaf.stores.store,
        .serving = &w->leaf.serving,
        .metrics = &w->metrics,
    };

    assert_int_equal(collector_new(&options, &w->collector, NULL), SF_OK);
    assert_int_equal(collector_update(w->collector, NULL), SF_OK);
}

static void on_closed(void *data)
{
    ((struct world *)data)->closed = true;
}

static bool is_closed(void *data)
{
    return ((struct world *)data)->closed;
}

static void close_collector(struct world *w)
{
    w->closed = false;
    collector_close(w->collector, on_closed, w);
    assert_true(rt_sim_run_until(&w->leaf.stores.sim, is_closed, w, 60 * SF_NS_PER_S));
}

static void world_open(struct world *w, uint64_t seed)
{
    *w = (struct world){0};
    sf_metrics_init(&w->metrics);
    leaf_world_init(&w->leaf, seed);
    (void)leaf_world_add(&w->leaf, world_orders);
    open_collector(w);
}

static void world_close(struct world *w)
{
    close_collector(w);
    leaf_world_done(&w->leaf);
}

/* --- asking -------------------------------------------------------------------------------------
 */

struct question {
    struct collector_wait wait;
    void (*look)(struct question *q, const struct collected *found);
    struct world *world;
    const struct served_table *table;
    bool anew;
    bool answered;
    enum sf_code code;
    uint64_t seq;
    int64_t counted_us;
    struct sf_buf *document; /* of write_page() */
};

static void on_ready(struct collector_wait *wait, const struct collected *found,
                     const struct sf_error *err)
{
    struct question *q = wait->data;

    q->answered = true;
    q->code = err == NULL ? SF_OK : err->code;
    if (found != NULL) {
        q->seq = found->seq;
        q->counted_us = found->counted_us;
        if (q->look != NULL) {
            q->look(q, found);
        }
    }
}

static bool is_answered(void *data)
{
    return ((struct question *)data)->answered;
}

static void ask_table(struct world *w, struct question *q)
{
    q->world = w;
    q->wait = (struct collector_wait){.ready = on_ready, .data = q, .anew = q->anew};
    assert_int_equal(collector_get(w->collector, q->table, &q->wait, NULL), SF_OK);
    assert_false(q->answered);
    assert_true(rt_sim_run_until(&w->leaf.stores.sim, is_answered, q, 60 * SF_NS_PER_S));
}

static void ask(struct world *w, const char *table, struct question *q)
{
    q->table = leaf_world_table(&w->leaf, table);
    ask_table(w, q);
}

/* --- against the rows themselves
 * ------------------------------------------------------------------ */

static void count_all(const struct question *q, struct table_stats *ret)
{
    struct store_snapshot *snapshot;
    struct store_scan *scan;
    struct store_row row;
    bool more = true;

    assert_int_equal(table_stats_init(ret, q->table->contract, NULL), SF_OK);
    assert_int_equal(store_snapshot_new(q->world->leaf.stores.store, &snapshot, NULL), SF_OK);
    assert_int_equal(
        store_scan_new(snapshot, q->table->lane, &(struct store_range){0}, &scan, NULL), SF_OK);
    while (assert_int_equal(store_scan_next(scan, &row, &more, NULL), SF_OK), more) {
        const struct product_set *set = &q->world->leaf.serving.products;
        const struct sf_product *of = set->versions[row.contract_id - 1]->contract;

        assert_int_equal(
            table_stats_add(ret, sf_product_table(of, q->table->contract->name), row.row, NULL),
            SF_OK);
    }
    store_scan_free(scan);
    store_snapshot_free(snapshot);
}

static void compare_with_rows(struct question *q, const struct collected *found)
{
    struct table_stats exact;

    count_all(q, &exact);
    assert_int_equal(found->stats->rows, exact.rows);
    for (size_t i = 0; i < q->table->contract->field_count; i++) {
        const struct sketch *got = &found->stats->fields[i];
        const struct sketch *wanted = &exact.fields[i];

        assert_int_equal(got->values, wanted->values);
        assert_int_equal(got->nulls, wanted->nulls);
        assert_true(fabs(got->mean - wanted->mean) < 1e-6);
        assert_true(fabs(got->m2 - wanted->m2) < 1e-3);
        if (!table_stats_is_loose(found->stats)) {
            assert_int_equal(sketch_distinct(got), sketch_distinct(wanted));
            assert_int_equal(got->max.i, wanted->max.i);
            assert_int_equal(got->min.i, wanted->min.i);
        }
    }
    assert_int_equal(found->seq, store_lane_head(q->table->lane)->seq);
    table_stats_done(&exact);
}

static void write_some(struct world *w, unsigned count)
{
    struct rt_sim *sim = &w->leaf.stores.sim;
    struct sf_buf lines = {0};

    for (unsigned i = 0; i < count; i++) {
        const unsigned key = (unsigned)rt_sim_random(sim, 40);

        if (rt_sim_random(sim, 4) == 0) {
            sf_buf_printf(&lines, "{\"op\":\"delete\",\"row\":{\"order_id\":\"o%u\"}}\n", key);
        } else if (rt_sim_random(sim, 3) == 0) {
            sf_buf_printf(&lines, "{\"op\":\"upsert\",\"row\":{\"order_id\":\"o%u\"}}\n", key);
        } else {
            sf_buf_printf(&lines,
                          "{\"op\":\"upsert\",\"row\":{\"order_id\":\"o%u\",\"amount\":\"%u.50\","
                          "\"note\":\"n%u\"}}\n",
                          key, (unsigned)rt_sim_random(sim, 1000),
                          (unsigned)rt_sim_random(sim, 10));
        }
    }
    leaf_world_write(&w->leaf, leaf_world_table(&w->leaf, "orders"), sf_buf_cstr(&lines));
    sf_buf_done(&lines);
}

static void check_rows(struct world *w)
{
    struct question q = {.look = compare_with_rows};

    ask(w, "orders", &q);
    assert_int_equal(q.code, SF_OK);
}

static void test_statistics_are_those_of_the_rows(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct world w;

        world_open(&w, seed);
        for (unsigned round = 0; round < 12; round++) {
            write_some(&w, 1 + (unsigned)rt_sim_random(&w.leaf.stores.sim, 60));
            if (rt_sim_random(&w.leaf.stores.sim, 3) == 0) {
                rt_sim_run_for(&w.leaf.stores.sim, 45 * SF_NS_PER_S); /* saved, perhaps unloaded */
            }
            if (rt_sim_random(&w.leaf.stores.sim, 6) == 0) {
                close_collector(&w);
                open_collector(&w);
            }
            check_rows(&w);
        }
        world_close(&w);
    }
}

static void test_rows_whose_changes_were_trimmed_are_counted_out(void **state)
{
    struct world w;

    (void)state;
    world_open(&w, 3);
    write_some(&w, 40);
    check_rows(&w);
    store_world_trim(&w.leaf.stores, leaf_world_table(&w.leaf, "orders")->lane);
    write_some(&w, 40);
    check_rows(&w);
    world_close(&w);
}

/* Doubles whose mean or deviation is beyond what a double holds. */
static void write_page(struct question *q, const struct collected *found)
{
    const struct stats_page page = {.table = q->table, .view = q->table->whole, .found = found};

    assert_int_equal(stats_write(&page, q->document, NULL), SF_OK);
}

static void test_what_no_double_holds_is_told_as_null(void **state)
{
    static const char product[] =
        "sheaf: product/v1\nproduct: sales/orders\nversion: 2.0.0\nowner: t\ndescription: d\n"
        "tables:\n  orders:\n    key: [k]\n    fields:\n"
        "      k: {number: 1, type: string, required: true}\n"
        "      x: {number: 2, type: double}\n";
    struct sf_buf document = {0};
    struct question q = {.look = write_page, .document = &document};
    struct world w;

    (void)state;
    world_open(&w, 4);
    q.table = &leaf_world_add(&w.leaf, product)->tables[0];
    assert_int_equal(collector_update(w.collector, NULL), SF_OK);
    leaf_world_write(&w.leaf, q.table,
                     "{\"op\":\"upsert\",\"row\":{\"k\":\"a\",\"x\":1.5e308}}\n"
                     "{\"op\":\"upsert\",\"row\":{\"k\":\"b\",\"x\":-1.5e308}}\n");
    ask_table(&w, &q);
    assert_non_null(strstr(sf_buf_cstr(&document), "\"min\":-1.5e+308,\"max\":1.5e+308,"
                                                   "\"mean\":0,\"deviation\":null"));
    sf_buf_done(&document);
    world_close(&w);
}

static void test_a_power_cut_costs_nothing_but_work(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct world w;

        world_open(&w, seed);
        for (unsigned round = 0; round < 4; round++) {
            write_some(&w, 30);
            rt_sim_run_for(&w.leaf.stores.sim, rt_sim_random(&w.leaf.stores.sim, 20) * SF_NS_PER_S);
            write_some(&w, 5);
            leaf_world_kill(&w.leaf);
            close_collector(&w);
            leaf_world_crash(&w.leaf, world_orders);
            open_collector(&w);
            check_rows(&w);
        }
        world_close(&w);
    }
}

static void expect_country(struct question *q, const struct collected *found)
{
    compare_with_rows(q, found);
    assert_int_equal(found->stats->fields[5].nulls, found->stats->rows - 1);
}

static void test_a_new_version_goes_on(void **state)
{
    struct question q = {.look = expect_country};
    struct world w;

    (void)state;
    world_open(&w, 7);
    write_some(&w, 50);
    check_rows(&w);
    (void)leaf_world_add(&w.leaf, world_orders_newer);
    assert_int_equal(collector_update(w.collector, NULL), SF_OK);
    leaf_world_write(&w.leaf, leaf_world_table(&w.leaf, "orders"),
                     "{\"op\":\"upsert\",\"row\":{\"order_id\":\"new\",\"country\":\"NO\"}}\n");
    ask(&w, "orders", &q);
    world_close(&w);
}

static void test_what_is_loose_is_counted_anew_when_it_is_quiet(void **state)
{
    struct question q = {0};
    struct world w;
    int64_t first_us;

    (void)state;
    world_open(&w, 3);
    write_some(&w, 200);
    ask(&w, "orders", &q);
    first_us = q.counted_us;
    write_some(&w, 50);
    rt_sim_run_for(&w.leaf.stores.sim, 60 * SF_NS_PER_S);
    q = (struct question){.look = compare_with_rows};
    ask(&w, "orders", &q);
    assert_true(q.counted_us > first_us);
    world_close(&w);
}

static void expect_exact(struct question *q, const struct collected *found)
{
    assert_false(table_stats_is_loose(found->stats));
    compare_with_rows(q, found);
}

static void test_whoever_wants_it_exact_gets_all_rows_counted(void **state)
{
    struct question q = {.anew = true, .look = expect_exact};
    struct question beside = {0};
    struct world w;

    (void)state;
    world_open(&w, 11);
    write_some(&w, 100);
    check_rows(&w);
    write_some(&w, 100);
    beside.table = leaf_world_table(&w.leaf, "orders");
    beside.wait = (struct collector_wait){.ready = on_ready, .data = &beside};
    assert_int_equal(collector_get(w.collector, beside.table, &beside.wait, NULL), SF_OK);
    ask(&w, "orders", &q);
    assert_true(beside.answered);
    assert_int_equal(q.code, SF_OK);
    world_close(&w);
}

static void test_events_are_counted_as_they_come(void **state)
{
    struct question q = {0};
    struct world w;

    (void)state;
    world_open(&w, 5);
    for (unsigned i = 0; i < 30; i++) {
        leaf_world_write(&w.leaf, leaf_world_table(&w.leaf, "clicks"),
                         "{\"op\":\"upsert\",\"row\":{\"page\":\"/\",\"n\":1}}\n"
                         "{\"op\":\"upsert\",\"row\":{\"page\":\"/a\"}}\n");
    }
    ask(&w, "clicks", &q);
    assert_int_equal(q.seq, 60);
    close_collector(&w);
    open_collector(&w);
    q = (struct question){0};
    ask(&w, "clicks", &q);
    assert_int_equal(q.seq, 60);
    world_close(&w);
}

/* Ten tables of more rows than a step takes, and nothing stored of any. */
static void test_few_tables_are_counted_anew_at_once(void **state)
{
    enum { TABLES = 10, ROWS = 3000, AT_ONCE = 4 };
    const struct served_table *tables[TABLES];
    struct sf_buf text = {0};
    size_t most = 0;
    struct world w;

    (void)state;
    world_open(&w, 6);
    close_collector(&w);
    sf_buf_text(&text, "sheaf: product/v1\nproduct: " WORLD_DOMAIN "/many\nversion: 1.0.0\n"
                       "status: active\nowner: t\ndescription: d\ntables:\n");
    for (unsigned i = 0; i < TABLES; i++) {
        sf_buf_printf(
            &text, "  t%u:\n    kind: event\n    fields:\n      n: {number: 1, type: int64}\n", i);
    }
    (void)leaf_world_add(&w.leaf, sf_buf_cstr(&text));
    sf_buf_clear(&text);
    for (unsigned i = 0; i < ROWS; i++) {
        sf_buf_printf(&text, "{\"op\":\"upsert\",\"row\":{\"n\":%u}}\n", i);
    }
    for (size_t i = 0; i < TABLES; i++) {
        tables[i] = &product_set_find(&w.leaf.serving.products, "many", 1)->tables[i];
        leaf_world_write(&w.leaf, tables[i], sf_buf_cstr(&text));
    }
    open_collector(&w);
    for (unsigned n = 0; n < 2000; n++) {
        rt_sim_run_for(&w.leaf.stores.sim, SF_NS_PER_MS);
        most = w.collector->counting > most ? w.collector->counting : most;
    }
    assert_int_equal(most, AT_ONCE);
    assert_int_equal(w.collector->counting, 0);
    for (size_t i = 0; i < TABLES; i++) {
        const struct lane *l = w.collector->by_id[store_lane_id(tables[i]->lane)];

        assert_true(l->stats.loaded);
        assert_int_equal(l->stats.stats.rows, ROWS);
    }
    sf_buf_done(&text);
    world_close(&w);
}

static void test_a_table_that_is_served_no_more_is_let_go(void **state)
{
    const struct product_removal removal = {.product = "orders", .major = 1, .purge_us = 1};
    struct question q = {0};
    struct sf_error err;
    struct world w;

    (void)state;
    world_open(&w, 9);
    write_some(&w, 10);
    q.table = leaf_world_table(&w.leaf, "orders");
    q.wait = (struct collector_wait){.ready = on_ready, .data = &q};
    assert_int_equal(collector_get(w.collector, q.table, &q.wait, NULL), SF_OK);
    assert_int_equal(product_set_remove(&w.leaf.serving.products, &removal, NULL), SF_OK);
    assert_int_equal(collector_update(w.collector, NULL), SF_OK);
    assert_true(rt_sim_run_until(&w.leaf.stores.sim, is_answered, &q, 60 * SF_NS_PER_S));
    assert_int_equal(q.code, SF_CLOSED);
    assert_int_equal(collector_get(w.collector, q.table, &q.wait, &err), SF_ABSENT);
    assert_int_equal(err.number, SHEAF_E_TABLE_UNKNOWN);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statistics_are_those_of_the_rows),
        cmocka_unit_test(test_rows_whose_changes_were_trimmed_are_counted_out),
        cmocka_unit_test(test_what_no_double_holds_is_told_as_null),
        cmocka_unit_test(test_a_power_cut_costs_nothing_but_work),
        cmocka_unit_test(test_a_new_version_goes_on),
        cmocka_unit_test(test_what_is_loose_is_counted_anew_when_it_is_quiet),
        cmocka_unit_test(test_whoever_wants_it_exact_gets_all_rows_counted),
        cmocka_unit_test(test_events_are_counted_as_they_come),
        cmocka_unit_test(test_few_tables_are_counted_anew_at_once),
        cmocka_unit_test(test_a_table_that_is_served_no_more_is_let_go),
    };

    return cmocka_run_group_tests_name("collector", tests, NULL, NULL);
}
