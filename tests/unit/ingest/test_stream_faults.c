#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <zlib.h>

#include "common/base/alloc.h"
#include "leaf/ingest/stream.h"
#include "proto/errors.h"
#include "tests/unit/ingest/fixture.h"

/* A body on its way, in pieces of @step bytes, as its reader has it. */
struct sender {
    struct fixture f;
    struct ingest_stream *stream; /* NULL: not begun, or over */
    struct sf_slice body;
    size_t step;
    size_t sent;
    bool room; /* told since the last piece that was not taken whole */
    unsigned batches;
    uint64_t accepted; /* by the batches that were told of */
    unsigned ends;
    struct sf_error error; /* of the end; code SF_OK: none */
};

static void on_batch(void *data, const struct ingest_result *result,
                     const struct ingest_stream_totals *totals)
{
    struct sender *s = data;

    s->batches++;
    s->accepted += result->accepted;
    assert_int_equal(totals->batches, s->batches);
    assert_int_equal(totals->accepted, s->accepted);
    assert_int_equal(store_lane_head(s->f.orders->lane)->seq, s->accepted);
}

static void on_room(void *data)
{
    ((struct sender *)data)->room = true;
}

static void on_end(void *data, const struct ingest_stream_totals *totals,
                   const struct sf_error *err)
{
    struct sender *s = data;

    s->ends++;
    s->error = err == NULL ? (struct sf_error){0} : *err;
    assert_int_equal(totals->accepted, s->accepted);
    s->stream = NULL;
}

static enum sf_code begin(struct sender *s, const struct ingest_request *request,
                          uint64_t batch_records)
{
    struct ingest_stream_spec spec = {
        .request = request,
        .batch_records = batch_records,
        .on_batch = on_batch,
        .on_room = on_room,
        .on_end = on_end,
        .data = s,
    };

    s->room = true;
    return ingest_stream_new(s->f.ingest, &spec, &s->stream, &s->error);
}

/* Sends all of it as room allows, and waits for the end; at most a minute. */
static void send_all(struct sender *s)
{
    const size_t until = s->body.size;

    for (unsigned i = 0; i < 60 * 1000 && s->stream != NULL; i++) {
        if (s->room && s->sent < until) {
            size_t n = until - s->sent < s->step ? until - s->sent : s->step;
            size_t taken = ingest_stream_feed(s->stream, sf_slice_of(s->body.data + s->sent, n));

            s->sent += taken;
            s->room = taken == n;
            if (s->sent == until) {
                ingest_stream_finish(s->stream);
            }
        }
        rt_sim_run_for(&s->f.w.stores.sim, SF_NS_PER_MS);
    }
}

static const char five[] = "{\"order_id\":\"1\"}\n{\"order_id\":\"2\"}\n{\"order_id\":\"3\"}\n"
                           "{\"order_id\":\"4\"}\n{\"order_id\":\"5\"}\n";

static void an_abandoned_stream_says_nothing_and_goes(void **state)
{
    struct ingest_request request = {0};
    (void)state;

    for (size_t sent = 0; sent < sizeof(five); sent += 3) {
        struct sender s = {0};

        setup(&s.f);
        request.table = s.f.orders;
        assert_int_equal(begin(&s, &request, 2), SF_OK);
        assert_int_equal(ingest_stream_feed(s.stream, sf_slice_of(five, sent)), sent);
        for (size_t steps = 0; steps < sent; steps++) {
            (void)rt_sim_step(&s.f.w.stores.sim);
        }
        s.batches = UINT32_MAX - 1; /* on_batch() fails from now on. */
        ingest_stream_abandon(SF_TAKE(s.stream));
        rt_sim_run_for(&s.f.w.stores.sim, 2 * SF_NS_PER_S);
        assert_int_equal(s.ends, 0);
        assert_int_equal(ingest_pending(s.f.ingest), 0);
        teardown(&s.f);
    }
}

static struct sf_slice gzipped(const char *text, uint8_t *ret, size_t size)
{
    z_stream z = {
        .next_in = (Bytef *)(uintptr_t)text,
        .avail_in = (uInt)strlen(text),
        .next_out = ret,
        .avail_out = (uInt)size,
    };

    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    assert_int_equal(deflateEnd(&z), Z_OK);
    return sf_slice_of(ret, z.total_out);
}

/* True when no allocation was left to fail. */
static bool one_fault(long n, const struct ingest_request *like, struct sf_slice body)
{
    struct sender s = {.body = body, .step = 40};
    struct ingest_request request = *like;
    enum sf_code code;
    bool is_over;

    setup(&s.f);
    request.table = s.f.orders;
    sf_alloc_fail_after(n, false);
    code = begin(&s, &request, 2);
    if (code == SF_OK) {
        send_all(&s);
    }
    is_over = sf_alloc_faults() == 0;
    sf_alloc_fail_after(-1, false);
    assert_null(s.stream);
    assert_int_equal(s.ends, code == SF_OK ? 1 : 0);
    assert_int_equal(ingest_pending(s.f.ingest), 0);
    if (s.error.code == SF_OK) {
        assert_int_equal(s.accepted, 5);
    } else if (!store_failed(s.f.w.stores.store)) {
        assert_int_equal(s.error.code, SF_NOMEM);
        assert_int_equal(store_lane_head(s.f.orders->lane)->seq, s.accepted);
    }
    assert_true(!is_over || s.error.code == SF_OK);
    teardown(&s.f);
    return is_over;
}

static void out_of_memory_ends_it_or_is_waited_for_at_every_allocation(void **state)
{
    uint8_t bytes[256];
    const struct sf_slice packed = gzipped(five, bytes, sizeof(bytes));
    const struct ingest_request plain = {.format = BATCH_NDJSON};
    const struct ingest_request keyed = {.idempotency_key = "K", .caller = "ana"};
    const struct ingest_request gzip = {.coding = SF_CODING_GZIP};
    long n;
    (void)state;

    for (n = 0; !one_fault(n, &plain, sf_slice_text(five)); n++) {
    }
    assert_true(n > 20);
    for (n = 0; !one_fault(n, &keyed, sf_slice_text(five)); n++) {
    }
    for (n = 0; !one_fault(n, &gzip, packed); n++) {
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_abandoned_stream_says_nothing_and_goes),
        cmocka_unit_test(out_of_memory_ends_it_or_is_waited_for_at_every_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
