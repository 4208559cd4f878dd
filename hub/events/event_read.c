/*
 *   (ask for a batch) -> message, message, ... end of batch -> (ask for the next) ... -> done
 *
 * A batched direct get (`allow_direct`) answers with the stored messages, each with its sequence in
 * Nats-Sequence, and then one message without that header.
 */
#include "hub/events/event_read.h"

#include <stdio.h>
#include <string.h>

#include "common/base/str.h"
#include "proto/errors.h"

static void end(struct event_read *r, enum sf_code code, const struct sf_error *err)
{
    event_read_cancel(r);
    r->done(r, code, err);
}

static enum sf_code ask(struct event_read *r, struct sf_error *err)
{
    uint64_t count = r->last - r->next + 1;
    char body[96];
    int n;

    if (count > EVENT_READ_BATCH) {
        count = EVENT_READ_BATCH;
    }
    n = snprintf(body, sizeof(body), "{\"seq\":%lu,\"batch\":%lu}", (unsigned long)r->next,
                 (unsigned long)count);
    const struct sf_bus_msg m = {
        .subject = "$JS.API.DIRECT.GET." EVENT_STREAM,
        .reply = r->inbox,
        .data = sf_slice_of(body, (size_t)n),
    };

    sf_rt_timer_start(r->rt, &r->silence, EVENT_READ_SILENCE_NS);
    return sf_bus_publish(r->bus, &m, err);
}

/* A stored message: must be the one awaited. */
static enum sf_code take(struct event_read *r, const char *sequence, struct sf_slice bytes,
                         struct sf_error *err)
{
    uint64_t number = 0;
    enum sf_code code;

    if (sf_parse_u64(sf_slice_text(sequence), &number) != SF_PARSE_OK || number != r->next) {
        return SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_STORE_CORRUPT,
                          "event %lu is missing: the stream goes on with %.20s",
                          (unsigned long)r->next, sequence);
    }
    code = r->on_bytes(r, number, bytes, err);
    r->next++;
    return code;
}

/* A batch that brought no event: the stream has none at @r->next, or nobody serves it now. */
static enum sf_code nothing(const struct event_read *r, const char *status, struct sf_error *err)
{
    if (status != NULL && (strcmp(status, "404") == 0 || strcmp(status, "204") == 0)) {
        return SF_RAISE(err, SF_ABSENT, "event %lu is not there", (unsigned long)r->next);
    }
    return SF_RAISE(err, SF_UNAVAILABLE, "the event log is not served (status %.8s)",
                    status == NULL ? "none" : status);
}

static void on_msg(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct event_read *r = sub->data;
    const char *sequence = sf_bus_msg_header(m, "Nats-Sequence");
    struct sf_error err = {0};
    enum sf_code code;

    if (sequence != NULL) {
        code = take(r, sequence, m->data, &err);
        r->progress = true;
    } else if (!r->progress) {
        code = nothing(r, sf_bus_msg_header(m, "Status"), &err);
    } else {
        r->progress = false;
        code = ask(r, &err);
    }
    if (code != SF_OK || r->next > r->last) {
        end(r, code, code == SF_OK ? NULL : &err);
    }
}

static void on_silence(struct sf_timer *t)
{
    struct event_read *r = SF_CONTAINER_OF(t, struct event_read, silence);
    struct sf_error err;
    enum sf_code code = SF_RAISE(&err, SF_UNAVAILABLE, "no answer from the event log for 5 s");

    end(r, code, &err);
}

enum sf_code event_read_start(struct sf_rt *rt, struct sf_bus *bus, struct event_read *r,
                              struct sf_error *err)
{
    enum sf_code code;

    r->rt = rt;
    r->bus = bus;
    r->sub = (struct sf_bus_sub){.on_msg = on_msg, .data = r};
    r->silence = (struct sf_timer){.fire = on_silence};
    r->progress = false;
    code = sf_bus_new_inbox(bus, r->inbox, sizeof(r->inbox), err);
    if (code != SF_OK) {
        return code;
    }
    code = sf_bus_subscribe(bus, &r->sub, r->inbox, NULL, err);
    if (code != SF_OK) {
        return code;
    }
    code = ask(r, err);
    if (code != SF_OK) {
        event_read_cancel(r);
    }
    return code;
}

void event_read_cancel(struct event_read *r)
{
    if (r->rt != NULL) {
        sf_rt_timer_stop(r->rt, &r->silence);
        sf_bus_unsubscribe(r->bus, &r->sub);
    }
}
