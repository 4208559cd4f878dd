/*
 * A body of any length, taken in batches: each is a transaction of its own, and told of once it is
 * durable. What reads the body is told to wait while a batch is being stored.
 *
 *   Threads   Loop thread; inflating and cutting run on a query thread.
 *   Order     One batch at a time, in the order of the text, each by the contract then in force;
 *             E0302 once the product is removed, E0303 once a version leaves the table out.
 *   Memory    The input that waits (STREAM_INPUT_MAX), one body and what ingest makes of it.
 *   Limits    ingest_options: streams at a time; records and bytes of a batch. A full ingest or
 *             store is waited for.
 */
#pragma once

#include "leaf/ingest/ingest.h"

enum { STREAM_INPUT_MAX = 256 * 1024 };

struct ingest_stream;

/* How far a stream has come. */
struct ingest_stream_totals {
    uint64_t batches;
    uint64_t accepted;
    uint64_t quarantined;
    uint64_t lines; /* of the text that are done with */
    uint64_t bytes; /* of the text, inflated, that are done with */
};

struct ingest_stream_spec {
    /* As for ingest_start(), of NDJSON or CSV, without a body. Borrowed for the call, but for the
     * texts: the key is copied, others must not be there. With an idempotency key each batch has
     * the key KEY/NUMBER, and batches are cut by size alone, so that a repetition has the same
     * ones. */
    const struct ingest_request *request;
    uint64_t batch_records; /* 0, or above the limit: the limit */
    /* A batch is durable. */
    void (*on_batch)(void *data, const struct ingest_result *result,
                     const struct ingest_stream_totals *totals);
    /* There is room for input again. */
    void (*on_room)(void *data);
    /* Once, last: NULL, or why it ended early. The stream is gone. */
    void (*on_end)(void *data, const struct ingest_stream_totals *totals,
                   const struct sf_error *err);
    void *data;
};

/* SF_BUSY (E0602): too many streams. SF_NOMEM. No callback runs inside any function here. */
enum sf_code ingest_stream_new(struct ingest *in, const struct ingest_stream_spec *spec,
                               struct ingest_stream **ret, struct sf_error *err) SF_MUST_CHECK;
/* Takes the beginning of @bytes and returns its size; when it is not all, on_room follows. */
size_t ingest_stream_feed(struct ingest_stream *s, struct sf_slice bytes);
/* No more comes. */
void ingest_stream_finish(struct ingest_stream *s);
/* Nobody listens any more: no callback runs from now on, and what is not being stored is not. */
void ingest_stream_abandon(struct ingest_stream *s);
