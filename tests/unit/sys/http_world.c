#include "tests/unit/sys/http_world.h"

#include "tests/lib/cmocka.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/base/buf.h"

static void echo(struct sf_http_request *r)
{
    struct sf_slice body = sf_http_body(r);
    const char *x = sf_http_query(r, "x");
    const char *header = sf_http_header_of(r, "x-test");
    const struct sf_http_header out[] = {{"X-One", "1"}, {"X-Empty", ""}};
    struct sf_buf b = {0};

    for (size_t i = 0; i < SF_HTTP_BODY_PADDING; i++) {
        sf_assert(body.data[body.size + i] == 0);
    }
    sf_buf_printf(&b, "%s %s parts=%zu part1=%s x=%s header=%s size=%zu body=", sf_http_method(r),
                  sf_http_path(r), sf_http_part_count(r),
                  sf_http_part(r, 1) == NULL ? "-" : sf_http_part(r, 1), x == NULL ? "-" : x,
                  header == NULL ? "-" : header, body.size);
    sf_buf_append(&b, body.data, body.size < 20 ? body.size : 20);
    sf_http_respond(r, 201, "text/plain", out, 2, sf_buf_view(&b));
    sf_buf_done(&b);
}

static void keep(struct sf_http_request *r)
{
    struct sf_buf body = {0};

    sf_http_take_body(r, &body);
    sf_assert(sf_http_body(r).size == 0);
    for (size_t i = 0; i < SF_HTTP_BODY_PADDING; i++) {
        sf_assert(body.data[body.size + i] == 0);
    }
    sf_http_respond(r, 200, NULL, NULL, 0, sf_buf_view(&body));
    sf_buf_done(&body);
}

static bool respond_prepared(struct sf_http_prepared *p, struct sf_http_request *r)
{
    char body[9];

    (void)snprintf(body, sizeof(body), "to %5s", sf_http_part(r, 1));
    return sf_http_respond_prepared(r, p, sf_slice_of(body, 8));
}

/* /prepared/first, then as often as one likes /prepared/again, then /prepared/last. */
static void prepared(struct fixture *f, struct sf_http_request *r)
{
    const char *which = sf_http_part(r, 1);
    const struct sf_http_header out[] = {{"X-One", "1"}, {"X-Empty", ""}};
    struct sf_error err;

    if (strcmp(which, "first") == 0) {
        sf_http_add_header(r, "X-Added", "2");
        if (sf_http_prepare(r, 203, "text/plain", out, 2, 8, &f->prepared, &err) != SF_OK) {
            sf_http_respond(r, 500, NULL, NULL, 0, SF_LITERAL(""));
            return;
        }
        sf_assert(sf_http_prepared_bytes(f->prepared) > 8);
    }
    if (strcmp(which, "later") == 0) {
        f->later.request = r;
        f->later.prepared = f->prepared;
        sf_rt_timer_start(f->rt, &f->later.timer, SF_NS_PER_MS);
        return;
    }
    sf_assert(respond_prepared(f->prepared, r));
    if (strcmp(which, "last") == 0) { /* while it is still to be sent */
        sf_http_prepared_free(SF_TAKE(f->prepared));
    }
}

/* /big-prepared: the second time it is in use, and freed. */
static void big_prepared(struct fixture *f, struct sf_http_request *r)
{
    const bool is_first = f->prepared == NULL;
    uint8_t *bytes = sf_calloc(1, BIG_ANSWER);
    const struct sf_slice body = sf_slice_of(bytes, BIG_ANSWER);

    if (is_first) {
        sf_assert(sf_http_prepare(r, 200, NULL, NULL, 0, BIG_ANSWER, &f->prepared, NULL) == SF_OK);
    }
    sf_assert(sf_http_respond_prepared(r, f->prepared, body) == is_first);
    if (!is_first) {
        sf_http_prepared_free(SF_TAKE(f->prepared));
        sf_http_respond(r, 200, NULL, NULL, 0, SF_LITERAL("in use"));
    }
    sf_free(bytes);
}

static void later_fire(struct sf_timer *t)
{
    struct later *l = SF_CONTAINER_OF(t, struct later, timer);

    if (l->prepared != NULL) {
        sf_assert(respond_prepared(SF_TAKE(l->prepared), SF_TAKE(l->request)));
        return;
    }
    sf_http_respond(SF_TAKE(l->request), 200, "text/plain", NULL, 0, SF_LITERAL("later"));
}

static void on_abort(struct sf_http_request *r, void *data)
{
    struct fixture *f = data;

    sf_assert(f->held == r || f->held == NULL);
    f->held = NULL;
    atomic_fetch_add(&f->aborted, 1);
}

static void on_drain(struct sf_http_request *r, void *data)
{
    struct fixture *f = data;
    char line[1000];

    memset(line, 'x', sizeof(line));
    line[sizeof(line) - 1] = '\n';
    atomic_fetch_add(&f->drained, 1);
    while (f->stream_left > 0) {
        enum sf_code code;

        (void)snprintf(line, 12, "%011u", atomic_load(&f->stream_left));
        line[11] = ' ';
        code = sf_http_stream_write(r, sf_slice_of(line, sizeof(line)));
        if (code == SF_BUSY) {
            atomic_fetch_add(&f->busy, 1);
            return;
        }
        sf_assert(code == SF_OK);
        atomic_fetch_sub(&f->stream_left, 1);
    }
    sf_http_stream_end(r, true);
}

static void hold(struct fixture *f, struct sf_http_request *r)
{
    const struct sf_http_hooks hooks = {.on_abort = on_abort, .on_drain = on_drain, .data = f};

    sf_http_set_hooks(r, &hooks);
    f->held = r;
}

static void handle(struct sf_http_request *r, void *data)
{
    struct fixture *f = data;
    const char *what = sf_http_part(r, 0);
    const struct sf_http_header bad = {"X-Bad", "a\r\nb"};

    atomic_fetch_add(&f->handled, 1);
    if (what == NULL) {
        sf_http_respond(r, 204, NULL, NULL, 0, SF_LITERAL(""));
    } else if (strcmp(what, "echo") == 0) {
        echo(r);
    } else if (strcmp(what, "keep") == 0) {
        keep(r);
    } else if (strcmp(what, "prepared") == 0) {
        prepared(f, r);
    } else if (strcmp(what, "big-prepared") == 0) {
        big_prepared(f, r);
    } else if (strcmp(what, "later") == 0) {
        f->later.request = r;
        sf_rt_timer_start(f->rt, &f->later.timer, SF_NS_PER_MS);
    } else if (strcmp(what, "hold") == 0) {
        hold(f, r);
    } else if (strcmp(what, "stream") == 0) {
        hold(f, r);
        sf_http_stream_begin(r, 200, "text/plain", NULL, 0);
        on_drain(r, f);
    } else if (strcmp(what, "follow") == 0) {
        hold(f, r);
        sf_http_stream_begin(r, 200, "text/plain", NULL, 0);
        sf_assert(sf_http_stream_write(r, SF_LITERAL("first\n")) == SF_OK);
    } else if (strcmp(what, "big") == 0) {
        uint8_t *bytes = sf_calloc(1, BIG_ANSWER);

        sf_http_respond(r, 200, "text/plain", NULL, 0, sf_slice_of(bytes, BIG_ANSWER));
        sf_free(bytes);
    } else if (strcmp(what, "bad") == 0) {
        sf_http_respond(r, 200, "text/plain", &bad, 1, SF_LITERAL("x"));
    } else if (strcmp(what, "bad-stream") == 0) {
        hold(f, r);
        sf_http_stream_begin(r, 200, "text/plain", &bad, 1);
    } else {
        sf_http_respond(r, 404, "text/plain", NULL, 0, SF_LITERAL("nothing here"));
    }
}

static void release_run(struct sf_task *t)
{
    struct fixture *f = SF_CONTAINER_OF(t, struct fixture, release);

    sf_http_respond(SF_TAKE(f->held), 200, NULL, NULL, 0, SF_LITERAL("released"));
}

/* Ends the stream of /follow: whole, or cut when the test asks for it by stream_left. */
static void last_words_run(struct sf_task *t)
{
    struct fixture *f = SF_CONTAINER_OF(t, struct fixture, last_words);
    struct sf_http_request *r = SF_TAKE(f->held);

    sf_assert(sf_http_stream_write(r, SF_LITERAL("last\n")) == SF_OK);
    sf_http_stream_end(r, f->stream_left == 0);
}

static void stop_run(struct sf_task *t)
{
    rt_uv_stop(SF_CONTAINER_OF(t, struct fixture, stop)->uv);
}

static void idle_fire(struct sf_timer *t)
{
    (void)t;
}

static void *loop_main(void *arg)
{
    struct fixture *f = arg;

    sf_assert(rt_uv_new(&f->uv, NULL) == SF_OK);
    f->rt = rt_uv_rt(f->uv);
    f->options.handler = handle;
    f->options.data = f;
    sf_assert(sf_http_server_new(f->uv, &f->options, &f->server, NULL) == SF_OK);
    f->port = sf_http_server_port(f->server);
    sf_rt_timer_start(f->rt, &f->idle, 3600 * SF_NS_PER_S);
    sf_assert(sem_post(&f->started) == 0);
    rt_uv_run(f->uv);
    sf_http_server_free(f->server);
    rt_uv_free(f->uv);
    return NULL;
}

static const char *problem(unsigned status)
{
    return status == 413 ? "{\"code\":\"SHEAF-E0603\"}" : NULL;
}

int world_setup(void **state)
{
    return world_setup_slow(state, 0);
}

int world_setup_slow(void **state, uint64_t slow_ns)
{
    static const char *const vital[] = {"/", NULL};
    static struct fixture f;

    memset(&f, 0, sizeof(f));
    f.options = (struct sf_http_options){
        .connections_max = 50,
        .body_bytes_max = BODY_MAX,
        .body_total_bytes_max = BODY_TOTAL_MAX,
        .stream_bytes_max = STREAM_MAX,
        .problem = problem,
        .slow_ns = slow_ns,
        .vital_paths = vital,
    };
    f.later.timer.fire = later_fire;
    f.release.run = release_run;
    f.last_words.run = last_words_run;
    f.stop.run = stop_run;
    f.idle.fire = idle_fire;
    assert_int_equal(sem_init(&f.started, 0, 0), 0);
    assert_int_equal(pthread_create(&f.thread, NULL, loop_main, &f), 0);
    assert_int_equal(sem_wait(&f.started), 0);
    *state = &f;
    return 0;
}

int world_teardown(void **state)
{
    struct fixture *f = *state;

    if (f->rt != NULL) {
        sf_rt_post_remote(f->rt, &f->stop);
        assert_int_equal(pthread_join(f->thread, NULL), 0);
        f->rt = NULL;
    }
    return 0;
}

/* The client's side. */

void client_init(struct client *c)
{
    *c = (struct client){0};
    assert_int_equal(sf_http_client_new(&c->http, NULL), SF_OK);
}

void client_done(struct client *c)
{
    sf_http_client_free(c->http);
    sf_http_answer_done(&c->answer);
}

enum sf_code client_call(struct client *c, const struct fixture *f, const char *path,
                         struct sf_http_call *http)
{
    (void)snprintf(c->url, sizeof(c->url), "http://127.0.0.1:%u%s", f->port, path);
    http->url = c->url;
    if (http->method == NULL) {
        http->method = "GET";
    }
    return sf_http_client_call(c->http, http, &c->answer, &c->err);
}

const char *client_body(struct client *c)
{
    return sf_buf_cstr(&c->answer.body);
}

int raw_open(const struct fixture *f)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(f->port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const struct timeval patience = {.tv_sec = DEADLINE_MS / 1000};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

void raw_send(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

bool raw_expect(int fd, const char *text)
{
    char seen[8192] = {0};
    size_t size = 0;

    while (strstr(seen, text) == NULL) {
        ssize_t n = recv(fd, seen + size, sizeof(seen) - 1 - size, 0);

        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            fail_msg("neither '%s' nor the end within %d ms: %s", text, DEADLINE_MS, seen);
        }
        if (n <= 0) {
            return false;
        }
        size += (size_t)n;
    }
    return true;
}

bool was_handled(void *data)
{
    return atomic_load(&((struct fixture *)data)->handled) > 0;
}

bool were_two_handled(void *data)
{
    return atomic_load(&((struct fixture *)data)->handled) == 2;
}

bool was_aborted(void *data)
{
    return atomic_load(&((struct fixture *)data)->aborted) > 0;
}
