/*
 * What a connection hands to the loop: messages, and the ends of things. Private to bus_nats.
 *
 *   Threads   nats_mailbox_put() and _set_state() from any thread; the rest on the loop thread.
 *   Order     Events come out in the order they were put. The loop is woken once until it drains.
 *   Memory    A message event is taken; every other event lives in its object and is borrowed until
 *             it comes out, so that an end can always be told.
 *   Limits    Messages and their bytes; past them nats_mailbox_put() says no. Other events are as
 *             many as there are objects.
 */
#pragma once

#include <pthread.h>

#include <nats/nats.h>

#include "common/bus/bus.h"

enum nats_event_kind {
    NATS_EVENT_MESSAGE,
    NATS_EVENT_TAP_ENDED, /* nats.c has made its last call for a subscription of its own */
    NATS_EVENT_SUB_GONE,  /* the link has forgotten a subscription */
    NATS_EVENT_FLUSHED,
    NATS_EVENT_LINK_ENDED, /* last event of the link's thread */
};

struct nats_event {
    struct nats_event *next;
    enum nats_event_kind kind;
};

struct nats_tap;

struct nats_message {
    struct nats_event event;
    struct nats_tap *tap;
    natsMsg *msg; /* owned; subject, data and headers point into it */
    size_t size;  /* bytes that it counts as */
    size_t header_count;
    struct sf_bus_header headers[];
};

void nats_message_free(struct nats_message *m);

struct nats_mailbox {
    struct sf_rt *rt;
    struct sf_task task; /* runs on the loop when there is something */
    size_t messages_max;
    size_t bytes_max;
    pthread_mutex_t lock; /* guards what follows */
    struct nats_event *first;
    struct nats_event **last;
    size_t messages; /* put and not yet released */
    size_t bytes;
    bool is_posted;
    bool is_connected;
    uint64_t disconnects;
    uint64_t dropped;
};

struct nats_mailbox_state {
    bool is_connected;
    uint64_t disconnects;
};

void nats_mailbox_init(struct nats_mailbox *b, struct sf_rt *rt, void (*run)(struct sf_task *t));
void nats_mailbox_done(struct nats_mailbox *b);
/* False: full, and @m is still the caller's. */
bool nats_mailbox_put_message(struct nats_mailbox *b, struct nats_message *m);
void nats_mailbox_put(struct nats_mailbox *b, struct nats_event *event);
void nats_mailbox_set_state(struct nats_mailbox *b, bool is_connected, uint64_t disconnects);
void nats_mailbox_count_drop(struct nats_mailbox *b);

/* Everything that waits, in order, linked by next; and the state of the connection. */
struct nats_event *nats_mailbox_take(struct nats_mailbox *b, struct nats_mailbox_state *ret);
/* Gives back the room of messages that were handled. */
void nats_mailbox_release(struct nats_mailbox *b, size_t messages, size_t bytes);
uint64_t nats_mailbox_dropped(struct nats_mailbox *b);
size_t nats_mailbox_bytes(struct nats_mailbox *b);
