/*
 * The input is a JSON text. What reads is written and read again as the same; the document reader
 * and the reusing reader agree; a text that is a record has one row, and is the same record whether
 * it is scanned or read through a document.
 */
#include "common/contract/record.h"
#include "common/wire/json.h"
#include "leaf/rowcodec/row.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/rows.h"

enum { FIELDS = 11 };

static void write_value(const struct sf_json *v, struct sf_buf *out)
{
    struct sf_json_writer w = {.out = out};

    sf_json_value(&w, v);
    fuzz_check(out->failed == SF_OK);
}

static void check_document(struct sf_slice text)
{
    struct sf_json_reader reader = {0};
    struct sf_json_doc *doc = NULL;
    struct sf_json_doc *again = NULL;
    const struct sf_json *v = NULL;
    struct sf_buf first = {0};
    struct sf_buf second = {0};
    struct sf_error one;
    struct sf_error other;
    enum sf_code code = sf_json_parse(text, &doc, &one);

    fuzz_check(code == SF_OK || code == SF_INVALID);
    fuzz_check(sf_json_read(&reader, text, &v, &other) == code);
    if (code != SF_OK) {
        fuzz_check(strcmp(one.text, other.text) == 0);
    } else {
        write_value(sf_json_root(doc), &first);
        write_value(v, &second);
        fuzz_check(sf_slice_equal(sf_buf_view(&first), sf_buf_view(&second)));
        fuzz_check(sf_json_parse(sf_buf_view(&first), &again, NULL) == SF_OK);
        sf_buf_clear(&second);
        write_value(sf_json_root(again), &second);
        fuzz_check(sf_slice_equal(sf_buf_view(&first), sf_buf_view(&second)));
    }
    sf_json_free(doc);
    sf_json_free(again);
    sf_json_reader_done(&reader);
    sf_buf_done(&first);
    sf_buf_done(&second);
}

/* What is scanned without a document is what a document says. */
static void check_scan(struct sf_slice text, const struct sf_value *values,
                       const struct sf_verdict *verdict)
{
    const struct sf_table *t = rows_all_types();
    struct sf_record_reader *reader = NULL;
    struct sf_json_doc *doc = NULL;
    struct sf_value other[FIELDS];
    struct sf_verdict v;

    if (sf_json_parse(text, &doc, NULL) != SF_OK) {
        fuzz_check(verdict->found > 0);
        return;
    }
    fuzz_check(sf_record_reader_new(t, &reader, NULL) == SF_OK);
    fuzz_check(sf_record_from_json_value(reader, sf_json_root(doc), other, &v, NULL) == SF_OK);
    fuzz_check(v.found == verdict->found && v.count == verdict->count);
    for (uint32_t i = 0; i < v.count; i++) {
        fuzz_check(v.list[i].number == verdict->list[i].number);
        fuzz_check(v.list[i].field == verdict->list[i].field);
        fuzz_check(strcmp(v.list[i].text, verdict->list[i].text) == 0);
    }
    for (size_t i = 0; v.found == 0 && i < FIELDS; i++) {
        fuzz_check(rows_equal(&t->fields[i], &values[i], &other[i]));
    }
    sf_record_reader_free(reader);
    sf_json_free(doc);
}

static void check_record(struct sf_slice text)
{
    const struct sf_table *t = rows_all_types();
    struct sf_record_reader *reader = NULL;
    struct sf_value values[FIELDS];
    struct sf_value back[FIELDS];
    struct sf_verdict verdict;
    struct sf_buf row = {0};

    fuzz_check(t->field_count == FIELDS);
    fuzz_check(sf_record_reader_new(t, &reader, NULL) == SF_OK);
    fuzz_check(sf_record_from_json(reader, text, values, &verdict, NULL) == SF_OK);
    fuzz_check(verdict.count <= verdict.found && verdict.count <= SF_VERDICT_LIST_MAX);
    check_scan(text, values, &verdict);
    for (uint32_t i = 0; i < verdict.count; i++) {
        fuzz_check(verdict.list[i].number >= 200 && verdict.list[i].number < 300);
        fuzz_check(verdict.list[i].field < FIELDS && verdict.list[i].text[0] != '\0');
    }
    if (verdict.found == 0) {
        fuzz_check(row_encode(t, values, &row, NULL) == SF_OK);
        fuzz_check(row_decode(t, sf_buf_view(&row), back, NULL) == SF_OK);
        for (size_t i = 0; i < FIELDS; i++) {
            fuzz_check(rows_equal(&t->fields[i], &values[i], &back[i]));
        }
    }
    sf_record_reader_free(reader);
    sf_buf_done(&row);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_document(sf_slice_of(data, size));
    check_record(sf_slice_of(data, size));
    return 0;
}
