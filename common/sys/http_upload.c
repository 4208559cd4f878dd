/*
 * A request whose body its handler takes in pieces, and whose answer may begin before the body has
 * ended.
 *
 *     HANDED / STREAMING --- respond(), stream_end() ---> ANSWERED ---> the connection is closed
 *       |        ^  on_body took less than there was         |  once the rest of the body has been
 *       v        |                                           |  read (SF_HTTP_DRAIN_BYTES_MAX)
 *     paused ----+  sf_http_body_resume()                    |  and the answer is sent
 *
 * MHD 0.9.75 sends nothing before it has read the whole body. So here the answer is written into
 * the socket beside MHD, which in this state only reads; MHD closes the connection at the end.
 * There is no TLS in this server, or this would have to go through its session.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include "common/base/assert.h"
#include "common/sys/http_private.h"

static int socket_of(const struct sf_http_request *r)
{
    return MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
}

/* --- sending ---------------------------------------------------------------------------------- */

/* Writes what the socket takes. */
static void flush(struct sf_http_request *r)
{
    while (sf_http_unsent(r) > 0 && !r->gone) {
        const ssize_t n = send(socket_of(r), r->out.data + r->out_sent, sf_http_unsent(r),
                               MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            r->gone = errno != EAGAIN && errno != EWOULDBLOCK;
            break;
        }
        r->out_sent += (size_t)n;
        sf_http_answer_charge(r, -n);
        r->answered_ns = sf_rt_now_ns(r->server->rt);
    }
    if (r->drain_wanted && sf_http_unsent(r) <= sf_http_unsent_max(r) / 2) {
        r->drain_wanted = false;
        sf_rt_post(r->server->rt, &r->drain);
    }
}

/* After a flush: MHD goes on when there is nothing to wait for, else the watch looks. */
static void go_on(struct sf_http_request *r)
{
    if (r->gone || (r->state == SF_HTTP_ANSWERED && (sf_http_unsent(r) == 0 || !r->body_ended))) {
        sf_http_request_resume(r);
    } else if (r->suspended) {
        sf_http_server_rewatch(r->server, r, sf_http_unsent(r) > 0);
    }
}

void sf_http_upload_writable(struct sf_http_request *r)
{
    flush(r);
    go_on(r);
}

/* Behind what is in out; what was put there since @before is sent as far as may be. */
static enum sf_code send_appended(struct sf_http_request *r, size_t before)
{
    if (r->out.failed != SF_OK) {
        r->gone = true; /* What is in it may end anywhere. */
        go_on(r);
        return SF_NOMEM;
    }
    sf_http_answer_charge(r, (ssize_t)(r->out.size - before));
    flush(r);
    go_on(r);
    return r->gone ? SF_CLOSED : SF_OK;
}

static void append_head(struct sf_http_request *r, unsigned status, const char *content_type,
                        const struct sf_http_header *headers, size_t header_count)
{
    const time_t now = (time_t)(sf_rt_wall_us(r->server->rt) / SF_US_PER_S);
    char date[64];
    struct tm tm;

    (void)gmtime_r(&now, &tm);
    (void)strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
    sf_buf_printf(&r->out, "HTTP/1.1 %u %s\r\nDate: %s\r\nConnection: close\r\n", status,
                  MHD_get_reason_phrase_for(status), date);
    if (content_type != NULL) {
        sf_buf_printf(&r->out, "Content-Type: %s\r\n", content_type);
    }
    for (size_t i = 0; i < header_count; i++) {
        if (*headers[i].value != '\0') {
            sf_buf_printf(&r->out, "%s: %s\r\n", headers[i].name, headers[i].value);
        }
    }
}

void sf_http_upload_respond(struct sf_http_request *r, unsigned status, const char *content_type,
                            const struct sf_http_header *headers, size_t header_count,
                            struct sf_slice body)
{
    r->state = SF_HTTP_ANSWERED;
    append_head(r, status, content_type, headers, header_count);
    sf_buf_printf(&r->out, "Content-Length: %zu\r\n\r\n", body.size);
    sf_buf_slice(&r->out, body);
    (void)send_appended(r, 0);
}

void sf_http_upload_stream_begin(struct sf_http_request *r, unsigned status,
                                 const char *content_type, const struct sf_http_header *headers,
                                 size_t header_count)
{
    r->state = SF_HTTP_STREAMING;
    append_head(r, status, content_type, headers, header_count);
    sf_buf_text(&r->out, r->is_http10 ? "\r\n" : "Transfer-Encoding: chunked\r\n\r\n");
    (void)send_appended(r, 0);
}

enum sf_code sf_http_upload_write(struct sf_http_request *r, struct sf_slice bytes)
{
    const size_t before = r->out.size;

    if (bytes.size > 0 && !r->is_http10) {
        sf_buf_printf(&r->out, "%zx\r\n", bytes.size);
    }
    sf_buf_slice(&r->out, bytes);
    if (bytes.size > 0 && !r->is_http10) {
        sf_buf_text(&r->out, "\r\n");
    }
    return send_appended(r, before);
}

void sf_http_upload_end(struct sf_http_request *r, bool complete)
{
    const size_t before = r->out.size;

    r->state = SF_HTTP_ANSWERED;
    if (complete && !r->is_http10) {
        sf_buf_text(&r->out, "0\r\n\r\n");
    }
    (void)send_appended(r, before);
}

/* --- receiving -------------------------------------------------------------------------------- */

enum MHD_Result sf_http_upload_begin(struct sf_http_request *r)
{
    r->pieces = true;
    r->state = SF_HTTP_HANDED;
    r->server->options.handler(r, r->server->options.data);
    /* A client that waits to be told to go on has been told not to. */
    return r->state == SF_HTTP_ANSWERED && sf_http_header_of(r, "Expect") != NULL ? MHD_NO
                                                                                  : MHD_YES;
}

/* A piece of @size bytes; returns how many are left for later. */
static size_t take_piece(struct sf_http_request *r, const char *bytes, size_t size)
{
    size_t taken = size;

    if (r->state != SF_HTTP_ANSWERED && r->hooks.on_body != NULL) {
        taken = r->hooks.on_body(r, r->hooks.data, sf_slice_of(bytes, size));
        sf_assert(taken <= size);
    }
    if (r->state == SF_HTTP_ANSWERED) { /* before, or just now */
        r->body_dropped += size;
        return 0;
    }
    return size - taken;
}

enum MHD_Result sf_http_upload_step(struct sf_http_request *r, const char *bytes, size_t *size)
{
    if (*size > 0 && !r->gone && r->state != SF_HTTP_ABORTED) {
        *size = take_piece(r, bytes, *size);
        if (*size > 0) {
            sf_http_request_suspend(r);
        }
        return r->body_dropped > SF_HTTP_DRAIN_BYTES_MAX ? MHD_NO : MHD_YES;
    }
    if (!r->body_ended && !r->gone && r->state != SF_HTTP_ABORTED) {
        r->body_ended = true;
        if (r->state != SF_HTTP_ANSWERED && r->hooks.on_body != NULL) {
            (void)r->hooks.on_body(r, r->hooks.data, (struct sf_slice){0});
        }
    }
    flush(r);
    if (r->gone || r->state == SF_HTTP_ABORTED ||
        (r->state == SF_HTTP_ANSWERED && sf_http_unsent(r) == 0)) {
        return MHD_NO; /* closes the connection */
    }
    sf_http_request_suspend(r);
    sf_http_server_rewatch(r->server, r, sf_http_unsent(r) > 0);
    return MHD_YES;
}

void sf_http_body_resume(struct sf_http_request *r)
{
    if (r->pieces && !r->body_ended) {
        sf_http_request_resume(r);
    }
}
