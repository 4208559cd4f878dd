/* The part of the product file reader that reads what values of a field keep to. */
#include "common/contract/product_clean.h"

#include <strings.h>

#include "common/base/time.h"
#include "common/contract/pattern.h"
#include "common/contract/validate.h"
#include "common/contract/value.h"
#include "proto/errors.h"

enum { ENUM_VALUES_MAX = 1000 };

static const char *const format_names[] = {"email", "uri", "hostname", "ipv4", "ipv6"};

static bool is_ordered(enum sf_type type)
{
    return type != SF_TYPE_BOOL && type != SF_TYPE_STRING && type != SF_TYPE_BYTES &&
           type != SF_TYPE_UUID && type != SF_TYPE_JSON && type != SF_TYPE_STRUCT;
}

/* Some readers of YAML take NO, off or ~ for something else than text. */
static void warn_of_ambiguous_text(struct sf_product_reader *r, const struct sf_yaml_node *node)
{
    static const char *const words[] = {"y", "n", "yes", "no", "on", "off", "true", "false"};

    for (size_t i = 0; node->plain && i < SF_COUNT(words); i++) {
        if (strcasecmp((const char *)node->text.data, words[i]) == 0) {
            sf_issues_warning(r->issues, node->place,
                              "some YAML readers take %s for true or false: write \"%s\"",
                              (const char *)node->text.data, (const char *)node->text.data);
        }
    }
}

/* A value that stands in the contract itself: dates in ISO form, whatever f->parse says. */
static bool read_value(struct sf_product_reader *r, const struct sf_yaml_node *node,
                       const struct sf_field *f, const char *what, struct sf_value *ret)
{
    struct sf_field iso = *f;
    struct sf_slice text;
    enum sf_parse parsed;
    char type[24];

    if (!sf_yaml_expect(r->issues, node, SF_YAML_SCALAR, what)) {
        return false;
    }
    iso.parse = NULL;
    text = sf_arena_slice(r->arena, node->text);
    if (text.data == NULL && node->text.size > 0) {
        r->failed = true;
        return false;
    }
    parsed = sf_value_parse(&iso, text, r->arena, ret);
    if (parsed == SF_PARSE_OK) {
        if (f->type == SF_TYPE_STRING) {
            warn_of_ambiguous_text(r, node);
        }
        return true;
    }
    sf_field_type_text(f, type, sizeof(type));
    sf_issues_error(r->issues, node->place, SHEAF_E_BAD_VALUE, "%s '%.*s' %s %s", what,
                    SF_SLICE_ARG(node->text),
                    parsed == SF_PARSE_SYNTAX  ? "is not a valid"
                    : parsed == SF_PARSE_RANGE ? "is out of the range of"
                                               : "has more digits than",
                    type);
    return false;
}

static void read_bound(struct sf_product_reader *r, const struct sf_yaml_node *node,
                       const struct sf_field *f, const char *what, struct sf_value *ret)
{
    if (node == NULL) {
        return;
    }
    if (!is_ordered(f->type)) {
        sf_issues_error(r->issues, node->key_place, SHEAF_E_BAD_VALUE,
                        "%s is for numbers, dates and timestamps, not for %s", what,
                        sf_type_name(f->type));
        return;
    }
    (void)read_value(r, node, f, what, ret); /* what is wrong is among the issues */
}

static void read_bounds(struct sf_product_reader *r, const struct sf_yaml_node *node,
                        struct sf_field *f)
{
    const struct sf_yaml_node *max = sf_yaml_get(node, "max");

    read_bound(r, sf_yaml_get(node, "min"), f, "min", &f->min);
    read_bound(r, max, f, "max", &f->max);
    if (f->min.present && f->max.present && sf_value_compare(f->type, &f->min, &f->max) > 0) {
        sf_issues_error(r->issues, max->place, SHEAF_E_BAD_VALUE, "max is less than min");
    }
}

static void read_length(struct sf_product_reader *r, const struct sf_yaml_node *node,
                        const struct sf_field *f, const char *what, uint32_t *ret)
{
    uint32_t length = 0;

    if (node == NULL) {
        return;
    }
    if (f->type != SF_TYPE_STRING && f->type != SF_TYPE_BYTES) {
        sf_issues_error(r->issues, node->key_place, SHEAF_E_BAD_VALUE,
                        "%s is for strings and bytes, not for %s", what, sf_type_name(f->type));
        return;
    }
    if (!sf_yaml_u32(r->issues, node, what, &length)) {
        return;
    }
    if (length < 1 || length > SF_ROW_BYTES_MAX) {
        sf_issues_error(r->issues, node->place, SHEAF_E_BAD_VALUE, "%s is between 1 and %d", what,
                        SF_ROW_BYTES_MAX);
        return;
    }
    *ret = length;
}

static void read_lengths(struct sf_product_reader *r, const struct sf_yaml_node *node,
                         struct sf_field *f)
{
    const struct sf_yaml_node *max = sf_yaml_get(node, "max_length");

    read_length(r, sf_yaml_get(node, "min_length"), f, "min_length", &f->min_length);
    read_length(r, max, f, "max_length", &f->max_length);
    if (f->max_length > 0 && f->min_length > f->max_length) {
        sf_issues_error(r->issues, max->place, SHEAF_E_BAD_VALUE,
                        "max_length is less than min_length");
    }
}

static void read_pattern(struct sf_product_reader *r, const struct sf_yaml_node *node,
                         struct sf_field *f)
{
    struct sf_pattern *pattern = NULL;
    struct sf_error err;
    enum sf_code code;

    if (node == NULL) {
        return;
    }
    if (f->type != SF_TYPE_STRING) {
        sf_issues_error(r->issues, node->key_place, SHEAF_E_BAD_VALUE,
                        "pattern is for strings, not for %s", sf_type_name(f->type));
        return;
    }
    sf_product_read_text(r, node, "pattern", &f->pattern_text);
    if (f->pattern_text == NULL) {
        return;
    }
    code = sf_pattern_new(sf_slice_text(f->pattern_text), &pattern, &err);
    f->pattern = pattern;
    if (code == SF_NOMEM) {
        r->failed = true;
    } else if (code != SF_OK) {
        sf_issues_error(r->issues, node->place, SHEAF_E_BAD_VALUE, "%s", err.text);
    }
}

static void read_format(struct sf_product_reader *r, const struct sf_yaml_node *node,
                        struct sf_field *f)
{
    struct sf_allowed names = {format_names, SF_COUNT(format_names), {0}};
    size_t choice = 0;

    if (node == NULL || !sf_yaml_choice(r->issues, node, &names, "format", &choice)) {
        return;
    }
    if (f->type != SF_TYPE_STRING) {
        sf_issues_error(r->issues, node->key_place, SHEAF_E_BAD_VALUE,
                        "format is for strings, not for %s", sf_type_name(f->type));
        return;
    }
    f->format = (enum sf_format)(choice + 1);
}

/* Rules but the enum itself hold for each of its values, or the value could never be sent. */
static void check_enum_value(struct sf_product_reader *r, const struct sf_yaml_node *node,
                             const struct sf_field *f, const struct sf_value *values, size_t at)
{
    enum sf_rule broken = sf_field_check(f, &values[at]);

    for (size_t i = 0; i < at; i++) {
        if (sf_value_compare(f->type, &values[i], &values[at]) == 0) {
            sf_issues_error(r->issues, node->place, SHEAF_E_DUPLICATE_KEY,
                            "'%.*s' stands twice in enum", SF_SLICE_ARG(node->text));
            return;
        }
    }
    if (broken != SF_RULE_NONE) {
        sf_issues_error(r->issues, node->place, SHEAF_E_BAD_VALUE,
                        "enum value '%.*s' breaks the rule '%s' of the same field",
                        SF_SLICE_ARG(node->text), sf_rule_name(broken));
    }
}

static void read_enum(struct sf_product_reader *r, const struct sf_yaml_node *node,
                      struct sf_field *f)
{
    struct sf_value *values;
    size_t count = 0;

    if (node == NULL || !sf_yaml_expect(r->issues, node, SF_YAML_LIST, "enum")) {
        return;
    }
    if (node->count == 0 || node->count > ENUM_VALUES_MAX) {
        sf_issues_error(r->issues, node->place, SHEAF_E_BAD_VALUE, "enum has 1 to %d values",
                        ENUM_VALUES_MAX);
        return;
    }
    if (f->type == SF_TYPE_BOOL || f->type == SF_TYPE_FLOAT || f->type == SF_TYPE_DOUBLE ||
        f->type == SF_TYPE_JSON || f->type == SF_TYPE_STRUCT) {
        sf_issues_error(r->issues, node->key_place, SHEAF_E_BAD_VALUE, "enum is not for %s",
                        sf_type_name(f->type));
        return;
    }
    values = sf_arena_calloc(r->arena, node->count, sizeof(*values));
    if (values == NULL) {
        r->failed = true;
        return;
    }
    for (const struct sf_yaml_node *n = node->first; n != NULL; n = n->next) {
        if (read_value(r, n, f, "enum value", &values[count])) {
            check_enum_value(r, n, f, values, count);
            count++;
        }
    }
    f->enum_values = values;
    f->enum_count = count;
}

static void read_default(struct sf_product_reader *r, const struct sf_yaml_node *node,
                         struct sf_field *f)
{
    enum sf_rule broken;

    if (node == NULL || !read_value(r, node, f, "default", &f->default_value)) {
        return;
    }
    broken = sf_field_check(f, &f->default_value);
    if (broken != SF_RULE_NONE) {
        sf_issues_error(r->issues, node->place, SHEAF_E_BAD_VALUE,
                        "default '%.*s' breaks the rule '%s' of the same field",
                        SF_SLICE_ARG(node->text), sf_rule_name(broken));
    }
}

/* How many elements a list has. */
static void read_items(struct sf_product_reader *r, const struct sf_yaml_node *node,
                       const struct sf_field *f, const char *what, uint32_t *ret)
{
    uint32_t count = 0;

    if (node == NULL) {
        return;
    }
    if (f->type != SF_TYPE_LIST) {
        sf_issues_error(r->issues, node->key_place, SHEAF_E_BAD_VALUE,
                        "%s is for lists, not for %s", what, sf_type_name(f->type));
        return;
    }
    if (!sf_yaml_u32(r->issues, node, what, &count)) {
        return;
    }
    if (count < 1 || count > SF_LIST_ITEMS_MAX) {
        sf_issues_error(r->issues, node->place, SHEAF_E_BAD_VALUE, "%s is between 1 and %d", what,
                        SF_LIST_ITEMS_MAX);
        return;
    }
    *ret = count;
}

static void read_items_range(struct sf_product_reader *r, const struct sf_yaml_node *node,
                             struct sf_field *f)
{
    const struct sf_yaml_node *max = sf_yaml_get(node, "max_items");

    read_items(r, sf_yaml_get(node, "min_items"), f, "min_items", &f->min_items);
    read_items(r, max, f, "max_items", &f->max_items);
    if (f->max_items > 0 && f->min_items > f->max_items) {
        sf_issues_error(r->issues, max->place, SHEAF_E_BAD_VALUE,
                        "max_items is less than min_items");
    }
}

/* A list that is not given is empty, and nothing else has a value to write here. */
static bool may_have_default(struct sf_product_reader *r, const struct sf_yaml_node *node,
                             const struct sf_field *f)
{
    if (node == NULL || (f->type != SF_TYPE_JSON && sf_type_is_scalar(f->type))) {
        return true;
    }
    sf_issues_error(r->issues, node->key_place, SHEAF_E_BAD_VALUE, "default is not for %s",
                    sf_type_name(f->type));
    return false;
}

/* Everything whose meaning depends on the type; the order matters: defaults keep all other rules.
 */
void sf_product_read_rules(struct sf_product_reader *r, const struct sf_yaml_node *node,
                           struct sf_field *f, struct sf_field *item)
{
    const struct sf_yaml_node *value = sf_yaml_get(node, "default");

    read_bounds(r, node, item);
    read_lengths(r, node, item);
    read_items_range(r, node, f);
    read_pattern(r, sf_yaml_get(node, "pattern"), item);
    read_format(r, sf_yaml_get(node, "format"), item);
    read_enum(r, sf_yaml_get(node, "enum"), item);
    if (may_have_default(r, value, f)) {
        read_default(r, value, f);
    }
    sf_product_read_clean(r, node, f, item);
}
