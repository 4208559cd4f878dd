#include "tests/lib/cmocka.h"

#include "common/base/alloc.h"
#include "leaf/rowcodec/row.h"
#include "tests/lib/rows.h"

enum { FIELDS = 11 };

static void refuse_row(const char *bytes, size_t size, const char *why)
{
    struct sf_value values[FIELDS];
    struct sf_error err;

    assert_int_equal(row_decode(rows_all_types(), sf_slice_of(bytes, size), values, &err),
                     SF_CORRUPT);
    assert_string_equal(err.text, why);
}

/* The bytes as a literal, and the words behind "row of table 'all_types', byte ". */
#define REFUSE(bytes, why)                                                                         \
    refuse_row(bytes, sizeof(bytes) - 1, "row of table 'all_types', byte " why)

static void test_what_encode_never_writes_is_refused(void **state)
{
    (void)state;
    REFUSE("\x10\x02\x08\x01", "2: no valid tag, or one out of order");
    REFUSE("\x08\x01\x08\x01", "2: no valid tag, or one out of order");
    REFUSE("\x88\x00\x01", "0: no valid tag, or one out of order");
    REFUSE("\x0b", "0: no valid tag, or one out of order");
    REFUSE("\x28\x01", "0: a field that is not in the table");
    REFUSE("\x88\x7d\x01", "0: a field that is not in the table");
    REFUSE("\x0d\x01\x00\x00\x00", "0: a field of another type");
    REFUSE("\x08\x02", "0: a value that is not canonical");                 /* bool 2 */
    REFUSE("\x08\x81\x00", "0: a value that is not canonical");             /* longer than needed */
    REFUSE("\x08\x01\x10", "2: a value that is not canonical");             /* cut off */
    REFUSE("\x10\x80\x80\x80\x80\x10", "0: a value that is not canonical"); /* over int32 */
    REFUSE("\x25\x00\x00\x00\x80", "0: a value that is not canonical");     /* -0 */
    REFUSE("\x25\x00\x00\x80\x7f", "0: a value that is not canonical");     /* infinity */
    REFUSE("\x79\x00\x00\x00\x00\x00\x00\x00\x80", "0: a value that is not canonical");
    REFUSE("\x79\x01\x00\x00\x00\x00\x00\xf0\x7f", "0: a value that is not canonical"); /* NaN */
    REFUSE("\x80\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
           "0: a value that is not canonical"); /* 19 digits */
    REFUSE("\x8a\x01\x02\xc3\x28", "0: text that is not UTF-8");
    REFUSE("\x8a\x01\x03\x61\x62", "0: a value that is not canonical"); /* longer than the row */
    REFUSE("\x98\x01\x82\x82\xe8\x02", "0: a value that is not canonical"); /* year 10000 */
    REFUSE("\xa1\x01\xff\xff\xff\xff\xff\xff\xff\x7f", "0: a value that is not canonical");
    REFUSE("\x82\x7d\x01\x61", "0: a value that is not canonical"); /* uuid of one byte */
}

static struct row_view *view_of(const struct sf_table *t, const char *const *names)
{
    struct sf_slice slices[16];
    struct row_view_options options = {0};
    struct row_view *view = NULL;
    struct sf_error err;

    for (; names != NULL && names[options.name_count] != NULL; options.name_count++) {
        slices[options.name_count] = sf_slice_text(names[options.name_count]);
    }
    options.names = names == NULL ? NULL : slices;
    assert_int_equal(row_view_build(t, &options, &view, &err), SF_OK);
    return view;
}

static struct sf_buf sample_row(void)
{
    struct sf_value values[FIELDS] = {
        [1] = {.present = true, .i = -5},
        [2] = {.present = true, .i = INT64_MIN},
        [3] = {.present = true, .d = (double)0.1F},
        [4] = {.present = true, .d = 1e300},
        [5] = {.present = true, .i = -5},
        [6] = {.present = true, .s = SF_LITERAL("a,\"b\"\n\1")},
        [7] = {.present = true, .s = SF_LITERAL("\0\xff")},
        [8] = {.present = true, .i = -1},
        [9] = {.present = true, .i = 1},
        [10] = {.present = true, .s = SF_LITERAL("0123456789abcdef")},
    };
    struct sf_buf row = {0};
    struct sf_error err;

    assert_int_equal(row_encode(rows_all_types(), values, &row, &err), SF_OK);
    return row;
}

static void test_json_has_the_fields_of_the_view_and_explicit_nulls(void **state)
{
    static const char *const few[] = {"note", "flag", "price", NULL};
    static const char *const none[] = {NULL};
    struct row_view *all = view_of(rows_all_types(), NULL);
    struct row_view *some = view_of(rows_all_types(), few);
    struct row_view *empty = view_of(rows_all_types(), none);
    struct sf_buf row = sample_row();
    struct sf_buf out = {0};
    struct sf_error err;

    (void)state;
    sf_buf_text(&out, "x");
    assert_int_equal(row_render_json(all, sf_buf_view(&row), &out, &err), SF_OK);
    assert_string_equal(
        sf_buf_cstr(&out),
        "x{\"flag\":null,\"small\":-5,\"big\":-9223372036854775808,\"ratio\":0.1,"
        "\"measure\":1e+300,\"price\":\"-0.0005\",\"note\":\"a,\\\"b\\\"\\n\\u0001\","
        "\"blob\":\"AP8=\",\"day\":\"1969-12-31\",\"moment\":\"1970-01-01T00:00:00.000001Z\","
        "\"id\":\"30313233-3435-3637-3839-616263646566\"}");
    sf_buf_clear(&out);
    assert_int_equal(row_render_json(some, sf_buf_view(&row), &out, &err), SF_OK);
    assert_string_equal(sf_buf_cstr(&out), "{\"flag\":null,\"price\":\"-0.0005\","
                                           "\"note\":\"a,\\\"b\\\"\\n\\u0001\"}");
    sf_buf_clear(&out);
    assert_int_equal(row_render_json(empty, sf_buf_view(&row), &out, &err), SF_OK);
    assert_string_equal(sf_buf_cstr(&out), "{}");
    sf_buf_clear(&out);
    assert_int_equal(row_render_json(some, sf_slice_of(NULL, 0), &out, &err), SF_OK);
    assert_string_equal(sf_buf_cstr(&out), "{\"flag\":null,\"price\":null,\"note\":null}");
    row_view_free(all);
    row_view_free(some);
    row_view_free(empty);
    sf_buf_done(&row);
    sf_buf_done(&out);
}

/* Each character becomes six, which is more than was reckoned with; twice in one row. */
static void test_strings_full_of_escapes_find_room(void **state)
{
    static const struct sf_field two[] = {
        {.number = 1, .name = "a", .type = SF_TYPE_STRING},
        {.number = 2, .name = "b", .type = SF_TYPE_STRING},
    };
    static const struct sf_table t = {.name = "two", .fields = two, .field_count = 2};
    struct row_view *view = view_of(&t, NULL);
    struct sf_value values[2] = {{.present = true}, {.present = true}};
    struct sf_buf row = {0};
    struct sf_buf out = {0};
    struct sf_error err;
    uint8_t ones[1000];

    (void)state;
    memset(ones, 1, sizeof(ones));
    for (size_t size = 0; size <= sizeof(ones); size += 250) {
        sf_buf_clear(&row);
        sf_buf_done(&out);
        values[0].s = values[1].s = sf_slice_of(ones, size);
        assert_int_equal(row_encode(&t, values, &row, &err), SF_OK);
        assert_int_equal(row_render_json(view, sf_buf_view(&row), &out, &err), SF_OK);
        assert_int_equal(out.size, strlen("{\"a\":\"\",\"b\":\"\"}") + 12 * size);
        assert_memory_equal(out.data + out.size - 2, "\"}", 2);
    }
    row_view_free(view);
    sf_buf_done(&row);
    sf_buf_done(&out);
}

static void test_csv_tells_null_from_empty(void **state)
{
    static const char *const few[] = {"flag", "price", "note", "blob", NULL};
    struct row_view *view = view_of(rows_all_types(), few);
    struct sf_value values[FIELDS] = {
        [0] = {.present = true, .i = 1},
        [6] = {.present = true, .s = {(const uint8_t *)"", 0}},
        [7] = {.present = true, .s = {(const uint8_t *)"", 0}},
    };
    struct sf_buf row = sample_row();
    struct sf_buf out = {0};
    struct sf_error err;

    (void)state;
    row_render_csv_header(view, &out);
    assert_int_equal(row_render_csv(view, sf_buf_view(&row), &out, &err), SF_OK);
    sf_buf_clear(&row);
    assert_int_equal(row_encode(rows_all_types(), values, &row, &err), SF_OK);
    assert_int_equal(row_render_csv(view, sf_buf_view(&row), &out, &err), SF_OK);
    assert_int_equal(row_render_csv(view, sf_slice_of(NULL, 0), &out, &err), SF_OK);
    assert_string_equal(sf_buf_cstr(&out), "flag,price,note,blob\n"
                                           ",-0.0005,\"a,\"\"b\"\"\n\1\",AP8=\n"
                                           "true,,\"\",\"\"\n"
                                           ",,,\n");
    row_view_free(view);
    sf_buf_done(&row);
    sf_buf_done(&out);
}

static void test_a_bad_row_leaves_nothing_behind(void **state)
{
    static const char *const few[] = {"note", NULL};
    struct row_view *view = view_of(rows_all_types(), few);
    struct sf_slice bad = SF_LITERAL("\x8a\x01\x01\x61\xff");
    struct sf_buf out = {0};
    struct sf_value one;
    struct sf_error err;

    (void)state;
    sf_buf_text(&out, "x");
    assert_int_equal(row_render_json(view, bad, &out, &err), SF_CORRUPT);
    assert_string_equal(err.text,
                        "row of table 'all_types', byte 4: no valid tag, or one out of order");
    assert_int_equal(row_render_csv(view, bad, &out, &err), SF_CORRUPT);
    assert_int_equal(row_get(rows_all_types(), bad, 10, &one, &err), SF_CORRUPT);
    assert_int_equal(row_get(rows_all_types(), bad, 6, &one, &err), SF_OK);
    assert_int_equal(out.size, 1);
    row_view_free(view);
    sf_buf_done(&out);
}

static void test_rows_have_a_largest_size(void **state)
{
    static const size_t head = 5; /* tag of 2 bytes, length of 3 */
    uint8_t *bytes = sf_calloc(SF_ROW_BYTES_MAX, 1);
    struct sf_value values[FIELDS] = {
        [7] = {.present = true, .s = {bytes, SF_ROW_BYTES_MAX - head}},
    };
    struct sf_buf row = {0};
    struct sf_error err;

    (void)state;
    assert_non_null(bytes);
    assert_int_equal(row_encode(rows_all_types(), values, &row, &err), SF_OK);
    assert_int_equal(row.size, SF_ROW_BYTES_MAX);
    values[7].s.size++;
    assert_int_equal(row_encode(rows_all_types(), values, &row, &err), SF_INVALID);
    assert_string_equal(err.text, "the row is larger than 262144 bytes");
    assert_int_equal(err.number, 208);
    assert_int_equal(row.size, SF_ROW_BYTES_MAX);
    sf_buf_done(&row);
    sf_free(bytes);
}

static void test_minus_zero_is_written_as_zero(void **state)
{
    struct sf_value values[FIELDS] = {
        [3] = {.present = true, .d = -0.0},
        [4] = {.present = true, .d = -0.0},
    };
    struct sf_buf row = {0};
    struct sf_error err;

    (void)state;
    assert_int_equal(row_encode(rows_all_types(), values, &row, &err), SF_OK);
    assert_int_equal(row.size, 14);
    assert_memory_equal(row.data, "\x25\0\0\0\0\x79\0\0\0\0\0\0\0\0", 14);
    sf_buf_done(&row);
}

static void test_no_memory_is_said_and_leaves_nothing(void **state)
{
    struct row_view *view = view_of(rows_all_types(), NULL);
    struct sf_buf row = sample_row();
    struct sf_error err;
    enum sf_code code;
    long n = 0;

    (void)state;
    do {
        struct sf_buf out = {0};

        sf_alloc_fail_after(n++, 0);
        code = row_render_json(view, sf_buf_view(&row), &out, &err);
        code = code != SF_OK ? code : row_render_csv(view, sf_buf_view(&row), &out, &err);
        assert_true(code == SF_OK || code == SF_NOMEM);
        sf_buf_done(&out);
    } while (code != SF_OK);
    sf_alloc_fail_after(-1, 0);
    assert_true(n > 1);
    row_view_free(view);
    sf_buf_done(&row);
}

/* --- views ------------------------------------------------------------------------------------ */

static const struct sf_field people_fields[] = {
    {.number = 3, .name = "id", .type = SF_TYPE_STRING, .required = true},
    {.number = 7, .name = "email", .type = SF_TYPE_STRING, .class = SF_CLASS_PII},
    {.number = 300, .name = "city", .type = SF_TYPE_STRING, .class = SF_CLASS_PUBLIC},
    {.number = 301, .name = "token", .type = SF_TYPE_STRING, .class = SF_CLASS_SECRET},
};
static const uint16_t people_key[] = {0};
static const struct sf_table people = {
    .name = "people",
    .fields = people_fields,
    .field_count = SF_COUNT(people_fields),
    .key = people_key,
    .key_count = 1,
    .event_time = -1,
};

static void assert_view(const char *const *names, const char *numbers, bool has_key)
{
    struct row_view *view = view_of(&people, names);
    struct sf_buf text = {0};
    struct sf_buf canonical = {0};

    for (size_t i = 0; i < view->column_count; i++) {
        sf_buf_printf(&text, "%u ", view->columns[i].number);
        assert_true(row_view_has(view, view->columns[i].number));
    }
    assert_string_equal(sf_buf_cstr(&text), numbers);
    assert_int_equal(view->has_key, has_key);
    assert_false(row_view_has(view, 4));
    row_view_canonical(view, &canonical);
    assert_int_equal(canonical.size, view->column_count * 4);
    for (size_t i = 0; i < view->column_count; i++) {
        assert_int_equal(sf_read_be32(canonical.data + i * 4), view->columns[i].number);
    }
    sf_buf_done(&text);
    sf_buf_done(&canonical);
    row_view_free(view);
}

static void test_views_are_allow_lists(void **state)
{
    static const char *const two[] = {"email", "id", "email", NULL};
    static const char *const none[] = {NULL};

    (void)state;
    assert_view(NULL, "3 7 300 301 ", true);
    assert_view(two, "3 7 ", true);
    assert_view(none, "", false);
}

static void test_a_view_of_unknown_fields_is_refused(void **state)
{
    const struct sf_slice name = SF_LITERAL("e_mail");
    const struct row_view_options options = {.names = &name, .name_count = 1};
    struct row_view *view = NULL;
    struct sf_error err;

    (void)state;
    assert_int_equal(row_view_build(&people, &options, &view, &err), SF_INVALID);
    assert_string_equal(err.text, "table 'people' has no field 'e_mail'");
    assert_int_equal(err.number, 304);
    assert_null(view);
}

static void test_building_a_view_survives_every_failed_allocation(void **state)
{
    const struct row_view_options all = {0};
    struct row_view *view = NULL;
    struct sf_error err;
    enum sf_code code;
    long n = 0;

    (void)state;
    do {
        sf_alloc_fail_after(n++, 0);
        code = row_view_build(&people, &all, &view, &err);
        assert_true(code == SF_OK || code == SF_NOMEM);
    } while (code != SF_OK);
    sf_alloc_fail_after(-1, 0);
    assert_int_equal(n, 3);
    row_view_free(view);
}

/* Version 1 wrote id 1, note 2, lines 3 of {sku 1, old 2}, at 4 of {lat 1, old 2}; version 2 has no
 * note and no old any more. */
static void test_fields_that_the_table_has_no_more_are_left_out_of_old_rows(void **state)
{
    static const struct sf_field inner_fields[] = {
        {.number = 1, .name = "sku", .type = SF_TYPE_STRING},
    };
    static const struct sf_table inner = {
        .name = "lines", .kind = SF_TABLE_EVENT, .fields = inner_fields, .field_count = 1};
    static const struct sf_field item = {
        .number = 3, .name = "lines", .type = SF_TYPE_STRUCT, .shape = &inner};
    static const struct sf_field fields[] = {
        {.number = 1, .name = "id", .type = SF_TYPE_STRING},
        {.number = 3, .name = "lines", .type = SF_TYPE_LIST, .item = &item},
        {.number = 4, .name = "at", .type = SF_TYPE_STRUCT, .shape = &inner},
        {.number = 5, .name = "n", .type = SF_TYPE_INT64},
    };
    static const struct sf_table table = {
        .name = "orders", .kind = SF_TABLE_EVENT, .fields = fields, .field_count = 4};
    const struct sf_slice old = SF_LITERAL("\x0a\x01x"
                                           "\x12\x02no"
                                           "\x1a\x06\x0a\x01s\x12\x01o"
                                           "\x1a\x03\x12\x01o"
                                           "\x22\x06\x0a\x01t\x12\x01o"
                                           "\x28\x05");
    const struct sf_slice renewed = SF_LITERAL("\x0a\x01x"
                                               "\x1a\x03\x0a\x01s"
                                               "\x1a\x00"
                                               "\x22\x03\x0a\x01t"
                                               "\x28\x05");
    struct sf_value values[4];
    struct sf_buf bytes = {0};
    struct sf_buf out = {0};
    struct sf_error err;

    (void)state;
    assert_int_equal(row_decode(&table, old, values, &err), SF_CORRUPT);
    assert_int_equal(row_decode_old(&table, old, &bytes, values, &err), SF_OK);
    assert_int_equal(values[3].i, -3);
    assert_int_equal(row_encode(&table, values, &out, &err), SF_OK);
    assert_true(sf_slice_equal(sf_buf_view(&out), renewed));
    for (size_t cut = 1; cut < old.size; cut++) {
        const enum sf_code code =
            row_decode_old(&table, sf_slice_of(old.data, cut), &bytes, values, &err);

        assert_true(code == SF_CORRUPT || cut == 3 || cut == 7 || cut == 15 || cut == 20 ||
                    cut == 28);
    }
    for (long n = 0;; n++) {
        enum sf_code code;

        sf_buf_done(&bytes);
        sf_alloc_fail_after(n, 0);
        code = row_decode_old(&table, old, &bytes, values, &err);
        sf_alloc_fail_after(-1, 0);
        assert_true(code == SF_OK || code == SF_NOMEM);
        if (code == SF_OK) {
            break;
        }
    }
    sf_buf_done(&bytes);
    sf_buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_encode_never_writes_is_refused),
        cmocka_unit_test(test_json_has_the_fields_of_the_view_and_explicit_nulls),
        cmocka_unit_test(test_strings_full_of_escapes_find_room),
        cmocka_unit_test(test_csv_tells_null_from_empty),
        cmocka_unit_test(test_a_bad_row_leaves_nothing_behind),
        cmocka_unit_test(test_rows_have_a_largest_size),
        cmocka_unit_test(test_minus_zero_is_written_as_zero),
        cmocka_unit_test(test_no_memory_is_said_and_leaves_nothing),
        cmocka_unit_test(test_views_are_allow_lists),
        cmocka_unit_test(test_a_view_of_unknown_fields_is_refused),
        cmocka_unit_test(test_building_a_view_survives_every_failed_allocation),
        cmocka_unit_test(test_fields_that_the_table_has_no_more_are_left_out_of_old_rows),
    };

    return cmocka_run_group_tests_name("row", tests, NULL, NULL);
}
