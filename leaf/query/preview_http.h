/*
 * Rows of a product of this leaf as another domain would get them, made by the view that makes them
 * for that domain; so the owner sees what its policies do before, and after, it grants anything.
 *
 *   GET .../{table}/preview?as=DOMAIN[&role=A,B][&purpose=TEXT][&limit=N]
 *
 * The columns and the purpose are those of the grant in force; without one the view is what a grant
 * of all columns would let through. Purposes and roles given here are only tried: they are
 * nobody's.
 *
 *   Threads   Loop thread.
 *   Limits    PREVIEW_ROWS_MAX rows, and one page.
 */
#pragma once

#include "leaf/query/query_http.h"

enum { PREVIEW_ROWS = 10, PREVIEW_ROWS_MAX = 1000 };

/* The caller's token was checked and is of this domain, as is the product. Answers @r. */
void query_http_preview(struct queries *qs, const struct http_read *what,
                        struct sf_http_request *r);
