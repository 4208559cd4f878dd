/* One pass over the encoded row, as far as the last field that is wanted. */
#include <math.h>

#include "common/base/time.h"
#include "common/expr/expr_private.h"
#include "common/wire/pbwire.h"

static bool read_varint(const struct sf_slot *s, struct sf_pb_reader *r, struct sf_cell *ret)
{
    uint64_t raw;
    int64_t value;

    if (!sf_pb_get_varint(r, &raw)) {
        return false;
    }
    value = sf_pb_unzigzag(raw);
    ret->i = value;
    if (s->type == SF_TYPE_BOOL) {
        ret->i = (int64_t)raw;
        return raw <= 1;
    }
    if (s->type == SF_TYPE_INT32) {
        return value >= INT32_MIN && value <= INT32_MAX;
    }
    if (s->type == SF_TYPE_DATE) {
        return sf_date_in_range(value);
    }
    if (s->type == SF_TYPE_DECIMAL) {
        ret->wide = value;
        return value < s->limit && value > -s->limit;
    }
    return true;
}

static bool read_double(struct sf_pb_reader *r, struct sf_cell *ret)
{
    uint64_t raw;

    if (!sf_pb_get_fixed64(r, &raw)) {
        return false;
    }
    memcpy(&ret->d, &raw, sizeof(raw));
    return isfinite(ret->d);
}

static bool read_float(struct sf_pb_reader *r, struct sf_cell *ret)
{
    uint32_t raw;
    float f;

    if (!sf_pb_get_fixed32(r, &raw)) {
        return false;
    }
    memcpy(&f, &raw, sizeof(raw));
    ret->d = (double)f;
    return isfinite(f);
}

static bool read_time(struct sf_pb_reader *r, struct sf_cell *ret)
{
    uint64_t raw;

    if (!sf_pb_get_fixed64(r, &raw)) {
        return false;
    }
    ret->i = (int64_t)raw;
    return sf_time_in_range(ret->i);
}

static bool read_value(const struct sf_slot *s, enum sf_pb_wire wire, struct sf_pb_reader *r,
                       struct sf_cell *ret)
{
    ret->null = false;
    switch (s->type) {
    case SF_TYPE_BOOL:
    case SF_TYPE_INT32:
    case SF_TYPE_INT64:
    case SF_TYPE_DECIMAL:
    case SF_TYPE_DATE:
        return wire == SF_PB_VARINT && read_varint(s, r, ret);
    case SF_TYPE_TIMESTAMP:
        return wire == SF_PB_FIXED64 && read_time(r, ret);
    case SF_TYPE_DOUBLE:
        return wire == SF_PB_FIXED64 && read_double(r, ret);
    case SF_TYPE_FLOAT:
        return wire == SF_PB_FIXED32 && read_float(r, ret);
    case SF_TYPE_STRING:
    case SF_TYPE_BYTES:
    case SF_TYPE_UUID:
        break;
    }
    ret->fold = SF_FOLD_NONE;
    return wire == SF_PB_BYTES && sf_pb_get_bytes(r, &ret->s) &&
           (s->type != SF_TYPE_UUID || ret->s.size == 16);
}

/* sf_pb_get_tag() with its usual case, a number below 16, in line. A wire type that is none is
 * found by whoever reads or passes over the value. */
static inline bool get_tag(struct sf_pb_reader *r, uint32_t *ret_number, enum sf_pb_wire *ret_wire)
{
    if (*r->p >= 8 && *r->p < 128) {
        *ret_number = (uint32_t)*r->p >> 3;
        *ret_wire = (enum sf_pb_wire)(*r->p++ & 7);
        return true;
    }
    return sf_pb_get_tag(r, ret_number, ret_wire);
}

static inline bool skip(struct sf_pb_reader *r, enum sf_pb_wire wire)
{
    struct sf_slice bytes;
    uint64_t value;

    if (wire == SF_PB_BYTES) {
        return sf_pb_get_bytes(r, &bytes);
    }
    return wire == SF_PB_VARINT ? sf_pb_get_varint(r, &value) : sf_pb_skip(r, wire);
}

bool sf_expr_read_slots(const struct sf_expr *e, struct sf_slice row, struct sf_cell *ret)
{
    struct sf_pb_reader r = sf_pb_reader_of(row);
    const struct sf_slot *slots = e->slots;
    uint32_t before = 0;
    uint32_t number;
    enum sf_pb_wire wire;
    size_t i = 0;

    while (i < e->slot_count && !sf_pb_at_end(&r)) {
        if (!get_tag(&r, &number, &wire) || number <= before) {
            return false;
        }
        before = number;
        while (i < e->slot_count && slots[i].number < number) {
            ret[i++].null = true;
        }
        if (i == e->slot_count) {
            return true;
        }
        if (slots[i].number != number) {
            if (!skip(&r, wire)) {
                return false;
            }
        } else if (!read_value(&slots[i], wire, &r, &ret[i])) {
            return false;
        } else {
            i++;
        }
    }
    while (i < e->slot_count) {
        ret[i++].null = true;
    }
    return true;
}
