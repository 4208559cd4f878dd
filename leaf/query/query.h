/*
 * Requests for rows and changes: get, scan, changes. One struct query is one answer, page by page.
 *
 *   Flow      query_start(), a page, query_next(), a page, ... until the last page or an error;
 *             query_close() at any time. All pages of a query show one snapshot.
 *   Threads   Loop thread; rows are read and rendered on a query thread, which has only the query.
 *   Memory    A page is valid during its callback. The query is gone after query_close().
 *   Limits    queries_max under way, three quarters of it for other domains, a quarter for one of
 *             them, so that none keeps the others or the owner waiting: SF_BUSY. Pages of about
 *             QUERY_PAGE_BYTES, one row may exceed. A query holds its thread for QUERY_SLICE_ROWS
 *             or QUERY_SLICE_BYTES of rows looked at, then goes behind the others; a page that took
 *             QUERY_PAGE_NS goes out as full as it is, perhaps empty, so that whoever filters a
 *             large table sees progress.
 */
#pragma once

#include "common/expr/expr.h"
#include "leaf/serving/serving.h"
#include "leaf/store/read.h"

enum {
    QUERIES_MAX = 256, /* by default */
    QUERY_PAGE_BYTES = 512 * 1024,
    QUERY_CURSOR_MAX = 2048,
    QUERY_SLICE_ROWS = 8192,
    QUERY_SLICE_BYTES = 4 * 1024 * 1024,
};

#define QUERY_PAGE_NS SF_NS_PER_S

enum { QUERY_SHAPE_SIZE = 16 };

struct sf_bus;

enum query_op { QUERY_GET, QUERY_SCAN, QUERY_CHANGES };
enum query_format { QUERY_NDJSON, QUERY_CSV };

/* A point in the past of a table. */
enum query_point_kind { QUERY_AT_NOW, QUERY_AT_POSITION, QUERY_AT_TIME, QUERY_AT_SEQ };
struct query_point {
    enum query_point_kind kind;
    uint32_t epoch; /* AT_POSITION */
    uint64_t seq;   /* AT_POSITION, AT_SEQ: by a cursor */
    int64_t us;     /* AT_TIME: what was committed by then */
};

/* What is asked. Filled by query_request_parse() or by hand; query_start() takes it over. */
struct query_request {
    enum query_op op;
    enum query_format format; /* CSV: get and scan only */
    const struct served_table *table;
    struct served_view *served;  /* a reference: what who asks sees of the table */
    const struct row_view *view; /* @own_view, or all columns of @served */
    struct row_view *own_view;   /* owned; NULL: nothing was selected */
    char grant_id[64];           /* "": the owner asks */
    char consumer[64];           /* domain; "": the owner asks */
    struct sf_buf key;           /* get: the whole key, encoded; scan: see @hides_key */
    struct sf_buf from;          /* scan: inclusive, encoded; empty: no bound */
    struct sf_buf to;            /* scan: exclusive */
    struct sf_buf prefix;        /* scan */
    bool has_after;              /* changes */
    uint32_t after_epoch;
    uint64_t after_seq;    /* changes, scan of an event table: exclusive */
    uint64_t before_seq;   /* scan of an event table: exclusive; UINT64_MAX: no bound */
    uint64_t limit;        /* rows; 0: no limit */
    uint64_t pages;        /* pages; 0: no limit */
    bool reverse;          /* scan: from the last row to the first; the bounds mean the same */
    bool count;            /* scan: how many rows, as {"count":N}, instead of the rows */
    bool marked;           /* scan: rows as {"seq","op":"snapshot","key","row"} */
    bool hides_key;        /* scan: in the order of hidden_order.h, behind the place in @key */
    struct sf_expr *where; /* scan: owned, over the table as it is seen; NULL: all rows */
    char view_name[SERVING_VIEW_NAME];
    const char *contract;            /* version of the product, as it has it */
    struct query_point as_of;        /* get, scan: rows as they were */
    struct query_point since;        /* changes: from that time on, instead of after */
    uint8_t shape[QUERY_SHAPE_SIZE]; /* of order and where: a cursor is good for its own */
};

void query_request_done(struct query_request *r);

/* A position as text, EPOCH:SEQ; returns its length. */
enum { QUERY_POSITION = 32 };
size_t query_position_text(uint32_t epoch, uint64_t seq, char ret[QUERY_POSITION]);

struct query_page {
    const char *content_type;
    struct sf_slice data;
    uint64_t rows; /* in this page */
    bool is_last;
    uint64_t count;     /* of the last: rows in all pages */
    const char *cursor; /* of the last: where to go on; "" at the end (changes: never "") */
    uint32_t epoch;
    uint64_t first_seq;   /* changes: of this page; 0: none in it */
    uint64_t last_seq;    /* changes: of this page; get, scan: of the snapshot */
    uint64_t head_seq;    /* of the snapshot */
    const char *view;     /* its name: Sheaf-View */
    const char *contract; /* version of the product: Sheaf-Contract */
    uint32_t shown_epoch; /* of last_seq */
    bool has_where;
    uint64_t examined; /* rows looked at so far, in all pages */
    uint64_t nulls;    /* of these, left out as where was null */
    uint64_t errors;   /* ... or an error, such as an overflow */
};

/* The numbers of a page with where, as its headers have them: examined, nulls, errors. */
void query_work_texts(const struct query_page *page, char ret[3][24]);

/* @err NULL: a page. Else the end, without one. May call query_next() or query_close(). */
typedef void (*query_cb)(void *data, const struct query_page *page, const struct sf_error *err);

struct queries;
struct query;

struct queries_options {
    struct sf_rt *rt;
    struct store *store; /* borrowed, as all here */
    const struct serving *serving;
    const uint8_t *seal_key; /* SF_SEAL_KEY_SIZE bytes: seals cursors; the same after a restart */
    size_t queries_max;      /* 0: QUERIES_MAX */
    size_t answers_bytes;    /* of get_cache.h; 0: none are kept */
    /* Operations over NATS that are not about rows: answers @op when it is one of its own. NULL:
     * there are none. */
    enum sf_code (*other)(void *data, struct sf_bus *bus, const char *reply, const char *op,
                          const struct serving_right *right, const char *table, bool *ret_known,
                          struct sf_error *err);
    void *other_data;
};

/* SF_NOMEM. */
enum sf_code queries_new(const struct queries_options *options, struct queries **ret,
                         struct sf_error *err) SF_MUST_CHECK;
/* Every query must be closed and gone: queries_pending() is 0. */
void queries_free(struct queries *qs);
size_t queries_pending(const struct queries *qs);
/* Another queries_max, for requests that come from now on. */
void queries_set_max(struct queries *qs, size_t queries_max);
size_t queries_max(const struct queries *qs);
/* Requests refused because of it, or of a consumer's share of it. */
uint64_t queries_refused(const struct queries *qs);
/* Products or grants have changed: what follows without a right ends at once. */
void queries_serving_changed(struct queries *qs);
struct follows;
struct follows *queries_follows(struct queries *qs);
struct get_cache;
struct get_cache *queries_get_cache(struct queries *qs);
/* Counts something else that reads the store as under way, until it is released. */
void queries_hold(struct queries *qs);
void queries_release(struct queries *qs);
const struct queries_options *queries_get_options(const struct queries *qs);

/*
 * Starts an answer; @request is taken, also when this fails. @cb runs later, once per page.
 * SF_BUSY (E0602), SF_NOMEM. Errors by callback: SF_ABSENT E0305 (get: no such row), SF_CONFLICT
 * E0308 (another epoch, changes behind a position that is ahead of the head or was trimmed) or
 * E0317 (rows as of a position that is ahead), SF_DENIED E0401 (the grant ended while pages went
 * out), SF_CORRUPT, SF_IO, SF_NOMEM.
 */
enum sf_code query_start(struct queries *qs, struct query_request *request, query_cb cb, void *data,
                         struct query **ret, struct sf_error *err) SF_MUST_CHECK;
/*
 * The whole answer within this call, for a row by its key that memory holds. True: @cb has run,
 * with the page or with an error as above, and @request is taken. False: nothing has happened.
 */
bool query_answer_now(struct queries *qs, struct query_request *request, query_cb cb, void *data);
/* The next page, after one that was not the last. */
void query_next(struct query *q);
/* Afterwards the callback does not run and @q must not be touched. */
void query_close(struct query *q);
