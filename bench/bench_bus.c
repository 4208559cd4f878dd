/*
 * How fast the bus goes: publish from one loop to a nats-server, and back into a loop.
 *
 *     bench_bus NATS_SERVER_URL [MESSAGES] [BYTES]
 *
 * Prints one line per run: messages per second published (until a flush holds), the same while they
 * are received on a second connection of the same loop, and the round trip of a request.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/bus/bus_nats.h"
#include "common/sys/rt_uv.h"

enum { WINDOW = 20000, REQUESTS = 5000 };

enum phase { CONNECTING, PUBLISHING, RELAYING, ASKING, CLOSING };

struct bench {
    struct rt_uv *uv;
    struct sf_rt *rt;
    struct sf_bus *out;
    struct sf_bus *in;
    struct sf_task pump;
    struct sf_timer retry;
    struct sf_timer alive; /* a connection alone does not keep the loop running */
    struct sf_bus_flush flush;
    struct sf_bus_sub sub;
    struct sf_bus_sub echo;
    struct sf_bus_call call;
    enum phase phase;
    uint64_t start_ns;
    uint64_t total;
    uint64_t sent;
    uint64_t received;
    uint64_t asked;
    uint64_t asked_ns;
    unsigned up;
    unsigned closed;
    size_t size;
    uint8_t *data;
};

static void start_phase(struct bench *b, enum phase phase)
{
    b->phase = phase;
    b->sent = 0;
    b->received = 0;
    b->start_ns = sf_rt_now_ns(b->rt);
    sf_rt_post(b->rt, &b->pump);
}

static double seconds(struct bench *b)
{
    return (double)(sf_rt_now_ns(b->rt) - b->start_ns) / 1e9;
}

static void report(struct bench *b, const char *what)
{
    double rate = (double)b->total / seconds(b);

    printf("%-12s %" PRIu64 " messages of %zu bytes: %.0f msg/s, %.1f MB/s\n", what, b->total,
           b->size, rate, rate * (double)b->size / 1e6);
}

static void ask(struct bench *b)
{
    struct sf_bus_msg m = {.subject = "bench.echo", .data = sf_slice_of(b->data, b->size)};

    if (sf_bus_request(b->out, &b->call, &m, 5 * SF_NS_PER_S, NULL) != SF_OK) {
        abort();
    }
}

static void on_closed(void *data)
{
    struct bench *b = data;

    if (++b->closed == 2) {
        rt_uv_stop(b->uv);
    }
}

static void on_answer(struct sf_bus_call *call, enum sf_bus_outcome outcome,
                      const struct sf_bus_msg *m)
{
    struct bench *b = SF_CONTAINER_OF(call, struct bench, call);

    (void)m;
    if (outcome != SF_BUS_ANSWERED) {
        abort();
    }
    if (++b->asked < REQUESTS) {
        ask(b);
        return;
    }
    printf("%-12s %d in a row: mean %.0f us\n", "request", REQUESTS, seconds(b) * 1e6 / REQUESTS);
    b->phase = CLOSING;
    sf_bus_nats_close(b->out, on_closed, b);
    sf_bus_nats_close(b->in, on_closed, b);
}

static void on_echo(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct bench *b = SF_CONTAINER_OF(sub, struct bench, echo);
    struct sf_bus_msg answer = {.subject = m->reply, .data = m->data};

    if (sf_bus_publish(b->in, &answer, NULL) != SF_OK) {
        abort();
    }
}

static void on_msg(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct bench *b = SF_CONTAINER_OF(sub, struct bench, sub);

    (void)m;
    if (b->phase == RELAYING && ++b->received == b->total) {
        report(b, "relayed");
        start_phase(b, ASKING);
    }
}

static void on_flushed(struct sf_bus_flush *flush, enum sf_code code)
{
    struct bench *b = SF_CONTAINER_OF(flush, struct bench, flush);

    if (code != SF_OK) {
        abort();
    }
    report(b, "published");
    start_phase(b, RELAYING);
}

static void send_some(struct bench *b, const char *subject, uint64_t until)
{
    struct sf_bus_msg m = {.subject = subject, .data = sf_slice_of(b->data, b->size)};

    for (unsigned i = 0; i < 512 && b->sent < until; i++) {
        enum sf_code code = sf_bus_publish(b->out, &m, NULL);

        if (code == SF_BUSY) {
            sf_rt_timer_start(b->rt, &b->retry, SF_NS_PER_MS);
            return;
        }
        if (code != SF_OK) {
            abort();
        }
        b->sent++;
    }
    if (b->sent < b->total) {
        sf_rt_post(b->rt, &b->pump);
    }
}

static void pump(struct bench *b)
{
    switch (b->phase) {
    case CONNECTING:
    case CLOSING:
        break;
    case PUBLISHING:
        send_some(b, "bench.none", b->total);
        if (b->sent == b->total &&
            sf_bus_flush(b->out, &b->flush, 60 * SF_NS_PER_S, NULL) != SF_OK) {
            abort();
        }
        break;
    case RELAYING:
        send_some(b, "bench.data",
                  b->received + WINDOW < b->total ? b->received + WINDOW : b->total);
        break;
    case ASKING:
        ask(b);
        break;
    }
}

static void on_pump(struct sf_task *t)
{
    pump(SF_CONTAINER_OF(t, struct bench, pump));
}

static void on_retry(struct sf_timer *t)
{
    pump(SF_CONTAINER_OF(t, struct bench, retry));
}

static void on_too_long(struct sf_timer *t)
{
    (void)t;
    (void)fprintf(stderr, "no end after two minutes\n");
    exit(1);
}

static void on_state(struct sf_bus *bus, bool is_connected)
{
    struct bench *b = bus->data;

    if (is_connected && ++b->up == 2) {
        start_phase(b, PUBLISHING);
    }
}

static struct sf_bus *dial(struct bench *b, const char *url)
{
    struct sf_bus_nats_options o = {.urls = &url, .url_count = 1, .name = "bench"};
    struct sf_bus *bus = NULL;
    struct sf_error err = {0};

    if (sf_bus_nats_open(b->rt, &o, &bus, &err) != SF_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    bus->on_state = on_state;
    bus->data = b;
    return bus;
}

int main(int argc, char **argv)
{
    struct bench b = {.total = 1000000, .size = 250};

    if (argc < 2) {
        (void)fprintf(stderr, "usage: bench_bus URL [MESSAGES] [BYTES]\n");
        return 2;
    }
    b.total = argc > 2 ? strtoull(argv[2], NULL, 10) : b.total;
    b.size = argc > 3 ? strtoull(argv[3], NULL, 10) : b.size;
    b.data = sf_calloc(1, b.size);
    if (b.data == NULL || sf_crypto_init(NULL) != SF_OK || rt_uv_new(&b.uv, NULL) != SF_OK) {
        return 1;
    }
    b.rt = rt_uv_rt(b.uv);
    b.pump.run = on_pump;
    b.retry.fire = on_retry;
    b.flush.done = on_flushed;
    b.call.done = on_answer;
    b.sub.on_msg = on_msg;
    b.echo.on_msg = on_echo;
    b.out = dial(&b, argv[1]);
    b.in = dial(&b, argv[1]);
    if (sf_bus_subscribe(b.in, &b.sub, "bench.data", NULL, NULL) != SF_OK ||
        sf_bus_subscribe(b.in, &b.echo, "bench.echo", NULL, NULL) != SF_OK) {
        return 1;
    }
    b.alive.fire = on_too_long;
    sf_rt_timer_start(b.rt, &b.alive, 120 * SF_NS_PER_S);
    rt_uv_run(b.uv);
    rt_uv_free(b.uv);
    sf_free(b.data);
    return 0;
}
