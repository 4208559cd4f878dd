/*
 * Configurations of nats-server, hub and leaf: the rules of the NATS layer of the record (DESIGN 2)
 * as text. Pure: values in, text out.
 *
 *   Limits    max_payload rises towards the hub: leaf server 4160 KB, domain accounts 4 MiB
 *             (SF_NATSD_ACCOUNT_PAYLOAD), hub 8 MB. A message above the next server's limit would
 *             close the leafnode link without a word, and a service import adds about 100 bytes.
 *   Errors    Failure of @ret is sticky (sf_buf_check).
 */
#pragma once

#include "common/base/buf.h"

enum { SF_NATSD_ACCOUNT_PAYLOAD = 4 * 1024 * 1024 };

struct sf_natsd_preload {
    const char *account; /* public key */
    const char *jwt;
};

struct sf_natsd_hub {
    const char *name; /* server_name */
    uint16_t client_port;
    uint16_t leafnode_port;
    uint16_t monitor_port; /* on loopback; 0: none */
    const char *log_path;
    const char *jetstream_dir;
    const char *cache_dir; /* of the resolver; the supervisor wipes it before each start */
    const char *operator_jwt;
    const char *system_account;              /* public key */
    const struct sf_natsd_preload *accounts; /* every account's current JWT */
    size_t account_count;
};

void sf_natsd_config_hub(const struct sf_natsd_hub *c, struct sf_buf *ret);

/*
 * Users are nkeys (public texts). The accounts of a leaf are named <domain>, <domain>.serve and SYS
 * in its configuration; the hub's names are in the credentials.
 */
struct sf_natsd_leaf {
    const char *name; /* server_name */
    const char *domain;
    uint16_t client_port;
    uint16_t monitor_port;
    const char *log_path;
    const char *process_user;       /* the leaf process in <domain>... */
    const char *process_serve_user; /* ...and in <domain>.serve: an nkey belongs to one account */
    const char *const *app_users;   /* in <domain>: may not publish what the hub delivers */
    size_t app_user_count;
    const char *system_user;      /* of SYS */
    const char *hub_url;          /* "nats-leaf://127.0.0.1:7422"; NULL: no remotes (not joined) */
    const char *creds_path;       /* of <domain> */
    const char *serve_creds_path; /* of <domain>.serve */
    const char *jetstream_dir;    /* for streams of the domain's account; NULL: without JetStream */
    uint64_t jetstream_bytes_max; /* of all its streams on disk */
};

void sf_natsd_config_leaf(const struct sf_natsd_leaf *c, struct sf_buf *ret);
