#include "common/bus/jetstream.h"

#include <stdio.h>
#include <string.h>

#include "common/base/str.h"

bool sf_js_name_is_valid(const char *name)
{
    const size_t n = strlen(name);

    for (size_t i = 0; i < n; i++) {
        const char c = name[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '_')) {
            return false;
        }
    }
    return n >= 1 && n < SF_JS_NAME_MAX;
}

/*
 * $JS.ACK.STREAM.CONSUMER.TIMES.SSEQ.CSEQ.TIME.PENDING, or since 2.2 with domain and account in
 * front of the stream and maybe a token behind.
 */
bool sf_js_delivery_parse(const char *reply, struct sf_js_delivery *ret)
{
    enum { TOKENS_MAX = 12, OLD = 9, NEW = 11 };
    struct sf_slice tokens[TOKENS_MAX];
    size_t count = 0;
    size_t at;
    uint64_t time_ns;

    if (reply == NULL || strncmp(reply, "$JS.ACK.", 8) != 0) {
        return false;
    }
    for (const char *p = reply; p != NULL && count < TOKENS_MAX; count++) {
        const char *dot = strchr(p, '.');

        tokens[count] = sf_slice_of(p, dot == NULL ? strlen(p) : (size_t)(dot - p));
        p = dot == NULL ? NULL : dot + 1;
    }
    if (count != OLD && count < NEW) {
        return false;
    }
    at = count == OLD ? 4 : 6;
    return sf_parse_u64(tokens[at], &ret->times) == SF_PARSE_OK &&
           sf_parse_u64(tokens[at + 1], &ret->stream_seq) == SF_PARSE_OK &&
           sf_parse_u64(tokens[at + 2], &ret->consumer_seq) == SF_PARSE_OK &&
           sf_parse_u64(tokens[at + 3], &time_ns) == SF_PARSE_OK &&
           sf_parse_u64(tokens[at + 4], &ret->pending) == SF_PARSE_OK && ret->times > 0 &&
           ret->stream_seq > 0 && ret->consumer_seq > 0;
}

unsigned sf_js_status(const struct sf_bus_msg *m)
{
    const char *text = m->data.size == 0 ? sf_bus_msg_header(m, "Status") : NULL;
    uint64_t status = 0;

    if (text == NULL ||
        sf_parse_u64(sf_slice_of(text, strcspn(text, " ")), &status) != SF_PARSE_OK ||
        status > 999) {
        return 0;
    }
    return (unsigned)status;
}

/* --- answers ---------------------------------------------------------------------------------- */

/* SF_OK: an answer without an error. */
static enum sf_code check_answer(const struct sf_json *root, uint64_t not_found,
                                 struct sf_error *err)
{
    const struct sf_json *error = sf_json_get(root, "error");
    const char *text = "no answer of JetStream";
    uint64_t number = 0;

    if (error == NULL && sf_json_get(root, "config") != NULL) {
        return SF_OK;
    }
    (void)sf_json_as_uint(sf_json_get(error, "err_code"), &number);
    (void)sf_json_as_text(sf_json_get(error, "description"), &text);
    return SF_RAISE(err, number == not_found ? SF_ABSENT : SF_INVALID, "JetStream: %s", text);
}

static uint64_t number_at(const struct sf_json *root, const char *path)
{
    uint64_t value = 0;

    (void)sf_json_as_uint(sf_json_path(root, path), &value);
    return value;
}

static bool text_is(const struct sf_json *root, const char *path, const char *wanted)
{
    const char *text = "";

    (void)sf_json_as_text(sf_json_path(root, path), &text);
    return strcmp(text, wanted) == 0;
}

enum sf_code sf_js_stream_read(struct sf_slice answer, struct sf_js_stream *ret,
                               struct sf_error *err)
{
    SF_CLEANUP(sf_json_freep) struct sf_json_doc *doc = NULL;
    const char *created = "";
    enum sf_code code = sf_json_parse(answer, &doc, err);

    if (code == SF_OK) {
        code = check_answer(sf_json_root(doc), SF_JS_STREAM_NOT_FOUND, err);
    }
    if (code != SF_OK) {
        return code;
    }
    (void)sf_json_as_text(sf_json_get(sf_json_root(doc), "created"), &created);
    *ret = (struct sf_js_stream){.is_limits =
                                     text_is(sf_json_root(doc), "config.retention", "limits")};
    (void)snprintf(ret->created, sizeof(ret->created), "%s", created);
    return SF_OK;
}

enum sf_code sf_js_consumer_read(struct sf_slice answer, struct sf_js_consumer *ret,
                                 struct sf_error *err)
{
    SF_CLEANUP(sf_json_freep) struct sf_json_doc *doc = NULL;
    const struct sf_json *root;
    const char *filter = "";
    enum sf_code code = sf_json_parse(answer, &doc, err);

    root = code == SF_OK ? sf_json_root(doc) : NULL;
    if (code == SF_OK) {
        code = check_answer(root, SF_JS_CONSUMER_NOT_FOUND, err);
    }
    if (code != SF_OK) {
        return code;
    }
    *ret = (struct sf_js_consumer){
        .is_pull = sf_json_path(root, "config.deliver_subject") == NULL,
        .is_explicit = text_is(root, "config.ack_policy", "explicit"),
        .ack_wait_ns = number_at(root, "config.ack_wait"),
        .max_ack_pending = number_at(root, "config.max_ack_pending"),
        .delivered_stream_seq = number_at(root, "delivered.stream_seq"),
        .delivered_consumer_seq = number_at(root, "delivered.consumer_seq"),
        .acked_stream_seq = number_at(root, "ack_floor.stream_seq"),
        .unacked = number_at(root, "num_ack_pending"),
        .pending = number_at(root, "num_pending"),
    };
    (void)sf_json_as_text(sf_json_path(root, "config.filter_subject"), &filter);
    (void)snprintf(ret->filter, sizeof(ret->filter), "%s", filter);
    return SF_OK;
}

/* --- subjects --------------------------------------------------------------------------------- */

void sf_js_stream_info(char ret[SF_JS_SUBJECT_MAX], const char *stream)
{
    (void)snprintf(ret, SF_JS_SUBJECT_MAX, "$JS.API.STREAM.INFO.%s", stream);
}

void sf_js_consumer_info(char ret[SF_JS_SUBJECT_MAX], const char *stream, const char *consumer)
{
    (void)snprintf(ret, SF_JS_SUBJECT_MAX, "$JS.API.CONSUMER.INFO.%s.%s", stream, consumer);
}

void sf_js_consumer_next(char ret[SF_JS_SUBJECT_MAX], const char *stream, const char *consumer)
{
    (void)snprintf(ret, SF_JS_SUBJECT_MAX, "$JS.API.CONSUMER.MSG.NEXT.%s.%s", stream, consumer);
}

/* --- requests --------------------------------------------------------------------------------- */

static void write_start(const struct sf_js_consumer_spec *spec, struct sf_json_writer *w)
{
    if (spec->from > 0) {
        sf_json_member_text(w, "deliver_policy", "by_start_sequence");
        sf_json_member_uint(w, "opt_start_seq", spec->from);
    } else {
        sf_json_member_text(w, "deliver_policy", spec->only_new ? "new" : "all");
    }
}

void sf_js_consumer_create(const struct sf_js_consumer_spec *spec, struct sf_buf *subject,
                           struct sf_buf *body)
{
    struct sf_json_writer w = {.out = body};

    /* The filter may stand behind it, but one with a wildcard is no subject to publish to. */
    sf_buf_printf(subject, "$JS.API.CONSUMER.CREATE.%s.%s", spec->stream, spec->name);
    sf_json_object_begin(&w);
    sf_json_member_text(&w, "stream_name", spec->stream);
    sf_json_member_text(&w, "action", "create");
    sf_json_key(&w, "config");
    sf_json_object_begin(&w);
    sf_json_member_text(&w, "durable_name", spec->name);
    sf_json_member_text(&w, "name", spec->name);
    sf_json_member_text(&w, "ack_policy", "explicit");
    write_start(spec, &w);
    if (spec->filter != NULL) {
        sf_json_member_text(&w, "filter_subject", spec->filter);
    }
    sf_json_member_uint(&w, "ack_wait", spec->ack_wait_ns);
    sf_json_member_uint(&w, "max_ack_pending", spec->max_ack_pending);
    sf_json_member_int(&w, "max_deliver", -1);
    sf_json_member_text(&w, "replay_policy", "instant");
    sf_json_object_end(&w);
    sf_json_object_end(&w);
}

void sf_js_pull(uint64_t count, uint64_t bytes, uint64_t expires_ns, struct sf_buf *body)
{
    struct sf_json_writer w = {.out = body};

    sf_json_object_begin(&w);
    sf_json_member_uint(&w, "batch", count);
    sf_json_member_uint(&w, "max_bytes", bytes);
    sf_json_member_uint(&w, "expires", expires_ns);
    sf_json_object_end(&w);
}
