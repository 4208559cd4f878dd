/*
 * A leaf's requests over a fake bus, and somebody who asks: for the tests of what is read over
 * NATS.
 *
 *   Threads   One.
 */
#pragma once

#include "common/bus/service.h"
#include "leaf/query/query_nats.h"
#include "tests/lib/fake_bus.h"
#include "tests/lib/leaf_world.h"

struct fixture {
    struct leaf_world w;
    struct queries *queries;
    struct fake_broker *broker;
    struct sf_bus *bus;
    struct query_nats *own;    /* q.sales.> */
    struct query_nats *others; /* dpq.sales.*.> */
    struct sf_bus *asker;
    struct sf_bus_sub inbox;
    const char *roles; /* Sheaf-Roles of requests; NULL: none */
    unsigned messages;
    unsigned ends; /* empty messages without headers */
    char answer[16384];
    char error[32];    /* Sheaf-Error */
    char event[16];    /* Sheaf-Event */
    char flow[24];     /* Sheaf-Flow */
    char status[8];    /* Nats-Service-Error-Code */
    char position[64]; /* of the last page */
    char head[64];
    char count[32];
    char cursor[QUERY_CURSOR_MAX];
    size_t bytes;
};

void setup(struct fixture *f);
void teardown(struct fixture *f);
/* Publishes, and waits for nothing. */
void send_request(struct fixture *f, const char *subject, const char *body);
/* From the request to the end of its answer. */
void ask(struct fixture *f, const char *subject, const char *body);
/* That the answer was that problem. */
void assert_error(struct fixture *f, const char *id, const char *status);
/* Orders a and b. */
void put_two(struct fixture *f);
