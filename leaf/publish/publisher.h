/*
 * Publisher: sends every change of every lane once per audience, behind a durable cursor.
 *
 * A feed is one audience of one lane, or the owner's own stream of it. It reads the log behind its
 * cursor, sends one message, waits until the local server has taken it, moves the cursor, goes on.
 * After a restart it sends again what the stored cursor does not cover; positions tell consumers.
 *
 *   Threads   Loop thread; a message is read, rendered and signed on a query thread.
 *   Order     Messages of a feed go out in order of positions; feeds do not wait for each other.
 *   Limits    One message per feed under way; FEEDS_MAX feeds. A server that takes nothing holds
 *             its feeds where they are: the log is the buffer.
 */
#pragma once

#include "common/bus/bus.h"
#include "common/sys/metrics.h"
#include "leaf/serving/serving.h"

enum { FEEDS_MAX = 4096 };

#define PUBLISHER_HEARTBEAT_NS (5 * SF_NS_PER_S)

struct publisher;

struct publisher_options {
    struct sf_rt *rt;
    struct store *store;
    const struct serving *serving;
    struct sf_bus *serve;           /* <d>.serve: other domains' audiences */
    struct sf_bus *own;             /* <d>: the owner's stream */
    const struct sf_seed *leaf_key; /* signs messages */
    struct sf_metrics *metrics;
    size_t feeds_max; /* 0: FEEDS_MAX */
};

/* All borrowed until publisher_close() is answered. SF_NOMEM. */
enum sf_code publisher_new(const struct publisher_options *options, struct publisher **ret,
                           struct sf_error *err) SF_MUST_CHECK;
/* Products or grants have changed: feeds begin, end, or get another view. An audience without a
 * grant in force gets nothing from now on. SF_NOMEM, SF_BUSY (feeds_max): some feeds are missing,
 * those that could stay or begin do. A grant that ends by its time, or its bundle's, between two
 * updates gets nothing from that moment either. */
enum sf_code publisher_update(struct publisher *p, struct sf_error *err) SF_MUST_CHECK;
struct publisher_stats {
    size_t feeds;
    size_t behind;    /* of these: with changes that somebody listens for and has not got */
    uint64_t refused; /* feeds that found no room */
};
struct publisher_stats publisher_stats(const struct publisher *p);
/* The last seq of @lane that all its feeds have sent; UINT64_MAX: none is behind its head.
 * Retention waits for it, with a limit: a feed that comes to a trimmed place goes on behind it, and
 * the gap shows in Sheaf-Prev. */
uint64_t publisher_taken(const struct publisher *p, const struct store_lane *lane);
/* A bus is connected again: go on at once. */
void publisher_wake(struct publisher *p);
/* Cancels: what is being read is dropped. @closed runs once, from the loop; then @p is gone. */
void publisher_close(struct publisher *p, void (*closed)(void *data), void *data);
