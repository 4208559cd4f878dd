/*
 * Records as producers send them - a line of NDJSON, a row of CSV - into checked values of a table.
 *
 * Per field: what the contract declares of cleaning (clean.h), conversion from text (type), default
 * when absent, required, then the
 * rules (validate.h). Absent, JSON null and an empty unquoted cell are the same. Strict: unknown
 * fields, fields given twice, values of another type are violations; nothing is converted silently.
 *
 *   JSON   bool true/false; int32, int64: a number of digits only; float, double: a number;
 * decimal: a number or a string of one, exact; string; bytes: base64; date, timestamp, uuid:
 * string; list: an array; struct: an object; json: anything. CSV    the same as text; bool also
 * 0/1; list, struct and json: their JSON text. both   date YYYY-MM-DD or by the field's parse
 * format; timestamp RFC 3339 with a zone or by the parse format; uuid 8-4-4-4-12 hexadecimal
 * digits; NaN and infinities do not exist, -0 is 0; a list that is not given is empty. A field goes
 * by its source name, or by its own.
 *
 *   Memory    Values borrow from the text, from the table and from the reader: until the next call
 *             with the same reader. Reading valid records takes nothing from the heap in the long
 *             run.
 *   Threads   One reader, one user.
 *   Limits    SF_RECORD_TEXT_MAX bytes of text, SF_LIST_ITEMS_MAX elements of a list, the depth of
 *             wire/json.h, in json that of wire/json_canon.h.
 */
#pragma once

#include "common/base/str.h"
#include "common/contract/clean.h"
#include "common/wire/csv.h"
#include "common/wire/json.h"
#include "proto/errors.h"

enum { SF_VERDICT_LIST_MAX = 8 };

/* @text is one line without values of the record: "'amount' must be a number". */
struct sf_violation {
    uint16_t number;   /* SHEAF_E_...: proto/errors.h */
    uint8_t path_size; /* not 0: inside a struct or list, and its path is text[1..path_size] */
    int32_t field;     /* index into the table's fields; -1: of the record as a whole */
    char text[120];
};

/* What is wrong with one record; nothing when found is 0. */
struct sf_verdict {
    uint32_t count; /* listed */
    uint32_t found;
    struct sf_violation list[SF_VERDICT_LIST_MAX];
};

/* Adds a violation; beyond the list's end it is only counted. */
void sf_verdict_add(struct sf_verdict *v, enum sheaf_error_number number, int32_t field,
                    const char *fmt, ...) SF_PRINTF(4, 5);

/* The name or path that @v is about, "amount" or "lines[3].qty" (counted from 0), in @t or in @v;
 * empty: the record as a whole. */
struct sf_slice sf_violation_path(const struct sf_violation *v, const struct sf_table *t);

struct sf_record_reader;

/* @table is borrowed for the reader's life. SF_NOMEM. */
enum sf_code sf_record_reader_new(const struct sf_table *table, struct sf_record_reader **ret,
                                  struct sf_error *err) SF_MUST_CHECK;
void sf_record_reader_free(struct sf_record_reader *r);
SF_DEFINE_CLEANUP(struct sf_record_reader, sf_record_reader_free)

/* What cleaning did since the last reset, per field of the table; NULL: no field declares any. */
const struct sf_clean_counts *sf_record_counts(const struct sf_record_reader *r);
void sf_record_counts_reset(struct sf_record_reader *r);

/*
 * Fills all field_count of @values, in the order of the table's fields, and @verdict. The values
 * mean something only when verdict->found is 0. SF_NOMEM, and nothing else: bad records are
 * verdicts.
 */
enum sf_code sf_record_from_json(struct sf_record_reader *r, struct sf_slice line,
                                 struct sf_value *values, struct sf_verdict *verdict,
                                 struct sf_error *err) SF_MUST_CHECK;
/* The same from a value read elsewhere, as the row inside an envelope; it outlives @values. */
enum sf_code sf_record_from_json_value(struct sf_record_reader *r, const struct sf_json *row,
                                       struct sf_value *values, struct sf_verdict *verdict,
                                       struct sf_error *err) SF_MUST_CHECK;

/*
 * Takes the header line for all rows that follow. SF_INVALID: a column that is no field (number
 * E0203), a column given twice (E0201), no column for a required field without default (E0206).
 */
enum sf_code sf_record_bind_csv(struct sf_record_reader *r, const struct sf_csv *header,
                                struct sf_error *err) SF_MUST_CHECK;
/* As sf_record_from_json(), after sf_record_bind_csv(). */
enum sf_code sf_record_from_csv(struct sf_record_reader *r, const struct sf_csv *row,
                                struct sf_value *values, struct sf_verdict *verdict,
                                struct sf_error *err) SF_MUST_CHECK;

/*
 * As sf_record_from_json(), from a message of the table's exported .proto. Fields may come in any
 * order and lists packed or not, as protobuf has it; unknown fields and fields that stand twice are
 * violations, as is everything sf_record_from_json() refuses.
 */
enum sf_code sf_record_from_protobuf(struct sf_record_reader *r, struct sf_slice message,
                                     struct sf_value *values, struct sf_verdict *verdict,
                                     struct sf_error *err) SF_MUST_CHECK;

/*
 * Only the key of a row: what a delete needs. The other fields may be there or not and are not
 * checked; only the key fields of @values are set.
 */
enum sf_code sf_record_key_from_json_value(struct sf_record_reader *r, const struct sf_json *row,
                                           struct sf_value *values, struct sf_verdict *verdict,
                                           struct sf_error *err) SF_MUST_CHECK;

/*
 * A row with some fields changed: @row has the fields to change, null for those to clear; all
 * others are as in @old, which outlives @values. Fields that are given are checked as in a whole
 * row.
 */
enum sf_code sf_record_patch_from_json_value(struct sf_record_reader *r, const struct sf_json *row,
                                             const struct sf_value *old, struct sf_value *values,
                                             struct sf_verdict *verdict,
                                             struct sf_error *err) SF_MUST_CHECK;

/*
 * What a field wants, for values that sf_value_parse() refused: "must be a whole number", "does not
 * fit int32". Static storage, or @scratch.
 */
const char *sf_field_hint(const struct sf_field *f, enum sf_parse why, char scratch[64]);
