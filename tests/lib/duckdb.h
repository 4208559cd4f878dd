/*
 * DuckDB in memory, as an oracle: libduckdb.so of .deps/lib, loaded when it is wanted. The
 * prototypes are those of DuckDB's C API (MIT licence) that are used here.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct duckdb;

/* NULL, with a line on standard error, when the library at @path is not there or does not work. */
struct duckdb *duckdb_start(const char *path);
void duckdb_stop(struct duckdb *d);
/*
 * Runs @sql and puts the first @count cells of its @columns boolean columns into @ret, row by row:
 * 0, 1, -1 for null. @ret may be NULL. False, with the text of duckdb_error(): it was refused.
 */
bool duckdb_run(struct duckdb *d, const char *sql, int8_t *ret, size_t columns, size_t rows);
const char *duckdb_error(const struct duckdb *d);
