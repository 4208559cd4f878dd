#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "leaf/ingest/stream.h"
#include "tests/unit/ingest/fixture.h"

/* A body in batches, in simulated time. */
struct told {
    unsigned batches;
    unsigned rooms;
    unsigned ended;
    bool ok;
    struct sf_error error;
    struct ingest_stream_totals totals;
};

static void on_batch(void *data, const struct ingest_result *result,
                     const struct ingest_stream_totals *totals)
{
    struct told *t = data;

    (void)result;
    t->batches++;
    t->totals = *totals;
}

static void on_room(void *data)
{
    ((struct told *)data)->rooms++;
}

static void on_end(void *data, const struct ingest_stream_totals *totals,
                   const struct sf_error *err)
{
    struct told *t = data;

    t->ended++;
    t->ok = err == NULL;
    t->totals = *totals;
    if (err != NULL) {
        t->error = *err;
    }
}

static enum sf_code open_stream_of(struct fixture *f, struct told *t, enum batch_format format,
                                   const char *key, struct ingest_stream **ret)
{
    const struct ingest_request request = {
        .table = f->clicks, .format = format, .caller = "ana", .idempotency_key = key};
    const struct ingest_stream_spec spec = {
        .request = &request,
        .batch_records = 2,
        .on_batch = on_batch,
        .on_room = on_room,
        .on_end = on_end,
        .data = t,
    };

    return ingest_stream_new(f->ingest, &spec, ret, NULL);
}

static enum sf_code open_stream(struct fixture *f, struct told *t, const char *key,
                                struct ingest_stream **ret)
{
    return open_stream_of(f, t, BATCH_NDJSON, key, ret);
}

static const char five[] = "{\"page\":\"/1\"}\n{\"page\":\"/2\"}\n{\"page\":\"/3\"}\n"
                           "{\"page\":\"/4\"}\n{\"page\":\"/5\"}\n";

static void full_batches_are_stored_and_the_rest_after_a_second(void **state)
{
    struct told t = {0};
    struct ingest_stream *s;
    struct fixture f;
    (void)state;

    setup(&f);
    assert_int_equal(open_stream(&f, &t, NULL, &s), SF_OK);
    assert_int_equal(ingest_stream_feed(s, sf_slice_text(five)), sizeof(five) - 1);
    assert_int_equal(t.batches, 0); /* Never inside. */
    rt_sim_run(&f.w.stores.sim);    /* with the second that the fifth waits */
    assert_int_equal(t.batches, 3);
    assert_int_equal(t.totals.lines, 5);
    assert_int_equal(t.ended, 0);
    ingest_stream_finish(s);
    rt_sim_run(&f.w.stores.sim);
    assert_true(t.ended == 1 && t.ok);
    assert_int_equal(t.totals.accepted, 5);
    assert_int_equal(ingest_pending(f.ingest), 0);
    teardown(&f);
}

/* The header of CSV is a line and has bytes, once, though each batch is read with it. */
static void lines_and_bytes_are_those_of_the_body(void **state)
{
    static const char csv[] = "page\n/1\n\"/2\n\"\n/3\n";
    struct told t = {0};
    struct ingest_stream *s;
    struct fixture f;
    (void)state;

    setup(&f);
    assert_int_equal(open_stream_of(&f, &t, BATCH_CSV, NULL, &s), SF_OK);
    assert_int_equal(ingest_stream_feed(s, sf_slice_text(csv)), sizeof(csv) - 1);
    ingest_stream_finish(s);
    rt_sim_run(&f.w.stores.sim);
    assert_true(t.ended == 1 && t.ok);
    assert_int_equal(t.batches, 2);
    assert_int_equal(t.totals.accepted, 3);
    assert_int_equal(t.totals.lines, 5);
    assert_int_equal(t.totals.bytes, sizeof(csv) - 1);
    teardown(&f);
}

static void with_a_key_the_same_body_is_stored_once(void **state)
{
    struct told t[2] = {0};
    struct ingest_stream *s;
    struct fixture f;
    (void)state;

    setup(&f);
    for (size_t i = 0; i < SF_COUNT(t); i++) {
        assert_int_equal(open_stream(&f, &t[i], "K", &s), SF_OK);
        for (size_t at = 0; at < sizeof(five) - 1;
             at++) { /* byte by byte: cut at the same places */
            assert_int_equal(ingest_stream_feed(s, sf_slice_of(five + at, 1)), 1);
            if (i == 1) {
                rt_sim_run(&f.w.stores.sim);
            }
        }
        ingest_stream_finish(s);
        rt_sim_run(&f.w.stores.sim);
        assert_true(t[i].ok);
        assert_int_equal(t[i].totals.batches, 3);
    }
    assert_int_equal(store_lane_head(f.clicks->lane)->seq, 5);
    teardown(&f);
}

static const char with_country[] = "{\"order_id\":\"1\",\"country\":\"DE\"}\n"
                                   "{\"order_id\":\"2\",\"country\":\"DE\"}\n";

static void each_batch_is_read_by_the_contract_in_force(void **state)
{
    struct told t = {0};
    struct ingest_stream *s;
    struct fixture f;
    (void)state;

    setup(&f);
    f.clicks = f.orders;
    assert_int_equal(open_stream(&f, &t, NULL, &s), SF_OK);
    (void)ingest_stream_feed(s, sf_slice_text(with_country));
    rt_sim_run(&f.w.stores.sim);
    assert_int_equal(t.totals.quarantined, 2); /* 1.0.0 has no such field. */
    (void)leaf_world_add(&f.w, world_orders_newer);
    (void)ingest_stream_feed(s, sf_slice_text(with_country));
    ingest_stream_finish(s);
    rt_sim_run(&f.w.stores.sim);
    assert_true(t.ended == 1 && t.ok);
    assert_int_equal(t.totals.quarantined, 2);
    assert_int_equal(t.totals.accepted, 2);
    teardown(&f);
}

static void a_stream_ends_when_its_product_is_removed(void **state)
{
    const struct product_removal removal = {.product = "orders", .major = 1, .purge_us = 1};
    struct told t = {0};
    struct ingest_stream *s;
    struct fixture f;
    (void)state;

    setup(&f);
    assert_int_equal(open_stream(&f, &t, NULL, &s), SF_OK);
    (void)ingest_stream_feed(s, sf_slice_text(five));
    rt_sim_run(&f.w.stores.sim);
    assert_int_equal(t.totals.accepted, 5);
    assert_int_equal(product_set_remove(&f.w.serving.products, &removal, NULL), SF_OK);
    (void)ingest_stream_feed(s, sf_slice_text(five));
    rt_sim_run(&f.w.stores.sim);
    assert_true(t.ended == 1 && !t.ok);
    assert_int_equal(t.error.number, SHEAF_E_PRODUCT_UNKNOWN);
    assert_string_equal(t.error.text, "product sales/orders@1 was removed meanwhile");
    assert_int_equal(t.totals.accepted, 5);
    assert_int_equal(store_lane_head(f.clicks->lane)->seq, 5);
    assert_int_equal(ingest_pending(f.ingest), 0);
    teardown(&f);
}

/* Which "compatibility: none" allows. */
static void a_stream_ends_when_a_version_leaves_its_table_out(void **state)
{
    static const char without[] =
        "sheaf: product/v1\nproduct: sales/orders\nversion: 1.1.0\nstatus: active\n"
        "owner: team-sales\ndescription: Orders.\ncompatibility: none\ntables:\n"
        "  orders:\n    kind: state\n    key: [order_id]\n    fields:\n"
        "      order_id: {number: 1, type: string, required: true}\n";
    struct told t = {0};
    struct ingest_stream *s;
    struct fixture f;
    (void)state;

    setup(&f);
    assert_int_equal(open_stream(&f, &t, NULL, &s), SF_OK);
    (void)ingest_stream_feed(s, sf_slice_text(five));
    rt_sim_run(&f.w.stores.sim);
    (void)leaf_world_add(&f.w, without);
    (void)ingest_stream_feed(s, sf_slice_text(five));
    rt_sim_run(&f.w.stores.sim);
    assert_true(t.ended == 1 && !t.ok);
    assert_int_equal(t.error.number, SHEAF_E_TABLE_UNKNOWN);
    assert_string_equal(t.error.text, "table 'clicks' is not in version 1.1.0");
    assert_int_equal(t.totals.accepted, 5);
    assert_int_equal(store_lane_head(f.clicks->lane)->seq, 5);
    assert_int_equal(ingest_pending(f.ingest), 0);
    teardown(&f);
}

static void what_does_not_fit_is_left_to_its_sender(void **state)
{
    static uint8_t large[STREAM_INPUT_MAX + 10];
    struct told t = {0};
    struct ingest_stream *s;
    struct fixture f;
    (void)state;

    setup(&f);
    memset(large, '\n', sizeof(large));
    assert_int_equal(open_stream(&f, &t, NULL, &s), SF_OK);
    assert_int_equal(ingest_stream_feed(s, sf_slice_of(large, sizeof(large))), STREAM_INPUT_MAX);
    rt_sim_run(&f.w.stores.sim);
    assert_int_equal(t.rooms, 1);
    ingest_stream_abandon(s);
    rt_sim_run(&f.w.stores.sim);
    assert_int_equal(t.ended, 0);
    assert_int_equal(ingest_pending(f.ingest), 0);
    teardown(&f);
}

/* While other requests take all the room there is, a batch waits; it is not refused. */
static void a_batch_waits_for_room_among_requests(void **state)
{
    struct told t = {0};
    struct ingest_stream *s;
    struct request other = {0};
    struct fixture f;
    (void)state;

    setup(&f);
    f.w.stores.disk.hold_syncs = true;
    start(&other, &f, f.clicks, five);
    assert_int_equal(other.code, SF_OK);
    rt_sim_run(&f.w.stores.sim);
    ingest_set_bytes_max(f.ingest, 1);
    assert_int_equal(open_stream(&f, &t, NULL, &s), SF_OK);
    assert_int_equal(ingest_stream_feed(s, sf_slice_text(five)), sizeof(five) - 1);
    ingest_stream_finish(s);
    rt_sim_run_for(&f.w.stores.sim, 10 * SF_NS_PER_S);
    assert_int_equal(other.answered, 0);
    assert_true(t.batches == 0 && t.ended == 0);
    ingest_set_bytes_max(f.ingest, 1 << 20);
    f.w.stores.disk.hold_syncs = false;
    fake_disk_end_sync(&f.w.stores.disk);
    rt_sim_run(&f.w.stores.sim);
    assert_true(other.ok);
    assert_true(t.ended == 1 && t.ok);
    assert_int_equal(t.totals.accepted, 5);
    teardown(&f);
}

static void streams_are_bounded(void **state)
{
    struct ingest_stream *s[64];
    struct ingest_stream *more;
    struct told t = {0};
    struct fixture f;
    (void)state;

    setup(&f);
    for (size_t i = 0; i < SF_COUNT(s); i++) {
        assert_int_equal(open_stream(&f, &t, NULL, &s[i]), SF_OK);
    }
    assert_int_equal(open_stream(&f, &t, NULL, &more), SF_BUSY);
    assert_int_equal(ingest_stats(f.ingest).streams_refused, 1);
    for (size_t i = 0; i < SF_COUNT(s); i++) {
        ingest_stream_abandon(s[i]);
    }
    rt_sim_run(&f.w.stores.sim);
    assert_int_equal(ingest_stats(f.ingest).streams, 0);
    teardown(&f);
}

/* Every allocation fails once: batches that were told of are there, and no others but the last. */
static void a_failed_allocation_ends_a_stream_or_nothing(void **state)
{
    bool hit = true;
    (void)state;

    for (long n = 0; hit; n++) {
        struct told t = {0};
        struct ingest_stream *s = NULL;
        struct fixture f;

        setup(&f);
        sf_alloc_fail_after(n, /* forever= */ 0);
        if (open_stream(&f, &t, "K", &s) == SF_OK) {
            size_t fed = ingest_stream_feed(s, sf_slice_text(five));

            rt_sim_run(&f.w.stores.sim);
            if (fed == 0 && t.ended == 0) {
                (void)ingest_stream_feed(s, sf_slice_text(five));
            }
            if (t.ended == 0) {
                ingest_stream_finish(s);
            }
            rt_sim_run(&f.w.stores.sim);
            assert_int_equal(t.ended, 1);
            assert_true(store_lane_head(f.clicks->lane)->seq >= t.totals.accepted);
            /* IO: the disk of the test fails without memory. */
            assert_true(t.ok ? t.totals.accepted == 5
                             : t.error.code == SF_NOMEM || t.error.code == SF_IO);
        }
        hit = sf_alloc_faults() > 0;
        sf_alloc_fail_after(-1, 0);
        assert_int_equal(ingest_pending(f.ingest), 0);
        teardown(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_batches_are_stored_and_the_rest_after_a_second),
        cmocka_unit_test(lines_and_bytes_are_those_of_the_body),
        cmocka_unit_test(with_a_key_the_same_body_is_stored_once),
        cmocka_unit_test(each_batch_is_read_by_the_contract_in_force),
        cmocka_unit_test(a_stream_ends_when_its_product_is_removed),
        cmocka_unit_test(a_stream_ends_when_a_version_leaves_its_table_out),
        cmocka_unit_test(what_does_not_fit_is_left_to_its_sender),
        cmocka_unit_test(a_batch_waits_for_room_among_requests),
        cmocka_unit_test(streams_are_bounded),
        cmocka_unit_test(a_failed_allocation_ends_a_stream_or_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
