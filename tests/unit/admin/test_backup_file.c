/* The list of a backup: what it holds, and that a damaged one is none. */
#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/sys/file.h"
#include "leaf/admin/backup_file.h"
#include "proto/errors.h"
#include "tests/lib/tmpdir.h"

static void make_list(struct backup_list *l)
{
    uint8_t hash[SF_HASH256_SIZE];

    *l = (struct backup_list){
        .domain = "sales",
        .mesh = "m1",
        .epoch = 3,
        .commit = 42,
        .time_us = INT64_C(1767225600000000),
        .has_keys = true,
    };
    memset(hash, 0xab, sizeof(hash));
    assert_int_equal(backup_list_add(l, "store/FORMAT", 14, 0600, hash, NULL), SF_OK);
    assert_int_equal(backup_list_add(l, "heads", 60, 0600, hash, NULL), SF_OK);
}

static void test_the_bytes_are_those_of_the_first_release(void **state)
{
    const char *path = GOLDEN_DIR "/backup-v1.txt";
    struct sf_buf out = {0};
    struct sf_buf golden = {0};
    struct backup_list l;
    struct backup_list read;
    struct sf_error err;

    (void)state;
    assert_int_equal(sf_crypto_init(NULL), SF_OK);
    make_list(&l);
    backup_list_encode(&l, &out);
    if (getenv("TEST_WRITE_GOLDEN") != NULL) {
        assert_int_equal(sf_file_write(path, sf_buf_view(&out), 0644, &err), SF_OK);
    }
    assert_int_equal(sf_file_read(path, 4096, &golden, &err), SF_OK);
    assert_int_equal(golden.size, out.size);
    assert_memory_equal(golden.data, out.data, out.size);
    assert_int_equal(backup_list_decode(sf_buf_view(&golden), &read, &err), SF_OK);
    assert_string_equal(read.domain, "sales");
    assert_string_equal(read.mesh, "m1");
    assert_int_equal(read.epoch, 3);
    assert_int_equal(read.commit, 42);
    assert_true(read.has_keys);
    assert_int_equal(read.count, 2);
    assert_string_equal(read.entries[0].path, "heads");
    assert_int_equal(backup_list_find(&read, "store/FORMAT")->size, 14);
    assert_null(backup_list_find(&read, "store"));
    backup_list_done(&read);
    backup_list_done(&l);
    sf_buf_done(&out);
    sf_buf_done(&golden);
}

static void test_every_flipped_bit_and_every_cut_is_found(void **state)
{
    struct sf_buf out = {0};
    struct backup_list l;
    struct sf_error err;

    (void)state;
    make_list(&l);
    backup_list_encode(&l, &out);
    backup_list_done(&l);
    for (size_t bit = 0; bit < out.size * 8; bit++) {
        out.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(backup_list_decode(sf_buf_view(&out), &l, &err), SF_CORRUPT);
        assert_int_equal(err.number, SHEAF_E_BACKUP_BAD);
        out.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t size = 0; size < out.size; size++) {
        assert_int_equal(backup_list_decode(sf_slice_of(out.data, size), &l, &err), SF_CORRUPT);
    }
    sf_buf_done(&out);
}

static void test_no_path_leads_out_of_the_backup(void **state)
{
    static const char *const bad[] = {"",   "/etc/passwd", "../x", "a/../b", "a//b",
                                      "a/", ".",           "a\nb", "a b"};
    uint8_t hash[SF_HASH256_SIZE] = {0};
    struct backup_list l = {0};
    struct sf_error err;

    (void)state;
    for (size_t i = 0; i < SF_COUNT(bad); i++) {
        assert_int_equal(backup_list_add(&l, bad[i], 1, 0600, hash, &err), SF_INVALID);
    }
    assert_int_equal(backup_list_add(&l, "store/db/000012.sst", 1, 0600, hash, &err), SF_OK);
    backup_list_done(&l);
}

static void test_the_newest_whole_backup_is_found(void **state)
{
    static const char *const names[] = {"20260101T000000Z", "20260102T000000Z",
                                        "20260103T000000Z.part"};
    struct tmpdir dir;
    char name[PATH_MAX];
    char path[PATH_MAX];
    char found[BACKUP_PATH_MAX];
    struct sf_buf out = {0};
    struct backup_list l;
    struct sf_error err;

    (void)state;
    tmpdir_init(&dir);
    assert_int_equal(backup_list_newest(dir.path, found, &l, &err), SF_ABSENT);
    make_list(&l);
    backup_list_encode(&l, &out);
    backup_list_done(&l);
    for (size_t i = 0; i < SF_COUNT(names); i++) {
        assert_int_equal(sf_dir_make(tmpdir_join(&dir, names[i], path), 0700, &err), SF_OK);
        (void)snprintf(name, sizeof(name), "%s/BACKUP", names[i]);
        assert_int_equal(
            sf_file_write(tmpdir_join(&dir, name, path), sf_buf_view(&out), 0600, &err), SF_OK);
    }
    assert_int_equal(backup_list_newest(dir.path, found, &l, &err), SF_OK);
    assert_string_equal(found, tmpdir_join(&dir, "20260102T000000Z", path));
    backup_list_done(&l);
    assert_int_equal(
        backup_list_newest(tmpdir_join(&dir, "20260101T000000Z", path), found, &l, &err), SF_OK);
    assert_string_equal(found, path);
    backup_list_done(&l);
    sf_buf_done(&out);
    tmpdir_done(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_bytes_are_those_of_the_first_release),
        cmocka_unit_test(test_every_flipped_bit_and_every_cut_is_found),
        cmocka_unit_test(test_no_path_leads_out_of_the_backup),
        cmocka_unit_test(test_the_newest_whole_backup_is_found),
    };

    return cmocka_run_group_tests_name("admin/backup_file", tests, NULL, NULL);
}
