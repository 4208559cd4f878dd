#include "cli/records.h"

#include <string.h>
#include <strings.h>

#include "common/base/attr.h"
#include "proto/errors.h"

static bool has_suffix(const char *path, const char *suffix)
{
    size_t n = strlen(path);
    size_t m = strlen(suffix);

    return n > m && strcasecmp(path + n - m, suffix) == 0;
}

static enum sf_code choose_format(const char *path, const char *name, enum records_format *ret,
                                  struct sf_error *err)
{
    static const struct {
        const char *name;
        const char *suffix;
        enum records_format format;
    } formats[] = {
        {"csv", ".csv", RECORDS_CSV},
        {"ndjson", ".ndjson", RECORDS_NDJSON},
        {"ndjson", ".jsonl", RECORDS_NDJSON},
        {"json", ".json", RECORDS_JSON},
    };

    for (size_t i = 0; i < SF_COUNT(formats); i++) {
        if (name != NULL ? strcmp(name, formats[i].name) == 0
                         : has_suffix(path, formats[i].suffix)) {
            *ret = formats[i].format;
            return SF_OK;
        }
    }
    if (name != NULL) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE,
                          "--format wants csv, ndjson or json, not '%s'", name);
    }
    return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE,
                      "%s: say with --format csv, ndjson or json what it is", path);
}

/* Keeps the header line as it is, for the front of every batch. */
static enum sf_code take_header(struct records *r, struct sf_error *err)
{
    const uint8_t *start = r->left.data;
    enum sf_code code = sf_csv_next(&r->csv, &r->left, /* last= */ true, err);

    if (code == SF_ABSENT) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_FRAMING, "%s is empty", r->path);
    }
    if (code != SF_OK) {
        return sf_error_wrap(err, "%s", r->path);
    }
    r->header = sf_slice_of(start, (size_t)(r->left.data - start));
    return SF_OK;
}

enum sf_code records_open(const char *path, const char *format_name, struct records *ret,
                          struct sf_error *err)
{
    enum sf_code code = SF_OK;

    *ret = (struct records){.path = path};
    code = choose_format(path, format_name, &ret->format, err);
    if (code != SF_OK) {
        return code;
    }
    code = sf_mapping_open(path, &ret->mapping, err);
    if (code != SF_OK) {
        err->number = SHEAF_E_FILE_UNREADABLE;
        return code;
    }
    ret->left = ret->mapping.bytes;
    return ret->format == RECORDS_CSV ? take_header(ret, err) : SF_OK;
}

void records_done(struct records *r)
{
    sf_csv_done(&r->csv);
    sf_buf_done(&r->batch);
    sf_mapping_done(&r->mapping);
    *r = (struct records){0};
}

static enum sf_code bad_framing(const struct records *r, const char *what, struct sf_error *err)
{
    return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_FRAMING, "%s: line %llu: %s", r->path,
                      (unsigned long long)r->line, what);
}

static void skip_space(struct records *r)
{
    while (r->left.size > 0 && r->left.data[0] != 0 && strchr(" \t\r\n", r->left.data[0]) != NULL) {
        r->line_at += r->left.data[0] == '\n';
        r->left = sf_slice_of(r->left.data + 1, r->left.size - 1);
    }
    r->line = r->line_at;
}

/* Takes white space off the front, then @wanted if it stands there. */
static bool take_char(struct records *r, uint8_t wanted)
{
    skip_space(r);
    if (r->left.size == 0 || r->left.data[0] != wanted) {
        return false;
    }
    r->left = sf_slice_of(r->left.data + 1, r->left.size - 1);
    return true;
}

/* Bytes up to the end of the JSON value at the front; 0: it does not end. */
static size_t value_size(struct sf_slice text)
{
    bool in_string = false;
    unsigned depth = 0;

    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];

        if (in_string) {
            i += c == '\\';
            in_string = c != '"';
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if ((c == '}' || c == ']' || c == ',') && depth == 0) {
            return i;
        } else if (c == '}' || c == ']') {
            depth--;
            if (depth == 0) {
                return i + 1;
            }
        }
    }
    return 0;
}

/* Whether the array has another element; its first byte is then at the front. */
static enum sf_code find_element(struct records *r, struct sf_error *err)
{
    if (r->array == RECORDS_BEFORE) {
        r->line_at = 1;
        if (!take_char(r, '[')) {
            return bad_framing(r, "not a JSON array", err);
        }
        r->array = RECORDS_FIRST;
    }
    if (r->array != RECORDS_BEHIND && take_char(r, ']')) {
        r->array = RECORDS_BEHIND;
    }
    if (r->array == RECORDS_BEHIND) {
        skip_space(r);
        return r->left.size == 0 ? SF_ABSENT : bad_framing(r, "text behind the array", err);
    }
    if (r->array == RECORDS_INSIDE && !take_char(r, ',')) {
        return bad_framing(r, "a comma or the end of the array is missing", err);
    }
    skip_space(r);
    r->array = RECORDS_INSIDE;
    return SF_OK;
}

static enum sf_code next_element(struct records *r, struct sf_slice *ret, struct sf_error *err)
{
    size_t size = 0;
    enum sf_code code = find_element(r, err);

    if (code != SF_OK) {
        return code;
    }
    size = value_size(r->left);
    if (size == 0) {
        return bad_framing(r, "a value that is empty or does not end", err);
    }
    *ret = sf_slice_of(r->left.data, size);
    for (size_t i = 0; i < size; i++) {
        r->line_at += ret->data[i] == '\n';
    }
    r->left = sf_slice_of(r->left.data + size, r->left.size - size);
    return SF_OK;
}

enum sf_code records_next(struct records *r, struct sf_slice *ret, struct sf_error *err)
{
    const uint8_t *start = r->left.data;
    enum sf_code code = SF_OK;

    switch (r->format) {
    case RECORDS_CSV:
        code = sf_csv_next(&r->csv, &r->left, /* last= */ true, err);
        *ret = sf_slice_of(start, (size_t)(r->left.data - start));
        r->line = r->csv.line;
        break;
    case RECORDS_NDJSON:
        code = sf_ndjson_next(&r->ndjson, &r->left, /* last= */ true, ret, err);
        r->line = r->ndjson.line;
        break;
    case RECORDS_JSON:
        code = next_element(r, ret, err);
        break;
    }
    if (code == SF_ABSENT) {
        return SF_ABSENT;
    }
    if (code != SF_OK) {
        return r->format == RECORDS_JSON ? code : sf_error_wrap(err, "%s", r->path);
    }
    r->index++;
    if (ret->size > SF_RECORD_TEXT_MAX) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_RECORD_TOO_LARGE, "%s: line %llu: over 1 MiB",
                          r->path, (unsigned long long)r->line);
    }
    return SF_OK;
}

/*
 * Appends one record to a batch. Blank lines stay, so that lines of the batch are lines of the
 * file; elements of an array become one line each.
 */
static void append_record(struct records *r, struct sf_slice text)
{
    size_t at = 0;

    if (r->format == RECORDS_CSV) {
        sf_buf_slice(&r->batch, text);
        if (text.size > 0 && text.data[text.size - 1] != '\n') {
            sf_buf_byte(&r->batch, '\n');
        }
        return;
    }
    for (uint64_t line = r->batch_line; r->format == RECORDS_NDJSON && line < r->line; line++) {
        sf_buf_byte(&r->batch, '\n');
    }
    r->batch_line = r->line + 1;
    at = r->batch.size;
    sf_buf_slice(&r->batch, text);
    for (size_t i = at; i < r->batch.size; i++) {
        if (r->batch.data[i] == '\n' || r->batch.data[i] == '\r') {
            r->batch.data[i] = ' ';
        }
    }
    sf_buf_byte(&r->batch, '\n');
}

enum sf_code records_batch(struct records *r, uint64_t rows_max, size_t bytes_max,
                           struct records_batch *ret, struct sf_error *err)
{
    struct records_batch b = {.first_index = r->index};
    struct sf_slice text;
    enum sf_code code = SF_OK;

    sf_buf_clear(&r->batch);
    sf_buf_slice(&r->batch, r->header);
    while (b.rows < rows_max && r->batch.size < bytes_max) {
        code = records_next(r, &text, err);
        if (code != SF_OK) {
            break;
        }
        if (b.rows == 0) {
            b.first_line = r->line;
            r->batch_line = r->line;
        }
        b.rows++;
        append_record(r, text);
    }
    if (code != SF_OK && (code != SF_ABSENT || b.rows == 0)) {
        return code;
    }
    code = sf_buf_check(&r->batch, "batch", err);
    b.body = sf_buf_view(&r->batch);
    if (code == SF_OK) {
        *ret = b;
    }
    return code;
}

const char *records_media(const struct records *r)
{
    return r->format == RECORDS_CSV ? "text/csv" : "application/x-ndjson";
}

uint64_t records_bytes_done(const struct records *r)
{
    return r->mapping.bytes.size - r->left.size;
}
