/*
 * One who asks, page by page: for the tests of what queries answer.
 *
 *   Threads   One.
 */
#pragma once

#include "leaf/query/params.h"
#include "tests/unit/query/query_world.h"

struct fixture {
    struct leaf_world w;
    struct queries *queries;
    const struct grant *grant; /* who asks; NULL: the owner */

    struct query *query; /* until its end */
    bool got;            /* a page or an error since the last query_start() or query_next() */
    unsigned pages;
    bool is_last;
    char text[4096]; /* the page, when it is short */
    size_t size;
    struct query_page page; /* without what it borrows, but content_type */
    char cursor[QUERY_CURSOR_MAX];
    struct sf_error err;
};

/* With world_orders. */
void setup(struct fixture *f);
void teardown(struct fixture *f);
/* What queries are started with; @data is the fixture. */
void on_page(void *data, const struct query_page *page, const struct sf_error *err);
/* Starts and waits for the first page or error: SF_OK is a page. */
enum sf_code ask(struct fixture *f, enum query_op op, struct query_params p);
