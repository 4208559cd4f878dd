/*
 * HTTP client over libcurl that blocks: for the command line, and for a query thread of a server.
 *
 *   Threads   One client is used by one thread at a time. Never on the loop thread.
 *   Memory    The connection is kept for the next call to the same server.
 *   Limits    http and https only; no redirects, no proxies of the environment; the answer's body
 *             in memory is at most answer_bytes_max, its headers 64 KiB.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/sys/http.h"

struct sf_http_client;

/* libcurl is set up here for the first time, so that a program that makes no call does not pay.
 * SF_NOMEM. SF_UNAVAILABLE: libcurl does not start. */
enum sf_code sf_http_client_new(struct sf_http_client **ret, struct sf_error *err) SF_MUST_CHECK;
void sf_http_client_free(struct sf_http_client *c); /* NULL is fine */
SF_DEFINE_CLEANUP(struct sf_http_client, sf_http_client_free)

struct sf_http_call {
    const char *method;
    const char *url;
    const struct sf_http_header *headers;
    size_t header_count;
    struct sf_slice body; /* ignored when read_body is given */
    /*
     * Gives the body in pieces: fills up to @capacity bytes and sets *@ret_size; 0 ends the body.
     * Another code than SF_OK ends the call with it. NULL: body is sent.
     */
    enum sf_code (*read_body)(void *data, uint8_t *to, size_t capacity, size_t *ret_size);
    /* Takes the body of a 2xx answer in pieces instead of the buffer; a code ends the call. */
    enum sf_code (*on_body)(void *data, struct sf_slice bytes);
    void *data;              /* of both callbacks */
    size_t answer_bytes_max; /* 0: 16 MiB */
    uint64_t connect_ms_max; /* 0: 5,000 */
    uint64_t total_ms_max;   /* 0: no limit */
    uint64_t idle_ms_max;    /* without a byte either way; 0: 30,000 */
    const char *ca_path;     /* certificates to trust instead of the system's; NULL: the system's */
};

/* Zeroed before its first use; sf_http_answer_done() at the end; may be used for the next call. */
struct sf_http_answer {
    unsigned status;
    struct sf_buf headers; /* private */
    struct sf_buf body;    /* whole; of a 2xx answer only without on_body */
};
void sf_http_answer_done(struct sf_http_answer *a);
/* The value of the first header of this name, or NULL; valid as long as the answer. */
const char *sf_http_answer_header(const struct sf_http_answer *a, const char *name);

/*
 * SF_OK: there is an answer, whatever its status. SF_INVALID: the URL is not one. SF_UNAVAILABLE:
 * no connection, or it broke before the answer was whole. SF_TIMEOUT. SF_DENIED: TLS refused.
 * SF_BUSY: more than answer_bytes_max. SF_NOMEM. Else what a callback returned.
 */
enum sf_code sf_http_client_call(struct sf_http_client *c, const struct sf_http_call *call,
                                 struct sf_http_answer *ret, struct sf_error *err) SF_MUST_CHECK;
