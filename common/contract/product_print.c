#include "common/contract/product_print.h"

#include <strings.h>

#include "common/base/str.h"
#include "common/base/time.h"
#include "common/base/utf8.h"
#include "common/contract/check.h"
#include "common/contract/clean.h"
#include "common/contract/value.h"

enum { NAME_COLUMN_MAX = 24 };

/* --- scalars ---------------------------------------------------------------------------------- */

/* Text that every reader of YAML, old or new, takes for this text without quotes. */
static bool is_plain(struct sf_slice text)
{
    static const char *const words[] = {"y",   "n",    "yes",   "no",  "on",
                                        "off", "true", "false", "null"};
    bool letter = text.size > 0 && ((text.data[0] >= 'a' && text.data[0] <= 'z') ||
                                    (text.data[0] >= 'A' && text.data[0] <= 'Z'));

    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              (c != '\0' && strchr(" _./@-", c) != NULL))) {
            return false;
        }
    }
    for (size_t i = 0; i < SF_COUNT(words); i++) {
        if (text.size == strlen(words[i]) &&
            strncasecmp((const char *)text.data, words[i], text.size) == 0) {
            return false;
        }
    }
    return letter && text.data[text.size - 1] != ' ';
}

static uint32_t code_point(const uint8_t *p, size_t size)
{
    static const uint8_t lead_mask[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t code = p[0] & lead_mask[size];

    for (size_t i = 1; i < size; i++) {
        code = code << 6 | (p[i] & 0x3fu);
    }
    return code;
}

/* Control characters, and those that some readers take for a line end or a byte order mark. */
static bool needs_escape(uint32_t code)
{
    return code < ' ' || (code >= 0x7f && code <= 0xa0) || code == 0x2028 || code == 0x2029 ||
           code == 0xfeff || code == 0xfffe || code == 0xffff;
}

void sf_product_print_quoted(struct sf_slice text, struct sf_buf *out)
{
    sf_buf_byte(out, '"');
    while (text.size > 0) {
        size_t size = sf_utf8_char_size(text);
        uint32_t code = size == 0 ? 0xfffd : code_point(text.data, size);

        if (code == '"' || code == '\\') {
            sf_buf_printf(out, "\\%c", (char)code);
        } else if (code == '\n') {
            sf_buf_text(out, "\\n");
        } else if (needs_escape(code)) {
            sf_buf_printf(out, "\\u%04x", code);
        } else if (size == 0) {
            sf_buf_text(out, "\\ufffd");
        } else {
            sf_buf_append(out, text.data, size);
        }
        size += size == 0;
        text = sf_slice_of(text.data + size, text.size - size);
    }
    sf_buf_byte(out, '"');
}

static void put_text(const char *text, struct sf_buf *out)
{
    if (is_plain(sf_slice_text(text))) {
        sf_buf_text(out, text);
    } else {
        sf_product_print_quoted(sf_slice_text(text), out);
    }
}

static void put_texts(const char *const *texts, size_t count, struct sf_buf *out)
{
    sf_buf_byte(out, '[');
    for (size_t i = 0; i < count; i++) {
        sf_buf_text(out, i == 0 ? "" : ", ");
        put_text(texts[i], out);
    }
    sf_buf_byte(out, ']');
}

/* Numbers and booleans stand as they are, everything else in quotes. */
static void put_value(const struct sf_field *f, const struct sf_value *v, struct sf_buf *out)
{
    bool quoted = f->type == SF_TYPE_STRING || f->type == SF_TYPE_BYTES ||
                  f->type == SF_TYPE_DATE || f->type == SF_TYPE_TIMESTAMP ||
                  f->type == SF_TYPE_UUID;

    if (f->type == SF_TYPE_STRING) {
        sf_product_print_quoted(v->s, out);
        return;
    }
    sf_buf_text(out, quoted ? "\"" : "");
    sf_value_format(f, v, out);
    sf_buf_text(out, quoted ? "\"" : "");
}

/* --- fields ----------------------------------------------------------------------------------- */

static void put_field_text(const char *key, const char *text, struct sf_buf *out)
{
    if (text != NULL) {
        sf_buf_printf(out, ", %s: ", key);
        put_text(text, out);
    }
}

static void put_field_value(const char *key, const struct sf_field *f, const struct sf_value *v,
                            struct sf_buf *out)
{
    if (v->present) {
        sf_buf_printf(out, ", %s: ", key);
        put_value(f, v, out);
    }
}

static void put_missing(const struct sf_clean *c, struct sf_buf *out)
{
    static const char *const as[] = {
        [SF_MISSING_NULL] = ", as: \"null\"}", [SF_MISSING_REFUSE] = ", as: refuse}"};
    const bool is_map = c->missing != SF_MISSING_DEFAULT;

    sf_buf_text(out, is_map ? ", missing: {texts: [" : ", missing: [");
    for (size_t i = 0; i < c->missing_count; i++) {
        sf_buf_text(out, i == 0 ? "" : ", ");
        sf_product_print_quoted(sf_slice_text(c->missing_texts[i]), out);
    }
    sf_buf_byte(out, ']');
    sf_buf_text(out, is_map ? as[c->missing] : "");
}

static void put_clean(const struct sf_clean *c, struct sf_buf *out)
{
    sf_buf_text(out, c->trim ? ", trim: true" : "");
    sf_buf_text(out, c->letters == SF_CASE_LOWER   ? ", case: lower"
                     : c->letters == SF_CASE_UPPER ? ", case: upper"
                                                   : "");
    if (c->missing_count > 0) {
        put_missing(c, out);
    }
    if (c->number_style != SF_NUMBER_PLAIN) {
        put_field_text("parse", sf_number_style_text(c->number_style), out);
    }
    if (c->format_count == 1) {
        put_field_text("parse", c->formats[0], out);
    } else if (c->format_count > 1) {
        sf_buf_text(out, ", parse: ");
        put_texts(c->formats, c->format_count, out);
    }
}

/* Of a list: those of its elements, as the file has them in one place. */
static void put_rules(const struct sf_field *field, struct sf_buf *out)
{
    const struct sf_field *f = sf_field_item(field);

    if (f->format != SF_FORMAT_NONE) {
        sf_buf_printf(out, ", format: %s", sf_format_name(f->format));
    }
    if (f->enum_count > 0) {
        sf_buf_text(out, ", enum: [");
        for (size_t i = 0; i < f->enum_count; i++) {
            sf_buf_text(out, i == 0 ? "" : ", ");
            put_value(f, &f->enum_values[i], out);
        }
        sf_buf_byte(out, ']');
    }
    put_field_value("min", f, &f->min, out);
    put_field_value("max", f, &f->max, out);
    if (f->min_length > 0) {
        sf_buf_printf(out, ", min_length: %u", f->min_length);
    }
    if (f->max_length > 0) {
        sf_buf_printf(out, ", max_length: %u", f->max_length);
    }
    put_field_text("pattern", f->pattern_text, out);
    if (field->min_items > 0) {
        sf_buf_printf(out, ", min_items: %u", field->min_items);
    }
    if (field->max_items > 0) {
        sf_buf_printf(out, ", max_items: %u", field->max_items);
    }
    put_field_value("default", field, &field->default_value, out);
    put_field_text("parse", f->parse, out);
    if (f->clean != NULL) {
        put_clean(f->clean, out);
    }
}

static void put_field(const struct sf_field *f, struct sf_buf *out);

/* Numbers, then names. */
static void put_reserved(const struct sf_table *t, const char *before, const char *behind,
                         struct sf_buf *out)
{
    for (size_t i = 0; i < t->reserved_count; i++) {
        sf_buf_printf(out, "%s%u", i == 0 ? before : ", ", t->reserved[i]);
    }
    for (size_t i = 0; i < t->reserved_name_count; i++) {
        sf_buf_text(out, i + t->reserved_count == 0 ? before : ", ");
        put_text(t->reserved_names[i], out);
    }
    if (t->reserved_count + t->reserved_name_count > 0) {
        sf_buf_text(out, behind);
    }
}

/* The fields of a struct, on the same line. As deep as structs go. */
static void put_shape(const struct sf_table *shape, struct sf_buf *out)
{
    put_reserved(shape, ", reserved: [", "]", out);
    sf_buf_text(out, ", fields: {");
    for (size_t i = 0; i < shape->field_count; i++) {
        sf_buf_text(out, i == 0 ? "" : ", ");
        put_text(shape->fields[i].name, out);
        sf_buf_text(out, ": ");
        put_field(&shape->fields[i], out);
    }
    sf_buf_byte(out, '}');
}

static void put_field(const struct sf_field *f, struct sf_buf *out)
{
    char type[24];

    sf_field_type_text(f, type, sizeof(type));
    sf_buf_printf(out, "{number: %u, type: ", f->number);
    put_text(type, out);
    sf_buf_text(out, f->required ? ", required: true" : "");
    if (f->class != SF_CLASS_NONE) {
        sf_buf_printf(out, ", class: %s", sf_class_name(f->class));
    }
    put_rules(f, out);
    put_field_text("source", f->source, out);
    put_field_text("unit", f->unit, out);
    put_field_text("example", f->example, out);
    put_field_text("ref", f->ref, out);
    put_field_text("description", f->description, out);
    if (f->tag_count > 0) {
        sf_buf_text(out, ", tags: ");
        put_texts(f->tags, f->tag_count, out);
    }
    if (sf_field_shape(f) != NULL) {
        put_shape(sf_field_shape(f), out);
    }
    sf_buf_byte(out, '}');
}

/* Field names, so that the maps behind them stand below each other. */
static void put_padded_name(const struct sf_table *t, const char *name, struct sf_buf *out)
{
    size_t column = 0;
    size_t start;

    for (size_t i = 0; i < t->field_count; i++) {
        size_t size = strlen(t->fields[i].name);

        column = size > column && size <= NAME_COLUMN_MAX ? size : column;
    }
    sf_buf_text(out, "      ");
    start = out->size;
    put_text(name, out);
    sf_buf_text(out, ": ");
    while (out->failed == SF_OK && out->size - start < column + 2) {
        sf_buf_byte(out, ' ');
    }
}

static void put_dedupe(const struct sf_table *t, struct sf_buf *out)
{
    char within[SF_DURATION_TEXT_SIZE];

    if (t->dedupe != SF_DEDUPE_NONE) {
        sf_buf_text(out, t->dedupe == SF_DEDUPE_CONTENT ? "    dedupe: {by: content"
                         : t->dedupe == SF_DEDUPE_KEY   ? "    dedupe: {by: key"
                                                        : "    dedupe: {by: [");
        for (size_t i = 0; i < t->dedupe_field_count; i++) {
            sf_buf_text(out, i == 0 ? "" : ", ");
            put_text(t->fields[t->dedupe_fields[i]].name, out);
        }
        (void)sf_format_duration(t->dedupe_within_us, within);
        sf_buf_printf(out, "%s, within: %s}\n", t->dedupe == SF_DEDUPE_FIELDS ? "]" : "", within);
    }
    if (t->skip_unchanged) {
        sf_buf_text(out, "    unchanged: skip\n");
    }
}

static void put_table(const struct sf_table *t, const struct sf_print_notes *notes,
                      struct sf_buf *out)
{
    sf_buf_text(out, "  ");
    put_text(t->name, out);
    sf_buf_printf(out, ":\n    kind: %s\n", t->kind == SF_TABLE_STATE ? "state" : "event");
    for (size_t i = 0; i < t->key_count; i++) {
        sf_buf_text(out, i == 0 ? "    key: [" : ", ");
        put_text(t->fields[t->key[i]].name, out);
        sf_buf_text(out, i + 1 == t->key_count ? "]\n" : "");
    }
    if (t->event_time >= 0) {
        sf_buf_text(out, "    event_time: ");
        put_text(t->fields[t->event_time].name, out);
        sf_buf_byte(out, '\n');
    }
    put_dedupe(t, out);
    put_reserved(t, "    reserved: [", "]\n", out);
    if (t->description != NULL) {
        sf_buf_text(out, "    description: ");
        put_text(t->description, out);
        sf_buf_byte(out, '\n');
    }
    for (size_t i = 0; i < t->check_count; i++) {
        sf_buf_text(out, i == 0 ? "    checks: [" : ", ");
        put_text(t->checks[i].text, out);
        sf_buf_text(out, i + 1 == t->check_count ? "]\n" : "");
    }
    sf_buf_text(out, "    fields:\n");
    for (size_t i = 0; i < t->field_count; i++) {
        put_padded_name(t, t->fields[i].name, out);
        put_field(&t->fields[i], out);
        if (notes != NULL && i < notes->count && notes->field_notes[i] != NULL) {
            sf_buf_printf(out, "  # %s", notes->field_notes[i]);
        }
        sf_buf_byte(out, '\n');
    }
}

/* --- the product ------------------------------------------------------------------------------ */

static void put_line(const char *key, const char *text, struct sf_buf *out)
{
    if (text != NULL) {
        sf_buf_printf(out, "%s: ", key);
        put_text(text, out);
        sf_buf_byte(out, '\n');
    }
}

static void put_slo(const struct sf_product *p, struct sf_buf *out)
{
    const char *separator = "slo: {";
    char text[SF_DURATION_TEXT_SIZE];

    if (p->slo_freshness_us > 0) {
        (void)sf_format_duration(p->slo_freshness_us, text);
        sf_buf_printf(out, "%sfreshness: %s", separator, text);
        separator = ", ";
    }
    if (p->slo_availability != NULL) {
        sf_buf_printf(out, "%savailability: %s", separator, p->slo_availability);
        separator = ", ";
    }
    if (p->slo_retention_us > 0) {
        (void)sf_format_duration(p->slo_retention_us, text);
        sf_buf_printf(out, "%sretention: %s", separator, text);
        separator = ", ";
    }
    sf_buf_text(out, separator[0] == ',' ? "}\n" : "");
}

/* The text of a member of a flow map, with what separates it from the one before. */
static void put_member(const char **separator, const char *key, const char *text,
                       struct sf_buf *out)
{
    if (text != NULL) {
        sf_buf_printf(out, "%s%s: ", *separator, key);
        put_text(text, out);
        *separator = ", ";
    }
}

void sf_product_print_deprecated(const struct sf_product *p, struct sf_buf *out)
{
    const char *separator = "deprecated: {";
    char day[SF_DATE_TEXT_SIZE];

    if (p->has_since) {
        (void)sf_date_format(p->since_days, day);
        sf_buf_printf(out, "%ssince: %s", separator, day);
        separator = ", ";
    }
    if (p->has_sunset) {
        (void)sf_date_format(p->sunset_days, day);
        sf_buf_printf(out, "%ssunset: %s", separator, day);
        separator = ", ";
    }
    put_member(&separator, "successor", p->successor, out);
    put_member(&separator, "note", p->deprecation_note, out);
    sf_buf_text(out, separator[0] == ',' ? "}\n" : "");
}

static void put_access(const struct sf_product *p, struct sf_buf *out)
{
    sf_buf_printf(out, "access: {default: %s", sf_access_name(p->access));
    if (p->approver_count > 0) {
        sf_buf_text(out, ", approvers: ");
        put_texts(p->approvers, p->approver_count, out);
    }
    sf_buf_text(out, "}\n");
}

void sf_product_print(const struct sf_product *p, const struct sf_print_notes *notes,
                      struct sf_buf *out)
{
    sf_buf_printf(out, "sheaf: product/v1\nproduct: %s/%s\nversion: %u.%u.%u\nstatus: %s\n",
                  p->domain, p->name, p->version.major, p->version.minor, p->version.patch,
                  sf_status_name(p->status));
    if (p->compatibility != SF_COMPAT_FULL_TRANSITIVE) {
        sf_buf_printf(out, "compatibility: %s\n", sf_compat_mode_name(p->compatibility));
    }
    sf_product_print_deprecated(p, out);
    put_line("owner", p->owner, out);
    put_line("description", p->description, out);
    if (p->tag_count > 0) {
        sf_buf_text(out, "tags: ");
        put_texts(p->tags, p->tag_count, out);
        sf_buf_byte(out, '\n');
    }
    if (p->support_email != NULL) {
        sf_buf_text(out, "support: {email: ");
        put_text(p->support_email, out);
        sf_buf_text(out, "}\n");
    }
    sf_buf_text(out, "tables:\n");
    for (size_t i = 0; i < p->table_count; i++) {
        put_table(&p->tables[i], i == 0 ? notes : NULL, out);
    }
    put_slo(p, out);
    put_access(p, out);
    sf_buf_text(out, p->policy_count > 0 ? "policies:\n" : "");
    for (size_t i = 0; i < p->policy_count; i++) {
        sf_buf_printf(out, "  - %s\n", p->policies[i].text);
    }
}

/* --- comparing -------------------------------------------------------------------------------- */

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_texts(const char *const *a, size_t a_count, const char *const *b, size_t b_count)
{
    for (size_t i = 0; i < a_count && a_count == b_count; i++) {
        if (!same_text(a[i], b[i])) {
            return false;
        }
    }
    return a_count == b_count;
}

static bool same_value(enum sf_type type, const struct sf_value *a, const struct sf_value *b)
{
    return a->present == b->present && (!a->present || sf_value_compare(type, a, b) == 0);
}

static bool same_rules(const struct sf_field *a, const struct sf_field *b)
{
    if (a->enum_count != b->enum_count || a->format != b->format ||
        a->min_length != b->min_length || a->max_length != b->max_length) {
        return false;
    }
    for (size_t i = 0; i < a->enum_count; i++) {
        if (!same_value(a->type, &a->enum_values[i], &b->enum_values[i])) {
            return false;
        }
    }
    return same_value(a->type, &a->min, &b->min) && same_value(a->type, &a->max, &b->max) &&
           same_value(a->type, &a->default_value, &b->default_value) &&
           same_text(a->pattern_text, b->pattern_text) && a->min_items == b->min_items &&
           a->max_items == b->max_items;
}

static bool same_table(const struct sf_table *a, const struct sf_table *b);
static bool same_field(const struct sf_field *a, const struct sf_field *b);

/* Elements and fields of structs, when both are lists or both structs. */
static bool same_inside(const struct sf_field *a, const struct sf_field *b)
{
    if (a->type == SF_TYPE_LIST) {
        return same_field(a->item, b->item);
    }
    return a->type != SF_TYPE_STRUCT || same_table(a->shape, b->shape);
}

static bool same_field(const struct sf_field *a, const struct sf_field *b)
{
    return a->number == b->number && strcmp(a->name, b->name) == 0 && a->type == b->type &&
           a->precision == b->precision && a->scale == b->scale && a->required == b->required &&
           a->class == b->class && same_rules(a, b) && same_text(a->parse, b->parse) &&
           same_text(a->source, b->source) && same_text(a->description, b->description) &&
           same_text(a->unit, b->unit) && same_text(a->example, b->example) &&
           same_text(a->ref, b->ref) && same_texts(a->tags, a->tag_count, b->tags, b->tag_count) &&
           same_inside(a, b);
}

static bool same_table(const struct sf_table *a, const struct sf_table *b)
{
    if (strcmp(a->name, b->name) != 0 || a->kind != b->kind || a->field_count != b->field_count ||
        a->key_count != b->key_count || a->event_time != b->event_time ||
        a->reserved_count != b->reserved_count ||
        a->reserved_name_count != b->reserved_name_count || a->check_count != b->check_count ||
        !same_text(a->description, b->description)) {
        return false;
    }
    for (size_t i = 0; i < a->field_count; i++) {
        if (!same_field(&a->fields[i], &b->fields[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < a->key_count; i++) {
        if (a->key[i] != b->key[i]) {
            return false;
        }
    }
    for (size_t i = 0; i < a->check_count; i++) {
        if (!same_text(a->checks[i].text, b->checks[i].text)) {
            return false;
        }
    }
    for (size_t i = 0; i < a->reserved_count; i++) {
        if (a->reserved[i] != b->reserved[i]) {
            return false;
        }
    }
    for (size_t i = 0; i < a->reserved_name_count; i++) {
        if (strcmp(a->reserved_names[i], b->reserved_names[i]) != 0) {
            return false;
        }
    }
    return true;
}

static bool same_life(const struct sf_product *a, const struct sf_product *b)
{
    return a->status == b->status && a->compatibility == b->compatibility &&
           a->has_since == b->has_since && a->since_days == b->since_days &&
           a->has_sunset == b->has_sunset && a->sunset_days == b->sunset_days &&
           same_text(a->successor, b->successor) &&
           same_text(a->deprecation_note, b->deprecation_note);
}

static bool same_policies(const struct sf_product *a, const struct sf_product *b)
{
    for (size_t i = 0; i < a->policy_count && a->policy_count == b->policy_count; i++) {
        if (!same_text(a->policies[i].text, b->policies[i].text)) {
            return false;
        }
    }
    return a->policy_count == b->policy_count;
}

bool sf_product_equal(const struct sf_product *a, const struct sf_product *b)
{
    if (a->version.major != b->version.major || a->version.minor != b->version.minor ||
        a->version.patch != b->version.patch || a->access != b->access ||
        a->table_count != b->table_count || a->slo_freshness_us != b->slo_freshness_us ||
        a->slo_retention_us != b->slo_retention_us || !same_text(a->domain, b->domain) ||
        !same_text(a->name, b->name) || !same_text(a->owner, b->owner) ||
        !same_text(a->description, b->description) ||
        !same_text(a->support_email, b->support_email) || !same_life(a, b) ||
        !same_text(a->slo_availability, b->slo_availability) ||
        !same_texts(a->tags, a->tag_count, b->tags, b->tag_count) ||
        !same_texts(a->approvers, a->approver_count, b->approvers, b->approver_count) ||
        !same_policies(a, b)) {
        return false;
    }
    for (size_t i = 0; i < a->table_count; i++) {
        if (!same_table(&a->tables[i], &b->tables[i])) {
            return false;
        }
    }
    return true;
}
