/*
 * What a view costs: filter, mask and JSON of a row, per row on one thread, against the JSON of the
 * row as it is. Encoded rows of eight fields (about 110 bytes). Times are CPU time of the thread;
 * each figure is the best of five runs, which take turns with the others.
 *
 *     build/bench/bench_view [seconds per run]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bench/shop_rows.h"
#include "common/contract/product_file.h"
#include "leaf/rowcodec/row.h"
#include "leaf/serving/served_view.h"

enum { RUNS = 5 };

static const char yaml[] =
    "sheaf: product/v1\nproduct: sales/orders\nversion: 1.0.0\nowner: t\ndescription: d\ntables:\n"
    "  orders:\n    kind: state\n    key: [order_id]\n    fields:\n"
    "      order_id: {number: 1, type: string, required: true}\n"
    "      customer_id: {number: 2, type: string}\n"
    "      email: {number: 3, type: string}\n"
    "      country: {number: 4, type: string}\n"
    "      amount: {number: 5, type: \"decimal(12,2)\"}\n"
    "      quantity: {number: 6, type: int32}\n"
    "      ordered_at: {number: 7, type: timestamp}\n"
    "      note: {number: 8, type: string}\n";

#define MASK(name, field, mask)                                                                    \
    "---\nsheaf: policy/v1\nname: " name "\nmatch: {field: " field "}\nmask: " mask "\n"
#define FILTER(text) "---\nsheaf: policy/v1\nname: rows\nmatch: all\nfilter: \"" text "\"\n"

static const struct figure {
    const char *title;
    const char *policies;
} figures[] = {
    {"all fields, no policy", ""},
    {"one field omitted", MASK("email", "email", "omit")},
    {"one keep_domain", MASK("email", "email", "keep_domain")},
    {"one hash", MASK("customer-id", "customer_id", "hash")},
    {"keep_domain, round, truncate, omit",
     MASK("email", "email", "keep_domain") MASK("amount", "amount", "round(0)")
         MASK("ordered-at", "ordered_at", "truncate(month)") MASK("note", "note", "omit")},
    {"hash, keep_domain, bucket, omit",
     MASK("customer-id", "customer_id", "hash") MASK("email", "email", "keep_domain")
         MASK("amount", "amount", "bucket(10)") MASK("note", "note", "omit")},
    {"filter that keeps all", FILTER("quantity >= 0")},
    {"filter that keeps one in five", FILTER("country = 'NO'")},
    {"filter that keeps all, hash, keep_domain, bucket, omit",
     FILTER("quantity >= 0") MASK("customer-id", "customer_id", "hash")
         MASK("email", "email", "keep_domain") MASK("amount", "amount", "bucket(10)")
             MASK("note", "note", "omit")},
};

static double now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct served_view *view_of(const struct figure *f, const struct sf_product *p,
                                   const struct served_table *table, uint64_t serial)
{
    static const uint8_t key[SF_HASH_KEY_SIZE] = {1};
    SF_CLEANUP(sf_policy_set_freep) struct sf_policy_set *set = sf_policy_set_new();
    struct sf_policy_input input = {
        .platform = set, .product = p, .table = p->tables, .subject = {.domain = "marketing"}};
    struct sf_policy_view *decision = NULL;
    struct served_view *view = NULL;
    struct sf_issues issues;
    struct sf_error err = {.text = "out of memory"};

    bench_must(set == NULL ? SF_NOMEM : SF_OK, &err);
    if (*f->policies != '\0') {
        sf_issues_init(&issues, "policy.yaml", sf_slice_text(f->policies));
        bench_must(sf_policy_set_add(set, &issues, 1, &err), &err);
        sf_issues_done(&issues);
    }
    bench_must(sf_policy_decide(&input, &decision, &err), &err);
    bench_must(served_view_new(&(struct served_view_spec){.table = table,
                                                          .serial = serial,
                                                          .decision = decision,
                                                          .domain = "marketing",
                                                          .hash_key = key},
                               &view, &err),
               &err);
    return view;
}

/* Nanoseconds per stored row, once: the view alone, or with the JSON of what is shown. */
static double measure(const struct served_view *v, const struct sf_slice *row, bool json,
                      double seconds)
{
    struct sf_buf scratch = {0};
    struct sf_buf out = {0};
    const double start = now();
    double spent;
    size_t done = 0;

    do {
        for (unsigned i = 0; i < SHOP_ROWS; i++) {
            struct sf_slice seen;
            struct sf_error err;
            bool shown;

            bench_must(served_view_row(v, row[i], &scratch, &shown, &seen, &err), &err);
            if (shown && json) {
                sf_buf_clear(&out);
                bench_must(row_render_json(v->columns, seen, &out, &err), &err);
            }
        }
        done += SHOP_ROWS;
        spent = now() - start;
    } while (spent < seconds);
    sf_buf_done(&scratch);
    sf_buf_done(&out);
    return spent / (double)done * 1e9;
}

static void keep_best(double *best, double ns)
{
    *best = *best == 0 || ns < *best ? ns : *best;
}

int main(int argc, char **argv)
{
    const double seconds = argc > 1 ? strtod(argv[1], NULL) : 0.1;
    double alone[SF_COUNT(figures)] = {0};
    double whole[SF_COUNT(figures)] = {0};
    struct served_view *views[SF_COUNT(figures)];
    struct served_table table = {0};
    struct sf_product *product = NULL;
    struct sf_slice row[SHOP_ROWS];
    struct sf_buf rows = {0};
    struct sf_issues issues;
    struct sf_error err;

    bench_must(sf_crypto_init(&err), &err);
    sf_issues_init(&issues, "product.yaml", sf_slice_text(yaml));
    bench_must(sf_product_parse(&issues, &product, &err), &err);
    sf_issues_done(&issues);
    table.contract = product->tables;
    shop_rows(table.contract, &rows, row);
    for (size_t i = 0; i < SF_COUNT(figures); i++) {
        views[i] = view_of(&figures[i], product, &table, i + 1);
    }
    for (unsigned run = 0; run < RUNS; run++) {
        for (size_t i = 0; i < SF_COUNT(figures); i++) {
            keep_best(&alone[i], measure(views[i], row, false, seconds));
            keep_best(&whole[i], measure(views[i], row, true, seconds));
        }
    }
    (void)printf("%zu bytes per row\n   view  with JSON   against none\n", rows.size / SHOP_ROWS);
    for (size_t i = 0; i < SF_COUNT(figures); i++) {
        (void)printf("%7.1f  %7.1f ns  %+6.1f ns %+4.0f %%  %s\n", alone[i], whole[i],
                     whole[i] - whole[0], (whole[i] / whole[0] - 1) * 100, figures[i].title);
        served_view_unref(views[i]);
    }
    sf_product_free(product);
    sf_buf_done(&rows);
    return 0;
}
