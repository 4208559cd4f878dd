#include "leaf/serving/grant_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/base/map.h"
#include "common/identity/signed.h"
#include "common/wire/control.h"
#include "leaf/serving/ended.h"
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
        if (set->policies_of == NULL) {
            sf_policy_set_free(set->policies);
        }
        grant_set_unref(set->policies_of);
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

/* *at: when the domain decided, as it says. */
static bool has_consent(const Sheaf__V1__Grant *g, const struct grant_trust *trust, int64_t *at)
{
    Sheaf__V1__Decision *d;
    bool consents;

    if (sf_signed_verify(SIGN_DECISION, g->decision, trust->domain_key, NULL) != SF_OK) {
        return false;
    }
    d = sheaf__v1__decision__unpack(NULL, g->decision->payload.len, g->decision->payload.data);
    *at = d == NULL ? 0 : d->decided_us;
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

/* What is known of all grants while they are taken. */
struct taking {
    struct grant_set *set;
    const struct grant_trust *trust;
    struct sf_map firsts; /* of audiences */
    struct sf_map keys;   /* of consumers */
};

/* The decision of @g, noted whether it is one of ours or not: a bundle that has it still has it. */
static struct grant_decision *note_decision(struct taking *t, const Sheaf__V1__Grant *g)
{
    static const uint8_t zero;
    struct grant_decision *d = &t->set->decisions[t->set->decision_count];
    const struct sf_slice parts[] = {SF_LITERAL(SIGN_DECISION), sf_slice_of(&zero, 1),
                                     sf_control_slice(g->decision->payload)};

    t->set->decision_count++;
    sf_hash256(parts, SF_COUNT(parts), d->hash);
    d->until_us = g->until_us;
    return d;
}

static bool has_ended(const struct grant_trust *trust, const struct grant_decision *d)
{
    return trust->ended != NULL &&
           (ended_has(trust->ended, d->hash) ||
            (!trust->taken_before && ended_is_below(trust->ended, d, trust->last)));
}

static enum sf_code take_grant(struct taking *t, const Sheaf__V1__Grant *g)
{
    struct grant_set *set = t->set;
    struct grant_decision *d = g->decision == NULL ? NULL : note_decision(t, g);
    struct grant *to = &set->grants[set->grant_count];
    bool fits = d != NULL && has_consent(g, t->trust, &d->decided_us);
    enum sf_code code = SF_OK;

    if (fits) {
        d->held = has_ended(t->trust, d);
        d->in_force = !d->held;
        to = d->held ? &set->held[set->held_count++] : to;
        code = copy_grant(&set->arena, &t->keys, g, to);
        d->audience = to->audience;
    }
    if (code == SF_OK && fits && d->held) {
        return SF_OK;
    }
    if (code == SF_OK && fits) {
        code = fits_audience(&t->firsts, to, &fits);
    }
    set->grant_count += fits && code == SF_OK;
    set->refused += !fits;
    return code;
}

static int compare_decisions(const void *a, const void *b)
{
    const struct grant_decision *x = a;
    const struct grant_decision *y = b;

    return memcmp(x->hash, y->hash, sizeof(x->hash));
}

/* Each once: in force when one grant of it is. */
static void sort_decisions(struct grant_set *set)
{
    struct grant_decision *d = set->decisions;
    size_t kept = 0;

    if (set->decision_count > 0) {
        qsort(d, set->decision_count, sizeof(*d), compare_decisions);
    }
    for (size_t i = 0; i < set->decision_count; i++) {
        if (kept > 0 && compare_decisions(&d[kept - 1], &d[i]) == 0) {
            d[kept - 1] = d[i].in_force ? d[i] : d[kept - 1];
        } else {
            d[kept++] = d[i];
        }
    }
    set->decision_count = kept;
}

const struct grant_decision *grant_set_decision(const struct grant_set *set, const uint8_t *hash)
{
    struct grant_decision key;

    if (set->decision_count == 0) {
        return NULL;
    }
    memcpy(key.hash, hash, sizeof(key.hash));
    return bsearch(&key, set->decisions, set->decision_count, sizeof(key), compare_decisions);
}

static enum sf_code take_grants(struct grant_set *set, const Sheaf__V1__Bundle *b,
                                const struct grant_trust *trust, struct sf_error *err)
{
    struct taking t = {.set = set, .trust = trust};
    enum sf_code code = SF_OK;

    if (b->n_grants > GRANTS_MAX) {
        return SF_RAISE(err, SF_BUSY, "bundle of %zu grants", b->n_grants);
    }
    set->grants = sf_arena_calloc(&set->arena, b->n_grants, sizeof(*set->grants));
    set->held = sf_arena_calloc(&set->arena, b->n_grants, sizeof(*set->held));
    set->decisions = sf_arena_calloc(&set->arena, b->n_grants, sizeof(*set->decisions));
    if (set->grants == NULL || set->held == NULL || set->decisions == NULL) {
        return SF_RAISE(err, SF_NOMEM, "bundle");
    }
    code = take_consumers(set, b, &t.keys);
    for (size_t i = 0; code == SF_OK && i < b->n_grants; i++) {
        code = take_grant(&t, b->grants[i]);
    }
    sf_map_done(&t.firsts);
    sf_map_done(&t.keys);
    if (set->grant_count > 0) {
        qsort(set->grants, set->grant_count, sizeof(*set->grants), grant_compare);
    }
    sort_decisions(set);
    return code == SF_OK ? SF_OK : SF_RAISE(err, SF_NOMEM, "bundle");
}

enum { BESIDE_HELD = 1, BESIDE_ENDED = 2 };

/* The marks of audiences that grants share, by their names. */
static enum sf_code mark_audiences(struct sf_map *marks, struct grant_set *set)
{
    for (size_t i = 0; i < set->grant_count; i++) {
        const struct sf_slice name = sf_slice_text(set->grants[i].audience);
        unsigned *mark;

        if (name.size == 0 || sf_map_find(marks, name) != NULL) {
            continue;
        }
        mark = sf_arena_calloc(&set->arena, 1, sizeof(*mark));
        if (mark == NULL || sf_map_put(marks, name, mark) != SF_OK) {
            return SF_NOMEM;
        }
    }
    return SF_OK;
}

static void mark(const struct sf_map *marks, const char *audience, unsigned how)
{
    unsigned *found = sf_map_find(marks, sf_slice_text(audience));

    if (found != NULL) {
        *found |= how;
    }
}

enum sf_code grant_set_mark(struct grant_set *set, const struct ended *ended, struct sf_error *err)
{
    struct sf_map marks = {0};
    enum sf_code code = SF_OK;

    if (set->held_count + ended->count > 0) {
        code = mark_audiences(&marks, set);
    }
    for (size_t i = 0; i < set->held_count; i++) {
        mark(&marks, set->held[i].audience, BESIDE_HELD);
    }
    for (size_t i = 0; i < ended->count; i++) {
        mark(&marks, ended->items[i].audience, BESIDE_ENDED);
    }
    for (size_t i = 0; i < set->grant_count; i++) {
        const unsigned *found = sf_map_find(&marks, sf_slice_text(set->grants[i].audience));

        set->grants[i].beside_held = found != NULL && (*found & BESIDE_HELD) != 0;
        set->grants[i].beside_ended = found != NULL && (*found & BESIDE_ENDED) != 0;
    }
    sf_map_done(&marks);
    return code == SF_OK ? SF_OK : SF_RAISE(err, SF_NOMEM, "bundle");
}

/* There is something in it that is not understood. It holds all the same: what it takes back is not
 * to come back. */
static void serve_nothing(struct grant_set *set)
{
    set->unread = true;
    set->refused += set->grant_count;
    set->grant_count = 0;
    set->index = (struct grant_index){0};
}

void grant_set_keep_policies(struct grant_set *set, struct grant_set *newer)
{
    sf_assert(set->policies_of == NULL && set != newer);
    sf_policy_set_free(set->policies);
    set->policies = newer->policies;
    set->policy_version = newer->policy_version;
    set->policies_of = grant_set_ref(newer->policies_of == NULL ? newer : newer->policies_of);
    if (newer->unread && !set->unread) {
        serve_nothing(set);
    }
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
    set->told_policy_version = b->policy_version;
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
    if (set->unread) {
        serve_nothing(set);
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

const struct grant *grant_set_held(const struct grant_set *set, const char *account,
                                   const char *product, uint32_t major)
{
    for (size_t i = 0; set != NULL && i < set->held_count; i++) {
        const struct grant *g = &set->held[i];

        if (g->major == major && strcmp(g->consumer_account, account) == 0 &&
            strcmp(g->product, product) == 0) {
            return g;
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
