/*
 *           submit           next turn            worker done
 *   IDLE ----------> ARMED -----------> WRITING ---------------+
 *    ^ |               |    store has failed                   |
 *    | |               +------------------------------------+  |
 *    | +-- closing, nothing under way --> CLOSING ---> freed |  |
 *    +------------------------------------------------------+--+
 *
 * A group may come back from the worker written, but for a sync of the log that is under way. The
 * next one is begun then: it is built on the rows that wait, and before it is written the kv waits
 * for the sync. At most two are under way, and settled in their order:
 *
 *           begun              sync is pending             synced
 *   FREE ----------> WRITING -------------------> SYNCING ---------> DUE -----> FREE
 *                       +-------------------------------------------->   settled, as the oldest
 *                                   ended, or failed
 *
 * Steps of retention change what a group is built on, also on the loop: their group is alone.
 * When a sync has failed, nothing of the group behind is written, and all of both is refused.
 *
 * What is submitted while ARMED or WRITING waits for the next group. queue_step() is the only
 * function that decides what happens next; callbacks record what they were told, move the state,
 * and call it.
 */
#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "leaf/store/store_internal.h"
#include "proto/errors.h"

#define TO(s) (1u << (s))
static const unsigned allowed[QUEUE_STATE_COUNT] = {
    [QUEUE_IDLE] = TO(QUEUE_ARMED) | TO(QUEUE_CLOSING),
    [QUEUE_ARMED] = TO(QUEUE_WRITING) | TO(QUEUE_IDLE),
    [QUEUE_WRITING] = TO(QUEUE_IDLE),
    [QUEUE_CLOSING] = 0,
};
#undef TO

enum {
    CHANGE_COST = 64, /* bytes that a change or reject is charged beyond its own */
    FIELD_BYTES_MAX = 255,
};

static void queue_step(struct store *s);

static void queue_move(struct store *s, enum queue_state next)
{
    sf_assert((allowed[s->state] >> next) & 1u);
    s->state = next;
}

/* --- the group that is written --- */

static void commit_work(struct sf_work *work)
{
    commit_group_run(&SF_CONTAINER_OF(work, struct store, work)->group);
}

/* What is to be told of the group passes to its settlement; the next group may have the rest. */
static void hand_over(struct commit_group *g)
{
    struct settlement *t = g->to;

    sf_list_move(&t->writes, &g->writes);
    t->dirty = g->dirty;
    t->numbered = g->numbered;
    t->sync = g->sync;
    t->code = g->code;
    t->error = g->error;
    t->counts = g->counts;
    g->to = NULL;
}

static void end_sync(struct settlement *t)
{
    t->stage = SETTLEMENT_DUE;
    if (t->sync_code != SF_OK) {
        t->code = t->sync_code;
        t->error = t->sync_error;
    }
}

static void commit_work_done(struct sf_task *done)
{
    struct store *s = SF_CONTAINER_OF(done, struct store, work.done);
    struct settlement *t = s->group.to;

    hand_over(&s->group);
    t->stage = s->group.is_pending ? SETTLEMENT_SYNCING : SETTLEMENT_DUE;
    if (t->stage == SETTLEMENT_SYNCING && t->is_synced) {
        end_sync(t);
    }
    queue_move(s, QUEUE_IDLE);
    queue_step(s);
}

static void on_synced(struct sf_task *task)
{
    struct settlement *t = SF_CONTAINER_OF(task, struct settlement, synced);

    t->is_synced = true;
    if (t->stage == SETTLEMENT_SYNCING) {
        end_sync(t);
        queue_step(t->store);
    }
}

/* On a thread of the kv. */
static void on_sync_ended(struct kv_pending *p, enum sf_code code, const struct sf_error *err)
{
    struct settlement *t = SF_CONTAINER_OF(p, struct settlement, pending);

    t->sync_code = code;
    if (code != SF_OK) {
        t->sync_error = *err;
    }
    sf_rt_post_remote(t->store->rt, &t->synced);
}

/* Lanes that are not recorded yet are, with the next commit: nothing may refer to them before. */
static void record_lanes(struct store *s)
{
    for (size_t i = s->lane_count; s->unrecorded > 0 && i > 0; i--) {
        struct store_lane *lane = s->lanes[i - 1];

        if (lane->recorded) {
            break; /* Lanes are recorded in order of their ids. */
        }
        sf_list_push(&s->group.lanes, &lane->touched);
    }
}

static struct store_write *first_waiting(const struct store *s)
{
    return SF_CONTAINER_OF(s->waiting.next, struct store_write, link);
}

/* Of the newest group, or of the newest that has settled. */
static const struct keyspace_commit *newest_commit(const struct store *s)
{
    const struct settlement *t = &s->settlements[s->oldest];

    return s->under_way > 0 && t->code == SF_OK && t->numbered ? &t->commit : &s->last;
}

static bool may_begin(const struct store *s)
{
    return s->under_way == 0 || (s->under_way < SETTLEMENTS && !s->settlements[s->oldest].alone &&
                                 first_waiting(s)->upkeep == NULL);
}

/* The next group, of what waits. */
static void group_fill(struct store *s)
{
    struct settlement *t = &s->settlements[(s->oldest + s->under_way) % SETTLEMENTS];
    struct commit_group *g = &s->group;
    const struct keyspace_commit *before = newest_commit(s);
    int64_t now_us = sf_rt_wall_us(s->rt);
    uint64_t writes = 0;

    t->alone = false;
    t->behind_failed = false;
    t->is_synced = false;
    t->lane_count = 0;
    g->to = t;
    g->disk_reserve_bytes = s->options.disk_reserve_bytes;
    g->bytes = 0;
    while (!sf_list_empty(&s->waiting) && g->bytes < s->options.group_bytes_max) {
        struct store_write *w = first_waiting(s);

        if (w->upkeep != NULL && s->under_way > 0) {
            break;
        }
        t->alone = t->alone || w->upkeep != NULL;
        g->bytes += w->bytes;
        sf_list_push(&g->writes, sf_list_pop(&s->waiting));
        writes++;
    }
    if (writes > s->stats.group_writes_highest) {
        s->stats.group_writes_highest = writes;
    }
    t->commit = (struct keyspace_commit){
        .commit = before->commit + 1,
        .commit_us = now_us > before->commit_us ? now_us : before->commit_us,
        .epoch = s->epoch,
    };
    g->commit = t->commit;
    t->stage = SETTLEMENT_WRITING;
    s->under_way++;
}

/* Its text was told to those whose commit it was. */
enum sf_code commit_raise_failed(const struct store *s, struct sf_error *err)
{
    const uint16_t number = s->failure.number == 0 ? SHEAF_E_STORE_FAILED : s->failure.number;

    return SF_RAISE_E(err, SF_IO, number, "an earlier commit failed; the store is read-only");
}

static void armed_turn(struct sf_task *turn)
{
    struct store *s = SF_CONTAINER_OF(turn, struct store, turn);

    group_fill(s);
    if (s->failed) {
        struct settlement *t = s->group.to;

        s->group.code = commit_raise_failed(s, &s->group.error);
        hand_over(&s->group);
        t->stage = SETTLEMENT_DUE;
        queue_move(s, QUEUE_IDLE);
        queue_step(s);
        return;
    }
    record_lanes(s);
    queue_move(s, QUEUE_WRITING);
    sf_rt_work(s->rt, &s->work);
}

/* --- closing --- */

static void close_work(struct sf_work *work)
{
    struct store *s = SF_CONTAINER_OF(work, struct store, work);

    s->kv->ops->close(s->kv);
    s->kv = NULL;
}

static void close_work_done(struct sf_task *done)
{
    struct store *s = SF_CONTAINER_OF(done, struct store, work.done);
    store_close_cb cb = s->close_cb;
    void *data = s->close_data;

    store_free(s);
    cb(data);
}

static void start_closing(struct store *s)
{
    sf_assert(atomic_load(&s->readers) == 0);
    queue_move(s, QUEUE_CLOSING);
    commit_queue_done(s);
    s->work.work = close_work;
    s->work.done.run = close_work_done;
    sf_rt_work(s->rt, &s->work);
}

/* Groups that have ended, the oldest first. A callback may submit, or close. */
static void settle_due(struct store *s)
{
    s->settling = true;
    while (s->under_way > 0 && s->settlements[s->oldest].stage == SETTLEMENT_DUE) {
        struct settlement *t = &s->settlements[s->oldest];

        settlement_settle(s, t);
        t->stage = SETTLEMENT_FREE;
        s->oldest = (s->oldest + 1) % SETTLEMENTS;
        s->under_way--;
    }
    s->settling = false;
}

static void queue_step(struct store *s)
{
    if (s->settling) {
        return;
    }
    settle_due(s);
    if (s->state != QUEUE_IDLE) {
        return;
    }
    if (!sf_list_empty(&s->waiting)) {
        if (may_begin(s)) {
            queue_move(s, QUEUE_ARMED);
            sf_rt_post(s->rt, &s->turn);
        }
    } else if (s->closing && s->under_way == 0) {
        start_closing(s);
    }
}

void commit_queue_init(struct store *s)
{
    struct commit_group *g = &s->group;

    s->state = QUEUE_IDLE;
    s->turn.run = armed_turn;
    s->work.pool = SF_POOL_COMMIT;
    s->work.work = commit_work;
    s->work.done.run = commit_work_done;
    sf_list_init(&s->waiting);
    sf_list_init(&s->listeners);
    sf_list_init(&g->writes);
    sf_list_init(&g->lanes);
    sf_arena_init(&g->arena, 0);
    g->kv = s->kv;
    g->places = &s->places;
    sf_random_bytes(&g->hash_seed, sizeof(g->hash_seed));
    for (size_t i = 0; i < SETTLEMENTS; i++) {
        struct settlement *t = &s->settlements[i];

        t->store = s;
        t->pending.ended = on_sync_ended;
        t->synced.run = on_synced;
        sf_list_init(&t->writes);
    }
}

void commit_queue_done(struct store *s)
{
    kv_batch_free(SF_TAKE(s->group.batch));
    kv_batch_free(SF_TAKE(s->group.rows));
    positions_free(SF_TAKE(s->group.positions));
    sf_arena_done(&s->group.arena);
    sf_buf_done(&s->group.bytes_out);
    sf_buf_done(&s->group.old_entry);
    for (size_t i = 0; i < SETTLEMENTS; i++) {
        sf_free(SF_TAKE(s->settlements[i].lanes));
    }
}

/* --- submitting --- */

static enum sf_code too_large(struct sf_error *err, const char *what, size_t size, size_t max)
{
    return SF_RAISE_E(err, SF_INVALID, SHEAF_E_RECORD_TOO_LARGE, "%s of %zu bytes, limit %zu", what,
                      size, max);
}

static enum sf_code check_change(const struct store_lane *lane, const struct store_change *c,
                                 struct sf_error *err)
{
    bool event = lane->name.kind == STORE_EVENT;

    sf_assert(c->op == STORE_UPSERT || (c->op == STORE_DELETE && !event && c->row.size == 0));
    sf_assert(event ? c->key.size == 0 && c->expect_seq == STORE_ANY : c->key.size > 0);
    if (c->key.size > STORE_KEY_BYTES_MAX) {
        return too_large(err, "key", c->key.size, STORE_KEY_BYTES_MAX);
    }
    if (c->row.size > STORE_ROW_BYTES_MAX) {
        return too_large(err, "row", c->row.size, STORE_ROW_BYTES_MAX);
    }
    return SF_OK;
}

static enum sf_code check_reject(const struct store_reject *r, struct sf_error *err)
{
    sf_assert(r->code_count <= STORE_REJECT_CODES_MAX);
    if (r->raw.size > STORE_ROW_BYTES_MAX) {
        return too_large(err, "raw record", r->raw.size, STORE_ROW_BYTES_MAX);
    }
    if (r->field.size > FIELD_BYTES_MAX) {
        return too_large(err, "field name", r->field.size, FIELD_BYTES_MAX);
    }
    if (r->context.size > STORE_CONTEXT_BYTES_MAX) {
        return too_large(err, "header", r->context.size, STORE_CONTEXT_BYTES_MAX);
    }
    return SF_OK;
}

/* Entries to be resolved: of one write of a lane at a time, so that a group never does it twice. */
static enum sf_code check_resolves(const struct store_lane_write *lw, size_t *sum,
                                   struct sf_error *err)
{
    enum sf_code code = SF_OK;

    if (lw->resolve_count > 0 && lw->lane->resolving) {
        return SF_RAISE_E(err, SF_BUSY, SHEAF_E_BUSY,
                          "other entries of this quarantine are being resolved");
    }
    for (size_t i = 0; code == SF_OK && i < lw->resolve_count; i++) {
        const struct store_reject *again = lw->resolves[i].again;

        *sum += CHANGE_COST;
        if (again != NULL) {
            code = check_reject(again, err);
            *sum += again->raw.size + again->context.size;
        }
    }
    return code;
}

/* Checks @w and adds up what it is charged. */
static enum sf_code check_write(const struct store_write *w, size_t *bytes, struct sf_error *err)
{
    size_t sum = CHANGE_COST;
    enum sf_code code = SF_OK;

    sf_assert(!w->unsynced || w->lane_count == 0);
    for (size_t i = 0; i < w->lane_count; i++) {
        const struct store_lane_write *lw = &w->lanes[i];

        for (size_t c = 0; code == SF_OK && c < lw->change_count; c++) {
            code = check_change(lw->lane, &lw->changes[c], err);
            sum += CHANGE_COST + lw->changes[c].key.size + lw->changes[c].row.size;
        }
        for (size_t r = 0; code == SF_OK && r < lw->reject_count; r++) {
            code = check_reject(&lw->rejects[r], err);
            sum += CHANGE_COST + lw->rejects[r].raw.size + lw->rejects[r].context.size;
        }
        code = code == SF_OK ? check_resolves(lw, &sum, err) : code;
    }
    for (size_t i = 0; i < w->put_count; i++) {
        sum += CHANGE_COST + w->puts[i].key.size + w->puts[i].value.size;
    }
    *bytes = sum;
    return code;
}

enum sf_code store_submit(struct store *s, struct store_write *w, store_write_cb cb,
                          struct sf_error *err)
{
    size_t bytes = 0;
    enum sf_code code;

    sf_assert(cb != NULL);
    if (s->closing) {
        return SF_RAISE(err, SF_CLOSED, "store is closing");
    }
    if (s->failed) {
        return commit_raise_failed(s, err);
    }
    code = check_write(w, &bytes, err);
    if (code != SF_OK) {
        return code;
    }
    /* A write larger than the queue still goes through when it is alone. */
    if (s->stats.queued_writes > 0 && (s->stats.queued_writes >= s->options.queue_writes_max ||
                                       bytes > s->options.queue_bytes_max - s->stats.queued_bytes ||
                                       s->stats.queued_bytes > s->options.queue_bytes_max)) {
        s->stats.refused++;
        return SF_RAISE_E(err, SF_BUSY, SHEAF_E_BUSY, "%zu writes of %zu bytes are queued",
                          s->stats.queued_writes, s->stats.queued_bytes);
    }
    w->cb = cb;
    w->bytes = bytes;
    sf_list_push(&s->waiting, &w->link);
    s->stats.queued_writes++;
    s->stats.queued_bytes += bytes;
    store_note_coming(w, /* is_queued= */ true);
    if (s->state == QUEUE_IDLE) {
        queue_step(s);
    }
    return SF_OK;
}

void store_close(struct store *s, store_close_cb cb, void *data)
{
    sf_assert(!s->closing);
    s->closing = true;
    s->close_cb = cb;
    s->close_data = data;
    if (s->state == QUEUE_IDLE) {
        queue_step(s);
    }
}

void store_listen(struct store *s, struct store_listener *l)
{
    sf_assert(!sf_list_linked(&l->link));
    sf_list_push(&s->listeners, &l->link);
}

void store_unlisten(struct store *s, struct store_listener *l)
{
    if (s->next_listener == &l->link) {
        s->next_listener = l->link.next;
    }
    sf_list_remove(&l->link);
}
