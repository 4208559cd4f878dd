#include "leaf/query/follow_nats.h"

#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/bus/service.h"
#include "common/sys/log.h"
#include "leaf/query/follow_text.h"
#include "leaf/serving/deprecation.h"
#include "proto/errors.h"
#include "proto/subjects.h"

/*
 *              page             flushed             within the window
 *   READING ----------> FLUSHING -------+-----------------------------------------> READING
 *                                       |                              ^
 *                                       +-- window full --> WAITING ---+ taken
 */
enum { FLOW_MIN = 16, FLOW_MAX = 64 };

#define FLUSH_NS (5 * SF_NS_PER_S)
#define PROBE_NS (4 * SF_NS_PER_S) /* within a heartbeat */

struct follow_nats {
    struct sf_bus *bus;
    struct follow *follow; /* NULL once it has ended */
    char *reply;           /* owned */
    struct sf_bus_flush flush;
    bool flushing; /* the struct goes when the flush comes back */
    struct sf_bus_call probe;
    bool probing;
    bool told;        /* that the product is deprecated */
    char account[64]; /* "": this domain's */
    char flow[FLOW_MAX + 1];
    uint32_t window; /* 0: no limit */
    uint64_t sent;   /* messages */
    uint64_t taken;
    bool waiting; /* for what is taken */
    struct sf_list link;
};

/* The follow has ended or is closed. */
static void release(struct follow_nats *n)
{
    n->follow = NULL;
    sf_list_remove(&n->link);
    if (n->probing) {
        n->probing = false;
        sf_bus_cancel(n->bus, &n->probe);
    }
    if (!n->flushing) {
        sf_free(n->reply);
        sf_free(n);
    }
}

static void close_now(struct follow_nats *n)
{
    follow_close(n->follow);
    release(n);
}

static bool has_room(const struct follow_nats *n)
{
    return n->window == 0 || n->sent - n->taken < n->window;
}

static void flushed(struct sf_bus_flush *flush, enum sf_code code)
{
    struct follow_nats *n = flush->data;

    n->flushing = false;
    if (n->follow == NULL) {
        sf_free(n->reply);
        sf_free(n);
    } else if (code != SF_OK) {
        close_now(n); /* The asker sees silence and asks again. */
    } else {
        n->waiting = !has_room(n);
        if (!n->waiting) {
            follow_resume(n->follow);
        }
    }
}

static void probed(struct sf_bus_call *call, enum sf_bus_outcome outcome,
                   const struct sf_bus_msg *m)
{
    struct follow_nats *n = call->data;

    (void)m;
    n->probing = false;
    if (outcome == SF_BUS_NO_RESPONDERS) {
        close_now(n);
    }
}

/* A heartbeat asks the server as well whether anybody hears it. */
static enum sf_code send(struct follow_nats *n, const struct follow_event *e,
                         const struct sf_bus_msg *m, struct sf_error *err)
{
    enum sf_code code;

    if (e->kind != FOLLOW_HEARTBEAT || n->probing) {
        return sf_bus_publish(n->bus, m, err);
    }
    n->probe = (struct sf_bus_call){.done = probed, .data = n};
    code = sf_bus_request(n->bus, &n->probe, m, PROBE_NS, err);
    n->probing = code == SF_OK;
    return code;
}

static void position_text(const struct follow_event *e, char *ret, size_t size)
{
    if (e->kind == FOLLOW_CHANGES) {
        (void)snprintf(ret, size, "%u:%llu-%llu", e->epoch, (unsigned long long)e->first_seq,
                       (unsigned long long)e->seq);
    } else {
        (void)snprintf(ret, size, "%u:%llu", e->epoch, (unsigned long long)e->seq);
    }
}

static enum sf_code send_event(struct follow_nats *n, const struct follow_event *e,
                               struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf body = {0};
    char position[64];
    char head[48];
    char number[24];
    char text[DEPRECATION_TEXT];
    struct sf_bus_header headers[6] = {
        {HEADER_EVENT, follow_kind_name(e->kind)},
        {HEADER_POSITION, position},
        {HEADER_FLOW, number},
        {HEADER_HEAD, head},
        {HEADER_TYPE, "application/x-ndjson"},
    };
    struct sf_bus_msg m = {.subject = n->reply, .headers = headers, .header_count = 5};
    enum sf_code code;

    if (!n->told && deprecation_text(follow_product(n->follow), text)) {
        headers[m.header_count++] = (struct sf_bus_header){HEADER_DEPRECATED, text};
    }
    n->told = true;
    (void)snprintf(number, sizeof(number), "%llu", (unsigned long long)++n->sent);
    position_text(e, position, sizeof(position));
    (void)snprintf(head, sizeof(head), "%u:%llu", e->epoch, (unsigned long long)e->head_seq);
    follow_write(e, &body);
    code = sf_buf_check(&body, "answer", err);
    if (code != SF_OK) {
        return code;
    }
    m.data = sf_buf_view(&body);
    if (e->kind == FOLLOW_END) {
        const struct sf_service_page page = {
            .content_type = "application/x-ndjson",
            .data = m.data,
            .headers = headers,
            .header_count = 3, /* event, position and number */
            .is_last = true,
            .count = e->count,
            .cursor = position,
        };

        return sf_service_send_page(n->bus, n->reply, &page, err);
    }
    return send(n, e, &m, err);
}

/* The asker is told, unless it was that which did not go through. */
static void give_up(struct follow_nats *n, const struct follow_event *e, const struct sf_error *why)
{
    struct sf_error err;

    sf_log(SF_LOG_WARN, "query.answer_lost", SF_F_ERROR(why));
    if (e->err == NULL && sf_service_send_error(n->bus, n->reply, why, &err) != SF_OK) {
        sf_log(SF_LOG_DEBUG, "query.error_lost", SF_F_ERROR(&err));
    }
}

static enum follow_reply on_event(void *data, const struct follow_event *e)
{
    struct follow_nats *n = data;
    struct sf_error err;
    enum sf_code code = e->err != NULL ? sf_service_send_error(n->bus, n->reply, e->err, &err)
                                       : send_event(n, e, &err);

    if (code != SF_OK) {
        give_up(n, e, &err);
    }
    if (code != SF_OK || e->kind == FOLLOW_END) {
        release(n);
        return FOLLOW_DROP;
    }
    if (e->kind != FOLLOW_ROWS && e->kind != FOLLOW_CHANGES) {
        return FOLLOW_GO;
    }
    n->flush = (struct sf_bus_flush){.done = flushed, .data = n};
    n->flushing = sf_bus_flush(n->bus, &n->flush, FLUSH_NS, &err) == SF_OK;
    if (!n->flushing) {
        give_up(n, e, &err);
        release(n);
        return FOLLOW_DROP;
    }
    return FOLLOW_WAIT;
}

static struct follow_nats *find(struct sf_list *all, const char *account, const char *flow)
{
    for (struct sf_list *at = all->next; at != all; at = at->next) {
        struct follow_nats *n = SF_CONTAINER_OF(at, struct follow_nats, link);

        if (n->window != 0 && strcmp(n->flow, flow) == 0 && strcmp(n->account, account) == 0) {
            return n;
        }
    }
    return NULL;
}

static enum sf_code check_credit(const struct follow_credit *c, const char *account,
                                 struct sf_list *all, struct sf_error *err)
{
    size_t length = c->flow == NULL ? 0 : strlen(c->flow);

    if (c->window == 0 && length == 0) {
        return SF_OK;
    }
    if (c->window == 0 || length < FLOW_MIN || length > FLOW_MAX) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST,
                          "'flow' is a name of %d to %d bytes, and goes with 'window'", FLOW_MIN,
                          FLOW_MAX);
    }
    return find(all, account, c->flow) == NULL
               ? SF_OK
               : SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST,
                            "'flow' names one that is under way: choose another");
}

enum sf_code follow_nats_start(struct sf_bus *bus, struct queries *qs, const char *reply,
                               const struct follow_spec *spec, const struct follow_credit *credit,
                               struct sf_list *all, struct sf_error *err)
{
    const char *account = spec->caller.account == NULL ? "" : spec->caller.account;
    struct follow_spec bounded = *spec;
    enum sf_code code = check_credit(credit, account, all, err);
    struct follow_nats *n;

    if (code != SF_OK) {
        return code;
    }
    n = sf_calloc(1, sizeof(*n));
    if (n != NULL) {
        n->reply = sf_strdup(reply);
    }
    if (n == NULL || n->reply == NULL) {
        sf_free(n);
        return SF_RAISE(err, SF_NOMEM, "request");
    }
    if (bounded.seconds == 0 || bounded.seconds > FOLLOW_SECONDS_MAX) {
        bounded.seconds = bounded.seconds == 0 ? FOLLOW_SECONDS_NATS : FOLLOW_SECONDS_MAX;
    }
    n->bus = bus;
    n->window = credit->window;
    (void)snprintf(n->account, sizeof(n->account), "%s", account);
    (void)snprintf(n->flow, sizeof(n->flow), "%s", credit->window == 0 ? "" : credit->flow);
    code = follow_start(qs, &bounded, on_event, n, &n->follow, err);
    if (code != SF_OK) {
        sf_free(n->reply);
        sf_free(n);
        return code;
    }
    sf_list_push(all, &n->link);
    return SF_OK;
}

enum sf_code follow_nats_taken(struct sf_list *all, const char *account, const struct sf_json *body,
                               struct sf_error *err)
{
    static const char *const names[] = {"flow", "taken", "stop", NULL};
    const char *flow = "";
    int64_t taken = 0;
    bool stop = false;
    struct follow_nats *n;
    enum sf_code code = sf_json_check_names(body, names, err);

    if (code == SF_OK) {
        code = sf_json_read_text(body, "flow", SF_JSON_REQUIRED, &flow, err);
    }
    if (code == SF_OK) {
        code = sf_json_read_int(body, "taken", SF_JSON_OPTIONAL,
                                (struct sf_json_range){0, INT64_MAX}, &taken, err);
    }
    if (code == SF_OK) {
        code = sf_json_read_bool(body, "stop", SF_JSON_OPTIONAL, &stop, err);
    }
    n = code == SF_OK ? find(all, account, flow) : NULL;
    if (n == NULL) {
        return code;
    }
    if (stop) {
        close_now(n);
    } else if ((uint64_t)taken > n->taken && (uint64_t)taken <= n->sent) {
        n->taken = (uint64_t)taken;
        if (n->waiting && has_room(n)) {
            n->waiting = false;
            follow_resume(n->follow);
        }
    }
    return SF_OK;
}

void follow_nats_free_all(struct sf_list *all)
{
    while (!sf_list_empty(all)) {
        close_now(SF_CONTAINER_OF(all->next, struct follow_nats, link));
    }
}
