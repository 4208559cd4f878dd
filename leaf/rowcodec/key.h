/*
 * Keys of state tables: byte order is value order, field by field.
 *
 *   bool               1 byte, 0 or 1
 *   int32, date        4 bytes big-endian, sign bit flipped
 *   int64, decimal, timestamp   8 bytes big-endian, sign bit flipped
 *   uuid               its 16 bytes
 *   string, bytes      the bytes, 0x00 as 0x00 0xFF, then 0x00 0x00
 *
 * float and double are refused by the contract's checks; meeting one here is a bug.
 *
 *   Limits    SF_KEY_BYTES_MAX bytes.
 *   Errors    SF_CORRUPT: the bytes are no key of this table.
 *   Threads   Pure functions.
 */
#pragma once

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/contract/contract.h"
#include "leaf/rowcodec/view.h"

/*
 * Appends the key of a row given as field_count @values; all key fields are present.
 * SF_INVALID, number E0208: longer than SF_KEY_BYTES_MAX. Otherwise the failure of @out.
 */
enum sf_code key_encode(const struct sf_table *t, const struct sf_value *values, struct sf_buf *out,
                        struct sf_error *err) SF_MUST_CHECK;

/*
 * Takes a key apart: sets the key fields of field_count @values and no others. Strings without NUL
 * bytes borrow from @key, others from @arena. Strict. SF_CORRUPT, SF_NOMEM.
 */
enum sf_code key_decode(const struct sf_table *t, struct sf_slice key, struct sf_value *values,
                        struct sf_arena *arena, struct sf_error *err) SF_MUST_CHECK;

/* The first parts of a key, in key order. */
struct key_parts {
    struct sf_value parts[SF_KEY_FIELDS_MAX];
    size_t count;
};

/*
 * Parts from text, percent-decoded and split at commas by the caller, in key order.
 * SF_INVALID, number E0301: too many, or a part is no value of its field ("key part 2 ('day'):
 * must be a date like 2026-11-20"). SF_NOMEM.
 */
enum sf_code key_parse_text(const struct sf_table *t, const struct sf_slice *texts, size_t count,
                            struct sf_arena *arena, struct key_parts *ret,
                            struct sf_error *err) SF_MUST_CHECK;

enum key_last {
    KEY_LAST_WHOLE, /* all parts are whole values */
    KEY_LAST_BEGUN, /* the last part is the beginning of a string or of bytes */
};

/*
 * Appends what every key with these parts begins with; with all parts, whole, it is the key.
 * KEY_LAST_BEGUN with another type is SF_INVALID, number E0301. SF_INVALID, number E0208: too long.
 */
enum sf_code key_encode_parts(const struct sf_table *t, const struct key_parts *parts,
                              enum key_last last, struct sf_buf *out,
                              struct sf_error *err) SF_MUST_CHECK;

/*
 * Turns a prefix into the first byte string behind all that begin with it. False, and empty, when
 * there is none (nothing but 0xFF): the end of everything.
 */
bool key_prefix_end(struct sf_buf *prefix);

/*
 * {"order_id":"O-1"}: the fields of the key, in key order, that are in the view. SF_CORRUPT.
 */
enum sf_code key_render_json(const struct row_view *view, struct sf_slice key, struct sf_buf *out,
                             struct sf_error *err) SF_MUST_CHECK;
