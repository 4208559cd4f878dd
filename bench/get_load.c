/*
 * Reads of one row after another, closed loop.
 *
 *     get_load http URL TOKEN_FILE CONNECTIONS SECONDS ROWS
 *     get_load nats URL SEED_FILE SUBJECT CONNECTIONS SECONDS ROWS
 *
 * HTTP: GET URL/KEY over keep-alive connections. NATS: requests {"table":"orders","key":[KEY]} on
 * one connection, CONNECTIONS of them under way. Keys are random among the first ROWS. Prints one
 * line of JSON: answers per second, latencies, bytes of the last answer's body.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench/app_bus.h"
#include "common/base/alloc.h"
#include "common/sys/rt_uv.h"

enum { ROOM = 16384, LATENCIES_MAX = 4 * 1024 * 1024, SLOTS_MAX = 256 };

struct load {
    const char *token;
    char host[64];
    char path[512];
    uint16_t port;
    uint64_t rows;
    uint64_t n;
    uint64_t end_ns;
    uint64_t *latencies_ns;
    size_t count;
    size_t bytes; /* of the last answer */
    /* NATS */
    struct rt_uv *uv;
    struct sf_rt *rt;
    struct app_bus app;
    const char *subject;
    size_t slots;
    size_t busy;
};

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t next_key(struct load *l)
{
    uint64_t x = ++l->n * UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    return (x ^ x >> 31) % l->rows + 1;
}

static void note(struct load *l, uint64_t started_ns)
{
    if (l->count < LATENCIES_MAX) {
        l->latencies_ns[l->count++] = now_ns() - started_ns;
    }
}

/* --- HTTP ------------------------------------------------------------------------------------- */

struct connection {
    int fd;
    uint64_t started_ns;
    size_t received;
    char answer[ROOM];
};

static void ask_http(struct load *l, struct connection *c)
{
    char text[ROOM];
    int size = snprintf(text, sizeof(text),
                        "GET %s/O-%010" PRIu64 " HTTP/1.1\r\nHost: %s\r\n"
                        "Authorization: Bearer %s\r\n\r\n",
                        l->path, next_key(l), l->host, l->token);

    c->received = 0;
    c->started_ns = now_ns();
    if (size >= (int)sizeof(text) || write(c->fd, text, (size_t)size) != size) {
        fail("write");
    }
}

static void open_http(struct load *l, struct connection *c, int epoll)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(l->port)};
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    int one = 1;

    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (inet_pton(AF_INET, l->host, &to.sin_addr) != 1 || c->fd < 0 ||
        connect(c->fd, (struct sockaddr *)&to, sizeof(to)) != 0 ||
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) != 0 ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &e) != 0) {
        fail("connect");
    }
}

/* Whether the answer is whole. */
static bool read_http(struct load *l, struct connection *c)
{
    ssize_t n = read(c->fd, c->answer + c->received, ROOM - 1 - c->received);
    const char *end;
    const char *length;
    size_t body;

    if (n <= 0) {
        fail("read");
    }
    c->received += (size_t)n;
    c->answer[c->received] = '\0';
    end = strstr(c->answer, "\r\n\r\n");
    length = strcasestr(c->answer, "content-length:");
    if (end == NULL || length == NULL) {
        return false;
    }
    body = strtoul(length + 15, NULL, 10);
    if (c->received < (size_t)(end + 4 - c->answer) + body) {
        return false;
    }
    if (strncmp(c->answer, "HTTP/1.1 200", 12) != 0) {
        (void)fprintf(stderr, "get_load: %.400s\n", c->answer);
        exit(1);
    }
    l->bytes = body;
    return true;
}

static void run_http(struct load *l, size_t count)
{
    struct connection *connections = sf_calloc(count, sizeof(*connections));
    struct epoll_event events[64];
    int epoll = epoll_create1(0);

    if (connections == NULL || epoll < 0) {
        fail("epoll");
    }
    for (size_t i = 0; i < count; i++) {
        open_http(l, &connections[i], epoll);
        ask_http(l, &connections[i]);
    }
    while (now_ns() < l->end_ns) {
        int n = epoll_wait(epoll, events, 64, 1000);

        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;

            if (read_http(l, c)) {
                note(l, c->started_ns);
                ask_http(l, c);
            }
        }
    }
    sf_free(connections);
    (void)close(epoll);
}

/* --- NATS ------------------------------------------------------------------------------------- */

struct slot {
    struct sf_bus_call call;
    struct load *load;
    uint64_t started_ns;
};

static void ask_nats(struct slot *s)
{
    struct load *l = s->load;
    char text[128];
    int size = snprintf(text, sizeof(text), "{\"table\":\"orders\",\"key\":[\"O-%010" PRIu64 "\"]}",
                        next_key(l));
    struct sf_bus_msg m = {.subject = l->subject, .data = sf_slice_of(text, (size_t)size)};

    s->started_ns = now_ns();
    app_bus_must(sf_bus_request(l->app.bus, &s->call, &m, 5 * SF_NS_PER_S, NULL));
}

static void on_answer(struct sf_bus_call *call, enum sf_bus_outcome outcome,
                      const struct sf_bus_msg *m)
{
    struct slot *s = call->data;
    struct load *l = s->load;

    if (outcome != SF_BUS_ANSWERED || m->data.size == 0) {
        (void)fprintf(stderr, "get_load: no answer (%d)\n", (int)outcome);
        exit(1);
    }
    l->bytes = m->data.size;
    note(l, s->started_ns);
    if (now_ns() < l->end_ns) {
        ask_nats(s);
    } else if (--l->busy == 0) {
        rt_uv_stop(l->uv);
    }
}

static void on_up(void *data)
{
    static struct slot slots[SLOTS_MAX];
    struct load *l = data;

    l->busy = l->slots;
    for (size_t i = 0; i < l->slots; i++) {
        slots[i] = (struct slot){.load = l, .call = {.done = on_answer, .data = &slots[i]}};
        ask_nats(&slots[i]);
    }
}

static void on_too_long(struct sf_timer *t)
{
    (void)t;
    (void)fprintf(stderr, "get_load: no end\n");
    exit(1);
}

static void run_nats(struct load *l, const char *url, const char *seed_file, double seconds)
{
    static struct sf_timer guard = {.fire = on_too_long};

    app_bus_must(rt_uv_new(&l->uv, NULL));
    l->rt = rt_uv_rt(l->uv);
    app_bus_open(&l->app, l->rt, url, seed_file, on_up, l);
    sf_rt_timer_start(l->rt, &guard, (uint64_t)((seconds + 30) * (double)SF_NS_PER_S));
    rt_uv_run(l->uv);
}

/* --- main ------------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    const uint64_t *x = a;
    const uint64_t *y = b;

    return (*x > *y) - (*x < *y);
}

static const char *read_token(const char *file)
{
    static char token[4097];
    FILE *f = fopen(file, "r");

    if (f == NULL || fscanf(f, "%4096s", token) != 1) {
        fail(file);
    }
    (void)fclose(f);
    return token;
}

int main(int argc, char **argv)
{
    static struct load l;
    const bool is_http = argc == 7 && strcmp(argv[1], "http") == 0;
    double seconds;

    if (!is_http && (argc != 8 || strcmp(argv[1], "nats") != 0)) {
        (void)fprintf(stderr, "usage: get_load http URL TOKEN_FILE CONNECTIONS SECONDS ROWS\n"
                              "       get_load nats URL SEED SUBJECT CONNECTIONS SECONDS ROWS\n");
        return 2;
    }
    l.latencies_ns = sf_calloc(LATENCIES_MAX, sizeof(uint64_t));
    l.rows = strtoull(argv[argc - 1], NULL, 10);
    l.slots = strtoul(argv[argc - 3], NULL, 10);
    seconds = strtod(argv[argc - 2], NULL);
    if (l.latencies_ns == NULL || l.rows == 0 || l.slots == 0 || l.slots > SLOTS_MAX) {
        return 2;
    }
    l.n = now_ns(); /* other keys than the run before */
    l.end_ns = now_ns() + (uint64_t)(seconds * 1e9);
    if (is_http) {
        if (sscanf(argv[2], "http://%63[^:]:%hu%511s", l.host, &l.port, l.path) != 3) {
            fail(argv[2]);
        }
        l.token = read_token(argv[3]);
        run_http(&l, l.slots);
    } else {
        l.subject = argv[4];
        run_nats(&l, argv[2], argv[3], seconds);
    }
    qsort(l.latencies_ns, l.count, sizeof(uint64_t), by_value);
    (void)printf("{\"per_s\":%.0f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"bytes\":%zu}\n",
                 (double)l.count / seconds,
                 l.count == 0 ? 0 : (double)l.latencies_ns[l.count / 2] / 1e3,
                 l.count == 0 ? 0 : (double)l.latencies_ns[l.count * 99 / 100] / 1e3, l.bytes);
    return l.count == 0;
}
