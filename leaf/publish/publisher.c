#include "leaf/publish/publisher.h"

#include <string.h>

#include "common/base/alloc.h"
#include "common/sys/log.h"
#include "leaf/publish/feed.h"
#include "proto/errors.h"

#define OWN_AUDIENCE "own"

enum {
    LANE_BUCKETS = 1024,
    HEARTBEATS_AT_ONCE = 64, /* each is signed: a thousand would hold up all else for 50 ms */
};

#define HEARTBEATS_APART_NS (10 * SF_NS_PER_MS)

struct publisher {
    struct publisher_options options;
    struct feed_counters counters;
    struct asking asking;
    struct sf_list feeds;                 /* whose last heartbeat is longest ago first */
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
    const uint64_t now = sf_rt_now_ns(p->options.rt);
    uint64_t wait = PUBLISHER_HEARTBEAT_NS;

    for (size_t n = 0; !sf_list_empty(&p->feeds); n++) {
        struct feed *f = SF_CONTAINER_OF(p->feeds.next, struct feed, link);

        if (f->heartbeat_ns + PUBLISHER_HEARTBEAT_NS > now + ASKING_MOMENT_NS) {
            wait = f->heartbeat_ns + PUBLISHER_HEARTBEAT_NS - now;
            break;
        }
        if (n == HEARTBEATS_AT_ONCE) {
            sf_rt_timer_start(p->options.rt, timer, HEARTBEATS_APART_NS);
            return;
        }
        feed_heartbeat(f);
        f->heartbeat_ns = now;
        sf_list_remove(&f->link);
        sf_list_push(&p->feeds, &f->link);
    }
    asking_start_timer(p->options.rt, timer, wait);
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

/* --- which feeds there are to be ------------------------------------------------------------- */

/*
 * What an update goes through. Feeds that can stay are found first, so that new ones get what room
 * they leave; and what a new one follows is told when all of them are known.
 */
struct update {
    struct publisher *p;
    enum sf_code code;    /* the first failure */
    struct sf_error *err; /* of it; or NULL */
    size_t wanted;
    void (*each)(struct update *u, const struct feed_spec *spec);
};

static void note_failure(struct update *u, const struct sf_error *why)
{
    if (u->code == SF_OK && why->code != SF_DENIED) {
        u->code = why->code;
        if (u->err != NULL) {
            *u->err = *why;
        }
    }
}

/* A feed of the audience; with @wanted one that is to be, else one that is to go. */
static struct feed *find_feed(struct publisher *p, const struct feed_spec *spec, bool wanted)
{
    struct sf_list *feeds = bucket_of(p, spec->table->lane);

    for (struct sf_list *at = feeds->next; at != feeds; at = at->next) {
        struct feed *f = SF_CONTAINER_OF(at, struct feed, lane_link);

        if (f->table->lane == spec->table->lane && strcmp(f->audience, spec->audience) == 0 &&
            (f->wanted != FEED_UNWANTED) == wanted) {
            return f;
        }
    }
    return NULL;
}

static bool is_fed_with(const struct feed *f, const struct feed_spec *spec)
{
    return f->table == spec->table && strcmp(f->view->name, spec->view->name) == 0;
}

/* A feed whose contract and view are still the same stays. */
static void keep_feed(struct update *u, const struct feed_spec *spec)
{
    struct feed *f = find_feed(u->p, spec, /* wanted= */ false);

    if (f != NULL && is_fed_with(f, spec)) {
        f->wanted = FEED_WANTED;
        f->until_us = spec->until_us;
        if (!spec->is_own) {
            f->policy_version = u->p->options.serving->grants->policy_version;
        }
        u->wanted++;
    }
}

static enum sf_code new_feed(struct update *u, const struct feed_spec *spec, struct sf_error *err)
{
    struct publisher *p = u->p;
    struct feed *f;
    enum sf_code code;

    if (u->wanted >= p->options.feeds_max) {
        p->refused++;
        return SF_RAISE_E(err, SF_BUSY, SHEAF_E_BUSY, "%zu feeds", p->options.feeds_max);
    }
    code = feed_new(&p->options, &p->counters, &p->asking, spec, &f, err);
    if (code == SF_OK) {
        f->wanted = FEED_WANTED;
        f->is_new = true;
        f->heartbeat_ns = sf_rt_now_ns(p->options.rt);
        u->wanted++;
        p->feed_count++;
        sf_list_push(&p->feeds, &f->link);
        sf_list_push(bucket_of(p, f->table->lane), &f->lane_link);
    }
    return code;
}

/*
 * A feed for whoever has none; and nobody is fed whose audience is fed with something else than he
 * sees. The names are such that it does not happen (name_audience()); but they come from the hub.
 */
static void settle_feed(struct update *u, const struct feed_spec *spec)
{
    struct feed *f = find_feed(u->p, spec, /* wanted= */ true);
    struct sf_error why;

    if (f == NULL) {
        if (new_feed(u, spec, &why) != SF_OK) {
            note_failure(u, &why);
        }
    } else if (!is_fed_with(f, spec)) {
        f->wanted = FEED_SPLIT;
        sf_log(SF_LOG_WARN, "publish.audience_split", SF_F_TEXT("audience", f->audience));
    } else {
        f->until_us = spec->until_us > f->until_us ? spec->until_us : f->until_us;
        if (f->is_new && feed_share(f, spec, &why) != SF_OK) {
            note_failure(u, &why);
        }
    }
}

/*
 * The audience under which the grant is fed. The shared one as long as policies cannot tell its
 * grants apart, whoever they are: also one that this leaf has not heard of yet, whose consumer may
 * be listening already, sees the same. But not while somebody may hear it whose right has ended.
 */
static const char *name_audience(const struct serving *s, const struct grant *grant,
                                 const struct served_view *view)
{
    return served_view_parts(view) || serving_feeds_apart(s, grant) ? grant->sole_audience
                                                                    : grant->audience;
}

static void for_grant(struct update *u, const struct served_table *table, const struct grant *grant)
{
    const struct serving *s = u->p->options.serving;
    SF_CLEANUP(served_view_unrefp) struct served_view *view = NULL;
    struct sf_error why;

    if (serving_view(s, table, grant, /* roles= */ NULL, &view, &why) != SF_OK) {
        note_failure(u, &why);
        return;
    }
    const struct feed_spec spec = {
        .table = table,
        .audience = name_audience(s, grant, view),
        .shared = grant->audience,
        .sole = grant->sole_audience,
        .view = view,
        .until_us =
            grant->until_us < s->grants->expires_us ? grant->until_us : s->grants->expires_us,
    };

    if (*spec.audience != '\0') {
        u->each(u, &spec);
    } else if (u->each == settle_feed) {
        sf_log(SF_LOG_WARN, "publish.audience_unnamed", SF_F_TEXT("grant", grant->id));
    }
}

/* The feeds of other domains: every grant that is in force. */
static void for_grants(struct update *u, const struct served_table *table)
{
    const struct serving *s = u->p->options.serving;
    const struct sf_product *product = table->product->contract;
    const int64_t now_us = serving_now_us(s);
    const bool serves = s->grants != NULL && s->grants->expires_us > now_us;

    for (size_t g = 0; serves && g < s->grants->grant_count; g++) {
        const struct grant *grant = &s->grants->grants[g];

        if (grant->until_us > now_us && grant->major == product->version.major &&
            strcmp(grant->product, product->name) == 0) {
            for_grant(u, table, grant);
        }
    }
}

static void for_all(struct update *u, void (*each)(struct update *u, const struct feed_spec *spec))
{
    const struct served_product *product;
    size_t at = 0;

    u->each = each;
    while ((product = product_set_next(&u->p->options.serving->products, &at)) != NULL) {
        for (size_t t = 0; t < product->table_count; t++) {
            const struct served_table *table = &product->tables[t];
            const struct feed_spec own = {.table = table,
                                          .audience = OWN_AUDIENCE,
                                          .shared = OWN_AUDIENCE,
                                          .sole = OWN_AUDIENCE,
                                          .view = table->whole,
                                          .is_own = true,
                                          .until_us = INT64_MAX};

            each(u, &own);
            for_grants(u, table);
        }
    }
}

/* --- who follows whom ------------------------------------------------------------------------ */

/* That of its own audience, or else all that share a grant with it. */
static bool is_before(const struct feed *f, const struct feed *old, bool by_name)
{
    if (old->wanted == FEED_WANTED || old->table->lane != f->table->lane ||
        strcmp(old->shared, f->shared) != 0) {
        return false;
    }
    return by_name ? strcmp(old->audience, f->audience) == 0
                   : strcmp(old->audience, old->shared) == 0 || strcmp(f->audience, f->shared) == 0;
}

static bool follow(struct publisher *p, struct feed *f, bool by_name)
{
    struct sf_list *feeds = bucket_of(p, f->table->lane);
    bool follows = false;

    for (struct sf_list *at = feeds->next; at != feeds; at = at->next) {
        struct feed *old = SF_CONTAINER_OF(at, struct feed, lane_link);

        if (is_before(f, old, by_name)) {
            handover_follow(f, old);
            follows = true;
        }
    }
    return follows;
}

static void follow_all(struct publisher *p)
{
    for (struct sf_list *l = p->feeds.next; l != &p->feeds; l = l->next) {
        struct feed *f = SF_CONTAINER_OF(l, struct feed, link);

        if (f->is_new && f->wanted == FEED_WANTED && !follow(p, f, /* by_name= */ true)) {
            (void)follow(p, f, /* by_name= */ false);
        }
        f->is_new = false;
    }
}

enum sf_code publisher_update(struct publisher *p, struct sf_error *err)
{
    struct update u = {.p = p, .err = err, .code = SF_OK};

    for (struct sf_list *l = p->feeds.next; l != &p->feeds; l = l->next) {
        SF_CONTAINER_OF(l, struct feed, link)->wanted = FEED_UNWANTED;
    }
    for_all(&u, keep_feed);
    for_all(&u, settle_feed);
    follow_all(p);
    for (struct sf_list *l = p->feeds.next, *next; l != &p->feeds; l = next) {
        struct feed *f = SF_CONTAINER_OF(l, struct feed, link);

        next = l->next;
        if (f->wanted != FEED_WANTED) {
            feed_close(f, on_feed_gone, p);
        }
    }
    publisher_wake(p);
    return u.code;
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
        if (f->table->lane == lane && f->place.looked < lowest && f->state != FEED_PARKED &&
            f->place.looked < store_lane_head(lane)->seq) {
            lowest = f->place.looked;
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
