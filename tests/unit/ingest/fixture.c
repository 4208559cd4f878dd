#include "tests/unit/ingest/fixture.h"

#include <stdio.h>

#include "tests/lib/cmocka.h"

void open_ingest(struct fixture *f, size_t bytes_max, size_t inline_bytes)
{
    const struct ingest_options options = {
        .bytes_max = bytes_max, .inline_bytes = inline_bytes, .products = &f->w.serving.products};

    assert_int_equal(
        ingest_new(&f->w.stores.sim.rt, f->w.stores.store, &f->metrics, &options, &f->ingest, NULL),
        SF_OK);
}

void setup(struct fixture *f)
{
    *f = (struct fixture){0};
    leaf_world_init(&f->w, 7);
    sf_metrics_init(&f->metrics);
    (void)leaf_world_add(&f->w, world_orders);
    f->orders = leaf_world_table(&f->w, "orders");
    f->clicks = leaf_world_table(&f->w, "clicks");
    open_ingest(f, 0, 0);
    f->writes = f->w.stores.disk.writes;
}

void teardown(struct fixture *f)
{
    ingest_free(f->ingest);
    assert_true(sf_list_empty(&f->metrics.metrics));
    leaf_world_done(&f->w);
}

void on_answer(void *data, const struct ingest_result *result, const struct sf_error *err)
{
    struct request *r = data;

    assert_true(r->started); /* Never inside ingest_start(). */
    r->answered++;
    r->number = ++r->f->answers;
    r->ok = err == NULL;
    r->result = *result;
    (void)snprintf(r->json, sizeof(r->json), "%.*s", SF_SLICE_ARG(result->errors));
    for (size_t i = 0; i < result->listed_count; i++) {
        r->errors[i] = result->listed[i];
    }
    if (err != NULL) {
        r->error = *err;
    }
}

void start(struct request *r, struct fixture *f, const struct served_table *table, const char *body)
{
    r->f = f;
    r->request.table = table;
    sf_buf_text(&r->request.body, body);
    r->code = ingest_start(f->ingest, &r->request, on_answer, r, &r->refused);
    assert_null(r->request.body.data); /* Taken in any case. */
    r->started = true;
}

void run(struct request *r, struct fixture *f, const struct served_table *table, const char *body)
{
    start(r, f, table, body);
    assert_int_equal(r->code, SF_OK);
    assert_int_equal(r->answered, 0);
    rt_sim_run(&f->w.stores.sim);
    assert_int_equal(r->answered, 1);
    assert_int_equal(ingest_pending(f->ingest), 0);
}

void assert_result(const struct request *r, uint64_t first, uint64_t last, uint64_t accepted,
                   uint64_t quarantined)
{
    assert_int_equal(r->result.first_seq, first);
    assert_int_equal(r->result.last_seq, last);
    assert_int_equal(r->result.accepted, accepted);
    assert_int_equal(r->result.quarantined, quarantined);
}

bool is_working(const struct fixture *f)
{
    bool working = !sf_list_empty(&f->w.stores.sim.works[SF_POOL_QUERY]);

    for (size_t i = 0; i < SF_COUNT(f->w.stores.sim.threads); i++) {
        working = working || f->w.stores.sim.threads[i].work != NULL;
    }
    return working;
}
