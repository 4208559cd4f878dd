/*
 * Tables and rows for tests of everything that handles values: one table with every type, and
 * random ones.
 *
 *   Order    Everything follows from the seed of a struct rows_random.
 */
#pragma once

#include "common/base/arena.h"
#include "common/contract/contract.h"

/* xorshift64*: the same numbers everywhere. The seed is not 0. */
struct rows_random {
    uint64_t state;
};

uint64_t rows_next(struct rows_random *r);
/* 0 .. below-1 */
size_t rows_below(struct rows_random *r, size_t below);

/* One field of every type, none required, without rules, numbers 1 to 2000; no key. Static. */
const struct sf_table *rows_all_types(void);
/* The types that hold others, and wide decimals and json, two structs deep. Static. */
const struct sf_table *rows_nested(void);
/* A state table whose key has every type a key may have, in the order of its fields. Static. */
const struct sf_table *rows_all_keys(void);

/* A table with 1 to @fields_max fields without rules, key of 1..3 fields; pieces in @arena. */
const struct sf_table *rows_random_table(struct rows_random *r, size_t fields_max,
                                         struct sf_arena *arena);
/* A value of the field's type: ends of its range more often than chance has it. */
struct sf_value rows_random_value(struct rows_random *r, const struct sf_field *f,
                                  struct sf_arena *arena);
/* A row: key fields and required fields present, of the others about two thirds. */
struct sf_value *rows_random_row(struct rows_random *r, const struct sf_table *t,
                                 struct sf_arena *arena);
/* Whether two values of a field are the same value. */
bool rows_equal(const struct sf_field *f, const struct sf_value *a, const struct sf_value *b);
