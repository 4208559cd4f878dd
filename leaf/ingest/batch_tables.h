/*
 * Records of several tables of a product in one body: NDJSON or JSON whose envelopes name their
 * table, {"table":"orders","op":"upsert|patch|delete","row":{...},"expected_seq":N}; "op" may be
 * missing and is upsert then.
 *
 *   Threads   As batch.h.
 *   Errors    A record whose table cannot be told belongs to nobody's quarantine: it refuses the
 *             body (E0206, or E0303 for a table that the product does not have).
 */
#pragma once

#include "leaf/ingest/batch.h"

/* One table and what came for it. */
struct batch_part {
    struct batch_spec spec; /* has_envelope and names_table */
    struct batch_reader *reader;
    struct batch batch;
};

/* Reads all of @body, in the format of the first part, into the batches of @parts. @json is what
 * looking for the table needs and can be used again. SF_ABSENT: E0303; others as batch_read(). */
enum sf_code batch_read_tables(struct batch_part *parts, size_t part_count,
                               struct sf_json_reader *json, struct sf_slice body,
                               struct sf_error *err) SF_MUST_CHECK;
