#include "hub/api/seen.h"

#include <string.h>

#include "hub/registry/registry_policy.h"

enum sf_code seen_input(struct hub_state *s, const struct registry_version *v,
                        const struct registry_product *p, const char *domain,
                        const struct registry_grant **ret_grant, struct sf_policy_input *ret,
                        struct sf_error *err)
{
    const struct registry_access access = {domain, p->owner->name, p->name,
                                           v->product->version.major};
    const struct registry_grant *grant = registry_active(&s->registry, &access);

    *ret = (struct sf_policy_input){
        .owner = v->policies,
        .product = v->product,
        .subject.domain = domain,
        .now_us = sf_rt_wall_us(s->rt),
    };
    if (grant != NULL) {
        ret->columns = grant->columns;
        ret->column_count = grant->column_count;
        ret->subject.purpose = grant->purpose;
    }
    *ret_grant = grant;
    return registry_policy_set(&s->registry, &ret->platform, err);
}

bool seen_all_rows(const struct call *c, const char *owner, const char *product, uint32_t major,
                   const char *table)
{
    SF_CLEANUP(sf_policy_view_freep) struct sf_policy_view *view = NULL;
    const struct registry_product *p = registry_product(&c->state->registry, owner, product);
    const struct registry_version *v = p == NULL ? NULL : registry_version(p, major);
    const struct registry_grant *grant;
    struct sf_policy_input in;
    struct sf_error err;

    if (c->is_platform || strcmp(c->token.issuer, owner) == 0) {
        return true;
    }
    if (v == NULL || seen_input(c->state, v, p, c->token.issuer, &grant, &in, &err) != SF_OK) {
        return false;
    }
    for (size_t i = 0; i < v->product->table_count && in.table == NULL; i++) {
        in.table = strcmp(v->product->tables[i].name, table) == 0 ? &v->product->tables[i] : NULL;
    }
    return in.table != NULL && sf_policy_decide(&in, &view, &err) == SF_OK && !view->denied &&
           view->filter_count == 0;
}
