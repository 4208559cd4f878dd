/* What the files of the root object share: leaf.c, leaf_mesh.c, leaf_apply.c, leaf_api.c,
 * leaf_status.c. */
#pragma once

#include "common/bus/bus_nats.h"
#include "common/bus/natsd.h"
#include "common/identity/token_cache.h"
#include "common/sys/file.h"
#include "common/sys/http_server.h"
#include "common/sys/notify.h"
#include "common/sys/seal.h"
#include "common/sys/steady.h"
#include "leaf/admin/job.h"
#include "leaf/ingest/ingest_nats.h"
#include "leaf/ingest/mend.h"
#include "leaf/leaf.h"
#include "leaf/publish/publisher.h"
#include "leaf/quality/answers.h"
#include "leaf/query/query.h"
#include "leaf/query/query_http.h"
#include "leaf/query/query_nats.h"
#include "leaf/serving/bundles.h"
#include "leaf/store/head_keeper.h"
#include "leaf/store/retain.h"
#include "leaf/uplink/uplink.h"

enum { HEADS_MAX = 1024, HELD_BACK_MAX = 1000, LEAF_LIMITS = 23, LEAF_PATH_BYTES = 4096 };

#define LEAF_CHECKPOINT "checkpoint" /* in the data directory, while a backup is made */

/* Files of the data directory that forbid to start. */
#define LEAF_RESTORING "RESTORING" /* a restore began and has not ended */
#define LEAF_FENCED    "FENCED"    /* another leaf of this domain took over */

struct leaf_limit {
    struct sf_label label;
    struct sf_gauge used;
    struct sf_gauge max;
    struct sf_counter refused;
};

enum stop_stage {
    STOP_NONE,      /* running */
    STOP_PUBLISHER, /* waiting for the publisher, for requests and for readers */
    STOP_STORE,
    STOP_BUSES,
    STOP_NATSD,
    STOP_DONE,
};

/* leaf_retain.c */
enum sf_code leaf_retain_start(struct leaf *leaf, struct sf_error *err) SF_MUST_CHECK;
/* Another product is in force, or gone: what is kept follows soon. */
void leaf_retain_changed(struct leaf *leaf);

struct apply; /* leaf_apply.c */
struct life;  /* leaf_life.c */
struct purge; /* leaf_purge.c */

struct leaf {
    const struct leaf_config *config; /* as the leaf was started */
    const struct leaf_config *limits; /* as read last: what is reloadable comes from here */
    struct leaf_config *reread;       /* owned; NULL: not read again yet */
    struct rt_uv *uv;
    struct sf_rt *rt;
    struct sf_metrics metrics;
    struct sf_lock lock; /* of the data directory */
    struct identity identity;
    struct sf_token_cache *tokens;
    struct sf_steady clock;            /* of tokens */
    struct sf_token_cache *assertions; /* of other domains */
    uint8_t seal_key[SF_SEAL_KEY_SIZE];
    int64_t started_us;

    struct store *store;
    struct kv *kv; /* the store's */
    struct head_keeper *heads_kept;
    uint8_t boot_id[16]; /* of this process */
    uint64_t boot;       /* starts of this data directory */
    bool fenced;         /* another leaf of the domain goes on */
    struct job_runner check;
    struct job_runner backup;
    struct retainer *retainer; /* leaf_retain.c */
    struct serving serving;
    struct ingest *ingest;
    struct mender *mender; /* of quarantines */
    struct queries *queries;
    struct publisher *publisher;
    struct collector *collector;
    struct inspector *inspector;
    struct quality_answers *quality;

    struct sf_natsd *natsd;
    bool natsd_up;
    bool trimming; /* leaf_limits.c */
    bool is_tight;
    bool draining; /* leaf_drain.c */
    uint16_t nats_port;
    struct sf_bus *serve; /* account <d>.serve */
    struct sf_bus *own;   /* account <d> */
    struct relay_host relay;
    struct query_nats *requests_serve;
    struct query_nats *requests_own;
    struct leaf_service *service; /* leaf_service.c: what ADR-32 tools see */
    struct ingest_nats *records_own;
    struct leaf_sources *sources; /* NULL: none */
    struct uplink *uplink;
    struct sf_timer tick;      /* every second: what has expired */
    bool serving_late;         /* what follows products and grants does not yet: no memory */
    int64_t expiry_checked_us; /* up to this time */

    struct renewal *renewal; /* leaf_mesh.c */
    Sheaf__V1__LaneHead heads[HEADS_MAX];
    Sheaf__V1__LaneHead *head_list[HEADS_MAX];

    struct bundles bundles;         /* what the hub has sent */
    char *held_list[HELD_BACK_MAX]; /* of a poll: borrowed from them */

    struct apply *apply; /* under way, or NULL */
    struct life *life;   /* under way, or NULL */
    struct purge *purge; /* of removed majors */
    struct sf_http_server *http;

    struct sf_gauge grants_ended;
    struct sf_gauge grants_held_back;
    struct sf_gauge store_failed;
    struct sf_gauge store_queued_bytes;
    struct sf_gauge store_cut_bytes;
    struct sf_counter store_commits; /* brought up to store_stats() at each scrape */
    struct sf_counter store_syncs;
    struct sf_counter store_changes;
    struct sf_counter get_cache_hits; /* likewise */
    struct sf_counter get_cache_misses;
    struct sf_counter views_hidden;
    struct sf_counter views_failed;
    struct sf_counter views_nulled;

    struct leaf_limit limit_metrics[LEAF_LIMITS];
    struct sf_timer guard; /* leaf_limits.c: the cap on memory */
    struct sf_work trim;
    struct sf_watchdog watchdog;
    uint64_t memory_tight; /* times it became so */

    enum stop_stage stop;
    size_t closing; /* answers that the stage waits for */
    struct sf_timer stop_poll;
    int exit_status;
};

/* leaf_mesh.c: nats-server, connections, bundle, lease. */
enum sf_code leaf_mesh_load(struct leaf *leaf, struct sf_error *err) SF_MUST_CHECK;
enum sf_code leaf_mesh_start(struct leaf *leaf, struct sf_error *err) SF_MUST_CHECK;
/* Ends services over NATS, at once; connections and server stay. */
void leaf_mesh_stop_services(struct leaf *leaf);
/* Whether a renewal of credentials is still running on a query thread. */
bool leaf_mesh_is_renewing(const struct leaf *leaf);
void leaf_mesh_done(struct leaf *leaf);
/* Products or grants changed. */
void leaf_serving_changed(struct leaf *leaf);

/* leaf_apply.c */
enum sf_code leaf_products_load(struct leaf *leaf, struct sf_error *err) SF_MUST_CHECK;
void leaf_apply_http(struct leaf *leaf, struct sf_http_request *r, const char *user);
/* Forgets an apply that still waits for the hub. */
void leaf_apply_cancel(struct leaf *leaf);

/* leaf_life.c */
struct leaf_life_order {
    const char *product; /* without the domain, which is this leaf's */
    uint32_t major;
    bool restore; /* else remove */
    const char *user;
};
enum sf_code leaf_removals_load(struct leaf *leaf, struct sf_error *err);
void leaf_life_http(struct leaf *leaf, struct sf_http_request *r,
                    const struct leaf_life_order *order);
/* Forgets a change that still waits for the hub. */
void leaf_life_cancel(struct leaf *leaf);
/* Whether a change of this major is under way. */
bool leaf_life_is_about(const struct leaf *leaf, const struct product_removal *removal);

/* leaf_purge.c: the rows of a removed major, which go for good */
enum sf_code leaf_purge_new(struct leaf *leaf, struct sf_error *err) SF_MUST_CHECK;
void leaf_purge_free(struct leaf *leaf); /* after the store is closed */
/* Whether its rows go from now on, so that it cannot be brought back. */
bool leaf_purge_is_due(const struct leaf *leaf, const struct product_removal *removal);
/* Whether nothing of the lane is to be kept. */
bool leaf_purge_wants(struct leaf *leaf, const struct store_lane *lane);
/* A round of the retainer has looked at all lanes. */
void leaf_purge_round(struct leaf *leaf);
bool leaf_purge_is_busy(const struct leaf *leaf);

/* leaf_sources.c: JetStream streams as sources of records. */
struct leaf_sources;
enum sf_code leaf_sources_start(struct leaf *leaf, struct sf_error *err) SF_MUST_CHECK;
/* The leaf's own connection came or went. */
void leaf_sources_bus_changed(struct leaf *leaf);
/* Reads the file again: those that are new or changed begin, those that it names no more end, and
 * when anything is wrong with it, all goes on as it is. */
void leaf_sources_reload(struct leaf *leaf);
/* Takes nothing more; what ends is counted in leaf->closing, and so are the connections. */
void leaf_sources_close(struct leaf *leaf);
void leaf_sources_done(struct leaf *leaf);
/* An array: how each of them stands. */
void leaf_sources_write(const struct leaf *leaf, struct sf_json_writer *w);

/* leaf_service.c */
enum sf_code leaf_service_new(struct leaf *leaf, struct leaf_service **ret,
                              struct sf_error *err) SF_MUST_CHECK;
void leaf_service_free(struct leaf_service *s); /* NULL is fine */

/* leaf_quality.c */
enum sf_code leaf_quality_open(struct leaf *leaf, struct sf_error *err);
void leaf_quality_update(struct leaf *leaf);
/* Before the store is closed; @closed as one of leaf->closing. */
void leaf_quality_stop(struct leaf *leaf, void (*closed)(void *data));
bool leaf_quality_is_quiet(const struct leaf *leaf);
void leaf_quality_done(struct leaf *leaf);
enum sf_code leaf_quality_nats(void *data, struct sf_bus *bus, const char *reply, const char *op,
                               const struct serving_right *right, const char *table,
                               bool *ret_known, struct sf_error *err);
/* Checks of a table that do not hold, and whether it is older than promised. */
void leaf_quality_verdicts(const struct leaf *leaf, const struct served_table *table,
                           uint32_t *ret_failing, bool *ret_stale);

/* leaf_api.c */
void leaf_api_handle(struct sf_http_request *r, void *data);
bool leaf_api_takes_pieces(const struct sf_http_request *r, void *data);

/* leaf_status.c */
void leaf_metrics_register(struct leaf *leaf);
void leaf_metrics_http(struct leaf *leaf, struct sf_http_request *r);
void leaf_status_http(struct leaf *leaf, struct sf_http_request *r);
void leaf_products_http(struct leaf *leaf, struct sf_http_request *r);
/* livez: the process answers. readyz: it can take and serve data of its own domain. */
void leaf_livez_http(struct sf_http_request *r);
void leaf_readyz_http(struct leaf *leaf, struct sf_http_request *r);

/* leaf_admin.c */
void leaf_admin_init(struct leaf *leaf);
/* Answers /v1/leaf/check and /v1/leaf/backup; false: it is another path. */
bool leaf_admin_http(struct leaf *leaf, struct sf_http_request *r);
void leaf_admin_cancel(struct leaf *leaf);
bool leaf_admin_is_quiet(const struct leaf *leaf);
/* Before the store is closed: what has ended holds it, too. */
void leaf_admin_done(struct leaf *leaf);

/* leaf_store.c */
enum sf_code leaf_store_open(struct leaf *leaf, struct sf_error *err) SF_MUST_CHECK;
/* Another leaf of this domain goes on: nothing is acknowledged any more, and this one stops. */
void leaf_store_fenced(struct leaf *leaf, const char *why);
/* Every second: begins the stop that leaf_run() ends with LEAF_AGAIN when there is space again. */
void leaf_store_tick(struct leaf *leaf);
/* Where the head record stands. */
void leaf_heads_path(const struct leaf_config *config, char ret[LEAF_PATH_BYTES]);

/* leaf_limits.c */
void leaf_limits_register(struct leaf *leaf);
/* Brings the metrics up to what is. */
void leaf_limits_scrape(struct leaf *leaf);
/* Puts leaf->limits into force. */
void leaf_limits_apply(struct leaf *leaf);
void leaf_limits_start(struct leaf *leaf);
void leaf_limits_stop(struct leaf *leaf);

/* leaf_drain.c */
/* Answers @r when the leaf takes nothing new. */
bool leaf_drain_refuses(const struct leaf *leaf, struct sf_http_request *r);
/* GET, POST, DELETE of /v1/leaf/drain. */
void leaf_drain_http(struct leaf *leaf, struct sf_http_request *r);

/* leaf_reload.c */
void leaf_reload(struct leaf *leaf);
void leaf_reload_done(struct leaf *leaf);
void leaf_settings_http(struct leaf *leaf, struct sf_http_request *r);

/* leaf.c */
void leaf_begin_stop(struct leaf *leaf, int exit_status);
/* Tells the service manager that the leaf serves. */
void leaf_notify_ready(struct leaf *leaf);
