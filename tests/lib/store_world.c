#include "tests/lib/store_world.h"

#include <stdio.h>

#include "common/base/assert.h"
#include "common/base/list.h"
#include "leaf/store/store_internal.h"
#include "leaf/store/upkeep.h"
#include "tests/lib/cmocka.h"

enum sf_code store_world_try_open(struct store_world *w, struct sf_error *err)
{
    struct kv *kv = NULL;
    enum sf_code code = fake_kv_open(&w->disk, &kv, err);

    return code != SF_OK ? code : store_open(&w->sim.rt, kv, &w->options, &w->store, err);
}

void store_world_open(struct store_world *w)
{
    struct sf_error err = {0};

    if (store_world_try_open(w, &err) != SF_OK) {
        fail_msg("store_open: %s", err.text);
    }
}

void store_world_init(struct store_world *w, uint64_t seed)
{
    struct sf_error err = {0};

    *w = (struct store_world){.options.positions_bytes = 4096};
    if (sf_crypto_init(&err) != SF_OK) {
        fail_msg("%s", err.text);
    }
    rt_sim_init(&w->sim, seed);
    fake_disk_init(&w->disk);
    store_world_open(w);
}

static void on_closed(void *data)
{
    ((struct store_world *)data)->store = NULL;
}

void store_world_close(struct store_world *w)
{
    if (w->store != NULL) {
        store_close(w->store, on_closed, w);
        rt_sim_run(&w->sim);
        sf_assert(w->store == NULL);
    }
}

void store_world_done(struct store_world *w)
{
    store_world_close(w);
    rt_sim_done(&w->sim);
    fake_disk_done(&w->disk);
}

struct store_lane *store_world_lane(struct store_world *w, const char *table, enum store_kind kind)
{
    struct store_lane_name name = {"sales/orders", table, 1, 0, kind};
    struct store_lane *lane = NULL;
    struct sf_error err = {0};

    if (store_lane_open(w->store, &name, &lane, &err) != SF_OK) {
        fail_msg("store_lane_open: %s", err.text);
    }
    return lane;
}

void world_write_init(struct world_write *ww, struct store_lane *lane)
{
    *ww = (struct world_write){.write.data = ww};
    ww->lane = (struct store_lane_write){.lane = lane, .expect_seq = STORE_ANY};
    ww->lane.changes = ww->changes;
    ww->write.lanes = &ww->lane;
    ww->write.lane_count = 1;
}

struct store_change *world_write_add(struct world_write *ww, const char *key, const char *row)
{
    size_t i = ww->lane.change_count++;
    struct store_change *c = &ww->changes[i];

    sf_assert(i < WORLD_CHANGES_MAX);
    (void)snprintf(ww->texts[i][0], sizeof(ww->texts[i][0]), "%s", key);
    (void)snprintf(ww->texts[i][1], sizeof(ww->texts[i][1]), "%s", row == NULL ? "" : row);
    *c = (struct store_change){
        .op = row == NULL ? STORE_DELETE : STORE_UPSERT,
        .contract_id = 1,
        .key = sf_slice_text(ww->texts[i][0]),
        .row = sf_slice_text(ww->texts[i][1]),
        .expect_seq = STORE_ANY,
    };
    store_change_digest(c->op, c->key, c->row, c->digest);
    return c;
}

static void on_done(struct store_write *w, const struct sf_error *err)
{
    struct world_write *ww = w->data;

    sf_assert(!ww->done);
    ww->done = true;
    if (err != NULL) {
        ww->error = *err;
    }
}

enum sf_code world_write_submit(struct world_write *ww, struct store *s, struct sf_error *err)
{
    return store_submit(s, &ww->write, on_done, err);
}

enum sf_code world_write_run(struct world_write *ww, struct store_world *w)
{
    enum sf_code code = world_write_submit(ww, w->store, &ww->error);

    if (code != SF_OK) {
        return code;
    }
    sf_assert(!ww->done); /* Never inside submit. */
    rt_sim_run(&w->sim);
    sf_assert(ww->done);
    return ww->error.code;
}

enum sf_code store_world_put(struct store_world *w, struct store_lane *lane, const char *key,
                             const char *row)
{
    struct world_write ww;

    world_write_init(&ww, lane);
    (void)world_write_add(&ww, key, row);
    return world_write_run(&ww, w);
}

static void append(char *ret, size_t size, const char *text)
{
    size_t used = strlen(ret);

    (void)snprintf(ret + used, size - used, "%s%s", used == 0 ? "" : " ", text);
}

/* Keys of events are shown as numbers. */
static void key_text(const struct store_lane *lane, struct sf_slice key, char *ret, size_t size)
{
    if (store_lane_name(lane)->kind == STORE_EVENT && key.size == 8) {
        (void)snprintf(ret, size, "%llu", (unsigned long long)sf_read_be64(key.data));
    } else {
        (void)snprintf(ret, size, "%.*s", SF_SLICE_ARG(key));
    }
}

const char *store_world_rows(struct store_world *w, struct store_lane *lane, char *ret, size_t size)
{
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    SF_CLEANUP(store_scan_freep) struct store_scan *scan = NULL;
    struct store_range all = {0};
    struct store_row row;
    bool more = true;
    char key[64];
    char text[192];

    ret[0] = '\0';
    assert_int_equal(store_snapshot_new(w->store, &snapshot, NULL), SF_OK);
    assert_int_equal(store_scan_new(snapshot, lane, &all, &scan, NULL), SF_OK);
    for (;;) {
        assert_int_equal(store_scan_next(scan, &row, &more, NULL), SF_OK);
        if (!more) {
            return ret;
        }
        key_text(lane, row.key, key, sizeof(key));
        (void)snprintf(text, sizeof(text), "%s=%.*s@%llu", key, SF_SLICE_ARG(row.row),
                       (unsigned long long)row.seq);
        append(ret, size, text);
    }
}

const char *store_world_log(struct store_world *w, struct store_lane *lane, uint64_t after,
                            char *ret, size_t size)
{
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    SF_CLEANUP(store_log_freep) struct store_log *log = NULL;
    struct store_log_entry e;
    bool more = true;
    char text[192];

    ret[0] = '\0';
    assert_int_equal(store_snapshot_new(w->store, &snapshot, NULL), SF_OK);
    assert_int_equal(store_log_new(snapshot, lane, after, /* verify= */ true, &log, NULL), SF_OK);
    for (;;) {
        assert_int_equal(store_log_next(log, &e, &more, NULL), SF_OK);
        if (!more) {
            return ret;
        }
        (void)snprintf(text, sizeof(text), "%llu%c%.*s%s%.*s<%llu", (unsigned long long)e.seq,
                       e.op == STORE_UPSERT ? '+' : '-', SF_SLICE_ARG(e.key),
                       e.op == STORE_UPSERT ? "=" : "", SF_SLICE_ARG(e.row),
                       (unsigned long long)e.prev_seq);
        append(ret, size, text);
    }
}

/* --- trimming --- */

static void on_upkeep(struct store_upkeep *u, const struct sf_error *err)
{
    assert_null(err);
    *(bool *)u->data = true;
}

static void run_upkeep(struct store_world *w, struct store_upkeep *u)
{
    struct sf_error err = {0};
    bool done = false;

    u->done = on_upkeep;
    u->data = &done;
    if (upkeep_submit(w->store, u, &err) != SF_OK) {
        fail_msg("%s", err.text);
    }
    while (!done && rt_sim_step(&w->sim)) {
    }
    assert_true(done);
}

void store_world_trim(struct store_world *w, struct store_lane *lane)
{
    struct store_upkeep mark = {.kind = UPKEEP_MARK, .lane = lane};
    struct store_upkeep anchor = {.kind = UPKEEP_ANCHOR, .lane = lane};
    struct store_upkeep clear = {.kind = UPKEEP_CLEAR, .lane = lane};
    struct kv *kv = w->store->kv;

    run_upkeep(w, &mark);
    anchor.mark = mark.mark;
    run_upkeep(w, &anchor);
    assert_int_equal(kv->ops->flush(kv, KV_STATE, NULL), SF_OK);
    run_upkeep(w, &clear);
}
