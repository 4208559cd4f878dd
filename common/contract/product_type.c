/* The part of the product file reader that reads types. */
#include "common/contract/product_field.h"

#include <stdio.h>

#include "common/base/str.h"
#include "proto/errors.h"

static const char *const type_names[] = {"bool",   "int32",        "int64",  "float",
                                         "double", "decimal(p,s)", "string", "bytes",
                                         "date",   "timestamp",    "uuid"};

static void read_decimal(struct sf_product_reader *r, const struct sf_yaml_node *node,
                         struct sf_field *f)
{
    unsigned precision = 0;
    unsigned scale = 0;
    int used = 0;

    if (sscanf((const char *)node->text.data, "decimal(%3u,%3u)%n", &precision, &scale, &used) !=
            2 ||
        used != (int)node->text.size) {
        sf_issues_error(r->issues, node->place, SHEAF_E_BAD_VALUE,
                        "a decimal names its digits and how many of them stand behind the point: "
                        "decimal(12,2)");
    } else if (precision > SF_DECIMAL_NARROW_MAX && precision <= 38) {
        sf_issues_error(r->issues, node->place, SHEAF_E_BAD_VALUE,
                        "decimals of more than %d digits are not in this release",
                        SF_DECIMAL_NARROW_MAX);
    } else if (precision < 1 || precision > 38 || scale > precision) {
        sf_issues_error(r->issues, node->place, SHEAF_E_BAD_VALUE,
                        "a decimal has 1 to %d digits, and at most all of them behind the point",
                        SF_DECIMAL_NARROW_MAX);
    } else {
        f->type = SF_TYPE_DECIMAL;
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
        {"smallint", "int32"},     {"short", "int32"},
    };

    for (size_t i = 0; i < SF_COUNT(others); i++) {
        if (sf_slice_equal(name, sf_slice_text(others[i][0]))) {
            return others[i][1];
        }
    }
    return NULL;
}

void sf_product_read_type(struct sf_product_reader *r, const struct sf_yaml_node *node,
                          struct sf_field *f)
{
    const char *other;

    if (!sf_yaml_expect(r->issues, node, SF_YAML_SCALAR, "type")) {
        return;
    }
    if (sf_slice_starts_with(node->text, SF_LITERAL("decimal"))) {
        read_decimal(r, node, f);
        return;
    }
    if (sf_slice_starts_with(node->text, SF_LITERAL("list<")) ||
        sf_slice_equal(node->text, SF_LITERAL("struct")) ||
        sf_slice_equal(node->text, SF_LITERAL("json"))) {
        sf_issues_error(r->issues, node->place, SHEAF_E_BAD_VALUE,
                        "type '%.*s' is not in this release", SF_SLICE_ARG(node->text));
        return;
    }
    for (int type = SF_TYPE_BOOL; type <= SF_TYPE_UUID; type++) {
        if (sf_slice_equal(node->text, sf_slice_text(sf_type_name((enum sf_type)type)))) {
            f->type = (enum sf_type)type;
            return;
        }
    }
    other = type_by_other_name(node->text);
    sf_issues_error(r->issues, node->place, SHEAF_E_BAD_VALUE, "unknown type '%.*s'",
                    SF_SLICE_ARG(node->text));
    sf_issues_allowed(r->issues,
                      (struct sf_allowed){type_names, SF_COUNT(type_names),
                                          other != NULL ? sf_slice_text(other) : node->text});
}
