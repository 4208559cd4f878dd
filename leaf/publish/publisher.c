#include "leaf/publish/publisher.h"

#include <string.h>

#include "common/base/alloc.h"
#include "common/sys/log.h"
#include "leaf/publish/feed.h"
#include "proto/errors.h"

#define OWN_AUDIENCE "own"

enum { LANE_BUCKETS = 1024 };

struct publisher {
    struct publisher_options options;
    struct feed_counters counters;
    struct asking asking;
    struct sf_list feeds;
    struct sf_list by_lane[LANE_BUCKETS]; /* the same, by the id of their lane */
    size_t feed_count;                    /* including those that are closing */
    uint64_t refused;
    struct store_listener listener;
    struct sf_timer heartbeat;
    bool closing;
    void (*closed)(void *data);
    void *closed_data;
    struct sf_task closed_turn;
};

static void register_counters(struct publisher *p)
{
    const struct {
        const char *name;
        const char *help;
        struct sf_counter *counter;
    } all[] = {
        {"publish_messages_total", "Messages the local server has taken.", &p->counters.messages},
        {"publish_changes_total", "Changes in these messages.", &p->counters.changes},
        {"publish_bytes_total", "Bytes of these messages.", &p->counters.bytes},
        {"publish_gaps_total", "Times a feed found its next changes trimmed.", &p->counters.gaps},
        {"publish_stalls_total", "Times a feed had to wait for its server.", &p->counters.stalls},
    };

    for (size_t i = 0; i < SF_COUNT(all); i++) {
        sf_counter_register(p->options.metrics,
                            &(struct sf_metric_spec){.name = all[i].name, .help = all[i].help},
                            all[i].counter);
    }
}

static struct sf_list *bucket_of(struct publisher *p, const struct store_lane *lane)
{
    return &p->by_lane[store_lane_id(lane) % LANE_BUCKETS];
}

static void on_changes(struct store_listener *l, struct store_lane *lane)
{
    struct publisher *p = SF_CONTAINER_OF(l, struct publisher, listener);
    struct sf_list *feeds = bucket_of(p, lane);

    for (struct sf_list *at = feeds->next, *next; at != feeds; at = next) {
        struct feed *f = SF_CONTAINER_OF(at, struct feed, lane_link);

        next = at->next;
        if (f->table->lane == lane && (f->state == FEED_IDLE || f->state == FEED_PARKED)) {
            feed_wake(f);
        }
    }
}

static void heartbeat_fire(struct sf_timer *timer)
{
    struct publisher *p = SF_CONTAINER_OF(timer, struct publisher, heartbeat);

    for (struct sf_list *at = p->feeds.next; at != &p->feeds; at = at->next) {
        feed_heartbeat(SF_CONTAINER_OF(at, struct feed, link));
    }
    sf_rt_timer_start(p->options.rt, &p->heartbeat, PUBLISHER_HEARTBEAT_NS);
}

enum sf_code publisher_new(const struct publisher_options *options, struct publisher **ret,
                           struct sf_error *err)
{
    struct publisher *p = sf_calloc(1, sizeof(*p));

    if (p == NULL) {
        return SF_RAISE(err, SF_NOMEM, "publisher");
    }
    p->options = *options;
    p->options.feeds_max = options->feeds_max == 0 ? FEEDS_MAX : options->feeds_max;
    asking_init(&p->asking, options->rt);
    sf_list_init(&p->feeds);
    for (size_t i = 0; i < LANE_BUCKETS; i++) {
        sf_list_init(&p->by_lane[i]);
    }
    p->listener.on_changes = on_changes;
    p->heartbeat.fire = heartbeat_fire;
    register_counters(p);
    store_listen(options->store, &p->listener);
    sf_rt_timer_start(options->rt, &p->heartbeat, PUBLISHER_HEARTBEAT_NS);
    *ret = p;
    return SF_OK;
}

static void finish_close(struct sf_task *turn)
{
    struct publisher *p = SF_CONTAINER_OF(turn, struct publisher, closed_turn);
    void (*closed)(void *data) = p->closed;
    void *data = p->closed_data;

    sf_metric_remove(&p->counters.messages.metric);
    sf_metric_remove(&p->counters.changes.metric);
    sf_metric_remove(&p->counters.bytes.metric);
    sf_metric_remove(&p->counters.gaps.metric);
    sf_metric_remove(&p->counters.stalls.metric);
    asking_done(&p->asking);
    sf_free(p);
    closed(data);
}

static void maybe_closed(struct publisher *p)
{
    if (p->closing && p->feed_count == 0) {
        p->closed_turn.run = finish_close;
        sf_rt_post(p->options.rt, &p->closed_turn);
    }
}

static void on_feed_gone(void *data)
{
    struct publisher *p = data;

    p->feed_count--;
    maybe_closed(p);
}

/* The newest feed of the audience: one that takes over stands behind the old one. */
static struct feed *find_feed(struct publisher *p, const struct feed_spec *spec)
{
    struct sf_list *feeds = bucket_of(p, spec->table->lane);
    struct feed *found = NULL;

    for (struct sf_list *at = feeds->next; at != feeds; at = at->next) {
        struct feed *f = SF_CONTAINER_OF(at, struct feed, lane_link);

        if (f->table->lane == spec->table->lane && strcmp(f->audience, spec->audience) == 0) {
            found = f;
        }
    }
    return found;
}

/*
 * Keeps the feed of @spec when its contract and view are still the same; otherwise a new one takes
 * over behind the cursor of the old.
 */
static enum sf_code try_feed(struct publisher *p, const struct feed_spec *spec,
                             struct sf_error *err)
{
    struct feed *old = find_feed(p, spec);
    struct feed *f;
    enum sf_code code;

    if (old != NULL && old->wanted) { /* Another grant of the same audience. */
        old->until_us = spec->until_us > old->until_us ? spec->until_us : old->until_us;
        return SF_OK;
    }
    code = feed_new(&p->options, &p->counters, &p->asking, spec, &f, err);
    if (code != SF_OK) {
        return code;
    }
    if (old != NULL && old->table == f->table && strcmp(old->view->name, f->view->name) == 0) {
        old->wanted = true;
        old->until_us = spec->until_us;
        old->policy_version = f->policy_version;
        feed_discard(f);
        return SF_OK;
    }
    /* One that takes over does not count: the old one is about to go. */
    if (old == NULL && p->feed_count >= p->options.feeds_max) {
        feed_discard(f);
        p->refused++;
        return SF_RAISE_E(err, SF_BUSY, SHEAF_E_BUSY, "%zu feeds", p->options.feeds_max);
    }
    if (old != NULL) {
        feed_take_over(f, old);
    }
    f->wanted = true;
    p->feed_count++;
    sf_list_push(&p->feeds, &f->link);
    sf_list_push(bucket_of(p, f->table->lane), &f->lane_link);
    return SF_OK;
}

static void want_feed(struct publisher *p, const struct feed_spec *spec, enum sf_code *code,
                      struct sf_error *err)
{
    struct sf_error why;

    if (try_feed(p, spec, &why) != SF_OK && why.code != SF_DENIED && *code == SF_OK) {
        *code = why.code;
        if (err != NULL) {
            *err = why;
        }
    }
}

/*
 * The hub puts grants of equal rights into one audience: what it is fed with must be what each of
 * them sees. Where it is not, nobody is fed, as nobody gets what was made for another.
 */
static void check_feed(struct publisher *p, const struct feed_spec *spec, enum sf_code *code,
                       struct sf_error *err)
{
    SF_CLEANUP(served_view_unrefp) struct served_view *view = NULL;
    struct feed *f = find_feed(p, spec);
    struct sf_error why;
    enum sf_code found;

    if (f == NULL || !f->wanted) {
        return;
    }
    found =
        serving_view(p->options.serving, spec->table, spec->grant, /* roles= */ NULL, &view, &why);
    if (found == SF_OK && strcmp(view->name, f->view->name) == 0) {
        return;
    }
    f->wanted = false;
    sf_log(SF_LOG_WARN, "publish.audience_split", SF_F_TEXT("audience", f->audience),
           SF_F_TEXT("grant", spec->grant->id));
    if (found != SF_OK && found != SF_DENIED && *code == SF_OK) {
        *code = found;
        if (err != NULL) {
            *err = why;
        }
    }
}

/* The feeds of other domains. @each is called for every grant that is in force. */
static void for_grants(struct publisher *p, const struct served_table *table,
                       void (*each)(struct publisher *p, const struct feed_spec *spec,
                                    enum sf_code *code, struct sf_error *err),
                       enum sf_code *code, struct sf_error *err)
{
    const struct serving *s = p->options.serving;
    const struct sf_product *product = table->product->contract;
    const int64_t now_us = serving_now_us(s);
    const bool serves = s->grants != NULL && s->grants->expires_us > now_us;

    for (size_t g = 0; serves && g < s->grants->grant_count; g++) {
        const struct grant *grant = &s->grants->grants[g];
        const struct feed_spec spec = {
            .table = table,
            .grant = grant,
            .audience = grant->audience,
            .until_us =
                grant->until_us < s->grants->expires_us ? grant->until_us : s->grants->expires_us,
        };

        if (grant->until_us > now_us && grant->major == product->version.major &&
            strcmp(grant->product, product->name) == 0) {
            each(p, &spec, code, err);
        }
    }
}

/* All feeds of a product, also after one has failed: *code is the first failure, if any. */
static void want_feeds_of(struct publisher *p, const struct served_product *product,
                          enum sf_code *code, struct sf_error *err)
{
    for (size_t t = 0; t < product->table_count; t++) {
        const struct served_table *table = &product->tables[t];
        const struct feed_spec own = {
            .table = table, .audience = OWN_AUDIENCE, .until_us = INT64_MAX};

        want_feed(p, &own, code, err);
        for_grants(p, table, want_feed, code, err);
        for_grants(p, table, check_feed, code, err);
    }
}

enum sf_code publisher_update(struct publisher *p, struct sf_error *err)
{
    const struct served_product *product;
    enum sf_code code = SF_OK;
    size_t at = 0;

    for (struct sf_list *l = p->feeds.next; l != &p->feeds; l = l->next) {
        SF_CONTAINER_OF(l, struct feed, link)->wanted = false;
    }
    while ((product = product_set_next(&p->options.serving->products, &at)) != NULL) {
        want_feeds_of(p, product, &code, err);
    }
    for (struct sf_list *l = p->feeds.next, *next; l != &p->feeds; l = next) {
        struct feed *f = SF_CONTAINER_OF(l, struct feed, link);

        next = l->next;
        if (!f->wanted) {
            feed_close(f, on_feed_gone, p);
        }
    }
    publisher_wake(p);
    return code;
}

struct publisher_stats publisher_stats(const struct publisher *p)
{
    struct publisher_stats stats = {.feeds = p->feed_count, .refused = p->refused};

    for (struct sf_list *at = p->feeds.next; at != &p->feeds; at = at->next) {
        stats.behind += feed_is_behind(SF_CONTAINER_OF(at, struct feed, link));
    }
    return stats;
}

uint64_t publisher_taken(const struct publisher *p, const struct store_lane *lane)
{
    uint64_t lowest = UINT64_MAX;

    for (struct sf_list *at = p->feeds.next; at != &p->feeds; at = at->next) {
        const struct feed *f = SF_CONTAINER_OF(at, struct feed, link);

        /* Who is parked skips what nobody listens to, and needs none of it. */
        if (f->table->lane == lane && f->cursor < lowest && f->state != FEED_PARKED &&
            f->cursor < store_lane_head(lane)->seq) {
            lowest = f->cursor;
        }
    }
    return lowest;
}

void publisher_wake(struct publisher *p)
{
    for (struct sf_list *at = p->feeds.next, *next; at != &p->feeds; at = next) {
        next = at->next;
        feed_wake(SF_CONTAINER_OF(at, struct feed, link));
    }
}

void publisher_close(struct publisher *p, void (*closed)(void *data), void *data)
{
    p->closing = true;
    p->closed = closed;
    p->closed_data = data;
    store_unlisten(p->options.store, &p->listener);
    sf_rt_timer_stop(p->options.rt, &p->heartbeat);
    p->feed_count++; /* Holds the end until the walk is over. */
    while (!sf_list_empty(&p->feeds)) {
        feed_close(SF_CONTAINER_OF(p->feeds.next, struct feed, link), on_feed_gone, p);
    }
    on_feed_gone(p);
}
