/*
 * Answers every request with the same bytes, over HTTP and over NATS, with the libraries of the
 * leaf and nothing else: what a read of a leaf is compared with.
 *
 *     bench_echo BYTES NATS_URL NKEY_SEED_FILE SUBJECT
 *
 * Prints "ready http=PORT"; ends with SIGTERM.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/app_bus.h"
#include "common/base/alloc.h"
#include "common/sys/http_server.h"
#include "common/sys/rt_uv.h"

struct echo {
    struct rt_uv *uv;
    struct sf_http_server *http;
    struct app_bus app;
    struct sf_bus_sub sub;
    struct sf_slice answer;
};

static void on_request(struct sf_http_request *r, void *data)
{
    const struct echo *e = data;

    sf_http_respond(r, 200, "application/json", NULL, 0, e->answer);
}

static void on_msg(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    const struct echo *e = sub->data;
    const struct sf_bus_msg answer = {.subject = m->reply, .data = e->answer};

    if (sf_bus_publish(e->app.bus, &answer, NULL) != SF_OK) {
        abort();
    }
}

static void on_signal(int number, void *data)
{
    struct echo *e = data;

    (void)number;
    rt_uv_stop(e->uv);
}

static void on_up(void *data)
{
    struct echo *e = data;

    (void)printf("ready http=%u\n", sf_http_server_port(e->http));
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    static struct echo e;
    struct sf_http_options options = {
        .connections_max = 1024,
        .body_bytes_max = 65536,
        .body_total_bytes_max = 1 << 24,
        .stream_bytes_max = 1 << 20,
        .handler = on_request,
        .data = &e,
    };
    uint8_t *bytes;

    if (argc < 5) {
        (void)fprintf(stderr, "usage: bench_echo BYTES NATS_URL NKEY_SEED_FILE SUBJECT\n");
        return 2;
    }
    e.answer.size = strtoul(argv[1], NULL, 10);
    bytes = sf_alloc(e.answer.size + 1);
    if (bytes == NULL) {
        return 1;
    }
    memset(bytes, 'x', e.answer.size);
    e.answer.data = bytes;
    app_bus_must(rt_uv_new(&e.uv, NULL));
    app_bus_must(rt_uv_catch_signals(e.uv, on_signal, &e, NULL));
    app_bus_must(sf_http_server_new(e.uv, &options, &e.http, NULL));
    app_bus_open(&e.app, rt_uv_rt(e.uv), argv[2], argv[3], on_up, &e);
    e.sub = (struct sf_bus_sub){.on_msg = on_msg, .data = &e};
    app_bus_must(sf_bus_subscribe(e.app.bus, &e.sub, argv[4], NULL, NULL));
    rt_uv_run(e.uv);
    return 0; /* The system takes back the rest. */
}
