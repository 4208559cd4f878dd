/*
 * A contract from data: columns are added row by row over the whole file, then asked for a product.
 *
 * Types are the narrowest that hold every cell: bool, int32 (int64 for keys), int64, decimal (up to
 * four digits behind the point; any number of them where a double would lose digits before it),
 * double, date, timestamp, uuid, else string, and in JSON, when there was a number or bool among
 * them, json. Digits with leading zeros stay strings, as do whole numbers of CSV above 64 bits and
 * dates whose day and month cannot be told apart. Required is what was
 * never null. A key is one column that was unique and never null and looks like one (its name, or
 * the first column); without one the table is of kind event. Columns that hold e-mail addresses in
 * 90 of 100 cells, or whose name suggests it, get class pii; fields of structs too.
 *
 *   Order     sf_infer_new, sf_infer_header, sf_infer_row ..., sf_infer_product, sf_infer_free.
 *   Threads   One thread.
 *   Memory    Bounded: 256 MiB of 64-bit hashes for key candidates (some 12 million rows of one); a
 *             candidate that would pass that is no candidate any more. Two equal hashes count as
 *             equal values, so a key may be missed, never invented. No cell is kept.
 *   Limits    SF_FIELDS_MAX columns, names of 1,000 bytes.
 */
#pragma once

#include "common/contract/contract.h"
#include "common/contract/product_print.h"
#include "common/wire/json.h"

struct sf_infer;

/* A cell as text. null: empty without quotes in CSV, null or absent in JSON. */
struct sf_cell {
    struct sf_slice text;
    bool null;
    bool quoted; /* text in quotes in JSON: never a number or bool */
    bool bare;   /* a number or bool of JSON: never a text */
    bool nested; /* private: an object or array, without text */
};

/* What becomes of the rows. */
struct sf_infer_options {
    const char *domain;  /* a valid name */
    const char *product; /* a valid name */
    const char *table;   /* a valid name, or NULL: the product's with _ for - */
};

enum sf_code sf_infer_new(struct sf_infer **ret, struct sf_error *err) SF_MUST_CHECK;
void sf_infer_free(struct sf_infer *i);
SF_DEFINE_CLEANUP(struct sf_infer, sf_infer_free)

/* The names of the columns as the input has them. SF_INVALID (SHEAF-E0108): empty, doubled or too
 * many names. SF_NOMEM. */
enum sf_code sf_infer_header(struct sf_infer *i, const struct sf_slice *names, size_t count,
                             struct sf_error *err) SF_MUST_CHECK;
/* One row; fewer cells than columns are null, more are SF_INVALID (SHEAF-E0108). The text is valid
 * UTF-8. SF_NOMEM. */
enum sf_code sf_infer_row(struct sf_infer *i, const struct sf_cell *cells, size_t count,
                          struct sf_error *err) SF_MUST_CHECK;
/*
 * One row as a JSON object, without sf_infer_header(). Members that are objects become structs,
 * arrays lists of scalars or of structs, and what is neither - other kinds in the same field, null
 * or arrays in arrays, empty objects, only empty arrays, more than 64 names, too deep - json.
 * SF_INVALID (SHEAF-E0108): names. SF_NOMEM.
 */
enum sf_code sf_infer_json(struct sf_infer *i, const struct sf_json *object,
                           struct sf_error *err) SF_MUST_CHECK;
/* A column by name, added when it is new (rows before it had null there). */
enum sf_code sf_infer_column(struct sf_infer *i, struct sf_slice name, size_t *ret,
                             struct sf_error *err) SF_MUST_CHECK;
/*
 * The product: version 1.0.0, active, one table. *ret_notes (may be NULL) are the
 * reasons, in the product's arena. SF_INVALID (SHEAF-E0108): no columns or no rows. SF_NOMEM.
 */
enum sf_code sf_infer_product(struct sf_infer *i, const struct sf_infer_options *options,
                              struct sf_product **ret, struct sf_print_notes *ret_notes,
                              struct sf_error *err) SF_MUST_CHECK;
