/*
 * A store on a fake disk and a simulated runtime, and writes that a test can wait for.
 *
 *   Threads   One.
 */
#pragma once

#include "leaf/store/read.h"
#include "leaf/store/store.h"
#include "tests/lib/fake_kv.h"
#include "tests/sim/rt_sim.h"

struct store_world {
    struct rt_sim sim;
    struct fake_disk disk;
    struct store_options options; /* of the next store_world_open() */
    struct store *store;          /* NULL: closed */
};

/* Also opens it. */
void store_world_init(struct store_world *w, uint64_t seed);
void store_world_done(struct store_world *w);
/* Fails the test unless it opens. */
void store_world_open(struct store_world *w);
enum sf_code store_world_try_open(struct store_world *w, struct sf_error *err) SF_MUST_CHECK;
/* Waits for what is queued. */
void store_world_close(struct store_world *w);

/* The lane "sales/orders@1.<table>"; fails the test when it cannot be had. */
struct store_lane *store_world_lane(struct store_world *w, const char *table, enum store_kind kind);

enum { WORLD_CHANGES_MAX = 64 };

/* One write to one lane, being filled, then submitted, then done. */
struct world_write {
    struct store_write write;
    struct store_lane_write lane;
    struct store_change changes[WORLD_CHANGES_MAX];
    char texts[WORLD_CHANGES_MAX][2][64]; /* keys and rows */
    bool done;
    struct sf_error error; /* code SF_OK: success */
};

void world_write_init(struct world_write *ww, struct store_lane *lane);
/* @row NULL: a delete. Returns the change, for its expectation. */
struct store_change *world_write_add(struct world_write *ww, const char *key, const char *row);
/* Refusals of store_submit() are returned, and *ww is not in flight. */
enum sf_code world_write_submit(struct world_write *ww, struct store *s,
                                struct sf_error *err) SF_MUST_CHECK;
/* Submits and runs until it is done; the code of either. */
enum sf_code world_write_run(struct world_write *ww, struct store_world *w) SF_MUST_CHECK;

/* One upsert (delete when @row is NULL) from submit to answer. */
enum sf_code store_world_put(struct store_world *w, struct store_lane *lane, const char *key,
                             const char *row) SF_MUST_CHECK;

/* The log of @lane goes up to where it is now, as retention takes it. */
void store_world_trim(struct store_world *w, struct store_lane *lane);

/* What readers see now, as text: "key=row@seq key=row@seq ..."; valid until the next call. */
const char *store_world_rows(struct store_world *w, struct store_lane *lane, char *ret,
                             size_t size);
/* The log: "seq+key=row<prev" or "seq-key<prev", separated by blanks. */
const char *store_world_log(struct store_world *w, struct store_lane *lane, uint64_t after,
                            char *ret, size_t size);
