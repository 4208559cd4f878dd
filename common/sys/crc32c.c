#include "common/sys/crc32c.h"

#include <string.h>

/* Half a byte at a time. */
static uint32_t by_table(uint32_t crc, struct sf_slice bytes)
{
    static const uint32_t of[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
        0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };

    for (size_t i = 0; i < bytes.size; i++) {
        crc ^= bytes.data[i];
        crc = crc >> 4 ^ of[crc & 15u];
        crc = crc >> 4 ^ of[crc & 15u];
    }
    return crc;
}

#if defined(__x86_64__)

__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc,
                                                                 struct sf_slice bytes)
{
    uint64_t sum = crc;
    size_t at = 0;

    for (; bytes.size - at >= sizeof(uint64_t); at += sizeof(uint64_t)) {
        uint64_t word;

        memcpy(&word, bytes.data + at, sizeof(word));
        sum = __builtin_ia32_crc32di(sum, word);
    }
    for (; at < bytes.size; at++) {
        sum = __builtin_ia32_crc32qi((uint32_t)sum, bytes.data[at]);
    }
    return (uint32_t)sum;
}

static uint32_t extend(uint32_t crc, struct sf_slice bytes)
{
    return __builtin_cpu_supports("sse4.2") ? by_instruction(crc, bytes) : by_table(crc, bytes);
}

#else

static uint32_t extend(uint32_t crc, struct sf_slice bytes)
{
    return by_table(crc, bytes);
}

#endif

uint32_t sf_crc32c(uint32_t crc, struct sf_slice bytes)
{
    return ~extend(~crc, bytes);
}

uint32_t sf_crc32c_portable(uint32_t crc, struct sf_slice bytes)
{
    return ~by_table(~crc, bytes);
}
