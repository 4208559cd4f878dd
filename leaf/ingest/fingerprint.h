/*
 * What a record and its repetition have in common, as the table's dedupe says, in 16 bytes.
 *
 *   Threads   One user.
 */
#pragma once

#include "common/contract/contract.h"
#include "leaf/store/store.h"

struct fingerprint {
    const struct sf_table *table; /* borrowed */
    struct sf_table part;         /* SF_DEDUPE_FIELDS: these fields, as a table of their own */
    struct sf_field *fields;
    struct sf_value *values;
    struct sf_buf row;
};

/* @ret is zeroed. SF_NOMEM; fingerprint_done() also then. */
enum sf_code fingerprint_init(struct fingerprint *ret, const struct sf_table *table,
                              struct sf_error *err) SF_MUST_CHECK;
void fingerprint_done(struct fingerprint *f);
/* Of the values of which @key and @row were made. SF_NOMEM. */
enum sf_code fingerprint_make(struct fingerprint *f, const struct sf_value *values,
                              struct sf_slice key, struct sf_slice row,
                              uint8_t ret[STORE_FINGERPRINT_BYTES],
                              struct sf_error *err) SF_MUST_CHECK;
