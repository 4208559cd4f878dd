#include "common/wire/control.h"
#include "hub/api/change.h"
#include "proto/errors.h"

/* Grants in force on the major, for the refusal; names the first few. */
static size_t grants_in_force(const struct change_life *c, const struct registry_product *p,
                              struct sf_buf *names)
{
    const struct registry *r = &c->state->registry;
    struct sf_map_entry *entry;
    size_t at = 0;
    size_t count = 0;

    while ((entry = sf_map_next(&r->active, &at)) != NULL) {
        const struct registry_grant *g = entry->value;

        if (g->request->product == p && g->request->major == c->major) {
            if (count < 5) {
                sf_buf_printf(names, "%s%s", count == 0 ? "" : ", ", g->id);
            }
            count++;
        }
    }
    return count;
}

static enum sf_code check_removal(const struct change_life *c, const struct registry_product *p,
                                  struct sf_error *err)
{
    const struct sf_product *contract = registry_version(p, c->major)->product;
    SF_CLEANUP(sf_buf_done) struct sf_buf names = {0};
    size_t grants;

    if (contract->status != SF_STATUS_RETIRED && contract->status != SF_STATUS_DRAFT) {
        return SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_NOT_RETIRED, "%s/%s@%u is %s", c->domain,
                          p->name, c->major, sf_status_name(contract->status));
    }
    grants = grants_in_force(c, p, &names);
    if (grants > 0) {
        const char *text = sf_buf_cstr(&names);

        return SF_RAISE_E(
            err, SF_CONFLICT, SHEAF_E_GRANTS_IN_FORCE, "%zu grant%s on %s/%s@%u %s in force: %s%s",
            grants, grants == 1 ? "" : "s", c->domain, p->name, c->major,
            grants == 1 ? "is" : "are", text == NULL ? "" : text, grants > 5 ? ", ..." : "");
    }
    return SF_OK;
}

static enum sf_code check_restoral(const struct change_life *c,
                                   const struct registry_removal *removal, struct sf_error *err)
{
    if (removal->purge_us <= sf_rt_wall_us(c->state->rt)) {
        return SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_PRODUCT_REMOVED,
                          "the rows of %s/%s@%u are gone for good", c->domain, c->product,
                          c->major);
    }
    return SF_OK;
}

static enum sf_code fill_removed(struct change_life *c, Sheaf__V1__Event *e, struct sf_arena *arena,
                                 struct sf_error *err)
{
    Sheaf__V1__ProductRemoved *m = sf_arena_alloc(arena, sizeof(*m));

    if (m == NULL) {
        return SF_RAISE(err, SF_NOMEM, "removal");
    }
    c->purge_us = sf_rt_wall_us(c->state->rt) + c->keep_us;
    sheaf__v1__product_removed__init(m);
    m->domain = sf_control_text(c->domain);
    m->product = sf_control_text(c->product);
    m->major = c->major;
    m->purge_us = c->purge_us;
    m->reason = sf_control_text(c->reason);
    e->kind_case = SHEAF__V1__EVENT__KIND_PRODUCT_REMOVED;
    e->product_removed = m;
    return SF_OK;
}

static enum sf_code fill_restored(const struct change_life *c, Sheaf__V1__Event *e,
                                  struct sf_arena *arena, struct sf_error *err)
{
    Sheaf__V1__ProductRestored *m = sf_arena_alloc(arena, sizeof(*m));

    if (m == NULL) {
        return SF_RAISE(err, SF_NOMEM, "restoral");
    }
    sheaf__v1__product_restored__init(m);
    m->domain = sf_control_text(c->domain);
    m->product = sf_control_text(c->product);
    m->major = c->major;
    e->kind_case = SHEAF__V1__EVENT__KIND_PRODUCT_RESTORED;
    e->product_restored = m;
    return SF_OK;
}

static enum sf_code build(struct event_append *op, Sheaf__V1__Event *e, struct sf_arena *arena,
                          struct sf_error *err)
{
    struct change_life *c = op->data;
    const struct registry_product *p = registry_product(&c->state->registry, c->domain, c->product);
    const struct registry_removal *removal;
    enum sf_code code;

    if (c->major == 0 || p == NULL || registry_highest(p, c->major) == NULL) {
        return SF_RAISE_E(err, SF_ABSENT, SHEAF_E_PRODUCT_UNKNOWN,
                          "there is no product %.60s/%.60s@%u", c->domain, c->product, c->major);
    }
    removal = registry_removal(p, c->major);
    c->purge_us = removal == NULL ? 0 : removal->purge_us;
    if ((removal != NULL) == !c->restore) {
        return SF_OK; /* It is so already: an answer that was lost is asked for again. */
    }
    code = c->restore ? check_restoral(c, removal, err) : check_removal(c, p, err);
    if (code == SF_OK) {
        e->actor = sf_arena_printf(arena, "%s/%s", c->domain, c->changed_by);
        code = e->actor == NULL ? SF_RAISE(err, SF_NOMEM, "removal")
               : c->restore     ? fill_restored(c, e, arena, err)
                                : fill_removed(c, e, arena, err);
    }
    c->changed = code == SF_OK;
    return code;
}

void change_life_init(struct change_life *c, struct hub_state *s)
{
    *c = (struct change_life){.state = s, .op = {.build = build, .data = c}};
}
