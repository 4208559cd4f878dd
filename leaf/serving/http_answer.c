#include "leaf/serving/http_answer.h"

#include <string.h>

#include "common/sys/crypto.h"
#include "common/sys/encoding.h"
#include "common/wire/problem.h"

enum { HEADERS_MAX = 8 };

static void respond_problem(struct sf_http_request *r, const struct sf_error *err,
                            struct sf_buf *document, const struct sf_http_header *more,
                            size_t more_count)
{
    const unsigned status = sf_problem_info(err)->http_status;
    struct sf_http_header headers[HEADERS_MAX];
    size_t n = 0;

    for (; n < more_count && n < HEADERS_MAX - 2; n++) {
        headers[n] = more[n];
    }
    if (status == 429) {
        headers[n++] = (struct sf_http_header){"Retry-After", "1"};
    }
    if (status == 401) {
        headers[n++] = (struct sf_http_header){"WWW-Authenticate", "Bearer"};
    }
    sf_http_respond(r, status, "application/problem+json", headers, n,
                    sf_problem_view(document, err));
}

void http_problem_document(struct sf_http_request *r, const struct sf_error *err,
                           struct sf_buf *document)
{
    respond_problem(r, err, document, NULL, 0);
}

void http_problem_with(struct sf_http_request *r, const struct sf_error *err,
                       const struct sf_http_header *headers, size_t header_count)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf document = {0};
    struct sf_json_writer w = {.out = &document};

    sf_problem_begin(&w, err);
    sf_json_object_end(&w);
    respond_problem(r, err, &document, headers, header_count);
}

void http_problem(struct sf_http_request *r, const struct sf_error *err)
{
    http_problem_with(r, err, NULL, 0);
}

bool http_is_held(const struct sf_http_request *r, const char *etag)
{
    const char *held = sf_http_header_of(r, "If-None-Match");

    return held != NULL && (strcmp(held, "*") == 0 || strstr(held, etag) != NULL);
}

void http_not_modified(struct sf_http_request *r, const struct sf_http_header *headers,
                       size_t header_count)
{
    sf_http_respond(r, 304, NULL, headers, header_count, sf_slice_text(NULL));
}

void http_json_tagged(struct sf_http_request *r, struct sf_buf *document)
{
    const struct sf_slice body = sf_buf_view(document);
    uint8_t hash[SF_HASH128_SIZE];
    char etag[2 * SF_HASH128_SIZE + 3] = "\"";
    const struct sf_http_header header = {"ETag", etag};

    if (document->failed != SF_OK) {
        http_json(r, 200, document);
        return;
    }
    sf_hash128(&body, 1, hash);
    sf_encode(SF_HEX, sf_slice_of(hash, sizeof(hash)), etag + 1);
    etag[sizeof(etag) - 2] = '"';
    etag[sizeof(etag) - 1] = '\0';
    if (http_is_held(r, etag)) {
        http_not_modified(r, &header, 1);
    } else {
        sf_http_respond(r, 200, "application/json", &header, 1, body);
    }
}

void http_json(struct sf_http_request *r, unsigned status, struct sf_buf *document)
{
    struct sf_error err;

    if (sf_buf_check(document, "answer", &err) != SF_OK) {
        http_problem(r, &err);
        return;
    }
    sf_http_respond(r, status, "application/json", NULL, 0, sf_buf_view(document));
}
