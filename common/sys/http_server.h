/*
 * HTTP/1.1 server over libmicrohttpd inside the loop.
 *
 *   HEAD      Is handed over as GET and answered alike; the body stays here. A streamed answer ends
 *             with its head, as if the client had gone, and the connection with it.
 *   Flow      A request is handed to its handler once, when its whole body is there. The handler
 *             answers now or later, exactly once: sf_http_respond(), or sf_http_stream_begin() and
 *             writes until sf_http_stream_end(). What cannot be handed over (400, 413, 429, and 431
 *             for headers) is answered here.
 *             A body that is taken in pieces is handed over with the head, and comes to on_body;
 * its answer may begin, and end, before the body does, and the connection is closed behind it.
 * body_bytes_max does not hold for it: what on_body does not take waits at its sender. Threads Loop
 * thread only. Memory    A request is the server's. It lives until answered and sent, or until
 * on_abort ran: set on_abort and data before returning from the handler without an answer; after
 *             on_abort (client gone, server closing) the request must not be touched. A client
 *             that closes its sending side counts as gone.
 *   Limits    Connections, header bytes, body bytes per request (413) and body bytes of all
 *             requests together (429 with Retry-After) are bounded by the options. A stream holds
 *             at most stream_bytes_max unsent - or one larger write - ; sf_http_stream_write()
 *             answers SF_BUSY beyond it and on_drain runs, on a later turn, when half is sent.
 *             Answers not yet sent, of all requests together, are bounded by answers_bytes_max:
 *             beyond it requests are answered 429 before they are read, streams that hold anything
 *             are SF_BUSY, and the client that has let its answer wait longest is cut off once it
 *             did so for slow_ns. A client that has been sending its body for 6 times as long is
 *             cut off when there is no room for another body.
 *             Headers: 32 KiB. A connection without a byte either way is closed after idle_s_max.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/slice.h"
#include "common/sys/http.h"
#include "common/sys/rt.h"

struct sf_http_server;
struct sf_http_request;
struct rt_uv;

#define SF_HTTP_SLOW_NS (UINT64_C(5) * SF_NS_PER_S)

struct sf_http_options {
    const char *address; /* numeric, loopback only: there is no TLS here; NULL: "127.0.0.1" */
    uint16_t port;       /* 0: any free one */
    size_t connections_max;
    size_t body_bytes_max;       /* of one request */
    size_t body_total_bytes_max; /* of all requests being received or handled */
    size_t stream_bytes_max;     /* unsent bytes of one streamed answer */
    size_t answers_bytes_max;    /* unsent bytes of all answers; 0: no limit */
    uint64_t slow_ns;            /* 0: SF_HTTP_SLOW_NS */
    /* Paths that are answered even when answers_bytes_max is reached, ends with NULL; or NULL. */
    const char *const *vital_paths;
    unsigned idle_s_max; /* 0: 30 s */
    /* The body (application/problem+json, static) of an answer given here: 400, 413, 429, 500.
     * NULL, or NULL returned: a body without a code of ours. */
    const char *(*problem)(unsigned status);
    void (*handler)(struct sf_http_request *r, void *data);
    /* Whether the body of a request, of which only the head is there yet, is taken in pieces; NULL:
     * none is. */
    bool (*takes_pieces)(const struct sf_http_request *r, void *data);
    void *data;
};

/* SF_CONFLICT: port in use. SF_INVALID: not a numeric loopback address. SF_UNAVAILABLE: anything
 * else the system refuses. SF_NOMEM. */
enum sf_code sf_http_server_new(struct rt_uv *rt, const struct sf_http_options *options,
                                struct sf_http_server **ret, struct sf_error *err) SF_MUST_CHECK;
uint16_t sf_http_server_port(const struct sf_http_server *s);

/* Limits that may change while the server runs; what is under way stays. */
struct sf_http_limits {
    size_t body_bytes_max;
    size_t body_total_bytes_max;
    size_t answers_bytes_max;
};
void sf_http_server_set_limits(struct sf_http_server *s, const struct sf_http_limits *limits);

struct sf_http_stats {
    size_t connections;
    size_t body_bytes;
    size_t answer_bytes; /* not yet sent */
    uint64_t refused_bodies;
    uint64_t refused_answers; /* requests refused because of answers_bytes_max */
    uint64_t cut;             /* clients cut off: they did not read, or hardly sent */
};
struct sf_http_stats sf_http_server_stats(const struct sf_http_server *s);
/* Stops listening, aborts what is open (on_abort runs), frees. Synchronous. NULL is fine. */
void sf_http_server_free(struct sf_http_server *s);

/* What was asked; valid as long as the request. Values are percent-decoded. */
const char *sf_http_method(const struct sf_http_request *r); /* HEAD is GET */
/* The decoded path, and its parts between slashes; part i or NULL. */
const char *sf_http_path(const struct sf_http_request *r);
size_t sf_http_part_count(const struct sf_http_request *r);
const char *sf_http_part(const struct sf_http_request *r, size_t i);
const char *sf_http_query(const struct sf_http_request *r, const char *name); /* or NULL */
/* Parameter i of the query, in its order; false behind the last. */
bool sf_http_query_at(const struct sf_http_request *r, size_t i, const char **name,
                      const char **value);
const char *sf_http_header_of(const struct sf_http_request *r, const char *name); /* or NULL */
struct sf_slice sf_http_body(const struct sf_http_request *r);
/* Moves the body into @ret, which is empty: it then outlives the request. Once. */
void sf_http_take_body(struct sf_http_request *r, struct sf_buf *ret);
/* The body has at least this many zero bytes behind it, for parsers that read ahead. */
enum { SF_HTTP_BODY_PADDING = 64 };

struct sf_http_hooks {
    void (*on_abort)(struct sf_http_request *r, void *data);
    void (*on_drain)(struct sf_http_request *r, void *data); /* streams only; may be NULL */
    /*
     * Bodies in pieces: the next bytes, never inside the handler. Returns how many it took; when
     * not all, the connection is read no further until sf_http_body_resume(). An empty piece is the
     * end.
     */
    size_t (*on_body)(struct sf_http_request *r, void *data, struct sf_slice bytes);
    void *data;
};
void sf_http_set_hooks(struct sf_http_request *r, const struct sf_http_hooks *hooks);

/* There is room for the rest of a piece. Fine when nothing waits. */
void sf_http_body_resume(struct sf_http_request *r);

/* One more header of whatever answers @r; @name is static, @value copied. Left out when there is no
 * memory, or when there are SF_HTTP_ADDED_MAX. */
enum { SF_HTTP_ADDED_MAX = 4 };
void sf_http_add_header(struct sf_http_request *r, const char *name, const char *value);

/* Answers with a whole body, which is copied. A header with an empty value is left out. Failure
 * inside is answered 500 and logged. */
void sf_http_respond(struct sf_http_request *r, unsigned status, const char *content_type,
                     const struct sf_http_header *headers, size_t header_count,
                     struct sf_slice body);

/*
 * An answer whose head is made once, for bodies of one size. It answers one request at a time. It
 * holds about the bytes that sf_http_prepared_bytes() tells; it may be freed while it is still
 * being sent.
 */
struct sf_http_prepared;
/* The head that sf_http_respond() would make for @r, with the headers that were added to it.
 * SF_NOMEM. */
enum sf_code sf_http_prepare(const struct sf_http_request *r, unsigned status,
                             const char *content_type, const struct sf_http_header *headers,
                             size_t header_count, size_t body_size, struct sf_http_prepared **ret,
                             struct sf_error *err) SF_MUST_CHECK;
/* Answers with @body, of that size, which is copied; not to a request whose body comes in pieces.
 * False: the request before has not got all of its answer yet, and @r is still to be answered. */
bool sf_http_respond_prepared(struct sf_http_request *r, struct sf_http_prepared *p,
                              struct sf_slice body) SF_MUST_CHECK;
size_t sf_http_prepared_bytes(const struct sf_http_prepared *p);
void sf_http_prepared_free(struct sf_http_prepared *p); /* NULL is fine */

/* Answers in pieces (chunked). */
void sf_http_stream_begin(struct sf_http_request *r, unsigned status, const char *content_type,
                          const struct sf_http_header *headers, size_t header_count);
/* SF_BUSY: nothing taken, wait for on_drain. SF_CLOSED: the client is gone. SF_NOMEM. */
enum sf_code sf_http_stream_write(struct sf_http_request *r, struct sf_slice bytes) SF_MUST_CHECK;
/* Holds at most @bytes unsent from now on, instead of stream_bytes_max. */
void sf_http_stream_bound(struct sf_http_request *r, size_t bytes);
/* Writes @bytes, which are few, whatever waits already, and ends the answer: the last word to one
 * who reads too slowly. */
void sf_http_stream_finish(struct sf_http_request *r, struct sf_slice bytes);
/* @complete false cuts the connection, so that the client sees the answer is not whole. */
void sf_http_stream_end(struct sf_http_request *r, bool complete);
