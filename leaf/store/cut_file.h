/*
 * Shortening a file of a store that nobody has open; what is cut off is kept in its directory cut/.
 *
 *   Threads   Any. Blocks.
 */
#pragma once

#include <stdint.h>

#include "common/base/attr.h"
#include "common/base/error.h"

/* <store>/db/<name> from byte @at on; fine when it is no longer. A crash in the middle leaves it as
 * it was, or shortened and the rest kept. SF_IO, SF_DENIED, SF_NOMEM. */
enum sf_code cut_file(const char *store, const char *name, uint64_t at,
                      struct sf_error *err) SF_MUST_CHECK;
