/*
 * Filters with paths into lists and structs, and with wide decimals, against DuckDB: the same text
 * about the same rows gives the same on both sides.
 *
 * TEST_DUCKDB names libduckdb.so; exits with 77, "skipped", when it is not there.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/assert.h"
#include "common/contract/product_file.h"
#include "common/contract/record.h"
#include "common/expr/expr.h"
#include "leaf/rowcodec/row.h"
#include "tests/lib/duckdb.h"

enum { EXIT_SKIP = 77, FIELDS_MAX = 16 };

static const char contract[] =
    "sheaf: product/v1\nproduct: d/p\nversion: 1.0.0\ntables:\n t:\n  fields:\n"
    "   a: {number: 1, type: struct, fields: {b: {number: 1, type: int64}, s: {number: 2, type: "
    "string},\n"
    "     inner: {number: 3, type: struct, fields: {d: {number: 1, type: double}, tags: {number: "
    "2, "
    "type: list<string>}}}}}\n"
    "   l: {number: 2, type: list<struct>, fields: {sku: {number: 1, type: string}, qty: {number: "
    "2, "
    "type: int64}, days: {number: 3, type: list<date>}}}\n"
    "   nums: {number: 3, type: list<int64>}\n"
    "   tags: {number: 4, type: list<string>}\n"
    "   prices: {number: 5, type: \"list<decimal(30,3)>\"}\n"
    "   big: {number: 6, type: \"decimal(38,10)\"}\n"
    "   flags: {number: 7, type: list<bool>}\n"
    "   times: {number: 8, type: list<timestamp>}\n"
    "   n: {number: 9, type: int64}\n";
static const char create[] =
    "CREATE TABLE t (a STRUCT(b BIGINT, s VARCHAR, \"inner\" STRUCT(d DOUBLE, tags VARCHAR[])), "
    "l STRUCT(sku VARCHAR, qty BIGINT, days DATE[])[], nums BIGINT[], tags VARCHAR[], "
    "prices DECIMAL(30,3)[], big DECIMAL(38,10), flags BOOLEAN[], times TIMESTAMP[], n BIGINT)";

static const struct {
    const char *json;
    const char *sql;
} rows[] = {
    {"{\"a\":{\"b\":1,\"s\":\"x\",\"inner\":{\"d\":0.5,\"tags\":[\"p\",\"q\"]}},\"l\":[{\"sku\":"
     "\"A\","
     "\"qty\":2,\"days\":[\"2026-01-01\"]},{\"sku\":null,\"qty\":5}],\"nums\":[7,-1,300],\"tags\":["
     "\"gift\",\"\"],\"prices\":[\"1.500\",\"123456789012345678901234567.125\"],\"big\":"
     "\"1234567890123456789012345678.0123456789\",\"flags\":[true,false],\"times\":[\"2026-11-"
     "20T08:"
     "00:00Z\"],\"n\":2}",
     "({'b':1,'s':'x','inner':{'d':0.5,'tags':['p','q']}}, [{'sku':'A','qty':2,'days':[DATE "
     "'2026-01-01']},{'sku':NULL,'qty':5,'days':[]}], [7,-1,300], ['gift',''], "
     "[1.500,123456789012345678901234567.125], 1234567890123456789012345678.0123456789, "
     "[true,false], [TIMESTAMP '2026-11-20 08:00:00'], 2)"},
    {"{}", "(NULL, [], [], [], [], NULL, [], [], NULL)"},
    {"{\"a\":{\"inner\":{}},\"l\":[{}],\"nums\":[0],\"tags\":[\"x\"],\"prices\":[\"-0.001\"],"
     "\"big\":"
     "\"-0.0000000001\",\"flags\":[false],\"n\":0}",
     "({'b':NULL,'s':NULL,'inner':{'d':NULL,'tags':[]}}, [{'sku':NULL,'qty':NULL,'days':[]}], [0], "
     "['x'], [-0.001], -0.0000000001, [false], [], 0)"},
    {"{\"a\":{\"b\":-5,\"s\":\"\"},\"l\":[{\"sku\":\"B\",\"qty\":-1},{\"sku\":\"A\",\"qty\":9},{"
     "\"sku\":"
     "\"C\"}],\"nums\":[1],\"big\":\"10\",\"times\":[\"1969-12-31T23:59:59.999999Z\",\"2026-11-"
     "20T08:00:"
     "00Z\"],\"n\":3}",
     "({'b':-5,'s':'','inner':NULL}, [{'sku':'B','qty':-1,'days':[]},{'sku':'A','qty':9,'days':[]},"
     "{'sku':'C','qty':NULL,'days':[]}], [1], [], [], 10, [], [TIMESTAMP '1969-12-31 "
     "23:59:59.999999', TIMESTAMP '2026-11-20 08:00:00'], 3)"},
};

static const char *const filters[] = {
    "a.b = 1",
    "a IS NULL",
    "a IS NOT NULL AND a.b IS NULL",
    "a IS NULL OR a.s = 'x'",
    "a.\"inner\" IS NULL",
    "a.\"inner\" IS NOT NULL AND a.\"inner\".d IS NULL",
    "a.\"inner\".tags IS NULL",
    "tags IS NULL",
    "(tags) IS NOT NULL AND len(tags) = 0",
    "l IS NOT NULL",
    "l[1] IS NULL",
    "l[2] IS NOT NULL AND l[2].qty > 4",
    "l[2].days IS NULL",
    "a.b IS NULL",
    "a.s IS NOT NULL",
    "a.s = 'x' OR a.\"inner\".d < 1",
    "a.\"inner\".d IS NULL",
    "len(a.\"inner\".tags) = 2",
    "len(a.\"inner\".tags) IS NULL",
    "len(a.\"inner\".tags) = 0",
    "a.\"inner\".tags[2] = 'q'",
    "a.\"inner\".tags[3] IS NULL",
    "len(l) = 2",
    "len(l) > 0 AND l[1].qty > 0",
    "l[1].sku = 'A'",
    "l[2].sku IS NULL",
    "l[2].qty - l[1].qty = 3",
    "l[3].sku IN ('C', 'D')",
    "l[4].qty IS NULL",
    "len(l[1].days) = 1",
    "len(l[2].days) = 0",
    "len(l[2].days) IS NULL",
    "l[1].days[1] = '2026-01-01'",
    "l[1].days[1] < '2026-06-01' OR n = 3",
    "year(l[1].days[1]) = 2026",
    "nums[1] = 7",
    "nums[3] BETWEEN 1 AND 300",
    "nums[2] < 0",
    "nums[1] + nums[2] = 6",
    "coalesce(nums[2], nums[1], -1) = 1",
    "len(nums) = n + 1",
    "NOT nums[1] = 1",
    "len(tags) = 0",
    "tags[1] LIKE 'g%'",
    "lower(tags[2]) = ''",
    "length(tags[1]) = 4",
    "prices[1] < 0",
    "prices[2] > '100000000000000000000000000'",
    "prices[2] = '123456789012345678901234567.125'",
    "prices[1] IN ('1.5', '-0.001')",
    "big > 0",
    "big = '1234567890123456789012345678.0123456789'",
    "big < '1234567890123456789012345678.0123456790'",
    "big >= 10",
    "big < 0",
    "big BETWEEN -1 AND 10",
    "big IS NULL",
    "big IN ('10', '-0.0000000001')",
    "-big > 0",
    "flags[1]",
    "NOT flags[1]",
    "flags[2] IS NULL",
    "times[1] = '2026-11-20 08:00:00'",
    "times[2] > times[1]",
    "hour(times[1]) = 8",
    "len(times) + len(flags) = 3",
    "n = 2 AND l[1].qty = n",
    "a.b = 1 AND a.s = 'x' AND len(l) = 2 AND nums[1] = 7 AND tags[1] = 'gift' AND n = 2",
};

struct world {
    struct sf_product *product;
    struct sf_buf rows[SF_COUNT(rows)];
    struct duckdb *duckdb;
};

static void ask(struct world *w, const char *sql, int8_t *ret, size_t columns, size_t count)
{
    if (!duckdb_run(w->duckdb, sql, ret, columns, count)) {
        (void)fprintf(stderr, "DuckDB refuses: %s\n%s\n", duckdb_error(w->duckdb), sql);
        exit(1);
    }
}

static void fill(struct world *w)
{
    struct sf_record_reader *reader = NULL;
    struct sf_value values[FIELDS_MAX];
    struct sf_verdict verdict;
    struct sf_issues issues;
    struct sf_buf sql = {0};
    struct sf_error err;

    sf_issues_init(&issues, "contract", sf_slice_text(contract));
    sf_assert(sf_product_parse(&issues, &w->product, &err) == SF_OK);
    sf_issues_done(&issues);
    sf_assert(sf_record_reader_new(&w->product->tables[0], &reader, &err) == SF_OK);
    ask(w, create, NULL, 0, 0);
    for (size_t i = 0; i < SF_COUNT(rows); i++) {
        sf_assert(sf_record_from_json(reader, sf_slice_text(rows[i].json), values, &verdict,
                                      &err) == SF_OK);
        if (verdict.found != 0) {
            (void)fprintf(stderr, "%s\n", verdict.list[0].text);
            exit(1);
        }
        sf_assert(row_encode(&w->product->tables[0], values, &w->rows[i], &err) == SF_OK);
        sf_buf_clear(&sql);
        sf_buf_printf(&sql, "INSERT INTO t VALUES %s", rows[i].sql);
        ask(w, sf_buf_cstr(&sql), NULL, 0, 0);
    }
    sf_buf_done(&sql);
    sf_record_reader_free(reader);
}

/* Whether both say the same of every row; also when the filter went through its own text. */
static bool agree(struct world *w, const char *text)
{
    static const struct sf_expr_caller nobody = {.domain = {0}};
    static const char *const names[] = {"false", "true", "null", "error"};
    int8_t theirs[SF_COUNT(rows)];
    struct sf_issues issues;
    struct sf_expr *e = NULL;
    struct sf_buf sql = {0};
    struct sf_error err;
    bool same = true;

    sf_issues_init(&issues, "filter", sf_slice_text(text));
    if (sf_expr_parse(&issues, &w->product->tables[0], &e, &err) != SF_OK) {
        (void)fprintf(stderr, "%s: %s\n", text, err.text);
        exit(1);
    }
    sf_issues_done(&issues);
    sf_buf_printf(&sql, "SELECT %s FROM t", text);
    ask(w, sf_buf_cstr(&sql), theirs, 1, SF_COUNT(rows));
    for (size_t i = 0; i < SF_COUNT(rows); i++) {
        enum sf_expr_result ours = sf_expr_run(e, sf_buf_view(&w->rows[i]), &nobody);
        enum sf_expr_result wanted = theirs[i] < 0 ? SF_EXPR_NULL : (enum sf_expr_result)theirs[i];

        if (ours != wanted) {
            (void)fprintf(stderr, "%s, row %zu: %s here, %s in DuckDB\n", text, i, names[ours],
                          names[wanted]);
            same = false;
        }
    }
    sf_expr_free(e);
    sf_buf_done(&sql);
    return same;
}

int main(void)
{
    const char *path = getenv("TEST_DUCKDB");
    struct world w = {.duckdb = path == NULL ? NULL : duckdb_start(path)};
    size_t failed = 0;

    if (w.duckdb == NULL) {
        (void)fprintf(stderr, "skipped: no DuckDB here; './dev setup' takes it where npm is\n");
        return EXIT_SKIP;
    }
    fill(&w);
    for (size_t i = 0; i < SF_COUNT(filters); i++) {
        failed += !agree(&w, filters[i]);
    }
    for (size_t i = 0; i < SF_COUNT(rows); i++) {
        sf_buf_done(&w.rows[i]);
    }
    sf_product_free(w.product);
    duckdb_stop(w.duckdb);
    printf("%zu filters on %zu rows, %zu disagree\n", SF_COUNT(filters), SF_COUNT(rows), failed);
    return failed == 0 ? 0 : 1;
}
