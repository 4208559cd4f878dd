/* Records in envelopes, which say what becomes of a row; and patches, which need the row. */
#include <string.h>

#include "leaf/ingest/batch_private.h"
#include "leaf/rowcodec/key.h"
#include "leaf/rowcodec/row.h"

/* "EPOCH:SEQ" */
static bool read_position(const struct sf_json *v, struct batch_record *rec)
{
    struct sf_slice text;
    const uint8_t *colon;
    uint64_t epoch;

    if (!sf_json_as_slice(v, &text) || (colon = memchr(text.data, ':', text.size)) == NULL ||
        sf_parse_u64(sf_slice_of(text.data, (size_t)(colon - text.data)), &epoch) != SF_PARSE_OK ||
        sf_parse_u64(sf_slice_of(colon + 1, text.size - (size_t)(colon + 1 - text.data)),
                     &rec->match_seq) != SF_PARSE_OK ||
        epoch > UINT32_MAX) {
        return false;
    }
    rec->has_match = true;
    rec->match_epoch = (uint32_t)epoch;
    return true;
}

/* "expected_seq" or "if_match", which only rows with a key have; NULL: fine, else what is not. */
static const char *read_expectation(const struct batch_reader *r, const struct sf_json *envelope,
                                    struct batch_record *rec)
{
    const struct sf_json *seq = sf_json_get(envelope, "expected_seq");
    const struct sf_json *match = sf_json_get(envelope, "if_match");

    if (seq == NULL && match == NULL) {
        return NULL;
    }
    if (r->table->kind != SF_TABLE_STATE) {
        return "an event table takes no expected_seq and no if_match";
    }
    if (seq != NULL && match != NULL) {
        return "expected_seq and if_match are not given together";
    }
    if (seq != NULL) {
        return sf_json_as_uint(seq, &rec->expect_seq) && rec->expect_seq != STORE_ANY
                   ? NULL
                   : "expected_seq must be a whole number from 0 on";
    }
    return read_position(match, rec) ? NULL : "if_match must be a position, \"EPOCH:SEQ\"";
}

/* The row of the key in r->key against if_match; what is found then holds until the commit. */
static enum sf_code match_row(struct batch_reader *r, const struct batch_spec *spec,
                              struct batch_record *rec, struct sf_error *err)
{
    struct sf_slice row;
    uint64_t seq = 0; /* of the row, or of its delete */
    bool found = false;
    enum sf_code code = spec->rows->find(spec->rows->data, sf_buf_view(&r->key), &r->old_row, &row,
                                         &seq, &found, err);

    if (code != SF_OK) {
        return code;
    }
    if (rec->match_epoch != spec->epoch) {
        return SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_NOT_MATCHED,
                          "if_match of record %llu is of epoch %u, the table is in epoch %u",
                          (unsigned long long)rec->line, rec->match_epoch, spec->epoch);
    }
    if (seq > rec->match_seq) {
        return SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_NOT_MATCHED,
                          "the row of record %llu was %s at %u:%llu, after %u:%llu",
                          (unsigned long long)rec->line, found ? "written" : "deleted", spec->epoch,
                          (unsigned long long)seq, rec->match_epoch,
                          (unsigned long long)rec->match_seq);
    }
    rec->expect_seq = found ? seq : 0;
    rec->is_read = true;
    return SF_OK;
}

/* The same for a record whose values are read. */
static enum sf_code match_values(struct batch_reader *r, const struct batch_spec *spec,
                                 struct batch_record *rec, struct sf_error *err)
{
    enum sf_code code;

    if (!rec->has_match || rec->verdict.found != 0) {
        return SF_OK;
    }
    sf_buf_clear(&r->key);
    code = batch_as_violation(key_encode(r->table, r->values, &r->key, err), err, &rec->verdict);
    return code == SF_OK && rec->verdict.found == 0 ? match_row(r, spec, rec, err) : code;
}

/* --- patches ---------------------------------------------------------------------------------- */

/* Makes the changes so far findable by key; the newest of a key counts. */
static enum sf_code map_changes(struct batch *b, struct sf_error *err)
{
    for (; b->mapped_count < b->change_count; b->mapped_count++) {
        size_t *number = sf_arena_alloc(&b->arena, sizeof(*number));

        if (number == NULL) {
            return batch_no_room(b, err);
        }
        *number = b->mapped_count;
        if (sf_map_put(&b->by_key, b->changes[*number].key, number) != SF_OK) {
            return SF_RAISE(err, SF_NOMEM, "batch");
        }
    }
    return SF_OK;
}

/* The row that a patch of the key in r->key is made on: of this request, or the store's. */
static enum sf_code find_old(struct batch_reader *r, const struct batch_spec *spec, struct batch *b,
                             struct batch_record *rec, struct sf_slice *ret, bool *found,
                             struct sf_error *err)
{
    const size_t *number;
    uint64_t seq = 0;
    enum sf_code code = map_changes(b, err);

    if (code != SF_OK) {
        return code;
    }
    number = sf_map_find(&b->by_key, sf_buf_view(&r->key));
    if (number != NULL) {
        *ret = b->changes[*number].row;
        *found = b->changes[*number].op == STORE_UPSERT;
        return SF_OK;
    }
    code = spec->rows->find(spec->rows->data, sf_buf_view(&r->key), &r->old_row, ret, &seq, found,
                            err);
    if (code != SF_OK) {
        return code;
    }
    seq = *found ? seq : 0;
    if (rec->expect_seq != STORE_ANY && rec->expect_seq != seq) {
        return SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_NOT_EXPECTED,
                          "the row of record %llu is at seq %llu, not at %llu",
                          (unsigned long long)rec->line, (unsigned long long)seq,
                          (unsigned long long)rec->expect_seq);
    }
    rec->is_read = rec->is_read || rec->expect_seq == STORE_ANY;
    rec->expect_seq = seq;
    return SF_OK;
}

/* Makes the whole row of a patch: of what is there and of what is given. */
static enum sf_code read_patch(struct batch_reader *r, const struct batch_spec *spec,
                               const struct sf_json *row, struct batch_record *rec, struct batch *b,
                               struct sf_error *err)
{
    struct sf_slice old;
    bool found = false;
    enum sf_code code =
        sf_record_key_from_json_value(r->records, row, r->values, &rec->verdict, err);

    if (code == SF_OK && rec->verdict.found == 0) {
        sf_buf_clear(&r->key);
        code =
            batch_as_violation(key_encode(r->table, r->values, &r->key, err), err, &rec->verdict);
    }
    if (code != SF_OK || rec->verdict.found != 0) {
        return code;
    }
    code = rec->has_match ? match_row(r, spec, rec, err) : SF_OK;
    code = code != SF_OK ? code : find_old(r, spec, b, rec, &old, &found, err);
    if (code == SF_OK && !found) {
        sf_verdict_add(&rec->verdict, SHEAF_E_ROW_ABSENT, -1, "there is no row to patch");
        return SF_OK;
    }
    code = code == SF_OK ? row_decode_old(r->table, old, &r->renewed, r->old, err) : code;
    return code == SF_OK ? sf_record_patch_from_json_value(r->records, row, r->old, r->values,
                                                           &rec->verdict, err)
                         : code;
}

/* --- envelopes -------------------------------------------------------------------------------- */

static bool read_op(const struct batch_record *rec, const struct sf_json *envelope,
                    const char **ret)
{
    const struct sf_json *op = sf_json_get(envelope, "op");

    if (op == NULL && rec->names_table) {
        *ret = "upsert";
        return true;
    }
    return sf_json_as_text(op, ret);
}

/* {"op":"upsert|patch|delete","row":{...}}: the row of it, checked as far as that goes, or NULL
 * with a verdict. */
static enum sf_code open_envelope(struct batch_reader *r, struct batch_record *rec,
                                  const char **ret_op, const struct sf_json **ret_row,
                                  struct sf_error *err)
{
    static const char *const names[] = {"op", "row", "expected_seq", "if_match", NULL};
    static const char *const all[] = {"op", "row", "expected_seq", "if_match", "table", NULL};
    const struct sf_json *envelope;
    const char *wrong;
    enum sf_code code = sf_json_read(&r->json, rec->raw, &envelope, err);

    if (code == SF_INVALID) {
        sf_verdict_add(&rec->verdict, SHEAF_E_RECORD_INVALID, -1, "not JSON: %s", err->text);
        return SF_OK;
    }
    if (code != SF_OK) {
        return code;
    }
    if (sf_json_check_names(envelope, rec->names_table ? all : names, NULL) != SF_OK ||
        !read_op(rec, envelope, ret_op) ||
        sf_json_kind(sf_json_get(envelope, "row")) != SF_JSON_OBJECT) {
        sf_verdict_add(&rec->verdict, SHEAF_E_BAD_ENVELOPE, -1,
                       "must be {\"op\":\"upsert|patch|delete\",\"row\":{...}}");
    } else if ((wrong = read_expectation(r, envelope, rec)) != NULL) {
        sf_verdict_add(&rec->verdict, SHEAF_E_BAD_ENVELOPE, -1, "%s", wrong);
    } else {
        *ret_row = sf_json_get(envelope, "row");
    }
    return SF_OK;
}

enum sf_code batch_read_change(struct batch_reader *r, const struct batch_spec *spec,
                               struct batch_record *rec, struct batch *b, struct sf_error *err)
{
    const bool is_state = r->table->kind == SF_TABLE_STATE;
    const struct sf_json *row = NULL;
    const char *op = "";
    enum sf_code code = open_envelope(r, rec, &op, &row, err);

    if (code != SF_OK || row == NULL) {
        return code;
    }
    if (strcmp(op, "upsert") == 0) {
        code = sf_record_from_json_value(r->records, row, r->values, &rec->verdict, err);
        return code == SF_OK ? match_values(r, spec, rec, err) : code;
    }
    if (strcmp(op, "patch") == 0 && is_state) {
        rec->is_part = true;
        return read_patch(r, spec, row, rec, b, err);
    }
    if (strcmp(op, "delete") == 0 && is_state) {
        rec->op = STORE_DELETE;
        rec->is_part = true;
        code = sf_record_key_from_json_value(r->records, row, r->values, &rec->verdict, err);
        return code == SF_OK ? match_values(r, spec, rec, err) : code;
    }
    sf_verdict_add(&rec->verdict, SHEAF_E_BAD_ENVELOPE, -1,
                   is_state ? "op must be upsert, patch or delete"
                            : "an event table takes op upsert only");
    return SF_OK;
}

enum sf_code batch_read_envelope(struct batch_reader *r, const struct batch_spec *spec,
                                 struct sf_slice raw, uint64_t line, struct batch *b,
                                 struct sf_error *err)
{
    struct batch_record rec = {.raw = raw,
                               .form = BATCH_FORM_CHANGE,
                               .line = spec->position != 0 ? spec->position : line,
                               .op = STORE_UPSERT,
                               .expect_seq = STORE_ANY,
                               .names_table = spec->names_table};
    enum sf_code code = batch_read_change(r, spec, &rec, b, err);

    code = code == SF_OK ? batch_finish(r, spec, &rec, b, err) : code;
    batch_digest(b);
    return code;
}
