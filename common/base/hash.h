/*
 * A fast hash for tables in memory, seeded with what a peer cannot know. Not for what is stored or
 * compared with others.
 */
#pragma once

#include <string.h>

#include "common/base/slice.h"

static inline uint64_t sf_mix64(uint64_t seed, struct sf_slice bytes)
{
    uint64_t h = seed ^ bytes.size;
    uint64_t word;
    size_t i = 0;

    for (; i + sizeof(word) <= bytes.size; i += sizeof(word)) {
        memcpy(&word, bytes.data + i, sizeof(word));
        h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        h ^= h >> 29;
    }
    word = 0;
    memcpy(&word, bytes.data + i, bytes.size - i);
    h = (h ^ word) * UINT64_C(0xbf58476d1ce4e5b9);
    return h ^ h >> 32;
}
