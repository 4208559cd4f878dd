/* One pass over the encoded row, as far as the last field that is wanted. */
#include <math.h>

#include "common/base/decimal.h"
#include "common/base/time.h"
#include "common/contract/wire_value.h"
#include "common/expr/expr_private.h"

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

static bool read_wide(const struct sf_slot *s, struct sf_pb_reader *r, struct sf_cell *ret)
{
    struct sf_slice bytes;

    if (!sf_pb_get_bytes(r, &bytes) || bytes.size != SF_DECIMAL_WIDE_SIZE ||
        !sf_decimal_wide_fits(bytes.data, s->precision)) {
        return false;
    }
    ret->wide = sf_decimal_wide_get(bytes.data);
    return true;
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
    case SF_TYPE_DECIMAL_WIDE:
        return wire == SF_PB_BYTES && read_wide(s, r, ret);
    case SF_TYPE_JSON:
    case SF_TYPE_STRUCT:
        break; /* as a whole: only that it is there */
    case SF_TYPE_LIST:
        return false; /* sf_expr_read_paths() counts its elements */
    }
    ret->fold = SF_FOLD_NONE;
    return wire == SF_PB_BYTES && sf_pb_get_bytes(r, &ret->s) &&
           (s->type != SF_TYPE_UUID || ret->s.size == 16);
}

bool sf_slot_read(const struct sf_slot *s, enum sf_pb_wire wire, struct sf_pb_reader *r,
                  struct sf_cell *ret)
{
    return read_value(s, wire, r, ret);
}

/*
 * The walk keeps its place in a register: it is given and returned by value, NULL when the bytes
 * are no row. What is short, as nearly everything is, is done in line; the rest by
 * common/wire/pbwire.h.
 */
static const uint8_t *skip_any(const uint8_t *p, const uint8_t *end, enum sf_pb_wire wire)
{
    struct sf_pb_reader r = {.p = p, .end = end};

    return sf_pb_skip(&r, wire) ? r.p : NULL;
}

static inline const uint8_t *skip(const uint8_t *p, const uint8_t *end, enum sf_pb_wire wire)
{
    if (p < end && *p < 128) {
        if (wire == SF_PB_VARINT) {
            return p + 1;
        }
        if (wire == SF_PB_BYTES && *p < end - p) {
            return p + 1 + *p;
        }
    }
    return skip_any(p, end, wire);
}

static const uint8_t *get_long_tag(const uint8_t *p, const uint8_t *end, uint32_t *ret_tag)
{
    struct sf_pb_reader r = {.p = p, .end = end};
    uint32_t number;
    enum sf_pb_wire wire;

    if (!sf_pb_get_tag(&r, &number, &wire)) {
        return NULL;
    }
    *ret_tag = sf_pb_tag(number, wire);
    return r.p;
}

/* Passes over the elements of a list behind the first, whose tag is at @tag. */
static const uint8_t *skip_elements(const uint8_t *tag, size_t tag_size, const uint8_t *p,
                                    const uint8_t *end)
{
    struct sf_pb_reader r = {.p = p, .end = end};

    return sf_wire_skip_more(tag, tag_size, &r) ? r.p : NULL;
}

/* Passes over a field that is not wanted, or that was read in another way. */
static inline const uint8_t *skip_field(const uint8_t *tag, const uint8_t *p, const uint8_t *end,
                                        enum sf_pb_wire wire)
{
    const uint8_t *behind = skip(p, end, wire);

    return behind == NULL || behind == end || wire != SF_PB_BYTES || *behind != *tag
               ? behind
               : skip_elements(tag, (size_t)(p - tag), behind, end);
}

/* Reads the field behind @tag into the cells of its slots, *at being the first; moves *at on. */
static const uint8_t *read_field(const struct sf_expr *e, size_t *at, const uint8_t *tag,
                                 enum sf_pb_wire wire, const uint8_t *p, const uint8_t *end,
                                 struct sf_cell *ret)
{
    const struct sf_slot *slots = e->slots + *at;
    struct sf_pb_reader r = {.p = p, .end = end};
    size_t count = 1;

    while (*at + count < e->slot_count && slots[count].number == slots->number) {
        count++;
    }
    ret += *at;
    *at += count;
    return sf_expr_read_paths(slots, count, tag, wire, r, ret) ? skip_field(tag, p, end, wire)
                                                               : NULL;
}

static inline const uint8_t *read_plain(const struct sf_slot *s, enum sf_pb_wire wire,
                                        const uint8_t *p, const uint8_t *end, struct sf_cell *ret)
{
    struct sf_pb_reader r = {.p = p, .end = end};

    return read_value(s, wire, &r, ret) ? r.p : NULL;
}

static inline void set_absent(const struct sf_slot *s, struct sf_cell *ret)
{
    if (s->is_plain) {
        ret->null = true;
    } else {
        sf_slot_absent(s, 0, ret);
    }
}

bool sf_expr_read_slots(const struct sf_expr *e, struct sf_slice row, struct sf_cell *ret)
{
    const uint8_t *p = row.data;
    const uint8_t *end = row.size == 0 ? p : p + row.size;
    const struct sf_slot *slots = e->slots;
    size_t count = e->slot_count;
    uint32_t before = 0;
    size_t i = 0;

    while (i < count && p != end) {
        const uint8_t *start = p;
        uint32_t tag = *p;
        enum sf_pb_wire wire;

        p = tag >= 8 && tag < 128 ? p + 1 : get_long_tag(p, end, &tag);
        if (p == NULL || tag >> 3 <= before) {
            return false;
        }
        before = tag >> 3;
        wire = (enum sf_pb_wire)(tag & 7); /* one that is none neither reads nor skips */
        while (i < count && slots[i].number < before) {
            set_absent(&slots[i], &ret[i]);
            i++;
        }
        if (i < count && slots[i].number == before && slots[i].is_plain) {
            p = read_plain(&slots[i], wire, p, end, &ret[i]);
            i++;
        } else if (i < count && slots[i].number == before) {
            p = read_field(e, &i, start, wire, p, end, ret);
        } else if (i < count) {
            p = skip_field(start, p, end, wire);
        }
        if (p == NULL) {
            return false;
        }
    }
    for (; i < count; i++) {
        set_absent(&slots[i], &ret[i]);
    }
    return true;
}
