#include "tests/unit/hub/fake_stream.h"

#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/wire/json.h"

static void answer(struct fake_stream *s, const char *reply, struct sf_slice data,
                   const struct sf_bus_header *headers, size_t count)
{
    const struct sf_bus_msg m = {
        .subject = reply,
        .data = data,
        .headers = headers,
        .header_count = count,
    };

    sf_alloc_spare(true);
    assert_int_equal(sf_bus_publish(s->bus, &m, NULL), SF_OK);
    sf_alloc_spare(false);
}

static void on_info(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct fake_stream *s = sub->data;
    char text[256];

    if (s->exists) {
        (void)snprintf(text, sizeof(text),
                       "{\"config\":{\"deny_delete\":%s,\"deny_purge\":true,\"allow_direct\":true},"
                       "\"state\":{\"first_seq\":%lu,\"last_seq\":%lu}}",
                       s->allows_delete ? "false" : "true", (unsigned long)s->first,
                       (unsigned long)(s->first + s->count - 1));
    } else {
        (void)snprintf(text, sizeof(text), "{\"error\":{\"code\":404,\"err_code\":10059}}");
    }
    answer(s, m->reply, sf_slice_text(text), NULL, 0);
}

static void on_create(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct fake_stream *s = sub->data;

    s->exists = true;
    answer(s, m->reply, SF_LITERAL("{\"config\":{}}"), NULL, 0);
}

void fake_stream_put(struct fake_stream *s, struct sf_slice bytes)
{
    assert_true(s->count < FAKE_STREAM_MAX);
    s->exists = true;
    sf_alloc_spare(true);
    sf_buf_slice(&s->events[s->count++], bytes);
    sf_alloc_spare(false);
}

static void on_event(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct fake_stream *s = sub->data;
    const char *expected = sf_bus_msg_header(m, "Nats-Expected-Last-Sequence");
    char text[128];

    assert_non_null(expected);
    if (s->lose_events > 0) {
        s->lose_events--;
        return;
    }
    s->publishes++;
    if (strtoul(expected, NULL, 10) != s->count) {
        answer(s, m->reply, SF_LITERAL("{\"error\":{\"code\":400,\"err_code\":10071}}"), NULL, 0);
        return;
    }
    fake_stream_put(s, m->data);
    if (s->lose_acks > 0) {
        s->lose_acks--;
        return;
    }
    (void)snprintf(text, sizeof(text), "{\"stream\":\"HUB_EVENTS\",\"seq\":%zu}", s->count);
    answer(s, m->reply, sf_slice_text(text), NULL, 0);
}

static void send_event(struct fake_stream *s, const char *reply, uint64_t number)
{
    char sequence[24];
    const struct sf_bus_header header = {"Nats-Sequence", sequence};

    (void)snprintf(sequence, sizeof(sequence), "%lu", (unsigned long)number);
    answer(s, reply, sf_buf_view(&s->events[number - s->first]), &header, 1);
}

static void on_get(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct fake_stream *s = sub->data;
    const struct sf_bus_header absent[] = {{"Status", "404"}};
    const struct sf_bus_header end[] = {{"Status", "204"}};
    struct sf_json_doc *doc = NULL;
    uint64_t from = 0;
    uint64_t batch = 0;

    if (s->silent_reads > 0) {
        s->silent_reads--;
        return;
    }
    s->batches++;
    sf_alloc_spare(true);
    assert_int_equal(sf_json_parse(m->data, &doc, NULL), SF_OK);
    sf_alloc_spare(false);
    assert_true(sf_json_as_uint(sf_json_get(sf_json_root(doc), "seq"), &from));
    assert_true(sf_json_as_uint(sf_json_get(sf_json_root(doc), "batch"), &batch));
    sf_json_free(doc);
    if (from >= s->first + s->count) {
        answer(s, m->reply, SF_LITERAL(""), absent, 1);
        return;
    }
    for (uint64_t n = from; n < from + batch && n < s->first + s->count; n++) {
        if (n != s->leave_out) {
            send_event(s, m->reply, n);
        }
    }
    answer(s, m->reply, SF_LITERAL(""), end, 1);
}

void fake_stream_init(struct fake_stream *s, struct sf_bus *bus)
{
    const struct {
        const char *subject;
        void (*on_msg)(struct sf_bus_sub *sub, const struct sf_bus_msg *m);
    } served[] = {
        {"$JS.API.STREAM.INFO.HUB_EVENTS", on_info},
        {"$JS.API.STREAM.CREATE.HUB_EVENTS", on_create},
        {"hub.events", on_event},
        {"$JS.API.DIRECT.GET.HUB_EVENTS", on_get},
    };

    memset(s, 0, sizeof(*s));
    s->bus = bus;
    s->first = 1;
    for (size_t i = 0; i < SF_COUNT(served); i++) {
        s->subs[i] = (struct sf_bus_sub){.on_msg = served[i].on_msg, .data = s};
        assert_int_equal(sf_bus_subscribe(bus, &s->subs[i], served[i].subject, NULL, NULL), SF_OK);
    }
}

void fake_stream_done(struct fake_stream *s)
{
    for (size_t i = 0; i < SF_COUNT(s->subs); i++) {
        sf_bus_unsubscribe(s->bus, &s->subs[i]);
    }
    for (size_t i = 0; i < s->count; i++) {
        sf_buf_done(&s->events[i]);
    }
}
