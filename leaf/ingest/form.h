/*
 * What a request says about its body, and what it is told: the same words over HTTP and over NATS.
 *
 *   Threads   Pure.
 */
#pragma once

#include "common/wire/json.h"
#include "leaf/ingest/ingest.h"

/* Headers and parameters as they came; each may be NULL. Borrowed for the call. */
struct ingest_form {
    const char *content_type;     /* application/x-ndjson, application/json or text/csv */
    const char *content_encoding; /* gzip or zstd */
    const char *on_invalid;       /* quarantine or reject */
    const char *envelope;         /* change or none */
    const char *expected_seq;     /* N: where the table must stand; of several: TABLE:N,TABLE:N */
    const char *if_match;         /* "EPOCH:SEQ", in quotes: the same as an entity tag; or * */
    const char *idempotency_key;  /* this and expected_seq stay borrowed by the request */
};

/*
 * Reads @form into @ret, of which table or product, the caller and the body are the caller's.
 * SF_INVALID: E0210 for a type or encoding that is not taken, E0301 for anything else.
 */
enum sf_code ingest_form_read(const struct ingest_form *form, struct ingest_request *ret,
                              struct sf_error *err) SF_MUST_CHECK;

/* The answer as one JSON object. */
void ingest_form_answer(const struct ingest_result *result, struct sf_buf *out);
/* The same as members of an object that @w is in. */
void ingest_form_members(const struct ingest_result *result, struct sf_json_writer *w);
/* A problem document, with the invalid records when it is about those. */
void ingest_form_refusal(const struct ingest_result *result, const struct sf_error *err,
                         struct sf_buf *out);
