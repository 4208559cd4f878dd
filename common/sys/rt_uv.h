/*
 * The runtime of rt.h over libuv, and the process around it: the loop, its worker threads, signals.
 *
 *   Threads   Made, run and freed on the main thread, which is the loop thread while rt_uv_run()
 *             runs. One thread for SF_POOL_COMMIT, two for SF_POOL_QUERY.
 *   Limits    Timers have the loop's resolution: never early, up to 1 ms late by themselves.
 */
#pragma once

#include "common/base/attr.h"
#include "common/base/error.h"
#include "common/sys/rt.h"

struct rt_uv;

/* Also makes SIGPIPE harmless, for the whole process. SF_UNAVAILABLE: no thread or descriptor.
 * SF_NOMEM. */
enum sf_code rt_uv_new(struct rt_uv **ret, struct sf_error *err) SF_MUST_CHECK;
/* No work may be pending; timers and tasks that are left never run. NULL is fine. */
void rt_uv_free(struct rt_uv *u);
SF_DEFINE_CLEANUP(struct rt_uv, rt_uv_free)

/* What to hand to everyone else; valid until rt_uv_free(). */
struct sf_rt *rt_uv_rt(struct rt_uv *u);

/* Runs until rt_uv_stop(), or until no task, timer, work, server or child is left. May be called
 * again. Tasks from other threads do not keep it running. */
void rt_uv_run(struct rt_uv *u);
/* Loop thread. rt_uv_run() returns at the end of this turn. */
void rt_uv_stop(struct rt_uv *u);

/*
 * From now on SIGTERM, SIGINT and SIGHUP call @on_signal on the loop thread instead of ending the
 * process; they do not keep rt_uv_run() running. At most once per rt_uv. SF_UNAVAILABLE.
 */
enum sf_code rt_uv_catch_signals(struct rt_uv *u, void (*on_signal)(int number, void *data),
                                 void *data, struct sf_error *err) SF_MUST_CHECK;
