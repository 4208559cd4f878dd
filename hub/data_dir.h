/*
 * The hub's directory: lock, format, paths, and hub.json, which tells others where it runs.
 *
 *   FORMAT  "sheaf-hub 1"     keys/     0600, see claims/authority.h
 *   LOCK    held while running          accounts/ current JWT of every account
 *   hub.json                            nats/     configuration, JetStream, cache of the resolver
 *                                       log/      nats-server.log
 */
#pragma once

#include "common/sys/file.h"

enum { DATA_PATH_MAX = 4096 };

struct data_dir {
    struct sf_lock lock;
    char root[DATA_PATH_MAX - 64];
};

/* What hub.json says; zeroed where it says nothing. */
struct data_dir_ports {
    uint16_t http;
    uint16_t nats;
    uint16_t leafnode;
};

/* SF_CONFLICT (E0606: in use; E0607: another version), SF_INVALID: path too long; file codes. */
enum sf_code data_dir_open(const char *path, struct data_dir *ret,
                           struct sf_error *err) SF_MUST_CHECK;
void data_dir_done(struct data_dir *d);
/* <root>/<name>; @ret has DATA_PATH_MAX bytes. */
void data_dir_path(const struct data_dir *d, const char *name, char *ret);
/* Whether a hub served from here before. */
bool data_dir_has_run(const struct data_dir *d);
/* Ports of the last run, so that a restarted hub is found where it was. */
struct data_dir_ports data_dir_last_ports(const struct data_dir *d);
