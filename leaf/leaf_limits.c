/*
 * What bounds the leaf: one row for each limit, with what it holds now, its maximum, and how often
 * it refused. docs/reference/limits.md says what each is for.
 *
 * Above the single limits stands the cap on memory. The limits are parts of it, but what they count
 * is not all that a process holds: buffers of libraries, what the allocator keeps. So the resident
 * memory is looked at ten times a second, and near the cap the leaf takes new work one request at a
 * time until memory is given back:
 *
 *   FREE --- resident > 9/10 of the cap ---> TIGHT --- resident < 8/10 ---> FREE
 */
#include "common/sys/memory.h"
#include "leaf/leaf_private.h"
#include "leaf/query/follow.h"
#include "leaf/query/get_cache.h"
#include "leaf/serving/view_cache.h"
#include "leaf/store/kv_rocks.h"

#define GUARD_NS (100 * SF_NS_PER_MS)

enum { TIGHT_BODY_BYTES = 64 * 1024, TIGHT_QUERIES = 4 };

/* --- the limits ------------------------------------------------------------------------------- */

struct reading {
    uint64_t used;
    uint64_t max;
    uint64_t refused;
};

static struct reading read_connections(struct leaf *leaf)
{
    return (struct reading){sf_http_server_stats(leaf->http).connections,
                            leaf->config->connections_max, 0};
}

static struct reading read_bodies(struct leaf *leaf)
{
    const struct sf_http_stats s = sf_http_server_stats(leaf->http);

    return (struct reading){s.body_bytes, leaf->limits->pending_bytes_max, s.refused_bodies};
}

static struct reading read_answers(struct leaf *leaf)
{
    const struct sf_http_stats s = sf_http_server_stats(leaf->http);

    return (struct reading){s.answer_bytes, leaf->limits->answers_bytes_max, s.refused_answers};
}

static struct reading read_ingest(struct leaf *leaf)
{
    const struct ingest_stats s = ingest_stats(leaf->ingest);

    return (struct reading){s.bytes, INGEST_RECORDS_FACTOR * leaf->limits->pending_bytes_max,
                            s.refused_busy};
}

static struct reading read_streams(struct leaf *leaf)
{
    const struct ingest_stats s = ingest_stats(leaf->ingest);

    return (struct reading){s.streams, s.streams_max, s.streams_refused};
}

static struct reading read_commit_bytes(struct leaf *leaf)
{
    const struct store_stats s = store_stats(leaf->store);

    return (struct reading){s.queued_bytes, store_get_options(leaf->store)->queue_bytes_max,
                            s.refused};
}

static struct reading read_commit_writes(struct leaf *leaf)
{
    const struct store_stats s = store_stats(leaf->store);

    return (struct reading){s.queued_writes, store_get_options(leaf->store)->queue_writes_max,
                            s.refused};
}

/* Each product has the whole of it: of the fullest. */
static struct reading read_quarantine(struct leaf *leaf)
{
    const struct product_set *set = &leaf->serving.products;
    uint64_t most = 0;

    for (size_t i = 0; i < set->version_count; i++) {
        const struct served_product *p = set->versions[i];
        uint64_t bytes = 0;

        for (size_t t = 0; t < p->table_count; t++) {
            bytes += store_lane_held(p->tables[t].lane).bytes;
        }
        most = bytes > most ? bytes : most;
    }
    return (struct reading){most, leaf->config->quarantine_bytes_max,
                            ingest_stats(leaf->ingest).refused_quarantine};
}

/* All that the file system holds, whoever wrote it; the reserve is not to be used. */
static struct reading read_disk(struct leaf *leaf)
{
    uint64_t free_bytes = 0;
    uint64_t total = 0;
    uint64_t reserve;
    struct sf_error err;

    if (leaf->kv->ops->disk(leaf->kv, &free_bytes, &total, &err) != SF_OK) {
        return (struct reading){0, 0, ingest_stats(leaf->ingest).refused_disk};
    }
    reserve = store_disk_reserve(leaf->limits->disk_reserve_bytes, total);
    return (struct reading){total - free_bytes, total > reserve ? total - reserve : 0,
                            ingest_stats(leaf->ingest).refused_disk};
}

static struct reading read_queries(struct leaf *leaf)
{
    return (struct reading){queries_pending(leaf->queries), leaf->limits->queries_max,
                            queries_refused(leaf->queries)};
}

static struct reading read_follows(struct leaf *leaf)
{
    const struct follows *fs = queries_follows(leaf->queries);

    return (struct reading){follows_count(fs), leaf->limits->follows_max, follows_refused(fs)};
}

static struct reading read_feeds(struct leaf *leaf)
{
    const struct publisher_stats s =
        leaf->publisher == NULL ? (struct publisher_stats){0} : publisher_stats(leaf->publisher);

    return (struct reading){s.feeds, leaf->config->feeds_max, s.refused};
}

static struct sf_bus_nats_stats bus_stats(struct sf_bus *bus)
{
    struct sf_bus_nats_stats s = {0};

    if (bus != NULL) {
        sf_bus_nats_stats(bus, &s);
    }
    return s;
}

/* Two connections, each with the same limit: of the fuller one. */
static struct reading read_nats_in(struct leaf *leaf)
{
    const struct sf_bus_nats_stats a = bus_stats(leaf->serve);
    const struct sf_bus_nats_stats b = bus_stats(leaf->own);

    return (struct reading){a.in_bytes > b.in_bytes ? a.in_bytes : b.in_bytes,
                            leaf->config->nats_pending_bytes_max, a.dropped_in + b.dropped_in};
}

static struct reading read_nats_out(struct leaf *leaf)
{
    const struct sf_bus_nats_stats a = bus_stats(leaf->serve);
    const struct sf_bus_nats_stats b = bus_stats(leaf->own);

    return (struct reading){a.out_bytes > b.out_bytes ? a.out_bytes : b.out_bytes,
                            leaf->config->nats_pending_bytes_max, a.dropped_out + b.dropped_out};
}

static struct reading read_products(struct leaf *leaf)
{
    return (struct reading){leaf->serving.products.version_count, PRODUCT_VERSIONS_MAX, 0};
}

static struct reading read_grants(struct leaf *leaf)
{
    const struct grant_set *grants = leaf->serving.grants;

    return (struct reading){grants == NULL ? 0 : grants->grant_count, GRANTS_MAX,
                            grants == NULL ? 0 : grants->refused};
}

static struct reading read_cache(struct leaf *leaf)
{
    return (struct reading){kv_rocks_memory(leaf->kv).cache_bytes, leaf->limits->cache_bytes, 0};
}

static struct reading read_get_cache(struct leaf *leaf)
{
    const struct get_cache_stats s = get_cache_stats(queries_get_cache(leaf->queries));

    return (struct reading){s.bytes, s.bytes_max, 0};
}

static struct reading read_views(struct leaf *leaf)
{
    const struct view_cache_stats s = view_cache_stats(leaf->serving.products.views);

    return (struct reading){s.views, VIEW_CACHE_MAX, s.pushed_out};
}

static struct reading read_views_by_role(struct leaf *leaf)
{
    const struct view_cache_stats s = view_cache_stats(leaf->serving.products.views);

    return (struct reading){s.views_by_role_most, VIEW_CACHE_BY_ROLE_MAX, s.pushed_out_by_role};
}

static struct reading read_positions(struct leaf *leaf)
{
    return (struct reading){store_stats(leaf->store).positions_bytes, leaf->config->positions_bytes,
                            0};
}

static struct reading read_write_buffer(struct leaf *leaf)
{
    return (struct reading){kv_rocks_memory(leaf->kv).buffer_bytes,
                            leaf->config->write_buffer_bytes, 0};
}

static struct reading read_memory(struct leaf *leaf)
{
    return (struct reading){sf_memory_resident(), leaf->config->memory_bytes, leaf->memory_tight};
}

static const struct {
    const char *name; /* value of the label */
    struct reading (*read)(struct leaf *leaf);
} rows[] = {
    {"http_connections", read_connections},
    {"http_body_bytes", read_bodies},
    {"http_answer_bytes", read_answers},
    {"ingest_bytes", read_ingest},
    {"ingest_streams", read_streams},
    {"commit_queue_bytes", read_commit_bytes},
    {"commit_queue_writes", read_commit_writes},
    {"quarantine_bytes", read_quarantine},
    {"disk_bytes", read_disk},
    {"queries", read_queries},
    {"follows", read_follows},
    {"feeds", read_feeds},
    {"nats_in_bytes", read_nats_in},
    {"nats_out_bytes", read_nats_out},
    {"product_versions", read_products},
    {"grants", read_grants},
    {"cache_bytes", read_cache},
    {"get_cache_bytes", read_get_cache},
    {"views", read_views},
    {"views_by_role", read_views_by_role},
    {"positions_bytes", read_positions},
    {"write_buffer_bytes", read_write_buffer},
    {"memory_bytes", read_memory},
};

/* --- metrics ---------------------------------------------------------------------------------- */

void leaf_limits_register(struct leaf *leaf)
{
    _Static_assert(SF_COUNT(rows) == LEAF_LIMITS, "one metric for each row");
    for (size_t i = 0; i < SF_COUNT(rows); i++) {
        struct leaf_limit *l = &leaf->limit_metrics[i];
        struct sf_metric_spec spec = {.labels = &l->label, .label_count = 1};

        l->label = (struct sf_label){"limit", rows[i].name};
        spec.name = "limit_used";
        spec.help = "What the limit bounds, now.";
        sf_gauge_register(&leaf->metrics, &spec, &l->used);
        spec.name = "limit_max";
        spec.help = "The limit; 0: none.";
        sf_gauge_register(&leaf->metrics, &spec, &l->max);
        spec.name = "limit_refused_total";
        spec.help = "What was refused, dropped or held back because of the limit.";
        sf_counter_register(&leaf->metrics, &spec, &l->refused);
    }
}

void leaf_limits_scrape(struct leaf *leaf)
{
    for (size_t i = 0; i < SF_COUNT(rows); i++) {
        struct leaf_limit *l = &leaf->limit_metrics[i];
        const struct reading now = rows[i].read(leaf);

        sf_gauge_set(&l->used, (int64_t)now.used);
        sf_gauge_set(&l->max, (int64_t)now.max);
        atomic_store_explicit(&l->refused.value, now.refused, memory_order_relaxed);
    }
}

/* --- the limits in force ---------------------------------------------------------------------- */

void leaf_limits_apply(struct leaf *leaf)
{
    const struct leaf_config *c = leaf->limits;
    const bool tight = leaf->is_tight;

    sf_http_server_set_limits(
        leaf->http, &(struct sf_http_limits){
                        .body_bytes_max = c->body_bytes_max,
                        .body_total_bytes_max = tight ? TIGHT_BODY_BYTES : c->pending_bytes_max,
                        .answers_bytes_max = c->answers_bytes_max,
                    });
    ingest_set_bytes_max(leaf->ingest, tight ? 0 : c->pending_bytes_max);
    queries_set_max(leaf->queries, tight ? TIGHT_QUERIES : c->queries_max);
    follows_set_max(queries_follows(leaf->queries), c->follows_max);
    store_set_disk_reserve(leaf->store, c->disk_reserve_bytes);
    kv_rocks_set_cache(leaf->kv, c->cache_bytes);
    get_cache_set_max(queries_get_cache(leaf->queries), tight ? 0 : c->get_cache_bytes);
}

/* --- the cap on memory ------------------------------------------------------------------------ */

/* Query thread. */
static void trim_work(struct sf_work *w)
{
    (void)w;
    sf_memory_trim();
}

static void trim_done(struct sf_task *t)
{
    SF_CONTAINER_OF(t, struct leaf, trim.done)->trimming = false;
}

static void guard_fire(struct sf_timer *t)
{
    struct leaf *leaf = SF_CONTAINER_OF(t, struct leaf, guard);
    const uint64_t cap = leaf->config->memory_bytes;
    const uint64_t resident = sf_memory_resident();

    if (!leaf->is_tight && resident > cap / 10 * 9) {
        leaf->is_tight = true;
        leaf->memory_tight++;
        leaf_limits_apply(leaf);
        sf_log(SF_LOG_WARN, "leaf.memory_tight", SF_F_UINT("resident_bytes", resident),
               SF_F_UINT("cap_bytes", cap));
    } else if (leaf->is_tight && resident < cap / 10 * 8) {
        leaf->is_tight = false;
        leaf_limits_apply(leaf);
        sf_log(SF_LOG_INFO, "leaf.memory_free", SF_F_UINT("resident_bytes", resident));
    }
    if (resident > cap / 10 * 8 && !leaf->trimming) {
        leaf->trimming = true;
        leaf->trim =
            (struct sf_work){.pool = SF_POOL_QUERY, .work = trim_work, .done.run = trim_done};
        sf_rt_work(leaf->rt, &leaf->trim);
    }
    sf_rt_timer_start(leaf->rt, &leaf->guard, GUARD_NS);
}

void leaf_limits_start(struct leaf *leaf)
{
    if (leaf->config->memory_bytes > 0) {
        leaf->guard.fire = guard_fire;
        sf_rt_timer_start(leaf->rt, &leaf->guard, GUARD_NS);
    }
}

void leaf_limits_stop(struct leaf *leaf)
{
    sf_rt_timer_stop(leaf->rt, &leaf->guard);
}
