#include "tests/lib/cmocka.h"

#include "common/base/alloc.h"
#include "common/wire/csv.h"

/* Records as "line:cell|cell;" with null as ~, then the code that ended them. */
static void split(const char *text, struct sf_buf *log)
{
    struct sf_slice left = sf_slice_text(text);
    struct sf_csv c = {0};
    struct sf_error err = {.text = ""};
    enum sf_code code;

    sf_buf_clear(log);
    while ((code = sf_csv_next(&c, &left, true, &err)) == SF_OK) {
        sf_buf_printf(log, "%llu:", (unsigned long long)c.line);
        for (size_t i = 0; i < c.cell_count; i++) {
            sf_buf_text(log, i == 0 ? "" : "|");
            sf_buf_slice(log, c.cells[i].is_null ? SF_LITERAL("~") : c.cells[i].text);
        }
        sf_buf_text(log, ";");
    }
    if (code != SF_ABSENT) {
        assert_int_equal(code, SF_INVALID);
        assert_int_equal(err.number, 201);
        sf_buf_text(log, err.text);
    }
    sf_csv_done(&c);
}

static void test_cells_are_split_as_rfc_4180_says(void **state)
{
    static const struct {
        const char *text;
        const char *records;
    } cases[] = {
        {"", ""},
        {"a", "1:a;"},
        {"a,b\n", "1:a|b;"},
        {"a,b\r\nc,d\r\n", "1:a|b;2:c|d;"},
        {",\n", "1:~|~;"},
        {"\"\",\n", "1:|~;"},
        {" a , \n", "1: a | ;"},
        {"\"a,b\",\"c\"\"d\"\n", "1:a,b|c\"d;"},
        {"\"\"\"\"\n", "1:\";"},
        {"\"x\ny\r\nz\",2\n3,4", "1:x\ny\r\nz|2;4:3|4;"},
        {"\n\r\n\na\n\nb\n\r", "4:a;6:b;"},
        {"\xef\xbb\xbf"
         "a,b\n",
         "1:a|b;"},
        {"a,\"b\"\r", "1:a|b;"},
    };
    struct sf_buf log = {0};

    (void)state;
    for (size_t i = 0; i < SF_COUNT(cases); i++) {
        split(cases[i].text, &log);
        assert_string_equal(sf_buf_cstr(&log), cases[i].records);
    }
    sf_buf_done(&log);
}

static void test_malformed_records_are_refused_with_line_and_column(void **state)
{
    static const struct {
        const char *text;
        const char *said;
    } cases[] = {
        {"a\n1,x\"y\n2,\"z\"",
         "1:a;line 2, column 4: a quote inside a cell that does not begin with one"},
        {"a\n\"b\"c\n", "1:a;line 2, column 4: more behind the closing quote of a cell"},
        {"a\n\n\"b\nc\nd", "1:a;line 3, column 1: the quote is not closed"},
        {"\"a\nb\",\"c\nd", "line 2, column 4: the quote is not closed"},
        {"a\rb\n", "line 1, column 2: a carriage return without a line feed"},
        {"\"a\n\",b\rc\n", "line 2, column 4: a carriage return without a line feed"},
    };
    struct sf_buf log = {0};

    (void)state;
    for (size_t i = 0; i < SF_COUNT(cases); i++) {
        split(cases[i].text, &log);
        assert_string_equal(sf_buf_cstr(&log), cases[i].said);
    }
    sf_buf_done(&log);
}

static void test_an_unfinished_record_waits_for_more(void **state)
{
    struct sf_slice text = SF_LITERAL("a,b\n\"c\nd");
    struct sf_csv c = {0};
    struct sf_error err;

    (void)state;
    assert_int_equal(sf_csv_next(&c, &text, false, &err), SF_OK);
    assert_int_equal(c.cell_count, 2);
    assert_int_equal(c.cells[1].column, 3);
    assert_int_equal(sf_csv_next(&c, &text, false, &err), SF_ABSENT);
    assert_int_equal(text.size, 4);
    text = SF_LITERAL("\"c\nd\",e\n");
    assert_int_equal(sf_csv_next(&c, &text, false, &err), SF_OK);
    assert_int_equal(c.line, 2);
    assert_int_equal(text.size, 0);
    assert_int_equal(sf_csv_next(&c, &text, false, &err), SF_ABSENT);
    sf_csv_done(&c);
}

static void test_records_have_a_largest_size(void **state)
{
    size_t size = SF_RECORD_TEXT_MAX + 2;
    char *text = sf_alloc(size);
    struct sf_csv c = {0};
    struct sf_ndjson n = {0};
    struct sf_slice line;
    struct sf_slice left;
    struct sf_error err;

    (void)state;
    assert_non_null(text);
    memset(text, 'x', size);
    text[0] = '\n';
    left = sf_slice_of(text, size);
    assert_int_equal(sf_csv_next(&c, &left, false, &err), SF_INVALID);
    assert_string_equal(err.text, "line 2, column 1: the record is longer than 1048576 bytes");
    left = sf_slice_of(text, size);
    assert_int_equal(sf_ndjson_next(&n, &left, false, &line, &err), SF_INVALID);
    assert_string_equal(err.text, "line 2, column 1: the record is longer than 1048576 bytes");
    left = sf_slice_of(text, size - 1);
    n = (struct sf_ndjson){0};
    assert_int_equal(sf_ndjson_next(&n, &left, true, &line, &err), SF_OK);
    assert_int_equal(line.size, SF_RECORD_TEXT_MAX);
    left = sf_slice_of(text, size);
    n = (struct sf_ndjson){.line_max = SIZE_MAX};
    assert_int_equal(sf_ndjson_next(&n, &left, true, &line, &err), SF_OK);
    assert_int_equal(line.size, SF_RECORD_TEXT_MAX + 1);
    memset(text, ',', size);
    left = sf_slice_of(text, size - 2);
    assert_int_equal(sf_csv_next(&c, &left, true, &err), SF_INVALID);
    assert_string_equal(err.text, "line 2, column 4097: too many cells");
    sf_csv_done(&c);
    sf_free(text);
}

static void test_other_separators_split_too(void **state)
{
    struct sf_slice text = SF_LITERAL("a,b;\"c;d\"\n");
    struct sf_csv c = {.separator = ';'};
    struct sf_error err;

    (void)state;
    assert_int_equal(sf_csv_next(&c, &text, true, &err), SF_OK);
    assert_int_equal(c.cell_count, 2);
    assert_true(sf_slice_equal(c.cells[0].text, SF_LITERAL("a,b")));
    assert_true(sf_slice_equal(c.cells[1].text, SF_LITERAL("c;d")));
    sf_csv_done(&c);
}

static void test_splitting_survives_every_failed_allocation(void **state)
{
    long n = 0;
    enum sf_code code;

    (void)state;
    do {
        struct sf_slice text = SF_LITERAL("\"a\"\"b\",1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17\n");
        struct sf_csv c = {0};
        struct sf_error err;

        sf_alloc_fail_after(n++, 0);
        code = sf_csv_next(&c, &text, true, &err);
        assert_true(code == SF_OK || code == SF_NOMEM);
        sf_csv_done(&c);
    } while (code != SF_OK);
    sf_alloc_fail_after(-1, 0);
    assert_int_equal(n, 4); /* unescaped text, cells, more cells, then none fails */
}

static void test_lines_are_split_and_blank_ones_skipped(void **state)
{
    struct sf_slice text = SF_LITERAL("{}\n \t\r\n\n[1]\r\n2");
    struct sf_ndjson n = {0};
    struct sf_slice line;
    struct sf_error err;

    (void)state;
    assert_int_equal(sf_ndjson_next(&n, &text, false, &line, &err), SF_OK);
    assert_true(sf_slice_equal(line, SF_LITERAL("{}")) && n.line == 1);
    assert_int_equal(sf_ndjson_next(&n, &text, false, &line, &err), SF_OK);
    assert_true(sf_slice_equal(line, SF_LITERAL("[1]\r")) && n.line == 4);
    assert_int_equal(sf_ndjson_next(&n, &text, false, &line, &err), SF_ABSENT);
    assert_int_equal(text.size, 1);
    assert_int_equal(sf_ndjson_next(&n, &text, true, &line, &err), SF_OK);
    assert_true(sf_slice_equal(line, SF_LITERAL("2")) && n.line == 5);
    assert_int_equal(sf_ndjson_next(&n, &text, true, &line, &err), SF_ABSENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cells_are_split_as_rfc_4180_says),
        cmocka_unit_test(test_malformed_records_are_refused_with_line_and_column),
        cmocka_unit_test(test_an_unfinished_record_waits_for_more),
        cmocka_unit_test(test_records_have_a_largest_size),
        cmocka_unit_test(test_other_separators_split_too),
        cmocka_unit_test(test_splitting_survives_every_failed_allocation),
        cmocka_unit_test(test_lines_are_split_and_blank_ones_skipped),
    };

    return cmocka_run_group_tests_name("csv", tests, NULL, NULL);
}
