#include "leaf/query/describe.h"

#include "common/base/time.h"

/* As deep as structs go. */
static void write_field(struct sf_json_writer *w, const struct sf_field *f)
{
    const struct sf_table *shape = sf_field_shape(f);
    char type[32];

    sf_field_type_text(f, type, sizeof(type));
    sf_json_object_begin(w);
    sf_json_member_text(w, "name", f->name);
    sf_json_member_uint(w, "number", f->number);
    sf_json_member_text(w, "type", type);
    sf_json_member_bool(w, "required", f->required);
    sf_json_member_text(w, "class", sf_class_name(f->class));
    if (f->description != NULL) {
        sf_json_member_text(w, "description", f->description);
    }
    if (f->unit != NULL) {
        sf_json_member_text(w, "unit", f->unit);
    }
    if (shape != NULL) {
        sf_json_key(w, "fields");
        sf_json_array_begin(w);
        for (size_t i = 0; i < shape->field_count; i++) {
            write_field(w, &shape->fields[i]);
        }
        sf_json_array_end(w);
    }
    sf_json_object_end(w);
}

/* The table as it is seen; how many rows it has is told when all of them are. */
static void write_seen(struct sf_json_writer *w, const struct served_view *v)
{
    const struct store_head *head = store_lane_head(v->table->lane);
    const struct sf_table *t = v->seen;

    sf_json_object_begin(w);
    sf_json_member_text(w, "name", t->name);
    sf_json_member_text(w, "kind", t->kind == SF_TABLE_STATE ? "state" : "event");
    sf_json_key(w, "key");
    sf_json_array_begin(w);
    for (size_t i = 0; i < t->key_count; i++) {
        sf_json_text(w, t->fields[t->key[i]].name);
    }
    sf_json_array_end(w);
    sf_json_key(w, "position");
    sf_json_printf(w, "%u:%llu", head->epoch, (unsigned long long)head->seq);
    if (!served_view_has_filter(v)) {
        sf_json_member_uint(w, "rows", head->rows);
    }
    if (v->decision == NULL) {
        sf_json_member_uint(w, "quarantined", store_lane_held(v->table->lane).entries);
    } else {
        sf_json_member_text(w, "view", v->name);
    }
    sf_json_key(w, "fields");
    sf_json_array_begin(w);
    for (size_t i = 0; i < t->field_count; i++) {
        write_field(w, &t->fields[i]);
    }
    sf_json_array_end(w);
    sf_json_object_end(w);
}

/* Nothing, when a policy denies the table. */
static enum sf_code write_table(struct sf_json_writer *w, const struct serving_right *right,
                                const struct served_table *table, struct sf_error *err)
{
    SF_CLEANUP(served_view_unrefp) struct served_view *view = NULL;
    enum sf_code code =
        serving_view(right->serving, table, right->grant, &right->roles, &view, err);

    if (code == SF_OK) {
        write_seen(w, view);
    }
    return code == SF_DENIED ? SF_OK : code;
}

static void write_end_of_life(struct sf_json_writer *w, const struct sf_product *p)
{
    char day[SF_DATE_TEXT_SIZE];

    if (p->has_since) {
        (void)sf_date_format(p->since_days, day);
        sf_json_member_text(w, "deprecated_since", day);
    }
    if (p->has_sunset) {
        (void)sf_date_format(p->sunset_days, day);
        sf_json_member_text(w, "sunset", day);
    }
    if (p->successor != NULL) {
        sf_json_member_text(w, "successor", p->successor);
    }
    if (p->deprecation_note != NULL) {
        sf_json_member_text(w, "deprecation_note", p->deprecation_note);
    }
}

static enum sf_code write_members(struct sf_json_writer *w, const struct serving_right *right,
                                  struct sf_error *err)
{
    const struct sf_product *p = right->product->contract;
    enum sf_code code = SF_OK;

    sf_json_key(w, "product");
    sf_json_printf(w, "%s/%s", p->domain, p->name);
    sf_json_key(w, "version");
    sf_json_printf(w, "%u.%u.%u", p->version.major, p->version.minor, p->version.patch);
    sf_json_member_uint(w, "major", p->version.major);
    sf_json_member_text(w, "status", sf_status_name(p->status));
    write_end_of_life(w, p);
    sf_json_member_text(w, "owner", p->owner);
    sf_json_member_text(w, "description", p->description);
    if (right->grant != NULL) {
        sf_json_member_text(w, "grant", right->grant->id);
    }
    sf_json_key(w, "tables");
    sf_json_array_begin(w);
    for (size_t i = 0; code == SF_OK && i < right->product->table_count; i++) {
        code = write_table(w, right, &right->product->tables[i], err);
    }
    sf_json_array_end(w);
    return code;
}

enum sf_code query_describe_item(const struct serving_right *right, struct sf_json_writer *w,
                                 struct sf_error *err)
{
    enum sf_code code;

    sf_json_object_begin(w);
    code = write_members(w, right, err);
    sf_json_object_end(w);
    return code;
}

enum sf_code query_describe(const struct serving_right *right, struct sf_buf *out,
                            struct sf_error *err)
{
    struct sf_json_writer w = {.out = out};
    enum sf_code code;

    sf_json_object_begin(&w);
    sf_json_member_text(&w, "apiVersion", "sheaf/v1");
    sf_json_member_text(&w, "kind", "Product");
    code = write_members(&w, right, err);
    sf_json_object_end(&w);
    return code == SF_OK ? sf_buf_check(out, "description", err) : code;
}
