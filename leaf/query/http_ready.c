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

/* The answer around the row, as of @head. It has the headers of the product, which are the same for
 * all who ask for this version of it. */
static enum sf_code prepare(const struct http_ready *ready, const struct get_entry *e,
                            const struct store_head *head, struct sf_http_request *r,
                            struct sf_http_prepared **ret, struct sf_error *err)
{
    char position[QUERY_POSITION];
    const struct http_page page = {
        .lines = get_entry_line(e),
        .position = position,
        .head = position,
        .view = ready->name.view->name,
        .contract = ready->name.view->table->product->version,
    };

    (void)query_position_text(head->epoch, head->seq, position);
    deprecation_tell_of(r, ready->name.view->table->product->contract);
    return http_page_prepare(r, &page, ret, err);
}

bool http_ready_answer(struct queries *qs, const struct http_ready *ready,
                       struct sf_http_request *r)
{
    struct get_cache *cache = queries_get_cache(qs);
    struct get_entry *e = get_cache_find(cache, &ready->name);
    const struct store_head *head;
    struct sf_http_prepared *http;
    struct sf_error err;

    if (e == NULL) {
        return false;
    }
    head = store_lane_head(ready->name.view->table->lane);
    http = get_entry_http(e, head);
    if (http == NULL) {
        if (prepare(ready, e, head, r, &http, &err) != SF_OK) {
            http_problem(r, &err);
            return true;
        }
        get_cache_set_http(cache, e, head, http);
    }
    sf_http_respond_prepared(r, http);
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
