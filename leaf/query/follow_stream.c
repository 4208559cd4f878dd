#include "leaf/query/follow_stream.h"

#include <string.h>

#include "leaf/query/params.h"
#include "proto/errors.h"

static bool accepts_sse(const struct sf_http_request *r)
{
    const char *accept = sf_http_header_of(r, "Accept");

    return accept != NULL && strstr(accept, "text/event-stream") != NULL;
}

/* Also when it is neither true nor false: follow_stream_params() refuses that. */
static bool is_asked(const struct sf_http_request *r, const char *name)
{
    const char *value = sf_http_query(r, name);

    return value != NULL && strcmp(value, "false") != 0;
}

bool follow_stream_wanted(const struct sf_http_request *r)
{
    return accepts_sse(r) || is_asked(r, "follow") || is_asked(r, "snapshot");
}

const char *follow_stream_after(const struct sf_http_request *r)
{
    const char *last = sf_http_header_of(r, "Last-Event-ID");

    return last != NULL && *last != '\0' ? last : sf_http_query(r, "after");
}

enum sf_code follow_stream_params(const struct sf_http_request *r, struct follow_spec *ret,
                                  struct sf_error *err)
{
    enum sf_code code = query_params_bool("follow", sf_http_query(r, "follow"), &ret->live, err);

    if (code == SF_OK) {
        code = query_params_bool("snapshot", sf_http_query(r, "snapshot"), &ret->snapshot, err);
    }
    if (code == SF_OK) {
        code = query_params_seconds(sf_http_query(r, "seconds"), &ret->seconds, err);
    }
    ret->live |= accepts_sse(r);
    if (code == SF_OK && sf_http_query(r, "limit") != NULL) {
        code = SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST,
                          "'limit' does not go with a stream: it ends by 'seconds'");
    }
    return code;
}

void follow_stream_begin(struct follow_stream *s, struct sf_http_request *r)
{
    static const struct sf_http_header headers[] = {{"Cache-Control", "no-store"}};

    s->request = r;
    s->is_sse = accepts_sse(r);
    s->begun = true;
    sf_http_stream_begin(r, 200, s->is_sse ? "text/event-stream" : "application/x-ndjson", headers,
                         SF_COUNT(headers));
    sf_http_stream_bound(r, FOLLOW_STREAM_BYTES);
}

static void write(struct follow_stream *s, enum follow_kind kind, uint32_t epoch, uint64_t seq,
                  struct sf_slice lines)
{
    if (s->is_sse) {
        follow_write_sse(kind, epoch, seq, lines, &s->held);
    } else {
        sf_buf_slice(&s->held, lines);
    }
}

enum follow_put follow_stream_drain(struct follow_stream *s)
{
    enum sf_code code;

    if (s->held.failed != SF_OK) {
        return FOLLOW_PUT_FAILED;
    }
    if (s->held.size == 0) {
        return FOLLOW_PUT_DONE;
    }
    code = sf_http_stream_write(s->request, sf_buf_view(&s->held));
    if (code == SF_BUSY) {
        return FOLLOW_PUT_HELD;
    }
    sf_buf_clear(&s->held);
    return code == SF_OK ? FOLLOW_PUT_DONE : FOLLOW_PUT_FAILED;
}

enum follow_put follow_stream_put(struct follow_stream *s, enum follow_kind kind, uint32_t epoch,
                                  uint64_t seq, struct sf_slice lines)
{
    write(s, kind, epoch, seq, lines);
    return follow_stream_drain(s);
}

void follow_stream_end(struct follow_stream *s, const struct follow_event *e)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf line = {0};

    follow_write(e, &line);
    write(s, e->kind, e->epoch, e->seq, sf_buf_view(&line));
    if (line.failed != SF_OK || s->held.failed != SF_OK) {
        sf_http_stream_end(s->request, /* complete= */ false);
    } else {
        sf_http_stream_finish(s->request, sf_buf_view(&s->held));
    }
}

void follow_stream_done(struct follow_stream *s)
{
    sf_buf_done(&s->held);
}
