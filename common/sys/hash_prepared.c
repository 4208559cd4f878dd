/*
 * BLAKE2b (RFC 7693) of one message. What it computes is what libsodium computes, which has no call
 * to go on from the state behind the key; tests/unit/sys/test_hash_prepared.c compares them. No
 * branch and no address depends on the key or the message.
 */
#include "common/sys/hash_prepared.h"

#include <endian.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/sys/blake2b.h"

/* A message under way. A block waits until it is known whether another one follows. */
struct progress {
    uint64_t h[8];
    uint64_t done; /* bytes compressed, and of the block that waits */
    size_t waiting;
    uint8_t block[BLAKE2B_BLOCK];
};

#define ROTATE(x, n) ((x) >> (n) | (x) << (64 - (n)))
#define MIX(a, b, c, d, x, y)                                                                      \
    do {                                                                                           \
        w[a] += w[b] + m[x];                                                                       \
        w[d] = ROTATE(w[d] ^ w[a], 32);                                                            \
        w[c] += w[d];                                                                              \
        w[b] = ROTATE(w[b] ^ w[c], 24);                                                            \
        w[a] += w[b] + m[y];                                                                       \
        w[d] = ROTATE(w[d] ^ w[a], 16);                                                            \
        w[c] += w[d];                                                                              \
        w[b] = ROTATE(w[b] ^ w[c], 63);                                                            \
    } while (0)

static void compress(uint64_t h[8], const uint8_t block[BLAKE2B_BLOCK], uint64_t done, bool is_last)
{
    uint64_t m[16];
    uint64_t w[16];

    memcpy(m, block, sizeof(m));
    for (size_t i = 0; i < 16; i++) {
        m[i] = le64toh(m[i]);
    }
    memcpy(w, h, 8 * sizeof(*w));
    memcpy(w + 8, blake2b_iv, sizeof(blake2b_iv));
    w[12] ^= done;
    w[14] ^= is_last ? UINT64_MAX : 0;
#pragma GCC unroll 12
    for (size_t r = 0; r < BLAKE2B_ROUNDS; r++) {
        BLAKE2B_ROUND(MIX, blake2b_sigma[r]);
    }
    for (size_t i = 0; i < 8; i++) {
        h[i] ^= w[i] ^ w[i + 8];
    }
}

void sf_hash_prepare(struct sf_hash_prepared *ret, size_t size, const uint8_t key[SF_HASH_KEY_SIZE])
{
    uint8_t block[BLAKE2B_BLOCK] = {0};

    sf_assert(size >= SF_HASH128_SIZE && size <= sizeof(ret->state));
    memcpy(block, key, SF_HASH_KEY_SIZE);
    memcpy(ret->state, blake2b_iv, sizeof(blake2b_iv));
    ret->size = size;
    ret->state[0] ^= UINT64_C(0x01010000) | (uint64_t)SF_HASH_KEY_SIZE << 8 | size;
    compress(ret->state, block, BLAKE2B_BLOCK, /* is_last= */ false);
    sf_wipe(block, sizeof(block));
}

static void add(struct progress *p, struct sf_slice bytes)
{
    while (bytes.size > 0) {
        size_t n = BLAKE2B_BLOCK - p->waiting;

        if (n == 0) {
            compress(p->h, p->block, p->done, /* is_last= */ false);
            p->waiting = 0;
            n = BLAKE2B_BLOCK;
        }
        n = bytes.size < n ? bytes.size : n;
        memcpy(p->block + p->waiting, bytes.data, n);
        p->waiting += n;
        p->done += n;
        bytes = sf_slice_of(bytes.data + n, bytes.size - n);
    }
}

void sf_hash_prepared_parts(const struct sf_hash_prepared *prepared, const struct sf_slice *parts,
                            size_t count, uint8_t *ret)
{
    struct progress p; /* not cleared whole: the block is, behind what it holds */

    memcpy(p.h, prepared->state, sizeof(p.h));
    p.done = BLAKE2B_BLOCK;
    p.waiting = 0;
    for (size_t i = 0; i < count; i++) {
        add(&p, parts[i]);
    }
    sf_assert(p.waiting > 0);
    memset(p.block + p.waiting, 0, BLAKE2B_BLOCK - p.waiting);
    compress(p.h, p.block, p.done, /* is_last= */ true);
    for (size_t i = 0; i < 8; i++) {
        p.h[i] = htole64(p.h[i]);
    }
    memcpy(ret, p.h, prepared->size);
}
