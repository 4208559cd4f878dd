#include "leaf/query/http_ready.h"

#include "leaf/query/http_page.h"
#include "leaf/serving/deprecation.h"
#include "leaf/serving/http_answer.h"

struct http_ready http_ready_of(const struct http_read *what, const struct sf_http_request *r,
                                const struct serving_right *right)
{
    const struct served_table *table;
    const char *name;
    const char *value;

    if (what->op != QUERY_GET || what->key == NULL || right->grant != NULL ||
        sf_http_query_at(r, 0, &name, &value) || http_form_of(r) != HTTP_FORM_JSON ||
        sf_http_header_of(r, "If-None-Match") != NULL) {
        return (struct http_ready){0};
    }
    table = served_product_table(right->product, what->table);
    if (table == NULL || table->contract->kind != SF_TABLE_STATE) {
        return (struct http_ready){0};
    }
    return (struct http_ready){.name = {table->whole, what->key}};
}

/* Makes the head for the answers that come after this one. Want of memory is their business. */
static void make_head(struct get_cache *cache, const struct get_head *head,
                      const struct sf_http_request *r, const struct http_page *page)
{
    struct sf_http_prepared *http;
    struct sf_error err;

    if (http_page_prepare(r, page, &http, &err) == SF_OK) {
        get_cache_set_http(cache, head, http);
    }
}

bool http_ready_answer(struct queries *qs, const struct http_ready *ready,
                       struct sf_http_request *r)
{
    struct get_cache *cache = queries_get_cache(qs);
    const struct served_view *view = ready->name.view;
    const struct get_entry *e = get_cache_find(cache, &ready->name);
    const struct store_head *at = store_lane_head(view->table->lane);
    const struct sf_slice line = e == NULL ? sf_slice_text(NULL) : get_entry_line(e);
    const struct get_head head = {view->serial, at->seq, at->epoch, line.size};
    struct sf_http_prepared *http;
    char position[QUERY_POSITION];
    const struct http_page page = {
        .lines = line,
        .position = position,
        .head = position,
        .view = view->name,
        .contract = view->table->product->version,
    };

    if (e == NULL) {
        return false;
    }
    http = get_cache_http(cache, &head);
    if (http != NULL && sf_http_respond_prepared(r, http, line)) {
        return true;
    }
    (void)query_position_text(at->epoch, at->seq, position);
    deprecation_tell_of(r, view->table->product->contract);
    http_page_answer(r, HTTP_FORM_JSON, &page);
    if (http == NULL && get_cache_takes_head(cache, line.size)) {
        make_head(cache, &head, r, &page); /* may push out the entry, and its line */
    }
    return true;
}

void http_ready_begin(struct queries *qs, struct http_ready *ready, struct sf_slice encoded_key)
{
    ready->stamp = store_stamp_take(queries_get_options(qs)->store, ready->name.view->table->lane,
                                    encoded_key);
}

void http_ready_keep(struct queries *qs, const struct http_ready *ready, struct sf_slice line)
{
    get_cache_offer(queries_get_cache(qs), &ready->name, &ready->stamp, line);
}
