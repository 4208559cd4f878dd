/*
 *                 connected, gap, silence
 *   CONNECTING ----------+
 *                        v        page with nothing behind it
 *             +---- REPLAYING ------------------------------> LIVE
 *     failed  |          ^  ^                                   |
 *             v   timer  |  +------ gap, silence, connected ----+
 *           PAUSED ------+
 *                                 any: count, signal, error --> ENDING --> closed
 */
#include "cli/sub.h"

#include <inttypes.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/str.h"
#include "common/base/time.h"
#include "common/bus/bus_nats.h"
#include "common/bus/flow.h"
#include "common/bus/service.h"
#include "common/sys/rt_uv.h"
#include "common/wire/csv.h"
#include "proto/errors.h"
#include "proto/subjects.h"

#define RETRY_NS   (500 * SF_NS_PER_MS)
#define ANSWER_NS  (5 * SF_NS_PER_S)
#define ROWS_NS    (25 * SF_NS_PER_S) /* printing may block, and the leaf waits 20 s for it */
#define SILENCE_NS (12 * SF_NS_PER_S) /* two heartbeats and some */

enum { DENIALS_MAX = 6, FAILURES_TOLD = 4 };

enum sub_state { SUB_CONNECTING, SUB_REPLAYING, SUB_PAUSED, SUB_LIVE, SUB_ENDING };

/* A live message that waits for the end of a replay. */
struct held {
    struct sf_list link;
    struct follow_span span;
    size_t size;
    uint8_t data[];
};

struct sub {
    struct cli *cli;
    const struct sub_options *o;
    struct rt_uv *uv;
    struct sf_rt *rt;
    struct sf_bus *bus;
    struct sf_bus_sub live;
    struct sf_service_ask ask;
    struct sf_flow flow; /* of the snapshot */
    struct sf_timer retry;
    struct sf_timer silence;
    enum sub_state state;
    struct follow follow;
    uint64_t head;       /* of the lane, as the page under way says */
    bool wants_snapshot; /* of the rows, before anything else */
    uint64_t told;       /* lines of the snapshot that have come */
    struct sf_list held;
    size_t held_bytes;
    uint64_t printed;
    unsigned denials;  /* in a row */
    unsigned failures; /* in a row */
    bool warned;       /* of bad signatures */
    struct sf_json_reader reader;
    char since[SF_TIME_TEXT_SIZE];
    struct sf_work check; /* of the grant, at the hub */
    bool checking;
    enum sf_code check_code;
    struct sf_error check_error;
    struct sf_error error; /* why it ends */
};

static void replay(struct sub *s);

/* --- ending ----------------------------------------------------------------------------------- */

static void stop_when_ended(struct sub *s)
{
    if (s->bus == NULL && !s->checking) {
        rt_uv_stop(s->uv);
    }
}

static void on_closed(void *data)
{
    struct sub *s = data;

    s->bus = NULL;
    stop_when_ended(s);
}

/* Once; @why has the code it ends with. */
static void end(struct sub *s, const struct sf_error *why)
{
    if (s->state == SUB_ENDING) {
        return;
    }
    s->state = SUB_ENDING;
    s->error = *why;
    sf_flow_end(&s->flow, /* is_over= */ false);
    sf_service_ask_cancel(&s->ask);
    sf_rt_timer_stop(s->rt, &s->retry);
    sf_rt_timer_start(s->rt, &s->silence, SILENCE_NS); /* keeps the loop running to the end */
    sf_bus_unsubscribe(s->bus, &s->live);
    sf_bus_nats_close(s->bus, on_closed, s);
}

static void on_signal(int number, void *data)
{
    struct sf_error why;

    (void)number;
    (void)SF_RAISE(&why, SF_CLOSED, "interrupted");
    end(data, &why);
}

/* --- printing --------------------------------------------------------------------------------- */

static bool is_before(const struct sub *s, struct sf_slice line)
{
    static const char mark[] = "\"ts\":\"";
    const uint8_t *at = s->since[0] == '\0' ? NULL : memmem(line.data, line.size, mark, 6);
    size_t n = strlen(s->since);

    return at != NULL && (size_t)(line.data + line.size - at) > n + 6 &&
           memcmp(at + 6, s->since, n) < 0;
}

static enum sf_code print_line(struct sub *s, struct sf_slice line, struct sf_error *err)
{
    struct print *p = &s->cli->print;
    const struct sf_json *v = NULL;

    if (p->format == PRINT_TABLE || p->format == PRINT_NDJSON) {
        bool ok =
            fwrite(line.data, 1, line.size, p->out) == line.size && fputc('\n', p->out) != EOF;

        return ok ? SF_OK : SF_RAISE(err, SF_IO, "standard output cannot be written");
    }
    if (sf_json_read(&s->reader, line, &v, err) != SF_OK) {
        return SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_INTERNAL, "a change is not JSON");
    }
    print_row(p);
    print_json(p, "seq", sf_json_get(v, "seq"));
    print_json(p, "op", sf_json_get(v, "op"));
    print_json(p, "ts", sf_json_get(v, "ts"));
    print_json(p, "key", sf_json_get(v, "key"));
    print_json(p, "row", sf_json_get(v, "row"));
    return SF_OK;
}

/* Prints the changes behind the position, and moves it. */
static void take_lines(struct sub *s, uint32_t epoch, struct sf_slice body)
{
    struct sf_ndjson lines = {.line_max = SIZE_MAX}; /* The page has a limit. */
    struct sf_slice line;
    struct sf_error err = {.code = SF_OK};

    while (s->state != SUB_ENDING &&
           sf_ndjson_next(&lines, &body, /* last= */ true, &line, &err) == SF_OK) {
        uint64_t seq = follow_line_seq(line);

        if (epoch == s->follow.epoch && seq <= s->follow.at) {
            continue;
        }
        if (!is_before(s, line)) {
            if (print_line(s, line, &err) != SF_OK) {
                end(s, &err);
                return;
            }
            s->printed++;
        }
        follow_taken(&s->follow, epoch, seq);
        if (s->o->count != 0 && s->printed == s->o->count) {
            end(s, &(struct sf_error){.code = SF_OK});
        }
    }
    if (fflush(s->cli->out) != 0) {
        (void)SF_RAISE(&err, SF_IO, "standard output cannot be written");
        end(s, &err);
    }
}

/* --- live messages ---------------------------------------------------------------------------- */

static void hold(struct sub *s, const struct follow_span *span, struct sf_slice data)
{
    struct held *h = NULL;

    if (s->held_bytes + data.size > SUB_HELD_BYTES_MAX) {
        return; /* the next message will show the gap */
    }
    h = sf_alloc(sizeof(*h) + data.size);
    if (h == NULL) {
        return;
    }
    *h = (struct held){.span = *span, .size = data.size};
    if (data.size > 0) {
        memcpy(h->data, data.data, data.size);
    }
    sf_list_push(&s->held, &h->link);
    s->held_bytes += data.size;
}

/* One live message in its turn; false: there is a gap before it, and it was not taken. */
static bool take_message(struct sub *s, const struct follow_span *span, struct sf_slice data)
{
    switch (follow_look(&s->follow, span)) {
    case FOLLOW_SEEN:
        return true;
    case FOLLOW_NEW:
        take_lines(s, span->epoch, data);
        follow_taken(&s->follow, span->epoch, span->last);
        return true;
    case FOLLOW_GAP:
        return false;
    }
    return true;
}

static void drop_held(struct sub *s)
{
    while (!sf_list_empty(&s->held)) {
        sf_free(SF_CONTAINER_OF(sf_list_pop(&s->held), struct held, link));
    }
    s->held_bytes = 0;
}

/* After a replay: what came meanwhile; a gap in it starts another one. */
static void take_held(struct sub *s)
{
    s->state = SUB_LIVE;
    while (s->state == SUB_LIVE && !sf_list_empty(&s->held)) {
        struct held *h = SF_CONTAINER_OF(s->held.next, struct held, link);

        if (!take_message(s, &h->span, sf_slice_of(h->data, h->size))) {
            replay(s);
            return;
        }
        s->held_bytes -= h->size;
        sf_list_remove(&h->link);
        sf_free(h);
    }
}

static void on_live(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct sub *s = sub->data;
    struct follow_span span;

    if (!follow_parse(sf_bus_msg_header(m, HEADER_POSITION), sf_bus_msg_header(m, HEADER_PREV),
                      sf_bus_msg_header(m, HEADER_HEAD), &span) ||
        !sub_is_signed(s->o, m, &span)) {
        if (!s->warned) {
            cli_warn(s->cli, "a message is not signed by the owner's leaf; such are ignored");
        }
        s->warned = true;
        return;
    }
    sf_rt_timer_start(s->rt, &s->silence, SILENCE_NS);
    if (s->state != SUB_LIVE) {
        hold(s, &span, m->data);
    } else if (!take_message(s, &span, m->data)) {
        hold(s, &span, m->data);
        replay(s);
    }
}

/* --- replay ----------------------------------------------------------------------------------- */

static void on_replay_page(struct sub *s, const struct sf_bus_msg *m)
{
    const char *head = sf_bus_msg_header(m, HEADER_HEAD);
    uint32_t epoch = s->follow.epoch;

    s->head = 0;
    if (head == NULL || !follow_parse_position(head, &epoch, &s->head)) {
        return;
    }
    if (m->data.size > 0) {
        take_lines(s, epoch, m->data);
    } else {
        follow_taken(&s->follow, epoch, s->head);
    }
}

/* --- the snapshot ----------------------------------------------------------------------------- */

static bool is_raw(const struct sub *s)
{
    return s->cli->print.format == PRINT_TABLE || s->cli->print.format == PRINT_NDJSON;
}

/* Rows and changes as they are. What says where the snapshot begins and ends is printed too, where
 * lines are: one that was cut comes again from its beginning. */
static void print_snapshot(struct sub *s, struct sf_slice body, bool is_event)
{
    struct sf_ndjson lines = {.line_max = SIZE_MAX}; /* The page has a limit. */
    struct sf_slice line;
    struct sf_error err = {.code = SF_OK};

    while (s->state != SUB_ENDING &&
           sf_ndjson_next(&lines, &body, /* last= */ true, &line, &err) == SF_OK) {
        s->told += !is_event;
        if ((!is_event || is_raw(s)) && print_line(s, line, &err) != SF_OK) {
            end(s, &err);
            return;
        }
        s->printed += !is_event;
        if (s->o->count != 0 && s->printed == s->o->count) {
            end(s, &(struct sf_error){.code = SF_OK});
        }
    }
    if (fflush(s->cli->out) != 0) {
        (void)SF_RAISE(&err, SF_IO, "standard output cannot be written");
        end(s, &err);
    }
}

/* The end of the answer: NATS may have dropped some of it, and its count shows that. */
static void end_snapshot(struct sub *s, const struct sf_bus_msg *m)
{
    const char *text = sf_bus_msg_header(m, HEADER_COUNT);
    uint64_t count = 0;

    if (text != NULL && sf_parse_u64(sf_slice_text(text), &count) == SF_PARSE_OK &&
        count == s->told &&
        follow_parse_position(sf_bus_msg_header(m, HEADER_POSITION), &s->follow.epoch,
                              &s->follow.at)) {
        s->follow.known = true;
        s->wants_snapshot = false;
        s->head = s->follow.at;
    }
}

static void on_snapshot_page(struct sub *s, const struct sf_bus_msg *m)
{
    const char *event = sf_bus_msg_header(m, HEADER_EVENT);

    if (event == NULL) {
        return; /* a leaf that does not know it: the next answer is a replay */
    }
    if (!sf_flow_look(&s->flow, m)) {
        cli_verbose(s->cli, "a page was lost; the snapshot is asked for again");
        sf_flow_end(&s->flow, /* is_over= */ false);
        sf_service_ask_cancel(&s->ask);
        replay(s);
        return;
    }
    if (strcmp(event, "end") == 0) {
        end_snapshot(s, m);
    } else if (strcmp(event, "heartbeat") != 0) {
        print_snapshot(s, m->data, strcmp(event, "rows") != 0 && strcmp(event, "changes") != 0);
    }
    if (s->state != SUB_ENDING) {
        sf_flow_taken(&s->flow);
    }
}

static void on_page(struct sf_service_ask *ask, const struct sf_bus_msg *m)
{
    struct sub *s = ask->data;

    if (s->wants_snapshot) {
        on_snapshot_page(s, m);
    } else {
        on_replay_page(s, m);
    }
}

/* Query thread. */
static void check_grant(struct sf_work *w)
{
    struct sub *s = SF_CONTAINER_OF(w, struct sub, check);

    s->check_code = s->o->check_grant(s->o->data, &s->check_error);
}

static void on_checked(struct sf_task *t)
{
    struct sub *s = SF_CONTAINER_OF(t, struct sub, check.done);

    s->checking = false;
    if (s->state == SUB_ENDING) {
        stop_when_ended(s);
    } else if (s->check_code == SF_DENIED || s->check_code == SF_ABSENT) {
        end(s, &s->check_error);
    }
}

/* Without a grant requests reach nobody, which looks like a leaf that is down. */
static void start_check(struct sub *s)
{
    if (!s->checking && s->o->check_grant != NULL) {
        s->checking = true;
        s->check = (struct sf_work){
            .pool = SF_POOL_QUERY, .work = check_grant, .done = {.run = on_checked}};
        sf_rt_work(s->rt, &s->check);
    }
}

static void pause_replay(struct sub *s, const struct sf_error *why)
{
    s->failures++;
    cli_verbose(s->cli, "asking again soon: %s", why->text);
    if (s->failures == FAILURES_TOLD && s->denials == 0) {
        cli_note(s->cli, "the leaf of %s does not answer; still trying (see 'sheaf status')",
                 s->o->product.domain);
    }
    if (s->failures % FAILURES_TOLD == 0) {
        start_check(s);
    }
    s->state = SUB_PAUSED;
    sf_rt_timer_start(s->rt, &s->retry, RETRY_NS);
}

/*
 * What we have is no longer what the table was: it has been restored. Tells it, in the form and
 * place of a change, and goes back to the last change that is common; what follows is given again
 * under a new epoch. False: the error says of nothing common.
 */
static bool go_back(struct sub *s, const struct sf_error *err)
{
    static const char mark[] = "common is all up to ";
    const char *at = strstr(err->text, mark);
    struct follow common = {.known = true};
    char line[160];
    int n;

    if (err->number != SHEAF_E_POSITION_GONE || at == NULL ||
        !follow_parse_position(at + sizeof(mark) - 1, &common.epoch, &common.at) ||
        common.at >= s->follow.at) {
        return false;
    }
    n = snprintf(line, sizeof(line),
                 "{\"event\":\"epoch\",\"was\":\"%u:%" PRIu64 "\",\"back_to\":\"%u:%" PRIu64 "\"}",
                 s->follow.epoch, s->follow.at, common.epoch, common.at);
    cli_warn(s->cli,
             "the table was restored: changes behind %u:%" PRIu64 " no longer stand, those that "
             "follow replace them",
             common.epoch, common.at);
    if ((s->cli->print.format == PRINT_TABLE || s->cli->print.format == PRINT_NDJSON) &&
        (fwrite(line, 1, (size_t)n, s->cli->print.out) != (size_t)n ||
         fputc('\n', s->cli->print.out) == EOF)) {
        struct sf_error why;

        (void)SF_RAISE(&why, SF_IO, "standard output cannot be written");
        end(s, &why);
        return true;
    }
    s->follow = common;
    drop_held(s); /* Asked for again. */
    return true;
}

/* What is missing was trimmed by the owner's retention: a snapshot takes its place, when that is
 * wanted. False: it is not, or another error. */
static bool begin_anew(struct sub *s, const struct sf_error *err)
{
    if (err->number != SHEAF_E_POSITION_GONE || s->o->snapshot == SUB_SNAPSHOT_NEVER ||
        s->wants_snapshot || strstr(err->text, "trimmed") == NULL) {
        return false;
    }
    cli_warn(s->cli,
             "changes behind %u:%" PRIu64 " are no longer held: a snapshot takes their place",
             s->follow.epoch, s->follow.at);
    s->wants_snapshot = true;
    s->since[0] = '\0';
    return true;
}

/* Says in the error what to do about it. */
static void explain_gone(const struct sub *s, struct sf_error *err)
{
    const struct product_ref *r = &s->o->product;

    if (err->number == SHEAF_E_POSITION_GONE && strstr(err->text, "trimmed") != NULL) {
        (void)sf_error_wrap(err,
                            "cannot go on behind %u:%" PRIu64 " of %s/%s.%s (--or-snapshot would "
                            "begin anew with the rows)",
                            s->follow.epoch, s->follow.at, r->domain, r->product, r->table);
    }
}

/* A leaf that has just started may not know its grants yet: denial is believed when it stays. */
static bool is_final(struct sub *s, enum sf_code code, const struct sf_error *err)
{
    if (err->number == SHEAF_E_POSITION_GONE) {
        return true;
    }
    if (code == SF_DENIED || code == SF_ABSENT) {
        s->denials++;
        return s->denials >= DENIALS_MAX;
    }
    return code == SF_CONFLICT || code == SF_INVALID;
}

static void on_answered(struct sf_service_ask *ask, enum sf_code code, const struct sf_error *err)
{
    struct sub *s = ask->data;

    sf_flow_end(&s->flow, /* is_over= */ true);
    if (s->state == SUB_ENDING) {
        return;
    }
    if (code != SF_OK && go_back(s, err)) {
        if (s->state != SUB_ENDING) {
            replay(s);
        }
        return;
    }
    if (code != SF_OK && begin_anew(s, err)) {
        replay(s);
        return;
    }
    if (code != SF_OK && is_final(s, code, err)) {
        struct sf_error why = *err;

        explain_gone(s, &why);
        end(s, &why);
        return;
    }
    if (code != SF_OK) {
        pause_replay(s, err);
        return;
    }
    s->denials = 0;
    s->failures = 0;
    if (s->wants_snapshot || s->follow.at < s->head) {
        replay(s);
    } else {
        take_held(s);
    }
}

/* What is asked for: the rows, then changes page by page; by time only until there is a position.
 */
static void write_request(const struct sub *s, struct sf_json_writer *w)
{
    const struct product_ref *r = &s->o->product;

    sf_json_object_begin(w);
    sf_json_member_text(w, "table", r->table);
    sf_json_member_uint(w, "major", r->major);
    if (s->wants_snapshot) {
        sf_json_member_bool(w, "snapshot", true);
        sf_flow_members(&s->flow, w);
    } else {
        sf_json_member_uint(w, "pages", 1);
        if (s->since[0] != '\0' && s->follow.at == 0) {
            sf_json_member_text(w, "since", s->since);
        } else {
            sf_json_key(w, "after");
            sf_json_printf(w, "%u:%" PRIu64, s->follow.epoch, s->follow.at);
        }
    }
    sf_json_object_end(w);
}

static void replay(struct sub *s)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf body = {0};
    const struct product_ref *r = &s->o->product;
    char subject[SUBJECT_MAX];
    struct sf_error err;
    enum sf_code code;

    s->told = 0;
    if (s->wants_snapshot) {
        subject_request(subject, r->domain, r->product, "taken");
        sf_flow_begin(&s->flow, s->rt, s->bus, subject);
    }
    write_request(s, &(struct sf_json_writer){.out = &body});
    subject_request(subject, r->domain, r->product, "changes");
    s->ask = (struct sf_service_ask){.on_page = on_page, .on_end = on_answered, .data = s};
    s->state = SUB_REPLAYING;
    sf_rt_timer_start(s->rt, &s->silence, SILENCE_NS);
    code = sf_buf_check(&body, "request", &err);
    if (code == SF_OK) {
        const struct sf_bus_msg m = {.subject = subject, .data = sf_buf_view(&body)};

        code = sf_service_ask_start(s->rt, s->bus, &s->ask, &m,
                                    s->wants_snapshot ? ROWS_NS : ANSWER_NS, &err);
    }
    if (code != SF_OK) {
        pause_replay(s, &err);
    }
}

static void on_retry(struct sf_timer *t)
{
    replay(SF_CONTAINER_OF(t, struct sub, retry));
}

static void on_silence(struct sf_timer *t)
{
    struct sub *s = SF_CONTAINER_OF(t, struct sub, silence);

    sf_rt_timer_start(s->rt, &s->silence, SILENCE_NS);
    if (s->state == SUB_LIVE) {
        replay(s);
    }
}

static void on_connection(struct sf_bus *bus, bool is_connected)
{
    struct sub *s = bus->data;

    cli_verbose(s->cli, is_connected ? "connected" : "disconnected; trying again");
    if (is_connected && (s->state == SUB_CONNECTING || s->state == SUB_LIVE)) {
        replay(s);
    }
}

/* --- running ---------------------------------------------------------------------------------- */

static enum sf_code start(struct sub *s, struct sf_error *err)
{
    const struct sub_options *o = s->o;
    const struct subject_lane lane = {.domain = o->product.domain,
                                      .product = o->product.product,
                                      .table = o->product.table,
                                      .major = o->product.major,
                                      .partition = 0};
    const char *const urls[] = {o->nats_url};
    char subject[SUBJECT_MAX];
    enum sf_code code = rt_uv_catch_signals(s->uv, on_signal, s, err);

    if (code == SF_OK) {
        code = sf_bus_nats_open(s->rt,
                                &(struct sf_bus_nats_options){.urls = urls,
                                                              .url_count = 1,
                                                              .name = "sheaf sub",
                                                              .user = o->user,
                                                              .nkey = o->user_text},
                                &s->bus, err);
    }
    if (code != SF_OK) {
        return code;
    }
    s->bus->on_state = on_connection;
    s->bus->data = s;
    s->live = (struct sf_bus_sub){.on_msg = on_live, .data = s};
    if (o->is_own) {
        subject_own(subject, &lane);
    } else {
        subject_live(subject, &lane);
    }
    sf_rt_timer_start(s->rt, &s->silence, SILENCE_NS);
    code = sf_bus_subscribe(s->bus, &s->live, subject, NULL, err);
    if (code != SF_OK) {
        end(s, err);
    }
    return SF_OK;
}

enum sf_code sub_run(struct cli *cli, const struct sub_options *o, struct sf_error *err)
{
    struct sub s = {.cli = cli, .o = o, .follow = o->start, .error = {.code = SF_OK}};
    enum sf_code code = rt_uv_new(&s.uv, err);

    if (code != SF_OK) {
        return code;
    }
    s.rt = rt_uv_rt(s.uv);
    s.retry.fire = on_retry;
    s.silence.fire = on_silence;
    sf_list_init(&s.held);
    s.wants_snapshot = o->snapshot == SUB_SNAPSHOT_FIRST;
    if (o->since_us != 0) {
        (void)sf_time_format(o->since_us, s.since);
    }
    code = start(&s, err);
    if (code == SF_OK) {
        rt_uv_run(s.uv);
        code = s.error.code;
        *err = s.error;
    }
    drop_held(&s);
    sf_json_reader_done(&s.reader);
    rt_uv_free(s.uv);
    return code;
}
