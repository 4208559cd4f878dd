/*
 * Shared by ingest.c (the service and the life of a request), ingest_read.c (what a query thread
 * does to it) and ingest_write.c (what is stored and answered).
 */
#pragma once

#include "common/base/map.h"
#include "leaf/ingest/batch_tables.h"
#include "leaf/ingest/cleaned.h"
#include "leaf/ingest/idem.h"
#include "leaf/ingest/ingest.h"
#include "leaf/store/read.h"

enum op_state { READING, READ, COMMITTING, OVERTAKEN, DONE };

/* One table of a request; at the same place in parts, lanes and results. */
struct op_table {
    struct op *op;
    const struct served_table *table; /* borrowed: lives as long as the leaf */
    struct batch_rows rows;
    uint64_t expect_seq;
};

struct op {
    enum op_state state;
    struct ingest *in;
    bool names_tables;
    size_t table_count;
    struct op_table *tables;        /* owned, or &one_table */
    struct batch_part *parts;       /* owned, or &one_part; while READING the query thread's */
    struct store_lane_write *lanes; /* owned, or &one_lane; of those that get something */
    size_t *lane_tables;            /* owned, or &one_number: of each lane */
    struct op_table one_table;
    struct batch_part one_part;
    struct store_lane_write one_lane;
    size_t one_number;

    enum ingest_on_invalid on_invalid;
    struct sf_buf body;
    struct ingest_message own; /* @body */
    const struct ingest_message *messages;
    size_t message_count;
    size_t bytes;   /* of all of them */
    size_t charged; /* of the ingest's bytes: the bodies, then their records too */
    ingest_cb cb;
    void *data;
    uint64_t started_ns;
    int64_t started_us;

    enum ingest_expect expect;
    uint32_t expect_epoch;
    uint64_t expect_seq;

    struct sf_buf idem_key; /* in STORE_IDEM; empty: none. Its place in ingest.keys is ours. */
    const struct store_put *more_puts; /* borrowed */
    size_t more_put_count;
    struct store_put idem_put;
    struct store_put *puts; /* owned: when there are both */

    /* While READING on a query thread these belong to it. */
    struct store_snapshot *snapshot; /* while reading; made by the first patch */
    unsigned reads;
    struct sf_buf errors;  /* as answers have them */
    struct sf_buf cleaned; /* the same of what cleaning did; empty: nothing */
    uint8_t hash[SF_HASH256_SIZE];
    struct sf_buf idem_value; /* found, or to be put */
    struct idem_answer earlier;
    bool replayed; /* the answer is @earlier */
    enum sf_code code;
    struct sf_error error;
    struct sf_work work;

    struct sf_task turn; /* READ and DONE run on a turn of their own */
    struct store_write write;
    struct ingest_table_result *results; /* owned: of tables, when they are named */
};

enum { READERS_MAX = 32 };

struct ingest {
    struct sf_rt *rt;
    struct store *store;
    const struct product_set *products;
    size_t bytes_max;
    uint64_t refused_busy;
    uint64_t refused_quarantine;
    uint64_t refused_disk;
    bool draining;
    size_t inline_bytes;
    size_t inflated_max;
    uint64_t quarantine_max;
    uint64_t dedupe_max;
    size_t streams_max;
    uint64_t batch_records;
    size_t batch_bytes;
    size_t stream_count;
    uint64_t streams_refused;
    size_t bytes;
    size_t pending;

    struct batch_reader *readers[READERS_MAX]; /* idle ones, for any table */
    size_t reader_count;
    struct sf_map keys; /* idempotency keys of what is under way */

    struct cleaned cleaned;
    struct sf_counter accepted;
    struct sf_counter quarantined;
    struct sf_counter replayed;
    struct sf_counter refused;
    struct sf_counter body_bytes;
    struct sf_gauge pending_bytes;
    struct sf_gauge streams;
    struct sf_histogram seconds;
};

/* ingest_read.c: struct sf_work of a query thread, or called on the loop for small bodies. */
void op_read_work(struct sf_work *work);
/* struct batch_rows of an op_table. */
enum sf_code op_find_row(void *data, struct sf_slice key, struct sf_buf *bytes,
                         struct sf_slice *ret, uint64_t *ret_seq, bool *found,
                         struct sf_error *err);

/* ingest_write.c */
size_t op_change_count(const struct op *op);
size_t op_reject_count(const struct op *op);
/* Fills in the write; what stands against storing what was read. */
enum sf_code op_prepare_write(struct op *op) SF_MUST_CHECK;
/* Whether there is something to write at all. */
bool op_has_write(const struct op *op);
/* Whether what did not hold is a row as a patch read it, not as the request expects it. */
bool op_is_overtaken(const struct op *op);
/* Says what the store found instead of what was expected. */
void op_explain_conflict(struct op *op);
/* What the callback is told. */
struct ingest_result op_result(struct op *op);
