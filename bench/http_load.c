/*
 * Load on the ingest endpoint of a leaf, closed loop.
 *
 *     http_load URL TOKEN_FILE CONNECTIONS RECORDS SECONDS PATTERN [FIRST [PRODUCTS]]
 *
 * Sends bodies of RECORDS NDJSON records of exactly 250 bytes over CONNECTIONS keep-alive
 * connections and waits for each answer. PATTERN: rising (keys FIRST, FIRST+1, ...), random (each
 * key once, in random order), updates (random keys below FIRST). Bodies are made once; only the
 * key digits change. With PRODUCTS, "{}" in the URL is a number below it, another for each body;
 * there are as many bodies as for one, else copying them would cost the load, not the leaf.
 * Prints one line of JSON.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench/records.h"
#include "common/base/alloc.h"

enum {
    BODIES = 64, /* different ones */
    PRODUCTS_MAX = 4096,
    HEAD_BYTES = 8192,
    ANSWER_BYTES = 8192,
    LATENCIES_MAX = 4 * 1024 * 1024,
};

struct connection {
    int fd;
    char *body; /* head and records; a private copy whose keys are patched */
    size_t size;
    size_t sent;
    char answer[ANSWER_BYTES];
    size_t received;
    uint64_t started_ns;
};

struct load {
    const char *host;
    char path[512];
    uint16_t port;
    char token[4096];
    size_t records;
    enum records_pattern pattern;
    uint64_t first;
    uint64_t next;
    unsigned products;
    char *heads[PRODUCTS_MAX];
    char *bodies[BODIES];
    size_t body_size;
    unsigned next_body;

    uint64_t accepted;
    uint64_t requests;
    uint64_t refused;
    uint64_t *latencies_ns;
    size_t latency_count;
};

static void fail(const char *what)
{
    (void)fprintf(stderr, "http_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* --- requests --------------------------------------------------------------------------------- */

/* The path with the number of product @p. */
static void write_path(const struct load *l, unsigned p, char *ret, size_t size)
{
    const char *gap = strstr(l->path, "{}");

    if (gap == NULL) {
        (void)snprintf(ret, size, "%s", l->path);
    } else {
        (void)snprintf(ret, size, "%.*s%u%s", (int)(gap - l->path), l->path, p, gap + 2);
    }
}

static void make_heads(struct load *l)
{
    for (unsigned p = 0; p < l->products; p++) {
        char head[HEAD_BYTES];
        char path[544];

        write_path(l, p, path, sizeof(path));
        (void)snprintf(head, sizeof(head),
                       "POST %s HTTP/1.1\r\nHost: %s:%u\r\nAuthorization: Bearer %s\r\n"
                       "Content-Type: application/x-ndjson\r\nContent-Length: %zu\r\n\r\n",
                       path, l->host, l->port, l->token, l->body_size);
        l->heads[p] = sf_strdup(head);
        if (l->heads[p] == NULL) {
            fail("memory");
        }
    }
}

static void make_bodies(struct load *l)
{
    l->body_size = l->records * RECORDS_BYTES;
    for (unsigned b = 0; b < BODIES; b++) {
        l->bodies[b] = sf_alloc(l->body_size);
        if (l->bodies[b] == NULL) {
            fail("memory");
        }
        for (size_t i = 0; i < l->records; i++) {
            records_make(l->bodies[b] + i * RECORDS_BYTES, (uint64_t)b << 32 | i);
        }
    }
}

static void patch_keys(struct load *l, char *records)
{
    for (size_t i = 0; i < l->records; i++) {
        records_set_key(records + i * RECORDS_BYTES, records_key(l->pattern, l->first, l->next++));
    }
}

/* --- connections ------------------------------------------------------------------------------ */

static void open_connection(struct load *l, struct connection *c, int epoll)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(l->port)};
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    int one = 1;

    if (inet_pton(AF_INET, l->host, &to.sin_addr) != 1) {
        fail("address");
    }
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
        fail("connect");
    }
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (fcntl(c->fd, F_SETFL, O_NONBLOCK) != 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &e) != 0) {
        fail("connection");
    }
    c->body = sf_alloc(HEAD_BYTES + l->body_size);
    if (c->body == NULL) {
        fail("memory");
    }
}

static void begin_request(struct load *l, struct connection *c)
{
    const unsigned n = l->next_body++;
    const char *head = l->heads[n % l->products];
    const size_t head_size = strlen(head);

    memcpy(c->body, head, head_size);
    memcpy(c->body + head_size, l->bodies[n % BODIES], l->body_size);
    patch_keys(l, c->body + head_size);
    c->size = head_size + l->body_size;
    c->sent = 0;
    c->received = 0;
    c->started_ns = now_ns();
}

static bool send_more(struct connection *c)
{
    while (c->sent < c->size) {
        ssize_t n = write(c->fd, c->body + c->sent, c->size - c->sent);

        if (n < 0) {
            if (errno == EAGAIN) {
                return false;
            }
            fail("write");
        }
        c->sent += (size_t)n;
    }
    return true;
}

/* Whether the answer is whole; then counts it. */
static bool read_answer(struct load *l, struct connection *c)
{
    for (;;) {
        ssize_t n = read(c->fd, c->answer + c->received, ANSWER_BYTES - 1 - c->received);
        const char *end;
        const char *length;
        const char *accepted;

        if (n < 0 && errno == EAGAIN) {
            return false;
        }
        if (n <= 0) {
            fail("the leaf closed the connection");
        }
        c->received += (size_t)n;
        c->answer[c->received] = '\0';
        end = strstr(c->answer, "\r\n\r\n");
        length = strcasestr(c->answer, "content-length:");
        if (end == NULL || length == NULL ||
            c->received < (size_t)(end + 4 - c->answer) + strtoul(length + 15, NULL, 10)) {
            continue;
        }
        accepted = strstr(end, "\"accepted\":");
        if (strncmp(c->answer, "HTTP/1.1 200", 12) != 0 || accepted == NULL) {
            if (l->refused++ == 0) {
                (void)fprintf(stderr, "http_load: %.300s\n", c->answer);
            }
        } else {
            l->accepted += strtoul(accepted + 11, NULL, 10);
        }
        l->requests++;
        if (l->latency_count < LATENCIES_MAX) {
            l->latencies_ns[l->latency_count++] = now_ns() - c->started_ns;
        }
        return true;
    }
}

static void run(struct load *l, struct connection *connections, size_t count, double seconds)
{
    const uint64_t end_ns = now_ns() + (uint64_t)(seconds * 1e9);
    struct epoll_event events[64];
    size_t busy = count;
    int epoll = epoll_create1(0);

    if (epoll < 0) {
        fail("epoll");
    }
    for (size_t i = 0; i < count; i++) {
        open_connection(l, &connections[i], epoll);
        begin_request(l, &connections[i]);
        (void)send_more(&connections[i]);
    }
    while (busy > 0) {
        int n = epoll_wait(epoll, events, 64, 1000);

        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;

            while (c->fd >= 0 && send_more(c) && read_answer(l, c)) {
                if (now_ns() >= end_ns) {
                    (void)close(c->fd);
                    c->fd = -1;
                    busy--;
                    break;
                }
                begin_request(l, c);
            }
        }
    }
    (void)close(epoll);
}

/* --- main ------------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    const uint64_t *x = a;
    const uint64_t *y = b;

    return (*x > *y) - (*x < *y);
}

static double percentile_us(const struct load *l, double p)
{
    return l->latency_count == 0
               ? 0
               : (double)l->latencies_ns[(size_t)(p * (double)(l->latency_count - 1))] / 1e3;
}

static void read_target(struct load *l, const char *url, const char *token_file)
{
    static char host[64];
    FILE *f = fopen(token_file, "r");

    if (f == NULL || fscanf(f, "%4095s", l->token) != 1) {
        fail(token_file);
    }
    (void)fclose(f);
    if (sscanf(url, "http://%63[^:]:%hu%511s", host, &l->port, l->path) != 3) {
        fail(url);
    }
    l->host = host;
}

int main(int argc, char **argv)
{
    static struct load l;
    struct connection *connections;
    struct rusage usage;
    uint64_t started_ns;
    double elapsed_s;
    size_t count;

    if (argc < 7) {
        (void)fprintf(stderr, "usage: http_load URL TOKEN_FILE CONNECTIONS RECORDS SECONDS "
                              "rising|random|updates [FIRST [PRODUCTS]]\n");
        return 2;
    }
    read_target(&l, argv[1], argv[2]);
    count = strtoul(argv[3], NULL, 10);
    l.records = strtoul(argv[4], NULL, 10);
    l.pattern = records_pattern_of(argv[6]);
    l.first = argc > 7 ? strtoull(argv[7], NULL, 10) : 1;
    l.products = argc > 8 ? (unsigned)strtoul(argv[8], NULL, 10) : 1;
    l.latencies_ns = sf_calloc(LATENCIES_MAX, sizeof(uint64_t));
    connections = sf_calloc(count, sizeof(*connections));
    if (connections == NULL || l.latencies_ns == NULL || l.products == 0 ||
        l.products > PRODUCTS_MAX) {
        fail("memory");
    }
    make_bodies(&l);
    make_heads(&l);
    started_ns = now_ns();
    run(&l, connections, count, strtod(argv[5], NULL));
    elapsed_s = (double)(now_ns() - started_ns) / 1e9;
    qsort(l.latencies_ns, l.latency_count, sizeof(uint64_t), by_value);
    (void)getrusage(RUSAGE_SELF, &usage);
    (void)printf("{\"accepted\":%" PRIu64 ",\"requests\":%" PRIu64 ",\"refused\":%" PRIu64
                 ",\"seconds\":%.3f,\"records_per_s\":%.0f,\"p50_us\":%.1f,\"p99_us\":%.1f,"
                 "\"client_cpu_s\":%.2f,\"next\":%" PRIu64 "}\n",
                 l.accepted, l.requests, l.refused, elapsed_s, (double)l.accepted / elapsed_s,
                 percentile_us(&l, 0.5), percentile_us(&l, 0.99),
                 (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                     (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6,
                 l.first + l.next);
    return l.refused > 0;
}
