#include "common/contract/product_field.h"

#include <stdio.h>
#include <strings.h>

#include "common/base/time.h"
#include "common/contract/pattern.h"
#include "common/contract/validate.h"
#include "common/contract/value.h"
#include "proto/errors.h"

enum {
    TEXT_BYTES_MAX = 4096,
    ENUM_VALUES_MAX = 1000,
    TEXTS_MAX = 100,
    FIELD_NUMBER_MAX = 536870911,
    FIELD_NUMBER_TAKEN_FIRST = 19000, /* protobuf keeps these for itself */
    FIELD_NUMBER_TAKEN_LAST = 19999,
};

static const char *const field_keys[] = {
    "number",      "type",    "required",   "class",      "format",  "enum",   "min",
    "max",         "default", "min_length", "max_length", "pattern", "parse",  "source",
    "description", "unit",    "example",    "ref",        "tags",    "fields",
};

static const char *const type_names[] = {"bool",   "int32",        "int64",  "float",
                                         "double", "decimal(p,s)", "string", "bytes",
                                         "date",   "timestamp",    "uuid"};

static const char *const class_names[] = {"public",       "internal", "confidential",
                                          "pseudonymous", "pii",      "secret"};

static const char *const format_names[] = {"email", "uri", "hostname", "ipv4", "ipv6"};

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

/* --- the type --------------------------------------------------------------------------------- */

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

static void read_type(struct sf_product_reader *r, const struct sf_yaml_node *node,
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

/* --- rules ------------------------------------------------------------------------------------ */

static bool is_ordered(enum sf_type type)
{
    return type != SF_TYPE_BOOL && type != SF_TYPE_STRING && type != SF_TYPE_BYTES &&
           type != SF_TYPE_UUID;
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

static void read_parse(struct sf_product_reader *r, const struct sf_yaml_node *node,
                       struct sf_field *f)
{
    struct sf_time_parts parts = {0};
    const char *format = NULL;

    if (node == NULL) {
        return;
    }
    if (f->type != SF_TYPE_DATE && f->type != SF_TYPE_TIMESTAMP) {
        sf_issues_error(r->issues, node->key_place, SHEAF_E_BAD_VALUE,
                        "parse is for dates and timestamps, not for %s", sf_type_name(f->type));
        return;
    }
    sf_product_read_text(r, node, "parse", &format);
    if (format == NULL) {
        return;
    }
    if (!sf_time_format_is_valid(format, &parts)) {
        sf_issues_error(r->issues, node->place, SHEAF_E_BAD_VALUE,
                        "parse names a whole date, each part once, with %%Y %%y %%m %%d %%e %%b "
                        "%%j %%H %%I %%p %%M %%S %%f %%z");
    } else if (f->type == SF_TYPE_DATE && parts.time) {
        sf_issues_error(r->issues, node->place, SHEAF_E_BAD_VALUE,
                        "parse of a date must not read a time of day");
    } else {
        f->parse = format;
    }
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
    if (f->type == SF_TYPE_BOOL || f->type == SF_TYPE_FLOAT || f->type == SF_TYPE_DOUBLE) {
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

/* --- the rest --------------------------------------------------------------------------------- */

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

/* Everything whose meaning depends on the type; the order matters: defaults keep all other rules.
 */
static void read_rules(struct sf_product_reader *r, const struct sf_yaml_node *node,
                       struct sf_field *f)
{
    read_bounds(r, node, f);
    read_lengths(r, node, f);
    read_pattern(r, sf_yaml_get(node, "pattern"), f);
    read_format(r, sf_yaml_get(node, "format"), f);
    read_parse(r, sf_yaml_get(node, "parse"), f);
    read_enum(r, sf_yaml_get(node, "enum"), f);
    read_default(r, sf_yaml_get(node, "default"), f);
}

void sf_product_read_field(struct sf_product_reader *r, const struct sf_yaml_node *node,
                           struct sf_field *f)
{
    struct sf_slice name = sf_slice_text(node->key);
    const struct sf_yaml_node *n;

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
        read_type(r, n, f);
    }
    if (f->type == 0) {
        return; /* without a type no rule can be read */
    }
    if (sf_yaml_get(node, "fields") != NULL) {
        sf_issues_error(r->issues, sf_yaml_get(node, "fields")->key_place, SHEAF_E_BAD_VALUE,
                        "fields is for structs, which are not in this release");
    }
    read_rules(r, node, f);
}
