/*
 * The settings of a program with their configuration file: one YAML map of names and values.
 *
 *     data: /var/lib/sheaf/sales
 *     domain: sales
 *     body-max: 16MiB
 *
 * The file is the one that the setting "config" names, by flag or variable. Keys that no setting
 * has, keys that are given twice and values that are not allowed are refused with their place. What
 * else a program wants of the values it checks itself, when all are known.
 *
 *   Memory    What the source points to is borrowed, texts of the file are owned.
 *   Threads   Any; nothing changes once read.
 *   Limits    Those of YAML files: 1 MiB.
 */
#pragma once

#include "common/base/arena.h"
#include "common/settings/config.h"
#include "common/wire/json.h"

/* Rows of a program's table for what every program has. */
#define SF_SETTINGS_OWN                                                                            \
    {.key = "config",                                                                              \
     .type = SF_SETTING_TEXT,                                                                      \
     .not_in_file = true,                                                                          \
     .doc = "Configuration file (YAML); read again on SIGHUP."},                                   \
    {                                                                                              \
        .key = "check-config", .type = SF_SETTING_SWITCH, .not_in_file = true,                     \
        .doc = "Print every setting with its value and origin, and end."                           \
    }

struct sf_settings {
    struct sf_config *config; /* owned */
    const char *path;         /* of the file; NULL: none */
    struct sf_arena texts;    /* of the file */
};

/*
 * SF_INVALID: what is wrong with flags or environment is @err's text; what is wrong with the file
 * stands in @report as well, all of it, with places. SF_INVALID, E0804: there is no such file.
 * SF_NOMEM.
 */
enum sf_code sf_settings_read(const struct sf_config_source *source, struct sf_settings *ret,
                              struct sf_buf *report, struct sf_error *err) SF_MUST_CHECK;
void sf_settings_done(struct sf_settings *s);

/* Appends one line per setting: name, value, origin ("default", "leaf.yaml:3", "SHEAF_CACHE"). */
void sf_settings_print(const struct sf_settings *s, struct sf_buf *out);

/*
 * Writes an array of what is in force: @started, and of @latest what is reloadable. A setting whose
 * value in @latest waits for the next start has the member "after_restart".
 */
void sf_settings_write(const struct sf_settings *started, const struct sf_settings *latest,
                       struct sf_json_writer *w);

/* The manual page, in mdoc, from a program's table. */
struct sf_settings_page {
    const char *title;       /* "SHEAF-LEAF" */
    const char *program;     /* "sheaf-leaf" */
    const char *summary;     /* of the line NAME */
    const char *description; /* a paragraph */
    const struct sf_setting *table;
    size_t count;
};
void sf_settings_man(const struct sf_settings_page *page, struct sf_buf *out);

/* Calls @changed for each setting that has another value in @b than in @a; NULL: not set. */
typedef void (*sf_settings_cb)(void *data, const struct sf_setting *s, const char *from,
                               const char *to);
void sf_settings_compare(const struct sf_settings *a, const struct sf_settings *b,
                         sf_settings_cb changed, void *data);
