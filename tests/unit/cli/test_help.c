#include "tests/lib/cmocka.h"

#include <string.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/progress.h"
#include "common/base/buf.h"
#include "common/sys/file.h"
#include "proto/errors.h"

enum { TEXT_MAX = 65536 };

/* What one of the functions wrote. */
struct written {
    char text[TEXT_MAX];
    FILE *stream;
};

static FILE *begin(struct written *w)
{
    w->stream = fmemopen(w->text, sizeof(w->text), "w");
    assert_non_null(w->stream);
    return w->stream;
}

static const char *end(struct written *w)
{
    assert_int_equal(fclose(w->stream), 0);
    return w->text;
}

static void test_reference_page_is_what_the_table_says(void **state)
{
    static struct written w;
    struct sf_buf page = {0};
    struct sf_error err;

    (void)state;
    assert_int_equal(sf_file_read(SOURCE_ROOT "/docs/reference/cli.md", TEXT_MAX, &page, &err),
                     SF_OK);
    help_reference(begin(&w), commands_table(), commands_globals());
    assert_string_equal(sf_buf_cstr(&page), end(&w));
    sf_buf_done(&page);
}

static void test_help_names_every_command(void **state)
{
    static struct written w;

    (void)state;
    help_all(begin(&w), commands_table(), commands_globals());
    (void)end(&w);
    for (const struct command *c = commands_table(); c->path != NULL; c++) {
        char line[64];

        (void)snprintf(line, sizeof(line), "\n  %s ", c->path);
        assert_non_null(strstr(w.text, line));
    }
}

static void test_help_of_a_command_shows_examples_before_flags(void **state)
{
    static struct written w;
    const char *first = NULL;

    (void)state;
    help_command(begin(&w),
                 args_find(commands_table(), (const char *[]){"read"}, 1, &(unsigned){0}),
                 commands_globals());
    first = end(&w);
    assert_int_equal(strncmp(first, "Read rows of a product.\n\nUSAGE\n  sheaf read D/P", 47), 0);
    assert_true(strstr(first, "EXAMPLES") < strstr(first, "FLAGS\n"));
    assert_non_null(strstr(first, "      --limit N "));
    assert_non_null(strstr(first, "  -o, --output FORMAT "));
}

static void test_help_of_a_noun_names_its_commands_only(void **state)
{
    static struct written w;

    (void)state;
    help_noun(begin(&w), commands_table(), "audit");
    assert_string_equal(
        end(&w), "USAGE\n  sheaf audit COMMAND [ARGUMENTS] [FLAGS]\n\nCOMMANDS\n"
                 "  audit ls                   List what happened in the mesh\n"
                 "  audit verify               Verify the audit log: numbers, chain, signatures\n"
                 "\nMore: sheaf help COMMAND\n");
}

/* Lines of @text wider than 80 columns; those of examples are to be copied as they are. */
static unsigned wide_lines(const char *text)
{
    unsigned wide = 0;

    for (const char *at = text; *at != '\0'; at += strcspn(at, "\n") + 1) {
        if (strcspn(at, "\n") > 80 && strncmp(at, "  $ ", 4) != 0) {
            print_message("%.*s\n", (int)strcspn(at, "\n"), at);
            wide++;
        }
    }
    return wide;
}

static void test_help_is_80_columns_wide(void **state)
{
    static struct written w;

    (void)state;
    help_all(begin(&w), commands_table(), commands_globals());
    assert_int_equal(wide_lines(end(&w)), 0);
    assert_non_null(strstr(w.text,
                           "\n  doctor                     Check what a mesh on this machine "
                           "needs, and how to\n                             mend it\n"));
    help_overview(begin(&w), commands_table());
    assert_int_equal(wide_lines(end(&w)), 0);
    for (const struct command *c = commands_table(); c->path != NULL; c++) {
        help_command(begin(&w), c, commands_globals());
        assert_int_equal(wide_lines(end(&w)), 0);
    }
}

static void test_help_says_what_names_a_product(void **state)
{
    static struct written w;

    (void)state;
    help_command(begin(&w),
                 args_find(commands_table(), (const char *[]){"read"}, 1, &(unsigned){0}),
                 commands_globals());
    assert_non_null(strstr(end(&w), "\n\n  D/P                        a product: domain and name, "
                                    "as in sales/orders\n  @MAJOR "));
    assert_non_null(strstr(w.text, "\n  .TABLE "));
    help_command(begin(&w),
                 args_find(commands_table(), (const char *[]){"status"}, 1, &(unsigned){0}),
                 commands_globals());
    assert_null(strstr(end(&w), "D/P"));
}

static void test_progress_fits_the_terminal(void **state)
{
    static struct written w;
    static const char *const tail = "  42%  8 rows  9 rows/s  ETA 2 s"; /* 32 columns */

    (void)state;
    progress_line(begin(&w), "loading a.csv", 0.1, tail, 80);
    assert_string_equal(end(&w), "loading a.csv  ██░░░░░░░░░░░░░░░░░░  42%  8 rows  9 rows/s  "
                                 "ETA 2 s");
    progress_line(begin(&w), "loading a.csv", 0.1, tail, 67);
    assert_string_equal(end(&w), "loading a.csv    42%  8 rows  9 rows/s  ETA 2 s");
    progress_line(begin(&w), "loading a.csv", 0.1, tail, 40);
    assert_string_equal(end(&w), tail);
    progress_line(begin(&w), "loading a.csv", 0.1, tail, 20);
    assert_string_equal(end(&w), "  42%  8 rows  9 ro");
}

static void test_every_error_is_in_the_table_of_exit_codes(void **state)
{
    static struct written w;

    (void)state;
    help_exit_codes(begin(&w));
    (void)end(&w);
    for (unsigned i = 0; sheaf_error_at(i) != NULL; i++) {
        char number[16];

        (void)snprintf(number, sizeof(number), " E%04u", sheaf_error_at(i)->number);
        assert_non_null(strstr(w.text, number));
    }
}

static void test_errors_end_with_the_code_of_their_number_or_kind(void **state)
{
    struct sf_error err;

    (void)state;
    (void)SF_RAISE_E(&err, SF_INVALID, SHEAF_E_DENIED, "x");
    assert_int_equal(cli_exit_of(&err), CLI_DENIED);
    (void)SF_RAISE(&err, SF_TIMEOUT, "x");
    assert_int_equal(cli_exit_of(&err), CLI_UNAVAILABLE);
    (void)SF_RAISE(&err, SF_ABSENT, "x");
    assert_int_equal(cli_exit_of(&err), CLI_NOT_FOUND);
    (void)SF_RAISE(&err, SF_IO, "x");
    assert_int_equal(cli_exit_of(&err), CLI_FAILURE);
}

static void test_an_error_is_number_cause_and_next_step(void **state)
{
    static struct written w;
    struct cli cli = {.out = stdout, .err = begin(&w)};
    struct sf_error err;

    (void)state;
    (void)SF_RAISE_E(&err, SF_ABSENT, SHEAF_E_PRODUCT_UNKNOWN, "sales/ordrs");
    assert_int_equal(cli_fail(&cli, &err), CLI_NOT_FOUND);
    assert_string_equal(end(&w), "error[SHEAF-E0302]: no such product\n"
                                 "  sales/ordrs\n"
                                 "  next: see 'sheaf product ls'\n");
    cli.err = begin(&w);
    (void)snprintf(cli.next, sizeof(cli.next), "what the server says");
    assert_int_equal(cli_fail(&cli, &err), CLI_NOT_FOUND);
    assert_non_null(strstr(end(&w), "\n  next: what the server says\n"));
}

/* Purposes, names and errors come from other domains. */
static void test_what_others_wrote_cannot_move_the_cursor(void **state)
{
    static struct written w;
    struct cli cli = {.out = stdout, .err = begin(&w)};
    struct sf_error err;

    (void)state;
    (void)SF_RAISE(&err, SF_IO, "one\r\033[2J\ntwo \xc2\x9b\xc3\xa9");
    assert_int_equal(cli_fail(&cli, &err), CLI_FAILURE);
    assert_string_equal(end(&w), "error: one\\x0d\\x1b[2J\ntwo \\x9b\xc3\xa9\n");
    cli.err = begin(&w);
    cli_note(&cli, "of %s", "\033]0;x\a");
    assert_string_equal(end(&w), "of \\x1b]0;x\\x07\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference_page_is_what_the_table_says),
        cmocka_unit_test(test_help_names_every_command),
        cmocka_unit_test(test_help_of_a_command_shows_examples_before_flags),
        cmocka_unit_test(test_help_of_a_noun_names_its_commands_only),
        cmocka_unit_test(test_help_is_80_columns_wide),
        cmocka_unit_test(test_help_says_what_names_a_product),
        cmocka_unit_test(test_progress_fits_the_terminal),
        cmocka_unit_test(test_every_error_is_in_the_table_of_exit_codes),
        cmocka_unit_test(test_errors_end_with_the_code_of_their_number_or_kind),
        cmocka_unit_test(test_an_error_is_number_cause_and_next_step),
        cmocka_unit_test(test_what_others_wrote_cannot_move_the_cursor),
    };

    return cmocka_run_group_tests_name("help", tests, NULL, NULL);
}
