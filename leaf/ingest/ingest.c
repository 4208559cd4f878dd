#include "leaf/ingest/ingest.h"

#include <string.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/base/str.h"
#include "leaf/ingest/ingest_private.h"

/*
 *      small plain body                    store took it            callback
 *   READING ------------> READ -----------------> COMMITTING -----------> DONE --> freed
 *      |  work done        ^  |                                            ^
 *      +-------------------+  +-- refused, replayed, nothing to store -----+
 *
 *      ^                          |
 *      +-------- OVERTAKEN <------+  a row that is patched changed meanwhile, PATCH_READS_MAX times
 *
 * op_step() decides; callbacks note what they were told and call it.
 */
enum {
    BYTES_MAX = 256 * 1024 * 1024,
    INLINE_BYTES = 16 * 1024,
    INFLATED_MAX = 64 * 1024 * 1024,
    QUARANTINE_MAX = 256 * 1024 * 1024,
    DEDUPE_MAX = 10 * 1000 * 1000,
    STREAMS_MAX = 64,
    BATCH_RECORDS = 10000,
    BATCH_BYTES = 4 * 1024 * 1024,
    PATCH_READS_MAX = 8, /* of one request, when others change the rows that it patches */
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
                        &(struct sf_metric_spec){.name = "ingest_replayed_total",
                                                 .help = "Requests answered as before."},
                        &in->replayed);
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
    sf_gauge_register(m,
                      &(struct sf_metric_spec){.name = "ingest_streams",
                                               .help = "Bodies that are being taken in batches."},
                      &in->streams);
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
    in->dedupe_max = options->dedupe_max == 0 ? DEDUPE_MAX : options->dedupe_max;
    in->quarantine_max = options->quarantine_max == 0 ? QUARANTINE_MAX : options->quarantine_max;
    in->streams_max = options->streams_max == 0 ? STREAMS_MAX : options->streams_max;
    in->batch_records = options->batch_records == 0 ? BATCH_RECORDS : options->batch_records;
    in->batch_bytes = options->batch_bytes == 0 ? BATCH_BYTES : options->batch_bytes;
    in->products = options->products;
    cleaned_init(&in->cleaned, metrics);
    register_metrics(in, metrics);
    *ret = in;
    return SF_OK;
}

const struct sf_clean_counts *ingest_cleaned(const struct ingest *in,
                                             const struct served_table *table, const char *field)
{
    return cleaned_of(&in->cleaned, table, field);
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
    sf_map_done(&in->keys);
    cleaned_done(&in->cleaned);
    sf_metric_remove(&in->accepted.metric);
    sf_metric_remove(&in->quarantined.metric);
    sf_metric_remove(&in->replayed.metric);
    sf_metric_remove(&in->refused.metric);
    sf_metric_remove(&in->body_bytes.metric);
    sf_metric_remove(&in->pending_bytes.metric);
    sf_metric_remove(&in->streams.metric);
    sf_metric_remove(&in->seconds.metric);
    sf_free(in);
}

void ingest_set_bytes_max(struct ingest *in, size_t bytes_max)
{
    in->bytes_max = bytes_max;
}

void ingest_set_draining(struct ingest *in, bool draining)
{
    in->draining = draining;
}

struct ingest_stats ingest_stats(const struct ingest *in)
{
    return (struct ingest_stats){
        .bytes = in->bytes,
        .bytes_max = in->bytes_max,
        .refused_busy = in->refused_busy,
        .refused_quarantine = in->refused_quarantine,
        .refused_disk = in->refused_disk,
        .streams = in->stream_count,
        .streams_max = in->streams_max,
        .streams_refused = in->streams_refused,
    };
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

/* Frees what an op owns beside its place in the ingest. */
static void op_done(struct op *op)
{
    for (size_t i = 0; i < op->table_count; i++) {
        batch_done(&op->parts[i].batch);
    }
    if (op->tables != &op->one_table) {
        sf_free(op->tables);
        sf_free(op->parts);
        sf_free(op->lanes);
        sf_free(op->lane_tables);
    }
    idem_answer_done(&op->earlier);
    sf_buf_done(&op->body);
    sf_buf_done(&op->errors);
    sf_buf_done(&op->cleaned);
    sf_buf_done(&op->idem_key);
    sf_buf_done(&op->idem_value);
    sf_free(op->results);
    sf_free(op->puts);
    sf_free(op);
}

static void give_back_readers(struct op *op)
{
    for (size_t i = 0; i < op->table_count; i++) {
        reader_give_back(op->in, SF_TAKE(op->parts[i].reader));
    }
}

/* What @op holds while its records are not read: many small requests take more than their bodies.
 */
static size_t cost_of(const struct op *op)
{
    return op->bytes + sizeof(*op) +
           (op->tables == &op->one_table ? 0 : op->table_count * sizeof(*op->parts));
}

/* What @op holds of the bytes under way. */
static void charge(struct op *op, size_t bytes)
{
    struct ingest *in = op->in;

    in->bytes += bytes - op->charged;
    op->charged = bytes;
    sf_gauge_set(&in->pending_bytes, (int64_t)in->bytes);
}

static void op_free(struct op *op)
{
    struct ingest *in = op->in;

    in->pending--;
    charge(op, 0);
    give_back_readers(op);
    if (op->idem_key.size > 0) {
        (void)sf_map_remove(&in->keys, sf_buf_view(&op->idem_key));
    }
    op_done(op);
}

/* --- steps ------------------------------------------------------------------------------------ */

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

    op->state = DONE;
    if (err != NULL) {
        op->code = err->code;
        op->error = *err;
        op->in->refused_disk += err->number == SHEAF_E_DISK_FULL;
        if (err->code == SF_CONFLICT && op_is_overtaken(op)) {
            op->state = OVERTAKEN;
        } else if (err->code == SF_CONFLICT) {
            op_explain_conflict(op);
        }
    }
    op_step(op);
}

/* OVERTAKEN: starts over with the rows as they are now. Returns whether it waits. */
static bool read_again(struct op *op)
{
    if (op->reads == PATCH_READS_MAX) {
        op->code = SF_RAISE_E(&op->error, SF_BUSY, SHEAF_E_BUSY,
                              "a row to patch was changed by others %d times", PATCH_READS_MAX);
        return false;
    }
    op->reads++;
    for (size_t i = 0; i < op->table_count; i++) {
        batch_done(&op->parts[i].batch);
        batch_init(&op->parts[i].batch);
    }
    sf_buf_clear(&op->errors);
    sf_rt_work(op->in->rt, &op->work);
    return true;
}

/*
 * Records take more than their text when they are small. Bodies were admitted by their size; when
 * what was read of them makes it three times the limit, no more is kept waiting for a commit.
 */
static enum sf_code charge_records(struct op *op)
{
    struct ingest *in = op->in;
    size_t bytes = cost_of(op);

    for (size_t i = 0; i < op->table_count; i++) {
        const struct batch *b = &op->parts[i].batch;

        bytes += b->arena.taken + b->change_count * sizeof(b->changes[0]);
    }
    charge(op, bytes);
    if (in->pending > 1 && in->bytes / INGEST_RECORDS_FACTOR > in->bytes_max) {
        in->refused_busy++;
        return SF_RAISE_E(&op->error, SF_BUSY, SHEAF_E_BUSY, "%zu bytes of records under way",
                          in->bytes);
    }
    return SF_OK;
}

/* READ: hands the batch to the store, or moves on to DONE. Returns whether it waits. */
static bool submit(struct op *op)
{
    if (op->code != SF_OK || op->replayed) {
        return false;
    }
    op->code = charge_records(op);
    if (op->code == SF_OK) {
        op->code = op_prepare_write(op);
    }
    if (op->code != SF_OK || !op_has_write(op)) {
        return false;
    }
    op->code = store_submit(op->in->store, &op->write, written, &op->error);
    return op->code == SF_OK;
}

static void answer(struct op *op)
{
    const struct ingest_result result = op_result(op);

    if (op->code != SF_OK) {
        sf_counter_add(&op->in->refused, 1);
    } else if (result.replayed) {
        sf_counter_add(&op->in->replayed, 1);
    } else {
        sf_counter_add(&op->in->accepted, result.accepted);
        sf_counter_add(&op->in->quarantined, result.quarantined);
        sf_counter_add(&op->in->body_bytes, op->bytes);
        for (size_t i = 0; op->cleaned.size > 0 && i < op->table_count; i++) {
            cleaned_add(&op->in->cleaned, op->tables[i].table,
                        batch_reader_counts(op->parts[i].reader));
        }
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
        op_step(op);
        break;
    case OVERTAKEN:
        op->state = read_again(op) ? READING : DONE;
        op_step(op);
        break;
    case DONE:
        answer(op);
        op_free(op);
        break;
    }
}

/* --- starting --------------------------------------------------------------------------------- */

static const struct served_product *product_of(const struct ingest_request *r)
{
    return r->product != NULL ? r->product : r->table->product;
}

bool ingest_is_full(const struct ingest *in, size_t bytes)
{
    return in->bytes > 0 && (bytes > in->bytes_max || in->bytes > in->bytes_max - bytes);
}

static size_t size_of(const struct ingest_request *r)
{
    size_t size = r->body.size;

    for (size_t i = 0; i < r->message_count; i++) {
        size += r->messages[i].body.size;
    }
    return size;
}

static enum sf_code check(struct ingest *in, const struct ingest_request *r, struct sf_error *err)
{
    if (in->draining) {
        return SF_RAISE_E(err, SF_UNAVAILABLE, SHEAF_E_DRAINING, "nothing of it was stored");
    }
    const struct sf_product *contract = product_of(r)->contract;

    if (contract->status == SF_STATUS_RETIRED) {
        return SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_WRONG_STATE, "product %s/%s is retired",
                          contract->domain, contract->name);
    }
    if (ingest_is_full(in, size_of(r))) {
        in->refused_busy++;
        return SF_RAISE_E(err, SF_BUSY, SHEAF_E_BUSY, "%zu bytes of requests under way", in->bytes);
    }
    return SF_OK;
}

/* Makes the key of @op and takes its place among those under way. */
static enum sf_code claim_key(struct ingest *in, const struct ingest_request *r, struct op *op,
                              struct sf_error *err)
{
    const struct store_lane *lane = op->tables[0].table->lane;
    enum sf_code code;

    idem_store_key(r->caller == NULL ? "" : r->caller, store_lane_name(lane)->product,
                   r->idempotency_key, &op->idem_key);
    code = sf_buf_check(&op->idem_key, "key", err);
    if (code == SF_OK && sf_map_find(&in->keys, sf_buf_view(&op->idem_key)) != NULL) {
        sf_buf_done(&op->idem_key); /* The other's. */
        return SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_KEY_BUSY,
                          "another request with this key is not answered yet");
    }
    if (code == SF_OK && sf_map_put(&in->keys, sf_buf_view(&op->idem_key), op) != SF_OK) {
        code = SF_RAISE(err, SF_NOMEM, "idempotency key");
    }
    return code;
}

/* Room for what there is once per table. */
static enum sf_code make_tables(struct op *op, const struct ingest_request *r, struct sf_error *err)
{
    const size_t n = r->product == NULL ? 1 : r->product->table_count;

    op->tables = &op->one_table;
    op->parts = &op->one_part;
    op->lanes = &op->one_lane;
    op->lane_tables = &op->one_number;
    if (r->product != NULL) {
        op->names_tables = true;
        op->tables = sf_calloc(n, sizeof(*op->tables));
        op->parts = sf_calloc(n, sizeof(*op->parts));
        op->lanes = sf_calloc(n, sizeof(*op->lanes));
        op->lane_tables = sf_calloc(n, sizeof(*op->lane_tables));
        op->results = sf_calloc(n, sizeof(*op->results));
        if (op->tables == NULL || op->parts == NULL || op->lanes == NULL ||
            op->lane_tables == NULL || op->results == NULL) {
            return SF_RAISE(err, SF_NOMEM, "request over %zu tables", n);
        }
    }
    op->table_count = n;
    return SF_OK;
}

static enum sf_code fill_table(struct op *op, const struct ingest_request *r, size_t i,
                               struct sf_error *err)
{
    const struct served_table *table = r->product == NULL ? r->table : &r->product->tables[i];

    batch_init(&op->parts[i].batch);
    op->tables[i] = (struct op_table){
        .op = op,
        .table = table,
        .rows = {.find = op_find_row, .data = &op->tables[i]},
        .expect_seq = r->expect == INGEST_EXPECT_ANY ? STORE_ANY : r->expect_seq,
    };
    op->parts[i].spec = (struct batch_spec){
        .table = table->contract,
        .contract_id = table->product->contract_id,
        .format = r->format,
        .has_envelope = r->has_envelope || op->names_tables,
        .epoch = store_lane_head(table->lane)->epoch,
        .names_table = op->names_tables,
        .rows = &op->tables[i].rows,
        .first_line = r->first_line,
    };
    return reader_take(op->in, table->contract, &op->parts[i].reader, err);
}

/* "TABLE:SEQ" of the list of them. */
static bool expect_table(struct op *op, struct sf_slice item)
{
    const uint8_t *colon = memchr(item.data, ':', item.size);
    uint64_t seq;

    if (colon == NULL ||
        sf_parse_u64(sf_slice_of(colon + 1, (size_t)(item.data + item.size - colon) - 1), &seq) !=
            SF_PARSE_OK ||
        seq == STORE_ANY) {
        return false;
    }
    item.size = (size_t)(colon - item.data);
    for (size_t i = 0; i < op->table_count; i++) {
        if (sf_slice_equal(item, sf_slice_text(op->parts[i].spec.table->name))) {
            op->tables[i].expect_seq = seq;
            return true;
        }
    }
    return false;
}

static enum sf_code expect_tables(struct op *op, const char *text, struct sf_error *err)
{
    while (text != NULL) {
        const size_t n = strcspn(text, ",");

        if (!expect_table(op, sf_slice_of(text, n))) {
            return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST,
                              "'expected_seq' must be TABLE:SEQ,... with tables of the product");
        }
        text = text[n] == '\0' ? NULL : text + n + 1;
    }
    return SF_OK;
}

static enum sf_code fill_op(struct op *op, const struct ingest_request *r, struct sf_error *err)
{
    enum sf_code code = make_tables(op, r, err);

    for (size_t i = 0; code == SF_OK && i < op->table_count; i++) {
        code = fill_table(op, r, i, err);
    }
    if (code == SF_OK && op->names_tables) {
        code = expect_tables(op, r->expect_tables, err);
    }
    if (code == SF_OK && r->idempotency_key != NULL) {
        sf_assert(r->message_count == 0);
        code = claim_key(op->in, r, op, err);
    }
    op->reads = 1;
    op->on_invalid = r->on_invalid;
    op->expect = r->expect;
    op->expect_epoch = r->expect_epoch;
    op->expect_seq = r->expect_seq;
    op->more_puts = r->puts;
    op->more_put_count = r->put_count;
    op->bytes = size_of(r);
    return code;
}

static enum sf_code op_new(struct ingest *in, struct ingest_request *r, struct op **ret,
                           struct sf_error *err)
{
    struct op *op = sf_calloc(1, sizeof(*op));
    enum sf_code code;

    if (op == NULL) {
        return SF_RAISE(err, SF_NOMEM, "ingest of %zu bytes", r->body.size);
    }
    op->in = in;
    code = fill_op(op, r, err);
    if (code != SF_OK) {
        give_back_readers(op);
        op_done(op);
        return code;
    }
    *ret = op;
    return SF_OK;
}

/* Off the loop: what is large, may become so, or asks the disk. */
static bool is_small(const struct op *op)
{
    return op->message_count == 1 && op->messages[0].coding == SF_CODING_IDENTITY &&
           op->idem_key.size == 0 && !op->parts[0].spec.has_envelope &&
           op->bytes <= op->in->inline_bytes;
}

static void take_body(struct op *op, struct ingest_request *r)
{
    op->body = r->body;
    r->body = (struct sf_buf){0};
    op->own = (struct ingest_message){
        .body = sf_buf_view(&op->body),
        .format = r->format,
        .coding = r->coding,
    };
    op->messages = r->message_count == 0 ? &op->own : r->messages;
    op->message_count = r->message_count == 0 ? 1 : r->message_count;
}

enum sf_code ingest_start(struct ingest *in, struct ingest_request *request, ingest_cb cb,
                          void *data, struct sf_error *err)
{
    struct op *op = NULL;
    enum sf_code code = check(in, request, err);

    if (code == SF_OK) {
        code = op_new(in, request, &op, err);
    }
    if (code != SF_OK) {
        sf_buf_done(&request->body);
        return code;
    }
    take_body(op, request);
    op->cb = cb;
    op->data = data;
    op->started_ns = sf_rt_now_ns(in->rt);
    op->started_us = sf_rt_wall_us(in->rt);
    in->pending++;
    charge(op, cost_of(op));
    op->work = (struct sf_work){.pool = SF_POOL_QUERY, .work = op_read_work, .done.run = read_done};
    op->turn.run = turn_run;
    if (is_small(op)) {
        op_read_work(&op->work);
        op->state = READ;
        sf_rt_post(in->rt, &op->turn);
    } else {
        op->state = READING;
        sf_rt_work(in->rt, &op->work);
    }
    return SF_OK;
}
