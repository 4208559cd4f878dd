/* Between batch.c, batch_envelope.c and batch_entry.c. */
#pragma once

#include "leaf/ingest/batch.h"
#include "leaf/ingest/fingerprint.h"

struct batch_reader {
    const struct sf_table *table; /* borrowed */
    struct sf_record_reader *records;
    struct sf_json_reader json; /* of envelopes */
    struct sf_csv csv;
    struct sf_value *values; /* one per field */
    struct sf_value *old;    /* what a patch changes; over old_row */
    struct sf_buf old_row;
    struct sf_buf renewed; /* old_row, as the newest version has it */
    struct sf_buf row;
    struct sf_buf key;
    struct fingerprint print;
};

/* One record under way. */
struct batch_record {
    struct sf_slice raw;
    enum batch_form form;
    struct sf_slice context; /* of the batch's arena, or what outlives it */
    uint64_t line;
    enum store_op op;
    uint64_t expect_seq;
    bool is_read;   /* expect_seq is what was found */
    bool has_match; /* the row must not have changed since: */
    uint32_t match_epoch;
    uint64_t match_seq;
    bool is_part;     /* a patch or a delete: what it says depends on the row */
    bool names_table; /* its envelope may: where it goes was decided by that, and "op" may lack */
    struct sf_verdict verdict;
};

/* The arena has no more: it is full, or the heap is. */
enum sf_code batch_no_room(const struct batch *b, struct sf_error *err);
enum sf_code batch_copy(struct batch *b, struct sf_slice bytes, struct sf_slice *ret,
                        struct sf_error *err) SF_MUST_CHECK;
/* Turns a refusal of a codec (row or key too long) into a violation; passes other failures on. */
enum sf_code batch_as_violation(enum sf_code code, const struct sf_error *why,
                                struct sf_verdict *verdict) SF_MUST_CHECK;
/* Encodes key and row of the values just read into the reader's buffers. */
enum sf_code batch_encode(struct batch_reader *r, struct batch_record *rec,
                          struct sf_error *err) SF_MUST_CHECK;
enum sf_code batch_add_reject(const struct batch_spec *spec, const struct batch_record *r,
                              struct batch *b, struct sf_error *err) SF_MUST_CHECK;
/* Takes a record whose values are read (or whose verdict says no) into the batch. */
enum sf_code batch_finish(struct batch_reader *r, const struct batch_spec *spec,
                          struct batch_record *rec, struct batch *b,
                          struct sf_error *err) SF_MUST_CHECK;
/* Of the changes so far: several at once are cheaper, while they are still in the cache. */
void batch_digest(struct batch *b);
/* batch_envelope.c: reads {"op":...,"row":...}; the verdict says what is wrong with it. */
enum sf_code batch_read_change(struct batch_reader *r, const struct batch_spec *spec,
                               struct batch_record *rec, struct batch *b,
                               struct sf_error *err) SF_MUST_CHECK;
