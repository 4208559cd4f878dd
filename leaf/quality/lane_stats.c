#include "leaf/quality/lane_stats.h"

#include <string.h>

#include "common/base/alloc.h"
#include "leaf/store/read.h"
#include "proto/errors.h"

enum {
    FORMAT = 1,
    HEADER_BYTES = 1 + 4 + 8 + 8,
    OLD_VERSION_COST = 16, /* reading a row of before, in rows of now */
};

static void drop_counting(struct lane_stats *s)
{
    store_scan_free(s->scan);
    store_log_free(s->log);
    store_snapshot_free(s->snapshot);
    s->scan = NULL;
    s->log = NULL;
    s->snapshot = NULL;
    table_stats_done(&s->next);
    exam_free(s->next_exam);
    s->next_exam = NULL;
}

void lane_stats_unload(struct lane_stats *s)
{
    table_stats_done(&s->stats);
    exam_free(s->exam);
    s->exam = NULL;
    s->loaded = false;
}

void lane_stats_done(struct lane_stats *s)
{
    drop_counting(s);
    lane_stats_unload(s);
    sf_free(s->versions);
    s->versions = NULL;
}

bool lane_stats_is_counting(const struct lane_stats *s)
{
    return s->snapshot != NULL;
}

void lane_stats_key(const struct store_lane *lane, uint8_t ret[LANE_STATS_KEY_BYTES])
{
    memcpy(ret, "stats/", 6);
    sf_write_be32(ret + 6, store_lane_id(lane));
}

/* --- versions -----------------------------------------------------------------------------------
 */

enum sf_code lane_stats_set_table(struct lane_stats *s, const struct product_set *products,
                                  const struct served_table *table, struct sf_error *err)
{
    const struct sf_product *p = table->product->contract;
    struct lane_version *versions = sf_calloc(products->version_count + 1, sizeof(*versions));
    size_t count = 0;
    enum sf_code code = SF_OK;

    if (versions == NULL) {
        return SF_RAISE(err, SF_NOMEM, "versions of a table");
    }
    for (size_t i = 0; i < products->version_count; i++) {
        const struct served_product *v = products->versions[i];

        if (v->contract->version.major == p->version.major &&
            strcmp(v->contract->name, p->name) == 0) {
            versions[count++] = (struct lane_version){
                .contract_id = v->contract_id,
                .table = sf_product_table(v->contract, table->contract->name),
            };
        }
    }
    if (s->loaded) {
        code = table_stats_move(&s->stats, table->contract, err);
        exam_free(s->exam);
        s->exam = NULL;
    }
    if (code != SF_OK) {
        sf_free(versions);
        return code;
    }
    if (lane_stats_is_counting(s)) {
        drop_counting(s); /* It is begun again, under the new version. */
    }
    sf_free(s->versions);
    s->versions = versions;
    s->version_count = count;
    s->table = table->contract;
    return SF_OK;
}

static const struct sf_table *version_of(const struct lane_stats *s, uint32_t contract_id)
{
    for (size_t i = s->version_count; i > 0; i--) {
        if (s->versions[i - 1].contract_id == contract_id && s->versions[i - 1].table != NULL) {
            return s->versions[i - 1].table;
        }
    }
    return s->table;
}

/* --- counting anew ------------------------------------------------------------------------------
 */

static enum sf_code begin_counting(struct lane_stats *s, struct lane_step *step, bool examine,
                                   struct sf_error *err)
{
    static const struct store_range all = {.keep_cache = true};
    struct store_anchor anchor;
    enum sf_code code;

    step->more = true;
    step->held = step->hold;
    if (step->held) {
        return SF_OK;
    }
    code = store_snapshot_new(s->store, &s->snapshot, err);
    if (code == SF_OK) {
        code = store_snapshot_head(s->snapshot, s->lane, &s->target, err);
    }
    if (code == SF_OK) {
        code = table_stats_init(&s->next, s->table, err);
    }
    if (code == SF_OK && examine) {
        code = exam_new(s->table, &s->next_exam, err);
    }
    if (code == SF_OK && store_lane_name(s->lane)->kind == STORE_STATE) {
        return store_scan_new(s->snapshot, s->lane, &all, &s->scan, err);
    }
    if (code == SF_OK) {
        code = store_anchor_of(s->snapshot, s->lane, &anchor, err);
    }
    return code == SF_OK
               ? store_log_new(s->snapshot, s->lane, anchor.seq, /* verify= */ false, &s->log, err)
               : code;
}

/* A row of the snapshot, or a change that is one. */
static enum sf_code next_row(struct lane_stats *s, struct sf_slice *row, uint32_t *contract_id,
                             bool *more, struct sf_error *err)
{
    struct store_row r;
    struct store_log_entry e;
    enum sf_code code;

    if (s->scan != NULL) {
        code = store_scan_next(s->scan, &r, more, err);
        *row = r.row;
        *contract_id = r.contract_id;
        return code;
    }
    code = store_log_next(s->log, &e, more, err);
    *row = e.row;
    *contract_id = e.contract_id;
    return code;
}

static enum sf_code count_rows(struct lane_stats *s, struct lane_step *step, struct sf_error *err)
{
    enum sf_code code = SF_OK;
    bool more = true;

    for (size_t n = 0; code == SF_OK && more && n < step->budget; n++) {
        struct sf_slice row = {0};
        uint32_t contract_id = 0;

        code = next_row(s, &row, &contract_id, &more, err);
        if (code == SF_OK && more) {
            code = table_stats_add(&s->next, version_of(s, contract_id), row, err);
            step->counted++;
        }
        if (code == SF_OK && more && s->next_exam != NULL) {
            code = exam_add(s->next_exam, version_of(s, contract_id), row, err);
        }
    }
    step->more = true;
    if (code == SF_OK && !more) {
        lane_stats_unload(s);
        s->stats = s->next;
        s->next = (struct table_stats){0};
        s->exam = s->next_exam;
        s->next_exam = NULL;
        s->loaded = true;
        s->epoch = s->target.epoch;
        s->seq = s->target.seq;
        s->counted_us = step->now_us;
        drop_counting(s);
    }
    return code;
}

/* --- following ----------------------------------------------------------------------------------
 */

/* Counts out what @e replaced. */
static enum sf_code count_out(struct lane_stats *s, const struct store_snapshot *snapshot,
                              const struct store_log_entry *e, struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf bytes = {0};
    struct store_log_entry old;
    struct store_row row;
    bool found = false;
    enum sf_code code =
        store_read_version(snapshot, s->lane, e->key, e->prev_seq, &bytes, &old, err);

    if (code == SF_OK) {
        return old.op == STORE_UPSERT
                   ? table_stats_remove(&s->stats, version_of(s, old.contract_id), old.row, err)
                   : SF_OK;
    }
    if (code != SF_CONFLICT) {
        return code;
    }
    /* Its frame was trimmed; the row may stand among the old versions. */
    sf_buf_clear(&bytes);
    code = store_get_as_of(snapshot, s->lane, e->key, e->seq - 1, &bytes, &row, &found, err);
    if (code == SF_OK && found) {
        return table_stats_remove(&s->stats, version_of(s, row.contract_id), row.row, err);
    }
    s->stats.loose = true;
    return code == SF_CONFLICT ? SF_OK : code;
}

static enum sf_code count_change(struct lane_stats *s, const struct store_snapshot *snapshot,
                                 const struct store_log_entry *e, size_t *spent,
                                 struct sf_error *err)
{
    enum sf_code code = SF_OK;

    *spent += 1;
    if (e->prev_seq != 0) {
        *spent += OLD_VERSION_COST;
        code = count_out(s, snapshot, e, err);
    }
    if (code == SF_OK && e->op == STORE_UPSERT) {
        code = table_stats_add(&s->stats, version_of(s, e->contract_id), e->row, err);
    }
    if (code == SF_OK) {
        s->epoch = e->epoch;
        s->seq = e->seq;
        exam_free(s->exam); /* It is of the rows before. */
        s->exam = NULL;
    }
    return code;
}

static enum sf_code follow(struct lane_stats *s, struct lane_step *step, struct sf_error *err)
{
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    SF_CLEANUP(store_log_freep) struct store_log *log = NULL;
    struct store_log_entry e;
    size_t spent = 0;
    bool more = true;
    enum sf_code code = store_snapshot_new(s->store, &snapshot, err);

    if (code == SF_OK) {
        code = store_log_new(snapshot, s->lane, s->seq, /* verify= */ false, &log, err);
    }
    while (code == SF_OK && more && spent < step->budget) {
        code = store_log_next(log, &e, &more, err);
        if (code == SF_OK && more) {
            code = count_change(s, snapshot, &e, &spent, err);
            step->counted++;
        }
    }
    step->more = more;
    return code;
}

/* --- as they are stored -------------------------------------------------------------------------
 */

static void encode(const struct lane_stats *s, struct sf_buf *out)
{
    sf_buf_byte(out, FORMAT);
    sf_buf_be32(out, s->epoch);
    sf_buf_be64(out, s->seq);
    sf_buf_be64(out, (uint64_t)s->counted_us);
    table_stats_encode(&s->stats, out);
}

/* *ret_good: they were stored, and go on from where the lane is. */
static enum sf_code load(struct lane_stats *s, bool *ret_good, struct sf_error *err)
{
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    SF_CLEANUP(sf_buf_done) struct sf_buf value = {0};
    uint8_t key[LANE_STATS_KEY_BYTES];
    struct store_head head;
    struct sf_slice bytes;
    bool found = false;
    enum sf_code code = store_snapshot_new(s->store, &snapshot, err);

    lane_stats_key(s->lane, key);
    *ret_good = false;
    if (code == SF_OK) {
        code = store_snapshot_head(snapshot, s->lane, &head, err);
    }
    if (code == SF_OK) {
        code = store_small_get(snapshot, STORE_META, sf_slice_of(key, sizeof(key)), &value, NULL,
                               &found, err);
    }
    if (code != SF_OK || !found) {
        return code;
    }
    bytes = sf_buf_view(&value);
    if (bytes.size < HEADER_BYTES || bytes.data[0] != FORMAT) {
        return SF_OK;
    }
    s->epoch = sf_read_be32(bytes.data + 1);
    s->seq = sf_read_be64(bytes.data + 5);
    s->counted_us = (int64_t)sf_read_be64(bytes.data + 13);
    if (s->epoch > head.epoch || s->seq > head.seq) {
        return SF_OK; /* Of a store of before. Too far behind, follow() says. */
    }
    bytes = sf_slice_of(bytes.data + HEADER_BYTES, bytes.size - HEADER_BYTES);
    code = table_stats_init(&s->stats, s->table, err);
    code = code == SF_OK ? table_stats_decode(&bytes, &s->stats, err) : code;
    *ret_good = code == SF_OK && bytes.size == 0;
    if (!*ret_good) {
        table_stats_done(&s->stats);
    }
    return code == SF_CORRUPT ? SF_OK : code; /* Not worth a word: they are counted anew. */
}

/* --- a step -------------------------------------------------------------------------------------
 */

static enum sf_code advance(struct lane_stats *s, struct lane_step *step, struct sf_error *err)
{
    bool good = s->loaded;
    enum sf_code code = SF_OK;

    if (!s->loaded && !lane_stats_is_counting(s)) {
        code = load(s, &good, err);
        s->loaded = good;
    }
    if (code == SF_OK && !lane_stats_is_counting(s) && (!good || step->count)) {
        code = begin_counting(s, step, step->examine, err);
    }
    if (code != SF_OK || step->held) {
        return code;
    }
    if (lane_stats_is_counting(s)) {
        return count_rows(s, step, err);
    }
    code = follow(s, step, err);
    if (code == SF_CONFLICT) { /* Retention was faster. */
        code = begin_counting(s, step, /* examine= */ false, err);
    }
    return code;
}

enum sf_code lane_stats_step(struct lane_stats *s, struct lane_step *step, struct sf_error *err)
{
    enum sf_code code = advance(s, step, err);

    if (code == SF_OK && step->save && s->loaded) {
        encode(s, &step->bytes);
        code = sf_buf_check(&step->bytes, "statistics", err);
    }
    if (code != SF_OK) {
        drop_counting(s);
        lane_stats_unload(s);
    }
    return code;
}
