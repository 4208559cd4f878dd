#include "cli/product_source.h"

#include <string.h>

#include "cli/records.h"
#include "common/base/alloc.h"
#include "common/base/utf8.h"
#include "common/contract/infer.h"
#include "common/contract/lint.h"
#include "common/contract/product_file.h"
#include "common/contract/product_print.h"
#include "common/policy/policy.h"
#include "common/sys/file.h"
#include "proto/errors.h"

enum { FILE_BYTES_MAX = 4 * 1024 * 1024 };

enum sf_code product_source_read(struct cli *cli, const char *path, struct product_source *ret,
                                 struct sf_error *err)
{
    struct product_source s = {0};
    struct sf_issues issues;
    struct sf_buf shown = {0};
    enum sf_code code = sf_file_read(path, FILE_BYTES_MAX, &s.text, err);

    if (code != SF_OK) {
        sf_buf_done(&s.text);
        err->number = SHEAF_E_FILE_UNREADABLE;
        return code;
    }
    sf_issues_init(&issues, path, sf_buf_view(&s.text));
    code = sf_product_parse(&issues, &s.product, err);
    if (code == SF_OK) {
        sf_product_lint(s.product, &issues);
        code = sf_policy_check_file(&issues, s.product, err);
    }
    s.warning_count = issues.warning_count;
    s.shown = code == SF_INVALID && issues.error_count > 0;
    sf_issues_render(&issues, &shown);
    if (sf_buf_cstr(&shown) != NULL) {
        (void)fputs(sf_buf_cstr(&shown), cli->err);
    }
    sf_buf_done(&shown);
    sf_issues_done(&issues);
    *ret = s;
    return code;
}

void product_source_done(struct product_source *s)
{
    sf_product_free(s->product);
    sf_buf_done(&s->text);
    *s = (struct product_source){0};
}

/* --- inference -------------------------------------------------------------------------------- */

/* What one pass over the file needs. */
struct inferring {
    struct records records;
    struct sf_infer *infer;
    struct sf_cell *cells; /* of one row; owned */
    size_t cell_capacity;
    struct sf_json_reader reader;
};

static enum sf_code reserve_cells(struct inferring *i, size_t count, struct sf_error *err)
{
    struct sf_cell *cells = NULL;

    if (count <= i->cell_capacity) {
        return SF_OK;
    }
    cells = sf_realloc(i->cells, count + 64, sizeof(*cells));
    if (cells == NULL) {
        return SF_RAISE(err, SF_NOMEM, "a row of %zu columns", count);
    }
    memset(cells + i->cell_capacity, 0, (count + 64 - i->cell_capacity) * sizeof(*cells));
    i->cells = cells;
    i->cell_capacity = count + 64;
    return SF_OK;
}

static enum sf_code csv_cells(struct inferring *i, size_t *ret_count, struct sf_error *err)
{
    const struct sf_csv *csv = &i->records.csv;
    enum sf_code code = reserve_cells(i, csv->cell_count, err);

    for (size_t c = 0; code == SF_OK && c < csv->cell_count; c++) {
        i->cells[c] = (struct sf_cell){.text = csv->cells[c].text, .null = csv->cells[c].is_null};
    }
    *ret_count = csv->cell_count;
    return code;
}

/* The parser counts lines from the record's start; the line of the file is told by the caller. */
static void drop_line_number(struct sf_error *err)
{
    static const char first[] = "line 1, ";
    size_t skip = sizeof(first) - 1;

    if (strncmp(err->text, first, skip) == 0) {
        memmove(err->text, err->text + skip, strlen(err->text + skip) + 1);
    }
}

static enum sf_code infer_json(struct inferring *i, struct sf_slice text, struct sf_error *err)
{
    const struct sf_json *row = NULL;
    enum sf_code code = sf_json_read(&i->reader, text, &row, err);

    if (code == SF_OK && sf_json_kind(row) != SF_JSON_OBJECT) {
        code = SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_FRAMING, "a record is an object, not %s",
                          sf_json_kind_text(sf_json_kind(row)));
    } else if (code == SF_INVALID) {
        err->number = SHEAF_E_BAD_FRAMING;
        drop_line_number(err);
    }
    return code == SF_OK ? sf_infer_json(i->infer, row, err) : code;
}

/* A file with other separators would become one column, and nobody wants that one. */
static enum sf_code check_separator(const struct sf_csv *csv, struct sf_error *err)
{
    struct sf_slice name = csv->cells[0].text;

    for (size_t i = 0; csv->cell_count == 1 && i < name.size; i++) {
        if (name.data[i] == ';' || name.data[i] == '\t' || name.data[i] == '|') {
            return SF_RAISE_E(err, SF_INVALID, SHEAF_E_CANNOT_INFER,
                              "the header is one column and holds %s: columns are separated by ','",
                              name.data[i] == '\t'  ? "a tab"
                              : name.data[i] == ';' ? "';'"
                                                    : "'|'");
        }
    }
    return SF_OK;
}

static enum sf_code infer_header(struct inferring *i, struct sf_error *err)
{
    const struct sf_csv *csv = &i->records.csv;
    struct sf_slice *names = NULL;
    enum sf_code code = SF_OK;

    if (i->records.format != RECORDS_CSV) {
        return SF_OK;
    }
    names = sf_calloc(csv->cell_count, sizeof(*names));
    if (names == NULL) {
        return SF_RAISE(err, SF_NOMEM, "header");
    }
    code = check_separator(csv, err);
    for (size_t c = 0; c < csv->cell_count && code == SF_OK; c++) {
        names[c] = csv->cells[c].text;
        if (!sf_utf8_is_valid(names[c])) {
            code = SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_UTF8, "the header");
        }
    }
    code = code == SF_OK ? sf_infer_header(i->infer, names, csv->cell_count, err) : code;
    sf_free(names);
    return code == SF_OK ? SF_OK : sf_error_wrap(err, "%s: line 1", i->records.path);
}

static enum sf_code infer_rows(struct inferring *i, struct sf_error *err)
{
    struct sf_slice text;
    enum sf_code code = infer_header(i, err);

    while (code == SF_OK) {
        size_t count = 0;

        code = records_next(&i->records, &text, err);
        if (code != SF_OK) {
            return code == SF_ABSENT ? SF_OK : code;
        }
        if (!sf_utf8_is_valid(text)) {
            code = SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_UTF8, "the record");
        } else if (i->records.format == RECORDS_CSV) {
            code = csv_cells(i, &count, err);
            code = code == SF_OK ? sf_infer_row(i->infer, i->cells, count, err) : code;
        } else {
            code = infer_json(i, text, err);
        }
        if (code != SF_OK) {
            (void)sf_error_wrap(err, "%s: line %llu", i->records.path,
                                (unsigned long long)i->records.line);
        }
    }
    return code;
}

enum sf_code product_infer(const char *path, const char *format, const struct product_ref *r,
                           struct inferred *ret, struct sf_error *err)
{
    struct inferring i = {.infer = NULL};
    struct inferred result = {0};
    struct sf_print_notes notes = {0};
    struct sf_infer_options options = {
        .domain = r->domain, .product = r->product, .table = r->table[0] != '\0' ? r->table : NULL};
    enum sf_code code = records_open(path, format, &i.records, err);

    code = code == SF_OK ? sf_infer_new(&i.infer, err) : code;
    code = code == SF_OK ? infer_rows(&i, err) : code;
    if (code == SF_OK) {
        code = sf_infer_product(i.infer, &options, &result.product, &notes, err);
        code = code == SF_OK ? SF_OK : sf_error_wrap(err, "%s", path);
    }
    if (code == SF_OK) {
        result.rows = i.records.index;
        result.columns = result.product->tables[0].field_count;
        sf_product_print(result.product, &notes, &result.text);
        code = sf_buf_check(&result.text, "product.yaml", err);
    }
    sf_infer_free(i.infer);
    sf_free(i.cells);
    sf_json_reader_done(&i.reader);
    records_done(&i.records);
    if (code != SF_OK) {
        inferred_done(&result);
        return code;
    }
    *ret = result;
    return SF_OK;
}

void inferred_done(struct inferred *i)
{
    sf_product_free(i->product);
    sf_buf_done(&i->text);
    *i = (struct inferred){0};
}

void inferred_text(const struct inferred *i, struct sf_buf *ret)
{
    const struct sf_table *t = &i->product->tables[0];

    if (t->kind == SF_TABLE_EVENT) {
        sf_buf_text(ret, "event table (no unique column)");
    }
    for (size_t k = 0; k < t->key_count; k++) {
        sf_buf_printf(ret, "%s%s", k == 0 ? "key " : ", ", t->fields[t->key[k]].name);
    }
    if (t->event_time >= 0) {
        sf_buf_printf(ret, ", event time %s", t->fields[t->event_time].name);
    }
    for (size_t f = 0; f < t->field_count; f++) {
        if (!sf_class_is_open(sf_field_class(&t->fields[f]))) {
            sf_buf_printf(ret, ", %s is %s", t->fields[f].name,
                          sf_class_name(sf_field_class(&t->fields[f])));
        }
    }
}

/* --- writing ---------------------------------------------------------------------------------- */

enum sf_code product_file_write(struct cli *cli, const char *path, struct sf_slice text,
                                bool *ret_written, struct sf_error *err)
{
    char directory[CLI_PATH_MAX];
    char question[CLI_PATH_MAX + 80];
    struct sf_buf old = {0};
    const char *slash = strrchr(path, '/');
    enum sf_code code = SF_OK;

    *ret_written = false;
    if (sf_file_exists(path)) {
        code = sf_file_read(path, FILE_BYTES_MAX, &old, err);
        bool same = code == SF_OK && sf_slice_equal(sf_buf_view(&old), text);

        sf_buf_done(&old);
        if (code != SF_OK || same) {
            return code;
        }
        (void)snprintf(question, sizeof(question), "%s is there and differs; replace it?", path);
        code = cli_confirm(cli, question, err);
    }
    if (code == SF_OK && slash != NULL && slash != path) {
        (void)snprintf(directory, sizeof(directory), "%.*s", (int)(slash - path), path);
        code = sf_dir_make(directory, 0755, err);
    }
    code = code == SF_OK ? sf_file_write(path, text, 0644, err) : code;
    *ret_written = code == SF_OK;
    return code;
}
