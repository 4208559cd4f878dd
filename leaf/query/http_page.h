/*
 * One page of rows or changes as the answer to an HTTP request, in the form it accepts: NDJSON or
 * CSV as they are, or one JSON document around the lines.
 *
 *   Threads   Loop thread.
 */
#pragma once

#include "common/sys/http_server.h"
#include "common/wire/json.h"
#include "leaf/query/query.h"

enum http_form { HTTP_FORM_JSON, HTTP_FORM_NDJSON, HTTP_FORM_CSV };

/* The kind of the JSON document of an answer. */
const char *http_page_kind(enum query_op op, bool count);

/* From the Accept header; JSON when it names none of ours. */
enum http_form http_form_of(const struct sf_http_request *r);
/* The format to ask for: "ndjson" or "csv". */
const char *http_form_format(enum http_form form);

struct http_page {
    const char *kind; /* of the JSON document: "RecordList", "ChangeList", "Count"; NULL: the one
                         line is it */
    struct sf_slice lines;
    const char *position; /* Sheaf-Position */
    const char *cursor;   /* Sheaf-Cursor; "" or NULL: none */
    const char *head;     /* Sheaf-Head; NULL: none */
    const char *view;     /* Sheaf-View and Sheaf-Contract; NULL: none, and no ETag */
    const char *contract;
    const char *work[3]; /* of a page with where: rows examined, nulls, errors; NULL: none */
};

/* Lines that are JSON values, as an array. */
void http_page_items(struct sf_json_writer *w, struct sf_slice lines);

enum { HTTP_PAGE_ETAG = 160 };
/* The ETag of rows: where the table stands, what of it is seen, and the form. */
void http_page_etag(enum http_form form, const char *position, const char *view,
                    const char *contract, char ret[HTTP_PAGE_ETAG]);
/* A problem with the findings about a filter, when there are some. */
void http_page_problem(struct sf_http_request *r, const struct sf_error *err,
                       struct sf_slice findings);
/* An answer with the head of one row as JSON, for rows of the size of @page's; it has a view.
 * SF_NOMEM. */
enum sf_code http_page_prepare(const struct sf_http_request *r, const struct http_page *page,
                               struct sf_http_prepared **ret, struct sf_error *err) SF_MUST_CHECK;
void http_page_answer(struct sf_http_request *r, enum http_form form, const struct http_page *page);
