/*
 * Shared by http_server.c (the daemon in the loop), http_request.c (one request's life),
 * http_answer.c (what its handler sees and does) and http_upload.c (bodies in pieces).
 */
#pragma once

#include <microhttpd.h>

#include "common/base/buf.h"
#include "common/sys/http_server.h"
#include "common/sys/http_uri.h"

enum sf_http_state {
    SF_HTTP_RECEIVING,
    SF_HTTP_REFUSING, /* what still comes of the body is thrown away, then @refusal is the answer */
    SF_HTTP_HANDED,
    SF_HTTP_STREAMING,
    SF_HTTP_ANSWERED, /* the handler has nothing more to say; we may still be sending */
    SF_HTTP_ABORTED,  /* the handler was told; the connection is to be closed */
};

struct sf_http_request {
    struct sf_http_server *server;
    struct sf_list link; /* in server->requests */
    enum sf_http_state state;
    bool suspended;
    bool watched; /* in server->watch_fd */
    bool is_cut;  /* off */
    bool queued;  /* its answer is MHD's */
    struct MHD_Connection *connection;
    struct sf_http_uri uri;
    char *method; /* owned */
    struct sf_http_hooks hooks;
    struct {
        const char *name;
        char *value; /* owned */
    } added[SF_HTTP_ADDED_MAX];
    size_t added_count;

    uint8_t *body; /* owned */
    size_t body_size;
    size_t body_capacity; /* without the padding */
    size_t body_charged;  /* of server->body_total */
    size_t body_dropped;
    unsigned refusal; /* status */

    bool pieces;       /* http_upload.c has it */
    bool is_http10;    /* pieces: no chunks */
    bool body_ended;   /* pieces */
    bool gone;         /* pieces: nothing can be sent any more */
    bool out_complete; /* how an ended stream ended */
    bool drain_wanted; /* a write was answered SF_BUSY */

    unsigned status;
    struct MHD_Response *response;     /* ours until it is queued */
    struct sf_http_prepared *prepared; /* instead; a reference until all is sent */
    struct sf_buf out;                 /* of a stream */
    size_t out_max;                    /* unsent bytes of @out; 0: the server's stream_bytes_max */
    size_t out_sent;                   /* bytes of @out that MHD, or the socket, has taken */
    struct sf_task drain;
    size_t answer_charged; /* of server->answers_total */
    uint64_t answered_ns;  /* when the answer began to wait */
    uint64_t began_ns;
};

struct sf_http_server {
    struct sf_rt *rt;
    struct sf_http_options options;
    struct MHD_Daemon *daemon;
    struct http_pollers *pollers;
    int watch_fd; /* epoll: tells when clients of suspended requests go away */
    uint16_t port;
    struct sf_list requests;
    size_t body_total; /* charged by all requests */
    size_t answers_total;
    uint64_t refused_bodies;
    uint64_t refused_answers;
    uint64_t cut;
    struct sf_task kick;
    struct sf_timer alarm;
};

/* MHD's callbacks. */
void *sf_http_request_uri(void *server, const char *target, struct MHD_Connection *connection);
enum MHD_Result sf_http_request_step(void *server, struct MHD_Connection *connection,
                                     const char *url, const char *method, const char *version,
                                     const char *upload, size_t *upload_size, void **request);
void sf_http_request_completed(void *server, struct MHD_Connection *connection, void **request,
                               enum MHD_RequestTerminationCode code);

/* The client is gone, or the server goes: tells the handler and lets MHD close the connection. */
void sf_http_request_abort(struct sf_http_request *r);

/* A connection is suspended while there is nothing to send and nothing to receive. */
void sf_http_request_suspend(struct sf_http_request *r);
void sf_http_request_resume(struct sf_http_request *r);
/* Tells the writer of a stream that there is room. */
void sf_http_request_drain(struct sf_task *t);

/* NULL, and nothing left of @response, when MHD refuses a header or there is no memory. */
struct MHD_Response *sf_http_with_headers(const struct sf_http_request *r,
                                          struct MHD_Response *response, const char *content_type,
                                          const struct sf_http_header *headers, size_t count);
/* http_prepared.c: gives it to MHD. */
enum MHD_Result sf_http_prepared_queue(struct sf_http_request *r);

/* A body that is refused is read to its end when it has no more, so that its client sees why. */
enum { SF_HTTP_DRAIN_BYTES_MAX = 64 * 1024 * 1024 };

/* Bytes of a stream that wait for the socket, and how many may. */
static inline size_t sf_http_unsent(const struct sf_http_request *r)
{
    return r->out.size - r->out_sent;
}
static inline size_t sf_http_unsent_max(const struct sf_http_request *r)
{
    return r->out_max == 0 ? r->server->options.stream_bytes_max : r->out_max;
}

/* Counts bytes of an answer that wait, or, negative, no longer do. */
void sf_http_answer_charge(struct sf_http_request *r, ssize_t bytes);
/* There is no room for another body: cuts off who has been sending his for too long. */
void sf_http_bodies_full(struct sf_http_server *s);
/* Whether answers that wait leave no room for another. Cuts off who lets his wait too long. */
bool sf_http_answers_full(struct sf_http_server *s);

/* Has MHD run on a later turn. */
void sf_http_server_kick(struct sf_http_server *s);
/* While a request is suspended, MHD does not look at its socket; the watch does. */
void sf_http_server_watch(struct sf_http_server *s, struct sf_http_request *r);
/* Of a watched request: once more, and whether it is to be told that it can send. */
void sf_http_server_rewatch(struct sf_http_server *s, struct sf_http_request *r, bool to_send);
void sf_http_server_unwatch(struct sf_http_server *s, struct sf_http_request *r);

/* http_upload.c: begin and step are what MHD's step does, the others what the handler calls. */
enum MHD_Result sf_http_upload_begin(struct sf_http_request *r);
enum MHD_Result sf_http_upload_step(struct sf_http_request *r, const char *bytes, size_t *size);
void sf_http_upload_writable(struct sf_http_request *r);
void sf_http_upload_respond(struct sf_http_request *r, unsigned status, const char *content_type,
                            const struct sf_http_header *headers, size_t header_count,
                            struct sf_slice body);
void sf_http_upload_stream_begin(struct sf_http_request *r, unsigned status,
                                 const char *content_type, const struct sf_http_header *headers,
                                 size_t header_count);
enum sf_code sf_http_upload_write(struct sf_http_request *r, struct sf_slice bytes);
void sf_http_upload_end(struct sf_http_request *r, bool complete);
