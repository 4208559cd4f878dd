/* A connection to a leaf's nats-server as an app of its domain, for benchmarks; failures end the
 * program. */
#pragma once

#include "common/bus/bus_nats.h"

struct app_bus {
    struct sf_bus *bus;
    void (*on_up)(void *data);
    void *data;
    char nkey[64];
};

void app_bus_must(enum sf_code code);
/* @on_up runs at the first connection. */
void app_bus_open(struct app_bus *b, struct sf_rt *rt, const char *url, const char *seed_file,
                  void (*on_up)(void *data), void *data);
