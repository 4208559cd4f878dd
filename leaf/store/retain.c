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
#include "leaf/store/retain_private.h"

#define EVERY_NS    (60 * SF_NS_PER_S)
#define SOONEST_NS  SF_NS_PER_S
#define JUMP_US     INT64_C(600000000)  /* of the clock: nothing is dropped... */
#define MISTRUST_US INT64_C(3600000000) /* ...for so long after it */

/* --- what is under way ------------------------------------------------------------------------ */

void retain_note_failure(struct retainer *r, const struct sf_error *err)
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
        retain_note_failure(r, err);
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

void retain_submit(struct retainer *r, enum upkeep_kind kind, const struct store_head *mark)
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
        retain_note_failure(r, &err);
    }
}

static void on_work(struct sf_task *done)
{
    struct retainer *r = SF_CONTAINER_OF(done, struct retainer, work.done);

    r->busy = false;
    if (r->code != SF_OK) {
        retain_note_failure(r, &r->error);
    }
    retain_step(r);
}

void retain_work(struct retainer *r, void (*work)(struct sf_work *w))
{
    r->work = (struct sf_work){.pool = SF_POOL_QUERY, .work = work, .done.run = on_work};
    r->busy = true;
    sf_rt_work(r->options.rt, &r->work);
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
    struct retainer *r = retainer_of_work(w);
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
    uint64_t ns = (uint64_t)r->shortest_us * 1000 / (2 * RETAIN_SEGMENTS);

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
        return retain_purge(r);
    case PHASE_LOG:
        return retain_log(r);
    case PHASE_CLEAR:
        return retain_clear(r);
    case PHASE_REJECTS:
        return retain_rejects(r);
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

void retain_step(struct retainer *r)
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
            if (retain_answers(r) || r->busy) {
                continue;
            }
            if (!r->measured) {
                r->measured = true;
                retain_work(r, measure);
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
    r->shortest_us = (int64_t)(r->options.every_ns / 1000) * 2 * RETAIN_SEGMENTS;
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
