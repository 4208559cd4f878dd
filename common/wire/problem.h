/*
 * Problem documents (RFC 9457): how an error is told over HTTP and NATS alike.
 *
 *     {"type":"about:blank","title","status","detail","code":"SHEAF-E0401","next"}
 */
#pragma once

#include "common/wire/json.h"
#include "proto/errors.h"

/* The entry of proto/errors.h that stands for @err: by its own number, or what fits its code. */
const struct sheaf_error_info *sf_problem_info(const struct sf_error *err);
/* Starts the document; the caller may add members, and ends the object. */
void sf_problem_begin(struct sf_json_writer *w, const struct sf_error *err);
/* What is sent of @document, which tells @err: it, or when there was no memory for it the constant
 * one of the entry, which has the title as detail and no more members. */
struct sf_slice sf_problem_view(const struct sf_buf *document, const struct sf_error *err);
/* What whoever asked may do about an answer with this HTTP status. */
enum sf_code sf_problem_code(unsigned http_status);
