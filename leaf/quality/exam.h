/*
 * What checks of a table need beyond its statistics: exact numbers of different values, counted
 * while all rows are gone through.
 *
 *   Memory   8 to 16 bytes for each different value of a check, EXAM_BYTES_MAX in all; a check that
 *            does not fit is answered by an estimate.
 *   Threads  One at a time.
 */
#pragma once

#include "common/contract/check.h"
#include "leaf/quality/table_stats.h"

enum { EXAM_BYTES_MAX = 64 * 1024 * 1024 };

struct exam;

/* For the checks of @table that ask for different values; *ret NULL: none does. SF_NOMEM. */
enum sf_code exam_new(const struct sf_table *table, struct exam **ret,
                      struct sf_error *err) SF_MUST_CHECK;
void exam_free(struct exam *e); /* NULL is fine */

/* A row, encoded under version @of of the table. SF_CORRUPT, SF_NOMEM. */
enum sf_code exam_add(struct exam *e, const struct sf_table *of, struct sf_slice row,
                      struct sf_error *err) SF_MUST_CHECK;

/* How a check turned out. */
enum check_status {
    CHECK_PASS,
    CHECK_FAIL,
    CHECK_UNKNOWN, /* no rows to say it of, or an estimate that is too near to the limit */
};

struct check_result {
    enum check_status status;
    bool has_actual;
    double actual;  /* a percentage when the check is of one */
    bool estimated; /* actual is one */
};

/* What a check is judged by. */
struct check_facts {
    const struct sf_table *table;
    const struct table_stats *stats;
    const struct exam *exam; /* of all rows of stats, or NULL */
    uint64_t quarantined;    /* records ever refused */
    bool loose;              /* bounds may be of rows that are gone */
};
struct check_result check_judge(const struct sf_check *check, const struct check_facts *facts);
const char *check_status_name(enum check_status status);
