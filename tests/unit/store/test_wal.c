/* Logs that break off as a power cut leaves them, and those that only look so. */
#include "tests/lib/cmocka.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/sys/file.h"
#include "leaf/store/head_file.h"
#include "leaf/store/rocks_crc.h"
#include "leaf/store/store_internal.h"
#include "leaf/store/wal_life.h"
#include "leaf/store/wal_scan.h"
#include "leaf/store/wal_tail.h"
#include "proto/errors.h"
#include "tests/lib/rocks_store.h"

enum { COMMITS = 3, ROWS = 20 };

/* --- a store as a power cut finds it --- */

struct cut_world {
    struct rocks_store r;
    char heads[PATH_MAX];
    char wal[PATH_MAX];
    off_t ends[COMMITS + 1]; /* of the log, after so many commits */
    uint8_t log[1 << 20];
    size_t log_size;
};

static void write_heads(struct cut_world *w)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf record = {0};

    head_record_encode(w->r.store, &record);
    assert_int_equal(sf_file_write(w->heads, sf_buf_view(&record), 0600, NULL), SF_OK);
}

static off_t size_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

static void read_log(struct cut_world *w)
{
    const int fd = open(w->wal, O_RDONLY);

    w->log_size = (size_t)read(fd, w->log, sizeof(w->log));
    (void)close(fd);
}

static void write_log(const struct cut_world *w)
{
    const int fd = open(w->wal, O_WRONLY | O_TRUNC);

    assert_int_equal(write(fd, w->log, w->log_size), w->log_size);
    (void)close(fd);
}

/* Three commits; the head record is of after @recorded of them. The store is left as it lies. */
static void cut_world_init(struct cut_world *w, int recorded)
{
    struct sf_error err = {0};

    rocks_store_init(&w->r);
    w->r.boot = "before";
    (void)tmpdir_join(&w->r.tmp, "heads", w->heads);
    assert_int_equal(rocks_store_open(&w->r, &err), SF_OK);
    write_heads(w);
    for (int i = 0; i <= COMMITS; i++) {
        if (i > 0) {
            rocks_store_put(&w->r, i * ROWS, ROWS);
            rocks_store_wal(w->r.path, w->wal);
        }
        w->ends[i] = i == 0 ? 0 : size_of(w->wal);
        if (i == recorded) {
            write_heads(w);
        }
    }
    rocks_store_kill(&w->r);
    rocks_store_wal(w->r.path, w->wal);
    read_log(w);
    assert_int_equal(w->log_size, w->ends[COMMITS]);
}

static enum sf_code mend(struct cut_world *w, const char *boot, enum wal_tail_how how,
                         struct wal_tail *ret, struct sf_error *err)
{
    const struct wal_tail_options options = {
        .rt = &w->r.sim.rt, .store = w->r.path, .heads = w->heads, .boot = boot, .how = how};

    return wal_tail_mend(&options, ret, err);
}

/* The log lies there as it was written last. */
static void assert_untouched(struct cut_world *w)
{
    static uint8_t before[sizeof(w->log)];
    const size_t size = w->log_size;
    char kept[PATH_MAX];

    memcpy(before, w->log, size);
    read_log(w);
    assert_int_equal(w->log_size, size);
    assert_memory_equal(w->log, before, size);
    (void)snprintf(kept, sizeof(kept), "%.3000s/cut", w->r.path);
    assert_false(sf_file_exists(kept));
    (void)snprintf(kept, sizeof(kept), "%.3000s/trial", w->r.path);
    assert_false(sf_file_exists(kept));
}

static void assert_refused(struct cut_world *w, const char *boot, uint16_t number, const char *says)
{
    struct sf_error err = {0};
    struct wal_tail tail;

    assert_int_equal(mend(w, boot, WAL_TAIL_CUT, &tail, &err), SF_CORRUPT);
    assert_int_equal(err.number, number);
    if (strstr(err.text, says) == NULL) {
        fail_msg("'%s' does not say '%s'", err.text, says);
    }
    assert_untouched(w);
    assert_int_equal(mend(w, boot, WAL_TAIL_LOOK, &tail, &err), SF_OK);
    assert_true(tail.torn);
    assert_int_equal(tail.why.number, number);
    assert_untouched(w);
}

static void cut_world_done(struct cut_world *w)
{
    rocks_store_done(&w->r);
}

/* What the disk shows where nothing was synced. */
enum rest { REST_ZEROS, REST_NOISE, REST_OLD, REST_OTHER, REST_COUNT };

static void fill_rest(struct cut_world *w, size_t from, enum rest rest)
{
    uint32_t x = 1;

    for (size_t i = from; i < w->log_size; i++) {
        x = x * 1664525u + 1013904223u;
        switch (rest) {
        case REST_ZEROS:
            w->log[i] = 0;
            break;
        case REST_NOISE:
            w->log[i] = (uint8_t)(x >> 24);
            break;
        case REST_OLD: /* whole records of this very log, as of a block that was used before */
            w->log[i] = w->log[(i - from) % (size_t)w->ends[1]];
            break;
        case REST_OTHER:
            w->log[i] ^= 0x40;
            break;
        case REST_COUNT:
            break;
        }
    }
}

static void assert_kept(const struct cut_world *w, size_t from)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf kept = {0};
    char path[PATH_MAX];
    const char *name = strrchr(w->wal, '/') + 1;

    (void)snprintf(path, sizeof(path), "%.3000s/cut/%.64s.from-%zu", w->r.path, name, from);
    assert_int_equal(sf_file_read(path, sizeof(w->log), &kept, NULL), SF_OK);
    assert_int_equal(kept.size, w->log_size - from);
    assert_memory_equal(kept.data, w->log + from, kept.size);
}

/* --- tests --- */

static void test_bytes_are_as_documented(void **state)
{
    static const uint8_t golden[WAL_STAMP_TAIL] = {
        3, 28, 'S', 'F', 'W', 1, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0,
        0, 0,  0,   0,   0,   1, 2,    0,    0,    0,    0,    0,    0,    1,    1};
    static const uint8_t life_golden[] = {'S', 'F', 'L', 2, 0, 0, 0, 0, 0, 0, 0,   9,   0,
                                          0,   0,   0,   0, 0, 0, 4, 0, 0, 0, 0,   0,   0,
                                          0,   5,   0,   0, 0, 0, 0, 0, 1, 0, 'b', '-', '1'};
    const struct wal_stamp stamp = {UINT64_C(0x1122334455667788), 258, 257};
    struct wal_life life = {
        .life = 9, .boot = "b-1", .log = 4, .manifest = 5, .manifest_bytes = 256};
    SF_CLEANUP(sf_buf_done) struct sf_buf file = {0};
    struct wal_stamp found;
    struct tmpdir tmp;
    char path[PATH_MAX];
    uint8_t bytes[WAL_STAMP_BYTES];

    (void)state;
    wal_stamp_encode(&stamp, bytes);
    assert_memory_equal(bytes, golden + 2, sizeof(bytes));
    assert_true(wal_stamp_decode(sf_slice_of(golden, sizeof(golden)), &found));
    assert_memory_equal(&found, &stamp, sizeof(stamp));
    assert_false(wal_stamp_decode(sf_slice_of(golden + 1, sizeof(golden) - 1), &found));

    assert_int_equal(sf_crypto_init(NULL), SF_OK);
    tmpdir_init(&tmp);
    assert_int_equal(wal_life_write(tmp.path, &life, NULL), SF_OK);
    assert_int_equal(sf_file_read(tmpdir_join(&tmp, "LIFE", path), 1024, &file, NULL), SF_OK);
    assert_int_equal(file.size, sizeof(life_golden) + SF_HASH256_SIZE);
    assert_memory_equal(file.data, life_golden, sizeof(life_golden));
    assert_int_equal(wal_life_read(tmp.path, &life, NULL), SF_OK);
    assert_int_equal(life.life, 9);
    assert_string_equal(life.boot, "b-1");
    assert_true(life.log == 4 && life.manifest == 5 && life.manifest_bytes == 256);
    for (size_t bit = 0; bit < file.size * 8; bit++) {
        file.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(sf_file_write(path, sf_buf_view(&file), 0600, NULL), SF_OK);
        assert_int_equal(wal_life_read(tmp.path, &life, NULL), SF_OK);
        assert_int_equal(life.life, 0);
        file.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    tmpdir_done(&tmp);
}

static void test_the_log_is_summed_by_our_function(void **state)
{
    void *called = dlsym(RTLD_DEFAULT, "_ZN7rocksdb6crc32c6ExtendEjPKcm");

    (void)state;
    if (called == NULL) {
        skip(); /* A RocksDB that calls nothing of that name. */
    }
    assert_ptr_equal(called, (void *)(uintptr_t)rocks_crc_extend);
}

static void test_each_record_of_a_log_is_read_with_its_stamp(void **state)
{
    static struct cut_world w;
    struct wal_file f = {0};
    struct wal_life life;
    uint64_t n = 0;

    (void)state;
    cut_world_init(&w, 0);
    f.bytes = sf_slice_of(w.log, w.log_size);
    assert_int_equal(wal_life_read(w.r.path, &life, NULL), SF_OK);
    assert_string_equal(life.boot, "before");
    while (wal_file_next(&f) == WAL_RECORD) {
        n++;
        assert_true(f.has_stamp);
        assert_int_equal(f.stamp.life, life.life);
        assert_int_equal(f.stamp.number, n);
        assert_int_equal(f.stamp.synced, n - 1);
    }
    assert_int_equal(f.end, w.log_size);
    assert_int_equal(n, COMMITS + 1); /* and the format of the store */
    cut_world_done(&w);
}

static void test_what_a_power_cut_leaves_is_cut_off_and_kept(void **state)
{
    (void)state;
    for (enum rest rest = 0; rest < REST_COUNT; rest++) {
        static struct cut_world w;
        struct sf_error err = {0};
        struct wal_tail tail;

        cut_world_init(&w, COMMITS - 1);
        fill_rest(&w, (size_t)w.ends[2] + (rest == REST_OTHER ? 100 : 0), rest);
        write_log(&w);
        assert_int_equal(mend(&w, "after", WAL_TAIL_LOOK, &tail, &err), SF_OK);
        assert_true(tail.torn && tail.why.code == SF_OK && !tail.readable);
        assert_untouched(&w);
        assert_int_equal(mend(&w, "after", WAL_TAIL_CUT, &tail, &err), SF_OK);
        assert_true(tail.torn);
        assert_int_equal(tail.at, w.ends[2]);
        assert_int_equal(tail.bytes, w.ends[3] - w.ends[2]);
        assert_int_equal(size_of(w.wal), w.ends[2]);
        assert_kept(&w, (size_t)w.ends[2]);
        rocks_store_assert_opens(&w.r, 2 * ROWS);
        cut_world_done(&w);
    }
}

static void test_damage_anywhere_in_the_last_record_is_placed_at_its_beginning(void **state)
{
    static struct cut_world w;
    static struct wal_scan scan;
    struct wal_life life;

    (void)state;
    cut_world_init(&w, 2);
    assert_int_equal(wal_life_read(w.r.path, &life, NULL), SF_OK);
    for (size_t at = (size_t)w.ends[2]; at < w.log_size; at++) {
        const uint8_t before = w.log[at];

        w.log[at] ^= 0x10;
        write_log(&w);
        assert_int_equal(wal_scan_run(&scan, w.r.path, life.life, NULL), SF_OK);
        assert_true(scan.verdict == WAL_TORN || scan.verdict == WAL_CUT_OFF);
        assert_int_equal(scan.at, w.ends[2]);
        w.log[at] = before;
    }
    for (w.log_size = (size_t)w.ends[2] + 1; w.log_size < (size_t)w.ends[3]; w.log_size += 7) {
        write_log(&w);
        assert_int_equal(wal_scan_run(&scan, w.r.path, life.life, NULL), SF_OK);
        assert_int_equal(scan.verdict, WAL_CUT_OFF);
        assert_int_equal(scan.at, w.ends[2]);
        assert_int_equal(scan.bytes, w.log_size - (size_t)w.ends[2]);
    }
    cut_world_done(&w);
}

static void test_a_machine_that_was_not_started_anew_had_no_power_cut(void **state)
{
    static struct cut_world w;

    (void)state;
    cut_world_init(&w, 2);
    fill_rest(&w, (size_t)w.ends[2], REST_ZEROS);
    write_log(&w);
    assert_refused(&w, "before", SHEAF_E_LOG_TORN, "the machine was not started since");
    assert_refused(&w, "", SHEAF_E_LOG_TORN, "is not known");
    cut_world_done(&w);
}

static void test_nothing_is_cut_that_the_head_record_tells_of(void **state)
{
    static struct cut_world w;

    (void)state;
    cut_world_init(&w, 3);
    fill_rest(&w, (size_t)w.ends[2], REST_NOISE);
    write_log(&w);
    assert_refused(&w, "after", SHEAF_E_STORE_BEHIND, "41 to 60");
    assert_int_equal(unlink(w.heads), 0);
    assert_refused(&w, "after", SHEAF_E_STORE_BEHIND, "is missing");
    cut_world_done(&w);
}

static void test_nothing_is_cut_that_a_later_record_knows_as_synced(void **state)
{
    (void)state;
    for (enum rest rest = 0; rest < REST_COUNT; rest++) {
        static struct cut_world w;
        size_t whole;

        cut_world_init(&w, 1);
        whole = w.log_size;
        w.log_size = (size_t)w.ends[2]; /* all of the second */
        fill_rest(&w, (size_t)w.ends[1], rest);
        w.log_size = whole;
        write_log(&w);
        assert_refused(&w, "after", SHEAF_E_LOG_TORN, "says that it was synced");
        cut_world_done(&w);
    }
}

/* As when two commits are under way: the second is there, and the first is not. */
static void test_a_later_record_that_was_not_waited_for_is_cut_off_too(void **state)
{
    static struct cut_world w;
    struct sf_error err = {0};
    struct wal_tail tail;
    struct kv_batch *b = NULL;
    char copy[PATH_MAX];
    off_t first;

    (void)state;
    cut_world_init(&w, 2);
    rocks_store_assert_opens(&w.r, 3 * ROWS);
    w.r.boot = "before";
    assert_int_equal(rocks_store_open(&w.r, &err), SF_OK);
    rocks_store_put(&w.r, 2000, 1);
    write_heads(&w);
    rocks_store_wal(w.r.path, w.wal);
    first = size_of(w.wal);
    assert_int_equal(w.r.kv->ops->batch_new(w.r.kv, &b, &err), SF_OK);
    for (int i = 0; i < 2; i++) {
        b->ops->clear(b);
        b->ops->put(b, KV_IDEM, kv_one(SF_LITERAL("a key")),
                    kv_one(SF_LITERAL("12345678 a value")));
        assert_int_equal(w.r.kv->ops->write(w.r.kv, b, KV_PLAIN, &err), SF_OK);
    }
    kv_batch_free(b);
    rocks_store_copy(w.r.path, tmpdir_join(&w.r.tmp, "again", copy));
    rocks_store_close(&w.r);
    (void)snprintf(w.r.path, sizeof(w.r.path), "%s", copy);
    rocks_store_wal(copy, w.wal);
    read_log(&w);
    w.log[first + 20] ^= 1;
    write_log(&w);
    assert_int_equal(mend(&w, "after", WAL_TAIL_CUT, &tail, &err), SF_OK);
    assert_int_equal(tail.at, first);
    assert_int_equal(size_of(w.wal), first);
    assert_kept(&w, (size_t)first);
    cut_world_done(&w);
}

static void test_the_owner_may_take_the_loss(void **state)
{
    static struct cut_world w;
    struct sf_error err = {0};
    struct wal_tail tail;

    (void)state;
    cut_world_init(&w, 3);
    w.log[w.ends[1] + 50] ^= 1;
    write_log(&w);
    assert_refused(&w, "before", SHEAF_E_LOG_TORN, "says that it was synced");
    assert_int_equal(mend(&w, "before", WAL_TAIL_LOSE, &tail, &err), SF_OK);
    assert_int_equal(tail.at, w.ends[1]);
    assert_int_equal(tail.bytes, w.ends[3] - w.ends[1]);
    assert_kept(&w, (size_t)w.ends[1]);
    rocks_store_assert_opens(&w.r, 1 * ROWS);
    cut_world_done(&w);
}

static void test_a_record_that_a_killed_process_began_is_cut_on_the_same_machine(void **state)
{
    static struct cut_world w;
    struct sf_error err = {0};
    struct wal_tail tail;

    (void)state;
    cut_world_init(&w, 2);
    w.log_size -= 37;
    write_log(&w);
    assert_int_equal(mend(&w, "before", WAL_TAIL_CUT, &tail, &err), SF_OK);
    assert_true(tail.torn && tail.readable);
    assert_kept(&w, (size_t)w.ends[2]);
    rocks_store_assert_opens(&w.r, 2 * ROWS);
    cut_world_done(&w);
}

static void test_logs_that_are_whole_or_without_stamps_are_left_alone(void **state)
{
    static struct cut_world w;
    struct sf_error err = {0};
    struct wal_tail tail;
    char path[PATH_MAX];

    (void)state;
    cut_world_init(&w, 3);
    assert_int_equal(mend(&w, "after", WAL_TAIL_CUT, &tail, &err), SF_OK);
    assert_false(tail.torn);
    assert_untouched(&w);
    fill_rest(&w, (size_t)w.ends[2] + 100, REST_OTHER);
    write_log(&w);
    (void)snprintf(path, sizeof(path), "%.3000s/LIFE", w.r.path);
    assert_int_equal(unlink(path), 0); /* as an older release left it */
    assert_int_equal(mend(&w, "after", WAL_TAIL_CUT, &tail, &err), SF_OK);
    assert_false(tail.torn);
    assert_int_equal(rocks_store_open(&w.r, &err), SF_CORRUPT);
    assert_int_equal(err.number, SHEAF_E_STORE_CORRUPT);
    cut_world_done(&w);
}

static void test_memory_that_runs_out_changes_nothing(void **state)
{
    static struct cut_world w;
    struct sf_error err = {0};
    struct wal_tail tail;
    enum sf_code code = SF_NOMEM;

    (void)state;
    cut_world_init(&w, 2);
    fill_rest(&w, (size_t)w.ends[2], REST_ZEROS);
    write_log(&w);
    for (long n = 0; code != SF_OK && n < 1000; n++) {
        sf_alloc_fail_after(n, 1);
        code = mend(&w, "after", WAL_TAIL_LOOK, &tail, &err);
        sf_alloc_fail_after(-1, 0);
        assert_true(code == SF_OK || code == SF_NOMEM);
        assert_int_equal(size_of(w.wal), w.ends[3]);
    }
    assert_int_equal(code, SF_OK);
    cut_world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_are_as_documented),
        cmocka_unit_test(test_the_log_is_summed_by_our_function),
        cmocka_unit_test(test_each_record_of_a_log_is_read_with_its_stamp),
        cmocka_unit_test(test_what_a_power_cut_leaves_is_cut_off_and_kept),
        cmocka_unit_test(test_damage_anywhere_in_the_last_record_is_placed_at_its_beginning),
        cmocka_unit_test(test_a_machine_that_was_not_started_anew_had_no_power_cut),
        cmocka_unit_test(test_nothing_is_cut_that_the_head_record_tells_of),
        cmocka_unit_test(test_nothing_is_cut_that_a_later_record_knows_as_synced),
        cmocka_unit_test(test_a_later_record_that_was_not_waited_for_is_cut_off_too),
        cmocka_unit_test(test_the_owner_may_take_the_loss),
        cmocka_unit_test(test_a_record_that_a_killed_process_began_is_cut_on_the_same_machine),
        cmocka_unit_test(test_logs_that_are_whole_or_without_stamps_are_left_alone),
        cmocka_unit_test(test_memory_that_runs_out_changes_nothing),
    };

    return cmocka_run_group_tests_name("wal", tests, NULL, NULL);
}
