#include "tests/lib/cmocka.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "tests/lib/proc.h"
#include "tests/unit/sys/http_world.h"

static void test_request_is_seen_and_answered_whole(void **state)
{
    const struct sf_http_header headers[] = {{"X-Test", "abc"}};
    struct sf_http_call http = {
        .method = "POST", .headers = headers, .header_count = 1, .body = SF_LITERAL("{\"a\":1}")};
    struct client c;

    client_init(&c);
    assert_int_equal(client_call(&c, *state, "/echo/a%2Fb/c?y=1&x=p%20q+r%2B", &http), SF_OK);
    assert_int_equal(c.answer.status, 201);
    assert_string_equal(client_body(&c), "POST /echo/a/b/c parts=3 part1=a/b x=p q r+ header=abc "
                                         "size=7 body={\"a\":1}");
    assert_string_equal(sf_http_answer_header(&c.answer, "content-type"), "text/plain");
    assert_string_equal(sf_http_answer_header(&c.answer, "X-ONE"), "1");
    assert_null(sf_http_answer_header(&c.answer, "X-Empty"));
    assert_null(sf_http_answer_header(&c.answer, "X-Two"));
    client_done(&c);
}

static void test_methods_and_empty_bodies(void **state)
{
    static const char *const methods[] = {"GET", "POST", "PUT", "DELETE", "PATCH"};
    char expected[100];
    struct client c;

    client_init(&c);
    for (size_t i = 0; i < SF_COUNT(methods); i++) {
        struct sf_http_call http = {.method = methods[i]};

        assert_int_equal(client_call(&c, *state, "/echo", &http), SF_OK);
        (void)snprintf(expected, sizeof(expected),
                       "%s /echo parts=1 part1=- x=- header=- size=0 body=", methods[i]);
        assert_string_equal(client_body(&c), expected);
    }
    {
        struct sf_http_call http = {.method = "HEAD"};

        assert_int_equal(client_call(&c, *state, "/echo", &http), SF_OK);
        assert_int_equal(c.answer.status, 201);
        assert_int_equal(c.answer.body.size, 0);
        http.method = "GET";
        assert_int_equal(client_call(&c, *state, "/", &http), SF_OK);
        assert_int_equal(c.answer.status, 204);
        assert_int_equal(client_call(&c, *state, "/none", &http), SF_OK);
        assert_int_equal(c.answer.status, 404);
        assert_string_equal(client_body(&c), "nothing here");
    }
    client_done(&c);
}

static void test_handler_may_keep_the_body(void **state)
{
    struct sf_http_call http = {.method = "POST", .body = SF_LITERAL("kept")};
    struct client c;

    client_init(&c);
    assert_int_equal(client_call(&c, *state, "/keep", &http), SF_OK);
    assert_string_equal(client_body(&c), "kept");
    http.body = SF_LITERAL("");
    assert_int_equal(client_call(&c, *state, "/keep", &http), SF_OK);
    assert_int_equal(c.answer.status, 200);
    assert_int_equal(c.answer.body.size, 0);
    client_done(&c);
}

static void test_answer_may_come_later(void **state)
{
    struct sf_http_call http = {.method = "POST", .body = SF_LITERAL("x")};
    struct client c;

    client_init(&c);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(client_call(&c, *state, "/later", &http), SF_OK);
        assert_int_equal(c.answer.status, 200);
        assert_string_equal(client_body(&c), "later");
    }
    client_done(&c);
}

static void test_a_prepared_answer_is_given_to_many(void **state)
{
    static const char *const paths[] = {"/prepared/first", "/prepared/again", "/prepared/later",
                                        "/prepared/again", "/prepared/last"};
    static const char *const bodies[] = {"to first", "to again", "to later", "to again",
                                         "to  last"};
    struct sf_http_call http = {.method = "GET"};
    struct client c;

    client_init(&c);
    for (size_t i = 0; i < SF_COUNT(paths); i++) {
        assert_int_equal(client_call(&c, *state, paths[i], &http), SF_OK);
        assert_int_equal(c.answer.status, 203);
        assert_string_equal(client_body(&c), bodies[i]);
        assert_string_equal(sf_http_answer_header(&c.answer, "Content-Type"), "text/plain");
        assert_string_equal(sf_http_answer_header(&c.answer, "X-One"), "1");
        assert_string_equal(sf_http_answer_header(&c.answer, "X-Added"), "2");
        assert_null(sf_http_answer_header(&c.answer, "X-Empty"));
    }
    client_done(&c);
}

static void test_a_prepared_answer_is_one_requests_until_all_of_it_is_sent(void **state)
{
    static const char request[] = "GET /big-prepared HTTP/1.1\r\nHost: x\r\n"
                                  "Connection: close\r\n\r\n";
    static char piece[65536];
    struct fixture *f = *state;
    struct sf_http_call http = {.method = "GET"};
    struct client c;
    int fd = raw_open(f);
    size_t received = 0;
    ssize_t n;

    client_init(&c);
    raw_send(fd, request);
    wait_until(was_handled, f, "the request is handled", DEADLINE_MS);
    assert_int_equal(client_call(&c, f, "/big-prepared", &http), SF_OK);
    assert_string_equal(client_body(&c), "in use");
    while ((n = recv(fd, piece, sizeof(piece), 0)) > 0) {
        received += (size_t)n;
    }
    assert_int_equal(n, 0);
    assert_true(received > BIG_ANSWER && received < BIG_ANSWER + 1000);
    (void)close(fd);
    client_done(&c);
}

static void test_malformed_target_is_refused_without_its_handler(void **state)
{
    struct fixture *f = *state;
    struct sf_http_call http = {0};
    struct client c;

    client_init(&c);
    assert_int_equal(client_call(&c, f, "/echo/%00", &http), SF_OK);
    assert_int_equal(c.answer.status, 400);
    assert_string_equal(sf_http_answer_header(&c.answer, "Content-Type"),
                        "application/problem+json");
    assert_string_equal(client_body(&c),
                        "{\"type\":\"about:blank\",\"title\":\"Bad Request\",\"status\":400}");
    assert_int_equal(atomic_load(&f->handled), 0);
    client_done(&c);
}

static void test_body_up_to_the_limit_and_not_beyond(void **state)
{
    struct fixture *f = *state;
    uint8_t *bytes = sf_calloc(1, 4 * 1024 * 1024);
    struct sf_http_call http = {.method = "POST", .body = sf_slice_of(bytes, BODY_MAX)};
    struct client c;

    client_init(&c);
    memset(bytes, 'b', BODY_MAX);
    assert_int_equal(client_call(&c, f, "/echo", &http), SF_OK);
    assert_string_equal(client_body(&c), "POST /echo parts=1 part1=- x=- header=- size=100000 "
                                         "body=bbbbbbbbbbbbbbbbbbbb");
    http.body.size++;
    assert_int_equal(client_call(&c, f, "/echo", &http), SF_OK);
    assert_int_equal(c.answer.status, 413);
    assert_string_equal(client_body(&c), "{\"code\":\"SHEAF-E0603\"}");
    http.body.size = 4 * 1024 * 1024; /* curl asks with Expect: 100-continue */
    assert_int_equal(client_call(&c, f, "/echo", &http), SF_OK);
    assert_int_equal(c.answer.status, 413);
    http.body.size = 5; /* and the server goes on */
    assert_int_equal(client_call(&c, f, "/echo", &http), SF_OK);
    assert_int_equal(c.answer.status, 201);
    assert_int_equal(atomic_load(&f->handled), 2);
    client_done(&c);
    sf_free(bytes);
}

struct pieces {
    size_t left;
    enum sf_code failure; /* after the last piece */
};

static enum sf_code next_piece(void *data, uint8_t *to, size_t capacity, size_t *ret_size)
{
    struct pieces *p = data;
    size_t size = p->left < capacity ? p->left : capacity;

    if (size == 0 && p->failure != SF_OK) {
        return p->failure;
    }
    memset(to, 'p', size);
    p->left -= size;
    *ret_size = size;
    return SF_OK;
}

static void test_body_in_pieces_is_bounded_too(void **state)
{
    struct fixture *f = *state;
    struct pieces p = {.left = BODY_MAX};
    struct sf_http_call http = {.method = "POST", .read_body = next_piece, .data = &p};
    struct client c;

    client_init(&c);
    assert_int_equal(client_call(&c, f, "/echo", &http), SF_OK);
    assert_string_equal(client_body(&c), "POST /echo parts=1 part1=- x=- header=- size=100000 "
                                         "body=pppppppppppppppppppp");
    p.left = BODY_MAX + 1;
    assert_int_equal(client_call(&c, f, "/echo", &http), SF_OK);
    assert_int_equal(c.answer.status, 413);
    p.left = 20 * BODY_MAX;
    assert_int_equal(client_call(&c, f, "/echo", &http), SF_OK);
    assert_int_equal(c.answer.status, 413);
    assert_int_equal(atomic_load(&f->handled), 1);
    p = (struct pieces){.left = 10, .failure = SF_CORRUPT};
    assert_int_equal(client_call(&c, f, "/echo", &http), SF_CORRUPT);
    assert_string_equal(c.err.text, "the transfer was ended: stored data failed a check");
    assert_int_equal(atomic_load(&f->handled), 1);
    client_done(&c);
}

static void test_bodies_of_all_requests_together_are_bounded(void **state)
{
    struct fixture *f = *state;
    uint8_t *bytes = sf_calloc(1, BODY_MAX);
    struct sf_http_call http = {.method = "POST", .body = sf_slice_of(bytes, BODY_MAX)};
    struct client c;
    int fd = raw_open(f);

    client_init(&c);
    raw_send(fd, "POST /hold HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\nbegin");
    http.body.size = 1; /* sees to it that the server has the one above */
    assert_int_equal(client_call(&c, f, "/echo", &http), SF_OK);
    http.body.size = 70000;
    assert_int_equal(client_call(&c, f, "/echo", &http), SF_OK);
    assert_int_equal(c.answer.status, 429);
    assert_string_equal(sf_http_answer_header(&c.answer, "Retry-After"), "1");
    http.body.size = 60000;
    assert_int_equal(client_call(&c, f, "/echo", &http), SF_OK);
    assert_int_equal(c.answer.status, 201);
    assert_int_equal(close(fd), 0);
    for (http.body.size = 70000, c.answer.status = 0; c.answer.status != 201;) {
        assert_int_equal(client_call(&c, f, "/echo", &http), SF_OK); /* once the server knows */
    }
    assert_int_equal(atomic_load(&f->aborted), 0); /* its handler never had it */
    client_done(&c);
    sf_free(bytes);
}

static void test_connection_is_kept_and_requests_in_a_row_are_answered_in_order(void **state)
{
    int fd = raw_open(*state);

    raw_send(fd,
             "GET /echo?x=1 HTTP/1.1\r\nHost: x\r\n\r\nGET /echo?x=2 HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(raw_expect(fd, "x=2 header=- size=0 body="));
    raw_send(fd, "GET /echo?x=3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_true(raw_expect(fd, "x=3 header=- size=0 body="));
    assert_false(raw_expect(fd, "more"));
    assert_int_equal(close(fd), 0);
}

static void test_expecting_client_is_told_to_go_on_or_not(void **state)
{
    int fd = raw_open(*state);

    raw_send(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
                 "Expect: 100-continue\r\n\r\n");
    assert_true(raw_expect(fd, "HTTP/1.1 100 Continue\r\n\r\n"));
    raw_send(fd, "abc");
    assert_true(raw_expect(fd, "size=3 body=abc"));
    raw_send(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n"
                 "Expect: 100-continue\r\n\r\n");
    assert_true(raw_expect(fd, "HTTP/1.1 413 "));
    assert_int_equal(close(fd), 0);
}

static void test_sender_of_a_refused_body_sees_the_answer(void **state)
{
    char block[10001];
    int fd = raw_open(*state);

    memset(block, 'x', sizeof(block) - 1);
    block[sizeof(block) - 1] = '\0';
    raw_send(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");
    for (int i = 0; i < 100; i++) {
        raw_send(fd, block); /* would fail when the server had closed */
    }
    assert_true(raw_expect(fd, "HTTP/1.1 413 "));
    raw_send(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(raw_expect(fd, "HTTP/1.1 204"));
    assert_int_equal(close(fd), 0);
}

static void test_headers_are_bounded(void **state)
{
    struct fixture *f = *state;
    char *value = sf_calloc(1, 40001);
    struct sf_http_header header = {"X-Large", value};
    struct sf_http_call http = {.headers = &header, .header_count = 1};
    struct client c;

    client_init(&c);
    memset(value, 'h', 40000);
    assert_int_equal(client_call(&c, f, "/echo", &http), SF_OK);
    assert_int_equal(c.answer.status, 431);
    assert_int_equal(atomic_load(&f->handled), 0);
    client_done(&c);
    sf_free(value);
}

static void test_client_that_leaves_aborts_its_request_once(void **state)
{
    struct fixture *f = *state;
    int fd = raw_open(f);

    raw_send(fd, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_until(was_handled, f, "the request is held", DEADLINE_MS);
    assert_int_equal(atomic_load(&f->aborted), 0);
    assert_int_equal(close(fd), 0);
    wait_until(was_aborted, f, "the handler is told", DEADLINE_MS);
    assert_int_equal(world_teardown(state), 0);
    assert_int_equal(atomic_load(&f->aborted), 1);
}

static void test_server_that_closes_aborts_what_is_open(void **state)
{
    struct fixture *f = *state;
    int held = raw_open(f);
    int idle = raw_open(f);
    int half = raw_open(f);

    raw_send(half, "POST /hold HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab");
    raw_send(idle, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(raw_expect(idle, "HTTP/1.1 204"));
    raw_send(held, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_until(were_two_handled, f, "the request is held", DEADLINE_MS);
    assert_int_equal(world_teardown(state), 0);
    assert_int_equal(atomic_load(&f->aborted), 1);
    assert_false(raw_expect(held, "HTTP"));
    assert_false(raw_expect(half, "HTTP"));
    assert_int_equal(close(held), 0);
    assert_int_equal(close(idle), 0);
    assert_int_equal(close(half), 0);
}

static void test_held_request_is_answered_by_another_event(void **state)
{
    struct fixture *f = *state;
    int fd = raw_open(f);

    raw_send(fd, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_until(was_handled, f, "the request is held", DEADLINE_MS);
    sf_rt_post_remote(f->rt, &f->release);
    assert_true(raw_expect(fd, "released"));
    assert_int_equal(close(fd), 0);
    assert_int_equal(world_teardown(state), 0);
    assert_int_equal(atomic_load(&f->aborted), 0);
}

/* Streams. */

struct sink {
    size_t lines;
    size_t bytes;
    size_t next; /* number that the next line has to carry */
    char partial[1000];
    size_t partial_size;
    size_t stop_after; /* bytes; 0: never */
    bool wrong;
};

static enum sf_code sink_take(void *data, struct sf_slice bytes)
{
    struct sink *s = data;

    s->bytes += bytes.size;
    for (size_t i = 0; i < bytes.size; i++) {
        s->partial[s->partial_size++] = (char)bytes.data[i];
        if (s->partial_size == sizeof(s->partial)) {
            s->wrong = s->wrong || strtoul(s->partial, NULL, 10) != s->next ||
                       s->partial[sizeof(s->partial) - 1] != '\n';
            s->next--;
            s->lines++;
            s->partial_size = 0;
        }
    }
    return s->stop_after != 0 && s->bytes >= s->stop_after ? SF_CLOSED : SF_OK;
}

static void test_stream_is_bounded_and_arrives_whole(void **state)
{
    struct fixture *f = *state;
    struct sink s = {.next = 5000};
    struct sf_http_call http = {.on_body = sink_take, .data = &s};
    struct client c;

    f->stream_left = 5000;
    client_init(&c);
    assert_int_equal(client_call(&c, f, "/stream", &http), SF_OK);
    assert_int_equal(c.answer.status, 200);
    assert_int_equal(s.lines, 5000);
    assert_false(s.wrong);
    assert_int_equal(c.answer.body.size, 0);
    assert_true(atomic_load(&f->busy) >= 5000 * 1000 / STREAM_MAX / 2);
    assert_int_equal(atomic_load(&f->aborted), 0);
    client_done(&c);
}

static void test_reader_of_a_stream_may_leave(void **state)
{
    struct fixture *f = *state;
    struct sink s = {.next = 50000, .stop_after = 200000};
    struct sf_http_call http = {.on_body = sink_take, .data = &s};
    struct client c;

    f->stream_left = 50000;
    client_init(&c);
    assert_int_equal(client_call(&c, f, "/stream", &http), SF_CLOSED);
    wait_until(was_aborted, f, "the writer is told", DEADLINE_MS);
    assert_int_equal(world_teardown(state), 0);
    assert_int_equal(atomic_load(&f->aborted), 1);
    client_done(&c);
}

static void test_silent_stream_notices_that_its_reader_left(void **state)
{
    struct fixture *f = *state;
    int fd = raw_open(f);

    raw_send(fd, "GET /follow HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(raw_expect(fd, "first\n"));
    assert_int_equal(close(fd), 0);
    wait_until(was_aborted, f, "the writer is told", DEADLINE_MS);
}

static void test_stream_goes_on_after_silence_and_ends(void **state)
{
    struct fixture *f = *state;
    int fd = raw_open(f);

    raw_send(fd, "GET /follow HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(raw_expect(fd, "first\n"));
    sf_rt_post_remote(f->rt, &f->last_words);
    assert_true(raw_expect(fd, "last\n\r\n0\r\n\r\n"));
    raw_send(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); /* the connection is still good */
    assert_true(raw_expect(fd, "HTTP/1.1 204"));
    assert_int_equal(close(fd), 0);
}

static void test_stream_that_ends_badly_is_seen_to(void **state)
{
    struct fixture *f = *state;
    int fd = raw_open(f);

    f->stream_left = 1;
    raw_send(fd, "GET /follow HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(raw_expect(fd, "first\n"));
    sf_rt_post_remote(f->rt, &f->last_words);
    assert_false(raw_expect(fd, "0\r\n\r\n")); /* closed without the last chunk */
    assert_int_equal(close(fd), 0);
}

static void test_answer_that_cannot_be_made_is_500(void **state)
{
    struct fixture *f = *state;
    struct sf_http_call http = {0};
    struct client c;

    client_init(&c);
    assert_int_equal(client_call(&c, f, "/bad", &http), SF_OK);
    assert_int_equal(c.answer.status, 500);
    assert_int_equal(atomic_load(&f->aborted), 0);
    assert_int_equal(client_call(&c, f, "/bad-stream", &http), SF_OK);
    assert_int_equal(c.answer.status, 500);
    assert_int_equal(atomic_load(&f->aborted), 1);
    client_done(&c);
}

/* The client's own promises. */

static void test_answer_in_memory_is_bounded(void **state)
{
    struct fixture *f = *state;
    struct sf_http_call http = {.answer_bytes_max = 5000};
    struct client c;

    f->stream_left = 100;
    client_init(&c);
    assert_int_equal(client_call(&c, f, "/stream", &http), SF_BUSY);
    assert_string_equal(c.err.text, "the answer is larger than 5000 bytes");
    client_done(&c);
}

static void test_body_of_a_refusal_goes_to_memory_not_to_the_sink(void **state)
{
    struct sink s = {0};
    struct sf_http_call http = {.on_body = sink_take, .data = &s};
    struct client c;

    client_init(&c);
    assert_int_equal(client_call(&c, *state, "/none", &http), SF_OK);
    assert_int_equal(c.answer.status, 404);
    assert_string_equal(client_body(&c), "nothing here");
    assert_int_equal(s.bytes, 0);
    client_done(&c);
}

static void test_silence_is_a_timeout(void **state)
{
    struct fixture *f = *state;
    struct sf_http_call http = {.total_ms_max = 50};
    struct client c;

    client_init(&c);
    assert_int_equal(client_call(&c, f, "/hold?key=secret", &http), SF_TIMEOUT);
    assert_null(strstr(c.err.text, "secret"));
    client_done(&c);
}

/* Nobody takes connections, and no more fit into the queue: the request was never sent. */
static void test_no_connection_in_time_is_nobody_there(void **state)
{
    enum { WAITING = 8 };
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    const int full = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int fds[WAITING];
    char url[64];
    struct sf_http_call http = {.method = "GET", .url = url, .connect_ms_max = 100};
    struct client c;
    (void)state;

    assert_int_equal(bind(full, (const struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(full, 0), 0);
    assert_int_equal(getsockname(full, (struct sockaddr *)&address, &size), 0);
    for (size_t i = 0; i < WAITING; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)connect(fds[i], (const struct sockaddr *)&address, size);
    }
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/x", ntohs(address.sin_port));
    client_init(&c);
    assert_int_equal(sf_http_client_call(c.http, &http, &c.answer, &c.err), SF_UNAVAILABLE);
    assert_non_null(strstr(c.err.text, ": no connection in time"));
    client_done(&c);
    for (size_t i = 0; i < WAITING; i++) {
        (void)close(fds[i]);
    }
    (void)close(full);
}

static void test_failures_name_the_server_and_nothing_of_the_path(void **state)
{
    struct sf_http_call http = {.method = "GET", .url = "http://127.0.0.1:1/rows/secret?q=secret"};
    struct client c;

    (void)state;
    client_init(&c);
    assert_int_equal(sf_http_client_call(c.http, &http, &c.answer, &c.err), SF_UNAVAILABLE);
    assert_memory_equal(c.err.text, "http://127.0.0.1:1: ", 20);
    assert_null(strstr(c.err.text, "secret"));
    http.url = "file:///etc/passwd";
    assert_int_equal(sf_http_client_call(c.http, &http, &c.answer, &c.err), SF_INVALID);
    http.url = "http://";
    assert_int_equal(sf_http_client_call(c.http, &http, &c.answer, &c.err), SF_INVALID);
    client_done(&c);
}

/* Starting. */

static void test_server_says_why_it_does_not_start(void **state)
{
    struct fixture *f = *state;
    struct sf_http_options o = f->options;
    struct sf_http_server *s = NULL;
    struct rt_uv *u;
    struct sf_error err;
    char text[100];

    assert_int_equal(rt_uv_new(&u, NULL), SF_OK);
    o.port = f->port;
    assert_int_equal(sf_http_server_new(u, &o, &s, &err), SF_CONFLICT);
    (void)snprintf(text, sizeof(text), "cannot listen on 127.0.0.1 port %u: Address already in use",
                   f->port);
    assert_string_equal(err.text, text);
    o.address = "0.0.0.0";
    assert_int_equal(sf_http_server_new(u, &o, &s, &err), SF_INVALID);
    assert_string_equal(err.text, "'0.0.0.0' is not a numeric loopback address");
    o.address = "localhost";
    assert_int_equal(sf_http_server_new(u, &o, &s, &err), SF_INVALID);
    assert_null(s);
    rt_uv_free(u);
}

static void test_server_without_memory_leaves_nothing(void **state)
{
    struct sf_http_options o = ((struct fixture *)*state)->options;
    struct rt_uv *u;
    long after = 0;

    assert_int_equal(world_teardown(state), 0); /* its thread would see the failures too */
    assert_int_equal(rt_uv_new(&u, NULL), SF_OK);
    for (;; after++) {
        struct sf_http_server *s = NULL;
        enum sf_code r;

        sf_alloc_fail_after(after, 0);
        r = sf_http_server_new(u, &o, &s, NULL);
        sf_http_server_free(s);
        if (sf_alloc_faults() == 0) {
            assert_int_equal(r, SF_OK);
            break;
        }
        assert_int_equal(r, SF_NOMEM);
    }
    sf_alloc_fail_after(-1, 0);
    assert_int_equal(after, 2);
    rt_uv_free(u);
}

/*
 * One allocation of the server fails: the client gets an answer or a closed connection, nobody is
 * told twice, and the next request is served.
 */
static void test_requests_survive_failed_allocations(void **state)
{
    static const char *const requests[] = {
        "POST /echo?x=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde",
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        "5\r\nabcde\r\n0\r\n\r\n",
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < SF_COUNT(requests); i++) {
        long faults = 1;

        for (long after = 0; faults > 0; after++) {
            int fd = raw_open(f);

            sf_alloc_fail_after(after, 0);
            raw_send(fd, requests[i]);
            (void)raw_expect(fd, "HTTP/1.1 ");
            faults = sf_alloc_faults();
            sf_alloc_fail_after(-1, 0);
            assert_int_equal(close(fd), 0);
            fd = raw_open(f);
            raw_send(fd, requests[i]);
            assert_true(raw_expect(fd, "size=5 body=abcde"));
            assert_int_equal(close(fd), 0);
            assert_true(after < 100);
        }
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        T(test_request_is_seen_and_answered_whole),
        T(test_methods_and_empty_bodies),
        T(test_handler_may_keep_the_body),
        T(test_answer_may_come_later),
        T(test_a_prepared_answer_is_given_to_many),
        T(test_a_prepared_answer_is_one_requests_until_all_of_it_is_sent),
        T(test_malformed_target_is_refused_without_its_handler),
        T(test_body_up_to_the_limit_and_not_beyond),
        T(test_body_in_pieces_is_bounded_too),
        T(test_bodies_of_all_requests_together_are_bounded),
        T(test_connection_is_kept_and_requests_in_a_row_are_answered_in_order),
        T(test_expecting_client_is_told_to_go_on_or_not),
        T(test_sender_of_a_refused_body_sees_the_answer),
        T(test_headers_are_bounded),
        T(test_client_that_leaves_aborts_its_request_once),
        T(test_server_that_closes_aborts_what_is_open),
        T(test_held_request_is_answered_by_another_event),
        T(test_stream_is_bounded_and_arrives_whole),
        T(test_reader_of_a_stream_may_leave),
        T(test_silent_stream_notices_that_its_reader_left),
        T(test_stream_goes_on_after_silence_and_ends),
        T(test_stream_that_ends_badly_is_seen_to),
        T(test_answer_that_cannot_be_made_is_500),
        T(test_answer_in_memory_is_bounded),
        T(test_body_of_a_refusal_goes_to_memory_not_to_the_sink),
        T(test_silence_is_a_timeout),
        T(test_no_connection_in_time_is_nobody_there),
        T(test_failures_name_the_server_and_nothing_of_the_path),
        T(test_server_says_why_it_does_not_start),
        T(test_server_without_memory_leaves_nothing),
        T(test_requests_survive_failed_allocations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
