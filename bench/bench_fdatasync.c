/*
 * What the disk can do: p50 and p99 of fdatasync after appending 4 KiB.
 *
 *     bench_fdatasync DIR [SECONDS]
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/alloc.h"

enum { BLOCK = 4096, SAMPLES_MAX = 1000000 };

static uint64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    const uint64_t *x = a;
    const uint64_t *y = b;

    return (*x > *y) - (*x < *y);
}

int main(int argc, char **argv)
{
    static char block[BLOCK];
    uint64_t *samples = sf_calloc(SAMPLES_MAX, sizeof(*samples));
    const double seconds = argc > 2 ? strtod(argv[2], NULL) : 3;
    uint64_t end_ns = now_ns() + (uint64_t)(seconds * 1e9);
    char path[4096];
    size_t n = 0;
    int fd;

    if (argc < 2 || samples == NULL) {
        (void)fprintf(stderr, "usage: bench_fdatasync DIR [SECONDS]\n");
        return 2;
    }
    (void)snprintf(path, sizeof(path), "%s/fdatasync.tmp", argv[1]);
    fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    while (fd >= 0 && n < SAMPLES_MAX && now_ns() < end_ns) {
        uint64_t start_ns = now_ns();

        if (write(fd, block, BLOCK) != BLOCK || fdatasync(fd) != 0) {
            perror("fdatasync");
            return 1;
        }
        samples[n++] = now_ns() - start_ns;
    }
    if (fd < 0 || n == 0) {
        perror(path);
        return 1;
    }
    (void)close(fd);
    (void)unlink(path);
    qsort(samples, n, sizeof(*samples), by_value);
    (void)printf("{\"syncs\":%zu,\"p50_us\":%.1f,\"p99_us\":%.1f}\n", n,
                 (double)samples[n / 2] / 1e3, (double)samples[(size_t)((double)n * 0.99)] / 1e3);
    sf_free(samples);
    return 0;
}
