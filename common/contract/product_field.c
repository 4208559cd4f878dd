#include "common/contract/product_field.h"

#include "common/base/str.h"
#include "proto/errors.h"

enum {
    TEXT_BYTES_MAX = 4096,
    TEXTS_MAX = 100,
    FIELD_NUMBER_MAX = 536870911,
    FIELD_NUMBER_TAKEN_FIRST = 19000, /* protobuf keeps these for itself */
    FIELD_NUMBER_TAKEN_LAST = 19999,
};

static const char *const field_keys[] = {
    "number",      "type",     "required",   "class",      "format",  "enum",   "min",
    "max",         "default",  "min_length", "max_length", "pattern", "parse",  "source",
    "description", "unit",     "example",    "ref",        "tags",    "fields", "min_items",
    "max_items",   "reserved", "trim",       "case",       "missing",
};

static const char *const class_names[] = {"public",       "internal", "confidential",
                                          "pseudonymous", "pii",      "secret"};

void sf_product_read_text(struct sf_product_reader *r, const struct sf_yaml_node *node,
                          const char *what, const char **ret)
{
    const char *text = NULL;

    if (!sf_yaml_text(r->issues, node, what, &text)) {
        return;
    }
    if (node->text.size == 0 || node->text.size > TEXT_BYTES_MAX) {
        sf_issues_error(r->issues, node->place, SHEAF_E_BAD_VALUE, "%s must have 1 to %d bytes",
                        what, TEXT_BYTES_MAX);
        return;
    }
    text = sf_arena_strdup(r->arena, text);
    r->failed |= text == NULL;
    *ret = text;
}

void sf_product_read_texts(struct sf_product_reader *r, const struct sf_yaml_node *node,
                           const char *what, const char *const **ret, size_t *ret_count)
{
    const char **texts;
    size_t count = 0;

    if (!sf_yaml_expect(r->issues, node, SF_YAML_LIST, what)) {
        return;
    }
    if (node->count > TEXTS_MAX) {
        sf_issues_error(r->issues, node->place, SHEAF_E_BAD_VALUE, "%s has more than %d entries",
                        what, TEXTS_MAX);
        return;
    }
    texts = sf_arena_calloc(r->arena, node->count, sizeof(*texts));
    if (texts == NULL) {
        r->failed |= node->count > 0;
        return;
    }
    for (const struct sf_yaml_node *n = node->first; n != NULL; n = n->next) {
        sf_product_read_text(r, n, what, &texts[count]);
        for (size_t i = 0; i < count && texts[count] != NULL; i++) {
            if (texts[i] != NULL && strcmp(texts[i], texts[count]) == 0) {
                sf_issues_error(r->issues, n->place, SHEAF_E_DUPLICATE_KEY,
                                "'%s' stands twice in %s", texts[count], what);
            }
        }
        count++;
    }
    *ret = texts;
    *ret_count = count;
}

bool sf_product_read_number(struct sf_product_reader *r, const struct sf_yaml_node *node,
                            uint32_t *ret)
{
    uint32_t number = 0;

    if (!sf_yaml_u32(r->issues, node, "number", &number)) {
        return false;
    }
    if (number < 1 || number > FIELD_NUMBER_MAX) {
        sf_issues_error(r->issues, node->place, SHEAF_E_BAD_VALUE,
                        "a field number is between 1 and %d", FIELD_NUMBER_MAX);
        return false;
    }
    if (number >= FIELD_NUMBER_TAKEN_FIRST && number <= FIELD_NUMBER_TAKEN_LAST) {
        sf_issues_error(r->issues, node->place, SHEAF_E_BAD_VALUE,
                        "field numbers %d to %d belong to protobuf", FIELD_NUMBER_TAKEN_FIRST,
                        FIELD_NUMBER_TAKEN_LAST);
        return false;
    }
    *ret = number;
    return true;
}

/* --- a field ---------------------------------------------------------------------------------- */

/* Takes what stands before the first of @stops off *rest. */
static struct sf_slice take_part(struct sf_slice *rest, const char *stops)
{
    size_t size = 0;
    struct sf_slice part;

    while (size < rest->size &&
           (rest->data[size] == '\0' || strchr(stops, rest->data[size]) == NULL)) {
        size++;
    }
    part = sf_slice_of(rest->data, size);
    *rest = sf_slice_of(rest->data + size, rest->size - size);
    return part;
}

static bool take_byte(struct sf_slice *rest, uint8_t byte)
{
    bool there = rest->size > 0 && rest->data[0] == byte;

    if (there) {
        *rest = sf_slice_of(rest->data + 1, rest->size - 1);
    }
    return there;
}

bool sf_product_take_name(struct sf_slice *rest)
{
    uint64_t major = 0;

    if (!sf_name_is_product(take_part(rest, "/")) || !take_byte(rest, '/') ||
        !sf_name_is_product(take_part(rest, "@."))) {
        return false;
    }
    return !take_byte(rest, '@') || sf_parse_u64(take_part(rest, "."), &major) == SF_PARSE_OK;
}

/* domain/product[@major][.table].field */
static bool is_ref(struct sf_slice text)
{
    size_t names = 0;

    if (text.size == 0 || !sf_product_take_name(&text)) {
        return false;
    }
    for (; take_byte(&text, '.'); names++) {
        if (!sf_name_is_table(take_part(&text, "."))) {
            return false;
        }
    }
    return names == 1 || names == 2;
}

static void read_ref(struct sf_product_reader *r, const struct sf_yaml_node *node,
                     struct sf_field *f)
{
    if (node == NULL) {
        return;
    }
    sf_product_read_text(r, node, "ref", &f->ref);
    if (f->ref != NULL && !is_ref(sf_slice_text(f->ref))) {
        sf_issues_error(r->issues, node->place, SHEAF_E_BAD_REFERENCE,
                        "ref is DOMAIN/PRODUCT.FIELD or DOMAIN/PRODUCT.TABLE.FIELD, not '%s'",
                        f->ref);
    }
}

static void read_class(struct sf_product_reader *r, const struct sf_yaml_node *node,
                       struct sf_field *f)
{
    struct sf_allowed names = {class_names, SF_COUNT(class_names), {0}};
    size_t choice = 0;

    if (node != NULL && sf_yaml_choice(r->issues, node, &names, "class", &choice)) {
        f->class = (enum sf_class)(choice + 1);
    }
}

static void read_descriptions(struct sf_product_reader *r, const struct sf_yaml_node *node,
                              struct sf_field *f)
{
    const struct {
        const char *key;
        const char **ret;
    } texts[] = {
        {"source", &f->source},
        {"description", &f->description},
        {"unit", &f->unit},
        {"example", &f->example},
    };
    const struct sf_yaml_node *tags = sf_yaml_get(node, "tags");

    for (size_t i = 0; i < SF_COUNT(texts); i++) {
        const struct sf_yaml_node *n = sf_yaml_get(node, texts[i].key);

        if (n != NULL) {
            sf_product_read_text(r, n, texts[i].key, texts[i].ret);
        }
    }
    if (tags != NULL) {
        sf_product_read_texts(r, tags, "tags", &f->tags, &f->tag_count);
    }
}

static const struct sf_yaml_node *require_key(struct sf_product_reader *r,
                                              const struct sf_yaml_node *node, const char *key)
{
    const struct sf_yaml_node *n = sf_yaml_get(node, key);

    if (n == NULL) {
        sf_issues_error(r->issues, node->key_place, SHEAF_E_MISSING_KEY, "field '%s' has no %s",
                        node->key, key);
    }
    return n;
}

/* The fields of a struct; that other types have none. */
static void read_shape(struct sf_product_reader *r, const struct sf_yaml_node *node,
                       struct sf_field *f)
{
    static const char *const keys[] = {"fields", "reserved"};
    struct sf_table *shape;

    if (f->type != SF_TYPE_STRUCT) {
        for (size_t i = 0; i < SF_COUNT(keys); i++) {
            const struct sf_yaml_node *n = sf_yaml_get(node, keys[i]);

            if (n != NULL) {
                sf_issues_error(r->issues, n->key_place, SHEAF_E_BAD_VALUE,
                                "%s is for struct and list<struct>, not for %s", keys[i],
                                sf_type_name(f->type));
            }
        }
        return;
    }
    if (r->depth == SF_STRUCT_DEPTH_MAX) {
        sf_issues_error(r->issues, node->key_place, SHEAF_E_BAD_VALUE,
                        "more than %d structs inside each other", SF_STRUCT_DEPTH_MAX);
        return;
    }
    shape = sf_arena_calloc(r->arena, 1, sizeof(*shape));
    if (shape == NULL) {
        r->failed = true;
        return;
    }
    shape->name = f->name;
    shape->kind = SF_TABLE_EVENT;
    shape->event_time = -1;
    f->shape = shape;
    r->depth++;
    sf_product_read_fields(r, node, "struct", shape);
    r->depth--;
}

void sf_product_read_field(struct sf_product_reader *r, const struct sf_yaml_node *node,
                           struct sf_field *f)
{
    struct sf_slice name = sf_slice_text(node->key);
    const struct sf_yaml_node *n;
    struct sf_field *item = NULL;

    f->name = sf_arena_strdup(r->arena, node->key);
    r->failed |= f->name == NULL;
    if (!sf_name_is_table(name)) {
        sf_issues_error(r->issues, node->key_place, SHEAF_E_BAD_NAME,
                        "field name '%s' is not [a-z][a-z0-9_]*, at most 63 characters", node->key);
    }
    if (!sf_yaml_expect(r->issues, node, SF_YAML_MAP, "a field")) {
        return;
    }
    sf_yaml_check_keys(r->issues, node, field_keys, SF_COUNT(field_keys));
    n = require_key(r, node, "number");
    if (n != NULL && !sf_product_read_number(r, n, &f->number)) {
        f->number = 0;
    }
    n = sf_yaml_get(node, "required");
    if (n != NULL && !sf_yaml_bool(r->issues, n, "required", &f->required)) {
        f->required = false;
    }
    read_class(r, sf_yaml_get(node, "class"), f);
    read_ref(r, sf_yaml_get(node, "ref"), f);
    read_descriptions(r, node, f);
    n = require_key(r, node, "type");
    if (n != NULL) {
        item = sf_product_read_type(r, n, f);
    }
    if (item == NULL) {
        return; /* without a type no rule can be read */
    }
    read_shape(r, node, item);
    sf_product_read_rules(r, node, f, item);
}
