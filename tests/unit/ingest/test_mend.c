/* Quarantined records: replayed, fixed, dropped; each once, whatever happens in between. */
#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "leaf/ingest/mend.h"
#include "leaf/ingest/raw_place.h"
#include "leaf/rowcodec/row.h"
#include "proto/errors.h"
#include "tests/unit/ingest/fixture.h"

struct mending {
    struct fixture f;
    struct mender *mender;
    bool answered;
    struct mend_result result;
    struct sf_error error; /* code SF_OK: done */
    char errors[1024];
};

/* sales/orders 1.1.0, in which amounts may be below 0 and clicks have a text more. */
static const char looser[] =
    "sheaf: product/v1\nproduct: sales/orders\nversion: 1.1.0\nowner: t\ndescription: d\ntables:\n"
    "  orders:\n    kind: state\n    key: [order_id]\n    fields:\n"
    "      order_id: {number: 1, type: string, required: true}\n"
    "      amount: {number: 2, type: \"decimal(12,2)\", unit: EUR}\n"
    "      note: {number: 3, type: string}\n"
    "      email: {number: 4, type: string, class: pii}\n"
    "      token: {number: 5, type: string, class: secret}\n"
    "      country: {number: 6, type: string}\n"
    "  clicks:\n    kind: event\n    fields:\n      page: {number: 1, type: string}\n"
    "      n: {number: 2, type: int32}\n      ip: {number: 3, type: string, class: pii}\n"
    "      more: {number: 4, type: string}\n";

static void open_mender(struct mending *m)
{
    setup(&m->f);
    assert_int_equal(mender_new(&m->f.w.stores.sim.rt, m->f.w.stores.store, &m->mender, NULL),
                     SF_OK);
}

static void close_mender(struct mending *m)
{
    mender_free(m->mender);
    teardown(&m->f);
}

static void on_mended(void *data, const struct mend_result *result, const struct sf_error *err)
{
    struct mending *m = data;

    assert_false(m->answered);
    m->answered = true;
    m->result = *result;
    m->error = err == NULL ? (struct sf_error){0} : *err;
    (void)snprintf(m->errors, sizeof(m->errors), "%.*s", SF_SLICE_ARG(result->errors));
}

static enum sf_code begin(struct mending *m, struct mend_request request)
{
    m->answered = false;
    request.user = "ann";
    return mend_start(m->mender, &request, on_mended, m, &m->error);
}

static enum sf_code mend(struct mending *m, struct mend_request request)
{
    enum sf_code code = begin(m, request);

    if (code != SF_OK) {
        return code;
    }
    assert_false(m->answered);
    rt_sim_run(&m->f.w.stores.sim);
    assert_true(m->answered);
    assert_int_equal(mender_pending(m->mender), 0);
    return m->error.code;
}

static void later(struct mending *m, int64_t us)
{
    struct rt_sim *sim = &m->f.w.stores.sim;

    rt_sim_set_wall_us(sim, sf_rt_wall_us(&sim->rt) + us);
}

static void send(struct mending *m, const struct served_table *table, struct ingest_request request,
                 const char *body)
{
    struct request r = {.request = request};

    run(&r, &m->f, table, body);
    assert_true(r.ok);
}

static void send_orders(struct mending *m, const char *ndjson)
{
    send(m, m->f.orders, (struct ingest_request){.format = BATCH_NDJSON}, ndjson);
}

static const char *rows(struct mending *m, const struct served_table *table, char ret[1024])
{
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    SF_CLEANUP(store_scan_freep) struct store_scan *scan = NULL;
    SF_CLEANUP(row_view_freep) struct row_view *view = NULL;
    SF_CLEANUP(sf_buf_done) struct sf_buf text = {0};
    const struct row_view_options all = {0};
    struct store_range range = {0};
    struct store_row row;
    bool more = true;

    assert_int_equal(row_view_build(table->contract, &all, &view, NULL), SF_OK);
    assert_int_equal(store_snapshot_new(m->f.w.stores.store, &snapshot, NULL), SF_OK);
    assert_int_equal(store_scan_new(snapshot, table->lane, &range, &scan, NULL), SF_OK);
    for (;;) {
        assert_int_equal(store_scan_next(scan, &row, &more, NULL), SF_OK);
        if (!more) {
            break;
        }
        assert_int_equal(row_render_csv(view, row.row, &text, NULL), SF_OK);
    }
    (void)snprintf(ret, 1024, "%.*s", (int)text.size, (const char *)text.data);
    return ret;
}

/* "qseq:code,code:field ..." */
static const char *entries(struct mending *m, const struct served_table *table, char ret[1024])
{
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    SF_CLEANUP(store_quarantine_freep) struct store_quarantine *q = NULL;
    struct store_quarantined e;
    bool more = true;
    size_t at = 0;

    ret[0] = '\0';
    assert_int_equal(store_snapshot_new(m->f.w.stores.store, &snapshot, NULL), SF_OK);
    assert_int_equal(store_quarantine_new(snapshot, table->lane, 0, false, &q, NULL), SF_OK);
    for (;;) {
        assert_int_equal(store_quarantine_next(q, &e, &more, NULL), SF_OK);
        if (!more) {
            return ret;
        }
        at += (size_t)snprintf(ret + at, 1024 - at, "%s%u:%u:%.*s", at == 0 ? "" : " ",
                               (unsigned)e.qseq, e.codes[0], SF_SLICE_ARG(e.field));
    }
}

static const struct served_table *newer(struct mending *m, const char *name)
{
    return served_product_table(product_set_find(&m->f.w.serving.products, "orders", 1), name);
}

static void a_replay_stores_what_is_valid_now_and_keeps_the_rest(void **state)
{
    struct mending m = {0};
    const struct served_table *t;
    char text[1024];

    (void)state;
    open_mender(&m);
    send_orders(&m,
                "{\"order_id\":\"a\",\"amount\":\"-1\"}\n{\"order_id\":\"b\",\"amount\":true}\n"
                "{\"order_id\":\"c\",\"country\":\"NO\"}\n{\"order_id\":\"d\",\"amount\":\"5\"}");
    send(&m, m.f.orders, (struct ingest_request){.format = BATCH_CSV},
         "note,order_id,amount\nx,e,-2\ny,f,?\n");
    assert_string_equal(entries(&m, m.f.orders, text),
                        "1:205:amount 2:204:amount 3:203: 4:205:amount 5:204:amount");
    /* Under the contract of before nothing changes, nothing is written. */
    m.f.writes = m.f.w.stores.disk.writes;
    assert_int_equal(mend(&m, (struct mend_request){.what = MEND_REPLAY, .table = m.f.orders}),
                     SF_OK);
    assert_int_equal(m.result.left, 5);
    assert_int_equal(m.result.resolved, 0);
    assert_int_equal(m.f.w.stores.disk.writes, m.f.writes);
    assert_string_equal(
        m.errors, "[{\"qseq\":1,\"code\":\"SHEAF-E0205\",\"field\":\"amount\",\"detail\":"
                  "\"'amount' is below its min\"},{\"qseq\":2,\"code\":\"SHEAF-E0204\","
                  "\"field\":\"amount\",\"detail\":\"'amount' must be a number\"},{\"qseq\":3,"
                  "\"code\":\"SHEAF-E0203\",\"detail\":\"'country' is not in the contract\"},"
                  "{\"qseq\":4,\"code\":\"SHEAF-E0205\",\"field\":\"amount\",\"detail\":"
                  "\"'amount' is below its min\"},{\"qseq\":5,\"code\":\"SHEAF-E0204\","
                  "\"field\":\"amount\",\"detail\":\"'amount' must be a number\"}]");
    (void)leaf_world_add(&m.f.w, looser);
    t = newer(&m, "orders");
    for (int i = 0; i < 2; i++) { /* The second time there is nothing to do. */
        assert_int_equal(mend(&m, (struct mend_request){.what = MEND_REPLAY, .table = t}), SF_OK);
        assert_int_equal(m.result.resolved, i == 0 ? 3 : 0);
        assert_int_equal(m.result.left, 2);
        assert_int_equal(m.result.first_seq, i == 0 ? 2 : 0);
        assert_int_equal(m.result.last, 5);
        assert_false(m.result.more);
        assert_string_equal(entries(&m, t, text), "2:204:amount 5:204:amount");
        assert_string_equal(rows(&m, t, text), "a,-1.00,,,,\nc,,,,,NO\nd,5.00,,,,\ne,-2.00,x,,,\n");
    }
    close_mender(&m);
}

static void a_replay_goes_in_bounded_pieces_by_the_numbers(void **state)
{
    struct mending m = {0};
    const struct served_table *t;
    struct mend_request request;
    char text[1024];

    (void)state;
    open_mender(&m);
    for (int i = 0; i < 5; i++) {
        send(&m, m.f.clicks, (struct ingest_request){.format = BATCH_NDJSON},
             "{\"page\":\"p\",\"more\":\"x\"}\n{\"n\":true}");
    }
    (void)leaf_world_add(&m.f.w, looser);
    t = newer(&m, "clicks");
    request = (struct mend_request){
        .what = MEND_REPLAY, .table = t, .limit = 2, .filter = {.code = SHEAF_E_UNKNOWN_FIELD}};
    assert_int_equal(mend(&m, request), SF_OK);
    assert_int_equal(m.result.resolved, 2);
    assert_int_equal(m.result.last, 3);
    assert_int_equal(m.result.until, 10);
    assert_true(m.result.more);
    request.after = m.result.last;
    request.until = 8;
    request.limit = 0;
    assert_int_equal(mend(&m, request), SF_OK);
    assert_int_equal(m.result.resolved, 2);
    assert_int_equal(m.result.last, 8);
    assert_false(m.result.more);
    assert_string_equal(entries(&m, t, text), "2:204:n 4:204:n 6:204:n 8:204:n 9:203: 10:204:n");
    close_mender(&m);
}

/* Of a key, what came last wins: in one request, over several, and against rows of others. */
static void a_record_does_not_replace_a_row_that_came_later(void **state)
{
    struct mending m = {0};
    const struct served_table *t;
    struct mend_request request;
    char text[1024];

    (void)state;
    open_mender(&m);
    send_orders(&m, "{\"order_id\":\"a\",\"amount\":\"-1\"}");
    send_orders(&m, "{\"order_id\":\"b\",\"amount\":\"-1\"}");
    send_orders(&m, "{\"order_id\":\"a\",\"amount\":\"-2\"}");
    later(&m, 1000000);
    send_orders(&m, "{\"order_id\":\"b\",\"amount\":\"7\"}");
    (void)leaf_world_add(&m.f.w, looser);
    t = newer(&m, "orders");
    request = (struct mend_request){.what = MEND_REPLAY, .table = t, .limit = 1};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(mend(&m, request), SF_OK);
        request.after = m.result.last;
        assert_int_equal(m.result.left, i == 1 ? 1 : 0);
    }
    assert_string_equal(rows(&m, t, text), "a,-2.00,,,,\nb,7.00,,,,\n");
    assert_string_equal(entries(&m, t, text), "2:315:");
    request = (struct mend_request){.what = MEND_REPLAY, .table = t, .entry = 2, .overwrite = true};
    assert_int_equal(mend(&m, request), SF_OK);
    assert_string_equal(rows(&m, t, text), "a,-2.00,,,,\nb,-1.00,,,,\n");
    assert_string_equal(entries(&m, t, text), "");
    close_mender(&m);
}

/* Of a row whose change was trimmed, the anchor says how new it may be at most. */
static void a_record_goes_before_a_row_that_was_trimmed_only_when_it_came_later(void **state)
{
    struct mending m = {0};
    const struct served_table *t;
    char text[1024];

    (void)state;
    open_mender(&m);
    send_orders(&m, "{\"order_id\":\"a\",\"amount\":\"-1\"}");
    later(&m, 1000000);
    send_orders(&m, "{\"order_id\":\"a\",\"amount\":\"7\"}\n{\"order_id\":\"b\",\"amount\":\"8\"}");
    store_world_trim(&m.f.w.stores, m.f.orders->lane);
    later(&m, 1000000);
    send_orders(&m, "{\"order_id\":\"b\",\"amount\":\"-2\"}");
    (void)leaf_world_add(&m.f.w, looser);
    t = newer(&m, "orders");
    assert_int_equal(mend(&m, (struct mend_request){.what = MEND_REPLAY, .table = t, .limit = 10}),
                     SF_OK);
    assert_int_equal(m.result.resolved, 1);
    assert_string_equal(rows(&m, t, text), "a,7.00,,,,\nb,-2.00,,,,\n");
    assert_string_equal(entries(&m, t, text), "1:315:");
    close_mender(&m);
}

static void envelopes_are_replayed_as_what_they_were(void **state)
{
    struct mending m = {0};
    const struct served_table *t;
    char text[1024];

    (void)state;
    open_mender(&m);
    send_orders(&m, "{\"order_id\":\"a\",\"amount\":\"1\",\"note\":\"n\"}\n{\"order_id\":\"b\"}");
    later(&m, 1000000);
    send(&m, m.f.orders, (struct ingest_request){.format = BATCH_NDJSON, .has_envelope = true},
         "{\"op\":\"patch\",\"row\":{\"order_id\":\"a\",\"amount\":\"-3\"}}\n"
         "{\"op\":\"patch\",\"row\":{\"order_id\":\"a\",\"country\":\"DK\"}}\n"
         "{\"op\":\"upsert\",\"row\":{\"order_id\":\"b\",\"country\":\"SE\"},\"expected_seq\":9}\n"
         "{\"op\":\"patch\",\"row\":{\"order_id\":\"nobody\",\"amount\":\"-3\"}}\n");
    (void)leaf_world_add(&m.f.w, looser);
    t = newer(&m, "orders");
    assert_int_equal(mend(&m, (struct mend_request){.what = MEND_REPLAY, .table = t}), SF_OK);
    assert_string_equal(rows(&m, t, text), "a,-3.00,n,,,DK\nb,,,,,\n");
    assert_string_equal(entries(&m, t, text), "3:312: 4:305:");
    close_mender(&m);
}

static void a_fix_puts_one_record_in_the_place_of_an_entry(void **state)
{
    struct mending m = {0};
    struct mend_request request = {.what = MEND_FIX, .entry = 2};
    char text[1024];

    (void)state;
    open_mender(&m);
    send_orders(&m, "{\"order_id\":\"a\",\"amount\":\"?\"}\n{\"order_id\":\"b\",\"amount\":\"?\"}");
    request.table = m.f.orders;
    request.format = BATCH_JSON;
    sf_buf_text(&request.body, "{\"order_id\":\"b\",\"amount\":\"-1\"}");
    assert_int_equal(mend(&m, request), SF_INVALID);
    assert_int_equal(m.error.number, SHEAF_E_RECORD_INVALID);
    assert_string_equal(m.errors, "[{\"qseq\":2,\"code\":\"SHEAF-E0205\",\"field\":\"amount\","
                                  "\"detail\":\"'amount' is below its min\"}]");
    request.body = (struct sf_buf){0};
    sf_buf_text(&request.body, "[{\"order_id\":\"b\"},{\"order_id\":\"c\"}]");
    assert_int_equal(mend(&m, request), SF_INVALID);
    assert_int_equal(m.error.number, SHEAF_E_BAD_FRAMING);
    assert_string_equal(entries(&m, m.f.orders, text), "1:204:amount 2:204:amount");
    request.format = BATCH_CSV;
    for (int i = 0; i < 2; i++) { /* The second time the entry is gone. */
        request.body = (struct sf_buf){0};
        sf_buf_text(&request.body, "order_id,amount\nb,1\n");
        assert_int_equal(mend(&m, request), i == 0 ? SF_OK : SF_ABSENT);
        assert_int_equal(m.error.number, i == 0 ? 0 : SHEAF_E_ENTRY_GONE);
        assert_string_equal(rows(&m, m.f.orders, text), "b,1.00,,,\n");
        assert_string_equal(entries(&m, m.f.orders, text), "1:204:amount");
        assert_int_equal(store_lane_head(m.f.orders->lane)->seq, 1);
    }
    close_mender(&m);
}

static void entries_are_dropped_by_number_code_field_and_age(void **state)
{
    struct mending m = {0};
    struct mend_request request = {.what = MEND_DROP};
    char text[1024];

    (void)state;
    open_mender(&m);
    send(&m, m.f.clicks, (struct ingest_request){.format = BATCH_NDJSON},
         "{\"n\":true}\n{\"page\":1}\n{\"x\":1}");
    later(&m, 60000000);
    send(&m, m.f.clicks, (struct ingest_request){.format = BATCH_NDJSON},
         "{\"n\":true}\n{\"x\":1}");
    request.table = m.f.clicks;
    request.entry = 3;
    assert_int_equal(mend(&m, request), SF_OK);
    assert_string_equal(entries(&m, m.f.clicks, text), "1:204:n 2:204:page 4:204:n 5:203:");
    assert_int_equal(mend(&m, request), SF_ABSENT);
    request.entry = 0;
    (void)snprintf(request.filter.field, sizeof(request.filter.field), "n");
    request.filter.to_us = sf_rt_wall_us(&m.f.w.stores.sim.rt) - 30000000;
    assert_int_equal(mend(&m, request), SF_OK);
    assert_string_equal(entries(&m, m.f.clicks, text), "2:204:page 4:204:n 5:203:");
    request.filter = (struct quarantine_filter){.code = SHEAF_E_WRONG_TYPE};
    assert_int_equal(mend(&m, request), SF_OK);
    assert_int_equal(m.result.resolved, 2);
    assert_string_equal(entries(&m, m.f.clicks, text), "5:203:");
    assert_int_equal(store_lane_held(m.f.clicks->lane).entries, 1);
    close_mender(&m);
}

static void a_retired_product_takes_no_record_back_and_lets_go_of_all(void **state)
{
    static const char retired[] =
        "sheaf: product/v1\nproduct: sales/old\nversion: 1.0.0\nstatus: retired\ntables:\n"
        "  old:\n    kind: event\n    fields:\n      n: {number: 1, type: int32}\n";
    const struct served_table *table;
    struct mending m;
    (void)state;

    open_mender(&m);
    table = &leaf_world_add(&m.f.w, retired)->tables[0];
    assert_int_equal(mend(&m, (struct mend_request){.table = table, .what = MEND_REPLAY}),
                     SF_CONFLICT);
    assert_int_equal(m.error.number, SHEAF_E_WRONG_STATE);
    assert_int_equal(mend(&m, (struct mend_request){.table = table, .what = MEND_DROP}), SF_OK);
    close_mender(&m);
}

static void a_table_is_mended_by_one_request_at_a_time(void **state)
{
    struct mending m = {0};
    struct mending other = {0};
    struct mend_request request = {.what = MEND_DROP};

    (void)state;
    open_mender(&m);
    send(&m, m.f.clicks, (struct ingest_request){.format = BATCH_NDJSON}, "{\"n\":true}");
    request.table = m.f.clicks;
    assert_int_equal(begin(&m, request), SF_OK);
    assert_int_equal(mend_start(m.mender, &request, on_mended, &other, &other.error), SF_BUSY);
    assert_int_equal(other.error.number, SHEAF_E_BUSY);
    request.table = m.f.orders; /* another table is free */
    assert_int_equal(mend_start(m.mender, &request, on_mended, &other, &other.error), SF_OK);
    rt_sim_run(&m.f.w.stores.sim);
    assert_true(m.answered);
    assert_true(other.answered);
    assert_int_equal(m.result.resolved, 1);
    close_mender(&m);
}

/* The power fails at every write of a replay: no entry is lost, none becomes two rows. */
static void a_replay_that_is_cut_off_doubles_nothing(void **state)
{
    char text[1024];

    (void)state;
    for (unsigned cut = 0; cut < 3; cut++) {
        struct mending m = {0};
        struct mend_request request = {.what = MEND_REPLAY, .limit = 1};
        uint64_t rows_now;
        uint64_t left;

        open_mender(&m);
        send(&m, m.f.clicks, (struct ingest_request){.format = BATCH_NDJSON},
             "{\"more\":\"1\"}\n{\"more\":\"2\"}\n{\"more\":\"3\"}");
        (void)leaf_world_add(&m.f.w, looser);
        request.table = newer(&m, "clicks");
        for (unsigned i = 0; i < cut; i++) {
            assert_int_equal(mend(&m, request), SF_OK);
            request.after = m.result.last;
        }
        m.f.w.stores.disk.fail_write_in = 1;
        m.f.w.stores.disk.fail_applies = cut == 1;
        assert_int_equal(mend(&m, request), SF_IO);
        mender_free(m.mender);
        ingest_free(m.f.ingest);
        m.f.ingest = NULL;
        m.f.w.stores.disk.fail_write_in = 0;
        leaf_world_crash(&m.f.w, looser);
        request.table = leaf_world_table(&m.f.w, "clicks");
        rows_now = store_lane_head(request.table->lane)->seq;
        left = store_lane_held(request.table->lane).entries;
        assert_int_equal(rows_now + left, 3);
        assert_true(rows_now >= cut);
        open_ingest(&m.f, 0, 0);
        assert_int_equal(mender_new(&m.f.w.stores.sim.rt, m.f.w.stores.store, &m.mender, NULL),
                         SF_OK);
        request.limit = 0;
        request.after = 0;
        assert_int_equal(mend(&m, request), SF_OK);
        assert_int_equal(m.result.resolved, left);
        assert_string_equal(rows(&m, request.table, text), ",,,1\n,,,2\n,,,3\n");
        close_mender(&m);
    }
}

static void nothing_leaks_when_memory_runs_out(void **state)
{
    bool failed = true;

    (void)state;
    for (unsigned n = 1; failed; n++) {
        struct mending m = {0};
        struct mend_request request = {.what = n % 2 == 0 ? MEND_REPLAY : MEND_FIX};
        enum sf_code code;

        open_mender(&m);
        send(&m, m.f.orders, (struct ingest_request){.format = BATCH_CSV},
             "order_id,amount\na,-1\nb,?\n");
        (void)leaf_world_add(&m.f.w, looser);
        request.table = newer(&m, "orders");
        if (request.what == MEND_FIX) {
            request.entry = 1;
            request.format = BATCH_JSON;
            sf_buf_text(&request.body, "{\"order_id\":\"a\"}");
        }
        sf_alloc_fail_after((long)n / 2, 0);
        code = mend(&m, request);
        failed = sf_alloc_faults() > 0;
        sf_alloc_fail_after(-1, 0);
        if (code != SF_IO) { /* the rows of a commit that is durable: seen after a restart */
            assert_true(code == SF_OK || code == SF_NOMEM || code == SF_BUSY);
            assert_int_equal(store_lane_head(request.table->lane)->seq, code == SF_OK ? 1 : 0);
            assert_int_equal(store_lane_held(request.table->lane).entries, code == SF_OK ? 1 : 2);
        }
        close_mender(&m);
        failed = failed || n < 4;
    }
}

static void assert_place(const struct sf_table *table, uint8_t form, const char *context,
                         const char *raw, const struct sf_violation *v, const char *marked)
{
    const struct store_quarantined e = {
        .form = form, .context = sf_slice_text(context), .raw = sf_slice_text(raw)};
    const struct raw_place p = raw_place_find(table, &e, v);

    assert_int_equal(p.found, marked != NULL);
    if (marked != NULL) {
        assert_true(sf_slice_equal(sf_slice_of(e.raw.data + p.at, p.size), sf_slice_text(marked)));
    }
}

static void the_place_of_an_error_is_found_in_the_raw_bytes(void **state)
{
    struct mending m = {0};
    const struct sf_violation amount = {.number = SHEAF_E_WRONG_TYPE, .field = 1};
    const struct sf_violation unknown = {.number = SHEAF_E_UNKNOWN_FIELD, .field = -1};
    const struct sf_violation no_json = {.number = SHEAF_E_RECORD_INVALID,
                                         .field = -1,
                                         .text = "the record is not JSON: column 3: unexpected"};
    const struct sf_table *t;

    (void)state;
    open_mender(&m);
    t = m.f.orders->contract;
    assert_place(t, BATCH_FORM_JSON, "",
                 " { \"note\": \"a\\\"b\", \"amount\" : {\"x\":[1,\"]\"]} }", &amount,
                 "{\"x\":[1,\"]\"]}");
    assert_place(t, BATCH_FORM_JSON, "", "{\"amount\":tru", &amount, "tru");
    assert_place(t, BATCH_FORM_JSON, "", "{\"note\":1}", &amount, NULL);
    assert_place(t, BATCH_FORM_JSON, "", "{\"note\":1,\"xx\":2}", &unknown, "xx");
    assert_place(t, BATCH_FORM_JSON, "", "{ ?", &no_json, "?");
    assert_place(t, BATCH_FORM_JSON, "", "{ ", &no_json, ""); /* its end is missing */
    assert_place(t, BATCH_FORM_JSON, "", "", &no_json, NULL);
    assert_place(t, BATCH_FORM_JSON, "", "{\"", &amount, NULL);
    assert_place(t, BATCH_FORM_CHANGE, "", "{\"op\":\"upsert\",\"row\":{\"amount\":7}}", &amount,
                 "7");
    assert_place(t, BATCH_FORM_CSV, "note,amount", "\"a,b\",12,3", &amount, "12");
    assert_place(t, BATCH_FORM_CSV, "note,amount", "\"a,b\",\"1\"\"2\"", &amount, NULL);
    assert_place(t, BATCH_FORM_CSV, "", "1,2", &amount, NULL);
    assert_place(t, BATCH_FORM_PROTOBUF, "", "{\"amount\":7}", &amount, NULL);
    close_mender(&m);
}

static void a_full_quarantine_refuses_what_would_go_there(void **state)
{
    const struct ingest_options options = {.quarantine_max = 40};
    struct fixture f;
    struct request r[3] = {0};

    (void)state;
    setup(&f);
    ingest_free(f.ingest);
    assert_int_equal(
        ingest_new(&f.w.stores.sim.rt, f.w.stores.store, &f.metrics, &options, &f.ingest, NULL),
        SF_OK);
    r[0].request.format = BATCH_NDJSON;
    run(&r[0], &f, f.clicks, "{\"n\":true}\n{\"n\":1}"); /* 41 bytes as it is stored */
    assert_true(r[0].ok);
    r[1].request.format = BATCH_NDJSON;
    run(&r[1], &f, f.orders, "{\"order_id\":\"a\"}\n{\"order_id\":1}"); /* of the same product */
    assert_false(r[1].ok);
    assert_int_equal(r[1].error.number, SHEAF_E_QUARANTINE_FULL);
    assert_int_equal(ingest_stats(f.ingest).refused_quarantine, 1);
    assert_int_equal(store_lane_head(f.orders->lane)->seq, 0);
    r[2].request.format = BATCH_NDJSON;
    run(&r[2], &f, f.orders, "{\"order_id\":\"a\"}");
    assert_true(r[2].ok);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_replay_stores_what_is_valid_now_and_keeps_the_rest),
        cmocka_unit_test(a_replay_goes_in_bounded_pieces_by_the_numbers),
        cmocka_unit_test(a_record_does_not_replace_a_row_that_came_later),
        cmocka_unit_test(a_record_goes_before_a_row_that_was_trimmed_only_when_it_came_later),
        cmocka_unit_test(envelopes_are_replayed_as_what_they_were),
        cmocka_unit_test(a_fix_puts_one_record_in_the_place_of_an_entry),
        cmocka_unit_test(entries_are_dropped_by_number_code_field_and_age),
        cmocka_unit_test(a_retired_product_takes_no_record_back_and_lets_go_of_all),
        cmocka_unit_test(a_table_is_mended_by_one_request_at_a_time),
        cmocka_unit_test(a_replay_that_is_cut_off_doubles_nothing),
        cmocka_unit_test(nothing_leaks_when_memory_runs_out),
        cmocka_unit_test(the_place_of_an_error_is_found_in_the_raw_bytes),
        cmocka_unit_test(a_full_quarantine_refuses_what_would_go_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
