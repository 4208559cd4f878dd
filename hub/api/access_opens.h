/*
 * What a grant opens by the policies in force, and what a request would: for its owner, its
 * consumer and the platform.
 */
#pragma once

#include "hub/api/seen.h"

/* Whose rights are told. All borrowed. */
struct access_rights {
    const struct registry_request *request;
    const char *purpose;
    const char *const *columns; /* none: all that policies let */
    size_t column_count;
};

/*
 * The member "opens" of the open object: counts, and with @whole the decision on each table and
 * what roles change in it, of 32 for each table at most. None when the product was removed.
 * SF_NOMEM, SF_CORRUPT: the answer is of no use.
 */
enum sf_code access_write_opens(struct answer *a, struct call *c, const struct access_rights *r,
                                bool whole, struct sf_error *err) SF_MUST_CHECK;
