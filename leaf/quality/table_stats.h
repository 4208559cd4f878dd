/*
 * Statistics of the rows of a table: a sketch per field, and the newest time that a row speaks of.
 *
 * Rows are counted in and out by values; those written under an older version of the contract are
 * taken apart by that version and counted by field number.
 *
 *   Memory    Owned: sketches only. The table is borrowed and may be exchanged for a newer version.
 *   Threads   One at a time.
 */
#pragma once

#include "leaf/quality/sketch.h"

struct table_stats {
    const struct sf_table *table; /* borrowed */
    struct sketch *fields;        /* as in the table */
    uint64_t rows;                /* counted in and not out */
    int64_t event_us;             /* newest event time, microseconds since 1970; INT64_MIN: none */
    bool loose;                   /* a row could not be counted out: its old version is gone */
    struct sf_value *values;      /* private: of the row being counted */
    size_t value_room;
};

/* SF_NOMEM. */
enum sf_code table_stats_init(struct table_stats *s, const struct sf_table *table,
                              struct sf_error *err) SF_MUST_CHECK;
void table_stats_done(struct table_stats *s);

/*
 * Goes over to a newer version of the table: a field keeps its sketch by its number while the type
 * holds the same values; a new one is null in all rows so far. SF_NOMEM: nothing has changed.
 */
enum sf_code table_stats_move(struct table_stats *s, const struct sf_table *table,
                              struct sf_error *err) SF_MUST_CHECK;

/* A row, encoded under version @of of the table. SF_CORRUPT, SF_NOMEM. */
enum sf_code table_stats_add(struct table_stats *s, const struct sf_table *of, struct sf_slice row,
                             struct sf_error *err) SF_MUST_CHECK;
enum sf_code table_stats_remove(struct table_stats *s, const struct sf_table *of,
                                struct sf_slice row, struct sf_error *err) SF_MUST_CHECK;

/* Whether counts other than rows, nulls and moments may be too wide: bounds, different and top
 * values are of rows that are gone, too. */
bool table_stats_is_loose(const struct table_stats *s);

/* As they are stored: docs/formats/store.md. Fields stand by their numbers. */
void table_stats_encode(const struct table_stats *s, struct sf_buf *out);
/*
 * Takes them off the front of @bytes into @ret, which table_stats_init() made for the table; fields
 * that it does not have are left out. SF_CORRUPT E0605, SF_NOMEM: @ret is as it was made.
 */
enum sf_code table_stats_decode(struct sf_slice *bytes, struct table_stats *ret,
                                struct sf_error *err) SF_MUST_CHECK;
