/*
 * What is asked about quality: statistics, their exact form, and checks; over HTTP and NATS.
 *
 *   GET  .../{table}/stats      TableStats as of the newest position that is counted
 *   GET  .../{table}/profile    the same after all rows were counted: bounds, different and top
 *                               values are of the rows that are there
 *   GET  .../{table}/checks     CheckList: verdicts and their history; the owner only
 *   POST .../{table}/checks     judges by all rows first; the owner only
 *
 * Over NATS the operations stats and profile of q.<domain>.<product>. Other domains get the fields
 * of their view; the grant is looked at again before the answer goes out. An answer whose contract
 * was superseded meanwhile is refused with E0602: the newer version may have closed a field.
 *
 *   Threads   Loop thread.
 *   Limits    ANSWERS_MAX under way: SF_BUSY.
 *   Errors    A problem: E0302, E0303, E0401, E0602 and those of reading.
 */
#pragma once

#include "common/bus/bus.h"
#include "common/sys/http_server.h"
#include "leaf/quality/inspector.h"

enum { ANSWERS_MAX = 256 };

struct quality_answers;

struct quality_answers_options {
    struct sf_rt *rt;
    const struct serving *serving; /* borrowed, as all here */
    struct collector *collector;
    struct inspector *inspector;
};

/* SF_NOMEM. */
enum sf_code quality_answers_new(const struct quality_answers_options *options,
                                 struct quality_answers **ret, struct sf_error *err) SF_MUST_CHECK;
/* Ends what is under way: over HTTP with SF_CLOSED, over NATS in silence. */
void quality_answers_free(struct quality_answers *a);

enum quality_op { QUALITY_STATS, QUALITY_PROFILE, QUALITY_CHECKS, QUALITY_TEST };

/* Answers @r for the owner, now or later. */
void quality_http(struct quality_answers *a, enum quality_op op, const struct served_table *table,
                  struct sf_http_request *r);

/*
 * Answers the request over NATS when @op is one of ours: *ret_known. @table: name, or NULL for the
 * only one. Errors are the caller's to send.
 */
enum sf_code quality_nats(struct quality_answers *a, struct sf_bus *bus, const char *reply,
                          const char *op, const struct serving_right *right, const char *table,
                          bool *ret_known, struct sf_error *err) SF_MUST_CHECK;
/* The bus is about to go: what is under way on it ends in silence. */
void quality_nats_forget(struct quality_answers *a, const struct sf_bus *bus);
