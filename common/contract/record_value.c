/* Text to values, as record.h says. */
#include "common/contract/record_reader.h"

#include "common/base/decimal.h"
#include "common/base/time.h"
#include "common/contract/value.h"
#include "common/wire/base64.h"

static enum sf_parse convert_bytes(struct sf_record_reader *r, struct sf_slice text,
                                   struct sf_value *ret)
{
    uint8_t *bytes = sf_arena_alloc(&r->root->arena, text.size / 4 * 3);
    size_t size;

    if (bytes == NULL) {
        r->root->no_memory = true;
        return SF_PARSE_SYNTAX;
    }
    if (!sf_base64_read(text, bytes, &size)) {
        return SF_PARSE_SYNTAX;
    }
    ret->s = sf_slice_of(bytes, size);
    return SF_PARSE_OK;
}

static enum sf_parse convert_int(const struct sf_field *f, struct sf_slice text,
                                 struct sf_value *ret)
{
    enum sf_parse parsed = sf_parse_i64(text, &ret->i);

    if (parsed == SF_PARSE_OK && f->type == SF_TYPE_INT32 &&
        (ret->i < INT32_MIN || ret->i > INT32_MAX)) {
        return SF_PARSE_RANGE;
    }
    return parsed;
}

static enum sf_parse convert_date(const struct sf_field *f, struct sf_slice text,
                                  struct sf_value *ret)
{
    int32_t days = 0;
    enum sf_parse parsed =
        f->parse == NULL ? sf_date_parse(text, &days) : sf_date_parse_as(text, f->parse, &days);

    ret->i = days;
    return parsed;
}

enum sf_parse sf_record_convert(struct sf_record_reader *r, const struct sf_field *f,
                                uint8_t *scratch, struct sf_slice text, struct sf_value *ret)
{
    switch (f->type) {
    case SF_TYPE_BOOL:
        return SF_PARSE_SYNTAX;
    case SF_TYPE_INT32:
    case SF_TYPE_INT64:
        return convert_int(f, text, ret);
    case SF_TYPE_FLOAT:
    case SF_TYPE_DOUBLE:
        return sf_value_parse(f, text, &r->root->arena, ret);
    case SF_TYPE_DECIMAL:
        return sf_decimal_parse(text, f->precision, f->scale, &ret->i);
    case SF_TYPE_STRING:
        ret->s = text;
        return SF_PARSE_OK;
    case SF_TYPE_BYTES:
        return convert_bytes(r, text, ret);
    case SF_TYPE_DATE:
        return convert_date(f, text, ret);
    case SF_TYPE_TIMESTAMP:
        return f->parse == NULL ? sf_time_parse(text, &ret->i)
                                : sf_time_parse_as(text, f->parse, &ret->i);
    case SF_TYPE_UUID:
        ret->s = sf_slice_of(scratch, 16);
        return sf_uuid_parse(text, scratch) ? SF_PARSE_OK : SF_PARSE_SYNTAX;
    case SF_TYPE_DECIMAL_WIDE:
        ret->s = sf_slice_of(scratch, SF_DECIMAL_WIDE_SIZE);
        return sf_decimal_wide_parse(text, f->precision, f->scale, scratch);
    case SF_TYPE_JSON:
    case SF_TYPE_LIST:
    case SF_TYPE_STRUCT:
        break;
    }
    return SF_PARSE_SYNTAX;
}
