#include "leaf/publish/handover.h"

#include <string.h>

#include "common/base/alloc.h"
#include "leaf/publish/feed.h"

struct handover {
    unsigned sending;         /* feeds that have not ended yet */
    bool is_placed;           /* some have: */
    struct feed_place lowest; /* ...here, at the lowest */
    struct sf_list heirs;     /* struct feed, which wait */
};

struct feed_place feed_place_lower(const struct feed_place *a, const struct feed_place *b)
{
    return (struct feed_place){
        .looked = a->looked < b->looked ? a->looked : b->looked,
        .sent = a->sent < b->sent ? a->sent : b->sent,
    };
}

static void add_place(struct feed_place *lowest, bool *is_set, const struct feed_place *place)
{
    *lowest = *is_set ? feed_place_lower(lowest, place) : *place;
    *is_set = true;
}

static struct handover *handover_new(void)
{
    struct handover *h = sf_calloc(1, sizeof(*h));

    if (h != NULL) {
        sf_list_init(&h->heirs);
    }
    return h;
}

/* What @f waits for with @old; NULL: it does not. */
static struct handover *handover_of(struct feed *f, struct feed *old)
{
    struct handover *h =
        old->handover.inherits != NULL ? old->handover.inherits : old->handover.ends;

    if (h == NULL && old->in_flight) {
        h = f->handover.inherits != NULL ? f->handover.inherits : handover_new();
    }
    /* Two of them are not waited for: a feed has one link. */
    return f->handover.inherits == NULL || f->handover.inherits == h ? h : NULL;
}

void handover_follow(struct feed *f, struct feed *old)
{
    struct feed_handover *heir = &f->handover;
    struct handover *h = handover_of(f, old);

    add_place(&f->place, &heir->follows, &old->place);
    old->handover.is_left = true;
    if (strcmp(f->audience, old->audience) == 0) {
        old->handover.is_kept = true;
    } else {
        f->cursor_saved = UINT64_MAX; /* What is stored under its name may be about to go. */
    }
    if (h == NULL) {
        add_place(&heir->settled, &heir->is_settled, &old->place);
        return;
    }
    if (old->handover.inherits != NULL && old->handover.is_settled) {
        add_place(&heir->settled, &heir->is_settled, &old->handover.settled);
    }
    if (old->in_flight && old->handover.ends == NULL) {
        old->handover.ends = h;
        h->sending++;
    }
    if (heir->inherits == NULL) {
        heir->inherits = h;
        sf_list_push(&h->heirs, &heir->link);
        f->state = FEED_WAITING;
    }
}

void handover_leave(struct feed *f)
{
    if (f->handover.inherits != NULL) {
        sf_list_remove(&f->handover.link);
        f->handover.inherits = NULL;
    }
}

static void begin(struct handover *h)
{
    while (!sf_list_empty(&h->heirs)) {
        struct feed *f = SF_CONTAINER_OF(sf_list_pop(&h->heirs), struct feed, handover.link);
        struct feed_handover *heir = &f->handover;

        heir->inherits = NULL;
        f->place = heir->is_settled ? feed_place_lower(&heir->settled, &h->lowest) : h->lowest;
        f->state = FEED_IDLE;
        feed_wake(f);
    }
}

bool handover_end(struct feed *old)
{
    struct handover *h = old->handover.ends;
    bool goes_on;

    if (h == NULL) {
        return false;
    }
    old->handover.ends = NULL;
    goes_on = !sf_list_empty(&h->heirs);
    add_place(&h->lowest, &h->is_placed, &old->place);
    if (--h->sending == 0) {
        begin(h);
        sf_free(h);
    }
    return goes_on;
}
