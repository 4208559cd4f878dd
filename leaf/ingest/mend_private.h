/*
 * Shared by mend.c (the life of a request) and mend_read.c (what a query thread does to it).
 */
#pragma once

#include "common/wire/json.h"
#include "leaf/ingest/mend.h"

enum mend_state { READING, READ, COMMITTING, OVERTAKEN, DONE };

/* A row that a replay wrote: as old as the record it was made of. */
struct mended_row {
    uint64_t seq;
    int64_t came_us;
};

/* The replay of a table, over several requests: what it wrote may be replaced by what came later.
 */
struct mend_run {
    struct store_lane *lane; /* NULL: free */
    bool busy;               /* a request of this lane is under way, and has the run for itself */
    uint64_t used;           /* the higher, the later */
    struct sf_map rows;      /* key: struct mended_row, of the arena */
    struct sf_arena arena;
};

struct mend_op {
    enum mend_state state;
    struct mender *m;
    struct mend_run *run;
    struct mend_request request;
    char user[64];
    struct batch_spec spec;
    struct batch_rows rows;
    mend_cb cb;
    void *data;
    unsigned reads;

    /* While READING these belong to the query thread. */
    struct batch_reader *reader;
    struct batch batch;
    struct store_snapshot *snapshot;
    struct sf_buf bytes; /* of an entry, of a row */
    struct store_resolve *resolves;
    size_t *again;    /* of each: number of its reject + 1, or 0 */
    int64_t *came_us; /* of each change: when its record came */
    size_t resolve_count;
    struct sf_buf errors;
    struct sf_json_writer errors_writer;
    struct mend_result result;
    enum sf_code code;
    struct sf_error error;
    struct sf_work work;

    struct store_lane_write lane_write;
    struct store_write write;
};

enum { MEND_RUNS_MAX = 32 };

struct mender {
    struct sf_rt *rt;
    struct store *store;
    struct mend_run runs[MEND_RUNS_MAX];
    uint64_t uses;
    size_t pending;
};

/* mend_read.c: struct sf_work of a query thread. */
void mend_read_work(struct sf_work *work);
/* struct batch_rows of a request. */
enum sf_code mend_find_row(void *data, struct sf_slice key, struct sf_buf *bytes,
                           struct sf_slice *ret, uint64_t *ret_seq, bool *found,
                           struct sf_error *err);
