/*
 * Bodies that came compressed: gzip (RFC 1952) and Zstandard (RFC 8878), as Content-Encoding names
 * them. Pure; several members or frames one behind the other are one body.
 *
 *   Memory    The output grows as it comes and never beyond its limit, whatever the input claims.
 *             Beside it a call takes at most about 100 KiB for gzip, and SF_INFLATE_WINDOW_MAX for
 *             zstd, from the heap of the library.
 *   Threads   Any thread. A large body takes long: not for the loop.
 */
#pragma once

#include "common/base/attr.h"
#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/slice.h"

enum { SF_INFLATE_WINDOW_MAX = 8 * 1024 * 1024 };

enum sf_coding { SF_CODING_IDENTITY, SF_CODING_GZIP, SF_CODING_ZSTD };

/* The coding of this name in any case ("gzip", "x-gzip", "zstd", "identity"; NULL and "" are
 * identity). false: none of these, or more than one. */
bool sf_coding_of(const char *name, enum sf_coding *ret);
const char *sf_coding_text(enum sf_coding coding);

/*
 * Appends what @packed holds to @ret, which is empty; SF_CODING_IDENTITY copies.
 *   SF_INVALID   E0201: damaged, cut off, followed by other bytes, or made with a window beyond
 *                SF_INFLATE_WINDOW_MAX
 *   SF_BUSY      E0603: more than @size_max bytes
 *   SF_NOMEM
 */
enum sf_code sf_inflate(enum sf_coding coding, struct sf_slice packed, size_t size_max,
                        struct sf_buf *ret, struct sf_error *err) SF_MUST_CHECK;

/* The same piece by piece, of a body of any size. */
struct sf_inflater;
/* @coding is not IDENTITY. SF_NOMEM. */
enum sf_code sf_inflater_new(enum sf_coding coding, struct sf_inflater **ret,
                             struct sf_error *err) SF_MUST_CHECK;
void sf_inflater_free(struct sf_inflater *i);
SF_DEFINE_CLEANUP(struct sf_inflater, sf_inflater_free)
/*
 * Takes bytes off the front of @packed and appends what they hold to @ret, at most 64 KiB. When
 * nothing was appended, more input is needed. SF_INVALID (E0201): as above. SF_NOMEM.
 */
enum sf_code sf_inflater_step(struct sf_inflater *i, struct sf_slice *packed, struct sf_buf *ret,
                              struct sf_error *err) SF_MUST_CHECK;
/* Behind the last byte. SF_INVALID: the body is cut off. */
enum sf_code sf_inflater_end(const struct sf_inflater *i, struct sf_error *err) SF_MUST_CHECK;
