/* Promises about any table, masks and row. */
#include "tests/lib/cmocka.h"

#include "common/base/utf8.h"
#include "leaf/rowcodec/row.h"
#include "tests/lib/masks.h"

enum { ROUNDS = 1500, FIELDS_MAX = 24 };

struct round {
    struct sf_arena arena;
    const struct sf_table *table;
    const struct sf_table *seen;
    struct sf_mask *masks;
    struct sf_value *values;
    struct sf_slice row;
    struct sf_slice masked;
    size_t nulled;
};

static struct sf_slice encode(const struct sf_table *t, const struct sf_value *values,
                              struct sf_arena *arena)
{
    struct sf_buf out = {0};
    struct sf_slice row;
    struct sf_error err;

    assert_int_equal(row_encode(t, values, &out, &err), SF_OK);
    row = sf_arena_slice(arena, sf_buf_view(&out));
    sf_buf_done(&out);
    return row;
}

static struct sf_slice mask(const struct sf_table *t, const struct sf_mask *masks,
                            struct sf_slice row, struct sf_arena *arena, size_t *nulled)
{
    SF_CLEANUP(sf_mask_program_freep) struct sf_mask_program *p = NULL;
    struct sf_mask_outcome outcome;
    struct sf_error err;
    uint8_t *out;

    assert_int_equal(sf_mask_compile(t, masks, &p, &err), SF_OK);
    out = sf_arena_alloc(arena, sf_mask_room(p, row.size));
    assert_non_null(out);
    assert_true(sf_mask_run(p, row, &masks_hasher, out, &outcome));
    assert_true(outcome.size <= sf_mask_room(p, row.size));
    *nulled = outcome.nulled;
    return sf_slice_of(out, outcome.size);
}

static void begin(struct round *s, struct rows_random *r, size_t at)
{
    sf_arena_init(&s->arena, 0);
    s->table = at % 8 == 0   ? rows_nested()
               : at % 8 == 1 ? rows_all_types()
                             : rows_random_table(r, FIELDS_MAX, &s->arena);
    s->masks = sf_arena_calloc(&s->arena, s->table->field_count, sizeof(*s->masks));
    assert_non_null(s->masks);
    for (size_t i = 0; i < s->table->field_count; i++) {
        s->masks[i] = masks_random(r, &s->table->fields[i], &s->arena);
    }
    s->seen = sf_mask_table(s->table, s->masks, &s->arena);
    assert_non_null(s->seen);
    s->values = rows_random_row(r, s->table, &s->arena);
    s->row = encode(s->table, s->values, &s->arena);
    s->masked = mask(s->table, s->masks, s->row, &s->arena, &s->nulled);
}

/* Decodes, keeps to required, and is what encoding the values gives. */
static void check_decodes(struct round *s)
{
    struct sf_value *values = sf_arena_calloc(&s->arena, s->seen->field_count + 1, sizeof(*values));
    struct sf_error err;

    assert_int_equal(row_decode(s->seen, s->masked, values, &err), SF_OK);
    for (size_t i = 0; i < s->seen->field_count; i++) {
        const struct sf_field *f = &s->seen->fields[i];

        assert_true(values[i].present || !f->required || f->type == SF_TYPE_LIST);
        if (values[i].present && f->type == SF_TYPE_STRING) {
            size_t length = sf_utf8_count(values[i].s);

            assert_true(length >= f->min_length);
            assert_true(f->max_length == 0 || length <= f->max_length);
        }
    }
    assert_true(sf_slice_equal(encode(s->seen, values, &s->arena), s->masked));
}

/* What is hidden whole has no influence: another value gives the same bytes. */
static void check_hidden(struct round *s, struct rows_random *r)
{
    size_t nulled;

    for (size_t i = 0; i < s->table->field_count; i++) {
        enum sf_mask_kind kind = s->masks[i].kind;
        struct sf_value v;

        if (kind == SF_MASK_OMIT || kind == SF_MASK_NULL || kind == SF_MASK_CONSTANT ||
            (kind == SF_MASK_REDACT && s->values[i].present)) {
            v = rows_random_value(r, &s->table->fields[i], &s->arena);
            s->values[i] = v;
        }
    }
    assert_true(sf_slice_equal(
        mask(s->table, s->masks, encode(s->table, s->values, &s->arena), &s->arena, &nulled),
        s->masked));
    assert_int_equal(nulled, s->nulled);
}

/* Masking again by the masks that say so changes nothing. */
static void check_twice(struct round *s)
{
    struct sf_mask *again = sf_arena_calloc(&s->arena, s->seen->field_count + 1, sizeof(*again));
    char why[SF_MASK_WHY_SIZE];
    size_t nulled;
    size_t k = 0;

    for (size_t i = 0; i < s->table->field_count; i++) {
        if (s->masks[i].kind == SF_MASK_OMIT) {
            continue;
        }
        if (sf_mask_is_idempotent(&s->masks[i])) {
            again[k] = s->masks[i];
            assert_true(sf_mask_fits(&again[k], &s->seen->fields[k], why));
        }
        k++;
    }
    assert_true(sf_slice_equal(mask(s->seen, again, s->masked, &s->arena, &nulled), s->masked));
    assert_int_equal(nulled, 0);
}

static void test_any_row_masked_is_a_canonical_row_of_what_is_seen(void **state)
{
    struct rows_random r = {.state = 29};
    struct round s;

    (void)state;
    for (size_t i = 0; i < ROUNDS; i++) {
        begin(&s, &r, i);
        check_decodes(&s);
        sf_arena_done(&s.arena);
    }
}

static void test_what_is_hidden_whole_has_no_influence(void **state)
{
    struct rows_random r = {.state = 31};
    struct round s;

    (void)state;
    for (size_t i = 0; i < ROUNDS; i++) {
        begin(&s, &r, i);
        check_hidden(&s, &r);
        sf_arena_done(&s.arena);
    }
}

static void test_masking_twice_is_masking_once_where_it_is_declared(void **state)
{
    struct rows_random r = {.state = 37};
    struct round s;

    (void)state;
    for (size_t i = 0; i < ROUNDS; i++) {
        begin(&s, &r, i);
        check_twice(&s);
        sf_arena_done(&s.arena);
    }
}

/* No run of more than the characters that are kept is found again. */
static void test_no_piece_of_a_hidden_text_is_in_the_masked_row(void **state)
{
    static const char *const masks[] = {"omit", "null",          "redact",      "constant(other)",
                                        "hash", "keep_first(3)", "keep_last(3)"};
    static const struct sf_field fields[] = {
        {.number = 1, .name = "before", .type = SF_TYPE_INT64},
        {.number = 2, .name = "secret", .type = SF_TYPE_STRING},
        {.number = 3, .name = "behind", .type = SF_TYPE_UUID},
    };
    static const struct sf_table t = {
        .name = "t", .fields = fields, .field_count = 3, .event_time = -1};
    struct rows_random r = {.state = 41};

    (void)state;
    for (size_t round = 0; round < ROUNDS; round++) {
        struct sf_mask m[3] = {0};
        struct sf_value values[3] = {0};
        struct sf_slice masked;
        struct sf_arena arena;
        uint8_t text[40]; /* upper-case letters: in no mask, so that chance finds no four */
        size_t size = 4 + rows_below(&r, sizeof(text) - 3);
        size_t nulled;

        sf_arena_init(&arena, 0);
        for (size_t i = 0; i < size; i++) {
            text[i] = (uint8_t)('A' + rows_below(&r, 26));
        }
        m[1] = masks_of(masks[round % SF_COUNT(masks)], &arena);
        values[1] = (struct sf_value){.present = true, .s = sf_slice_of(text, size)};
        masked = mask(&t, m, encode(&t, values, &arena), &arena, &nulled);
        for (size_t i = 0; i + 4 <= masked.size; i++) {
            for (size_t k = 0; k + 4 <= size; k++) {
                assert_memory_not_equal(masked.data + i, text + k, 4);
            }
        }
        sf_arena_done(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_row_masked_is_a_canonical_row_of_what_is_seen),
        cmocka_unit_test(test_what_is_hidden_whole_has_no_influence),
        cmocka_unit_test(test_masking_twice_is_masking_once_where_it_is_declared),
        cmocka_unit_test(test_no_piece_of_a_hidden_text_is_in_the_masked_row),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
