#include "leaf/uplink/uplink.h"

#include <string.h>

#include "common/base/alloc.h"
#include "common/bus/service.h"
#include "common/sys/log.h"
#include "common/wire/control.h"
#include "proto/errors.h"
#include "proto/subjects.h"

/*
 *            sent                    answered
 *   PAUSED --------> POLLING ----------------------> POLLING (at once)
 *      ^                |  |                            ^
 *      +---- refused ---+  +-- with a bundle --> STORING +-- stored
 *        timed out, not connected
 *
 * A call:
 *           the link is up, or down for long           answered, timed out
 *   NONE -------------------------------------> SENT ---------------------------> NONE, told
 *     |                                         |  ^
 *     | the link is coming         nobody serves|  | the hub has answered a poll
 *     |                          it: not taken  v  |
 *     +--------------------------------------> WAITING ---- UPLINK_LINK_NS -----> NONE, told
 */

enum call_state { CALL_NONE, CALL_WAITING, CALL_SENT };

/* What happens to a call. */
enum call_event { CALL_ASKED, CALL_LINKED, CALL_NOBODY, CALL_ENDED, CALL_LATE };

/* The answer of a call; @err instead when there is none. */
typedef void (*hub_call_cb)(struct uplink *u, const struct sf_bus_msg *m,
                            const struct sf_error *err);

struct hub_call {
    enum call_state state;
    char subject[SUBJECT_MAX];
    struct sf_buf body;
    struct sf_bus_call bus;
    struct sf_timer late;
    bool is_late; /* it does not wait (any longer) */
    hub_call_cb done;
    uplink_apply_cb apply_cb;
    uplink_life_cb life_cb;
    void *data;
};

struct uplink {
    struct uplink_options options;
    uint64_t have_version;
    bool polling;
    bool storing;         /* the next poll, which acknowledges, waits */
    uint64_t answered_ns; /* 0: never */
    bool lost;            /* the last poll had no good answer, or there was none yet */
    bool linked;          /* the hub answered the last poll, whatever it said */
    uint64_t unlinked_ns; /* since when not, or since when there may be a link again */
    bool was_up;
    uint64_t hub_version; /* of the bundle that the hub has, by its last answer */
    bool answers;         /* as it was told */
    struct sf_bus_call poll;
    struct sf_timer retry;

    struct hub_call call;

    struct sf_counter polls;
    struct sf_counter failures;
    struct sf_gauge up;
    struct sf_gauge bundle_version;
};

static void poll_start(struct uplink *u);
static enum sf_code call_step(struct uplink *u, enum call_event event, const struct sf_bus_msg *m,
                              struct sf_error *err);

static void set_up(struct uplink *u, bool is_up, const struct sf_error *why)
{
    if (u->was_up == is_up) {
        return;
    }
    u->was_up = is_up;
    sf_gauge_set(&u->up, is_up);
    if (is_up) {
        sf_log(SF_LOG_INFO, "uplink.up", SF_F_TEXT("domain", u->options.domain));
    } else {
        sf_log(SF_LOG_WARN, "uplink.down", SF_F_TEXT("domain", u->options.domain), SF_F_ERROR(why));
    }
}

static void set_answers(struct uplink *u, bool answers)
{
    if (u->answers != answers) {
        u->answers = answers;
        if (u->options.on_answers != NULL) {
            u->options.on_answers(u->options.data, answers);
        }
    }
}

/* SF_DENIED: the leaf refuses the bundle, so that asking at once would bring the same again. */
static enum sf_code take_reply(struct uplink *u, const Sheaf__V1__PollReply *reply,
                               struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf bytes = {0};
    uint64_t version = u->have_version;
    enum sf_code code;
    uint8_t *at;

    if (reply->fenced[0] != '\0') {
        if (u->options.on_fenced != NULL) {
            u->options.on_fenced(u->options.data, reply->fenced);
        }
        return SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_FENCED, "%s", reply->fenced);
    }
    u->hub_version = reply->current_version;
    if (reply->bundle == NULL) {
        return SF_OK;
    }
    at = sf_buf_reserve(&bytes, sheaf__v1__signed__get_packed_size(reply->bundle));
    if (at != NULL) {
        bytes.size += sheaf__v1__signed__pack(reply->bundle, at);
    }
    code = sf_buf_check(&bytes, "bundle", err);
    if (code != SF_OK) {
        return code;
    }
    if (!u->options.on_bundle(u->options.data, sf_buf_view(&bytes), &version)) {
        return SF_RAISE(err, SF_DENIED, "bundle version %llu is refused",
                        (unsigned long long)reply->current_version);
    }
    u->have_version = version;
    sf_gauge_set(&u->bundle_version, (int64_t)version);
    return SF_OK;
}

static enum sf_code read_reply(struct uplink *u, const struct sf_bus_msg *m, struct sf_error *err)
{
    Sheaf__V1__PollReply *reply;
    enum sf_code code = sf_service_check(m, err);

    if (code != SF_OK) {
        return code;
    }
    reply = sheaf__v1__poll_reply__unpack(NULL, m->data.size, m->data.data);
    if (reply == NULL) {
        return SF_RAISE(err, SF_CORRUPT, "the hub's answer to a poll cannot be read");
    }
    u->answered_ns = sf_rt_now_ns(u->options.rt);
    code = take_reply(u, reply, err);
    sheaf__v1__poll_reply__free_unpacked(reply, NULL);
    return code;
}

static void pause_then_poll(struct uplink *u, const struct sf_error *why)
{
    sf_counter_add(&u->failures, 1);
    u->lost = true;
    set_answers(u, false);
    if (!uplink_is_up(u)) {
        set_up(u, false, why);
    }
    sf_rt_timer_start(u->options.rt, &u->retry, UPLINK_RETRY_NS);
}

static void go_on(struct uplink *u)
{
    u->lost = false;
    set_answers(u, u->have_version == u->hub_version);
    set_up(u, true, NULL);
    u->storing = u->options.is_storing != NULL && u->options.is_storing(u->options.data);
    if (!u->storing) {
        poll_start(u);
    }
}

static void set_linked(struct uplink *u, bool linked)
{
    if (u->linked && !linked) {
        u->unlinked_ns = sf_rt_now_ns(u->options.rt);
    }
    u->linked = linked;
}

static void poll_done(struct sf_bus_call *call, enum sf_bus_outcome outcome,
                      const struct sf_bus_msg *m)
{
    struct uplink *u = call->data;
    struct sf_error err;
    enum sf_code code;

    u->polling = false;
    set_linked(u, outcome == SF_BUS_ANSWERED);
    if (outcome == SF_BUS_ANSWERED) {
        code = read_reply(u, m, &err);
    } else {
        code = SF_RAISE_E(&err, SF_UNAVAILABLE, SHEAF_E_HUB_UNREACHABLE, "the hub does not answer");
    }
    if (code == SF_OK) {
        go_on(u);
    } else {
        pause_then_poll(u, &err);
    }
    if (u->linked) {
        (void)call_step(u, CALL_LINKED, NULL, NULL);
    }
}

static enum sf_code pack_poll(struct uplink *u, struct sf_buf *out, struct sf_error *err)
{
    Sheaf__V1__PollRequest poll = SHEAF__V1__POLL_REQUEST__INIT;
    uint8_t *at;

    poll.domain = sf_control_text(u->options.domain);
    poll.have_version = u->have_version;
    poll.lost_hub = u->lost;
    u->options.fill_poll(u->options.data, &poll);
    at = sf_buf_reserve(out, sheaf__v1__poll_request__get_packed_size(&poll));
    if (at != NULL) {
        out->size += sheaf__v1__poll_request__pack(&poll, at);
    }
    return sf_buf_check(out, "poll", err);
}

static void poll_start(struct uplink *u)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf body = {0};
    char subject[SUBJECT_MAX];
    struct sf_error err;
    enum sf_code code = pack_poll(u, &body, &err);

    sf_rt_timer_stop(u->options.rt, &u->retry);
    if (code == SF_OK) {
        subject_control(subject, "poll");
        u->poll = (struct sf_bus_call){.done = poll_done, .data = u};
        code = sf_bus_request(u->options.serve, &u->poll,
                              &(struct sf_bus_msg){.subject = subject, .data = sf_buf_view(&body)},
                              UPLINK_POLL_TIMEOUT_NS, &err);
    }
    if (code != SF_OK) {
        pause_then_poll(u, &err);
        return;
    }
    u->polling = true;
    sf_counter_add(&u->polls, 1);
}

static void retry_fire(struct sf_timer *timer)
{
    poll_start(SF_CONTAINER_OF(timer, struct uplink, retry));
}

enum sf_code uplink_new(const struct uplink_options *options, uint64_t have_version,
                        struct uplink **ret, struct sf_error *err)
{
    struct uplink *u = sf_calloc(1, sizeof(*u));

    if (u == NULL) {
        return SF_RAISE(err, SF_NOMEM, "uplink");
    }
    u->options = *options;
    u->have_version = have_version;
    u->lost = true;
    u->unlinked_ns = sf_rt_now_ns(options->rt);
    u->retry.fire = retry_fire;
    sf_counter_register(
        options->metrics,
        &(struct sf_metric_spec){.name = "uplink_polls_total", .help = "Polls sent to the hub."},
        &u->polls);
    sf_counter_register(options->metrics,
                        &(struct sf_metric_spec){.name = "uplink_failures_total",
                                                 .help = "Polls without a good answer."},
                        &u->failures);
    sf_gauge_register(
        options->metrics,
        &(struct sf_metric_spec){.name = "uplink_up", .help = "1 when the hub answers."}, &u->up);
    sf_gauge_register(options->metrics,
                      &(struct sf_metric_spec){.name = "uplink_bundle_version",
                                               .help = "Version of the bundle in force."},
                      &u->bundle_version);
    sf_gauge_set(&u->bundle_version, (int64_t)have_version);
    sf_rt_timer_start(options->rt, &u->retry, 0);
    *ret = u;
    return SF_OK;
}

void uplink_free(struct uplink *u)
{
    if (u == NULL) {
        return;
    }
    sf_rt_timer_stop(u->options.rt, &u->retry);
    sf_bus_cancel(u->options.serve, &u->poll);
    uplink_call_cancel(u);
    sf_metric_remove(&u->polls.metric);
    sf_metric_remove(&u->failures.metric);
    sf_metric_remove(&u->up.metric);
    sf_metric_remove(&u->bundle_version.metric);
    sf_free(u);
}

bool uplink_is_up(const struct uplink *u)
{
    const uint64_t now_ns = sf_rt_now_ns(u->options.rt);

    return u->answered_ns != 0 && now_ns - u->answered_ns < 2 * UPLINK_POLL_TIMEOUT_NS;
}

void uplink_wake(struct uplink *u)
{
    set_answers(u, false);
    u->linked = false;
    u->unlinked_ns = sf_rt_now_ns(u->options.rt);
    if (u->storing) {
        return;
    }
    if (u->polling) {
        sf_bus_cancel(u->options.serve, &u->poll);
        u->polling = false;
    }
    u->lost = true;
    poll_start(u);
}

void uplink_stored(struct uplink *u)
{
    if (u->storing) {
        u->storing = false;
        poll_start(u);
    }
}

/* --- calls ------------------------------------------------------------------------------------ */

static void bus_done(struct sf_bus_call *bus, enum sf_bus_outcome outcome,
                     const struct sf_bus_msg *m)
{
    (void)call_step(bus->data, outcome == SF_BUS_NO_RESPONDERS ? CALL_NOBODY : CALL_ENDED, m, NULL);
}

static void late_fire(struct sf_timer *timer)
{
    (void)call_step(SF_CONTAINER_OF(timer, struct uplink, call.late), CALL_LATE, NULL, NULL);
}

static void call_reset(struct uplink *u)
{
    sf_rt_timer_stop(u->options.rt, &u->call.late);
    sf_buf_done(&u->call.body);
    u->call.state = CALL_NONE;
    u->call.is_late = false;
}

/* Goes on waiting when the connection has just been lost. */
static enum sf_code call_send(struct uplink *u, struct sf_error *err)
{
    struct hub_call *c = &u->call;
    enum sf_code code;

    c->bus = (struct sf_bus_call){.done = bus_done, .data = u};
    code =
        sf_bus_request(u->options.serve, &c->bus,
                       &(struct sf_bus_msg){.subject = c->subject, .data = sf_buf_view(&c->body)},
                       UPLINK_CALL_TIMEOUT_NS, err);
    if (code == SF_OK) {
        c->state = CALL_SENT;
    } else if (code == SF_UNAVAILABLE && !c->is_late) {
        set_linked(u, false);
        code = SF_OK;
    } else if ((code == SF_UNAVAILABLE || code == SF_CLOSED) && err != NULL) {
        err->number = SHEAF_E_HUB_UNREACHABLE;
    }
    return code;
}

static bool link_is_coming(const struct uplink *u)
{
    return !u->linked && sf_rt_now_ns(u->options.rt) - u->unlinked_ns < UPLINK_LINK_NS;
}

/* A poll that is under way went where nobody is, too. */
static void poll_afresh(struct uplink *u)
{
    if (u->polling) {
        sf_bus_cancel(u->options.serve, &u->poll);
        u->polling = false;
        set_linked(u, false);
        sf_rt_timer_start(u->options.rt, &u->retry, UPLINK_RETRY_NS);
    }
}

static void call_tell(struct uplink *u, const struct sf_bus_msg *m, const struct sf_error *err)
{
    const hub_call_cb done = u->call.done;

    call_reset(u);
    done(u, m, err);
}

static void call_ended(struct uplink *u, const struct sf_bus_msg *m, struct sf_error *away)
{
    if (m != NULL && sf_service_check(m, away) == SF_OK) {
        call_tell(u, m, NULL);
    } else {
        call_tell(u, NULL, away);
    }
}

/* The one place that decides. What it returns is for CALL_ASKED: a call that is refused at once is
 * not told. */
static enum sf_code call_step(struct uplink *u, enum call_event event, const struct sf_bus_msg *m,
                              struct sf_error *err)
{
    struct hub_call *c = &u->call;
    enum sf_code code = SF_OK;
    struct sf_error away;

    (void)SF_RAISE_E(&away, SF_UNAVAILABLE, SHEAF_E_HUB_UNREACHABLE,
                     "products are changed by the hub, which does not answer");
    switch (event) {
    case CALL_ASKED:
        c->is_late = !u->linked && !link_is_coming(u);
        c->state = CALL_WAITING;
        if (u->linked || c->is_late) {
            code = call_send(u, err);
        }
        break;
    case CALL_LINKED:
        if (c->state == CALL_WAITING && call_send(u, &away) != SF_OK) {
            call_tell(u, NULL, &away);
        }
        break;
    case CALL_NOBODY:
        if (c->is_late) {
            call_tell(u, NULL, &away);
        } else {
            c->state = CALL_WAITING;
            poll_afresh(u);
        }
        break;
    case CALL_LATE:
        c->is_late = true;
        if (c->state == CALL_WAITING) {
            call_tell(u, NULL, &away);
        }
        break;
    case CALL_ENDED:
        call_ended(u, m, &away);
        break;
    }
    return code;
}

static void apply_done(struct uplink *u, const struct sf_bus_msg *m, const struct sf_error *err)
{
    Sheaf__V1__ApplyReply *reply = NULL;
    struct sf_error unread;

    if (m != NULL) {
        reply = sheaf__v1__apply_reply__unpack(NULL, m->data.size, m->data.data);
    }
    if (m != NULL && reply == NULL) {
        (void)SF_RAISE(&unread, SF_CORRUPT, "the hub's answer cannot be read");
        err = &unread;
    }
    u->call.apply_cb(u->call.data, reply, err);
    if (reply != NULL) {
        sheaf__v1__apply_reply__free_unpacked(reply, NULL);
    }
}

static void life_done(struct uplink *u, const struct sf_bus_msg *m, const struct sf_error *err)
{
    Sheaf__V1__LifeReply *reply = NULL;
    struct sf_error unread;

    if (m != NULL) {
        reply = sheaf__v1__life_reply__unpack(NULL, m->data.size, m->data.data);
    }
    if (m != NULL && reply == NULL) {
        (void)SF_RAISE(&unread, SF_CORRUPT, "the hub's answer cannot be read");
        err = &unread;
    }
    u->call.life_cb(u->call.data, reply, err);
    if (reply != NULL) {
        sheaf__v1__life_reply__free_unpacked(reply, NULL);
    }
}

/* Sends what is in the call's body, or keeps it for when there is a link. */
static enum sf_code call_hub(struct uplink *u, const char *op, hub_call_cb done, void *data,
                             struct sf_error *err)
{
    struct hub_call *c = &u->call;
    enum sf_code code = sf_buf_check(&c->body, "product", err);

    subject_control(c->subject, op);
    c->done = done;
    c->data = data;
    if (code == SF_OK) {
        code = call_step(u, CALL_ASKED, NULL, err);
    }
    if (code != SF_OK) {
        call_reset(u);
        return code;
    }
    c->late.fire = late_fire;
    sf_rt_timer_start(u->options.rt, &c->late, UPLINK_LINK_NS);
    return SF_OK;
}

static enum sf_code check_free(const struct uplink *u, struct sf_error *err)
{
    return u->call.state == CALL_NONE
               ? SF_OK
               : SF_RAISE_E(err, SF_BUSY, SHEAF_E_BUSY, "another product is being changed");
}

enum sf_code uplink_apply_product(struct uplink *u, const struct uplink_apply *apply,
                                  uplink_apply_cb cb, void *data, struct sf_error *err)
{
    Sheaf__V1__ApplyRequest request = SHEAF__V1__APPLY_REQUEST__INIT;
    enum sf_code code = check_free(u, err);
    uint8_t *at;

    if (code != SF_OK) {
        return code;
    }
    request.domain = sf_control_text(u->options.domain);
    request.applied_by = sf_control_text(apply->applied_by);
    request.product_yaml = sf_control_data(apply->yaml);
    request.dry_run = apply->dry_run;
    at = sf_buf_reserve(&u->call.body, sheaf__v1__apply_request__get_packed_size(&request));
    if (at != NULL) {
        u->call.body.size += sheaf__v1__apply_request__pack(&request, at);
    }
    u->call.apply_cb = cb;
    return call_hub(u, "product.apply", apply_done, data, err);
}

enum sf_code uplink_change_life(struct uplink *u, const struct uplink_life *life, uplink_life_cb cb,
                                void *data, struct sf_error *err)
{
    Sheaf__V1__LifeRequest request = SHEAF__V1__LIFE_REQUEST__INIT;
    enum sf_code code = check_free(u, err);
    uint8_t *at;

    if (code != SF_OK) {
        return code;
    }
    request.domain = sf_control_text(u->options.domain);
    request.product = sf_control_text(life->product);
    request.major = life->major;
    request.restore = life->restore;
    request.keep_us = life->keep_us;
    request.reason = sf_control_text(life->reason);
    request.changed_by = sf_control_text(life->changed_by);
    at = sf_buf_reserve(&u->call.body, sheaf__v1__life_request__get_packed_size(&request));
    if (at != NULL) {
        u->call.body.size += sheaf__v1__life_request__pack(&request, at);
    }
    u->call.life_cb = cb;
    return call_hub(u, "product.life", life_done, data, err);
}

void uplink_call_cancel(struct uplink *u)
{
    if (u->call.state != CALL_NONE) {
        sf_bus_cancel(u->options.serve, &u->call.bus);
        call_reset(u);
    }
}
