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

#include "common/base/decimal.h"
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
    bool is_exact; /* min, max of whole numbers and decimals: the number at the field's scale */
    uint8_t exact[SF_DECIMAL_WIDE_SIZE];
    uint16_t fields[SF_CHECK_FIELDS_MAX]; /* indexes into the table's */
    size_t field_count;
};

/* What is one of a set of names. */
enum sf_check_names { SF_CHECK_NAMES_NONE, SF_CHECK_NAMES_METRICS, SF_CHECK_NAMES_FIELDS };

/* Why a check cannot be read, and where. */
struct sf_check_error {
    size_t at; /* byte of the text */
    const char *what;
    enum sf_check_names names; /* that @given should be one of */
    struct sf_slice given;     /* borrowed from the text */
};

/* The metrics by name; *ret_count of them. */
const char *const *sf_check_metric_names(size_t *ret_count);

/* @text stays borrowed. False: @err says why. */
bool sf_check_parse(const char *text, const struct sf_table *table, struct sf_check *ret,
                    struct sf_check_error *err) SF_MUST_CHECK;

/* Whether @actual, a percentage when the check is of one, holds. */
bool sf_check_holds(const struct sf_check *check, double actual);
/* The same where the actual number is below (-1), at (0) or above (1) that of the check. */
bool sf_check_holds_at(const struct sf_check *check, int order);
/* The order of a value of the field of min or max, digit by digit. The check is exact. */
int sf_check_compare(const struct sf_check *check, const struct sf_field *field,
                     const struct sf_value *actual);
