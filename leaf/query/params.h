/*
 * What a request asks, from JSON (NATS) or from the parameters of a URL (HTTP), against the table
 * it is about and the right of who asks. Pure.
 *
 * Members: table, major, key [parts], from, to, prefix (texts; composite: parts joined by ','),
 * limit, pages, cursor, select [names], after ("EPOCH:SEQ"), format ("ndjson" | "csv"), where,
 * reverse, count, as_of ("EPOCH:SEQ" or a time), since (a time), follow, snapshot, seconds, flow,
 * window.
 */
#pragma once

#include "common/sys/seal.h"
#include "common/wire/json.h"
#include "leaf/query/query.h"

enum { QUERY_SECONDS_MAX = 24 * 60 * 60 }; /* how long to follow */

/* Texts as they came; NULL: not given. */
struct query_params {
    const char *table;
    uint32_t major;  /* 0: not given */
    const char *key; /* parts percent-encoded, joined by ',' */
    const char *from;
    const char *to;
    const char *prefix;
    uint64_t limit;
    uint64_t pages;
    const char *cursor;
    const char *select; /* names joined by ',' */
    const char *after;
    const char *format;
    const char *where;
    const char *as_of;
    const char *since;
    bool reverse;
    bool count;
    bool follow; /* changes, as the two below: struct follow_spec */
    bool snapshot;
    uint64_t seconds;        /* 0: not given */
    const char *flow;        /* with a window: the name of the flow (common/bus/flow.h) */
    uint32_t window;         /* pages; 0: not given */
    struct sf_buf *findings; /* gets what is wrong with where, as text; NULL: not wanted */
    bool is_plain_get;       /* a key, and nothing but table and major beside it */
};

/* From the JSON object of a request; strings live as long as it, and as @arena.
 * SF_INVALID E0301. SF_NOMEM. */
enum sf_code query_params_from_json(const struct sf_json *body, struct sf_arena *arena,
                                    struct query_params *ret, struct sf_error *err) SF_MUST_CHECK;
/* A whole number of a URL parameter; @text NULL: 0. SF_INVALID E0301 naming @name. */
enum sf_code query_params_number(const char *name, const char *text, uint64_t *ret,
                                 struct sf_error *err) SF_MUST_CHECK;

/* "true" or "1", "false" or "0"; "" is true, as in "?reverse". @text NULL: false. SF_INVALID E0301.
 */
enum sf_code query_params_bool(const char *name, const char *text, bool *ret,
                               struct sf_error *err) SF_MUST_CHECK;

/* How long to follow: 1 to 86,400. @text NULL: 0. SF_INVALID E0301. */
enum sf_code query_params_seconds(const char *text, uint64_t *ret,
                                  struct sf_error *err) SF_MUST_CHECK;

/* Splits the text of a key or bound at its commas and undoes percent-encoding: the other way round
 * than query_params_from_json() joins. Parts live in @arena. SF_INVALID E0301 naming @name. */
enum sf_code query_params_split(const char *name, const char *text, struct sf_arena *arena,
                                struct sf_slice parts[SF_KEY_FIELDS_MAX], size_t *count,
                                struct sf_error *err) SF_MUST_CHECK;

/*
 * Builds the request. SF_ABSENT E0303 (table), SF_INVALID E0301, E0304, E0309, SF_DENIED E0401 (a
 * field that the grant leaves out), and as query_where_parse(). SF_NOMEM.
 * On success the caller owns @ret until query_start() takes it.
 */
enum sf_code query_request_build(const struct query_params *p, enum query_op op,
                                 const struct serving_right *right,
                                 const uint8_t seal_key[SF_SEAL_KEY_SIZE],
                                 struct query_request *ret, struct sf_error *err) SF_MUST_CHECK;
