#include "leaf/query/http_page.h"

#include <string.h>

#include "leaf/serving/http_answer.h"
#include "proto/subjects.h"

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

/* The lines, each one a JSON value, as the elements of an array. */
static void write_items(struct sf_json_writer *w, struct sf_slice lines)
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
    sf_json_key(&w, "items");
    write_items(&w, page->lines);
    sf_json_object_end(&w);
}

void http_page_answer(struct sf_http_request *r, enum http_form form, const struct http_page *page)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf document = {0};
    struct sf_http_header headers[3];
    struct sf_slice body = page->lines;
    size_t n = 0;

    headers[n++] = (struct sf_http_header){HEADER_POSITION, page->position};
    if (page->cursor != NULL && *page->cursor != '\0') {
        headers[n++] = (struct sf_http_header){HEADER_CURSOR, page->cursor};
    }
    if (page->head != NULL) {
        headers[n++] = (struct sf_http_header){HEADER_HEAD, page->head};
    }
    if (form == HTTP_FORM_JSON) {
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
