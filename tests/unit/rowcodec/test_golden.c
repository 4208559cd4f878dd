/*
 * Bytes that every release must write and read: proto/golden/rows.txt and keys.txt. The argument is
 * their directory.
 */
#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <string.h>

#include "common/contract/record.h"
#include "leaf/rowcodec/key.h"
#include "leaf/rowcodec/row.h"
#include "tests/lib/rows.h"

enum { LINE_MAX_BYTES = 4096, FIELDS_MAX = 16 };

static const char *golden_dir;

struct golden {
    FILE *file;
    char json[LINE_MAX_BYTES];
    char hex[LINE_MAX_BYTES];
    uint8_t bytes[LINE_MAX_BYTES / 2];
    struct sf_slice want;
    const struct sf_table *table;
    struct row_view *view;
    struct sf_record_reader *reader;
    struct sf_value values[FIELDS_MAX];
    struct sf_buf out;
};

static void open_golden(struct golden *g, const char *name, const struct sf_table *table)
{
    const struct row_view_options all = {0};
    char path[1024];

    *g = (struct golden){.table = table};
    (void)snprintf(path, sizeof(path), "%s/%s", golden_dir, name);
    g->file = fopen(path, "r");
    assert_non_null(g->file);
    assert_int_equal(sf_record_reader_new(table, &g->reader, NULL), SF_OK);
    assert_int_equal(row_view_build(table, &all, &g->view, NULL), SF_OK);
}

static void close_golden(struct golden *g)
{
    (void)fclose(g->file);
    sf_record_reader_free(g->reader);
    row_view_free(g->view);
    sf_buf_done(&g->out);
}

static bool read_line(struct golden *g, char *line)
{
    do {
        if (fgets(line, LINE_MAX_BYTES, g->file) == NULL) {
            return false;
        }
        line[strcspn(line, "\n")] = '\0';
    } while (line[0] == '#');
    return true;
}

static uint8_t hex_digit(char c)
{
    return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* The next pair of lines, with the record read into values; false behind the last. */
static bool next_case(struct golden *g)
{
    struct sf_verdict verdict;
    size_t size = 0;

    if (!read_line(g, g->json) || !read_line(g, g->hex)) {
        return false;
    }
    for (const char *p = g->hex; p[0] != '\0' && p[0] != '-'; p += 2) {
        g->bytes[size++] = (uint8_t)(hex_digit(p[0]) << 4 | hex_digit(p[1]));
    }
    g->want = sf_slice_of(g->bytes, size);
    assert_int_equal(
        sf_record_from_json(g->reader, sf_slice_text(g->json), g->values, &verdict, NULL), SF_OK);
    assert_int_equal(verdict.found, 0);
    sf_buf_clear(&g->out);
    return true;
}

static size_t check_rows(const char *name, const struct sf_table *table)
{
    struct sf_value back[FIELDS_MAX];
    struct golden g;
    size_t count = 0;

    for (open_golden(&g, name, table); next_case(&g); count++) {
        assert_int_equal(row_encode(g.table, g.values, &g.out, NULL), SF_OK);
        assert_int_equal(g.out.size, g.want.size);
        assert_memory_equal(g.out.data, g.bytes, g.out.size);
        assert_int_equal(row_decode(g.table, g.want, back, NULL), SF_OK);
        for (size_t i = 0; i < g.table->field_count; i++) {
            assert_true(rows_equal(&g.table->fields[i], &back[i], &g.values[i]));
        }
    }
    close_golden(&g);
    return count;
}

static void test_rows_are_those_of_every_release(void **state)
{
    (void)state;
    assert_int_equal(check_rows("rows.txt", rows_all_types()), 7);
    assert_int_equal(check_rows("nested.txt", rows_nested()), 6);
}

static void test_keys_are_those_of_every_release_and_ascend(void **state)
{
    uint8_t before[LINE_MAX_BYTES];
    size_t before_size = 0;
    struct golden g;
    size_t count = 0;

    (void)state;
    for (open_golden(&g, "keys.txt", rows_all_keys()); next_case(&g); count++) {
        assert_int_equal(key_encode(g.table, g.values, &g.out, NULL), SF_OK);
        assert_int_equal(g.out.size, g.want.size);
        assert_memory_equal(g.out.data, g.bytes, g.out.size);
        assert_true(sf_slice_compare(sf_slice_of(before, before_size), g.want) < 0);
        memcpy(before, g.bytes, g.want.size);
        before_size = g.want.size;
        sf_buf_clear(&g.out);
        assert_int_equal(key_render_json(g.view, g.want, &g.out, NULL), SF_OK);
        assert_string_equal(sf_buf_cstr(&g.out), g.json);
    }
    close_golden(&g);
    assert_int_equal(count, 6);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_are_those_of_every_release),
        cmocka_unit_test(test_keys_are_those_of_every_release_and_ascend),
    };

    golden_dir = argc > 1 ? argv[1] : "proto/golden";
    return cmocka_run_group_tests_name("golden", tests, NULL, NULL);
}
