/*
 * Answers over HTTP that every part of the leaf gives alike: JSON documents and problems.
 *
 *   Threads   Loop thread.
 */
#pragma once

#include "common/sys/http_server.h"
#include "common/wire/json.h"

/* Answers with a problem; Retry-After on 429. */
void http_problem(struct sf_http_request *r, const struct sf_error *err);
/* The same with more headers, at most 4. */
void http_problem_with(struct sf_http_request *r, const struct sf_error *err,
                       const struct sf_http_header *headers, size_t header_count);
/* As http_problem() with a document begun by sf_problem_begin() (common/wire/problem.h). */
void http_problem_document(struct sf_http_request *r, const struct sf_error *err,
                           struct sf_buf *document);
/* Whether the client holds what @etag names ("\"...\""), as If-None-Match says. */
bool http_is_held(const struct sf_http_request *r, const char *etag);
/* 304 with @headers, of which one should be ETag. */
void http_not_modified(struct sf_http_request *r, const struct sf_http_header *headers,
                       size_t header_count);
/* http_json() of 200, with an ETag made of the document. */
void http_json_tagged(struct sf_http_request *r, struct sf_buf *document);
/* Answers with a JSON document, or 500 when @document failed. */
void http_json(struct sf_http_request *r, unsigned status, struct sf_buf *document);
