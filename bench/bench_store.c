/*
 * How much of a bare RocksDB the store keeps: rows per second, durable.
 *
 *     bench_store DIR [ROWS] [ROUNDS]
 *
 * The bare writer puts 12-byte keys and 250-byte values with one sync per batch; its best batch
 * size counts. The store gets the same rows by store_submit(), 500 per write and a few writes in
 * flight: log and state, prev_seq, digests, frames. Digests are made on the loop thread, as ingest
 * does, and so are part of the time. Rounds are interleaved and medians printed.
 */
#include <inttypes.h>
#include <rocksdb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/sys/rt_uv.h"
#include "leaf/store/kv.h"
#include "leaf/store/kv_rocks.h"
#include "leaf/store/store.h"

enum {
    KEY_BYTES = 12,
    ROW_BYTES = 250,
    WRITE_ROWS = 500,
    IN_FLIGHT = 16,
    ROUNDS_MAX = 31,
};

enum pattern { RISING, RANDOM, UPDATES, EVENTS, PATTERN_COUNT };

static const char *const pattern_names[PATTERN_COUNT] = {"rising", "random", "updates", "events"};

struct rows {
    size_t count;
    uint8_t *values; /* ROW_BYTES each */
};

static void must(enum sf_code code, const struct sf_error *err)
{
    if (code != SF_OK) {
        (void)fprintf(stderr, "%s\n", err->text);
        exit(1);
    }
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static void make_key(enum pattern p, size_t i, size_t count, uint8_t key[KEY_BYTES])
{
    uint64_t n = i;

    if (p == RANDOM) {
        n = mix(i + 1);
    } else if (p == UPDATES) {
        n = mix(i + 1) % (count / 4); /* each key four times */
    }
    memcpy(key, "key-", 4);
    for (int b = 0; b < 8; b++) {
        key[4 + b] = (uint8_t)(n >> (56 - 8 * b));
    }
}

/* Text that compresses about as rows do: half words, half noise. */
static void make_rows(struct rows *r)
{
    static const char words[] = "{\"country\":\"NO\",\"status\":\"shipped\",\"amount\":";

    r->values = sf_alloc(r->count * ROW_BYTES);
    sf_assert(r->values != NULL);
    for (size_t i = 0; i < r->count; i++) {
        uint8_t *v = r->values + i * ROW_BYTES;

        for (size_t b = 0; b < ROW_BYTES; b++) {
            v[b] = b % 64 < 40 ? (uint8_t)words[b % 44] : (uint8_t)('0' + mix(i * 1000 + b) % 10);
        }
    }
}

static double now_s(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* --- bare --- */

static rocksdb_t *bare_open(const char *dir, rocksdb_options_t *o)
{
    char *text = NULL;
    rocksdb_t *db;

    rocksdb_options_set_create_if_missing(o, 1);
    rocksdb_options_set_write_buffer_size(o, 64 << 20);
    rocksdb_options_set_max_write_buffer_number(o, 4);
    rocksdb_options_set_compression(o, rocksdb_lz4_compression);
    rocksdb_options_increase_parallelism(o, 2);
    rocksdb_options_set_allow_concurrent_memtable_write(o, 0);
    db = rocksdb_open(o, dir, &text);
    if (text != NULL) {
        (void)fprintf(stderr, "%s\n", text);
        exit(1);
    }
    return db;
}

static double run_bare(const char *dir, const struct rows *rows, enum pattern p, size_t batch_rows)
{
    rocksdb_options_t *o = rocksdb_options_create();
    rocksdb_writeoptions_t *wo = rocksdb_writeoptions_create();
    rocksdb_writebatch_t *b = rocksdb_writebatch_create();
    rocksdb_t *db = bare_open(dir, o);
    double start = now_s();
    double took;
    char *text = NULL;

    rocksdb_writeoptions_set_sync(wo, 1);
    for (size_t i = 0; i < rows->count;) {
        rocksdb_writebatch_clear(b);
        for (size_t n = 0; n < batch_rows && i < rows->count; n++, i++) {
            uint8_t key[KEY_BYTES];

            make_key(p, i, rows->count, key);
            rocksdb_writebatch_put(b, (const char *)key, KEY_BYTES,
                                   (const char *)rows->values + i * ROW_BYTES, ROW_BYTES);
        }
        rocksdb_write(db, wo, b, &text);
        sf_assert(text == NULL);
    }
    took = now_s() - start;
    rocksdb_close(db);
    rocksdb_writebatch_destroy(b);
    rocksdb_writeoptions_destroy(wo);
    rocksdb_options_destroy(o);
    return (double)rows->count / took;
}

/* --- store --- */

struct slot {
    struct store_write write;
    struct store_lane_write lane;
    struct store_change changes[WRITE_ROWS];
    uint8_t keys[WRITE_ROWS][KEY_BYTES];
    struct run *run;
    struct sf_list link;
};

struct run {
    struct sf_rt *rt;
    struct store *store;
    struct store_lane *lane;
    const struct rows *rows;
    enum pattern pattern;
    size_t next;
    size_t done;
    struct sf_list idle; /* struct slot */
    struct sf_task pump;
    bool pumping;
    double took;
    double start;
    struct store_stats stats;
};

static void on_closed(void *data)
{
    (void)data; /* Nothing is left to run. */
}

static void on_written(struct store_write *w, const struct sf_error *err)
{
    struct slot *slot = w->data;
    struct run *run = slot->run;

    must(err == NULL ? SF_OK : err->code, err);
    run->done += slot->lane.change_count;
    sf_list_push(&run->idle, &slot->link);
    if (run->done == run->rows->count) {
        run->took = now_s() - run->start;
        run->stats = store_stats(run->store);
        store_close(run->store, on_closed, run);
    } else if (!run->pumping) {
        run->pumping = true;
        sf_rt_post(run->rt, &run->pump);
    }
}

static void fill(struct run *run, struct slot *slot)
{
    slot->write = (struct store_write){.data = slot, .lanes = &slot->lane, .lane_count = 1};
    slot->lane = (struct store_lane_write){
        .lane = run->lane,
        .changes = slot->changes,
        .expect_seq = STORE_ANY,
    };
    for (size_t n = 0; n < WRITE_ROWS && run->next < run->rows->count; n++, run->next++) {
        struct store_change *c = &slot->changes[n];

        make_key(run->pattern, run->next, run->rows->count, slot->keys[n]);
        c->op = STORE_UPSERT;
        c->contract_id = 1;
        c->expect_seq = STORE_ANY;
        c->key = sf_slice_of(slot->keys[n], run->pattern == EVENTS ? 0 : KEY_BYTES);
        c->row = sf_slice_of(run->rows->values + run->next * ROW_BYTES, ROW_BYTES);
        store_change_digest(c->op, c->key, c->row, c->digest);
        slot->lane.change_count++;
    }
}

/* One write per turn, so that the loop stays awake for what has been committed. */
static void on_pump(struct sf_task *t)
{
    struct run *run = SF_CONTAINER_OF(t, struct run, pump);
    struct sf_error err = {0};
    struct slot *slot;

    run->pumping = false;
    if (sf_list_empty(&run->idle) || run->next == run->rows->count) {
        return;
    }
    slot = SF_CONTAINER_OF(sf_list_pop(&run->idle), struct slot, link);
    fill(run, slot);
    must(store_submit(run->store, &slot->write, on_written, &err), &err);
    run->pumping = true;
    sf_rt_post(run->rt, t);
}

static double run_store(const char *dir, const struct rows *rows, enum pattern p,
                        struct store_stats *stats)
{
    static struct slot slots[IN_FLIGHT];
    struct store_lane_name name = {"bench/rows", "rows", 1, 0,
                                   p == EVENTS ? STORE_EVENT : STORE_STATE};
    struct run run = {.rows = rows, .pattern = p, .pump.run = on_pump};
    struct sf_error err = {0};
    struct rt_uv *uv = NULL;
    struct kv *kv = NULL;

    must(rt_uv_new(&uv, &err), &err);
    run.rt = rt_uv_rt(uv);
    must(kv_rocks_open(dir, NULL, &kv, &err), &err);
    must(store_open(run.rt, kv, NULL, &run.store, &err), &err);
    must(store_lane_open(run.store, &name, &run.lane, &err), &err);
    sf_list_init(&run.idle);
    for (size_t i = 0; i < IN_FLIGHT; i++) {
        slots[i].run = &run;
        slots[i].link = (struct sf_list){0};
        sf_list_push(&run.idle, &slots[i].link);
    }
    run.start = now_s();
    run.pumping = true;
    sf_rt_post(run.rt, &run.pump);
    rt_uv_run(uv);
    rt_uv_free(uv);
    *stats = run.stats;
    return (double)rows->count / run.took;
}

/* --- the whole --- */

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof(*values), by_size);
    return values[count / 2];
}

static const char *fresh_dir(const char *dir, const char *what, char *ret, size_t size)
{
    static unsigned n;

    (void)snprintf(ret, size, "%s/%s-%u", dir, what, n++);
    return ret;
}

static void compare(const char *dir, const struct rows *rows, enum pattern p, size_t rounds)
{
    static const size_t batches[] = {500, 1000, 4000};
    double bare[SF_COUNT(batches)][ROUNDS_MAX];
    double store[ROUNDS_MAX];
    double best = 0;
    double ours;
    size_t best_batch = 0;
    struct store_stats stats = {0};
    char path[4096];

    for (size_t r = 0; r < rounds; r++) {
        for (size_t b = 0; b < SF_COUNT(batches); b++) {
            bare[b][r] = run_bare(fresh_dir(dir, "bare", path, sizeof(path)), rows, p, batches[b]);
        }
        store[r] = run_store(fresh_dir(dir, "store", path, sizeof(path)), rows, p, &stats);
    }
    for (size_t b = 0; b < SF_COUNT(batches); b++) {
        double m = median(bare[b], rounds);

        best_batch = m > best ? batches[b] : best_batch;
        best = m > best ? m : best;
    }
    ours = median(store, rounds);
    (void)printf("%-8s bare %8.0f rows/s (batch %zu)   store %8.0f rows/s (%.0f per commit, "
                 "%" PRIu64 " old rows read)   ratio %.2f\n",
                 pattern_names[p], best, best_batch, ours,
                 (double)stats.changes / (double)stats.commits, stats.reads, ours / best);
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    struct rows rows = {.count = argc > 2 ? strtoull(argv[2], NULL, 10) : 500000};
    size_t rounds = argc > 3 ? strtoull(argv[3], NULL, 10) : 5;
    struct sf_error err = {0};

    if (argc < 2 || rows.count < WRITE_ROWS || rounds == 0 || rounds > ROUNDS_MAX) {
        (void)fprintf(stderr, "usage: bench_store DIR [ROWS] [ROUNDS]\n");
        return 2;
    }
    must(sf_crypto_init(&err), &err);
    make_rows(&rows);
    for (int p = 0; p < PATTERN_COUNT; p++) {
        compare(argv[1], &rows, (enum pattern)p, rounds);
    }
    sf_free(rows.values);
    return 0;
}
