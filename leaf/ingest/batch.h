/*
 * The records of one request as changes and rejects for the store: split, read, check, encode,
 * digest. Pure but for the heap, so it may run on any thread.
 *
 *   Memory    A batch owns everything it points to but the contract; it outlives the body.
 *   Limits    BATCH_BYTES_MAX of encoded rows, keys and rejected text; BATCH_ERRORS_MAX listed.
 */
#pragma once

#include "common/contract/record.h"
#include "leaf/store/store.h"

enum {
    BATCH_BYTES_MAX = 96 * 1024 * 1024,
    BATCH_ERRORS_MAX = 10,
};

enum batch_format {
    BATCH_NDJSON,
    BATCH_CSV,
    BATCH_JSON, /* an array of objects, or one object; records are named by index, from 1 */
};

/* What a request says about its records. */
struct batch_spec {
    const struct sf_table *table;
    uint32_t contract_id;
    enum batch_format format;
    /* NDJSON and JSON: {"op":"upsert|delete","row":{...},"expected_seq":N} */
    bool has_envelope;
};

struct batch_error {
    uint64_t line; /* or index */
    struct sf_violation violation;
};

struct batch {
    struct sf_arena arena; /* owns keys, rows, raw text */
    struct store_change *changes;
    size_t change_count;
    size_t change_capacity;
    uint64_t *lines; /* with an envelope: line or index of each change */
    size_t line_capacity;
    struct store_reject *rejects;
    size_t reject_count;
    size_t reject_capacity;
    struct batch_error errors[BATCH_ERRORS_MAX]; /* first violation of the first rejects */
    size_t error_count;
};

void batch_init(struct batch *b);
void batch_done(struct batch *b);
/* Appends the listed errors as a JSON array: as answers have them. */
void batch_write_errors(const struct batch *b, const struct batch_spec *spec, struct sf_buf *out);

/* What reading records needs and can be used again for the same table. */
struct batch_reader;
/* @table is borrowed for the reader's life. SF_NOMEM. */
enum sf_code batch_reader_new(const struct sf_table *table, struct batch_reader **ret,
                              struct sf_error *err) SF_MUST_CHECK;
void batch_reader_free(struct batch_reader *r);
SF_DEFINE_CLEANUP(struct batch_reader, batch_reader_free)
const struct sf_table *batch_reader_table(const struct batch_reader *r);

/*
 * Reads all of @body into @b, which is fresh.
 *   SF_INVALID   E0201, E0203, E0206: it cannot be split into records, or its CSV header does not
 *                fit; nothing of it counts
 *   SF_BUSY      E0603: more than BATCH_BYTES_MAX
 *   SF_NOMEM
 */
enum sf_code batch_read(struct batch_reader *r, const struct batch_spec *spec, struct sf_slice body,
                        struct batch *b, struct sf_error *err) SF_MUST_CHECK;
