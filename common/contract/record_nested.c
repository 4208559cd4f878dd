/* Lists, structs and json, as record.h says: to the bytes that stand in a row. */
#include "common/contract/record_reader.h"

#include "common/base/assert.h"
#include "common/contract/validate.h"
#include "common/contract/wire_value.h"
#include "common/wire/json_canon.h"
#include "common/wire/json_read.h"

/* --- the path --------------------------------------------------------------------------------- */

void sf_record_enter(struct sf_record_reader *r, size_t field)
{
    struct sf_record_reader *root = r->root;

    sf_assert(root->step_count < SF_COUNT(root->steps));
    if (root->step_count == 0) {
        root->field = field;
    }
    root->steps[root->step_count++] =
        (struct sf_record_step){.name = r->table->fields[field].name, .index = -1};
}

void sf_record_leave(struct sf_record_reader *r)
{
    r->root->step_count--;
}

/* --- bytes ------------------------------------------------------------------------------------ */

/* Takes what a buffer holds as the value; a buffer that failed is memory that ran out. */
static void take_bytes(struct sf_record_reader *r, const struct sf_buf *bytes, struct sf_value *ret)
{
    r->root->no_memory |= bytes->failed != SF_OK;
    *ret = (struct sf_value){.present = true, .s = sf_buf_view(bytes)};
}

void sf_record_put_struct(struct sf_record_reader *r, size_t field, struct sf_buf *out)
{
    const struct sf_record_nested *n = &r->nested[field];
    const struct sf_table *shape = n->reader->table;
    size_t bound = 1;
    uint8_t *p;

    for (size_t i = 0; i < shape->field_count; i++) {
        bound += n->values[i].present ? sf_wire_bound(&shape->fields[i], &n->values[i]) : 0;
    }
    p = sf_buf_reserve(out, bound);
    for (size_t i = 0; p != NULL && i < shape->field_count; i++) {
        if (n->values[i].present) {
            p = sf_wire_put(p, &shape->fields[i], &n->values[i]);
        }
    }
    if (p != NULL) {
        out->size = (size_t)(p - out->data);
    }
}

/* --- lists ------------------------------------------------------------------------------------ */

void sf_record_list_begin(struct sf_record_reader *r, size_t field)
{
    r->nested[field].count = 0;
    sf_buf_clear(&r->nested[field].bytes);
}

void sf_record_list_add(struct sf_record_reader *r, size_t field, const struct sf_value *item)
{
    struct sf_record_nested *n = &r->nested[field];
    const struct sf_field *f = &r->table->fields[field];
    uint8_t *p = sf_buf_reserve(&n->bytes, sf_wire_bound(f->item, item));

    n->count++;
    if (p == NULL) {
        return;
    }
    p = sf_wire_is_packed(f) ? sf_wire_put_bare(p, f->item->type, item)
                             : sf_wire_put(p, f->item, item);
    n->bytes.size = (size_t)(p - n->bytes.data);
}

void sf_record_list_end(struct sf_record_reader *r, size_t field, struct sf_value *ret,
                        struct sf_verdict *v)
{
    struct sf_record_nested *n = &r->nested[field];
    const struct sf_field *f = &r->table->fields[field];

    take_bytes(r, &n->bytes, ret);
    switch (sf_field_check_items(f, n->count)) {
    case SF_RULE_MIN_ITEMS:
        sf_record_refuse(r, field, f, SHEAF_E_OUT_OF_RANGE, "has fewer elements than its min_items",
                         v);
        return;
    case SF_RULE_MAX_ITEMS:
        sf_record_refuse(r, field, f, SHEAF_E_OUT_OF_RANGE, "has more elements than its max_items",
                         v);
        return;
    case SF_RULE_NONE:
    case SF_RULE_REQUIRED:
    case SF_RULE_ENUM:
    case SF_RULE_MIN:
    case SF_RULE_MAX:
    case SF_RULE_MIN_LENGTH:
    case SF_RULE_MAX_LENGTH:
    case SF_RULE_PATTERN:
    case SF_RULE_FORMAT:
        return;
    }
}

/* --- JSON ------------------------------------------------------------------------------------- */

static void read_struct(struct sf_record_reader *r, size_t field, const struct sf_json *json,
                        struct sf_buf *out, struct sf_verdict *v)
{
    struct sf_record_nested *n = &r->nested[field];

    sf_record_begin_fields(n->reader);
    sf_record_read_members(n->reader, json, /* only_key= */ false, n->values, v);
    sf_record_fill_absent(n->reader, n->values, v);
    sf_buf_clear(out);
    if (v->found == 0) {
        sf_record_put_struct(r, field, out);
    }
}

static void take_struct(struct sf_record_reader *r, size_t field, const struct sf_json *json,
                        struct sf_value *ret, struct sf_verdict *v)
{
    struct sf_record_nested *n = &r->nested[field];

    if (sf_json_kind_inline(json) != SF_JSON_OBJECT) {
        sf_record_add_refused(r, field, &r->table->fields[field], SF_PARSE_SYNTAX, v);
        return;
    }
    sf_record_enter(r, field);
    read_struct(r, field, json, &n->bytes, v);
    sf_record_leave(r);
    take_bytes(r, &n->bytes, ret);
}

static void take_element(struct sf_record_reader *r, size_t field, const struct sf_json *json,
                         struct sf_verdict *v)
{
    struct sf_record_nested *n = &r->nested[field];
    const struct sf_field *item = r->table->fields[field].item;
    enum sf_json_kind kind = sf_json_kind_inline(json);
    struct sf_value value = {0};

    if (kind == SF_JSON_NULL) {
        sf_record_refuse(r, field, item, SHEAF_E_WRONG_TYPE, "must not be null: it is in a list",
                         v);
        return;
    }
    if (item->type != SF_TYPE_STRUCT) {
        sf_record_take_scalar(r, item, field, json, &value, v);
    } else if (kind != SF_JSON_OBJECT) {
        sf_record_add_refused(r, field, item, SF_PARSE_SYNTAX, v);
    } else {
        read_struct(r, field, json, &n->item, v);
        take_bytes(r, &n->item, &value);
    }
    if (v->found == 0) {
        sf_record_list_add(r, field, &value);
    }
}

static void take_list(struct sf_record_reader *r, size_t field, const struct sf_json *json,
                      struct sf_value *ret, struct sf_verdict *v)
{
    size_t count = sf_json_count(json);

    if (sf_json_kind_inline(json) != SF_JSON_ARRAY) {
        sf_record_add_refused(r, field, &r->table->fields[field], SF_PARSE_SYNTAX, v);
        return;
    }
    if (count > SF_LIST_ITEMS_MAX) {
        sf_record_refuse(r, field, &r->table->fields[field], SHEAF_E_RECORD_TOO_LARGE,
                         "has more than 65536 elements", v);
        return;
    }
    sf_record_list_begin(r, field);
    sf_record_enter(r, field);
    count = 0;
    for (struct sf_json_iter it = sf_json_iter(json); sf_json_next(&it); count++) {
        sf_record_at_item(r, count);
        take_element(r, field, it.value, v);
    }
    sf_record_leave(r);
    r->nested[field].count = count; /* refused ones counted too: one error is enough */
    sf_record_list_end(r, field, ret, v);
}

static void take_json(struct sf_record_reader *r, size_t field, const struct sf_json *json,
                      struct sf_value *ret, struct sf_verdict *v)
{
    struct sf_record_nested *n = &r->nested[field];
    const struct sf_field *f = &r->table->fields[field];

    sf_buf_clear(&n->bytes);
    switch (sf_json_canon_write(json, &r->root->arena, &n->bytes)) {
    case SF_JSON_CANON_OK:
        break;
    case SF_JSON_CANON_DEEP:
        sf_record_refuse(r, field, f, SHEAF_E_RECORD_TOO_LARGE, "is more than 32 levels deep", v);
        break;
    case SF_JSON_CANON_TWICE:
        sf_record_refuse(r, field, f, SHEAF_E_RECORD_INVALID,
                         "has an object in which a name stands twice", v);
        break;
    case SF_JSON_CANON_NUMBER:
        sf_record_refuse(r, field, f, SHEAF_E_OUT_OF_RANGE,
                         "has a number of more than 100 digits, or with too large an exponent", v);
        break;
    case SF_JSON_CANON_NOMEM:
        r->root->no_memory = true;
        break;
    }
    take_bytes(r, &n->bytes, ret);
}

void sf_record_take_nested(struct sf_record_reader *r, size_t field, const struct sf_json *json,
                           struct sf_value *ret, struct sf_verdict *v)
{
    enum sf_type type = r->table->fields[field].type;

    *ret = (struct sf_value){0};
    if (sf_json_kind_inline(json) == SF_JSON_NULL) {
        return;
    }
    if (type == SF_TYPE_LIST) {
        take_list(r, field, json, ret, v);
    } else if (type == SF_TYPE_STRUCT) {
        take_struct(r, field, json, ret, v);
    } else {
        take_json(r, field, json, ret, v);
    }
}

void sf_record_take_nested_text(struct sf_record_reader *r, size_t field, struct sf_slice text,
                                struct sf_value *ret, struct sf_verdict *v)
{
    const struct sf_json *json = NULL;
    enum sf_code code = sf_json_read(&r->root->cell, text, &json, NULL);

    *ret = (struct sf_value){.present = true};
    if (code == SF_OK) {
        sf_record_take_nested(r, field, json, ret, v);
    } else if (code == SF_NOMEM) {
        r->root->no_memory = true;
    } else {
        sf_record_refuse(r, field, &r->table->fields[field], SHEAF_E_WRONG_TYPE,
                         "must be JSON text", v);
    }
}
