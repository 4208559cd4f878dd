/*
 * The settings of sheaf-leaf: one table, from which flags, environment, configuration file, --help
 * and docs/reference/settings.md come. What one adds here, leaf_config_read() puts into the struct.
 */
#pragma once

#include "common/settings/settings.h"
#include "common/sys/log.h"

struct leaf_config {
    struct sf_settings settings;    /* owned; the texts below point into it */
    struct sf_config_source source; /* from where it is read again */
    bool check_only;                /* --check-config */
    const char *data_dir;
    const char *domain;
    const char *head_record;     /* NULL: <data>/heads */
    const char *hub_url;         /* NULL: as joined before, or not joined */
    const char *join_token_file; /* NULL: none */
    char http_address[64];
    uint16_t http_port;
    uint16_t nats_port;      /* 0: a free one */
    const char *nats_server; /* NULL: looked for */
    struct sf_log_options log;
    uint64_t memory_bytes; /* the cap on all below; 0: none, each stands for itself */
    size_t cache_bytes;
    size_t get_cache_bytes;
    size_t positions_bytes;
    size_t write_buffer_bytes;
    size_t body_bytes_max;
    size_t inflated_bytes_max;
    uint64_t quarantine_bytes_max;
    uint64_t dedupe_max;
    size_t pending_bytes_max;
    const char *sources;          /* path; NULL: none */
    uint64_t jetstream_bytes_max; /* 0: without JetStream */
    size_t streams_max;
    uint64_t stream_batch_records;
    size_t stream_batch_bytes;
    size_t answers_bytes_max;
    size_t commit_queue_bytes_max;
    size_t nats_pending_bytes_max; /* of one connection, each way */
    size_t connections_max;
    size_t queries_max;
    size_t follows_max;
    size_t feeds_max;
    uint64_t disk_reserve_bytes; /* 0: by the size of the disk */
    int64_t quarantine_keep_us;  /* 0: for ever */
    uint64_t retain_every_ns;
};

/*
 * Texts of argv and environment are borrowed. SF_INVALID: text for the user; what is wrong with the
 * configuration file stands in @report. SF_NOMEM.
 */
enum sf_code leaf_config_read(int argc, const char *const *argv, const char *const *environment,
                              struct leaf_config *ret, struct sf_buf *report,
                              struct sf_error *err) SF_MUST_CHECK;
/* The same once more, as the file stands now. */
enum sf_code leaf_config_reread(const struct leaf_config *c, struct leaf_config *ret,
                                struct sf_buf *report, struct sf_error *err) SF_MUST_CHECK;
void leaf_config_done(struct leaf_config *c);
void leaf_config_help(struct sf_buf *out);
/* The manual page sheaf-leaf(8). */
void leaf_config_man(struct sf_buf *out);
