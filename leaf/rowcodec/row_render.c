/* The part of row.h that writes text. */
#include "leaf/rowcodec/row.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/assert.h"
#include "common/base/decimal.h"
#include "common/base/str.h"
#include "common/base/time.h"
#include "common/contract/value.h"
#include "common/wire/base64.h"
#include "common/wire/json.h"
#include "common/wire/json_text.h"
#include "leaf/rowcodec/row_wire.h"

/* Most characters of a value of fixed size, with quotes and a terminator: of a wide decimal. */
enum { SCALAR_TEXT_MAX = 48 };

/*
 * The shortest text that our reader turns into this float again: 0.1, where the double that holds
 * it would be 0.10000000149011612. Nine digits are always enough.
 */
static size_t format_float(double value, char *ret)
{
    double rounded = value;

    for (int digits = 6; digits <= 9; digits++) {
        char text[SF_DOUBLE_TEXT_SIZE];

        (void)snprintf(text, sizeof(text), "%.*g", digits, value);
        rounded = strtod(text, NULL);
        if ((double)(float)rounded == value) {
            break;
        }
    }
    return sf_format_double(rounded, ret);
}

/* As sf_decimal_format(), for the path of every row: without printf. */
static uint8_t *put_decimal(uint8_t *p, int64_t unscaled, unsigned scale)
{
    uint64_t left = unscaled < 0 ? -(uint64_t)unscaled : (uint64_t)unscaled;
    uint8_t digits[SF_DECIMAL_TEXT_SIZE];
    unsigned n = 0;

    while (left != 0 || n <= scale) {
        digits[n++] = (uint8_t)('0' + left % 10);
        left /= 10;
    }
    if (unscaled < 0) {
        *p++ = '-';
    }
    while (n > 0) {
        if (n == scale) {
            *p++ = '.';
        }
        *p++ = digits[--n];
    }
    return p;
}

static uint8_t *put_text(uint8_t *p, const char *text)
{
    size_t size = strlen(text);

    memcpy(p, text, size);
    return p + size;
}

/* A value of fixed size, without quotes. */
static inline uint8_t *put_scalar(uint8_t *p, const struct sf_field *f, const struct sf_value *v)
{
    char *text = (char *)p;

    switch (f->type) {
    case SF_TYPE_BOOL:
        return put_text(p, v->i != 0 ? "true" : "false");
    case SF_TYPE_INT32:
    case SF_TYPE_INT64:
        return sf_json_write_int(p, v->i);
    case SF_TYPE_FLOAT:
        return p + format_float(v->d, text);
    case SF_TYPE_DOUBLE:
        return p + sf_format_double(v->d, text);
    case SF_TYPE_DECIMAL:
        return put_decimal(p, v->i, f->scale);
    case SF_TYPE_DATE:
        return p + sf_date_format(v->i, text);
    case SF_TYPE_TIMESTAMP:
        return p + sf_time_format(v->i, text);
    case SF_TYPE_UUID:
        sf_uuid_format(v->s.data, text);
        return p + 36;
    case SF_TYPE_DECIMAL_WIDE:
        return p + sf_decimal_wide_format(v->s.data, f->scale, text);
    case SF_TYPE_STRING:
    case SF_TYPE_BYTES:
    case SF_TYPE_JSON:
    case SF_TYPE_LIST:
    case SF_TYPE_STRUCT:
        break;
    }
    return p;
}

static inline bool is_bare(enum sf_type type)
{
    return type == SF_TYPE_BOOL || type == SF_TYPE_INT32 || type == SF_TYPE_INT64 ||
           type == SF_TYPE_FLOAT || type == SF_TYPE_DOUBLE;
}

/* Writes a scalar as JSON. */
static inline uint8_t *put_json_scalar(uint8_t *p, const struct sf_field *f,
                                       const struct sf_value *v)
{
    if (is_bare(f->type)) {
        return put_scalar(p, f, v);
    }
    *p++ = '"';
    p = put_scalar(p, f, v);
    *p++ = '"';
    return p;
}

void row_render_value_json(const struct sf_field *f, const struct sf_value *v, struct sf_buf *out)
{
    uint8_t *p;

    if (f->type == SF_TYPE_LIST || f->type == SF_TYPE_STRUCT) {
        /* Values were checked when they were read: bytes that are none do not come here. */
        (void)!row_put_nested(f, v, out);
    } else if (!v->present) {
        sf_buf_text(out, "null");
    } else if (f->type == SF_TYPE_JSON) {
        sf_buf_slice(out, v->s);
    } else if (f->type == SF_TYPE_STRING) {
        sf_json_put_string(out, v->s);
    } else if (f->type == SF_TYPE_BYTES) {
        sf_json_put_base64(out, v->s);
    } else {
        p = sf_buf_reserve(out, SCALAR_TEXT_MAX);
        if (p != NULL) {
            out->size += (size_t)(put_json_scalar(p, f, v) - p);
        }
    }
}

/* --- JSON ------------------------------------------------------------------------------------- */

/*
 * Text in the making. @room bytes behind p are sure to be there: for every column its label and
 * SCALAR_TEXT_MAX, and for strings and bytes as much as they take without escapes. Only a string
 * with escapes asks for more.
 */
struct render {
    struct sf_buf *out;
    size_t start; /* of the text in out */
    uint8_t *p;
    size_t room;
};

static bool begin(struct render *r, struct sf_buf *out, size_t room)
{
    *r = (struct render){.out = out, .start = out->size, .room = room};
    r->p = sf_buf_reserve(out, room);
    return r->p != NULL;
}

/* Makes room for @more than was reckoned with. */
static bool extend(struct render *r, size_t more)
{
    size_t used = (size_t)(r->p - (r->out->data + r->start));

    r->room += more;
    r->p = sf_buf_reserve(r->out, r->room);
    if (r->p == NULL) {
        return false;
    }
    r->p += used;
    return true;
}

static inline bool put_string(struct render *r, struct sf_slice s)
{
    size_t size = sf_json_string_size(s);

    if (size > s.size + 2 && !extend(r, size - s.size - 2)) {
        return false;
    }
    r->p = sf_json_write_string(r->p, s, size);
    return true;
}

/* A struct or list, whose text nothing was reckoned for. */
static enum sf_code put_nested(struct render *r, const struct sf_field *f, const struct sf_value *v)
{
    size_t used = (size_t)(r->p - (r->out->data + r->start));
    size_t written;
    bool whole;

    r->out->size = r->start + used;
    whole = row_put_nested(f, v, r->out);
    written = r->out->size - r->start - used;
    r->out->size = r->start;
    if (!whole) {
        return SF_CORRUPT;
    }
    r->room += written;
    r->p = sf_buf_reserve(r->out, r->room);
    if (r->p == NULL) {
        return SF_NOMEM;
    }
    r->p += used + written;
    return SF_OK;
}

/* SF_OK, SF_CORRUPT, or SF_NOMEM: out has failed. */
static inline enum sf_code put_json_value(struct render *r, const struct sf_field *f,
                                          const struct sf_value *v)
{
    if (f->type == SF_TYPE_STRING) {
        return put_string(r, v->s) ? SF_OK : SF_NOMEM;
    }
    if (f->type == SF_TYPE_LIST || f->type == SF_TYPE_STRUCT) {
        return put_nested(r, f, v);
    }
    if (f->type == SF_TYPE_JSON) {
        memcpy(r->p, v->s.data, v->s.size);
        r->p += v->s.size;
    } else if (f->type == SF_TYPE_BYTES) {
        *r->p++ = '"';
        r->p = sf_base64_write(r->p, v->s);
        *r->p++ = '"';
    } else {
        r->p = put_json_scalar(r->p, f, v);
    }
    return SF_OK;
}

/* Labels, and null for the columns up to @end, which the row does not have; lists are empty. */
static inline uint8_t *put_nulls(uint8_t *p, const struct row_column *column,
                                 const struct row_column *end)
{
    for (; column < end; column++) {
        memcpy(p, column->label, column->label_size);
        p += column->label_size;
        if (column->field->type == SF_TYPE_LIST) {
            memcpy(p, "[]", 2);
            p += 2;
        } else {
            memcpy(p, "null", 4);
            p += 4;
        }
    }
    return p;
}

static enum sf_code render_columns(const struct row_view *view, struct sf_slice row,
                                   struct render *r, struct sf_error *err)
{
    const struct row_column *column = view->columns;
    const struct row_column *end = column + view->column_count;
    struct sf_wire_walk w = {.r = sf_pb_reader_of(row)};
    struct sf_value value;
    enum sf_code code;

    while (sf_wire_next(&w)) {
        const struct row_column *next = column;

        while (next < end && next->number < w.number) {
            next++;
        }
        r->p = put_nulls(r->p, column, next);
        column = next;
        if (column == end || column->number != w.number) {
            if (!sf_wire_skip(&w)) {
                return row_raise_corrupt(view->table, row, w.start, "a value that is not canonical",
                                         err);
            }
            continue;
        }
        memcpy(r->p, column->label, column->label_size);
        r->p += column->label_size;
        code = w.wire == sf_wire_of(column->field->type) && sf_wire_get(column->field, &w.r, &value)
                   ? put_json_value(r, column->field, &value)
                   : SF_CORRUPT;
        if (code != SF_OK) {
            return code != SF_CORRUPT ? sf_buf_check(r->out, "row", err)
                                      : row_raise_corrupt(view->table, row, w.start,
                                                          "a value that is not canonical", err);
        }
        column++;
    }
    if (!sf_pb_at_end(&w.r)) {
        return row_raise_corrupt(view->table, row, w.start, "no valid tag, or one out of order",
                                 err);
    }
    r->p = put_nulls(r->p, column, end);
    return SF_OK;
}

enum sf_code row_render_json(const struct row_view *view, struct sf_slice row, struct sf_buf *out,
                             struct sf_error *err)
{
    struct render r;
    enum sf_code code;

    if (!begin(&r, out,
               view->label_bytes + view->column_count * SCALAR_TEXT_MAX + row.size / 3 * 4 + 8)) {
        return sf_buf_check(out, "row", err);
    }
    if (view->column_count == 0) {
        *r.p++ = '{';
    }
    code = render_columns(view, row, &r, err);
    if (code != SF_OK) {
        return code;
    }
    sf_assert(r.p != NULL && out->data != NULL);
    *r.p++ = '}';
    /* The first label's comma has no value before it. */
    out->data[r.start] = '{';
    out->size = (size_t)(r.p - out->data);
    return SF_OK;
}

/* --- CSV -------------------------------------------------------------------------------------- */

static bool needs_quotes(struct sf_slice s)
{
    for (size_t i = 0; i < s.size; i++) {
        uint8_t c = s.data[i];

        if (c == ',' || c == '"' || c == '\n' || c == '\r') {
            return true;
        }
    }
    return s.size == 0;
}

static void put_csv_string(struct sf_buf *out, struct sf_slice s)
{
    if (!needs_quotes(s)) {
        sf_buf_slice(out, s);
        return;
    }
    sf_buf_byte(out, '"');
    while (s.size > 0) {
        const uint8_t *quote = memchr(s.data, '"', s.size);
        size_t size = quote == NULL ? s.size : (size_t)(quote - s.data) + 1;

        sf_buf_append(out, s.data, size);
        if (quote != NULL) {
            sf_buf_byte(out, '"');
        }
        s = sf_slice_of(s.data + size, s.size - size);
    }
    sf_buf_byte(out, '"');
}

/* Puts what was appended from @start on into quotes, where it needs them. */
static void quote_appended(struct sf_buf *out, size_t start)
{
    struct sf_slice text = sf_slice_of(out->data + start, out->size - start);
    size_t quotes = 2;
    uint8_t *to;

    if (out->failed != SF_OK || !needs_quotes(text)) {
        return;
    }
    for (size_t i = 0; i < text.size; i++) {
        quotes += text.data[i] == '"';
    }
    to = sf_buf_reserve(out, quotes);
    if (to == NULL) {
        return;
    }
    to += quotes;
    *--to = '"';
    for (size_t i = text.size; i-- > 0;) {
        uint8_t c = out->data[start + i];

        *--to = c;
        if (c == '"') {
            *--to = '"';
        }
    }
    *--to = '"';
    out->size += quotes;
}

/* A struct, a list or json: its JSON text. */
static bool put_csv_json(struct sf_buf *out, const struct sf_field *f, const struct sf_value *v)
{
    size_t start = out->size;

    if (f->type == SF_TYPE_JSON) {
        sf_buf_slice(out, v->s);
    } else if (!row_put_nested(f, v, out)) {
        return false;
    }
    quote_appended(out, start);
    return true;
}

/* False: the value is not canonical. */
static bool put_csv_value(struct sf_buf *out, const struct sf_field *f, const struct sf_value *v)
{
    uint8_t *p;

    if (f->type == SF_TYPE_JSON || !sf_type_is_scalar(f->type)) {
        return put_csv_json(out, f, v);
    }
    if (f->type == SF_TYPE_STRING) {
        put_csv_string(out, v->s);
    } else if (f->type == SF_TYPE_BYTES && v->s.size == 0) {
        sf_buf_text(out, "\"\"");
    } else if (f->type == SF_TYPE_BYTES) {
        p = sf_buf_reserve(out, sf_base64_size(v->s.size));
        if (p != NULL) {
            out->size += (size_t)(sf_base64_write(p, v->s) - p);
        }
    } else {
        p = sf_buf_reserve(out, SCALAR_TEXT_MAX);
        if (p != NULL) {
            out->size += (size_t)(put_scalar(p, f, v) - p);
        }
    }
    return true;
}

/* Cells of columns the row does not have: null, or no elements. */
static void put_absent(const struct sf_field *f, struct sf_buf *out)
{
    sf_buf_text(out, f->type == SF_TYPE_LIST ? "[]," : ",");
}

static enum sf_code render_cells(const struct row_view *view, struct sf_slice row,
                                 struct sf_buf *out, struct sf_error *err)
{
    struct sf_wire_walk w = {.r = sf_pb_reader_of(row)};
    struct sf_value value;
    size_t i = 0;

    while (sf_wire_next(&w)) {
        for (; i < view->column_count && view->columns[i].number < w.number; i++) {
            put_absent(view->columns[i].field, out);
        }
        if (i == view->column_count || view->columns[i].number != w.number) {
            if (!sf_wire_skip(&w)) {
                return row_raise_corrupt(view->table, row, w.start, "a value that is not canonical",
                                         err);
            }
            continue;
        }
        if (w.wire != sf_wire_of(view->columns[i].field->type) ||
            !sf_wire_get(view->columns[i].field, &w.r, &value) ||
            !put_csv_value(out, view->columns[i].field, &value)) {
            return row_raise_corrupt(view->table, row, w.start, "a value that is not canonical",
                                     err);
        }
        sf_buf_byte(out, ',');
        i++;
    }
    if (!sf_pb_at_end(&w.r)) {
        return row_raise_corrupt(view->table, row, w.start, "no valid tag, or one out of order",
                                 err);
    }
    for (; i < view->column_count; i++) {
        put_absent(view->columns[i].field, out);
    }
    return SF_OK;
}

/* Every cell was given a comma; the last one's becomes the line end. */
static void end_line(const struct row_view *view, struct sf_buf *out)
{
    if (view->column_count == 0) {
        sf_buf_byte(out, '\n');
    } else if (out->failed == SF_OK) {
        out->data[out->size - 1] = '\n';
    }
}

enum sf_code row_render_csv(const struct row_view *view, struct sf_slice row, struct sf_buf *out,
                            struct sf_error *err)
{
    size_t start = out->size;
    enum sf_code code = render_cells(view, row, out, err);

    if (code == SF_OK) {
        end_line(view, out);
        code = sf_buf_check(out, "row", err);
    }
    if (code != SF_OK) {
        out->size = start;
    }
    return code;
}

void row_render_csv_header(const struct row_view *view, struct sf_buf *out)
{
    for (size_t i = 0; i < view->column_count; i++) {
        sf_buf_text(out, view->columns[i].field->name);
        sf_buf_byte(out, ',');
    }
    end_line(view, out);
}
