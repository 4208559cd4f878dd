#include "cli/record_edit.h"

#include <string.h>

#include "common/wire/csv.h"
#include "common/wire/json.h"
#include "proto/errors.h"

enum sf_code record_set_parse(const char *text, struct record_set *ret, struct sf_error *err)
{
    const char *equals = strchr(text, '=');

    if (equals == NULL || equals == text) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE, "--set takes FIELD=VALUE, not '%s'",
                          text);
    }
    *ret = (struct record_set){
        .name = sf_slice_of((const uint8_t *)text, (size_t)(equals - text)),
        .value = sf_slice_text(equals + 1),
        .is_text = true,
    };
    return SF_OK;
}

/* The last set of this name, or NULL. */
static const struct record_set *find(const struct record_edit *edit, struct sf_slice name)
{
    for (size_t i = edit->count; i-- > 0;) {
        if (sf_slice_equal(edit->sets[i].name, name)) {
            return &edit->sets[i];
        }
    }
    return NULL;
}

/* --- JSON ------------------------------------------------------------------------------------- */

static void write_set(struct sf_json_writer *w, const struct record_set *s)
{
    if (s->unset) {
        return;
    }
    sf_json_key_slice(w, s->name);
    if (s->is_text) {
        sf_json_slice(w, s->value);
    } else {
        sf_json_raw(w, s->value);
    }
}

static void write_row(const struct record_edit *edit, const struct sf_json *row,
                      struct sf_json_writer *w)
{
    sf_json_object_begin(w);
    for (struct sf_json_iter it = sf_json_iter(row); sf_json_next(&it);) {
        if (find(edit, it.key) == NULL) {
            sf_json_key_slice(w, it.key);
            sf_json_value(w, it.value);
        }
    }
    for (size_t i = 0; i < edit->count; i++) {
        if (find(edit, edit->sets[i].name) == &edit->sets[i]) {
            write_set(w, &edit->sets[i]);
        }
    }
    sf_json_object_end(w);
}

enum sf_code record_edit_json(const struct record_edit *edit, struct sf_slice raw, bool in_envelope,
                              struct sf_buf *ret, struct sf_error *err)
{
    SF_CLEANUP(sf_json_freep) struct sf_json_doc *doc = NULL;
    struct sf_json_writer w = {.out = ret};
    struct sf_error why;
    const struct sf_json *root;
    enum sf_code code = sf_json_parse(raw, &doc, &why);

    if (code == SF_NOMEM) {
        return SF_RAISE(err, SF_NOMEM, "record");
    }
    root = code == SF_OK ? sf_json_root(doc) : NULL;
    if (sf_json_kind(in_envelope ? sf_json_get(root, "row") : root) != SF_JSON_OBJECT) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE,
                          "the record is no JSON object, so no field of it can be set; give all of "
                          "it with --file");
    }
    if (!in_envelope) {
        write_row(edit, root, &w);
        return sf_buf_check(ret, "record", err);
    }
    sf_json_object_begin(&w);
    for (struct sf_json_iter it = sf_json_iter(root); sf_json_next(&it);) {
        sf_json_key_slice(&w, it.key);
        if (sf_slice_equal(it.key, SF_LITERAL("row"))) {
            write_row(edit, it.value, &w);
        } else {
            sf_json_value(&w, it.value);
        }
    }
    sf_json_object_end(&w);
    return sf_buf_check(ret, "record", err);
}

/* --- CSV -------------------------------------------------------------------------------------- */

static void put_cell(struct sf_buf *out, bool first, struct sf_slice text, bool is_null)
{
    bool quoted = text.size == 0 && !is_null;

    for (size_t i = 0; i < text.size && !quoted; i++) {
        quoted = text.data[i] != '\0' && strchr(",\"\r\n", text.data[i]) != NULL;
    }
    if (!first) {
        sf_buf_byte(out, ',');
    }
    if (!quoted) {
        sf_buf_slice(out, text);
        return;
    }
    sf_buf_byte(out, '"');
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"') {
            sf_buf_byte(out, '"');
        }
        sf_buf_byte(out, text.data[i]);
    }
    sf_buf_byte(out, '"');
}

static enum sf_code read_line(struct sf_csv *csv, struct sf_slice text, const char *what,
                              struct sf_error *err)
{
    struct sf_error why;
    enum sf_code code = sf_csv_next(csv, &text, /* last= */ true, &why);

    if (code == SF_NOMEM) {
        return SF_RAISE(err, SF_NOMEM, "record");
    }
    return code == SF_OK ? SF_OK
                         : SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE,
                                      "the %s of the record cannot be read; give all of it with "
                                      "--file",
                                      what);
}

static bool has_column(const struct sf_csv *header, struct sf_slice name)
{
    for (size_t i = 0; i < header->cell_count; i++) {
        if (sf_slice_equal(header->cells[i].text, name)) {
            return true;
        }
    }
    return false;
}

/* Of a set whose column has to be added. */
static bool is_new(const struct record_edit *edit, const struct sf_csv *header, size_t i)
{
    const struct record_set *s = &edit->sets[i];

    return !s->unset && find(edit, s->name) == s && !has_column(header, s->name);
}

static void put_header(const struct record_edit *edit, const struct sf_csv *header,
                       struct sf_buf *out)
{
    for (size_t i = 0; i < header->cell_count; i++) {
        put_cell(out, i == 0, header->cells[i].text, header->cells[i].is_null);
    }
    for (size_t i = 0; i < edit->count; i++) {
        if (is_new(edit, header, i)) {
            put_cell(out, false, edit->sets[i].name, false);
        }
    }
    sf_buf_byte(out, '\n');
}

static void put_row(const struct record_edit *edit, const struct sf_csv *header,
                    const struct sf_csv *row, struct sf_buf *out)
{
    for (size_t i = 0; i < header->cell_count; i++) {
        const struct record_set *s = find(edit, header->cells[i].text);
        const bool has_cell = i < row->cell_count;

        if (s != NULL) {
            put_cell(out, i == 0, s->unset ? sf_slice_text("") : s->value, s->unset);
        } else {
            put_cell(out, i == 0, has_cell ? row->cells[i].text : sf_slice_text(""),
                     !has_cell || row->cells[i].is_null);
        }
    }
    for (size_t i = 0; i < edit->count; i++) {
        if (is_new(edit, header, i)) {
            put_cell(out, false, edit->sets[i].value, false);
        }
    }
    sf_buf_byte(out, '\n');
}

enum sf_code record_edit_csv(const struct record_edit *edit, struct sf_slice header,
                             struct sf_slice row, struct sf_buf *ret, struct sf_error *err)
{
    SF_CLEANUP(sf_csv_done) struct sf_csv columns = {0};
    SF_CLEANUP(sf_csv_done) struct sf_csv cells = {0};
    enum sf_code code = read_line(&columns, header, "header", err);

    code = code == SF_OK ? read_line(&cells, row, "row", err) : code;
    if (code != SF_OK) {
        return code;
    }
    if (cells.cell_count > columns.cell_count) {
        return SF_RAISE_E(
            err, SF_INVALID, SHEAF_E_USAGE,
            "the record has %zu cells, its header %zu: which is which cannot be told; "
            "give all of it with --file",
            cells.cell_count, columns.cell_count);
    }
    put_header(edit, &columns, ret);
    put_row(edit, &columns, &cells, ret);
    return sf_buf_check(ret, "record", err);
}
