#include "tests/lib/cmocka.h"

#include <string.h>

#include "cli/print.h"
#include "common/base/alloc.h"

/* What a printer wrote. */
struct written {
    char text[32768];
    FILE *stream;
    struct print print;
};

static void begin(struct written *w, enum print_format format)
{
    *w = (struct written){.text = ""};
    w->stream = fmemopen(w->text, sizeof(w->text), "w");
    assert_non_null(w->stream);
    w->print = (struct print){.out = w->stream, .format = format};
}

static void expect(struct written *w, const char *text)
{
    assert_int_equal(fclose(w->stream), 0);
    assert_string_equal(w->text, text);
}

static void print_two_rows(struct print *p)
{
    struct sf_error err;

    print_begin(p, PRINT_LIST, "RowList");
    print_row(p);
    print_text(p, "name", "Ærø, \"x\"");
    print_int(p, "n", -5);
    print_bool(p, "ok", true);
    print_text(p, "note", NULL);
    print_row(p);
    print_text(p, "name", "");
    print_uint(p, "n", 1200);
    print_bool(p, "ok", false);
    print_text(p, "note", "a\nb\033[31m");
    print_member_text(p, "position", "1:7");
    assert_int_equal(print_end(p, &err), SF_OK);
}

static void test_table_is_aligned_and_cannot_drive_the_terminal(void **state)
{
    struct written w;

    (void)state;
    begin(&w, PRINT_TABLE);
    print_two_rows(&w.print);
    expect(&w, "name         n  ok     note\n"
               "Ærø, \"x\"    -5  true\n"
               "          1200  false  a\\nb\\x1b[31m\n");
}

static void test_json_is_one_document(void **state)
{
    struct written w;

    (void)state;
    begin(&w, PRINT_JSON);
    print_two_rows(&w.print);
    expect(&w, "{\"apiVersion\":\"sheaf/v1\",\"kind\":\"RowList\",\"items\":[\n"
               "{\"name\":\"Ærø, \\\"x\\\"\",\"n\":-5,\"ok\":true,\"note\":null},\n"
               "{\"name\":\"\",\"n\":1200,\"ok\":false,\"note\":\"a\\nb\\u001b[31m\"}\n"
               "],\"position\":\"1:7\"}\n");
}

static void test_yaml_is_one_document(void **state)
{
    struct written w;
    struct sf_error err;

    (void)state;
    begin(&w, PRINT_YAML);
    print_two_rows(&w.print);
    expect(&w, "apiVersion: sheaf/v1\nkind: RowList\nitems:\n"
               "  - name: \"Ærø, \\\"x\\\"\"\n    \"n\": -5\n    ok: true\n    note: null\n"
               "  - name: \"\"\n    \"n\": 1200\n    ok: false\n    note: \"a\\nb\\u001b[31m\"\n"
               "position: \"1:7\"\n");
    begin(&w, PRINT_YAML);
    print_begin(&w.print, PRINT_LIST, "RowList");
    assert_int_equal(print_end(&w.print, &err), SF_OK);
    expect(&w, "apiVersion: sheaf/v1\nkind: RowList\nitems: []\n");
    begin(&w, PRINT_YAML);
    print_begin(&w.print, PRINT_OBJECT, "Row");
    print_row(&w.print);
    print_text(&w.print, "a", "sales/orders");
    print_text(&w.print, "b", "no");
    print_text(&w.print, "c", "1e3");
    print_text(&w.print, "d", "- x");
    print_text(&w.print, "n", "plain");
    assert_int_equal(print_end(&w.print, &err), SF_OK);
    expect(&w, "apiVersion: sheaf/v1\nkind: Row\na: sales/orders\nb: \"no\"\nc: \"1e3\"\n"
               "d: \"- x\"\n\"n\": plain\n");
}

static void test_names_are_one_per_line(void **state)
{
    struct written w;
    struct sf_error err;

    (void)state;
    begin(&w, PRINT_NAME);
    print_begin(&w.print, PRINT_LIST, "List");
    for (int i = 0; i < 2; i++) {
        print_row(&w.print);
        print_int(&w.print, "rows", i);
        print_text(&w.print, "product", i == 0 ? "sales/orders" : "sales/a\nb");
        print_text(&w.print, "domain", "sales");
    }
    assert_int_equal(print_end(&w.print, &err), SF_OK);
    expect(&w, "sales/orders\nsales/a\\nb\n");
    begin(&w, PRINT_NAME);
    print_begin(&w.print, PRINT_LIST, "List");
    print_row(&w.print);
    print_text(&w.print, "key", "K-1");
    print_text(&w.print, "note", "x");
    assert_int_equal(print_end(&w.print, &err), SF_OK);
    expect(&w, "K-1\n");
}

static void test_ndjson_is_one_object_per_line(void **state)
{
    struct written w;

    (void)state;
    begin(&w, PRINT_NDJSON);
    print_two_rows(&w.print);
    expect(&w, "{\"name\":\"Ærø, \\\"x\\\"\",\"n\":-5,\"ok\":true,\"note\":null}\n"
               "{\"name\":\"\",\"n\":1200,\"ok\":false,\"note\":\"a\\nb\\u001b[31m\"}\n");
}

static void test_csv_tells_null_from_empty(void **state)
{
    struct written w;

    (void)state;
    begin(&w, PRINT_CSV);
    print_two_rows(&w.print);
    expect(&w, "name,n,ok,note\n"
               "\"Ærø, \"\"x\"\"\",-5,true,\n"
               "\"\",1200,false,\"a\nb\033[31m\"\n");
}

static void print_object(struct print *p)
{
    struct sf_error err;

    print_begin(p, PRINT_OBJECT, "Grant");
    print_row(p);
    print_text(p, "id", "G-1");
    print_text(p, "reason", NULL);
    print_time(p, "until", INT64_C(1763625672000000));
    assert_int_equal(print_end(p, &err), SF_OK);
}

static void test_object_in_every_form(void **state)
{
    static const char *const texts[] = {
        [PRINT_TABLE] = "id      G-1\nuntil   2025-11-20T08:01:12Z\n",
        [PRINT_JSON] = "{\"apiVersion\":\"sheaf/v1\",\"kind\":\"Grant\",\"id\":\"G-1\","
                       "\"reason\":null,\"until\":\"2025-11-20T08:01:12Z\"}\n",
        [PRINT_NDJSON] = "{\"apiVersion\":\"sheaf/v1\",\"kind\":\"Grant\",\"id\":\"G-1\","
                         "\"reason\":null,\"until\":\"2025-11-20T08:01:12Z\"}\n",
        [PRINT_CSV] = "id,reason,until\nG-1,,2025-11-20T08:01:12Z\n",
    };

    (void)state;
    for (unsigned i = 0; i < SF_COUNT(texts); i++) {
        struct written w;

        begin(&w, (enum print_format)i);
        print_object(&w.print);
        expect(&w, texts[i]);
    }
}

static void test_empty_list_and_failed_command(void **state)
{
    struct written w;
    struct sf_error err;

    (void)state;
    begin(&w, PRINT_JSON);
    print_begin(&w.print, PRINT_LIST, "ProductList");
    assert_int_equal(print_end(&w.print, &err), SF_OK);
    expect(&w, "{\"apiVersion\":\"sheaf/v1\",\"kind\":\"ProductList\",\"items\":[]}\n");
    begin(&w, PRINT_JSON);
    print_begin(&w.print, PRINT_LIST, "ProductList");
    print_done(&w.print);
    expect(&w, "");
}

static void test_long_tables_go_on_with_their_widths(void **state)
{
    struct written w;
    struct sf_error err;
    size_t lines = 0;

    (void)state;
    begin(&w, PRINT_TABLE);
    print_begin(&w.print, PRINT_LIST, "RowList");
    for (unsigned i = 0; i < 2 * PRINT_ROWS_MAX + 1; i++) {
        print_row(&w.print);
        print_uint(&w.print, "number", i);
    }
    assert_int_equal(print_end(&w.print, &err), SF_OK);
    assert_int_equal(fclose(w.stream), 0);
    for (const char *at = w.text; *at != '\0'; at = strchr(at, '\n') + 1) {
        assert_int_equal(strcspn(at, "\n"), 6);
        lines++;
    }
    assert_int_equal(lines, 2 * PRINT_ROWS_MAX + 2);
}

static void print_events(struct print *p, unsigned width)
{
    struct sf_error err;

    p->width = width;
    print_begin(p, PRINT_LIST, "EventList");
    for (unsigned i = 0; i < 2; i++) {
        print_row(p);
        print_uint(p, "number", 1200000 + i);
        print_text(p, "time", "2026-11-20T22:41:23.768801Z");
        print_text(p, "detail",
                   i == 0 ? "request=AR-1 product=sales/Ærø@1 consumer=marketing" : "");
    }
    assert_int_equal(print_end(p, &err), SF_OK);
}

static void expect_events(unsigned width, const char *text)
{
    struct written w;

    begin(&w, PRINT_TABLE);
    print_events(&w.print, width);
    expect(&w, text);
    assert_int_equal(w.print.width, width);
}

static void test_a_table_fits_its_terminal(void **state)
{
    const char *const wide = " number  time                         detail\n"
                             "1200000  2026-11-20T22:41:23.768801Z  request=AR-1 "
                             "product=sales/Ærø@1 consumer=marketing\n"
                             "1200001  2026-11-20T22:41:23.768801Z\n";
    const char *const narrow =
        " number time                        detail\n"
        "1200000 2026-11-20T22:41:23.768801Z request=AR-1 product=sales/Ærø@1 consumer=marketing\n"
        "1200001 2026-11-20T22:41:23.768801Z\n";

    (void)state;
    expect_events(0, wide);
    expect_events(89, wide);
    expect_events(88, narrow);
    expect_events(87, narrow);
    expect_events(86, " number  time                         detail\n"
                      "1200000  2026-11-20T22:41:23.768801Z  request=AR-1 product=sales/Ærø@1\n"
                      "                                      consumer=marketing\n"
                      "1200001  2026-11-20T22:41:23.768801Z\n");
    expect_events(51, " number  time                         detail\n"
                      "1200000  2026-11-20T22:41:23.768801Z  request=AR-1\n"
                      "                                      product=\n"
                      "                                      sales/Ærø@1\n"
                      "                                      consumer=\n"
                      "                                      marketing\n"
                      "1200001  2026-11-20T22:41:23.768801Z\n");
    expect_events(50, "number  1200000\n"
                      "time    2026-11-20T22:41:23.768801Z\n"
                      "detail  request=AR-1 product=sales/Ærø@1\n"
                      "        consumer=marketing\n"
                      "\n"
                      "number  1200001\n"
                      "time    2026-11-20T22:41:23.768801Z\n");
}

static void test_a_long_table_keeps_its_layout(void **state)
{
    struct written w;
    struct sf_error err;
    size_t lines = 0;

    (void)state;
    begin(&w, PRINT_TABLE);
    w.print.width = 19;
    print_begin(&w.print, PRINT_LIST, "RowList");
    for (unsigned i = 0; i < PRINT_ROWS_MAX + 1; i++) {
        print_row(&w.print);
        print_uint(&w.print, "n", 1000 + i);
        print_text(&w.print, "t",
                   i < PRINT_ROWS_MAX ? "first and then last" : "first, last and between");
    }
    assert_int_equal(print_end(&w.print, &err), SF_OK);
    assert_int_equal(fclose(w.stream), 0);
    for (const char *at = w.text; *at != '\0'; at = strchr(at, '\n') + 1) {
        assert_true(strcspn(at, "\n") <= 19);
        lines++;
    }
    assert_int_equal(lines, 1 + 2 * (PRINT_ROWS_MAX + 1));
    assert_non_null(strstr(w.text, "\n1999  first and\n      then last\n2000  first, last\n"));
}

static void test_means_of_large_numbers_are_no_powers_of_ten(void **state)
{
    struct written w;
    struct sf_error err;

    (void)state;
    begin(&w, PRINT_TABLE);
    print_begin(&w.print, PRINT_LIST, "L");
    print_row(&w.print);
    print_double(&w.print, "a", 92.71211);
    print_double(&w.print, "b", 1851222.5);
    print_double(&w.print, "c", -1234567890.5);
    print_double(&w.print, "d", 999999.0);
    assert_int_equal(print_end(&w.print, &err), SF_OK);
    expect(&w, "      a        b            c       d\n"
               "92.7121  1851222  -1234567890  999999\n");
}

static void test_json_values_keep_their_text(void **state)
{
    struct written w;
    struct sf_error err;
    struct sf_json_doc *doc = NULL;

    (void)state;
    assert_int_equal(
        sf_json_parse(
            SF_LITERAL(
                "{\"kind\":\"X\",\"d\":12.50,\"l\":[\"a\",\"b\"],"
                "\"o\":{\"k\":1,\"m\":\"v\"},\"z\":[],\"t\":\"2026-09-01T07:43:05.000000Z\"}"),
            &doc, &err),
        SF_OK);
    begin(&w, PRINT_TABLE);
    print_begin(&w.print, PRINT_LIST, "L");
    print_answer_members(&w.print, sf_json_root(doc));
    assert_int_equal(print_end(&w.print, &err), SF_OK);
    expect(&w, "    d  l     o        z  t\n"
               "12.50  a, b  k=1 m=v     2026-09-01T07:43:05Z\n");
    begin(&w, PRINT_NDJSON);
    print_begin(&w.print, PRINT_LIST, "L");
    print_answer_members(&w.print, sf_json_root(doc));
    assert_int_equal(print_end(&w.print, &err), SF_OK);
    expect(&w, "{\"d\":12.50,\"l\":[\"a\",\"b\"],\"o\":{\"k\":1,\"m\":\"v\"},\"z\":[],"
               "\"t\":\"2026-09-01T07:43:05.000000Z\"}\n");
    sf_json_free(doc);
}

static void test_no_memory_is_said_at_the_end(void **state)
{
    long fault = 0;
    enum sf_code code = SF_NOMEM;

    (void)state;
    for (fault = 0; code != SF_OK && fault < 100; fault++) {
        struct written w;
        struct sf_error err;

        begin(&w, PRINT_TABLE);
        sf_alloc_fail_after(fault, /* forever= */ 0);
        print_begin(&w.print, PRINT_LIST, "L");
        for (unsigned i = 0; i < 40; i++) {
            print_row(&w.print);
            print_text(&w.print, "a", "some text that makes the buffer grow");
            print_uint(&w.print, "b", i);
        }
        code = print_end(&w.print, &err);
        sf_alloc_fail_after(-1, 0);
        assert_true(code == SF_OK || code == SF_NOMEM);
        assert_int_equal(fclose(w.stream), 0);
    }
    assert_int_equal(code, SF_OK);
    assert_true(fault > 3);
}

static void test_an_end_that_is_near_is_told_to_the_minute(void **state)
{
    const int64_t day_us = (int64_t)86400 * 1000000;
    const int64_t now_us = (int64_t)1795186016 * 1000000; /* 2026-11-20T14:46:56Z */
    char text[PRINT_TIME_SIZE];

    (void)state;
    print_until_text(now_us + 90 * day_us, now_us, text);
    assert_string_equal(text, "2027-02-18");
    print_until_text(now_us + 2 * day_us + 1, now_us, text);
    assert_string_equal(text, "2026-11-22");
    print_until_text(now_us + 2 * day_us, now_us, text);
    assert_string_equal(text, "2026-11-22T14:46Z");
    print_until_text(now_us - day_us, now_us, text);
    assert_string_equal(text, "2026-11-19T14:46Z");
    print_until_text(now_us - 3 * day_us, now_us, text);
    assert_string_equal(text, "2026-11-17");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_is_aligned_and_cannot_drive_the_terminal),
        cmocka_unit_test(test_json_is_one_document),
        cmocka_unit_test(test_yaml_is_one_document),
        cmocka_unit_test(test_names_are_one_per_line),
        cmocka_unit_test(test_ndjson_is_one_object_per_line),
        cmocka_unit_test(test_csv_tells_null_from_empty),
        cmocka_unit_test(test_object_in_every_form),
        cmocka_unit_test(test_empty_list_and_failed_command),
        cmocka_unit_test(test_long_tables_go_on_with_their_widths),
        cmocka_unit_test(test_a_table_fits_its_terminal),
        cmocka_unit_test(test_a_long_table_keeps_its_layout),
        cmocka_unit_test(test_means_of_large_numbers_are_no_powers_of_ten),
        cmocka_unit_test(test_json_values_keep_their_text),
        cmocka_unit_test(test_no_memory_is_said_at_the_end),
        cmocka_unit_test(test_an_end_that_is_near_is_told_to_the_minute),
    };

    return cmocka_run_group_tests_name("print", tests, NULL, NULL);
}
