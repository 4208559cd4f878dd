#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/sys/http_private.h"

enum {
    RESPONSE_BYTES = 256, /* what MHD's own parts take, about */
    HEADER_BYTES = 96,
};

struct sf_http_prepared {
    struct MHD_Response *response; /* MHD counts who else holds it */
    unsigned status;
    unsigned refs;
    size_t body_size;
    size_t bytes;
};

static size_t bytes_of(const struct sf_http_request *r, const struct sf_http_header *headers,
                       size_t count, size_t body_size)
{
    size_t bytes = sizeof(struct sf_http_prepared) + RESPONSE_BYTES + body_size;

    for (size_t i = 0; i < count; i++) {
        bytes += HEADER_BYTES + strlen(headers[i].name) + strlen(headers[i].value);
    }
    for (size_t i = 0; i < r->added_count; i++) {
        bytes += HEADER_BYTES + strlen(r->added[i].name) + strlen(r->added[i].value);
    }
    return bytes;
}

enum sf_code sf_http_prepare(const struct sf_http_request *r, unsigned status,
                             const char *content_type, const struct sf_http_header *headers,
                             size_t header_count, struct sf_slice body,
                             struct sf_http_prepared **ret, struct sf_error *err)
{
    union {
        const uint8_t *borrowed;
        void *memory;
    } bytes = {.borrowed = body.size == 0 ? (const uint8_t *)"" : body.data};
    struct sf_http_prepared *p = sf_alloc(sizeof(*p));
    struct MHD_Response *response;

    if (p == NULL) {
        return SF_RAISE(err, SF_NOMEM, "answer");
    }
    response = MHD_create_response_from_buffer(body.size, bytes.memory, MHD_RESPMEM_MUST_COPY);
    *p = (struct sf_http_prepared){
        .response = sf_http_with_headers(r, response, content_type, headers, header_count),
        .status = status,
        .refs = 1,
        .body_size = body.size,
        .bytes = bytes_of(r, headers, header_count, body.size),
    };
    if (p->response == NULL) {
        sf_free(p);
        return SF_RAISE(err, SF_NOMEM, "answer");
    }
    *ret = p;
    return SF_OK;
}

void sf_http_respond_prepared(struct sf_http_request *r, struct sf_http_prepared *p)
{
    sf_assert(r->state == SF_HTTP_HANDED && !r->pieces);
    p->refs++;
    r->prepared = p;
    r->state = SF_HTTP_ANSWERED;
    sf_http_answer_charge(r, (ssize_t)p->body_size);
    sf_http_request_resume(r);
}

enum MHD_Result sf_http_prepared_queue(struct sf_http_request *r)
{
    enum MHD_Result result =
        MHD_queue_response(r->connection, r->prepared->status, r->prepared->response);

    sf_http_prepared_free(SF_TAKE(r->prepared));
    r->queued = true;
    return result;
}

size_t sf_http_prepared_bytes(const struct sf_http_prepared *p)
{
    return p->bytes;
}

void sf_http_prepared_free(struct sf_http_prepared *p)
{
    if (p != NULL && --p->refs == 0) {
        MHD_destroy_response(p->response);
        sf_free(p);
    }
}
