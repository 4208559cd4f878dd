/*
 * Backups and restores at random moments of a store's life, on a disk that fails, fills and
 * forgets. Whatever the seed:
 *   1. a checkpoint holds exactly the commits up to one moment between what was answered when it
 *      began and when it ended, and store_check() agrees;
 *   2. restored, it goes on in an epoch above all before, and its seqs are those of the model;
 *   3. a position read before is held as far as its history is common, and no further;
 *   4. the head record of before tells what the restore lacks, to the seq.
 *
 * usage: sim_backup FIRST_SEED COUNT
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "leaf/store/check.h"
#include "leaf/store/head_record.h"
#include "leaf/store/kv.h"
#include "leaf/store/read.h"
#include "tests/lib/fake_kv.h"
#include "tests/sim/rt_sim.h"

enum { ROUNDS = 5, LOG = 2048, KEYS = 12, ROUND_WRITES = 30 };

struct entry {
    uint32_t key;
    uint32_t row;
    uint32_t epoch;
};

struct model {
    uint64_t seq;
    struct entry log[LOG]; /* by seq - 1 */
};

struct put {
    struct store_write write;
    struct store_lane_write lane;
    struct store_change change;
    char key[16];
    char row[16];
    struct entry entry;
    struct world *world;
    bool done;
    enum sf_code code;
};

struct world {
    struct rt_sim sim;
    struct fake_disk disks[2];
    struct fake_disk *disk; /* the one in use */
    struct kv *kv;
    struct store *store;
    struct store_lane *lane;
    uint32_t epoch;
    uint32_t next_row;
    struct model model;
};

static void open_on(struct world *w, struct fake_disk *disk)
{
    const struct store_lane_name name = {"sim/sim", "rows", 1, 0, STORE_STATE};
    struct sf_error err = {0};

    w->disk = disk;
    sf_assert(fake_kv_open(disk, &w->kv, &err) == SF_OK);
    if (store_open(&w->sim.rt, w->kv, NULL, &w->store, &err) != SF_OK ||
        store_lane_open(w->store, &name, &w->lane, &err) != SF_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        sf_assert(false);
    }
}

static void on_closed(void *data)
{
    ((struct world *)data)->store = NULL;
}

static void close_store(struct world *w)
{
    store_close(w->store, on_closed, w);
    rt_sim_run(&w->sim);
    sf_assert(w->store == NULL);
}

/* --- writing --- */

static void on_put(struct store_write *write, const struct sf_error *err)
{
    struct put *p = write->data;
    struct world *w = p->world;

    p->done = true;
    p->code = err == NULL ? SF_OK : err->code;
    if (err == NULL) {
        sf_assert(p->lane.first_seq == w->model.seq + 1 && w->model.seq < LOG);
        w->model.log[w->model.seq++] = p->entry;
    }
}

static void submit(struct world *w, struct put *p)
{
    *p = (struct put){.world = w, .write = {.data = p, .lanes = &p->lane, .lane_count = 1}};
    p->entry = (struct entry){(uint32_t)rt_sim_random(&w->sim, KEYS), w->next_row++, w->epoch};
    (void)snprintf(p->key, sizeof(p->key), "k%u", p->entry.key);
    (void)snprintf(p->row, sizeof(p->row), "%u", p->entry.row);
    p->change = (struct store_change){
        .op = STORE_UPSERT,
        .contract_id = 1,
        .key = sf_slice_text(p->key),
        .row = sf_slice_text(p->row),
        .expect_seq = STORE_ANY,
    };
    store_change_digest(p->change.op, p->change.key, p->change.row, p->change.digest);
    p->lane = (struct store_lane_write){
        .lane = w->lane, .changes = &p->change, .change_count = 1, .expect_seq = STORE_ANY};
    sf_assert(store_submit(w->store, &p->write, on_put, NULL) == SF_OK);
}

/* Some writes; with @backup a checkpoint is taken after a random number of steps. */
static void write_some(struct world *w, struct fake_disk *backup, uint64_t *ret_low,
                       uint64_t *ret_high)
{
    static struct put puts[ROUND_WRITES];
    const size_t count = 1 + rt_sim_random(&w->sim, ROUND_WRITES);
    const size_t moment = rt_sim_random(&w->sim, 3 * count);
    size_t steps = 0;
    struct sf_error err;
    bool more = true;

    for (size_t i = 0; i < count; i++) {
        submit(w, &puts[i]);
        w->disk->fail_write_in = rt_sim_random(&w->sim, 10) == 0 ? 1 : 0;
        w->disk->fail_code = SF_NOMEM;
        for (size_t n = rt_sim_random(&w->sim, 6); n > 0; n--) {
            (void)rt_sim_step(&w->sim);
        }
    }
    w->disk->fail_write_in = 0;
    while (more) {
        if (backup != NULL && steps++ == moment) {
            *ret_low = w->model.seq;
            w->disk->copy_to = backup;
            sf_assert(w->kv->ops->checkpoint(w->kv, "", &err) == SF_OK);
            w->disk->copy_to = NULL;
            backup = NULL;
            *ret_high = w->model.seq + count; /* what was in flight may be in it */
        }
        more = rt_sim_step(&w->sim) || backup != NULL;
    }
    for (size_t i = 0; i < count; i++) {
        sf_assert(puts[i].done && (puts[i].code == SF_OK || puts[i].code == SF_NOMEM));
    }
}

/* --- checking --- */

static void check_log(struct world *w)
{
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    SF_CLEANUP(store_log_freep) struct store_log *log = NULL;
    struct store_check_result r;
    struct store_log_entry e;
    struct sf_error err = {0};
    char row[16];
    bool more = true;

    if (store_check(w->store, &r, &err) != SF_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        sf_assert(false);
    }
    sf_assert(store_snapshot_new(w->store, &snapshot, NULL) == SF_OK);
    sf_assert(store_log_new(snapshot, w->lane, 0, true, &log, NULL) == SF_OK);
    for (uint64_t seq = 1;; seq++) {
        sf_assert(store_log_next(log, &e, &more, NULL) == SF_OK);
        if (!more) {
            sf_assert(seq == w->model.seq + 1);
            return;
        }
        (void)snprintf(row, sizeof(row), "%u", w->model.log[seq - 1].row);
        sf_assert(e.seq == seq && e.epoch == w->model.log[seq - 1].epoch);
        sf_assert(sf_slice_equal(e.row, sf_slice_text(row)));
    }
}

/* Every position that the model of before had, against what is common now. */
static void check_positions(struct world *w, const struct model *before)
{
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;

    sf_assert(store_snapshot_new(w->store, &snapshot, NULL) == SF_OK);
    for (uint64_t seq = 1; seq <= before->seq; seq++) {
        const struct entry *was = &before->log[seq - 1];
        const bool same = seq <= w->model.seq && w->model.log[seq - 1].row == was->row &&
                          w->model.log[seq - 1].epoch == was->epoch;
        uint64_t end = 0;

        sf_assert(store_epoch_end(snapshot, w->lane, was->epoch, &end, NULL) == SF_OK);
        sf_assert((seq <= end) == same);
    }
}

static void check_lack(struct world *w, struct sf_slice record, uint64_t was)
{
    struct head_lack lack;

    sf_assert(head_record_compare(w->store, record, &lack, NULL) == SF_OK);
    sf_assert(lack.changes == (was > w->model.seq ? was - w->model.seq : 0));
    head_lack_done(&lack);
}

static void run_round(struct world *w)
{
    static struct model before;
    SF_CLEANUP(sf_buf_done) struct sf_buf record = {0};
    struct fake_disk *other = w->disk == &w->disks[0] ? &w->disks[1] : &w->disks[0];
    struct store_head head;
    uint64_t low = 0;
    uint64_t high = 0;
    struct sf_error err;

    write_some(w, other, &low, &high);
    if (rt_sim_random(&w->sim, 2) == 0) {
        write_some(w, NULL, NULL, NULL);
    }
    check_log(w);
    before = w->model;
    head_record_encode(w->store, &record);
    close_store(w);
    fake_disk_done(w->disk);

    open_on(w, other);
    head = *store_lane_head(w->lane);
    sf_assert(head.seq >= low && head.seq <= high && head.seq <= before.seq);
    w->model.seq = head.seq;
    check_log(w);
    check_lack(w, sf_buf_view(&record), before.seq);
    sf_assert(store_raise_epoch(w->store, 0, &err) == SF_OK);
    w->epoch++;
    sf_assert(store_epoch(w->store) == w->epoch);
    check_positions(w, &before);
    write_some(w, NULL, NULL, NULL);
    check_log(w);
    check_positions(w, &before);
}

static void run_seed(uint64_t seed)
{
    static struct world w;

    w = (struct world){.epoch = 1};
    rt_sim_init(&w.sim, seed);
    fake_disk_init(&w.disks[0]);
    fake_disk_init(&w.disks[1]);
    open_on(&w, &w.disks[0]);
    for (int round = 0; round < ROUNDS; round++) {
        run_round(&w);
    }
    close_store(&w);
    rt_sim_done(&w.sim);
    fake_disk_done(&w.disks[0]);
    fake_disk_done(&w.disks[1]);
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
