/*
 * Checks of a table: what its owner promises of the rows as a whole.
 *
 *     rows >= 1        nulls(email) <= 5%        duplicates(order_id) = 0        max(amount) < 1000
 *
 *     check   = metric op number [ "%" ]
 *     metric  = "rows" | "invalid"
 *             | ( "nulls" | "distinct" | "min" | "max" | "mean" ) "(" field ")"
 *             | "duplicates" "(" field { "," field } ")"
 *     op      = "=" | "!=" | "<" | "<=" | ">" | ">="
 *
 * A percentage is of the rows; of nulls, duplicates and invalid only, the last of all records that
 * came. min, max and mean are of fields that are numbers.
 *
 *   Order    Pure.
 */
#pragma once

#include "common/contract/contract.h"

enum sf_check_metric {
    SF_CHECK_ROWS,
    SF_CHECK_INVALID, /* records in quarantine */
    SF_CHECK_NULLS,
    SF_CHECK_DUPLICATES, /* rows too many: rows less different values */
    SF_CHECK_DISTINCT,
    SF_CHECK_MIN,
    SF_CHECK_MAX,
    SF_CHECK_MEAN,
};

enum sf_check_op {
    SF_CHECK_EQ,
    SF_CHECK_NE,
    SF_CHECK_LT,
    SF_CHECK_LE,
    SF_CHECK_GT,
    SF_CHECK_GE,
};

enum { SF_CHECKS_MAX = 100, SF_CHECK_FIELDS_MAX = 8 };

struct sf_check {
    const char *text; /* as written */
    enum sf_check_metric metric;
    enum sf_check_op op;
    bool percent;
    double value;
    uint16_t fields[SF_CHECK_FIELDS_MAX]; /* indexes into the table's */
    size_t field_count;
};

/* Why a check cannot be read, and where. */
struct sf_check_error {
    size_t at; /* byte of the text */
    const char *what;
};

/* @text stays borrowed. False: @err says why. */
bool sf_check_parse(const char *text, const struct sf_table *table, struct sf_check *ret,
                    struct sf_check_error *err) SF_MUST_CHECK;

/* Whether @actual, a percentage when the check is of one, holds. */
bool sf_check_holds(const struct sf_check *check, double actual);
