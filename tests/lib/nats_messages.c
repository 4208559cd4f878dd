#include "tests/lib/nats_messages.h"

#include <inttypes.h>
#include <stdio.h>

#include "tests/lib/cmocka.h"

static void on_heard(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct heard *h = SF_CONTAINER_OF(sub, struct heard, sub);
    char text[32];
    uint64_t number = 0;

    (void)snprintf(text, sizeof(text), "%.*s", SF_SLICE_ARG(m->data));
    if (sscanf(text, "%" SCNu64, &number) == 1 && number == 0) {
        h->opened++;
        return;
    }
    (void)snprintf(h->subject, sizeof(h->subject), "%s", m->subject);
    (void)snprintf(h->reply, sizeof(h->reply), "%s", m->reply == NULL ? "" : m->reply);
    h->count++;
    if (number != 0 && number <= h->last) {
        h->doubles++;
    } else if (number != 0) {
        h->missing += number - h->last - 1;
        h->last = number;
    }
}

void heard_start(struct nats_fixture *f, struct heard *h, struct sf_bus *bus, const char *subject)
{
    *h = (struct heard){.sub = {.on_msg = on_heard}, .bus = bus};
    assert_int_equal(sf_bus_subscribe(bus, &h->sub, subject, NULL, NULL), SF_OK);
    nats_fixture_flush(f, bus);
}

void heard_stop(struct heard *h)
{
    sf_bus_unsubscribe(h->bus, &h->sub);
}

void say_text(struct sf_bus *bus, const char *subject, const char *text)
{
    struct sf_bus_msg m = {.subject = subject, .data = sf_slice_text(text)};

    assert_int_equal(sf_bus_publish(bus, &m, NULL), SF_OK);
}

void say_number(struct sf_bus *bus, const char *subject, uint64_t number)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%" PRIu64, number);
    say_text(bus, subject, text);
}

void wait_open(struct nats_fixture *f, struct sf_bus *bus, const char *subject,
               const struct heard *h)
{
    size_t before = h->opened;

    for (unsigned i = 0; h->opened == before; i++) {
        if (i > FIXTURE_WAIT_MS / 5) {
            fail_msg("nothing of %s is heard", subject);
        }
        say_number(bus, subject, 0);
        test_loop_idle(&f->loop, 5);
    }
}

static void on_asked(struct sf_bus_call *call, enum sf_bus_outcome outcome,
                     const struct sf_bus_msg *m)
{
    struct asked *a = SF_CONTAINER_OF(call, struct asked, call);

    a->is_done = true;
    a->outcome = outcome;
    if (m != NULL) {
        (void)snprintf(a->text, sizeof(a->text), "%.*s", SF_SLICE_ARG(m->data));
    }
}

enum sf_bus_outcome ask_once(struct nats_fixture *f, struct sf_bus *bus, const char *subject,
                             struct sf_slice data, unsigned timeout_ms, struct asked *ret)
{
    struct asked local;
    struct asked *a = ret == NULL ? &local : ret;
    struct sf_bus_msg m = {.subject = subject, .data = data};

    *a = (struct asked){.call = {.done = on_asked}};
    assert_int_equal(sf_bus_request(bus, &a->call, &m, timeout_ms * SF_NS_PER_MS, NULL), SF_OK);
    test_loop_until_flag(&f->loop, &a->is_done, "the end of a request", timeout_ms + 5000);
    return a->outcome;
}

void ask_until_answered(struct nats_fixture *f, struct sf_bus *bus, const char *subject)
{
    const uint64_t end_ns = sf_rt_now_ns(f->loop.rt) + FIXTURE_WAIT_MS * SF_NS_PER_MS;

    while (ask_once(f, bus, subject, SF_LITERAL("{}"), 300, NULL) != SF_BUS_ANSWERED) {
        if (sf_rt_now_ns(f->loop.rt) > end_ns) {
            fail_msg("%s is not answered within %d ms", subject, FIXTURE_WAIT_MS);
        }
    }
}
