/*
 * What the hub's interfaces work on: registry, log, keys, claims and leases, and how one event
 * changes them all.
 *
 *   Threads   Loop thread.
 *   Memory    Everything is borrowed but the leases and the directory.
 */
#pragma once

#include "common/sys/metrics.h"
#include "common/sys/steady.h"
#include "hub/api/lease.h"
#include "hub/api/turns.h"
#include "hub/claims/account_claims.h"
#include "hub/claims/pusher.h"
#include "hub/events/event_log.h"
#include "hub/registry/registry.h"

struct hub_state {
    struct sf_rt *rt;
    struct sf_steady clock;  /* of tokens */
    struct sf_bus *mesh_bus; /* account MESH; set before the log is opened */
    struct authority *keys;
    struct event_log *log; /* NULL before it is opened */
    struct pusher *pusher; /* NULL before SYS is connected: nothing is pushed then */
    struct registry registry;
    struct directory directory;
    int64_t bundle_life_us;
    size_t domain_requests_max;
    struct sf_metrics metrics;
    struct turns turns;
    struct leases leases;
    char mesh_account[SF_NKEY_TEXT_MAX];
    char system_account[SF_NKEY_TEXT_MAX];
    char nats_url[64];
    char leafnode_url[64];
    char nats_version[32];
    char operator_jwt[1024];
    struct sf_timer expiry; /* of the grant that ends first */
    struct event_append expire_op;
    bool expiring;      /* expire_op is under way */
    size_t audit_pages; /* being read from the log */
    bool open;          /* the log has been read: changes are made and pushed from now on */
};

/* @s->rt, @s->keys, @s->bundle_life_us and @s->domain_requests_max are set. Derives the keys of SYS
 * and MESH. SF_NOMEM. */
enum sf_code state_init(struct hub_state *s, struct sf_error *err) SF_MUST_CHECK;
void state_done(struct hub_state *s);

/* The registry takes the event in, and when the log is open, claims are pushed and bundles renewed.
 */
enum sf_code state_on_event(struct hub_state *s, const struct event_record *r,
                            struct sf_error *err) SF_MUST_CHECK;
/* The whole log has been read: writes all claims into the directory and starts what waits on the
 * clock. SF_NOMEM, SF_BUSY. */
enum sf_code state_open(struct hub_state *s, struct sf_error *err) SF_MUST_CHECK;
/* Whether the JWT of the consumer has room for the imports of one more grant, that of @q. SF_BUSY
 * (E0602): it has not. SF_NOMEM. */
enum sf_code state_check_claims(const struct hub_state *s, const struct registry_request *q,
                                struct sf_error *err) SF_MUST_CHECK;
/* Claims of SYS and MESH, for the first start of the server. SF_NOMEM. */
enum sf_code state_put_own_claims(struct hub_state *s, struct sf_error *err) SF_MUST_CHECK;
/* Stops timers and cancels what is under way; before log and pusher are closed. */
void state_close(struct hub_state *s);
