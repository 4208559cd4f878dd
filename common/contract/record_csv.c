/* The part of record.h that reads rows of CSV. */
#include "common/contract/record_reader.h"

#include "common/base/alloc.h"
#include "common/base/utf8.h"

static enum sf_code raise_column(const struct sf_record_reader *r, const struct sf_csv *header,
                                 size_t column, struct sf_error *err)
{
    struct sf_slice name = header->cells[column].text;
    bool shown = name.size <= SF_RECORD_NAME_SHOWN_MAX && sf_name_is_table(name);

    return SF_RAISE_E(err, SF_INVALID, SHEAF_E_UNKNOWN_FIELD,
                      "line %llu: column %zu%s%.*s%s is no field of table '%s'",
                      (unsigned long long)header->line, column + 1, shown ? " ('" : "",
                      shown ? (int)name.size : 0, (const char *)name.data, shown ? "')" : "",
                      r->table->name);
}

static enum sf_code bind_columns(struct sf_record_reader *r, const struct sf_csv *header,
                                 struct sf_error *err)
{
    for (size_t i = 0; i < header->cell_count; i++) {
        uint16_t index = sf_record_find_name(r, header->cells[i].text);

        if (index == SF_RECORD_NO_NAME) {
            return raise_column(r, header, i, err);
        }
        r->columns[i] = r->names[index].field;
        if (r->seen[r->columns[i]] == r->record) {
            return SF_RAISE_E(
                err, SF_INVALID, SHEAF_E_BAD_FRAMING, "line %llu: column '%s' is there twice",
                (unsigned long long)header->line, r->table->fields[r->columns[i]].name);
        }
        r->seen[r->columns[i]] = r->record;
    }
    for (size_t i = 0; i < r->table->field_count; i++) {
        if (r->plans[i].must && r->seen[i] != r->record &&
            !r->table->fields[i].default_value.present) {
            return SF_RAISE_E(err, SF_INVALID, SHEAF_E_FIELD_MISSING,
                              "line %llu: there is no column for '%s', which is required",
                              (unsigned long long)header->line, r->table->fields[i].name);
        }
    }
    return SF_OK;
}

enum sf_code sf_record_bind_csv(struct sf_record_reader *r, const struct sf_csv *header,
                                struct sf_error *err)
{
    struct sf_verdict unused;
    enum sf_code code;

    sf_free(r->columns);
    r->column_count = 0;
    r->columns = sf_calloc(header->cell_count, sizeof(*r->columns));
    if (r->columns == NULL) {
        return SF_RAISE(err, SF_NOMEM, "header of table '%s': out of memory", r->table->name);
    }
    sf_record_begin(r, &unused);
    code = bind_columns(r, header, err);
    if (code == SF_OK) {
        r->column_count = header->cell_count;
    }
    return code;
}

static void take_cell(struct sf_record_reader *r, size_t field, const struct sf_csv_cell *cell,
                      struct sf_value *ret, struct sf_verdict *v)
{
    const struct sf_field *f = &r->table->fields[field];
    struct sf_slice text = cell->text;
    enum sf_parse parsed;

    if (cell->is_null) {
        *ret = (struct sf_value){0};
        return;
    }
    *ret = (struct sf_value){.present = true};
    if (f->type == SF_TYPE_BOOL && !r->plans[field].is_cleaned) {
        parsed = sf_record_convert_bool(text, ret);
    } else if (f->type == SF_TYPE_JSON || !sf_type_is_scalar(f->type)) {
        sf_record_take_nested_text(r, field, text, ret, v);
        return;
    } else if (f->type == SF_TYPE_STRING && !sf_utf8_is_valid(text)) {
        sf_verdict_add(v, SHEAF_E_BAD_UTF8, (int32_t)field, "'%s' is not valid UTF-8", f->name);
        return;
    } else if (r->plans[field].is_cleaned) {
        sf_record_take_cleaned(r, f, field, text, /* is_json= */ false, ret, v);
        return;
    } else {
        parsed = sf_record_convert(r, f, r->uuids[field], text, ret);
    }
    if (parsed != SF_PARSE_OK) {
        sf_record_add_refused(r, field, f, parsed, v);
    } else if (r->plans[field].has_rules) {
        sf_record_check_rules(r, field, f, ret, v);
    }
}

enum sf_code sf_record_from_csv(struct sf_record_reader *r, const struct sf_csv *row,
                                struct sf_value *values, struct sf_verdict *verdict,
                                struct sf_error *err)
{
    sf_record_begin(r, verdict);
    if (row->cell_count != r->column_count) {
        sf_verdict_add(verdict, SHEAF_E_RECORD_INVALID, -1, "%zu cells, but the header has %zu",
                       row->cell_count, r->column_count);
        return SF_OK;
    }
    for (size_t i = 0; i < row->cell_count; i++) {
        size_t field = r->columns[i];

        r->seen[field] = r->record;
        take_cell(r, field, &row->cells[i], &values[field], verdict);
    }
    sf_record_fill_absent(r, values, verdict);
    return sf_record_end(r, err);
}
