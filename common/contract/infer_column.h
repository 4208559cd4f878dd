/*
 * What one column has shown so far, while rows go by. Used by infer.c and infer_product.c only.
 *
 * Every type starts as possible and is struck out by the first cell that is not of it, so that a
 * cell costs only the tests that are still open.
 */
#pragma once

#include "common/base/error.h"
#include "common/base/map.h"
#include "common/base/slice.h"
#include "common/contract/infer.h"

enum {
    SF_INFER_FORMATS_MAX = 32,
    SF_INFER_SCALE_MAX = 4, /* more digits behind the point are measurements, not amounts */
};

/* Hashes of the cells of a key candidate: open addressing, 0 is free. */
struct sf_hash_set {
    uint64_t *slots;
    size_t capacity; /* a power of two, or 0 */
    size_t count;
};

struct sf_infer_column {
    char *name; /* as the input has it; owned */
    uint64_t null_count;
    uint64_t cell_count; /* not null */
    uint64_t email_count;
    uint64_t leading_zero_count;
    uint64_t bare_count;

    bool may_be_bool;
    bool may_be_int64;
    bool may_be_int32;
    bool may_be_decimal;
    bool may_be_double;
    bool may_be_uuid;
    bool has_fraction;     /* a number that is no integer was seen */
    bool has_wide_integer; /* one that a double does not hold */
    bool has_upper_hex;    /* of a uuid: values in both cases may be the same one */
    bool has_lower_hex;
    uint32_t formats;     /* bit i: every cell reads by sf_infer_formats[i] */
    uint8_t whole_digits; /* most seen before the point */
    uint8_t scale;        /* most seen behind the point */
    bool same_size;       /* all cells have first_size bytes */
    size_t first_size;

    /* JSON: what is in cells that are no scalars. */
    uint64_t object_count;
    uint64_t array_count;
    struct sf_infer *fields; /* of the objects; owned */
    struct sf_infer *items;  /* the elements of the arrays, as the one column of it; owned */
    bool is_json;            /* no struct and no list holds it */

    bool unique;  /* no value seen twice, and never null */
    bool dropped; /* unique so far, but its hashes did not fit */
    struct sf_hash_set seen;
};

struct sf_infer {
    struct sf_infer *root; /* itself, but inside columns */
    unsigned depth;        /* structs around it */
    size_t total;          /* of the root: columns, those inside columns too */
    struct sf_cell *cells; /* of one JSON object; owned */
    size_t cell_capacity;
    struct sf_infer_column *columns;
    size_t count;
    size_t capacity;
    struct sf_map by_name; /* name -> column number + 1 */
    uint64_t row_count;
    size_t hash_bytes; /* of all sets together */
};

/* Ways to write a date or timestamp, in order of preference. */
struct sf_infer_format {
    const char *format; /* NULL: what sf_date_parse() or sf_time_parse() reads */
    bool is_date;
    bool day_first; /* ambiguous with the one of the same group that is not */
    uint8_t group;  /* 0: not ambiguous */
};
extern const struct sf_infer_format sf_infer_formats[];
extern const size_t sf_infer_format_count;

/* Takes one cell that is not null into account. SF_NOMEM. */
enum sf_code sf_infer_take_cell(struct sf_infer *i, struct sf_infer_column *c,
                                const struct sf_cell *cell, struct sf_error *err) SF_MUST_CHECK;
