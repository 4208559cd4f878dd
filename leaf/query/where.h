/*
 * The filter of a scan: where, an expression of common/expr over the fields that the caller sees.
 *
 *   Threads   Pure.
 */
#pragma once

#include "common/expr/expr.h"
#include "leaf/serving/serving.h"

/*
 * Reads @text as a filter of @table for who has @grant (NULL: the owner).
 *   SF_DENIED E0401   it names a field that the grant leaves out
 *   SF_INVALID        E0107, E0112, E0113: @findings (NULL: not wanted) gets every error with its
 *                     place. Names it suggests are of fields that the caller sees.
 *   SF_NOMEM
 */
enum sf_code query_where_parse(const char *text, const struct served_table *table,
                               const struct grant *grant, struct sf_expr **ret,
                               struct sf_buf *findings, struct sf_error *err) SF_MUST_CHECK;
