/* The part of row.h that reads rows of another version of their contract. */
#include "leaf/rowcodec/row.h"
#include "leaf/rowcodec/row_wire.h"

static const struct sf_table *shape_of(const struct sf_field *f)
{
    return f->type == SF_TYPE_LIST ? f->item->shape : f->shape;
}

static bool renew(const struct sf_table *shape, struct sf_slice bytes, struct sf_buf *out);

/* Structs may be SF_STRUCT_DEPTH_MAX deep, and so may the calls. */
static bool put_struct(const struct sf_field *f, struct sf_slice bytes, struct sf_buf *out)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf inner = {0};
    uint8_t *p;

    if (!renew(shape_of(f), bytes, &inner)) {
        return false;
    }
    p = inner.failed == SF_OK ? sf_buf_reserve(out, SF_PB_TAG_MAX + SF_PB_VARINT_MAX + inner.size)
                              : NULL;
    if (p == NULL) {
        out->failed = out->failed == SF_OK ? inner.failed : out->failed;
        return true;
    }
    p = sf_pb_put_varint(p, sf_pb_tag(f->number, SF_PB_BYTES));
    p = sf_pb_put_bytes(p, sf_buf_view(&inner));
    out->size = (size_t)(p - out->data);
    return true;
}

/* The field that the walk is at, which holds structs. */
static bool put_structs(const struct sf_field *f, struct sf_wire_walk *w, struct sf_buf *out)
{
    struct sf_value value = {0};
    struct sf_wire_items it;
    struct sf_value item;

    if (w->wire != SF_PB_BYTES || !sf_wire_get(f, &w->r, &value)) {
        return false;
    }
    if (f->type == SF_TYPE_STRUCT) {
        return put_struct(f, value.s, out);
    }
    it = sf_wire_items_of(f, value.s);
    while (sf_wire_next_item(&it, &item)) {
        if (!put_struct(f, item.s, out)) {
            return false;
        }
    }
    return sf_pb_at_end(&it.r);
}

static bool renew(const struct sf_table *shape, struct sf_slice bytes, struct sf_buf *out)
{
    struct sf_wire_walk w = {.r = sf_pb_reader_of(bytes)};
    size_t i = 0;

    while (sf_wire_next(&w)) {
        const struct sf_field *f;

        while (i < shape->field_count && shape->fields[i].number < w.number) {
            i++;
        }
        f = i < shape->field_count && shape->fields[i].number == w.number ? &shape->fields[i]
                                                                          : NULL;
        if (f != NULL && shape_of(f) != NULL) {
            if (!put_structs(f, &w, out)) {
                return false;
            }
        } else if (!sf_wire_skip(&w)) {
            return false;
        } else if (f != NULL) {
            sf_buf_append(out, w.start, (size_t)(w.r.p - w.start));
        }
    }
    return sf_pb_at_end(&w.r);
}

enum sf_code row_decode_old(const struct sf_table *t, struct sf_slice row, struct sf_buf *renewed,
                            struct sf_value *values, struct sf_error *err)
{
    enum sf_code code = row_decode(t, row, values, err);

    if (code != SF_CORRUPT) { /* As nearly always. */
        return code;
    }
    sf_buf_clear(renewed);
    if (!renew(t, row, renewed)) {
        return row_raise_corrupt(t, row, row.data, "a value that is not canonical", err);
    }
    code = sf_buf_check(renewed, "row", err);
    return code == SF_OK ? row_decode(t, sf_buf_view(renewed), values, err) : code;
}
