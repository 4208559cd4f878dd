#include "hub/api/seen.h"

#include <string.h>

#include "hub/registry/registry_policy.h"

const struct registry_grant *seen_grant(const struct hub_state *s, const struct registry_product *p,
                                        const struct registry_version *v, const char *domain)
{
    const struct registry_access access = {domain, p->owner->name, p->name,
                                           v->product->version.major};

    return registry_active(&s->registry, &access);
}

struct seen_by seen_by(const char *domain, const struct registry_grant *grant)
{
    struct seen_by by = {.who.domain = domain};

    if (grant != NULL) {
        by.who.purpose = grant->purpose;
        by.columns = grant->columns;
        by.column_count = grant->column_count;
    }
    return by;
}

static enum sf_code make_input(struct hub_state *s, const struct registry_version *v,
                               const struct sf_table *t, const struct seen_by *by,
                               struct sf_policy_input *ret, struct sf_error *err)
{
    *ret = (struct sf_policy_input){
        .owner = v->policies,
        .product = v->product,
        .table = t,
        .subject = by->who,
        .columns = by->columns,
        .column_count = by->column_count,
        .now_us = sf_rt_wall_us(s->rt),
    };
    return registry_policy_set(&s->registry, &ret->platform, err);
}

enum sf_code seen_table(struct hub_state *s, const struct registry_version *v,
                        const struct sf_table *t, const struct seen_by *by,
                        struct sf_policy_view **ret, struct sf_error *err)
{
    struct sf_policy_input in;
    enum sf_code code = make_input(s, v, t, by, &in, err);

    return code == SF_OK ? sf_policy_decide(&in, ret, err) : code;
}

enum sf_code seen_roles(struct hub_state *s, const struct registry_version *v,
                        const struct sf_table *t, const struct seen_by *by, struct sf_arena *arena,
                        struct sf_policy_roles *ret, struct sf_error *err)
{
    struct sf_policy_input in;
    enum sf_code code = make_input(s, v, t, by, &in, err);

    return code == SF_OK ? sf_policy_roles_about(&in, arena, ret, err) : code;
}

/* --- columns ---------------------------------------------------------------------------------- */

/* Columns that are asked for, and what the tables looked at so far say of each. */
struct asked {
    const struct seen_by *by;
    const char *const *names;
    size_t count;
    const char **closed;
    bool *given;
    struct sf_arena *arena;
};

static const char *tell_closed(const struct asked *a, const struct sf_field *f,
                               const struct sf_policy_cause *cause)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf text = {0};

    sf_buf_printf(&text, "field '%s' is not for %s: ", f->name, a->by->who.domain);
    sf_policy_cause_print(cause, f, &text);
    return text.failed != SF_OK ? NULL : sf_arena_strndup(a->arena, text.data, text.size);
}

/* False: no memory. */
static bool look_at(struct asked *a, const struct sf_table *t, const struct sf_policy_view *view)
{
    for (size_t i = 0; i < a->count; i++) {
        const int32_t at = sf_table_field_index(t, sf_slice_text(a->names[i]));

        if (at < 0) {
            continue;
        }
        a->given[i] |= view->masks[at].kind != SF_MASK_OMIT;
        if (!a->given[i] && a->closed[i] == NULL) {
            a->closed[i] = tell_closed(a, &t->fields[at], &view->causes[at]);
            if (a->closed[i] == NULL) {
                return false;
            }
        }
    }
    return true;
}

enum sf_code seen_closed(struct hub_state *s, const struct registry_version *v,
                         const struct seen_by *by, const char *const *names, size_t count,
                         struct sf_arena *arena, const char *const **ret, struct sf_error *err)
{
    struct asked a = {.by = by, .names = names, .count = count, .arena = arena};
    enum sf_code code = SF_OK;

    a.closed = sf_arena_calloc(arena, count + 1, sizeof(*a.closed));
    a.given = sf_arena_calloc(arena, count + 1, sizeof(*a.given));
    if (a.closed == NULL || a.given == NULL) {
        return SF_RAISE(err, SF_NOMEM, "columns");
    }
    for (size_t i = 0; i < v->product->table_count && code == SF_OK; i++) {
        SF_CLEANUP(sf_policy_view_freep) struct sf_policy_view *view = NULL;
        const struct sf_table *t = &v->product->tables[i];

        code = seen_table(s, v, t, by, &view, err);
        if (code == SF_OK && !look_at(&a, t, view)) {
            code = SF_RAISE(err, SF_NOMEM, "columns");
        }
    }
    for (size_t i = 0; i < count; i++) {
        a.closed[i] = a.given[i] ? NULL : a.closed[i];
    }
    *ret = a.closed;
    return code;
}

/* --- rows ------------------------------------------------------------------------------------- */

bool seen_all_rows(const struct call *c, const struct registry_product *p,
                   const struct registry_version *v, const char *table)
{
    SF_CLEANUP(sf_policy_view_freep) struct sf_policy_view *view = NULL;
    const struct sf_table *t = sf_product_table(v->product, table);
    const char *const domain = c->token.issuer;
    struct seen_by by = seen_by(domain, seen_grant(c->state, p, v, domain));
    struct sf_error err;

    return t != NULL && seen_table(c->state, v, t, &by, &view, &err) == SF_OK && !view->denied &&
           view->filter_count == 0;
}
