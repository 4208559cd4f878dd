/* The leaf's side of the mesh: its nats-server, its two connections, bundle, lease, credentials. */
#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/bus/natsd_config.h"
#include "common/settings/complain.h"
#include "common/wire/control.h"
#include "leaf/leaf_private.h"
#include "leaf/serving/view_cache.h"
#include "leaf/store/read.h"
#include "leaf/uplink/join.h"
#include "proto/errors.h"
#include "proto/subjects.h"

#define TICK_NS        SF_NS_PER_S
#define RENEW_RETRY_US (60 * SF_US_PER_S)

enum { NATS_PORT_FIRST = 14222 };

/* Renewing credentials on a query thread. */
struct renewal {
    struct leaf *leaf;
    struct identity_mesh mesh;
    enum sf_code code;
    struct sf_error error;
    struct sf_work work;
    bool running;
    int64_t now_us;  /* when it began */
    int64_t next_us; /* not before */
};

/* --- bundle ----------------------------------------------------------------------------------- */

static struct grant_trust trust_of(const struct leaf *leaf)
{
    return (struct grant_trust){
        .mesh = leaf->identity.mesh.mesh,
        .domain = leaf->config->domain,
        .hub_key = &leaf->identity.mesh.hub_key,
        .domain_key = &leaf->identity.keys.domain.public_key,
        .now_us = sf_rt_wall_us(leaf->rt),
    };
}

/* Of all tables, and of @us. */
static int64_t last_commit_us(const struct store *store, int64_t us)
{
    const struct store_lane *lane;

    for (size_t i = 0; (lane = store_lane_at(store, i)) != NULL; i++) {
        const int64_t of_lane = store_lane_head(lane)->commit_us;

        us = of_lane > us ? of_lane : us;
    }
    return us;
}

static void bundle_stored(void *data)
{
    struct leaf *leaf = data;

    if (leaf->uplink != NULL) {
        uplink_stored(leaf->uplink);
    }
}

static void log_bundle(const struct grant_set *grants)
{
    if (grants->unread) {
        sf_log(SF_LOG_ERROR, "leaf.bundle_not_understood",
               SF_F_UINT("policy_version", grants->policy_version));
    } else if (grants->refused > 0) {
        sf_log(SF_LOG_ERROR, "leaf.grants_without_consent", SF_F_UINT("count", grants->refused));
    }
    if (grants->held_count > 0) {
        sf_log(SF_LOG_ERROR, "leaf.grants_held_back", SF_F_UINT("count", grants->held_count),
               SF_F_TEXT("first", grants->held[0].id),
               SF_F_TEXT("why", "they had ended: the hub was put back, or repeats what it had"));
    }
    if (grants->policies_of != NULL) {
        sf_log(SF_LOG_ERROR, "leaf.policies_kept",
               SF_F_UINT("policy_version", grants->policy_version),
               SF_F_UINT("hub_policy_version", grants->told_policy_version),
               SF_F_TEXT("why", "those of the hub are older: it was put back"));
    }
}

enum sf_code leaf_mesh_load(struct leaf *leaf, struct sf_error *err)
{
    const struct grant_trust trust = trust_of(leaf);
    const int64_t known_us = last_commit_us(leaf->store, 0);
    enum sf_code code;

    sf_steady_init(&leaf->clock, leaf->rt, known_us);
    leaf->bundles.store = leaf->store;
    leaf->bundles.serving = &leaf->serving;
    leaf->bundles.on_stored = bundle_stored;
    leaf->bundles.data = leaf;
    code = bundles_load(&leaf->bundles, &trust, known_us, err);
    if (code == SF_OK && leaf->bundles.last != NULL) {
        log_bundle(leaf->bundles.last);
    }
    return code;
}

static bool is_storing(void *data)
{
    const struct leaf *leaf = data;

    return leaf->bundles.storing;
}

static bool on_bundle(void *data, struct sf_slice signed_bundle, uint64_t *ret_version)
{
    struct leaf *leaf = data;
    const struct grant_trust trust = trust_of(leaf);
    struct sf_error err;

    if (bundles_take(&leaf->bundles, signed_bundle, &trust, &err) != SF_OK) {
        sf_log(SF_LOG_ERROR, "leaf.bundle_refused", SF_F_ERROR(&err));
        return false;
    }
    log_bundle(leaf->bundles.last);
    *ret_version = leaf->bundles.version;
    leaf_serving_changed(leaf);
    return true;
}

static void on_answers(void *data, bool answers)
{
    struct leaf *leaf = data;
    const struct grant_set *grants = leaf->serving.grants;
    bool matters = false;

    leaf->serving.hub_answers = answers;
    for (size_t i = 0; grants != NULL && i < grants->grant_count && !matters; i++) {
        matters = grants->grants[i].beside_ended;
    }
    if (matters) {
        leaf_serving_changed(leaf);
    }
}

void leaf_serving_changed(struct leaf *leaf)
{
    struct sf_error err;

    leaf->serving_late = false;
    if (leaf->publisher != NULL && publisher_update(leaf->publisher, &err) != SF_OK) {
        leaf->serving_late = err.code == SF_NOMEM;
        sf_log(SF_LOG_ERROR, "leaf.feeds_missing", SF_F_ERROR(&err));
    }
    queries_serving_changed(leaf->queries);
    leaf_quality_update(leaf);
}

/* --- lease ------------------------------------------------------------------------------------ */

/* What this leaf has seen and will not have undone. */
static void fill_seen(struct leaf *leaf, Sheaf__V1__PollRequest *poll)
{
    const struct grant_set *last = leaf->bundles.last;
    size_t n = 0;

    poll->seen_version = leaf->bundles.version;
    if (last == NULL) {
        return;
    }
    poll->policy_version = last->policy_version;
    poll->held_back_count = (uint32_t)last->held_count;
    for (; n < last->held_count && n < HELD_BACK_MAX; n++) {
        leaf->held_list[n] = sf_control_text(last->held[n].id);
    }
    poll->held_back = leaf->held_list;
    poll->n_held_back = n;
}

static void fill_poll(void *data, Sheaf__V1__PollRequest *poll)
{
    struct leaf *leaf = data;
    const struct served_product *p;
    size_t at = 0;
    size_t n = 0;

    while ((p = product_set_next(&leaf->serving.products, &at)) != NULL) {
        for (size_t t = 0; t < p->table_count && n < HEADS_MAX; t++, n++) {
            const struct store_head *head = store_lane_head(p->tables[t].lane);
            Sheaf__V1__LaneHead *out = &leaf->heads[n];
            uint32_t failing;
            bool stale;

            sheaf__v1__lane_head__init(out);
            out->product = sf_control_text(p->contract->name);
            out->major = p->contract->version.major;
            out->table = sf_control_text(p->tables[t].contract->name);
            out->epoch = head->epoch;
            out->seq = head->seq;
            out->commit_us = head->commit_us;
            out->rows = head->rows;
            out->quarantined = store_lane_held(p->tables[t].lane).entries;
            leaf_quality_verdicts(leaf, &p->tables[t], &failing, &stale);
            out->checks_failing = failing;
            out->stale = stale;
            leaf->head_list[n] = out;
        }
    }
    if (poll->have_version > leaf->bundles.version_stored) {
        poll->have_version = leaf->bundles.version_stored;
    }
    fill_seen(leaf, poll);
    poll->boot_id = (ProtobufCBinaryData){.len = sizeof(leaf->boot_id), .data = leaf->boot_id};
    poll->boot = leaf->boot;
    poll->epoch = store_epoch(leaf->store);
    poll->heads = leaf->head_list;
    poll->n_heads = n;
    poll->leaf_version = sf_control_text(SHEAF_VERSION);
    poll->nats_server_version = sf_control_text(sf_natsd_version(leaf->natsd));
}

static void on_fenced(void *data, const char *why)
{
    leaf_store_fenced(data, why);
}

/* --- credentials ------------------------------------------------------------------------------ */

/* Query thread. */
static void renew_work(struct sf_work *work)
{
    struct renewal *r = SF_CONTAINER_OF(work, struct renewal, work);
    const struct join_request request = {
        .identity = &r->leaf->identity,
        .hub_url = r->leaf->config->hub_url != NULL ? r->leaf->config->hub_url
                                                    : r->leaf->identity.mesh.hub_url,
        .token = "",
        .now_us = r->now_us,
    };

    r->code = join_perform(&request, &r->mesh, &r->error);
}

static void renew_done(struct sf_task *done)
{
    struct renewal *r = SF_CONTAINER_OF(done, struct renewal, work.done);

    r->running = false;
    r->next_us = sf_rt_wall_us(r->leaf->rt) + RENEW_RETRY_US;
    if (r->code != SF_OK) {
        sf_log(SF_LOG_WARN, "leaf.credentials_not_renewed", SF_F_ERROR(&r->error));
        return;
    }
    r->leaf->identity.mesh = r->mesh;
    sf_log(SF_LOG_INFO, "leaf.credentials_renewed");
}

/* Credentials live for thirty days; the hub may be away for the last twelve hours of them. */
static void maybe_renew(struct leaf *leaf, int64_t now_us)
{
    struct renewal *r = leaf->renewal;

    if (!leaf->identity.mesh.joined || r->running || r->next_us > now_us ||
        leaf->identity.mesh.renew_us > now_us) {
        return;
    }
    r->running = true;
    r->now_us = now_us;
    r->work = (struct sf_work){.pool = SF_POOL_QUERY, .work = renew_work, .done.run = renew_done};
    sf_rt_work(leaf->rt, &r->work);
}

static bool has_expired_grant(const struct grant_set *set, int64_t from_us, int64_t to_us)
{
    if (set == NULL) {
        return false;
    }
    if (set->expires_us > from_us && set->expires_us <= to_us) {
        return true;
    }
    for (size_t i = 0; i < set->grant_count; i++) {
        if (set->grants[i].until_us > from_us && set->grants[i].until_us <= to_us) {
            return true;
        }
    }
    return false;
}

static void tick_fire(struct sf_timer *timer)
{
    struct leaf *leaf = SF_CONTAINER_OF(timer, struct leaf, tick);
    const int64_t now_us = serving_now_us(&leaf->serving);

    /* Since the last tick, however long ago: the machine may have slept, or the clock been set. */
    if (leaf->serving_late ||
        has_expired_grant(leaf->serving.grants, leaf->expiry_checked_us, now_us) ||
        view_cache_has_ended(leaf->serving.products.views, leaf->expiry_checked_us, now_us)) {
        leaf_serving_changed(leaf);
    }
    leaf->expiry_checked_us = now_us;
    maybe_renew(leaf, sf_rt_wall_us(leaf->rt));
    leaf_store_tick(leaf);
    if (leaf->stop != STOP_NONE) {
        return;
    }
    sf_rt_timer_start(leaf->rt, &leaf->tick, TICK_NS);
}

/* --- nats-server and connections -------------------------------------------------------------- */

static enum sf_code configure(void *data, struct sf_buf *ret, struct sf_error *err)
{
    struct leaf *leaf = data;
    const struct identity *id = &leaf->identity;
    const char *apps[] = {id->keys.app_user};
    char name[80];
    char log_path[4096];
    char jetstream[4096];
    const struct sf_natsd_leaf config = {
        .name = name,
        .domain = leaf->config->domain,
        .client_port = leaf->nats_port,
        .log_path = log_path,
        .process_user = id->keys.process_user,
        .process_serve_user = id->keys.process_serve_user,
        .app_users = apps,
        .app_user_count = SF_COUNT(apps),
        .system_user = id->keys.system_user,
        .hub_url = id->mesh.joined ? id->mesh.leafnode_url : NULL,
        .creds_path = id->creds_path,
        .serve_creds_path = id->serve_creds_path,
        .jetstream_dir = leaf->config->jetstream_bytes_max == 0 ? NULL : jetstream,
        .jetstream_bytes_max = leaf->config->jetstream_bytes_max,
    };

    (void)snprintf(name, sizeof(name), "leaf-%s", leaf->config->domain);
    (void)snprintf(log_path, sizeof(log_path), "%s/log/nats-server.log", leaf->config->data_dir);
    (void)snprintf(jetstream, sizeof(jetstream), "%s/nats/jetstream", leaf->config->data_dir);
    sf_natsd_config_leaf(&config, ret);
    return sf_buf_check(ret, "configuration of nats-server", err);
}

static void on_natsd_up(void *data)
{
    struct leaf *leaf = data;

    leaf->natsd_up = true;
    sf_log(SF_LOG_INFO, "leaf.nats_server_up", SF_F_UINT("port", leaf->nats_port),
           SF_F_TEXT("version", sf_natsd_version(leaf->natsd)));
}

static void on_natsd_down(void *data)
{
    struct leaf *leaf = data;

    leaf->natsd_up = false;
    sf_log(SF_LOG_WARN, "leaf.nats_server_down");
}

static void on_natsd_failed(void *data, const struct sf_error *err)
{
    struct leaf *leaf = data;

    sf_log(SF_LOG_ERROR, "leaf.nats_server_failed", SF_F_ERROR(err));
    leaf_begin_stop(leaf, sf_complain(stderr, "sheaf-leaf", err));
}

static void on_bus_state(struct sf_bus *bus, bool is_connected)
{
    struct leaf *leaf = bus->data;

    if (bus == leaf->own) {
        leaf_sources_bus_changed(leaf);
    }
    if (is_connected && leaf->publisher != NULL) {
        publisher_wake(leaf->publisher);
    }
    if (is_connected && bus == leaf->serve && leaf->uplink != NULL) {
        uplink_wake(leaf->uplink);
    }
}

static enum sf_code open_bus(struct leaf *leaf, const char *name, const struct sf_seed *seed,
                             const char *nkey, struct sf_bus **ret, struct sf_error *err)
{
    char url[64];
    const char *urls[] = {url};
    const struct sf_bus_nats_options options = {
        .urls = urls,
        .url_count = 1,
        .name = name,
        .user = seed,
        .nkey = nkey,
        .out_bytes_max = leaf->config->nats_pending_bytes_max,
        .in_bytes_max = leaf->config->nats_pending_bytes_max,
    };
    enum sf_code code;

    (void)snprintf(url, sizeof(url), "nats://127.0.0.1:%u", leaf->nats_port);
    code = sf_bus_nats_open(leaf->rt, &options, ret, err);
    if (code == SF_OK) {
        (*ret)->on_state = on_bus_state;
        (*ret)->data = leaf;
    }
    return code;
}

static enum sf_code start_natsd(struct leaf *leaf, struct sf_error *err)
{
    char config_path[4096];
    const struct sf_natsd_options options = {
        .binary = leaf->config->nats_server,
        .config_path = config_path,
        .client_port = leaf->config->nats_port,
        .configure = configure,
        .on_up = on_natsd_up,
        .on_down = on_natsd_down,
        .on_failed = on_natsd_failed,
        .data = leaf,
    };
    struct sf_natsd_options chosen = options;
    enum sf_code code = SF_OK;

    if (chosen.client_port == 0) {
        code = sf_port_find(NATS_PORT_FIRST, &chosen.client_port, err);
    } else if (!sf_port_is_free(chosen.client_port)) {
        code =
            SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_PORT_IN_USE, "NATS port %u", chosen.client_port);
    }
    if (code != SF_OK) {
        return code;
    }
    leaf->nats_port = chosen.client_port;
    (void)snprintf(config_path, sizeof(config_path), "%s/nats-server.conf", leaf->config->data_dir);
    return sf_natsd_start(leaf->uv, &chosen, &leaf->natsd, err);
}

static enum sf_code start_requests(struct leaf *leaf, struct sf_error *err)
{
    char subject[SUBJECT_MAX];
    enum sf_code code;

    subject_request_listen(subject, leaf->config->domain);
    code = query_nats_new(leaf->serve, leaf->queries, subject, &leaf->requests_serve, err);
    if (code == SF_OK) {
        subject_request_local(subject, leaf->config->domain);
        code = query_nats_new(leaf->own, leaf->queries, subject, &leaf->requests_own, err);
    }
    if (code == SF_OK) {
        code = ingest_nats_new(leaf->own, leaf->ingest, &leaf->serving, &leaf->records_own, err);
    }
    if (code == SF_OK) {
        code = leaf_service_new(leaf, &leaf->service, err);
    }
    return code;
}

static enum sf_code start_publisher(struct leaf *leaf, struct sf_error *err)
{
    const struct publisher_options options = {
        .rt = leaf->rt,
        .store = leaf->store,
        .serving = &leaf->serving,
        .serve = leaf->serve,
        .own = leaf->own,
        .leaf_key = &leaf->identity.keys.leaf,
        .metrics = &leaf->metrics,
        .feeds_max = leaf->config->feeds_max,
    };
    enum sf_code code = publisher_new(&options, &leaf->publisher, err);

    return code == SF_OK ? publisher_update(leaf->publisher, err) : code;
}

enum sf_code leaf_mesh_start(struct leaf *leaf, struct sf_error *err)
{
    const struct identity_keys *k = &leaf->identity.keys;
    const struct uplink_options uplink = {
        .rt = leaf->rt,
        .domain = leaf->config->domain,
        .metrics = &leaf->metrics,
        .on_bundle = on_bundle,
        .is_storing = is_storing,
        .fill_poll = fill_poll,
        .on_answers = on_answers,
        .on_fenced = on_fenced,
        .data = leaf,
    };
    enum sf_code code = start_natsd(leaf, err);

    if (code == SF_OK) {
        code = open_bus(leaf, "leaf-serve", &k->process_serve, k->process_serve_user, &leaf->serve,
                        err);
    }
    if (code == SF_OK) {
        code = open_bus(leaf, "leaf", &k->process, k->process_user, &leaf->own, err);
    }
    if (code == SF_OK) {
        leaf->relay = (struct relay_host){
            .rt = leaf->rt,
            .clock = &leaf->clock,
            .own = leaf->own,
            .serve = leaf->serve,
            .mesh = leaf->identity.mesh.mesh,
            .domain = leaf->config->domain,
            .domain_key = &k->domain,
        };
        code = start_requests(leaf, err);
    }
    if (code == SF_OK) {
        code = start_publisher(leaf, err);
    }
    if (code == SF_OK && leaf->identity.mesh.joined) {
        struct uplink_options o = uplink;

        o.serve = leaf->serve;
        code = uplink_new(&o, leaf->serving.grants == NULL ? 0 : leaf->serving.grants->version,
                          &leaf->uplink, err);
    }
    if (code == SF_OK) {
        leaf->renewal = sf_calloc(1, sizeof(*leaf->renewal));
        code = leaf->renewal == NULL ? SF_RAISE(err, SF_NOMEM, "leaf") : SF_OK;
    }
    if (code == SF_OK) {
        leaf->renewal->leaf = leaf;
        leaf->tick.fire = tick_fire;
        leaf->expiry_checked_us = serving_now_us(&leaf->serving);
        sf_rt_timer_start(leaf->rt, &leaf->tick, TICK_NS);
    }
    return code;
}

bool leaf_mesh_is_renewing(const struct leaf *leaf)
{
    return leaf->renewal != NULL && leaf->renewal->running;
}

void leaf_mesh_stop_services(struct leaf *leaf)
{
    leaf_service_free(leaf->service);
    leaf->service = NULL;
    if (leaf->quality != NULL) {
        quality_nats_forget(leaf->quality, leaf->serve);
        quality_nats_forget(leaf->quality, leaf->own);
    }
    query_nats_free(leaf->requests_serve);
    query_nats_free(leaf->requests_own);
    ingest_nats_free(leaf->records_own);
    leaf_sources_close(leaf);
    leaf->records_own = NULL;
    leaf->requests_serve = NULL;
    leaf->requests_own = NULL;
    uplink_free(leaf->uplink);
    leaf->uplink = NULL;
    leaf_apply_cancel(leaf);
    leaf_life_cancel(leaf);
}

void leaf_mesh_done(struct leaf *leaf)
{
    sf_free(leaf->renewal);
    leaf->renewal = NULL;
}
