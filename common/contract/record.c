#include "common/contract/record.h"

#include "common/base/alloc.h"
#include "common/base/utf8.h"
#include "common/contract/record_reader.h"
#include "common/wire/json_read.h"

/* --- names ------------------------------------------------------------------------------------ */

static uint32_t hash_of(struct sf_slice s)
{
    uint32_t h = 2166136261U; /* FNV-1a */

    for (size_t i = 0; i < s.size; i++) {
        h = (h ^ s.data[i]) * 16777619U;
    }
    return h ^ h >> 15;
}

uint16_t sf_record_find_name(const struct sf_record_reader *r, struct sf_slice text)
{
    for (uint32_t at = hash_of(text);; at++) {
        uint16_t index = r->slots[at & r->slot_mask];

        if (index == SF_RECORD_NO_NAME || sf_slice_equal(r->names[index].text, text)) {
            return index;
        }
    }
}

/* The first field to take a name keeps it. */
static void add_name(struct sf_record_reader *r, const char *text, size_t field)
{
    struct sf_slice name = sf_slice_text(text);
    uint32_t at = hash_of(name);

    if (sf_record_find_name(r, name) != SF_RECORD_NO_NAME) {
        return;
    }
    while (r->slots[at & r->slot_mask] != SF_RECORD_NO_NAME) {
        at++;
    }
    r->slots[at & r->slot_mask] = (uint16_t)r->name_count;
    r->names[r->name_count++] = (struct sf_record_name){.text = name, .field = (uint16_t)field};
}

/* The name at place @at of the record, tried first where the last record had it. */
static inline uint16_t guess_name(struct sf_record_reader *r, size_t at, struct sf_slice text)
{
    uint16_t index;

    if (at >= r->name_count) {
        return sf_record_find_name(r, text);
    }
    index = r->order[at];
    if (sf_slice_equal(r->names[index].text, text)) {
        return index;
    }
    index = sf_record_find_name(r, text);
    if (index != SF_RECORD_NO_NAME) {
        r->order[at] = index;
    }
    return index;
}

/* --- the reader ------------------------------------------------------------------------------- */

static struct sf_record_plan plan_of(const struct sf_table *t, size_t field)
{
    const struct sf_field *f = sf_field_item(&t->fields[field]);
    struct sf_record_plan p = {
        .has_rules = f->enum_count > 0 || f->min.present || f->max.present || f->min_length != 0 ||
                     f->max_length != 0 || f->pattern != NULL || f->format != SF_FORMAT_NONE,
    };

    for (size_t i = 0; i < t->key_count; i++) {
        p.is_key = p.is_key || t->key[i] == field;
    }
    p.must = t->fields[field].required || p.is_key;
    p.is_cleaned = sf_record_is_cleaned(&t->fields[field]);
    return p;
}

static void add_names(struct sf_record_reader *r)
{
    const struct sf_table *t = r->table;

    for (size_t i = 0; i <= r->slot_mask; i++) {
        r->slots[i] = SF_RECORD_NO_NAME;
    }
    for (size_t i = 0; i < t->field_count; i++) {
        if (t->fields[i].source != NULL) {
            add_name(r, t->fields[i].source, i);
        }
    }
    for (size_t i = 0; i < t->field_count; i++) {
        add_name(r, t->fields[i].name, i);
    }
    for (size_t i = 0; i < t->field_count; i++) {
        uint16_t index = sf_record_find_name(r, sf_slice_text(t->fields[i].name));

        r->order[i] = index;
        r->plans[i] = plan_of(t, i);
    }
}

static enum sf_code new_reader(const struct sf_table *table, struct sf_record_reader *root,
                               struct sf_record_reader **ret, struct sf_error *err);

static bool is_nested(const struct sf_field *f)
{
    return f->type == SF_TYPE_JSON || !sf_type_is_scalar(f->type);
}

/* What lists, structs and json need. As deep as structs go. */
static enum sf_code add_nested(struct sf_record_reader *r, struct sf_error *err)
{
    const struct sf_table *t = r->table;
    bool any = false;

    for (size_t i = 0; i < t->field_count; i++) {
        any = any || is_nested(&t->fields[i]);
    }
    if (!any) {
        return SF_OK;
    }
    r->nested = sf_calloc(t->field_count, sizeof(*r->nested));
    if (r->nested == NULL) {
        return SF_RAISE(err, SF_NOMEM, "reader of table '%s': out of memory", t->name);
    }
    for (size_t i = 0; i < t->field_count; i++) {
        const struct sf_table *shape = sf_field_shape(&t->fields[i]);
        enum sf_code code;

        if (shape == NULL) {
            continue;
        }
        r->nested[i].values = sf_calloc(shape->field_count, sizeof(*r->nested[i].values));
        code = r->nested[i].values == NULL
                   ? SF_RAISE(err, SF_NOMEM, "reader of table '%s': out of memory", t->name)
                   : new_reader(shape, r->root, &r->nested[i].reader, err);
        if (code != SF_OK) {
            return code;
        }
    }
    return SF_OK;
}

/* Whether a field declares what is counted. As deep as structs go. */
static bool has_counts(const struct sf_table *t)
{
    for (size_t i = 0; i < t->field_count; i++) {
        const struct sf_table *shape = sf_field_shape(&t->fields[i]);

        if (sf_record_is_cleaned(&t->fields[i]) || t->fields[i].default_value.present ||
            (shape != NULL && has_counts(shape))) {
            return true;
        }
    }
    return false;
}

/* @root is NULL for the root itself. */
static enum sf_code new_reader(const struct sf_table *table, struct sf_record_reader *root,
                               struct sf_record_reader **ret, struct sf_error *err)
{
    SF_CLEANUP(sf_record_reader_freep)
    struct sf_record_reader *r = sf_calloc(1, sizeof(*r));
    enum sf_code code;
    size_t count = table->field_count;
    size_t slots = 16;

    while (slots < count * 4) {
        slots *= 2;
    }
    if (r != NULL) {
        r->table = table;
        r->root = root == NULL ? r : root;
        r->slot_mask = (uint32_t)slots - 1;
        r->plans = sf_calloc(count, sizeof(*r->plans));
        r->names = sf_calloc(count * 2, sizeof(*r->names));
        r->slots = sf_calloc(slots, sizeof(*r->slots));
        r->order = sf_calloc(count * 2, sizeof(*r->order));
        r->seen = sf_calloc(count, sizeof(*r->seen));
        r->uuids = sf_calloc(count, sizeof(*r->uuids));
    }
    if (r == NULL || r->plans == NULL || r->names == NULL || r->slots == NULL || r->order == NULL ||
        r->seen == NULL || r->uuids == NULL) {
        return SF_RAISE(err, SF_NOMEM, "reader of table '%s': out of memory", table->name);
    }
    add_names(r);
    code = add_nested(r, err);
    r->can_scan = sf_record_can_scan(r);
    if (code == SF_OK && root == NULL && has_counts(table)) {
        r->counts = sf_calloc(count, sizeof(*r->counts));
        r->marks = sf_calloc(count, sizeof(*r->marks));
        code = r->counts == NULL || r->marks == NULL
                   ? SF_RAISE(err, SF_NOMEM, "reader of table '%s'", table->name)
                   : SF_OK;
    }
    if (code == SF_OK) {
        *ret = SF_TAKE(r);
    }
    return code;
}

enum sf_code sf_record_reader_new(const struct sf_table *table, struct sf_record_reader **ret,
                                  struct sf_error *err)
{
    return new_reader(table, NULL, ret, err);
}

void sf_record_reader_free(struct sf_record_reader *r)
{
    if (r == NULL) {
        return;
    }
    sf_free(r->plans);
    sf_free(r->names);
    sf_free(r->slots);
    sf_free(r->order);
    sf_free(r->seen);
    sf_free(r->uuids);
    sf_free(r->columns);
    sf_free(r->counts);
    sf_free(r->marks);
    for (size_t i = 0; r->nested != NULL && i < r->table->field_count; i++) {
        sf_record_reader_free(r->nested[i].reader);
        sf_free(r->nested[i].values);
        sf_buf_done(&r->nested[i].bytes);
        sf_buf_done(&r->nested[i].item);
    }
    sf_free(r->nested);
    sf_json_reader_done(&r->json);
    sf_json_reader_done(&r->cell);
    sf_arena_done(&r->arena);
    sf_free(r);
}

void sf_record_begin(struct sf_record_reader *r, struct sf_verdict *v)
{
    v->count = 0;
    v->found = 0;
    r->no_memory = false;
    r->mark_count = 0;
    r->step_count = 0;
    if (r->arena.blocks != NULL) {
        sf_arena_reset(&r->arena);
    }
    sf_record_begin_fields(r);
}

void sf_record_begin_fields(struct sf_record_reader *r)
{
    r->record++;
    if (r->record == 0) {
        /* After 2^32 records the marks of old ones would look new. */
        memset(r->seen, 0, r->table->field_count * sizeof(*r->seen));
        r->record = 1;
    }
}

bool sf_record_mark_seen(struct sf_record_reader *r, size_t field, struct sf_verdict *v)
{
    if (r->seen[field] == r->record) {
        sf_record_refuse(r, field, &r->table->fields[field], SHEAF_E_RECORD_INVALID,
                         "is given twice", v);
        return false;
    }
    r->seen[field] = r->record;
    return true;
}

static void fill_default(struct sf_record_reader *r, size_t field, struct sf_value *ret,
                         struct sf_verdict *v)
{
    const struct sf_field *f = &r->table->fields[field];
    const bool is_null = r->seen[field] == r->record && ret->i == SF_RECORD_NULL;

    *ret = is_null ? (struct sf_value){0} : f->default_value;
    if (ret->present && sf_record_counters(r, field) != NULL) {
        sf_record_counters(r, field)->defaulted++;
    }
    if (r->plans[field].must && !ret->present) {
        sf_record_refuse(r, field, f, SHEAF_E_FIELD_MISSING, "is missing", v);
    } else if (f->min_items > 0) { /* a list that is not given is empty */
        sf_record_list_begin(r, field);
        sf_record_list_end(r, field, ret, v);
    }
}

/* Defaults, and what is missing. A value that was refused counts as there: one error is enough. */
void sf_record_fill_absent(struct sf_record_reader *r, struct sf_value *values,
                           struct sf_verdict *v)
{
    for (size_t i = 0; i < r->table->field_count; i++) {
        if (r->seen[i] != r->record || !values[i].present) {
            fill_default(r, i, &values[i], v);
        }
    }
}

enum sf_code sf_record_end(struct sf_record_reader *r, struct sf_error *err)
{
    if (r->mark_count > 0) {
        sf_record_count_marks(r);
    }
    if (r->no_memory) {
        return SF_RAISE(err, SF_NOMEM, "record: out of memory");
    }
    return SF_OK;
}

/* --- JSON ------------------------------------------------------------------------------------- */

/* The kind of JSON value a type is written as; decimals may also be strings. */
static bool kind_fits(enum sf_type type, enum sf_json_kind kind)
{
    switch (type) {
    case SF_TYPE_BOOL:
        return kind == SF_JSON_BOOL;
    case SF_TYPE_INT32:
    case SF_TYPE_INT64:
    case SF_TYPE_FLOAT:
    case SF_TYPE_DOUBLE:
        return kind == SF_JSON_NUMBER;
    case SF_TYPE_DECIMAL:
    case SF_TYPE_DECIMAL_WIDE:
        return kind == SF_JSON_NUMBER || kind == SF_JSON_STRING;
    case SF_TYPE_JSON:
    case SF_TYPE_LIST:
    case SF_TYPE_STRUCT:
        break;
    case SF_TYPE_STRING:
    case SF_TYPE_BYTES:
    case SF_TYPE_DATE:
    case SF_TYPE_TIMESTAMP:
    case SF_TYPE_UUID:
        return kind == SF_JSON_STRING;
    }
    return false;
}

static inline enum sf_parse value_of(struct sf_record_reader *r, const struct sf_field *f,
                                     size_t field, const struct sf_record_json *json,
                                     struct sf_value *ret)
{
    *ret = (struct sf_value){.present = true};
    if (!kind_fits(f->type, json->kind)) {
        return SF_PARSE_SYNTAX;
    }
    if (json->kind == SF_JSON_BOOL) {
        ret->i = json->truth;
        return SF_PARSE_OK;
    }
    return sf_record_convert(r, f, r->uuids[field], json->text, ret);
}

enum sf_parse sf_record_value_of(struct sf_record_reader *r, const struct sf_field *f, size_t field,
                                 const struct sf_record_json *json, struct sf_value *ret)
{
    return value_of(r, f, field, json, ret);
}

/* Whether the value is a text to be cleaned, or a number that stands for a time. */
bool sf_record_takes_text(const struct sf_field *f, enum sf_json_kind kind)
{
    return kind == SF_JSON_STRING || (kind == SF_JSON_NUMBER && f->type == SF_TYPE_TIMESTAMP &&
                                      f->clean != NULL && sf_clean_takes_numbers(f->clean));
}

static inline void take_scalar(struct sf_record_reader *r, const struct sf_field *f, size_t field,
                               const struct sf_json *json, struct sf_value *ret,
                               struct sf_verdict *v)
{
    struct sf_record_json plain = {.kind = sf_json_kind_inline(json)};
    enum sf_parse parsed;

    (void)sf_json_as_bool(json, &plain.truth);
    if (plain.kind == SF_JSON_STRING || plain.kind == SF_JSON_NUMBER) {
        plain.text = sf_json_chars(json);
    }
    if (r->plans[field].is_cleaned && sf_record_takes_text(f, plain.kind)) {
        sf_record_take_cleaned(r, f, field, plain.text, plain.kind == SF_JSON_STRING, ret, v);
        return;
    }
    parsed = value_of(r, f, field, &plain, ret);
    if (parsed != SF_PARSE_OK) {
        sf_record_add_refused(r, field, f, parsed, v);
    } else if (r->plans[field].has_rules) {
        sf_record_check_rules(r, field, f, ret, v);
    }
}

void sf_record_take_scalar(struct sf_record_reader *r, const struct sf_field *f, size_t field,
                           const struct sf_json *json, struct sf_value *ret, struct sf_verdict *v)
{
    take_scalar(r, f, field, json, ret, v);
}

static inline void take_json(struct sf_record_reader *r, size_t field, const struct sf_json *json,
                             struct sf_value *ret, struct sf_verdict *v)
{
    const struct sf_field *f = &r->table->fields[field];

    if (is_nested(f)) {
        sf_record_take_nested(r, field, json, ret, v);
    } else if (sf_json_kind_inline(json) == SF_JSON_NULL) {
        *ret = (struct sf_value){0};
    } else {
        take_scalar(r, f, field, json, ret, v);
    }
}

/* Whether @row can be looked into. */
static bool is_flat_object(const struct sf_json *row, struct sf_verdict *v)
{
    if (sf_json_kind_inline(row) != SF_JSON_OBJECT) {
        sf_verdict_add(v, SHEAF_E_RECORD_INVALID, -1, "a JSON object is expected");
        return false;
    }
    return true;
}

static bool is_container(const struct sf_json *value)
{
    return unsafe_yyjson_is_ctn(sf_json_yy(value));
}

void sf_record_read_members(struct sf_record_reader *r, const struct sf_json *row, bool only_key,
                            struct sf_value *values, struct sf_verdict *v)
{
    struct sf_json_iter it = sf_json_iter(row);
    bool depth_known = r->root != r; /* as deep as the record, which was looked at */

    for (size_t at = 0; sf_json_next_inline(&it); at++) {
        uint16_t index = guess_name(r, at, it.key);
        size_t field;

        /* Once per record: a record of nothing but containers would be walked for each of them. */
        if (!depth_known && is_container(it.value)) {
            depth_known = true;
            if (sf_json_is_deep(row)) {
                sf_verdict_add(v, SHEAF_E_RECORD_TOO_LARGE, -1, "more than %d levels deep",
                               SF_JSON_DEPTH_MAX);
                return;
            }
        }
        if (index == SF_RECORD_NO_NAME) {
            if (!only_key) {
                sf_record_add_unknown(r, it.key, v);
            }
            continue;
        }
        field = r->names[index].field;
        if ((!only_key || r->plans[field].is_key) && sf_record_mark_seen(r, field, v)) {
            take_json(r, field, it.value, &values[field], v);
        }
    }
}

enum sf_code sf_record_from_json_value(struct sf_record_reader *r, const struct sf_json *row,
                                       struct sf_value *values, struct sf_verdict *verdict,
                                       struct sf_error *err)
{
    sf_record_begin(r, verdict);
    if (is_flat_object(row, verdict)) {
        sf_record_read_members(r, row, /* only_key= */ false, values, verdict);
        sf_record_fill_absent(r, values, verdict);
    }
    return sf_record_end(r, err);
}

enum sf_code sf_record_patch_from_json_value(struct sf_record_reader *r, const struct sf_json *row,
                                             const struct sf_value *old, struct sf_value *values,
                                             struct sf_verdict *verdict, struct sf_error *err)
{
    sf_record_begin(r, verdict);
    if (is_flat_object(row, verdict)) {
        sf_record_read_members(r, row, /* only_key= */ false, values, verdict);
        for (size_t i = 0; i < r->table->field_count; i++) {
            if (r->seen[i] != r->record) {
                values[i] = old[i];
            } else if (!values[i].present) {
                fill_default(r, i, &values[i], verdict);
            }
        }
    }
    return sf_record_end(r, err);
}

enum sf_code sf_record_key_from_json_value(struct sf_record_reader *r, const struct sf_json *row,
                                           struct sf_value *values, struct sf_verdict *verdict,
                                           struct sf_error *err)
{
    const struct sf_table *t = r->table;

    sf_record_begin(r, verdict);
    if (!is_flat_object(row, verdict)) {
        return sf_record_end(r, err);
    }
    sf_record_read_members(r, row, /* only_key= */ true, values, verdict);
    for (size_t i = 0; i < t->key_count; i++) {
        size_t field = t->key[i];

        if (r->seen[field] != r->record || !values[field].present) {
            sf_verdict_add(verdict, SHEAF_E_FIELD_MISSING, (int32_t)field, "'%s' is missing",
                           t->fields[field].name);
        }
    }
    return sf_record_end(r, err);
}

/* The line is no JSON: says why. */
static enum sf_code explain(struct sf_record_reader *r, struct sf_slice line,
                            struct sf_verdict *verdict, struct sf_error *err)
{
    static const struct sf_slice place = {(const uint8_t *)"line 1, ", 8};
    const struct sf_json *json;
    struct sf_error why = {.text = ""};
    struct sf_slice text;

    if (!sf_utf8_is_valid(line)) {
        sf_verdict_add(verdict, SHEAF_E_BAD_UTF8, -1, "the record is not valid UTF-8");
        return SF_OK;
    }
    if (sf_json_read(&r->json, line, &json, &why) == SF_NOMEM) {
        return SF_RAISE(err, SF_NOMEM, "record: out of memory");
    }
    /* A record is one line: only the column says something. */
    text = sf_slice_text(why.text);
    if (sf_slice_starts_with(text, place)) {
        text = sf_slice_of(text.data + place.size, text.size - place.size);
    }
    sf_verdict_add(verdict, SHEAF_E_RECORD_INVALID, -1, "the record is not JSON: %.*s",
                   SF_SLICE_ARG(text));
    return SF_OK;
}

enum sf_code sf_record_from_json(struct sf_record_reader *r, struct sf_slice line,
                                 struct sf_value *values, struct sf_verdict *verdict,
                                 struct sf_error *err)
{
    enum sf_code code = SF_OK;
    const struct sf_json *row;

    if (line.size > SF_RECORD_TEXT_MAX) {
        sf_record_begin(r, verdict);
        sf_verdict_add(verdict, SHEAF_E_RECORD_TOO_LARGE, -1, "longer than %d bytes",
                       SF_RECORD_TEXT_MAX);
        return SF_OK;
    }
    if (r->can_scan) {
        sf_record_begin(r, verdict);
        if (sf_record_scan(r, line, values)) {
            sf_record_fill_absent(r, values, verdict);
            return sf_record_end(r, err);
        }
        if (r->no_memory) {
            return sf_record_end(r, err);
        }
    }
    row = sf_json_read_quick(&r->json, line, &code);
    if (row == NULL) {
        sf_record_begin(r, verdict);
        return code == SF_NOMEM ? SF_RAISE(err, SF_NOMEM, "record: out of memory")
                                : explain(r, line, verdict, err);
    }
    return sf_record_from_json_value(r, row, values, verdict, err);
}
