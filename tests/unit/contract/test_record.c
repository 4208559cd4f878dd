#include "tests/lib/cmocka.h"

#include "common/base/alloc.h"
#include "common/contract/record.h"

static const struct sf_value countries[] = {
    {.present = true, .s = {(const uint8_t *)"NO", 2}},
    {.present = true, .s = {(const uint8_t *)"SE", 2}},
};

enum { ORDER_ID, COUNTRY, AMOUNT, QTY, BIG, PAID, RATIO, BLOB, DAY, AT, UUID, NOTE, FIELDS };

static const struct sf_field fields[FIELDS] = {
    {.number = 1,
     .name = "order_id",
     .type = SF_TYPE_STRING,
     .source = "Order No",
     .min_length = 3,
     .max_length = 8},
    {.number = 2,
     .name = "country",
     .type = SF_TYPE_STRING,
     .required = true,
     .enum_values = countries,
     .enum_count = 2,
     .default_value = {.present = true, .s = {(const uint8_t *)"NO", 2}}},
    {.number = 3,
     .name = "amount",
     .type = SF_TYPE_DECIMAL,
     .precision = 5,
     .scale = 2,
     .required = true,
     .min = {.present = true}},
    {.number = 4, .name = "qty", .type = SF_TYPE_INT32, .max = {.present = true, .i = 100}},
    {.number = 5, .name = "big", .type = SF_TYPE_INT64},
    {.number = 6, .name = "paid", .type = SF_TYPE_BOOL},
    {.number = 7, .name = "ratio", .type = SF_TYPE_FLOAT},
    {.number = 8, .name = "blob", .type = SF_TYPE_BYTES},
    {.number = 9, .name = "day", .type = SF_TYPE_DATE},
    {.number = 10, .name = "at", .type = SF_TYPE_TIMESTAMP, .parse = "%Y/%m/%d %H:%M"},
    {.number = 11, .name = "uuid", .type = SF_TYPE_UUID},
    {.number = 12, .name = "note", .type = SF_TYPE_STRING, .format = SF_FORMAT_EMAIL},
};
static const uint16_t key[] = {ORDER_ID};
static const struct sf_table table = {
    .name = "orders",
    .fields = fields,
    .field_count = FIELDS,
    .key = key,
    .key_count = 1,
    .event_time = -1,
};

struct fixture {
    struct sf_record_reader *reader;
    struct sf_value values[FIELDS];
    struct sf_verdict verdict;
    struct sf_buf text; /* "number field text;" of each violation */
};

static int setup(void **state)
{
    struct fixture *f = sf_calloc(1, sizeof(*f));

    assert_non_null(f);
    assert_int_equal(sf_record_reader_new(&table, &f->reader, NULL), SF_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    sf_record_reader_free(f->reader);
    sf_buf_done(&f->text);
    sf_free(f);
    return 0;
}

static const char *said(struct fixture *f)
{
    sf_buf_clear(&f->text);
    for (uint32_t i = 0; i < f->verdict.count; i++) {
        const struct sf_violation *v = &f->verdict.list[i];

        sf_buf_printf(&f->text, "%u %d %s;", v->number, v->field, v->text);
    }
    return sf_buf_cstr(&f->text);
}

static const char *read_json(struct fixture *f, const char *line)
{
    struct sf_error err;

    memset(f->values, 0xaa, sizeof(f->values));
    assert_int_equal(
        sf_record_from_json(f->reader, sf_slice_text(line), f->values, &f->verdict, &err), SF_OK);
    return said(f);
}

static void assert_text(const struct sf_value *v, const char *text)
{
    assert_true(v->present);
    assert_int_equal(v->s.size, strlen(text));
    assert_memory_equal(v->s.data, text, v->s.size);
}

static void test_json_becomes_values_of_the_types(void **state)
{
    struct fixture *f = *state;

    assert_string_equal(
        read_json(f, "{\"order_id\":\"O-\\u0041\",\"amount\":-0.0,\"qty\":-7,"
                     "\"big\":9223372036854775807,\"paid\":true,\"ratio\":-0.0,\"blob\":\"AP8=\","
                     "\"day\":\"1970-01-02\",\"at\":\"1970/01/01 00:01\","
                     "\"uuid\":\"123E4567-e89b-12d3-a456-426614174000\",\"note\":\"a@b.no\"}"),
        "");
    assert_text(&f->values[ORDER_ID], "O-A");
    assert_text(&f->values[COUNTRY], "NO");
    assert_int_equal(f->values[AMOUNT].i, 0);
    assert_int_equal(f->values[QTY].i, -7);
    assert_true(f->values[BIG].i == INT64_MAX);
    assert_int_equal(f->values[PAID].i, 1);
    assert_false(__builtin_signbit(f->values[RATIO].d));
    assert_int_equal(f->values[BLOB].s.size, 2);
    assert_memory_equal(f->values[BLOB].s.data, "\0\xff", 2);
    assert_int_equal(f->values[DAY].i, 1);
    assert_int_equal(f->values[AT].i, 60000000);
    assert_memory_equal(f->values[UUID].s.data, "\x12\x3e\x45\x67\xe8\x9b\x12\xd3", 8);
    assert_text(&f->values[NOTE], "a@b.no");
}

static void test_absent_null_and_defaults(void **state)
{
    struct fixture *f = *state;

    assert_string_equal(read_json(f, "{\"order_id\":\"O-1\",\"amount\":\"12.30\",\"qty\":null,"
                                     "\"country\":null}"),
                        "");
    assert_int_equal(f->values[AMOUNT].i, 1230);
    assert_text(&f->values[COUNTRY], "NO");
    for (size_t i = QTY; i < FIELDS; i++) {
        assert_false(f->values[i].present);
    }
    assert_string_equal(read_json(f, "{\"amount\":null}"),
                        "206 0 'order_id' is missing;206 2 'amount' is missing;");
}

static void test_members_are_found_in_any_order_and_by_source_name(void **state)
{
    struct fixture *f = *state;

    assert_string_equal(read_json(f, "{\"amount\":1,\"Order No\":\"O-1\"}"), "");
    assert_text(&f->values[ORDER_ID], "O-1");
    assert_string_equal(read_json(f, "{\"order_id\":\"O-2\",\"qty\":2,\"amount\":1}"), "");
    assert_text(&f->values[ORDER_ID], "O-2");
    assert_string_equal(read_json(f, "{\"qty\":3,\"amount\":1,\"order_id\":\"O-3\"}"), "");
    assert_text(&f->values[ORDER_ID], "O-3");
    assert_int_equal(f->values[QTY].i, 3);
    assert_string_equal(read_json(f, "{\"Order No\":\"O-1\",\"order_id\":\"O-1\",\"amount\":1}"),
                        "202 0 'order_id' is given twice;");
}

static void test_values_of_other_types_are_refused(void **state)
{
    struct fixture *f = *state;

    assert_string_equal(
        read_json(f, "{\"order_id\":7,\"amount\":true,\"qty\":\"7\",\"big\":1.0,\"paid\":1,"
                     "\"ratio\":\"1\",\"blob\":\"a\",\"day\":20261120}"),
        "204 0 'order_id' must be a string;204 2 'amount' must be a number;"
        "204 3 'qty' must be a whole number;204 4 'big' must be a whole number;"
        "204 5 'paid' must be true or false;204 6 'ratio' must be a number;"
        "204 7 'blob' must be base64;204 8 'day' must be a date like 2026-11-20;");
    assert_string_equal(
        read_json(f, "{\"order_id\":\"O-1\",\"amount\":1,\"at\":\"2026-11-20T00:00:00Z\","
                     "\"uuid\":\"123e4567e89b12d3a456426614174000\",\"note\":{},\"day\":[1]}"),
        "204 9 'at' must be text like '%Y/%m/%d %H:%M';204 10 'uuid' must be a UUID;"
        "204 11 'note' must be a string;204 8 'day' must be a date like 2026-11-20;");
}

static void test_values_out_of_range_are_refused(void **state)
{
    struct fixture *f = *state;

    assert_string_equal(
        read_json(f, "{\"order_id\":\"O-1\",\"amount\":1000,\"qty\":2147483648,"
                     "\"big\":9223372036854775808,\"ratio\":1e39,\"day\":\"2026-02-29\"}"),
        "205 2 'amount' does not fit decimal(5,2);205 3 'qty' does not fit int32;"
        "205 4 'big' does not fit int64;205 6 'ratio' does not fit float;"
        "205 8 'day' is not in the calendar;");
    assert_string_equal(read_json(f, "{\"order_id\":\"O-1\",\"amount\":\"1.234\"}"),
                        "205 2 'amount' has more than 2 digits behind the point;");
}

static void test_rules_of_fields_are_kept(void **state)
{
    struct fixture *f = *state;

    assert_string_equal(
        read_json(f, "{\"order_id\":\"O\",\"country\":\"XX\",\"amount\":-0.01,\"qty\":101,"
                     "\"note\":\"nobody\"}"),
        "205 0 'order_id' is shorter than its min_length;"
        "205 1 'country' is none of the values of its enum;205 2 'amount' is below its min;"
        "205 3 'qty' is above its max;205 11 'note' is not of its format;");
    assert_string_equal(read_json(f, "{\"order_id\":\"O-3456789\",\"amount\":1}"),
                        "205 0 'order_id' is longer than its max_length;");
}

static void test_unknown_and_doubled_fields_are_refused(void **state)
{
    struct fixture *f = *state;

    assert_string_equal(read_json(f, "{\"order_id\":\"O-1\",\"amount\":1,\"amont\":2,\"amount\":3,"
                                     "\"ola.nordmann@example.com\":4,\"colour\":{\"x\":[]}}"),
                        "203 -1 'amont' is not in the contract; did you mean 'amount'?;"
                        "202 2 'amount' is given twice;203 -1 a field is not in the contract;"
                        "203 -1 'colour' is not in the contract;");
}

static void test_the_list_of_violations_is_bounded_and_counted(void **state)
{
    struct fixture *f = *state;

    (void)read_json(f, "{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1}");
    assert_int_equal(f->verdict.count, 8);
    assert_int_equal(f->verdict.found, 11);
}

static void test_what_is_no_record_says_why(void **state)
{
    struct fixture *f = *state;
    struct sf_buf deep = {0};
    struct sf_error err;
    char *large;

    assert_string_equal(read_json(f, "[1]"), "202 -1 a JSON object is expected;");
    assert_string_equal(read_json(f, "{\"order_id\":\"O-1\""),
                        "202 -1 the record is not JSON: column 18: unexpected end of data;");
    assert_string_equal(read_json(f, ""),
                        "202 -1 the record is not JSON: JSON expected, found nothing;");
    assert_string_equal(read_json(f, "{\"note\":\"\xc3\"}"),
                        "207 -1 the record is not valid UTF-8;");
    assert_string_equal(read_json(f, "{\"ratio\":NaN}"),
                        "202 -1 the record is not JSON: column 10: unexpected character, expected "
                        "a valid JSON value;");
    sf_buf_text(&deep, "{\"note\":");
    for (int i = 0; i < 64; i++) {
        sf_buf_text(&deep, "[");
    }
    for (int i = 0; i < 64; i++) {
        sf_buf_text(&deep, "]");
    }
    sf_buf_text(&deep, "}");
    assert_string_equal(read_json(f, sf_buf_cstr(&deep)),
                        "208 -1 more than 64 levels deep;206 0 'order_id' is missing;"
                        "206 2 'amount' is missing;");
    sf_buf_done(&deep);
    large = sf_calloc(SF_RECORD_TEXT_MAX + 1, 1);
    assert_non_null(large);
    assert_int_equal(sf_record_from_json(f->reader, sf_slice_of(large, SF_RECORD_TEXT_MAX + 1),
                                         f->values, &f->verdict, &err),
                     SF_OK);
    assert_string_equal(said(f), "208 -1 longer than 1048576 bytes;");
    sf_free(large);
}

/* Milliseconds, where a walk over the record for each of its containers would take minutes. */
static void test_a_record_of_containers_costs_one_walk(void **state)
{
    struct fixture *f = *state;
    struct sf_buf line = {0};

    sf_buf_text(&line, "{\"a\":0");
    for (int i = 0; i < 100000; i++) {
        sf_buf_text(&line, ",\"a\":[]");
    }
    sf_buf_text(&line, "}");
    (void)read_json(f, sf_buf_cstr(&line));
    assert_int_equal(f->verdict.found, 100003);
    sf_buf_done(&line);
}

static void test_violations_never_hold_a_value(void **state)
{
    struct fixture *f = *state;

    (void)read_json(f, "{\"order_id\":\"secret-value\",\"amount\":\"secret-value\","
                       "\"qty\":\"secret-value\",\"country\":\"secret-value\","
                       "\"day\":\"secret-value\",\"note\":\"secret-value\",\"x\":\"secret-value\","
                       "\"Secret-value\":1}");
    assert_int_equal(f->verdict.count, 8);
    for (uint32_t i = 0; i < f->verdict.count; i++) {
        assert_null(strstr(f->verdict.list[i].text, "ecret"));
    }
}

static void test_a_delete_reads_the_key_only(void **state)
{
    struct fixture *f = *state;
    struct sf_json_doc *doc = NULL;
    struct sf_error err;

    assert_int_equal(
        sf_json_parse(SF_LITERAL("{\"x\":1,\"amount\":\"?\",\"order_id\":\"O-1\"}"), &doc, &err),
        SF_OK);
    assert_int_equal(
        sf_record_key_from_json_value(f->reader, sf_json_root(doc), f->values, &f->verdict, &err),
        SF_OK);
    assert_string_equal(said(f), "");
    assert_text(&f->values[ORDER_ID], "O-1");
    sf_json_free(doc);
    assert_int_equal(sf_json_parse(SF_LITERAL("{\"amount\":1}"), &doc, &err), SF_OK);
    assert_int_equal(
        sf_record_key_from_json_value(f->reader, sf_json_root(doc), f->values, &f->verdict, &err),
        SF_OK);
    assert_string_equal(said(f), "206 0 'order_id' is missing;");
    sf_json_free(doc);
}

/* --- CSV -------------------------------------------------------------------------------------- */

static enum sf_code bind(struct fixture *f, const char *header, struct sf_error *err)
{
    struct sf_slice text = sf_slice_text(header);
    struct sf_csv csv = {0};
    enum sf_code code;

    assert_int_equal(sf_csv_next(&csv, &text, true, err), SF_OK);
    code = sf_record_bind_csv(f->reader, &csv, err);
    sf_csv_done(&csv);
    return code;
}

static const char *read_csv(struct fixture *f, const char *row)
{
    struct sf_slice text = sf_slice_text(row);
    struct sf_csv csv = {0};
    struct sf_error err;

    assert_int_equal(sf_csv_next(&csv, &text, true, &err), SF_OK);
    assert_int_equal(sf_record_from_csv(f->reader, &csv, f->values, &f->verdict, &err), SF_OK);
    sf_csv_done(&csv);
    return said(f);
}

static void test_csv_header_is_bound_or_refused(void **state)
{
    struct fixture *f = *state;
    struct sf_error err;

    assert_int_equal(bind(f, "amount,Order No,qty", &err), SF_OK);
    assert_int_equal(bind(f, "amount,order_id,colour", &err), SF_INVALID);
    assert_string_equal(err.text, "line 1: column 3 ('colour') is no field of table 'orders'");
    assert_int_equal(err.number, 203);
    assert_int_equal(bind(f, "amount,Ola Nordmann", &err), SF_INVALID);
    assert_string_equal(err.text, "line 1: column 2 is no field of table 'orders'");
    assert_int_equal(bind(f, "amount,order_id,Order No", &err), SF_INVALID);
    assert_string_equal(err.text, "line 1: column 'order_id' is there twice");
    assert_int_equal(err.number, 201);
    assert_int_equal(bind(f, "\n\norder_id,qty", &err), SF_INVALID);
    assert_string_equal(err.text, "line 3: there is no column for 'amount', which is required");
    assert_int_equal(err.number, 206);
}

static void test_csv_rows_become_values(void **state)
{
    struct fixture *f = *state;
    struct sf_error err;

    assert_int_equal(bind(f, "amount,Order No,paid,note,country,ratio", &err), SF_OK);
    assert_string_equal(read_csv(f, "12.3,O-1,1,,,2.5"), "");
    assert_int_equal(f->values[AMOUNT].i, 1230);
    assert_int_equal(f->values[PAID].i, 1);
    assert_false(f->values[NOTE].present);
    assert_text(&f->values[COUNTRY], "NO");
    assert_true(f->values[RATIO].d == 2.5);
    assert_false(f->values[QTY].present);
    assert_string_equal(read_csv(f, "1,O-1,false,a@b.no,SE,"), "");
    assert_true(f->values[PAID].present && f->values[PAID].i == 0);
    assert_false(f->values[RATIO].present);
}

static void test_csv_rows_are_refused_with_words(void **state)
{
    struct fixture *f = *state;
    struct sf_error err;

    assert_int_equal(bind(f, "amount,order_id,paid,qty,note", &err), SF_OK);
    assert_string_equal(read_csv(f, "1,O-1,1"), "202 -1 3 cells, but the header has 5;");
    assert_string_equal(read_csv(f, "x,,yes,\"\",\"\""),
                        "204 2 'amount' must be a number;204 5 'paid' must be true or false;"
                        "204 3 'qty' must be a whole number;205 11 'note' is not of its format;"
                        "206 0 'order_id' is missing;");
    assert_string_equal(read_csv(f, "1,O-\xff,,,"), "207 0 'order_id' is not valid UTF-8;");
}

static void test_valid_records_take_nothing_from_the_heap(void **state)
{
    struct fixture *f = *state;
    const char *line =
        "{\"order_id\":\"O-1\",\"amount\":1.5,\"blob\":\"AAAA\",\"note\":\"a@b.no\"}";

    assert_string_equal(read_json(f, line), "");
    sf_alloc_fail_after(0, 1);
    for (int i = 0; i < 3; i++) {
        struct sf_error err;

        assert_int_equal(
            sf_record_from_json(f->reader, sf_slice_text(line), f->values, &f->verdict, &err),
            SF_OK);
        assert_int_equal(f->verdict.found, 0);
    }
    assert_int_equal(sf_alloc_faults(), 0);
    sf_alloc_fail_after(-1, 0);
}

/* How many allocations a new reader makes to read @line; every one of them fails once. */
static long fail_every_allocation(const char *line)
{
    struct sf_record_reader *reader = NULL;
    struct sf_value values[FIELDS];
    struct sf_verdict verdict;
    struct sf_error err;
    enum sf_code code;
    long n = 0;

    do {
        sf_alloc_fail_after(n++, 0);
        code = sf_record_reader_new(&table, &reader, &err);
        if (code == SF_OK) {
            code = sf_record_from_json(reader, sf_slice_text(line), values, &verdict, &err);
            assert_true(code == SF_NOMEM || verdict.found == 0);
        }
        assert_true(code == SF_OK || code == SF_NOMEM);
        sf_record_reader_free(reader);
        reader = NULL;
    } while (code != SF_OK);
    assert_int_equal(sf_alloc_faults(), 0);
    sf_alloc_fail_after(-1, 0);
    return n - 1;
}

static void test_every_failed_allocation_is_said_and_no_verdict(void **state)
{
    (void)state;
    /* Seven pieces of the reader, two for counting defaults, and bytes. */
    assert_int_equal(
        fail_every_allocation("{\"order_id\":\"O-1\",\"amount\":1.5,\"blob\":\"AAAA\"}"), 10);
    /* With an escape, a document as well. */
    assert_int_equal(
        fail_every_allocation("{\"order_id\":\"O-\\u0031\",\"amount\":1.5,\"blob\":\"AAAA\"}"), 11);
}

/* A scan that gives up late leaves nothing behind; one that does not takes what a document takes.
 */
static void test_plain_records_are_read_as_documents_are(void **state)
{
    static const char *const lines[] = {
        "{\"order_id\":\"O-1\",\"amount\":1.5}",
        " {\t\"amount\" : 1.5 ,\"order_id\" :\"O-1\" } \r",
        "{\"order_id\":\"O-1\",\"amount\":\"1.5\"}",
        "{\"order_id\":\"\\u004f-1\",\"amount\":1.5}",
        "{\"order_id\":\"O-1\",\"am\\u006funt\":1.5}",
        "{\"order_id\":\"O-1\",\"amount\":15e-1}",
    };
    static const char *const wrong[] = {
        "{\"order_id\":\"O-1\",\"amount\":1.5}}",   "{\"order_id\":\"O-1\",\"amount\":1.5,}",
        "{\"order_id\":\"O-1\",\"amount\":01.5}",   "{\"order_id\":\"O-1\",\"amount\":1.}",
        "{\"order_id\":\"O-1\" \"amount\":1.5}",    "{\"order_id\":\"O-1\",\"amount\":1.5",
        "{\"order_id\":\"O-1\",\"amount\":tru}",    "{\"order_id\":\"O-\x01\",\"amount\":1.5}",
        "{\"order_id\":\"O-\xff\",\"amount\":1.5}",
    };
    const struct fixture *f = *state;
    struct sf_value values[FIELDS];
    struct sf_verdict verdict;

    for (size_t i = 0; i < SF_COUNT(lines); i++) {
        assert_int_equal(
            sf_record_from_json(f->reader, sf_slice_text(lines[i]), values, &verdict, NULL), SF_OK);
        assert_int_equal(verdict.found, 0);
        assert_true(sf_slice_equal(values[0].s, SF_LITERAL("O-1")));
    }
    for (size_t i = 0; i < SF_COUNT(wrong); i++) {
        assert_int_equal(
            sf_record_from_json(f->reader, sf_slice_text(wrong[i]), values, &verdict, NULL), SF_OK);
        assert_int_equal(verdict.found, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_json_becomes_values_of_the_types, setup, teardown),
        cmocka_unit_test_setup_teardown(test_absent_null_and_defaults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_members_are_found_in_any_order_and_by_source_name,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_values_of_other_types_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_values_out_of_range_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rules_of_fields_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unknown_and_doubled_fields_are_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_the_list_of_violations_is_bounded_and_counted, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_what_is_no_record_says_why, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_record_of_containers_costs_one_walk, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_violations_never_hold_a_value, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_delete_reads_the_key_only, setup, teardown),
        cmocka_unit_test_setup_teardown(test_csv_header_is_bound_or_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_csv_rows_become_values, setup, teardown),
        cmocka_unit_test_setup_teardown(test_csv_rows_are_refused_with_words, setup, teardown),
        cmocka_unit_test_setup_teardown(test_valid_records_take_nothing_from_the_heap, setup,
                                        teardown),
        cmocka_unit_test(test_every_failed_allocation_is_said_and_no_verdict),
        cmocka_unit_test_setup_teardown(test_plain_records_are_read_as_documents_are, setup,
                                        teardown),
    };

    return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
