/*
 * Ingest: a body of records becomes durable changes and quarantined rejects, or nothing does.
 *
 *   Flow      read (small bodies at once on the loop; on a query thread what is large, compressed,
 *             in envelopes or has an idempotency key), then one write to the store, then the
 * answer. Acked means the commit's fdatasync returned. Threads   Loop thread; reading touches
 * nothing but its own batch. Order     Answers come in the order of commits. A callback never runs
 * inside ingest_start(). Limits    bytes of all requests under way: SF_BUSY beyond it, and the
 * source is told to wait. A compressed body counts as it came; it is inflated while a query thread
 * reads it, so there are never more inflated bodies than query threads.
 */
#pragma once

#include "common/sys/metrics.h"
#include "common/wire/inflate.h"
#include "leaf/ingest/batch.h"
#include "leaf/serving/product_set.h"

struct ingest;

/* Bodies under way with what was read of them, as a multiple of bytes_max. */
enum { INGEST_RECORDS_FACTOR = 3 };

enum ingest_on_invalid {
    INGEST_QUARANTINE, /* invalid records are stored aside, the others are taken */
    INGEST_REJECT,     /* one invalid record refuses the request as a whole */
};

/* Where the table must stand, or nothing is stored. */
enum ingest_expect {
    INGEST_EXPECT_ANY,
    INGEST_EXPECT_SEQ,      /* expected_seq=N: SHEAF-E0312 */
    INGEST_EXPECT_POSITION, /* If-Match: "EPOCH:SEQ": SHEAF-E0313 */
};

/* One of many bodies that are taken in one transaction. Borrowed until the callback. */
struct ingest_message {
    struct sf_slice body;
    enum batch_format format;
    enum sf_coding coding;
    uint64_t position;              /* what its records are known by in quarantine */
    const struct sf_error *refusal; /* not NULL: not read, but put into quarantine for this */
};

struct ingest_request {
    const struct served_table *table;
    /* Instead of @table: records name theirs (batch_tables.h), and are of this product. */
    const struct served_product *product;
    enum batch_format format;
    enum sf_coding coding; /* of the body */
    bool has_envelope;
    enum ingest_on_invalid on_invalid;
    enum ingest_expect expect;
    uint32_t expect_epoch;
    uint64_t expect_seq;
    const char *expect_tables;   /* with @product: "TABLE:SEQ,TABLE:SEQ", or NULL */
    const char *caller;          /* whose key it is; NULL: nobody's in particular */
    const char *idempotency_key; /* NULL: none; valid by idem_key_is_valid() */
    struct sf_buf body;          /* taken by ingest_start(), also when it fails */
    uint64_t first_line;         /* lines of a longer text in front of this body's records */
    /* Instead of @body, and without an idempotency key; borrowed until the callback. */
    const struct ingest_message *messages;
    size_t message_count;
    const struct store_put *puts; /* in the same transaction; borrowed until the callback */
    size_t put_count;
};

/* What became of one table, when records name theirs. */
struct ingest_table_result {
    struct sf_slice table;
    uint64_t first_seq;
    uint64_t last_seq;
    uint64_t accepted;
    uint64_t quarantined;
};

struct ingest_result {
    uint32_t epoch;
    uint64_t first_seq; /* 0: no change was stored */
    uint64_t last_seq;
    uint64_t commit; /* 0: nothing was stored */
    uint64_t accepted;
    uint64_t quarantined;
    uint64_t duplicates;     /* of the accepted: repetitions, not stored again */
    uint64_t unchanged;      /* of the accepted: upserts equal to the row that is there */
    struct sf_slice errors;  /* JSON array of the first ones, as answers have it */
    struct sf_slice cleaned; /* JSON object of what cleaning did; empty: nothing, or replayed */
    const struct batch_error *listed; /* the same; none when replayed */
    size_t listed_count;
    bool replayed; /* the answer to an earlier request with the same key */
    bool names_tables;
    const struct ingest_table_result *tables; /* of those that got something; their seqs */
    size_t table_count;
    struct sf_buf *body; /* as it came; the callback may take it */
};

/*
 * @result and its slices are valid during the call. @err NULL: done as @result says. Else nothing
 * of the request is stored: SF_INVALID with E0202 for INGEST_REJECT (then @result still holds
 * quarantined = invalid records, and errors), E0310 for a key of another request, SF_CONFLICT with
 * E0312 or E0313 when table or row are not where they were expected, those of sf_inflate(), of
 * batch_read() and of store_submit().
 */
typedef void (*ingest_cb)(void *data, const struct ingest_result *result,
                          const struct sf_error *err);

struct ingest_options {
    size_t bytes_max;       /* bodies of all requests under way; 0: 256 MiB */
    size_t inline_bytes;    /* bodies up to this are read on the loop; 0: 16 KiB */
    size_t inflated_max;    /* of one compressed body; 0: 64 MiB */
    size_t streams_max;     /* bodies taken in batches at a time (stream.h); 0: 64 */
    uint64_t batch_records; /* of such a batch; 0: 10,000 */
    size_t batch_bytes;     /* a batch ends with the record that reaches it; 0: 4 MiB */
    /* What may lie in quarantine, over all tables of a major version of a product; 0: 256 MiB. */
    uint64_t quarantine_max;
    uint64_t dedupe_max; /* fingerprints of a table; 0: 10 million */
    /* Borrowed; where streams find the newest version of what they store into. */
    const struct product_set *products;
};

/* SF_NOMEM. */
enum sf_code ingest_new(struct sf_rt *rt, struct store *store, struct sf_metrics *metrics,
                        const struct ingest_options *options, struct ingest **ret,
                        struct sf_error *err) SF_MUST_CHECK;
/* How often values of a field were cleaned since the leaf started; NULL: never. */
const struct sf_clean_counts *ingest_cleaned(const struct ingest *in,
                                             const struct served_table *table, const char *field);
/* Nothing may be under way: close the sources, then the store, first. */
void ingest_free(struct ingest *in);

/*
 * Starts a request; its texts are borrowed for the call. On SF_OK @cb runs once, later. SF_BUSY
 * (E0602), SF_NOMEM, or SF_CONFLICT (E0404: the product is retired; E0311: another request of
 * this key is under way).
 */
enum sf_code ingest_start(struct ingest *in, struct ingest_request *request, ingest_cb cb,
                          void *data, struct sf_error *err) SF_MUST_CHECK;
/* Whether a request of @bytes would be refused as SF_BUSY now. */
bool ingest_is_full(const struct ingest *in, size_t bytes);
/* Requests under way. */
size_t ingest_pending(const struct ingest *in);

/* Another bytes_max, for requests that come from now on; 0: one at a time. */
void ingest_set_bytes_max(struct ingest *in, size_t bytes_max);
/* While draining every new request is SF_UNAVAILABLE, E0710. */
void ingest_set_draining(struct ingest *in, bool draining);
struct ingest_stats {
    size_t bytes; /* of requests under way */
    size_t bytes_max;
    uint64_t refused_busy;
    uint64_t refused_quarantine; /* SHEAF-E0620 */
    uint64_t refused_disk;       /* SHEAF-E0601 */
    size_t streams;
    size_t streams_max;
    uint64_t streams_refused;
};
struct ingest_stats ingest_stats(const struct ingest *in);
