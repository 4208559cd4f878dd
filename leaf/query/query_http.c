#include "leaf/query/query_http.h"

#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "leaf/query/follow_stream.h"
#include "leaf/query/http_page.h"
#include "leaf/query/http_ready.h"
#include "leaf/query/params.h"
#include "leaf/serving/deprecation.h"
#include "leaf/serving/http_answer.h"
#include "proto/subjects.h"

struct http_query {
    struct sf_http_request *request;
    struct query *query;
    enum http_form form;
    const char *kind; /* as in struct http_page */
    enum query_op op;
};

static void http_query_free(struct http_query *h)
{
    if (h->query != NULL) {
        query_close(h->query);
    }
    sf_free(h);
}

static void on_abort(struct sf_http_request *r, void *data)
{
    (void)r;
    http_query_free(data);
}

static void answer(struct http_query *h, const struct query_page *page)
{
    char position[64];
    char head[QUERY_POSITION];
    char work[3][24];
    struct http_page p = {
        .kind = h->kind,
        .view = page->view,
        .contract = page->contract,
        .lines = page->data,
        .position = position,
        .cursor = page->cursor,
        .head = head,
    };

    if (page->has_where) {
        query_work_texts(page, work);
        for (size_t i = 0; i < SF_COUNT(work); i++) {
            p.work[i] = work[i];
        }
    }
    if (page->first_seq != 0 && h->op == QUERY_CHANGES) {
        (void)snprintf(position, sizeof(position), "%u:%llu-%llu", page->shown_epoch,
                       (unsigned long long)page->first_seq, (unsigned long long)page->last_seq);
    } else {
        (void)query_position_text(page->shown_epoch, page->last_seq, position);
    }
    (void)query_position_text(page->epoch, page->head_seq, head);
    http_page_answer(h->request, h->form, &p);
}

static void on_answer(struct http_query *h, const struct query_page *page,
                      const struct sf_error *err)
{
    if (err != NULL) {
        http_problem(h->request, err);
    } else {
        answer(h, page);
    }
}

static void on_page(void *data, const struct query_page *page, const struct sf_error *err)
{
    on_answer(data, page, err);
    http_query_free(data);
}

/* A request that is answered within its handler, or not at all. */
struct now {
    struct http_query h;
    struct queries *qs;
    struct http_ready ready;
};

static void on_page_now(void *data, const struct query_page *page, const struct sf_error *err)
{
    struct now *now = data;

    on_answer(&now->h, page, err);
    if (err == NULL && now->ready.name.view != NULL) {
        http_ready_keep(now->qs, &now->ready, page->data);
    }
}

static enum sf_code read_params(const struct http_read *what, struct sf_http_request *r,
                                struct query_params *ret, struct sf_error *err)
{
    enum sf_code code;

    *ret = (struct query_params){
        .table = what->table,
        .major = what->major,
        .key = what->key,
        .from = sf_http_query(r, "from"),
        .to = sf_http_query(r, "to"),
        .prefix = sf_http_query(r, "prefix"),
        .cursor = sf_http_query(r, "cursor"),
        .select = sf_http_query(r, "select"),
        .after = sf_http_query(r, "after"),
        .where = sf_http_query(r, "where"),
        .as_of = sf_http_query(r, "as_of"),
        .since = sf_http_query(r, "since"),
        .pages = 1,
        .format = what->op == QUERY_CHANGES ? "ndjson" : http_form_format(http_form_of(r)),
    };
    code = query_params_number("limit", sf_http_query(r, "limit"), &ret->limit, err);
    if (code == SF_OK) {
        code = query_params_bool("reverse", sf_http_query(r, "reverse"), &ret->reverse, err);
    }
    if (code == SF_OK) {
        code = query_params_bool("count", sf_http_query(r, "count"), &ret->count, err);
    }
    return code;
}

/* Without reading anything, when the table stands where the client's answer did. */
static bool answer_held(const struct query_request *q, struct sf_http_request *r)
{
    const struct store_head *head = store_lane_head(q->table->lane);
    const char *held = sf_http_header_of(r, "If-None-Match"); /* "*": if there is a row at all */
    char position[QUERY_POSITION];
    char etag[HTTP_PAGE_ETAG];
    const struct sf_http_header headers[] = {{"ETag", etag}, {HEADER_POSITION, position}};

    if (held == NULL || strcmp(held, "*") == 0) {
        return false;
    }
    (void)query_position_text(head->epoch, head->seq, position);
    http_page_etag(http_form_of(r), position, q->view_name, q->contract, etag);
    if (!http_is_held(r, etag)) {
        return false;
    }
    http_not_modified(r, headers, SF_COUNT(headers));
    return true;
}

/* What took no answer at once goes on a thread; @request is taken. */
static enum sf_code start_later(struct queries *qs, struct query_request *request,
                                const struct http_query *kind, struct sf_error *err)
{
    struct http_query *h = sf_calloc(1, sizeof(*h));
    enum sf_code code;

    if (h == NULL) {
        query_request_done(request);
        return SF_RAISE(err, SF_NOMEM, "request");
    }
    *h = *kind;
    code = query_start(qs, request, on_page, h, &h->query, err);
    if (code != SF_OK) {
        sf_free(h);
        return code;
    }
    sf_http_set_hooks(h->request, &(struct sf_http_hooks){.on_abort = on_abort, .data = h});
    return SF_OK;
}

static enum sf_code start(struct queries *qs, const struct http_read *what,
                          struct sf_http_request *r, struct sf_buf *findings, struct sf_error *err)
{
    const struct queries_options *o = queries_get_options(qs);
    struct serving_right right;
    struct query_params params;
    struct query_request request;
    struct now now = {.qs = qs};
    enum sf_code code = serving_decide(o->serving, &(struct serving_caller){0}, what->product,
                                       what->major, &right, err);

    if (code == SF_OK) {
        now.ready = http_ready_of(what, r, &right);
    }
    if (now.ready.name.view != NULL && http_ready_answer(qs, &now.ready, r)) {
        return SF_OK;
    }
    if (code == SF_OK) {
        code = read_params(what, r, &params, err);
        params.findings = findings;
    }
    if (code == SF_OK) {
        deprecation_tell_of(r, right.product->contract);
        code = query_request_build(&params, what->op, &right, o->seal_key, &request, err);
    }
    if (code != SF_OK) {
        return code;
    }
    if (what->op != QUERY_CHANGES && answer_held(&request, r)) {
        query_request_done(&request);
        return SF_OK;
    }
    if (now.ready.name.view != NULL) {
        http_ready_begin(qs, &now.ready, sf_buf_view(&request.key));
    }
    now.h = (struct http_query){.request = r,
                                .op = what->op,
                                .kind = http_page_kind(what->op, false),
                                .form = http_form_of(r)};
    if (query_answer_now(qs, &request, on_page_now, &now)) {
        return SF_OK;
    }
    now.h.kind = http_page_kind(what->op, params.count);
    if (what->op == QUERY_CHANGES && now.h.form == HTTP_FORM_CSV) {
        now.h.form = HTTP_FORM_NDJSON;
    }
    return start_later(qs, &request, &now.h, err);
}

void query_http(struct queries *qs, const struct http_read *what, struct sf_http_request *r)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf findings = {0};
    struct sf_error err;

    if (what->op == QUERY_CHANGES && follow_stream_wanted(r)) {
        query_http_follow(qs, what, r);
        return;
    }
    if (start(qs, what, r, &findings, &err) != SF_OK) {
        http_page_problem(r, &err, sf_buf_view(&findings));
    }
}
