/*
 * Masked rows per second on one thread, over encoded rows of eight fields (about 110 bytes), and
 * what a masked field costs. Times are CPU time of the thread; each figure is the best of three
 * runs.
 *
 *     build/bench/bench_mask [seconds per figure]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bench/shop_rows.h"
#include "common/mask/mask.h"
#include "common/sys/hash_prepared.h"

enum { RUNS = 3, ROOM = 1024 };

struct figure {
    const char *title;
    const char *masks[SHOP_FIELDS];
};

static const struct figure figures[] = {
    {"no mask: the row is copied", {0}},
    {"one omit", {[2] = "omit"}},
    {"one null", {[2] = "null"}},
    {"one redact", {[2] = "redact"}},
    {"one constant", {[2] = "constant(x)"}},
    {"one keep_domain", {[2] = "keep_domain"}},
    {"one keep_last(4)", {[2] = "keep_last(4)"}},
    {"one hash", {[2] = "hash"}},
    {"one bucket(100)", {[4] = "bucket(100)"}},
    {"one round(0)", {[4] = "round(0)"}},
    {"one truncate(month)", {[6] = "truncate(month)"}},
    {"keep_domain, round, truncate, omit",
     {[2] = "keep_domain", [4] = "round(0)", [6] = "truncate(month)", [7] = "omit"}},
    {"hash, keep_domain, bucket, omit",
     {[1] = "hash", [2] = "keep_domain", [4] = "bucket(10)", [7] = "omit"}},
};

static void keyed_hash(const void *context, const struct sf_slice *parts, size_t count,
                       uint8_t ret[SF_MASK_HASH_SIZE])
{
    sf_hash_prepared_parts(context, parts, count, ret);
}

static double now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct sf_mask_program *compile(const struct figure *f)
{
    struct sf_mask masks[SHOP_FIELDS] = {0};
    struct sf_mask_program *p = NULL;
    struct sf_arena arena;
    struct sf_error err;

    sf_arena_init(&arena, 0);
    for (size_t i = 0; i < SHOP_FIELDS; i++) {
        if (f->masks[i] != NULL) {
            struct sf_issues issues;

            sf_issues_init(&issues, "mask", sf_slice_text(f->masks[i]));
            bench_must(sf_mask_parse(&issues, &arena, &masks[i], &err), &err);
            sf_issues_done(&issues);
        }
    }
    bench_must(sf_mask_compile(&shop_table, masks, &p, &err), &err);
    sf_arena_done(&arena);
    return p;
}

/* Nanoseconds per row. */
static double measure(const struct figure *f, const struct sf_slice *row, double seconds)
{
    static const uint8_t key[SF_HASH_KEY_SIZE] = {1};
    struct sf_hash_prepared ready;
    const struct sf_mask_hasher hasher = {.hash = keyed_hash, .context = &ready};
    struct sf_mask_program *p = compile(f);
    uint8_t out[ROOM];
    double best = 0;

    sf_hash_prepare(&ready, SF_MASK_HASH_SIZE, key);
    for (unsigned run = 0; run < RUNS; run++) {
        double start = now();
        double spent = 0;
        size_t done = 0;

        do {
            for (unsigned i = 0; i < SHOP_ROWS; i++) {
                struct sf_mask_outcome outcome;

                if (sf_mask_room(p, row[i].size) > ROOM ||
                    !sf_mask_run(p, row[i], &hasher, out, &outcome)) {
                    (void)fprintf(stderr, "bench_mask: a row was dropped\n");
                    exit(1);
                }
            }
            done += SHOP_ROWS;
            spent = now() - start;
        } while (spent < seconds);
        best = best == 0 || spent / (double)done < best ? spent / (double)done : best;
    }
    sf_mask_program_free(p);
    return best * 1e9;
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 0.5;
    struct sf_slice row[SHOP_ROWS];
    struct sf_buf rows = {0};
    struct sf_error err;
    double copy = 0;

    bench_must(sf_crypto_init(&err), &err);
    shop_rows(&shop_table, &rows, row);
    printf("%zu bytes per row\n", rows.size / SHOP_ROWS);
    for (size_t i = 0; i < SF_COUNT(figures); i++) {
        double ns = measure(&figures[i], row, seconds);

        copy = i == 0 ? ns : copy;
        printf("%7.1f M/s  %6.1f ns per row  %+6.1f ns  %s\n", 1e3 / ns, ns, ns - copy,
               figures[i].title);
    }
    sf_buf_done(&rows);
    return 0;
}
