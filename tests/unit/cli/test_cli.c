/* What every command is given before it runs. */
#include "tests/lib/cmocka.h"

#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/next_step.h"
#include "proto/errors.h"
#include "tests/lib/tmpdir.h"

static void assert_path(const char *given, const char *wanted)
{
    struct sf_error err = {0};
    char path[CLI_PATH_MAX];

    assert_int_equal(cli_whole_path(given, path, &err), SF_OK);
    assert_string_equal(path, wanted);
}

static void test_a_path_is_said_from_the_root(void **state)
{
    char here[CLI_PATH_MAX];
    char wanted[2 * CLI_PATH_MAX];
    struct tmpdir dir;

    (void)state;
    tmpdir_init(&dir);
    assert_int_equal(chdir(dir.path), 0);
    assert_non_null(getcwd(here, sizeof(here)));
    (void)snprintf(wanted, sizeof(wanted), "%s/a/b", here);
    assert_path("a/b", wanted);
    assert_path("./a/b", wanted);
    assert_path(".//././a/b//", wanted);
    (void)snprintf(wanted, sizeof(wanted), "%s/.a", here);
    assert_path(".a", wanted);
    (void)snprintf(wanted, sizeof(wanted), "%s/../a", here);
    assert_path("../a", wanted);
    assert_path(".", here);
    assert_path("./", here);
    assert_path("/x/./y/", "/x/./y");
    assert_path("/", "/");
    assert_int_equal(chdir("/"), 0);
    assert_path("./a", "/a");
    assert_path(".", "/");
    tmpdir_done(&dir);
}

static void test_a_path_that_cannot_be_said_is_refused(void **state)
{
    struct sf_error err = {0};
    char long_name[CLI_PATH_MAX + 1];
    char path[CLI_PATH_MAX];
    struct tmpdir dir;

    (void)state;
    memset(long_name, 'a', sizeof(long_name));
    long_name[0] = '/';
    long_name[CLI_PATH_MAX] = '\0';
    assert_int_equal(cli_whole_path(long_name, path, &err), SF_INVALID);
    assert_int_equal(err.number, SHEAF_E_USAGE);
    assert_non_null(strstr(err.text, "the path is too long: /aaaaaaaa"));
    long_name[CLI_PATH_MAX - 1] = '\0';
    assert_int_equal(cli_whole_path(long_name, path, &err), SF_OK);

    tmpdir_init(&dir);
    assert_int_equal(chdir(dir.path), 0);
    tmpdir_done(&dir);
    assert_int_equal(cli_whole_path("a", path, &err), SF_INVALID);
    assert_string_equal(err.text, "the current directory is gone");
    assert_int_equal(cli_whole_path("/a", path, &err), SF_OK);
    assert_int_equal(chdir("/"), 0);
}

static void assert_next(const char *const *words, const char *acting, const char *next,
                        const char *wanted)
{
    char *argv[12];
    char filled[CLI_NEXT_MAX];
    struct sf_error err = {0};
    struct cli cli;
    int argc = 0;

    for (; words[argc] != NULL; argc++) {
        argv[argc] = (char *)(uintptr_t)words[argc];
    }
    if (cli_init(&cli, stdout, stderr, argc, argv, &err) != SF_OK) {
        fail_msg("%s", err.text);
    }
    (void)snprintf(cli.acting, sizeof(cli.acting), "%s", acting);
    next_step_fill(&cli, next, filled);
    assert_string_equal(filled, wanted);
    cli_done(&cli);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_a_next_step_can_be_typed(void **state)
{
    static const char show[] = "see 'sheaf product show D/P'";
    static const char restore[] = "bring it back: sheaf product restore D/P@MAJOR";
    static const char explain[] = "see which: sheaf access explain --who DOMAIN --what D/P";
    char longest[CLI_NEXT_MAX + 64];

    (void)state;
    assert_next(WORDS("read", "sales/orders@2.t"), "", show,
                "see 'sheaf product show sales/orders'");
    assert_next(WORDS("product", "show", "sales/orders@2"), "", restore,
                "bring it back: sheaf product restore sales/orders@MAJOR");
    assert_next(WORDS("product", "load", "f.csv", "--as", "a/b"), "", show,
                "see 'sheaf product show a/b'");
    assert_next(WORDS("read", "a/b", "--as", "c/d"), "c", explain,
                "see which: sheaf access explain --who c --what a/b");
    assert_next(WORDS("access", "preview", "a/b", "--as", "c/d"), "a", explain,
                "see which: sheaf access explain --who c --what a/b");
    assert_next(WORDS("access", "explain", "--who", "c", "--what", "a/b.email"), "", show,
                "see 'sheaf product show a/b'");
    assert_next(WORDS("status"), "", explain, explain);
    assert_next(WORDS("read", "no product"), "", show, show);
    memset(longest, 'D', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    memcpy(longest + CLI_NEXT_MAX - 4, "D/P", 3);
    char cut[CLI_NEXT_MAX];
    memcpy(cut, longest, sizeof(cut));
    memcpy(cut + CLI_NEXT_MAX - 4, "a/b", 4);
    assert_next(WORDS("read", "a/bcd"), "", longest, cut);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_path_is_said_from_the_root),
        cmocka_unit_test(test_a_path_that_cannot_be_said_is_refused),
        cmocka_unit_test(test_a_next_step_can_be_typed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
