#include "common/contract/product_file.h"
#include "common/wire/control.h"
#include "hub/api/change.h"
#include "hub/registry/registry_policy.h"
#include "proto/errors.h"

/* What stands in the way of, or beside, the product that was read; lists of @arena. */
static enum sf_code facts_of(const struct change_product *c, const struct registry_product *p,
                             struct sf_arena *arena, struct review_input *ret, struct sf_error *err)
{
    const struct sf_version *version = &c->review.product->version;
    const size_t count = p == NULL ? 0 : p->version_count;
    const struct sf_product **standing = sf_arena_calloc(arena, count + 1, sizeof(*standing));

    *ret = (struct review_input){.yaml = c->yaml, .domain = c->domain, .standing = standing};
    if (standing == NULL) {
        return SF_RAISE(err, SF_NOMEM, "versions of a product");
    }
    for (size_t i = 0; i < count; i++) { /* Numbers of a major rise in the order applied. */
        const struct registry_version *v = &p->versions[i];

        if (sf_version_compare(&v->product->version, version) == 0) {
            ret->same_version_yaml = v->yaml;
        }
        if (v->product->version.major == version->major) {
            standing[ret->standing_count++] = v->product;
        }
    }
    return SF_OK;
}

static enum sf_code check_removed(const struct registry_product *p, uint32_t major,
                                  struct sf_error *err)
{
    if (p != NULL && registry_removal(p, major) != NULL) {
        return SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_PRODUCT_REMOVED, "%s/%s@%u is removed",
                          p->owner->name, p->name, major);
    }
    return SF_OK;
}

static enum sf_code check_room(const struct change_product *c, const struct registry_product *p,
                               struct sf_error *err)
{
    if (p == NULL) {
        return registry_check_room(&c->state->registry, REGISTRY_PRODUCT, err);
    }
    if (p->version_count >= REGISTRY_VERSIONS_MAX) {
        return SF_RAISE_E(err, SF_BUSY, SHEAF_E_LIMIT, "%s/%s has %d versions, the limit",
                          p->owner->name, p->name, REGISTRY_VERSIONS_MAX);
    }
    return SF_OK;
}

static enum sf_code fill(const struct change_product *c, struct sf_arena *arena,
                         Sheaf__V1__Event *e, struct sf_error *err)
{
    const struct sf_product *p = c->review.product;
    Sheaf__V1__ProductApplied *m = sf_arena_alloc(arena, sizeof(*m));

    e->actor = sf_arena_printf(arena, "%s/%s", c->domain, c->applied_by);
    if (m == NULL || e->actor == NULL) {
        return SF_RAISE(err, SF_NOMEM, "product %s/%s", p->domain, p->name);
    }
    sheaf__v1__product_applied__init(m);
    m->domain = sf_control_text(c->domain);
    m->product = sf_control_text(p->name);
    m->version =
        sf_arena_printf(arena, "%u.%u.%u", p->version.major, p->version.minor, p->version.patch);
    m->product_yaml = sf_control_data(c->yaml);
    if (m->version == NULL) {
        return SF_RAISE(err, SF_NOMEM, "product %s/%s", p->domain, p->name);
    }
    e->kind_case = SHEAF__V1__EVENT__KIND_PRODUCT_APPLIED;
    e->product_applied = m;
    return SF_OK;
}

static enum sf_code build(struct event_append *op, Sheaf__V1__Event *e, struct sf_arena *arena,
                          struct sf_error *err)
{
    struct change_product *c = op->data;
    const struct registry_product *p;
    struct review_input in;
    enum sf_code code = review_read(&c->review, c->yaml, err);

    if (code != SF_OK || c->review.product == NULL) {
        return code;
    }
    p = registry_product(&c->state->registry, c->review.product->domain, c->review.product->name);
    code = facts_of(c, p, arena, &in, err);
    if (code == SF_OK) {
        in.now_us = sf_rt_wall_us(c->state->rt);
        code = registry_policy_set(&c->state->registry, &in.policies, err);
    }
    if (code == SF_OK) {
        code = check_removed(p, c->review.product->version.major, err);
    }
    if (code == SF_OK) {
        code = review_check(&c->review, &in, err);
    }
    if (code != SF_OK || !c->review.accepted || !c->review.changed || c->dry_run) {
        return code;
    }
    code = check_room(c, p, err);
    return code != SF_OK ? code : fill(c, arena, e, err);
}

void change_product_init(struct change_product *c, struct hub_state *s)
{
    *c = (struct change_product){.state = s, .op = {.build = build, .data = c}};
}
