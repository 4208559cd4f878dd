/*
 * A follow as a streamed HTTP answer: NDJSON, or server-sent events when the client accepts them.
 *
 *   Threads   Loop thread.
 *   Memory    One piece waits here when the client does not read, besides FOLLOW_STREAM_BYTES (or
 *             one larger piece) in the server.
 */
#pragma once

#include "common/sys/http_server.h"
#include "leaf/query/follow_text.h"

enum { FOLLOW_STREAM_BYTES = 256 * 1024 };

struct follow_stream {
    struct sf_http_request *request;
    bool is_sse;
    bool begun;
    struct sf_buf held; /* what the server would not take yet */
};

enum follow_put {
    FOLLOW_PUT_DONE,
    FOLLOW_PUT_HELD,   /* not all: wait for on_drain, then follow_stream_drain() */
    FOLLOW_PUT_FAILED, /* out of memory, or the client is gone */
};

/* Whether the request asks for a stream: follow, snapshot, or Accept: text/event-stream. */
bool follow_stream_wanted(const struct sf_http_request *r);
/* Where it wants to go on: Last-Event-ID, else the parameter after; or NULL. */
const char *follow_stream_after(const struct sf_http_request *r);
/* Parameters follow, snapshot, seconds, into @ret. SF_INVALID E0301. */
enum sf_code follow_stream_params(const struct sf_http_request *r, struct follow_spec *ret,
                                  struct sf_error *err) SF_MUST_CHECK;

/* Sends status and headers. */
void follow_stream_begin(struct follow_stream *s, struct sf_http_request *r);
/* @lines as follow_write() has them. What is held grows when something is already. */
enum follow_put follow_stream_put(struct follow_stream *s, enum follow_kind kind, uint32_t epoch,
                                  uint64_t seq, struct sf_slice lines);
enum follow_put follow_stream_drain(struct follow_stream *s);
/* The last event: what is held goes before it. */
void follow_stream_end(struct follow_stream *s, const struct follow_event *e);
void follow_stream_done(struct follow_stream *s);
