/* The settings of sheaf-leaf: one table, from which flags, environment and --help come. */
#pragma once

#include "common/sys/config.h"
#include "common/sys/log.h"

struct leaf_config {
    struct sf_config *values; /* owned; the texts below point into it */
    const char *data_dir;
    const char *domain;
    const char *hub_url;         /* NULL: as joined before, or not joined */
    const char *join_token_file; /* NULL: none */
    char http_address[64];
    uint16_t http_port;
    uint16_t nats_port;      /* 0: a free one */
    const char *nats_server; /* NULL: looked for */
    struct sf_log_options log;
    size_t body_bytes_max;
    size_t inflated_bytes_max;
    size_t pending_bytes_max;
    size_t connections_max;
    size_t cache_bytes;
    uint64_t disk_reserve_bytes; /* 0: by the size of the disk */
};

/* SF_INVALID: text for the user. SF_NOMEM. */
enum sf_code leaf_config_read(int argc, const char *const *argv, const char *const *environment,
                              struct leaf_config *ret, struct sf_error *err) SF_MUST_CHECK;
void leaf_config_done(struct leaf_config *c);
void leaf_config_help(struct sf_buf *out);
