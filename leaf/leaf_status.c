/* What the leaf says of itself: status, health, metrics, its products. */
#include <stdio.h>

#include "common/base/time.h"
#include "leaf/leaf_private.h"
#include "leaf/query/describe.h"
#include "leaf/query/get_cache.h"
#include "leaf/serving/http_answer.h"
#include "leaf/serving/view_cache.h"
#include "proto/errors.h"

/* --- metrics ---------------------------------------------------------------------------------- */

void leaf_metrics_register(struct leaf *leaf)
{
    const struct {
        const char *name;
        const char *help;
        struct sf_counter *counter;
    } counters[] = {
        {"store_commits_total", "Group commits.", &leaf->store_commits},
        {"store_syncs_total", "Commits with fdatasync.", &leaf->store_syncs},
        {"store_changes_total", "Changes made durable.", &leaf->store_changes},
        {"get_cache_hits_total", "Requests for one row whose answer stood ready.",
         &leaf->get_cache_hits},
        {"get_cache_misses_total",
         "Requests for one row whose answer did not, but may from now on.",
         &leaf->get_cache_misses},
        {"views_rows_hidden_total", "Rows that a filter kept from another domain.",
         &leaf->views_hidden},
        {"views_rows_failed_total", "Rows kept back as a filter was null or failed on them.",
         &leaf->views_failed},
        {"views_values_nulled_total", "Values sent as null as they could not be masked.",
         &leaf->views_nulled},
    };

    for (size_t i = 0; i < SF_COUNT(counters); i++) {
        sf_counter_register(
            &leaf->metrics,
            &(struct sf_metric_spec){.name = counters[i].name, .help = counters[i].help},
            counters[i].counter);
    }
    sf_gauge_register(&leaf->metrics,
                      &(struct sf_metric_spec){
                          .name = "grants_ended",
                          .help = "Decisions that have ended before their time, remembered."},
                      &leaf->grants_ended);
    sf_gauge_register(
        &leaf->metrics,
        &(struct sf_metric_spec){.name = "grants_held_back",
                                 .help = "Grants of the bundle whose decisions had ended."},
        &leaf->grants_held_back);
    sf_gauge_register(
        &leaf->metrics,
        &(struct sf_metric_spec){.name = "store_failed", .help = "1 when the store is read-only."},
        &leaf->store_failed);
    sf_gauge_register(&leaf->metrics,
                      &(struct sf_metric_spec){.name = "store_queued_bytes",
                                               .help = "Bytes waiting for a commit."},
                      &leaf->store_queued_bytes);
    sf_gauge_register(
        &leaf->metrics,
        &(struct sf_metric_spec){
            .name = "store_cut_bytes",
            .help = "Bytes cut off the write-ahead log at this start, as a power cut left them."},
        &leaf->store_cut_bytes);
}

static void raise_to(struct sf_counter *c, uint64_t value)
{
    sf_counter_add(c, value - atomic_load_explicit(&c->value, memory_order_relaxed));
}

void leaf_metrics_http(struct leaf *leaf, struct sf_http_request *r)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf text = {0};
    const struct store_stats stats = store_stats(leaf->store);
    const struct get_cache_stats gets = get_cache_stats(queries_get_cache(leaf->queries));
    const struct served_counts *views = view_cache_counts(leaf->serving.products.views);
    struct sf_error err;

    raise_to(&leaf->get_cache_hits, gets.hits);
    raise_to(&leaf->get_cache_misses, gets.misses);
    raise_to(&leaf->store_commits, stats.commits);
    raise_to(&leaf->store_syncs, stats.syncs);
    raise_to(&leaf->store_changes, stats.changes);
    raise_to(&leaf->views_hidden, atomic_load(&views->hidden));
    raise_to(&leaf->views_failed, atomic_load(&views->nulls) + atomic_load(&views->errors));
    raise_to(&leaf->views_nulled, atomic_load(&views->unmasked));
    sf_gauge_set(&leaf->grants_ended, (int64_t)ended_count(&leaf->bundles.ended));
    sf_gauge_set(&leaf->grants_held_back,
                 leaf->bundles.last == NULL ? 0 : (int64_t)leaf->bundles.last->held_count);
    sf_gauge_set(&leaf->store_failed, stats.failed);
    sf_gauge_set(&leaf->store_queued_bytes, (int64_t)stats.queued_bytes);
    leaf_limits_scrape(leaf);
    sf_metrics_render(&leaf->metrics, &text);
    if (sf_buf_check(&text, "metrics", &err) != SF_OK) {
        http_problem(r, &err);
        return;
    }
    sf_http_respond(r, 200, SF_METRICS_CONTENT_TYPE, NULL, 0, sf_buf_view(&text));
}

/* --- health ----------------------------------------------------------------------------------- */

void leaf_livez_http(struct sf_http_request *r)
{
    sf_http_respond(r, 200, "text/plain; charset=utf-8", NULL, 0, SF_LITERAL("ok\n"));
}

void leaf_readyz_http(struct leaf *leaf, struct sf_http_request *r)
{
    struct sf_error err;

    if (leaf->draining) {
        (void)SF_RAISE_E(&err, SF_UNAVAILABLE, SHEAF_E_DRAINING, "domain %s", leaf->config->domain);
    } else if (store_failed(leaf->store)) {
        const uint16_t number = store_failure(leaf->store)->number;

        (void)SF_RAISE_E(&err, SF_IO, number == 0 ? SHEAF_E_STORE_FAILED : number,
                         "the store is read-only");
    } else if (!leaf->natsd_up || !sf_bus_connected(leaf->own)) {
        (void)SF_RAISE_E(&err, SF_UNAVAILABLE, SHEAF_E_LEAF_UNREACHABLE,
                         "the leaf's nats-server is not up");
    } else {
        leaf_livez_http(r);
        return;
    }
    http_problem(r, &err);
}

/* --- products and status ---------------------------------------------------------------------- */

static enum sf_code write_products(const struct leaf *leaf, struct sf_json_writer *w,
                                   struct sf_error *err)
{
    struct serving_right right = {0};
    enum sf_code code = SF_OK;
    size_t at = 0;

    sf_json_array_begin(w);
    while (code == SF_OK &&
           (right.product = product_set_next(&leaf->serving.products, &at)) != NULL) {
        code = query_describe_item(&right, w, err);
    }
    sf_json_array_end(w);
    return code;
}

void leaf_products_http(struct leaf *leaf, struct sf_http_request *r)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf body = {0};
    struct sf_json_writer w = {.out = &body};
    struct sf_error err;
    enum sf_code code;

    sf_json_object_begin(&w);
    sf_json_member_text(&w, "apiVersion", "sheaf/v1");
    sf_json_member_text(&w, "kind", "ProductList");
    sf_json_key(&w, "items");
    code = write_products(leaf, &w, &err);
    sf_json_object_end(&w);
    if (code != SF_OK) {
        http_problem(r, &err);
        return;
    }
    http_json(r, 200, &body);
}

/* What a hub that was put back has forgotten, and this leaf has not. */
static void write_held(const struct leaf *leaf, struct sf_json_writer *w)
{
    const struct grant_set *last = leaf->bundles.last;

    sf_json_member_uint(w, "policy_version", last == NULL ? 0 : last->policy_version);
    sf_json_member_uint(w, "hub_policy_version", last == NULL ? 0 : last->told_policy_version);
    sf_json_member_uint(w, "ended", ended_count(&leaf->bundles.ended));
    sf_json_key(w, "held_back");
    sf_json_array_begin(w);
    for (size_t i = 0; last != NULL && i < last->held_count; i++) {
        const struct grant *g = &last->held[i];

        sf_json_object_begin(w);
        sf_json_member_text(w, "grant", g->id);
        sf_json_member_text(w, "consumer", g->consumer);
        sf_json_key(w, "product");
        sf_json_printf(w, "%s/%s", leaf->config->domain, g->product);
        sf_json_member_uint(w, "major", g->major);
        sf_json_object_end(w);
    }
    sf_json_array_end(w);
}

static void write_hub(const struct leaf *leaf, struct sf_json_writer *w)
{
    const struct grant_set *grants = leaf->serving.grants;
    char until[SF_TIME_TEXT_SIZE];
    const char *state = leaf->uplink == NULL         ? "not_joined"
                        : uplink_is_up(leaf->uplink) ? "up"
                                                     : "down";

    sf_json_key(w, "hub");
    sf_json_object_begin(w);
    sf_json_member_text(w, "state", state);
    sf_json_member_text(w, "url", leaf->identity.mesh.hub_url);
    sf_json_member_uint(w, "bundle", grants == NULL ? 0 : grants->version);
    sf_json_member_bool(w, "bundle_in_force",
                        grants != NULL && grants->expires_us > serving_now_us(&leaf->serving));
    if (grants != NULL) {
        (void)sf_time_format(grants->expires_us, until);
    }
    sf_json_member_text(w, "bundle_until", grants == NULL ? NULL : until);
    sf_json_member_uint(w, "grants", grants == NULL ? 0 : grants->grant_count);
    write_held(leaf, w);
    sf_json_object_end(w);
}

void leaf_status_http(struct leaf *leaf, struct sf_http_request *r)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf body = {0};
    struct sf_json_writer w = {.out = &body};
    const struct store_stats stats = store_stats(leaf->store);
    struct sf_error err;
    enum sf_code code;

    sf_json_object_begin(&w);
    sf_json_member_text(&w, "apiVersion", "sheaf/v1");
    sf_json_member_text(&w, "kind", "LeafStatus");
    sf_json_member_text(&w, "domain", leaf->config->domain);
    sf_json_member_text(&w, "mesh", leaf->identity.mesh.mesh);
    sf_json_member_text(&w, "version", SHEAF_VERSION);
    sf_json_member_bool(&w, "draining", leaf->draining);
    sf_json_member_int(&w, "uptime_us", sf_rt_wall_us(leaf->rt) - leaf->started_us);
    write_hub(leaf, &w);
    sf_json_key(&w, "nats");
    sf_json_object_begin(&w);
    sf_json_member_text(&w, "state", leaf->natsd_up ? "up" : "down");
    sf_json_member_text(&w, "server", sf_natsd_version(leaf->natsd));
    sf_json_key(&w, "url");
    sf_json_printf(&w, "nats://127.0.0.1:%u", leaf->nats_port);
    sf_json_object_end(&w);
    sf_json_key(&w, "store");
    sf_json_object_begin(&w);
    sf_json_member_text(&w, "state", stats.failed ? "read-only" : "ok");
    sf_json_member_uint(&w, "commits", stats.commits);
    sf_json_member_uint(&w, "queued_bytes", stats.queued_bytes);
    sf_json_object_end(&w);
    sf_json_key(&w, "sources");
    leaf_sources_write(leaf, &w);
    sf_json_key(&w, "products");
    code = write_products(leaf, &w, &err);
    sf_json_object_end(&w);
    if (code != SF_OK) {
        http_problem(r, &err);
        return;
    }
    http_json(r, 200, &body);
}
