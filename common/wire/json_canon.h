/*
 * JSON values as canonical text: one value, one byte string. No white space; members by name in the
 * order of their bytes as written, each once; strings with the escapes of sf_json_put_string();
 * numbers by their exact decimal value, as JavaScript would write them: 1.50 and 15e-1 are 1.5, -0
 * is 0, 1e21 is 1e+21, 0.0000001 is 1e-7. Nothing is rounded.
 *
 *   Limits    SF_JSON_CANON_DEPTH_MAX levels, SF_JSON_CANON_DIGITS_MAX digits from the first to the
 *             last that is not 0, exponents of at most four digits.
 *   Threads   Pure functions.
 */
#pragma once

#include "common/base/arena.h"
#include "common/wire/json.h"

enum {
    SF_JSON_CANON_DEPTH_MAX = 32,
    SF_JSON_CANON_DIGITS_MAX = 100,
};

enum sf_json_canon {
    SF_JSON_CANON_OK,
    SF_JSON_CANON_DEEP,
    SF_JSON_CANON_TWICE,  /* a name stands twice in an object */
    SF_JSON_CANON_NUMBER, /* too many digits, or an exponent too large */
    SF_JSON_CANON_NOMEM,  /* of @scratch; that of @out is its own failure */
};

/* Appends the text of @v, which is there. What was appended before a failure stays. */
enum sf_json_canon sf_json_canon_write(const struct sf_json *v, struct sf_arena *scratch,
                                       struct sf_buf *out) SF_MUST_CHECK;

/* Whether @text is what sf_json_canon_write() would have written for some value but null. */
bool sf_json_canon_check(struct sf_slice text);
