/*
 * Which entries of a quarantine a request is about: by code, by field, by age.
 *
 *   Threads   Pure.
 */
#pragma once

#include "leaf/store/read.h"

struct quarantine_filter {
    uint16_t code;   /* one of the entry's codes; 0: any */
    char field[64];  /* of its first code; "": any */
    int64_t from_us; /* came at or after */
    int64_t to_us;   /* came before; 0: any */
};

/* Parameters as they came; each may be NULL. */
struct quarantine_filter_form {
    const char *code;       /* "SHEAF-E0204", "E0204" or "204" */
    const char *field;      /* a name */
    const char *older_than; /* a span of time: "2d" */
    const char *newer_than;
};

/* SF_INVALID E0301 names the parameter. */
enum sf_code quarantine_filter_read(const struct quarantine_filter_form *form, int64_t now_us,
                                    struct quarantine_filter *ret,
                                    struct sf_error *err) SF_MUST_CHECK;
bool quarantine_filter_takes(const struct quarantine_filter *f, const struct store_quarantined *e);
