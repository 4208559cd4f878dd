/*
 * Records of a file - CSV, NDJSON, or one JSON array - in order, one by one or cut into batches.
 *
 *   Memory    The file is mapped; what functions hand out borrows from it or from the struct, until
 *             the next call.
 *   Limits    SF_RECORD_TEXT_MAX bytes per record.
 *   Errors    SF_INVALID, E0201: framing, names the line; E0208; E0804: no such file. Bytes are not
 *             checked for UTF-8.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/sys/file.h"
#include "common/wire/csv.h"

enum records_format { RECORDS_CSV, RECORDS_NDJSON, RECORDS_JSON };

/* Where a JSON array was left. */
enum records_array { RECORDS_BEFORE, RECORDS_FIRST, RECORDS_INSIDE, RECORDS_BEHIND };

struct records {
    const char *path;
    enum records_format format;
    struct sf_mapping mapping;
    struct sf_slice left;   /* not taken yet */
    struct sf_csv csv;      /* cells of the record taken last */
    struct sf_slice header; /* CSV: the header's bytes with its line end */
    uint64_t line;          /* where the record taken last starts, from 1 */
    uint64_t index;         /* records taken */
    enum records_array array;
    uint64_t line_at; /* JSON: of the front of left */
    struct sf_ndjson ndjson;
    struct sf_buf batch;
    uint64_t batch_line; /* NDJSON: of the file, on which the batch goes on */
};

/* @format_name: "csv", "ndjson", "json", or NULL to tell by the name of the file. */
enum sf_code records_open(const char *path, const char *format_name, struct records *ret,
                          struct sf_error *err) SF_MUST_CHECK;
void records_done(struct records *r);
/* The names of a CSV file are in r->csv after records_open(). */

/* The next record's text (CSV: cells are in r->csv). SF_ABSENT: the end, @err untouched. */
enum sf_code records_next(struct records *r, struct sf_slice *ret,
                          struct sf_error *err) SF_MUST_CHECK;

struct records_batch {
    struct sf_slice body; /* as the leaf takes it */
    uint64_t rows;
    uint64_t first_line;  /* of the file, of the first record in it */
    uint64_t first_index; /* records before it */
};
/* Up to @rows_max records and about @bytes_max bytes. SF_ABSENT: the end, @err untouched. */
enum sf_code records_batch(struct records *r, uint64_t rows_max, size_t bytes_max,
                           struct records_batch *ret, struct sf_error *err) SF_MUST_CHECK;
/* What the bodies of batches are. */
const char *records_media(const struct records *r);
/* Bytes read so far, of all. */
uint64_t records_bytes_done(const struct records *r);
