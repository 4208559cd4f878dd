/*
 * `sheaf dev`: a hub and leaves as child processes, brought up in order, kept running, stopped in
 * order. What stands is written to <data>/dev.json whenever it changes.
 *
 *   Threads   Loop thread; HTTP probes run on the query pool.
 *   Order     The hub is ready before the first leaf starts. on_up runs once, when everything that
 *             was asked for is ready; dev_mesh_run() returns after everything has ended.
 *   Limits    CONTEXT_LEAVES_MAX leaves. Bringing up takes at most 60 s.
 *   Errors    A child that ends three times before it was ever ready ends the whole, with the last
 *             line of its log; so does a deadline. A data directory that is removed ends it too.
 */
#pragma once

#include "cli/cli.h"
#include "cli/context.h"

struct dev_options {
    const char *data_dir;
    const char *leaves[CONTEXT_LEAVES_MAX]; /* domains asked for; those of the data join them */
    size_t leaf_count;
    uint16_t http_port; /* first to try */
    uint16_t nats_port;
    void (*on_up)(void *data);
    void *data;
};

/*
 * Runs until SIGINT or SIGTERM. SIGHUP takes up the leaves that dev_mesh_ask() left.
 * SF_CONFLICT, E0805: a mesh runs on this data. E0801: no leaf is named and none is there.
 */
enum sf_code dev_mesh_run(const struct dev_options *o, struct sf_error *err) SF_MUST_CHECK;
/* Whether one runs on this data. */
bool dev_mesh_is_running(const char *data_dir);
/* Asks the one that runs, whose supervisor is @pid, for more leaves. */
enum sf_code dev_mesh_ask(const char *data_dir, int64_t pid, const char *const *leaves,
                          size_t count, struct sf_error *err) SF_MUST_CHECK;
