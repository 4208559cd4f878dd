#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <zlib.h>

#include "common/base/alloc.h"
#include "proto/errors.h"
#include "tests/unit/ingest/fixture.h"

enum { LONG_RECORD = 200000 };

static void the_answer_says_where_the_records_stand(void **state)
{
    struct request a = {0};
    struct request b = {0};
    struct request c = {0};
    struct fixture f;
    (void)state;

    setup(&f);
    run(&a, &f, f.orders, "{\"order_id\":\"1\"}\n{\"order_id\":\"2\"}\n");
    assert_true(a.ok);
    assert_result(&a, 1, 2, 2, 0);
    assert_int_equal(a.result.epoch, 1);
    assert_int_equal(a.result.commit, 1);
    run(&b, &f, f.clicks, "{\"n\":1}\n");
    assert_result(&b, 1, 1, 1, 0);
    assert_int_equal(b.result.commit, 2);
    c.request.format = BATCH_CSV;
    run(&c, &f, f.orders, "order_id,note\n2,x\n3,y\n4,z\n");
    assert_result(&c, 3, 5, 3, 0);
    assert_int_equal(c.result.commit, 3);
    teardown(&f);
}

static void acked_means_durable(void **state)
{
    struct request a = {0};
    struct fixture f;
    (void)state;

    setup(&f);
    run(&a, &f, f.orders, "{\"order_id\":\"1\"}\n");
    leaf_world_crash(&f.w, world_orders);
    assert_int_equal(store_lane_head(leaf_world_table(&f.w, "orders")->lane)->seq, 1);
    teardown(&f);
}

static void invalid_records_are_set_aside_and_the_others_taken(void **state)
{
    struct request a = {0};
    struct fixture f;
    (void)state;

    setup(&f);
    run(&a, &f, f.orders, "{\"order_id\":\"1\"}\n{\"order_id\":2}\n{\"order_id\":\"3\"}\n{}\n");
    assert_true(a.ok);
    assert_result(&a, 1, 2, 2, 2);
    assert_int_equal(a.result.listed_count, 2);
    assert_int_equal(a.errors[0].line, 2);
    assert_string_equal(a.errors[0].violation.text, "'order_id' must be a string");
    assert_int_equal(a.errors[1].line, 4);
    assert_int_equal(store_lane_head(f.orders->lane)->quarantined, 2);
    assert_int_equal(store_lane_head(f.orders->lane)->rows, 2);
    teardown(&f);
}

static void with_rejects_alone_there_is_a_commit_and_no_seq(void **state)
{
    struct request a = {0};
    struct request b = {0};
    struct fixture f;
    (void)state;

    setup(&f);
    run(&a, &f, f.orders, "{\"order_id\":\"1\"}\n");
    run(&b, &f, f.orders, "nonsense\n");
    assert_true(b.ok);
    assert_result(&b, 0, 1, 0, 1);
    assert_int_equal(b.result.commit, 2);
    teardown(&f);
}

static void an_empty_body_stores_nothing_and_is_no_error(void **state)
{
    struct request a = {0};
    struct fixture f;
    (void)state;

    setup(&f);
    run(&a, &f, f.orders, "\n\n");
    assert_true(a.ok);
    assert_result(&a, 0, 0, 0, 0);
    assert_int_equal(a.result.commit, 0);
    assert_int_equal(f.w.stores.disk.writes, f.writes);
    teardown(&f);
}

static void on_invalid_reject_stores_nothing_of_the_request(void **state)
{
    struct request a = {.request.on_invalid = INGEST_REJECT};
    struct request b = {.request.on_invalid = INGEST_REJECT};
    struct fixture f;
    (void)state;

    setup(&f);
    run(&a, &f, f.orders, "{\"order_id\":\"1\"}\n{\"order_id\":2}\n{\"order_id\":\"3\"}\n");
    assert_false(a.ok);
    assert_int_equal(a.error.code, SF_INVALID);
    assert_int_equal(a.error.number, SHEAF_E_RECORD_INVALID);
    assert_string_equal(a.error.text, "1 of 3 records violate the contract");
    assert_result(&a, 0, 0, 0, 1);
    assert_int_equal(a.result.listed_count, 1);
    assert_int_equal(a.errors[0].line, 2);
    assert_int_equal(f.w.stores.disk.writes, f.writes);
    assert_int_equal(store_lane_head(f.orders->lane)->quarantined, 0);
    run(&b, &f, f.orders, "{\"order_id\":\"1\"}\n");
    assert_true(b.ok);
    assert_result(&b, 1, 1, 1, 0);
    teardown(&f);
}

static void bad_framing_stores_nothing(void **state)
{
    struct request a = {.request.format = BATCH_CSV};
    struct fixture f;
    (void)state;

    setup(&f);
    run(&a, &f, f.orders, "order_id\n1\n\"2\n");
    assert_false(a.ok);
    assert_int_equal(a.error.number, SHEAF_E_BAD_FRAMING);
    assert_result(&a, 0, 0, 0, 0);
    assert_int_equal(f.w.stores.disk.writes, f.writes);
    teardown(&f);
}

/* --- compressed bodies ------------------------------------------------------------------------ */

static void start_packed(struct request *r, struct fixture *f, struct sf_slice text)
{
    uint8_t *room = sf_buf_reserve(&r->request.body, 64 * 1024);
    z_stream z = {.next_in = (z_const Bytef *)(uintptr_t)text.data,
                  .avail_in = (uInt)text.size,
                  .next_out = room,
                  .avail_out = 64 * 1024};

    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    r->request.body.size = 64 * 1024 - z.avail_out;
    (void)deflateEnd(&z);
    r->request.coding = SF_CODING_GZIP;
    start(r, f, f->orders, "");
    assert_int_equal(r->code, SF_OK);
    assert_int_equal(r->answered, 0);
}

static void a_compressed_body_is_read_off_the_loop_however_small(void **state)
{
    struct request a = {0};
    struct fixture f;
    (void)state;

    setup(&f);
    start_packed(&a, &f, SF_LITERAL("{\"order_id\":\"1\"}\n{\"order_id\":2}\n"));
    assert_true(is_working(&f));
    rt_sim_run(&f.w.stores.sim);
    assert_true(a.ok);
    assert_result(&a, 1, 1, 1, 1);
    assert_int_equal(a.errors[0].line, 2);
    teardown(&f);
}

static void a_compressed_body_beyond_its_limit_stores_nothing(void **state)
{
    struct request a = {0};
    struct request b = {0};
    struct fixture f;
    const struct ingest_options options = {.inflated_max = 34};
    (void)state;

    setup(&f);
    ingest_free(f.ingest);
    assert_int_equal(
        ingest_new(&f.w.stores.sim.rt, f.w.stores.store, &f.metrics, &options, &f.ingest, NULL),
        SF_OK);
    start_packed(&a, &f, SF_LITERAL("{\"order_id\":\"1\"}\n{\"order_id\":\"2\"}\n"));
    start_packed(&b, &f, SF_LITERAL("{\"order_id\":\"1\"}\n{\"order_id\":\"22\"}\n"));
    rt_sim_run(&f.w.stores.sim);
    assert_true(a.ok);
    assert_false(b.ok);
    assert_int_equal(b.error.number, SHEAF_E_TOO_LARGE);
    assert_result(&b, 0, b.result.last_seq, 0, 0);
    assert_int_equal(store_lane_head(f.orders->lane)->seq, 2);
    teardown(&f);
}

static void a_damaged_body_stores_nothing(void **state)
{
    struct request a = {.request.coding = SF_CODING_ZSTD};
    struct fixture f;
    (void)state;

    setup(&f);
    run(&a, &f, f.orders, "{\"order_id\":\"1\"}\n");
    assert_false(a.ok);
    assert_int_equal(a.error.code, SF_INVALID);
    assert_int_equal(a.error.number, SHEAF_E_BAD_FRAMING);
    assert_int_equal(f.w.stores.disk.writes, f.writes);
    teardown(&f);
}

static void errors_in_an_array_go_by_index(void **state)
{
    struct request a = {.request.format = BATCH_JSON};
    struct fixture f;
    (void)state;

    setup(&f);
    run(&a, &f, f.orders, "[{\"order_id\":\"1\"},{\"order_id\":2}]");
    assert_true(a.ok);
    assert_string_equal(a.json, "[{\"index\":2,\"code\":\"SHEAF-E0204\",\"field\":\"order_id\","
                                "\"detail\":\"'order_id' must be a string\"}]");
    assert_result(&a, 1, 1, 1, 1);
    assert_int_equal(a.errors[0].line, 2);
    teardown(&f);
}

static void a_retired_product_takes_nothing(void **state)
{
    static const char retired[] =
        "sheaf: product/v1\nproduct: sales/old\nversion: 1.0.0\nstatus: retired\ntables:\n"
        "  t:\n    kind: event\n    fields:\n      n: {number: 1, type: int32}\n";
    struct request a = {0};
    struct fixture f;
    (void)state;

    setup(&f);
    start(&a, &f, &leaf_world_add(&f.w, retired)->tables[0], "{\"n\":1}\n");
    assert_int_equal(a.code, SF_CONFLICT);
    assert_int_equal(a.refused.number, SHEAF_E_WRONG_STATE);
    rt_sim_run(&f.w.stores.sim);
    assert_int_equal(a.answered, 0);
    teardown(&f);
}

/* --- limits and order ------------------------------------------------------------------------- */

/* A record of some thousand bytes. */
static const char *long_record(char *to, char key)
{
    (void)snprintf(to, LONG_RECORD, "{\"order_id\":\"%c\",\"note\":\"%0*d\"}\n", key,
                   LONG_RECORD - 40, 0);
    return to;
}

static void beyond_its_bytes_it_is_busy_until_something_is_done(void **state)
{
    struct request r[5] = {0};
    struct fixture f;
    char text[LONG_RECORD];
    (void)state;

    setup(&f);
    ingest_free(f.ingest);
    open_ingest(&f, 2 * LONG_RECORD + LONG_RECORD / 2, 0);
    start(&r[0], &f, f.orders, long_record(text, '1'));
    start(&r[1], &f, f.orders, long_record(text, '2'));
    start(&r[2], &f, f.orders, long_record(text, '3'));
    assert_int_equal(r[0].code, SF_OK);
    assert_int_equal(r[1].code, SF_OK);
    assert_int_equal(r[2].code, SF_BUSY);
    assert_int_equal(r[2].refused.number, SHEAF_E_BUSY);
    assert_int_equal(ingest_pending(f.ingest), 2);
    assert_int_equal(ingest_stats(f.ingest).refused_busy, 1);
    rt_sim_run(&f.w.stores.sim);
    assert_int_equal(r[2].answered, 0);
    assert_int_equal(ingest_stats(f.ingest).bytes, 0);
    start(&r[3], &f, f.orders, "{\"order_id\":\"3\"}\n");
    assert_int_equal(r[3].code, SF_OK);
    rt_sim_run(&f.w.stores.sim);
    /* One that is larger than the limit gets in when it is alone. */
    ingest_set_bytes_max(f.ingest, 0);
    start(&r[4], &f, f.orders, "{\"order_id\":\"4\",\"note\":\"a long note, too long\"}\n");
    assert_int_equal(r[4].code, SF_OK);
    rt_sim_run(&f.w.stores.sim);
    assert_int_equal(f.answers, 4);
    assert_int_equal(store_lane_head(f.orders->lane)->seq, 4);
    teardown(&f);
}

/* Each takes more than its few bytes until it is read. */
static void many_small_requests_are_bounded_too(void **state)
{
    enum { REQUESTS = 200, BYTES_MAX = 100 * 1024 };
    static struct request r[REQUESTS];
    unsigned taken = 0;
    struct fixture f;
    (void)state;

    setup(&f);
    ingest_free(f.ingest);
    open_ingest(&f, BYTES_MAX, 1); /* read on a query thread */
    memset(r, 0, sizeof(r));
    for (size_t i = 0; i < REQUESTS; i++) {
        start(&r[i], &f, f.orders, "{\"order_id\":\"1\"}\n");
        taken += r[i].code == SF_OK;
        assert_true(r[i].code == SF_OK || r[i].refused.number == SHEAF_E_BUSY);
    }
    assert_in_range(taken, 1, REQUESTS / 2);
    assert_in_range(ingest_stats(f.ingest).bytes, taken * 512, 2 * BYTES_MAX);
    rt_sim_run(&f.w.stores.sim);
    assert_int_equal(f.answers, taken);
    assert_int_equal(ingest_stats(f.ingest).bytes, 0);
    teardown(&f);
}

static void what_records_take_beyond_their_text_counts_too(void **state)
{
    enum { RECORDS = 2000 };
    SF_CLEANUP(sf_buf_done) struct sf_buf body = {0};
    struct request r[3] = {0};
    struct fixture f;
    (void)state;

    setup(&f);
    for (int i = 0; i < RECORDS; i++) {
        sf_buf_printf(&body, "{\"order_id\":\"%d\"}\n", i);
    }
    ingest_free(f.ingest);
    open_ingest(&f, 4 * body.size, body.size); /* all are read before one is stored */
    for (size_t i = 0; i < SF_COUNT(r); i++) {
        start(&r[i], &f, f.orders, sf_buf_cstr(&body));
        assert_int_equal(r[i].code, SF_OK);
    }
    rt_sim_run(&f.w.stores.sim);
    assert_int_equal(f.answers, 3);
    assert_true(ingest_stats(f.ingest).refused_busy > 0);
    assert_int_equal(ingest_stats(f.ingest).bytes, 0);
    assert_int_equal(store_lane_head(f.orders->lane)->seq,
                     RECORDS * (3 - ingest_stats(f.ingest).refused_busy));
    r[0] = (struct request){0};
    start(&r[0], &f, f.orders, sf_buf_cstr(&body)); /* alone it is taken */
    rt_sim_run(&f.w.stores.sim);
    assert_int_equal(r[0].error.code, SF_OK);
    teardown(&f);
}

static void answers_come_in_the_order_of_commits(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct request r[12] = {0};
        struct fixture f;

        setup(&f);
        leaf_world_done(&f.w);
        leaf_world_init(&f.w, seed);
        (void)leaf_world_add(&f.w, world_orders);
        ingest_free(f.ingest);
        open_ingest(&f, 0, 20); /* Some on the loop, some on a query thread. */
        for (unsigned i = 0; i < SF_COUNT(r); i++) {
            char body[64];

            (void)snprintf(body, sizeof(body),
                           i % 3 == 0 ? "{\"order_id\":\"%u\",\"note\":\"xxxx\"}\n"
                                      : "{\"order_id\":\"%u\"}\n",
                           i);
            start(&r[i], &f, leaf_world_table(&f.w, "orders"), body);
            assert_int_equal(r[i].code, SF_OK);
        }
        rt_sim_run(&f.w.stores.sim);
        for (unsigned i = 0; i < SF_COUNT(r); i++) {
            assert_true(r[i].ok);
            assert_int_equal(r[i].answered, 1);
            assert_int_equal(r[i].result.first_seq, r[i].number);
        }
        teardown(&f);
    }
}

/* --- failures --------------------------------------------------------------------------------- */

static void a_store_that_fails_acks_nothing_from_then_on(void **state)
{
    struct request r[4] = {0};
    struct fixture f;
    (void)state;

    setup(&f);
    run(&r[0], &f, f.orders, "{\"order_id\":\"1\"}\n");
    f.w.stores.disk.fail_write_in = 1;
    f.w.stores.disk.fail_code = SF_IO;
    run(&r[1], &f, f.orders, "{\"order_id\":\"2\"}\n");
    assert_false(r[1].ok);
    assert_int_equal(r[1].error.code, SF_IO);
    assert_result(&r[1], 0, 1, 0, 0);
    assert_true(store_failed(f.w.stores.store));
    run(&r[2], &f, f.orders, "{\"order_id\":\"3\"}\n");
    assert_false(r[2].ok);
    assert_int_equal(r[2].error.code, SF_IO);
    assert_int_equal(r[2].error.number, SHEAF_E_STORE_FAILED);
    assert_result(&r[2], 0, 1, 0, 0);
    run(&r[3], &f, f.orders, "");
    assert_true(r[3].ok); /* Nothing to store. */
    teardown(&f);
}

static void a_full_disk_says_so_and_is_over_when_there_is_room(void **state)
{
    struct request r[2] = {0};
    struct fixture f;
    uint64_t free_bytes;
    (void)state;

    setup(&f);
    free_bytes = f.w.stores.disk.free_bytes;
    f.w.stores.disk.free_bytes = 1;
    run(&r[0], &f, f.orders, "{\"order_id\":\"1\"}\n");
    assert_false(r[0].ok);
    assert_int_equal(r[0].error.number, SHEAF_E_DISK_FULL);
    f.w.stores.disk.free_bytes = free_bytes;
    rt_sim_run_for(&f.w.stores.sim, 60 * SF_NS_PER_S);
    run(&r[1], &f, f.orders, "{\"order_id\":\"1\"}\n");
    assert_true(r[1].ok);
    assert_result(&r[1], 1, 1, 1, 0);
    teardown(&f);
}

/* True when no allocation was left to fail. */
static bool one_fault(long n, const char *key, const char *body)
{
    struct request r = {0};
    struct fixture f;
    enum sf_code code;
    uint64_t stored;
    bool is_over;

    setup(&f);
    r.f = &f;
    r.request.table = f.orders;
    r.request.idempotency_key = key;
    r.request.has_envelope = strstr(body, "\"op\"") != NULL;
    sf_buf_text(&r.request.body, body);
    sf_alloc_fail_after(n, false);
    r.code = ingest_start(f.ingest, &r.request, on_answer, &r, &r.refused);
    r.started = true;
    rt_sim_run(&f.w.stores.sim);
    is_over = sf_alloc_faults() == 0;
    sf_alloc_fail_after(-1, false);
    code = r.code != SF_OK ? r.code : r.error.code;
    assert_int_equal(r.answered, r.code == SF_OK ? 1 : 0);
    assert_int_equal(ingest_pending(f.ingest), 0);
    if (code != SF_OK && !store_failed(f.w.stores.store)) {
        assert_int_equal(code, SF_NOMEM);
    }
    stored = code == SF_OK ? 1 : 0;
    assert_int_equal(store_lane_head(f.orders->lane)->seq, stored);
    assert_int_equal(store_lane_head(f.orders->lane)->quarantined, stored);
    assert_true(!is_over || code == SF_OK);
    teardown(&f);
    return is_over;
}

static void out_of_memory_is_refused_or_answered_and_stores_all_or_nothing(void **state)
{
    static const char rows[] = "{\"order_id\":\"1\"}\n{\"order_id\":1}\n";
    static const char patches[] = "{\"op\":\"upsert\",\"row\":{\"order_id\":\"1\"}}\n"
                                  "{\"op\":\"patch\",\"row\":{\"order_id\":\"2\"}}\n";
    (void)state;

    for (long n = 0; !one_fault(n, NULL, rows); n++) {
    }
    for (long n = 0; !one_fault(n, "K-1", rows); n++) {
    }
    for (long n = 0; !one_fault(n, NULL, patches); n++) {
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_answer_says_where_the_records_stand),
        cmocka_unit_test(acked_means_durable),
        cmocka_unit_test(invalid_records_are_set_aside_and_the_others_taken),
        cmocka_unit_test(with_rejects_alone_there_is_a_commit_and_no_seq),
        cmocka_unit_test(an_empty_body_stores_nothing_and_is_no_error),
        cmocka_unit_test(on_invalid_reject_stores_nothing_of_the_request),
        cmocka_unit_test(bad_framing_stores_nothing),
        cmocka_unit_test(a_compressed_body_is_read_off_the_loop_however_small),
        cmocka_unit_test(a_compressed_body_beyond_its_limit_stores_nothing),
        cmocka_unit_test(a_damaged_body_stores_nothing),
        cmocka_unit_test(errors_in_an_array_go_by_index),
        cmocka_unit_test(a_retired_product_takes_nothing),
        cmocka_unit_test(beyond_its_bytes_it_is_busy_until_something_is_done),
        cmocka_unit_test(many_small_requests_are_bounded_too),
        cmocka_unit_test(what_records_take_beyond_their_text_counts_too),
        cmocka_unit_test(answers_come_in_the_order_of_commits),
        cmocka_unit_test(a_store_that_fails_acks_nothing_from_then_on),
        cmocka_unit_test(a_full_disk_says_so_and_is_over_when_there_is_room),
        cmocka_unit_test(out_of_memory_is_refused_or_answered_and_stores_all_or_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
