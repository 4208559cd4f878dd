#include "common/bus/nats_mailbox.h"

#include "common/base/alloc.h"

void nats_message_free(struct nats_message *m)
{
    natsMsg_Destroy(m->msg);
    sf_free(m);
}

void nats_mailbox_init(struct nats_mailbox *b, struct sf_rt *rt, void (*run)(struct sf_task *t))
{
    *b = (struct nats_mailbox){.rt = rt, .task = {.run = run}};
    b->last = &b->first;
    (void)pthread_mutex_init(&b->lock, NULL);
}

void nats_mailbox_done(struct nats_mailbox *b)
{
    (void)pthread_mutex_destroy(&b->lock);
}

/* With the lock held: whether the caller has to wake the loop, once it has let go of the lock. */
static bool must_wake(struct nats_mailbox *b)
{
    bool must = !b->is_posted;

    b->is_posted = true;
    return must;
}

static void unlock_and_wake(struct nats_mailbox *b)
{
    bool wake = must_wake(b);

    (void)pthread_mutex_unlock(&b->lock);
    if (wake) {
        sf_rt_post_remote(b->rt, &b->task);
    }
}

static void append(struct nats_mailbox *b, struct nats_event *event)
{
    event->next = NULL;
    *b->last = event;
    b->last = &event->next;
}

bool nats_mailbox_put_message(struct nats_mailbox *b, struct nats_message *m)
{
    (void)pthread_mutex_lock(&b->lock);
    if (b->messages >= b->messages_max || m->size > b->bytes_max - b->bytes) {
        b->dropped++;
        (void)pthread_mutex_unlock(&b->lock);
        return false;
    }
    b->messages++;
    b->bytes += m->size;
    append(b, &m->event);
    unlock_and_wake(b);
    return true;
}

void nats_mailbox_put(struct nats_mailbox *b, struct nats_event *event)
{
    (void)pthread_mutex_lock(&b->lock);
    append(b, event);
    unlock_and_wake(b);
}

void nats_mailbox_set_state(struct nats_mailbox *b, bool is_connected, uint64_t disconnects)
{
    (void)pthread_mutex_lock(&b->lock);
    b->is_connected = is_connected;
    b->disconnects = disconnects;
    unlock_and_wake(b);
}

void nats_mailbox_count_drop(struct nats_mailbox *b)
{
    (void)pthread_mutex_lock(&b->lock);
    b->dropped++;
    (void)pthread_mutex_unlock(&b->lock);
}

struct nats_event *nats_mailbox_take(struct nats_mailbox *b, struct nats_mailbox_state *ret)
{
    struct nats_event *first;

    (void)pthread_mutex_lock(&b->lock);
    first = b->first;
    b->first = NULL;
    b->last = &b->first;
    b->is_posted = false;
    *ret = (struct nats_mailbox_state){b->is_connected, b->disconnects};
    (void)pthread_mutex_unlock(&b->lock);
    return first;
}

void nats_mailbox_release(struct nats_mailbox *b, size_t messages, size_t bytes)
{
    (void)pthread_mutex_lock(&b->lock);
    b->messages -= messages;
    b->bytes -= bytes;
    (void)pthread_mutex_unlock(&b->lock);
}

size_t nats_mailbox_bytes(struct nats_mailbox *b)
{
    size_t bytes;

    (void)pthread_mutex_lock(&b->lock);
    bytes = b->bytes;
    (void)pthread_mutex_unlock(&b->lock);
    return bytes;
}

uint64_t nats_mailbox_dropped(struct nats_mailbox *b)
{
    uint64_t dropped;

    (void)pthread_mutex_lock(&b->lock);
    dropped = b->dropped;
    (void)pthread_mutex_unlock(&b->lock);
    return dropped;
}
