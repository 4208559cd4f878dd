/*
 * Regular expressions of contracts: PCRE2, UTF-8, with limits, so that a pattern cannot hold up
 * ingest.
 *
 *   Threads   A compiled pattern is read-only: any thread may match.
 *   Limits    Patterns of 1,000 bytes; matching gives up at 100,000 steps and 1 MiB of heap.
 */
#pragma once

#include "common/base/attr.h"
#include "common/base/error.h"
#include "common/base/slice.h"

struct sf_pattern;

enum { SF_PATTERN_BYTES_MAX = 1000 };

/* SF_INVALID: not a pattern; the text says why and at which byte. SF_NOMEM. */
enum sf_code sf_pattern_new(struct sf_slice text, struct sf_pattern **ret,
                            struct sf_error *err) SF_MUST_CHECK;
void sf_pattern_free(struct sf_pattern *p);
SF_DEFINE_CLEANUP(struct sf_pattern, sf_pattern_free)

/* Whether the whole of @text, which is valid UTF-8, matches. Giving up counts as no match. */
bool sf_pattern_matches(const struct sf_pattern *p, struct sf_slice text);
