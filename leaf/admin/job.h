/*
 * A long piece of work that is done in short steps on a query thread, one job at a time, so that
 * requests run between the steps.
 *
 *   IDLE --start--> RUNNING --last step, failure, cancel--> FREEING --> ENDED --start--> RUNNING
 *
 *   Threads   Loop; step() and free() of a job run on SF_POOL_QUERY, report() on the loop, never at
 *             the same time: what is told is as of the last step that ended.
 *   Memory    A started job is the runner's; its last report is kept until the next one starts.
 */
#pragma once

#include "common/base/error.h"
#include "common/sys/rt.h"
#include "common/wire/json.h"

struct job;

struct job_ops {
    const char *kind; /* "Backup": of the JSON that tells of it */
    /* A few milliseconds of work. *done: it was the last. */
    enum sf_code (*step)(struct job *j, bool *done, struct sf_error *err);
    /* Writes an object: how far it is, and what it found. */
    void (*report)(const struct job *j, struct sf_json_writer *w);
    /* Ends it where it stands, and undoes what is not whole. */
    void (*free)(struct job *j);
};

struct job {
    const struct job_ops *ops;
};

enum job_state { JOB_IDLE, JOB_RUNNING, JOB_FREEING, JOB_ENDED };

struct job_runner {
    struct sf_rt *rt; /* borrowed */
    enum job_state state;
    struct job *job; /* NULL when none runs */
    bool cancelled;
    bool done;
    enum sf_code code; /* how it ended */
    struct sf_error error;
    int64_t started_us;
    int64_t ended_us;     /* 0: runs */
    struct sf_buf report; /* of the job, between two steps */
    struct sf_work work;
};

void job_runner_init(struct job_runner *r, struct sf_rt *rt);
/*
 * Takes @j, also on failure. First it writes to @told what job_report() tells of a job that has
 * begun: one of which nothing can be said does not begin. SF_BUSY: another runs. SF_NOMEM.
 */
enum sf_code job_start(struct job_runner *r, struct job *j, struct sf_buf *told,
                       struct sf_error *err) SF_MUST_CHECK;
/* Ends the job behind its step; harmless without one. */
void job_cancel(struct job_runner *r);
bool job_is_running(const struct job_runner *r);
/* Only when none runs. */
void job_runner_done(struct job_runner *r);
/* The whole answer: kind, state (none, running, done, failed), times, "report": what the job says,
 * "error": a problem document. */
void job_report(const struct job_runner *r, const char *kind, struct sf_json_writer *w);
