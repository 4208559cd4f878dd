/*
 * Reads a run of events from the stream, in batches, as they are stored.
 *
 *   Threads   Loop thread.
 *   Memory    Lives in its owner until done has run or it is cancelled.
 *   Order     on_bytes once per event, ascending, without gaps; then done, once.
 *   Limits    One batch of EVENT_READ_BATCH events is under way at a time; EVENT_READ_SILENCE_NS
 *             without an answer ends the read.
 */
#pragma once

#include "common/bus/bus.h"

#define EVENT_STREAM  "HUB_EVENTS"
#define EVENT_SUBJECT "hub.events"

enum { EVENT_READ_BATCH = 256 };
#define EVENT_READ_SILENCE_NS (UINT64_C(5) * SF_NS_PER_S)

struct event_read {
    /* @bytes are borrowed during the call. Another code than SF_OK ends the read with it. */
    enum sf_code (*on_bytes)(struct event_read *r, uint64_t number, struct sf_slice bytes,
                             struct sf_error *err);
    /*
     * SF_OK: all that was asked for. SF_ABSENT: the stream does not hold @next. SF_UNAVAILABLE: the
     * server does not answer. SF_CORRUPT: the stream skipped an event. Or what on_bytes returned.
     */
    void (*done)(struct event_read *r, enum sf_code code, const struct sf_error *err);
    void *data;

    uint64_t next; /* number of the event that is awaited */
    uint64_t last; /* number of the last one wanted */

    struct sf_rt *rt; /* private from here */
    struct sf_bus *bus;
    struct sf_bus_sub sub;
    struct sf_timer silence;
    bool progress; /* the batch under way has brought something */
    char inbox[128];
};

/* Reads the events from @r->next to @r->last. SF_UNAVAILABLE, SF_BUSY, SF_NOMEM. */
enum sf_code event_read_start(struct sf_rt *rt, struct sf_bus *bus, struct event_read *r,
                              struct sf_error *err) SF_MUST_CHECK;
/* Afterwards no callback runs. Fine on one that is not under way. */
void event_read_cancel(struct event_read *r);
