/*
 * Writes random tables and their rows for test_protoc.py: DIR/N.proto, the exported contract with a
 * message All of rows around it, and DIR/N.bin, such a message.
 *
 *     random_messages DIR COUNT
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/assert.h"
#include "common/contract/export_proto.h"
#include "common/wire/pbwire.h"
#include "leaf/rowcodec/row.h"
#include "tests/lib/rows.h"

enum { ROWS = 8, FIELDS_MAX = 12 };

static void write_file(const char *directory, uint64_t seed, const char *ending,
                       const struct sf_buf *content)
{
    char path[512];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/%llu.%s", directory, (unsigned long long)seed, ending);
    file = fopen(path, "wb");
    sf_assert(file != NULL);
    sf_assert(fwrite(content->data, 1, content->size, file) == content->size);
    (void)fclose(file);
}

static void write_table(const char *directory, uint64_t seed)
{
    struct rows_random random = {.state = seed + 1};
    struct sf_arena arena = {0};
    const struct sf_table *t = rows_random_table(&random, FIELDS_MAX, &arena);
    const struct sf_product product = {
        .domain = "d", .name = "p", .version = {1, 0, 0}, .tables = t, .table_count = 1};
    struct sf_buf text = {0};
    struct sf_buf all = {0};
    struct sf_buf row = {0};

    sf_product_export_proto(&product, &text);
    sf_buf_text(&text, "message All { repeated Random rows = 1; }\n");
    write_file(directory, seed, "proto", &text);
    for (size_t i = 0; i < ROWS; i++) {
        const struct sf_value *values = rows_random_row(&random, t, &arena);
        struct sf_error err;
        uint8_t *p;

        sf_buf_clear(&row);
        sf_assert(row_encode(t, values, &row, &err) == SF_OK);
        p = sf_buf_reserve(&all, row.size + SF_PB_TAG_MAX + SF_PB_VARINT_MAX);
        sf_assert(p != NULL);
        p = sf_pb_put_varint(p, sf_pb_tag(1, SF_PB_BYTES));
        all.size = (size_t)(sf_pb_put_bytes(p, sf_buf_view(&row)) - all.data);
    }
    write_file(directory, seed, "bin", &all);
    sf_buf_done(&text);
    sf_buf_done(&all);
    sf_buf_done(&row);
    sf_arena_done(&arena);
}

int main(int argc, char **argv)
{
    sf_assert(argc == 3);
    for (long seed = 0; seed < strtol(argv[2], NULL, 10); seed++) {
        write_table(argv[1], (uint64_t)seed);
    }
    return 0;
}
