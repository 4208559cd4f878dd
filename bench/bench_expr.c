/*
 * Row filters per second on one thread, over encoded rows of eight fields (about 110 bytes). Times
 * are CPU time of the thread; each figure is the best of three runs.
 *
 *     build/bench/bench_expr [seconds per figure]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/expr/expr.h"
#include "leaf/rowcodec/row.h"

enum { ROWS = 1000, FIELDS = 8, RUNS = 3 };

static const struct sf_field fields[FIELDS] = {
    {.number = 1, .name = "order_id", .type = SF_TYPE_STRING},
    {.number = 2, .name = "customer_id", .type = SF_TYPE_STRING},
    {.number = 3, .name = "email", .type = SF_TYPE_STRING},
    {.number = 4, .name = "country", .type = SF_TYPE_STRING},
    {.number = 5, .name = "amount", .type = SF_TYPE_DECIMAL, .precision = 12, .scale = 2},
    {.number = 6, .name = "quantity", .type = SF_TYPE_INT32},
    {.number = 7, .name = "ordered_at", .type = SF_TYPE_TIMESTAMP},
    {.number = 8, .name = "note", .type = SF_TYPE_STRING},
};
static const struct sf_table table = {
    .name = "orders", .fields = fields, .field_count = FIELDS, .event_time = -1};

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

static void must(enum sf_code code, const struct sf_error *err)
{
    if (code != SF_OK) {
        (void)fprintf(stderr, "bench_expr: %s\n", err->text);
        exit(1);
    }
}

static void make_rows(struct sf_buf *rows, struct sf_slice *row)
{
    static const char *const countries[] = {"NO", "SE", "DK", "DE", "FR"};
    size_t start[ROWS + 1] = {0};
    char text[4][64];

    for (unsigned i = 0; i < ROWS; i++) {
        unsigned h = i * 2654435761U;
        struct sf_value values[FIELDS] = {
            [3] = {.present = true, .s = sf_slice_text(countries[h % 5])},
            [4] = {.present = true, .i = h % 50000},
            [5] = {.present = true, .i = h / 8 % 12},
            [6] = {.present = true, .i = INT64_C(1767225600000000) + h * INT64_C(8000)},
        };
        struct sf_error err;

        (void)snprintf(text[0], sizeof(text[0]), "ord-%08u", i);
        (void)snprintf(text[1], sizeof(text[1]), "cust-%06u", h % 100000);
        (void)snprintf(text[2], sizeof(text[2]), "Customer.%u@example.com", h % 100000);
        (void)snprintf(text[3], sizeof(text[3]), "leave it at the door number %u", h % 100);
        for (unsigned k = 0; k < 4; k++) {
            values[k < 3 ? k : 7] =
                (struct sf_value){.present = k < 3 || h % 3 == 0, .s = sf_slice_text(text[k])};
        }
        must(row_encode(&table, values, rows, &err), &err);
        start[i + 1] = rows->size;
    }
    for (unsigned i = 0; i < ROWS; i++) {
        row[i] = sf_slice_of(rows->data + start[i], start[i + 1] - start[i]);
    }
}

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
    must(sf_expr_parse(&issues, &table, &e, &err), &err);
    sf_issues_done(&issues);
    for (unsigned run = 0; run < RUNS; run++) {
        double start = now();
        double spent = 0;
        size_t done = 0;

        kept = 0;
        do {
            for (unsigned i = 0; i < ROWS; i++) {
                kept += sf_expr_run(e, row[i], &caller) == SF_EXPR_TRUE;
            }
            done += ROWS;
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
    struct sf_slice row[ROWS];
    struct sf_buf rows = {0};

    make_rows(&rows, row);
    printf("%zu bytes per row\n", rows.size / ROWS);
    for (size_t i = 0; i < SF_COUNT(filters); i++) {
        measure(filters[i], row, seconds);
    }
    sf_buf_done(&rows);
    return 0;
}
