/* Values whose texts are cleaned before they are read: clean.h says what is done in which order. */
#include "common/contract/clean.h"
#include "common/contract/record_reader.h"

#include "common/base/time.h"

bool sf_record_is_cleaned(const struct sf_field *f)
{
    return f->clean != NULL || f->parse != NULL;
}

struct sf_clean_counts *sf_record_counters(struct sf_record_reader *r, size_t field)
{
    struct sf_record_reader *root = r->root;

    return root->counts == NULL ? NULL : &root->counts[r == root ? field : root->field];
}

const struct sf_clean_counts *sf_record_counts(const struct sf_record_reader *r)
{
    return r->counts;
}

void sf_record_counts_reset(struct sf_record_reader *r)
{
    if (r->counts != NULL) {
        memset(r->counts, 0, r->table->field_count * sizeof(*r->counts));
    }
}

enum sf_parse sf_record_convert_bool(struct sf_slice text, struct sf_value *ret)
{
    const bool no =
        sf_slice_equal(text, SF_LITERAL("false")) || sf_slice_equal(text, SF_LITERAL("0"));

    ret->i = sf_slice_equal(text, SF_LITERAL("true")) || sf_slice_equal(text, SF_LITERAL("1"));
    return no || ret->i == 1 ? SF_PARSE_OK : SF_PARSE_SYNTAX;
}

/* The text stands for no value. */
static void take_missing(struct sf_record_reader *r, const struct sf_field *f, size_t field,
                         struct sf_value *ret, struct sf_verdict *v)
{
    *ret = (struct sf_value){0};
    switch (f->clean->missing) {
    case SF_MISSING_DEFAULT:
        break;
    case SF_MISSING_NULL:
        ret->i = SF_RECORD_NULL;
        break;
    case SF_MISSING_REFUSE:
        ret->present = true; /* one violation is enough */
        sf_record_refuse(r, field, f, SHEAF_E_FIELD_MISSING, "is missing", v);
        break;
    }
}

/* Trim and case; whether the text still is one. */
static bool prepare(struct sf_record_reader *r, const struct sf_clean *c,
                    struct sf_clean_mark *mark, struct sf_slice *text)
{
    if (c == NULL) {
        return true;
    }
    mark->trimmed = c->trim && sf_clean_trim(text);
    mark->missing = sf_clean_is_missing(c, *text);
    if (mark->missing) {
        return false;
    }
    if (sf_clean_case(c->letters, &r->root->arena, text, &mark->cased) != SF_OK) {
        r->root->no_memory = true;
    }
    return true;
}

static void count(struct sf_clean_counts *c, const struct sf_clean_mark *mark)
{
    c->trimmed += mark->trimmed;
    c->cased += mark->cased;
    c->parsed += mark->parsed;
    c->missing += mark->missing;
}

void sf_record_count_marks(struct sf_record_reader *r)
{
    for (size_t i = 0; i < r->mark_count; i++) {
        count(&r->counts[r->marks[i].field], &r->marks[i]);
    }
    r->mark_count = 0;
}

/* A field of the table comes once per record; those of structs are read but once. */
static void note(struct sf_record_reader *r, size_t field, const struct sf_clean_mark *mark)
{
    if (r->root->counts == NULL) {
        return;
    }
    if (r != r->root) {
        count(sf_record_counters(r, field), mark);
    } else if (r->mark_count < r->table->field_count) {
        r->marks[r->mark_count++] = *mark;
    }
}

/* Whether texts of the field are read by a format that the contract names. */
static bool has_format(const struct sf_field *f)
{
    return f->parse != NULL || (f->clean != NULL && (f->clean->format_count > 0 ||
                                                     f->clean->number_style != SF_NUMBER_PLAIN));
}

static enum sf_parse convert_number(struct sf_record_reader *r, const struct sf_field *f,
                                    size_t field, struct sf_slice text, struct sf_value *ret)
{
    bool no_memory = false;
    enum sf_parse parsed =
        sf_clean_number(f->clean->number_style, &r->root->arena, &text, &no_memory);

    r->root->no_memory = r->root->no_memory || no_memory;
    return parsed == SF_PARSE_OK ? sf_record_convert(r, f, r->uuids[field], text, ret) : parsed;
}

static enum sf_parse convert_by_format(struct sf_record_reader *r, const struct sf_field *f,
                                       size_t field, struct sf_slice text, struct sf_value *ret)
{
    int32_t days = 0;
    enum sf_parse parsed;

    if (f->parse != NULL) {
        return sf_record_convert(r, f, r->uuids[field], text, ret);
    }
    if (f->clean->number_style != SF_NUMBER_PLAIN) {
        return convert_number(r, f, field, text, ret);
    }
    if (f->type == SF_TYPE_TIMESTAMP) {
        return sf_clean_time(f->clean, text, &ret->i);
    }
    parsed = sf_clean_date(f->clean, text, &days);
    ret->i = days;
    return parsed;
}

/* In JSON a string is no number and no truth: only a declared format makes it one. */
static bool is_string_in_json(enum sf_type type)
{
    return type == SF_TYPE_STRING || type == SF_TYPE_BYTES || type == SF_TYPE_UUID ||
           type == SF_TYPE_DATE || type == SF_TYPE_TIMESTAMP || type == SF_TYPE_DECIMAL ||
           type == SF_TYPE_DECIMAL_WIDE;
}

void sf_record_take_cleaned(struct sf_record_reader *r, const struct sf_field *f, size_t field,
                            struct sf_slice text, bool is_json, struct sf_value *ret,
                            struct sf_verdict *v)
{
    struct sf_clean_mark mark = {.field = (uint16_t)field};
    enum sf_parse parsed = SF_PARSE_SYNTAX;

    if (!prepare(r, f->clean, &mark, &text)) {
        note(r, field, &mark);
        take_missing(r, f, field, ret, v);
        return;
    }
    *ret = (struct sf_value){.present = true};
    if (has_format(f)) {
        parsed = convert_by_format(r, f, field, text, ret);
        mark.parsed = parsed == SF_PARSE_OK;
    } else if (is_json && !is_string_in_json(f->type)) {
        parsed = SF_PARSE_SYNTAX;
    } else if (f->type == SF_TYPE_BOOL) {
        parsed = sf_record_convert_bool(text, ret);
    } else {
        parsed = sf_record_convert(r, f, r->uuids[field], text, ret);
    }
    if (mark.trimmed || mark.cased || mark.parsed) {
        note(r, field, &mark);
    }
    if (parsed != SF_PARSE_OK) {
        sf_record_add_refused(r, field, f, parsed, v);
    } else if (r->plans[field].has_rules) {
        sf_record_check_rules(r, field, f, ret, v);
    }
}
