/*
 * Row filters per second on one thread, over encoded rows of eight fields (84 bytes). Times
 * are CPU time of the thread; each figure is the best of three runs.
 *
 *     build/bench/bench_expr [seconds per figure]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bench/shop_rows.h"
#include "common/expr/expr.h"

enum { RUNS = 3 };

static const char *const filters[] = {
    "country = 'NO'",
    "country IN ('NO', 'SE', 'DK')",
    "quantity > 5",
    "amount >= 100.00",
    "ordered_at >= '2026-06-01'",
    "country = 'NO' AND quantity > 5",
    "country IN ('NO', 'SE') AND (amount >= 100 OR quantity BETWEEN 2 AND 4)",
    "lower(email) LIKE '%@example.com'",
    "amount * quantity > 500",
    "caller.domain = 'sales' OR year(ordered_at) = 2026",
};

static double now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void measure(const char *text, const struct sf_slice *row, double seconds)
{
    const struct sf_expr_caller caller = {.domain = SF_LITERAL("marketing")};
    struct sf_issues issues;
    struct sf_expr *e = NULL;
    struct sf_error err;
    double best = 0;
    size_t kept = 0;

    sf_issues_init(&issues, "filter", sf_slice_text(text));
    bench_must(sf_expr_parse(&issues, &shop_table, &e, &err), &err);
    sf_issues_done(&issues);
    for (unsigned run = 0; run < RUNS; run++) {
        double start = now();
        double spent = 0;
        size_t done = 0;

        kept = 0;
        do {
            for (unsigned i = 0; i < SHOP_ROWS; i++) {
                kept += sf_expr_run(e, row[i], &caller) == SF_EXPR_TRUE;
            }
            done += SHOP_ROWS;
            spent = now() - start;
        } while (spent < seconds);
        best = (double)done / spent > best ? (double)done / spent : best;
        kept = kept * 100 / done;
    }
    printf("%7.1f M/s  %5.1f ns  %3zu %% kept  %s\n", best / 1e6, 1e9 / best, kept, text);
    sf_expr_free(e);
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 0.5;
    struct sf_slice row[SHOP_ROWS];
    struct sf_buf rows = {0};

    shop_rows(&shop_table, &rows, row);
    printf("%zu bytes per row\n", rows.size / SHOP_ROWS);
    for (size_t i = 0; i < SF_COUNT(filters); i++) {
        measure(filters[i], row, seconds);
    }
    sf_buf_done(&rows);
    return 0;
}
