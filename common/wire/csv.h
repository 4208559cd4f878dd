/*
 * Splitting text into records: CSV as RFC 4180 has it, and NDJSON.
 *
 * CSV: an unquoted empty cell is null, "" is the empty string; quoted cells may hold separators,
 * doubled quotes and line ends. Lines end with LF or CR LF. Blank lines are skipped, as is a UTF-8
 * byte order mark at the very start. Cells are not checked for UTF-8.
 *
 * Both splitters take the records off the front of the caller's bytes. Who reads chunk by chunk
 * keeps what was left, appends the next chunk, and calls again, with @last once no more will come.
 *
 *   Memory    Cells borrow from the text, and those with doubled quotes from the splitter: until
 *             the next call or a change of the text. Zeroed structs are ready to use.
 *   Limits    SF_RECORD_TEXT_MAX bytes per record, SF_CSV_CELLS_MAX cells.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/slice.h"

enum {
    SF_RECORD_TEXT_MAX = 1024 * 1024,
    SF_CSV_CELLS_MAX = 4096,
};

struct sf_csv_cell {
    struct sf_slice text; /* without its quotes */
    uint32_t column;      /* of its first character in its line, in bytes, from 1 */
    bool is_null;         /* empty and not quoted */
};

struct sf_csv {
    char separator;            /* 0: comma */
    uint64_t line;             /* of the last record's first character, from 1 */
    uint64_t next_line;        /* line on which the text goes on, less 1 */
    struct sf_csv_cell *cells; /* owned: the last record */
    size_t cell_count;
    size_t cell_capacity;
    struct sf_buf unescaped;
    bool started;
};

void sf_csv_done(struct sf_csv *c);

/*
 * Takes the next record off *text and leaves it in @c.
 * SF_ABSENT (@err untouched): no whole record is there - more bytes are needed, or with @last the
 * end. SF_INVALID, number E0201: malformed ("line 3, column 9: ..."), *text untouched. SF_NOMEM.
 */
enum sf_code sf_csv_next(struct sf_csv *c, struct sf_slice *text, bool last,
                         struct sf_error *err) SF_MUST_CHECK;

struct sf_ndjson {
    uint64_t line;      /* of the last record, from 1 */
    uint64_t next_line; /* line on which the text goes on, less 1 */
    size_t line_max;    /* bytes of a line; 0: SF_RECORD_TEXT_MAX */
};

/*
 * Takes the next line that is not blank off *text, without its line end; codes as sf_csv_next().
 * Does not look at the JSON itself.
 */
enum sf_code sf_ndjson_next(struct sf_ndjson *n, struct sf_slice *text, bool last,
                            struct sf_slice *ret, struct sf_error *err) SF_MUST_CHECK;
