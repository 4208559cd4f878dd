/* What a query thread does to a request: looks for its answer, inflates, reads its records. */
#include "common/sys/crypto.h"
#include "leaf/ingest/ingest_private.h"

/* --- idempotency keys ------------------------------------------------------------------------- */

static void hash_number(struct sf_hash *h, uint64_t number)
{
    uint8_t bytes[8];

    for (size_t b = 0; b < sizeof(bytes); b++) {
        bytes[b] = (uint8_t)(number >> (8 * (sizeof(bytes) - 1 - b)));
    }
    sf_hash_add(h, sf_slice_of(bytes, sizeof(bytes)));
}

/* What must be the same for the answer to be: the body as it came, and how it is to be taken. */
static void hash_request(struct op *op)
{
    const struct store_lane_name *lane = store_lane_name(op->tables[0].table->lane);
    const struct batch_spec *spec = &op->parts[0].spec;
    const uint64_t words[] = {
        lane->major,    spec->format, op->own.coding,   spec->has_envelope,
        op->on_invalid, op->expect,   op->expect_epoch, op->expect_seq,
    };
    struct sf_hash h;

    sf_hash_init(&h, SF_HASH256_SIZE);
    sf_hash_field(&h, sf_slice_text(op->names_tables ? "" : lane->table));
    for (size_t i = 0; i < SF_COUNT(words); i++) {
        hash_number(&h, words[i]);
    }
    for (size_t i = 0; op->names_tables && i < op->table_count; i++) {
        hash_number(&h, op->tables[i].expect_seq);
    }
    sf_hash_field(&h, sf_buf_view(&op->body));
    sf_hash_end(&h, op->hash, sizeof(op->hash));
}

/* Looks for the answer that the key has already. It counts for as long as it is there: what
 * retention leaves of it is not for a clock that may be wrong just now to say. */
static enum sf_code look_up(struct op *op)
{
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    bool found = false;
    enum sf_code code = store_snapshot_new(op->in->store, &snapshot, &op->error);

    if (code == SF_OK) {
        code = store_small_get(snapshot, STORE_IDEM, sf_buf_view(&op->idem_key), &op->idem_value,
                               NULL, &found, &op->error);
    }
    if (code != SF_OK) {
        return code;
    }
    hash_request(op);
    if (!found) {
        return SF_OK;
    }
    op->replayed = true;
    return idem_value_decode(sf_buf_view(&op->idem_value), op->hash, op->names_tables, &op->earlier,
                             &op->error);
}

/* --- reading ---------------------------------------------------------------------------------- */

/* The row as of one snapshot for the whole request. */
enum sf_code op_find_row(void *data, struct sf_slice key, struct sf_buf *bytes,
                         struct sf_slice *ret, uint64_t *ret_seq, bool *found, struct sf_error *err)
{
    struct op_table *t = data;
    struct op *op = t->op;
    struct store_row row;
    enum sf_code code = SF_OK;

    if (op->snapshot == NULL) {
        code = store_snapshot_new(op->in->store, &op->snapshot, err);
    }
    if (code == SF_OK) {
        code = store_get(op->snapshot, t->table->lane, key, bytes, &row, found, err);
    }
    if (code == SF_OK) {
        *ret = row.row;
        *ret_seq = row.seq;
    }
    return code;
}

static enum sf_code read_text(struct op *op, struct sf_json_reader *json, struct sf_slice text)
{
    struct batch_part *first = &op->parts[0];

    return op->names_tables
               ? batch_read_tables(op->parts, op->table_count, json, text, &op->error)
               : batch_read(first->reader, &first->spec, text, &first->batch, &op->error);
}

static enum sf_code read_message(struct op *op, struct sf_json_reader *json,
                                 const struct ingest_message *m)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf inflated = {0};
    struct sf_slice text = m->body;
    enum sf_code code = SF_OK;

    for (size_t i = 0; i < op->table_count; i++) {
        op->parts[i].spec.format = m->format;
        op->parts[i].spec.position = m->position;
    }
    if (m->refusal != NULL) {
        return batch_refuse(&op->parts[0].spec, m->body, m->refusal, &op->parts[0].batch,
                            &op->error);
    }
    if (m->coding != SF_CODING_IDENTITY) {
        code = sf_inflate(m->coding, text, op->in->inflated_max, &inflated, &op->error);
        text = sf_buf_view(&inflated);
    }
    return code == SF_OK ? read_text(op, json, text) : code;
}

static enum sf_code read_messages(struct op *op)
{
    struct sf_json_reader json = {0};
    enum sf_code code = SF_OK;

    for (size_t i = 0; code == SF_OK && i < op->message_count; i++) {
        code = read_message(op, &json, &op->messages[i]);
    }
    sf_json_reader_done(&json);
    store_snapshot_free(SF_TAKE(op->snapshot));
    return code;
}

static enum sf_code write_errors(struct op *op)
{
    struct sf_json_writer w = {.out = &op->errors};

    sf_json_array_begin(&w);
    for (size_t i = 0; i < op->table_count; i++) {
        batch_write_errors(&op->parts[i].batch, &op->parts[i].spec, &w);
    }
    sf_json_array_end(&w);
    return sf_buf_check(&op->errors, "answer", &op->error);
}

/* Of one table an object by field; of several one by table. */
static enum sf_code write_cleaned(struct op *op)
{
    struct sf_json_writer w = {.out = &op->cleaned};
    bool any = false;

    for (size_t i = 0; i < op->table_count; i++) {
        any = any || cleaned_any(op->parts[i].spec.table, batch_reader_counts(op->parts[i].reader));
    }
    if (!any) {
        return SF_OK;
    }
    if (!op->names_tables) {
        cleaned_write(op->parts[0].spec.table, batch_reader_counts(op->parts[0].reader),
                      &op->cleaned);
        return sf_buf_check(&op->cleaned, "answer", &op->error);
    }
    sf_json_object_begin(&w);
    for (size_t i = 0; i < op->table_count; i++) {
        const struct sf_table *t = op->parts[i].spec.table;
        const struct sf_clean_counts *counts = batch_reader_counts(op->parts[i].reader);
        SF_CLEANUP(sf_buf_done) struct sf_buf part = {0};

        if (cleaned_any(t, counts)) {
            cleaned_write(t, counts, &part);
            sf_json_key(&w, t->name);
            sf_json_raw(&w, sf_buf_view(&part));
            if (part.failed != SF_OK) {
                return sf_buf_check(&part, "answer", &op->error);
            }
        }
    }
    sf_json_object_end(&w);
    return sf_buf_check(&op->cleaned, "answer", &op->error);
}

void op_read_work(struct sf_work *work)
{
    struct op *op = SF_CONTAINER_OF(work, struct op, work);

    op->code = op->idem_key.size > 0 ? look_up(op) : SF_OK;
    if (op->code == SF_OK && !op->replayed) {
        for (size_t i = 0; i < op->table_count; i++) {
            batch_reader_counts_reset(op->parts[i].reader);
        }
        sf_buf_clear(&op->cleaned);
        op->code = read_messages(op);
        op->code = op->code == SF_OK ? write_errors(op) : op->code;
        op->code = op->code == SF_OK ? write_cleaned(op) : op->code;
    }
}
