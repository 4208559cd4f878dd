/*
 * The hub: root object. Owns the nats-server, the connections to it, the event log, the state that
 * follows from it, and the interfaces; starts them in order and stops them in the opposite one.
 *
 *   Threads   Loop thread.
 *   Close     hub_stop() ends everything in order; on_stopped runs once, then hub_free().
 */
#pragma once

#include <stddef.h>

#include "common/base/error.h"

struct hub;
struct rt_uv;

struct hub_options { /* all borrowed as long as the hub */
    const char *data_dir;
    const char *address; /* of HTTP; loopback only, as long as there is no TLS */
    uint16_t http_port;  /* 0, here and below: what it was in the last run, else any free one */
    uint16_t nats_port;
    uint16_t leafnode_port;
    int64_t bundle_life_us;  /* a leaf serves others for so long without word from the hub */
    size_t domain_requests_max; /* of one domain, waiting and under way; see turns.h */
    const char *nats_server; /* path; NULL: looked for */
    /* The hub serves. */
    void (*on_ready)(void *data, struct hub *h);
    /* It cannot start, or cannot go on; hub_stop() is for the caller. Once. */
    void (*on_failed)(void *data, const struct sf_error *err);
    void (*on_stopped)(void *data);
    void *data;
};

/*
 * Takes the data directory and starts; on_ready or on_failed follows. SF_CONFLICT: E0606 the
 * directory is in use, E0607 it is of another version, E0701 a port is in use. SF_INVALID: the
 * address is not loopback. SF_ABSENT: E0702. SF_DENIED, SF_IO, SF_CORRUPT: of the directory.
 * SF_NOMEM.
 */
enum sf_code hub_new(struct rt_uv *uv, const struct hub_options *o, struct hub **ret,
                     struct sf_error *err) SF_MUST_CHECK;
void hub_stop(struct hub *h);
/* Only when stopped. NULL is fine. */
void hub_free(struct hub *h);

struct hub_ports {
    uint16_t http;
    uint16_t nats;
    uint16_t leafnode;
};
struct hub_ports hub_ports_of(const struct hub *h);
