/*
 * The store on real threads over RocksDB: readers on the query threads see whole commits while the
 * commit thread writes, and while one commit is synced and the next is built. Says most under
 * -Db_sanitize=thread.
 */
#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "common/base/assert.h"
#include "common/sys/rt_uv.h"
#include "leaf/store/check.h"
#include "leaf/store/kv_rocks.h"
#include "leaf/store/read.h"
#include "tests/lib/tmpdir.h"

enum {
    WRITES = 150,
    IN_FLIGHT = 4,
    ROWS = 20,
    READERS = 2,
    LARGE_BYTES = 4096, /* a row of a commit that is synced by another thread */
};

struct writer {
    struct store_write write;
    struct store_lane_write parts[2];
    struct store_change changes[2][ROWS];
    char keys[ROWS][16];
    struct world *world;
    unsigned number;
};

struct reader {
    struct sf_work work;
    struct world *world;
    uint64_t rounds;
    bool last; /* one more round after the writes */
};

struct world {
    struct rt_uv *uv;
    struct sf_rt *rt;
    struct store *store;
    struct store_lane *lanes[2];
    struct writer writers[IN_FLIGHT];
    uint8_t large[LARGE_BYTES];
    unsigned submitted;
    unsigned written;
    unsigned readers;
    struct reader reader[READERS];
};

static uint64_t count_rows(const struct store_snapshot *snapshot, const struct store_lane *lane)
{
    SF_CLEANUP(store_scan_freep) struct store_scan *scan = NULL;
    struct store_range all = {0};
    struct store_row row;
    uint64_t rows = 0;
    bool more = true;

    sf_assert(store_scan_new(snapshot, lane, &all, &scan, NULL) == SF_OK);
    for (;;) {
        sf_assert(store_scan_next(scan, &row, &more, NULL) == SF_OK);
        if (!more) {
            return rows;
        }
        rows++;
    }
}

/* Query thread. Each write puts as many rows into one lane as events into the other. */
static void read_work(struct sf_work *work)
{
    struct reader *r = SF_CONTAINER_OF(work, struct reader, work);
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    struct store_head heads[2];

    sf_assert(store_snapshot_new(r->world->store, &snapshot, NULL) == SF_OK);
    for (size_t i = 0; i < 2; i++) {
        sf_assert(store_snapshot_head(snapshot, r->world->lanes[i], &heads[i], NULL) == SF_OK);
    }
    sf_assert(heads[0].seq == heads[1].seq && heads[0].commit == heads[1].commit);
    sf_assert(heads[0].seq % ROWS == 0);
    sf_assert(count_rows(snapshot, r->world->lanes[0]) == heads[0].rows);
    sf_assert(count_rows(snapshot, r->world->lanes[1]) == heads[1].seq);
    r->rounds++;
}

static void on_closed(void *data)
{
    ((struct world *)data)->store = NULL;
}

static void read_done(struct sf_task *done)
{
    struct reader *r = SF_CONTAINER_OF(done, struct reader, work.done);
    struct world *w = r->world;

    if (!r->last) {
        r->last = w->written == WRITES;
        sf_rt_work(w->rt, &r->work);
    } else if (--w->readers == 0) {
        store_close(w->store, on_closed, w);
    }
}

static void submit(struct writer *wr);

/* What is answered is seen, and answers come in order. */
static void on_written(struct store_write *write, const struct sf_error *err)
{
    struct writer *wr = write->data;
    struct world *w = wr->world;
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    struct store_head head;

    sf_assert(err == NULL);
    sf_assert(wr->number == w->written);
    sf_assert(store_snapshot_new(w->store, &snapshot, NULL) == SF_OK);
    sf_assert(store_snapshot_head(snapshot, w->lanes[0], &head, NULL) == SF_OK);
    sf_assert(head.seq >= wr->parts[0].last_seq && head.commit >= write->commit);
    w->written++;
    if (w->submitted < WRITES) {
        submit(wr);
    }
}

static void submit(struct writer *wr)
{
    struct world *w = wr->world;
    /* Some rounds of small ones, then of large ones. */
    const bool is_large = w->submitted / (2 * IN_FLIGHT) % 2 == 1;

    wr->number = w->submitted++;
    wr->write = (struct store_write){.data = wr, .lanes = wr->parts, .lane_count = 2};
    for (size_t i = 0; i < 2; i++) {
        wr->parts[i] = (struct store_lane_write){
            .lane = w->lanes[i],
            .changes = wr->changes[i],
            .change_count = ROWS,
            .expect_seq = STORE_ANY,
        };
    }
    for (unsigned n = 0; n < ROWS; n++) {
        (void)snprintf(wr->keys[n], sizeof(wr->keys[n]), "k%05u", (wr->number * 7 + n) % 900);
        for (size_t i = 0; i < 2; i++) {
            struct store_change *c = &wr->changes[i][n];

            *c = (struct store_change){.op = STORE_UPSERT, .expect_seq = STORE_ANY};
            c->key = i == 0 ? sf_slice_text(wr->keys[n]) : c->key;
            c->row = is_large ? sf_slice_of(w->large, LARGE_BYTES) : SF_LITERAL("a row");
            store_change_digest(c->op, c->key, c->row, c->digest);
        }
    }
    sf_assert(store_submit(w->store, &wr->write, on_written, NULL) == SF_OK);
}

static void test_readers_see_whole_commits(void **state)
{
    static const enum store_kind kinds[2] = {STORE_STATE, STORE_EVENT};
    struct store_options options = {.disk_reserve_bytes = 1};
    static struct world w;
    struct tmpdir tmp;
    char path[PATH_MAX];
    struct kv *kv = NULL;
    struct sf_error err = {0};

    (void)state;
    w = (struct world){.readers = READERS};
    assert_int_equal(sf_crypto_init(&err), SF_OK);
    tmpdir_init(&tmp);
    assert_int_equal(rt_uv_new(&w.uv, &err), SF_OK);
    w.rt = rt_uv_rt(w.uv);
    assert_int_equal(kv_rocks_open(tmpdir_join(&tmp, "store", path), NULL, &kv, &err), SF_OK);
    assert_int_equal(store_open(w.rt, kv, &options, &w.store, &err), SF_OK);
    for (size_t i = 0; i < 2; i++) {
        struct store_lane_name name = {"sales/orders", i == 0 ? "rows" : "events", 1, 0, kinds[i]};

        assert_int_equal(store_lane_open(w.store, &name, &w.lanes[i], &err), SF_OK);
    }
    for (size_t i = 0; i < READERS; i++) {
        w.reader[i] = (struct reader){.world = &w};
        w.reader[i].work.pool = SF_POOL_QUERY;
        w.reader[i].work.work = read_work;
        w.reader[i].work.done.run = read_done;
        sf_rt_work(w.rt, &w.reader[i].work);
    }
    for (size_t i = 0; i < IN_FLIGHT; i++) {
        w.writers[i].world = &w;
        submit(&w.writers[i]);
    }
    rt_uv_run(w.uv);
    assert_null(w.store);
    assert_int_equal(w.written, WRITES);
    assert_true(w.reader[0].rounds > 1);
    rt_uv_free(w.uv);
    tmpdir_done(&tmp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_readers_see_whole_commits),
    };

    return cmocka_run_group_tests_name("store on threads", tests, NULL, NULL);
}
