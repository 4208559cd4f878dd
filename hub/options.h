/* Command line of sheaf-hub. */
#pragma once

#include "common/sys/config.h"
#include "common/sys/log.h"
#include "hub/hub.h"

struct options {
    struct sf_config *config; /* owned; the texts below point into it and argv */
    struct hub_options hub;
    struct sf_log_options log;
    char address[64];
    bool help; /* the text was printed, there is nothing else to do */
};

/* @environment ends with NULL. SF_INVALID (E0801), SF_NOMEM. */
enum sf_code options_parse(int argc, const char *const *argv, const char *const *environment,
                           struct options *ret, struct sf_error *err) SF_MUST_CHECK;
void options_done(struct options *o);
