/* Records in envelopes, which say what becomes of a row; and patches, which need the row. */
#include <string.h>

#include "leaf/ingest/batch_private.h"
#include "leaf/rowcodec/key.h"
#include "leaf/rowcodec/row.h"

/* "expected_seq": only a row with a key can be expected. */
static bool read_expectation(const struct batch_reader *r, const struct sf_json *envelope,
                             uint64_t *ret)
{
    const struct sf_json *v = sf_json_get(envelope, "expected_seq");

    return v == NULL ||
           (r->table->kind == SF_TABLE_STATE && sf_json_as_uint(v, ret) && *ret != STORE_ANY);
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
    rec->is_read = rec->expect_seq == STORE_ANY;
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
    code = find_old(r, spec, b, rec, &old, &found, err);
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

/* {"op":"upsert|patch|delete","row":{...},"expected_seq":N}: the row of it, checked as far as that
 * goes, or NULL with a verdict. */
static enum sf_code open_envelope(struct batch_reader *r, struct batch_record *rec,
                                  const char **ret_op, const struct sf_json **ret_row,
                                  struct sf_error *err)
{
    static const char *const names[] = {"op", "row", "expected_seq", NULL};
    static const char *const all[] = {"op", "row", "expected_seq", "table", NULL};
    const struct sf_json *envelope;
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
    } else if (!read_expectation(r, envelope, &rec->expect_seq)) {
        sf_verdict_add(&rec->verdict, SHEAF_E_BAD_ENVELOPE, -1,
                       r->table->kind == SF_TABLE_STATE
                           ? "expected_seq must be a whole number from 0 on"
                           : "an event table takes no expected_seq");
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
        return sf_record_from_json_value(r->records, row, r->values, &rec->verdict, err);
    }
    if (strcmp(op, "patch") == 0 && is_state) {
        rec->is_part = true;
        return read_patch(r, spec, row, rec, b, err);
    }
    if (strcmp(op, "delete") == 0 && is_state) {
        rec->op = STORE_DELETE;
        rec->is_part = true;
        return sf_record_key_from_json_value(r->records, row, r->values, &rec->verdict, err);
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
