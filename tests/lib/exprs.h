/*
 * Random filters for tests of common/expr: tables, rows and expressions of every type, with values
 * that meet (few strings, numbers near each other) and values that overflow.
 *
 *   Order    Everything follows from the seed of a struct rows_random.
 */
#pragma once

#include "common/base/buf.h"
#include "tests/lib/rows.h"

/* A table with 1 to 8 nullable fields, names that are keywords among them; pieces in @arena. */
const struct sf_table *exprs_random_table(struct rows_random *r, struct sf_arena *arena);
/* field_count values, about one in six null. */
struct sf_value *exprs_random_row(struct rows_random *r, const struct sf_table *t,
                                  struct sf_arena *arena);
/* Appends the text of a filter over @t. It parses, but for decimals of more than 38 digits. */
void exprs_random_filter(struct rows_random *r, const struct sf_table *t, struct sf_buf *out);
