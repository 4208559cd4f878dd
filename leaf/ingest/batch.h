/*
 * The records of one request as changes and rejects for the store: split, read, check, encode,
 * digest. Pure but for the heap and for struct batch_rows, so it may run on any thread.
 *
 *   Memory    A batch owns everything it points to but the contract; it outlives the body.
 *   Limits    BATCH_BYTES_MAX of encoded rows, keys and rejected text; BATCH_ERRORS_MAX listed.
 */
#pragma once

#include "common/base/map.h"
#include "common/contract/record.h"
#include "common/wire/json.h"
#include "leaf/store/read.h"

enum {
    BATCH_BYTES_MAX = 96 * 1024 * 1024,
    BATCH_ERRORS_MAX = 10,
};

enum batch_format {
    BATCH_NDJSON,
    BATCH_CSV,
    BATCH_JSON,     /* an array of objects, or one object; records are named by index, from 1 */
    BATCH_PROTOBUF, /* messages of the exported .proto, each behind its length; named by index too
                     */
};

/* How the raw bytes of a quarantined record are to be read. Stored: never renumber. */
enum batch_form {
    BATCH_FORM_UNKNOWN = 0,  /* of a release that did not say */
    BATCH_FORM_JSON = 1,     /* one JSON object */
    BATCH_FORM_CSV = 2,      /* one row; its context is the header line */
    BATCH_FORM_PROTOBUF = 3, /* one message */
    BATCH_FORM_CHANGE = 4,   /* an envelope of JSON around a row */
    BATCH_FORM_CUT = 5,      /* the beginning only: it was too long to be kept */
};

/*
 * Where patches find the row they change. @ret_seq is of the row, or of its delete, or 0; the bytes
 * go into @bytes, and *ret over them. May block.
 */
struct batch_rows {
    enum sf_code (*find)(void *data, struct sf_slice key, struct sf_buf *bytes,
                         struct sf_slice *ret, uint64_t *ret_seq, bool *found,
                         struct sf_error *err);
    void *data;
};

/* What a request says about its records. */
struct batch_spec {
    const struct sf_table *table;
    uint32_t contract_id;
    enum batch_format format;
    /* NDJSON and JSON: {"op":"upsert|patch|delete","row":{...},"expected_seq":N} or with
     * "if_match":"EPOCH:SEQ", a position that the row was read at */
    bool has_envelope;
    uint32_t epoch;                /* of the table, with an envelope */
    bool names_table;              /* the envelope has "table" as well: see batch_tables.h */
    const struct batch_rows *rows; /* with an envelope */
    uint64_t first_line;           /* lines of a longer text in front of this body's records */
    uint64_t position;             /* what stands for the line of every record; 0: its line */
};

struct batch_error {
    uint64_t line; /* or index */
    struct sf_violation violation;
};

/* Of a change that came in an envelope. */
struct batch_place {
    uint64_t line; /* or index */
    bool is_read;  /* expect_seq is what was found, not what the request says */
};

struct batch {
    struct sf_arena arena; /* owns keys, rows, raw text */
    struct store_change *changes;
    size_t change_count;
    size_t change_capacity;
    size_t digested;            /* changes that have their digest */
    struct batch_place *places; /* with an envelope: of each change */
    size_t place_capacity;
    struct sf_map by_key; /* of changes that a patch may build on: to their number */
    size_t mapped_count;
    struct store_reject *rejects;
    size_t reject_count;
    size_t reject_capacity;
    struct batch_error errors[BATCH_ERRORS_MAX]; /* first violation of the first rejects */
    size_t error_count;
};

void batch_init(struct batch *b);
void batch_done(struct batch *b);
/* Writes the listed errors as elements of a JSON array: as answers have them. */
void batch_write_errors(const struct batch *b, const struct batch_spec *spec,
                        struct sf_json_writer *w);

/* What reading records needs and can be used again for the same table. */
struct batch_reader;
/* @table is borrowed for the reader's life. SF_NOMEM. */
enum sf_code batch_reader_new(const struct sf_table *table, struct batch_reader **ret,
                              struct sf_error *err) SF_MUST_CHECK;
void batch_reader_free(struct batch_reader *r);
SF_DEFINE_CLEANUP(struct batch_reader, batch_reader_free)
const struct sf_table *batch_reader_table(const struct batch_reader *r);
/* What cleaning did since the last reset, per field; NULL: no field declares any. */
const struct sf_clean_counts *batch_reader_counts(const struct batch_reader *r);
void batch_reader_counts_reset(struct batch_reader *r);

/*
 * Reads all of @body into @b, which is fresh.
 *   SF_INVALID   E0201, E0203, E0206: it cannot be split into records, or its CSV header does not
 *                fit; nothing of it counts
 *   SF_BUSY      E0603: more than BATCH_BYTES_MAX
 *   SF_CONFLICT  E0312: the row of a patch is not at its expected_seq; E0313: a row has changed
 *                since its if_match
 *   SF_NOMEM
 */
enum sf_code batch_read(struct batch_reader *r, const struct batch_spec *spec, struct sf_slice body,
                        struct batch *b, struct sf_error *err) SF_MUST_CHECK;
/*
 * Reads the record of a quarantine entry again, by its own form and under @spec's contract: one
 * more change, or one more reject at the entry's position. @spec has_envelope, so that places are
 * noted; its format is not looked at. SF_BUSY and SF_NOMEM as above.
 */
enum sf_code batch_read_entry(struct batch_reader *r, const struct batch_spec *spec,
                              const struct store_quarantined *entry, struct batch *b,
                              struct sf_error *err) SF_MUST_CHECK;
/* What the contract says of the entry; nothing is added anywhere. */
enum sf_code batch_judge_entry(struct batch_reader *r, const struct batch_spec *spec,
                               const struct store_quarantined *entry, struct sf_verdict *ret,
                               struct sf_error *err) SF_MUST_CHECK;
/* Takes back the change that was added last and refuses the entry it was made of. */
enum sf_code batch_refuse_entry(const struct batch_spec *spec,
                                const struct store_quarantined *entry,
                                enum sheaf_error_number number, const char *text, struct batch *b,
                                struct sf_error *err) SF_MUST_CHECK;
/* Reads one record in an envelope, which stood at @line. Codes as batch_read(). */
enum sf_code batch_read_envelope(struct batch_reader *r, const struct batch_spec *spec,
                                 struct sf_slice raw, uint64_t line, struct batch *b,
                                 struct sf_error *err) SF_MUST_CHECK;

/* Takes a whole body that cannot be read as one reject with the number of @why. SF_BUSY, SF_NOMEM.
 */
enum sf_code batch_refuse(const struct batch_spec *spec, struct sf_slice body,
                          const struct sf_error *why, struct batch *b,
                          struct sf_error *err) SF_MUST_CHECK;
