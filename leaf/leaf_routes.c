#include "leaf/leaf_routes.h"

#define JSON    "application/json"
#define RECORDS "application/json application/x-ndjson text/csv application/protobuf"
#define ROWS    "application/json application/x-ndjson text/csv"

#define PRODUCT "/v1/products/{domain}/{product}"
#define TABLE   PRODUCT "/{table}"

#define P(name, type, text)                                                                        \
    {                                                                                              \
        (name), (type), (text), NULL                                                               \
    }
#define V(name, text, values)                                                                      \
    {                                                                                              \
        (name), "string", (text), (values)                                                         \
    }
#define NO_MORE                                                                                    \
    {                                                                                              \
        NULL, NULL, NULL, NULL                                                                     \
    }
#define SELECT P("select", "string", "names of fields, joined by ','")
#define AS_OF  P("as_of", "string", "rows as they were: EPOCH:SEQ or a time")
#define IF_NONE_MATCH_HEADER                                                                       \
    P("If-None-Match", "string", "ETag of an answer one has: 304 when it still stands")
#define QUARANTINE_FILTER                                                                          \
    P("code", "string", "entries with this error code"),                                           \
        P("field", "string", "entries about this field"), P("older_than", "string", "a time"),     \
        P("newer_than", "string", "a time")

static const struct sf_route_parameter if_none_match[] = {IF_NONE_MATCH_HEADER, NO_MORE};

static const struct sf_route_parameter apply_query[] = {P("dry_run", "integer", "1: only checks"),
                                                        NO_MORE};

static const struct sf_route_parameter remove_query[] = {
    P("keep", "string", "how long there is a way back: 30d"), P("reason", "string", "is recorded"),
    NO_MORE};

static const struct sf_route_parameter post_query[] = {
    V("on_invalid", "what becomes of records that break the contract", "quarantine reject"),
    V("envelope", "whether each record says what it does", "none change"),
    P("expected_seq", "string", "seq that the table must stand at; TABLE:SEQ for several"),
    V("batch", "takes the body in batches, each acknowledged with a line", "stream"),
    P("batch_records", "integer", "records of a batch"),
    NO_MORE};

static const struct sf_route_parameter post_headers[] = {
    P("Idempotency-Key", "string", "the same for a request that is sent again"),
    P("If-Match", "string", "\"EPOCH:SEQ\" where the table must stand"),
    P("Content-Encoding", "string", "gzip or zstd"), NO_MORE};

static const struct sf_route_parameter records_query[] = {
    P("from", "string", "first key, inclusive"),
    P("to", "string", "last key, exclusive"),
    P("prefix", "string", "keys that begin so"),
    P("limit", "integer", "rows at most"),
    P("cursor", "string", "Sheaf-Cursor of the answer before"),
    SELECT,
    P("where", "string", "an expression over the fields one may see"),
    P("reverse", "boolean", "from the last row to the first"),
    P("count", "boolean", "the number of rows instead of the rows"),
    AS_OF,
    NO_MORE};

static const struct sf_route_parameter record_query[] = {SELECT, AS_OF, NO_MORE};

static const struct sf_route_parameter changes_query[] = {
    P("after", "string", "EPOCH:SEQ, exclusive"),
    P("since", "string", "instead of after: a time, as 2026-11-20T08:00:00Z"),
    P("limit", "integer", "changes at most"),
    SELECT,
    P("follow", "boolean", "goes on with each change as it is committed"),
    P("snapshot", "boolean", "begins with the rows"),
    P("seconds", "integer", "ends after so many"),
    NO_MORE};

static const struct sf_route_parameter changes_headers[] = {
    P("Last-Event-ID", "string", "counts more than after"), NO_MORE};

static const struct sf_route_parameter preview_query[] = {
    P("as", "string", "the domain"), P("role", "string", "its user's roles: a,b"),
    P("purpose", "string", "instead of that of its grant"),
    P("limit", "integer", "rows at most: 10, up to 1000"), NO_MORE};

static const struct sf_route_parameter quarantine_query[] = {
    P("after", "integer", "a qseq, exclusive"), P("limit", "integer", "entries at most, up to 100"),
    QUARANTINE_FILTER, V("by", "counts by code instead of entries", "code"), NO_MORE};

static const struct sf_route_parameter mend_query[] = {
    P("after", "integer", "a qseq, exclusive"),
    P("until", "integer", "a qseq, inclusive"),
    P("limit", "integer", "entries at most"),
    QUARANTINE_FILTER,
    P("entry", "integer", "this one only"),
    P("envelope", "string", "of the record in the body"),
    P("overwrite", "boolean", "also rows written after the record came"),
    NO_MORE};

static const struct sf_route routes[] = {
    {ROUTE_LIVEZ, "GET", "/livez", "livez", "The process runs.", .answer = "text/plain",
     .good = "200", .is_open = true, .parts = 1},
    {ROUTE_READYZ, "GET", "/readyz", "readyz", "It can take and serve data.",
     .answer = "text/plain", .good = "200", .is_open = true, .parts = 1},
    {ROUTE_METRICS, "GET", "/metrics", "metrics", "For Prometheus.", .answer = "text/plain",
     .good = "200", .is_open = true, .parts = 1},
    {ROUTE_OPENAPI, "GET", "/openapi.json", "openapi", "This document.", .answer = JSON,
     .good = "200", .is_open = true, .parts = 1},
    {ROUTE_STATUS, "GET", "/v1/status", "status", "How the leaf is.", .answer = JSON, .good = "200",
     .bad = "400 401 403", .parts = 2},
    {ROUTE_SETTINGS, "GET", "/v1/settings", "settings", "Settings in force and their origin.",
     .answer = JSON, .good = "200", .bad = "400 401 403", .parts = 2},
    {ROUTE_CHECK_START, "POST", "/v1/leaf/check", "check_start", "Verifies all that is stored.",
     .answer = JSON, .good = "202", .bad = "400 401 403", .parts = 3},
    {ROUTE_CHECK, "GET", "/v1/leaf/check", "check", "How far the check is, or what it found.",
     .answer = JSON, .good = "200", .bad = "400 401 403", .parts = 3},
    {ROUTE_CHECK_STOP, "DELETE", "/v1/leaf/check", "check_stop", "Ends the check.", .answer = JSON,
     .good = "202", .bad = "400 401 403", .parts = 3},
    {ROUTE_BACKUP_START, "POST", "/v1/leaf/backup", "backup_start", "Makes a backup.", .body = JSON,
     .answer = JSON, .good = "202", .bad = "400 401 403", .parts = 3},
    {ROUTE_BACKUP, "GET", "/v1/leaf/backup", "backup", "How far the backup is.", .answer = JSON,
     .good = "200", .bad = "400 401 403", .parts = 3},
    {ROUTE_BACKUP_STOP, "DELETE", "/v1/leaf/backup", "backup_stop", "Ends the backup.",
     .answer = JSON, .good = "202", .bad = "400 401 403", .parts = 3},
    {ROUTE_DRAIN_START, "POST", "/v1/leaf/drain", "drain_start",
     "Takes nothing new, sends what there is.", .answer = JSON, .good = "200", .bad = "400 401 403",
     .parts = 3},
    {ROUTE_DRAIN, "GET", "/v1/leaf/drain", "drain", "How far draining is.", .answer = JSON,
     .good = "200", .bad = "400 401 403", .parts = 3},
    {ROUTE_DRAIN_STOP, "DELETE", "/v1/leaf/drain", "drain_stop", "Serves again.", .answer = JSON,
     .good = "200", .bad = "400 401 403", .parts = 3},
    {ROUTE_PRODUCTS, "GET", "/v1/products", "products", "The products of this leaf.",
     .answer = JSON, .good = "200", .bad = "400 401 403", .parts = 2},
    {ROUTE_PRODUCT, "GET", PRODUCT, "product", "One product, of any domain.", .answer = JSON,
     .good = "200 304", .bad = "400 401 403 404", .headers = if_none_match, .parts = 4},
    {ROUTE_PRODUCT_APPLY, "PUT", PRODUCT, "product_apply", "Brings a product file into force.",
     .body = "application/yaml", .answer = JSON, .good = "200", .bad = "400 401 403 409 422",
     .query = apply_query, .parts = 4},
    {ROUTE_PRODUCT_REMOVE, "DELETE", PRODUCT, "product_remove", "Removes a major version.",
     .answer = JSON, .good = "200", .bad = "400 401 403 404 409", .query = remove_query,
     .parts = 4},
    {ROUTE_PRODUCT_RESTORE, "POST", PRODUCT "/restore", "product_restore",
     "Brings a removed major version back.", .answer = JSON, .good = "200",
     .bad = "400 401 403 404 409", .parts = 5},
    {ROUTE_RECORDS_POST_ALL, "POST", PRODUCT "/records", "records_post_all",
     "Takes records of several tables in one transaction.", .body = RECORDS,
     .answer = JSON " application/x-ndjson", .good = "200", .bad = "400 401 403 404 409 415 422",
     .query = post_query, .headers = post_headers, .parts = 5},
    {ROUTE_RECORDS_POST, "POST", TABLE "/records", "records_post", "Takes records of a table.",
     .body = RECORDS, .answer = JSON " application/x-ndjson", .good = "200",
     .bad = "400 401 403 404 409 412 415 422", .query = post_query, .headers = post_headers,
     .parts = 6},
    {ROUTE_RECORDS, "GET", TABLE "/records", "records", "Rows, in the order of their keys.",
     .answer = ROWS, .good = "200 304", .bad = "400 401 403 404 422", .query = records_query,
     .headers = if_none_match, .parts = 6},
    {ROUTE_RECORD, "GET", TABLE "/records/{key}", "record", "One row.", .answer = ROWS,
     .good = "200 304", .bad = "400 401 403 404", .query = record_query, .headers = if_none_match,
     .parts = 7},
    {ROUTE_CHANGES, "GET", TABLE "/changes", "changes", "Changes behind a position.",
     .answer = JSON " application/x-ndjson text/event-stream", .good = "200",
     .bad = "400 401 403 404 410", .query = changes_query, .headers = changes_headers, .parts = 6},
    {ROUTE_PREVIEW, "GET", TABLE "/preview", "preview",
     "Rows as another domain would get them; for the owner.", .answer = JSON, .good = "200",
     .bad = "400 401 403 404", .query = preview_query, .parts = 6},
    {ROUTE_STATS, "GET", TABLE "/stats", "stats", "What is known of the rows, kept as they come.",
     .answer = JSON, .good = "200", .bad = "400 401 403 404", .parts = 6},
    {ROUTE_PROFILE, "GET", TABLE "/profile", "profile", "The same after all rows were counted.",
     .answer = JSON, .good = "200", .bad = "400 401 403 404", .parts = 6},
    {ROUTE_VERDICTS, "GET", TABLE "/checks", "checks", "Whether the checks of the contract hold.",
     .answer = JSON, .good = "200", .bad = "400 401 403 404", .parts = 6},
    {ROUTE_TEST, "POST", TABLE "/checks", "test", "Judges the checks by all rows.", .answer = JSON,
     .good = "200", .bad = "400 401 403 404", .parts = 6},
    {ROUTE_QUARANTINE, "GET", TABLE "/quarantine", "quarantine", "Records that were refused.",
     .answer = JSON, .good = "200", .bad = "400 401 403 404", .query = quarantine_query,
     .parts = 6},
    {ROUTE_QUARANTINE_DROP, "DELETE", TABLE "/quarantine", "quarantine_drop",
     "Drops refused records.", .answer = JSON, .good = "200", .bad = "400 401 403 404",
     .query = mend_query, .parts = 6},
    {ROUTE_ENTRY, "GET", TABLE "/quarantine/{entry}", "entry", "One refused record.",
     .answer = JSON, .good = "200", .bad = "400 401 403 404", .parts = 7},
    {ROUTE_ENTRY_POST, "POST", TABLE "/quarantine/{entry}", "entry_mend",
     "Takes a mended record in place of a refused one; {entry} replay: reads refused ones again.",
     .body = RECORDS, .answer = JSON, .good = "200", .bad = "400 401 403 404 409 415 422",
     .query = mend_query, .parts = 7},
    {ROUTE_ENTRY_DROP, "DELETE", TABLE "/quarantine/{entry}", "entry_drop",
     "Drops one refused record.", .answer = JSON, .good = "200", .bad = "400 401 403 404",
     .parts = 7},
};

const struct sf_routes *leaf_routes(void)
{
    static const struct sf_routes all = {
        .title = "Sheaf leaf",
        .version = SHEAF_VERSION,
        .routes = routes,
        .count = SF_COUNT(routes),
    };

    return &all;
}
