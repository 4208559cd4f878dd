/*
 * A whole leaf whose hub is away, asked over HTTP while memory runs out: each allocation fails
 * once, whoever makes it. It answers honestly, goes on, and leaves nothing behind.
 */
#include "tests/lib/cmocka.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/sys/process.h"
#include "leaf/admin/backup.h"
#include "leaf/admin/backup_file.h"
#include "tests/integration/leaf_inside.h"

struct world {
    struct leaf_inside leaf;
    unsigned refused;
    char whole[RAW_HTTP_MAX];
    char order[PATH_MAX + 32]; /* of a backup */
};

struct question {
    const char *method;
    const char *path;
    const char *body;
    unsigned status;
    bool changes; /* its answer is another each time */
    bool large;   /* only its beginning is looked at */
};

/* --- the sweep --- */

static bool ask(struct world *w, const struct question *q, long fault)
{
    return leaf_inside_ask(&w->leaf, q->method, q->path, q->body, fault);
}

static void assert_honest(struct world *w, const struct question *q)
{
    const struct raw_http_answer *a = &w->leaf.answer;

    if (a->status >= 400 && !raw_http_is_problem(a)) {
        fail_msg("%s %s: %u '%s'", q->method, q->path, a->status, a->text);
    }
    if (a->status == q->status && (a->is_complete || q->large)) {
        if (a->status >= 400 && strcmp(a->text, w->whole) != 0) {
            w->refused++; /* There was no memory for the detail. */
        } else if (!q->changes) {
            assert_string_equal(a->text, w->whole);
        }
        return;
    }
    if (a->status != 0 && a->status != q->status && a->status != 429 && a->status != 500 &&
        a->status != 503) {
        fail_msg("%s %s: %u %s", q->method, q->path, a->status, a->text);
    }
    w->refused++;
}

static void sweep(struct world *w, const struct question *q)
{
    long n = 0;

    assert_false(ask(w, q, -1));
    if (w->leaf.answer.status != q->status || w->leaf.answer.is_complete == q->large) {
        fail_msg("%s %s: %u %s", q->method, q->path, w->leaf.answer.status, w->leaf.answer.text);
    }
    memcpy(w->whole, w->leaf.answer.text, sizeof(w->whole));
    w->refused = 0;
    while (ask(w, q, n)) {
        assert_honest(w, q);
        n++;
    }
    assert_honest(w, q);
    assert_true(n > 3 && w->refused > 1);
}

/* --- jobs --- */

/* Loop of the leaf. */
static bool is_quiet(struct leaf *leaf, void *data)
{
    (void)data;
    return leaf_admin_is_quiet(leaf);
}

static size_t backups_in(const char *repository)
{
    DIR *dir = opendir(repository);
    const struct dirent *e;
    size_t n = 0;

    if (dir == NULL) {
        return 0; /* not even that was made */
    }
    while ((e = readdir(dir)) != NULL) {
        n += e->d_name[0] != '.' && strcmp(e->d_name, "lock") != 0;
    }
    assert_int_equal(closedir(dir), 0);
    return n;
}

/* What the leaf tells of its last job of this kind. */
static void tell(struct world *w, const char *path, char ret[RAW_HTTP_MAX])
{
    assert_false(leaf_inside_ask(&w->leaf, "GET", path, "", -1));
    assert_int_equal(w->leaf.answer.status, 200);
    (void)snprintf(ret, RAW_HTTP_MAX, "%s", w->leaf.answer.text);
}

/* A backup that is there is whole, and of one that is not there nothing is left. */
static void look_at_backups(struct world *w, bool is_made)
{
    char repository[PATH_MAX];
    char path[PATH_MAX];
    char newest[BACKUP_PATH_MAX];
    struct backup_list list = {0};
    struct sf_error err;

    (void)tmpdir_join(&w->leaf.tmp, "backups", repository);
    assert_int_equal(backups_in(repository), is_made);
    assert_false(sf_file_exists(tmpdir_join(&w->leaf.tmp, BACKUP_CHECKPOINT, path)));
    if (is_made) {
        assert_int_equal(backup_list_newest(repository, newest, &list, &err), SF_OK);
        assert_true(list.count > 0);
        backup_list_done(&list);
    }
    if (sf_file_exists(repository)) {
        assert_int_equal(sf_dir_remove(repository, &err), SF_OK);
    }
}

/* Starts a job and waits for its end, while the allocation behind @fault ones fails. What was
 * answered is what happened: a job that was refused has not begun. */
static bool run_job(struct world *w, const struct question *q, long fault)
{
    char before[RAW_HTTP_MAX];
    char after[RAW_HTTP_MAX];
    const struct raw_http_answer *a = &w->leaf.answer;
    unsigned status;
    bool failed;

    tell(w, q->path, before);
    sf_alloc_fail_after(fault, false);
    raw_http_call(w->leaf.port, q->method, q->path, w->leaf.authorization, sf_slice_text(q->body),
                  &w->leaf.answer);
    leaf_inside_until(&w->leaf, is_quiet, NULL, "the job has ended", 20000);
    failed = sf_alloc_faults() > 0;
    sf_alloc_fail_after(-1, false);
    assert_honest(w, q);
    status = a->status;
    tell(w, q->path, after);
    if (status == 202) {
        assert_string_not_equal(after, before);
    } else if (status != 0) {
        assert_string_equal(after, before);
    }
    if (!failed && strstr(after, "\"state\":\"done\"") == NULL) {
        fail_msg("%s", after);
    }
    look_at_backups(w, strcmp(after, before) != 0 && strstr(after, "\"kind\":\"Backup\"") != NULL &&
                           strstr(after, "\"state\":\"done\"") != NULL);
    return failed;
}

static void sweep_job(struct world *w, const struct question *q)
{
    long n = 0;

    (void)run_job(w, q, -1);
    w->refused = 0;
    while (run_job(w, q, n)) {
        n++;
    }
    assert_true(n > 3 && w->refused > 1);
}

/* --- the leaf --- */

static void a_leaf_without_memory_answers_honestly_and_goes_on(void **state)
{
    static const struct question questions[] = {
        {"GET", "/v1/status", "", 200, true},
        {"GET", "/v1/settings", "", 200, false},
        {"GET", "/metrics", "", 200, true, true},
        {"GET", "/openapi.json", "", 200, false, true},
        {"GET", "/v1/products", "", 200, false},
        {"GET", "/v1/products/sales/orders", "", 404, false},
        {"PUT", "/v1/products/sales/orders", "sheaf: product/v1\n", 422, false},
        {"GET", "/v1/leaf/check", "", 200, true},
        {"DELETE", "/v1/leaf/check", "", 202, true},
        {"GET", "/v1/leaf/backup", "", 200, true},
        {"DELETE", "/v1/leaf/backup", "", 202, true},
        {"DELETE", "/v1/products/sales/orders", "", 400, false},
        {"POST", "/v1/products/sales/orders/restore", "", 400, false},
        {"POST", "/v1/leaf/drain", "", 200, true},
        {"GET", "/v1/leaf/drain", "", 200, true},
        {"DELETE", "/v1/leaf/drain", "", 200, true},
    };
    struct world *w = *state;

    for (size_t i = 0; i < SF_COUNT(questions); i++) {
        sweep(w, &questions[i]);
    }
}

static void a_job_without_memory_ends_as_its_answer_says(void **state)
{
    struct world *w = *state;

    (void)snprintf(w->order, sizeof(w->order), "{\"repository\":\"%s/backups\"}", w->leaf.tmp.path);
    sweep_job(w, &(struct question){"POST", "/v1/leaf/check", "", 202, true});
    sweep_job(w, &(struct question){"POST", "/v1/leaf/backup", w->order, 202, true});
}

static int setup(void **state)
{
    static struct world w;

    leaf_inside_init(&w.leaf);
    leaf_inside_open(&w.leaf);
    leaf_inside_run(&w.leaf);
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    leaf_inside_stop(&w->leaf);
    leaf_inside_done(&w->leaf);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_leaf_without_memory_answers_honestly_and_goes_on),
        cmocka_unit_test(a_job_without_memory_ends_as_its_answer_says),
    };

    sf_process_shim(argc, argv);
    assert_int_equal(sf_crypto_init(NULL), SF_OK);
    return cmocka_run_group_tests_name("leaf_faults", tests, setup, teardown);
}
