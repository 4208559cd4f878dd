#include "hub/events/event.h"

#include <string.h>

#include "common/base/alloc.h"
#include "common/identity/signed.h"
#include "common/wire/control.h"
#include "proto/errors.h"
#include "proto/subjects.h"

const char *event_kind_name(const Sheaf__V1__Event *e)
{
    switch (e->kind_case) {
    case SHEAF__V1__EVENT__KIND_MESH_CREATED:
        return "mesh_created";
    case SHEAF__V1__EVENT__KIND_TOKEN_ISSUED:
        return "token_issued";
    case SHEAF__V1__EVENT__KIND_DOMAIN_JOINED:
        return "domain_joined";
    case SHEAF__V1__EVENT__KIND_PRODUCT_APPLIED:
        return "product_applied";
    case SHEAF__V1__EVENT__KIND_ACCESS_REQUESTED:
        return "access_requested";
    case SHEAF__V1__EVENT__KIND_ACCESS_DECIDED:
        return "access_decided";
    case SHEAF__V1__EVENT__KIND_GRANT_ENDED:
        return "grant_ended";
    case SHEAF__V1__EVENT__KIND_PRODUCT_REMOVED:
        return "product_removed";
    case SHEAF__V1__EVENT__KIND_PRODUCT_RESTORED:
        return "product_restored";
    case SHEAF__V1__EVENT__KIND_POLICY_APPLIED:
        return "policy_applied";
    case SHEAF__V1__EVENT__KIND_POLICY_REMOVED:
        return "policy_removed";
    case SHEAF__V1__EVENT__KIND__NOT_SET:
    case _SHEAF__V1__EVENT__KIND__CASE_IS_INT_SIZE:
        return "unknown";
    }
    return "unknown";
}

static void hash_payload(struct sf_slice payload, uint8_t ret[SF_HASH256_SIZE])
{
    sf_hash256(&payload, 1, ret);
}

enum sf_code event_seal(const struct event_chain *chain, const struct sf_seed *hub_key,
                        Sheaf__V1__Event *e, struct sf_buf *ret, struct sf_error *err)
{
    size_t size;

    e->number = chain->number + 1;
    e->prev_hash = sf_control_data(sf_slice_of(chain->hash, sizeof(chain->hash)));
    if (e->time_us < chain->time_us) {
        e->time_us = chain->time_us;
    }
    size = sheaf__v1__event__get_packed_size(e);
    SF_CLEANUP(sf_freep) uint8_t *payload = sf_alloc(size);

    if (payload == NULL) {
        return SF_RAISE(err, SF_NOMEM, "event %lu", (unsigned long)e->number);
    }
    (void)sheaf__v1__event__pack(e, payload);
    return sf_signed_make(SIGN_EVENT, sf_slice_of(payload, size), hub_key, ret, err);
}

static enum sf_code damaged(const struct event_chain *chain, const char *what, struct sf_error *err)
{
    return SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_STORE_CORRUPT, "event %lu: %s",
                      (unsigned long)(chain->number + 1), what);
}

static enum sf_code unreadable(const struct event_chain *chain, const struct sf_arena *arena,
                               const char *what, struct sf_error *err)
{
    if (sf_control_why(arena) == SF_NOMEM) {
        return SF_RAISE(err, SF_NOMEM, "event %lu", (unsigned long)(chain->number + 1));
    }
    return damaged(chain, what, err);
}

static enum sf_code check_place(const struct event_chain *chain, const Sheaf__V1__Event *e,
                                struct sf_error *err)
{
    if (e->number != chain->number + 1) {
        return damaged(chain, "it has another number", err);
    }
    if (e->prev_hash.len != sizeof(chain->hash) ||
        memcmp(e->prev_hash.data, chain->hash, sizeof(chain->hash)) != 0) {
        return damaged(chain, "it does not follow the event before it", err);
    }
    if (e->time_us < chain->time_us) {
        return damaged(chain, "it is older than the event before it", err);
    }
    return SF_OK;
}

enum sf_code event_open(struct event_chain *chain, const struct sf_public_key *hub_key,
                        struct sf_slice bytes, struct sf_arena *arena, struct event_record *ret,
                        struct sf_error *err)
{
    const Sheaf__V1__Signed *sealed = SF_CONTROL_UNPACK(signed, arena, bytes);
    const Sheaf__V1__Event *e;
    enum sf_code code;

    if (sealed == NULL) {
        return unreadable(chain, arena, "it is not a signed message", err);
    }
    code = sf_signed_verify(SIGN_EVENT, sealed, hub_key, err);
    if (code == SF_NOMEM) {
        return code;
    }
    if (code != SF_OK) {
        return damaged(chain, "its signature does not hold", err);
    }
    e = SF_CONTROL_UNPACK(event, arena, sf_control_slice(sealed->payload));
    if (e == NULL) {
        return unreadable(chain, arena, "its payload is not an event", err);
    }
    code = check_place(chain, e, err);
    if (code != SF_OK) {
        return code;
    }
    *ret = (struct event_record){.event = e, .sealed = sealed};
    hash_payload(sf_control_slice(sealed->payload), ret->hash);
    chain->number = e->number;
    chain->time_us = e->time_us;
    memcpy(chain->hash, ret->hash, sizeof(chain->hash));
    return SF_OK;
}
