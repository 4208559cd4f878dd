#include "tests/lib/cmocka.h"

#include <limits.h>
#include <string.h>

#include "cli/records.h"
#include "proto/errors.h"
#include "tests/lib/tmpdir.h"

static struct tmpdir dir;

static int make_dir(void **state)
{
    (void)state;
    tmpdir_init(&dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    tmpdir_done(&dir);
    return 0;
}

/* A file of that name and content, opened. */
static enum sf_code open_file(const char *name, const char *content, struct records *r,
                              struct sf_error *err)
{
    static char path[PATH_MAX];

    (void)tmpdir_join(&dir, name, path);
    assert_int_equal(sf_file_write(path, sf_slice_text(content), 0600, err), SF_OK);
    return records_open(path, NULL, r, err);
}

static void expect_batch(struct records *r, uint64_t rows_max, const char *body, uint64_t line,
                         uint64_t index)
{
    struct records_batch b;
    struct sf_error err;

    assert_int_equal(records_batch(r, rows_max, 1 << 20, &b, &err), SF_OK);
    assert_int_equal(b.body.size, strlen(body));
    assert_memory_equal(b.body.data, body, b.body.size);
    assert_int_equal(b.first_line, line);
    assert_int_equal(b.first_index, index);
}

static void expect_end(struct records *r)
{
    struct records_batch b;
    struct sf_error err;

    assert_int_equal(records_batch(r, 10, 1 << 20, &b, &err), SF_ABSENT);
    records_done(r);
}

static void test_every_csv_batch_has_the_header(void **state)
{
    struct records r;
    struct sf_error err;

    (void)state;
    assert_int_equal(open_file("a.csv", "a,b\r\n1,2\n\n\"x\ny\",4\n5,6", &r, &err), SF_OK);
    assert_string_equal(records_media(&r), "text/csv");
    expect_batch(&r, 2, "a,b\r\n1,2\n\n\"x\ny\",4\n", 2, 0);
    expect_batch(&r, 2, "a,b\r\n5,6\n", 6, 2);
    assert_int_equal(records_bytes_done(&r), r.mapping.bytes.size);
    expect_end(&r);
}

static void test_ndjson_is_cut_at_lines(void **state)
{
    struct records r;
    struct sf_error err;

    (void)state;
    assert_int_equal(open_file("a.jsonl", "{\"a\":1}\n\n{\"a\":2}\r\n{\"a\":3}", &r, &err), SF_OK);
    assert_string_equal(records_media(&r), "application/x-ndjson");
    expect_batch(&r, 2, "{\"a\":1}\n\n{\"a\":2} \n", 1, 0);
    expect_batch(&r, 2, "{\"a\":3}\n", 4, 2);
    expect_end(&r);
}

static void test_json_array_becomes_lines(void **state)
{
    struct records r;
    struct sf_error err;

    (void)state;
    assert_int_equal(
        open_file("a.json", " [ {\"a\":\"],}\\\"\",\n \"b\":[1,{}]} ,\n{\"a\":2}\n]\n", &r, &err),
        SF_OK);
    expect_batch(&r, 1, "{\"a\":\"],}\\\"\",  \"b\":[1,{}]}\n", 1, 0);
    expect_batch(&r, 1, "{\"a\":2}\n", 3, 1);
    expect_end(&r);
    assert_int_equal(open_file("b.json", "[]", &r, &err), SF_OK);
    expect_end(&r);
}

static void test_batches_end_at_their_size(void **state)
{
    struct records r;
    struct records_batch b;
    struct sf_error err;

    (void)state;
    assert_int_equal(open_file("a.ndjson", "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n", &r, &err), SF_OK);
    assert_int_equal(records_batch(&r, 100, 10, &b, &err), SF_OK);
    assert_int_equal(b.rows, 2); /* the one that passes the size is the last */
    records_done(&r);
}

static void test_json_that_is_no_array_names_its_line(void **state)
{
    static const struct {
        const char *content;
        const char *text;
    } cases[] = {
        {"{\"a\":1}", "line 1: not a JSON array"},
        {"", "line 1: not a JSON array"},
        {"[\n{\"a\":1}\n{\"a\":2}]", "line 3: a comma or the end of the array is missing"},
        {"[{\"a\":1}", "line 1: a comma or the end of the array is missing"},
        {"[\n\n{\"a\":1", "line 3: a value that is empty or does not end"},
        {"[,{\"a\":1}]", "line 1: a value that is empty or does not end"},
        {"[{\"a\":1}]\n x", "line 2: text behind the array"},
    };

    (void)state;
    for (size_t i = 0; i < SF_COUNT(cases); i++) {
        struct records r;
        struct sf_slice text;
        struct sf_error err;
        enum sf_code code = open_file("a.json", cases[i].content, &r, &err);

        while (code == SF_OK) {
            code = records_next(&r, &text, &err);
        }
        assert_int_equal(code, SF_INVALID);
        assert_int_equal(err.number, SHEAF_E_BAD_FRAMING);
        assert_non_null(strstr(err.text, cases[i].text));
        records_done(&r);
    }
}

static void test_files_that_cannot_be_read_say_so(void **state)
{
    struct records r;
    struct sf_error err;

    (void)state;
    assert_int_equal(records_open("/nowhere/a.csv", NULL, &r, &err), SF_ABSENT);
    assert_int_equal(err.number, SHEAF_E_FILE_UNREADABLE);
    records_done(&r);
    assert_int_equal(open_file("a.csv", "", &r, &err), SF_INVALID);
    assert_int_equal(err.number, SHEAF_E_BAD_FRAMING);
    records_done(&r);
    assert_int_equal(records_open("a.parquet", NULL, &r, &err), SF_INVALID);
    assert_string_equal(err.text, "a.parquet: say with --format csv, ndjson or json what it is");
    assert_int_equal(records_open("a.csv", "xml", &r, &err), SF_INVALID);
    assert_string_equal(err.text, "--format wants csv, ndjson or json, not 'xml'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_csv_batch_has_the_header),
        cmocka_unit_test(test_ndjson_is_cut_at_lines),
        cmocka_unit_test(test_json_array_becomes_lines),
        cmocka_unit_test(test_batches_end_at_their_size),
        cmocka_unit_test(test_json_that_is_no_array_names_its_line),
        cmocka_unit_test(test_files_that_cannot_be_read_say_so),
    };

    return cmocka_run_group_tests_name("records", tests, make_dir, remove_dir);
}
