/*
 * Hashes of several messages at once: for many short ones, where sf_hash256() spends its time
 * waiting for itself. The result is that of sf_hash256() of each.
 *
 *   Threads   Any; no state.
 *   Limits    The gain is for messages up to 2 KiB on a processor with AVX2 (about four times as
 *             many); all others are hashed one after the other.
 */
#pragma once

#include "common/sys/crypto.h"

enum { SF_HASH_LANES = 4 };

/*
 * SF_HASH_LANES messages of @part_count parts each: @parts holds those of the first, then those of
 * the second, and so on. @ret: where each one's SF_HASH256_SIZE bytes go.
 */
void sf_hash256_lanes(const struct sf_slice *parts, size_t part_count,
                      uint8_t *const ret[SF_HASH_LANES]);
