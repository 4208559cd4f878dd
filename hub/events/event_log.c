/*
 *   FIND --(absent)--> CREATE --> FIND
 *     |
 *     v
 *   LOAD ----> READY ----> SEND ----> READY          SEND: the event is on its way
 *               ^            |  (answer lost)
 *               |            v
 *               +-------- RESOLVE --(absent)--> SEND   RESOLVE: the stream is asked what it holds
 *
 *   any of them --> FAILED: damage, another writer, or a projection that did not take an event
 *
 * step() alone decides. A state either starts something (waiting is set, a callback clears it) or
 * looks at what came back. What is lost on the way is tried again after RETRY_NS.
 */
#include "hub/events/event_log.h"

#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/sys/log.h"
#include "common/wire/json.h"
#include "proto/errors.h"

#define RETRY_NS  (UINT64_C(200) * SF_NS_PER_MS)
#define ANSWER_NS (UINT64_C(3) * SF_NS_PER_S)
#define EXPIRE_NS SF_NS_PER_S

enum state { FIND, CREATE, LOAD, READY, SEND, RESOLVE, FAILED };

struct event_log {
    struct event_log_options o;
    enum state state;
    bool waiting;  /* for a call, a read or the retry timer */
    bool retrying; /* it is the timer that is waited for */
    bool answered; /* the call of this state has ended; answer is NULL when it was lost */
    bool opened;   /* on_open has run */
    struct sf_json_doc *answer;
    uint64_t open_until_ns;
    struct sf_bus_call call;
    struct event_read read;
    enum sf_code read_code;
    struct sf_error read_error;
    bool is_ours; /* RESOLVE: the stored event is the one sent */
    struct sf_timer retry;
    struct sf_timer expire;
    bool expiring;
    struct sf_task wake;
    bool wake_posted;
    bool closing; /* only the posted wake keeps the memory */
    struct event_chain chain;
    uint64_t stored; /* last sequence of the stream, at the start */
    struct sf_list queue;
    size_t queued;
    struct event_append *current; /* whose event is in @sealed; NULL: abandoned or timed out */
    struct sf_buf sealed;
    struct sf_arena arena; /* of the event being made or taken in */
};

static void step(struct event_log *log);

static void fail(struct event_log *log, const struct sf_error *err)
{
    sf_log(SF_LOG_ERROR, "events.failed", SF_F_ERROR(err));
    log->state = FAILED;
    if (!log->opened) {
        log->opened = true;
        log->o.on_open(log->o.data, err->code, err);
    } else {
        log->o.on_failed(log->o.data, err);
    }
}

/* --- waiting ---------------------------------------------------------------------------------- */

static void on_retry(struct sf_timer *t)
{
    struct event_log *log = SF_CONTAINER_OF(t, struct event_log, retry);

    log->waiting = false;
    log->retrying = false;
    step(log);
}

/* The state starts anew after a moment. */
static void try_later(struct event_log *log)
{
    log->answered = false;
    log->waiting = true;
    log->retrying = true;
    sf_rt_timer_start(log->o.rt, &log->retry, RETRY_NS);
}

static void on_answer(struct sf_bus_call *call, enum sf_bus_outcome outcome,
                      const struct sf_bus_msg *m)
{
    struct event_log *log = call->data;

    sf_json_free(SF_TAKE(log->answer));
    if (outcome == SF_BUS_ANSWERED && sf_json_parse(m->data, &log->answer, NULL) != SF_OK) {
        log->answer = NULL;
    }
    log->waiting = false;
    log->answered = true;
    step(log);
}

static void request(struct event_log *log, const char *subject, struct sf_slice body,
                    const struct sf_bus_header *headers, size_t header_count)
{
    const struct sf_bus_msg m = {
        .subject = subject,
        .data = body,
        .headers = headers,
        .header_count = header_count,
    };

    sf_json_free(SF_TAKE(log->answer));
    log->call = (struct sf_bus_call){.done = on_answer, .data = log};
    if (sf_bus_request(log->o.bus, &log->call, &m, ANSWER_NS, NULL) == SF_OK) {
        log->waiting = true;
    } else {
        try_later(log);
    }
}

/* Member of the answer by path; NULL also when the answer was lost. */
static const struct sf_json *answer_of(const struct event_log *log, const char *path)
{
    return log->answer == NULL ? NULL : sf_json_path(sf_json_root(log->answer), path);
}

static uint64_t answer_uint(const struct event_log *log, const char *path)
{
    uint64_t value = 0;

    (void)sf_json_as_uint(answer_of(log, path), &value); /* absent: 0 */
    return value;
}

/* --- opening ---------------------------------------------------------------------------------- */

static bool open_deadline_passed(struct event_log *log, const char *what)
{
    struct sf_error err;

    if (sf_rt_now_ns(log->o.rt) < log->open_until_ns) {
        return false;
    }
    (void)SF_RAISE(&err, SF_UNAVAILABLE, "the event log did not answer for 60 s: %s", what);
    fail(log, &err);
    return true;
}

static bool answer_is_true(const struct event_log *log, const char *path)
{
    bool value = false;

    return sf_json_as_bool(answer_of(log, path), &value) && value;
}

/* The stream that is there must be one that loses nothing. */
static void check_stream(struct event_log *log)
{
    struct sf_error err;

    log->stored = answer_uint(log, "state.last_seq");
    if (!answer_is_true(log, "config.deny_delete") || !answer_is_true(log, "config.deny_purge") ||
        !answer_is_true(log, "config.allow_direct")) {
        (void)SF_RAISE_E(&err, SF_CORRUPT, SHEAF_E_STORE_CORRUPT,
                         "stream " EVENT_STREAM " allows to delete or purge events");
        fail(log, &err);
    } else if (log->stored > 0 && answer_uint(log, "state.first_seq") != 1) {
        (void)SF_RAISE_E(&err, SF_CORRUPT, SHEAF_E_STORE_CORRUPT,
                         "event 1 is missing: the stream begins with event %lu",
                         (unsigned long)answer_uint(log, "state.first_seq"));
        fail(log, &err);
    } else {
        log->state = LOAD;
        log->answered = false;
    }
}

static void find(struct event_log *log)
{
    if (!log->answered) {
        request(log, "$JS.API.STREAM.INFO." EVENT_STREAM, SF_LITERAL(""), NULL, 0);
    } else if (answer_of(log, "config") != NULL) {
        check_stream(log);
    } else if (answer_uint(log, "error.err_code") == 10059) { /* stream not found */
        log->state = CREATE;
        log->answered = false;
    } else if (!open_deadline_passed(log, "stream info")) {
        try_later(log);
    }
}

static void create(struct event_log *log)
{
    if (!log->answered) {
        request(log, "$JS.API.STREAM.CREATE." EVENT_STREAM,
                SF_LITERAL("{\"name\":\"" EVENT_STREAM "\",\"subjects\":[\"" EVENT_SUBJECT "\"],"
                           "\"retention\":\"limits\",\"max_consumers\":-1,\"max_msgs\":-1,"
                           "\"max_bytes\":-1,\"max_age\":0,\"max_msg_size\":-1,"
                           "\"discard\":\"new\",\"storage\":\"file\",\"num_replicas\":1,"
                           "\"deny_delete\":true,\"deny_purge\":true,\"allow_direct\":true}"),
                NULL, 0);
    } else if (!open_deadline_passed(log, "stream create")) {
        if (answer_of(log, "config") == NULL) {
            try_later(log);
        }
        log->state = FIND;
        log->answered = false;
    }
}

/* Takes a stored event in: checks it against the chain, then hands it to the projection. */
static enum sf_code apply(struct event_log *log, struct sf_slice bytes, struct event_record *ret,
                          struct sf_error *err)
{
    enum sf_code code;

    sf_arena_reset(&log->arena);
    code = event_open(&log->chain, &log->o.hub_key->public_key, bytes, &log->arena, ret, err);
    return code != SF_OK ? code : log->o.on_event(log->o.data, ret, err);
}

static enum sf_code on_stored(struct event_read *r, uint64_t number, struct sf_slice bytes,
                              struct sf_error *err)
{
    struct event_record record;

    (void)number; /* the chain checks it */
    return apply(r->data, bytes, &record, err);
}

static void on_read(struct event_read *r, enum sf_code code, const struct sf_error *err)
{
    struct event_log *log = r->data;

    log->waiting = false;
    log->answered = true;
    log->read_code = code;
    if (err != NULL) {
        log->read_error = *err;
    }
    step(log);
}

static void start_read(struct event_log *log, uint64_t last,
                       enum sf_code (*on_bytes)(struct event_read *, uint64_t, struct sf_slice,
                                                struct sf_error *))
{
    log->read = (struct event_read){
        .on_bytes = on_bytes,
        .done = on_read,
        .data = log,
        .next = log->chain.number + 1,
        .last = last,
    };
    if (event_read_start(log->o.rt, log->o.bus, &log->read, NULL) == SF_OK) {
        log->waiting = true;
    } else {
        try_later(log);
    }
}

static void load(struct event_log *log)
{
    if (log->chain.number >= log->stored) {
        log->state = READY;
        log->answered = false;
        log->opened = true;
        sf_log(SF_LOG_INFO, "events.opened", SF_F_UINT("events", log->chain.number));
        log->o.on_open(log->o.data, SF_OK, NULL);
    } else if (!log->answered) {
        start_read(log, log->stored, on_stored);
    } else if (log->read_code == SF_OK) {
        log->answered = false;
    } else if (log->read_code == SF_UNAVAILABLE && !open_deadline_passed(log, "reading")) {
        try_later(log);
    } else if (log->read_code == SF_ABSENT) {
        (void)SF_RAISE_E(&log->read_error, SF_CORRUPT, SHEAF_E_STORE_CORRUPT,
                         "event %lu of %lu is missing", (unsigned long)log->chain.number + 1,
                         (unsigned long)log->stored);
        fail(log, &log->read_error);
    } else if (log->state != FAILED) {
        fail(log, &log->read_error);
    }
}

/* --- appending -------------------------------------------------------------------------------- */

static void finish(struct event_log *log, enum sf_code code, const struct event_record *record,
                   const struct sf_error *err)
{
    struct event_append *op = SF_TAKE(log->current);

    if (op != NULL) {
        op->done(op, code, record, err);
    }
}

/* The event in @sealed is in the stream: it is part of the chain from now on. */
static void stored(struct event_log *log)
{
    struct event_record record;
    struct sf_error err = {0};
    enum sf_code code = apply(log, sf_buf_view(&log->sealed), &record, &err);

    log->answered = false;
    if (code != SF_OK) {
        fail(log, &err);
        finish(log, code, NULL, &err);
        return;
    }
    log->state = READY;
    finish(log, SF_OK, &record, NULL);
}

/* Lets the next in the queue decide, and seals what it wants. False: nothing to store. */
static bool make(struct event_log *log, struct sf_error *err)
{
    Sheaf__V1__Event e;
    enum sf_code code;

    sheaf__v1__event__init(&e);
    sf_arena_reset(&log->arena);
    sf_buf_clear(&log->sealed);
    e.time_us = sf_rt_wall_us(log->o.rt);
    code = log->current->build(log->current, &e, &log->arena, err);
    if (code == SF_OK && e.kind_case != SHEAF__V1__EVENT__KIND__NOT_SET) {
        code = event_seal(&log->chain, log->o.hub_key, &e, &log->sealed, err);
        if (code == SF_OK) {
            return true;
        }
    }
    finish(log, code, NULL, err);
    return false;
}

/* False: nobody waits. */
static bool take_next(struct event_log *log)
{
    struct sf_error err = {0};

    if (sf_list_empty(&log->queue)) {
        return false;
    }
    log->current = SF_CONTAINER_OF(sf_list_pop(&log->queue), struct event_append, link);
    log->queued--;
    if (make(log, &err)) {
        log->state = SEND;
        log->answered = false;
    }
    return true;
}

static void publish(struct event_log *log)
{
    char last[24];
    const struct sf_bus_header headers[] = {
        {"Nats-Expected-Last-Sequence", last},
        {"Nats-Expected-Stream", EVENT_STREAM},
    };

    (void)snprintf(last, sizeof(last), "%lu", (unsigned long)log->chain.number);
    request(log, EVENT_SUBJECT, sf_buf_view(&log->sealed), headers, SF_COUNT(headers));
}

static void take_ack(struct event_log *log)
{
    if (answer_of(log, "error") == NULL && answer_uint(log, "seq") == log->chain.number + 1) {
        stored(log);
        return;
    }
    /* Lost, or refused (10071: another sequence is the last): see what is there. */
    log->state = RESOLVE;
    log->answered = false;
}

static enum sf_code compare(struct event_read *r, uint64_t number, struct sf_slice bytes,
                            struct sf_error *err)
{
    struct event_log *log = r->data;

    (void)number;
    (void)err;
    log->is_ours = sf_slice_equal(bytes, sf_buf_view(&log->sealed));
    return SF_OK;
}

static void resolve(struct event_log *log)
{
    struct sf_error err;

    if (!log->answered) {
        log->is_ours = false;
        start_read(log, log->chain.number + 1, compare);
    } else if (log->read_code == SF_ABSENT) {
        log->state = SEND;
        log->answered = false;
    } else if (log->read_code != SF_OK) {
        try_later(log);
    } else if (log->is_ours) {
        stored(log);
    } else {
        (void)SF_RAISE_E(&err, SF_CONFLICT, SHEAF_E_DATA_DIR_IN_USE,
                         "event %lu was written by another hub",
                         (unsigned long)log->chain.number + 1);
        fail(log, &err);
        finish(log, SF_CONFLICT, NULL, &err);
    }
}

static void step(struct event_log *log)
{
    while (!log->waiting) {
        switch (log->state) {
        case FIND:
            find(log);
            break;
        case CREATE:
            create(log);
            break;
        case LOAD:
            load(log);
            break;
        case READY:
            if (!take_next(log)) {
                return;
            }
            break;
        case SEND:
            if (log->answered) {
                take_ack(log);
            } else {
                publish(log);
            }
            break;
        case RESOLVE:
            resolve(log);
            break;
        case FAILED:
            return;
        }
    }
}

/* --- outside ---------------------------------------------------------------------------------- */

static void on_wake(struct sf_task *t)
{
    struct event_log *log = SF_CONTAINER_OF(t, struct event_log, wake);

    log->wake_posted = false;
    if (log->closing) {
        sf_free(log);
        return;
    }
    step(log);
}

static void wake(struct event_log *log)
{
    if (!log->wake_posted) {
        log->wake_posted = true;
        sf_rt_post(log->o.rt, &log->wake);
    }
}

static bool is_late(const struct event_log *log, const struct event_append *op)
{
    return op != NULL && sf_rt_now_ns(log->o.rt) >= op->deadline_ns;
}

/* Appends that have waited too long are told so; the event of the current one may still come. */
static void on_expire(struct sf_timer *t)
{
    struct event_log *log = SF_CONTAINER_OF(t, struct event_log, expire);
    struct sf_error err;

    (void)SF_RAISE_E(&err, SF_TIMEOUT, SHEAF_E_LOG_AWAY, "the event log has not answered for 10 s");
    if (is_late(log, log->current)) {
        finish(log, SF_TIMEOUT, NULL, &err);
    }
    while (!sf_list_empty(&log->queue)) {
        struct event_append *op = SF_CONTAINER_OF(log->queue.next, struct event_append, link);

        if (!is_late(log, op)) {
            break;
        }
        sf_list_remove(&op->link);
        log->queued--;
        op->done(op, SF_TIMEOUT, NULL, &err);
    }
    log->expiring = log->current != NULL || !sf_list_empty(&log->queue);
    if (log->expiring) {
        sf_rt_timer_start(log->o.rt, &log->expire, EXPIRE_NS);
    }
}

enum sf_code event_log_open(const struct event_log_options *o, struct event_log **ret,
                            struct sf_error *err)
{
    struct event_log *log = sf_calloc(1, sizeof(*log));

    if (log == NULL) {
        return SF_RAISE(err, SF_NOMEM, "event log");
    }
    log->o = *o;
    log->state = FIND;
    log->retry = (struct sf_timer){.fire = on_retry};
    log->expire = (struct sf_timer){.fire = on_expire};
    log->wake = (struct sf_task){.run = on_wake};
    log->open_until_ns = sf_rt_now_ns(o->rt) + EVENT_LOG_OPEN_NS;
    sf_list_init(&log->queue);
    sf_arena_init(&log->arena, 0);
    wake(log);
    *ret = log;
    return SF_OK;
}

enum sf_code event_log_append(struct event_log *log, struct event_append *op, struct sf_error *err)
{
    if (!log->opened || log->state == FAILED) {
        return SF_RAISE_E(err, SF_UNAVAILABLE, SHEAF_E_LOG_AWAY, "the event log is not open");
    }
    if (log->queued >= EVENT_LOG_WAITING_MAX) {
        return SF_RAISE_E(err, SF_BUSY, SHEAF_E_BUSY, "%zu changes wait for the event log",
                          log->queued);
    }
    op->deadline_ns = sf_rt_now_ns(log->o.rt) + EVENT_LOG_WAIT_NS;
    sf_list_push(&log->queue, &op->link);
    log->queued++;
    wake(log);
    if (!log->expiring) {
        log->expiring = true;
        sf_rt_timer_start(log->o.rt, &log->expire, EXPIRE_NS);
    }
    return SF_OK;
}

void event_log_abandon(struct event_log *log, struct event_append *op)
{
    if (log->current == op) {
        log->current = NULL;
    } else if (sf_list_linked(&op->link)) {
        sf_list_remove(&op->link);
        log->queued--;
    }
}

void event_log_reconnected(struct event_log *log)
{
    if (!log->waiting || log->retrying) {
        return;
    }
    sf_bus_cancel(log->o.bus, &log->call);
    event_read_cancel(&log->read);
    sf_json_free(SF_TAKE(log->answer));
    log->waiting = false;
    log->answered = log->state == SEND; /* its fate has to be looked up; the rest is asked again */
    wake(log);
}

const struct event_chain *event_log_head(const struct event_log *log)
{
    return &log->chain;
}

void event_log_close(struct event_log *log)
{
    struct sf_error err;

    if (log == NULL) {
        return;
    }
    log->state = FAILED;
    (void)SF_RAISE_E(&err, SF_CLOSED, SHEAF_E_LOG_AWAY, "the hub is stopping");
    finish(log, SF_CLOSED, NULL, &err);
    while (!sf_list_empty(&log->queue)) {
        struct event_append *op =
            SF_CONTAINER_OF(sf_list_pop(&log->queue), struct event_append, link);

        op->done(op, SF_CLOSED, NULL, &err);
    }
    sf_bus_cancel(log->o.bus, &log->call);
    event_read_cancel(&log->read);
    sf_rt_timer_stop(log->o.rt, &log->retry);
    sf_rt_timer_stop(log->o.rt, &log->expire);
    sf_json_free(log->answer);
    sf_buf_done(&log->sealed);
    sf_arena_done(&log->arena);
    log->closing = true;
    if (!log->wake_posted) {
        sf_free(log);
    }
}
