/*
 * The input is CSV (or lines), and a first byte that says how it arrives. Chunk by chunk gives the
 * same records, lines and errors as all at once; records written again read as the same cells.
 */
#include "common/base/buf.h"
#include "common/wire/csv.h"
#include "tests/fuzz/fuzz.h"

/* Everything that a splitter said, as bytes to compare. */
static void note_cells(struct sf_buf *log, const struct sf_csv *c)
{
    sf_buf_printf(log, "line %llu:", (unsigned long long)c->line);
    for (size_t i = 0; i < c->cell_count; i++) {
        sf_buf_printf(log, " %u,%d,%zu=", c->cells[i].column, c->cells[i].is_null,
                      c->cells[i].text.size);
        sf_buf_slice(log, c->cells[i].text);
    }
    sf_buf_byte(log, '\n');
}

/* Cells as CSV again, all in quotes but the nulls. */
static void write_cells(struct sf_buf *out, const struct sf_csv *c)
{
    for (size_t i = 0; i < c->cell_count; i++) {
        sf_buf_text(out, i == 0 ? "" : ",");
        if (c->cells[i].is_null) {
            continue;
        }
        sf_buf_byte(out, '"');
        for (size_t k = 0; k < c->cells[i].text.size; k++) {
            uint8_t byte = c->cells[i].text.data[k];

            sf_buf_append(out, "\"\"", byte == '"' ? 2 : 0);
            if (byte != '"') {
                sf_buf_byte(out, byte);
            }
        }
        sf_buf_byte(out, '"');
    }
    sf_buf_byte(out, '\n');
}

struct source {
    struct sf_csv csv;
    struct sf_ndjson lines;
    bool is_csv;
    struct sf_buf log;
    struct sf_buf written;
    bool failed;
};

/* Takes what there is; returns what is left. */
static struct sf_slice drain(struct source *s, struct sf_slice text, bool last)
{
    for (;;) {
        struct sf_error err = {.text = ""};
        struct sf_slice line = {0};
        enum sf_code code = s->is_csv ? sf_csv_next(&s->csv, &text, last, &err)
                                      : sf_ndjson_next(&s->lines, &text, last, &line, &err);

        if (code == SF_ABSENT) {
            fuzz_check(!last || text.size == 0);
            return text;
        }
        if (code != SF_OK) {
            fuzz_check(code == SF_INVALID && err.number == 201);
            sf_buf_printf(&s->log, "%s\n", err.text);
            s->failed = true;
            return text;
        }
        if (s->is_csv) {
            note_cells(&s->log, &s->csv);
            write_cells(&s->written, &s->csv);
        } else {
            sf_buf_printf(&s->log, "line %llu:", (unsigned long long)s->lines.line);
            sf_buf_slice(&s->log, line);
        }
    }
}

static void done(struct source *s)
{
    sf_csv_done(&s->csv);
    sf_buf_done(&s->log);
    sf_buf_done(&s->written);
}

static void feed_in_chunks(struct source *s, struct sf_slice text, size_t chunk)
{
    struct sf_buf kept = {0};

    while (!s->failed) {
        struct sf_slice left;
        bool last;

        sf_buf_slice(&kept, fuzz_take(&text, chunk));
        last = text.size == 0;
        left = drain(s, sf_buf_view(&kept), last);
        if (last) {
            break;
        }
        memmove(kept.data, left.data, left.size);
        kept.size = left.size;
        chunk = chunk % 61 + 1;
    }
    sf_buf_done(&kept);
}

static void check_written(const struct source *whole)
{
    struct source again = {.is_csv = true};

    (void)drain(&again, sf_buf_view(&whole->written), true);
    fuzz_check(!again.failed);
    fuzz_check(sf_slice_equal(sf_buf_view(&whole->written), sf_buf_view(&again.written)));
    done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sf_slice text = sf_slice_of(data, size);
    uint8_t how = fuzz_take_byte(&text);
    struct source whole = {.is_csv = how % 4 != 0};
    struct source chunks = {.is_csv = how % 4 != 0};

    (void)drain(&whole, text, true);
    feed_in_chunks(&chunks, text, how / 4U + 1);
    fuzz_check(whole.failed == chunks.failed);
    fuzz_check(sf_slice_equal(sf_buf_view(&whole.log), sf_buf_view(&chunks.log)));
    if (whole.is_csv) {
        check_written(&whole);
    }
    done(&whole);
    done(&chunks);
    return 0;
}
