/*
 * The loop's side of a connection; nats_link.c is the other.
 *
 *      OPEN --- sf_bus_nats_close() ---> CLOSING --- link ended, taps ended ---> gone
 *
 * Everything that comes from outside comes out of the mailbox, in on_mail(). A message belongs to a
 * tap, the tap to a subscription, and the subscription to its owner until he unsubscribes; the two
 * inner ones stay until nats.c and the link have said that they are done with them.
 */
#include "common/bus/bus_nats.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/bus/nats_calls.h"
#include "common/bus/nats_link.h"
#include "common/bus/subject.h"
#include "common/sys/encoding.h"

enum {
    OUT_BYTES_MAX = 64 * 1024 * 1024,
    IN_BYTES_MAX = 64 * 1024 * 1024,
    IN_MESSAGES_MAX = 262144,
    EVENTS_PER_TURN = 1024, /* then others have their turn */
    EVENTS_PER_PIECE = 32,  /* what is published for so many goes out while others are handled */
    INBOX_SIZE = 32,        /* "_INBOX." and the id */
};

struct nats_bus;

/* A flush under way: the owner may be told before the link is. */
struct flush_wait {
    struct nats_flush flush;
    struct nats_bus *bus;
    struct sf_bus_flush *owner; /* NULL: was told */
    struct sf_timer timer;
};

struct nats_bus {
    struct sf_bus base;
    struct sf_rt *rt;
    struct nats_mailbox mailbox;
    struct nats_link link;
    struct nats_event *backlog; /* taken from the mailbox, not yet handled */
    struct nats_event **backlog_last;
    struct sf_task more;       /* handles the backlog */
    struct sf_task send;       /* lets the link have what was published in the turn before */
    bool is_holding;           /* the link, until the end of the turn */
    struct nats_grave handled; /* messages */
    bool is_more_posted;
    bool is_connected;
    uint64_t disconnects;
    uint64_t received;
    struct sf_list subs;
    size_t flush_count;
    struct nats_calls calls;
    struct sf_bus_sub inbox_sub;
    char inbox[INBOX_SIZE]; /* answers come to <inbox>.<id of the call> */
    uint32_t inbox_count;   /* inboxes given out by new_inbox */
    bool is_closing;
    bool has_link_ended;
    void (*closed)(void *data);
    void *closed_data;
};

static struct nats_bus *bus_of(struct sf_bus *base)
{
    return SF_CONTAINER_OF(base, struct nats_bus, base);
}

/* --- turns ------------------------------------------------------------------------------------ */

/* What is published in one turn of the loop goes out in one piece: the pages of an answer and its
 * end wake the link once, and are one system call of it. */
static void hold(struct nats_bus *bus)
{
    if (!bus->is_holding) {
        bus->is_holding = true;
        nats_link_hold(&bus->link);
    }
}

static void release(struct nats_bus *bus)
{
    if (bus->is_holding) {
        bus->is_holding = false;
        nats_link_release(&bus->link);
    }
}

static void on_send(struct sf_task *t)
{
    release(SF_CONTAINER_OF(t, struct nats_bus, send));
}

static void hold_for_turn(struct nats_bus *bus)
{
    if (!bus->is_holding) {
        hold(bus);
        if (!sf_list_linked(&bus->send.link)) {
            sf_rt_post(bus->rt, &bus->send);
        }
    }
}

/* --- publishing ------------------------------------------------------------------------------- */

static enum sf_code add_headers(natsMsg *msg, const struct sf_bus_msg *m, struct sf_error *err)
{
    for (size_t i = 0; i < m->header_count; i++) {
        if (natsMsgHeader_Add(msg, m->headers[i].name, m->headers[i].value) != NATS_OK) {
            return SF_RAISE(err, SF_NOMEM, "message to NATS");
        }
    }
    return SF_OK;
}

static enum sf_code make_publish(const struct sf_bus_msg *m, const char *reply,
                                 struct nats_publish **ret, struct sf_error *err)
{
    struct nats_publish *p = sf_alloc(sizeof(*p));
    const char *data = m->data.size == 0 ? "" : (const char *)m->data.data;
    enum sf_code code;

    if (p == NULL) {
        return SF_RAISE(err, SF_NOMEM, "message to NATS");
    }
    *p = (struct nats_publish){.command = {.kind = NATS_COMMAND_PUBLISH}};
    p->size = sizeof(*p) + 128 + m->header_count * 64 + m->data.size;
    p->ends_answer = m->ends_answer;
    if (natsMsg_Create(&p->msg, m->subject, reply, data, (int)m->data.size) != NATS_OK) {
        sf_free(p);
        return SF_RAISE(err, SF_NOMEM, "message to NATS");
    }
    code = add_headers(p->msg, m, err);
    if (code != SF_OK) {
        nats_publish_free(p);
        return code;
    }
    *ret = p;
    return SF_OK;
}

static enum sf_code check_usable(const struct nats_bus *bus, struct sf_error *err)
{
    if (bus->is_closing) {
        return SF_RAISE(err, SF_CLOSED, "the connection to NATS is closing");
    }
    if (!bus->is_connected) {
        return SF_RAISE(err, SF_UNAVAILABLE, "not connected to NATS");
    }
    return SF_OK;
}

static enum sf_code send_msg(struct nats_bus *bus, const struct sf_bus_msg *m, const char *reply,
                             struct sf_error *err)
{
    int64_t max_payload = atomic_load_explicit(&bus->link.max_payload, memory_order_relaxed);
    struct nats_publish *p = NULL;
    enum sf_code code = check_usable(bus, err);

    if (code == SF_OK) {
        code = sf_bus_msg_check(m, err);
    }
    if (code != SF_OK) {
        return code;
    }
    if (m->data.size > (uint64_t)max_payload) {
        return SF_RAISE(err, SF_INVALID, "a message of %zu bytes; the server takes %lld",
                        m->data.size, (long long)max_payload);
    }
    code = make_publish(m, reply, &p, err);
    if (code != SF_OK) {
        return code;
    }
    hold_for_turn(bus);
    if (!nats_link_publish(&bus->link, p)) {
        nats_publish_free(p);
        code = SF_RAISE(err, SF_BUSY, "too many bytes wait for NATS");
    }
    return code;
}

static enum sf_code bus_publish(struct sf_bus *base, const struct sf_bus_msg *m,
                                struct sf_error *err)
{
    return send_msg(bus_of(base), m, m->reply != NULL && m->reply[0] != '\0' ? m->reply : NULL,
                    err);
}

/* --- subscriptions ---------------------------------------------------------------------------- */

static void sub_free(struct nats_sub *sub)
{
    sf_list_remove(&sub->link);
    sf_free(sub->subject);
    sf_free(sub->group);
    sf_free(sub);
}

static void release_sub(struct nats_sub *sub)
{
    if (sub->is_gone && atomic_load(&sub->tap_count) == 0) {
        sub_free(sub);
    }
}

static struct nats_sub *make_sub(const char *subject, const char *group)
{
    struct nats_sub *sub = sf_calloc(1, sizeof(*sub));

    if (sub == NULL) {
        return NULL;
    }
    sub->subscribe.kind = NATS_COMMAND_SUBSCRIBE;
    sub->unsubscribe.kind = NATS_COMMAND_UNSUBSCRIBE;
    sub->gone.kind = NATS_EVENT_SUB_GONE;
    sub->subject = sf_strdup(subject);
    sub->group = group == NULL ? NULL : sf_strdup(group);
    if (sub->subject == NULL || (group != NULL && sub->group == NULL)) {
        sub_free(sub);
        return NULL;
    }
    return sub;
}

static enum sf_code bus_subscribe(struct sf_bus *base, struct sf_bus_sub *owner,
                                  const char *subject, const char *group, struct sf_error *err)
{
    struct nats_bus *bus = bus_of(base);
    struct nats_sub *sub;

    if (bus->is_closing) {
        return SF_RAISE(err, SF_CLOSED, "the connection to NATS is closing");
    }
    if (!sf_subject_is_pattern(subject) || (group != NULL && !sf_subject_is_literal(group))) {
        return SF_RAISE(err, SF_INVALID, "not a subject to subscribe to");
    }
    sub = make_sub(subject, group);
    if (sub == NULL) {
        return SF_RAISE(err, SF_NOMEM, "subscription");
    }
    sub->owner = owner;
    owner->private = sub;
    sf_list_push(&bus->subs, &sub->link);
    nats_link_command(&bus->link, &sub->subscribe);
    return SF_OK;
}

static void bus_unsubscribe(struct sf_bus *base, struct sf_bus_sub *owner)
{
    struct nats_bus *bus = bus_of(base);
    struct nats_sub *sub = owner->private;

    if (sub == NULL) {
        return;
    }
    owner->private = NULL;
    sub->owner = NULL;
    if (!bus->is_closing) {
        nats_link_command(&bus->link, &sub->unsubscribe);
    }
}

/* --- requests --------------------------------------------------------------------------------- */

static void on_answer(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct nats_bus *bus = sub->data;
    const size_t prefix = strlen(bus->inbox) + 1;

    if (strlen(m->subject) > prefix) {
        nats_calls_answer(&bus->calls, m->subject + prefix, m);
    }
}

static enum sf_code bus_request(struct sf_bus *base, struct sf_bus_call *owner,
                                const struct sf_bus_msg *m, uint64_t timeout_ns,
                                struct sf_error *err)
{
    struct nats_bus *bus = bus_of(base);
    char id[NATS_CALL_ID];
    char reply[INBOX_SIZE + NATS_CALL_ID];
    enum sf_code code = nats_calls_add(&bus->calls, owner, id, err);

    if (code != SF_OK) {
        return code;
    }
    (void)snprintf(reply, sizeof(reply), "%s.%s", bus->inbox, id);
    code = send_msg(bus, m, reply, err);
    if (code == SF_OK) {
        nats_calls_sent(&bus->calls, owner, timeout_ns);
    } else {
        nats_calls_cancel(&bus->calls, owner);
    }
    return code;
}

static void bus_cancel(struct sf_bus *base, struct sf_bus_call *owner)
{
    nats_calls_cancel(&bus_of(base)->calls, owner);
}

/* --- flushes ---------------------------------------------------------------------------------- */

static void tell_flushed(struct flush_wait *f, enum sf_code code)
{
    struct sf_bus_flush *owner = f->owner;

    sf_rt_timer_stop(f->bus->rt, &f->timer);
    if (owner != NULL) {
        f->owner = NULL;
        owner->private = NULL;
        owner->done(owner, code);
    }
}

static void on_flush_timer(struct sf_timer *t)
{
    tell_flushed(SF_CONTAINER_OF(t, struct flush_wait, timer), SF_TIMEOUT);
}

static enum sf_code bus_flush(struct sf_bus *base, struct sf_bus_flush *owner, uint64_t timeout_ns,
                              struct sf_error *err)
{
    struct nats_bus *bus = bus_of(base);
    struct flush_wait *f;
    enum sf_code code = check_usable(bus, err);

    if (code != SF_OK) {
        return code;
    }
    f = sf_alloc(sizeof(*f));
    if (f == NULL) {
        return SF_RAISE(err, SF_NOMEM, "flush");
    }
    *f = (struct flush_wait){
        .flush = {.command = {.kind = NATS_COMMAND_FLUSH}, .flushed = {.kind = NATS_EVENT_FLUSHED}},
        .bus = bus,
        .owner = owner,
        .timer = {.fire = on_flush_timer},
    };
    owner->private = f;
    bus->flush_count++;
    sf_rt_timer_start(bus->rt, &f->timer, timeout_ns);
    nats_link_command(&bus->link, &f->flush.command);
    return SF_OK;
}

/* --- what comes out of the mailbox ------------------------------------------------------------ */

static void handle_message(struct nats_bus *bus, struct nats_message *m)
{
    struct sf_bus_sub *owner = m->tap->sub->owner;
    struct sf_bus_msg view = {
        .subject = natsMsg_GetSubject(m->msg),
        .reply = natsMsg_GetReply(m->msg),
        .data = sf_slice_of(natsMsg_GetData(m->msg), (size_t)natsMsg_GetDataLength(m->msg)),
        .headers = m->headers,
        .header_count = m->header_count,
    };

    bus->received++;
    if (owner != NULL) {
        owner->on_msg(owner, &view);
    }
    nats_grave_put(&bus->handled, SF_TAKE(m->msg));
    nats_message_free(m);
}

static void handle_tap_ended(struct nats_tap *tap)
{
    struct nats_sub *sub = tap->sub;

    sf_free(tap);
    atomic_fetch_sub(&sub->tap_count, 1);
    release_sub(sub);
}

static void handle_flushed(struct flush_wait *f)
{
    f->bus->flush_count--;
    tell_flushed(f, f->flush.code);
    sf_free(f);
}

/* Any event but a message. */
static void handle_end(struct nats_bus *bus, struct nats_event *e)
{
    struct nats_sub *sub;

    switch (e->kind) {
    case NATS_EVENT_TAP_ENDED:
        handle_tap_ended(SF_CONTAINER_OF(e, struct nats_tap, ended));
        break;
    case NATS_EVENT_SUB_GONE:
        sub = SF_CONTAINER_OF(e, struct nats_sub, gone);
        sub->is_gone = true;
        release_sub(sub);
        break;
    case NATS_EVENT_FLUSHED:
        handle_flushed(SF_CONTAINER_OF(e, struct flush_wait, flush.flushed));
        break;
    case NATS_EVENT_LINK_ENDED:
        bus->has_link_ended = true;
        break;
    case NATS_EVENT_MESSAGE:
        break;
    }
}

static void handle_events(struct nats_bus *bus)
{
    size_t messages = 0;
    size_t bytes = 0;

    hold(bus);
    for (unsigned i = 0; i < EVENTS_PER_TURN && bus->backlog != NULL; i++) {
        struct nats_event *e = bus->backlog;

        if (i % EVENTS_PER_PIECE == EVENTS_PER_PIECE - 1) {
            release(bus);
            hold(bus);
        }
        bus->backlog = e->next;
        if (bus->backlog == NULL) {
            bus->backlog_last = &bus->backlog;
        }
        if (e->kind == NATS_EVENT_MESSAGE) {
            struct nats_message *m = SF_CONTAINER_OF(e, struct nats_message, event);

            messages++;
            bytes += m->size;
            handle_message(bus, m);
        } else {
            handle_end(bus, e);
        }
    }
    nats_mailbox_release(&bus->mailbox, messages, bytes);
    release(bus);
}

static void set_connected(struct nats_bus *bus, bool is_connected)
{
    if (bus->is_connected != is_connected) {
        bus->is_connected = is_connected;
        if (bus->base.on_state != NULL && !bus->is_closing) {
            bus->base.on_state(&bus->base, is_connected);
        }
    }
}

static bool all_subs_ended(struct nats_bus *bus)
{
    for (struct sf_list *at = bus->subs.next; at != &bus->subs; at = at->next) {
        if (atomic_load(&SF_CONTAINER_OF(at, struct nats_sub, link)->tap_count) != 0) {
            return false;
        }
    }
    return true;
}

static void free_parts(struct nats_bus *bus)
{
    sf_list_remove(&bus->send.link);
    nats_link_done(&bus->link);
    nats_grave_empty(&bus->handled);
    nats_mailbox_done(&bus->mailbox);
    while (!sf_list_empty(&bus->subs)) {
        sub_free(SF_CONTAINER_OF(bus->subs.next, struct nats_sub, link));
    }
    nats_calls_done(&bus->calls);
}

/* The end, once nobody else knows the bus. */
static void finish(struct nats_bus *bus)
{
    void (*closed)(void *data) = bus->closed;
    void *data = bus->closed_data;

    nats_calls_end(&bus->calls);
    free_parts(bus);
    sf_free(bus);
    if (closed != NULL) {
        closed(data);
    }
}

static void step(struct nats_bus *bus)
{
    handle_events(bus);
    if (bus->backlog != NULL) {
        if (!bus->is_more_posted) {
            bus->is_more_posted = true;
            sf_rt_post(bus->rt, &bus->more);
        }
        return;
    }
    if (bus->has_link_ended && !bus->is_more_posted && all_subs_ended(bus)) {
        sf_assert(bus->flush_count == 0);
        finish(bus);
    }
}

static void on_more(struct sf_task *t)
{
    struct nats_bus *bus = SF_CONTAINER_OF(t, struct nats_bus, more);

    bus->is_more_posted = false;
    step(bus);
}

static void on_mail(struct sf_task *t)
{
    struct nats_bus *bus = SF_CONTAINER_OF(t, struct nats_bus, mailbox.task);
    struct nats_mailbox_state state;

    *bus->backlog_last = nats_mailbox_take(&bus->mailbox, &state);
    while (*bus->backlog_last != NULL) {
        bus->backlog_last = &(*bus->backlog_last)->next;
    }
    if (state.disconnects != bus->disconnects) {
        bus->disconnects = state.disconnects;
        set_connected(bus, false);
    }
    set_connected(bus, state.is_connected);
    step(bus);
}

/* --- opening and closing ---------------------------------------------------------------------- */

static bool bus_connected(struct sf_bus *base)
{
    return bus_of(base)->is_connected;
}

static enum sf_code bus_new_inbox(struct sf_bus *base, char *ret, size_t size, struct sf_error *err)
{
    struct nats_bus *bus = bus_of(base);
    /* One level deeper than the inbox of requests, whose subscription must not match it. */
    int n = snprintf(ret, size, "%s.s.%u", bus->inbox, bus->inbox_count);

    if (n < 0 || (size_t)n >= size) {
        return SF_RAISE(err, SF_INVALID, "no room for the name of an inbox");
    }
    bus->inbox_count++;
    return SF_OK;
}

static const struct sf_bus_ops ops = {
    .publish = bus_publish,
    .subscribe = bus_subscribe,
    .unsubscribe = bus_unsubscribe,
    .request = bus_request,
    .cancel = bus_cancel,
    .flush = bus_flush,
    .connected = bus_connected,
    .new_inbox = bus_new_inbox,
};

static void name_inbox(struct nats_bus *bus)
{
    uint8_t id[12];
    char text[24];

    sf_random_bytes(id, sizeof(id));
    sf_encode(SF_BASE32, sf_slice_of(id, sizeof(id)), text);
    (void)snprintf(bus->inbox, sizeof(bus->inbox), "_INBOX.%s", text);
}

static enum sf_code start(struct nats_bus *bus, const struct sf_bus_nats_options *o,
                          struct sf_error *err)
{
    struct sf_bus_nats_options full = *o;
    char pattern[INBOX_SIZE + 2];
    enum sf_code code;

    full.out_bytes_max = o->out_bytes_max == 0 ? OUT_BYTES_MAX : o->out_bytes_max;
    nats_mailbox_init(&bus->mailbox, bus->rt, on_mail);
    bus->mailbox.bytes_max = o->in_bytes_max == 0 ? IN_BYTES_MAX : o->in_bytes_max;
    bus->mailbox.messages_max = o->in_messages_max == 0 ? IN_MESSAGES_MAX : o->in_messages_max;
    code = nats_link_init(&bus->link, &bus->mailbox, &full, err);
    if (code != SF_OK) {
        nats_mailbox_done(&bus->mailbox);
        return code;
    }
    name_inbox(bus);
    (void)snprintf(pattern, sizeof(pattern), "%s.*", bus->inbox);
    bus->inbox_sub = (struct sf_bus_sub){.on_msg = on_answer, .data = bus};
    code = bus_subscribe(&bus->base, &bus->inbox_sub, pattern, NULL, err);
    if (code == SF_OK) {
        code = nats_link_start(&bus->link, err);
    }
    if (code != SF_OK) {
        free_parts(bus);
    }
    return code;
}

enum sf_code sf_bus_nats_open(struct sf_rt *rt, const struct sf_bus_nats_options *o,
                              struct sf_bus **ret, struct sf_error *err)
{
    struct nats_bus *bus;
    enum sf_code code;

    if (o->url_count == 0 || o->name == NULL || (o->user != NULL && !o->nkey && !o->jwt)) {
        return SF_RAISE(err, SF_INVALID, "a connection needs an address, a name and a whole user");
    }
    bus = sf_calloc(1, sizeof(*bus));
    if (bus == NULL) {
        return SF_RAISE(err, SF_NOMEM, "connection to NATS");
    }
    bus->base.ops = &ops;
    bus->rt = rt;
    bus->calls.rt = rt;
    bus->backlog_last = &bus->backlog;
    bus->more.run = on_more;
    bus->send.run = on_send;
    sf_list_init(&bus->subs);
    code = start(bus, o, err);
    if (code != SF_OK) {
        sf_free(bus);
        return code;
    }
    *ret = &bus->base;
    return SF_OK;
}

void sf_bus_nats_close(struct sf_bus *base, void (*closed)(void *data), void *data)
{
    struct nats_bus *bus = bus_of(base);

    sf_assert(!bus->is_closing);
    bus->is_closing = true;
    bus->closed = closed;
    bus->closed_data = data;
    for (struct sf_list *at = bus->subs.next; at != &bus->subs; at = at->next) {
        struct nats_sub *sub = SF_CONTAINER_OF(at, struct nats_sub, link);

        if (sub->owner != NULL) {
            bus_unsubscribe(base, sub->owner);
        }
    }
    nats_link_close(&bus->link);
}

enum sf_code sf_bus_nats_set_jwt(struct sf_bus *base, const char *jwt, struct sf_error *err)
{
    char *copy = sf_strdup(jwt);

    if (copy == NULL) {
        return SF_RAISE(err, SF_NOMEM, "credentials");
    }
    nats_link_set_jwt(&bus_of(base)->link, copy);
    return SF_OK;
}

void sf_bus_nats_stats(struct sf_bus *base, struct sf_bus_nats_stats *ret)
{
    struct nats_bus *bus = bus_of(base);

    *ret = (struct sf_bus_nats_stats){
        .sent = atomic_load(&bus->link.sent),
        .received = bus->received,
        .dropped_in = nats_mailbox_dropped(&bus->mailbox),
        .dropped_out = atomic_load(&bus->link.dropped),
        .connects = atomic_load(&bus->link.connects),
        .in_bytes = nats_mailbox_bytes(&bus->mailbox),
        .out_bytes = nats_link_out_bytes(&bus->link),
    };
    nats_link_last_error(&bus->link, ret->last_error, sizeof(ret->last_error));
}
