/*
 *   WAITING --timer--> for each lane that is gone: PURGING, COMPACTING;
 *           for each lane: MARKING, ANCHORING as due; then, when its anchor has moved,
 *                                     READING and BURYING by turns (state lanes)
 *                  --> FLUSHING, when a lane is to be cleared
 *                  --> for each of these: CLEARING, COMPACTING piece by piece
 *                  --> for each lane: READING_REJECTS and DROPPING by turns
 *                  --> READING_ANSWERS and FORGETTING by turns --> WAITING
 *
 * Each state but WAITING has one thing under way: a step of a commit or work on a query thread.
 * retain_step() is the only function that decides what comes next; a callback records how it went
 * and calls it. Closing is looked at there, so what is under way always ends.
 */
#include "leaf/store/retain.h"

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/sys/log.h"
#include "leaf/store/retain_read.h"
#include "leaf/store/store_internal.h"
#include "proto/errors.h"

enum retain_phase {
    PHASE_PURGE,
    PHASE_LOG,
    PHASE_CLEAR,
    PHASE_REJECTS,
    PHASE_ANSWERS,
    PHASE_END,
};

enum {
    SEGMENTS = 8, /* of the time kept: what is trimmed at once */
    PIECES_MAX = 1024,
    PURGE_PIECES = 256,
};
#define EVERY_NS    (60 * SF_NS_PER_S)
#define SOONEST_NS  SF_NS_PER_S
#define PIECE_BYTES (UINT64_C(64) << 20)
#define JUMP_US     INT64_C(600000000)  /* of the clock: nothing is dropped... */
#define MISTRUST_US INT64_C(3600000000) /* ...for so long after it */

struct retainer {
    struct retainer_options options;
    enum retain_phase phase;
    size_t lane_at;
    struct store_lane *lane;
    struct retain_rule rule;
    bool busy; /* a step or work is under way */
    bool flushed;
    bool failed; /* the lane, in this round */
    bool read;   /* PHASE_LOG: keys were read and are to be buried */
    uint64_t read_to;
    bool clearing; /* PHASE_CLEAR, PHASE_PURGE: the lane is, and its space to be given back */
    size_t piece;  /* of these */
    size_t pieces;
    uint64_t cleared_from;
    size_t family; /* PHASE_PURGE: whose space is being given back */

    struct store_upkeep upkeep;
    struct sf_work work;
    enum sf_code code;
    struct sf_error error;
    struct retain_keys keys;
    struct sf_buf answers_at;
    struct store_resolve resolves[UPKEEP_KEYS_MAX];
    struct store_lane_write lane_write;
    struct store_write write;

    struct sf_timer timer;
    int64_t now_us;
    int64_t shortest_us; /* of what the lanes keep */
    int64_t wall_us;     /* of the round before, and its monotonic time */
    uint64_t mono_ns;
    uint64_t trusted_ns; /* the clock is trusted again from then on */

    struct retainer_stats stats;
    struct sf_counter changes;
    struct sf_counter rejects;
    struct sf_counter answers;
    struct sf_counter failures;
    struct sf_gauge bytes;
    struct sf_gauge oldest;
    bool measured; /* in this round */
    uint64_t bytes_found;
    int64_t oldest_us;
    bool woken; /* the next round is due soon */
    bool closing;
    void (*closed)(void *data);
    void *closed_data;
    struct sf_task closing_turn;
};

static void retain_step(struct retainer *r);

/* --- what is under way ------------------------------------------------------------------------ */

static void note_failure(struct retainer *r, const struct sf_error *err)
{
    char name[128];

    r->stats.failures++;
    r->failed = true;
    if (r->phase == PHASE_LOG) {
        r->lane->unburied = true;
    } else if (r->phase == PHASE_CLEAR) {
        r->flushed = false;
    }
    sf_counter_add(&r->failures, 1);
    sf_log(SF_LOG_WARN, "retain.failed",
           SF_F_TEXT("lane", r->lane == NULL ? "" : store_lane_text(r->lane, name, sizeof(name))),
           SF_F_ERROR(err));
}

static void on_upkeep(struct store_upkeep *u, const struct sf_error *err)
{
    struct retainer *r = u->data;

    r->busy = false;
    if (err != NULL) {
        note_failure(r, err);
    } else if (u->kind == UPKEEP_CLEAR) {
        r->stats.changes += u->anchor.seq + 1 - r->cleared_from;
        sf_counter_add(&r->changes, u->anchor.seq + 1 - r->cleared_from);
    } else if (u->kind == UPKEEP_BURY) {
        r->stats.tombstones += u->removed;
    } else if (u->kind == UPKEEP_PURGE) {
        r->failed = u->removed == 0; /* Somebody wrote to it: in the next round. */
        r->clearing = u->removed > 0;
    } else if (u->kind == UPKEEP_IDEM) {
        r->stats.answers += u->removed;
        sf_counter_add(&r->answers, u->removed);
    }
    retain_step(r);
}

static void submit(struct retainer *r, enum upkeep_kind kind, const struct store_head *mark)
{
    struct sf_error err;

    r->upkeep = (struct store_upkeep){
        .kind = kind,
        .lane = r->lane,
        .before_us = r->now_us - r->options.idem_us,
        .done = on_upkeep,
        .data = r,
    };
    if (mark != NULL) {
        r->upkeep.mark = *mark;
    }
    if (kind == UPKEEP_BURY || kind == UPKEEP_IDEM) {
        r->upkeep.keys = r->keys.keys;
        r->upkeep.key_count = r->keys.count;
    }
    r->busy = upkeep_submit(r->options.store, &r->upkeep, &err) == SF_OK;
    if (!r->busy) {
        note_failure(r, &err);
    }
}

static void on_work(struct sf_task *done)
{
    struct retainer *r = SF_CONTAINER_OF(done, struct retainer, work.done);

    r->busy = false;
    if (r->code != SF_OK) {
        note_failure(r, &r->error);
    }
    retain_step(r);
}

static void start_work(struct retainer *r, void (*work)(struct sf_work *w))
{
    r->work = (struct sf_work){.pool = SF_POOL_QUERY, .work = work, .done.run = on_work};
    r->busy = true;
    sf_rt_work(r->options.rt, &r->work);
}

static struct retainer *of_work(struct sf_work *w)
{
    return SF_CONTAINER_OF(w, struct retainer, work);
}

/* --- log -------------------------------------------------------------------------------------- */

static bool wants_mark(const struct retainer *r)
{
    const struct store_lane *lane = r->lane;
    const struct store_head *last =
        lane->mark_count > 0 ? &lane->marks[lane->mark_count - 1] : NULL;
    const uint64_t seq = last != NULL ? last->seq : lane->anchor.seq;
    const int64_t us = last != NULL ? last->commit_us : lane->anchor.commit_us;

    return lane->head.seq > seq && lane->mark_count < UPKEEP_MARKS_MAX &&
           (seq == 0 || r->now_us - us >= r->rule.keep_us / SEGMENTS);
}

/* The newest mark that may become the anchor; NULL: none. */
static const struct store_head *next_anchor(const struct retainer *r)
{
    const struct store_lane *lane = r->lane;
    const uint64_t taken = r->options.taken(r->options.data, lane);
    const struct store_head *found = NULL;

    for (size_t i = 0; i < lane->mark_count; i++) {
        const struct store_head *m = &lane->marks[i];
        const int64_t age = r->now_us - m->commit_us;

        if (m->seq > lane->anchor.seq && age >= r->rule.keep_us &&
            (m->seq <= taken || age - r->rule.keep_us >= r->options.grace_us)) {
            found = m;
        }
    }
    return found;
}

static void read_deletes(struct sf_work *w)
{
    struct retainer *r = of_work(w);

    r->code = retain_read_deletes(r->options.store, r->lane, &r->read_to, r->lane->anchor.seq,
                                  &r->keys, &r->error);
}

/* What the lane needs before it can be cleared; false: nothing more. */
static bool step_log(struct retainer *r)
{
    struct store_lane *lane = r->lane;
    const struct store_head *anchor;

    if (r->failed) {
        return false;
    }
    if (r->read) {
        r->read = false;
        if (r->keys.count > 0) {
            submit(r, UPKEEP_BURY, NULL);
            return true;
        }
    }
    if (r->rule.keep_us > 0 && wants_mark(r)) {
        submit(r, UPKEEP_MARK, NULL);
        return true;
    }
    anchor = r->rule.keep_us > 0 ? next_anchor(r) : NULL;
    if (anchor != NULL) {
        submit(r, UPKEEP_ANCHOR, anchor);
        return true;
    }
    if (lane->name.kind == STORE_STATE && r->read_to < lane->anchor.seq) {
        r->read = true;
        start_work(r, read_deletes);
        return true;
    }
    return false;
}

/* --- clearing --------------------------------------------------------------------------------- */

static void flush_rows(struct sf_work *w)
{
    struct retainer *r = of_work(w);
    struct kv *kv = r->options.store->kv;

    r->code = kv->ops->flush(kv, KV_STATE, &r->error);
}

static uint64_t piece_seq(const struct retainer *r, size_t piece)
{
    return r->cleared_from + (r->lane->anchor.seq + 1 - r->cleared_from) * piece / r->pieces;
}

/* Gives back the space of one piece of what was cleared. */
static void compact(struct sf_work *w)
{
    struct retainer *r = of_work(w);
    struct kv *kv = r->options.store->kv;
    struct keyspace_key from = keyspace_lane_seq(r->lane->id, piece_seq(r, r->piece - 1));
    struct keyspace_key to = keyspace_lane_seq(r->lane->id, piece_seq(r, r->piece));

    r->code = kv->ops->compact(kv, KV_LOG, keyspace_view(&from), keyspace_view(&to), &r->error);
    if (r->code == SF_OK && r->piece == r->pieces && r->lane->name.kind == STORE_STATE) {
        from = keyspace_lane_seq(r->lane->id, r->cleared_from);
        r->code = kv->ops->compact(kv, KV_OLD, keyspace_view(&from), keyspace_view(&to), &r->error);
    }
}

/* How much to compact at once: a query thread is taken for that long. */
static void plan_pieces(struct retainer *r)
{
    struct kv *kv = r->options.store->kv;
    struct keyspace_key from = keyspace_lane_seq(r->lane->id, r->lane->anchor.cleared + 1);
    struct keyspace_key to = keyspace_lane_seq(r->lane->id, r->lane->anchor.seq + 1);
    uint64_t bytes =
        kv->ops->approximate_size(kv, KV_LOG, keyspace_view(&from), keyspace_view(&to));

    r->piece = 0;
    r->pieces = bytes / PIECE_BYTES + 1 < PIECES_MAX ? bytes / PIECE_BYTES + 1 : PIECES_MAX;
    r->cleared_from = r->lane->anchor.cleared + 1;
}

static bool step_clear(struct retainer *r)
{
    const struct store_anchor *a = &r->lane->anchor;

    if (r->failed || r->lane->unburied || (a->cleared == a->seq && !r->clearing)) {
        return false;
    }
    /* What shows the anchor, and what was buried, must be on the disk before the log goes. */
    if (!r->flushed) {
        r->flushed = true;
        start_work(r, flush_rows);
        return true;
    }
    if (!r->clearing) {
        plan_pieces(r);
        submit(r, UPKEEP_CLEAR, NULL);
        r->clearing = r->busy;
        return r->busy;
    }
    if (r->piece < r->pieces) {
        r->piece++;
        start_work(r, compact);
        return true;
    }
    return false;
}

/* --- lanes that are gone ---------------------------------------------------------------------- */

static const enum kv_family purged_families[] = {KV_STATE, KV_LOG, KV_OLD, KV_QUARANTINE};

bool retain_is_purged(const struct store_lane *lane)
{
    return lane->purged || (lane->head.seq == 0 && lane->head.quarantined == 0);
}

/* Where piece @i of the lane's keys begins: rows by the first byte of their keys, others by seq. */
static struct keyspace_key purged_bound(const struct retainer *r, size_t i)
{
    const struct store_head *head = &r->lane->head;
    const uint64_t last = head->seq > head->quarantined ? head->seq : head->quarantined;
    struct keyspace_key key = keyspace_lane(i == r->pieces ? r->lane->id + 1 : r->lane->id);

    if (i == 0 || i == r->pieces) {
        return key;
    }
    if (purged_families[r->family] != KV_STATE) {
        return keyspace_lane_seq(r->lane->id, last / r->pieces * i);
    }
    key.bytes[key.size++] = (uint8_t)i;
    return key;
}

static void compact_family(struct sf_work *w)
{
    struct retainer *r = of_work(w);
    struct kv *kv = r->options.store->kv;
    struct keyspace_key from = purged_bound(r, r->piece - 1);
    struct keyspace_key to = purged_bound(r, r->piece);

    r->code = kv->ops->compact(kv, purged_families[r->family], keyspace_view(&from),
                               keyspace_view(&to), &r->error);
}

static void plan_family(struct retainer *r)
{
    struct kv *kv = r->options.store->kv;
    struct keyspace_key from = keyspace_lane(r->lane->id);
    struct keyspace_key to = keyspace_lane(r->lane->id + 1);

    r->piece = 0;
    r->pieces = kv->ops->approximate_size(kv, purged_families[r->family], keyspace_view(&from),
                                          keyspace_view(&to)) > PIECE_BYTES
                    ? PURGE_PIECES
                    : 1;
}

static bool step_purge(struct retainer *r)
{
    if (r->failed || !r->rule.gone || retain_is_purged(r->lane)) {
        return false;
    }
    if (!r->clearing) {
        r->family = 0;
        plan_family(r);
        submit(r, UPKEEP_PURGE, NULL);
        return r->busy;
    }
    if (r->piece == r->pieces && ++r->family < SF_COUNT(purged_families)) {
        plan_family(r);
    }
    if (r->family < SF_COUNT(purged_families)) {
        r->piece++;
        start_work(r, compact_family);
        return true;
    }
    r->lane->purged = true;
    r->stats.purges++;
    return false;
}

/* --- quarantine, answers ---------------------------------------------------------------------- */

static void read_rejects(struct sf_work *w)
{
    struct retainer *r = of_work(w);

    r->code = retain_read_rejects(r->options.store, r->lane, r->now_us - r->rule.quarantine_us,
                                  &r->keys, &r->error);
}

static void on_dropped(struct store_write *w, const struct sf_error *err)
{
    struct retainer *r = w->data;

    r->busy = false;
    if (err == NULL) {
        r->stats.rejects += r->lane_write.resolve_count;
        sf_counter_add(&r->rejects, r->lane_write.resolve_count);
    } else if (err->code != SF_CONFLICT) { /* Else somebody else has resolved one: next round. */
        note_failure(r, err);
    }
    r->failed = r->failed || err != NULL;
    retain_step(r);
}

static void drop_rejects(struct retainer *r)
{
    struct sf_error err;

    for (size_t i = 0; i < r->keys.count; i++) {
        r->resolves[i] = (struct store_resolve){.qseq = r->keys.qseqs[i]};
    }
    r->lane_write = (struct store_lane_write){.lane = r->lane,
                                              .resolves = r->resolves,
                                              .resolve_count = r->keys.count,
                                              .expect_seq = STORE_ANY};
    r->write = (struct store_write){.data = r, .lanes = &r->lane_write, .lane_count = 1};
    r->busy = store_submit(r->options.store, &r->write, on_dropped, &err) == SF_OK;
    if (!r->busy) {
        note_failure(r, &err);
    }
}

static bool step_rejects(struct retainer *r)
{
    if (r->failed || r->rule.quarantine_us == 0 || store_lane_held(r->lane).entries == 0) {
        return false;
    }
    if (!r->read) {
        r->read = true;
        start_work(r, read_rejects);
        return true;
    }
    r->read = r->keys.more ? false : r->read;
    if (r->keys.count > 0) {
        drop_rejects(r);
        r->keys.count = 0;
        return r->busy;
    }
    return false;
}

static void read_answers(struct sf_work *w)
{
    struct retainer *r = of_work(w);

    r->code = retain_read_answers(r->options.store, r->now_us - r->options.idem_us, &r->answers_at,
                                  &r->keys, &r->error);
}

static bool step_answers(struct retainer *r)
{
    if (r->failed || r->options.idem_us == 0) {
        return false;
    }
    if (!r->read) {
        r->read = true;
        start_work(r, read_answers);
        return true;
    }
    r->read = r->keys.more ? false : r->read;
    if (r->keys.count > 0) {
        submit(r, UPKEEP_IDEM, NULL);
        r->keys.count = 0;
        return r->busy;
    }
    return !r->read;
}

/* --- rounds ----------------------------------------------------------------------------------- */

/* A clock that has jumped must not make old what is not: it is watched for an hour first. */
static bool clock_is_trusted(struct retainer *r)
{
    const uint64_t mono_ns = sf_rt_now_ns(r->options.rt);
    const int64_t wall_us = sf_rt_wall_us(r->options.rt);
    const int64_t passed_us = (int64_t)((mono_ns - r->mono_ns) / 1000);

    if (r->wall_us != 0 && wall_us - r->wall_us > passed_us + JUMP_US) {
        sf_log(SF_LOG_WARN, "retain.clock_jumped",
               SF_F_UINT("by_us", (uint64_t)(wall_us - r->wall_us - passed_us)));
        r->trusted_ns = mono_ns + (uint64_t)MISTRUST_US * 1000;
    }
    r->wall_us = wall_us;
    r->mono_ns = mono_ns;
    r->now_us = wall_us;
    return mono_ns >= r->trusted_ns;
}

/* What tables with a retention hold, for the gauges. On a query thread: it asks RocksDB of each. */
static void measure(struct sf_work *w)
{
    struct retainer *r = of_work(w);
    const struct store_lane *lane;

    r->code = SF_OK;
    for (size_t i = 0; (lane = store_lane_at(r->options.store, i)) != NULL; i++) {
        const struct store_anchor *a = &lane->anchor;

        if (a->seq > 0 || lane->mark_count > 0) {
            r->bytes_found += store_lane_bytes(r->options.store, lane);
        }
        if (a->seq > 0 && a->commit_us < r->oldest_us) {
            r->oldest_us = a->commit_us;
        }
    }
}

static void show_measures(struct retainer *r)
{
    const int64_t age_us = r->oldest_us == INT64_MAX ? 0 : r->now_us - r->oldest_us;

    sf_gauge_set(&r->bytes, (int64_t)r->bytes_found);
    sf_gauge_set(&r->oldest, age_us / SF_US_PER_S);
}

static void begin_lane(struct retainer *r)
{
    r->lane = r->phase == PHASE_ANSWERS ? NULL : store_lane_at(r->options.store, r->lane_at);
    r->failed = false;
    r->read = false;
    r->clearing = false;
    if (r->lane != NULL) {
        r->rule = r->options.rule(r->options.data, r->lane);
        r->read_to = r->lane->anchor.cleared;
        r->lane->unburied = r->lane->unburied && r->phase != PHASE_LOG;
        if (r->rule.keep_us > 0 && r->rule.keep_us < r->shortest_us) {
            r->shortest_us = r->rule.keep_us;
        }
    }
}

static void begin_phase(struct retainer *r, enum retain_phase phase)
{
    r->phase = phase;
    r->lane_at = 0;
    begin_lane(r);
}

static void wait_for_round(struct retainer *r)
{
    uint64_t ns = (uint64_t)r->shortest_us * 1000 / (2 * SEGMENTS);

    ns = ns < SOONEST_NS ? SOONEST_NS : ns;
    ns = ns > r->options.every_ns ? r->options.every_ns : ns;
    r->phase = PHASE_END;
    sf_rt_timer_start(r->options.rt, &r->timer, r->woken && ns > SOONEST_NS ? SOONEST_NS : ns);
}

void retainer_wake(struct retainer *r)
{
    if (!r->woken && !r->closing) {
        r->woken = true;
        if (r->phase == PHASE_END) {
            wait_for_round(r);
        }
    }
}

/* Starts the next thing of the lane; false: the lane needs nothing more in this phase. */
static bool step_lane(struct retainer *r)
{
    switch (r->phase) {
    case PHASE_PURGE:
        return step_purge(r);
    case PHASE_LOG:
        return step_log(r);
    case PHASE_CLEAR:
        return step_clear(r);
    case PHASE_REJECTS:
        return step_rejects(r);
    case PHASE_ANSWERS:
    case PHASE_END:
        break;
    }
    return false;
}

static void finish_close(struct retainer *r)
{
    void (*closed)(void *data) = r->closed;
    void *data = r->closed_data;

    sf_metric_remove(&r->changes.metric);
    sf_metric_remove(&r->rejects.metric);
    sf_metric_remove(&r->answers.metric);
    sf_metric_remove(&r->failures.metric);
    sf_metric_remove(&r->bytes.metric);
    sf_metric_remove(&r->oldest.metric);
    retain_keys_done(&r->keys);
    sf_buf_done(&r->answers_at);
    sf_free(r);
    closed(data);
}

static void retain_step(struct retainer *r)
{
    sf_assert(!r->busy);
    while (!r->busy) {
        if (r->closing) {
            finish_close(r);
            return;
        }
        if (r->phase == PHASE_END) {
            return;
        }
        if (store_failed(r->options.store)) {
            wait_for_round(r);
            return;
        }
        if (r->phase == PHASE_ANSWERS) {
            if (step_answers(r) || r->busy) {
                continue;
            }
            if (!r->measured) {
                r->measured = true;
                start_work(r, measure);
                continue;
            }
            r->stats.rounds++;
            show_measures(r);
            wait_for_round(r);
            continue;
        }
        if (r->lane != NULL && step_lane(r)) {
            continue;
        }
        r->lane_at++;
        begin_lane(r);
        if (r->lane == NULL) {
            if (r->phase == PHASE_PURGE && r->options.purged != NULL) {
                r->options.purged(r->options.data);
            }
            begin_phase(r, (enum retain_phase)(r->phase + 1));
        }
    }
}

static void on_timer(struct sf_timer *timer)
{
    struct retainer *r = SF_CONTAINER_OF(timer, struct retainer, timer);

    r->woken = false;
    r->shortest_us = (int64_t)(r->options.every_ns / 1000) * 2 * SEGMENTS;
    if (!clock_is_trusted(r) || store_failed(r->options.store)) {
        wait_for_round(r);
        return;
    }
    r->flushed = false;
    r->measured = false;
    r->bytes_found = 0;
    r->oldest_us = INT64_MAX;
    sf_buf_clear(&r->answers_at);
    begin_phase(r, PHASE_PURGE);
    retain_step(r);
}

static void register_counters(struct retainer *r)
{
    const struct {
        const char *name;
        const char *help;
        struct sf_counter *counter;
    } all[] = {
        {"retain_changes_total", "Changes trimmed from the log.", &r->changes},
        {"retain_rejects_total", "Quarantined records dropped by age.", &r->rejects},
        {"retain_answers_total", "Answers by Idempotency-Key dropped by age.", &r->answers},
        {"retain_failures_total", "Times a table could not be trimmed.", &r->failures},
    };

    for (size_t i = 0; i < SF_COUNT(all); i++) {
        sf_counter_register(r->options.metrics,
                            &(struct sf_metric_spec){.name = all[i].name, .help = all[i].help},
                            all[i].counter);
    }
    sf_gauge_register(
        r->options.metrics,
        &(struct sf_metric_spec){.name = "retain_held_bytes",
                                 .help = "Disk taken by tables that have a retention."},
        &r->bytes);
    sf_gauge_register(
        r->options.metrics,
        &(struct sf_metric_spec){.name = "retain_oldest_seconds",
                                 .help = "Age of the oldest position held after trimming."},
        &r->oldest);
}

enum sf_code retainer_new(const struct retainer_options *options, struct retainer **ret,
                          struct sf_error *err)
{
    struct retainer *r = sf_calloc(1, sizeof(*r));

    if (r == NULL) {
        return SF_RAISE(err, SF_NOMEM, "retention");
    }
    r->options = *options;
    r->options.every_ns = options->every_ns == 0 ? EVERY_NS : options->every_ns;
    r->options.grace_us = options->grace_us == 0 ? RETAIN_GRACE_US : options->grace_us;
    r->phase = PHASE_END;
    r->timer.fire = on_timer;
    register_counters(r);
    sf_rt_timer_start(r->options.rt, &r->timer, SOONEST_NS);
    *ret = r;
    return SF_OK;
}

static void closing_turn(struct sf_task *turn)
{
    finish_close(SF_CONTAINER_OF(turn, struct retainer, closing_turn));
}

void retainer_close(struct retainer *r, void (*closed)(void *data), void *data)
{
    sf_assert(!r->closing);
    r->closing = true;
    r->closed = closed;
    r->closed_data = data;
    sf_rt_timer_stop(r->options.rt, &r->timer);
    if (!r->busy) {
        r->closing_turn.run = closing_turn;
        sf_rt_post(r->options.rt, &r->closing_turn);
    }
}

struct retainer_stats retainer_stats(const struct retainer *r)
{
    return r->stats;
}
