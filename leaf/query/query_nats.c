#include "leaf/query/query_nats.h"

#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/bus/service.h"
#include "common/sys/log.h"
#include "common/wire/problem.h"
#include "leaf/query/describe.h"
#include "leaf/query/follow_nats.h"
#include "leaf/query/get_cache.h"
#include "leaf/query/params.h"
#include "leaf/serving/deprecation.h"
#include "proto/errors.h"
#include "proto/subjects.h"

/*
 * An answer under way:
 *
 *   READING --page--> FLUSHING --taken--> READING ... --last page, error--> freed
 *
 * The flush between two pages keeps what waits for the server at one page per request.
 */
struct answer {
    struct query_nats *owner;
    struct query *query;
    char *reply; /* owned */
    struct sf_bus_flush flush;
    bool flushing;
    size_t op; /* in query_nats_ops */
    int64_t began_us;
    char deprecated[DEPRECATION_TEXT]; /* "": it is not */
    bool dropped;                      /* the service is gone; freed when the flush comes back */
    struct sf_list link;
};

struct query_nats {
    struct sf_bus *bus;
    struct queries *qs;
    struct sf_bus_sub sub;
    struct sf_list answers;
    struct sf_list follows; /* follow_nats.h */
    /* Up to the last page; of stats, profile and those that follow up to the start. */
    struct sf_micro_counts counts[QUERY_NATS_OPS];
};

const char *const query_nats_ops[QUERY_NATS_OPS] = {"describe", "get",   "scan",
                                                    "changes",  "stats", "profile"};

#define FLUSH_NS (5 * SF_NS_PER_S)

static void answer_free(struct answer *a)
{
    sf_list_remove(&a->link);
    if (a->query != NULL) {
        query_close(a->query);
    }
    if (a->flushing) {
        a->query = NULL;
        a->dropped = true;
        return;
    }
    sf_free(a->reply);
    sf_free(a);
}

/* @findings: more to say about a filter, or NULL. */
static void send_error(struct query_nats *n, const char *reply, const struct sf_error *why,
                       struct sf_buf *findings)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf document = {0};
    struct sf_json_writer w = {.out = &document};
    struct sf_error err;
    enum sf_code code;

    sf_problem_begin(&w, why);
    if (findings != NULL && findings->size > 0 && findings->failed == SF_OK) {
        sf_json_member_slice(&w, "findings", sf_buf_view(findings));
    }
    sf_json_object_end(&w);
    code = sf_service_send_problem(n->bus, reply, why, sf_problem_view(&document, why), &err);
    if (code != SF_OK) {
        sf_log(SF_LOG_WARN, "query.answer_lost", SF_F_ERROR(&err));
    }
}

/* The place of a name among query_nats_ops; QUERY_NATS_OPS: it is none. */
static size_t op_index(const char *name)
{
    size_t i = 0;

    while (i < QUERY_NATS_OPS && strcmp(query_nats_ops[i], name) != 0) {
        i++;
    }
    return i;
}

/* Not the time of the loop's turn, within which most answers are given. */
static int64_t now_us(const struct query_nats *n)
{
    return sf_rt_wall_us(queries_get_options(n->qs)->rt);
}

/* @op may be none. */
static void count_end(struct query_nats *n, size_t op, int64_t began_us, const struct sf_error *err)
{
    if (op < QUERY_NATS_OPS) {
        sf_micro_count(&n->counts[op], now_us(n) - began_us, err);
    }
}

void query_nats_stats(const struct query_nats *n, size_t i, struct sf_micro_stats *ret)
{
    *ret = sf_micro_stats_of(&n->counts[i]);
}

static void flushed(struct sf_bus_flush *flush, enum sf_code code)
{
    struct answer *a = flush->data;

    a->flushing = false;
    if (a->dropped || code != SF_OK) {
        answer_free(a); /* The asker sees silence and asks again. */
        return;
    }
    query_next(a->query);
}

enum { POSITION_TEXT = 64 };

static void position_text(const struct query_page *page, char ret[POSITION_TEXT])
{
    if (page->first_seq != 0) {
        (void)snprintf(ret, POSITION_TEXT, "%u:%llu-%llu", page->shown_epoch,
                       (unsigned long long)page->first_seq, (unsigned long long)page->last_seq);
    } else {
        (void)query_position_text(page->shown_epoch, page->last_seq, ret);
    }
}

/* @deprecated: "" when it is not. */
static enum sf_code send_page(struct query_nats *n, const char *reply, const char *deprecated,
                              const struct query_page *page, struct sf_error *err)
{
    char position[POSITION_TEXT];
    char head[QUERY_POSITION];
    char work[3][24];
    struct sf_bus_header extra[8] = {
        {HEADER_VIEW, page->view},      {HEADER_CONTRACT, page->contract},
        {HEADER_POSITION, position},    {HEADER_HEAD, head},
        {HEADER_EXAMINED, work[0]},     {HEADER_WHERE_NULLS, work[1]},
        {HEADER_WHERE_ERRORS, work[2]},
    };
    size_t extra_count = page->has_where ? 7 : 4;
    struct sf_service_page p = {
        .content_type = page->content_type,
        .data = page->data,
        .headers = extra,
        .is_last = page->is_last,
        .count = page->count,
        .cursor = page->cursor,
    };

    if (deprecated[0] != '\0') {
        extra[extra_count++] = (struct sf_bus_header){HEADER_DEPRECATED, deprecated};
    }
    p.header_count = extra_count;
    if (page->has_where) {
        query_work_texts(page, work);
    }
    position_text(page, position);
    (void)query_position_text(page->epoch, page->head_seq, head);
    return sf_service_send_page(n->bus, reply, &p, err);
}

/* The asker is told when that goes through, and else sees silence and asks again. */
static void give_up(struct answer *a, const struct sf_error *why)
{
    send_error(a->owner, a->reply, why, NULL);
    answer_free(a);
}

static void on_page(void *data, const struct query_page *page, const struct sf_error *err)
{
    struct answer *a = data;
    struct sf_error why;

    if (err != NULL || page->is_last) {
        count_end(a->owner, a->op, a->began_us, err);
    }
    if (err != NULL) {
        give_up(a, err);
        return;
    }
    if (send_page(a->owner, a->reply, a->deprecated, page, &why) != SF_OK) {
        give_up(a, &why);
        return;
    }
    if (page->is_last) {
        answer_free(a);
        return;
    }
    a->flush = (struct sf_bus_flush){.done = flushed, .data = a};
    a->flushing = sf_bus_flush(a->owner->bus, &a->flush, FLUSH_NS, &why) == SF_OK;
    if (!a->flushing) {
        give_up(a, &why);
    }
}

/* --- answers within the call ------------------------------------------------------------------ */

struct now {
    struct query_nats *owner;
    const char *reply;
    size_t op;
    int64_t began_us;
    char deprecated[DEPRECATION_TEXT];
    struct get_name name; /* view NULL: it is not kept */
    struct store_stamp stamp;
};

static void on_page_now(void *data, const struct query_page *page, const struct sf_error *err)
{
    const struct now *now = data;
    struct sf_error why;

    count_end(now->owner, now->op, now->began_us, err);
    if (err == NULL && send_page(now->owner, now->reply, now->deprecated, page, &why) != SF_OK) {
        err = &why;
    }
    if (err != NULL) {
        send_error(now->owner, now->reply, err, NULL);
    } else if (now->name.view != NULL) {
        get_cache_offer(queries_get_cache(now->owner->qs), &now->name, &now->stamp, page->data);
    }
}

/* The table that a get is about when its row may be kept; or NULL. */
static const struct served_table *table_of_kept(const struct query_params *p,
                                                const struct serving_right *right)
{
    const struct served_table *t =
        p->is_plain_get ? served_product_table(right->product, p->table) : NULL;

    return t != NULL && t->contract->kind == SF_TABLE_STATE ? t : NULL;
}

/* Answers with the row as it is kept, as the page that reading it would have made. Whoever may not
 * ask for it finds none: what was kept under a view and a key was asked for by them before. */
static bool answer_kept(struct query_nats *n, const char *reply, size_t op,
                        const struct query_params *p, const struct serving_right *right)
{
    const struct served_table *table = table_of_kept(p, right);
    struct now now = {.owner = n, .reply = reply, .op = op, .began_us = now_us(n)};
    SF_CLEANUP(served_view_unrefp) struct served_view *view = NULL;
    const struct store_head *head;
    const struct get_entry *e;
    struct query_page page;
    struct sf_error err;

    if (table == NULL ||
        serving_view(right->serving, table, right->grant, &right->roles, &view, &err) != SF_OK) {
        return false; /* the long way says why */
    }
    e = get_cache_find(queries_get_cache(n->qs), &(struct get_name){view, p->key});
    if (e == NULL) {
        return false;
    }
    head = store_lane_head(table->lane);
    page = (struct query_page){
        .content_type = "application/x-ndjson",
        .data = get_entry_line(e),
        .rows = 1,
        .is_last = true,
        .count = 1,
        .cursor = "",
        .epoch = head->epoch,
        .last_seq = head->seq,
        .head_seq = head->seq,
        .view = view->name,
        .contract = right->product->version,
        .shown_epoch = head->epoch,
    };
    (void)deprecation_text(right->product->contract, now.deprecated);
    on_page_now(&now, &page, NULL);
    return true;
}

/* The request is answered and taken, or nothing has happened. */
static bool answer_now(struct query_nats *n, const char *reply, size_t op,
                       const struct query_params *p, const struct serving_right *right,
                       struct query_request *request)
{
    struct now now = {.owner = n, .reply = reply, .op = op, .began_us = now_us(n)};

    if (request->op != QUERY_GET) {
        return false;
    }
    (void)deprecation_text(request->table->product->contract, now.deprecated);
    if (table_of_kept(p, right) != NULL) {
        now.name = (struct get_name){request->served, p->key};
        now.stamp = store_stamp_take(queries_get_options(n->qs)->store, request->table->lane,
                                     sf_buf_view(&request->key));
    }
    return query_answer_now(n->qs, request, on_page_now, &now);
}

static enum sf_code start(struct query_nats *n, const char *reply, size_t op,
                          struct query_request *request, struct sf_error *err)
{
    struct answer *a = sf_calloc(1, sizeof(*a));
    enum sf_code code;

    if (a != NULL) {
        a->reply = sf_strdup(reply);
    }
    if (a == NULL || a->reply == NULL) {
        sf_free(a);
        query_request_done(request);
        return SF_RAISE(err, SF_NOMEM, "request");
    }
    a->owner = n;
    a->op = op;
    a->began_us = now_us(n);
    (void)deprecation_text(request->table->product->contract, a->deprecated);
    code = query_start(n->qs, request, on_page, a, &a->query, err);
    if (code != SF_OK) {
        sf_free(a->reply);
        sf_free(a);
        return code;
    }
    sf_list_push(&n->answers, &a->link);
    return SF_OK;
}

static enum sf_code describe(struct query_nats *n, const char *reply,
                             const struct serving_right *right, struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf out = {0};
    char text[DEPRECATION_TEXT];
    const struct sf_bus_header header = {HEADER_DEPRECATED, text};
    const size_t count = deprecation_text(right->product->contract, text) ? 1 : 0;
    enum sf_code code = query_describe(right, &out, err);

    return code == SF_OK ? sf_service_send_with(n->bus, reply, "application/json", &header, count,
                                                sf_buf_view(&out), err)
                         : code;
}

static enum sf_code follow(struct query_nats *n, const char *reply,
                           const struct serving_caller *caller, const char *product,
                           enum query_op op, const struct query_params *p, struct sf_error *err)
{
    const struct follow_spec spec = {
        .caller = *caller,
        .product = product,
        .major = p->major,
        .table = p->table,
        .select = p->select,
        .after = p->after,
        .since = p->since,
        .snapshot = p->snapshot,
        .live = p->follow,
        .seconds = p->seconds,
    };
    const struct follow_credit credit = {.flow = p->flow, .window = p->window};

    if (p->limit != 0 || p->pages != 0) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST,
                          "'%s' does not go with a stream: it ends by 'seconds'",
                          p->limit != 0 ? "limit" : "pages");
    }
    if (op != QUERY_CHANGES) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "'%s' is for changes",
                          p->follow ? "follow" : "snapshot");
    }
    return follow_nats_start(n->bus, n->qs, reply, &spec, &credit, &n->follows, err);
}

/* What is not about rows: begins it, which is all that is counted. */
static enum sf_code start_other(struct query_nats *n, const char *reply, const char *op,
                                const struct serving_right *right, const char *table,
                                struct sf_error *err)
{
    const struct queries_options *o = queries_get_options(n->qs);
    bool known = false;
    enum sf_code code = o->other == NULL
                            ? SF_OK
                            : o->other(o->other_data, n->bus, reply, op, right, table, &known, err);

    if (code != SF_OK) {
        return code;
    }
    if (!known) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_NO_SUCH_PATH,
                          "operation is not one of describe, get, scan, changes, stats, profile");
    }
    count_end(n, op_index(op), now_us(n), NULL);
    return SF_OK;
}

static bool op_of(const char *name, enum query_op *ret)
{
    static const struct {
        const char *name;
        enum query_op op;
    } ops[] = {{"get", QUERY_GET}, {"scan", QUERY_SCAN}, {"changes", QUERY_CHANGES}};

    for (size_t i = 0; i < SF_COUNT(ops); i++) {
        if (strcmp(ops[i].name, name) == 0) {
            *ret = ops[i].op;
            return true;
        }
    }
    return false;
}

/* Answers a request whose body is read: describe at once, the others page by page. */
static enum sf_code serve(struct query_nats *n, const struct sf_bus_msg *m,
                          const struct subject_request_parts *parts, const struct query_params *p,
                          struct sf_error *err)
{
    const struct serving_caller caller = {
        .account = *parts->account == '\0' ? NULL : parts->account,
        .assertion = sf_bus_msg_header(m, HEADER_ROLES),
    };
    const struct queries_options *o = queries_get_options(n->qs);
    struct serving_right right;
    struct query_request request;
    enum query_op op;
    enum sf_code code;

    code = serving_decide(o->serving, &caller, parts->product, p->major, &right, err);
    if (code != SF_OK) {
        return code;
    }
    if (strcmp(parts->op, "describe") == 0) {
        code = describe(n, m->reply, &right, err);
        if (code == SF_OK) {
            count_end(n, op_index(parts->op), now_us(n), NULL);
        }
        return code;
    }
    if (!op_of(parts->op, &op)) {
        return start_other(n, m->reply, parts->op, &right, p->table, err);
    }
    if (p->follow || p->snapshot) {
        code = follow(n, m->reply, &caller, parts->product, op, p, err);
        if (code == SF_OK) {
            count_end(n, op_index(parts->op), now_us(n), NULL);
        }
        return code;
    }
    if (p->flow != NULL || p->window != 0) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST,
                          "'%s' goes with 'follow' or 'snapshot': else ask page by page",
                          p->flow != NULL ? "flow" : "window");
    }
    if (op == QUERY_GET && answer_kept(n, m->reply, op_index(parts->op), p, &right)) {
        return SF_OK;
    }
    code = query_request_build(p, op, &right, o->seal_key, &request, err);
    if (code != SF_OK || answer_now(n, m->reply, op_index(parts->op), p, &right, &request)) {
        return code;
    }
    return start(n, m->reply, op_index(parts->op), &request, err);
}

static bool has_reply(const struct sf_bus_msg *m)
{
    return m->reply != NULL && *m->reply != '\0';
}

/* What an asker says of its flow; most do not wait for an answer. */
static enum sf_code taken(struct query_nats *n, const struct sf_bus_msg *m, const char *account,
                          const struct sf_json *body, struct sf_error *err)
{
    enum sf_code code = follow_nats_taken(&n->follows, account, body, err);

    return code == SF_OK && has_reply(m)
               ? sf_service_send(n->bus, m->reply, "application/json", sf_slice_text("{}\n"), err)
               : code;
}

static enum sf_code answer_msg(struct query_nats *n, const struct sf_bus_msg *m, size_t *ret_op,
                               struct sf_buf *findings, struct sf_error *err)
{
    SF_CLEANUP(sf_json_freep) struct sf_json_doc *doc = NULL;
    struct subject_request_parts parts;
    struct query_params params = {0};
    struct sf_arena arena;
    enum sf_code code = SF_OK;

    if (!subject_request_parse(m->subject, &parts)) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_NO_SUCH_PATH, "subject is not q.D.P.OP");
    }
    *ret_op = op_index(parts.op);
    if (m->data.size > 0) {
        code = sf_json_parse(m->data, &doc, err);
    }
    if (code == SF_OK && strcmp(parts.op, "taken") == 0) {
        return taken(n, m, parts.account, sf_json_root(doc), err);
    }
    if (code != SF_OK || !has_reply(m)) {
        return code; /* without a reply nobody hears an answer */
    }
    sf_arena_init(&arena, SF_SERVICE_PAGE_MAX);
    if (doc != NULL) {
        code = query_params_from_json(sf_json_root(doc), &arena, &params, err);
    }
    params.findings = findings;
    if (code == SF_OK) {
        code = serve(n, m, &parts, &params, err);
    }
    sf_arena_done(&arena);
    return code;
}

static void on_msg(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct query_nats *n = sub->data;
    SF_CLEANUP(sf_buf_done) struct sf_buf findings = {0};
    size_t op = QUERY_NATS_OPS;
    struct sf_error err;

    if (has_reply(m) && subject_is_reserved(m->reply)) {
        return;
    }
    if (answer_msg(n, m, &op, &findings, &err) != SF_OK && has_reply(m)) {
        count_end(n, op, now_us(n), &err);
        send_error(n, m->reply, &err, &findings);
    }
}

enum sf_code query_nats_new(struct sf_bus *bus, struct queries *qs, const char *subject,
                            struct query_nats **ret, struct sf_error *err)
{
    struct query_nats *n = sf_calloc(1, sizeof(*n));
    enum sf_code code;

    if (n == NULL) {
        return SF_RAISE(err, SF_NOMEM, "requests");
    }
    n->bus = bus;
    n->qs = qs;
    n->sub = (struct sf_bus_sub){.on_msg = on_msg, .data = n};
    sf_list_init(&n->answers);
    sf_list_init(&n->follows);
    code = sf_bus_subscribe(bus, &n->sub, subject, NULL, err);
    if (code != SF_OK) {
        sf_free(n);
        return code;
    }
    *ret = n;
    return SF_OK;
}

void query_nats_free(struct query_nats *n)
{
    if (n == NULL) {
        return;
    }
    sf_bus_unsubscribe(n->bus, &n->sub);
    follow_nats_free_all(&n->follows);
    while (!sf_list_empty(&n->answers)) {
        answer_free(SF_CONTAINER_OF(n->answers.next, struct answer, link));
    }
    sf_free(n);
}
