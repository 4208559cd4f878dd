/*
 * Log events: one line each, a stable name and typed fields. Row values never go in.
 *
 *   Threads   Any, after sf_log_open(). Before it, events of level warn and above go to stderr.
 *   Limits    An event is at most 4 KiB (cut at a field). Of one event name at most 20 lines go out
 *             in 10 s, then one that says how many were left out; debug is not limited.
 *   Errors    A line that cannot be written is dropped; logging never fails its caller.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"

enum sf_log_level {
    SF_LOG_ERROR, /* somebody must act */
    SF_LOG_WARN,  /* we coped; the event says how */
    SF_LOG_INFO,  /* state of long-lived objects */
    SF_LOG_DEBUG,
};

enum sf_log_format {
    SF_LOG_LOGFMT,
    SF_LOG_JSON,
};

struct sf_log_options {
    enum sf_log_level level; /* events above it are dropped */
    enum sf_log_format format;
    const char *path; /* appended to; NULL: stderr */
};

/* May be called again, then it switches over. SF_IO, SF_DENIED, SF_ABSENT: the file. */
enum sf_code sf_log_open(const struct sf_log_options *options, struct sf_error *err) SF_MUST_CHECK;
/* Opens the file anew, after it was rotated. */
enum sf_code sf_log_reopen(struct sf_error *err) SF_MUST_CHECK;
/* Back to the state before sf_log_open(). */
void sf_log_close(void);
bool sf_log_wants(enum sf_log_level level);
/* "error", "warn", "info", "debug". SF_INVALID. */
enum sf_code sf_log_level_parse(const char *text, enum sf_log_level *ret,
                                struct sf_error *err) SF_MUST_CHECK;

enum sf_log_kind {
    SF_LOG_END_,
    SF_LOG_TEXT_,
    SF_LOG_INT_,
    SF_LOG_UINT_,
    SF_LOG_REAL_,
    SF_LOG_BOOL_,
    SF_LOG_FAULT_,
};

struct sf_log_field {
    enum sf_log_kind kind;
    const char *key; /* lower_case; unit last */
    union {
        const char *text; /* NULL prints as empty */
        int64_t number;
        uint64_t count;
        double real;
        bool truth;
        const struct sf_error *error;
    };
};

#define SF_F_TEXT(k, v) ((struct sf_log_field){.kind = SF_LOG_TEXT_, .key = (k), .text = (v)})
#define SF_F_INT(k, v)  ((struct sf_log_field){.kind = SF_LOG_INT_, .key = (k), .number = (v)})
#define SF_F_UINT(k, v) ((struct sf_log_field){.kind = SF_LOG_UINT_, .key = (k), .count = (v)})
#define SF_F_REAL(k, v) ((struct sf_log_field){.kind = SF_LOG_REAL_, .key = (k), .real = (v)})
#define SF_F_BOOL(k, v) ((struct sf_log_field){.kind = SF_LOG_BOOL_, .key = (k), .truth = (v)})
/* The fields code, error, where, and number when it has one. */
#define SF_F_ERROR(e) ((struct sf_log_field){.kind = SF_LOG_FAULT_, .key = "error", .error = (e)})

/*
 * sf_log(SF_LOG_INFO, "leaf.started", SF_F_TEXT("domain", d), SF_F_UINT("port", port));
 * The name is a literal: <module>.<what_happened>.
 */
#define sf_log(level, event, ...)                                                                  \
    sf_log_event((level), "" event,                                                                \
                 (const struct sf_log_field[]){__VA_ARGS__ __VA_OPT__(, ){SF_LOG_END_}})
/* @fields end with SF_LOG_END_. */
void sf_log_event(enum sf_log_level level, const char *event, const struct sf_log_field *fields);
