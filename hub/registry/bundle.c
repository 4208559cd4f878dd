#include "hub/registry/bundle.h"

#include <string.h>

#include "common/base/alloc.h"
#include "common/identity/signed.h"
#include "common/wire/control.h"
#include "proto/subjects.h"

/* A text of the registry where protobuf-c wants one that it does not change. */
static char *text(const char *s)
{
    return (char *)(uintptr_t)s;
}

static Sheaf__V1__Grant *grant_message(struct sf_arena *arena, const struct registry_grant *g)
{
    const struct registry_request *q = g->request;
    Sheaf__V1__Grant *m = sf_arena_alloc(arena, sizeof(*m));

    if (m == NULL) {
        return NULL;
    }
    sheaf__v1__grant__init(m);
    m->id = text(g->id);
    m->request_id = text(q->id);
    m->owner = text(q->product->owner->name);
    m->product = text(q->product->name);
    m->major = q->major;
    m->consumer = text(q->consumer->name);
    m->consumer_account = text(q->consumer->account);
    m->n_columns = g->column_count;
    m->columns = (char **)(uintptr_t)g->columns;
    m->purpose = text(g->purpose);
    m->until_us = g->until_us;
    m->audience = text(g->audience);
    m->decision = SF_CONTROL_UNPACK(signed, arena, g->decision);
    return m->decision == NULL ? NULL : m;
}

/* The active grants on products of @owner, in the order granted; false: out of memory. */
static bool collect(const struct registry *r, const struct registry_domain *owner,
                    struct sf_arena *arena, Sheaf__V1__Bundle *m)
{
    struct sf_map_entry *entry;
    size_t at = 0;

    m->grants = sf_arena_calloc(arena, r->active.live + 1, sizeof(Sheaf__V1__Grant *));
    if (m->grants == NULL) {
        return false;
    }
    while ((entry = sf_map_next(&r->active, &at)) != NULL) {
        const struct registry_grant *g = entry->value;

        if (g->request->product->owner != owner) {
            continue;
        }
        m->grants[m->n_grants] = grant_message(arena, g);
        if (m->grants[m->n_grants] == NULL) {
            return false;
        }
        m->n_grants++;
    }
    return true;
}

enum sf_code bundle_make(const struct registry *r, const struct bundle_terms *terms,
                         const struct sf_seed *hub_key, struct sf_buf *ret, struct sf_error *err)
{
    Sheaf__V1__Bundle m;
    struct sf_arena arena;
    uint8_t *payload = NULL;
    enum sf_code code = SF_NOMEM;
    size_t size = 0;

    sheaf__v1__bundle__init(&m);
    m.mesh = text(r->mesh);
    m.domain = text(terms->owner->name);
    m.version = terms->version;
    m.issued_us = terms->issued_us;
    m.expires_us = terms->expires_us;
    sf_arena_init(&arena, 0);
    if (collect(r, terms->owner, &arena, &m)) {
        size = sheaf__v1__bundle__get_packed_size(&m);
        payload = sf_arena_alloc(&arena, size);
    }
    if (payload == NULL) {
        (void)SF_RAISE(err, SF_NOMEM, "bundle of %s", terms->owner->name);
    } else {
        (void)sheaf__v1__bundle__pack(&m, payload);
        code = sf_signed_make(SIGN_BUNDLE, sf_slice_of(payload, size), hub_key, ret, err);
    }
    sf_arena_done(&arena);
    return code;
}
