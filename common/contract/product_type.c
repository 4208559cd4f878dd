/* The part of the product file reader that reads types. */
#include "common/contract/product_field.h"

#include <stdio.h>

#include "common/base/str.h"
#include "proto/errors.h"

static const char *const type_names[] = {"bool",         "int32",  "int64",  "float",  "double",
                                         "decimal(p,s)", "string", "bytes",  "date",   "timestamp",
                                         "uuid",         "json",   "struct", "list<T>"};

/* What a type text stands in. */
struct place {
    struct sf_product_reader *r;
    const struct sf_yaml_node *node;
};

static void read_decimal(const struct place *at, struct sf_slice text, struct sf_field *f)
{
    char copy[24] = "";
    unsigned precision = 0;
    unsigned scale = 0;
    int used = 0;

    if (text.size < sizeof(copy)) {
        memcpy(copy, text.data, text.size);
    }
    if (sscanf(copy, "decimal(%3u,%3u)%n", &precision, &scale, &used) != 2 ||
        used != (int)text.size) {
        sf_issues_error(at->r->issues, at->node->place, SHEAF_E_BAD_VALUE,
                        "a decimal names its digits and how many of them stand behind the point: "
                        "decimal(12,2)");
    } else if (precision < 1 || precision > SF_DECIMAL_DIGITS_MAX || scale > precision) {
        sf_issues_error(at->r->issues, at->node->place, SHEAF_E_BAD_VALUE,
                        "a decimal has 1 to %d digits, and at most all of them behind the point",
                        SF_DECIMAL_DIGITS_MAX);
    } else {
        f->type = precision <= SF_DECIMAL_NARROW_MAX ? SF_TYPE_DECIMAL : SF_TYPE_DECIMAL_WIDE;
        f->precision = (uint8_t)precision;
        f->scale = (uint8_t)scale;
    }
}

/* What other systems call our types. */
static const char *type_by_other_name(struct sf_slice name)
{
    static const char *const others[][2] = {
        {"int", "int64"},          {"integer", "int64"},  {"long", "int64"},
        {"bigint", "int64"},       {"boolean", "bool"},   {"text", "string"},
        {"varchar", "string"},     {"str", "string"},     {"number", "double"},
        {"real", "float"},         {"float32", "float"},  {"float64", "double"},
        {"datetime", "timestamp"}, {"time", "timestamp"}, {"timestamptz", "timestamp"},
        {"binary", "bytes"},       {"blob", "bytes"},     {"numeric", "decimal(p,s)"},
        {"smallint", "int32"},     {"short", "int32"},    {"object", "struct"},
        {"record", "struct"},      {"map", "json"},       {"jsonb", "json"},
        {"variant", "json"},       {"array", "list<T>"},  {"list", "list<T>"},
        {"repeated", "list<T>"},   {"row", "struct"},     {"any", "json"},
    };

    for (size_t i = 0; i < SF_COUNT(others); i++) {
        if (sf_slice_equal(name, sf_slice_text(others[i][0]))) {
            return others[i][1];
        }
    }
    return NULL;
}

/* Any type but a list. */
static void read_single(const struct place *at, struct sf_slice text, struct sf_field *f)
{
    const char *other;

    if (sf_slice_starts_with(text, SF_LITERAL("decimal"))) {
        read_decimal(at, text, f);
        return;
    }
    for (int type = SF_TYPE_BOOL; type <= SF_TYPE_STRUCT; type++) {
        if (type != SF_TYPE_LIST &&
            sf_slice_equal(text, sf_slice_text(sf_type_name((enum sf_type)type)))) {
            f->type = (enum sf_type)type;
            return;
        }
    }
    other = type_by_other_name(text);
    sf_issues_error(at->r->issues, at->node->place, SHEAF_E_BAD_VALUE, "unknown type '%.*s'",
                    SF_SLICE_ARG(text));
    sf_issues_allowed(at->r->issues,
                      (struct sf_allowed){type_names, SF_COUNT(type_names),
                                          other != NULL ? sf_slice_text(other) : text});
}

/* The type between < and >, which is neither a list nor json. */
static void read_item(const struct place *at, struct sf_slice text, struct sf_field *item)
{
    if (sf_slice_starts_with(text, SF_LITERAL("list"))) {
        sf_issues_error(at->r->issues, at->node->place, SHEAF_E_BAD_VALUE,
                        "a list of lists is not possible: make it a list<struct> whose struct has "
                        "the inner list, or json");
    } else if (sf_slice_equal(text, SF_LITERAL("json"))) {
        sf_issues_error(at->r->issues, at->node->place, SHEAF_E_BAD_VALUE,
                        "a list of json is not possible: json itself may be an array");
    } else {
        read_single(at, text, item);
    }
}

struct sf_field *sf_product_read_type(struct sf_product_reader *r, const struct sf_yaml_node *node,
                                      struct sf_field *f)
{
    struct place at = {r, node};
    struct sf_slice text;
    struct sf_field *item;

    if (!sf_yaml_expect(r->issues, node, SF_YAML_SCALAR, "type")) {
        return NULL;
    }
    text = node->text;
    if (!sf_slice_starts_with(text, SF_LITERAL("list<")) || text.data[text.size - 1] != '>') {
        read_single(&at, text, f);
        return f->type == 0 ? NULL : f;
    }
    item = sf_arena_calloc(r->arena, 1, sizeof(*item));
    if (item == NULL) {
        r->failed = true;
        return NULL;
    }
    item->number = f->number;
    item->name = f->name;
    read_item(&at, sf_slice_of(text.data + 5, text.size - 6), item);
    if (item->type == 0) {
        return NULL;
    }
    f->type = SF_TYPE_LIST;
    f->item = item;
    return item;
}
