#include "leaf/quality/collector.h"

#include "common/base/alloc.h"
#include "common/sys/log.h"
#include "leaf/quality/lanes.h"
#include "proto/errors.h"

/*
 * One step at a time:
 *
 *              a lane is ready            done, others are ready
 *      IDLE ------------------> STEPPING -----------------------> RESTING
 *        ^                       |   ^                               |
 *        +------ none is --------+   +---------- the pause ends -----+
 *
 * A lane is ready when it has changes that are not counted, when somebody waits for it, or when the
 * housekeeping wants it saved or counted anew. Of those that have to be counted anew a few are, the
 * others are held. The pause is long while much is being committed.
 */

enum {
    STEP_ROWS = 1024,
    STEP_ROWS_CROWDED = 4096, /* when loading and saving a table is part of each step */
    WAIT_STEPS_MAX = 64,      /* whoever asks gets what is counted after so many steps */
};

#define PAUSE_BUSY_NS  (250 * SF_NS_PER_MS)
#define PAUSE_QUIET_NS (SF_NS_PER_MS)
enum { BUSY_CHANGES = 10000 }; /* a second: much is committed */
#define HOUSEKEEPING_NS  (10 * SF_NS_PER_S)
#define SAVE_EVERY_NS    (30 * SF_NS_PER_S)
#define UNLOAD_AFTER_NS  (60 * SF_NS_PER_S)
#define RECOUNT_EVERY_NS (600 * SF_NS_PER_S)
#define QUIET_NS         (30 * SF_NS_PER_S)

static void kick(struct collector *c);
static void maybe_closed(struct collector *c);

/* --- what happens to lanes --- */

static void on_changes(struct store_listener *listener, struct store_lane *lane)
{
    struct collector *c = SF_CONTAINER_OF(listener, struct collector, listener);

    const uint32_t id = store_lane_id(lane);

    if (id < c->by_id_size && c->by_id[id] != NULL) {
        lane_note_change(c->by_id[id]);
        lane_make_ready(c->by_id[id]);
        kick(c);
    }
}

/* --- saving -------------------------------------------------------------------------------------
 */

static void on_saved(struct store_write *w, const struct sf_error *err)
{
    struct lane *l = w->data;
    struct collector *c = l->owner;

    l->saving = false;
    c->saves--;
    if (err != NULL) {
        sf_log(SF_LOG_WARN, "quality.not_saved", SF_F_ERROR(err));
    }
    lane_free_if_gone(l);
    maybe_closed(c);
}

static void save(struct lane *l)
{
    struct collector *c = l->owner;
    struct sf_error err;

    sf_buf_done(&l->saved_bytes);
    l->saved_bytes = c->step.bytes;
    c->step.bytes = (struct sf_buf){0};
    lane_stats_key(l->table->lane, l->key);
    l->put = (struct store_put){
        .space = STORE_META,
        .key = sf_slice_of(l->key, sizeof(l->key)),
        .value = sf_buf_view(&l->saved_bytes),
    };
    l->write = (struct store_write){.data = l, .puts = &l->put, .put_count = 1, .unsynced = true};
    l->saved_seq = l->stats.seq;
    l->saved_ns = collector_now(c);
    if (store_submit(c->options.store, &l->write, on_saved, &err) == SF_OK) {
        l->saving = true;
        c->saves++;
    }
}

/* --- steps --------------------------------------------------------------------------------------
 */

static void do_step(struct sf_work *work)
{
    struct collector *c = SF_CONTAINER_OF(work, struct collector, work);

    c->code = lane_stats_step(&c->busy->stats, &c->step, &c->error);
}

/* Long while much is committed: then the statistics may lag, ingest may not. */
static uint64_t pause_of(struct collector *c, const struct lane *l)
{
    const uint64_t elapsed_ns = collector_now(c) - c->seen_ns;
    const uint64_t changes = store_stats(c->options.store).changes;

    if (elapsed_ns > 100 * SF_NS_PER_MS) {
        c->is_busy = (double)(changes - c->changes_seen) * 1e9 / (double)elapsed_ns > BUSY_CHANGES;
        c->changes_seen = changes;
        c->seen_ns = collector_now(c);
    }
    if (!sf_list_empty(&l->waits)) {
        return 0;
    }
    return c->is_busy ? PAUSE_BUSY_NS : PAUSE_QUIET_NS;
}

/* Counting took its time: the next one of its own accord keeps off for twenty times as long. */
static void note_recount(struct lane *l)
{
    const uint64_t now = collector_now(l->owner);
    uint64_t off;

    if (l->counting_ns != 0 && !lane_stats_is_counting(&l->stats)) {
        off = 20 * (now - l->counting_ns);
        l->recount_ns = now + (off > RECOUNT_EVERY_NS ? off : RECOUNT_EVERY_NS);
        l->counting_ns = 0;
    } else if (l->counting_ns == 0 && lane_stats_is_counting(&l->stats)) {
        l->counting_ns = now; /* nothing was stored that fits */
    }
}

static void after_step(struct lane *l)
{
    struct collector *c = l->owner;
    bool counted;
    struct sf_error err;

    if (c->step.held && lane_may_not_count(l)) {
        lane_hold(l);
        return;
    }
    if (c->step.save && c->step.bytes.size > 0 && !l->saving) {
        save(l);
    }
    if (l->retable) {
        l->retable = false;
        if (lane_stats_set_table(&l->stats, &c->options.serving->products, l->table, &err) !=
            SF_OK) {
            lane_fail_waits(l, &err);
            return;
        }
    }
    counted = l->counting_ns != 0 && l->examining && !lane_stats_is_counting(&l->stats);
    note_recount(l);
    l->waited_steps++;
    if (counted) {
        l->examining = false;
        lane_serve_waits(l, /* counted= */ true);
    } else if (l->stats.loaded && (!c->step.more || l->waited_steps >= WAIT_STEPS_MAX)) {
        lane_serve_waits(l, /* counted= */ false);
    }
    if (c->step.more || lane_is_behind(l) || !sf_list_empty(&l->waits)) {
        lane_make_ready(l);
    }
}

static void step_done(struct sf_task *task)
{
    struct collector *c = SF_CONTAINER_OF(task, struct collector, work.done);
    struct lane *l = c->busy;
    uint64_t pause;

    c->busy = NULL;
    sf_counter_add(&c->rows_counted, c->step.counted);
    if (c->code != SF_OK) {
        sf_log(SF_LOG_WARN, "quality.not_counted", SF_F_ERROR(&c->error));
        l->counting_ns = 0;
        lane_fail_waits(l, &c->error);
    } else if (!c->closing && !l->gone) {
        after_step(l);
    }
    sf_buf_done(&c->step.bytes);
    lane_shelve(l);
    pause = pause_of(c, l);
    lane_note_counting(l);
    lane_free_if_gone(l);
    if (c->closing) {
        maybe_closed(c);
        return;
    }
    c->resting = true;
    sf_rt_timer_start(c->options.rt, &c->rest, pause);
}

static void rest_over(struct sf_timer *t)
{
    struct collector *c = SF_CONTAINER_OF(t, struct collector, rest);

    c->resting = false;
    kick(c);
}

static void kick(struct collector *c)
{
    const bool is_crowded = c->shelf_count >= COLLECTOR_LOADED_MAX;
    struct lane *l;
    bool begin = false;
    bool is_new;

    if (c->busy != NULL || c->resting || c->closing || sf_list_empty(&c->ready)) {
        return;
    }
    l = SF_CONTAINER_OF(c->ready.next, struct lane, ready_link);
    sf_list_remove(&l->ready_link);
    l->is_ready = false;
    c->busy = l;
    lane_unshelve(l);
    is_new = !l->stats.loaded;
    if (is_new) {
        lane_make_room(c);
    }
    if (!lane_stats_is_counting(&l->stats)) {
        l->examining = lane_has_wait(l, /* anew= */ true);
        begin = (l->recount && !lane_may_not_count(l)) || l->examining;
        l->counting_ns = begin ? collector_now(c) : 0;
        l->recount = false;
    }
    c->step = (struct lane_step){
        .budget = is_crowded && is_new ? STEP_ROWS_CROWDED : STEP_ROWS,
        .count = begin,
        .examine = l->examining,
        .hold = lane_may_not_count(l),
        /* Where more tables change than fit, it may be gone before its turn comes again. */
        .save =
            (l->save || (is_crowded && is_new) || collector_now(c) - l->saved_ns > SAVE_EVERY_NS) &&
            !l->saving,
        .now_us = sf_rt_wall_us(c->options.rt),
    };
    l->save = false;
    sf_rt_work(c->options.rt, &c->work);
}

/* --- housekeeping -------------------------------------------------------------------------------
 */

static void keep_lane(struct lane *l, uint64_t now)
{
    if (l->is_ready || l->owner->busy == l || !l->stats.loaded) {
        return;
    }
    if (l->stats.seq != l->saved_seq) {
        l->save = true;
        lane_make_ready(l);
    } else if (table_stats_is_loose(&l->stats.stats) && now > l->recount_ns &&
               now - l->changed_ns > QUIET_NS) {
        l->recount = true;
        lane_make_ready(l);
    } else if (now - l->changed_ns > UNLOAD_AFTER_NS && !lane_stats_is_counting(&l->stats)) {
        lane_unload(l);
    }
}

static void keep_house(struct sf_timer *t)
{
    struct collector *c = SF_CONTAINER_OF(t, struct collector, housekeeping);
    uint64_t behind = 0;

    for (struct sf_list *at = c->lanes.next; at != &c->lanes; at = at->next) {
        struct lane *l = SF_CONTAINER_OF(at, struct lane, link);

        if (c->busy != l) { /* Else they are the query thread's. */
            l->shown_seq = l->stats.loaded ? l->stats.seq : UINT64_MAX;
        }
        if (l->shown_seq != UINT64_MAX) {
            const uint64_t head = store_lane_head(l->table->lane)->seq;

            behind += head > l->shown_seq ? head - l->shown_seq : 0; /* a purge sets heads back */
        }
        keep_lane(l, collector_now(c));
    }
    sf_gauge_set(&c->lag, (int64_t)behind);
    sf_rt_timer_start(c->options.rt, &c->housekeeping, HOUSEKEEPING_NS);
    kick(c);
}

/* --- life ---------------------------------------------------------------------------------------
 */

enum sf_code collector_new(const struct collector_options *options, struct collector **ret,
                           struct sf_error *err)
{
    struct collector *c = sf_calloc(1, sizeof(*c));

    if (c == NULL) {
        return SF_RAISE(err, SF_NOMEM, "collector");
    }
    c->options = *options;
    sf_list_init(&c->lanes);
    sf_list_init(&c->ready);
    sf_list_init(&c->held);
    sf_list_init(&c->shelf);
    c->work = (struct sf_work){.pool = SF_POOL_QUERY, .work = do_step, .done = {.run = step_done}};
    c->rest.fire = rest_over;
    c->housekeeping.fire = keep_house;
    c->listener.on_changes = on_changes;
    sf_counter_register(
        options->metrics,
        &(struct sf_metric_spec){.name = "quality_rows_total",
                                 .help = "Rows and changes counted for statistics."},
        &c->rows_counted);
    sf_gauge_register(options->metrics,
                      &(struct sf_metric_spec){.name = "quality_lag_changes",
                                               .help = "Changes that statistics do not count yet."},
                      &c->lag);
    store_listen(options->store, &c->listener);
    sf_rt_timer_start(options->rt, &c->housekeeping, HOUSEKEEPING_NS);
    *ret = c;
    return SF_OK;
}

static struct lane *find_lane(const struct collector *c, const struct store_lane *lane)
{
    const uint32_t id = store_lane_id(lane);

    return id < c->by_id_size ? c->by_id[id] : NULL;
}

static enum sf_code make_place(struct collector *c, uint32_t id, struct sf_error *err)
{
    struct lane **grown;

    if (id < c->by_id_size) {
        return SF_OK;
    }
    grown = sf_realloc(c->by_id, (size_t)id + 1, sizeof(struct lane *));
    if (grown == NULL) {
        return SF_RAISE(err, SF_NOMEM, "statistics of a table");
    }
    c->by_id = grown;
    while (c->by_id_size <= id) {
        c->by_id[c->by_id_size++] = NULL;
    }
    return SF_OK;
}

static enum sf_code new_lane(struct collector *c, const struct served_table *table,
                             struct sf_error *err)
{
    const uint32_t id = store_lane_id(table->lane);
    struct lane *l = sf_calloc(1, sizeof(*l));
    enum sf_code code =
        l == NULL ? SF_RAISE(err, SF_NOMEM, "statistics of a table") : make_place(c, id, err);

    if (code != SF_OK) {
        sf_free(l);
        return code;
    }
    l->owner = c;
    l->table = table;
    l->shown_seq = UINT64_MAX;
    l->stats = (struct lane_stats){.store = c->options.store, .lane = table->lane};
    l->wanted = true;
    sf_list_init(&l->waits);
    sf_list_push(&c->lanes, &l->link);
    c->by_id[id] = l;
    code = lane_stats_set_table(&l->stats, &c->options.serving->products, table, err);
    if (code != SF_OK) {
        lane_free(l);
    } else if (store_lane_head(table->lane)->seq > 0) {
        lane_make_ready(l);
    }
    return code;
}

static enum sf_code want_lane(struct collector *c, const struct served_table *table,
                              struct sf_error *err)
{
    struct lane *l = find_lane(c, table->lane);
    enum sf_code code = SF_OK;

    if (l == NULL) {
        return new_lane(c, table, err);
    }
    l->wanted = true;
    if (l->table != table) {
        l->table = table;
        l->retable = c->busy == l;
        code = c->busy == l
                   ? SF_OK
                   : lane_stats_set_table(&l->stats, &c->options.serving->products, table, err);
        if (c->busy != l) {
            lane_note_counting(l);
            lane_shelve(l); /* It may have been taken out of a counting. */
        }
    }
    return code;
}

enum sf_code collector_update(struct collector *c, struct sf_error *err)
{
    const struct served_product *p;
    enum sf_code code = SF_OK;
    size_t at = 0;

    for (struct sf_list *l = c->lanes.next; l != &c->lanes; l = l->next) {
        SF_CONTAINER_OF(l, struct lane, link)->wanted = false;
    }
    while ((p = product_set_next(&c->options.serving->products, &at)) != NULL) {
        for (size_t i = 0; i < p->table_count; i++) {
            enum sf_code one = want_lane(c, &p->tables[i], err);

            code = code == SF_OK ? one : code;
        }
    }
    for (struct sf_list *next, *l = c->lanes.next; l != &c->lanes; l = next) {
        struct lane *lane = SF_CONTAINER_OF(l, struct lane, link);

        next = l->next;
        if (!lane->wanted && !lane->gone) {
            lane->gone = true;
            c->by_id[store_lane_id(lane->table->lane)] = NULL;
        }
        lane_free_if_gone(lane);
    }
    kick(c);
    return code;
}

enum sf_code collector_get(struct collector *c, const struct served_table *table,
                           struct collector_wait *w, struct sf_error *err)
{
    struct lane *l = find_lane(c, table->lane);

    if (l == NULL || c->closing) {
        return SF_RAISE_E(err, SF_ABSENT, SHEAF_E_TABLE_UNKNOWN, "no statistics of this table");
    }
    lane_note_change(l);
    l->waited_steps = 0;
    sf_list_push(&l->waits, &w->link);
    lane_release(l);
    lane_make_ready(l);
    if (c->resting) { /* Whoever asks does not wait for the pause. */
        sf_rt_timer_start(c->options.rt, &c->rest, 0);
    }
    kick(c);
    return SF_OK;
}

void collector_forget(struct collector_wait *w)
{
    sf_list_remove(&w->link);
}

static void finish_close(struct sf_task *turn)
{
    struct collector *c = SF_CONTAINER_OF(turn, struct collector, closed_turn);
    void (*closed)(void *data) = c->closed;
    void *data = c->closed_data;

    while (!sf_list_empty(&c->lanes)) {
        lane_free(SF_CONTAINER_OF(c->lanes.next, struct lane, link));
    }
    sf_metric_remove(&c->rows_counted.metric);
    sf_metric_remove(&c->lag.metric);
    sf_free(c->by_id);
    sf_free(c);
    closed(data);
}

static void maybe_closed(struct collector *c)
{
    if (c->closing && c->busy == NULL && c->saves == 0) {
        c->closed_turn.run = finish_close;
        sf_rt_post(c->options.rt, &c->closed_turn);
    }
}

void collector_close(struct collector *c, void (*closed)(void *data), void *data)
{
    c->closing = true;
    c->closed = closed;
    c->closed_data = data;
    store_unlisten(c->options.store, &c->listener);
    sf_rt_timer_stop(c->options.rt, &c->rest);
    sf_rt_timer_stop(c->options.rt, &c->housekeeping);
    maybe_closed(c);
}
