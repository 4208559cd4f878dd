/*
 * The records of the ingest benchmarks: order-like, NDJSON, exactly 250 bytes with the line end,
 * key "O-" and ten digits.
 */
#pragma once

#include <stdint.h>

enum {
    RECORDS_BYTES = 250,
    RECORDS_KEY_OFFSET = 13, /* of O-0000000000 in {"order_id":"O-0000000000",... */
    RECORDS_KEY_BYTES = 12,
};

enum records_pattern {
    RECORDS_RISING,  /* first, first + 1, ... */
    RECORDS_RANDOM,  /* each key once, in random order */
    RECORDS_UPDATES, /* random keys below first */
};

/* "rising", "random", "updates"; ends the program for another word. */
enum records_pattern records_pattern_of(const char *name);
/* The key number of the n-th record. */
uint64_t records_key(enum records_pattern p, uint64_t first, uint64_t n);
/* Writes RECORDS_BYTES bytes. */
void records_make(char *to, uint64_t seed);
void records_set_key(char *record, uint64_t key);
