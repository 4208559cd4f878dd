/*
 * Hub control over NATS: what leaves ask for under mesh.<op> in their <d>.serve account, which
 * arrives in MESH as mesh.ctl.<ACCOUNT>.<op>. The account, which the server puts into the subject,
 * says who asks; headers and bodies never do.
 *
 *   mesh.poll            PollRequest -> PollReply (see lease.h)
 *   mesh.product.apply   ApplyRequest -> ApplyReply; a file that is refused is an ApplyReply with
 *                        findings, not an error
 *   mesh.product.life    LifeRequest -> LifeReply, or the error that the owner should see
 *   mesh.access.explain  ExplainRequest -> nothing, or the error that a reader should see
 *
 *   Threads   Loop thread.
 *   Limits    Those of turns.h for each domain; CONTROL_APPLIES_MAX changes under way, of which
 *             CONTROL_APPLIES_OF_ONE_MAX by one domain; CONTROL_READ_MAX bytes that one request
 *             takes when it is read. Beyond them it is refused (E0602).
 */
#pragma once

#include "hub/api/state.h"

enum {
    CONTROL_APPLIES_MAX = 64,
    CONTROL_APPLIES_OF_ONE_MAX = 16,
    CONTROL_READ_MAX = 16 * 1024 * 1024,
};

struct control;

/* Serves on s->mesh_bus from now on. Codes of sf_bus_subscribe(). */
enum sf_code control_new(struct hub_state *s, struct control **ret,
                         struct sf_error *err) SF_MUST_CHECK;
/* Appends under way must have ended (event_log_close()). NULL is fine. */
void control_free(struct control *c);
