/*
 * Feeds that begin where others end: of one table and one shared audience, when policies change
 * what its grants see, or whether they see the same.
 *
 * One feed may be followed by several (policies tell its consumers apart from now on), or several
 * by one (they no longer do). An heir begins at the lowest place of those before it: nobody misses
 * a change, and who was further sees by the position what comes twice. It waits while one of them
 * is still sending, so that nothing is sent twice but for that.
 *
 *   Threads   Loop thread.
 *   Memory    A handover lives until the last of those that were sending has ended. Without memory
 *             for one an heir does not wait, and what is being sent comes again.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/list.h"

struct feed;
struct handover;

/* How far a feed is. */
struct feed_place {
    uint64_t looked; /* last seq that was looked at */
    uint64_t sent;   /* last seq of the last message */
};

/* Of each the lower: a view that was looked at further may have been another one. */
struct feed_place feed_place_lower(const struct feed_place *a, const struct feed_place *b);

/* What a feed has of it; private to handover.c but for the pointers, which feeds test for NULL. */
struct feed_handover {
    struct handover *ends;     /* it was sending when it was followed: tells this at its end */
    struct handover *inherits; /* it waits for the end of this */
    bool follows;              /* others */
    bool is_settled;           /* some of those have ended: */
    struct feed_place settled; /* ...here, at the lowest */
    bool is_kept;              /* it is followed by a feed of its own audience... */
    bool is_left;              /* ...by one of another */
    struct sf_list link;       /* while it waits */
};

/* @f, which was never woken, goes on where @old gets to, which is closed next. Once for each of
 * those that it follows. */
void handover_follow(struct feed *f, struct feed *old);
/* @f is closed while it waits, or did not wait at all. */
void handover_leave(struct feed *f);
/* The server has what @old was sending, or will not have it: those who wait for the last of them
 * go on. False: nobody does. */
bool handover_end(struct feed *old);
