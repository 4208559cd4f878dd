/*
 * Telling the service manager how we are: the protocol of sd_notify(3), by hand.
 *
 * When NOTIFY_SOCKET names a socket, lines of NAME=VALUE go there as one datagram; else nothing
 * happens. A manager that is not there, or does not read, is no error of ours.
 *
 *   Threads   Loop thread.
 */
#pragma once

#include "common/sys/rt.h"

/* READY=1, with @status, one line for people. */
void sf_notify_ready(const char *status);
/* RELOADING=1; sf_notify_ready() ends it. */
void sf_notify_reloading(void);
/* STOPPING=1. */
void sf_notify_stopping(void);

/* WATCHDOG=1, twice in each period that WATCHDOG_USEC asks for: the loop turns. */
struct sf_watchdog {
    struct sf_rt *rt;
    uint64_t every_ns; /* 0: nobody asked */
    struct sf_timer timer;
};
void sf_watchdog_start(struct sf_watchdog *w, struct sf_rt *rt);
/* Harmless on a zeroed one. */
void sf_watchdog_stop(struct sf_watchdog *w);
