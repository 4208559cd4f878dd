/*
 * The input is two keys of the table with every type a key may have, cut where the first byte says.
 * A key that decodes has exactly one encoding; two of them sort as their values do; their JSON
 * reads back as the key.
 */
#include "common/contract/record.h"
#include "common/contract/value.h"
#include "leaf/rowcodec/key.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/rows.h"

enum { FIELDS = 8 };

static int compare(const struct sf_table *t, const struct sf_value *a, const struct sf_value *b)
{
    for (size_t i = 0; i < FIELDS; i++) {
        int order = sf_value_compare(t->fields[i].type, &a[i], &b[i]);

        if (order != 0) {
            return order > 0 ? 1 : -1;
        }
    }
    return 0;
}

static void check_key(const struct sf_table *t, struct sf_slice key, const struct sf_value *values)
{
    const struct row_view_options all = {0};
    struct sf_record_reader *reader = NULL;
    struct row_view *view = NULL;
    struct sf_value back[FIELDS];
    struct sf_verdict verdict;
    struct sf_buf out = {0};

    if (key.size > SF_KEY_BYTES_MAX) {
        fuzz_check(key_encode(t, values, &out, NULL) == SF_INVALID && out.size == 0);
        sf_buf_done(&out);
        return;
    }
    fuzz_check(key_encode(t, values, &out, NULL) == SF_OK);
    fuzz_check(sf_slice_equal(sf_buf_view(&out), key));
    sf_buf_clear(&out);
    fuzz_check(row_view_build(t, &all, &view, NULL) == SF_OK);
    fuzz_check(key_render_json(view, key, &out, NULL) == SF_OK);
    fuzz_check(sf_record_reader_new(t, &reader, NULL) == SF_OK);
    fuzz_check(sf_record_from_json(reader, sf_buf_view(&out), back, &verdict, NULL) == SF_OK);
    fuzz_check(verdict.found == 0 && compare(t, values, back) == 0);
    sf_record_reader_free(reader);
    row_view_free(view);
    sf_buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sf_slice second = sf_slice_of(data, size);
    size_t first_size = fuzz_take_byte(&second);
    struct sf_slice first = fuzz_take(&second, first_size);
    const struct sf_table *t = rows_all_keys();
    struct sf_arena arena = {0};
    struct sf_value a[FIELDS];
    struct sf_value b[FIELDS];
    bool a_decodes = key_decode(t, first, a, &arena, NULL) == SF_OK;
    bool b_decodes = key_decode(t, second, b, &arena, NULL) == SF_OK;

    fuzz_check(t->field_count == FIELDS);
    if (a_decodes) {
        check_key(t, first, a);
    }
    if (b_decodes) {
        check_key(t, second, b);
    }
    if (a_decodes && b_decodes) {
        int order = sf_slice_compare(first, second);

        fuzz_check((order > 0) - (order < 0) == compare(t, a, b));
    }
    sf_arena_done(&arena);
    return 0;
}
