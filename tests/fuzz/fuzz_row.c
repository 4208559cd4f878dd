/*
 * The input is a row of the table with every scalar type, and of the one with lists and structs. A
 * row that decodes has exactly one encoding, and survives JSON and CSV; one that does not is
 * refused by everything that reads rows, or passed over where it is not looked at.
 */
#include "common/contract/record.h"
#include "leaf/rowcodec/row.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/rows.h"

enum { FIELDS_MAX = 11 };

struct codec {
    const struct sf_table *table;
    struct row_view *whole;
    struct row_view *some; /* every second field */
    struct sf_record_reader *reader;
};

static void codec_init(struct codec *c, const struct sf_table *table)
{
    const struct row_view_options all = {0};
    struct sf_slice names[FIELDS_MAX];
    struct row_view_options some = {.names = names};

    c->table = table;
    fuzz_check(table->field_count <= FIELDS_MAX);
    for (size_t i = 0; i < c->table->field_count; i += 2) {
        names[some.name_count++] = sf_slice_text(c->table->fields[i].name);
    }
    fuzz_check(row_view_build(c->table, &all, &c->whole, NULL) == SF_OK);
    fuzz_check(row_view_build(c->table, &some, &c->some, NULL) == SF_OK);
    fuzz_check(sf_record_reader_new(c->table, &c->reader, NULL) == SF_OK);
}

static void codec_done(struct codec *c)
{
    row_view_free(c->whole);
    row_view_free(c->some);
    sf_record_reader_free(c->reader);
}

static void check_encodes_to(const struct codec *c, const struct sf_value *values,
                             struct sf_slice row)
{
    struct sf_buf again = {0};

    fuzz_check(row_encode(c->table, values, &again, NULL) == SF_OK);
    fuzz_check(sf_slice_equal(sf_buf_view(&again), row));
    sf_buf_done(&again);
}

static void check_json(const struct codec *c, struct sf_slice row)
{
    struct sf_value values[FIELDS_MAX];
    struct sf_verdict verdict;
    struct sf_buf text = {0};

    fuzz_check(row_render_json(c->whole, row, &text, NULL) == SF_OK);
    fuzz_check(sf_record_from_json(c->reader, sf_buf_view(&text), values, &verdict, NULL) == SF_OK);
    fuzz_check(verdict.found == 0);
    check_encodes_to(c, values, row);
    sf_buf_done(&text);
}

static void check_csv(const struct codec *c, struct sf_slice row)
{
    struct sf_value values[FIELDS_MAX];
    struct sf_verdict verdict;
    struct sf_buf text = {0};
    struct sf_csv csv = {0};
    struct sf_slice left;

    row_render_csv_header(c->whole, &text);
    fuzz_check(row_render_csv(c->whole, row, &text, NULL) == SF_OK);
    left = sf_buf_view(&text);
    fuzz_check(sf_csv_next(&csv, &left, true, NULL) == SF_OK);
    fuzz_check(sf_record_bind_csv(c->reader, &csv, NULL) == SF_OK);
    fuzz_check(sf_csv_next(&csv, &left, true, NULL) == SF_OK);
    fuzz_check(sf_record_from_csv(c->reader, &csv, values, &verdict, NULL) == SF_OK);
    fuzz_check(verdict.found == 0 && left.size == 0);
    check_encodes_to(c, values, row);
    sf_csv_done(&csv);
    sf_buf_done(&text);
}

/* The tolerant readers: no crash, and nothing left behind when they refuse. */
static void check_refused(const struct codec *c, struct sf_slice row)
{
    struct sf_buf out = {0};
    struct sf_value one;

    if (row_render_json(c->some, row, &out, NULL) != SF_OK) {
        fuzz_check(out.size == 0);
    }
    sf_buf_clear(&out);
    if (row_render_csv(c->some, row, &out, NULL) != SF_OK) {
        fuzz_check(out.size == 0);
    }
    for (size_t i = 0; i < c->table->field_count; i++) {
        (void)!row_get(c->table, row, i, &one, NULL);
    }
    sf_buf_done(&out);
}

static void check_as(const struct sf_table *table, struct sf_slice row)
{
    struct sf_value values[FIELDS_MAX];
    struct sf_value one;
    struct codec c;

    codec_init(&c, table);
    if (row_decode(c.table, row, values, NULL) == SF_OK) {
        check_encodes_to(&c, values, row);
        check_json(&c, row);
        check_csv(&c, row);
        for (size_t i = 0; i < table->field_count; i++) {
            fuzz_check(row_get(c.table, row, i, &one, NULL) == SF_OK);
            fuzz_check(rows_equal(&c.table->fields[i], &one, &values[i]));
        }
    } else {
        check_refused(&c, row);
    }
    codec_done(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_as(rows_all_types(), sf_slice_of(data, size));
    check_as(rows_nested(), sf_slice_of(data, size));
    return 0;
}
