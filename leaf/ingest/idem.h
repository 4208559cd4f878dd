/*
 * Idempotency keys: what is stored under one, and when a stored answer is that of a request.
 *
 * A key belongs to (caller, product). Under it lie the hash of the request and its answer, written
 * in the same transaction as the records, so there are both or neither.
 *
 *   Threads   Pure.
 */
#pragma once

#include "common/base/str.h"
#include "leaf/ingest/ingest.h"

enum { IDEM_KEY_MAX = 255 };
/* An answer is given again for at least this long. */
#define IDEM_KEEP_US (INT64_C(30) * 24 * 3600 * 1000 * 1000)

/* 1 to IDEM_KEY_MAX visible characters of ASCII. */
bool idem_key_is_valid(const char *key);
/* The key in STORE_IDEM. @product with its domain. */
void idem_store_key(const char *caller, const char *product, const char *key, struct sf_buf *ret);

/* What was answered. */
struct idem_answer {
    struct store_outcome outcome;
    uint64_t accepted;
    uint64_t quarantined;
    struct sf_slice errors; /* JSON array */
    bool names_tables;      /* the request does: then of each that got something */
    const struct ingest_table_result *tables;
    size_t table_count;
    struct ingest_table_result *owned; /* @tables of a decoded one, see idem_answer_done() */
};
void idem_answer_done(struct idem_answer *answer);

/* What stands behind the outcome. */
void idem_value_encode(const uint8_t hash[SF_HASH256_SIZE], const struct idem_answer *answer,
                       struct sf_buf *ret);
/*
 * Takes a stored value, outcomes first, apart; @ret points into it and must be done with.
 * SF_INVALID (E0310): @hash is another request's. SF_CORRUPT, SF_NOMEM.
 */
enum sf_code idem_value_decode(struct sf_slice value, const uint8_t hash[SF_HASH256_SIZE],
                               bool names_tables, struct idem_answer *ret,
                               struct sf_error *err) SF_MUST_CHECK;
