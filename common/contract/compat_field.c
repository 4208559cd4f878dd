/* What a change of a field means: its rules, how its input is cleaned, its type and its names. */
#include <stdio.h>
#include <string.h>

#include "common/base/str.h"
#include "common/contract/clean.h"
#include "common/contract/compat_private.h"
#include "common/contract/product_file.h"
#include "common/contract/value.h"

static const char *or_none(const char *text)
{
    return text == NULL ? "none" : text;
}

/* --- rules of a field ------------------------------------------------------------------------- */

/* The text of a rule's value; "none" when there is no such rule. Kept in the arena. */
static const char *value_text(struct sf_compat *c, const struct sf_field *f,
                              const struct sf_value *v)
{
    struct sf_buf text = {0};

    if (!v->present) {
        return "none";
    }
    sf_value_format(f, v, &text);
    return sf_compat_keep(c, &text);
}

/* A bound may go outwards, as what was allowed stays so; @outwards is the sign of that way. */
static void compare_bound(const struct sf_compat_subject *s, const struct sf_field *before,
                          const struct sf_field *after, bool upper)
{
    const struct sf_value *a = upper ? &before->max : &before->min;
    const struct sf_value *b = upper ? &after->max : &after->min;
    const char *what = upper ? "max" : "min";
    const char *from = value_text(s->c, before, a);
    const char *to = value_text(s->c, after, b);
    int order = a->present && b->present ? sf_value_compare(before->type, b, a) : 0;
    bool tighter = b->present && (!a->present || (upper ? order < 0 : order > 0));

    if (a->present == b->present && (!a->present || order == 0)) {
        return;
    }
    if (tighter) {
        sf_compat_breaking(s, BACKWARD, what, from, to);
    } else {
        sf_compat_harmless(s, what, from, to);
    }
}

static void compare_length(const struct sf_compat_subject *s, const char *what, uint32_t before,
                           uint32_t after)
{
    bool upper = strncmp(what, "max", 3) == 0;
    bool tighter = upper ? after != 0 && (before == 0 || after < before) : after > before;
    char from[16] = "none";
    char to[16] = "none";

    if (before == after) {
        return;
    }
    if (before != 0) {
        (void)snprintf(from, sizeof(from), "%u", before);
    }
    if (after != 0) {
        (void)snprintf(to, sizeof(to), "%u", after);
    }
    if (tighter) {
        sf_compat_breaking(s, BACKWARD, what, from, to);
    } else {
        sf_compat_harmless(s, what, from, to);
    }
}

static bool has_enum_value(const struct sf_field *f, const struct sf_value *v)
{
    for (size_t i = 0; i < f->enum_count; i++) {
        if (sf_value_compare(f->type, &f->enum_values[i], v) == 0) {
            return true;
        }
    }
    return false;
}

static void compare_enum(const struct sf_compat_subject *s, const struct sf_field *before,
                         const struct sf_field *after)
{
    if (before->enum_count == 0 && after->enum_count > 0) {
        sf_compat_breaking(s, BACKWARD, "enum added", "none", "a list of values");
        return;
    }
    if (before->enum_count > 0 && after->enum_count == 0) {
        sf_compat_breaking(s, FORWARD, "enum removed", "a list of values", "none");
        return;
    }
    for (size_t i = 0; i < before->enum_count; i++) {
        if (!has_enum_value(after, &before->enum_values[i])) {
            sf_compat_breaking(s, BACKWARD, "enum value removed",
                               value_text(s->c, before, &before->enum_values[i]), "");
        }
    }
    for (size_t i = 0; i < after->enum_count; i++) {
        if (!has_enum_value(before, &after->enum_values[i])) {
            sf_compat_breaking(s, FORWARD, "enum value added", "",
                               value_text(s->c, after, &after->enum_values[i]));
        }
    }
}

static void compare_default(const struct sf_compat_subject *s, const struct sf_field *before,
                            const struct sf_field *after)
{
    const struct sf_value *a = &before->default_value;
    const struct sf_value *b = &after->default_value;
    const char *from;
    const char *to;

    if (a->present == b->present && (!a->present || sf_value_compare(before->type, a, b) == 0)) {
        return;
    }
    from = value_text(s->c, before, a);
    to = value_text(s->c, after, b);
    if (a->present && !b->present && after->required) {
        sf_compat_breaking(s, BACKWARD, "default", from,
                           to); /* writers that leave the field out are refused now */
    } else {
        sf_compat_harmless(s, "default", from, to);
    }
}

static void compare_rules(const struct sf_compat_subject *s, const struct sf_field *before,
                          const struct sf_field *after)
{
    compare_bound(s, before, after, /* upper= */ false);
    compare_bound(s, before, after, /* upper= */ true);
    compare_length(s, "min_length", before->min_length, after->min_length);
    compare_length(s, "max_length", before->max_length, after->max_length);
    compare_enum(s, before, after);
    compare_default(s, before, after);
    if (!sf_compat_same(before->pattern_text, after->pattern_text)) {
        if (after->pattern_text != NULL) {
            sf_compat_breaking(s, BACKWARD, "pattern", or_none(before->pattern_text),
                               after->pattern_text);
        } else {
            sf_compat_harmless(s, "pattern", before->pattern_text, "none");
        }
    }
    if (before->format != after->format) {
        const char *from =
            before->format == SF_FORMAT_NONE ? "none" : sf_format_name(before->format);
        const char *to = after->format == SF_FORMAT_NONE ? "none" : sf_format_name(after->format);

        if (after->format != SF_FORMAT_NONE) {
            sf_compat_breaking(s, BACKWARD, "format", from, to);
        } else {
            sf_compat_harmless(s, "format", from, to);
        }
    }
}

/* --- fields and tables ------------------------------------------------------------------------ */

static bool is_input_name(const struct sf_field *f, const char *name)
{
    return sf_compat_same(f->name, name) || sf_compat_same(f->source, name);
}

/* Rows go by numbers, JSON and CSV by names: a field may be renamed where consumers follow, and
 * producers may go on when the new field has the old name as its source. */
static void compare_names(const struct sf_compat_subject *s, const struct sf_field *before,
                          const struct sf_field *after)
{
    if (strcmp(before->name, after->name) != 0) {
        sf_compat_breaking(s, is_input_name(after, before->name) ? FORWARD : BOTH, "name",
                           before->name, after->name);
    }
    if (before->source != NULL && !is_input_name(after, before->source)) {
        sf_compat_breaking(s, BACKWARD, "source", before->source, or_none(after->source));
    }
}

/* Types of one encoding, the new one holding all values of the old: rows stay as they are. */
static unsigned breaks_of_type(const struct sf_field *before, const struct sf_field *after)
{
    bool wider = before->type == SF_TYPE_INT32 && after->type == SF_TYPE_INT64;

    if (before->type == SF_TYPE_LIST && after->type == SF_TYPE_LIST) {
        return breaks_of_type(before->item, after->item);
    }
    /* Those of more than 18 digits are of a type of their own, encoded in another way. */
    if (before->type == after->type &&
        (before->type == SF_TYPE_DECIMAL || before->type == SF_TYPE_DECIMAL_WIDE)) {
        wider = before->scale == after->scale && before->precision < after->precision;
    }
    return wider ? FORWARD : BOTH | STORAGE;
}

/* What is inside a struct, or inside the structs of a list; notes name the path. */
static void compare_shape(const struct sf_compat_subject *s, const struct sf_field *before,
                          const struct sf_field *after);

/* --- how input is cleaned --------------------------------------------------------------------- */

static const struct sf_clean *clean_of(const struct sf_field *f)
{
    static const struct sf_clean none;

    return f->clean == NULL ? &none : f->clean;
}

/* The formats of a date or timestamp in one text. */
static const char *formats_text(struct sf_compat *c, const struct sf_field *f)
{
    const struct sf_clean *clean = clean_of(f);
    struct sf_buf text = {0};

    if (f->parse != NULL || clean->number_style != SF_NUMBER_PLAIN) {
        return f->parse != NULL ? f->parse : sf_number_style_text(clean->number_style);
    }
    for (size_t i = 0; i < clean->format_count; i++) {
        sf_buf_printf(&text, "%s%s", i == 0 ? "" : ", ", clean->formats[i]);
    }
    return clean->format_count == 0 ? SF_PARSE_ISO : sf_compat_keep(c, &text);
}

/* Formats that are added behind those that were there take nothing away. */
static void compare_formats(const struct sf_compat_subject *s, const struct sf_field *before,
                            const struct sf_field *after)
{
    const char *from = formats_text(s->c, before);
    const char *to = formats_text(s->c, after);
    const size_t n = strlen(from);
    const bool is_number = clean_of(before)->number_style != SF_NUMBER_PLAIN ||
                           clean_of(after)->number_style != SF_NUMBER_PLAIN;

    if (strcmp(from, to) == 0) {
        return;
    }
    if (!is_number && strncmp(from, to, n) == 0 && to[n] == ',') {
        sf_compat_harmless(s, "parse", from, to);
    } else {
        sf_compat_breaking(s, BACKWARD, "parse", strcmp(from, SF_PARSE_ISO) == 0 ? "none" : from,
                           strcmp(to, SF_PARSE_ISO) == 0 ? "none" : to);
    }
}

static const char *case_text(enum sf_case letters)
{
    return letters == SF_CASE_LOWER ? "lower" : letters == SF_CASE_UPPER ? "upper" : "none";
}

static const char *missing_text(enum sf_missing missing)
{
    return missing == SF_MISSING_NULL     ? "null"
           : missing == SF_MISSING_REFUSE ? "refuse"
                                          : "default";
}

/* Texts that stood for no value and are values now, and the other way round. */
static void compare_missing(const struct sf_compat_subject *s, const struct sf_field *before,
                            const struct sf_field *after)
{
    const struct sf_clean *a = clean_of(before);
    const struct sf_clean *b = clean_of(after);

    for (size_t i = 0; i < a->missing_count; i++) {
        if (!sf_clean_is_missing(b, sf_slice_text(a->missing_texts[i]))) {
            sf_compat_breaking(s, BACKWARD, "missing text removed", a->missing_texts[i], "");
        }
    }
    for (size_t i = 0; i < b->missing_count; i++) {
        if (sf_clean_is_missing(a, sf_slice_text(b->missing_texts[i]))) {
            continue;
        }
        if (before->type == SF_TYPE_STRING) {
            sf_compat_breaking(s, BACKWARD, "missing text added", "", b->missing_texts[i]);
        } else {
            sf_compat_harmless(s, "missing text added", "",
                               b->missing_texts[i]); /* it was refused */
        }
    }
    if (a->missing_count > 0 && b->missing_count > 0 && a->missing != b->missing) {
        sf_compat_breaking(s, BACKWARD, "missing", missing_text(a->missing),
                           missing_text(b->missing));
    }
}

static void compare_clean(const struct sf_compat_subject *s, const struct sf_field *before,
                          const struct sf_field *after)
{
    const struct sf_clean *a = clean_of(before);
    const struct sf_clean *b = clean_of(after);

    compare_formats(s, before, after);
    compare_missing(s, before, after);
    if (a->trim != b->trim && s->is_key) {
        sf_compat_breaking(s, BACKWARD, "trim", a->trim ? "true" : "false",
                           b->trim ? "true" : "false");
    } else if (a->trim != b->trim) {
        sf_compat_harmless(s, "trim", a->trim ? "true" : "false", b->trim ? "true" : "false");
    }
    if (a->letters != b->letters) {
        /* Producers may send what they like, but rows of before hold the other letters. */
        sf_compat_breaking(s, BOTH, "case", case_text(a->letters), case_text(b->letters));
    }
}

static void compare_field(const struct sf_compat_subject *s, const struct sf_field *before,
                          const struct sf_field *after)
{
    const struct sf_field *old_item = sf_field_item(before);
    const struct sf_field *new_item = sf_field_item(after);
    char from[24];
    char to[24];

    sf_field_type_text(before, from, sizeof(from));
    sf_field_type_text(after, to, sizeof(to));
    compare_names(s, before, after);
    if (before->required != after->required) {
        /* Consumers rely on it being there, producers on being allowed to leave it out. */
        sf_compat_breaking(s, after->required ? BACKWARD : FORWARD, "required",
                           before->required ? "true" : "false", after->required ? "true" : "false");
    }
    if (before->class != after->class) {
        sf_compat_harmless(s, "class",
                           before->class == SF_CLASS_NONE ? "none" : sf_class_name(before->class),
                           after->class == SF_CLASS_NONE ? "none" : sf_class_name(after->class));
    }
    if (!sf_compat_same(before->unit, after->unit) && before->unit != NULL) {
        sf_compat_breaking(s, BOTH, "unit", before->unit, or_none(after->unit));
    }
    compare_clean(s, old_item, new_item);
    if (strcmp(from, to) != 0) {
        sf_compat_breaking(s, s->is_key ? STORAGE : breaks_of_type(before, after), "type", from,
                           to);
        return; /* rules of two types cannot be compared */
    }
    compare_rules(s, old_item, new_item);
    compare_length(s, "min_items", before->min_items, after->min_items);
    compare_length(s, "max_items", before->max_items, after->max_items);
    if (old_item->shape != NULL) {
        compare_shape(s, old_item, new_item);
    }
}

static bool is_in_key(const struct sf_table *t, size_t field)
{
    for (size_t i = 0; i < t->key_count; i++) {
        if (t->key[i] == field) {
            return true;
        }
    }
    return false;
}

void sf_compat_fields(struct sf_compat *c, const char *path, const struct sf_table *before,
                      const struct sf_table *after)
{
    char type[24];

    for (size_t i = 0; i < before->field_count; i++) {
        const struct sf_field *f = &before->fields[i];
        struct sf_compat_subject s = {c, path, f->name, is_in_key(before, i)};
        int32_t index = sf_table_field_by_number(after, f->number);

        sf_field_type_text(f, type, sizeof(type));
        if (index >= 0) {
            compare_field(&s, f, &after->fields[index]);
        } else if (sf_table_field_index(after, sf_slice_text(f->name)) >= 0) {
            char from[16];
            char to[16];

            index = sf_table_field_index(after, sf_slice_text(f->name));
            (void)snprintf(from, sizeof(from), "%u", f->number);
            (void)snprintf(to, sizeof(to), "%u", after->fields[index].number);
            sf_compat_breaking(&s, STORAGE, "number", from, to);
        } else {
            sf_compat_breaking(&s, BOTH, "field removed", type, "");
            sf_compat_unreserved(&s, f, after);
        }
    }
    for (size_t i = 0; i < after->field_count; i++) {
        const struct sf_field *f = &after->fields[i];
        struct sf_compat_subject s = {c, path, f->name, false};

        if (sf_table_field_by_number(before, f->number) >= 0 ||
            sf_table_field_index(before, sf_slice_text(f->name)) >= 0) {
            continue;
        }
        sf_field_type_text(f, type, sizeof(type));
        if (sf_compat_is_reserved(before, f->number)) {
            sf_compat_breaking(&s, STORAGE, "reserved number used", "", type);
        } else if (f->required) {
            sf_compat_breaking(&s, BACKWARD, "required field added", "", type);
        } else {
            sf_compat_harmless(&s, "field added", "", type);
        }
    }
}

void sf_compat_reserved(const struct sf_compat_subject *s, const struct sf_table *before,
                        const struct sf_table *after)
{
    for (size_t i = 0; i < before->reserved_count; i++) {
        if (!sf_compat_is_reserved(after, before->reserved[i]) &&
            sf_table_field_by_number(after, before->reserved[i]) < 0) {
            char number[16];

            (void)snprintf(number, sizeof(number), "%u", before->reserved[i]);
            sf_compat_breaking(s, STORAGE, "reserved number dropped", number, "");
        }
    }
    for (size_t i = 0; i < before->reserved_name_count; i++) {
        if (!sf_compat_is_reserved_name(after, before->reserved_names[i])) {
            sf_compat_breaking(s, STORAGE, "reserved name dropped", before->reserved_names[i], "");
        }
    }
}

static void compare_shape(const struct sf_compat_subject *s, const struct sf_field *before,
                          const struct sf_field *after)
{
    char *path = sf_arena_printf(&s->c->arena, "%s.%s", s->table, s->field);

    if (path == NULL) {
        s->c->failed = true;
        return;
    }
    sf_compat_reserved(s, before->shape, after->shape);
    sf_compat_fields(s->c, path, before->shape, after->shape);
}
