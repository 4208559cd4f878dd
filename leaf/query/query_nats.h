/*
 * Requests over NATS: q.<domain>.<product>.<op> from apps of this domain, and
 * dpq.<domain>.<ACCOUNT>.<product>.<op> from other domains. Ops: describe, get, scan, changes, and
 * those that queries_options.other knows: stats, profile.
 *
 * Who asks is the account token of the subject, never a header.
 *
 *   Threads   Loop thread.
 *   Limits    Those of queries; a page goes out when the local server has taken the one before.
 */
#pragma once

#include "common/bus/micro.h"
#include "leaf/query/query.h"

struct query_nats;

/* @bus is borrowed until query_nats_free(). Subscribes. SF_NOMEM, or as sf_bus_subscribe(). */
enum sf_code query_nats_new(struct sf_bus *bus, struct queries *qs, const char *subject,
                            struct query_nats **ret, struct sf_error *err) SF_MUST_CHECK;
/* The ops, in this order. */
enum { QUERY_NATS_OPS = 6 };
extern const char *const query_nats_ops[QUERY_NATS_OPS];
/* What became of the requests for op @i so far. */
void query_nats_stats(const struct query_nats *n, size_t i, struct sf_micro_stats *ret);
/* Ends what is under way without an answer. */
void query_nats_free(struct query_nats *n);
