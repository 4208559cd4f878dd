#include "cli/rows.h"

#include <inttypes.h>
#include <string.h>

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

static void print_one(struct print *p, const struct sf_json *row)
{
    print_row(p);
    for (struct sf_json_iter it = sf_json_iter(row); sf_json_next(&it);) {
        print_json(p, (const char *)it.key.data, it.value);
    }
}

/* Prints the lines of one page, up to the limit. */
static enum sf_code print_page(struct rows *rows, struct sf_slice body, struct sf_error *err)
{
    struct sf_json_reader reader = {0};
    struct sf_ndjson lines = {0};
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

static void page_path(struct sf_buf *b, const char *path, const struct rows *rows,
                      const char *cursor)
{
    uint64_t left = rows->limit == 0 ? PAGE_ROWS_MAX : rows->limit - rows->count;

    sf_buf_clear(b);
    sf_buf_printf(b, "%s&limit=%" PRIu64, path, left < PAGE_ROWS_MAX ? left : PAGE_ROWS_MAX);
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

enum sf_code rows_print(struct api *a, const char *path, struct rows *rows, struct sf_error *err)
{
    struct sf_buf full = {0};
    struct sf_buf cursor = {0};
    enum sf_code code = SF_OK;

    for (;;) {
        const char *next = NULL;
        const char *position = NULL;

        page_path(&full, path, rows, cursor.size > 0 ? sf_buf_cstr(&cursor) : "");
        code = sf_buf_cstr(&full) == NULL ? sf_buf_check(&full, "path", err) : SF_OK;
        if (code == SF_OK) {
            code = api_leaf(a,
                            &(struct api_call){.method = "GET",
                                               .path = sf_buf_cstr(&full),
                                               .accept = "application/x-ndjson"},
                            err);
        }
        if (code != SF_OK) {
            break;
        }
        position = sf_http_answer_header(&a->answer, HEADER_POSITION);
        if (position != NULL) {
            keep_position(rows, position);
        }
        code = print_page(rows, sf_buf_view(&a->answer.body), err);
        next = sf_http_answer_header(&a->answer, HEADER_CURSOR);
        if (code != SF_OK || next == NULL || next[0] == '\0') {
            break;
        }
        if (rows->limit != 0 && rows->count >= rows->limit) {
            rows->more = true;
            break;
        }
        sf_buf_clear(&cursor);
        sf_buf_text(&cursor, next);
        if (sf_buf_cstr(&cursor) == NULL) {
            code = sf_buf_check(&cursor, "cursor", err);
            break;
        }
    }
    sf_buf_done(&full);
    sf_buf_done(&cursor);
    return code;
}
