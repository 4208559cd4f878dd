#include "leaf/quality/collector.h"

#include "common/base/alloc.h"
#include "common/sys/log.h"
#include "leaf/quality/lane_stats.h"
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
 * housekeeping wants it saved or counted anew. The pause is long while much is being committed.
 */

enum {
    STEP_ROWS = 1024,
    WAIT_STEPS_MAX = 64, /* whoever asks gets what is counted after so many steps */
};

#define PAUSE_BUSY_NS  (250 * SF_NS_PER_MS)
#define PAUSE_QUIET_NS (SF_NS_PER_MS)
enum { BUSY_CHANGES = 10000 }; /* a second: much is committed */
#define HOUSEKEEPING_NS  (10 * SF_NS_PER_S)
#define SAVE_EVERY_NS    (30 * SF_NS_PER_S)
#define UNLOAD_AFTER_NS  (60 * SF_NS_PER_S)
#define RECOUNT_EVERY_NS (600 * SF_NS_PER_S)
#define QUIET_NS         (30 * SF_NS_PER_S)

struct lane {
    struct sf_list link;       /* in the collector */
    struct sf_list ready_link; /* in its queue while is_ready */
    struct sf_list shelf_link; /* in memory, and nothing is done with it */
    struct collector *owner;
    const struct served_table *table;
    struct lane_stats stats;
    struct sf_list waits;
    unsigned waited_steps;
    bool is_ready;
    bool wanted;    /* scratch of collector_update() */
    bool gone;      /* its table is served no more: freed after its step or save */
    bool retable;   /* its table changed during a step */
    bool save;      /* the next step saves */
    bool examining; /* what is being counted is for a wait with anew */
    bool recount;   /* the next step counts anew */
    bool saving;
    uint64_t saved_seq;
    uint64_t shown_seq; /* of the last look at what has been counted; UINT64_MAX: not loaded */
    uint64_t saved_ns;
    uint64_t changed_ns;  /* last time that it was behind */
    uint64_t counting_ns; /* when counting anew began, 0: it does not */
    uint64_t recount_ns;  /* not before */
    uint8_t key[LANE_STATS_KEY_BYTES];
    struct sf_buf saved_bytes;
    struct store_put put;
    struct store_write write;
};

struct collector {
    struct collector_options options;
    struct sf_list lanes;
    struct sf_list ready;
    struct sf_list shelf; /* that which changed longest ago first */
    size_t shelf_count;
    struct lane **by_id; /* by the lane's id; NULL: none */
    size_t by_id_size;
    size_t saves; /* under way */
    struct lane *busy;
    struct sf_work work;
    struct lane_step step;
    enum sf_code code;
    struct sf_error error;
    struct sf_timer rest;
    bool resting;
    struct sf_timer housekeeping;
    struct store_listener listener;
    uint64_t changes_seen; /* of the store, at seen_ns */
    uint64_t seen_ns;
    bool is_busy;
    struct sf_counter rows_counted;
    struct sf_gauge lag;
    bool closing;
    void (*closed)(void *data);
    void *closed_data;
    struct sf_task closed_turn;
};

static void kick(struct collector *c);
static void maybe_closed(struct collector *c);

static uint64_t now_of(const struct collector *c)
{
    return sf_rt_now_ns(c->options.rt);
}

/* --- lanes --------------------------------------------------------------------------------------
 */

static void fail_waits(struct lane *l, const struct sf_error *err)
{
    while (!sf_list_empty(&l->waits)) {
        struct collector_wait *w = SF_CONTAINER_OF(l->waits.next, struct collector_wait, link);

        sf_list_remove(&w->link);
        w->ready(w, NULL, err);
    }
}

/* Until it is worked on again, it may be unloaded for others. */
static void shelve(struct lane *l)
{
    if (l->stats.loaded && !lane_stats_is_counting(&l->stats) && !sf_list_linked(&l->shelf_link)) {
        sf_list_push(&l->owner->shelf, &l->shelf_link);
        l->owner->shelf_count++;
    }
}

static void unshelve(struct lane *l)
{
    if (sf_list_linked(&l->shelf_link)) {
        sf_list_remove(&l->shelf_link);
        l->owner->shelf_count--;
    }
}

static void lane_free(struct lane *l)
{
    struct sf_error err;

    (void)SF_RAISE(&err, SF_CLOSED, "the table is not served any more");
    fail_waits(l, &err);
    unshelve(l);
    if (l->is_ready) {
        sf_list_remove(&l->ready_link);
    }
    sf_list_remove(&l->link);
    lane_stats_done(&l->stats);
    sf_buf_done(&l->saved_bytes);
    if (l->owner->by_id[store_lane_id(l->table->lane)] == l) {
        l->owner->by_id[store_lane_id(l->table->lane)] = NULL;
    }
    sf_free(l);
}

static void free_if_gone(struct lane *l)
{
    if (l->gone && l->owner->busy != l && !l->saving) {
        lane_free(l);
    }
}

static void make_ready(struct lane *l)
{
    if (!l->is_ready && !l->gone && l->owner->busy != l) {
        l->is_ready = true;
        sf_list_push(&l->owner->ready, &l->ready_link);
    }
}

static bool is_behind(const struct lane *l)
{
    return !l->stats.loaded || l->stats.seq != store_lane_head(l->table->lane)->seq;
}

/* Of those in memory it is the last to go. */
static void note_change(struct lane *l)
{
    l->changed_ns = now_of(l->owner);
    if (sf_list_linked(&l->shelf_link)) {
        sf_list_remove(&l->shelf_link);
        sf_list_push(&l->owner->shelf, &l->shelf_link);
    }
}

static void on_changes(struct store_listener *listener, struct store_lane *lane)
{
    struct collector *c = SF_CONTAINER_OF(listener, struct collector, listener);

    const uint32_t id = store_lane_id(lane);

    if (id < c->by_id_size && c->by_id[id] != NULL) {
        note_change(c->by_id[id]);
        make_ready(c->by_id[id]);
        kick(c);
    }
}

static void unload(struct lane *l)
{
    unshelve(l);
    lane_stats_unload(&l->stats);
}

/* Makes room for one more in memory: the one that changed longest ago goes. What of it is not saved
 * is counted once more when it comes back. */
static void make_room(struct collector *c)
{
    if (c->shelf_count >= COLLECTOR_LOADED_MAX) {
        unload(SF_CONTAINER_OF(c->shelf.next, struct lane, shelf_link));
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
    free_if_gone(l);
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
    l->saved_ns = now_of(c);
    if (store_submit(c->options.store, &l->write, on_saved, &err) == SF_OK) {
        l->saving = true;
        c->saves++;
    }
}

/* --- steps --------------------------------------------------------------------------------------
 */

static void serve_waits(struct lane *l, bool counted)
{
    struct sf_list left;
    const struct collected found = {
        .stats = &l->stats.stats,
        .epoch = l->stats.epoch,
        .seq = l->stats.seq,
        .counted_us = l->stats.counted_us,
        .exam = l->stats.exam,
    };

    sf_list_init(&left);
    sf_list_move(&left, &l->waits);
    while (!sf_list_empty(&left)) {
        struct collector_wait *w = SF_CONTAINER_OF(left.next, struct collector_wait, link);

        sf_list_remove(&w->link);
        if (w->anew && !counted) {
            sf_list_push(&l->waits, &w->link);
        } else {
            w->ready(w, &found, NULL);
        }
    }
}

static bool has_wait(struct lane *l, bool anew)
{
    for (struct sf_list *at = l->waits.next; at != &l->waits; at = at->next) {
        if (SF_CONTAINER_OF(at, struct collector_wait, link)->anew == anew) {
            return true;
        }
    }
    return false;
}

static void do_step(struct sf_work *work)
{
    struct collector *c = SF_CONTAINER_OF(work, struct collector, work);

    c->code = lane_stats_step(&c->busy->stats, &c->step, &c->error);
}

/* Long while much is committed: then the statistics may lag, ingest may not. */
static uint64_t pause_of(struct collector *c, const struct lane *l)
{
    const uint64_t elapsed_ns = now_of(c) - c->seen_ns;
    const uint64_t changes = store_stats(c->options.store).changes;

    if (elapsed_ns > 100 * SF_NS_PER_MS) {
        c->is_busy = (double)(changes - c->changes_seen) * 1e9 / (double)elapsed_ns > BUSY_CHANGES;
        c->changes_seen = changes;
        c->seen_ns = now_of(c);
    }
    if (!sf_list_empty(&l->waits)) {
        return 0;
    }
    return c->is_busy ? PAUSE_BUSY_NS : PAUSE_QUIET_NS;
}

/* Counting took its time: the next one of its own accord keeps off for twenty times as long. */
static void note_recount(struct lane *l)
{
    const uint64_t now = now_of(l->owner);
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

    if (c->step.save && c->step.bytes.size > 0 && !l->saving) {
        save(l);
    }
    if (l->retable) {
        l->retable = false;
        if (lane_stats_set_table(&l->stats, &c->options.serving->products, l->table, &err) !=
            SF_OK) {
            fail_waits(l, &err);
            return;
        }
    }
    counted = l->counting_ns != 0 && l->examining && !lane_stats_is_counting(&l->stats);
    note_recount(l);
    l->waited_steps++;
    if (counted) {
        l->examining = false;
        serve_waits(l, /* counted= */ true);
    } else if (l->stats.loaded && (!c->step.more || l->waited_steps >= WAIT_STEPS_MAX)) {
        serve_waits(l, /* counted= */ false);
    }
    if (c->step.more || is_behind(l) || !sf_list_empty(&l->waits)) {
        make_ready(l);
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
        fail_waits(l, &c->error);
    } else if (!c->closing && !l->gone) {
        after_step(l);
    }
    sf_buf_done(&c->step.bytes);
    shelve(l);
    pause = pause_of(c, l);
    free_if_gone(l);
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
    struct lane *l;
    bool begin = false;

    if (c->busy != NULL || c->resting || c->closing || sf_list_empty(&c->ready)) {
        return;
    }
    l = SF_CONTAINER_OF(c->ready.next, struct lane, ready_link);
    sf_list_remove(&l->ready_link);
    l->is_ready = false;
    c->busy = l;
    unshelve(l);
    if (!l->stats.loaded) {
        make_room(c);
    }
    if (!lane_stats_is_counting(&l->stats)) {
        l->examining = has_wait(l, /* anew= */ true);
        begin = l->recount || l->examining;
        l->counting_ns = begin ? now_of(c) : 0;
        l->recount = false;
    }
    c->step = (struct lane_step){
        .budget = STEP_ROWS,
        .count = begin,
        .examine = l->examining,
        .save = (l->save || now_of(c) - l->saved_ns > SAVE_EVERY_NS) && !l->saving,
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
        make_ready(l);
    } else if (table_stats_is_loose(&l->stats.stats) && now > l->recount_ns &&
               now - l->changed_ns > QUIET_NS) {
        l->recount = true;
        make_ready(l);
    } else if (now - l->changed_ns > UNLOAD_AFTER_NS && !lane_stats_is_counting(&l->stats)) {
        unload(l);
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
        keep_lane(l, now_of(c));
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
        make_ready(l);
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
            shelve(l); /* It may have been taken out of a counting. */
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
        free_if_gone(lane);
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
    note_change(l);
    l->waited_steps = 0;
    sf_list_push(&l->waits, &w->link);
    make_ready(l);
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
