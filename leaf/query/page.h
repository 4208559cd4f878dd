/*
 * The reading half of a query: a snapshot, a place in it, one page of rendered rows at a time.
 *
 *   Threads   One thread at a time: the loop that makes it, then query threads in turn.
 */
#pragma once

#include "leaf/query/hidden_order.h"
#include "leaf/query/query.h"
#include "leaf/serving/change.h"
#include "leaf/store/as_of.h"

struct page_reader {
    struct query_request request;
    const struct queries_options *options;
    struct sf_expr_caller caller; /* who asks, for where */
    struct store_snapshot *snapshot;
    bool from_memory; /* while page_read_from_memory() runs */
    struct store_head head;
    struct store_anchor anchor; /* what is held of it */
    uint64_t shown_seq;         /* what rows show: as_of, or the head */
    uint32_t shown_epoch;
    bool is_past; /* as_of was given */
    struct store_scan *scan;
    struct store_past *past;     /* instead of scan */
    struct hidden_order *hidden; /* instead of both */
    struct store_log *log;
    uint64_t rows_total;
    uint64_t pages_total;
    struct sf_buf seen; /* the row at hand, masked */
    struct change_reader changes;
    struct sf_buf data;  /* the page's */
    struct sf_buf last;  /* key, or place, of the last row of a scan, given or only looked at */
    uint64_t last_seq;   /* of the last change read, or looked at */
    uint64_t slice_rows; /* looked at in this slice */
    size_t slice_bytes;
    uint64_t examined; /* as struct query_page has them */
    uint64_t nulls;
    uint64_t errors;
    bool hurry;     /* set before page_read(): this slice ends the page, however full it is */
    bool page_done; /* set by page_read(): the page is there; else call it again */
    struct query_page page;        /* as of the last page_read() */
    char cursor[QUERY_CURSOR_MAX]; /* last: what it holds is not cleared */
};

/* Takes @request over. */
void page_reader_init(struct page_reader *r, const struct queries_options *options,
                      struct query_request *request);
void page_reader_done(struct page_reader *r);
/* One slice of work on r->page; sets r->page_done. Errors as query_start() lists them. Blocks on
 * the disk. */
enum sf_code page_read(struct page_reader *r, struct sf_error *err) SF_MUST_CHECK;
/* Whether page_read_from_memory() may be called for the first page. */
bool page_may_be_in_memory(const struct page_reader *r);
/* page_read() without the disk, on the loop thread. SF_BUSY: page_read() has to do it. */
enum sf_code page_read_from_memory(struct page_reader *r, struct sf_error *err) SF_MUST_CHECK;
