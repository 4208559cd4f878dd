/*
 * Filters against DuckDB: random tables, rows and expressions; both say true, false, null or error
 * for every pair of expression and row.
 *
 *     test_expr_duckdb [--pairs N] [--seed N]     TEST_DUCKDB names libduckdb.so
 *
 * Exits with 77, "skipped", when DuckDB is not there. A disagreement prints the seed of its table,
 * which alone makes it again: --seed N --pairs 1.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/assert.h"
#include "leaf/rowcodec/row.h"
#include "tests/lib/duckdb.h"
#include "tests/lib/expr_sql.h"
#include "tests/lib/exprs.h"

enum { ROWS = 16, FILTERS = 16, EXIT_SKIP = 77 };

struct tally {
    size_t pairs;
    size_t results[SF_EXPR_ERROR + 1];
    size_t too_wide; /* filters refused for more than 38 digits */
};

struct world {
    struct sf_arena arena;
    const struct sf_table *table;
    struct sf_buf rows[ROWS];
    struct sf_expr_caller caller;
    struct duckdb *duckdb;
};

static const char *result_name(enum sf_expr_result result)
{
    static const char *const names[] = {"false", "true", "null", "error"};

    return names[result];
}

static bool refused(const struct world *w, const char *sql)
{
    (void)fprintf(stderr, "DuckDB refuses: %s\n%s\n", duckdb_error(w->duckdb), sql);
    return false;
}

/* Makes table and rows of the seed, here and there. */
static bool world_fill(struct world *w, struct rows_random *r)
{
    static const char *const names[] = {"NO", "ab", "a%", ""};
    struct sf_buf sql = {0};
    bool ok;

    sf_arena_init(&w->arena, 0);
    w->table = exprs_random_table(r, &w->arena);
    w->caller = (struct sf_expr_caller){.domain = sf_slice_text(names[rows_below(r, 4)]),
                                        .role = sf_slice_text(names[rows_below(r, 4)])};
    expr_sql_create(w->table, &sql);
    ok = duckdb_run(w->duckdb, sf_buf_cstr(&sql), NULL, 0, 0) || refused(w, sf_buf_cstr(&sql));
    sf_buf_clear(&sql);
    sf_buf_text(&sql, "INSERT INTO t VALUES ");
    for (size_t i = 0; i < ROWS; i++) {
        struct sf_value *values = exprs_random_row(r, w->table, &w->arena);
        struct sf_error err;

        w->rows[i] = (struct sf_buf){0};
        sf_assert(row_encode(w->table, values, &w->rows[i], &err) == SF_OK);
        sf_buf_text(&sql, i == 0 ? "" : ", ");
        expr_sql_row(w->table, values, &w->caller, &sql);
    }
    ok = ok &&
         (duckdb_run(w->duckdb, sf_buf_cstr(&sql), NULL, 0, 0) || refused(w, sf_buf_cstr(&sql)));
    sf_buf_done(&sql);
    return ok;
}

static void world_empty(struct world *w)
{
    for (size_t i = 0; i < ROWS; i++) {
        sf_buf_done(&w->rows[i]);
    }
    sf_arena_done(&w->arena);
}

/* NULL: refused, for reasons that are the generator's to give. */
static struct sf_expr *parse(const struct world *w, struct sf_slice text, struct tally *tally)
{
    struct sf_issues issues;
    struct sf_expr *e = NULL;
    struct sf_error err;
    struct sf_buf shown = {0};

    sf_issues_init(&issues, "filter", text);
    if (sf_expr_parse(&issues, w->table, &e, &err) != SF_OK) {
        if (strstr(err.text, "38 digits") == NULL && strstr(err.text, "this is no") == NULL) {
            sf_issues_render(&issues, &shown);
            (void)fprintf(stderr, "not parsed:\n%s\n", sf_buf_cstr(&shown));
            exit(1);
        }
        tally->too_wide++;
    }
    sf_issues_done(&issues);
    sf_buf_done(&shown);
    return e;
}

/* Whether both say the same about every row. */
static bool agree(const struct world *w, const struct sf_expr *e, struct tally *tally)
{
    struct sf_buf sql = {0};
    struct sf_buf shown = {0};
    int8_t theirs[ROWS * 2];
    bool same = true;

    sf_buf_text(&sql, "SELECT TRY(");
    expr_sql_print(e, &sql);
    sf_buf_text(&sql, "), TRY((");
    expr_sql_print(e, &sql);
    sf_buf_text(&sql, ") IS NULL) FROM t");
    if (!duckdb_run(w->duckdb, sf_buf_cstr(&sql), theirs, 2, ROWS)) {
        same = refused(w, sf_buf_cstr(&sql));
    }
    for (size_t i = 0; i < ROWS && same; i++) {
        enum sf_expr_result ours = sf_expr_run(e, sf_buf_view(&w->rows[i]), &w->caller);
        enum sf_expr_result wanted = theirs[2 * i] >= 0      ? (enum sf_expr_result)theirs[2 * i]
                                     : theirs[2 * i + 1] < 0 ? SF_EXPR_ERROR
                                                             : SF_EXPR_NULL;

        tally->pairs++;
        tally->results[ours]++;
        same = ours == wanted;
        if (!same) {
            sf_expr_print(e, &shown);
            (void)fprintf(stderr, "row %zu: %s here, %s in DuckDB\n%s\n%s\n", i, result_name(ours),
                          result_name(wanted), sf_buf_cstr(&shown), sf_buf_cstr(&sql));
            sf_buf_clear(&shown);
            expr_sql_create(w->table, &shown);
            (void)fprintf(stderr, "%s\n", sf_buf_cstr(&shown));
        }
    }
    sf_buf_done(&sql);
    sf_buf_done(&shown);
    return same;
}

/* One table, its rows and FILTERS filters. */
static bool check_seed(struct duckdb *duckdb, uint64_t seed, struct tally *tally)
{
    struct rows_random r = {.state = seed * UINT64_C(0x9E3779B97F4A7C15)};
    struct world w = {.duckdb = duckdb};
    struct sf_buf text = {0};
    bool ok = world_fill(&w, &r);

    for (unsigned i = 0; i < FILTERS && ok; i++) {
        SF_CLEANUP(sf_expr_freep) struct sf_expr *e = NULL;

        sf_buf_clear(&text);
        exprs_random_filter(&r, w.table, &text);
        e = parse(&w, sf_buf_view(&text), tally);
        ok = e == NULL || agree(&w, e, tally);
    }
    sf_buf_done(&text);
    world_empty(&w);
    return ok;
}

static uint64_t option(int argc, char **argv, const char *name, uint64_t otherwise)
{
    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], name) == 0) {
            return strtoull(argv[i + 1], NULL, 10);
        }
    }
    return otherwise;
}

int main(int argc, char **argv)
{
    uint64_t pairs = option(argc, argv, "--pairs", 20000);
    uint64_t first = option(argc, argv, "--seed", 1);
    const char *path = getenv("TEST_DUCKDB");
    struct duckdb *duckdb = path == NULL ? NULL : duckdb_start(path);
    struct tally tally = {0};
    uint64_t seed = first;
    bool ok = true;

    if (duckdb == NULL) {
        (void)fprintf(stderr, "skipped: no DuckDB here; './dev setup' takes it where npm is\n");
        return EXIT_SKIP;
    }
    while (ok && tally.pairs < pairs) {
        ok = check_seed(duckdb, seed++, &tally);
    }
    duckdb_stop(duckdb);
    if (!ok) {
        (void)fprintf(stderr, "seed %llu\n", (unsigned long long)(seed - 1));
        return 1;
    }
    printf("%zu pairs agree, seeds %llu to %llu: %zu true, %zu false, %zu null, %zu error; "
           "%zu filters refused by their types\n",
           tally.pairs, (unsigned long long)first, (unsigned long long)(seed - 1),
           tally.results[SF_EXPR_TRUE], tally.results[SF_EXPR_FALSE], tally.results[SF_EXPR_NULL],
           tally.results[SF_EXPR_ERROR], tally.too_wide);
    return 0;
}
