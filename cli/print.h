/*
 * The one printer: what a command found, in the form that -o asks for.
 *
 * A command describes its result once - an object, or a list of rows with named cells - and every
 * form follows: an aligned table, JSON with apiVersion and kind, one JSON object per line, CSV,
 * YAML, or names only, for scripts.
 *
 *   Order     print_begin(), rows of cells in the same order each, print_end(). An object is one
 *             row. Members (print_member_text) stand beside the items of a list and come last.
 *   Memory    A zeroed struct with out and format set is ready. Tables hold up to PRINT_ROWS_MAX
 *             rows to align them, then go on with the widths found; the other forms hold nothing.
 *   Errors    Sticky: print_end() tells about memory and about writing.
 *
 * In tables, control characters of values are shown as \xNN, so that data cannot drive a terminal.
 * A table that is wider than its terminal has narrower gaps, else texts that go on below, else a
 * line for each cell.
 */
#pragma once

#include <stdio.h>

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/wire/json.h"

enum print_format {
    PRINT_TABLE,
    PRINT_JSON,
    PRINT_NDJSON,
    PRINT_CSV,
    PRINT_YAML,
    PRINT_NAME, /* of each row the cell that names it: id, name, product, domain, code; or the first
                 */
};

enum { PRINT_ROWS_MAX = 1000, PRINT_COLUMNS_MAX = 1024 };

enum print_shape {
    PRINT_LIST,   /* kind names the list: "ProductList" */
    PRINT_OBJECT, /* exactly one row */
};

enum print_cell_kind { PRINT_NULL, PRINT_TEXT, PRINT_NUMBER, PRINT_BOOL, PRINT_RAW };

enum print_layout {
    PRINT_WIDE,    /* columns two apart */
    PRINT_NARROW,  /* one apart */
    PRINT_WRAPPED, /* two apart, long texts go on below */
    PRINT_RECORDS, /* a line for each cell */
};

struct print_cell; /* a cell of a table that waits for its neighbours' widths */

struct print {
    FILE *out; /* borrowed */
    enum print_format format;
    unsigned width; /* columns of the terminal; 0: as wide as it comes */

    enum print_shape shape; /* the rest is private */
    const char *kind;
    char *columns[PRINT_COLUMNS_MAX]; /* owned: names, as the first row gave them */
    unsigned widths[PRINT_COLUMNS_MAX];
    bool is_text[PRINT_COLUMNS_MAX]; /* some cell is neither number nor null: align left */
    bool breaks[PRINT_COLUMNS_MAX];  /* some cell may go on below: no number, no time */
    enum print_layout layout;
    size_t column_count;
    size_t at;          /* cell of the row under way */
    size_t row_count;   /* rows ended */
    unsigned name_rank; /* PRINT_NAME: of the cell taken so far */
    bool header_done;
    struct print_cell *cells; /* owned */
    size_t cell_count;
    size_t cell_capacity;
    struct sf_buf text; /* of those cells; of the line under way in the other forms */
    struct sf_buf members;
    struct sf_buf line; /* of a table */
    enum sf_code failed;
};

void print_begin(struct print *p, enum print_shape shape, const char *kind);
void print_row(struct print *p); /* starts a row */

void print_text(struct print *p, const char *name, const char *text); /* NULL: null */
void print_slice(struct print *p, const char *name, struct sf_slice text);
void print_format_text(struct print *p, const char *name, const char *fmt, ...) SF_PRINTF(3, 4);
void print_int(struct print *p, const char *name, int64_t value);
void print_uint(struct print *p, const char *name, uint64_t value);
/* In tables with six significant digits, or as a whole number from a million on; else with all. */
void print_double(struct print *p, const char *name, double value);
void print_bool(struct print *p, const char *name, bool value);
/* UTC, to the second; 0 is null. */
void print_time(struct print *p, const char *name, int64_t wall_us);
void print_json(struct print *p, const char *name, const struct sf_json *value);

/* A row of all members of a server's answer but apiVersion and kind, which print_begin() says. */
void print_answer_members(struct print *p, const struct sf_json *answer);

void print_member_text(struct print *p, const char *name, const char *text);
void print_member_uint(struct print *p, const char *name, uint64_t value);

/* Writes what is left and readies @p for the next print_begin(). SF_NOMEM, SF_IO. */
enum sf_code print_end(struct print *p, struct sf_error *err) SF_MUST_CHECK;
/* Frees without writing; for results that were not ended. */
void print_done(struct print *p);

/* Appends @text so that it cannot move the cursor: what others wrote is shown on a terminal. */
void print_append_shown(struct sf_buf *b, struct sf_slice text);

/* Columns that @text takes on a terminal. */
unsigned print_width(struct sf_slice text);
enum { PRINT_TIME_SIZE = 24 };
/* "2026-11-20T08:01:12Z" into @ret. */
void print_time_text(int64_t wall_us, char ret[PRINT_TIME_SIZE]);
/* When something ends: "2027-02-18", or "2026-11-20T08:01Z" within two days of @now_us. */
void print_until_text(int64_t wall_us, int64_t now_us, char ret[PRINT_TIME_SIZE]);
