#include "hub/api/audit_reader.h"

#include "common/contract/product_file.h"
#include "common/wire/control.h"
#include "hub/api/product_shown.h"

static enum audit_part whole_if(bool concerned)
{
    return concerned ? AUDIT_WHOLE : AUDIT_KIND;
}

static bool is_one_of(const struct call *c, const char *owner, const char *consumer)
{
    return call_reads_all_of(c, owner) || call_reads_all_of(c, consumer);
}

static enum audit_part part_of_decision(const struct call *c,
                                        const Sheaf__V1__AccessDecided *decided,
                                        struct sf_arena *arena)
{
    const Sheaf__V1__Decision *d =
        decided->decision == NULL
            ? NULL
            : SF_CONTROL_UNPACK(decision, arena, sf_control_slice(decided->decision->payload));

    return whole_if(d != NULL && is_one_of(c, d->owner, d->consumer));
}

static enum audit_part part_of_end(const struct call *c, const char *grant_id)
{
    const struct registry_grant *g = registry_grant(&c->state->registry, grant_id);

    return whole_if(g != NULL &&
                    is_one_of(c, g->request->product->owner->name, g->request->consumer->name));
}

/* The version that the event brought, or NULL. */
static const struct registry_version *version_of(const struct registry_product *p, const char *text)
{
    struct sf_version version;

    if (p == NULL || !sf_version_parse(sf_slice_text(text), &version)) {
        return NULL;
    }
    for (size_t i = 0; i < p->version_count; i++) {
        if (sf_version_compare(&p->versions[i].product->version, &version) == 0) {
            return &p->versions[i];
        }
    }
    return NULL;
}

/* The event holds the file of the product, which is more than the catalog shows. */
static enum audit_part part_of_product(const struct call *c,
                                       const Sheaf__V1__ProductApplied *applied)
{
    const struct registry_product *p;
    const struct registry_version *v;

    if (call_reads_all_of(c, applied->domain)) {
        return AUDIT_WHOLE;
    }
    p = registry_product(&c->state->registry, applied->domain, applied->product);
    v = version_of(p, applied->version);
    return v != NULL && product_is_shown(c, p, v) ? AUDIT_DETAIL : AUDIT_KIND;
}

enum audit_part audit_part_of(const struct call *c, const Sheaf__V1__Event *e,
                              struct sf_arena *arena)
{
    if (c->is_platform) {
        return AUDIT_WHOLE;
    }
    switch (e->kind_case) {
    case SHEAF__V1__EVENT__KIND_MESH_CREATED:
    case SHEAF__V1__EVENT__KIND_DOMAIN_JOINED: /* its keys are what others verify with */
    case SHEAF__V1__EVENT__KIND_POLICY_APPLIED:
    case SHEAF__V1__EVENT__KIND_POLICY_REMOVED:
        return AUDIT_WHOLE;
    case SHEAF__V1__EVENT__KIND_TOKEN_ISSUED:
        return whole_if(call_reads_all_of(c, e->token_issued->domain));
    case SHEAF__V1__EVENT__KIND_PRODUCT_APPLIED:
        return part_of_product(c, e->product_applied);
    case SHEAF__V1__EVENT__KIND_PRODUCT_REMOVED:
        return whole_if(call_reads_all_of(c, e->product_removed->domain));
    case SHEAF__V1__EVENT__KIND_PRODUCT_RESTORED:
        return whole_if(call_reads_all_of(c, e->product_restored->domain));
    case SHEAF__V1__EVENT__KIND_ACCESS_REQUESTED:
        return whole_if(is_one_of(c, e->access_requested->owner, e->access_requested->consumer));
    case SHEAF__V1__EVENT__KIND_ACCESS_DECIDED:
        return part_of_decision(c, e->access_decided, arena);
    case SHEAF__V1__EVENT__KIND_GRANT_ENDED:
        return part_of_end(c, e->grant_ended->grant_id);
    case SHEAF__V1__EVENT__KIND__NOT_SET:
    case _SHEAF__V1__EVENT__KIND__CASE_IS_INT_SIZE:
        break;
    }
    return AUDIT_KIND;
}
