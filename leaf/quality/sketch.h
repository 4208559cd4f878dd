/*
 * What is known of the values of one field without keeping them: how many, how many null and how
 * many different, bounds, mean and deviation, and which come most often.
 *
 * A value can be taken out again, when its row is replaced or deleted: counts, mean and deviation
 * are those of the values that remain. The rest cannot forget: different values, bounds and top
 * values are then of all values since the sketch was begun, and `loose` says so.
 *
 *   Different   HyperLogLog with 4096 registers over a 64-bit hash: standard error 1.6 %. Flajolet,
 *               Fusy, Gandouet, Meunier 2007; small counts by linear counting.
 *   Top values  Space-Saving, 32 places: Metwally, Agrawal, El Abbadi 2005. A count is too high by
 *               at most `over`, and every value with more than values/32 is among them.
 *   Moments     Welford 1962, and its inverse.
 *
 *   Memory      About 8 KiB, taken with the first value.
 *   Threads     One at a time.
 */
#pragma once

#include "common/base/buf.h"
#include "common/contract/contract.h"

enum {
    SKETCH_REGISTERS = 4096,
    SKETCH_PLACES = 32,
    SKETCH_BYTES_MAX = 64, /* longer values are known by their beginning */
};

/* A value that the sketch keeps. */
struct sketch_value {
    bool present;
    bool cut;     /* bytes are only its beginning */
    uint8_t size; /* of bytes */
    uint8_t bytes[SKETCH_BYTES_MAX];
    int64_t i;
    double d;
};

struct sketch_place {
    uint64_t over;
    struct sketch_value value;
};

/* Hashes and counts stand apart from the rest of a place: each value is looked for among them. */
struct sketch_memory {
    uint64_t hashes[SKETCH_PLACES];
    uint64_t counts[SKETCH_PLACES];
    size_t place_count;
    uint8_t registers[SKETCH_REGISTERS];
    struct sketch_place places[SKETCH_PLACES];
};

/* One of the values that come most often. */
struct sketch_top {
    const struct sketch_value *value; /* borrowed from the sketch */
    uint64_t count;
    uint64_t over;
};

struct sketch {
    uint64_t values; /* that are not null */
    uint64_t nulls;
    double mean;             /* of numbers; not finite when no double holds it, as m2 */
    double m2;               /* sum of squared differences from the mean */
    struct sketch_value min; /* of types with an order */
    struct sketch_value max;
    struct sketch_memory *memory; /* owned; NULL before the first value */
    bool loose;
};

void sketch_done(struct sketch *s);

/* A value of @f, which may be absent. SF_NOMEM. */
enum sf_code sketch_add(struct sketch *s, const struct sf_field *f, const struct sf_value *v,
                        struct sf_error *err) SF_MUST_CHECK;
/* One that was added. */
void sketch_remove(struct sketch *s, const struct sf_field *f, const struct sf_value *v);

/* Whether mean and deviation mean something, and whether bounds do. */
bool sketch_has_moments(const struct sf_field *f);
bool sketch_has_bounds(const struct sf_field *f);
/* The number that a value of a field with moments is. */
double sketch_number(const struct sf_field *f, const struct sf_value *v);
/* How many different values; an estimate from a few thousand on, not above their number. */
uint64_t sketch_distinct(const struct sketch *s);
/* Of the values, not of a sample of them; 0 of none. */
double sketch_deviation(const struct sketch *s);
/* The values that are kept, by falling count, at most @max. */
size_t sketch_top(const struct sketch *s, struct sketch_top *ret, size_t max);
/* As a value of the field; borrows from @v. */
struct sf_value sketch_value_of(const struct sketch_value *v);

/* As it is stored: docs/formats/store.md. */
void sketch_encode(const struct sketch *s, struct sf_buf *out);
/* Takes a sketch off the front of @bytes into a zeroed @ret. SF_CORRUPT E0605, SF_NOMEM. */
enum sf_code sketch_decode(struct sf_slice *bytes, struct sketch *ret,
                           struct sf_error *err) SF_MUST_CHECK;

/* A 64-bit hash of a value: the same for equal values of a field. */
uint64_t sketch_hash(const struct sf_value *v, const struct sf_field *f);
