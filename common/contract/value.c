#include "common/contract/value.h"

#include <math.h>

#include "common/base/decimal.h"
#include "common/base/time.h"
#include "common/wire/base64.h"

static enum sf_parse parse_bool(struct sf_slice text, struct sf_value *v)
{
    v->i = sf_slice_equal(text, SF_LITERAL("true"));
    return v->i == 1 || sf_slice_equal(text, SF_LITERAL("false")) ? SF_PARSE_OK : SF_PARSE_SYNTAX;
}

static enum sf_parse parse_int32(struct sf_slice text, struct sf_value *v)
{
    enum sf_parse parsed = sf_parse_i64(text, &v->i);

    return parsed == SF_PARSE_OK && (v->i < INT32_MIN || v->i > INT32_MAX) ? SF_PARSE_RANGE
                                                                           : parsed;
}

static enum sf_parse parse_float(struct sf_slice text, struct sf_value *v)
{
    enum sf_parse parsed = sf_parse_double(text, &v->d);

    if (parsed == SF_PARSE_OK) {
        float narrow = (float)v->d;

        v->d = narrow == 0 ? 0 : (double)narrow; /* a tiny negative number would give -0 */
        return isfinite(narrow) ? SF_PARSE_OK : SF_PARSE_RANGE;
    }
    return parsed;
}

static enum sf_parse parse_date(const struct sf_field *f, struct sf_slice text, struct sf_value *v)
{
    int32_t days = 0;
    enum sf_parse parsed =
        f->parse != NULL ? sf_date_parse_as(text, f->parse, &days) : sf_date_parse(text, &days);

    v->i = days;
    return parsed;
}

static enum sf_parse parse_bytes(struct sf_slice text, struct sf_arena *scratch, struct sf_value *v)
{
    uint8_t *bytes = sf_arena_alloc(scratch, text.size / 4 * 3 + 1);
    size_t size = 0;

    if (bytes == NULL) {
        return SF_PARSE_RANGE;
    }
    if (!sf_base64_read(text, bytes, &size)) {
        return SF_PARSE_SYNTAX;
    }
    v->s = sf_slice_of(bytes, size);
    return SF_PARSE_OK;
}

static enum sf_parse parse_uuid(struct sf_slice text, struct sf_arena *scratch, struct sf_value *v)
{
    uint8_t *bytes = sf_arena_alloc(scratch, 16);

    if (bytes == NULL) {
        return SF_PARSE_RANGE;
    }
    v->s = sf_slice_of(bytes, 16);
    return sf_uuid_parse(text, bytes) ? SF_PARSE_OK : SF_PARSE_SYNTAX;
}

static enum sf_parse parse_wide(const struct sf_field *f, struct sf_slice text,
                                struct sf_arena *scratch, struct sf_value *v)
{
    uint8_t *bytes = sf_arena_alloc(scratch, SF_DECIMAL_WIDE_SIZE);

    if (bytes == NULL) {
        return SF_PARSE_RANGE;
    }
    v->s = sf_slice_of(bytes, SF_DECIMAL_WIDE_SIZE);
    return sf_decimal_wide_parse(text, f->precision, f->scale, bytes);
}

static enum sf_parse parse_typed(const struct sf_field *f, struct sf_slice text,
                                 struct sf_arena *scratch, struct sf_value *v)
{
    switch (f->type) {
    case SF_TYPE_BOOL:
        return parse_bool(text, v);
    case SF_TYPE_INT32:
        return parse_int32(text, v);
    case SF_TYPE_INT64:
        return sf_parse_i64(text, &v->i);
    case SF_TYPE_FLOAT:
        return parse_float(text, v);
    case SF_TYPE_DOUBLE:
        return sf_parse_double(text, &v->d);
    case SF_TYPE_DECIMAL:
        return sf_decimal_parse(text, f->precision, f->scale, &v->i);
    case SF_TYPE_STRING:
        v->s = text;
        return SF_PARSE_OK;
    case SF_TYPE_BYTES:
        return parse_bytes(text, scratch, v);
    case SF_TYPE_DATE:
        return parse_date(f, text, v);
    case SF_TYPE_TIMESTAMP:
        return f->parse != NULL ? sf_time_parse_as(text, f->parse, &v->i)
                                : sf_time_parse(text, &v->i);
    case SF_TYPE_UUID:
        return parse_uuid(text, scratch, v);
    case SF_TYPE_DECIMAL_WIDE:
        return parse_wide(f, text, scratch, v);
    case SF_TYPE_JSON:
    case SF_TYPE_LIST:
    case SF_TYPE_STRUCT:
        break; /* no values of these stand in a contract */
    }
    return SF_PARSE_SYNTAX;
}

enum sf_parse sf_value_parse(const struct sf_field *f, struct sf_slice text,
                             struct sf_arena *scratch, struct sf_value *ret)
{
    struct sf_value v = {.present = true};
    enum sf_parse parsed = parse_typed(f, text, scratch, &v);

    if (parsed == SF_PARSE_OK) {
        *ret = v;
    }
    return parsed;
}

static void format_bytes(struct sf_slice bytes, struct sf_buf *out)
{
    uint8_t *room = sf_buf_reserve(out, sf_base64_size(bytes.size));

    if (room != NULL) {
        (void)sf_base64_write(room, bytes);
        out->size += sf_base64_size(bytes.size);
    }
}

void sf_value_format(const struct sf_field *f, const struct sf_value *v, struct sf_buf *out)
{
    char text[64];

    switch (f->type) {
    case SF_TYPE_BOOL:
        sf_buf_text(out, v->i != 0 ? "true" : "false");
        return;
    case SF_TYPE_INT32:
    case SF_TYPE_INT64:
        sf_buf_printf(out, "%lld", (long long)v->i);
        return;
    case SF_TYPE_FLOAT:
        sf_buf_append(out, text, sf_format_float((float)v->d, text));
        return;
    case SF_TYPE_DOUBLE:
        sf_buf_append(out, text, sf_format_double(v->d, text));
        return;
    case SF_TYPE_DECIMAL:
        sf_buf_append(out, text, sf_decimal_format(v->i, f->scale, text));
        return;
    case SF_TYPE_STRING:
        sf_buf_slice(out, v->s);
        return;
    case SF_TYPE_BYTES:
        format_bytes(v->s, out);
        return;
    case SF_TYPE_DATE:
        sf_buf_append(out, text, sf_date_format(v->i, text));
        return;
    case SF_TYPE_TIMESTAMP:
        sf_buf_append(out, text, sf_time_format(v->i, text));
        return;
    case SF_TYPE_UUID:
        sf_uuid_format(v->s.data, text);
        sf_buf_text(out, text);
        return;
    case SF_TYPE_DECIMAL_WIDE:
        sf_buf_append(out, text, sf_decimal_wide_format(v->s.data, f->scale, text));
        return;
    case SF_TYPE_JSON:
        sf_buf_slice(out, v->s);
        return;
    case SF_TYPE_LIST:
    case SF_TYPE_STRUCT:
        return; /* leaf/rowcodec renders them */
    }
}

int sf_value_compare(enum sf_type type, const struct sf_value *a, const struct sf_value *b)
{
    switch (type) {
    case SF_TYPE_BOOL:
    case SF_TYPE_INT32:
    case SF_TYPE_INT64:
    case SF_TYPE_DECIMAL:
    case SF_TYPE_DATE:
    case SF_TYPE_TIMESTAMP:
        return (a->i > b->i) - (a->i < b->i);
    case SF_TYPE_FLOAT:
    case SF_TYPE_DOUBLE:
        return (a->d > b->d) - (a->d < b->d);
    case SF_TYPE_STRING:
    case SF_TYPE_BYTES:
    case SF_TYPE_UUID:
    case SF_TYPE_JSON:
    case SF_TYPE_LIST:
    case SF_TYPE_STRUCT:
        return sf_slice_compare(a->s, b->s);
    case SF_TYPE_DECIMAL_WIDE:
        return sf_decimal_wide_compare(a->s.data, b->s.data);
    }
    return 0;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool is_uuid_dash(size_t at)
{
    return at == 8 || at == 13 || at == 18 || at == 23;
}

bool sf_uuid_parse(struct sf_slice text, uint8_t ret[16])
{
    uint8_t bytes[16];
    size_t count = 0;

    if (text.size != 36) {
        return false;
    }
    for (size_t at = 0; at < 36;) {
        int high;
        int low;

        if (is_uuid_dash(at)) {
            if (text.data[at] != '-') {
                return false;
            }
            at++;
            continue;
        }
        high = hex_digit(text.data[at]);
        low = hex_digit(text.data[at + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        bytes[count++] = (uint8_t)(high * 16 + low);
        at += 2;
    }
    memcpy(ret, bytes, sizeof(bytes));
    return true;
}

void sf_uuid_format(const uint8_t uuid[16], char ret[37])
{
    static const char digits[] = "0123456789abcdef";
    size_t at = 0;

    for (size_t i = 0; i < 16; i++) {
        if (is_uuid_dash(at)) {
            ret[at++] = '-';
        }
        ret[at++] = digits[uuid[i] >> 4];
        ret[at++] = digits[uuid[i] & 15];
    }
    ret[at] = '\0';
}
