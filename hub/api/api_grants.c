/*
 * POST /v1/access/requests/AR-n/decision and /v1/access/grants/G-n/revoke: signed words of the
 * owner, then a wait until they are in force everywhere.
 *
 *   APPEND (event log) --> EFFECT (leaf and claims) --> answer
 */
#include "common/sys/encoding.h"
#include "hub/api/access_json.h"
#include "hub/api/change.h"
#include "proto/errors.h"

struct decision_call {
    struct change_decision change;
    struct effect effect;
    struct sf_buf bytes; /* Signed(Decision) */
};

struct revocation_call {
    struct change_revocation change;
    struct effect effect;
    struct sf_buf bytes; /* Signed(Revocation); empty: by the platform */
};

/* The base64 member @name as bytes. */
static enum sf_code read_signed(const struct call *c, const char *name, enum sf_json_need need,
                                struct sf_buf *ret, struct sf_error *err)
{
    const char *text = NULL;
    enum sf_code code = sf_json_read_text(c->body, name, need, &text, err);

    if (code != SF_OK || text == NULL) {
        return code;
    }
    code = sf_buf_decode(ret, SF_BASE64, sf_slice_text(text), err);
    if (code == SF_INVALID) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "'%s' must be base64", name);
    }
    return code;
}

/* --- decision --------------------------------------------------------------------------------- */

static void send_decision(struct call *c, struct decision_call *d)
{
    const struct registry_request *q = registry_request(&c->state->registry, d->change.request_id);
    struct answer a;

    answer_begin(&a, "AccessDecision");
    sf_json_member_text(&a.json, "request", q->id);
    sf_json_member_bool(&a.json, "approved", q->grant != NULL);
    if (q->grant != NULL) {
        sf_json_key(&a.json, "grant");
        sf_json_object_begin(&a.json);
        sf_json_member_text(&a.json, "kind", "Grant");
        access_write_grant(&a, c, q->grant);
        sf_json_object_end(&a.json);
    }
    access_write_effect(&a, &d->effect, q);
    answer_send(&a, c, 200);
}

static void on_decision_in_force(struct effect *e)
{
    struct decision_call *d = SF_CONTAINER_OF(e, struct decision_call, effect);

    send_decision(d->change.waiter, d);
}

static void on_decided(struct event_append *op, enum sf_code code, const struct event_record *r,
                       const struct sf_error *err)
{
    struct decision_call *d = SF_CONTAINER_OF(op, struct decision_call, change.op);
    struct call *c = d->change.waiter;
    const struct registry_request *q;

    (void)r;
    sf_buf_done(&d->bytes);
    if (code != SF_OK) {
        call_fail(c, err);
        return;
    }
    q = registry_request(&c->state->registry, d->change.request_id);
    if (q->grant == NULL) {
        send_decision(c, d);
        return;
    }
    d->effect.done = on_decision_in_force;
    effect_start(c->state, &d->effect, q, EFFECT_GRANT_NS);
}

static void cancel_decision(struct call *c)
{
    struct decision_call *d = c->work;

    effect_cancel(&d->effect);
    sf_buf_done(&d->bytes);
}

void decision_post(struct call *c, const char *const *part)
{
    static const char *const names[] = {"decision", NULL};
    const struct registry_request *q = registry_request(&c->state->registry, part[0]);
    struct decision_call *d;
    struct sf_error err;
    enum sf_code code = SF_OK;

    if (q == NULL || !access_is_visible(c, q)) {
        code = SF_RAISE_E(&err, SF_ABSENT, SHEAF_E_REQUEST_UNKNOWN, "there is no request %.24s",
                          part[0]);
    } else if (!access_is_owner(c, q)) {
        code = SF_RAISE_E(&err, SF_DENIED, SHEAF_E_NOT_OWNER,
                          "only %s decides on %s, and the token is of %s", q->product->owner->name,
                          q->id, c->token.issuer);
    }
    if (code != SF_OK) {
        call_fail(c, &err);
        return;
    }
    d = call_work(c, sizeof(*d));
    if (d == NULL) {
        return;
    }
    change_decision_init(&d->change, c->state);
    d->change.waiter = c;
    d->change.op.done = on_decided;
    d->change.actor = c->actor;
    d->change.request_id = q->id;
    c->cancel = cancel_decision;
    code = sf_json_check_names(c->body, names, &err);
    if (code == SF_OK) {
        code = read_signed(c, "decision", SF_JSON_REQUIRED, &d->bytes, &err);
    }
    if (code == SF_OK) {
        d->change.signed_bytes = sf_buf_view(&d->bytes);
        code = event_log_append(c->state->log, &d->change.op, &err);
    }
    if (code != SF_OK) {
        sf_buf_done(&d->bytes);
        call_fail(c, &err);
    }
}

/* --- revocation ------------------------------------------------------------------------------- */

static void on_revocation_in_force(struct effect *e)
{
    struct revocation_call *v = SF_CONTAINER_OF(e, struct revocation_call, effect);
    struct call *c = v->change.waiter;
    const struct registry_grant *g = registry_grant(&c->state->registry, v->change.grant_id);
    struct lease *lease = lease_find(&c->state->leases, g->request->product->owner->name);
    struct answer a;

    if (e->leaf_lags && lease != NULL) {
        lease_watch(lease);
    }
    answer_begin(&a, "RevocationReceipt");
    sf_json_key(&a.json, "grant");
    sf_json_object_begin(&a.json);
    sf_json_member_text(&a.json, "kind", "Grant");
    access_write_grant(&a, c, g);
    sf_json_object_end(&a.json);
    access_write_effect(&a, e, g->request);
    answer_send(&a, c, 200);
}

static void on_revoked(struct event_append *op, enum sf_code code, const struct event_record *r,
                       const struct sf_error *err)
{
    struct revocation_call *v = SF_CONTAINER_OF(op, struct revocation_call, change.op);
    struct call *c = v->change.waiter;

    (void)r;
    sf_buf_done(&v->bytes);
    if (code != SF_OK) {
        call_fail(c, err);
        return;
    }
    v->effect.done = on_revocation_in_force;
    effect_start(c->state, &v->effect,
                 registry_grant(&c->state->registry, v->change.grant_id)->request,
                 EFFECT_REVOKE_NS);
}

static void cancel_revocation(struct call *c)
{
    struct revocation_call *v = c->work;

    effect_cancel(&v->effect);
    sf_buf_done(&v->bytes);
}

static enum sf_code read_revocation(struct call *c, struct revocation_call *v, struct sf_error *err)
{
    static const char *const names[] = {"revocation", "reason", NULL};
    enum sf_code code = sf_json_check_names(c->body, names, err);

    v->change.reason = "";
    if (code == SF_OK) {
        code = read_signed(c, "revocation", c->is_platform ? SF_JSON_OPTIONAL : SF_JSON_REQUIRED,
                           &v->bytes, err);
    }
    if (code == SF_OK) {
        code = sf_json_read_text(c->body, "reason", SF_JSON_OPTIONAL, &v->change.reason, err);
    }
    v->change.signed_bytes = sf_buf_view(&v->bytes);
    return code;
}

void revocation_post(struct call *c, const char *const *part)
{
    const struct registry_grant *g = registry_grant(&c->state->registry, part[0]);
    struct revocation_call *v;
    struct sf_error err;
    enum sf_code code = SF_OK;

    if (g == NULL || !access_is_visible(c, g->request)) {
        code =
            SF_RAISE_E(&err, SF_ABSENT, SHEAF_E_GRANT_UNKNOWN, "there is no grant %.24s", part[0]);
    } else if (!c->is_platform && !access_is_owner(c, g->request)) {
        code = SF_RAISE_E(&err, SF_DENIED, SHEAF_E_NOT_OWNER,
                          "only %s or the platform revokes %s, and the token is of %s",
                          g->request->product->owner->name, g->id, c->token.issuer);
    }
    if (code != SF_OK) {
        call_fail(c, &err);
        return;
    }
    v = call_work(c, sizeof(*v));
    if (v == NULL) {
        return;
    }
    change_revocation_init(&v->change, c->state);
    v->change.waiter = c;
    v->change.op.done = on_revoked;
    v->change.actor = c->actor;
    v->change.grant_id = g->id;
    c->cancel = cancel_revocation;
    code = read_revocation(c, v, &err);
    if (code == SF_OK) {
        code = event_log_append(c->state->log, &v->change.op, &err);
    }
    if (code != SF_OK) {
        sf_buf_done(&v->bytes);
        call_fail(c, &err);
    }
}
