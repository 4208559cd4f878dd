#include "leaf/quality/inspector.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/time.h"
#include "common/sys/log.h"
#include "common/wire/json.h"
#include "leaf/store/read.h"
#include "proto/errors.h"

enum { KEY_BYTES = 8 + 4 + 8, FRESHNESS_TEXT = 48 };
#define KEY_PREFIX "quality/"

struct watched {
    struct sf_list link;
    struct inspector *owner;
    const struct served_table *table;
    struct inspected *results; /* owned: checks, then freshness */
    size_t count;
    bool has_freshness;
    char freshness[FRESHNESS_TEXT];
    int64_t event_us; /* newest that statistics have shown */
    uint64_t judged_seq;
    bool judged;
    bool waiting;
    struct collector_wait wait;
    bool wanted; /* scratch of inspector_update() */
};

/* An event on its way into the history. */
struct record {
    struct inspector *owner;
    uint8_t key[KEY_BYTES];
    uint8_t oldest[KEY_BYTES];
    struct sf_buf document;
    struct store_put puts[2];
    struct store_write write;
};

struct inspector {
    struct inspector_options options;
    struct sf_list tables;
    struct sf_timer tick;
    size_t records;  /* being stored */
    int64_t last_us; /* of an event: each has a time of its own */
    struct sf_gauge failing;
    struct sf_gauge stale;
    struct sf_counter events;
    bool stopped;
};

/* --- history ------------------------------------------------------------------------------------
 */

static void put_be(uint8_t *at, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        at[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
    }
}

static void history_key(const struct served_table *table, int64_t us, uint8_t ret[KEY_BYTES])
{
    memcpy(ret, KEY_PREFIX, 8);
    put_be(ret + 8, store_lane_id(table->lane), 4);
    put_be(ret + 12, (uint64_t)us, 8);
}

/* How many events there are, and the key of the oldest. */
static enum sf_code count_history(const struct inspector *in, const struct served_table *table,
                                  size_t *ret_count, uint8_t ret_oldest[KEY_BYTES],
                                  struct sf_error *err)
{
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    SF_CLEANUP(store_small_freep) struct store_small *it = NULL;
    uint8_t prefix[KEY_BYTES];
    struct sf_slice key;
    struct sf_slice value;
    bool more = true;
    enum sf_code code = store_snapshot_new(in->options.store, &snapshot, err);

    history_key(table, 0, prefix);
    *ret_count = 0;
    if (code == SF_OK) {
        code = store_small_new(snapshot, STORE_META, sf_slice_of(prefix, 12), &it, err);
    }
    while (code == SF_OK && more && *ret_count <= HISTORY_MAX) {
        code = store_small_next(it, &key, &value, NULL, &more, err);
        if (code == SF_OK && more) {
            if (*ret_count == 0 && key.size == KEY_BYTES) {
                memcpy(ret_oldest, key.data, KEY_BYTES);
            }
            (*ret_count)++;
        }
    }
    return code;
}

static void record_stored(struct store_write *w, const struct sf_error *err)
{
    struct record *r = w->data;

    if (err != NULL) {
        sf_log(SF_LOG_WARN, "quality.event_not_stored", SF_F_ERROR(err));
    }
    r->owner->records--;
    sf_buf_done(&r->document);
    sf_free(r);
}

static void store_event(struct inspector *in, const struct watched *t, int64_t us,
                        struct sf_slice document)
{
    struct record *r = sf_calloc(1, sizeof(*r));
    size_t count = 0;
    struct sf_error err;
    enum sf_code code;

    if (r == NULL) {
        return;
    }
    r->owner = in;
    history_key(t->table, us, r->key);
    sf_buf_slice(&r->document, document);
    code = count_history(in, t->table, &count, r->oldest, &err);
    code = code == SF_OK ? sf_buf_check(&r->document, "event", &err) : code;
    r->puts[0] = (struct store_put){.space = STORE_META,
                                    .key = sf_slice_of(r->key, KEY_BYTES),
                                    .value = sf_buf_view(&r->document)};
    r->puts[1] = (struct store_put){
        .space = STORE_META, .remove = true, .key = sf_slice_of(r->oldest, KEY_BYTES)};
    r->write =
        (struct store_write){.data = r, .puts = r->puts, .put_count = count >= HISTORY_MAX ? 2 : 1};
    if (code == SF_OK) {
        code = store_submit(in->options.store, &r->write, record_stored, &err);
    }
    if (code != SF_OK) {
        sf_log(SF_LOG_WARN, "quality.event_not_stored", SF_F_ERROR(&err));
        sf_buf_done(&r->document);
        sf_free(r);
        return;
    }
    in->records++;
}

enum sf_code inspector_history(const struct inspector *in, const struct served_table *table,
                               size_t max, struct sf_json_writer *w, struct sf_error *err)
{
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    SF_CLEANUP(store_small_freep) struct store_small *it = NULL;
    SF_CLEANUP(sf_buf_done) struct sf_buf all = {0};
    size_t ends[HISTORY_MAX + 2];
    uint8_t prefix[KEY_BYTES];
    struct sf_slice key;
    struct sf_slice value;
    size_t n = 0;
    bool more = true;
    enum sf_code code = store_snapshot_new(in->options.store, &snapshot, err);

    history_key(table, 0, prefix);
    if (code == SF_OK) {
        code = store_small_new(snapshot, STORE_META, sf_slice_of(prefix, 12), &it, err);
    }
    ends[0] = 0;
    while (code == SF_OK && more && n <= HISTORY_MAX) {
        code = store_small_next(it, &key, &value, NULL, &more, err);
        if (code == SF_OK && more) {
            sf_buf_slice(&all, value);
            ends[++n] = all.size;
        }
    }
    code = code == SF_OK ? sf_buf_check(&all, "history", err) : code;
    for (size_t i = n; code == SF_OK && i > 0 && n - i < max; i--) {
        sf_json_raw(w, sf_slice_of(all.data + ends[i - 1], ends[i] - ends[i - 1]));
    }
    return code;
}

/* --- events -------------------------------------------------------------------------------------
 */

static void write_source(struct sf_json_writer *w, const struct served_table *table)
{
    const struct sf_product *p = table->product->contract;

    sf_json_printf(w, "%s/%s@%u.%s", p->domain, p->name, p->version.major, table->contract->name);
}

static void write_event(const struct inspection_event *e, int64_t us, struct sf_buf *out)
{
    struct sf_json_writer w = {.out = out};
    char time[SF_TIME_TEXT_SIZE];

    (void)sf_time_format(us, time);
    sf_json_object_begin(&w);
    sf_json_member_text(&w, "specversion", "1.0");
    sf_json_member_text(&w, "type", "sheaf.quality.check");
    sf_json_key(&w, "source");
    write_source(&w, e->table);
    sf_json_key(&w, "id");
    sf_json_printf(&w, "%" PRId64, us);
    sf_json_member_text(&w, "time", time);
    sf_json_member_text(&w, "datacontenttype", "application/json");
    sf_json_key(&w, "data");
    sf_json_object_begin(&w);
    sf_json_member_text(&w, "check", e->now->check);
    sf_json_member_text(&w, "status", check_status_name(e->now->result.status));
    sf_json_member_text(&w, "before", check_status_name(e->before));
    if (e->now->result.has_actual) {
        sf_json_key(&w, "actual");
        sf_json_double(&w, e->now->result.actual);
        sf_json_member_bool(&w, "estimated", e->now->result.estimated);
    }
    sf_json_key(&w, "position");
    sf_json_printf(&w, "%u:%" PRIu64, e->epoch, e->seq);
    sf_json_member_bool(&w, "on_demand", e->on_demand);
    sf_json_object_end(&w);
    sf_json_object_end(&w);
}

static void tell(struct inspector *in, const struct watched *t, struct inspection_event *e)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf document = {0};
    const int64_t now_us = sf_rt_wall_us(in->options.rt);
    const struct sf_product *p = t->table->product->contract;

    in->last_us = now_us > in->last_us ? now_us : in->last_us + 1;
    write_event(e, in->last_us, &document);
    e->document = sf_buf_view(&document);
    sf_log(e->now->result.status == CHECK_FAIL ? SF_LOG_WARN : SF_LOG_INFO, "quality.verdict",
           SF_F_TEXT("product", p->name), SF_F_UINT("major", p->version.major),
           SF_F_TEXT("table", t->table->contract->name), SF_F_TEXT("check", e->now->check),
           SF_F_TEXT("status", check_status_name(e->now->result.status)));
    sf_counter_add(&in->events, 1);
    store_event(in, t, in->last_us, e->document);
    if (in->options.on_event != NULL) {
        in->options.on_event(in->options.data, e);
    }
}

struct verdict {
    struct check_result result;
    bool on_demand;
    uint32_t epoch;
    uint64_t seq;
};

/* The first verdict is told when it is bad; from then on every change is. */
static void take_verdict(struct watched *t, struct inspected *at, const struct verdict *v)
{
    struct inspector *in = t->owner;
    const bool is_first = at->judged_us == 0;
    struct inspection_event e = {
        .table = t->table,
        .now = at,
        .before = is_first ? CHECK_UNKNOWN : at->result.status,
        .on_demand = v->on_demand,
        .epoch = v->epoch,
        .seq = v->seq,
    };
    const bool changed =
        is_first ? v->result.status == CHECK_FAIL : v->result.status != at->result.status;

    at->judged_us = sf_rt_wall_us(in->options.rt);
    if (is_first || v->result.status != at->result.status) {
        at->since_us = at->judged_us;
    }
    at->result = v->result;
    if (changed || v->on_demand) {
        tell(in, t, &e);
    }
}

/* --- judging ------------------------------------------------------------------------------------
 */

static int64_t newest_us(const struct watched *t, const struct store_head *head)
{
    if (t->table->contract->event_time >= 0) {
        return t->event_us;
    }
    return head->seq == 0 ? INT64_MIN : head->commit_us;
}

static void judge_freshness(struct watched *t)
{
    const struct store_head *head = store_lane_head(t->table->lane);
    const int64_t newest = newest_us(t, head);
    const int64_t promised = t->table->product->contract->slo_freshness_us;
    const int64_t age = newest == INT64_MIN ? 0 : sf_rt_wall_us(t->owner->options.rt) - newest;
    struct verdict v = {.epoch = head->epoch, .seq = head->seq};

    if (!t->has_freshness) {
        return;
    }
    v.result.status = newest == INT64_MIN ? CHECK_UNKNOWN
                      : age <= promised   ? CHECK_PASS
                                          : CHECK_FAIL;
    v.result.has_actual = newest != INT64_MIN;
    v.result.actual = (double)age / 1e6;
    take_verdict(t, &t->results[t->count - 1], &v);
}

static void judge_checks(struct watched *t, const struct collected *found, bool on_demand)
{
    const struct check_facts facts = {
        .table = t->table->contract,
        .stats = found->stats,
        .exam = found->exam,
        .quarantined = store_lane_head(t->table->lane)->quarantined,
        .loose = table_stats_is_loose(found->stats),
    };

    t->event_us = found->stats->event_us;
    t->judged = true;
    t->judged_seq = found->seq;
    for (size_t i = 0; i < t->table->contract->check_count && found->stats->table == facts.table;
         i++) {
        const struct verdict v = {
            .result = check_judge(&facts.table->checks[i], &facts),
            .on_demand = on_demand,
            .epoch = found->epoch,
            .seq = found->seq,
        };

        take_verdict(t, &t->results[i], &v);
    }
}

static void count_verdicts(struct inspector *in);

static void on_statistics(struct collector_wait *w, const struct collected *found,
                          const struct sf_error *err)
{
    struct watched *t = w->data;

    t->waiting = false;
    if (err == NULL) {
        judge_checks(t, found, /* on_demand= */ false);
    }
    judge_freshness(t);
    count_verdicts(t->owner);
}

static void inspect(struct watched *t)
{
    const struct store_head *head = store_lane_head(t->table->lane);
    const bool changed = !t->judged || head->seq != t->judged_seq;
    struct sf_error err;

    if (t->waiting) {
        return;
    }
    if (changed && head->seq > 0 &&
        (t->table->contract->check_count > 0 || t->table->contract->event_time >= 0)) {
        t->wait = (struct collector_wait){.ready = on_statistics, .data = t};
        t->waiting = collector_get(t->owner->options.collector, t->table, &t->wait, &err) == SF_OK;
    }
    if (!t->waiting) {
        judge_freshness(t);
    }
}

static void count_verdicts(struct inspector *in)
{
    int64_t failing = 0;
    int64_t stale = 0;

    for (struct sf_list *at = in->tables.next; at != &in->tables; at = at->next) {
        const struct watched *t = SF_CONTAINER_OF(at, struct watched, link);

        for (size_t i = 0; i < t->count; i++) {
            const bool fails = t->results[i].result.status == CHECK_FAIL;
            const bool freshness = t->has_freshness && i + 1 == t->count;

            failing += fails && !freshness;
            stale += fails && freshness;
        }
    }
    sf_gauge_set(&in->failing, failing);
    sf_gauge_set(&in->stale, stale);
}

static void on_tick(struct sf_timer *timer)
{
    struct inspector *in = SF_CONTAINER_OF(timer, struct inspector, tick);

    for (struct sf_list *at = in->tables.next; at != &in->tables; at = at->next) {
        inspect(SF_CONTAINER_OF(at, struct watched, link));
    }
    count_verdicts(in);
    sf_rt_timer_start(in->options.rt, &in->tick, INSPECT_EVERY_NS);
}

/* --- tables -------------------------------------------------------------------------------------
 */

static void watched_free(struct watched *t)
{
    if (t->waiting) {
        collector_forget(&t->wait);
    }
    sf_list_remove(&t->link);
    sf_free(t->results);
    sf_free(t);
}

static struct watched *find(const struct inspector *in, const struct served_table *table)
{
    for (struct sf_list *at = in->tables.next; at != &in->tables; at = at->next) {
        struct watched *t = SF_CONTAINER_OF(at, struct watched, link);

        if (t->table->lane == table->lane) {
            return t;
        }
    }
    return NULL;
}

/* Keeps the verdict on a check that reads the same in the new version. */
static void keep_verdicts(const struct watched *before, struct watched *now)
{
    for (size_t i = 0; i < now->count; i++) {
        for (size_t k = 0; before != NULL && k < before->count; k++) {
            if (strcmp(now->results[i].check, before->results[k].check) == 0) {
                const char *check = now->results[i].check;

                now->results[i] = before->results[k];
                now->results[i].check = check;
            }
        }
    }
}

static enum sf_code watch(struct inspector *in, const struct served_table *table,
                          struct watched *before, struct sf_error *err)
{
    const int64_t freshness_us = table->product->contract->slo_freshness_us;
    const size_t checks = table->contract->check_count;
    struct watched *t = sf_calloc(1, sizeof(*t));
    char promised[SF_DURATION_TEXT_SIZE];

    if (t != NULL) {
        t->results = sf_calloc(checks + 2, sizeof(*t->results));
    }
    if (t == NULL || t->results == NULL) {
        sf_free(t);
        return SF_RAISE(err, SF_NOMEM, "checks of a table");
    }
    t->owner = in;
    t->table = table;
    t->event_us = before == NULL ? INT64_MIN : before->event_us;
    t->has_freshness = freshness_us > 0;
    t->count = checks + (t->has_freshness ? 1 : 0);
    for (size_t i = 0; i < checks; i++) {
        t->results[i].check = table->contract->checks[i].text;
        t->results[i].result.status = CHECK_UNKNOWN;
    }
    if (t->has_freshness) {
        (void)sf_format_duration(freshness_us, promised);
        (void)snprintf(t->freshness, sizeof(t->freshness), "freshness <= %s", promised);
        t->results[checks].check = t->freshness;
        t->results[checks].result.status = CHECK_UNKNOWN;
    }
    keep_verdicts(before, t);
    if (before != NULL) {
        watched_free(before);
    }
    t->wanted = true;
    sf_list_push(&in->tables, &t->link);
    return SF_OK;
}

static enum sf_code want(struct inspector *in, const struct served_table *table,
                         struct sf_error *err)
{
    struct watched *t = find(in, table);

    if (table->contract->check_count == 0 && table->product->contract->slo_freshness_us == 0) {
        return SF_OK;
    }
    if (t != NULL && t->table == table) {
        t->wanted = true;
        return SF_OK;
    }
    return watch(in, table, t, err);
}

enum sf_code inspector_update(struct inspector *in, struct sf_error *err)
{
    const struct served_product *p;
    enum sf_code code = SF_OK;
    size_t at = 0;

    for (struct sf_list *l = in->tables.next; l != &in->tables; l = l->next) {
        SF_CONTAINER_OF(l, struct watched, link)->wanted = false;
    }
    while ((p = product_set_next(&in->options.serving->products, &at)) != NULL) {
        for (size_t i = 0; i < p->table_count; i++) {
            const enum sf_code one = want(in, &p->tables[i], err);

            code = code == SF_OK ? one : code;
        }
    }
    for (struct sf_list *next, *l = in->tables.next; l != &in->tables; l = next) {
        struct watched *t = SF_CONTAINER_OF(l, struct watched, link);

        next = l->next;
        if (!t->wanted) {
            watched_free(t);
        }
    }
    return code;
}

const struct inspected *inspector_results(const struct inspector *in,
                                          const struct served_table *table, size_t *ret_count)
{
    const struct watched *t = find(in, table);

    *ret_count = t == NULL ? 0 : t->count;
    return t == NULL ? NULL : t->results;
}

/* --- on demand ----------------------------------------------------------------------------------
 */

static void on_counted(struct collector_wait *w, const struct collected *found,
                       const struct sf_error *err)
{
    struct inspection *i = w->data;
    struct watched *t = found == NULL ? NULL
                        : i->inspector->stopped
                            ? NULL
                            : find(i->inspector, &(struct served_table){.lane = i->lane});

    if (t != NULL) {
        judge_checks(t, found, /* on_demand= */ true);
        judge_freshness(t);
        count_verdicts(i->inspector);
    }
    i->done(i, err);
}

enum sf_code inspector_test(struct inspector *in, const struct served_table *table,
                            struct inspection *i, struct sf_error *err)
{
    i->inspector = in;
    i->lane = table->lane;
    i->wait = (struct collector_wait){.ready = on_counted, .data = i, .anew = true};
    return collector_get(in->options.collector, table, &i->wait, err);
}

void inspection_forget(struct inspection *i)
{
    collector_forget(&i->wait);
}

/* --- life ---------------------------------------------------------------------------------------
 */

enum sf_code inspector_new(const struct inspector_options *options, struct inspector **ret,
                           struct sf_error *err)
{
    struct inspector *in = sf_calloc(1, sizeof(*in));

    if (in == NULL) {
        return SF_RAISE(err, SF_NOMEM, "inspector");
    }
    in->options = *options;
    sf_list_init(&in->tables);
    in->tick.fire = on_tick;
    sf_gauge_register(options->metrics,
                      &(struct sf_metric_spec){.name = "quality_checks_failing",
                                               .help = "Checks that do not hold."},
                      &in->failing);
    sf_gauge_register(options->metrics,
                      &(struct sf_metric_spec){.name = "quality_tables_stale",
                                               .help = "Tables older than their product promises."},
                      &in->stale);
    sf_counter_register(
        options->metrics,
        &(struct sf_metric_spec){.name = "quality_events_total",
                                 .help = "Verdicts that changed or were asked for."},
        &in->events);
    sf_rt_timer_start(options->rt, &in->tick, INSPECT_EVERY_NS);
    *ret = in;
    return SF_OK;
}

void inspector_stop(struct inspector *in)
{
    in->stopped = true;
    sf_rt_timer_stop(in->options.rt, &in->tick);
    while (!sf_list_empty(&in->tables)) {
        watched_free(SF_CONTAINER_OF(in->tables.next, struct watched, link));
    }
}

size_t inspector_pending(const struct inspector *in)
{
    return in->records;
}

void inspector_free(struct inspector *in)
{
    if (in != NULL) {
        sf_metric_remove(&in->failing.metric);
        sf_metric_remove(&in->stale.metric);
        sf_metric_remove(&in->events.metric);
        sf_free(in);
    }
}
