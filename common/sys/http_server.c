#include "common/sys/http_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/sys/http_private.h"
#include "common/sys/rt_uv.h"
#include "common/sys/rt_uv_loop.h"

enum {
    HEADER_BYTES_MAX = 32 * 1024, /* MHD's memory for one connection: headers, then buffers */
    IDLE_S_MAX = 30,
    BACKLOG = 511,
    WATCH_EVENTS = 64,
};

/* Handles outlive the server, until the loop has closed them. */
struct http_pollers {
    uv_poll_t daemon;
    uv_poll_t watch;
    unsigned open;
};

/* The daemon in the loop. */

static void drive(struct sf_http_server *s)
{
    MHD_UNSIGNED_LONG_LONG wait_ms;

    (void)MHD_run(s->daemon);
    if (MHD_get_timeout(s->daemon, &wait_ms) != MHD_YES) {
        sf_rt_timer_stop(s->rt, &s->alarm);
    } else if (wait_ms == 0) {
        sf_http_server_kick(s);
    } else {
        sf_rt_timer_start(s->rt, &s->alarm, wait_ms * SF_NS_PER_MS);
    }
}

static void kick_run(struct sf_task *t)
{
    drive(SF_CONTAINER_OF(t, struct sf_http_server, kick));
}

static void alarm_fire(struct sf_timer *t)
{
    drive(SF_CONTAINER_OF(t, struct sf_http_server, alarm));
}

static void daemon_cb(uv_poll_t *handle, int status, int events)
{
    (void)status;
    (void)events;
    drive(handle->data);
}

void sf_http_server_kick(struct sf_http_server *s)
{
    if (!sf_list_linked(&s->kick.link)) {
        sf_rt_post(s->rt, &s->kick);
    }
}

/* The watch over suspended connections. */

void sf_http_server_watch(struct sf_http_server *s, struct sf_http_request *r)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLONESHOT, .data.ptr = r};

    /* Without the watch a client that leaves is noticed when we write to it. */
    r->watched = epoll_ctl(s->watch_fd, EPOLL_CTL_ADD, info->connect_fd, &event) == 0;
}

void sf_http_server_rewatch(struct sf_http_server *s, struct sf_http_request *r, bool to_send)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    const uint32_t out = to_send ? EPOLLOUT : 0;
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLONESHOT | out, .data.ptr = r};

    if (r->watched) {
        (void)epoll_ctl(s->watch_fd, EPOLL_CTL_MOD, info->connect_fd, &event);
    }
}

void sf_http_server_unwatch(struct sf_http_server *s, struct sf_http_request *r)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CONNECTION_FD);

    if (r->watched) {
        (void)epoll_ctl(s->watch_fd, EPOLL_CTL_DEL, info->connect_fd, NULL);
        r->watched = false;
    }
}

static void watch_cb(uv_poll_t *handle, int status, int events)
{
    struct sf_http_server *s = handle->data;
    struct epoll_event gone[WATCH_EVENTS];
    int count;

    (void)status;
    (void)events;
    count = epoll_wait(s->watch_fd, gone, WATCH_EVENTS, 0);
    for (int i = 0; i < count; i++) {
        struct sf_http_request *r = gone[i].data.ptr;

        if (r->watched && gone[i].events == EPOLLOUT) {
            sf_http_upload_writable(r);
        } else if (r->watched) { /* else an on_abort before has answered it */
            sf_http_request_abort(r);
        }
    }
}

static void poller_closed(uv_handle_t *handle)
{
    struct http_pollers *p = handle->data;

    if (--p->open == 0) {
        sf_free(p);
    }
}

static void poller_close(struct http_pollers *p, uv_poll_t *handle)
{
    (void)uv_poll_stop(handle); /* Now: the descriptor is about to be closed. */
    handle->data = p;
    uv_close((uv_handle_t *)handle, poller_closed);
}

static enum sf_code pollers_start(struct sf_http_server *s, struct rt_uv *rt, struct sf_error *err)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    struct http_pollers *p = sf_calloc(1, sizeof(*p));
    int r;

    if (p == NULL) {
        return SF_RAISE(err, SF_NOMEM, "no memory for the HTTP server");
    }
    r = uv_poll_init(rt_uv_loop(rt), &p->daemon, info->epoll_fd);
    if (r != 0) {
        sf_free(p);
        return SF_RAISE(err, SF_UNAVAILABLE, "HTTP server: %s", uv_strerror(r));
    }
    s->pollers = p;
    p->daemon.data = s;
    p->open = 1;
    r = uv_poll_start(&p->daemon, UV_READABLE, daemon_cb);
    if (r == 0) {
        r = uv_poll_init(rt_uv_loop(rt), &p->watch, s->watch_fd);
    }
    if (r == 0) {
        p->watch.data = s;
        p->open = 2;
        r = uv_poll_start(&p->watch, UV_READABLE, watch_cb);
    }
    return r == 0 ? SF_OK : SF_RAISE(err, SF_UNAVAILABLE, "HTTP server: %s", uv_strerror(r));
}

/* The listening socket. */

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static bool address_parse(const char *text, uint16_t port, union address *ret, socklen_t *ret_size)
{
    memset(ret, 0, sizeof(*ret));
    if (inet_pton(AF_INET, text, &ret->v4.sin_addr) == 1) {
        ret->v4.sin_family = AF_INET;
        ret->v4.sin_port = htons(port);
        *ret_size = sizeof(ret->v4);
        return ntohl(ret->v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    }
    if (inet_pton(AF_INET6, text, &ret->v6.sin6_addr) == 1) {
        ret->v6.sin6_family = AF_INET6;
        ret->v6.sin6_port = htons(port);
        *ret_size = sizeof(ret->v6);
        return IN6_IS_ADDR_LOOPBACK(&ret->v6.sin6_addr);
    }
    return false;
}

static enum sf_code listen_on(const struct sf_http_options *o, int *ret_fd, uint16_t *ret_port,
                              struct sf_error *err)
{
    const char *text = o->address == NULL ? "127.0.0.1" : o->address;
    union address address;
    socklen_t size;
    int yes = 1;
    int fd;

    if (!address_parse(text, o->port, &address, &size)) {
        return SF_RAISE(err, SF_INVALID, "'%s' is not a numeric loopback address", text);
    }
    fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return SF_RAISE(err, SF_UNAVAILABLE, "HTTP server: %m");
    }
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) != 0 ||
        bind(fd, &address.any, size) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, &address.any, &size) != 0) {
        enum sf_code code = errno == EADDRINUSE ? SF_CONFLICT : SF_UNAVAILABLE;

        code = SF_RAISE(err, code, "cannot listen on %s port %u: %m", text, o->port);
        (void)close(fd);
        return code;
    }
    *ret_fd = fd;
    *ret_port =
        ntohs(address.any.sa_family == AF_INET ? address.v4.sin_port : address.v6.sin6_port);
    return SF_OK;
}

static enum sf_code daemon_start(struct sf_http_server *s, struct sf_error *err)
{
    unsigned idle_s = s->options.idle_s_max == 0 ? IDLE_S_MAX : s->options.idle_s_max;
    enum sf_code r;
    int fd;

    r = listen_on(&s->options, &fd, &s->port, err);
    if (r != SF_OK) {
        return r;
    }
    s->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, sf_http_request_step, s,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_URI_LOG_CALLBACK, sf_http_request_uri, s,
        MHD_OPTION_NOTIFY_COMPLETED, sf_http_request_completed, s,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADER_BYTES_MAX, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)s->options.connections_max, MHD_OPTION_CONNECTION_TIMEOUT, idle_s,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_END);
    if (s->daemon == NULL) {
        return SF_RAISE(err, SF_UNAVAILABLE, "the HTTP server does not start");
    }
    return SF_OK;
}

enum sf_code sf_http_server_new(struct rt_uv *rt, const struct sf_http_options *options,
                                struct sf_http_server **ret, struct sf_error *err)
{
    struct sf_http_server *s = sf_calloc(1, sizeof(*s));
    enum sf_code r;

    if (s == NULL) {
        return SF_RAISE(err, SF_NOMEM, "no memory for the HTTP server");
    }
    s->rt = rt_uv_rt(rt);
    s->options = *options;
    s->kick.run = kick_run;
    s->alarm.fire = alarm_fire;
    sf_list_init(&s->requests);
    s->watch_fd = epoll_create1(EPOLL_CLOEXEC);
    r = s->watch_fd < 0 ? SF_RAISE(err, SF_UNAVAILABLE, "HTTP server: %m") : daemon_start(s, err);
    if (r == SF_OK) {
        r = pollers_start(s, rt, err);
    }
    if (r != SF_OK) {
        sf_http_server_free(s);
        return r;
    }
    sf_http_server_kick(s);
    *ret = s;
    return SF_OK;
}

uint16_t sf_http_server_port(const struct sf_http_server *s)
{
    return s->port;
}

void sf_http_server_set_limits(struct sf_http_server *s, const struct sf_http_limits *limits)
{
    s->options.body_bytes_max = limits->body_bytes_max;
    s->options.body_total_bytes_max = limits->body_total_bytes_max;
    s->options.answers_bytes_max = limits->answers_bytes_max;
}

struct sf_http_stats sf_http_server_stats(const struct sf_http_server *s)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);

    return (struct sf_http_stats){
        .connections = info == NULL ? 0 : info->num_connections,
        .body_bytes = s->body_total,
        .answer_bytes = s->answers_total,
        .refused_bodies = s->refused_bodies,
        .refused_answers = s->refused_answers,
        .cut = s->cut,
    };
}

void sf_http_server_free(struct sf_http_server *s)
{
    if (s == NULL) {
        return;
    }
    for (struct sf_list *at = s->requests.next; at != &s->requests;) {
        struct sf_http_request *r = SF_CONTAINER_OF(at, struct sf_http_request, link);

        at = at->next; /* aborting takes none out of the list */
        sf_http_request_abort(r);
    }
    if (s->pollers != NULL) {
        struct http_pollers *p = s->pollers;
        unsigned open = p->open;

        poller_close(p, &p->daemon);
        if (open > 1) {
            poller_close(p, &p->watch);
        }
    }
    if (s->daemon != NULL) {
        MHD_stop_daemon(s->daemon); /* completes every request, closes the listening socket */
    }
    sf_assert(sf_list_empty(&s->requests));
    if (s->watch_fd >= 0) {
        (void)close(s->watch_fd);
    }
    sf_list_remove(&s->kick.link);
    sf_rt_timer_stop(s->rt, &s->alarm);
    sf_free(s);
}
