#include "leaf/query/query.h"

#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/base/str.h"
#include "leaf/query/follow.h"
#include "leaf/query/get_cache.h"
#include "leaf/query/page.h"
#include "proto/errors.h"

/*
 *             query_next()            work done               query_next()
 *   WAITING --------------> READING ------------> WAITING --------------> ...
 *      |                       |
 *      +--- query_close() -----+---> CLOSING (until the work is back) ---> freed
 */
enum query_state { WAITING, READING, CLOSING };

struct query {
    enum query_state state;
    struct queries *qs;
    query_cb cb;
    void *data;
    struct page_reader reader; /* the query thread's while READING */
    enum sf_code code;
    struct sf_error error;
    struct sf_work work;
    bool ended; /* the last page or an error was told */
    uint64_t page_began_ns;
    struct sf_list link;
};

struct queries {
    struct queries_options options;
    size_t pending;
    struct sf_list all; /* those that are closing too */
    uint64_t refused;
    struct follows *follows;
    struct get_cache *answers;
};

void query_request_done(struct query_request *r)
{
    row_view_free(r->own_view);
    served_view_unref(r->served);
    sf_expr_free(r->where);
    sf_buf_done(&r->key);
    sf_buf_done(&r->from);
    sf_buf_done(&r->to);
    sf_buf_done(&r->prefix);
    *r = (struct query_request){0};
}

size_t query_position_text(uint32_t epoch, uint64_t seq, char ret[QUERY_POSITION])
{
    size_t n = sf_format_u64(epoch, ret);

    ret[n++] = ':';
    return n + sf_format_u64(seq, ret + n);
}

void query_work_texts(const struct query_page *page, char ret[3][24])
{
    (void)snprintf(ret[0], 24, "%llu", (unsigned long long)page->examined);
    (void)snprintf(ret[1], 24, "%llu", (unsigned long long)page->nulls);
    (void)snprintf(ret[2], 24, "%llu", (unsigned long long)page->errors);
}

enum sf_code queries_new(const struct queries_options *options, struct queries **ret,
                         struct sf_error *err)
{
    struct queries *qs = sf_calloc(1, sizeof(*qs));
    enum sf_code code;

    if (qs == NULL) {
        return SF_RAISE(err, SF_NOMEM, "queries");
    }
    *qs = (struct queries){.options = *options};
    queries_set_max(qs, options->queries_max);
    sf_list_init(&qs->all);
    code = get_cache_new(options->store, options->answers_bytes, &qs->answers, err);
    if (code == SF_OK) {
        code = follows_new(qs, &qs->follows, err);
    }
    if (code != SF_OK) {
        get_cache_free(qs->answers);
        sf_free(qs);
        return code;
    }
    *ret = qs;
    return SF_OK;
}

void queries_free(struct queries *qs)
{
    sf_assert(qs == NULL || qs->pending == 0);
    if (qs != NULL) {
        follows_free(qs->follows);
        get_cache_free(qs->answers);
        sf_free(qs);
    }
}

void queries_serving_changed(struct queries *qs)
{
    follows_check(qs->follows);
}

struct follows *queries_follows(struct queries *qs)
{
    return qs->follows;
}

struct get_cache *queries_get_cache(struct queries *qs)
{
    return qs->answers;
}

void queries_set_max(struct queries *qs, size_t queries_max)
{
    qs->options.queries_max = queries_max == 0 ? QUERIES_MAX : queries_max;
}

size_t queries_max(const struct queries *qs)
{
    return qs->options.queries_max;
}

uint64_t queries_refused(const struct queries *qs)
{
    return qs->refused;
}

size_t queries_pending(const struct queries *qs)
{
    return qs->pending;
}

void queries_hold(struct queries *qs)
{
    qs->pending++;
}

void queries_release(struct queries *qs)
{
    sf_assert(qs->pending > 0);
    qs->pending--;
}

const struct queries_options *queries_get_options(const struct queries *qs)
{
    return &qs->options;
}

static void query_free(struct query *q)
{
    q->qs->pending--;
    sf_list_remove(&q->link);
    page_reader_done(&q->reader);
    sf_free(q);
}

/* Query thread. */
static void read_work(struct sf_work *work)
{
    struct query *q = SF_CONTAINER_OF(work, struct query, work);

    if (q->code == SF_OK) {
        q->code = page_read(&q->reader, &q->error);
    }
}

/* Tells the page or the error just read. */
static void tell(struct query *q)
{
    if (q->code != SF_OK) {
        q->ended = true;
        q->cb(q->data, NULL, &q->error);
        return;
    }
    q->ended = q->reader.page.is_last;
    q->cb(q->data, &q->reader.page, NULL);
}

/* That who asks may still have the page, and would get it as it is. */
static void check_grant(struct query *q)
{
    const struct query_request *request = &q->reader.request;

    if (q->code == SF_OK && *request->grant_id != '\0') {
        q->code = serving_still_shows(q->qs->options.serving, request->grant_id, request->served,
                                      &q->error);
    }
}

static void read_done(struct sf_task *done)
{
    struct query *q = SF_CONTAINER_OF(done, struct query, work.done);

    if (q->state == CLOSING) {
        query_free(q);
        return;
    }
    check_grant(q);
    if (q->code == SF_OK && !q->reader.page_done) {
        q->reader.hurry = sf_rt_now_ns(q->qs->options.rt) - q->page_began_ns >= QUERY_PAGE_NS;
        sf_rt_work(q->qs->options.rt, &q->work); /* behind the others */
        return;
    }
    q->state = WAITING;
    tell(q);
}

static enum sf_code check_room(struct queries *qs, const struct query_request *request,
                               struct sf_error *err)
{
    const size_t max = qs->options.queries_max;
    size_t of_all = 0;
    size_t of_this = 0;

    if (qs->pending >= max) {
        return SF_RAISE_E(err, SF_BUSY, SHEAF_E_BUSY, "%zu requests under way", max);
    }
    if (*request->consumer == '\0') {
        return SF_OK;
    }
    for (struct sf_list *at = qs->all.next; at != &qs->all; at = at->next) {
        const struct query *q = SF_CONTAINER_OF(at, struct query, link);

        of_all += *q->reader.request.consumer != '\0';
        of_this += strcmp(q->reader.request.consumer, request->consumer) == 0;
    }
    if (of_this >= max / 4) {
        return SF_RAISE_E(err, SF_BUSY, SHEAF_E_BUSY, "%zu requests of %s under way", of_this,
                          request->consumer);
    }
    if (of_all >= max / 4 * 3) {
        return SF_RAISE_E(err, SF_BUSY, SHEAF_E_BUSY, "%zu requests of other domains under way",
                          of_all);
    }
    return SF_OK;
}

enum sf_code query_start(struct queries *qs, struct query_request *request, query_cb cb, void *data,
                         struct query **ret, struct sf_error *err)
{
    struct query *q;
    enum sf_code code = check_room(qs, request, err);

    if (code != SF_OK) {
        qs->refused++;
        query_request_done(request);
        return code;
    }
    q = sf_calloc(1, sizeof(*q));
    if (q == NULL) {
        query_request_done(request);
        return SF_RAISE(err, SF_NOMEM, "request");
    }
    q->qs = qs;
    q->cb = cb;
    q->data = data;
    page_reader_init(&q->reader, &qs->options, request);
    q->work = (struct sf_work){.pool = SF_POOL_QUERY, .work = read_work, .done.run = read_done};
    qs->pending++;
    sf_list_push(&qs->all, &q->link);
    *ret = q;
    query_next(q);
    return SF_OK;
}

/* A row that memory holds is read here: two changes of thread cost more than the read. */
static bool read_from_memory(struct query *q)
{
    if (q->code != SF_OK || !page_may_be_in_memory(&q->reader)) {
        return false;
    }
    q->code = page_read_from_memory(&q->reader, &q->error);
    if (q->code == SF_BUSY) {
        q->code = SF_OK;
        return false;
    }
    return true;
}

void query_next(struct query *q)
{
    sf_assert(q->state == WAITING && !q->ended);
    q->state = READING;
    q->page_began_ns = sf_rt_now_ns(q->qs->options.rt);
    q->reader.hurry = false;
    if (read_from_memory(q)) {
        sf_rt_post(q->qs->options.rt, &q->work.done);
    } else {
        sf_rt_work(q->qs->options.rt, &q->work);
    }
}

void query_close(struct query *q)
{
    sf_assert(q->state != CLOSING);
    if (q->state == READING) {
        q->state = CLOSING;
    } else {
        query_free(q);
    }
}

bool query_answer_now(struct queries *qs, struct query_request *request, query_cb cb, void *data)
{
    struct page_reader reader;
    struct sf_error err;
    enum sf_code code = SF_BUSY;

    page_reader_init(&reader, &qs->options, request);
    if (page_may_be_in_memory(&reader)) {
        code = page_read_from_memory(&reader, &err);
    }
    if (code == SF_BUSY) {
        *request = reader.request;
        reader.request = (struct query_request){0};
    } else {
        cb(data, code == SF_OK ? &reader.page : NULL, code == SF_OK ? NULL : &err);
    }
    page_reader_done(&reader);
    return code != SF_BUSY;
}
