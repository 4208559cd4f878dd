#include "leaf/query/http_page.h"

#include <string.h>

#include "common/wire/problem.h"
#include "leaf/serving/http_answer.h"
#include "proto/subjects.h"

enum { ETAG_POSITION_MAX = 60, ETAG_NAME_MAX = 30, HEADERS_MAX = 9 };
_Static_assert(ETAG_POSITION_MAX + 2 * ETAG_NAME_MAX + sizeof("\"...n\"") <= HTTP_PAGE_ETAG,
               "an ETag of the longest parts");

const char *http_page_kind(enum query_op op, bool count)
{
    switch (op) {
    case QUERY_GET:
        return NULL;
    case QUERY_SCAN:
        return count ? "Count" : "RecordList";
    case QUERY_CHANGES:
        return "ChangeList";
    }
    return NULL;
}

enum http_form http_form_of(const struct sf_http_request *r)
{
    const char *accept = sf_http_header_of(r, "Accept");

    if (accept != NULL && strstr(accept, "application/x-ndjson") != NULL) {
        return HTTP_FORM_NDJSON;
    }
    if (accept != NULL && strstr(accept, "text/csv") != NULL) {
        return HTTP_FORM_CSV;
    }
    return HTTP_FORM_JSON;
}

const char *http_form_format(enum http_form form)
{
    return form == HTTP_FORM_CSV ? "csv" : "ndjson";
}

void http_page_items(struct sf_json_writer *w, struct sf_slice lines)
{
    sf_json_array_begin(w);
    while (lines.size > 0) {
        const uint8_t *end = memchr(lines.data, '\n', lines.size);
        const size_t n = end == NULL ? lines.size : (size_t)(end - lines.data);

        sf_json_raw(w, sf_slice_of(lines.data, n));
        lines.data += n + (end != NULL);
        lines.size -= n + (end != NULL);
    }
    sf_json_array_end(w);
}

static const char *const work_headers[] = {HEADER_EXAMINED, HEADER_WHERE_NULLS,
                                           HEADER_WHERE_ERRORS};

static void write_work(struct sf_json_writer *w, const struct http_page *page)
{
    static const char *const names[] = {"examined", "nulls", "errors"};

    for (size_t i = 0; i < SF_COUNT(names); i++) {
        if (page->work[i] != NULL) {
            sf_json_key(w, names[i]);
            sf_json_raw(w, sf_slice_text(page->work[i]));
        }
    }
}

/* The line is {"count":N}. */
static struct sf_slice count_of(struct sf_slice line)
{
    static const char begin[] = "{\"count\":";
    const size_t n = sizeof(begin) - 1;

    if (line.size < n + 2 || memcmp(line.data, begin, n) != 0) {
        return SF_LITERAL("0");
    }
    return sf_slice_of(line.data + n, line.size - n - 2);
}

static void write_document(const struct http_page *page, struct sf_buf *out)
{
    struct sf_json_writer w = {.out = out};

    if (page->kind == NULL) {
        sf_buf_slice(out, page->lines);
        return;
    }
    sf_json_object_begin(&w);
    sf_json_member_text(&w, "apiVersion", "sheaf/v1");
    sf_json_member_text(&w, "kind", page->kind);
    sf_json_member_text(&w, "position", page->position);
    sf_json_member_text(&w, "cursor", page->cursor == NULL ? "" : page->cursor);
    if (strcmp(page->kind, "Count") == 0) {
        sf_json_key(&w, "count");
        sf_json_raw(&w, count_of(page->lines));
    } else {
        sf_json_key(&w, "items");
        http_page_items(&w, page->lines);
    }
    write_work(&w, page);
    sf_json_object_end(&w);
}

void http_page_problem(struct sf_http_request *r, const struct sf_error *err,
                       struct sf_slice findings)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf document = {0};
    struct sf_json_writer w = {.out = &document};

    sf_problem_begin(&w, err);
    if (findings.size > 0) {
        sf_json_member_slice(&w, "findings", findings);
    }
    sf_json_object_end(&w);
    http_problem_document(r, err, &document);
}

/* Changes are not: an answer that says where it stopped has no state of its own. */
static bool is_tagged(const struct http_page *page)
{
    return page->kind == NULL || strcmp(page->kind, "ChangeList") != 0;
}

/* At most @max bytes of @text, and a dot; returns where to go on. */
static char *add_part(char *at, const char *text, size_t max)
{
    const size_t n = strnlen(text, max);

    memcpy(at, text, n);
    at[n] = '.';
    return at + n + 1;
}

void http_page_etag(enum http_form form, const char *position, const char *view,
                    const char *contract, char ret[HTTP_PAGE_ETAG])
{
    static const char forms[] = {
        [HTTP_FORM_JSON] = 'j', [HTTP_FORM_NDJSON] = 'n', [HTTP_FORM_CSV] = 'c'};

    char *at = ret;

    *at++ = '"';
    at = add_part(at, position, ETAG_POSITION_MAX);
    at = add_part(at, view, ETAG_NAME_MAX);
    at = add_part(at, contract, ETAG_NAME_MAX);
    *at++ = forms[form];
    *at++ = '"';
    *at = '\0';
}

/* The headers that every page has; returns their number. @etag is used when there is one. */
static size_t write_headers(enum http_form form, const struct http_page *page,
                            struct sf_http_header headers[HEADERS_MAX], char etag[HTTP_PAGE_ETAG])
{
    size_t n = 0;

    *etag = '\0';
    headers[n++] = (struct sf_http_header){HEADER_POSITION, page->position};
    if (page->cursor != NULL && *page->cursor != '\0') {
        headers[n++] = (struct sf_http_header){HEADER_CURSOR, page->cursor};
    }
    if (page->head != NULL) {
        headers[n++] = (struct sf_http_header){HEADER_HEAD, page->head};
    }
    if (page->view != NULL) {
        headers[n++] = (struct sf_http_header){HEADER_VIEW, page->view};
        headers[n++] = (struct sf_http_header){HEADER_CONTRACT, page->contract};
    }
    if (page->view != NULL && is_tagged(page)) {
        http_page_etag(form, page->position, page->view, page->contract, etag);
        headers[n++] = (struct sf_http_header){"ETag", etag};
    }
    return n;
}

enum sf_code http_page_prepare(const struct sf_http_request *r, const struct http_page *page,
                               struct sf_http_prepared **ret, struct sf_error *err)
{
    struct sf_http_header headers[HEADERS_MAX];
    char etag[HTTP_PAGE_ETAG];
    const size_t n = write_headers(HTTP_FORM_JSON, page, headers, etag);

    return sf_http_prepare(r, 200, "application/json", headers, n, page->lines.size, ret, err);
}

void http_page_answer(struct sf_http_request *r, enum http_form form, const struct http_page *page)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf document = {0};
    struct sf_http_header headers[HEADERS_MAX];
    char etag[HTTP_PAGE_ETAG];
    struct sf_slice body = page->lines;
    size_t n = write_headers(form, page, headers, etag);

    if (*etag != '\0' && http_is_held(r, etag)) {
        http_not_modified(r, headers, n);
        return;
    }
    for (size_t i = 0; i < SF_COUNT(work_headers); i++) {
        if (page->work[i] != NULL) {
            headers[n++] = (struct sf_http_header){work_headers[i], page->work[i]};
        }
    }
    if (form == HTTP_FORM_JSON && page->kind != NULL) {
        struct sf_error err;

        write_document(page, &document);
        if (sf_buf_check(&document, "answer", &err) != SF_OK) {
            http_problem(r, &err);
            return;
        }
        body = sf_buf_view(&document);
    }
    sf_http_respond(r, 200,
                    form == HTTP_FORM_CSV      ? "text/csv; charset=utf-8"
                    : form == HTTP_FORM_NDJSON ? "application/x-ndjson"
                                               : "application/json",
                    headers, n, body);
}
