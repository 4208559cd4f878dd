#include "hub/registry/bundle.h"

#include <string.h>

#include "common/base/alloc.h"
#include "common/identity/signed.h"
#include "common/wire/control.h"
#include "hub/registry/registry_policy.h"
#include "proto/subjects.h"

static Sheaf__V1__Grant *grant_message(struct sf_arena *arena, const struct registry_grant *g)
{
    const struct registry_request *q = g->request;
    Sheaf__V1__Grant *m = sf_arena_alloc(arena, sizeof(*m));

    if (m == NULL) {
        return NULL;
    }
    sheaf__v1__grant__init(m);
    m->id = sf_control_text(g->id);
    m->request_id = sf_control_text(q->id);
    m->owner = sf_control_text(q->product->owner->name);
    m->product = sf_control_text(q->product->name);
    m->major = q->major;
    m->consumer = sf_control_text(q->consumer->name);
    m->consumer_account = sf_control_text(q->consumer->account);
    m->n_columns = g->column_count;
    m->columns = (char **)(uintptr_t)g->columns;
    m->purpose = sf_control_text(g->purpose);
    m->until_us = g->until_us;
    m->audience = sf_control_text(g->audience);
    m->sole_audience = sf_control_text(g->sole_audience);
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

static Sheaf__V1__Consumer *consumer_message(struct sf_arena *arena,
                                             const struct registry_domain *d)
{
    Sheaf__V1__Consumer *m = sf_arena_alloc(arena, sizeof(*m));

    if (m != NULL) {
        sheaf__v1__consumer__init(m);
        m->domain = sf_control_text(d->name);
        m->domain_key.data = (uint8_t *)(uintptr_t)d->domain_key.bytes;
        m->domain_key.len = sizeof(d->domain_key.bytes);
    }
    return m;
}

/* Those who have the grants collected, each once; false: out of memory. */
static bool collect_consumers(const struct registry *r, struct sf_arena *arena,
                              Sheaf__V1__Bundle *m)
{
    struct sf_map seen = {0};
    bool ok;

    m->consumers = sf_arena_calloc(arena, m->n_grants + 1, sizeof(Sheaf__V1__Consumer *));
    ok = m->consumers != NULL;
    for (size_t i = 0; ok && i < m->n_grants; i++) {
        const struct sf_slice name = sf_slice_text(m->grants[i]->consumer);
        Sheaf__V1__Consumer *c;

        if (sf_map_find(&seen, name) != NULL) {
            continue;
        }
        c = consumer_message(arena, registry_domain(r, m->grants[i]->consumer));
        ok = c != NULL && sf_map_put(&seen, name, c) == SF_OK;
        m->consumers[m->n_consumers] = c;
        m->n_consumers += ok;
    }
    sf_map_done(&seen);
    return ok;
}

static Sheaf__V1__Policy *policy_message(struct sf_arena *arena, const struct registry_policy *p)
{
    Sheaf__V1__Policy *m = sf_arena_alloc(arena, sizeof(*m));

    if (m != NULL) {
        sheaf__v1__policy__init(m);
        m->name = sf_control_text(p->name);
        m->text = sf_control_text(p->text);
        m->file = sf_control_text(p->file);
        m->line = p->line;
        m->version = p->version;
    }
    return m;
}

/* What is about other domains alone, or about no view, is nothing that the leaf has to know. */
static enum sf_code collect_policies(struct registry *r, const char *domain, struct sf_arena *arena,
                                     Sheaf__V1__Bundle *m, struct sf_error *err)
{
    const struct sf_policy_set *set;
    struct sf_map_entry *entry;
    size_t at = 0;
    enum sf_code code = registry_policy_set(r, &set, err);

    if (code != SF_OK) {
        return code;
    }
    m->policy_version = r->policies.version;
    m->policies = sf_arena_calloc(arena, r->policies.by_name.live + 1, sizeof(Sheaf__V1__Policy *));
    while (m->policies != NULL && (entry = sf_map_next(&r->policies.by_name, &at)) != NULL) {
        const struct registry_policy *p = entry->value;

        if (!sf_policy_set_binds(set, p->name, domain)) {
            continue;
        }
        m->policies[m->n_policies] = policy_message(arena, p);
        if (m->policies[m->n_policies] == NULL) {
            m->policies = NULL;
            break;
        }
        m->n_policies++;
    }
    return m->policies == NULL ? SF_RAISE(err, SF_NOMEM, "bundle of %s", domain) : SF_OK;
}

enum sf_code bundle_make(struct registry *r, const struct bundle_terms *terms,
                         const struct sf_seed *hub_key, struct sf_buf *ret, struct sf_error *err)
{
    Sheaf__V1__Bundle m;
    struct sf_arena arena;
    uint8_t *payload = NULL;
    enum sf_code code;
    size_t size = 0;

    sheaf__v1__bundle__init(&m);
    m.mesh = sf_control_text(r->mesh);
    m.domain = sf_control_text(terms->owner->name);
    m.version = terms->version;
    m.issued_us = terms->issued_us;
    m.expires_us = terms->expires_us;
    sf_arena_init(&arena, 0);
    code = collect_policies(r, terms->owner->name, &arena, &m, err);
    if (code == SF_OK && collect(r, terms->owner, &arena, &m) && collect_consumers(r, &arena, &m)) {
        size = sheaf__v1__bundle__get_packed_size(&m);
        payload = sf_arena_alloc(&arena, size);
    }
    if (code == SF_OK && payload == NULL) {
        code = SF_RAISE(err, SF_NOMEM, "bundle of %s", terms->owner->name);
    } else if (code == SF_OK) {
        (void)sheaf__v1__bundle__pack(&m, payload);
        code = sf_signed_make(SIGN_BUNDLE, sf_slice_of(payload, size), hub_key, ret, err);
    }
    sf_arena_done(&arena);
    return code;
}
