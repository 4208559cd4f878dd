#include "leaf/rowcodec/row.h"

#include "leaf/rowcodec/row_wire.h"
#include "proto/errors.h"

enum sf_code row_encode(const struct sf_table *t, const struct sf_value *values, struct sf_buf *out,
                        struct sf_error *err)
{
    size_t bound = t->field_count * (SF_PB_TAG_MAX + SF_PB_VARINT_MAX);
    uint8_t *start;
    uint8_t *p;

    for (size_t i = 0; i < t->field_count; i++) {
        if (values[i].present && sf_wire_of(t->fields[i].type) == SF_PB_BYTES) {
            bound += values[i].s.size;
        }
    }
    start = sf_buf_reserve(out, bound);
    if (start == NULL) {
        return sf_buf_check(out, "row", err);
    }
    p = start;
    for (size_t i = 0; i < t->field_count; i++) {
        if (values[i].present) {
            p = sf_wire_put(p, &t->fields[i], &values[i]);
        }
    }
    if (p - start > SF_ROW_BYTES_MAX) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_RECORD_TOO_LARGE,
                          "the row is larger than %d bytes", SF_ROW_BYTES_MAX);
    }
    out->size += (size_t)(p - start);
    return SF_OK;
}

/* --- decode ----------------------------------------------------------------------------------- */

enum sf_code row_raise_corrupt(const struct sf_table *t, struct sf_slice row, const uint8_t *at,
                               const char *what, struct sf_error *err)
{
    return SF_RAISE(err, SF_CORRUPT, "row of table '%s', byte %zu: %s", t->name,
                    (size_t)(at - row.data), what);
}

enum sf_code row_decode(const struct sf_table *t, struct sf_slice row, struct sf_value *values,
                        struct sf_error *err)
{
    struct sf_wire_walk w = {.r = sf_pb_reader_of(row)};
    size_t i = 0;

    memset(values, 0, t->field_count * sizeof(*values));
    while (sf_wire_next(&w)) {
        while (i < t->field_count && t->fields[i].number < w.number) {
            i++;
        }
        if (i == t->field_count || t->fields[i].number != w.number) {
            return row_raise_corrupt(t, row, w.start, "a field that is not in the table", err);
        }
        if (w.wire != sf_wire_of(t->fields[i].type)) {
            return row_raise_corrupt(t, row, w.start, "a field of another type", err);
        }
        if (!sf_wire_get(&t->fields[i], &w.r, &values[i])) {
            return row_raise_corrupt(t, row, w.start, "a value that is not canonical", err);
        }
        if (w.wire == SF_PB_BYTES && !sf_wire_check(&t->fields[i], &values[i])) {
            return row_raise_corrupt(t, row, w.start,
                                     t->fields[i].type == SF_TYPE_STRING
                                         ? "text that is not UTF-8"
                                         : "a value that is not canonical",
                                     err);
        }
    }
    if (!sf_pb_at_end(&w.r)) {
        return row_raise_corrupt(t, row, w.start, "no valid tag, or one out of order", err);
    }
    return SF_OK;
}

enum sf_code row_get(const struct sf_table *t, struct sf_slice row, size_t field,
                     struct sf_value *ret, struct sf_error *err)
{
    const struct sf_field *f = &t->fields[field];
    struct sf_wire_walk w = {.r = sf_pb_reader_of(row)};
    struct sf_value value = {0};

    while (sf_wire_next(&w) && w.number <= f->number) {
        bool wanted = w.number == f->number;

        if (wanted ? w.wire != sf_wire_of(f->type) || !sf_wire_get(f, &w.r, &value)
                   : !sf_wire_skip(&w)) {
            return row_raise_corrupt(t, row, w.start, "a value that is not canonical", err);
        }
        if (wanted) {
            break;
        }
    }
    if (!value.present && w.number <= f->number && !sf_pb_at_end(&w.r)) {
        return row_raise_corrupt(t, row, w.start, "no valid tag, or one out of order", err);
    }
    *ret = value;
    return SF_OK;
}
