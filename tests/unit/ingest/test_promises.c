#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "leaf/rowcodec/row.h"
#include "leaf/store/read.h"
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

static void a_key_holds_whatever_the_clock_says(void **state)
{
    struct request r[3] = {0};
    struct fixture f;
    (void)state;

    setup(&f);
    run_keyed(&r[0], &f, "K-1", "{\"order_id\":\"1\"}\n");
    later(&f, INT64_C(365) * 24 * 3600);
    run_keyed(&r[1], &f, "K-1", "{\"order_id\":\"1\"}\n");
    assert_same_answer(&r[0], &r[1]);
    later(&f, INT64_C(-730) * 24 * 3600);
    run_keyed(&r[2], &f, "K-1", "{\"order_id\":\"1\"}\n");
    assert_same_answer(&r[0], &r[2]);
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

/* --- patches ---------------------------------------------------------------------------------- */

/* The row of a key of orders as CSV: order_id, amount, note, email, token. */
static const char *row_of(struct fixture *f, const char *id, struct sf_buf *out)
{
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    SF_CLEANUP(row_view_freep) struct row_view *view = NULL;
    SF_CLEANUP(sf_buf_done) struct sf_buf bytes = {0};
    SF_CLEANUP(sf_buf_done) struct sf_buf key = {0};
    const struct row_view_options all = {0};
    struct store_row row;
    bool found = false;

    sf_buf_text(&key, id);
    sf_buf_append(&key, "\0", 2);
    sf_buf_clear(out);
    assert_int_equal(row_view_build(f->orders->contract, &all, &view, NULL), SF_OK);
    assert_int_equal(store_snapshot_new(f->w.stores.store, &snapshot, NULL), SF_OK);
    assert_int_equal(
        store_get(snapshot, f->orders->lane, sf_buf_view(&key), &bytes, &row, &found, NULL), SF_OK);
    if (found) {
        assert_int_equal(row_render_csv(view, row.row, out, NULL), SF_OK);
    }
    return found ? sf_buf_cstr(out) : "absent";
}

static void change(struct request *r, struct fixture *f, const char *lines)
{
    *r = (struct request){.request.has_envelope = true};
    run(r, f, f->orders, lines);
}

static void a_patch_changes_what_it_names_and_keeps_the_rest(void **state)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf out = {0};
    struct request r;
    struct fixture f;
    (void)state;

    setup(&f);
    change(&r, &f,
           "{\"op\":\"upsert\",\"row\":{\"order_id\":\"1\",\"amount\":\"1.50\",\"note\":\"n\"}}\n");
    change(&r, &f,
           "{\"op\":\"patch\",\"row\":{\"order_id\":\"1\",\"email\":\"a@b.no\",\"note\":null}}\n");
    assert_true(r.ok);
    assert_result(&r, 2, 2, 1, 0);
    assert_string_equal(row_of(&f, "1", &out), "1,1.50,,a@b.no,\n");
    /* Within one request a patch sees what stands before it. */
    change(&r, &f,
           "{\"op\":\"patch\",\"row\":{\"order_id\":\"1\",\"note\":\"x\"}}\n"
           "{\"op\":\"patch\",\"row\":{\"order_id\":\"1\",\"amount\":\"2\"}}\n"
           "{\"op\":\"upsert\",\"row\":{\"order_id\":\"2\",\"note\":\"new\"}}\n"
           "{\"op\":\"patch\",\"row\":{\"order_id\":\"2\",\"amount\":\"3\"}}\n");
    assert_true(r.ok);
    assert_result(&r, 3, 6, 4, 0);
    assert_string_equal(row_of(&f, "1", &out), "1,2.00,x,a@b.no,\n");
    assert_string_equal(row_of(&f, "2", &out), "2,3.00,new,,\n");
    teardown(&f);
}

static void a_patch_without_a_row_or_with_a_bad_value_goes_to_quarantine(void **state)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf out = {0};
    struct request r;
    struct fixture f;
    (void)state;

    setup(&f);
    change(&r, &f,
           "{\"op\":\"upsert\",\"row\":{\"order_id\":\"1\",\"note\":\"n\"}}\n"
           "{\"op\":\"patch\",\"row\":{\"order_id\":\"9\",\"note\":\"x\"}}\n"
           "{\"op\":\"patch\",\"row\":{\"note\":\"x\"}}\n"
           "{\"op\":\"patch\",\"row\":{\"order_id\":\"1\",\"note\":7}}\n"
           "{\"op\":\"patch\",\"row\":{\"order_id\":\"1\",\"nothing\":7}}\n"
           "{\"op\":\"delete\",\"row\":{\"order_id\":\"1\"}}\n"
           "{\"op\":\"patch\",\"row\":{\"order_id\":\"1\",\"note\":\"x\"}}\n");
    assert_true(r.ok);
    assert_result(&r, 1, 2, 2, 5);
    assert_int_equal(r.errors[0].violation.number, SHEAF_E_ROW_ABSENT);
    assert_string_equal(r.errors[0].violation.text, "there is no row to patch");
    assert_int_equal(r.errors[1].violation.number, SHEAF_E_FIELD_MISSING);
    assert_int_equal(r.errors[2].violation.number, SHEAF_E_WRONG_TYPE);
    assert_int_equal(r.errors[3].violation.number, SHEAF_E_UNKNOWN_FIELD);
    assert_int_equal(r.errors[4].line, 7);
    assert_int_equal(r.errors[4].violation.number, SHEAF_E_ROW_ABSENT);
    assert_string_equal(row_of(&f, "1", &out), "absent");
    teardown(&f);
}

static void a_patch_may_say_where_its_row_must_be(void **state)
{
    struct request r;
    struct fixture f;
    (void)state;

    setup(&f);
    change(&r, &f, "{\"op\":\"upsert\",\"row\":{\"order_id\":\"1\"}}\n");
    change(&r, &f,
           "{\"op\":\"patch\",\"row\":{\"order_id\":\"1\",\"note\":\"x\"},\"expected_seq\":7}\n");
    assert_int_equal(r.error.code, SF_CONFLICT);
    assert_int_equal(r.error.number, SHEAF_E_NOT_EXPECTED);
    assert_string_equal(r.error.text, "the row of record 1 is at seq 1, not at 7");
    change(&r, &f,
           "{\"op\":\"patch\",\"row\":{\"order_id\":\"1\",\"note\":\"x\"},\"expected_seq\":1}\n");
    assert_true(r.ok);
    assert_int_equal(store_lane_head(f.orders->lane)->seq, 2);
    teardown(&f);
}

static void assert_changed_since(const struct request *r, const char *text)
{
    assert_false(r->ok);
    assert_int_equal(r->error.code, SF_CONFLICT);
    assert_int_equal(r->error.number, SHEAF_E_NOT_MATCHED);
    assert_string_equal(r->error.text, text);
}

/* if_match names where the row was read, which any answer says: that it has not changed since. */
static void a_row_that_changed_since_it_was_read_stops_the_request(void **state)
{
    struct request r;
    struct fixture f;
    (void)state;

    setup(&f);
    change(&r, &f, "{\"op\":\"upsert\",\"row\":{\"order_id\":\"1\"}}\n");
    change(&r, &f, "{\"op\":\"upsert\",\"row\":{\"order_id\":\"2\"}}\n");
    /* Other rows may have changed: 1 is as it was at 1:2, and nobody has made 3. */
    change(&r, &f,
           "{\"op\":\"patch\",\"row\":{\"order_id\":\"1\",\"note\":\"x\"},\"if_match\":\"1:2\"}\n"
           "{\"op\":\"upsert\",\"row\":{\"order_id\":\"3\"},\"if_match\":\"1:2\"}\n");
    assert_true(r.ok);
    change(&r, &f,
           "{\"op\":\"upsert\",\"row\":{\"order_id\":\"4\"}}\n"
           "{\"op\":\"upsert\",\"row\":{\"order_id\":\"1\"},\"if_match\":\"1:2\"}\n");
    assert_changed_since(&r, "the row of record 2 was written at 1:3, after 1:2");
    change(&r, &f,
           "{\"op\":\"patch\",\"row\":{\"order_id\":\"1\",\"note\":\"y\"},\"if_match\":\"1:2\"}\n");
    assert_changed_since(&r, "the row of record 1 was written at 1:3, after 1:2");
    change(&r, &f, "{\"op\":\"delete\",\"row\":{\"order_id\":\"1\"},\"if_match\":\"1:2\"}\n");
    assert_changed_since(&r, "the row of record 1 was written at 1:3, after 1:2");
    change(&r, &f, "{\"op\":\"delete\",\"row\":{\"order_id\":\"1\"},\"if_match\":\"1:3\"}\n");
    assert_true(r.ok);
    change(&r, &f, "{\"op\":\"upsert\",\"row\":{\"order_id\":\"1\"},\"if_match\":\"1:4\"}\n");
    assert_changed_since(&r, "the row of record 1 was deleted at 1:5, after 1:4");
    change(&r, &f, "{\"op\":\"upsert\",\"row\":{\"order_id\":\"2\"},\"if_match\":\"2:9\"}\n");
    assert_changed_since(&r, "if_match of record 1 is of epoch 2, the table is in epoch 1");
    assert_int_equal(store_lane_head(f.orders->lane)->seq, 5);
    assert_int_equal(store_lane_head(f.orders->lane)->quarantined, 0);
    teardown(&f);
}

/* Each has read the row where it stood: one of them wins, whatever comes between. */
static void of_writers_that_read_the_same_row_one_wins(void **state)
{
    unsigned raced = 0;
    (void)state;

    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct request r[4] = {0};
        struct request first;
        struct fixture f;
        unsigned won = 0;

        setup(&f);
        f.w.stores.sim.random = seed;
        change(&first, &f, "{\"op\":\"upsert\",\"row\":{\"order_id\":\"1\"}}\n");
        for (size_t i = 0; i < SF_COUNT(r); i++) {
            r[i].request.has_envelope = true;
            start(&r[i], &f, f.orders,
                  "{\"op\":\"upsert\",\"row\":{\"order_id\":\"1\"},\"if_match\":\"1:1\"}\n");
        }
        rt_sim_run(&f.w.stores.sim);
        for (size_t i = 0; i < SF_COUNT(r); i++) {
            assert_int_equal(r[i].answered, 1);
            won += r[i].ok;
            if (!r[i].ok) {
                assert_changed_since(&r[i], "the row of record 1 was written at 1:2, after 1:1");
            }
        }
        assert_int_equal(won, 1);
        raced += store_stats(f.w.stores.store).failures > 0;
        assert_int_equal(store_lane_head(f.orders->lane)->seq, 2);
        teardown(&f);
    }
    assert_true(raced > 0); /* Some had read the row before the winner wrote it. */
}

/* Requests that patch different fields of one row at the same time: none may undo another. */
static void patches_at_the_same_time_lose_nothing(void **state)
{
    unsigned busy = 0;
    (void)state;

    for (uint64_t seed = 1; seed <= 40; seed++) {
        static const char *const fields[] = {"amount", "note", "email", "token"};
        SF_CLEANUP(sf_buf_done) struct sf_buf out = {0};
        struct request r[4] = {0};
        struct request first;
        struct fixture f;

        setup(&f);
        f.w.stores.sim.random = seed;
        change(&first, &f, "{\"op\":\"upsert\",\"row\":{\"order_id\":\"1\"}}\n");
        for (size_t i = 0; i < SF_COUNT(r); i++) {
            char body[128];

            (void)snprintf(body, sizeof(body),
                           "{\"op\":\"patch\",\"row\":{\"order_id\":\"1\",\"%s\":\"5\"}}\n",
                           fields[i]);
            r[i].request.has_envelope = true;
            start(&r[i], &f, f.orders, body);
        }
        rt_sim_run(&f.w.stores.sim);
        for (size_t i = 0; i < SF_COUNT(r); i++) {
            assert_int_equal(r[i].answered, 1);
            assert_true(r[i].ok);
        }
        busy += store_stats(f.w.stores.store).failures > 0;
        assert_string_equal(row_of(&f, "1", &out), "1,5.00,5,5,5\n");
        assert_int_equal(store_lane_head(f.orders->lane)->seq, 5);
        teardown(&f);
    }
    assert_true(busy > 0); /* They did get into each other's way. */
}

/* Whether a query thread has read a request and its loop does not know yet. */
static bool has_read(const struct fixture *f)
{
    for (size_t i = 0; i < SF_COUNT(f->w.stores.sim.threads); i++) {
        const struct rt_sim_thread *t = &f->w.stores.sim.threads[i];

        if (t->work != NULL && t->work->pool == SF_POOL_QUERY && t->runs_ns == 0) {
            return true;
        }
    }
    return false;
}

static void a_patch_that_is_always_overtaken_is_told_to_come_back(void **state)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf out = {0};
    struct request patch = {.request.has_envelope = true};
    struct request others[9] = {0};
    struct fixture f;
    bool read_before = false;
    size_t n = 1;
    (void)state;

    setup(&f);
    run(&others[0], &f, f.orders, "{\"order_id\":\"1\"}\n");
    start(&patch, &f, f.orders, "{\"op\":\"patch\",\"row\":{\"order_id\":\"1\",\"note\":\"x\"}}\n");
    while (rt_sim_step(&f.w.stores.sim)) {
        const bool read_now = has_read(&f);

        if (read_now && !read_before) { /* Somebody is faster, each time. */
            assert_true(n < SF_COUNT(others));
            start(&others[n++], &f, f.orders, "{\"order_id\":\"1\",\"note\":\"other\"}\n");
        }
        read_before = read_now;
    }
    assert_int_equal(patch.answered, 1);
    assert_int_equal(patch.error.code, SF_BUSY);
    assert_int_equal(patch.error.number, SHEAF_E_BUSY);
    assert_string_equal(patch.error.text, "a row to patch was changed by others 8 times");
    assert_string_equal(row_of(&f, "1", &out), "1,,other,,\n");
    assert_int_equal(n, 9);
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
        cmocka_unit_test(a_key_holds_whatever_the_clock_says),
        cmocka_unit_test(a_table_that_is_not_where_it_was_expected_takes_nothing),
        cmocka_unit_test(a_row_that_is_not_where_it_was_expected_stops_the_request),
        cmocka_unit_test(a_patch_changes_what_it_names_and_keeps_the_rest),
        cmocka_unit_test(a_patch_without_a_row_or_with_a_bad_value_goes_to_quarantine),
        cmocka_unit_test(a_patch_may_say_where_its_row_must_be),
        cmocka_unit_test(a_row_that_changed_since_it_was_read_stops_the_request),
        cmocka_unit_test(of_writers_that_read_the_same_row_one_wins),
        cmocka_unit_test(patches_at_the_same_time_lose_nothing),
        cmocka_unit_test(a_patch_that_is_always_overtaken_is_told_to_come_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
