#include <string.h>

#include "common/base/alloc.h"
#include "common/sys/http_private.h"

/*
 * One request:
 *
 *     RECEIVING --- whole body there ---> HANDED --- sf_http_respond() ------> ANSWERED
 *        |                                   |                                    ^
 *        | too large, over                   +--- stream_begin() --> STREAMING ---+ stream_end()
 *        | budget, malformed                 |                           |
 *        v                                   v client gone               v
 *     REFUSING (drains the body)           ABORTED <---------------------+
 *
 * MHD 0.9.75 takes an answer only at the first call of the step, before the body, or after the
 * last byte of it; in between we have to read on. Refusing at the first call closes a connection
 * with bytes still in it, so most clients see a reset instead of the answer (1 MB body: 125 of
 * 200). So a refused body is read to its end, unless its client waits to be told to go on, or means
 * to send more than SF_HTTP_DRAIN_BYTES_MAX.
 *
 * While the handler thinks, and while a stream has nothing to send, the connection is suspended.
 * Answering resumes it; MHD then calls the step (or the stream's reader) again.
 */

enum {
    BODY_FIRST_MAX = 1024 * 1024, /* taken at once for a declared length; more as it comes */
    BODY_FIRST = 4096,            /* of a chunked body */
};

/* Tells the handler, once, that its request is over. */
static void tell_aborted(struct sf_http_request *r)
{
    bool owed = r->state == SF_HTTP_HANDED || r->state == SF_HTTP_STREAMING;

    if (r->state != SF_HTTP_ANSWERED) {
        r->state = SF_HTTP_ABORTED;
    }
    if (owed && r->hooks.on_abort != NULL) {
        r->hooks.on_abort(r, r->hooks.data);
    }
}

/* Suspending. */

void sf_http_request_suspend(struct sf_http_request *r)
{
    MHD_suspend_connection(r->connection);
    r->suspended = true;
    sf_http_server_watch(r->server, r);
}

void sf_http_request_resume(struct sf_http_request *r)
{
    if (r->suspended) {
        r->suspended = false;
        sf_http_server_unwatch(r->server, r);
        MHD_resume_connection(r->connection);
        sf_http_server_kick(r->server);
    }
}

/* Answers given here. */

static const char *refusal_text(const struct sf_http_server *s, unsigned status)
{
    const char *text = s->options.problem == NULL ? NULL : s->options.problem(status);

    if (text != NULL) {
        return text;
    }
    switch (status) {
    case 413:
        return "{\"type\":\"about:blank\",\"title\":\"Content Too Large\",\"status\":413}";
    case 429:
        return "{\"type\":\"about:blank\",\"title\":\"Too Many Requests\",\"status\":429}";
    case 500:
        return "{\"type\":\"about:blank\",\"title\":\"Internal Server Error\",\"status\":500}";
    default:
        return "{\"type\":\"about:blank\",\"title\":\"Bad Request\",\"status\":400}";
    }
}

static enum MHD_Result refuse(struct sf_http_request *r, unsigned status)
{
    const char *text = refusal_text(r->server, status);
    union {
        const char *borrowed;
        void *memory;
    } body = {.borrowed = text};
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(text), body.memory, MHD_RESPMEM_PERSISTENT);
    enum MHD_Result result = MHD_NO;

    r->state = SF_HTTP_ANSWERED;
    r->queued = true;
    if (response == NULL) {
        return MHD_NO; /* closes the connection: all that is left without memory */
    }
    if (MHD_add_response_header(response, "Content-Type", "application/problem+json") == MHD_YES &&
        (status != 429 || MHD_add_response_header(response, "Retry-After", "1") == MHD_YES)) {
        result = MHD_queue_response(r->connection, status, response);
    }
    MHD_destroy_response(response);
    return result;
}

/* The body. */

/* Charges the server's budget for a body of @size bytes; what is not OK is the status to refuse. */
static unsigned charge(struct sf_http_request *r, size_t size)
{
    struct sf_http_server *s = r->server;

    if (size > s->options.body_bytes_max) {
        return 413;
    }
    if (size > r->body_charged) {
        const size_t more = size - r->body_charged;

        if (s->body_total > s->options.body_total_bytes_max ||
            more > s->options.body_total_bytes_max - s->body_total) {
            s->refused_bodies++;
            sf_http_bodies_full(s);
            return 429;
        }
        s->body_total += more;
        r->body_charged = size;
    }
    return 0;
}

static bool body_reserve(struct sf_http_request *r, size_t size)
{
    size_t capacity = r->body_capacity;
    uint8_t *body;

    if (size <= capacity && r->body != NULL) {
        return true;
    }
    while (capacity < size) {
        capacity = capacity == 0 ? BODY_FIRST : capacity * 2;
    }
    if (capacity > r->body_charged) {
        capacity = r->body_charged; /* not less than @size, which was charged */
    }
    body = sf_realloc(r->body, capacity + SF_HTTP_BODY_PADDING, 1);
    if (body == NULL) {
        return false;
    }
    r->body = body;
    r->body_capacity = capacity;
    return true;
}

static void refuse_at_end(struct sf_http_request *r, unsigned status)
{
    r->state = SF_HTTP_REFUSING;
    r->refusal = status;
    sf_free(SF_TAKE(r->body));
    r->body_capacity = 0;
    r->body_size = 0;
}

static enum MHD_Result body_take(struct sf_http_request *r, const char *bytes, size_t size)
{
    unsigned status;

    if (r->state == SF_HTTP_REFUSING) {
        r->body_dropped += size;
        return r->body_dropped > SF_HTTP_DRAIN_BYTES_MAX ? MHD_NO : MHD_YES;
    }
    status = charge(r, r->body_size + size);
    if (status == 0 && !body_reserve(r, r->body_size + size)) {
        status = 429;
    }
    if (status != 0) {
        refuse_at_end(r, status);
        return MHD_YES;
    }
    memcpy(r->body + r->body_size, bytes, size);
    r->body_size += size;
    return MHD_YES;
}

/* A Content-Length that MHD accepted: digits. 0: none. SIZE_MAX: more than fits. */
static size_t declared_length(struct sf_http_request *r)
{
    const char *text = sf_http_header_of(r, "Content-Length");
    size_t length = 0;

    for (; text != NULL && *text >= '0' && *text <= '9'; text++) {
        if (__builtin_mul_overflow(length, (size_t)10, &length) ||
            __builtin_add_overflow(length, (size_t)(*text - '0'), &length)) {
            return SIZE_MAX;
        }
    }
    return length;
}

static bool is_vital(const struct sf_http_request *r)
{
    const char *const *path = r->server->options.vital_paths;

    while (path != NULL && *path != NULL && strcmp(*path, r->uri.path) != 0) {
        path++;
    }
    return path != NULL && *path != NULL;
}

static bool takes_pieces(const struct sf_http_request *r)
{
    const struct sf_http_options *o = &r->server->options;

    return o->takes_pieces != NULL && o->takes_pieces(r, o->data);
}

/* What stands against receiving the body, of @length as far as is said. */
static unsigned admit(struct sf_http_request *r, size_t length, bool pieces)
{
    unsigned status = r->refusal;

    if (status == 0 && !pieces) {
        status = charge(r, length);
    }
    if (status == 0 && !is_vital(r) && sf_http_answers_full(r->server)) {
        r->server->refused_answers++;
        status = 429;
    }
    return status;
}

/* First call of the step: headers are there, the body is not. */
static enum MHD_Result on_headers(struct sf_http_request *r, const char *method,
                                  const char *version)
{
    size_t length = declared_length(r);
    unsigned status;
    bool pieces;

    r->method = sf_strdup(method);
    if (r->method == NULL) {
        return refuse(r, 429);
    }
    pieces = r->refusal == 0 && takes_pieces(r);
    status = admit(r, length, pieces);
    if (status == 0 && pieces) {
        r->is_http10 = strcmp(version, "HTTP/1.0") == 0;
        return sf_http_upload_begin(r);
    }
    if (status == 0 && !body_reserve(r, length < BODY_FIRST_MAX ? length : BODY_FIRST_MAX)) {
        status = 429;
    }
    if (status == 0) {
        return MHD_YES;
    }
    if (length > SF_HTTP_DRAIN_BYTES_MAX || sf_http_header_of(r, "Expect") != NULL) {
        return refuse(r, status);
    }
    refuse_at_end(r, status);
    return MHD_YES;
}

/* The step. */

static enum MHD_Result queue_answer(struct sf_http_request *r)
{
    enum MHD_Result result = MHD_queue_response(r->connection, r->status, r->response);

    MHD_destroy_response(SF_TAKE(r->response));
    r->queued = true;
    return result;
}

/* The handler has the request: what there is to do for MHD. */
static enum MHD_Result go_on(struct sf_http_request *r)
{
    if (r->queued) {
        return MHD_YES;
    }
    if (r->prepared != NULL) {
        return sf_http_prepared_queue(r);
    }
    if (r->response != NULL) {
        return queue_answer(r);
    }
    if (r->state == SF_HTTP_HANDED) {
        sf_http_request_suspend(r);
        return MHD_YES;
    }
    tell_aborted(r); /* Its answer could not be made. */
    return refuse(r, 500);
}

static enum MHD_Result hand_over(struct sf_http_request *r)
{
    memset(r->body + r->body_size, 0, SF_HTTP_BODY_PADDING);
    r->state = SF_HTTP_HANDED;
    r->server->options.handler(r, r->server->options.data);
    return go_on(r);
}

/* Called again and again by MHD while the request has no answer. */
enum MHD_Result sf_http_request_step(void *server, struct MHD_Connection *connection,
                                     const char *url, const char *method, const char *version,
                                     const char *upload, size_t *upload_size, void **request)
{
    struct sf_http_request *r = *request;
    size_t size = *upload_size;

    (void)server;
    (void)connection;
    (void)url;
    if (r == NULL) {
        return MHD_NO; /* no memory for it */
    }
    if (r->method == NULL) {
        return on_headers(r, method, version);
    }
    if (r->pieces) {
        return sf_http_upload_step(r, upload, upload_size);
    }
    if (size > 0) {
        *upload_size = 0;
        return body_take(r, upload, size);
    }
    switch (r->state) {
    case SF_HTTP_RECEIVING:
        return hand_over(r);
    case SF_HTTP_REFUSING:
        return refuse(r, r->refusal);
    case SF_HTTP_HANDED:
    case SF_HTTP_STREAMING:
    case SF_HTTP_ANSWERED:
        return go_on(r);
    case SF_HTTP_ABORTED:
        return MHD_NO;
    }
    return MHD_NO;
}

/* Called by MHD with the request line: the first sign of a request. */
void *sf_http_request_uri(void *server, const char *target, struct MHD_Connection *connection)
{
    struct sf_http_server *s = server;
    struct sf_http_request *r = sf_calloc(1, sizeof(*r));
    enum sf_code code;

    if (r == NULL) {
        return NULL;
    }
    r->server = s;
    r->connection = connection;
    r->drain.run = sf_http_request_drain;
    r->began_ns = sf_rt_now_ns(s->rt);
    code = sf_http_uri_parse(target, &r->uri, NULL);
    r->refusal = code == SF_OK ? 0 : code == SF_NOMEM ? 429 : 400;
    sf_list_push(&s->requests, &r->link);
    return r;
}

void sf_http_request_abort(struct sf_http_request *r)
{
    tell_aborted(r);
    r->gone = true;
    sf_http_request_resume(r);
}

void sf_http_request_completed(void *server, struct MHD_Connection *connection, void **request,
                               enum MHD_RequestTerminationCode code)
{
    struct sf_http_request *r = *request;

    (void)connection;
    (void)code;
    if (r == NULL) {
        return;
    }
    *request = NULL;
    tell_aborted(r);
    ((struct sf_http_server *)server)->body_total -= r->body_charged;
    sf_http_answer_charge(r, -(ssize_t)r->answer_charged);
    sf_list_remove(&r->link);
    sf_list_remove(&r->drain.link);
    if (r->response != NULL) {
        MHD_destroy_response(r->response);
    }
    sf_http_prepared_free(r->prepared);
    sf_http_uri_done(&r->uri);
    sf_buf_done(&r->out);
    for (size_t i = 0; i < r->added_count; i++) {
        sf_free(r->added[i].value);
    }
    sf_free(r->method);
    sf_free(r->body);
    sf_free(r);
}
