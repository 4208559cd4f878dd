/*
 *           connected                  is there
 *     OFF ----------> ASKING_STREAM ----------> ASKING_CONSUMER ----> HOLDING ----> RUNNING
 *      ^  1 s                                      | not there  ^  |  ack_wait over,     |
 *      |                                           v            |  |  or nothing open    |
 *      |                                        CREATING -------+  +---------------------+
 *      +--- any failure, a gap in what is delivered, a lost connection ------------------+
 *
 * HOLDING asks the consumer once more, and holds again when something was delivered meanwhile.
 * step() decides; callbacks note what they were told and call it. While RUNNING one pull stands at
 * the server; another follows when it has ended and little waits to be stored.
 */
#include "leaf/ingest/source.h"

#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/str.h"
#include "common/sys/log.h"
#include "leaf/ingest/form.h"
#include "leaf/ingest/source_private.h"
#include "leaf/store/read.h"
#include "proto/subjects.h"

#define RETRY_NS  SF_NS_PER_S
#define ASK_NS    (5 * SF_NS_PER_S)
#define PULL_NS   (30 * SF_NS_PER_S)
#define FORGET_NS (35 * SF_NS_PER_S)

static void step(struct source *s);

static void move(struct source *s, enum source_state state)
{
    s->state = state;
    sf_gauge_set(&s->running, state == SOURCE_RUNNING);
}

/* Ends the session; what is being stored goes on. */
static void end_session(struct source *s)
{
    sf_bus_cancel(s->o.bus, &s->call);
    if (s->has_inbox) {
        sf_bus_unsubscribe(s->o.bus, &s->inbox);
        s->has_inbox = false;
    }
    s->pull_open = false;
    s->has_held = false;
    source_forget_waiting(s);
    move(s, SOURCE_OFF);
}

void source_fail(struct source *s, const char *why)
{
    if (strcmp(s->error, why) != 0) {
        (void)snprintf(s->error, sizeof(s->error), "%s", why);
        sf_log(SF_LOG_WARN, "source.not_running", SF_F_TEXT("source", s->spec.name),
               SF_F_TEXT("why", why));
    }
    end_session(s);
    sf_rt_timer_start(s->o.rt, &s->timer, RETRY_NS);
}

/* --- asking ----------------------------------------------------------------------------------- */

static void ask(struct source *s, const char *subject, struct sf_slice body)
{
    const struct sf_bus_msg m = {.subject = subject, .data = body};
    struct sf_error err;

    if (sf_bus_request(s->o.bus, &s->call, &m, ASK_NS, &err) != SF_OK) {
        source_fail(s, err.text);
    }
}

static void ask_stream(struct source *s)
{
    char subject[SF_JS_SUBJECT_MAX];

    sf_js_stream_info(subject, s->spec.stream);
    move(s, SOURCE_ASKING_STREAM);
    ask(s, subject, (struct sf_slice){0});
}

static void ask_consumer(struct source *s)
{
    char subject[SF_JS_SUBJECT_MAX];

    sf_js_consumer_info(subject, s->spec.stream, s->spec.consumer);
    move(s, SOURCE_ASKING_CONSUMER);
    ask(s, subject, (struct sf_slice){0});
}

static void create_consumer(struct source *s)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf subject = {0};
    SF_CLEANUP(sf_buf_done) struct sf_buf body = {0};
    const bool knows_start = s->stored.count > 0 && s->stored.ranges[0].from == 0;
    const struct sf_js_consumer_spec spec = {
        .stream = s->spec.stream,
        .name = s->spec.consumer,
        .filter = s->spec.filter,
        .from = knows_start && s->stream_is_limits ? s->stored.ranges[0].to + 1 : 0,
        .only_new = s->spec.only_new && s->stored.count == 0,
        .ack_wait_ns = SOURCE_ACK_WAIT_NS,
        .max_ack_pending = s->spec.max_ack_pending,
    };

    sf_js_consumer_create(&spec, &subject, &body);
    move(s, SOURCE_CREATING);
    if (sf_buf_cstr(&subject) == NULL || body.failed != SF_OK) {
        source_fail(s, "out of memory");
        return;
    }
    ask(s, sf_buf_cstr(&subject), sf_buf_view(&body));
}

/* Takes what the stream is; another one under its name has other seqs. */
static enum sf_code take_stream(struct source *s, struct sf_slice answer, struct sf_error *err)
{
    struct sf_js_stream stream;
    char id[SEQ_STREAM_MAX];
    enum sf_code code = sf_js_stream_read(answer, &stream, err);

    if (code != SF_OK) {
        return code;
    }
    (void)snprintf(id, sizeof(id), "%s %s", s->spec.stream, stream.created);
    if (strcmp(id, s->stream_id) != 0) {
        if (s->stored.count > 0) {
            sf_log(SF_LOG_WARN, "source.stream_is_new", SF_F_TEXT("source", s->spec.name));
        }
        (void)snprintf(s->stream_id, sizeof(s->stream_id), "%s", id);
        s->stored.count = 0;
    }
    s->stream_is_limits = stream.is_limits;
    return SF_OK;
}

static const char *unfit(const struct source *s, const struct sf_js_consumer *c)
{
    if (!c->is_pull) {
        return "the consumer is not a pull consumer";
    }
    if (!c->is_explicit) {
        return "the consumer's ack policy is not explicit";
    }
    if (strcmp(c->filter, s->spec.filter == NULL ? "" : s->spec.filter) != 0) {
        return "the consumer has another filter subject";
    }
    return NULL;
}

/* Whether all that was delivered and not acknowledged is stored. */
static bool is_settled(const struct source *s, const struct sf_js_consumer *c)
{
    for (size_t i = 0; i < s->stored.count; i++) {
        if (s->stored.ranges[i].from <= c->acked_stream_seq + 1 &&
            s->stored.ranges[i].to >= c->delivered_stream_seq) {
            return true;
        }
    }
    return c->unacked == 0;
}

/* --- messages --------------------------------------------------------------------------------- */

void source_pull(struct source *s)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf body = {0};
    char subject[SF_JS_SUBJECT_MAX];
    const struct sf_bus_msg m = {.subject = subject, .reply = s->inbox_subject};
    struct sf_bus_msg sent = m;
    struct sf_error err;

    if (s->state != SOURCE_RUNNING || s->pull_open || s->waiting_count > SOURCE_PULL / 2) {
        return;
    }
    s->pull_left = SOURCE_PULL;
    if (s->consumer.max_ack_pending > 0 && s->consumer.max_ack_pending < s->pull_left) {
        s->pull_left = s->consumer.max_ack_pending;
    }
    sf_js_pull(s->pull_left, SOURCE_PULL_BYTES, PULL_NS, &body);
    sf_js_consumer_next(subject, s->spec.stream, s->spec.consumer);
    sent.data = sf_buf_view(&body);
    if (body.failed != SF_OK || sf_bus_publish(s->o.bus, &sent, &err) != SF_OK) {
        source_fail(s, "no pull could be sent");
        return;
    }
    s->pull_open = true;
    sf_rt_timer_start(s->o.rt, &s->timer, FORGET_NS);
}

/* What a message is of: its own headers, else the source's setting. */
static void read_form(const struct source *s, const struct sf_bus_msg *m,
                      struct source_message *ret)
{
    const char *type = sf_bus_msg_header(m, HEADER_TYPE);
    const struct ingest_form form = {
        .content_type = type == NULL ? s->spec.type : type,
        .content_encoding = sf_bus_msg_header(m, HEADER_ENCODING),
    };
    struct ingest_request request = {0};

    ret->is_refused = ingest_form_read(&form, &request, &ret->refusal) != SF_OK;
    ret->format = request.format;
    ret->coding = request.coding;
}

/*
 * Notes where the message stands in the stream. Between two messages delivered for the first time,
 * one behind the other, the consumer has none: the range of the second covers what lies between.
 */
static void note_place(struct source *s, struct source_message *m)
{
    const struct sf_js_delivery *d = &m->delivery;

    m->range = (struct seq_range){d->stream_seq, d->stream_seq};
    if (d->times == 1) {
        m->range.from = s->front + 1;
        s->front = d->stream_seq;
    }
    s->deliveries = d->consumer_seq;
    s->pending = d->pending;
    sf_gauge_set(&s->pending_messages, (int64_t)d->pending);
}

/* Whether a message that is delivered again still waits to be stored. It is acknowledged by its
 * first reply: to the server that is the same. */
static bool is_held(struct source *s, const struct source_message *again)
{
    struct sf_list *lists[] = {&s->waiting, &s->group};

    for (size_t l = 0; again->delivery.times > 1 && l < SF_COUNT(lists); l++) {
        for (struct sf_list *at = lists[l]->next; at != lists[l]; at = at->next) {
            struct source_message *m = SF_CONTAINER_OF(at, struct source_message, link);

            if (m->delivery.stream_seq == again->delivery.stream_seq) {
                return true;
            }
        }
    }
    return false;
}

static enum sf_code take_message(struct source *s, const struct sf_bus_msg *m,
                                 const struct sf_js_delivery *d)
{
    struct source_message *kept = sf_calloc(1, sizeof(*kept));

    if (kept == NULL) {
        return SF_NOMEM;
    }
    kept->delivery = *d;
    kept->reply = sf_strdup(m->reply);
    sf_buf_slice(&kept->data, m->data);
    if (kept->reply == NULL || kept->data.failed != SF_OK) {
        source_message_free(kept);
        return SF_NOMEM;
    }
    read_form(s, m, kept);
    note_place(s, kept);
    if (is_held(s, kept)) {
        source_message_free(
            kept); /* It is acknowledged by its first reply: the server takes both. */
        return SF_OK;
    }
    sf_list_push(&s->waiting, &kept->link);
    s->waiting_count++;
    return SF_OK;
}

/* Whether a status says that pulling goes on nowhere; others only end a pull. */
static bool is_end(unsigned status, const char *text)
{
    return status == 409 &&
           (text == NULL || strstr(text, "Deleted") != NULL || strstr(text, "Leadership") != NULL ||
            strstr(text, "Shutdown") != NULL || strstr(text, "push") != NULL);
}

static void on_status(struct source *s, unsigned status, const struct sf_bus_msg *m)
{
    const char *text = sf_bus_msg_header(m, "Description");

    if (status == 100) { /* a heartbeat */
        return;
    }
    s->pull_open = false;
    if (is_end(status, text)) {
        source_fail(s, text == NULL ? "the consumer is gone" : text);
    } else if (status == 503) {
        source_fail(s, "JetStream does not answer");
    } else if (!sf_list_linked(&s->turn.link)) {
        sf_rt_post(s->o.rt, &s->turn);
    }
}

static void on_message(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct source *s = sub->data;
    const unsigned status = sf_js_status(m);
    struct sf_js_delivery d;

    if (status != 0) {
        on_status(s, status, m);
        return;
    }
    if (!sf_js_delivery_parse(m->reply, &d)) {
        return;
    }
    if (d.consumer_seq != s->deliveries + 1) {
        source_fail(s, "a message was lost on its way");
        return;
    }
    if (take_message(s, m, &d) != SF_OK) {
        source_fail(s, "out of memory");
        return;
    }
    s->pull_left -= s->pull_left > 0 ? 1 : 0;
    s->pull_open = s->pull_open && s->pull_left > 0;
    if (!sf_list_linked(&s->turn.link)) {
        sf_rt_post(s->o.rt, &s->turn);
    }
}

/* --- the session ------------------------------------------------------------------------------ */

static void start_running(struct source *s)
{
    struct sf_error err;
    enum sf_code code =
        sf_bus_new_inbox(s->o.bus, s->inbox_subject, sizeof(s->inbox_subject), &err);

    s->inbox = (struct sf_bus_sub){.on_msg = on_message, .data = s};
    if (code == SF_OK) {
        code = sf_bus_subscribe(s->o.bus, &s->inbox, s->inbox_subject, NULL, &err);
    }
    if (code != SF_OK) {
        source_fail(s, err.text);
        return;
    }
    s->has_inbox = true;
    s->front = s->consumer.delivered_stream_seq;
    s->deliveries = s->consumer.delivered_consumer_seq;
    s->error[0] = '\0';
    move(s, SOURCE_RUNNING);
    sf_log(SF_LOG_INFO, "source.running", SF_F_TEXT("source", s->spec.name),
           SF_F_UINT("pending", s->consumer.pending));
    source_pull(s);
}

/* The consumer as it stands: everything up to its floor is acknowledged, so it was stored. */
static void use_consumer(struct source *s)
{
    const struct sf_js_consumer *c = &s->consumer;
    const char *why = unfit(s, c);
    const uint64_t highest = seq_set_highest(&s->stored);

    if (why != NULL) {
        source_fail(s, why);
        return;
    }
    if (highest > 0 && highest < c->acked_stream_seq) {
        sf_log(SF_LOG_WARN, "source.store_is_behind", SF_F_TEXT("source", s->spec.name),
               SF_F_UINT("stored", highest), SF_F_UINT("acknowledged", c->acked_stream_seq));
    }
    if (c->acked_stream_seq > 0) {
        (void)seq_set_add(&s->stored, (struct seq_range){0, c->acked_stream_seq});
    }
    if (is_settled(s, c) || (s->has_held && s->held_deliveries == c->delivered_consumer_seq)) {
        start_running(s);
        return;
    }
    s->has_held = true;
    s->held_deliveries = c->delivered_consumer_seq;
    move(s, SOURCE_HOLDING);
    sf_rt_timer_start(s->o.rt, &s->timer, c->ack_wait_ns);
}

static void on_answer(struct source *s, struct sf_slice answer)
{
    struct sf_error err;
    enum sf_code code;

    switch (s->state) {
    case SOURCE_ASKING_STREAM:
        code = take_stream(s, answer, &err);
        if (code == SF_OK) {
            ask_consumer(s);
            return;
        }
        break;
    case SOURCE_ASKING_CONSUMER:
    case SOURCE_CREATING:
        code = sf_js_consumer_read(answer, &s->consumer, &err);
        if (code == SF_OK) {
            use_consumer(s);
            return;
        }
        if (code == SF_ABSENT && s->state == SOURCE_ASKING_CONSUMER) {
            create_consumer(s);
            return;
        }
        break;
    case SOURCE_OFF:
    case SOURCE_HOLDING:
    case SOURCE_RUNNING:
        return;
    }
    source_fail(s, err.text);
}

static void asked(struct sf_bus_call *call, enum sf_bus_outcome outcome, const struct sf_bus_msg *m)
{
    struct source *s = call->data;

    switch (outcome) {
    case SF_BUS_ANSWERED:
        on_answer(s, m->data);
        break;
    case SF_BUS_NO_RESPONDERS:
    case SF_BUS_TIMED_OUT:
        source_fail(s, "JetStream does not answer");
        break;
    case SF_BUS_DISCONNECTED:
        source_fail(s, "not connected");
        break;
    }
}

static void step(struct source *s)
{
    if (s->closing) {
        return;
    }
    switch (s->state) {
    case SOURCE_OFF:
        if (sf_bus_connected(s->o.bus)) {
            ask_stream(s);
        } else {
            source_fail(s, "not connected");
        }
        break;
    case SOURCE_ASKING_STREAM:
    case SOURCE_ASKING_CONSUMER:
    case SOURCE_CREATING:
        break;
    case SOURCE_HOLDING: /* A pull of before may have been answered meanwhile. */
        ask_consumer(s);
        break;
    case SOURCE_RUNNING: /* The pull's answer did not come. */
        source_fail(s, "JetStream was silent");
        break;
    }
}

static void timer_fire(struct sf_timer *timer)
{
    step(SF_CONTAINER_OF(timer, struct source, timer));
}

static void turn_run(struct sf_task *turn)
{
    struct source *s = SF_CONTAINER_OF(turn, struct source, turn);

    source_store(s);
    source_pull(s);
}

static void retry_fire(struct sf_timer *timer)
{
    source_store(SF_CONTAINER_OF(timer, struct source, retry));
}

void source_bus_changed(struct source *s)
{
    if (s->closing) {
        return;
    }
    if (s->state != SOURCE_OFF) {
        source_fail(s, "the connection was cut");
    }
    if (sf_bus_connected(s->o.bus)) {
        sf_rt_timer_start(s->o.rt, &s->timer, 0);
    }
}

/* --- life ------------------------------------------------------------------------------------- */

static enum sf_code load_cursor(struct source *s, struct sf_error *err)
{
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    SF_CLEANUP(sf_buf_done) struct sf_buf value = {0};
    bool found = false;
    enum sf_code code = store_snapshot_new(s->o.store, &snapshot, err);

    if (code == SF_OK) {
        code =
            store_small_get(snapshot, STORE_META, sf_buf_view(&s->key), &value, NULL, &found, err);
    }
    return code == SF_OK && found
               ? seq_set_decode(sf_buf_view(&value), &s->stored, s->stream_id, err)
               : code;
}

static void register_metrics(struct source *s)
{
    struct sf_metric_spec spec = {.labels = &s->label, .label_count = 1};
    struct {
        const char *name;
        const char *help;
        struct sf_counter *counter;
    } counters[] = {
        {"source_messages_total", "Messages of a stream stored.", &s->stored_total},
        {"source_repeated_total", "Messages delivered again and already stored.",
         &s->repeated_total},
        {"source_poison_total", "Messages put into quarantine as a whole.", &s->poison_total},
    };

    s->label = (struct sf_label){"source", s->spec.name};
    for (size_t i = 0; i < SF_COUNT(counters); i++) {
        spec.name = counters[i].name;
        spec.help = counters[i].help;
        sf_counter_register(s->o.metrics, &spec, counters[i].counter);
    }
    spec.name = "source_pending_messages";
    spec.help = "Messages of the stream that were not delivered yet.";
    sf_gauge_register(s->o.metrics, &spec, &s->pending_messages);
    spec.name = "source_running";
    spec.help = "1 while messages are being taken.";
    sf_gauge_register(s->o.metrics, &spec, &s->running);
}

enum sf_code source_new(const struct source_options *o, const struct source_spec *spec,
                        struct source **ret, struct sf_error *err)
{
    struct source *s = sf_calloc(1, sizeof(*s));
    enum sf_code code;

    if (s == NULL) {
        return SF_RAISE(err, SF_NOMEM, "source");
    }
    s->o = *o;
    s->spec = *spec;
    sf_list_init(&s->waiting);
    sf_list_init(&s->group);
    s->group_max = SOURCE_PULL;
    s->call = (struct sf_bus_call){.done = asked, .data = s};
    s->timer.fire = timer_fire;
    s->retry.fire = retry_fire;
    s->turn.run = turn_run;
    register_metrics(s);
    s->messages = sf_calloc(SOURCE_PULL, sizeof(*s->messages));
    source_cursor_key(spec->name, &s->key);
    code = sf_buf_check(&s->key, "source", err);
    if (code == SF_OK && s->messages == NULL) {
        code = SF_RAISE(err, SF_NOMEM, "source");
    }
    if (code == SF_OK) {
        code = load_cursor(s, err);
    }
    if (code != SF_OK) {
        source_free(s);
        return code;
    }
    sf_rt_timer_start(o->rt, &s->timer, 0);
    *ret = s;
    return SF_OK;
}

void source_free(struct source *s)
{
    sf_rt_timer_stop(s->o.rt, &s->timer);
    sf_rt_timer_stop(s->o.rt, &s->retry);
    sf_list_remove(&s->turn.link);
    source_forget_waiting(s);
    sf_metric_remove(&s->stored_total.metric);
    sf_metric_remove(&s->repeated_total.metric);
    sf_metric_remove(&s->poison_total.metric);
    sf_metric_remove(&s->pending_messages.metric);
    sf_metric_remove(&s->running.metric);
    if (s->gone != NULL) {
        sf_rt_post(s->o.rt, s->gone);
    }
    sf_buf_done(&s->key);
    sf_buf_done(&s->cursor);
    sf_free(s->messages);
    sf_free(s);
}

void source_close(struct source *s, struct sf_task *gone)
{
    if (s == NULL) {
        return;
    }
    end_session(s);
    s->closing = true;
    s->gone = gone;
    sf_rt_timer_stop(s->o.rt, &s->timer);
    sf_rt_timer_stop(s->o.rt, &s->retry);
    if (!s->storing) {
        while (!sf_list_empty(&s->group)) {
            source_message_free(
                SF_CONTAINER_OF(sf_list_pop(&s->group), struct source_message, link));
        }
        source_free(s);
    }
}

void source_status(const struct source *s, struct source_status *ret)
{
    *ret = (struct source_status){
        .state = s->state == SOURCE_RUNNING ? (s->error[0] == '\0' ? "running" : "waiting")
                 : s->state == SOURCE_OFF   ? "off"
                                            : "waiting",
        .error = s->error,
        .stored = s->stored_count,
        .repeated = s->repeated_count,
        .poison = s->poison_count,
        .pending = s->pending,
        .last_seq = seq_set_highest(&s->stored),
    };
}
