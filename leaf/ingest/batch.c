#include "leaf/ingest/batch.h"

#include <string.h>

#include "common/base/alloc.h"
#include "common/wire/json_items.h"
#include "common/wire/pbwire.h"
#include "leaf/ingest/batch_private.h"
#include "leaf/rowcodec/key.h"
#include "leaf/rowcodec/row.h"

enum { DIGESTED_AT_ONCE = 8 };

void batch_init(struct batch *b)
{
    *b = (struct batch){0};
    sf_arena_init(&b->arena, BATCH_BYTES_MAX);
}

void batch_done(struct batch *b)
{
    sf_arena_done(&b->arena);
    sf_free(b->changes);
    sf_free(b->places);
    sf_map_done(&b->by_key);
    sf_free(b->rejects);
    *b = (struct batch){0};
}

enum sf_code batch_reader_new(const struct sf_table *table, struct batch_reader **ret,
                              struct sf_error *err)
{
    SF_CLEANUP(batch_reader_freep) struct batch_reader *r = sf_calloc(1, sizeof(*r));
    enum sf_code code;

    if (r == NULL) {
        return SF_RAISE(err, SF_NOMEM, "record reader");
    }
    r->table = table;
    r->values = sf_calloc(table->field_count, sizeof(*r->values));
    r->old = sf_calloc(table->field_count, sizeof(*r->old));
    if (r->values == NULL || r->old == NULL) {
        return SF_RAISE(err, SF_NOMEM, "record reader");
    }
    code = fingerprint_init(&r->print, table, err);
    code = code == SF_OK ? sf_record_reader_new(table, &r->records, err) : code;
    if (code != SF_OK) {
        return code;
    }
    *ret = SF_TAKE(r);
    return SF_OK;
}

void batch_reader_free(struct batch_reader *r)
{
    if (r == NULL) {
        return;
    }
    sf_record_reader_free(r->records);
    sf_json_reader_done(&r->json);
    sf_csv_done(&r->csv);
    sf_buf_done(&r->row);
    sf_buf_done(&r->key);
    fingerprint_done(&r->print);
    sf_buf_done(&r->old_row);
    sf_buf_done(&r->renewed);
    sf_free(r->old);
    sf_free(r->values);
    sf_free(r);
}

const struct sf_clean_counts *batch_reader_counts(const struct batch_reader *r)
{
    return sf_record_counts(r->records);
}

void batch_reader_counts_reset(struct batch_reader *r)
{
    sf_record_counts_reset(r->records);
}

const struct sf_table *batch_reader_table(const struct batch_reader *r)
{
    return r->table;
}

/* Room for one more element of an array of the batch. */
static enum sf_code make_room(void **array, size_t count, size_t *capacity, size_t size,
                              struct sf_error *err)
{
    size_t wanted = *capacity == 0 ? 64 : *capacity * 2;
    void *grown;

    if (count < *capacity) {
        return SF_OK;
    }
    grown = sf_realloc(*array, wanted, size);
    if (grown == NULL) {
        return SF_RAISE(err, SF_NOMEM, "batch of %zu records", count);
    }
    *array = grown;
    *capacity = wanted;
    return SF_OK;
}

enum sf_code batch_no_room(const struct batch *b, struct sf_error *err)
{
    return b->arena.taken > b->arena.size_max / 2
               ? SF_RAISE_E(err, SF_BUSY, SHEAF_E_TOO_LARGE, "batch: more than %zu bytes",
                            b->arena.size_max)
               : SF_RAISE(err, SF_NOMEM, "batch");
}

enum sf_code batch_copy(struct batch *b, struct sf_slice bytes, struct sf_slice *ret,
                        struct sf_error *err)
{
    struct sf_slice kept = sf_arena_slice(&b->arena, bytes);

    if (kept.data == NULL) {
        return batch_no_room(b, err);
    }
    *ret = kept;
    return SF_OK;
}

enum sf_code batch_add_reject(const struct batch_spec *spec, const struct batch_record *r,
                              struct batch *b, struct sf_error *err)
{
    const struct sf_violation *first = &r->verdict.list[0];
    struct sf_slice raw = r->raw;
    struct store_reject *reject;
    uint16_t *codes;
    enum sf_code code;
    void *array = b->rejects;

    code = make_room(&array, b->reject_count, &b->reject_capacity, sizeof(*b->rejects), err);
    b->rejects = array;
    if (code != SF_OK) {
        return code;
    }
    codes = sf_arena_calloc(&b->arena, r->verdict.count, sizeof(*codes));
    if (codes == NULL) {
        return batch_no_room(b, err);
    }
    for (uint32_t i = 0; i < r->verdict.count; i++) {
        codes[i] = r->verdict.list[i].number;
    }
    reject = &b->rejects[b->reject_count];
    *reject = (struct store_reject){
        .codes = codes,
        .code_count = r->verdict.count,
        .field = sf_violation_path(first, spec->table),
        .contract_id = spec->contract_id,
        .position = r->line,
        .form = (uint8_t)r->form,
        .context = r->context,
    };
    if (raw.size > STORE_ROW_BYTES_MAX) {
        raw.size = STORE_ROW_BYTES_MAX;
        reject->form = BATCH_FORM_CUT;
    }
    code = batch_copy(b, raw, &reject->raw, err);
    if (code == SF_OK && first->path_size > 0) {
        code = batch_copy(b, reject->field, &reject->field, err);
    }
    if (code != SF_OK) {
        return code;
    }
    if (b->error_count < BATCH_ERRORS_MAX) {
        b->errors[b->error_count++] = (struct batch_error){.line = r->line, .violation = *first};
    }
    b->reject_count++;
    return SF_OK;
}

enum sf_code batch_as_violation(enum sf_code code, const struct sf_error *why,
                                struct sf_verdict *verdict)
{
    if (code == SF_INVALID) {
        sf_verdict_add(verdict, SHEAF_E_RECORD_TOO_LARGE, -1, "%s", why->text);
        return SF_OK;
    }
    return code;
}

enum sf_code batch_encode(struct batch_reader *r, struct batch_record *rec, struct sf_error *err)
{
    enum sf_code code = SF_OK;

    sf_buf_clear(&r->key);
    sf_buf_clear(&r->row);
    if (r->table->kind == SF_TABLE_STATE) {
        code =
            batch_as_violation(key_encode(r->table, r->values, &r->key, err), err, &rec->verdict);
    }
    if (code == SF_OK && rec->op == STORE_UPSERT && rec->verdict.found == 0) {
        code =
            batch_as_violation(row_encode(r->table, r->values, &r->row, err), err, &rec->verdict);
    }
    return code;
}

/* Where the next change stood, for those who must say so. */
static enum sf_code note_place(struct batch *b, const struct batch_record *rec,
                               struct sf_error *err)
{
    void *array = b->places;
    enum sf_code code =
        make_room(&array, b->change_count, &b->place_capacity, sizeof(*b->places), err);

    b->places = array;
    if (code == SF_OK) {
        b->places[b->change_count] = (struct batch_place){rec->line, rec->is_read};
    }
    return code;
}

void batch_digest(struct batch *b)
{
    if (b->digested < b->change_count) {
        store_digest_changes(b->changes + b->digested, b->change_count - b->digested);
    }
    b->digested = b->change_count;
}

static enum sf_code add_change(struct batch_reader *r, const struct batch_spec *spec,
                               const struct batch_record *rec, struct batch *b,
                               struct sf_error *err)
{
    struct store_change *change;
    void *array = b->changes;
    enum sf_code code;

    code = make_room(&array, b->change_count, &b->change_capacity, sizeof(*b->changes), err);
    b->changes = array;
    if (code == SF_OK && spec->has_envelope) {
        code = note_place(b, rec, err);
    }
    if (code != SF_OK) {
        return code;
    }
    change = &b->changes[b->change_count];
    *change = (struct store_change){
        .op = rec->op,
        .contract_id = spec->contract_id,
        .expect_seq = rec->expect_seq,
    };
    code = batch_copy(b, sf_buf_view(&r->key), &change->key, err);
    if (code == SF_OK) {
        code = batch_copy(b, sf_buf_view(&r->row), &change->row, err);
    }
    if (code == SF_OK && r->table->dedupe != SF_DEDUPE_NONE && !rec->is_part) {
        uint8_t *print = sf_arena_alloc(&b->arena, STORE_FINGERPRINT_BYTES);

        code = print == NULL
                   ? batch_no_room(b, err)
                   : fingerprint_make(&r->print, r->values, change->key, change->row, print, err);
        change->fingerprint = print;
    }
    if (code != SF_OK) {
        return code;
    }
    if (b->digested > b->change_count) {
        b->digested = b->change_count; /* One was taken back. */
    }
    b->change_count++;
    if (b->change_count - b->digested == DIGESTED_AT_ONCE) {
        batch_digest(b);
    }
    return SF_OK;
}

enum sf_code batch_finish(struct batch_reader *r, const struct batch_spec *spec,
                          struct batch_record *rec, struct batch *b, struct sf_error *err)
{
    if (rec->verdict.found == 0) {
        enum sf_code code = batch_encode(r, rec, err);

        if (code != SF_OK) {
            return code;
        }
    }
    return rec->verdict.found == 0 ? add_change(r, spec, rec, b, err)
                                   : batch_add_reject(spec, rec, b, err);
}

/* The text of the next record of NDJSON or JSON. */
struct source {
    struct sf_ndjson lines;
    struct sf_json_items items;
};

static enum sf_code next_text(struct source *s, enum batch_format format, struct sf_slice *body,
                              struct batch_record *rec, struct sf_error *err)
{
    enum sf_code code;

    if (format == BATCH_JSON) {
        code = sf_json_items_next(&s->items, body, &rec->raw, err);
        rec->line = s->items.index;
    } else {
        code = sf_ndjson_next(&s->lines, body, /* last= */ true, &rec->raw, err);
        rec->line = s->lines.line;
    }
    return code;
}

static enum sf_code read_json(struct batch_reader *r, const struct batch_spec *spec,
                              struct sf_slice body, struct batch *b, struct sf_error *err)
{
    struct source source = {.lines.next_line = spec->first_line};
    enum sf_code code;

    for (;;) {
        struct batch_record rec = {
            .op = STORE_UPSERT,
            .expect_seq = STORE_ANY,
            .form = spec->has_envelope ? BATCH_FORM_CHANGE : BATCH_FORM_JSON,
        };

        code = next_text(&source, spec->format, &body, &rec, err);
        if (code != SF_OK) {
            return code == SF_ABSENT ? SF_OK : code;
        }
        rec.line = spec->position != 0 ? spec->position : rec.line;
        code = spec->has_envelope
                   ? batch_read_change(r, spec, &rec, b, err)
                   : sf_record_from_json(r->records, rec.raw, r->values, &rec.verdict, err);
        if (code == SF_OK) {
            code = batch_finish(r, spec, &rec, b, err);
        }
        if (code != SF_OK) {
            return code;
        }
    }
}

/* Without the blank lines in front of a record and its line end: none of them is part of it. */
static struct sf_slice without_line_ends(struct sf_slice s)
{
    while (s.size > 0 && (s.data[0] == '\n' || s.data[0] == '\r')) {
        s.data++;
        s.size--;
    }
    while (s.size > 0 && (s.data[s.size - 1] == '\n' || s.data[s.size - 1] == '\r')) {
        s.size--;
    }
    return s;
}

/* Takes the header line, just read, for the rows behind it; those that are refused keep it. */
static enum sf_code keep_header(struct batch_reader *r, struct sf_slice line, struct batch *b,
                                struct sf_slice *ret, struct sf_error *err)
{
    enum sf_code code = sf_record_bind_csv(r->records, &r->csv, err);

    if (code != SF_OK || line.size > STORE_CONTEXT_BYTES_MAX) {
        return code; /* A row under such a header can be mended by hand only. */
    }
    return batch_copy(b, without_line_ends(line), ret, err);
}

static enum sf_code read_csv_rows(struct batch_reader *r, const struct batch_spec *spec,
                                  struct sf_slice body, struct batch *b, struct sf_error *err)
{
    const uint8_t *top = body.data;
    struct sf_slice header = {0};
    enum sf_code code = sf_csv_next(&r->csv, &body, /* last= */ true, err);

    if (code != SF_OK) {
        return code == SF_ABSENT
                   ? SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_FRAMING, "the header line is missing")
                   : code;
    }
    code = keep_header(r, sf_slice_of(top, (size_t)(body.data - top)), b, &header, err);
    r->csv.next_line = spec->first_line != 0 ? spec->first_line : r->csv.next_line;
    while (code == SF_OK) {
        struct batch_record rec = {
            .op = STORE_UPSERT,
            .expect_seq = STORE_ANY,
            .form = BATCH_FORM_CSV,
            .context = header,
        };
        const uint8_t *start = body.data;

        code = sf_csv_next(&r->csv, &body, /* last= */ true, err);
        if (code == SF_ABSENT) {
            return SF_OK;
        }
        if (code != SF_OK) {
            break;
        }
        rec.raw = without_line_ends(sf_slice_of(start, (size_t)(body.data - start)));
        rec.line = spec->position != 0 ? spec->position : r->csv.line;
        code = sf_record_from_csv(r->records, &r->csv, r->values, &rec.verdict, err);
        if (code == SF_OK) {
            code = batch_finish(r, spec, &rec, b, err);
        }
    }
    return code;
}

/* The next message: its length as a varint, its bytes. SF_ABSENT at the end. */
static enum sf_code next_message(struct sf_pb_reader *at, uint64_t index, struct sf_slice *ret,
                                 struct sf_error *err)
{
    if (sf_pb_at_end(at)) {
        return SF_ABSENT;
    }
    return sf_pb_get_bytes(at, ret)
               ? SF_OK
               : SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_FRAMING,
                            "message %llu: its length is none, or goes beyond the end of the body",
                            (unsigned long long)index);
}

static enum sf_code read_messages(struct batch_reader *r, const struct batch_spec *spec,
                                  struct sf_slice body, struct batch *b, struct sf_error *err)
{
    struct sf_pb_reader at = sf_pb_reader_of(body);
    enum sf_code code = SF_OK;

    for (uint64_t index = spec->first_line + 1; code == SF_OK; index++) {
        struct batch_record rec = {
            .op = STORE_UPSERT,
            .expect_seq = STORE_ANY,
            .form = BATCH_FORM_PROTOBUF,
            .line = spec->position != 0 ? spec->position : index,
        };

        code = next_message(&at, index, &rec.raw, err);
        if (code != SF_OK) {
            break;
        }
        code = sf_record_from_protobuf(r->records, rec.raw, r->values, &rec.verdict, err);
        if (code == SF_OK) {
            code = batch_finish(r, spec, &rec, b, err);
        }
    }
    return code == SF_ABSENT ? SF_OK : code;
}

enum sf_code batch_read(struct batch_reader *r, const struct batch_spec *spec, struct sf_slice body,
                        struct batch *b, struct sf_error *err)
{
    enum sf_code code;

    if (spec->format == BATCH_PROTOBUF) {
        code = read_messages(r, spec, body, b, err);
    } else if (spec->format != BATCH_CSV) {
        code = read_json(r, spec, body, b, err);
    } else {
        sf_csv_done(&r->csv); /* It counts lines from the start of a text. */
        r->csv = (struct sf_csv){0};
        code = read_csv_rows(r, spec, body, b, err);
    }
    batch_digest(b);
    return code;
}

enum sf_code batch_refuse(const struct batch_spec *spec, struct sf_slice body,
                          const struct sf_error *why, struct batch *b, struct sf_error *err)
{
    struct batch_record rec = {.raw = body, .line = spec->position};

    sf_verdict_add(&rec.verdict, why->number, -1, "%s", why->text);
    return batch_add_reject(spec, &rec, b, err);
}
