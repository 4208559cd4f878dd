#include "leaf/ingest/mend.h"

#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/sys/log.h"
#include "common/wire/json.h"
#include "leaf/store/as_of.h"

/*
 *      work done          store took it           callback
 *   READING ---------> READ ---------> COMMITTING ---------> DONE --> freed
 *      ^                |  nothing to store, refused          ^
 *      |                +-------------------------------------+
 *      +----- OVERTAKEN <--- a row or an entry changed meanwhile, READS_MAX times
 *
 * op_step() decides; callbacks note what they were told and call it.
 */
enum op_state { READING, READ, COMMITTING, OVERTAKEN, DONE };

enum { READS_MAX = 8, RUNS_MAX = 32, RUN_KEYS_MAX = 100000 };

/* A row that a replay wrote: as old as the record it was made of. */
struct mended_row {
    uint64_t seq;
    int64_t came_us;
};

/* The replay of a table, over several requests: what it wrote may be replaced by what came later.
 */
struct run {
    struct store_lane *lane; /* NULL: free */
    bool busy;               /* a request of this lane is under way, and has the run for itself */
    uint64_t used;           /* the higher, the later */
    struct sf_map rows;      /* key: struct mended_row, of the arena */
    struct sf_arena arena;
};

struct op {
    enum op_state state;
    struct mender *m;
    struct run *run;
    struct mend_request request;
    char user[64];
    struct batch_spec spec;
    struct batch_rows rows;
    mend_cb cb;
    void *data;
    unsigned reads;

    /* While READING these belong to the query thread. */
    struct batch_reader *reader;
    struct batch batch;
    struct store_snapshot *snapshot;
    struct sf_buf bytes; /* of an entry, of a row */
    struct store_resolve *resolves;
    size_t *again;    /* of each: number of its reject + 1, or 0 */
    int64_t *came_us; /* of each change: when its record came */
    size_t resolve_count;
    struct sf_buf errors;
    struct sf_json_writer errors_writer;
    struct mend_result result;
    enum sf_code code;
    struct sf_error error;
    struct sf_work work;

    struct store_lane_write lane_write;
    struct store_write write;
};

struct mender {
    struct sf_rt *rt;
    struct store *store;
    struct run runs[RUNS_MAX];
    uint64_t uses;
    size_t pending;
};

static void op_step(struct op *op);

enum sf_code mender_new(struct sf_rt *rt, struct store *store, struct mender **ret,
                        struct sf_error *err)
{
    struct mender *m = sf_calloc(1, sizeof(*m));

    if (m == NULL) {
        return SF_RAISE(err, SF_NOMEM, "quarantine");
    }
    m->rt = rt;
    m->store = store;
    *ret = m;
    return SF_OK;
}

static void run_clear(struct run *run)
{
    sf_map_done(&run->rows);
    sf_arena_done(&run->arena);
    run->rows = (struct sf_map){0};
    sf_arena_init(&run->arena, 0);
}

void mender_free(struct mender *m)
{
    if (m == NULL) {
        return;
    }
    sf_assert(m->pending == 0);
    for (size_t i = 0; i < RUNS_MAX; i++) {
        run_clear(&m->runs[i]);
    }
    sf_free(m);
}

size_t mender_pending(const struct mender *m)
{
    return m->pending;
}

void mender_hold(struct mender *m)
{
    m->pending++;
}

void mender_release(struct mender *m)
{
    m->pending--;
}

/* --- runs ------------------------------------------------------------------------------------- */

/* The run of @lane, or the one that was not used for longest; NULL when all are busy. */
static struct run *run_take(struct mender *m, struct store_lane *lane)
{
    struct run *oldest = NULL;

    for (size_t i = 0; i < RUNS_MAX; i++) {
        struct run *run = &m->runs[i];

        if (run->lane == lane) {
            oldest = run->busy ? NULL : run;
            break;
        }
        if (!run->busy && (oldest == NULL || run->used < oldest->used)) {
            oldest = run;
        }
    }
    if (oldest == NULL) {
        return NULL;
    }
    if (oldest->lane != lane) {
        run_clear(oldest);
    }
    oldest->lane = lane;
    oldest->busy = true;
    oldest->used = ++m->uses;
    return oldest;
}

/* Notes what was written. Without memory it is forgotten: then later records find newer rows. */
static void run_note(struct op *op)
{
    const struct store_lane_write *lw = &op->lane_write;
    struct run *run = op->run;

    if (lw->first_seq == 0 || lw->last_seq - lw->first_seq + 1 != lw->change_count ||
        op->spec.table->kind != SF_TABLE_STATE) {
        return;
    }
    if (run->rows.live > RUN_KEYS_MAX) {
        run_clear(run);
    }
    for (size_t i = 0; i < lw->change_count; i++) {
        struct mended_row *row = sf_arena_alloc(&run->arena, sizeof(*row));

        if (row != NULL) {
            *row = (struct mended_row){lw->first_seq + i, op->came_us[i]};
        }
        if (row == NULL || sf_map_put(&run->rows, lw->changes[i].key, row) != SF_OK) {
            run_clear(run);
            return;
        }
    }
}

/* --- reading: query thread -------------------------------------------------------------------- */

/* struct batch_rows */
static enum sf_code find_row(void *data, struct sf_slice key, struct sf_buf *bytes,
                             struct sf_slice *ret, uint64_t *ret_seq, bool *found,
                             struct sf_error *err)
{
    struct op *op = data;
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
static enum sf_code anchor_time(const struct op *op, int64_t *ret, struct sf_error *err)
{
    struct store_anchor anchor;
    enum sf_code code = store_anchor_of(op->snapshot, op->request.table->lane, &anchor, err);

    *ret = code == SF_OK ? anchor.commit_us : 0;
    return code;
}

/* When the row of @key was written last, for comparing it with a record; 0: never. */
static enum sf_code row_time(struct op *op, struct sf_slice key, uint64_t seq, int64_t *ret,
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
static enum sf_code check_row(struct op *op, int64_t came_us, enum sheaf_error_number *ret_why,
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

static void write_error(struct op *op, uint64_t qseq, const struct sf_violation *v)
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

static void add_resolve(struct op *op, const struct store_quarantined *e, size_t again)
{
    op->again[op->resolve_count] = again;
    op->resolves[op->resolve_count++] =
        (struct store_resolve){.qseq = e->qseq, .commit_us = e->commit_us};
}

/* One entry of a replay: a change, or a reject with the codes of now. */
static enum sf_code replay_entry(struct op *op, const struct store_quarantined *e)
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

static enum sf_code take_entry(struct op *op, const struct store_quarantined *e)
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
static enum sf_code read_many(struct op *op)
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

static enum sf_code get_entry(struct op *op, struct sf_buf *bytes, struct store_quarantined *ret)
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

static enum sf_code read_one(struct op *op)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf bytes = {0};
    struct store_quarantined e;
    enum sf_code code = get_entry(op, &bytes, &e);

    op->result.last = op->request.entry;
    return code == SF_OK ? take_entry(op, &e) : code;
}

/* The body in the place of what the entry holds. */
static enum sf_code read_fix(struct op *op)
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

static enum sf_code read_all(struct op *op)
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

static void read_work(struct sf_work *work)
{
    struct op *op = SF_CONTAINER_OF(work, struct op, work);

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

static void read_done(struct sf_task *done)
{
    struct op *op = SF_CONTAINER_OF(done, struct op, work.done);

    op->state = READ;
    op_step(op);
}

/* --- storing ---------------------------------------------------------------------------------- */

static void written(struct store_write *w, const struct sf_error *err)
{
    struct op *op = w->data;

    op->state = DONE;
    if (err != NULL) {
        op->code = err->code;
        op->error = *err;
        op->state = err->code == SF_CONFLICT ? OVERTAKEN : DONE;
    }
    op_step(op);
}

/* READ: hands it to the store. Returns whether it waits. */
static bool submit(struct op *op)
{
    if (op->code != SF_OK || op->resolve_count == 0) {
        return false;
    }
    op->lane_write = (struct store_lane_write){
        .lane = op->request.table->lane,
        .changes = op->batch.changes,
        .change_count = op->batch.change_count,
        .resolves = op->resolves,
        .resolve_count = op->resolve_count,
        .expect_seq = STORE_ANY,
        .dedupe = {op->spec.table->dedupe_within_us, UINT64_MAX},
        .skip_unchanged = op->spec.table->skip_unchanged,
    };
    op->write = (struct store_write){.data = op, .lanes = &op->lane_write, .lane_count = 1};
    op->code = store_submit(op->m->store, &op->write, written, &op->error);
    return op->code == SF_OK;
}

static void read_start(struct op *op)
{
    op->reads++;
    batch_done(&op->batch);
    batch_init(&op->batch);
    sf_buf_clear(&op->errors);
    op->resolve_count = 0;
    op->result = (struct mend_result){0};
    op->write = (struct store_write){0};
    op->state = READING;
    sf_rt_work(op->m->rt, &op->work);
}

/* OVERTAKEN: starts over with rows and entries as they are now. Returns whether it waits. */
static bool read_again(struct op *op)
{
    if (op->reads == READS_MAX) {
        op->code = SF_RAISE_E(&op->error, SF_BUSY, SHEAF_E_BUSY,
                              "rows or entries were changed by others %d times", READS_MAX);
        return false;
    }
    read_start(op);
    return true;
}

static const char *what_text(enum mend_what what)
{
    switch (what) {
    case MEND_REPLAY:
        return "replay";
    case MEND_FIX:
        return "fix";
    case MEND_DROP:
        return "drop";
    }
    return "";
}

/* Who did what, without a value. */
static void note(const struct op *op)
{
    const struct store_lane_name *lane = store_lane_name(op->request.table->lane);
    const struct mend_result *r = &op->result;

    sf_log(SF_LOG_INFO, "quarantine.mended", SF_F_TEXT("what", what_text(op->request.what)),
           SF_F_TEXT("user", op->user), SF_F_TEXT("product", lane->product),
           SF_F_UINT("major", lane->major), SF_F_TEXT("table", lane->table),
           SF_F_UINT("first_qseq", op->resolves[0].qseq),
           SF_F_UINT("last_qseq", op->resolves[op->resolve_count - 1].qseq),
           SF_F_UINT("resolved", r->resolved), SF_F_UINT("left", r->left),
           SF_F_UINT("first_seq", r->first_seq), SF_F_UINT("last_seq", r->last_seq));
}

static void answer(struct op *op)
{
    struct mend_result *r = &op->result;

    r->epoch = store_lane_head(op->request.table->lane)->epoch;
    r->errors = sf_buf_view(&op->errors);
    if (op->code == SF_OK && op->write.lane_count > 0) {
        r->first_seq = op->lane_write.first_seq;
        r->last_seq = op->lane_write.last_seq;
        run_note(op);
        note(op);
    }
    if (op->code == SF_OK && !r->more && op->request.entry == 0) {
        run_clear(op->run); /* The replay has come to its end. */
    }
    op->cb(op->data, r, op->code == SF_OK ? NULL : &op->error);
}

static void op_free(struct op *op)
{
    if (op->run != NULL) {
        op->run->busy = false;
        mender_release(op->m);
    }
    batch_reader_free(op->reader);
    batch_done(&op->batch);
    sf_buf_done(&op->request.body);
    sf_buf_done(&op->bytes);
    sf_buf_done(&op->errors);
    sf_free(op->resolves);
    sf_free(op->again);
    sf_free(op->came_us);
    sf_free(op);
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
        if (!read_again(op)) {
            op->state = DONE;
            op_step(op);
        }
        break;
    case DONE:
        answer(op);
        op_free(op);
        break;
    }
}

/* --- starting --------------------------------------------------------------------------------- */

static enum sf_code op_room(struct op *op, struct sf_error *err)
{
    const size_t count = op->request.limit;

    op->resolves = sf_calloc(count, sizeof(*op->resolves));
    op->again = sf_calloc(count, sizeof(*op->again));
    op->came_us = sf_calloc(count, sizeof(*op->came_us));
    if (op->resolves == NULL || op->again == NULL || op->came_us == NULL) {
        return SF_RAISE(err, SF_NOMEM, "quarantine");
    }
    return batch_reader_new(op->request.table->contract, &op->reader, err);
}

static enum sf_code check(const struct mend_request *r, struct sf_error *err)
{
    const struct sf_product *p = r->table->product->contract;

    if (r->what != MEND_DROP && p->status == SF_STATUS_RETIRED) {
        return SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_WRONG_STATE, "product %s/%s is retired",
                          p->domain, p->name);
    }
    return SF_OK;
}

static void op_fill(struct op *op, struct mender *m, const struct mend_request *r)
{
    op->m = m;
    op->request = *r;
    if (op->request.limit == 0 || op->request.limit > MEND_ENTRIES_MAX) {
        op->request.limit = MEND_ENTRIES_MAX;
    }
    (void)snprintf(op->user, sizeof(op->user), "%s", r->user == NULL ? "" : r->user);
    op->request.user = op->user;
    op->spec = (struct batch_spec){
        .table = r->table->contract,
        .contract_id = r->table->product->contract_id,
        .format = r->format,
        .has_envelope = r->what == MEND_REPLAY || r->has_envelope,
        .rows = &op->rows,
    };
    op->rows = (struct batch_rows){.find = find_row, .data = op};
    op->work = (struct sf_work){.pool = SF_POOL_QUERY, .work = read_work, .done.run = read_done};
}

enum sf_code mend_start(struct mender *m, struct mend_request *request, mend_cb cb, void *data,
                        struct sf_error *err)
{
    struct op *op = NULL;
    enum sf_code code = check(request, err);

    if (code == SF_OK) {
        op = sf_calloc(1, sizeof(*op));
        code = op == NULL ? SF_RAISE(err, SF_NOMEM, "quarantine") : SF_OK;
    }
    if (code != SF_OK) {
        sf_buf_done(&request->body);
        return code;
    }
    op_fill(op, m, request);
    request->body = (struct sf_buf){0};
    op->cb = cb;
    op->data = data;
    code = op_room(op, err);
    if (code == SF_OK) {
        op->run = run_take(m, request->table->lane);
        code = op->run == NULL ? SF_RAISE_E(err, SF_BUSY, SHEAF_E_BUSY,
                                            "the quarantine of this table is being mended")
                               : SF_OK;
    }
    if (code != SF_OK) {
        op_free(op);
        return code;
    }
    mender_hold(m);
    read_start(op);
    return SF_OK;
}
