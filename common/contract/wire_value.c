#include "common/contract/wire_value.h"

#include "common/base/decimal.h"
#include "common/base/time.h"
#include "common/base/utf8.h"
#include "common/wire/json_canon.h"

/* --- writing ---------------------------------------------------------------------------------- */

uint8_t *sf_wire_put_list(uint8_t *p, const struct sf_field *f, const struct sf_value *v)
{
    if (v->s.size == 0) {
        return p;
    }
    if (sf_wire_is_packed(f)) {
        p = sf_pb_put_varint(p, sf_pb_tag(f->number, SF_PB_BYTES));
        return sf_pb_put_bytes(p, v->s);
    }
    memcpy(p, v->s.data, v->s.size);
    return p + v->s.size;
}

/* --- reading ---------------------------------------------------------------------------------- */

static bool get_varint(const struct sf_field *f, struct sf_pb_reader *r, struct sf_value *ret)
{
    static const int64_t powers[SF_DECIMAL_NARROW_MAX + 1] = {
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

static bool get_fixed64(const struct sf_field *f, struct sf_pb_reader *r, struct sf_value *ret)
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

static bool get_fixed32(struct sf_pb_reader *r, struct sf_value *ret)
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

bool sf_wire_skip_more(const uint8_t *start, size_t tag_size, struct sf_pb_reader *r)
{
    while ((size_t)(r->end - r->p) >= tag_size && memcmp(r->p, start, tag_size) == 0) {
        r->p += tag_size;
        if (!sf_pb_skip(r, SF_PB_BYTES)) {
            return false;
        }
    }
    return true;
}

static bool get_list(const struct sf_field *f, struct sf_pb_reader *r, struct sf_value *ret)
{
    size_t tag_size = sf_pb_varint_size(sf_pb_tag(f->number, SF_PB_BYTES));
    const uint8_t *start = r->p - tag_size;

    if (sf_wire_is_packed(f)) {
        return sf_pb_get_bytes(r, &ret->s) && ret->s.size > 0;
    }
    if (!sf_pb_skip(r, SF_PB_BYTES) || !sf_wire_skip_more(start, tag_size, r)) {
        return false;
    }
    ret->s = sf_slice_of(start, (size_t)(r->p - start));
    return true;
}

static bool get_bytes(const struct sf_field *f, struct sf_pb_reader *r, struct sf_value *ret)
{
    if (f->type == SF_TYPE_LIST) {
        return get_list(f, r, ret);
    }
    if (!sf_pb_get_bytes(r, &ret->s)) {
        return false;
    }
    if (f->type == SF_TYPE_UUID) {
        return ret->s.size == 16;
    }
    return f->type != SF_TYPE_DECIMAL_WIDE ||
           (ret->s.size == SF_DECIMAL_WIDE_SIZE && sf_decimal_wide_fits(ret->s.data, f->precision));
}

bool sf_wire_get(const struct sf_field *f, struct sf_pb_reader *r, struct sf_value *ret)
{
    *ret = (struct sf_value){.present = true};
    switch (sf_wire_of(f->type)) {
    case SF_PB_VARINT:
        return get_varint(f, r, ret);
    case SF_PB_FIXED64:
        return get_fixed64(f, r, ret);
    case SF_PB_FIXED32:
        return get_fixed32(r, ret);
    case SF_PB_BYTES:
        return get_bytes(f, r, ret);
    }
    return false;
}

/* --- lists ------------------------------------------------------------------------------------ */

struct sf_wire_items sf_wire_items_of(const struct sf_field *list, struct sf_slice bytes)
{
    return (struct sf_wire_items){
        .item = list->item,
        .r = sf_pb_reader_of(bytes),
        .packed = sf_wire_is_packed(list),
    };
}

bool sf_wire_next_item(struct sf_wire_items *it, struct sf_value *ret)
{
    struct sf_pb_reader before = it->r;
    uint32_t number;
    enum sf_pb_wire wire;

    if (sf_pb_at_end(&it->r)) {
        return false;
    }
    if (!it->packed && (!sf_pb_get_tag(&it->r, &number, &wire) || number != it->item->number ||
                        wire != SF_PB_BYTES)) {
        it->r = before;
        return false;
    }
    if (!sf_wire_get(it->item, &it->r, ret)) {
        it->r = before;
        return false;
    }
    return true;
}

/* --- checking --------------------------------------------------------------------------------- */

static bool check_list(const struct sf_field *f, struct sf_slice bytes)
{
    struct sf_wire_items it = sf_wire_items_of(f, bytes);
    struct sf_value item;
    size_t count = 0;

    while (sf_wire_next_item(&it, &item)) {
        count++;
        if (count > SF_LIST_ITEMS_MAX || !sf_wire_check(it.item, &item)) {
            return false;
        }
    }
    return sf_pb_at_end(&it.r);
}

static bool check_struct(const struct sf_table *shape, struct sf_slice bytes)
{
    struct sf_wire_walk w = {.r = sf_pb_reader_of(bytes)};
    struct sf_value value;
    size_t i = 0;

    while (sf_wire_next(&w)) {
        while (i < shape->field_count && shape->fields[i].number < w.number) {
            i++;
        }
        if (i == shape->field_count || shape->fields[i].number != w.number ||
            w.wire != sf_wire_of(shape->fields[i].type) ||
            !sf_wire_get(&shape->fields[i], &w.r, &value) ||
            !sf_wire_check(&shape->fields[i], &value)) {
            return false;
        }
    }
    return sf_pb_at_end(&w.r);
}

bool sf_wire_check(const struct sf_field *f, const struct sf_value *v)
{
    switch (f->type) {
    case SF_TYPE_STRING:
        return sf_utf8_is_valid(v->s);
    case SF_TYPE_JSON:
        return sf_json_canon_check(v->s);
    case SF_TYPE_LIST:
        return check_list(f, v->s);
    case SF_TYPE_STRUCT:
        return check_struct(f->shape, v->s);
    case SF_TYPE_BOOL:
    case SF_TYPE_INT32:
    case SF_TYPE_INT64:
    case SF_TYPE_FLOAT:
    case SF_TYPE_DOUBLE:
    case SF_TYPE_DECIMAL:
    case SF_TYPE_BYTES:
    case SF_TYPE_DATE:
    case SF_TYPE_TIMESTAMP:
    case SF_TYPE_UUID:
    case SF_TYPE_DECIMAL_WIDE:
        break; /* whole when it was read */
    }
    return true;
}
