/*
 * Fields of a record set or taken away, in the text that the record came in: a JSON object, an
 * envelope around one, or a row of CSV under its header. Pure.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/slice.h"

enum { RECORD_SETS_MAX = 32 };

/* One --set or --unset. */
struct record_set {
    struct sf_slice name;  /* as it stands in the record */
    struct sf_slice value; /* a text, or JSON */
    bool is_text;          /* else JSON as it is */
    bool unset;
};

struct record_edit {
    const struct record_set *sets;
    size_t count;
};

/* Takes "NAME=VALUE" apart. SF_INVALID, E0801. */
enum sf_code record_set_parse(const char *text, struct record_set *ret,
                              struct sf_error *err) SF_MUST_CHECK;

/*
 * Appends the changed object to @ret; with @in_envelope that of its member "row" is changed.
 * SF_INVALID, E0801: @raw is no such object.
 */
enum sf_code record_edit_json(const struct record_edit *edit, struct sf_slice raw, bool in_envelope,
                              struct sf_buf *ret, struct sf_error *err) SF_MUST_CHECK;
/* Appends header line and changed row. Columns that are not there are added. SF_INVALID, E0801. */
enum sf_code record_edit_csv(const struct record_edit *edit, struct sf_slice header,
                             struct sf_slice row, struct sf_buf *ret,
                             struct sf_error *err) SF_MUST_CHECK;
