/* The words of violations: they name fields and rules, never a value. */
#include "common/contract/record_reader.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/contract/validate.h"

/* Suggestions compare with every name: not for wide tables, whose bad records would cost more than
 * good ones. */
enum { SUGGEST_FIELDS_MAX = 64 };

void sf_verdict_add(struct sf_verdict *v, enum sheaf_error_number number, int32_t field,
                    const char *fmt, ...)
{
    struct sf_violation *at;
    va_list args;

    v->found++;
    if (v->count == SF_VERDICT_LIST_MAX) {
        return;
    }
    at = &v->list[v->count++];
    at->number = (uint16_t)number;
    at->path_size = 0;
    at->field = field;
    va_start(args, fmt);
    (void)vsnprintf(at->text, sizeof(at->text), fmt, args);
    va_end(args);
}

static const char *hint_syntax(const struct sf_field *f)
{
    switch (f->type) {
    case SF_TYPE_BOOL:
        return "must be true or false";
    case SF_TYPE_INT32:
    case SF_TYPE_INT64:
        return "must be a whole number";
    case SF_TYPE_FLOAT:
    case SF_TYPE_DOUBLE:
    case SF_TYPE_DECIMAL:
    case SF_TYPE_DECIMAL_WIDE:
        return "must be a number";
    case SF_TYPE_STRING:
        return "must be a string";
    case SF_TYPE_BYTES:
        return "must be base64";
    case SF_TYPE_DATE:
        return "must be a date like 2026-11-20";
    case SF_TYPE_TIMESTAMP:
        return "must be a time like 2026-11-20T08:01:12Z";
    case SF_TYPE_UUID:
        return "must be a UUID";
    case SF_TYPE_JSON:
        return "must be JSON";
    case SF_TYPE_LIST:
        return "must be a list";
    case SF_TYPE_STRUCT:
        return "must be an object";
    }
    return "";
}

const char *sf_field_hint(const struct sf_field *f, enum sf_parse why, char scratch[64])
{
    char type[24];

    switch (why) {
    case SF_PARSE_OK:
        break;
    case SF_PARSE_SYNTAX:
        if (f->parse != NULL) {
            (void)snprintf(scratch, 64, "must be text like '%s'", f->parse);
            return scratch;
        }
        if (f->clean != NULL && f->clean->number_style != SF_NUMBER_PLAIN) {
            (void)snprintf(scratch, 64, "must be a number like %s",
                           sf_number_style_text(f->clean->number_style));
            return scratch;
        }
        if (f->clean != NULL && f->clean->format_count > 0) {
            (void)snprintf(scratch, 64, "must be text like '%s'%s", f->clean->formats[0],
                           f->clean->format_count > 1 ? ", or as its other formats" : "");
            return scratch;
        }
        return hint_syntax(f);
    case SF_PARSE_RANGE:
        if (f->type == SF_TYPE_DATE || f->type == SF_TYPE_TIMESTAMP) {
            return "is not in the calendar";
        }
        sf_field_type_text(f, type, sizeof(type));
        (void)snprintf(scratch, 64, "does not fit %s", type);
        return scratch;
    case SF_PARSE_INEXACT:
        (void)snprintf(scratch, 64, "has more than %u digits behind the point", f->scale);
        return scratch;
    }
    return "";
}

/* "lines[3].qty": the path entered and @name behind it (NULL: nothing), cut in front when it is
 * long. *ret_size is that of the path, 0 when it is one name. */
static const char *path_of(const struct sf_record_reader *r, const char *name,
                           char ret[SF_RECORD_PATH_SIZE], size_t *ret_size)
{
    const struct sf_record_reader *root = r->root;
    struct sf_buf path = {0};

    *ret_size = 0;
    if (root->step_count == 0) {
        return name;
    }
    for (size_t i = 0; i < root->step_count; i++) {
        sf_buf_printf(&path, "%s%s", i == 0 ? "" : ".", root->steps[i].name);
        if (root->steps[i].index >= 0) {
            sf_buf_printf(&path, "[%lld]", (long long)root->steps[i].index);
        }
    }
    if (name != NULL) {
        sf_buf_printf(&path, ".%s", name);
    }
    if (path.failed == SF_OK) {
        size_t room = SF_RECORD_PATH_SIZE - 4;
        bool cut = path.size > room;
        size_t from = cut ? path.size - room : 0;

        *ret_size = (size_t)snprintf(ret, SF_RECORD_PATH_SIZE, "%s%.*s", cut ? "..." : "",
                                     (int)(path.size - from), (const char *)path.data + from);
    }
    sf_buf_done(&path);
    return *ret_size == 0 ? root->steps[0].name : ret; /* without memory: the field will do */
}

/* @field is what the verdict names when no path is entered. */
static void refuse_path(const struct sf_record_reader *r, int32_t field, const char *name,
                        enum sheaf_error_number number, const char *why, struct sf_verdict *v)
{
    char scratch[SF_RECORD_PATH_SIZE];
    size_t path_size = 0;

    if (v->count == SF_VERDICT_LIST_MAX) {
        v->found++;
        return;
    }
    sf_verdict_add(v, number, r->root->step_count == 0 ? field : (int32_t)r->root->field, "'%s' %s",
                   path_of(r, name, scratch, &path_size), why);
    v->list[v->count - 1].path_size = (uint8_t)path_size;
}

void sf_record_refuse(struct sf_record_reader *r, size_t field, const struct sf_field *f,
                      enum sheaf_error_number number, const char *why, struct sf_verdict *v)
{
    /* The elements of a list stand at the path itself. */
    refuse_path(r, (int32_t)field, f == &r->table->fields[field] ? f->name : NULL, number, why, v);
}

void sf_record_refuse_whole(struct sf_record_reader *r, enum sheaf_error_number number,
                            const char *why, struct sf_verdict *v)
{
    if (r->root->step_count > 0) {
        refuse_path(r, -1, NULL, number, why, v);
    } else {
        sf_verdict_add(v, number, -1, "the record %s", why);
    }
}

struct sf_slice sf_violation_path(const struct sf_violation *v, const struct sf_table *t)
{
    if (v->path_size > 0) {
        return sf_slice_of(v->text + 1, v->path_size);
    }
    return v->field < 0 ? sf_slice_of(NULL, 0) : sf_slice_text(t->fields[v->field].name);
}

void sf_record_add_refused(struct sf_record_reader *r, size_t field, const struct sf_field *f,
                           enum sf_parse why, struct sf_verdict *v)
{
    char scratch[64];

    sf_record_refuse(r, field, f,
                     why == SF_PARSE_SYNTAX ? SHEAF_E_WRONG_TYPE : SHEAF_E_OUT_OF_RANGE,
                     sf_field_hint(f, why, scratch), v);
}

static const char *rule_text(enum sf_rule rule)
{
    switch (rule) {
    case SF_RULE_NONE:
        break;
    case SF_RULE_REQUIRED:
        return "is missing";
    case SF_RULE_ENUM:
        return "is none of the values of its enum";
    case SF_RULE_MIN:
        return "is below its min";
    case SF_RULE_MAX:
        return "is above its max";
    case SF_RULE_MIN_LENGTH:
        return "is shorter than its min_length";
    case SF_RULE_MAX_LENGTH:
        return "is longer than its max_length";
    case SF_RULE_PATTERN:
        return "does not match its pattern";
    case SF_RULE_FORMAT:
        return "is not of its format";
    case SF_RULE_MIN_ITEMS:
    case SF_RULE_MAX_ITEMS:
        break; /* record_nested.c */
    }
    return "";
}

void sf_record_check_rules(struct sf_record_reader *r, size_t field, const struct sf_field *f,
                           const struct sf_value *value, struct sf_verdict *v)
{
    enum sf_rule rule = sf_field_check(f, value);

    if (rule != SF_RULE_NONE) {
        sf_record_refuse(r, field, f, (enum sheaf_error_number)sf_rule_number(rule),
                         rule_text(rule), v);
    }
}

/*
 * A name from the input is shown only when it could be a field's name: keys of objects, and the
 * first line of a file without a header, may be somebody's data.
 */
void sf_record_add_unknown(struct sf_record_reader *r, struct sf_slice name, struct sf_verdict *v)
{
    const char *names[SUGGEST_FIELDS_MAX];
    char copy[SF_RECORD_NAME_SHOWN_MAX + 1];
    char why[96] = "is not in the contract";
    const char *nearest = NULL;
    size_t count = r->table->field_count;

    if (v->count == SF_VERDICT_LIST_MAX || name.size > SF_RECORD_NAME_SHOWN_MAX ||
        !sf_name_is_table(name)) {
        sf_verdict_add(v, SHEAF_E_UNKNOWN_FIELD, -1, "a field is not in the contract");
        return;
    }
    if (count <= SUGGEST_FIELDS_MAX) {
        for (size_t i = 0; i < count; i++) {
            names[i] = r->table->fields[i].name;
        }
        nearest = sf_text_nearest(name, names, count);
    }
    if (nearest != NULL) {
        (void)snprintf(why, sizeof(why), "is not in the contract; did you mean '%.40s'?", nearest);
    }
    (void)snprintf(copy, sizeof(copy), "%.*s", SF_SLICE_ARG(name));
    refuse_path(r, -1, copy, SHEAF_E_UNKNOWN_FIELD, why, v);
}
