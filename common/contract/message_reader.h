/*
 * Steps over a protobuf message that somebody else wrote, for record_protobuf.c and message_show.c:
 * as wire/pbwire.h, but varints may be longer than they must be.
 */
#pragma once

#include "common/wire/pbwire.h"

/* Each: false when the bytes are cut off, or none of that kind. */
static inline bool sf_message_varint(struct sf_pb_reader *r, uint64_t *ret)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64 && r->p < r->end; shift += 7) {
        uint8_t byte = *r->p++;

        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret = value;
            return true;
        }
    }
    return false;
}

static inline bool sf_message_bytes(struct sf_pb_reader *r, struct sf_slice *ret)
{
    uint64_t size;

    if (!sf_message_varint(r, &size) || size > (uint64_t)(r->end - r->p)) {
        return false;
    }
    *ret = sf_slice_of(r->p, (size_t)size);
    r->p += size;
    return true;
}

static inline bool sf_message_tag(struct sf_pb_reader *r, uint32_t *ret_number, unsigned *ret_wire)
{
    uint64_t tag;

    if (!sf_message_varint(r, &tag) || tag >> 3 == 0 || tag >> 3 > SF_PB_FIELD_MAX) {
        return false;
    }
    *ret_number = (uint32_t)(tag >> 3);
    *ret_wire = (unsigned)(tag & 7);
    return true;
}
