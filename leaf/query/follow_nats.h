/*
 * A follow as an answer over NATS: a stream of messages to the reply subject, each with
 * Sheaf-Event, Sheaf-Position and Sheaf-Head, and the lines of follow_text.h as its body.
 *
 * It ends after a time (spec.seconds) with Sheaf-Cursor, and the asker asks on: nothing tells us
 * for sure that it has left. When the server says so of a heartbeat, the follow ends in silence.
 *
 * With a window the asker gives credit: every message has its number in Sheaf-Flow, and no more
 * than the window is sent beyond what the asker says that it has taken (common/bus/flow.h).
 *
 *   Threads   Loop thread.
 *   Limits    One page waits for the local server. Who takes nothing for FOLLOW_STALL_NS is ended.
 */
#pragma once

#include "common/bus/bus.h"
#include "common/wire/json.h"
#include "leaf/query/follow.h"

struct follow_nats; /* one answer */

/* How the asker takes it. */
struct follow_credit {
    const char *flow; /* its name, of the asker's choice; NULL: none */
    uint32_t window;  /* pages; 0: no limit */
};

/* Starts one and puts it into @all. As follow_start(); SF_INVALID E0301: @credit makes no sense, or
 * the caller has a flow of this name. */
enum sf_code follow_nats_start(struct sf_bus *bus, struct queries *qs, const char *reply,
                               const struct follow_spec *spec, const struct follow_credit *credit,
                               struct sf_list *all, struct sf_error *err) SF_MUST_CHECK;
/* What the asker says of a flow: {"flow","taken","stop"}. Of one that @account does not have, or
 * less than it said before, is nothing new. SF_INVALID E0301. */
enum sf_code follow_nats_taken(struct sf_list *all, const char *account, const struct sf_json *body,
                               struct sf_error *err) SF_MUST_CHECK;
/* Ends all of @all without a word. */
void follow_nats_free_all(struct sf_list *all);
