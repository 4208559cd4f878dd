/* What of a request is stored, and what it is told. */
#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "leaf/ingest/ingest_private.h"

size_t op_change_count(const struct op *op)
{
    size_t count = 0;

    for (size_t i = 0; i < op->table_count; i++) {
        count += op->parts[i].batch.change_count;
    }
    return count;
}

size_t op_reject_count(const struct op *op)
{
    size_t count = 0;

    for (size_t i = 0; i < op->table_count; i++) {
        count += op->parts[i].batch.reject_count;
    }
    return count;
}

/* --- conflicts -------------------------------------------------------------------------------- */

/* The lane of which an expectation did not hold. */
static const struct store_lane_write *unmet_lane(const struct op *op, size_t *ret_table)
{
    for (size_t i = 0; i < op->write.lane_count; i++) {
        if (op->lanes[i].unmet != SIZE_MAX) {
            *ret_table = op->lane_tables[i];
            return &op->lanes[i];
        }
    }
    sf_assert(false);
    return NULL;
}

bool op_is_overtaken(const struct op *op)
{
    size_t table;
    const struct store_lane_write *lw = unmet_lane(op, &table);

    return lw->unmet < lw->change_count && op->parts[table].batch.places[lw->unmet].is_read;
}

void op_explain_conflict(struct op *op)
{
    size_t table;
    const struct store_lane_write *lw = unmet_lane(op, &table);
    const struct batch_part *part = &op->parts[table];
    const unsigned long long found = lw->unmet_seq;

    if (lw->unmet < lw->change_count) {
        (void)SF_RAISE_E(&op->error, SF_CONFLICT, SHEAF_E_NOT_EXPECTED,
                         "the row of record %llu is at seq %llu, not at %llu",
                         (unsigned long long)part->batch.places[lw->unmet].line, found,
                         (unsigned long long)lw->changes[lw->unmet].expect_seq);
    } else {
        (void)SF_RAISE_E(&op->error, SF_CONFLICT,
                         op->expect == INGEST_EXPECT_POSITION ? SHEAF_E_NOT_MATCHED
                                                              : SHEAF_E_NOT_EXPECTED,
                         "table '%s' is at %u:%llu", part->spec.table->name,
                         store_lane_head(lw->lane)->epoch, found);
    }
}

/* --- the write -------------------------------------------------------------------------------- */

/* Nothing is put aside that would have to be dropped later: the source keeps it. */
static enum sf_code check_quarantine(struct op *op)
{
    const struct served_product *p = op->tables[0].table->product;
    uint64_t bytes = 0;

    for (size_t i = 0; i < p->table_count; i++) {
        bytes += store_lane_held(p->tables[i].lane).bytes;
    }
    for (size_t i = 0; i < op->table_count; i++) {
        const struct batch *b = &op->parts[i].batch;

        for (size_t r = 0; r < b->reject_count; r++) {
            bytes += b->rejects[r].raw.size + b->rejects[r].context.size;
        }
    }
    if (bytes <= op->in->quarantine_max) {
        return SF_OK;
    }
    op->in->refused_quarantine++;
    return SF_RAISE_E(&op->error, SF_BUSY, SHEAF_E_QUARANTINE_FULL,
                      "%zu records violate the contract, and the quarantine of %s/%s has no room "
                      "for them: %llu bytes are its limit",
                      op_reject_count(op), p->contract->domain, p->contract->name,
                      (unsigned long long)op->in->quarantine_max);
}

/* What stands against storing what was read. */
static enum sf_code check_batch(struct op *op)
{
    const struct store_head *head = store_lane_head(op->tables[0].table->lane);
    const size_t invalid = op_reject_count(op);

    if (op->on_invalid == INGEST_REJECT && invalid > 0) {
        return SF_RAISE_E(&op->error, SF_INVALID, SHEAF_E_RECORD_INVALID,
                          "%zu of %zu records violate the contract", invalid,
                          invalid + op_change_count(op));
    }
    if (op->expect == INGEST_EXPECT_POSITION && op->expect_epoch != head->epoch) {
        return SF_RAISE_E(&op->error, SF_CONFLICT, SHEAF_E_NOT_MATCHED, "table '%s' is at %u:%llu",
                          op->parts[0].spec.table->name, head->epoch,
                          (unsigned long long)head->seq);
    }
    return invalid > 0 ? check_quarantine(op) : SF_OK;
}

/* What an answer says of the tables, but for their seqs. */
static struct ingest_table_result table_result(const struct op *op, size_t lane)
{
    const size_t table = op->lane_tables[lane];
    const struct batch *b = &op->parts[table].batch;

    return (struct ingest_table_result){
        .table = sf_slice_text(op->parts[table].spec.table->name),
        .first_seq = op->lanes[lane].first_seq,
        .last_seq = op->lanes[lane].last_seq,
        .accepted = b->change_count,
        .quarantined = b->reject_count,
    };
}

static void collect_results(struct op *op)
{
    for (size_t i = 0; op->results != NULL && i < op->write.lane_count; i++) {
        op->results[i] = table_result(op, i);
    }
}

/* Fills in the put of the answer. */
static enum sf_code prepare_put(struct op *op)
{
    const struct idem_answer answer = {
        .accepted = op_change_count(op),
        .quarantined = op_reject_count(op),
        .errors = sf_buf_view(&op->errors),
        .names_tables = op->names_tables,
        .tables = op->results,
        .table_count = op->names_tables ? op->write.lane_count : 0,
    };

    collect_results(op);
    sf_buf_clear(&op->idem_value);
    idem_value_encode(op->hash, &answer, &op->idem_value);
    op->idem_put = (struct store_put){
        .space = STORE_IDEM,
        .key = sf_buf_view(&op->idem_key),
        .value = sf_buf_view(&op->idem_value),
        .with_outcome = true,
    };
    return sf_buf_check(&op->idem_value, "answer", &op->error);
}

/* The small values of the write: the caller's, the answer, or both. */
static enum sf_code prepare_puts(struct op *op)
{
    enum sf_code code = SF_OK;

    op->write.puts = op->more_puts;
    op->write.put_count = op->more_put_count;
    if (op->idem_key.size == 0) {
        return SF_OK;
    }
    code = prepare_put(op);
    if (code == SF_OK && op->more_put_count > 0 && op->puts == NULL) {
        op->puts = sf_calloc(op->more_put_count + 1, sizeof(*op->puts));
        code = op->puts == NULL ? SF_RAISE(&op->error, SF_NOMEM, "request") : SF_OK;
    }
    if (code != SF_OK) {
        return code;
    }
    op->write.puts = &op->idem_put;
    op->write.put_count = 1;
    if (op->more_put_count > 0) {
        memcpy(op->puts, op->more_puts, op->more_put_count * sizeof(*op->puts));
        op->puts[op->more_put_count] = op->idem_put;
        op->write.puts = op->puts;
        op->write.put_count = op->more_put_count + 1;
    }
    return SF_OK;
}

enum sf_code op_prepare_write(struct op *op)
{
    enum sf_code code = check_batch(op);

    if (code != SF_OK) {
        return code;
    }
    op->write = (struct store_write){.data = op, .lanes = op->lanes};
    for (size_t i = 0; i < op->table_count; i++) {
        const struct batch *b = &op->parts[i].batch;
        const size_t at = op->write.lane_count;

        if (op->names_tables && b->change_count + b->reject_count == 0 &&
            op->tables[i].expect_seq == STORE_ANY) {
            continue;
        }
        op->lane_tables[at] = i;
        op->lanes[at] = (struct store_lane_write){
            .lane = op->tables[i].table->lane,
            .changes = b->changes,
            .change_count = b->change_count,
            .rejects = b->rejects,
            .reject_count = b->reject_count,
            .expect_seq = op->tables[i].expect_seq,
            .dedupe = {op->parts[i].spec.table->dedupe_within_us, op->in->dedupe_max},
            .skip_unchanged = op->parts[i].spec.table->skip_unchanged,
            .unmet = SIZE_MAX,
        };
        op->write.lane_count++;
    }
    return prepare_puts(op);
}

bool op_has_write(const struct op *op)
{
    bool expects = op->expect != INGEST_EXPECT_ANY;

    for (size_t i = 0; i < op->table_count; i++) {
        expects = expects || op->tables[i].expect_seq != STORE_ANY;
    }
    return op_change_count(op) + op_reject_count(op) > 0 || op->write.put_count > 0 || expects;
}

/* --- the answer ------------------------------------------------------------------------------- */

static struct ingest_result earlier_result(struct op *op)
{
    const struct idem_answer *e = &op->earlier;

    return (struct ingest_result){
        .epoch = e->outcome.epoch,
        .first_seq = e->outcome.first_seq,
        .last_seq = e->outcome.last_seq,
        .commit = e->outcome.commit,
        .accepted = e->accepted,
        .quarantined = e->quarantined,
        .errors = e->errors,
        .replayed = true,
        .names_tables = op->names_tables,
        .tables = e->tables,
        .table_count = e->table_count,
        .body = &op->body,
    };
}

/* Whether a change or a reject of it was stored. */
static bool has_stored(const struct op *op)
{
    for (size_t i = 0; i < op->write.lane_count; i++) {
        if (op->lanes[i].first_seq != 0 || op->lanes[i].first_qseq != 0) {
            return true;
        }
    }
    return false;
}

static uint64_t sum_skipped(const struct op *op, bool duplicates)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < op->write.lane_count; i++) {
        sum += duplicates ? op->lanes[i].duplicates : op->lanes[i].unchanged;
    }
    return sum;
}

struct ingest_result op_result(struct op *op)
{
    const struct store_head *head = store_lane_head(op->tables[0].table->lane);
    const struct batch *b = &op->parts[0].batch;
    const bool written = op->code == SF_OK && op->write.cb != NULL;
    const bool one = written && !op->names_tables;

    if (op->replayed && op->code == SF_OK) {
        return earlier_result(op);
    }
    if (written) {
        collect_results(op);
    }
    return (struct ingest_result){
        .epoch = op->names_tables ? store_epoch(op->in->store) : head->epoch,
        .first_seq = one ? op->lanes[0].first_seq : 0,
        .last_seq = one ? op->lanes[0].last_seq : head->seq,
        .commit = written && has_stored(op) ? op->write.commit : 0,
        .accepted = op->code == SF_OK ? op_change_count(op) : 0,
        .quarantined = op_reject_count(op),
        .duplicates = written ? sum_skipped(op, true) : 0,
        .unchanged = written ? sum_skipped(op, false) : 0,
        .errors = sf_buf_view(&op->errors),
        .cleaned = sf_buf_view(&op->cleaned),
        .listed = b->errors,
        .listed_count = b->error_count,
        .names_tables = op->names_tables,
        .tables = op->results,
        .table_count = written && op->names_tables ? op->write.lane_count : 0,
        .body = &op->body,
    };
}
