/* Values on the wire, for the files of this directory: which wire type, how a value is read. */
#pragma once

#include "common/contract/contract.h"
#include "common/wire/pbwire.h"

static inline enum sf_pb_wire row_wire_of(enum sf_type type)
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
        break;
    }
    return SF_PB_BYTES;
}

/*
 * Reads the value behind a tag; *ret is present. False when the bytes are cut off, or are no value
 * of the field that row_encode() writes; whether text is UTF-8 is left to row_decode().
 */
bool row_read_value(const struct sf_field *f, struct sf_pb_reader *r, struct sf_value *ret);

/* Raises SF_CORRUPT for the byte of @row that @at points to. */
enum sf_code row_raise_corrupt(const struct sf_table *t, struct sf_slice row, const uint8_t *at,
                               const char *what, struct sf_error *err);

/* A walk over the fields of a row. */
struct row_walk {
    struct sf_pb_reader r;
    uint32_t number; /* of the field the walk is at */
    enum sf_pb_wire wire;
    const uint8_t *start; /* of its tag */
};

/* Moves to the next tag; false at the end and when there is no valid tag, or not an ascending one:
 * then r.p is not r.end. */
static inline bool row_next(struct row_walk *w)
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
