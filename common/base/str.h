/*
 * Text of numbers, spans of time and sizes, and names that are nearly right.
 *
 *   Order    Pure functions: no locale, no clock, no heap.
 *   Errors   What a text says is an answer, not a failure: enum sf_parse. *ret is set on
 *            SF_PARSE_OK only.
 */
#pragma once

#include "common/base/attr.h"
#include "common/base/slice.h"

enum sf_parse {
    SF_PARSE_OK,
    SF_PARSE_SYNTAX,  /* not text of this kind */
    SF_PARSE_RANGE,   /* of this kind, but does not fit */
    SF_PARSE_INEXACT, /* fits only if digits were dropped */
};

enum {
    SF_DOUBLE_TEXT_SIZE = 32, /* with the terminator, as those below */
    SF_DURATION_TEXT_SIZE = 32,
    SF_U64_TEXT_SIZE = 24,
    SF_NAME_COMPARE_MAX = 64, /* longer names are never near another */
};

/*
 * Edits (insert, delete, replace a byte, swap two neighbours) that turn @a into @b, without looking
 * at letter case; @max + 1 when there are more than @max or one is over SF_NAME_COMPARE_MAX bytes.
 */
size_t sf_text_distance(struct sf_slice a, struct sf_slice b, size_t max);
/* The one of @count @names a user may have meant by @given: at most two edits away and fewer than
 * half of its length (the first of equals), or NULL. */
const char *sf_text_nearest(struct sf_slice given, const char *const *names, size_t count);

/* Base 10: -?[0-9]+ */
enum sf_parse sf_parse_i64(struct sf_slice text, int64_t *ret) SF_MUST_CHECK;
/* Base 10: [0-9]+ */
enum sf_parse sf_parse_u64(struct sf_slice text, uint64_t *ret) SF_MUST_CHECK;
/* Base 10, NUL-terminated; returns the length. @ret has SF_U64_TEXT_SIZE bytes. */
size_t sf_format_u64(uint64_t value, char *ret);
/*
 * The nearest double of -?([0-9]+(.[0-9]+)?|.[0-9]+)([eE][-+]?[0-9]+)? of at most 1,000 bytes.
 * Never infinity or NaN: too large is SF_PARSE_RANGE. "-0" gives 0, so that one value has one
 * encoding.
 */
enum sf_parse sf_parse_double(struct sf_slice text, double *ret) SF_MUST_CHECK;
/* The shortest decimal text that reads back as @value, which is finite: "0.1", "1e+300", "3".
 * Returns its length. @ret has SF_DOUBLE_TEXT_SIZE bytes. */
size_t sf_format_double(double value, char *ret);
/* The same for a float: the shortest text whose nearest float is @value. */
size_t sf_format_float(float value, char *ret);

/*
 * A span of time: one or more [0-9]+ unit, units us, ms, s, m (or min), h, d, w, each smaller than
 * the one before: "15m", "90d", "1h30m". "0s" is 0; a number without a unit is not a span.
 */
enum sf_parse sf_parse_duration(struct sf_slice text, int64_t *ret_us) SF_MUST_CHECK;
/* In the largest of d, h, m, s, ms, us that holds it whole: "90m". @us is not negative. Returns the
 * length; @ret has SF_DURATION_TEXT_SIZE bytes. */
size_t sf_format_duration(int64_t us, char *ret);

/* A number of bytes: [0-9]+ and B, kB, MB, GB, TB (powers of 1000), KiB, MiB, GiB, TiB or nothing.
 */
enum sf_parse sf_parse_size(struct sf_slice text, uint64_t *ret_bytes) SF_MUST_CHECK;
