#include "common/bus/micro.h"

#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/time.h"
#include "common/sys/crypto.h"
#include "common/sys/encoding.h"
#include "common/sys/log.h"
#include "common/wire/json.h"
#include "proto/subjects.h"

enum { ID_BYTES = 10, SUBJECTS = 3 };

struct sf_micro {
    struct sf_bus *bus;
    struct sf_micro_options options;
    char id[2 * ID_BYTES + 1]; /* of this start of the service */
    struct sf_bus_sub subs[SUBJECTS];
};

static void write_identity(const struct sf_micro *m, const char *type, struct sf_json_writer *w)
{
    sf_json_key(w, "type");
    sf_json_printf(w, "io.nats.micro.v1.%s_response", type);
    sf_json_member_text(w, "name", m->options.name);
    sf_json_member_text(w, "id", m->id);
    sf_json_member_text(w, "version", m->options.version);
    sf_json_key(w, "metadata");
    sf_json_object_begin(w);
    sf_json_object_end(w);
}

static void write_endpoint(const struct sf_micro *m, size_t i, bool with_stats,
                           struct sf_json_writer *w)
{
    const struct sf_micro_endpoint *e = &m->options.endpoints[i];
    struct sf_micro_stats s = {0};

    sf_json_object_begin(w);
    sf_json_member_text(w, "name", e->name);
    sf_json_member_text(w, "subject", e->subject);
    sf_json_member_text(w, "queue_group", ""); /* one leaf per domain answers */
    if (with_stats) {
        m->options.stats(m->options.data, i, &s);
        sf_json_member_uint(w, "num_requests", s.requests);
        sf_json_member_uint(w, "num_errors", s.errors);
        sf_json_member_text(w, "last_error", s.last_error == NULL ? "" : s.last_error);
        sf_json_member_uint(w, "processing_time", s.processing_ns_total);
        sf_json_member_uint(w, "average_processing_time",
                            s.requests == 0 ? 0 : s.processing_ns_total / s.requests);
    } else {
        sf_json_key(w, "metadata");
        sf_json_object_begin(w);
        sf_json_object_end(w);
    }
    sf_json_object_end(w);
}

static void write_endpoints(const struct sf_micro *m, bool with_stats, struct sf_json_writer *w)
{
    sf_json_key(w, "endpoints");
    sf_json_array_begin(w);
    for (size_t i = 0; i < m->options.endpoint_count; i++) {
        write_endpoint(m, i, with_stats, w);
    }
    sf_json_array_end(w);
}

/* false: the verb is none of ADR-32. */
static bool write_answer(const struct sf_micro *m, struct sf_slice verb, struct sf_json_writer *w)
{
    char started[SF_TIME_TEXT_SIZE];

    sf_json_object_begin(w);
    if (sf_slice_equal(verb, SF_LITERAL("PING"))) {
        write_identity(m, "ping", w);
    } else if (sf_slice_equal(verb, SF_LITERAL("INFO"))) {
        write_identity(m, "info", w);
        sf_json_member_text(w, "description", m->options.description);
        write_endpoints(m, /* with_stats= */ false, w);
    } else if (sf_slice_equal(verb, SF_LITERAL("STATS"))) {
        write_identity(m, "stats", w);
        (void)sf_time_format(m->options.started_us, started);
        sf_json_member_text(w, "started", started);
        write_endpoints(m, /* with_stats= */ true, w);
    } else {
        return false;
    }
    sf_json_object_end(w);
    return true;
}

static void on_msg(struct sf_bus_sub *sub, const struct sf_bus_msg *msg)
{
    const struct sf_micro *m = sub->data;
    SF_CLEANUP(sf_buf_done) struct sf_buf out = {0};
    struct sf_json_writer w = {.out = &out};
    const char *verb = msg->subject + strlen("$SRV.");
    struct sf_error err;
    enum sf_code code;

    if (msg->reply == NULL || *msg->reply == '\0' || subject_is_reserved(msg->reply) ||
        !write_answer(m, sf_slice_of(verb, strcspn(verb, ".")), &w)) {
        return;
    }
    code = sf_buf_check(&out, "answer", &err);
    if (code == SF_OK) {
        code = sf_bus_publish(
            m->bus, &(struct sf_bus_msg){.subject = msg->reply, .data = sf_buf_view(&out)}, &err);
    }
    if (code != SF_OK) {
        sf_log(SF_LOG_WARN, "micro.answer_lost", SF_F_ERROR(&err));
    }
}

void sf_micro_count(struct sf_micro_counts *c, int64_t took_us, const struct sf_error *err)
{
    c->requests++;
    c->ns += took_us > 0 ? (uint64_t)took_us * 1000 : 0;
    if (err != NULL) {
        c->errors++;
        (void)snprintf(c->last_error, sizeof(c->last_error), "%.90s", err->text);
    }
}

struct sf_micro_stats sf_micro_stats_of(const struct sf_micro_counts *c)
{
    return (struct sf_micro_stats){.requests = c->requests,
                                   .errors = c->errors,
                                   .last_error = c->last_error,
                                   .processing_ns_total = c->ns};
}

enum sf_code sf_micro_new(struct sf_bus *bus, const struct sf_micro_options *options,
                          struct sf_micro **ret, struct sf_error *err)
{
    struct sf_micro *m = sf_calloc(1, sizeof(*m));
    uint8_t id[ID_BYTES];
    char subject[SUBJECT_MAX];
    enum sf_code code = SF_OK;

    if (m == NULL) {
        return SF_RAISE(err, SF_NOMEM, "service");
    }
    m->bus = bus;
    m->options = *options;
    sf_random_bytes(id, sizeof(id));
    sf_encode(SF_HEX, sf_slice_of(id, sizeof(id)), m->id);
    for (size_t i = 0; code == SF_OK && i < SUBJECTS; i++) {
        const char *name = i == 0 ? NULL : options->name;

        subject_service(subject, name, i == 2 ? m->id : NULL);
        m->subs[i] = (struct sf_bus_sub){.on_msg = on_msg, .data = m};
        code = sf_bus_subscribe(bus, &m->subs[i], subject, NULL, err);
    }
    if (code != SF_OK) {
        sf_micro_free(m);
        return code;
    }
    *ret = m;
    return SF_OK;
}

void sf_micro_free(struct sf_micro *m)
{
    if (m == NULL) {
        return;
    }
    for (size_t i = 0; i < SUBJECTS; i++) {
        sf_bus_unsubscribe(m->bus, &m->subs[i]);
    }
    sf_free(m);
}
