/*
 * Joining a mesh, and renewing the credentials it gave: two HTTP calls to the hub.
 *
 *   Threads   Blocks: before the loop runs, or on a query thread.
 */
#pragma once

#include "leaf/uplink/identity.h"

struct join_request {
    const struct identity *identity; /* read only */
    const char *hub_url;             /* "http://127.0.0.1:8080" */
    const char *token;               /* one-time token; "" to renew */
    int64_t now_us;
};

/*
 * Asks the hub and stores what it gave in @identity's directory; *ret is for the caller to take
 * over. SF_UNAVAILABLE E0704: no hub there. SF_DENIED E0505: the token is refused. SF_CONFLICT: the
 * hub is of another mesh than the one joined before. SF_CORRUPT: an answer that makes no sense.
 */
enum sf_code join_perform(const struct join_request *request, struct identity_mesh *ret,
                          struct sf_error *err) SF_MUST_CHECK;
