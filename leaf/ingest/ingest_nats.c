#include "leaf/ingest/ingest_nats.h"

#include "common/base/alloc.h"
#include "common/base/list.h"
#include "common/bus/service.h"
#include "common/sys/log.h"
#include "common/wire/problem.h"
#include "leaf/ingest/form.h"
#include "proto/subjects.h"

struct ingest_nats {
    struct sf_bus *bus;
    struct ingest *in;
    const struct serving *serving;
    struct sf_bus_sub sub;
    struct sf_list asked;
    struct sf_micro_counts counts;
};

/* One request under way. */
struct asked {
    struct ingest_nats *owner; /* NULL: the service is gone */
    char *reply;               /* owned */
    int64_t began_us;
    struct sf_list link;
};

static void asked_free(struct asked *a)
{
    if (a != NULL) {
        sf_list_remove(&a->link);
        sf_free(a->reply);
        sf_free(a);
    }
}

static void note_lost(enum sf_code code, const struct sf_error *err)
{
    if (code != SF_OK) {
        sf_log(SF_LOG_WARN, "ingest.answer_lost", SF_F_ERROR(err));
    }
}

static enum sf_code send_answer(struct asked *a, const struct ingest_result *result,
                                struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf body = {0};
    const struct sf_bus_header headers[] = {
        {HEADER_TYPE, "application/json"},
        {HEADER_REPLAYED, "true"},
    };
    struct sf_bus_msg m = {
        .subject = a->reply,
        .headers = headers,
        .header_count = result->replayed ? 2 : 1,
    };
    enum sf_code code;

    ingest_form_answer(result, &body);
    code = sf_buf_check(&body, "answer", err);
    if (code == SF_OK) {
        m.data = sf_buf_view(&body);
        code = sf_bus_publish(a->owner->bus, &m, err);
    }
    return code;
}

static enum sf_code send_refusal(struct asked *a, const struct ingest_result *result,
                                 const struct sf_error *why, struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf body = {0};

    ingest_form_refusal(result, why, &body);
    return sf_service_reply_problem(a->owner->bus, a->reply, why, sf_problem_view(&body, why), err);
}

/* @why NULL: it was stored. */
static void count_end(struct ingest_nats *n, int64_t began_us, const struct sf_error *why)
{
    sf_micro_count(&n->counts, sf_rt_wall_us(n->serving->rt) - began_us, why);
}

void ingest_nats_stats(const struct ingest_nats *n, struct sf_micro_stats *ret)
{
    *ret = sf_micro_stats_of(&n->counts);
}

static void on_done(void *data, const struct ingest_result *result, const struct sf_error *why)
{
    struct asked *a = data;
    struct sf_error err;

    if (a->owner != NULL) {
        count_end(a->owner, a->began_us, why);
        note_lost(why == NULL ? send_answer(a, result, &err) : send_refusal(a, result, why, &err),
                  &err);
    }
    asked_free(a);
}

/* --- requests --------------------------------------------------------------------------------- */

static enum sf_code find_table(const struct ingest_nats *n, const char *subject,
                               struct ingest_request *ret, struct sf_error *err)
{
    struct subject_ingest_parts parts;
    struct serving_right right;
    enum sf_code code;

    if (!subject_ingest_parse(subject, &parts)) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_NO_SUCH_PATH,
                          "subject is neither in.P.T.vM nor in.P.vM");
    }
    code = serving_decide(n->serving, &(struct serving_caller){0}, parts.product, parts.major,
                          &right, err);
    if (code != SF_OK) {
        return code;
    }
    if (parts.table[0] == '\0') {
        ret->product = right.product;
        return SF_OK;
    }
    ret->table = served_product_table(right.product, parts.table);
    return ret->table == NULL
               ? SF_RAISE_E(err, SF_ABSENT, SHEAF_E_TABLE_UNKNOWN, "table '%s'", parts.table)
               : SF_OK;
}

static enum sf_code read_request(const struct ingest_nats *n, const struct sf_bus_msg *m,
                                 struct ingest_request *ret, struct sf_error *err)
{
    const char *type = sf_bus_msg_header(m, HEADER_TYPE);
    const struct ingest_form form = {
        .content_type = type == NULL ? "application/x-ndjson" : type,
        .content_encoding = sf_bus_msg_header(m, HEADER_ENCODING),
        .on_invalid = sf_bus_msg_header(m, HEADER_ON_INVALID),
        .envelope = sf_bus_msg_header(m, HEADER_ENVELOPE),
        .expected_seq = sf_bus_msg_header(m, HEADER_EXPECTED_SEQ),
        .if_match = sf_bus_msg_header(m, HEADER_IF_MATCH),
        .idempotency_key = sf_bus_msg_header(m, HEADER_IDEMPOTENCY_KEY),
    };
    enum sf_code code = find_table(n, m->subject, ret, err);

    if (code == SF_OK) {
        code = ingest_form_read(&form, ret, err);
    }
    if (code == SF_OK) {
        sf_buf_slice(&ret->body, m->data);
        code = sf_buf_check(&ret->body, "request", err);
    }
    return code;
}

static struct asked *asked_new(struct ingest_nats *n, const char *reply)
{
    struct asked *a = sf_calloc(1, sizeof(*a));

    if (a == NULL) {
        return NULL;
    }
    sf_list_init(&a->link);
    a->owner = n;
    a->began_us = sf_rt_wall_us(n->serving->rt);
    a->reply = sf_strdup(reply);
    if (a->reply == NULL) {
        asked_free(a);
        return NULL;
    }
    return a;
}

static enum sf_code take(struct ingest_nats *n, const struct sf_bus_msg *m, struct sf_error *err)
{
    struct ingest_request request = {0};
    struct asked *a = NULL;
    enum sf_code code = read_request(n, m, &request, err);

    if (code == SF_OK) {
        a = asked_new(n, m->reply);
        code = a == NULL ? SF_RAISE(err, SF_NOMEM, "request") : SF_OK;
    }
    if (code != SF_OK) {
        sf_buf_done(&request.body);
        return code;
    }
    code = ingest_start(n->in, &request, on_done, a, err);
    if (code != SF_OK) {
        asked_free(a);
        return code;
    }
    sf_list_push(&n->asked, &a->link);
    return SF_OK;
}

static void on_msg(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct ingest_nats *n = sub->data;
    struct sf_error why;
    struct sf_error err;

    /* Nobody to tell, or a subject on which only the leaf may speak. */
    if (m->reply == NULL || *m->reply == '\0' || subject_is_reserved(m->reply)) {
        sf_log(SF_LOG_DEBUG, "ingest.no_reply_subject", SF_F_TEXT("subject", m->subject));
        return;
    }
    if (take(n, m, &why) != SF_OK) {
        count_end(n, sf_rt_wall_us(n->serving->rt), &why);
        note_lost(sf_service_reply_error(n->bus, m->reply, &why, &err), &err);
    }
}

enum sf_code ingest_nats_new(struct sf_bus *bus, struct ingest *in, const struct serving *serving,
                             struct ingest_nats **ret, struct sf_error *err)
{
    struct ingest_nats *n = sf_calloc(1, sizeof(*n));
    char subject[SUBJECT_MAX];
    enum sf_code code;

    if (n == NULL) {
        return SF_RAISE(err, SF_NOMEM, "ingest over NATS");
    }
    n->bus = bus;
    n->in = in;
    n->serving = serving;
    n->sub = (struct sf_bus_sub){.on_msg = on_msg, .data = n};
    sf_list_init(&n->asked);
    subject_ingest_listen(subject);
    code = sf_bus_subscribe(bus, &n->sub, subject, NULL, err);
    if (code != SF_OK) {
        sf_free(n);
        return code;
    }
    *ret = n;
    return SF_OK;
}

void ingest_nats_free(struct ingest_nats *n)
{
    if (n == NULL) {
        return;
    }
    sf_bus_unsubscribe(n->bus, &n->sub);
    while (!sf_list_empty(&n->asked)) {
        struct asked *a = SF_CONTAINER_OF(sf_list_pop(&n->asked), struct asked, link);

        a->owner = NULL; /* Freed by its answer. */
    }
    sf_free(n);
}
