#include "common/bus/flow.h"

#include <stdio.h>
#include <string.h>

#include "common/base/str.h"
#include "common/sys/crypto.h"
#include "common/sys/encoding.h"
#include "common/sys/log.h"
#include "proto/subjects.h"

enum { REPEATS_MAX = 8 };

#define AGAIN_NS (2 * SF_NS_PER_S)

/* What is lost is told again, or the other end gives up: an error here changes nothing. */
static void tell(struct sf_flow *f, bool is_over)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf body = {0};
    struct sf_json_writer w = {.out = &body};
    struct sf_error err;
    enum sf_code code;

    sf_json_object_begin(&w);
    sf_json_member_text(&w, "flow", f->id);
    sf_json_member_uint(&w, "taken", f->seen);
    if (is_over) {
        sf_json_member_bool(&w, "stop", true);
    }
    sf_json_object_end(&w);
    code = sf_buf_check(&body, "request", &err);
    if (code == SF_OK) {
        code = sf_bus_publish(
            f->bus, &(struct sf_bus_msg){.subject = f->subject, .data = sf_buf_view(&body)}, &err);
    }
    if (code != SF_OK) {
        sf_log(SF_LOG_DEBUG, "flow.taken_not_told", SF_F_ERROR(&err));
    }
}

static void on_again(struct sf_timer *t)
{
    struct sf_flow *f = SF_CONTAINER_OF(t, struct sf_flow, again);

    tell(f, /* is_over= */ false);
    if (++f->repeats < REPEATS_MAX) {
        sf_rt_timer_start(f->rt, &f->again, AGAIN_NS);
    }
}

void sf_flow_begin(struct sf_flow *f, struct sf_rt *rt, struct sf_bus *bus, const char *subject)
{
    uint8_t random[(SF_FLOW_ID_SIZE - 1) / 2];

    sf_flow_end(f, /* is_over= */ true);
    f->rt = rt;
    f->bus = bus;
    f->seen = 0;
    f->again = (struct sf_timer){.fire = on_again};
    (void)snprintf(f->subject, sizeof(f->subject), "%s", subject);
    sf_random_bytes(random, sizeof(random));
    sf_encode(SF_HEX, sf_slice_of(random, sizeof(random)), f->id);
}

void sf_flow_members(const struct sf_flow *f, struct sf_json_writer *w)
{
    sf_json_member_text(w, "flow", f->id);
    sf_json_member_uint(w, "window", SF_FLOW_WINDOW);
}

bool sf_flow_look(struct sf_flow *f, const struct sf_bus_msg *m)
{
    const char *text = sf_bus_msg_header(m, HEADER_FLOW);
    uint64_t number;

    sf_rt_timer_stop(f->rt, &f->again);
    if (text != NULL &&
        (sf_parse_u64(sf_slice_text(text), &number) != SF_PARSE_OK || number != f->seen + 1)) {
        return false;
    }
    f->seen++;
    return true;
}

void sf_flow_taken(struct sf_flow *f)
{
    f->repeats = 0;
    tell(f, /* is_over= */ false);
    sf_rt_timer_start(f->rt, &f->again, AGAIN_NS);
}

void sf_flow_end(struct sf_flow *f, bool is_over)
{
    if (f->id[0] == '\0') {
        return;
    }
    sf_rt_timer_stop(f->rt, &f->again);
    if (!is_over) {
        tell(f, /* is_over= */ true);
    }
    f->id[0] = '\0';
}
