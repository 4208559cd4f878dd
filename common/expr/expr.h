/*
 * Row filters: SQL boolean expressions over the fields of a table and who asks, checked against the
 * table, compiled to a flat program and run on the encoded row.
 *
 *     country IN ('NO', 'SE') AND (amount >= 100 OR lower(email) LIKE '%@example.com')
 *
 * docs/reference/expressions.md is the language in full. True keeps a row; false, null and error
 * drop it, and the caller counts the last two.
 *
 *   Memory    A struct sf_expr is the caller's, borrows nothing and never changes. Running
 * allocates nothing and takes about 20 KiB of stack. Threads   Pure functions; any number of
 * threads may run one expression. Limits    SF_EXPR_*_MAX below; more is an error of the text. A
 * run takes at most SF_EXPR_LIKE_STEPS_MAX steps in LIKE, and is linear in program and row
 * elsewhere.
 */
#pragma once

#include "common/contract/contract.h"
#include "common/wire/issues.h"

enum {
    SF_EXPR_TEXT_MAX = 4096, /* bytes */
    SF_EXPR_NODES_MAX = 256, /* operators, functions, fields and literals */
    SF_EXPR_DEPTH_MAX = 32,  /* parentheses, NOT, minus and functions inside each other */
    SF_EXPR_LIKE_STEPS_MAX = 16 * 1024 * 1024,
};

struct sf_expr;

/* What caller.domain, caller.role and caller.purpose are; data NULL: null. */
struct sf_expr_caller {
    struct sf_slice domain;
    struct sf_slice role;
    struct sf_slice purpose;
};

enum sf_expr_result {
    SF_EXPR_FALSE,
    SF_EXPR_TRUE,
    SF_EXPR_NULL,
    SF_EXPR_ERROR, /* overflow, a limit, or bytes that are no row of the table */
};

/*
 * Reads the source of @issues as a filter over @t. SF_INVALID when there are errors, all of them
 * reported into @issues: E0107 a name that is not there, E0112 syntax and limits, E0113 types.
 * SF_NOMEM.
 */
enum sf_code sf_expr_parse(struct sf_issues *issues, const struct sf_table *t, struct sf_expr **ret,
                           struct sf_error *err) SF_MUST_CHECK;
/* The same as far as it can be told without a table: all but names and types of fields. */
enum sf_code sf_expr_check(struct sf_issues *issues, struct sf_error *err) SF_MUST_CHECK;
void sf_expr_free(struct sf_expr *e);
SF_DEFINE_CLEANUP(struct sf_expr, sf_expr_free)

/*
 * Decides about one encoded row, of any bytes. Fields behind the last one the filter names are not
 * looked at.
 */
enum sf_expr_result sf_expr_run(const struct sf_expr *e, struct sf_slice row,
                                const struct sf_expr_caller *caller);

/* Appends the canonical text: equal filters but for spacing, case of keywords and parentheses that
 * change nothing print alike, and what is printed parses to the same again. */
void sf_expr_print(const struct sf_expr *e, struct sf_buf *out);

/* The field numbers the filter reads: ascending, each once, *ret_count of them. */
const uint32_t *sf_expr_fields(const struct sf_expr *e, size_t *ret_count);

/* Flags: what of its caller a filter reads. */
enum sf_expr_callers {
    SF_EXPR_CALLER_DOMAIN = 1,
    SF_EXPR_CALLER_ROLE = 2,
    SF_EXPR_CALLER_PURPOSE = 4,
};
unsigned sf_expr_callers(const struct sf_expr *e);
