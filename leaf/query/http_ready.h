/*
 * Gets over HTTP whose answer stands ready (get_cache.h): a row by its key as JSON, by the owner,
 * all fields and as of now. Everything else goes the long way.
 *
 *   Threads   Loop thread.
 */
#pragma once

#include "leaf/query/get_cache.h"
#include "leaf/query/query_http.h"

/* A get that may be answered so. */
struct http_ready {
    struct get_name name; /* view NULL: it may not */
    struct store_stamp stamp;
};

/* Of a request that was decided on: @right. */
struct http_ready http_ready_of(const struct http_read *what, const struct sf_http_request *r,
                                const struct serving_right *right);
/* Answers @r when there is an answer. */
bool http_ready_answer(struct queries *qs, const struct http_ready *ready,
                       struct sf_http_request *r);
/* Before and after the row is read: it may be kept for those who come next. */
void http_ready_begin(struct queries *qs, struct http_ready *ready, struct sf_slice encoded_key);
void http_ready_keep(struct queries *qs, const struct http_ready *ready, struct sf_slice line);
