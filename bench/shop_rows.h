/*
 * The same thousand encoded rows of a shop's orders for every benchmark that reads rows: eight
 * fields, 84 bytes on average, one in five of each of five countries, a note in every third.
 *
 *   Errors    Programs of bench/ end on them.
 */
#pragma once

#include "common/base/buf.h"
#include "common/contract/contract.h"

enum { SHOP_ROWS = 1000, SHOP_FIELDS = 8 };

/* An event table of these fields, as the encoding sees them. */
extern const struct sf_table shop_table;

/* Ends the program when @code is no SF_OK. */
void bench_must(enum sf_code code, const struct sf_error *err);
/* Appends the rows of @t, which has the fields of shop_table, to @rows; each of @row borrows from
 * it. */
void shop_rows(const struct sf_table *t, struct sf_buf *rows, struct sf_slice row[SHOP_ROWS]);
