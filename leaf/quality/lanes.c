#include "leaf/quality/lanes.h"

#include "common/base/alloc.h"

enum { COUNTING_MAX = 4 }; /* counted anew at once; beyond them those that somebody asks for */

void lane_fail_waits(struct lane *l, const struct sf_error *err)
{
    while (!sf_list_empty(&l->waits)) {
        struct collector_wait *w = SF_CONTAINER_OF(l->waits.next, struct collector_wait, link);

        sf_list_remove(&w->link);
        w->ready(w, NULL, err);
    }
}

void lane_shelve(struct lane *l)
{
    if (l->stats.loaded && !lane_stats_is_counting(&l->stats) && !sf_list_linked(&l->shelf_link)) {
        sf_list_push(&l->owner->shelf, &l->shelf_link);
        l->owner->shelf_count++;
    }
}

void lane_unshelve(struct lane *l)
{
    if (sf_list_linked(&l->shelf_link)) {
        sf_list_remove(&l->shelf_link);
        l->owner->shelf_count--;
    }
}

void lane_release(struct lane *l)
{
    if (l->is_held) {
        l->is_held = false;
        sf_list_remove(&l->ready_link);
        sf_list_push(&l->owner->ready, &l->ready_link);
    }
}

/* Counting takes twice the memory, and a snapshot: when one has ended, those that wait go on. */
void lane_note_counting(struct lane *l)
{
    struct collector *c = l->owner;
    const bool now = lane_stats_is_counting(&l->stats);

    c->counting += now && !l->is_counting ? 1 : 0;
    c->counting -= !now && l->is_counting ? 1 : 0;
    l->is_counting = now;
    for (size_t i = c->counting; i < COUNTING_MAX && !sf_list_empty(&c->held); i++) {
        lane_release(SF_CONTAINER_OF(c->held.next, struct lane, ready_link));
    }
}

bool lane_may_not_count(const struct lane *l)
{
    return l->owner->counting >= COUNTING_MAX && !l->is_counting && sf_list_empty(&l->waits);
}

void lane_free(struct lane *l)
{
    struct sf_error err;

    (void)SF_RAISE(&err, SF_CLOSED, "the table is not served any more");
    lane_fail_waits(l, &err);
    lane_unshelve(l);
    if (l->is_ready) {
        sf_list_remove(&l->ready_link);
    }
    sf_list_remove(&l->link);
    lane_stats_done(&l->stats);
    lane_note_counting(l);
    sf_buf_done(&l->saved_bytes);
    if (l->owner->by_id[store_lane_id(l->table->lane)] == l) {
        l->owner->by_id[store_lane_id(l->table->lane)] = NULL;
    }
    sf_free(l);
}

void lane_free_if_gone(struct lane *l)
{
    if (l->gone && l->owner->busy != l && !l->saving) {
        lane_free(l);
    }
}

void lane_make_ready(struct lane *l)
{
    if (!l->is_ready && !l->gone && l->owner->busy != l) {
        l->is_ready = true;
        sf_list_push(&l->owner->ready, &l->ready_link);
    }
}

void lane_hold(struct lane *l)
{
    l->is_ready = true;
    l->is_held = true;
    sf_list_push(&l->owner->held, &l->ready_link);
}

bool lane_is_behind(const struct lane *l)
{
    return !l->stats.loaded || l->stats.seq != store_lane_head(l->table->lane)->seq;
}

/* Of those in memory it is the last to go. */
void lane_note_change(struct lane *l)
{
    l->changed_ns = collector_now(l->owner);
    if (sf_list_linked(&l->shelf_link)) {
        sf_list_remove(&l->shelf_link);
        sf_list_push(&l->owner->shelf, &l->shelf_link);
    }
}

void lane_unload(struct lane *l)
{
    lane_unshelve(l);
    lane_stats_unload(&l->stats);
}

/* What of the one that goes is not saved is counted once more when it comes back. */
void lane_make_room(struct collector *c)
{
    if (c->shelf_count >= COLLECTOR_LOADED_MAX) {
        lane_unload(SF_CONTAINER_OF(c->shelf.next, struct lane, shelf_link));
    }
}

void lane_serve_waits(struct lane *l, bool counted)
{
    struct sf_list left;
    const struct collected found = {
        .stats = &l->stats.stats,
        .epoch = l->stats.epoch,
        .seq = l->stats.seq,
        .counted_us = l->stats.counted_us,
        .exam = l->stats.exam,
    };

    sf_list_init(&left);
    sf_list_move(&left, &l->waits);
    while (!sf_list_empty(&left)) {
        struct collector_wait *w = SF_CONTAINER_OF(left.next, struct collector_wait, link);

        sf_list_remove(&w->link);
        if (w->anew && !counted) {
            sf_list_push(&l->waits, &w->link);
        } else {
            w->ready(w, &found, NULL);
        }
    }
}

bool lane_has_wait(struct lane *l, bool anew)
{
    for (struct sf_list *at = l->waits.next; at != &l->waits; at = at->next) {
        if (SF_CONTAINER_OF(at, struct collector_wait, link)->anew == anew) {
            return true;
        }
    }
    return false;
}
