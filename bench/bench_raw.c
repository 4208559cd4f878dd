/*
 * The raw limit of durable ingest: a bare RocksDB batch writer, one sync per batch, the records of
 * the benchmark as values under their keys, no parsing, no checks, no log.
 *
 *     bench_raw DIR SECONDS BATCH rising|random|updates [FIRST [lz4|plain [SEQUENCES]]]
 *
 * With SEQUENCES each hundred of records goes to the next of so many, whose number stands in front
 * of the key, as the bodies of bench_growth.py go to products.
 * For updates, which choose from the keys below FIRST, all of these are put before time is taken.
 * Memtables as those of the leaf's rows; compressed with LZ4, or not at all. Prints one line of
 * JSON.
 */
#include <inttypes.h>
#include <rocksdb/c.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "bench/records.h"
#include "common/base/alloc.h"
#include "common/base/buf.h"

enum { TEMPLATES = 1000, FILL_ROWS = 4000, BODY_ROWS = 100, PREFIX_BYTES = 4 };

static double now_s(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Of all threads, RocksDB's as well. */
static double cpu_s(void)
{
    struct rusage u;

    (void)getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void check(const char *text)
{
    if (text != NULL) {
        (void)fprintf(stderr, "bench_raw: %s\n", text);
        exit(1);
    }
}

static rocksdb_t *open_db(const char *dir, bool is_plain)
{
    rocksdb_options_t *o = rocksdb_options_create();
    char *text = NULL;
    rocksdb_t *db;

    rocksdb_options_set_create_if_missing(o, 1);
    rocksdb_options_set_write_buffer_size(o, 64 << 20);
    rocksdb_options_set_max_write_buffer_number(o, 4);
    rocksdb_options_set_compression(o, is_plain ? rocksdb_no_compression : rocksdb_lz4_compression);
    rocksdb_options_increase_parallelism(o, 2);
    rocksdb_options_set_allow_concurrent_memtable_write(o, 0);
    db = rocksdb_open(o, dir, &text);
    check(text);
    rocksdb_options_destroy(o);
    return db;
}

/* The values that updates replace. */
static void fill(rocksdb_t *db, rocksdb_writebatch_t *batch, char *records, uint64_t count)
{
    rocksdb_writeoptions_t *options = rocksdb_writeoptions_create();

    for (uint64_t n = 0; n < count;) {
        char *text = NULL;

        rocksdb_writebatch_clear(batch);
        for (size_t i = 0; i < FILL_ROWS && n < count; i++, n++) {
            char *record = records + n % TEMPLATES * RECORDS_BYTES;

            records_set_key(record, n);
            rocksdb_writebatch_put(batch, record + RECORDS_KEY_OFFSET, RECORDS_KEY_BYTES, record,
                                   RECORDS_BYTES);
        }
        rocksdb_write(db, options, batch, &text);
        check(text);
    }
    rocksdb_writeoptions_destroy(options);
}

/* The next row; of a sequence when there are some. */
static void put(rocksdb_writebatch_t *batch, char *record, uint64_t n, uint64_t sequences)
{
    char key[PREFIX_BYTES + RECORDS_KEY_BYTES];
    const size_t skip = sequences == 0 ? PREFIX_BYTES : 0;

    sf_write_be32((uint8_t *)key, sequences == 0 ? 0 : (uint32_t)(n / BODY_ROWS % sequences));
    memcpy(key + PREFIX_BYTES, record + RECORDS_KEY_OFFSET, RECORDS_KEY_BYTES);
    rocksdb_writebatch_put(batch, key + skip, sizeof(key) - skip, record, RECORDS_BYTES);
}

int main(int argc, char **argv)
{
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    rocksdb_writeoptions_t *options = rocksdb_writeoptions_create();
    char *records = sf_alloc((size_t)TEMPLATES * RECORDS_BYTES);
    enum records_pattern pattern;
    uint64_t first;
    uint64_t n = 0;
    uint64_t sequences;
    size_t batch_rows;
    double start_s;
    double start_cpu_s;
    double end_s;
    rocksdb_t *db;

    if (argc < 5 || records == NULL) {
        (void)fprintf(stderr, "usage: bench_raw DIR SECONDS BATCH rising|random|updates [FIRST]\n");
        return 2;
    }
    batch_rows = strtoul(argv[3], NULL, 10);
    pattern = records_pattern_of(argv[4]);
    first = argc > 5 ? strtoull(argv[5], NULL, 10) : 1;
    sequences = argc > 7 ? strtoull(argv[7], NULL, 10) : 0;
    for (size_t i = 0; i < TEMPLATES; i++) {
        records_make(records + i * RECORDS_BYTES, i);
    }
    db = open_db(argv[1], argc > 6 && strcmp(argv[6], "plain") == 0);
    if (pattern == RECORDS_UPDATES) {
        fill(db, batch, records, first);
    }
    rocksdb_writeoptions_set_sync(options, 1);
    start_cpu_s = cpu_s();
    start_s = now_s();
    end_s = start_s + strtod(argv[2], NULL);
    while (now_s() < end_s) {
        char *text = NULL;

        rocksdb_writebatch_clear(batch);
        for (size_t i = 0; i < batch_rows; i++, n++) {
            char *record = records + n % TEMPLATES * RECORDS_BYTES;

            records_set_key(record, records_key(pattern, first, n));
            put(batch, record, n, sequences);
        }
        rocksdb_write(db, options, batch, &text);
        check(text);
    }
    (void)printf("{\"records_per_s\":%.0f,\"records\":%" PRIu64 ",\"cpu_s_per_million\":%.3f}\n",
                 (double)n / (now_s() - start_s), n, (cpu_s() - start_cpu_s) / (double)n * 1e6);
    rocksdb_close(db);
    rocksdb_writebatch_destroy(batch);
    rocksdb_writeoptions_destroy(options);
    sf_free(records);
    return 0;
}
