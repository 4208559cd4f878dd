/* What the files of this directory share; everything else uses row.h. */
#pragma once

#include "common/base/buf.h"
#include "common/contract/wire_value.h"

/* Raises SF_CORRUPT for the byte of @row that @at points to. */
enum sf_code row_raise_corrupt(const struct sf_table *t, struct sf_slice row, const uint8_t *at,
                               const char *what, struct sf_error *err);

/* Appends a list or struct as JSON; absent: [] or null. False: it is not canonical, and what was
 * appended is not whole. */
bool row_put_nested(const struct sf_field *f, const struct sf_value *v,
                    struct sf_buf *out) SF_MUST_CHECK;
