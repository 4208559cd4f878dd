/*
 * A whole leaf in the process of its test, with a nats-server of its own: what fails can be chosen
 * to the call, and what stands in the leaf be looked at. It has joined a mesh, whose hub is away.
 *
 * All functions fail the test on what they cannot do.
 *
 *   Threads   The test's; the leaf's loop is one of its own.
 */
#pragma once

#include <pthread.h>

#include "leaf/leaf_private.h"
#include "tests/lib/raw_http.h"
#include "tests/lib/tmpdir.h"

struct leaf_inside {
    struct tmpdir tmp; /* its data directory */
    struct leaf_config config;
    char http[32]; /* borrowed by the settings */
    char nats[16];
    struct leaf *leaf;
    pthread_t thread;
    int status; /* of its end */
    uint16_t port;
    uint16_t nats_port;
    char authorization[1200];
    struct raw_http_answer answer; /* the last */
};

/* Makes the directory, and in it what joining leaves behind. What the test's own thread allocates
 * fails no more until leaf_inside_done(). */
void leaf_inside_init(struct leaf_inside *l);
void leaf_inside_done(struct leaf_inside *l);

/* Its loop does not run yet: what it consists of may be exchanged. */
void leaf_inside_open(struct leaf_inside *l);
/* Returns once it is ready. */
void leaf_inside_run(struct leaf_inside *l);
/* Ends it as SIGTERM does. */
void leaf_inside_stop(struct leaf_inside *l);

/* Asks with its domain's token; the allocation behind the next @fault ones fails, whoever makes it.
 * -1: none does. Whether one has failed. */
bool leaf_inside_ask(struct leaf_inside *l, const char *method, const char *path, const char *body,
                     long fault);
/* Calls @holds on the loop of the leaf, every millisecond until it does, for @deadline_ms at most.
 * Allocates nothing. */
void leaf_inside_until(struct leaf_inside *l, bool (*holds)(struct leaf *leaf, void *data),
                       void *data, const char *what, unsigned deadline_ms);
