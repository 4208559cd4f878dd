/*
 *           submit           next turn            worker done
 *   IDLE ----------> ARMED -----------> WRITING --------------> SETTLING ---+
 *    ^ |               |    store has failed                       ^        |
 *    | |               +-------------------------------------------+        |
 *    | +--- closing and nothing queued ---> CLOSING ---(worker)---> freed   |
 *    +----------------------------------------------------------------------+
 *
 * What is submitted while ARMED or WRITING waits for the next group. queue_step() is the only
 * function that decides what happens next; callbacks record what they were told, move the state,
 * and call it.
 */
#include "common/base/assert.h"
#include "leaf/store/store_internal.h"
#include "proto/errors.h"

#define TO(s) (1u << (s))
static const unsigned allowed[QUEUE_STATE_COUNT] = {
    [QUEUE_IDLE] = TO(QUEUE_ARMED) | TO(QUEUE_CLOSING),
    [QUEUE_ARMED] = TO(QUEUE_WRITING) | TO(QUEUE_SETTLING),
    [QUEUE_WRITING] = TO(QUEUE_SETTLING),
    [QUEUE_SETTLING] = TO(QUEUE_IDLE),
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

/* --- the group in flight --- */

static void commit_work(struct sf_work *work)
{
    commit_group_run(&SF_CONTAINER_OF(work, struct store, work)->group);
}

static void commit_work_done(struct sf_task *done)
{
    struct store *s = SF_CONTAINER_OF(done, struct store, work.done);

    queue_move(s, QUEUE_SETTLING);
    queue_step(s);
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

static void group_fill(struct store *s)
{
    struct commit_group *g = &s->group;
    int64_t now_us = sf_rt_wall_us(s->rt);
    uint64_t writes = 0;

    g->bytes = 0;
    while (!sf_list_empty(&s->waiting) && g->bytes < s->options.group_bytes_max) {
        struct sf_list *link = sf_list_pop(&s->waiting);

        g->bytes += SF_CONTAINER_OF(link, struct store_write, link)->bytes;
        sf_list_push(&g->writes, link);
        writes++;
    }
    if (writes > s->stats.group_writes_highest) {
        s->stats.group_writes_highest = writes;
    }
    g->commit = (struct keyspace_commit){
        .commit = s->last.commit + 1,
        .commit_us = now_us > s->last.commit_us ? now_us : s->last.commit_us,
        .epoch = s->epoch,
    };
}

/* As the first failure, by its number; its text was told to those whose commit it was. */
static enum sf_code raise_failed(const struct store *s, struct sf_error *err)
{
    const uint16_t number = s->failure.number == 0 ? SHEAF_E_STORE_FAILED : s->failure.number;

    return SF_RAISE_E(err, SF_IO, number, "an earlier commit failed; the store is read-only");
}

static void armed_turn(struct sf_task *turn)
{
    struct store *s = SF_CONTAINER_OF(turn, struct store, turn);

    group_fill(s);
    if (s->failed) {
        s->group.code = raise_failed(s, &s->group.error);
        queue_move(s, QUEUE_SETTLING);
        queue_step(s);
        return;
    }
    record_lanes(s);
    queue_move(s, QUEUE_WRITING);
    sf_rt_work(s->rt, &s->work);
}

/* --- settling --- */

static void settle_lanes(struct store *s)
{
    for (struct sf_list *at = s->group.lanes.next; at != &s->group.lanes; at = at->next) {
        struct store_lane *lane = SF_CONTAINER_OF(at, struct store_lane, touched);

        lane->head = lane->tip;
        lane->held = lane->tip_held;
        s->unrecorded -= lane->recorded ? 0 : 1;
        lane->recorded = true;
    }
}

static void settle_stats(struct store *s)
{
    const struct commit_group *g = &s->group;

    s->stats.reads += g->counts.reads;
    s->stats.remembered += g->counts.remembered;
    s->stats.positions_bytes = g->counts.positions_bytes;
    if (g->code == SF_IO || g->code == SF_CORRUPT) {
        store_fail(s, &g->error);
    }
    if (g->code != SF_OK) {
        return;
    }
    s->stats.commits += g->dirty ? 1 : 0;
    s->stats.syncs += g->dirty && g->sync ? 1 : 0;
    s->stats.changes += g->counts.changes;
    s->stats.rejects += g->counts.rejects;
    s->stats.resolves += g->counts.resolves;
    s->stats.duplicates += g->counts.duplicates;
    s->stats.unchanged += g->counts.unchanged;
    s->stats.absent_deletes += g->counts.absent_deletes;
    s->stats.log_bytes += g->counts.log_bytes;
    if (g->numbered) {
        s->last = g->commit;
    }
}

/* What @w alone was refused for, raised into @err; NULL when it was not. */
static const struct sf_error *own_error(const struct store_write *w, struct sf_error *err)
{
    if (w->code == SF_OK) {
        return NULL;
    }
    if (w->window_full) {
        (void)SF_RAISE_E(err, SF_BUSY, SHEAF_E_DEDUPE_FULL,
                         "more records came within the window than are remembered");
    } else if (w->code == SF_BUSY) {
        (void)SF_RAISE_E(err, SF_BUSY, SHEAF_E_DISK_FULL, "free space is below the disk reserve");
    } else {
        (void)SF_RAISE(err, w->code, "a row or a lane is not at the expected seq");
    }
    return err;
}

/* Counts what @w brings to quarantines, or no longer. */
static void note_coming(const struct store_write *w, bool is_queued)
{
    for (size_t i = 0; i < w->lane_count; i++) {
        const struct store_lane_write *lw = &w->lanes[i];
        struct store_held coming = {.entries = lw->reject_count};
        struct store_held *of = &lw->lane->coming;

        for (size_t r = 0; r < lw->reject_count; r++) {
            coming.bytes += lw->rejects[r].raw.size + lw->rejects[r].context.size;
        }
        of->entries = is_queued ? of->entries + coming.entries : of->entries - coming.entries;
        of->bytes = is_queued ? of->bytes + coming.bytes : of->bytes - coming.bytes;
        if (lw->resolve_count > 0) {
            lw->lane->resolving = is_queued;
        }
    }
}

/* Hands every write back to its owner, who may free it, submit or close from there. */
static void settle_writes(struct store *s)
{
    struct commit_group *g = &s->group;
    struct sf_error own;

    while (!sf_list_empty(&g->writes)) {
        struct store_write *w = SF_CONTAINER_OF(sf_list_pop(&g->writes), struct store_write, link);
        const struct sf_error *err = g->code == SF_OK ? own_error(w, &own) : &g->error;

        s->stats.queued_writes--;
        s->stats.queued_bytes -= w->bytes;
        note_coming(w, /* is_queued= */ false);
        s->stats.writes += err == NULL ? 1 : 0;
        s->stats.failures += err == NULL ? 0 : 1;
        w->commit = s->last.commit;
        w->commit_us = g->commit.commit_us;
        w->cb(w, err);
    }
}

static void tell_listeners(struct store *s, struct store_lane *lane)
{
    for (struct sf_list *at = s->listeners.next; at != &s->listeners; at = s->next_listener) {
        struct store_listener *l = SF_CONTAINER_OF(at, struct store_listener, link);

        s->next_listener = at->next;
        l->on_changes(l, lane);
    }
    s->next_listener = NULL;
}

static void settle(struct store *s)
{
    struct commit_group *g = &s->group;

    settle_stats(s);
    if (g->code == SF_OK) {
        settle_lanes(s);
    }
    settle_writes(s);
    while (!sf_list_empty(&g->lanes)) {
        struct store_lane *lane =
            SF_CONTAINER_OF(sf_list_pop(&g->lanes), struct store_lane, touched);

        if (g->code == SF_OK && lane->work.change_count > 0) {
            tell_listeners(s, lane);
        }
    }
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

static void queue_step(struct store *s)
{
    if (s->state == QUEUE_SETTLING) {
        settle(s);
        queue_move(s, QUEUE_IDLE);
    }
    sf_assert(s->state == QUEUE_IDLE);
    if (!sf_list_empty(&s->waiting)) {
        queue_move(s, QUEUE_ARMED);
        sf_rt_post(s->rt, &s->turn);
    } else if (s->closing) {
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
    g->disk_reserve_bytes = s->options.disk_reserve_bytes;
    sf_random_bytes(&g->hash_seed, sizeof(g->hash_seed));
}

void commit_queue_done(struct store *s)
{
    kv_batch_free(SF_TAKE(s->group.batch));
    kv_batch_free(SF_TAKE(s->group.rows));
    positions_free(SF_TAKE(s->group.positions));
    sf_arena_done(&s->group.arena);
    sf_buf_done(&s->group.bytes_out);
    sf_buf_done(&s->group.old_entry);
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
        return raise_failed(s, err);
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
    note_coming(w, /* is_queued= */ true);
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
