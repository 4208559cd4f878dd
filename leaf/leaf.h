/*
 * The leaf as a whole: owns every service, starts them in order, stops them in reverse.
 *
 *   Start    keys and identity (joining when needed), store, products and bundle as stored,
 *            nats-server, connections, services, HTTP. All but joining works without the hub.
 *   Stop     HTTP and sources first, then what reads and publishes, then the store (which commits
 *            what is queued), connections, nats-server.
 *   Threads  Main thread.
 */
#pragma once

#include "common/sys/metrics.h"
#include "common/sys/rt_uv.h"
#include "leaf/leaf_config.h"
#include "leaf/serving/serving.h"
#include "leaf/uplink/identity.h"

struct leaf;

/* Everything up to taking requests. Any error is fatal: the caller prints it. */
enum sf_code leaf_new(const struct leaf_config *config, struct leaf **ret,
                      struct sf_error *err) SF_MUST_CHECK;
/*
 * Runs until SIGTERM or SIGINT, or a failure that leaves nothing to serve; then stops and frees.
 * Returns the exit status; LEAF_AGAIN: the store failed for want of space, there is some again, and
 * the leaf wants to be started anew (RocksDB must be opened again, nothing less cures it).
 */
enum { LEAF_AGAIN = 75 };
int leaf_run(struct leaf *leaf);

/* Blocks until the file system of the data directory has room to start with; a full one would end
 * every start half way. Logs that it waits. */
void leaf_wait_for_space(const struct leaf_config *config);
