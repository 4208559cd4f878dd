/*
 * One page of rows or changes as the answer to an HTTP request, in the form it accepts: NDJSON or
 * CSV as they are, or one JSON document around the lines.
 *
 *   Threads   Loop thread.
 */
#pragma once

#include "common/sys/http_server.h"

enum http_form { HTTP_FORM_JSON, HTTP_FORM_NDJSON, HTTP_FORM_CSV };

/* From the Accept header; JSON when it names none of ours. */
enum http_form http_form_of(const struct sf_http_request *r);
/* The format to ask for: "ndjson" or "csv". */
const char *http_form_format(enum http_form form);

struct http_page {
    const char
        *kind; /* of the JSON document: "RecordList", "ChangeList"; NULL: the one line is it */
    struct sf_slice lines;
    const char *position; /* Sheaf-Position */
    const char *cursor;   /* Sheaf-Cursor; "" or NULL: none */
    const char *head;     /* Sheaf-Head; NULL: none */
};

void http_page_answer(struct sf_http_request *r, enum http_form form, const struct http_page *page);
