/*
 * Answers to reads of single rows that are asked for again and again: the row as a view shows it,
 * and apart from it the heads of answers over HTTP, which are the same for all rows of a view and
 * of one size until the table changes.
 *
 *   Right     Not decided here. Every request is decided on before its answer is looked for
 *             (serving_decide(), serving_view(): grants, expiry, removal, policies), and an answer
 *             is kept under the serial of the view that came of it. The serial stands for the table
 *             with its contract, for who asks, and for columns, masks and filters; of any of these
 *             that changes there is another view, with another serial.
 *   Order     An answer that is found shows the row as of store_lane_head(): its stamp is looked at
 *             each time (store_stamp_holds()), so that a get behind an acknowledged write sees it.
 *   Threads   Loop thread.
 *   Memory    Entries are borrowed until the next call but get_entry_*().
 *   Limits    bytes_max for all entries and heads. Entries that were not asked for since others
 *             were taken in go. A row is kept when it is asked for the second time within some ten
 *             thousand others. Heads: GET_CACHE_HEADS, for rows that are not large.
 */
#pragma once

#include "common/sys/http_server.h"
#include "leaf/serving/served_view.h"
#include "leaf/store/read.h"

struct get_cache;
struct get_entry;

/* All that the bytes of an answer depend on, but the row. Borrowed. */
struct get_name {
    const struct served_view *view; /* all columns of it */
    const char *key;                /* as it was asked for; not NULL */
};

/* SF_NOMEM. */
enum sf_code get_cache_new(struct store *store, size_t bytes_max, struct get_cache **ret,
                           struct sf_error *err) SF_MUST_CHECK;
void get_cache_free(struct get_cache *c); /* NULL is fine */
/* 0: nothing is kept. */
void get_cache_set_max(struct get_cache *c, size_t bytes_max);

/* The answer of that name, if it is still right; else NULL. */
struct get_entry *get_cache_find(struct get_cache *c, const struct get_name *name);
/* @line was read under @stamp: it may be kept. Want of memory is none of the caller's business. */
void get_cache_offer(struct get_cache *c, const struct get_name *name,
                     const struct store_stamp *stamp, struct sf_slice line);

/* The row: one line of JSON. */
struct sf_slice get_entry_line(const struct get_entry *e);

enum { GET_CACHE_HEADS = 256 };

/* What the head of an answer over HTTP depends on. */
struct get_head {
    uint64_t serial; /* of the view */
    uint64_t seq;    /* where its table stands */
    uint32_t epoch;
    size_t size; /* of the row */
};

/* The answer that has this head, or NULL: it was not made yet. */
struct sf_http_prepared *get_cache_http(const struct get_cache *c, const struct get_head *head);
/* Whether it is worth making a head for rows of that size. */
bool get_cache_takes_head(const struct get_cache *c, size_t size);
/* Takes @http, which was made for @head. */
void get_cache_set_http(struct get_cache *c, const struct get_head *head,
                        struct sf_http_prepared *http);

struct get_cache_stats {
    size_t bytes;
    size_t bytes_max;
    size_t entries;
    uint64_t hits;
    uint64_t misses; /* not there, or no longer right */
    uint64_t evicted;
};
struct get_cache_stats get_cache_stats(const struct get_cache *c);
