/* Changes of other domains' products as a stream over HTTP: each request over NATS is followed by
 * another, behind the position that was reached. */
#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/str.h"
#include "leaf/query/relay_private.h"
#include "proto/errors.h"
#include "proto/subjects.h"

/*
 *             all in the server                    the answer is whole
 *   TAKING -------------------> credit, TAKING ------------------------> asked again, or ended
 *     |                            ^                      ^
 *     | the client reads slowly    | drained              | drained (ask_waits)
 *     +--------> HOLDING ----------+----------------------+
 *
 * A page lost on the way: asked again behind the position reached. A snapshot begins anew then, and
 * the client is told so by another {"event":"snapshot"}.
 */

/* The window is what the owner's leaf may send; one that sends more is not waited for. */
enum { HELD_MAX = SF_FLOW_WINDOW * (SF_SERVICE_PAGE_MAX + 4096), LOSSES_MAX = 8 };

#define IDLE_NS (12 * SF_NS_PER_S) /* two heartbeats and some */

static enum sf_code copy(const char *text, char **ret, struct sf_error *err)
{
    if (text == NULL) {
        return SF_OK;
    }
    *ret = sf_strdup(text);
    return *ret == NULL ? SF_RAISE(err, SF_NOMEM, "request") : SF_OK;
}

enum sf_code relay_follow_prepare(struct relay *relay, const struct http_read *what,
                                  struct sf_error *err)
{
    const struct sf_http_request *r = relay->request;
    const char *after = follow_stream_after(r);
    struct relay_stream *s = &relay->follow;
    struct follow_spec spec = {0};
    enum sf_code code = follow_stream_params(r, &spec, err);

    s->live = spec.live;
    s->snapshot = spec.snapshot;
    s->seconds = spec.seconds > FOLLOW_SECONDS_MAX ? FOLLOW_SECONDS_MAX : spec.seconds;
    s->ends_s = relay_now_s(relay) + (int64_t)s->seconds;
    if (code == SF_OK && after != NULL && strlen(after) >= sizeof(s->after)) {
        code = SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST,
                          "'after' must be a position, EPOCH:SEQ");
    }
    if (code == SF_OK) {
        (void)snprintf(s->after, sizeof(s->after), "%s", after == NULL ? "" : after);
        code = copy(what->table, &s->table, err);
    }
    if (code == SF_OK) {
        code = copy(sf_http_query(r, "since"), &s->since, err);
    }
    return code == SF_OK ? copy(sf_http_query(r, "select"), &s->select, err) : code;
}

void relay_follow_done(struct relay *relay)
{
    sf_flow_end(&relay->follow.flow, /* is_over= */ false);
    follow_stream_done(&relay->follow.out);
    sf_free(relay->follow.table);
    sf_free(relay->follow.select);
    sf_free(relay->follow.since);
}

/* What ends by itself has time for a slow reader. */
static uint64_t seconds_of(const struct relay *relay)
{
    const struct relay_stream *s = &relay->follow;
    const int64_t left_s = s->ends_s - relay_now_s(relay);

    if (s->seconds != 0) {
        return left_s > 0 ? (uint64_t)left_s : 1;
    }
    return s->live ? FOLLOW_SECONDS_NATS : FOLLOW_SECONDS_MAX;
}

/* An answer keeps the roles it began with: a live one is not to outlast them. */
static void plan_seconds(struct relay *relay)
{
    struct relay_stream *s = &relay->follow;
    const uint64_t left_s = relay_roles_left_s(relay);

    s->asked_s = seconds_of(relay);
    s->is_cut = s->live && left_s < s->asked_s;
    if (s->is_cut) {
        s->asked_s = left_s > 0 ? left_s : 1;
    }
}

static void write_body(const struct relay *relay, struct sf_buf *out)
{
    const struct relay_stream *s = &relay->follow;
    struct sf_json_writer w = {.out = out};

    sf_json_object_begin(&w);
    sf_json_member_uint(&w, "major", relay->major);
    sf_json_member_text(&w, "table", s->table);
    sf_json_member_bool(&w, "follow", s->live);
    sf_json_member_bool(&w, "snapshot", s->snapshot);
    sf_json_member_uint(&w, "seconds", s->asked_s);
    sf_flow_members(&s->flow, &w);
    if (*s->after != '\0') {
        sf_json_member_text(&w, "after", s->after);
    } else if (s->since != NULL) {
        sf_json_member_text(&w, "since", s->since);
    }
    if (s->select != NULL) {
        relay_member_list(&w, "select", s->select);
    }
    sf_json_object_end(&w);
}

enum sf_code relay_follow_ask(struct relay *relay, struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf body = {0};
    char subject[SUBJECT_MAX];
    enum sf_code code;

    subject_request(subject, relay->owner, relay->product, "taken");
    sf_flow_begin(&relay->follow.flow, relay->host->rt, relay->host->own, subject);
    plan_seconds(relay);
    write_body(relay, &body);
    code = sf_buf_check(&body, "request", err);
    if (code != SF_OK) {
        return code;
    }
    subject_request(subject, relay->owner, relay->product, "changes");
    return relay_ask(relay, subject, sf_buf_view(&body), IDLE_NS, err);
}

/* EPOCH:SEQ or EPOCH:FIRST-LAST; false: neither. */
static bool parse_position(const char *text, uint32_t *epoch, uint64_t *seq)
{
    const char *colon = text == NULL ? NULL : strchr(text, ':');
    const char *dash = colon == NULL ? NULL : strchr(colon, '-');
    uint64_t e;

    if (colon == NULL ||
        sf_parse_u64(sf_slice_of(text, (size_t)(colon - text)), &e) != SF_PARSE_OK ||
        e > UINT32_MAX ||
        sf_parse_u64(sf_slice_text(dash != NULL ? dash + 1 : colon + 1), seq) != SF_PARSE_OK) {
        return false;
    }
    *epoch = (uint32_t)e;
    return true;
}

static void stop_asking(struct relay *relay)
{
    sf_flow_end(&relay->follow.flow, /* is_over= */ false);
    sf_service_ask_cancel(&relay->ask);
}

/* The other leaf does not do as it should. */
static void give_up(struct relay *relay, const char *why)
{
    struct sf_error err;

    (void)SF_RAISE_E(&err, SF_UNAVAILABLE, SHEAF_E_LEAF_UNREACHABLE, "the leaf of domain %s %s",
                     relay->owner, why);
    stop_asking(relay);
    relay_fail(relay, &err, sf_slice_text(NULL));
    relay_free(relay);
}

static void not_ours(struct relay *relay)
{
    give_up(relay, "does not know how to be followed");
}

static void client_is_gone(struct relay *relay)
{
    stop_asking(relay);
    sf_http_stream_end(relay->request, /* complete= */ false);
    relay_free(relay);
}

/* Behind the position reached, once nothing is held. */
static void ask_on(struct relay *relay)
{
    struct sf_error err;

    relay->follow.ask_waits = relay->follow.out.held.size > 0;
    if (relay->follow.ask_waits || relay_follow_ask(relay, &err) == SF_OK) {
        return;
    }
    relay_fail(relay, &err, sf_slice_text(NULL));
    relay_free(relay);
}

static void page_lost(struct relay *relay)
{
    if (++relay->follow.losses > LOSSES_MAX) {
        give_up(relay, "answers, and its pages are lost on the way");
        return;
    }
    stop_asking(relay);
    ask_on(relay);
}

/* Where the reader is after an event. Who wants a snapshot gets none as long as it has a position
 * of the epoch. */
static void keep_place(struct relay_stream *s, enum follow_kind kind, uint32_t epoch, uint64_t seq)
{
    switch (kind) {
    case FOLLOW_EPOCH:
        if (s->snapshot) {
            *s->after = '\0';
        }
        return;
    case FOLLOW_SNAPSHOT:
        *s->after = '\0';
        return;
    case FOLLOW_ROWS:
        return;
    case FOLLOW_POSITION:
    case FOLLOW_CHANGES:
    case FOLLOW_HEARTBEAT:
    case FOLLOW_END:
        break;
    }
    s->epoch = epoch;
    s->seq = seq;
    (void)snprintf(s->after, sizeof(s->after), "%u:%llu", epoch, (unsigned long long)seq);
}

/* What became of a page: the owner's leaf may send another one once no page waits here. */
static void on_put(struct relay *relay, enum follow_put put)
{
    switch (put) {
    case FOLLOW_PUT_DONE:
        if (relay->follow.ask_waits) {
            ask_on(relay);
        } else if (relay->ask.private != NULL) {
            sf_flow_taken(&relay->follow.flow);
            sf_service_ask_awake(&relay->ask);
        }
        return;
    case FOLLOW_PUT_HELD:
        sf_service_ask_hold(&relay->ask);
        return;
    case FOLLOW_PUT_FAILED:
        client_is_gone(relay);
        return;
    }
}

void relay_follow_page(struct relay *relay, const struct sf_bus_msg *m)
{
    struct relay_stream *s = &relay->follow;
    const char *name = sf_bus_msg_header(m, HEADER_EVENT);
    enum follow_kind kind;
    uint32_t epoch;
    uint64_t seq;

    if (name == NULL || !follow_kind_parse(name, &kind) ||
        !parse_position(sf_bus_msg_header(m, HEADER_POSITION), &epoch, &seq)) {
        not_ours(relay);
        return;
    }
    if (!sf_flow_look(&s->flow, m)) {
        page_lost(relay);
        return;
    }
    if (!s->out.begun) {
        follow_stream_begin(&s->out, relay->request);
    }
    keep_place(s, kind, epoch, seq);
    if (kind == FOLLOW_END) { /* ours comes when nothing more is asked */
        return;
    }
    if (s->out.held.size + m->data.size > HELD_MAX) {
        give_up(relay, "sends more than was asked for");
        return;
    }
    if (kind != FOLLOW_SNAPSHOT && kind != FOLLOW_ROWS) {
        s->losses = 0;
    }
    on_put(relay, follow_stream_put(&s->out, kind, epoch, seq, m->data));
}

void relay_follow_drain(struct sf_http_request *r, void *data)
{
    struct relay *relay = data;

    (void)r;
    on_put(relay, follow_stream_drain(&relay->follow.out));
}

void relay_follow_end(struct relay *relay)
{
    struct relay_stream *s = &relay->follow;

    if (!s->out.begun) { /* an empty answer: not from a leaf that knows this request */
        not_ours(relay);
        return;
    }
    if (s->live && (s->seconds == 0 || s->is_cut)) {
        ask_on(relay);
        return;
    }
    follow_stream_end(&s->out,
                      &(struct follow_event){.kind = FOLLOW_END, .epoch = s->epoch, .seq = s->seq});
    relay_free(relay);
}
