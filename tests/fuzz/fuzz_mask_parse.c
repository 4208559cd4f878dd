/*
 * The input is the text of a mask. It parses or is reported; what parses prints to a text that
 * parses to the same again; whether it fits a field is answered for every type, and where it does,
 * combining it with itself is itself.
 */
#include "common/mask/mask.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/rows.h"

static bool parse(struct sf_slice text, struct sf_arena *arena, struct sf_mask *ret)
{
    struct sf_issues issues;
    struct sf_buf shown = {0};
    enum sf_code code;

    sf_issues_init(&issues, "mask", text);
    code = sf_mask_parse(&issues, arena, ret, NULL);
    sf_issues_render(&issues, &shown);
    fuzz_check((code == SF_OK) == (issues.error_count == 0));
    fuzz_check((code == SF_OK) == (shown.size == 0));
    sf_buf_done(&shown);
    sf_issues_done(&issues);
    return code == SF_OK;
}

static void check_fields(const struct sf_table *t, const struct sf_mask *m)
{
    char why[SF_MASK_WHY_SIZE];

    for (size_t i = 0; i < t->field_count; i++) {
        why[0] = '\0';
        if (sf_mask_fits(m, &t->fields[i], why)) {
            struct sf_mask both = sf_mask_combine(&t->fields[i], m, m);

            fuzz_check(both.kind == m->kind && both.step == m->step && both.scale == m->scale);
        } else {
            fuzz_check(why[0] != '\0');
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sf_arena arena;
    struct sf_buf once = {0};
    struct sf_buf twice = {0};
    struct sf_mask m;
    struct sf_mask again;

    sf_arena_init(&arena, 0);
    if (parse(sf_slice_of(data, size), &arena, &m)) {
        sf_mask_print(&m, &once);
        if (once.size <= SF_MASK_TEXT_MAX) { /* quotes come in */
            bool same = parse(sf_buf_view(&once), &arena, &again);

            fuzz_check(same);
            sf_mask_print(&again, &twice);
            fuzz_check(sf_slice_equal(sf_buf_view(&once), sf_buf_view(&twice)));
        }
        check_fields(rows_all_types(), &m);
        check_fields(rows_nested(), &m);
    }
    sf_buf_done(&once);
    sf_buf_done(&twice);
    sf_arena_done(&arena);
    return 0;
}
