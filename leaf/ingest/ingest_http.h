/*
 * Ingest over HTTP: POST .../{table}/records with NDJSON, a JSON array or object, or CSV.
 *
 *   Parameters   on_invalid=quarantine|reject, envelope=change, expected_seq=N
 *   Headers      Content-Type; Content-Encoding: gzip or zstd; If-Match; Idempotency-Key
 *   Answers      200 {"epoch","first_seq","last_seq","commit","accepted","quarantined","errors"},
 *                also with quarantined records; else a problem, and nothing is stored.
 *   Threads      Loop thread. A client that leaves does not undo its request.
 */
#pragma once

#include "common/sys/http_server.h"
#include "leaf/ingest/ingest.h"

/* Answers @r, now or later. @user, borrowed for the call, is whose idempotency keys these are. */
void ingest_http(struct ingest *in, const struct served_table *table, const char *user,
                 struct sf_http_request *r);
