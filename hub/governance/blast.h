/*
 * What a change of policies changes for one consumer of one table: fields and rows that it gains or
 * loses.
 *
 * Pure: two sets of policies in, a list out.
 */
#pragma once

#include "common/policy/policy.h"

enum blast_kind { BLAST_LOSES, BLAST_GAINS, BLAST_CHANGES };

struct blast_effect {
    enum blast_kind kind;
    const char *field;  /* of the table; NULL: its rows */
    const char *before; /* "clear" or a mask; of rows "all rows", "denied", "filter ..." */
    const char *after;
    const char *policy; /* that decides afterwards, or decided before; NULL: the safe default */
};

/*
 * Compares what @before and @after, which differ in their platform's policies only, decide. Texts
 * and the list are in @arena. SF_NOMEM.
 */
enum sf_code blast_compare(const struct sf_policy_input *before,
                           const struct sf_policy_input *after, struct sf_arena *arena,
                           struct blast_effect **ret, size_t *ret_count,
                           struct sf_error *err) SF_MUST_CHECK;
/* "loses", "gains", "changes" */
const char *blast_kind_name(enum blast_kind kind);
