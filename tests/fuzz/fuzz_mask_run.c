/*
 * The input is two bytes that choose a table and masks, and a row. Any bytes are masked or dropped;
 * a row that decodes is masked, and what comes out decodes by the table that is seen, canonical.
 */
#include "common/mask/mask.h"
#include "leaf/rowcodec/row.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/masks.h"

enum { FIELDS_MAX = 16 };

static void check_masked(const struct sf_table *seen, struct sf_slice masked)
{
    struct sf_value values[FIELDS_MAX];
    struct sf_buf again = {0};

    fuzz_check(row_decode(seen, masked, values, NULL) == SF_OK);
    fuzz_check(row_encode(seen, values, &again, NULL) == SF_OK || again.size == 0);
    fuzz_check(again.size == 0 || sf_slice_equal(sf_buf_view(&again), masked));
    sf_buf_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sf_slice row = sf_slice_of(data, size);
    const struct sf_table *t = (fuzz_take_byte(&row) & 1) == 0 ? rows_all_types() : rows_nested();
    struct rows_random r = {.state = 1 + (uint64_t)fuzz_take_byte(&row)};
    struct sf_mask masks[FIELDS_MAX];
    struct sf_value values[FIELDS_MAX];
    struct sf_mask_program *p = NULL;
    struct sf_mask_outcome outcome;
    struct sf_arena arena;
    uint8_t *out;
    bool ok;

    sf_arena_init(&arena, 0);
    for (size_t i = 0; i < t->field_count; i++) {
        masks[i] = masks_random(&r, &t->fields[i], &arena);
    }
    fuzz_check(sf_mask_compile(t, masks, &p, NULL) == SF_OK);
    out = sf_arena_alloc(&arena, sf_mask_room(p, row.size));
    fuzz_check(out != NULL);
    ok = sf_mask_run(p, row, &masks_hasher, out, &outcome);
    fuzz_check(!ok || outcome.size <= sf_mask_room(p, row.size));
    if (row_decode(t, row, values, NULL) == SF_OK) {
        fuzz_check(ok);
        check_masked(sf_mask_table(t, masks, &arena), sf_slice_of(out, outcome.size));
    }
    sf_mask_program_free(p);
    sf_arena_done(&arena);
    return 0;
}
