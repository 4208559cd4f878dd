/*
 * BLAKE2b (RFC 7693), one message at a time. The plain form, of which compilers make as much as a
 * processor can do: what libsodium takes when it finds AVX2 is slower than its own plain form on
 * processors of AMD, and cannot be chosen (docs/adr/0060). No branch and no address depends on a
 * key or a message.
 */
#include <endian.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/buf.h"
#include "common/sys/blake2b.h"
#include "common/sys/crypto.h"
#include "common/sys/hash_prepared.h"

enum { HASH_MIN = 16, HASH_MAX = 64 };

_Static_assert(sizeof(((struct sf_hash *)0)->block) == BLAKE2B_BLOCK, "one block");

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

/* @done: bytes of the message up to the end of this block. */
static void compress(uint64_t state[8], const uint8_t block[BLAKE2B_BLOCK], uint64_t done,
                     bool is_last)
{
    uint64_t m[16];
    uint64_t w[16];

    memcpy(m, block, sizeof(m));
    for (size_t i = 0; i < 16; i++) {
        m[i] = le64toh(m[i]);
    }
    memcpy(w, state, 8 * sizeof(*w));
    memcpy(w + 8, blake2b_iv, sizeof(blake2b_iv));
    w[12] ^= done;
    w[14] ^= is_last ? UINT64_MAX : 0;
#pragma GCC unroll 12
    for (size_t r = 0; r < BLAKE2B_ROUNDS; r++) {
        BLAKE2B_ROUND(MIX, blake2b_sigma[r]);
    }
    for (size_t i = 0; i < 8; i++) {
        state[i] ^= w[i] ^ w[i + 8];
    }
}

static void init(struct sf_hash *h, size_t size, size_t key_size)
{
    sf_assert(size >= HASH_MIN && size <= HASH_MAX);
    memcpy(h->state, blake2b_iv, sizeof(blake2b_iv));
    h->state[0] ^= UINT64_C(0x01010000) | (uint64_t)key_size << 8 | size;
    h->done = 0;
    h->waiting = 0;
    h->size = size;
}

void sf_hash_init(struct sf_hash *h, size_t size)
{
    init(h, size, 0);
}

void sf_hash_init_keyed(struct sf_hash *h, size_t size, const uint8_t key[SF_HASH_KEY_SIZE])
{
    init(h, size, SF_HASH_KEY_SIZE);
    memcpy(h->block, key, SF_HASH_KEY_SIZE);
    memset(h->block + SF_HASH_KEY_SIZE, 0, BLAKE2B_BLOCK - SF_HASH_KEY_SIZE);
    h->waiting = BLAKE2B_BLOCK;
}

static void take_block(struct sf_hash *h, const uint8_t block[BLAKE2B_BLOCK])
{
    h->done += BLAKE2B_BLOCK;
    compress(h->state, block, h->done, /* is_last= */ false);
}

/* A whole block waits until it is known whether more follows. */
void sf_hash_add(struct sf_hash *h, struct sf_slice bytes)
{
    const uint8_t *p = bytes.data;
    size_t n = bytes.size;
    const size_t room = BLAKE2B_BLOCK - h->waiting;

    if (n == 0) {
        return;
    }
    if (h->waiting > 0 && n > room) {
        memcpy(h->block + h->waiting, p, room);
        take_block(h, h->block);
        h->waiting = 0;
        p += room;
        n -= room;
    }
    for (; h->waiting == 0 && n > BLAKE2B_BLOCK; p += BLAKE2B_BLOCK, n -= BLAKE2B_BLOCK) {
        take_block(h, p);
    }
    memcpy(h->block + h->waiting, p, n);
    h->waiting += n;
}

void sf_hash_field(struct sf_hash *h, struct sf_slice bytes)
{
    uint8_t size[8];

    sf_write_be64(size, bytes.size);
    sf_hash_add(h, sf_slice_of(size, sizeof(size)));
    sf_hash_add(h, bytes);
}

void sf_hash_end(struct sf_hash *h, uint8_t *ret, size_t size)
{
    sf_assert(size == h->size);
    memset(h->block + h->waiting, 0, BLAKE2B_BLOCK - h->waiting);
    compress(h->state, h->block, h->done + h->waiting, /* is_last= */ true);
    for (size_t i = 0; i < 8; i++) {
        h->state[i] = htole64(h->state[i]);
    }
    memcpy(ret, h->state, size);
}

static void hash_parts(struct sf_hash *h, const struct sf_slice *parts, size_t count, uint8_t *ret,
                       size_t size)
{
    for (size_t i = 0; i < count; i++) {
        sf_hash_add(h, parts[i]);
    }
    sf_hash_end(h, ret, size);
}

void sf_hash256(const struct sf_slice *parts, size_t count, uint8_t ret[SF_HASH256_SIZE])
{
    struct sf_hash h;

    sf_hash_init(&h, SF_HASH256_SIZE);
    hash_parts(&h, parts, count, ret, SF_HASH256_SIZE);
}

void sf_hash128(const struct sf_slice *parts, size_t count, uint8_t ret[SF_HASH128_SIZE])
{
    struct sf_hash h;

    sf_hash_init(&h, SF_HASH128_SIZE);
    hash_parts(&h, parts, count, ret, SF_HASH128_SIZE);
}

void sf_hash256_keyed(const uint8_t key[SF_HASH_KEY_SIZE], const struct sf_slice *parts,
                      size_t count, uint8_t ret[SF_HASH256_SIZE])
{
    struct sf_hash h;

    sf_hash_init_keyed(&h, SF_HASH256_SIZE, key);
    hash_parts(&h, parts, count, ret, SF_HASH256_SIZE);
    sf_wipe(&h, sizeof(h));
}

/* --- under a key that was made ready ---------------------------------------------------------- */

void sf_hash_prepare(struct sf_hash_prepared *ret, size_t size, const uint8_t key[SF_HASH_KEY_SIZE])
{
    struct sf_hash h;

    sf_hash_init_keyed(&h, size, key);
    take_block(&h, h.block);
    memcpy(ret->state, h.state, sizeof(ret->state));
    ret->size = size;
    sf_wipe(&h, sizeof(h));
}

void sf_hash_prepared_parts(const struct sf_hash_prepared *prepared, const struct sf_slice *parts,
                            size_t count, uint8_t *ret)
{
    struct sf_hash h; /* not cleared whole: the block is, behind what it holds */

    memcpy(h.state, prepared->state, sizeof(h.state));
    h.done = BLAKE2B_BLOCK;
    h.waiting = 0;
    h.size = prepared->size;
    for (size_t i = 0; i < count; i++) {
        sf_hash_add(&h, parts[i]);
    }
    sf_assert(h.waiting > 0);
    sf_hash_end(&h, ret, h.size);
}
