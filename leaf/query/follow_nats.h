/*
 * A follow as an answer over NATS: a stream of messages to the reply subject, each with
 * Sheaf-Event, Sheaf-Position and Sheaf-Head, and the lines of follow_text.h as its body.
 *
 * It ends after a time (spec.seconds) with Sheaf-Cursor, and the asker asks on: nothing tells us
 * for sure that it has left. When the server says so of a heartbeat, the follow ends in silence.
 *
 *   Threads   Loop thread.
 *   Limits    One page waits for the local server.
 */
#pragma once

#include "common/bus/bus.h"
#include "leaf/query/follow.h"

struct follow_nats; /* one answer */

/* Starts one and puts it into @all. As follow_start(). */
enum sf_code follow_nats_start(struct sf_bus *bus, struct queries *qs, const char *reply,
                               const struct follow_spec *spec, struct sf_list *all,
                               struct sf_error *err) SF_MUST_CHECK;
/* Ends all of @all without a word. */
void follow_nats_free_all(struct sf_list *all);
