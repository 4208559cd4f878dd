/* What a query thread does for a request about quarantined records: what would become of each. */
#include <string.h>

#include "leaf/ingest/mend_private.h"
#include "leaf/store/as_of.h"

/* struct batch_rows */
enum sf_code mend_find_row(void *data, struct sf_slice key, struct sf_buf *bytes,
                           struct sf_slice *ret, uint64_t *ret_seq, bool *found,
                           struct sf_error *err)
{
    struct mend_op *op = data;
    struct store_row row;
    enum sf_code code =
        store_get(op->snapshot, op->request.table->lane, key, bytes, &row, found, err);

    if (code == SF_OK) {
        *ret = row.row;
        *ret_seq = row.seq;
    }
    return code;
}

/* A row whose change was trimmed is as old as the anchor, or older: nobody knows by how much. */
static enum sf_code anchor_time(const struct mend_op *op, int64_t *ret, struct sf_error *err)
{
    struct store_anchor anchor;
    enum sf_code code = store_anchor_of(op->snapshot, op->request.table->lane, &anchor, err);

    *ret = code == SF_OK ? anchor.commit_us : 0;
    return code;
}

/* When the row of @key was written last, for comparing it with a record; 0: never. */
static enum sf_code row_time(struct mend_op *op, struct sf_slice key, uint64_t seq, int64_t *ret,
                             struct sf_error *err)
{
    const struct mended_row *mended = sf_map_find(&op->run->rows, key);
    struct store_log_entry version;
    enum sf_code code;

    *ret = 0;
    if (seq == 0) {
        return SF_OK;
    }
    if (mended != NULL && mended->seq == seq) {
        *ret = mended->came_us - 1; /* The next record may have come in the same commit. */
        return SF_OK;
    }
    code = store_read_version(op->snapshot, op->request.table->lane, key, seq, &op->bytes, &version,
                              err);
    if (code == SF_CONFLICT) {
        return anchor_time(op, ret, err);
    }
    *ret = code == SF_OK ? version.commit_us : 0;
    return code;
}

/* Holds the change made last against the row that is there. *ret_why: what stands against it. */
static enum sf_code check_row(struct mend_op *op, int64_t came_us, enum sheaf_error_number *ret_why,
                              struct sf_error *err)
{
    struct store_change *change = &op->batch.changes[op->batch.change_count - 1];
    struct store_row row = {0};
    bool found = false;
    int64_t written_us = 0;
    uint64_t now;
    enum sf_code code;

    if (op->spec.table->kind != SF_TABLE_STATE) {
        return SF_OK;
    }
    code = store_get(op->snapshot, op->request.table->lane, change->key, &op->bytes, &row, &found,
                     err);
    if (code == SF_OK) {
        code = row_time(op, change->key, row.seq, &written_us, err);
    }
    if (code != SF_OK) {
        return code;
    }
    now = found ? row.seq : 0;
    if (change->expect_seq != STORE_ANY && change->expect_seq != now) {
        *ret_why = SHEAF_E_NOT_EXPECTED;
    } else if (!op->request.overwrite && row.seq != 0 && written_us >= came_us) {
        *ret_why = SHEAF_E_ROW_NEWER;
    }
    change->expect_seq = now;
    return SF_OK;
}

static const char *why_text(enum sheaf_error_number why)
{
    return why == SHEAF_E_NOT_EXPECTED ? "the row is not at the record's expected_seq"
                                       : "the row was written with this record or after it";
}

static void write_error(struct mend_op *op, uint64_t qseq, const struct sf_violation *v)
{
    struct sf_json_writer *w = &op->errors_writer;

    sf_json_object_begin(w);
    sf_json_member_uint(w, "qseq", qseq);
    sf_json_key(w, "code");
    sf_json_printf(w, "SHEAF-E%04u", v->number);
    if (v->field >= 0) {
        sf_json_member_text(w, "field", op->spec.table->fields[v->field].name);
    }
    sf_json_member_text(w, "detail", v->text);
    sf_json_object_end(w);
}

static bool same_verdict(const struct store_quarantined *e, const struct store_reject *r)
{
    return e->code_count == r->code_count && sf_slice_equal(e->field, r->field) &&
           memcmp(e->codes, r->codes, e->code_count * sizeof(*e->codes)) == 0;
}

static void add_resolve(struct mend_op *op, const struct store_quarantined *e, size_t again)
{
    op->again[op->resolve_count] = again;
    op->resolves[op->resolve_count++] =
        (struct store_resolve){.qseq = e->qseq, .commit_us = e->commit_us};
}

/* One entry of a replay: a change, or a reject with the codes of now. */
static enum sf_code replay_entry(struct mend_op *op, const struct store_quarantined *e)
{
    const size_t rejects = op->batch.reject_count;
    const size_t errors = op->batch.error_count;
    enum sheaf_error_number why = 0;
    enum sf_code code = batch_read_entry(op->reader, &op->spec, e, &op->batch, &op->error);

    if (code == SF_OK && op->batch.reject_count == rejects) {
        code = check_row(op, e->commit_us, &why, &op->error);
    }
    if (code == SF_OK && why != 0) {
        code = batch_refuse_entry(&op->spec, e, why, why_text(why), &op->batch, &op->error);
    }
    if (code != SF_OK) {
        return code;
    }
    if (op->batch.reject_count == rejects) {
        op->came_us[op->batch.change_count - 1] = e->commit_us;
        op->result.resolved++;
        add_resolve(op, e, 0);
        return SF_OK;
    }
    op->result.left++;
    if (!same_verdict(e, &op->batch.rejects[rejects])) {
        add_resolve(op, e, rejects + 1);
    }
    if (op->batch.error_count > errors) {
        write_error(op, e->qseq, &op->batch.errors[errors].violation);
    }
    return SF_OK;
}

static enum sf_code take_entry(struct mend_op *op, const struct store_quarantined *e)
{
    op->result.seen++;
    if (op->request.what == MEND_REPLAY) {
        return replay_entry(op, e);
    }
    op->result.resolved++;
    add_resolve(op, e, 0);
    return SF_OK;
}

/* Of the entries from @after on those that are chosen, up to the limits of one request. */
static enum sf_code read_many(struct mend_op *op)
{
    SF_CLEANUP(store_quarantine_freep) struct store_quarantine *it = NULL;
    const struct mend_request *r = &op->request;
    struct store_quarantined e;
    bool more = true;
    size_t bytes = 0;
    enum sf_code code = store_quarantine_new(op->snapshot, r->table->lane, r->after,
                                             /* reverse= */ false, &it, &op->error);

    op->result.last = r->after;
    for (size_t looked = 0; code == SF_OK; looked++) {
        code = store_quarantine_next(it, &e, &more, &op->error);
        if (code != SF_OK || !more || e.qseq > op->result.until) {
            break;
        }
        if (looked == MEND_LOOK_MAX || op->result.seen == r->limit || bytes > MEND_BYTES_MAX) {
            op->result.more = true;
            break;
        }
        op->result.last = e.qseq;
        if (quarantine_filter_takes(&r->filter, &e)) {
            bytes += e.raw.size + e.context.size;
            code = take_entry(op, &e);
        }
    }
    return code;
}

static enum sf_code get_entry(struct mend_op *op, struct sf_buf *bytes,
                              struct store_quarantined *ret)
{
    bool found = false;
    enum sf_code code = store_quarantine_get(op->snapshot, op->request.table->lane,
                                             op->request.entry, bytes, ret, &found, &op->error);

    if (code == SF_OK && !found) {
        return SF_RAISE_E(&op->error, SF_ABSENT, SHEAF_E_ENTRY_GONE, "entry %llu",
                          (unsigned long long)op->request.entry);
    }
    return code;
}

static enum sf_code read_one(struct mend_op *op)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf bytes = {0};
    struct store_quarantined e;
    enum sf_code code = get_entry(op, &bytes, &e);

    op->result.last = op->request.entry;
    return code == SF_OK ? take_entry(op, &e) : code;
}

/* The body in the place of what the entry holds. */
static enum sf_code read_fix(struct mend_op *op)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf bytes = {0};
    struct store_quarantined e;
    enum sheaf_error_number why = 0;
    enum sf_code code = get_entry(op, &bytes, &e);

    if (code == SF_OK) {
        code = batch_read(op->reader, &op->spec, sf_buf_view(&op->request.body), &op->batch,
                          &op->error);
    }
    if (code != SF_OK) {
        return code;
    }
    if (op->batch.change_count + op->batch.reject_count != 1) {
        return SF_RAISE_E(&op->error, SF_INVALID, SHEAF_E_BAD_FRAMING,
                          "one record is fixed at a time, not %zu",
                          op->batch.change_count + op->batch.reject_count);
    }
    if (op->batch.reject_count == 1) {
        write_error(op, e.qseq, &op->batch.errors[0].violation);
        return SF_RAISE_E(&op->error, SF_INVALID, SHEAF_E_RECORD_INVALID,
                          "the record still violates the contract");
    }
    code = check_row(op, e.commit_us, &why, &op->error);
    if (code == SF_OK && why != 0) {
        return SF_RAISE_E(&op->error, SF_CONFLICT, (uint16_t)why, "%s", why_text(why));
    }
    op->came_us[0] = e.commit_us;
    op->result.seen = 1;
    op->result.resolved = 1;
    op->result.last = e.qseq;
    add_resolve(op, &e, 0);
    return code;
}

static enum sf_code read_all(struct mend_op *op)
{
    struct store_head head;
    enum sf_code code = store_snapshot_new(op->m->store, &op->snapshot, &op->error);

    if (code == SF_OK) {
        code = store_snapshot_head(op->snapshot, op->request.table->lane, &head, &op->error);
    }
    if (code != SF_OK) {
        return code;
    }
    op->result.until = op->request.until != 0 ? op->request.until : head.quarantined;
    if (op->request.what == MEND_FIX) {
        return read_fix(op);
    }
    return op->request.entry != 0 ? read_one(op) : read_many(op);
}

void mend_read_work(struct sf_work *work)
{
    struct mend_op *op = SF_CONTAINER_OF(work, struct mend_op, work);

    op->errors_writer = (struct sf_json_writer){.out = &op->errors};
    sf_json_array_begin(&op->errors_writer);
    op->code = read_all(op);
    store_snapshot_free(SF_TAKE(op->snapshot));
    sf_json_array_end(&op->errors_writer);
    if (op->code == SF_OK) {
        op->code = sf_buf_check(&op->errors, "answer", &op->error);
    }
    for (size_t i = 0; i < op->resolve_count; i++) {
        op->resolves[i].again = op->again[i] == 0 ? NULL : &op->batch.rejects[op->again[i] - 1];
    }
}
