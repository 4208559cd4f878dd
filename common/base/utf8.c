#include "common/base/utf8.h"

/* Table 3-7 of the Unicode standard: the lead byte decides the range of the second byte. */
size_t sf_utf8_char_size(struct sf_slice s)
{
    uint8_t lead = s.size > 0 ? s.data[0] : 0xff;
    uint8_t low = 0x80;
    uint8_t high = 0xbf;
    size_t size;

    if (lead < 0x80) {
        return 1;
    }
    if (lead < 0xc2 || lead > 0xf4) {
        return 0;
    }
    if (lead < 0xe0) {
        size = 2;
    } else if (lead < 0xf0) {
        size = 3;
        low = lead == 0xe0 ? 0xa0 : low;
        high = lead == 0xed ? 0x9f : high;
    } else {
        size = 4;
        low = lead == 0xf0 ? 0x90 : low;
        high = lead == 0xf4 ? 0x8f : high;
    }
    if (s.size < size || s.data[1] < low || s.data[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < size; i++) {
        if ((s.data[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return size;
}

bool sf_utf8_is_valid(struct sf_slice s)
{
    size_t at = 0;

    while (at < s.size) {
        uint64_t eight;
        size_t size;

        /* Most text is ASCII: eight bytes at a time. */
        while (s.size - at >= sizeof(eight)) {
            memcpy(&eight, s.data + at, sizeof(eight));
            if ((eight & UINT64_C(0x8080808080808080)) != 0) {
                break;
            }
            at += sizeof(eight);
        }
        if (at == s.size) {
            break;
        }
        size = sf_utf8_char_size(sf_slice_of(s.data + at, s.size - at));
        if (size == 0) {
            return false;
        }
        at += size;
    }
    return true;
}

size_t sf_utf8_count(struct sf_slice s)
{
    size_t count = 0;

    for (size_t i = 0; i < s.size; i++) {
        count += (s.data[i] & 0xc0) != 0x80;
    }
    return count;
}
