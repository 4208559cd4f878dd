/*
 * Settings of a program: one table, read from flags, the environment and what a file says.
 *
 * A setting "data-dir" is --data-dir X or --data-dir=X, SHEAF_DATA_DIR in the environment, and
 * `data-dir: X` in the file (which settings.h reads). A flag wins over the environment, the
 * environment over the file, the file over the default. A switch may stand alone (--verbose).
 * Unknown flags, SHEAF_ variables that neither the table nor another program has, repeated flags,
 * and values out of range are errors. Secrets are never settings: only paths to them are.
 *
 *   Memory    The table, argv, environment and entries are borrowed as long as the configuration.
 *   Threads   Any, once parsed: it does not change.
 */
#pragma once

#include <stdint.h>

#include "common/base/attr.h"
#include "common/base/buf.h"
#include "common/base/error.h"

enum sf_setting_type {
    SF_SETTING_TEXT,     /* min and max: bytes */
    SF_SETTING_SWITCH,   /* true, false */
    SF_SETTING_NUMBER,   /* an integer */
    SF_SETTING_DURATION, /* "250ms", "30s", "5m", "1h"; kept in milliseconds */
    SF_SETTING_SIZE,     /* "512", "64KiB", "64MiB", "2GiB"; kept in bytes */
};

struct sf_setting {
    const char *key; /* lower-case words with '-' */
    enum sf_setting_type type;
    bool reloadable;  /* a new value in the file takes effect on SIGHUP, without a restart */
    bool not_in_file; /* only a flag or a variable */
    const char *default_text;   /* as the user would write it; NULL: not set */
    int64_t min;                /* in the unit kept */
    int64_t max;                /* 0 with min 0: no limits */
    const char *doc;            /* one sentence */
    const char *const *choices; /* of a text: all it may be, ends with NULL; NULL: anything */
    /* Of a text: NULL when it is fine, else what it should be ("ADDRESS:PORT"), static. */
    const char *(*check)(const char *text);
};

enum sf_setting_origin {
    SF_ORIGIN_UNSET,
    SF_ORIGIN_DEFAULT,
    SF_ORIGIN_DERIVED, /* another setting decides it: sf_config_derive() */
    SF_ORIGIN_FILE,
    SF_ORIGIN_ENVIRONMENT,
    SF_ORIGIN_FLAG,
};

struct sf_config;

/* What a file says of a setting: known, allowed there, and its value checked. */
struct sf_config_entry {
    const char *key;
    const char *text;
    uint32_t line;
};

struct sf_config_source {
    const struct sf_setting *table;
    size_t table_count;
    int argc; /* without the program's name and commands in front */
    const char *const *argv;
    const char *const *environment; /* ends with NULL; NULL: none is read */
    /* SHEAF_ variables that are passed over when the table has no such setting, ends with NULL;
     * NULL: none. */
    const char *const *others;
    const struct sf_config_entry *entries; /* of the file; NULL: none */
    size_t entry_count;
};

/* SF_INVALID: text names flag or variable, and what is allowed. SF_NOMEM. */
enum sf_code sf_config_parse(const struct sf_config_source *source, struct sf_config **ret,
                             struct sf_error *err) SF_MUST_CHECK;
void sf_config_free(struct sf_config *c);
SF_DEFINE_CLEANUP(struct sf_config, sf_config_free)

/* Asking for a key that is not in the table, or by the wrong type, is a bug. */
const char *sf_config_text(const struct sf_config *c, const char *key); /* NULL: not set */
bool sf_config_switch(const struct sf_config *c, const char *key);      /* not set: false */
/* Number, milliseconds or bytes; 0 when not set. */
int64_t sf_config_number(const struct sf_config *c, const char *key);
enum sf_setting_origin sf_config_origin(const struct sf_config *c, const char *key);

/* Gives a number, duration or size that nobody has set (its origin is the default) @number. */
void sf_config_derive(struct sf_config *c, const char *key, int64_t number);

/* Setting number @i of the table as it stands. */
struct sf_config_item {
    const struct sf_setting *setting;
    enum sf_setting_origin origin;
    const char *text; /* as it was written; NULL: not set */
    uint32_t line;    /* of the file, when it comes from there */
};
size_t sf_config_count(const struct sf_config *c);
struct sf_config_item sf_config_item(const struct sf_config *c, size_t i);

/* The setting called so, or NULL. */
const struct sf_setting *sf_setting_find(const struct sf_setting *table, size_t count,
                                         struct sf_slice key);
/* Whether @text is a value of @s; else appends to @why what is wrong: "'x' is not a whole ...". */
bool sf_setting_check(const struct sf_setting *s, const char *text, struct sf_buf *why);

/* Appends the part of --help that lists the settings: flag, doc, default, range, variable. */
void sf_config_help(const struct sf_setting *table, size_t count, struct sf_buf *b);
