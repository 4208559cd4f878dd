#include "tests/unit/ingest/fake_js.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/bus/jetstream.h"
#include "tests/lib/cmocka.h"

#define ACK_WAIT_NS (10 * SF_NS_PER_S)
#define AGAIN_NS    SF_NS_PER_S
#define PULL_NS     (30 * SF_NS_PER_S)

/* What finds no memory on its way is lost, as by a network. */
static void say(struct fake_js *js, const char *to, const char *reply, const char *text)
{
    const struct sf_bus_msg m = {.subject = to, .reply = reply, .data = sf_slice_text(text)};

    (void)(sf_bus_publish(js->bus, &m, NULL) == SF_OK);
}

static unsigned unacked(const struct fake_js *js)
{
    unsigned n = 0;

    for (unsigned i = 0; i < js->delivered; i++) {
        n += !js->acked[i];
    }
    return n;
}

static void deliver(struct fake_js *js, unsigned at)
{
    char reply[128];

    js->times[at]++;
    js->redeliveries += js->times[at] > 1;
    js->sent_ns[at] = sf_rt_now_ns(js->rt);
    js->pull_left--;
    (void)snprintf(reply, sizeof(reply), "$JS.ACK.SHOP.c.%u.%u.%u.1.%u", js->times[at], at + 1,
                   ++js->deliveries, js->count - js->delivered);
    say(js, js->pull_reply, reply, js->texts[at]);
}

static void pump(struct fake_js *js)
{
    const uint64_t now_ns = sf_rt_now_ns(js->rt);

    for (unsigned i = 0; i < js->delivered && js->pull_left > 0; i++) {
        if (!js->acked[i] && now_ns - js->sent_ns[i] >= ACK_WAIT_NS) {
            deliver(js, i);
        }
    }
    while (js->pull_left > 0 && js->delivered < js->count && unacked(js) < js->ack_pending_max) {
        deliver(js, js->delivered++);
    }
}

static void end_pull(struct fake_js *js)
{
    static const struct sf_bus_header status = {"Status", "408 Request Timeout"};
    const struct sf_bus_msg m = {.subject = js->pull_reply, .headers = &status, .header_count = 1};

    js->pull_left = 0;
    (void)(sf_bus_publish(js->bus, &m, NULL) == SF_OK);
}

static void again_fire(struct sf_timer *t)
{
    struct fake_js *js = SF_CONTAINER_OF(t, struct fake_js, again);

    pump(js);
    if (js->pull_left > 0 && sf_rt_now_ns(js->rt) >= js->pull_ends_ns) {
        end_pull(js);
    }
    sf_rt_timer_start(js->rt, &js->again, AGAIN_NS);
}

static void tell_consumer(struct fake_js *js, const char *reply)
{
    char text[512];
    unsigned floor = 0;

    if (!js->has_consumer) {
        say(js, reply, NULL,
            "{\"error\":{\"code\":404,\"err_code\":10014,\"description\":\"none\"}}");
        return;
    }
    while (floor < js->delivered && js->acked[floor]) {
        floor++;
    }
    (void)snprintf(text, sizeof(text),
                   "{\"config\":{\"ack_policy\":\"explicit\",\"ack_wait\":%llu,"
                   "\"max_ack_pending\":%u},\"delivered\":{\"consumer_seq\":%u,\"stream_seq\":%u},"
                   "\"ack_floor\":{\"stream_seq\":%u},\"num_ack_pending\":%u,\"num_pending\":%u}",
                   (unsigned long long)ACK_WAIT_NS, js->ack_pending_max, js->deliveries,
                   js->delivered, floor, unacked(js), js->count - js->delivered);
    say(js, reply, NULL, text);
}

static void on_api(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct fake_js *js = sub->data;
    const char *op = m->subject + strlen("$JS.API.");

    if (strncmp(op, "STREAM.INFO.", 12) == 0) {
        say(js, m->reply, NULL,
            "{\"created\":\"2026-01-01T00:00:00Z\",\"config\":{\"retention\":\"limits\"}}");
    } else if (strncmp(op, "CONSUMER.INFO.", 14) == 0) {
        tell_consumer(js, m->reply);
    } else if (strncmp(op, "CONSUMER.CREATE.", 16) == 0) {
        js->creations += !js->has_consumer;
        js->has_consumer = true;
        tell_consumer(js, m->reply);
    } else {
        assert_string_equal(op, "CONSUMER.MSG.NEXT.SHOP.c");
        assert_memory_equal(m->data.data, "{\"batch\":", 9);
        js->pull_left = (unsigned)strtoul((const char *)m->data.data + 9, NULL, 10);
        js->pull_ends_ns = sf_rt_now_ns(js->rt) + PULL_NS;
        (void)snprintf(js->pull_reply, sizeof(js->pull_reply), "%s", m->reply);
        pump(js);
    }
}

static void on_ack(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct fake_js *js = sub->data;
    struct sf_js_delivery d;

    if (m->data.size == 0) { /* Nobody took the delivery: that pull is over. */
        js->pull_left = 0;
        return;
    }
    assert_true(sf_slice_equal(m->data, SF_LITERAL("+ACK")));
    assert_true(sf_js_delivery_parse(m->subject, &d));
    assert_true(d.stream_seq >= 1 && d.stream_seq <= js->delivered);
    js->acked[d.stream_seq - 1] = true;
    pump(js);
}

void fake_js_init(struct fake_js *js, struct sf_rt *rt, struct fake_broker *b)
{
    *js = (struct fake_js){.rt = rt, .bus = fake_bus_connect(b), .ack_pending_max = 4};
    js->api = (struct sf_bus_sub){.on_msg = on_api, .data = js};
    js->acks = (struct sf_bus_sub){.on_msg = on_ack, .data = js};
    assert_int_equal(sf_bus_subscribe(js->bus, &js->api, "$JS.API.>", NULL, NULL), SF_OK);
    assert_int_equal(sf_bus_subscribe(js->bus, &js->acks, "$JS.ACK.>", NULL, NULL), SF_OK);
    js->again.fire = again_fire;
    fake_js_go_on(js);
}

void fake_js_pause(struct fake_js *js)
{
    sf_rt_timer_stop(js->rt, &js->again);
}

void fake_js_go_on(struct fake_js *js)
{
    sf_rt_timer_start(js->rt, &js->again, AGAIN_NS);
}

void fake_js_add(struct fake_js *js, const char *text)
{
    assert_true(js->count < FAKE_JS_MAX);
    js->texts[js->count++] = text;
    pump(js);
}

unsigned fake_js_acked(const struct fake_js *js)
{
    unsigned n = 0;

    for (unsigned i = 0; i < js->count; i++) {
        n += js->acked[i];
    }
    return n;
}
