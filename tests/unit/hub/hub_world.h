/*
 * A mesh in a test: domains with keys, products, requests and grants, made event by event, each
 * sealed, opened and applied as the hub does. Functions fail the test on what they cannot do.
 */
#pragma once

#include "hub/events/event.h"
#include "hub/registry/registry.h"

enum { WORLD_EVENTS_MAX = 64 };

#define WORLD_MESH     "mtest"
#define WORLD_START_US INT64_C(1790000000000000)
#define WORLD_DAY_US   (INT64_C(86400) * 1000000)

#define ORDERS_WITH(version, rest)                                                                 \
    "sheaf: product/v1\n"                                                                          \
    "product: sales/orders\n"                                                                      \
    "version: " version "\n"                                                                       \
    "status: active\n"                                                                             \
    "owner: team-sales\n"                                                                          \
    "description: Orders placed in the web shop, one row per order.\n"                             \
    "tables:\n"                                                                                    \
    "  orders:\n"                                                                                  \
    "    kind: state\n"                                                                            \
    "    key: [order_id]\n"                                                                        \
    "    fields:\n"                                                                                \
    "      order_id: {number: 1, type: string, required: true}\n"                                  \
    "      email: {number: 2, type: string, class: pii}\n"                                         \
    "      country: {number: 3, type: string}\n" rest
#define ORDERS_1_0 ORDERS_WITH("1.0.0", "")

struct hub_world {
    struct sf_seed hub_key;
    struct sf_seed domain_keys[3]; /* of sales, of marketing, of finance */
    const char *consumer;          /* who asks: "marketing" */
    struct registry registry;
    struct event_chain chain;
    int64_t now_us;
    int64_t step_us;                        /* between two events; a second */
    struct sf_buf events[WORLD_EVENTS_MAX]; /* sealed */
    size_t count;
};

/* A pair whose seed is @byte 32 times. */
void world_key(uint8_t byte, struct sf_seed *ret);
/* Creates the mesh (event 1). */
void world_init(struct hub_world *w);
void world_done(struct hub_world *w);
/* Seals, opens and applies @e, step_us after the event before it. */
void world_event(struct hub_world *w, Sheaf__V1__Event *e);

/* Token and join of "sales", "marketing" or "finance": two events. */
void world_join(struct hub_world *w, const char *domain);
/* The product of the file. */
void world_product(struct hub_world *w, const char *yaml);
/* w->consumer asks for sales/orders@1. */
void world_request(struct hub_world *w, const char *const *columns, size_t column_count);

struct world_decision {
    const char *request_id;
    bool approved;
    int64_t until_us;
    const char *const *columns;
    size_t column_count;
    const struct sf_seed *signer; /* NULL: the key of sales */
};
/* Appends the Signed(Decision) to @ret. */
void world_sign_decision(struct hub_world *w, const struct world_decision *d, struct sf_buf *ret);
void world_decide(struct hub_world *w, const struct world_decision *d);
void world_end_grant(struct hub_world *w, const char *grant_id, const char *cause);
