/*
 * A long text of records cut into bodies: whole records, as many as fit, in order. A body of CSV
 * has the header line of the text in front. The same text is always cut at the same places, however
 * it arrives. Pure.
 *
 *   Memory    Holds one body and what has come of the record behind it.
 *   Limits    SF_RECORD_TEXT_MAX bytes per record.
 */
#pragma once

#include "common/wire/csv.h"
#include "leaf/ingest/batch.h"

struct cutter_limits {
    uint64_t records_max; /* lines count, also blank ones */
    size_t bytes_max;     /* a body ends behind the record that reaches it */
};

/* Fill in format and limits; the rest is zero. */
struct cutter {
    enum batch_format format; /* NDJSON, CSV or PROTOBUF, where a line is a message */
    struct cutter_limits limits;
    struct sf_buf header;  /* CSV: once it is whole */
    struct sf_buf text;    /* of the body, and the beginning of what follows */
    size_t whole;          /* bytes of @text that are whole records */
    uint64_t records;      /* of these */
    uint64_t lines;        /* that @text's whole records take */
    uint64_t open_lines;   /* inside the record that is not whole */
    uint64_t lines_before; /* of the text in front of the body's records */
    uint64_t bytes_before; /* of the text in front of them */
    bool in_quotes;
    bool in_message; /* PROTOBUF: its length is read, and so much of it is left */
    uint64_t left;   /* or the length so far */
    unsigned shift;  /* of the length's next seven bits */
    bool has_header;
};

void cutter_done(struct cutter *c);
/*
 * Takes bytes off @text until a body is full (*@full) or nothing is left. SF_INVALID: E0208, a
 * record is too long. SF_NOMEM.
 */
enum sf_code cutter_feed(struct cutter *c, struct sf_slice *text, bool *full,
                         struct sf_error *err) SF_MUST_CHECK;
/* No more comes: what is there without a line end is a record too. */
void cutter_end(struct cutter *c);
/* Whether there is a record to take. */
bool cutter_has_body(const struct cutter *c);
/* The body so far, into @ret, which is empty; the next one begins. SF_NOMEM. */
enum sf_code cutter_take(struct cutter *c, struct sf_buf *ret, struct sf_error *err) SF_MUST_CHECK;
