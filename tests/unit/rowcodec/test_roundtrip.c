/* Properties over random tables and rows: what goes in comes out, and has one encoding only. */
#include "tests/lib/cmocka.h"

#include "common/contract/record.h"
#include "common/contract/value.h"
#include "leaf/rowcodec/key.h"
#include "leaf/rowcodec/row.h"
#include "tests/lib/rows.h"

enum { TABLES = 150, ROWS = 12, FIELDS_MAX = 14 };

struct fixture {
    struct rows_random random;
    struct sf_arena arena;
    const struct sf_table *table;
    struct sf_record_reader *reader;
    struct row_view *view;
    struct sf_value *values; /* room for a row */
    struct sf_buf row;
    struct sf_buf text;
};

static void begin(struct fixture *f, uint64_t seed)
{
    const struct row_view_options all = {0};
    struct sf_error err;

    *f = (struct fixture){.random = {.state = seed + 1}};
    f->table = seed == 0 ? rows_all_types() : rows_random_table(&f->random, FIELDS_MAX, &f->arena);
    f->values = sf_arena_calloc(&f->arena, f->table->field_count, sizeof(*f->values));
    assert_non_null(f->values);
    assert_int_equal(sf_record_reader_new(f->table, &f->reader, &err), SF_OK);
    assert_int_equal(row_view_build(f->table, &all, &f->view, &err), SF_OK);
}

static void end(struct fixture *f)
{
    row_view_free(f->view);
    sf_record_reader_free(f->reader);
    sf_buf_done(&f->row);
    sf_buf_done(&f->text);
    sf_arena_done(&f->arena);
}

static void encode(struct fixture *f, const struct sf_value *values)
{
    struct sf_error err;

    sf_buf_clear(&f->row);
    if (row_encode(f->table, values, &f->row, &err) != SF_OK) {
        fail_msg("%s", err.text);
    }
}

static void assert_values(const struct fixture *f, const struct sf_value *a,
                          const struct sf_value *b)
{
    for (size_t i = 0; i < f->table->field_count; i++) {
        if (!rows_equal(&f->table->fields[i], &a[i], &b[i])) {
            fail_msg("field %zu of type %s differs", i, sf_type_name(f->table->fields[i].type));
        }
    }
}

static void test_rows_decode_to_what_was_encoded(void **state)
{
    struct sf_error err;
    struct fixture f;

    (void)state;
    for (uint64_t seed = 0; seed < TABLES; seed++) {
        begin(&f, seed);
        for (size_t i = 0; i < ROWS; i++) {
            struct sf_value *values = rows_random_row(&f.random, f.table, &f.arena);
            struct sf_value one;

            encode(&f, values);
            assert_int_equal(row_decode(f.table, sf_buf_view(&f.row), f.values, &err), SF_OK);
            assert_values(&f, values, f.values);
            for (size_t k = 0; k < f.table->field_count; k++) {
                assert_int_equal(row_get(f.table, sf_buf_view(&f.row), k, &one, &err), SF_OK);
                assert_true(rows_equal(&f.table->fields[k], &one, &values[k]));
            }
        }
        end(&f);
    }
}

/* Any byte changed, cut off or added: either refused, or another canonical row. */
static void test_a_row_has_one_encoding(void **state)
{
    struct sf_error err;
    struct fixture f;

    (void)state;
    for (uint64_t seed = 0; seed < TABLES; seed++) {
        struct sf_buf bent = {0};

        begin(&f, seed);
        encode(&f, rows_random_row(&f.random, f.table, &f.arena));
        for (size_t i = 0; i < 300; i++) {
            sf_buf_clear(&bent);
            sf_buf_slice(&bent, sf_buf_view(&f.row));
            if (bent.size > 0 && rows_below(&f.random, 4) != 0) {
                bent.data[rows_below(&f.random, bent.size)] ^=
                    (uint8_t)(1U << rows_below(&f.random, 8));
            } else {
                sf_buf_byte(&bent, (uint8_t)rows_next(&f.random));
            }
            if (rows_below(&f.random, 3) == 0) {
                bent.size = rows_below(&f.random, bent.size + 1);
            }
            if (row_decode(f.table, sf_buf_view(&bent), f.values, &err) == SF_OK) {
                struct sf_buf again = {0};

                assert_int_equal(row_encode(f.table, f.values, &again, &err), SF_OK);
                assert_true(sf_slice_equal(sf_buf_view(&again), sf_buf_view(&bent)));
                sf_buf_done(&again);
            }
        }
        sf_buf_done(&bent);
        end(&f);
    }
}

static void test_json_of_a_row_reads_back_as_the_row(void **state)
{
    struct sf_verdict verdict;
    struct sf_error err;
    struct fixture f;

    (void)state;
    for (uint64_t seed = 0; seed < TABLES; seed++) {
        begin(&f, seed);
        for (size_t i = 0; i < ROWS; i++) {
            struct sf_value *values = rows_random_row(&f.random, f.table, &f.arena);

            encode(&f, values);
            sf_buf_clear(&f.text);
            assert_int_equal(row_render_json(f.view, sf_buf_view(&f.row), &f.text, &err), SF_OK);
            assert_int_equal(
                sf_record_from_json(f.reader, sf_buf_view(&f.text), f.values, &verdict, &err),
                SF_OK);
            if (verdict.found != 0) {
                fail_msg("%s in %s", verdict.list[0].text, sf_buf_cstr(&f.text));
            }
            assert_values(&f, values, f.values);
        }
        end(&f);
    }
}

static void test_csv_of_rows_reads_back_as_the_rows(void **state)
{
    struct sf_verdict verdict;
    struct sf_error err;
    struct fixture f;

    (void)state;
    for (uint64_t seed = 0; seed < TABLES; seed++) {
        struct sf_value *rows[ROWS];
        struct sf_csv csv = {0};
        struct sf_slice text;

        begin(&f, seed);
        row_render_csv_header(f.view, &f.text);
        for (size_t i = 0; i < ROWS; i++) {
            rows[i] = rows_random_row(&f.random, f.table, &f.arena);
            encode(&f, rows[i]);
            assert_int_equal(row_render_csv(f.view, sf_buf_view(&f.row), &f.text, &err), SF_OK);
        }
        text = sf_buf_view(&f.text);
        assert_int_equal(sf_csv_next(&csv, &text, true, &err), SF_OK);
        assert_int_equal(sf_record_bind_csv(f.reader, &csv, &err), SF_OK);
        for (size_t i = 0; i < ROWS; i++) {
            /* The line of one null is blank, and blank lines are skipped. */
            if (f.table->field_count == 1 && !rows[i][0].present &&
                f.table->fields[0].type != SF_TYPE_LIST) {
                continue;
            }
            assert_int_equal(sf_csv_next(&csv, &text, true, &err), SF_OK);
            assert_int_equal(sf_record_from_csv(f.reader, &csv, f.values, &verdict, &err), SF_OK);
            if (verdict.found != 0) {
                fail_msg("%s", verdict.list[0].text);
            }
            assert_values(&f, rows[i], f.values);
        }
        assert_int_equal(sf_csv_next(&csv, &text, true, &err), SF_ABSENT);
        sf_csv_done(&csv);
        end(&f);
    }
}

/* A message that is read gives one row, whatever its writer chose; a row is such a message. */
static void test_messages_become_rows_of_one_encoding(void **state)
{
    struct sf_verdict verdict;
    struct sf_error err;
    struct fixture f;
    size_t read = 0;

    (void)state;
    for (uint64_t seed = 0; seed < TABLES; seed++) {
        struct sf_buf bent = {0};
        struct sf_value *values;

        begin(&f, seed);
        values = rows_random_row(&f.random, f.table, &f.arena);
        encode(&f, values);
        sf_buf_slice(&bent, sf_buf_view(&f.row));
        assert_int_equal(
            sf_record_from_protobuf(f.reader, sf_buf_view(&bent), f.values, &verdict, &err), SF_OK);
        if (verdict.found != 0) {
            fail_msg("%s", verdict.list[0].text);
        }
        assert_values(&f, values, f.values);
        for (size_t i = 0; i < 200 && bent.size > 0; i++) {
            bent.data[rows_below(&f.random, bent.size)] ^=
                (uint8_t)(1U << rows_below(&f.random, 8));
            assert_int_equal(
                sf_record_from_protobuf(f.reader, sf_buf_view(&bent), f.values, &verdict, &err),
                SF_OK);
            if (verdict.found == 0) {
                struct sf_value *back =
                    sf_arena_calloc(&f.arena, f.table->field_count, sizeof(*back));

                encode(&f, f.values);
                assert_int_equal(row_decode(f.table, sf_buf_view(&f.row), back, &err), SF_OK);
                assert_values(&f, f.values, back);
                read++;
            }
            sf_buf_clear(&bent);
            sf_buf_slice(&bent, sf_buf_view(&f.row));
        }
        sf_buf_done(&bent);
        end(&f);
    }
    assert_true(read > 1000);
}

static struct row_view *random_view(struct fixture *f)
{
    struct sf_slice names[FIELDS_MAX];
    struct row_view_options options = {.names = names};
    struct row_view *view = NULL;
    struct sf_error err;

    for (size_t i = 0; i < f->table->field_count; i++) {
        if (rows_below(&f->random, 2) == 0) {
            names[options.name_count++] = sf_slice_text(f->table->fields[i].name);
        }
    }
    assert_int_equal(row_view_build(f->table, &options, &view, &err), SF_OK);
    return view;
}

static void test_a_view_shows_nothing_of_other_fields(void **state)
{
    struct sf_error err;
    struct fixture f;

    (void)state;
    for (uint64_t seed = 0; seed < TABLES; seed++) {
        struct sf_buf other = {0};

        begin(&f, seed);
        for (size_t i = 0; i < ROWS; i++) {
            struct sf_value *values = rows_random_row(&f.random, f.table, &f.arena);
            struct row_view *view = random_view(&f);

            encode(&f, values);
            sf_buf_clear(&other);
            sf_buf_clear(&f.text);
            assert_int_equal(row_render_json(view, sf_buf_view(&f.row), &f.text, &err), SF_OK);
            for (size_t k = 0; k < f.table->field_count; k++) {
                values[k].present =
                    values[k].present && row_view_has(view, f.table->fields[k].number);
            }
            encode(&f, values);
            assert_int_equal(row_render_json(view, sf_buf_view(&f.row), &other, &err), SF_OK);
            assert_true(sf_slice_equal(sf_buf_view(&f.text), sf_buf_view(&other)));
            row_view_free(view);
        }
        sf_buf_done(&other);
        end(&f);
    }
}

static int compare_keys(const struct sf_table *t, const struct sf_value *a,
                        const struct sf_value *b)
{
    for (size_t i = 0; i < t->key_count; i++) {
        size_t field = t->key[i];
        int order = sf_value_compare(t->fields[field].type, &a[field], &b[field]);

        if (order != 0) {
            return order > 0 ? 1 : -1;
        }
    }
    return 0;
}

static void check_key_pair(struct fixture *f)
{
    const struct sf_table *t = f->table;
    struct sf_value *a = rows_random_row(&f->random, t, &f->arena);
    struct sf_value *b = rows_random_row(&f->random, t, &f->arena);
    struct sf_buf ka = {0};
    struct sf_buf kb = {0};
    struct sf_error err;
    int order;

    /* Keys that begin alike, else the first part decides nearly always. */
    for (size_t i = 0; i + 1 < t->key_count && rows_below(&f->random, 3) != 0; i++) {
        b[t->key[i]] = a[t->key[i]];
    }
    assert_int_equal(key_encode(t, a, &ka, &err), SF_OK);
    assert_int_equal(key_encode(t, b, &kb, &err), SF_OK);
    order = sf_slice_compare(sf_buf_view(&ka), sf_buf_view(&kb));
    assert_int_equal((order > 0) - (order < 0), compare_keys(t, a, b));
    assert_int_equal(key_decode(t, sf_buf_view(&ka), f->values, &f->arena, &err), SF_OK);
    for (size_t i = 0; i < t->key_count; i++) {
        size_t field = t->key[i];

        assert_true(rows_equal(&t->fields[field], &a[field], &f->values[field]));
    }
    sf_buf_done(&ka);
    sf_buf_done(&kb);
}

static void test_keys_sort_as_their_values_and_decode(void **state)
{
    struct fixture f;

    (void)state;
    for (uint64_t seed = 0; seed < TABLES * 2; seed++) {
        begin(&f, seed);
        for (size_t i = 0; i < ROWS; i++) {
            check_key_pair(&f);
        }
        end(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_decode_to_what_was_encoded),
        cmocka_unit_test(test_a_row_has_one_encoding),
        cmocka_unit_test(test_json_of_a_row_reads_back_as_the_row),
        cmocka_unit_test(test_csv_of_rows_reads_back_as_the_rows),
        cmocka_unit_test(test_messages_become_rows_of_one_encoding),
        cmocka_unit_test(test_a_view_shows_nothing_of_other_fields),
        cmocka_unit_test(test_keys_sort_as_their_values_and_decode),
    };

    return cmocka_run_group_tests_name("roundtrip", tests, NULL, NULL);
}
