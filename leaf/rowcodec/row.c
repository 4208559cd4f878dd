#include "leaf/rowcodec/row.h"

#include <math.h>

#include "common/base/time.h"
#include "common/base/utf8.h"
#include "leaf/rowcodec/row_wire.h"
#include "proto/errors.h"

enum { SCALAR_BYTES_MAX = SF_PB_TAG_MAX + SF_PB_VARINT_MAX };

/* --- encode ----------------------------------------------------------------------------------- */

static inline uint8_t *put_double(uint8_t *p, double value)
{
    double d = value == 0 ? 0 : value; /* -0 is 0 */
    uint64_t bits;

    memcpy(&bits, &d, sizeof(bits));
    return sf_pb_put_fixed64(p, bits);
}

static inline uint8_t *put_float(uint8_t *p, double value)
{
    float f = value == 0 ? 0 : (float)value;
    uint32_t bits;

    memcpy(&bits, &f, sizeof(bits));
    return sf_pb_put_fixed32(p, bits);
}

static inline uint8_t *put_value(uint8_t *p, const struct sf_field *f, const struct sf_value *v)
{
    p = sf_pb_put_varint(p, sf_pb_tag(f->number, row_wire_of(f->type)));
    switch (f->type) {
    case SF_TYPE_BOOL:
        return sf_pb_put_varint(p, (uint64_t)v->i);
    case SF_TYPE_INT32:
    case SF_TYPE_INT64:
    case SF_TYPE_DECIMAL:
    case SF_TYPE_DATE:
        return sf_pb_put_varint(p, sf_pb_zigzag(v->i));
    case SF_TYPE_TIMESTAMP:
        return sf_pb_put_fixed64(p, (uint64_t)v->i);
    case SF_TYPE_FLOAT:
        return put_float(p, v->d);
    case SF_TYPE_DOUBLE:
        return put_double(p, v->d);
    case SF_TYPE_STRING:
    case SF_TYPE_BYTES:
    case SF_TYPE_UUID:
        return sf_pb_put_bytes(p, v->s);
    }
    return p;
}

enum sf_code row_encode(const struct sf_table *t, const struct sf_value *values, struct sf_buf *out,
                        struct sf_error *err)
{
    size_t bound = t->field_count * SCALAR_BYTES_MAX;
    uint8_t *start;
    uint8_t *p;

    for (size_t i = 0; i < t->field_count; i++) {
        if (values[i].present && row_wire_of(t->fields[i].type) == SF_PB_BYTES) {
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
            p = put_value(p, &t->fields[i], &values[i]);
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

static bool read_varint(const struct sf_field *f, struct sf_pb_reader *r, struct sf_value *ret)
{
    static const int64_t powers[SF_DECIMAL_DIGITS_MAX + 1] = {
        1,
        10,
        100,
        1000,
        10000,
        100000,
        1000000,
        10000000,
        100000000,
        1000000000,
        10000000000,
        100000000000,
        1000000000000,
        10000000000000,
        100000000000000,
        1000000000000000,
        10000000000000000,
        100000000000000000,
        1000000000000000000,
    };
    uint64_t raw;

    if (!sf_pb_get_varint(r, &raw)) {
        return false;
    }
    ret->i = f->type == SF_TYPE_BOOL ? (int64_t)raw : sf_pb_unzigzag(raw);
    if (f->type == SF_TYPE_BOOL) {
        return raw <= 1;
    }
    if (f->type == SF_TYPE_INT32) {
        return ret->i >= INT32_MIN && ret->i <= INT32_MAX;
    }
    if (f->type == SF_TYPE_DATE) {
        return sf_date_in_range(ret->i);
    }
    if (f->type == SF_TYPE_DECIMAL) {
        return ret->i < powers[f->precision] && ret->i > -powers[f->precision];
    }
    return true;
}

static bool is_canonical_number(double d)
{
    return isfinite(d) && !(d == 0 && signbit(d));
}

static bool read_fixed64(const struct sf_field *f, struct sf_pb_reader *r, struct sf_value *ret)
{
    uint64_t raw;

    if (!sf_pb_get_fixed64(r, &raw)) {
        return false;
    }
    if (f->type == SF_TYPE_TIMESTAMP) {
        ret->i = (int64_t)raw;
        return sf_time_in_range(ret->i);
    }
    memcpy(&ret->d, &raw, sizeof(raw));
    return is_canonical_number(ret->d);
}

static bool read_fixed32(struct sf_pb_reader *r, struct sf_value *ret)
{
    uint32_t raw;
    float f;

    if (!sf_pb_get_fixed32(r, &raw)) {
        return false;
    }
    memcpy(&f, &raw, sizeof(raw));
    ret->d = (double)f;
    return is_canonical_number(ret->d);
}

bool row_read_value(const struct sf_field *f, struct sf_pb_reader *r, struct sf_value *ret)
{
    *ret = (struct sf_value){.present = true};
    switch (row_wire_of(f->type)) {
    case SF_PB_VARINT:
        return read_varint(f, r, ret);
    case SF_PB_FIXED64:
        return read_fixed64(f, r, ret);
    case SF_PB_FIXED32:
        return read_fixed32(r, ret);
    case SF_PB_BYTES:
        return sf_pb_get_bytes(r, &ret->s) && (f->type != SF_TYPE_UUID || ret->s.size == 16);
    }
    return false;
}

enum sf_code row_raise_corrupt(const struct sf_table *t, struct sf_slice row, const uint8_t *at,
                               const char *what, struct sf_error *err)
{
    return SF_RAISE(err, SF_CORRUPT, "row of table '%s', byte %zu: %s", t->name,
                    (size_t)(at - row.data), what);
}

enum sf_code row_decode(const struct sf_table *t, struct sf_slice row, struct sf_value *values,
                        struct sf_error *err)
{
    struct row_walk w = {.r = sf_pb_reader_of(row)};
    size_t i = 0;

    memset(values, 0, t->field_count * sizeof(*values));
    while (row_next(&w)) {
        while (i < t->field_count && t->fields[i].number < w.number) {
            i++;
        }
        if (i == t->field_count || t->fields[i].number != w.number) {
            return row_raise_corrupt(t, row, w.start, "a field that is not in the table", err);
        }
        if (w.wire != row_wire_of(t->fields[i].type)) {
            return row_raise_corrupt(t, row, w.start, "a field of another type", err);
        }
        if (!row_read_value(&t->fields[i], &w.r, &values[i])) {
            return row_raise_corrupt(t, row, w.start, "a value that is not canonical", err);
        }
        if (t->fields[i].type == SF_TYPE_STRING && !sf_utf8_is_valid(values[i].s)) {
            return row_raise_corrupt(t, row, w.start, "text that is not UTF-8", err);
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
    struct row_walk w = {.r = sf_pb_reader_of(row)};
    struct sf_value value = {0};

    while (row_next(&w) && w.number <= f->number) {
        bool wanted = w.number == f->number;

        if (wanted ? w.wire != row_wire_of(f->type) || !row_read_value(f, &w.r, &value)
                   : !sf_pb_skip(&w.r, w.wire)) {
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

/* --- project ---------------------------------------------------------------------------------- */

enum sf_code row_project(const struct row_view *view, struct sf_slice row, struct sf_buf *out,
                         struct sf_error *err)
{
    const struct row_column *column = view->columns;
    const struct row_column *end = column + view->column_count;
    struct row_walk w = {.r = sf_pb_reader_of(row)};
    uint8_t *start = sf_buf_reserve(out, row.size);
    uint8_t *p = start;
    const uint8_t *kept = row.data; /* fields from here to the walk are to be copied */

    if (start == NULL) {
        return sf_buf_check(out, "row", err);
    }
    while (row_next(&w)) {
        while (column < end && column->number < w.number) {
            column++;
        }
        if (!sf_pb_skip(&w.r, w.wire)) {
            return row_raise_corrupt(view->table, row, w.start, "a value that is not canonical",
                                     err);
        }
        if (column == end || column->number != w.number) {
            memcpy(p, kept, (size_t)(w.start - kept));
            p += w.start - kept;
            kept = w.r.p;
        } else if (w.wire != row_wire_of(column->field->type)) {
            return row_raise_corrupt(view->table, row, w.start, "a field of another type", err);
        }
    }
    if (!sf_pb_at_end(&w.r)) {
        return row_raise_corrupt(view->table, row, w.start, "no valid tag, or one out of order",
                                 err);
    }
    memcpy(p, kept, (size_t)(w.r.end - kept));
    p += w.r.end - kept;
    out->size += (size_t)(p - start);
    return SF_OK;
}
