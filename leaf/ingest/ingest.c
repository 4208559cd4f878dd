#include "leaf/ingest/ingest.h"

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/base/map.h"
#include "common/sys/crypto.h"
#include "leaf/ingest/idem.h"
#include "leaf/store/read.h"

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
enum op_state { READING, READ, COMMITTING, OVERTAKEN, DONE };

enum {
    BYTES_MAX = 256 * 1024 * 1024,
    INLINE_BYTES = 16 * 1024,
    INFLATED_MAX = 64 * 1024 * 1024,
    READERS_MAX = 32,
    PATCH_READS_MAX = 8, /* of one request, when others change the rows that it patches */
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
    int64_t started_us;

    enum ingest_expect expect;
    uint32_t expect_epoch;
    uint64_t expect_seq;

    struct sf_buf idem_key; /* in STORE_IDEM; empty: none. Its place in ingest.keys is ours. */
    struct store_put idem_put;

    /* While READING on a query thread these belong to it. */
    struct batch_reader *reader;
    struct batch batch;
    struct store_snapshot *snapshot; /* while reading; made by the first patch */
    struct batch_rows rows;
    unsigned reads;
    struct sf_buf errors; /* as answers have them */
    uint8_t hash[SF_HASH256_SIZE];
    struct sf_buf idem_value; /* found, or to be put */
    struct idem_answer earlier;
    bool replayed; /* the answer is @earlier */
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
    uint64_t refused_busy;
    size_t inline_bytes;
    size_t inflated_max;
    size_t bytes;
    size_t pending;

    struct batch_reader *readers[READERS_MAX]; /* idle ones, for any table */
    size_t reader_count;
    struct sf_map keys; /* idempotency keys of what is under way */

    struct sf_counter accepted;
    struct sf_counter quarantined;
    struct sf_counter replayed;
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
    sf_map_done(&in->keys);
    sf_metric_remove(&in->accepted.metric);
    sf_metric_remove(&in->quarantined.metric);
    sf_metric_remove(&in->replayed.metric);
    sf_metric_remove(&in->refused.metric);
    sf_metric_remove(&in->body_bytes.metric);
    sf_metric_remove(&in->pending_bytes.metric);
    sf_metric_remove(&in->seconds.metric);
    sf_free(in);
}

void ingest_set_bytes_max(struct ingest *in, size_t bytes_max)
{
    in->bytes_max = bytes_max;
}

struct ingest_stats ingest_stats(const struct ingest *in)
{
    return (struct ingest_stats){
        .bytes = in->bytes, .bytes_max = in->bytes_max, .refused_busy = in->refused_busy};
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
    batch_done(&op->batch);
    sf_buf_done(&op->body);
    sf_buf_done(&op->errors);
    sf_buf_done(&op->idem_key);
    sf_buf_done(&op->idem_value);
    sf_free(op);
}

static void op_free(struct op *op)
{
    struct ingest *in = op->in;

    in->pending--;
    in->bytes -= op->body.size;
    sf_gauge_set(&in->pending_bytes, (int64_t)in->bytes);
    reader_give_back(in, op->reader);
    if (op->idem_key.size > 0) {
        (void)sf_map_remove(&in->keys, sf_buf_view(&op->idem_key));
    }
    op_done(op);
}

/* --- idempotency keys: query thread ----------------------------------------------------------- */

/* What must be the same for the answer to be: the body as it came, and how it is to be taken. */
static void hash_request(struct op *op)
{
    const struct store_lane_name *lane = store_lane_name(op->table->lane);
    const uint64_t parts[] = {
        lane->major,    op->spec.format, op->coding,       op->spec.has_envelope,
        op->on_invalid, op->expect,      op->expect_epoch, op->expect_seq,
    };
    struct sf_hash h;

    sf_hash_init(&h, SF_HASH256_SIZE);
    sf_hash_field(&h, sf_slice_text(lane->table));
    for (size_t i = 0; i < SF_COUNT(parts); i++) {
        uint8_t bytes[8];

        for (size_t b = 0; b < sizeof(bytes); b++) {
            bytes[b] = (uint8_t)(parts[i] >> (8 * (sizeof(bytes) - 1 - b)));
        }
        sf_hash_add(&h, sf_slice_of(bytes, sizeof(bytes)));
    }
    sf_hash_field(&h, sf_buf_view(&op->body));
    sf_hash_end(&h, op->hash, sizeof(op->hash));
}

/* Looks for the answer that the key has already. */
static enum sf_code look_up(struct op *op)
{
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    int64_t commit_us = 0;
    bool found = false;
    enum sf_code code = store_snapshot_new(op->in->store, &snapshot, &op->error);

    if (code == SF_OK) {
        code = store_small_get(snapshot, STORE_IDEM, sf_buf_view(&op->idem_key), &op->idem_value,
                               &commit_us, &found, &op->error);
    }
    if (code != SF_OK) {
        return code;
    }
    hash_request(op);
    if (!found || op->started_us - commit_us > IDEM_KEEP_US) {
        return SF_OK;
    }
    op->replayed = true;
    return idem_value_decode(sf_buf_view(&op->idem_value), op->hash, &op->earlier, &op->error);
}

/* --- reading: query thread, or the loop for small bodies -------------------------------------- */

/* struct batch_rows: the row as of one snapshot for the whole request. */
static enum sf_code find_row(void *data, struct sf_slice key, struct sf_buf *bytes,
                             struct sf_slice *ret, uint64_t *ret_seq, bool *found,
                             struct sf_error *err)
{
    struct op *op = data;
    struct store_row row;
    enum sf_code code = SF_OK;

    if (op->snapshot == NULL) {
        code = store_snapshot_new(op->in->store, &op->snapshot, err);
    }
    if (code == SF_OK) {
        code = store_get(op->snapshot, op->table->lane, key, bytes, &row, found, err);
    }
    if (code == SF_OK) {
        *ret = row.row;
        *ret_seq = row.seq;
    }
    return code;
}

static enum sf_code read_body(struct op *op)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf inflated = {0};
    struct sf_slice text = sf_buf_view(&op->body);
    enum sf_code code = SF_OK;

    if (op->coding != SF_CODING_IDENTITY) {
        code = sf_inflate(op->coding, text, op->in->inflated_max, &inflated, &op->error);
        text = sf_buf_view(&inflated);
    }
    if (code == SF_OK) {
        code = batch_read(op->reader, &op->spec, text, &op->batch, &op->error);
        store_snapshot_free(SF_TAKE(op->snapshot));
    }
    if (code == SF_OK) {
        batch_write_errors(&op->batch, &op->spec, &op->errors);
        code = sf_buf_check(&op->errors, "answer", &op->error);
    }
    return code;
}

static void read_work(struct sf_work *work)
{
    struct op *op = SF_CONTAINER_OF(work, struct op, work);

    op->code = op->idem_key.size > 0 ? look_up(op) : SF_OK;
    if (op->code == SF_OK && !op->replayed) {
        op->code = read_body(op);
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

/* --- storing ---------------------------------------------------------------------------------- */

/* Says what the store found instead of what was expected. */
static void explain_conflict(struct op *op)
{
    const struct store_lane_write *lw = &op->lane_write;
    const char *table = op->spec.table->name;
    const unsigned long long found = lw->unmet_seq;

    if (lw->unmet < lw->change_count) {
        (void)SF_RAISE_E(&op->error, SF_CONFLICT, SHEAF_E_NOT_EXPECTED,
                         "the row of record %llu is at seq %llu, not at %llu",
                         (unsigned long long)op->batch.places[lw->unmet].line, found,
                         (unsigned long long)lw->changes[lw->unmet].expect_seq);
    } else {
        (void)SF_RAISE_E(
            &op->error, SF_CONFLICT,
            op->expect == INGEST_EXPECT_POSITION ? SHEAF_E_NOT_MATCHED : SHEAF_E_NOT_EXPECTED,
            "table '%s' is at %u:%llu", table, store_lane_head(op->table->lane)->epoch, found);
    }
}

/* Whether what did not hold is a row as a patch read it, not as the request expects it. */
static bool is_overtaken(const struct op *op)
{
    const struct store_lane_write *lw = &op->lane_write;

    return lw->unmet < lw->change_count && op->batch.places[lw->unmet].is_read;
}

static void written(struct store_write *w, const struct sf_error *err)
{
    struct op *op = w->data;

    op->state = DONE;
    if (err != NULL) {
        op->code = err->code;
        op->error = *err;
        if (err->code == SF_CONFLICT && is_overtaken(op)) {
            op->state = OVERTAKEN;
        } else if (err->code == SF_CONFLICT) {
            explain_conflict(op);
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
    batch_done(&op->batch);
    batch_init(&op->batch);
    sf_buf_clear(&op->errors);
    sf_rt_work(op->in->rt, &op->work);
    return true;
}

/* Fills in the put of the answer. */
static enum sf_code prepare_put(struct op *op)
{
    const struct idem_answer answer = {
        .accepted = op->batch.change_count,
        .quarantined = op->batch.reject_count,
        .errors = sf_buf_view(&op->errors),
    };

    sf_buf_clear(&op->idem_value);
    idem_value_encode(op->hash, &answer, &op->idem_value);
    op->idem_put = (struct store_put){
        .space = STORE_IDEM,
        .key = sf_buf_view(&op->idem_key),
        .value = sf_buf_view(&op->idem_value),
        .with_outcome = true,
    };
    op->write.puts = &op->idem_put;
    op->write.put_count = 1;
    return sf_buf_check(&op->idem_value, "answer", &op->error);
}

static enum sf_code prepare_write(struct op *op)
{
    op->lane_write = (struct store_lane_write){
        .lane = op->table->lane,
        .changes = op->batch.changes,
        .change_count = op->batch.change_count,
        .rejects = op->batch.rejects,
        .reject_count = op->batch.reject_count,
        .expect_seq = op->expect == INGEST_EXPECT_ANY ? STORE_ANY : op->expect_seq,
    };
    op->write = (struct store_write){.data = op, .lanes = &op->lane_write, .lane_count = 1};
    return op->idem_key.size > 0 ? prepare_put(op) : SF_OK;
}

/* What stands against storing what was read. */
static enum sf_code check_batch(struct op *op)
{
    const struct store_head *head = store_lane_head(op->table->lane);

    if (op->on_invalid == INGEST_REJECT && op->batch.reject_count > 0) {
        return SF_RAISE_E(&op->error, SF_INVALID, SHEAF_E_RECORD_INVALID,
                          "%zu of %zu records violate the contract", op->batch.reject_count,
                          op->batch.reject_count + op->batch.change_count);
    }
    if (op->expect == INGEST_EXPECT_POSITION && op->expect_epoch != head->epoch) {
        return SF_RAISE_E(&op->error, SF_CONFLICT, SHEAF_E_NOT_MATCHED, "table '%s' is at %u:%llu",
                          op->spec.table->name, head->epoch, (unsigned long long)head->seq);
    }
    return SF_OK;
}

/* READ: hands the batch to the store, or moves on to DONE. Returns whether it waits. */
static bool submit(struct op *op)
{
    const size_t records = op->batch.change_count + op->batch.reject_count;

    if (op->code != SF_OK || op->replayed) {
        return false;
    }
    op->code = check_batch(op);
    if (op->code != SF_OK ||
        (records == 0 && op->idem_key.size == 0 && op->expect == INGEST_EXPECT_ANY)) {
        return false;
    }
    op->code = prepare_write(op);
    if (op->code == SF_OK) {
        op->code = store_submit(op->in->store, &op->write, written, &op->error);
    }
    return op->code == SF_OK;
}

static struct ingest_result result_of(const struct op *op)
{
    const struct store_lane_write *lw = &op->lane_write;
    const struct store_head *head = store_lane_head(op->table->lane);
    const struct idem_answer *e = &op->earlier;
    const bool written_now = op->code == SF_OK && op->write.lane_count > 0;
    const bool stored = written_now && (lw->first_seq != 0 || lw->first_qseq != 0);

    if (op->replayed && op->code == SF_OK) {
        return (struct ingest_result){
            .epoch = e->outcome.epoch,
            .first_seq = e->outcome.first_seq,
            .last_seq = e->outcome.last_seq,
            .commit = e->outcome.commit,
            .accepted = e->accepted,
            .quarantined = e->quarantined,
            .errors = e->errors,
            .replayed = true,
        };
    }
    return (struct ingest_result){
        .epoch = head->epoch,
        .first_seq = written_now ? lw->first_seq : 0,
        .last_seq = written_now ? lw->last_seq : head->seq,
        .commit = stored ? op->write.commit : 0,
        .accepted = op->code == SF_OK ? op->batch.change_count : 0,
        .quarantined = op->batch.reject_count,
        .errors = sf_buf_view(&op->errors),
        .listed = op->batch.errors,
        .listed_count = op->batch.error_count,
    };
}

static void answer(struct op *op)
{
    const struct ingest_result result = result_of(op);

    if (op->code != SF_OK) {
        sf_counter_add(&op->in->refused, 1);
    } else if (result.replayed) {
        sf_counter_add(&op->in->replayed, 1);
    } else {
        sf_counter_add(&op->in->accepted, result.accepted);
        sf_counter_add(&op->in->quarantined, result.quarantined);
        sf_counter_add(&op->in->body_bytes, op->body.size);
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

static enum sf_code check(struct ingest *in, const struct ingest_request *r, struct sf_error *err)
{
    if (r->table->product->contract->status == SF_STATUS_RETIRED) {
        return SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_WRONG_STATE, "product %s/%s is retired",
                          r->table->product->contract->domain, r->table->product->contract->name);
    }
    if (in->bytes > 0 &&
        (r->body.size > in->bytes_max || in->bytes > in->bytes_max - r->body.size)) {
        in->refused_busy++;
        return SF_RAISE_E(err, SF_BUSY, SHEAF_E_BUSY, "%zu bytes of requests under way", in->bytes);
    }
    return SF_OK;
}

/* Makes the key of @op and takes its place among those under way. */
static enum sf_code claim_key(struct ingest *in, const struct ingest_request *r, struct op *op,
                              struct sf_error *err)
{
    enum sf_code code;

    idem_store_key(r->caller == NULL ? "" : r->caller, store_lane_name(r->table->lane)->product,
                   r->idempotency_key, &op->idem_key);
    code = sf_buf_check(&op->idem_key, "key", err);
    if (code == SF_OK && sf_map_find(&in->keys, sf_buf_view(&op->idem_key)) != NULL) {
        code = SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_KEY_BUSY,
                          "another request with this key is not answered yet");
    }
    if (code == SF_OK) {
        code = sf_map_put(&in->keys, sf_buf_view(&op->idem_key), op);
    }
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
    batch_init(&op->batch);
    code = reader_take(in, r->table->contract, &op->reader, err);
    if (code == SF_OK && r->idempotency_key != NULL) {
        code = claim_key(in, r, op, err);
    }
    if (code != SF_OK) {
        reader_give_back(in, op->reader);
        op_done(op);
        return code;
    }
    op->table = r->table;
    op->spec = (struct batch_spec){
        .table = r->table->contract,
        .contract_id = r->table->product->contract_id,
        .format = r->format,
        .has_envelope = r->has_envelope,
    };
    op->rows = (struct batch_rows){.find = find_row, .data = op};
    op->spec.rows = &op->rows;
    op->reads = 1;
    op->on_invalid = r->on_invalid;
    op->coding = r->coding;
    op->expect = r->expect;
    op->expect_epoch = r->expect_epoch;
    op->expect_seq = r->expect_seq;
    *ret = op;
    return SF_OK;
}

/* Off the loop: what is large, may become so, or asks the disk. */
static bool is_small(const struct op *op)
{
    return op->coding == SF_CODING_IDENTITY && op->idem_key.size == 0 && !op->spec.has_envelope &&
           op->body.size <= op->in->inline_bytes;
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
    op->body = request->body;
    request->body = (struct sf_buf){0};
    op->cb = cb;
    op->data = data;
    op->started_ns = sf_rt_now_ns(in->rt);
    op->started_us = sf_rt_wall_us(in->rt);
    in->bytes += op->body.size;
    in->pending++;
    sf_gauge_set(&in->pending_bytes, (int64_t)in->bytes);
    op->work = (struct sf_work){.pool = SF_POOL_QUERY, .work = read_work, .done.run = read_done};
    op->turn.run = turn_run;
    if (is_small(op)) {
        read_work(&op->work);
        op->state = READ;
        sf_rt_post(in->rt, &op->turn);
    } else {
        op->state = READING;
        sf_rt_work(in->rt, &op->work);
    }
    return SF_OK;
}
