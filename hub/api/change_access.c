#include <stdio.h>
#include <string.h>

#include "common/identity/signed.h"
#include "common/wire/control.h"
#include "hub/api/change.h"
#include "hub/api/seen.h"
#include "hub/policy/access.h"
#include "proto/errors.h"
#include "proto/subjects.h"

enum {
    GRANTS_PER_CONSUMER_MAX = 2000,     /* its account's JWT may be full before */
    BUNDLE_BYTES_MAX = 3 * 1024 * 1024, /* a domain's account takes messages of 4 MiB */
    BUNDLE_BYTES_PER_GRANT = 512,       /* names, ids and keys beside the columns */
};

static enum sf_code raise_verdict(const struct policy_verdict *v, struct sf_error *err)
{
    return SF_RAISE_E(err, SF_DENIED, v->number, "%s", v->text);
}

/*
 * Of each of the @columns of @v (NULL: there is no such version): why the consumer would not get
 * it for that purpose, or NULL. Roles are not known yet: what a user with some role would get may
 * be asked for.
 */
static enum sf_code find_closed(struct hub_state *s, const struct registry_version *v,
                                const struct sf_policy_subject *who, const char *const *columns,
                                size_t count, struct sf_arena *arena, const char *const **ret,
                                struct sf_error *err)
{
    struct seen_by by = {.who = *who};

    by.who.every_role = true;
    return v == NULL || count == 0 ? SF_OK
                                   : seen_closed(s, v, &by, columns, count, arena, ret, err);
}

/* --- request ---------------------------------------------------------------------------------- */

static enum sf_code check_request(struct change_request *c, struct sf_arena *arena,
                                  struct sf_error *err)
{
    const struct registry *r = &c->state->registry;
    const struct registry_product *p = registry_product(r, c->owner, c->product);
    const struct registry_version *v = p == NULL ? NULL : registry_version(p, c->major);
    const struct sf_policy_subject who = {.domain = c->consumer, .purpose = c->purpose};
    const char *const *closed = NULL;
    struct policy_verdict verdict;
    enum sf_code code =
        find_closed(c->state, v, &who, c->columns, c->column_count, arena, &closed, err);

    if (code != SF_OK) {
        return code;
    }
    if (c->major == 0 && v != NULL && v->product->status != SF_STATUS_DRAFT) {
        c->major = v->product->version.major;
    }
    const struct registry_access access = {c->consumer, c->owner, c->product, c->major};
    const struct registry_grant *active = registry_active(r, &access);
    const struct registry_request *pending = registry_pending(r, &access);
    const struct policy_request facts = {
        .owner = c->owner,
        .product = c->product,
        .major = c->major,
        .consumer = c->consumer,
        .consumer_joined = registry_domain(r, c->consumer) != NULL,
        .purpose = c->purpose,
        .duration_us = c->duration_us,
        .columns = c->columns,
        .column_count = c->column_count,
        .closed = closed,
        .contract = v == NULL ? NULL : v->product,
        .active_grant = active == NULL ? NULL : active->id,
        .pending_request = pending == NULL ? NULL : pending->id,
    };

    policy_check_request(&facts, &verdict);
    return verdict.allowed ? SF_OK : raise_verdict(&verdict, err);
}

static enum sf_code build_request(struct event_append *op, Sheaf__V1__Event *e,
                                  struct sf_arena *arena, struct sf_error *err)
{
    struct change_request *c = op->data;
    Sheaf__V1__AccessRequested *m = sf_arena_alloc(arena, sizeof(*m));
    enum sf_code code = registry_check_room(&c->state->registry, REGISTRY_REQUEST, err);

    if (code == SF_OK) {
        code = check_request(c, arena, err);
    }
    if (code != SF_OK) {
        return code;
    }
    if (m == NULL) {
        return SF_RAISE(err, SF_NOMEM, "access request");
    }
    registry_next_request_id(&c->state->registry, c->id);
    sheaf__v1__access_requested__init(m);
    m->request_id = c->id;
    m->owner = sf_control_text(c->owner);
    m->product = sf_control_text(c->product);
    m->major = c->major;
    m->consumer = sf_control_text(c->consumer);
    m->purpose = sf_control_text(c->purpose);
    m->duration_us = c->duration_us;
    m->columns = (char **)(uintptr_t)c->columns;
    m->n_columns = c->column_count;
    e->actor = sf_control_text(c->actor);
    e->kind_case = SHEAF__V1__EVENT__KIND_ACCESS_REQUESTED;
    e->access_requested = m;
    return SF_OK;
}

void change_request_init(struct change_request *c, struct hub_state *s)
{
    *c = (struct change_request){.state = s, .op = {.build = build_request, .data = c}};
}

/* --- decision --------------------------------------------------------------------------------- */

/* Words that somebody signed, and whether it was the one who has the say. */
struct consent {
    Sheaf__V1__Signed *sealed;
    struct sf_slice payload;
    bool holds;
};

static enum sf_code raise_unreadable(const struct sf_arena *arena, const char *what,
                                     struct sf_error *err)
{
    if (sf_control_why(arena) == SF_NOMEM) {
        return SF_RAISE_E(err, SF_NOMEM, SHEAF_E_BUSY, "out of memory");
    }
    return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "%s", what);
}

static enum sf_code open_consent(struct sf_arena *arena, struct sf_slice bytes, const char *context,
                                 const struct sf_public_key *key, struct consent *ret,
                                 struct sf_error *err)
{
    enum sf_code code;

    ret->sealed = SF_CONTROL_UNPACK(signed, arena, bytes);
    if (ret->sealed == NULL) {
        return raise_unreadable(arena, "the bytes are no signed message", err);
    }
    code = sf_signed_verify(context, ret->sealed, key, err);
    if (code == SF_NOMEM) {
        return code;
    }
    ret->holds = code == SF_OK;
    ret->payload = sf_control_slice(ret->sealed->payload);
    return SF_OK;
}

static size_t grants_held(const struct registry *r, const struct registry_domain *consumer)
{
    struct sf_map_entry *entry;
    size_t at = 0;
    size_t count = 0;

    while ((entry = sf_map_next(&r->active, &at)) != NULL) {
        const struct registry_grant *g = entry->value;

        count += g->request->consumer == consumer;
    }
    return count;
}

/* That the owner's bundle, which holds every consent twice at most, still fits into a message. */
static enum sf_code check_bundle(const struct registry *r, const struct registry_domain *owner,
                                 size_t added, struct sf_error *err)
{
    struct sf_map_entry *entry;
    size_t at = 0;
    size_t bytes = 2 * added + BUNDLE_BYTES_PER_GRANT;

    while ((entry = sf_map_next(&r->active, &at)) != NULL) {
        const struct registry_grant *g = entry->value;

        if (g->request->product->owner == owner) {
            bytes += 2 * g->decision.size + BUNDLE_BYTES_PER_GRANT;
        }
    }
    if (bytes > BUNDLE_BYTES_MAX) {
        return SF_RAISE_E(err, SF_BUSY, SHEAF_E_LIMIT,
                          "the grants of %s are at their limit: grant whole tables, or end some",
                          owner->name);
    }
    return SF_OK;
}

/* For one more grant: with its consumer, in the bundle, in the account of the consumer. */
static enum sf_code check_room(const struct change_decision *c, const struct registry_request *q,
                               struct sf_error *err)
{
    const struct registry *r = &c->state->registry;
    enum sf_code code;

    if (grants_held(r, q->consumer) >= GRANTS_PER_CONSUMER_MAX) {
        return SF_RAISE_E(err, SF_BUSY, SHEAF_E_LIMIT, "%s has %d grants, the limit",
                          q->consumer->name, GRANTS_PER_CONSUMER_MAX);
    }
    code = check_bundle(r, q->product->owner, c->signed_bytes.size, err);
    return code == SF_OK ? state_check_claims(c->state, q, err) : code;
}

/* What the grant is for: what was asked, unless the owner says otherwise. */
static const char *purpose_of(const struct registry_request *q, const Sheaf__V1__Decision *d)
{
    return *d->purpose != '\0' ? d->purpose : q->purpose;
}

static enum sf_code check_decision(const struct change_decision *c,
                                   const struct registry_request *q, const struct consent *consent,
                                   const Sheaf__V1__Decision *decision, struct sf_arena *arena,
                                   struct sf_error *err)
{
    const struct registry *r = &c->state->registry;
    const struct registry_access access = {q->consumer->name, q->product->owner->name,
                                           q->product->name, q->major};
    const struct registry_grant *active = registry_active(r, &access);
    const struct registry_version *v = registry_version(q->product, q->major);
    const struct sf_policy_subject who = {.domain = access.consumer,
                                          .purpose = purpose_of(q, decision)};
    const char *const *closed = NULL;
    enum sf_code code = find_closed(c->state, v, &who, (const char *const *)decision->columns,
                                    decision->n_columns, arena, &closed, err);

    if (code != SF_OK) {
        return code;
    }
    const struct policy_decision facts = {
        .decision = decision,
        .signature_holds = consent->holds,
        .mesh = r->mesh,
        .now_us = sf_rt_wall_us(c->state->rt),
        .request_id = q->id,
        .pending = q->state == REGISTRY_PENDING,
        .owner = access.owner,
        .product = access.product,
        .major = q->major,
        .consumer = access.consumer,
        .asked = q->columns,
        .asked_count = q->column_count,
        .closed = closed,
        .contract = v == NULL ? NULL : v->product,
        .active_grant = active == NULL ? NULL : active->id,
    };
    struct policy_verdict verdict;

    policy_check_decision(&facts, &verdict);
    if (!verdict.allowed) {
        return raise_verdict(&verdict, err);
    }
    return decision->approved ? check_room(c, q, err) : SF_OK;
}

/* The grant as the event keeps it; without the consent, which stands beside it. */
static enum sf_code fill_grant(const struct change_decision *c, const struct registry_request *q,
                               const Sheaf__V1__Decision *d, struct sf_arena *arena,
                               Sheaf__V1__Grant **ret, struct sf_error *err)
{
    Sheaf__V1__Grant *m = sf_arena_alloc(arena, sizeof(*m));

    if (m == NULL) {
        return SF_RAISE(err, SF_NOMEM, "grant of %s", q->id);
    }
    sheaf__v1__grant__init(m);
    m->id = sf_arena_alloc(arena, REGISTRY_ID_MAX);
    if (m->id == NULL) {
        return SF_RAISE(err, SF_NOMEM, "grant of %s", q->id);
    }
    registry_next_grant_id(&c->state->registry, m->id);
    m->request_id = sf_control_text(q->id);
    m->owner = sf_control_text(q->product->owner->name);
    m->product = sf_control_text(q->product->name);
    m->major = q->major;
    m->consumer = sf_control_text(q->consumer->name);
    m->consumer_account = sf_control_text(q->consumer->account);
    m->n_columns = d->n_columns;
    m->columns = d->columns;
    m->purpose = sf_control_text(purpose_of(q, d));
    m->until_us = d->until_us;
    *ret = m;
    return SF_OK;
}

static enum sf_code fill_decision(const struct change_decision *c, const struct registry_request *q,
                                  struct consent *consent, const Sheaf__V1__Decision *d,
                                  struct sf_arena *arena, Sheaf__V1__Event *e, struct sf_error *err)
{
    Sheaf__V1__AccessDecided *m = sf_arena_alloc(arena, sizeof(*m));

    if (m == NULL) {
        return SF_RAISE(err, SF_NOMEM, "decision on %s", q->id);
    }
    sheaf__v1__access_decided__init(m);
    m->decision = consent->sealed;
    e->actor = sf_control_text(c->actor);
    e->kind_case = SHEAF__V1__EVENT__KIND_ACCESS_DECIDED;
    e->access_decided = m;
    return d->approved ? fill_grant(c, q, d, arena, &m->grant, err) : SF_OK;
}

static enum sf_code build_decision(struct event_append *op, Sheaf__V1__Event *e,
                                   struct sf_arena *arena, struct sf_error *err)
{
    struct change_decision *c = op->data;
    const struct registry_request *q = registry_request(&c->state->registry, c->request_id);
    const Sheaf__V1__Decision *decision;
    struct consent consent = {0};
    enum sf_code code;

    if (q == NULL) {
        return SF_RAISE_E(err, SF_ABSENT, SHEAF_E_REQUEST_UNKNOWN, "there is no request %.24s",
                          c->request_id);
    }
    code = open_consent(arena, c->signed_bytes, SIGN_DECISION, &q->product->owner->domain_key,
                        &consent, err);
    if (code != SF_OK) {
        return code;
    }
    decision = SF_CONTROL_UNPACK(decision, arena, consent.payload);
    if (decision == NULL) {
        return raise_unreadable(arena, "the signed bytes are no decision", err);
    }
    code = check_decision(c, q, &consent, decision, arena, err);
    return code != SF_OK ? code : fill_decision(c, q, &consent, decision, arena, e, err);
}

void change_decision_init(struct change_decision *c, struct hub_state *s)
{
    *c = (struct change_decision){.state = s, .op = {.build = build_decision, .data = c}};
}

/* --- revocation ------------------------------------------------------------------------------- */

/* The owner's signed words, checked; NULL when the platform revokes. */
static enum sf_code check_revocation(const struct change_revocation *c,
                                     const struct registry_grant *g, struct sf_arena *arena,
                                     Sheaf__V1__Signed **ret, struct sf_error *err)
{
    const struct sf_public_key *key = &g->request->product->owner->domain_key;
    const Sheaf__V1__Revocation *words;
    struct policy_verdict verdict;
    struct consent consent = {0};
    enum sf_code code = open_consent(arena, c->signed_bytes, SIGN_REVOCATION, key, &consent, err);

    if (code != SF_OK) {
        return code;
    }
    words = SF_CONTROL_UNPACK(revocation, arena, consent.payload);
    if (words == NULL) {
        return raise_unreadable(arena, "the signed bytes are no revocation", err);
    }
    const struct policy_revocation facts = {
        .revocation = words,
        .signature_holds = consent.holds,
        .mesh = c->state->registry.mesh,
        .grant_id = g->id,
        .active = g->state == REGISTRY_ACTIVE,
    };

    policy_check_revocation(&facts, &verdict);
    *ret = consent.sealed;
    return verdict.allowed ? SF_OK : raise_verdict(&verdict, err);
}

static enum sf_code build_revocation(struct event_append *op, Sheaf__V1__Event *e,
                                     struct sf_arena *arena, struct sf_error *err)
{
    struct change_revocation *c = op->data;
    const struct registry_grant *g = registry_grant(&c->state->registry, c->grant_id);
    Sheaf__V1__GrantEnded *m = sf_arena_alloc(arena, sizeof(*m));
    enum sf_code code = SF_OK;

    if (g == NULL) {
        return SF_RAISE_E(err, SF_ABSENT, SHEAF_E_GRANT_UNKNOWN, "there is no grant %.24s",
                          c->grant_id);
    }
    if (m == NULL) {
        return SF_RAISE(err, SF_NOMEM, "revocation of %s", g->id);
    }
    sheaf__v1__grant_ended__init(m);
    if (c->signed_bytes.size > 0) {
        code = check_revocation(c, g, arena, &m->revocation, err);
    } else if (g->state != REGISTRY_ACTIVE) {
        code = SF_RAISE_E(err, SF_DENIED, SHEAF_E_WRONG_STATE, "%s has ended already", g->id);
    } else {
        m->reason = sf_control_text(c->reason);
    }
    m->grant_id = sf_control_text(g->id);
    m->cause = sf_arena_strdup(arena, "revoked");
    if (code == SF_OK && m->cause == NULL) {
        code = SF_RAISE(err, SF_NOMEM, "revocation of %s", g->id);
    }
    e->actor = sf_control_text(c->actor);
    e->kind_case = SHEAF__V1__EVENT__KIND_GRANT_ENDED;
    e->grant_ended = m;
    return code;
}

void change_revocation_init(struct change_revocation *c, struct hub_state *s)
{
    *c = (struct change_revocation){.state = s, .op = {.build = build_revocation, .data = c}};
}
