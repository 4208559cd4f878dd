/*
 * Credit for a streamed answer, on the asking side: the one who answers sends SF_FLOW_WINDOW pages,
 * and more as these are taken. So a slow reader slows the reading at the other end, and never more
 * than the window is on its way.
 *
 * The request names the flow ("flow") and the window ("window"); every page has its number in the
 * header Sheaf-Flow; what was taken is told to the op `taken` of the same product, by its number,
 * and told again when nothing comes. docs/reference/nats.md has it for other clients.
 *
 *   Flow      sf_flow_begin(), sf_flow_members() into the request, sf_flow_look() at each page,
 *             sf_flow_taken() when no page waits for the reader any more, sf_flow_end().
 *   Threads   Loop thread.
 *   Memory    Lives in its owner; nothing to free after sf_flow_end().
 */
#pragma once

#include "common/bus/bus.h"
#include "common/wire/json.h"

enum { SF_FLOW_WINDOW = 2, SF_FLOW_ID_SIZE = 33, SF_FLOW_SUBJECT_SIZE = 384 };

struct sf_flow {
    struct sf_rt *rt;
    struct sf_bus *bus;
    char subject[SF_FLOW_SUBJECT_SIZE];
    char id[SF_FLOW_ID_SIZE]; /* "": none is under way */
    uint64_t seen;            /* pages that have come */
    unsigned repeats;         /* how often the same was told */
    struct sf_timer again;
};

/* @subject is that of `taken`. */
void sf_flow_begin(struct sf_flow *f, struct sf_rt *rt, struct sf_bus *bus, const char *subject);
/* The members of the request. */
void sf_flow_members(const struct sf_flow *f, struct sf_json_writer *w);
/* false: pages before this one were lost. A page without a number is taken as the next. */
bool sf_flow_look(struct sf_flow *f, const struct sf_bus_msg *m) SF_MUST_CHECK;
/* All that have come. */
void sf_flow_taken(struct sf_flow *f);
/* No more is wanted. @is_over false: the other end is told. Fine on one that is not under way. */
void sf_flow_end(struct sf_flow *f, bool is_over);
