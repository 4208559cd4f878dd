/*
 * What nats.c takes to send messages as large as those of a live stream, in a loop: the floor of a
 * publisher. Nobody listens. CPU time of the process, all its threads.
 *
 *     bench_publish NATS_SERVER_URL BYTES MESSAGES
 *
 * Prints {"cpu_s":0.1,"messages":1000,"bytes":196608}.
 */
#include <nats/nats.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/base/alloc.h"

static double now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void must(natsStatus s)
{
    if (s != NATS_OK) {
        (void)fprintf(stderr, "bench_publish: %s\n", natsStatus_GetText(s));
        exit(1);
    }
}

int main(int argc, char **argv)
{
    const int size = argc == 4 ? (int)strtoul(argv[2], NULL, 10) : 0;
    const unsigned long count = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
    natsConnection *nc = NULL;
    char *data;
    double start;

    if (size <= 0 || count == 0) {
        (void)fprintf(stderr, "usage: bench_publish URL BYTES MESSAGES\n");
        return 2;
    }
    data = sf_calloc(1, (size_t)size);
    if (data == NULL) {
        return 1;
    }
    must(natsConnection_ConnectTo(&nc, argv[1]));
    start = now();
    for (unsigned long i = 0; i < count; i++) {
        must(natsConnection_Publish(nc, "bench.none", data, size));
    }
    must(natsConnection_FlushTimeout(nc, 60000));
    (void)printf("{\"cpu_s\":%.4f,\"messages\":%lu,\"bytes\":%d}\n", now() - start, count, size);
    natsConnection_Destroy(nc);
    nats_Close();
    sf_free(data);
    return 0;
}
