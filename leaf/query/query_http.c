#include "leaf/query/query_http.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "leaf/query/http_page.h"
#include "leaf/query/params.h"
#include "leaf/serving/http_answer.h"

struct http_query {
    struct sf_http_request *request;
    struct query *query;
    enum http_form form;
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
    char head[48];
    const struct http_page p = {
        .kind = h->op == QUERY_GET       ? NULL
                : h->op == QUERY_CHANGES ? "ChangeList"
                                         : "RecordList",
        .lines = page->data,
        .position = position,
        .cursor = page->cursor,
        .head = head,
    };

    if (page->first_seq != 0 && h->op == QUERY_CHANGES) {
        (void)snprintf(position, sizeof(position), "%u:%llu-%llu", page->epoch,
                       (unsigned long long)page->first_seq, (unsigned long long)page->last_seq);
    } else {
        (void)snprintf(position, sizeof(position), "%u:%llu", page->epoch,
                       (unsigned long long)page->last_seq);
    }
    (void)snprintf(head, sizeof(head), "%u:%llu", page->epoch, (unsigned long long)page->head_seq);
    http_page_answer(h->request, h->form, &p);
}

static void on_page(void *data, const struct query_page *page, const struct sf_error *err)
{
    struct http_query *h = data;

    if (err != NULL) {
        http_problem(h->request, err);
    } else {
        answer(h, page);
    }
    http_query_free(h);
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
        .pages = 1,
        .format = what->op == QUERY_CHANGES ? "ndjson" : http_form_format(http_form_of(r)),
    };
    code = query_params_number("limit", sf_http_query(r, "limit"), &ret->limit, err);
    return code;
}

static enum sf_code start(struct queries *qs, const struct http_read *what,
                          struct sf_http_request *r, struct sf_error *err)
{
    const struct queries_options *o = queries_get_options(qs);
    struct serving_right right;
    struct query_params params;
    struct query_request request;
    struct http_query *h;
    enum sf_code code = read_params(what, r, &params, err);

    if (code == SF_OK) {
        code = serving_decide(o->serving, &(struct serving_caller){0}, what->product, what->major,
                              &right, err);
    }
    if (code == SF_OK) {
        code = query_request_build(&params, what->op, &right, o->seal_key, &request, err);
    }
    if (code != SF_OK) {
        return code;
    }
    h = sf_calloc(1, sizeof(*h));
    if (h == NULL) {
        query_request_done(&request);
        return SF_RAISE(err, SF_NOMEM, "request");
    }
    h->request = r;
    h->op = what->op;
    h->form = http_form_of(r);
    if (what->op == QUERY_CHANGES && h->form == HTTP_FORM_CSV) {
        h->form = HTTP_FORM_NDJSON;
    }
    code = query_start(qs, &request, on_page, h, &h->query, err);
    if (code != SF_OK) {
        sf_free(h);
        return code;
    }
    sf_http_set_hooks(r, &(struct sf_http_hooks){.on_abort = on_abort, .data = h});
    return SF_OK;
}

void query_http(struct queries *qs, const struct http_read *what, struct sf_http_request *r)
{
    struct sf_error err;

    if (start(qs, what, r, &err) != SF_OK) {
        http_problem(r, &err);
    }
}
