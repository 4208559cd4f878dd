/* The part of row.h that writes what is inside structs and lists. */
#include "common/wire/json.h"
#include "leaf/rowcodec/row.h"
#include "leaf/rowcodec/row_wire.h"

static bool put_any(const struct sf_field *f, const struct sf_value *v, struct sf_buf *out)
{
    if (f->type == SF_TYPE_LIST || f->type == SF_TYPE_STRUCT) {
        return row_put_nested(f, v, out);
    }
    row_render_value_json(f, v, out);
    return true;
}

static bool put_list(const struct sf_field *f, struct sf_slice bytes, struct sf_buf *out)
{
    struct sf_wire_items it = sf_wire_items_of(f, bytes);
    struct sf_value item;
    uint8_t before = '[';

    while (sf_wire_next_item(&it, &item)) {
        sf_buf_byte(out, before);
        before = ',';
        if (!put_any(it.item, &item, out)) {
            return false;
        }
    }
    sf_buf_text(out, before == '[' ? "[]" : "]");
    return sf_pb_at_end(&it.r);
}

static void put_label(const struct sf_field *f, bool first, struct sf_buf *out)
{
    /* Names of fields need no escapes: [a-z0-9_]. */
    sf_buf_text(out, first ? "{\"" : ",\"");
    sf_buf_text(out, f->name);
    sf_buf_text(out, "\":");
}

/* Fields that the shape has not are of another version: they do not leave, as outside structs. */
static bool put_struct(const struct sf_table *shape, struct sf_slice bytes, struct sf_buf *out)
{
    struct sf_wire_walk w = {.r = sf_pb_reader_of(bytes)};
    bool more = sf_wire_next(&w);

    for (size_t i = 0; i < shape->field_count; i++) {
        const struct sf_field *f = &shape->fields[i];
        struct sf_value value = {0};

        put_label(f, i == 0, out);
        while (more && w.number < f->number) {
            if (!sf_wire_skip(&w)) {
                return false;
            }
            more = sf_wire_next(&w);
        }
        if (more && w.number == f->number) {
            if (w.wire != sf_wire_of(f->type) || !sf_wire_get(f, &w.r, &value)) {
                return false;
            }
            more = sf_wire_next(&w);
        }
        if (!put_any(f, &value, out)) {
            return false;
        }
    }
    while (more) {
        if (!sf_wire_skip(&w)) {
            return false;
        }
        more = sf_wire_next(&w);
    }
    sf_buf_text(out, shape->field_count == 0 ? "{}" : "}");
    return sf_pb_at_end(&w.r);
}

bool row_put_nested(const struct sf_field *f, const struct sf_value *v, struct sf_buf *out)
{
    if (f->type == SF_TYPE_LIST) {
        return put_list(f, v->present ? v->s : sf_slice_of(NULL, 0), out);
    }
    if (!v->present) {
        sf_buf_text(out, "null");
        return true;
    }
    return put_struct(f->shape, v->s, out);
}
