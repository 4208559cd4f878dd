/*
 * The thread of a connection:
 *
 *            +--------- 250 ms + jitter ---------+
 *            v                                   |
 *      CONNECTING --- refused, unreachable ------+
 *            |
 *        connected: subscribe all
 *            v
 *          LIVE ---- nats.c reconnects by itself, for ever
 *            |
 *        nats.c gives up (as after the second authentication error): destroy, CONNECTING
 *
 * A batch is everything that was handed over since the last one. It ends with a flush, whose PING
 * makes nats.c write at once; while that is under way the next batch grows, so that the number of
 * messages per system call rises with the load, and a single message waits for nothing. (nats.c
 * itself writes each message alone, or 1 ms late.) What the loop publishes in one turn comes in one
 * piece (nats_link_hold()), so that an answer and its end are one batch.
 */
#include "common/bus/nats_link.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "common/base/alloc.h"

enum {
    RETRY_WAIT_MS = 250,
    RETRY_JITTER_MS = 100,
    FLUSH_MS = 5000,   /* when somebody waits for the answer */
    FLUSH_SOON_MS = 1, /* when the PING is only there to write: not to wait for long */
};

void nats_publish_free(struct nats_publish *p)
{
    natsMsg_Destroy(p->msg);
    sf_free(p);
}

/* --- the thread ------------------------------------------------------------------------------- */

static void tell_state(struct nats_link *l)
{
    bool is_connected = l->nc != NULL && natsConnection_Status(l->nc) == NATS_CONN_STATUS_CONNECTED;
    uint64_t disconnects;

    (void)pthread_mutex_lock(&l->lock);
    disconnects = l->disconnects;
    (void)pthread_mutex_unlock(&l->lock);
    if (is_connected == l->told_connected && disconnects == l->told_disconnects) {
        return;
    }
    if (is_connected) {
        atomic_store(&l->max_payload, natsConnection_GetMaxPayload(l->nc));
        atomic_fetch_add(&l->connects, 1);
    }
    l->told_connected = is_connected;
    l->told_disconnects = disconnects;
    nats_mailbox_set_state(l->mailbox, is_connected, disconnects);
}

static void subscribe(struct nats_link *l, struct nats_sub *sub)
{
    struct nats_tap *tap = l->nc == NULL ? NULL : sf_calloc(1, sizeof(*tap));
    natsStatus s;

    if (tap == NULL) {
        l->must_reset = l->nc != NULL;
        return;
    }
    *tap = (struct nats_tap){
        .ended = {.kind = NATS_EVENT_TAP_ENDED},
        .mailbox = l->mailbox,
        .sub = sub,
    };
    s = sub->group == NULL
            ? natsConnection_Subscribe(&sub->handle, l->nc, sub->subject, nats_tap_on_message, tap)
            : natsConnection_QueueSubscribe(&sub->handle, l->nc, sub->subject, sub->group,
                                            nats_tap_on_message, tap);
    if (s != NATS_OK) {
        nats_link_note(l, s, "subscribe");
        sub->handle = NULL;
        sf_free(tap);
        l->must_reset = true;
        return;
    }
    atomic_fetch_add(&sub->tap_count, 1);
    if (natsSubscription_SetOnCompleteCB(sub->handle, nats_tap_on_complete, tap) != NATS_OK) {
        /* The connection was closed in between: no call of nats.c is under way or to come. */
        nats_tap_on_complete(tap);
    }
}

/* The handle goes; its tap is nats.c's until it has made its last call for it. */
static void unsubscribe(struct nats_sub *sub)
{
    if (sub->handle != NULL) {
        (void)natsSubscription_Unsubscribe(sub->handle);
        natsSubscription_Destroy(sub->handle);
        sub->handle = NULL;
    }
}

static uint64_t current_generation(struct nats_link *l)
{
    uint64_t reconnects = 0;
    uint64_t ignored;

    if (natsConnection_GetStats(l->nc, l->statistics) == NATS_OK) {
        (void)natsStatistics_GetCounts(l->statistics, &ignored, &ignored, &ignored, &ignored,
                                       &reconnects);
    }
    return l->connections << 32 | reconnects;
}

static void publish(struct nats_link *l, struct nats_publish *p)
{
    natsStatus s = NATS_CONNECTION_DISCONNECTED;

    if (l->nc != NULL) {
        if (!l->has_unconfirmed) {
            l->has_unconfirmed = true;
            l->unconfirmed_generation = current_generation(l);
        }
        s = natsConnection_PublishMsg(l->nc, p->msg);
        if (s == NATS_OK && p->ends_answer) {
            s = natsConnection_Publish(l->nc, natsMsg_GetSubject(p->msg), NULL, 0);
        }
    }
    if (s == NATS_OK) {
        atomic_fetch_add_explicit(&l->sent, p->ends_answer ? 2 : 1, memory_order_relaxed);
    } else {
        atomic_fetch_add(&l->dropped, 1);
        l->has_loss = true;
        nats_link_note(l, s, "publish");
    }
}

/* A command but a flush. Returns the bytes that it no longer holds. */
static size_t run_command(struct nats_link *l, struct nats_command *c)
{
    struct nats_publish *p;
    struct nats_sub *sub;
    size_t size = 0;

    switch (c->kind) {
    case NATS_COMMAND_PUBLISH:
        p = SF_CONTAINER_OF(c, struct nats_publish, command);
        publish(l, p);
        size = p->size;
        nats_grave_put(&l->published, SF_TAKE(p->msg));
        nats_publish_free(p);
        break;
    case NATS_COMMAND_SUBSCRIBE:
        sub = SF_CONTAINER_OF(c, struct nats_sub, subscribe);
        sf_list_push(&l->subs, &sub->thread_link);
        subscribe(l, sub);
        break;
    case NATS_COMMAND_UNSUBSCRIBE:
        sub = SF_CONTAINER_OF(c, struct nats_sub, unsubscribe);
        sf_list_remove(&sub->thread_link);
        unsubscribe(sub);
        nats_mailbox_put(l->mailbox, &sub->gone);
        break;
    case NATS_COMMAND_FLUSH:
        break;
    }
    return size;
}

/*
 * A flush holds only when nothing was lost since the last one that held: neither refused, nor
 * written into a connection that has ended since.
 */
static enum sf_code flush_code(struct nats_link *l, natsStatus s)
{
    bool held = !l->has_loss;

    if (s != NATS_OK) {
        return s == NATS_TIMEOUT ? SF_TIMEOUT : SF_UNAVAILABLE;
    }
    if (l->has_unconfirmed && current_generation(l) != l->unconfirmed_generation) {
        held = false;
    }
    l->has_loss = false;
    l->has_unconfirmed = false;
    return held ? SF_OK : SF_UNAVAILABLE;
}

static void end_flushes(struct nats_link *l, struct nats_command *flushes, enum sf_code code)
{
    while (flushes != NULL) {
        struct nats_flush *f = SF_CONTAINER_OF(flushes, struct nats_flush, command);

        flushes = flushes->next;
        f->code = code;
        nats_mailbox_put(l->mailbox, &f->flushed);
    }
}

static void run_batch(struct nats_link *l, struct nats_command *batch)
{
    struct nats_command *flushes = NULL;
    struct nats_command **last = &flushes;
    size_t bytes = 0;
    natsStatus s = NATS_CONNECTION_DISCONNECTED;

    while (batch != NULL) {
        struct nats_command *c = batch;

        batch = c->next;
        if (c->kind == NATS_COMMAND_FLUSH) {
            c->next = NULL;
            *last = c;
            last = &c->next;
        } else {
            bytes += run_command(l, c);
        }
    }
    (void)pthread_mutex_lock(&l->lock);
    l->out_bytes -= bytes;
    (void)pthread_mutex_unlock(&l->lock);
    if (l->nc != NULL && natsConnection_Status(l->nc) == NATS_CONN_STATUS_CONNECTED) {
        s = natsConnection_FlushTimeout(l->nc, flushes == NULL ? FLUSH_SOON_MS : FLUSH_MS);
    }
    if (flushes != NULL) {
        end_flushes(l, flushes, flush_code(l, s));
    }
}

static bool connect_once(struct nats_link *l)
{
    natsStatus s;

    (void)pthread_mutex_lock(&l->lock);
    l->is_lost = false;
    (void)pthread_mutex_unlock(&l->lock);
    s = natsConnection_Connect(&l->nc, l->options);
    if (s != NATS_OK) {
        natsStatus why = s;
        const char *text = nats_GetLastError(&why);

        nats_link_note(l, s, text);
        l->nc = NULL;
        return false;
    }
    l->connections++;
    for (struct sf_list *at = l->subs.next; at != &l->subs; at = at->next) {
        subscribe(l, SF_CONTAINER_OF(at, struct nats_sub, thread_link));
    }
    return true;
}

/* Ends the connection; nats.c makes no call for the link itself afterwards. */
static void disconnect(struct nats_link *l)
{
    if (l->nc == NULL) {
        return;
    }
    natsConnection_Close(l->nc);
    for (struct sf_list *at = l->subs.next; at != &l->subs; at = at->next) {
        unsubscribe(SF_CONTAINER_OF(at, struct nats_sub, thread_link));
    }
    (void)pthread_mutex_lock(&l->lock);
    while (!l->is_lost) {
        (void)pthread_cond_wait(&l->wake, &l->lock);
    }
    (void)pthread_mutex_unlock(&l->lock);
    natsConnection_Destroy(l->nc);
    l->nc = NULL;
}

/* What the thread has to look at next. */
struct turn {
    struct nats_command *batch;
    bool is_closing;
    bool is_lost;
};

static bool is_idle(const struct nats_link *l)
{
    return (l->first == NULL || l->is_held) && !l->is_closing && !l->has_news &&
           !(l->nc != NULL && l->is_lost);
}

/* Waits for something to do, at most until @deadline (NULL: without end). */
static struct turn wait_for_turn(struct nats_link *l, const struct timespec *deadline)
{
    struct turn turn;
    int r = 0;

    (void)pthread_mutex_lock(&l->lock);
    while (is_idle(l) && r != ETIMEDOUT) {
        r = deadline == NULL ? pthread_cond_wait(&l->wake, &l->lock)
                             : pthread_cond_timedwait(&l->wake, &l->lock, deadline);
    }
    turn = (struct turn){NULL, l->is_closing, l->nc != NULL && l->is_lost};
    if (!l->is_held || l->is_closing) {
        turn.batch = l->first;
        l->first = NULL;
        l->last = &l->first;
    }
    l->has_news = false;
    (void)pthread_mutex_unlock(&l->lock);
    return turn;
}

static struct timespec next_try(void)
{
    uint64_t wait_ms = RETRY_WAIT_MS + sf_random_below(RETRY_JITTER_MS);
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += (long)(wait_ms * SF_NS_PER_MS);
    if (t.tv_nsec >= (long)SF_NS_PER_S) {
        t.tv_nsec -= (long)SF_NS_PER_S;
        t.tv_sec++;
    }
    return t;
}

static bool is_past(const struct timespec *deadline)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec > deadline->tv_sec ||
           (now.tv_sec == deadline->tv_sec && now.tv_nsec >= deadline->tv_nsec);
}

/* What is left when it closes: flushes are answered, the rest is dropped by running it unconnected.
 */
static void end_batch(struct nats_link *l, struct nats_command *batch)
{
    while (batch != NULL) {
        struct nats_command *c = batch;

        batch = c->next;
        if (c->kind == NATS_COMMAND_FLUSH) {
            c->next = NULL;
            end_flushes(l, c, SF_CLOSED);
        } else {
            (void)run_command(l, c);
        }
    }
}

static void *run(void *data)
{
    struct nats_link *l = data;
    struct timespec retry = {0};
    struct turn turn = {0};

    while (!turn.is_closing) {
        if (l->nc == NULL && is_past(&retry) && !connect_once(l)) {
            retry = next_try();
        }
        tell_state(l);
        turn = wait_for_turn(l, l->nc == NULL ? &retry : NULL);
        if (!turn.is_closing) {
            run_batch(l, turn.batch);
        }
        if (turn.is_lost || l->must_reset) {
            l->must_reset = false;
            disconnect(l);
            retry = next_try();
        }
    }
    disconnect(l);
    end_batch(l, turn.batch);
    nats_grave_empty(&l->published);
    nats_ReleaseThreadMemory();
    nats_mailbox_put(l->mailbox, &l->ended);
    return NULL;
}

/* --- called by the loop ----------------------------------------------------------------------- */

static enum sf_code copy_text(const char *text, char **ret, struct sf_error *err)
{
    *ret = text == NULL ? NULL : sf_strdup(text);
    return text != NULL && *ret == NULL ? SF_RAISE(err, SF_NOMEM, "connection to NATS") : SF_OK;
}

static enum sf_code copy_options(struct nats_link *l, const struct sf_bus_nats_options *o,
                                 struct sf_error *err)
{
    enum sf_code code = copy_text(o->jwt, &l->jwt, err);
    natsStatus s;

    if (code == SF_OK) {
        code = copy_text(o->nkey, &l->nkey, err);
    }
    if (code == SF_OK && o->user != NULL) {
        code = sf_seed_from_bytes(sf_seed_bytes(o->user), &l->user, err);
    }
    if (code != SF_OK) {
        return code;
    }
    s = nats_link_make_options(l, o);
    if (s == NATS_OK) {
        s = natsStatistics_Create(&l->statistics);
    }
    if (s == NATS_OK) {
        return SF_OK;
    }
    return SF_RAISE(err, s == NATS_NO_MEMORY ? SF_NOMEM : SF_INVALID, "connection '%s': %s",
                    o->name, natsStatus_GetText(s));
}

static void init_sync(struct nats_link *l)
{
    pthread_condattr_t attr;

    (void)pthread_mutex_init(&l->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&l->wake, &attr);
    (void)pthread_condattr_destroy(&attr);
}

static void release(struct nats_link *l)
{
    natsStatistics_Destroy(l->statistics);
    natsOptions_Destroy(l->options);
    sf_seed_done(&l->user);
    sf_free(l->nkey);
    sf_free(l->jwt);
    (void)pthread_cond_destroy(&l->wake);
    (void)pthread_mutex_destroy(&l->lock);
}

enum sf_code nats_link_init(struct nats_link *l, struct nats_mailbox *mailbox,
                            const struct sf_bus_nats_options *o, struct sf_error *err)
{
    enum sf_code code;

    *l = (struct nats_link){
        .mailbox = mailbox,
        .out_bytes_max = o->out_bytes_max,
        .ended = {.kind = NATS_EVENT_LINK_ENDED},
        .max_payload = INT64_C(1024) * 1024,
    };
    l->last = &l->first;
    sf_list_init(&l->subs);
    init_sync(l);
    code = copy_options(l, o, err);
    if (code != SF_OK) {
        release(l);
    }
    return code;
}

enum sf_code nats_link_start(struct nats_link *l, struct sf_error *err)
{
    if (pthread_create(&l->thread, NULL, run, l) != 0) {
        return SF_RAISE(err, SF_UNAVAILABLE, "no thread for a connection to NATS");
    }
    l->has_thread = true;
    return SF_OK;
}

void nats_link_close(struct nats_link *l)
{
    (void)pthread_mutex_lock(&l->lock);
    l->is_closing = true;
    (void)pthread_cond_signal(&l->wake);
    (void)pthread_mutex_unlock(&l->lock);
}

void nats_link_done(struct nats_link *l)
{
    if (l->has_thread) {
        (void)pthread_join(l->thread, NULL);
    }
    release(l);
}

/* With the lock held. */
static void hand_over(struct nats_link *l, struct nats_command *c)
{
    c->next = NULL;
    *l->last = c;
    l->last = &c->next;
    if (!l->is_held) {
        (void)pthread_cond_signal(&l->wake);
    }
}

void nats_link_hold(struct nats_link *l)
{
    (void)pthread_mutex_lock(&l->lock);
    l->is_held = true;
    (void)pthread_mutex_unlock(&l->lock);
}

void nats_link_release(struct nats_link *l)
{
    bool has_some;

    (void)pthread_mutex_lock(&l->lock);
    l->is_held = false;
    has_some = l->first != NULL;
    (void)pthread_mutex_unlock(&l->lock);
    if (has_some) {
        (void)pthread_cond_signal(&l->wake);
    }
}

bool nats_link_publish(struct nats_link *l, struct nats_publish *p)
{
    bool fits;

    (void)pthread_mutex_lock(&l->lock);
    fits = l->out_bytes < l->out_bytes_max && p->size <= l->out_bytes_max - l->out_bytes;
    if (fits) {
        l->out_bytes += p->size;
        hand_over(l, &p->command);
    }
    (void)pthread_mutex_unlock(&l->lock);
    return fits;
}

void nats_link_command(struct nats_link *l, struct nats_command *c)
{
    (void)pthread_mutex_lock(&l->lock);
    hand_over(l, c);
    (void)pthread_mutex_unlock(&l->lock);
}

void nats_link_set_jwt(struct nats_link *l, char *jwt)
{
    char *old;

    (void)pthread_mutex_lock(&l->lock);
    old = l->jwt;
    l->jwt = jwt;
    (void)pthread_mutex_unlock(&l->lock);
    sf_free(old);
}

size_t nats_link_out_bytes(struct nats_link *l)
{
    size_t bytes;

    (void)pthread_mutex_lock(&l->lock);
    bytes = l->out_bytes;
    (void)pthread_mutex_unlock(&l->lock);
    return bytes;
}

void nats_link_last_error(struct nats_link *l, char *ret, size_t size)
{
    (void)pthread_mutex_lock(&l->lock);
    (void)snprintf(ret, size, "%s", l->last_error);
    (void)pthread_mutex_unlock(&l->lock);
}
