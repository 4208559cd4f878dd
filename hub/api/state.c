#include "hub/api/state.h"

#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/sys/log.h"
#include "common/wire/control.h"
#include "hub/policy/access.h"
#include "proto/errors.h"

/* Longest wait of the expiry timer: the wall clock may be set meanwhile. */
#define EXPIRY_MAX_NS (UINT64_C(60) * SF_NS_PER_S)

/* --- claims ----------------------------------------------------------------------------------- */

/* A text that is new, or new to the servers, is pushed; before the log is open there is no pusher
 * for SYS and MESH, which the servers are started with. */
static enum sf_code put(struct hub_state *s, const char *account, const struct sf_buf *jwt,
                        struct sf_error *err)
{
    const struct directory_account *before = directory_get(&s->directory, account);
    uint64_t generation = before == NULL ? 0 : before->generation;
    enum sf_code code = directory_put(&s->directory, account, sf_buf_view(jwt), err);

    if (code != SF_OK || s->pusher == NULL ||
        directory_get(&s->directory, account)->generation == generation) {
        return code;
    }
    return pusher_mark(s->pusher, account, err);
}

enum sf_code state_put_own_claims(struct hub_state *s, struct sf_error *err)
{
    int64_t now_s = sf_rt_wall_us(s->rt) / 1000000;
    struct sf_buf jwt = {0};
    enum sf_code code = claims_operator(s->keys, now_s, &jwt, err);

    if (code == SF_OK) {
        (void)snprintf(s->operator_jwt, sizeof(s->operator_jwt), "%.*s",
                       SF_SLICE_ARG(sf_buf_view(&jwt)));
        sf_buf_clear(&jwt);
        code = claims_system(s->keys, now_s, &jwt, err);
    }
    if (code == SF_OK) {
        code = put(s, s->system_account, &jwt, err);
    }
    sf_buf_clear(&jwt);
    if (code == SF_OK) {
        code = claims_mesh(s->keys, now_s, &jwt, err);
    }
    if (code == SF_OK) {
        code = put(s, s->mesh_account, &jwt, err);
    }
    sf_buf_done(&jwt);
    return code;
}

static struct claims_grant claims_grant(const struct registry_request *q)
{
    return (struct claims_grant){
        .owner = q->product->owner->name,
        .owner_serve_account = q->product->owner->serve_account,
        .product = q->product->name,
        .major = q->major,
    };
}

/* The active grants of @consumer, in the order granted, and room for one; NULL: out of memory. */
static struct claims_grant *grants_of(const struct registry *r,
                                      const struct registry_domain *consumer, size_t *ret_count)
{
    struct claims_grant *grants = sf_calloc(r->active.live + 2, sizeof(*grants));
    struct sf_map_entry *entry;
    size_t at = 0;
    size_t n = 0;

    while (grants != NULL && (entry = sf_map_next(&r->active, &at)) != NULL) {
        const struct registry_grant *g = entry->value;
        const struct registry_request *q = g->request;

        if (q->consumer == consumer) {
            grants[n] = claims_grant(q);
            grants[n].audience = g->audience;
            grants[n++].sole_audience = g->sole_audience;
        }
    }
    *ret_count = n;
    return grants;
}

static struct claims_domain claims_domain(const struct hub_state *s,
                                          const struct registry_domain *d)
{
    const struct lease *lease = lease_find(&s->leases, d->name);
    const int64_t cut_s = lease == NULL ? 0 : lease->cut_s;

    return (struct claims_domain){
        .name = d->name,
        .account = d->account,
        .mesh_account = s->mesh_account,
        .serve_iat_s = cut_s > d->serve_iat_s ? cut_s : d->serve_iat_s,
        .iat_s = d->iat_s,
    };
}

enum sf_code state_check_claims(const struct hub_state *s, const struct registry_request *q,
                                struct sf_error *err)
{
    struct claims_domain facts = claims_domain(s, q->consumer);
    SF_CLEANUP(sf_freep)
    struct claims_grant *grants = grants_of(&s->registry, q->consumer, &facts.grant_count);
    SF_CLEANUP(sf_buf_done) struct sf_buf jwt = {0};
    struct claims_grant *added;
    enum sf_code code;

    if (grants == NULL) {
        return SF_RAISE(err, SF_NOMEM, "claims of %s", facts.name);
    }
    added = &grants[facts.grant_count++];
    *added = claims_grant(q);
    added->audience = "aaaaaaaaaaaaa"; /* as long as any */
    added->sole_audience = added->audience;
    facts.grants = grants;
    code = claims_consume(s->keys, &facts, &jwt, err);
    if (code == SF_BUSY) {
        code = SF_RAISE_E(err, SF_BUSY, SHEAF_E_LIMIT,
                          "%s has %zu grants, and its account takes no more", facts.name,
                          facts.grant_count - 1);
    }
    return code;
}

/* Writes the JWTs of both accounts of @d into the directory. */
static enum sf_code put_claims(struct hub_state *s, const struct registry_domain *d,
                               struct sf_error *err)
{
    struct sf_buf jwt = {0};
    struct claims_domain facts = claims_domain(s, d);
    SF_CLEANUP(sf_freep)
    struct claims_grant *grants = grants_of(&s->registry, d, &facts.grant_count);
    enum sf_code code;

    if (grants == NULL) {
        return SF_RAISE(err, SF_NOMEM, "claims of %s", d->name);
    }
    facts.grants = grants;
    code = claims_serve(s->keys, &facts, &jwt, err);
    if (code == SF_OK) {
        code = put(s, d->serve_account, &jwt, err);
    }
    sf_buf_clear(&jwt);
    if (code == SF_OK) {
        code = claims_consume(s->keys, &facts, &jwt, err);
    }
    if (code == SF_OK) {
        code = put(s, d->account, &jwt, err);
    }
    sf_buf_done(&jwt);
    return code;
}

/*
 * The leaf does not say that it knows of a revocation: it may be cut off, and what it has sent and
 * still sends to who asked before would reach them when it is back. All of its answers in flight
 * are dropped, by new claims of its serving account; who still may, asks again.
 */
static void cut_answers(void *data, struct lease *l)
{
    struct hub_state *s = data;
    const int64_t now_s = sf_rt_wall_us(s->rt) / SF_US_PER_S;
    struct sf_error err;

    l->cut_s = now_s > l->cut_s ? now_s : l->cut_s + 1; /* other claims each time */
    if (put_claims(s, l->domain, &err) != SF_OK) {
        sf_log(SF_LOG_ERROR, "hub.answers_not_cut", SF_F_TEXT("domain", l->domain->name),
               SF_F_ERROR(&err));
        lease_watch(l);
        return;
    }
    sf_log(SF_LOG_WARN, "hub.answers_cut", SF_F_TEXT("domain", l->domain->name));
}

/* --- events ----------------------------------------------------------------------------------- */

static const struct registry_request *request_of(const struct hub_state *s,
                                                 const Sheaf__V1__Event *e)
{
    const struct registry_grant *g = NULL;

    if (e->kind_case == SHEAF__V1__EVENT__KIND_GRANT_ENDED) {
        g = registry_grant(&s->registry, e->grant_ended->grant_id);
    } else if (e->kind_case == SHEAF__V1__EVENT__KIND_ACCESS_DECIDED &&
               e->access_decided->grant != NULL) {
        g = registry_grant(&s->registry, e->access_decided->grant->id);
    }
    return g == NULL ? NULL : g->request;
}

/* A grant has begun or ended: first the owner's leaf, then the imports of the consumer. */
static enum sf_code grants_changed(struct hub_state *s, const struct registry_request *q,
                                   struct sf_error *err)
{
    struct lease *lease = lease_of(&s->leases, q->product->owner);

    if (lease == NULL) {
        return SF_RAISE(err, SF_NOMEM, "lease of %s", q->product->owner->name);
    }
    lease_renew(lease);
    return put_claims(s, q->consumer, err);
}

static enum sf_code domain_joined(struct hub_state *s, const char *name, struct sf_error *err)
{
    const struct registry_domain *d = registry_domain(&s->registry, name);
    enum sf_code code = put_claims(s, d, err);

    if (code == SF_OK && lease_of(&s->leases, d) == NULL) {
        code = SF_RAISE(err, SF_NOMEM, "lease of %s", name);
    }
    return code;
}

static void plan_expiry(struct hub_state *s);

enum sf_code state_on_event(struct hub_state *s, const struct event_record *r, struct sf_error *err)
{
    const struct registry_request *q;
    enum sf_code code = registry_apply(&s->registry, r->event, err);

    if (code != SF_OK || !s->open) {
        return code;
    }
    sf_log(SF_LOG_INFO, "hub.event", SF_F_UINT("number", r->event->number),
           SF_F_TEXT("kind", event_kind_name(r->event)), SF_F_TEXT("actor", r->event->actor));
    if (r->event->kind_case == SHEAF__V1__EVENT__KIND_DOMAIN_JOINED) {
        return domain_joined(s, r->event->domain_joined->domain, err);
    }
    if (r->event->kind_case == SHEAF__V1__EVENT__KIND_POLICY_APPLIED ||
        r->event->kind_case == SHEAF__V1__EVENT__KIND_POLICY_REMOVED) {
        leases_renew(&s->leases);
        return SF_OK;
    }
    q = request_of(s, r->event);
    if (q == NULL) {
        return SF_OK;
    }
    plan_expiry(s);
    return grants_changed(s, q, err);
}

/* --- expiry ----------------------------------------------------------------------------------- */

static enum sf_code build_expiry(struct event_append *op, Sheaf__V1__Event *e,
                                 struct sf_arena *arena, struct sf_error *err)
{
    struct hub_state *s = op->data;
    const struct registry_grant *g = registry_next_to_expire(&s->registry);
    Sheaf__V1__GrantEnded *m = sf_arena_alloc(arena, sizeof(*m));

    if (m == NULL) {
        return SF_RAISE(err, SF_NOMEM, "expiry");
    }
    if (g == NULL || !policy_is_over(g->until_us, sf_rt_wall_us(s->rt))) {
        return SF_OK;
    }
    sheaf__v1__grant_ended__init(m);
    m->grant_id = sf_control_text(g->id);
    m->cause = sf_arena_strdup(arena, "expired");
    m->reason = sf_arena_strdup(arena, "its time was over");
    e->actor = sf_arena_strdup(arena, "hub");
    if (m->cause == NULL || m->reason == NULL || e->actor == NULL) {
        return SF_RAISE(err, SF_NOMEM, "expiry");
    }
    e->kind_case = SHEAF__V1__EVENT__KIND_GRANT_ENDED;
    e->grant_ended = m;
    return SF_OK;
}

static void on_expired(struct event_append *op, enum sf_code code, const struct event_record *r,
                       const struct sf_error *err)
{
    struct hub_state *s = op->data;

    (void)r;
    s->expiring = false;
    if (!s->open) {
        return; /* the hub stops, and the log gives back what it has */
    }
    if (code != SF_OK) {
        sf_log(SF_LOG_WARN, "grants.expiry_failed", SF_F_ERROR(err));
        sf_rt_timer_start(s->rt, &s->expiry, SF_NS_PER_S);
    } else {
        plan_expiry(s);
    }
}

static void on_expiry_due(struct sf_timer *t)
{
    struct hub_state *s = SF_CONTAINER_OF(t, struct hub_state, expiry);
    struct sf_error err;

    if (s->expiring) {
        return;
    }
    s->expire_op = (struct event_append){.build = build_expiry, .done = on_expired, .data = s};
    s->expiring = event_log_append(s->log, &s->expire_op, &err) == SF_OK;
    if (!s->expiring) {
        sf_rt_timer_start(s->rt, &s->expiry, SF_NS_PER_S);
    }
}

static void plan_expiry(struct hub_state *s)
{
    const struct registry_grant *g = registry_next_to_expire(&s->registry);
    int64_t left_us;
    uint64_t delay_ns;

    if (g == NULL || s->expiring) {
        return;
    }
    left_us = g->until_us - sf_rt_wall_us(s->rt);
    delay_ns = left_us <= 0 ? 0 : (uint64_t)left_us * 1000;
    if (left_us > (int64_t)(EXPIRY_MAX_NS / 1000)) {
        delay_ns = EXPIRY_MAX_NS;
    }
    sf_rt_timer_start(s->rt, &s->expiry, delay_ns);
}

/* --- life ------------------------------------------------------------------------------------- */

enum sf_code state_init(struct hub_state *s, struct sf_error *err)
{
    enum sf_code code;

    registry_init(&s->registry);
    sf_metrics_init(&s->metrics);
    turns_init(&s->turns, s->rt, s->domain_requests_max, &s->metrics);
    sf_steady_init(&s->clock, s->rt, 0);
    s->expiry = (struct sf_timer){.fire = on_expiry_due};
    s->leases = (struct leases){
        .rt = s->rt,
        .registry = &s->registry,
        .hub_key = &s->keys->hub_key,
        .bundle_life_us = s->bundle_life_us,
        .on_silent = cut_answers,
        .data = s,
    };
    code = claims_account_key(s->keys, "MESH", s->mesh_account, err);
    return code != SF_OK ? code : claims_account_key(s->keys, "SYS", s->system_account, err);
}

enum sf_code state_open(struct hub_state *s, struct sf_error *err)
{
    struct sf_map_entry *entry;
    size_t at = 0;

    s->leases.bus = s->mesh_bus;
    s->leases.opened_ns = sf_rt_now_ns(s->rt);
    sf_steady_init(&s->clock, s->rt, s->registry.latest_us);
    while ((entry = sf_map_next(&s->registry.domains, &at)) != NULL) {
        const struct registry_domain *d = entry->value;
        enum sf_code code = put_claims(s, d, err);

        if (code == SF_OK && lease_of(&s->leases, d) == NULL) {
            code = SF_RAISE(err, SF_NOMEM, "lease of %s", d->name);
        }
        if (code != SF_OK) {
            return code;
        }
    }
    s->open = true;
    plan_expiry(s);
    return SF_OK;
}

void state_close(struct hub_state *s)
{
    s->open = false;
    sf_rt_timer_stop(s->rt, &s->expiry);
    leases_close(&s->leases);
}

void state_done(struct hub_state *s)
{
    turns_done(&s->turns);
    leases_done(&s->leases);
    registry_done(&s->registry);
    directory_done(&s->directory);
}
