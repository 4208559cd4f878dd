/*
 * A consumer of one lane that prints every change once and in order, whatever is lost, doubled or
 * restarted on the way.
 *
 *   Flow      Live messages come from the leaf's nats-server; their signature is checked, and
 *             headers show gaps. What is missing is asked for page by page (`changes`), while live
 *             messages wait. After a reconnect, and after 12 s of silence, it asks as well.
 *   Restore   When the owner's leaf was restored, a line {"event":"epoch","was":"1:500",
 *             "back_to":"1:300"} says that changes behind 1:300 no longer stand; what was given
 *             since follows. It is no change: --count does not count it.
 *   Retention When the owner has trimmed what is missing, it ends with SHEAF-E0308, or, when that
 * is wanted, begins anew with a snapshot: {"event":"snapshot"} stands before it. Threads   Loop
 * thread. Printing blocks it: NATS then drops, and the gap is replayed. Limits SUB_HELD_BYTES_MAX
 * bytes of live messages wait; more are dropped and replayed.
 */
#pragma once

#include "cli/cli.h"
#include "cli/follow.h"
#include "cli/product_ref.h"
#include "common/bus/bus.h"
#include "common/sys/crypto.h"

enum { SUB_HELD_BYTES_MAX = 16 * 1024 * 1024 };

/* The rows, and then the changes behind them. */
enum sub_snapshot {
    SUB_SNAPSHOT_NEVER,
    SUB_SNAPSHOT_WHEN_GONE, /* when the position is no longer held */
    SUB_SNAPSHOT_FIRST,     /* to begin with, and then when the position is no longer held */
};

struct sub_options {
    struct product_ref product; /* with table and major */
    bool is_own;                /* the consumer's own domain: the unmasked stream */
    const char *nats_url;
    const struct sf_seed *user; /* nkey of the domain's apps */
    const char *user_text;
    struct sf_public_key leaf_key; /* of the owner's leaf */
    struct follow start;
    enum sub_snapshot snapshot;
    int64_t since_us; /* changes committed before are skipped; 0: none */
    uint64_t count;   /* 0: no end */
    /*
     * Asks the hub whether the grant still stands, when the owner's leaf does not answer: SF_DENIED
     * and SF_ABSENT are the end. Runs on a query thread, never twice at a time.
     */
    enum sf_code (*check_grant)(void *data, struct sf_error *err);
    void *data;
};

/*
 * Runs until @count changes are printed (SF_OK), SIGINT or SIGTERM (SF_CLOSED), or an error that
 * waiting does not cure: SF_DENIED (the grant ended), SF_CONFLICT (E0308), SF_ABSENT, SF_IO
 * (standard output).
 */
enum sf_code sub_run(struct cli *cli, const struct sub_options *o,
                     struct sf_error *err) SF_MUST_CHECK;

/* --- for sub.c -------------------------------------------------------------------------------- */

/* Whether the owner's leaf has signed @m, which says @span of the followed lane. */
bool sub_is_signed(const struct sub_options *o, const struct sf_bus_msg *m,
                   const struct follow_span *span);
