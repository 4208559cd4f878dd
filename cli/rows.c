#include "cli/rows.h"

#include <inttypes.h>
#include <string.h>

#include "common/base/str.h"
#include "common/wire/csv.h"
#include "proto/errors.h"
#include "proto/subjects.h"

enum { PAGE_ROWS_MAX = 10000 };

void rows_count_text(uint64_t count, char *ret)
{
    char digits[24];
    size_t n = (size_t)snprintf(digits, sizeof(digits), "%" PRIu64, count);

    for (size_t i = 0; i < n; i++) {
        *ret++ = digits[i];
        if ((n - 1 - i) % 3 == 0 && i + 1 < n) {
            *ret++ = ',';
        }
    }
    *ret = '\0';
}

void rows_named_text(uint64_t count, const char *one, char ret[ROWS_TEXT_MAX])
{
    size_t n;

    rows_count_text(count, ret);
    n = strlen(ret);
    (void)snprintf(ret + n, ROWS_TEXT_MAX - n, " %s%s", one, count == 1 ? "" : "s");
}

static void print_one(struct print *p, const struct sf_json *row)
{
    print_row(p);
    for (struct sf_json_iter it = sf_json_iter(row); sf_json_next(&it);) {
        print_json(p, (const char *)it.key.data, it.value);
    }
}

static enum sf_code write_bytes(const struct rows *rows, const void *bytes, size_t size,
                                struct sf_error *err)
{
    return fwrite(bytes, 1, size, rows->print->out) == size
               ? SF_OK
               : SF_RAISE(err, SF_IO, "standard output cannot be written");
}

/* Prints the lines of one page, up to the limit. */
static enum sf_code print_page(struct rows *rows, struct sf_slice body, struct sf_error *err)
{
    struct sf_json_reader reader = {0};
    struct sf_ndjson lines = {.line_max = SIZE_MAX}; /* The page has a limit. */
    struct sf_slice line;
    enum sf_code code = SF_OK;

    while (code == SF_OK && (rows->limit == 0 || rows->count < rows->limit)) {
        const struct sf_json *row = NULL;

        if (sf_ndjson_next(&lines, &body, /* last= */ true, &line, err) != SF_OK) {
            break;
        }
        if (rows->print->format == PRINT_NDJSON) {
            if (fwrite(line.data, 1, line.size, rows->print->out) != line.size ||
                fputc('\n', rows->print->out) == EOF) {
                code = SF_RAISE(err, SF_IO, "standard output cannot be written");
            }
        } else if (sf_json_read(&reader, line, &row, err) != SF_OK) {
            code = SF_RAISE_E(err, SF_INVALID, SHEAF_E_INTERNAL, "a row of the answer is not JSON");
        } else {
            print_one(rows->print, row);
        }
        rows->count++;
    }
    rows->more = rows->more || (code == SF_OK && body.size > 0);
    sf_json_reader_done(&reader);
    return code;
}

/*
 * The same for CSV, which the leaf writes: it knows what is text and what JSON. Every page begins
 * with the header line.
 */
static enum sf_code print_csv_page(struct rows *rows, struct sf_slice body, struct sf_error *err)
{
    const uint8_t *page = body.data;
    struct sf_csv csv = {0};
    enum sf_code code = sf_csv_next(&csv, &body, /* last= */ true, err);
    const uint8_t *start = body.data;

    if (code == SF_OK && !rows->has_header) {
        rows->has_header = true;
        code = write_bytes(rows, page, (size_t)(body.data - page), err);
    }
    while (code == SF_OK && (rows->limit == 0 || rows->count < rows->limit)) {
        if (sf_csv_next(&csv, &body, /* last= */ true, err) != SF_OK) {
            break;
        }
        rows->count++;
    }
    if (code == SF_OK) {
        code = write_bytes(rows, start, (size_t)(body.data - start), err);
    }
    rows->more = rows->more || (code == SF_OK && body.size > 0);
    sf_csv_done(&csv);
    return code == SF_ABSENT ? SF_OK : code;
}

static void page_path(struct sf_buf *b, const char *path, const struct rows *rows,
                      const char *cursor, bool is_count)
{
    uint64_t left = rows->limit == 0 ? PAGE_ROWS_MAX : rows->limit - rows->count;

    sf_buf_clear(b);
    if (is_count || rows->is_one) {
        sf_buf_text(b, path);
    } else {
        sf_buf_printf(b, "%s&limit=%" PRIu64, path, left < PAGE_ROWS_MAX ? left : PAGE_ROWS_MAX);
    }
    if (cursor[0] != '\0') {
        sf_buf_text(b, "&cursor=");
        api_escape(b, cursor);
    }
}

/* "1:1-7" and "1:7" both say: as of 1:7. */
static void keep_position(struct rows *rows, const char *position)
{
    const char *dash = strchr(position, '-');

    if (dash == NULL) {
        (void)snprintf(rows->position, sizeof(rows->position), "%s", position);
    } else {
        (void)snprintf(rows->position, sizeof(rows->position), "%.*s:%s",
                       (int)strcspn(position, ":"), position, dash + 1);
    }
}

static uint64_t header_number(const struct api *a, const char *name)
{
    const char *text = sf_http_answer_header(&a->answer, name);
    uint64_t n = 0;

    return text != NULL && sf_parse_u64(sf_slice_text(text), &n) == SF_PARSE_OK ? n : 0;
}

static void keep_headers(struct rows *rows, const struct api *a)
{
    const char *position = sf_http_answer_header(&a->answer, HEADER_POSITION);

    if (position != NULL) {
        keep_position(rows, position);
    }
    rows->nulls += header_number(a, HEADER_WHERE_NULLS);
    rows->errors += header_number(a, HEADER_WHERE_ERRORS);
}

/* The number of an answer {"count":N}. */
static enum sf_code take_count(struct rows *rows, struct sf_slice body, struct sf_error *err)
{
    struct sf_json_doc *doc = NULL;
    uint64_t n = 0;
    enum sf_code code = sf_json_parse(body, &doc, err);

    if (code == SF_OK && !sf_json_as_uint(sf_json_get(sf_json_root(doc), "count"), &n)) {
        code = SF_RAISE_E(err, SF_INVALID, SHEAF_E_INTERNAL, "the answer has no count");
    }
    sf_json_free(doc);
    rows->counted += n;
    return code;
}

/* Whether there is another page, whose cursor is in @cursor then. */
static enum sf_code next_page(struct rows *rows, const struct api *a, struct sf_buf *cursor,
                              bool *more, struct sf_error *err)
{
    const char *next = sf_http_answer_header(&a->answer, HEADER_CURSOR);

    *more = next != NULL && next[0] != '\0';
    if (*more && rows->limit != 0 && rows->count >= rows->limit) {
        rows->more = true;
        *more = false;
    }
    sf_buf_clear(cursor);
    sf_buf_text(cursor, *more ? next : "");
    return sf_buf_cstr(cursor) == NULL ? sf_buf_check(cursor, "cursor", err) : SF_OK;
}

static enum sf_code read_pages(struct api *a, const char *path, struct rows *rows, bool is_count,
                               struct sf_error *err)
{
    struct sf_buf full = {0};
    struct sf_buf cursor = {0};
    enum sf_code code = SF_OK;
    bool more = true;

    while (code == SF_OK && more) {
        page_path(&full, path, rows, cursor.size > 0 ? sf_buf_cstr(&cursor) : "", is_count);
        code = sf_buf_cstr(&full) == NULL ? sf_buf_check(&full, "path", err) : SF_OK;
        if (code == SF_OK) {
            code =
                api_leaf(a,
                         &(struct api_call){.method = "GET",
                                            .path = sf_buf_cstr(&full),
                                            .accept = !is_count && rows->print->format == PRINT_CSV
                                                          ? "text/csv"
                                                          : "application/x-ndjson"},
                         err);
        }
        if (code == SF_OK) {
            keep_headers(rows, a);
            code = is_count ? take_count(rows, sf_buf_view(&a->answer.body), err)
                   : rows->print->format == PRINT_CSV
                       ? print_csv_page(rows, sf_buf_view(&a->answer.body), err)
                       : print_page(rows, sf_buf_view(&a->answer.body), err);
        }
        if (code == SF_OK) {
            code = next_page(rows, a, &cursor, &more, err);
        }
    }
    sf_buf_done(&full);
    sf_buf_done(&cursor);
    return code;
}

enum sf_code rows_print(struct api *a, const char *path, struct rows *rows, struct sf_error *err)
{
    return read_pages(a, path, rows, /* is_count= */ false, err);
}

enum sf_code rows_count(struct api *a, const char *path, struct rows *rows, struct sf_error *err)
{
    return read_pages(a, path, rows, /* is_count= */ true, err);
}

void rows_show_findings(struct api *a)
{
    const struct sf_json *answer = NULL;
    struct sf_slice text;
    struct sf_error ignored;

    if (a->answer.status != 422 || api_json(a, &answer, &ignored) != SF_OK ||
        !sf_json_as_slice(sf_json_get(answer, "findings"), &text)) {
        return;
    }
    for (size_t i = 0; i < text.size; i++) { /* another domain's leaf wrote it */
        const uint8_t c = text.data[i];

        (void)fputc(c < 0x20 && c != '\n' ? '?' : c, a->cli->err);
    }
    a->cli->told = true;
}
