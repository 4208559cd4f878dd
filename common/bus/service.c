#include "common/bus/service.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/base/str.h"
#include "common/wire/problem.h"
#include "proto/subjects.h"

enum { HEADERS_MAX = 16 };

/* --- errors ----------------------------------------------------------------------------------- */

void sf_service_problem(const struct sf_error *why, struct sf_buf *ret)
{
    struct sf_json_writer w = {.out = ret};

    sf_problem_begin(&w, why);
    sf_json_object_end(&w);
}

/* --- answering -------------------------------------------------------------------------------- */

enum sf_code sf_service_send_page(struct sf_bus *bus, const char *reply,
                                  const struct sf_service_page *page, struct sf_error *err)
{
    struct sf_bus_header headers[HEADERS_MAX] = {{HEADER_TYPE, page->content_type}};
    struct sf_bus_msg m = {
        .subject = reply,
        .data = page->data,
        .headers = headers,
        .header_count = 1,
        .ends_answer = page->is_last,
    };
    char count[SF_U64_TEXT_SIZE];

    sf_assert(page->header_count <= HEADERS_MAX - 3);
    sf_assert(page->data.size <= SF_SERVICE_PAGE_MAX);
    for (size_t i = 0; i < page->header_count; i++) {
        headers[m.header_count++] = page->headers[i];
    }
    if (page->is_last) {
        (void)sf_format_u64(page->count, count);
        headers[m.header_count++] = (struct sf_bus_header){HEADER_COUNT, count};
        if (page->cursor != NULL && *page->cursor != '\0') {
            headers[m.header_count++] = (struct sf_bus_header){HEADER_CURSOR, page->cursor};
        }
    }
    return sf_bus_publish(bus, &m, err);
}

/* A message that is a whole answer: the end follows when @ends. */
static enum sf_code send_whole(struct sf_bus *bus, const char *reply, const char *content_type,
                               const struct sf_bus_header *more, size_t count, struct sf_slice data,
                               bool ends, struct sf_error *err)
{
    struct sf_bus_header headers[HEADERS_MAX] = {{HEADER_TYPE, content_type}};
    const struct sf_bus_msg m = {
        .subject = reply,
        .data = data,
        .headers = headers,
        .header_count = count + 1,
        .ends_answer = ends,
    };

    sf_assert(count < HEADERS_MAX);
    for (size_t i = 0; i < count; i++) {
        headers[i + 1] = more[i];
    }
    return sf_bus_publish(bus, &m, err);
}

enum sf_code sf_service_reply(struct sf_bus *bus, const char *reply, const char *content_type,
                              struct sf_slice data, struct sf_error *err)
{
    return send_whole(bus, reply, content_type, NULL, 0, data, false, err);
}

enum sf_code sf_service_send(struct sf_bus *bus, const char *reply, const char *content_type,
                             struct sf_slice data, struct sf_error *err)
{
    return send_whole(bus, reply, content_type, NULL, 0, data, true, err);
}

enum sf_code sf_service_send_with(struct sf_bus *bus, const char *reply, const char *content_type,
                                  const struct sf_bus_header *headers, size_t count,
                                  struct sf_slice data, struct sf_error *err)
{
    return send_whole(bus, reply, content_type, headers, count, data, true, err);
}

static enum sf_code send_problem(struct sf_bus *bus, const char *reply, const struct sf_error *why,
                                 struct sf_slice document, bool ends, struct sf_error *err)
{
    const struct sheaf_error_info *info = sf_problem_info(why);
    struct sf_error text = *why;
    char status[8];
    char id[16];
    const struct sf_bus_header headers[] = {
        {HEADER_ERROR, text.text},
        {HEADER_ERROR_CODE, status},
        {HEADER_ERROR_ID, id},
    };

    for (char *c = text.text; *c != '\0'; c++) {
        *c = *c == '\r' || *c == '\n' ? ' ' : *c; /* a header is one line */
    }
    (void)snprintf(status, sizeof(status), "%u", info->http_status);
    (void)snprintf(id, sizeof(id), "SHEAF-E%04u", info->number);
    return send_whole(bus, reply, "application/problem+json", headers, SF_COUNT(headers), document,
                      ends, err);
}

static enum sf_code send_error(struct sf_bus *bus, const char *reply, const struct sf_error *why,
                               bool ends, struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf body = {0};

    sf_service_problem(why, &body);
    return send_problem(bus, reply, why, sf_problem_view(&body, why), ends, err);
}

enum sf_code sf_service_reply_problem(struct sf_bus *bus, const char *reply,
                                      const struct sf_error *why, struct sf_slice document,
                                      struct sf_error *err)
{
    return send_problem(bus, reply, why, document, false, err);
}

enum sf_code sf_service_reply_error(struct sf_bus *bus, const char *reply,
                                    const struct sf_error *why, struct sf_error *err)
{
    return send_error(bus, reply, why, false, err);
}

enum sf_code sf_service_send_error(struct sf_bus *bus, const char *reply,
                                   const struct sf_error *why, struct sf_error *err)
{
    return send_error(bus, reply, why, true, err);
}

enum sf_code sf_service_send_problem(struct sf_bus *bus, const char *reply,
                                     const struct sf_error *why, struct sf_slice document,
                                     struct sf_error *err)
{
    return send_problem(bus, reply, why, document, true, err);
}

/* --- asking ----------------------------------------------------------------------------------- */

static enum sf_code raise_nobody(const char *what, struct sf_error *err)
{
    return SF_RAISE_E(err, SF_UNAVAILABLE, SHEAF_E_LEAF_UNREACHABLE, "%s", what);
}

static bool is_no_responders(const struct sf_bus_msg *m)
{
    const char *status = m->data.size != 0 ? NULL : sf_bus_msg_header(m, "Status");

    return status != NULL && strcmp(status, "503") == 0;
}

enum sf_code sf_service_check(const struct sf_bus_msg *m, struct sf_error *err)
{
    const char *status = sf_bus_msg_header(m, HEADER_ERROR_CODE);
    const char *id = sf_bus_msg_header(m, HEADER_ERROR_ID);
    const char *text = sf_bus_msg_header(m, HEADER_ERROR);
    unsigned number = SHEAF_E_INTERNAL;
    unsigned http_status = 500;

    if (is_no_responders(m)) {
        return raise_nobody("nobody serves this request", err);
    }
    if (status == NULL && text == NULL) {
        return SF_OK;
    }
    if (id == NULL || sscanf(id, "SHEAF-E%4u", &number) != 1) {
        number = SHEAF_E_INTERNAL; /* a service that is not ours */
    }
    if (status == NULL || sscanf(status, "%3u", &http_status) != 1) {
        http_status = sheaf_error_info((uint16_t)number)->http_status;
    }
    return SF_RAISE_E(err, sf_problem_code(http_status), (uint16_t)number, "%s",
                      text == NULL || *text == '\0' ? "the service answered with an error" : text);
}

/* A streamed request under way. */
struct asking {
    struct sf_rt *rt;
    struct sf_bus *bus;
    struct sf_service_ask *owner;
    struct sf_bus_sub sub;
    struct sf_timer idle;
    uint64_t idle_ns;
};

static void release(struct asking *a)
{
    sf_rt_timer_stop(a->rt, &a->idle);
    sf_bus_unsubscribe(a->bus, &a->sub);
    a->owner->private = NULL;
    sf_free(a);
}

static void end(struct asking *a, enum sf_code code, const struct sf_error *err,
                struct sf_slice problem)
{
    struct sf_service_ask *owner = a->owner;

    owner->problem = problem;
    release(a);
    owner->on_end(owner, code, err);
}

static void on_idle(struct sf_timer *t)
{
    struct asking *a = SF_CONTAINER_OF(t, struct asking, idle);
    struct sf_error err = {0};
    bool connected = sf_bus_connected(a->bus);

    end(a,
        raise_nobody(connected ? "no answer: nobody serves this request, or not now"
                               : "no answer: the connection to NATS was lost",
                     &err),
        &err, sf_slice_text(NULL));
}

static void on_answer(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct asking *a = sub->data;
    struct sf_error err = {0};
    enum sf_code code = sf_service_check(m, &err);

    if (code != SF_OK) {
        end(a, code, &err, m->data);
    } else if (m->data.size == 0 && m->header_count == 0) {
        end(a, SF_OK, NULL, sf_slice_text(NULL));
    } else {
        sf_rt_timer_start(a->rt, &a->idle, a->idle_ns);
        a->owner->on_page(a->owner, m); /* may cancel: @a is not touched behind it */
    }
}

enum sf_code sf_service_ask_start(struct sf_rt *rt, struct sf_bus *bus, struct sf_service_ask *ask,
                                  const struct sf_bus_msg *request, uint64_t idle_ns,
                                  struct sf_error *err)
{
    struct asking *a = sf_calloc(1, sizeof(*a));
    struct sf_bus_msg m = *request;
    char inbox[128];
    enum sf_code code;

    if (a == NULL) {
        return SF_RAISE(err, SF_NOMEM, "request");
    }
    a->rt = rt;
    a->bus = bus;
    a->owner = ask;
    a->idle_ns = idle_ns;
    a->sub = (struct sf_bus_sub){.on_msg = on_answer, .data = a};
    a->idle.fire = on_idle;
    ask->private = a;
    m.reply = inbox;
    code = sf_bus_new_inbox(bus, inbox, sizeof(inbox), err);
    if (code == SF_OK) {
        code = sf_bus_subscribe(bus, &a->sub, inbox, NULL, err);
    }
    if (code == SF_OK) {
        code = sf_bus_publish(bus, &m, err);
    }
    if (code != SF_OK) {
        release(a);
        return code;
    }
    sf_rt_timer_start(rt, &a->idle, idle_ns);
    return SF_OK;
}

void sf_service_ask_hold(struct sf_service_ask *ask)
{
    struct asking *a = ask->private;

    if (a != NULL) {
        sf_rt_timer_stop(a->rt, &a->idle);
    }
}

void sf_service_ask_awake(struct sf_service_ask *ask)
{
    struct asking *a = ask->private;

    if (a != NULL) {
        sf_rt_timer_start(a->rt, &a->idle, a->idle_ns);
    }
}

void sf_service_ask_cancel(struct sf_service_ask *ask)
{
    if (ask->private != NULL) {
        release(ask->private);
    }
}
