/*
 * The input is a record of the table with lists and structs, as JSON or as a message. What is taken
 * becomes a row, and that row, as JSON and as a message, becomes the same row again. A message
 * that is shown as JSON is the same record too.
 */
#include "common/contract/message_show.h"
#include "common/contract/record.h"
#include "leaf/rowcodec/row.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/rows.h"

enum { FIELDS_MAX = 11 };

enum form { FORM_JSON, FORM_MESSAGE };

/* The row of a record; false when it is refused. */
static bool read(struct sf_record_reader *r, enum form form, struct sf_slice text,
                 struct sf_buf *row)
{
    struct sf_value values[FIELDS_MAX];
    struct sf_verdict verdict;

    sf_buf_clear(row);
    fuzz_check((form == FORM_JSON
                    ? sf_record_from_json(r, text, values, &verdict, NULL)
                    : sf_record_from_protobuf(r, text, values, &verdict, NULL)) == SF_OK);
    return verdict.found == 0 && row_encode(rows_nested(), values, row, NULL) == SF_OK;
}

/* Whatever it is, what is shown of it is JSON. */
static void show(struct sf_slice message)
{
    struct sf_json_doc *doc = NULL;
    struct sf_buf json = {0};

    fuzz_check(sf_message_show(rows_nested(), message, &json) <= message.size);
    fuzz_check(sf_json_parse(sf_buf_view(&json), &doc, NULL) == SF_OK);
    sf_json_free(doc);
    sf_buf_done(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct row_view_options all = {0};
    struct sf_record_reader *r = NULL;
    struct row_view *view = NULL;
    struct sf_value values[FIELDS_MAX];
    struct sf_buf row = {0};
    struct sf_buf again = {0};
    struct sf_buf json = {0};

    fuzz_check(sf_record_reader_new(rows_nested(), &r, NULL) == SF_OK);
    fuzz_check(row_view_build(rows_nested(), &all, &view, NULL) == SF_OK);
    for (int form = FORM_JSON; form <= FORM_MESSAGE; form++) {
        if (read(r, (enum form)form, sf_slice_of(data, size), &row)) {
            fuzz_check(row_decode(rows_nested(), sf_buf_view(&row), values, NULL) == SF_OK);
            fuzz_check(read(r, FORM_MESSAGE, sf_buf_view(&row), &again));
            fuzz_check(sf_slice_equal(sf_buf_view(&row), sf_buf_view(&again)));
            sf_buf_clear(&json);
            fuzz_check(row_render_json(view, sf_buf_view(&row), &json, NULL) == SF_OK);
            fuzz_check(read(r, FORM_JSON, sf_buf_view(&json), &again));
            fuzz_check(sf_slice_equal(sf_buf_view(&row), sf_buf_view(&again)));
            sf_buf_clear(&json);
            fuzz_check(sf_message_show(rows_nested(), sf_buf_view(&row), &json) == row.size);
            fuzz_check(read(r, FORM_JSON, sf_buf_view(&json), &again));
            fuzz_check(sf_slice_equal(sf_buf_view(&row), sf_buf_view(&again)));
        }
    }
    show(sf_slice_of(data, size));
    sf_buf_done(&row);
    sf_buf_done(&again);
    sf_buf_done(&json);
    row_view_free(view);
    sf_record_reader_free(r);
    return 0;
}
