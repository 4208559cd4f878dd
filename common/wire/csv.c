/*
 * Two passes over a record: the first finds its end, the second cuts it into cells. The first knows
 * only whether it is inside quotes; what is wrong inside a record is found by the second.
 */
#include "common/wire/csv.h"

#include "common/base/alloc.h"
#include "proto/errors.h"

enum { FIRST_CELLS = 16 };

void sf_csv_done(struct sf_csv *c)
{
    sf_free(c->cells);
    sf_buf_done(&c->unescaped);
    *c = (struct sf_csv){.separator = c->separator};
}

/* Line @skip more than the record's first. */
static enum sf_code raise_at(const struct sf_csv *c, uint64_t skip, size_t column, const char *what,
                             struct sf_error *err)
{
    return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_FRAMING, "line %llu, column %zu: %s",
                      (unsigned long long)(c->next_line + 1 + skip), column, what);
}

static enum sf_code raise_long(uint64_t line, struct sf_error *err)
{
    return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_FRAMING,
                      "line %llu, column 1: the record is longer than %d bytes",
                      (unsigned long long)line, SF_RECORD_TEXT_MAX);
}

/*
 * The size of the first record with its line end, or 0 when its end is not there. A quote opens
 * only at the start of a cell, but outside quotes it is an error anywhere else, so that counting
 * quotes is enough: a wrong record may end too late, never too early for the error to be seen.
 */
static size_t record_size(struct sf_slice text)
{
    const uint8_t *p = text.data;
    const uint8_t *end = text.data + text.size;

    while (p < end) {
        const uint8_t *lf = memchr(p, '\n', (size_t)(end - p));
        const uint8_t *stop = lf == NULL ? end : lf;
        const uint8_t *quote = memchr(p, '"', (size_t)(stop - p));

        if (quote == NULL) {
            return lf == NULL ? 0 : (size_t)(lf + 1 - text.data);
        }
        quote = memchr(quote + 1, '"', (size_t)(end - quote - 1));
        if (quote == NULL) {
            return 0;
        }
        p = quote + 1;
    }
    return 0;
}

static bool add_cell(struct sf_csv *c, struct sf_csv_cell cell)
{
    if (c->cell_count == c->cell_capacity) {
        size_t capacity = c->cell_capacity == 0 ? FIRST_CELLS : c->cell_capacity * 2;
        struct sf_csv_cell *cells = sf_realloc(c->cells, capacity, sizeof(*cells));

        if (cells == NULL) {
            return false;
        }
        c->cells = cells;
        c->cell_capacity = capacity;
    }
    c->cells[c->cell_count++] = cell;
    return true;
}

/* Where the second pass is. */
struct cutter {
    const uint8_t *p;
    const uint8_t *end;        /* of the record, before its line end */
    const uint8_t *line_start; /* of the line @p is in */
    uint64_t lines;            /* line ends passed */
};

static size_t column_of(const struct cutter *k, const uint8_t *at)
{
    return (size_t)(at - k->line_start) + 1;
}

/* From behind the opening quote to behind the closing one. */
static enum sf_code cut_quoted(struct sf_csv *c, struct cutter *k, struct sf_slice *ret,
                               struct sf_error *err)
{
    const uint8_t *start = k->p;
    size_t column = column_of(k, start - 1);
    uint64_t line = k->lines;
    size_t copied = c->unescaped.size;
    bool doubled = false;

    for (;; k->p++) {
        if (k->p == k->end) {
            return raise_at(c, line, column, "the quote is not closed", err);
        }
        if (*k->p == '\n') {
            k->lines++;
            k->line_start = k->p + 1;
        } else if (*k->p == '"') {
            if (k->p + 1 == k->end || k->p[1] != '"') {
                break;
            }
            /* Up to and with the first of the two; room for all was reserved. */
            sf_buf_append(&c->unescaped, start, (size_t)(k->p + 1 - start));
            doubled = true;
            k->p++;
            start = k->p + 1;
        }
    }
    if (doubled) {
        sf_buf_append(&c->unescaped, start, (size_t)(k->p - start));
        *ret = sf_slice_of(c->unescaped.data + copied, c->unescaped.size - copied);
    } else {
        *ret = sf_slice_of(start, (size_t)(k->p - start));
    }
    k->p++;
    return SF_OK;
}

static enum sf_code cut_plain(struct sf_csv *c, struct cutter *k, char separator,
                              struct sf_slice *ret, struct sf_error *err)
{
    const uint8_t *start = k->p;

    for (; k->p < k->end && *k->p != (uint8_t)separator; k->p++) {
        if (*k->p == '"') {
            return raise_at(c, k->lines, column_of(k, k->p),
                            "a quote inside a cell that does not begin with one", err);
        }
        if (*k->p == '\r') {
            return raise_at(c, k->lines, column_of(k, k->p),
                            "a carriage return without a line feed", err);
        }
    }
    *ret = sf_slice_of(start, (size_t)(k->p - start));
    return SF_OK;
}

static enum sf_code cut(struct sf_csv *c, struct cutter *k, struct sf_error *err)
{
    char separator = c->separator == 0 ? ',' : c->separator;
    enum sf_code code;

    c->cell_count = 0;
    for (;; k->p++) {
        bool quoted = k->p < k->end && *k->p == '"';
        struct sf_csv_cell cell = {.column = (uint32_t)column_of(k, k->p)};

        if (c->cell_count == SF_CSV_CELLS_MAX) {
            return raise_at(c, k->lines, cell.column, "too many cells", err);
        }
        if (quoted) {
            k->p++;
            code = cut_quoted(c, k, &cell.text, err);
        } else {
            code = cut_plain(c, k, separator, &cell.text, err);
            cell.is_null = cell.text.size == 0;
        }
        if (code != SF_OK) {
            return code;
        }
        if (!add_cell(c, cell)) {
            return SF_RAISE(err, SF_NOMEM, "CSV record: out of memory");
        }
        if (k->p == k->end) {
            return SF_OK;
        }
        if (*k->p != (uint8_t)separator) {
            return raise_at(c, k->lines, column_of(k, k->p),
                            "more behind the closing quote of a cell", err);
        }
    }
}

/* Cuts the record of @size bytes, line end included, that begins at @record. */
static enum sf_code cut_record(struct sf_csv *c, const uint8_t *record, size_t size,
                               struct sf_error *err)
{
    struct cutter k = {.p = record, .end = record + size, .line_start = record};
    bool ended = size > 0 && record[size - 1] == '\n';
    enum sf_code code;

    if (ended) {
        k.end--;
    }
    if (k.end > record && k.end[-1] == '\r') {
        k.end--;
    }
    sf_buf_clear(&c->unescaped);
    /* Cells point into the buffer, so that it must not move while they are cut. */
    if (memchr(record, '"', size) != NULL && sf_buf_reserve(&c->unescaped, size) == NULL) {
        return SF_RAISE(err, SF_NOMEM, "CSV record: out of memory");
    }
    code = cut(c, &k, err);
    if (code == SF_OK) {
        c->line = c->next_line + 1;
        c->next_line += k.lines + (ended ? 1 : 0);
    }
    return code;
}

/* Passes over blank lines. */
static void skip_blank(struct sf_slice *text, bool last, uint64_t *line)
{
    for (;;) {
        size_t size = 0;

        if (text->size > 1 && text->data[0] == '\r' && text->data[1] == '\n') {
            size = 2;
        } else if ((text->size > 0 && text->data[0] == '\n') ||
                   (last && text->size == 1 && text->data[0] == '\r')) {
            size = 1;
        }
        if (size == 0) {
            return;
        }
        *text = sf_slice_of(text->data + size, text->size - size);
        (*line)++;
    }
}

/* Whether the mark was looked for; false while too few bytes are there. */
static bool skip_mark(struct sf_slice *text, bool last)
{
    static const uint8_t mark[] = {0xef, 0xbb, 0xbf};

    if (text->size >= sizeof(mark)) {
        if (memcmp(text->data, mark, sizeof(mark)) == 0) {
            *text = sf_slice_of(text->data + sizeof(mark), text->size - sizeof(mark));
        }
        return true;
    }
    return last || (text->size > 0 && text->data[0] != mark[0]);
}

enum sf_code sf_csv_next(struct sf_csv *c, struct sf_slice *text, bool last, struct sf_error *err)
{
    struct sf_slice rest = *text;
    enum sf_code code;
    size_t size;

    if (!c->started) {
        if (!skip_mark(&rest, last)) {
            return SF_ABSENT;
        }
        c->started = true;
        *text = rest;
    }
    skip_blank(text, last, &c->next_line);
    rest = *text;
    size = record_size(rest);
    if (size == 0) {
        if (rest.size > SF_RECORD_TEXT_MAX) {
            return raise_long(c->next_line + 1, err);
        }
        if (!last || rest.size == 0) {
            return SF_ABSENT;
        }
        size = rest.size;
    }
    if (size > SF_RECORD_TEXT_MAX) {
        return raise_long(c->next_line + 1, err);
    }
    code = cut_record(c, rest.data, size, err);
    if (code == SF_OK) {
        *text = sf_slice_of(rest.data + size, rest.size - size);
    }
    return code;
}

static bool is_blank(struct sf_slice line)
{
    for (size_t i = 0; i < line.size; i++) {
        if (line.data[i] != ' ' && line.data[i] != '\t' && line.data[i] != '\r') {
            return false;
        }
    }
    return true;
}

enum sf_code sf_ndjson_next(struct sf_ndjson *n, struct sf_slice *text, bool last,
                            struct sf_slice *ret, struct sf_error *err)
{
    const size_t line_max = n->line_max == 0 ? SF_RECORD_TEXT_MAX : n->line_max;

    while (text->size > 0) {
        const uint8_t *lf = memchr(text->data, '\n', text->size);
        size_t size = lf == NULL ? text->size : (size_t)(lf - text->data);
        struct sf_slice line = sf_slice_of(text->data, size);

        if (size > line_max) {
            return raise_long(n->next_line + 1, err);
        }
        if (lf == NULL && !last) {
            return SF_ABSENT;
        }
        size += lf != NULL;
        *text = sf_slice_of(text->data + size, text->size - size);
        n->next_line++;
        if (!is_blank(line)) {
            n->line = n->next_line;
            *ret = line;
            return SF_OK;
        }
    }
    return SF_ABSENT;
}
