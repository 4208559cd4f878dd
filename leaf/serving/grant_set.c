#include "leaf/serving/grant_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/base/map.h"
#include "common/identity/signed.h"
#include "proto/errors.h"
#include "proto/subjects.h"

struct grant_set *grant_set_ref(struct grant_set *set)
{
    set->refs++;
    return set;
}

void grant_set_unref(struct grant_set *set)
{
    if (set != NULL && --set->refs == 0) {
        sf_policy_set_free(set->policies);
        sf_arena_done(&set->arena);
        sf_free(set);
    }
}

static bool same_columns(const Sheaf__V1__Grant *g, const Sheaf__V1__Decision *d)
{
    if (g->n_columns != d->n_columns) {
        return false;
    }
    for (size_t i = 0; i < g->n_columns; i++) {
        if (strcmp(g->columns[i], d->columns[i]) != 0) {
            return false;
        }
    }
    return true;
}

/* Whether @d, whose signature holds, consents to exactly what @g claims; a decision that names no
 * purpose consents to the one that was asked for. */
static bool says_the_same(const Sheaf__V1__Grant *g, const Sheaf__V1__Decision *d,
                          const struct grant_trust *trust)
{
    return d->approved && strcmp(d->mesh, trust->mesh) == 0 &&
           strcmp(d->owner, trust->domain) == 0 && strcmp(g->owner, trust->domain) == 0 &&
           strcmp(d->request_id, g->request_id) == 0 && strcmp(d->product, g->product) == 0 &&
           d->major == g->major && strcmp(d->consumer, g->consumer) == 0 &&
           d->until_us == g->until_us &&
           (*d->purpose == '\0' || strcmp(d->purpose, g->purpose) == 0) && same_columns(g, d);
}

/* Whether @m has fields that this release does not know: they may restrict what it grants. */
static bool says_more(const ProtobufCMessage *m)
{
    return m->n_unknown_fields > 0;
}

static bool has_consent(const Sheaf__V1__Grant *g, const struct grant_trust *trust)
{
    Sheaf__V1__Decision *d;
    bool consents;

    if (sf_signed_verify(SIGN_DECISION, g->decision, trust->domain_key, NULL) != SF_OK) {
        return false;
    }
    d = sheaf__v1__decision__unpack(NULL, g->decision->payload.len, g->decision->payload.data);
    consents = d != NULL && !says_more(&g->base) && !says_more(&g->decision->base) &&
               !says_more(&d->base) && says_the_same(g, d, trust);
    if (d != NULL) {
        sheaf__v1__decision__free_unpacked(d, NULL);
    }
    return consents;
}

static enum sf_code copy_grant(struct sf_arena *a, const struct sf_map *keys,
                               const Sheaf__V1__Grant *g, struct grant *ret)
{
    const char **columns = sf_arena_calloc(a, g->n_columns, sizeof(char *));
    bool complete = columns != NULL;

    *ret = (struct grant){
        .id = sf_arena_strdup(a, g->id),
        .product = sf_arena_strdup(a, g->product),
        .major = g->major,
        .consumer = sf_arena_strdup(a, g->consumer),
        .consumer_key = sf_map_find(keys, sf_slice_text(g->consumer)),
        .consumer_account = sf_arena_strdup(a, g->consumer_account),
        .audience = sf_arena_strdup(a, g->audience),
        .sole_audience = sf_arena_strdup(a, g->sole_audience),
        .columns = columns,
        .column_count = g->n_columns,
        .purpose = sf_arena_strdup(a, g->purpose),
        .until_us = g->until_us,
    };
    complete = complete && ret->id != NULL && ret->product != NULL && ret->consumer != NULL &&
               ret->consumer_account != NULL && ret->audience != NULL &&
               ret->sole_audience != NULL && ret->purpose != NULL;
    for (size_t i = 0; complete && i < g->n_columns; i++) {
        columns[i] = sf_arena_strdup(a, g->columns[i]);
        complete = columns[i] != NULL;
    }
    return complete ? SF_OK : SF_NOMEM;
}

static bool equal_columns(const struct grant *a, const struct grant *b)
{
    if (a->column_count != b->column_count) {
        return false;
    }
    for (size_t i = 0; i < a->column_count; i++) {
        if (strcmp(a->columns[i], b->columns[i]) != 0) {
            return false;
        }
    }
    return true;
}

/*
 * An audience of a product is fed once, with one view. *ret: whether @g has the columns of the
 * first grant of its audience, or is the first.
 */
static enum sf_code fits_audience(struct sf_map *firsts, struct grant *g, bool *ret)
{
    char key[160];
    const struct grant *first;
    int n = snprintf(key, sizeof(key), "%s %u %s", g->audience, g->major, g->product);
    struct sf_slice name = sf_slice_of(key, n < 0 || (size_t)n >= sizeof(key) ? 0 : (size_t)n);

    *ret = name.size > 0;
    first = sf_map_find(firsts, name);
    if (!*ret || first != NULL) {
        *ret = *ret && equal_columns(first, g);
        return SF_OK;
    }
    return sf_map_put(firsts, name, g);
}

/* Keys of consumers, by their names. One that is no key is left out. */
static enum sf_code take_consumers(struct grant_set *set, const Sheaf__V1__Bundle *b,
                                   struct sf_map *ret)
{
    for (size_t i = 0; i < b->n_consumers; i++) {
        const Sheaf__V1__Consumer *c = b->consumers[i];
        struct sf_public_key *key;

        set->unread |= says_more(&c->base);
        if (c->domain_key.len != sizeof(key->bytes) || *c->domain == '\0') {
            continue;
        }
        key = sf_arena_alloc(&set->arena, sizeof(*key));
        if (key == NULL) {
            return SF_NOMEM;
        }
        memcpy(key->bytes, c->domain_key.data, sizeof(key->bytes));
        if (sf_map_put(ret, sf_slice_text(c->domain), key) != SF_OK) {
            return SF_NOMEM;
        }
    }
    return SF_OK;
}

static enum sf_code take_grants(struct grant_set *set, const Sheaf__V1__Bundle *b,
                                const struct grant_trust *trust, struct sf_error *err)
{
    struct sf_map firsts = {0};
    struct sf_map keys = {0};
    enum sf_code code = SF_OK;

    if (b->n_grants > GRANTS_MAX) {
        return SF_RAISE(err, SF_BUSY, "bundle of %zu grants", b->n_grants);
    }
    set->grants = sf_arena_calloc(&set->arena, b->n_grants, sizeof(*set->grants));
    if (set->grants == NULL) {
        return SF_RAISE(err, SF_NOMEM, "bundle");
    }
    code = take_consumers(set, b, &keys);
    for (size_t i = 0; code == SF_OK && i < b->n_grants; i++) {
        struct grant *g = &set->grants[set->grant_count];
        bool fits = has_consent(b->grants[i], trust);

        if (fits) {
            code = copy_grant(&set->arena, &keys, b->grants[i], g);
        }
        if (fits && code == SF_OK) {
            code = fits_audience(&firsts, g, &fits);
        }
        set->grant_count += fits && code == SF_OK;
        set->refused += !fits;
    }
    sf_map_done(&firsts);
    sf_map_done(&keys);
    if (set->grant_count > 0) {
        qsort(set->grants, set->grant_count, sizeof(*set->grants), grant_compare);
    }
    return code == SF_OK ? SF_OK : SF_RAISE(err, SF_NOMEM, "bundle");
}

static enum sf_code add_policy(struct sf_policy_set *set, const Sheaf__V1__Policy *p,
                               struct sf_error *err)
{
    struct sf_issues issues;
    enum sf_code code;

    sf_issues_init(&issues, p->file, sf_slice_text(p->text));
    code = sf_policy_set_add(set, &issues, p->line == 0 ? 1 : p->line, err);
    sf_issues_done(&issues);
    return code;
}

static enum sf_code take_policies(struct grant_set *set, const Sheaf__V1__Bundle *b,
                                  struct sf_error *err)
{
    struct sf_error why;
    enum sf_code code = SF_OK;

    set->policy_version = b->policy_version;
    set->unread |= says_more(&b->base);
    if (b->n_policies == 0) {
        return SF_OK;
    }
    set->policies = sf_policy_set_new();
    if (set->policies == NULL) {
        return SF_RAISE(err, SF_NOMEM, "bundle");
    }
    for (size_t i = 0; code == SF_OK && i < b->n_policies; i++) {
        code = add_policy(set->policies, b->policies[i], &why);
        set->unread |= code != SF_OK || says_more(&b->policies[i]->base);
    }
    return code == SF_NOMEM ? SF_RAISE(err, SF_NOMEM, "bundle") : SF_OK;
}

static enum sf_code check_bundle(const Sheaf__V1__Bundle *b, const struct grant_trust *trust,
                                 struct sf_error *err)
{
    if (strcmp(b->mesh, trust->mesh) != 0 || strcmp(b->domain, trust->domain) != 0) {
        return SF_RAISE(err, SF_INVALID, "bundle is of mesh '%s', domain '%s'", b->mesh, b->domain);
    }
    if (b->version < trust->version_min) {
        return SF_RAISE(err, SF_CONFLICT, "bundle version %llu is older than %llu",
                        (unsigned long long)b->version, (unsigned long long)trust->version_min);
    }
    if (b->expires_us <= trust->now_us) {
        return SF_RAISE_E(err, SF_TIMEOUT, SHEAF_E_BUNDLE_EXPIRED, "bundle version %llu expired",
                          (unsigned long long)b->version);
    }
    return SF_OK;
}

static void bundle_freep(Sheaf__V1__Bundle **b)
{
    if (*b != NULL) {
        sheaf__v1__bundle__free_unpacked(*b, NULL);
    }
}

enum sf_code grant_set_open(struct sf_slice signed_bundle, const struct grant_trust *trust,
                            struct grant_set **ret, struct sf_error *err)
{
    SF_CLEANUP(grant_set_unrefp) struct grant_set *set = sf_calloc(1, sizeof(*set));
    SF_CLEANUP(bundle_freep) Sheaf__V1__Bundle *b = NULL;
    struct sf_slice payload;
    enum sf_code code;

    if (set == NULL) {
        return SF_RAISE(err, SF_NOMEM, "bundle");
    }
    set->refs = 1;
    sf_arena_init(&set->arena, 0);
    code = sf_signed_open(SIGN_BUNDLE, signed_bundle, trust->hub_key, &set->arena, &payload, err);
    if (code != SF_OK) {
        return code;
    }
    b = sheaf__v1__bundle__unpack(NULL, payload.size, payload.data);
    if (b == NULL) {
        return SF_RAISE(err, SF_INVALID, "bundle cannot be read");
    }
    code = check_bundle(b, trust, err);
    if (code != SF_OK) {
        return code;
    }
    set->version = b->version;
    set->issued_us = b->issued_us;
    set->expires_us = b->expires_us;
    code = take_grants(set, b, trust, err);
    if (code == SF_OK) {
        code = take_policies(set, b, err);
    }
    if (code != SF_OK) {
        return code;
    }
    if (set->unread) { /* It holds all the same: what it takes back is not to come back. */
        set->refused += set->grant_count;
        set->grant_count = 0;
    }
    code = grant_index_make(&set->index, set->grants, set->grant_count, &set->arena, err);
    if (code == SF_OK) {
        *ret = SF_TAKE(set);
    }
    return code;
}

const struct grant *grant_set_find(const struct grant_set *set, const char *account,
                                   const char *product, uint32_t major, int64_t now_us)
{
    const struct grant *g = NULL;
    size_t count;

    if (set == NULL || set->expires_us <= now_us) {
        return NULL;
    }
    count = grant_index_find(&set->index, account, product, &g);
    for (size_t i = 0; i < count; i++) {
        if (g[i].major == major && g[i].until_us > now_us) {
            return &g[i];
        }
    }
    return NULL;
}

uint32_t grant_set_major(const struct grant_set *set, const char *account, const char *product,
                         int64_t now_us)
{
    const struct grant *g = NULL;
    size_t count;

    if (set == NULL || set->expires_us <= now_us) {
        return 0;
    }
    count = grant_index_find(&set->index, account, product, &g);
    for (size_t i = count; i > 0; i--) {
        if (g[i - 1].until_us > now_us) {
            return g[i - 1].major;
        }
    }
    return 0;
}

bool grant_set_has_audience(const struct grant_set *set, const char *audience, int64_t now_us)
{
    if (set == NULL || set->expires_us <= now_us) {
        return false;
    }
    for (size_t i = 0; i < set->grant_count; i++) {
        if (set->grants[i].until_us > now_us && strcmp(set->grants[i].audience, audience) == 0) {
            return true;
        }
    }
    return false;
}
