#include "tests/lib/rocks_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/sys/crypto.h"
#include "leaf/store/check.h"
#include "leaf/store/kv_rocks.h"
#include "tests/lib/cmocka.h"

enum sf_code rocks_store_open(struct rocks_store *r, struct sf_error *err)
{
    struct store_lane_name name = {"sales/orders", "orders", 1, 0, STORE_STATE};
    struct store_options options = {.disk_reserve_bytes = 1};
    const struct kv_rocks_options kv_options = {.boot = r->boot};
    enum sf_code code = kv_rocks_open(r->path, &kv_options, &r->kv, err);

    code = code == SF_OK ? store_open(&r->sim.rt, r->kv, &options, &r->store, err) : code;
    return code == SF_OK ? store_lane_open(r->store, &name, &r->lane, err) : code;
}

void rocks_store_init(struct rocks_store *r)
{
    assert_int_equal(sf_crypto_init(NULL), SF_OK);
    r->boot = NULL;
    rt_sim_init(&r->sim, 1);
    tmpdir_init(&r->tmp);
    (void)tmpdir_join(&r->tmp, "store", r->path);
}

void rocks_store_done(struct rocks_store *r)
{
    rt_sim_done(&r->sim);
    tmpdir_done(&r->tmp);
}

static void on_closed(void *data)
{
    ((struct rocks_store *)data)->store = NULL;
}

void rocks_store_close(struct rocks_store *r)
{
    store_close(r->store, on_closed, r);
    rt_sim_run(&r->sim);
    assert_null(r->store);
}

void rocks_store_put(struct rocks_store *r, int from, int count)
{
    struct world_write ww;
    char key[16];

    world_write_init(&ww, r->lane);
    for (int i = 0; i < count; i++) {
        (void)snprintf(key, sizeof(key), "k%04d", from + i);
        (void)world_write_add(&ww, key, "a row that is stored");
    }
    assert_int_equal(world_write_submit(&ww, r->store, NULL), SF_OK);
    rt_sim_run(&r->sim);
    assert_int_equal(ww.error.code, SF_OK);
}

static void copy_file(int in, const char *to)
{
    static char bytes[1 << 16];
    const int out = open(to, O_WRONLY | O_CREAT, 0600);
    ssize_t n;

    assert_true(out >= 0);
    while ((n = read(in, bytes, sizeof(bytes))) > 0) {
        assert_int_equal(write(out, bytes, (size_t)n), n);
    }
    (void)close(out);
}

/* What is gone since it was listed was not needed any more: RocksDB removes files at any time. */
static void copy_entry(const char *from, const char *to)
{
    const int in = open(from, O_RDONLY);
    struct stat st;

    if (in < 0) {
        assert_int_equal(errno, ENOENT);
        return;
    }
    assert_int_equal(fstat(in, &st), 0);
    if (S_ISDIR(st.st_mode)) {
        rocks_store_copy(from, to);
    } else {
        copy_file(in, to);
    }
    (void)close(in);
}

void rocks_store_copy(const char *from, const char *to)
{
    DIR *d = opendir(from);
    struct dirent *e;

    assert_non_null(d);
    assert_int_equal(mkdir(to, 0700), 0);
    while ((e = readdir(d)) != NULL) {
        char a[PATH_MAX];
        char b[PATH_MAX];

        (void)snprintf(a, sizeof(a), "%.3000s/%s", from, e->d_name);
        (void)snprintf(b, sizeof(b), "%.3000s/%s", to, e->d_name);
        if (e->d_name[0] != '.') {
            copy_entry(a, b);
        }
    }
    (void)closedir(d);
}

void rocks_store_wal(const char *path, char *ret)
{
    char dir[PATH_MAX];
    DIR *d;
    struct dirent *e;
    off_t largest = -1;

    (void)snprintf(dir, sizeof(dir), "%.3000s/db", path);
    d = opendir(dir);
    assert_non_null(d);
    while ((e = readdir(d)) != NULL) {
        char file[PATH_MAX];
        struct stat st;

        (void)snprintf(file, sizeof(file), "%.3000s/%s", dir, e->d_name);
        if (strstr(e->d_name, ".log") != NULL && stat(file, &st) == 0 && st.st_size > largest) {
            largest = st.st_size;
            (void)snprintf(ret, PATH_MAX, "%s", file);
        }
    }
    (void)closedir(d);
    assert_true(largest > 0);
}

void rocks_store_kill(struct rocks_store *r)
{
    char copy[PATH_MAX];

    rocks_store_copy(r->path, tmpdir_join(&r->tmp, "copy", copy));
    rocks_store_close(r);
    (void)snprintf(r->path, sizeof(r->path), "%s", copy);
}

void rocks_store_assert_opens(struct rocks_store *r, int rows)
{
    struct store_check_result result;
    struct sf_error err = {0};

    r->boot = "after";
    if (rocks_store_open(r, &err) != SF_OK) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(store_lane_head(r->lane)->seq, rows);
    rocks_store_put(r, 1000, 1);
    assert_int_equal(store_check(r->store, &result, &err), SF_OK);
    assert_int_equal(result.rows, rows + 1);
    rocks_store_close(r);
}
