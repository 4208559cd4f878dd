/*
 * A body over HTTP that is taken in batches: POST .../records?batch=stream, with NDJSON or CSV.
 *
 *   Answers   200 and NDJSON: for each batch, once it is durable, the answer of ingest_http.h with
 *             "batch" (its number), "line" and "bytes" (how far into the body, inflated, it
 * reaches) and "replayed" when it was stored before; at the end {"done":true,...} with totals, or
 *             {"done":false,...,"problem":{...}}. A problem alone when the first batch failed.
 *   Limits    Those of stream.h. A client that does not read while it sends gets fewer lines, not
 *             none: the last one is always sent.
 *   Threads   Loop thread. A client that leaves keeps what was durable.
 */
#pragma once

#include "leaf/ingest/ingest_http.h"

/* Whether the body of @r is to be taken so; its head alone is looked at. */
bool ingest_stream_http_wants(const struct sf_http_request *r);
/* Answers @r, whose body comes in pieces; @to is borrowed for the call. */
void ingest_stream_http(struct ingest *in, const struct ingest_target *to,
                        struct sf_http_request *r);
