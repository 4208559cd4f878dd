/*
 * What of a table somebody sees: an allow-list of its fields. What is not in the list does not
 * leave, known or not.
 *
 *   Memory    A view is one allocation of its owner's and borrows the table.
 *   Threads   Read-only after it is built.
 */
#pragma once

#include "common/base/buf.h"
#include "common/contract/contract.h"

struct row_column {
    const struct sf_field *field; /* borrowed from the table */
    const char *label;            /* ,"name": as the member begins in JSON; owned by the view */
    uint32_t label_size;
    uint32_t number;
};

struct row_view {
    const struct sf_table *table; /* borrowed: of the keys, and of rows that are not masked */
    size_t column_count;          /* may be 0 */
    size_t label_bytes;           /* of all labels */
    bool has_key;                 /* all fields of the table's key are in it; false without one */
    struct row_column columns[];  /* ascending field numbers */
};

struct row_view_options {
    const struct sf_slice *names; /* field names; NULL: all fields */
    size_t name_count;
    /* The table that keys are of, when the fields of @t are those of its masked rows: borrowed, of
     * the same name and field numbers. NULL: @t. */
    const struct sf_table *stored;
};

/*
 * The fields of @t that are named.
 * SF_INVALID, number E0304: a name is no field ("table 'orders' has no field 'x'"). SF_NOMEM.
 */
enum sf_code row_view_build(const struct sf_table *t, const struct row_view_options *options,
                            struct row_view **ret, struct sf_error *err) SF_MUST_CHECK;
void row_view_free(struct row_view *view);
SF_DEFINE_CLEANUP(struct row_view, row_view_free)

/* Whether a field of the table is in the view. */
bool row_view_has(const struct row_view *view, uint32_t number);
/* The field numbers, ascending, as big-endian u32: equal bytes, equal views of a table. */
void row_view_canonical(const struct row_view *view, struct sf_buf *out);
