/*
 * Ingest over NATS: requests in.<product>.<table>.v<major>, or in.<product>.v<major> with records
 * that name their table, in the account of the domain, with the bodies of HTTP. One message
 * answers: the JSON of HTTP, or error headers and a problem.
 *
 *   Headers   Content-Type (absent: NDJSON), Content-Encoding, Idempotency-Key, If-Match, and for
 *             HTTP's parameters Sheaf-On-Invalid, Sheaf-Envelope, Sheaf-Expected-Seq
 *   Threads   Loop thread.
 *   Order     As ingest. A message without a reply subject is not taken: nobody could be told.
 *   Limits    Those of ingest; NATS bounds a message.
 */
#pragma once

#include "common/bus/micro.h"
#include "leaf/ingest/ingest.h"
#include "leaf/serving/serving.h"

struct ingest_nats;

/* All borrowed until ingest_nats_free(). Subscribes. SF_NOMEM, or as sf_bus_subscribe(). */
enum sf_code ingest_nats_new(struct sf_bus *bus, struct ingest *in, const struct serving *serving,
                             struct ingest_nats **ret, struct sf_error *err) SF_MUST_CHECK;
/* What became of the requests so far. */
void ingest_nats_stats(const struct ingest_nats *n, struct sf_micro_stats *ret);
/* What is under way goes on, and nobody is told. */
void ingest_nats_free(struct ingest_nats *n);
