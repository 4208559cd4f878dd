/*
 * What the past costs: writing while old changes are trimmed, and reading rows as they were.
 *
 *     bench_past DIR [SECONDS] [KEEP_SECONDS]
 *
 * Updates KEYS rows of 250 bytes at random, WRITE_ROWS per write, one write at a time, for SECONDS;
 * with KEEP_SECONDS retention trims meanwhile. Prints rows per second and how long a write took.
 * Then, from the newest position back to the first that is held, how long a get and a scan take as
 * of it, against the live ones.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/sys/rt_uv.h"
#include "leaf/store/as_of.h"
#include "leaf/store/kv_rocks.h"
#include "leaf/store/retain.h"

enum { KEYS = 100000, KEY_BYTES = 12, ROW_BYTES = 250, WRITE_ROWS = 500, TIMES_MAX = 1000000 };
enum { GETS = 2000, STEPS = 5 };

struct bench {
    struct rt_uv *uv;
    struct sf_rt *rt;
    struct store *store;
    struct store_lane *lane;
    struct retainer *retainer;
    struct sf_metrics metrics;
    struct store_write write;
    struct store_lane_write lane_write;
    struct store_change changes[WRITE_ROWS];
    uint8_t keys[WRITE_ROWS][KEY_BYTES];
    uint8_t rows[WRITE_ROWS][ROW_BYTES];
    double *times;
    size_t count;
    double submitted;
    double start;
    double seconds;
    int64_t keep_us;
    uint64_t random;
};

static void must(enum sf_code code, const struct sf_error *err)
{
    if (code != SF_OK) {
        (void)fprintf(stderr, "%s\n", err->text);
        exit(1);
    }
}

static double now_s(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t next_random(struct bench *b)
{
    b->random ^= b->random << 13;
    b->random ^= b->random >> 7;
    b->random ^= b->random << 17;
    return b->random;
}

static void make_key(uint64_t n, uint8_t key[KEY_BYTES])
{
    memcpy(key, "key-", 4);
    for (int i = 0; i < 8; i++) {
        key[4 + i] = (uint8_t)(n >> (56 - 8 * i));
    }
}

static struct retain_rule rule_of(void *data, const struct store_lane *lane)
{
    (void)lane;
    return (struct retain_rule){.keep_us = ((struct bench *)data)->keep_us};
}

static uint64_t taken_of(void *data, const struct store_lane *lane)
{
    (void)data;
    (void)lane;
    return UINT64_MAX;
}

/* --- writing --- */

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

static void on_retainer_closed(void *data)
{
    struct bench *b = data;

    rt_uv_stop(b->uv);
}

static void submit(struct bench *b);

static void on_written(struct store_write *w, const struct sf_error *err)
{
    struct bench *b = w->data;
    double now = now_s();

    must(err == NULL ? SF_OK : err->code, err);
    b->times[b->count++] = now - b->submitted;
    if (now - b->start < b->seconds && b->count < TIMES_MAX) {
        submit(b);
    } else if (b->retainer != NULL) {
        retainer_close(b->retainer, on_retainer_closed, b);
    } else {
        rt_uv_stop(b->uv);
    }
}

static void submit(struct bench *b)
{
    struct sf_error err;

    for (size_t i = 0; i < WRITE_ROWS; i++) {
        struct store_change *c = &b->changes[i];

        make_key(next_random(b) % KEYS, b->keys[i]);
        for (size_t k = 0; k < ROW_BYTES; k += 8) {
            uint64_t r = k % 16 == 0 ? next_random(b) : 0;

            memcpy(b->rows[i] + k, &r, ROW_BYTES - k < 8 ? ROW_BYTES - k : 8);
        }
        *c = (struct store_change){.op = STORE_UPSERT,
                                   .contract_id = 1,
                                   .key = sf_slice_of(b->keys[i], KEY_BYTES),
                                   .row = sf_slice_of(b->rows[i], ROW_BYTES),
                                   .expect_seq = STORE_ANY};
        store_change_digest(c->op, c->key, c->row, c->digest);
    }
    b->lane_write = (struct store_lane_write){.lane = b->lane,
                                              .changes = b->changes,
                                              .change_count = WRITE_ROWS,
                                              .expect_seq = STORE_ANY};
    b->write = (struct store_write){.data = b, .lanes = &b->lane_write, .lane_count = 1};
    b->submitted = now_s();
    must(store_submit(b->store, &b->write, on_written, &err), &err);
}

static void write_all(struct bench *b)
{
    const struct retainer_options options = {.rt = b->rt,
                                             .store = b->store,
                                             .metrics = &b->metrics,
                                             .rule = rule_of,
                                             .taken = taken_of,
                                             .data = b};
    struct sf_error err;

    if (b->keep_us > 0) {
        must(retainer_new(&options, &b->retainer, &err), &err);
    }
    b->start = now_s();
    submit(b);
    rt_uv_run(b->uv);
    qsort(b->times, b->count, sizeof(*b->times), by_size);
    (void)printf("write: %8.0f rows/s   of %d rows p50 %.2f ms  p99 %.2f ms  longest %.1f ms\n",
                 (double)(b->count * WRITE_ROWS) / b->seconds, WRITE_ROWS,
                 b->times[b->count / 2] * 1e3, b->times[b->count * 99 / 100] * 1e3,
                 b->times[b->count - 1] * 1e3);
    (void)fflush(stdout);
}

/* --- reading --- */

static double time_gets(struct bench *b, const struct store_snapshot *s, uint64_t seq, bool live)
{
    struct sf_buf bytes = {0};
    struct store_row row;
    uint8_t key[KEY_BYTES];
    bool found;
    struct sf_error err;
    double start = now_s();

    for (unsigned i = 0; i < GETS; i++) {
        struct sf_slice k = sf_slice_of(key, KEY_BYTES);

        make_key(next_random(b) % KEYS, key);
        must(live ? store_get(s, b->lane, k, &bytes, &row, &found, &err)
                  : store_get_as_of(s, b->lane, k, seq, &bytes, &row, &found, &err),
             &err);
    }
    sf_buf_done(&bytes);
    return (now_s() - start) / GETS * 1e6;
}

static double time_scan(struct bench *b, const struct store_snapshot *s, uint64_t seq, bool live)
{
    enum { ROWS = 5000 };
    const struct store_range all = {0};
    struct store_scan *scan = NULL;
    struct store_past *past = NULL;
    struct store_row row;
    bool more = true;
    struct sf_error err;
    double start = now_s();
    size_t rows = 0;

    must(live ? store_scan_new(s, b->lane, &all, &scan, &err)
              : store_past_new(s, b->lane, &all, seq, &past, &err),
         &err);
    while (more && rows < ROWS) {
        must(live ? store_scan_next(scan, &row, &more, &err)
                  : store_past_next(past, &row, &more, &err),
             &err);
        rows++;
    }
    store_scan_free(scan);
    store_past_free(past);
    return (now_s() - start) / (double)rows * 1e6;
}

static void read_all(struct bench *b)
{
    struct store_snapshot *s = NULL;
    struct store_anchor anchor;
    struct sf_error err;
    uint64_t head = store_lane_head(b->lane)->seq;

    must(store_snapshot_new(b->store, &s, &err), &err);
    must(store_anchor_of(s, b->lane, &anchor, &err), &err);
    (void)printf("held: %" PRIu64 " to %" PRIu64 "\n", anchor.seq, head);
    (void)printf("live:                    get %7.1f us   scan %7.2f us a row\n",
                 time_gets(b, s, 0, true), time_scan(b, s, 0, true));
    for (uint64_t i = 0; i <= STEPS; i++) {
        uint64_t seq = head - (head - anchor.seq) * i / STEPS;

        (void)printf("as of %8" PRIu64 " back:     get %7.1f us   scan %7.2f us a row\n",
                     head - seq, time_gets(b, s, seq, false), time_scan(b, s, seq, false));
    }
    store_snapshot_free(s);
}

static void on_store_closed(void *data)
{
    rt_uv_stop(((struct bench *)data)->uv);
}

int main(int argc, char **argv)
{
    static struct bench b = {.random = 88172645463325252u};
    const struct store_lane_name name = {"bench/rows", "rows", 1, 0, STORE_STATE};
    struct kv *kv = NULL;
    struct sf_error err;

    if (argc < 2) {
        (void)fprintf(stderr, "usage: bench_past DIR [SECONDS] [KEEP_SECONDS]\n");
        return 2;
    }
    b.seconds = argc > 2 ? strtod(argv[2], NULL) : 10;
    b.keep_us = argc > 3 ? (int64_t)(strtod(argv[3], NULL) * 1e6) : 0;
    b.times = sf_calloc(TIMES_MAX, sizeof(*b.times));
    sf_assert(b.times != NULL);
    must(sf_crypto_init(&err), &err);
    must(rt_uv_new(&b.uv, &err), &err);
    b.rt = rt_uv_rt(b.uv);
    sf_metrics_init(&b.metrics);
    must(kv_rocks_open(argv[1], NULL, &kv, &err), &err);
    must(store_open(b.rt, kv, NULL, &b.store, &err), &err);
    must(store_lane_open(b.store, &name, &b.lane, &err), &err);
    write_all(&b);
    read_all(&b);
    store_close(b.store, on_store_closed, &b);
    rt_uv_run(b.uv);
    rt_uv_free(b.uv);
    sf_free(b.times);
    return 0;
}
