/* Backups and restores of a real store: what is in them, what is refused, what is left behind. */
#include "tests/lib/cmocka.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/sys/file.h"
#include "common/sys/rt_uv.h"
#include "leaf/admin/backup.h"
#include "leaf/admin/backup_file.h"
#include "leaf/admin/restore.h"
#include "leaf/store/kv_rocks.h"
#include "leaf/store/read.h"
#include "proto/errors.h"
#include "tests/lib/tmpdir.h"
#include "tests/sim/rt_sim.h"

struct world {
    struct rt_sim sim;
    struct tmpdir tmp;
    char data[PATH_MAX];
    char repository[PATH_MAX];
    struct kv *kv;
    struct store *store;
    struct store_lane *lane;
    struct job_runner runner;
    int64_t wall_us;
    unsigned key;
};

static void open_leaf(struct world *w)
{
    const struct store_lane_name name = {"sales/orders", "orders", 1, 0, STORE_STATE};
    char path[PATH_MAX + 8];
    struct sf_error err = {0};

    (void)snprintf(path, sizeof(path), "%s/store", w->data);
    if (kv_rocks_open(path, NULL, &w->kv, &err) != SF_OK ||
        store_open(&w->sim.rt, w->kv, NULL, &w->store, &err) != SF_OK ||
        store_lane_open(w->store, &name, &w->lane, &err) != SF_OK) {
        fail_msg("%s", err.text);
    }
}

static void on_closed(void *data)
{
    ((struct world *)data)->store = NULL;
}

static void close_leaf(struct world *w)
{
    store_close(w->store, on_closed, w);
    rt_sim_run(&w->sim);
    assert_null(w->store);
}

static int setup(void **state)
{
    struct world *w = sf_calloc(1, sizeof(*w));
    char path[PATH_MAX];
    struct sf_error err;

    assert_non_null(w);
    assert_int_equal(sf_crypto_init(NULL), SF_OK);
    rt_sim_init(&w->sim, 1);
    tmpdir_init(&w->tmp);
    (void)tmpdir_join(&w->tmp, "leaf", w->data);
    (void)tmpdir_join(&w->tmp, "backups", w->repository);
    assert_int_equal(sf_dir_make(tmpdir_join(&w->tmp, "leaf/keys", path), 0700, &err), SF_OK);
    (void)tmpdir_join(&w->tmp, "leaf/keys/leaf.seed", path);
    assert_int_equal(sf_file_write(path, SF_LITERAL("secret\n"), 0600, &err), SF_OK);
    job_runner_init(&w->runner, &w->sim.rt);
    w->wall_us = INT64_C(1767225600000000);
    open_leaf(w);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    job_runner_done(&w->runner);
    if (w->store != NULL) {
        close_leaf(w);
    }
    rt_sim_done(&w->sim);
    tmpdir_done(&w->tmp);
    sf_free(w);
    return 0;
}

struct put {
    struct store_write write;
    struct store_lane_write lane;
    struct store_change change;
    char key[16];
    bool done;
};

static void on_put(struct store_write *write, const struct sf_error *err)
{
    assert_null(err);
    ((struct put *)write->data)->done = true;
}

static void put_rows(struct world *w, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct put p = {.write = {.data = &p, .lanes = &p.lane, .lane_count = 1}};

        (void)snprintf(p.key, sizeof(p.key), "key-%05u", w->key++);
        p.change = (struct store_change){
            .op = STORE_UPSERT,
            .contract_id = 1,
            .key = sf_slice_text(p.key),
            .row = SF_LITERAL("the row"),
            .expect_seq = STORE_ANY,
        };
        store_change_digest(p.change.op, p.change.key, p.change.row, p.change.digest);
        p.lane = (struct store_lane_write){
            .lane = w->lane, .changes = &p.change, .change_count = 1, .expect_seq = STORE_ANY};
        assert_int_equal(store_submit(w->store, &p.write, on_put, NULL), SF_OK);
        while (!p.done) {
            assert_true(rt_sim_step(&w->sim));
        }
    }
}

static void start_backup(struct world *w)
{
    const struct backup_options o = {
        .rt = &w->sim.rt,
        .kv = w->kv,
        .data_dir = w->data,
        .repository = w->repository,
        .domain = "sales",
        .mesh = "m1",
        .wall_us = w->wall_us,
    };
    SF_CLEANUP(sf_buf_done) struct sf_buf told = {0};
    struct job *job = NULL;
    struct sf_error err;

    assert_int_equal(backup_job_new(&o, &job, &err), SF_OK);
    assert_int_equal(job_start(&w->runner, job, &told, &err), SF_OK);
    w->wall_us += INT64_C(60) * 1000000;
}

static enum sf_code back_up(struct world *w)
{
    start_backup(w);
    while (job_is_running(&w->runner)) {
        assert_true(rt_sim_step(&w->sim));
    }
    return w->runner.code;
}

static enum sf_code restore(struct world *w, const char *from, const char *to,
                            const struct sf_json *known, struct sf_buf *report,
                            struct sf_error *err)
{
    struct sf_json_writer json = {.out = report};
    struct restore_options o = {.backup = from, .data_dir = to, .known = known};
    enum sf_code code;

    (void)w;
    assert_int_equal(rt_uv_new(&o.uv, err), SF_OK);
    code = restore_run(&o, &json, err);
    rt_uv_free(o.uv);
    return code;
}

static bool has(const struct sf_buf *b, const char *text)
{
    return memmem(b->data, b->size, text, strlen(text)) != NULL;
}

static void assert_has(const struct sf_buf *b, const char *text)
{
    if (!has(b, text)) {
        fail_msg("no %s in %.*s", text, SF_SLICE_ARG(sf_buf_view(b)));
    }
}

static enum sf_code count(const char *name, void *data, struct sf_error *err)
{
    (void)err;
    *(size_t *)data += strcmp(name, "lock") == 0 ? 0 : 1;
    return SF_OK;
}

static size_t names_in(const char *dir)
{
    size_t n = 0;

    assert_int_equal(sf_dir_each(dir, count, &n, NULL), SF_OK);
    return n;
}

static void test_a_backup_of_a_working_leaf_comes_back_in_a_new_epoch(void **state)
{
    struct world *w = *state;
    struct sf_buf report = {0};
    char to[PATH_MAX];
    char path[PATH_MAX];
    struct stat st;
    struct sf_error err = {0};

    put_rows(w, 50);
    start_backup(w);
    while (job_is_running(&w->runner)) {
        put_rows(w, 1); /* Writing goes on. */
        (void)rt_sim_step(&w->sim);
    }
    assert_int_equal(w->runner.code, SF_OK);
    assert_has(&w->runner.report, "\"phase\":\"ended\"");
    assert_has(&w->runner.report, "\"damages\":0");
    assert_int_equal(names_in(w->repository), 1);
    close_leaf(w);
    (void)tmpdir_join(&w->tmp, "restored", to);
    if (restore(w, w->repository, to, NULL, &report, &err) != SF_OK) {
        fail_msg("%s", err.text);
    }
    assert_has(&report, "\"epoch\":2,\"epoch_before\":1");
    assert_has(&report, "\"hub_asked\":false,\"missing\":[]");
    assert_int_equal(stat(tmpdir_join(&w->tmp, "restored/keys/leaf.seed", path), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_not_equal(stat(tmpdir_join(&w->tmp, "restored/RESTORING", path), &st), 0);
    (void)snprintf(w->data, sizeof(w->data), "%s", to);
    open_leaf(w);
    assert_int_equal(store_epoch(w->store), 2);
    assert_true(store_lane_head(w->lane)->seq >= 50);
    assert_int_equal(store_lane_head(w->lane)->rows, store_lane_head(w->lane)->seq);
    put_rows(w, 1);
    assert_int_equal(store_lane_head(w->lane)->epoch, 2);
    sf_buf_done(&report);
}

static void test_a_second_backup_links_what_has_not_changed(void **state)
{
    struct world *w = *state;

    put_rows(w, 20);
    assert_int_equal(back_up(w), SF_OK);
    assert_has(&w->runner.report, "\"linked_bytes\":0,");
    assert_int_equal(back_up(w), SF_OK);
    assert_false(has(&w->runner.report, "\"linked_bytes\":0,"));
    assert_int_equal(names_in(w->repository), 2);
}

static void test_what_the_hub_knows_beyond_the_backup_is_told_and_its_epoch_is_passed(void **state)
{
    struct world *w = *state;
    const char known[] =
        "{\"products\":["
        "{\"product\":\"sales/orders\",\"major\":1,\"table\":\"orders\",\"position\":\"4:25\"},"
        "{\"product\":\"sales/more\",\"major\":2,\"table\":\"t\",\"position\":\"1:7\"},"
        "{\"product\":\"marketing/x\",\"major\":1,\"table\":\"t\",\"position\":\"9:7\"}]}";
    struct sf_json_doc *doc = NULL;
    struct sf_buf report = {0};
    char to[PATH_MAX];
    struct sf_error err = {0};

    put_rows(w, 20);
    assert_int_equal(back_up(w), SF_OK);
    assert_int_equal(sf_json_parse(sf_slice_text(known), &doc, &err), SF_OK);
    (void)tmpdir_join(&w->tmp, "restored", to);
    assert_int_equal(restore(w, w->repository, to, sf_json_root(doc), &report, &err), SF_OK);
    assert_has(&report, "\"epoch\":5,");
    assert_has(&report,
               "\"missing\":[{\"product\":\"sales/orders\",\"major\":1,\"table\":\"orders\","
               "\"epoch\":4,\"from\":21,\"to\":25},{\"product\":\"sales/more\",\"major\":2,"
               "\"table\":\"t\",\"epoch\":1,\"from\":1,\"to\":7}]");
    sf_json_free(doc);
    sf_buf_done(&report);
}

/* Flips one bit in the middle of the file @name of the only backup. */
static void flip(struct world *w, const char *name, off_t at)
{
    char path[2 * PATH_MAX] = "";
    char dir[BACKUP_PATH_MAX];
    struct backup_list l;
    uint8_t byte;
    int fd;

    assert_int_equal(backup_list_newest(w->repository, dir, &l, NULL), SF_OK);
    for (size_t i = 0; i < l.count; i++) {
        const char *end = strrchr(l.entries[i].path, '.');

        if (strcmp(l.entries[i].path, name) == 0 || (end != NULL && strcmp(end, name) == 0)) {
            (void)snprintf(path, sizeof(path), "%s/%s", dir, l.entries[i].path);
        }
    }
    backup_list_done(&l);
    fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 4;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    assert_int_equal(close(fd), 0);
}

static void test_a_damaged_backup_is_refused_and_its_file_named(void **state)
{
    struct world *w = *state;
    struct sf_buf report = {0};
    char to[PATH_MAX];
    char path[PATH_MAX];
    struct sf_error err = {0};

    put_rows(w, 20);
    assert_int_equal(back_up(w), SF_OK);
    (void)tmpdir_join(&w->tmp, "restored", to);
    flip(w, ".sst", 40);
    assert_int_equal(restore(w, w->repository, to, NULL, &report, &err), SF_CORRUPT);
    assert_int_equal(err.number, SHEAF_E_BACKUP_BAD);
    assert_non_null(strstr(err.text, ".sst is damaged"));
    /* What is half there is marked, and begun again. */
    assert_true(sf_file_exists(tmpdir_join(&w->tmp, "restored/RESTORING", path)));
    flip(w, ".sst", 40);
    assert_int_equal(restore(w, w->repository, to, NULL, &report, &err), SF_OK);
    assert_false(sf_file_exists(path));
    assert_int_equal(restore(w, w->repository, to, NULL, &report, &err), SF_CONFLICT);
    assert_int_equal(err.number, SHEAF_E_DATA_DIR_IN_USE);
    sf_buf_done(&report);
}

static void test_a_path_that_cannot_be_is_an_error_of_files(void **state)
{
    struct world *w = *state;
    struct sf_buf report = {0};
    char path[PATH_MAX];
    struct sf_error err = {0};

    assert_int_equal(
        sf_file_write(tmpdir_join(&w->tmp, "file", path), sf_slice_text("x"), 0600, NULL), SF_OK);
    (void)tmpdir_join(&w->tmp, "file/backups", w->repository);
    assert_int_not_equal(back_up(w), SF_OK);
    assert_int_equal(w->runner.error.number, SHEAF_E_FILE_UNREADABLE);
    assert_int_equal(restore(w, path, "nowhere", NULL, &report, &err), SF_ABSENT);
    assert_int_equal(err.number, SHEAF_E_FILE_UNREADABLE);
    (void)tmpdir_join(&w->tmp, "absent", path);
    assert_int_equal(restore(w, path, "nowhere", NULL, &report, &err), SF_ABSENT);
    assert_int_equal(err.number, SHEAF_E_FILE_UNREADABLE);
    sf_buf_done(&report);
}

static void test_a_restore_that_had_hardly_begun_is_begun_again(void **state)
{
    struct world *w = *state;
    struct sf_buf report = {0};
    char to[PATH_MAX];
    char path[PATH_MAX];
    struct sf_error err = {0};

    put_rows(w, 20);
    assert_int_equal(back_up(w), SF_OK);
    (void)tmpdir_join(&w->tmp, "restored", to);
    assert_int_equal(sf_dir_make(to, 0700, NULL), SF_OK);
    (void)tmpdir_join(&w->tmp, "restored/RESTORING.a1B2c3", path); /* killed within its write */
    assert_int_equal(sf_file_write(path, sf_slice_text(""), 0600, NULL), SF_OK);
    if (restore(w, w->repository, to, NULL, &report, &err) != SF_OK) {
        fail_msg("%s", err.text);
    }
    assert_false(sf_file_exists(path));
    sf_buf_done(&report);
}

static void test_a_backup_that_is_stopped_leaves_nothing(void **state)
{
    struct world *w = *state;
    char path[PATH_MAX];

    put_rows(w, 20);
    for (int steps = 0; steps < 40; steps++) {
        start_backup(w);
        for (int i = 0; i < steps && job_is_running(&w->runner); i++) {
            assert_true(rt_sim_step(&w->sim));
        }
        job_cancel(&w->runner);
        while (job_is_running(&w->runner)) {
            assert_true(rt_sim_step(&w->sim));
        }
        assert_false(sf_file_exists(tmpdir_join(&w->tmp, "leaf/checkpoint", path)));
        if (w->runner.code == SF_OK) {
            assert_int_equal(names_in(w->repository), 1);
            return;
        }
        assert_int_equal(w->runner.code, SF_CLOSED);
        assert_int_equal(w->runner.error.number, SHEAF_E_CANCELLED);
        assert_int_equal(names_in(w->repository), 0);
    }
}

static void test_what_a_killed_backup_left_is_removed_by_the_next(void **state)
{
    struct world *w = *state;
    char path[PATH_MAX];
    struct sf_error err;

    put_rows(w, 5);
    (void)tmpdir_join(&w->tmp, "backups/20200101T000000Z.part/store", path);
    assert_int_equal(sf_dir_make(path, 0700, &err), SF_OK);
    assert_int_equal(sf_dir_make(tmpdir_join(&w->tmp, "leaf/checkpoint/x", path), 0700, &err),
                     SF_OK);
    assert_int_equal(back_up(w), SF_OK);
    assert_int_equal(names_in(w->repository), 1);
    assert_false(sf_file_exists(tmpdir_join(&w->tmp, "leaf/checkpoint", path)));
}

static void test_only_one_backup_at_a_time_and_per_repository(void **state)
{
    struct world *w = *state;
    SF_CLEANUP(sf_buf_done) struct sf_buf told = {0};
    struct sf_lock lock = {0};
    char path[PATH_MAX];
    struct job *job = NULL;
    struct sf_error err;

    start_backup(w);
    assert_int_equal(
        backup_job_new(
            &(struct backup_options){.data_dir = "", .repository = "", .domain = "d", .mesh = ""},
            &job, &err),
        SF_OK);
    assert_int_equal(job_start(&w->runner, job, &told, &err), SF_BUSY);
    assert_int_equal(told.size, 0);
    while (job_is_running(&w->runner)) {
        assert_true(rt_sim_step(&w->sim));
    }
    assert_int_equal(w->runner.code, SF_OK);
    assert_int_equal(sf_lock_take(tmpdir_join(&w->tmp, "backups/lock", path), &lock, &err), SF_OK);
    assert_int_equal(back_up(w), SF_CONFLICT);
    assert_int_equal(w->runner.error.number, SHEAF_E_DATA_DIR_IN_USE);
    sf_lock_done(&lock);
    assert_int_equal(back_up(w), SF_OK);
}

/* Every eleventh allocation of a backup fails in turn: it ends with an error and leaves nothing. */
static void test_a_backup_that_gets_no_memory_leaves_nothing(void **state)
{
    struct world *w = *state;
    const struct backup_options o = {
        .rt = &w->sim.rt,
        .kv = w->kv,
        .data_dir = w->data,
        .repository = w->repository,
        .domain = "sales",
        .mesh = "m1",
        .wall_us = w->wall_us,
    };
    struct sf_error err;
    long faults = 1;

    put_rows(w, 3);
    for (long n = 0; faults > 0; n += 11) {
        SF_CLEANUP(sf_buf_done) struct sf_buf told = {0};
        struct job *job = NULL;
        enum sf_code code;

        sf_alloc_fail_after(n, 0);
        code = backup_job_new(&o, &job, &err);
        code = code == SF_OK ? job_start(&w->runner, job, &told, &err) : code;
        while (job_is_running(&w->runner)) {
            assert_true(rt_sim_step(&w->sim));
        }
        code = code == SF_OK ? w->runner.code : code;
        faults = sf_alloc_faults();
        sf_alloc_fail_after(-1, 0);
        assert_true(code == SF_OK || code == SF_NOMEM);
        if (code != SF_OK && sf_file_exists(w->repository)) {
            assert_int_equal(names_in(w->repository), 0);
        } else if (code == SF_OK && faults > 0) {
            assert_int_equal(sf_dir_remove(w->repository, &err), SF_OK); /* It did without. */
        }
    }
    assert_int_equal(names_in(w->repository), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(test_a_backup_of_a_working_leaf_comes_back_in_a_new_epoch),
        T(test_a_second_backup_links_what_has_not_changed),
        T(test_what_the_hub_knows_beyond_the_backup_is_told_and_its_epoch_is_passed),
        T(test_a_damaged_backup_is_refused_and_its_file_named),
        T(test_a_path_that_cannot_be_is_an_error_of_files),
        T(test_a_restore_that_had_hardly_begun_is_begun_again),
        T(test_a_backup_that_is_stopped_leaves_nothing),
        T(test_what_a_killed_backup_left_is_removed_by_the_next),
        T(test_a_backup_that_gets_no_memory_leaves_nothing),
        T(test_only_one_backup_at_a_time_and_per_repository),
#undef T
    };

    return cmocka_run_group_tests_name("admin/backup", tests, NULL, NULL);
}
