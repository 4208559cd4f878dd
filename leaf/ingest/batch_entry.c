/* Entries of the quarantine: read again, as they came. */
#include "leaf/ingest/batch_private.h"

/* A row of CSV under the header that it came with, which may fit the contract no more. */
static enum sf_code read_csv_entry(struct batch_reader *r, struct batch_record *rec,
                                   struct sf_error *err)
{
    struct sf_slice header = rec->context;
    struct sf_slice row = rec->raw;
    enum sf_code code;

    sf_csv_done(&r->csv);
    r->csv = (struct sf_csv){0};
    code = sf_csv_next(&r->csv, &header, /* last= */ true, err);
    if (code == SF_OK) {
        code = sf_record_bind_csv(r->records, &r->csv, err);
    }
    if (code == SF_OK) {
        sf_csv_done(&r->csv);
        r->csv = (struct sf_csv){0};
        code = sf_csv_next(&r->csv, &row, /* last= */ true, err);
    }
    if (code == SF_INVALID || code == SF_ABSENT) {
        sf_verdict_add(&rec->verdict,
                       code == SF_ABSENT || err->number == 0 ? SHEAF_E_RECORD_INVALID
                                                             : (enum sheaf_error_number)err->number,
                       -1, "%s", code == SF_ABSENT ? "there is no row, or no header" : err->text);
        return SF_OK;
    }
    return code == SF_OK ? sf_record_from_csv(r->records, &r->csv, r->values, &rec->verdict, err)
                         : code;
}

static enum sf_code read_by_form(struct batch_reader *r, const struct batch_spec *spec,
                                 struct batch_record *rec, struct batch *b, struct sf_error *err)
{
    enum sf_code code = SF_OK;

    switch (rec->form) {
    case BATCH_FORM_UNKNOWN:
    case BATCH_FORM_JSON:
        return sf_record_from_json(r->records, rec->raw, r->values, &rec->verdict, err);
    case BATCH_FORM_CSV:
        return read_csv_entry(r, rec, err);
    case BATCH_FORM_PROTOBUF:
        return sf_record_from_protobuf(r->records, rec->raw, r->values, &rec->verdict, err);
    case BATCH_FORM_CUT:
        sf_verdict_add(&rec->verdict, SHEAF_E_RECORD_TOO_LARGE, -1, "only its beginning was kept");
        return SF_OK;
    case BATCH_FORM_CHANGE:
        code = batch_read_change(r, spec, rec, b, err);
        break;
    }
    if (code == SF_CONFLICT) { /* of a patch, or of a row that was to be unchanged */
        sf_verdict_add(&rec->verdict, SHEAF_E_NOT_EXPECTED, -1, "not where it was expected");
        return SF_OK;
    }
    return code;
}

static struct batch_record record_of(const struct store_quarantined *entry)
{
    const bool is_known = entry->form <= BATCH_FORM_CUT;

    return (struct batch_record){
        .raw = entry->raw,
        .form = is_known ? (enum batch_form)entry->form : BATCH_FORM_CUT,
        .context = entry->context,
        .line = entry->position,
        .op = STORE_UPSERT,
        .expect_seq = STORE_ANY,
        .names_table = true,
    };
}

enum sf_code batch_read_entry(struct batch_reader *r, const struct batch_spec *spec,
                              const struct store_quarantined *entry, struct batch *b,
                              struct sf_error *err)
{
    struct batch_record rec = record_of(entry);
    enum sf_code code = batch_copy(b, entry->context, &rec.context, err);

    if (code == SF_OK) {
        code = read_by_form(r, spec, &rec, b, err);
    }
    code = code == SF_OK ? batch_finish(r, spec, &rec, b, err) : code;
    batch_digest(b);
    return code;
}

enum sf_code batch_judge_entry(struct batch_reader *r, const struct batch_spec *spec,
                               const struct store_quarantined *entry, struct sf_verdict *ret,
                               struct sf_error *err)
{
    struct batch_record rec = record_of(entry);
    struct batch none;
    enum sf_code code;

    batch_init(&none);
    code = read_by_form(r, spec, &rec, &none, err);
    if (code == SF_OK && rec.verdict.found == 0) {
        code = batch_encode(r, &rec, err);
    }
    batch_done(&none);
    *ret = rec.verdict;
    return code;
}

enum sf_code batch_refuse_entry(const struct batch_spec *spec,
                                const struct store_quarantined *entry,
                                enum sheaf_error_number number, const char *text, struct batch *b,
                                struct sf_error *err)
{
    struct batch_record rec = record_of(entry);
    enum sf_code code = batch_copy(b, entry->context, &rec.context, err);

    b->change_count--;
    sf_verdict_add(&rec.verdict, number, -1, "%s", text);
    return code == SF_OK ? batch_add_reject(spec, &rec, b, err) : code;
}
