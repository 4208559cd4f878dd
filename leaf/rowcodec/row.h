/*
 * Rows as they are stored and sent: the canonical protobuf encoding of a table's fields.
 *
 * One value has one byte string: ascending field numbers, minimal varints, null = absent, zeros
 * written; how each type stands there is in common/contract/wire_value.h.
 * docs/formats/rows-and-keys.md is the same in full.
 *
 *   Memory    Output goes into the caller's buffer, whose failure is returned; what was written of
 *             a row that failed is taken back. A buffer with a size_max is full a little early: up
 *             to 15 bytes per field are asked for on top of a row, 48 and the row's size on top of
 *             its JSON.
 *   Errors    SF_CORRUPT: the bytes are no canonical row; the text never holds a value.
 *   Threads   Pure functions.
 */
#pragma once

#include "common/base/buf.h"
#include "common/contract/contract.h"
#include "leaf/rowcodec/view.h"

/*
 * Appends the row of field_count @values, which passed validation.
 * SF_INVALID, number E0208: larger than SF_ROW_BYTES_MAX. Otherwise the failure of @out.
 */
enum sf_code row_encode(const struct sf_table *t, const struct sf_value *values, struct sf_buf *out,
                        struct sf_error *err) SF_MUST_CHECK;

/*
 * Takes a row apart into field_count @values, which borrow from @row. Strict: SF_CORRUPT for
 * anything that row_encode() could not have written, unknown fields too.
 */
enum sf_code row_decode(const struct sf_table *t, struct sf_slice row, struct sf_value *values,
                        struct sf_error *err) SF_MUST_CHECK;

/*
 * row_decode() of a row that any version of the table may have written: what @t has no more is left
 * out, inside structs and lists too. Widened types read on as they are. The values borrow from @row
 * or from @renewed, whose contents are replaced. SF_CORRUPT, or the failure of @renewed.
 */
enum sf_code row_decode_old(const struct sf_table *t, struct sf_slice row, struct sf_buf *renewed,
                            struct sf_value *values, struct sf_error *err) SF_MUST_CHECK;

/* One field of a row; present is false when it is null. SF_CORRUPT. */
enum sf_code row_get(const struct sf_table *t, struct sf_slice row, size_t field,
                     struct sf_value *ret, struct sf_error *err) SF_MUST_CHECK;

/*
 * One JSON object with the fields of the view, nulls explicit, without a line end. int64 is a
 * number, decimal a string, bytes base64, timestamp with Z and six decimals; json is what it holds,
 * a list always there, a struct an object with all its fields. SF_CORRUPT.
 */
enum sf_code row_render_json(const struct row_view *view, struct sf_slice row, struct sf_buf *out,
                             struct sf_error *err) SF_MUST_CHECK;
/* One CSV line with its LF: null is empty, the empty string is ""; json, lists and structs are JSON
 * text. SF_CORRUPT. */
enum sf_code row_render_csv(const struct row_view *view, struct sf_slice row, struct sf_buf *out,
                            struct sf_error *err) SF_MUST_CHECK;
/* The header line for row_render_csv(). */
void row_render_csv_header(const struct row_view *view, struct sf_buf *out);

/* Appends one value, which row_decode() or a record reader made, as JSON; absent: null, or []. */
void row_render_value_json(const struct sf_field *f, const struct sf_value *v, struct sf_buf *out);
