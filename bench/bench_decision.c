/*
 * What a decision costs as a leaf makes it for each request of another domain: is there a grant,
 * and what does its holder see of the table. PRODUCTS products granted to 20 or 200 domains each,
 * with 10 to 10,000 policies in force of which three are about each table. 1,000 of the grants,
 * evenly taken, are asked for in turn: a leaf keeps VIEW_CACHE_MAX views. The view was made by the
 * first request; what making it costs is what bench_policy measures. CPU time of the thread; a
 * figure is of batches of 100.
 *
 *     build/bench/bench_decision DIR [batches]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/alloc.h"
#include "common/sys/rt_uv.h"
#include "leaf/serving/serving.h"
#include "leaf/store/kv_rocks.h"

enum {
    PRODUCTS = 50,
    CONSUMERS_MAX = 200,
    ASKED = 1000,
    BATCH = 100,
    BATCHES_MAX = 100000,
    NAME = 16,
    ACCOUNT = 57,
};

static const char yaml[] =
    "sheaf: product/v1\nproduct: sales/p%02u\nversion: 1.0.0\nstatus: active\nowner: t\n"
    "description: d\ntables:\n  orders:\n    kind: state\n    key: [order_id]\n    fields:\n"
    "      order_id: {number: 1, type: string, required: true}\n"
    "      customer_id: {number: 2, type: string, class: pseudonymous}\n"
    "      email: {number: 3, type: string, class: pii}\n"
    "      country: {number: 4, type: string}\n"
    "      note: {number: 5, type: string}\n";
static const char about_all[] =
    "---\nsheaf: policy/v1\nname: mail\nmatch: {class: pii}\nmask: keep_domain\n"
    "---\nsheaf: policy/v1\nname: ids\nmatch: {class: pseudonymous}\nmask: hash\n"
    "---\nsheaf: policy/v1\nname: north\nmatch: {domain: sales}\nfilter: country = 'NO'\n";

struct world {
    struct rt_uv *uv;
    struct store *store;
    struct serving serving;
    struct grant_set set;
    struct grant grants[PRODUCTS * CONSUMERS_MAX];
    struct sf_seed secret;
    char names[PRODUCTS][NAME];
    char consumers[CONSUMERS_MAX][NAME];
    char accounts[CONSUMERS_MAX][ACCOUNT];
    double times[BATCHES_MAX];
};

static void must(enum sf_code code, const struct sf_error *err)
{
    if (code != SF_OK) {
        (void)fprintf(stderr, "bench_decision: %s\n", err->text);
        exit(1);
    }
}

static double now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;

    return (x > y) - (x < y);
}

static void add_products(struct world *w)
{
    struct sf_error err;

    for (unsigned i = 0; i < PRODUCTS; i++) {
        char text[sizeof(yaml) + 8];

        (void)snprintf(text, sizeof(text), yaml, i);
        (void)snprintf(w->names[i], NAME, "p%02u", i);
        must(product_set_add(&w->serving.products, i + 1, sf_slice_text(text), &err), &err);
    }
}

static void name_consumers(struct world *w)
{
    for (unsigned c = 0; c < CONSUMERS_MAX; c++) {
        (void)snprintf(w->consumers[c], NAME, "domain%03u", c);
        (void)snprintf(w->accounts[c], ACCOUNT, "A%03u%052u", c * 617 % 1000, c);
    }
}

static void set_grants(struct world *w, unsigned consumers)
{
    struct sf_error err;
    const int64_t hour_us = 3600 * SF_US_PER_S;
    const int64_t end_us = sf_rt_wall_us(w->serving.rt) + hour_us;

    for (unsigned i = 0; i < consumers * PRODUCTS; i++) {
        w->grants[i] = (struct grant){
            .id = "G-1",
            .product = w->names[i % PRODUCTS],
            .major = 1,
            .consumer = w->consumers[i / PRODUCTS],
            .consumer_account = w->accounts[i / PRODUCTS],
            .audience = "a",
            .purpose = "churn",
            .until_us = end_us,
        };
    }
    w->set.expires_us = end_us;
    w->set.grants = w->grants;
    w->set.grant_count = (size_t)consumers * PRODUCTS;
    qsort(w->grants, w->set.grant_count, sizeof(*w->grants), grant_compare);
    must(grant_index_make(&w->set.index, w->grants, w->set.grant_count, &w->set.arena, &err), &err);
}

/* Those about all tables, and others about other domains, products, tags and fields. */
static void set_policies(struct world *w, unsigned count)
{
    struct sf_buf text = {0};
    struct sf_issues issues;
    struct sf_error err;

    sf_buf_text(&text, about_all);
    for (unsigned i = 3; i < count; i++) {
        sf_buf_printf(&text, "---\nsheaf: policy/v1\nname: o%u\n", i);
        if (i % 3 == 0) {
            sf_buf_printf(&text, "match: {domain: d%u, class: pii}\nmask: hash\n", i / 4);
        } else if (i % 3 == 1) {
            sf_buf_printf(&text, "match: {product: d%u/p%u}\nfilter: country = 'NO'\n", i / 8, i);
        } else {
            sf_buf_printf(&text, "match: {tag: t%u}\ndeny: true\n", i);
        }
    }
    sf_policy_set_free(w->set.policies);
    w->set.policies = sf_policy_set_new();
    sf_issues_init(&issues, "policies.yaml", sf_buf_view(&text));
    must(sf_policy_set_add(w->set.policies, &issues, 1, &err), &err);
    sf_issues_done(&issues);
    sf_buf_done(&text);
    serving_keys_changed(&w->serving); /* views are decided anew */
}

/* What a request of the @n-th of the grants that are asked for asks. */
static void decide(struct world *w, size_t n)
{
    const struct grant *g = &w->grants[n * (w->set.grant_count / ASKED)];
    const struct serving_caller caller = {.account = g->consumer_account};
    struct serving_right right;
    struct served_view *view = NULL;
    struct sf_error err;

    must(serving_decide(&w->serving, &caller, g->product, 0, &right, &err), &err);
    must(serving_view(&w->serving, served_product_table(right.product, "orders"), right.grant,
                      &right.roles, &view, &err),
         &err);
    served_view_unref(view);
}

static double measure(struct world *w, unsigned policies, size_t batches)
{
    size_t n = 0;

    set_policies(w, policies);
    for (size_t i = 0; i < ASKED; i++) {
        decide(w, i);
    }
    for (size_t b = 0; b < batches; b++) {
        const double start = now();

        for (unsigned i = 0; i < BATCH; i++) {
            decide(w, n);
            n = (n + 389) % ASKED; /* another product of another domain each time */
        }
        w->times[b] = (now() - start) / BATCH;
    }
    qsort(w->times, batches, sizeof(*w->times), compare);
    (void)printf("%8zu %8u %8.0f %8.0f\n", w->set.grant_count, policies, w->times[batches / 2],
                 w->times[batches - batches / 100 - 1]);
    return w->times[batches / 2];
}

static void on_closed(void *data)
{
    rt_uv_stop(((struct world *)data)->uv);
}

static void begin(struct world *w, const char *dir)
{
    struct kv *kv = NULL;
    struct sf_error err;

    must(sf_crypto_init(&err), &err);
    must(rt_uv_new(&w->uv, &err), &err);
    must(kv_rocks_open(dir, NULL, &kv, &err), &err);
    must(store_open(rt_uv_rt(w->uv), kv, NULL, &w->store, &err), &err);
    must(sf_seed_generate(&w->secret, &err), &err);
    w->serving =
        (struct serving){.rt = rt_uv_rt(w->uv), .domain = "sales", .mask_secret = &w->secret};
    must(product_set_init(&w->serving.products, "sales", w->store, &err), &err);
    add_products(w);
    name_consumers(w);
    w->set.policy_version = 1;
    w->serving.grants = &w->set;
}

static void end(struct world *w)
{
    sf_policy_set_free(w->set.policies);
    sf_arena_done(&w->set.arena);
    product_set_done(&w->serving.products);
    store_close(w->store, on_closed, w);
    rt_uv_run(w->uv);
    rt_uv_free(w->uv);
    sf_seed_done(&w->secret);
}

int main(int argc, char **argv)
{
    static const unsigned consumers[] = {20, 200};
    static const unsigned policies[] = {10, 100, 1000, 10000};
    static struct world w;
    const size_t batches = argc > 2 ? (size_t)strtoul(argv[2], NULL, 10) : 5000;
    double first = 0;
    double last = 0;

    if (argc < 2 || batches == 0 || batches > BATCHES_MAX) {
        (void)fprintf(stderr, "usage: bench_decision DIR [1 to %d batches]\n", BATCHES_MAX);
        return 2;
    }
    begin(&w, argv[1]);
    (void)printf(
        "  grants policies   p50 ns   p99 ns   a decision (goal: p50 150, growth 20 %%)\n");
    for (size_t c = 0; c < SF_COUNT(consumers); c++) {
        set_grants(&w, consumers[c]);
        for (size_t i = 0; i < SF_COUNT(policies); i++) {
            last = measure(&w, policies[i], batches);
            first = c + i == 0 ? last : first;
        }
    }
    (void)printf("growth %.0f %%\n", (last / first - 1) * 100);
    end(&w);
    return 0;
}
