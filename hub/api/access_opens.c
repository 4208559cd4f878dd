#include "hub/api/access_opens.h"

#include <string.h>

#include "hub/api/access_json.h"

enum { ROLES_MAX = 32 }; /* of a table, that are told of */

struct opening {
    struct call *c;
    const struct access_rights *rights;
    const struct registry_version *version;
    struct seen_by by;
    struct sf_policy_view **views; /* of each table */
    unsigned columns;              /* that are seen */
    unsigned all;
    unsigned masked;
    bool filtered;
};

static void count_columns(struct opening *o, const struct sf_policy_view *v)
{
    for (size_t i = 0; i < v->field_count; i++) {
        o->all++;
        o->columns += v->masks[i].kind != SF_MASK_OMIT;
        o->masked += v->masks[i].kind != SF_MASK_OMIT && v->masks[i].kind != SF_MASK_NONE;
    }
    o->filtered |= v->filter_count > 0 && !v->denied;
}

static enum sf_code decide_tables(struct opening *o, struct sf_error *err)
{
    const struct sf_product *p = o->version->product;
    enum sf_code code = SF_OK;

    o->views = sf_arena_calloc(&o->c->arena, p->table_count + 1, sizeof(struct sf_policy_view *));
    if (o->views == NULL) {
        return SF_RAISE(err, SF_NOMEM, "what is opened");
    }
    for (size_t i = 0; i < p->table_count && code == SF_OK; i++) {
        code = seen_table(o->c->state, o->version, &p->tables[i], &o->by, &o->views[i], err);
        if (code == SF_OK) {
            count_columns(o, o->views[i]);
        }
    }
    return code;
}

static void free_views(struct opening *o)
{
    for (size_t i = 0; o->views != NULL && i < o->version->product->table_count; i++) {
        sf_policy_view_free(o->views[i]);
    }
}

/* --- the whole -------------------------------------------------------------------------------- */

static void write_tables(const struct opening *o, struct sf_json_writer *w)
{
    const struct sf_product *p = o->version->product;
    const enum sf_policy_reader_is reader =
        o->c->is_platform || access_is_owner(o->c, o->rights->request) ? SF_POLICY_FOR_OWNER
                                                                       : SF_POLICY_FOR_OTHERS;

    sf_json_key(w, "tables");
    sf_json_array_begin(w);
    for (size_t i = 0; i < p->table_count; i++) {
        sf_json_object_begin(w);
        sf_json_member_text(w, "table", p->tables[i].name);
        sf_policy_view_write(o->views[i], &p->tables[i], reader, w);
        sf_json_object_end(w);
    }
    sf_json_array_end(w);
}

static void print_mask(const struct sf_mask *mask, struct sf_buf *out)
{
    sf_buf_text(out, mask->kind == SF_MASK_NONE ? "clear" : "");
    sf_mask_print(mask, out);
}

static void write_difference(const char *role, const struct sf_table *t, const char *field,
                             struct sf_slice sees, struct sf_json_writer *w)
{
    sf_json_object_begin(w);
    sf_json_member_text(w, "role", role);
    sf_json_member_text(w, "table", t->name);
    sf_json_member_text(w, "field", field); /* null: rows */
    sf_json_member_slice(w, "sees", sees);
    sf_json_object_end(w);
}

/* What a user with @role sees that one without does not. */
static void write_role(const char *role, const struct sf_table *t,
                       const struct sf_policy_view *without, const struct sf_policy_view *with,
                       struct sf_json_writer *w)
{
    for (size_t i = 0; i < t->field_count; i++) {
        SF_CLEANUP(sf_buf_done) struct sf_buf before = {0};
        SF_CLEANUP(sf_buf_done) struct sf_buf after = {0};

        print_mask(&without->masks[i], &before);
        print_mask(&with->masks[i], &after);
        if (!sf_slice_equal(sf_buf_view(&before), sf_buf_view(&after))) {
            write_difference(role, t, t->fields[i].name, sf_buf_view(&after), w);
        }
    }
    if (with->filter_count < without->filter_count) {
        write_difference(role, t, NULL,
                         sf_slice_text(with->filter_count == 0 ? "all rows" : "more rows"), w);
    }
}

static enum sf_code write_roles_of(struct opening *o, size_t at, struct sf_json_writer *w,
                                   struct sf_error *err)
{
    const struct sf_table *t = &o->version->product->tables[at];
    struct seen_by by = o->by;
    struct sf_policy_roles roles;
    enum sf_code code = seen_roles(o->c->state, o->version, t, &o->by, &o->c->arena, &roles, err);

    for (size_t i = 0; code == SF_OK && i < roles.count && i < ROLES_MAX; i++) {
        SF_CLEANUP(sf_policy_view_freep) struct sf_policy_view *with = NULL;

        by.who.roles = &roles.items[i];
        by.who.role_count = 1;
        code = seen_table(o->c->state, o->version, t, &by, &with, err);
        if (code == SF_OK) {
            write_role(roles.items[i], t, o->views[at], with, w);
        }
    }
    return code;
}

static enum sf_code write_whole(struct opening *o, struct sf_json_writer *w, struct sf_error *err)
{
    enum sf_code code = SF_OK;

    write_tables(o, w);
    sf_json_key(w, "by_role");
    sf_json_array_begin(w);
    for (size_t i = 0; i < o->version->product->table_count && code == SF_OK; i++) {
        code = write_roles_of(o, i, w, err);
    }
    sf_json_array_end(w);
    return code;
}

enum sf_code access_write_opens(struct answer *a, struct call *c, const struct access_rights *r,
                                bool whole, struct sf_error *err)
{
    const struct registry_request *q = r->request;
    struct opening o = {.c = c,
                        .rights = r,
                        .version = registry_version(q->product, q->major),
                        .by = {.who = {.domain = q->consumer->name, .purpose = r->purpose},
                               .columns = r->columns,
                               .column_count = r->column_count}};
    enum sf_code code;

    if (o.version == NULL) {
        return SF_OK; /* it was removed */
    }
    code = decide_tables(&o, err);
    if (code == SF_OK) {
        sf_json_key(&a->json, "opens");
        sf_json_object_begin(&a->json);
        sf_json_member_uint(&a->json, "policy_version", c->state->registry.policies.version);
        sf_json_member_uint(&a->json, "columns", o.columns);
        sf_json_member_uint(&a->json, "of", o.all);
        sf_json_member_uint(&a->json, "masked", o.masked);
        sf_json_member_bool(&a->json, "filtered", o.filtered);
        code = whole ? write_whole(&o, &a->json, err) : SF_OK;
        sf_json_object_end(&a->json);
    }
    free_views(&o);
    return code;
}
