#include "hub/api/product_shown.h"

#include <string.h>

#include "common/contract/product_print.h"
#include "hub/api/seen.h"

bool product_is_shown(const struct call *c, const struct registry_product *p,
                      const struct registry_version *v)
{
    return call_reads_all_of(c, p->owner->name) ||
           (v->product->status != SF_STATUS_DRAFT &&
            registry_removal(p, v->product->version.major) == NULL);
}

/* The caller, as far as it decides what is shown. */
struct reader {
    bool all;                           /* it reads all there is of the product */
    const struct registry_grant *grant; /* of another domain; NULL: none */
    struct seen_by by; /* the caller with its grant, or, of who reads all, any other domain */
};

static enum sf_code reader_of(struct call *c, const struct registry_product *p,
                              const struct registry_version *v, struct reader *ret,
                              struct sf_error *err)
{
    const struct sf_token *t = &c->token;
    const char **roles;

    *ret = (struct reader){.all = call_reads_all_of(c, p->owner->name), .by = seen_by("*", NULL)};
    if (ret->all) {
        return SF_OK;
    }
    roles = sf_arena_calloc(&c->arena, t->role_count + 1, sizeof(*roles));
    if (roles == NULL) {
        return SF_RAISE(err, SF_NOMEM, "roles");
    }
    for (size_t i = 0; i < t->role_count; i++) {
        roles[i] = t->roles[i].text;
    }
    ret->grant = seen_grant(c->state, p, v, t->issuer);
    ret->by = seen_by(t->issuer, ret->grant);
    ret->by.who.roles = roles;
    ret->by.who.role_count = t->role_count;
    return SF_OK;
}

/* --- the file --------------------------------------------------------------------------------- */

/* The table as it is seen, which may have no fields. */
static enum sf_code mask_table(struct hub_state *s, const struct registry_version *v,
                               const struct sf_table *t, const struct seen_by *by,
                               struct sf_arena *arena, struct sf_table *ret, struct sf_error *err)
{
    SF_CLEANUP(sf_policy_view_freep) struct sf_policy_view *view = NULL;
    const struct sf_table *masked;
    enum sf_code code = seen_table(s, v, t, by, &view, err);

    if (code != SF_OK) {
        return code;
    }
    masked = sf_mask_table(t, view->masks, arena);
    if (masked == NULL) {
        return SF_RAISE(err, SF_NOMEM, "table '%s'", t->name);
    }
    *ret = *masked;
    return SF_OK;
}

/* The product with the tables as they are seen; the policies that make them so are the owner's. */
static enum sf_code print_seen(struct hub_state *s, const struct registry_version *v,
                               const struct seen_by *by, struct sf_arena *arena, struct sf_buf *out,
                               struct sf_error *err)
{
    struct sf_product seen = *v->product;
    struct sf_table *tables = sf_arena_calloc(arena, seen.table_count, sizeof(*tables));
    size_t count = 0;

    if (tables == NULL) {
        return SF_RAISE(err, SF_NOMEM, "tables");
    }
    for (size_t i = 0; i < v->product->table_count; i++) {
        enum sf_code code =
            mask_table(s, v, &v->product->tables[i], by, arena, &tables[count], err);

        if (code != SF_OK) {
            return code;
        }
        count += tables[count].field_count > 0;
    }
    seen.policies = NULL;
    seen.policy_count = 0;
    seen.tables = tables;
    seen.table_count = count;
    if (count > 0) {
        sf_product_print(&seen, NULL, out);
    }
    return sf_buf_check(out, "product", err);
}

enum sf_code product_shown_print(struct call *c, const struct registry_product *p,
                                 const struct registry_version *v, struct sf_buf *out,
                                 struct sf_error *err)
{
    struct sf_arena arena;
    struct reader reader;
    enum sf_code code = reader_of(c, p, v, &reader, err);

    if (code == SF_OK && reader.all) {
        sf_buf_slice(out, v->yaml);
        return sf_buf_check(out, "product", err);
    }
    if (code == SF_OK) {
        sf_arena_init(&arena, 0);
        code = print_seen(c->state, v, &reader.by, &arena, out, err);
        sf_arena_done(&arena);
    }
    return code;
}

/* --- the tables ------------------------------------------------------------------------------- */

static void write_members(struct answer *a, const struct sf_field *f);

static void write_inner(struct answer *a, const struct sf_table *shape)
{
    sf_json_key(&a->json, "fields");
    sf_json_array_begin(&a->json);
    for (size_t i = 0; i < shape->field_count; i++) {
        sf_json_object_begin(&a->json);
        write_members(a, &shape->fields[i]);
        sf_json_object_end(&a->json);
    }
    sf_json_array_end(&a->json);
}

static void write_words(struct answer *a, const struct sf_field *f, enum sf_class class)
{
    sf_json_member_text(&a->json, "class", class == SF_CLASS_NONE ? NULL : sf_class_name(class));
    sf_json_member_text(&a->json, "description", f->description);
}

/* As deep as structs go. */
static void write_members(struct answer *a, const struct sf_field *f)
{
    char type[32];

    sf_field_type_text(f, type, sizeof(type));
    sf_json_member_text(&a->json, "name", f->name);
    sf_json_member_uint(&a->json, "number", f->number);
    sf_json_member_text(&a->json, "type", type);
    sf_json_member_bool(&a->json, "required", f->required);
    write_words(a, f, f->class);
    sf_json_member_text(&a->json, "unit", f->unit);
    if (sf_field_shape(f) != NULL) {
        write_inner(a, sf_field_shape(f));
    }
}

/* What can be asked for: of what class it is counts, also when only something inside it is. */
static void write_closed(struct answer *a, const struct sf_field *f)
{
    sf_json_member_text(&a->json, "name", f->name);
    write_words(a, f, sf_field_class(f));
}

static bool is_granted(const struct registry_grant *g, const char *column)
{
    for (size_t i = 0; i < g->column_count; i++) {
        if (strcmp(g->columns[i], column) == 0) {
            return true;
        }
    }
    return g->column_count == 0;
}

static void write_fields(struct answer *a, const struct reader *reader, const struct sf_table *t,
                         const struct sf_table *shown, const struct sf_policy_view *view)
{
    size_t at = 0;

    sf_json_key(&a->json, "fields");
    sf_json_array_begin(&a->json);
    for (size_t i = 0; i < t->field_count; i++) {
        const bool closed = view->masks[i].kind == SF_MASK_OMIT;

        sf_json_object_begin(&a->json);
        if (closed && !reader->all) {
            write_closed(a, &t->fields[i]);
        } else {
            write_members(a, &shown->fields[at++]);
        }
        sf_policy_field_write(view, i, reader->all ? SF_POLICY_FOR_OWNER : SF_POLICY_FOR_OTHERS,
                              &a->json);
        if (reader->grant != NULL) {
            sf_json_member_bool(&a->json, "granted",
                                !closed && is_granted(reader->grant, t->fields[i].name));
        }
        sf_json_object_end(&a->json);
    }
    sf_json_array_end(&a->json);
}

static void write_table(struct answer *a, const struct reader *reader, const struct sf_table *t,
                        const struct sf_table *shown, const struct sf_policy_view *view)
{
    sf_json_object_begin(&a->json);
    sf_json_member_text(&a->json, "name", shown->name);
    sf_json_member_text(&a->json, "kind", shown->kind == SF_TABLE_STATE ? "state" : "event");
    sf_json_key(&a->json, "key");
    sf_json_array_begin(&a->json);
    for (size_t i = 0; i < shown->key_count; i++) {
        sf_json_text(&a->json, shown->fields[shown->key[i]].name);
    }
    sf_json_array_end(&a->json);
    sf_json_member_text(&a->json, "description", shown->description);
    sf_policy_rows_write(view, reader->all ? SF_POLICY_FOR_OWNER : SF_POLICY_FOR_OTHERS, &a->json);
    write_fields(a, reader, t, shown, view);
    sf_json_object_end(&a->json);
}

/* What policies let through, also of columns that the grant has not: they can be asked for. */
static enum sf_code decide_table(struct call *c, const struct reader *reader,
                                 const struct registry_version *v, const struct sf_table *t,
                                 struct answer *a, struct sf_error *err)
{
    SF_CLEANUP(sf_policy_view_freep) struct sf_policy_view *view = NULL;
    const struct seen_by by = {.who = reader->by.who};
    const struct sf_table *shown = t;
    struct sf_arena arena;
    enum sf_code code = seen_table(c->state, v, t, &by, &view, err);

    if (code != SF_OK) {
        return code;
    }
    sf_arena_init(&arena, 0);
    if (!reader->all) {
        shown = sf_mask_table(t, view->masks, &arena);
    }
    if (shown == NULL) {
        code = SF_RAISE(err, SF_NOMEM, "table '%s'", t->name);
    } else {
        write_table(a, reader, t, shown, view);
    }
    sf_arena_done(&arena);
    return code;
}

enum sf_code product_shown_write(struct call *c, const struct registry_product *p,
                                 const struct registry_version *v, struct answer *a,
                                 struct sf_error *err)
{
    struct reader reader;
    enum sf_code code = reader_of(c, p, v, &reader, err);

    if (code != SF_OK) {
        return code;
    }
    sf_json_member_text(&a->json, "seen_by", reader.by.who.domain);
    sf_json_key(&a->json, "tables");
    sf_json_array_begin(&a->json);
    for (size_t i = 0; i < v->product->table_count && code == SF_OK; i++) {
        code = decide_table(c, &reader, v, &v->product->tables[i], a, err);
    }
    sf_json_array_end(&a->json);
    return code;
}
