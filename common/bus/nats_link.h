/*
 * One connection of nats.c and the thread that makes every call into it. Private to bus_nats.
 *
 *   Threads   The functions here are called on the loop thread and only hand over commands.
 *   Memory    Commands are embedded in their objects, so that handing over cannot fail; an object
 *             stays until its event has come out of the mailbox. Publish commands are taken.
 *   Limits    out_bytes_max of publishes that the thread has not yet given to nats.c.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include <nats/nats.h>

#include "common/bus/bus_nats.h"
#include "common/bus/nats_grave.h"
#include "common/bus/nats_mailbox.h"

enum nats_command_kind {
    NATS_COMMAND_PUBLISH,
    NATS_COMMAND_SUBSCRIBE,
    NATS_COMMAND_UNSUBSCRIBE,
    NATS_COMMAND_FLUSH,
};

struct nats_command {
    struct nats_command *next;
    enum nats_command_kind kind;
};

struct nats_publish {
    struct nats_command command;
    natsMsg *msg;     /* owned */
    size_t size;      /* bytes that it counts as */
    bool ends_answer; /* as in struct sf_bus_msg */
};

void nats_publish_free(struct nats_publish *p);

/* A subscription as both sides know it. */
struct nats_sub {
    struct nats_command subscribe;
    struct nats_command unsubscribe;
    struct nats_event gone;
    char *subject;              /* owned */
    char *group;                /* owned; NULL: none */
    struct sf_list link;        /* loop: subscriptions of the bus */
    struct sf_bus_sub *owner;   /* loop; NULL: unsubscribed */
    bool is_gone;               /* loop: the link has forgotten it */
    atomic_uint tap_count;      /* taps that have not ended */
    struct sf_list thread_link; /* thread: subscriptions of the link */
    natsSubscription *handle;   /* thread: of the current connection; NULL: none */
};

/* One subscription of nats.c. Each new connection has new ones, and the old end in their time. */
struct nats_tap {
    struct nats_event ended;
    struct nats_mailbox *mailbox;
    struct nats_sub *sub;
};

struct nats_flush {
    struct nats_command command;
    struct nats_event flushed;
    enum sf_code code; /* set by the thread */
};

struct nats_link {
    struct nats_mailbox *mailbox;
    natsOptions *options;
    struct sf_seed user; /* empty: none */
    char *nkey;          /* owned; NULL: none */
    size_t out_bytes_max;
    pthread_t thread;
    bool has_thread;
    struct nats_event ended;

    atomic_int_least64_t max_payload;
    atomic_uint_least64_t sent;
    atomic_uint_least64_t dropped;
    atomic_uint_least64_t connects;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t wake;
    struct nats_command *first;
    struct nats_command **last;
    size_t out_bytes;
    bool is_held;
    char *jwt; /* owned; NULL: none */
    uint64_t disconnects;
    bool is_closing;
    bool is_lost;  /* nats.c has closed the connection */
    bool has_news; /* it was cut or restored */
    char last_error[160];

    /* The thread's own. */
    natsConnection *nc;
    natsStatistics *statistics;
    struct nats_grave published;
    struct sf_list subs;
    uint64_t connections;            /* made so far */
    uint64_t unconfirmed_generation; /* of the connection when the first of them was published */
    bool has_unconfirmed;            /* published, and no flush since */
    bool has_loss;                   /* a publish was refused since the last flush */
    bool must_reset;                 /* a subscription could not be made */
    bool told_connected;
    uint64_t told_disconnects;
};

/* SF_INVALID, SF_NOMEM. */
enum sf_code nats_link_init(struct nats_link *l, struct nats_mailbox *mailbox,
                            const struct sf_bus_nats_options *o,
                            struct sf_error *err) SF_MUST_CHECK;
/* Starts the thread, which starts to connect. SF_UNAVAILABLE. */
enum sf_code nats_link_start(struct nats_link *l, struct sf_error *err) SF_MUST_CHECK;
/* NATS_EVENT_LINK_ENDED follows as the thread's last event. Flushes end as SF_CLOSED. */
void nats_link_close(struct nats_link *l);
/* Behind NATS_EVENT_LINK_ENDED and the end of all taps, or when it was not started. */
void nats_link_done(struct nats_link *l);

/* What is handed over waits until the release, so that it goes out in one piece. */
void nats_link_hold(struct nats_link *l);
void nats_link_release(struct nats_link *l);
/* False: over the limit, and @p is still the caller's. */
bool nats_link_publish(struct nats_link *l, struct nats_publish *p);
void nats_link_command(struct nats_link *l, struct nats_command *c);
/* Takes @jwt. */
void nats_link_set_jwt(struct nats_link *l, char *jwt);
void nats_link_last_error(struct nats_link *l, char *ret, size_t size);
/* What waits for the server. */
size_t nats_link_out_bytes(struct nats_link *l);

/* --- between the thread and what nats.c calls ---------------------------------------------------
 */

natsStatus nats_link_make_options(struct nats_link *l, const struct sf_bus_nats_options *o);
void nats_link_note(struct nats_link *l, natsStatus status, const char *text);
void nats_tap_on_message(natsConnection *nc, natsSubscription *handle, natsMsg *msg, void *closure);
void nats_tap_on_complete(void *closure);
