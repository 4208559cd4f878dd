/*
 * Idempotency keys go when their time is over: a walk over all of them, a step at a time.
 *
 *   Threads   Loop thread; the store is read on a query thread.
 *   Limits    TRIM_KEYS looked at per step. When all were looked at, TRIM_REST_NS pass.
 */
#pragma once

#include "leaf/ingest/ingest.h"

enum { TRIM_KEYS = 1000 };
#define TRIM_REST_NS (600 * SF_NS_PER_S)

struct idem_trim;
/* SF_NOMEM. */
enum sf_code idem_trim_new(struct ingest *in, struct idem_trim **ret,
                           struct sf_error *err) SF_MUST_CHECK;
/* No step may be under way: each counts as a request (ingest_pending()). NULL is fine. */
void idem_trim_free(struct idem_trim *t);
/* Takes a step, unless one is under way or it rests. Call it once a second. */
void idem_trim_step(struct idem_trim *t);
