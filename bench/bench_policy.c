/*
 * What a decision costs - what one domain sees of one table, with a filter to compile - with 10 to
 * 10,000 policies in the set, of which five are about the table, and what reading a set costs. CPU
 * time of the thread; a figure is of batches of 20 decisions.
 *
 *     build/bench/bench_policy [batches]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/policy/policy.h"

enum { FIELDS = 8, BATCH = 20, ABOUT = 5, BATCHES_MAX = 100000 };

static const char *const tags[] = {"eu-only", "finance"};
static const struct sf_field fields[FIELDS] = {
    {.number = 1, .name = "order_id", .type = SF_TYPE_STRING},
    {.number = 2, .name = "customer_id", .type = SF_TYPE_STRING, .class = SF_CLASS_PSEUDONYMOUS},
    {.number = 3, .name = "email", .type = SF_TYPE_STRING, .class = SF_CLASS_PII},
    {.number = 4, .name = "country", .type = SF_TYPE_STRING},
    {.number = 5, .name = "amount", .type = SF_TYPE_DECIMAL, .precision = 12, .scale = 2},
    {.number = 6, .name = "quantity", .type = SF_TYPE_INT32},
    {.number = 7, .name = "ordered_at", .type = SF_TYPE_TIMESTAMP},
    {.number = 8, .name = "note", .type = SF_TYPE_STRING},
};
static const struct sf_table table = {
    .name = "orders", .fields = fields, .field_count = FIELDS, .event_time = -1};
static const struct sf_product product = {.domain = "sales",
                                          .name = "orders",
                                          .version = {1, 0, 0},
                                          .status = SF_STATUS_ACTIVE,
                                          .tags = tags,
                                          .tag_count = 2,
                                          .tables = &table,
                                          .table_count = 1};

static void must(enum sf_code code, const struct sf_error *err)
{
    if (code != SF_OK) {
        (void)fprintf(stderr, "bench_policy: %s\n", err->text);
        exit(1);
    }
}

static double now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Those about the table, and others about other domains, products, tags and fields. */
static void write_policies(unsigned count, struct sf_buf *out)
{
    static const char *const about[ABOUT] = {
        "match: {class: pii}\nexcept: {purposes: fraud}\nmask: keep_domain\n",
        "match: {class: [pseudonymous]}\nmask: hash\n",
        "match: {tag: eu-only}\nfilter: country IN ('NO', 'SE', 'DK')\n",
        "match: {product: sales/orders, field: note}\nmask: redact\n",
        "match: {domain: sales, type: timestamp}\nmask: truncate(day)\n",
    };

    for (unsigned i = 0; i < count; i++) {
        sf_buf_printf(out, "---\nsheaf: policy/v1\nname: p%u\n", i);
        if (i < ABOUT) {
            sf_buf_text(out, about[i]);
        } else if (i % 4 == 0) {
            sf_buf_printf(out, "match: {domain: d%u, class: pii}\nmask: hash\n", i / 4);
        } else if (i % 4 == 1) {
            sf_buf_printf(out, "match: {product: d%u/p%u}\nfilter: country = 'NO'\n", i / 8, i);
        } else if (i % 4 == 2) {
            sf_buf_printf(out, "match: {tag: t%u}\ndeny: true\n", i);
        } else {
            sf_buf_printf(out, "match: {field: f%u, class: pii}\nmask: redact\n", i);
        }
    }
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Nanoseconds per decision, in batches, ascending. */
static void decide(const struct sf_policy_set *set, double *ret, size_t batches)
{
    const struct sf_policy_input in = {.platform = set,
                                       .product = &product,
                                       .table = &table,
                                       .subject = {.domain = "marketing", .purpose = "churn"}};
    struct sf_error err;

    for (size_t b = 0; b < batches; b++) {
        double start = now();

        for (unsigned i = 0; i < BATCH; i++) {
            struct sf_policy_view *v = NULL;

            must(sf_policy_decide(&in, &v, &err), &err);
            sf_policy_view_free(v);
        }
        ret[b] = (now() - start) / BATCH;
    }
    qsort(ret, batches, sizeof(*ret), compare);
}

static void measure(unsigned count, double *times, size_t batches)
{
    struct sf_policy_set *set = sf_policy_set_new();
    struct sf_buf text = {0};
    struct sf_issues issues;
    struct sf_error err;
    double start;
    double read;

    write_policies(count, &text);
    sf_issues_init(&issues, "policies.yaml", sf_buf_view(&text));
    start = now();
    must(sf_policy_set_add(set, &issues, 1, &err), &err);
    read = now() - start;
    decide(set, times, batches);
    (void)printf("%8u %14.0f %14.0f %16.1f\n", count, times[batches / 2],
                 times[batches - batches / 100 - 1], read / count / 1000);
    sf_issues_done(&issues);
    sf_buf_done(&text);
    sf_policy_set_free(set);
}

int main(int argc, char **argv)
{
    static const unsigned counts[] = {10, 100, 1000, 10000};
    static double times[BATCHES_MAX];
    size_t batches = argc > 1 ? (size_t)strtoul(argv[1], NULL, 10) : 2000;

    if (batches == 0 || batches > BATCHES_MAX) {
        (void)fprintf(stderr, "bench_policy: 1 to %d batches\n", BATCHES_MAX);
        return 1;
    }
    (void)printf("policies  p50 ns/decision  p99 ns/decision  us/policy to read\n");
    for (size_t i = 0; i < SF_COUNT(counts); i++) {
        measure(counts[i], times, batches);
    }
    return 0;
}
