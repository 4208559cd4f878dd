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
 */

struct uplink {
    struct uplink_options options;
    uint64_t have_version;
    bool polling;
    bool storing;         /* the next poll, which acknowledges, waits */
    uint64_t answered_ns; /* 0: never */
    bool lost;            /* the last poll had no good answer, or there was none yet */
    bool was_up;
    struct sf_bus_call poll;
    struct sf_timer retry;

    struct sf_bus_call call; /* apply */
    uplink_apply_cb apply_cb;
    uplink_life_cb life_cb;
    void *call_data;

    struct sf_counter polls;
    struct sf_counter failures;
    struct sf_gauge up;
    struct sf_gauge bundle_version;
};

static void poll_start(struct uplink *u);

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
    if (!uplink_is_up(u)) {
        set_up(u, false, why);
    }
    sf_rt_timer_start(u->options.rt, &u->retry, UPLINK_RETRY_NS);
}

static void poll_done(struct sf_bus_call *call, enum sf_bus_outcome outcome,
                      const struct sf_bus_msg *m)
{
    struct uplink *u = call->data;
    struct sf_error err;
    enum sf_code code;

    u->polling = false;
    if (outcome == SF_BUS_ANSWERED) {
        code = read_reply(u, m, &err);
    } else {
        code = SF_RAISE_E(&err, SF_UNAVAILABLE, SHEAF_E_HUB_UNREACHABLE, "the hub does not answer");
    }
    if (code != SF_OK) {
        pause_then_poll(u, &err);
        return;
    }
    u->lost = false;
    set_up(u, true, NULL);
    u->storing = u->options.is_storing != NULL && u->options.is_storing(u->options.data);
    if (!u->storing) {
        poll_start(u);
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

static enum sf_code check_answer(enum sf_bus_outcome outcome, const struct sf_bus_msg *m,
                                 struct sf_error *err)
{
    if (outcome != SF_BUS_ANSWERED) {
        return SF_RAISE_E(err, SF_UNAVAILABLE, SHEAF_E_HUB_UNREACHABLE,
                          "products are changed by the hub, which does not answer");
    }
    return sf_service_check(m, err);
}

static void apply_done(struct sf_bus_call *call, enum sf_bus_outcome outcome,
                       const struct sf_bus_msg *m)
{
    struct uplink *u = call->data;
    uplink_apply_cb cb = u->apply_cb;
    Sheaf__V1__ApplyReply *reply = NULL;
    struct sf_error err;
    enum sf_code code = check_answer(outcome, m, &err);

    u->apply_cb = NULL;
    if (code == SF_OK) {
        reply = sheaf__v1__apply_reply__unpack(NULL, m->data.size, m->data.data);
        if (reply == NULL) {
            code = SF_RAISE(&err, SF_CORRUPT, "the hub's answer cannot be read");
        }
    }
    cb(u->call_data, reply, code == SF_OK ? NULL : &err);
    if (reply != NULL) {
        sheaf__v1__apply_reply__free_unpacked(reply, NULL);
    }
}

static void life_done(struct sf_bus_call *call, enum sf_bus_outcome outcome,
                      const struct sf_bus_msg *m)
{
    struct uplink *u = call->data;
    uplink_life_cb cb = u->life_cb;
    Sheaf__V1__LifeReply *reply = NULL;
    struct sf_error err;
    enum sf_code code = check_answer(outcome, m, &err);

    u->life_cb = NULL;
    if (code == SF_OK) {
        reply = sheaf__v1__life_reply__unpack(NULL, m->data.size, m->data.data);
        if (reply == NULL) {
            code = SF_RAISE(&err, SF_CORRUPT, "the hub's answer cannot be read");
        }
    }
    cb(u->call_data, reply, code == SF_OK ? NULL : &err);
    if (reply != NULL) {
        sheaf__v1__life_reply__free_unpacked(reply, NULL);
    }
}

/* The answer of a call. */
typedef void (*hub_call_cb)(struct sf_bus_call *call, enum sf_bus_outcome outcome,
                            const struct sf_bus_msg *m);

static enum sf_code call_hub(struct uplink *u, const char *op, const struct sf_buf *body,
                             hub_call_cb done, struct sf_error *err)
{
    char subject[SUBJECT_MAX];
    enum sf_code code;

    subject_control(subject, op);
    u->call = (struct sf_bus_call){.done = done, .data = u};
    code = sf_bus_request(u->options.serve, &u->call,
                          &(struct sf_bus_msg){.subject = subject, .data = sf_buf_view(body)},
                          UPLINK_CALL_TIMEOUT_NS, err);
    if ((code == SF_UNAVAILABLE || code == SF_CLOSED) && err != NULL) {
        err->number = SHEAF_E_HUB_UNREACHABLE;
    }
    return code;
}

static enum sf_code check_free(const struct uplink *u, struct sf_error *err)
{
    return u->apply_cb == NULL && u->life_cb == NULL
               ? SF_OK
               : SF_RAISE_E(err, SF_BUSY, SHEAF_E_BUSY, "another product is being changed");
}

enum sf_code uplink_apply_product(struct uplink *u, const struct uplink_apply *apply,
                                  uplink_apply_cb cb, void *data, struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf body = {0};
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
    at = sf_buf_reserve(&body, sheaf__v1__apply_request__get_packed_size(&request));
    if (at != NULL) {
        body.size += sheaf__v1__apply_request__pack(&request, at);
    }
    code = sf_buf_check(&body, "product", err);
    if (code == SF_OK) {
        code = call_hub(u, "product.apply", &body, apply_done, err);
    }
    if (code == SF_OK) {
        u->apply_cb = cb;
        u->call_data = data;
    }
    return code;
}

enum sf_code uplink_change_life(struct uplink *u, const struct uplink_life *life, uplink_life_cb cb,
                                void *data, struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf body = {0};
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
    at = sf_buf_reserve(&body, sheaf__v1__life_request__get_packed_size(&request));
    if (at != NULL) {
        body.size += sheaf__v1__life_request__pack(&request, at);
    }
    code = sf_buf_check(&body, "product", err);
    if (code == SF_OK) {
        code = call_hub(u, "product.life", &body, life_done, err);
    }
    if (code == SF_OK) {
        u->life_cb = cb;
        u->call_data = data;
    }
    return code;
}

void uplink_call_cancel(struct uplink *u)
{
    if (u->apply_cb != NULL || u->life_cb != NULL) {
        sf_bus_cancel(u->options.serve, &u->call);
        u->apply_cb = NULL;
        u->life_cb = NULL;
    }
}
