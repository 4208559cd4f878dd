/*
 * Messages of nats.c that are done with, destroyed many at a time: nats.c frees each on a thread of
 * its own, and one by one that is a system call and two changes of thread for each message.
 * Private to bus_nats.
 *
 *   Threads   One user.
 *   Memory    Holds fewer than NATS_GRAVE_MESSAGES, and less than NATS_GRAVE_BYTES.
 */
#pragma once

#include <nats/nats.h>
#include <stddef.h>

enum { NATS_GRAVE_MESSAGES = 64, NATS_GRAVE_BYTES = 256 * 1024 };

/* A zeroed struct is empty. */
struct nats_grave {
    natsMsg *msgs[NATS_GRAVE_MESSAGES];
    size_t count;
    size_t bytes;
};

/* Takes @msg; NULL is fine. */
void nats_grave_put(struct nats_grave *g, natsMsg *msg);
void nats_grave_empty(struct nats_grave *g);
