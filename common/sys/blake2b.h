/* The tables of BLAKE2b (RFC 7693), for the files that compute it themselves; nobody else includes
 * this. */
#pragma once

#include <stdint.h>

enum {
    BLAKE2B_BLOCK = 128,
    BLAKE2B_ROUNDS = 12,
};

static const uint64_t blake2b_iv[8] = {
    UINT64_C(0x6a09e667f3bcc908), UINT64_C(0xbb67ae8584caa73b), UINT64_C(0x3c6ef372fe94f82b),
    UINT64_C(0xa54ff53a5f1d36f1), UINT64_C(0x510e527fade682d1), UINT64_C(0x9b05688c2b3e6c1f),
    UINT64_C(0x1f83d9abfb41bd6b), UINT64_C(0x5be0cd19137e2179),
};

/* Which word of the block a step takes. */
static const uint8_t blake2b_sigma[BLAKE2B_ROUNDS][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
    {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
    {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
    {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
    {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
};

/* One round: @mix(a, b, c, d, x, y) works on four words of the state and two of the block. */
#define BLAKE2B_ROUND(mix, s)                                                                      \
    do {                                                                                           \
        mix(0, 4, 8, 12, s[0], s[1]);                                                              \
        mix(1, 5, 9, 13, s[2], s[3]);                                                              \
        mix(2, 6, 10, 14, s[4], s[5]);                                                             \
        mix(3, 7, 11, 15, s[6], s[7]);                                                             \
        mix(0, 5, 10, 15, s[8], s[9]);                                                             \
        mix(1, 6, 11, 12, s[10], s[11]);                                                           \
        mix(2, 7, 8, 13, s[12], s[13]);                                                            \
        mix(3, 4, 9, 14, s[14], s[15]);                                                            \
    } while (0)
