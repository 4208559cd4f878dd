/*
 * A filter, a table and its rows in DuckDB's SQL, so that DuckDB computes what docs/reference/
 * expressions.md says. Where its own rules differ, the text spells ours out: integers of 64 bits,
 * lower() and upper() of ASCII, division by zero as null, a double that is not finite as an error.
 */
#pragma once

#include "common/expr/expr_private.h"

void expr_sql_print(const struct sf_expr *e, struct sf_buf *out);
/* CREATE TABLE with the fields of @t and three columns for the caller. */
void expr_sql_create(const struct sf_table *t, struct sf_buf *out);
/* The row in parentheses, for VALUES. */
void expr_sql_row(const struct sf_table *t, const struct sf_value *row,
                  const struct sf_expr_caller *caller, struct sf_buf *out);
