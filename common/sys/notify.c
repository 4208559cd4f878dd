#include "common/sys/notify.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static void tell(const char *text)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const size_t size = path == NULL ? 0 : strlen(path);
    int fd;

    if (size < 2 || size >= sizeof(address.sun_path) || (path[0] != '/' && path[0] != '@')) {
        return;
    }
    memcpy(address.sun_path, path, size);
    if (path[0] == '@') {
        address.sun_path[0] = '\0'; /* a name of the kernel's, not of a file */
    }
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0) {
        (void)sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&address,
                     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size));
        (void)close(fd);
    }
}

void sf_notify_ready(const char *status)
{
    char text[256];

    (void)snprintf(text, sizeof(text), "READY=1\nSTATUS=%s", status);
    tell(text);
}

void sf_notify_reloading(void)
{
    struct timespec now;
    char text[64];

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    (void)snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRId64,
                   (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    tell(text);
}

void sf_notify_stopping(void)
{
    tell("STOPPING=1");
}

/* The period asked for, of this process; 0: none. */
static uint64_t asked_us(void)
{
    const char *period = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");

    if (period == NULL || (pid != NULL && strtoll(pid, NULL, 10) != getpid())) {
        return 0;
    }
    return strtoull(period, NULL, 10);
}

static void watchdog_fire(struct sf_timer *t)
{
    struct sf_watchdog *w = SF_CONTAINER_OF(t, struct sf_watchdog, timer);

    tell("WATCHDOG=1");
    sf_rt_timer_start(w->rt, &w->timer, w->every_ns);
}

void sf_watchdog_start(struct sf_watchdog *w, struct sf_rt *rt)
{
    const uint64_t us = asked_us();

    *w = (struct sf_watchdog){.rt = rt, .every_ns = us * 1000 / 2, .timer.fire = watchdog_fire};
    if (us > 0) {
        sf_rt_timer_start(rt, &w->timer, 0);
    }
}

void sf_watchdog_stop(struct sf_watchdog *w)
{
    if (w->every_ns > 0) {
        sf_rt_timer_stop(w->rt, &w->timer);
    }
}
