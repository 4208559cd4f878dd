/* What is damaged is found, named and never handed out: on the fake disk and in RocksDB's files. */
#include "tests/lib/cmocka.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "leaf/store/check.h"
#include "leaf/store/kv_rocks.h"
#include "proto/errors.h"
#include "tests/lib/rocks_store.h"
#include "tests/lib/tmpdir.h"

/* Three frames of a state lane, with one key updated; closed. */
static void make_store(struct store_world *w)
{
    struct store_lane *lane;
    struct world_write ww;

    store_world_init(w, 1);
    lane = store_world_lane(w, "orders", STORE_STATE);
    for (int i = 0; i < 3; i++) {
        world_write_init(&ww, lane);
        (void)world_write_add(&ww, "key-a", "row of a");
        (void)world_write_add(&ww, i == 0 ? "key-b" : "key-c", "another row");
        assert_int_equal(world_write_run(&ww, w), SF_OK);
    }
    store_world_close(w);
}

/* Opens and checks everything; the code of what fails first. */
static enum sf_code open_and_check(struct store_world *w, struct sf_error *err)
{
    struct store_check_result r;
    enum sf_code code = store_world_try_open(w, err);

    if (code != SF_OK) {
        w->store = NULL;
        return code;
    }
    code = store_check(w->store, &r, err);
    store_world_close(w);
    return code;
}

static void test_every_flipped_bit_of_the_log_is_found(void **state)
{
    struct store_world w;
    struct sf_slice key;
    struct sf_error err = {0};

    (void)state;
    make_store(&w);
    assert_int_equal(open_and_check(&w, &err), SF_OK);
    for (size_t i = 0; fake_disk_key(&w.disk, KV_LOG, i, &key); i++) {
        size_t size = 0;
        uint8_t *bytes = fake_disk_value(&w.disk, KV_LOG, key, &size);

        for (size_t bit = 0; bit < size * 8; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            if (open_and_check(&w, &err) != SF_CORRUPT || err.number != SHEAF_E_STORE_CORRUPT) {
                fail_msg("frame %zu, bit %zu: %s", i, bit, err.text);
            }
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
    assert_int_equal(open_and_check(&w, &err), SF_OK);
    store_world_done(&w);
}

static void test_every_flipped_bit_of_a_row_is_found_by_the_check(void **state)
{
    struct store_world w;
    struct sf_slice key;
    struct sf_error err = {0};

    (void)state;
    make_store(&w);
    for (size_t i = 0; fake_disk_key(&w.disk, KV_STATE, i, &key); i++) {
        size_t size = 0;
        uint8_t *bytes = fake_disk_value(&w.disk, KV_STATE, key, &size);
        bool is_row = key.size > 4 && sf_read_be32(key.data) != 0;

        for (size_t bit = 0; is_row && bit < size * 8; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            if (open_and_check(&w, &err) != SF_CORRUPT) {
                fail_msg("row %zu, bit %zu", i, bit);
            }
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
    assert_int_equal(open_and_check(&w, &err), SF_OK);
    store_world_done(&w);
}

static void test_what_was_damaged_is_named(void **state)
{
    struct store_world w;
    struct sf_slice key;
    size_t size = 0;
    uint8_t *bytes;
    struct sf_error err = {0};

    (void)state;
    make_store(&w);
    assert_true(fake_disk_key(&w.disk, KV_LOG, 2, &key));
    bytes = fake_disk_value(&w.disk, KV_LOG, key, &size);
    bytes[size - 40] ^= 1; /* in the last row */
    assert_int_equal(store_world_try_open(&w, &err), SF_CORRUPT);
    assert_string_equal(err.text, "lane 1, seq 6: digest does not hold");
    bytes[size - 40] ^= 1;
    bytes[20] ^= 1; /* commit number */
    w.store = NULL;
    assert_int_equal(store_world_try_open(&w, &err), SF_CORRUPT);
    assert_string_equal(err.text, "sales/orders@1.orders, seq 6: a frame is damaged");
    bytes[20] ^= 1;
    w.store = NULL;
    store_world_done(&w);
}

/* Somebody who can write files makes a frame whole again; the others still name the old one. */
static void test_a_frame_that_was_rewritten_breaks_the_chain(void **state)
{
    static const struct {
        size_t frame;
        const char *text;
    } cases[] = {
        {0, "sales/orders@1.orders, seq 1: the chain of frames is broken"},
        {1, "sales/orders@1.orders, seq 3: the chain of frames is broken"},
        {2, "sales/orders@1.orders, seq 5: the chain of frames is broken"},
    };
    struct sf_error err = {0};

    (void)state;
    for (size_t i = 0; i < SF_COUNT(cases); i++) {
        struct store_world w;
        struct sf_slice key;
        struct sf_slice hashed;
        size_t size = 0;
        uint8_t *bytes;

        make_store(&w);
        assert_true(fake_disk_key(&w.disk, KV_LOG, cases[i].frame, &key));
        bytes = fake_disk_value(&w.disk, KV_LOG, key, &size);
        bytes[35] ^= 1; /* commit time */
        hashed = sf_slice_of(bytes, FRAME_HEADER_BYTES + 2 * FRAME_ENTRY_BYTES);
        sf_hash256(&hashed, 1, bytes + size - SF_HASH256_SIZE);
        assert_int_equal(store_world_try_open(&w, &err), SF_CORRUPT);
        assert_string_equal(err.text, cases[i].text);
        w.store = NULL;
        store_world_done(&w);
    }
}

static void test_a_frame_that_is_gone_is_found(void **state)
{
    static const char *const texts[] = {
        "sales/orders@1.orders, seq 2: is not in the log",
        "sales/orders@1.orders, seq 4: the log has a gap or an overlap",
        "sales/orders@1.orders, seq 6: the log has a gap or an overlap",
    };
    struct sf_error err = {0};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct store_world w;
        struct sf_slice key;

        make_store(&w);
        assert_true(fake_disk_key(&w.disk, KV_LOG, i, &key));
        fake_disk_forget(&w.disk, KV_LOG, key);
        assert_int_equal(store_world_try_open(&w, &err), SF_CORRUPT);
        assert_string_equal(err.text, texts[i]);
        w.store = NULL;
        store_world_done(&w);
    }
}

static void test_records_that_are_gone_are_found(void **state)
{
    struct sf_error err = {0};
    struct sf_slice key;

    (void)state;
    for (size_t i = 0;; i++) { /* c(ommit), f(ormat), h(ead), l(ane), s(hown) */
        struct store_world w;
        uint8_t tag;

        make_store(&w);
        if (!fake_disk_key(&w.disk, KV_META, i, &key)) {
            assert_int_equal(i, 5);
            store_world_done(&w);
            return;
        }
        tag = key.data[0];
        fake_disk_forget(&w.disk, KV_META, key);
        if (tag == 's') { /* The rows are made again from the log. */
            assert_int_equal(open_and_check(&w, &err), SF_OK);
            store_world_done(&w);
            continue;
        }
        if (tag == 'h') {
            assert_int_equal(store_world_try_open(&w, &err), SF_CORRUPT);
            assert_string_equal(err.text, "lane 1 has no head");
        } else if (tag == 'l') {
            assert_int_equal(store_world_try_open(&w, &err), SF_CORRUPT);
            assert_string_equal(err.text, "a lane is stored that has no name");
        } else if (tag == 'c') {
            assert_int_equal(store_world_try_open(&w, &err), SF_CORRUPT);
            assert_string_equal(err.text, "the record of the last commit is missing");
        } else {
            assert_int_equal(store_world_try_open(&w, &err), SF_CORRUPT);
            assert_string_equal(err.text, "the store has lost its format");
        }
        w.store = NULL;
        store_world_done(&w);
    }
}

static void test_another_format_is_refused(void **state)
{
    struct store_world w;
    size_t size = 0;
    struct sf_error err = {0};

    (void)state;
    make_store(&w);
    fake_disk_value(&w.disk, KV_META, SF_LITERAL("f"), &size)[3] = 3;
    assert_int_equal(store_world_try_open(&w, &err), SF_CONFLICT);
    assert_int_equal(err.number, SHEAF_E_DATA_DIR_VERSION);
    w.store = NULL;
    store_world_done(&w);
}

/* Makes the disk one of format 1: the head of the rows stood with the rows. */
static void make_format_1(struct store_world *w)
{
    static const uint8_t v1_key[] = {0, 0, 0, 0, 0, 0, 0, 1};
    static const uint8_t v1[] = {0, 0, 0, 1};
    const struct sf_slice applied = SF_LITERAL("s\0\0\0\1");
    size_t size = 0;
    const uint8_t *head = fake_disk_value(&w->disk, KV_META, applied, &size);
    struct kv *kv = NULL;
    struct kv_batch *b = NULL;

    assert_non_null(head);
    assert_int_equal(fake_kv_open(&w->disk, &kv, NULL), SF_OK);
    assert_int_equal(kv->ops->batch_new(kv, &b, NULL), SF_OK);
    b->ops->put(b, KV_STATE, kv_one(sf_slice_of(v1_key, sizeof(v1_key))),
                kv_one(sf_slice_of(head, size)));
    b->ops->put(b, KV_META, kv_one(SF_LITERAL("f")), kv_one(sf_slice_of(v1, sizeof(v1))));
    b->ops->remove(b, KV_META, applied);
    assert_int_equal(kv->ops->write(kv, b, KV_SYNC, NULL), SF_OK);
    kv_batch_free(b);
    kv->ops->close(kv);
}

static void test_a_store_of_format_1_becomes_one_of_format_2(void **state)
{
    struct store_world w;
    struct store_lane *lane;
    char text[256];
    size_t size = 0;

    (void)state;
    make_store(&w);
    make_format_1(&w);
    store_world_open(&w);
    lane = store_world_lane(&w, "orders", STORE_STATE);
    assert_string_equal(store_world_rows(&w, lane, text, sizeof(text)),
                        "key-a=row of a@5 key-b=another row@2 key-c=another row@6");
    store_world_close(&w);
    assert_int_equal(fake_disk_value(&w.disk, KV_META, SF_LITERAL("f"), &size)[3], 2);
    assert_null(fake_disk_value(&w.disk, KV_STATE, SF_LITERAL("\0\0\0\0\0\0\0\1"), &size));
    assert_non_null(fake_disk_value(&w.disk, KV_META, SF_LITERAL("s\0\0\0\1"), &size));
    store_world_done(&w);
}

static void test_a_log_behind_its_head_is_refused(void **state)
{
    struct store_world w;
    struct sf_slice key;
    size_t size = 0;
    uint8_t *head;
    struct sf_error err = {0};

    (void)state;
    make_store(&w);
    assert_true(fake_disk_key(&w.disk, KV_META, 2, &key));
    assert_int_equal(key.data[0], 'h');
    head = fake_disk_value(&w.disk, KV_META, key, &size);
    head[11] = 4; /* The head of an older day: frames stand behind it. */
    assert_int_equal(store_world_try_open(&w, &err), SF_CORRUPT);
    assert_string_equal(err.text, "sales/orders@1.orders, seq 5: the log goes on behind the head");
    w.store = NULL;
    store_world_done(&w);
}

/* --- RocksDB --- */

static void test_rocksdb_keeps_a_store(void **state)
{
    struct rocks_store r;
    struct store_check_result result;
    struct sf_error err = {0};

    (void)state;
    rocks_store_init(&r);
    for (int i = 0; i < 4; i++) {
        if (rocks_store_open(&r, &err) != SF_OK) {
            fail_msg("%s", err.text);
        }
        assert_int_equal(store_lane_head(r.lane)->seq, i * 30);
        rocks_store_put(&r, i * 20, 20);
        rocks_store_put(&r, i * 20, 10); /* updates */
        assert_int_equal(store_check(r.store, &result, &err), SF_OK);
        assert_int_equal(result.rows, (i + 1) * 20);
        assert_int_equal(result.changes, (i + 1) * 30);
        rocks_store_close(&r);
    }
    assert_int_equal(rocks_store_open(&r, &err), SF_OK);
    assert_int_equal(store_rebuild_state(r.store, &err), SF_OK);
    assert_int_equal(store_check(r.store, &result, &err), SF_OK);
    assert_int_equal(result.rows, 80);
    rocks_store_close(&r);
    rocks_store_done(&r);
}

static void test_rows_lost_by_a_killed_process_come_back_from_the_log(void **state)
{
    struct rocks_store r;
    struct store_check_result result;
    struct sf_error err = {0};
    char copy[PATH_MAX];

    (void)state;
    rocks_store_init(&r);
    assert_int_equal(rocks_store_open(&r, &err), SF_OK);
    rocks_store_put(&r, 0, 30);
    rocks_store_put(&r, 10, 30);
    rocks_store_copy(r.path, tmpdir_join(&r.tmp, "copy", copy));
    rocks_store_close(&r);
    (void)snprintf(r.path, sizeof(r.path), "%s", copy);
    if (rocks_store_open(&r, &err) != SF_OK) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(store_lane_head(r.lane)->seq, 60);
    assert_int_equal(store_lane_head(r.lane)->rows, 40);
    assert_int_equal(store_check(r.store, &result, &err), SF_OK);
    assert_int_equal(result.rows, 40);
    rocks_store_close(&r);
    rocks_store_done(&r);
}

static void test_a_flipped_bit_in_the_write_ahead_log_refuses_to_open(void **state)
{
    struct rocks_store r;
    struct sf_error err = {0};
    char original[PATH_MAX];
    char name[32];

    (void)state;
    rocks_store_init(&r);
    assert_int_equal(rocks_store_open(&r, &err), SF_OK);
    for (int i = 0; i < 20; i++) {
        rocks_store_put(&r, i * 20, 20);
    }
    rocks_store_copy(r.path, tmpdir_join(&r.tmp, "original", original));
    rocks_store_close(&r);
    for (int i = 1; i < 8; i++) {
        char wal[PATH_MAX];
        struct stat st;
        uint8_t byte;
        int fd;

        (void)snprintf(name, sizeof(name), "copy%d", i);
        rocks_store_copy(original, tmpdir_join(&r.tmp, name, r.path));
        rocks_store_wal(r.path, wal);
        assert_int_equal(stat(wal, &st), 0);
        fd = open(wal, O_RDWR);
        assert_int_equal(pread(fd, &byte, 1, st.st_size * i / 8), 1);
        byte ^= 0x10;
        assert_int_equal(pwrite(fd, &byte, 1, st.st_size * i / 8), 1);
        (void)close(fd);
        assert_int_equal(rocks_store_open(&r, &err), SF_CORRUPT);
        assert_int_equal(err.number, SHEAF_E_STORE_CORRUPT);
    }
    rocks_store_done(&r);
}

static void test_a_torn_tail_is_cut_off(void **state)
{
    struct rocks_store r;
    struct store_check_result result;
    struct sf_error err = {0};
    char copy[PATH_MAX];
    char wal[PATH_MAX];
    struct stat st;

    (void)state;
    rocks_store_init(&r);
    assert_int_equal(rocks_store_open(&r, &err), SF_OK);
    rocks_store_put(&r, 0, 20);
    rocks_store_put(&r, 20, 20);
    rocks_store_copy(r.path, tmpdir_join(&r.tmp, "copy", copy));
    rocks_store_close(&r);
    rocks_store_wal(copy, wal);
    assert_int_equal(stat(wal, &st), 0);
    assert_int_equal(truncate(wal, st.st_size - 37), 0); /* as if the last sync had not been */
    (void)snprintf(r.path, sizeof(r.path), "%s", copy);
    if (rocks_store_open(&r, &err) != SF_OK) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(store_lane_head(r.lane)->seq, 20);
    assert_int_equal(store_check(r.store, &result, &err), SF_OK);
    rocks_store_put(&r, 20, 20);
    rocks_store_close(&r);
    rocks_store_done(&r);
}

static void test_a_directory_of_another_version_is_refused(void **state)
{
    struct rocks_store r;
    struct sf_error err = {0};
    char file[PATH_MAX];
    int fd;

    (void)state;
    rocks_store_init(&r);
    assert_int_equal(rocks_store_open(&r, &err), SF_OK);
    rocks_store_close(&r);
    (void)snprintf(file, sizeof(file), "%.3000s/FORMAT", r.path);
    fd = open(file, O_WRONLY | O_TRUNC);
    assert_int_equal(write(fd, "sheaf store 2\n", 14), 14);
    (void)close(fd);
    assert_int_equal(rocks_store_open(&r, &err), SF_CONFLICT);
    assert_int_equal(err.number, SHEAF_E_DATA_DIR_VERSION);
    assert_int_equal(truncate(file, 0), 0); /* Empty beside data: not a new directory. */
    assert_int_equal(rocks_store_open(&r, &err), SF_CONFLICT);
    assert_int_equal(err.number, SHEAF_E_DATA_DIR_VERSION);
    (void)tmpdir_join(&r.tmp, "no/such/parent", r.path);
    assert_int_equal(rocks_store_open(&r, &err), SF_ABSENT);
    rocks_store_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_flipped_bit_of_the_log_is_found),
        cmocka_unit_test(test_every_flipped_bit_of_a_row_is_found_by_the_check),
        cmocka_unit_test(test_what_was_damaged_is_named),
        cmocka_unit_test(test_a_frame_that_was_rewritten_breaks_the_chain),
        cmocka_unit_test(test_a_frame_that_is_gone_is_found),
        cmocka_unit_test(test_records_that_are_gone_are_found),
        cmocka_unit_test(test_another_format_is_refused),
        cmocka_unit_test(test_a_store_of_format_1_becomes_one_of_format_2),
        cmocka_unit_test(test_a_log_behind_its_head_is_refused),
        cmocka_unit_test(test_rocksdb_keeps_a_store),
        cmocka_unit_test(test_rows_lost_by_a_killed_process_come_back_from_the_log),
        cmocka_unit_test(test_a_flipped_bit_in_the_write_ahead_log_refuses_to_open),
        cmocka_unit_test(test_a_torn_tail_is_cut_off),
        cmocka_unit_test(test_a_directory_of_another_version_is_refused),
    };

    return cmocka_run_group_tests_name("damage", tests, NULL, NULL);
}
