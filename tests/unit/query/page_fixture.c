#include "tests/unit/query/page_fixture.h"

#include <stdio.h>

#include "tests/lib/cmocka.h"

void setup(struct fixture *f)
{
    *f = (struct fixture){0};
    leaf_world_init(&f->w, 11);
    (void)leaf_world_add(&f->w, world_orders);
    f->queries = world_queries(&f->w);
}

void teardown(struct fixture *f)
{
    if (f->query != NULL) {
        query_close(f->query);
    }
    world_queries_done(&f->w, f->queries);
}

void on_page(void *data, const struct query_page *page, const struct sf_error *err)
{
    struct fixture *f = data;

    assert_false(f->got);
    f->got = true;
    f->err = (struct sf_error){0};
    if (err != NULL) {
        f->err = *err;
        query_close(SF_TAKE(f->query));
        return;
    }
    f->pages++;
    f->page = *page;
    f->size = page->data.size;
    (void)snprintf(f->text, sizeof(f->text), "%.*s", (int)(f->size > 4000 ? 0 : f->size),
                   (const char *)page->data.data);
    (void)snprintf(f->cursor, sizeof(f->cursor), "%s", page->cursor);
    if (page->is_last) {
        query_close(SF_TAKE(f->query));
    }
}

enum sf_code ask(struct fixture *f, enum query_op op, struct query_params p)
{
    const struct serving_right right = {.serving = &f->w.serving,
                                        .product =
                                            product_set_find(&f->w.serving.products, "orders", 1),
                                        .grant = f->grant};
    struct query_request request;

    f->err = (struct sf_error){0};
    f->pages = 0;
    p.table = p.table == NULL ? "orders" : p.table;
    if (query_request_build(&p, op, &right, world_seal_key, &request, &f->err) != SF_OK) {
        return f->err.code;
    }
    f->got = false;
    assert_int_equal(query_start(f->queries, &request, on_page, f, &f->query, &f->err), SF_OK);
    assert_false(f->got);
    assert_null(request.view); /* Taken. */
    rt_sim_run(&f->w.stores.sim);
    assert_true(f->got);
    return f->err.code;
}
