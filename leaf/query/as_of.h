/*
 * as_of and since: the point in the past that a request is about, from its text to a seq.
 *
 *   Threads   Parsing any; finding on a query thread.
 */
#pragma once

#include "leaf/query/query.h"

/* "EPOCH:SEQ", or RFC 3339 with a zone. @text NULL: nothing. SF_INVALID E0301 naming @name. */
enum sf_code query_point_parse(const char *name, const char *text, struct query_point *ret,
                               struct sf_error *err) SF_MUST_CHECK;
/* Only a time: for since. */
enum sf_code query_time_parse(const char *name, const char *text, struct query_point *ret,
                              struct sf_error *err) SF_MUST_CHECK;

/*
 * Where in the log @point is: the seq that it shows, and its epoch. SF_CONFLICT E0308: not held any
 * more, or of another epoch; E0317: ahead of the table.
 */
enum sf_code query_point_find(const struct query_point *point,
                              const struct store_snapshot *snapshot, const struct store_lane *lane,
                              const struct store_head *head, uint32_t *ret_epoch, uint64_t *ret_seq,
                              struct sf_error *err) SF_MUST_CHECK;
