#include "common/bus/natsd_varz.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "common/bus/natsd.h"
#include "common/wire/json.h"
#include "proto/errors.h"

enum { SERVERS_MAX = 16 };

/* A question under way. */
struct asking {
    struct sf_rt *rt;
    struct sf_bus *bus;
    struct sf_natsd_varz_call *owner;
    struct sf_bus_sub sub;
    struct sf_timer timer;
    struct sf_natsd_varz servers[SERVERS_MAX];
    size_t count;
    size_t expected;
};

static void copy_text(const struct sf_json *v, char *ret, size_t size)
{
    const char *text;

    if (sf_json_as_text(v, &text)) {
        (void)snprintf(ret, size, "%s", text);
    }
}

static bool read_answer(struct sf_slice text, struct sf_natsd_varz *ret)
{
    SF_CLEANUP(sf_json_freep) struct sf_json_doc *doc = NULL;
    const struct sf_json *data;
    const struct sf_json *config;

    if (sf_json_parse(text, &doc, NULL) != SF_OK) {
        return false;
    }
    data = sf_json_get(sf_json_root(doc), "data");
    config = sf_json_path(data, "jetstream.config");
    *ret = (struct sf_natsd_varz){.has_jetstream = config != NULL};
    copy_text(sf_json_get(data, "version"), ret->version, sizeof(ret->version));
    copy_text(sf_json_get(data, "server_name"), ret->server_name, sizeof(ret->server_name));
    (void)sf_json_as_bool(sf_json_get(config, "sync_always"), &ret->is_sync_always);
    (void)sf_json_as_int(sf_json_get(data, "max_payload"), &ret->max_payload_bytes);
    return ret->version[0] != '\0';
}

static void release(struct asking *a)
{
    sf_rt_timer_stop(a->rt, &a->timer);
    sf_bus_unsubscribe(a->bus, &a->sub);
    a->owner->private = NULL;
    sf_free(a);
}

static void on_end(struct sf_timer *t)
{
    struct asking *a = SF_CONTAINER_OF(t, struct asking, timer);
    struct sf_natsd_varz_call *owner = a->owner;
    struct sf_natsd_varz servers[SERVERS_MAX];
    size_t count = a->count;

    memcpy(servers, a->servers, sizeof(servers));
    release(a);
    owner->done(owner, count == 0 ? SF_TIMEOUT : SF_OK, servers, count);
}

static void on_answer(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct asking *a = sub->data;

    if (a->count < SERVERS_MAX && read_answer(m->data, &a->servers[a->count])) {
        a->count++;
        if (a->count == a->expected) {
            sf_rt_timer_start(a->rt, &a->timer, 0); /* the end comes from outside this callback */
        }
    }
}

static enum sf_code send_question(struct asking *a, struct sf_error *err)
{
    char inbox[128];
    struct sf_bus_msg m = {.subject = "$SYS.REQ.SERVER.PING.VARZ", .reply = inbox};
    enum sf_code code = sf_bus_new_inbox(a->bus, inbox, sizeof(inbox), err);

    if (code == SF_OK) {
        code = sf_bus_subscribe(a->bus, &a->sub, inbox, NULL, err);
    }
    return code == SF_OK ? sf_bus_publish(a->bus, &m, err) : code;
}

enum sf_code sf_natsd_varz_ask(struct sf_rt *rt, struct sf_bus *sys,
                               struct sf_natsd_varz_call *call, size_t expected, uint64_t window_ns,
                               struct sf_error *err)
{
    struct asking *a = sf_calloc(1, sizeof(*a));
    enum sf_code code;

    if (a == NULL) {
        return SF_RAISE(err, SF_NOMEM, "question to nats-server");
    }
    a->rt = rt;
    a->bus = sys;
    a->owner = call;
    a->sub = (struct sf_bus_sub){.on_msg = on_answer, .data = a};
    a->timer.fire = on_end;
    a->expected = expected;
    call->private = a;
    code = send_question(a, err);
    if (code != SF_OK) {
        release(a);
        return code;
    }
    sf_rt_timer_start(rt, &a->timer, window_ns);
    return SF_OK;
}

void sf_natsd_varz_cancel(struct sf_natsd_varz_call *call)
{
    if (call->private != NULL) {
        release(call->private);
    }
}

enum sf_code sf_natsd_varz_check(const struct sf_natsd_varz *v, bool needs_durable,
                                 struct sf_error *err)
{
    enum sf_code code = sf_natsd_check_version(v->version, err);

    if (code != SF_OK) {
        return code;
    }
    if (needs_durable && !v->has_jetstream) {
        return SF_RAISE_E(err, SF_UNAVAILABLE, SHEAF_E_NOT_DURABLE,
                          "nats-server '%s' runs without JetStream", v->server_name);
    }
    if (needs_durable && !v->is_sync_always) {
        return SF_RAISE_E(err, SF_UNAVAILABLE, SHEAF_E_NOT_DURABLE,
                          "nats-server '%s' does not sync every write: set sync_interval: always",
                          v->server_name);
    }
    return SF_OK;
}
