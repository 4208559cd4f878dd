/*
 * Values on the wire: how the fields of a table or struct stand in a row. Everything that reads or
 * writes rows shares this: leaf/rowcodec, the record readers, common/expr.
 *
 * bool, int32, int64, decimal and date are varints (all but bool zigzag), timestamp and double
 * fixed64, float fixed32, everything else length and bytes: a wide decimal 16 of them, a struct its
 * fields, json its text. A list of varints or fixed ones is packed: one length, then the elements;
 * a list of others has a tag before each element, and the elements of a field stand together. An
 * empty list takes no bytes. docs/formats/rows-and-keys.md is the same in full.
 *
 *   Memory    Values borrow from what is read. Writers need room: sf_wire_bound().
 *   Errors    Readers answer false for bytes that are cut off or not canonical.
 *   Threads   Pure functions.
 */
#pragma once

#include <math.h>

#include "common/contract/contract.h"
#include "common/wire/pbwire.h"

static inline enum sf_pb_wire sf_wire_of(enum sf_type type)
{
    switch (type) {
    case SF_TYPE_BOOL:
    case SF_TYPE_INT32:
    case SF_TYPE_INT64:
    case SF_TYPE_DECIMAL:
    case SF_TYPE_DATE:
        return SF_PB_VARINT;
    case SF_TYPE_TIMESTAMP:
    case SF_TYPE_DOUBLE:
        return SF_PB_FIXED64;
    case SF_TYPE_FLOAT:
        return SF_PB_FIXED32;
    case SF_TYPE_STRING:
    case SF_TYPE_BYTES:
    case SF_TYPE_UUID:
    case SF_TYPE_DECIMAL_WIDE:
    case SF_TYPE_JSON:
    case SF_TYPE_LIST:
    case SF_TYPE_STRUCT:
        break;
    }
    return SF_PB_BYTES;
}

/* Whether the elements of a list stand behind one length. */
static inline bool sf_wire_is_packed(const struct sf_field *list)
{
    return sf_wire_of(list->item->type) != SF_PB_BYTES;
}

/* --- writing ---------------------------------------------------------------------------------- */

/* Room that a present value takes at most, with its tag. */
static inline size_t sf_wire_bound(const struct sf_field *f, const struct sf_value *v)
{
    return SF_PB_TAG_MAX + SF_PB_VARINT_MAX + (sf_wire_of(f->type) == SF_PB_BYTES ? v->s.size : 0);
}

static inline uint8_t *sf_wire_put_double(uint8_t *p, double value)
{
    double d = value == 0 ? 0 : value; /* -0 is 0 */
    uint64_t bits;

    memcpy(&bits, &d, sizeof(bits));
    return sf_pb_put_fixed64(p, bits);
}

static inline uint8_t *sf_wire_put_float(uint8_t *p, double value)
{
    float f = value == 0 ? 0 : (float)value;
    uint32_t bits;

    memcpy(&bits, &f, sizeof(bits));
    return sf_pb_put_fixed32(p, bits);
}

/* A value that is no list, without its tag: also an element of a packed list. */
static inline uint8_t *sf_wire_put_bare(uint8_t *p, enum sf_type type, const struct sf_value *v)
{
    switch (type) {
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
        return sf_wire_put_float(p, v->d);
    case SF_TYPE_DOUBLE:
        return sf_wire_put_double(p, v->d);
    case SF_TYPE_STRING:
    case SF_TYPE_BYTES:
    case SF_TYPE_UUID:
    case SF_TYPE_DECIMAL_WIDE:
    case SF_TYPE_JSON:
    case SF_TYPE_LIST:
    case SF_TYPE_STRUCT:
        return sf_pb_put_bytes(p, v->s);
    }
    return p;
}

/* A list, which holds its tags itself unless it is packed. */
uint8_t *sf_wire_put_list(uint8_t *p, const struct sf_field *f, const struct sf_value *v);

/* A present value with its tag. */
static inline uint8_t *sf_wire_put(uint8_t *p, const struct sf_field *f, const struct sf_value *v)
{
    if (__builtin_expect(f->type == SF_TYPE_LIST, 0)) {
        return sf_wire_put_list(p, f, v);
    }
    p = sf_pb_put_varint(p, sf_pb_tag(f->number, sf_wire_of(f->type)));
    return sf_wire_put_bare(p, f->type, v);
}

/* --- reading ---------------------------------------------------------------------------------- */

/*
 * Reads the value behind a tag of @f's wire type; *ret is present. Of a list without packing, all
 * elements, with the tags in between. What is inside text, json, structs and lists is left to
 * sf_wire_check().
 */
bool sf_wire_get(const struct sf_field *f, struct sf_pb_reader *r, struct sf_value *ret);

/* Whether a present value that was read is canonical down to its last byte. Takes stack for
 * SF_STRUCT_DEPTH_MAX structs and SF_JSON_DEPTH_MAX levels of JSON. */
bool sf_wire_check(const struct sf_field *f, const struct sf_value *v);

/* The elements of a list, one after the other. */
struct sf_wire_items {
    const struct sf_field *item;
    struct sf_pb_reader r;
    bool packed;
};

struct sf_wire_items sf_wire_items_of(const struct sf_field *list, struct sf_slice bytes);
/* False at the end, and when there is no element: then r.p is not r.end. */
bool sf_wire_next_item(struct sf_wire_items *it, struct sf_value *ret);

/* A walk over the fields of a row or struct. */
struct sf_wire_walk {
    struct sf_pb_reader r;
    uint32_t number; /* of the field the walk is at */
    enum sf_pb_wire wire;
    const uint8_t *start; /* of its tag */
};

/* Moves to the next tag; false at the end and when there is no valid tag, or not an ascending one:
 * then r.p is not r.end. */
static inline bool sf_wire_next(struct sf_wire_walk *w)
{
    uint32_t before = w->number;

    w->start = w->r.p;
    if (sf_pb_at_end(&w->r) || !sf_pb_get_tag(&w->r, &w->number, &w->wire)) {
        return false;
    }
    if (w->number <= before) {
        w->r.p = w->start;
        return false;
    }
    return true;
}

/* Passes over the values behind more tags like the one at @start, which are the same list. */
bool sf_wire_skip_more(const uint8_t *start, size_t tag_size, struct sf_pb_reader *r);

/* Passes over the value the walk is at: all elements of a list. */
static inline bool sf_wire_skip(struct sf_wire_walk *w)
{
    size_t tag_size = (size_t)(w->r.p - w->start);

    if (!sf_pb_skip(&w->r, w->wire)) {
        return false;
    }
    return w->wire != SF_PB_BYTES || sf_pb_at_end(&w->r) || *w->r.p != *w->start ||
           sf_wire_skip_more(w->start, tag_size, &w->r);
}
