/*
 * Brings changed account JWTs into force on every nats-server of the hub, and answers the servers'
 * lookups.
 *
 * An account that is marked is written to its file (<dir>/<key>.jwt, what the next start of a
 * server is preloaded with), then pushed until every server has answered and reports the JWT as the
 * one in force; a server that stays silent is asked again. Pushes go one at a time, because the
 * servers work them off one at a time.
 *
 *   Threads   Loop thread.
 *   Memory    A wait lives in its owner until done has run or it is cancelled.
 *   Order     done of a wait runs once, never inside pusher_wait().
 *   Limits    One push under way; PUSHER_ANSWER_NS for its answers, then again after a backoff.
 *   Close     Cancels; waits do not end with a callback.
 */
#pragma once

#include "common/bus/bus.h"
#include "hub/claims/directory.h"

#define PUSHER_ANSWER_NS (UINT64_C(1000) * SF_NS_PER_MS)

struct pusher;

struct pusher_wait {
    /* The account's current JWT is in force everywhere. */
    void (*done)(struct pusher_wait *w);
    void *data;
    struct sf_list link; /* private */
    const struct directory_account *account;
};

struct pusher_options { /* all borrowed */
    struct sf_rt *rt;
    struct sf_bus *sys; /* account SYS */
    const struct directory *directory;
    const char *dir;
};

/* Subscribes to lookups. Codes of sf_bus_subscribe(). */
enum sf_code pusher_new(const struct pusher_options *o, struct pusher **ret,
                        struct sf_error *err) SF_MUST_CHECK;
/* What the pool still writes is finished by the loop. NULL is fine. */
void pusher_free(struct pusher *p);
/* How many servers answer; 1 until said. */
void pusher_set_servers(struct pusher *p, size_t count);
/* The JWT of @account has changed in the directory: push it. SF_NOMEM. */
enum sf_code pusher_mark(struct pusher *p, const char *account, struct sf_error *err) SF_MUST_CHECK;
/* Whether the account's JWT is in force everywhere, so that nothing has to be waited for. */
bool pusher_is_done(const struct pusher *p, const char *account);
/* @account is in the directory and marked. */
void pusher_wait(struct pusher *p, struct pusher_wait *w, const char *account);
void pusher_cancel(struct pusher *p, struct pusher_wait *w);
/* Accounts that are not in force everywhere yet. */
size_t pusher_pending(const struct pusher *p);
