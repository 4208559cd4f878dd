/*
 * A hub behind HTTP and the bus in a test: two domains and a product of sales (hub_world.h), a
 * stream that stays, and one call at a time. Functions fail the test on what they cannot do.
 */
#pragma once

#include "common/bus/bus.h"
#include "hub/api/api.h"
#include "hub/api/control.h"
#include "tests/lib/fake_bus.h"
#include "tests/lib/raw_http.h"
#include "tests/lib/test_loop.h"
#include "tests/unit/hub/fake_stream.h"
#include "tests/unit/hub/hub_world.h"

enum { API_WORLD_REQUESTS_MAX = 8 };

/* One hub at a time over one stream, which stays. */
struct api_world {
    struct hub_world hub; /* the events of before */
    struct test_loop loop;
    struct fake_broker *broker;
    struct sf_bus *bus;
    struct fake_stream stream;
    struct authority keys;
    struct hub_state state;
    size_t requests_max;          /* of one domain */
    struct pusher_options pushes; /* without .rt: claims are not pushed */
    struct control *control;
    struct api *api;
    bool opened;
    bool failed; /* the log: the hub has to stop */

    struct sf_bus *leaf;
    struct sf_bus_sub inbox;
    size_t answers;
    unsigned errors; /* of these */
    char last[400];

    struct sf_work work; /* an HTTP call */
    const char *method;
    const char *path;
    const char *body;
    char headers[1200];
    struct raw_http_answer answer;
    bool done;
};

void api_world_init(struct api_world *w);
void api_world_done(struct api_world *w);
/* The hub alone: its stream stays. */
void api_world_start(struct api_world *w);
void api_world_stop(struct api_world *w);

/* From now on calls bear a token of @issuer, made with @key. */
void api_world_sign_as(struct api_world *w, const char *issuer, const struct sf_seed *key);
/* Calls; the answer is w->answer. @fault: the allocation that fails, -1: none. Whether it did. */
bool api_world_ask(struct api_world *w, const char *method, const char *path, const char *body,
                   long fault);
