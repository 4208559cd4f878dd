/* The part of the product file reader that reads the fields of a table and what is reserved. */
#include "common/base/map.h"
#include "common/contract/product_field.h"
#include "proto/errors.h"

struct fields_reader {
    struct sf_product_reader *r;
    const struct sf_yaml_node *node; /* of the table */
    const char *what;                /* it is */
    struct sf_table *table;
    struct sf_field *fields;            /* of the table, while they may still change */
    const struct sf_yaml_node **places; /* where each field stands */
};

/* Insertion sort by number: files are nearly always in order. */
static void sort_fields(struct fields_reader *t)
{
    for (size_t i = 1; i < t->table->field_count; i++) {
        struct sf_field field = t->fields[i];
        const struct sf_yaml_node *place = t->places[i];
        size_t at = i;

        for (; at > 0 && t->fields[at - 1].number > field.number; at--) {
            t->fields[at] = t->fields[at - 1];
            t->places[at] = t->places[at - 1];
        }
        t->fields[at] = field;
        t->places[at] = place;
    }
}

static void check_numbers(struct fields_reader *t)
{
    struct sf_issues *issues = t->r->issues;

    for (size_t i = 0; i < t->table->field_count; i++) {
        const struct sf_field *f = &t->fields[i];
        struct sf_place place;

        if (f->number == 0) {
            continue; /* said already */
        }
        place = sf_yaml_get(t->places[i], "number")->place;
        if (i > 0 && t->fields[i - 1].number == f->number) {
            sf_issues_error(issues, place, SHEAF_E_DUPLICATE_KEY,
                            "number %u belongs to field '%s' already", f->number,
                            t->fields[i - 1].name);
        }
        for (size_t k = 0; k < t->table->reserved_count; k++) {
            if (t->table->reserved[k] == f->number) {
                sf_issues_error(issues, place, SHEAF_E_BAD_VALUE,
                                "number %u is reserved: it once meant another field", f->number);
            }
        }
        for (size_t k = 0; k < t->table->reserved_name_count; k++) {
            if (strcmp(t->table->reserved_names[k], f->name) == 0) {
                sf_issues_error(issues, t->places[i]->key_place, SHEAF_E_BAD_VALUE,
                                "'%s' is reserved: it once meant another field", f->name);
            }
        }
    }
}

/* A name of the input leads to one field only. */
static void check_sources(struct fields_reader *t)
{
    struct sf_map owners = {0};

    for (size_t i = 0; i < t->table->field_count; i++) {
        t->r->failed |=
            sf_map_put(&owners, sf_slice_text(t->fields[i].name), &t->fields[i]) != SF_OK;
    }
    for (size_t i = 0; i < t->table->field_count && !t->r->failed; i++) {
        struct sf_field *f = &t->fields[i];
        struct sf_field *owner;

        if (f->source == NULL) {
            continue;
        }
        owner = sf_map_get(&owners, f->source);
        if (owner != NULL && owner != f) {
            sf_issues_error(t->r->issues, sf_yaml_get(t->places[i], "source")->place,
                            SHEAF_E_DUPLICATE_KEY, "source '%s' belongs to field '%s' already",
                            f->source, owner->name);
        }
        t->r->failed |= sf_map_put(&owners, sf_slice_text(f->source), f) != SF_OK;
    }
    sf_map_done(&owners);
}

static void read_fields(struct fields_reader *t)
{
    const struct sf_yaml_node *fields = sf_yaml_get(t->node, "fields");

    if (fields == NULL) {
        sf_issues_error(t->r->issues, t->node->key_place, SHEAF_E_MISSING_KEY,
                        "%s '%s' has no fields", t->what, t->node->key);
        return;
    }
    if (!sf_yaml_expect(t->r->issues, fields, SF_YAML_MAP, "fields")) {
        return;
    }
    if (fields->count == 0 || fields->count > SF_FIELDS_MAX) {
        sf_issues_error(t->r->issues, fields->place, SHEAF_E_BAD_VALUE, "a %s has 1 to %d fields",
                        t->what, SF_FIELDS_MAX);
        return;
    }
    t->r->field_count += fields->count;
    if (t->r->field_count > SF_FIELDS_MAX) {
        sf_issues_error(t->r->issues, fields->place, SHEAF_E_BAD_VALUE,
                        "a table has at most %d fields, those of its structs counted too",
                        SF_FIELDS_MAX);
        return;
    }
    t->fields = sf_arena_calloc(t->r->arena, fields->count, sizeof(*t->fields));
    t->places = (const struct sf_yaml_node **)sf_arena_calloc(t->r->arena, fields->count,
                                                              sizeof(struct sf_yaml_node *));
    if (t->fields == NULL || t->places == NULL) {
        t->r->failed = true;
        return;
    }
    t->table->fields = t->fields; /* from here on sf_product_free() finds the patterns */
    for (const struct sf_yaml_node *n = fields->first; n != NULL && !t->r->failed; n = n->next) {
        t->places[t->table->field_count] = n;
        sf_product_read_field(t->r, n, &t->fields[t->table->field_count++]);
    }
    if (!t->r->failed) {
        sort_fields(t);
        check_numbers(t);
        check_sources(t);
    }
}

static void reserve_number(struct fields_reader *t, const struct sf_yaml_node *n, uint32_t *numbers)
{
    const size_t count = t->table->reserved_count;

    if (!sf_product_read_number(t->r, n, &numbers[count])) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (numbers[i] == numbers[count]) {
            sf_issues_error(t->r->issues, n->place, SHEAF_E_DUPLICATE_KEY,
                            "%u stands twice in reserved", numbers[i]);
        }
    }
    t->table->reserved_count++;
}

static void reserve_name(struct fields_reader *t, const struct sf_yaml_node *n, const char **names)
{
    const size_t count = t->table->reserved_name_count;

    if (!sf_yaml_text(t->r->issues, n, "reserved", &names[count])) {
        return;
    }
    names[count] = sf_arena_strdup(t->r->arena, names[count]);
    if (names[count] == NULL) {
        t->r->failed = true;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], names[count]) == 0) {
            sf_issues_error(t->r->issues, n->place, SHEAF_E_DUPLICATE_KEY,
                            "'%s' stands twice in reserved", names[i]);
        }
    }
    t->table->reserved_name_count++;
}

/* Numbers, and names, which do not begin with a digit. */
static void read_reserved(struct fields_reader *t)
{
    const struct sf_yaml_node *node = sf_yaml_get(t->node, "reserved");
    uint32_t *numbers;
    const char **names;

    if (node == NULL || !sf_yaml_expect(t->r->issues, node, SF_YAML_LIST, "reserved")) {
        return;
    }
    if (node->count > 2 * SF_FIELDS_MAX) {
        sf_issues_error(t->r->issues, node->place, SHEAF_E_BAD_VALUE,
                        "reserved has more than %d numbers and names", 2 * SF_FIELDS_MAX);
        return;
    }
    numbers = sf_arena_calloc(t->r->arena, node->count, sizeof(*numbers));
    names = (const char **)sf_arena_calloc(t->r->arena, node->count, sizeof(*names));
    if (numbers == NULL || names == NULL) {
        t->r->failed = true;
        return;
    }
    t->table->reserved = numbers;
    t->table->reserved_names = names;
    for (const struct sf_yaml_node *n = node->first; n != NULL; n = n->next) {
        if (n->kind == SF_YAML_SCALAR && sf_name_is_table(n->text)) {
            reserve_name(t, n, names);
        } else {
            reserve_number(t, n, numbers);
        }
    }
}

void sf_product_read_fields(struct sf_product_reader *r, const struct sf_yaml_node *node,
                            const char *what, struct sf_table *table)
{
    struct fields_reader t = {.r = r, .node = node, .what = what, .table = table};

    read_reserved(&t);
    read_fields(&t);
}
