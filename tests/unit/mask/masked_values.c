/*
 * Prints masked rows for test_python.py: type, precision, scale, mask, row, masked row ("-":
 * dropped) and how many values are null for want of a mask; tabs between, bytes in hexadecimal.
 *
 *     masked_values COUNT
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/assert.h"
#include "leaf/rowcodec/row.h"
#include "tests/lib/masks.h"

static void print_hex(struct sf_slice s)
{
    for (size_t i = 0; i < s.size; i++) {
        printf("%02x", s.data[i]);
    }
}

/* Texts that look like mail addresses more often than chance has it. */
static struct sf_value value_of(struct rows_random *r, const struct sf_field *f,
                                struct sf_arena *arena)
{
    static const char *const texts[] = {
        "ann@corp.example", "a@b@c-d.example", "@x", "\xc3\xa9\xc3\xb8@f.no",
        "b@f .no",          "12345",           "@"};

    if (f->type == SF_TYPE_STRING && rows_below(r, 2) == 0) {
        return (struct sf_value){.present = true,
                                 .s = sf_slice_text(texts[rows_below(r, SF_COUNT(texts))])};
    }
    return rows_random_value(r, f, arena);
}

static void print_one(const struct sf_field *f, const struct sf_mask *m, const struct sf_value *v,
                      struct sf_arena *arena)
{
    const struct sf_table t = {.name = "t", .fields = f, .field_count = 1, .event_time = -1};
    SF_CLEANUP(sf_mask_program_freep) struct sf_mask_program *p = NULL;
    struct sf_mask_outcome outcome;
    struct sf_buf row = {0};
    struct sf_buf text = {0};
    enum sf_code code = row_encode(&t, v, &row, NULL);
    uint8_t *out;
    bool ok;

    sf_assert(code == SF_OK);
    code = sf_mask_compile(&t, m, &p, NULL);
    sf_assert(code == SF_OK);
    out = sf_arena_alloc(arena, sf_mask_room(p, row.size));
    ok = sf_mask_run(p, sf_buf_view(&row), &masks_hasher, out, &outcome);
    sf_mask_print(m, &text);
    printf("%s\t%u\t%u\t", sf_type_name(f->type), f->precision, f->scale);
    print_hex(sf_buf_view(&text));
    printf("\t");
    print_hex(sf_buf_view(&row));
    printf("\t");
    if (ok) {
        print_hex(sf_slice_of(out, outcome.size));
    } else {
        printf("-");
    }
    printf("\t%zu\n", outcome.nulled);
    sf_buf_done(&row);
    sf_buf_done(&text);
}

int main(int argc, char **argv)
{
    long count = argc > 1 ? strtol(argv[1], NULL, 10) : 1000;
    struct rows_random r = {.state = 53};
    struct sf_arena arena;

    sf_arena_init(&arena, 0);
    for (long i = 0; i < count; i++) {
        const struct sf_table *tables[] = {rows_all_types(), rows_nested(), rows_all_keys()};
        const struct sf_table *t = tables[rows_below(&r, SF_COUNT(tables))];
        struct sf_field f = t->fields[rows_below(&r, t->field_count)];
        struct sf_mask m;
        struct sf_value v = {0};

        m = masks_random(&r, &f, &arena);
        if (rows_below(&r, 10) != 0) {
            v = value_of(&r, &f, &arena);
        }
        print_one(&f, &m, &v, &arena);
        sf_arena_reset(&arena);
    }
    sf_arena_done(&arena);
    return 0;
}
