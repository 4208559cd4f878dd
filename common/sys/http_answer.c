#include <string.h>
#include <sys/socket.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/sys/http_private.h"
#include "common/sys/log.h"

enum { SENDING_FACTOR = 6 };

/* What was asked. */

const char *sf_http_method(const struct sf_http_request *r)
{
    return strcmp(r->method, "HEAD") == 0 ? "GET" : r->method;
}

const char *sf_http_path(const struct sf_http_request *r)
{
    return r->uri.path;
}

size_t sf_http_part_count(const struct sf_http_request *r)
{
    return r->uri.part_count;
}

const char *sf_http_part(const struct sf_http_request *r, size_t i)
{
    return i < r->uri.part_count ? r->uri.parts[i] : NULL;
}

const char *sf_http_query(const struct sf_http_request *r, const char *name)
{
    return sf_http_uri_parameter(&r->uri, name);
}

bool sf_http_query_at(const struct sf_http_request *r, size_t i, const char **name,
                      const char **value)
{
    if (i >= r->uri.parameter_count) {
        return false;
    }
    *name = r->uri.parameters[i].name;
    *value = r->uri.parameters[i].value;
    return true;
}

const char *sf_http_header_of(const struct sf_http_request *r, const char *name)
{
    return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

struct sf_slice sf_http_body(const struct sf_http_request *r)
{
    return sf_slice_of(r->body, r->body_size);
}

void sf_http_take_body(struct sf_http_request *r, struct sf_buf *ret)
{
    *ret = (struct sf_buf){.data = r->body, .size = r->body_size, .capacity = r->body_capacity};
    r->body = NULL;
    r->body_size = 0;
    r->body_capacity = 0;
}

void sf_http_set_hooks(struct sf_http_request *r, const struct sf_http_hooks *hooks)
{
    sf_assert(r->state == SF_HTTP_HANDED || r->state == SF_HTTP_STREAMING);
    r->hooks = *hooks;
}

/* What waits to be sent. */

void sf_http_answer_charge(struct sf_http_request *r, ssize_t bytes)
{
    if (bytes > 0 && r->answer_charged == 0) {
        r->answered_ns = sf_rt_now_ns(r->server->rt);
    }
    r->answer_charged += (size_t)bytes;
    r->server->answers_total += (size_t)bytes;
}

static void cut_off(struct sf_http_request *r, const char *what)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CONNECTION_FD);

    /* MHD finds the socket broken and completes the request. */
    (void)shutdown(info->connect_fd, SHUT_RDWR);
    sf_log(SF_LOG_WARN, "http.slow_client_cut_off", SF_F_TEXT("while", what),
           SF_F_UINT("bytes", r->answer_charged + r->body_charged));
    r->is_cut = true;
    r->server->cut++;
}

static uint64_t slow_ns(const struct sf_http_server *s)
{
    return s->options.slow_ns == 0 ? SF_HTTP_SLOW_NS : s->options.slow_ns;
}

bool sf_http_answers_full(struct sf_http_server *s)
{
    const uint64_t now_ns = sf_rt_now_ns(s->rt);
    struct sf_http_request *slowest = NULL;

    if (s->options.answers_bytes_max == 0 || s->answers_total < s->options.answers_bytes_max) {
        return false;
    }
    for (struct sf_list *at = s->requests.next; at != &s->requests; at = at->next) {
        struct sf_http_request *r = SF_CONTAINER_OF(at, struct sf_http_request, link);

        if (r->answer_charged > 0 && !r->is_cut &&
            (slowest == NULL || r->answered_ns < slowest->answered_ns)) {
            slowest = r;
        }
    }
    if (slowest != NULL && now_ns - slowest->answered_ns >= slow_ns(s)) {
        cut_off(slowest, "reading");
    }
    return true;
}

void sf_http_bodies_full(struct sf_http_server *s)
{
    const uint64_t now_ns = sf_rt_now_ns(s->rt);

    for (struct sf_list *at = s->requests.next; at != &s->requests; at = at->next) {
        struct sf_http_request *r = SF_CONTAINER_OF(at, struct sf_http_request, link);

        if (r->state == SF_HTTP_RECEIVING && r->body_charged > 0 && !r->is_cut &&
            now_ns - r->began_ns >= SENDING_FACTOR * slow_ns(s)) {
            cut_off(r, "sending");
            return; /* the list is in the order of their beginnings */
        }
    }
}

/* The answer. */

struct MHD_Response *sf_http_with_headers(const struct sf_http_request *r,
                                          struct MHD_Response *response, const char *content_type,
                                          const struct sf_http_header *headers, size_t count)
{
    bool fine = response != NULL;

    if (fine && content_type != NULL) {
        fine = MHD_add_response_header(response, "Content-Type", content_type) == MHD_YES;
    }
    for (size_t i = 0; fine && i < count; i++) {
        fine = *headers[i].value == '\0' || /* MHD knows no empty ones */
               MHD_add_response_header(response, headers[i].name, headers[i].value) == MHD_YES;
    }
    for (size_t i = 0; fine && i < r->added_count; i++) {
        fine = MHD_add_response_header(response, r->added[i].name, r->added[i].value) == MHD_YES;
    }
    if (!fine && response != NULL) {
        MHD_destroy_response(response);
    }
    return fine ? response : NULL;
}

void sf_http_add_header(struct sf_http_request *r, const char *name, const char *value)
{
    char *copy = r->added_count < SF_HTTP_ADDED_MAX ? sf_strdup(value) : NULL;

    if (copy != NULL) {
        r->added[r->added_count].name = name;
        r->added[r->added_count++].value = copy;
    }
}

static void answer(struct sf_http_request *r, unsigned status, struct MHD_Response *response)
{
    if (response == NULL) {
        sf_log(SF_LOG_ERROR, "http.answer_failed", SF_F_TEXT("method", r->method),
               SF_F_UINT("status", status));
    }
    r->status = status;
    r->response = response;
    sf_http_request_resume(r);
}

void sf_http_respond(struct sf_http_request *r, unsigned status, const char *content_type,
                     const struct sf_http_header *headers, size_t header_count,
                     struct sf_slice body)
{
    union {
        const uint8_t *borrowed;
        void *memory;
    } bytes = {.borrowed = body.size == 0 ? (const uint8_t *)"" : body.data};
    struct MHD_Response *response;

    sf_assert(r->state == SF_HTTP_HANDED);
    if (r->pieces) {
        sf_http_upload_respond(r, status, content_type, headers, header_count, body);
        return;
    }
    response = MHD_create_response_from_buffer(body.size, bytes.memory, MHD_RESPMEM_MUST_COPY);
    r->state = SF_HTTP_ANSWERED;
    sf_http_answer_charge(r, (ssize_t)body.size);
    answer(r, status, sf_http_with_headers(r, response, content_type, headers, header_count));
}

/* Streams. */

/* Called by MHD when it can send up to @size more bytes. */
static ssize_t read_stream(void *request, uint64_t position, char *to, size_t size)
{
    struct sf_http_request *r = request;

    (void)position;
    if (r->state == SF_HTTP_ABORTED || (r->state == SF_HTTP_ANSWERED && !r->out_complete)) {
        return MHD_CONTENT_READER_END_WITH_ERROR; /* cuts the connection */
    }
    if (sf_http_unsent(r) == 0) {
        if (r->state == SF_HTTP_ANSWERED) {
            return MHD_CONTENT_READER_END_OF_STREAM;
        }
        sf_http_request_suspend(r);
        return 0;
    }
    size = sf_http_unsent(r) < size ? sf_http_unsent(r) : size;
    memcpy(to, r->out.data + r->out_sent, size);
    r->out_sent += size;
    sf_http_answer_charge(r, -(ssize_t)size);
    r->answered_ns = sf_rt_now_ns(r->server->rt); /* it reads, however slowly */
    if (r->drain_wanted && sf_http_unsent(r) <= sf_http_unsent_max(r) / 2) {
        r->drain_wanted = false;
        sf_rt_post(r->server->rt, &r->drain);
    }
    return (ssize_t)size;
}

void sf_http_request_drain(struct sf_task *t)
{
    struct sf_http_request *r = SF_CONTAINER_OF(t, struct sf_http_request, drain);

    if (r->state == SF_HTTP_STREAMING && r->hooks.on_drain != NULL) {
        r->hooks.on_drain(r, r->hooks.data);
    }
}

void sf_http_stream_begin(struct sf_http_request *r, unsigned status, const char *content_type,
                          const struct sf_http_header *headers, size_t header_count)
{
    enum { BLOCK = 32 * 1024 };
    struct MHD_Response *response;

    sf_assert(r->state == SF_HTTP_HANDED);
    if (r->pieces) {
        sf_http_upload_stream_begin(r, status, content_type, headers, header_count);
        return;
    }
    response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, read_stream, r, NULL);
    r->state = SF_HTTP_STREAMING;
    if (strcmp(r->method, "HEAD") == 0) { /* MHD 0.9.75 ends it with a last chunk all the same */
        sf_http_add_header(r, "Connection", "close");
    }
    answer(r, status, sf_http_with_headers(r, response, content_type, headers, header_count));
}

static enum sf_code stream_append(struct sf_http_request *r, struct sf_slice bytes)
{
    size_t waiting = sf_http_unsent(r);

    if (r->out_sent > waiting) { /* moves less than was sent, so that it costs one copy a byte */
        memmove(r->out.data, r->out.data + r->out_sent, waiting);
        r->out.size = waiting;
        r->out_sent = 0;
    }
    if (r->pieces) {
        return sf_http_upload_write(r, bytes);
    }
    sf_buf_slice(&r->out, bytes);
    if (r->out.failed != SF_OK) {
        r->out.failed = SF_OK; /* what is in it is whole */
        return SF_NOMEM;
    }
    sf_http_answer_charge(r, (ssize_t)bytes.size);
    sf_http_request_resume(r);
    return SF_OK;
}

enum sf_code sf_http_stream_write(struct sf_http_request *r, struct sf_slice bytes)
{
    size_t waiting = sf_http_unsent(r);

    if (r->state != SF_HTTP_STREAMING) {
        return SF_CLOSED;
    }
    if (waiting > 0 &&
        (waiting + bytes.size > sf_http_unsent_max(r) || sf_http_answers_full(r->server))) {
        r->drain_wanted = true;
        return SF_BUSY;
    }
    return stream_append(r, bytes);
}

void sf_http_stream_bound(struct sf_http_request *r, size_t bytes)
{
    r->out_max = bytes;
}

void sf_http_stream_finish(struct sf_http_request *r, struct sf_slice bytes)
{
    const bool whole = r->state == SF_HTTP_STREAMING && stream_append(r, bytes) == SF_OK;

    if (r->state == SF_HTTP_STREAMING) {
        sf_http_stream_end(r, whole);
    }
}

void sf_http_stream_end(struct sf_http_request *r, bool complete)
{
    sf_assert(r->state == SF_HTTP_STREAMING);
    if (r->pieces) {
        sf_http_upload_end(r, complete);
        return;
    }
    r->state = SF_HTTP_ANSWERED;
    r->out_complete = complete;
    sf_http_request_resume(r);
}
