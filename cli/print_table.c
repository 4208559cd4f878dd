#include "cli/print_table.h"

#include <string.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"

enum { GAP = 2, BROKEN_LEAST = 13, TIME_SIZE = 27, TIME_SHORT_SIZE = 20 };

struct print_cell {
    size_t at; /* in print.text */
    size_t size;
};

static struct sf_slice cell_text(const struct print *p, size_t i)
{
    return sf_slice_of(p->text.data + p->cells[i].at, p->cells[i].size);
}

/* "2026-09-01T07:43:05.000000Z", "2026-09-01T07:43:05Z" */
static bool is_time(struct sf_slice text)
{
    return (text.size == TIME_SIZE || text.size == TIME_SHORT_SIZE) && text.data[10] == 'T' &&
           text.data[19] == (text.size == TIME_SIZE ? '.' : 'Z') && text.data[text.size - 1] == 'Z';
}

/* A time without zeros behind the second, which only take room in a table. */
static void append_cell(struct sf_buf *b, struct sf_slice text)
{
    static const char zeros[] = ".000000Z";

    if (text.size == TIME_SIZE && is_time(text) && memcmp(text.data + 19, zeros, 8) == 0) {
        sf_buf_append(b, text.data, 19);
        sf_buf_byte(b, 'Z');
    } else {
        print_append_shown(b, text);
    }
}

/* Decimals are JSON strings, so that no reader rounds them; in a table they are numbers. */
static bool looks_numeric(struct sf_slice text)
{
    size_t i = text.size > 0 && text.data[0] == '-';
    bool digits = i < text.size;
    bool point = false;

    for (; i < text.size; i++) {
        bool is_point = text.data[i] == '.' && !point;

        digits = digits && (is_point || (text.data[i] >= '0' && text.data[i] <= '9'));
        point = point || is_point;
    }
    return digits;
}

void print_table_hold(struct print *p, enum print_cell_kind kind, struct sf_slice text)
{
    const bool is_text = kind != PRINT_NULL && !looks_numeric(text);
    struct print_cell *c = NULL;

    if (p->cell_count == p->cell_capacity) {
        size_t capacity = p->cell_capacity == 0 ? 64 : p->cell_capacity * 2;

        c = sf_realloc(p->cells, capacity, sizeof(*c));
        if (c == NULL) {
            print_fail(p, SF_NOMEM);
            return;
        }
        p->cells = c;
        p->cell_capacity = capacity;
    }
    c = &p->cells[p->cell_count++];
    *c = (struct print_cell){.at = p->text.size};
    append_cell(&p->text, text);
    c->size = p->text.size - c->at;
    print_fail(p, p->text.failed);
    p->is_text[p->at] = p->is_text[p->at] || is_text;
    p->breaks[p->at] = p->breaks[p->at] || (is_text && !is_time(text));
}

static void pad(struct sf_buf *line, unsigned count)
{
    while (count-- > 0) {
        sf_buf_byte(line, ' ');
    }
}

static void put_line(struct print *p)
{
    struct sf_buf *line = &p->line;

    while (line->size > 0 && line->data[line->size - 1] == ' ') {
        line->size--;
    }
    sf_buf_byte(line, '\n');
    print_fail(p, line->failed);
    print_put(p, sf_buf_view(line));
    sf_buf_clear(line);
}

/* --- what goes on below ----------------------------------------------------------------------- */

/*
 * Bytes of @text that take up to @width columns: all of it, or up to where it reads best, which is
 * between words unless that leaves more than half of the line empty.
 */
static size_t piece_size(struct sf_slice text, unsigned width)
{
    unsigned columns = 0;
    size_t word = 0;
    size_t part = 0;
    size_t i = 0;

    for (; i < text.size; i++) {
        columns += (text.data[i] & 0xC0) != 0x80;
        word = text.data[i] == ' ' ? i : word;
        if (columns > width) {
            break;
        }
        part = strchr(",/=@_-", text.data[i]) != NULL ? i + 1 : part;
    }
    if (i == text.size) {
        return i;
    }
    return word > 0 && (word >= i / 2 || part == 0) ? word : part > 0 ? part : i;
}

static struct sf_slice take_piece(struct sf_slice *rest, unsigned width)
{
    const size_t n = piece_size(*rest, width > 0 ? width : 1);
    const struct sf_slice piece = sf_slice_of(rest->data, n);

    *rest = sf_slice_of(rest->data + n, rest->size - n);
    while (n > 0 && rest->size > 0 && rest->data[0] == ' ') {
        *rest = sf_slice_of(rest->data + 1, rest->size - 1);
    }
    return piece;
}

/* --- lists ------------------------------------------------------------------------------------ */

static unsigned gap_of(const struct print *p)
{
    return p->layout == PRINT_NARROW ? 1 : GAP;
}

static void append_aligned(struct print *p, size_t column, struct sf_slice text)
{
    const unsigned width = print_width(text);
    const unsigned left = p->widths[column] > width ? p->widths[column] - width : 0;

    pad(&p->line, p->is_text[column] ? 0 : left);
    sf_buf_slice(&p->line, text);
    pad(&p->line, gap_of(p) + (p->is_text[column] ? left : 0));
}

/* Writes one row, on as many lines as its longest cell takes. */
static void put_row(struct print *p, struct sf_slice *cells)
{
    bool more = true;

    while (more) {
        more = false;
        for (size_t i = 0; i < p->column_count; i++) {
            const bool is_broken = p->layout == PRINT_WRAPPED && p->breaks[i];

            append_aligned(p, i, take_piece(&cells[i], is_broken ? p->widths[i] : UINT32_MAX));
            more = more || cells[i].size > 0;
        }
        put_line(p);
    }
}

static void put_header(struct print *p)
{
    struct sf_slice names[PRINT_COLUMNS_MAX];

    for (size_t i = 0; i < p->column_count; i++) {
        names[i] = sf_slice_text(p->columns[i]);
    }
    put_row(p, names);
}

static void measure(struct print *p)
{
    for (size_t i = 0; !p->header_done && i < p->column_count; i++) {
        p->widths[i] = print_width(sf_slice_text(p->columns[i]));
    }
    for (size_t i = 0; p->layout != PRINT_WRAPPED && i < p->cell_count; i++) {
        const unsigned width = print_width(cell_text(p, i));
        unsigned *widest = &p->widths[i % p->column_count];

        *widest = width > *widest ? width : *widest;
    }
}

/* Columns of a line with @gap when no text is wider than @most. */
static uint64_t line_width(const struct print *p, unsigned gap, unsigned most)
{
    uint64_t width = gap * (p->column_count - 1);

    for (size_t i = 0; i < p->column_count; i++) {
        width += p->breaks[i] && p->widths[i] > most ? most : p->widths[i];
    }
    return width;
}

/* Wide if that fits, and what loses least else. */
static void choose_layout(struct print *p)
{
    unsigned most = p->width;

    if (p->width == 0 || line_width(p, GAP, UINT32_MAX) <= p->width) {
        p->layout = PRINT_WIDE;
        return;
    }
    if (line_width(p, 1, UINT32_MAX) <= p->width) {
        p->layout = PRINT_NARROW;
        return;
    }
    while (most >= BROKEN_LEAST && line_width(p, GAP, most) > p->width) {
        most--;
    }
    p->layout = most >= BROKEN_LEAST ? PRINT_WRAPPED : PRINT_RECORDS;
    for (size_t i = 0; p->layout == PRINT_WRAPPED && i < p->column_count; i++) {
        p->widths[i] = p->breaks[i] && p->widths[i] > most ? most : p->widths[i];
    }
}

/* --- a line for each cell --------------------------------------------------------------------- */

/* Cells from @first on, one row of them; empty ones are left out. */
static void put_record(struct print *p, size_t first, unsigned names_width)
{
    const unsigned indent = names_width + GAP;
    const bool fits = p->width > indent + BROKEN_LEAST;

    for (size_t i = 0; i < p->column_count && first + i < p->cell_count; i++) {
        struct sf_slice rest = cell_text(p, first + i);
        const unsigned width = fits && p->breaks[i] ? p->width - indent : UINT32_MAX;
        const struct sf_slice name = sf_slice_text(p->columns[i]);

        if (rest.size > 0) {
            sf_buf_slice(&p->line, name);
            pad(&p->line, indent - print_width(name));
        }
        while (rest.size > 0) {
            sf_buf_slice(&p->line, take_piece(&rest, width));
            put_line(p);
            pad(&p->line, rest.size > 0 ? indent : 0);
        }
    }
}

static void flush_records(struct print *p)
{
    unsigned width = 0;

    for (size_t i = 0; i < p->column_count; i++) {
        const unsigned w = print_width(sf_slice_text(p->columns[i]));

        width = w > width ? w : width;
    }
    for (size_t i = 0; i < p->cell_count; i += p->column_count) {
        if (p->header_done) {
            put_line(p); /* between two */
        }
        put_record(p, i, width);
        p->header_done = true;
    }
}

void print_table_flush(struct print *p)
{
    struct sf_slice cells[PRINT_COLUMNS_MAX];
    const size_t columns = p->column_count;

    if (columns == 0) {
        return;
    }
    measure(p);
    if (p->shape == PRINT_OBJECT) {
        p->layout = PRINT_RECORDS;
    } else if (!p->header_done) {
        choose_layout(p);
    }
    if (p->layout == PRINT_RECORDS) {
        flush_records(p);
    } else {
        if (!p->header_done) {
            put_header(p);
        }
        p->header_done = true;
        for (size_t i = 0; i + columns <= p->cell_count; i += columns) {
            for (size_t k = 0; k < columns; k++) {
                cells[k] = cell_text(p, i + k);
            }
            put_row(p, cells);
        }
    }
    p->cell_count = 0;
    sf_buf_clear(&p->text);
}
