/*
 * What JetStream says and is told, as texts over the bus: requests to its API, their answers, and
 * where a message that a consumer delivers stands. Pure.
 *
 * nats.c's own interface to it blocks or takes threads; the protocol is requests and messages,
 * which the bus has already, and which the fake bus can play (docs/adr).
 */
#pragma once

#include "common/base/buf.h"
#include "common/bus/bus.h"
#include "common/wire/json.h"

enum {
    SF_JS_NAME_MAX = 64, /* of streams and consumers, with the NUL */
    SF_JS_STREAM_NOT_FOUND = 10059,
    SF_JS_CONSUMER_NOT_FOUND = 10014,
};

/* Letters, digits, '-' and '_', at most SF_JS_NAME_MAX - 1: what a subject can hold. */
bool sf_js_name_is_valid(const char *name);

/* Of a message that a consumer delivered. */
struct sf_js_delivery {
    uint64_t times; /* from 1: more than once is a redelivery */
    uint64_t stream_seq;
    uint64_t consumer_seq; /* counts deliveries, without a gap */
    uint64_t pending;      /* messages that wait behind it */
};
/* Reads the reply subject of such a message, to which "+ACK" is its acknowledgement. */
bool sf_js_delivery_parse(const char *reply, struct sf_js_delivery *ret);

/* The status of a message without data that ends or accompanies a pull (404, 408, 409, ...); 0: it
 * is an ordinary message. */
unsigned sf_js_status(const struct sf_bus_msg *m);

/* What the API says of a stream. */
struct sf_js_stream {
    char created[40]; /* tells a stream from an earlier one of this name */
    bool is_limits;   /* messages stay when they are acknowledged */
};
/* What it says of a consumer. */
struct sf_js_consumer {
    bool is_pull;
    bool is_explicit; /* each message is acknowledged by itself */
    char filter[SF_JS_NAME_MAX * 4];
    uint64_t ack_wait_ns;
    uint64_t max_ack_pending;
    uint64_t delivered_stream_seq; /* of the newest one */
    uint64_t delivered_consumer_seq;
    uint64_t acked_stream_seq; /* all up to here are acknowledged */
    uint64_t unacked;
    uint64_t pending; /* not delivered yet */
};

/* Subjects of the API: what is asked about a stream, about a consumer, and for its messages. */
enum { SF_JS_SUBJECT_MAX = 2 * SF_JS_NAME_MAX + 32 };
void sf_js_stream_info(char ret[SF_JS_SUBJECT_MAX], const char *stream);
void sf_js_consumer_info(char ret[SF_JS_SUBJECT_MAX], const char *stream, const char *consumer);
void sf_js_consumer_next(char ret[SF_JS_SUBJECT_MAX], const char *stream, const char *consumer);

/*
 * Reads an answer of the API. SF_ABSENT: there is no such stream, or consumer. SF_INVALID: the API
 * refused for another reason, which is the error's text; or it is no such answer. SF_NOMEM.
 */
enum sf_code sf_js_stream_read(struct sf_slice answer, struct sf_js_stream *ret,
                               struct sf_error *err) SF_MUST_CHECK;
enum sf_code sf_js_consumer_read(struct sf_slice answer, struct sf_js_consumer *ret,
                                 struct sf_error *err) SF_MUST_CHECK;

/* A durable pull consumer to be made. */
struct sf_js_consumer_spec {
    const char *stream;
    const char *name;
    const char *filter; /* NULL: all subjects */
    uint64_t from;      /* first stream seq; 0: what deliver says */
    bool only_new;      /* else all that the stream has */
    uint64_t ack_wait_ns;
    uint64_t max_ack_pending;
};
/* Subject and body of the request that makes it. Failure is sticky in @body. */
void sf_js_consumer_create(const struct sf_js_consumer_spec *spec, struct sf_buf *subject,
                           struct sf_buf *body);
/* A request for up to @count messages and about @bytes; it stands for @expires_ns. */
void sf_js_pull(uint64_t count, uint64_t bytes, uint64_t expires_ns, struct sf_buf *body);
