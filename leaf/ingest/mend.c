#include "leaf/ingest/mend.h"

#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/sys/log.h"
#include "leaf/ingest/mend_private.h"

/*
 *      work done          store took it           callback
 *   READING ---------> READ ---------> COMMITTING ---------> DONE --> freed
 *      ^                |  nothing to store, refused          ^
 *      |                +-------------------------------------+
 *      +----- OVERTAKEN <--- a row or an entry changed meanwhile, READS_MAX times
 *
 * op_step() decides; callbacks note what they were told and call it.
 */
enum { READS_MAX = 8, RUN_KEYS_MAX = 100000 };

static void op_step(struct mend_op *op);

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

static void run_clear(struct mend_run *run)
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
    for (size_t i = 0; i < MEND_RUNS_MAX; i++) {
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
static struct mend_run *run_take(struct mender *m, struct store_lane *lane)
{
    struct mend_run *oldest = NULL;

    for (size_t i = 0; i < MEND_RUNS_MAX; i++) {
        struct mend_run *run = &m->runs[i];

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
static void run_note(struct mend_op *op)
{
    const struct store_lane_write *lw = &op->lane_write;
    struct mend_run *run = op->run;

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

static void read_done(struct sf_task *done)
{
    struct mend_op *op = SF_CONTAINER_OF(done, struct mend_op, work.done);

    op->state = READ;
    op_step(op);
}

/* --- storing ---------------------------------------------------------------------------------- */

static void written(struct store_write *w, const struct sf_error *err)
{
    struct mend_op *op = w->data;

    op->state = DONE;
    if (err != NULL) {
        op->code = err->code;
        op->error = *err;
        op->state = err->code == SF_CONFLICT ? OVERTAKEN : DONE;
    }
    op_step(op);
}

/* READ: hands it to the store. Returns whether it waits. */
static bool submit(struct mend_op *op)
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

static void read_start(struct mend_op *op)
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
static bool read_again(struct mend_op *op)
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
static void note(const struct mend_op *op)
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

static void answer(struct mend_op *op)
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

static void op_free(struct mend_op *op)
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

static void op_step(struct mend_op *op)
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

static enum sf_code op_room(struct mend_op *op, struct sf_error *err)
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

static void op_fill(struct mend_op *op, struct mender *m, const struct mend_request *r)
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
        .epoch = store_lane_head(r->table->lane)->epoch,
        .rows = &op->rows,
    };
    op->rows = (struct batch_rows){.find = mend_find_row, .data = op};
    op->work =
        (struct sf_work){.pool = SF_POOL_QUERY, .work = mend_read_work, .done.run = read_done};
}

enum sf_code mend_start(struct mender *m, struct mend_request *request, mend_cb cb, void *data,
                        struct sf_error *err)
{
    struct mend_op *op = NULL;
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
