/* A MANIFEST that a power cut has torn, and one that has lost what was synced. */
#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/sys/file.h"
#include "leaf/store/head_file.h"
#include "leaf/store/manifest.h"
#include "leaf/store/store_internal.h"
#include "leaf/store/wal_life.h"
#include "leaf/store/wal_tail.h"
#include "proto/errors.h"
#include "tests/lib/rocks_store.h"

enum { ROWS = 20, EDITS_MAX = 64, FILE_MAX = 1 << 20 };

/* What the disk shows where nothing was synced. */
enum rest { REST_NOTHING, REST_ZEROS, REST_NOISE, REST_COUNT };

/* --- a store as a killed process leaves it --- */

struct torn_world {
    struct rocks_store r;
    char heads[PATH_MAX];
    char manifest[PATH_MAX];
    struct sf_buf before; /* the MANIFEST */
    struct wal_life life;
    uint64_t ends[EDITS_MAX]; /* of its edits, from 0 on */
    size_t count;
    int flushes;
};

static const char *in_store(const struct torn_world *w, const char *name, char *ret)
{
    (void)snprintf(ret, PATH_MAX, "%.3000s/%.500s", w->r.path, name);
    return ret;
}

static void read_file(const char *path, struct sf_buf *ret)
{
    sf_buf_clear(ret);
    assert_int_equal(sf_file_read(path, FILE_MAX, ret, NULL), SF_OK);
}

static void write_file(const char *path, struct sf_slice bytes)
{
    assert_int_equal(sf_file_write(path, bytes, 0600, NULL), SF_OK);
}

/* The head record is of the very beginning: it tells of nothing that could be missing. */
static void torn_world_init(struct torn_world *w)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf record = {0};
    struct sf_error err = {0};

    memset(w, 0, sizeof(*w));
    rocks_store_init(&w->r);
    w->r.boot = "before";
    assert_int_equal(rocks_store_open(&w->r, &err), SF_OK);
    head_record_encode(w->r.store, &record);
    write_file(tmpdir_join(&w->r.tmp, "heads", w->heads), sf_buf_view(&record));
}

/* All that is in memory goes to tables, and the log is gone. */
static void flush(struct torn_world *w)
{
    struct sf_error err = {0};
    char name[32];
    char path[PATH_MAX];

    (void)snprintf(name, sizeof(name), "checkpoint-%d", w->flushes++);
    assert_int_equal(w->r.kv->ops->checkpoint(w->r.kv, tmpdir_join(&w->r.tmp, name, path), &err),
                     SF_OK);
}

static void read_manifest(struct torn_world *w)
{
    struct wal_file f = {0};
    struct manifest m;
    char name[MANIFEST_NAME_BYTES];
    char in_db[MANIFEST_NAME_BYTES + 3];

    assert_int_equal(manifest_read(w->r.path, &m, NULL), SF_OK);
    manifest_name(m.number, name);
    (void)snprintf(in_db, sizeof(in_db), "db/%s", name);
    read_file(in_store(w, in_db, w->manifest), &w->before);
    f.bytes = sf_buf_view(&w->before);
    for (w->count = 1; wal_file_next(&f) == WAL_RECORD; w->count++) {
        assert_true(w->count < EDITS_MAX);
        w->ends[w->count] = f.end;
    }
    assert_true(m.whole == w->before.size && m.end == WAL_END);
    assert_int_equal(wal_life_read(w->r.path, &w->life, NULL), SF_OK);
    assert_int_equal(w->life.manifest, m.number);
}

/* What lies on the disk now is looked at from now on. */
static void kill_it(struct torn_world *w)
{
    rocks_store_kill(&w->r);
    read_manifest(w);
}

static void torn_world_done(struct torn_world *w)
{
    sf_buf_done(&w->before);
    rocks_store_done(&w->r);
}

/* The MANIFEST is whole up to @at. */
static void tear(const struct torn_world *w, uint64_t at, enum rest rest)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf torn = {0};

    sf_buf_append(&torn, w->before.data, rest == REST_NOTHING ? at : w->before.size);
    for (size_t i = at; i < torn.size; i++) {
        torn.data[i] = rest == REST_ZEROS ? 0 : (uint8_t)(i * 2654435761u >> 13);
    }
    write_file(w->manifest, sf_buf_view(&torn));
}

static enum sf_code mend(struct torn_world *w, const char *boot, enum wal_tail_how how,
                         struct wal_tail *ret, struct sf_error *err)
{
    const struct wal_tail_options options = {
        .rt = &w->r.sim.rt, .store = w->r.path, .heads = w->heads, .boot = boot, .how = how};

    return wal_tail_mend(&options, ret, err);
}

static void assert_refused(struct torn_world *w, const char *boot, const char *says)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf left = {0};
    SF_CLEANUP(sf_buf_done) struct sf_buf after = {0};
    struct sf_error err = {0};
    struct wal_tail tail;
    char kept[PATH_MAX];

    read_file(w->manifest, &left);
    assert_int_equal(mend(w, boot, WAL_TAIL_CUT, &tail, &err), SF_CORRUPT);
    assert_int_equal(err.number, SHEAF_E_LOG_TORN);
    if (strstr(err.text, says) == NULL) {
        fail_msg("'%s' does not say '%s'", err.text, says);
    }
    assert_int_equal(mend(w, boot, WAL_TAIL_LOOK, &tail, &err), SF_OK);
    assert_true(tail.torn && !tail.readable);
    assert_int_equal(tail.why.number, SHEAF_E_LOG_TORN);
    assert_non_null(strstr(w->manifest, tail.file));
    read_file(w->manifest, &after);
    assert_true(sf_slice_equal(sf_buf_view(&left), sf_buf_view(&after)));
    assert_false(sf_file_exists(in_store(w, "cut", kept)));
}

/* --- tests --- */

static void test_no_edit_that_was_synced_is_missing_in_silence(void **state)
{
    static struct torn_world w;
    struct sf_error err = {0};
    struct wal_tail tail;

    (void)state;
    torn_world_init(&w);
    for (int i = 0; i < 3; i++) {
        rocks_store_put(&w.r, i * ROWS, ROWS);
        flush(&w);
    }
    kill_it(&w);
    for (size_t i = 0; i < w.count - 1; i++) {
        for (enum rest rest = 0; rest < REST_COUNT; rest++) {
            tear(&w, w.ends[i], rest);
            assert_refused(&w, "after", "more of it was synced");
            tear(&w, (w.ends[i] + w.ends[i + 1]) / 2, rest);
            assert_refused(&w, "after", "more of it was synced");
        }
    }
    tear(&w, w.before.size, REST_NOTHING);
    assert_int_equal(mend(&w, "after", WAL_TAIL_CUT, &tail, &err), SF_OK);
    assert_false(tail.torn);
    rocks_store_assert_opens(&w.r, 3 * ROWS);
    torn_world_done(&w);
}

/* All logs are there, but not what tells of the tables of before. */
static void test_what_was_synced_when_the_life_began_is_not_missing(void **state)
{
    static struct torn_world w;
    size_t refused = 0;

    (void)state;
    torn_world_init(&w);
    rocks_store_put(&w.r, 0, ROWS);
    kill_it(&w);
    for (size_t i = 0; w.ends[i] < w.life.manifest_bytes; i++, refused++) {
        tear(&w, w.ends[i], REST_NOTHING);
        assert_refused(&w, "after", "more of it was synced");
    }
    assert_true(refused > 3);
    torn_world_done(&w);
}

/* As a power cut leaves it before the edit is synced: the log was not removed yet. */
static void not_synced(struct torn_world *w, size_t edits_left, enum rest rest)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf log = {0};
    char wal[PATH_MAX];
    char back[PATH_MAX];
    size_t first = 1;

    torn_world_init(w);
    rocks_store_put(&w->r, 0, ROWS);
    rocks_store_wal(w->r.path, wal);
    read_file(wal, &log);
    flush(w);
    kill_it(w);
    write_file(in_store(w, strrchr(wal, '/') - 2, back), sf_buf_view(&log));
    while (w->ends[first] < w->life.manifest_bytes) {
        first++;
    }
    assert_true(first + edits_left < w->count);
    tear(w, w->ends[first + edits_left], rest);
}

static void test_what_was_not_synced_is_made_again_from_the_log(void **state)
{
    (void)state;
    for (size_t edits = 0; edits < 4; edits++) {
        for (enum rest rest = 0; rest < REST_COUNT; rest++) {
            static struct torn_world w;
            SF_CLEANUP(sf_buf_done) struct sf_buf left = {0};
            struct sf_error err = {0};
            struct wal_tail tail;
            struct manifest m;

            not_synced(&w, edits, rest);
            assert_int_equal(manifest_read(w.r.path, &m, NULL), SF_OK);
            assert_int_equal(mend(&w, "after", WAL_TAIL_CUT, &tail, &err), SF_OK);
            /* Noise may look like an edit that the file ends in, which RocksDB passes over too. */
            assert_int_equal(tail.torn, m.end == WAL_BAD);
            read_file(w.manifest, &left);
            assert_int_equal(left.size, m.end == WAL_BAD ? m.whole : m.size);
            rocks_store_assert_opens(&w.r, 1 * ROWS);
            torn_world_done(&w);
        }
    }
}

static void test_what_is_cut_off_is_kept(void **state)
{
    static struct torn_world w;
    SF_CLEANUP(sf_buf_done) struct sf_buf kept = {0};
    struct sf_error err = {0};
    struct wal_tail tail;
    char name[128];
    char path[PATH_MAX];

    (void)state;
    not_synced(&w, 1, REST_ZEROS);
    assert_int_equal(mend(&w, "after", WAL_TAIL_LOOK, &tail, &err), SF_OK);
    assert_true(tail.torn && !tail.readable && tail.why.code == SF_OK);
    assert_int_equal(mend(&w, "after", WAL_TAIL_CUT, &tail, &err), SF_OK);
    assert_true(tail.torn && tail.bytes == w.before.size - tail.at);
    (void)snprintf(name, sizeof(name), "cut/%s.from-%llu", tail.file, (unsigned long long)tail.at);
    read_file(in_store(&w, name, path), &kept);
    assert_int_equal(kept.size, tail.bytes);
    assert_int_equal(mend(&w, "after", WAL_TAIL_CUT, &tail, &err), SF_OK);
    assert_false(tail.torn);
    torn_world_done(&w);
}

static void test_a_machine_that_was_not_started_anew_tore_nothing(void **state)
{
    static struct torn_world w;

    (void)state;
    not_synced(&w, 1, REST_ZEROS);
    assert_refused(&w, "before", "the machine was not started since");
    assert_refused(&w, "", "is not known");
    torn_world_done(&w);
}

static void test_the_owner_may_take_the_loss(void **state)
{
    static struct torn_world w;
    struct sf_error err = {0};
    struct wal_tail tail;

    (void)state;
    torn_world_init(&w);
    rocks_store_put(&w.r, 0, ROWS);
    flush(&w);
    rocks_store_put(&w.r, ROWS, ROWS);
    flush(&w);
    rocks_store_put(&w.r, 2 * ROWS, ROWS); /* in a log that does not follow on what is left */
    kill_it(&w);
    tear(&w, w.ends[w.count - 2], REST_ZEROS);
    assert_refused(&w, "after", "is gone");
    assert_int_equal(mend(&w, "after", WAL_TAIL_LOSE, &tail, &err), SF_OK);
    assert_int_equal(tail.at, w.ends[w.count - 2]);
    rocks_store_assert_opens(&w.r, 1 * ROWS);
    torn_world_done(&w);
}

static void test_a_name_of_before_in_current_is_noticed(void **state)
{
    static struct torn_world w;
    SF_CLEANUP(sf_buf_done) struct sf_buf current = {0};
    SF_CLEANUP(sf_buf_done) struct sf_buf old = {0};
    struct sf_error err = {0};
    char path[PATH_MAX];

    (void)state;
    torn_world_init(&w);
    rocks_store_put(&w.r, 0, ROWS);
    rocks_store_close(&w.r);
    read_manifest(&w);
    sf_buf_append(&old, w.before.data, w.before.size);
    read_file(in_store(&w, "db/CURRENT", path), &current);
    assert_int_equal(rocks_store_open(&w.r, &err), SF_OK);
    rocks_store_put(&w.r, ROWS, ROWS);
    rocks_store_close(&w.r);
    write_file(w.manifest, sf_buf_view(&old));
    write_file(path, sf_buf_view(&current));
    assert_refused(&w, "after", "a later one was synced");
    torn_world_done(&w);
}

/* An opening that ended before it noted its life has a MANIFEST and logs of its own. */
static void test_an_opening_that_noted_no_life_is_believed(void **state)
{
    static struct torn_world w;
    SF_CLEANUP(sf_buf_done) struct sf_buf life = {0};
    struct sf_error err = {0};
    struct wal_tail tail;
    char path[PATH_MAX];

    (void)state;
    torn_world_init(&w);
    rocks_store_put(&w.r, 0, ROWS);
    rocks_store_close(&w.r);
    read_file(in_store(&w, "LIFE", path), &life);
    assert_int_equal(rocks_store_open(&w.r, &err), SF_OK);
    rocks_store_close(&w.r);
    write_file(path, sf_buf_view(&life));
    assert_int_equal(mend(&w, "after", WAL_TAIL_CUT, &tail, &err), SF_OK);
    assert_false(tail.torn);
    rocks_store_assert_opens(&w.r, 1 * ROWS);
    torn_world_done(&w);
}

/* Which is of an older release. */
static void test_a_life_without_a_manifest_is_left_to_rocksdb(void **state)
{
    static struct torn_world w;
    SF_CLEANUP(sf_buf_done) struct sf_buf life = {0};
    static const uint8_t magic_of_1[] = {'S', 'F', 'L', 1};
    struct sf_error err = {0};
    struct wal_tail tail;
    struct wal_life found;
    uint8_t hash[SF_HASH256_SIZE];
    char path[PATH_MAX];
    struct sf_slice body;

    (void)state;
    torn_world_init(&w);
    rocks_store_put(&w.r, 0, ROWS);
    kill_it(&w);
    sf_buf_append(&life, magic_of_1, sizeof(magic_of_1));
    sf_buf_be64(&life, w.life.life);
    sf_buf_append(&life, "before", 6);
    body = sf_buf_view(&life);
    sf_hash256(&body, 1, hash);
    sf_buf_append(&life, hash, sizeof(hash));
    write_file(in_store(&w, "LIFE", path), sf_buf_view(&life));
    assert_int_equal(wal_life_read(w.r.path, &found, NULL), SF_OK);
    assert_true(found.life == w.life.life && found.manifest == 0);
    assert_string_equal(found.boot, "before");
    tear(&w, w.ends[w.count - 2], REST_NOTHING);
    assert_int_equal(mend(&w, "after", WAL_TAIL_CUT, &tail, &err), SF_OK);
    assert_false(tail.torn);
    torn_world_done(&w);
}

static void test_memory_that_runs_out_changes_nothing(void **state)
{
    static struct torn_world w;
    struct sf_error err = {0};
    struct wal_tail tail;
    enum sf_code code = SF_NOMEM;

    (void)state;
    not_synced(&w, 1, REST_ZEROS);
    for (long n = 0; code != SF_OK && n < 1000; n++) {
        struct manifest m;

        sf_alloc_fail_after(n, 1);
        code = mend(&w, "after", WAL_TAIL_LOOK, &tail, &err);
        sf_alloc_fail_after(-1, 0);
        assert_true(code == SF_OK || code == SF_NOMEM);
        assert_int_equal(manifest_read(w.r.path, &m, NULL), SF_OK);
        assert_int_equal(m.size, w.before.size);
    }
    assert_int_equal(code, SF_OK);
    torn_world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_edit_that_was_synced_is_missing_in_silence),
        cmocka_unit_test(test_what_was_synced_when_the_life_began_is_not_missing),
        cmocka_unit_test(test_what_was_not_synced_is_made_again_from_the_log),
        cmocka_unit_test(test_what_is_cut_off_is_kept),
        cmocka_unit_test(test_a_machine_that_was_not_started_anew_tore_nothing),
        cmocka_unit_test(test_the_owner_may_take_the_loss),
        cmocka_unit_test(test_a_name_of_before_in_current_is_noticed),
        cmocka_unit_test(test_an_opening_that_noted_no_life_is_believed),
        cmocka_unit_test(test_a_life_without_a_manifest_is_left_to_rocksdb),
        cmocka_unit_test(test_memory_that_runs_out_changes_nothing),
    };

    return cmocka_run_group_tests_name("manifest", tests, NULL, NULL);
}
