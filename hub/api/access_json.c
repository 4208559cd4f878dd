#include "hub/api/access_json.h"

#include <stdio.h>
#include <string.h>

#include "hub/policy/access.h"

const char *access_request_state(const struct registry_request *q)
{
    switch (q->state) {
    case REGISTRY_PENDING:
        return "pending";
    case REGISTRY_APPROVED:
        return "approved";
    case REGISTRY_DENIED:
        return "denied";
    }
    return "unknown";
}

const char *access_grant_state(const struct registry_grant *g)
{
    switch (g->state) {
    case REGISTRY_ACTIVE:
        return "active";
    case REGISTRY_REVOKED:
        return "revoked";
    case REGISTRY_EXPIRED:
        return "expired";
    }
    return "unknown";
}

static void write_subject(struct answer *a, const struct registry_request *q)
{
    sf_json_key(&a->json, "product");
    sf_json_printf(&a->json, "%s/%s", q->product->owner->name, q->product->name);
    sf_json_member_uint(&a->json, "major", q->major);
    sf_json_member_text(&a->json, "owner", q->product->owner->name);
    sf_json_member_text(&a->json, "consumer", q->consumer->name);
}

void access_write_request(struct answer *a, const struct registry_request *q)
{
    const struct registry_version *v = registry_version(q->product, q->major);

    sf_json_member_text(&a->json, "id", q->id);
    write_subject(a, q);
    sf_json_member_text(&a->json, "purpose", q->purpose);
    sf_json_member_int(&a->json, "duration_us", q->duration_us);
    answer_texts(a, "columns", q->columns, q->column_count);
    sf_json_member_text(&a->json, "state", access_request_state(q));
    sf_json_member_bool(&a->json, "auto_approvable",
                        v != NULL && policy_is_auto_approvable(v->product));
    answer_time(a, "created", q->created_us);
    sf_json_member_text(&a->json, "requested_by", q->requested_by);
    if (q->grant != NULL) {
        sf_json_member_text(&a->json, "grant", q->grant->id);
    }
    if (q->note[0] != '\0') {
        sf_json_member_text(&a->json, "note", q->note);
    }
}

/* Whether the owner's leaf serves nothing by it, as it had ended before this hub was put back. */
static bool is_held_back(const struct call *c, const struct registry_grant *g)
{
    const struct lease *l = lease_find(&c->state->leases, g->request->product->owner->name);

    return g->state == REGISTRY_ACTIVE && l != NULL && lease_holds_back(l, g->id);
}

void access_write_grant(struct answer *a, const struct call *c, const struct registry_grant *g)
{
    sf_json_member_text(&a->json, "id", g->id);
    sf_json_member_text(&a->json, "request", g->request->id);
    write_subject(a, g->request);
    sf_json_member_text(&a->json, "purpose", g->purpose);
    answer_texts(a, "columns", g->columns, g->column_count);
    sf_json_member_text(&a->json, "audience", g->audience);
    sf_json_member_text(&a->json, "sole_audience", g->sole_audience);
    answer_time(a, "until", g->until_us);
    sf_json_member_text(&a->json, "state", access_grant_state(g));
    if (is_held_back(c, g)) {
        sf_json_member_bool(&a->json, "held_back", true);
    }
    sf_json_member_text(&a->json, "decided_by", g->decided_by);
    if (g->state != REGISTRY_ACTIVE) {
        answer_time(a, "ended", g->ended_us);
        sf_json_member_text(&a->json, "reason", g->reason);
    }
}

bool access_is_owner(const struct call *c, const struct registry_request *q)
{
    return !c->is_platform && strcmp(c->token.issuer, q->product->owner->name) == 0;
}

bool access_is_visible(const struct call *c, const struct registry_request *q)
{
    return c->is_platform || access_is_owner(c, q) ||
           strcmp(c->token.issuer, q->consumer->name) == 0;
}

void access_write_effect(struct answer *a, const struct effect *e, const struct registry_request *q)
{
    sf_json_member_bool(&a->json, "effective", !e->leaf_lags && !e->claims_lag);
    sf_json_key(&a->json, "laggards");
    sf_json_array_begin(&a->json);
    if (e->leaf_lags) {
        sf_json_printf(&a->json, "leaf of %s", q->product->owner->name);
    }
    if (e->claims_lag) {
        sf_json_printf(&a->json, "claims of %s", q->consumer->name);
    }
    sf_json_array_end(&a->json);
    sf_json_member_int(&a->json, "elapsed_us", (int64_t)(e->took_ns / 1000));
}
