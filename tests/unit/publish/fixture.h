/* A publisher in the inside of a leaf, and one who listens to everything. */
#pragma once

#include "leaf/publish/feed.h"
#include "leaf/publish/publisher.h"
#include "tests/lib/fake_bus.h"
#include "tests/lib/leaf_world.h"

struct fixture {
    struct leaf_world w;
    struct sf_metrics metrics;
    struct fake_broker *broker;
    struct sf_bus *serve;
    struct sf_bus *own;
    struct sf_bus_sub subs[2];
    struct sf_bus *consumer;
    struct publisher *publisher;
    struct sf_buf seen; /* "aud1.clicks 1:1-2 prev 0" per message */
    bool heartbeats;    /* show them too */
    bool governed;      /* of "aud1" only, with the version of the policies and the body */
    bool closed;
    size_t feeds_max;
    uint64_t version;
    bool revoked; /* nothing may be published for "aud1" */
};

void setup(struct fixture *f);
void teardown(struct fixture *f);
/* The publisher alone. */
void start(struct fixture *f);
void stop(struct fixture *f);
/* Stores @count changes of "clicks", in one write. */
void click(struct fixture *f, unsigned count);
/* Runs for a while and compares what was published since the last time. */
void assert_seen(struct fixture *f, const char *wanted);
/* The same of what one round of heartbeats says. */
void assert_heartbeats(struct fixture *f, const char *wanted);
/* The next bundle, in force. */
void grant_all(struct fixture *f, const struct world_grant *grants, size_t count);
