/*
 * The end of a group, on the loop: where its lanes stand now, what is counted, and every write back
 * to its owner.
 */
#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "leaf/store/store_internal.h"
#include "proto/errors.h"

enum sf_code settlement_reserve(struct settlement *t, size_t lanes, struct sf_error *err)
{
    struct settled_lane *more;

    if (lanes <= t->lane_room) {
        return SF_OK;
    }
    more = sf_realloc(t->lanes, lanes, sizeof(*more));
    if (more == NULL) {
        return SF_RAISE(err, SF_NOMEM, "commit group");
    }
    t->lanes = more;
    t->lane_room = lanes;
    return SF_OK;
}

void settlement_add(struct settlement *t, struct store_lane *lane)
{
    sf_assert(t->lane_count < t->lane_room);
    t->lanes[t->lane_count++] = (struct settled_lane){
        .lane = lane,
        .head = lane->tip,
        .held = lane->tip_held,
        .is_changed = lane->work.change_count > 0,
    };
}

static void settle_lanes(struct store *s, const struct settlement *t)
{
    for (size_t i = 0; i < t->lane_count; i++) {
        const struct settled_lane *settled = &t->lanes[i];

        settled->lane->head = settled->head;
        settled->lane->held = settled->held;
        s->unrecorded -= settled->lane->recorded ? 0 : 1;
        settled->lane->recorded = true;
    }
}

static void settle_stats(struct store *s, const struct settlement *t)
{
    s->stats.reads += t->counts.reads;
    s->stats.remembered += t->counts.remembered;
    s->stats.positions_bytes = t->counts.positions_bytes;
    if (t->code != SF_OK) {
        return;
    }
    s->stats.commits += t->dirty ? 1 : 0;
    s->stats.syncs += t->dirty && t->sync ? 1 : 0;
    s->stats.changes += t->counts.changes;
    s->stats.rejects += t->counts.rejects;
    s->stats.resolves += t->counts.resolves;
    s->stats.duplicates += t->counts.duplicates;
    s->stats.unchanged += t->counts.unchanged;
    s->stats.absent_deletes += t->counts.absent_deletes;
    s->stats.log_bytes += t->counts.log_bytes;
    if (t->numbered) {
        s->last = t->commit;
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
void store_note_coming(const struct store_write *w, bool is_queued)
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
static void settle_writes(struct store *s, struct settlement *t)
{
    struct sf_error own;

    while (!sf_list_empty(&t->writes)) {
        struct store_write *w = SF_CONTAINER_OF(sf_list_pop(&t->writes), struct store_write, link);
        const struct sf_error *err = t->code == SF_OK ? own_error(w, &own) : &t->error;

        s->stats.queued_writes--;
        s->stats.queued_bytes -= w->bytes;
        store_note_coming(w, /* is_queued= */ false);
        s->stats.writes += err == NULL ? 1 : 0;
        s->stats.failures += err == NULL ? 0 : 1;
        w->commit = s->last.commit;
        w->commit_us = t->commit.commit_us;
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

/* The group behind was built on what has failed, and so are its answers, also those that needed no
 * writing: a refusal may be for a row that nobody will see. */
static void note_failure(struct store *s, const struct settlement *t)
{
    struct settlement *next = &s->settlements[(s->oldest + 1) % SETTLEMENTS];

    store_fail(s, &t->error);
    next->behind_failed = s->under_way > 1;
}

void settlement_settle(struct store *s, struct settlement *t)
{
    if (t->behind_failed && t->code == SF_OK) {
        t->code = commit_raise_failed(s, &t->error);
    }
    if (t->code == SF_IO || t->code == SF_CORRUPT) {
        note_failure(s, t);
    }
    settle_stats(s, t);
    if (t->code == SF_OK) {
        settle_lanes(s, t);
    }
    settle_writes(s, t);
    for (size_t i = 0; t->code == SF_OK && i < t->lane_count; i++) {
        if (t->lanes[i].is_changed) {
            tell_listeners(s, t->lanes[i].lane);
        }
    }
}
