/*
 * BLAKE2b (RFC 7693) of four messages side by side: one vector holds the same word of all four, so
 * that the chain of dependent steps, which is what one short message waits for, is walked once.
 * What it computes is what libsodium computes; tests/unit/sys/test_hash_lanes.c compares them.
 */
#include "common/sys/hash_lanes.h"

#include <string.h>

#if defined(__x86_64__)

#include "common/sys/blake2b.h"

enum {
    LANES = SF_HASH_LANES,
    BLOCK = BLAKE2B_BLOCK,
    BLOCKS_MAX = 16, /* of a message: longer ones gain nothing that matters */
};

struct lanes {
    uint64_t v __attribute__((vector_size(8 * LANES)));
};

/* The four messages, each padded with zeros to whole blocks. */
struct input {
    uint8_t bytes[LANES][BLOCKS_MAX * BLOCK];
    size_t size[LANES];
    size_t blocks; /* of the longest */
};

#define ROTATE(x, n) ((x) >> (n) | (x) << (64 - (n)))
#define MIX(a, b, c, d, x, y)                                                                      \
    do {                                                                                           \
        w[a].v += w[b].v + m[x].v;                                                                 \
        w[d].v = ROTATE(w[d].v ^ w[a].v, 32);                                                      \
        w[c].v += w[d].v;                                                                          \
        w[b].v = ROTATE(w[b].v ^ w[c].v, 24);                                                      \
        w[a].v += w[b].v + m[y].v;                                                                 \
        w[d].v = ROTATE(w[d].v ^ w[a].v, 16);                                                      \
        w[c].v += w[d].v;                                                                          \
        w[b].v = ROTATE(w[b].v ^ w[c].v, 63);                                                      \
    } while (0)

static inline __attribute__((always_inline)) uint64_t word_at(const uint8_t *p)
{
    uint64_t w;

    memcpy(&w, p, sizeof(w)); /* x86 is little-endian, as BLAKE2b is */
    return w;
}

/* Block @block of all lanes into @h; a lane that ended before keeps its own. */
static inline __attribute__((always_inline)) void compress(struct lanes h[8],
                                                           const struct input *in, size_t block)
{
    const size_t at = block * BLOCK;
    struct lanes m[16] = {0}; /* zeros for the sake of gcc, which does not see the loop fill it */
    struct lanes w[16] = {0};
    struct lanes count = {0};
    struct lanes last = {0};
    struct lanes keep = {0};

    for (size_t i = 0; i < 16; i++) {
        m[i].v = (__typeof__(m->v)){
            word_at(in->bytes[0] + at + i * 8),
            word_at(in->bytes[1] + at + i * 8),
            word_at(in->bytes[2] + at + i * 8),
            word_at(in->bytes[3] + at + i * 8),
        };
    }
    for (size_t i = 0; i < 8; i++) {
        w[i] = h[i];
        w[i + 8].v = (__typeof__(w->v)){blake2b_iv[i], blake2b_iv[i], blake2b_iv[i], blake2b_iv[i]};
    }
    for (size_t l = 0; l < LANES; l++) {
        const bool is_last = in->size[l] <= at + BLOCK;

        count.v[l] = is_last ? in->size[l] : at + BLOCK;
        last.v[l] = is_last ? UINT64_MAX : 0;
        keep.v[l] = block > 0 && in->size[l] <= at ? UINT64_MAX : 0;
    }
    w[12].v ^= count.v;
    w[14].v ^= last.v;
#pragma GCC unroll 12
    for (size_t r = 0; r < BLAKE2B_ROUNDS; r++) {
        BLAKE2B_ROUND(MIX, blake2b_sigma[r]);
    }
    for (size_t i = 0; i < 8; i++) {
        h[i].v ^= (w[i].v ^ w[i + 8].v) & ~keep.v;
    }
}

static inline __attribute__((always_inline)) void hash_all(const struct input *in,
                                                           uint8_t *const ret[SF_HASH_LANES])
{
    struct lanes h[8];

    for (size_t i = 0; i < 8; i++) {
        h[i].v = (__typeof__(h->v)){blake2b_iv[i], blake2b_iv[i], blake2b_iv[i], blake2b_iv[i]};
    }
    h[0].v ^= UINT64_C(0x01010000) | SF_HASH256_SIZE; /* no key, one message, no tree */
    for (size_t block = 0; block < in->blocks; block++) {
        compress(h, in, block);
    }
    for (size_t l = 0; l < LANES; l++) {
        for (size_t i = 0; i < SF_HASH256_SIZE / 8; i++) {
            memcpy(ret[l] + i * 8, (const uint8_t *)&h[i] + l * 8, 8);
        }
    }
}

__attribute__((target("avx2"))) static void hash_avx2(const struct input *in,
                                                      uint8_t *const ret[SF_HASH_LANES])
{
    hash_all(in, ret);
}

/* Rotates in one instruction, and registers enough for all words. */
__attribute__((target("avx512f,avx512vl,avx2"))) static void hash_avx512(
    const struct input *in, uint8_t *const ret[SF_HASH_LANES])
{
    hash_all(in, ret);
}

/* False: a message is too long. */
static bool gather(struct input *in, const struct sf_slice *parts, size_t part_count)
{
    in->blocks = 1;
    for (size_t l = 0; l < LANES; l++) {
        size_t size = 0;
        size_t blocks;

        for (size_t i = 0; i < part_count; i++) {
            const struct sf_slice *part = &parts[l * part_count + i];

            if (part->size > BLOCKS_MAX * BLOCK - size) {
                return false;
            }
            if (part->size > 0) {
                memcpy(in->bytes[l] + size, part->data, part->size);
            }
            size += part->size;
        }
        blocks = size == 0 ? 1 : (size + BLOCK - 1) / BLOCK;
        memset(in->bytes[l] + size, 0, blocks * BLOCK - size);
        in->size[l] = size;
        in->blocks = blocks > in->blocks ? blocks : in->blocks;
    }
    return true;
}

static bool hash_side_by_side(const struct sf_slice *parts, size_t part_count,
                              uint8_t *const ret[SF_HASH_LANES])
{
    struct input in; /* not cleared: blocks behind a lane's end are computed and dropped */

    if (!__builtin_cpu_supports("avx2") || !gather(&in, parts, part_count)) {
        return false;
    }
    if (__builtin_cpu_supports("avx512vl")) {
        hash_avx512(&in, ret);
    } else {
        hash_avx2(&in, ret);
    }
    return true;
}

#else

static bool hash_side_by_side(const struct sf_slice *parts, size_t part_count,
                              uint8_t *const ret[SF_HASH_LANES])
{
    (void)parts;
    (void)part_count;
    (void)ret;
    return false;
}

#endif

void sf_hash256_lanes(const struct sf_slice *parts, size_t part_count,
                      uint8_t *const ret[SF_HASH_LANES])
{
    if (!hash_side_by_side(parts, part_count, ret)) {
        for (size_t l = 0; l < SF_HASH_LANES; l++) {
            sf_hash256(parts + l * part_count, part_count, ret[l]);
        }
    }
}
