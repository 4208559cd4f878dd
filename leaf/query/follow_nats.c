#include "leaf/query/follow_nats.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "common/bus/service.h"
#include "common/sys/log.h"
#include "leaf/query/follow_text.h"
#include "leaf/serving/deprecation.h"
#include "proto/subjects.h"

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
    bool told; /* that the product is deprecated */
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
        follow_resume(n->follow);
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
    char text[DEPRECATION_TEXT];
    struct sf_bus_header headers[] = {
        {HEADER_EVENT, follow_kind_name(e->kind)}, {HEADER_POSITION, position}, {HEADER_HEAD, head},
        {HEADER_TYPE, "application/x-ndjson"},     {HEADER_DEPRECATED, text},
    };
    const bool tells = !n->told && deprecation_text(follow_product(n->follow), text);
    struct sf_bus_msg m = {.subject = n->reply, .headers = headers, .header_count = tells ? 5 : 4};
    enum sf_code code;

    n->told = true;
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
            .header_count = 2, /* event and position */
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

enum sf_code follow_nats_start(struct sf_bus *bus, struct queries *qs, const char *reply,
                               const struct follow_spec *spec, struct sf_list *all,
                               struct sf_error *err)
{
    struct follow_nats *n = sf_calloc(1, sizeof(*n));
    struct follow_spec bounded = *spec;
    enum sf_code code;

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
    code = follow_start(qs, &bounded, on_event, n, &n->follow, err);
    if (code != SF_OK) {
        sf_free(n->reply);
        sf_free(n);
        return code;
    }
    sf_list_push(all, &n->link);
    return SF_OK;
}

void follow_nats_free_all(struct sf_list *all)
{
    while (!sf_list_empty(all)) {
        close_now(SF_CONTAINER_OF(all->next, struct follow_nats, link));
    }
}
