/*
 * Everything that is under way waits in the queue of its receiver, whose timer hands it out: timers
 * can be stopped, so nothing outlives the broker.
 */
#include "tests/lib/fake_bus.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "common/base/list.h"
#include "common/bus/subject.h"

enum { MAX_PAYLOAD = 4 * 1024 * 1024 };

struct fake_bus;

/* One copy of a message on its way. */
struct delivery {
    struct sf_list link;
    uint64_t due_ns;
    struct sf_bus_msg msg; /* points into this block */
    char bytes[];
};

/* Who receives: a subscription, or a request with the inbox of its answer. */
struct receiver {
    struct sf_list link; /* of the bus */
    struct fake_bus *bus;
    char *pattern;
    char *group;              /* NULL: none */
    struct sf_bus_sub *sub;   /* or NULL */
    struct sf_bus_call *call; /* or NULL */
    struct sf_timer timer;    /* hands out the first delivery */
    struct sf_list queue;
    struct sf_timer deadline;    /* of a request */
    enum sf_bus_outcome failure; /* at the deadline */
};

struct flush {
    struct sf_list link;
    struct fake_bus *bus;
    struct sf_bus_flush *owner;
    struct sf_timer timer;
    enum sf_code code;
};

struct fake_bus {
    struct sf_bus base;
    struct sf_list link; /* of the broker */
    struct fake_broker *broker;
    struct sf_list receivers;
    struct sf_list flushes;
    struct sf_timer state_timer;
    unsigned number;
    unsigned inbox_count;
    bool is_connected;
    bool is_announced; /* on_state was called for the first time */
    bool told_connected;
    bool is_closed;
};

struct fake_broker {
    struct sf_rt *rt;
    struct sf_list buses;
    struct fake_broker_knobs knobs;
    struct fake_broker_counts counts;
    unsigned bus_count;
    unsigned turn;      /* of queue groups */
    bool missed_memory; /* for the message being routed */
};

static struct fake_bus *bus_of(struct sf_bus *base)
{
    return SF_CONTAINER_OF(base, struct fake_bus, base);
}

/* --- deliveries ------------------------------------------------------------------------------- */

static char *put(char **at, const void *bytes, size_t size)
{
    char *start = *at;

    if (size != 0) {
        memcpy(start, bytes, size);
    }
    *at += size;
    return start;
}

static char *put_text(char **at, const char *text)
{
    return put(at, text, strlen(text) + 1);
}

static struct delivery *copy_msg(const struct sf_bus_msg *m)
{
    const char *reply = m->reply == NULL ? "" : m->reply;
    size_t headers_size = m->header_count * sizeof(struct sf_bus_header);
    size_t size = headers_size + strlen(m->subject) + strlen(reply) + 2 + m->data.size;
    struct sf_bus_header *headers;
    struct delivery *d;
    char *at;

    for (size_t i = 0; i < m->header_count; i++) {
        size += strlen(m->headers[i].name) + strlen(m->headers[i].value) + 2;
    }
    d = sf_alloc(sizeof(*d) + size);
    if (d == NULL) {
        return NULL;
    }
    *d = (struct delivery){.msg = {.header_count = m->header_count}};
    at = d->bytes;
    headers = (struct sf_bus_header *)(void *)put(&at, m->headers, headers_size);
    for (size_t i = 0; i < m->header_count; i++) {
        headers[i].name = put_text(&at, m->headers[i].name);
        headers[i].value = put_text(&at, m->headers[i].value);
    }
    d->msg.headers = headers;
    d->msg.subject = put_text(&at, m->subject);
    d->msg.reply = put_text(&at, reply);
    if (*reply == '\0') {
        d->msg.reply = NULL;
    }
    d->msg.data = sf_slice_of(put(&at, m->data.data, m->data.size), m->data.size);
    return d;
}

static void schedule(struct receiver *r)
{
    struct sf_rt *rt = r->bus->broker->rt;

    if (!sf_list_empty(&r->queue)) {
        uint64_t due = SF_CONTAINER_OF(r->queue.next, struct delivery, link)->due_ns;
        uint64_t now = sf_rt_now_ns(rt);

        sf_rt_timer_start(rt, &r->timer, due > now ? due - now : 0);
    }
}

static void enqueue(struct receiver *r, const struct sf_bus_msg *m)
{
    struct fake_broker *broker = r->bus->broker;
    const struct fake_broker_knobs *k = &broker->knobs;
    struct delivery *d;
    bool was_empty = sf_list_empty(&r->queue);

    if (k->drop != NULL && k->drop(k->data, m->subject)) {
        broker->counts.dropped++;
        return;
    }
    d = copy_msg(m);
    if (d == NULL) {
        broker->missed_memory = true;
        return;
    }
    d->due_ns =
        sf_rt_now_ns(broker->rt) + (k->delay_ns == NULL ? 0 : k->delay_ns(k->data, m->subject));
    if (!was_empty) {
        uint64_t before = SF_CONTAINER_OF(r->queue.prev, struct delivery, link)->due_ns;

        d->due_ns = d->due_ns < before ? before : d->due_ns;
    }
    sf_list_push(&r->queue, &d->link);
    if (was_empty) {
        schedule(r);
    }
}

static void receiver_free(struct receiver *r)
{
    struct sf_rt *rt = r->bus->broker->rt;

    sf_rt_timer_stop(rt, &r->timer);
    sf_rt_timer_stop(rt, &r->deadline);
    while (!sf_list_empty(&r->queue)) {
        sf_free(SF_CONTAINER_OF(sf_list_pop(&r->queue), struct delivery, link));
    }
    sf_list_remove(&r->link);
    sf_free(r->pattern);
    sf_free(r->group);
    sf_free(r);
}

static void end_call(struct receiver *r, enum sf_bus_outcome outcome, const struct sf_bus_msg *m)
{
    struct sf_bus_call *call = r->call;

    receiver_free(r);
    call->private = NULL;
    call->done(call, outcome, m);
}

static bool is_no_responders(const struct sf_bus_msg *m)
{
    const char *status = m->data.size != 0 ? NULL : sf_bus_msg_header(m, "Status");

    return status != NULL && strcmp(status, "503") == 0;
}

static void on_due(struct sf_timer *t)
{
    struct receiver *r = SF_CONTAINER_OF(t, struct receiver, timer);
    struct delivery *d = SF_CONTAINER_OF(sf_list_pop(&r->queue), struct delivery, link);

    r->bus->broker->counts.delivered++;
    if (r->call != NULL) {
        bool nobody = is_no_responders(&d->msg);

        end_call(r, nobody ? SF_BUS_NO_RESPONDERS : SF_BUS_ANSWERED, nobody ? NULL : &d->msg);
    } else {
        schedule(r);
        r->sub->on_msg(r->sub, &d->msg);
    }
    sf_free(d);
}

static void on_deadline(struct sf_timer *t)
{
    struct receiver *r = SF_CONTAINER_OF(t, struct receiver, deadline);

    end_call(r, r->failure, NULL);
}

/* --- routing ---------------------------------------------------------------------------------- */

/* Calls @each for every receiver that @subject matches. */
static void each_match(struct fake_broker *b, const char *subject,
                       void (*each)(struct receiver *r, void *data), void *data)
{
    for (struct sf_list *i = b->buses.next; i != &b->buses; i = i->next) {
        struct fake_bus *bus = SF_CONTAINER_OF(i, struct fake_bus, link);

        for (struct sf_list *j = bus->receivers.next; j != &bus->receivers; j = j->next) {
            struct receiver *r = SF_CONTAINER_OF(j, struct receiver, link);

            if (bus->is_connected && sf_subject_matches(r->pattern, subject)) {
                each(r, data);
            }
        }
    }
}

struct routing {
    const struct sf_bus_msg *msg;
    const char *group; /* the one that is chosen from */
    unsigned members;
    unsigned chosen; /* of its members */
    size_t receivers;
};

static void count_member(struct receiver *r, void *data)
{
    struct routing *g = data;

    g->members += r->group != NULL && strcmp(r->group, g->group) == 0;
}

static void send_to_chosen(struct receiver *r, void *data)
{
    struct routing *g = data;

    if (r->group != NULL && strcmp(r->group, g->group) == 0 && g->chosen-- == 0) {
        enqueue(r, g->msg);
    }
}

struct leader {
    const char *group;
    const struct receiver *first;
};

static void find_leader(struct receiver *r, void *data)
{
    struct leader *l = data;

    if (l->first == NULL && r->group != NULL && strcmp(r->group, l->group) == 0) {
        l->first = r;
    }
}

/* One receiver; or a group, when it is the first of it that matches. */
static void route_one(struct receiver *r, void *data)
{
    struct routing *route = data;
    struct routing group = {.msg = route->msg, .group = r->group};
    struct leader leader = {.group = r->group};
    struct fake_broker *b = r->bus->broker;

    route->receivers++;
    if (r->group == NULL) {
        enqueue(r, route->msg);
        return;
    }
    each_match(b, route->msg->subject, find_leader, &leader);
    if (leader.first == r) {
        each_match(b, route->msg->subject, count_member, &group);
        group.chosen = b->turn++ % group.members;
        each_match(b, route->msg->subject, send_to_chosen, &group);
    }
}

static void answer_nobody(struct fake_broker *b, const char *reply)
{
    static const struct sf_bus_header status = {"Status", "503"};
    struct sf_bus_msg m = {.subject = reply, .headers = &status, .header_count = 1};
    struct routing route = {.msg = &m};

    each_match(b, reply, route_one, &route);
}

/* SF_NOMEM: somebody does not get it. */
static enum sf_code route(struct fake_broker *b, const struct sf_bus_msg *m, struct sf_error *err)
{
    struct routing route = {.msg = m};

    b->counts.published++;
    b->missed_memory = false;
    each_match(b, m->subject, route_one, &route);
    if (route.receivers == 0 && m->reply != NULL && *m->reply != '\0' &&
        !b->knobs.hides_no_responders) {
        answer_nobody(b, m->reply);
    }
    return b->missed_memory ? SF_RAISE(err, SF_NOMEM, "message") : SF_OK;
}

/* --- operations ------------------------------------------------------------------------------- */

static enum sf_code check_usable(struct fake_bus *bus, struct sf_error *err)
{
    if (bus->is_closed) {
        return SF_RAISE(err, SF_CLOSED, "the connection to NATS is closing");
    }
    if (!bus->told_connected) {
        return SF_RAISE(err, SF_UNAVAILABLE, "not connected to NATS");
    }
    return SF_OK;
}

static enum sf_code check_msg(struct fake_bus *bus, const struct sf_bus_msg *m,
                              struct sf_error *err)
{
    enum sf_code code = check_usable(bus, err);

    if (code == SF_OK) {
        code = sf_bus_msg_check(m, err);
    }
    if (code != SF_OK) {
        return code;
    }
    if (m->data.size > MAX_PAYLOAD) {
        return SF_RAISE(err, SF_INVALID, "a message of %zu bytes; the server takes %d",
                        m->data.size, MAX_PAYLOAD);
    }
    if (bus->broker->knobs.busy > 0) {
        bus->broker->knobs.busy--;
        return SF_RAISE(err, SF_BUSY, "too many bytes wait for NATS");
    }
    return SF_OK;
}

static enum sf_code fake_publish(struct sf_bus *base, const struct sf_bus_msg *m,
                                 struct sf_error *err)
{
    struct fake_bus *bus = bus_of(base);
    const struct sf_bus_msg end = {.subject = m->subject};
    enum sf_code code = check_msg(bus, m, err);

    if (code == SF_OK && bus->is_connected) {
        code = route(bus->broker, m, err);
    }
    return code == SF_OK && bus->is_connected && m->ends_answer ? route(bus->broker, &end, err)
                                                                : code;
}

static struct receiver *add_receiver(struct fake_bus *bus, const char *pattern, const char *group)
{
    struct receiver *r = sf_calloc(1, sizeof(*r));

    if (r == NULL) {
        return NULL;
    }
    r->bus = bus;
    r->timer.fire = on_due;
    r->deadline.fire = on_deadline;
    sf_list_init(&r->queue);
    sf_list_push(&bus->receivers, &r->link);
    r->pattern = sf_strdup(pattern);
    r->group = group == NULL ? NULL : sf_strdup(group);
    if (r->pattern == NULL || (group != NULL && r->group == NULL)) {
        receiver_free(r);
        return NULL;
    }
    return r;
}

static enum sf_code fake_subscribe(struct sf_bus *base, struct sf_bus_sub *sub, const char *subject,
                                   const char *group, struct sf_error *err)
{
    struct fake_bus *bus = bus_of(base);
    struct receiver *r;

    if (bus->is_closed) {
        return SF_RAISE(err, SF_CLOSED, "the connection to NATS is closing");
    }
    if (!sf_subject_is_pattern(subject) || (group != NULL && !sf_subject_is_literal(group))) {
        return SF_RAISE(err, SF_INVALID, "not a subject to subscribe to");
    }
    r = add_receiver(bus, subject, group);
    if (r == NULL) {
        return SF_RAISE(err, SF_NOMEM, "subscription");
    }
    r->sub = sub;
    sub->private = r;
    return SF_OK;
}

static void fake_unsubscribe(struct sf_bus *base, struct sf_bus_sub *sub)
{
    (void)base;
    if (sub->private != NULL) {
        receiver_free(sub->private);
        sub->private = NULL;
    }
}

static void fake_cancel(struct sf_bus *base, struct sf_bus_call *call)
{
    (void)base;
    if (call->private != NULL) {
        receiver_free(call->private);
        call->private = NULL;
    }
}

static enum sf_code fake_request(struct sf_bus *base, struct sf_bus_call *call,
                                 const struct sf_bus_msg *m, uint64_t timeout_ns,
                                 struct sf_error *err)
{
    struct fake_bus *bus = bus_of(base);
    struct sf_bus_msg with_reply = *m;
    char inbox[64];
    struct receiver *r;
    enum sf_code code;

    with_reply.reply = NULL;
    code = check_msg(bus, &with_reply, err);
    if (code != SF_OK) {
        return code;
    }
    (void)snprintf(inbox, sizeof(inbox), "_INBOX.%u.%u", bus->number, bus->inbox_count++);
    with_reply.reply = inbox;
    r = add_receiver(bus, inbox, NULL);
    if (r == NULL) {
        return SF_RAISE(err, SF_NOMEM, "request");
    }
    r->call = call;
    call->private = r;
    r->failure = SF_BUS_TIMED_OUT;
    sf_rt_timer_start(bus->broker->rt, &r->deadline, timeout_ns);
    code = bus->is_connected ? route(bus->broker, &with_reply, err) : SF_OK;
    if (code != SF_OK) {
        fake_cancel(base, call);
    }
    return code;
}

static void on_flush(struct sf_timer *t)
{
    struct flush *f = SF_CONTAINER_OF(t, struct flush, timer);
    struct sf_bus_flush *owner = f->owner;
    enum sf_code code = f->code;

    if (code == SF_OK && !f->bus->is_connected) {
        code = SF_UNAVAILABLE;
    }
    sf_list_remove(&f->link);
    sf_free(f);
    owner->private = NULL;
    owner->done(owner, code);
}

static enum sf_code fake_flush(struct sf_bus *base, struct sf_bus_flush *owner, uint64_t timeout_ns,
                               struct sf_error *err)
{
    struct fake_bus *bus = bus_of(base);
    enum sf_code code = check_usable(bus, err);
    struct flush *f;

    (void)timeout_ns;
    if (code != SF_OK) {
        return code;
    }
    f = sf_calloc(1, sizeof(*f));
    if (f == NULL) {
        return SF_RAISE(err, SF_NOMEM, "flush");
    }
    f->bus = bus;
    f->owner = owner;
    f->timer.fire = on_flush;
    owner->private = f;
    sf_list_push(&bus->flushes, &f->link);
    sf_rt_timer_start(bus->broker->rt, &f->timer, 0);
    return SF_OK;
}

static bool fake_connected(struct sf_bus *base)
{
    return bus_of(base)->told_connected;
}

static enum sf_code fake_new_inbox(struct sf_bus *base, char *ret, size_t size,
                                   struct sf_error *err)
{
    struct fake_bus *bus = bus_of(base);
    int n = snprintf(ret, size, "_INBOX.%u.s.%u", bus->number, bus->inbox_count);

    if (n < 0 || (size_t)n >= size) {
        return SF_RAISE(err, SF_INVALID, "no room for the name of an inbox");
    }
    bus->inbox_count++;
    return SF_OK;
}

static const struct sf_bus_ops ops = {
    .publish = fake_publish,
    .subscribe = fake_subscribe,
    .unsubscribe = fake_unsubscribe,
    .request = fake_request,
    .cancel = fake_cancel,
    .flush = fake_flush,
    .connected = fake_connected,
    .new_inbox = fake_new_inbox,
};

/* --- broker and connections ------------------------------------------------------------------- */

struct fake_broker *fake_broker_new(struct sf_rt *rt)
{
    struct fake_broker *b = sf_calloc(1, sizeof(*b));

    if (b != NULL) {
        b->rt = rt;
        sf_list_init(&b->buses);
    }
    return b;
}

static void on_state(struct sf_timer *t)
{
    struct fake_bus *bus = SF_CONTAINER_OF(t, struct fake_bus, state_timer);

    if ((bus->told_connected != bus->is_connected || !bus->is_announced) && !bus->is_closed) {
        bus->is_announced = true;
        bus->told_connected = bus->is_connected;
        if (bus->base.on_state != NULL) {
            bus->base.on_state(&bus->base, bus->told_connected);
        }
    }
}

struct sf_bus *fake_bus_connect(struct fake_broker *b)
{
    struct fake_bus *bus = sf_calloc(1, sizeof(*bus));

    if (bus == NULL) {
        return NULL;
    }
    bus->base.ops = &ops;
    bus->broker = b;
    bus->number = ++b->bus_count;
    bus->is_connected = true;
    bus->told_connected = true;
    bus->state_timer.fire = on_state;
    sf_list_init(&bus->receivers);
    sf_list_init(&bus->flushes);
    sf_list_push(&b->buses, &bus->link);
    sf_rt_timer_start(b->rt, &bus->state_timer, 0);
    return &bus->base;
}

void fake_bus_set_connected(struct sf_bus *base, bool is_connected)
{
    struct fake_bus *bus = bus_of(base);

    bus->is_connected = is_connected;
    sf_rt_timer_start(bus->broker->rt, &bus->state_timer, 0);
}

void fake_bus_close(struct sf_bus *base)
{
    struct fake_bus *bus = bus_of(base);
    struct sf_rt *rt = bus->broker->rt;
    struct sf_list *next;

    bus->is_closed = true;
    bus->is_connected = false;
    bus->told_connected = false;
    for (struct sf_list *at = bus->receivers.next; at != &bus->receivers; at = next) {
        struct receiver *r = SF_CONTAINER_OF(at, struct receiver, link);

        next = at->next;
        if (r->call != NULL) {
            sf_rt_timer_stop(rt, &r->timer);
            r->failure = SF_BUS_DISCONNECTED;
            sf_rt_timer_start(rt, &r->deadline, 0);
        } else {
            r->sub->private = NULL;
            receiver_free(r);
        }
    }
    for (struct sf_list *at = bus->flushes.next; at != &bus->flushes; at = at->next) {
        SF_CONTAINER_OF(at, struct flush, link)->code = SF_CLOSED;
    }
}

static void bus_free(struct fake_bus *bus)
{
    struct sf_rt *rt = bus->broker->rt;

    sf_rt_timer_stop(rt, &bus->state_timer);
    while (!sf_list_empty(&bus->receivers)) {
        receiver_free(SF_CONTAINER_OF(bus->receivers.next, struct receiver, link));
    }
    while (!sf_list_empty(&bus->flushes)) {
        struct flush *f = SF_CONTAINER_OF(sf_list_pop(&bus->flushes), struct flush, link);

        sf_rt_timer_stop(rt, &f->timer);
        sf_free(f);
    }
    sf_list_remove(&bus->link);
    sf_free(bus);
}

void fake_broker_free(struct fake_broker *b)
{
    if (b == NULL) {
        return;
    }
    while (!sf_list_empty(&b->buses)) {
        bus_free(SF_CONTAINER_OF(b->buses.next, struct fake_bus, link));
    }
    sf_free(b);
}

struct fake_broker_knobs *fake_broker_knobs(struct fake_broker *b)
{
    return &b->knobs;
}

struct fake_broker_counts fake_broker_counts(const struct fake_broker *b)
{
    return b->counts;
}
