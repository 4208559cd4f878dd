/*
 * Where a version stands in its life, changed in the text of its file: comments and layout stay.
 *
 *   Order    Pure.
 */
#pragma once

#include "common/base/buf.h"
#include "common/contract/contract.h"

/* What the new file says; all else stays. */
struct sf_product_edit {
    struct sf_version version;
    enum sf_status status;
    bool has_since;
    int32_t since_days;
    bool has_sunset;
    int32_t sunset_days;
    const char *successor; /* or NULL */
    const char *note;      /* or NULL */
};

/*
 * Appends the edited text of @yaml, which sf_product_parse() takes.
 * SF_INVALID E0103: it is laid out so that its lines cannot be changed one by one (all on one line,
 * say): then it is for a person to edit. SF_NOMEM.
 */
enum sf_code sf_product_edit(struct sf_slice yaml, const struct sf_product_edit *edit,
                             struct sf_buf *out, struct sf_error *err) SF_MUST_CHECK;
