#include "common/contract/contract.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "common/contract/pattern.h"

/* The one thing that does not live in the arena. As deep as structs go. */
static void free_patterns(const struct sf_table *t)
{
    for (size_t i = 0; i < t->field_count; i++) {
        const struct sf_field *f = sf_field_item(&t->fields[i]);

        sf_pattern_free((struct sf_pattern *)(uintptr_t)f->pattern);
        if (f->shape != NULL) {
            free_patterns(f->shape);
        }
    }
}

void sf_product_free(struct sf_product *p)
{
    if (p == NULL) {
        return;
    }
    for (size_t t = 0; t < p->table_count; t++) {
        free_patterns(&p->tables[t]);
    }
    sf_arena_done(&p->arena);
    sf_free(p);
}

const struct sf_table *sf_product_table(const struct sf_product *p, const char *name)
{
    for (size_t i = 0; i < p->table_count; i++) {
        if (strcmp(p->tables[i].name, name) == 0) {
            return &p->tables[i];
        }
    }
    return NULL;
}

int32_t sf_table_field_index(const struct sf_table *t, struct sf_slice name)
{
    for (size_t i = 0; i < t->field_count; i++) {
        if (sf_slice_equal(sf_slice_text(t->fields[i].name), name)) {
            return (int32_t)i;
        }
    }
    return -1;
}

int32_t sf_table_field_by_number(const struct sf_table *t, uint32_t number)
{
    size_t low = 0;
    size_t high = t->field_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (t->fields[middle].number < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < t->field_count && t->fields[low].number == number ? (int32_t)low : -1;
}

const char *sf_type_name(enum sf_type type)
{
    switch (type) {
    case SF_TYPE_BOOL:
        return "bool";
    case SF_TYPE_INT32:
        return "int32";
    case SF_TYPE_INT64:
        return "int64";
    case SF_TYPE_FLOAT:
        return "float";
    case SF_TYPE_DOUBLE:
        return "double";
    case SF_TYPE_DECIMAL:
    case SF_TYPE_DECIMAL_WIDE:
        return "decimal";
    case SF_TYPE_STRING:
        return "string";
    case SF_TYPE_BYTES:
        return "bytes";
    case SF_TYPE_DATE:
        return "date";
    case SF_TYPE_TIMESTAMP:
        return "timestamp";
    case SF_TYPE_UUID:
        return "uuid";
    case SF_TYPE_JSON:
        return "json";
    case SF_TYPE_LIST:
        return "list";
    case SF_TYPE_STRUCT:
        return "struct";
    }
    return "";
}

const char *sf_class_name(enum sf_class class)
{
    static const char *const names[] = {"",    "public", "internal", "confidential", "pseudonymous",
                                        "pii", "secret"};

    return names[class];
}

const char *sf_format_name(enum sf_format format)
{
    static const char *const names[] = {"", "email", "uri", "hostname", "ipv4", "ipv6"};

    return names[format];
}

const char *sf_status_name(enum sf_status status)
{
    static const char *const names[] = {"draft", "active", "deprecated", "retired"};

    return names[status];
}

const char *sf_access_name(enum sf_access access)
{
    static const char *const names[] = {"request", "open", "closed"};

    return names[access];
}

const char *sf_compat_mode_name(enum sf_compat_mode mode)
{
    static const char *const names[SF_COMPAT_MODES] = {
        "full_transitive", "full", "backward_transitive", "backward", "forward_transitive",
        "forward",         "none",
    };

    return names[mode];
}

void sf_field_type_text(const struct sf_field *f, char *ret, size_t size)
{
    const struct sf_field *item = sf_field_item(f);
    const char *open = item == f ? "" : "list<";
    const char *close = item == f ? "" : ">";

    if (item->type == SF_TYPE_DECIMAL || item->type == SF_TYPE_DECIMAL_WIDE) {
        (void)snprintf(ret, size, "%sdecimal(%u,%u)%s", open, item->precision, item->scale, close);
    } else {
        (void)snprintf(ret, size, "%s%s%s", open, sf_type_name(item->type), close);
    }
}

bool sf_class_is_open(enum sf_class class)
{
    return class != SF_CLASS_PII && class != SF_CLASS_SECRET;
}

const struct sf_field *sf_field_item(const struct sf_field *f)
{
    return f->type == SF_TYPE_LIST ? f->item : f;
}

const struct sf_table *sf_field_shape(const struct sf_field *f)
{
    return sf_field_item(f)->shape;
}

enum sf_class sf_field_class(const struct sf_field *f)
{
    const struct sf_table *shape = sf_field_shape(f);
    enum sf_class strictest = f->class;

    for (size_t i = 0; shape != NULL && i < shape->field_count; i++) {
        enum sf_class inner = sf_field_class(&shape->fields[i]);

        strictest = inner > strictest ? inner : strictest;
    }
    return strictest;
}

bool sf_type_may_be_key(enum sf_type type)
{
    return type != SF_TYPE_FLOAT && type != SF_TYPE_DOUBLE && type != SF_TYPE_JSON &&
           sf_type_is_scalar(type);
}

bool sf_type_is_scalar(enum sf_type type)
{
    return type != SF_TYPE_LIST && type != SF_TYPE_STRUCT;
}

/* A letter, then letters, digits and @separator, at most @max characters. */
static bool is_name(struct sf_slice name, uint8_t separator, size_t max)
{
    if (name.size == 0 || name.size > max || name.data[0] < 'a' || name.data[0] > 'z') {
        return false;
    }
    for (size_t i = 1; i < name.size; i++) {
        uint8_t c = name.data[i];

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == separator)) {
            return false;
        }
    }
    return true;
}

bool sf_name_is_product(struct sf_slice name)
{
    return is_name(name, '-', 48);
}

bool sf_name_is_domain(struct sf_slice name)
{
    return sf_name_is_product(name) && !sf_slice_equal(name, SF_LITERAL("hub")) &&
           !sf_slice_equal(name, SF_LITERAL("platform"));
}

bool sf_name_is_table(struct sf_slice name)
{
    return is_name(name, '_', 63);
}
