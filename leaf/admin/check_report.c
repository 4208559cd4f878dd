#include "leaf/admin/check_report.h"

#include <string.h>

#include "common/base/alloc.h"
#include "common/base/list.h"

struct check_job {
    struct job job;
    struct store *store;
    struct store_checker *checker; /* made by the first step */
};

void check_report_lines(struct sf_json_writer *w, const char *name, struct sf_slice text)
{
    sf_json_key(w, name);
    sf_json_array_begin(w);
    while (text.size > 0) {
        const uint8_t *end = memchr(text.data, '\n', text.size);
        const size_t n = end == NULL ? text.size : (size_t)(end - text.data);

        sf_json_slice(w, sf_slice_of(text.data, n));
        text = end == NULL ? (struct sf_slice){0} : sf_slice_of(end + 1, text.size - n - 1);
    }
    sf_json_array_end(w);
}

void check_report(const struct store_checker_progress *p, struct sf_json_writer *w)
{
    sf_json_member_text(w, "phase", "check");
    sf_json_member_uint(w, "done", p->done);
    sf_json_member_uint(w, "total", p->total);
    sf_json_member_uint(w, "lanes", p->found.lanes);
    sf_json_member_uint(w, "frames", p->found.frames);
    sf_json_member_uint(w, "changes", p->found.changes);
    sf_json_member_uint(w, "rows", p->found.rows);
    sf_json_member_uint(w, "quarantined", p->found.quarantined);
    sf_json_member_uint(w, "small", p->found.small);
    sf_json_member_uint(w, "damages", p->damages);
    check_report_lines(w, "damage", p->texts);
}

static struct check_job *self(struct job *j)
{
    return SF_CONTAINER_OF(j, struct check_job, job);
}

static enum sf_code job_step(struct job *j, bool *done, struct sf_error *err)
{
    struct check_job *c = self(j);
    enum sf_code code = SF_OK;

    if (c->checker == NULL) {
        code = store_checker_new(c->store, &c->checker, err);
    }
    return code == SF_OK ? store_checker_step(c->checker, CHECK_STEP_ITEMS, done, err) : code;
}

static void job_report_check(const struct job *j, struct sf_json_writer *w)
{
    const struct check_job *c = (const struct check_job *)(const void *)j;
    struct store_checker_progress p = {0};

    if (c->checker != NULL) {
        p = store_checker_progress(c->checker);
    }
    sf_json_object_begin(w);
    check_report(&p, w);
    sf_json_object_end(w);
}
_Static_assert(offsetof(struct check_job, job) == 0, "job_report_check() relies on it");

static void job_free(struct job *j)
{
    struct check_job *c = self(j);

    store_checker_free(c->checker);
    sf_free(c);
}

enum sf_code check_job_new(struct store *s, struct job **ret, struct sf_error *err)
{
    static const struct job_ops ops = {
        .kind = "Check", .step = job_step, .report = job_report_check, .free = job_free};
    struct check_job *c = sf_calloc(1, sizeof(*c));

    if (c == NULL) {
        return SF_RAISE(err, SF_NOMEM, "check");
    }
    c->job.ops = &ops;
    c->store = s;
    *ret = &c->job;
    return SF_OK;
}
