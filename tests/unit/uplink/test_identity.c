#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <sys/stat.h>

#include "common/base/alloc.h"
#include "common/sys/file.h"
#include "leaf/uplink/identity.h"
#include "proto/errors.h"
#include "tests/lib/tmpdir.h"

static const char *const key_files[] = {
    "keys/domain.seed", "keys/leaf.seed",   "keys/process.seed", "keys/process-serve.seed",
    "keys/system.seed", "keys/uplink.seed", "keys/serve.seed",   "keys/app.nk",
};

static void assert_mode(const struct tmpdir *dir, const char *name, unsigned mode)
{
    char path[PATH_MAX];
    struct stat st;

    assert_int_equal(stat(tmpdir_join(dir, name, path), &st), 0);
    assert_int_equal(st.st_mode & 07777, mode);
}

static struct identity_mesh some_mesh(void)
{
    struct identity_mesh m = {
        .joined = true,
        .mesh = "m-1",
        .hub_url = "http://127.0.0.1:8080",
        .leafnode_url = "nats://127.0.0.1:7422",
        .account = "ACCOUNT",
        .serve_account = "SERVEACCOUNT",
        .expires_us = 1234567890,
        .renew_us = 1234500000,
    };

    memset(m.hub_key.bytes, 7, sizeof(m.hub_key.bytes));
    return m;
}

static void open_ok(const struct tmpdir *dir, struct identity *id)
{
    struct sf_error err = {0};

    if (identity_open(dir->path, "sales", id, &err) != SF_OK) {
        fail_msg("%s", err.text);
    }
}

static void store_mesh(const struct tmpdir *dir)
{
    const struct identity_mesh mesh = some_mesh();
    struct identity id;

    open_ok(dir, &id);
    assert_int_equal(
        identity_store(&id, &mesh, SF_LITERAL("serve.jwt"), SF_LITERAL("domain.jwt"), NULL), SF_OK);
    identity_done(&id);
}

static void keys_are_made_once_and_nobody_else_may_read_them(void **state)
{
    struct tmpdir dir;
    struct identity one;
    struct identity two;
    (void)state;

    tmpdir_init(&dir);
    open_ok(&dir, &one);
    open_ok(&dir, &two);
    assert_false(one.mesh.joined);
    assert_mode(&dir, "keys", 0700);
    for (size_t i = 0; i < SF_COUNT(key_files); i++) {
        assert_mode(&dir, key_files[i], 0600);
    }
    assert_memory_equal(&one.keys.domain.public_key, &two.keys.domain.public_key, 32);
    assert_memory_equal(&one.keys.app.public_key, &two.keys.app.public_key, 32);
    assert_string_equal(one.keys.app_user, two.keys.app_user);
    assert_string_equal(one.keys.process_serve_user, two.keys.process_serve_user);
    assert_int_equal(one.keys.system_user[0], 'U');
    assert_memory_not_equal(&one.keys.domain.public_key, &one.keys.leaf.public_key, 32);
    assert_memory_not_equal(&one.keys.process.public_key, &one.keys.process_serve.public_key, 32);
    identity_done(&one);
    identity_done(&two);
    tmpdir_done(&dir);
}

static void a_key_that_the_mesh_knows_is_not_made_anew(void **state)
{
    static const char *const known[] = {"keys/domain.seed", "keys/leaf.seed"};
    char path[PATH_MAX];
    struct tmpdir dir;
    struct identity id;
    struct sf_error err = {0};
    (void)state;

    for (size_t i = 0; i < SF_COUNT(known); i++) {
        tmpdir_init(&dir);
        store_mesh(&dir);
        assert_int_equal(sf_file_remove(tmpdir_join(&dir, known[i], path), NULL), SF_OK);
        assert_int_equal(identity_open(dir.path, "sales", &id, &err), SF_CORRUPT);
        assert_int_equal(err.number, SHEAF_E_STORE_CORRUPT);
        assert_non_null(strstr(err.text, known[i]));
        assert_false(sf_file_exists(path));
        assert_int_equal(sf_file_remove(tmpdir_join(&dir, "identity.json", path), NULL), SF_OK);
        open_ok(&dir, &id); /* it joins once more */
        identity_done(&id);
        tmpdir_done(&dir);
    }
}

static void what_joining_gave_is_there_after_a_restart(void **state)
{
    const struct identity_mesh mesh = some_mesh();
    struct tmpdir dir;
    struct identity id;
    struct sf_buf creds = {0};
    (void)state;

    tmpdir_init(&dir);
    store_mesh(&dir);
    open_ok(&dir, &id);
    assert_true(id.mesh.joined);
    assert_string_equal(id.mesh.mesh, mesh.mesh);
    assert_string_equal(id.mesh.hub_url, mesh.hub_url);
    assert_string_equal(id.mesh.leafnode_url, mesh.leafnode_url);
    assert_string_equal(id.mesh.account, mesh.account);
    assert_string_equal(id.mesh.serve_account, mesh.serve_account);
    assert_memory_equal(&id.mesh.hub_key, &mesh.hub_key, 32);
    assert_int_equal(id.mesh.expires_us, 1234567890);
    assert_int_equal(id.mesh.renew_us, 1234500000);
    assert_mode(&dir, "identity.json", 0600);
    assert_mode(&dir, "creds", 0700);
    assert_mode(&dir, "creds/domain.creds", 0600);
    assert_mode(&dir, "creds/serve.creds", 0600);
    assert_int_equal(sf_file_read(id.creds_path, 10000, &creds, NULL), SF_OK);
    assert_non_null(strstr(sf_buf_cstr(&creds), "\ndomain.jwt\n"));
    sf_buf_clear(&creds);
    assert_int_equal(sf_file_read(id.serve_creds_path, 10000, &creds, NULL), SF_OK);
    assert_non_null(strstr(sf_buf_cstr(&creds), "\nserve.jwt\n"));
    sf_buf_done(&creds);
    identity_done(&id);
    tmpdir_done(&dir);
}

static void a_directory_belongs_to_one_domain(void **state)
{
    struct tmpdir dir;
    struct identity id;
    struct sf_error err = {0};
    char wanted[PATH_MAX + 64];
    (void)state;

    tmpdir_init(&dir);
    store_mesh(&dir);
    assert_int_equal(identity_open(dir.path, "billing", &id, &err), SF_INVALID);
    assert_null(id.data_dir);
    (void)snprintf(wanted, sizeof(wanted), "%s belongs to domain 'sales', not 'billing'", dir.path);
    assert_string_equal(err.text, wanted);
    tmpdir_done(&dir);
}

static void damage(const struct tmpdir *dir, const char *name, const char *content)
{
    char path[PATH_MAX];

    assert_int_equal(
        sf_file_write(tmpdir_join(dir, name, path), sf_slice_text(content), 0600, NULL), SF_OK);
}

static void a_damaged_file_is_named(void **state)
{
    static const char *const contents[] = {"", "{", "[]", "{\"domain\":\"sales\"}", "no"};
    struct tmpdir dir;
    struct identity id;
    struct sf_error err;
    char path[PATH_MAX];
    char moved[PATH_MAX];
    (void)state;

    tmpdir_init(&dir);
    for (size_t i = 0; i < SF_COUNT(contents); i++) {
        store_mesh(&dir);
        damage(&dir, "identity.json", contents[i]);
        assert_int_equal(identity_open(dir.path, "sales", &id, &err), SF_CORRUPT);
        assert_non_null(strstr(err.text, dir.path));
        assert_non_null(strstr(err.text, "identity.json"));
        assert_int_equal(sf_file_remove(tmpdir_join(&dir, "identity.json", path), NULL), SF_OK);
    }
    for (size_t i = 0; i < SF_COUNT(key_files); i++) {
        open_ok(&dir, &id);
        identity_done(&id);
        (void)tmpdir_join(&dir, key_files[i], path);
        assert_int_equal(rename(path, tmpdir_join(&dir, "kept", moved)), 0);
        damage(&dir, key_files[i], "SUnonsense\n");
        assert_int_equal(identity_open(dir.path, "sales", &id, &err), SF_CORRUPT);
        assert_non_null(strstr(err.text, key_files[i]));
        assert_null(strstr(err.text, "nonsense")); /* It may be most of a secret. */
        assert_int_equal(rename(moved, path), 0);
    }
    tmpdir_done(&dir);
}

static void a_key_that_others_may_read_is_refused(void **state)
{
    struct tmpdir dir;
    struct identity id;
    struct sf_error err;
    (void)state;

    tmpdir_init(&dir);
    open_ok(&dir, &id);
    identity_done(&id);
    for (size_t i = 0; i < SF_COUNT(key_files); i++) {
        char path[PATH_MAX];

        assert_int_equal(chmod(tmpdir_join(&dir, key_files[i], path), 0640), 0);
        assert_int_equal(identity_open(dir.path, "sales", &id, &err), SF_DENIED);
        assert_non_null(strstr(err.text, key_files[i]));
        assert_int_equal(chmod(path, 0600), 0);
    }
    tmpdir_done(&dir);
}

static int start(void **state)
{
    (void)state;
    return sf_crypto_init(NULL) == SF_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_made_once_and_nobody_else_may_read_them),
        cmocka_unit_test(a_key_that_the_mesh_knows_is_not_made_anew),
        cmocka_unit_test(what_joining_gave_is_there_after_a_restart),
        cmocka_unit_test(a_directory_belongs_to_one_domain),
        cmocka_unit_test(a_damaged_file_is_named),
        cmocka_unit_test(a_key_that_others_may_read_is_refused),
    };

    return cmocka_run_group_tests(tests, start, NULL);
}
