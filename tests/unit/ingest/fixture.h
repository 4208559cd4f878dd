/* An ingest in the inside of a leaf, and requests to it, for the tests here. */
#pragma once

#include "leaf/ingest/ingest.h"
#include "tests/lib/leaf_world.h"

struct fixture {
    struct leaf_world w;
    struct sf_metrics metrics;
    struct ingest *ingest;
    const struct served_table *orders;
    const struct served_table *clicks;
    unsigned answers; /* of all requests */
    uint64_t writes;  /* of the disk before the first request */
};

/* One request and its answer. */
struct request {
    struct fixture *f;
    struct ingest_request request;
    enum sf_code code; /* of ingest_start() */
    struct sf_error refused;
    bool started; /* ingest_start() has returned */
    unsigned answered;
    unsigned number; /* its place among all answers, from 1 */
    bool ok;
    struct ingest_result result;
    struct batch_error errors[BATCH_ERRORS_MAX];
    char json[512]; /* of the errors */
    struct sf_error error;
};

void setup(struct fixture *f);
void teardown(struct fixture *f);
/* 0: the defaults of struct ingest_options. */
void open_ingest(struct fixture *f, size_t bytes_max, size_t inline_bytes);

/* Notes an answer in its struct request. */
void on_answer(void *data, const struct ingest_result *result, const struct sf_error *err);
/* ingest_start() with @body behind what the request's body holds. */
void start(struct request *r, struct fixture *f, const struct served_table *table,
           const char *body);
/* From start to answer, which there must be. */
void run(struct request *r, struct fixture *f, const struct served_table *table, const char *body);
void assert_result(const struct request *r, uint64_t first, uint64_t last, uint64_t accepted,
                   uint64_t quarantined);
/* Whether a thread beside the loop has something to do. */
bool is_working(const struct fixture *f);
