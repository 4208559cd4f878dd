/* Reads of other domains' products: HTTP in, a request over NATS out (query_http.h). */
#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "control.pb-c.h"
#include "leaf/query/params.h"
#include "leaf/query/relay_private.h"
#include "leaf/serving/deprecation.h"
#include "leaf/serving/http_answer.h"
#include "proto/errors.h"
#include "proto/subjects.h"

/*
 *           page, end
 *   ASKING ------------------------------------------> answered
 *    ^ |                                          ^
 *    | +-- silence, or nobody serves it --> EXPLAINING: the hub says why; until it has, or if it
 *    |                                      |           knows nothing, the request goes on
 *    +------- AGAIN_NS ---------------------+ nobody serves it, for NOBODY_NS: links that come up,
 *                                             and grants, are known everywhere a moment later
 *
 * What the owner's leaf answers is passed on, also that it cannot serve now: it was heard.
 */

enum { FINDINGS_MAX = 64 * 1024 };

#define IDLE_NS    (5 * SF_NS_PER_S)
#define SILENCE_NS (300 * SF_NS_PER_MS)
#define EXPLAIN_NS (2 * SF_NS_PER_S)
#define AGAIN_NS   (200 * SF_NS_PER_MS)
#define NOBODY_NS  (5 * SF_NS_PER_S)

void relay_free(struct relay *relay)
{
    sf_rt_timer_stop(relay->host->rt, &relay->silence);
    sf_rt_timer_stop(relay->host->rt, &relay->again);
    sf_bus_cancel(relay->host->serve, &relay->explain);
    sf_buf_done(&relay->body);
    sf_buf_done(&relay->lines);
    sf_buf_done(&relay->cursor);
    relay_follow_done(relay);
    sf_free(relay);
}

static void on_abort(struct sf_http_request *r, void *data)
{
    struct relay *relay = data;

    (void)r;
    sf_service_ask_cancel(&relay->ask);
    relay_free(relay);
}

static void keep_header(const struct sf_bus_msg *m, const char *name, char *ret, size_t size)
{
    const char *value = sf_bus_msg_header(m, name);

    if (value != NULL) {
        (void)snprintf(ret, size, "%s", value);
    }
}

/* Goes into an ETag as it is. */
static void keep_token(const struct sf_bus_msg *m, const char *name, char ret[32])
{
    const char *value = sf_bus_msg_header(m, name);

    if (value != NULL && strlen(value) < 32 &&
        strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789.") == strlen(value)) {
        (void)snprintf(ret, 32, "%s", value);
    }
}

/* Goes into a JSON document as it is. */
static void keep_number(const struct sf_bus_msg *m, const char *name, char ret[24])
{
    const char *value = sf_bus_msg_header(m, name);

    if (value != NULL && *value != '\0' && strlen(value) < 20 &&
        strspn(value, "0123456789") == strlen(value)) {
        (void)snprintf(ret, 24, "%s", value);
    }
}

/* The other leaf is not this domain's: it does not decide how much is kept here for its answer. */
static void refuse_flood(struct relay *relay)
{
    struct sf_error err;

    (void)SF_RAISE_E(&err, SF_UNAVAILABLE, SHEAF_E_LEAF_UNREACHABLE,
                     "the leaf of domain %s answers with more than one page", relay->owner);
    sf_service_ask_cancel(&relay->ask);
    http_problem(relay->request, &err);
    relay_free(relay);
}

static void on_ask_page(struct sf_service_ask *ask, const struct sf_bus_msg *m)
{
    struct relay *relay = ask->data;
    const char *cursor = sf_bus_msg_header(m, HEADER_CURSOR);

    if (!relay->told) {
        relay->told = true;
        deprecation_tell(relay->request, sf_bus_msg_header(m, HEADER_DEPRECATED));
    }
    if (relay->is_follow) {
        sf_rt_timer_stop(relay->host->rt, &relay->silence);
        relay_follow_page(relay, m);
        return;
    }
    if (relay->lines.size + m->data.size > SF_SERVICE_PAGE_MAX) {
        refuse_flood(relay);
        return;
    }
    sf_rt_timer_stop(relay->host->rt, &relay->silence);
    sf_buf_slice(&relay->lines, m->data);
    keep_header(m, HEADER_POSITION, relay->position, sizeof(relay->position));
    keep_header(m, HEADER_HEAD, relay->head, sizeof(relay->head));
    keep_token(m, HEADER_VIEW, relay->view);
    keep_token(m, HEADER_CONTRACT, relay->contract);
    keep_number(m, HEADER_EXAMINED, relay->work[0]);
    keep_number(m, HEADER_WHERE_NULLS, relay->work[1]);
    keep_number(m, HEADER_WHERE_ERRORS, relay->work[2]);
    if (cursor != NULL) {
        sf_buf_clear(&relay->cursor);
        sf_buf_text(&relay->cursor, cursor);
    }
}

/* Of the owner's document only what it finds about a filter is passed on; the rest we know. */
void relay_fail(struct relay *relay, const struct sf_error *err, struct sf_slice document)
{
    SF_CLEANUP(sf_json_freep) struct sf_json_doc *doc = NULL;
    struct sf_slice findings = sf_slice_text(NULL);

    if (relay->follow.out.begun) {
        follow_stream_end(&relay->follow.out, &(struct follow_event){.kind = FOLLOW_END,
                                                                     .epoch = relay->follow.epoch,
                                                                     .seq = relay->follow.seq,
                                                                     .err = err});
        return;
    }
    if (document.size > 0 && document.size <= FINDINGS_MAX &&
        sf_json_parse(document, &doc, NULL) == SF_OK) {
        (void)sf_json_as_slice(sf_json_get(sf_json_root(doc), "findings"), &findings);
    }
    http_page_problem(relay->request, err, findings);
}

/* --- why there is no answer ------------------------------------------------------------------- */

/* Whether it will be asked again, as nobody has heard the request. */
static bool asks_again(struct relay *relay)
{
    const struct relay_host *host = relay->host;
    const uint64_t patience_ns = host->nobody_ns == 0 ? NOBODY_NS : host->nobody_ns;

    if (relay->told || sf_rt_now_ns(host->rt) - relay->began_ns >= patience_ns) {
        return false;
    }
    sf_rt_timer_start(host->rt, &relay->again, AGAIN_NS);
    return true;
}

/* Nobody has heard the request, and nothing is known against it. */
static void nobody_heard(struct relay *relay)
{
    if (asks_again(relay)) {
        return;
    }
    relay_fail(relay, &relay->error, sf_slice_text(NULL));
    relay_free(relay);
}

static void explained(struct sf_bus_call *call, enum sf_bus_outcome outcome,
                      const struct sf_bus_msg *m)
{
    struct relay *relay = call->data;
    struct sf_error why;

    relay->is_explaining = false;
    if (outcome == SF_BUS_ANSWERED && sf_service_check(m, &why) != SF_OK) {
        sf_service_ask_cancel(&relay->ask);
        relay_fail(relay, &why, sf_slice_text(NULL));
        relay_free(relay);
    } else if (relay->has_ended) {
        nobody_heard(relay);
    }
}

/* false: the hub cannot be asked. */
static bool explain(struct relay *relay)
{
    Sheaf__V1__ExplainRequest q = SHEAF__V1__EXPLAIN_REQUEST__INIT;
    SF_CLEANUP(sf_buf_done) struct sf_buf body = {0};
    char subject[SUBJECT_MAX];
    uint8_t *at;

    q.owner = relay->owner;
    q.product = relay->product;
    q.major = relay->major;
    at = sf_buf_reserve(&body, sheaf__v1__explain_request__get_packed_size(&q) + 1);
    if (at == NULL) {
        return false;
    }
    body.size += sheaf__v1__explain_request__pack(&q, at);
    subject_control(subject, "access.explain");
    relay->explain = (struct sf_bus_call){.done = explained, .data = relay};
    relay->is_explaining =
        sf_bus_request(relay->host->serve, &relay->explain,
                       &(struct sf_bus_msg){.subject = subject, .data = sf_buf_view(&body)},
                       EXPLAIN_NS, NULL) == SF_OK;
    return relay->is_explaining;
}

static void silence_fire(struct sf_timer *timer)
{
    (void)explain(SF_CONTAINER_OF(timer, struct relay, silence));
}

/* --- the answer ------------------------------------------------------------------------------- */

static void on_ask_end(struct sf_service_ask *ask, enum sf_code code, const struct sf_error *err)
{
    struct relay *relay = ask->data;
    struct sf_error failed;

    sf_rt_timer_stop(relay->host->rt, &relay->silence);
    sf_flow_end(&relay->follow.flow, /* is_over= */ true);
    if (code == SF_UNAVAILABLE && ask->problem.size == 0) { /* Else that leaf has heard it. */
        relay->has_ended = true;
        relay->error = *err;
        if (!relay->is_explaining && !explain(relay)) {
            nobody_heard(relay);
        }
        return;
    }
    if (code == SF_OK && relay->is_follow) {
        relay_follow_end(relay);
        return;
    }
    if (code == SF_OK && (sf_buf_check(&relay->lines, "answer", &failed) != SF_OK ||
                          sf_buf_check(&relay->cursor, "cursor", &failed) != SF_OK)) {
        code = failed.code;
        err = &failed;
    }
    if (code != SF_OK) {
        relay_fail(relay, err, ask->problem);
    } else if (relay->is_document) {
        http_json_tagged(relay->request, &relay->lines);
    } else {
        struct http_page page = {
            .kind = relay->kind,
            .view = *relay->view == '\0' ? NULL : relay->view,
            .contract = relay->contract,
            .lines = sf_buf_view(&relay->lines),
            .position = relay->position,
            .cursor = relay->cursor.size == 0 ? "" : sf_buf_cstr(&relay->cursor),
            .head = *relay->head == '\0' ? NULL : relay->head,
        };

        for (size_t i = 0; i < SF_COUNT(relay->work); i++) {
            page.work[i] = *relay->work[i] == '\0' ? NULL : relay->work[i];
        }
        http_page_answer(relay->request, relay->form, &page);
    }
    relay_free(relay);
}

void relay_member_list(struct sf_json_writer *w, const char *name, const char *text)
{
    sf_json_key(w, name);
    sf_json_array_begin(w);
    while (*text != '\0') {
        size_t n = strcspn(text, ",");

        sf_json_slice(w, sf_slice_of(text, n));
        text += n + (text[n] == ',');
    }
    sf_json_array_end(w);
}

/* The parts of a key as they are: JSON holds them apart, so nothing in them needs an escape. */
static enum sf_code member_key(struct sf_json_writer *w, const char *text, struct sf_error *err)
{
    struct sf_slice parts[SF_KEY_FIELDS_MAX];
    struct sf_arena arena;
    size_t count = 0;
    enum sf_code code;

    sf_arena_init(&arena, 0);
    code = query_params_split("key", text, &arena, parts, &count, err);
    sf_json_key(w, "key");
    sf_json_array_begin(w);
    for (size_t i = 0; i < count; i++) {
        sf_json_slice(w, parts[i]);
    }
    sf_json_array_end(w);
    sf_arena_done(&arena);
    return code;
}

static enum sf_code write_body(const struct http_read *what, const struct sf_http_request *r,
                               enum http_form form, struct sf_buf *out, struct sf_error *err)
{
    static const char *const copied[] = {"from",  "to",    "prefix", "cursor",
                                         "after", "where", "as_of",  "since"};
    struct sf_json_writer w = {.out = out};
    bool reverse = false;
    bool count = false;
    uint64_t limit;
    enum sf_code code = query_params_number("limit", sf_http_query(r, "limit"), &limit, err);

    if (code == SF_OK) {
        code = query_params_bool("reverse", sf_http_query(r, "reverse"), &reverse, err);
    }
    if (code == SF_OK) {
        code = query_params_bool("count", sf_http_query(r, "count"), &count, err);
    }
    if (code != SF_OK) {
        return code;
    }
    sf_json_object_begin(&w);
    sf_json_member_uint(&w, "major", what->major);
    if (what->table != NULL) {
        sf_json_member_text(&w, "table", what->table);
        sf_json_member_text(&w, "format",
                            what->op == QUERY_CHANGES ? "ndjson" : http_form_format(form));
        sf_json_member_uint(&w, "pages", 1);
        sf_json_member_uint(&w, "limit", limit);
        if (reverse) { /* said only when asked for: a leaf of an older version knows neither */
            sf_json_member_bool(&w, "reverse", true);
        }
        if (count) {
            sf_json_member_bool(&w, "count", true);
        }
        for (size_t i = 0; i < SF_COUNT(copied); i++) {
            if (sf_http_query(r, copied[i]) != NULL) {
                sf_json_member_text(&w, copied[i], sf_http_query(r, copied[i]));
            }
        }
        if (what->key != NULL) {
            code = member_key(&w, what->key, err);
        }
        if (sf_http_query(r, "select") != NULL) {
            relay_member_list(&w, "select", sf_http_query(r, "select"));
        }
    }
    sf_json_object_end(&w);
    return code == SF_OK ? sf_buf_check(out, "request", err) : code;
}

/* --- asking ----------------------------------------------------------------------------------- */

/* The same bytes for a while, so that the owner's leaf finds a signature that it knows. */
enum { ASSERTION_STEP_S = 60, ASSERTION_LIFETIME_S = 180 };

/* Who asks, without its name: the roles are all that the owner has to know. */
static void take_caller(struct relay *relay, const struct sf_token *caller)
{
    struct sf_token *a = &relay->assertion;

    a->kind = SF_TOKEN_ASSERTION;
    a->role_count = caller->role_count;
    memcpy(a->roles, caller->roles, sizeof(a->roles));
    (void)snprintf(a->issuer, sizeof(a->issuer), "%s", relay->host->domain);
    sf_token_audience(relay->host->mesh, relay->owner, relay->product, a->audience);
    relay->token_expires_s = caller->expires_s;
}

int64_t relay_now_s(const struct relay *relay)
{
    return sf_steady_us(relay->host->clock) / SF_US_PER_S;
}

uint64_t relay_roles_left_s(const struct relay *relay)
{
    const int64_t left_s = relay->token_expires_s - relay_now_s(relay);

    if (relay->assertion.role_count == 0) {
        return UINT64_MAX;
    }
    if (left_s > ASSERTION_LIFETIME_S - ASSERTION_STEP_S) {
        return ASSERTION_LIFETIME_S - ASSERTION_STEP_S;
    }
    return left_s > 0 ? (uint64_t)left_s : 0;
}

static enum sf_code assert_roles(const struct relay *relay, struct sf_buf *ret,
                                 struct sf_error *err)
{
    const int64_t now_s = relay_now_s(relay);
    struct sf_token a = relay->assertion;
    enum sf_code code;

    if (a.role_count == 0) {
        return SF_OK;
    }
    if (relay_roles_left_s(relay) == 0) {
        return sf_token_raise(SF_TOKEN_HTTP, SF_TOKEN_EXPIRED, err);
    }
    a.issued_s = now_s - now_s % ASSERTION_STEP_S;
    a.expires_s = a.issued_s + ASSERTION_LIFETIME_S;
    code = sf_token_make(&a, relay->host->domain_key, ret, err);
    sf_buf_byte(ret, '\0');
    return code == SF_OK ? sf_buf_check(ret, "roles", err) : code;
}

enum sf_code relay_ask(struct relay *relay, const char *subject, struct sf_slice body,
                       uint64_t idle_ns, struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf roles = {0};
    enum sf_code code = assert_roles(relay, &roles, err);
    const struct sf_bus_header header = {HEADER_ROLES, (const char *)roles.data};
    const struct sf_bus_msg m = {
        .subject = subject, .data = body, .headers = &header, .header_count = roles.size > 0};

    return code == SF_OK ? sf_service_ask_start(relay->host->rt, relay->host->own, &relay->ask, &m,
                                                idle_ns, err)
                         : code;
}

static enum sf_code ask(struct relay *relay, struct sf_error *err)
{
    const struct relay_host *host = relay->host;
    enum sf_code code = relay->is_follow ? relay_follow_ask(relay, err)
                                         : relay_ask(relay, relay->subject,
                                                     sf_buf_view(&relay->body), IDLE_NS, err);

    relay->has_ended = code != SF_OK;
    if (code == SF_OK) {
        sf_rt_timer_start(host->rt, &relay->silence, SILENCE_NS);
    } else if (code == SF_UNAVAILABLE) { /* The connection has just been lost. */
        err->number = SHEAF_E_LEAF_UNREACHABLE;
        code = asks_again(relay) ? SF_OK : code;
    }
    return code;
}

static void again_fire(struct sf_timer *timer)
{
    struct relay *relay = SF_CONTAINER_OF(timer, struct relay, again);
    struct sf_error err;

    if (ask(relay, &err) != SF_OK) {
        relay_fail(relay, &err, sf_slice_text(NULL));
        relay_free(relay);
    }
}

static enum sf_code relay_start(const struct http_read *what, struct relay *relay,
                                struct sf_error *err)
{
    enum sf_code code = relay->is_follow
                            ? relay_follow_prepare(relay, what, err)
                            : write_body(what, relay->request, relay->form, &relay->body, err);

    relay->ask = (struct sf_service_ask){
        .on_page = on_ask_page,
        .on_end = on_ask_end,
        .data = relay,
    };
    relay->silence.fire = silence_fire;
    relay->again.fire = again_fire;
    relay->began_ns = sf_rt_now_ns(relay->host->rt);
    return code == SF_OK ? ask(relay, err) : code;
}

static void relay_request(const struct relay_host *host, const char *domain, const char *op,
                          const struct http_read *what, bool is_document, struct sf_http_request *r)
{
    struct relay *relay = sf_calloc(1, sizeof(*relay));
    bool count = false;
    struct sf_error err;
    enum sf_code code;

    if (relay == NULL) {
        (void)SF_RAISE(&err, SF_NOMEM, "request");
        http_problem(r, &err);
        return;
    }
    relay->host = host;
    relay->request = r;
    (void)snprintf(relay->owner, sizeof(relay->owner), "%s", domain);
    (void)snprintf(relay->product, sizeof(relay->product), "%s", what->product);
    relay->major = what->major;
    take_caller(relay, what->caller);
    relay->form = http_form_of(r);
    if (what->op == QUERY_CHANGES && relay->form == HTTP_FORM_CSV) {
        relay->form = HTTP_FORM_NDJSON;
    }
    if (query_params_bool("count", sf_http_query(r, "count"), &count, NULL) != SF_OK) {
        count = false; /* relay_start() says so */
    }
    relay->kind = http_page_kind(what->op, count);
    relay->is_document = is_document;
    relay->is_follow = what->op == QUERY_CHANGES && !relay->is_document && follow_stream_wanted(r);
    subject_request(relay->subject, domain, what->product, op);
    code = relay_start(what, relay, &err);
    if (code != SF_OK) {
        http_problem(r, &err);
        relay_free(relay);
        return;
    }
    sf_http_set_hooks(
        r, &(struct sf_http_hooks){.on_abort = on_abort,
                                   .on_drain = relay->is_follow ? relay_follow_drain : NULL,
                                   .data = relay});
}

void query_http_relay(const struct relay_host *host, const char *domain,
                      const struct http_read *what, struct sf_http_request *r)
{
    static const char *const ops[] = {
        [QUERY_GET] = "get", [QUERY_SCAN] = "scan", [QUERY_CHANGES] = "changes"};

    relay_request(host, domain, ops[what->op], what, /* is_document= */ false, r);
}

void query_http_relay_document(const struct relay_host *host, const char *domain, const char *op,
                               const struct http_read *what, struct sf_http_request *r)
{
    relay_request(host, domain, op, what, /* is_document= */ true, r);
}
