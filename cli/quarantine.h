/* What the quarantine commands share: where the table is, which entries are meant, one entry. */
#pragma once

#include "cli/catalog.h"

struct quarantine {
    struct cli *cli;
    struct api api;
    struct product_ref ref;
    struct sf_buf path; /* ".../T/quarantine" */
};

/* Opens the table of the first argument, as its owner. */
enum sf_code quarantine_open(struct cli *cli, struct quarantine *ret,
                             struct sf_error *err) SF_MUST_CHECK;
void quarantine_done(struct quarantine *q);

/* Appends "?code=...&field=..." of the flags given; *ret_any: there was one. */
enum sf_code quarantine_filter(struct quarantine *q, struct sf_buf *path, bool *ret_any,
                               struct sf_error *err) SF_MUST_CHECK;
/* The qseq of argument number @i. */
enum sf_code quarantine_number(const struct cli *cli, unsigned i, uint64_t *ret,
                               struct sf_error *err) SF_MUST_CHECK;
/* Asks with @method at the table's path and @more behind it. */
enum sf_code quarantine_call(struct quarantine *q, const char *method, const char *more,
                             const struct sf_json **ret, struct sf_error *err) SF_MUST_CHECK;
/* The entry of argument number 1. */
enum sf_code quarantine_get(struct quarantine *q, uint64_t *ret_qseq, const struct sf_json **ret,
                            struct sf_error *err) SF_MUST_CHECK;
/* "  17: SHEAF-E0204 amount: ..." lines of an answer's errors, to stderr. */
void quarantine_print_errors(struct cli *cli, const struct sf_json *errors);
