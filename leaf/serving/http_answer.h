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
/* As http_problem() with a document begun by sf_problem_begin() (common/wire/problem.h). */
void http_problem_document(struct sf_http_request *r, const struct sf_error *err,
                           struct sf_buf *document);
/* Answers with a JSON document, or 500 when @document failed. */
void http_json(struct sf_http_request *r, unsigned status, struct sf_buf *document);
