#include "leaf/admin/job.h"

#include "common/base/assert.h"
#include "common/wire/problem.h"
#include "proto/errors.h"

static void run_step(struct sf_work *w)
{
    struct job_runner *r = SF_CONTAINER_OF(w, struct job_runner, work);

    if (r->state == JOB_FREEING) {
        r->job->ops->free(r->job);
        r->job = NULL;
    } else {
        r->code = r->job->ops->step(r->job, &r->done, &r->error);
    }
}

static void note_report(struct job_runner *r)
{
    struct sf_json_writer w = {.out = &r->report};

    sf_buf_clear(&r->report);
    r->job->ops->report(r->job, &w);
}

/* Decides what follows a step. */
static void runner_step(struct job_runner *r)
{
    if (r->state == JOB_FREEING) {
        r->state = JOB_ENDED;
        r->ended_us = sf_rt_wall_us(r->rt);
        return;
    }
    note_report(r);
    if (r->cancelled && r->code == SF_OK && !r->done) {
        r->code = SF_RAISE_E(&r->error, SF_CLOSED, SHEAF_E_CANCELLED, "nothing of it is kept");
    }
    if (r->code != SF_OK || r->done) {
        r->state = JOB_FREEING;
    }
    sf_rt_work(r->rt, &r->work);
}

static void step_done(struct sf_task *t)
{
    runner_step(SF_CONTAINER_OF(t, struct job_runner, work.done));
}

void job_runner_init(struct job_runner *r, struct sf_rt *rt)
{
    *r = (struct job_runner){
        .rt = rt,
        .work = {.pool = SF_POOL_QUERY, .work = run_step, .done.run = step_done},
    };
}

enum sf_code job_start(struct job_runner *r, struct job *j, struct sf_buf *told,
                       struct sf_error *err)
{
    struct job_runner next;
    struct sf_json_writer w = {.out = told};
    enum sf_code code;

    if (job_is_running(r)) {
        j->ops->free(j);
        return SF_RAISE_E(err, SF_BUSY, SHEAF_E_BUSY, "one is under way; wait for its end");
    }
    job_runner_init(&next, r->rt);
    next.job = j;
    next.state = JOB_RUNNING;
    next.started_us = sf_rt_wall_us(r->rt);
    note_report(&next);
    job_report(&next, j->ops->kind, &w);
    code = sf_buf_check(told, "answer", err);
    if (code != SF_OK) {
        sf_buf_done(&next.report);
        j->ops->free(j);
        return code;
    }
    job_runner_done(r);
    *r = next;
    sf_rt_work(r->rt, &r->work);
    return SF_OK;
}

void job_cancel(struct job_runner *r)
{
    r->cancelled = true;
}

bool job_is_running(const struct job_runner *r)
{
    return r->state == JOB_RUNNING || r->state == JOB_FREEING;
}

void job_runner_done(struct job_runner *r)
{
    sf_assert(!job_is_running(r));
    sf_buf_done(&r->report);
    job_runner_init(r, r->rt);
}

void job_report(const struct job_runner *r, const char *kind, struct sf_json_writer *w)
{
    const char *state = r->state == JOB_IDLE ? "none"
                        : job_is_running(r)  ? "running"
                        : r->code == SF_OK   ? "done"
                                             : "failed";

    sf_json_object_begin(w);
    sf_json_member_text(w, "apiVersion", "sheaf/v1");
    sf_json_member_text(w, "kind", kind);
    sf_json_member_text(w, "state", state);
    if (r->state != JOB_IDLE) {
        sf_json_member_int(w, "started_us", r->started_us);
    }
    if (r->state == JOB_ENDED) {
        sf_json_member_int(w, "ended_us", r->ended_us);
    }
    if (r->report.size > 0 && r->report.failed == SF_OK) {
        sf_json_key(w, "report");
        sf_json_raw(w, sf_buf_view(&r->report));
    }
    if (r->state == JOB_ENDED && r->code != SF_OK) {
        sf_json_key(w, "error");
        sf_problem_begin(w, &r->error);
        sf_json_object_end(w);
    }
    sf_json_object_end(w);
}
