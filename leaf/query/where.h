/*
 * The filter of a scan: where, an expression of common/expr over the table as the caller sees it.
 *
 *   Threads   Pure.
 */
#pragma once

#include "common/base/buf.h"
#include "common/expr/expr.h"

/*
 * Reads @text as a filter of what is seen: fields that are hidden do not exist, and what is masked
 * is compared as it is seen.
 *   SF_INVALID   E0107, E0112, E0113: @findings (NULL: not wanted) gets every error with its place.
 *   SF_NOMEM
 */
enum sf_code query_where_parse(const char *text, const struct sf_table *seen, struct sf_expr **ret,
                               struct sf_buf *findings, struct sf_error *err) SF_MUST_CHECK;
