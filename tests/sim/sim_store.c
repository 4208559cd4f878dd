/*
 * Random life of a store: writes over two lanes arrive at random times, some expect what is not so,
 * the disk fails or fills, the process is killed or loses power, and opens again. Whatever the
 * seed:
 *   1. every accepted write gets exactly one callback, in submit order, with the seqs that a model
 *      gives it; what the model refuses is refused;
 *   2. after a crash the log holds every answered write, of the unanswered ones whole commits in
 *      order or nothing, and no gap;
 *   3. prev_seqs, rows, heads and chains are those of the model, and store_check() agrees;
 *   4. what a snapshot shows is one commit's end, at any moment, and is never lost.
 * For half of the seeds syncs take their time, and the next group is built meanwhile.
 *
 * usage: sim_store FIRST_SEED COUNT
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "leaf/store/check.h"
#include "leaf/store/read.h"
#include "tests/lib/fake_kv.h"
#include "tests/sim/rt_sim.h"

enum {
    POOL = 48,       /* writes at a time */
    CHANGES = 5,     /* of a write, per lane */
    COMMON_KEYS = 8, /* that come again and again; more rise without end */
    KEYS = 2048,
    LOG = 4096,
    ROUNDS = 4, /* crashes */
    ROUND_WRITES = 40,
    ARRIVAL_NS_MAX = 3 * 1000 * 1000,
    SYNC_NS_MAX = 6 * 1000 * 1000,
};

struct planned {
    enum store_op op;
    uint32_t key;
    uint32_t row;
    uint64_t expect;
};

struct plan {
    size_t counts[2];
    struct planned changes[2][CHANGES];
};

struct logged {
    enum store_op op;
    uint32_t key;
    uint32_t row;
    uint64_t prev;
};

/* What the two lanes hold: 0 of state, 1 of events. */
struct model {
    uint64_t seq[2];
    struct logged log[2][LOG]; /* by seq - 1 */
    uint64_t key_seq[KEYS];
    bool key_live[KEYS];
    uint64_t rows;
};

struct sim_write {
    struct store_write write;
    struct store_lane_write lanes[2];
    struct store_change changes[2][CHANGES];
    char keys[2][CHANGES][16];
    char rows[2][CHANGES][16];
    struct plan plan;
    struct world *world;
    uint64_t number;
    bool used;
    bool unknown; /* answered with SF_IO: may be on the disk */
};

struct world {
    struct rt_sim sim;
    struct fake_disk disk;
    struct store_options options;
    struct store *store;
    struct store_lane *lanes[2];
    struct model model;
    struct model shown; /* after the newest commit that was called back */
    struct sim_write pool[POOL];
    uint64_t submitted;
    uint64_t called;
    size_t in_flight;
    uint64_t next_row;
    uint32_t next_key;
    size_t left; /* writes to submit in this round */
    struct sf_timer arrival;
    struct sf_timer synced; /* ends the sync that is pending */
    uint64_t seen[2];       /* heads that somebody saw */
};

static void key_text(uint32_t key, char *ret, size_t size)
{
    (void)snprintf(ret, size, "%c%06u", key < COMMON_KEYS ? 'a' : 'z', key);
}

/* --- the model --- */

static bool model_refuses(const struct model *m, const struct plan *p)
{
    for (size_t i = 0; i < p->counts[0]; i++) {
        const struct planned *c = &p->changes[0][i];

        if (c->expect != STORE_ANY && c->expect != (m->key_live[c->key] ? m->key_seq[c->key] : 0)) {
            return true;
        }
    }
    return false;
}

static void model_log(struct model *m, size_t lane, const struct planned *c, uint64_t prev)
{
    sf_assert(m->seq[lane] < LOG);
    m->log[lane][m->seq[lane]++] = (struct logged){c->op, c->key, c->row, prev};
}

static void model_apply(struct model *m, const struct plan *p)
{
    for (size_t i = 0; i < p->counts[0]; i++) {
        const struct planned *c = &p->changes[0][i];

        if (c->op == STORE_DELETE && !m->key_live[c->key]) {
            continue;
        }
        model_log(m, 0, c, m->key_seq[c->key]);
        m->rows += c->op == STORE_UPSERT && !m->key_live[c->key] ? 1 : 0;
        m->rows -= c->op == STORE_DELETE ? 1 : 0;
        m->key_seq[c->key] = m->seq[0];
        m->key_live[c->key] = c->op == STORE_UPSERT;
    }
    for (size_t i = 0; i < p->counts[1]; i++) {
        model_log(m, 1, &p->changes[1][i], 0);
    }
}

/* --- what is stored against the model --- */

static void check_entry(const struct model *m, size_t lane, const struct store_log_entry *e)
{
    const struct logged *l = &m->log[lane][e->seq - 1];
    char key[16] = "";
    char row[16] = "";

    if (lane == 0) {
        key_text(l->key, key, sizeof(key));
    }
    if (l->op == STORE_UPSERT) {
        (void)snprintf(row, sizeof(row), "%u", l->row);
    }
    sf_assert(e->op == l->op);
    sf_assert(e->prev_seq == l->prev);
    sf_assert(sf_slice_equal(e->key, sf_slice_text(key)));
    sf_assert(sf_slice_equal(e->row, sf_slice_text(row)));
}

static void check_log(struct world *w, const struct store_snapshot *snapshot, const struct model *m,
                      size_t lane)
{
    SF_CLEANUP(store_log_freep) struct store_log *log = NULL;
    struct store_log_entry e;
    uint64_t seq = 0;
    bool more = true;

    sf_assert(store_log_new(snapshot, w->lanes[lane], 0, true, &log, NULL) == SF_OK);
    for (;;) {
        sf_assert(store_log_next(log, &e, &more, NULL) == SF_OK);
        if (!more) {
            break;
        }
        sf_assert(e.seq == ++seq);
        check_entry(m, lane, &e);
    }
    sf_assert(seq == m->seq[lane]);
}

static void check_rows(struct world *w, const struct store_snapshot *snapshot,
                       const struct model *m)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf bytes = {0};
    struct store_row row;
    char key[16];
    bool found = false;

    for (uint32_t k = 0; k < w->next_key; k++) {
        key_text(k, key, sizeof(key));
        sf_assert(store_get(snapshot, w->lanes[0], sf_slice_text(key), &bytes, &row, &found,
                            NULL) == SF_OK);
        sf_assert(found == m->key_live[k]);
        sf_assert(row.seq == m->key_seq[k]);
    }
}

/* A snapshot between turns shows the model as of some commit; its parts agree with each other. */
static void check_snapshot(struct world *w)
{
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    struct store_head heads[2];

    sf_assert(store_snapshot_new(w->store, &snapshot, NULL) == SF_OK);
    for (size_t i = 0; i < 2; i++) {
        sf_assert(store_snapshot_head(snapshot, w->lanes[i], &heads[i], NULL) == SF_OK);
        w->seen[i] = heads[i].seq > w->seen[i] ? heads[i].seq : w->seen[i];
    }
    if (heads[0].seq == w->shown.seq[0] && heads[1].seq == w->shown.seq[1]) {
        check_log(w, snapshot, &w->shown, 0);
        check_log(w, snapshot, &w->shown, 1);
        check_rows(w, snapshot, &w->shown);
        sf_assert(heads[0].rows == w->shown.rows);
    }
}

static void check_all(struct world *w)
{
    struct store_check_result r;
    struct sf_error err = {0};

    w->shown = w->model;
    check_snapshot(w);
    for (size_t i = 0; i < 2; i++) {
        sf_assert(store_lane_head(w->lanes[i])->seq == w->model.seq[i]);
        sf_assert(w->model.seq[i] >= w->seen[i]); /* Nobody saw what was lost. */
    }
    if (store_check(w->store, &r, &err) != SF_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        sf_assert(false);
    }
    sf_assert(r.rows == w->model.rows);
}

/* --- writes --- */

static void on_written(struct store_write *write, const struct sf_error *err)
{
    struct sim_write *sw = write->data;
    struct world *w = sw->world;
    uint64_t before[2] = {w->model.seq[0], w->model.seq[1]};

    sf_assert(sw->used && sw->number > w->called);
    w->called = sw->number;
    w->in_flight--;
    sw->used = false;
    if (err != NULL && err->code == SF_IO) {
        sw->unknown = true;
        return;
    }
    if (err != NULL) {
        sf_assert(err->code == SF_NOMEM || err->code == SF_BUSY ||
                  (err->code == SF_CONFLICT && model_refuses(&w->model, &sw->plan)));
        return;
    }
    sf_assert(!model_refuses(&w->model, &sw->plan));
    model_apply(&w->model, &sw->plan);
    for (size_t i = 0; i < 2; i++) {
        sf_assert(sw->lanes[i].last_seq == w->model.seq[i]);
        sf_assert(sw->lanes[i].first_seq == (w->model.seq[i] == before[i] ? 0 : before[i] + 1));
    }
    w->shown = w->model;
}

static void make_plan(struct world *w, struct plan *p)
{
    struct rt_sim *s = &w->sim;

    *p = (struct plan){{rt_sim_random(s, CHANGES + 1), rt_sim_random(s, 3)}, {{{0}}}};
    for (size_t i = 0; i < p->counts[0]; i++) {
        struct planned *c = &p->changes[0][i];
        bool rising = rt_sim_random(s, 2) == 0 && w->next_key < KEYS;

        c->op = rt_sim_random(s, 4) == 0 ? STORE_DELETE : STORE_UPSERT;
        c->key = rising ? w->next_key++ : (uint32_t)rt_sim_random(s, COMMON_KEYS);
        c->row = (uint32_t)w->next_row++;
        c->expect = STORE_ANY;
        if (rt_sim_random(s, 12) == 0) {
            c->expect = w->model.key_live[c->key] ? w->model.key_seq[c->key] : 0;
        }
    }
    for (size_t i = 0; i < p->counts[1]; i++) {
        p->changes[1][i] = (struct planned){STORE_UPSERT, 0, (uint32_t)w->next_row++, STORE_ANY};
    }
}

static void fill(struct world *w, struct sim_write *sw)
{
    *sw = (struct sim_write){.world = w, .number = ++w->submitted};
    sw->write = (struct store_write){.data = sw, .lanes = sw->lanes, .lane_count = 2};
    make_plan(w, &sw->plan);
    for (size_t lane = 0; lane < 2; lane++) {
        sw->lanes[lane] = (struct store_lane_write){
            .lane = w->lanes[lane],
            .changes = sw->changes[lane],
            .change_count = sw->plan.counts[lane],
            .expect_seq = STORE_ANY,
        };
        for (size_t i = 0; i < sw->plan.counts[lane]; i++) {
            const struct planned *p = &sw->plan.changes[lane][i];
            struct store_change *c = &sw->changes[lane][i];

            if (lane == 0) {
                key_text(p->key, sw->keys[lane][i], sizeof(sw->keys[lane][i]));
            }
            if (p->op == STORE_UPSERT) {
                (void)snprintf(sw->rows[lane][i], sizeof(sw->rows[lane][i]), "%u", p->row);
            }
            *c = (struct store_change){
                .op = p->op,
                .contract_id = 1,
                .key = sf_slice_text(sw->keys[lane][i]),
                .row = sf_slice_text(sw->rows[lane][i]),
                .expect_seq = p->expect,
            };
            store_change_digest(c->op, c->key, c->row, c->digest);
        }
    }
}

static void submit_one(struct world *w)
{
    struct sim_write *sw = w->pool;
    enum sf_code code;

    while (sw < w->pool + POOL && (sw->used || sw->unknown)) {
        sw++;
    }
    if (sw == w->pool + POOL) {
        return;
    }
    fill(w, sw);
    code = store_submit(w->store, &sw->write, on_written, NULL);
    if (code == SF_OK) {
        sw->used = true;
        w->in_flight++;
        sf_assert(w->in_flight <= w->options.queue_writes_max);
    } else {
        sf_assert(code == (store_failed(w->store) ? SF_IO : SF_BUSY));
    }
}

static void fault(struct world *w)
{
    struct rt_sim *s = &w->sim;

    if (rt_sim_random(s, 12) == 0) {
        w->disk.fail_write_in = 1 + (unsigned)rt_sim_random(s, 2);
        w->disk.fail_code = SF_NOMEM;
        w->disk.fail_applies = false;
    }
    w->disk.free_bytes = rt_sim_random(s, 12) == 0 ? 1000 : UINT64_C(1) << 40;
}

static void on_arrival(struct sf_timer *t)
{
    struct world *w = SF_CONTAINER_OF(t, struct world, arrival);

    for (size_t burst = 1 + rt_sim_random(&w->sim, 6); burst > 0 && w->left > 0; burst--) {
        submit_one(w);
        w->left--;
    }
    if (rt_sim_random(&w->sim, 4) == 0) {
        check_snapshot(w);
    }
    fault(w);
    if (w->left > 0) {
        sf_rt_timer_start(&w->sim.rt, t, rt_sim_random(&w->sim, ARRIVAL_NS_MAX));
    }
}

/* The disk takes its time for a sync, while the next group may be built. */
static void on_held(void *data)
{
    struct world *w = data;

    sf_rt_timer_start(&w->sim.rt, &w->synced, rt_sim_random(&w->sim, SYNC_NS_MAX));
}

static void on_synced(struct sf_timer *t)
{
    fake_disk_end_sync(&SF_CONTAINER_OF(t, struct world, synced)->disk);
}

/* --- crashes --- */

static void on_closed(void *data)
{
    ((struct world *)data)->store = NULL;
}

static void open_store(struct world *w)
{
    static const char *const tables[2] = {"rows", "events"};
    struct kv *kv = NULL;
    struct sf_error err = {0};

    sf_assert(fake_kv_open(&w->disk, &kv, &err) == SF_OK);
    if (store_open(&w->sim.rt, kv, &w->options, &w->store, &err) != SF_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        sf_assert(false);
    }
    for (size_t i = 0; i < 2; i++) {
        struct store_lane_name name = {"sim/sim", tables[i], 1, 0,
                                       i == 0 ? STORE_STATE : STORE_EVENT};

        sf_assert(store_lane_open(w->store, &name, &w->lanes[i], &err) == SF_OK);
    }
}

/* Of the writes whose fate is unknown the store has some, whole, from the first on. */
static void resolve_unknown(struct world *w)
{
    for (;;) {
        struct sim_write *first = NULL;

        for (size_t i = 0; i < POOL; i++) {
            struct sim_write *sw = &w->pool[i];

            if (sw->unknown && (first == NULL || sw->number < first->number)) {
                first = sw;
            }
        }
        if (first == NULL) {
            return;
        }
        first->unknown = false;
        if (store_lane_head(w->lanes[0])->seq > w->model.seq[0] ||
            store_lane_head(w->lanes[1])->seq > w->model.seq[1]) {
            if (!model_refuses(&w->model, &first->plan)) {
                model_apply(&w->model, &first->plan);
            }
        }
    }
}

/* From now on nothing reaches the disk, but perhaps the write that is next. */
static void crash(struct world *w)
{
    struct fake_disk *d = &w->disk;
    struct rt_sim *s = &w->sim;
    uint64_t kept;

    d->killed = true;
    d->fail_write_in = 1;
    d->fail_on = true;
    d->fail_code = SF_IO;
    d->fail_applies = rt_sim_random(s, 2) == 0;
    d->fail_sync_in = (unsigned)rt_sim_random(s, 3); /* One more may end well. */
    rt_sim_run(s);
    check_snapshot(w);
    store_close(w->store, on_closed, w);
    rt_sim_run(s);
    sf_assert(w->store == NULL && w->in_flight == 0);
    kept = rt_sim_random(s, 2) == 0 ? d->writes
                                    : d->durable + rt_sim_random(s, d->writes - d->durable + 1);
    fake_disk_crash(d, kept, d->flushed + rt_sim_random(s, kept - d->flushed + 1));
    d->fail_write_in = 0;
    d->fail_sync_in = 0;
    d->fail_on = false;
    d->free_bytes = UINT64_C(1) << 40;
}

static void run_seed(uint64_t seed)
{
    static struct world w;

    w = (struct world){
        .arrival.fire = on_arrival, .synced.fire = on_synced, .next_key = COMMON_KEYS};
    rt_sim_init(&w.sim, seed);
    fake_disk_init(&w.disk);
    w.disk.hold_syncs = rt_sim_random(&w.sim, 2) == 0;
    w.disk.on_held = on_held;
    w.disk.on_held_data = &w;
    w.options.queue_writes_max = 1 + rt_sim_random(&w.sim, POOL);
    w.options.group_bytes_max = 1 + rt_sim_random(&w.sim, 4096);
    w.options.disk_reserve_bytes = 1000 * 1000;
    w.options.positions_bytes = 1 + rt_sim_random(&w.sim, 2048);
    open_store(&w);
    for (size_t round = 0; round < ROUNDS; round++) {
        w.left = 1 + rt_sim_random(&w.sim, ROUND_WRITES);
        sf_rt_timer_start(&w.sim.rt, &w.arrival, 0);
        rt_sim_run_for(&w.sim, rt_sim_random(&w.sim, 40 * SF_NS_PER_MS));
        w.left = 0;
        crash(&w);
        open_store(&w);
        resolve_unknown(&w);
        check_all(&w);
    }
    store_close(w.store, on_closed, &w);
    rt_sim_run(&w.sim);
    rt_sim_done(&w.sim);
    fake_disk_done(&w.disk);
}

int main(int argc, char **argv)
{
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;

    sf_assert(sf_crypto_init(NULL) == SF_OK);
    for (uint64_t seed = first; seed < first + count; seed++) {
        (void)fprintf(stderr, "\rseed %llu", (unsigned long long)seed);
        run_seed(seed);
    }
    (void)fprintf(stderr, "\n");
    return 0;
}
