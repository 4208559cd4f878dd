/* Checks and backups of the leaf that runs: POST starts one, GET tells how far it is, DELETE ends
 * it. */
#include <string.h>

#include "leaf/admin/backup.h"
#include "leaf/admin/check_report.h"
#include "leaf/leaf_private.h"
#include "leaf/serving/http_answer.h"
#include "proto/errors.h"

_Static_assert(sizeof(BACKUP_CHECKPOINT) == sizeof(LEAF_CHECKPOINT), "one name for one directory");

/* {"repository":"/var/backups/sheaf","without_keys":false} */
static enum sf_code read_backup(struct sf_http_request *r, struct sf_json_doc **doc,
                                struct backup_options *o, struct sf_error *err)
{
    static const char *const names[] = {"repository", "without_keys", NULL};
    enum sf_code code = sf_json_parse(sf_http_body(r), doc, err);
    const struct sf_json *v = code == SF_OK ? sf_json_root(*doc) : NULL;

    code = code == SF_OK ? sf_json_check_names(v, names, err) : code;
    code = code == SF_OK ? sf_json_read_text(v, "repository", SF_JSON_REQUIRED, &o->repository, err)
                         : code;
    code = code == SF_OK
               ? sf_json_read_bool(v, "without_keys", SF_JSON_OPTIONAL, &o->without_keys, err)
               : code;
    if (code == SF_OK && o->repository[0] != '/') {
        code = SF_RAISE(err, SF_INVALID, "'repository' must begin with '/': the leaf writes there");
    }
    if (code == SF_INVALID && err->number == 0) {
        err->number = SHEAF_E_BAD_REQUEST;
    }
    return code;
}

static enum sf_code new_backup(struct leaf *leaf, struct sf_http_request *r, struct job **ret,
                               struct sf_error *err)
{
    SF_CLEANUP(sf_json_freep) struct sf_json_doc *doc = NULL;
    struct backup_options o = {
        .rt = leaf->rt,
        .kv = leaf->kv,
        .data_dir = leaf->config->data_dir,
        .domain = leaf->config->domain,
        .mesh = leaf->identity.mesh.mesh,
        .wall_us = sf_rt_wall_us(leaf->rt),
    };
    enum sf_code code = read_backup(r, &doc, &o, err);

    return code == SF_OK ? backup_job_new(&o, ret, err) : code;
}

static void start(struct leaf *leaf, struct sf_http_request *r, struct job_runner *runner)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf told = {0};
    struct job *job = NULL;
    struct sf_error err;
    enum sf_code code;

    if (leaf->stop != STOP_NONE) {
        code = SF_RAISE_E(&err, SF_BUSY, SHEAF_E_BUSY, "the leaf is stopping");
    } else if (runner == &leaf->backup) {
        code = new_backup(leaf, r, &job, &err);
    } else {
        code = check_job_new(leaf->store, &job, &err);
    }
    code = code == SF_OK ? job_start(runner, job, &told, &err) : code;
    if (code != SF_OK) {
        http_problem(r, &err);
        return;
    }
    http_json(r, 202, &told);
}

static void tell(struct sf_http_request *r, unsigned status, const struct job_runner *runner,
                 const char *kind)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf body = {0};
    struct sf_json_writer w = {.out = &body};

    job_report(runner, kind, &w);
    http_json(r, status, &body);
}

static void wrong_method(struct sf_http_request *r)
{
    struct sf_error err;

    (void)SF_RAISE_E(&err, SF_INVALID, SHEAF_E_METHOD_NOT_ALLOWED, "%s %s", sf_http_method(r),
                     sf_http_path(r));
    http_problem(r, &err);
}

bool leaf_admin_http(struct leaf *leaf, struct sf_http_request *r)
{
    const char *what = sf_http_part_count(r) == 3 ? sf_http_part(r, 2) : "";
    const bool is_backup = strcmp(what, "backup") == 0;
    struct job_runner *runner = is_backup ? &leaf->backup : &leaf->check;
    const char *kind = is_backup ? "Backup" : "Check";
    const char *method = sf_http_method(r);

    if (!is_backup && strcmp(what, "check") != 0) {
        return false;
    }
    if (strcmp(method, "GET") == 0) {
        tell(r, 200, runner, kind);
    } else if (strcmp(method, "POST") == 0) {
        start(leaf, r, runner);
    } else if (strcmp(method, "DELETE") == 0) {
        job_cancel(runner);
        tell(r, 202, runner, kind);
    } else {
        wrong_method(r);
    }
    return true;
}

void leaf_admin_init(struct leaf *leaf)
{
    job_runner_init(&leaf->check, leaf->rt);
    job_runner_init(&leaf->backup, leaf->rt);
}

void leaf_admin_cancel(struct leaf *leaf)
{
    job_cancel(&leaf->check);
    job_cancel(&leaf->backup);
}

bool leaf_admin_is_quiet(const struct leaf *leaf)
{
    return !job_is_running(&leaf->check) && !job_is_running(&leaf->backup);
}

void leaf_admin_done(struct leaf *leaf)
{
    job_runner_done(&leaf->check);
    job_runner_done(&leaf->backup);
}
