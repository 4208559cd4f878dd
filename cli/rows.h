/* Pages of NDJSON rows, as leaves answer them, through the printer. */
#pragma once

#include "cli/api.h"

struct rows {
    struct print *print;
    uint64_t limit;    /* 0: none */
    bool is_one;       /* the path names one row: nothing is added to it */
    uint64_t count;    /* rows printed */
    char position[64]; /* Sheaf-Position of the last page, or "" */
    bool more;         /* rows were left behind the limit */
    bool has_header;   /* private: the header line of CSV is printed */
    uint64_t counted;  /* by rows_count() */
    uint64_t nulls;    /* rows left out as --where was null for them... */
    uint64_t errors;   /* ...or failed */
};

/*
 * Asks the leaf for @path (which ends with "?" or a parameter) page by page, following
 * Sheaf-Cursor, and prints rows until there are no more or the limit is reached. The printer has
 * begun its list. NDJSON and CSV go to stdout as they came.
 */
enum sf_code rows_print(struct api *a, const char *path, struct rows *rows,
                        struct sf_error *err) SF_MUST_CHECK;
/* Adds up the numbers that the pages of @path, a count, answer. */
enum sf_code rows_count(struct api *a, const char *path, struct rows *rows,
                        struct sf_error *err) SF_MUST_CHECK;
/* What the leaf found wrong with --where, on standard error, when that is why it refused: then the
 * error is told. */
void rows_show_findings(struct api *a);
enum { ROWS_TEXT_MAX = 64 };
/* "10,000" into @ret, at least 32 bytes. */
void rows_count_text(uint64_t count, char *ret);
/* "1 row", "10,000 rows". */
void rows_named_text(uint64_t count, const char *one, char ret[ROWS_TEXT_MAX]);
