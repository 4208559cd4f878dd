/*
 * BLAKE2b under a key that many short messages are hashed with: the block that the key takes is
 * compressed once, not again for each of them. The result is that of sf_hash_init_keyed().
 *
 *   Threads   Any; immutable once it is made.
 *   Memory    Plain, and as secret as the key: for its owner to wipe.
 */
#pragma once

#include "common/sys/crypto.h"

struct sf_hash_prepared {
    uint64_t state[8]; /* behind the block of the key */
    size_t size;
};

/* For hashes of @size bytes, 16 to 64. */
void sf_hash_prepare(struct sf_hash_prepared *ret, size_t size,
                     const uint8_t key[SF_HASH_KEY_SIZE]);
/* Of the parts one behind the other, which are not all empty; @ret: p->size bytes. */
void sf_hash_prepared_parts(const struct sf_hash_prepared *p, const struct sf_slice *parts,
                            size_t count, uint8_t *ret);
