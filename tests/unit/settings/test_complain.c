#include "tests/lib/cmocka.h"

#include <string.h>

#include "common/settings/complain.h"
#include "proto/errors.h"

static void assert_says(const struct sf_error *err, int exit_code, const char *wanted)
{
    char text[512] = "";
    FILE *out = fmemopen(text, sizeof(text), "w");

    assert_non_null(out);
    assert_int_equal(sf_complain(out, "sheaf-leaf", err), exit_code);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(text, wanted);
}

static void test_an_error_is_number_cause_and_next_step(void **state)
{
    struct sf_error err;

    (void)state;
    (void)SF_RAISE_E(&err, SF_CONFLICT, SHEAF_E_DATA_DIR_IN_USE, "/var/lib/x");
    assert_says(&err, 6,
                "sheaf-leaf: error[SHEAF-E0606]: the data directory is in use: /var/lib/x\n"
                "  next: stop the other process, or name another directory\n");
}

static void test_an_error_without_a_number_gets_one(void **state)
{
    struct sf_error err;

    (void)state;
    (void)SF_RAISE(&err, SF_INVALID, "no flag is called --dat");
    assert_says(&err, 2,
                "sheaf-leaf: error[SHEAF-E0801]: wrong usage: no flag is called --dat\n"
                "  next: see 'sheaf-leaf --help'\n");
    (void)SF_RAISE(&err, SF_ABSENT, "cannot make directory '/proc/x'");
    assert_says(&err, 1,
                "sheaf-leaf: error[SHEAF-E0804]: a file cannot be read or written: "
                "cannot make directory '/proc/x'\n  next: check its path and rights\n");
    (void)SF_RAISE(&err, SF_UNAVAILABLE, "x");
    assert_says(&err, 1,
                "sheaf-leaf: error[SHEAF-E0708]: internal error: x\n  next: see the log\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_error_is_number_cause_and_next_step),
        cmocka_unit_test(test_an_error_without_a_number_gets_one),
    };

    return cmocka_run_group_tests_name("complain", tests, NULL, NULL);
}
