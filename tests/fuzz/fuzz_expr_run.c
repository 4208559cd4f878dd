/*
 * The input is a byte that chooses a filter and a row of the table with every type. Any bytes are
 * answered; about a row that decodes, what cannot overflow answers without an error, and IS NULL
 * says what the decoder says.
 */
#include <stdio.h>

#include "common/expr/expr.h"
#include "leaf/rowcodec/row.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/rows.h"

enum { FIELDS = 11 };

static const char *const filters[] = {
    "flag OR small = 5 OR big IN (1, 2, 3) OR ratio < measure",
    "price BETWEEN 1 AND 2 OR price = big OR price > measure",
    "note LIKE '%a_b%' OR lower(note) = 'x' OR length(note) > 3 OR note IN ('a', 'b')",
    "blob = blob AND length(blob) > 2 AND id > '7fffffff-ffff-ffff-ffff-ffffffffffff'",
    "year(day) = 2026 OR hour(moment) < 5 OR day < moment OR month(moment) IN (1, 2)",
    "coalesce(small, big, 0) = 7 OR coalesce(note, 'x') = 'x'",
    "id IS NULL",
    "substr(note, 2, 3) = 'abc' OR substr(note, small, big) LIKE '_'",
    "small + big * 3 - small / 2 > price * price OR -big % small = 1",
};
enum { SAFE_FILTERS = 7 }; /* these cannot fail */

static enum sf_expr_result run(const char *filter, struct sf_slice row)
{
    const struct sf_expr_caller nobody = {0};
    struct sf_issues issues;
    struct sf_expr *e = NULL;
    enum sf_expr_result result;

    sf_issues_init(&issues, "filter", sf_slice_text(filter));
    fuzz_check(sf_expr_parse(&issues, rows_all_types(), &e, NULL) == SF_OK);
    result = sf_expr_run(e, row, &nobody);
    sf_issues_done(&issues);
    sf_expr_free(e);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct sf_table *t = rows_all_types();
    struct sf_slice row = sf_slice_of(data, size);
    size_t which = fuzz_take_byte(&row) % SF_COUNT(filters);
    enum sf_expr_result result = run(filters[which], row);
    struct sf_value values[FIELDS];
    char filter[64];

    if (row_decode(t, row, values, NULL) != SF_OK) {
        return 0;
    }
    fuzz_check(which >= SAFE_FILTERS || result != SF_EXPR_ERROR);
    for (size_t i = 0; i < FIELDS; i++) {
        (void)snprintf(filter, sizeof(filter), "%s IS NULL", t->fields[i].name);
        fuzz_check(run(filter, row) == (values[i].present ? SF_EXPR_FALSE : SF_EXPR_TRUE));
    }
    return 0;
}
