#include "bench/records.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_DIGITS = RECORDS_KEY_BYTES - 2 };

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

enum records_pattern records_pattern_of(const char *name)
{
    static const char *const names[] = {
        [RECORDS_RISING] = "rising", [RECORDS_RANDOM] = "random", [RECORDS_UPDATES] = "updates"};

    for (unsigned p = 0; p < sizeof(names) / sizeof(names[0]); p++) {
        if (strcmp(names[p], name) == 0) {
            return (enum records_pattern)p;
        }
    }
    (void)fprintf(stderr, "no pattern '%s'\n", name);
    exit(2);
}

uint64_t records_key(enum records_pattern p, uint64_t first, uint64_t n)
{
    const uint64_t all = UINT64_C(10000000000);

    switch (p) {
    case RECORDS_RISING:
        return first + n;
    case RECORDS_RANDOM:
        /* A permutation of the ten-digit numbers: the multiplier has no factor in common with
         * them. The product needs more than 64 bits. */
        return (uint64_t)((unsigned __int128)((first + n) % all) * 6180339887u % all);
    case RECORDS_UPDATES:
        break;
    }
    return mix(n) % first;
}

void records_make(char *to, uint64_t seed)
{
    static const char *const countries[] = {"NO", "SE", "DK"};
    uint64_t h = mix(seed + 1);
    int n = snprintf(
        to, RECORDS_BYTES,
        "{\"order_id\":\"O-%010u\",\"customer_id\":\"C-%07" PRIu64 "\",\"email\":\"user%07" PRIu64
        "@example.com\",\"country\":\"%s\",\"amount\":%" PRIu64 ".%02" PRIu64
        ",\"quantity\":%" PRIu64 ",\"ordered_at\":\"2026-%02" PRIu64 "-%02" PRIu64 "T%02" PRIu64
        ":%02" PRIu64 ":%02" PRIu64 ".%06" PRIu64 "Z\",\"note\":\"",
        0, (h >> 20) % 10000000, (h >> 24) % 10000000, countries[h % 3], (h >> 8) % 10000,
        (h >> 13) % 100, (h >> 5) % 90 + 10, (h >> 9) % 12 + 1, (h >> 11) % 28 + 1, (h >> 15) % 24,
        (h >> 17) % 60, (h >> 23) % 60, (h >> 7) % 1000000);

    while (n < RECORDS_BYTES - 3) {
        h = mix(h);
        to[n++] = (char)('a' + h % 26);
    }
    memcpy(to + n, "\"}\n", 3);
}

void records_set_key(char *record, uint64_t key)
{
    char *digits = record + RECORDS_KEY_OFFSET + 2;

    for (int d = KEY_DIGITS - 1; d >= 0; d--) {
        digits[d] = (char)('0' + key % 10);
        key /= 10;
    }
}
