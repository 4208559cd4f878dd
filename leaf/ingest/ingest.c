#include "leaf/ingest/ingest.h"

#include "common/base/alloc.h"
#include "common/base/assert.h"

/*
 *      small plain body                    store took it            callback
 *   READING ------------> READ -----------------> COMMITTING -----------> DONE --> freed
 *      |  work done        ^  |                                            ^
 *      +-------------------+  +---- refused, or nothing to store ----------+
 *
 * op_step() decides; callbacks note what they were told and call it.
 */
enum op_state { READING, READ, COMMITTING, DONE };

enum {
    BYTES_MAX = 256 * 1024 * 1024,
    INLINE_BYTES = 16 * 1024,
    INFLATED_MAX = 64 * 1024 * 1024,
    READERS_MAX = 32,
};

struct op {
    enum op_state state;
    struct ingest *in;
    const struct served_table *table; /* borrowed: lives as long as the leaf */
    struct batch_spec spec;
    enum ingest_on_invalid on_invalid;
    struct sf_buf body;
    enum sf_coding coding;
    ingest_cb cb;
    void *data;
    uint64_t started_ns;

    /* While READING on a query thread these belong to it. */
    struct batch_reader *reader;
    struct batch batch;
    enum sf_code code;
    struct sf_error error;
    struct sf_work work;

    struct sf_task turn; /* READ and DONE run on a turn of their own */
    struct store_lane_write lane_write;
    struct store_write write;
};

struct ingest {
    struct sf_rt *rt;
    struct store *store;
    size_t bytes_max;
    size_t inline_bytes;
    size_t inflated_max;
    size_t bytes;
    size_t pending;

    struct batch_reader *readers[READERS_MAX]; /* idle ones, for any table */
    size_t reader_count;

    struct sf_counter accepted;
    struct sf_counter quarantined;
    struct sf_counter refused;
    struct sf_counter body_bytes;
    struct sf_gauge pending_bytes;
    struct sf_histogram seconds;
};

static void op_step(struct op *op);

static void register_metrics(struct ingest *in, struct sf_metrics *m)
{
    sf_counter_register(m,
                        &(struct sf_metric_spec){.name = "ingest_records_total",
                                                 .help = "Records stored as changes."},
                        &in->accepted);
    sf_counter_register(m,
                        &(struct sf_metric_spec){.name = "ingest_quarantined_total",
                                                 .help = "Records put into quarantine."},
                        &in->quarantined);
    sf_counter_register(m,
                        &(struct sf_metric_spec){.name = "ingest_refused_total",
                                                 .help = "Requests of which nothing was stored."},
                        &in->refused);
    sf_counter_register(m,
                        &(struct sf_metric_spec){.name = "ingest_body_bytes_total",
                                                 .help = "Bytes of the bodies taken."},
                        &in->body_bytes);
    sf_gauge_register(m,
                      &(struct sf_metric_spec){.name = "ingest_pending_bytes",
                                               .help = "Bytes of the bodies under way."},
                      &in->pending_bytes);
    sf_histogram_register(
        m,
        &(struct sf_metric_spec){.name = "ingest_seconds", .help = "From body to durable answer."},
        &in->seconds);
}

enum sf_code ingest_new(struct sf_rt *rt, struct store *store, struct sf_metrics *metrics,
                        const struct ingest_options *options, struct ingest **ret,
                        struct sf_error *err)
{
    struct ingest *in = sf_calloc(1, sizeof(*in));

    if (in == NULL) {
        return SF_RAISE(err, SF_NOMEM, "ingest");
    }
    in->rt = rt;
    in->store = store;
    in->bytes_max = options->bytes_max == 0 ? BYTES_MAX : options->bytes_max;
    in->inline_bytes = options->inline_bytes == 0 ? INLINE_BYTES : options->inline_bytes;
    in->inflated_max = options->inflated_max == 0 ? INFLATED_MAX : options->inflated_max;
    register_metrics(in, metrics);
    *ret = in;
    return SF_OK;
}

void ingest_free(struct ingest *in)
{
    if (in == NULL) {
        return;
    }
    sf_assert(in->pending == 0);
    for (size_t i = 0; i < in->reader_count; i++) {
        batch_reader_free(in->readers[i]);
    }
    sf_metric_remove(&in->accepted.metric);
    sf_metric_remove(&in->quarantined.metric);
    sf_metric_remove(&in->refused.metric);
    sf_metric_remove(&in->body_bytes.metric);
    sf_metric_remove(&in->pending_bytes.metric);
    sf_metric_remove(&in->seconds.metric);
    sf_free(in);
}

size_t ingest_pending(const struct ingest *in)
{
    return in->pending;
}

/* An idle reader of this table, or a new one. */
static enum sf_code reader_take(struct ingest *in, const struct sf_table *table,
                                struct batch_reader **ret, struct sf_error *err)
{
    for (size_t i = in->reader_count; i-- > 0;) {
        if (batch_reader_table(in->readers[i]) == table) {
            *ret = in->readers[i];
            in->readers[i] = in->readers[--in->reader_count];
            return SF_OK;
        }
    }
    return batch_reader_new(table, ret, err);
}

static void reader_give_back(struct ingest *in, struct batch_reader *reader)
{
    if (reader != NULL && in->reader_count == READERS_MAX) {
        batch_reader_free(in->readers[0]);
        in->readers[0] = reader;
    } else if (reader != NULL) {
        in->readers[in->reader_count++] = reader;
    }
}

static void op_free(struct op *op)
{
    struct ingest *in = op->in;

    in->pending--;
    in->bytes -= op->body.size;
    sf_gauge_set(&in->pending_bytes, (int64_t)in->bytes);
    reader_give_back(in, op->reader);
    batch_done(&op->batch);
    sf_buf_done(&op->body);
    sf_free(op);
}

/* Query thread, or the loop for small bodies. */
static void read_work(struct sf_work *work)
{
    struct op *op = SF_CONTAINER_OF(work, struct op, work);
    SF_CLEANUP(sf_buf_done) struct sf_buf inflated = {0};
    struct sf_slice text = sf_buf_view(&op->body);

    op->code = SF_OK;
    if (op->coding != SF_CODING_IDENTITY) {
        op->code = sf_inflate(op->coding, text, op->in->inflated_max, &inflated, &op->error);
        text = sf_buf_view(&inflated);
    }
    if (op->code == SF_OK) {
        op->code = batch_read(op->reader, &op->spec, text, &op->batch, &op->error);
    }
}

static void read_done(struct sf_task *done)
{
    struct op *op = SF_CONTAINER_OF(done, struct op, work.done);

    op->state = READ;
    op_step(op);
}

static void turn_run(struct sf_task *turn)
{
    op_step(SF_CONTAINER_OF(turn, struct op, turn));
}

static void written(struct store_write *w, const struct sf_error *err)
{
    struct op *op = w->data;

    if (err != NULL) {
        op->code = err->code;
        op->error = *err;
    }
    op->state = DONE;
    op_step(op);
}

/* READ: hands the batch to the store, or moves on to DONE. Returns whether it waits. */
static bool submit(struct op *op)
{
    if (op->code != SF_OK) {
        return false;
    }
    if (op->on_invalid == INGEST_REJECT && op->batch.reject_count > 0) {
        op->code = SF_RAISE_E(&op->error, SF_INVALID, SHEAF_E_RECORD_INVALID,
                              "%zu of %zu records violate the contract", op->batch.reject_count,
                              op->batch.reject_count + op->batch.change_count);
        return false;
    }
    if (op->batch.change_count + op->batch.reject_count == 0) {
        return false;
    }
    op->lane_write = (struct store_lane_write){
        .lane = op->table->lane,
        .changes = op->batch.changes,
        .change_count = op->batch.change_count,
        .rejects = op->batch.rejects,
        .reject_count = op->batch.reject_count,
        .expect_seq = STORE_ANY,
    };
    op->write = (struct store_write){.data = op, .lanes = &op->lane_write, .lane_count = 1};
    op->code = store_submit(op->in->store, &op->write, written, &op->error);
    return op->code == SF_OK;
}

static void answer(struct op *op)
{
    const bool stored = op->code == SF_OK && op->write.commit != 0;
    const struct ingest_result result = {
        .epoch = store_lane_head(op->table->lane)->epoch,
        .first_seq = stored ? op->lane_write.first_seq : 0,
        .last_seq = stored ? op->lane_write.last_seq : store_lane_head(op->table->lane)->seq,
        .commit = stored ? op->write.commit : 0,
        .accepted = op->code == SF_OK ? op->batch.change_count : 0,
        .quarantined = op->batch.reject_count,
        .errors = op->batch.errors,
        .error_count = op->batch.error_count,
        .by_index = op->spec.format == BATCH_JSON,
    };

    if (op->code == SF_OK) {
        sf_counter_add(&op->in->accepted, result.accepted);
        sf_counter_add(&op->in->quarantined, result.quarantined);
        sf_counter_add(&op->in->body_bytes, op->body.size);
    } else {
        sf_counter_add(&op->in->refused, 1);
    }
    sf_histogram_observe(&op->in->seconds, sf_rt_now_ns(op->in->rt) - op->started_ns);
    op->cb(op->data, &result, op->code == SF_OK ? NULL : &op->error);
}

static void op_step(struct op *op)
{
    switch (op->state) {
    case READING:
    case COMMITTING:
        break;
    case READ:
        if (submit(op)) {
            op->state = COMMITTING;
            break;
        }
        op->state = DONE;
        __attribute__((fallthrough));
    case DONE:
        answer(op);
        op_free(op);
        break;
    }
}

static enum sf_code check(const struct ingest *in, const struct ingest_request *r,
                          struct sf_error *err)
{
    if (r->table->product->contract->status == SF_STATUS_RETIRED) {
        return SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_WRONG_STATE, "product %s/%s is retired",
                          r->table->product->contract->domain, r->table->product->contract->name);
    }
    if (in->bytes > 0 &&
        (r->body.size > in->bytes_max || in->bytes > in->bytes_max - r->body.size)) {
        return SF_RAISE_E(err, SF_BUSY, SHEAF_E_BUSY, "%zu bytes of requests under way", in->bytes);
    }
    return SF_OK;
}

enum sf_code ingest_start(struct ingest *in, struct ingest_request *request, ingest_cb cb,
                          void *data, struct sf_error *err)
{
    struct op *op = NULL;
    enum sf_code code = check(in, request, err);

    if (code == SF_OK) {
        op = sf_calloc(1, sizeof(*op));
        code = op == NULL ? SF_RAISE(err, SF_NOMEM, "ingest of %zu bytes", request->body.size)
                          : reader_take(in, request->table->contract, &op->reader, err);
    }
    if (code != SF_OK) {
        sf_free(op);
        sf_buf_done(&request->body);
        return code;
    }
    op->in = in;
    op->table = request->table;
    op->spec = (struct batch_spec){
        .table = request->table->contract,
        .contract_id = request->table->product->contract_id,
        .format = request->format,
        .has_envelope = request->has_envelope,
    };
    op->on_invalid = request->on_invalid;
    op->coding = request->coding;
    op->body = request->body;
    request->body = (struct sf_buf){0};
    op->cb = cb;
    op->data = data;
    op->started_ns = sf_rt_now_ns(in->rt);
    batch_init(&op->batch);
    in->bytes += op->body.size;
    in->pending++;
    sf_gauge_set(&in->pending_bytes, (int64_t)in->bytes);
    op->work = (struct sf_work){.pool = SF_POOL_QUERY, .work = read_work, .done.run = read_done};
    op->turn.run = turn_run;
    /* A small compressed body may be a large one. */
    if (op->coding == SF_CODING_IDENTITY && op->body.size <= in->inline_bytes) {
        read_work(&op->work);
        op->state = READ;
        sf_rt_post(in->rt, &op->turn);
    } else {
        op->state = READING;
        sf_rt_work(in->rt, &op->work);
    }
    return SF_OK;
}
