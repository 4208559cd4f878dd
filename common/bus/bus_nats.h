/*
 * Bus over nats.c: one connection to a nats-server.
 *
 * Connects in the background and for ever: every 250 ms plus jitter, also after an authentication
 * error. Subscriptions survive; messages published while there is no connection are refused.
 *
 *   Threads   Functions on the loop thread. One thread per connection makes every call into nats.c,
 *             because each may block (connect, a full socket, close); nats.c's own threads put what
 *             arrives into the mailbox. The loop is woken once per batch; a connection alone does
 *             not keep rt_uv_run() running.
 *   Memory    Options are copied; the seed into locked memory, from where it signs the server's
 *             nonce. It is never written anywhere.
 *   Limits    Outgoing and incoming messages and bytes as the options say; an empty message has 1
 * MiB more, so that an answer whose last page found room can be ended. Incoming messages past the
 * limit are dropped and counted. Data up to what the server announces as its max_payload, 1 MiB
 * before the first connection. Close     Cancels: calls end as DISCONNECTED, flushes as SF_CLOSED,
 * what waits is dropped, then the callback runs, once, on the loop. Subscriptions end without a
 * callback.
 */
#pragma once

#include "common/bus/bus.h"
#include "common/sys/crypto.h"

struct sf_bus_nats_options {
    const char *const *urls; /* "nats://127.0.0.1:4222" */
    size_t url_count;
    const char *name;           /* of the connection, as `nats server` shows it */
    const struct sf_seed *user; /* signs the server's nonce; NULL: no authentication (tests) */
    const char *nkey;           /* its public text, where the server knows the key itself */
    const char *jwt;            /* or its JWT */
    size_t out_bytes_max;       /* waiting for the server; 0: 64 MiB */
    size_t in_bytes_max;        /* waiting for the loop; 0: 64 MiB */
    size_t in_messages_max;     /* waiting for the loop; 0: 262,144 */
};

struct sf_bus_nats_stats {
    uint64_t sent;
    uint64_t received;
    uint64_t dropped_in;  /* past the limits of the mailbox, or of nats.c */
    uint64_t dropped_out; /* refused by nats.c, as in the moment of a disconnect */
    uint64_t connects;
    size_t in_bytes;      /* waiting for the loop */
    size_t out_bytes;     /* waiting for the server */
    char last_error[160]; /* of nats.c or the server; "": none */
};

/* Starts connecting. *ret is told of the connection by its on_state. SF_INVALID, SF_NOMEM. */
enum sf_code sf_bus_nats_open(struct sf_rt *rt, const struct sf_bus_nats_options *o,
                              struct sf_bus **ret, struct sf_error *err) SF_MUST_CHECK;
/* @closed runs once; afterwards the bus is gone. */
void sf_bus_nats_close(struct sf_bus *bus, void (*closed)(void *data), void *data);
/* The JWT that the next connect uses (credentials are renewed). SF_NOMEM. */
enum sf_code sf_bus_nats_set_jwt(struct sf_bus *bus, const char *jwt,
                                 struct sf_error *err) SF_MUST_CHECK;
void sf_bus_nats_stats(struct sf_bus *bus, struct sf_bus_nats_stats *ret);
