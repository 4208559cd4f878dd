#include "tests/lib/cmocka.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/sys/file.h"
#include "tests/lib/tmpdir.h"

static struct tmpdir dir;

static const char *at(const char *name)
{
    static char path[4][PATH_MAX];
    static unsigned next;

    next = (next + 1) % SF_COUNT(path);
    return tmpdir_join(&dir, name, path[next]);
}

static void test_write_replaces_as_a_whole_and_leaves_nothing_beside(void **state)
{
    struct sf_buf b = {0};
    struct sf_error err;
    struct stat st;

    (void)state;
    assert_int_equal(sf_dir_make(at("w"), 0700, &err), SF_OK);
    assert_int_equal(sf_file_write(at("w/f"), SF_LITERAL("one"), 0600, &err), SF_OK);
    assert_int_equal(sf_file_write(at("w/f"), SF_LITERAL("two!"), 0644, &err), SF_OK);
    assert_int_equal(sf_file_read(at("w/f"), 4, &b, &err), SF_OK);
    assert_string_equal(sf_buf_cstr(&b), "two!");
    assert_int_equal(stat(at("w/f"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    assert_int_equal(unlink(at("w/f")), 0);
    assert_int_equal(rmdir(at("w")), 0); /* empty */
    sf_buf_done(&b);
}

static void test_create_refuses_what_is_there(void **state)
{
    struct sf_buf b = {0};
    struct sf_error err;
    char text[PATH_MAX + 32];

    (void)state;
    assert_int_equal(sf_dir_make(at("c"), 0700, &err), SF_OK);
    assert_int_equal(sf_file_create(at("c/f"), SF_LITERAL("one"), 0600, &err), SF_OK);
    assert_int_equal(sf_file_create(at("c/f"), SF_LITERAL("two"), 0600, &err), SF_CONFLICT);
    (void)snprintf(text, sizeof(text), "'%s' is already there", at("c/f"));
    assert_string_equal(err.text, text);
    assert_int_equal(sf_file_read(at("c/f"), 99, &b, &err), SF_OK);
    assert_string_equal(sf_buf_cstr(&b), "one");
    assert_int_equal(sf_file_remove(at("c/f"), &err), SF_OK);
    assert_int_equal(sf_file_remove(at("c/f"), &err), SF_OK);
    assert_int_equal(rmdir(at("c")), 0);
    sf_buf_done(&b);
}

static void test_read_is_bounded_and_appends(void **state)
{
    struct sf_buf b = {0};
    struct sf_error err;
    char text[PATH_MAX + 64];

    (void)state;
    assert_int_equal(sf_file_write(at("r"), SF_LITERAL("12345"), 0600, &err), SF_OK);
    sf_buf_text(&b, "0");
    assert_int_equal(sf_file_read(at("r"), 4, &b, &err), SF_BUSY);
    (void)snprintf(text, sizeof(text), "'%s' is larger than 4 bytes", at("r"));
    assert_string_equal(err.text, text);
    assert_int_equal(b.size, 1);
    assert_int_equal(sf_file_read(at("r"), 5, &b, &err), SF_OK);
    assert_string_equal(sf_buf_cstr(&b), "012345");
    /* A file without a size, and larger than a bound. */
    assert_int_equal(sf_file_read("/proc/self/status", 100, &b, &err), SF_BUSY);
    assert_int_equal(b.size, 6);
    assert_int_equal(sf_file_read("/proc/self/status", 1 << 20, &b, &err), SF_OK);
    assert_memory_equal(b.data + 6, "Name:", 5);
    sf_buf_done(&b);
}

static void test_absent_names_the_path(void **state)
{
    struct sf_buf b = {0};
    struct sf_error err;
    struct sf_mapping m = {0};

    (void)state;
    assert_int_equal(sf_file_read("/nowhere/x", 9, &b, &err), SF_ABSENT);
    assert_string_equal(err.text, "cannot read '/nowhere/x': No such file or directory");
    assert_int_equal(sf_file_write("/nowhere/x", SF_LITERAL(""), 0600, &err), SF_ABSENT);
    assert_string_equal(err.text, "cannot write '/nowhere/x': No such file or directory");
    assert_int_equal(sf_mapping_open("/nowhere/x", &m, &err), SF_ABSENT);
    assert_int_equal(sf_dir_make("/dev/null/x", 0700, &err), SF_ABSENT);
    assert_string_equal(err.text, "cannot make directory '/dev/null': Not a directory");
    assert_false(sf_file_exists("/nowhere/x"));
    assert_true(sf_file_exists("/dev/null"));
}

static enum sf_code note(const char *name, void *data, struct sf_error *err)
{
    struct sf_buf *b = data;

    if (strcmp(name, "stop") == 0) {
        return SF_RAISE(err, SF_BUSY, "stopped");
    }
    sf_buf_printf(b, "%s;", name);
    return SF_OK;
}

static void test_directories_are_made_listed_and_removed_without_following_links(void **state)
{
    struct sf_buf b = {0};
    struct sf_error err;

    (void)state;
    assert_int_equal(sf_dir_make(at("d/e/f"), 0700, &err), SF_OK);
    assert_int_equal(sf_dir_make(at("d/e/f/"), 0700, &err), SF_OK);
    assert_int_equal(sf_file_write(at("d/e/z"), SF_LITERAL(""), 0600, &err), SF_OK);
    assert_int_equal(sf_file_write(at("d/e/B"), SF_LITERAL(""), 0600, &err), SF_OK);
    assert_int_equal(sf_file_write(at("kept"), SF_LITERAL(""), 0600, &err), SF_OK);
    assert_int_equal(symlink(dir.path, at("d/e/link")), 0);
    assert_int_equal(sf_dir_each(at("d/e"), note, &b, &err), SF_OK);
    assert_string_equal(sf_buf_cstr(&b), "B;f;link;z;");
    assert_int_equal(sf_file_write(at("d/e/stop"), SF_LITERAL(""), 0600, &err), SF_OK);
    sf_buf_clear(&b);
    assert_int_equal(sf_dir_each(at("d/e"), note, &b, &err), SF_BUSY);
    assert_string_equal(sf_buf_cstr(&b), "B;f;link;");
    assert_int_equal(sf_dir_each(at("none"), note, &b, &err), SF_ABSENT);
    assert_int_equal(sf_dir_remove(at("d"), &err), SF_OK);
    assert_false(sf_file_exists(at("d")));
    assert_true(sf_file_exists(at("kept")));
    assert_int_equal(sf_dir_remove(at("d"), &err), SF_OK);
    sf_buf_done(&b);
}

static void test_lock_is_held_until_done_and_by_one(void **state)
{
    struct sf_lock a = {0};
    struct sf_lock b = {0};
    struct sf_error err;
    char text[PATH_MAX + 64];

    (void)state;
    assert_int_equal(sf_lock_take(at("lock"), &a, &err), SF_OK);
    assert_int_equal(sf_lock_take(at("lock"), &b, &err), SF_CONFLICT);
    (void)snprintf(text, sizeof(text), "'%s' is held by another process", at("lock"));
    assert_string_equal(err.text, text);
    sf_lock_done(&b);
    assert_int_equal(sf_lock_take(at("lock"), &b, &err), SF_CONFLICT);
    sf_lock_done(&a);
    assert_int_equal(sf_lock_take(at("lock"), &b, &err), SF_OK);
    sf_lock_done(&b);
    sf_lock_done(&b);
}

static void test_lock_of_a_dead_process_is_free(void **state)
{
    struct sf_lock l = {0};
    struct sf_error err;
    int status;
    pid_t child = fork();

    (void)state;
    if (child == 0) {
        _exit(sf_lock_take(at("dead"), &l, &err) == SF_OK ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(sf_lock_take(at("dead"), &l, &err), SF_OK);
    sf_lock_done(&l);
}

static void test_mapping_shows_the_file(void **state)
{
    struct sf_mapping m = {0};
    struct sf_error err;

    (void)state;
    assert_int_equal(sf_file_write(at("m"), SF_LITERAL("a,b\n1,2\n"), 0600, &err), SF_OK);
    assert_int_equal(sf_mapping_open(at("m"), &m, &err), SF_OK);
    assert_true(sf_slice_equal(m.bytes, SF_LITERAL("a,b\n1,2\n")));
    sf_mapping_done(&m);
    sf_mapping_done(&m);
    assert_int_equal(sf_file_write(at("m"), SF_LITERAL(""), 0600, &err), SF_OK);
    assert_int_equal(sf_mapping_open(at("m"), &m, &err), SF_OK);
    assert_int_equal(m.bytes.size, 0);
    sf_mapping_done(&m);
    assert_int_equal(sf_mapping_open(dir.path, &m, &err), SF_IO);
}

static void test_disk_has_room(void **state)
{
    uint64_t free_bytes = 0;
    uint64_t total_bytes = 0;
    struct sf_error err;

    (void)state;
    assert_int_equal(sf_disk_free(dir.path, &free_bytes, &err), SF_OK);
    assert_true(free_bytes > 0);
    assert_int_equal(sf_disk_space(dir.path, &free_bytes, &total_bytes, &err), SF_OK);
    assert_true(total_bytes >= free_bytes);
    assert_int_equal(sf_disk_free("/nowhere", &free_bytes, &err), SF_ABSENT);
}

static void test_port_in_use_is_passed_over(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof(address);
    uint16_t first = 0;
    uint16_t next = 0;
    struct sf_error err;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    (void)state;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(sf_port_find(11500, &first, &err), SF_OK);
    address.sin_port = htons(first);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_false(sf_port_is_free(first));
    assert_int_equal(sf_port_find(first, &next, &err), SF_OK);
    assert_true(next > first);
    assert_int_equal(close(fd), 0);
    assert_true(sf_port_is_free(first));
    assert_int_equal(sf_port_find(32768, &next, &err), SF_BUSY);
    assert_string_equal(err.text, "no free port from 32768 to 32767");
}

static void test_failed_allocations_write_nothing(void **state)
{
    struct sf_buf b = {0};
    struct sf_error err;
    enum sf_code r;

    (void)state;
    for (long after = 0;; after++) {
        sf_alloc_fail_after(after, 0);
        r = sf_file_write(at("sweep"), SF_LITERAL("x"), 0600, &err);
        if (r == SF_OK) {
            r = sf_file_read(at("sweep"), 10, &b, &err);
        }
        if (sf_alloc_faults() == 0) {
            break;
        }
        assert_int_equal(r, SF_NOMEM);
        sf_buf_done(&b);
    }
    sf_alloc_fail_after(-1, 0);
    assert_int_equal(r, SF_OK);
    sf_buf_done(&b);
}

static int setup(void **state)
{
    (void)state;
    tmpdir_init(&dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tmpdir_done(&dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_replaces_as_a_whole_and_leaves_nothing_beside),
        cmocka_unit_test(test_create_refuses_what_is_there),
        cmocka_unit_test(test_read_is_bounded_and_appends),
        cmocka_unit_test(test_absent_names_the_path),
        cmocka_unit_test(test_directories_are_made_listed_and_removed_without_following_links),
        cmocka_unit_test(test_lock_is_held_until_done_and_by_one),
        cmocka_unit_test(test_lock_of_a_dead_process_is_free),
        cmocka_unit_test(test_mapping_shows_the_file),
        cmocka_unit_test(test_disk_has_room),
        cmocka_unit_test(test_port_in_use_is_passed_over),
        cmocka_unit_test(test_failed_allocations_write_nothing),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
