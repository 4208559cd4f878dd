/*
 * Answers over HTTP that every part of the leaf gives alike: JSON documents and problems.
 *
 *   Threads   Loop thread.
 */
#pragma once

#include "common/sys/http_server.h"
#include "common/wire/json.h"

/* The number of proto/errors.h that stands for @err: its own, or what fits its code. */
uint16_t http_error_number(const struct sf_error *err);
/* Starts a problem document (RFC 9457): type, title, status, detail, code, next. The caller may add
 * members and ends the object. */
void http_problem_begin(struct sf_json_writer *w, const struct sf_error *err);
/* Answers with a problem; Retry-After on 429. */
void http_problem(struct sf_http_request *r, const struct sf_error *err);
/* As http_problem() with a document made by http_problem_begin(). */
void http_problem_document(struct sf_http_request *r, const struct sf_error *err,
                           struct sf_buf *document);
/* Answers with a JSON document, or 500 when @document failed. */
void http_json(struct sf_http_request *r, unsigned status, struct sf_buf *document);
