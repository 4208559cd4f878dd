#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/sys/http_private.h"

enum {
    RESPONSE_BYTES = 256, /* what MHD's own parts take, about */
    HEADER_BYTES = 96,
};

/*
 * MHD keeps the pointer to the body, and reads it until the request is completed: so the body is
 * ours, behind the struct, and changes only while no request has it.
 */
struct sf_http_prepared {
    struct MHD_Response *response; /* MHD counts who else holds it */
    unsigned status;
    unsigned refs; /* the owner's, and that of the request that it answers */
    size_t body_size;
    size_t bytes;
    uint8_t body[];
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
                             size_t header_count, size_t body_size, struct sf_http_prepared **ret,
                             struct sf_error *err)
{
    struct sf_http_prepared *p = sf_alloc(sizeof(*p) + body_size);
    struct MHD_Response *response;

    if (p == NULL) {
        return SF_RAISE(err, SF_NOMEM, "answer");
    }
    response = MHD_create_response_from_buffer(body_size, p->body, MHD_RESPMEM_PERSISTENT);
    *p = (struct sf_http_prepared){
        .response = sf_http_with_headers(r, response, content_type, headers, header_count),
        .status = status,
        .refs = 1,
        .body_size = body_size,
        .bytes = bytes_of(r, headers, header_count, body_size),
    };
    if (p->response == NULL) {
        sf_free(p);
        return SF_RAISE(err, SF_NOMEM, "answer");
    }
    *ret = p;
    return SF_OK;
}

bool sf_http_respond_prepared(struct sf_http_request *r, struct sf_http_prepared *p,
                              struct sf_slice body)
{
    sf_assert(r->state == SF_HTTP_HANDED && !r->pieces && body.size == p->body_size);
    if (p->refs > 1) {
        return false;
    }
    if (body.size > 0) {
        memcpy(p->body, body.data, body.size);
    }
    p->refs++;
    r->prepared = p;
    r->state = SF_HTTP_ANSWERED;
    sf_http_answer_charge(r, (ssize_t)p->body_size);
    sf_http_request_resume(r);
    return true;
}

enum MHD_Result sf_http_prepared_queue(struct sf_http_request *r)
{
    r->queued = true;
    return MHD_queue_response(r->connection, r->prepared->status, r->prepared->response);
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
