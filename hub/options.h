/* Settings and command line of sheaf-hub: one table, as leaf/leaf_config.h has for the leaf. */
#pragma once

#include "common/settings/settings.h"
#include "common/sys/log.h"
#include "hub/hub.h"

struct options {
    struct sf_settings settings;    /* owned; the texts below point into it and argv */
    struct sf_config_source source; /* from where it is read again */
    struct hub_options hub;
    struct sf_log_options log;
    char address[64];
    bool help;       /* the text was printed, there is nothing else to do */
    bool check_only; /* --check-config */
};

/*
 * @environment ends with NULL. SF_INVALID: E0801, or the number of what is wrong with the
 * configuration file, which stands in @report. SF_NOMEM.
 */
enum sf_code options_parse(int argc, const char *const *argv, const char *const *environment,
                           struct options *ret, struct sf_buf *report,
                           struct sf_error *err) SF_MUST_CHECK;
/* The same once more, as the file stands now. */
enum sf_code options_reread(const struct options *o, struct options *ret, struct sf_buf *report,
                            struct sf_error *err) SF_MUST_CHECK;
void options_done(struct options *o);
