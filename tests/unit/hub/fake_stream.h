/*
 * The stream HUB_EVENTS in memory, behind a bus: info, create, publish with compare-and-set,
 * batched direct get. With knobs for what can go wrong on the way.
 */
#pragma once

#include "common/base/buf.h"
#include "common/bus/bus.h"

enum { FAKE_STREAM_MAX = 600 };

struct fake_stream {
    struct sf_bus *bus;
    bool exists;
    bool allows_delete; /* as if it had been made by somebody else */
    struct sf_buf events[FAKE_STREAM_MAX];
    size_t count;
    uint64_t first; /* sequence of events[0]; 1 */

    unsigned lose_acks;    /* the next so many events are stored, their answers lost */
    unsigned lose_events;  /* the next so many are lost on the way */
    unsigned silent_reads; /* the next so many batched gets are not answered */
    size_t publishes;      /* events that arrived, refused ones too */
    size_t batches;
    size_t leave_out; /* this event is missing in batches; 0: none */

    struct sf_bus_sub subs[4]; /* private */
};

void fake_stream_init(struct fake_stream *s, struct sf_bus *bus);
void fake_stream_done(struct fake_stream *s);
/* Stores an event as if it had been there. */
void fake_stream_put(struct fake_stream *s, struct sf_slice bytes);
