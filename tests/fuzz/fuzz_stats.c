/*
 * Statistics as they are stored: what decodes says the same when it is stored and read again, and
 * can be asked for everything. Also the first line as a check of the contract.
 */
#include <math.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/contract/check.h"
#include "leaf/quality/table_stats.h"
#include "tests/fuzz/fuzz.h"

static const struct sf_field fields[] = {
    {.number = 1, .name = "id", .type = SF_TYPE_STRING},
    {.number = 2, .name = "n", .type = SF_TYPE_INT64},
    {.number = 3, .name = "d", .type = SF_TYPE_DOUBLE},
    {.number = 4, .name = "w", .type = SF_TYPE_DECIMAL_WIDE, .precision = 38, .scale = 2},
    {.number = 5, .name = "j", .type = SF_TYPE_JSON},
};
static const struct sf_table table = {
    .name = "t", .fields = fields, .field_count = SF_COUNT(fields), .event_time = -1};

static void ask(const struct sketch *s, const struct sf_field *f)
{
    struct sketch_top top[8];
    const size_t count = sketch_top(s, top, SF_COUNT(top));

    fuzz_check(isfinite(s->mean) && isfinite(sketch_deviation(s)));
    fuzz_check(sketch_distinct(s) < UINT64_MAX / 2);
    for (size_t i = 0; i < count; i++) {
        const struct sf_value v = sketch_value_of(top[i].value);

        fuzz_check(v.present && v.s.size <= SKETCH_BYTES_MAX);
        fuzz_check(i == 0 || top[i - 1].count >= top[i].count);
    }
    if (sketch_has_moments(f) && s->min.present) {
        const struct sf_value v = sketch_value_of(&s->min);

        (void)sketch_number(f, &v);
    }
}

static void try_stats(struct sf_slice input)
{
    struct table_stats s;
    struct table_stats again;
    struct sf_buf one = {0};
    struct sf_buf two = {0};
    struct sf_slice rest;

    fuzz_check(table_stats_init(&s, &table, NULL) == SF_OK);
    fuzz_check(table_stats_init(&again, &table, NULL) == SF_OK);
    if (table_stats_decode(&input, &s, NULL) == SF_OK) {
        for (size_t i = 0; i < SF_COUNT(fields); i++) {
            ask(&s.fields[i], &fields[i]);
        }
        table_stats_encode(&s, &one);
        rest = sf_buf_view(&one);
        fuzz_check(table_stats_decode(&rest, &again, NULL) == SF_OK && rest.size == 0);
        table_stats_encode(&again, &two);
        fuzz_check(sf_slice_equal(sf_buf_view(&one), sf_buf_view(&two)));
    } else {
        fuzz_check(s.rows == 0 && s.fields[0].memory == NULL);
    }
    sf_buf_done(&one);
    sf_buf_done(&two);
    table_stats_done(&s);
    table_stats_done(&again);
}

static void try_check(struct sf_slice input)
{
    struct sf_check check;
    struct sf_check_error err;
    char text[256];
    const uint8_t *end = memchr(input.data, '\n', input.size);
    size_t n = end == NULL ? input.size : (size_t)(end - input.data);

    n = n < sizeof(text) - 1 ? n : sizeof(text) - 1;
    memcpy(text, input.data, n);
    text[n] = '\0';
    if (sf_check_parse(text, &table, &check, &err)) {
        fuzz_check(check.field_count <= SF_CHECK_FIELDS_MAX && isfinite(check.value));
        for (size_t i = 0; i < check.field_count; i++) {
            fuzz_check(check.fields[i] < table.field_count);
        }
    } else {
        fuzz_check(err.what != NULL && err.at <= strlen(text));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0) {
        try_check(sf_slice_of(data, size));
        try_stats(sf_slice_of(data, size));
    }
    return 0;
}
