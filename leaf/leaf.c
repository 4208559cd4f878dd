#include "leaf/leaf.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/sys/file.h"
#include "common/sys/memory.h"
#include "common/wire/json.h"
#include "leaf/leaf_private.h"
#include "leaf/query/follow.h"
#include "leaf/uplink/join.h"
#include "proto/errors.h"

#define STOP_POLL_NS (2 * SF_NS_PER_MS)

enum { STREAM_BYTES_MAX = 4 * 1024 * 1024, TOKEN_BYTES_MAX = 4096 };

static void stop_step(struct leaf *leaf);

/* --- start ------------------------------------------------------------------------------------ */

static enum sf_code open_data_dir(struct leaf *leaf, struct sf_error *err)
{
    char path[4096];
    enum sf_code code = sf_dir_make(leaf->config->data_dir, 0700, err);

    if (code == SF_OK) {
        (void)snprintf(path, sizeof(path), "%s/lock", leaf->config->data_dir);
        code = sf_lock_take(path, &leaf->lock, err);
        if (code == SF_CONFLICT) {
            code =
                SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_DATA_DIR_IN_USE, "%s", leaf->config->data_dir);
        }
    }
    if (code == SF_OK) {
        (void)snprintf(path, sizeof(path), "%s/log", leaf->config->data_dir);
        code = sf_dir_make(path, 0700, err);
    }
    return code;
}

/* Joins when this leaf never did and is told where the hub is. */
static enum sf_code join_mesh(struct leaf *leaf, struct sf_error *err)
{
    const struct leaf_config *c = leaf->config;
    struct sf_buf token = {0};
    enum sf_code code = SF_OK;

    if (leaf->identity.mesh.joined || c->hub_url == NULL) {
        return SF_OK;
    }
    if (c->join_token_file != NULL) {
        code = sf_file_read(c->join_token_file, TOKEN_BYTES_MAX, &token, err);
    }
    while (token.size > 0 && token.data[token.size - 1] <= ' ') {
        token.size--;
    }
    if (code == SF_OK) {
        const char *text = sf_buf_cstr(&token);

        code = text == NULL ? SF_RAISE(err, SF_NOMEM, "join token")
                            : join_perform(
                                  &(struct join_request){
                                      .identity = &leaf->identity,
                                      .hub_url = c->hub_url,
                                      .token = text,
                                      .now_us = sf_rt_wall_us(leaf->rt),
                                  },
                                  &leaf->identity.mesh, err);
    }
    if (token.data != NULL) {
        sf_wipe(token.data, token.capacity);
    }
    sf_buf_done(&token);
    return code;
}

static enum sf_code open_services(struct leaf *leaf, struct sf_error *err)
{
    const struct ingest_options ingest = {
        .bytes_max = leaf->config->pending_bytes_max,
        .inflated_max = leaf->config->inflated_bytes_max,
        .quarantine_max = leaf->config->quarantine_bytes_max,
        .dedupe_max = leaf->config->dedupe_max,
        .streams_max = leaf->config->streams_max,
        .batch_records = leaf->config->stream_batch_records,
        .batch_bytes = leaf->config->stream_batch_bytes,
        .products = &leaf->serving.products,
    };
    const struct queries_options queries = {
        .rt = leaf->rt,
        .store = leaf->store,
        .serving = &leaf->serving,
        .seal_key = leaf->seal_key,
        .other = leaf_quality_nats,
        .other_data = leaf,
        .queries_max = leaf->config->queries_max,
        .answers_bytes = leaf->config->get_cache_bytes,
    };
    enum sf_code code;

    leaf->serving.rt = leaf->rt;
    leaf->serving.domain = leaf->config->domain;
    leaf->serving.mask_secret = &leaf->identity.keys.masks;
    leaf->serving.mesh = leaf->identity.mesh.mesh;
    leaf->serving.assertions = leaf->assertions;
    code = product_set_init(&leaf->serving.products, leaf->config->domain, leaf->store, err);
    if (code == SF_OK) {
        code = leaf_products_load(leaf, err);
    }
    if (code == SF_OK) {
        code = leaf_removals_load(leaf, err);
    }
    if (code == SF_OK) {
        code = leaf_mesh_load(leaf, err);
    }
    if (code == SF_OK) {
        code = ingest_new(leaf->rt, leaf->store, &leaf->metrics, &ingest, &leaf->ingest, err);
    }
    if (code == SF_OK) {
        code = mender_new(leaf->rt, leaf->store, &leaf->mender, err);
    }
    if (code == SF_OK) {
        code = queries_new(&queries, &leaf->queries, err);
    }
    if (code == SF_OK) {
        follows_set_max(queries_follows(leaf->queries), leaf->config->follows_max);
    }
    if (code == SF_OK) {
        code = leaf_quality_open(leaf, err);
    }
    return code;
}

static enum sf_code open_http(struct leaf *leaf, struct sf_error *err)
{
    static const char *const vital[] = {"/livez", "/readyz", "/metrics", NULL};
    const struct leaf_config *c = leaf->config;
    const struct sf_http_options options = {
        .address = c->http_address,
        .port = c->http_port,
        .connections_max = c->connections_max,
        .body_bytes_max = c->body_bytes_max,
        .body_total_bytes_max = c->pending_bytes_max,
        .stream_bytes_max = STREAM_BYTES_MAX,
        .answers_bytes_max = c->answers_bytes_max,
        .vital_paths = vital,
        .problem = sheaf_error_document,
        .handler = leaf_api_handle,
        .takes_pieces = leaf_api_takes_pieces,
        .data = leaf,
    };
    enum sf_code code = sf_http_server_new(leaf->uv, &options, &leaf->http, err);

    if (code == SF_CONFLICT) {
        code = SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_PORT_IN_USE, "%s:%u", c->http_address,
                          c->http_port);
    }
    return code;
}

void leaf_notify_ready(struct leaf *leaf)
{
    char status[160];

    (void)snprintf(status, sizeof(status), "domain %s: HTTP on port %u, NATS on port %u",
                   leaf->config->domain, sf_http_server_port(leaf->http), leaf->nats_port);
    sf_notify_ready(status);
}

/* What others on this machine may know: written once everything answers. */
static enum sf_code announce(struct leaf *leaf, struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf text = {0};
    struct sf_json_writer w = {.out = &text, .pretty = true};
    const uint16_t http_port = sf_http_server_port(leaf->http);
    char path[4096];
    enum sf_code code;

    sf_json_object_begin(&w);
    sf_json_member_int(&w, "pid", getpid());
    sf_json_member_text(&w, "domain", leaf->config->domain);
    sf_json_key(&w, "http");
    sf_json_printf(&w, "http://127.0.0.1:%u", http_port);
    sf_json_key(&w, "nats");
    sf_json_printf(&w, "nats://127.0.0.1:%u", leaf->nats_port);
    sf_json_member_text(&w, "mesh", leaf->identity.mesh.mesh);
    sf_json_object_end(&w);
    sf_buf_byte(&text, '\n');
    code = sf_buf_check(&text, "leaf.json", err);
    if (code == SF_OK) {
        (void)snprintf(path, sizeof(path), "%s/leaf.json", leaf->config->data_dir);
        code = sf_file_write(path, sf_buf_view(&text), 0600, err);
    }
    if (code == SF_OK) {
        (void)printf("ready http=127.0.0.1:%u nats=127.0.0.1:%u\n", http_port, leaf->nats_port);
        (void)fflush(stdout);
        sf_memory_forget_code();
        leaf_notify_ready(leaf);
        sf_watchdog_start(&leaf->watchdog, leaf->rt);
        sf_log(SF_LOG_INFO, "leaf.ready", SF_F_TEXT("domain", leaf->config->domain),
               SF_F_UINT("http_port", http_port), SF_F_UINT("nats_port", leaf->nats_port));
    }
    return code;
}

static void on_signal(int number, void *data)
{
    struct leaf *leaf = data;

    if (number == SIGHUP) {
        leaf_reload(leaf);
        return;
    }
    leaf_begin_stop(leaf, 0);
}

static void derive_seal_key(struct leaf *leaf)
{
    const struct sf_slice purpose = SF_LITERAL("sheaf cursor v2");

    sf_hash256_keyed(sf_seed_bytes(&leaf->identity.keys.leaf).data, &purpose, 1, leaf->seal_key);
}

static enum sf_code start(struct leaf *leaf, struct sf_error *err)
{
    const struct leaf_config *c = leaf->config;
    enum sf_code code = open_data_dir(leaf, err);

    if (code == SF_OK) {
        code = identity_open(c->data_dir, c->domain, &leaf->identity, err);
    }
    if (code == SF_OK) {
        derive_seal_key(leaf);
        code = join_mesh(leaf, err);
    }
    if (code == SF_OK) {
        code = leaf_store_open(leaf, err);
    }
    if (code == SF_OK) {
        code = open_services(leaf, err);
    }
    if (code == SF_OK) {
        code = open_http(leaf, err);
    }
    if (code == SF_OK) {
        code = leaf_mesh_start(leaf, err);
    }
    if (code == SF_OK) {
        code = leaf_sources_start(leaf, err);
    }
    if (code == SF_OK) {
        leaf_metrics_register(leaf);
        leaf_limits_register(leaf);
        leaf_limits_start(leaf);
        code = leaf_retain_start(leaf, err);
    }
    if (code == SF_OK) {
        code = rt_uv_catch_signals(leaf->uv, on_signal, leaf, err);
    }
    return code == SF_OK ? announce(leaf, err) : code;
}

enum sf_code leaf_new(const struct leaf_config *config, struct leaf **ret, struct sf_error *err)
{
    struct leaf *leaf = sf_calloc(1, sizeof(*leaf));
    enum sf_code code;

    if (leaf == NULL) {
        return SF_RAISE(err, SF_NOMEM, "leaf");
    }
    leaf->config = config;
    leaf->limits = config;
    sf_metrics_init(&leaf->metrics);
    code = rt_uv_new(&leaf->uv, err);
    if (code != SF_OK) {
        sf_free(leaf);
        return code;
    }
    leaf->rt = rt_uv_rt(leaf->uv);
    leaf->started_us = sf_rt_wall_us(leaf->rt);
    leaf_admin_init(leaf);
    bundles_init(&leaf->bundles);
    code = sf_token_cache_new(&leaf->tokens, err);
    code = code == SF_OK ? sf_token_cache_new(&leaf->assertions, err) : code;
    code = code == SF_OK ? start(leaf, err) : code;
    if (code != SF_OK) {
        /* What was opened goes the way of an ordinary stop. */
        leaf_begin_stop(leaf, 1);
        (void)leaf_run(leaf);
        return code;
    }
    *ret = leaf;
    return SF_OK;
}

/* --- stop ------------------------------------------------------------------------------------- */

/*
 *   NONE --> PUBLISHER --> STORE --> BUSES --> NATSD --> DONE (the loop ends)
 *
 * stop_step() begins a stage and looks whether the one before has ended; every closed-callback and
 * a short timer (for requests that are still under way) call it.
 */

static void on_closed(void *data)
{
    struct leaf *leaf = data;

    leaf->closing--;
    stop_step(leaf);
}

static void stop_poll_fire(struct sf_timer *timer)
{
    stop_step(SF_CONTAINER_OF(timer, struct leaf, stop_poll));
}

static bool is_quiet(const struct leaf *leaf)
{
    return leaf->closing == 0 && (leaf->ingest == NULL || ingest_pending(leaf->ingest) == 0) &&
           (leaf->mender == NULL || mender_pending(leaf->mender) == 0) &&
           (leaf->queries == NULL || queries_pending(leaf->queries) == 0) &&
           !leaf->bundles.storing && leaf->apply == NULL && leaf->life == NULL &&
           leaf_quality_is_quiet(leaf) && leaf_admin_is_quiet(leaf) && !leaf_purge_is_busy(leaf) &&
           (leaf->heads_kept == NULL || !head_keeper_is_busy(leaf->heads_kept)) &&
           !leaf->trimming && !leaf_mesh_is_renewing(leaf);
}

static void begin_sources(struct leaf *leaf)
{
    sf_http_server_free(leaf->http);
    leaf->http = NULL;
    leaf_mesh_stop_services(leaf);
    leaf_quality_stop(leaf, on_closed);
    if (leaf->publisher != NULL) {
        leaf->closing++;
        publisher_close(leaf->publisher, on_closed, leaf);
        leaf->publisher = NULL;
    }
    if (leaf->retainer != NULL) {
        leaf->closing++;
        retainer_close(leaf->retainer, on_closed, leaf);
        leaf->retainer = NULL;
    }
}

static void begin_store(struct leaf *leaf)
{
    ingest_free(leaf->ingest);
    mender_free(leaf->mender);
    queries_free(leaf->queries);
    leaf->ingest = NULL;
    leaf->mender = NULL;
    leaf->queries = NULL;
    leaf_admin_done(leaf);
    leaf_quality_done(leaf);
    head_keeper_free(leaf->heads_kept);
    leaf->heads_kept = NULL;
    if (leaf->store != NULL) {
        leaf->closing++;
        store_close(leaf->store, on_closed, leaf);
        leaf->store = NULL;
    }
}

static void begin_buses(struct leaf *leaf)
{
    struct sf_bus *buses[] = {leaf->serve, leaf->own};

    leaf->serve = NULL;
    leaf->own = NULL;
    for (size_t i = 0; i < SF_COUNT(buses); i++) {
        if (buses[i] != NULL) {
            leaf->closing++;
            sf_bus_nats_close(buses[i], on_closed, leaf);
        }
    }
}

static void begin_natsd(struct leaf *leaf)
{
    if (leaf->natsd != NULL) {
        leaf->closing++;
        sf_natsd_close(leaf->natsd, on_closed, leaf);
        leaf->natsd = NULL;
    }
}

static void stop_step(struct leaf *leaf)
{
    while (is_quiet(leaf)) {
        leaf->stop++;
        switch (leaf->stop) {
        case STOP_NONE:
        case STOP_PUBLISHER:
            begin_sources(leaf);
            break;
        case STOP_STORE:
            begin_store(leaf);
            break;
        case STOP_BUSES:
            begin_buses(leaf);
            break;
        case STOP_NATSD:
            begin_natsd(leaf);
            break;
        case STOP_DONE:
            rt_uv_stop(leaf->uv);
            return;
        }
    }
    /* Also while a callback is waited for: a connection that closes does not keep the loop alive,
     * and a loop with nothing to wait for returns at once without looking at what arrives. */
    leaf->stop_poll.fire = stop_poll_fire;
    sf_rt_timer_start(leaf->rt, &leaf->stop_poll, STOP_POLL_NS);
}

void leaf_begin_stop(struct leaf *leaf, int exit_status)
{
    if (leaf->stop != STOP_NONE) {
        return;
    }
    leaf->exit_status = exit_status;
    sf_rt_timer_stop(leaf->rt, &leaf->tick);
    leaf_limits_stop(leaf);
    sf_watchdog_stop(&leaf->watchdog);
    sf_notify_stopping();
    leaf->stop = STOP_PUBLISHER;
    leaf_admin_cancel(leaf);
    begin_sources(leaf);
    leaf->stop_poll.fire = stop_poll_fire;
    sf_rt_timer_start(leaf->rt, &leaf->stop_poll, 0);
}

static void leaf_free(struct leaf *leaf)
{
    leaf_reload_done(leaf);
    leaf_mesh_done(leaf);
    leaf_sources_done(leaf);
    product_set_done(&leaf->serving.products);
    grant_set_unref(leaf->serving.grants);
    bundles_done(&leaf->bundles);
    identity_done(&leaf->identity);
    sf_wipe(leaf->seal_key, sizeof(leaf->seal_key));
    sf_lock_done(&leaf->lock);
    rt_uv_free(leaf->uv);
    sf_token_cache_free(leaf->tokens);
    sf_token_cache_free(leaf->assertions);
    leaf_purge_free(leaf);
    sf_free(leaf);
}

int leaf_run(struct leaf *leaf)
{
    int status;

    do {
        rt_uv_run(leaf->uv);
    } while (leaf->stop != STOP_DONE);
    status = leaf->exit_status;
    leaf_free(leaf);
    return status;
}
