#include "tests/lib/cmocka.h"

#include "proto/errors.h"
#include "tests/unit/ingest/fixture.h"

/* --- idempotency keys ------------------------------------------------------------------------- */

static void run_keyed(struct request *r, struct fixture *f, const char *key, const char *body)
{
    r->request.caller = r->request.caller == NULL ? "ana" : r->request.caller;
    r->request.idempotency_key = key;
    run(r, f, f->orders, body);
}

static void assert_same_answer(const struct request *a, const struct request *b)
{
    assert_true(b->ok);
    assert_int_equal(b->result.epoch, a->result.epoch);
    assert_int_equal(b->result.commit, a->result.commit);
    assert_result(b, a->result.first_seq, a->result.last_seq, a->result.accepted,
                  a->result.quarantined);
    assert_string_equal(b->json, a->json);
    assert_true(b->result.replayed);
}

static void a_repeated_key_gets_the_same_answer_and_stores_nothing(void **state)
{
    static const char body[] = "{\"order_id\":\"1\"}\n{\"order_id\":2}\n{\"order_id\":\"3\"}\n";
    struct request a = {0};
    struct request between = {0};
    struct request b = {0};
    struct fixture f;
    uint64_t writes;
    (void)state;

    setup(&f);
    run_keyed(&a, &f, "K-1", body);
    assert_true(a.ok);
    assert_false(a.result.replayed);
    assert_result(&a, 1, 2, 2, 1);
    assert_int_equal(a.result.commit, 1);
    run(&between, &f, f.orders, "{\"order_id\":\"9\"}\n");
    writes = f.w.stores.disk.writes;
    run_keyed(&b, &f, "K-1", body);
    assert_same_answer(&a, &b);
    assert_string_equal(b.json, "[{\"line\":2,\"code\":\"SHEAF-E0204\",\"field\":\"order_id\","
                                "\"detail\":\"'order_id' must be a string\"}]");
    assert_int_equal(f.w.stores.disk.writes, writes);
    assert_int_equal(store_lane_head(f.orders->lane)->seq, 3);
    teardown(&f);
}

static void a_request_that_stores_nothing_is_repeated_as_it_was(void **state)
{
    struct request empty[2] = {0};
    struct request absent[2] = {{.request.has_envelope = true}, {.request.has_envelope = true}};
    struct request between = {0};
    struct fixture f;
    (void)state;

    setup(&f);
    run(&between, &f, f.orders, "{\"order_id\":\"1\"}\n");
    run_keyed(&empty[0], &f, "K-1", "");
    run_keyed(&absent[0], &f, "K-2", "{\"op\":\"delete\",\"row\":{\"order_id\":\"x\"}}\n");
    assert_result(&absent[0], 0, 1, 1, 0);
    assert_int_equal(absent[0].result.commit, 0);
    between = (struct request){0};
    run(&between, &f, f.orders, "{\"order_id\":\"2\"}\n");
    run_keyed(&empty[1], &f, "K-1", "");
    run_keyed(&absent[1], &f, "K-2", "{\"op\":\"delete\",\"row\":{\"order_id\":\"x\"}}\n");
    assert_same_answer(&empty[0], &empty[1]);
    assert_same_answer(&absent[0], &absent[1]);
    teardown(&f);
}

static void a_key_survives_a_crash_with_its_records(void **state)
{
    static const char body[] = "{\"n\":1}\n";
    struct request a = {0};
    struct request b = {0};
    struct fixture f;
    (void)state;

    setup(&f);
    a.request.idempotency_key = "K-1";
    run(&a, &f, f.clicks, body);
    ingest_free(f.ingest);
    leaf_world_crash(&f.w, world_orders);
    open_ingest(&f, 0, 0);
    b.request.idempotency_key = "K-1";
    run(&b, &f, leaf_world_table(&f.w, "clicks"), body);
    assert_same_answer(&a, &b);
    assert_int_equal(store_lane_head(leaf_world_table(&f.w, "clicks")->lane)->seq, 1);
    teardown(&f);
}

static void a_key_of_another_request_is_refused(void **state)
{
    static const char body[] = "{\"order_id\":\"1\"}\n";
    struct request a = {0};
    struct request other[4] = {
        {.request.on_invalid = INGEST_REJECT},
        {.request.expect = INGEST_EXPECT_SEQ, .request.expect_seq = 1},
        {0},
        {.request.format = BATCH_CSV},
    };
    struct request clicks = {.request.idempotency_key = "K-1", .request.caller = "ana"};
    struct fixture f;
    (void)state;

    setup(&f);
    run_keyed(&a, &f, "K-1", body);
    assert_true(a.ok);
    for (size_t i = 0; i < SF_COUNT(other); i++) {
        run_keyed(&other[i], &f, "K-1", i == 2 ? "{\"order_id\":\"2\"}\n" : body);
        assert_false(other[i].ok);
        assert_int_equal(other[i].error.code, SF_INVALID);
        assert_int_equal(other[i].error.number, SHEAF_E_KEY_REUSED);
    }
    run(&clicks, &f, f.clicks, body); /* of another table */
    assert_int_equal(clicks.error.number, SHEAF_E_KEY_REUSED);
    assert_int_equal(store_lane_head(f.orders->lane)->seq, 1);
    teardown(&f);
}

static void keys_belong_to_their_caller(void **state)
{
    struct request a = {0};
    struct request b = {.request.caller = "ben"};
    struct fixture f;
    (void)state;

    setup(&f);
    run_keyed(&a, &f, "K-1", "{\"order_id\":\"1\"}\n");
    run_keyed(&b, &f, "K-1", "{\"order_id\":\"2\"}\n");
    assert_true(b.ok);
    assert_false(b.result.replayed);
    assert_int_equal(store_lane_head(f.orders->lane)->seq, 2);
    teardown(&f);
}

static void of_two_at_once_with_one_key_the_second_is_told_so(void **state)
{
    static const char body[] = "{\"order_id\":\"1\"}\n";
    struct request r[3] = {0};
    struct fixture f;
    (void)state;

    setup(&f);
    for (size_t i = 0; i < SF_COUNT(r); i++) {
        r[i].request.idempotency_key = "K-1";
    }
    start(&r[0], &f, f.orders, body);
    assert_true(is_working(&f)); /* The look-up may block. */
    start(&r[1], &f, f.orders, body);
    assert_int_equal(r[0].code, SF_OK);
    assert_int_equal(r[1].code, SF_CONFLICT);
    assert_int_equal(r[1].refused.number, SHEAF_E_KEY_BUSY);
    assert_string_equal(r[1].refused.text, "another request with this key is not answered yet");
    rt_sim_run(&f.w.stores.sim);
    assert_true(r[0].ok);
    assert_int_equal(r[1].answered, 0);
    run(&r[2], &f, f.orders, body);
    assert_same_answer(&r[0], &r[2]);
    teardown(&f);
}

static void a_refused_request_leaves_its_key_free(void **state)
{
    struct request a = {.request.on_invalid = INGEST_REJECT};
    struct request b = {0};
    struct fixture f;
    (void)state;

    setup(&f);
    run_keyed(&a, &f, "K-1", "{\"order_id\":1}\n");
    assert_int_equal(a.error.number, SHEAF_E_RECORD_INVALID);
    run_keyed(&b, &f, "K-1", "{\"order_id\":\"1\"}\n");
    assert_true(b.ok);
    assert_result(&b, 1, 1, 1, 0);
    teardown(&f);
}

static void later(struct fixture *f, int64_t seconds)
{
    struct rt_sim *sim = &f->w.stores.sim;

    rt_sim_set_wall_us(sim, sf_rt_wall_us(&sim->rt) + seconds * SF_US_PER_S);
}

static void a_key_is_free_again_after_thirty_days_and_not_before(void **state)
{
    struct request r[3] = {0};
    struct fixture f;
    (void)state;

    setup(&f);
    run_keyed(&r[0], &f, "K-1", "{\"order_id\":\"1\"}\n");
    later(&f, INT64_C(30) * 24 * 3600 - 60);
    run_keyed(&r[1], &f, "K-1", "{\"order_id\":\"1\"}\n");
    assert_same_answer(&r[0], &r[1]);
    later(&f, 120);
    run_keyed(&r[2], &f, "K-1", "{\"order_id\":\"2\"}\n");
    assert_true(r[2].ok);
    assert_false(r[2].result.replayed);
    assert_result(&r[2], 2, 2, 1, 0);
    teardown(&f);
}

/* --- expectations ----------------------------------------------------------------------------- */

static void a_table_that_is_not_where_it_was_expected_takes_nothing(void **state)
{
    struct request first = {.request.expect = INGEST_EXPECT_SEQ};
    struct request late = {.request.expect = INGEST_EXPECT_SEQ};
    struct request match = {.request.expect = INGEST_EXPECT_POSITION,
                            .request.expect_epoch = 1,
                            .request.expect_seq = 1};
    struct request stale = match;
    struct request epoch = match;
    struct request empty = late;
    struct fixture f;
    (void)state;

    setup(&f);
    run(&first, &f, f.orders, "{\"order_id\":\"1\"}\n");
    assert_true(first.ok);
    run(&late, &f, f.orders, "{\"order_id\":\"2\"}\n{\"order_id\":3}\n");
    assert_false(late.ok);
    assert_int_equal(late.error.code, SF_CONFLICT);
    assert_int_equal(late.error.number, SHEAF_E_NOT_EXPECTED);
    assert_string_equal(late.error.text, "table 'orders' is at 1:1");
    assert_int_equal(store_lane_head(f.orders->lane)->quarantined, 0);
    run(&match, &f, f.orders, "{\"order_id\":\"2\"}\n");
    assert_true(match.ok);
    run(&stale, &f, f.orders, "{\"order_id\":\"2\"}\n");
    assert_int_equal(stale.error.number, SHEAF_E_NOT_MATCHED);
    assert_string_equal(stale.error.text, "table 'orders' is at 1:2");
    epoch.request.expect_epoch = 2;
    epoch.request.expect_seq = 2;
    run(&epoch, &f, f.orders, "{\"order_id\":\"2\"}\n");
    assert_int_equal(epoch.error.number, SHEAF_E_NOT_MATCHED);
    run(&empty, &f, f.orders, ""); /* expected empty, and is not: that is said even so */
    assert_int_equal(empty.error.number, SHEAF_E_NOT_EXPECTED);
    assert_int_equal(store_lane_head(f.orders->lane)->seq, 2);
    teardown(&f);
}

static void a_row_that_is_not_where_it_was_expected_stops_the_request(void **state)
{
    struct request r[4] = {{.request.has_envelope = true},
                           {.request.has_envelope = true},
                           {.request.has_envelope = true},
                           {.request.has_envelope = true}};
    struct fixture f;
    (void)state;

    setup(&f);
    run(&r[0], &f, f.orders,
        "{\"op\":\"upsert\",\"row\":{\"order_id\":\"1\"},\"expected_seq\":0}\n"
        "{\"op\":\"upsert\",\"row\":{\"order_id\":\"2\"}}\n");
    assert_true(r[0].ok);
    run(&r[1], &f, f.orders,
        "\n{\"op\":\"upsert\",\"row\":{\"order_id\":\"3\"}}\n"
        "{\"op\":\"upsert\",\"row\":{\"order_id\":\"2\"},\"expected_seq\":1}\n");
    assert_int_equal(r[1].error.code, SF_CONFLICT);
    assert_int_equal(r[1].error.number, SHEAF_E_NOT_EXPECTED);
    assert_string_equal(r[1].error.text, "the row of record 3 is at seq 2, not at 1");
    run(&r[2], &f, f.orders,
        "{\"op\":\"delete\",\"row\":{\"order_id\":\"2\"},\"expected_seq\":2}\n");
    assert_true(r[2].ok);
    run(&r[3], &f, f.orders,
        "{\"op\":\"upsert\",\"row\":{\"order_id\":\"1\"},\"expected_seq\":0}\n");
    assert_string_equal(r[3].error.text, "the row of record 1 is at seq 1, not at 0");
    assert_int_equal(store_lane_head(f.orders->lane)->seq, 3);
    assert_int_equal(store_lane_head(f.orders->lane)->rows, 1);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_repeated_key_gets_the_same_answer_and_stores_nothing),
        cmocka_unit_test(a_request_that_stores_nothing_is_repeated_as_it_was),
        cmocka_unit_test(a_key_survives_a_crash_with_its_records),
        cmocka_unit_test(a_key_of_another_request_is_refused),
        cmocka_unit_test(keys_belong_to_their_caller),
        cmocka_unit_test(of_two_at_once_with_one_key_the_second_is_told_so),
        cmocka_unit_test(a_refused_request_leaves_its_key_free),
        cmocka_unit_test(a_key_is_free_again_after_thirty_days_and_not_before),
        cmocka_unit_test(a_table_that_is_not_where_it_was_expected_takes_nothing),
        cmocka_unit_test(a_row_that_is_not_where_it_was_expected_stops_the_request),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
