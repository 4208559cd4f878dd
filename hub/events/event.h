/*
 * One event of the hub's log: made, and checked against the one before it.
 *
 * An event is a Signed (SIGN_EVENT, the hub's key) whose payload is a sheaf.v1.Event. Its number is
 * one more than that of the event before, its prev_hash is BLAKE2b-256 over that one's payload, and
 * its time is never earlier. So nothing can be changed, left out or put in between without notice.
 *
 * Pure; any thread.
 */
#pragma once

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/sys/crypto.h"
#include "control.pb-c.h"

/* The end of a chain. A zeroed struct is the empty chain. */
struct event_chain {
    uint64_t number; /* of the newest event */
    int64_t time_us;
    uint8_t hash[SF_HASH256_SIZE];
};

/* An event that fits its chain. Everything lives in the arena given to event_open(). */
struct event_record {
    const Sheaf__V1__Event *event;
    const Sheaf__V1__Signed *sealed;
    uint8_t hash[SF_HASH256_SIZE];
};

/* "mesh_created", "token_issued", ...; "unknown" for a kind of a later version. */
const char *event_kind_name(const Sheaf__V1__Event *e);

/*
 * Gives @e, whose kind, actor and time the caller has set, its place behind @chain and appends the
 * signed bytes to @ret. A time before the chain's becomes the chain's. SF_NOMEM.
 */
enum sf_code event_seal(const struct event_chain *chain, const struct sf_seed *hub_key,
                        Sheaf__V1__Event *e, struct sf_buf *ret,
                        struct sf_error *err) SF_MUST_CHECK;

/*
 * Decodes @bytes, checks that they are the event behind @chain, and moves @chain on.
 * SF_CORRUPT (E0605, the text names the event and what is wrong with it), SF_NOMEM.
 */
enum sf_code event_open(struct event_chain *chain, const struct sf_public_key *hub_key,
                        struct sf_slice bytes, struct sf_arena *arena, struct event_record *ret,
                        struct sf_error *err) SF_MUST_CHECK;
