/*
 * Ingest over HTTP: POST .../{table}/records with NDJSON, a JSON array or object, or CSV; POST
 * .../{product}/records with records that name their table.
 *
 *   Parameters   on_invalid=quarantine|reject, envelope=change, expected_seq=N, or of several
 *                tables TABLE:N,TABLE:N
 *   Headers      Content-Type; Content-Encoding: gzip or zstd; If-Match; Idempotency-Key
 *   Answers      200 {"epoch","first_seq","last_seq","commit","accepted","quarantined","errors"},
 *                also with quarantined records; else a problem, and nothing is stored.
 *   Threads      Loop thread. A client that leaves does not undo its request.
 */
#pragma once

#include "common/sys/http_server.h"
#include "leaf/ingest/ingest.h"

/* Where the records go. */
struct ingest_target {
    const struct served_table *table;     /* NULL: where they say, */
    const struct served_product *product; /* of this product */
    const char *user;                     /* whose idempotency keys these are */
};

/* Answers @r, now or later; @to is borrowed for the call. */
void ingest_http(struct ingest *in, const struct ingest_target *to, struct sf_http_request *r);

struct ingest_form;
/* What headers and parameters say; borrowed from @r. */
void ingest_http_form(const struct sf_http_request *r, struct ingest_form *ret);
