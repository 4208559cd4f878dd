#include "common/wire/pbwire.h"

bool sf_pb_get_long_varint(struct sf_pb_reader *r, uint64_t *ret)
{
    uint64_t value = 0;
    size_t left = (size_t)(r->end - r->p);

    for (size_t i = 0; i < left && i < SF_PB_VARINT_MAX; i++) {
        uint8_t byte = r->p[i];

        value |= (uint64_t)(byte & 127) << (7 * i);
        if (byte < 128) {
            /* A last byte of 0 adds nothing, and the tenth has room for one bit. */
            if ((byte == 0 && i > 0) || (i == SF_PB_VARINT_MAX - 1 && byte > 1)) {
                return false;
            }
            r->p += i + 1;
            *ret = value;
            return true;
        }
    }
    return false;
}

bool sf_pb_get_tag(struct sf_pb_reader *r, uint32_t *ret_number, enum sf_pb_wire *ret_wire)
{
    struct sf_pb_reader ahead = *r;
    uint64_t tag;
    uint32_t wire;

    if (!sf_pb_get_varint(&ahead, &tag) || tag >> 3 == 0 || tag >> 3 > SF_PB_FIELD_MAX) {
        return false;
    }
    wire = (uint32_t)tag & 7;
    if (wire != SF_PB_VARINT && wire != SF_PB_FIXED64 && wire != SF_PB_BYTES &&
        wire != SF_PB_FIXED32) {
        return false;
    }
    *ret_number = (uint32_t)(tag >> 3);
    *ret_wire = (enum sf_pb_wire)wire;
    *r = ahead;
    return true;
}

bool sf_pb_skip(struct sf_pb_reader *r, enum sf_pb_wire wire)
{
    struct sf_slice bytes;
    uint64_t value;
    uint32_t four;

    switch (wire) {
    case SF_PB_VARINT:
        return sf_pb_get_varint(r, &value);
    case SF_PB_FIXED64:
        return sf_pb_get_fixed64(r, &value);
    case SF_PB_FIXED32:
        return sf_pb_get_fixed32(r, &four);
    case SF_PB_BYTES:
        return sf_pb_get_bytes(r, &bytes);
    }
    return false;
}
