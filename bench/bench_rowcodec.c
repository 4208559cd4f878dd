/*
 * Rows per second on one thread, for the record of 250 bytes that docs and budgets speak of: read
 * from JSON, encode, decode, render. Times are CPU time of the thread; each figure is the
 * best of three runs.
 *
 *     build/bench/bench_rowcodec [seconds per figure]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/contract/record.h"
#include "leaf/rowcodec/key.h"
#include "leaf/rowcodec/row.h"

enum { RECORDS = 1000, RECORD_BYTES = 250, FIELDS = 8, RUNS = 3 };

static const struct sf_value countries[] = {
    {.present = true, .s = {(const uint8_t *)"NO", 2}},
    {.present = true, .s = {(const uint8_t *)"SE", 2}},
    {.present = true, .s = {(const uint8_t *)"DK", 2}},
};

static const struct sf_field fields[FIELDS] = {
    {.number = 1, .name = "order_id", .type = SF_TYPE_STRING, .required = true},
    {.number = 2, .name = "customer_id", .type = SF_TYPE_STRING, .required = true},
    {.number = 3, .name = "email", .type = SF_TYPE_STRING, .class = SF_CLASS_PII},
    {.number = 4,
     .name = "country",
     .type = SF_TYPE_STRING,
     .required = true,
     .enum_values = countries,
     .enum_count = 3},
    {.number = 5,
     .name = "amount",
     .type = SF_TYPE_DECIMAL,
     .precision = 12,
     .scale = 2,
     .required = true,
     .min = {.present = true}},
    {.number = 6, .name = "quantity", .type = SF_TYPE_INT32, .required = true},
    {.number = 7, .name = "ordered_at", .type = SF_TYPE_TIMESTAMP, .required = true},
    {.number = 8, .name = "note", .type = SF_TYPE_STRING},
};
static const uint16_t key[] = {0};
static const struct sf_table table = {
    .name = "orders",
    .kind = SF_TABLE_STATE,
    .fields = fields,
    .field_count = FIELDS,
    .key = key,
    .key_count = 1,
    .event_time = 6,
};

struct bench {
    struct sf_buf lines;
    struct sf_slice line[RECORDS];
    struct sf_value values[RECORDS][FIELDS];
    struct sf_buf rows;
    struct sf_slice row[RECORDS];
    struct sf_record_reader *reader;
    struct row_view *whole;
    struct sf_buf out;
};

static void must(enum sf_code code, const struct sf_error *err)
{
    if (code != SF_OK) {
        (void)fprintf(stderr, "bench_rowcodec: %s\n", err->text);
        exit(1);
    }
}

static void make_line(struct sf_buf *out, uint64_t id)
{
    uint64_t h = id * UINT64_C(0x9E3779B97F4A7C15);
    size_t start = out->size;

    sf_buf_printf(out,
                  "{\"order_id\":\"O-%010llu\",\"customer_id\":\"C-%07llu\","
                  "\"email\":\"user%07llu@example.com\",\"country\":\"%s\",\"amount\":%llu.%02llu,"
                  "\"quantity\":%llu,\"ordered_at\":\"2026-%02llu-%02lluT%02llu:%02llu:%02llu."
                  "%06lluZ\",\"note\":\"",
                  (unsigned long long)h % 10000000000, (unsigned long long)(h >> 20) % 10000000,
                  (unsigned long long)(h >> 24) % 10000000, (const char *)countries[h % 3].s.data,
                  (unsigned long long)(h >> 8) % 10000, (unsigned long long)(h >> 13) % 100,
                  (unsigned long long)(h >> 5) % 90 + 10, (unsigned long long)(h >> 9) % 12 + 1,
                  (unsigned long long)(h >> 11) % 28 + 1, (unsigned long long)(h >> 15) % 24,
                  (unsigned long long)(h >> 17) % 60, (unsigned long long)(h >> 23) % 60,
                  (unsigned long long)(h >> 7) % 1000000);
    while (out->size - start < RECORD_BYTES - 3) {
        h = h * UINT64_C(6364136223846793005) + 1;
        sf_buf_byte(out, (uint8_t)('a' + (h >> 40) % 26));
    }
    sf_buf_text(out, "\"}\n");
}

static void setup(struct bench *b)
{
    const struct row_view_options all = {0};
    struct sf_verdict verdict;
    struct sf_error err;

    for (size_t i = 0; i < RECORDS; i++) {
        make_line(&b->lines, i + 1);
    }
    must(sf_record_reader_new(&table, &b->reader, &err), &err);
    must(row_view_build(&table, &all, &b->whole, &err), &err);
    sf_assert(sf_buf_reserve(&b->rows, (size_t)RECORDS * 1024) != NULL);
    for (size_t i = 0; i < RECORDS; i++) {
        size_t start = b->rows.size;

        b->line[i] = sf_slice_of(b->lines.data + i * RECORD_BYTES, RECORD_BYTES - 1);
        must(sf_record_from_json(b->reader, b->line[i], b->values[i], &verdict, &err), &err);
        sf_assert(verdict.found == 0);
        must(row_encode(&table, b->values[i], &b->rows, &err), &err);
        b->row[i] = sf_slice_of(b->rows.data + start, b->rows.size - start);
        /* Strings are borrowed from the reader; those of the row last. */
        must(row_decode(&table, b->row[i], b->values[i], &err), &err);
    }
}

/* One pass over all records. */
typedef void (*pass_fn)(struct bench *b);

static void pass_parse(struct bench *b)
{
    struct sf_json_reader r = {0};
    const struct sf_json *v;
    struct sf_error err;

    for (size_t i = 0; i < RECORDS; i++) {
        must(sf_json_read(&r, b->line[i], &v, &err), &err);
    }
    sf_json_reader_done(&r);
}

static void pass_record(struct bench *b)
{
    struct sf_value values[FIELDS];
    struct sf_verdict verdict;
    struct sf_error err;

    for (size_t i = 0; i < RECORDS; i++) {
        must(sf_record_from_json(b->reader, b->line[i], values, &verdict, &err), &err);
        sf_assert(verdict.found == 0);
    }
}

static void pass_ingest(struct bench *b)
{
    struct sf_value values[FIELDS];
    struct sf_verdict verdict;
    struct sf_error err;

    for (size_t i = 0; i < RECORDS; i++) {
        must(sf_record_from_json(b->reader, b->line[i], values, &verdict, &err), &err);
        must(key_encode(&table, values, &b->out, &err), &err);
        must(row_encode(&table, values, &b->out, &err), &err);
    }
}

static void pass_encode(struct bench *b)
{
    struct sf_error err;

    for (size_t i = 0; i < RECORDS; i++) {
        must(row_encode(&table, b->values[i], &b->out, &err), &err);
    }
}

static void pass_key(struct bench *b)
{
    struct sf_error err;

    for (size_t i = 0; i < RECORDS; i++) {
        must(key_encode(&table, b->values[i], &b->out, &err), &err);
    }
}

static void pass_decode(struct bench *b)
{
    struct sf_value values[FIELDS];
    struct sf_error err;

    for (size_t i = 0; i < RECORDS; i++) {
        must(row_decode(&table, b->row[i], values, &err), &err);
    }
}

static void pass_json(struct bench *b)
{
    struct sf_error err;

    for (size_t i = 0; i < RECORDS; i++) {
        must(row_render_json(b->whole, b->row[i], &b->out, &err), &err);
    }
}

static void pass_csv(struct bench *b)
{
    struct sf_error err;

    for (size_t i = 0; i < RECORDS; i++) {
        must(row_render_csv(b->whole, b->row[i], &b->out, &err), &err);
    }
}

static double now_s(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void measure(struct bench *b, const char *name, pass_fn pass, double seconds)
{
    double best = 0;

    for (int run = 0; run < RUNS; run++) {
        double start = now_s();
        double spent;
        double rate;
        long passes = 0;

        do {
            sf_buf_clear(&b->out);
            pass(b);
            passes++;
            spent = now_s() - start;
        } while (spent < seconds);
        rate = (double)passes * RECORDS / spent;
        best = rate > best ? rate : best;
    }
    (void)printf("%-34s %6.2f M/s %7.0f ns\n", name, best / 1e6, 1e9 / best);
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 0.3;
    struct bench *b = sf_calloc(1, sizeof(*b));

    sf_assert(b != NULL);
    setup(b);
    (void)printf("record: %d bytes of JSON, %zu bytes as a row\n", RECORD_BYTES, b->row[0].size);
    measure(b, "JSON parse alone", pass_parse, seconds);
    measure(b, "JSON to checked values", pass_record, seconds);
    measure(b, "JSON to key and row", pass_ingest, seconds);
    measure(b, "row encode", pass_encode, seconds);
    measure(b, "key encode", pass_key, seconds);
    measure(b, "row decode", pass_decode, seconds);
    measure(b, "row to JSON", pass_json, seconds);
    measure(b, "row to CSV", pass_csv, seconds);
    row_view_free(b->whole);
    sf_record_reader_free(b->reader);
    sf_buf_done(&b->lines);
    sf_buf_done(&b->rows);
    sf_buf_done(&b->out);
    sf_free(b);
    return 0;
}
