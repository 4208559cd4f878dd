#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "common/contract/infer.h"
#include "common/contract/product_file.h"
#include "common/wire/csv.h"
#include "proto/errors.h"

static const struct sf_infer_options options = {"sales", "web-orders", NULL};

/* Feeds CSV text: the header, then every row. */
static enum sf_code feed(struct sf_infer *i, const char *text, struct sf_error *err)
{
    struct sf_csv csv = {0};
    struct sf_slice rest = sf_slice_text(text);
    enum sf_code code = SF_OK;

    while (code == SF_OK && sf_csv_next(&csv, &rest, /* last= */ true, err) == SF_OK) {
        struct sf_slice names[16];
        struct sf_cell cells[16];

        for (size_t c = 0; c < csv.cell_count; c++) {
            names[c] = csv.cells[c].text;
            cells[c] = (struct sf_cell){.text = csv.cells[c].text, .null = csv.cells[c].is_null};
        }
        code = csv.line == 1 ? sf_infer_header(i, names, csv.cell_count, err)
                             : sf_infer_row(i, cells, csv.cell_count, err);
    }
    sf_csv_done(&csv);
    return code;
}

/* The tables part of the file that inference writes for CSV @text, which reads back the same. */
static void assert_inferred(const char *text, const char *wanted)
{
    struct sf_infer *i = NULL;
    struct sf_product *p = NULL;
    struct sf_product *back = NULL;
    struct sf_print_notes notes;
    struct sf_issues issues;
    struct sf_buf out = {0};
    struct sf_error err;
    const char *tables;

    assert_int_equal(sf_infer_new(&i, &err), SF_OK);
    assert_int_equal(feed(i, text, &err), SF_OK);
    assert_int_equal(sf_infer_product(i, &options, &p, &notes, &err), SF_OK);
    sf_product_print(p, &notes, &out);
    tables = strstr(sf_buf_cstr(&out), "    kind:");
    sf_issues_init(&issues, "p", sf_buf_view(&out));
    if (strncmp(tables, wanted, strlen(wanted)) != 0 ||
        strcmp(tables + strlen(wanted), "access: {default: request}\n") != 0) {
        fail_msg("inferred\n%s", tables);
    }
    assert_int_equal(sf_product_parse(&issues, &back, &err), SF_OK);
    assert_true(sf_product_equal(p, back));
    sf_issues_done(&issues);
    sf_buf_done(&out);
    sf_product_free(back);
    sf_product_free(p);
    sf_infer_free(i);
}

static void test_every_type_is_found(void **state)
{
    (void)state;
    assert_inferred(
        "b,i,l,dec,dbl,d,ts,u,s,zip\n"
        "true,1,3000000000,59.90,31.95376472,2024-02-29,2001-01-01T00:47:00Z,"
        "00112233-4455-6677-8899-aabbccddeeff,x,0150\n"
        "false,-5,1,-1,1e3,2023-01-01,2001-01-01T00:47:00+01:00,"
        "00112233-4455-6677-8899-aabbccddeeff,2,1234\n"
        "false,-5,1,-1,1e3,2023-01-01,2001-01-01T00:47:00+01:00,"
        "00112233-4455-6677-8899-aabbccddeeff,2,1234\n",
        "    kind: event\n"
        "    event_time: ts\n"
        "    fields:\n"
        "      b:   {number: 1, type: bool, required: true}\n"
        "      i:   {number: 2, type: int32, required: true}\n"
        "      l:   {number: 3, type: int64, required: true}\n"
        "      dec: {number: 4, type: \"decimal(12,2)\", required: true}\n"
        "      dbl: {number: 5, type: double, required: true}\n"
        "      d:   {number: 6, type: date, required: true}\n"
        "      ts:  {number: 7, type: timestamp, required: true}  # event time\n"
        "      u:   {number: 8, type: uuid, required: true}\n"
        "      s:   {number: 9, type: string, required: true}\n"
        "      zip: {number: 10, type: string, required: true}  # digits with leading zeros stay "
        "text\n");
}

static void test_the_last_row_counts_as_much_as_the_first(void **state)
{
    struct sf_buf text = {0};

    (void)state;
    sf_buf_text(&text, "w,d,r\n");
    for (unsigned i = 0; i < 5000; i++) {
        sf_buf_text(&text, "1,2001-01-01,x\n");
    }
    sf_buf_text(&text, "1.5,2001-02-30,\n");
    assert_inferred(sf_buf_cstr(&text), "    kind: event\n"
                                        "    fields:\n"
                                        "      w: {number: 1, type: \"decimal(12,1)\", required: "
                                        "true}\n"
                                        "      d: {number: 2, type: string, required: true}\n"
                                        "      r: {number: 3, type: string}\n");
    sf_buf_done(&text);
}

static void test_numbers_lose_no_digits(void **state)
{
    (void)state;
    assert_inferred("w,a,b,c,d\n"
                    "x,9223372036854775808,12345678901234567890,+1,123456789012345.6789\n"
                    "x,1,1.5,1,0.1234\n",
                    "    kind: event\n"
                    "    fields:\n"
                    "      w: {number: 1, type: string, required: true}\n"
                    "      a: {number: 2, type: string, required: true}\n"
                    "      b: {number: 3, type: \"decimal(38,1)\", required: true}\n"
                    "      c: {number: 4, type: string, required: true}\n"
                    "      d: {number: 5, type: \"decimal(38,4)\", required: true}\n");
}

static void test_decimals_leave_room(void **state)
{
    (void)state;
    assert_inferred("w,a,b,c,e\nx,12345678901.5,0.12345,-0,1\nx,123456789012.55,0.1,1,1.25\n",
                    "    kind: event\n"
                    "    fields:\n"
                    "      w: {number: 1, type: string, required: true}\n"
                    "      a: {number: 2, type: \"decimal(18,2)\", required: true}\n"
                    "      b: {number: 3, type: double, required: true}\n"
                    "      c: {number: 4, type: double, required: true}\n"
                    "      e: {number: 5, type: \"decimal(12,2)\", required: true}\n");
}

static void test_common_ways_to_write_time_give_a_parse_key(void **state)
{
    (void)state;
    assert_inferred(
        "w,a,b,c,d,e,f\n"
        "x,2001/01/01 00:47,2001-01-01 00:47:00,31.12.2001,1/13/2001 3:04 PM,01/02/2001,"
        "2001-01-01T00:00:00.5Z\n"
        "x,2001/12/31 23:59,2001-12-31 23:59:59,1.1.2001,12/31/2001 11:04 AM,02/01/2001,"
        "2001-01-01T00:00:00+02:00\n",
        "    kind: event\n"
        "    event_time: a\n"
        "    fields:\n"
        "      w: {number: 1, type: string, required: true}\n"
        "      a: {number: 2, type: timestamp, required: true, parse: \"%Y/%m/%d %H:%M\"}  # event "
        "time\n"
        "      b: {number: 3, type: timestamp, required: true, parse: \"%Y-%m-%d %H:%M:%S\"}\n"
        "      c: {number: 4, type: date, required: true, parse: \"%d.%m.%Y\"}\n"
        "      d: {number: 5, type: timestamp, required: true, parse: \"%m/%d/%Y %I:%M %p\"}\n"
        "      e: {number: 6, type: string, required: true}  # dates, but day and month cannot be "
        "told apart: name type and parse\n"
        "      f: {number: 7, type: timestamp, required: true}\n");
}

static void test_a_day_above_twelve_tells_day_and_month_apart(void **state)
{
    (void)state;
    assert_inferred(
        "w,a,b\nx,13/01/2001,01/13/2001\nx,01/02/2001,01/02/2001\n",
        "    kind: event\n"
        "    event_time: a\n"
        "    fields:\n"
        "      w: {number: 1, type: string, required: true}\n"
        "      a: {number: 2, type: date, required: true, parse: \"%d/%m/%Y\"}  # event "
        "time\n"
        "      b: {number: 3, type: date, required: true, parse: \"%m/%d/%Y\"}\n");
}

static void test_a_key_is_unique_never_null_and_looks_like_one(void **state)
{
    (void)state;
    /* By name before the first column; identifiers get room to grow. */
    assert_inferred("name,order_id\na,1\nb,2\n",
                    "    kind: state\n"
                    "    key: [order_id]\n"
                    "    fields:\n"
                    "      name:     {number: 1, type: string, required: true}\n"
                    "      order_id: {number: 2, type: int64, required: true}  # key: unique in 2 "
                    "rows\n");
    /* Not unique. */
    assert_inferred("order_id,v\n1,x\n2,x\n1,x\n",
                    "    kind: event\n"
                    "    fields:\n"
                    "      order_id: {number: 1, type: int32, required: true}\n"
                    "      v:        {number: 2, type: string, required: true}\n");
    /* Null once. */
    assert_inferred("order_id,v\n1,x\n,x\n3,x\n",
                    "    kind: event\n"
                    "    fields:\n"
                    "      order_id: {number: 1, type: int32}\n"
                    "      v:        {number: 2, type: string, required: true}\n");
    /* Measurements are unique by chance. */
    assert_inferred("price,count\n1.5,7\n2.5,8\n",
                    "    kind: event\n"
                    "    fields:\n"
                    "      price: {number: 1, type: \"decimal(12,1)\", required: true}\n"
                    "      count: {number: 2, type: int32, required: true}\n");
    /* Personal data makes no key. */
    assert_inferred("email,w\na@b.no,1\nb@b.no,1\n",
                    "    kind: event\n"
                    "    fields:\n"
                    "      email: {number: 1, type: string, required: true, class: pii, format: "
                    "email}  # 100% look like e-mail\n"
                    "      w:     {number: 2, type: int32, required: true}\n");
    /* One value in two spellings. */
    assert_inferred("uuid,w\n00112233-4455-6677-8899-aabbccddeeff,1\n"
                    "00112233-4455-6677-8899-AABBCCDDEEFF,1\n",
                    "    kind: event\n"
                    "    fields:\n"
                    "      uuid: {number: 1, type: uuid, required: true}\n"
                    "      w:    {number: 2, type: int32, required: true}\n");
    assert_inferred("day,w\n2001-01-01,1\n2001-01-02,1\n",
                    "    kind: state\n"
                    "    key: [day]\n"
                    "    event_time: day\n"
                    "    fields:\n"
                    "      day: {number: 1, type: date, required: true}  # key: unique in 2 rows; "
                    "event time\n"
                    "      w:   {number: 2, type: int32, required: true}\n");
}

static void test_a_late_duplicate_is_seen_in_a_large_file(void **state)
{
    enum { ROWS = 200000 };

    (void)state;
    for (unsigned duplicate = 0; duplicate < 2; duplicate++) {
        struct sf_slice name = SF_LITERAL("id");
        struct sf_infer *i = NULL;
        struct sf_product *p = NULL;
        struct sf_error err;

        assert_int_equal(sf_infer_new(&i, &err), SF_OK);
        assert_int_equal(sf_infer_header(i, &name, 1, &err), SF_OK);
        for (unsigned row = 0; row < ROWS; row++) {
            char text[16];
            unsigned id = duplicate == 1 && row == ROWS - 1 ? 4711 : row;
            struct sf_cell cell = {
                .text = sf_slice_of(text, (size_t)snprintf(text, sizeof(text), "%u", id))};

            assert_int_equal(sf_infer_row(i, &cell, 1, &err), SF_OK);
        }
        assert_int_equal(sf_infer_product(i, &options, &p, NULL, &err), SF_OK);
        assert_int_equal(p->tables[0].key_count, duplicate == 1 ? 0 : 1);
        sf_product_free(p);
        sf_infer_free(i);
    }
}

static void test_classes_come_from_values_and_names(void **state)
{
    struct sf_buf text = {0};

    (void)state;
    sf_buf_text(&text, "w,contact,mostly,some,phone,mailbox\n");
    for (unsigned i = 0; i < 20; i++) {
        sf_buf_printf(&text, "x,a@b.no,%s,%s,1,x\n", i < 18 ? "a@b.no" : "none",
                      i < 17 ? "a@b.no" : "none");
    }
    assert_inferred(
        sf_buf_cstr(&text),
        "    kind: event\n"
        "    fields:\n"
        "      w:       {number: 1, type: string, required: true}\n"
        "      contact: {number: 2, type: string, required: true, class: pii, format: "
        "email}  # 100% look like e-mail\n"
        "      mostly:  {number: 3, type: string, required: true, class: pii}  # 90% look "
        "like e-mail\n"
        "      some:    {number: 4, type: string, required: true}\n"
        "      phone:   {number: 5, type: int32, required: true, class: pii}  # the name "
        "suggests personal data\n"
        "      mailbox: {number: 6, type: string, required: true}\n");
    sf_buf_done(&text);
}

static void test_names_become_field_names_once_each(void **state)
{
    (void)state;
    assert_inferred(
        "Order No,customerID,HTTPStatus,2nd,\xc3\x98re,%,a b,a-b,a_b,order_no\n"
        "1,1,1,1,1,1,1,1,1,1\n1,1,1,1,1,1,1,1,1,1\n",
        "    kind: event\n"
        "    fields:\n"
        "      order_no_2:  {number: 1, type: int32, required: true, source: Order No}\n"
        "      customer_id: {number: 2, type: int32, required: true, source: customerID}\n"
        "      http_status: {number: 3, type: int32, required: true, source: HTTPStatus}\n"
        "      c_2nd:       {number: 4, type: int32, required: true, source: \"2nd\"}\n"
        "      re:          {number: 5, type: int32, required: true, source: "
        "\"\xc3\x98re\"}\n"
        "      column_6:    {number: 6, type: int32, required: true, source: \"%\"}\n"
        "      a_b_2:       {number: 7, type: int32, required: true, source: a b}\n"
        "      a_b_3:       {number: 8, type: int32, required: true, source: a-b}\n"
        "      a_b:         {number: 9, type: int32, required: true}\n"
        "      order_no:    {number: 10, type: int32, required: true}\n");
}

static void test_empty_columns_and_quoted_empty_cells(void **state)
{
    (void)state;
    assert_inferred("w,e,q\nx,,\"\"\nx,,\"\"\n",
                    "    kind: event\n"
                    "    fields:\n"
                    "      w: {number: 1, type: string, required: true}\n"
                    "      e: {number: 2, type: string}  # always empty\n"
                    "      q: {number: 3, type: string, required: true}"
                    "\n");
}

static void test_columns_may_come_late_and_quoted_digits_are_text(void **state)
{
    struct sf_infer *i = NULL;
    struct sf_product *p = NULL;
    struct sf_error err;
    struct sf_cell cells[2] = {{.text = SF_LITERAL("17"), .quoted = true},
                               {.text = SF_LITERAL("17")}};
    size_t column = 9;

    (void)state;
    assert_int_equal(sf_infer_new(&i, &err), SF_OK);
    assert_int_equal(sf_infer_column(i, SF_LITERAL("zip"), &column, &err), SF_OK);
    assert_int_equal(column, 0);
    assert_int_equal(sf_infer_row(i, cells, 1, &err), SF_OK);
    assert_int_equal(sf_infer_column(i, SF_LITERAL("late"), &column, &err), SF_OK);
    assert_int_equal(column, 1);
    assert_int_equal(sf_infer_column(i, SF_LITERAL("zip"), &column, &err), SF_OK);
    assert_int_equal(column, 0);
    assert_int_equal(sf_infer_row(i, cells, 2, &err), SF_OK);
    assert_int_equal(sf_infer_product(i, &options, &p, NULL, &err), SF_OK);
    assert_string_equal(p->domain, "sales");
    assert_string_equal(p->name, "web-orders");
    assert_string_equal(p->tables[0].name, "web_orders");
    assert_int_equal(p->tables[0].fields[0].type, SF_TYPE_STRING);
    assert_true(p->tables[0].fields[0].required);
    assert_int_equal(p->tables[0].fields[1].type, SF_TYPE_INT32);
    assert_false(p->tables[0].fields[1].required);
    sf_product_free(p);
    sf_infer_free(i);
}

static void assert_not_inferred(const char *text, const char *wanted)
{
    struct sf_infer *i = NULL;
    struct sf_product *p = NULL;
    struct sf_error err;
    enum sf_code code;

    assert_int_equal(sf_infer_new(&i, &err), SF_OK);
    code = feed(i, text, &err);
    if (code == SF_OK) {
        code = sf_infer_product(i, &options, &p, NULL, &err);
    }
    assert_int_equal(code, SF_INVALID);
    assert_int_equal(err.number, SHEAF_E_CANNOT_INFER);
    assert_string_equal(err.text, wanted);
    sf_infer_free(i);
}

static void test_what_gives_no_contract_is_told(void **state)
{
    (void)state;
    assert_not_inferred("", "there are no columns to infer from");
    assert_not_inferred("a,b\n", "there are no rows to infer from");
    assert_not_inferred("a,,b\n1,2,3\n", "column 2 has no name");
    assert_not_inferred("a,b,a\n1,2,3\n", "two columns have the name 'a'");
    assert_not_inferred("a,b\n1,2,3\n", "a row has 3 cells, but there are 2 columns");
}

static void test_survives_every_failed_allocation(void **state)
{
    (void)state;
    for (long after = 0;; after++) {
        struct sf_infer *i = NULL;
        struct sf_product *p = NULL;
        struct sf_slice names[] = {SF_LITERAL("Order No"), SF_LITERAL("email")};
        struct sf_cell cells[] = {{.text = SF_LITERAL("1")}, {.text = SF_LITERAL("a@b.no")}};
        struct sf_error err;
        enum sf_code code;
        bool hit;

        sf_alloc_fail_after(after, 0);
        code = sf_infer_new(&i, &err);
        code = code == SF_OK ? sf_infer_header(i, names, 2, &err) : code;
        code = code == SF_OK ? sf_infer_row(i, cells, 2, &err) : code;
        code = code == SF_OK ? sf_infer_product(i, &options, &p, NULL, &err) : code;
        hit = sf_alloc_faults() > 0;
        sf_alloc_fail_after(-1, 0);
        assert_int_equal(code, hit ? SF_NOMEM : SF_OK);
        sf_product_free(p);
        sf_infer_free(i);
        if (!hit) {
            break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_type_is_found),
        cmocka_unit_test(test_the_last_row_counts_as_much_as_the_first),
        cmocka_unit_test(test_numbers_lose_no_digits),
        cmocka_unit_test(test_decimals_leave_room),
        cmocka_unit_test(test_common_ways_to_write_time_give_a_parse_key),
        cmocka_unit_test(test_a_day_above_twelve_tells_day_and_month_apart),
        cmocka_unit_test(test_a_key_is_unique_never_null_and_looks_like_one),
        cmocka_unit_test(test_a_late_duplicate_is_seen_in_a_large_file),
        cmocka_unit_test(test_classes_come_from_values_and_names),
        cmocka_unit_test(test_names_become_field_names_once_each),
        cmocka_unit_test(test_empty_columns_and_quoted_empty_cells),
        cmocka_unit_test(test_columns_may_come_late_and_quoted_digits_are_text),
        cmocka_unit_test(test_what_gives_no_contract_is_told),
        cmocka_unit_test(test_survives_every_failed_allocation),
    };

    return cmocka_run_group_tests_name("infer", tests, NULL, NULL);
}
